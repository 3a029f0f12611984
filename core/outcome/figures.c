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

static void observe(const struct flush *f, const struct figure_row *x)
{
    const struct outcome_config *cfg = &f->w->cfg;
    char route[80], channel[16];
    const char *const label[] = {route};
    if (x->what == FIGURE_OPTOUT)
        metric_observe(metric_get("campgw_optout_enforce_seconds", NULL, 0),
                       (double)(clock_utc_ms() - x->delay_ms) / 1000.0);
    else if (x->delay_ms >= 0 && cfg->route_name &&
             cfg->route_name(cfg->ctx, x->route_id, channel, route))
        metric_observe(metric_get("campgw_receipt_delay_seconds", label, 1),
                       (double)x->delay_ms / 1000.0);
}

/* Runs of one route and word are counted at once: that is how they come. */
void figures_tell(const struct flush *f)
{
    for (int i = 0, n; i < f->n_figures; i += n) {
        const struct figure_row *x = &f->figures[i];
        for (n = 0; i + n < f->n_figures && x[n].route_id == x->route_id && x[n].what == x->what;
             n++)
            observe(f, &x[n]);
        if (x->what != FIGURE_OPTOUT)
            figures_finished(&f->w->cfg, x->route_id, x->what, (uint32_t)n);
    }
}
