/* SPDX-License-Identifier: Apache-2.0 */
/* outcome.h - what a SIP status means for a call that was not answered: the result for the gateway,
 * and whether another trunk may be tried. Pure. */
#ifndef IVR_OUTCOME_H
#define IVR_OUTCOME_H

#include <stdbool.h>
#include <stdint.h>

/* Seconds until the gateway may try again; 0 = this outcome is final. */
struct ivr_retry_conf {
    int64_t busy_s, no_answer_s, rejected_s, route_s;
};

struct ivr_verdict {
    uint32_t result, sub, flags; /* CGW_RES_*, CGW_SUB_*, CGW_RESF_* */
    int64_t retry_after_ms;
    bool other_trunk; /* the trunk's fault: try the next one first */
    bool trunk_rests; /* and leave it alone for a while */
    const char *word; /* "busy", "no_answer" ... */
};

/* status 0: the trunk did not answer at all. retry_after_ms: the peer's wish, 0 = none. */
void ivr_outcome(int status, int64_t retry_after_ms, const struct ivr_retry_conf *conf,
                 struct ivr_verdict *ret);
/* CGW_SUB_* of the status that a transfer ended with; 0 when nobody knows. */
uint32_t ivr_transfer_sub(int status);

#endif
