/* SPDX-License-Identifier: Apache-2.0 */
/* system.c - endpoints for operators and machines: health, readiness, metrics, version, OpenAPI.
 * Public: they tell nothing about people and the listener is loopback by default. */
#include "api/api_int.h"

#include "api/process_metrics.h"
#include "base/metrics.h"
#include "cgw/plugin.h"
#include "store/store_idem.h"

#include <string.h>

/* The process is alive and its HTTP thread moves; says nothing about the database. */
static int health(struct api_request *req, struct api_response *resp)
{
    (void)req;
    buf_puts(&resp->body, "{\"status\":\"ok\"}");
    return api_ok(resp);
}

static void reason(struct buf *b, unsigned *n, const char *text)
{
    buf_puts(b, (*n)++ ? "," : "");
    buf_put_json(b, text, strlen(text));
}

/* May a balancer send work here? 503 with every reason at once. */
static int ready(struct api_request *req, struct api_response *resp)
{
    struct api *api = api_of(req);
    const struct api_services *s = req->services;
    struct diag d = {0};
    struct buf why;
    unsigned n = 0;
    buf_init(&why, 65536);
    if (atomic_load(&api->draining))
        reason(&why, &n, "draining");
    if (!req->db)
        reason(&why, &n, "database: does not answer");
    else if (s->schema_check && s->schema_check(s->ctx, req->db, &d) < 0)
        reason(&why, &n, d.text);
    if (s->not_ready) {
        struct buf more;
        buf_init(&more, 65536);
        unsigned k = s->not_ready(s->ctx, &more);
        if (k)
            buf_printf(&why, "%s%s", n ? "," : "", buf_str(&more));
        n += k;
        buf_done(&more);
    }
    resp->status = n ? 503 : 200;
    if (n)
        (void)api_set_header(resp, "Retry-After", "2");
    buf_printf(&resp->body, "{\"ready\":%s,\"reasons\":[%s]}", n ? "false" : "true", buf_str(&why));
    buf_done(&why);
    return resp->status;
}

static int metrics(struct api_request *req, struct api_response *resp)
{
    struct api *api = api_of(req);
    if (req->services->refresh_metrics)
        req->services->refresh_metrics(req->services->ctx);
    (void)pthread_mutex_lock(&api->lock);
    double active = api->active, queued = (double)api->q_len;
    (void)pthread_mutex_unlock(&api->lock);
    metric_set(metric_get("campgw_http_active_requests", NULL, 0), active);
    metric_set(metric_get("campgw_http_queue_requests", NULL, 0), queued);
    metric_set(metric_get("campgw_http_spool_bytes", NULL, 0),
               (double)atomic_load(&api->spool_used));
    metrics_expose(&resp->body);
    process_metrics(&resp->body);
    resp->content_type = "text/plain; version=0.0.4; charset=utf-8";
    return api_ok(resp);
}

static int version(struct api_request *req, struct api_response *resp)
{
    const struct api *api = api_of(req);
    const char *v = api->conf.version ? api->conf.version : "",
               *node = api->conf.node ? api->conf.node : "";
    buf_puts(&resp->body, "{\"name\":\"campgw\",\"version\":");
    buf_put_json(&resp->body, v, strlen(v));
    buf_puts(&resp->body, ",\"node\":");
    buf_put_json(&resp->body, node, strlen(node));
    buf_printf(&resp->body, ",\"api\":\"v1\",\"schema\":%d,\"plugin_abi\":\"%u.%u\"}",
               STORE_SCHEMA_VERSION, CGW_ABI_MAJOR, CGW_ABI_MINOR);
    return api_ok(resp);
}

/* Of what kind is this installation? Read by consoles and by partners' tests before they begin. */
static int system_get(struct api_request *req, struct api_response *resp)
{
    const struct api *api = api_of(req);
    const char *v = api->conf.version ? api->conf.version : "",
               *node = api->conf.node ? api->conf.node : "";
    buf_puts(&resp->body, "{\"name\":\"campgw\",\"version\":");
    buf_put_json(&resp->body, v, strlen(v));
    buf_puts(&resp->body, ",\"node\":");
    buf_put_json(&resp->body, node, strlen(node));
    buf_printf(&resp->body, ",\"sandbox\":%s,\"banner\":\"%s\"}",
               api->conf.sandbox ? "true" : "false",
               api->conf.sandbox ? "SANDBOX: simulators only, nothing reaches a person" : "");
    return api_ok(resp);
}

static int openapi(struct api_request *req, struct api_response *resp)
{
    const struct api *api = api_of(req);
    buf_put(&resp->body, api->openapi, api->openapi_len);
    return api_ok(resp);
}

const struct api_route api_routes_system[] = {
    {.method = "GET",
     .path = "/health",
     .flags = API_INLINE,
     .handler = health,
     .summary = "Is the process alive?"},
    {.method = "GET",
     .path = "/ready",
     .flags = API_DB_OPTIONAL,
     .handler = ready,
     .summary = "Can this node take work?"},
    {.method = "GET",
     .path = "/metrics",
     .flags = API_INLINE,
     .handler = metrics,
     .summary = "Metrics in Prometheus text format"},
    {.method = "GET",
     .path = "/version",
     .flags = API_INLINE,
     .handler = version,
     .summary = "Version of product, API, schema and plugin ABI"},
    {.method = "GET",
     .path = "/api/v1/system",
     .flags = API_INLINE,
     .handler = system_get,
     .summary = "Of what kind is this installation?"},
    {.method = "GET",
     .path = "/openapi.json",
     .flags = API_INLINE,
     .handler = openapi,
     .summary = "This API as OpenAPI 3.1"},
    {.method = NULL},
};
