/* SPDX-License-Identifier: Apache-2.0 */
/* queue.c - the live table and the fair choice. Leases: lease.c. */
#include "queue/queue_int.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <string.h>

#define PER_WAVE 16       /* candidates looked at per wave: more than a node has dispatchers */
#define WAVES_PER_LOOK 16 /* one look costs the same however many waves run */
#define CANDIDATES (PER_WAVE * WAVES_PER_LOOK)
#define EMPTY_REST_MIN_MS 250 /* how long a wave without a due chunk is not looked at again */
#define EMPTY_REST_MAX_MS 2000
enum { ECHO = -1, ECHO_SENT = -2 }; /* in live.chunk_no */

static bool is_live(const struct queue *q, int32_t part, int32_t wave_id, int32_t chunk_no)
{
    for (uint32_t i = 0; i < q->n_live; i++)
        if (q->live[i].part == part && q->live[i].wave_id == wave_id &&
            q->live[i].chunk_no == chunk_no)
            return true;
    return false;
}

static bool may_mark(const struct queue *q, int32_t part)
{
    return q->n_live < QUEUE_LIVE_MAX && atomic_load(&q->epoch[part]);
}

static bool mark(struct queue *q, int32_t part, int32_t wave_id, int32_t chunk_no)
{
    bool ok = false;
    (void)pthread_mutex_lock(&q->lock);
    if (may_mark(q, part) && !is_live(q, part, wave_id, chunk_no)) {
        q->live[q->n_live++] = (struct live){part, wave_id, chunk_no};
        ok = true;
    }
    (void)pthread_mutex_unlock(&q->lock);
    return ok;
}

static void unmark(struct queue *q, int32_t part, int32_t wave_id, int32_t chunk_no)
{
    (void)pthread_mutex_lock(&q->lock);
    for (uint32_t i = 0; i < q->n_live; i++)
        if (q->live[i].part == part && q->live[i].wave_id == wave_id &&
            q->live[i].chunk_no == chunk_no) {
            q->live[i] = q->live[--q->n_live];
            break;
        }
    (void)pthread_mutex_unlock(&q->lock);
}

uint32_t queue_live(struct queue *q)
{
    (void)pthread_mutex_lock(&q->lock);
    uint32_t n = q->n_live;
    (void)pthread_mutex_unlock(&q->lock);
    return n;
}

bool queue_part_live(struct queue *q, int32_t part)
{
    bool any = false;
    (void)pthread_mutex_lock(&q->lock);
    for (uint32_t i = 0; i < q->n_live; i++)
        any = any || q->live[i].part == part;
    (void)pthread_mutex_unlock(&q->lock);
    return any;
}

void queue_rest(struct queue *q, int32_t wave_id, int ms)
{
    int64_t now = clock_mono_ms();
    uint32_t at = 0;
    (void)pthread_mutex_lock(&q->lock);
    for (uint32_t i = 0; i < q->n_resting;
         i++) { /* its own place, else the one that is free first */
        if (q->resting[i].wave_id == wave_id) {
            at = i;
            break;
        }
        if (q->resting[i].until_mono_ms < q->resting[at].until_mono_ms)
            at = i;
    }
    bool known = q->n_resting && q->resting[at].wave_id == wave_id;
    if (!known && q->n_resting < QUEUE_RESTING_MAX &&
        (q->n_resting == 0 || q->resting[at].until_mono_ms > now))
        at = q->n_resting++;
    q->resting[at].wave_id = wave_id;
    q->resting[at].until_mono_ms = now + ms;
    (void)pthread_mutex_unlock(&q->lock);
}

static int resting_now(struct queue *q, int32_t waves[QUEUE_RESTING_MAX])
{
    int64_t now = clock_mono_ms();
    int n = 0;
    (void)pthread_mutex_lock(&q->lock);
    for (uint32_t i = 0; i < q->n_resting; i++)
        if (q->resting[i].until_mono_ms > now)
            waves[n++] = q->resting[i].wave_id;
    (void)pthread_mutex_unlock(&q->lock);
    return n;
}

static bool contains(const int32_t *list, int n, int32_t v)
{
    for (int i = 0; i < n; i++)
        if (list[i] == v)
            return true;
    return false;
}

/* Running waves of the lane in the order of their turns: behind the one served last, round and
 * round. Without those that rest, and those that had nothing due a moment ago. Returns how many. */
static int in_turn(struct queue *q, const struct control *c, int lane, int32_t *waves)
{
    int32_t resting[QUEUE_RESTING_MAX];
    int n = 0, n_resting = resting_now(q, resting);
    uint32_t first = 0;
    int64_t now = clock_mono_ms();
    (void)pthread_mutex_lock(&q->lock);
    while (first < c->n_waves && c->waves[first].wave_id <= q->served[lane])
        first++;
    for (uint32_t i = 0; i < c->n_waves; i++) {
        const struct wave_info *w = &c->waves[(first + i) % c->n_waves];
        uint32_t slot = (uint32_t)w->wave_id % QUEUE_EMPTY_SLOTS;
        bool empty = q->empty[slot].wave_id == w->wave_id && q->empty[slot].until_mono_ms > now;
        if (w->lane == lane && w->sending && !empty && !contains(resting, n_resting, w->wave_id))
            waves[n++] = w->wave_id;
    }
    (void)pthread_mutex_unlock(&q->lock);
    return n;
}

/* A wave without a due chunk is left alone for a while, each time twice as long: a thousand that
 * wait for the morning must not cost the one that sends. */
static void note_empty(struct queue *q, const int32_t *waves, int n_waves,
                       const struct chunk_ref *due, int n)
{
    int64_t now = clock_mono_ms();
    (void)pthread_mutex_lock(&q->lock);
    for (int i = 0, k = 0; i < n_waves; i++) {
        uint32_t slot = (uint32_t)waves[i] % QUEUE_EMPTY_SLOTS;
        bool found = k < n && due[k].wave_id == waves[i]; /* due is in the order of waves */
        while (k < n && due[k].wave_id == waves[i])
            k++;
        bool again = !found && q->empty[slot].wave_id == waves[i];
        int32_t ms = again ? q->empty[slot].rest_ms * 2 : EMPTY_REST_MIN_MS;
        q->empty[slot].wave_id = found ? 0 : waves[i];
        q->empty[slot].rest_ms = ms < EMPTY_REST_MAX_MS ? ms : EMPTY_REST_MAX_MS;
        q->empty[slot].until_mono_ms = now + q->empty[slot].rest_ms;
    }
    (void)pthread_mutex_unlock(&q->lock);
}

void queue_look_again(struct queue *q, int32_t wave_id)
{
    (void)pthread_mutex_lock(&q->lock);
    if (wave_id)
        q->empty[(uint32_t)wave_id % QUEUE_EMPTY_SLOTS].wave_id = 0;
    else
        memset(q->empty, 0, sizeof q->empty);
    (void)pthread_mutex_unlock(&q->lock);
}

/* Of what is due and not in work, the first of the wave whose turn is next: another thread may have
 * served some while this one asked the database. */
static bool choose(struct queue *q, int lane, const struct chunk_ref *due, int n,
                   struct chunk_ref *ret)
{
    const struct chunk_ref *best = NULL;
    uint32_t best_turn = UINT32_MAX;
    (void)pthread_mutex_lock(&q->lock);
    for (int i = 0; i < n; i++) {
        uint32_t turn = (uint32_t)due[i].wave_id - (uint32_t)q->served[lane] - 1u;
        if ((best && turn >= best_turn) || !may_mark(q, due[i].part) ||
            is_live(q, due[i].part, due[i].wave_id, due[i].chunk_no))
            continue;
        best = &due[i];
        best_turn = turn;
    }
    if (best) {
        q->live[q->n_live++] = (struct live){best->part, best->wave_id, best->chunk_no};
        q->served[lane] = best->wave_id;
        *ret = *best;
    }
    (void)pthread_mutex_unlock(&q->lock);
    return best != NULL;
}

int queue_next_chunk(struct queue *q, struct db *db, const struct control *c, int lane,
                     int64_t now_ms, struct chunk_ref *ret, struct diag *diag)
{
    int32_t parts[STORE_PARTS];
    struct chunk_ref due[CANDIDATES];
    int n_parts = queue_parts(q, parts);
    if (n_parts == 0 || c->n_waves == 0)
        return CGW_ENOTFOUND;
    int32_t *waves = malloc(c->n_waves * sizeof *waves);
    if (!waves)
        return diag_set(diag, -ENOMEM, "", "out of memory");
    int n_waves = in_turn(q, c, lane, waves), rc = CGW_ENOTFOUND;
    for (int at = 0; at < n_waves && rc == CGW_ENOTFOUND; at += WAVES_PER_LOOK) {
        int n = 0, k = n_waves - at < WAVES_PER_LOOK ? n_waves - at : WAVES_PER_LOOK;
        rc = store_chunks_due(db, parts, n_parts, waves + at, k, now_ms, PER_WAVE, due, CANDIDATES,
                              &n, diag);
        if (rc < 0)
            break;
        note_empty(q, waves + at, k, due, n);
        rc = choose(q, lane, due, n, ret) ? 0 : CGW_ENOTFOUND;
    }
    free(waves);
    return rc;
}

void queue_chunk_back(struct queue *q, int32_t part, int32_t wave_id, int32_t chunk_no)
{
    unmark(q, part, wave_id, chunk_no);
}

int queue_next_echo(struct queue *q, struct db *db, int lane, int64_t now_ms, struct echo_due *ret,
                    struct diag *diag)
{
    int32_t own[STORE_PARTS], parts[STORE_PARTS], resting[QUEUE_RESTING_MAX];
    struct echo_due due[CANDIDATES];
    int n_parts = queue_parts(q, own), n = 0, n_resting = resting_now(q, resting);
    if (n_parts == 0)
        return CGW_ENOTFOUND;
    unsigned first = atomic_fetch_add(&q->turn, 1); /* each call begins at another part */
    for (int i = 0; i < n_parts; i++)
        parts[i] = own[(first + (unsigned)i) % (unsigned)n_parts];
    int rc = store_echo_due(db, parts, n_parts, resting, n_resting, lane, now_ms, due, CANDIDATES,
                            &n, diag);
    if (rc < 0)
        return rc;
    for (int i = 0; i < n; i++)
        if (mark(q, due[i].part, due[i].wave_id, ECHO)) {
            *ret = due[i];
            return 0;
        }
    return CGW_ENOTFOUND;
}

void queue_echo_back(struct queue *q, int32_t part, int32_t wave_id)
{
    unmark(q, part, wave_id, ECHO);
}

void queue_echo_sent(struct queue *q, int32_t part, int32_t wave_id)
{
    (void)pthread_mutex_lock(&q->lock);
    for (uint32_t i = 0; i < q->n_live; i++)
        if (q->live[i].part == part && q->live[i].wave_id == wave_id && q->live[i].chunk_no == ECHO)
            q->live[i].chunk_no = ECHO_SENT;
    (void)pthread_mutex_unlock(&q->lock);
}

void queue_echo_done(struct queue *q, int32_t part, int32_t wave_id)
{
    unmark(q, part, wave_id, ECHO_SENT); /* one of them: they are all alike */
}
