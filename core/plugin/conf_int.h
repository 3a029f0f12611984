/* SPDX-License-Identifier: Apache-2.0 */
/* conf_int.h - the inside of option values: one text or number against one schema entry
 * (conf_value.c), whole instances (conf.c). */
#ifndef PLUGIN_CONF_INT_H
#define PLUGIN_CONF_INT_H

#include "plugin/conf.h"

struct conf_value {
    const struct cgw_option *opt; /* borrowed */
    bool has, from_default;
    int64_t num;
    char *text;   /* owned; secrets: the content */
    char **items; /* owned */
    uint32_t n_items;
};

struct cgw_conf {
    struct conf_isolation isolation; /* owned; all 0 when not isolated */
    uint32_t n;
    struct conf_value values[]; /* schema order, then the gateway's own callback options */
};

/* Empty values of a plugin's schema; NULL = out of memory. */
struct cgw_conf *conf_new(const struct plugin *p);
struct conf_value *conf_value_of(const struct cgw_conf *c, const char *key); /* NULL = unknown */
/* Defaults, and what is required. */
int conf_finish(struct cgw_conf *c, const char *instance, const char *where,
                struct diag *diag) CGW_NODISCARD;

/* diag->text gets only the reason ("0 is below the minimum 1 (pdus)"); the caller leads with
 * instance and option. */
int conf_value_from_int(struct conf_value *v, int64_t num, struct diag *diag) CGW_NODISCARD;
/* Words as typed: numbers, on/off/true/false/yes/no, an enum word, a list with commas. Secrets:
 * name of a file. */
int conf_value_from_text(struct conf_value *v, const char *text, const char *cred_dir,
                         struct diag *diag) CGW_NODISCARD;
/* A list from ready items (copied). */
int conf_value_from_items(struct conf_value *v, const char *const *items, uint32_t n,
                          struct diag *diag) CGW_NODISCARD;
void conf_value_done(struct conf_value *v);

#endif
