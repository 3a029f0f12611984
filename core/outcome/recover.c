/* SPDX-License-Identifier: Apache-2.0 */
/* recover.c - what a dead holder left behind, and the end of a wave. Both write events part by
 * part, sealed, under the part lock. sent_hi is read after our own lock: a zombie's last window is
 * behind it, and its next intent fails the epoch check. */
#include "outcome/outcome_int.h"

#include "address/address.h"
#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define RECOVER_MAX 5000 /* contacts per transaction; the rest follows in the next */

static int by_contact(const void *a, const void *b)
{
    const struct event_row *x = a, *y = b;
    if (x->contact_id != y->contact_id)
        return x->contact_id < y->contact_id ? -1 : 1;
    return (x->attempt > y->attempt) - (x->attempt < y->attempt);
}

/* Events of one kind for these contacts, of another for the first `certain` of them, one seal; the
 * transaction is open and the part locked. */
static int write_events(struct db *db, const struct outcome_config *cfg,
                        const struct part_lock *lock, const struct open_contact *c, int n,
                        int certain, int16_t kind, int64_t now_ms, struct diag *diag)
{
    struct event_row *ev = malloc((size_t)n * sizeof *ev);
    struct seal seal;
    unsigned char digest[SEAL_DIGEST];
    if (!ev)
        return diag_set(diag, -ENOMEM, "", "out of memory");
    for (int i = 0; i < n; i++)
        ev[i] = (struct event_row){.contact_id = c[i].contact_id,
                                   .attempt = c[i].attempt,
                                   .seg = -1,
                                   .kind = i < certain ? (int16_t)EVENT_NOT_SENT : kind,
                                   .ts_ms = now_ms,
                                   .route_id = c[i].route_id,
                                   .code_space = "campgw"};
    if (certain) /* the caller's order is by kind, the seal's by contact */
        qsort(ev, (size_t)n, sizeof *ev, by_contact);
    seal_begin(&seal, lock->digest);
    int rc = store_events_write(db, lock->part, lock->seal_no + 1, ev, n, &seal, diag);
    if (rc == 0)
        rc = store_seal_append(db, &seal, lock->part, lock->seal_no + 1, SEAL_FLUSH, 0, 0,
                               lock->digest, cfg->sign_key, digest, diag);
    free(ev);
    return rc;
}

static int put_doubts(struct db *db, const struct outcome_config *cfg, int32_t part,
                      const struct open_contact *c, int n, int64_t now_ms, struct diag *diag)
{
    int rc = 0;
    for (int i = 0; rc == 0 && i < n; i++) {
        struct doubt_row d = {
            .part = part,
            .route_id = c[i].route_id,
            .contact_id = c[i].contact_id,
            .attempt = c[i].attempt,
            .since_ms = c[i].since_ms ? c[i].since_ms : now_ms,
            .until_ms = now_ms + INT64_C(172800000),
            .address_key = customer_key(cfg->identity_key, c[i].address, strlen(c[i].address))};
        rc = store_doubt_put(db, &d, 1, diag);
    }
    return rc;
}

/* Of a class that is sent once more: in line again, when the receipts have had their time. */
static int put_resends(struct db *db, int32_t part, const struct open_contact *c, int n,
                       int64_t now_ms, struct diag *diag)
{
    int rc = 0;
    for (int i = 0; rc == 0 && i < n; i++) {
        struct echo_row e = {.seq = c[i].contact_id & INT64_C(0xffffffff),
                             .attempt = (int16_t)(c[i].attempt + 1),
                             .not_before_ms = now_ms + RESEND_AFTER_MS,
                             .reason = REASON_RETRY_IN_DOUBT,
                             .keeps = true,
                             .resent = true};
        if (c[i].resends && !c[i].resent)
            rc = store_echo_put(db, part, (int32_t)(c[i].contact_id >> 32), &e, 1, diag);
    }
    return rc;
}

/* Of a channel that is pulled: without an accept there is no document, so nobody was ever asked to
 * do anything. Certainly not sent, and in line again. */
static int put_again(struct db *db, const char *owner, int32_t part, const struct open_contact *c,
                     int n, int64_t now_ms, struct diag *diag)
{
    int rc = 0;
    struct stat_delta *s = malloc((size_t)n * sizeof *s);
    if (!s)
        return diag_set(diag, -ENOMEM, "", "out of memory");
    for (int i = 0; rc == 0 && i < n; i++) {
        struct echo_row e = {.seq = c[i].contact_id & INT64_C(0xffffffff),
                             .attempt = (int16_t)(c[i].attempt + 1),
                             .not_before_ms = now_ms,
                             .reason = REASON_RETRY_NOT_SENT,
                             .keeps = true,
                             .resent = c[i].resent};
        s[i] = (struct stat_delta){.wave_id = (int32_t)(c[i].contact_id >> 32),
                                   .kind = STAT_RETRIES,
                                   .code = REASON_RETRY_NOT_SENT,
                                   .n = 1};
        rc = store_echo_put(db, part, s[i].wave_id, &e, 1, diag);
    }
    if (rc == 0)
        rc = store_stat_add(db, owner, s, n, diag);
    free(s);
    return rc;
}

/* Those that were certainly not sent come first; how many. */
static int certain_first(const struct outcome_config *cfg, struct open_contact *c, int n)
{
    int m = 0;
    for (int i = 0; i < n && cfg->certain; i++)
        if (cfg->certain(cfg->ctx, (uint32_t)c[i].channel)) {
            struct open_contact swap = c[m];
            c[m++] = c[i];
            c[i] = swap;
        }
    return m;
}

/* A resent contact was counted with its first attempt. */
static int stats(struct db *db, const char *owner, const struct open_contact *c, int n,
                 const int16_t *kinds, int n_kinds, struct diag *diag)
{
    struct stat_delta *s = malloc((size_t)(n * n_kinds) * sizeof *s);
    if (!s)
        return diag_set(diag, -ENOMEM, "", "out of memory");
    int m = 0;
    for (int i = 0; i < n; i++)
        for (int k = 0; !c[i].resent && k < n_kinds; k++)
            s[m++] = (struct stat_delta){
                .wave_id = (int32_t)(c[i].contact_id >> 32), .kind = kinds[k], .n = 1};
    int rc = store_stat_add(db, owner, s, m, diag);
    free(s);
    return rc;
}

static int recover_some(struct db *db, const struct outcome_config *cfg, int32_t part,
                        int64_t epoch, struct open_contact *c, int *ret_n, int64_t *ret_certain,
                        struct diag *diag)
{
    static const int16_t kinds[] = {STAT_SUBMITTED, STAT_IN_DOUBT};
    struct part_lock lock = {0};
    char owner[64];
    (void)snprintf(owner, sizeof owner, "%.48s/r", cfg->node);
    int rc = db_begin(db, diag);
    if (rc == 0)
        rc = store_part_lock(db, part, cfg->node, epoch, &lock, diag);
    if (rc == 0)
        rc = store_unanswered(db, part, c, RECOVER_MAX, ret_n, diag);
    int64_t now_ms = lock.now_ms + clock_shift_get();
    if (rc == 0 && *ret_n) {
        int m = certain_first(cfg, c, *ret_n), n = *ret_n - m;
        *ret_certain += m;
        rc = write_events(db, cfg, &lock, c, *ret_n, m, EVENT_IN_DOUBT, now_ms, diag);
        if (rc == 0)
            rc = put_doubts(db, cfg, part, c + m, n, now_ms, diag);
        if (rc == 0)
            rc = put_resends(db, part, c + m, n, now_ms, diag);
        if (rc == 0 && n)
            rc = stats(db, owner, c + m, n, kinds, 2, diag);
        if (rc == 0 && m)
            rc = put_again(db, owner, part, c, m, now_ms, diag);
    }
    if (rc == 0 && *ret_n < RECOVER_MAX)
        rc = store_echo_recover(db, part, diag);
    if (rc == 0)
        rc = db_commit(db, diag);
    db_rollback(db);
    return rc;
}

int outcome_recover_part(struct db *db, const struct outcome_config *cfg, int32_t part,
                         int64_t epoch, int64_t *ret_in_doubt, struct diag *diag)
{
    struct open_contact *c = malloc(RECOVER_MAX * sizeof *c);
    int n = 0, rc = 0;
    int64_t certain = 0;
    *ret_in_doubt = 0;
    if (!c)
        return diag_set(diag, -ENOMEM, "", "out of memory");
    do {
        rc = recover_some(db, cfg, part, epoch, c, &n, &certain, diag);
        *ret_in_doubt += rc == 0 ? n : 0;
    } while (rc == 0 && n == RECOVER_MAX);
    *ret_in_doubt -= rc == 0 ? certain : 0;
    free(c);
    return rc;
}

int outcome_close_wave(struct db *db, const struct outcome_config *cfg, int32_t wave_id,
                       int64_t now_utc_ms, int64_t *ret_closed, struct diag *diag)
{
    static const int16_t kinds[] = {STAT_UNKNOWN};
    struct open_contact *c = malloc(RECOVER_MAX * sizeof *c);
    char owner[64];
    int rc = c ? 0 : diag_set(diag, -ENOMEM, "", "out of memory");
    (void)snprintf(owner, sizeof owner, "%.48s/c", cfg->node);
    *ret_closed = 0;
    for (int32_t part = 0; rc == 0 && part < STORE_PARTS;) {
        struct part_lock lock;
        int n = 0;
        rc = db_begin(db, diag);
        if (rc == 0)
            rc = store_part_lock(db, part, "", 0, &lock, diag);
        if (rc == 0)
            rc = store_unfinished(db, part, wave_id, c, RECOVER_MAX, &n, diag);
        if (rc == 0 && n) {
            rc = write_events(db, cfg, &lock, c, n, 0, EVENT_UNKNOWN, now_utc_ms, diag);
            if (rc == 0)
                rc = stats(db, owner, c, n, kinds, 1, diag);
        }
        if (rc == 0 && n < RECOVER_MAX)
            rc = store_doubt_forget(db, part, wave_id, diag);
        if (rc == 0)
            rc = db_commit(db, diag);
        db_rollback(db);
        for (int i = 0; rc == 0 && i < n; i++)
            figures_finished(cfg, c[i].route_id, FIGURE_UNKNOWN, 1);
        *ret_closed += rc == 0 ? n : 0;
        part += n < RECOVER_MAX;
    }
    free(c);
    return rc;
}
