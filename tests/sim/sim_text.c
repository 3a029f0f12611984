/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_text.c - alphabets of short messages.
 * Must not guess: an octet without meaning becomes U+FFFD. Source: 3GPP TS 23.038, 6.2.1.
 */
#include "sim_text.h"

#include <errno.h>
#include <string.h>

#define GSM_ESCAPE 0x1B
#define NO_CHAR 0xFFFDu

/* 3GPP TS 23.038 6.2.1, in the order of the septets; 0x1B is the escape. */
static const uint16_t gsm_basic[128] = {
    '@',    0x00A3, '$',    0x00A5, 0x00E8, 0x00E9, 0x00F9, 0x00EC, 0x00F2, 0x00C7, '\n',   0x00D8,
    0x00F8, '\r',   0x00C5, 0x00E5, 0x0394, '_',    0x03A6, 0x0393, 0x039B, 0x03A9, 0x03A0, 0x03A8,
    0x03A3, 0x0398, 0x039E, 0,      0x00C6, 0x00E6, 0x00DF, 0x00C9, ' ',    '!',    '"',    '#',
    0x00A4, '%',    '&',    '\'',   '(',    ')',    '*',    '+',    ',',    '-',    '.',    '/',
    '0',    '1',    '2',    '3',    '4',    '5',    '6',    '7',    '8',    '9',    ':',    ';',
    '<',    '=',    '>',    '?',    0x00A1, 'A',    'B',    'C',    'D',    'E',    'F',    'G',
    'H',    'I',    'J',    'K',    'L',    'M',    'N',    'O',    'P',    'Q',    'R',    'S',
    'T',    'U',    'V',    'W',    'X',    'Y',    'Z',    0x00C4, 0x00D6, 0x00D1, 0x00DC, 0x00A7,
    0x00BF, 'a',    'b',    'c',    'd',    'e',    'f',    'g',    'h',    'i',    'j',    'k',
    'l',    'm',    'n',    'o',    'p',    'q',    'r',    's',    't',    'u',    'v',    'w',
    'x',    'y',    'z',    0x00E4, 0x00F6, 0x00F1, 0x00FC, 0x00E0,
};

/* 3GPP TS 23.038 6.2.1.1, the extension table. */
static const struct {
    uint8_t septet;
    uint16_t code;
} gsm_extension[] = {
    {0x0A, 0x000C}, {0x14, '^'}, {0x28, '{'}, {0x29, '}'}, {0x2F, '\\'},
    {0x3C, '['},    {0x3D, '~'}, {0x3E, ']'}, {0x40, '|'}, {0x65, 0x20AC},
};
#define N_EXTENSION (sizeof(gsm_extension) / sizeof(gsm_extension[0]))

enum sim_alphabet sim_alphabet_of(uint8_t dc)
{
    static const uint8_t classes[4] = {SIM_ALPHA_GSM, SIM_ALPHA_BINARY, SIM_ALPHA_UCS2,
                                       SIM_ALPHA_BINARY};

    switch (dc) {
    case 0x00:
        return SIM_ALPHA_GSM;
    case 0x01:
        return SIM_ALPHA_ASCII;
    case 0x03:
        return SIM_ALPHA_LATIN1;
    case 0x08:
        return SIM_ALPHA_UCS2;
    default:
        break;
    }
    if ((dc & 0xF0) == 0x10)
        return (enum sim_alphabet)classes[(dc >> 2) & 3];
    if ((dc & 0xF0) == 0xF0)
        return dc & 0x04 ? SIM_ALPHA_BINARY : SIM_ALPHA_GSM;
    return SIM_ALPHA_BINARY;
}

static void put_utf8(struct sim_buf *out, uint32_t c)
{
    uint8_t b[4];
    size_t n;

    if (!c)
        c = NO_CHAR; /* what comes out is used as a C string */
    if (c < 0x80) {
        b[0] = (uint8_t)c;
        n = 1;
    } else if (c < 0x800) {
        b[0] = (uint8_t)(0xC0 | c >> 6);
        b[1] = (uint8_t)(0x80 | (c & 0x3F));
        n = 2;
    } else if (c < 0x10000) {
        b[0] = (uint8_t)(0xE0 | c >> 12);
        b[1] = (uint8_t)(0x80 | (c >> 6 & 0x3F));
        b[2] = (uint8_t)(0x80 | (c & 0x3F));
        n = 3;
    } else {
        b[0] = (uint8_t)(0xF0 | c >> 18);
        b[1] = (uint8_t)(0x80 | (c >> 12 & 0x3F));
        b[2] = (uint8_t)(0x80 | (c >> 6 & 0x3F));
        b[3] = (uint8_t)(0x80 | (c & 0x3F));
        n = 4;
    }
    sim_buf_put(out, b, n);
}

static uint32_t extension_code(uint8_t septet)
{
    for (size_t i = 0; i < N_EXTENSION; i++)
        if (gsm_extension[i].septet == septet)
            return gsm_extension[i].code;
    return NO_CHAR;
}

static void read_gsm(const uint8_t *t, size_t len, struct sim_buf *out)
{
    for (size_t i = 0; i < len; i++) {
        if (t[i] == GSM_ESCAPE && i + 1 < len)
            put_utf8(out, extension_code(t[++i]));
        else if (t[i] == GSM_ESCAPE || t[i] > 127)
            put_utf8(out, NO_CHAR);
        else
            put_utf8(out, gsm_basic[t[i]]);
    }
}

static bool is_high(uint32_t u)
{
    return u >= 0xD800 && u < 0xDC00;
}
static bool is_low(uint32_t u)
{
    return u >= 0xDC00 && u < 0xE000;
}
static uint32_t unit_at(const uint8_t *t, size_t i)
{
    return (uint32_t)(t[i] << 8 | t[i + 1]);
}

static void read_ucs2(const uint8_t *t, size_t len, struct sim_buf *out)
{
    for (size_t i = 0; i + 1 < len; i += 2) {
        uint32_t u = unit_at(t, i);

        if (is_high(u) && i + 3 < len && is_low(unit_at(t, i + 2))) {
            put_utf8(out, 0x10000 + ((u - 0xD800) << 10) + (unit_at(t, i + 2) - 0xDC00));
            i += 2;
        } else {
            put_utf8(out, is_high(u) || is_low(u) ? NO_CHAR : u);
        }
    }
    if (len % 2)
        put_utf8(out, NO_CHAR);
}

void sim_text_read(enum sim_alphabet alphabet, const uint8_t *text, size_t len, struct sim_buf *out)
{
    switch (alphabet) {
    case SIM_ALPHA_GSM:
        read_gsm(text, len, out);
        break;
    case SIM_ALPHA_UCS2:
        read_ucs2(text, len, out);
        break;
    case SIM_ALPHA_BINARY:
        for (size_t i = 0; i < len; i++)
            sim_buf_printf(out, "%02x", text[i]);
        break;
    case SIM_ALPHA_ASCII:
    case SIM_ALPHA_LATIN1:
        for (size_t i = 0; i < len; i++)
            put_utf8(out, alphabet == SIM_ALPHA_ASCII && text[i] > 127 ? NO_CHAR : text[i]);
        break;
    }
}

/* Next code point; 0 or -EILSEQ. Overlong forms and surrogates are refused (RFC 3629, 3). */
static int take_utf8(const char **text, uint32_t *ret_code)
{
    static const uint32_t smallest[4] = {0, 0x80, 0x800, 0x10000};
    const unsigned char *p = (const unsigned char *)*text;
    uint32_t c = p[0];
    int more = c < 0x80 ? 0 : (c & 0xE0) == 0xC0 ? 1 : (c & 0xF0) == 0xE0 ? 2 : 3;

    if (c >= 0xF8 || (c & 0xC0) == 0x80)
        return -EILSEQ;
    if (more)
        c &= 0x3Fu >> more;
    for (int i = 1; i <= more; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return -EILSEQ;
        c = c << 6 | (p[i] & 0x3Fu);
    }
    if (c < smallest[more] || c > 0x10FFFF || is_high(c) || is_low(c))
        return -EILSEQ;
    *text += more + 1;
    *ret_code = c;
    return 0;
}

static int put_gsm(struct sim_buf *out, uint32_t c)
{
    for (uint8_t i = 0; i < 128; i++)
        if (gsm_basic[i] == c && i != GSM_ESCAPE) {
            sim_buf_put(out, &i, 1);
            return 0;
        }
    for (size_t i = 0; i < N_EXTENSION; i++)
        if (gsm_extension[i].code == c) {
            uint8_t b[2] = {GSM_ESCAPE, gsm_extension[i].septet};

            sim_buf_put(out, b, 2);
            return 0;
        }
    return -EILSEQ;
}

static void put_unit(struct sim_buf *out, uint32_t u)
{
    uint8_t b[2] = {(uint8_t)(u >> 8), (uint8_t)u};

    sim_buf_put(out, b, 2);
}

static int put_code(enum sim_coding coding, struct sim_buf *out, uint32_t c)
{
    uint8_t b = (uint8_t)c;

    switch (coding) {
    case SIM_CODING_GSM:
        return put_gsm(out, c);
    case SIM_CODING_LATIN1:
        if (c > 0xFF)
            return -EILSEQ;
        sim_buf_put(out, &b, 1);
        return 0;
    case SIM_CODING_AUTO:
    case SIM_CODING_UCS2:
        break;
    }
    if (c >= 0x10000) {
        put_unit(out, 0xD800 + ((c - 0x10000) >> 10));
        put_unit(out, 0xDC00 + ((c - 0x10000) & 0x3FF));
    } else {
        put_unit(out, c);
    }
    return 0;
}

static int write_as(enum sim_coding coding, const char *utf8, struct sim_buf *out)
{
    uint32_t c;
    int rc = 0;

    sim_buf_clear(out);
    while (*utf8 && !rc) {
        rc = take_utf8(&utf8, &c);
        if (!rc)
            rc = put_code(coding, out, c);
    }
    return rc;
}

int sim_text_write(enum sim_coding coding, const char *utf8, struct sim_buf *out)
{
    static const uint8_t data_coding[] = {0, 0, 8, 3};
    int rc;

    if (coding == SIM_CODING_AUTO) {
        if (!write_as(SIM_CODING_GSM, utf8, out))
            return 0;
        coding = SIM_CODING_UCS2;
    }
    rc = write_as(coding, utf8, out);
    return rc ? rc : data_coding[coding];
}

size_t sim_text_cut(int data_coding, const uint8_t *text, size_t len, size_t max)
{
    size_t n = max;

    if (len <= max)
        return len;
    if (data_coding == 8) {
        n -= n % 2;
        if (n >= 4 && is_high(unit_at(text, n - 2)))
            n -= 2;
    } else if (data_coding == 0) {
        /* An escape at the end belongs to the next part, unless it is itself escaped. */
        size_t escapes = 0;

        while (escapes < n && text[n - 1 - escapes] == GSM_ESCAPE)
            escapes++;
        if (escapes % 2 && n > 1)
            n--;
    }
    return n;
}
