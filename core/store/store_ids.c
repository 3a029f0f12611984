/* SPDX-License-Identifier: Apache-2.0 */
/* store_ids.c - con_, cus_ and msg_ ids with a check digit. See store_ids.h. */
#include "store/store_ids.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define ID_DIGITS 13u /* 65 bits, the first two are always 0 */

static const char digits[] =
    "0123456789abcdefghjkmnpqrstvwxyz"; /* Crockford's alphabet: no i, l, o, u */

/* Sum of digit * 2^position in GF(32) (x^5 + x^2 + 1): no single change and no swap of two digits
 * keeps it. */
static unsigned check_step(unsigned sum, unsigned digit)
{
    sum <<= 1;
    if (sum & 32u)
        sum ^= 0x25u;
    return sum ^ digit;
}

void store_id_encode(const char *prefix, int64_t id, char *out, size_t out_size)
{
    char text[ID_DIGITS + 2];
    unsigned sum = 0;
    for (unsigned i = 0; i < ID_DIGITS; i++) {
        unsigned d = (unsigned)((uint64_t)id >> (5 * (ID_DIGITS - 1 - i))) & 31u;
        text[i] = digits[d];
        sum = check_step(sum, d);
    }
    text[ID_DIGITS] = digits[check_step(sum, 0)];
    text[ID_DIGITS + 1] = 0;
    (void)snprintf(out, out_size, "%s_%s", prefix, text);
}

static int digit_value(char c)
{
    const char *at = c ? strchr(digits, tolower((unsigned char)c)) : NULL;
    return at ? (int)(at - digits) : -1;
}

int store_id_decode(const char *prefix, const char *text, int64_t *ret, struct diag *diag)
{
    size_t p = strlen(prefix);
    if (strncmp(text, prefix, p) != 0 || text[p] != '_' || strlen(text) != p + 2 + ID_DIGITS)
        return diag_set(diag, CGW_EINVAL, "",
                        "not an id of this kind: expected %s_ and %u characters", prefix,
                        ID_DIGITS + 1);
    uint64_t id = 0;
    unsigned sum = 0;
    for (unsigned i = 0; i < ID_DIGITS; i++) {
        int d = digit_value(text[p + 1 + i]);
        if (d < 0 || (i == 0 && d > 7))
            return diag_set(diag, CGW_EINVAL, "", "character %zu is not used in ids", p + 2 + i);
        id = id << 5 | (unsigned)d;
        sum = check_step(sum, (unsigned)d);
    }
    if (digit_value(text[p + 1 + ID_DIGITS]) != (int)check_step(sum, 0))
        return diag_set(
            diag, CGW_EINVAL, "",
            "the check character of this %s_ id is wrong: a character is mistyped or missing",
            prefix);
    *ret = (int64_t)id;
    return 0;
}
