/* SPDX-License-Identifier: Apache-2.0 */
/* calendar.c - all calendars that fit a person's place, class and channel → one sorted set of
 * closed UTC intervals. Must not decide anything or keep anything: callers cache the result. Closed
 * in any calendar or any candidate zone = closed. Wall-clock sets are made once and laid over each
 * zone's stretches of constant offset, so DST needs no special case. */
#include "policy/calendar.h"

#include "policy/civil.h"
#include "policy/ics.h"
#include "policy/zone.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define CALENDARS_MAX 1024u         /* in one installation */
#define WALL_MARGIN_MS (2 * DAY_MS) /* walls are at most 14 h ahead of and 12 h behind UTC */

struct piece { /* a closed interval with its label */
    struct interval at;
    int32_t rule;
    bool holiday;
};
struct compiler {
    int64_t from_ms, to_ms;
    struct zone_table *zones; /* owned, n_zones */
    uint32_t n_zones;
    struct iset covered; /* closed by the calendars so far */
    struct iset closed;  /* by the present calendar, all zones */
    struct iset zone_closed, tmp;
    struct piece *pieces; /* owned */
    size_t n_pieces, cap_pieces;
    struct diag *diag;
};

/* ---- which calendars fit ---- */

static bool region_within(const char *inner, const char *outer)
{
    size_t n = strlen(outer);
    return n == 0 || (strncmp(inner, outer, n) == 0 && (inner[n] == '\0' || inner[n] == '-'));
}

static bool calendar_fits(const struct calendar_def *c, const struct place *place,
                          uint32_t contact_class, uint32_t channel)
{
    bool in_class =
        c->class_mask == 0 || (contact_class < 32 && (c->class_mask >> contact_class & 1u));
    bool in_channel = c->channel_mask == 0 || (channel < 32 && (c->channel_mask >> channel & 1u));
    /* The second form: somewhere in CN may be in CN-GD. */
    bool in_region =
        region_within(place->region, c->region) || region_within(c->region, place->region);
    return in_class && in_channel && in_region;
}

/* ---- quiet calendars: the complement of weekly open hours ---- */

static int span_cmp(const void *pa, const void *pb)
{
    const struct open_span *a = pa, *b = pb;
    return a->from_min - b->from_min;
}

static void open_wall(const struct calendar_def *c, int64_t from_ms, int64_t to_ms,
                      struct iset *open)
{
    struct open_span sorted[CALENDAR_SPANS_MAX];
    memcpy(sorted, c->spans, c->n_spans * sizeof *sorted);
    qsort(sorted, c->n_spans, sizeof *sorted, span_cmp);
    iset_clear(open);
    for (int64_t day = floor_div(from_ms, DAY_MS); day * DAY_MS < to_ms; day++)
        for (uint32_t i = 0; i < c->n_spans; i++)
            if ((unsigned)sorted[i].days >> weekday_of_day((int32_t)day) & 1u)
                iset_add(open, day * DAY_MS + sorted[i].from_min * MINUTE_MS,
                         day * DAY_MS + sorted[i].to_min * MINUTE_MS);
}

static int check_spans(const struct calendar_def *c, struct diag *diag)
{
    char where[32];
    (void)snprintf(where, sizeof where, "calendar %d", (int)c->number);
    if (c->n_spans > CALENDAR_SPANS_MAX)
        return diag_set(diag, CGW_ELIMIT, where, "more than %u spans", CALENDAR_SPANS_MAX);
    for (uint32_t i = 0; i < c->n_spans; i++)
        if (c->spans[i].from_min < 0 || c->spans[i].to_min > 1440 ||
            c->spans[i].from_min >= c->spans[i].to_min)
            return diag_set(diag, CGW_EINVAL, where,
                            "open span %u must lie within 00:00-24:00 and end after it starts",
                            i + 1);
    return 0;
}

/* closed ∪= more; tmp is scratch. */
static void close_also(struct compiler *k, const struct iset *more)
{
    iset_union(&k->tmp, &k->closed, more);
    iset_swap(&k->tmp, &k->closed);
}

static int close_quiet(struct compiler *k, const struct calendar_def *c)
{
    struct iset whole = {0}, open = {0}, wall = {0};
    int rc = check_spans(c, k->diag);
    if (rc != 0)
        return rc;
    iset_add(&whole, k->from_ms - WALL_MARGIN_MS, k->to_ms + WALL_MARGIN_MS);
    if (c->n_spans > 0)
        open_wall(c, k->from_ms - WALL_MARGIN_MS, k->to_ms + WALL_MARGIN_MS, &open);
    iset_subtract(&wall, &whole, &open);
    for (uint32_t i = 0; i < k->n_zones; i++) {
        zone_map_wall(&k->zones[i], &wall, &k->zone_closed);
        close_also(k, &k->zone_closed);
    }
    if (open.failed || whole.failed || wall.failed)
        k->closed.failed = true;
    iset_done(&whole);
    iset_done(&open);
    iset_done(&wall);
    return 0;
}

/* ---- holiday calendars ---- */

static void close_holidays_in(struct compiler *k, const struct ics_expansion *x,
                              const struct zone_table *z)
{
    struct iset part = {0}, work = {0};
    zone_map_wall(z, &x->wall, &k->zone_closed);
    for (uint32_t i = 0; i < x->n_floating; i++) {
        struct interval utc = zone_close(z, x->floating[i].from_ms, x->floating[i].to_ms);
        iset_add(&part, utc.from_ms, utc.to_ms);
    }
    iset_normalize(&part);
    iset_union(&k->tmp, &k->zone_closed, &part);
    iset_union(&k->zone_closed, &k->tmp, &x->utc);
    zone_map_wall(z, &x->workdays, &work);
    iset_subtract(&k->tmp, &k->zone_closed, &work);
    iset_swap(&k->tmp, &k->zone_closed);
    k->zone_closed.failed = k->zone_closed.failed || part.failed || work.failed;
    close_also(k, &k->zone_closed);
    iset_done(&part);
    iset_done(&work);
}

static int close_holidays(struct compiler *k, const struct calendar_def *c)
{
    struct ics ics;
    struct ics_expansion x;
    if (c->ics_len == 0)
        return 0;
    int rc = ics_parse(c->ics, c->ics_len, &ics, k->diag);
    if (rc != 0)
        return rc;
    rc = ics_expand(&ics, k->from_ms, k->to_ms, &x, k->diag);
    ics_done(&ics);
    if (rc != 0)
        return rc;
    for (uint32_t i = 0; i < k->n_zones; i++)
        close_holidays_in(k, &x, &k->zones[i]);
    ics_expansion_done(&x);
    return 0;
}

/* ---- labelled pieces ---- */

static int put_piece(struct compiler *k, struct piece p)
{
    if (k->n_pieces == k->cap_pieces) {
        size_t cap = k->cap_pieces ? k->cap_pieces * 2 : 512;
        struct piece *v = realloc(k->pieces, cap * sizeof *v);
        if (!v)
            return diag_set(k->diag, -ENOMEM, "", "out of memory");
        k->pieces = v;
        k->cap_pieces = cap;
    }
    k->pieces[k->n_pieces++] = p;
    return 0;
}

/* Only what no earlier calendar closes gets this one's label. */
static int add_calendar(struct compiler *k, const struct calendar_def *c)
{
    iset_clear(&k->closed);
    int rc = c->holiday ? close_holidays(k, c) : close_quiet(k, c);
    if (rc != 0)
        return rc;
    iset_clip(&k->closed, k->from_ms, k->to_ms);
    iset_subtract(&k->zone_closed, &k->closed, &k->covered);
    for (size_t i = 0; i < k->zone_closed.n && rc == 0; i++)
        rc = put_piece(k, (struct piece){k->zone_closed.v[i], c->number, c->holiday});
    iset_union(&k->tmp, &k->covered, &k->closed);
    iset_swap(&k->tmp, &k->covered);
    if (rc == 0 && (k->covered.failed || k->zone_closed.failed))
        rc = diag_set(k->diag, -ENOMEM, "", "out of memory");
    return rc;
}

static int piece_cmp(const void *pa, const void *pb)
{
    const struct piece *a = pa, *b = pb;
    return (a->at.from_ms > b->at.from_ms) - (a->at.from_ms < b->at.from_ms);
}

/* One block: the struct, then intervals, rules and holiday flags. */
static struct windows *pack(struct compiler *k)
{
    size_t n = k->n_pieces;
    char *block =
        calloc(1, sizeof(struct windows) + n * (sizeof(struct interval) + sizeof(int32_t) + 1));
    if (!block)
        return NULL;
    struct windows *w = (struct windows *)(void *)block;
    struct interval *closed = (struct interval *)(void *)(block + sizeof *w);
    int32_t *rule = (int32_t *)(void *)(closed + n);
    uint8_t *holiday = (uint8_t *)(rule + n);
    if (n > 0)
        qsort(k->pieces, n, sizeof *k->pieces, piece_cmp);
    for (size_t i = 0; i < n; i++) {
        closed[i] = k->pieces[i].at;
        rule[i] = k->pieces[i].rule;
        holiday[i] = k->pieces[i].holiday;
    }
    *w = (struct windows){.closed = closed,
                          .rule = rule,
                          .holiday = holiday,
                          .n = (uint32_t)n,
                          .valid_from_ms = k->from_ms,
                          .valid_to_ms = k->to_ms};
    return w;
}

/* ---- compile ---- */

/* false: a name is unknown or there is none, so nothing is known about this person's clock. */
static bool load_zones(struct compiler *k, const struct place *place)
{
    for (uint32_t i = 0; i < place->n_zones; i++)
        if (!zone_load(place->zones[i], k->from_ms - WALL_MARGIN_MS, k->to_ms + WALL_MARGIN_MS,
                       &k->zones[i]))
            return false;
    k->n_zones = place->n_zones;
    return place->n_zones > 0;
}

/* Holidays first: "holiday until Wednesday" explains a closed night better than "quiet hours" does.
 */
static int add_calendars(struct compiler *k, const struct calendar_def *cals, uint32_t n_cals,
                         const struct place *place, uint32_t contact_class, uint32_t channel)
{
    int rc = 0;
    for (int quiet = 0; quiet <= 1; quiet++)
        for (uint32_t i = 0; i < n_cals && rc == 0; i++)
            if (cals[i].holiday != (quiet == 1) &&
                calendar_fits(&cals[i], place, contact_class, channel))
                rc = add_calendar(k, &cals[i]);
    return rc;
}

static void compiler_done(struct compiler *k)
{
    free(k->zones);
    free(k->pieces);
    iset_done(&k->covered);
    iset_done(&k->closed);
    iset_done(&k->zone_closed);
    iset_done(&k->tmp);
}

int windows_compile(const struct calendar_def *cals, uint32_t n_cals, const struct place *place,
                    uint32_t contact_class, uint32_t channel, int64_t from_ms, struct windows **ret,
                    struct diag *diag)
{
    struct compiler k = {
        .from_ms = from_ms, .to_ms = from_ms + CALENDAR_HORIZON_DAYS * DAY_MS, .diag = diag};
    int rc = 0;
    if (n_cals > CALENDARS_MAX)
        return diag_set(diag, CGW_ELIMIT, "", "more than %u calendars", CALENDARS_MAX);
    if (place->n_zones > PLACE_ZONES_MAX)
        return diag_set(diag, CGW_ELIMIT, "", "more than %u candidate zones", PLACE_ZONES_MAX);
    k.zones = calloc(place->n_zones + 1u, sizeof *k.zones);
    if (!k.zones)
        return diag_set(diag, -ENOMEM, "", "out of memory");
    bool known = load_zones(&k, place);
    if (known)
        rc = add_calendars(&k, cals, n_cals, place, contact_class, channel);
    struct windows *w = rc == 0 ? pack(&k) : NULL;
    compiler_done(&k);
    if (rc == 0 && !w)
        rc = diag_set(diag, -ENOMEM, "", "out of memory");
    if (rc != 0)
        return rc;
    w->zone_unknown = !known;
    *ret = w;
    return 0;
}

void windows_free(struct windows *w)
{
    free(w);
}
