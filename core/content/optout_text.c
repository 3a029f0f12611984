/* SPDX-License-Identifier: Apache-2.0 */
/* optout_text.c - optout_normalise(): level everything in which two spellings of the same reply
 * differ. Source: Unicode 15 blocks and general categories, as ranges; only what replies to
 * messages really hold. */
#include "content/optout.h"

#include "content/utf8.h"

#include <string.h>

struct range {
    uint32_t from, to;
};

/* Invisible: dropped without a trace. */
static const struct range invisible[] = {
    {0x00ad, 0x00ad}, {0x034f, 0x034f},   {0x061c, 0x061c},   {0x180b, 0x180f},
    {0x200b, 0x200f}, {0x202a, 0x202e},   {0x2060, 0x206f},   {0xfe00, 0xfe0f},
    {0xfeff, 0xfeff}, {0x1f3fb, 0x1f3ff}, {0xe0000, 0xe0fff},
};

/* Punctuation, symbols, emoji, blanks: a blank. */
static const struct range blank[] = {
    {0x0000, 0x002f}, {0x003a, 0x0040}, {0x005b, 0x0060}, {0x007b, 0x00a9},   {0x00ab, 0x00b1},
    {0x00b4, 0x00b4}, {0x00b6, 0x00b8}, {0x00bb, 0x00bf}, {0x00d7, 0x00d7},   {0x00f7, 0x00f7},
    {0x02c2, 0x02df}, {0x037e, 0x037e}, {0x0387, 0x0387}, {0x055a, 0x055f},   {0x05be, 0x05be},
    {0x05c0, 0x05c0}, {0x05c3, 0x05c3}, {0x05f3, 0x05f4}, {0x060c, 0x060d},   {0x061b, 0x061b},
    {0x061d, 0x061f}, {0x066a, 0x066d}, {0x06d4, 0x06d4}, {0x0964, 0x0965},   {0x2000, 0x200a},
    {0x2010, 0x2029}, {0x202f, 0x205f}, {0x20a0, 0x20cf}, {0x20d0, 0x20ff},   {0x2190, 0x245f},
    {0x2500, 0x2bff}, {0x2e00, 0x2e7f}, {0x3000, 0x3004}, {0x3008, 0x3020},   {0x3030, 0x3030},
    {0x303d, 0x303f}, {0x30fb, 0x30fb}, {0x3200, 0x33ff}, {0xe000, 0xf8ff},   {0xfd3e, 0xfd3f},
    {0xfe10, 0xfe6f}, {0xff5f, 0xff65}, {0xffe0, 0xffff}, {0x1f000, 0x1faff},
};

static bool in_ranges(const struct range *r, size_t n, uint32_t c)
{
    size_t lo = 0, hi = n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (c > r[mid].to)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < n && c >= r[lo].from;
}

/* Lower case of the scripts whose replies we match; simple one-to-one mappings only. */
static uint32_t fold(uint32_t c)
{
    if (c >= 0xff01 && c <= 0xff5e) /* full-width ASCII */
        c -= 0xfee0;
    if (c >= 'A' && c <= 'Z')
        return c + 32;
    if ((c >= 0xc0 && c <= 0xde && c != 0xd7) || (c >= 0x391 && c <= 0x3ab && c != 0x3a2) ||
        (c >= 0x410 && c <= 0x42f))
        return c + 32;
    if (c >= 0x400 && c <= 0x40f)
        return c + 80;
    if (c == 0x130) /* Turkish capital I with dot, and the dotless one: both are typed for i */
        return 'i';
    if (c == 0x131)
        return 'i';
    /* Latin Extended-A: pairs, capital first; the parity turns at U+0139 and back at U+014A, and
     * again at U+0179 */
    if ((c >= 0x100 && c <= 0x137) || (c >= 0x14a && c <= 0x177))
        return c | 1;
    if ((c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17e))
        return c & 1 ? c + 1 : c;
    return c;
}

static bool is_wide(uint32_t c)
{
    return (c >= 0x2e80 && c <= 0xa4cf) || (c >= 0xf900 && c <= 0xfaff) ||
           (c >= 0x20000 && c <= 0x3ffff);
}

struct out {
    char *p;
    size_t n, size;
    uint32_t last; /* last character written, 0 none */
    bool space;    /* a blank waits to be written before the next character */
    bool cut;
};

static void emit(struct out *o, uint32_t c)
{
    char enc[5];
    size_t n = 0;
    /* a blank between two characters of a script without blanks says nothing */
    if (o->space && o->last && !(is_wide(o->last) && is_wide(c)))
        enc[n++] = ' ';
    char one[4];
    size_t k = utf8_put(c, one);
    memcpy(enc + n, one, k);
    n += k;
    if (o->cut || n >= o->size - o->n) {
        o->cut = true;
        return;
    }
    memcpy(o->p + o->n, enc, n);
    o->n += n;
    o->last = c;
    o->space = false;
}

size_t optout_normalise(const char *text, size_t len, char *out, size_t out_size, bool *ret_cut)
{
    struct out o = {.p = out, .size = out_size};
    if (len > OPTOUT_LOOK_MAX) {
        len = OPTOUT_LOOK_MAX;
        o.space = true;
    }
    bool more = o.space;
    o.space = false;
    for (size_t i = 0; i < len && !o.cut;) {
        uint32_t c;
        size_t n = utf8_next(text + i, len - i, &c);
        if (!n) {
            o.space = true;
            i++;
            continue;
        }
        i += n;
        if (in_ranges(invisible, ARRAY_LEN(invisible), c))
            continue;
        c = fold(c);
        if (in_ranges(blank, ARRAY_LEN(blank), c) && !(c >= '0' && c <= '9'))
            o.space = true;
        else
            emit(&o, c);
    }
    out[o.n] = 0;
    if (ret_cut)
        *ret_cut = o.cut || more;
    return o.n;
}
