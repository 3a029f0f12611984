/* SPDX-License-Identifier: Apache-2.0 */
/* ics_expand.c - events → occurrences inside a horizon: DTSTART ∪ RRULE ∪ RDATE − EXDATE (RFC
 * 5545 3.8.5). Must not know the recipient's zone: what depends on it stays wall-clock time. */
#include "policy/ics.h"

#include "policy/civil.h"
#include <errno.h>
#include <stdio.h>

/* Zoned events may start this long before the horizon and still get their exact offset. */
#define ZONE_LEAD_DAYS 40

struct each_ctx {
    const struct ics *ics;
    const struct ics_event *ev;
    int64_t from_ms, to_ms; /* wall of the event, half-open */
    ics_emit_fn emit;
    void *ctx;
};

static bool is_excluded(const struct each_ctx *c, int64_t wall_ms)
{
    const struct ics_extra *v = c->ics->extras + c->ev->extra_at;
    uint32_t lo = 0, hi = c->ev->n_extras;
    while (lo < hi) { /* EXDATEs stand first, sorted by time */
        uint32_t mid = lo + (hi - lo) / 2;
        if (v[mid].kind == ICS_EXDATE && v[mid].wall_ms < wall_ms)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < c->ev->n_extras && v[lo].kind == ICS_EXDATE && v[lo].wall_ms == wall_ms;
}

static int occurs(const struct each_ctx *c, int64_t wall_ms, int64_t len_ms)
{
    if (wall_ms >= c->to_ms || wall_ms + len_ms <= c->from_ms)
        return 0;
    if (c->ev->n_extras > 0 && is_excluded(c, wall_ms))
        return 0;
    return c->emit(c->ctx, c->ev, wall_ms, len_ms);
}

static int occurs_by_rule(void *ctx, int32_t day)
{
    const struct each_ctx *c = ctx;
    int64_t start_ms = c->ev->start.wall_ms,
            time_ms = start_ms - floor_div(start_ms, DAY_MS) * DAY_MS;
    return occurs(c, day * DAY_MS + time_ms, c->ev->len_ms);
}

static int each_by_rule(struct each_ctx *c, uint64_t *budget)
{
    const struct ics_event *ev = c->ev;
    int64_t first_day = floor_div(ev->start.wall_ms, DAY_MS);
    const struct rrule_run run = {
        .rule = &ev->rule,
        .first_day = (int32_t)first_day,
        .time_ms = (int32_t)(ev->start.wall_ms - first_day * DAY_MS),
        .until_wall_ms = ev->until_wall_ms,
        .from_day = (int32_t)floor_div(c->from_ms - ev->len_ms, DAY_MS),
        .to_day = (int32_t)floor_div(c->to_ms, DAY_MS),
        .budget = budget,
    };
    return rrule_expand(&run, occurs_by_rule, c);
}

int ics_event_each(const struct ics *ics, const struct ics_event *ev, int32_t from_day,
                   int32_t to_day, uint64_t *budget, ics_emit_fn emit, void *ctx)
{
    struct each_ctx c = {.ics = ics,
                         .ev = ev,
                         .from_ms = from_day * DAY_MS,
                         .to_ms = (to_day + INT64_C(1)) * DAY_MS,
                         .emit = emit,
                         .ctx = ctx};
    int rc = occurs(&c, ev->start.wall_ms,
                    ev->len_ms); /* DTSTART is always the first occurrence (3.8.5.3) */
    if (rc == 0 && ev->has_rule)
        rc = each_by_rule(&c, budget);
    for (uint32_t i = 0; i < ev->n_extras && rc == 0; i++) {
        const struct ics_extra *x = &ics->extras[ev->extra_at + i];
        if (x->kind == ICS_RDATE)
            rc = occurs(&c, x->wall_ms, x->len_ms);
    }
    return rc;
}

/* ---- a whole calendar ---- */

struct expander {
    struct ics_expansion *x;
    struct zone_table *zones; /* owned; one per ics.zones */
    uint32_t left, cap_floating;
};

static int put_floating(struct expander *e, int64_t wall_ms, int64_t len_ms)
{
    struct ics_expansion *x = e->x;
    if (x->n_floating == e->cap_floating) {
        uint32_t cap = e->cap_floating ? e->cap_floating * 2 : 64;
        struct interval *v = realloc(x->floating, cap * sizeof *v);
        if (!v)
            return -ENOMEM;
        x->floating = v;
        e->cap_floating = cap;
    }
    x->floating[x->n_floating++] = (struct interval){wall_ms, wall_ms + len_ms};
    return 0;
}

static int put_occurrence(void *ctx, const struct ics_event *ev, int64_t wall_ms, int64_t len_ms)
{
    struct expander *e = ctx;
    struct ics_expansion *x = e->x;
    if (e->left-- == 0)
        return CGW_ELIMIT;
    if (ev->start.clock == ICS_FLOATING)
        return put_floating(e, wall_ms, len_ms);
    if (ev->start.clock == ICS_DATE) {
        iset_add(ev->workday ? &x->workdays : &x->wall, wall_ms, wall_ms + len_ms);
    } else if (ev->start.clock == ICS_UTC) {
        iset_add(&x->utc, wall_ms, wall_ms + len_ms);
    } else {
        struct interval utc = zone_close(&e->zones[ev->start.zone], wall_ms, wall_ms + len_ms);
        iset_add(&x->utc, utc.from_ms, utc.to_ms);
    }
    return 0;
}

static int load_zones(const struct ics *ics, int64_t from_ms, int64_t to_ms, struct expander *e,
                      struct diag *diag)
{
    e->zones = calloc(ics->n_zones + 1u, sizeof *e->zones);
    if (!e->zones)
        return diag_set(diag, -ENOMEM, "", "out of memory");
    for (uint32_t i = 0; i < ics->n_zones; i++)
        if (!zone_load(ics->zones[i], from_ms - ZONE_LEAD_DAYS * DAY_MS, to_ms + 2 * DAY_MS,
                       &e->zones[i]))
            return diag_set(diag, CGW_EINVAL, ics->zones[i], "time zone cannot be read");
    return 0;
}

static int expand_failed(const struct ics_event *ev, int rc, struct diag *diag)
{
    char where[24];
    (void)snprintf(where, sizeof where, "line %u", ev->line);
    if (rc == CGW_ELIMIT)
        return diag_set(diag, rc, where,
                        "the calendar has more than %u occurrences in %d days, or its rules need "
                        "more than %u days looked at",
                        CALENDAR_INTERVALS_MAX, CALENDAR_HORIZON_DAYS, ICS_DAYS_BUDGET);
    return diag_set(diag, rc, where, "out of memory");
}

int ics_expand(const struct ics *ics, int64_t from_ms, int64_t to_ms, struct ics_expansion *ret,
               struct diag *diag)
{
    struct ics_expansion x = {0};
    struct expander e = {.x = &x, .left = CALENDAR_INTERVALS_MAX};
    uint64_t budget = ICS_DAYS_BUDGET;
    int32_t from_day = (int32_t)floor_div(from_ms, DAY_MS) - 2,
            to_day = (int32_t)floor_div(to_ms, DAY_MS) + 2;
    int rc = load_zones(ics, from_ms, to_ms, &e, diag);
    for (uint32_t i = 0; i < ics->n_events && rc == 0; i++) {
        rc = ics_event_each(ics, &ics->events[i], from_day, to_day, &budget, put_occurrence, &e);
        if (rc != 0)
            rc = expand_failed(&ics->events[i], rc, diag);
    }
    free(e.zones);
    iset_normalize(&x.wall);
    iset_normalize(&x.workdays);
    iset_normalize(&x.utc);
    if (rc == 0 && (x.wall.failed || x.workdays.failed || x.utc.failed))
        rc = diag_set(diag, -ENOMEM, "", "out of memory");
    if (rc != 0) {
        ics_expansion_done(&x);
        return rc;
    }
    *ret = x;
    return 0;
}

void ics_expansion_done(struct ics_expansion *x)
{
    iset_done(&x->wall);
    iset_done(&x->workdays);
    iset_done(&x->utc);
    free(x->floating);
    *x = (struct ics_expansion){0};
}

/* ---- check ---- */

static int count_occurrence(void *ctx, const struct ics_event *ev, int64_t wall_ms, int64_t len_ms)
{
    uint32_t *left = ctx;
    (void)ev;
    (void)wall_ms;
    (void)len_ms;
    return (*left)-- == 0 ? CGW_ELIMIT : 0;
}

/* There is no "now" here, so each event is tried over a horizon from its own start: an upper bound
 * for any later horizon of the usual rules, so that a calendar that passes also compiles. */
int calendar_check_ics(const char *ics, size_t len, uint32_t *ret_events, struct diag *diag)
{
    struct ics parsed;
    uint32_t left = CALENDAR_INTERVALS_MAX;
    uint64_t budget = ICS_DAYS_BUDGET;
    int rc = ics_parse(ics, len, &parsed, diag);
    if (rc != 0)
        return rc;
    for (uint32_t i = 0; i < parsed.n_events && rc == 0; i++) {
        const struct ics_event *ev = &parsed.events[i];
        int32_t day = (int32_t)floor_div(ev->start.wall_ms, DAY_MS);
        rc = ics_event_each(&parsed, ev, day, day + CALENDAR_HORIZON_DAYS, &budget,
                            count_occurrence, &left);
        if (rc != 0)
            rc = expand_failed(ev, rc, diag);
    }
    if (rc == 0 && ret_events)
        *ret_events = parsed.n_events;
    ics_done(&parsed);
    return rc;
}
