/* SPDX-License-Identifier: Apache-2.0 */
/* query.c - query_sm about earlier messages; the answer becomes a receipt. Must not resend
 * anything. Source: SMPP v3.4 issue 1.2, 4.8. */
#include "instance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUERY_WINDOW 16u /* unanswered questions per link, beside the parts */

/* source_addr must be that of the submit: the sender of then, else the instance's. */
static bool source_of(const struct smpp_inst *in, const struct cgw_address *from,
                      struct smpp_addr *ret)
{
    struct cgw_address own = {in->opt.default_sender_kind, (uint32_t)strlen(in->opt.default_sender),
                              in->opt.default_sender};
    return smpp_addr_source(from->kind ? from : &own, &in->opt.addr_rules, ret, NULL) == 0;
}

bool smpp_question_set(const struct smpp_inst *in, struct smpp_question *q,
                       const struct cgw_ask *ask)
{
    if (ask->peer_id[0] == '\0' || strlen(ask->peer_id) > SMPP_MSGID_MAX ||
        !source_of(in, &ask->from, &q->source))
        return false;
    (void)snprintf(q->id, sizeof q->id, "%s", ask->peer_id);
    return true;
}

void smpp_query_add(struct smpp_inst *in, const struct cgw_ask *asks, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        struct smpp_question *q =
            &in->queries[(in->query_first + in->n_queries) % SMPP_QUERIES_MAX];
        if (in->opt.query && in->n_queries < SMPP_QUERIES_MAX && smpp_question_set(in, q, &asks[i]))
            in->n_queries++;
        else
            smpp_count(in, SMPP_C_QUERIES_FAILED, 1); /* the gateway may ask again later */
    }
}

static bool ask(struct smpp_link *l, const struct smpp_question *q)
{
    struct smpp_inst *in = l->inst;
    char *owned = strdup(q->id);
    uint32_t seq =
        owned ? smpp_inflight_add(&l->inflight, SMPP_SLOT_QUERY, owned, 0, in->now_ms) : 0;
    int len = -1;
    if (seq != 0)
        len = smpp_encode_query(in->encode, sizeof in->encode, seq, q->id, &q->source);
    if (len > 0 && smpp_conn_append(&l->conn, in->encode, (uint32_t)len) == 0) {
        smpp_count(in, SMPP_C_QUERIES, 1);
        return true;
    }
    struct smpp_slot slot;
    if (seq != 0)
        (void)smpp_inflight_take(&l->inflight, seq, &slot);
    free(owned);
    smpp_count(in, SMPP_C_QUERIES_FAILED, 1);
    return false;
}

void smpp_query_pump(struct smpp_link *l)
{
    struct smpp_inst *in = l->inst;
    while (in->n_queries > 0 && smpp_link_can_send(l) && l->inflight.control < QUERY_WINDOW &&
           l->conn.tx_len == 0 && !smpp_aimd_is_paused(&l->aimd, in->now_ms) &&
           smpp_bucket_take(&in->bucket, in->now_ms)) {
        const struct smpp_question *q = &in->queries[in->query_first];
        in->query_first = (in->query_first + 1) % SMPP_QUERIES_MAX;
        in->n_queries--;
        if (!ask(l, q) || smpp_conn_flush(&l->conn) <= 0)
            return;
    }
}

void smpp_query_answer(struct smpp_link *l, struct smpp_slot *slot, const struct smpp_pdu *pdu)
{
    struct smpp_inst *in = l->inst;
    char id[CGW_PROVIDER_ID_MAX]; /* asked as the peer spells it, known in normal form */
    smpp_msgid_same(&in->ids, slot->owner, id);
    if (pdu->command == SMPP_GENERIC_NACK || pdu->status != SMPP_ROK)
        smpp_count(in, SMPP_C_QUERIES_FAILED, 1);
    else
        smpp_inbox_report(in, id, smpp_result_of(in, pdu->message_state),
                          in->opt.receipt_is_whole ? CGW_RESF_WHOLE : 0, pdu->error_code,
                          "query_sm");
    free(slot->owner);
    slot->owner = NULL;
}

void smpp_query_drop(struct smpp_slot *slot)
{
    free(slot->owner);
    slot->owner = NULL;
}
