/* SPDX-License-Identifier: Apache-2.0 */
/* conn.c - non-blocking socket with partial reads and writes.
 * Must not know PDUs, timers or the host. What "exposed" is for: README.md, "Written or not". */
#include "conn.h"
#include "cgw/host.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TLS_CHUNK 4096u /* one TLS write: once offered, it counts as seen by the peer */

int smpp_conn_init(struct smpp_conn *c)
{
    memset(c, 0, sizeof *c);
    c->fd = -1;
    c->rx = malloc(SMPP_RX_SIZE + 1);
    c->tx = malloc(SMPP_TX_SIZE);
    if (!c->rx || !c->tx) {
        smpp_conn_done(c);
        return -ENOMEM;
    }
    return 0;
}

void smpp_conn_done(struct smpp_conn *c)
{
    smpp_conn_close(c);
    free(c->rx);
    free(c->tx);
    c->rx = c->tx = NULL;
}

static int fail(struct smpp_conn *c, const char *what, int err)
{
    (void)snprintf(c->why, sizeof c->why, "%s: %s", what, strerror(err));
    return -err;
}

static void set_options(int fd, int64_t dead_after_ms)
{
    int on = 1, idle_s = 30, every_s = 10, probes = 3;
    unsigned int dead_ms =
        dead_after_ms > INT32_MAX ? (unsigned int)INT32_MAX : (unsigned int)dead_after_ms;
    /* Best effort: without them the link works, enquire_link finds a dead peer a little later. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every_s, sizeof every_s);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &dead_ms, sizeof dead_ms);
}

int smpp_conn_open(struct smpp_conn *c, const struct smpp_peer_addr *to, int64_t dead_after_ms)
{
    smpp_conn_close(c);
    c->fd = socket(to->sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        return fail(c, "socket", errno);
    set_options(c->fd, dead_after_ms);
    if (connect(c->fd, (const struct sockaddr *)&to->sa, to->len) == 0 || errno == EINPROGRESS)
        return 0;
    int rc = fail(c, "connect", errno);
    smpp_conn_close(c);
    return rc;
}

int smpp_conn_start_tls(struct smpp_conn *c, struct smpp_tls_ctx *ctx, const char *name)
{
    int rc = smpp_tls_new(ctx, c->fd, name, &c->tls);
    return rc ? fail(c, "TLS set-up", -rc) : 0;
}

void smpp_conn_close(struct smpp_conn *c)
{
    if (c->tls)
        smpp_tls_close(c->tls);
    c->tls = smpp_tls_free(c->tls);
    if (c->fd >= 0)
        (void)close(c->fd);
    c->fd = -1;
    c->tcp_up = c->blocked = false;
    c->rx_start = c->rx_len = 0;
    c->tx_start = c->tx_len = c->tx_exposed = 0;
}

static int lost_tls(struct smpp_conn *c, long rc)
{
    (void)snprintf(c->why, sizeof c->why, "%s", smpp_tls_why(c->tls));
    return rc < 0 ? (int)rc : -EPROTO;
}

static int tcp_progress(struct smpp_conn *c)
{
    int err = 0;
    socklen_t len = sizeof err;
    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len) != 0)
        err = errno;
    if (err)
        return fail(c, "connect", err);
    struct sockaddr_storage peer;
    socklen_t peer_len = sizeof peer;
    if (getpeername(c->fd, (struct sockaddr *)&peer, &peer_len) != 0)
        return errno == ENOTCONN ? 0 : fail(c, "connect", errno);
    c->tcp_up = true;
    return 1;
}

int smpp_conn_progress(struct smpp_conn *c)
{
    if (!c->tcp_up)
        return tcp_progress(c);
    if (!c->tls)
        return 1;
    int rc = smpp_tls_handshake(c->tls);
    if (rc == -EAGAIN)
        return 0;
    return rc > 0 ? 1 : lost_tls(c, rc);
}

static long read_some(struct smpp_conn *c, uint8_t *to, size_t room)
{
    if (c->tls) {
        long n = smpp_tls_read(c->tls, to, room);
        if (n > 0 || n == -EAGAIN)
            return n;
        return n == 0 ? fail(c, "read", ECONNRESET) : lost_tls(c, n);
    }
    ssize_t n = recv(c->fd, to, room, 0);
    if (n > 0)
        return n;
    if (n == 0) {
        (void)snprintf(c->why, sizeof c->why, "closed by the peer");
        return -ECONNRESET;
    }
    return errno == EAGAIN || errno == EINTR ? -EAGAIN : fail(c, "read", errno);
}

long smpp_conn_fill(struct smpp_conn *c)
{
    if (c->rx_start > 0) {
        memmove(c->rx, c->rx + c->rx_start, c->rx_len);
        c->rx_start = 0;
    }
    if (c->rx_len == SMPP_RX_SIZE)
        return 0;
    long n = read_some(c, c->rx + c->rx_len, SMPP_RX_SIZE - c->rx_len);
    if (n == -EAGAIN)
        return 0;
    if (n > 0) {
        c->rx_len += (uint32_t)n;
        c->rx[c->rx_len] = 0;
    }
    return n;
}

void smpp_conn_consume(struct smpp_conn *c, uint32_t n)
{
    c->rx_start += n;
    c->rx_len -= n;
    if (c->rx_len == 0)
        c->rx_start = 0;
}

int smpp_conn_append(struct smpp_conn *c, const void *buf, uint32_t len)
{
    if (c->tx_start + c->tx_len + len > SMPP_TX_SIZE && c->tx_start > 0) {
        memmove(c->tx, c->tx + c->tx_start, c->tx_len);
        c->tx_start = 0;
    }
    if (c->tx_len + len > SMPP_TX_SIZE) {
        (void)snprintf(c->why, sizeof c->why, "the peer does not read");
        return -ENOBUFS;
    }
    memcpy(c->tx + c->tx_start + c->tx_len, buf, len);
    c->tx_len += len;
    return 0;
}

static long write_some(struct smpp_conn *c)
{
    const uint8_t *from = c->tx + c->tx_start;
    if (!c->tls) {
        ssize_t n = send(c->fd, from, c->tx_len, MSG_NOSIGNAL);
        if (n >= 0)
            return n;
        return errno == EAGAIN || errno == EINTR ? -EAGAIN : fail(c, "write", errno);
    }
    /* A record that could not be written at once must be offered again as it was: never offer less
     * than before. */
    uint32_t len = c->tx_len < TLS_CHUNK ? c->tx_len : TLS_CHUNK;
    if (len < c->tx_exposed)
        len = c->tx_exposed;
    long n = smpp_tls_write(c->tls, from, len);
    if (n == -EAGAIN)
        c->tx_exposed = len;
    return n > 0 || n == -EAGAIN ? n : lost_tls(c, n);
}

int smpp_conn_flush(struct smpp_conn *c)
{
    while (c->tx_len > 0) {
        long n = write_some(c);
        c->blocked = n == -EAGAIN;
        if (c->blocked)
            return 0;
        if (n < 0)
            return (int)n;
        c->tx_start += (uint32_t)n;
        c->tx_len -= (uint32_t)n;
        c->tx_exposed = c->tx_exposed > (uint32_t)n ? c->tx_exposed - (uint32_t)n : 0;
    }
    c->tx_start = 0;
    c->blocked = false;
    return 1;
}

void smpp_conn_rollback(struct smpp_conn *c, uint32_t keep)
{
    if (keep < c->tx_len)
        c->tx_len = keep;
}

uint32_t smpp_conn_events(const struct smpp_conn *c)
{
    if (!c->tcp_up)
        return CGW_FD_WRITE;
    bool wants_write = c->tx_len > 0 || c->blocked || (c->tls && smpp_tls_wants_write(c->tls));
    return wants_write ? CGW_FD_READ | CGW_FD_WRITE : CGW_FD_READ;
}
