/* SPDX-License-Identifier: Apache-2.0 */
/* probes.c - see probes.h. The planner's thread only. */
#include "planner/probes.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "store/store_probe.h"

#include <string.h>

#define TURN_MS 1000
#define GAUGES_MS 5000

void probes_register(void)
{
    static const struct metric_family families[] = {
        {"campgw_route_probe_ok", METRIC_GAUGE,
         "1 unless the last probe of the route failed or was missed.", "route"},
        {"campgw_route_probe_age_seconds", METRIC_GAUGE,
         "Since the time of the last probe of the route that went well, or since it has one.",
         "route"},
        {"campgw_route_probes_total", METRIC_COUNTER, "Probes that ended on this node's watch.",
         "route,result"},
        {NULL, METRIC_GAUGE, NULL, NULL}};
    metrics_register(families);
}

static void tell(void *ctx, const struct store_probe_news *n)
{
    char name[160], why[320];
    (void)ctx;
    METRIC_INC("campgw_route_probes_total", n->route, n->ok ? "ok" : "failed");
    (void)log_quote(n->name, name, sizeof name);
    if (n->ok)
        log_info("probe.ok", "route=%s name=\"%s\" took_ms=%lld", n->route, name,
                 (long long)n->took_ms);
    else
        log_error("probe.failed", "route=%s name=\"%s\" why=\"%s\"", n->route, name,
                  log_quote(n->why, why, sizeof why));
}

int probes_turn(struct db *db, int64_t now_ms, int *ret_queued, struct diag *diag)
{
    static int64_t last_ms;
    *ret_queued = 0;
    if (last_ms && clock_mono_ms() - last_ms < TURN_MS)
        return 0;
    last_ms = clock_mono_ms();
    int rc = store_probe_due(db, now_ms, ret_queued, tell, NULL, diag);
    return rc < 0 ? rc : store_probe_judge(db, now_ms, tell, NULL, diag);
}

static void set(const char *route, bool ok, int64_t age_s)
{
    const char *const v[] = {route};
    metric_set(metric_get("campgw_route_probe_ok", v, 1), ok);
    metric_set(metric_get("campgw_route_probe_age_seconds", v, 1), age_s < 0 ? 0 : (double)age_s);
}

int probes_gauges(struct db *db, int64_t now_ms, struct diag *diag)
{
    static struct store_probe_state now[PROBE_ROUTES_MAX], before[PROBE_ROUTES_MAX];
    static int64_t last_ms;
    static int n_before;
    int n = 0;
    if (last_ms && clock_mono_ms() - last_ms < GAUGES_MS)
        return 0;
    last_ms = clock_mono_ms();
    int rc = store_probe_states(db, now_ms, now, PROBE_ROUTES_MAX, &n, diag);
    if (rc < 0)
        return rc;
    for (int i = 0; i < n_before; i++) /* a probe that was taken away alarms nobody */
        set(before[i].route, true, 0);
    for (int i = 0; i < n; i++)
        set(now[i].route, now[i].ok, now[i].age_s);
    memcpy(before, now, (size_t)n * sizeof *now);
    n_before = n;
    return 0;
}
