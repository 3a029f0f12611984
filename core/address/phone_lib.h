/* SPDX-License-Identifier: Apache-2.0 */
/* phone_lib.h - the C side of libphonenumber (C++): parse and judge one number; and the numbering
 * plans behind it as plain patterns, from which phone_fast.c builds its tables. Nothing else in the
 * gateway knows the library. Any thread. */
#ifndef ADDRESS_PHONE_LIB_H
#define ADDRESS_PHONE_LIB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct phone_number {
    char e164[20];  /* "+" and at most 17 digits */
    char region[3]; /* ISO 3166-1, "" for +800, +881 ... */
    uint8_t line;   /* enum address_line */
};

/* text: ASCII, as people write numbers. default_region: alpha-2, or "" when text starts with "+".
 * \return enum address_fault; ret is filled for ADDRESS_OK only */
int phone_lib_parse(const char *text, size_t len, const char *default_region,
                    struct phone_number *ret);
bool phone_lib_region_known(const char *region);
/* Country calling code of a region, 0 unknown. */
uint32_t phone_lib_country_code(const char *region);
/* A valid number of that region in E.164 (tests and probes). */
bool phone_lib_example(const char *region, struct phone_number *ret);

/* ---- numbering plans: regular expressions over digits, NULL or "" = none. Strings live as long as
 * the process. --------------- */
enum phone_desc {
    PHONE_GENERAL,
    PHONE_OTHER_FIRST,
    PHONE_OTHER_LAST = PHONE_OTHER_FIRST + 7,
    PHONE_FIXED,
    PHONE_MOBILE,
    PHONE_DESCS
};
struct phone_plan {
    const char *region; /* "CN"; "001" for numbers of no country */
    uint32_t country_code;
    const char *pattern[PHONE_DESCS]; /* in the order in which the library asks them */
    uint32_t lengths[PHONE_DESCS];    /* bit n: n digits are possible; 0 = not restricted */
    bool fixed_is_mobile;             /* both kinds share one pattern */
    const char
        *leading_digits; /* numbers of a shared country code that begin so belong to this region */
    const char *national_prefix_parse; /* what is cut from the front before judging */
    const char *national_transform;
    const char *international_prefix; /* what stands for "+" inside the region */
};
/* All plans with this country code, main region first. *ret is NULL when the library does not show
 * its data. */
uint32_t phone_lib_plans(uint32_t country_code, const struct phone_plan *const **ret);

#ifdef __cplusplus
}
#endif
#endif
