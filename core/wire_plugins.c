/* SPDX-License-Identifier: Apache-2.0 */
/* wire_plugins.c - plugins → the core: what the host serves, the callback listener, their start. */
#include "wire_int.h"

#include "address/address.h"
#include "content/render.h"
#include "media/media.h"
#include "plugin/isolate.h"
#include "store/store_route.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Plugins' calls carry no context of ours: the listener and the media are found here. */
static struct daemon *the_daemon;

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

/* ---- start and stop */
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

int wire_start_plugins(struct daemon *d, struct diag *diag)
{
    static const struct host_services services = {.address_normalise = host_normalise,
                                                  .media_size = host_media_size,
                                                  .media_read = host_media_read};
    the_daemon = d;
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

static void free_allow_lists(struct registry *r)
{
    struct plugin_instance *inst;
    for (uint32_t i = 0; r && (inst = registry_at(r, i)); i++) {
        free(instance_user(inst));
        instance_set_user(inst, NULL);
    }
}

void wire_stop_plugins(struct daemon *d)
{
    free_allow_lists(d->registry);
    d->registry = registry_free(d->registry);
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

int wire_start_callback(struct daemon *d, struct diag *diag)
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
