/* SPDX-License-Identifier: Apache-2.0 */
/* decide.c - one transaction per chunk or set of echo rows under the part lock: judge (judge.c) →
 * reserve → log → seal. Also what is left of a chunk that is resumed. Source: sql/README.md,
 * "Protocol". */
#include "dispatch/dispatch_int.h"

#include "base/clock.h"
#include "base/metrics.h"
#include "base/word.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int64_t shifted(int64_t database_ms)
{
    clock_set_utc(database_ms);
    return database_ms + clock_shift_get();
}

/* Whoever renders needs to know the media; the channel finds them in memory, because they are read
 * here, where waiting for the database hurts nobody. */
static int open_media(struct worker *w, struct diag *diag)
{
    const struct wave_info *wave = w->batch.wave;
    struct render_media media[STORE_MEDIA_PER_WAVE];
    uint32_t n = wave->n_media < ARRAY_LEN(media) ? wave->n_media : ARRAY_LEN(media);
    for (uint32_t i = 0; i < n; i++) {
        media[i] = (struct render_media){.handle = (uint64_t)wave->media[i].media_id,
                                         .size = wave->media[i].bytes};
        memcpy(media[i].id, wave->media[i].public_id, sizeof media[i].id);
        memcpy(media[i].mime, wave->media[i].mime, sizeof media[i].mime);
        if (w->d->cfg.media && media_cache_size(w->d->cfg.media, media[i].handle) == CGW_EDB)
            return diag_set(diag, CGW_EBUSY, "", "media %s cannot be read now", media[i].id);
    }
    return render_run_media(w->batch.render, media, n, diag);
}

/* Control, rules and content of the wave; CGW_ENOTFOUND when the wave is not running any more. */
static int batch_open(struct worker *w, const struct chunk_ref *c, bool echo, struct diag *diag)
{
    struct batch *b = &w->batch;
    *b = (struct batch){.chunk = *c, .echo = echo, .rows = w->rows};
    arena_init(&b->arena, BATCH_ARENA_MAX);
    b->control = control_ref(w, diag);
    if (!b->control)
        return CGW_EDB;
    b->wave = control_wave(b->control, c->wave_id);
    if (!b->wave || !b->control->running)
        return CGW_ESTATE;
    int rc = rules_cache_get(w->d->cfg.rules, w->db, 0, &b->rules, diag);
    if (rc == 0)
        rc = render_run_new(b->wave->campaign, b->wave->channel, b->wave->content,
                            b->wave->content_len, b->wave->fields, b->wave->n_fields, &b->render,
                            diag);
    return rc < 0 ? rc : open_media(w, diag);
}

void batch_done(struct worker *w)
{
    struct batch *b = &w->batch;
    if (b->render)
        b->render = render_run_free(b->render);
    rules_unref(b->rules);
    b->rules = NULL;
    if (b->control)
        control_unref(w->d, b->control);
    b->control = NULL;
    arena_done(&b->arena);
}

/* Until when a reservation made at that moment counts where a contact would: the first end of a
 * period (sliding caps: of a day). */
static int64_t reserved_until(const struct batch *b, int64_t at_ms)
{
    const struct rules *rules = rules_of(b->rules);
    uint32_t mask = rules->classes[b->wave->contact_class].counts ? judge_caps(b) : 0;
    int64_t until = INT64_MAX;
    for (uint32_t c = 0; c < rules->n_caps; c++) {
        int64_t end = mask >> c & 1 ? cap_period_end_ms(&rules->caps[c], at_ms) : INT64_MAX;
        until = end < until ? end : until;
    }
    return until;
}

/* Rows that hold a reservation of another period (sliding caps: day) than now's give it back and
 * stand in line again. */
static int refresh_reservations(struct worker *w, int64_t now_ms, struct diag *diag)
{
    struct batch *b = &w->batch;
    const struct rules *rules = rules_of(b->rules);
    uint32_t mask = judge_caps(b);
    int64_t ids[STORE_CHUNK_ROWS / 10], at[STORE_CHUNK_ROWS / 10];
    int which[STORE_CHUNK_ROWS / 10], n = 0;
    for (int i = 0; i < b->n && n < (int)ARRAY_LEN(ids); i++)
        if (b->rows[i].keeps) {
            which[n] = i;
            ids[n++] = contact_id(b, &b->rows[i]);
        }
    if (n == 0 || mask == 0)
        return 0;
    int rc = store_reserved_at(w->db, b->chunk.part, ids, n, at, diag);
    for (int i = 0; rc == 0 && i < n; i++) {
        bool stale = at[i] == INT64_MIN;
        for (uint32_t c = 0; c < rules->n_caps && !stale; c++) {
            int32_t then = 0, today = 0;
            const struct cap *cap = &rules->caps[c];
            if (mask >> c & 1)
                stale = cap_period_number(cap, at[i], &then) !=
                            cap_period_number(cap, now_ms, &today) ||
                        (cap->period == CAP_SLIDING_DAYS && then != today);
        }
        if (!stale)
            continue;
        rc = store_caps_release(w->db, b->chunk.part, &ids[i], 1, NULL, diag);
        b->rows[which[i]].keeps = false;
    }
    return rc;
}

/* Everything a decision writes. Rows are in ascending seq (chunk) or customer order (echo): the log
 * wants ascending contact ids. */
struct decided {
    struct log_row *log;
    struct echo_row *echo;
    struct stat_delta *stats;
    struct reserve_row *reserve;
    int64_t *release, *denied_seq, *allowed_seq;
    int n_log, n_echo, n_stats, n_reserve, n_release, n_denied, n_allowed;
};

static int decided_alloc(struct batch *b, struct decided *x)
{
    size_t n = (size_t)b->n + 1;
    *x = (struct decided){.log = arena_alloc(&b->arena, n * sizeof *x->log),
                          .echo = arena_alloc(&b->arena, n * sizeof *x->echo),
                          .stats = arena_alloc(&b->arena, n * sizeof *x->stats),
                          .reserve = arena_alloc(&b->arena, n * sizeof *x->reserve),
                          .release = arena_alloc(&b->arena, n * sizeof *x->release),
                          .denied_seq = arena_alloc(&b->arena, n * sizeof *x->denied_seq),
                          .allowed_seq = arena_alloc(&b->arena, n * sizeof *x->allowed_seq)};
    return x->log && x->echo && x->stats && x->reserve && x->release && x->denied_seq &&
                   x->allowed_seq
               ? 0
               : CGW_ELIMIT;
}

static void sort_out(struct batch *b, struct decided *x)
{
    for (int i = 0; i < b->n; i++) {
        struct contact_row *r = &b->rows[i];
        const struct verdict *v = &r->verdict;
        if (v->kind == VERDICT_DEFER) {
            x->echo[x->n_echo++] = (struct echo_row){.seq = r->seq,
                                                     .attempt = r->attempt,
                                                     .tries = r->tries,
                                                     .not_before_ms = v->until_ms,
                                                     .reason = (int16_t)v->reason,
                                                     .keeps = r->keeps};
            r->gone = true;
            continue;
        }
        bool allow = v->kind == VERDICT_ALLOW;
        x->log[x->n_log++] = (struct log_row){.contact_id = contact_id(b, r),
                                              .customer_id = r->customer_id,
                                              .chunk_no = b->chunk.chunk_no,
                                              .attempt = r->attempt,
                                              .verdict = (int16_t)v->kind,
                                              .reason = (int16_t)v->reason,
                                              .rule_id = v->rule_id,
                                              .slots = allow ? v->slots : 0};
        if (allow) {
            x->allowed_seq[x->n_allowed++] = r->seq;
            if (v->slots)
                x->reserve[x->n_reserve++] = (struct reserve_row){r->customer_id, r->counted};
            continue;
        }
        r->gone = true;
        x->denied_seq[x->n_denied++] = r->seq;
        if (r->resent)
            continue; /* its first attempt may have been read: counted as sent, and stays so */
        x->stats[x->n_stats++] = (struct stat_delta){
            .wave_id = b->chunk.wave_id, .kind = STAT_HELD, .code = v->reason, .n = 1};
        if (r->keeps)
            x->release[x->n_release++] = contact_id(b, r);
    }
}

/* The counters find their series by name: once for all rows that say the same. */
static void count_decided(const struct batch *b)
{
    static const char *const kinds[] = {
        [VERDICT_ALLOW] = "allow", [VERDICT_DEFER] = "defer", [VERDICT_DENY] = "deny"};
    int n[ARRAY_LEN(kinds)][REASONS_MAX] = {0};
    for (int i = 0; i < b->n; i++)
        n[b->rows[i].verdict.kind][b->rows[i].verdict.reason]++;
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++)
        for (int r = 0; r < REASONS_MAX; r++)
            if (n[k][r])
                METRIC_ADD("campgw_contacts_decided_total", n[k][r], channel_word(b->wave->channel),
                           kinds[k], reason_word(r));
}

static int by_contact(const void *a, const void *b)
{
    const struct log_row *x = a, *y = b;
    return x->contact_id < y->contact_id ? -1 : x->contact_id > y->contact_id;
}

static int by_customer(const void *a, const void *b)
{
    const struct reserve_row *x = a, *y = b;
    return x->customer_id < y->customer_id ? -1 : x->customer_id > y->customer_id;
}

static int write_decided(struct worker *w, const struct part_lock *lock, int64_t now_ms,
                         struct diag *diag)
{
    struct batch *b = &w->batch;
    struct decided x;
    if (decided_alloc(b, &x) < 0)
        return diag_set(diag, CGW_ELIMIT, "", "one chunk exceeds %u bytes", BATCH_ARENA_MAX);
    sort_out(b, &x);
    qsort(x.log, (size_t)x.n_log, sizeof *x.log, by_contact);
    qsort(x.reserve, (size_t)x.n_reserve, sizeof *x.reserve, by_customer);
    struct log_head head = {.part = b->chunk.part,
                            .wave_id = b->chunk.wave_id,
                            .partner_id = b->wave->partner_id,
                            .rules_version = rules_of(b->rules)->version,
                            .decided_ms = now_ms,
                            .seal_no = lock->seal_no + 1,
                            .channel = b->wave->channel,
                            .contact_class = b->wave->contact_class};
    struct seal seal;
    unsigned char digest[SEAL_DIGEST];
    seal_begin(&seal, lock->digest);
    int rc = store_caps_reserve(w->db, b->chunk.part, rules_of(b->rules), judge_caps(b), now_ms,
                                x.reserve, x.n_reserve, diag);
    if (rc == 0)
        rc = store_caps_release(w->db, b->chunk.part, x.release, x.n_release, NULL, diag);
    if (rc == 0)
        rc = store_log_write(w->db, &head, x.log, x.n_log, &seal, diag);
    if (rc == 0)
        rc = store_echo_put(w->db, b->chunk.part, b->chunk.wave_id, x.echo, x.n_echo, diag);
    if (rc == 0 && b->echo)
        rc = store_echo_delete(w->db, b->chunk.part, b->chunk.wave_id, x.denied_seq, x.n_denied,
                               diag);
    if (rc == 0 && b->echo && x.n_allowed)
        rc = store_echo_state(w->db, b->chunk.part, b->chunk.wave_id, x.allowed_seq, x.n_allowed, 1,
                              0, INT64_MIN, diag);
    if (rc == 0 && x.n_log)
        rc = store_seal_append(w->db, &seal, b->chunk.part, lock->seal_no + 1, SEAL_DECIDE,
                               b->chunk.wave_id, b->chunk.chunk_no, lock->digest,
                               w->d->cfg.sign_key, digest, diag);
    if (rc == 0 && x.n_stats)
        rc = store_stat_add(w->db, w->owner, x.stats, x.n_stats, diag);
    if (rc == 0 && !b->echo && x.n_allowed == 0)
        rc = store_chunk_done(w->db, b->chunk.part, b->chunk.wave_id, b->chunk.chunk_no, diag);
    if (rc == 0)
        rc = db_commit(w->db, diag);
    if (rc == 0)
        count_decided(b);
    return rc < 0 ? loud(rc) : x.n_allowed ? 0 : CGW_ENOTFOUND;
}

/* One place, one window: a closed chunk waits as a whole, without a row per person. */
static int whole_chunk_waits(struct worker *w, int64_t now_ms, int64_t *ret_until, int *ret_reason,
                             struct diag *diag)
{
    struct batch *b = &w->batch;
    *ret_until = 0;
    if (b->wave->cancelled || (b->wave->not_after_ms && now_ms >= b->wave->not_after_ms))
        return 0;
    if (b->wave->not_before_ms > now_ms) {
        *ret_until = b->wave->not_before_ms;
        *ret_reason = REASON_NONE;
        return 0;
    }
    if (!rules_of(b->rules)->classes[b->wave->contact_class].calendar)
        return 0;
    const struct windows *win = NULL;
    int rc = rules_windows(b->rules, w->db, (int16_t)b->chunk.place, b->wave->contact_class,
                           b->wave->channel, &win, diag);
    if (rc < 0)
        return rc;
    int64_t closes = 0;
    int32_t rule = 0;
    bool holiday = false;
    int64_t open = windows_next_open(win, now_ms, &closes, &rule, &holiday);
    if (open > now_ms && open != INT64_MAX &&
        (!b->wave->not_after_ms || open < b->wave->not_after_ms)) {
        *ret_until = open;
        *ret_reason = holiday ? REASON_CALENDAR_HOLIDAY : REASON_CALENDAR_QUIET;
    }
    return 0;
}

static int new_run(struct worker *w, struct diag *diag)
{
    struct batch *b = &w->batch;
    b->run = calloc(1, sizeof *b->run);
    if (!b->run)
        return diag_set(diag, -ENOMEM, "", "out of memory");
    *b->run = (struct chunk_run){.d = w->d,
                                 .part = b->chunk.part,
                                 .wave_id = b->chunk.wave_id,
                                 .chunk_no = b->chunk.chunk_no};
    return 0;
}

/* Facts, verdicts, content and rows of a batch whose rows are read; the transaction is open and the
 * part locked. */
static int decide_locked(struct worker *w, const struct part_lock *lock, int64_t now_ms,
                         struct diag *diag)
{
    struct batch *b = &w->batch;
    judge_addresses(b);
    int rc = judge_facts(w, now_ms, diag);
    if (rc < 0)
        return loud(rc);
    for (int i = 0; i < b->n; i++)
        judge_policy(b, &b->rows[i], now_ms);
    rc = judge_content(w, diag);
    if (rc < 0)
        return loud(rc);
    judge_routes(w);
    b->reserved_until_ms = reserved_until(b, now_ms);
    b->facts_ver = lock->facts_ver;
    return write_decided(w, lock, now_ms, diag);
}

int decide_lock(struct worker *w, struct part_lock *lock, int64_t *ret_now, struct diag *diag)
{
    struct batch *b = &w->batch;
    int64_t epoch = queue_epoch(w->d->queue, b->chunk.part);
    if (!epoch)
        return diag_set(diag, CGW_EFENCED, "", "part %d is not ours", b->chunk.part);
    int rc = db_begin(w->db, diag);
    if (rc == 0)
        rc = store_part_lock(w->db, b->chunk.part, w->d->cfg.node, epoch, lock, diag);
    if (rc != 0)
        return rc;
    b->epoch = epoch;
    *ret_now = shifted(lock->now_ms);
    if (!lock->running)
        return CGW_ENOTFOUND;
    /* rules that changed since we read them: this chunk comes again with the new ones */
    return lock->rules_version == rules_of(b->rules)->version ? 0 : CGW_EBUSY;
}

static int finish(struct worker *w, int rc, struct diag *diag)
{
    db_rollback(w->db);
    if (rc == 0)
        rc = new_run(w, diag);
    return rc;
}

int decide_chunk(struct worker *w, const struct chunk_ref *c, struct diag *diag)
{
    struct batch *b = &w->batch;
    struct part_lock lock;
    int64_t now_ms = 0, until = 0;
    int reason = 0;
    int64_t t0 = clock_mono_us();
    int rc = batch_open(w, c, false, diag);
    if (rc == 0)
        rc = decide_lock(w, &lock, &now_ms, diag);
    if (rc == 0)
        rc = whole_chunk_waits(w, now_ms, &until, &reason, diag);
    if (rc == 0 && until) {
        rc = store_chunk_wait(w->db, c, until, reason, diag);
        if (rc == 0)
            rc = db_commit(w->db, diag);
        return finish(w, rc < 0 ? rc : CGW_ENOTFOUND, diag);
    }
    if (rc == 0)
        rc = store_chunk_claim(w->db, c, diag);
    if (rc == 0)
        rc = store_recipients(w->db, c->part, b->wave->set_id, c->seq_lo, c->seq_hi, &b->arena,
                              b->rows, STORE_CHUNK_ROWS, &b->n, diag);
    if (rc == 0)
        rc = decide_locked(w, &lock, now_ms, diag);
    metric_observe(metric_get("campgw_decision_duration_seconds", NULL, 0),
                   (double)(clock_mono_us() - t0) / 1e6);
    return finish(w, rc, diag);
}

int decide_echo(struct worker *w, const struct echo_due *e, struct diag *diag)
{
    struct batch *b = &w->batch;
    struct chunk_ref c = {.part = e->part, .wave_id = e->wave_id, .chunk_no = -1};
    struct part_lock lock;
    int64_t now_ms = 0;
    int rc = batch_open(w, &c, true, diag);
    if (rc == 0)
        rc = decide_lock(w, &lock, &now_ms, diag);
    if (rc == 0)
        rc = store_echo_claim(w->db, e->part, e->wave_id, b->wave->set_id, now_ms,
                              b->wave->cancelled, &b->arena, b->rows, DISPATCH_WINDOW_ROWS, &b->n,
                              diag);
    if (rc == 0 && b->n == 0)
        rc = CGW_ESTATE;
    if (rc == 0)
        rc = refresh_reservations(w, now_ms, diag);
    if (rc == 0)
        rc = decide_locked(w, &lock, now_ms, diag);
    return finish(w, rc, diag);
}

/* The oldest reservation of the rest decides until when all of them count. */
static int resume_reservations(struct worker *w, struct diag *diag)
{
    struct batch *b = &w->batch;
    size_t n = (size_t)b->n;
    int64_t *ids = arena_alloc(&b->arena, n * sizeof *ids),
            *at = arena_alloc(&b->arena, n * sizeof *at), oldest = INT64_MAX;
    if (!ids || !at)
        return diag_set(diag, CGW_ELIMIT, "", "one chunk exceeds %u bytes", BATCH_ARENA_MAX);
    for (int i = 0; i < b->n; i++)
        ids[i] = contact_id(b, &b->rows[i]);
    int rc = store_reserved_at(w->db, b->chunk.part, ids, b->n, at, diag);
    for (int i = 0; rc == 0 && i < b->n; i++)
        if (at[i] != INT64_MIN && at[i] < oldest)
            oldest = at[i];
    b->reserved_until_ms = oldest == INT64_MAX ? INT64_MAX : reserved_until(b, oldest);
    return rc;
}

int decide_resume(struct worker *w, const struct chunk_ref *c, struct diag *diag)
{
    struct batch *b = &w->batch;
    struct part_lock lock;
    int64_t now_ms = 0;
    int rc = batch_open(w, c, false, diag);
    if (rc == 0)
        rc = decide_lock(w, &lock, &now_ms, diag);
    if (rc == 0)
        rc = store_recipients_resume(w->db, c, b->wave->set_id, &b->arena, b->rows,
                                     STORE_CHUNK_ROWS, &b->n, diag);
    if (rc == 0 && b->n == 0) { /* everything went out before; its results are flushed or were
                                   flagged at the takeover */
        rc = store_chunk_done(w->db, c->part, c->wave_id, c->chunk_no, diag);
        if (rc == 0)
            rc = db_commit(w->db, diag);
        return finish(w, rc < 0 ? rc : CGW_ENOTFOUND, diag);
    }
    if (rc == 0) /* without it there may be no wave: one that was paused a moment ago */
        judge_addresses(b);
    for (int i = 0; rc == 0 && i < b->n; i++)
        b->rows[i].verdict.kind = VERDICT_ALLOW;
    if (rc == 0)
        rc = resume_reservations(w, diag);
    if (rc == 0)
        rc = loud(judge_content(w, diag));
    if (rc == 0)
        judge_routes(w);
    b->facts_ver = INT64_MIN; /* the first intent looks at the facts again */
    return finish(w, rc, diag);
}

int decide_echo_back(struct worker *w, int delay_ms, struct diag *diag)
{
    const struct batch *b = &w->batch;
    struct part_lock lock;
    int rc = db_begin(w->db, diag);
    if (rc == 0)
        rc = store_part_lock(w->db, b->chunk.part, w->d->cfg.node, b->epoch, &lock, diag);
    if (rc == 0)
        rc = store_echo_back(w->db, b->chunk.part, b->chunk.wave_id,
                             delay_ms ? lock.now_ms + clock_shift_get() + delay_ms : 0, diag);
    if (rc == 0)
        rc = db_commit(w->db, diag);
    db_rollback(w->db);
    return rc;
}
