/* SPDX-License-Identifier: Apache-2.0 */
/* mmsc_control.c - the control socket, in the manner of smscsim: a line in, a line of JSON out; and
 * the knobs. Bounds: 16 clients, 64 KiB a line. */
#include "mmsc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CLIENTS_MAX 16u
#define LINE_MAX_LEN 65536u

struct client {
    int fd; /* -1 free */
    struct sim_buf in, out;
};

struct mmsc_control {
    struct client client[CLIENTS_MAX];
};

/* ---- knobs ---- */

static const struct {
    const char *name;
    size_t at;
} NUMBERS[] = {
#define X(name, standard) {#name, offsetof(struct mmsc_knobs, name)},
    MMSC_KNOBS(X)
#undef X
};

static const struct {
    const char *name;
    size_t at, size;
} WORDS[] = {
#define W(name)                                                                                    \
    {                                                                                              \
#name, offsetof(struct mmsc_knobs, name), sizeof(((struct mmsc_knobs *)0)->name)           \
    }
    W(report_status), W(callback), W(callback_auth), W(auth), W(require_header),
#undef W
};

void mmsc_knobs_init(struct mmsc_knobs *k)
{
    memset(k, 0, sizeof *k);
#define X(name, standard) k->name = standard;
    MMSC_KNOBS(X)
#undef X
    sim_copy(k->report_status, sizeof k->report_status, "Retrieved");
}

int mmsc_knob_set(struct mmsc_knobs *k, const char *name, const char *value)
{
    char *base = (char *)k;
    for (size_t i = 0; i < sizeof NUMBERS / sizeof NUMBERS[0]; i++)
        if (!strcmp(NUMBERS[i].name, name)) {
            int64_t v;
            if (sim_parse_int(value, &v))
                return -EINVAL;
            memcpy(base + NUMBERS[i].at, &v, sizeof v);
            return 0;
        }
    for (size_t i = 0; i < sizeof WORDS / sizeof WORDS[0]; i++)
        if (!strcmp(WORDS[i].name, name)) {
            sim_copy(base + WORDS[i].at, WORDS[i].size, value);
            return 0;
        }
    return -ENOENT;
}

/* ---- commands ---- */

static void stats_json(struct sim *sim, struct sim_buf *out)
{
    sim_buf_printf(out, "{\"ok\":true");
#define X(name) sim_buf_printf(out, ",\"" #name "\":%llu", (unsigned long long)sim->stats.name);
    MMSC_STATS(X)
#undef X
    sim_buf_printf(out, ",\"complaints_total\":%llu,", (unsigned long long)sim->complaints);
    mmsc_count_json(sim->count, out);
    sim_buf_printf(out, ",");
    mmsc_complaints_json(out);
    sim_buf_printf(out, "}\n");
}

static void say(struct sim_buf *out, const char *why)
{
    if (!why) {
        sim_buf_printf(out, "{\"ok\":true}\n");
        return;
    }
    sim_buf_printf(out, "{\"ok\":false,\"error\":");
    sim_buf_json(out, why);
    sim_buf_printf(out, "}\n");
}

static const char *cmd_set(struct sim *sim, char *rest)
{
    char *name = strtok_r(rest, " ", &rest);
    int rc = name ? mmsc_knob_set(&sim->knobs, name, rest ? rest : "") : -EINVAL;
    return rc == -ENOENT ? "no such knob" : rc ? "expected: set KNOB VALUE" : NULL;
}

/* mo [media=BYTES] FROM TO TEXT */
static const char *cmd_mo(struct sim *sim, char *rest)
{
    int64_t media = 0;
    char *from = strtok_r(rest, " ", &rest);
    if (from && !strncmp(from, "media=", 6)) {
        if (sim_parse_int(from + 6, &media) || media < 0 || media > 3000000)
            return "media=BYTES takes 0 to 3000000";
        from = strtok_r(rest, " ", &rest);
    }
    char *to = from ? strtok_r(rest, " ", &rest) : NULL;
    if (!to || !rest)
        return "expected: mo [media=BYTES] FROM TO TEXT";
    return mmsc_mo(sim, from, to, rest, media) ? NULL : "no callback is set";
}

static void command(struct sim *sim, char *line, struct sim_buf *out)
{
    char *rest = line, *word = strtok_r(line, " ", &rest);
    if (!word)
        say(out, "no command");
    else if (!strcmp(word, "stats"))
        stats_json(sim, out);
    else if (!strcmp(word, "set"))
        say(out, cmd_set(sim, rest));
    else if (!strcmp(word, "mo"))
        say(out, cmd_mo(sim, rest));
    else if (!strcmp(word, "dump"))
        say(out, rest && !mmsc_count_dump(sim->count, rest) ? NULL : "cannot write the file");
    else if (!strcmp(word, "quit")) {
        sim->quitting = true;
        say(out, NULL);
    } else
        say(out, "commands: stats, set KNOB VALUE, mo, dump FILE, quit");
}

/* ---- the socket ---- */

int mmsc_control_open(struct sim *sim, const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct epoll_event ev = {.events = EPOLLIN, .data.u64 = mmsc_ev(MMSC_EV_CONTROL, 0)};
    if (strlen(path) >= sizeof a.sun_path)
        return -ENAMETOOLONG;
    sim_copy(a.sun_path, sizeof a.sun_path, path);
    unlink(path);
    sim->control_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (sim->control_fd < 0 || bind(sim->control_fd, (struct sockaddr *)&a, sizeof a) ||
        listen(sim->control_fd, 16) ||
        epoll_ctl(sim->epoll_fd, EPOLL_CTL_ADD, sim->control_fd, &ev))
        return -errno;
    sim->control_path = path;
    sim->control = sim_alloc(sizeof *sim->control);
    for (uint32_t i = 0; i < CLIENTS_MAX; i++)
        sim->control->client[i].fd = -1;
    return 0;
}

static void client_close(struct client *c)
{
    close(c->fd);
    c->fd = -1;
    sim_buf_clear(&c->in);
    sim_buf_clear(&c->out);
}

void mmsc_control_accept(struct sim *sim)
{
    int fd = accept4(sim->control_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    uint32_t i = 0;
    if (fd < 0)
        return;
    while (i < CLIENTS_MAX && sim->control->client[i].fd >= 0)
        i++;
    struct epoll_event ev = {.events = EPOLLIN, .data.u64 = mmsc_ev(MMSC_EV_CLIENT, i)};
    if (i == CLIENTS_MAX || epoll_ctl(sim->epoll_fd, EPOLL_CTL_ADD, fd, &ev))
        close(fd);
    else
        sim->control->client[i].fd = fd;
}

void mmsc_control_event(struct sim *sim, uint32_t index, uint32_t events)
{
    struct client *c = &sim->control->client[index];
    (void)events;
    if (c->fd < 0)
        return;
    ssize_t n = read(c->fd, sim_buf_room(&c->in, 4096), 4096);
    if (n == 0 || (n < 0 && errno != EAGAIN) || sim_buf_left(&c->in) > LINE_MAX_LEN) {
        client_close(c);
        return;
    }
    c->in.len += n > 0 ? (size_t)n : 0;
    for (;;) {
        uint8_t *at = sim_buf_at(&c->in);
        uint8_t *end = sim_buf_left(&c->in) ? memchr(at, '\n', sim_buf_left(&c->in)) : NULL;
        if (!end)
            break;
        *end = '\0';
        command(sim, (char *)at, &c->out);
        sim_buf_eat(&c->in, (size_t)(end - at) + 1);
    }
    /* answers are short and the socket is local: what does not fit at once ends the client */
    size_t left = sim_buf_left(&c->out);
    if (left && send(c->fd, sim_buf_at(&c->out), left, MSG_NOSIGNAL) != (ssize_t)left)
        client_close(c);
    sim_buf_clear(&c->out);
}

void mmsc_control_done(struct sim *sim)
{
    for (uint32_t i = 0; sim->control && i < CLIENTS_MAX; i++) {
        if (sim->control->client[i].fd >= 0)
            client_close(&sim->control->client[i]);
        sim_buf_done(&sim->control->client[i].in);
        sim_buf_done(&sim->control->client[i].out);
    }
    if (sim->control) {
        close(sim->control_fd);
        unlink(sim->control_path);
    }
    free(sim->control);
}
