/* SPDX-License-Identifier: Apache-2.0 */
/* store_calendar.h - table calendar as the API sees it: quiet calendars (weekly open hours) and
 * holiday calendars (iCalendar text). What they mean is policy/calendar.h's. Every change raises
 * rules_version. */
#ifndef STORE_STORE_CALENDAR_H
#define STORE_STORE_CALENDAR_H

#include "policy/calendar.h"
#include "store/store.h"

#define STORE_CALENDARS_MAX 256              /* in force at the same time */
#define STORE_CALENDAR_BYTES_MAX (48u << 20) /* iCalendar texts of all of them together */

struct store_calendar_values {
    char name[121], region[16];
    bool holiday;
    uint32_t class_mask, channel_mask;          /* 0 = all */
    struct open_span spans[CALENDAR_SPANS_MAX]; /* quiet only */
    uint32_t n_spans;
};

int store_calendar_create(struct db *db, const struct store_actor *who,
                          const struct store_calendar_values *v, char ret_public_id[40],
                          struct buf *ret, struct diag *diag) CGW_NODISCARD;
int store_calendar_json(struct db *db, const char *public_id, int64_t *ret_version, struct buf *ret,
                        struct diag *diag) CGW_NODISCARD;
int store_calendar_list(struct db *db, bool active, const char *cursor, int limit, struct buf *ret,
                        bool *ret_more, char *ret_cursor, size_t cursor_size,
                        struct diag *diag) CGW_NODISCARD;
/* Values of a calendar in force, locked. CGW_ENOTFOUND; CGW_ESTATE for a former one. */
int store_calendar_lock(struct db *db, const char *public_id, int64_t *ret_version,
                        struct store_calendar_values *ret, struct diag *diag) CGW_NODISCARD;
int store_calendar_update(struct db *db, const struct store_actor *who, const char *public_id,
                          const struct store_calendar_values *v, int64_t *ret_version,
                          struct buf *ret, struct diag *diag) CGW_NODISCARD;
int store_calendar_end(struct db *db, const struct store_actor *who, const char *public_id,
                       struct diag *diag) CGW_NODISCARD;

/* The iCalendar text of a locked holiday calendar; already checked. */
int store_calendar_set_ics(struct db *db, const struct store_actor *who, const char *public_id,
                           const char *ics, size_t len, int64_t *ret_version, struct buf *ret,
                           struct diag *diag) CGW_NODISCARD;
/* CGW_ENOTFOUND also when the calendar has no text. */
int store_calendar_ics(struct db *db, const char *public_id, struct buf *ret,
                       struct diag *diag) CGW_NODISCARD;

/* A calendar in force as policy compiles it; its ics is copied into a, its spans into
 * spans[CALENDAR_SPANS_MAX]. */
int store_calendar_def(struct db *db, const char *public_id, struct arena *a,
                       struct open_span *spans, struct calendar_def *ret,
                       struct diag *diag) CGW_NODISCARD;

#endif
