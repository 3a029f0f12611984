/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_timer.h - a heap of moments. Timers cannot be cancelled: the argument stays alive until its
 * turn and then decides whether it still matters. Millisecond resolution, equal moments in order.
 */
#ifndef SIM_TIMER_H
#define SIM_TIMER_H

#include "sim_util.h"

struct sim;
typedef void sim_timer_fn(struct sim *sim, void *arg);

struct sim_timer {
    int64_t at_ms;
    uint64_t order;
    sim_timer_fn *fn;
    void *arg;
};

struct sim_timers {
    struct sim_timer *heap;
    size_t n;
    size_t cap;
    uint64_t order;
};

void sim_timer_add(struct sim_timers *timers, int64_t at_ms, sim_timer_fn *fn, void *arg);
/* Runs what is due at now_ms; timers added meanwhile for now or earlier run too. */
void sim_timers_run(struct sim_timers *timers, struct sim *sim, int64_t now_ms);
/* Milliseconds until the next one, at most max_ms. */
int sim_timers_wait_ms(const struct sim_timers *timers, int64_t now_ms, int max_ms);
void sim_timers_done(struct sim_timers *timers);

#endif
