/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_codec.c - the simulator's own SMPP 3.4 codec.
 * Must not do I/O, keep state, or read outside the PDU it is given.
 * Source: SMPP v3.4 issue 1.2, chapters 4 and 5; 3GPP TS 23.040, 9.2.3.24.
 */
#include "sim_codec.h"

#include <errno.h>
#include <string.h>

struct reader {
    const uint8_t *p;
    const uint8_t *end;
    uint32_t faults;
};

/* Length limits of the optional parameters an ESME may send: SMPP 3.4 5.3.2. */
static const struct {
    uint16_t tag;
    uint16_t min;
    uint16_t max;
} tlv_limits[] = {
    {0x0005, 1, 1},   {0x0006, 1, 1},  {0x0007, 1, 1}, {0x0008, 2, 2},     {0x000D, 1, 1},
    {0x000E, 1, 1},   {0x000F, 1, 1},  {0x0010, 1, 1}, {0x0017, 4, 4},     {0x0019, 1, 1},
    {0x001D, 1, 256}, {0x001E, 1, 65}, {0x0030, 1, 1}, {0x0201, 1, 1},     {0x0202, 2, 23},
    {0x0203, 2, 23},  {0x0204, 2, 2},  {0x0205, 1, 1}, {0x020A, 2, 2},     {0x020B, 2, 2},
    {0x020C, 2, 2},   {0x020D, 1, 1},  {0x020E, 1, 1}, {0x020F, 1, 1},     {0x0210, 1, 1},
    {0x0302, 1, 1},   {0x0303, 2, 65}, {0x0304, 1, 1}, {0x0381, 4, 19},    {0x0420, 1, 1},
    {0x0421, 1, 1},   {0x0422, 1, 1},  {0x0423, 3, 3}, {0x0424, 0, 65535}, {0x0425, 1, 1},
    {0x0426, 1, 1},   {0x0427, 1, 1},  {0x0501, 1, 1}, {0x1201, 1, 1},     {0x1203, 2, 2},
    {0x1204, 1, 1},   {0x130C, 0, 0},  {0x1380, 1, 1}, {0x1383, 2, 2},
};

uint32_t sim_get32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint16_t get16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

void sim_put32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

static uint8_t take_u8(struct reader *r)
{
    if (r->p >= r->end) {
        r->faults |= SIM_F_TRUNCATED;
        return 0;
    }
    return *r->p++;
}

static void take_cstr(struct reader *r, char *out, size_t cap)
{
    size_t left = (size_t)(r->end - r->p);
    const uint8_t *nul = left ? memchr(r->p, 0, left) : NULL;
    size_t n;

    out[0] = 0;
    if (!nul) {
        r->faults |= SIM_F_TRUNCATED;
        r->p = r->end;
        return;
    }
    n = (size_t)(nul - r->p);
    if (n >= cap) {
        r->faults |= SIM_F_STRING_LONG;
        n = cap - 1;
    }
    memcpy(out, r->p, n);
    out[n] = 0;
    r->p = nul + 1;
}

static void take_addr(struct reader *r, struct sim_addr *addr)
{
    addr->ton = take_u8(r);
    addr->npi = take_u8(r);
    take_cstr(r, addr->text, sizeof(addr->text));
}

void sim_head_parse(const uint8_t pdu[SIM_HEAD_LEN], struct sim_head *ret_head)
{
    ret_head->length = sim_get32(pdu);
    ret_head->command = sim_get32(pdu + 4);
    ret_head->status = sim_get32(pdu + 8);
    ret_head->sequence = sim_get32(pdu + 12);
}

int sim_udh_parse(const uint8_t *body, size_t len, struct sim_concat *ret_concat)
{
    struct sim_concat c = {SIM_CONCAT_NONE, 0, 0, 0};
    size_t end, at = 1;

    if (!len || (size_t)body[0] + 1 > len)
        return -EINVAL;
    end = (size_t)body[0] + 1;
    while (at < end) {
        uint8_t iei, ielen;
        const uint8_t *v;

        if (end - at < 2 || end - at - 2 < body[at + 1])
            return -EINVAL;
        iei = body[at];
        ielen = body[at + 1];
        v = body + at + 2;
        at += 2u + ielen;
        if (iei == 0x00 && ielen == 3)
            c = (struct sim_concat){SIM_CONCAT_UDH8, v[0], v[1], v[2]};
        else if (iei == 0x08 && ielen == 4)
            c = (struct sim_concat){SIM_CONCAT_UDH16, get16(v), v[2], v[3]};
        else if (iei == 0x00 || iei == 0x08)
            return -EINVAL;
    }
    *ret_concat = c;
    return (int)end;
}

/* What the TLVs said, gathered before the user data header is looked at. */
struct tlv_found {
    int sar_ref;
    int sar_total;
    int sar_seq;
    bool payload;
};

static bool tlv_length_ok(uint16_t tag, size_t len)
{
    for (size_t i = 0; i < sizeof(tlv_limits) / sizeof(tlv_limits[0]); i++)
        if (tlv_limits[i].tag == tag)
            return len >= tlv_limits[i].min && len <= tlv_limits[i].max;
    return true;
}

static void set_once(struct sim_sm *sm, uint16_t tag, int *slot, int value)
{
    if (*slot >= 0) {
        sm->faults |= SIM_F_TLV_TWICE;
        sm->fault_tag = tag;
    }
    *slot = value;
}

static void keep_tlv(struct sim_sm *sm, struct tlv_found *f, uint16_t tag, const uint8_t *v,
                     size_t len)
{
    switch (tag) {
    case SMPP_TLV_SAR_REF:
        set_once(sm, tag, &f->sar_ref, get16(v));
        break;
    case SMPP_TLV_SAR_TOTAL:
        set_once(sm, tag, &f->sar_total, v[0]);
        break;
    case SMPP_TLV_SAR_SEQ:
        set_once(sm, tag, &f->sar_seq, v[0]);
        break;
    case SMPP_TLV_USER_REF:
        sm->user_ref = get16(v);
        break;
    case SMPP_TLV_STATE:
        sm->message_state = v[0];
        break;
    case SMPP_TLV_RECEIPTED_ID:
        memcpy(sm->receipted_id, v, len < SIM_ID_CAP ? len : SIM_ID_CAP - 1);
        break;
    case SMPP_TLV_PAYLOAD:
        if (f->payload)
            sm->faults |= SIM_F_TLV_TWICE;
        else if (sm->body_len)
            sm->faults |= SIM_F_BOTH_BODIES;
        f->payload = true;
        sm->body = v;
        sm->body_len = len;
        sm->in_payload = true;
        break;
    default:
        break;
    }
}

static void take_tlvs(struct reader *r, struct sim_sm *sm, struct tlv_found *f)
{
    while (r->p < r->end) {
        size_t left = (size_t)(r->end - r->p);
        uint16_t tag, len;

        if (left < 4 || left - 4 < get16(r->p + 2)) {
            r->faults |= SIM_F_TLV_CUT;
            return;
        }
        tag = get16(r->p);
        len = get16(r->p + 2);
        if (tlv_length_ok(tag, len)) {
            keep_tlv(sm, f, tag, r->p + 4, len);
        } else {
            sm->faults |= SIM_F_TLV_LENGTH;
            sm->fault_tag = tag;
        }
        r->p += 4u + len;
    }
}

static void resolve_concat(struct sim_sm *sm, const struct tlv_found *f)
{
    int sar_seen = (f->sar_ref >= 0) + (f->sar_total >= 0) + (f->sar_seq >= 0);
    int udh = 0;

    if (sm->esm_class & 0x40) {
        udh = sim_udh_parse(sm->body, sm->body_len, &sm->concat);
        if (udh < 0) {
            sm->faults |= SIM_F_UDH_BROKEN;
            udh = 0;
        }
    }
    sm->text = sm->body + udh;
    sm->text_len = sm->body_len - (size_t)udh;
    if (sar_seen && sm->concat.kind != SIM_CONCAT_NONE)
        sm->faults |= SIM_F_UDH_AND_SAR;
    else if (sar_seen == 3)
        sm->concat = (struct sim_concat){SIM_CONCAT_SAR, (uint16_t)f->sar_ref,
                                         (uint8_t)f->sar_total, (uint8_t)f->sar_seq};
    else if (sar_seen)
        sm->faults |= SIM_F_SAR_PARTIAL;
    if (sm->concat.kind != SIM_CONCAT_NONE &&
        (!sm->concat.part || sm->concat.part > sm->concat.total)) {
        sm->faults |= SIM_F_PART_NUMBER;
        sm->concat.kind = SIM_CONCAT_NONE;
    }
}

static void take_short_message(struct reader *r, struct sim_sm *sm)
{
    uint8_t n = take_u8(r);

    if (n == 255)
        sm->faults |= SIM_F_SM_TOO_LONG;
    if (n > r->end - r->p) {
        r->faults |= SIM_F_SM_LENGTH;
        return;
    }
    sm->body = r->p;
    sm->body_len = n;
    r->p += n;
}

void sim_sm_parse(uint32_t command, const uint8_t *body, size_t len, struct sim_sm *ret_sm)
{
    static const uint8_t nothing[1];
    struct reader r = {body, body + len, 0};
    struct tlv_found f = {-1, -1, -1, false};

    memset(ret_sm, 0, sizeof(*ret_sm));
    ret_sm->message_state = -1;
    ret_sm->user_ref = -1;
    ret_sm->body = nothing;
    take_cstr(&r, ret_sm->service_type, sizeof(ret_sm->service_type));
    take_addr(&r, &ret_sm->src);
    take_addr(&r, &ret_sm->dst);
    ret_sm->esm_class = take_u8(&r);
    if (command == SMPP_DATA_SM) {
        ret_sm->registered = take_u8(&r);
        ret_sm->data_coding = take_u8(&r);
    } else {
        ret_sm->protocol_id = take_u8(&r);
        ret_sm->priority = take_u8(&r);
        take_cstr(&r, ret_sm->schedule, sizeof(ret_sm->schedule));
        take_cstr(&r, ret_sm->validity, sizeof(ret_sm->validity));
        ret_sm->registered = take_u8(&r);
        ret_sm->replace = take_u8(&r);
        ret_sm->data_coding = take_u8(&r);
        ret_sm->default_msg = take_u8(&r);
        take_short_message(&r, ret_sm);
    }
    if (!(r.faults & SIM_F_UNUSABLE))
        take_tlvs(&r, ret_sm, &f);
    resolve_concat(ret_sm, &f);
    ret_sm->faults |= r.faults;
}

void sim_bind_parse(const uint8_t *body, size_t len, struct sim_bind *ret_bind)
{
    struct reader r = {body, body + len, 0};
    char range[42];

    memset(ret_bind, 0, sizeof(*ret_bind));
    take_cstr(&r, ret_bind->system_id, sizeof(ret_bind->system_id));
    take_cstr(&r, ret_bind->password, sizeof(ret_bind->password));
    take_cstr(&r, ret_bind->system_type, sizeof(ret_bind->system_type));
    ret_bind->version = take_u8(&r);
    take_u8(&r);
    take_u8(&r);
    take_cstr(&r, range, sizeof(range));
    ret_bind->faults = r.faults;
}

void sim_query_parse(const uint8_t *body, size_t len, struct sim_query *ret_query)
{
    struct reader r = {body, body + len, 0};

    memset(ret_query, 0, sizeof(*ret_query));
    take_cstr(&r, ret_query->message_id, sizeof(ret_query->message_id));
    take_addr(&r, &ret_query->src);
    ret_query->faults = r.faults;
}

size_t sim_pdu_begin(struct sim_buf *out, uint32_t command, uint32_t status, uint32_t sequence)
{
    uint8_t *p = sim_buf_room(out, SIM_HEAD_LEN);

    sim_put32(p, SIM_HEAD_LEN);
    sim_put32(p + 4, command);
    sim_put32(p + 8, status);
    sim_put32(p + 12, sequence);
    out->len += SIM_HEAD_LEN;
    /* Relative to the unread part: making room may move the contents to the front. */
    return sim_buf_left(out) - SIM_HEAD_LEN;
}

void sim_pdu_u8(struct sim_buf *out, unsigned v)
{
    uint8_t b = (uint8_t)v;

    sim_buf_put(out, &b, 1);
}

void sim_pdu_u16(struct sim_buf *out, unsigned v)
{
    uint8_t b[2] = {(uint8_t)(v >> 8), (uint8_t)v};

    sim_buf_put(out, b, 2);
}

void sim_pdu_cstr(struct sim_buf *out, const char *text)
{
    sim_buf_put(out, text, strlen(text) + 1);
}

void sim_pdu_addr(struct sim_buf *out, const struct sim_addr *addr)
{
    sim_pdu_u8(out, addr->ton);
    sim_pdu_u8(out, addr->npi);
    sim_pdu_cstr(out, addr->text);
}

void sim_pdu_tlv(struct sim_buf *out, uint16_t tag, const void *value, size_t len)
{
    sim_pdu_u16(out, tag);
    sim_pdu_u16(out, (unsigned)len);
    sim_buf_put(out, value, len);
}

void sim_pdu_end(struct sim_buf *out, size_t begin)
{
    sim_put32(sim_buf_at(out) + begin, (uint32_t)(sim_buf_left(out) - begin));
}

size_t sim_pdu_deliver(struct sim_buf *out, uint32_t command, const struct sim_sm *sm)
{
    bool payload = sm->in_payload || sm->body_len > 254 || command == SMPP_DATA_SM;
    size_t begin = sim_pdu_begin(out, command, SMPP_ROK, 0);

    sim_pdu_cstr(out, sm->service_type);
    sim_pdu_addr(out, &sm->src);
    sim_pdu_addr(out, &sm->dst);
    sim_pdu_u8(out, sm->esm_class);
    if (command == SMPP_DATA_SM) {
        sim_pdu_u8(out, 0);
        sim_pdu_u8(out, sm->data_coding);
    } else {
        sim_buf_put(out, "\0\0\0\0\0\0",
                    6); /* protocol, priority, two times, registered, replace */
        sim_pdu_u8(out, sm->data_coding);
        sim_pdu_u8(out, 0);
        sim_pdu_u8(out, payload ? 0 : (unsigned)sm->body_len);
        if (!payload)
            sim_buf_put(out, sm->body, sm->body_len);
    }
    if (payload && sm->body_len)
        sim_pdu_tlv(out, SMPP_TLV_PAYLOAD, sm->body, sm->body_len);
    return begin;
}
