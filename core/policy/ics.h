/* SPDX-License-Identifier: Apache-2.0 */
/* ics.h - an iCalendar text as checked events, private to this folder: ics_text.c makes lines,
 * ics.c makes events, ics_expand.c makes occurrences. Lines are read here and not by libical,
 * because only then can a refusal name the line. Source: RFC 5545. */
#ifndef POLICY_ICS_H
#define POLICY_ICS_H

#include "policy/calendar.h"
#include "policy/rrule.h"
#include "policy/zone.h"

#define ICS_ZONES_MAX 64u      /* different TZIDs in one calendar               */
#define ICS_DEPTH_MAX 8u       /* components inside components                  */
#define ICS_EXTRAS_MAX 20000u  /* RDATE, EXDATE and RECURRENCE-ID values        */
#define ICS_EVENT_DAYS_MAX 366 /* length of one event                           */
#define ICS_YEAR_MIN 1900
#define ICS_YEAR_MAX 2199
#define ICS_DAYS_BUDGET 4000000u /* days that all rules together may look at      */

/* ---- lines (ics_text.c) ---- */
struct ics_line {
    uint32_t number;    /* physical line on which it starts, from 1 */
    const char *name;   /* NUL-terminated, inside ics_lines.text */
    const char *params; /* "TZID=…;VALUE=…", "" when none */
    const char *value;
};
struct ics_lines {
    char *text;         /* owned: unfolded, cut into strings */
    struct ics_line *v; /* owned */
    uint32_t n;
};
int ics_lines_read(const char *ics, size_t len, struct ics_lines *ret,
                   struct diag *diag) CGW_NODISCARD;
void ics_lines_done(struct ics_lines *l);
/* Value of a parameter without quotes; false when absent. */
bool ics_param(const char *params, const char *name, char *ret, size_t size);
/* Is `word` in the comma list, any case? */
bool ics_list_has(const char *list, const char *word);

/* ---- events (ics.c) ---- */
enum ics_clock { ICS_DATE, ICS_FLOATING, ICS_UTC, ICS_ZONED };
struct ics_time {
    int64_t wall_ms; /* as if the wall were UTC */
    uint8_t clock;   /* enum ics_clock */
    uint8_t zone;    /* ICS_ZONED: index in ics.zones */
};
struct ics_event {
    uint32_t line; /* of its BEGIN */
    struct ics_time start;
    int64_t len_ms; /* wall-clock length */
    bool workday, has_rule;
    struct rrule rule; /* borrows from lines */
    int64_t until_wall_ms;
    uint32_t extra_at, n_extras; /* range in ics.extras */
    const char *uid;             /* "" when none; borrowed from lines */
    bool is_override;            /* has a RECURRENCE-ID */
};
enum ics_extra_kind { ICS_EXDATE, ICS_RDATE };
struct ics_extra {
    uint32_t event;
    uint8_t kind;
    int64_t wall_ms; /* on the clock of its event */
    int64_t len_ms;  /* ICS_RDATE */
};
struct ics {
    struct ics_lines lines;
    struct ics_event *events; /* owned; only those with an effect */
    uint32_t n_events, n_ignored;
    struct ics_extra *extras; /* owned; sorted by event, kind, time */
    uint32_t n_extras;
    char zones[ICS_ZONES_MAX][64];
    uint32_t n_zones;
};
int ics_parse(const char *text, size_t len, struct ics *ret, struct diag *diag) CGW_NODISCARD;
void ics_done(struct ics *ics);

/* ---- values (ics_value.c) ---- */
bool ics_read_time(const char *value,
                   struct ics_time *ret); /* clock: ICS_DATE, ICS_FLOATING or ICS_UTC */
bool ics_read_duration(const char *value, int64_t *ret_ms);

/* ---- occurrences (ics_expand.c) ---- */
typedef int (*ics_emit_fn)(void *ctx, const struct ics_event *ev, int64_t wall_ms, int64_t len_ms);
/* All occurrences that touch [from_day, to_day] of the event's wall; each may come twice. */
int ics_event_each(const struct ics *ics, const struct ics_event *ev, int32_t from_day,
                   int32_t to_day, uint64_t *budget, ics_emit_fn emit, void *ctx) CGW_NODISCARD;

/* Occurrences of a whole calendar in a horizon, ready for any zone. */
struct ics_expansion {
    struct iset wall;          /* all-day closures */
    struct iset workdays;      /* all-day reopenings */
    struct iset utc;           /* timed, with a zone of their own */
    struct interval *floating; /* owned: timed on whatever wall there is */
    uint32_t n_floating;
};
int ics_expand(const struct ics *ics, int64_t from_ms, int64_t to_ms, struct ics_expansion *ret,
               struct diag *diag) CGW_NODISCARD;
void ics_expansion_done(struct ics_expansion *x);

#endif
