/* SPDX-License-Identifier: Apache-2.0 */
/* loader.h - open a plugin file, refuse what does not fit, keep a copy of what does.
 * Accepted plugins are never unloaded: code may stand on any stack. Does not make instances
 * (host.h) and reads no configuration. Source: the ABI rules in cgw/plugin.h. */
#ifndef PLUGIN_LOADER_H
#define PLUGIN_LOADER_H

#include "base/diag.h"
#include "cgw/plugin.h"
#include <stdbool.h>

#define PLUGINS_MAX 64u         /* accepted plugins of a process          */
#define PLUGIN_OPTIONS_MAX 128u /* entries of one option schema           */
#define PLUGIN_COUNTERS_MAX 64u /* counters one plugin may declare        */
#define PLUGIN_ROUTES_MAX 16u   /* callback routes one plugin may declare */
#define PLUGIN_NAME_MAX 64u     /* bytes of a plugin name with its NUL    */

/* An accepted plugin. `desc` and the operation tables are copies: members that the plugin's headers
 * did not know are NULL or 0. */
struct plugin {
    char *path;                  /* owned; as given to plugin_load() */
    void *dl;                    /* owned; never closed once accepted */
    struct cgw_plugin_desc desc; /* .channel, .campaign, .caps point into the members below */
    struct cgw_channel_ops channel;
    struct cgw_campaign_ops campaign;
    struct cgw_channel_caps caps;
    uint32_t n_options, n_counters, n_routes;
    bool isolated; /* described by a process that may load it (isolate.h); dl is NULL */
};

/**
 * Load one plugin file (RTLD_NOW | RTLD_LOCAL) and add it to the process's list.
 * \return 0 with *ret set (borrowed, lives as long as the process); CGW_EVERSION another ABI,
 * CGW_EINVAL a broken descriptor, CGW_EEXISTS a second plugin of that name, CGW_ENOTFOUND not
 * loadable or no symbol, CGW_ELIMIT too many. diag says which file, what is wrong and the remedy;
 * after a refusal the file is closed again. Any thread.
 */
int plugin_load(const char *path, struct plugin **ret, struct diag *diag) CGW_NODISCARD;

/* Adds one that was described, not loaded; takes it over unless it fails. Same errors. */
int plugin_adopt(struct plugin *p, struct diag *diag) CGW_NODISCARD;

/* Loaded here, or described by a process: the same file may be both. NULL when absent. */
struct plugin *plugin_find(const char *name);
struct plugin *plugin_find_isolated(const char *name);
/* The i-th accepted plugin in order of loading; NULL past the end. */
struct plugin *plugin_at(uint32_t i);

static inline bool plugin_is_channel(const struct plugin *p)
{
    return p->desc.abi.kind == CGW_KIND_CHANNEL;
}

#endif
