/* SPDX-License-Identifier: Apache-2.0 */
/* flush.h - one transaction for a batch of items. Private to core/outcome. */
#ifndef OUTCOME_FLUSH_H
#define OUTCOME_FLUSH_H

#include "outcome/outcome_int.h"

/* How to learn a flush's fate when COMMIT's answer was lost: one of its seals is in the chain or is
 * not. Without a seal it wrote nothing that a second time would do harm: chunks are done, responses
 * are known again, an early receipt waits twice and counts once. */
struct flush_proof {
    int64_t xid; /* 0: not begun */
    bool sealed;
    int32_t part;
    int64_t seal_no;
    unsigned char digest[SEAL_DIGEST];
};
int flush_run(struct outcome_writer *w, struct db *db, struct item **items, int n,
              struct flush_proof *ret, bool *ret_wake, struct diag *diag) CGW_NODISCARD;

#endif
