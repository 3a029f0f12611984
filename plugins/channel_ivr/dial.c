/* SPDX-License-Identifier: Apache-2.0 */
/* dial.c - the queue of ready calls, the choice of trunk, and a call from INVITE to answer. What a
 * SIP status means: outcome.c. */
#include "instance.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SILENCE_LOOK_MS 2000 /* how often an answered call is looked at */

static const struct ivr_leg_events leg_events;
static const struct ivr_media_events media_events;

void ivr_trunk_release(struct ivr_call *c)
{
    if (c->trunk < 0)
        return;
    c->ch->opt.trunks[c->trunk].used--;
    c->ch->n_active--;
    c->trunk = -1;
}

/* ---- not answered ---- */

static const int8_t counter_of[] = {[CGW_SUB_BUSY] = IVR_C_BUSY,
                                    [CGW_SUB_NO_ANSWER] = IVR_C_NO_ANSWER,
                                    [CGW_SUB_REJECTED] = IVR_C_REJECTED,
                                    [CGW_SUB_BAD_ADDRESS] = IVR_C_BAD_NUMBER,
                                    [CGW_SUB_ROUTE_DOWN] = IVR_C_TRUNK_FAILED};

static void settle_by(struct ivr_call *c, const struct ivr_verdict *v, const char *reason)
{
    char raw[CGW_RAW_MAX];
    int64_t rang = c->rang_ms ? ivr_now_ms(c->ch) - c->rang_ms : 0;
    (void)snprintf(raw, sizeof raw, "end=%s ring_ms=%lld reason=\"%.96s\"", v->word,
                   (long long)rang, reason);
    if (v->sub > 0 && v->sub < sizeof counter_of)
        ivr_count(c->ch, (enum ivr_counter)counter_of[v->sub], 1);
    ivr_call_settle(c, &(struct cgw_result){.result = v->result,
                                            .sub = v->sub,
                                            .flags = v->flags,
                                            .retry_after_ms = v->retry_after_ms,
                                            .code = c->last_status,
                                            .raw = raw});
}

/* Back to the head of the queue, without the trunk that failed. */
static void next_trunk(struct ivr_call *c)
{
    struct ivr_chan *ch = c->ch;
    c->tried |= 1u << c->trunk;
    ch->hung_up_ms = ivr_now_ms(ch);
    c->leg = ivr_leg_free(c->leg);
    c->media = ivr_media_close(c->media);
    ivr_list_remove(&ch->active, c);
    ivr_trunk_release(c);
    c->state = IVR_READY;
    (void)atomic_fetch_add(&ch->waiting[c->lane], 1);
    ivr_list_add_first(&ch->ready[c->lane], c);
    ivr_count(ch, IVR_C_FAILED_OVER, 1);
    ivr_dial_kick(ch);
}

static void not_answered(struct ivr_call *c, int status, int64_t retry_after_ms, const char *reason)
{
    struct ivr_chan *ch = c->ch;
    struct ivr_verdict v;
    ivr_outcome(status, retry_after_ms, &ch->opt.retry, &v);
    c->last_status = status;
    c->retry_after_ms = retry_after_ms;
    if (v.trunk_rests) {
        struct ivr_trunk *t = &ch->opt.trunks[c->trunk];
        char why[96];
        (void)snprintf(why, sizeof why, "answered INVITE with %d %.60s", status, reason);
        ivr_trunk_failed(t, ivr_now_ms(ch), retry_after_ms,
                         status ? why : "does not answer INVITE");
        ivr_log(ch, CGW_LOG_WARNING, "ivr.trunk.failed", "trunk=%s status=%d", t->host, status);
        ivr_health_update(ch);
    }
    (void)snprintf(c->why, sizeof c->why, "%.95s", reason);
    uint32_t left = ((1u << ch->opt.n_trunks) - 1) & ~(c->tried | 1u << c->trunk);
    bool in_time = ivr_now_ms(ch) < c->submit_before_ms && !atomic_load(&ch->draining);
    if (v.other_trunk && left && in_time)
        next_trunk(c);
    else
        settle_by(c, &v, reason);
}

/* Every trunk was tried, or the others are gone meanwhile. */
static void no_trunk_left(struct ivr_call *c)
{
    struct ivr_verdict v;
    ivr_outcome(c->last_status, c->retry_after_ms, &c->ch->opt.retry, &v);
    settle_by(c, &v, c->why);
}

/* ---- the phases before an answer ---- */

static int64_t until_window_ends(const struct ivr_call *c)
{
    int64_t left = c->end_ms - ivr_now_ms(c->ch);
    return left > 0 ? left : 0;
}

static void phase_in(struct ivr_call *c, int64_t ms)
{
    int64_t left = until_window_ends(c);
    ivr_timer_set(c->phase, ms < left ? ms : left);
}

static void look_at_talk(struct ivr_call *c)
{
    const struct ivr_chan *ch = c->ch;
    int64_t now = ivr_now_ms(ch), heard = c->media ? ivr_media_heard_ms(c->media) : 0;
    int64_t cap = c->flow->max_ms && c->flow->max_ms < ch->opt.max_call_ms ? c->flow->max_ms
                                                                           : ch->opt.max_call_ms;
    int64_t silent = ivr_mono_ms() - heard;
    if (heard == 0)
        silent = now - c->answered_ms;
    if (until_window_ends(c) == 0) {
        ivr_call_hang_up(c, "window");
    } else if (now - c->answered_ms >= cap) {
        ivr_call_hang_up(c, "cap");
    } else if (ch->opt.rtp_timeout_ms > 0 && silent >= ch->opt.rtp_timeout_ms) {
        ivr_call_hang_up(c, "lost");
    } else {
        int64_t left = cap - (now - c->answered_ms);
        phase_in(c, left < SILENCE_LOOK_MS ? left : SILENCE_LOOK_MS);
    }
}

static void on_phase(void *arg)
{
    struct ivr_call *c = arg;
    switch (c->state) {
    case IVR_DIALLING:
        not_answered(c, 0, 0, "no answer from the trunk");
        break;
    case IVR_RINGING: /* CANCEL; whether 487 or 200 crosses it, the person was not reached */
        not_answered(c, 487, 0, "rang too long");
        break;
    case IVR_TALKING:
        look_at_talk(c);
        break;
    default:
        ivr_call_not_sent(c);
    }
}

/* ---- what the leg tells ---- */

static void on_progress(void *arg, int code)
{
    struct ivr_call *c = arg;
    c->last_status = code;
    if (c->state == IVR_DIALLING) {
        c->state = IVR_RINGING;
        phase_in(c, c->ch->opt.ring_timeout_ms);
    }
    if (code >= 180 && !c->rang_ms)
        c->rang_ms = ivr_now_ms(c->ch);
}

static void on_answered(void *arg, int code, const struct ivr_peer *peer)
{
    struct ivr_call *c = arg;
    c->last_status = code;
    c->state = IVR_TALKING;
    c->answered_ms = ivr_now_ms(c->ch);
    ivr_count(c->ch, IVR_C_ANSWERED, 1);
    ivr_media_connect(c->media, peer);
    phase_in(c, SILENCE_LOOK_MS);
    ivr_flow_begin(c);
}

static void on_changed(void *arg, const struct ivr_peer *peer)
{
    struct ivr_call *c = arg;
    if (c->state == IVR_TALKING)
        ivr_media_connect(c->media, peer);
}

/* A peer may send each key both ways; the way that comes first counts for the whole call. */
static void on_digit(struct ivr_call *c, char key, enum ivr_keys_from from)
{
    if (c->keys_from == IVR_FROM_NOWHERE)
        c->keys_from = from;
    if (c->keys_from == from && c->state == IVR_TALKING)
        ivr_flow_digit(c, key);
}

static void on_info_digit(void *arg, char key)
{
    on_digit(arg, key, IVR_FROM_INFO);
}

static void on_rtp_digit(void *arg, char key)
{
    on_digit(arg, key, IVR_FROM_RTP);
}

static void on_played(void *arg)
{
    ivr_flow_played(arg);
}

static void on_transferred(void *arg, int code)
{
    ivr_flow_transferred(arg, code);
}

static void on_ended(void *arg, const struct ivr_end *end)
{
    struct ivr_call *c = arg;
    if (c->state != IVR_TALKING && end->error == EPROTO) {
        c->last_status = end->code;
        ivr_call_give_up(c, CGW_RES_REFUSED, end->reason);
    } else if (c->state != IVR_TALKING) {
        not_answered(c, end->code, end->retry_after_ms,
                     end->reason[0] ? end->reason : "no answer from the trunk");
    } else {
        const char *word = !end->bye ? "lost" : c->transferring ? "transferring" : "peer";
        ivr_call_hang_up(c, c->over ? c->over : word);
    }
}

static const struct ivr_leg_events leg_events = {.progress = on_progress,
                                                 .answered = on_answered,
                                                 .changed = on_changed,
                                                 .digit = on_info_digit,
                                                 .transferred = on_transferred,
                                                 .ended = on_ended};
static const struct ivr_media_events media_events = {.digit = on_rtp_digit, .played = on_played};

/* ---- dialling ---- */

static const char *caller_uri(const struct ivr_call *c, char *out, size_t size)
{
    if (strncmp(c->from, "sip:", 4) == 0)
        return c->from;
    (void)snprintf(out, size, "sip:%s@%s", c->from, c->ch->opt.trunks[c->trunk].host);
    return out;
}

static int invite(struct ivr_call *c)
{
    struct ivr_chan *ch = c->ch;
    const struct ivr_options *o = &ch->opt;
    char to[512], from[300];
    int err = ivr_media_open(&c->media, &o->local, o->rtp_first, o->rtp_last, &media_events, c);
    if (err)
        return err;
    ivr_trunk_uri(&o->trunks[c->trunk], c->to, to, sizeof to);
    const char *caller = caller_uri(c, from, sizeof from);
    struct ivr_dial d = {.to = to,
                         .from = caller,
                         .user = o->trunks[c->trunk].user[0] ? o->trunks[c->trunk].user : "campgw",
                         .identity = o->assert_identity ? caller : NULL,
                         .account = &ch->links[c->trunk].account,
                         .media_port = ivr_media_port(c->media)};
    return ivr_leg_dial(&c->leg, ch->sip, &d, &leg_events, c);
}

/* Its phase timer becomes dial.c's: the dial cut-off is behind us. */
static bool own_timer(struct ivr_call *c)
{
    (void)ivr_timer_free(c->phase);
    c->phase = ivr_timer_new(on_phase, c);
    return c->phase != NULL;
}

static void dial(struct ivr_call *c, int trunk)
{
    struct ivr_chan *ch = c->ch;
    c->trunk = trunk;
    ch->n_active++;
    ivr_list_remove(&ch->ready[c->lane], c);
    ivr_list_add(&ch->active, c);
    c->state = IVR_DIALLING;
    (void)atomic_fetch_sub(&ch->waiting[c->lane], 1);
    c->dialled_ms = ivr_now_ms(ch);
    c->rang_ms = 0;
    int err = own_timer(c) ? invite(c) : ENOMEM;
    if (err) { /* ports, descriptors or memory: nothing was written */
        (void)snprintf(c->why, sizeof c->why, "cannot dial: %s", strerror(err));
        ivr_log(ch, CGW_LOG_ERROR, "ivr.dial.failed", "error=\"%s\"", strerror(err));
        ivr_call_give_up(c, CGW_RES_NOT_SENT, c->why);
        return;
    }
    (void)snprintf(c->call_id, sizeof c->call_id, "%s", ivr_leg_call_id(c->leg));
    ivr_count(ch, IVR_C_DIALLED, 1);
    phase_in(c, ch->opt.trunk_timeout_ms);
}

/* \return false when this call has to wait; *wait_ms says how long, -1 = for a kick. */
static bool dial_one(struct ivr_chan *ch, struct ivr_call *c, int64_t *wait_ms)
{
    int64_t now = ivr_now_ms(ch);
    if (now >= c->submit_before_ms) {
        if (c->tried)
            no_trunk_left(c);
        else
            ivr_call_not_sent(c);
        return true;
    }
    int trunk = ivr_trunk_pick(ch->opt.trunks, ch->opt.n_trunks, c->tried, now, wait_ms);
    if (trunk >= 0)
        dial(c, trunk);
    else if (*wait_ms == -2 || (c->tried && *wait_ms == -1))
        no_trunk_left(c);
    else
        return false;
    return true;
}

void ivr_dial_kick(struct ivr_chan *ch)
{
    if (ch->sip && !atomic_load(&ch->draining))
        ivr_timer_set(ch->dial_timer, 0); /* later: the caller stands in the middle of a call */
}

void ivr_dial_run(void *arg)
{
    struct ivr_chan *ch = arg;
    for (int lane = CGW_LANES - 1; lane >= 0; lane--) /* urgent first */
        while (ch->ready[lane].first) {
            int64_t wait_ms = -1;
            if (dial_one(ch, ch->ready[lane].first, &wait_ms))
                continue;
            ivr_timer_set(ch->dial_timer, wait_ms < 0 || wait_ms > 1000 ? 1000 : wait_ms);
            ivr_tell_credit(ch);
            return;
        }
    ivr_tell_credit(ch);
}

void ivr_dial_ready(struct ivr_call *c)
{
    ivr_list_add(&c->ch->ready[c->lane], c);
    ivr_dial_kick(c->ch);
}
