/* SPDX-License-Identifier: Apache-2.0 */
/* pdu.c - PDUs in through the guard, PDUs out through checks and library.
 * One thread of the process only: libsmpp34 writes globals on every call. Optional parameters never
 * pass through the library (its error log overflows on many of them, its lists allocate, its
 * payload ends at 1024 octets): they are read by the guard and appended here. Status and sequence
 * are written here too, because the library knows only those of SMPP 3.4 and no sequence 0. Source:
 * SMPP 3.4 issue 1.2, chapters 4 and 5. */
#include "pdu.h"

#include "guard.h"

#include <errno.h>
#include <smpp34.h>
#include <smpp34_structs.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The largest PDU without optional parameters that the encoders below can ask for is 381 octets. */
#define PACK_MAX 1024

union library {
    bind_transmitter_t bind;
    submit_sm_t submit;
    query_sm_t query;
    cancel_sm_t cancel;
    deliver_sm_resp_t deliver_resp;
    data_sm_resp_t data_resp;
    unbind_t header;
};

/* ---- in ---- */

int smpp_decode(const uint8_t *pdu, uint32_t len, struct smpp_pdu *ret)
{
    uint32_t version = 0;
    int rc = smpp_guard(pdu, len, ret);
    if (!rc && smpp_pdu_tlv_uint(ret, SMPP_TLV_SC_INTERFACE_VERSION, 1, &version))
        ret->interface_version = (uint8_t)version;
    return rc;
}

bool smpp_decode_answer(int rc, uint32_t command, uint32_t *ret_command, uint32_t *ret_status)
{
    if (!rc || command & SMPP_RESP || command == SMPP_ALERT_NOTIFICATION || command == SMPP_OUTBIND)
        return false; /* SMPP 3.4 4.12: alert_notification has no response */
    bool known = command == SMPP_DELIVER_SM || command == SMPP_DATA_SM;
    *ret_command = known ? command | SMPP_RESP : SMPP_GENERIC_NACK;
    *ret_status = rc == -ENOSYS ? SMPP_RINVCMDID : SMPP_RINVCMDLEN;
    return true;
}

const struct smpp_tlv *smpp_pdu_tlv(const struct smpp_pdu *pdu, uint16_t tag)
{
    return smpp_tlv_find(pdu->tlvs, pdu->n_tlvs, tag);
}

bool smpp_pdu_tlv_uint(const struct smpp_pdu *pdu, uint16_t tag, uint32_t octets,
                       uint32_t *ret_value)
{
    for (uint32_t i = 0; i < pdu->n_tlvs; i++) {
        const struct smpp_tlv *t = &pdu->tlvs[i];
        if (t->tag != tag || t->len != octets || octets == 0 || octets > 4)
            continue; /* wrong length: skip that one, a good one may follow */
        uint32_t v = 0;
        for (uint32_t k = 0; k < octets; k++)
            v = v << 8 | t->value[k];
        *ret_value = v;
        return true;
    }
    return false;
}

const uint8_t *smpp_pdu_text(const struct smpp_pdu *pdu, uint32_t *ret_len)
{
    const struct smpp_tlv *payload =
        pdu->short_len ? NULL : smpp_pdu_tlv(pdu, SMPP_TLV_MESSAGE_PAYLOAD);
    *ret_len = payload ? payload->len : pdu->short_len;
    return payload ? payload->value : pdu->short_message;
}

void smpp_pdu_error_text(const struct smpp_pdu *pdu, char *out, size_t out_size)
{
    const struct smpp_tlv *t = smpp_pdu_tlv(pdu, SMPP_TLV_ADDITIONAL_STATUS_INFO_TEXT);
    size_t n = 0;
    for (uint32_t i = 0; t && i < t->len && t->value[i] && n + 1 < out_size; i++)
        out[n++] = t->value[i] >= 0x20 && t->value[i] < 0x7F ? (char)t->value[i] : '?';
    if (out_size)
        out[n] = 0;
}

/* ---- out: checks ---- */

static int fail(struct cgw_diag *diag, int code, const char *where, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
static int fail(struct cgw_diag *diag, int code, const char *where, const char *fmt, ...)
{
    if (diag) {
        va_list ap;
        va_start(ap, fmt);
        diag->code = code;
        (void)snprintf(diag->where, sizeof diag->where, "%s", where);
        (void)vsnprintf(diag->text, sizeof diag->text, fmt, ap);
        va_end(ap);
    }
    return code;
}

/* Copy s (NULL = "") into a field of the library; false when it does not fit. */
static bool put_string(uint8_t *field, const char *s, size_t max)
{
    size_t n = s ? strnlen(s, max + 1) : 0;
    if (n > max)
        return false;
    if (n)
        memcpy(field, s, n);
    field[n] = 0;
    return true;
}

static bool put_time(uint8_t *field, const char *s)
{
    size_t n = s ? strnlen(s, SMPP_TIME_LEN + 1) : 0;
    return (n == 0 || n == SMPP_TIME_LEN) && put_string(field, s, SMPP_TIME_LEN);
}

/* Pack into a roomy buffer of our own, then head and copy: the library wants one octet more than it
 * writes. */
static int pack(uint8_t *out, size_t cap, uint32_t command, uint32_t status, uint32_t sequence,
                union library *u)
{
    uint8_t buf[PACK_MAX];
    int n = 0;
    u->header.command_length = 0;
    u->header.command_id = command;
    u->header.command_status = SMPP_ROK;
    u->header.sequence_number = 1;
    if (smpp34_pack(command, buf, (int)sizeof buf, &n, u) || n < (int)SMPP_HEADER_LEN)
        return -EINVAL;
    if ((size_t)n > cap)
        return -ENOBUFS;
    memcpy(out, buf, (size_t)n);
    smpp_put32(out, (uint32_t)n);
    smpp_put32(out + 8, status);
    smpp_put32(out + 12, sequence);
    return n;
}

/* Append one optional parameter to the PDU of *len octets. */
static int append(uint8_t *out, size_t cap, int len, uint16_t tag, const uint8_t *value,
                  uint32_t value_len)
{
    if (len < 0)
        return len;
    size_t need = (size_t)len + 4 + value_len;
    if (value_len > 0xFFFF || need > SMPP_PDU_MAX)
        return -EMSGSIZE;
    if (need > cap)
        return -ENOBUFS;
    smpp_put16(out + len, tag);
    smpp_put16(out + len + 2, (uint16_t)value_len);
    if (value_len)
        memcpy(out + len + 4, value, value_len);
    smpp_put32(out, (uint32_t)need);
    return (int)need;
}

static int append16(uint8_t *out, size_t cap, int len, uint16_t tag, uint16_t v)
{
    uint8_t b[2];
    smpp_put16(b, v);
    return append(out, cap, len, tag, b, sizeof b);
}

/* ---- out: commands ---- */

static bool printable(const char *s)
{
    for (; s && *s; s++)
        if ((unsigned char)*s < 0x20 || (unsigned char)*s > 0x7E)
            return false;
    return true;
}

int smpp_bind_check(const struct smpp_bind *bind, struct cgw_diag *diag)
{
    const struct {
        const char *name, *value;
        size_t max;
    } fields[] = {
        {"system_id", bind->system_id, SMPP_SYSTEM_ID_MAX},
        {"password", bind->password, SMPP_PASSWORD_MAX},
        {"system_type", bind->system_type, SMPP_SYSTEM_TYPE_MAX},
        {"address_range", bind->address_range, SMPP_RANGE_MAX},
    };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        size_t n = fields[i].value ? strnlen(fields[i].value, fields[i].max + 1) : 0;
        if (n > fields[i].max)
            return fail(diag, CGW_EINVAL, fields[i].name,
                        "%s is longer than the %zu characters SMPP 3.4 allows", fields[i].name,
                        fields[i].max);
        if (!printable(fields[i].value))
            return fail(diag, CGW_EINVAL, fields[i].name,
                        "%s may hold printable ASCII characters only", fields[i].name);
    }
    return 0;
}

int smpp_encode_bind(uint8_t *out, size_t cap, uint32_t sequence, const struct smpp_bind *bind)
{
    if (bind->command != SMPP_BIND_RECEIVER && bind->command != SMPP_BIND_TRANSMITTER &&
        bind->command != SMPP_BIND_TRANSCEIVER)
        return -EINVAL;
    union library u;
    memset(&u, 0, sizeof u);
    if (!put_string(u.bind.system_id, bind->system_id, SMPP_SYSTEM_ID_MAX) ||
        !put_string(u.bind.password, bind->password, SMPP_PASSWORD_MAX) ||
        !put_string(u.bind.system_type, bind->system_type, SMPP_SYSTEM_TYPE_MAX) ||
        !put_string(u.bind.address_range, bind->address_range, SMPP_RANGE_MAX))
        return -EINVAL;
    u.bind.interface_version = bind->interface_version;
    u.bind.addr_ton = bind->addr_ton;
    u.bind.addr_npi = bind->addr_npi;
    int n = pack(out, cap, bind->command, SMPP_ROK, sequence, &u);
    explicit_bzero(&u, sizeof u); /* it held the password */
    return n;
}

/* All but person and text, which are only checked. */
static int fill_submit(submit_sm_t *m, const struct smpp_submit *sm)
{
    if (!put_string(m->service_type, sm->service_type, SMPP_SERVICE_TYPE_MAX) ||
        !put_string(m->source_addr, sm->source.text, SMPP_ADDR_MAX) ||
        strnlen(sm->destination.text, SMPP_ADDR_MAX + 1) > SMPP_ADDR_MAX ||
        !put_time(m->validity_period, sm->validity_period) ||
        !put_time(m->schedule_delivery_time, sm->schedule))
        return -EINVAL;
    if (sm->text_len > (sm->payload ? SMPP_PAYLOAD_MAX : SMPP_SHORT_MAX))
        return -EMSGSIZE;
    m->source_addr_ton = sm->source.ton;
    m->source_addr_npi = sm->source.npi;
    m->dest_addr_ton = sm->destination.ton;
    m->dest_addr_npi = sm->destination.npi;
    m->esm_class = sm->esm_class;
    m->protocol_id = sm->protocol_id;
    m->priority_flag = sm->priority;
    m->registered_delivery = sm->registered_delivery;
    m->data_coding = sm->data_coding;
    return 0;
}

/* What submits of a campaign have in common is packed once: they differ in person and text, which
 * are set between its octets. The library makes a new one whenever anything else is new. */
static struct shape {
    submit_sm_t common; /* without person and text */
    size_t person_at;   /* of the NUL in place of destination_addr */
    int len;            /* 0: none yet. The last octet is sm_length */
    uint8_t pdu[PACK_MAX];
} shape;

static bool same_text(const uint8_t *a, const uint8_t *b)
{
    return !strcmp((const char *)a, (const char *)b);
}

/* All that fill_submit() sets. */
static bool alike(const submit_sm_t *a, const submit_sm_t *b)
{
    return same_text(a->service_type, b->service_type) &&
           same_text(a->source_addr, b->source_addr) &&
           same_text(a->validity_period, b->validity_period) &&
           same_text(a->schedule_delivery_time, b->schedule_delivery_time) &&
           a->source_addr_ton == b->source_addr_ton && a->source_addr_npi == b->source_addr_npi &&
           a->dest_addr_ton == b->dest_addr_ton && a->dest_addr_npi == b->dest_addr_npi &&
           a->esm_class == b->esm_class && a->protocol_id == b->protocol_id &&
           a->priority_flag == b->priority_flag &&
           a->registered_delivery == b->registered_delivery && a->data_coding == b->data_coding;
}

static int pack_shape(const submit_sm_t *common)
{
    union library u;
    if (shape.len > 0 && alike(&shape.common, common))
        return 0;
    u.submit = *common;
    shape.common = *common;
    shape.person_at = SMPP_HEADER_LEN + strlen((const char *)common->service_type) + 3 +
                      strlen((const char *)common->source_addr) + 3;
    shape.len = pack(shape.pdu, sizeof shape.pdu, SMPP_SUBMIT_SM, SMPP_ROK, 1, &u);
    return shape.len < 0 ? shape.len : 0;
}

static int encode_from_shape(uint8_t *out, size_t cap, uint32_t sequence, const char *person,
                             const uint8_t *text, uint32_t text_len)
{
    size_t named = strlen(person), rest = (size_t)shape.len - shape.person_at,
           len = (size_t)shape.len + named + text_len;
    if (len > cap)
        return -ENOBUFS;
    memcpy(out, shape.pdu, shape.person_at);
    memcpy(out + shape.person_at, person, named + 1);
    memcpy(out + shape.person_at + named + 1, shape.pdu + shape.person_at + 1, rest - 1);
    out[shape.person_at + named + rest - 1] = (uint8_t)text_len;
    if (text_len)
        memcpy(out + shape.person_at + named + rest, text, text_len);
    smpp_put32(out, (uint32_t)len);
    smpp_put32(out + 12, sequence);
    return (int)len;
}

int smpp_encode_submit(uint8_t *out, size_t cap, uint32_t sequence, const struct smpp_submit *sm)
{
    submit_sm_t common;
    memset(&common, 0, sizeof common);
    if (sm->n_extra > SMPP_OUT_TLVS_MAX || (sm->has_sar && sm->esm_class & SMPP_ESM_UDHI))
        return -EINVAL; /* a phone must not get UDH and SAR for the same cut */
    int rc = fill_submit(&common, sm);
    if (rc == 0)
        rc = pack_shape(&common);
    if (rc)
        return rc;
    int n = encode_from_shape(out, cap, sequence, sm->destination.text, sm->text,
                              sm->payload ? 0 : sm->text_len);
    if (sm->has_user_ref)
        n = append16(out, cap, n, SMPP_TLV_USER_MESSAGE_REFERENCE, sm->user_ref);
    if (sm->has_sar) {
        n = append16(out, cap, n, SMPP_TLV_SAR_MSG_REF_NUM, sm->sar_ref);
        n = append(out, cap, n, SMPP_TLV_SAR_TOTAL_SEGMENTS, &sm->sar_total, 1);
        n = append(out, cap, n, SMPP_TLV_SAR_SEGMENT_SEQNUM, &sm->sar_index, 1);
    }
    for (uint32_t i = 0; i < sm->n_extra; i++)
        n = append(out, cap, n, sm->extra[i].tag, sm->extra[i].value, sm->extra[i].len);
    if (sm->payload)
        n = append(out, cap, n, SMPP_TLV_MESSAGE_PAYLOAD, sm->text, sm->text_len);
    return n;
}

int smpp_encode_query(uint8_t *out, size_t cap, uint32_t sequence, const char *message_id,
                      const struct smpp_addr *source)
{
    union library u;
    memset(&u, 0, sizeof u);
    if (!put_string(u.query.message_id, message_id, SMPP_MSGID_MAX) ||
        !put_string(u.query.source_addr, source->text, SMPP_ADDR_MAX))
        return -EINVAL;
    u.query.source_addr_ton = source->ton;
    u.query.source_addr_npi = source->npi;
    return pack(out, cap, SMPP_QUERY_SM, SMPP_ROK, sequence, &u);
}

int smpp_encode_cancel(uint8_t *out, size_t cap, uint32_t sequence, const char *message_id,
                       const char *service_type, const struct smpp_addr *source,
                       const struct smpp_addr *destination)
{
    union library u;
    memset(&u, 0, sizeof u);
    if (!put_string(u.cancel.message_id, message_id, SMPP_MSGID_MAX) ||
        !put_string(u.cancel.service_type, service_type, SMPP_SERVICE_TYPE_MAX) ||
        !put_string(u.cancel.source_addr, source->text, SMPP_ADDR_MAX) ||
        !put_string(u.cancel.destination_addr, destination->text, SMPP_ADDR_MAX))
        return -EINVAL;
    u.cancel.source_addr_ton = source->ton;
    u.cancel.source_addr_npi = source->npi;
    u.cancel.dest_addr_ton = destination->ton;
    u.cancel.dest_addr_npi = destination->npi;
    return pack(out, cap, SMPP_CANCEL_SM, SMPP_ROK, sequence, &u);
}

/* Nothing but status and sequence differs between two of a kind, and every receipt is answered by
 * one: the library makes the first (on the one thread that calls it), later ones are copies. */
int smpp_encode_simple(uint8_t *out, size_t cap, uint32_t command, uint32_t status,
                       uint32_t sequence)
{
    static struct simple {
        uint32_t command;
        int len; /* 0: not made yet */
        uint8_t pdu[SMPP_HEADER_LEN + 8];
    } known[] = {
        {.command = SMPP_ENQUIRE_LINK},
        {.command = SMPP_ENQUIRE_LINK | SMPP_RESP},
        {.command = SMPP_UNBIND},
        {.command = SMPP_UNBIND | SMPP_RESP},
        {.command = SMPP_GENERIC_NACK},
        {.command = SMPP_DELIVER_SM | SMPP_RESP},
        {.command = SMPP_DATA_SM | SMPP_RESP},
    };
    struct simple *k = known, *end = known + sizeof known / sizeof known[0];
    while (k < end && k->command != command)
        k++;
    if (k == end)
        return -EINVAL;
    if (k->len <= 0) {
        union library u;
        memset(&u, 0, sizeof u);
        k->len = pack(k->pdu, sizeof k->pdu, command, SMPP_ROK, 1, &u);
        if (k->len < 0)
            return k->len;
    }
    if ((size_t)k->len > cap)
        return -ENOBUFS;
    memcpy(out, k->pdu, (size_t)k->len);
    smpp_put32(out + 8, status);
    smpp_put32(out + 12, sequence);
    return k->len;
}

/* ---- a route's own optional parameters ---- */

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "0x1400" or "1400" up to '='. \return the tag or -1; *ret_rest behind '='. */
static int read_tag(const char *s, const char **ret_rest)
{
    int tag = 0, digits = 0;
    if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X'))
        s += 2;
    for (; hex_value(*s) >= 0 && digits < 5; s++, digits++)
        tag = tag * 16 + hex_value(*s);
    if (digits < 1 || digits > 4 || *s != '=')
        return -1;
    *ret_rest = s + 1;
    return tag;
}

/* Parameters that this channel writes itself: two of them would contradict each other. */
static bool tag_taken(int tag)
{
    static const uint16_t ours[] = {
        SMPP_TLV_USER_MESSAGE_REFERENCE, SMPP_TLV_SAR_MSG_REF_NUM, SMPP_TLV_SAR_TOTAL_SEGMENTS,
        SMPP_TLV_SAR_SEGMENT_SEQNUM,     SMPP_TLV_MESSAGE_PAYLOAD,
    };
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        if (ours[i] == tag)
            return true;
    return false;
}

int smpp_extra_add(struct smpp_extra *e, const char *item, struct cgw_diag *diag)
{
    const char *hex = NULL;
    int tag = read_tag(item, &hex);
    if (tag < 0)
        return fail(diag, CGW_EINVAL, "tlvs", "expected TAG=HEX such as 0x1400=0a0b");
    if (tag_taken(tag))
        return fail(diag, CGW_EINVAL, "tlvs", "parameter 0x%04x is written by the gateway itself",
                    (unsigned)tag);
    if (e->n >= SMPP_OUT_TLVS_MAX)
        return fail(diag, CGW_ELIMIT, "tlvs", "more than %u optional parameters",
                    SMPP_OUT_TLVS_MAX);
    uint32_t n = 0;
    for (; hex[0] && hex[1]; hex += 2, n++) {
        int hi = hex_value(hex[0]), lo = hex_value(hex[1]);
        if (hi < 0 || lo < 0)
            return fail(diag, CGW_EINVAL, "tlvs", "value of 0x%04x is not hexadecimal",
                        (unsigned)tag);
        if (n >= SMPP_EXTRA_VALUE_MAX)
            return fail(diag, CGW_ELIMIT, "tlvs", "value of 0x%04x is longer than %u octets",
                        (unsigned)tag, SMPP_EXTRA_VALUE_MAX);
        e->value[e->n][n] = (uint8_t)(hi * 16 + lo);
    }
    if (hex[0])
        return fail(diag, CGW_EINVAL, "tlvs", "value of 0x%04x has an odd number of digits",
                    (unsigned)tag);
    e->tlvs[e->n] = (struct smpp_tlv){(uint16_t)tag, (uint16_t)n, e->value[e->n]};
    e->n++;
    return 0;
}
