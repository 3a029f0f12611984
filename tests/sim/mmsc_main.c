/* SPDX-License-Identifier: Apache-2.0 */
/* mmsc_main.c - options, signals and the loop of mmscsim. */
#include "mmsc.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

static int usage(const char *why)
{
    fprintf(
        stderr,
        "mmscsim: %s\nusage: mmscsim [--listen ADDRESS:PORT] [--port-file FILE] [--control PATH] "
        "[--KNOB VALUE]...\nknobs: tests/sim/README.md\n",
        why);
    return 2;
}

struct args {
    uint16_t port;
    const char *port_file, *control;
};

/* --report-swap 1 sets the knob report_swap. */
static int read_args(int argc, char **argv, struct args *ret, struct mmsc_knobs *knobs)
{
    for (int i = 1; i < argc; i += 2) {
        char name[64];
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        int64_t port = 0;
        if (strncmp(argv[i], "--", 2) != 0 || !value)
            return usage("options come as --NAME VALUE");
        sim_copy(name, sizeof name, argv[i] + 2);
        for (char *p = name; *p; p++)
            *p = *p == '-' ? '_' : *p;
        if (!strcmp(name, "port_file"))
            ret->port_file = value;
        else if (!strcmp(name, "control"))
            ret->control = value;
        else if (!strcmp(name, "listen") && (value = strrchr(value, ':')) &&
                 !sim_parse_int(value + 1, &port) && port >= 0 && port < 65536)
            ret->port = (uint16_t)port;
        else if (mmsc_knob_set(knobs, name, value))
            return usage(argv[i]);
    }
    return 0;
}

static int write_port(const char *path, uint16_t port)
{
    char tmp[4200];
    snprintf(tmp, sizeof tmp, "%.4096s.tmp", path);
    FILE *f = fopen(tmp, "w");
    if (!f || fprintf(f, "%u\n", port) < 0 || fclose(f) || rename(tmp, path))
        return -errno;
    return 0;
}

static void dispatch(struct sim *sim, const struct epoll_event *ev)
{
    uint32_t index = (uint32_t)ev->data.u64;
    switch ((enum mmsc_event)(ev->data.u64 >> 32)) {
    case MMSC_EV_LISTEN:
        mmsc_accept(sim);
        break;
    case MMSC_EV_CONN:
        mmsc_conn_event(sim, index, ev->events);
        break;
    case MMSC_EV_POST:
        mmsc_post_event(sim, index, ev->events);
        break;
    case MMSC_EV_CONTROL:
        mmsc_control_accept(sim);
        break;
    case MMSC_EV_CLIENT:
        mmsc_control_event(sim, index, ev->events);
        break;
    }
}

static volatile sig_atomic_t told_to_stop;
static void on_signal(int number)
{
    (void)number;
    told_to_stop = 1;
}

static void run(struct sim *sim)
{
    struct epoll_event events[64];
    while (!sim->quitting && !told_to_stop) {
        sim->now_ms = sim_mono_ms();
        sim_timers_run(&sim->timers, sim, sim->now_ms);
        int n = epoll_wait(sim->epoll_fd, events, 64,
                           sim_timers_wait_ms(&sim->timers, sim->now_ms, 200));
        sim->now_ms = sim_mono_ms();
        for (int i = 0; i < n; i++)
            dispatch(sim, &events[i]);
    }
    sim->quitting = true;
    sim_timers_run(&sim->timers, sim, INT64_MAX); /* they free what they hold */
}

int main(int argc, char **argv)
{
    static struct sim sim = {.listen_fd = -1, .control_fd = -1};
    struct args args = {0};
    uint16_t port = 0;
    struct sigaction stop = {.sa_handler = on_signal};
    mmsc_knobs_init(&sim.knobs);
    int rc = read_args(argc, argv, &args, &sim.knobs);
    if (rc)
        return rc;
    (void)sigaction(SIGTERM, &stop, NULL);
    (void)sigaction(SIGINT, &stop, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    sim.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    sim.now_ms = sim_mono_ms();
    sim.count = mmsc_count_new();
    rc = mmsc_listen(&sim, args.port, &port);
    if (!rc && args.control)
        rc = mmsc_control_open(&sim, args.control);
    if (!rc && args.port_file)
        rc = write_port(args.port_file, port);
    if (rc) {
        fprintf(stderr, "mmscsim: %s\n", strerror(-rc));
        return 1;
    }
    printf("mmscsim: listening on 127.0.0.1:%u\n", port);
    fflush(stdout);
    run(&sim);
    mmsc_callback_done(&sim);
    mmsc_http_done(&sim);
    mmsc_control_done(&sim); /* last: whoever sees it close knows that nothing is served any more */
    mmsc_count_free(sim.count);
    sim_timers_done(&sim.timers);
    return 0;
}
