/* SPDX-License-Identifier: Apache-2.0 */
/* test_calendar_ics.c - iCalendar texts: what is read, what is refused with which line, limits, and
 * recurrence rules against two judges: lists written by hand and libical's own iterator on random
 * rules. */
#include "policy/calendar.h"
#include "policy/rrule.h"

#include "cgw/types.h"
#include <criterion/criterion.h>
#include <libical/ical.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define HOUR INT64_C(3600000)
#define DAY (24 * HOUR)
#define ICS(body) "BEGIN:VCALENDAR\r\nVERSION:2.0\r\n" body "END:VCALENDAR\r\n"
#define EVENT(body) "BEGIN:VEVENT\r\n" body "END:VEVENT\r\n"
#define ALL_DAY(body) ICS(EVENT("DTSTART;VALUE=DATE:20260101\r\n" body))

static int64_t utc_ms(int year, int month, int day, int hour, int minute)
{
    struct tm tm = {.tm_year = year - 1900,
                    .tm_mon = month - 1,
                    .tm_mday = day,
                    .tm_hour = hour,
                    .tm_min = minute};
    return (int64_t)timegm(&tm) * 1000;
}

/* Closed intervals of a calendar in one zone from 2026-01-01T00Z, as "MMDDThhmm/MMDDThhmm …" in
 * UTC. */
static const char *closures(const char *ics, const char *zone)
{
    static char out[4096];
    struct calendar_def c = {.number = 1, .holiday = true, .ics = ics, .ics_len = strlen(ics)};
    struct place p = {.n_zones = 1, .zones = {zone}};
    struct windows *w = NULL;
    struct diag diag = {0};
    size_t at = 0;
    out[0] = '\0';
    if (windows_compile(&c, 1, &p, CGW_CLASS_MARKETING, CGW_CHANNEL_SMS, utc_ms(2026, 1, 1, 0, 0),
                        &w, &diag) != 0) {
        (void)snprintf(out, sizeof out, "%s: %s", diag.where, diag.text);
        return out;
    }
    for (uint32_t i = 0; i < w->n && at < sizeof out - 40; i++)
        for (int end = 0; end < 2; end++) {
            time_t t = (time_t)((end ? w->closed[i].to_ms : w->closed[i].from_ms) / 1000);
            struct tm tm;
            gmtime_r(&t, &tm);
            at += strftime(out + at, sizeof out - at,
                           end  ? "/%m%dT%H%M"
                           : at ? " %m%dT%H%M"
                                : "%m%dT%H%M",
                           &tm);
        }
    windows_free(w);
    return out;
}

static const struct {
    const char *name, *ics, *zone, *want;
} reads[] = {
    {"one day", ALL_DAY("RDATE;VALUE=DATE:20260301,20260302\r\n"), "UTC",
     "0101T0000/0102T0000 0301T0000/0303T0000"},
    {"DTEND is exclusive", ALL_DAY("DTEND;VALUE=DATE:20260103\r\n"), "Asia/Shanghai",
     "0101T0000/0102T1600"},
    {"duration", ALL_DAY("DURATION:P1W\r\n"), "UTC", "0101T0000/0108T0000"},
    {"EXDATE", ALL_DAY("RRULE:FREQ=DAILY;COUNT=4\r\nEXDATE;VALUE=DATE:20260102,20260103\r\n"),
     "UTC", "0101T0000/0102T0000 0104T0000/0105T0000"},
    {"UNTIL is inclusive", ALL_DAY("RRULE:FREQ=DAILY;INTERVAL=2;UNTIL=20260105\r\n"), "UTC",
     "0101T0000/0102T0000 0103T0000/0104T0000 0105T0000/0106T0000"},
    {"UNTIL with a time on an all-day event",
     ALL_DAY("RRULE:FREQ=DAILY;INTERVAL=3;UNTIL=20260103T160000Z\r\n"), "UTC",
     "0101T0000/0102T0000 0104T0000/0105T0000"},
    {"DTSTART counts although the rule does not name it",
     ALL_DAY("RRULE:FREQ=MONTHLY;BYMONTHDAY=15;COUNT=1\r\n"), "UTC",
     "0101T0000/0102T0000 0115T0000/0116T0000"},
    {"UTC", ICS(EVENT("DTSTART:20260301T010000Z\r\nDTEND:20260301T020000Z\r\n")), "Asia/Shanghai",
     "0301T0100/0301T0200"},
    {"floating", ICS(EVENT("DTSTART:20260301T010000\r\nDURATION:PT1H30M\r\n")), "Asia/Shanghai",
     "0228T1700/0228T1830"},
    {"TZID", ICS(EVENT("DTSTART;TZID=America/New_York:20260301T010000\r\nDURATION:PT1H\r\n")),
     "Asia/Shanghai", "0301T0600/0301T0700"},
    {"TZID in quotes behind a path",
     ICS(EVENT(
         "DTSTART;TZID=\"/x.org/Tzfile/Europe/Berlin\":20260301T010000\r\nDURATION:PT1H\r\n")),
     "UTC", "0301T0000/0301T0100"},
    {"TZID named by its VTIMEZONE",
     ICS(EVENT(
         "DTSTART;TZID=China Standard Time:20260301T080000\r\nDURATION:PT1H\r\n") "BEGIN:"
                                                                                  "VTIMEZONE\r\nTZI"
                                                                                  "D:China "
                                                                                  "Standard "
                                                                                  "Time\r\nX-LIC-"
                                                                                  "LOCATION:Asia/"
                                                                                  "Shanghai\r\nEND:"
                                                                                  "VTIMEZONE\r\n"),
     "UTC", "0301T0000/0301T0100"},
    {"end in another zone",
     ICS(EVENT("DTSTART;TZID=Asia/Tokyo:20260301T090000\r\nDTEND:20260301T010000Z\r\n")), "UTC",
     "0301T0000/0301T0100"},
    {"nightly across DST ends on the wall, never early",
     ICS(EVENT("DTSTART;TZID=America/New_York:20261031T220000\r\nDTEND;TZID=America/"
               "New_York:20261101T080000\r\n")),
     "UTC", "1101T0200/1101T1300"},
    {"a start in the gap closes from the gap",
     ICS(EVENT("DTSTART;TZID=America/New_York:20260308T023000\r\nDTEND;TZID=America/"
               "New_York:20260308T040000\r\n")),
     "UTC", "0308T0700/0308T0830"},
    {"an end in the repeated hour closes to its second time",
     ICS(EVENT("DTSTART:20261101T000000\r\nDTEND:20261101T013000\r\n")), "America/New_York",
     "1101T0400/1101T0630"},
    {"a start just behind the repeated hour",
     ICS(EVENT("DTSTART:20261101T020000\r\nDTEND:20261101T030000\r\n")), "America/New_York",
     "1101T0700/1101T0800"},
    {"RDATE period",
     ICS(EVENT("DTSTART:20260301T010000Z\r\nDURATION:PT1H\r\nRDATE;VALUE=PERIOD:20260302T010000Z/"
               "PT3H,20260303T010000Z/20260303T020000Z\r\n")),
     "UTC", "0301T0100/0301T0200 0302T0100/0302T0400 0303T0100/0303T0200"},
    {"EXDATE in UTC against TZID",
     ICS(EVENT("DTSTART;TZID=Asia/"
               "Shanghai:20260301T090000\r\nDURATION:PT1H\r\nRRULE:FREQ=DAILY;COUNT=2\r\nEXDATE:"
               "20260301T010000Z\r\n")),
     "UTC", "0302T0100/0302T0200"},
    {"transparent and cancelled close nothing",
     ICS(EVENT("DTSTART;VALUE=DATE:20260101\r\nTRANSP:TRANSPARENT\r\n")
             EVENT("DTSTART;VALUE=DATE:20260102\r\nSTATUS:CANCELLED\r\n")
                 EVENT("DTSTART;VALUE=DATE:20260103\r\n")),
     "UTC", "0103T0000/0104T0000"},
    {"a moved occurrence",
     ICS(EVENT("UID:a\r\nDTSTART;VALUE=DATE:20260101\r\nRRULE:FREQ=DAILY;INTERVAL=10;COUNT=2\r\n")
             EVENT(
                 "UID:a\r\nRECURRENCE-ID;VALUE=DATE:20260111\r\nDTSTART;VALUE=DATE:20260120\r\n")),
     "UTC", "0101T0000/0102T0000 0120T0000/0121T0000"},
    {"a cancelled occurrence",
     ICS(EVENT("UID:a\r\nDTSTART;VALUE=DATE:20260101\r\nRRULE:FREQ=DAILY;INTERVAL=10;COUNT=2\r\n")
             EVENT("UID:a\r\nRECURRENCE-ID;VALUE=DATE:20260111\r\nDTSTART;VALUE=DATE:"
                   "20260111\r\nSTATUS:CANCELLED\r\n")),
     "UTC", "0101T0000/0102T0000"},
    {"folded lines, LF, lower case, BOM",
     "\xef\xbb\xbf"
     "begin:vcalendar\nBEGIN:VEVENT\nsummary:x\n  y:z\nDTSTART;\n "
     "VALUE=DATE:2026\n\t0101\nEND:VEVENT\nEND:VCALENDAR",
     "UTC", "0101T0000/0102T0000"},
    {"alarms inside an event are not its own",
     ALL_DAY("BEGIN:VALARM\r\nDURATION:PT1X\r\nEND:VALARM\r\n"), "UTC", "0101T0000/0102T0000"},
    {"a long event that began before",
     ICS(EVENT("DTSTART;VALUE=DATE:20250601\r\nDTEND;VALUE=DATE:20260201\r\n")), "UTC",
     "0101T0000/0201T0000"},
    {"a rule from long ago",
     ICS(EVENT("DTSTART;VALUE=DATE:19000105\r\nRRULE:FREQ=YEARLY;UNTIL=20261231\r\n")), "UTC",
     "0105T0000/0106T0000"},
    {"Chinese New Year by rule",
     ICS(EVENT("DTSTART;VALUE=DATE:20250129\r\nRRULE:RSCALE=CHINESE;FREQ=YEARLY;BYMONTH=1;"
               "BYMONTHDAY=1;UNTIL=20261231\r\n")),
     "UTC", "0217T0000/0218T0000"},
};

Test(ics, reads_events_as_their_meaning_says)
{
    for (size_t i = 0; i < ARRAY_LEN(reads); i++) {
        const char *got = closures(reads[i].ics, reads[i].zone);
        struct diag diag = {0};
        uint32_t n = 0;
        cr_expect_str_eq(got, reads[i].want, "%s: %s", reads[i].name, got);
        cr_expect_eq(calendar_check_ics(reads[i].ics, strlen(reads[i].ics), &n, &diag), 0, "%s: %s",
                     reads[i].name, diag.text);
    }
}

static const struct {
    const char *ics, *where, *says;
} refusals[] = {
    {"", "line 1", "BEGIN:VCALENDAR"},
    {"hello", "line 1", "NAME:VALUE"},
    {"BEGIN:VCARD\nEND:VCARD\n", "line 1", "BEGIN:VCALENDAR"},
    {"BEGIN:VCALENDAR\nBEGIN:VEVENT\n", "line 2", "never closed"},
    {"BEGIN:VCALENDAR\nEND:VEVENT\n", "line 2", "does not close"},
    {"BEGIN:VCALENDAR\nEND:VCALENDAR\nX:Y\n", "line 3", "outside"},
    {"BEGIN:VCALENDAR\n;X:1\n", "line 2", "NAME:VALUE"},
    {ICS(EVENT("SUMMARY:x\r\n")), "line 3", "DTSTART"},
    {ICS(EVENT("DTSTART:2026-01-01\r\n")), "line 4", "20260101"},
    {ICS(EVENT("DTSTART:20260230\r\n")), "line 4", "no date"},
    {ICS(EVENT("DTSTART:20261301\r\n")), "line 4", "no date"},
    {ICS(EVENT("DTSTART:20260101T250000\r\n")), "line 4", "no date"},
    {ICS(EVENT("DTSTART;VALUE=DATE:20260101T000000\r\n")), "line 4", "VALUE=DATE"},
    {ICS(EVENT("DTSTART;TZID=Mars/Base:20260101T000000\r\nDURATION:PT1H\r\n")), "line 4",
     "Asia/Shanghai"},
    {ICS(EVENT("DTSTART:20260101T000000\r\n")), "line 4", "DTEND or DURATION"},
    {ALL_DAY("DTEND;VALUE=DATE:20260101\r\n"), "line 5", "day after"},
    {ALL_DAY("DTEND:20260101T100000\r\n"), "line 5", "both be dates"},
    {ALL_DAY("DTEND;VALUE=DATE:20280101\r\n"), "line 5", "366"},
    {ALL_DAY("DURATION:PT5H\r\n"), "line 5", "whole days"},
    {ALL_DAY("DURATION:P1Y\r\n"), "line 5", "P1D"},
    {ALL_DAY("DURATION:-P1D\r\n"), "line 5", "P1D"},
    {ALL_DAY("DURATION:P1D\r\nDTEND;VALUE=DATE:20260103\r\n"), "line 5", "exclude"},
    {ALL_DAY("DTSTART;VALUE=DATE:20260101\r\n"), "line 5", "twice"},
    {ALL_DAY("EXRULE:FREQ=DAILY\r\n"), "line 5", "EXDATE"},
    {ALL_DAY("EXDATE:20260101T000000\r\n"), "line 5", "both be dates"},
    {ALL_DAY("RRULE:FREQ=SOMETIMES\r\n"), "line 5", "DAILY, WEEKLY"},
    {ALL_DAY("SUMMARY:a\r\n b\r\nRRULE:FREQ=HOURLY\r\n"), "line 7",
     "DAILY, WEEKLY"}, /* folded lines count */
    {ALL_DAY("RRULE:INTERVAL=2\r\n"), "line 5", "no FREQ"},
    {ALL_DAY("RRULE:FREQ=DAILY;INTERVAL=0\r\n"), "line 5", "INTERVAL"},
    {ALL_DAY("RRULE:FREQ=DAILY;COUNT=2;UNTIL=20260101\r\n"), "line 5", "exclude"},
    {ALL_DAY("RRULE:FREQ=DAILY;UNTIL=tomorrow\r\n"), "line 5", "20261231"},
    {ALL_DAY("RRULE:FREQ=YEARLY;BYMONTH=13\r\n"), "line 5", "1 to 12"},
    {ALL_DAY("RRULE:FREQ=YEARLY;BYDAY=XX\r\n"), "line 5", "BYDAY"},
    {ALL_DAY("RRULE:FREQ=WEEKLY;BYDAY=1MO\r\n"), "line 5", "numbered"},
    {ALL_DAY("RRULE:FREQ=DAILY;BYHOUR=9\r\n"), "line 5", "time of DTSTART"},
    {ALL_DAY("RRULE:FREQ=DAILY;FREQ=DAILY\r\n"), "line 5", "twice"},
    {ALL_DAY("RRULE:FREQ=DAILY;;\r\n"), "line 5", "NAME=VALUE"},
    {ALL_DAY("RRULE:FREQ=MONTHLY;BYMONTHDAY=\r\n"), "line 5", "BYMONTHDAY"},
    {ALL_DAY("RRULE:FREQ=DAILY;RSCALE=CHINESE\r\n"), "line 5", "RSCALE"},
    {ICS(EVENT("DTSTART;VALUE=DATE:20260101\r\nTRANSP:TRANSPARENT\r\n")), "line 1", "OPAQUE"},
    {ICS(EVENT("DTSTART:20260101T000000Z\r\nDURATION:PT1H\r\nCATEGORIES:WORKDAY\r\n")), "line 4",
     "all-day"},
    {ICS(EVENT("DTSTART;VALUE=DATE:20260101\r\nRECURRENCE-ID;RANGE=THISANDFUTURE;VALUE=DATE:"
               "20260101\r\n")),
     "line 5", "RANGE"},
    {ICS(EVENT("DTSTART:20260301T010000Z\r\nDURATION:PT1H\r\nRDATE;VALUE=PERIOD:20260302T010000Z/"
               "20260302T010000Z\r\n")),
     "line 6", "end after"},
};

Test(ics, refuses_bad_input_with_its_line_and_what_would_be_right)
{
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        struct diag diag = {0};
        uint32_t n = 77;
        int rc = calendar_check_ics(refusals[i].ics, strlen(refusals[i].ics), &n, &diag);
        cr_expect(rc < 0 && n == 77, "case %zu was taken", i);
        cr_expect_str_eq(diag.where, refusals[i].where, "case %zu: %s: %s", i, diag.where,
                         diag.text);
        cr_expect_not_null(strstr(diag.text, refusals[i].says), "case %zu: %s", i, diag.text);
    }
    struct diag diag = {0};
    const char nul[] = "BEGIN:VCALENDAR\nX:\0\n";
    cr_expect_eq(calendar_check_ics(nul, sizeof nul - 1, NULL, &diag), CGW_EINVAL);
    cr_expect_str_eq(diag.where, "line 2");
}

/* n all-day events, one a day, each with `extra`. */
static char *many(int n, const char *extra, size_t *ret_len)
{
    size_t size = 100 + (size_t)n * (60 + strlen(extra)), at = 0;
    char *s = malloc(size);
    at += (size_t)snprintf(s, size, "BEGIN:VCALENDAR\n");
    for (int i = 0; i < n; i++)
        at += (size_t)snprintf(s + at, size - at,
                               "BEGIN:VEVENT\nDTSTART:2026%02d%02d\n%sEND:VEVENT\n",
                               i / 28 % 12 + 1, i % 28 + 1, extra);
    at += (size_t)snprintf(s + at, size - at, "END:VCALENDAR\n");
    *ret_len = at;
    return s;
}

Test(ics, names_the_limit_that_was_passed)
{
    static const struct {
        int n;
        const char *extra, *says;
        int code;
    } cases[] = {
        {4096, "", NULL, 0},
        {4097, "", "4096", CGW_ELIMIT},
        {10000, "", "4096", CGW_ELIMIT},
        {30000, "", "1048576", CGW_ELIMIT},
        {40, "RRULE:FREQ=DAILY\n", NULL, 0},
        {60, "RRULE:FREQ=DAILY\n", "20000", CGW_ELIMIT},
        {4000, "RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30\n", NULL, 0},
        {4000, "RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30;COUNT=9\n", NULL, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        size_t len = 0;
        uint32_t n = 0;
        struct diag diag = {0};
        char *s = many(cases[i].n, cases[i].extra, &len);
        cr_expect_eq(calendar_check_ics(s, len, &n, &diag), cases[i].code, "case %zu: %s: %s", i,
                     diag.where, diag.text);
        cr_expect(cases[i].code == 0 ? (int)n == cases[i].n
                                     : strstr(diag.text, cases[i].says) != NULL,
                  "case %zu: %s", i, diag.text);
        free(s);
    }
}

Test(ics, bounds_the_work_of_rules_that_must_be_counted_from_the_start)
{
    size_t len = 0;
    struct diag diag = {0};
    char *s = many(100, "RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30;COUNT=9\n", &len);
    for (char *p = s; (p = strstr(p, "DTSTART:2026")) != NULL; p += 8)
        memcpy(p + 8, "1900", 4);
    struct calendar_def c = {.number = 1, .holiday = true, .ics = s, .ics_len = len};
    struct place place = {.n_zones = 1, .zones = {"UTC"}};
    struct windows *w = NULL;
    cr_expect_eq(windows_compile(&c, 1, &place, 1, 1, utc_ms(2026, 1, 1, 0, 0), &w, &diag),
                 CGW_ELIMIT);
    cr_expect_not_null(strstr(diag.text, "4000000"), "%s", diag.text);
    free(s);
}

/* ---- rules ---- */

struct found {
    int32_t day[4300];
    int n;
};
static int note(void *ctx, int32_t day)
{
    struct found *f = ctx;
    if (f->n == (int)ARRAY_LEN(f->day))
        return 1;
    f->day[f->n++] = day;
    return 0;
}

#define FIRST 16436 /* 2015-01-01 */
#define LAST (FIRST + 4200)

static void expand_ours(const char *text, int32_t first, int32_t from, struct found *f)
{
    struct rrule rule;
    struct diag diag = {0};
    uint64_t budget = 10000000;
    cr_assert_eq(rrule_parse(text, "rule", &rule, &diag), 0, "%s: %s", text, diag.text);
    const struct rrule_run run = {&rule, first, 0, INT64_MAX, from, LAST, &budget};
    f->n = 0;
    cr_assert_geq(rrule_expand(&run, note, f), 0);
}

static bool expand_theirs(const char *text, int32_t first, struct found *f)
{
    struct icaltimetype start = icaltime_from_timet_with_zone((time_t)first * 86400, 1, NULL);
    icalrecur_iterator *it = icalrecur_iterator_new(icalrecurrencetype_from_string(text), start);
    f->n = 0;
    if (!it)
        return false;
    for (;;) {
        struct icaltimetype t = icalrecur_iterator_next(it);
        int32_t day = icaltime_is_null_time(t) ? LAST + 1 : (int32_t)(icaltime_as_timet(t) / 86400);
        if (day > LAST || note(f, day) != 0)
            break;
    }
    icalrecur_iterator_free(it);
    return true;
}

static uint32_t seed = 20260101;
static uint32_t dice(uint32_t n)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % n;
}

static const char *const weekday_words[] = {"MO", "TU", "WE", "TH", "FR", "SA", "SU"};

static size_t put_numbers(char *s, size_t size, const char *name, uint32_t max, bool negative)
{
    size_t at = (size_t)snprintf(s, size, ";%s=", name);
    uint32_t first = dice(max); /* values differ: libical counts a repeated one twice */
    for (uint32_t i = 0, n = 1 + dice(3); i < n; i++)
        at += (size_t)snprintf(s + at, size - at, "%s%s%u", i ? "," : "",
                               negative && dice(3) == 0 ? "-" : "", 1 + (first + 5 * i) % max);
    return at;
}

static size_t put_weekdays(char *s, size_t size, uint32_t max_ord)
{
    size_t at = (size_t)snprintf(s, size, ";BYDAY=");
    uint32_t first = dice(7);
    for (uint32_t i = 0, n = 1 + dice(3); i < n; i++) {
        at += (size_t)snprintf(s + at, size - at, "%s", i ? "," : "");
        if (max_ord && dice(2))
            at += (size_t)snprintf(s + at, size - at, "%s%u", dice(3) == 0 ? "-" : "",
                                   1 + dice(max_ord));
        at += (size_t)snprintf(s + at, size - at, "%s", weekday_words[(first + 2 * i) % 7]);
    }
    return at;
}

/* A rule that surely matches now and then (libical takes a second for one that never does) and on
 * whose meaning RFC 5545 leaves no doubt. */
static void random_rule(char *s, size_t size)
{
    static const char *const freqs[] = {"DAILY", "WEEKLY", "MONTHLY", "YEARLY"};
    uint32_t freq = dice(4);
    size_t at = (size_t)snprintf(
        s, size, "FREQ=%s;INTERVAL=%u", freqs[freq],
        freq == 1
            ? 1u
            : 1 + dice(freq == 0 ? 40 : 3)); /* libical 3.0.16 counts weeks from a wrong one */
    bool by = false;
    if (dice(3) == 0 && (freq != 0 || dice(2)))
        at += put_numbers(s + at, size - at, "BYMONTH", 12, false), by = true;
    switch (dice(4)) {
    case 0:
        if (freq == 2 ||
            (freq == 3 && by)) /* libical reads YEARLY;BYMONTHDAY in DTSTART's month only */
            at += put_numbers(s + at, size - at, "BYMONTHDAY", 28, true), by = true;
        break;
    case 1:
        at += put_weekdays(s + at, size - at,
                           freq == 2   ? 4
                           : freq == 3 ? (by ? 4 : 52)
                                       : 0),
            by = true;
        break;
    case 2:
        if (freq == 3 && !by)
            at += put_numbers(s + at, size - at, "BYYEARDAY", 365, true), by = true;
        break;
    default:
        break;
    }
    if (strstr(s, "BYDAY") && !strchr(s, '-') && freq >= 2 &&
        dice(4) == 0) /* days named twice confuse libical's positions */
        at += (size_t)snprintf(s + at, size - at, ";BYSETPOS=%s%u", dice(2) ? "-" : "", 1u);
    if (dice(4) == 0)
        at += (size_t)snprintf(s + at, size - at, ";WKST=%s", weekday_words[dice(7)]);
    if (dice(4) == 0)
        (void)snprintf(s + at, size - at, ";COUNT=%u", 1 + dice(30));
}

Test(rrule, agrees_with_libical_on_random_rules)
{
    icalerror_set_errors_are_fatal(0);
    int compared = 0;
    for (int i = 0; i < 600; i++) {
        char text[256];
        static struct found ours, theirs, late;
        int32_t first = FIRST + (int32_t)dice(900);
        random_rule(text, sizeof text);
        if (!expand_theirs(text, first, &theirs))
            continue;
        expand_ours(text, first, first, &ours);
        int n = ours.n < theirs.n ? ours.n : theirs.n, at = 0;
        while (at < n && ours.day[at] == theirs.day[at])
            at++;
        cr_assert(at == n && ours.n == theirs.n,
                  "%s from day %d: %d and %d days, differ at %d (%d, %d)", text, (int)first, ours.n,
                  theirs.n, at, at < ours.n ? (int)ours.day[at] : 0,
                  at < theirs.n ? (int)theirs.day[at] : 0);
        expand_ours(text, first, LAST - 400, &late); /* jumping ahead finds the same tail */
        cr_assert_leq(late.n, ours.n);
        cr_assert_arr_eq(late.day, ours.day + (ours.n - late.n),
                         (size_t)late.n * sizeof late.day[0], "%s", text);
        cr_assert(late.n == ours.n || ours.day[ours.n - late.n - 1] < LAST - 400, "%s", text);
        compared++;
    }
    cr_expect_gt(compared, 500, "%d", compared);
}

Test(rrule, names_the_days_written_by_hand)
{
    static const struct {
        const char *rule;
        int32_t first;
        int n;
        int32_t days[6];
    } cases[] = {
        /* from 2015-01-01, a Thursday; days relative to it */
        {"FREQ=YEARLY;BYMONTH=11;BYDAY=4TH;COUNT=2", FIRST, 2, {329, 693}}, /* Thanksgiving */
        {"FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1;COUNT=3",
         FIRST,
         3,
         {29, 57, 89}}, /* last workday */
        {"FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;COUNT=2", FIRST, 2, {424, 1885}},
        {"FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO;COUNT=2",
         FIRST,
         2,
         {130, 501}}, /* RFC 5545's own kind of example */
        {"FREQ=YEARLY;BYWEEKNO=-1;BYDAY=SU;COUNT=1", FIRST, 1, {367}}, /* 3 January 2016, week 53 */
        {"FREQ=MONTHLY;BYMONTHDAY=13;BYDAY=FR;COUNT=3", FIRST, 3, {43, 71, 316}},
        {"FREQ=MONTHLY;BYMONTHDAY=31;COUNT=3", FIRST, 3, {30, 89, 150}},
        {"FREQ=WEEKLY;INTERVAL=3;BYDAY=WE;WKST=SA;COUNT=2", FIRST + 103, 2, {104, 125}},
        {"FREQ=WEEKLY;INTERVAL=3;BYDAY=SU;COUNT=2",
         FIRST + 485,
         2,
         {486, 507}}, /* from a Saturday: its own week */
        {"FREQ=YEARLY;BYMONTHDAY=1;COUNT=3",
         FIRST,
         3,
         {0, 31, 59}}, /* of every month: BYMONTHDAY expands a year */
        {"FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SU;WKST=MO;COUNT=4",
         FIRST + 217,
         4,
         {220, 229, 234, 243}},
        {"FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SU;WKST=SU;COUNT=4",
         FIRST + 217,
         4,
         {227, 229, 241, 243}},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        static struct found f;
        expand_ours(cases[i].rule, cases[i].first, cases[i].first, &f);
        cr_expect_eq(f.n, cases[i].n, "%s", cases[i].rule);
        for (int k = 0; k < f.n && k < 6; k++)
            cr_expect_eq(f.day[k] - FIRST, cases[i].days[k], "%s: %d", cases[i].rule,
                         (int)(f.day[k] - FIRST));
    }
}
