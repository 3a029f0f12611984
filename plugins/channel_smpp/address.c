/* SPDX-License-Identifier: Apache-2.0 */
/* address.c - which TON and NPI an address gets, and what a received one means.
 * Must not validate numbers against numbering plans: the core did that before, or does it behind.
 * Source: SMPP 3.4 5.2.5 to 5.2.9; ITU-T E.164 (15 digits); 3GPP TS 23.040 9.1.2.5 (11 characters
 * of an alphanumeric address). */
#include "address.h"

#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TON_MAX 6
#define NPI_MAX 18
#define SHORT_MIN 3u /* digits of a short code */
#define SHORT_MAX 8u
#define E164_MIN 8u /* digits of a number with country code */
#define E164_MAX 15u

enum {
    TON_UNKNOWN,
    TON_INTERNATIONAL,
    TON_NATIONAL,
    TON_NETWORK,
    TON_SUBSCRIBER,
    TON_ALPHA,
    TON_ABBREVIATED
};

/* What "auto" means per kind of address. */
static const struct {
    uint32_t kind;
    uint8_t ton, npi;
} AUTO[] = {
    {CGW_ADDR_E164, TON_INTERNATIONAL, 1},
    {CGW_ADDR_SHORTCODE, TON_NETWORK, 0},
    {CGW_ADDR_ALPHA, TON_ALPHA, 0},
};

static int fail(struct cgw_diag *diag, const char *where, const char *text)
{
    if (diag) {
        diag->code = CGW_EINVAL;
        (void)snprintf(diag->where, sizeof diag->where, "%s", where);
        (void)snprintf(diag->text, sizeof diag->text, "%s", text);
    }
    return CGW_EINVAL;
}

static bool all_digits(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (s[i] < '0' || s[i] > '9')
            return false;
    return n > 0;
}

int smpp_addr_rule_parse(const char *text, int *ret_ton, int *ret_npi, struct cgw_diag *diag)
{
    if (!strcmp(text, "auto")) {
        *ret_ton = *ret_npi = SMPP_ADDR_AUTO;
        return 0;
    }
    char *end = NULL;
    long ton = text[0] >= '0' && text[0] <= '9' ? strtol(text, &end, 10) : -1;
    long npi =
        ton >= 0 && *end == '/' && end[1] >= '0' && end[1] <= '9' ? strtol(end + 1, &end, 10) : -1;
    if (ton < 0 || npi < 0 || *end || ton > TON_MAX || npi > NPI_MAX)
        return fail(diag, "",
                    "expected auto or TON/NPI such as 5/0, TON at most 6, NPI at most 18");
    *ret_ton = (int)ton;
    *ret_npi = (int)npi;
    return 0;
}

/* Letters, digits and signs that are the same in ASCII and on every phone. */
static bool alpha_ok(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint8_t g[2];
        if ((unsigned char)s[i] < 0x20 || (unsigned char)s[i] > 0x7E ||
            smpp_gsm_put((unsigned char)s[i], g) != 1)
            return false;
    }
    return n > 0 && n <= SMPP_ALPHA_SENDER_MAX;
}

uint32_t smpp_addr_guess(const char *text)
{
    size_t n = strlen(text);
    size_t plus = text[0] == '+' ? 1 : 0;
    if (all_digits(text + plus, n - plus)) {
        if (!plus && n >= SHORT_MIN && n <= SHORT_MAX)
            return CGW_ADDR_SHORTCODE;
        return n - plus >= E164_MIN && n - plus <= E164_MAX ? CGW_ADDR_E164 : 0;
    }
    return alpha_ok(text, n) ? CGW_ADDR_ALPHA : 0;
}

static void set_type(struct smpp_addr *ret, uint32_t kind, int ton, int npi)
{
    for (size_t i = 0; i < sizeof AUTO / sizeof AUTO[0]; i++) {
        if (AUTO[i].kind == kind) {
            ret->ton = AUTO[i].ton;
            ret->npi = AUTO[i].npi;
        }
    }
    if (ton >= 0)
        ret->ton = (uint8_t)ton;
    if (npi >= 0)
        ret->npi = (uint8_t)npi;
}

/* Write the characters of an address; false when they cannot stand in SMPP. */
static bool set_text(struct smpp_addr *ret, const struct cgw_address *a, bool plus)
{
    const char *s = a->text;
    size_t n = a->len;
    if (a->kind == CGW_ADDR_E164) {
        size_t lead = n && s[0] == '+' ? 1 : 0;
        if (!all_digits(s + lead, n - lead) || n - lead < E164_MIN || n - lead > E164_MAX)
            return false;
        s += lead;
        n -= lead;
        if (plus)
            ret->text[0] = '+';
        memcpy(ret->text + (plus ? 1 : 0), s, n);
        ret->text[n + (plus ? 1 : 0)] = 0;
        return true;
    }
    bool ok = a->kind == CGW_ADDR_SHORTCODE ? all_digits(s, n) && n <= SMPP_ADDR_MAX
                                            : a->kind == CGW_ADDR_ALPHA && alpha_ok(s, n);
    if (!ok)
        return false;
    memcpy(ret->text, s, n);
    ret->text[n] = 0;
    return true;
}

int smpp_addr_source(const struct cgw_address *from, const struct smpp_addr_rules *rules,
                     struct smpp_addr *ret, struct cgw_diag *diag)
{
    struct smpp_addr a = {0};
    if (from->kind || from->len) {
        if (!set_text(&a, from, false))
            return fail(diag, "from",
                        "sender must be + and 8 to 15 digits, a short code of digits, or at most "
                        "11 letters, "
                        "digits and signs of the GSM alphabet");
        bool is_short = from->kind == CGW_ADDR_SHORTCODE;
        int ton = is_short && rules->short_ton >= 0 ? rules->short_ton : rules->source_ton;
        int npi = is_short && rules->short_npi >= 0 ? rules->short_npi : rules->source_npi;
        set_type(&a, from->kind, ton, npi);
    }
    *ret = a;
    return 0;
}

int smpp_addr_dest(const struct cgw_address *to, const struct smpp_addr_rules *rules,
                   struct smpp_addr *ret, struct cgw_diag *diag)
{
    struct smpp_addr a = {0};
    if ((to->kind != CGW_ADDR_E164 && to->kind != CGW_ADDR_SHORTCODE) ||
        !set_text(&a, to, rules->dest_plus))
        return fail(diag, "to",
                    "recipient must be + and 8 to 15 digits, or a short code of digits");
    set_type(&a, to->kind, rules->dest_ton, rules->dest_npi);
    *ret = a;
    return 0;
}

/* ---- received ---- */

/* Digits of a dialled number without separators; 0 = other characters in it. */
static size_t digits_only(const char *in, char *out, size_t cap)
{
    size_t n = 0;
    for (; *in; in++) {
        if (*in == ' ' || *in == '-' || *in == '.' || *in == '(' || *in == ')')
            continue;
        if (*in < '0' || *in > '9' || n + 1 >= cap)
            return 0;
        out[n++] = *in;
    }
    out[n] = 0;
    return n;
}

static uint32_t read_alpha(const char *text, char *out, size_t out_size)
{
    size_t n = 0;
    for (; text[n] && n + 1 < out_size; n++)
        out[n] = (unsigned char)text[n] >= 0x20 && (unsigned char)text[n] < 0x7F ? text[n] : '?';
    out[n] = 0;
    return n ? CGW_ADDR_ALPHA : 0;
}

uint32_t smpp_addr_read(const struct smpp_addr *addr, char *out, size_t out_size, bool *ret_plain)
{
    char digits[SMPP_LONG_ADDR_MAX + 1];
    const char *s = addr->text;
    bool plus = s[0] == '+' || addr->ton == TON_INTERNATIONAL;
    *ret_plain = false;
    out[0] = 0;
    if (addr->ton == TON_ALPHA)
        return read_alpha(s, out, out_size);
    size_t n = digits_only(s[0] == '+' ? s + 1 : s, digits, sizeof digits);
    if (!n)
        return read_alpha(s, out, out_size);
    const char *d = digits;
    if (n > 2 && d[0] == '0' && d[1] == '0' &&
        n - 2 >= E164_MIN) { /* international prefix dialled out */
        d += 2;
        n -= 2;
        plus = true;
    }
    bool short_type = addr->ton == TON_NETWORK || addr->ton == TON_ABBREVIATED;
    if (!plus || n < E164_MIN) {
        (void)snprintf(out, out_size, "%s", d);
        if (short_type || n <= SHORT_MAX)
            return CGW_ADDR_SHORTCODE;
        *ret_plain = true;
        return n <= E164_MAX ? CGW_ADDR_E164 : 0;
    }
    (void)snprintf(out, out_size, "+%s", d);
    return n <= E164_MAX ? CGW_ADDR_E164 : 0;
}
