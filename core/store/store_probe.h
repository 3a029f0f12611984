/* SPDX-License-Identifier: Apache-2.0 */
/* store_probe.h - tables route_probe and probe_run: the daily test message of a route. A probe is
 * an ordinary contact of class service in a wave of the system that is bound to its route: policy
 * judges it like any other. probe_run's key allows one per route and day. Times are shifted UTC
 * like those of decisions. */
#ifndef STORE_STORE_PROBE_H
#define STORE_STORE_PROBE_H

#include "store/store.h"

#define PROBE_LATE_MS 3600000 /* from its time to its receipt; what begins later was missed */
#define PROBE_ROUTES_MAX 512  /* routes that are looked at in one turn */

struct store_probe {
    const char *address, *zone, *content; /* content: JSON of the wave */
    int32_t part;
    int64_t customer_id;
    int at_minute; /* of the day of zone */
};
/* Set or replace the probe of a route; NULL takes it away, what it was told stays. In the caller's
 * transaction. */
int store_probe_set(struct db *db, const char *route, const struct store_probe *p, int64_t now_ms,
                    struct diag *diag) CGW_NODISCARD;

struct store_probe_news {
    char route[40], name[84], why[160];
    bool ok;
    int64_t took_ms;
};
typedef void (*store_probe_fn)(void *ctx, const struct store_probe_news *n);
/* Queue what is due; days that were missed become failed runs, told to fn. One transaction each.
 * ret_queued counts new messages. */
int store_probe_due(struct db *db, int64_t now_ms, int *ret_queued, store_probe_fn fn, void *ctx,
                    struct diag *diag) CGW_NODISCARD;
/* Judge the runs under way; each that ends is told to fn. */
int store_probe_judge(struct db *db, int64_t now_ms, store_probe_fn fn, void *ctx,
                      struct diag *diag) CGW_NODISCARD;

struct store_probe_state {
    char route[40];
    bool ok;       /* the last one that ended, if any */
    int64_t age_s; /* since the last that went well, or since there is a probe */
};
/* At most `max` routes. \return how many through ret_n. */
int store_probe_states(struct db *db, int64_t now_ms, struct store_probe_state *ret, int max,
                       int *ret_n, struct diag *diag) CGW_NODISCARD;

#endif
