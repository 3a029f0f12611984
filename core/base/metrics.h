/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.h - counters, gauges and histograms with help text and unit, exposed in Prometheus text
 * format 0.0.4. A family is a static table entry; a series is made on first use from a bounded
 * label set (METRICS_SERIES_MAX). Labels come only from configuration-sized sets (channel, route,
 * reason …), never a campaign id or a number. Any thread. */
#ifndef BASE_METRICS_H
#define BASE_METRICS_H

#include "base/buf.h"
#include <stdint.h>

#define METRICS_SERIES_MAX 2048u

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metric_family {
    const char *name; /* full name with unit suffix: campgw_…_total, …_seconds, …_bytes */
    enum metric_type type;
    const char *help;
    const char *labels; /* comma-separated label names, "" none */
};

/* Register a static table once at start (ends with name NULL). */
void metrics_register(const struct metric_family *table);
/* values: label values in the order of `labels`, n of them. Returns NULL for an unknown family or a
 * full table (counted). */
struct metric;
struct metric *metric_get(const char *name, const char *const *values, unsigned n);
void metric_add(struct metric *m, double v); /* NULL-safe */
void metric_set(struct metric *m, double v);
void metric_observe(struct metric *m, double v);                      /* histogram, seconds */
void metric_observe_all(struct metric *m, const double *v, size_t n); /* under one lock */
double metric_value(struct metric *m);
/* One-liners: METRIC_INC("campgw_x_total", "route-a", "ok") */
#define METRIC_ADD(name, v, ...)                                                                   \
    do {                                                                                           \
        const char *const metric_v_[] = {__VA_ARGS__};                                             \
        metric_add(metric_get(name, metric_v_, sizeof metric_v_ / sizeof metric_v_[0]), (v));      \
    } while (0)
#define METRIC_INC(name, ...) METRIC_ADD(name, 1, __VA_ARGS__)
void metrics_expose(struct buf *out);

#endif
