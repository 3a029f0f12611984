/* SPDX-License-Identifier: Apache-2.0 */
/* test_metrics.c - what a histogram says: each bucket holds all below it, however the values came.
 */
#include "base/metrics.h"

#include <criterion/criterion.h>
#include <string.h>

TestSuite(metrics, .timeout = 20);

static const struct metric_family families[] = {
    {"t_wait_seconds", METRIC_HISTOGRAM, "Waiting.", "who"}, {NULL, METRIC_COUNTER, NULL, NULL}};

Test(metrics, buckets_of_a_histogram_hold_all_below_them)
{
    const char *const who[] = {"a"};
    const double many[] = {0.0005, 0.001, 0.0011, 0.3, 40};
    struct buf out;
    metrics_register(families);
    metric_observe_all(metric_get("t_wait_seconds", who, 1), many, ARRAY_LEN(many));
    metric_observe_all(metric_get("t_wait_seconds", who, 1), many, 0);
    metric_observe(metric_get("t_wait_seconds", who, 1), 1);
    buf_init(&out, 65536);
    metrics_expose(&out);
    static const char *const lines[] = {
        "t_wait_seconds_bucket{who=\"a\",le=\"0.001\"} 2\n",
        "t_wait_seconds_bucket{who=\"a\",le=\"0.0025\"} 3\n",
        "t_wait_seconds_bucket{who=\"a\",le=\"0.25\"} 3\n",
        "t_wait_seconds_bucket{who=\"a\",le=\"1\"} 5\n",
        "t_wait_seconds_bucket{who=\"a\",le=\"30\"} 5\n",
        "t_wait_seconds_bucket{who=\"a\",le=\"+Inf\"} 6\n",
        "t_wait_seconds_sum{who=\"a\"} 41.3026\n",
        "t_wait_seconds_count{who=\"a\"} 6\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        cr_expect(strstr(buf_str(&out), lines[i]), "%s is not in\n%s", lines[i], buf_str(&out));
    buf_done(&out);
}
