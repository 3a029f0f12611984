/* SPDX-License-Identifier: Apache-2.0 */
/* http_call.c - one request on the HTTP thread: route, authentication, media type, size, taking the
 * body, giving the answer. Nothing here waits: what needs the database goes to a worker. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* strcasestr */
#endif
#include "api/http_int.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char *header_of(void *conn, const char *name)
{
    return MHD_lookup_connection_value(conn, MHD_HEADER_KIND, name);
}

static const char *own_header(const struct api_call *call, const char *name)
{
    return header_of(call->conn, name);
}

/* W3C Trace Context: only the fixed form goes into a log line. */
static void take_traceparent(struct api_call *call)
{
    const char *t = own_header(call, "traceparent");
    if (t && strlen(t) == 55 && strspn(t, "0123456789abcdef-") == 55)
        memcpy(call->traceparent, t, 56);
}

struct api_call *call_new(struct api_listener *l, const char *uri)
{
    struct api_call *call = calloc(1, sizeof *call);
    if (!call)
        return NULL;
    call->listener = l;
    call->stage = CALL_NEW;
    call->started_us = clock_mono_us();
    call->stream.fd = -1;
    call->rq = (struct api_request_int){
        .header = header_of, .api = l->api, .cursor = "", .limit = API_LIMIT_DEFAULT};
    call->req = (struct api_request){
        .method = "", .path = "", .priv = &call->rq, .services = &l->api->services};
    arena_init(&call->req.arena, 4u << 20);
    buf_init(&call->body, API_BODY_JSON_MAX + 1);
    response_init(&call->resp, &call->rs);
    store_new_id("req", call->request_id, sizeof call->request_id);
    call->req.request_id = call->request_id;
    call->uri_len = strlen(uri);
    if (call->uri_len < sizeof call->uri)
        memcpy(call->uri, uri, call->uri_len + 1);
    else
        call->uri_fault = "the target is longer than 4095 bytes";
    (void)pthread_mutex_lock(&l->api->lock);
    l->api->active++;
    (void)pthread_mutex_unlock(&l->api->lock);
    return call;
}

void call_free(struct api_call *call)
{
    struct api *api = call->listener->api;
    spool_close(api, &call->stream);
    response_done(&call->resp);
    buf_done(&call->body);
    arena_done(&call->req.arena);
    free(call);
    (void)pthread_mutex_lock(&api->lock);
    api->active--;
    (void)pthread_cond_broadcast(&api->idle);
    (void)pthread_mutex_unlock(&api->lock);
}

/* ---- headers -------------------------------------------------------------------------------- */
static bool find_route(struct api_call *call, const char *method)
{
    static const char *const methods[] = {"GET",   "HEAD",   "POST",   "PUT",
                                          "PATCH", "DELETE", "OPTIONS"};
    char allowed[80];
    call->req.method = "OTHER";
    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        if (!strcmp(methods[i], method))
            call->req.method = methods[i];
    const char *fault = call->uri_fault ? call->uri_fault
                                        : uri_parse(call->uri, &call->req.path, call->rq.query,
                                                    API_QUERY_MAX, &call->rq.n_query);
    if (fault) {
        (void)api_problem(&call->resp, PROBLEM_MALFORMED_REQUEST,
                          "The request line cannot be read: %s.", fault);
        return false;
    }
    call->req.route = route_find(call->req.method, call->req.path, call->rq.path, &call->rq.n_path,
                                 allowed, sizeof allowed);
    if (call->req.route)
        return true;
    if (!allowed[0]) {
        (void)api_problem(&call->resp, PROBLEM_NOT_FOUND,
                          "There is nothing here; /openapi.json lists what there is.");
        return false;
    }
    (void)api_problem(&call->resp, PROBLEM_METHOD_NOT_ALLOWED, "Here one can only %s.", allowed);
    (void)api_set_header(&call->resp, "Allow", "%s", allowed);
    api_problem_text(&call->resp, "allow", "%s", allowed);
    return false;
}

bool media_type_parse(const char *header, char *out, size_t size)
{
    size_t n = strcspn(header, ";"), o = 0;
    for (size_t i = strspn(header, " \t"); i < n && o + 1 < size; i++)
        if (header[i] != ' ' && header[i] != '\t')
            out[o++] = (char)(header[i] >= 'A' && header[i] <= 'Z' ? header[i] | 0x20 : header[i]);
    out[o] = 0;
    const char *charset = strcasestr(header + n, "charset=");
    if (!charset)
        return true;
    charset += 8;
    charset += *charset == '"';
    return !strncasecmp(charset, "utf-8", 5) || !strncasecmp(charset, "utf8", 4);
}

bool media_type_listed(const char *list, const char *media)
{
    size_t n = strlen(media);
    for (const char *p = list; *p;) {
        size_t m = strcspn(p, "|");
        if (m == n && !memcmp(p, media, n))
            return true;
        p += m + (p[m] == '|');
    }
    return false;
}

static bool wrong_media(struct api_call *call, const char *detail)
{
    const struct api_route *r = call->req.route;
    const char *json = !(r->flags & API_JSON) ? ""
                       : !strcmp(r->method, "PATCH")
                           ? "application/json, application/merge-patch+json"
                           : "application/json";
    (void)api_problem(&call->resp, PROBLEM_MEDIA_TYPE, "%s", detail);
    char accept[768];
    (void)snprintf(accept, sizeof accept, "%s%s%s%s", json, *json && r->media ? ", " : "",
                   r->media ? r->media : "", r->flags & API_FORM ? "|" API_FORM_TYPE : "");
    for (char *p = accept; *p; p++)
        if (*p == '|')
            *p = ','; /* the list of the table as a list of a header */
    if (*accept)
        (void)api_set_header(&call->resp, "Accept", "%s", accept);
    api_problem_text(&call->resp, "accept", "%s", accept);
    return false;
}

static bool judge_media(struct api_call *call)
{
    const struct api_route *r = call->req.route;
    const char *type = own_header(call, "Content-Type"),
               *coding = own_header(call, "Content-Encoding");
    if (!(r->flags & (API_JSON | API_STREAM)))
        return !call->has_body || wrong_media(call, "No body is taken here.");
    if (!call->has_body) /* an empty body: JSON says what is missing, a stream is empty */
        return call->takes_stream = !(r->flags & API_JSON), true;
    char media[sizeof call->stream.media] = "";
    if (!type || !media_type_parse(type, media, sizeof media))
        return wrong_media(call, type ? "The character set must be UTF-8."
                                      : "Say with Content-Type what the body is.");
    bool json = (r->flags & API_JSON) &&
                (!strcmp(media, "application/json") ||
                 (!strcmp(r->method, "PATCH") && !strcmp(media, "application/merge-patch+json")));
    call->takes_stream = !json && (r->flags & API_STREAM) &&
                         (media_type_listed(r->media, media) ||
                          ((r->flags & API_FORM) && !strcmp(media, API_FORM_TYPE)));
    if (!json && !call->takes_stream)
        return wrong_media(call, "This media type is not taken here.");
    bool gzip = coding && (!strcasecmp(coding, "gzip") || !strcasecmp(coding, "x-gzip"));
    if (coding && strcasecmp(coding, "identity") != 0 && !(gzip && call->takes_stream))
        return wrong_media(call, call->takes_stream
                                     ? "Content-Encoding may be gzip or absent."
                                     : "A JSON body comes without Content-Encoding.");
    call->stream.gzip = gzip;
    memcpy(call->stream.media, media, sizeof media);
    return true;
}

static bool too_large(struct api_call *call)
{
    (void)api_problem(&call->resp, PROBLEM_TOO_LARGE, "The body may have %" PRIu64 " bytes here.",
                      call->body_max);
    char n[24];
    (void)snprintf(n, sizeof n, "%" PRIu64, call->body_max);
    api_problem_json(&call->resp, "limit", n);
    return false;
}

/* The length the client announces; UINT64_MAX: chunked. */
static uint64_t announced(const struct api_call *call)
{
    const char *len = own_header(call, "Content-Length");
    if (own_header(call, "Transfer-Encoding"))
        return UINT64_MAX;
    return len ? strtoull(len, NULL, 10) : 0;
}

static bool is_form(const struct api_call *call)
{
    return !strcmp(call->stream.media, API_FORM_TYPE);
}

static bool judge_size(struct api_call *call)
{
    const struct api_route *r = call->req.route;
    if (call->takes_stream)
        call->body_max = (r->max_body ? r->max_body : API_STREAM_DEFAULT) +
                         (is_form(call) ? API_FORM_OVERHEAD : 0);
    else if (r->flags & API_STREAM) /* max_body is the stream's */
        call->body_max = API_BODY_JSON_MAX;
    else
        call->body_max = r->max_body ? r->max_body : API_BODY_DEFAULT;
    return call->announced == UINT64_MAX || call->announced <= call->body_max || too_large(call);
}

/* ---- who ------------------------------------------------------------------------------------ */
/* False: refused. Sets need_auth when a worker has to ask the database. */
static bool judge_caller(struct api_call *call, const struct peer *peer)
{
    struct api *api = call->listener->api;
    if (!call->req.route->scope)
        return true;
    if (call->listener->local)
        return auth_local(call, peer);
    enum auth_answer a =
        auth_cached(api->auth, call, own_header(call, "Authorization"), clock_mono_ms());
    call->need_auth = a == AUTH_ASK;
    return a == AUTH_ASK || (a == AUTH_OK && auth_scope(call));
}

static bool judge_load(struct api_call *call)
{
    struct api *api = call->listener->api;
    bool reads = !strcmp(call->req.method, "GET") || !strcmp(call->req.method, "HEAD");
    if (call->req.route->flags & API_INLINE)
        return true;
    if (atomic_load(&api->draining) && !reads) {
        call->rs.retry_after_s = 5;
        (void)api_problem(&call->resp, PROBLEM_DRAINING,
                          "This node is shutting down; nothing was changed.");
        return false;
    }
    if (!workers_full(api))
        return true;
    call->rs.retry_after_s = 1;
    (void)api_problem(&call->resp, PROBLEM_OVERLOADED,
                      "Too many requests wait already; nothing was changed.");
    return false;
}

void call_refused(struct api_call *call)
{
    call->stage = call->announced <= API_SWALLOW_MAX ? CALL_REFUSE : CALL_DONE;
}

static bool judge(struct api_call *call, const char *method, const struct peer *peer)
{
    return find_route(call, method) && judge_load(call) && judge_caller(call, peer) &&
           judge_media(call) && judge_size(call);
}

static bool begin_stream(struct api_call *call)
{
    struct diag d = {0};
    call->req.stream = &call->stream;
    call->stream.fd = spool_open(call->listener->api, &d);
    if (call->stream.fd >= 0)
        return true;
    log_error("api.spool.failed", "request=%s msg=\"%s\"", call->request_id, d.text);
    (void)api_problem(&call->resp, PROBLEM_NO_SPACE, "No room for an upload on this node.");
    return false;
}

bool call_begin(struct api_call *call, const char *method, const struct peer *peer)
{
    call->rq.conn = call->conn;
    call->announced = announced(call);
    call->body_started_ms = clock_mono_ms();
    call->has_body = call->announced > 0;
    take_traceparent(call);
    if (!judge(call, method, peer) || (call->takes_stream && !begin_stream(call))) {
        call_refused(call);
        return false;
    }
    call->stage = CALL_BODY;
    /* nobody unknown may make us take a body */
    if (!call->need_auth || !call->has_body)
        return false;
    call->stage = CALL_AUTH;
    return true;
}

/* ---- body ----------------------------------------------------------------------------------- */
static bool too_slow(const struct api_call *call)
{
    int64_t ms = clock_mono_ms() - call->body_started_ms;
    int64_t grace_ms = (int64_t)call->listener->api->conf.timeout_s * 1000 * SLOW_GRACE_TIMES;
    return ms > grace_ms && call->body_len < (uint64_t)(ms / 1000 * SLOW_BYTES_PER_S);
}

static void keep_data(struct api_call *call, const char *data, size_t len)
{
    if (call->body_len > call->body_max) {
        (void)too_large(call);
    } else if (!call->takes_stream) {
        buf_put(&call->body, data, len);
        if (!call->body.failed)
            return;
        (void)api_problem(&call->resp, PROBLEM_INTERNAL, "Out of memory.");
    } else {
        int rc = spool_write(call->listener->api, &call->stream, data, len);
        if (rc == 0)
            return;
        (void)api_problem(&call->resp, PROBLEM_NO_SPACE,
                          "No room left for the upload; nothing was kept.");
    }
    spool_close(call->listener->api, &call->stream);
    call->stage = CALL_REFUSE;
}

bool call_data(struct api_call *call, const char *data, size_t len)
{
    call->body_len += len;
    if (too_slow(call))
        return false;
    if (call->stage == CALL_BODY) {
        keep_data(call, data, len);
        return true;
    }
    call->swallowed += len;
    return call->swallowed <= API_SWALLOW_MAX;
}

bool call_complete(struct api_call *call)
{
    if (call->stage == CALL_REFUSE) {
        call->stage = CALL_DONE;
        return false;
    }
    if (call->req.route->flags & API_INLINE) {
        (void)call->req.route->handler(&call->req, &call->resp);
        call->stage = CALL_DONE;
        return false;
    }
    call->stage = CALL_RUN;
    return true;
}

/* ---- answer --------------------------------------------------------------------------------- */
static void add(struct MHD_Response *r, const char *name, const char *value)
{
    (void)MHD_add_response_header(r, name, value);
}

static void add_rate(const struct api_call *call, struct MHD_Response *r)
{
    char text[80];
    (void)snprintf(text, sizeof text, "\"key\";q=%u;w=60", call->listener->api->conf.rate_per_min);
    add(r, "RateLimit-Policy", text);
    (void)snprintf(text, sizeof text, "\"key\";r=%u;t=%u", call->rate_left, call->rate_reset_s);
    add(r, "RateLimit", text);
}

static void add_headers(const struct api_call *call, struct MHD_Response *r, bool has_content)
{
    add(r, "Request-Id", call->request_id);
    add(r, "Cache-Control", "no-store");
    add(r, "X-Content-Type-Options", "nosniff");
    if (call->listener->api->conf.sandbox)
        add(r, "X-Campgw-Sandbox", "1");
    if (has_content)
        add(r, "Content-Type",
            call->resp.content_type ? call->resp.content_type : "application/json");
    if (call->rs.location[0])
        add(r, "Location", call->rs.location);
    if (call->rs.etag[0])
        add(r, "ETag", call->rs.etag);
    if (call->rs.replayed)
        add(r, "Idempotency-Replayed", "true");
    if (call->rs.retry_after_s) {
        char s[16];
        (void)snprintf(s, sizeof s, "%d", call->rs.retry_after_s);
        add(r, "Retry-After", s);
    }
    if (call->keyed)
        add_rate(call, r);
    for (unsigned i = 0; i < call->rs.n_headers; i++)
        add(r, call->rs.headers[i].name, call->rs.headers[i].value);
}

static void account(const struct api_call *call, size_t bytes)
{
    int64_t us = clock_mono_us() - call->started_us;
    const char *route = call->req.route ? call->req.route->path : "-";
    char code[8];
    (void)snprintf(code, sizeof code, "%d", call->resp.status);
    const char *const labels[] = {route, code};
    metric_observe(metric_get("campgw_http_request_duration_seconds", labels, 2), (double)us / 1e6);
    log_info("http.request",
             "request=%s method=%s route=%s status=%d us=%lld bytes_in=%" PRIu64
             " bytes_out=%zu actor=%s%s%s%s%s",
             call->request_id, call->req.method, route, call->resp.status, (long long)us,
             call->body_len, bytes, call->req.caller.name[0] ? call->req.caller.name : "-",
             call->rs.problem >= 0 ? " problem=" : "",
             call->rs.problem >= 0 ? problem_slug((enum api_problem_id)call->rs.problem) : "",
             call->traceparent[0] ? " traceparent=" : "", call->traceparent);
}

enum MHD_Result call_answer(struct api_call *call)
{
    struct api_response *resp = &call->resp;
    response_render(resp, call->request_id);
    struct MHD_Response *r;
    size_t bytes = resp->body.len;
    if (resp->fd >= 0 && call->rs.problem < 0) {
        bytes = (size_t)resp->fd_len;
        r = MHD_create_response_from_fd64((uint64_t)resp->fd_len, resp->fd);
        if (r)
            resp->fd = API_FD_NONE; /* the response closes it */
    } else {
        r = MHD_create_response_from_buffer(bytes, bytes ? resp->body.data : (void *)(uintptr_t) "",
                                            bytes ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
        if (r && bytes)
            resp->body = (struct buf){.max = resp->body.max}; /* handed over */
    }
    if (!r)
        return MHD_NO;
    add_headers(call, r, bytes > 0 || resp->status != 204);
    call->stage = CALL_SENT;
    account(call, bytes);
    enum MHD_Result ok = MHD_queue_response(call->conn, (unsigned)resp->status, r);
    MHD_destroy_response(r);
    return ok;
}
