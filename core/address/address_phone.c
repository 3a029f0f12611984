/* SPDX-License-Identifier: Apache-2.0 */
/* address_phone.c - from a number as people write it to E.164: characters first, then the fast
 * tables, then libphonenumber. Source: ITU-T E.164 (at most 15 digits), E.123 (written forms). */
#include "address/address_phone.h"

#include "address/phone_fast.h"
#include "address/phone_lib.h"
#include "content/utf8.h"

#include <string.h>

#define WRITTEN_DIGITS_MAX 24u /* E.164 digits, an international prefix and a carrier code */

enum glyph { GLYPH_DIGIT, GLYPH_PLUS, GLYPH_BLANK, GLYPH_BAD };

/* Full-width forms and the Arabic-Indic digits that phones of their countries type. */
static const uint32_t digit_zero[] = {'0', 0xff10, 0x0660, 0x06f0};

/* Separators: E.123 spaces and what address books use; marks of writing direction come with copied
 * text. */
static const uint32_t blanks[] = {
    ' ',    '\t',   '-',    '.',    '/',    '(',    ')',    0xa0,   0xad,   0x200b, 0x200c,
    0x200d, 0x200e, 0x200f, 0x2010, 0x2011, 0x2012, 0x2013, 0x2014, 0x2015, 0x2060, 0x202a,
    0x202c, 0x202d, 0x202f, 0x2212, 0x3000, 0xfeff, 0xff08, 0xff09, 0xff0d, 0xff0e, 0xff0f,
};

static enum glyph glyph_of(uint32_t c, char *ret_digit)
{
    for (size_t i = 0; i < ARRAY_LEN(digit_zero); i++)
        if (c >= digit_zero[i] && c < digit_zero[i] + 10) {
            *ret_digit = (char)('0' + (c - digit_zero[i]));
            return GLYPH_DIGIT;
        }
    if (c == '+' || c == 0xff0b)
        return GLYPH_PLUS;
    for (size_t i = 0; i < ARRAY_LEN(blanks); i++)
        if (c == blanks[i])
            return GLYPH_BLANK;
    return GLYPH_BAD;
}

struct written {
    char text[WRITTEN_DIGITS_MAX + 2]; /* "+" if any, digits, NUL */
    size_t len;
    bool plus;
};

/* "+44 (0)20 ...": the national prefix in parentheses is a reading aid and no part of the
 * international number (E.123, 2.6). */
static bool is_trunk_aid(const char *text, size_t len)
{
    return len >= 3 && !memcmp(text, "(0)", 3);
}

static enum address_fault read_written(const char *text, size_t len, struct written *w)
{
    *w = (struct written){.len = 0};
    while (len) {
        uint32_t c;
        char digit = 0;
        if (*text >= '0' && *text <= '9' && w->len < WRITTEN_DIGITS_MAX) { /* nearly all of it */
            w->text[w->len++] = *text++;
            len--;
            continue;
        }
        size_t n = utf8_next(text, len, &c);
        if (!n)
            return ADDRESS_LETTERS;
        if (w->plus && w->len > 1 && is_trunk_aid(text, len))
            n = 3;
        else {
            enum glyph g = glyph_of(c, &digit);
            if (g == GLYPH_BAD || (g == GLYPH_PLUS && w->len))
                return ADDRESS_LETTERS;
            if (g == GLYPH_PLUS) {
                w->plus = true;
                digit = '+';
            }
            if (digit && w->len == WRITTEN_DIGITS_MAX)
                return ADDRESS_TOO_LONG;
            if (digit)
                w->text[w->len++] = digit;
        }
        text += n;
        len -= n;
    }
    return w->len > (size_t)w->plus ? ADDRESS_OK : ADDRESS_EMPTY;
}

static int parse_any(const char *text, size_t len, const char *region, struct phone_number *ret)
{
    bool plus = text[0] == '+';
    if (phone_fast_parse(text + plus, len - plus, plus, region, ret))
        return ADDRESS_OK;
    return phone_lib_parse(text, len, plus ? "" : region, ret);
}

/* "00" stands for "+" where no region says otherwise (ITU-T E.164 recommends it), and as a second
 * try where the region dials abroad with something else. */
static int parse_double_zero(const struct written *w, struct phone_number *ret)
{
    char text[sizeof w->text];
    size_t zeros = 2;
    text[0] = '+';
    memcpy(text + 1, w->text + zeros, w->len - zeros);
    return parse_any(text, w->len - zeros + 1, "", ret);
}

static int parse_written(const struct written *w, const char *region, struct phone_number *ret)
{
    bool abroad = !w->plus && w->len > 4 && !memcmp(w->text, "00", 2);
    if (w->plus)
        return parse_any(w->text, w->len, "", ret);
    if (!*region)
        return abroad ? parse_double_zero(w, ret) : ADDRESS_NO_COUNTRY;
    if (!phone_lib_region_known(region))
        return ADDRESS_REGION;
    int fault = parse_any(w->text, w->len, region, ret);
    if (fault == ADDRESS_OK || !abroad)
        return fault;
    int second = parse_double_zero(w, ret);
    return second == ADDRESS_OK ? second : fault;
}

enum address_fault address_phone(const char *text, size_t len, const char *default_region,
                                 struct address *ret)
{
    struct written w;
    struct phone_number n;
    enum address_fault fault = read_written(text, len, &w);
    if (fault == ADDRESS_OK) {
        fault = (enum address_fault)parse_written(&w, default_region ? default_region : "", &n);
        if (fault == ADDRESS_LETTERS) /* only digits are left: "not a number" is the library's word
                                         for one or two of them */
            fault = ADDRESS_TOO_SHORT;
    }
    if (fault != ADDRESS_OK)
        return fault;
    if (strlen(n.e164) >
        16) /* E.164 6.1: fifteen digits; the library allows its own data a little more */
        return ADDRESS_TOO_LONG;
    ret->kind = CGW_ADDR_E164;
    memcpy(ret->text, n.e164, sizeof n.e164);
    ret->line = n.line;
    memcpy(ret->region, n.region, sizeof ret->region);
    return ADDRESS_OK;
}
