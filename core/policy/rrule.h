/* SPDX-License-Identifier: Apache-2.0 */
/* rrule.h - recurrence rules of RFC 5545 3.3.10 at the level of days, private to this folder.
 * Not libical's iterator: a rule that never matches (30 February) keeps that one busy for a second
 * and some rules for ever, which a person who uploads a calendar must not be able to cause. Here
 * every rule costs at most one look at each day. It also starts WEEKLY rules with an INTERVAL in a
 * wrong week. The tests compare both where they should agree. Below a day (HOURLY, BYHOUR …) rules
 * are refused. */
#ifndef POLICY_RRULE_H
#define POLICY_RRULE_H

#include "base/diag.h"

#include <stdbool.h>
#include <stdint.h>

enum rrule_freq { RRULE_DAILY, RRULE_WEEKLY, RRULE_MONTHLY, RRULE_YEARLY };
#define RRULE_DAYS_MAX 64u   /* entries of BYDAY    */
#define RRULE_SETPOS_MAX 32u /* entries of BYSETPOS */
#define RRULE_TEXT_MAX 1024u /* bytes of one rule   */

struct rrule {
    uint8_t freq, wkst;      /* wkst: 0 = Monday */
    bool lunar;              /* RSCALE=CHINESE (RFC 7529) */
    int32_t interval, count; /* count 0: no COUNT */
    const char *until;       /* borrowed text of UNTIL, NULL none */
    size_t until_len;
    uint32_t months;                  /* bit 1..12; 0 = not given (also below) */
    uint32_t mdays, mdays_back;       /* bit 1..31: from the start, from the end */
    uint64_t weeks, weeks_back;       /* bit 1..53 */
    uint64_t ydays[6], ydays_back[6]; /* bit 1..366 */
    bool has_ydays;
    struct {
        int8_t ord;
        uint8_t weekday;
    } days[RRULE_DAYS_MAX];
    uint32_t n_days;
    int16_t setpos[RRULE_SETPOS_MAX];
    uint32_t n_setpos;
};

int rrule_parse(const char *text, const char *where, struct rrule *ret,
                struct diag *diag) CGW_NODISCARD;

/* One expansion. Days are days since 1970-01-01 on the wall of the event. */
struct rrule_run {
    const struct rrule *rule;
    int32_t first_day;        /* of DTSTART */
    int32_t time_ms;          /* time of day of DTSTART */
    int64_t until_wall_ms;    /* last moment, inclusive; INT64_MAX none */
    int32_t from_day, to_day; /* wanted, inclusive */
    uint64_t *budget;         /* days that may still be looked at */
};
/* Calls emit for each matching day in order; DTSTART itself only when it matches. Stops when emit
 * returns not 0 and returns that; CGW_ELIMIT when the budget is used up. */
int rrule_expand(const struct rrule_run *run, int (*emit)(void *ctx, int32_t day),
                 void *ctx) CGW_NODISCARD;

/* rrule_lunar.c: rules with RSCALE=CHINESE, at most a few steps of libical (which asks ICU). */
int rrule_expand_lunar(const struct rrule_run *run, int (*emit)(void *ctx, int32_t day),
                       void *ctx) CGW_NODISCARD;
bool rrule_lunar_supported(void);

#endif
