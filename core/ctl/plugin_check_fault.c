/* SPDX-License-Identifier: Apache-2.0 */
/* plugin_check_fault.c - channel plugins on a bad day: no memory, no services, a full gateway, a
 * clock that is set, recalls and drains at every moment. Each clause asks the same question:
 * exactly one result per message, an end by the deadline, and no crash. */
#include "plugin_check_core.h"
#include "plugin_check_sabotage.h"

#include "base/clock.h"
#include <dirent.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) /* it has a heap of its own */
size_t __sanitizer_get_current_allocated_bytes(void);
#define HEAP_BYTES() __sanitizer_get_current_allocated_bytes()
#else
#define HEAP_BYTES() mallinfo2().uordblks
#endif

#define JOURNEY_MESSAGES 24u
#define JOURNEY_MS 150 /* a message of a journey may wait so long */
#define DRAIN_MS 1500
#define CREATE_TRIES 400u /* memory calls of one create() that are failed one by one */
#define RUN_POINTS 8u     /* moments of a run at which memory fails, once and for good */
#define CYCLES 60u        /* create and destroy, to see what stays */
#define CYCLE_LEAK 256    /* bytes a cycle may leave behind: allocators round */

static void nap_ms(int64_t ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000};
    (void)nanosleep(&t, NULL);
}

static uint32_t entries_of(const char *dir)
{
    DIR *d = opendir(dir);
    uint32_t n = 0;
    while (d && readdir(d))
        n++;
    if (d)
        (void)closedir(d);
    return n;
}

/* ---- memory
 * ------------------------------------------------------------------------------------------- */

static enum verdict memory_in_create(const struct checker *k, char *why)
{
    if (memory_hook(k->plugin) <= 0)
        return check_skip(why, "the plugin's file calls no allocator");
    uint32_t fds = 0;
    for (uint32_t nth = 1; nth <= CREATE_TRIES; nth++) {
        struct core c;
        struct plugin_instance *inst = NULL;
        struct diag d = {0};
        core_init(&c);
        memory_fail_at(nth, false);
        int rc = open_with(k, k->pairs, k->n_pairs, &c, &inst, &d);
        uint32_t calls = memory_calls();
        memory_fail_at(0, false);
        if (!rc)
            (void)instance_free(inst);
        if (calls < nth) /* it asked less often: every call has failed once */
            return CHECK_PASS;
        if (rc > 0)
            return check_fail(why, "memory call %u fails: create() answers %d, which is no CGW_E*",
                              nth, rc);
        uint32_t now = entries_of("/proc/self/fd");
        if (nth > 1 && now > fds)
            return check_fail(why, "memory call %u fails: create() leaves a descriptor open", nth);
        fds = now;
    }
    return CHECK_PASS;
}

/* One whole life with everything in it. */
static enum verdict journey(const struct checker *k, char *why)
{
    static const uint64_t some[] = {1, 2, 3, 8};
    static const struct cgw_ask ask = {.size = sizeof ask, .peer_id = "1"};
    struct core c;
    struct plugin_instance *inst = NULL;
    struct cgw_message odd[CHECK_ODD_MAX];
    struct cgw_check checks[CHECK_ODD_MAX];
    struct cgw_health h;
    struct diag d = {0};
    core_init(&c);
    if (open_with(k, k->pairs, k->n_pairs, &c, &inst, &d))
        return CHECK_PASS; /* create() may say no: its own clause judges how */
    if (instance_start(inst, &d)) {
        (void)instance_free(inst);
        return CHECK_PASS;
    }
    uint32_t n = check_odd_messages(odd, k->plugin->caps.channel, k->plugin->caps.address_kind);
    instance_check(inst, odd, n, checks);
    n = hand_over_some(k, inst, 1, JOURNEY_MESSAGES, JOURNEY_MS);
    instance_cancel(inst, some, ARRAY_LEN(some));
    (void)instance_query(inst, &ask, 1);
    (void)instance_recall(inst, &ask, 1);
    instance_health(inst, &h);
    (void)wait_for(&c, &c.n_results, n, JOURNEY_MS + 50);
    return close_settled(&c, inst, n, DRAIN_MS, why);
}

static enum verdict memory_in_run(const struct checker *k, char *why)
{
    char inner[CHECK_WHY_MAX];
    if (memory_hook(k->plugin) <= 0)
        return check_skip(why, "the plugin's file calls no allocator");
    memory_fail_at(0, false);
    enum verdict v = journey(k, why);
    uint32_t calls = memory_calls();
    for (uint32_t i = 0; i < RUN_POINTS * 2 && v == CHECK_PASS && calls; i++) {
        uint32_t nth = 1 + (uint32_t)((uint64_t)calls * (i / 2) / RUN_POINTS);
        memory_fail_at(nth, i & 1);
        v = journey(k, inner);
        if (v == CHECK_FAIL)
            return check_within(why, "memory call %u of a run fails%s: %.200s", nth,
                                i & 1 ? " and all behind it" : "", inner);
    }
    return v;
}

static enum verdict destroy_gives_back(const struct checker *k, char *why)
{
    size_t bytes[2] = {0, 0};
    uint32_t fds = 0, threads = 0;
    for (uint32_t i = 0; i < CYCLES; i++) {
        struct core c;
        struct plugin_instance *inst = NULL;
        if (i == CYCLES / 2)
            bytes[1] = HEAP_BYTES();
        if (i == 4) { /* the first ones fill caches */
            bytes[0] = HEAP_BYTES();
            fds = entries_of("/proc/self/fd");
            threads = entries_of("/proc/self/task");
        }
        if (open_started(k, &c, &inst, why))
            return CHECK_FAIL;
        uint32_t n = hand_over_some(k, inst, 1, 4, 5);
        enum verdict v = close_settled(&c, inst, n, DRAIN_MS, why);
        if (v != CHECK_PASS)
            return v;
    }
    if (entries_of("/proc/self/fd") > fds)
        return check_fail(why, "%u descriptors stay open after %u instances",
                          entries_of("/proc/self/fd") - fds, CYCLES - 4);
    for (int i = 0; i < 500 && entries_of("/proc/self/task") > threads; i++)
        nap_ms(10); /* the kernel takes a moment to forget a joined thread */
    if (entries_of("/proc/self/task") > threads)
        return check_fail(why, "threads of the plugin run on after destroy()");
    /* What is kept once for all (a cache that a busy machine fills late) is no leak; a leak grows
     * in both halves. */
    size_t now = HEAP_BYTES(), half = (CYCLES - CYCLES / 2) * CYCLE_LEAK;
    if (bytes[1] > bytes[0] + half && now > bytes[1] + half)
        return check_fail(why, "%zu bytes stay behind per instance",
                          (now - bytes[1]) / (CYCLES - CYCLES / 2));
    return CHECK_PASS;
}

/* ---- services that say no
 * ------------------------------------------------------------------------------- */

static enum verdict services_refuse(const struct checker *k, char *why)
{
    static const struct {
        _Atomic uint32_t *which;
        uint32_t times; /* a full queue empties again; other limits stay */
        const char *text;
    } no[] = {{&sabotage.refuse_timers, 1, "timer_new() answers NULL once"},
              {&sabotage.refuse_timers, UINT32_MAX, "timer_new() answers NULL"},
              {&sabotage.refuse_posts, 3, "post() answers CGW_EBUSY three times"},
              {&sabotage.refuse_watches, 1, "watch_fd() answers CGW_ELIMIT once"},
              {&sabotage.refuse_watches, UINT32_MAX, "watch_fd() answers CGW_ELIMIT"}};
    char inner[CHECK_WHY_MAX];
    sabotage_services(k);
    for (size_t i = 0; i < ARRAY_LEN(no); i++) {
        atomic_store(no[i].which, no[i].times);
        enum verdict v = journey(k, inner);
        atomic_store(no[i].which, 0);
        if (v != CHECK_PASS)
            return check_within(why, "%s: %.200s", no[i].text, inner);
    }
    return CHECK_PASS;
}

/* More than was ever told, as when credit is lowered while messages are on their way. */
static enum verdict credit_withdrawn(const struct checker *k, char *why)
{
    struct core c;
    struct plugin_instance *inst = NULL;
    sabotage_services(k);
    if (open_started(k, &c, &inst, why))
        return CHECK_FAIL;
    uint32_t n = hand_over_some(k, inst, 1, N_MESSAGES, 200);
    for (uint32_t i = 0; i < 40; i++) /* beyond the booked ones: only the window matters */
        (void)hand_over_some(k, inst, 1000 + i * 64ull, 64, 200);
    (void)wait_for(&c, &c.n_results, n + 40 * 64, 600);
    enum verdict v = close_settled(&c, inst, n, DRAIN_MS, why);
    if (v == CHECK_PASS && atomic_load(&sabotage.took_too_many))
        v = check_fail(why, "submit() answered more messages than it was offered");
    if (v == CHECK_PASS && atomic_load(&sabotage.untaken_settled))
        v = check_fail(why, "%u messages were completed though submit() did not take them",
                       atomic_load(&sabotage.untaken_settled));
    if (v == CHECK_PASS && atomic_load(&sabotage.odd_credit))
        v = check_fail(why, "credit() was told for a lane that is none");
    return v;
}

/* ---- a full gateway
 * ------------------------------------------------------------------------------------- */

static enum verdict ring_full(const struct checker *k, char *why)
{
    struct core c;
    struct plugin_instance *inst = NULL;
    if (open_started(k, &c, &inst, why))
        return CHECK_FAIL;
    c.refuse_offers = 3;
    c.take_half = true;
    uint32_t n = hand_over_some(k, inst, 1, N_MESSAGES, 300);
    (void)wait_for(&c, &c.n_results, n, 500);
    (void)wait_for(&c, &c.n_items, n, 500);
    enum verdict v = close_settled(&c, inst, n, DRAIN_MS, why);
    if (v == CHECK_PASS && c.n_repeated)
        v = check_fail(why, "%u receipts that the gateway had taken came again", c.n_repeated);
    if (v == CHECK_PASS && c.n_offers)
        return CHECK_PASS;
    return v == CHECK_PASS ? check_skip(why, "no receipt came without a peer") : v;
}

static enum verdict stored_late(const struct checker *k, char *why)
{
    struct core c;
    struct plugin_instance *inst = NULL;
    if (open_started(k, &c, &inst, why))
        return CHECK_FAIL;
    c.hold_acks = true;
    uint32_t n = hand_over_some(k, inst, 1, N_MESSAGES, 200);
    (void)wait_for(&c, &c.n_results, n, 400);
    if (c.n_held > 1) {
        core_store_held(&c, inst); /* in the opposite order */
        (void)pthread_mutex_lock(&c.lock);
        c.hold_acks = true; /* what comes now is never stored before the drain */
        (void)pthread_mutex_unlock(&c.lock);
    }
    (void)hand_over_some(k, inst, N_MESSAGES + 1, 20, 100);
    nap_ms(50);
    return close_settled(&c, inst, n, DRAIN_MS, why);
}

/* ---- clocks
 * --------------------------------------------------------------------------------------------- */

#define DAY_MS 86400000ll
#define CLOCK_MESSAGE_MS 3000 /* below every jump, and longer than a busy machine stands still */
static int results_with_clock(const struct checker *k, bool jump, struct core *c, char *why)
{
    static const int64_t jumps[] = {DAY_MS, -DAY_MS, 3650 * DAY_MS, -3650 * DAY_MS, 0};
    struct plugin_instance *inst = NULL;
    if (open_started(k, c, &inst, why))
        return -1;
    for (size_t i = 0; i < ARRAY_LEN(jumps); i++) {
        (void)hand_over_some(k, inst, 1 + i * 20, 20, CLOCK_MESSAGE_MS);
        atomic_store(&sabotage.utc_ms, jump ? jumps[i] : 0);
        nap_ms(20);
    }
    (void)wait_for(c, &c->n_results, 100, 1500);
    atomic_store(&sabotage.utc_ms, 0);
    return close_settled(c, inst, 100, DRAIN_MS, why) == CHECK_PASS ? 0 : -1;
}

static enum verdict clock_set(const struct checker *k, char *why)
{
    struct core calm, jumped;
    sabotage_services(k);
    if (results_with_clock(k, false, &calm, why) || results_with_clock(k, true, &jumped, why))
        return CHECK_FAIL;
    uint32_t before = calm.by_result[CGW_RES_NOT_SENT] + calm.by_result[CGW_RES_EXPIRED],
             after = jumped.by_result[CGW_RES_NOT_SENT] + jumped.by_result[CGW_RES_EXPIRED];
    if (!before && after)
        return check_late(why,
                          "%u of 100 messages ended unsent because the wall clock was set; "
                          "submit_before_mono_ms is of the monotonic clock",
                          after);
    return CHECK_PASS;
}

/* ---- recalls
 * -------------------------------------------------------------------------------------------- */

static void cancel_twice(void *ch, void *arg)
{
    static const uint64_t tokens[] = {1, 1, 2, 3, 1, 999999, 0};
    const struct checker *k = arg;
    k->plugin->channel.cancel(ch, tokens, ARRAY_LEN(tokens));
    k->plugin->channel.cancel(ch, tokens, ARRAY_LEN(tokens));
    k->plugin->channel.cancel(ch, tokens, 0);
}

static enum verdict cancel_any_time(const struct checker *k, char *why)
{
    static const int waits_ms[] = {0, 1, 20, 120};
    if (!k->plugin->channel.cancel)
        return check_skip(why, "no cancel()");
    for (size_t i = 0; i < ARRAY_LEN(waits_ms); i++) {
        struct core c;
        struct plugin_instance *inst = NULL;
        uint64_t all[JOURNEY_MESSAGES];
        if (open_started(k, &c, &inst, why))
            return CHECK_FAIL;
        uint32_t n = hand_over_some(k, inst, 1, JOURNEY_MESSAGES, 150);
        for (uint32_t t = 0; t < n; t++)
            all[t] = t + 1;
        nap_ms(waits_ms[i]);
        instance_cancel(inst, all, n);
        if (!sabotage_on_loop(inst, cancel_twice, (void *)(uintptr_t)k))
            return check_fail(why, "cancel() does not come back");
        (void)wait_for(&c, &c.n_results, n, 250);
        enum verdict v = close_settled(&c, inst, n, DRAIN_MS, why);
        if (v != CHECK_PASS)
            return v;
    }
    return CHECK_PASS;
}

/* ---- drains
 * --------------------------------------------------------------------------------------------- */

static enum verdict drain_any_time(const struct checker *k, char *why)
{
    static const struct {
        uint32_t n;
        int wait_ms, drain_ms;
        const char *when;
    } stages[] = {{0, 0, 0, "right after start"},
                  {JOURNEY_MESSAGES, 0, 0, "with messages still waiting"},
                  {JOURNEY_MESSAGES, 0, 300, "with messages still waiting, time left"},
                  {JOURNEY_MESSAGES, 5, 0, "with messages in flight, no time left"},
                  {JOURNEY_MESSAGES, 30, 300, "with messages in flight, time left"},
                  {JOURNEY_MESSAGES, 30, 120, "with messages in flight, little time left"},
                  {JOURNEY_MESSAGES, 250, 200, "after all was settled"},
                  {JOURNEY_MESSAGES, 5, -5000, "with a deadline that has passed"}};
    char inner[CHECK_WHY_MAX];
    for (size_t i = 0; i < ARRAY_LEN(stages); i++) {
        struct core c;
        struct plugin_instance *inst = NULL;
        if (open_started(k, &c, &inst, why))
            return CHECK_FAIL;
        uint32_t n = hand_over_some(k, inst, 1, stages[i].n, 5000);
        nap_ms(stages[i].wait_ms);
        if (close_settled(&c, inst, n, stages[i].drain_ms, inner) != CHECK_PASS)
            return check_within(why, "drained %s: %.200s", stages[i].when, inner);
    }
    return CHECK_PASS;
}

static enum verdict destroy_unstarted(const struct checker *k, char *why)
{
    struct core c;
    struct plugin_instance *inst = NULL;
    if (open_instance(k, &c, &inst, why))
        return CHECK_FAIL;
    struct instance_stats st;
    instance_stats(inst, &st);
    (void)instance_free(inst);
    if (c.n_results || c.n_items || st.unknown_tokens)
        return check_fail(why, "an instance that was never started speaks of messages");
    return CHECK_PASS;
}

/* Two of them with the same names for their messages: nothing may cross. */
static enum verdict instances_apart(const struct checker *k, char *why)
{
    struct core a, b;
    struct plugin_instance *one = NULL, *two = NULL;
    if (open_started(k, &a, &one, why) || open_started(k, &b, &two, why))
        return CHECK_FAIL;
    uint32_t n = hand_over_some(k, one, 1, 40, 150);
    (void)hand_over_some(k, two, 1, 20, 150);
    (void)wait_for(&a, &a.n_results, 40, 300);
    enum verdict v = close_settled(&a, one, n, DRAIN_MS, why);
    (void)hand_over_some(k, two, 21, 20, 150); /* the other is gone; this one must not notice */
    (void)wait_for(&b, &b.n_results, 40, 300);
    char inner[CHECK_WHY_MAX];
    if (close_settled(&b, two, 40, DRAIN_MS, inner) != CHECK_PASS && v == CHECK_PASS)
        v = check_within(why, "the second instance: %.200s", inner);
    return v;
}

#define CHANNEL_H "cgw/channel.h"
#define HOST_H "cgw/host.h"
const struct clause fault_clauses[] = {
    {"memory.create_survives", memory_in_create, "a call of malloc() that failed was not looked at",
     CHANNEL_H ": On failure fill diag, return CGW_E*, leave *ret."},
    {"memory.run_survives", memory_in_run, "a call of malloc() that failed was not looked at",
     CHANNEL_H ": Exactly one result per message taken by submit()."},
    {"destroy.gives_everything_back", destroy_gives_back, NULL,
     CHANNEL_H ": After drained(): free everything."},
    {"destroy.before_start", destroy_unstarted, NULL,
     CHANNEL_H ": Make one instance from its options. No network, no threads."},
    {"services.may_refuse", services_refuse, "a refused service was used all the same",
     HOST_H ": post: 0 or CGW_EBUSY when the bounded queue is full."},
    {"credit.withdrawn", credit_withdrawn, NULL, CHANNEL_H ": Take a prefix of msgs, never block."},
    {"receipts.taken_once", ring_full, NULL,
     HOST_H ": how many were taken (a prefix); the rest is the peer's to repeat."},
    {"stored.late_and_out_of_order", stored_late, NULL,
     HOST_H ": Taken ones come back through stored() when durable."},
    {"clock.may_be_set", clock_set, NULL,
     CHANNEL_H ": submit_before_mono_ms: not written to the peer by then: complete it NOT_SENT"},
    {"cancel.at_every_stage", cancel_any_time, NULL,
     CHANNEL_H
     ": Recall messages not yet written; each recalled one still gets its complete(NOT_SENT)."},
    {"drain.at_every_stage", drain_any_time, NULL,
     CHANNEL_H ": settle what is in flight until the deadline, then complete the rest UNKNOWN "
               "(written) or NOT_SENT, and call host->drained(inst)."},
    {"instances.stay_apart", instances_apart, NULL,
     CHANNEL_H ": every operation of an instance runs on that instance's loop thread"},
    {0},
};
