/* SPDX-License-Identifier: Apache-2.0 */
/* reassembly.c - concatenation headers of received parts, and the table of messages that still miss
 * some. Must not acknowledge anything: the caller owns the PDUs behind the tags. Source: 3GPP
 * TS 23.040 9.2.3.24 (header), .1 and .8 (concatenation), .3 and .4 (ports); SMPP 3.4 5.3.2.22-24.
 */
#include "reassembly.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FORM_SAR 1u
#define SETS_DEFAULT 1024u
#define BYTES_DEFAULT (4u * 1024 * 1024)
#define TIMEOUT_DEFAULT_MS 600000
static const char MISSING[] = "[...]";
#define MISSING_LEN (sizeof MISSING - 1)

struct part {
    uint64_t tag;
    uint32_t len;
    uint8_t data_coding;
    uint8_t octets[];
};

struct set {
    struct smpp_addr source, destination;
    uint16_t reference;
    uint8_t form, total, have;
    bool given_up;
    int64_t first_ms;
    uint32_t bytes;
    struct part *parts[]; /* by index - 1; owned */
};

struct smpp_reasm {
    struct smpp_reasm_limits limits;
    enum smpp_alphabet default_alphabet;
    uint32_t n, bytes;
    struct set **sets; /* owned; in order of arrival, oldest first */
};

/* ---- headers ---- */

static void set_concat(struct smpp_concat *c, uint8_t form, uint16_t reference, uint8_t total,
                       uint8_t index)
{
    if (total < 2 || index == 0 || index > total)
        return; /* TS 23.040 9.2.3.24.1: such an element is ignored */
    c->form = form;
    c->reference = reference;
    c->total = total;
    c->index = index;
}

static void read_element(struct smpp_concat *c, uint8_t iei, const uint8_t *v, uint32_t len)
{
    if (iei == 0x00 && len == 3) {
        set_concat(c, 8, v[0], v[1], v[2]);
    } else if (iei == 0x08 && len == 4) {
        set_concat(c, 16, smpp_get16(v), v[2], v[3]);
    } else if (iei == 0x05 && len == 4) {
        c->has_port = true;
        c->port = smpp_get16(v);
    } else if (iei == 0x04 && len == 2) {
        c->has_port = true;
        c->port = v[0];
    }
}

static void read_udh(struct smpp_concat *c)
{
    uint32_t end = c->text_len ? c->text[0] + 1u : 0;
    if (!end || end > c->text_len) {
        c->udh_bad = true;
        return;
    }
    for (uint32_t i = 1; i < end;) {
        if (end - i < 2 || end - i - 2 < c->text[i + 1]) {
            c->udh_bad = true; /* elements before it count all the same */
            break;
        }
        read_element(c, c->text[i], c->text + i + 2, c->text[i + 1]);
        i += 2u + c->text[i + 1];
    }
    c->text += end;
    c->text_len -= end;
}

void smpp_concat_read(const struct smpp_pdu *pdu, struct smpp_concat *ret)
{
    uint32_t reference = 0, total = 0, index = 0;
    memset(ret, 0, sizeof *ret);
    ret->text = smpp_pdu_text(pdu, &ret->text_len);
    if (pdu->esm_class & SMPP_ESM_UDHI)
        read_udh(ret);
    if (ret->total)
        return;
    if (smpp_pdu_tlv_uint(pdu, SMPP_TLV_SAR_MSG_REF_NUM, 2, &reference) &&
        smpp_pdu_tlv_uint(pdu, SMPP_TLV_SAR_TOTAL_SEGMENTS, 1, &total) &&
        smpp_pdu_tlv_uint(pdu, SMPP_TLV_SAR_SEGMENT_SEQNUM, 1, &index))
        set_concat(ret, FORM_SAR, (uint16_t)reference, (uint8_t)total, (uint8_t)index);
}

/* ---- the message ---- */

void smpp_mo_done(struct smpp_mo *mo)
{
    free(mo->utf8);
    free(mo->octets);
    free(mo->tags);
    memset(mo, 0, sizeof *mo);
}

/* Append the decoded text of a run of parts; what no alphabet can read makes the whole message
 * binary. */
static bool put_text(struct smpp_mo *mo, size_t cap, const uint8_t *octets, size_t len,
                     enum smpp_alphabet alphabet)
{
    int n = smpp_text_decode(octets, len, alphabet, mo->utf8 + mo->utf8_len, cap - mo->utf8_len);
    if (n < 0)
        return false;
    mo->utf8_len += (uint32_t)n;
    return true;
}

/* Parts that follow each other in one coding are decoded together: phones do cut characters in two.
 */
static bool decode_parts(const struct smpp_reasm *r, struct part *const *parts, uint8_t total,
                         struct smpp_mo *mo, size_t cap)
{
    size_t at = 0;
    for (uint32_t i = 0; i < total;) {
        if (!parts[i]) {
            memcpy(mo->utf8 + mo->utf8_len, MISSING, MISSING_LEN);
            mo->utf8_len += (uint32_t)MISSING_LEN;
            while (i < total && !parts[i])
                i++;
            continue;
        }
        uint8_t dc = parts[i]->data_coding;
        size_t len = 0;
        for (; i < total && parts[i] && parts[i]->data_coding == dc; i++)
            len += parts[i]->len;
        if (!put_text(mo, cap, mo->octets + at, len, smpp_text_alphabet(dc, r->default_alphabet)))
            return false;
        at += len;
    }
    return true;
}

/* Join parts[0..total) into mo; the parts stay the caller's. */
static int build(const struct smpp_reasm *r, struct part *const *parts, uint8_t total,
                 struct smpp_mo *mo)
{
    size_t bytes = 0, have = 0, n = 0;
    for (uint32_t i = 0; i < total; i++) {
        bytes += parts[i] ? parts[i]->len : 0;
        have += parts[i] ? 1 : 0;
    }
    size_t cap = bytes * 3 + total * MISSING_LEN + 1;
    mo->octets = malloc(bytes + 1);
    mo->utf8 = malloc(cap);
    mo->tags = calloc(have + 1, sizeof mo->tags[0]);
    if (!mo->octets || !mo->utf8 || !mo->tags) {
        smpp_mo_done(mo);
        return -ENOMEM;
    }
    mo->total = total;
    mo->have = (uint8_t)have;
    for (uint32_t i = 0; i < total; i++) {
        if (!parts[i])
            continue;
        if (!mo->n_tags)
            mo->data_coding = parts[i]->data_coding;
        memcpy(mo->octets + n, parts[i]->octets, parts[i]->len);
        n += parts[i]->len;
        mo->tags[mo->n_tags++] = parts[i]->tag;
    }
    mo->octets_len = (uint32_t)n;
    if (decode_parts(r, parts, total, mo, cap - 1)) {
        mo->utf8[mo->utf8_len] = 0;
    } else {
        free(mo->utf8);
        mo->utf8 = NULL;
        mo->utf8_len = 0;
    }
    return 0;
}

/* ---- the table ---- */

struct smpp_reasm *smpp_reasm_new(const struct smpp_reasm_limits *limits,
                                  enum smpp_alphabet default_alphabet)
{
    struct smpp_reasm *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->limits = *limits;
    if (!r->limits.max_sets)
        r->limits.max_sets = SETS_DEFAULT;
    if (!r->limits.max_bytes)
        r->limits.max_bytes = BYTES_DEFAULT;
    if (!r->limits.timeout_ms)
        r->limits.timeout_ms = TIMEOUT_DEFAULT_MS;
    r->default_alphabet = default_alphabet;
    r->sets = calloc(r->limits.max_sets, sizeof *r->sets);
    if (!r->sets) {
        free(r);
        return NULL;
    }
    return r;
}

static void set_free(struct set *s)
{
    for (uint32_t i = 0; i < s->total; i++)
        free(s->parts[i]);
    free(s);
}

void smpp_reasm_free(struct smpp_reasm *r)
{
    if (!r)
        return;
    for (uint32_t i = 0; i < r->n; i++)
        set_free(r->sets[i]);
    free(r->sets);
    free(r);
}

uint32_t smpp_reasm_sets(const struct smpp_reasm *r)
{
    return r->n;
}

static void remove_at(struct smpp_reasm *r, uint32_t i)
{
    r->bytes -= r->sets[i]->bytes;
    set_free(r->sets[i]);
    r->n--;
    memmove(&r->sets[i], &r->sets[i + 1], (r->n - i) * sizeof r->sets[0]);
}

static bool is_due(const struct smpp_reasm *r, const struct set *s, int64_t now_ms)
{
    return s->given_up || now_ms - s->first_ms >= r->limits.timeout_ms;
}

int64_t smpp_reasm_next_ms(const struct smpp_reasm *r)
{
    int64_t next = INT64_MAX;
    for (uint32_t i = 0; i < r->n; i++) {
        int64_t at = r->sets[i]->given_up ? 0 : r->sets[i]->first_ms + r->limits.timeout_ms;
        next = at < next ? at : next;
    }
    return next;
}

/* \return index of the open set this part belongs to, r->n = none. */
static uint32_t find(const struct smpp_reasm *r, const struct smpp_pdu *pdu,
                     const struct smpp_concat *c)
{
    for (uint32_t i = 0; i < r->n; i++) {
        const struct set *s = r->sets[i];
        if (!s->given_up && s->reference == c->reference && s->form == c->form &&
            s->total == c->total && !strcmp(s->source.text, pdu->source.text) &&
            !strcmp(s->destination.text, pdu->destination.text))
            return i;
    }
    return r->n;
}

static struct part *part_new(const struct smpp_pdu *pdu, const struct smpp_concat *c, uint64_t tag)
{
    struct part *p = malloc(sizeof *p + c->text_len);
    if (!p)
        return NULL;
    p->tag = tag;
    p->len = c->text_len;
    p->data_coding = pdu->data_coding;
    if (c->text_len)
        memcpy(p->octets, c->text, c->text_len);
    return p;
}

static int set_open(struct smpp_reasm *r, int64_t now_ms, const struct smpp_pdu *pdu,
                    const struct smpp_concat *c)
{
    struct set *s = calloc(1, sizeof *s + c->total * sizeof s->parts[0]);
    if (!s)
        return -ENOMEM;
    s->source = pdu->source;
    s->destination = pdu->destination;
    s->reference = c->reference;
    s->form = c->form;
    s->total = c->total;
    s->first_ms = now_ms;
    r->sets[r->n++] = s;
    return 0;
}

static void give_up_oldest(struct smpp_reasm *r)
{
    for (uint32_t i = 0; i < r->n; i++) {
        if (!r->sets[i]->given_up) {
            r->sets[i]->given_up = true;
            return;
        }
    }
}

static int add_single(const struct smpp_reasm *r, const struct smpp_pdu *pdu,
                      const struct smpp_concat *c, uint64_t tag, struct smpp_mo *ret)
{
    struct part *p = part_new(pdu, c, tag);
    if (!p)
        return -ENOMEM;
    int rc = build(r, &p, 1, ret);
    free(p);
    return rc ? rc : 1;
}

/* Is this part here already? Another text under the same index is the next message of a phone that
 * reuses its references. */
static bool is_repeated(const struct part *p, const struct smpp_pdu *pdu,
                        const struct smpp_concat *c)
{
    return p->len == c->text_len && p->data_coding == pdu->data_coding &&
           !memcmp(p->octets, c->text, p->len);
}

static int add_part(struct smpp_reasm *r, int64_t now_ms, const struct smpp_pdu *pdu,
                    const struct smpp_concat *c, uint64_t tag, struct smpp_mo *ret)
{
    uint32_t at = find(r, pdu, c);
    if (at < r->n && r->sets[at]->parts[c->index - 1]) {
        if (is_repeated(r->sets[at]->parts[c->index - 1], pdu, c))
            return -EEXIST;
        r->sets[at]->given_up = true;
        at = r->n;
    }
    if (r->bytes + c->text_len > r->limits.max_bytes ||
        (at == r->n && r->n == r->limits.max_sets)) {
        give_up_oldest(r);
        return -ENOBUFS;
    }
    struct part *p = part_new(pdu, c, tag);
    if (!p)
        return -ENOMEM;
    if (at == r->n && set_open(r, now_ms, pdu, c)) {
        free(p);
        return -ENOMEM;
    }
    struct set *s = r->sets[at];
    s->parts[c->index - 1] = p;
    s->bytes += p->len;
    r->bytes += p->len;
    if (++s->have < s->total)
        return 0;
    int rc = build(r, s->parts, s->total, ret);
    if (rc) { /* leave the set as it was, so that the SMSC's repetition completes it */
        s->parts[c->index - 1] = NULL;
        s->have--;
        s->bytes -= p->len;
        r->bytes -= p->len;
        free(p);
        return rc;
    }
    remove_at(r, at);
    return 1;
}

int smpp_reasm_add(struct smpp_reasm *r, int64_t now_ms, const struct smpp_pdu *pdu, uint64_t tag,
                   struct smpp_mo *ret)
{
    struct smpp_concat c;
    struct smpp_mo mo;
    memset(&mo, 0, sizeof mo);
    smpp_concat_read(pdu, &c);
    int rc = c.total && c.text_len <= SMPP_PART_MAX ? add_part(r, now_ms, pdu, &c, tag, &mo)
                                                    : add_single(r, pdu, &c, tag, &mo);
    if (rc == 1) {
        mo.source = pdu->source;
        mo.destination = pdu->destination;
        *ret = mo;
    }
    return rc;
}

int smpp_reasm_expired(struct smpp_reasm *r, int64_t now_ms, struct smpp_mo *ret)
{
    for (uint32_t i = 0; i < r->n; i++) {
        const struct set *s = r->sets[i];
        if (!is_due(r, s, now_ms))
            continue;
        struct smpp_mo mo;
        memset(&mo, 0, sizeof mo);
        int rc = build(r, s->parts, s->total, &mo);
        if (rc)
            return rc;
        mo.source = s->source;
        mo.destination = s->destination;
        *ret = mo;
        remove_at(r, i);
        return 1;
    }
    return 0;
}
