/* SPDX-License-Identifier: Apache-2.0 */
/* receipt.h - is this deliver_sm/data_sm a receipt, and what does it say? Pure; the text inside a
 * receipt is never passed on. Source: SMPP 3.4 appendix B (text form), 5.2.12 (esm_class), 5.3.2.12
 * and .35 (optional parameters), 5.2.28 (states); SMPP 5.0 4.7.15 for states 0 and 9. */
#ifndef SMPP_RECEIPT_H
#define SMPP_RECEIPT_H

#include "cgw/channel.h"
#include "pdu.h"
#include "text.h"

enum smpp_kind {
    SMPP_KIND_MO,           /* a person's message */
    SMPP_KIND_RECEIPT,      /* final or ENROUTE result of ours */
    SMPP_KIND_INTERMEDIATE, /* intermediate notification: on its way */
    SMPP_KIND_ACK /* delivery or manual acknowledgement by the recipient's device or person: count,
                     store nothing */
};
/* esm_class first; with esm_class 0 a receipt is recognised by its TLVs or by its text. */
enum smpp_kind smpp_kind_of(const struct smpp_pdu *pdu);

struct smpp_receipt {
    uint32_t result; /* CGW_RES_ENROUTE, DELIVERED, FAILED, EXPIRED, REFUSED, UNKNOWN */
    uint8_t state;   /* message_state 0..9, 255 = not understood */
    char id[CGW_PROVIDER_ID_MAX]; /* raw, "" = none */
    bool id_same; /* the text spells another id than receipted_message_id, so `id` (the parameter's)
                   * is the response's own spelling: pass it through smpp_msgid_same(), not
                   * smpp_msgid_receipt() */
    char stat[16]; /* as written, "" = none */
    char err[16];  /* as written: decimal, hex or letters */
    int32_t code;  /* err as decimal number, else network_error_code, else 0 */
    bool has_network;
    uint8_t network_type; /* network_error_code: 1 ANSI-136, 2 IS-95, 3 GSM ... */
    uint16_t network_code;
    uint32_t sub, dlvrd; /* counts of the text form, 0 = not said */
    uint64_t reference; /* user_message_reference + 1, 0 = none (so that reference 0 can be told) */
    char submit_date[16], done_date[16]; /* as written, in the SMSC's zone */
    char raw[CGW_RAW_MAX]; /* the receipt's own words up to "text:", printable ASCII */
};
/* \return 0; -EBADMSG = neither TLVs nor text name a message (acknowledge it all the same and
 * count: any error makes the SMSC repeat it for days). */
int smpp_receipt_parse(const struct smpp_pdu *pdu, struct smpp_receipt *ret);
/* CGW_RES_* of a message_state (SMPP 3.4 5.2.28, query_sm_resp too); UNKNOWN for what is not known.
 */
uint32_t smpp_state_result(uint8_t state);

#endif
