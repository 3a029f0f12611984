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

/* Filled by the clause that measures, in its own process; shared memory. */
struct figures {
    bool measured;
    double per_second, cpu_ms_per_1000;
    uint64_t n;          /* messages or renderings measured */
    uint64_t memory_kib; /* the process at its largest, checker included */
    const char *what;    /* "messages", "renderings" */
    char results[96];    /* what became of the messages: without a peer many are not sent */
};

struct checker {
    struct plugin *plugin; /* its table of operations may be wrapped by a clause, in its process */
    struct figures *figures;
    struct conf_pair pairs[CHECK_PAIRS_MAX]; /* options given and invented */
    size_t n_pairs;
    const char *cred_dir;
    const char *content; /* a campaign's content, JSON; NULL = one that fits the channel */
    bool verbose, isolated;
};

/* Why a clause failed; cut to CHECK_WHY_MAX. The verdict is returned so that `return
 * check_fail(why, …)` reads straight. */
enum verdict check_fail(char *why, const char *fmt, ...) CGW_PRINTF(2, 3);
/* The same for what was not there in time, of which a machine that stood still may be the cause:
 * the clause is run again, CHECK_TRIES times in all, and fails when it fails each time. */
enum verdict check_late(char *why, const char *fmt, ...) CGW_PRINTF(2, 3);
#define CHECK_TRIES 3
/* Words around a reason that another one gave: whether it was late stays as that one said. */
enum verdict check_within(char *why, const char *fmt, ...) CGW_PRINTF(2, 3);
enum verdict check_skip(char *why, const char *fmt, ...) CGW_PRINTF(2, 3);

/* Runs in a process of its own; must not depend on another clause. */
struct clause {
    const char *name;
    enum verdict (*run)(const struct checker *c, char *why);
    const char *crash_hint; /* what a crash here means, NULL = nothing in particular */
    const char *promise;    /* "header: the sentence of the contract" it comes from */
};

/* Lists end with name NULL. */
extern const struct clause channel_clauses[], fault_clauses[], shape_clauses[];
extern const struct clause campaign_clauses[], campaign_fault_clauses[], figure_clauses[];

/* plugin_check_content.c: messages of every odd shape; static, at most CHECK_ODD_MAX. */
#define CHECK_ODD_MAX 32u
uint32_t check_odd_messages(struct cgw_message *ret, uint32_t channel, uint32_t address_kind);
/* One plain message that fits the plugin's roles. */
void check_plain_message(struct cgw_message *ret, struct cgw_part *part,
                         const struct cgw_channel_caps *caps, uint64_t token, uint32_t lane,
                         int64_t before_ms);

/* plugin_check_report.c: one line per clause while they run, a certificate of all at the end. */
struct report_args {
    const char *file;        /* the plugin */
    const char *certificate; /* file to write it to, NULL = none */
    bool json;
};
struct report;
struct report *report_new(const struct report_args *args, const struct checker *k);
void report_clause(struct report *r, const struct clause *clause, enum verdict v, const char *why);
/* \return the exit status. Frees r. */
int report_end(struct report *r);

#endif
