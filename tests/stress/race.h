/* SPDX-License-Identifier: Apache-2.0 */
/* race.h - shared by the race_*.c programs: threads against one object at random moments, bounded
 * in time, TAP out. Without ThreadSanitizer they prove that the books are even at the end; with it
 * (configure --enable-sanitize=thread) that nobody got there by luck. */
#ifndef RACE_H
#define RACE_H

#include "base/cleanup.h"
#include "base/clock.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

static unsigned n_tests, n_failed;

static void ok(bool good, const char *what, long long got)
{
    n_failed += !good;
    (void)printf("%s %u - %s\n", good ? "ok" : "not ok", ++n_tests, what);
    if (!good)
        (void)printf("# got %lld\n", got);
}

static int race_end(void)
{
    (void)printf("1..%u\n", n_tests);
    return n_failed != 0;
}

struct dice {
    uint32_t seed;
};
static inline uint32_t dice(struct dice *d, uint32_t n)
{
    d->seed = d->seed * 1664525u + 1013904223u;
    return (d->seed >> 8) % n;
}

static inline pthread_t run(void *(*fn)(void *), void *arg)
{
    pthread_t t;
    if (pthread_create(&t, NULL, fn, arg) != 0)
        abort();
    return t;
}

static inline void join(const pthread_t *threads, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        (void)pthread_join(threads[i], NULL);
}

#endif
