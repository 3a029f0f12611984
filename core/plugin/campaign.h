/* SPDX-License-Identifier: Apache-2.0 */
/* campaign.h - the one object per process of each campaign plugin, and guarded calls of its pure
 * operations. `struct cgw_run`, `cgw_builder`, `cgw_out` and the host table belong to the caller:
 * templates and JSON live elsewhere. Source: cgw/campaign.h. */
#ifndef PLUGIN_CAMPAIGN_H
#define PLUGIN_CAMPAIGN_H

#include "base/diag.h"
#include "plugin/loader.h"

struct campaign_plugin;

/* create() of a campaign plugin. `host` must outlive the object. */
int campaign_plugin_new(const struct plugin *p, const struct cgw_campaign_host *host,
                        struct campaign_plugin **ret, struct diag *diag) CGW_NODISCARD;
struct campaign_plugin *campaign_plugin_free(struct campaign_plugin *c);
const struct plugin *campaign_plugin_of(const struct campaign_plugin *c);

/* Any thread, one call at a time per run (the caller's duty). 0 or CGW_E* with diag (diag->where:
 * JSON pointer). */
int campaign_validate(const struct campaign_plugin *c, const struct cgw_run *run,
                      struct diag *diag) CGW_NODISCARD;
int campaign_render(const struct campaign_plugin *c, const struct cgw_run *run, uint32_t content,
                    const struct cgw_customer *customers, uint32_t n,
                    struct cgw_builder *b) CGW_NODISCARD;
/* CGW_ENOTFOUND when the plugin has no step() / scan(). */
int campaign_step(const struct campaign_plugin *c, const struct cgw_run *run,
                  const struct cgw_item *items, uint32_t n, struct cgw_out *out) CGW_NODISCARD;
int campaign_scan(const struct campaign_plugin *c, const struct cgw_run *run, uint32_t order,
                  uint32_t max, struct cgw_out *out) CGW_NODISCARD;

#endif
