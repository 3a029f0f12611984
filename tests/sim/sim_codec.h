/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_codec.h - the simulator's own SMPP 3.4 codec.
 * Deliberately written without the library the gateway uses: a peer that shares the codec would
 * share its mistakes. Does no I/O and judges nothing: it reports what it saw as fault bits.
 * Source: SMPP v3.4 issue 1.2; user data header: 3GPP TS 23.040, 9.2.3.24.
 */
#ifndef SIM_CODEC_H
#define SIM_CODEC_H

#include "sim_util.h"

/* command_id, SMPP 3.4 5.1.2.1 */
#define SMPP_RESP 0x80000000u
#define SMPP_GENERIC_NACK 0x80000000u
#define SMPP_BIND_RX 0x00000001u
#define SMPP_BIND_TX 0x00000002u
#define SMPP_QUERY_SM 0x00000003u
#define SMPP_SUBMIT_SM 0x00000004u
#define SMPP_DELIVER_SM 0x00000005u
#define SMPP_UNBIND 0x00000006u
#define SMPP_CANCEL_SM 0x00000008u
#define SMPP_BIND_TRX 0x00000009u
#define SMPP_ENQUIRE_LINK 0x00000015u
#define SMPP_DATA_SM 0x00000103u

/* command_status, SMPP 3.4 5.1.3 */
#define SMPP_ROK 0x00u
#define SMPP_RINVCMDLEN 0x02u
#define SMPP_RINVCMDID 0x03u
#define SMPP_RINVBNDSTS 0x04u
#define SMPP_RALYBND 0x05u
#define SMPP_RSYSERR 0x08u
#define SMPP_RINVDSTADR 0x0Bu
#define SMPP_RBINDFAIL 0x0Du
#define SMPP_RINVPASWD 0x0Eu
#define SMPP_RINVSYSID 0x0Fu
#define SMPP_RCANCELFAIL 0x11u
#define SMPP_RMSGQFUL 0x14u
#define SMPP_RTHROTTLED 0x58u
#define SMPP_RX_T_APPN 0x64u
#define SMPP_RQUERYFAIL 0x67u

/* optional parameter tags, SMPP 3.4 5.3.2 */
#define SMPP_TLV_RECEIPTED_ID 0x001Eu
#define SMPP_TLV_SAR_REF 0x020Cu
#define SMPP_TLV_SAR_TOTAL 0x020Eu
#define SMPP_TLV_SAR_SEQ 0x020Fu
#define SMPP_TLV_SC_VERSION 0x0210u
#define SMPP_TLV_NETWORK_ERROR 0x0423u
#define SMPP_TLV_PAYLOAD 0x0424u
#define SMPP_TLV_USER_REF 0x0204u
#define SMPP_TLV_STATE 0x0427u

#define SIM_PDU_MAX 65536u /* longer frames are answered with generic_nack and a close */
#define SIM_HEAD_LEN 16u
#define SIM_ADDR_CAP 21 /* 20 characters and the NUL: SMPP 3.4 4.4.1 */
#define SIM_ID_CAP 65   /* message_id, SMPP 3.4 5.2.23 */

struct sim_head {
    uint32_t length;
    uint32_t command;
    uint32_t status;
    uint32_t sequence;
};

enum sim_concat_kind { SIM_CONCAT_NONE, SIM_CONCAT_UDH8, SIM_CONCAT_UDH16, SIM_CONCAT_SAR };

struct sim_concat {
    enum sim_concat_kind kind;
    uint16_t ref;
    uint8_t total;
    uint8_t part; /* 1..total */
};

/* What parsing noticed. The first group makes a PDU unusable, the second is worth a complaint. */
#define SIM_F_TRUNCATED 0x0001u   /* a mandatory field runs past the end, or a string has no NUL */
#define SIM_F_STRING_LONG 0x0002u /* a string is longer than its field */
#define SIM_F_SM_LENGTH 0x0004u   /* sm_length does not fit the PDU */
#define SIM_F_TLV_CUT 0x0008u     /* an optional parameter runs past the end */
#define SIM_F_UNUSABLE 0x000Fu
#define SIM_F_SM_TOO_LONG 0x0010u /* sm_length 255 */
#define SIM_F_BOTH_BODIES 0x0020u /* short_message and message_payload */
#define SIM_F_TLV_LENGTH 0x0040u  /* known tag, length the specification does not allow */
#define SIM_F_UDH_BROKEN 0x0080u  /* UDHI set, header does not add up */
#define SIM_F_UDH_AND_SAR 0x0100u
#define SIM_F_SAR_PARTIAL 0x0200u /* not all three sar_ parameters */
#define SIM_F_PART_NUMBER 0x0400u /* part 0, or above the total */
#define SIM_F_TLV_TWICE 0x0800u

struct sim_addr {
    uint8_t ton;
    uint8_t npi;
    char text[SIM_ADDR_CAP];
};

/* submit_sm, deliver_sm and data_sm have one shape here. Pointers look into the PDU. */
struct sim_sm {
    char service_type[6];
    struct sim_addr src;
    struct sim_addr dst;
    uint8_t esm_class;
    uint8_t protocol_id;
    uint8_t priority;
    char schedule[17];
    char validity[17];
    uint8_t registered;
    uint8_t replace;
    uint8_t data_coding;
    uint8_t default_msg;
    const uint8_t *body; /* short_message or message_payload, with its UDH */
    size_t body_len;
    const uint8_t *text; /* body without the UDH */
    size_t text_len;
    bool in_payload;
    struct sim_concat concat;
    uint32_t faults; /* SIM_F_ */
    uint16_t fault_tag;
    char receipted_id[SIM_ID_CAP];
    int message_state; /* -1 when absent */
    int user_ref;      /* -1 when absent */
};

struct sim_bind {
    char system_id[16];
    char password[64]; /* room for a password that is too long, to be able to say so */
    char system_type[13];
    uint8_t version;
    uint32_t faults;
};

struct sim_query {
    char message_id[SIM_ID_CAP];
    struct sim_addr src;
    uint32_t faults;
};

uint32_t sim_get32(const uint8_t *p);
void sim_put32(uint8_t *p, uint32_t v);

void sim_head_parse(const uint8_t pdu[SIM_HEAD_LEN], struct sim_head *ret_head);
/* body is what follows the header. Always fills *ret; look at ret->faults. */
void sim_sm_parse(uint32_t command, const uint8_t *body, size_t len, struct sim_sm *ret_sm);
void sim_bind_parse(const uint8_t *body, size_t len, struct sim_bind *ret_bind);
void sim_query_parse(const uint8_t *body, size_t len, struct sim_query *ret_query);
/* Octets of the header including its length octet, or -EINVAL. ret_concat only on success. */
int sim_udh_parse(const uint8_t *body, size_t len, struct sim_concat *ret_concat);

/* Writing: begin remembers where the PDU starts and end sets command_length. */
size_t sim_pdu_begin(struct sim_buf *out, uint32_t command, uint32_t status, uint32_t sequence);
void sim_pdu_u8(struct sim_buf *out, unsigned v);
void sim_pdu_u16(struct sim_buf *out, unsigned v);
void sim_pdu_cstr(struct sim_buf *out, const char *text);
void sim_pdu_addr(struct sim_buf *out, const struct sim_addr *addr);
void sim_pdu_tlv(struct sim_buf *out, uint16_t tag, const void *value, size_t len);
void sim_pdu_end(struct sim_buf *out, size_t begin);
/* A whole deliver_sm or data_sm from esm_class, addresses, coding and body; TLVs may follow, so the
 * caller ends it. Bodies above 254 octets, or in_payload, travel as message_payload. */
size_t sim_pdu_deliver(struct sim_buf *out, uint32_t command, const struct sim_sm *sm);

#endif
