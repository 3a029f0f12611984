/* SPDX-License-Identifier: Apache-2.0 */
/* guard.h - frames PDUs and reads what comes in.
 * No octet of a peer reaches the codec library: its own reading is only safe and only tolerant
 * enough for PDUs of one narrow form, prints every field, and one odd PDU must cost one error
 * answer and never the bind. Must not allocate, must not call the library. Source: SMPP 3.4
 * issue 1.2, chapters 3.2 and 4; real-life departures as the comments say. */
#ifndef SMPP_GUARD_H
#define SMPP_GUARD_H

#include "pdu.h"

/* Is there a whole PDU at the head of buf? \return 1 and *ret_pdu_len; 0 = read more (at least
 * *ret_pdu_len octets in total); -EBADMSG = command_length outside 16..SMPP_PDU_MAX: answer
 * generic_nack ESME_RINVCMDLEN and close, framing is lost. */
int smpp_frame(const uint8_t *buf, size_t len, uint32_t *ret_pdu_len);

/* Walk one framed PDU; all of ret is set but interface_version, and what has_body says.
 * \return 0; -EBADMSG = a mandatory field is missing or impossible; -ENOSYS = no command for an
 * ESME. */
int smpp_guard(const uint8_t *pdu, uint32_t len, struct smpp_pdu *ret);

/* First TLV with this tag, NULL = absent. */
const struct smpp_tlv *smpp_tlv_find(const struct smpp_tlv *tlvs, uint32_t n, uint16_t tag);

#endif
