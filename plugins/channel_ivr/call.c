/* SPDX-License-Identifier: Apache-2.0 */
/* call.c - life of one call: copied from the message, prompts made, dialled (dial.c), talked to
 * (call_flow.c), settled exactly once. */
#include "instance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- lists ---- */

void ivr_list_init(struct ivr_list *l)
{
    l->first = NULL;
    l->last = &l->first;
}

static void insert(struct ivr_list *l, struct ivr_call **at, struct ivr_call *c)
{
    c->next = *at;
    c->link = at;
    *at = c;
    if (c->next)
        c->next->link = &c->next;
    else
        l->last = &c->next;
}

void ivr_list_add(struct ivr_list *l, struct ivr_call *c)
{
    insert(l, l->last, c);
}

void ivr_list_add_first(struct ivr_list *l, struct ivr_call *c)
{
    insert(l, &l->first, c);
}

void ivr_list_remove(struct ivr_list *l, struct ivr_call *c)
{
    if (!c->link)
        return;
    *c->link = c->next;
    if (c->next)
        c->next->link = c->link;
    else
        l->last = c->link;
    c->link = NULL;
}

/* ---- from a message; on the gateway's loop ---- */

static bool copy_part(struct cgw_part *to, const struct cgw_part *from)
{
    *to = (struct cgw_part){.role = from->role, .len = from->len, .media = from->media};
    if (from->media)
        return true;
    char *body = malloc(from->len ? from->len : 1);
    if (body && from->len)
        memcpy(body, from->body, from->len);
    to->body = body;
    return body != NULL;
}

/* A flow that cannot be read makes a call without one: it is refused in its turn. */
static bool copy_content(struct ivr_call *c, const struct cgw_message *m)
{
    const char *names[CGW_PARTS_MAX];
    const struct cgw_part *flow = NULL;
    struct ivr_flow_error err = {{0}, "the message has no FLOW part"};
    c->parts = calloc(m->n_parts, sizeof *c->parts);
    if (!c->parts)
        return false;
    for (uint32_t i = 0; i < m->n_parts && i < CGW_PARTS_MAX; i++) {
        if (m->parts[i].role == CGW_ROLE_FLOW)
            flow = &m->parts[i];
        if (m->parts[i].role != CGW_ROLE_MEDIA)
            continue;
        names[c->n_parts] = m->parts[i].name;
        if (!copy_part(&c->parts[c->n_parts++], &m->parts[i]))
            return false;
    }
    if (flow)
        c->flow = ivr_flow_parse(flow->body ? flow->body : "", flow->len, names, c->n_parts, &err);
    if (!c->flow)
        (void)snprintf(c->why, sizeof c->why, "%.159s", err.text);
    return true;
}

static void free_call(struct ivr_call *c)
{
    for (uint32_t i = 0; c->flow && i < c->flow->n_says; i++) {
        ivr_clip_unwait(&c->waits[i]);
        ivr_clip_put(c->clips[i]);
    }
    for (uint32_t i = 0; i < c->n_parts; i++)
        free((void *)c->parts[i].body);
    free(c->parts);
    ivr_flow_free(c->flow);
    (void)ivr_timer_free(c->phase);
    (void)ivr_timer_free(c->wait);
    free(c);
}

struct ivr_call *ivr_call_new(struct ivr_chan *ch, const struct cgw_message *m)
{
    struct ivr_call *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->ch = ch;
    c->token = m->token;
    c->lane = m->lane < CGW_LANES ? m->lane : CGW_LANE_BULK;
    c->to_kind = m->to.kind;
    (void)snprintf(c->to, sizeof c->to, "%s", m->to.text);
    c->from_kind = m->from.kind;
    (void)snprintf(c->from, sizeof c->from, "%s", m->from.kind ? m->from.text : ch->opt.caller_id);
    c->submit_before_ms = m->submit_before_mono_ms;
    int64_t left_ms = m->not_after_utc_ms - ch->host->now_utc_ms();
    c->end_ms = ivr_now_ms(ch) + (left_ms > INT32_MAX ? INT32_MAX : left_ms);
    c->trunk = -1;
    c->node = IVR_NOWHERE;
    if (!copy_content(c, m)) {
        free_call(c);
        return NULL;
    }
    return c;
}

/* ---- settling ---- */

static struct ivr_list *list_of(struct ivr_call *c)
{
    if (c->state == IVR_PREPARING)
        return &c->ch->preparing;
    return c->state == IVR_READY ? &c->ch->ready[c->lane] : &c->ch->active;
}

void ivr_call_settle(struct ivr_call *c, const struct cgw_result *r)
{
    struct ivr_chan *ch = c->ch;
    const char *id = c->call_id;
    struct cgw_result full = *r;
    full.size = sizeof full;
    full.token = c->token;
    full.code_space = "sip.status";
    if (c->call_id[0] && r->result != CGW_RES_NOT_SENT) {
        full.n_ids = 1;
        full.provider_ids = &id;
    }
    ivr_list_remove(list_of(c), c);
    if (c->state < IVR_DIALLING)
        (void)atomic_fetch_sub(&ch->waiting[c->lane], 1);
    if (c->leg)
        ch->hung_up_ms = ivr_now_ms(ch);
    c->leg = ivr_leg_free(c->leg);
    c->media = ivr_media_close(c->media);
    ivr_trunk_release(c);
    ch->host->complete(ch->inst, &full, 1);
    (void)atomic_fetch_sub(&ch->in_hand, 1);
    free_call(c);
    ivr_tell_credit(ch);
    ivr_dial_kick(ch);
    ivr_drain_look(ch);
}

void ivr_call_not_sent(struct ivr_call *c)
{
    ivr_call_settle(c, &(struct cgw_result){.result = CGW_RES_NOT_SENT, .raw = c->why});
}

void ivr_call_give_up(struct ivr_call *c, uint32_t result, const char *why)
{
    ivr_call_settle(c, &(struct cgw_result){.result = result, .code = c->last_status, .raw = why});
}

/* Answered: what was reached, and how it went. The words of `raw` are listed in README.md. */
void ivr_call_hang_up(struct ivr_call *c, const char *end)
{
    char raw[CGW_RAW_MAX];
    int64_t now = ivr_now_ms(c->ch), talk_ms = now - c->answered_ms;
    const struct ivr_trunk *t = &c->ch->opt.trunks[c->trunk];
    (void)snprintf(raw, sizeof raw, "end=%s ring_ms=%lld talk_ms=%lld digits=%s trunk=%.64s", end,
                   (long long)(c->answered_ms - c->dialled_ms), (long long)talk_ms, c->pressed,
                   t->host);
    uint32_t seconds = (uint32_t)((talk_ms + 999) / 1000);
    ivr_count(c->ch, IVR_C_TALK_SECONDS, seconds);
    ivr_call_settle(c, &(struct cgw_result){.result = CGW_RES_DELIVERED,
                                            .sub = CGW_SUB_ANSWERED,
                                            .code = 200,
                                            .quantity = seconds,
                                            .raw = raw});
}

/* ---- prompts ---- */

/* A text that could not be spoken may be spoken later; a file that is no sound stays none. */
static void prompts_failed(struct ivr_call *c, const struct ivr_clip *clip)
{
    bool later = !clip || ivr_clip_is_speech(clip);
    (void)snprintf(c->why, sizeof c->why, "prompt: %s",
                   clip ? ivr_clip_why(clip) : "too many are being made");
    ivr_count(c->ch, IVR_C_PROMPTS_MADE_FAILED, 1);
    ivr_log(c->ch, CGW_LOG_WARNING, "ivr.prompt.failed", "why=\"%s\"", c->why);
    ivr_call_settle(c, &(struct cgw_result){.result = later ? CGW_RES_NOT_SENT : CGW_RES_REFUSED,
                                            .raw = c->why});
}

static void prompts_ready(struct ivr_call *c)
{
    for (uint32_t i = 0; i < c->flow->n_says; i++)
        if (c->clips[i] && ivr_clip_state(c->clips[i]) == IVR_CLIP_FAILED) {
            prompts_failed(c, c->clips[i]);
            return;
        }
    ivr_list_remove(&c->ch->preparing, c);
    c->state = IVR_READY;
    ivr_dial_ready(c);
}

static void on_clip(void *arg)
{
    struct ivr_call *c = arg;
    if (--c->clips_missing == 0)
        prompts_ready(c);
}

/* \return false when the call is gone. */
static bool get_clip(struct ivr_call *c, uint32_t i)
{
    const struct ivr_say *say = &c->flow->says[i];
    struct ivr_source s = {0};
    if (say->kind == IVR_SAY_PAUSE)
        return true;
    if (say->kind == IVR_SAY_TEXT) {
        s.text = say->text;
        s.voice = c->flow->voice[0] ? c->flow->voice : c->ch->opt.voice;
    } else {
        s.media = c->parts[say->part].media;
        s.body = c->parts[say->part].body;
        s.len = c->parts[say->part].len;
    }
    c->waits[i].done = on_clip;
    c->waits[i].arg = c;
    c->clips[i] = ivr_clip_get(c->ch->clips, &s, &c->waits[i]);
    if (!c->clips[i]) {
        prompts_failed(c, NULL);
        return false;
    }
    c->clips_missing += ivr_clip_state(c->clips[i]) == IVR_CLIP_MAKING;
    return true;
}

static void on_phase(void *arg)
{
    ivr_call_not_sent(arg); /* not dialled by submit_before; dial.c sets its own later */
}

void ivr_call_begin(struct ivr_call *c)
{
    ivr_list_add(&c->ch->preparing, c);
    c->state = IVR_PREPARING;
    int64_t left_ms = c->submit_before_ms - ivr_now_ms(c->ch);
    if (!c->flow) {
        ivr_call_settle(c, &(struct cgw_result){.result = CGW_RES_REFUSED, .raw = c->why});
        return;
    }
    if (left_ms <= 0 || c->end_ms <= ivr_now_ms(c->ch) || atomic_load(&c->ch->draining)) {
        (void)snprintf(c->why, sizeof c->why, "too late to dial");
        ivr_call_not_sent(c);
        return;
    }
    c->phase = ivr_timer_new(on_phase, c);
    if (!c->phase) {
        ivr_call_not_sent(c);
        return;
    }
    (void)snprintf(c->why, sizeof c->why, "no trunk was free before the dial cut-off");
    ivr_timer_set(c->phase, left_ms);
    c->clips_missing = 1; /* until all were asked for */
    for (uint32_t i = 0; i < c->flow->n_says; i++)
        if (!get_clip(c, i))
            return;
    on_clip(c);
}
