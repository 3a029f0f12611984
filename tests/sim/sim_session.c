/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_session.c - connections: accepting, framing, batched writing, closing.
 * Must not know what a PDU means; hands whole frames to sim_pdu.c.
 * Source: SMPP v3.4 issue 1.2, 5.1.1 (command_length).
 */
#include "sim.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_MAX 262144u /* octets read of one session in one turn: fairness */
#define SINGLE_MAX 4096  /* one-octet writes of one session in one turn */

int sim_listen(struct sim *sim)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(sim->port)};
    struct epoll_event ev = {.events = EPOLLIN, .data.u64 = sim_ev(SIM_EV_LISTEN, 0)};
    socklen_t len = sizeof(addr);
    int one = 1, fd;

    if (inet_pton(AF_INET, sim->host, &addr.sin_addr) != 1)
        return -EINVAL;
    fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 1024) ||
        getsockname(fd, (struct sockaddr *)&addr, &len) ||
        epoll_ctl(sim->epoll_fd, EPOLL_CTL_ADD, fd, &ev)) {
        int err = errno;

        close(fd);
        return -err;
    }
    sim->port = ntohs(addr.sin_port);
    sim->listen_fd = fd;
    return 0;
}

void sim_unlisten(struct sim *sim)
{
    if (sim->listen_fd >= 0)
        close(sim->listen_fd);
    sim->listen_fd = -1;
}

static uint32_t free_index(const struct sim *sim)
{
    uint32_t i = 0;

    while (i < sim->sessions_high && sim->session[i])
        i++;
    return i;
}

static void session_new(struct sim *sim, int fd)
{
    struct sim_session *s = sim_alloc(sizeof(*s));
    int one = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    s->fd = fd;
    s->index = free_index(sim);
    s->serial = ++sim->serial;
    s->next_sequence = 1;
    s->opened_ms = s->heard_ms = sim->now_ms;
    s->enquire_sent_ms = sim->now_ms;
    if (s->index >= sim->sessions_high)
        sim->sessions_high = s->index + 1;
    sim->session[s->index] = s;
    sim->sessions++;
    sim->stats.connections++;
    sim_session_dirty(sim, s); /* registers with epoll */
    if (sim->knobs.enquire_unbound)
        sim_send_enquire(sim, s);
}

void sim_accept(struct sim *sim)
{
    for (int i = 0; i < 256; i++) {
        int fd = accept4(sim->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0)
            return;
        if (sim->sessions >= (uint32_t)sim->knobs.max_sessions) {
            sim->stats.connections_refused++;
            close(fd);
            continue;
        }
        session_new(sim, fd);
    }
}

struct sim_session *sim_session_by_serial(struct sim *sim, uint64_t serial)
{
    for (uint32_t i = 0; i < sim->sessions_high; i++)
        if (sim->session[i] && sim->session[i]->serial == serial)
            return sim->session[i];
    return NULL;
}

void sim_session_dirty(struct sim *sim, struct sim_session *s)
{
    if (s->dirty)
        return;
    s->dirty = true;
    if (sim->n_dirty == sim->dirty_cap) {
        sim->dirty_cap = sim->dirty_cap ? sim->dirty_cap * 2 : 64;
        sim->dirty = sim_realloc(sim->dirty, sim->dirty_cap * sizeof(struct sim_session *));
    }
    sim->dirty[sim->n_dirty++] = s;
}

void sim_session_break(struct sim *sim, struct sim_session *s)
{
    s->broken = true;
    sim_session_dirty(sim, s);
}

static void reset_on_close(const struct sim_session *s)
{
    struct linger hard = {1, 0};

    setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
}

/* Octets left unread would turn the close into a reset, and a reset may take back what the client
 * has not read yet. */
static void drain(int fd)
{
    uint8_t waste[4096];

    shutdown(fd, SHUT_WR);
    for (int i = 0; i < 1024 && read(fd, waste, sizeof(waste)) > 0; i++)
        ;
}

static void session_close(struct sim *sim, struct sim_session *s)
{
    struct sim_account *account = s->account; /* set from bind to unbind */

    sim->session[s->index] = NULL;
    sim->sessions--;
    while (sim->sessions_high && !sim->session[sim->sessions_high - 1])
        sim->sessions_high--;
    if (sim->knobs.drop_rst && s->broken)
        reset_on_close(s);
    else
        drain(s->fd);
    close(s->fd);
    if (account)
        account->binds--;
    sim_answers_closed(sim, s);
    sim_deliver_closed(sim, s);
    sim_buf_done(&s->in);
    sim_buf_done(&s->out);
    free(s->written);
    free(s);
    if (account && !sim->quitting)
        sim_deliver_pump(sim, account);
}

static void peer_closed(struct sim *sim, struct sim_session *s)
{
    if (sim_is_bound(s) && !s->broken && !s->closing) {
        sim->stats.closed_without_unbind++;
        sim_complain(&sim->complaints, SIM_C_CLOSED_WITHOUT_UNBIND,
                     "session %llu of %s, %u submits and %u deliveries unanswered",
                     (unsigned long long)s->serial, s->account->system_id, sim_answers_open(s),
                     s->unacked);
    }
    sim_session_break(sim, s);
}

/* Frames in the buffer; stops when one is incomplete or the session must be paused. */
static void take_frames(struct sim *sim, struct sim_session *s)
{
    while (!s->broken && !s->closing && sim_buf_left(&s->in) >= SIM_HEAD_LEN) {
        struct sim_head head;

        sim_head_parse(sim_buf_at(&s->in), &head);
        if (head.length < SIM_HEAD_LEN || head.length > SIM_PDU_MAX) {
            sim_complain(&sim->complaints, SIM_C_FRAME, "command_length %u", head.length);
            sim_send_simple(sim, s, SMPP_GENERIC_NACK, SMPP_RINVCMDLEN, head.sequence);
            s->closing = true;
            return;
        }
        if (sim_buf_left(&s->in) < head.length)
            return;
        sim_pdu_received(sim, s, &head, sim_buf_at(&s->in) + SIM_HEAD_LEN);
        sim_buf_eat(&s->in, head.length);
    }
}

static void session_read(struct sim *sim, struct sim_session *s)
{
    size_t got = 0;

    while (got < READ_MAX) {
        uint8_t *room = sim_buf_room(&s->in, 65536);
        ssize_t n = read(s->fd, room, 65536);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            break;
        if (n <= 0) {
            take_frames(sim, s);
            peer_closed(sim, s);
            return;
        }
        s->in.len += (size_t)n;
        got += (size_t)n;
        s->heard_ms = sim->now_ms;
        s->silence_told = false;
        if (sim->knobs.silent || s->mute)
            sim_buf_clear(&s->in);
        else
            take_frames(sim, s);
        if (n < 65536)
            break;
    }
}

void sim_session_event(struct sim *sim, struct sim_session *s, uint32_t events)
{
    if (events & EPOLLIN)
        session_read(sim, s);
    else if (events & (EPOLLHUP | EPOLLERR))
        peer_closed(sim, s);
    sim_session_dirty(sim, s);
}

static bool write_out(struct sim *sim, struct sim_session *s)
{
    bool single = sim->knobs.one_byte_writes != 0;

    if (s->mute)
        return true;
    for (int i = 0; sim_buf_left(&s->out) && (!single || i < SINGLE_MAX); i++) {
        size_t left = sim_buf_left(&s->out);
        ssize_t n = send(s->fd, sim_buf_at(&s->out), single ? 1 : left, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN || errno == EWOULDBLOCK;
        sim_buf_eat(&s->out, (size_t)n);
        s->out_sent += (uint64_t)n;
        if ((size_t)n < left && !single)
            break;
    }
    return true;
}

static void set_interest(struct sim *sim, struct sim_session *s)
{
    uint32_t want = 0;
    struct epoll_event ev;

    if (!sim->knobs.pause_reading && !s->closing && sim_buf_left(&s->out) < SIM_OUT_PAUSE)
        want |= EPOLLIN;
    if (sim_buf_left(&s->out) && !s->mute)
        want |= EPOLLOUT;
    if (want == s->events && want)
        return;
    ev = (struct epoll_event){.events = want, .data.u64 = sim_ev(SIM_EV_SESSION, s->index)};
    if (epoll_ctl(sim->epoll_fd, EPOLL_CTL_MOD, s->fd, &ev) && errno == ENOENT)
        epoll_ctl(sim->epoll_fd, EPOLL_CTL_ADD, s->fd, &ev);
    s->events = want;
}

void sim_sessions_interest(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->sessions_high; i++)
        if (sim->session[i])
            sim_session_dirty(sim, sim->session[i]);
}

/* False when the session is gone. Its dirty mark stays until the end, so that it cannot join the
 * list a second time and be met there after it has been freed. */
static bool flush_session(struct sim *sim, struct sim_session *s)
{
    bool alive = write_out(sim, s);

    sim_answers_written(sim, s);
    if (!alive)
        peer_closed(sim, s);
    if (s->broken || (s->closing && !sim_buf_left(&s->out))) {
        session_close(sim, s);
        return false;
    }
    set_interest(sim, s);
    return true;
}

void sim_flush_all(struct sim *sim)
{
    sim_journal_flush(sim);
    /* Closing a session may hand its deliveries to another, which then joins the list. */
    for (uint32_t i = 0; i < sim->n_dirty; i++) {
        struct sim_session *s = sim->dirty[i];

        if (flush_session(sim, s))
            s->dirty = false;
    }
    sim->n_dirty = 0;
}

void sim_sessions_done(struct sim *sim)
{
    for (uint32_t i = sim->sessions_high; i-- > 0;) {
        if (i < sim->sessions_high && sim->session[i])
            session_close(sim, sim->session[i]);
    }
    sim->n_dirty = 0;
}
