/* SPDX-License-Identifier: Apache-2.0 */
/* queue.h - what is due next and for whom: part leases of this node, fair choice of chunks over
 * waves, due echo rows. Owns part_head leases, reads chunk and echo. Does not decide (policy/) and
 * does not send (dispatch/). Any thread. Two dispatchers never get the same chunk or the same
 * (part, wave) of echo rows: what is handed out is "live" until given back. */
#ifndef QUEUE_QUEUE_H
#define QUEUE_QUEUE_H

#include "store/store_control.h"
#include "store/store_decide.h"

#define QUEUE_RESTING_MAX                                                                          \
    256u /* waves resting at once; beyond it the one that rests shortest is woken */
#define QUEUE_EMPTY_SLOTS 4096u /* a collision costs one look more */
#define QUEUE_LIVE_MAX                                                                             \
    1024u /* chunks and echo batches in work or waiting for their last results                     \
           */

struct queue;
struct queue_config {
    const char *conninfo, *node, *version;
    int lease_ttl_ms; /* 10,000 */
    /* A part is ours under a new epoch: settle what the former holder left. Called from the lease
     * thread, before the part is offered. */
    int (*recover)(void *ctx, struct db *db, int32_t part, int64_t epoch, struct diag *diag);
    /* Nothing of this part is in flight any more (asked before a part is taken again after a lost
     * lease). */
    bool (*idle)(void *ctx, int32_t part);
    void *ctx;
};
int queue_start(const struct queue_config *cfg, struct queue **ret,
                struct diag *diag) CGW_NODISCARD;
void queue_stop(struct queue *q);                   /* gives the parts back */
int64_t queue_epoch(struct queue *q, int32_t part); /* 0 = not ours */
int queue_parts(struct queue *q, int32_t parts[STORE_PARTS]);

/* Next chunk of a lane, from the wave that follows the one served last, round and round;
 * CGW_ENOTFOUND when nothing is due. Marks it live. */
int queue_next_chunk(struct queue *q, struct db *db, const struct control *c, int lane,
                     int64_t now_ms, struct chunk_ref *ret, struct diag *diag) CGW_NODISCARD;
void queue_chunk_back(struct queue *q, int32_t part, int32_t wave_id, int32_t chunk_no);
/* Next (part, wave) with due echo rows; CGW_ENOTFOUND when none. Marks it live (chunk_no -1). */
int queue_next_echo(struct queue *q, struct db *db, int lane, int64_t now_ms, struct echo_due *ret,
                    struct diag *diag) CGW_NODISCARD;
void queue_echo_back(struct queue *q, int32_t part, int32_t wave_id);
/* Its rows are intended or back in line: others of this part and wave need not wait for the
 * answers. Live, and counted, until queue_echo_done(). */
void queue_echo_sent(struct queue *q, int32_t part, int32_t wave_id);
void queue_echo_done(struct queue *q, int32_t part, int32_t wave_id);
/* Nothing of this wave is handed out for so long: it failed or its routes are stuck, and others
 * want their turn. */
void queue_rest(struct queue *q, int32_t wave_id, int ms);
/* There are new chunks of this wave, 0 = of any: look, also if it had none a moment ago. */
void queue_look_again(struct queue *q, int32_t wave_id);
uint32_t queue_live(struct queue *q);

#endif
