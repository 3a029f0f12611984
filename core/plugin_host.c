/* SPDX-License-Identifier: Apache-2.0 */
/* plugin_host.c - campgw-plugin-host: the process of one isolated channel instance. Started by the
 * gateway only, with three sockets as descriptors 3 to 5. Gives up what it will not need, loads the
 * plugin, tells what it is, gets its options and runs it until told to stop. */
#include "netguard.h"
#include "plugin/inside.h"

#include "address/address.h"
#include "base/clock.h"
#include "base/log.h"
#include "plugin/confine.h"
#include "plugin/frame_plugin.h"
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>

#define CONFIG_WAIT_MS 30000

static int take_path(const char **list, uint32_t *n, const char *path)
{
    if (*n == CONFINE_PATHS_MAX)
        return -1;
    list[(*n)++] = path;
    return 0;
}

struct start {
    struct confine confine;
    const char *gateway; /* its version: both speak one protocol, or none */
    long parent;
};

static int parse(int argc, char **argv, struct start *s)
{
    struct confine *c = &s->confine;
    static const struct option longs[] = {
        {"parent", required_argument, NULL, 'p'},  {"memory-mb", required_argument, NULL, 'm'},
        {"gateway", required_argument, NULL, 'g'}, {"exec", no_argument, NULL, 'x'},
        {"sandbox", no_argument, NULL, 's'},       {"read", required_argument, NULL, 'r'},
        {"write", required_argument, NULL, 'w'},   {NULL, 0, NULL, 0}};
    int ch, rc = 0;
    while ((ch = getopt_long(argc, argv, "", longs, NULL)) != -1 && !rc) {
        if (ch == 'p')
            s->parent = strtol(optarg, NULL, 10);
        else if (ch == 'g')
            s->gateway = optarg;
        else if (ch == 'm')
            c->memory_mb = (uint32_t)strtoul(optarg, NULL, 10);
        else if (ch == 'x')
            c->exec = true;
        else if (ch == 's')
            netguard_on(); /* before any thread */
        else if (ch == 'r')
            rc = take_path(c->read, &c->n_read, optarg);
        else if (ch == 'w')
            rc = take_path(c->write, &c->n_write, optarg);
        else
            rc = -1;
    }
    if (rc || optind + 1 != argc || !s->parent || !s->gateway || !c->memory_mb)
        return -1;
    c->plugin = argv[optind];
    return 0;
}

/* Signals of the terminal or of the service manager go to the whole group; the gateway drains, and
 * this process must be there to be drained. */
static int end_with_gateway(long parent)
{
    static const int deaf[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGPIPE, SIGUSR1, SIGUSR2};
    for (size_t i = 0; i < ARRAY_LEN(deaf); i++)
        (void)signal(deaf[i], SIG_IGN);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
        return -1;
    return getppid() == (pid_t)parent ? 0 : -1; /* it died before the line above */
}

static int confine_all(const struct confine *c, int *ret_abi, struct diag *d)
{
    int rc = confine_process(c, d);
    if (!rc)
        rc = confine_files(c, ret_abi, d);
    return rc ? rc : confine_calls(c, d);
}

static int normalise(uint32_t kind, const char *text, const char *default_region, char *out,
                     size_t out_size)
{
    struct address a;
    if (address_normalise(text, strlen(text), kind, default_region, &a, NULL) < 0 ||
        strlen(a.text) >= out_size)
        return CGW_EINVAL;
    (void)snprintf(out, out_size, "%s", a.text);
    return 0;
}

static int inside_init(void)
{
    buf_init(&inside.out, (size_t)FRAME_MAX * 4);
    inside.window = INSIDE_WINDOW;
    inside.window_bytes = INSIDE_WINDOW_BYTES;
    inside.acks = calloc(INSTANCE_ACKS, sizeof *inside.acks);
    inside.free_acks = calloc(INSTANCE_ACKS, sizeof *inside.free_acks);
    if (!inside.acks || !inside.free_acks)
        return -ENOMEM;
    while (inside.n_free_acks < INSTANCE_ACKS) {
        inside.free_acks[inside.n_free_acks] = INSTANCE_ACKS - 1 - inside.n_free_acks;
        inside.n_free_acks++;
    }
    log_set_writer(inside_log);
    static const struct host_services services = {normalise, inside_media_size, inside_media_read};
    host_set_services(&services);
    return 0;
}

/* Before the loop there is only CONFIG. */
static int wait_config(struct frame *f)
{
    for (;;) {
        int rc = frame_next(&inside.reader, false, f);
        if (rc)
            return rc > 0 && f->type == FRAME_CONFIG ? 0 : -1;
        struct pollfd p = {.fd = INSIDE_MAIN_FD, .events = POLLIN};
        if (poll(&p, 1, CONFIG_WAIT_MS) <= 0)
            return -1;
        int64_t n = frame_fill(&inside.reader, INSIDE_MAIN_FD);
        if (n <= 0 && n != -EAGAIN && n != -EINTR)
            return -1;
    }
}

static int make_instance(struct frame *f, struct diag *d)
{
    char name[64];
    struct cgw_conf *conf = NULL;
    uint32_t unknown = 0;
    (void)snprintf(name, sizeof name, "%s", frame_get_word(f, sizeof name - 1));
    uint32_t level = frame_get_count(f, LOG_L_DEBUG);
    int64_t utc = frame_get_i64(f), mono = frame_get_i64(f);
    clock_set_utc(utc + clock_mono_ms() - mono);
    log_set_level((enum log_level)level);
    int rc = values_get(f, inside.plugin, name, &conf, &unknown, d);
    if (!rc && !frame_done(f)) {
        (void)conf_free(conf);
        return diag_set(d, CGW_EINVAL, "", "instance %s: its options cannot be read", name);
    }
    if (unknown)
        log_warning("isolation.options.unknown", "instance=%s n=%u", name, unknown);
    if (!rc)
        rc = instance_new(inside.plugin, name, conf, &inside_sink, &inside.in, d);
    if (!rc)
        inside.in->supervised = true;
    return rc;
}

static int same_version(const char *gateway, struct diag *d)
{
    return strcmp(gateway, PACKAGE_VERSION) == 0
               ? 0
               : diag_set(d, CGW_EVERSION, "",
                          "campgw-plugin-host is of version %s, the gateway of version %.40s; "
                          "install both from one package",
                          PACKAGE_VERSION, gateway);
}

static int describe(const struct start *s, struct diag *d)
{
    const struct confine *c = &s->confine;
    struct plugin *p = NULL;
    int abi = 0, rc = same_version(s->gateway, d);
    if (!rc)
        rc = confine_all(c, &abi, d);
    inside.stop_fd = eventfd(0, EFD_CLOEXEC); /* only now: every descriptor before was closed */
    if (!rc && inside.stop_fd < 0)
        rc = diag_set(d, -errno, "", "eventfd: %s", strerror(errno));
    if (!rc)
        rc = plugin_load(c->plugin, &p, d);
    if (!rc && !plugin_is_channel(p))
        rc = diag_set(d, CGW_EINVAL, "",
                      "%s is a campaign plugin, which has no instances; put it "
                      "into plugins.load",
                      p->desc.name);
    if (rc) {
        inside_said(FRAME_REFUSED, rc, d);
        return rc;
    }
    inside.plugin = p;
    size_t at = inside_begin(FRAME_DESCRIBED);
    frame_u32(&inside.out, (uint32_t)abi);
    plugin_put(&inside.out, p);
    inside_end(at);
    return 0;
}

static int run(int argc, char **argv)
{
    struct start s = {0};
    struct diag d = {0};
    struct frame f;
    if (parse(argc, argv, &s) < 0) {
        (void)fprintf(stderr, "campgw-plugin-host is started by campgwd, for instances with "
                              "isolation = \"process\"\n");
        return 2;
    }
    if (end_with_gateway(s.parent) < 0 || inside_init() < 0)
        return 1;
    int rc = describe(&s, &d);
    if (inside_flush_all() < 0 || rc || wait_config(&f) < 0)
        return 1;
    rc = make_instance(&f, &d);
    frame_reader_done(&inside.reader); /* it held secrets; nothing follows before CREATED is out */
    if (!rc)
        rc = inside_attach();
    inside_said(FRAME_CREATED, rc, &d);
    if (rc) {
        (void)inside_flush_all();
        return 1;
    }
    inside_serve_checks();
    inside_wakes(false);
    (void)instance_free(inside.in);
    return 0;
}

#ifdef __SANITIZE_THREAD__
/* A race ends the process, so that whoever started it sees it, as it does an error of memory. */
const char *__tsan_default_options(void) __attribute__((visibility("default")));
const char *__tsan_default_options(void)
{
    return "halt_on_error=1";
}
#endif

int main(int argc, char **argv)
{
    _exit(run(argc, argv)); /* no atexit handlers: the plugin's code is still mapped */
}
