/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_timer.c - a binary heap of moments.
 * Must not read the clock: the caller says what time it is.
 */
#include "sim_timer.h"

#include <stdlib.h>
#include <string.h>

static bool before(const struct sim_timer *a, const struct sim_timer *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

void sim_timer_add(struct sim_timers *t, int64_t at_ms, sim_timer_fn *fn, void *arg)
{
    struct sim_timer item = {at_ms, t->order++, fn, arg};
    size_t i = t->n++;

    if (t->n > t->cap) {
        t->cap = t->cap ? t->cap * 2 : 256;
        t->heap = sim_realloc(t->heap, t->cap * sizeof(*t->heap));
    }
    while (i && before(&item, &t->heap[(i - 1) / 2])) {
        t->heap[i] = t->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    t->heap[i] = item;
}

static struct sim_timer pop(struct sim_timers *t)
{
    struct sim_timer top = t->heap[0];
    struct sim_timer last = t->heap[--t->n];
    size_t i = 0;

    while (2 * i + 1 < t->n) {
        size_t child = 2 * i + 1;

        if (child + 1 < t->n && before(&t->heap[child + 1], &t->heap[child]))
            child++;
        if (!before(&t->heap[child], &last))
            break;
        t->heap[i] = t->heap[child];
        i = child;
    }
    t->heap[i] = last;
    return top;
}

void sim_timers_run(struct sim_timers *t, struct sim *sim, int64_t now_ms)
{
    while (t->n && t->heap[0].at_ms <= now_ms) {
        struct sim_timer due = pop(t);

        due.fn(sim, due.arg);
    }
}

int sim_timers_wait_ms(const struct sim_timers *t, int64_t now_ms, int max_ms)
{
    if (!t->n)
        return max_ms;
    if (t->heap[0].at_ms <= now_ms)
        return 0;
    if (t->heap[0].at_ms - now_ms > max_ms)
        return max_ms;
    return (int)(t->heap[0].at_ms - now_ms);
}

void sim_timers_done(struct sim_timers *t)
{
    free(t->heap);
    memset(t, 0, sizeof(*t));
}
