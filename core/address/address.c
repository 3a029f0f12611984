/* SPDX-License-Identifier: Apache-2.0 */
/* address.c - see address.h: which kind of address it is, e-mail, and what to tell whoever wrote
 * it. */
#include "address/address.h"

#include "address/address_phone.h"
#include "address/phone_lib.h"
#include "content/utf8.h"

#include <stdio.h>
#include <string.h>

#define LOCAL_MAX 64u   /* RFC 5321 4.5.3.1.1 */
#define DOMAIN_MAX 253u /* RFC 1035 2.3.4, without the final dot */
#define LABEL_MAX 63u
#define EMAIL_MAX 254u

static const struct {
    const char *code, *text;
} faults[] = {
    [ADDRESS_OK] = {"ok", ""},
    [ADDRESS_EMPTY] =
        {"address_empty",
         "The address is empty; write a number as +<country code><number> or an e-mail address."},
    [ADDRESS_LETTERS] =
        {"number_letters",
         "A number holds digits, spaces and - . / ( ) only, with + in front; remove every other "
         "character."},
    [ADDRESS_TOO_SHORT] = {"number_too_short",
                           "The number is too short for its country; digits are missing."},
    [ADDRESS_TOO_LONG] =
        {"number_too_long",
         "The number is too long for its country; write one number without an extension."},
    [ADDRESS_NO_COUNTRY] =
        {"number_no_country",
         "The number has no country code; write +<country code><number>, or state the "
         "default region of the upload."},
    [ADDRESS_UNKNOWN_COUNTRY] =
        {"number_unknown_country",
         "No country has this calling code; write +<country code><number>."},
    [ADDRESS_NOT_VALID] =
        {"number_not_valid",
         "The country has no such number range; check the digits and the country code."},
    [ADDRESS_EMAIL_SYNTAX] =
        {"email_syntax",
         "This is not an e-mail address; write name@example.com, nothing around it."},
    [ADDRESS_KIND] = {"address_kind",
                      "Only telephone numbers and e-mail addresses are taken here."},
    [ADDRESS_REGION] = {"default_region",
                        "The default region is unknown; use an ISO 3166-1 code such as CN."},
};

const char *address_fault_code(enum address_fault f)
{
    return (size_t)f < ARRAY_LEN(faults) ? faults[f].code : "?";
}

bool address_region_known(const char *region)
{
    return strlen(region) == 2 && phone_lib_region_known(region);
}

/* ---- e-mail: RFC 5321 4.1.2 mailbox with a dot-string local part; quoted local parts and address
 * literals are refused, since mail to people does not use them and half of all servers do not take
 * them. UTF-8 local parts: RFC 6531. -------------------------------- */

static bool is_alnum(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool local_ok(const char *s, size_t len)
{
    if (!len || len > LOCAL_MAX || s[0] == '.' || s[len - 1] == '.')
        return false;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = (uint8_t)s[i];
        if (c == '.' && s[i - 1] == '.')
            return false;
        if (c < 0x80 && !is_alnum(c) && !(c && strchr("!#$%&'*+-/=?^_`{|}~.", c)))
            return false;
    }
    return true;
}

static bool label_ok(const char *s, size_t len)
{
    if (!len || len > LABEL_MAX || s[0] == '-' || s[len - 1] == '-')
        return false;
    for (size_t i = 0; i < len; i++)
        if ((uint8_t)s[i] < 0x80 && !is_alnum((uint8_t)s[i]) && s[i] != '-')
            return false;
    return true;
}

static bool domain_ok(const char *s, size_t len)
{
    uint32_t labels = 0;
    bool digits_only = false;
    if (len > DOMAIN_MAX)
        return false;
    for (const char *end = s + len; s <= end; labels++) {
        const char *dot = memchr(s, '.', (size_t)(end - s));
        size_t n = (size_t)((dot ? dot : end) - s);
        if (!label_ok(s, n))
            return false;
        digits_only = true; /* of the last one */
        for (size_t i = 0; i < n; i++)
            digits_only = digits_only && s[i] >= '0' && s[i] <= '9';
        s += n + 1;
    }
    return labels >= 2 && !digits_only; /* a numeric last label would be an IP address */
}

/* Control characters, and separators that only look like text, have no place in an address. */
static bool text_ok(const char *s, size_t len)
{
    while (len) {
        uint32_t c;
        size_t n = utf8_next(s, len, &c);
        if (!n || c <= 0x20 || (c >= 0x7f && c <= 0xa0) || (c >= 0x2000 && c <= 0x206f) ||
            c == 0x3000 || c == 0xfeff || c >= 0xfff0)
            return false;
        s += n;
        len -= n;
    }
    return true;
}

enum address_fault address_email(const char *text, size_t len, struct address *ret)
{
    const char *at = NULL;
    for (size_t i = len; i-- > 0 && !at;)
        at = text[i] == '@' ? text + i : NULL;
    if (!at || len > EMAIL_MAX || !text_ok(text, len))
        return ADDRESS_EMAIL_SYNTAX;
    size_t local = (size_t)(at - text), domain = len - local - 1;
    if (!local_ok(text, local) || !domain_ok(at + 1, domain))
        return ADDRESS_EMAIL_SYNTAX;
    ret->kind = CGW_ADDR_EMAIL;
    memcpy(ret->text, text, len);
    ret->text[len] = 0;
    for (char *p = ret->text + local + 1; *p; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p - 'A' + 'a');
    return ADDRESS_OK;
}

/* ---- both
 * ----------------------------------------------------------------------------------------------------------------------------
 */

static enum address_fault normalise(const char *text, size_t len, uint32_t kind, const char *region,
                                    struct address *ret)
{
    while (len && ((uint8_t)text[0] <= ' ')) {
        text++;
        len--;
    }
    while (len && ((uint8_t)text[len - 1] <= ' '))
        len--;
    if (!len)
        return ADDRESS_EMPTY;
    if (!kind)
        kind = len <= ADDRESS_RAW_MAX && memchr(text, '@', len) ? CGW_ADDR_EMAIL : CGW_ADDR_E164;
    if (kind != CGW_ADDR_EMAIL && kind != CGW_ADDR_E164)
        return ADDRESS_KIND;
    if (len > ADDRESS_RAW_MAX)
        return kind == CGW_ADDR_EMAIL ? ADDRESS_EMAIL_SYNTAX : ADDRESS_TOO_LONG;
    return kind == CGW_ADDR_EMAIL ? address_email(text, len, ret)
                                  : address_phone(text, len, region, ret);
}

int address_normalise_why(const char *text, size_t len, uint32_t kind_hint,
                          const char *default_region, struct address *ret,
                          enum address_fault *ret_fault, struct diag *diag)
{
    struct address a = {0};
    *ret_fault = normalise(text, len, kind_hint, default_region, &a);
    if (*ret_fault != ADDRESS_OK)
        return diag_set(diag, CGW_EINVAL, faults[*ret_fault].code, "%s", faults[*ret_fault].text);
    *ret = a;
    return 0;
}

int address_normalise(const char *text, size_t len, uint32_t kind_hint, const char *default_region,
                      struct address *ret, struct diag *diag)
{
    enum address_fault fault;
    return address_normalise_why(text, len, kind_hint, default_region, ret, &fault, diag);
}

void address_mask(const char *text, char *out, size_t out_size)
{
    const char *at = strchr(text, '@');
    size_t len = strlen(text);
    if (!out_size)
        return;
    if (at) {
        uint32_t c;
        size_t first = utf8_next(text, (size_t)(at - text), &c);
        (void)snprintf(out, out_size, "%.*s***%s", (int)first, text, at);
    } else if (len >= 8) { /* "+", country, operator ... last four */
        int head = len >= 12 ? 6 : 3;
        (void)snprintf(out, out_size, "%.*s****%s", head, text, text + len - 4);
    } else {
        (void)snprintf(out, out_size, "****");
    }
}
