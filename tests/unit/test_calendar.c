/* SPDX-License-Identifier: Apache-2.0 */
/* test_calendar.c - compiled windows against an independent judge: the C library's localtime_r,
 * minute by minute. Also places, labels, the sample calendar, zone and cap arithmetic. Rules and
 * refusals: test_calendar_ics.c. */
#include "policy/calendar.h"

#include "cgw/types.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define MINUTE INT64_C(60000)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

static int64_t utc_ms(int year, int month, int day, int hour, int minute)
{
    struct tm tm = {.tm_year = year - 1900,
                    .tm_mon = month - 1,
                    .tm_mday = day,
                    .tm_hour = hour,
                    .tm_min = minute};
    return (int64_t)timegm(&tm) * 1000;
}

static struct place place_of(const char *region, const char *z1, const char *z2)
{
    struct place p = {.n_zones = (z1 ? 1u : 0u) + (z2 ? 1u : 0u), .zones = {z1, z2}};
    (void)snprintf(p.region, sizeof p.region, "%s", region);
    return p;
}

static struct calendar_def quiet_def(int32_t number, const char *hours, struct open_span *spans)
{
    uint32_t n = 0;
    struct diag diag = {0};
    cr_assert_eq(calendar_parse_spans(hours, spans, CALENDAR_SPANS_MAX, &n, &diag), 0, "%s",
                 diag.text);
    return (struct calendar_def){.number = number, .spans = spans, .n_spans = n};
}

static struct calendar_def ics_def(int32_t number, const char *ics)
{
    return (struct calendar_def){
        .number = number, .holiday = true, .ics = ics, .ics_len = strlen(ics)};
}

static struct windows *compile(const struct calendar_def *cals, uint32_t n, const struct place *p,
                               int64_t from)
{
    struct windows *w = NULL;
    struct diag diag = {0};
    int rc = windows_compile(cals, n, p, CGW_CLASS_MARKETING, CGW_CHANNEL_SMS, from, &w, &diag);
    cr_assert_eq(rc, 0, "%s: %s", diag.where, diag.text);
    int64_t last = INT64_MIN;
    for (uint32_t i = 0; i < w->n; i++) { /* sorted, disjoint, merged unless the label differs */
        cr_assert_lt(w->closed[i].from_ms, w->closed[i].to_ms);
        cr_assert_geq(w->closed[i].from_ms, last);
        if (i > 0 && w->closed[i].from_ms == last)
            cr_assert(w->rule[i] != w->rule[i - 1] || w->holiday[i] != w->holiday[i - 1]);
        last = w->closed[i].to_ms;
    }
    return w;
}

static bool is_open(const struct windows *w, int64_t t)
{
    return windows_next_open(w, t, NULL, NULL, NULL) == t;
}

static void set_zone(const char *zone)
{
    cr_assert_eq(setenv("TZ", zone, 1), 0);
    tzset();
}

static bool wall_open(const struct calendar_def *c, int64_t t)
{
    time_t s = (time_t)(t / 1000);
    struct tm tm;
    localtime_r(&s, &tm);
    int minute = tm.tm_hour * 60 + tm.tm_min, weekday = (tm.tm_wday + 6) % 7;
    for (uint32_t i = 0; i < c->n_spans; i++)
        if ((c->spans[i].days >> weekday & 1) && minute >= c->spans[i].from_min &&
            minute < c->spans[i].to_min)
            return true;
    return false;
}

/* ---- brute force ---- */

static const char *const odd_zones[] = {
    "UTC",
    "Asia/Shanghai",
    "America/New_York",
    "Europe/London",
    "Australia/Lord_Howe",
    "America/St_Johns",
    "America/Havana",
    "Africa/Casablanca",
    "Africa/Cairo",
    "Asia/Kathmandu",
    "America/Santiago",
    "Pacific/Kiritimati",
    "Pacific/Pago_Pago",
    "Pacific/Chatham",
    "Asia/Beirut",
    "Asia/Tehran",
    "America/Nuuk",
};

Test(calendar, agrees_with_the_wall_clock_every_minute_of_400_days)
{
    static const char *const hours[] = {
        "daily 08:00-22:00",
        "daily 00:30-00:45; daily 01:30-02:15; daily 02:45-23:30", /* edges inside the hours that
                                                                      DST skips and repeats */
        "mon-fri 10:00-13:00; mon-fri 14:00-20:00; sat 00:00-24:00",
    };
    struct open_span spans[CALENDAR_SPANS_MAX];
    int64_t from = utc_ms(2026, 1, 3, 7, 13);
    for (size_t z = 0; z < ARRAY_LEN(odd_zones); z++) {
        struct calendar_def c = quiet_def(1, hours[z % 3], spans);
        struct place p = place_of("", odd_zones[z], NULL);
        struct windows *w = compile(&c, 1, &p, from);
        set_zone(odd_zones[z]);
        uint32_t at = 0;
        int64_t bad = 0, first = 0;
        for (int64_t t = from; t < w->valid_to_ms; t += MINUTE) {
            while (at < w->n && w->closed[at].to_ms <= t)
                at++;
            bool open = at == w->n || w->closed[at].from_ms > t;
            if (open != wall_open(&c, t) && bad++ == 0)
                first = t;
        }
        cr_expect_eq(bad, 0, "%s: %lld minutes, first at %lld", odd_zones[z], (long long)bad,
                     (long long)first / 1000);
        windows_free(w);
    }
}

Test(calendar, is_closed_when_closed_in_any_candidate_zone)
{
    struct open_span spans[CALENDAR_SPANS_MAX];
    struct calendar_def c = quiet_def(1, "daily 08:00-21:00", spans);
    struct place p = {
        .region = "US",
        .n_zones = 4,
        .zones = {"America/New_York", "America/Chicago", "America/Phoenix", "Pacific/Honolulu"}};
    struct windows *w = compile(&c, 1, &p, utc_ms(2026, 2, 1, 0, 0));
    bool open[4] = {0};
    for (int64_t t = w->valid_from_ms; t < w->valid_to_ms; t += 17 * MINUTE) {
        bool all = true;
        for (uint32_t z = 0; z < p.n_zones; z++) {
            int minute = 0;
            cr_assert(zone_local_day(p.zones[z], t, NULL, &minute));
            open[z] = minute >= 8 * 60 && minute < 21 * 60;
            all = all && open[z];
        }
        cr_assert_eq(is_open(w, t), all, "at %lld", (long long)t / 1000);
    }
    windows_free(w);
    struct place wide = place_of("", "Asia/Shanghai",
                                 "America/New_York"); /* 08-21 in both never happens for long */
    struct calendar_def narrow = quiet_def(1, "daily 09:00-18:00", spans);
    w = compile(&narrow, 1, &wide, utc_ms(2026, 2, 1, 0, 0));
    cr_expect_eq(windows_next_open(w, w->valid_from_ms, NULL, NULL, NULL), INT64_MAX);
    windows_free(w);
}

/* ---- quiet hours over DST ---- */

Test(calendar, keeps_quiet_hours_on_the_wall_across_dst)
{
    static const struct {
        const char *zone;
        int m, d, h, min;
        int hours_x2;
    } nights[] = {
        {"America/New_York", 3, 8, 3, 0, 18},  /* 22:00 EST on the 7th; the night loses an hour */
        {"America/New_York", 11, 1, 2, 0, 22}, /* gains one */
        {"Australia/Lord_Howe", 4, 4, 11, 0, 21}, /* half an hour: 22:00 +11 on the 4th */
        {"Australia/Lord_Howe", 10, 3, 11, 30, 19}, {"Asia/Shanghai", 3, 8, 14, 0, 20},
    };
    struct open_span spans[CALENDAR_SPANS_MAX];
    struct calendar_def c = quiet_def(5, "daily 08:00-22:00", spans);
    for (size_t i = 0; i < ARRAY_LEN(nights); i++) {
        struct place p = place_of("", nights[i].zone, NULL);
        struct windows *w = compile(&c, 1, &p, utc_ms(2026, 1, 1, 0, 0));
        int64_t t = utc_ms(2026, nights[i].m, nights[i].d, nights[i].h, nights[i].min);
        int32_t rule = 0;
        cr_expect(is_open(w, t - MINUTE) && !is_open(w, t), "night %zu does not begin at 22:00", i);
        int64_t open = windows_next_open(w, t, NULL, &rule, NULL);
        cr_expect_eq((open - t) / (30 * MINUTE), nights[i].hours_x2, "night %zu: %lld", i,
                     (long long)((open - t) / MINUTE));
        cr_expect_eq(rule, 5);
        windows_free(w);
    }
}

/* ---- places, classes, channels ---- */

Test(calendar, fits_regions_classes_and_channels)
{
    static const struct {
        const char *cal, *place;
        uint32_t classes, channels;
        bool fits;
    } cases[] = {
        {"", "CN", 0, 0, true},
        {"CN", "CN", 0, 0, true},
        {"CN", "CN-GD", 0, 0, true},
        {"CN", "CNX", 0, 0, false},
        {"CN-GD", "CN-SH", 0, 0, false},
        {"US", "CN", 0, 0, false},
        {"CN-GD", "CN", 0, 0, true},
        {"CN-GD", "", 0, 0, true}, /* may be there */
        {"", "CN", 1u << CGW_CLASS_MARKETING, 0, true},
        {"", "CN", 1u << CGW_CLASS_SERVICE, 0, false},
        {"", "CN", 0, 1u << CGW_CHANNEL_SMS | 1u << CGW_CHANNEL_MMS, true},
        {"", "CN", 0, 1u << CGW_CHANNEL_VOICE, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct calendar_def c = {
            .number = 1, .class_mask = cases[i].classes, .channel_mask = cases[i].channels};
        (void)snprintf(c.region, sizeof c.region, "%s",
                       cases[i].cal); /* no span: closed always where it fits */
        struct place p = place_of(cases[i].place, "Asia/Shanghai", NULL);
        struct windows *w = compile(&c, 1, &p, utc_ms(2026, 1, 1, 0, 0));
        cr_expect_eq(!is_open(w, utc_ms(2026, 6, 1, 3, 0)), cases[i].fits, "case %zu", i);
        windows_free(w);
    }
}

Test(calendar, knows_nothing_about_a_place_without_a_known_zone)
{
    const struct place places[] = {place_of("CN", NULL, NULL),
                                   place_of("CN", "Asia/Peking", NULL),
                                   place_of("CN", "Asia/Shanghai", "Mars/Base"),
                                   place_of("CN", "../../../etc/passwd", NULL),
                                   place_of("CN", "localtime", NULL),
                                   place_of("CN", "", NULL)};
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        struct windows *w = compile(NULL, 0, &places[i], utc_ms(2026, 1, 1, 0, 0));
        cr_expect(w->zone_unknown, "place %zu", i);
        cr_expect_not(is_open(w, utc_ms(2026, 2, 1, 0, 0)));
        windows_free(w);
    }
    struct place ok = place_of("CN", "Asia/Shanghai", NULL);
    struct windows *w = compile(NULL, 0, &ok, utc_ms(2026, 1, 1, 0, 0));
    cr_expect(!w->zone_unknown && w->n == 0 && is_open(w, w->valid_from_ms) &&
              !is_open(w, w->valid_to_ms));
    windows_free(w);
}

Test(calendar, refuses_what_is_beyond_its_limits)
{
    struct windows *w = NULL;
    struct diag diag = {0};
    struct place p = place_of("", "UTC", NULL);
    p.n_zones = PLACE_ZONES_MAX + 1;
    cr_expect_eq(windows_compile(NULL, 0, &p, 1, 1, 0, &w, &diag), CGW_ELIMIT);
    p.n_zones = 1;
    struct open_span bad[] = {{0x7f, 600, 600}};
    struct calendar_def c = {.number = 12, .spans = bad, .n_spans = 1};
    cr_expect_eq(windows_compile(&c, 1, &p, 1, 1, 0, &w, &diag), CGW_EINVAL);
    cr_expect_str_eq(diag.where, "calendar 12");
    c.n_spans = CALENDAR_SPANS_MAX + 1;
    cr_expect_eq(windows_compile(&c, 1, &p, 1, 1, 0, &w, &diag), CGW_ELIMIT);
    cr_expect_null(w);
}

/* ---- labels, holidays, make-up workdays ---- */

#define ICS(body) "BEGIN:VCALENDAR\r\nVERSION:2.0\r\n" body "END:VCALENDAR\r\n"
#define EVENT(body) "BEGIN:VEVENT\r\n" body "END:VEVENT\r\n"

Test(calendar, tells_the_holiday_before_the_quiet_hours)
{
    struct open_span spans[CALENDAR_SPANS_MAX];
    struct calendar_def cals[] = {
        quiet_def(3, "daily 09:00-21:00", spans),
        ics_def(8, ICS(EVENT("DTSTART;VALUE=DATE:20260501\r\nDTEND;VALUE=DATE:20260503\r\n")))};
    struct place p = place_of("CN", "Asia/Shanghai", NULL);
    struct windows *w = compile(cals, 2, &p, utc_ms(2026, 4, 1, 0, 0));
    int32_t rule = 0;
    bool hol = false;
    int64_t back = utc_ms(2026, 5, 3, 1, 0); /* 09:00 of 3 May on the wall */
    cr_expect_eq(windows_next_open(w, utc_ms(2026, 5, 1, 16, 0), NULL, &rule, &hol), back);
    cr_expect(rule == 8 && hol);
    cr_expect_eq(windows_next_open(w, utc_ms(2026, 4, 30, 14, 0), NULL, &rule, &hol), back);
    cr_expect(rule == 3 && !hol);
    windows_free(w);
}

static char *read_sample(size_t *len)
{
    char path[512];
    const char *src = getenv("CGW_SRCDIR");
    (void)snprintf(path, sizeof path, "%s/conf/holidays/cn-2026.ics", src ? src : ".");
    FILE *f = fopen(path, "rb");
    cr_assert_not_null(f, "%s", path);
    char *text = calloc(1, 65536);
    *len = fread(text, 1, 65535, f);
    (void)fclose(f);
    return text;
}

Test(calendar, compiles_the_sample_calendar_of_china_2026)
{
    static const struct {
        int m, d, n;
    } holidays[] = {{1, 1, 3},  {2, 15, 9}, {4, 4, 3}, {5, 1, 5},
                    {6, 19, 3}, {9, 25, 3}, {10, 1, 7}};
    static const struct {
        int m, d;
    } work[] = {{1, 4}, {2, 14}, {2, 28}, {5, 9}, {9, 20}, {10, 10}};
    size_t len = 0;
    char *text = read_sample(&len);
    uint32_t events = 0;
    struct diag diag = {0};
    cr_assert_eq(calendar_check_ics(text, len, &events, &diag), 0, "%s: %s", diag.where, diag.text);
    cr_expect_eq(events, 13u);
    cr_expect_not_null(strstr(text, "SAMPLE DATA"));
    for (const char *p = text; (p = strchr(p, '\n')) != NULL; p++)
        cr_assert_eq(p[-1], '\r');
    struct calendar_def c = {
        .number = 2, .holiday = true, .region = "CN", .ics = text, .ics_len = len};
    struct place p = place_of("CN-GD", "Asia/Shanghai", NULL);
    struct windows *w = compile(&c, 1, &p, utc_ms(2025, 12, 1, 0, 0));
    int closed = 0, expected = 0;
    for (int64_t t = utc_ms(2026, 1, 1, 4, 0); t < utc_ms(2026, 12, 31, 23, 0); t += DAY)
        closed += !is_open(w, t);
    for (size_t i = 0; i < ARRAY_LEN(holidays); i++) {
        expected += holidays[i].n;
        int64_t from = utc_ms(2026, holidays[i].m, holidays[i].d, 0, 0) - 8 * HOUR;
        cr_expect(is_open(w, from - 1) && !is_open(w, from), "holiday %zu begins elsewhere", i);
        cr_expect_eq(windows_next_open(w, from, NULL, NULL, NULL), from + holidays[i].n * DAY,
                     "holiday %zu ends elsewhere", i);
    }
    cr_expect_eq(closed, expected);
    for (size_t i = 0; i < ARRAY_LEN(work); i++)
        cr_expect(is_open(w, utc_ms(2026, work[i].m, work[i].d, 4, 0)));
    windows_free(w);
    free(text);
}

Test(calendar, reopens_a_make_up_workday_in_its_own_calendar_only)
{
    const char *weekends =
        ICS(EVENT("DTSTART;VALUE=DATE:20200104\r\nRRULE:FREQ=WEEKLY;BYDAY=SA,SU\r\n")
                EVENT("DTSTART;VALUE=DATE:20260214\r\nCATEGORIES:office,Workday\r\n"));
    struct open_span spans[CALENDAR_SPANS_MAX];
    struct calendar_def cals[] = {ics_def(1, weekends), quiet_def(2, "mon-fri 09:00-18:00", spans)};
    struct place p = place_of("", "Asia/Shanghai", NULL);
    struct windows *w = compile(cals, 1, &p, utc_ms(2026, 1, 1, 0, 0));
    cr_expect(is_open(w, utc_ms(2026, 2, 14, 4, 0)));
    cr_expect_not(is_open(w, utc_ms(2026, 2, 7, 4, 0)));
    cr_expect_not(
        is_open(w, utc_ms(2026, 2, 13, 16, 0) + DAY)); /* Sunday 15th, 00:00 on the wall */
    windows_free(w);
    w = compile(cals, 2, &p, utc_ms(2026, 1, 1, 0, 0));
    cr_expect_not(is_open(w, utc_ms(2026, 2, 14, 4, 0)));
    windows_free(w);
    struct calendar_def empty = {.number = 1, .holiday = true};
    w = compile(&empty, 1, &p, utc_ms(2026, 1, 1, 0, 0));
    cr_expect_eq(w->n, 0u);
    windows_free(w);
}

Test(calendar, closes_a_day_from_midnight_to_midnight_of_each_candidate)
{
    struct calendar_def c = ics_def(1, ICS(EVENT("DTSTART;VALUE=DATE:20260308\r\n")));
    struct place p = place_of("US", "America/New_York", "America/Los_Angeles");
    struct windows *w = compile(&c, 1, &p, utc_ms(2026, 1, 1, 0, 0));
    cr_assert_eq(w->n, 1u);
    cr_expect_eq(w->closed[0].from_ms, utc_ms(2026, 3, 8, 5, 0)); /* New York begins … */
    cr_expect_eq(w->closed[0].to_ms,
                 utc_ms(2026, 3, 9, 7, 0)); /* … Los Angeles ends, an hour short by DST */
    windows_free(w);
}

Test(calendar, has_no_day_where_the_date_line_skipped_one)
{
    struct calendar_def c = ics_def(1, ICS(EVENT("DTSTART;VALUE=DATE:20111230\r\n")));
    struct place p = place_of("WS", "Pacific/Apia", NULL);
    struct windows *w = compile(&c, 1, &p, utc_ms(2011, 6, 1, 0, 0));
    cr_expect_eq(w->n, 0u);
    windows_free(w);
    int64_t skipped = 0, next = 0;
    int32_t day = 0;
    cr_assert(zone_local_day("Pacific/Apia", utc_ms(2011, 12, 30, 10, 0), &day, NULL));
    cr_expect_eq(day, 4382, "31 December 2011: %d", (int)day);
    cr_assert(zone_day_start("Pacific/Apia", 4381, &skipped) &&
              zone_day_start("Pacific/Apia", 4382, &next));
    cr_expect(skipped == next && next == utc_ms(2011, 12, 30, 10, 0));
}

/* ---- zones and caps ---- */

Test(zone, agrees_with_the_c_library)
{
    for (size_t z = 0; z < ARRAY_LEN(odd_zones); z++) {
        set_zone(odd_zones[z]);
        cr_expect(zone_known(odd_zones[z]));
        for (int64_t t = utc_ms(2025, 1, 1, 0, 7); t < utc_ms(2028, 1, 1, 0, 0); t += 5 * HOUR) {
            time_t s = (time_t)(t / 1000);
            struct tm tm;
            int32_t day = 0;
            int minute = 0;
            int64_t start = 0;
            localtime_r(&s, &tm);
            cr_assert(zone_local_day(odd_zones[z], t, &day, &minute));
            int64_t want = utc_ms(tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, 0, 0) / DAY - 10957;
            cr_assert(day == want && minute == tm.tm_hour * 60 + tm.tm_min, "%s at %lld",
                      odd_zones[z], (long long)s);
            if (t % (35 * HOUR) != 0)
                continue;
            cr_assert(zone_day_start(odd_zones[z], day, &start));
            cr_assert(start <= t && t - start < 26 * HOUR);
        }
    }
    cr_expect_not(zone_known("Asia/Peking"));
    cr_expect_not(zone_known(NULL));
    cr_expect_not(zone_local_day("nowhere", 0, NULL, NULL));
    cr_expect_not(zone_day_start("nowhere", 0, NULL));
}

Test(zone, starts_a_day_without_midnight_at_its_first_moment)
{
    int64_t start = 0; /* Santiago skips 00:00-01:00 on 6 September 2026 */
    cr_assert(zone_day_start("America/Santiago", 9745, &start));
    cr_expect_eq(start, utc_ms(2026, 9, 6, 4, 0), "%lld", (long long)start / 1000);
}

Test(cap_period, numbers_periods_in_the_zone_of_the_cap)
{
    static const struct {
        int period;
        int y, m, d, h;
        int32_t first_y, first_m, first_d;
        int end_m, end_d;
    } cases[] = {
        {CAP_DAY, 2026, 3, 31, 15, 2026, 3, 31, 4, 1},
        {CAP_DAY, 2026, 3, 31, 16, 2026, 4, 1, 4, 2}, /* midnight in Shanghai */
        {CAP_WEEK, 2026, 3, 1, 0, 2026, 2, 23, 3, 2}, /* a Sunday belongs to the Monday before */
        {CAP_WEEK, 2026, 3, 2, 0, 2026, 3, 2, 3, 9},
        {CAP_MONTH, 2026, 3, 31, 15, 2026, 3, 1, 4, 1},
        {CAP_MONTH, 2026, 3, 31, 16, 2026, 4, 1, 5, 1},
        {CAP_QUARTER, 2026, 9, 30, 0, 2026, 7, 1, 10, 1},
        {CAP_YEAR, 2026, 12, 30, 0, 2026, 1, 1, 13, 1},
        {CAP_MONTH, 1999, 12, 5, 0, 1999, 12, 1, 13, 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct cap cap = {.period = (uint8_t)cases[i].period, .zone = "Asia/Shanghai"};
        int64_t t = utc_ms(cases[i].y, cases[i].m, cases[i].d, cases[i].h, 0);
        int64_t first =
            utc_ms(cases[i].first_y, cases[i].first_m, cases[i].first_d, 0, 0) / DAY - 10957;
        int32_t day = 0;
        cr_expect_eq(cap_period_number(&cap, t, &day), first * 8 + cases[i].period, "case %zu", i);
        cr_expect_eq(cap_period_end_ms(&cap, t),
                     utc_ms(cases[i].y, cases[i].end_m, cases[i].end_d, 0, 0) - 8 * HOUR,
                     "case %zu", i);
        cr_expect_eq(day, (t + 8 * HOUR) / DAY - 10957);
    }
    struct cap sliding = {.period = CAP_SLIDING_DAYS, .slot = 4, .days = 7, .zone = "UTC"};
    cr_expect_eq(cap_period_number(&sliding, utc_ms(2026, 1, 1, 0, 0), NULL), -5);
    cr_expect_eq(cap_period_end_ms(&sliding, utc_ms(2026, 1, 1, 5, 0)), utc_ms(2026, 1, 2, 0, 0));
    (void)snprintf(sliding.zone, sizeof sliding.zone, "No/Where");
    cr_expect_eq(cap_period_number(&sliding, 0, NULL), INT32_MIN);
    cr_expect_eq(cap_period_end_ms(&sliding, 0), INT64_MIN);
}

Test(spans, reads_open_hours_and_names_the_column_of_an_error)
{
    static const struct {
        const char *text;
        int n;
        const char *where;
    } cases[] = {
        {"mon-fri 09:00-21:00; sat 10:00-13:00", 2, ""},
        {"daily 00:00-24:00", 1, ""},
        {"", 0, ""},
        {" ; ", 0, ""},
        {"FRI-MON,wed 9:00-10:00", -1, "column 13"},
        {"mon 09:00", -1, "column 10"},
        {"mon 21:00-09:00", -1, "column 16"},
        {"mon 09:00-24:01", -1, "column 16"},
        {"foo 09:00-10:00", -1, "column 1"},
        {"mon 09:00-10:00 x", -1, "column 17"},
        {"mon- 09:00-10:00", -1, "column 5"},
        {"mon 09:60-10:00", -1, "column 10"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct open_span s[4];
        struct diag diag = {0};
        uint32_t n = 99;
        int rc = calendar_parse_spans(cases[i].text, s, 4, &n, &diag);
        cr_expect_eq(rc == 0 ? (int)n : -1, cases[i].n, "%s: %s", cases[i].text, diag.text);
        cr_expect_str_eq(diag.where, cases[i].where, "%s", cases[i].text);
    }
    struct open_span s[2];
    uint32_t n = 0;
    struct diag diag = {0};
    cr_assert_eq(calendar_parse_spans("fri-mon,wed 20:30-24:00", s, 2, &n, &diag), 0);
    cr_expect(s[0].days == 0x75 && s[0].from_min == 1230 && s[0].to_min == 1440, "%x", s[0].days);
    cr_expect_eq(calendar_parse_spans("mon 1:00-2:00", s, 0, &n, &diag), CGW_ELIMIT);
}
