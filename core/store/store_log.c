/* SPDX-License-Identifier: Apache-2.0 */
/* store_log.c - the contact log, contact events and exact statistics. Column order here = column
 * order of the tables: the seal hashes exactly the fields that COPY sends. */
#include "store/store_outcome.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static int32_t month_of(int64_t utc_ms)
{
    time_t s = (time_t)(utc_ms / 1000);
    struct tm tm;
    (void)gmtime_r(&s, &tm);
    return (tm.tm_year + 1900) * 100 + tm.tm_mon + 1;
}

int store_log_write(struct db *db, const struct log_head *h, const struct log_row *rows, int n,
                    struct seal *seal, struct diag *diag)
{
    if (n == 0)
        return 0;
    struct db_copy c;
    dbc_init(&c, (size_t)n * 256 + 4096);
    int32_t period = month_of(h->decided_ms);
    for (int i = 0; i < n; i++) {
        const struct log_row *l = &rows[i];
        dbc_row(&c, 18);
        dbc_int4(&c, h->part);
        dbc_int8(&c, l->contact_id);
        dbc_int2(&c, l->attempt);
        dbc_int4(&c, period);
        dbc_int8(&c, l->customer_id);
        dbc_int4(&c, h->wave_id);
        dbc_int4(&c, l->chunk_no);
        dbc_int4(&c, h->partner_id);
        dbc_ts(&c, h->decided_ms);
        dbc_int2(&c, l->verdict);
        dbc_int2(&c, l->reason);
        if (l->rule_id)
            dbc_int4(&c, l->rule_id);
        else
            dbc_null(&c);
        dbc_int4(&c, h->rules_version);
        dbc_int2(&c, h->channel);
        dbc_int2(&c, h->contact_class);
        dbc_int2(&c, 0); /* arm: the only one until experiments exist */
        dbc_int4(&c, (int32_t)l->slots);
        dbc_int8(&c, h->seal_no);
        size_t len = 0;
        const void *bytes = dbc_row_bytes(&c, &len);
        if (!c.b.failed)
            seal_row(seal, SEAL_ROW_LOG, bytes, len);
    }
    int rc = db_copy_send(db, "COPY contact_log FROM STDIN (FORMAT binary)", &c, diag);
    dbc_done(&c);
    return rc;
}

#define EVENT_BYTES                                                                                \
    1024u /* more than a row of contact_event takes: detail is CGW_RAW_MAX at most */

static void event_put(struct db_copy *c, int32_t part, int64_t seal_no, const struct event_row *e,
                      struct seal *seal)
{
    const char *space = e->code_space ? e->code_space : "", *detail = e->detail ? e->detail : "";
    dbc_row(c, 13);
    dbc_int4(c, part);
    dbc_int8(c, e->contact_id);
    dbc_int2(c, e->attempt);
    dbc_int2(c, e->seg);
    dbc_int2(c, e->kind);
    dbc_ts(c, e->ts_ms);
    dbc_int4(c, e->route_id);
    dbc_int4(c, e->code);
    dbc_text(c, space, strlen(space));
    dbc_text(c, detail, strlen(detail));
    dbc_int2(c, e->sub);
    dbc_int4(c, e->quantity);
    dbc_int8(c, seal_no);
    size_t len = 0;
    const void *bytes = dbc_row_bytes(c, &len);
    if (!c->b.failed)
        seal_row(seal, SEAL_ROW_EVENT, bytes, len);
}

static int events_send(struct db *db, struct db_copy *c, struct diag *diag)
{
    int rc = db_copy_send(db, "COPY contact_event FROM STDIN (FORMAT binary)", c, diag);
    dbc_done(c);
    return rc;
}

int store_events_write(struct db *db, int32_t part, int64_t seal_no, const struct event_row *rows,
                       int n, struct seal *seal, struct diag *diag)
{
    if (n == 0)
        return 0;
    struct db_copy c;
    dbc_init(&c, (size_t)n * EVENT_BYTES + 4096);
    for (int i = 0; i < n; i++)
        event_put(&c, part, seal_no, &rows[i], seal);
    return events_send(db, &c, diag);
}

int store_part_events_write(struct db *db, const struct part_event *rows, int n, struct seal *seals,
                            const int64_t *seal_no, struct diag *diag)
{
    if (n == 0)
        return 0;
    struct db_copy c;
    dbc_init(&c, (size_t)n * EVENT_BYTES + 4096);
    for (int i = 0; i < n; i++)
        event_put(&c, rows[i].part, seal_no[rows[i].part], &rows[i].e, &seals[rows[i].part]);
    return events_send(db, &c, diag);
}

static int by_key(const void *a, const void *b)
{
    const struct stat_delta *x = a, *y = b;
    if (x->wave_id != y->wave_id)
        return x->wave_id < y->wave_id ? -1 : 1;
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    return x->code < y->code ? -1 : x->code > y->code;
}

int store_stat_add(struct db *db, const char *owner, struct stat_delta *deltas, int n,
                   struct diag *diag)
{
    qsort(deltas, (size_t)n, sizeof *deltas, by_key);
    int m = 0;
    for (int i = 0; i < n; i++) { /* sum equal keys: one upsert must not meet a row twice */
        if (m && by_key(&deltas[m - 1], &deltas[i]) == 0)
            deltas[m - 1].n += deltas[i].n;
        else
            deltas[m++] = deltas[i];
    }
    int rc = 0;
    for (int from = 0; from < m && rc == 0; from += 256) {
        int32_t wave[256], code[256];
        int16_t kind[256];
        int64_t count[256];
        int k = m - from < 256 ? m - from : 256;
        for (int i = 0; i < k; i++) {
            wave[i] = deltas[from + i].wave_id;
            kind[i] = deltas[from + i].kind;
            code[i] = deltas[from + i].code;
            count[i] = deltas[from + i].n;
        }
        struct db_params p;
        dbp_init(&p);
        dbp_text(&p, owner);
        dbp_int4_array(&p, wave, (size_t)k);
        dbp_int2_array(&p, kind, (size_t)k);
        dbp_int4_array(&p, code, (size_t)k);
        dbp_int8_array(&p, count, (size_t)k);
        rc = db_exec(
            db,
            "INSERT INTO campaign_stat (wave_id, node, kind, code, n) SELECT u.w, $1, u.k, u.c, "
            "u.n FROM unnest($2::int4[], $3::int2[], $4::int4[], $5::int8[]) u (w, k, c, n)"
            " ORDER BY u.w, u.k, u.c ON CONFLICT (wave_id, node, kind, code) DO UPDATE SET n = "
            "campaign_stat.n + excluded.n",
            &p, NULL, diag);
    }
    return rc;
}
