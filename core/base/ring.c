/* SPDX-License-Identifier: Apache-2.0 */
/* ring.c - see ring.h. */
#include "base/ring.h"

#include <errno.h>
#include <string.h>
#include <time.h>

int ring_init(struct ring *r, size_t item_size, size_t cap)
{
    *r = (struct ring){.item_size = item_size, .cap = cap};
    r->items = malloc(item_size * cap);
    if (!r->items)
        return -ENOMEM;
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&r->lock, NULL);
    (void)pthread_cond_init(&r->more, &attr);
    (void)pthread_condattr_destroy(&attr);
    return 0;
}

void ring_done(struct ring *r)
{
    if (!r->items)
        return;
    (void)pthread_mutex_destroy(&r->lock);
    (void)pthread_cond_destroy(&r->more);
    free(r->items);
    r->items = NULL;
}

size_t ring_put(struct ring *r, const void *items, size_t n)
{
    (void)pthread_mutex_lock(&r->lock);
    size_t room = r->closed ? 0 : r->cap - r->len;
    size_t take = n < room ? n : room;
    for (size_t i = 0; i < take; i++) {
        size_t at = (r->head + r->len++) % r->cap;
        memcpy(r->items + at * r->item_size, (const char *)items + i * r->item_size, r->item_size);
    }
    bool wake = r->wanted && r->len >= r->wanted;
    if (wake)
        r->wanted = 0; /* the next producer need not say it again */
    (void)pthread_mutex_unlock(&r->lock);
    if (wake)
        (void)pthread_cond_signal(&r->more);
    return take;
}

size_t ring_take(struct ring *r, void *items, size_t min, size_t max, int wait_ms)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += wait_ms / 1000;
    until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    (void)pthread_mutex_lock(&r->lock);
    while (r->len < min && !r->closed && wait_ms > 0) {
        r->wanted = min;
        if (pthread_cond_timedwait(&r->more, &r->lock, &until) == ETIMEDOUT)
            break;
    }
    r->wanted = 0;
    size_t n = r->len < max ? r->len : max;
    for (size_t i = 0; i < n; i++) {
        memcpy((char *)items + i * r->item_size, r->items + r->head * r->item_size, r->item_size);
        r->head = (r->head + 1) % r->cap;
    }
    r->len -= n;
    (void)pthread_mutex_unlock(&r->lock);
    return n;
}

size_t ring_len(struct ring *r)
{
    (void)pthread_mutex_lock(&r->lock);
    size_t n = r->len;
    (void)pthread_mutex_unlock(&r->lock);
    return n;
}

void ring_close(struct ring *r)
{
    (void)pthread_mutex_lock(&r->lock);
    r->closed = true;
    (void)pthread_cond_broadcast(&r->more);
    (void)pthread_mutex_unlock(&r->lock);
}
