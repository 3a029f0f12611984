/* SPDX-License-Identifier: Apache-2.0 */
/* ics_value.c - dates, times and durations of RFC 5545 (3.3.4, 3.3.5, 3.3.6).
 * Must not look at parameters: zones and value types are the caller's business. */
#include "policy/ics.h"

#include "policy/civil.h"
#include <string.h>

/* Exactly n digits. */
static bool digits(const char *s, size_t n, int *ret)
{
    int v = 0;
    for (size_t i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9')
            return false;
        v = v * 10 + (s[i] - '0');
    }
    *ret = v;
    return true;
}

static bool read_date(const char *s, int32_t *ret_day)
{
    int year = 0, month = 0, day = 0;
    if (!digits(s, 4, &year) || !digits(s + 4, 2, &month) || !digits(s + 6, 2, &day))
        return false;
    if (year < ICS_YEAR_MIN || year > ICS_YEAR_MAX || month < 1 || month > 12)
        return false;
    if (day < 1 || day > month_days(year, month))
        return false;
    *ret_day = civil_to_day(year, month, day);
    return true;
}

static bool read_clock(const char *s, int64_t *ret_ms)
{
    int hour = 0, minute = 0, second = 0;
    if (!digits(s, 2, &hour) || !digits(s + 2, 2, &minute) || !digits(s + 4, 2, &second))
        return false;
    if (hour > 23 || minute > 59 || second > 60) /* 60: a leap second, read as 59 */
        return false;
    *ret_ms = (hour * 60 + minute) * MINUTE_MS + (second > 59 ? 59 : second) * INT64_C(1000);
    return true;
}

bool ics_read_time(const char *value, struct ics_time *ret)
{
    size_t len = strnlen(value, 17);
    int32_t day = 0;
    int64_t clock_ms = 0;
    bool utc = len == 16 && value[15] == 'Z';
    if (len != 8 && len != 15 && !utc)
        return false;
    if (!read_date(value, &day))
        return false;
    if (len > 8 && (value[8] != 'T' || !read_clock(value + 9, &clock_ms)))
        return false;
    *ret = (struct ics_time){.wall_ms = day * DAY_MS + clock_ms,
                             .clock = len == 8 ? ICS_DATE
                                      : utc    ? ICS_UTC
                                               : ICS_FLOATING};
    return true;
}

/* [+]P(nW | [nD][T[nH][nM][nS]]); every unit at most once, in this order. */
bool ics_read_duration(const char *value, int64_t *ret_ms)
{
    static const struct {
        char unit;
        bool clock;
        int64_t ms;
    } units[] = {
        {'W', false, 7 * DAY_MS}, {'D', false, DAY_MS}, {'H', true, 60 * MINUTE_MS},
        {'M', true, MINUTE_MS},   {'S', true, 1000},
    };
    const char *s = value + (*value == '+');
    bool clock = false, any = false;
    int64_t sum = 0;
    size_t next = 0;
    if (*s++ != 'P')
        return false;
    while (*s != '\0') {
        int64_t v = 0;
        int n = 0;
        if (*s == 'T' && !clock) {
            clock = true;
            s++;
        }
        for (; *s >= '0' && *s <= '9' && n < 9; n++)
            v = v * 10 + (*s++ - '0');
        while (next < ARRAY_LEN(units) && (units[next].unit != *s || units[next].clock != clock))
            next++;
        if (n == 0 || next == ARRAY_LEN(units))
            return false;
        sum += v * units[next++].ms;
        any = true;
        s++;
    }
    *ret_ms = sum;
    return any;
}
