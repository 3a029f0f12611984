/* SPDX-License-Identifier: Apache-2.0 */
/* proto.h - SMPP 3.4 numbers, names and the small values every other file of this folder shares.
 * No I/O, no state, no library. Source: SMPP Protocol Specification v3.4 issue 1.2, chapters 4
 * and 5. */
#ifndef SMPP_PROTO_H
#define SMPP_PROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- limits ---- */
#define SMPP_HEADER_LEN 16u
#define SMPP_PDU_MAX 65536u    /* bytes of one PDU; a longer command_length ends the connection */
#define SMPP_TLVS_MAX 64u      /* optional parameters kept of one PDU; the rest is counted */
#define SMPP_OUT_TLVS_MAX 16u  /* optional parameters of one PDU of ours */
#define SMPP_SYSTEM_ID_MAX 15u /* characters without NUL, SMPP 3.4 table 4-1 and following */
#define SMPP_PASSWORD_MAX 8u
#define SMPP_SYSTEM_TYPE_MAX 12u
#define SMPP_SERVICE_TYPE_MAX 5u
#define SMPP_ADDR_MAX 20u      /* source_addr, destination_addr of submit_sm and deliver_sm */
#define SMPP_LONG_ADDR_MAX 64u /* of data_sm and alert_notification */
#define SMPP_RANGE_MAX 40u     /* address_range */
#define SMPP_MSGID_MAX 64u
#define SMPP_TIME_LEN 16u      /* validity_period, schedule_delivery_time, when not empty */
#define SMPP_SHORT_MAX 253u    /* octets of short_message that we send (the library's limit) */
#define SMPP_SHORT_IN_MAX 254u /* octets of short_message that we take (SMPP 3.4 5.2.22) */
/* octets of message_payload that we send: fits SMPP_PDU_MAX with the rest */
#define SMPP_PAYLOAD_MAX 64000u
#define SMPP_SEQ_MAX 0x7FFFFFFFu

/* ---- command_id ---- */
#define SMPP_RESP 0x80000000u
#define SMPP_GENERIC_NACK 0x80000000u
#define SMPP_BIND_RECEIVER 0x01u
#define SMPP_BIND_TRANSMITTER 0x02u
#define SMPP_QUERY_SM 0x03u
#define SMPP_SUBMIT_SM 0x04u
#define SMPP_DELIVER_SM 0x05u
#define SMPP_UNBIND 0x06u
#define SMPP_REPLACE_SM 0x07u
#define SMPP_CANCEL_SM 0x08u
#define SMPP_BIND_TRANSCEIVER 0x09u
#define SMPP_OUTBIND 0x0Bu
#define SMPP_ENQUIRE_LINK 0x15u
#define SMPP_SUBMIT_MULTI 0x21u
#define SMPP_ALERT_NOTIFICATION 0x102u
#define SMPP_DATA_SM 0x103u

/* ---- command_status (the ones that code names; smpp_status_name() knows more) ---- */
#define SMPP_ROK 0x00u
#define SMPP_RINVCMDLEN 0x02u
#define SMPP_RINVCMDID 0x03u
#define SMPP_RINVBNDSTS 0x04u
#define SMPP_RALYBND 0x05u
#define SMPP_RSYSERR 0x08u
#define SMPP_RBINDFAIL 0x0Du
#define SMPP_RINVPASWD 0x0Eu
#define SMPP_RINVSYSID 0x0Fu
#define SMPP_RMSGQFUL 0x14u
#define SMPP_RTHROTTLED 0x58u
#define SMPP_RX_T_APPN 0x64u
#define SMPP_RDELIVERYFAILURE 0xFEu
#define SMPP_RSERTYPUNAVAIL 0x102u

/* ---- esm_class ---- */
#define SMPP_ESM_TYPE 0x3Cu /* mask of the message type */
#define SMPP_ESM_RECEIPT 0x04u
#define SMPP_ESM_DELIVERY_ACK 0x08u
#define SMPP_ESM_MANUAL_ACK 0x10u
#define SMPP_ESM_INTERMEDIATE 0x20u
#define SMPP_ESM_UDHI 0x40u

/* ---- optional parameters ---- */
#define SMPP_TLV_ADDITIONAL_STATUS_INFO_TEXT 0x001Du
#define SMPP_TLV_RECEIPTED_MESSAGE_ID 0x001Eu
#define SMPP_TLV_USER_MESSAGE_REFERENCE 0x0204u
#define SMPP_TLV_SAR_MSG_REF_NUM 0x020Cu
#define SMPP_TLV_SAR_TOTAL_SEGMENTS 0x020Eu
#define SMPP_TLV_SAR_SEGMENT_SEQNUM 0x020Fu
#define SMPP_TLV_SC_INTERFACE_VERSION 0x0210u
#define SMPP_TLV_NETWORK_ERROR_CODE 0x0423u
#define SMPP_TLV_MESSAGE_PAYLOAD 0x0424u
#define SMPP_TLV_MESSAGE_STATE 0x0427u

/* ---- small values ---- */
/* An optional parameter; value points into the buffer the PDU came from (in) or is borrowed (out).
 */
struct smpp_tlv {
    uint16_t tag, len;
    const uint8_t *value;
};

struct smpp_addr {
    uint8_t ton, npi; /* as received, also when out of range */
    char text[SMPP_LONG_ADDR_MAX + 1];
};

/* "submit_sm", "deliver_sm_resp" ...; "unknown" otherwise. Static text. */
const char *smpp_command_name(uint32_t command);
/* "ESME_RTHROTTLED" ...; "vendor" for 0x400..0x4FF, "unknown" otherwise. Static text. */
const char *smpp_status_name(uint32_t status);
/* Next sequence number: 1..SMPP_SEQ_MAX, wrapping (SMPP 3.4, 5.1.4). */
uint32_t smpp_seq_next(uint32_t sequence);

static inline uint32_t smpp_get32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}
static inline uint16_t smpp_get16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}
static inline void smpp_put32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}
static inline void smpp_put16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

#endif
