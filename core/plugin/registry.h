/* SPDX-License-Identifier: Apache-2.0 */
/* registry.h - all plugins and configured instances of this process, and the configuration that
 * names them.
 *
 *   plugins: {
 *       directory = "/usr/lib/campgw";              # where NAME.so is looked up
 *       credentials = "/etc/campgw/credentials";    # files that secret options name; default
 * $CREDENTIALS_DIRECTORY load = [ "campaign_broadcast" ];            # plugins without an instance
 *   };
 *   instances = (
 *       { name = "smsc-a"; plugin = "channel_smpp"; host = "127.0.0.1"; password =
 * "smsc-a.password"; window = 50; }
 *   );
 *
 * Does not know routes (rows) nor the database. One owner thread changes it (main); reading is for
 * any thread once loaded. */
#ifndef PLUGIN_REGISTRY_H
#define PLUGIN_REGISTRY_H

#include "plugin/campaign.h"
#include "plugin/conf.h"
#include "plugin/host.h"
#include <libconfig.h>

#define INSTANCES_MAX 64u
#define INSTANCE_NAME_MAX 48u /* bytes with NUL; letters, digits, - and _ */

struct registry;

struct registry_opts {
    struct instance_sink sink; /* for every channel instance */
    const struct cgw_campaign_host
        *campaign_host;      /* NULL = campaign plugins are loaded but not created */
    const char *plugin_dir;  /* used when the configuration names none */
    const char *credentials; /* likewise; NULL = $CREDENTIALS_DIRECTORY */
    bool sandbox;            /* only instances that sandbox_check() lets pass */
};

int registry_new(const struct registry_opts *opts, struct registry **ret,
                 struct diag *diag) CGW_NODISCARD;
/* Drains what runs (deadline now) and frees all. */
struct registry *registry_free(struct registry *r);

/* Load plugins and make instances as the configuration says; all or nothing is up to the caller
 * (exit). Members of `plugins` and `instances` that are not known are errors with file:line and the
 * nearest known word. */
int registry_load_config(struct registry *r, const config_t *cfg, struct diag *diag) CGW_NODISCARD;
/* Check only: plugins are loaded, options are judged, no instance is made. */
int registry_check_config(struct registry *r, const config_t *cfg, struct diag *diag) CGW_NODISCARD;
/* One at a time, for tests and tools. Takes over conf. */
int registry_add(struct registry *r, const struct plugin *p, const char *name,
                 struct cgw_conf *conf, struct diag *diag) CGW_NODISCARD;

int registry_start(struct registry *r, struct diag *diag) CGW_NODISCARD;
/* Drain all instances together; returns when all are drained or the deadline has passed. 0 or
 * CGW_EBUSY. */
int registry_drain(struct registry *r, int64_t deadline_mono_ms);

struct plugin_instance *registry_find(const struct registry *r,
                                      const char *instance);               /* NULL = absent */
struct plugin_instance *registry_at(const struct registry *r, uint32_t i); /* NULL past the end */
struct campaign_plugin *registry_campaign(const struct registry *r, const char *plugin);
/* Where the instance stands in the configuration, "file:line" or "". */
const char *registry_where(const struct registry *r, const struct plugin_instance *inst);
/* Plugins themselves: plugin_at() in loader.h. */

#endif
