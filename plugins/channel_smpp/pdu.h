/* SPDX-License-Identifier: Apache-2.0 */
/* pdu.h - whole PDUs in and out: guard and codec library behind plain structs. The only file pair
 * that knows libsmpp34. libsmpp34 keeps its state in process globals: call these functions from ONE
 * thread of the process. All lengths are checked before packing, because the library cuts too long
 * strings without a word. Source: SMPP 3.4 issue 1.2, chapters 4 and 5. */
#ifndef SMPP_PDU_H
#define SMPP_PDU_H

#include "cgw/types.h"
#include "proto.h"

/* ---- in ---- */
struct smpp_pdu {
    uint32_t command, status, sequence;
    bool has_body; /* the members below that belong to the command are set */

    /* bind_*_resp */
    char system_id[SMPP_SYSTEM_ID_MAX + 1];
    uint8_t interface_version; /* sc_interface_version, 0 = not said */

    /* submit_sm_resp, data_sm_resp, query_sm_resp */
    char message_id[SMPP_MSGID_MAX + 1];
    /* query_sm_resp */
    char final_date[SMPP_TIME_LEN + 1];
    uint8_t message_state, error_code;

    /* deliver_sm, data_sm; alert_notification: source and destination only */
    char service_type[SMPP_SERVICE_TYPE_MAX + 1];
    struct smpp_addr source, destination;
    uint8_t esm_class, protocol_id, priority, registered_delivery, data_coding;
    uint8_t short_len;
    uint8_t short_message[SMPP_SHORT_IN_MAX];

    /* optional parameters, also of error responses; they point into the caller's PDU buffer */
    uint32_t n_tlvs, tlvs_dropped;
    bool tail_bad;
    struct smpp_tlv tlvs[SMPP_TLVS_MAX];
};

/* Decode one framed PDU (smpp_frame() said its length). Takes any octets. The header members of ret
 * are always set. \return 0; -EBADMSG or -ENOSYS: see smpp_decode_answer(). A PDU that fails is no
 * reason to drop the bind. */
int smpp_decode(const uint8_t *pdu, uint32_t len, struct smpp_pdu *ret);
/* What to answer a PDU that smpp_decode() refused with rc. \return false: nothing (a response is
 * never answered, nor outbind). */
bool smpp_decode_answer(int rc, uint32_t command, uint32_t *ret_command, uint32_t *ret_status);

/* Text of deliver_sm/data_sm, UDH included: short_message, else message_payload
 * (SMPP 3.4 5.3.2.32). Never NULL. */
const uint8_t *smpp_pdu_text(const struct smpp_pdu *pdu, uint32_t *ret_len);
const struct smpp_tlv *smpp_pdu_tlv(const struct smpp_pdu *pdu, uint16_t tag);
/* Value of an integer TLV of exactly `octets` (1, 2 or 4). \return false: absent or of another
 * length. */
bool smpp_pdu_tlv_uint(const struct smpp_pdu *pdu, uint16_t tag, uint32_t octets,
                       uint32_t *ret_value);
/* The peer's words of an error response (additional_status_info_text), printable ASCII only. Writes
 * "" when none. */
void smpp_pdu_error_text(const struct smpp_pdu *pdu, char *out, size_t out_size);

/* ---- out ---- */
struct smpp_bind {
    uint32_t command; /* SMPP_BIND_* */
    const char *system_id, *password, *system_type, *address_range;
    uint8_t interface_version; /* 0x34 */
    uint8_t addr_ton, addr_npi;
};

struct smpp_submit {
    const char *service_type; /* NULL = "" */
    struct smpp_addr source, destination;
    uint8_t esm_class, protocol_id, priority, registered_delivery, data_coding;
    const char *validity_period; /* NULL, "" or 16 characters */
    const char *schedule;        /* likewise */
    const uint8_t *text;         /* borrowed, UDH included */
    uint32_t text_len;
    bool
        payload; /* text travels as message_payload, short_message stays empty (trap: never both) */
    bool has_sar;
    uint16_t sar_ref;
    uint8_t sar_total, sar_index; /* index from 1 */
    bool has_user_ref;
    uint16_t user_ref;
    const struct smpp_tlv *extra; /* route's own parameters, borrowed */
    uint32_t n_extra;
};

/* Vendor parameters of a route, from its option list "0x1400=0a0b". */
#define SMPP_EXTRA_VALUE_MAX 256u
struct smpp_extra {
    uint32_t n;
    struct smpp_tlv tlvs[SMPP_OUT_TLVS_MAX]; /* point into value: do not copy the struct */
    uint8_t value[SMPP_OUT_TLVS_MAX][SMPP_EXTRA_VALUE_MAX];
};
/* Add one "TAG=HEX" to e (zeroed before the first). \return 0, CGW_EINVAL or CGW_ELIMIT with diag
 * (may be NULL). */
int smpp_extra_add(struct smpp_extra *e, const char *item, struct cgw_diag *diag);

/* Configuration check of a bind: lengths and printable characters. \return 0 or CGW_EINVAL with
 * diag; never shows the password. */
int smpp_bind_check(const struct smpp_bind *bind, struct cgw_diag *diag);

/* All encoders write one PDU to out. \return its length (> 0), -EINVAL (a field cannot be said in
 * SMPP), -EMSGSIZE (text too long), -ENOBUFS (cap too small: SMPP_ENCODE_CAP(text) is always
 * enough). */
#define SMPP_ENCODE_CAP(payload_len)                                                               \
    (2048u + SMPP_OUT_TLVS_MAX * (SMPP_EXTRA_VALUE_MAX + 4u) + (payload_len))
int smpp_encode_bind(uint8_t *out, size_t cap, uint32_t sequence, const struct smpp_bind *bind);
int smpp_encode_submit(uint8_t *out, size_t cap, uint32_t sequence, const struct smpp_submit *sm);
int smpp_encode_query(uint8_t *out, size_t cap, uint32_t sequence, const char *message_id,
                      const struct smpp_addr *source);
int smpp_encode_cancel(uint8_t *out, size_t cap, uint32_t sequence, const char *message_id,
                       const char *service_type, const struct smpp_addr *source,
                       const struct smpp_addr *destination);
/* enquire_link, enquire_link_resp, unbind, unbind_resp, generic_nack, deliver_sm_resp, data_sm_resp
 * (the last two with an empty message_id). Any status, any sequence including 0 (generic_nack for a
 * PDU that could not be framed). */
int smpp_encode_simple(uint8_t *out, size_t cap, uint32_t command, uint32_t status,
                       uint32_t sequence);

#endif
