/* SPDX-License-Identifier: Apache-2.0 */
/* plugin_check_core.c - see plugin_check_core.h. */
#include "plugin_check_core.h"

#include "base/clock.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

static void core_complete(void *ctx, struct plugin_instance *inst, const struct cgw_result *r,
                          uint32_t n)
{
    struct core *c = ctx;
    (void)inst;
    (void)pthread_mutex_lock(&c->lock);
    for (uint32_t i = 0; i < n; i++) {
        c->times[r[i].token <= N_MESSAGES ? r[i].token : 0]++;
        c->n_results++;
        c->by_result[r[i].result <= CGW_RES_ENROUTE ? r[i].result : 0]++;
        if (r[i].token <= N_MESSAGES)
            c->last[r[i].token] = (uint8_t)r[i].result;
        c->n_after += c->drained;
        if (r[i].result == CGW_RES_ACCEPTED && !r[i].n_ids && !c->bad[0])
            (void)snprintf(c->bad, sizeof c->bad, "ACCEPTED without a provider id");
        if (r[i].result != CGW_RES_NOT_SENT && r[i].code && !*r[i].code_space && !c->bad[0])
            (void)snprintf(c->bad, sizeof c->bad, "a code of %d without its code space",
                           (int)r[i].code);
    }
    (void)pthread_cond_broadcast(&c->changed);
    (void)pthread_mutex_unlock(&c->lock);
}

/* How many of n the gateway takes now. Locked. */
static uint32_t take_now(struct core *c, uint32_t n)
{
    c->n_offers++;
    if (c->refuse_offers) {
        c->refuse_offers--;
        return 0;
    }
    return c->take_half && n > 1 ? n / 2 : n;
}

static void hold_or_store(struct core *c, struct plugin_instance *inst, uint64_t ack)
{
    if (!ack)
        return;
    (void)pthread_mutex_lock(&c->lock);
    bool hold = c->hold_acks && c->n_held < CORE_HELD_MAX;
    if (hold)
        c->held[c->n_held++] = ack;
    (void)pthread_mutex_unlock(&c->lock);
    if (!hold)
        instance_stored(inst, &ack, 1);
}

static uint32_t note_items(struct core *c, uint32_t n)
{
    (void)pthread_mutex_lock(&c->lock);
    uint32_t taken = take_now(c, n);
    c->n_items += taken;
    c->n_items_after += c->drained ? taken : 0;
    (void)pthread_cond_broadcast(&c->changed);
    (void)pthread_mutex_unlock(&c->lock);
    return taken;
}

/* The same final receipt twice means that a taken one was repeated. Locked. */
static void note_receipt(struct core *c, const struct cgw_receipt *r)
{
    if (r->result == CGW_RES_ENROUTE || r->result == CGW_RES_NOT_RECALLED || !*r->provider_id)
        return;
    uint64_t h = 14695981039346656037u; /* FNV-1a */
    for (const char *s = r->provider_id; *s; s++)
        h = (h ^ (unsigned char)*s) * 1099511628211u;
    for (uint32_t i = 0; i < c->n_seen; i++)
        c->n_repeated += c->seen[i] == h;
    if (c->n_seen < CORE_HELD_MAX)
        c->seen[c->n_seen++] = h;
}

static uint32_t core_receipt(void *ctx, struct plugin_instance *inst,
                             const struct cgw_receipt *items, uint32_t n)
{
    struct core *c = ctx;
    uint32_t taken = note_items(c, n);
    (void)pthread_mutex_lock(&c->lock);
    for (uint32_t i = 0; i < taken; i++)
        note_receipt(c, &items[i]);
    (void)pthread_mutex_unlock(&c->lock);
    for (uint32_t i = 0; i < taken; i++)
        hold_or_store(c, inst, items[i].ack);
    return taken;
}

static uint32_t core_inbound(void *ctx, struct plugin_instance *inst,
                             const struct cgw_inbound *items, uint32_t n)
{
    uint32_t taken = note_items(ctx, n);
    for (uint32_t i = 0; i < taken; i++)
        hold_or_store(ctx, inst, items[i].ack);
    return taken;
}

/* In the opposite order: a database may well finish the younger transaction first. */
void core_store_held(struct core *c, struct plugin_instance *inst)
{
    uint64_t acks[CORE_HELD_MAX];
    (void)pthread_mutex_lock(&c->lock);
    uint32_t n = c->n_held;
    for (uint32_t i = 0; i < n; i++)
        acks[i] = c->held[n - 1 - i];
    c->n_held = 0;
    c->hold_acks = false;
    (void)pthread_mutex_unlock(&c->lock);
    instance_stored(inst, acks, n);
}

static void core_reply(void *ctx, struct plugin_instance *inst, uint64_t id, uint32_t status,
                       const char *type, const char *body, uint32_t len)
{
    struct core *c = ctx;
    (void)inst;
    (void)id;
    (void)status;
    (void)type;
    (void)body;
    (void)len;
    (void)pthread_mutex_lock(&c->lock);
    c->n_replies++;
    (void)pthread_cond_broadcast(&c->changed);
    (void)pthread_mutex_unlock(&c->lock);
}

void core_init(struct core *c)
{
    pthread_condattr_t attr;
    *c = (struct core){.n_results = 0};
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&c->changed, &attr);
    (void)pthread_condattr_destroy(&attr);
    (void)pthread_mutex_init(&c->lock, NULL);
}

/* Until *figure reaches `want` or ms have passed. */
uint32_t figure_now(struct core *c, const uint32_t *figure)
{
    (void)pthread_mutex_lock(&c->lock);
    uint32_t n = *figure;
    (void)pthread_mutex_unlock(&c->lock);
    return n;
}

bool wait_for(struct core *c, const uint32_t *figure, uint32_t want, int64_t ms)
{
    int64_t until = clock_mono_ms() + ms;
    struct timespec ts = {.tv_sec = until / 1000, .tv_nsec = (until % 1000) * 1000000};
    int rc = 0;
    (void)pthread_mutex_lock(&c->lock);
    while (*figure < want && !rc)
        rc = pthread_cond_timedwait(&c->changed, &c->lock, &ts);
    bool reached = *figure >= want;
    (void)pthread_mutex_unlock(&c->lock);
    return reached;
}

int open_with(const struct checker *k, const struct conf_pair *pairs, size_t n, struct core *c,
              struct plugin_instance **ret, struct diag *d)
{
    struct instance_sink sink = {c, core_complete, core_receipt, core_inbound, NULL, core_reply};
    struct cgw_conf *conf = NULL;
    int rc = conf_from_pairs(k->plugin, "check", pairs, n, k->cred_dir, &conf, d);
    return rc ? rc : instance_new(k->plugin, "check", conf, &sink, ret, d);
}

int open_instance(const struct checker *k, struct core *c, struct plugin_instance **ret, char *why)
{
    struct diag d = {0};
    core_init(c);
    int rc = open_with(k, k->pairs, k->n_pairs, c, ret, &d);
    if (rc)
        (void)check_fail(why, "create: %s", d.text);
    return rc;
}

int open_started(const struct checker *k, struct core *c, struct plugin_instance **ret, char *why)
{
    struct diag d = {0};
    int rc = open_instance(k, c, ret, why);
    if (rc || !(rc = instance_start(*ret, &d)))
        return rc;
    (void)check_fail(why, "start: %s", d.text);
    (void)instance_free(*ret);
    return rc;
}

uint32_t hand_over_some(const struct checker *k, struct plugin_instance *inst, uint64_t first,
                        uint32_t n, int64_t before_ms)
{
    uint32_t taken = 0;
    for (uint64_t token = first; token < first + n; token++) {
        struct cgw_part part;
        struct cgw_message m;
        check_plain_message(&m, &part, &k->plugin->caps, token,
                            token % 8 ? CGW_LANE_BULK : CGW_LANE_URGENT,
                            clock_mono_ms() + before_ms);
        taken += instance_submit(inst, &m, 1);
    }
    return taken;
}

static enum verdict judge_settled(const struct core *c, const struct instance_stats *st, uint32_t n,
                                  char *why)
{
    for (uint32_t i = 1; i <= n; i++)
        if (c->times[i] != 1)
            return check_fail(why, "message %u got %u results instead of one", i, c->times[i]);
    if (st->double_completions || st->unknown_tokens)
        return check_fail(why, "%llu messages were completed twice, %llu names were unknown",
                          (unsigned long long)st->double_completions,
                          (unsigned long long)st->unknown_tokens);
    if (st->unknown_by_host)
        return check_late(why, "%llu messages were never completed",
                          (unsigned long long)st->unknown_by_host);
    if (st->bad_results)
        return check_fail(why, "%llu results break a limit or form",
                          (unsigned long long)st->bad_results);
    return CHECK_PASS;
}

enum verdict close_settled(struct core *c, struct plugin_instance *inst, uint32_t n,
                           int64_t drain_ms, char *why)
{
    struct instance_stats st;
    instance_drain(inst, clock_mono_ms() + drain_ms);
    int rc = instance_drain_wait(inst);
    instance_stats(inst, &st);
    (void)instance_free(inst);
    enum verdict v = judge_settled(c, &st, n, why);
    if (v == CHECK_PASS && rc)
        v = check_late(why, "drained() did not come by its deadline of %d ms", (int)drain_ms);
    return v;
}
