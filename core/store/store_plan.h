/* SPDX-License-Identifier: Apache-2.0 */
/* store_plan.h - rows behind the planner: campaign and wave transitions, chunks from slices,
 * housekeeping. Every transition names the state it starts from in its WHERE: the API may act on
 * the same row at the same time. */
#ifndef STORE_STORE_PLAN_H
#define STORE_STORE_PLAN_H

#include "store/store.h"

/* One node plans at a time: session advisory lock, given back when the connection ends. */
int store_planner_lock(struct db *db, bool *ret_ours, struct diag *diag) CGW_NODISCARD;
/* scheduled → running for those whose not_before has come. */
int store_plan_due(struct db *db, int64_t now_ms, int64_t *ret_n, struct diag *diag) CGW_NODISCARD;

struct plan_wave {
    int32_t wave_id, campaign_id, set_id, planned_part;
    char state[16], campaign_state[16];
    int64_t validity_ms, not_after_ms, drained_ms; /* 0 = none */
    bool busy;       /* running or finishing, with a chunk that is not done or an echo row */
    int64_t pending; /* of waves in finishing */
};
/* Waves that want attention: waiting (whose time has come) or planning of running campaigns,
 * running and finishing of any. */
int store_plan_waves(struct db *db, int64_t now_ms, struct plan_wave *ret, int max, int *ret_n,
                     struct diag *diag) CGW_NODISCARD;
/* waiting → planning: fixes the set, makes partitions. CGW_ESTATE when the campaign has no uploaded
 * audience. */
int store_plan_begin(struct db *db, int32_t wave_id, struct diag *diag) CGW_NODISCARD;
/* Chunks of one part; planned_part moves on; the last part makes it running. One transaction. */
int store_plan_part(struct db *db, const struct plan_wave *w, int32_t part, int64_t *ret_chunks,
                    struct diag *diag) CGW_NODISCARD;
int store_plan_wave_state(struct db *db, int32_t wave_id, const char *from, const char *to,
                          struct diag *diag) CGW_NODISCARD;
/* After wave changes: running → finishing when no wave is left to send; → completed (or finished_at
 * of a cancelled one) when all are done. */
int store_plan_campaigns(struct db *db, int64_t *ret_completed, struct diag *diag) CGW_NODISCARD;
/* Partitions ahead, retention behind. */
int store_housekeeping(struct db *db, int64_t now_ms, struct diag *diag) CGW_NODISCARD;
/* What is still to be sent, by lane: due now, waiting for its hour, and how long the oldest that is
 * due has been so. */
int store_queues(struct db *db, int64_t now_ms,
                 void (*each)(void *ctx, const char *lane, int64_t due, int64_t later,
                              double oldest_s),
                 void *ctx, struct diag *diag) CGW_NODISCARD;
int store_campaign_states(struct db *db, void (*each)(void *ctx, const char *state, int64_t n),
                          void *ctx, struct diag *diag) CGW_NODISCARD;

#endif
