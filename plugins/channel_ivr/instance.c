/* SPDX-License-Identifier: Apache-2.0 */
/* instance.c - the operations, on the gateway's loop: they read options, copy messages, and post to
 * the libre thread, where the rest happens. Also what goes back: credit, logs, drained(). */
#include "instance.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REOPEN_MS 5000      /* when the SIP port is taken */
#define DRAIN_MARGIN_MS 100 /* before the deadline: time to tell that all is settled */
#define AHEAD_MS 500u       /* see tell_credit() */

int64_t ivr_now_ms(const struct ivr_chan *ch)
{
    return ch->host->now_mono_ms();
}

void ivr_count(struct ivr_chan *ch, enum ivr_counter counter, uint64_t n)
{
    ch->host->count(ch->inst, (uint32_t)counter, n);
}

void ivr_log(struct ivr_chan *ch, uint32_t level, const char *event, const char *fmt, ...)
{
    char kv[320];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(kv, sizeof kv, fmt, ap);
    va_end(ap);
    ch->host->log(ch->inst, level, event, kv);
}

/* ---- credit: told on the gateway's loop only ---- */

static uint32_t less(uint32_t a, uint32_t b)
{
    return a > b ? a - b : 0;
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Bulk beyond the voices: prompts (spoken, or read from a file) are made by few threads, and each
 * call may want its own. At least one while nothing is in hand: who asks for nothing then counts as
 * down. */
static uint32_t voices(const struct ivr_chan *ch, uint32_t in_hand)
{
    uint32_t speaking = atomic_load(&ch->speaking);
    if (!speaking)
        return UINT32_MAX;
    uint32_t n = less(ch->opt.tts_workers + 1, speaking + atomic_load(&ch->coming));
    return n || in_hand ? n : 1;
}

/* A message has a second from its intent to the wire. So only as many are asked for as are dialled
 * in half of it, each lane by itself: what waits longer would go back for nothing. The urgent are
 * spoken in their turn, whoever waits for a voice. */
static void tell_credit(struct ivr_chan *ch)
{
    uint32_t calls = ch->opt.calls, reserve = calls * ch->opt.urgent_percent / 100;
    uint32_t queue = (atomic_load(&ch->cps_up) * AHEAD_MS + 999) / 1000;
    uint32_t in_hand = atomic_load(&ch->in_hand);
    uint32_t room = atomic_load(&ch->draining) ? 0 : less(calls, in_hand);
    uint32_t bulk = less(queue, atomic_load(&ch->waiting[CGW_LANE_BULK]));
    uint32_t urgent = less(queue, atomic_load(&ch->waiting[CGW_LANE_URGENT]));
    bulk = least(least(bulk, voices(ch, in_hand)), less(room, reserve));
    ch->host->credit(ch->inst, CGW_LANE_BULK, bulk);
    ch->host->credit(ch->inst, CGW_LANE_URGENT, least(urgent, room));
}

static void on_load(void *ctx, uint32_t waiting)
{
    struct ivr_chan *ch = ctx;
    atomic_store(&ch->speaking, waiting);
    ivr_tell_credit(ch);
}

static void on_credit(void *arg)
{
    struct ivr_chan *ch = arg;
    atomic_store(&ch->credit_posted, false);
    tell_credit(ch);
}

/* One post at a time; when the queue of posts is full, the next call that ends tries again. */
void ivr_tell_credit(struct ivr_chan *ch)
{
    if (ch->drain_told || atomic_exchange(&ch->credit_posted, true))
        return;
    if (ch->host->post(ch->inst, on_credit, ch) != 0)
        atomic_store(&ch->credit_posted, false);
}

/* ---- life ---- */

int ivr_op_create(const struct cgw_host *host, struct cgw_inst *inst, const struct cgw_conf *conf,
                  void **ret, struct cgw_diag *diag)
{
    struct ivr_chan *ch = calloc(1, sizeof *ch);
    if (!ch) {
        (void)snprintf(diag->text, sizeof diag->text, "there is no memory for an instance");
        return diag->code = CGW_ELIMIT;
    }
    ch->host = host;
    ch->inst = inst;
    int rc = ivr_options_read(host, conf, &ch->opt, diag);
    if (rc != 0) {
        ivr_options_free(&ch->opt);
        free(ch);
        return rc;
    }
    (void)pthread_mutex_init(&ch->lock, NULL);
    ivr_list_init(&ch->preparing);
    ivr_list_init(&ch->active);
    for (uint32_t i = 0; i < CGW_LANES; i++)
        ivr_list_init(&ch->ready[i]);
    ch->last_answer = &ch->answers;
    ch->health.since_utc_ms = host->now_utc_ms();
    (void)snprintf(ch->health.text, sizeof ch->health.text, "SIP is not open yet");
    *ret = ch;
    return 0;
}

static void on_inbox_due(void *arg)
{
    struct ivr_chan *ch = arg;
    ivr_inbox_push(ch);
    ivr_drain_look(ch);
}

static void on_rested(void *arg)
{
    ivr_health_update(arg);
    ivr_dial_kick(arg);
}

static void on_drain_due(void *arg)
{
    ivr_drain_look(arg);
}

static void open_sip(void *arg)
{
    struct ivr_chan *ch = arg;
    struct ivr_sip_conf conf = {.local = ch->opt.local,
                                .port = ch->opt.sip_port,
                                .codecs = {ch->opt.codecs[0], ch->opt.codecs[1]},
                                .n_codecs = ch->opt.n_codecs};
    if (atomic_load(&ch->draining))
        return;
    ch->sip_error = ivr_sip_open(&ch->sip, &conf);
    if (ch->sip_error) {
        ivr_log(ch, CGW_LOG_ERROR, "ivr.sip.failed", "port=%u error=\"%s\" next_ms=%d", conf.port,
                strerror(ch->sip_error), REOPEN_MS);
        ivr_health_update(ch);
        ivr_timer_set(ch->dial_timer, REOPEN_MS);
        return;
    }
    ivr_contacts_start(ch);
}

static void on_dial_due(void *arg)
{
    struct ivr_chan *ch = arg;
    if (ch->sip)
        ivr_dial_run(ch);
    else
        open_sip(ch);
}

struct message { /* to the libre thread, about the instance */
    struct ivr_task task;
    struct ivr_chan *ch;
    int64_t deadline_ms;
    uint32_t n;
    uint64_t tokens[];
};

static struct message *new_message(struct ivr_chan *ch, void (*run)(struct ivr_task *), uint32_t n)
{
    struct message *m = calloc(1, sizeof *m + n * sizeof m->tokens[0]);
    if (m) {
        m->task.run = run;
        m->ch = ch;
        m->n = n;
    }
    return m;
}

static void run_start(struct ivr_task *t)
{
    struct message *m = (struct message *)t;
    struct ivr_chan *ch = m->ch;
    free(m);
    ch->dial_timer = ivr_timer_new(on_dial_due, ch);
    ch->inbox_timer = ivr_timer_new(on_inbox_due, ch);
    ch->drain_timer = ivr_timer_new(on_drain_due, ch);
    ch->rest_timer = ivr_timer_new(on_rested, ch);
    if (ch->dial_timer && ch->inbox_timer && ch->drain_timer && ch->rest_timer)
        open_sip(ch);
}

int ivr_op_start(void *arg)
{
    struct ivr_chan *ch = arg;
    struct ivr_clips_conf clips = {.load = on_load,
                                   .ctx = ch,
                                   .workers = ch->opt.tts_workers,
                                   .max_bytes = ch->opt.prompt_cache_bytes,
                                   .command = ch->opt.tts_command,
                                   .timeout_ms = ch->opt.tts_timeout_ms,
                                   .media_size = ch->host->media_size,
                                   .media_read = ch->host->media_read};
    struct message *m = new_message(ch, run_start, 0);
    if (!m || ivr_loop_hold() < 0) {
        free(m);
        return CGW_ELIMIT;
    }
    if (ivr_clips_new(&ch->clips, &clips) != 0) {
        ivr_loop_release();
        free(m);
        return CGW_ELIMIT;
    }
    ch->started = true;
    ivr_loop_post(&m->task);
    return 0;
}

/* ---- messages ---- */

static void run_call(struct ivr_task *t)
{
    struct ivr_call *c = (struct ivr_call *)t;
    (void)atomic_fetch_sub(&c->ch->coming, 1);
    ivr_call_begin(c);
}

uint32_t ivr_op_submit(void *arg, const struct cgw_message *msgs, uint32_t n)
{
    struct ivr_chan *ch = arg;
    uint32_t taken = 0;
    if (!ch->started || atomic_load(&ch->draining))
        return 0;
    while (taken < n && atomic_load(&ch->in_hand) < ch->opt.calls) {
        struct ivr_call *c = ivr_call_new(ch, &msgs[taken]);
        if (!c)
            break;
        (void)atomic_fetch_add(&ch->in_hand, 1);
        (void)atomic_fetch_add(&ch->waiting[c->lane], 1);
        (void)atomic_fetch_add(&ch->coming, 1);
        c->task.run = run_call;
        ivr_loop_post(&c->task);
        taken++;
    }
    tell_credit(ch);
    return taken;
}

void ivr_op_stored(void *arg, const uint64_t *acks, uint32_t n)
{
    (void)arg; /* a call gets no answer for what was pressed */
    (void)acks;
    (void)n;
}

static void recall(struct ivr_list *l, const uint64_t *tokens, uint32_t n)
{
    for (struct ivr_call *c = l->first, *next; c; c = next) {
        next = c->next;
        for (uint32_t i = 0; i < n; i++)
            if (tokens[i] == c->token) {
                (void)snprintf(c->why, sizeof c->why, "recalled");
                ivr_call_not_sent(c);
                break;
            }
    }
}

static void run_cancel(struct ivr_task *t)
{
    struct message *m = (struct message *)t;
    recall(&m->ch->preparing, m->tokens, m->n);
    for (uint32_t i = 0; i < CGW_LANES; i++)
        recall(&m->ch->ready[i], m->tokens, m->n);
    free(m);
}

void ivr_op_cancel(void *arg, const uint64_t *tokens, uint32_t n)
{
    struct message *m = new_message(arg, run_cancel, n);
    if (!m)
        return;
    memcpy(m->tokens, tokens, n * sizeof tokens[0]);
    ivr_loop_post(&m->task);
}

void ivr_op_health(void *arg, struct cgw_health *ret)
{
    struct ivr_chan *ch = arg;
    uint32_t size = ret->size;
    (void)pthread_mutex_lock(&ch->lock);
    struct cgw_health h = ch->health;
    (void)pthread_mutex_unlock(&ch->lock);
    h.links = ch->opt.n_trunks;
    h.window = ch->opt.calls;
    h.window_used = atomic_load(&ch->in_hand);
    h.size = size;
    memcpy(ret, &h, size < sizeof h ? size : sizeof h);
}

/* ---- drain ---- */

static void not_sent_all(struct ivr_list *l)
{
    while (l->first) {
        (void)snprintf(l->first->why, sizeof l->first->why, "the channel is draining");
        ivr_call_not_sent(l->first);
    }
}

/* The deadline: who rings is given up, who talks is hung up. */
static void end_active(struct ivr_chan *ch)
{
    ch->ending = true; /* each one that is settled looks here again */
    while (ch->active.first) {
        struct ivr_call *c = ch->active.first;
        if (c->state == IVR_TALKING)
            ivr_call_hang_up(c, "drained");
        else
            ivr_call_give_up(c, CGW_RES_UNKNOWN, "cancelled: the channel is draining");
    }
    ch->ending = false;
}

static void on_drained(void *arg)
{
    struct ivr_chan *ch = arg;
    ch->host->drained(ch->inst);
}

/* All settled, nothing waits for the gateway, and a last BYE had time to be repeated once. */
void ivr_drain_look(struct ivr_chan *ch)
{
    if (!ch->deadline_ms || ch->drain_told || ch->ending)
        return;
    int64_t now = ivr_now_ms(ch), last_ms = ch->deadline_ms - DRAIN_MARGIN_MS;
    if (now >= ch->cut_ms)
        end_active(ch);
    int64_t until = ch->active.first ? ch->cut_ms : ch->answers ? last_ms : 0;
    if (!until && ch->hung_up_ms)
        until = ch->hung_up_ms + IVR_BYE_GRACE_MS;
    if (until > last_ms)
        until = last_ms;
    if (now < until) {
        ivr_timer_set(ch->drain_timer, until - now);
        return;
    }
    if (ch->host->post(ch->inst, on_drained, ch) == 0)
        ch->drain_told = true;
    else
        ivr_timer_set(ch->drain_timer, 10);
}

static void not_sent_queued(struct ivr_chan *ch)
{
    not_sent_all(&ch->preparing);
    for (uint32_t i = 0; i < CGW_LANES; i++)
        not_sent_all(&ch->ready[i]);
}

static void run_drain(struct ivr_task *t)
{
    struct message *m = (struct message *)t;
    struct ivr_chan *ch = m->ch;
    int64_t deadline_ms = m->deadline_ms, left_ms = deadline_ms - ivr_now_ms(ch);
    free(m);
    ivr_contacts_stop(ch);
    not_sent_queued(ch);
    ch->deadline_ms = deadline_ms;
    /* Half of what is left, at most what a lost BYE needs; but calls end before drained() is told.
     */
    int64_t rest_ms =
        left_ms > 2 * IVR_BYE_GRACE_MS ? IVR_BYE_GRACE_MS + DRAIN_MARGIN_MS : left_ms / 2;
    ch->cut_ms = deadline_ms - (rest_ms > DRAIN_MARGIN_MS ? rest_ms : DRAIN_MARGIN_MS);
    if (ch->dial_timer)
        ivr_timer_set(ch->dial_timer, -1);
    ivr_drain_look(ch);
}

void ivr_op_drain(void *arg, int64_t deadline_mono_ms)
{
    struct ivr_chan *ch = arg;
    struct message *m = ch->started ? new_message(ch, run_drain, 0) : NULL;
    atomic_store(&ch->draining, true);
    tell_credit(ch);
    if (!m) {
        ch->host->drained(ch->inst);
        return;
    }
    m->deadline_ms = deadline_mono_ms;
    ivr_loop_post(&m->task);
}

static void close_all(void *arg)
{
    struct ivr_chan *ch = arg;
    ivr_contacts_stop(ch);
    ch->sip = ivr_sip_close(ch->sip);
    ivr_inbox_free(ch);
    ch->dial_timer = ivr_timer_free(ch->dial_timer);
    ch->inbox_timer = ivr_timer_free(ch->inbox_timer);
    ch->drain_timer = ivr_timer_free(ch->drain_timer);
    ch->rest_timer = ivr_timer_free(ch->rest_timer);
    ivr_clips_free(ch->clips);
}

void ivr_op_destroy(void *arg)
{
    struct ivr_chan *ch = arg;
    if (ch->started) {
        ivr_clips_stop(ch->clips);
        ivr_loop_call(close_all, ch);
        ivr_loop_release();
    }
    ivr_options_free(&ch->opt);
    (void)pthread_mutex_destroy(&ch->lock);
    free(ch);
}
