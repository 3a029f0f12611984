/* SPDX-License-Identifier: Apache-2.0 */
/* utf8.c - see utf8.h. */
#include "content/utf8.h"

#include <string.h>

size_t utf8_next(const char *s, size_t len, uint32_t *ret_char)
{
    /* smallest value that needs so many bytes: anything below is an overlong form */
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (!len)
        return 0;
    uint8_t b = (uint8_t)s[0];
    if (b < 0x80) {
        *ret_char = b;
        return 1;
    }
    size_t n = b >= 0xf0 ? 4 : b >= 0xe0 ? 3 : 2;
    if (b < 0xc2 || b > 0xf4 || n > len)
        return 0;
    uint32_t c = b & (0xffu >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        uint8_t t = (uint8_t)s[i];
        if ((t & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (t & 0x3fu);
    }
    if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return 0;
    *ret_char = c;
    return n;
}

size_t utf8_put(uint32_t c, char out[4])
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return 0;
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = n; i-- > 1; c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)(lead[n] | c);
    return n;
}

bool utf8_valid(const char *s, size_t len)
{
    while (len) {
        uint64_t word;
        if (len >= sizeof word) { /* plain ASCII, eight bytes at a time */
            memcpy(&word, s, sizeof word);
            if (!(word & 0x8080808080808080u)) {
                s += sizeof word;
                len -= sizeof word;
                continue;
            }
        }
        if (!(*s & 0x80)) {
            s++;
            len--;
            continue;
        }
        uint32_t c;
        size_t n = utf8_next(s, len, &c);
        if (!n)
            return false;
        s += n;
        len -= n;
    }
    return true;
}

size_t utf8_count(const char *s, size_t len)
{
    size_t count = 0;
    while (len) {
        uint32_t c;
        size_t n = utf8_next(s, len, &c);
        n = n ? n : 1;
        s += n;
        len -= n;
        count++;
    }
    return count;
}
