/* SPDX-License-Identifier: Apache-2.0 */
/* ring.h - bounded queue of fixed-size items between threads (many producers, one
 * consumer), mutex + condition. Batches keep the lock cheap: one lock per batch, one wake-up per
 * batch. A full ring pushes back: put returns how many it took. */
#ifndef BASE_RING_H
#define BASE_RING_H

#include "base/cleanup.h"
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ring {
    pthread_mutex_t lock;
    pthread_cond_t more;
    char *items; /* owned */
    size_t item_size, cap, head, len;
    size_t wanted; /* a consumer sleeps until so many are there; 0 = nobody sleeps */
    bool closed;
};

int ring_init(struct ring *r, size_t item_size, size_t cap) CGW_NODISCARD;
void ring_done(struct ring *r);
size_t ring_put(struct ring *r, const void *items, size_t n); /* prefix taken */
/* Up to max items, after waiting for at least min of them, at most wait_ms (0 = no wait): fewer
 * than min after the time or when closed. One consumer: producers wake it once, not per item. */
size_t ring_take(struct ring *r, void *items, size_t min, size_t max, int wait_ms);
size_t ring_len(struct ring *r);
void ring_close(struct ring *r); /* wakes all consumers; later puts take 0 */

#endif
