/* SPDX-License-Identifier: Apache-2.0 */
/* pump.c - writes the parts of queued messages within window, rate and pauses, and settles them by
 * the peer's answers. Must not own sockets or report results itself (bind.c, instance.c). Source:
 * SMPP v3.4 issue 1.2, 2.5.1, 4.4. */
#include "instance.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define BATCH_PDUS 32u /* written with one system call */
#define BATCH_BYTES (32u * 1024u)
#define TURN_PDUS 1024u /* then the loop gets its turn */
#define CALM_MS 5000    /* without throttling: then it is said to be over */
#define TORN_RETRY_MS                                                                              \
    500ll /* first pause before the missing parts of a torn message are tried again */

/* ---- lists ---- */

static uint32_t todo_parts(const struct smpp_msg *m)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < m->plan.n; i++)
        n += m->parts[i].state == SMPP_PART_TODO;
    return n;
}

static void unplace(struct smpp_link *l, struct smpp_msg *m)
{
    switch (m->place) {
    case SMPP_AT_QUEUE:
        TAILQ_REMOVE(&l->queue[m->lane], m, link);
        l->queued_msgs--;
        l->queued_parts -= todo_parts(m);
        break;
    case SMPP_AT_FLYING:
        TAILQ_REMOVE(&l->flying, m, link);
        break;
    case SMPP_AT_WAITING:
        TAILQ_REMOVE(&l->waiting, m, link);
        l->waiting_msgs--;
        break;
    case SMPP_AT_NONE:
        break;
    }
    m->place = SMPP_AT_NONE;
}

void smpp_place(struct smpp_link *l, struct smpp_msg *m, enum smpp_msg_place place, bool at_head)
{
    unplace(l, m);
    m->place = place;
    if (place == SMPP_AT_QUEUE) {
        if (at_head)
            TAILQ_INSERT_HEAD(&l->queue[m->lane], m, link);
        else
            TAILQ_INSERT_TAIL(&l->queue[m->lane], m, link);
        l->queued_msgs++;
        l->queued_parts += todo_parts(m);
        if (m->submit_before_mono_ms < l->expiry_ms)
            l->expiry_ms = m->submit_before_mono_ms;
        l->more = true;
    } else if (place == SMPP_AT_FLYING) {
        TAILQ_INSERT_TAIL(&l->flying, m, link);
    } else if (place == SMPP_AT_WAITING) {
        TAILQ_INSERT_TAIL(&l->waiting, m, link);
        l->waiting_msgs++;
    }
}

static void finish(struct smpp_link *l, struct smpp_msg *m)
{
    unplace(l, m);
    if (m->accepted > 0 && m->accepted < m->plan.n)
        smpp_count(l->inst, SMPP_C_MESSAGES_TORN, 1);
    smpp_done(l->inst, m);
}

static bool is_begun(const struct smpp_msg *m)
{
    return m->accepted > 0 || m->written > 0;
}

/* A begun message may be completed a little longer than a fresh one may be begun: half a text helps
 * nobody. */
static int64_t give_up_ms(const struct smpp_link *l, const struct smpp_msg *m)
{
    return is_begun(m) ? m->submit_before_mono_ms + l->inst->opt.response_timeout_ms
                       : m->submit_before_mono_ms;
}

/* ---- limits ---- */

/* After a reconnect the window opens step by step: a peer that has just come back is not met with
 * everything at once. */
static uint32_t open_window(const struct smpp_link *l)
{
    uint32_t window = l->inflight.window;
    int64_t ramp_ms = l->inst->opt.ramp_ms, run_ms = l->inst->now_ms - l->ramp_from_ms;
    if (l->ramp_from_ms == 0 || run_ms >= ramp_ms)
        return window;
    uint32_t open =
        (uint32_t)((int64_t)window * (run_ms + ramp_ms / 10) / (ramp_ms + ramp_ms / 10));
    uint32_t least = window < 4 ? window : 4;
    return open < least ? least : open;
}

uint32_t smpp_link_window(const struct smpp_link *l, uint32_t lane)
{
    uint32_t window = open_window(l), percent = l->inst->opt.urgent_percent;
    if (lane == CGW_LANE_URGENT || percent == 0 || window < 2)
        return window;
    uint32_t kept = window * percent / 100;
    return window - (kept > 0 ? kept : 1);
}

/* Take one part's worth from both buckets. */
static bool take_tokens(struct smpp_link *l)
{
    struct smpp_inst *in = l->inst;
    if (l->limit.rate != l->aimd.limit)
        smpp_bucket_set_rate(&l->limit, l->aimd.limit, in->now_ms);
    if (!smpp_bucket_take(&l->limit, in->now_ms))
        return false;
    if (smpp_bucket_take(&in->bucket, in->now_ms))
        return true;
    smpp_bucket_give_back(&l->limit);
    return false;
}

static void give_tokens_back(struct smpp_link *l)
{
    smpp_bucket_give_back(&l->limit);
    smpp_bucket_give_back(&l->inst->bucket);
}

/* ---- writing ---- */

struct written {
    struct smpp_msg *msg;
    uint32_t part, seq, at; /* at: octets appended before it in this batch */
};

struct batch {
    struct written items[BATCH_PDUS];
    uint32_t n, bytes;
    int64_t utc_ms;
};

/* The next message with a part to write; settles those whose time is over on the way. */
static struct smpp_msg *next_msg(struct smpp_link *l, uint32_t *ret_part)
{
    for (uint32_t k = 0; k < CGW_LANES; k++) {
        uint32_t lane = k == 0 ? CGW_LANE_URGENT : CGW_LANE_BULK;
        struct smpp_msg *m;
        if (l->inflight.parts >= smpp_link_window(l, lane))
            continue;
        while ((m = TAILQ_FIRST(&l->queue[lane])) != NULL) {
            int part = smpp_msg_next_part(m);
            if (part >= 0 && l->inst->now_ms <= give_up_ms(l, m)) {
                *ret_part = (uint32_t)part;
                return m;
            }
            if (m->written > 0)
                smpp_place(l, m, SMPP_AT_FLYING, false); /* answers decide */
            else
                finish(l, m);
        }
    }
    return NULL;
}

/* \return octets of the PDU, or negative and m knows why. */
static int encode_part(struct smpp_link *l, struct smpp_msg *m, uint32_t part,
                       const struct batch *b, uint32_t seq)
{
    struct smpp_inst *in = l->inst;
    char validity[SMPP_TIME_LEN + 1];
    uint8_t scratch[SMPP_SEGMENT_SCRATCH];
    struct smpp_submit sm;
    if (smpp_validity_write(&in->opt.validity, b->utc_ms, m->not_after_utc_ms, validity) != 0) {
        (void)snprintf(m->raw, sizeof m->raw,
                       "too little time is left before the message must not be delivered any more");
        return -ETIME;
    }
    int rc = smpp_msg_submit(&in->opt, m, part, validity, scratch, &sm);
    if (rc == 0)
        rc = smpp_encode_submit(in->encode, sizeof in->encode, seq, &sm);
    if (rc < 0) {
        m->own_code = CGW_EINVAL;
        (void)snprintf(m->raw, sizeof m->raw, "the message cannot be said in SMPP");
    }
    return rc;
}

static bool write_part(struct smpp_link *l, struct smpp_msg *m, uint32_t part, struct batch *b)
{
    struct smpp_inst *in = l->inst;
    uint32_t seq = smpp_inflight_add(&l->inflight, SMPP_SLOT_PART, m, part, in->now_ms);
    int len = seq == 0 ? -ENOBUFS : encode_part(l, m, part, b, seq);
    if (len <= 0 || smpp_conn_append(&l->conn, in->encode, (uint32_t)len) != 0) {
        struct smpp_slot slot;
        (void)smpp_inflight_take(&l->inflight, seq, &slot);
        return false;
    }
    b->items[b->n++] = (struct written){.msg = m, .part = part, .seq = seq, .at = b->bytes};
    b->bytes += (uint32_t)len;
    smpp_msg_wrote(m, part);
    l->queued_parts--;
    if (smpp_msg_next_part(m) < 0)
        smpp_place(l, m, SMPP_AT_FLYING, false);
    return true;
}

/* What could not be written: time over, or a text that the encoder refuses after all. */
static void drop_unwritable(struct smpp_link *l, struct smpp_msg *m)
{
    if (m->written > 0)
        smpp_place(l, m, SMPP_AT_FLYING, false);
    else
        finish(l, m);
}

static void fill_batch(struct smpp_link *l, struct batch *b)
{
    b->n = b->bytes = 0;
    while (b->n < BATCH_PDUS && b->bytes < BATCH_BYTES) {
        uint32_t part;
        struct smpp_msg *m = next_msg(l, &part);
        if (!m || !take_tokens(l))
            return;
        if (!write_part(l, m, part, b)) {
            give_tokens_back(l);
            drop_unwritable(l, m);
        }
    }
}

/* The kernel took only some octets: parts of which nothing went out are not written, take them
 * back. */
static void unwrite_rest(struct smpp_link *l, struct batch *b)
{
    uint32_t gone = b->bytes - l->conn.tx_len + l->conn.tx_exposed;
    while (b->n > 0 && b->items[b->n - 1].at >= gone) {
        struct written *w = &b->items[--b->n];
        struct smpp_slot slot;
        (void)smpp_inflight_take(&l->inflight, w->seq, &slot);
        if (w->msg->place == SMPP_AT_QUEUE)
            l->queued_parts++;
        smpp_msg_unwrote(w->msg, w->part);
        if (w->msg->place != SMPP_AT_QUEUE)
            smpp_place(l, w->msg, SMPP_AT_QUEUE, true);
        give_tokens_back(l);
        smpp_conn_rollback(&l->conn, l->conn.tx_len - (b->bytes - w->at));
        b->bytes = w->at;
    }
}

/* Messages whose refused parts may be tried again. */
static void promote_waiting(struct smpp_link *l)
{
    struct smpp_msg *m, *next;
    for (m = TAILQ_FIRST(&l->waiting); m; m = next) {
        next = TAILQ_NEXT(m, link);
        if (l->inst->now_ms > give_up_ms(l, m)) {
            finish(l, m);
        } else if (m->retry_at_ms <= l->inst->now_ms) {
            unplace(l, m);
            smpp_msg_retry(m);
            smpp_place(l, m, SMPP_AT_QUEUE, true);
        }
    }
}

int smpp_pump(struct smpp_link *l)
{
    struct batch b;
    l->more = false;
    if (l->waiting_msgs > 0)
        promote_waiting(l);
    if (l->state != SMPP_BOUND || l->role == SMPP_ROLE_RX || l->queued_msgs == 0)
        return 0;
    b.utc_ms = l->inst->host->now_utc_ms();
    for (uint32_t wrote = 0; wrote < TURN_PDUS; wrote += b.n) {
        int rc = smpp_conn_flush(&l->conn);
        if (rc <= 0 || smpp_aimd_is_paused(&l->aimd, l->inst->now_ms))
            return rc < 0 ? rc : 0;
        fill_batch(l, &b);
        if (b.n == 0)
            return 0;
        rc = smpp_conn_flush(&l->conn);
        if (rc == 0)
            unwrite_rest(l, &b);
        for (uint32_t i = 0; i < b.n; i++)
            smpp_aimd_wrote(&l->aimd, l->inst->now_ms);
        smpp_count(l->inst, SMPP_C_PARTS_WRITTEN, b.n);
        if (rc <= 0)
            return rc;
    }
    l->more = true;
    return 0;
}

/* ---- answers ---- */

/* The rest of a torn message is tried again soon, later each time: half of it is on its way to a
 * person who waits for the end. */
static void schedule_again(struct smpp_link *l, struct smpp_msg *m)
{
    int64_t now_ms = l->inst->now_ms, wait_ms = TORN_RETRY_MS << (m->tries < 6 ? m->tries : 6);
    if (m->throttled)
        wait_ms = l->aimd.pause_until_ms - now_ms; /* back-pressure is no attempt */
    else
        m->tries++;
    if (!m->throttled && m->retry_after_ms < wait_ms)
        wait_ms = m->retry_after_ms;
    m->retry_at_ms = now_ms + (wait_ms > 0 ? wait_ms : 1);
    if (m->retry_at_ms > give_up_ms(l, m) || (m->tries_max > 0 && m->tries >= m->tries_max))
        finish(l, m);
    else
        smpp_place(l, m, SMPP_AT_WAITING, false);
}

static void after_answer(struct smpp_link *l, struct smpp_msg *m)
{
    switch (smpp_msg_fate(m)) {
    case SMPP_FATE_MORE:
        if (m->place == SMPP_AT_FLYING && m->written == 0)
            smpp_place(l, m, SMPP_AT_QUEUE,
                       true); /* it was set aside when its time ended: settled there */
        break;
    case SMPP_FATE_WAIT:
        if (m->place == SMPP_AT_QUEUE && smpp_msg_next_part(m) < 0)
            smpp_place(l, m, SMPP_AT_FLYING, false);
        break;
    case SMPP_FATE_AGAIN:
        schedule_again(l, m);
        break;
    case SMPP_FATE_DONE:
        if (m->throttled && m->retry_after_ms < l->aimd.pause_until_ms - l->inst->now_ms)
            m->retry_after_ms = l->aimd.pause_until_ms - l->inst->now_ms;
        finish(l, m);
        break;
    }
}

static void on_accepted(struct smpp_link *l, struct smpp_msg *m, uint32_t part,
                        const struct smpp_pdu *pdu)
{
    struct smpp_inst *in = l->inst;
    char id[CGW_PROVIDER_ID_MAX];
    smpp_msgid_resp(&in->ids, pdu->message_id, id);
    smpp_msg_part_ok(m, part, id, pdu->message_id);
    smpp_aimd_accepted(&l->aimd, in->now_ms);
    smpp_count(in, SMPP_C_PARTS_ACCEPTED, 1);
    if (l->slow && l->aimd.limit == 0 && in->now_ms - l->aimd.reacted_ms > CALM_MS) {
        l->slow = false;
        smpp_log(in, CGW_LOG_INFO, "channel.throttle.cleared", "bind=%u", l->index);
    }
}

static void slow_down(struct smpp_link *l, int64_t written_ms, const char *why)
{
    struct smpp_inst *in = l->inst;
    if (!smpp_aimd_throttled(&l->aimd, written_ms, in->now_ms, smpp_random(in)) || l->slow)
        return;
    l->slow = true;
    smpp_log(in, CGW_LOG_WARNING, "channel.throttle.begin",
             "bind=%u cause=%s limit_parts_s=%lld pause_ms=%lld", l->index, why,
             (long long)l->aimd.limit, (long long)(l->aimd.pause_until_ms - in->now_ms));
}

static void on_refused(struct smpp_link *l, struct smpp_msg *m, const struct smpp_slot *slot,
                       const struct smpp_pdu *pdu)
{
    struct smpp_inst *in = l->inst;
    char words[96];
    /* A generic_nack without a reason still refuses: the PDU could not be read (SMPP v3.4 4.3.1).
     */
    uint32_t status = pdu->status != SMPP_ROK ? pdu->status : SMPP_RSYSERR;
    struct smpp_verdict v = smpp_retry_submit(&in->opt.retry, status);
    if (v.cls == SMPP_CLASS_THROTTLE) {
        smpp_count(in, SMPP_C_THROTTLED, 1);
        slow_down(l, slot->written_ms, "peer");
    } else {
        smpp_count(in, SMPP_C_PARTS_REFUSED, 1);
    }
    smpp_pdu_error_text(pdu, words, sizeof words);
    smpp_msg_part_refused(m, slot->part, status, &v, words);
    after_answer(l, m);
    if (v.cls == SMPP_CLASS_SESSION)
        smpp_link_close(l, "the peer says that we are not bound");
}

void smpp_pump_answer(struct smpp_link *l, const struct smpp_pdu *pdu)
{
    const struct smpp_slot *found = smpp_inflight_find(&l->inflight, pdu->sequence);
    struct smpp_slot slot;
    bool nack = pdu->command == SMPP_GENERIC_NACK;
    enum smpp_slot_kind want = pdu->command == (SMPP_QUERY_SM | SMPP_RESP)    ? SMPP_SLOT_QUERY
                               : pdu->command == (SMPP_CANCEL_SM | SMPP_RESP) ? SMPP_SLOT_RECALL
                                                                              : SMPP_SLOT_PART;
    if (!found || (!nack && found->kind != want) ||
        (nack && found->kind != SMPP_SLOT_PART && found->kind != SMPP_SLOT_QUERY &&
         found->kind != SMPP_SLOT_RECALL)) {
        smpp_count(l->inst, SMPP_C_RESPONSE_UNMATCHED,
                   1); /* late or never asked: acting on it now would count twice */
        return;
    }
    (void)smpp_inflight_take(&l->inflight, pdu->sequence, &slot);
    if (slot.kind != SMPP_SLOT_PART) {
        (slot.kind == SMPP_SLOT_QUERY ? smpp_query_answer : smpp_recall_answer)(l, &slot, pdu);
        return;
    }
    struct smpp_msg *m = slot.owner;
    if (nack || pdu->status != SMPP_ROK) {
        on_refused(l, m, &slot, pdu);
        return;
    }
    on_accepted(l, m, slot.part, pdu);
    after_answer(l, m);
}

void smpp_pump_timeouts(struct smpp_link *l)
{
    struct smpp_inst *in = l->inst;
    const struct smpp_slot *oldest;
    struct smpp_slot slot;
    while ((oldest = smpp_inflight_oldest(&l->inflight)) != NULL &&
           in->now_ms - oldest->written_ms >= in->opt.response_timeout_ms) {
        (void)smpp_inflight_take(&l->inflight, oldest->seq, &slot);
        if (slot.kind != SMPP_SLOT_PART) {
            smpp_query_drop(&slot); /* the gateway may ask again later */
            continue;
        }
        smpp_count(in, SMPP_C_RESPONSE_TIMEOUT, 1);
        slow_down(l, slot.written_ms,
                  "silence"); /* a peer that does not answer gets probes, not windows */
        smpp_msg_part_unknown(slot.owner, slot.part);
        after_answer(l, slot.owner);
    }
}

/* ---- time, loss, drain ---- */

void smpp_pump_expire(struct smpp_link *l)
{
    int64_t now_ms = l->inst->now_ms;
    if (now_ms <= l->expiry_ms)
        return;
    l->expiry_ms = INT64_MAX;
    for (uint32_t lane = 0; lane < CGW_LANES; lane++) {
        struct smpp_msg *m, *next;
        for (m = TAILQ_FIRST(&l->queue[lane]); m; m = next) {
            next = TAILQ_NEXT(m, link);
            if (now_ms > give_up_ms(l, m) && m->written == 0)
                finish(l, m);
            else if (give_up_ms(l, m) < l->expiry_ms)
                l->expiry_ms = give_up_ms(l, m);
        }
    }
}

static void settle_inflight(struct smpp_link *l)
{
    const struct smpp_slot *oldest;
    struct smpp_slot slot;
    while ((oldest = smpp_inflight_oldest(&l->inflight)) != NULL) {
        (void)smpp_inflight_take(&l->inflight, oldest->seq, &slot);
        if (slot.kind != SMPP_SLOT_PART)
            smpp_query_drop(&slot);
        else
            smpp_msg_part_unknown(slot.owner, slot.part);
    }
    smpp_inflight_clear(&l->inflight);
}

/* After loss nothing is in state WRITTEN any more. A fresh message goes to another link or back to
 * the gateway; a begun one ends here: its other parts must not travel over another session. */
static void rehome(struct smpp_link *l, struct smpp_msg *m)
{
    struct smpp_link *other = NULL;
    if (smpp_msg_fate(m) == SMPP_FATE_MORE && m->accepted == 0 && !l->inst->draining)
        other = smpp_other_link(l->inst, l);
    if (!other) {
        finish(l, m);
        return;
    }
    unplace(l, m);
    smpp_place(other, m, SMPP_AT_QUEUE, false);
}

void smpp_pump_lost(struct smpp_link *l)
{
    struct smpp_msgs *lists[] = {&l->flying, &l->waiting, &l->queue[CGW_LANE_URGENT],
                                 &l->queue[CGW_LANE_BULK]};
    settle_inflight(l);
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        struct smpp_msg *m;
        while ((m = TAILQ_FIRST(lists[i])) != NULL)
            rehome(l, m);
    }
    l->expiry_ms = INT64_MAX;
}

void smpp_pump_recall(struct smpp_link *l)
{
    for (uint32_t lane = 0; lane < CGW_LANES; lane++) {
        struct smpp_msg *m, *next;
        for (m = TAILQ_FIRST(&l->queue[lane]); m; m = next) {
            next = TAILQ_NEXT(m, link);
            if (!is_begun(m))
                finish(l, m);
        }
    }
}

static bool has_token(const uint64_t *sorted, uint32_t n, uint64_t token)
{
    uint32_t lo = 0, hi = n;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (sorted[mid] == token)
            return true;
        if (sorted[mid] < token)
            lo = mid + 1;
        else
            hi = mid;
    }
    return false;
}

void smpp_pump_cancel(struct smpp_link *l, const uint64_t *tokens, uint32_t n)
{
    for (uint32_t lane = 0; lane < CGW_LANES; lane++) {
        struct smpp_msg *m, *next;
        for (m = TAILQ_FIRST(&l->queue[lane]); m; m = next) {
            next = TAILQ_NEXT(m, link);
            if (!is_begun(m) && has_token(tokens, n, m->token))
                finish(l, m);
        }
    }
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* When may the next queued part be written, as far as time decides? */
static int64_t next_write_ms(const struct smpp_link *l)
{
    int64_t now_ms = l->inst->now_ms;
    if (l->queued_msgs == 0 || l->state != SMPP_BOUND || l->conn.tx_len > 0 ||
        l->inflight.parts >= smpp_link_window(l, CGW_LANE_URGENT))
        return l->ramp_from_ms != 0 && l->queued_msgs > 0 &&
                       now_ms - l->ramp_from_ms < l->inst->opt.ramp_ms
                   ? now_ms + 50
                   : INT64_MAX;
    if (smpp_aimd_is_paused(&l->aimd, now_ms))
        return l->aimd.pause_until_ms;
    if (l->more)
        return now_ms;
    struct smpp_bucket own = l->limit, account = l->inst->bucket;
    int64_t a = smpp_bucket_wait_ms(&own, now_ms), b = smpp_bucket_wait_ms(&account, now_ms);
    int64_t wait_ms = a > b ? a : b;
    return wait_ms > 0 ? now_ms + wait_ms
                       : INT64_MAX; /* no wait and still queued: the window, answers will wake us */
}

int64_t smpp_pump_next_ms(const struct smpp_link *l)
{
    int64_t at_ms = next_write_ms(l);
    const struct smpp_slot *oldest = smpp_inflight_oldest(&l->inflight);
    if (oldest)
        at_ms = earlier(at_ms, oldest->written_ms + l->inst->opt.response_timeout_ms);
    if (l->queued_msgs > 0 && l->expiry_ms != INT64_MAX)
        at_ms = earlier(at_ms, l->expiry_ms + 1);
    const struct smpp_msg *m;
    TAILQ_FOREACH(m, &l->waiting, link)
    at_ms = earlier(at_ms, earlier(m->retry_at_ms, give_up_ms(l, m) + 1));
    return at_ms;
}
