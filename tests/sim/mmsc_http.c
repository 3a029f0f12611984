/* SPDX-License-Identifier: Apache-2.0 */
/* mmsc_http.c - as much of HTTP/1.1 as a server for one client needs: kept connections,
 * Content-Length bodies, one request at a time per connection. Must not look into bodies. */
#include "mmsc.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct mmsc_conn {
    int fd; /* -1 free */
    uint32_t serial;
    bool busy, closing; /* a request waits for its answer; close when written */
    int64_t served;
    struct sim_buf in, out;
};

static struct mmsc_conn *conn_at(struct sim *sim, uint32_t i)
{
    return &sim->conns[i];
}

int mmsc_listen(struct sim *sim, uint16_t port, uint16_t *ret_port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct epoll_event ev = {.events = EPOLLIN, .data.u64 = mmsc_ev(MMSC_EV_LISTEN, 0)};
    socklen_t len = sizeof a;
    int one = 1;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (!sim->conns) {
        sim->conns = sim_alloc(MMSC_CONNS * sizeof *sim->conns);
        for (uint32_t i = 0; i < MMSC_CONNS; i++)
            sim->conns[i].fd = -1;
    }
    sim->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    (void)setsockopt(sim->listen_fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (sim->listen_fd < 0 || bind(sim->listen_fd, (struct sockaddr *)&a, sizeof a) ||
        listen(sim->listen_fd, 512) || getsockname(sim->listen_fd, (struct sockaddr *)&a, &len) ||
        epoll_ctl(sim->epoll_fd, EPOLL_CTL_ADD, sim->listen_fd, &ev))
        return -errno;
    *ret_port = ntohs(a.sin_port);
    return 0;
}

void mmsc_accept(struct sim *sim)
{
    int fd = accept4(sim->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), one = 1;
    uint32_t i = 0;
    if (fd < 0)
        return;
    while (i < MMSC_CONNS && sim->conns[i].fd >= 0)
        i++;
    struct epoll_event ev = {.events = EPOLLIN, .data.u64 = mmsc_ev(MMSC_EV_CONN, i)};
    if (i == MMSC_CONNS || epoll_ctl(sim->epoll_fd, EPOLL_CTL_ADD, fd, &ev)) {
        close(fd);
        return;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    sim->stats.connections++;
    struct mmsc_conn *c = conn_at(sim, i);
    c->fd = fd;
    c->serial++;
    c->busy = c->closing = false;
    c->served = 0;
    sim_buf_clear(&c->in);
    sim_buf_clear(&c->out);
}

static void conn_close(struct sim *sim, struct mmsc_conn *c)
{
    if (c->busy)
        sim->open--;
    close(c->fd);
    c->fd = -1;
    c->busy = false;
    c->serial++;
}

struct mmsc_str mmsc_header(struct mmsc_str headers, const char *name)
{
    size_t n = strlen(name);
    const char *end = headers.at + headers.len;
    for (const char *line = headers.at; line < end;) {
        const char *stop = memmem(line, (size_t)(end - line), "\r\n", 2);
        size_t len = stop ? (size_t)(stop - line) : (size_t)(end - line);
        if (len > n && line[n] == ':' && !strncasecmp(line, name, n)) {
            n++;
            while (n < len && line[n] == ' ')
                n++;
            return (struct mmsc_str){line + n, len - n};
        }
        line += len + 2;
    }
    return (struct mmsc_str){NULL, 0};
}

/* One whole request at the head of the buffer? Hands it on. */
static void conn_try(struct sim *sim, uint32_t index)
{
    struct mmsc_conn *c = conn_at(sim, index);
    const char *at = (const char *)sim_buf_at(&c->in);
    size_t left = sim_buf_left(&c->in);
    const char *end = left ? memmem(at, left, "\r\n\r\n", 4) : NULL;
    if (!end || c->busy || c->closing)
        return;
    struct mmsc_str headers = {at, (size_t)(end - at)};
    struct mmsc_str length = mmsc_header(headers, "Content-Length");
    uint64_t need = length.at ? strtoull(length.at, NULL, 10) : 0;
    size_t head = headers.len + 4;
    if (need > MMSC_REQUEST_MAX) {
        conn_close(sim, c);
        return;
    }
    if (left < head + need)
        return;
    struct mmsc_request req = {
        .content_type = mmsc_header(headers, "Content-Type"),
        .authorization = mmsc_header(headers, "Authorization"),
        .soap_action = mmsc_header(headers, "SOAPAction"),
        .expect = mmsc_header(headers, "Expect"),
        .headers = headers,
        .body = end + 4,
        .len = need,
    };
    c->busy = true;
    c->served++;
    sim->stats.requests++;
    if (++sim->open > sim->stats.open_max)
        sim->stats.open_max = sim->open;
    uint32_t serial = c->serial;
    mmsc_request(sim, (uint64_t)serial << 32 | index, &req);
    if (c->serial == serial)
        sim_buf_eat(&c->in, head + need);
}

static void conn_write(struct sim *sim, uint32_t index)
{
    struct mmsc_conn *c = conn_at(sim, index);
    while (sim_buf_left(&c->out)) {
        size_t n = sim->knobs.one_byte_writes ? 1 : sim_buf_left(&c->out);
        ssize_t w = send(c->fd, sim_buf_at(&c->out), n, MSG_NOSIGNAL);
        if (w <= 0)
            break;
        sim_buf_eat(&c->out, (size_t)w);
    }
    struct epoll_event ev = {.events = EPOLLIN, .data.u64 = mmsc_ev(MMSC_EV_CONN, index)};
    ev.events |= sim_buf_left(&c->out) ? (uint32_t)EPOLLOUT : 0;
    (void)epoll_ctl(sim->epoll_fd, EPOLL_CTL_MOD, c->fd, &ev);
    if (c->closing && !sim_buf_left(&c->out))
        conn_close(sim, c);
}

void mmsc_answer(struct sim *sim, uint64_t id, int status, const char *type, const char *more,
                 const char *body, size_t len)
{
    uint32_t index = (uint32_t)id, serial = (uint32_t)(id >> 32);
    struct mmsc_conn *c = conn_at(sim, index);
    if (c->fd < 0 || c->serial != serial || !c->busy)
        return;
    if (status == 0) {
        conn_close(sim, c);
        return;
    }
    c->busy = false;
    sim->open--;
    c->closing = sim->knobs.close_after && c->served >= sim->knobs.close_after;
    sim_buf_printf(&c->out,
                   "HTTP/1.1 %d Simulated\r\nContent-Type: %s\r\n%s%sContent-Length: %zu\r\n\r\n",
                   status, type, more, c->closing ? "Connection: close\r\n" : "", len);
    sim_buf_put(&c->out, body, len);
    conn_write(sim, index);
}

void mmsc_conn_event(struct sim *sim, uint32_t index, uint32_t events)
{
    struct mmsc_conn *c = conn_at(sim, index);
    if (c->fd < 0)
        return;
    uint32_t serial = c->serial;
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        ssize_t n = read(c->fd, sim_buf_room(&c->in, 65536), 65536);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
            conn_close(sim, c);
            return;
        }
        c->in.len += n > 0 ? (size_t)n : 0;
        conn_try(sim, index);
    }
    if (c->serial == serial && c->fd >= 0 && (events & EPOLLOUT))
        conn_write(sim, index);
}

void mmsc_http_done(struct sim *sim)
{
    for (uint32_t i = 0; i < MMSC_CONNS; i++) {
        if (sim->conns[i].fd >= 0)
            close(sim->conns[i].fd);
        sim_buf_done(&sim->conns[i].in);
        sim_buf_done(&sim->conns[i].out);
    }
    free(sim->conns);
    close(sim->listen_fd);
}
