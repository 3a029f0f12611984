/* SPDX-License-Identifier: Apache-2.0 */
/* campaigns.h - private to the handlers of campaigns: from a document to checked values, and what
 * main wires in beside api_services. */
#ifndef API_HANDLERS_CAMPAIGNS_H
#define API_HANDLERS_CAMPAIGNS_H

#include "api/api.h"
#include "store/store_campaign.h"

/* Is the word an opt-out word? 0 no; CGW_EINVAL with the sentence. Call once before api_start();
 * without it keywords are refused with 503. */
void campaigns_keyword_check(int (*check)(void *ctx, const char *word, size_t len,
                                          struct diag *diag),
                             void *ctx);

/* What a whole campaign looks like, as a client writes it; for api_check_members() too. */
extern const struct api_member campaigns_create_body[], campaigns_patch_body[];

#define CAMPAIGN_CHECK_TIMES 1u /* not_before and not_after given in the request must lie ahead */
#define CAMPAIGN_CHECK_READY 2u /* about to be sent: audience uploaded, a route for every wave */
struct campaign_intake {
    struct api_request *req;
    struct api_response *resp;
    int32_t partner_id; /* whose audiences and routes */
    unsigned flags;
    const json_t *given; /* the request's own members, for CAMPAIGN_CHECK_TIMES */
    struct store_campaign_audience audience; /* filled */
};
/* Values of a document that passed its table; texts borrowed from doc and the request's arena.
 * Faults are collected with api_error(). 0, or the status of an answer already written. */
int campaigns_take(struct campaign_intake *k, const json_t *doc, struct store_campaign_values *ret);

#endif
