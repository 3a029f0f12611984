/* SPDX-License-Identifier: Apache-2.0 */
/* validity.c - writes the two forms of SMPP time. Rounds down only: a message that comes after its
 * window is worse than none. Source: SMPP 3.4 7.1.1.1 (absolute: YYMMDDhhmmsstnnp, t tenths, nn
 * quarter hours from UTC) and 7.1.1.2 (relative: p = R). */
#include "validity.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define DAY_S 86400
#define LONGEST_MS (30ll * DAY_S * 1000)

int smpp_validity_parse(const char *word, enum smpp_validity *ret)
{
    static const char *const words[] = {
        [SMPP_VALIDITY_NONE] = "none",
        [SMPP_VALIDITY_ABSOLUTE] = "absolute",
        [SMPP_VALIDITY_RELATIVE] = "relative",
    };
    for (int i = 0; i <= SMPP_VALIDITY_RELATIVE; i++) {
        if (!strcmp(word, words[i])) {
            *ret = (enum smpp_validity)i;
            return 0;
        }
    }
    return -EINVAL;
}

static void write_relative(int64_t left_s, char out[SMPP_TIME_LEN + 1])
{
    unsigned days = (unsigned)(left_s / DAY_S), rest = (unsigned)(left_s % DAY_S);
    (void)snprintf(out, SMPP_TIME_LEN + 1, "0000%02u%02u%02u%02u000R", days % 100, rest / 3600 % 24,
                   rest / 60 % 60, rest % 60);
}

static int write_absolute(int64_t end_s, char out[SMPP_TIME_LEN + 1])
{
    time_t t = (time_t)end_s;
    struct tm tm;
    if (!gmtime_r(&t, &tm))
        return -EINVAL;
    (void)snprintf(out, SMPP_TIME_LEN + 1, "%02u%02u%02u%02u%02u%02u000+",
                   (unsigned)(tm.tm_year + 1900) % 100, (unsigned)(tm.tm_mon + 1) % 100,
                   (unsigned)tm.tm_mday % 100, (unsigned)tm.tm_hour % 100,
                   (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
    return 0;
}

int smpp_validity_write(const struct smpp_validity_rules *rules, int64_t now_utc_ms,
                        int64_t not_after_utc_ms, char out[SMPP_TIME_LEN + 1])
{
    int64_t max_ms = rules->max_ms > 0 && rules->max_ms < LONGEST_MS ? rules->max_ms : LONGEST_MS;
    int64_t min_ms = rules->min_ms > 1000 ? rules->min_ms : 1000;
    int64_t left_ms = max_ms;
    out[0] = 0;
    if (not_after_utc_ms > 0) {
        if (not_after_utc_ms <= now_utc_ms)
            return -ETIME;
        left_ms = not_after_utc_ms - now_utc_ms - rules->margin_ms;
    }
    if (left_ms < min_ms)
        return -ETIME;
    if (left_ms > max_ms)
        left_ms = max_ms;
    if (rules->form == SMPP_VALIDITY_RELATIVE)
        write_relative(left_ms / 1000, out);
    else if (rules->form == SMPP_VALIDITY_ABSOLUTE)
        return write_absolute((now_utc_ms + left_ms) / 1000, out);
    return 0;
}
