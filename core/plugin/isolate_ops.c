/* SPDX-License-Identifier: Apache-2.0 */
/* isolate_ops.c - the channel operations of an isolated instance that stand for its plugin's own,
 * and what can be asked of it from outside. Traffic is isolate_out.c and isolate_take.c. */
#include "plugin/isolate_int.h"

#include "base/clock.h"
#include "base/log.h"
#include <errno.h>
#include <stdio.h>

/* ---- operations
 * ------------------------------------------------------------------------------------------------------------------------
 */

/* Serves the process until it is in the phase that is waited for, and its health is known. Only at
 * the very beginning, when nothing else runs on this loop. */
static int serve_until(struct isolate *s, enum isolate_phase phase)
{
    int64_t until = clock_mono_ms() + ISOLATE_CREATE_MS;
    bool asked = false;
    while (s->phase != ISO_DOWN && (s->phase < phase || (phase == ISO_UP && !s->health.size))) {
        if (s->phase == ISO_UP && !asked) {
            isolate_ping(s, clock_mono_ms());
            asked = true;
            continue;
        }
        /* what the socket did not take at once (certificates) follows as it reads */
        bool more = s->out != NULL;
        if (!child_wait(s->child.main_fd, more ? clock_mono_ms() + 5 : until) &&
            (!more || clock_mono_ms() >= until)) {
            isolate_lost(s, END_HANG, "hung: it did not answer in time");
            return diag_set(&s->why, CGW_EBUSY, "",
                            "the plugin's process did not answer within %d ms", ISOLATE_CREATE_MS);
        }
        isolate_flush(s);
        (void)isolate_serve(s);
    }
    if (s->phase != ISO_DOWN)
        return 0;
    return s->why.code
               ? s->why.code
               : diag_set(&s->why, CGW_ESTATE, "", "the plugin's process %s", s->status.last_end);
}

static struct isolate *isolate_new(struct plugin_instance *in)
{
    struct isolate *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->in = in;
    s->child = (struct child_process){.main_fd = -1, .check_fd = -1, .media_fd = -1};
    s->out_end = &s->out;
    s->pending_end = &s->pending;
    s->status.isolated = true;
    (void)pthread_mutex_init(&s->status_lock, NULL);
    isolate_asking_init(s);
    return s;
}

static void isolate_free(struct isolate *s)
{
    isolate_out_drop(s);
    isolate_pending_drop(s);
    frame_reader_done(&s->reader);
    frame_reader_done(&s->media_reader);
    isolate_asking_done(s);
    (void)pthread_mutex_destroy(&s->status_lock);
    free(s);
}

/* The instance puts its name and the option in front itself. */
static void give_reason(const struct isolate *s, struct cgw_diag *diag)
{
    char front[160];
    const char *text = s->why.text;
    int n = snprintf(front, sizeof front, "instance %s: ", s->in->name);
    if (!strncmp(text, front, (size_t)n))
        text += n;
    n = snprintf(front, sizeof front, "%s: ", s->why.where);
    if (*s->why.where && !strncmp(text, front, (size_t)n))
        text += n;
    (void)snprintf(diag->where, sizeof diag->where, "%.60s", s->why.where);
    (void)snprintf(diag->text, sizeof diag->text, "%s", text);
}

static int op_create(const struct cgw_host *host, struct cgw_inst *inst,
                     const struct cgw_conf *conf, void **ret_ch, struct cgw_diag *diag)
{
    struct isolate *s = isolate_new(inst_of(inst));
    (void)conf;
    if (!s)
        return -ENOMEM;
    s->tick = host->timer_new(inst, isolate_tick, s);
    s->retry_pending = host->timer_new(inst, isolate_pending_offer, s);
    int rc = s->tick && s->retry_pending ? isolate_bring_up(s) : -ENOMEM;
    if (!rc)
        rc = serve_until(s, ISO_CREATED);
    if (rc) {
        give_reason(s, diag);
        isolate_free(s);
        return rc;
    }
    host->timer_set(s->tick, clock_mono_ms() + ISOLATE_PING_MS);
    *ret_ch = s;
    return 0;
}

static int op_start(void *ch)
{
    struct isolate *s = ch;
    s->start_wanted = true;
    if (s->phase == ISO_DOWN)
        return CGW_ESTATE;
    s->phase = ISO_STARTING;
    s->phase_since_ms = clock_mono_ms();
    isolate_send_bare(s, FRAME_START);
    int rc = serve_until(s, ISO_UP);
    if (rc)
        log_error("isolation.start.failed", "instance=%s msg=\"%s\"", s->in->name, s->why.text);
    return rc;
}

static void op_health(void *ch, struct cgw_health *ret)
{
    struct isolate *s = ch;
    if (s->phase == ISO_UP && s->health.size) {
        *ret = s->health;
        return;
    }
    *ret = (struct cgw_health){.size = sizeof *ret};
    if (s->phase == ISO_DOWN)
        (void)snprintf(ret->text, sizeof ret->text,
                       "the plugin's process %s; a new one starts in %lld ms", s->status.last_end,
                       (long long)(s->retry_ms - clock_mono_ms()));
    else
        (void)snprintf(ret->text, sizeof ret->text, "the plugin's process is starting");
}

static void op_drain(void *ch, int64_t deadline_mono_ms)
{
    struct isolate *s = ch;
    s->draining = true;
    s->restarting = false;
    if (s->phase == ISO_DOWN) {
        host_table.drained(&s->in->pub);
    } else if (s->phase != ISO_UP) { /* it holds nothing */
        isolate_lost(s, END_RESTART, "was stopped");
    } else {
        struct buf b;
        buf_init(&b, 64);
        size_t at = frame_begin(&b, FRAME_DRAIN);
        frame_i64(&b, deadline_mono_ms);
        frame_end(&b, at);
        isolate_send(s, &b, NULL, 0);
    }
}

static void op_destroy(void *ch)
{
    struct isolate *s = ch;
    if (s->phase != ISO_DOWN) {
        isolate_asking_set(s, -1);
        isolate_send_bare(s, FRAME_STOP);
    }
    if (s->phase != ISO_DOWN) {
        host_table.unwatch_fd(&s->in->pub, s->child.main_fd);
        host_table.unwatch_fd(&s->in->pub, s->child.media_fd);
        (void)child_end(&s->child, ISOLATE_STOP_MS);
    }
    isolate_free(s);
}

const struct cgw_channel_ops isolate_ops = {
    .size = sizeof(struct cgw_channel_ops),
    .create = op_create,
    .start = op_start,
    .check = isolate_check,
    .submit = isolate_submit,
    .stored = isolate_stored,
    .cancel = isolate_cancel,
    .query = isolate_query,
    .health = op_health,
    .drain = op_drain,
    .destroy = op_destroy,
    .tally = isolate_tally,
    .recall = isolate_recall,
};

/* ---- from outside
 * ------------------------------------------------------------------------------------------------------------------------
 */

void isolate_status(const struct plugin_instance *inst, struct isolate_status *ret)
{
    struct isolate *s = isolate_of(inst);
    *ret = (struct isolate_status){0};
    if (!s)
        return;
    (void)pthread_mutex_lock(&s->status_lock);
    *ret = s->status;
    (void)pthread_mutex_unlock(&s->status_lock);
}

struct restart_call {
    struct isolate *s;
    int rc;
};

static void restart_on_loop(void *arg)
{
    struct restart_call *c = arg;
    struct isolate *s = c->s;
    int64_t now = clock_mono_ms(), until = now + ISOLATE_DRAIN_MS;
    if (s->draining || !s->start_wanted) {
        c->rc = CGW_ESTATE;
        return;
    }
    if (s->phase == ISO_DOWN) {
        s->retry_ms = now;
        s->retry_wait_ms = 0;
        host_table.timer_set(s->tick, now);
        return;
    }
    if (s->phase != ISO_UP || s->restarting)
        return; /* a new one is on its way */
    s->restarting = true;
    s->restart_until_ms = until + DRAIN_GRACE_MS;
    for (uint32_t lane = 0; lane < CGW_LANES; lane++)
        host_table.credit(&s->in->pub, lane, 0);
    struct buf b;
    buf_init(&b, 64);
    size_t at = frame_begin(&b, FRAME_DRAIN);
    frame_i64(&b, until);
    frame_end(&b, at);
    isolate_send(s, &b, NULL, 0);
}

int isolate_restart(struct plugin_instance *inst, struct diag *diag)
{
    struct restart_call c = {isolate_of(inst), 0};
    if (!c.s)
        return diag_set(diag, CGW_ESTATE, "",
                        "instance %s runs inside the gateway: restart the gateway, or set "
                        "isolation = \"process\"",
                        inst->name);
    loop_call(inst->loop, restart_on_loop, &c);
    return c.rc ? diag_set(diag, c.rc, "", "instance %s is not running", inst->name) : 0;
}
