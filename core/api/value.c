/* SPDX-License-Identifier: Apache-2.0 */
/* value.c - texts of values: times (RFC 3339), durations (ISO 8601), cursors (base64url), UTF-8.
 * Pure. */
#include "api/api_int.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

/* Days from 1970-01-01 of a proleptic Gregorian date; months count from March so that the leap day
 * comes last. */
static int64_t days_from_civil(int64_t y, int64_t m, int64_t d)
{
    y -= m <= 2;
    int64_t era = y / 400, yoe = y - era * 400;
    int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static int month_days(int y, int m)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    return m == 2 && leap ? 29 : days[m - 1];
}

/* n digits at *p; -1 when there are fewer. */
static int digits(const char **p, int n)
{
    int v = 0;
    for (int i = 0; i < n; i++, (*p)++) {
        if (**p < '0' || **p > '9')
            return -1;
        v = v * 10 + (**p - '0');
    }
    return v;
}

static bool take(const char **p, const char *any)
{
    if (!**p || !strchr(any, **p))
        return false;
    (*p)++;
    return true;
}

/* Up to nanoseconds are read, kept as milliseconds (cut, not rounded: never later than said). */
static int fraction_ms(const char **p)
{
    int ms = 0, n = 0;
    for (; **p >= '0' && **p <= '9'; (*p)++, n++)
        if (n < 3)
            ms = ms * 10 + (**p - '0');
    if (n == 0 || n > 9)
        return -1;
    for (; n < 3; n++)
        ms *= 10;
    return ms;
}

/* "Z" or "+08:00": minutes east, or INT32_MIN. */
static int offset_min(const char **p)
{
    if (take(p, "Zz"))
        return 0;
    int sign = **p == '-' ? -1 : 1;
    if (!take(p, "+-"))
        return INT32_MIN;
    int h = digits(p, 2);
    if (h < 0 || h > 23 || !take(p, ":"))
        return INT32_MIN;
    int m = digits(p, 2);
    return m < 0 || m > 59 ? INT32_MIN : sign * (h * 60 + m);
}

int api_time_parse(const char *text, int64_t *ret_utc_ms)
{
    const char *p = text;
    int y = digits(&p, 4);
    if (y < 1970 || !take(&p, "-"))
        return CGW_EINVAL;
    int mo = digits(&p, 2);
    if (mo < 1 || mo > 12 || !take(&p, "-"))
        return CGW_EINVAL;
    int d = digits(&p, 2);
    if (d < 1 || d > month_days(y, mo) || !take(&p, "Tt "))
        return CGW_EINVAL;
    int h = digits(&p, 2);
    if (h < 0 || h > 23 || !take(&p, ":"))
        return CGW_EINVAL;
    int mi = digits(&p, 2);
    if (mi < 0 || mi > 59 || !take(&p, ":"))
        return CGW_EINVAL;
    int s = digits(&p, 2);
    if (s < 0 || s > 60)
        return CGW_EINVAL;
    int ms = 0;
    if (take(&p, ".") && (ms = fraction_ms(&p)) < 0)
        return CGW_EINVAL;
    int off = offset_min(&p);
    if (off == INT32_MIN || *p)
        return CGW_EINVAL;
    *ret_utc_ms = (((days_from_civil(y, mo, d) * 24 + h) * 60 + mi - off) * 60 + s) * 1000 + ms;
    return 0;
}

void api_time_format(int64_t utc_ms, char out[25])
{
    int64_t days = utc_ms / 86400000, ms = utc_ms % 86400000;
    if (ms < 0) {
        ms += 86400000;
        days--;
    }
    int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097, doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365,
            doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153, d = doy - (153 * mp + 2) / 5 + 1, m = mp + (mp < 10 ? 3 : -9),
            y = yoe + era * 400 + (m <= 2);
    char text[80]; /* room for what the compiler thinks int64 could print */
    (void)snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", (int)(y % 10000),
                   (int)m, (int)d, (int)(ms / 3600000), (int)(ms / 60000 % 60),
                   (int)(ms / 1000 % 60), (int)(ms % 1000));
    memcpy(out, text, 24);
    out[24] = 0;
}

/* P[nW][nD][T[nH][nM][nS]]; years and months have no fixed length and are refused. */
int api_duration_parse(const char *text, int64_t *ret_ms)
{
    static const struct {
        char unit;
        bool time;
        int64_t ms;
    } units[] = {{'W', false, 604800000},
                 {'D', false, 86400000},
                 {'H', true, 3600000},
                 {'M', true, 60000},
                 {'S', true, 1000}};
    const char *p = text;
    if (!take(&p, "P") || !*p)
        return CGW_EINVAL;
    bool time = false, any = false;
    size_t next = 0;
    int64_t total = 0;
    while (*p) {
        if (!time && take(&p, "T")) {
            time = true;
            any = false;
            continue;
        }
        int64_t v = 0;
        int n = 0;
        for (; *p >= '0' && *p <= '9' && n < 9; p++, n++)
            v = v * 10 + (*p - '0');
        while (next < ARRAY_LEN(units) && (units[next].unit != *p || units[next].time != time))
            next++;
        if (!n || next == ARRAY_LEN(units))
            return CGW_EINVAL;
        total += v * units[next++].ms;
        p++;
        any = true;
    }
    if (!any)
        return CGW_EINVAL;
    *ret_ms = total;
    return 0;
}

/* Cursors carry a version letter so that their content may change; the rest is the store's text. */
void cursor_encode(const char *text, char *out, size_t out_size)
{
    char plain[API_CURSOR_MAX + 1];
    int n = snprintf(plain, sizeof plain, "1%s", text);
    size_t len = n < 0 ? 0 : (size_t)n < sizeof plain ? (size_t)n : sizeof plain - 1;
    out[0] = 0;
    if (sodium_base64_encoded_len(len, sodium_base64_VARIANT_URLSAFE_NO_PADDING) <= out_size)
        (void)sodium_bin2base64(out, out_size, (const unsigned char *)plain, len,
                                sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

int cursor_decode(const char *text, char *out, size_t out_size)
{
    unsigned char plain[API_CURSOR_MAX + 1];
    size_t n = 0;
    if (sodium_base642bin(plain, sizeof plain - 1, text, strlen(text), NULL, &n, NULL,
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0)
        return -1;
    if (n < 2 || plain[0] != '1' || n > out_size || memchr(plain, 0, n) ||
        !text_is_utf8((const char *)plain, n))
        return -1;
    memcpy(out, plain + 1, n - 1);
    out[n - 1] = 0;
    return (int)n - 1;
}

/* RFC 3629 4: no overlong forms, no surrogates, nothing above U+10FFFF. */
bool text_is_utf8(const char *s, size_t len)
{
    const unsigned char *p = (const unsigned char *)s;
    for (size_t i = 0; i < len;) {
        unsigned char c = p[i];
        size_t n = c < 0x80                ? 1
                   : c >= 0xc2 && c < 0xe0 ? 2
                   : c >= 0xe0 && c < 0xf0 ? 3
                   : c >= 0xf0 && c < 0xf5 ? 4
                                           : 0;
        if (!n || n > len - i)
            return false;
        for (size_t k = 1; k < n; k++)
            if ((p[i + k] & 0xc0) != 0x80)
                return false;
        if ((c == 0xe0 && p[i + 1] < 0xa0) || (c == 0xed && p[i + 1] > 0x9f) ||
            (c == 0xf0 && p[i + 1] < 0x90) || (c == 0xf4 && p[i + 1] > 0x8f))
            return false;
        i += n;
    }
    return true;
}
