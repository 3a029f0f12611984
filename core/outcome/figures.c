/* SPDX-License-Identifier: Apache-2.0 */
/* figures.c - what a flush made durable, counted after its commit: a flush that is tried again
 * counts once. Names of routes come from whoever made the writer; without them nothing is counted.
 */
#include "outcome/outcome_int.h"

#include "base/clock.h"
#include "base/metrics.h"

#include <string.h>

/* In the order of FIGURE_*. */
static const char *const words[] = {"delivered", "failed",   "expired",
                                    "unknown",   "accepted", "recalled"};

static const struct metric_family families[] = {
    {"campgw_messages_finished_total", METRIC_COUNTER,
     "Messages by their last word; accepted: by a route that gives no later one.",
     "channel,route,result"},
    {"campgw_receipt_delay_seconds", METRIC_HISTOGRAM,
     "From the acceptance of a message to its final receipt.", "route"},
    {"campgw_optout_enforce_seconds", METRIC_HISTOGRAM,
     "From the arrival of an opt-out to the commit that binds every later message.", ""},
    {NULL, METRIC_GAUGE, NULL, NULL}};

void figures_register(void)
{
    metrics_register(families);
}

void figure_add(struct flush *f, int32_t route_id, enum figure what, int64_t delay_ms)
{
    if (f->n_figures < 2 * f->max)
        f->figures[f->n_figures++] = (struct figure_row){route_id, what, delay_ms};
}

void figures_finished(const struct outcome_config *cfg, int32_t route_id, enum figure what,
                      uint32_t n)
{
    char route[80], channel[16];
    if (cfg->route_name && cfg->route_name(cfg->ctx, route_id, channel, route))
        METRIC_ADD("campgw_messages_finished_total", n, channel, route, words[what]);
}

/* Delays of a run into one histogram; -1 is none. */
static void observe(struct metric *m, const struct figure_row *x, int n)
{
    double s[128];
    size_t k = 0;
    for (int i = 0; i < n; i++) {
        if (x[i].delay_ms >= 0)
            s[k++] = (double)x[i].delay_ms / 1000.0;
        if (k == ARRAY_LEN(s) || i + 1 == n) {
            metric_observe_all(m, s, k);
            k = 0;
        }
    }
}

static void tell_run(const struct outcome_config *cfg, const struct figure_row *x, int n)
{
    char route[80], channel[16];
    const char *const label[] = {route};
    if (!cfg->route_name || !cfg->route_name(cfg->ctx, x->route_id, channel, route))
        return;
    observe(metric_get("campgw_receipt_delay_seconds", label, 1), x, n);
    METRIC_ADD("campgw_messages_finished_total", n, channel, route, words[x->what]);
}

/* Runs of one route and word are counted at once, because each needs its series found by name: that
 * is how they come. */
void figures_tell(const struct flush *f)
{
    for (int i = 0, n; i < f->n_figures; i += n) {
        const struct figure_row *x = &f->figures[i];
        for (n = 1; i + n < f->n_figures && x[n].route_id == x->route_id && x[n].what == x->what;)
            n++;
        if (x->what != FIGURE_OPTOUT) {
            tell_run(&f->w->cfg, x, n);
            continue;
        }
        for (int k = 0; k < n; k++)
            metric_observe(metric_get("campgw_optout_enforce_seconds", NULL, 0),
                           (double)(clock_utc_ms() - x[k].delay_ms) / 1000.0);
    }
}
