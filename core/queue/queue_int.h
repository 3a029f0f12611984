/* SPDX-License-Identifier: Apache-2.0 */
/* queue_int.h - private to core/queue. */
#ifndef QUEUE_QUEUE_INT_H
#define QUEUE_QUEUE_INT_H

#include "queue/queue.h"
#include "store/store_part.h"
#include <pthread.h>
#include <stdatomic.h>

struct live {
    int32_t part, wave_id, chunk_no;
};
struct queue {
    struct queue_config cfg; /* texts borrowed */
    pthread_t thread;
    pthread_mutex_t lock; /* live table and stop */
    pthread_cond_t poke;
    bool stop;
    struct live live[QUEUE_LIVE_MAX];
    uint32_t n_live;
    struct {
        int32_t wave_id;
        int64_t until_mono_ms;
    } resting[QUEUE_RESTING_MAX]; /* under lock */
    uint32_t n_resting;
    struct {
        int32_t wave_id;
        int64_t until_mono_ms;
        int32_t rest_ms;
    } empty[QUEUE_EMPTY_SLOTS]; /* waves that had no chunk due a moment ago, by wave_id; under lock
                                 */
    int32_t served[2];          /* per lane: wave of the chunk handed out last; under lock */
    atomic_uint turn;
    _Atomic int64_t epoch[STORE_PARTS]; /* 0 = not ours */
    _Atomic int64_t valid_mono_ms;      /* until when our leases surely hold */
    int64_t held[STORE_PARTS];          /* lease thread only: epoch in the database */
};
bool queue_part_live(struct queue *q, int32_t part);

#endif
