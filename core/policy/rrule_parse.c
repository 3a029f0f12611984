/* SPDX-License-Identifier: Apache-2.0 */
/* rrule_parse.c - text of an RRULE → struct rrule, with a sentence for everything it refuses.
 * Must not expand anything. Source: RFC 5545 3.3.10 (grammar and the table of BYxxx against FREQ),
 * RFC 7529 (RSCALE). */
#include "policy/rrule.h"

#include <string.h>
#include <strings.h>

struct part_ctx {
    struct rrule *r;
    const char *value; /* NUL-terminated */
    const char *where;
    struct diag *diag;
};

/* A signed number of at most 9 digits that ends at `stops`; NULL when it is none. */
static const char *read_int(const char *s, long min, long max, long *ret)
{
    bool minus = *s == '-';
    long v = 0;
    int digits = 0;
    if (*s == '-' || *s == '+')
        s++;
    for (; *s >= '0' && *s <= '9' && digits < 10; digits++)
        v = v * 10 + (*s++ - '0');
    v = minus ? -v : v;
    if (digits == 0 || digits > 9 || v < min || v > max)
        return NULL;
    *ret = v;
    return s;
}

/* ---- one function per kind of value; each returns false when the value is wrong ---- */

static bool word_index(const char *s, size_t len, const char *const *words, uint8_t n, uint8_t *ret)
{
    for (uint8_t i = 0; i < n; i++)
        if (strlen(words[i]) == len && strncasecmp(s, words[i], len) == 0) {
            *ret = i;
            return true;
        }
    return false;
}

static const char *const weekday_words[] = {"MO", "TU", "WE", "TH", "FR", "SA", "SU"};

static bool part_freq(struct part_ctx *c)
{
    static const char *const words[] = {"DAILY", "WEEKLY", "MONTHLY", "YEARLY"};
    return word_index(c->value, strlen(c->value), words, ARRAY_LEN(words), &c->r->freq);
}

static bool part_interval(struct part_ctx *c)
{
    long v = 0;
    const char *end = read_int(c->value, 1, 10000, &v);
    c->r->interval = (int32_t)v;
    return end && *end == '\0';
}

static bool part_count(struct part_ctx *c)
{
    long v = 0;
    const char *end = read_int(c->value, 1, 1000000, &v);
    c->r->count = (int32_t)v;
    return end && *end == '\0';
}

static bool part_until(struct part_ctx *c)
{
    c->r->until = c->value;
    c->r->until_len = strlen(c->value);
    return c->r->until_len >= 8;
}

static bool part_wkst(struct part_ctx *c)
{
    return word_index(c->value, strlen(c->value), weekday_words, 7, &c->r->wkst);
}

static bool part_rscale(struct part_ctx *c)
{
    c->r->lunar = strcasecmp(c->value, "CHINESE") == 0;
    return c->r->lunar || strcasecmp(c->value, "GREGORIAN") == 0;
}

static bool part_skip(struct part_ctx *c)
{
    return strcasecmp(c->value, "OMIT") == 0;
}

/* Comma list of numbers into two bit sets: from the start and from the end. */
static bool number_bits(const char *s, long max, bool negative, uint64_t *bits, uint64_t *back)
{
    for (;;) {
        long v = 0;
        s = read_int(s, negative ? -max : 1, max, &v);
        if (!s || v == 0)
            return false;
        uint64_t *set = v > 0 ? bits : back;
        unsigned long at = (unsigned long)(v > 0 ? v : -v);
        set[at / 64] |= UINT64_C(1) << (at % 64);
        if (*s == '\0')
            return true;
        if (*s++ != ',')
            return false;
    }
}

static bool part_bymonth(struct part_ctx *c)
{
    uint64_t bits = 0, back = 0;
    bool ok = number_bits(c->value, 12, false, &bits, &back);
    c->r->months = (uint32_t)bits;
    return ok;
}

static bool part_bymonthday(struct part_ctx *c)
{
    uint64_t bits = 0, back = 0;
    bool ok = number_bits(c->value, 31, true, &bits, &back);
    c->r->mdays = (uint32_t)bits;
    c->r->mdays_back = (uint32_t)back;
    return ok;
}

static bool part_byweekno(struct part_ctx *c)
{
    return number_bits(c->value, 53, true, &c->r->weeks, &c->r->weeks_back);
}

static bool part_byyearday(struct part_ctx *c)
{
    c->r->has_ydays = true;
    return number_bits(c->value, 366, true, c->r->ydays, c->r->ydays_back);
}

static bool part_bysetpos(struct part_ctx *c)
{
    const char *s = c->value;
    for (;;) {
        long v = 0;
        s = read_int(s, -366, 366, &v);
        if (!s || v == 0 || c->r->n_setpos == RRULE_SETPOS_MAX)
            return false;
        c->r->setpos[c->r->n_setpos++] = (int16_t)v;
        if (*s == '\0')
            return true;
        if (*s++ != ',')
            return false;
    }
}

static bool part_byday(struct part_ctx *c)
{
    struct rrule *r = c->r;
    const char *s = c->value;
    for (;;) {
        long ord = 0;
        uint8_t weekday = 0;
        bool signed_or_digit = *s == '-' || *s == '+' || (*s >= '0' && *s <= '9');
        if (signed_or_digit && (!(s = read_int(s, -53, 53, &ord)) || ord == 0))
            return false;
        if (r->n_days == RRULE_DAYS_MAX || strnlen(s, 2) < 2 ||
            !word_index(s, 2, weekday_words, 7, &weekday))
            return false;
        r->days[r->n_days].ord = (int8_t)ord;
        r->days[r->n_days++].weekday = weekday;
        s += 2;
        if (*s == '\0')
            return true;
        if (*s++ != ',')
            return false;
    }
}

static bool part_below_day(struct part_ctx *c)
{
    (void)c;
    return false;
}

static const struct rrule_part {
    const char *name;
    bool (*read)(struct part_ctx *c);
    const char *right; /* what would be right */
} parts[] = {
    {"FREQ", part_freq, "DAILY, WEEKLY, MONTHLY or YEARLY"},
    {"INTERVAL", part_interval, "a number from 1 to 10000"},
    {"COUNT", part_count, "a number from 1 to 1000000"},
    {"UNTIL", part_until, "a date like 20261231"},
    {"WKST", part_wkst, "one of MO TU WE TH FR SA SU"},
    {"BYDAY", part_byday, "weekdays like MO,TU or 1MO,-1FR"},
    {"BYMONTHDAY", part_bymonthday, "days from 1 to 31 or -31 to -1"},
    {"BYYEARDAY", part_byyearday, "days from 1 to 366 or -366 to -1"},
    {"BYWEEKNO", part_byweekno, "weeks from 1 to 53 or -53 to -1"},
    {"BYMONTH", part_bymonth, "months from 1 to 12"},
    {"BYSETPOS", part_bysetpos, "at most 32 positions from 1 to 366 or -366 to -1"},
    {"RSCALE", part_rscale, "GREGORIAN or CHINESE"},
    {"SKIP", part_skip, "OMIT"},
    {"BYHOUR", part_below_day, "nothing: the time of DTSTART counts"},
    {"BYMINUTE", part_below_day, "nothing: the time of DTSTART counts"},
    {"BYSECOND", part_below_day, "nothing: the time of DTSTART counts"},
};

static int read_part(struct part_ctx *c, char *text, uint32_t *seen)
{
    char *eq = strchr(text, '=');
    if (!eq)
        return diag_set(c->diag, CGW_EINVAL, c->where,
                        "RRULE part \"%.40s\" has no value; right is NAME=VALUE", text);
    *eq = '\0';
    for (uint32_t i = 0; i < ARRAY_LEN(parts); i++) {
        if (strcasecmp(parts[i].name, text) != 0)
            continue;
        if (*seen >> i & 1u)
            return diag_set(c->diag, CGW_EINVAL, c->where, "RRULE has %s twice", parts[i].name);
        *seen |= 1u << i;
        c->value = eq + 1;
        if (parts[i].read(c))
            return 0;
        return diag_set(c->diag, CGW_EINVAL, c->where, "RRULE part %s=%.40s is wrong; right is %s",
                        parts[i].name, eq + 1, parts[i].right);
    }
    return diag_set(c->diag, CGW_EINVAL, c->where, "RRULE part %.40s is unknown", text);
}

/* ---- parts against each other ---- */

static bool has_ordinal(const struct rrule *r)
{
    for (uint32_t i = 0; i < r->n_days; i++)
        if (r->days[i].ord != 0)
            return true;
    return false;
}

static const char *conflict(const struct rrule *r)
{
    bool weeks = r->weeks || r->weeks_back, mdays = r->mdays || r->mdays_back;
    bool any_by = r->months || mdays || weeks || r->has_ydays || r->n_days;
    if (r->count && r->until)
        return "COUNT and UNTIL exclude each other";
    if (weeks && r->freq != RRULE_YEARLY)
        return "BYWEEKNO goes with FREQ=YEARLY only";
    if (r->has_ydays && r->freq != RRULE_YEARLY)
        return "BYYEARDAY goes with FREQ=YEARLY only";
    if (mdays && r->freq == RRULE_WEEKLY)
        return "BYMONTHDAY does not go with FREQ=WEEKLY";
    if (has_ordinal(r) && (r->freq == RRULE_DAILY || r->freq == RRULE_WEEKLY || weeks))
        return "numbered weekdays go with FREQ=MONTHLY, or YEARLY without BYWEEKNO";
    if (r->n_setpos && !any_by)
        return "BYSETPOS needs another BY part";
    if (!r->lunar)
        return NULL;
    if (r->freq != RRULE_YEARLY || r->interval != 1 || r->count ||
        __builtin_popcount(r->months) != 1 || __builtin_popcount(r->mdays) != 1 || r->mdays_back ||
        weeks || r->has_ydays || r->n_days || r->n_setpos || (r->mdays & ~0x7ffffffeu))
        return "RSCALE=CHINESE goes with FREQ=YEARLY, one BYMONTH and one BYMONTHDAY (1 to 30), "
               "and UNTIL";
    return rrule_lunar_supported() ? NULL : "RSCALE=CHINESE needs a libical built with ICU";
}

int rrule_parse(const char *text, const char *where, struct rrule *ret, struct diag *diag)
{
    /* `until` must outlive this call, so values are read from a copy and found again in the text.
     */
    static _Thread_local char copy[RRULE_TEXT_MAX];
    size_t len = strlen(text);
    uint32_t seen = 0;
    *ret = (struct rrule){.freq = UINT8_MAX, .interval = 1};
    if (len >= sizeof copy)
        return diag_set(diag, CGW_ELIMIT, where, "RRULE is longer than %u bytes",
                        RRULE_TEXT_MAX - 1);
    memcpy(copy, text, len + 1);
    struct part_ctx ctx = {.r = ret, .where = where, .diag = diag};
    for (char *part = copy; part;) {
        char *next = strchr(part, ';');
        if (next)
            *next++ = '\0';
        int rc = read_part(&ctx, part, &seen);
        if (rc != 0)
            return rc;
        part = next;
    }
    if (ret->freq == UINT8_MAX)
        return diag_set(diag, CGW_EINVAL, where,
                        "RRULE has no FREQ; right is FREQ=YEARLY and the like");
    if (ret->until)
        ret->until = text + (ret->until - copy);
    const char *wrong = conflict(ret);
    return wrong ? diag_set(diag, CGW_EINVAL, where, "RRULE: %s", wrong) : 0;
}
