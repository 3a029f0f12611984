/* SPDX-License-Identifier: Apache-2.0 */
/* host_table.c - the services that plugins see (cgw/host.h), each a thin door to the instance
 * behind the opaque pointer. Knows nothing that is not wired in by main: addresses and media are
 * somebody else's. */
#include "plugin/host_int.h"

#include "base/clock.h"
#include "base/log.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct host_services services;

void host_set_services(const struct host_services *s)
{
    services = *s;
}

/* ---- log and counters
 * ------------------------------------------------------------------------------------------------------------
 */

static enum log_level level_of(uint32_t level)
{
    switch (level) {
    case CGW_LOG_ERROR:
        return LOG_L_ERROR;
    case CGW_LOG_WARNING:
        return LOG_L_WARNING;
    case CGW_LOG_DEBUG:
        return LOG_L_DEBUG;
    default:
        return LOG_L_INFO;
    }
}

static void remember_error(struct plugin_instance *in, const char *event, const char *kv)
{
    (void)pthread_mutex_lock(&in->lock);
    (void)snprintf(in->last_error, sizeof in->last_error, "%s %s", event, kv);
    in->last_error_utc_ms = clock_utc_ms();
    (void)pthread_mutex_unlock(&in->lock);
}

static void host_log(struct cgw_inst *inst, uint32_t level, const char *event, const char *kv)
{
    struct plugin_instance *in = inst_of(inst);
    const char *text = kv ? kv : "";
    if (level <= CGW_LOG_ERROR)
        remember_error(in, event, text);
    log_event(level_of(level), event, "instance=%s %s", in->name, text);
}

static void host_count(struct cgw_inst *inst, uint32_t counter, uint64_t n)
{
    struct plugin_instance *in = inst_of(inst);
    if (counter >= in->plugin->n_counters)
        return;
    (void)atomic_fetch_add(&in->counters[counter], n);
    metric_add(in->counter_metrics[counter], (double)n);
}

/* ---- options: open during create() only
 * --------------------------------------------------------------------------------------- */

static const char *host_inst_name(const struct cgw_inst *inst)
{
    return inst_of(inst)->name;
}

/* ---- messages
 * ----------------------------------------------------------------------------------------------------------------------
 */

static void host_credit(struct cgw_inst *inst, uint32_t lane, uint32_t n)
{
    submit_credit(inst_of(inst), lane, n);
}

static void host_complete(struct cgw_inst *inst, const struct cgw_result *results, uint32_t n)
{
    settle_results(inst_of(inst), results, n);
}

static uint32_t host_receipt(struct cgw_inst *inst, const struct cgw_receipt *items, uint32_t n)
{
    return settle_receipts(inst_of(inst), items, n);
}

static uint32_t host_inbound(struct cgw_inst *inst, const struct cgw_inbound *items, uint32_t n)
{
    return settle_inbound(inst_of(inst), items, n);
}

static void host_drained(struct cgw_inst *inst)
{
    inst_set_drained(inst_of(inst));
}

/* ---- loop
 * ----------------------------------------------------------------------------------------------------------------------------
 */

static struct cgw_timer *host_timer_new(struct cgw_inst *inst, cgw_timer_cb cb, void *arg)
{
    struct plugin_instance *in = inst_of(inst);
    struct cgw_timer *t = NULL;
    if (!loop_is_self(in->loop) || in->n_timers == INSTANCE_TIMERS || !(t = calloc(1, sizeof *t)))
        return NULL;
    t->timer = loop_timer_new(in->loop, cb, arg, in);
    if (!t->timer) {
        free(t);
        return NULL;
    }
    t->inst = in;
    t->next = in->timers;
    t->prev = &in->timers;
    if (t->next)
        t->next->prev = &t->next;
    in->timers = t;
    in->n_timers++;
    return t;
}

static void host_timer_set(struct cgw_timer *t, int64_t at_mono_ms)
{
    if (t)
        loop_timer_set(t->timer, at_mono_ms);
}

static void host_timer_free(struct cgw_timer *t)
{
    if (!t)
        return;
    *t->prev = t->next;
    if (t->next)
        t->next->prev = t->prev;
    t->inst->n_timers--;
    loop_timer_free(t->timer);
    free(t);
}

static int host_watch_fd(struct cgw_inst *inst, int fd, uint32_t events, cgw_fd_cb cb, void *arg)
{
    struct plugin_instance *in = inst_of(inst);
    if (!loop_is_self(in->loop))
        return CGW_ESTATE;
    return loop_watch(in->loop, fd, events, cb, arg, in);
}

static void host_unwatch_fd(struct cgw_inst *inst, int fd)
{
    struct plugin_instance *in = inst_of(inst);
    loop_unwatch(in->loop, fd, in);
}

static int host_post(struct cgw_inst *inst, cgw_timer_cb cb, void *arg)
{
    return mail_post(inst_of(inst), cb, arg);
}

/* ---- helpers
 * --------------------------------------------------------------------------------------------------------------------------
 */

static int host_address_normalise(uint32_t kind, const char *text, const char *default_region,
                                  char *out, size_t out_size)
{
    return services.address_normalise
               ? services.address_normalise(kind, text, default_region, out, out_size)
               : CGW_ENOTFOUND;
}

static int64_t host_media_size(uint64_t media)
{
    return services.media_size ? services.media_size(media) : CGW_ENOTFOUND;
}

static int64_t host_media_read(uint64_t media, int64_t offset, void *out, size_t n)
{
    return services.media_read ? services.media_read(media, offset, out, n) : CGW_ENOTFOUND;
}

static void host_reply(struct cgw_inst *inst, uint64_t request_id, uint32_t status,
                       const char *content_type, const char *body, uint32_t len)
{
    mail_reply(inst_of(inst), request_id, status, content_type, body, len);
}

const struct cgw_host host_table = {
    .size = sizeof(struct cgw_host),
    .abi_minor = CGW_ABI_MINOR,
    .now_mono_ms = clock_mono_ms,
    .now_utc_ms = clock_utc_ms,
    .log = host_log,
    .mask = log_mask,
    .count = host_count,
    .conf_int = conf_int,
    .conf_str = conf_str,
    .conf_count = conf_count,
    .conf_item = conf_item,
    .inst_name = host_inst_name,
    .credit = host_credit,
    .complete = host_complete,
    .receipt = host_receipt,
    .inbound = host_inbound,
    .drained = host_drained,
    .timer_new = host_timer_new,
    .timer_set = host_timer_set,
    .timer_free = host_timer_free,
    .watch_fd = host_watch_fd,
    .unwatch_fd = host_unwatch_fd,
    .post = host_post,
    .address_normalise = host_address_normalise,
    .media_size = host_media_size,
    .media_read = host_media_read,
    .reply = host_reply,
};
