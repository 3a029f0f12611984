/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_main.c - options, signals and the one loop of smscsim.
 * Must not know SMPP. README.md beside it lists every switch.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "sim.h"

#define TICK_MS 100
#define EVENTS_MAX 256

struct options {
    const char *port_file, *control, *log, *journal;
};

static int opt_listen(struct sim *sim, struct options *o, const char *v)
{
    const char *colon = strrchr(v, ':');
    int64_t port;

    (void)o;
    if (!colon || sim_parse_int(colon + 1, &port) || port < 0 || port > 65535 ||
        (size_t)(colon - v) >= sizeof(sim->host))
        return -EINVAL;
    sim_copy(sim->host, (size_t)(colon - v) + 1, v);
    sim->port = (uint16_t)port;
    return 0;
}

static int opt_system_id(struct sim *sim, struct options *o, const char *v)
{
    (void)o;
    sim->open_accounts = false;
    return sim_account_add(sim, v) < 0 ? -EINVAL : 0;
}

static int opt_password(struct sim *sim, struct options *o, const char *v)
{
    struct sim_account *a = &sim->account[sim->accounts ? sim->accounts - 1 : 0];

    (void)o;
    if (!sim->accounts || strlen(v) >= sizeof(a->password))
        return -EINVAL;
    sim_copy(a->password, sizeof(a->password), v);
    a->any_password = false;
    return 0;
}

static int opt_reply(struct sim *sim, struct options *o, const char *v)
{
    (void)o;
    return sim_reply_add(sim, v);
}

static int opt_port_file(struct sim *sim, struct options *o, const char *v)
{
    (void)sim;
    o->port_file = v;
    return 0;
}

static int opt_control(struct sim *sim, struct options *o, const char *v)
{
    (void)sim;
    o->control = v;
    return 0;
}

static int opt_log(struct sim *sim, struct options *o, const char *v)
{
    (void)sim;
    o->log = v;
    return 0;
}

static int opt_journal(struct sim *sim, struct options *o, const char *v)
{
    (void)sim;
    o->journal = v;
    return 0;
}

static int opt_dump(struct sim *sim, struct options *o, const char *v)
{
    (void)o;
    if (strlen(v) >= sizeof(sim->dump_path))
        return -EINVAL;
    sim_copy(sim->dump_path, sizeof(sim->dump_path), v);
    return 0;
}

static const struct {
    const char *name;
    int (*fn)(struct sim *sim, struct options *o, const char *value);
    const char *help;
} option_table[] = {
    {"--listen", opt_listen, "ADDRESS:PORT, port 0 = a free one [127.0.0.1:0]"},
    {"--port-file", opt_port_file, "FILE that gets the port once listening"},
    {"--control", opt_control, "PATH of the control socket"},
    {"--system-id", opt_system_id, "account allowed to bind; repeat; none = anybody"},
    {"--password", opt_password, "of the --system-id before it; none = any"},
    {"--reply", opt_reply, "SUFFIX=TEXT: answer messages to numbers with that ending; repeat"},
    {"--dump", opt_dump, "FILE that gets the message list at the end"},
    {"--journal", opt_journal, "FILE to go on with after a SIGKILL: messages, ids, receipts due"},
    {"--log", opt_log, "FILE that gets a JSON line for each submit, with text"},
};
#define N_OPTIONS (sizeof(option_table) / sizeof(option_table[0]))

static void usage(void)
{
    struct sim_buf out = {0};

    for (size_t i = 0; i < N_OPTIONS; i++)
        sim_buf_printf(&out, "  %-32s %s\n", option_table[i].name, option_table[i].help);
    sim_knobs_help(&out);
    printf("smscsim: an SMPP 3.4 message centre with faults on demand\n%.*s", (int)out.len,
           (const char *)out.data);
    sim_buf_done(&out);
}

static int apply(struct sim *sim, struct options *o, const char *name, const char *value)
{
    char why[256];

    for (size_t i = 0; i < N_OPTIONS; i++) {
        if (strcmp(option_table[i].name, name) != 0)
            continue;
        if (!option_table[i].fn(sim, o, value))
            return 0;
        fprintf(stderr, "smscsim: %s: expected %s\n", name, option_table[i].help);
        return -EINVAL;
    }
    if (strncmp(name, "--", 2) != 0 ||
        sim_knobs_set(&sim->knobs, name + 2, value, why, sizeof(why))) {
        fprintf(stderr, "smscsim: %s\n", strncmp(name, "--", 2) ? "options begin with --" : why);
        return -EINVAL;
    }
    return 0;
}

/* 0 go on, 1 help was printed, negative: wrong. Accepts "--name value" and "--name=value". */
static int parse_options(struct sim *sim, struct options *o, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        char *equals = strchr(argv[i], '=');

        if (!strcmp(argv[i], "--help")) {
            usage();
            return 1;
        }
        if (equals) {
            *equals++ = 0;
        } else if (i + 1 == argc) {
            fprintf(stderr, "smscsim: %s needs a value; --help lists all\n", argv[i]);
            return -EINVAL;
        }
        if (apply(sim, o, argv[i], equals ? equals : argv[i + 1]))
            return -EINVAL;
        if (!equals)
            i++;
    }
    return 0;
}

static int write_port_file(const struct sim *sim, const char *path)
{
    char tmp[4200];
    FILE *out;

    snprintf(tmp, sizeof(tmp), "%.4096s.tmp", path);
    out = fopen(tmp, "w");
    if (!out)
        return -errno;
    fprintf(out, "%u\n", sim->port);
    if (fclose(out))
        return -EIO;
    return rename(tmp, path) ? -errno : 0;
}

static int watch_signals(struct sim *sim)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.u64 = sim_ev(SIM_EV_SIGNAL, 0)};
    sigset_t set;
    int fd;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0 || epoll_ctl(sim->epoll_fd, EPOLL_CTL_ADD, fd, &ev))
        return -errno;
    return fd;
}

static int complain_start(const char *what, int rc)
{
    fprintf(stderr, "smscsim: %s: %s\n", what, strerror(-rc));
    return rc;
}

static int start(struct sim *sim, const struct options *o)
{
    int rc = sim_listen(sim);

    if (rc)
        return complain_start("cannot listen", rc);
    if (o->control && (rc = sim_control_open(sim, o->control)))
        return complain_start(o->control, rc);
    if (o->log && !(sim->log = fopen(o->log, "w")))
        return complain_start(o->log, -errno);
    if (o->journal && (rc = sim_journal_open(sim, o->journal)))
        return complain_start(o->journal, rc);
    if (o->port_file && (rc = write_port_file(sim, o->port_file)))
        return complain_start(o->port_file, rc);
    printf("smscsim: listening on %s:%u\n", sim->host, sim->port);
    fflush(stdout);
    return 0;
}

static void on_event(struct sim *sim, const struct epoll_event *ev)
{
    uint32_t index = (uint32_t)ev->data.u64;

    switch (ev->data.u64 >> 32) {
    case SIM_EV_LISTEN:
        sim_accept(sim);
        break;
    case SIM_EV_SESSION:
        if (index < sim->sessions_high && sim->session[index])
            sim_session_event(sim, sim->session[index], ev->events);
        break;
    case SIM_EV_CONTROL:
        sim_control_accept(sim);
        break;
    case SIM_EV_CLIENT:
        sim_control_event(sim, index, ev->events);
        break;
    case SIM_EV_SIGNAL:
        sim->stop = true;
        break;
    default:
        break;
    }
}

static void look_at_clock(struct sim *sim)
{
    sim->now_ms = sim_mono_ms();
    sim->epoch_ms = sim_epoch_ms();
}

static void loop(struct sim *sim)
{
    struct epoll_event ev[EVENTS_MAX];
    int64_t tick_ms = sim->now_ms;

    while (!sim->stop) {
        int wait = sim->n_dirty ? 0 : sim_timers_wait_ms(&sim->timers, sim->now_ms, TICK_MS);
        int n = epoll_wait(sim->epoll_fd, ev, EVENTS_MAX, wait);

        look_at_clock(sim);
        for (int i = 0; i < n; i++)
            on_event(sim, &ev[i]);
        sim_timers_run(&sim->timers, sim, sim->now_ms);
        if (sim->now_ms - tick_ms >= TICK_MS) {
            tick_ms = sim->now_ms;
            sim_housekeeping(sim);
            if (sim->log)
                fflush(sim->log);
        }
        sim_flush_all(sim);
    }
}

static int finish(struct sim *sim)
{
    int rc = 0;

    sim->quitting = true;
    sim_timers_run(&sim->timers, sim, INT64_MAX);
    sim_sessions_done(sim); /* what was not answered is ambiguous now */
    if (*sim->dump_path && (rc = sim_dump_file(sim, sim->dump_path)))
        complain_start(sim->dump_path, rc);
    sim_unlisten(sim);
    sim_control_done(sim);
    sim_deliver_reset(sim);
    if (sim->log)
        fclose(sim->log);
    if (sim->journal)
        fclose(sim->journal);
    return rc;
}

static struct sim *sim_new(void)
{
    struct sim *sim = sim_alloc(sizeof(*sim));

    sim_knobs_init(&sim->knobs);
    sim_copy(sim->host, sizeof(sim->host), "127.0.0.1");
    sim->listen_fd = -1;
    sim->open_accounts = true;
    sim->session =
        sim_alloc(4097 * sizeof(struct sim_session *)); /* the most max_sessions allows */
    sim->ids = sim_alloc(SIM_IDS * sizeof(*sim->ids));
    sim->count = sim_count_new();
    sim->unknown_id = UINT64_C(900000000000000);
    sim->epoch = 1;
    sim->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    look_at_clock(sim);
    return sim;
}

static void sim_free(struct sim *sim)
{
    sim_timers_done(&sim->timers);
    sim_count_free(sim->count);
    close(sim->epoll_fd);
    free(sim->session);
    free(sim->dirty);
    free(sim->ids);
    free(sim);
}

int main(int argc, char **argv)
{
    struct sim *sim = sim_new();
    struct options o = {0};
    int rc = parse_options(sim, &o, argc, argv), signals;

    if (rc) {
        sim_free(sim);
        return rc < 0 ? 2 : 0;
    }
    sim->next_id = (uint64_t)sim->knobs.id_start;
    signals = watch_signals(sim);
    rc = start(sim, &o);
    if (!rc)
        loop(sim);
    if (!rc)
        rc = finish(sim);
    close(signals);
    sim_free(sim);
    return rc ? 1 : 0;
}
