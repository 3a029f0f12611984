/* SPDX-License-Identifier: Apache-2.0 */
/* address.h - every door's way from what people write to one normal address, its candidate zones
 * and the customer's keyed id. Must not log (addresses are personal data), must not touch the
 * database. Any thread. Sources: ITU-T E.164; RFC 5321 4.1.2 and 4.5.3.1 (mailboxes and their
 * lengths); tzdata zone1970.tab; libphonenumber's metadata. */
#ifndef ADDRESS_ADDRESS_H
#define ADDRESS_ADDRESS_H

#include "base/cleanup.h"
#include "base/diag.h"
#include "cgw/types.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ADDRESS_TEXT_MAX                                                                           \
    256u /* bytes of a normal address with its NUL (RFC 5321 4.5.3.1.3 allows 254) */
#define ADDRESS_RAW_MAX 512u /* bytes looked at; longer input is refused */

/* What kind of line a number belongs to. Only a flag: the caller decides whether a fixed line may
 * get an SMS. */
enum address_line {
    ADDRESS_LINE_NONE = 0, /* not a telephone number */
    ADDRESS_LINE_MOBILE = 1,
    ADDRESS_LINE_FIXED = 2,
    ADDRESS_LINE_FIXED_OR_MOBILE = 3, /* the country's numbers do not tell */
    ADDRESS_LINE_OTHER = 4            /* toll-free, premium, VoIP, pager ... */
};

struct address {
    uint32_t kind;               /* CGW_ADDR_E164 or CGW_ADDR_EMAIL */
    char text[ADDRESS_TEXT_MAX]; /* "+" and digits, or addr-spec with a lower-case domain */
    uint8_t line;                /* enum address_line */
    char region[3];              /* ISO 3166-1 of the number, "" when it belongs to no country */
};

/* Why an address was refused. */
enum address_fault {
    ADDRESS_OK = 0,
    ADDRESS_EMPTY,
    ADDRESS_LETTERS, /* letters or other characters that no number has */
    ADDRESS_TOO_SHORT,
    ADDRESS_TOO_LONG,
    ADDRESS_NO_COUNTRY,      /* neither + nor 00, and no default region */
    ADDRESS_UNKNOWN_COUNTRY, /* no such country calling code */
    ADDRESS_NOT_VALID,       /* length fits, but no such range in that country */
    ADDRESS_EMAIL_SYNTAX,
    ADDRESS_KIND,  /* kind_hint names a kind that is not normalised here */
    ADDRESS_REGION /* default_region is not an ISO 3166-1 code the library knows */
};
const char *address_fault_code(enum address_fault f); /* stable slug: "number_letters" ...; "ok" */

/* Normalise one address.
 * \param text           as written: spaces, dashes, dots, slashes, parentheses, full-width digits,
 * "+", "00", national form; UTF-8 \param kind_hint      CGW_ADDR_E164, CGW_ADDR_EMAIL, or 0: an "@"
 * makes it e-mail \param default_region ISO 3166-1 alpha-2 for numbers in national form; NULL or ""
 * = national form is refused, because guessing a country would reach a stranger \return 0, or
 * CGW_EINVAL with diag saying what is wrong and what would be right (never the address itself); ret
 * untouched on failure */
int address_normalise(const char *text, size_t len, uint32_t kind_hint, const char *default_region,
                      struct address *ret, struct diag *diag) CGW_NODISCARD;
/* The same with the reason as a value; ret_fault is ADDRESS_OK on success. */
int address_normalise_why(const char *text, size_t len, uint32_t kind_hint,
                          const char *default_region, struct address *ret,
                          enum address_fault *ret_fault, struct diag *diag) CGW_NODISCARD;
/* Is this an ISO 3166-1 alpha-2 code with a numbering plan? */
bool address_region_known(const char *region);
/* "+86138****0042", "j***@example.com"; always terminated. */
void address_mask(const char *text, char *out, size_t out_size);

/* ---- candidate zones
 * ------------------------------------------------------------------------------------------------------
 */
/* Read tzdata's table (zone1970.tab or zone.tab). Call once at start, before any address_zones();
 * without it the first use reads /usr/share/zoneinfo/zone1970.tab. Not to be called while other
 * threads use the zones. */
int address_zones_load(const char *path, struct diag *diag) CGW_NODISCARD;
/* All zones in which the owner of a normal number may live, by the number's country. Strings live
 * as long as the process. \return how many there are; more than max means that the list was cut and
 * must be treated as unknown; 0 = unknown (e-mail, satellite and other numbers without a country,
 * table unreadable) */
uint32_t address_zones(const char *e164, const char *zones[], uint32_t max);
uint32_t address_region_zones(const char *region, const char *zones[],
                              uint32_t max); /* "CN" or "CN-GD": by its country */
bool address_zone_known(const char *zone);   /* an IANA name that tzdata has (also links such as
                                                Asia/Chongqing); any thread */

/* ---- customer ids
 * -----------------------------------------------------------------------------------------------------------
 */
#define ADDRESS_KEY_BYTES 32u
#define ADDRESS_KEY_CHECK_BYTES 16u
#define CUSTOMER_PARTS 64u

/* Keyed hash of a normal address: 1 .. 2^63-1. Call sodium_init() once at start. */
int64_t customer_key(const uint8_t key[ADDRESS_KEY_BYTES], const char *text, size_t len);
static inline uint32_t customer_part(int64_t customer_id)
{
    return (uint32_t)((uint64_t)customer_id % CUSTOMER_PARTS);
}
/* What the database stores of the key so that a node with another key is refused; says nothing
 * about any address. */
void address_key_check(const uint8_t key[ADDRESS_KEY_BYTES],
                       uint8_t ret_check[ADDRESS_KEY_CHECK_BYTES]);

#endif
