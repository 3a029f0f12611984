/* SPDX-License-Identifier: Apache-2.0 */
/* recall.c - accepted, not delivered, and the campaign was cancelled: the network is asked to take
 * it back. Decides nothing: an answer is a receipt, and that receipt's event is what keeps anybody
 * from asking again. Walks a wave in rounds, because accepts still come while it is being
 * cancelled, and answers get lost. */
#include "outcome/outcome_int.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_PER_LOOK 64
#define WITHOUT_ROOM 8        /* instances that one look passes by; at the next it stops */
#define LOOKING_MS 50         /* at most so long in one call: the caller has other waves */
#define LOOKING_MS_PER_S 200u /* and so long in a second */
#define QUIET_ROUND_MS 30000  /* nobody to ask now: the next round */
/* Twice as many slots as can be asked in the time that one set stands for. */
#define ASKED_SLOTS 262144u
_Static_assert(ASKED_SLOTS >= 2u * OUTCOME_RECALL_PER_S_MAX * (OUTCOME_RECALL_AGAIN_MS / 1000u),
               "the set is never more than half full");

struct asked_set {
    uint32_t n;
    uint64_t key[ASKED_SLOTS]; /* 0 = free */
};

static uint64_t key_of(int32_t part, const struct overdue *o)
{
    uint64_t rest = (uint64_t)part << 32 | (uint64_t)(uint16_t)o->attempt << 16 | (uint16_t)o->seg,
             h = (uint64_t)o->contact_id * 0x9E3779B97F4A7C15u ^ rest * 0xD6E8FEB86659FD93u;
    h ^= h >> 32;
    h *= 0xD6E8FEB86659FD93u;
    return h ? h : 1; /* who shares a key with another, one in 2^47, is asked about a round later */
}

static uint64_t *slot_of(struct asked_set *s, uint64_t key)
{
    uint32_t i = (uint32_t)(key >> 40) & (ASKED_SLOTS - 1);
    while (s->key[i] && s->key[i] != key)
        i = (i + 1) & (ASKED_SLOTS - 1);
    return &s->key[i];
}

static bool was_asked(struct outcome_recaller *a, uint64_t key)
{
    for (int i = 0; i < 2; i++)
        if (a->asked[i] && *slot_of(a->asked[i], key))
            return true;
    return false;
}

static void note_asked(struct outcome_recaller *a, uint64_t key)
{
    *slot_of(a->asked[0], key) = key;
    a->asked[0]->n++;
}

/* \return whether anybody may be asked in this call. */
static bool refill(struct outcome_recaller *a)
{
    int64_t now = clock_mono_ms();
    if (now - a->refilled_mono_ms >= 1000) {
        a->refilled_mono_ms = now;
        a->left = a->per_s;
        a->left_ms = LOOKING_MS_PER_S;
    }
    if (!a->left || !a->left_ms)
        return false;
    if (!a->asked[0] || now - a->rotated_mono_ms >= OUTCOME_RECALL_AGAIN_MS ||
        a->asked[0]->n > ASKED_SLOTS / 2) {
        struct asked_set *fresh = calloc(1, sizeof *fresh);
        if (!fresh)
            return false; /* without memory of whom we asked, nobody is */
        free(a->asked[1]);
        a->asked[1] = a->asked[0];
        a->asked[0] = fresh;
        a->rotated_mono_ms = now;
    }
    return true;
}

static struct recall_progress *progress_of(struct outcome_recaller *a, int32_t wave_id)
{
    struct recall_progress *oldest = &a->waves[0];
    for (int i = 0; i < OUTCOME_RECALL_WAVES; i++) {
        if (a->waves[i].wave_id == wave_id)
            return &a->waves[i];
        if (a->waves[i].used_mono_ms < oldest->used_mono_ms)
            oldest = &a->waves[i];
    }
    *oldest = (struct recall_progress){.wave_id = wave_id};
    return oldest;
}

static void begin_part(struct recall_progress *at, int32_t part)
{
    at->part = part;
    at->contact_id = 0;
    at->attempt = at->seg = 0;
}

static void stand_at(struct recall_progress *at, const struct overdue *o)
{
    at->contact_id = o->contact_id;
    at->attempt = o->attempt;
    at->seg = o->seg;
}

static void begin_round(struct recall_progress *at)
{
    begin_part(at, 0);
    at->found = at->asked = 0;
    at->incomplete = false;
}

static void end_round(struct recall_progress *at)
{
    if (at->drained && !at->found && !at->incomplete)
        at->idle = OUTCOME_RECALL_ROUNDS; /* each has its answer, or nobody could give one */
    if (at->drained && at->asked && !at->incomplete) {
        at->idle = at->found_before && at->found >= at->found_before ? at->idle + 1 : 0;
        if (++at->rounds >=
            OUTCOME_RECALL_ROUNDS_MAX) /* receipts lessen them too, answers or not */
            at->idle = OUTCOME_RECALL_ROUNDS;
        at->found_before = at->found;
    }
    if (!at->met_all)
        at->people += at->asked; /* later ones are asked again */
    at->met_all |= at->drained && !at->incomplete;
    if (at->idle >= OUTCOME_RECALL_ROUNDS) {
        int64_t answered = at->people > at->found ? at->people - at->found : 0;
        log_info("outcome.recall.done", "wave=%d asked=%lld answered=%lld unanswered=%lld",
                 at->wave_id, (long long)at->people, (long long)answered, (long long)at->found);
    }
    at->rest_until_mono_ms =
        clock_mono_ms() + (at->asked || !at->drained ? OUTCOME_RECALL_ROUND_MS : QUIET_ROUND_MS);
    begin_round(at);
}

/* Instances that took nothing in this look: their messages wait, those of others do not. */
struct without_room {
    int n;
    char instance[WITHOUT_ROOM][48];
};

static bool has_no_room(const struct without_room *x, const char *instance)
{
    for (int i = 0; i < x->n; i++)
        if (!strcmp(x->instance[i], instance))
            return true;
    return false;
}

enum asking { PASSED, WAITS, STOPS };

static enum asking recall(struct outcome_recaller *a, struct recall_progress *at,
                          struct without_room *x, const struct overdue *o)
{
    uint64_t key = key_of(at->part, o);
    struct cgw_ask one = {
        .size = sizeof one,
        .peer_id = o->peer_id,
        .from = {o->sender[0] ? o->sender_kind : 0, (uint32_t)strlen(o->sender), o->sender}};
    if (was_asked(a, key)) {
        at->found++;
        return PASSED;
    }
    if (has_no_room(x, o->instance))
        return WAITS;
    if (!a->left)
        return STOPS;
    int taken = a->recall(a->ctx, o->instance, &one, 1);
    if (taken == 0) {
        if (x->n == WITHOUT_ROOM)
            return STOPS;
        (void)snprintf(x->instance[x->n++], sizeof x->instance[0], "%s", o->instance);
        return WAITS;
    }
    if (taken > 0) {
        note_asked(a, key);
        a->left--;
        at->asked++;
        at->found++;
        metric_add(metric_get("campgw_recalls_asked_total", NULL, 0), 1);
    }
    return PASSED;
}
/* Whoever waits is passed by for those of other instances behind it; where there are none it comes
 * first the next time. \return whether the walk goes on. */
static bool batch(struct outcome_recaller *a, struct recall_progress *at, struct without_room *x,
                  const struct overdue *rows, int n)
{
    int i, first = -1;
    int64_t found = 0;
    bool others = false, stops = false;
    for (i = 0; i < n && !stops; i++) {
        int64_t before = at->found;
        enum asking one = recall(a, at, x, &rows[i]);
        stops = one == STOPS;
        if (one == WAITS && first < 0) {
            first = i;
            found = before;
        }
        others |= one == PASSED && first >= 0 && !has_no_room(x, rows[i].instance);
    }
    int done = stops ? i - 1 : n;
    if (first >= 0 && !others) {
        done = first;
        at->found = found;
    }
    at->incomplete |= first >= 0 && others;
    if (done > 0)
        stand_at(at, &rows[done - 1]);
    return done == n;
}

static int walk(struct outcome_recaller *a, struct db *db, const struct recall_wave *w,
                struct recall_progress *at, struct diag *diag)
{
    struct overdue rows[ROWS_PER_LOOK];
    struct without_room x = {0};
    int64_t until = clock_mono_ms() + (a->left_ms < LOOKING_MS ? a->left_ms : LOOKING_MS);
    while (at->part < STORE_PARTS && clock_mono_ms() < until) {
        struct overdue after = {
            .contact_id = at->contact_id, .attempt = at->attempt, .seg = at->seg};
        int n = 0;
        bool end = false;
        int rc = store_recallable(db, at->part, w->wave_id, w->since_utc_ms, &after, rows,
                                  ROWS_PER_LOOK, &n, &end, diag);
        if (rc < 0)
            return rc;
        if (!batch(a, at, &x, rows, n))
            return 0;
        if (end)
            begin_part(at, at->part + 1);
        else
            stand_at(at, &after);
    }
    if (at->part == STORE_PARTS)
        end_round(at);
    return 0;
}

int outcome_recall_wave(struct outcome_recaller *a, struct db *db, const struct recall_wave *w,
                        struct diag *diag)
{
    struct recall_progress *at = progress_of(a, w->wave_id);
    int64_t began = clock_mono_ms();
    at->used_mono_ms = began;
    if (w->drained != at->drained) { /* the last accepts are there: once more, from the beginning */
        at->drained = w->drained;
        at->rest_until_mono_ms = at->found_before = 0;
        at->idle = at->rounds = 0;
        begin_round(at);
    }
    if (at->idle >= OUTCOME_RECALL_ROUNDS || began < at->rest_until_mono_ms || !refill(a))
        return 0;
    int rc = walk(a, db, w, at, diag);
    int64_t took = clock_mono_ms() - began;
    a->left_ms -= took < a->left_ms ? (uint32_t)took : a->left_ms;
    return rc;
}

void outcome_recaller_done(struct outcome_recaller *a)
{
    free(a->asked[0]);
    free(a->asked[1]);
    a->asked[0] = a->asked[1] = NULL;
}
