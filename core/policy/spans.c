/* SPDX-License-Identifier: Apache-2.0 */
/* spans.c - weekly open hours in their short text form: "mon-fri 09:00-21:00; sat,sun 10:00-13:00".
 * Must not know dates or zones. Several spans a day are several entries; a span does not cross
 * midnight. */
#include "policy/calendar.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

struct reader {
    const char *text, *at;
    struct diag *diag;
};

static int wrong(const struct reader *r, const char *right)
{
    char where[32];
    (void)snprintf(where, sizeof where, "column %zu", (size_t)(r->at - r->text) + 1);
    return diag_set(r->diag, CGW_EINVAL, where,
                    "open hours: %s expected, e.g. \"mon-fri 09:00-21:00; sat 10:00-13:00\"",
                    right);
}

static void skip_blanks(struct reader *r)
{
    r->at += strspn(r->at, " \t");
}

static bool read_weekday(struct reader *r, int *ret)
{
    static const char words[7][4] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
    for (int i = 0; i < 7; i++)
        if (strncasecmp(r->at, words[i], 3) == 0) {
            *ret = i;
            r->at += 3;
            return true;
        }
    return false;
}

/* "mon-fri,sun" or "daily"; fri-mon goes over the week's end. */
static int read_days(struct reader *r, uint8_t *ret)
{
    if (strncasecmp(r->at, "daily", 5) == 0) {
        r->at += 5;
        *ret = 0x7f;
        return 0;
    }
    for (;;) {
        int from = 0, to = 0;
        if (!read_weekday(r, &from))
            return wrong(r, "a weekday (mon tue wed thu fri sat sun) or daily");
        to = from;
        if (*r->at == '-') {
            r->at++;
            if (!read_weekday(r, &to))
                return wrong(r, "a weekday");
        }
        for (int day = from;; day = (day + 1) % 7) {
            *ret = (uint8_t)(*ret | 1u << day);
            if (day == to)
                break;
        }
        if (*r->at != ',')
            return 0;
        r->at++;
    }
}

static bool read_two(struct reader *r, int max, int *ret)
{
    const char *s = r->at;
    if (s[0] < '0' || s[0] > '9' || s[1] < '0' || s[1] > '9')
        return false;
    *ret = (s[0] - '0') * 10 + (s[1] - '0');
    r->at += 2;
    return *ret <= max;
}

static int read_minute(struct reader *r, int16_t *ret)
{
    int hour = 0, minute = 0;
    if (!read_two(r, 24, &hour) || *r->at != ':')
        return wrong(r, "a time from 00:00 to 24:00");
    r->at++;
    if (!read_two(r, 59, &minute) || hour * 60 + minute > 1440)
        return wrong(r, "a time from 00:00 to 24:00");
    *ret = (int16_t)(hour * 60 + minute);
    return 0;
}

static int read_span(struct reader *r, struct open_span *ret)
{
    struct open_span s = {0};
    int rc = read_days(r, &s.days);
    if (rc != 0)
        return rc;
    skip_blanks(r);
    rc = read_minute(r, &s.from_min);
    if (rc == 0 && *r->at != '-')
        rc = wrong(r, "\"-\" between two times");
    if (rc != 0)
        return rc;
    r->at++;
    rc = read_minute(r, &s.to_min);
    if (rc == 0 && s.to_min <= s.from_min)
        rc = wrong(r, "an end after the start (a night is two spans: 20:00-24:00 and 00:00-02:00)");
    if (rc == 0)
        *ret = s;
    return rc;
}

int calendar_parse_spans(const char *text, struct open_span *spans, uint32_t max, uint32_t *ret_n,
                         struct diag *diag)
{
    struct reader r = {.text = text, .at = text, .diag = diag};
    uint32_t n = 0;
    for (;;) {
        r.at += strspn(r.at, " \t;");
        if (*r.at == '\0')
            break;
        if (n == max)
            return diag_set(diag, CGW_ELIMIT, "", "open hours: more than %u spans", max);
        int rc = read_span(&r, &spans[n]);
        if (rc != 0)
            return rc;
        n++;
        skip_blanks(&r);
        if (*r.at != ';' && *r.at != '\0')
            return wrong(&r, "\";\" or the end");
    }
    *ret_n = n;
    return 0;
}
