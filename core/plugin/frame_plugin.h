/* SPDX-License-Identifier: Apache-2.0 */
/* frame_plugin.h - a plugin's descriptor and an instance's option values as frames. The descriptor
 * goes to the gateway, so that it need not load the file; the values, secrets resolved, go to the
 * process that runs the plugin, so that it need not read the credentials directory. */
#ifndef PLUGIN_FRAME_PLUGIN_H
#define PLUGIN_FRAME_PLUGIN_H

#include "plugin/conf.h"
#include "plugin/frame.h"
#include "plugin/loader.h"

/* Operations that a plugin may leave out. */
#define PLUGIN_OP_STORED 1u
#define PLUGIN_OP_CANCEL 2u
#define PLUGIN_OP_QUERY 4u
#define PLUGIN_OP_HEALTH 8u
#define PLUGIN_OP_TALLY 16u
#define PLUGIN_OP_RECALL 32u

/* A descriptor as read: tables that point into `text`. */
struct described {
    char *text; /* owned: the frame's payload */
    uint32_t abi_minor, ops, n_options, n_counters, n_routes;
    uint64_t flags;
    const char *name, *version, *vendor;
    struct cgw_channel_caps caps;
    struct cgw_option options[PLUGIN_OPTIONS_MAX + 1];
    struct cgw_counter counters[PLUGIN_COUNTERS_MAX + 1];
    struct cgw_http_route routes[PLUGIN_ROUTES_MAX + 1]; /* handler NULL */
};
void plugin_put(struct buf *b, const struct plugin *p);
/* \return 0 with *ret owned by the caller, CGW_EINVAL, -ENOMEM. Judges only that it can be read. */
int plugin_get(struct frame *f, struct described **ret) CGW_NODISCARD;
struct described *described_free(struct described *d);

/* Values that were given; what is from a default is left to the schema of the reader. */
void values_put(struct buf *b, const struct cgw_conf *c);
/* Against the schema of p: a value that it does not know is left out and counted in *ret_unknown.
 */
int values_get(struct frame *f, const struct plugin *p, const char *instance, struct cgw_conf **ret,
               uint32_t *ret_unknown, struct diag *diag) CGW_NODISCARD;

#endif
