/* SPDX-License-Identifier: Apache-2.0 */
/* period.c - which period of a cap is this moment in, and when does the next one begin?
 * Must not count anything: counters live in the store under the numbers made here. Weeks start on
 * Monday (ISO 8601). */
#include "policy/calendar.h"
#include "policy/civil.h"

/* First day of the period around `day` (days since 1970), moved on by `step` periods. */
static int32_t period_first_day(int period, int32_t day, int step)
{
    struct civil c = civil_of_day(day);
    int months = 0;
    switch (period) {
    case CAP_WEEK:
        return day - weekday_of_day(day) + 7 * step;
    case CAP_MONTH:
        months = c.year * 12 + c.month - 1 + step;
        break;
    case CAP_QUARTER:
        months = c.year * 12 + (c.month - 1) / 3 * 3 + 3 * step;
        break;
    case CAP_YEAR:
        months = (c.year + step) * 12;
        break;
    default:
        return day + step; /* CAP_DAY, CAP_SLIDING_DAYS */
    }
    return civil_to_day((int)floor_div(months, 12), months - (int)floor_div(months, 12) * 12 + 1,
                        1);
}

int32_t cap_period_number(const struct cap *cap, int64_t utc_ms, int32_t *ret_day)
{
    int32_t day = 0;
    if (!zone_local_day(cap->zone, utc_ms, &day, NULL))
        return INT32_MIN;
    if (ret_day)
        *ret_day = day;
    if (cap->period == CAP_SLIDING_DAYS)
        return -((int32_t)cap->slot + 1);
    return (period_first_day(cap->period, day + DAY_OF_2000, 0) - DAY_OF_2000) * 8 +
           (int32_t)cap->period;
}

int64_t cap_period_end_ms(const struct cap *cap, int64_t utc_ms)
{
    int32_t day = 0;
    int64_t end_ms = 0;
    if (!zone_local_day(cap->zone, utc_ms, &day, NULL))
        return INT64_MIN;
    int32_t next = period_first_day(cap->period, day + DAY_OF_2000, 1) - DAY_OF_2000;
    return zone_day_start(cap->zone, next, &end_ms) ? end_ms : INT64_MIN;
}
