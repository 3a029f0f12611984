/* SPDX-License-Identifier: Apache-2.0 */
/* api.c - starting and stopping the API as a whole. */
#include "api/api_int.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static const struct metric_family families[] = {
    {"campgw_http_request_duration_seconds", METRIC_HISTOGRAM,
     "From the first byte of a request to its answer.", "handler,code"},
    {"campgw_http_active_requests", METRIC_GAUGE, "Requests being received, worked on or answered.",
     ""},
    {"campgw_http_queue_requests", METRIC_GAUGE, "Requests waiting for a worker.", ""},
    {"campgw_http_spool_bytes", METRIC_GAUGE, "Bytes of uploads in scratch files.", ""},
    {NULL, METRIC_GAUGE, NULL, NULL},
};

void api_metrics_register(void)
{
    metrics_register(families);
}

struct api *api_of(const struct api_request *req)
{
    return req->priv->api;
}

uint16_t api_port(const struct api *api)
{
    return api->port;
}

void api_set_draining(struct api *api, bool draining)
{
    atomic_store(&api->draining, draining);
}

static void set_default(unsigned *v, unsigned dflt)
{
    if (!*v)
        *v = dflt;
}

/* The caller's strings may go after api_start(): keep copies. */
static int own_strings(struct api_config *c)
{
    const char **all[] = {&c->listen_address, &c->socket_path, &c->admin_group, &c->conninfo,
                          &c->spool_dir,      &c->version,     &c->node};
    int rc = 0;
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        if (!*all[i])
            continue;
        *all[i] = strdup(*all[i]);
        if (!*all[i])
            rc = -ENOMEM;
    }
    return rc;
}

static void free_strings(struct api_config *c)
{
    const char *all[] = {c->listen_address, c->socket_path, c->admin_group, c->conninfo,
                         c->spool_dir,      c->version,     c->node};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        free((void *)(uintptr_t)all[i]);
}

/* Every connection is a descriptor, most uploads one more. */
static void raise_nofile(const struct api_config *c)
{
    struct rlimit r;
    rlim_t want = (rlim_t)c->connections_max * 2 + 256;
    if (getrlimit(RLIMIT_NOFILE, &r) != 0 || r.rlim_cur >= want)
        return;
    r.rlim_cur = r.rlim_max == RLIM_INFINITY || r.rlim_max >= want ? want : r.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &r) != 0 || r.rlim_cur < want)
        log_warning("api.nofile", "wanted=%llu have=%llu", (unsigned long long)want,
                    (unsigned long long)r.rlim_cur);
}

static struct api *api_new(const struct api_config *conf, const struct api_services *services)
{
    struct api *api = calloc(1, sizeof *api);
    if (!api)
        return NULL;
    api->conf = *conf;
    int rc = own_strings(&api->conf);
    set_default(&api->conf.workers, 4);
    set_default(&api->conf.queue_max, 256);
    set_default(&api->conf.connections_max, 2048);
    set_default(&api->conf.connection_memory, 16384);
    set_default(&api->conf.timeout_s, 15);
    set_default(&api->conf.rate_per_min, 600);
    if (!api->conf.spool_max_bytes)
        api->conf.spool_max_bytes = 16ull << 30;
    if (services)
        api->services = *services;
    (void)pthread_mutex_init(&api->lock, NULL);
    (void)pthread_cond_init(&api->more, NULL);
    pthread_condattr_t mono;
    (void)pthread_condattr_init(&mono);
    (void)pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&api->idle, &mono);
    (void)pthread_condattr_destroy(&mono);
    api->auth = auth_new(api->conf.rate_per_min);
    if (rc == 0 && api->auth)
        return api;
    return api_stop(api, 0);
}

static int check_config(const struct api_config *c, struct diag *diag)
{
    if (!c->conninfo || !c->spool_dir)
        return diag_set(diag, CGW_EINVAL, "", "the API needs a database and a spool directory");
    if (!c->listen_address && !c->socket_path)
        return diag_set(diag, CGW_EINVAL, "",
                        "the API needs an address or a local socket to listen on");
    if (access(c->spool_dir, W_OK | X_OK) != 0)
        return diag_set(diag, -errno, c->spool_dir, "the spool directory is not writable: %s",
                        strerror(errno));
    return 0;
}

int api_start(const struct api_config *conf, const struct api_services *services, struct api **ret,
              struct diag *diag)
{
    int rc = check_config(conf, diag);
    if (rc == 0 && sodium_init() < 0)
        rc = diag_set(diag, -EIO, "", "libsodium does not start");
    if (rc == 0)
        rc = routes_check(diag);
    if (rc < 0)
        return rc;
    struct api *api = api_new(conf, services);
    if (!api)
        return diag_set(diag, -ENOMEM, "", "out of memory");
    raise_nofile(&api->conf);
    api_metrics_register();
    rc = openapi_merge(&api->openapi, &api->openapi_len, diag);
    if (rc == 0)
        rc = workers_start(api, diag);
    if (rc == 0)
        rc = http_start(api, diag);
    if (rc < 0) {
        (void)api_stop(api, 0);
        return rc;
    }
    log_notice("api.started", "address=%s port=%u socket=%s workers=%u",
               api->conf.listen_address ? api->conf.listen_address : "-", (unsigned)api->port,
               api->conf.socket_path ? api->conf.socket_path : "-", api->n_workers);
    *ret = api;
    return 0;
}

/* Until no request is between its first and last byte, or the deadline. */
static void wait_idle(struct api *api, int deadline_ms)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += deadline_ms / 1000;
    until.tv_nsec += (long)(deadline_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    (void)pthread_mutex_lock(&api->lock);
    while (api->active && pthread_cond_timedwait(&api->idle, &api->lock, &until) == 0)
        ;
    (void)pthread_mutex_unlock(&api->lock);
}

/* Order: no new connections; requests that run may finish; workers end (a queued request is
 * answered `draining`); what is still being received is cut. Workers must be gone before the
 * daemons: the library does not stop with suspended connections. */
struct api *api_stop(struct api *api, int deadline_ms)
{
    if (!api)
        return NULL;
    api_set_draining(api, true);
    http_quiesce(api);
    wait_idle(api, deadline_ms);
    workers_stop(api);
    http_stop(api);
    api->auth = auth_free(api->auth);
    free(api->openapi);
    free_strings(&api->conf);
    (void)pthread_cond_destroy(&api->idle);
    (void)pthread_cond_destroy(&api->more);
    (void)pthread_mutex_destroy(&api->lock);
    free(api);
    return NULL;
}
