/* SPDX-License-Identifier: Apache-2.0 */
/* calendar.h - from calendars (weekly open hours, iCalendar holidays) and time zones to UTC
 * intervals. libical is touched only here, one thread at a time (a lock inside). Source: RFC 5545;
 * zone data: system tzdata. */
#ifndef POLICY_CALENDAR_H
#define POLICY_CALENDAR_H

#include "policy/policy.h"

#define CALENDAR_EVENTS_MAX 4096u /* VEVENTs in one calendar */
#define CALENDAR_ICS_MAX 1048576u /* bytes */
#define CALENDAR_HORIZON_DAYS 400
#define CALENDAR_INTERVALS_MAX 20000u /* per calendar and zone */
#define PLACE_ZONES_MAX 32u

/* Weekly open hours: minutes of the local day, half-open; several spans a day allowed (10-13 and
 * 14-20). */
struct open_span {
    uint8_t days;             /* bit 0 = Monday … 6 = Sunday */
    int16_t from_min, to_min; /* 0..1440 */
};
#define CALENDAR_SPANS_MAX 32u

struct calendar_def { /* as stored; borrowed by compile */
    int32_t number;   /* rule id */
    bool holiday;     /* false: quiet calendar (spans), true: iCalendar events */
    char region[16]; /* "" = everywhere; "CN" also fits "CN-GD". A place known less exactly than the
                      * calendar (place "CN" or "", calendar "CN-GD") fits too: the person may be
                      * there */
    uint32_t class_mask, channel_mask; /* bits; 0 = all */
    const struct open_span *spans;
    uint32_t n_spans; /* no span = never open */
    const char *ics;
    size_t ics_len; /* ics_len 0 = no events yet, closes nothing */
};

/* Parse and check an iCalendar text. diag: line and what would be right. Closed = every VEVENT
 * (all-day by default; timed ones with TZID, UTC or floating = local), RRULE/RDATE/EXDATE expanded
 * inside the horizon. A make-up workday is an all-day VEVENT with CATEGORIES:WORKDAY: it reopens
 * that local day in THIS calendar. TRANSP:TRANSPARENT and STATUS:CANCELLED events are ignored; a
 * calendar whose events are all ignored is refused (it would close nothing). ret_events: events
 * with an effect. What is read and what is refused: README.md "Calendars". */
int calendar_check_ics(const char *ics, size_t len, uint32_t *ret_events,
                       struct diag *diag) CGW_NODISCARD;
/* "mon-fri 09:00-21:00; sat 10:00-13:00" ⇄ spans (API uses JSON, tests and CLI use this form). */
int calendar_parse_spans(const char *text, struct open_span *spans, uint32_t max, uint32_t *ret_n,
                         struct diag *diag) CGW_NODISCARD;

/* A place is where a person may be: region plus candidate zones. Closed if closed in ANY candidate
 * zone. */
struct place {
    char region[16];
    uint32_t n_zones;
    const char *zones[PLACE_ZONES_MAX];
};

/* Compile all calendars that fit (place.region, class, channel) into one set of closed intervals
 * over [from, from + horizon). Result is one malloc'd block freed with windows_free(). Unknown zone
 * names or no zone → zone_unknown. */
int windows_compile(const struct calendar_def *cals, uint32_t n_cals, const struct place *place,
                    uint32_t contact_class, uint32_t channel, int64_t from_ms, struct windows **ret,
                    struct diag *diag) CGW_NODISCARD;
void windows_free(struct windows *w);

/* Zone arithmetic (system tzdata through libical): false for an unknown zone. */
bool zone_known(const char *iana);
bool zone_local_day(const char *iana, int64_t utc_ms, int32_t *ret_days_since_2000,
                    int *ret_minute_of_day);
bool zone_day_start(const char *iana, int32_t days_since_2000, int64_t *ret_utc_ms);

int32_t cap_period_number(const struct cap *cap, int64_t utc_ms,
                          int32_t *ret_day); /* INT32_MIN for an unknown zone */
/* Start of the next period; sliding: of the next day in the cap's zone. INT64_MIN for an unknown
 * zone. */
int64_t cap_period_end_ms(const struct cap *cap, int64_t utc_ms);

#endif
