/* SPDX-License-Identifier: Apache-2.0 */
/* plugin_check_figures.c - how fast and how large: messages through a channel, renderings of a
 * campaign, with the CPU time of the whole process. What there is no peer for is measured as it is
 * and said so. Never fails by its figures: judging them is for people. */
#include "plugin_check_core.h"

#include "base/clock.h"
#include "plugin_check_campaign.h"
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#define MEASURE_MS 1000
#define BATCH 64u

static double cpu_ms(const struct rusage *u)
{
    return (double)(u->ru_utime.tv_sec + u->ru_stime.tv_sec) * 1000.0 +
           (double)(u->ru_utime.tv_usec + u->ru_stime.tv_usec) / 1000.0;
}

static void note(const struct checker *k, const struct rusage *a, int64_t ms, uint64_t n,
                 const char *what)
{
    struct rusage b;
    struct figures *f = k->figures;
    (void)getrusage(RUSAGE_SELF, &b);
    f->n = n;
    f->what = what;
    f->per_second = ms > 0 ? (double)n * 1000.0 / (double)ms : 0;
    f->cpu_ms_per_1000 = n ? (cpu_ms(&b) - cpu_ms(a)) * 1000.0 / (double)n : 0;
    f->memory_kib = (uint64_t)b.ru_maxrss;
    f->measured = n > 0;
}

static void describe_results(const struct core *c, struct figures *f)
{
    static const char *const names[] = {"",        "ACCEPTED",  "NOT_SENT", "REFUSED_RETRY",
                                        "REFUSED", "DELIVERED", "FAILED",   "EXPIRED",
                                        "UNKNOWN", "ENROUTE"};
    size_t at = 0;
    for (uint32_t i = 1; i < ARRAY_LEN(names) && at < sizeof f->results - 32; i++)
        if (c->by_result[i])
            at += (size_t)snprintf(f->results + at, sizeof f->results - at, "%s%u %s",
                                   at ? ", " : "", c->by_result[i], names[i]);
}

static enum verdict channel_figures(const struct checker *k, char *why)
{
    struct core c;
    struct plugin_instance *inst = NULL;
    struct rusage before;
    uint64_t token = N_MESSAGES + 1, handed = 0;
    if (open_started(k, &c, &inst, why))
        return CHECK_FAIL;
    (void)getrusage(RUSAGE_SELF, &before);
    int64_t t0 = clock_mono_ms();
    while (clock_mono_ms() - t0 < MEASURE_MS) {
        uint32_t n = hand_over_some(k, inst, token, BATCH, 300);
        token += BATCH;
        handed += n;
        if (n < BATCH ||
            handed > figure_now(&c, &c.n_results) + 2048ull) /* a window's worth is on its way */
            (void)wait_for(&c, &c.n_results, (uint32_t)(handed > 1024 ? handed - 1024 : 1), 20);
    }
    (void)wait_for(&c, &c.n_results, (uint32_t)handed, 1500);
    note(k, &before, clock_mono_ms() - t0, figure_now(&c, &c.n_results), "messages");
    enum verdict v = close_settled(&c, inst, 0, 1500, why);
    describe_results(&c, k->figures);
    return v;
}

static enum verdict campaign_figures(const struct checker *k, char *why)
{
    struct rusage before;
    uint64_t n = 0;
    (void)getrusage(RUSAGE_SELF, &before);
    int64_t t0 = clock_mono_ms();
    while (clock_mono_ms() - t0 < MEASURE_MS) {
        uint32_t rendered = 0;
        enum verdict v = campaign_render_some(k, &rendered, why);
        if (v != CHECK_PASS)
            return v;
        n += rendered;
    }
    note(k, &before, clock_mono_ms() - t0, n, "renderings");
    return CHECK_PASS;
}

static enum verdict measure(const struct checker *k, char *why)
{
    return plugin_is_channel(k->plugin) ? channel_figures(k, why) : campaign_figures(k, why);
}

const struct clause figure_clauses[] = {
    {"figures.measured", measure, NULL,
     "cgw/channel.h: Operations stay under 10 ms; a watchdog logs longer ones."},
    {0},
};
