/* SPDX-License-Identifier: Apache-2.0 */
/* dedupe.c - remembers what was stored in the last seconds, to recognise a deliver_sm that the SMSC
 * repeats. Keyed, so that nobody outside can build a message that is taken for another's. Source:
 * Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012), SipHash-2-4. */
#include "reassembly.h"

#include <stdlib.h>
#include <string.h>

#define WAYS 4u
#define ENTRIES_DEFAULT 4096u
#define WINDOW_DEFAULT_MS 30000

struct entry {
    struct smpp_mo_key key;
    int64_t at_ms;
    bool used;
};

struct smpp_dedupe {
    uint64_t k0, k1;
    int64_t window_ms;
    uint32_t buckets;
    struct entry entries[]; /* buckets * WAYS */
};

/* ---- digest ---- */

struct sip {
    uint64_t v[4], word;
    uint64_t len;
};

static uint64_t rotl(uint64_t x, unsigned n)
{
    return x << n | x >> (64 - n);
}

static void sip_rounds(uint64_t v[4], int n)
{
    while (n--) {
        v[0] += v[1];
        v[1] = rotl(v[1], 13) ^ v[0];
        v[0] = rotl(v[0], 32);
        v[2] += v[3];
        v[3] = rotl(v[3], 16) ^ v[2];
        v[0] += v[3];
        v[3] = rotl(v[3], 21) ^ v[0];
        v[2] += v[1];
        v[1] = rotl(v[1], 17) ^ v[2];
        v[2] = rotl(v[2], 32);
    }
}

static void sip_begin(struct sip *s, uint64_t k0, uint64_t k1)
{
    s->v[0] = k0 ^ 0x736f6d6570736575ull;
    s->v[1] = k1 ^ 0x646f72616e646f6dull;
    s->v[2] = k0 ^ 0x6c7967656e657261ull;
    s->v[3] = k1 ^ 0x7465646279746573ull;
    s->word = s->len = 0;
}

static void sip_put(struct sip *s, const void *data, size_t n)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < n; i++) {
        s->word |= (uint64_t)p[i] << (8 * (s->len & 7));
        s->len++;
        if (s->len & 7)
            continue;
        s->v[3] ^= s->word;
        sip_rounds(s->v, 2);
        s->v[0] ^= s->word;
        s->word = 0;
    }
}

static uint64_t sip_end(struct sip *s)
{
    uint64_t last = s->word | s->len << 56;
    s->v[3] ^= last;
    sip_rounds(s->v, 2);
    s->v[0] ^= last;
    s->v[2] ^= 0xff;
    sip_rounds(s->v, 4);
    return s->v[0] ^ s->v[1] ^ s->v[2] ^ s->v[3];
}

static uint64_t digest(uint64_t k0, uint64_t k1, const struct smpp_pdu *pdu)
{
    static const uint16_t parts[] = {SMPP_TLV_SAR_MSG_REF_NUM, SMPP_TLV_SAR_TOTAL_SEGMENTS,
                                     SMPP_TLV_SAR_SEGMENT_SEQNUM};
    struct sip s;
    uint32_t len = 0;
    const uint8_t *text = smpp_pdu_text(pdu, &len);
    const uint8_t coding[] = {pdu->esm_class, pdu->data_coding};
    sip_begin(&s, k0, k1);
    sip_put(&s, pdu->source.text, strlen(pdu->source.text) + 1);
    sip_put(&s, pdu->destination.text, strlen(pdu->destination.text) + 1);
    sip_put(&s, coding, sizeof coding);
    sip_put(&s, &len, sizeof len);
    sip_put(&s, text, len);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        const struct smpp_tlv *t = smpp_pdu_tlv(pdu, parts[i]);
        sip_put(&s, &i, sizeof i);
        if (t)
            sip_put(&s, t->value, t->len);
    }
    return sip_end(&s);
}

/* ---- table ---- */

static uint64_t le64(const uint8_t *p)
{
    uint64_t v = 0;
    for (int i = 7; i >= 0; i--)
        v = v << 8 | p[i];
    return v;
}

struct smpp_dedupe *smpp_dedupe_new(uint32_t entries, int64_t window_ms, const uint8_t key[16])
{
    if (!entries)
        entries = ENTRIES_DEFAULT;
    uint32_t buckets = (entries + WAYS - 1) / WAYS;
    struct smpp_dedupe *d = calloc(1, sizeof *d + (size_t)buckets * WAYS * sizeof d->entries[0]);
    if (!d)
        return NULL;
    d->k0 = le64(key);
    d->k1 = le64(key + 8);
    d->window_ms = window_ms ? window_ms : WINDOW_DEFAULT_MS;
    d->buckets = buckets;
    return d;
}

void smpp_dedupe_free(struct smpp_dedupe *d)
{
    free(d);
}

struct smpp_mo_key smpp_dedupe_key(const struct smpp_dedupe *d, const struct smpp_pdu *pdu)
{
    return (struct smpp_mo_key){digest(d->k0, d->k1, pdu), digest(~d->k0, ~d->k1, pdu)};
}

static bool is_live(const struct smpp_dedupe *d, const struct entry *e, int64_t now_ms)
{
    return e->used && now_ms - e->at_ms < d->window_ms;
}

bool smpp_dedupe_seen(const struct smpp_dedupe *d, int64_t now_ms, struct smpp_mo_key key)
{
    const struct entry *e = &d->entries[key.a % d->buckets * WAYS];
    for (uint32_t i = 0; i < WAYS; i++)
        if (is_live(d, &e[i], now_ms) && e[i].key.a == key.a && e[i].key.b == key.b)
            return true;
    return false;
}

void smpp_dedupe_put(struct smpp_dedupe *d, int64_t now_ms, struct smpp_mo_key key)
{
    struct entry *e = &d->entries[key.a % d->buckets * WAYS], *oldest = e;
    for (uint32_t i = 0; i < WAYS; i++) {
        bool same = e[i].used && e[i].key.a == key.a && e[i].key.b == key.b;
        if (same || !e[i].used) {
            oldest = &e[i];
            break;
        }
        if (e[i].at_ms < oldest->at_ms)
            oldest = &e[i];
    }
    *oldest = (struct entry){key, now_ms, true};
}
