/* SPDX-License-Identifier: Apache-2.0 */
/* text.c - character tables and the conversions between UTF-8 and the alphabets of short messages.
 * Must not know segments or PDUs. Source: 3GPP TS 23.038 6.2.1, 6.2.1.1 and clause 4;
 * SMPP 3.4 5.2.19; RFC 3629. */
#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ESC 0x1Bu
#define REPLACEMENT 0xFFFDu

/* 3GPP TS 23.038 table 6.2.1, position = septet. 0x1B is the escape. */
static const uint16_t GSM[128] = {
    '@',    0xA3,   '$',    0xA5,   0xE8,   0xE9, 0xF9,   0xEC,   0xF2,   0xC7,   '\n',   0xD8,
    0xF8,   '\r',   0xC5,   0xE5,   0x0394, '_',  0x03A6, 0x0393, 0x039B, 0x03A9, 0x03A0, 0x03A8,
    0x03A3, 0x0398, 0x039E, 0xFFFF, 0xC6,   0xE6, 0xDF,   0xC9,   ' ',    '!',    '"',    '#',
    0xA4,   '%',    '&',    '\'',   '(',    ')',  '*',    '+',    ',',    '-',    '.',    '/',
    '0',    '1',    '2',    '3',    '4',    '5',  '6',    '7',    '8',    '9',    ':',    ';',
    '<',    '=',    '>',    '?',    0xA1,   'A',  'B',    'C',    'D',    'E',    'F',    'G',
    'H',    'I',    'J',    'K',    'L',    'M',  'N',    'O',    'P',    'Q',    'R',    'S',
    'T',    'U',    'V',    'W',    'X',    'Y',  'Z',    0xC4,   0xD6,   0xD1,   0xDC,   0xA7,
    0xBF,   'a',    'b',    'c',    'd',    'e',  'f',    'g',    'h',    'i',    'j',    'k',
    'l',    'm',    'n',    'o',    'p',    'q',  'r',    's',    't',    'u',    'v',    'w',
    'x',    'y',    'z',    0xE4,   0xF6,   0xF1, 0xFC,   0xE0,
};

/* Table 6.2.1.1: the septet behind the escape. */
static const struct {
    uint8_t septet;
    uint16_t cp;
} GSM_EXT[] = {
    {0x0A, '\f'}, {0x14, '^'}, {0x28, '{'}, {0x29, '}'}, {0x2F, '\\'},
    {0x3C, '['},  {0x3D, '~'}, {0x3E, ']'}, {0x40, '|'}, {0x65, 0x20AC},
};
#define N_EXT (sizeof GSM_EXT / sizeof GSM_EXT[0])

/* ---- UTF-8 ---- */

uint32_t smpp_utf8_next(const char *s, size_t len, uint32_t *ret_cp)
{
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    if (!len)
        return 0;
    const uint8_t *p = (const uint8_t *)s;
    uint32_t n = 0, cp = p[0];
    if (cp < 0x80)
        n = 1;
    else if ((cp & 0xE0) == 0xC0)
        n = 2, cp &= 0x1F;
    else if ((cp & 0xF0) == 0xE0)
        n = 3, cp &= 0x0F;
    else if ((cp & 0xF8) == 0xF0)
        n = 4, cp &= 0x07;
    if (!n || n > len)
        return 0;
    for (uint32_t i = 1; i < n; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return 0;
        cp = cp << 6 | (p[i] & 0x3Fu);
    }
    if (cp < least[n] || cp > 0x10FFFF || (cp >= 0xD800 && cp <= 0xDFFF))
        return 0;
    *ret_cp = cp;
    return n;
}

/* \return false when cap does not suffice. */
static bool utf8_put(uint32_t cp, char *out, size_t cap, size_t *n)
{
    uint8_t b[4];
    size_t k = 0;
    if (cp < 0x80) {
        b[k++] = (uint8_t)cp;
    } else if (cp < 0x800) {
        b[k++] = (uint8_t)(0xC0 | cp >> 6);
        b[k++] = (uint8_t)(0x80 | (cp & 0x3F));
    } else if (cp < 0x10000) {
        b[k++] = (uint8_t)(0xE0 | cp >> 12);
        b[k++] = (uint8_t)(0x80 | (cp >> 6 & 0x3F));
        b[k++] = (uint8_t)(0x80 | (cp & 0x3F));
    } else {
        b[k++] = (uint8_t)(0xF0 | cp >> 18);
        b[k++] = (uint8_t)(0x80 | (cp >> 12 & 0x3F));
        b[k++] = (uint8_t)(0x80 | (cp >> 6 & 0x3F));
        b[k++] = (uint8_t)(0x80 | (cp & 0x3F));
    }
    if (cap - *n < k)
        return false;
    memcpy(out + *n, b, k);
    *n += k;
    return true;
}

/* ---- one character into each alphabet ---- */

uint32_t smpp_gsm_put(uint32_t cp, uint8_t out[2])
{
    /* Most characters of most texts stand at their ASCII place. */
    if (cp < 128 && GSM[cp] == cp) {
        out[0] = (uint8_t)cp;
        return 1;
    }
    for (uint32_t i = 0; i < 128; i++) {
        if (GSM[i] == cp && i != ESC) {
            out[0] = (uint8_t)i;
            return 1;
        }
    }
    for (size_t i = 0; i < N_EXT; i++) {
        if (GSM_EXT[i].cp == cp) {
            out[0] = ESC;
            out[1] = GSM_EXT[i].septet;
            return 2;
        }
    }
    return 0;
}

static uint32_t ascii_put(uint32_t cp, uint8_t *out)
{
    out[0] = (uint8_t)cp;
    return cp < 0x80 ? 1 : 0;
}

static uint32_t latin1_put(uint32_t cp, uint8_t *out)
{
    out[0] = (uint8_t)cp;
    return cp < 0x80 || (cp >= 0xA0 && cp <= 0xFF) ? 1 : 0;
}

static uint32_t ucs2_put(uint32_t cp, uint8_t *out)
{
    if (cp < 0x10000) {
        smpp_put16(out, (uint16_t)cp);
        return 2;
    }
    cp -= 0x10000;
    smpp_put16(out, (uint16_t)(0xD800 | cp >> 10));
    smpp_put16(out + 2, (uint16_t)(0xDC00 | (cp & 0x3FF)));
    return 4;
}

/* \return octets put into out (at least 4 of room), 0 = not in the alphabet. */
static uint32_t put(enum smpp_alphabet alphabet, uint32_t cp, uint8_t *out)
{
    switch (alphabet) {
    case SMPP_ALPHA_GSM:
        return smpp_gsm_put(cp, out);
    case SMPP_ALPHA_ASCII:
        return ascii_put(cp, out);
    case SMPP_ALPHA_LATIN1:
        return latin1_put(cp, out);
    case SMPP_ALPHA_UCS2:
        return ucs2_put(cp, out);
    case SMPP_ALPHA_BINARY:
    case SMPP_ALPHA_CYRILLIC:
    case SMPP_ALPHA_HEBREW:
    default:
        return 0;
    }
}

int smpp_text_encode(const char *utf8, size_t len, enum smpp_alphabet alphabet, uint8_t *out,
                     size_t cap)
{
    size_t n = 0;
    while (len) {
        uint8_t b[4];
        uint32_t cp = 0, took = smpp_utf8_next(utf8, len, &cp);
        uint32_t k = took ? put(alphabet, cp, b) : 0;
        if (!k)
            return -EINVAL;
        if (cap - n < k || n + k > SMPP_PAYLOAD_MAX)
            return -ENOBUFS;
        memcpy(out + n, b, k);
        n += k;
        utf8 += took;
        len -= took;
    }
    return (int)n;
}

/* ---- choice ---- */

/* In the order of preference: what the phone gets in septets first, since it is the cheapest. */
struct candidate {
    struct smpp_choice choice;
    bool usable, septets_ok;
    uint32_t septets;
    uint32_t bad_cp; /* first character it cannot say */
    uint32_t bad_at; /* its place, from 1 */
};
enum { BY_DEFAULT, BY_LATIN1, BY_ASCII, BY_UCS2, N_CANDIDATES };

static const char *const NAMES[] = {
    [SMPP_ALPHA_GSM] = "gsm7",
    [SMPP_ALPHA_ASCII] = "ascii",
    [SMPP_ALPHA_LATIN1] = "latin1",
    [SMPP_ALPHA_UCS2] = "ucs2",
};

static void candidates_init(struct candidate c[N_CANDIDATES], const struct smpp_text_rules *rules)
{
    static const struct {
        enum smpp_alphabet alphabet;
        uint8_t data_coding;
    } fixed[N_CANDIDATES] = {
        {SMPP_ALPHA_GSM, 0}, {SMPP_ALPHA_LATIN1, 3}, {SMPP_ALPHA_ASCII, 1}, {SMPP_ALPHA_UCS2, 8}};
    uint32_t allowed =
        rules->allowed ? rules->allowed : SMPP_ALLOW(SMPP_ALPHA_GSM) | SMPP_ALLOW(SMPP_ALPHA_UCS2);
    memset(c, 0, N_CANDIDATES * sizeof c[0]);
    for (int i = 0; i < N_CANDIDATES; i++) {
        c[i].choice.alphabet = i == BY_DEFAULT ? rules->default_alphabet : fixed[i].alphabet;
        c[i].choice.data_coding = fixed[i].data_coding;
        c[i].choice.septets = i == BY_DEFAULT;
        c[i].choice.encoding = NAMES[c[i].choice.alphabet];
        c[i].usable = (allowed & SMPP_ALLOW(fixed[i].alphabet)) != 0;
    }
}

/* data_coding 0 ends in the GSM alphabet on the phone, also where the route takes ASCII or Latin-1:
 * a character must be in both, and costs what it costs there. */
static void candidate_add(struct candidate *c, uint32_t cp, uint32_t at)
{
    uint8_t b[4], g[2];
    if (!c->usable || c->bad_at)
        return;
    uint32_t k = put(c->choice.alphabet, cp, b);
    uint32_t septets = c->choice.septets ? smpp_gsm_put(cp, g) : 0;
    if (!k || (c->choice.septets && !septets)) {
        c->bad_cp = cp;
        c->bad_at = at;
        return;
    }
    c->choice.octets += k;
    c->choice.units += c->choice.septets                       ? septets
                       : c->choice.alphabet == SMPP_ALPHA_UCS2 ? k / 2
                                                               : k;
}

static int say(struct cgw_diag *diag, int code, const char *text, uint32_t a, uint32_t b)
{
    if (diag) {
        diag->code = code;
        (void)snprintf(diag->where, sizeof diag->where, "text");
        if (code == CGW_ELIMIT)
            (void)snprintf(diag->text, sizeof diag->text, "text takes more than %u octets",
                           SMPP_PAYLOAD_MAX);
        else if (b)
            (void)snprintf(diag->text, sizeof diag->text, "%s: character %u (U+%04X)", text, b, a);
        else
            (void)snprintf(diag->text, sizeof diag->text, "%s at byte %u", text, a);
    }
    return code;
}

int smpp_text_choose(const char *utf8, size_t len, const struct smpp_text_rules *rules,
                     struct smpp_choice *ret, struct cgw_diag *diag)
{
    struct candidate c[N_CANDIDATES];
    if (rules->default_alphabet > SMPP_ALPHA_LATIN1)
        return say(diag, CGW_EINVAL, "default alphabet of the route is none of gsm, ascii, latin1",
                   0, 0);
    /* No coding says more than two bytes of UTF-8 in one octet; the exact check comes below. */
    if (len > SMPP_PAYLOAD_MAX * 2ul)
        return say(diag, CGW_ELIMIT, "", 0, 0);
    candidates_init(c, rules);
    uint32_t at = 0;
    for (size_t i = 0; i < len; at++) {
        uint32_t cp = 0, took = smpp_utf8_next(utf8 + i, len - i, &cp);
        if (!took || !cp)
            return say(diag, CGW_EINVAL, took ? "text holds U+0000" : "text is not valid UTF-8",
                       (uint32_t)i, 0);
        for (int k = 0; k < N_CANDIDATES; k++)
            candidate_add(&c[k], cp, at + 1);
        i += took;
    }
    const struct candidate *worst = NULL;
    for (int k = 0; k < N_CANDIDATES; k++) {
        if (!c[k].usable)
            continue;
        if (!c[k].bad_at) {
            if (c[k].choice.octets > SMPP_PAYLOAD_MAX)
                return say(diag, CGW_ELIMIT, "", 0, 0);
            *ret = c[k].choice;
            return 0;
        }
        if (!worst || c[k].bad_at > worst->bad_at)
            worst = &c[k];
    }
    return say(diag, CGW_EINVAL, "no encoding that the route allows can say the text",
               worst ? worst->bad_cp : 0, worst ? worst->bad_at : 1);
}

/* ---- decoding ---- */

enum smpp_alphabet smpp_text_alphabet(uint8_t dc, enum smpp_alphabet default_alphabet)
{
    static const enum smpp_alphabet low[16] = {
        SMPP_ALPHA_GSM, /* replaced by the route's */
        SMPP_ALPHA_ASCII,    SMPP_ALPHA_BINARY, SMPP_ALPHA_LATIN1, SMPP_ALPHA_BINARY,
        SMPP_ALPHA_BINARY, /* JIS */
        SMPP_ALPHA_CYRILLIC, SMPP_ALPHA_HEBREW, SMPP_ALPHA_UCS2,   SMPP_ALPHA_BINARY,
        SMPP_ALPHA_BINARY,   SMPP_ALPHA_BINARY, SMPP_ALPHA_BINARY, SMPP_ALPHA_BINARY,
        SMPP_ALPHA_BINARY,   SMPP_ALPHA_BINARY,
    };
    if (dc == 0)
        return default_alphabet;
    if (dc < 16)
        return low[dc];
    if (dc < 0x80) { /* general group: bits 3 and 2 name the alphabet, bit 5 compression (which
                        nobody can read) */
        if (dc & 0x20)
            return SMPP_ALPHA_BINARY;
        uint8_t bits = dc >> 2 & 3;
        return bits == 0 ? default_alphabet : bits == 2 ? SMPP_ALPHA_UCS2 : SMPP_ALPHA_BINARY;
    }
    if (dc >= 0xF0) /* data coding and message class: bit 2 = 8-bit data */
        return dc & 4 ? SMPP_ALPHA_BINARY : default_alphabet;
    if (dc >= 0xE0)
        return SMPP_ALPHA_UCS2; /* message waiting, UCS-2 */
    return dc >= 0xC0 ? default_alphabet : SMPP_ALPHA_BINARY;
}

/* Next character of `alphabet` at p; \return octets taken (at least 1). */
typedef size_t (*reader)(const uint8_t *p, size_t len, uint32_t *ret_cp);

static size_t read_gsm(const uint8_t *p, size_t len, uint32_t *ret_cp)
{
    *ret_cp = REPLACEMENT;
    if (p[0] >= 128)
        return 1;
    if (p[0] != ESC) {
        *ret_cp = GSM[p[0]];
        return 1;
    }
    if (len < 2)
        return 1;
    for (size_t i = 0; i < N_EXT; i++) {
        if (GSM_EXT[i].septet == p[1]) {
            *ret_cp = GSM_EXT[i].cp;
            return 2;
        }
    }
    if (p[1] < 128 && p[1] != ESC)
        *ret_cp = GSM[p[1]]; /* TS 23.038 6.2.1.1 note: an unknown one shows as the character of the
                                default table */
    return 2;
}

static size_t read_ascii(const uint8_t *p, size_t len, uint32_t *ret_cp)
{
    (void)len;
    *ret_cp = p[0] < 0x80 ? p[0] : REPLACEMENT;
    return 1;
}

static size_t read_latin1(const uint8_t *p, size_t len, uint32_t *ret_cp)
{
    (void)len;
    *ret_cp = p[0];
    return 1;
}

static size_t read_ucs2(const uint8_t *p, size_t len, uint32_t *ret_cp)
{
    *ret_cp = REPLACEMENT;
    if (len < 2)
        return 1;
    uint32_t hi = smpp_get16(p);
    if (hi < 0xD800 || hi > 0xDFFF) {
        *ret_cp = hi;
        return 2;
    }
    uint32_t lo = len >= 4 ? smpp_get16(p + 2) : 0;
    if (hi > 0xDBFF || lo < 0xDC00 || lo > 0xDFFF)
        return 2; /* half of a pair */
    *ret_cp = 0x10000 + ((hi - 0xD800) << 10) + (lo - 0xDC00);
    return 4;
}

static size_t read_cyrillic(const uint8_t *p, size_t len, uint32_t *ret_cp)
{
    (void)len;
    uint32_t c = p[0];
    if (c <= 0xA0 || c == 0xAD)
        *ret_cp = c;
    else if (c == 0xF0)
        *ret_cp = 0x2116;
    else if (c == 0xFD)
        *ret_cp = 0xA7;
    else
        *ret_cp = 0x360 + c; /* ISO 8859-5 follows the Unicode block */
    return 1;
}

static size_t read_hebrew(const uint8_t *p, size_t len, uint32_t *ret_cp)
{
    (void)len;
    uint32_t c = p[0];
    if (c >= 0xE0 && c <= 0xFA)
        *ret_cp = 0x5D0 + c - 0xE0;
    else if (c == 0xAA)
        *ret_cp = 0xD7;
    else if (c == 0xBA)
        *ret_cp = 0xF7;
    else if (c == 0xDF)
        *ret_cp = 0x2017;
    else if (c == 0xFD || c == 0xFE)
        *ret_cp = c == 0xFD ? 0x200E : 0x200F;
    else
        *ret_cp = c <= 0xBE && c != 0xA1 ? c : REPLACEMENT;
    return 1;
}

int smpp_text_decode(const uint8_t *octets, size_t len, enum smpp_alphabet alphabet, char *out,
                     size_t cap)
{
    static const reader readers[] = {
        [SMPP_ALPHA_GSM] = read_gsm,       [SMPP_ALPHA_ASCII] = read_ascii,
        [SMPP_ALPHA_LATIN1] = read_latin1, [SMPP_ALPHA_UCS2] = read_ucs2,
        [SMPP_ALPHA_BINARY] = NULL,        [SMPP_ALPHA_CYRILLIC] = read_cyrillic,
        [SMPP_ALPHA_HEBREW] = read_hebrew,
    };
    reader next = alphabet <= SMPP_ALPHA_HEBREW ? readers[alphabet] : NULL;
    if (!next)
        return -ENOTSUP;
    size_t n = 0;
    while (len) {
        uint32_t cp = 0;
        size_t took = next(octets, len, &cp);
        if (!cp)
            cp = REPLACEMENT; /* a database keeps no NUL in text */
        if (!utf8_put(cp, out, cap, &n))
            return -ENOBUFS;
        octets += took;
        len -= took;
    }
    return (int)n;
}
