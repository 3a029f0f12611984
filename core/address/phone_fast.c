/* SPDX-License-Identifier: Apache-2.0 */
/* phone_fast.c - see phone_fast.h. Mirrors the order of libphonenumber's Parse() and
 * IsValidNumber() for inputs where no step of it can rewrite the digits; tests/unit/test_address.c
 * compares both on hundreds of thousands of numbers. */
#include "address/phone_fast.h"

#include "address/address.h"
#include "address/phone_dfa.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CODES 1000u
#define PLANS_MAX 32u /* regions that share one country code; +1 has 25 */
#define REGIONS (26u * 26u)
#define LEAD_ID 1000u /* pattern ids: plan * PHONE_DESCS + desc below it, LEAD_ID + plan above */

/* verdict of a state: bits 0..31 plans whose general pattern matches, 32..39 plan + 1 (0 = not
 * valid), 40..47 line */
#define VERDICT_GENERAL(v) ((uint32_t)(v))
#define VERDICT_PLAN(v) ((uint32_t)((v) >> 32) & 0xffu)
#define VERDICT_LINE(v) ((uint8_t)((v) >> 40))

struct code_table { /* one country code */
    const struct phone_plan *const *plans;
    uint32_t n_plans;
    char code[5]; /* in digits */
    size_t code_len;
    struct phone_dfa dfa; /* over the national number */
};
#define PREFIX_INTERNATIONAL 1u
#define PREFIX_NATIONAL 2u
struct region_table { /* one region: what may stand in front of its national numbers */
    const struct phone_plan *plan;
    uint32_t plan_no; /* index in its code's plans */
    struct phone_dfa dfa;
    char strip[4]; /* the national prefix where cutting it is plain, "" elsewhere */
    bool idd_00;   /* "00" stands for "+" */
};

/* Tables live as long as the process. `absent` marks what cannot be made, so that it is tried once.
 */
static struct code_table absent_code;
static struct region_table absent_region;
static _Atomic(struct code_table *) code_tables[CODES];
static _Atomic(struct region_table *) region_tables[REGIONS];
static pthread_mutex_t build_lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- one country code
 * ----------------------------------------------------------------------------------------------------------
 */

static uint8_t line_of(const struct phone_plan *p, uint32_t matched)
{
    if (!(matched & 1u << PHONE_GENERAL))
        return ADDRESS_LINE_NONE;
    for (uint32_t d = PHONE_OTHER_FIRST; d <= PHONE_OTHER_LAST; d++)
        if (matched & 1u << d)
            return ADDRESS_LINE_OTHER;
    if (matched & 1u << PHONE_FIXED)
        return p->fixed_is_mobile || (matched & 1u << PHONE_MOBILE) ? ADDRESS_LINE_FIXED_OR_MOBILE
                                                                    : ADDRESS_LINE_FIXED;
    if (!p->fixed_is_mobile && (matched & 1u << PHONE_MOBILE))
        return ADDRESS_LINE_MOBILE;
    return ADDRESS_LINE_NONE;
}

/* The library's way to a region: a single plan is the region; else the first plan whose leading
 * digits fit, or, for plans without leading digits, whose patterns do. Then the number must be
 * valid in that region. */
static uint64_t code_verdict(const void *ctx, const uint16_t *ids, uint32_t n_ids, uint32_t depth)
{
    const struct code_table *t = ctx;
    uint32_t matched[PLANS_MAX] = {0}, general = 0, lead = 0;
    for (uint32_t i = 0; i < n_ids; i++) {
        if (ids[i] >= LEAD_ID) {
            lead |= 1u << (ids[i] - LEAD_ID);
            continue;
        }
        uint32_t plan = ids[i] / PHONE_DESCS, desc = ids[i] % PHONE_DESCS;
        if (desc == PHONE_GENERAL)
            general |= 1u << plan;
        uint32_t lengths = t->plans[plan]->lengths[desc];
        if (!lengths || (lengths >> depth & 1u))
            matched[plan] |= 1u << desc;
    }
    for (uint32_t p = 0; p < t->n_plans; p++) {
        uint8_t line = line_of(t->plans[p], matched[p]);
        bool leads = t->plans[p]->leading_digits && *t->plans[p]->leading_digits;
        if (t->n_plans > 1 && !(leads ? (lead >> p & 1u) : line))
            continue;
        return general | (line ? (uint64_t)(p + 1) << 32 | (uint64_t)line << 40 : 0);
    }
    return general;
}

static struct code_table *code_build(uint32_t code)
{
    struct phone_dfa_pattern pat[PLANS_MAX * (PHONE_DESCS + 1)];
    uint32_t n = 0;
    struct code_table *t = calloc(1, sizeof *t);
    if (!t)
        return &absent_code;
    t->code_len = (size_t)snprintf(t->code, sizeof t->code, "%u", code % CODES);
    t->n_plans = phone_lib_plans(code, &t->plans);
    for (uint32_t p = 0; p < t->n_plans && t->n_plans <= PLANS_MAX; p++) {
        const struct phone_plan *plan = t->plans[p];
        for (uint32_t d = 0; d < PHONE_DESCS; d++)
            if (plan->pattern[d] && *plan->pattern[d])
                pat[n++] = (struct phone_dfa_pattern){plan->pattern[d],
                                                      (uint16_t)(p * PHONE_DESCS + d), false};
        if (plan->leading_digits && *plan->leading_digits)
            pat[n++] =
                (struct phone_dfa_pattern){plan->leading_digits, (uint16_t)(LEAD_ID + p), true};
    }
    if (n && phone_dfa_init(&t->dfa, pat, n, code_verdict, t) == 0)
        return t;
    free(t);
    return &absent_code;
}

static struct code_table *code_get(uint32_t code)
{
    struct code_table *t = atomic_load_explicit(&code_tables[code], memory_order_acquire);
    if (!t) {
        (void)pthread_mutex_lock(&build_lock);
        t = atomic_load_explicit(&code_tables[code], memory_order_acquire);
        if (!t) {
            t = code_build(code);
            atomic_store_explicit(&code_tables[code], t, memory_order_release);
        }
        (void)pthread_mutex_unlock(&build_lock);
    }
    return t == &absent_code ? NULL : t;
}

/* ---- one region
 * ----------------------------------------------------------------------------------------------------------------
 */

static uint64_t region_verdict(const void *ctx, const uint16_t *ids, uint32_t n_ids, uint32_t depth)
{
    uint64_t v = 0;
    (void)ctx;
    (void)depth;
    for (uint32_t i = 0; i < n_ids; i++)
        v |= ids[i];
    return v;
}

static bool text_set(const char *s)
{
    return s && *s;
}

/* A pattern that is, or starts with the alternative of, plain digits: the library takes the first
 * alternative that fits. */
static bool first_literal(const char *pattern, char *out, size_t out_size)
{
    size_t n = strspn(pattern, "0123456789");
    if (!n || n >= out_size || (pattern[n] && pattern[n] != '|'))
        return false;
    memcpy(out, pattern, n);
    out[n] = 0;
    return true;
}

static struct region_table *region_build(const char *region)
{
    const struct phone_plan *const *plans;
    struct phone_dfa_pattern pat[2];
    uint32_t n = 0, n_plans = phone_lib_plans(phone_lib_country_code(region), &plans);
    struct region_table *t = calloc(1, sizeof *t);
    if (!t)
        return &absent_region;
    for (uint32_t p = 0; p < n_plans; p++)
        if (!strcmp(plans[p]->region, region)) {
            t->plan = plans[p];
            t->plan_no = p;
        }
    if (t->plan && text_set(t->plan->international_prefix)) {
        char idd[8];
        pat[n++] =
            (struct phone_dfa_pattern){t->plan->international_prefix, PREFIX_INTERNATIONAL, true};
        t->idd_00 =
            first_literal(t->plan->international_prefix, idd, sizeof idd) && !strcmp(idd, "00");
    }
    if (t->plan && text_set(t->plan->national_prefix_parse)) {
        pat[n++] =
            (struct phone_dfa_pattern){t->plan->national_prefix_parse, PREFIX_NATIONAL, true};
        if (text_set(t->plan->national_transform) ||
            !first_literal(t->plan->national_prefix_parse, t->strip, sizeof t->strip))
            t->strip[0] = 0;
    }
    if (t->plan && phone_dfa_init(&t->dfa, pat, n, region_verdict, NULL) == 0)
        return t;
    free(t);
    return &absent_region;
}

static struct region_table *region_get(const char *region)
{
    if (region[0] < 'A' || region[0] > 'Z' || region[1] < 'A' || region[1] > 'Z' || region[2])
        return NULL;
    size_t i = (size_t)(region[0] - 'A') * 26u + (size_t)(region[1] - 'A');
    struct region_table *t = atomic_load_explicit(&region_tables[i], memory_order_acquire);
    if (!t) {
        (void)pthread_mutex_lock(&build_lock);
        t = atomic_load_explicit(&region_tables[i], memory_order_acquire);
        if (!t) {
            t = region_build(region);
            atomic_store_explicit(&region_tables[i], t, memory_order_release);
        }
        (void)pthread_mutex_unlock(&build_lock);
    }
    return t == &absent_region ? NULL : t;
}

/* Which prefixes does the text begin with? The patterns are sticky, so the first PHONE_DFA_DEPTH
 * digits tell. */
static uint64_t region_prefixes(const struct region_table *t, const char *digits, size_t len)
{
    return t->dfa
        .verdict[phone_dfa_run(&t->dfa, digits, len > PHONE_DFA_DEPTH ? PHONE_DFA_DEPTH : len)];
}

/* ---- reading
 * -----------------------------------------------------------------------------------------------------------------------
 */

static bool answer(const struct code_table *t, uint64_t verdict, const char *nsn, size_t len,
                   struct phone_number *ret)
{
    uint32_t plan = VERDICT_PLAN(verdict);
    if (!plan)
        return false;
    const char *region = t->plans[plan - 1]->region;
    if (1 + t->code_len + len >= sizeof ret->e164)
        return false;
    ret->e164[0] = '+';
    memcpy(ret->e164 + 1, t->code, t->code_len);
    memcpy(ret->e164 + 1 + t->code_len, nsn, len);
    ret->e164[1 + t->code_len + len] = 0;
    memset(ret->region, 0, sizeof ret->region);
    if (strlen(region) == 2)
        memcpy(ret->region, region, 2);
    ret->line = VERDICT_LINE(verdict);
    return true;
}

/* Country codes are prefix-free: at most one of the three lengths has a plan (ITU-T E.164, 6.2). */
static struct code_table *code_of(const char *digits, size_t len, size_t *ret_code_len)
{
    uint32_t code = 0;
    for (size_t i = 0; i < 3 && i < len; i++) {
        code = code * 10 + (uint32_t)(digits[i] - '0');
        if (!code)
            return NULL;
        struct code_table *t = code_get(code);
        if (t) {
            *ret_code_len = i + 1;
            return t;
        }
    }
    return NULL;
}

static bool parse_international(const char *digits, size_t len, struct phone_number *ret)
{
    size_t code_len;
    struct code_table *t = code_of(digits, len, &code_len);
    if (!t)
        return false;
    const char *nsn = digits + code_len;
    size_t n = len - code_len;
    const char *main_region = t->plans[0]->region;
    if (strlen(main_region) == 2) {
        const struct region_table *r = region_get(main_region);
        if (!r || (region_prefixes(r, nsn, n) & PREFIX_NATIONAL))
            return false; /* the library may cut or rewrite the front */
    } else if (text_set(t->plans[0]->national_prefix_parse)) {
        return false;
    }
    return answer(t, t->dfa.verdict[phone_dfa_run(&t->dfa, nsn, n)], nsn, n, ret);
}

/* National digits that begin with the country code: read as international only if they cannot be a
 * national number. */
static bool parse_with_code(const struct code_table *t, const struct region_table *r,
                            const char *digits, size_t len, size_t code_len,
                            struct phone_number *ret)
{
    const char *rest = digits + code_len;
    size_t n = len - code_len;
    uint64_t whole = t->dfa.verdict[phone_dfa_run(&t->dfa, digits, len)];
    uint64_t part = t->dfa.verdict[phone_dfa_run(&t->dfa, rest, n)];
    uint32_t bit = 1u << r->plan_no;
    if ((VERDICT_GENERAL(whole) & bit) || !(VERDICT_GENERAL(part) & bit))
        return false;
    if (region_prefixes(r, digits, len) || region_prefixes(r, rest, n))
        return false;
    return parse_international(digits, len, ret);
}

static bool parse_national(const char *digits, size_t len, const char *region,
                           struct phone_number *ret)
{
    const struct region_table *r = region_get(region);
    if (!r)
        return false;
    uint64_t prefixes = region_prefixes(r, digits, len);
    if (prefixes & PREFIX_INTERNATIONAL) {
        if (!r->idd_00 || len < 4 || memcmp(digits, "00", 2) != 0 || digits[2] == '0')
            return false;
        return parse_international(digits + 2, len - 2, ret);
    }
    struct code_table *t = code_get(r->plan->country_code);
    if (!t)
        return false;
    if (len > t->code_len && !memcmp(digits, t->code, t->code_len))
        return parse_with_code(t, r, digits, len, t->code_len, ret);
    if (prefixes & PREFIX_NATIONAL) {
        size_t cut = strlen(r->strip);
        if (!cut || len <= cut || memcmp(digits, r->strip, cut) != 0)
            return false;
        digits += cut;
        len -= cut;
    }
    uint64_t v = t->dfa.verdict[phone_dfa_run(&t->dfa, digits, len)];
    uint32_t lengths = r->plan->lengths[PHONE_GENERAL];
    if (!(VERDICT_GENERAL(v) >> r->plan_no & 1u) ||
        (lengths && !(len < 32 && (lengths >> len & 1u))))
        return false; /* not this region's shape: whether the prefix stays is the library's decision
                       */
    return answer(t, v, digits, len, ret);
}

bool phone_fast_parse(const char *digits, size_t len, bool plus, const char *region,
                      struct phone_number *ret)
{
    if (len < 5 || len > 20)
        return false;
    return plus ? parse_international(digits, len, ret) : parse_national(digits, len, region, ret);
}
