/* SPDX-License-Identifier: Apache-2.0 */
/* race_instance.c - one channel instance, several threads that submit, acknowledge, recall, ask and
 * look, and a drain at a random moment. Usage: race_instance CHANNEL_LOOPBACK.so. Promise: every
 * message that was taken gets exactly one result. Source document: plugin/host.h. */
#include "plugin/host.h"
#include "race.h"

#include <stdatomic.h>
#include <string.h>

#define ROUNDS 30u
#define SUBMITTERS 3u
#define TOKENS 60000u
#define ACKS 512u

static struct {
    struct plugin_instance *_Atomic inst;
    atomic_uchar results[TOKENS]; /* by token */
    atomic_uchar taken[TOKENS];
    atomic_uint n_results, next_token, n_requests, n_inbound;
    pthread_mutex_t lock;
    uint64_t acks[ACKS]; /* locked */
    uint32_t n_acks;
    atomic_bool stop;
} core = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void on_complete(void *ctx, struct plugin_instance *inst, const struct cgw_result *r,
                        uint32_t n)
{
    (void)ctx;
    (void)inst;
    for (uint32_t i = 0; i < n; i++)
        atomic_fetch_add(&core.results[r[i].token % TOKENS], 1);
    atomic_fetch_add(&core.n_results, n);
}

/* Refused now and then, and acknowledged from another thread. */
static uint32_t keep(const uint64_t *ack)
{
    (void)pthread_mutex_lock(&core.lock);
    bool room = core.n_acks < ACKS;
    if (room)
        core.acks[core.n_acks++] = *ack;
    (void)pthread_mutex_unlock(&core.lock);
    return room;
}

static uint32_t on_receipt(void *ctx, struct plugin_instance *inst, const struct cgw_receipt *r,
                           uint32_t n)
{
    uint32_t i = 0;
    (void)ctx;
    (void)inst;
    while (i < n && (!r[i].ack || keep(&r[i].ack)))
        i++;
    return i;
}

static uint32_t on_inbound(void *ctx, struct plugin_instance *inst, const struct cgw_inbound *m,
                           uint32_t n)
{
    uint32_t i = 0;
    (void)ctx;
    (void)inst;
    while (i < n && keep(&m[i].ack))
        i++;
    atomic_fetch_add(&core.n_inbound, i);
    return i;
}

static void on_credit(void *ctx, struct plugin_instance *inst)
{
    (void)ctx;
    (void)instance_credit(inst, CGW_LANE_BULK);
}

static void on_reply(void *ctx, struct plugin_instance *inst, uint64_t id, uint32_t status,
                     const char *type, const char *body, uint32_t len)
{
    (void)ctx, (void)inst, (void)id, (void)status, (void)type, (void)body, (void)len;
}

static void *submitter(void *arg)
{
    struct dice d = {(uint32_t)(uintptr_t)arg};
    struct cgw_part part = {
        .role = CGW_ROLE_TEXT, .len = 5, .mime = "text/plain; charset=utf-8", .body = "hello"};
    while (!atomic_load(&core.stop)) {
        uint32_t lane = dice(&d, 4) ? CGW_LANE_BULK : CGW_LANE_URGENT;
        uint32_t n = instance_reserve(core.inst, lane, dice(&d, 8) + 1);
        for (uint32_t i = 0; i < n; i++) {
            unsigned token = atomic_fetch_add(&core.next_token, 1u);
            struct cgw_message m = {.size = sizeof m,
                                    .lane = lane,
                                    .token = token,
                                    .channel = CGW_CHANNEL_SMS,
                                    .contact_class = CGW_CLASS_SERVICE,
                                    .to = {CGW_ADDR_E164, 12, "+99900000001"},
                                    .submit_before_mono_ms = clock_mono_ms() + dice(&d, 40),
                                    .want_receipt = 1,
                                    .n_parts = 1,
                                    .parts = &part};
            if (token < TOKENS && instance_submit_reserved(core.inst, &m, 1))
                atomic_fetch_add(&core.taken[token], 1);
            else
                instance_unreserve(core.inst, lane, 1);
        }
        if (atomic_load(&core.next_token) >= TOKENS)
            break;
        if (!n)
            (void)sched_yield();
    }
    return NULL;
}

static void *acknowledger(void *arg)
{
    uint64_t acks[ACKS];
    (void)arg;
    while (!atomic_load(&core.stop)) {
        (void)pthread_mutex_lock(&core.lock);
        uint32_t n = core.n_acks;
        memcpy(acks, core.acks, n * sizeof *acks);
        core.n_acks = 0;
        (void)pthread_mutex_unlock(&core.lock);
        if (n)
            instance_stored(core.inst, acks, n);
        (void)sched_yield();
    }
    return NULL;
}

/* Recalls recent messages, asks about ids, sends requests, reads all numbers. */
static void *meddler(void *arg)
{
    static const struct cgw_ask asks[] = {{.size = sizeof *asks, .peer_id = "1"},
                                          {.size = sizeof *asks, .peer_id = "2"}};
    struct dice d = {(uint32_t)(uintptr_t)arg};
    struct cgw_http_request req = {.size = sizeof req,
                                   .method = "POST",
                                   .path = "/inbound",
                                   .query = "",
                                   .body = "+99900000001 10690 hi",
                                   .body_len = 21};
    struct instance_stats st;
    struct cgw_health health;
    while (!atomic_load(&core.stop)) {
        uint64_t recent = atomic_load(&core.next_token),
                 token = recent - dice(&d, 20) % (recent + 1);
        instance_cancel(core.inst, &token, 1);
        (void)instance_query(core.inst, asks, 2);
        int route = instance_route(core.inst, "POST", "/inbound");
        req.id++;
        if (route >= 0)
            atomic_fetch_add(&core.n_requests,
                             instance_http(core.inst, (uint32_t)route, &req) == 0);
        instance_stats(core.inst, &st);
        if (!dice(&d, 16))
            instance_health(core.inst, &health);
        (void)instance_counter(core.inst, 0);
    }
    return NULL;
}

static struct plugin_instance *open_instance(const struct plugin *p)
{
    static const struct conf_pair pairs[] = {{"window", "60"},          {"delay_ms", "1"},
                                             {"receipt_ms", "2"},       {"refuse_per_mille", "20"},
                                             {"retry_per_mille", "30"}, {"unknown_per_mille", "10"},
                                             {"fail_per_mille", "40"}};
    const struct instance_sink sink = {NULL,       on_complete, on_receipt,
                                       on_inbound, on_credit,   on_reply};
    struct plugin_instance *inst = NULL;
    struct cgw_conf *conf = NULL;
    struct diag why = {0};
    if (conf_from_pairs(p, "race", pairs, ARRAY_LEN(pairs), NULL, &conf, &why) ||
        instance_new(p, "race", conf, &sink, &inst, &why)) {
        (void)printf("Bail out! %s\n", why.text);
        exit(1);
    }
    atomic_store(&core.inst, inst);
    if (instance_start(inst, &why)) {
        (void)printf("Bail out! %s\n", why.text);
        exit(1);
    }
    return inst;
}

static bool wait_results(unsigned want)
{
    int64_t until = clock_mono_ms() + 10000;
    /* when all tokens are given out nobody submits any more: then there is nothing to wait for */
    while (atomic_load(&core.n_results) < want && atomic_load(&core.next_token) < TOKENS &&
           clock_mono_ms() < until)
        (void)sched_yield();
    return atomic_load(&core.n_results) >= want;
}

/* One life of an instance; drained while everybody is at work. */
static void one_round(const struct plugin *p, struct dice *d, unsigned *ret_taken)
{
    pthread_t t[SUBMITTERS + 2];
    struct plugin_instance *inst = open_instance(p);
    unsigned before = atomic_load(&core.n_results);
    atomic_store(&core.stop, false);
    for (unsigned i = 0; i < SUBMITTERS; i++)
        t[i] = run(submitter, (void *)(uintptr_t)dice(d, 1u << 20));
    t[SUBMITTERS] = run(acknowledger, NULL);
    t[SUBMITTERS + 1] = run(meddler, (void *)(uintptr_t)dice(d, 1u << 20));
    (void)wait_results(before + 100 + dice(d, 2000));
    instance_drain(inst, clock_mono_ms() + dice(d, 300));
    (void)instance_drain_wait(inst);
    atomic_store(&core.stop, true);
    join(t, SUBMITTERS + 2);
    (void)instance_free(inst);
    *ret_taken = 0;
    for (unsigned i = 0; i < TOKENS; i++)
        *ret_taken += atomic_load(&core.taken[i]);
}

int main(int argc, char **argv)
{
    struct dice d = {20261127};
    struct plugin *p = NULL;
    struct diag why = {0};
    unsigned taken = 0, wrong = 0;
    if (argc != 2 || plugin_load(argv[1], &p, &why) != 0) {
        (void)printf("Bail out! usage: race_instance CHANNEL_LOOPBACK.so: %s\n", why.text);
        return 1;
    }
    for (unsigned r = 0; r < ROUNDS; r++)
        one_round(p, &d, &taken);
    for (unsigned i = 0; i < TOKENS; i++)
        wrong += atomic_load(&core.results[i]) != atomic_load(&core.taken[i]);
    ok(taken > ROUNDS * 100, "messages are taken in every round", taken);
    ok(wrong == 0, "each taken message gets exactly one result, drained or not", wrong);
    ok(atomic_load(&core.n_results) == taken, "as many results as messages",
       atomic_load(&core.n_results));
    ok(atomic_load(&core.n_inbound) > ROUNDS &&
           atomic_load(&core.n_inbound) <= atomic_load(&core.n_requests),
       "inbound messages came meanwhile, at most one of each request",
       atomic_load(&core.n_inbound));
    return race_end();
}
