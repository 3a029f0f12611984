/* SPDX-License-Identifier: Apache-2.0 */
/* race_base.c - ring, relay, in-flight table and metrics from several threads. Source documents:
 * base/ring.h, base/relay.h, dispatch/inflight.h, base/metrics.h. */
#include "base/metrics.h"
#include "base/relay.h"
#include "base/ring.h"
#include "dispatch/inflight.h"
#include "race.h"

#include <stdatomic.h>

#define THREADS 4u
#define EACH 50000u

/* ---- ring: several put, one takes, one closes ------------------------------------------------ */
static struct ring ring;
static atomic_bool closed;
static atomic_uint put_n, taken_n;
static _Atomic uint64_t put_sum, taken_sum;

static void *putter(void *arg)
{
    struct dice d = {(uint32_t)(uintptr_t)arg};
    uint64_t items[32];
    for (uint32_t sent = 0; sent < EACH;) {
        uint32_t n = dice(&d, 32) + 1;
        for (uint32_t i = 0; i < n; i++)
            items[i] = sent + i;
        size_t took = ring_put(&ring, items, n);
        for (size_t i = 0; i < took; i++)
            atomic_fetch_add(&put_sum, items[i]);
        atomic_fetch_add(&put_n, (unsigned)took);
        sent += (uint32_t)took;
        if (took < n)
            (void)sched_yield();
    }
    return NULL;
}

static void *taker(void *arg)
{
    struct dice d = {(uint32_t)(uintptr_t)arg};
    uint64_t items[24];
    for (;;) {
        bool last = atomic_load(&closed); /* before the look: nothing comes after it */
        size_t n = ring_take(&ring, items, dice(&d, 24), 24, (int)dice(&d, 10));
        for (size_t i = 0; i < n; i++)
            atomic_fetch_add(&taken_sum, items[i]);
        atomic_fetch_add(&taken_n, (unsigned)n);
        if (last && !n && !ring_len(&ring))
            return NULL;
    }
}

static void race_ring(void)
{
    pthread_t put[THREADS];
    if (ring_init(&ring, sizeof(uint64_t), 500))
        abort();
    pthread_t take = run(taker, (void *)(uintptr_t)7);
    for (unsigned i = 0; i < THREADS; i++)
        put[i] = run(putter, (void *)(uintptr_t)(i + 1));
    join(put, THREADS);
    ring_close(&ring);
    atomic_store(&closed, true);
    join(&take, 1);
    ok(atomic_load(&put_n) >= THREADS * EACH && atomic_load(&put_n) == atomic_load(&taken_n),
       "a ring gives back as many items as it took", atomic_load(&taken_n));
    ok(atomic_load(&put_sum) == atomic_load(&taken_sum), "and the same ones", 0);
    ring_done(&ring);
}

/* ---- relay: blocks are plain memory, so a block that both sides touch is seen ---------------- */
static int take_number(void *ctx, void *block, struct diag *diag)
{
    uint64_t *next = ctx, *number = block;
    (void)diag;
    if (*number == *next)
        (*next)++;
    *number = UINT64_MAX;
    return 0;
}

static void race_relay(void)
{
    uint64_t block[RELAY_BLOCKS] = {0}, next = 0;
    void *each[RELAY_BLOCKS];
    struct diag d = {0};
    for (size_t i = 0; i < RELAY_BLOCKS; i++)
        each[i] = &block[i];
    struct relay *r = relay_new(each, take_number, &next, &d);
    if (!r)
        abort();
    for (uint64_t i = 0; i < EACH; i++) {
        *(uint64_t *)relay_block(r) = i;
        if (relay_pass(r, &d) < 0)
            abort();
    }
    int rc = relay_end(r, &d); /* from here on `next` is ours again */
    ok(rc == 0 && next == EACH, "a relay's blocks are taken once and in order", (long long)next);
}

/* ---- in flight: a token finds its own contact until it is released, then never again --------- */
static struct inflight *table;
static atomic_uint wrong;

static void *flyer(void *arg)
{
    struct dice d = {(uint32_t)(uintptr_t)arg};
    uint64_t held[16] = {0};
    for (uint32_t i = 0; i < EACH; i++) {
        uint64_t *slot = &held[dice(&d, 16)];
        struct outcome_contact c = {.contact_id = (int64_t)(uintptr_t)arg << 32 | i}, back;
        if (*slot) {
            if (!inflight_get(table, *slot, &back) || back.token != *slot ||
                back.contact_id >> 32 != (int64_t)(uintptr_t)arg)
                atomic_fetch_add(&wrong, 1u);
            inflight_release(table, *slot);
            if (inflight_get(table, *slot, &back))
                atomic_fetch_add(&wrong, 1u);
            inflight_release(table, *slot); /* a stale token gives nothing back */
            *slot = 0;
        } else if (inflight_add(table, &c)) {
            *slot = c.token;
        }
        (void)inflight_room(table);
    }
    for (unsigned i = 0; i < 16; i++)
        inflight_release(table, held[i]);
    return NULL;
}

static void race_inflight(void)
{
    pthread_t t[THREADS];
    table = inflight_new(40); /* fewer than the threads want */
    for (unsigned i = 0; i < THREADS; i++)
        t[i] = run(flyer, (void *)(uintptr_t)(i + 1));
    join(t, THREADS);
    ok(atomic_load(&wrong) == 0, "a token finds its contact until it is released",
       atomic_load(&wrong));
    ok(inflight_used(table) == 0 && inflight_room(table) == 40, "every slot comes back",
       inflight_used(table));
    inflight_free(table);
}

/* ---- metrics: series are made while others count and somebody reads -------------------------- */
static const struct metric_family families[] = {
    {"race_things_total", METRIC_COUNTER, "Things.", "who"},
    {"race_wait_seconds", METRIC_HISTOGRAM, "Waits.", ""},
    {NULL, METRIC_COUNTER, NULL, NULL}};
static const char *const who[] = {"a", "b", "c", "d", "e"};

static void *counter(void *arg)
{
    struct dice d = {(uint32_t)(uintptr_t)arg};
    for (uint32_t i = 0; i < EACH; i++) {
        METRIC_INC("race_things_total", who[dice(&d, ARRAY_LEN(who))]);
        metric_observe(metric_get("race_wait_seconds", NULL, 0), 0.001 * dice(&d, 100));
    }
    return NULL;
}

static void *reader(void *arg)
{
    (void)arg;
    for (int i = 0; i < 200; i++) {
        struct buf b;
        buf_init(&b, 1u << 20);
        metrics_expose(&b);
        buf_done(&b);
    }
    return NULL;
}

static void race_metrics(void)
{
    pthread_t t[THREADS + 1];
    double n = 0;
    metrics_register(families);
    for (unsigned i = 0; i < THREADS; i++)
        t[i] = run(counter, (void *)(uintptr_t)(i + 1));
    t[THREADS] = run(reader, NULL);
    join(t, THREADS + 1);
    for (unsigned i = 0; i < ARRAY_LEN(who); i++)
        n += metric_value(metric_get("race_things_total", &who[i], 1));
    ok((unsigned)n == THREADS * EACH, "no count is lost", (long long)n);
}

int main(void)
{
    race_ring();
    race_relay();
    race_inflight();
    race_metrics();
    return race_end();
}
