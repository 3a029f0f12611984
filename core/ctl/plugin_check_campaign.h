/* SPDX-License-Identifier: Apache-2.0 */
/* plugin_check_campaign.h - a campaign plugin on the bench: its object, one run, the host's half
 * with switches that make the builder and the outputs refuse. */
#ifndef CTL_PLUGIN_CHECK_CAMPAIGN_H
#define CTL_PLUGIN_CHECK_CAMPAIGN_H

#include "base/buf.h"
#include "plugin/campaign.h"
#include "plugin_check.h"

#define REFUSED_MAX 10000u /* calls after the first CGW_ELIMIT: it does not give up */

/* What step() and scan() put out, as one text, so that two runs can be compared. */
struct cgw_out {
    struct buf text;
    uint32_t n_proposals, n_calls;
    bool full;              /* answer CGW_ELIMIT to everything */
    uint32_t calls_refused; /* since it is full */
};

struct bench {
    struct campaign_plugin *plugin;
    struct cgw_run *run;
};

/* Let add_template() and add_part() answer CGW_ELIMIT from the nth call on; 0 = never. Counts from
 * 0. */
void bench_builder_fails_at(uint32_t nth);
uint32_t bench_builder_calls(void);

/* \return 0; 1 when the gateway itself refuses such content; -1 create() failed, with why. */
int open_bench(const struct checker *k, uint32_t channel, const char *content, struct bench *b,
               char *why);
/* The first channel for which the given content is valid. */
enum verdict open_valid(const struct checker *k, struct bench *b, char *why);
void close_bench(struct bench *b);

/* Render for n customers with these packed fields; what came out is appended to out. \return the
 * plugin's answer; *empty counts messages that are fine but have no part. */
int render_rows(const struct bench *b, const char *const *rows, uint32_t n, struct buf *out,
                uint32_t *empty);
/* For measuring: some thousand renderings. */
enum verdict campaign_render_some(const struct checker *k, uint32_t *ret_n, char *why);

#endif
