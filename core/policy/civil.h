/* SPDX-License-Identifier: Apache-2.0 */
/* civil.h - proleptic Gregorian dates as day numbers (days since 1970-01-01), private to this
 * folder. Must not know time zones: a day number is a date on somebody's wall. */
#ifndef POLICY_CIVIL_H
#define POLICY_CIVIL_H

#include <stdbool.h>
#include <stdint.h>

#define DAY_MS INT64_C(86400000)
#define MINUTE_MS INT64_C(60000)
#define DAY_OF_2000 10957 /* 2000-01-01, the origin of cap day numbers */

struct civil {
    int year, month, day; /* 1..12, 1..31 */
};

static inline int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b != 0 && (a % b < 0) != (b < 0));
}

static inline bool is_leap(int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static inline int month_days(int year, int month)
{
    static const uint8_t days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

/* Years are counted from March, so that the leap day is the last day of a year. */
static inline int32_t civil_to_day(int year, int month, int day)
{
    int64_t y = month <= 2 ? (int64_t)year - 1 : year;
    int64_t era = floor_div(y, 400), yoe = y - era * 400;
    int64_t doy = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return (int32_t)(era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468);
}

static inline struct civil civil_of_day(int32_t day)
{
    int64_t z = (int64_t)day + 719468, era = floor_div(z, 146097), doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    int month = (int)(mp < 10 ? mp + 3 : mp - 9);
    return (struct civil){(int)(yoe + era * 400 + (month <= 2)), month,
                          (int)(doy - (153 * mp + 2) / 5 + 1)};
}

/* 0 = Monday … 6 = Sunday; 1970-01-01 was a Thursday. */
static inline int weekday_of_day(int32_t day)
{
    return (int)(((int64_t)day % 7 + 10) % 7);
}

#endif
