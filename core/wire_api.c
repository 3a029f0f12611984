/* SPDX-License-Identifier: Apache-2.0 */
/* wire_api.c - api → the rest: what the HTTP API asks of the other modules. */
#include "wire_int.h"

#include "address/address.h"
#include "api/handlers/campaigns.h"
#include "api/handlers/media.h"
#include "api/handlers/people.h"
#include "base/word.h"
#include "content/check.h"
#include "dispatch/services.h"
#include "plugin/isolate.h"
#include "store/store_schema.h"
#include "store/store_trouble.h"

#include <stdio.h>
#include <string.h>

static void api_wake(void *ctx, unsigned what)
{
    struct daemon *d = ctx;
    if (what & (API_WAKE_DISPATCH | API_WAKE_RULES))
        dispatch_wake(d->dispatch);
    if (d->planner && (what & API_WAKE_PLANNER))
        planner_wake(d->planner);
    if (what & API_WAKE_TASKS)
        outcome_poke(d->writer);
}

static unsigned not_ready(void *ctx, struct buf *ret)
{
    struct daemon *d = ctx;
    unsigned n = 0;
    const char *trouble = store_trouble();
    if (trouble)
        buf_printf(ret, "%s\"%s\"", n++ ? "," : "", trouble);
    if (dispatch_parts(d->dispatch) == 0)
        buf_printf(ret, "%s\"this node holds no part\"", n++ ? "," : "");
    return n;
}

struct option_ctx {
    struct buf *out;
    bool first;
};

static void one_option(void *arg, const struct cgw_option *opt, const char *shown,
                       bool from_default)
{
    struct option_ctx *c = arg;
    buf_puts(c->out, c->first ? "" : ",");
    c->first = false;
    buf_puts(c->out, "{\"key\":");
    buf_put_json(c->out, opt->key, strlen(opt->key));
    buf_puts(c->out, ",\"value\":");
    buf_put_json(c->out, shown, strlen(shown));
    buf_printf(c->out, ",\"default\":%s,\"help\":", from_default ? "true" : "false");
    buf_put_json(c->out, opt->help ? opt->help : "", opt->help ? strlen(opt->help) : 0);
    buf_putc(c->out, '}');
}

static void put_text(struct buf *out, const char *name, const char *value)
{
    buf_printf(out, ",\"%s\":", name);
    buf_put_json(out, value ? value : "", value ? strlen(value) : 0);
}

static void put_isolation(const struct plugin_instance *inst, struct buf *out)
{
    struct isolate_status st;
    isolate_status(inst, &st);
    put_text(out, "isolation", st.isolated ? "process" : "none");
    if (!st.isolated)
        return;
    buf_printf(out, ",\"process\":{\"pid\":%d,\"restarts\":%u,\"landlock\":%d", st.pid, st.restarts,
               st.landlock);
    put_text(out, "version", st.version);
    put_text(out, "last_end", st.last_end);
    buf_putc(out, '}');
}

static void one_instance(struct daemon *d, struct plugin_instance *inst, bool options,
                         struct buf *out)
{
    struct instance_stats s;
    struct cgw_health h = {.size = sizeof h};
    const struct plugin *p = instance_plugin(inst);
    instance_stats(inst, &s);
    instance_health(inst, &h);
    buf_puts(out, "{\"name\":");
    buf_put_json(out, instance_name(inst), strlen(instance_name(inst)));
    put_text(out, "plugin", p->desc.name);
    put_text(out, "channel", channel_word(p->caps.channel));
    put_text(out, "state", instance_state_name(s.state));
    put_text(out, "where", registry_where(d->registry, inst));
    buf_printf(out, ",\"up\":%s,\"links_up\":%u,\"links\":%u,\"window_used\":%u,\"window\":%u",
               h.up ? "true" : "false", h.links_up, h.links, h.window_used, h.window);
    put_text(out, "health", h.text);
    buf_printf(out,
               ",\"waiting\":%u,\"in_flight\":%u,\"submitted\":%llu,\"receipts\":%llu,\"inbound\":%"
               "llu,\"not_sent_by_host\":%llu,\"slow_operations\":%llu",
               s.waiting[0] + s.waiting[1], s.taken, (unsigned long long)s.submitted,
               (unsigned long long)s.receipts, (unsigned long long)s.inbound,
               (unsigned long long)s.not_sent_by_host, (unsigned long long)s.slow_ops);
    put_text(out, "last_error", s.last_error);
    put_isolation(inst, out);
    if (options) {
        buf_puts(out, ",\"options\":[");
        struct option_ctx c = {out, true};
        conf_foreach(instance_conf(inst), one_option, &c);
        buf_puts(out, "],\"counters\":{");
        for (uint32_t i = 0; i < p->n_counters; i++)
            buf_printf(out, "%s\"%s\":%llu", i ? "," : "", p->desc.counters[i].name,
                       (unsigned long long)instance_counter(inst, i));
        buf_puts(out, "}");
    }
    buf_putc(out, '}');
}

static int channels(void *ctx, struct buf *ret, struct diag *diag)
{
    struct daemon *d = ctx;
    struct plugin_instance *inst;
    (void)diag;
    for (uint32_t i = 0; (inst = registry_at(d->registry, i)); i++) {
        buf_puts(ret, i ? "," : "");
        one_instance(d, inst, false, ret);
    }
    return 0;
}

static void one_plugin(struct daemon *d, const struct plugin *p, struct buf *out)
{
    struct plugin_instance *inst;
    bool first = true;
    buf_puts(out, "{\"name\":");
    buf_put_json(out, p->desc.name, strlen(p->desc.name));
    put_text(out, "version", p->desc.version);
    put_text(out, "vendor", p->desc.vendor);
    put_text(out, "kind", plugin_is_channel(p) ? "channel" : "campaign");
    buf_printf(out, ",\"abi\":\"%u.%u\",\"instances\":[", p->desc.abi.abi_major,
               p->desc.abi.abi_minor);
    for (uint32_t i = 0; (inst = registry_at(d->registry, i)); i++) {
        if (instance_plugin(inst) != p)
            continue;
        buf_puts(out, first ? "" : ",");
        one_instance(d, inst, true, out);
        first = false;
    }
    buf_puts(out, "]}");
}

static int plugins(void *ctx, const char *name, struct buf *ret, struct diag *diag)
{
    struct daemon *d = ctx;
    struct plugin *p;
    bool any = false;
    for (uint32_t i = 0; (p = plugin_at(i)); i++) {
        if (name && strcmp(name, p->desc.name) != 0)
            continue;
        buf_puts(ret, any ? "," : "");
        one_plugin(d, p, ret);
        any = true;
    }
    return any || !name ? 0 : diag_set(diag, CGW_ENOTFOUND, "", "plugin %s is not loaded", name);
}

static int channel_restart(void *ctx, const char *instance, struct diag *diag)
{
    struct daemon *d = ctx;
    struct plugin_instance *inst = registry_find(d->registry, instance);
    return inst ? isolate_restart(inst, diag) : CGW_ENOTFOUND;
}

static int instance_channel(void *ctx, const char *instance)
{
    struct daemon *d = ctx;
    struct plugin_instance *inst = registry_find(d->registry, instance);
    return inst ? (int)instance_plugin(inst)->caps.channel : CGW_ENOTFOUND;
}

static int identity(void *ctx, const char *normalised, int32_t *ret_part, int64_t *ret_customer_id)
{
    struct daemon *d = ctx;
    *ret_customer_id = customer_key(d->config->identity_key, normalised, strlen(normalised));
    *ret_part = (int32_t)customer_part(*ret_customer_id);
    return 0;
}

static int check_content(void *ctx, const char *plugin, uint32_t channel, const char *content_json,
                         size_t content_len, const char *const *fields, uint32_t n_fields,
                         const char *const *instances, uint32_t n_instances,
                         const struct render_media *media, uint32_t n_media,
                         struct api_content *ret, struct diag *diag)
{
    struct daemon *d = ctx;
    struct content_found found = {0};
    int rc = content_check(d->registry, plugin, channel, content_json, content_len, fields,
                           n_fields, instances, n_instances, media, n_media, &found, diag);
    *ret = (struct api_content){.segments_max = found.segments};
    (void)snprintf(ret->encoding, sizeof ret->encoding, "%s", found.encoding);
    (void)snprintf(ret->text, sizeof ret->text, "%s", found.text);
    return rc;
}

static int check_keyword(void *ctx, const char *word, size_t len, struct diag *diag)
{
    struct daemon *d = ctx;
    return content_check_keyword(d->words, word, len, diag);
}

static int decide(void *ctx, struct db *db, const struct api_decide *ask, struct buf *ret,
                  struct diag *diag)
{
    struct daemon *d = ctx;
    struct decide_ask a = {.part = ask->part,
                           .partner_id = ask->partner_id,
                           .customer_id = ask->customer_id,
                           .address = ask->address,
                           .channel = ask->channel,
                           .contact_class = ask->contact_class,
                           .purpose = ask->purpose,
                           .at_utc_ms = ask->at_utc_ms};
    return dispatch_decide(d->rules, db, &a, ret, diag);
}

static int windows(void *ctx, struct db *db, const char *calendar_id, const char *region,
                   int64_t from_utc_ms, int64_t to_utc_ms, struct buf *ret, struct diag *diag)
{
    (void)ctx;
    return dispatch_windows(db, calendar_id, region, from_utc_ms, to_utc_ms, ret, diag);
}

static bool queue_numbers(void *ctx, int32_t route_id, int lane, struct api_queue_numbers *ret)
{
    struct daemon *d = ctx;
    char instance[48];
    struct plugin_instance *inst = dispatch_route_instance(d->dispatch, route_id, instance)
                                       ? registry_find(d->registry, instance)
                                       : NULL;
    if (!inst)
        return false;
    struct instance_stats s;
    instance_stats(inst, &s);
    *ret = (struct api_queue_numbers){.waiting = s.waiting[lane],
                                      .in_flight = s.taken,
                                      .credit = instance_credit(inst, (uint32_t)lane)};
    return true;
}

static int schema_check(void *ctx, struct db *db, struct diag *diag)
{
    (void)ctx;
    return store_schema_check(db, diag);
}

int wire_start_api(struct daemon *d, struct diag *diag)
{
    const struct config *c = d->config;
    struct api_config conf = {.listen_address = c->api_listen[0] ? c->api_listen : NULL,
                              .port = (uint16_t)c->api_port,
                              .socket_path = c->api_socket[0] ? c->api_socket : NULL,
                              .admin_group = c->api_admin_group,
                              .conninfo = c->conninfo,
                              .spool_dir = c->api_spool_dir,
                              .spool_max_bytes = (uint64_t)c->api_spool_max_mb << 20,
                              .workers = (unsigned)c->api_workers,
                              .queue_max = (unsigned)c->api_queue,
                              .connections_max = (unsigned)c->api_connections,
                              .timeout_s = (unsigned)c->api_timeout_s,
                              .rate_per_min = (unsigned)c->api_rate_per_min,
                              .version = PACKAGE_VERSION,
                              .node = c->node,
                              .sandbox = d->sandbox};
    struct api_services s = {.ctx = d,
                             .wake = api_wake,
                             .not_ready = not_ready,
                             .plugins = plugins,
                             .channels = channels,
                             .channel_restart = channel_restart,
                             .instance_channel = instance_channel,
                             .identity = identity,
                             .check_content = check_content,
                             .decide = decide,
                             .windows = windows,
                             .queue_numbers = queue_numbers,
                             .schema_check = schema_check,
                             .refresh_metrics = wire_metrics_refresh};
    wire_metrics_register();
    campaigns_keyword_check(check_keyword, d);
    people_setup(c->api_spool_dir, conf.spool_max_bytes);
    media_setup((int64_t)c->media_max_mb << 20);
    return api_start(&conf, &s, &d->api, diag);
}
