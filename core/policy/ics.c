/* SPDX-License-Identifier: Apache-2.0 */
/* ics.c - content lines → checked events; every refusal names the line and what would be right.
 * Must not expand rules or know the recipient's zone. Source: RFC 5545 3.6.1
 * (VEVENT), 3.8.2, 3.8.4.4, 3.8.5. What is read, ignored and refused: README.md "Calendars". */
#include "policy/ics.h"

#include "policy/civil.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* X-LIC-LOCATION of a VTIMEZONE: the tz database's name behind a private one. */
struct ics_alias {
    const char *tzid, *iana;
};

/* The event under construction: its lines by property, before they can be judged together. */
struct draft {
    uint32_t line;
    const struct ics_line *dtstart, *dtend, *duration, *rrule, *recurrence, *uid;
    bool workday, ignored;
};

struct parser {
    struct ics *ics;
    struct diag *diag;
    struct ics_alias aliases[ICS_ZONES_MAX];
    uint32_t n_aliases, n_seen, cap_events, cap_extras;
    struct draft draft;
    struct ics_event ev; /* becomes events[n_events] unless ignored */
};

static int fail(struct parser *p, int code, uint32_t line, const char *fmt, ...) CGW_PRINTF(4, 5);
static int fail(struct parser *p, int code, uint32_t line, const char *fmt, ...)
{
    char where[24], text[CGW_DIAG_MAX];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    (void)snprintf(where, sizeof where, "line %u", line);
    return diag_set(p->diag, code, where, "%s", text);
}

/* ---- zones ---- */

static const char *zone_of_tzid(const struct parser *p, const char *tzid)
{
    if (zone_known(tzid))
        return tzid;
    for (uint32_t i = 0; i < p->n_aliases; i++)
        if (strcmp(p->aliases[i].tzid, tzid) == 0 && zone_known(p->aliases[i].iana))
            return p->aliases[i].iana;
    /* "/example.org/Tzfile/Europe/Berlin": some programs put their own path before the name (RFC
     * 5545 3.2.19) */
    for (const char *s = *tzid == '/' ? tzid : NULL; s; s = strchr(s + 1, '/'))
        if (zone_known(s + 1))
            return s + 1;
    return NULL;
}

static int zone_index(struct parser *p, const struct ics_line *l, const char *tzid, uint8_t *ret)
{
    struct ics *ics = p->ics;
    const char *iana = zone_of_tzid(p, tzid);
    if (!iana)
        return fail(
            p, CGW_EINVAL, l->number,
            "TZID \"%.60s\" is not a zone of the tz database; right is e.g. TZID=Asia/Shanghai",
            tzid);
    for (uint32_t i = 0; i < ics->n_zones; i++)
        if (strcmp(ics->zones[i], iana) == 0) {
            *ret = (uint8_t)i;
            return 0;
        }
    if (ics->n_zones == ICS_ZONES_MAX)
        return fail(p, CGW_ELIMIT, l->number, "more than %u different time zones", ICS_ZONES_MAX);
    (void)snprintf(ics->zones[ics->n_zones], sizeof ics->zones[0], "%s", iana);
    *ret = (uint8_t)ics->n_zones++;
    return 0;
}

/* One value of a line → time; TZID applies to times without Z. */
static int read_time(struct parser *p, const struct ics_line *l, const char *value,
                     struct ics_time *ret)
{
    char tzid[64], type[16];
    if (!ics_read_time(value, ret))
        return fail(
            p, CGW_EINVAL, l->number,
            "%s \"%.30s\" is no date; right is 20260101, 20260101T090000 or 20260101T010000Z",
            l->name, value);
    if (ics_param(l->params, "VALUE", type, sizeof type) && strcasecmp(type, "DATE") == 0 &&
        ret->clock != ICS_DATE)
        return fail(p, CGW_EINVAL, l->number, "%s says VALUE=DATE but has a time of day", l->name);
    if (ret->clock == ICS_FLOATING && ics_param(l->params, "TZID", tzid, sizeof tzid)) {
        ret->clock = ICS_ZONED;
        return zone_index(p, l, tzid, &ret->zone);
    }
    return 0;
}

static bool load_around(const struct parser *p, const struct ics_time *t, struct zone_table *z)
{
    return zone_load(p->ics->zones[t->zone], t->wall_ms - 3 * DAY_MS, t->wall_ms + 3 * DAY_MS, z);
}

/* Bring a time onto the clock of the event, so that from here on only wall times are compared. */
static int to_clock_of(struct parser *p, const struct ics_line *l, const struct ics_time *ev,
                       struct ics_time *t)
{
    struct zone_table z;
    if (t->clock == ev->clock && (t->clock != ICS_ZONED || t->zone == ev->zone))
        return 0;
    if ((t->clock == ICS_DATE) != (ev->clock == ICS_DATE))
        return fail(p, CGW_EINVAL, l->number,
                    "%s and DTSTART must both be dates or both have a time of day", l->name);
    if (t->clock == ICS_FLOATING || ev->clock == ICS_FLOATING)
        return fail(p, CGW_EINVAL, l->number,
                    "%s and DTSTART must both have a time zone or both have none", l->name);
    int64_t utc_ms = t->wall_ms, wall_ms = 0;
    if (t->clock == ICS_ZONED) {
        if (!load_around(p, t, &z))
            return fail(p, CGW_EINVAL, l->number, "time zone cannot be read");
        utc_ms = zone_wall_to_utc(&z, t->wall_ms, false);
    }
    wall_ms = utc_ms;
    if (ev->clock == ICS_ZONED) {
        const struct ics_time at = {.wall_ms = utc_ms, .clock = ICS_ZONED, .zone = ev->zone};
        if (!load_around(p, &at, &z))
            return fail(p, CGW_EINVAL, l->number, "time zone cannot be read");
        wall_ms += zone_offset_ms(&z, utc_ms);
    }
    *t = (struct ics_time){.wall_ms = wall_ms, .clock = ev->clock, .zone = ev->zone};
    return 0;
}

/* ---- extras: RDATE, EXDATE, RECURRENCE-ID ---- */

static int push_extra(struct parser *p, const struct ics_line *l, struct ics_extra extra)
{
    struct ics *ics = p->ics;
    if (ics->n_extras == ICS_EXTRAS_MAX)
        return fail(p, CGW_ELIMIT, l->number, "more than %u RDATE and EXDATE values",
                    ICS_EXTRAS_MAX);
    if (ics->n_extras == p->cap_extras) {
        uint32_t cap = p->cap_extras ? p->cap_extras * 2 : 64;
        struct ics_extra *v = realloc(ics->extras, cap * sizeof *v);
        if (!v)
            return diag_set(p->diag, -ENOMEM, "", "out of memory");
        ics->extras = v;
        p->cap_extras = cap;
    }
    ics->extras[ics->n_extras++] = extra;
    return 0;
}

/* "20260101T090000Z/PT8H" or "…/20260101T170000Z" (3.3.9). */
static int read_period_end(struct parser *p, const struct ics_line *l, const char *end,
                           const struct ics_time *start, int64_t *ret_len_ms)
{
    struct ics_time t;
    if (ics_read_duration(end, ret_len_ms))
        return 0;
    int rc = read_time(p, l, end, &t);
    if (rc == 0)
        rc = to_clock_of(p, l, start, &t);
    *ret_len_ms = rc == 0 ? t.wall_ms - start->wall_ms : 0;
    return rc;
}

static int add_extra(struct parser *p, const struct ics_line *l, char *value,
                     enum ics_extra_kind kind)
{
    struct ics_time t;
    int64_t len_ms = p->ev.len_ms;
    char *slash = kind == ICS_RDATE ? strchr(value, '/') : NULL;
    if (slash)
        *slash = '\0';
    int rc = read_time(p, l, value, &t);
    if (rc == 0)
        rc = to_clock_of(p, l, &p->ev.start, &t);
    if (rc == 0 && slash)
        rc = read_period_end(p, l, slash + 1, &t, &len_ms);
    if (rc != 0)
        return rc;
    if (len_ms <= 0 || len_ms > ICS_EVENT_DAYS_MAX * DAY_MS)
        return fail(p, CGW_EINVAL, l->number,
                    "%s period must end after it starts and last at most %d days", l->name,
                    ICS_EVENT_DAYS_MAX);
    return push_extra(p, l, (struct ics_extra){p->ics->n_events, (uint8_t)kind, t.wall_ms, len_ms});
}

static int add_extras(struct parser *p, const struct ics_line *l, enum ics_extra_kind kind)
{
    const char *s = l->value;
    for (;;) {
        char value[40];
        size_t n = strcspn(s, ",");
        if (n >= sizeof value)
            return fail(p, CGW_EINVAL, l->number, "%s \"%.30s\" is no date", l->name, s);
        memcpy(value, s, n);
        value[n] = '\0';
        int rc = add_extra(p, l, value, kind);
        if (rc != 0)
            return rc;
        if (s[n] == '\0')
            return 0;
        s += n + 1;
    }
}

/* ---- one event ---- */

static int finish_length(struct parser *p)
{
    const struct draft *d = &p->draft;
    struct ics_event *ev = &p->ev;
    bool all_day = ev->start.clock == ICS_DATE;
    struct ics_time end;
    const struct ics_line *l = d->dtend ? d->dtend : d->duration ? d->duration : d->dtstart;
    if (d->dtend && d->duration)
        return fail(p, CGW_EINVAL, d->duration->number, "DTEND and DURATION exclude each other");
    if (d->dtend) {
        int rc = read_time(p, d->dtend, d->dtend->value, &end);
        if (rc == 0)
            rc = to_clock_of(p, d->dtend, &ev->start, &end);
        if (rc != 0)
            return rc;
        ev->len_ms = end.wall_ms - ev->start.wall_ms;
    } else if (d->duration) {
        if (!ics_read_duration(d->duration->value, &ev->len_ms))
            return fail(p, CGW_EINVAL, l->number,
                        "DURATION \"%.30s\" is wrong; right is P1D, PT8H30M or P2W", l->value);
        if (all_day && ev->len_ms % DAY_MS != 0)
            return fail(p, CGW_EINVAL, l->number,
                        "an all-day event lasts whole days, e.g. DURATION:P1D");
    } else if (all_day) {
        ev->len_ms = DAY_MS;
    } else {
        return fail(p, CGW_EINVAL, l->number,
                    "an event with a time of day needs DTEND or DURATION, else it closes nothing");
    }
    if (ev->len_ms <= 0)
        return fail(p, CGW_EINVAL, l->number,
                    "the event ends before or when it starts; an all-day DTEND is the day after");
    if (ev->len_ms > ICS_EVENT_DAYS_MAX * DAY_MS)
        return fail(p, CGW_ELIMIT, l->number, "the event is longer than %d days",
                    ICS_EVENT_DAYS_MAX);
    return 0;
}

/* UNTIL should have the form of DTSTART (3.3.10); of the readings of another form the later one
 * counts, closing longer. */
static int finish_until(struct parser *p)
{
    const struct ics_line *l = p->draft.rrule;
    struct ics_event *ev = &p->ev;
    struct ics_time t;
    char text[24];
    ev->until_wall_ms = INT64_MAX;
    if (!ev->rule.until)
        return 0;
    (void)snprintf(text, sizeof text, "%.*s",
                   ev->rule.until_len < sizeof text ? (int)ev->rule.until_len : 0, ev->rule.until);
    if (!ics_read_time(text, &t))
        return fail(p, CGW_EINVAL, l->number,
                    "RRULE part UNTIL=%.20s is no date; right is UNTIL=20261231", text);
    bool all_day = ev->start.clock == ICS_DATE;
    if (t.clock == ICS_DATE || all_day) {
        int64_t ahead_ms = t.clock == ICS_UTC ? 14 * 60 * MINUTE_MS
                                              : 0; /* the earliest wall on Earth is 14 h ahead */
        ev->until_wall_ms = floor_div(t.wall_ms + ahead_ms, DAY_MS) * DAY_MS + DAY_MS - 1;
        return 0;
    }
    if (t.clock == ICS_FLOATING) /* read on the event's own clock */
        t = (struct ics_time){
            .wall_ms = t.wall_ms, .clock = ev->start.clock, .zone = ev->start.zone};
    else if (ev->start.clock == ICS_FLOATING)
        t = (struct ics_time){.wall_ms = t.wall_ms + 14 * 60 * MINUTE_MS, .clock = ICS_FLOATING};
    int rc = to_clock_of(p, l, &ev->start, &t);
    ev->until_wall_ms = t.wall_ms;
    return rc;
}

static int finish_rule(struct parser *p)
{
    const struct draft *d = &p->draft;
    char where[24];
    if (!d->rrule)
        return 0;
    (void)snprintf(where, sizeof where, "line %u", d->rrule->number);
    int rc = rrule_parse(d->rrule->value, where, &p->ev.rule, p->diag);
    if (rc != 0)
        return rc;
    p->ev.has_rule = true;
    return finish_until(p);
}

static int finish_override(struct parser *p)
{
    const struct ics_line *l = p->draft.recurrence;
    struct ics_time t;
    char range[20];
    if (!l)
        return 0;
    if (p->draft.rrule)
        return fail(p, CGW_EINVAL, l->number, "an event with RECURRENCE-ID must not have an RRULE");
    if (ics_param(l->params, "RANGE", range, sizeof range))
        return fail(p, CGW_EINVAL, l->number,
                    "RECURRENCE-ID with RANGE is not supported; end the first event with UNTIL and "
                    "start a new one");
    p->ev.is_override = true;
    return read_time(p, l, l->value, &t); /* matched with its master when all events are known */
}

static int push_event(struct parser *p)
{
    struct ics *ics = p->ics;
    if (ics->n_events == p->cap_events) {
        uint32_t cap = p->cap_events ? p->cap_events * 2 : 32;
        struct ics_event *v = realloc(ics->events, cap * sizeof *v);
        if (!v)
            return diag_set(p->diag, -ENOMEM, "", "out of memory");
        ics->events = v;
        p->cap_events = cap;
    }
    ics->events[ics->n_events++] = p->ev;
    return 0;
}

static int finish_event(struct parser *p)
{
    struct draft *d = &p->draft;
    if (!d->dtstart)
        return fail(p, CGW_EINVAL, d->line, "VEVENT without DTSTART");
    p->ev = (struct ics_event){
        .line = d->line, .workday = d->workday, .uid = d->uid ? d->uid->value : ""};
    int rc = read_time(p, d->dtstart, d->dtstart->value, &p->ev.start);
    if (rc == 0)
        rc = finish_length(p);
    if (rc == 0 && d->workday && p->ev.start.clock != ICS_DATE)
        rc = fail(p, CGW_EINVAL, d->dtstart->number,
                  "a make-up workday (CATEGORIES:WORKDAY) is an all-day event; right is "
                  "DTSTART;VALUE=DATE:20260214");
    if (rc == 0)
        rc = finish_rule(p);
    if (rc == 0)
        rc = finish_override(p);
    return rc;
}

/* ---- the walk over the lines ---- */

/* Properties that may stand once, and where the draft keeps them. */
static const struct event_prop {
    const char *name;
    size_t at;
} event_props[] = {
    {"DTSTART", offsetof(struct draft, dtstart)},
    {"DTEND", offsetof(struct draft, dtend)},
    {"DURATION", offsetof(struct draft, duration)},
    {"RRULE", offsetof(struct draft, rrule)},
    {"UID", offsetof(struct draft, uid)},
    {"RECURRENCE-ID", offsetof(struct draft, recurrence)},
};

static int take_property(struct parser *p, const struct ics_line *l)
{
    struct draft *d = &p->draft;
    for (size_t i = 0; i < ARRAY_LEN(event_props); i++) {
        if (strcasecmp(event_props[i].name, l->name) != 0)
            continue;
        const struct ics_line **slot =
            (const struct ics_line **)(void *)((char *)d + event_props[i].at);
        if (*slot)
            return fail(p, CGW_EINVAL, l->number, "%s stands twice in one event",
                        event_props[i].name);
        *slot = l;
        return 0;
    }
    if (strcasecmp(l->name, "CATEGORIES") == 0)
        d->workday = d->workday || ics_list_has(l->value, "WORKDAY");
    else if (strcasecmp(l->name, "TRANSP") == 0)
        d->ignored = d->ignored || strcasecmp(l->value, "TRANSPARENT") == 0;
    else if (strcasecmp(l->name, "STATUS") == 0)
        d->ignored = d->ignored || strcasecmp(l->value, "CANCELLED") == 0;
    else if (strcasecmp(l->name, "EXRULE") == 0)
        return fail(p, CGW_EINVAL, l->number,
                    "EXRULE is not supported (RFC 5545 dropped it); list the days with EXDATE");
    return 0;
}

/* The lines of one VEVENT, without the components inside it: first the single ones, then the lists
 * that need them. */
static int walk_event(struct parser *p, uint32_t from, uint32_t to, const uint8_t *depth)
{
    const struct ics_line *v = p->ics->lines.v;
    uint8_t own = depth[from];
    p->draft = (struct draft){.line = v[from].number};
    if (++p->n_seen > CALENDAR_EVENTS_MAX)
        return fail(p, CGW_ELIMIT, v[from].number,
                    "more than %u events; at most %u are taken, split the calendar",
                    CALENDAR_EVENTS_MAX, CALENDAR_EVENTS_MAX);
    int rc = 0;
    for (uint32_t i = from + 1; i < to && rc == 0; i++)
        if (depth[i] == own)
            rc = take_property(p, &v[i]);
    if (rc == 0)
        rc = finish_event(p);
    if (rc != 0)
        return rc;
    if (p->draft.ignored)
        p->ics->n_ignored++;
    else
        for (uint32_t i = from + 1; i < to && rc == 0; i++) {
            if (depth[i] != own)
                continue;
            if (strcasecmp(v[i].name, "RDATE") == 0)
                rc = add_extras(p, &v[i], ICS_RDATE);
            else if (strcasecmp(v[i].name, "EXDATE") == 0)
                rc = add_extras(p, &v[i], ICS_EXDATE);
        }
    return rc == 0 && !p->draft.ignored ? push_event(p) : rc;
}

/* A moved or cancelled occurrence takes the original one out of its master. */
static int walk_override(struct parser *p, const struct ics_line *l, const char *uid)
{
    struct ics *ics = p->ics;
    for (uint32_t i = 0; *uid != '\0' && i < ics->n_events; i++) {
        struct ics_event *master = &ics->events[i];
        struct ics_time t;
        if (master->is_override || strcmp(master->uid, uid) != 0)
            continue;
        int rc = read_time(p, l, l->value, &t);
        if (rc == 0)
            rc = to_clock_of(p, l, &master->start, &t);
        if (rc == 0)
            rc = push_extra(p, l, (struct ics_extra){i, ICS_EXDATE, t.wall_ms, 0});
        return rc;
    }
    return 0; /* without a master it stands for itself */
}

static void walk_zone(struct parser *p, uint32_t from, uint32_t to)
{
    const struct ics_line *v = p->ics->lines.v;
    struct ics_alias a = {NULL, NULL};
    for (uint32_t i = from + 1; i < to; i++) {
        if (strcasecmp(v[i].name, "TZID") == 0)
            a.tzid = v[i].value;
        else if (strcasecmp(v[i].name, "X-LIC-LOCATION") == 0)
            a.iana = v[i].value;
    }
    if (a.tzid && a.iana && p->n_aliases < ICS_ZONES_MAX)
        p->aliases[p->n_aliases++] = a;
}

/* Checks that BEGIN and END pair up, and notes for each line how deep it stands (BEGIN and END:
 * inside). */
static int check_nesting(struct parser *p, uint8_t *depth, uint32_t *end_of)
{
    const struct ics_lines *l = &p->ics->lines;
    uint32_t open[ICS_DEPTH_MAX], n = 0;
    if (l->n == 0 || strcasecmp(l->v[0].name, "BEGIN") != 0 ||
        strcasecmp(l->v[0].value, "VCALENDAR") != 0)
        return fail(p, CGW_EINVAL, 1,
                    "not an iCalendar file; the first line must be BEGIN:VCALENDAR");
    for (uint32_t i = 0; i < l->n; i++) {
        const struct ics_line *at = &l->v[i];
        bool begin = strcasecmp(at->name, "BEGIN") == 0, end = strcasecmp(at->name, "END") == 0;
        if (begin && n == ICS_DEPTH_MAX)
            return fail(p, CGW_ELIMIT, at->number, "components nested deeper than %u",
                        ICS_DEPTH_MAX);
        if (begin)
            open[n++] = i;
        if (n == 0)
            return fail(p, CGW_EINVAL, at->number, "line outside BEGIN:VCALENDAR … END:VCALENDAR");
        depth[i] = (uint8_t)n;
        if (!end)
            continue;
        if (strcasecmp(l->v[open[n - 1]].value, at->value) != 0)
            return fail(p, CGW_EINVAL, at->number,
                        "END:%.20s does not close the BEGIN:%.20s of line %u", at->value,
                        l->v[open[n - 1]].value, l->v[open[n - 1]].number);
        end_of[open[--n]] = i;
    }
    if (n > 0)
        return fail(p, CGW_EINVAL, l->v[open[n - 1]].number,
                    "BEGIN:%.20s is never closed; the file ends too early",
                    l->v[open[n - 1]].value);
    return 0;
}

static bool is_begin(const struct ics_line *l, const char *component)
{
    return strcasecmp(l->name, "BEGIN") == 0 && strcasecmp(l->value, component) == 0;
}

static int walk_overrides(struct parser *p, const uint32_t *end_of)
{
    const struct ics_lines *l = &p->ics->lines;
    for (uint32_t i = 0; i < l->n; i++) {
        const struct ics_line *id = NULL;
        const char *uid = "";
        if (!is_begin(&l->v[i], "VEVENT"))
            continue;
        for (uint32_t k = i + 1; k < end_of[i]; k++) {
            if (strcasecmp(l->v[k].name, "RECURRENCE-ID") == 0)
                id = &l->v[k];
            else if (strcasecmp(l->v[k].name, "UID") == 0)
                uid = l->v[k].value;
        }
        int rc = id ? walk_override(p, id, uid) : 0;
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int extra_cmp(const void *pa, const void *pb)
{
    const struct ics_extra *a = pa, *b = pb;
    if (a->event != b->event)
        return a->event < b->event ? -1 : 1;
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    return (a->wall_ms > b->wall_ms) - (a->wall_ms < b->wall_ms);
}

static void link_extras(struct ics *ics)
{
    if (ics->n_extras > 0)
        qsort(ics->extras, ics->n_extras, sizeof *ics->extras, extra_cmp);
    for (uint32_t i = 0; i < ics->n_extras; i++) {
        struct ics_event *ev = &ics->events[ics->extras[i].event];
        if (ev->n_extras++ == 0)
            ev->extra_at = i;
    }
}

static int walk(struct parser *p, uint8_t *depth, uint32_t *end_of)
{
    const struct ics_lines *l = &p->ics->lines;
    int rc = check_nesting(p, depth, end_of);
    for (uint32_t i = 0; i < l->n && rc == 0; i++)
        if (is_begin(&l->v[i], "VTIMEZONE"))
            walk_zone(p, i, end_of[i]);
    for (uint32_t i = 0; i < l->n && rc == 0; i++)
        if (is_begin(&l->v[i], "VEVENT"))
            rc = walk_event(p, i, end_of[i], depth);
    if (rc == 0)
        rc = walk_overrides(p, end_of);
    if (rc == 0 && p->ics->n_events == 0 && p->ics->n_ignored > 0)
        rc = fail(p, CGW_EINVAL, 1,
                  "all %u events are TRANSP:TRANSPARENT or STATUS:CANCELLED, so the calendar would "
                  "close nothing; right is TRANSP:OPAQUE",
                  p->ics->n_ignored);
    if (rc == 0)
        link_extras(p->ics);
    return rc;
}

int ics_parse(const char *text, size_t len, struct ics *ret, struct diag *diag)
{
    struct ics ics = {0};
    int rc = ics_lines_read(text, len, &ics.lines, diag);
    if (rc != 0)
        return rc;
    /* NOLINTBEGIN(clang-analyzer-unix.Malloc) - the analyzer forgets the attribute behind walk() */
    auto_free struct parser *p = calloc(1, sizeof *p);
    auto_free uint8_t *depth = calloc(ics.lines.n + 1u, sizeof *depth);
    auto_free uint32_t *end_of = calloc(ics.lines.n + 1u, sizeof *end_of);
    if (p && depth && end_of) {
        p->ics = &ics;
        p->diag = diag;
        rc = walk(p, depth, end_of);
    } else {
        rc = diag_set(diag, -ENOMEM, "", "out of memory");
    }
    if (rc != 0) {
        ics_done(&ics);
        return rc;
    }
    *ret = ics;
    return 0;
    /* NOLINTEND(clang-analyzer-unix.Malloc) */
}

void ics_done(struct ics *ics)
{
    ics_lines_done(&ics->lines);
    free(ics->events);
    free(ics->extras);
    *ics = (struct ics){0};
}
