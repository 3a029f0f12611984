/* SPDX-License-Identifier: Apache-2.0 */
/* results.c - what the peer said at once: accepted, refused, try again, nobody knows. One table of
 * result classes; retries and waiting are the core's, so the schedule is here. Reservations go back
 * only when it is certain that nothing was sent. What is in doubt is never sent again by itself,
 * unless its class says so: then once, marked as such, and counted with its first attempt. */
#include "outcome/outcome_int.h"

#include <string.h>

/* Doubles with every attempt, up to 16 times: a channel that cannot send must not fill the log; and
 * who was throttled before is not kept waiting long after the peer has recovered. */
#define NOT_SENT_AGAIN_MS 1000
#define NOT_SENT_DOUBLINGS 4
#define THROTTLED_AGAIN_MS 1000
#define ATTEMPTS_MAX 30000 /* attempt is an int2; long before that something is broken */

uint16_t outcome_reference(int64_t contact_id, int16_t attempt)
{
    uint64_t mixed = ((uint64_t)contact_id * 31 + (uint16_t)attempt) * UINT64_C(0x9e3779b97f4a7c15);
    return (uint16_t)(1 + (mixed >> 32) % 65535);
}

/* Waiting before try n + 1 when the peer named no time. */
static int64_t retry_delay_ms(int16_t tries)
{
    static const int64_t table[] = {30000, 120000, 600000, 1800000, 3600000};
    size_t i = tries < 0 ? 0 : (size_t)tries;
    return table[i < ARRAY_LEN(table) ? i : ARRAY_LEN(table) - 1];
}

static int64_t seq_of(const struct item *it)
{
    return it->contact.contact_id & INT64_C(0xffffffff);
}

static void echo_gone(struct flush *f, const struct item *it)
{
    if (!it->contact.from_echo)
        return;
    f->echo_del[f->n_echo_del].part = it->contact.part;
    f->echo_del[f->n_echo_del].wave_id = it->contact.wave_id;
    f->echo_del[f->n_echo_del++].seq = seq_of(it);
}

static void event(struct flush *f, const struct item *it, int16_t kind)
{
    bool settled = kind == EVENT_SETTLED; /* what was said stands in the other event */
    flush_event(f, it->contact.part,
                &(struct event_row){.contact_id = it->contact.contact_id,
                                    .attempt = it->contact.attempt,
                                    .seg = -1,
                                    .kind = kind,
                                    .ts_ms = f->now_ms,
                                    .route_id = it->contact.route_id,
                                    .code = it->code,
                                    .sub = settled ? (int16_t)0 : (int16_t)it->sub,
                                    .quantity = settled ? 0 : it->quantity,
                                    .code_space = it->code_space,
                                    .detail = it->raw});
    if (kind == EVENT_FAILED || kind == EVENT_REFUSED || kind == EVENT_RETRY ||
        kind == EVENT_EXPIRED)
        flush_bounce(f, &(struct bounce){.sub = it->sub,
                                         .part = it->contact.part,
                                         .contact_id = it->contact.contact_id,
                                         .at_ms = f->now_ms});
}

/* People, once: a resent contact was counted when its first attempt came into doubt. */
static void count_submitted(struct flush *f, const struct item *it)
{
    if (!it->contact.resent)
        flush_stat(f, it->contact.contact_id, STAT_SUBMITTED, 0, 1);
}

/* One row per segment that the peer named; one without reference when it named none. */
static void submitted(struct flush *f, struct item *it, bool final)
{
    uint32_t n = it->n_ids ? it->n_ids : 1;
    for (uint32_t i = 0; i < n; i++) {
        const char *ref = it->n_ids ? it->ids[i] : "", *peer = it->n_ids ? it->peer_ids[i] : "";
        f->submits[f->n_submits++] =
            (struct submit_row){.part = it->contact.part,
                                .contact_id = it->contact.contact_id,
                                .attempt = it->contact.attempt,
                                .seg = (int16_t)i,
                                .n_segs = (int16_t)n,
                                .receipt = it->contact.want_receipt || final,
                                .ts_ms = it->arrived_ms,
                                .route_id = it->contact.route_id,
                                .refh = ref[0] ? store_ref_hash(it->instance, ref) : 0,
                                .address_key = it->contact.address_key,
                                .ref = ref,
                                .peer_ref = strcmp(peer, ref) != 0 ? peer : ""};
    }
    it->refh = n == 1 ? f->submits[f->n_submits - 1].refh : 0;
    count_submitted(f, it);
    if (!it->contact.want_receipt && !final) {
        flush_stat(f, it->contact.contact_id, STAT_NO_RECEIPT, 0, 1);
        figure_add(f, it->contact.route_id, FIGURE_ACCEPTED, -1);
    }
    flush_stat(f, it->contact.contact_id, STAT_SEGMENTS, 0, it->segments ? it->segments : n);
}

static void on_accepted(struct flush *f, struct item *it)
{
    submitted(f, it, false);
    flush_document(f, it);
    echo_gone(f, it);
}

static void on_final(struct flush *f, struct item *it)
{
    static const struct {
        int16_t kind, stat;
        enum figure figure;
    } map[] = {[CGW_RES_DELIVERED] = {EVENT_DELIVERED, STAT_DELIVERED, FIGURE_DELIVERED},
               [CGW_RES_FAILED] = {EVENT_FAILED, STAT_FAILED, FIGURE_FAILED},
               [CGW_RES_EXPIRED] = {EVENT_EXPIRED, STAT_EXPIRED, FIGURE_EXPIRED}};
    submitted(f, it, true);
    event(f, it, map[it->result].kind);
    flush_stat(f, it->contact.contact_id, map[it->result].stat, 0, 1);
    figure_add(f, it->contact.route_id, map[it->result].figure, -1);
    echo_gone(f, it);
}

static void on_refused(struct flush *f, struct item *it)
{
    event(f, it, EVENT_REFUSED);
    count_submitted(f, it);
    flush_stat(f, it->contact.contact_id, STAT_FAILED, 0, 1);
    figure_add(f, it->contact.route_id, FIGURE_FAILED, -1);
    if (!it->contact.resent) { /* else the first attempt may have been read */
        f->release[f->n_release].part = it->contact.part;
        f->release[f->n_release++].contact_id = it->contact.contact_id;
    }
    echo_gone(f, it);
}

static void again(struct flush *f, const struct item *it, int64_t delay_ms, int16_t tries,
                  int16_t reason)
{
    f->echo_put[f->n_echo_put].part = it->contact.part;
    f->echo_put[f->n_echo_put].wave_id = it->contact.wave_id;
    f->echo_put[f->n_echo_put++].e =
        (struct echo_row){.seq = seq_of(it),
                          .attempt = (int16_t)(it->contact.attempt + 1),
                          .tries = tries,
                          .not_before_ms = f->now_ms + delay_ms,
                          .reason = reason,
                          .keeps = true,
                          .resent = it->contact.resent || reason == REASON_RETRY_IN_DOUBT};
    flush_stat(f, it->contact.contact_id, STAT_RETRIES, reason, 1);
    f->wake = true;
}

/* A telephone that rang, or was in use, was a contact, whoever did not take it: it stays counted.
 */
static bool reached_the_person(const struct item *it)
{
    return it->sub == CGW_SUB_BUSY || it->sub == CGW_SUB_NO_ANSWER || it->sub == CGW_SUB_REJECTED ||
           it->sub == CGW_SUB_MACHINE;
}

static void on_retry(struct flush *f, struct item *it)
{
    bool throttled = it->flags & CGW_RESF_THROTTLED;
    int16_t tries = (int16_t)(it->contact.tries + !throttled); /* back-pressure is not an attempt */
    if ((!throttled && tries >= it->contact.max_tries) || it->contact.attempt >= ATTEMPTS_MAX) {
        if (reached_the_person(it)) {
            it->result = CGW_RES_FAILED;
            on_final(f, it);
        } else {
            on_refused(f, it);
        }
        return;
    }
    event(f, it, EVENT_RETRY);
    int64_t delay = it->retry_after_ms > 0 ? it->retry_after_ms
                    : throttled            ? THROTTLED_AGAIN_MS
                                           : retry_delay_ms(it->contact.tries);
    again(f, it, delay, tries, throttled ? REASON_RETRY_THROTTLED : REASON_RETRY_REFUSED);
}

static void on_not_sent(struct flush *f, struct item *it)
{
    if (it->contact.attempt >= ATTEMPTS_MAX) {
        on_refused(f, it);
        return;
    }
    event(f, it, EVENT_NOT_SENT);
    int doublings = it->contact.attempt - 1;
    int64_t delay = NOT_SENT_AGAIN_MS
                    << (doublings < NOT_SENT_DOUBLINGS ? doublings : NOT_SENT_DOUBLINGS);
    again(f, it, it->retry_after_ms > 0 ? it->retry_after_ms : delay, it->contact.tries,
          REASON_RETRY_NOT_SENT);
}

static bool wave_resends(struct flush *f, const struct item *it)
{
    if (f->rc == 0 && f->resend_wave != it->contact.wave_id) {
        f->rc = store_wave_resends(f->db, it->contact.wave_id, &f->resends, f->diag);
        f->resend_wave = it->contact.wave_id;
    }
    return f->rc == 0 && f->resends;
}

static void on_unknown(struct flush *f, struct item *it)
{
    event(f, it, EVENT_IN_DOUBT);
    count_submitted(f, it);
    if (!it->contact.resent)
        flush_stat(f, it->contact.contact_id, STAT_IN_DOUBT, 0, 1);
    f->doubts[f->n_doubts++] =
        (struct doubt_row){.part = it->contact.part,
                           .route_id = it->contact.route_id,
                           .contact_id = it->contact.contact_id,
                           .address_key = it->contact.address_key,
                           .since_ms = it->contact.intended_utc_ms,
                           .until_ms = it->contact.not_after_utc_ms + f->w->cfg.receipt_grace_ms,
                           .attempt = it->contact.attempt};
    if (!it->contact.resent && wave_resends(f, it))
        again(f, it, RESEND_AFTER_MS, it->contact.tries, REASON_RETRY_IN_DOUBT);
    else
        echo_gone(f, it);
}

int flush_results(struct flush *f)
{
    static void (*const handle[])(struct flush *, struct item *) = {
        [CGW_RES_ACCEPTED] = on_accepted,   [CGW_RES_NOT_SENT] = on_not_sent,
        [CGW_RES_REFUSED_RETRY] = on_retry, [CGW_RES_REFUSED] = on_refused,
        [CGW_RES_DELIVERED] = on_final,     [CGW_RES_FAILED] = on_final,
        [CGW_RES_EXPIRED] = on_final,       [CGW_RES_UNKNOWN] = on_unknown};
    for (int i = 0; i < f->n; i++) {
        struct item *it = f->items[i];
        if (it->kind != ITEM_RESULT)
            continue;
        bool known = it->result < ARRAY_LEN(handle) && handle[it->result];
        it->stat_at = f->n_stats;
        (known ? handle[it->result] : on_unknown)(f,
                                                  it); /* a word we do not know: assume the worst */
        it->stat_n = f->n_stats - it->stat_at;
    }
    return f->rc;
}

/* ---- overtaken
 * -----------------------------------------------------------------------------------------------------------
 */
static void drop_event(struct flush *f, const struct item *it, int16_t kind)
{
    for (int i = 0; i < f->n_events; i++)
        if (f->events[i].part == it->contact.part &&
            f->events[i].e.contact_id == it->contact.contact_id &&
            f->events[i].e.attempt == it->contact.attempt && f->events[i].e.kind == kind) {
            if (f->events[i].e.sub)
                flush_stat(f, it->contact.contact_id, STAT_SUB, f->events[i].e.sub, -1);
            f->events[i] = f->events[--f->n_events];
            return;
        }
}

static void drop_again(struct flush *f, const struct item *it)
{
    for (int i = 0; i < f->n_echo_put; i++)
        if (f->echo_put[i].part == it->contact.part &&
            f->echo_put[i].wave_id == it->contact.wave_id && f->echo_put[i].e.seq == seq_of(it)) {
            flush_stat(f, it->contact.contact_id, STAT_RETRIES, f->echo_put[i].e.reason, -1);
            f->echo_put[i] = f->echo_put[--f->n_echo_put];
            return;
        }
}

/* The echo row is another attempt's by now. */
static void keep_echo(struct flush *f, const struct item *it)
{
    for (int i = 0; i < f->n_echo_del; i++)
        if (f->echo_del[i].part == it->contact.part &&
            f->echo_del[i].wave_id == it->contact.wave_id && f->echo_del[i].seq == seq_of(it)) {
            f->echo_del[i] = f->echo_del[--f->n_echo_del];
            return;
        }
}

/* It was not sent, but whoever took over has sent it once more and counts it with the first
 * attempt. A refusal is no end then. */
static void too_late(struct flush *f, const struct item *it)
{
    drop_again(f, it);
    for (int i = 0; i < f->n_release; i++)
        if (f->release[i].contact_id == it->contact.contact_id) {
            f->release[i] = f->release[--f->n_release];
            flush_stat(f, it->contact.contact_id, STAT_SUBMITTED, 0, -1);
            flush_stat(f, it->contact.contact_id, STAT_FAILED, 0, -1);
            drop_event(f, it, EVENT_REFUSED);
            return;
        }
}

static void drop_submits(struct flush *f, const struct item *it)
{
    for (int i = 0; i < f->n_submits;)
        if (f->submits[i].part == it->contact.part &&
            f->submits[i].contact_id == it->contact.contact_id &&
            f->submits[i].attempt == it->contact.attempt)
            f->submits[i] = f->submits[--f->n_submits];
        else
            i++;
    flush_document_drop(f, it);
}

/* Whoever took the part over knew for certain that nothing had been sent, because what leaves does
 * so with its accept, and put the contact in line again. Now this accept does not count: with it
 * there would be two. */
static void disown(struct flush *f, const struct item *it)
{
    drop_submits(f, it);
    keep_echo(f, it);
    for (int i = 0; i < f->n_events;)
        if (f->events[i].part == it->contact.part &&
            f->events[i].e.contact_id == it->contact.contact_id &&
            f->events[i].e.attempt == it->contact.attempt)
            f->events[i] = f->events[--f->n_events];
        else
            i++;
    for (int i = 0; i < f->n_echo_put;)
        if (f->echo_put[i].part == it->contact.part &&
            f->echo_put[i].wave_id == it->contact.wave_id && f->echo_put[i].e.seq == seq_of(it))
            f->echo_put[i] = f->echo_put[--f->n_echo_put];
        else
            i++;
    for (int i = 0; i < f->n_release;)
        if (f->release[i].contact_id == it->contact.contact_id)
            f->release[i] = f->release[--f->n_release];
        else
            i++;
    for (int i = 0; i < f->n_doubts;)
        if (f->doubts[i].contact_id == it->contact.contact_id &&
            f->doubts[i].attempt == it->contact.attempt)
            f->doubts[i] = f->doubts[--f->n_doubts];
        else
            i++;
    for (int i = it->stat_at; i < it->stat_at + it->stat_n; i++) {
        f->stats[f->n_stats] = f->stats[i];
        f->stats[f->n_stats].n = -f->stats[i].n;
        f->n_stats++;
    }
}

/* The contact was called in doubt, and counted as submitted, by a node that took the part over.
 * What we know settles it, unless its receipt did. resent: state of its echo row when it is to be
 * sent once more, -1 none. */
static void overtaken(struct flush *f, struct item *it, bool given_up, bool settled, int resent)
{
    bool nothing_new = it->result == CGW_RES_UNKNOWN,
         went_out = it->result == CGW_RES_ACCEPTED || it->result == CGW_RES_DELIVERED ||
                    it->result == CGW_RES_FAILED || it->result == CGW_RES_EXPIRED;
    if (resent >= 0)
        keep_echo(f, it);
    if (resent > 0 && !went_out && !nothing_new) {
        too_late(f, it);
        return;
    }
    if (!it->contact.resent)
        flush_stat(f, it->contact.contact_id, STAT_SUBMITTED, 0, -1);
    if (nothing_new) {
        drop_event(f, it, EVENT_IN_DOUBT);
        drop_again(f, it);
        if (!it->contact.resent)
            flush_stat(f, it->contact.contact_id, STAT_IN_DOUBT, 0, -1);
        return;
    }
    if (went_out && settled) { /* and wrote the row of the accept */
        drop_submits(f, it);
        return;
    }
    if (went_out) {
        event(f, it, EVENT_SETTLED);
        flush_stat(f, it->contact.contact_id, STAT_SETTLED, 0, 1);
    }
    bool final = it->result != CGW_RES_ACCEPTED || !it->contact.want_receipt;
    if (given_up && final)
        flush_stat(f, it->contact.contact_id, STAT_UNKNOWN, 0, -1);
    f->doubt_del[f->n_doubt_del].part = it->contact.part;
    f->doubt_del[f->n_doubt_del++].contact_id = it->contact.contact_id;
}

/* Results of messages that were intended under an earlier epoch of their part: rare, so one look
 * each. */
int flush_overtaken(struct flush *f)
{
    int rc = 0;
    for (int i = 0; rc == 0 && i < f->n; i++) {
        struct item *it = f->items[i];
        struct event_key ev[32];
        int n = 0;
        if (it->kind != ITEM_RESULT || it->contact.epoch == f->lock[it->contact.part].epoch)
            continue;
        rc = store_events_find(f->db, it->contact.part, &it->contact.contact_id, 1, ev,
                               ARRAY_LEN(ev), &n, f->diag);
        bool flagged = false, given_up = false, settled = false, unsent = false;
        for (int k = 0; rc == 0 && k < n; k++) {
            if (ev[k].attempt != it->contact.attempt)
                continue;
            flagged = flagged || ev[k].kind == EVENT_IN_DOUBT;
            given_up = given_up || ev[k].kind == EVENT_UNKNOWN;
            settled = settled || ev[k].kind == EVENT_SETTLED;
            unsent = unsent || ev[k].kind == EVENT_NOT_SENT;
        }
        if (unsent) {
            disown(f, it);
            continue;
        }
        int resent = -1;
        if (rc == 0 && flagged && !it->contact.resent)
            rc = store_echo_resent(f->db, it->contact.part, it->contact.contact_id, &resent,
                                   f->diag);
        if (rc == 0 && resent == 0 && it->result != CGW_RES_UNKNOWN)
            rc = store_echo_unsend(f->db, it->contact.part, it->contact.contact_id, f->diag);
        if (rc == 0 && flagged)
            overtaken(f, it, given_up, settled, resent);
    }
    return rc;
}
