/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_control.c - the control socket: lines in, one line of JSON out for each, in order.
 * Must not know what a command does. Bounds: 16 clients, 64 KiB a line.
 */
#include "sim.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CLIENTS_MAX 16
#define LINE_MAX_LEN 65536
#define STATUSES_MAX 64

struct client {
    int fd; /* -1 = free */
    struct sim_buf in, out;
    uint64_t ticket; /* a mo command whose answers are awaited; 0 = none */
    int left;
    int64_t deadline_ms;
    int n_status;
    uint32_t status[STATUSES_MAX];
};

struct sim_control {
    int fd;
    uint64_t tickets;
    char path[108];
    struct client client[CLIENTS_MAX];
};

static void client_close(struct client *c)
{
    close(c->fd);
    sim_buf_done(&c->in);
    sim_buf_done(&c->out);
    memset(c, 0, sizeof(*c));
    c->fd = -1;
}

static void client_flush(struct sim *sim, uint32_t index)
{
    struct client *c = &sim->control->client[index];
    struct epoll_event ev = {.data.u64 = sim_ev(SIM_EV_CLIENT, index)};

    while (sim_buf_left(&c->out)) {
        ssize_t n = send(c->fd, sim_buf_at(&c->out), sim_buf_left(&c->out), MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN) {
            client_close(c);
            return;
        }
        if (n < 0)
            break;
        sim_buf_eat(&c->out, (size_t)n);
    }
    ev.events = EPOLLIN | (sim_buf_left(&c->out) ? (uint32_t)EPOLLOUT : 0);
    epoll_ctl(sim->epoll_fd, EPOLL_CTL_MOD, c->fd, &ev);
}

static void run_lines(struct sim *sim, uint32_t index)
{
    struct client *c = &sim->control->client[index];

    while (!c->ticket) {
        uint8_t *start = sim_buf_at(&c->in);
        uint8_t *end = sim_buf_left(&c->in) ? memchr(start, '\n', sim_buf_left(&c->in)) : NULL;
        uint64_t ticket = ++sim->control->tickets;

        if (!end)
            return;
        *end = 0;
        c->ticket = ticket;
        c->left = 0;
        c->n_status = 0;
        c->deadline_ms = sim->now_ms + sim->knobs.mo_wait_ms;
        if (sim_command(sim, (char *)start, ticket, &c->out)) {
            c->ticket = 0;
            sim_buf_put(&c->out, "\n", 1);
        }
        sim_buf_eat(&c->in, (size_t)(end - start) + 1);
    }
}

/* Ends the wait of a mo command and goes on with the lines behind it. */
static void mo_done(struct sim *sim, uint32_t index)
{
    struct client *c = &sim->control->client[index];

    sim_buf_printf(&c->out, "{\"ok\":%s,\"unanswered\":%d,\"status\":[",
                   c->left ? "false,\"error\":\"no answer in time\"" : "true", c->left);
    for (int i = 0; i < c->n_status; i++)
        sim_buf_printf(&c->out, "%s%u", i ? "," : "", c->status[i]);
    sim_buf_printf(&c->out, "]}\n");
    c->ticket = 0;
    run_lines(sim, index);
    client_flush(sim, index);
}

struct wait {
    uint64_t ticket;
    uint32_t index;
};

static void mo_timeout(struct sim *sim, void *arg)
{
    struct wait *w = arg;

    if (!sim->quitting && sim->control->client[w->index].ticket == w->ticket)
        mo_done(sim, w->index);
    free(w);
}

void sim_control_mo_expect(struct sim *sim, uint64_t ticket, int deliveries)
{
    for (uint32_t i = 0; i < CLIENTS_MAX; i++) {
        struct client *c = &sim->control->client[i];
        struct wait *w;

        if (c->fd < 0 || c->ticket != ticket)
            continue;
        c->left = deliveries;
        w = sim_alloc(sizeof(*w));
        *w = (struct wait){ticket, i};
        sim_timer_add(&sim->timers, c->deadline_ms, mo_timeout, w);
    }
}

void sim_control_mo_answered(struct sim *sim, uint64_t ticket, uint32_t status, bool final)
{
    for (uint32_t i = 0; sim->control && i < CLIENTS_MAX; i++) {
        struct client *c = &sim->control->client[i];

        if (c->fd < 0 || c->ticket != ticket)
            continue;
        if (c->n_status < STATUSES_MAX)
            c->status[c->n_status++] = status;
        if (final && c->left > 0 && --c->left == 0)
            mo_done(sim, i);
    }
}

int sim_control_open(struct sim *sim, const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    struct epoll_event ev = {.events = EPOLLIN, .data.u64 = sim_ev(SIM_EV_CONTROL, 0)};
    struct sim_control *ctl;
    int fd;

    if (strlen(path) >= sizeof(addr.sun_path))
        return -ENAMETOOLONG;
    sim_copy(addr.sun_path, sizeof(addr.sun_path), path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    unlink(path);
    if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 16) ||
        epoll_ctl(sim->epoll_fd, EPOLL_CTL_ADD, fd, &ev)) {
        int err = errno;

        close(fd);
        return -err;
    }
    ctl = sim_alloc(sizeof(*ctl));
    ctl->fd = fd;
    sim_copy(ctl->path, sizeof(ctl->path), path);
    for (int i = 0; i < CLIENTS_MAX; i++)
        ctl->client[i].fd = -1;
    sim->control = ctl;
    return 0;
}

void sim_control_accept(struct sim *sim)
{
    struct epoll_event ev = {.events = EPOLLIN};
    int fd = accept4(sim->control->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    uint32_t i = 0;

    if (fd < 0)
        return;
    while (i < CLIENTS_MAX && sim->control->client[i].fd >= 0)
        i++;
    ev.data.u64 = sim_ev(SIM_EV_CLIENT, i);
    if (i == CLIENTS_MAX || epoll_ctl(sim->epoll_fd, EPOLL_CTL_ADD, fd, &ev)) {
        close(fd);
        return;
    }
    sim->control->client[i].fd = fd;
}

void sim_control_event(struct sim *sim, uint32_t index, uint32_t events)
{
    struct client *c = &sim->control->client[index];
    ssize_t n;

    if (c->fd < 0)
        return;
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        n = read(c->fd, sim_buf_room(&c->in, 4096), 4096);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR) ||
            sim_buf_left(&c->in) > LINE_MAX_LEN) {
            client_close(c);
            return;
        }
        c->in.len += n > 0 ? (size_t)n : 0;
        run_lines(sim, index);
    }
    client_flush(sim, index);
}

void sim_control_done(struct sim *sim)
{
    if (!sim->control)
        return;
    for (int i = 0; i < CLIENTS_MAX; i++)
        if (sim->control->client[i].fd >= 0)
            client_close(&sim->control->client[i]);
    close(sim->control->fd);
    unlink(sim->control->path);
    free(sim->control);
    sim->control = NULL;
}
