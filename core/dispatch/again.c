/* SPDX-License-Identifier: Apache-2.0 */
/* again.c - the later look, in a transaction of its own, at rows that were decided and not yet
 * intended: what may not go any more is withdrawn. Source: sql/README.md, "Protocol". */
#include "dispatch/dispatch_int.h"

#include "base/clock.h"

#include <stdlib.h>

struct withdrawn {
    struct event_row *events;
    struct echo_row *echo;
    struct stat_delta *stats;
    int64_t *release, *denied_seq;
    int n_events, n_echo, n_stats, n_release;
};

/* In an arena of its own: a busy fact clock asks for this before every window of a chunk. */
static int withdraw_alloc(const struct batch *b, struct arena *a, struct withdrawn *x)
{
    size_t n = (size_t)(b->n - b->at) + 1;
    *x = (struct withdrawn){.events = arena_alloc(a, n * sizeof *x->events),
                            .echo = arena_alloc(a, n * sizeof *x->echo),
                            .stats = arena_alloc(a, n * sizeof *x->stats),
                            .release = arena_alloc(a, n * sizeof *x->release),
                            .denied_seq = arena_alloc(a, n * sizeof *x->denied_seq)};
    return x->events && x->echo && x->stats && x->release && x->denied_seq ? 0 : CGW_ELIMIT;
}

static void withdraw(struct batch *b, struct contact_row *r, int64_t now_ms, struct withdrawn *x)
{
    const struct verdict *v = &r->verdict;
    r->gone = true;
    if (v->kind == VERDICT_DEFER) {
        x->echo[x->n_echo++] = (struct echo_row){.seq = r->seq,
                                                 .attempt = (int16_t)(r->attempt + 1),
                                                 .tries = r->tries,
                                                 .not_before_ms = v->until_ms,
                                                 .reason = (int16_t)v->reason,
                                                 .keeps = true};
        return;
    }
    x->denied_seq[x->n_events] = r->seq;
    if (!r->resent) {
        x->release[x->n_release++] = contact_id(b, r);
        x->stats[x->n_stats++] = (struct stat_delta){
            .wave_id = b->chunk.wave_id, .kind = STAT_HELD, .code = v->reason, .n = 1};
    }
    x->events[x->n_events++] = (struct event_row){.contact_id = contact_id(b, r),
                                                  .attempt = r->attempt,
                                                  .seg = -1,
                                                  .kind = EVENT_CANCELLED,
                                                  .ts_ms = now_ms,
                                                  .code = v->reason,
                                                  .code_space = "campgw.reason"};
}

static int by_event(const void *a, const void *b)
{
    const struct event_row *x = a, *y = b;
    return x->contact_id < y->contact_id ? -1 : x->contact_id > y->contact_id;
}

static int write_withdrawn(struct worker *w, const struct part_lock *lock, struct withdrawn *x,
                           struct diag *diag)
{
    struct batch *b = &w->batch;
    int32_t part = b->chunk.part, wave = b->chunk.wave_id;
    struct seal seal;
    unsigned char digest[SEAL_DIGEST];
    qsort(x->events, (size_t)x->n_events, sizeof *x->events, by_event);
    seal_begin(&seal, lock->digest);
    int rc =
        store_events_write(w->db, part, lock->seal_no + 1, x->events, x->n_events, &seal, diag);
    if (rc == 0 && x->n_events)
        rc = store_seal_append(w->db, &seal, part, lock->seal_no + 1, SEAL_DECIDE, wave,
                               b->chunk.chunk_no, lock->digest, w->d->cfg.sign_key, digest, diag);
    if (rc == 0)
        rc = store_caps_release(w->db, part, x->release, x->n_release, NULL, diag);
    if (rc == 0 && b->echo)
        rc = store_echo_delete(w->db, part, wave, x->denied_seq, x->n_events, diag);
    if (rc == 0)
        rc = store_echo_put(w->db, part, wave, x->echo, x->n_echo, diag);
    if (rc == 0 && x->n_stats)
        rc = store_stat_add(w->db, w->owner, x->stats, x->n_stats, diag);
    return rc;
}

int decide_again(struct worker *w, struct diag *diag)
{
    struct batch *b = &w->batch;
    struct part_lock lock;
    struct withdrawn x;
    int64_t now_ms = 0;
    struct control *fresh = control_ref(w, diag);
    if (!fresh)
        return CGW_EDB;
    const struct wave_info *wave = control_wave(fresh, b->chunk.wave_id);
    if (!wave) { /* paused meanwhile: leave the rows as they are, the chunk is resumed later */
        control_unref(w->d, fresh);
        return CGW_ENOTFOUND;
    }
    control_unref(w->d, b->control);
    b->control = fresh;
    b->wave = wave;
    struct rules_ref *rules = NULL;
    int rc = rules_cache_get(w->d->cfg.rules, w->db, 0, &rules, diag);
    if (rc < 0)
        return rc;
    rules_unref(b->rules);
    b->rules = rules;
    struct arena scratch;
    arena_init(&scratch, BATCH_ARENA_MAX);
    rc = decide_lock(w, &lock, &now_ms, diag);
    for (int i = b->at; i < b->n; i++)
        b->rows[i].keeps = true; /* counted when it was decided */
    if (rc == 0)
        rc = loud(judge_facts(w, now_ms, diag));
    if (rc == 0 && withdraw_alloc(b, &scratch, &x) < 0)
        rc = diag_set(diag, CGW_ELIMIT, "", "one chunk exceeds %u bytes", BATCH_ARENA_MAX);
    for (int i = b->at; rc == 0 && i < b->n; i++) {
        struct contact_row *r = &b->rows[i];
        if (r->gone)
            continue;
        bool held = r->verdict.kind !=
                    VERDICT_ALLOW; /* content or route, found when the chunk was resumed */
        if (!held)
            judge_policy(b, r, now_ms);
        if (r->verdict.kind == VERDICT_ALLOW &&
            now_ms >=
                b->reserved_until_ms) /* counted in a period that is over: stand in line again */
            r->verdict = (struct verdict){.kind = VERDICT_DEFER, .until_ms = now_ms};
        if (r->verdict.kind != VERDICT_ALLOW)
            withdraw(b, r, now_ms, &x);
    }
    if (rc == 0)
        rc = write_withdrawn(w, &lock, &x, diag);
    if (rc == 0)
        rc = db_commit(w->db, diag);
    db_rollback(w->db);
    arena_done(&scratch);
    if (rc == 0)
        b->facts_ver = lock.facts_ver;
    return rc;
}
