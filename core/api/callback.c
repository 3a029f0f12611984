/* SPDX-License-Identifier: Apache-2.0 */
/* callback.c - see callback.h. One epoll thread takes requests and suspends them; a reply from any
 * thread resumes; one thread watches deadlines (all alike, so the oldest is always the next). */
#include "api/callback_int.h"

#include "api/http_int.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"

#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define INSTANCE_NAME_ROOM 64
#define SWALLOW 65536u

struct waiting { /* one request given to a plugin; slot of the pending table */
    uint64_t id;
    struct cb_call *call; /* NULL = free */
    int64_t deadline_ms;
};

struct callback {
    struct callback_services services;
    struct MHD_Daemon *daemon;
    unsigned deadline_ms;
    uint16_t port;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t expirer;
    bool stopping, expirer_started;
    uint64_t next_id;
    unsigned n_waiting;
    struct waiting waiting[CALLBACK_PENDING_MAX];
};

struct cb_call {
    struct callback *cb;
    struct MHD_Connection *conn;
    enum { CB_NEW, CB_BODY, CB_REFUSE, CB_WAIT, CB_DONE, CB_SENT } stage;
    char uri[API_URI_MAX], instance[INSTANCE_NAME_ROOM];
    const char *path, *query;
    struct callback_route route;
    int route_no;
    struct buf body;
    uint64_t swallowed;
    int64_t started_us;
    unsigned status; /* of the answer */
    char type[128];
    struct buf answer;
    const char *headers[2 * CALLBACK_HEADERS_MAX + 1];
    unsigned n_headers;
};

static const struct metric_family families[] = {
    {"campgw_callback_requests_total", METRIC_COUNTER,
     "Requests of peers on the callback listener.", "channel_instance,code"},
    {"campgw_callback_replies_dropped_total", METRIC_COUNTER,
     "Answers of plugins that came late or twice.", ""},
    {NULL, METRIC_COUNTER, NULL, NULL},
};

/* ---- one request ---------------------------------------------------------------------------- */
static void *on_uri(void *cls, const char *uri, struct MHD_Connection *conn)
{
    struct cb_call *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->cb = cls;
    c->conn = conn;
    c->started_us = clock_mono_us();
    (void)snprintf(c->uri, sizeof c->uri, "%s", strlen(uri) < sizeof c->uri ? uri : "/");
    buf_init(&c->body, (size_t)CALLBACK_BODY_MAX);
    buf_init(&c->answer, (size_t)CALLBACK_BODY_MAX);
    return c;
}

static void on_completed(void *cls, struct MHD_Connection *conn, void **con_cls,
                         enum MHD_RequestTerminationCode code)
{
    (void)cls;
    (void)conn;
    (void)code;
    struct cb_call *c = *con_cls;
    *con_cls = NULL;
    if (!c)
        return;
    buf_done(&c->body);
    buf_done(&c->answer);
    free(c);
}

static void set_answer(struct cb_call *c, unsigned status, const char *type, const char *body,
                       size_t len)
{
    c->status = status;
    (void)snprintf(c->type, sizeof c->type, "%s",
                   type && !strpbrk(type, "\r\n") ? type : "text/plain; charset=utf-8");
    buf_reset(&c->answer);
    buf_put(&c->answer, body, len);
}

static bool refuse(struct cb_call *c, unsigned status, const char *why)
{
    set_answer(c, status, NULL, why, strlen(why));
    return false;
}

static enum MHD_Result send_answer(struct cb_call *c)
{
    struct MHD_Response *r = MHD_create_response_from_buffer(
        c->answer.len, c->answer.len ? c->answer.data : (void *)(uintptr_t) "",
        MHD_RESPMEM_MUST_COPY);
    if (!r)
        return MHD_NO;
    (void)MHD_add_response_header(r, "Content-Type", c->type);
    (void)MHD_add_response_header(r, "Cache-Control", "no-store");
    if (c->status == 401)
        (void)MHD_add_response_header(r, "WWW-Authenticate",
                                      "Basic realm=\"callback\", charset=\"UTF-8\"");
    if (c->status == 503)
        (void)MHD_add_response_header(r, "Retry-After", "5");
    char code[8];
    (void)snprintf(code, sizeof code, "%u", c->status);
    /* an instance that does not exist is a client's word: no series for it */
    METRIC_INC("campgw_callback_requests_total", c->route.method ? c->instance : "-", code);
    log_info("callback.request", "instance=%s route=%s status=%u us=%lld bytes_in=%zu",
             c->route.method ? c->instance : "-", c->route.path ? c->route.path : "-", c->status,
             (long long)(clock_mono_us() - c->started_us), c->body.len);
    c->stage = CB_SENT;
    enum MHD_Result ok = MHD_queue_response(c->conn, c->status, r);
    MHD_destroy_response(r);
    return ok;
}

/* "/cb/<instance>/rest?query" */
static bool split_uri(struct cb_call *c)
{
    if (strncmp(c->uri, "/cb/", 4) != 0)
        return false;
    char *q = strchr(c->uri, '?');
    c->query = q ? q + 1 : "";
    if (q)
        *q = 0;
    const char *name = c->uri + 4, *rest = strchr(name, '/');
    if (!rest || rest == name || (size_t)(rest - name) >= sizeof c->instance)
        return false;
    (void)snprintf(c->instance, sizeof c->instance, "%.*s", (int)(rest - name), name);
    c->path = rest;
    return true;
}

static const struct sockaddr *peer_address(struct cb_call *c)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c->conn, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    return info ? info->client_addr : NULL;
}

static bool judge_auth(struct cb_call *c)
{
    const struct callback_route *r = &c->route;
    if ((r->auth & CALLBACK_AUTH_CIDR) && !callback_cidr_ok(peer_address(c), r->allow))
        return refuse(c, 403, "This address may not call.\n");
    const char *h = MHD_lookup_connection_value(c->conn, MHD_HEADER_KIND, "Authorization");
    if ((r->auth & CALLBACK_AUTH_BASIC) && !callback_basic_ok(h, r->user, r->password))
        return refuse(c, 401, "User and password are needed.\n");
    return true;
}

static bool judge(struct cb_call *c, const char *method)
{
    const struct callback_services *s = &c->cb->services;
    if (!split_uri(c))
        return refuse(c, 404, "There is nothing here.\n");
    c->route_no = s->find(s->ctx, c->instance, method, c->path, &c->route);
    if (c->route_no < 0) {
        c->route = (struct callback_route){0};
        return refuse(c, c->route_no == CALLBACK_NO_METHOD ? 405 : 404,
                      "There is nothing here for this method.\n");
    }
    if (!judge_auth(c))
        return false;
    const char *len = MHD_lookup_connection_value(c->conn, MHD_HEADER_KIND, "Content-Length");
    if (len && strtoull(len, NULL, 10) > c->route.max_body)
        return refuse(c, 413, "The body is too large.\n");
    return true;
}

static enum MHD_Result begin(struct cb_call *c, const char *method)
{
    if (judge(c, method)) {
        c->stage = CB_BODY;
        return MHD_YES;
    }
    const char *len = MHD_lookup_connection_value(c->conn, MHD_HEADER_KIND, "Content-Length");
    uint64_t n = len ? strtoull(len, NULL, 10) : 0;
    if (n == 0 || n > SWALLOW)
        return send_answer(c); /* closes: the body is not read */
    c->stage = CB_REFUSE;
    return MHD_YES;
}

static enum MHD_Result take_data(struct cb_call *c, const char *data, size_t len)
{
    if (c->stage == CB_BODY && c->body.len + len <= c->route.max_body) {
        buf_put(&c->body, data, len);
        if (!c->body.failed)
            return MHD_YES;
    }
    if (c->stage == CB_BODY) {
        (void)refuse(c, 413, "The body is too large.\n");
        c->stage = CB_REFUSE;
    }
    c->swallowed += len;
    return c->swallowed <= SWALLOW ? MHD_YES : MHD_NO;
}

/* ---- waiting for the plugin ----------------------------------------------------------------- */
static enum MHD_Result collect_header(void *cls, enum MHD_ValueKind kind, const char *name,
                                      const char *value)
{
    (void)kind;
    struct cb_call *c = cls;
    /* the password was checked here; it is none of the plugin's business */
    if (!value || ((c->route.auth & CALLBACK_AUTH_BASIC) && !strcasecmp(name, "Authorization")))
        return MHD_YES;
    c->headers[c->n_headers++] = name;
    c->headers[c->n_headers++] = value;
    return c->n_headers < 2 * CALLBACK_HEADERS_MAX ? MHD_YES : MHD_NO;
}

/* Slot for a request; 0 = none free. */
static uint64_t wait_begin(struct callback *cb, struct cb_call *c)
{
    uint64_t id = 0;
    (void)pthread_mutex_lock(&cb->lock);
    for (unsigned i = 0; i < CALLBACK_PENDING_MAX && !id && !cb->stopping; i++) {
        struct waiting *w = &cb->waiting[(cb->next_id + i) % CALLBACK_PENDING_MAX];
        if (w->call)
            continue;
        cb->next_id += i + 1;
        id = cb->next_id;
        cb->waiting[(id - 1) % CALLBACK_PENDING_MAX] =
            (struct waiting){.id = id, .call = c, .deadline_ms = clock_mono_ms() + cb->deadline_ms};
        cb->n_waiting++;
    }
    if (id)
        (void)pthread_cond_signal(&cb->changed);
    (void)pthread_mutex_unlock(&cb->lock);
    return id;
}

/* Takes the request off the table: whoever gets it answers it. */
static struct cb_call *wait_end(struct callback *cb, uint64_t id)
{
    struct cb_call *c = NULL;
    (void)pthread_mutex_lock(&cb->lock);
    struct waiting *w = id ? &cb->waiting[(id - 1) % CALLBACK_PENDING_MAX] : NULL;
    if (w && w->call && w->id == id) {
        c = w->call;
        *w = (struct waiting){0};
        cb->n_waiting--;
    }
    (void)pthread_mutex_unlock(&cb->lock);
    return c;
}

static void settle(struct cb_call *c, unsigned status, const char *type, const char *body,
                   size_t len)
{
    set_answer(c, status, type, body, len);
    c->stage = CB_DONE;
    MHD_resume_connection(c->conn);
}

void callback_reply(struct callback *cb, uint64_t id, uint32_t status, const char *content_type,
                    const char *body, uint32_t len)
{
    struct cb_call *c = wait_end(cb, id);
    if (!c) {
        metric_add(metric_get("campgw_callback_replies_dropped_total", NULL, 0), 1);
        return;
    }
    bool ok = status >= 200 && status <= 599 && len <= CALLBACK_BODY_MAX;
    if (ok)
        settle(c, status, content_type, body, len);
    else
        settle(c, 500, NULL, "The plugin gave no usable answer.\n", 34);
}

static void fail_delivery(struct cb_call *c, int rc)
{
    static const struct {
        int rc;
        unsigned status;
        const char *text;
    } table[] = {{CGW_ENOTFOUND, 404, "There is nothing here.\n"},
                 {CGW_ELIMIT, 413, "The body is too large.\n"}};
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        if (table[i].rc == rc) {
            settle(c, table[i].status, NULL, table[i].text, strlen(table[i].text));
            return;
        }
    }
    settle(c, 503, NULL, "Not now; call again.\n", 21);
}

static enum MHD_Result deliver(struct cb_call *c, const char *method)
{
    struct callback *cb = c->cb;
    (void)MHD_get_connection_values(c->conn, MHD_HEADER_KIND, collect_header, c);
    struct cgw_http_request req = {
        .size = sizeof req,
        .body_len = (uint32_t)c->body.len,
        .method = method,
        .path = c->path,
        .query = c->query,
        .content_type = MHD_lookup_connection_value(c->conn, MHD_HEADER_KIND, "Content-Type"),
        .body = buf_str(&c->body),
        .headers = c->headers};
    c->stage = CB_WAIT;
    MHD_suspend_connection(c->conn); /* before anybody can answer */
    req.id = wait_begin(cb, c);
    if (!req.id) {
        fail_delivery(c, CGW_EBUSY);
        return MHD_YES;
    }
    uint64_t id = req.id; /* from here on the call may be gone: only the table knows */
    int rc = cb->services.deliver(cb->services.ctx, c->instance, c->route_no, &req);
    if (rc < 0 && wait_end(cb, id))
        fail_delivery(c, rc);
    return MHD_YES;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *conn, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *size, void **con_cls)
{
    (void)cls;
    (void)url;
    (void)version;
    struct cb_call *c = *con_cls;
    if (!c)
        return MHD_NO;
    c->conn = conn;
    if (c->stage == CB_NEW)
        return begin(c, method);
    if (c->stage == CB_DONE)
        return send_answer(c);
    if (c->stage == CB_WAIT)
        return MHD_YES;
    if (*size) {
        size_t n = *size;
        *size = 0;
        return take_data(c, data, n);
    }
    return c->stage == CB_REFUSE ? send_answer(c) : deliver(c, method);
}

/* ---- deadlines ------------------------------------------------------------------------------ */
/* Oldest waiting request; 0 none. Lock held. */
static uint64_t oldest(const struct callback *cb, int64_t *ret_deadline_ms)
{
    uint64_t id = 0;
    for (unsigned i = 0; i < CALLBACK_PENDING_MAX && cb->n_waiting; i++) {
        const struct waiting *w = &cb->waiting[i];
        if (!w->call || (id && w->deadline_ms >= *ret_deadline_ms))
            continue;
        id = w->id;
        *ret_deadline_ms = w->deadline_ms;
    }
    return id;
}

static void wait_until(struct callback *cb, int64_t mono_ms)
{
    const struct timespec at = {.tv_sec = (time_t)(mono_ms / 1000),
                                .tv_nsec = (long)(mono_ms % 1000) * 1000000};
    (void)pthread_cond_timedwait(&cb->changed, &cb->lock, &at);
}

static void *expirer_main(void *arg)
{
    struct callback *cb = arg;
    (void)pthread_mutex_lock(&cb->lock);
    for (;;) {
        int64_t deadline_ms = 0;
        uint64_t id = oldest(cb, &deadline_ms);
        if (!id && cb->stopping)
            break;
        if (!id) {
            (void)pthread_cond_wait(&cb->changed, &cb->lock);
            continue;
        }
        if (!cb->stopping && clock_mono_ms() < deadline_ms) {
            wait_until(cb, deadline_ms);
            continue;
        }
        (void)pthread_mutex_unlock(&cb->lock);
        struct cb_call *c = wait_end(cb, id);
        if (c)
            fail_delivery(c, CGW_EBUSY);
        (void)pthread_mutex_lock(&cb->lock);
    }
    (void)pthread_mutex_unlock(&cb->lock);
    return NULL;
}

/* ---- start and stop ------------------------------------------------------------------------- */
/* GnuTLS's own normal set, without what RFC 8996 has retired. */
#define TLS_PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

static int start_daemon(struct callback *cb, const struct callback_config *conf, int fd,
                        struct diag *diag)
{
    bool tls = conf->tls_cert && conf->tls_key;
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME;
    const struct MHD_OptionItem secure[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)conf->tls_cert},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)conf->tls_key},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)TLS_PRIORITIES},
        {MHD_OPTION_END, 0, NULL}};
    const struct MHD_OptionItem plain[] = {{MHD_OPTION_END, 0, NULL}};
    if (tls)
        flags |= MHD_USE_TLS;
    cb->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, cb, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_URI_LOG_CALLBACK, on_uri, cb, MHD_OPTION_NOTIFY_COMPLETED, on_completed, cb,
        MHD_OPTION_CONNECTION_LIMIT,
        conf->connections_max ? conf->connections_max : CALLBACK_CONNECTIONS,
        MHD_OPTION_PER_IP_CONNECTION_LIMIT, conf->per_ip_max ? conf->per_ip_max : CALLBACK_PER_IP,
        MHD_OPTION_CONNECTION_TIMEOUT, conf->timeout_s ? conf->timeout_s : 15u,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)16384, MHD_OPTION_ARRAY, tls ? secure : plain,
        MHD_OPTION_END);
    if (cb->daemon)
        return 0;
    (void)close(fd);
    return diag_set(diag, -EIO, "",
                    tls ? "the callback listener does not start: callback.tls_cert and "
                          "callback.tls_key must hold a PEM certificate and the key that fits it"
                        : "the callback listener does not start");
}

int callback_start(const struct callback_config *conf, const struct callback_services *services,
                   struct callback **ret, struct diag *diag)
{
    if (!conf->tls_cert != !conf->tls_key)
        return diag_set(diag, CGW_EINVAL, "",
                        "callback.tls_cert and callback.tls_key are set together or not at all");
    struct callback *cb = calloc(1, sizeof *cb);
    if (!cb)
        return diag_set(diag, -ENOMEM, "", "out of memory");
    cb->services = *services;
    cb->deadline_ms = conf->deadline_ms ? conf->deadline_ms : CALLBACK_DEADLINE_MS;
    metrics_register(families);
    (void)pthread_mutex_init(&cb->lock, NULL);
    pthread_condattr_t mono;
    (void)pthread_condattr_init(&mono);
    (void)pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&cb->changed, &mono);
    (void)pthread_condattr_destroy(&mono);
    int rc = pthread_create(&cb->expirer, NULL, expirer_main, cb) == 0
                 ? 0
                 : diag_set(diag, -EAGAIN, "", "cannot start a thread");
    cb->expirer_started = rc == 0;
    int fd = rc == 0 ? http_listen(conf->listen_address, conf->port, &cb->port, diag) : rc;
    *ret = cb; /* before the first request can come: services may call callback_reply() with it */
    rc = fd < 0 ? fd : start_daemon(cb, conf, fd, diag);
    if (rc < 0)
        *ret = callback_stop(cb);
    return rc;
}

uint16_t callback_port(const struct callback *cb)
{
    return cb->port;
}

struct callback *callback_stop(struct callback *cb)
{
    if (!cb)
        return NULL;
    (void)pthread_mutex_lock(&cb->lock);
    /* wait_begin() refuses from here on, the expirer answers what waits and ends */
    cb->stopping = true;
    (void)pthread_cond_broadcast(&cb->changed);
    (void)pthread_mutex_unlock(&cb->lock);
    if (cb->expirer_started)
        (void)pthread_join(cb->expirer, NULL);
    if (cb->daemon)
        MHD_stop_daemon(cb->daemon);
    (void)pthread_cond_destroy(&cb->changed);
    (void)pthread_mutex_destroy(&cb->lock);
    free(cb);
    return NULL;
}
