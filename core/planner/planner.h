/* SPDX-License-Identifier: Apache-2.0 */
/* planner.h - due campaigns → waves → chunks, and their end. One thread, one connection; one node
 * plans at a time. Decides nothing about people and sends nothing. */
#ifndef PLANNER_PLANNER_H
#define PLANNER_PLANNER_H

#include "base/diag.h"
#include "db/db.h"

struct planner;
struct planner_config {
    const char *conninfo;
    int64_t receipt_grace_ms; /* after validity, before a missing receipt means unknown */
    void (*wake)(void *ctx, int32_t wave_id); /* there are chunks now */
    /* Everyone without a final result becomes unknown; wired to outcome/ by main. */
    int (*close_wave)(void *ctx, struct db *db, int32_t wave_id, int64_t now_utc_ms,
                      int64_t *ret_closed, struct diag *diag);
    /* Validity is over and receipts are missing: ask the network, as much as its bound allows. May
     * be NULL. */
    int (*ask_wave)(void *ctx, struct db *db, int32_t wave_id, struct diag *diag);
    /* Its campaign was cancelled: take back what the network has accepted since then and not
     * delivered, as much as its bound allows. drained: no more is on its way there. May be NULL. */
    int (*recall_wave)(void *ctx, struct db *db, int32_t wave_id, int64_t since_utc_ms,
                       bool drained, struct diag *diag);
    const unsigned char *sign_key; /* Ed25519, borrowed: signs the hourly root of the seals */
    void *ctx;
};
int planner_start(const struct planner_config *cfg, struct planner **ret,
                  struct diag *diag) CGW_NODISCARD;
void planner_wake(void *planner);
void planner_halt(struct planner *p); /* its thread ends; waking it is still allowed */
void planner_stop(struct planner *p); /* halts and frees */

#endif
