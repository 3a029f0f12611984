/* SPDX-License-Identifier: Apache-2.0 */
/* guard.c - the walk over one received PDU: a table of mandatory fields per command, and one rule
 * per kind of field. Never reads outside pdu[0..len), never allocates; writes at most
 * SMPP_CANON_MAX octets (the tables' sum is below 350). Source: SMPP 3.4 issue 1.2, chapter 4. */
#include "guard.h"

#include <errno.h>
#include <string.h>

enum rule {
    END,
    STR,  /* C-octet string, cut to max - 1 characters */
    OPT,  /* the same, but peers leave it away, or its NUL: "" or the rest of the PDU */
    DROP, /* C-octet string that the library takes only empty */
    TON,  /* max is the index of the address */
    NPI,
    OCTET, /* one octet */
    LATER, /* one octet that peers leave away: 0 */
    STATE, /* like LATER, kept raw beside the canonical copy */
    TEXT   /* sm_length and short_message */
};

struct field {
    uint8_t rule, max;
};

static const struct field BIND_RESP[] = {{OPT, 16}, {END, 0}};
static const struct field ID_RESP[] = {{OPT, 65}, {END, 0}};
static const struct field QUERY_RESP[] = {{OPT, 65}, {OPT, 17}, {STATE, 0}, {LATER, 0}, {END, 0}};
static const struct field DELIVER[] = {
    {STR, 6},   {TON, 0},   {NPI, 0},   {STR, 21},  {TON, 1}, {NPI, 1},
    {STR, 21},  {OCTET, 0}, {OCTET, 0}, {OCTET, 0}, /* esm_class, protocol_id, priority_flag */
    {DROP, 17}, {DROP, 17}, /* schedule and validity: empty by the specification, not by peers */
    {OCTET, 0}, {OCTET, 0}, {OCTET, 0}, {OCTET, 0}, /* registered, replace, data_coding, default
                                                       message */
    {TEXT, 0},  {END, 0},
};
static const struct field DATA[] = {
    {STR, 6},  {TON, 0},   {NPI, 0},   {STR, 21},  {TON, 1}, {NPI, 1},
    {STR, 65}, {OCTET, 0}, {OCTET, 0}, {OCTET, 0}, {END, 0},
};
static const struct field ALERT[] = {
    {TON, 0}, {NPI, 0}, {STR, 65}, {TON, 1}, {NPI, 1}, {STR, 65}, {END, 0},
};
static const struct field NOTHING[] = {{END, 0}};

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

/* The library knows only these; another value would cost the PDU. */
static const uint8_t NPI_KNOWN[] = {0, 1, 3, 4, 6, 8, 9, 10, 14, 18};
#define TON_KNOWN_MAX 6u

struct cursor {
    const uint8_t *p, *end;
    uint8_t *out;
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

static bool walk_string(struct cursor *c, const struct field *f)
{
    size_t left = (size_t)(c->end - c->p);
    const uint8_t *nul = left ? memchr(c->p, 0, left) : NULL;
    if (!nul && f->rule != OPT)
        return false;
    size_t n = nul ? (size_t)(nul - c->p) : left;
    size_t keep = f->rule == DROP ? 0 : n;
    if (keep > f->max - 1u)
        keep = f->max - 1u;
    if (keep)
        memcpy(c->out, c->p, keep);
    c->out[keep] = 0;
    c->out += keep + 1;
    c->p = nul ? nul + 1 : c->end;
    return true;
}

static bool walk_text(struct cursor *c)
{
    if (c->p >= c->end)
        return false;
    uint32_t n = *c->p++;
    if (n > SMPP_SHORT_IN_MAX || (size_t)(c->end - c->p) < n)
        return false;
    *c->out++ = (uint8_t)n;
    if (n)
        memcpy(c->out, c->p, n);
    c->out += n;
    c->p += n;
    return true;
}

static bool walk_octet(struct cursor *c, const struct field *f, struct smpp_in *in)
{
    bool may_miss = f->rule == LATER || f->rule == STATE;
    if (c->p >= c->end && !may_miss)
        return false;
    uint8_t v = c->p < c->end ? *c->p++ : 0;
    switch (f->rule) {
    case TON:
        in->ton[f->max] = v;
        v = v <= TON_KNOWN_MAX ? v : 0;
        break;
    case NPI:
        in->npi[f->max] = v;
        v = memchr(NPI_KNOWN, v, sizeof NPI_KNOWN) ? v : 0;
        break;
    case STATE:
        in->state = v;
        break;
    default:
        break;
    }
    *c->out++ = v;
    return true;
}

static bool walk_fields(struct cursor *c, const struct field *f, struct smpp_in *in)
{
    for (; f->rule != END; f++) {
        bool ok = false;
        if (f->rule == STR || f->rule == OPT || f->rule == DROP)
            ok = walk_string(c, f);
        else if (f->rule == TEXT)
            ok = walk_text(c);
        else
            ok = walk_octet(c, f, in);
        if (!ok)
            return false;
    }
    return true;
}

/* \return false when the octets do not end with a whole TLV. */
static bool walk_tlvs(const uint8_t *p, const uint8_t *end, struct smpp_in *in)
{
    in->n_tlvs = in->tlvs_dropped = 0;
    while (end - p >= 4) {
        struct smpp_tlv t = {smpp_get16(p), smpp_get16(p + 2), p + 4};
        if ((size_t)(end - p - 4) < t.len)
            return false;
        p += 4 + t.len;
        if (in->n_tlvs < SMPP_TLVS_MAX)
            in->tlvs[in->n_tlvs++] = t;
        else
            in->tlvs_dropped++;
    }
    return p == end;
}

/* The body of an error response is absent (3.4), or a string, or optional parameters (5.0), or
 * both. It only carries the peer's words: whatever does not fit exactly is left alone. */
static void walk_error_body(const uint8_t *p, const uint8_t *end, struct smpp_in *in)
{
    if (p == end || walk_tlvs(p, end, in))
        return;
    const uint8_t *nul = memchr(p, 0, (size_t)(end - p));
    if (!nul || !walk_tlvs(nul + 1, end, in)) {
        in->n_tlvs = in->tlvs_dropped = 0;
        in->tail_bad = true;
    }
}

static const struct field *fields_of(uint32_t command)
{
    for (size_t i = 0; i < sizeof COMMANDS / sizeof COMMANDS[0]; i++)
        if (COMMANDS[i].command == command)
            return COMMANDS[i].fields;
    return NULL;
}

static void reset(struct smpp_in *in, const uint8_t *pdu, uint32_t len)
{
    in->length = len;
    in->command = len >= 8 ? smpp_get32(pdu + 4) : 0;
    in->status = len >= 12 ? smpp_get32(pdu + 8) : 0;
    in->sequence = len >= SMPP_HEADER_LEN ? smpp_get32(pdu + 12) : 0;
    in->canon_len = in->n_tlvs = in->tlvs_dropped = 0;
    in->tail_bad = false;
    in->state = 0;
    memset(in->ton, 0, sizeof in->ton);
    memset(in->npi, 0, sizeof in->npi);
}

int smpp_guard(const uint8_t *pdu, uint32_t len, struct smpp_in *in)
{
    reset(in, pdu, len);
    if (len < SMPP_HEADER_LEN || len > SMPP_PDU_MAX || smpp_get32(pdu) != len)
        return -EBADMSG;
    const struct field *fields = fields_of(in->command);
    if (!fields)
        return -ENOSYS;
    const uint8_t *body = pdu + SMPP_HEADER_LEN, *end = pdu + len;
    if (in->command & SMPP_RESP && in->status != SMPP_ROK) {
        walk_error_body(body, end, in);
        return 0;
    }
    if (fields == NOTHING) {
        in->tail_bad = body != end && in->command != SMPP_OUTBIND;
        return 0;
    }
    struct cursor c = {body, end, in->canon + SMPP_HEADER_LEN};
    if (!walk_fields(&c, fields, in))
        return -EBADMSG;
    in->tail_bad = !walk_tlvs(c.p, end, in);
    in->canon_len = (uint32_t)(c.out - in->canon);
    in->canon[in->canon_len] =
        0; /* the library of some distributions searches one octet past the end */
    smpp_put32(in->canon, in->canon_len);
    smpp_put32(in->canon + 4, in->command);
    smpp_put32(in->canon + 8, SMPP_ROK);
    smpp_put32(in->canon + 12, 1);
    return 0;
}
