/* SPDX-License-Identifier: Apache-2.0 */
/* wire_outcome.c - outcome and planner → dispatch and channels: who hears of what became durable,
 * and who is asked. */
#include "wire_int.h"

static void on_settled(void *ctx, const struct outcome_contact *contacts, uint32_t n)
{
    struct daemon *d = ctx;
    dispatch_settled(d->dispatch, contacts, n);
}

static void on_stored(void *ctx, const char *instance, const uint64_t *acks, uint32_t n)
{
    struct daemon *d = ctx;
    struct plugin_instance *inst = registry_find(d->registry, instance);
    if (inst)
        instance_stored(inst, acks, n);
}

static bool route_name(void *ctx, int32_t route_id, char channel[16], char route[80])
{
    struct daemon *d = ctx;
    return dispatch_route_name(d->dispatch, route_id, channel, route);
}

static void on_wake(void *ctx)
{
    struct daemon *d = ctx;
    dispatch_poke(d->dispatch);
    if (d->planner)
        planner_wake(d->planner);
}

static void on_chunks(void *ctx, int32_t wave_id)
{
    struct daemon *d = ctx;
    dispatch_planned(d->dispatch, wave_id);
}

static int close_wave(void *ctx, struct db *db, int32_t wave_id, int64_t now_utc_ms,
                      int64_t *ret_closed, struct diag *diag)
{
    struct daemon *d = ctx;
    return outcome_close_wave(db, &d->outcome, wave_id, now_utc_ms, ret_closed, diag);
}

static uint32_t query(void *ctx, const char *instance, const struct cgw_ask *asks, uint32_t n)
{
    struct daemon *d = ctx;
    struct plugin_instance *inst = registry_find(d->registry, instance);
    return inst ? instance_query(inst, asks, n) : 0;
}

static int ask_wave(void *ctx, struct db *db, int32_t wave_id, struct diag *diag)
{
    struct daemon *d = ctx;
    return outcome_ask_wave(&d->asker, db, wave_id, diag);
}

static int recall(void *ctx, const char *instance, const struct cgw_ask *asks, uint32_t n)
{
    struct daemon *d = ctx;
    struct plugin_instance *inst = registry_find(d->registry, instance);
    return inst ? instance_recall(inst, asks, n) : CGW_ENOTFOUND;
}

static int recall_wave(void *ctx, struct db *db, int32_t wave_id, int64_t since_utc_ms,
                       bool drained, struct diag *diag)
{
    struct daemon *d = ctx;
    struct recall_wave w = {.wave_id = wave_id, .since_utc_ms = since_utc_ms, .drained = drained};
    return outcome_recall_wave(&d->recaller, db, &w, diag);
}

/* ---- channels that are pulled */
static const char *pulled(void *ctx, unsigned i, const char **ret_zone)
{
    struct daemon *d = ctx;
    struct plugin_instance *inst;
    unsigned found = 0;
    for (uint32_t k = 0; (inst = registry_at(d->registry, k)); k++) {
        if (!instance_plugin(inst)->caps.pulled || found++ != i)
            continue;
        const char *zone = conf_str(instance_conf(inst), CONF_ZONE);
        *ret_zone = zone && zone[0] ? zone : "UTC";
        return instance_name(inst);
    }
    return NULL;
}

static void tally(void *ctx, const char *instance, const struct cgw_tally *t)
{
    struct daemon *d = ctx;
    struct plugin_instance *inst = registry_find(d->registry, instance);
    if (inst)
        instance_tally(inst, t);
}

/* Every instance of the channel is pulled: then nothing left without its accept, whoever sent it.
 */
static bool certain(void *ctx, uint32_t channel)
{
    struct daemon *d = ctx;
    struct plugin_instance *inst;
    bool any = false;
    for (uint32_t k = 0; (inst = registry_at(d->registry, k)); k++) {
        if (instance_plugin(inst)->caps.channel != channel)
            continue;
        any = true;
        if (!instance_plugin(inst)->caps.pulled)
            return false;
    }
    return any;
}

void wire_outcome(struct daemon *d)
{
    const struct config *c = d->config;
    d->outcome =
        (struct outcome_config){.conninfo = c->conninfo,
                                .node = c->node,
                                .sign_key = c->sign_key,
                                .identity_key = c->identity_key,
                                .optout_conf = c->outcome_optout,
                                .receipt_grace_ms = (int64_t)c->outcome_receipt_grace_s * 1000,
                                .soft_bounces = c->outcome_soft_bounces,
                                .soft_bounce_days = c->outcome_soft_bounce_days,
                                .settled = on_settled,
                                .stored = on_stored,
                                .route_name = route_name,
                                .wake = on_wake,
                                .pulled = pulled,
                                .tally = tally,
                                .certain = certain,
                                .ctx = d};
    d->asker =
        (struct outcome_asker){.query = query, .ctx = d, .per_s = (uint32_t)c->outcome_query_per_s};
    d->recaller = (struct outcome_recaller){
        .recall = recall, .ctx = d, .per_s = (uint32_t)c->outcome_recall_per_s};
}

int wire_start_planner(struct daemon *d, struct diag *diag)
{
    struct planner_config pc = {.conninfo = d->config->conninfo,
                                .receipt_grace_ms = d->outcome.receipt_grace_ms,
                                .wake = on_chunks,
                                .close_wave = close_wave,
                                .ask_wave = ask_wave,
                                .recall_wave = recall_wave,
                                .sign_key = d->config->sign_key,
                                .ctx = d};
    return planner_start(&pc, &d->planner, diag);
}
