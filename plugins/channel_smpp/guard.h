/* SPDX-License-Identifier: Apache-2.0 */
/* guard.h - frames PDUs and walks them before the codec library may see anything.
 * The library's own reading is only safe and only tolerant enough for PDUs of one narrow form:
 * status 0, a sequence, fields within the specification's sizes, no optional parameters. The guard
 * writes exactly that form and keeps everything else itself, so that one odd PDU costs one error
 * answer and never the bind. Must not allocate, must not call the library. Source: SMPP 3.4
 * issue 1.2, chapters 3.2 and 4; real-life departures as the comments say. */
#ifndef SMPP_GUARD_H
#define SMPP_GUARD_H

#include "proto.h"

#define SMPP_CANON_MAX 768u

struct smpp_in {
    uint32_t length, command, status, sequence;
    uint32_t canon_len; /* 0: the header (and tlv) is all there is for us */
    uint8_t canon[SMPP_CANON_MAX];
    uint8_t ton[2], npi[2]; /* as received: source, destination */
    uint8_t state;          /* query_sm_resp: message_state as received */
    uint32_t n_tlvs;
    uint32_t tlvs_dropped; /* beyond SMPP_TLVS_MAX */
    bool tail_bad;         /* octets at the end that are no TLV: ignored, count them */
    struct smpp_tlv tlvs[SMPP_TLVS_MAX]; /* point into the caller's buffer */
};

/* Is there a whole PDU at the head of buf? \return 1 and *ret_pdu_len; 0 = read more (at least
 * *ret_pdu_len octets in total); -EBADMSG = command_length outside 16..SMPP_PDU_MAX: answer
 * generic_nack ESME_RINVCMDLEN and close, framing is lost. */
int smpp_frame(const uint8_t *buf, size_t len, uint32_t *ret_pdu_len);

/* Walk one framed PDU. in's header members are set whenever len >= 16.
 * \return 0; -EBADMSG = a mandatory field is missing or impossible; -ENOSYS = no command for an
 * ESME. */
int smpp_guard(const uint8_t *pdu, uint32_t len, struct smpp_in *in);

/* First TLV with this tag, NULL = absent. */
const struct smpp_tlv *smpp_tlv_find(const struct smpp_tlv *tlvs, uint32_t n, uint16_t tag);

#endif
