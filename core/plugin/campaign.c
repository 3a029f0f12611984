/* SPDX-License-Identifier: Apache-2.0 */
/* campaign.c - see campaign.h. Turns the plugin's cgw_diag into ours and keeps the watchdog's
 * promise for pure operations too: a slow one is logged, never interrupted. */
#include "plugin/campaign.h"

#include "base/clock.h"
#include "base/log.h"
#include <errno.h>

#define SLOW_MS_PER_CALL 1000 /* validate and render work on whole batches, away from any loop */

struct campaign_plugin {
    const struct plugin *plugin; /* borrowed, lives as long as the process */
    void *pl;                    /* the plugin's */
};

static int to_diag(const struct plugin *p, int rc, struct cgw_diag *from, struct diag *to)
{
    from->where[sizeof from->where - 1] = from->text[sizeof from->text - 1] = 0;
    if (!rc)
        return 0;
    return diag_set(to, rc < 0 ? rc : CGW_EINVAL, from->where, "%s",
                    from->text[0] ? from->text : p->desc.name);
}

int campaign_plugin_new(const struct plugin *p, const struct cgw_campaign_host *host,
                        struct campaign_plugin **ret, struct diag *diag)
{
    if (plugin_is_channel(p))
        return diag_set(diag, CGW_EINVAL, "", "%s is a channel plugin, not a campaign plugin",
                        p->desc.name);
    struct campaign_plugin *c = calloc(1, sizeof *c);
    if (!c)
        return diag_set(diag, -ENOMEM, "", "%s: out of memory", p->desc.name);
    struct cgw_diag d = {.size = sizeof d};
    c->plugin = p;
    int rc = to_diag(p, p->campaign.create(host, &c->pl, &d), &d, diag);
    if (rc) {
        free(c);
        return rc;
    }
    *ret = c;
    return 0;
}

struct campaign_plugin *campaign_plugin_free(struct campaign_plugin *c)
{
    if (c)
        c->plugin->campaign.destroy(c->pl);
    free(c);
    return NULL;
}

const struct plugin *campaign_plugin_of(const struct campaign_plugin *c)
{
    return c->plugin;
}

static int timed(const struct campaign_plugin *c, const char *op, int64_t since_ms, int rc)
{
    int64_t ms = clock_mono_ms() - since_ms;
    if (ms > SLOW_MS_PER_CALL)
        log_warning("plugin.op.slow", "plugin=%s op=%s ms=%lld", c->plugin->desc.name, op,
                    (long long)ms);
    return rc > 0 ? CGW_EINVAL : rc;
}

int campaign_validate(const struct campaign_plugin *c, const struct cgw_run *run, struct diag *diag)
{
    struct cgw_diag d = {.size = sizeof d};
    int64_t t0 = clock_mono_ms();
    return to_diag(c->plugin,
                   timed(c, "validate", t0, c->plugin->campaign.validate(c->pl, run, &d)), &d,
                   diag);
}

int campaign_render(const struct campaign_plugin *c, const struct cgw_run *run, uint32_t content,
                    const struct cgw_customer *customers, uint32_t n, struct cgw_builder *b)
{
    int64_t t0 = clock_mono_ms();
    return timed(c, "render", t0, c->plugin->campaign.render(c->pl, run, content, customers, n, b));
}

int campaign_step(const struct campaign_plugin *c, const struct cgw_run *run,
                  const struct cgw_item *items, uint32_t n, struct cgw_out *out)
{
    if (!c->plugin->campaign.step)
        return CGW_ENOTFOUND;
    int64_t t0 = clock_mono_ms();
    return timed(c, "step", t0, c->plugin->campaign.step(c->pl, run, items, n, out));
}

int campaign_scan(const struct campaign_plugin *c, const struct cgw_run *run, uint32_t order,
                  uint32_t max, struct cgw_out *out)
{
    if (!c->plugin->campaign.scan)
        return CGW_ENOTFOUND;
    int64_t t0 = clock_mono_ms();
    int rc = c->plugin->campaign.scan(c->pl, run, order, max, out);
    int timed_rc = timed(c, "scan", t0, rc < 0 ? rc : 0);
    return timed_rc ? timed_rc : rc; /* scan answers a count */
}
