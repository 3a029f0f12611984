/* SPDX-License-Identifier: Apache-2.0 */
/* plugin_check_sabotage.c - see plugin_check_sabotage.h: the services half. The gateway's table is
 * copied and some of its members replaced; the plugin's create() and submit() are wrapped. */
#include "plugin_check_sabotage.h"

#include "plugin/host_int.h"
#include <pthread.h>
#include <string.h>
#include <time.h>

#define ON_LOOP_SECONDS 5

struct sabotage sabotage;

static struct cgw_host table;
static const struct cgw_host *real;
static struct cgw_channel_ops real_ops;

/* The batch that submit() is looking at; loop thread only. */
static _Thread_local struct {
    const struct cgw_message *msgs;
    uint32_t n;
    bool settled[INSTANCE_BATCH];
} offered;

static bool refuses(_Atomic uint32_t *left)
{
    uint32_t had = atomic_load(left);
    while (had && !atomic_compare_exchange_weak(left, &had, had - 1))
        continue;
    return had > 0;
}

static int64_t sab_now_utc(void)
{
    return real->now_utc_ms() + atomic_load(&sabotage.utc_ms);
}

static struct cgw_timer *sab_timer_new(struct cgw_inst *inst, cgw_timer_cb cb, void *arg)
{
    return refuses(&sabotage.refuse_timers) ? NULL : real->timer_new(inst, cb, arg);
}

static int sab_post(struct cgw_inst *inst, cgw_timer_cb cb, void *arg)
{
    return refuses(&sabotage.refuse_posts) ? CGW_EBUSY : real->post(inst, cb, arg);
}

static int sab_watch(struct cgw_inst *inst, int fd, uint32_t events, cgw_fd_cb cb, void *arg)
{
    return refuses(&sabotage.refuse_watches) ? CGW_ELIMIT
                                             : real->watch_fd(inst, fd, events, cb, arg);
}

static void sab_credit(struct cgw_inst *inst, uint32_t lane, uint32_t n)
{
    if (lane >= CGW_LANES) {
        (void)atomic_fetch_add(&sabotage.odd_credit, 1);
        return;
    }
    real->credit(inst, lane, n);
}

static int64_t sab_media_size(uint64_t media)
{
    (void)media;
    int64_t n = atomic_load(&sabotage.media_bytes);
    return n < 0 ? CGW_ENOTFOUND : n;
}

static int64_t sab_media_read(uint64_t media, int64_t offset, void *out, size_t n)
{
    int64_t left = atomic_load(&sabotage.media_left) - offset;
    (void)media;
    (void)atomic_fetch_add(&sabotage.media_reads, 1);
    if (left <= 0)
        return CGW_ENOTFOUND;
    size_t got = (int64_t)n < left ? n : (size_t)left;
    memset(out, 'm', got);
    return (int64_t)got;
}

static void sab_complete(struct cgw_inst *inst, const struct cgw_result *results, uint32_t n)
{
    for (uint32_t i = 0; i < n && offered.msgs; i++) {
        const struct cgw_result *r =
            (const void *)((const char *)results + (size_t)i * results->size);
        for (uint32_t k = 0; k < offered.n && k < INSTANCE_BATCH; k++)
            if (offered.msgs[k].token == r->token)
                offered.settled[k] = true;
    }
    real->complete(inst, results, n);
}

static uint32_t sab_submit(void *ch, const struct cgw_message *msgs, uint32_t n)
{
    memset(&offered, 0, sizeof offered);
    offered.msgs = msgs;
    offered.n = n;
    uint32_t taken = real_ops.submit(ch, msgs, n);
    offered.msgs = NULL;
    if (taken > n)
        (void)atomic_fetch_add(&sabotage.took_too_many, 1);
    for (uint32_t k = taken; k < n && k < INSTANCE_BATCH; k++)
        if (offered.settled[k])
            (void)atomic_fetch_add(&sabotage.untaken_settled, 1);
    return taken;
}

static int sab_create(const struct cgw_host *host, struct cgw_inst *inst,
                      const struct cgw_conf *conf, void **ret_ch, struct cgw_diag *diag)
{
    real = host;
    table = *host;
    table.now_utc_ms = sab_now_utc;
    table.timer_new = sab_timer_new;
    table.post = sab_post;
    table.watch_fd = sab_watch;
    table.credit = sab_credit;
    table.complete = sab_complete;
    table.media_size = sab_media_size;
    table.media_read = sab_media_read;
    return real_ops.create(&table, inst, conf, ret_ch, diag);
}

void sabotage_services(const struct checker *k)
{
    if (k->plugin->channel.create == sab_create)
        return;
    real_ops = k->plugin->channel;
    k->plugin->channel.create = sab_create;
    k->plugin->channel.submit = sab_submit;
}

/* ---- calls on the loop */

struct loop_call {
    void (*fn)(void *ch, void *arg);
    void *ch, *arg;
    pthread_mutex_t lock;
    pthread_cond_t done;
    bool is_done;
};

static void run_call(void *arg)
{
    struct loop_call *c = arg;
    c->fn(c->ch, c->arg);
    (void)pthread_mutex_lock(&c->lock);
    c->is_done = true;
    (void)pthread_cond_signal(&c->done);
    (void)pthread_mutex_unlock(&c->lock);
}

bool sabotage_on_loop(struct plugin_instance *inst, void (*fn)(void *ch, void *arg), void *arg)
{
    static struct loop_call c; /* static: a loop that answers too late still writes to it */
    struct timespec until;
    c = (struct loop_call){.fn = fn, .ch = inst->ch, .arg = arg};
    (void)pthread_mutex_init(&c.lock, NULL);
    (void)pthread_cond_init(&c.done, NULL);
    if (mail_post(inst, run_call, &c))
        return false;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += ON_LOOP_SECONDS;
    (void)pthread_mutex_lock(&c.lock);
    while (!c.is_done && !pthread_cond_timedwait(&c.done, &c.lock, &until))
        continue;
    bool done = c.is_done;
    (void)pthread_mutex_unlock(&c.lock);
    return done;
}
