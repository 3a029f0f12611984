/* SPDX-License-Identifier: Apache-2.0 */
/* plugin_check.h - private to campgw-plugin-check: what a clause is and what it gets to work with.
 */
#ifndef CTL_PLUGIN_CHECK_H
#define CTL_PLUGIN_CHECK_H

#include "plugin/conf.h"
#include "plugin/loader.h"

#define CHECK_WHY_MAX 320u
#define CHECK_PAIRS_MAX 160u

enum verdict { CHECK_PASS, CHECK_FAIL, CHECK_SKIP };

struct checker {
    const struct plugin *plugin;
    struct conf_pair pairs[CHECK_PAIRS_MAX]; /* options given and invented */
    size_t n_pairs;
    const char *cred_dir;
    const char *content; /* a campaign's content, JSON; NULL = one that fits the channel */
    bool verbose;
};

/* Why a clause failed; cut to CHECK_WHY_MAX. The verdict is returned so that `return
 * check_fail(why, …)` reads straight. */
enum verdict check_fail(char *why, const char *fmt, ...) CGW_PRINTF(2, 3);
enum verdict check_skip(char *why, const char *fmt, ...) CGW_PRINTF(2, 3);

/* Runs in a process of its own; must not depend on another clause. */
struct clause {
    const char *name;
    enum verdict (*run)(const struct checker *c, char *why);
    const char *crash_hint; /* what a crash here means, NULL = nothing in particular */
};

extern const struct clause channel_clauses[]; /* end with name NULL */
extern const struct clause campaign_clauses[];

/* plugin_check_content.c: messages of every odd shape; static, at most CHECK_ODD_MAX. */
#define CHECK_ODD_MAX 24u
uint32_t check_odd_messages(struct cgw_message *ret, uint32_t channel, uint32_t address_kind);
/* One plain message that fits the plugin's roles. */
void check_plain_message(struct cgw_message *ret, struct cgw_part *part,
                         const struct cgw_channel_caps *caps, uint64_t token, uint32_t lane,
                         int64_t before_ms);

#endif
