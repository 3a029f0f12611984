/* SPDX-License-Identifier: Apache-2.0 */
/* dates.c - times as XML schema writes them. Always UTC with its Z: centres take a time without an
 * offset for their own. */
#include "content.h"

#include <stdio.h>
#include <time.h>

void mms_date(int64_t utc_ms, char *out, size_t size)
{
    time_t s = (time_t)(utc_ms / 1000);
    struct tm tm;
    if (!gmtime_r(&s, &tm) || strftime(out, size, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        out[0] = '\0';
}

void mms_duration(int64_t ms, char *out, size_t size)
{
    (void)snprintf(out, size, "PT%lldS", (long long)(ms / 1000));
}
