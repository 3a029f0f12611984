/* SPDX-License-Identifier: Apache-2.0 */
/* rrule_lunar.c - yearly days of the Chinese calendar (RSCALE=CHINESE, RFC 7529) through libical
 * and ICU. Must not pass any other rule on: libical's iterator has rules on which it does not come
 * back. */
#include "policy/rrule.h"

#include "policy/civil.h"
#include "policy/zone.h"
#include <libical/ical.h>
#include <stdio.h>
#include <stdlib.h>

#define LUNAR_STEPS_MAX                                                                            \
    8 /* years looked at: the horizon is 400 days, the start two years before it */
#define LUNAR_STEP_COST 4000u /* one step costs about as much as this many plain days */

bool rrule_lunar_supported(void)
{
    calendar_lock();
    bool ok = icalrecurrencetype_rscale_is_supported() != 0;
    calendar_unlock();
    return ok;
}

/* All matching days in [from_day, from_day + LUNAR_STEPS_MAX years); lock held. */
static int lunar_days(const struct rrule *r, int32_t from_day, int32_t days[LUNAR_STEPS_MAX])
{
    char text[96];
    struct civil c = civil_of_day(from_day);
    (void)snprintf(text, sizeof text, "RSCALE=CHINESE;FREQ=YEARLY;BYMONTH=%d;BYMONTHDAY=%d",
                   __builtin_ctz(r->months), __builtin_ctz(r->mdays));
    struct icaltimetype start = icaltime_null_date();
    start.year = c.year;
    start.month = c.month;
    start.day = c.day;
    struct icalrecurrencetype rule = icalrecurrencetype_from_string(text);
    icalrecur_iterator *it = icalrecur_iterator_new(rule, start);
    int n = 0;
    while (it && n < LUNAR_STEPS_MAX) {
        struct icaltimetype t = icalrecur_iterator_next(it);
        if (icaltime_is_null_time(t))
            break;
        days[n++] = civil_to_day(t.year, t.month, t.day);
    }
    if (it)
        icalrecur_iterator_free(it);
    free(rule.rscale); /* strdup'ed by icalrecurrencetype_from_string, freed by nobody there
                          (3.0.16) */
    return n;
}

int rrule_expand_lunar(const struct rrule_run *run, int (*emit)(void *ctx, int32_t day), void *ctx)
{
    int32_t days[LUNAR_STEPS_MAX], from = run->from_day - 800;
    if (*run->budget < (uint64_t)LUNAR_STEPS_MAX * LUNAR_STEP_COST)
        return CGW_ELIMIT;
    *run->budget -= (uint64_t)LUNAR_STEPS_MAX * LUNAR_STEP_COST;
    calendar_lock();
    int n = lunar_days(run->rule, from > run->first_day ? from : run->first_day, days);
    calendar_unlock();
    for (int i = 0; i < n && days[i] <= run->to_day; i++) {
        if ((int64_t)days[i] * DAY_MS + run->time_ms > run->until_wall_ms)
            break;
        int rc = days[i] < run->from_day ? 0 : emit(ctx, days[i]);
        if (rc != 0)
            return rc;
    }
    return 0;
}
