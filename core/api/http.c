/* SPDX-License-Identifier: Apache-2.0 */
/* http.c - the two listeners of the API (TCP, local socket) on libmicrohttpd: one epoll thread
 * each, connections that wait for a worker are suspended. Public TLS belongs in a proxy in front.
 * Requests that libmicrohttpd itself refuses (broken request line, headers above the connection's
 * memory) get its own short HTML answer: the library offers no hook for them. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* accept4 flags, SOCK_CLOEXEC */
#endif
#include "api/http_int.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define BACKLOG 1024

/* ---- hooks of the library ------------------------------------------------------------------- */
static void *on_uri(void *cls, const char *uri, struct MHD_Connection *conn)
{
    (void)conn;
    return call_new(cls, uri);
}

static struct api_connection *context_of(struct MHD_Connection *conn)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(conn, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

static void becomes(struct api_listener *l, struct MHD_Connection *conn, enum conn_state state)
{
    struct api_connection *c = context_of(conn);
    if (c)
        conn_becomes(&l->conns, &c->conn, state, clock_mono_ms());
}

static void on_completed(void *cls, struct MHD_Connection *conn, void **con_cls,
                         enum MHD_RequestTerminationCode code)
{
    struct api_call *call = *con_cls;
    *con_cls = NULL;
    becomes(cls, conn, CONN_WAITS);
    if (!call)
        return;
    if (code != MHD_REQUEST_TERMINATED_COMPLETED_OK && call->stage != CALL_SENT)
        log_info("http.aborted", "request=%s route=%s bytes_in=%llu", call->request_id,
                 call->req.route ? call->req.route->path : "-", (unsigned long long)call->body_len);
    call_free(call);
}

static void on_connection(void *cls, struct MHD_Connection *conn, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct api_listener *l = cls;
    struct api_connection *c = *socket_context;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (c)
            conn_closed(&l->conns, &c->conn);
        free(c);
        *socket_context = NULL;
        return;
    }
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(conn, MHD_CONNECTION_INFO_CONNECTION_FD);
    *socket_context = c = info ? calloc(1, sizeof *c) : NULL;
    if (!c)
        return; /* not counted; on the local socket, nobody */
    conn_opened(&l->conns, &c->conn, info->connect_fd, clock_mono_ms());
    if (l->local && !peer_read(info->connect_fd, l->api->conf.admin_group, &c->peer))
        c->peer = (struct peer){0};
}

static const struct peer *peer_of(struct MHD_Connection *conn)
{
    const struct api_connection *c = context_of(conn);
    return c ? &c->peer : NULL;
}

/* Suspended before it is queued: a worker may be done before this function returns. */
static enum MHD_Result hand_over(struct api_call *call)
{
    MHD_suspend_connection(call->conn);
    if (workers_put(call->listener->api, call))
        return MHD_YES;
    call->stage = call->stage == CALL_AUTH ? CALL_HEAD_NO : CALL_DONE;
    call->rs.retry_after_s = 1;
    (void)api_problem(&call->resp, PROBLEM_OVERLOADED,
                      "Too many requests wait already; nothing was changed.");
    MHD_resume_connection(call->conn);
    return MHD_YES;
}

/* A file (an export) takes as long as it takes. */
static enum MHD_Result answer(struct api_call *call)
{
    if (call->resp.fd < 0)
        becomes(call->listener, call->conn, CONN_ANSWERS);
    return call_answer(call);
}

void http_resume(struct api_call *call)
{
    MHD_resume_connection(call->conn);
}

/* Called for each step of a request: headers, pieces of the body, end; and again after a resume. */
static enum MHD_Result on_request(void *cls, struct MHD_Connection *conn, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *size, void **con_cls)
{
    (void)url;
    (void)version;
    struct api_listener *l = cls;
    struct api_call *call = *con_cls;
    if (!call)
        return MHD_NO; /* out of memory in on_uri() */
    call->conn = conn;
    switch (call->stage) {
    case CALL_NEW:
        becomes(l, conn, CONN_BUSY);
        if (call_begin(call, method, l->local ? peer_of(conn) : NULL))
            return hand_over(call);
        return call->stage == CALL_DONE ? answer(call) : MHD_YES;
    case CALL_HEAD_OK:
        call->stage = CALL_BODY;
        return MHD_YES;
    case CALL_HEAD_NO:
        call_refused(call);
        return call->stage == CALL_DONE ? answer(call) : MHD_YES;
    case CALL_AUTH: /* a worker has it: the library does not call for suspended connections */
    case CALL_RUN:
        return MHD_YES;
    case CALL_DONE:
        return answer(call);
    default:
        break;
    }
    if (*size) {
        size_t n = *size;
        *size = 0;
        return call_data(call, data, n) ? MHD_YES : MHD_NO;
    }
    return call_complete(call) ? hand_over(call) : answer(call);
}

static void on_library_log(void *cls, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));
static void on_library_log(void *cls, const char *fmt, va_list ap)
{
    (void)cls;
    char text[300], quoted[400];
    (void)vsnprintf(text, sizeof text, fmt, ap);
    log_debug("http.library", "msg=\"%s\"", log_quote(text, quoted, sizeof quoted));
}

/* ---- sockets -------------------------------------------------------------------------------- */
int http_listen(const char *address, uint16_t port_no, uint16_t *ret_port, struct diag *diag)
{
    const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
                                   .ai_socktype = SOCK_STREAM};
    struct addrinfo *ai = NULL;
    char port[8];
    (void)snprintf(port, sizeof port, "%u", (unsigned)port_no);
    int rc = getaddrinfo(address, port, &hints, &ai);
    if (rc != 0)
        return diag_set(diag, CGW_EINVAL, address, "not an IP address: %s", gai_strerror(rc));
    int on = 1, fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool ok = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
              bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0;
    int err = errno;
    freeaddrinfo(ai);
    if (!ok) {
        if (fd >= 0)
            (void)close(fd);
        return diag_set(diag, -err, address, "cannot listen on %s port %s: %s", address, port,
                        strerror(err));
    }
    struct sockaddr_storage at;
    socklen_t len = sizeof at;
    char service[8] = "0";
    if (getsockname(fd, (struct sockaddr *)&at, &len) == 0 &&
        getnameinfo((struct sockaddr *)&at, len, NULL, 0, service, sizeof service,
                    NI_NUMERICSERV) == 0)
        *ret_port = (uint16_t)strtoul(service, NULL, 10);
    return fd;
}

/* A socket file that nobody answers is left from a crash and may go; one that answers belongs to
 * another daemon. */
static int local_listen(struct api *api, struct diag *diag)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    const char *path = api->conf.socket_path;
    if (strlen(path) >= sizeof at.sun_path)
        return diag_set(diag, CGW_EINVAL, path, "the path of a socket has at most %zu bytes",
                        sizeof at.sun_path - 1);
    (void)snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return diag_set(diag, -errno, path, "cannot make a socket: %s", strerror(errno));
    int other = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool alive = other >= 0 && connect(other, (struct sockaddr *)&at, sizeof at) == 0;
    if (other >= 0)
        (void)close(other);
    struct stat st;
    if (!alive && lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
        (void)unlink(path);
    if (alive || bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || chmod(path, 0666) != 0 ||
        listen(fd, BACKLOG) != 0) {
        int err = alive ? EADDRINUSE : errno;
        (void)close(fd);
        return diag_set(diag, -err, path,
                        alive ? "another process answers on this socket"
                              : "cannot listen on this socket: %s",
                        strerror(err));
    }
    return fd;
}

static int start_listener(struct api *api, struct api_listener *l, int fd, bool local,
                          struct diag *diag)
{
    if (fd < 0)
        return fd;
    *l = (struct api_listener){
        .api = api,
        .local = local,
        .listen_fd = fd,
        .quiesced_fd = -1,
        .conns = {.max = api->conf.connections_max, .timeout_s = api->conf.timeout_s}};
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    /* the logger comes first: options after it may complain */
    l->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, l, MHD_OPTION_EXTERNAL_LOGGER, on_library_log, NULL,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_URI_LOG_CALLBACK, on_uri, l,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, l, MHD_OPTION_CONNECTION_LIMIT,
        api->conf.connections_max, MHD_OPTION_CONNECTION_TIMEOUT, api->conf.timeout_s,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)api->conf.connection_memory,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, l, MHD_OPTION_END);
    if (l->daemon)
        return 0;
    (void)close(fd);
    return diag_set(diag, -EIO, "", "the HTTP server does not start");
}

int http_start(struct api *api, struct diag *diag)
{
    int rc = 0;
    if (api->conf.listen_address)
        rc = start_listener(api, &api->tcp,
                            http_listen(api->conf.listen_address, api->conf.port, &api->port, diag),
                            false, diag);
    if (rc == 0 && api->conf.socket_path)
        rc = start_listener(api, &api->local, local_listen(api, diag), true, diag);
    return rc;
}

static void quiesce(struct api_listener *l)
{
    if (l->daemon && l->quiesced_fd < 0)
        l->quiesced_fd = MHD_quiesce_daemon(l->daemon);
}

void http_quiesce(struct api *api)
{
    if (api->local.daemon && api->local.quiesced_fd < 0)
        (void)unlink(api->conf.socket_path);
    quiesce(&api->tcp);
    quiesce(&api->local);
}

static void stop(struct api_listener *l)
{
    if (!l->daemon)
        return;
    MHD_stop_daemon(l->daemon);
    if (l->quiesced_fd >= 0)
        (void)close(l->quiesced_fd);
    l->daemon = NULL;
}

void http_stop(struct api *api)
{
    stop(&api->tcp);
    stop(&api->local);
}
