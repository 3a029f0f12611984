/* SPDX-License-Identifier: Apache-2.0 */
/* recall.c - cancel_sm: accepted messages of a cancelled campaign are taken back before the SMSC
 * delivers them. The answer becomes a receipt. Goes behind urgent messages and before bulk, within
 * half of the account's rate: what waits here may be delivered meanwhile. Must not decide what is
 * recalled. Source: SMPP v3.4 issue 1.2, 4.9. */
#include "instance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATE_DELETED 4u  /* SMPP v3.4 5.2.28 */
#define RECALL_WINDOW 32u /* unanswered ones per link, beside the parts; queries count too */

static struct smpp_question *slot_at(struct smpp_inst *in, uint32_t i)
{
    return &in->recalls[(in->recall_first + i) % SMPP_RECALLS_MAX];
}

/* Where we take messages back, DELETED is what the SMSC calls it: the answer to cancel_sm may have
 * been lost, or come later. */
uint32_t smpp_result_of(const struct smpp_inst *in, uint8_t state)
{
    return in->opt.cancel && state == STATE_DELETED ? CGW_RES_RECALLED : smpp_state_result(state);
}

void smpp_recall_start(struct smpp_inst *in)
{
    int64_t half = in->opt.rate / 2;
    smpp_bucket_init(&in->recall_bucket, in->opt.rate > 0 && half == 0 ? 1 : half, in->now_ms);
}

static bool can_send(const struct smpp_inst *in)
{
    for (uint32_t i = 0; i < in->n_links; i++)
        if (smpp_link_can_send(&in->links[i]))
            return true;
    return false;
}

uint32_t smpp_recall_add(struct smpp_inst *in, const struct cgw_ask *asks, uint32_t n)
{
    const char *at = (const char *)asks;
    uint32_t taken = 0;
    if (in->opt.cancel && !in->draining && !can_send(in))
        return 0; /* what waited here for a bind would be asked about too late, or twice */
    for (; taken < n && in->n_recalls < SMPP_RECALLS_MAX; taken++, at += asks->size) {
        const struct cgw_ask *a = (const struct cgw_ask *)at;
        struct smpp_question *q = slot_at(in, in->n_recalls);
        if (!in->opt.cancel || in->draining)
            continue; /* taken, and left to its receipt */
        if (!smpp_question_set(in, q, a)) {
            smpp_count(in, SMPP_C_RECALLS_FAILED, 1);
            continue;
        }
        in->n_recalls++;
    }
    return taken;
}

static bool ask(struct smpp_link *l, const struct smpp_question *q)
{
    static const struct smpp_addr anyone; /* may be NULL where the message_id is given */
    struct smpp_inst *in = l->inst;
    struct smpp_question *owned = malloc(sizeof *owned);
    uint32_t seq =
        owned ? smpp_inflight_add(&l->inflight, SMPP_SLOT_RECALL, owned, 0, in->now_ms) : 0;
    int len = -1;
    if (seq != 0)
        len = smpp_encode_cancel(in->encode, sizeof in->encode, seq, q->id, NULL, &q->source,
                                 &anyone);
    if (len > 0 && smpp_conn_append(&l->conn, in->encode, (uint32_t)len) == 0) {
        *owned = *q;
        smpp_count(in, SMPP_C_RECALLS, 1);
        return true;
    }
    struct smpp_slot slot;
    if (seq != 0)
        (void)smpp_inflight_take(&l->inflight, seq, &slot);
    free(owned);
    smpp_count(in, SMPP_C_RECALLS_FAILED, 1);
    return false;
}

static bool may_ask(const struct smpp_link *l)
{
    return l->inst->n_recalls > 0 && smpp_link_can_send(l) &&
           TAILQ_EMPTY(&l->queue[CGW_LANE_URGENT]) && l->inflight.control < RECALL_WINDOW;
}

static bool take_token(struct smpp_inst *in)
{
    if (!smpp_bucket_take(&in->recall_bucket, in->now_ms))
        return false;
    if (smpp_bucket_take(&in->bucket, in->now_ms))
        return true;
    smpp_bucket_give_back(&in->recall_bucket);
    return false;
}

/* What is appended here is flushed by the pump before it writes parts, or when the link is settled.
 */
void smpp_recall_pump(struct smpp_link *l)
{
    struct smpp_inst *in = l->inst;
    while (may_ask(l) && !smpp_aimd_is_paused(&l->aimd, in->now_ms) && take_token(in)) {
        const struct smpp_question *q = slot_at(in, 0);
        in->recall_first = (in->recall_first + 1) % SMPP_RECALLS_MAX;
        in->n_recalls--;
        if (!ask(l, q))
            return;
    }
}

int64_t smpp_recall_next_ms(const struct smpp_link *l)
{
    const struct smpp_inst *in = l->inst;
    if (!may_ask(l))
        return 0;
    if (smpp_aimd_is_paused(&l->aimd, in->now_ms))
        return l->aimd.pause_until_ms;
    struct smpp_bucket own = in->recall_bucket, account = in->bucket;
    int64_t a = smpp_bucket_wait_ms(&own, in->now_ms),
            b = smpp_bucket_wait_ms(&account, in->now_ms), wait_ms = a > b ? a : b;
    return in->now_ms + (wait_ms > 0 ? wait_ms : 1);
}

/* Not now: back in line, as long as there is room. */
static void again(struct smpp_link *l, const struct smpp_slot *slot)
{
    struct smpp_inst *in = l->inst;
    (void)smpp_aimd_throttled(&l->aimd, slot->written_ms, in->now_ms, smpp_random(in));
    smpp_count(in, SMPP_C_THROTTLED, 1);
    if (in->n_recalls < SMPP_RECALLS_MAX)
        *slot_at(in, in->n_recalls++) = *(const struct smpp_question *)slot->owner;
    else
        smpp_count(in, SMPP_C_RECALLS_FAILED, 1); /* the gateway asks again later */
}

/* "Not now" says nothing of the message. What has no reason or is a vendor's is an answer, and so
 * is a generic_nack without one: the SMSC did not read it and will not the next time. */
static bool says_later(enum smpp_class cls, const struct smpp_pdu *pdu)
{
    static const uint32_t later[] = {SMPP_RSYSERR, SMPP_RX_T_APPN, SMPP_RDELIVERYFAILURE,
                                     SMPP_RSERTYPUNAVAIL};
    for (size_t i = 0; cls == SMPP_CLASS_TRANSIENT && i < sizeof later / sizeof later[0]; i++)
        if (pdu->status == later[i])
            return true;
    return cls == SMPP_CLASS_SESSION;
}

/* Its answer speaks for the one part that it named, also where one receipt speaks for all. */
void smpp_recall_answer(struct smpp_link *l, struct smpp_slot *slot, const struct smpp_pdu *pdu)
{
    struct smpp_inst *in = l->inst;
    const struct smpp_question *q = slot->owner;
    char id[CGW_PROVIDER_ID_MAX]; /* asked as the peer spells it, known in normal form */
    uint32_t status = pdu->status != SMPP_ROK             ? pdu->status
                      : pdu->command == SMPP_GENERIC_NACK ? SMPP_RSYSERR
                                                          : SMPP_ROK;
    enum smpp_class cls = smpp_retry_submit(&in->opt.retry, status).cls;
    smpp_msgid_same(&in->ids, q->id, id);
    if (status == SMPP_ROK) {
        smpp_aimd_accepted(&l->aimd, in->now_ms);
        smpp_inbox_report(in, id, CGW_RES_RECALLED, 0, 0, "cancel_sm");
    } else if (cls == SMPP_CLASS_THROTTLE) {
        again(l, slot);
    } else {
        char words[CGW_RAW_MAX];
        (void)snprintf(words, sizeof words, "cancel_sm %s", smpp_status_name(status));
        smpp_count(in, SMPP_C_RECALLS_FAILED, 1);
        if (!says_later(cls, pdu))
            smpp_inbox_report(in, id, CGW_RES_NOT_RECALLED, 0, 0, words);
    }
    smpp_query_drop(slot);
}
