/* SPDX-License-Identifier: Apache-2.0 */
/* wire.c - connects the modules: sinks, services, wake-ups. No rule of its own. */
#include "wire.h"

#include "address/address.h"
#include "api/handlers/campaigns.h"
#include "api/handlers/media.h"
#include "api/handlers/people.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/word.h"
#include "content/check.h"
#include "store/store_trouble.h"
#include "content/render.h"
#include "dispatch/services.h"
#include "media/media.h"
#include "store/store_route.h"
#include "plugin/isolate.h"
#include "store/store_schema.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- outcome → dispatch, channels
 * ----------------------------------------------------------------------------------- */
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

/* ---- channels that are pulled
 * ------------------------------------------------------------------------------------- */
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

/* Days are cut by the database; a name that it does not know would stop every accept. */
static int check_zones(struct registry *r, struct diag *diag)
{
    struct plugin_instance *inst;
    for (uint32_t k = 0; (inst = registry_at(r, k)); k++) {
        const char *zone =
            instance_plugin(inst)->caps.pulled ? conf_str(instance_conf(inst), CONF_ZONE) : NULL;
        if (zone && zone[0] && !address_zone_known(zone))
            return diag_set(diag, CGW_EINVAL, "",
                            "instance %s: option zone: %.40s is not an IANA time zone, such as "
                            "Asia/Shanghai",
                            instance_name(inst), zone);
    }
    return 0;
}

/* ---- api → the rest
 * ------------------------------------------------------------------------------------------------------
 */
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

/* Gauges are read when somebody looks. Labels: instances, a configuration-sized set. */
static const struct metric_family wire_families[] = {
    {"campgw_build_info", METRIC_GAUGE, "Version of this program; always 1.", "version"},
    {"campgw_channel_up", METRIC_GAUGE,
     "1 when the channel says of itself that it can take messages; asked every second.",
     "channel_instance"},
    {"campgw_channel_in_flight", METRIC_GAUGE, "Messages taken by the instance, without a result.",
     "channel_instance"},
    {"campgw_channel_waiting", METRIC_GAUGE, "Messages handed over, not yet taken by the instance.",
     "channel_instance"},
    {"campgw_channel_credit", METRIC_GAUGE, "Bulk messages the instance would take now.",
     "channel_instance"},
    {"campgw_inflight_messages", METRIC_GAUGE,
     "Messages of this node whose result is not yet durable.", ""},
    {"campgw_parts_held", METRIC_GAUGE, "Parts (of 64) leased by this node.", ""},
    {"campgw_last_dispatch_timestamp_seconds", METRIC_GAUGE,
     "When this node last handed a message to a channel; 0 = never.", ""},
    {NULL, METRIC_GAUGE, NULL, NULL}};

static void gauge(const char *name, const char *label, double v)
{
    const char *const values[] = {label};
    metric_set(metric_get(name, values, label ? 1 : 0), v);
}

/* health() runs on the instance's loop and may take its time: asked by the main thread, not by who
 * reads /metrics. */
void daemon_look(struct daemon *d)
{
    struct plugin_instance *inst;
    for (uint32_t i = 0; d->registry && (inst = registry_at(d->registry, i)); i++) {
        struct cgw_health h = {.size = sizeof h};
        instance_health(inst, &h);
        gauge("campgw_channel_up", instance_name(inst), h.up);
    }
}

static void refresh_metrics(void *ctx)
{
    struct daemon *d = ctx;
    struct plugin_instance *inst;
    for (uint32_t i = 0; (inst = registry_at(d->registry, i)); i++) {
        struct instance_stats s;
        instance_stats(inst, &s);
        const char *name = instance_name(inst);
        gauge("campgw_channel_in_flight", name, s.taken);
        gauge("campgw_channel_waiting", name, s.waiting[0] + s.waiting[1]);
        gauge("campgw_channel_credit", name, instance_credit(inst, CGW_LANE_BULK));
    }
    gauge("campgw_build_info", PACKAGE_VERSION, 1);
    gauge("campgw_inflight_messages", NULL, dispatch_inflight(d->dispatch));
    gauge("campgw_parts_held", NULL, dispatch_parts(d->dispatch));
    gauge("campgw_last_dispatch_timestamp_seconds", NULL,
          (double)dispatch_last_submit_utc_ms(d->dispatch) / 1000.0);
}

/* Plugins' calls carry no context of ours: the listener and the media are found here. */
static struct daemon *the_daemon;

/* ---- plugins → the core
 * ------------------------------------------------------------------------------------------------------
 */
static int host_normalise(uint32_t kind, const char *text, const char *default_region, char *out,
                          size_t out_size)
{
    struct address a;
    if (address_normalise(text, strlen(text), kind, default_region, &a, NULL) < 0 ||
        strlen(a.text) >= out_size)
        return CGW_EINVAL;
    (void)snprintf(out, out_size, "%s", a.text);
    return 0;
}

static int64_t host_media_size(uint64_t media)
{
    return media_cache_size(the_daemon->media, media);
}

static int64_t host_media_read(uint64_t media, int64_t offset, void *out, size_t n)
{
    return media_cache_read(the_daemon->media, media, offset, out, n);
}

static int callback_find(void *ctx, const char *instance, const char *method, const char *path,
                         struct callback_route *ret)
{
    struct daemon *d = ctx;
    struct plugin_instance *inst = registry_find(d->registry, instance);
    if (!inst)
        return CALLBACK_NO_PATH;
    int route = instance_route(inst, method, path);
    if (route < 0)
        return route;
    const struct cgw_http_route *r = &instance_plugin(inst)->desc.routes[route];
    *ret =
        (struct callback_route){.method = r->method,
                                .path = r->path,
                                .auth = r->auth,
                                .max_body = r->max_body,
                                .user = conf_str(instance_conf(inst), CONF_CALLBACK_USER),
                                .password = conf_str(instance_conf(inst), CONF_CALLBACK_PASSWORD),
                                .allow = instance_user(inst)};
    return route;
}

static int callback_deliver(void *ctx, const char *instance, int route,
                            const struct cgw_http_request *req)
{
    struct daemon *d = ctx;
    struct plugin_instance *inst = registry_find(d->registry, instance);
    return inst ? instance_http(inst, (uint32_t)route, req) : CGW_ENOTFOUND;
}

static void on_reply(void *ctx, struct plugin_instance *inst, uint64_t request_id, uint32_t status,
                     const char *content_type, const char *body, uint32_t len)
{
    (void)ctx;
    (void)inst;
    if (the_daemon && the_daemon->callback)
        callback_reply(the_daemon->callback, request_id, status, content_type, body, len);
}

/* ---- start and stop
 * ---------------------------------------------------------------------------------------------------------------
 */
static int check_database(const struct config *c, struct diag *diag)
{
    struct db *db = NULL;
    unsigned char check[ADDRESS_KEY_CHECK_BYTES];
    db_set_node(c->node);
    int rc = db_open(c->conninfo, "start", &db, diag);
    if (rc < 0)
        return rc;
    address_key_check(c->identity_key, check);
    rc = store_schema_check(db, diag);
    if (rc == 0)
        rc = store_role_check(db, diag);
    if (rc == 0)
        rc = store_identity_check(db, check, c->sign_key, diag);
    int64_t now = 0;
    if (rc == 0)
        rc = store_now(db, &now, diag);
    int64_t skew = now - (clock_utc_ms() - clock_shift_get());
    if (rc == 0 && (skew > 60000 || skew < -60000))
        rc = diag_set(
            diag, CGW_EDENIED, "",
            "this machine's clock is %lld s away from the database's: set it right (limit 60 s)",
            (long long)(skew / 1000));
    if (rc == 0)
        clock_set_utc(now);
    db_close(db);
    return rc;
}

/* The callback listener wants its allow list as an array that lives as long as the instance. */
static int keep_allow_lists(struct registry *r, struct diag *diag)
{
    struct plugin_instance *inst;
    for (uint32_t i = 0; (inst = registry_at(r, i)); i++) {
        const struct cgw_conf *conf = instance_conf(inst);
        uint32_t n = conf_count(conf, CONF_CALLBACK_ALLOW);
        const char **list = n ? calloc(n + 1u, sizeof *list) : NULL;
        if (n && !list)
            return diag_set(diag, -ENOMEM, "", "out of memory");
        for (uint32_t k = 0; k < n; k++)
            list[k] = conf_item(conf, CONF_CALLBACK_ALLOW, k);
        instance_set_user(inst, list);
    }
    return 0;
}

static void free_allow_lists(struct registry *r)
{
    struct plugin_instance *inst;
    for (uint32_t i = 0; r && (inst = registry_at(r, i)); i++) {
        free(instance_user(inst));
        instance_set_user(inst, NULL);
    }
}

/* A sandbox must not serve the routes of a real installation: their campaigns would end in a
 * simulator. */
static int check_sandbox_routes(struct daemon *d, struct diag *diag)
{
    struct db *db = NULL;
    struct store_instance_use use;
    int rc = db_open(d->config->conninfo, "sandbox", &db, diag);
    for (const char *after = ""; rc == 0; after = use.instance) {
        rc = store_route_instance(db, after, &use, diag);
        if (rc == 0 && !registry_find(d->registry, use.instance))
            rc = diag_set(
                diag, CGW_EDENIED, "",
                "route %s of this database goes through instance %s, which is no simulator "
                "of this sandbox; give the sandbox a database of its own",
                use.route, use.instance);
    }
    db_close(db);
    return rc == CGW_ENOTFOUND ? 0 : rc;
}

static int start_plugins(struct daemon *d, struct diag *diag)
{
    static const struct host_services services = {.address_normalise = host_normalise,
                                                  .media_size = host_media_size,
                                                  .media_read = host_media_read};
    host_set_services(&services);
    host_metrics_register();
    isolate_metrics_register();
    struct registry_opts opts = {.sink = dispatch_sink(d->dispatch),
                                 .campaign_host = render_campaign_host(),
                                 .plugin_dir = CGW_PKGLIBDIR,
                                 .credentials = d->config->credentials,
                                 .sandbox = d->sandbox};
    opts.sink.reply = on_reply;
    int rc = registry_new(&opts, &d->registry, diag);
    if (rc == 0)
        rc = registry_load_config(d->registry, &d->config->file, diag);
    if (rc == 0)
        rc = check_zones(d->registry, diag);
    if (rc == 0 && d->sandbox)
        rc = check_sandbox_routes(d, diag);
    return rc < 0 ? rc : keep_allow_lists(d->registry, diag);
}

/* A PEM file of the credentials; NULL when none is named or it cannot be read (diag says why). */
static char *read_pem(const struct config *c, const char *name, int *rc, struct diag *diag)
{
    char *text = *name && *rc == 0 ? calloc(1, CONF_SECRET_MAX) : NULL;
    if (text && (*rc = config_credential(c, name, text, CONF_SECRET_MAX, diag)) < 0) {
        free(text);
        text = NULL;
    }
    return text;
}

static int start_callback(struct daemon *d, struct diag *diag)
{
    const struct config *c = d->config;
    int rc = 0;
    char *cert = read_pem(c, c->callback_tls_cert, &rc, diag);
    char *key = read_pem(c, c->callback_tls_key, &rc, diag);
    struct callback_config cb = {.listen_address = c->callback_listen,
                                 .port = (uint16_t)c->callback_port,
                                 .deadline_ms = (unsigned)c->callback_answer_ms,
                                 .connections_max = (unsigned)c->callback_connections,
                                 .per_ip_max = (unsigned)c->callback_per_address,
                                 .timeout_s = (unsigned)c->callback_timeout_s,
                                 .tls_cert = cert,
                                 .tls_key = key};
    struct callback_services cs = {.ctx = d, .find = callback_find, .deliver = callback_deliver};
    if (rc == 0)
        rc = callback_start(&cb, &cs, &d->callback, diag);
    if (key)
        sodium_memzero(key, CONF_SECRET_MAX);
    free(key);
    free(cert);
    return rc;
}

static int start_api(struct daemon *d, struct diag *diag)
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
                             .refresh_metrics = refresh_metrics};
    metrics_register(wire_families);
    campaigns_keyword_check(check_keyword, d);
    people_setup(c->api_spool_dir, conf.spool_max_bytes);
    media_setup((int64_t)c->media_max_mb << 20);
    int rc = api_start(&conf, &s, &d->api, diag);
    if (rc == 0 && c->callback_port >= 0)
        rc = start_callback(d, diag);
    return rc;
}

int daemon_start(struct daemon *d, struct diag *diag)
{
    const struct config *c = d->config;
    the_daemon = d;
    int rc = check_database(c, diag);
    d->rules = rules_cache_new();
    d->media = media_cache_new(c->conninfo, (size_t)c->media_cache_mb << 20);
    if (rc == 0 && !d->media)
        rc = diag_set(diag, -ENOMEM, "", "out of memory");
    if (rc == 0 && c->media_cache_mb < c->media_max_mb)
        rc = diag_set(diag, CGW_EINVAL, "media.cache_mb",
                      "is %d, less than media.max_mb (%d): one media must fit", c->media_cache_mb,
                      c->media_max_mb);
    struct dispatch_config dc = {.conninfo = c->conninfo,
                                 .node = c->node,
                                 .version = PACKAGE_VERSION,
                                 .sign_key = c->sign_key,
                                 .identity_key = c->identity_key,
                                 .rules = d->rules,
                                 .media = d->media,
                                 .bulk_threads = (unsigned)c->dispatch_threads,
                                 .inflight_slots = (uint32_t)c->dispatch_inflight,
                                 .lease_ttl_ms = c->dispatch_lease_ms};
    if (rc == 0)
        rc = dispatch_new(&dc, &d->dispatch, diag);
    if (rc == 0)
        rc = start_plugins(d, diag);
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
    if (rc == 0)
        rc = outcome_start(&d->outcome, &d->writer, diag);
    if (rc == 0)
        rc = dispatch_start(d->dispatch, d->registry, d->writer, &d->outcome, diag);
    if (rc == 0)
        rc = registry_start(d->registry, diag);
    d->asker =
        (struct outcome_asker){.query = query, .ctx = d, .per_s = (uint32_t)c->outcome_query_per_s};
    struct planner_config pc = {.conninfo = c->conninfo,
                                .receipt_grace_ms = d->outcome.receipt_grace_ms,
                                .wake = on_chunks,
                                .close_wave = close_wave,
                                .ask_wave = ask_wave,
                                .sign_key = c->sign_key,
                                .ctx = d};
    if (rc == 0)
        rc = planner_start(&pc, &d->planner, diag);
    return rc == 0 ? start_api(d, diag) : rc;
}

void daemon_stop(struct daemon *d, int deadline_ms)
{
    if (d->api)
        api_set_draining(d->api, true);
    planner_halt(d->planner); /* the writer and the API may wake it until they end */
    if (d->dispatch)
        dispatch_halt(d->dispatch);
    int64_t deadline = clock_mono_ms() + deadline_ms;
    struct plugin_instance *inst;
    for (uint32_t i = 0; d->registry && (inst = registry_at(d->registry, i)); i++)
        instance_drain(inst, deadline);
    for (uint32_t i = 0; d->registry && (inst = registry_at(d->registry, i)); i++)
        (void)instance_drain_wait(inst);
    d->callback = callback_stop(d->callback);
    outcome_stop(d->writer);
    d->api = api_stop(d->api, 1000);
    planner_stop(d->planner);
    d->planner = NULL;
    free_allow_lists(d->registry);
    d->registry = registry_free(d->registry);
    d->dispatch = dispatch_free(d->dispatch);
    rules_cache_free(d->rules);
    media_cache_free(d->media);
}
