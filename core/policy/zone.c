/* SPDX-License-Identifier: Apache-2.0 */
/* zone.c - reads the system's tzdata through libical and turns it into tables of constant offsets.
 * Must not interpret calendars. Source: tz database as installed (/usr/share/zoneinfo), RFC
 * 5545 3.3.5. */
#include "policy/zone.h"

#include "policy/calendar.h"
#include "policy/civil.h"
#include <ctype.h>
#include <libical/ical.h>
#include <pthread.h>
#include <string.h>

static pthread_mutex_t ical_mutex = PTHREAD_MUTEX_INITIALIZER;

void calendar_lock(void)
{
    (void)pthread_mutex_lock(&ical_mutex);
    static bool ready = false;
    if (ready)
        return;
    icaltimezone_set_builtin_tzdata(0); /* the system's tzdata, not a copy inside the library */
    icalerror_set_errors_are_fatal(0);  /* default builds abort on bad input */
    ready = true;
}

void calendar_unlock(void)
{
    (void)pthread_mutex_unlock(&ical_mutex);
}

/* The library turns a name into a path: only names of the tz database's form get that far. Names in
 * lower case are "localtime" (this machine's), "posix/…" and "right/…" (counts leap seconds). */
static bool zone_name_ok(const char *name)
{
    size_t len = name ? strnlen(name, 64) : 0;
    if (len == 0 || len == 64 || name[0] < 'A' || name[0] > 'Z' || strcmp(name, "Factory") == 0)
        return false;
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)name[i]) && !strchr("_+-/", name[i]))
            return false;
    return strstr(name, "//") == NULL && name[len - 1] != '/';
}

static icaltimezone *zone_find(const char *iana) /* lock held */
{
    return zone_name_ok(iana) ? icaltimezone_get_builtin_timezone(iana) : NULL;
}

static int64_t offset_at(icaltimezone *zone, int64_t utc_s) /* lock held; ms */
{
    struct icaltimetype t =
        icaltime_from_timet_with_zone((time_t)utc_s, 0, icaltimezone_get_utc_timezone());
    int is_dst = 0;
    return (int64_t)icaltimezone_get_utc_offset_of_utc_time(zone, &t, &is_dst) * 1000;
}

/* First second in (lo, hi] with another offset than lo; offsets at lo and hi differ. */
static int64_t find_change(icaltimezone *zone, int64_t lo_s, int64_t hi_s, int64_t off_ms)
{
    while (hi_s - lo_s > 1) {
        int64_t mid_s = lo_s + (hi_s - lo_s) / 2;
        if (offset_at(zone, mid_s) == off_ms)
            lo_s = mid_s;
        else
            hi_s = mid_s;
    }
    return hi_s;
}

/* Asks once a day: no zone has ever changed twice within a day. */
static bool fill_table(icaltimezone *zone, int64_t from_s, int64_t to_s, struct zone_table *t)
{
    int64_t off_ms = offset_at(zone, from_s), at_s = from_s;
    t->n = 0;
    t->v[0] = (struct zone_stretch){from_s * 1000, to_s * 1000, off_ms};
    while (at_s < to_s) {
        int64_t next_s = to_s - at_s > 86400 ? at_s + 86400 : to_s;
        if (offset_at(zone, next_s) == off_ms) {
            at_s = next_s;
            continue;
        }
        at_s = find_change(zone, at_s, next_s, off_ms);
        if (t->n + 1 == ZONE_STRETCHES_MAX)
            return false;
        off_ms = offset_at(zone, at_s);
        t->v[t->n].to_ms = at_s * 1000;
        t->v[++t->n] = (struct zone_stretch){at_s * 1000, to_s * 1000, off_ms};
    }
    t->n++;
    return true;
}

bool zone_load(const char *iana, int64_t from_ms, int64_t to_ms, struct zone_table *ret)
{
    int64_t from_s = floor_div(from_ms, 1000), to_s = floor_div(to_ms, 1000) + 1;
    if (to_s <= from_s || to_s - from_s > ZONE_SPAN_DAYS_MAX * INT64_C(86400))
        return false;
    calendar_lock();
    icaltimezone *zone = zone_find(iana);
    bool ok = zone && fill_table(zone, from_s, to_s, ret);
    calendar_unlock();
    return ok;
}

int64_t zone_offset_ms(const struct zone_table *z, int64_t utc_ms)
{
    uint32_t i = 0;
    while (i + 1 < z->n && utc_ms >= z->v[i].to_ms)
        i++;
    return z->v[i].off_ms;
}

void zone_map_wall(const struct zone_table *z, const struct iset *wall, struct iset *dst)
{
    iset_clear(dst);
    for (uint32_t i = 0; i < z->n; i++) {
        const struct zone_stretch *s = &z->v[i];
        size_t lo = 0, hi = wall->n;
        while (lo < hi) { /* first wall interval that ends inside or behind this stretch */
            size_t mid = lo + (hi - lo) / 2;
            if (wall->v[mid].to_ms - s->off_ms > s->from_ms)
                hi = mid;
            else
                lo = mid + 1;
        }
        for (; lo < wall->n; lo++) {
            int64_t from_ms = wall->v[lo].from_ms - s->off_ms,
                    to_ms = wall->v[lo].to_ms - s->off_ms;
            if (from_ms >= s->to_ms)
                break;
            iset_add(dst, from_ms > s->from_ms ? from_ms : s->from_ms,
                     to_ms < s->to_ms ? to_ms : s->to_ms);
        }
    }
    dst->failed = dst->failed || wall->failed;
}

int64_t zone_wall_to_utc(const struct zone_table *z, int64_t wall_ms, bool latest)
{
    int64_t gap_ms = 0, found_ms = 0;
    bool found = false;
    for (uint32_t i = 0; i < z->n; i++) {
        const struct zone_stretch *s = &z->v[i];
        int64_t utc_ms = wall_ms - s->off_ms;
        bool first = i == 0, last = i + 1 == z->n;
        if ((first || utc_ms >= s->from_ms) && (last || utc_ms < s->to_ms)) {
            found_ms = utc_ms;
            found = true;
            if (!latest)
                return found_ms;
        }
        if (!last && utc_ms >= s->to_ms && wall_ms - z->v[i + 1].off_ms < s->to_ms)
            gap_ms = latest ? utc_ms : s->to_ms;
    }
    return found ? found_ms : gap_ms;
}

struct interval zone_close(const struct zone_table *z, int64_t from_wall_ms, int64_t to_wall_ms)
{
    struct interval utc = {zone_wall_to_utc(z, from_wall_ms, false),
                           zone_wall_to_utc(z, to_wall_ms, true)};
    int64_t by_stopwatch_ms = utc.from_ms + (to_wall_ms - from_wall_ms);
    if (utc.to_ms < by_stopwatch_ms)
        utc.to_ms = by_stopwatch_ms;
    return utc;
}

/* ---- public zone arithmetic ---- */

bool zone_known(const char *iana)
{
    calendar_lock();
    bool known = zone_find(iana) != NULL;
    calendar_unlock();
    return known;
}

bool zone_local_day(const char *iana, int64_t utc_ms, int32_t *ret_days_since_2000,
                    int *ret_minute_of_day)
{
    calendar_lock();
    icaltimezone *zone = zone_find(iana);
    int64_t off_ms = zone ? offset_at(zone, floor_div(utc_ms, 1000)) : 0;
    calendar_unlock();
    if (!zone)
        return false;
    int64_t wall_ms = utc_ms + off_ms, day = floor_div(wall_ms, DAY_MS);
    if (ret_days_since_2000)
        *ret_days_since_2000 = (int32_t)(day - DAY_OF_2000);
    if (ret_minute_of_day)
        *ret_minute_of_day = (int)((wall_ms - day * DAY_MS) / MINUTE_MS);
    return true;
}

/* The first moment whose date is this day or a later one (a day that a zone skipped starts with its
 * successor). */
bool zone_day_start(const char *iana, int32_t days_since_2000, int64_t *ret_utc_ms)
{
    struct zone_table z;
    int64_t wall_ms = ((int64_t)days_since_2000 + DAY_OF_2000) * DAY_MS;
    if (!zone_load(iana, wall_ms - 3 * DAY_MS, wall_ms + 3 * DAY_MS, &z))
        return false;
    *ret_utc_ms = zone_wall_to_utc(&z, wall_ms, false);
    return true;
}
