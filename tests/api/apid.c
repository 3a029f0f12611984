/* SPDX-License-Identifier: Apache-2.0 */
/* apid.c - the HTTP API alone, for tests: no dispatcher, no plugins, one pretended channel instance
 * "loop-a" (sms). Prints one line of JSON {"port":…,"callback_port":…} when it listens; ends on
 * SIGTERM. Options come as NAME=VALUE arguments: conninfo spool socket group workers queue
 * connections timeout_s rate callback_deadline_ms callback_per_ip callback_cert callback_key. */
#include "api/api.h"
#include "api/callback.h"
#include "base/clock.h"
#include "base/log.h"
#include "cgw/channel.h"
#include "store/store_key.h"

#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *option(int argc, char **argv, const char *name, const char *absent)
{
    size_t n = strlen(name);
    for (int i = 1; i < argc; i++)
        if (!strncmp(argv[i], name, n) && argv[i][n] == '=')
            return argv[i] + n + 1;
    return absent;
}

static unsigned number(int argc, char **argv, const char *name, unsigned absent)
{
    const char *v = option(argc, argv, name, NULL);
    return v ? (unsigned)strtoul(v, NULL, 10) : absent;
}

/* ---- pretended services --------------------------------------------------------------------- */
static int instance_channel(void *ctx, const char *instance)
{
    (void)ctx;
    return !strcmp(instance, "loop-a") ? (int)CGW_CHANNEL_SMS : CGW_ENOTFOUND;
}

static int channels(void *ctx, struct buf *ret, struct diag *diag)
{
    (void)ctx;
    (void)diag;
    buf_puts(ret, "{\"name\":\"loop-a\",\"plugin\":\"channel_loopback\",\"channel\":\"sms\","
                  "\"state\":\"running\",\"up\":true}");
    return 0;
}

static int plugins(void *ctx, const char *name, struct buf *ret, struct diag *diag)
{
    (void)ctx;
    if (name && strcmp(name, "channel_loopback") != 0)
        return diag_set(diag, CGW_ENOTFOUND, "", "no plugin %s", name);
    buf_puts(ret, "{\"name\":\"channel_loopback\",\"version\":\"1.0\",\"kind\":\"channel\"}");
    return 0;
}

static bool queue_numbers(void *ctx, int32_t route_id, int lane, struct api_queue_numbers *ret)
{
    (void)ctx;
    (void)route_id;
    *ret = (struct api_queue_numbers){.waiting = 3, .credit = 50, .rate_per_s = 1.5};
    return lane == 0;
}

static unsigned wakes;
static void wake(void *ctx, unsigned what)
{
    (void)ctx;
    __atomic_or_fetch(&wakes, what, __ATOMIC_SEQ_CST);
}

/* ---- callbacks: /fast answers at once, /later from another thread, /never not at all -------- */
static struct callback *cb;

static const struct callback_route routes[] = {
    {.method = "POST", .path = "/fast", .max_body = 1000},
    {.method = "POST", .path = "/later", .max_body = 1000},
    {.method = "POST", .path = "/never", .max_body = 1000},
    {.method = "POST",
     .path = "/basic",
     .auth = CALLBACK_AUTH_BASIC,
     .user = "peer",
     .password = "secret",
     .max_body = 1000},
    {.method = "POST",
     .path = "/near",
     .auth = CALLBACK_AUTH_CIDR,
     .allow = (const char *const[]){"127.0.0.0/8", "::1/128", NULL},
     .max_body = 1000},
    {.method = "POST",
     .path = "/far",
     .auth = CALLBACK_AUTH_CIDR,
     .allow = (const char *const[]){"10.1.0.0/16", NULL},
     .max_body = 1000},
    {.method = NULL},
};

static int find(void *ctx, const char *instance, const char *method, const char *path,
                struct callback_route *ret)
{
    (void)ctx;
    int rc = CALLBACK_NO_PATH;
    for (const struct callback_route *r = routes; r->method && !strcmp(instance, "loop-a"); r++) {
        if (strcmp(r->path, path) != 0)
            continue;
        rc = CALLBACK_NO_METHOD;
        if (strcmp(r->method, method) != 0)
            continue;
        *ret = *r;
        return (int)(r - routes);
    }
    return rc;
}

static void *later(void *arg)
{
    uint64_t id = (uint64_t)(uintptr_t)arg;
    callback_reply(cb, id, 202, "text/plain", "later", 5);
    callback_reply(cb, id, 500, "text/plain", "twice", 5); /* must be dropped */
    return NULL;
}

static int deliver(void *ctx, const char *instance, int route, const struct cgw_http_request *req)
{
    (void)ctx;
    (void)instance;
    char text[1200];
    if (!strcmp(req->path, "/never"))
        return 0;
    if (!strcmp(req->path, "/later")) {
        pthread_t t;
        if (pthread_create(&t, NULL, later, (void *)(uintptr_t)req->id) != 0)
            return CGW_EBUSY;
        (void)pthread_detach(t);
        return 0;
    }
    int n = snprintf(text, sizeof text, "%d %s?%s %u %.*s", route, req->path, req->query,
                     req->body_len, (int)req->body_len, req->body);
    callback_reply(cb, req->id, 200, "text/plain", text, (uint32_t)n);
    return 0;
}

/* A file of at most 64 KB, NULL when the option is absent. */
static const char *file_option(int argc, char **argv, const char *name)
{
    static char text[2][65536];
    static unsigned n;
    const char *path = option(argc, argv, name, NULL);
    FILE *f = path ? fopen(path, "r") : NULL;
    if (!f || n == 2)
        return NULL;
    text[n][fread(text[n], 1, sizeof text[n] - 1, f)] = 0;
    (void)fclose(f);
    return text[n++];
}

int main(int argc, char **argv)
{
    sigset_t stop;
    (void)sigemptyset(&stop);
    (void)sigaddset(&stop, SIGTERM);
    (void)sigaddset(&stop, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &stop, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    struct api_config conf = {.listen_address = "127.0.0.1",
                              .admin_group = option(argc, argv, "group", "campgw-admin"),
                              .version = "test",
                              .node = "test-node"};
    conf.conninfo = option(argc, argv, "conninfo", NULL);
    conf.spool_dir = option(argc, argv, "spool", "/tmp");
    conf.socket_path = option(argc, argv, "socket", NULL);
    conf.workers = number(argc, argv, "workers", 0);
    conf.queue_max = number(argc, argv, "queue", 0);
    conf.connections_max = number(argc, argv, "connections", 0);
    conf.timeout_s = number(argc, argv, "timeout_s", 0);
    conf.rate_per_min = number(argc, argv, "rate", 0);
    struct api_services services = {.wake = wake,
                                    .instance_channel = instance_channel,
                                    .channels = channels,
                                    .plugins = plugins,
                                    .queue_numbers = queue_numbers};
    struct callback_config cc = {.listen_address = "127.0.0.1",
                                 .deadline_ms = number(argc, argv, "callback_deadline_ms", 0),
                                 .per_ip_max = number(argc, argv, "callback_per_ip", 0),
                                 .tls_cert = file_option(argc, argv, "callback_cert"),
                                 .tls_key = file_option(argc, argv, "callback_key")};
    struct callback_services cs = {.find = find, .deliver = deliver};
    struct api *api = NULL;
    struct diag d = {0};
    if (argc > 1 && !strcmp(argv[1], "--dump-routes")) {
        struct buf out;
        buf_init(&out, 1u << 20);
        api_dump_routes(&out);
        (void)fputs(buf_str(&out), stdout);
        buf_done(&out);
        return 0;
    }
    int rc = api_start(&conf, &services, &api, &d);
    if (rc == 0)
        rc = callback_start(&cc, &cs, &cb, &d);
    if (rc < 0) {
        (void)fprintf(stderr, "%s: %s\n", d.where, d.text);
        (void)api_stop(api, 0);
        return 1;
    }
    (void)printf("{\"port\":%u,\"callback_port\":%u}\n", (unsigned)api_port(api),
                 (unsigned)callback_port(cb));
    (void)fflush(stdout);
    int sig;
    (void)sigwait(&stop, &sig);
    cb = callback_stop(cb);
    api = api_stop(api, 2000);
    return 0;
}
