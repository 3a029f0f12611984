/* SPDX-License-Identifier: Apache-2.0 */
/* render.h - the host's half of a campaign plugin: one run (content JSON + the audience's fields),
 * the builder that collects the parts of messages, and the table handed to plugins. A run and a
 * builder belong to one thread at a time. Does not send, does not know the database. Source:
 * cgw/campaign.h. */
#ifndef CONTENT_RENDER_H
#define CONTENT_RENDER_H

#include "base/buf.h"
#include "base/diag.h"
#include "cgw/campaign.h"

#define RENDER_TEMPLATES_MAX 32u /* different templates in one campaign */
#define RENDER_JSON_MAX 8u       /* values of one content that a plugin reads as JSON text */

/* An uploaded media that the content names. */
struct render_media {
    uint64_t handle;
    int64_t size;
    char id[40], mime[64];
};

/* Make a run. content_json: the wave's content object; fields: names in the order of the audience's
 * params (copied). */
int render_run_new(const char *run_id, uint32_t channel, const char *content_json,
                   size_t content_len, const char *const *fields, uint32_t n_fields,
                   struct cgw_run **ret, struct diag *diag) CGW_NODISCARD;
/* The media that the content may use, copied; whatever else it names, the plugin does not find. */
int render_run_media(struct cgw_run *run, const struct render_media *media, uint32_t n,
                     struct diag *diag) CGW_NODISCARD;
struct cgw_run *render_run_free(struct cgw_run *run);

/* The content of one message. rc: 0; CGW_ENOTFOUND a field has no value (what: its name);
 * CGW_ELIMIT too large; CGW_EINVAL value not allowed in that role. Parts and bytes live in the
 * builder's arena. */
struct render_message {
    int rc;
    uint32_t n_parts;
    struct cgw_part *parts;
    char what[64];
};
struct cgw_builder; /* opaque to plugins */
/* params: packed field values of each customer, in order; borrowed while the builder lives. */
int render_builder_new(struct cgw_run *run, struct arena *arena, const char *const *params,
                       const uint32_t *params_len, uint32_t n, struct cgw_builder **ret,
                       struct diag *diag) CGW_NODISCARD;
const struct render_message *render_builder_message(const struct cgw_builder *b, uint32_t i);
/* The customers to hand to campaign_render(): fields point into params. In the builder's arena. */
const struct cgw_customer *render_builder_customers(const struct cgw_builder *b);
void render_builder_set_customer(struct cgw_builder *b, uint32_t i, uint64_t customer_id,
                                 const char *lang);
void render_builder_free(struct cgw_builder *b);

const struct cgw_campaign_host *
render_campaign_host(void); /* static table for campaign_plugin_new() */

#endif
