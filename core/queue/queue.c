/* SPDX-License-Identifier: Apache-2.0 */
/* queue.c - the live table and the fair choice. Leases: lease.c. */
#include "queue/queue_int.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <string.h>

#define PER_WAVE 16 /* candidates looked at per wave: more than a node has dispatchers */
#define CANDIDATES 256
enum { ECHO = -1, ECHO_SENT = -2 }; /* in live.chunk_no */

static bool is_live(const struct queue *q, int32_t part, int32_t wave_id, int32_t chunk_no)
{
    for (uint32_t i = 0; i < q->n_live; i++)
        if (q->live[i].part == part && q->live[i].wave_id == wave_id &&
            q->live[i].chunk_no == chunk_no)
            return true;
    return false;
}

static bool mark(struct queue *q, int32_t part, int32_t wave_id, int32_t chunk_no)
{
    bool ok = false;
    (void)pthread_mutex_lock(&q->lock);
    if (q->n_live < QUEUE_LIVE_MAX && atomic_load(&q->epoch[part]) &&
        !is_live(q, part, wave_id, chunk_no)) {
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

int queue_next_chunk(struct queue *q, struct db *db, const struct control *c, int lane,
                     int64_t now_ms, struct chunk_ref *ret, struct diag *diag)
{
    int32_t parts[STORE_PARTS], resting[QUEUE_RESTING_MAX];
    int n_parts = queue_parts(q, parts), n_waves = 0, n = 0, n_resting = resting_now(q, resting);
    if (n_parts == 0 || c->n_waves == 0)
        return CGW_ENOTFOUND;
    int32_t *waves = malloc(c->n_waves * sizeof *waves);
    struct chunk_ref *due = malloc(CANDIDATES * sizeof *due);
    int rc = waves && due ? 0 : diag_set(diag, -ENOMEM, "", "out of memory");
    /* each call begins at another wave: every running campaign gets its turn */
    uint32_t first = rc == 0 ? atomic_fetch_add(&q->turn, 1) % c->n_waves : 0;
    for (uint32_t i = 0; rc == 0 && i < c->n_waves; i++) {
        const struct wave_info *w = &c->waves[(first + i) % c->n_waves];
        if (w->lane == lane && !contains(resting, n_resting, w->wave_id))
            waves[n_waves++] = w->wave_id;
    }
    if (rc == 0)
        rc = n_waves ? store_chunks_due(db, parts, n_parts, waves, n_waves, now_ms, PER_WAVE, due,
                                        CANDIDATES, &n, diag)
                     : CGW_ENOTFOUND;
    if (rc == 0) {
        rc = CGW_ENOTFOUND;
        for (int i = 0; i < n && rc == CGW_ENOTFOUND; i++)
            if (mark(q, due[i].part, due[i].wave_id, due[i].chunk_no)) {
                *ret = due[i];
                rc = 0;
            }
    }
    free(waves);
    free(due);
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
