/* SPDX-License-Identifier: Apache-2.0 */
/* guard.c - the walk over one received PDU: a table of mandatory fields per command and where each
 * of them goes, and one rule per kind of field. Never reads outside pdu[0..len), never allocates.
 * Source: SMPP 3.4 issue 1.2, chapter 4. */
#include "guard.h"

#include <errno.h>
#include <string.h>

enum rule {
    END,
    STR,   /* C-octet string, cut to max - 1 characters */
    OPT,   /* the same, but peers leave it away, or its NUL: "" or the rest of the PDU */
    SKIP,  /* C-octet string that is of no interest */
    OCTET, /* one octet, as received */
    LATER, /* one octet that peers leave away: 0 */
    PASS,  /* one octet that is of no interest */
    TEXT   /* sm_length and short_message */
};

struct field {
    uint8_t rule, max;
    uint16_t at; /* in struct smpp_pdu */
};

#define STRING(rule, max, member)                                                                  \
    {                                                                                              \
        (rule), (max), offsetof(struct smpp_pdu, member)                                           \
    }
#define ONE(rule, member)                                                                          \
    {                                                                                              \
        (rule), 1, offsetof(struct smpp_pdu, member)                                               \
    }
#define ADDRESS(who, max) ONE(OCTET, who.ton), ONE(OCTET, who.npi), STRING(STR, max, who.text)

static const struct field BIND_RESP[] = {STRING(OPT, 16, system_id), {END, 0, 0}};
static const struct field ID_RESP[] = {STRING(OPT, 65, message_id), {END, 0, 0}};
static const struct field QUERY_RESP[] = {STRING(OPT, 65, message_id),
                                          STRING(OPT, 17, final_date),
                                          ONE(LATER, message_state),
                                          ONE(LATER, error_code),
                                          {END, 0, 0}};
static const struct field DELIVER[] = {
    STRING(STR, 6, service_type),
    ADDRESS(source, 21),
    ADDRESS(destination, 21),
    ONE(OCTET, esm_class),
    ONE(OCTET, protocol_id),
    ONE(OCTET, priority),
    {SKIP, 0, 0}, /* schedule and validity: empty by the specification, not by peers */
    {SKIP, 0, 0},
    ONE(OCTET, registered_delivery),
    {PASS, 0, 0}, /* replace_if_present */
    ONE(OCTET, data_coding),
    {PASS, 0, 0}, /* sm_default_msg_id */
    {TEXT, 0, 0},
    {END, 0, 0},
};
static const struct field DATA[] = {
    STRING(STR, 6, service_type),
    ADDRESS(source, 65),
    ADDRESS(destination, 65),
    ONE(OCTET, esm_class),
    ONE(OCTET, registered_delivery),
    ONE(OCTET, data_coding),
    {END, 0, 0},
};
static const struct field ALERT[] = {ADDRESS(source, 65), ADDRESS(destination, 65), {END, 0, 0}};
static const struct field NOTHING[] = {{END, 0, 0}};

/* What an ESME may receive. Header-only commands have no fields: octets behind their header are
 * ignored. */
static const struct command {
    uint32_t command;
    const struct field *fields;
} COMMANDS[] = {
    {SMPP_SUBMIT_SM | SMPP_RESP, ID_RESP},
    {SMPP_DELIVER_SM, DELIVER},
    {SMPP_ENQUIRE_LINK, NOTHING},
    {SMPP_ENQUIRE_LINK | SMPP_RESP, NOTHING},
    {SMPP_DATA_SM, DATA},
    {SMPP_DATA_SM | SMPP_RESP, ID_RESP},
    {SMPP_GENERIC_NACK, NOTHING},
    {SMPP_BIND_RECEIVER | SMPP_RESP, BIND_RESP},
    {SMPP_BIND_TRANSMITTER | SMPP_RESP, BIND_RESP},
    {SMPP_BIND_TRANSCEIVER | SMPP_RESP, BIND_RESP},
    {SMPP_QUERY_SM | SMPP_RESP, QUERY_RESP},
    {SMPP_CANCEL_SM | SMPP_RESP, NOTHING},
    {SMPP_REPLACE_SM | SMPP_RESP, NOTHING},
    {SMPP_UNBIND, NOTHING},
    {SMPP_UNBIND | SMPP_RESP, NOTHING},
    {SMPP_ALERT_NOTIFICATION, ALERT},
    {SMPP_OUTBIND, NOTHING},
};

struct cursor {
    const uint8_t *p, *end;
};

int smpp_frame(const uint8_t *buf, size_t len, uint32_t *ret_pdu_len)
{
    *ret_pdu_len = SMPP_HEADER_LEN;
    if (len < 4)
        return 0;
    uint32_t n = smpp_get32(buf);
    if (n < SMPP_HEADER_LEN || n > SMPP_PDU_MAX)
        return -EBADMSG;
    *ret_pdu_len = n;
    return len >= n ? 1 : 0;
}

const struct smpp_tlv *smpp_tlv_find(const struct smpp_tlv *tlvs, uint32_t n, uint16_t tag)
{
    for (uint32_t i = 0; i < n; i++)
        if (tlvs[i].tag == tag)
            return &tlvs[i];
    return NULL;
}

static bool walk_string(struct cursor *c, const struct field *f, uint8_t *ret)
{
    size_t left = (size_t)(c->end - c->p);
    const uint8_t *nul = left ? memchr(c->p, 0, left) : NULL;
    if (!nul && f->rule != OPT)
        return false;
    size_t n = nul ? (size_t)(nul - c->p) : left;
    if (f->rule != SKIP) {
        size_t keep = n < f->max - 1u ? n : f->max - 1u;
        if (keep)
            memcpy(ret, c->p, keep);
        ret[keep] = 0;
    }
    c->p = nul ? nul + 1 : c->end;
    return true;
}

static bool walk_text(struct cursor *c, struct smpp_pdu *ret)
{
    if (c->p >= c->end)
        return false;
    uint32_t n = *c->p++;
    if (n > SMPP_SHORT_IN_MAX || (size_t)(c->end - c->p) < n)
        return false;
    ret->short_len = (uint8_t)n;
    if (n)
        memcpy(ret->short_message, c->p, n);
    c->p += n;
    return true;
}

static bool walk_octet(struct cursor *c, const struct field *f, uint8_t *ret)
{
    if (c->p >= c->end && f->rule != LATER)
        return false;
    uint8_t v = c->p < c->end ? *c->p++ : 0;
    if (f->rule != PASS)
        *ret = v;
    return true;
}

static bool walk_fields(struct cursor *c, const struct field *f, struct smpp_pdu *ret)
{
    for (; f->rule != END; f++) {
        uint8_t *at = (uint8_t *)ret + f->at;
        bool ok = false;
        if (f->rule == STR || f->rule == OPT || f->rule == SKIP)
            ok = walk_string(c, f, at);
        else if (f->rule == TEXT)
            ok = walk_text(c, ret);
        else
            ok = walk_octet(c, f, at);
        if (!ok)
            return false;
    }
    return true;
}

/* \return false when the octets do not end with a whole TLV. */
static bool walk_tlvs(const uint8_t *p, const uint8_t *end, struct smpp_pdu *ret)
{
    ret->n_tlvs = ret->tlvs_dropped = 0;
    while (end - p >= 4) {
        struct smpp_tlv t = {smpp_get16(p), smpp_get16(p + 2), p + 4};
        if ((size_t)(end - p - 4) < t.len)
            return false;
        p += 4 + t.len;
        if (ret->n_tlvs < SMPP_TLVS_MAX)
            ret->tlvs[ret->n_tlvs++] = t;
        else
            ret->tlvs_dropped++;
    }
    return p == end;
}

/* The body of an error response is absent (3.4), or a string, or optional parameters (5.0), or
 * both. It only carries the peer's words: whatever does not fit exactly is left alone. */
static void walk_error_body(const uint8_t *p, const uint8_t *end, struct smpp_pdu *ret)
{
    if (p == end || walk_tlvs(p, end, ret))
        return;
    const uint8_t *nul = memchr(p, 0, (size_t)(end - p));
    if (!nul || !walk_tlvs(nul + 1, end, ret)) {
        ret->n_tlvs = ret->tlvs_dropped = 0;
        ret->tail_bad = true;
    }
}

static const struct field *fields_of(uint32_t command)
{
    for (size_t i = 0; i < sizeof COMMANDS / sizeof COMMANDS[0]; i++)
        if (COMMANDS[i].command == command)
            return COMMANDS[i].fields;
    return NULL;
}

int smpp_guard(const uint8_t *pdu, uint32_t len, struct smpp_pdu *ret)
{
    memset(ret, 0, offsetof(struct smpp_pdu, tlvs));
    ret->command = len >= 8 ? smpp_get32(pdu + 4) : 0;
    ret->status = len >= 12 ? smpp_get32(pdu + 8) : 0;
    ret->sequence = len >= SMPP_HEADER_LEN ? smpp_get32(pdu + 12) : 0;
    if (len < SMPP_HEADER_LEN || len > SMPP_PDU_MAX || smpp_get32(pdu) != len)
        return -EBADMSG;
    const struct field *fields = fields_of(ret->command);
    if (!fields)
        return -ENOSYS;
    struct cursor c = {pdu + SMPP_HEADER_LEN, pdu + len};
    if (ret->command & SMPP_RESP && ret->status != SMPP_ROK) {
        walk_error_body(c.p, c.end, ret);
        return 0;
    }
    if (fields == NOTHING) {
        ret->tail_bad = c.p != c.end && ret->command != SMPP_OUTBIND;
        return 0;
    }
    if (!walk_fields(&c, fields, ret))
        return -EBADMSG;
    ret->tail_bad = !walk_tlvs(c.p, c.end, ret);
    ret->has_body = true;
    return 0;
}
