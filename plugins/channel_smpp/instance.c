/* SPDX-License-Identifier: Apache-2.0 */
/* instance.c - one configured account: takes messages, spreads them over its links, tells credit,
 * reports results, drains. Must not know PDUs or sockets. Contract: cgw/channel.h. */
#include "ops.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define RESULTS_BATCH 64u
#define IDS_BATCH 1024u   /* at least CGW_SEGMENTS_MAX */
#define SUBMIT_TURN 1024u /* messages taken by one call: keeps it below 10 ms */
#define CREDIT_HORIZON_MS                                                                          \
    500 /* under a rate limit no more is taken than can be written in this time: half of what a    \
           message has from its intent to the wire, or the last ones would come back NOT_SENT */
#define CREDIT_REFRESH_MS 50
#define UNBIND_RESERVE_MS 1000 /* of the drain's time: for unbind and its answer */

static void tell_credit(struct smpp_inst *in);
static void drain_step(struct smpp_inst *in);
static void report(struct smpp_inst *in);

/* ---- services for the other files ---- */

uint32_t smpp_random(struct smpp_inst *in)
{
    uint32_t x = in->random; /* xorshift32; only for jitter */
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return in->random = x;
}

void smpp_count(struct smpp_inst *in, enum smpp_counter c, uint64_t n)
{
    if (n > 0)
        in->host->count(in->gw, (uint32_t)c, n);
}

void smpp_log(struct smpp_inst *in, uint32_t level, const char *event, const char *fmt, ...)
{
    char kv[512];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(kv, sizeof kv, fmt, ap);
    va_end(ap);
    in->host->log(in->gw, level, event, kv);
}

void smpp_done(struct smpp_inst *in, struct smpp_msg *m)
{
    TAILQ_INSERT_TAIL(&in->done, m, link);
}

void smpp_enter(struct smpp_inst *in)
{
    if (in->depth++ == 0)
        in->now_ms = in->host->now_mono_ms();
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void arm(struct smpp_inst *in)
{
    int64_t at_ms = smpp_inbox_next_ms(in);
    if (in->credit_waits)
        at_ms = earlier(at_ms, in->now_ms + CREDIT_REFRESH_MS);
    if (in->draining && !in->drain_posted)
        at_ms = earlier(at_ms,
                        in->now_ms < in->drain_soft_ms ? in->drain_soft_ms : in->drain_deadline_ms);
    in->host->timer_set(in->timer, at_ms == INT64_MAX ? 0 : at_ms);
}

void smpp_leave(struct smpp_inst *in)
{
    if (in->depth == 1 && in->started && !in->drained) {
        smpp_inbox_flush(in);
        for (uint32_t i = 0; i < in->n_links; i++)
            smpp_link_settle(&in->links[i]);
        for (uint32_t i = 0; i < in->n_links; i++)
            smpp_link_arm(&in->links[i]);
        if (in->draining)
            drain_step(in);
        report(in);
        tell_credit(in);
        arm(in);
    }
    in->depth--;
}

/* ---- results ---- */

static void report(struct smpp_inst *in)
{
    struct cgw_result results[RESULTS_BATCH];
    const char *ids[IDS_BATCH], *peer_ids[IDS_BATCH];
    struct smpp_msg *batch[RESULTS_BATCH], *m;
    while (!TAILQ_EMPTY(&in->done)) {
        uint32_t n = 0, n_ids = 0;
        while (n < RESULTS_BATCH && IDS_BATCH - n_ids >= CGW_SEGMENTS_MAX &&
               (m = TAILQ_FIRST(&in->done)) != NULL) {
            TAILQ_REMOVE(&in->done, m, link);
            smpp_msg_result(m, &results[n], ids + n_ids, peer_ids + n_ids, CGW_SEGMENTS_MAX);
            n_ids += results[n].n_ids;
            batch[n++] = m;
        }
        in->host->complete(in->gw, results, n);
        for (uint32_t i = 0; i < n; i++)
            smpp_msg_free(batch[i]);
    }
}

/* A message that never became a struct smpp_msg. */
static void settle_at_once(struct smpp_inst *in, uint64_t token, uint32_t result, int32_t code,
                           const char *raw)
{
    struct cgw_result r = {.size = sizeof r,
                           .result = result,
                           .token = token,
                           .code = code,
                           .code_space = SMPP_OWN_SPACE,
                           .raw = raw};
    in->host->complete(in->gw, &r, 1);
}

/* ---- taking messages ---- */

static int64_t room_of(const struct smpp_link *l, uint32_t lane)
{
    return (int64_t)smpp_link_window(l, lane) - l->inflight.parts - l->queued_parts;
}

/* The link with most room. A link keeps at most two windows of messages: the second for those the
 * gateway had committed before it saw a smaller credit. */
static struct smpp_link *pick_link(struct smpp_inst *in, uint32_t lane,
                                   const struct smpp_link *not_this)
{
    struct smpp_link *best = NULL;
    int64_t best_room = INT64_MIN;
    for (uint32_t i = 0; i < in->n_links; i++) {
        struct smpp_link *l = &in->links[i];
        if (l == not_this || !smpp_link_can_send(l) || l->queued_msgs >= 2 * l->inflight.window)
            continue;
        int64_t room = room_of(l, lane);
        if (smpp_aimd_is_paused(&l->aimd, in->now_ms))
            room -= SMPP_WINDOW_MAX; /* only when nobody else is up */
        if (room > best_room) {
            best_room = room;
            best = l;
        }
    }
    return best;
}

struct smpp_link *smpp_other_link(struct smpp_inst *in, const struct smpp_link *not_this)
{
    return pick_link(in, CGW_LANE_BULK, not_this);
}

static bool take_one(struct smpp_inst *in, const struct cgw_message *m)
{
    struct smpp_link *l = pick_link(in, m->lane, NULL);
    struct smpp_msg *msg;
    struct cgw_diag diag = {.size = sizeof diag};
    if (!l)
        return false;
    if (in->now_ms > m->submit_before_mono_ms) {
        settle_at_once(in, m->token, CGW_RES_NOT_SENT, CGW_ELIMIT,
                       "its time was over before it could be written");
        return true;
    }
    int rc = smpp_msg_new(&in->opt, &in->refs, m, &msg, &diag);
    if (rc == -ENOMEM)
        return false;
    if (rc) {
        settle_at_once(in, m->token, CGW_RES_REFUSED, rc, diag.text);
        return true;
    }
    in->segments_q8 +=
        msg->plan.n * 16u - in->segments_q8 / 16u; /* smoothed over about 16 messages, in 1/256 */
    smpp_place(l, msg, SMPP_AT_QUEUE, false);
    return true;
}

uint32_t smpp_op_submit(void *ch, const struct cgw_message *msgs, uint32_t n)
{
    struct smpp_inst *in = ch;
    uint32_t taken = 0;
    smpp_enter(in);
    if (n > SUBMIT_TURN)
        n = SUBMIT_TURN;
    while (!in->draining && in->started && taken < n && take_one(in, &msgs[taken]))
        taken++;
    in->credit_stale = true; /* the gateway counts what it handed over against the last figure */
    smpp_leave(in);
    return taken;
}

/* ---- credit ---- */

/* Parts of this lane that could be taken now; *ret_rate_bound when the rate is what limits them. */
static int64_t lane_room(struct smpp_inst *in, uint32_t lane, int64_t *ret_queued,
                         bool *ret_rate_bound)
{
    int64_t room = 0, queued = 0;
    for (uint32_t i = 0; i < in->n_links; i++) {
        struct smpp_link *l = &in->links[i];
        if (!smpp_link_can_send(l))
            continue;
        queued += l->queued_parts;
        if (smpp_aimd_is_paused(&l->aimd, in->now_ms))
            continue;
        int64_t here = room_of(l, lane),
                by_rate =
                    smpp_bucket_within(&l->limit, CREDIT_HORIZON_MS, in->now_ms) - l->queued_parts;
        if (by_rate < here) {
            here = by_rate;
            *ret_rate_bound = true;
        }
        room += here > 0 ? here : 0;
    }
    int64_t by_rate = smpp_bucket_within(&in->bucket, CREDIT_HORIZON_MS, in->now_ms) - queued;
    if (by_rate < room) {
        room = by_rate;
        *ret_rate_bound = true;
    }
    *ret_queued = queued;
    return room > 0 ? room : 0;
}

static bool is_anyone_paused(const struct smpp_inst *in)
{
    for (uint32_t i = 0; i < in->n_links; i++)
        if (smpp_link_can_send(&in->links[i]) &&
            smpp_aimd_is_paused(&in->links[i].aimd, in->now_ms))
            return true;
    return false;
}

static void tell_credit(struct smpp_inst *in)
{
    in->credit_waits = is_anyone_paused(in);
    for (uint32_t lane = 0; lane < CGW_LANES; lane++) {
        int64_t queued = 0,
                room = in->draining ? 0 : lane_room(in, lane, &queued, &in->credit_waits);
        int64_t msgs = room * 256 / in->segments_q8;
        if (msgs == 0 && room > 0 && queued == 0)
            msgs = 1; /* long messages in a small window: one at a time */
        if ((uint32_t)msgs == in->credit[lane] && !in->credit_stale)
            continue;
        in->credit[lane] = (uint32_t)msgs;
        in->host->credit(in->gw, lane, (uint32_t)msgs);
    }
    in->credit_stale = false;
    if (in->draining)
        in->credit_waits = false;
}

/* ---- drain ---- */

static void say_drained(void *arg)
{
    struct smpp_inst *in = arg;
    in->drained = true;
    for (uint32_t i = 0; i < in->n_links; i++) {
        if (in->links[i].timer)
            in->host->timer_free(in->links[i].timer);
        in->links[i].timer = NULL;
    }
    in->host->timer_free(in->timer);
    in->timer = NULL;
    in->host->drained(in->gw);
}

static bool is_idle(const struct smpp_link *l)
{
    return l->queued_msgs == 0 && l->waiting_msgs == 0 && TAILQ_EMPTY(&l->flying);
}

/* Each link goes when nothing is left to wait for, or when the time for the unbind has come. */
static void drain_step(struct smpp_inst *in)
{
    bool soft = in->now_ms >= in->drain_soft_ms, hard = in->now_ms >= in->drain_deadline_ms,
         gone = true, idle = true;
    if (in->drain_posted)
        return;
    for (uint32_t i = 0; i < in->n_links; i++)
        idle = idle && is_idle(&in->links[i]);
    for (uint32_t i = 0; i < in->n_links; i++) {
        struct smpp_link *l = &in->links[i];
        if (hard && l->state != SMPP_CLOSED)
            smpp_link_close(l, "the time for draining is over");
        else if (l->state != SMPP_UNBINDING &&
                 (soft || l->state != SMPP_BOUND || (idle && smpp_inbox_held(in) == 0)))
            smpp_link_unbind(l);
        gone = gone && l->state == SMPP_CLOSED;
        smpp_link_settle(l);
        smpp_link_arm(l);
    }
    if (!gone)
        return;
    report(in);
    in->drain_posted =
        in->host->post(in->gw, say_drained, in) == 0; /* refused: the timer comes back here */
    if (!in->drain_posted)
        in->drain_soft_ms = in->drain_deadline_ms = in->now_ms + 10;
}

void smpp_op_drain(void *ch, int64_t deadline_mono_ms)
{
    struct smpp_inst *in = ch;
    smpp_enter(in);
    if (!in->started) {
        in->depth--;
        in->host->drained(in->gw);
        return;
    }
    if (!in->draining) {
        int64_t span_ms = deadline_mono_ms - in->now_ms, reserve_ms = span_ms / 4;
        in->draining = true;
        in->drain_deadline_ms = deadline_mono_ms;
        in->drain_soft_ms =
            deadline_mono_ms - (reserve_ms < UNBIND_RESERVE_MS ? reserve_ms : UNBIND_RESERVE_MS);
        smpp_inbox_drain(in);
        for (uint32_t i = 0; i < in->n_links; i++)
            smpp_pump_recall(&in->links[i]);
    }
    smpp_leave(in);
}

/* ---- the other operations ---- */

static void on_timer(void *arg)
{
    struct smpp_inst *in = arg;
    smpp_enter(in);
    smpp_inbox_tick(in);
    smpp_leave(in);
}

int smpp_op_start(void *ch)
{
    struct smpp_inst *in = ch;
    if (in->started)
        return CGW_ESTATE;
    in->now_ms = in->host->now_mono_ms();
    in->timer = in->host->timer_new(in->gw, on_timer, in);
    if (!in->timer)
        return CGW_ELIMIT;
    smpp_bucket_init(&in->bucket, in->opt.rate, in->now_ms);
    smpp_recall_start(in);
    for (uint32_t i = 0; i < in->n_links; i++) {
        if (smpp_link_start(&in->links[i], in->now_ms + 20 * (int64_t)i) != 0) /* not all in step */
            return CGW_ELIMIT;
    }
    in->started = true;
    return 0;
}

void smpp_op_check(void *ch, const struct cgw_message *msgs, uint32_t n,
                   struct cgw_check *ret_checks)
{
    const struct smpp_inst *in = ch; /* options only: any thread */
    for (uint32_t i = 0; i < n; i++) {
        struct cgw_check *c = &ret_checks[i];
        struct smpp_shape shape;
        struct cgw_diag diag = {.size = sizeof diag};
        *c = (struct cgw_check){.size = sizeof *c};
        memset(&shape, 0, sizeof shape);
        c->code = smpp_shape_of(&in->opt, &msgs[i], &shape, &diag);
        c->segments = shape.plan.network;
        c->units = shape.choice.units;
        c->encoding = shape.choice.encoding ? shape.choice.encoding : "";
        if (c->code != 0)
            (void)snprintf(c->text, sizeof c->text, "%s", diag.text);
    }
}

static int by_token(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

void smpp_op_cancel(void *ch, const uint64_t *tokens, uint32_t n)
{
    struct smpp_inst *in = ch;
    uint64_t *sorted = n > 0 ? malloc(n * sizeof *sorted) : NULL;
    if (!sorted)
        return; /* a recall is a wish: without memory the messages go out */
    memcpy(sorted, tokens, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_token);
    smpp_enter(in);
    for (uint32_t i = 0; i < in->n_links; i++)
        smpp_pump_cancel(&in->links[i], sorted, n);
    smpp_leave(in);
    free(sorted);
}

void smpp_op_query(void *ch, const struct cgw_ask *asks, uint32_t n)
{
    struct smpp_inst *in = ch;
    smpp_enter(in);
    smpp_query_add(in, asks, n);
    smpp_leave(in);
}

uint32_t smpp_op_recall(void *ch, const struct cgw_ask *asks, uint32_t n)
{
    struct smpp_inst *in = ch;
    smpp_enter(in);
    uint32_t taken = smpp_recall_add(in, asks, n);
    smpp_leave(in);
    return taken;
}

void smpp_op_stored(void *ch, const uint64_t *acks, uint32_t n)
{
    struct smpp_inst *in = ch;
    smpp_enter(in);
    smpp_inbox_stored(in, acks, n);
    smpp_leave(in);
}

void smpp_op_health(void *ch, struct cgw_health *ret)
{
    struct smpp_inst *in = ch;
    const struct smpp_link *worst = NULL;
    *ret = (struct cgw_health){.size = sizeof *ret, .links = in->n_links};
    int64_t now_ms = in->host->now_mono_ms();
    for (uint32_t i = 0; i < in->n_links; i++) {
        const struct smpp_link *l = &in->links[i];
        ret->window += l->role == SMPP_ROLE_RX ? 0 : l->inflight.window;
        ret->window_used += l->inflight.parts;
        ret->links_up += l->state == SMPP_BOUND;
        ret->up |= smpp_link_can_send(l) && !in->draining;
        if (l->since_utc_ms > ret->since_utc_ms)
            ret->since_utc_ms = l->since_utc_ms;
        if (!worst || (worst->state == SMPP_BOUND && (l->state != SMPP_BOUND || l->slow)))
            worst = l;
    }
    if (!worst)
        return;
    if (worst->state != SMPP_BOUND)
        (void)snprintf(ret->text, sizeof ret->text, "bind %u is %s: %s", worst->index,
                       smpp_state_name(worst->state), worst->why);
    else if (worst->slow)
        (void)snprintf(ret->text, sizeof ret->text,
                       "bind %u is throttled: limit %lld parts/s (0 = none), pause %lld ms",
                       worst->index, (long long)worst->aimd.limit,
                       (long long)(worst->aimd.pause_until_ms > now_ms
                                       ? worst->aimd.pause_until_ms - now_ms
                                       : 0));
}

/* ---- life ---- */

static int make_tls(struct smpp_inst *in, struct cgw_diag *diag)
{
    const struct smpp_options *o = &in->opt;
    if (!o->tls)
        return 0;
    struct smpp_tls_conf conf = {
        .ca_file = o->tls_ca[0] ? o->tls_ca : NULL,
        .cert_file = o->tls_cert[0] ? o->tls_cert : NULL,
        .key_file = o->tls_key[0] ? o->tls_key : NULL,
        .verify = o->tls_verify,
    };
    int rc = smpp_tls_ctx_new(&conf, &in->tls, diag->text, sizeof diag->text);
    if (rc) {
        diag->code = rc;
        (void)snprintf(diag->where, sizeof diag->where, "%s", "tls_ca");
    }
    return rc;
}

static int make_links(struct smpp_inst *in)
{
    uint32_t per = in->opt.separate ? 2 : 1;
    in->links = calloc((size_t)in->opt.binds * per, sizeof *in->links);
    if (!in->links)
        return -ENOMEM;
    for (uint32_t i = 0; i < in->opt.binds * per; i++) {
        enum smpp_role role = !in->opt.separate ? SMPP_ROLE_TRX
                              : i % 2 == 0      ? SMPP_ROLE_TX
                                                : SMPP_ROLE_RX;
        in->n_links++;
        int rc = smpp_link_init(&in->links[i], in, i, role);
        if (rc)
            return rc;
    }
    return 0;
}

int smpp_op_create(const struct cgw_host *host, struct cgw_inst *inst, const struct cgw_conf *conf,
                   void **ret_ch, struct cgw_diag *diag)
{
    uint32_t seed[2] = {1, 1};
    struct smpp_inst *in = calloc(1, sizeof *in);
    if (!in)
        return -ENOMEM;
    in->host = host;
    in->gw = inst;
    in->segments_q8 = 256;
    TAILQ_INIT(&in->done);
    if (getrandom(seed, sizeof seed, GRND_NONBLOCK) < 0)
        seed[0] = (uint32_t)(uintptr_t)in; /* jitter and reference numbers: any value will do */
    in->random = seed[0] | 1;
    smpp_refs_init(&in->refs, (uint16_t)seed[1]);
    int rc = smpp_options_read(&in->opt, host, conf, diag);
    if (rc == 0)
        rc = make_tls(in, diag);
    if (rc == 0)
        rc = smpp_msgid_init(&in->ids, in->opt.id_resp, in->opt.id_receipt);
    if (rc == 0)
        rc = smpp_inbox_new(in, &in->inbox);
    if (rc == 0)
        rc = make_links(in);
    if (rc) {
        if (rc == -ENOMEM)
            (void)snprintf(diag->text, sizeof diag->text, "out of memory");
        smpp_op_destroy(in);
        return rc;
    }
    *ret_ch = in;
    return 0;
}

void smpp_op_destroy(void *ch)
{
    struct smpp_inst *in = ch;
    if (!in)
        return;
    for (uint32_t i = 0; i < in->n_links; i++)
        smpp_link_done(&in->links[i]);
    free(in->links);
    smpp_inbox_free(in->inbox);
    smpp_msgid_done(&in->ids);
    smpp_tls_ctx_free(in->tls);
    in->asked = smpp_resolve_free(in->asked);
    explicit_bzero(in->opt.password, sizeof in->opt.password);
    free(in);
}
