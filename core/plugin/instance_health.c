/* SPDX-License-Identifier: Apache-2.0 */
/* instance_health.c - ask a channel how it is, from any thread, without ever waiting for a plugin
 * that hangs. Only asks: nothing here changes an instance. Source: health() in cgw/channel.h. */
#include "plugin/host_int.h"

#include "base/clock.h"
#include <errno.h>
#include <stdio.h>
#include <time.h>

#define HEALTH_WAIT_MS 250

/* Lives until both the asker and the loop are done with it, whoever is later. */
struct health_call {
    pthread_mutex_t lock;
    pthread_cond_t answered;
    struct plugin_instance *in;
    struct cgw_health health;
    bool done, abandoned;
};

static void health_call_free(struct health_call *c)
{
    (void)pthread_mutex_destroy(&c->lock);
    (void)pthread_cond_destroy(&c->answered);
    free(c);
}

static void default_health(struct plugin_instance *in, struct cgw_health *h)
{
    *h = (struct cgw_health){.size = sizeof *h, .up = inst_state(in) == INSTANCE_RUNNING};
    (void)snprintf(h->text, sizeof h->text, "%s", instance_state_name(inst_state(in)));
}

void health_now(struct plugin_instance *in, struct cgw_health *ret)
{
    default_health(in, ret);
    if (!in->plugin->channel.health || inst_state(in) == INSTANCE_DRAINED)
        return;
    inst_enter(in, "health");
    in->plugin->channel.health(in->ch, ret);
    inst_leave(in);
    ret->text[sizeof ret->text - 1] = 0;
}

static void health_on_loop(void *arg)
{
    struct health_call *c = arg;
    (void)pthread_mutex_lock(&c->lock);
    bool abandoned = c->abandoned; /* then the instance may be gone */
    (void)pthread_mutex_unlock(&c->lock);
    struct cgw_health h = {.size = sizeof h};
    if (!abandoned)
        health_now(c->in, &h);
    (void)pthread_mutex_lock(&c->lock);
    c->health = h;
    c->done = true;
    abandoned = c->abandoned;
    (void)pthread_cond_signal(&c->answered);
    (void)pthread_mutex_unlock(&c->lock);
    if (abandoned)
        health_call_free(c);
}

static bool health_wait(struct health_call *c)
{
    int64_t until = clock_mono_ms() + HEALTH_WAIT_MS;
    struct timespec ts = {.tv_sec = until / 1000, .tv_nsec = (until % 1000) * 1000000};
    int rc = 0;
    (void)pthread_mutex_lock(&c->lock);
    while (!c->done && !rc)
        rc = pthread_cond_timedwait(&c->answered, &c->lock, &ts);
    bool done = c->done;
    c->abandoned = !done;
    (void)pthread_mutex_unlock(&c->lock);
    return done;
}

static void stuck_health(struct plugin_instance *in, struct cgw_health *ret)
{
    const char *op = atomic_load(&in->op_name);
    int64_t ms = (clock_mono_us() - atomic_load(&in->op_since_us)) / 1000;
    *ret = (struct cgw_health){.size = sizeof *ret};
    if (op)
        (void)snprintf(ret->text, sizeof ret->text,
                       "the plugin's %s() has been running for %lld ms", op, (long long)ms);
    else
        (void)snprintf(ret->text, sizeof ret->text, "the loop did not answer within %d ms",
                       HEALTH_WAIT_MS);
}

void instance_health(struct plugin_instance *inst, struct cgw_health *ret)
{
    struct health_call *c = calloc(1, sizeof *c);
    if (!c) {
        stuck_health(inst, ret);
        return;
    }
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&c->answered, &attr);
    (void)pthread_condattr_destroy(&attr);
    (void)pthread_mutex_init(&c->lock, NULL);
    c->in = inst;
    if (loop_post(inst->loop, health_on_loop, c)) {
        health_call_free(c);
        stuck_health(inst, ret);
        return;
    }
    if (health_wait(c)) {
        *ret = c->health;
        health_call_free(c);
    } else {
        stuck_health(inst, ret);
    }
}
