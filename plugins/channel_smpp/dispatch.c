/* SPDX-License-Identifier: Apache-2.0 */
/* dispatch.c - reads a link and gives every PDU to whom it concerns, by a table of commands.
 * Must not change a link's state but through events. Source: SMPP v3.4 issue 1.2, chapters 3.2
 * and 4. */
#include "bind.h"
#include "guard.h"

#include <errno.h>
#include <stdio.h>

#define READ_BUDGET (128u * 1024u) /* octets per turn; the loop comes back for the rest */

static void on_bind_resp(struct smpp_link *l, const struct smpp_pdu *pdu)
{
    struct smpp_inst *in = l->inst;
    struct smpp_slot slot;
    const struct smpp_slot *found = smpp_inflight_find(&l->inflight, pdu->sequence);
    if (l->state != SMPP_BINDING || !found || found->kind != SMPP_SLOT_BIND) {
        smpp_count(in, SMPP_C_RESPONSE_UNMATCHED, 1);
        return;
    }
    (void)smpp_inflight_take(&l->inflight, pdu->sequence, &slot);
    if (pdu->command != SMPP_GENERIC_NACK && pdu->status == SMPP_ROK) {
        smpp_link_fire(l, SMPP_EV_BIND_OK);
        return;
    }
    struct smpp_verdict v = smpp_retry_bind(pdu->status, ++l->refusals);
    bool lasting = v.cls == SMPP_CLASS_BIND_PERMANENT || v.cls == SMPP_CLASS_PERMANENT;
    char why[128];
    (void)snprintf(why, sizeof why, "bind refused with 0x%08x %s%s", pdu->status,
                   smpp_status_name(pdu->status), lasting ? "; check the account's options" : "");
    smpp_link_set_why(l, why);
    if (lasting && smpp_is_worth_saying(l->refusals))
        smpp_log(in, CGW_LOG_ERROR, "channel.bind.refused", "bind=%u code=0x%08x msg=\"%s\"",
                 l->index, pdu->status, why);
    l->step_ms = lasting ? in->opt.bind_refused_ms : -1;
    smpp_link_fire(l, SMPP_EV_BIND_REFUSED);
}

static void on_enquire(struct smpp_link *l, const struct smpp_pdu *pdu)
{
    /* At any time, also before our bind is answered: some SMSCs ask that early. */
    smpp_link_say(l, SMPP_ENQUIRE_LINK | SMPP_RESP, SMPP_ROK, pdu->sequence);
}

static void on_enquire_resp(struct smpp_link *l, const struct smpp_pdu *pdu)
{
    struct smpp_slot slot;
    const struct smpp_slot *found = smpp_inflight_find(&l->inflight, pdu->sequence);
    if (found && found->kind == SMPP_SLOT_ENQUIRE)
        (void)smpp_inflight_take(&l->inflight, pdu->sequence, &slot);
    else
        smpp_count(l->inst, SMPP_C_RESPONSE_UNMATCHED, 1);
}

static void on_unbind(struct smpp_link *l, const struct smpp_pdu *pdu)
{
    uint32_t epoch = l->epoch;
    smpp_link_say(l, SMPP_UNBIND | SMPP_RESP, SMPP_ROK, pdu->sequence);
    if (l->epoch != epoch)
        return;
    (void)smpp_conn_flush(&l->conn);
    smpp_link_set_why(l, "the peer unbound");
    smpp_link_fire(l, SMPP_EV_UNBIND_DONE);
}

static void on_unbind_resp(struct smpp_link *l, const struct smpp_pdu *pdu)
{
    const struct smpp_slot *found = smpp_inflight_find(&l->inflight, pdu->sequence);
    if (found && found->kind == SMPP_SLOT_UNBIND)
        smpp_link_fire(l, SMPP_EV_UNBIND_DONE);
    else
        smpp_count(l->inst, SMPP_C_RESPONSE_UNMATCHED, 1);
}

static void on_deliver(struct smpp_link *l, const struct smpp_pdu *pdu)
{
    if (l->state == SMPP_BOUND && l->role != SMPP_ROLE_TX)
        smpp_inbox_take(l, pdu);
    else if (l->state !=
             SMPP_UNBINDING) /* after our unbind the peer keeps it and delivers it again */
        smpp_link_say(l, pdu->command | SMPP_RESP, SMPP_RINVBNDSTS, pdu->sequence);
}

static void on_nack(struct smpp_link *l, const struct smpp_pdu *pdu)
{
    const struct smpp_slot *found = smpp_inflight_find(&l->inflight, pdu->sequence);
    if (found && found->kind == SMPP_SLOT_BIND)
        on_bind_resp(l, pdu);
    else if (found && found->kind == SMPP_SLOT_ENQUIRE)
        on_enquire_resp(l, pdu); /* a refusal of the question proves life all the same */
    else if (found && found->kind == SMPP_SLOT_UNBIND)
        smpp_link_fire(l, SMPP_EV_UNBIND_DONE);
    else
        smpp_pump_answer(l, pdu);
}

static void on_ignored(struct smpp_link *l, const struct smpp_pdu *pdu)
{
    (void)l;
    (void)pdu; /* outbind on a link of ours, alert_notification: nothing to do and nothing to answer
                */
}

static const struct {
    uint32_t command;
    void (*handle)(struct smpp_link *l, const struct smpp_pdu *pdu);
} handlers[] = {
    {SMPP_SUBMIT_SM | SMPP_RESP, smpp_pump_answer},
    {SMPP_DELIVER_SM, on_deliver},
    {SMPP_DATA_SM, on_deliver},
    {SMPP_ENQUIRE_LINK, on_enquire},
    {SMPP_ENQUIRE_LINK | SMPP_RESP, on_enquire_resp},
    {SMPP_GENERIC_NACK, on_nack},
    {SMPP_QUERY_SM | SMPP_RESP, smpp_pump_answer},
    {SMPP_CANCEL_SM | SMPP_RESP, smpp_pump_answer},
    {SMPP_UNBIND, on_unbind},
    {SMPP_UNBIND | SMPP_RESP, on_unbind_resp},
    {SMPP_BIND_TRANSCEIVER | SMPP_RESP, on_bind_resp},
    {SMPP_BIND_TRANSMITTER | SMPP_RESP, on_bind_resp},
    {SMPP_BIND_RECEIVER | SMPP_RESP, on_bind_resp},
    {SMPP_ALERT_NOTIFICATION, on_ignored},
    {SMPP_OUTBIND, on_ignored},
};

static void refuse_pdu(struct smpp_link *l, int rc)
{
    const struct smpp_pdu *pdu = &l->inst->pdu;
    uint32_t command, status;
    smpp_count(l->inst, SMPP_C_PDUS_BAD, 1);
    if (smpp_decode_answer(rc, pdu->command, &command, &status))
        smpp_link_say(l, command, status, pdu->sequence);
}

static void handle_pdu(struct smpp_link *l, const uint8_t *raw, uint32_t len)
{
    struct smpp_pdu *pdu = &l->inst->pdu;
    int rc = smpp_decode(raw, len, pdu);
    l->heard_ms = l->inst->now_ms;
    l->enquire_due_ms = 0;
    if (rc != 0) {
        refuse_pdu(l, rc);
        return;
    }
    if (pdu->tlvs_dropped > 0 || pdu->tail_bad)
        smpp_count(l->inst, SMPP_C_TLVS_BAD, 1);
    for (size_t i = 0; i < sizeof handlers / sizeof handlers[0]; i++)
        if (handlers[i].command == pdu->command) {
            handlers[i].handle(l, pdu);
            return;
        }
    refuse_pdu(l, -ENOSYS);
}

/* Handle all whole PDUs in the read buffer. \return false when the link is gone. */
static bool drain_rx(struct smpp_link *l)
{
    uint32_t epoch = l->epoch, len;
    int rc;
    while ((rc = smpp_frame(l->conn.rx + l->conn.rx_start, l->conn.rx_len, &len)) == 1) {
        uint8_t *raw = l->conn.rx + l->conn.rx_start, behind = raw[len];
        raw[len] = 0; /* one NUL behind the PDU: readers of C-octet strings may look there */
        handle_pdu(l, raw, len);
        if (l->epoch != epoch)
            return false;
        raw[len] = behind;
        smpp_conn_consume(&l->conn, len);
    }
    if (rc == 0)
        return true;
    smpp_count(l->inst, SMPP_C_PDUS_BAD, 1);
    smpp_link_say(l, SMPP_GENERIC_NACK, SMPP_RINVCMDLEN, 0);
    if (l->epoch != epoch)
        return false;
    (void)smpp_conn_flush(&l->conn);
    smpp_link_set_why(l, "the peer sent an impossible command_length");
    smpp_link_fire(l, SMPP_EV_LOST);
    return false;
}

void smpp_link_read(struct smpp_link *l)
{
    uint32_t total = 0;
    do {
        long n = smpp_conn_fill(&l->conn);
        if (n == 0)
            return;
        if (n < 0) {
            smpp_link_set_why(l, l->conn.why);
            smpp_link_fire(l, SMPP_EV_LOST);
            return;
        }
        total += (uint32_t)n;
        if (!drain_rx(l))
            return;
    } while (total < READ_BUDGET || (l->conn.tls && smpp_tls_has_pending(l->conn.tls)));
}
