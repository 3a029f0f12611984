/* SPDX-License-Identifier: Apache-2.0 */
/* check.h - is the content of a campaign right, before anybody is contacted? The campaign plugin
 * validates it, it is rendered for sample people, and the channel instances say in how many parts
 * it goes. Sends nothing, knows no database. What a person's own values do to the length is decided
 * per person at dispatch (content.too_long). */
#ifndef CONTENT_CHECK_H
#define CONTENT_CHECK_H

#include "base/diag.h"
#include "content/optout.h"
#include "content/render.h"
#include "plugin/registry.h"

struct content_found {
    uint32_t segments;       /* most that any of the instances needs; 0 = nobody was asked */
    char encoding[16];       /* of that one */
    char text[CGW_DIAG_MAX]; /* what the judging instance said, "" fine */
};
/* fields: what the audience has, in the order of its params; NULL = no audience yet, then only the
 * form of names is judged. media: those that the content names. instances: names of channel
 * instances; ones this node does not run are passed over. media: those that the content names.
 * \return 0; CGW_ENOTFOUND: no such campaign plugin; CGW_EINVAL, CGW_ELIMIT: diag.where = pointer
 * in the content. */
int content_check(const struct registry *reg, const char *plugin, uint32_t channel,
                  const char *content_json, size_t content_len, const char *const *fields,
                  uint32_t n_fields, const char *const *instances, uint32_t n_instances,
                  const struct render_media *media, uint32_t n_media, struct content_found *ret,
                  struct diag *diag) CGW_NODISCARD;

/* A campaign's keyword must not be a word that opts out. 0 or CGW_EINVAL. */
int content_check_keyword(const struct optout_sets *sets, const char *word, size_t len,
                          struct diag *diag) CGW_NODISCARD;

#endif
