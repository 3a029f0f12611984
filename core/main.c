/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - campgwd: options, signals, the life of the process. */
#include "netguard.h"
#include "wire.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "content/optout_conf.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define DRAIN_MS 10000

/* sd_notify(3)'s datagram, without the library. */
static void notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    if (!path || strlen(path) >= sizeof sun.sun_path)
        return;
    (void)snprintf(sun.sun_path, sizeof sun.sun_path, "%s", path);
    if (sun.sun_path[0] == '@')
        sun.sun_path[0] = 0;
    auto_close int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0)
        (void)sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&sun,
                     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path)));
}

static void usage(FILE *out)
{
    (void)fputs(
        "usage: campgwd [-c FILE] [--check-config] [--dump-routes] [--version] [--port-file FILE] "
        "[--clock-shift-ms N] [--sandbox]\n"
        "  -c, --config FILE      configuration (default " CONFIG_PATH_DEFAULT ")\n"
        "      --check-config     judge the configuration, plugins and options included, and exit\n"
        "      --dump-routes      print the HTTP routes: METHOD path scope\n"
        "      --port-file FILE   write the API's TCP port there once it listens\n"
        "      --clock-shift-ms N rehearse another hour: shift the process's idea of now (test "
        "installations only)\n"
        "      --sandbox          simulators on this machine only: nothing leaves it\n"
        "signals: TERM/INT drain and stop, again: stop at once; HUP reread the log level\n",
        out);
}

struct options {
    const char *config, *port_file;
    bool check, dump_routes, sandbox;
    long long shift_ms;
};

static int parse(int argc, char **argv, struct options *o)
{
    static const struct option longs[] = {{"config", required_argument, NULL, 'c'},
                                          {"check-config", no_argument, NULL, 1},
                                          {"dump-routes", no_argument, NULL, 2},
                                          {"version", no_argument, NULL, 'V'},
                                          {"port-file", required_argument, NULL, 3},
                                          {"clock-shift-ms", required_argument, NULL, 4},
                                          {"help", no_argument, NULL, 'h'},
                                          {"sandbox", no_argument, NULL, 5},
                                          {NULL, 0, NULL, 0}};
    int ch;
    while ((ch = getopt_long(argc, argv, "c:Vh", longs, NULL)) != -1) {
        switch (ch) {
        case 'c':
            o->config = optarg;
            break;
        case 1:
            o->check = true;
            break;
        case 2:
            o->dump_routes = true;
            break;
        case 3:
            o->port_file = optarg;
            break;
        case 4:
            o->shift_ms = strtoll(optarg, NULL, 10);
            break;
        case 5:
            o->sandbox = true;
            break;
        case 'V':
            (void)printf("campgwd %s\n", PACKAGE_VERSION);
            exit(0);
        case 'h':
            usage(stdout);
            exit(0);
        default:
            usage(stderr);
            return -1;
        }
    }
    if (optind < argc) {
        (void)fprintf(stderr, "campgwd: unexpected argument %s\n", argv[optind]);
        return -1;
    }
    return 0;
}

static int fail(const char *what, const struct diag *d)
{
    char text[CGW_DIAG_MAX];
    log_error("daemon.failed", "step=%s code=%s where=%s msg=\"%s\"", what, diag_code_name(d->code),
              d->where, log_quote(d->text, text, sizeof text));
    (void)fprintf(stderr, "campgwd: %s%s%s\n", d->where, d->where[0] ? ": " : "", d->text);
    return 1;
}

static int check_config(const struct options *o, const struct config *c)
{
    struct registry_opts opts = {
        .plugin_dir = CGW_PKGLIBDIR, .credentials = c->credentials, .sandbox = o->sandbox};
    struct registry *r = NULL;
    struct diag d = {0};
    int rc = registry_new(&opts, &r, &d);
    if (rc == 0)
        rc = registry_check_config(r, &c->file, &d);
    struct optout_sets words = {0};
    if (rc == 0)
        rc = optout_conf_load(c->outcome_optout, &words, &d);
    optout_sets_done(&words);
    (void)registry_free(r);
    if (rc < 0)
        return fail("config", &d);
    (void)printf("%s: ok\n", c->path);
    return 0;
}

static int write_port(const char *path, unsigned port)
{
    char tmp[4096];
    (void)snprintf(tmp, sizeof tmp, "%s.tmp", path);
    FILE *f = fopen(tmp, "we");
    if (!f)
        return -errno;
    (void)fprintf(f, "%u\n", port);
    return fclose(f) == 0 && rename(tmp, path) == 0 ? 0 : -errno;
}

static const struct metric_family reload_families[] = {
    {"campgw_config_last_reload_successful", METRIC_GAUGE,
     "1 unless the configuration that SIGHUP asked for last was refused.", ""},
    {NULL, METRIC_GAUGE, NULL, NULL}};

static void reloaded(bool well)
{
    metric_set(metric_get("campgw_config_last_reload_successful", NULL, 0), well);
}

static void reread(const struct options *o)
{
    struct config *c = NULL;
    struct diag d = {0};
    char text[CGW_DIAG_MAX];
    int rc = config_load(o->config, &c, &d);
    reloaded(rc == 0);
    if (rc < 0) {
        log_error("config.reload.failed", "where=%s msg=\"%s\"", d.where,
                  log_quote(d.text, text, sizeof text));
        return;
    }
    log_set_level((enum log_level)log_level_parse(c->log_level));
    log_notice("config.reloaded", "log_level=%s", c->log_level);
    config_free(c);
}

/* Wait for signals; the only thread that has them unblocked is this one. */
static void live(const struct options *o, struct daemon *d, const sigset_t *set)
{
    for (;;) {
        struct timespec second = {.tv_sec = 1};
        daemon_look(d);
        int sig = sigtimedwait(set, NULL, &second);
        if (sig == SIGTERM || sig == SIGINT)
            return;
        if (sig == SIGHUP)
            reread(o);
        notify("WATCHDOG=1");
    }
}

static void at_once(int sig)
{
    (void)sig;
    _exit(1); /* safe by design: whatever was in flight is settled at the next start */
}

static int run(const struct options *o, struct config *c, const sigset_t *set)
{
    struct diag d = {0};
    struct optout_sets words = {0};
    struct daemon daemon = {.config = c, .words = &words, .sandbox = o->sandbox};
    if (config_load_keys(c, &d) < 0)
        return fail("keys", &d);
    if (optout_conf_load(c->outcome_optout, &words, &d) < 0)
        return fail("optout", &d);
    metrics_register(reload_families);
    reloaded(true);
    int rc = daemon_start(&daemon, &d);
    if (rc < 0)
        (void)fail("start", &d);
    if (rc == 0 && o->port_file && write_port(o->port_file, api_port(daemon.api)) < 0)
        log_error("daemon.port_file.failed", "file=%s msg=\"%s\"", o->port_file, strerror(errno));
    if (rc == 0) {
        log_notice("daemon.ready", "version=%s node=%s port=%u socket=%s", PACKAGE_VERSION, c->node,
                   api_port(daemon.api), c->api_socket);
        if (o->sandbox)
            log_notice("daemon.sandbox", "msg=\"simulators on this machine only\"");
        notify("READY=1");
        live(o, &daemon, set);
        log_notice("daemon.stopping", "deadline_ms=%d", DRAIN_MS);
        notify("STOPPING=1");
    }
    struct sigaction hard = {.sa_handler = at_once};
    (void)sigaction(SIGTERM, &hard, NULL);
    (void)sigaction(SIGINT, &hard, NULL);
    (void)pthread_sigmask(SIG_UNBLOCK, set, NULL);
    daemon_stop(&daemon, rc == 0 ? DRAIN_MS : 0);
    optout_sets_done(&words);
    if (rc == 0)
        log_notice("daemon.stopped", "msg=\"all settled\"");
    return rc == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct options o = {0};
    struct diag d = {0};
    sigset_t set;
    if (parse(argc, argv, &o) < 0)
        return 2;
    if (sodium_init() < 0)
        return 1;
    if (o.dump_routes) {
        struct buf out;
        buf_init(&out, 1u << 20);
        api_dump_routes(&out);
        (void)fputs(buf_str(&out), stdout);
        buf_done(&out);
        return 0;
    }
    struct config *c = NULL;
    if (config_load(o.config, &c, &d) < 0)
        return fail("config", &d);
    int rc;
    log_set_level((enum log_level)log_level_parse(c->log_level));
    clock_shift(o.shift_ms);
    if (o.sandbox)
        netguard_on();
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGHUP);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL); /* before any thread is made: they inherit it */
    (void)signal(SIGPIPE, SIG_IGN);
    struct rlimit core = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &core); /* a core file would hold the identity key */
    rc = o.check ? check_config(&o, c) : run(&o, c, &set);
    config_free(c);
    return rc;
}
