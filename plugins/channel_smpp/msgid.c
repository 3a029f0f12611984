/* SPDX-License-Identifier: Apache-2.0 */
/* msgid.c - normal form of message ids and, for "auto", learning how a peer's receipts spell its
 * responses' ids. Must not decide anything about messages. Source: SMPP 3.4 5.2.23, appendix B;
 * habits of real SMSCs. */
#include "msgid.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define LEARNED_HITS 8u   /* matches before a relation is believed ... */
#define LEARNED_FACTOR 4u /* ... and how many times those of the others it takes */
#define HITS_MAX 1000000u
#define WIDE_DIGITS 160u /* decimal digits of a 127-digit hexadecimal number fit */

int smpp_idform_parse(const char *word, enum smpp_idform *ret)
{
    static const char *const words[] = {[SMPP_ID_AUTO] = "auto",
                                        [SMPP_ID_DEC] = "dec",
                                        [SMPP_ID_HEX] = "hex",
                                        [SMPP_ID_RAW] = "raw"};
    for (int i = 0; i <= SMPP_ID_RAW; i++) {
        if (!strcmp(word, words[i])) {
            *ret = (enum smpp_idform)i;
            return 0;
        }
    }
    return -EINVAL;
}

int smpp_msgid_init(struct smpp_msgid *m, enum smpp_idform resp, enum smpp_idform receipt)
{
    *m = (struct smpp_msgid){.resp = resp, .receipt = receipt};
    bool raw = resp == SMPP_ID_RAW || receipt == SMPP_ID_RAW;
    if (raw || (resp != SMPP_ID_AUTO && receipt != SMPP_ID_AUTO))
        return 0;
    m->recent = calloc(SMPP_ID_MEMORY, sizeof m->recent[0]);
    return m->recent ? 0 : -ENOMEM;
}

void smpp_msgid_done(struct smpp_msgid *m)
{
    free(m->recent);
    m->recent = NULL;
}

/* ---- spelling ---- */

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    char low = (char)(c | 0x20);
    return low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

static bool all_below(const char *s, int base)
{
    if (!*s)
        return false;
    for (; *s; s++)
        if (digit_value(*s) < 0 || digit_value(*s) >= base)
            return false;
    return true;
}

/* Hexadecimal digits with dashes between: a UUID or like it. */
static bool is_dashed_hex(const char *s)
{
    bool dash = false;
    for (; *s; s++) {
        if (*s == '-')
            dash = true;
        else if (digit_value(*s) < 0)
            return false;
    }
    return dash;
}

/* Same number, same text: no padding, lower case. Ids that are no numbers stay as they are: case
 * may matter in them. */
static void spell(const char *id, char *out)
{
    bool number = all_below(id, 16);
    size_t n = 0;
    if (number)
        while (id[0] == '0' && id[1])
            id++;
    bool lower = number || is_dashed_hex(id);
    for (; id[n]; n++)
        out[n] = lower && id[n] >= 'A' && id[n] <= 'F' ? (char)(id[n] | 0x20) : id[n];
    out[n] = 0;
}

/* Numbers beyond 64 bits, most significant digit first: multiply by one base and add, in the digits
 * of the other. */
static bool convert_wide(const char *id, uint32_t from, uint32_t to, char *out)
{
    uint8_t digits[WIDE_DIGITS] = {0};
    size_t used = 1;
    for (; *id; id++) {
        uint32_t carry = (uint32_t)digit_value(*id);
        for (size_t i = 0; i < used || carry; i++) {
            if (i == WIDE_DIGITS)
                return false;
            uint32_t v = digits[i] * from + carry;
            digits[i] = (uint8_t)(v % to);
            carry = v / to;
            used = i + 1 > used ? i + 1 : used;
        }
    }
    if (used >= CGW_PROVIDER_ID_MAX)
        return false;
    for (size_t i = 0; i < used; i++)
        out[i] = "0123456789abcdef"[digits[used - 1 - i]];
    out[used] = 0;
    return true;
}

static bool convert_narrow(const char *id, uint32_t from, uint32_t to, char *out)
{
    uint64_t v = 0;
    char reversed[24];
    size_t n = 0;
    for (; *id; id++)
        v = v * from + (uint64_t)digit_value(*id);
    do {
        reversed[n++] = "0123456789abcdef"[v % to];
        v /= to;
    } while (v);
    for (size_t i = 0; i < n; i++)
        out[i] = reversed[n - 1 - i];
    out[n] = 0;
    return true;
}

/* id is spelled already. \return false when it is no number of base `from`, or too long. */
static bool convert(const char *id, uint32_t from, uint32_t to, char *out)
{
    if (!all_below(id, (int)from))
        return false;
    size_t n = strlen(id);
    return n <= (from == 16 ? 16u : 19u) ? convert_narrow(id, from, to, out)
                                         : convert_wide(id, from, to, out);
}

static bool link_apply(enum smpp_idlink link, const char *id, char *out)
{
    if (link == SMPP_IDLINK_DEC_TO_HEX)
        return convert(id, 10, 16, out);
    if (link == SMPP_IDLINK_HEX_TO_DEC)
        return convert(id, 16, 10, out);
    memcpy(out, id, strlen(id) + 1);
    return true;
}

/* ---- learning ---- */

static uint64_t hash(const char *s)
{
    uint64_t h = 14695981039346656037ull; /* FNV-1a; consecutive ids differ in high bits only, so
                                             mix these down */
    for (; *s; s++)
        h = (h ^ (uint8_t)*s) * 1099511628211ull;
    h = (h ^ h >> 33) * 0xff51afd7ed558ccdull;
    h ^= h >> 33;
    return h ? h : 1;
}

static bool is_recent(const struct smpp_msgid *m, const char *id)
{
    uint64_t h = hash(id);
    return m->recent[h & (SMPP_ID_MEMORY - 1)] == h;
}

/* Which relations the settings leave open. */
static bool link_possible(const struct smpp_msgid *m, enum smpp_idlink link)
{
    if (link == SMPP_IDLINK_DEC_TO_HEX)
        return m->resp != SMPP_ID_DEC && m->receipt != SMPP_ID_HEX;
    if (link == SMPP_IDLINK_HEX_TO_DEC)
        return m->resp != SMPP_ID_HEX && m->receipt != SMPP_ID_DEC;
    return true;
}

/* \return the relation to believe, SMPP_IDLINKS = not known yet. Small consecutive ids match by
 * chance in several ways, so the plain one wins unless another one matched far more often. */
static enum smpp_idlink learned(const struct smpp_msgid *m)
{
    uint32_t to_hex = m->hits[SMPP_IDLINK_DEC_TO_HEX], to_dec = m->hits[SMPP_IDLINK_HEX_TO_DEC];
    enum smpp_idlink other = to_hex >= to_dec ? SMPP_IDLINK_DEC_TO_HEX : SMPP_IDLINK_HEX_TO_DEC;
    uint32_t more = to_hex >= to_dec ? to_hex : to_dec, less = to_hex >= to_dec ? to_dec : to_hex;
    if (m->hits[SMPP_IDLINK_SAME] >= LEARNED_HITS &&
        m->hits[SMPP_IDLINK_SAME] >= more / LEARNED_FACTOR)
        return SMPP_IDLINK_SAME;
    return more >= LEARNED_HITS && less < more / LEARNED_FACTOR ? other : SMPP_IDLINKS;
}

static void vote(struct smpp_msgid *m, enum smpp_idlink link)
{
    if (++m->hits[link] < HITS_MAX)
        return;
    for (int i = 0; i < SMPP_IDLINKS; i++)
        m->hits[i] /= 2;
}

/* Try every open relation on the spelled id, count those that lead to a recent response, and take
 * the first of them unless one is learned already. */
static enum smpp_idlink choose(struct smpp_msgid *m, const char *id)
{
    enum smpp_idlink known = learned(m), first = SMPP_IDLINKS;
    char out[WIDE_DIGITS];
    for (enum smpp_idlink i = SMPP_IDLINK_SAME; i < SMPP_IDLINKS; i++) {
        if (!link_possible(m, i) || !link_apply(i, id, out) || !is_recent(m, out))
            continue;
        if (i != SMPP_IDLINK_SAME && !strcmp(out, id))
            continue; /* one digit reads the same both ways */
        vote(m, i);
        first = first == SMPP_IDLINKS ? i : first;
    }
    if (known != SMPP_IDLINKS)
        return known;
    return first == SMPP_IDLINKS ? SMPP_IDLINK_SAME : first;
}

static enum smpp_idlink fixed_link(const struct smpp_msgid *m)
{
    if (m->resp == SMPP_ID_HEX && m->receipt == SMPP_ID_DEC)
        return SMPP_IDLINK_DEC_TO_HEX;
    if (m->resp == SMPP_ID_DEC && m->receipt == SMPP_ID_HEX)
        return SMPP_IDLINK_HEX_TO_DEC;
    return SMPP_IDLINK_SAME;
}

/* ---- the two ways in ---- */

static bool usable(const char *id, char *out)
{
    out[0] = 0;
    return strnlen(id, CGW_PROVIDER_ID_MAX) < CGW_PROVIDER_ID_MAX && id[0];
}

void smpp_msgid_same(const struct smpp_msgid *m, const char *id, char out[CGW_PROVIDER_ID_MAX])
{
    if (!usable(id, out))
        return;
    if (m->resp == SMPP_ID_RAW)
        memcpy(out, id, strlen(id) + 1);
    else
        spell(id, out);
}

void smpp_msgid_resp(struct smpp_msgid *m, const char *id, char out[CGW_PROVIDER_ID_MAX])
{
    smpp_msgid_same(m, id, out);
    if (m->recent && out[0]) {
        uint64_t h = hash(out);
        m->recent[h & (SMPP_ID_MEMORY - 1)] = h;
    }
}

void smpp_msgid_receipt(struct smpp_msgid *m, const char *id, char out[CGW_PROVIDER_ID_MAX])
{
    char spelled[CGW_PROVIDER_ID_MAX];
    smpp_msgid_same(m, id, out);
    if (!out[0] || m->resp == SMPP_ID_RAW)
        return;
    memcpy(spelled, out, strlen(out) + 1);
    enum smpp_idlink link = m->recent ? choose(m, spelled) : fixed_link(m);
    if (!link_apply(link, spelled, out))
        memcpy(out, spelled, strlen(spelled) + 1);
}

uint32_t smpp_msgid_also(const struct smpp_msgid *m, const char *id, const char *normal,
                         char out[CGW_ALSO_MAX][CGW_PROVIDER_ID_MAX])
{
    char spelled[CGW_PROVIDER_ID_MAX], one[WIDE_DIGITS];
    uint32_t n = 0;
    if (!m->recent || !normal[0] || learned(m) != SMPP_IDLINKS)
        return 0;
    smpp_msgid_same(m, id, spelled);
    for (enum smpp_idlink i = SMPP_IDLINK_SAME; i < SMPP_IDLINKS && n < CGW_ALSO_MAX; i++)
        if (link_possible(m, i) && link_apply(i, spelled, one) && strcmp(one, normal) != 0 &&
            strlen(one) < CGW_PROVIDER_ID_MAX)
            memcpy(out[n++], one, strlen(one) + 1);
    return n;
}
