/* SPDX-License-Identifier: Apache-2.0 */
/* zone.h - a time zone over a limited time as a few stretches of constant offset, private to this
 * folder. Every local-time question is answered from such a table, so gaps and overlaps need no
 * special case. */
#ifndef POLICY_ZONE_H
#define POLICY_ZONE_H

#include "policy/iset.h"

#define ZONE_STRETCHES_MAX                                                                         \
    64u /* offset changes within one table; the busiest zones have 4 a year */
#define ZONE_SPAN_DAYS_MAX 1000 /* length of one table */

struct zone_stretch {
    int64_t from_ms, to_ms; /* UTC, half-open */
    int64_t off_ms;         /* local = UTC + off */
};
struct zone_table {
    uint32_t n; /* at least 1 */
    struct zone_stretch v[ZONE_STRETCHES_MAX];
};

/* false: unknown zone, or more than the stated limits. */
bool zone_load(const char *iana, int64_t from_ms, int64_t to_ms, struct zone_table *ret);

/* Wall-clock intervals → all UTC moments at which the wall shows a time inside them. Normalized in,
 * normalized out. */
void zone_map_wall(const struct zone_table *z, const struct iset *wall, struct iset *dst);

/* One wall-clock moment → UTC. Skipped and repeated times: `latest` gives the last moment it can
 * mean, else the first (a closure takes the first for its start and the last for its end, so it
 * never closes for too short a time). A time in a gap is read with the offset before the gap when
 * `latest` (RFC 5545, 3.3.5), else as the gap itself. */
int64_t zone_wall_to_utc(const struct zone_table *z, int64_t wall_ms, bool latest);
/* A closure given as wall-clock times → UTC, from the first start to the last end, and never
 * shorter than on the wall (clock and stopwatch disagree by the shift when an offset change lies
 * inside; the longer one closes). */
struct interval zone_close(const struct zone_table *z, int64_t from_wall_ms, int64_t to_wall_ms);
int64_t zone_offset_ms(const struct zone_table *z, int64_t utc_ms);

/* libical keeps global state: every use of it in this folder happens between these two. */
void calendar_lock(void);
void calendar_unlock(void);

#endif
