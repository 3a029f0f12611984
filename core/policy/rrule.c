/* SPDX-License-Identifier: Apache-2.0 */
/* rrule.c - which days does a recurrence rule name? One predicate over days, walked period by
 * period. Must not know time zones or events. Source: RFC 5545 3.3.10; weeks as ISO 8601 with a
 * movable first day. */
#include "policy/rrule.h"

#include "policy/civil.h"

/* One day, seen in all the ways a rule may ask about. */
struct day_view {
    int32_t day;
    struct civil date;
    int weekday; /* 0 = Monday */
    int month_len;
    int year_day, year_len; /* year_day from 0 */
};

static struct day_view view_of(int32_t day)
{
    struct day_view v = {.day = day, .date = civil_of_day(day), .weekday = weekday_of_day(day)};
    v.month_len = month_days(v.date.year, v.date.month);
    v.year_day = day - civil_to_day(v.date.year, 1, 1);
    v.year_len = is_leap(v.date.year) ? 366 : 365;
    return v;
}

static bool bit(const uint64_t *bits, int at)
{
    return (bits[at / 64] >> (at % 64) & 1u) != 0;
}

/* A week belongs to the year that holds its fourth day; that day's number gives the week's. */
static bool week_matches(const struct rrule *r, const struct day_view *v)
{
    int32_t fourth = v->day - (v->weekday - r->wkst + 7) % 7 + 3;
    int year = civil_of_day(fourth).year;
    int32_t jan1 = civil_to_day(year, 1, 1), dec31 = civil_to_day(year, 12, 31);
    int week = (fourth - jan1) / 7 + 1, weeks = week + (dec31 - fourth) / 7;
    return bit(&r->weeks, week) || bit(&r->weeks_back, weeks - week + 1);
}

static bool weekday_matches(const struct rrule *r, const struct day_view *v)
{
    bool in_month = r->freq == RRULE_MONTHLY || r->months != 0;
    int at = in_month ? v->date.day - 1 : v->year_day, len = in_month ? v->month_len : v->year_len;
    for (uint32_t i = 0; i < r->n_days; i++) {
        int ord = r->days[i].ord;
        if (r->days[i].weekday != v->weekday)
            continue;
        if (ord == 0 || ord == at / 7 + 1 || -ord == (len - 1 - at) / 7 + 1)
            return true;
    }
    return false;
}

/* What the rule leaves open is taken from DTSTART. */
static bool implied_matches(const struct rrule *r, const struct day_view *v,
                            const struct day_view *first)
{
    if (r->mdays || r->mdays_back || r->has_ydays || r->n_days)
        return true;
    if (r->freq == RRULE_DAILY)
        return true;
    if (r->freq == RRULE_WEEKLY || r->weeks || r->weeks_back)
        return v->weekday == first->weekday;
    if (r->freq == RRULE_YEARLY && !r->months && v->date.month != first->date.month)
        return false;
    return v->date.day == first->date.day;
}

static bool day_matches(const struct rrule *r, int32_t day, const struct day_view *first)
{
    struct day_view v = view_of(day);
    if (r->months && !(r->months >> v.date.month & 1u))
        return false;
    if ((r->mdays || r->mdays_back) && !(r->mdays >> v.date.day & 1u) &&
        !(r->mdays_back >> (v.month_len - v.date.day + 1) & 1u))
        return false;
    if (r->has_ydays && !bit(r->ydays, v.year_day + 1) &&
        !bit(r->ydays_back, v.year_len - v.year_day))
        return false;
    if ((r->weeks || r->weeks_back) && !week_matches(r, &v))
        return false;
    if (r->n_days && !weekday_matches(r, &v))
        return false;
    return implied_matches(r, &v, first);
}

/* ---- periods: a day, a week, a month or a year, counted from the one that holds DTSTART ---- */

/* Number of a period on an absolute scale, so that differences are counts of periods. */
static int64_t period_of(const struct rrule *r, int32_t day)
{
    struct civil c = civil_of_day(day);
    switch (r->freq) {
    case RRULE_WEEKLY:
        return floor_div((int64_t)day - (r->wkst - 3), 7); /* day 0 was a Thursday */
    case RRULE_MONTHLY:
        return (int64_t)c.year * 12 + c.month - 1;
    case RRULE_YEARLY:
        return c.year;
    default:
        return day;
    }
}

static int32_t period_start(const struct rrule *r, int64_t period)
{
    int64_t year = 0;
    switch (r->freq) {
    case RRULE_WEEKLY:
        return (int32_t)(period * 7 + (r->wkst - 3));
    case RRULE_MONTHLY:
        year = floor_div(period, 12);
        return civil_to_day((int)year, (int)(period - year * 12) + 1, 1);
    case RRULE_YEARLY:
        return civil_to_day((int)period, 1, 1);
    default:
        return (int32_t)period;
    }
}

static bool setpos_chosen(const struct rrule *r, uint32_t at, uint32_t n)
{
    for (uint32_t i = 0; i < r->n_setpos; i++)
        if (r->setpos[i] == (int32_t)at + 1 || r->setpos[i] == (int32_t)at - (int32_t)n)
            return true;
    return r->n_setpos == 0;
}

#define PERIOD_DAYS_MAX 366
static uint32_t period_days(const struct rrule_run *run, int64_t period,
                            const struct day_view *first, int32_t days[PERIOD_DAYS_MAX])
{
    int32_t from = period_start(run->rule, period), to = period_start(run->rule, period + 1);
    uint32_t n = 0;
    for (int32_t day = from; day < to; day++)
        if (day_matches(run->rule, day, first))
            days[n++] = day;
    return n;
}

static bool is_past(const struct rrule_run *run, int32_t day)
{
    return day > run->to_day || (int64_t)day * DAY_MS + run->time_ms > run->until_wall_ms;
}

static bool pay(uint64_t *budget, int64_t days)
{
    if (*budget < (uint64_t)days)
        return false;
    *budget -= (uint64_t)days;
    return true;
}

int rrule_expand(const struct rrule_run *run, int (*emit)(void *ctx, int32_t day), void *ctx)
{
    static const uint16_t cost[] = {1, 7, 31, 366};
    const struct rrule *r = run->rule;
    if (r->lunar)
        return rrule_expand_lunar(run, emit, ctx);
    struct day_view first = view_of(run->first_day);
    int32_t days[PERIOD_DAYS_MAX], count = 0;
    int64_t period = period_of(r, run->first_day), wanted = period_of(r, run->from_day);
    if (r->count == 0 &&
        wanted >
            period) /* COUNT must see every occurrence, others may start near the wanted days */
        period += (wanted - period) / r->interval * r->interval;
    for (; !is_past(run, period_start(r, period)); period += r->interval) {
        if (!pay(run->budget, cost[r->freq]))
            return CGW_ELIMIT;
        uint32_t n = period_days(run, period, &first, days);
        for (uint32_t i = 0; i < n; i++) {
            if (days[i] < run->first_day || !setpos_chosen(r, i, n))
                continue;
            if (is_past(run, days[i]) || (r->count != 0 && count++ == r->count))
                return 0;
            int rc = days[i] < run->from_day ? 0 : emit(ctx, days[i]);
            if (rc != 0)
                return rc;
        }
    }
    return 0;
}
