/* SPDX-License-Identifier: Apache-2.0 */
/* store_switch.h - the brakes: the dispatch switch of the whole installation and the pauses of
 * queues (route, lane). */
#ifndef STORE_STORE_SWITCH_H
#define STORE_STORE_SWITCH_H

#include "store/store.h"

int store_dispatch_json(struct db *db, struct buf *ret, struct diag *diag) CGW_NODISCARD;
/* state: running, paused, draining; already so: nothing changes. */
int store_dispatch_set(struct db *db, const struct store_actor *who, const char *state,
                       struct buf *ret, struct diag *diag) CGW_NODISCARD;

/* A queue = (route, lane); its id is the route's with ".bulk" or ".urgent". */
struct store_queue {
    int32_t route_id;
    int lane;         /* CGW_LANE_* */
    const char *json; /* document {id, route, route_name, channel, lane, paused, state}, borrowed */
};
typedef int (*store_queue_fn)(void *ctx, const struct store_queue *q);
/* In id order; public_id NULL = all (limit of them, from cursor on), else the one: CGW_ENOTFOUND.
 */
int store_queue_list(struct db *db, struct store_scope scope, const char *cursor, int limit,
                     store_queue_fn fn, void *ctx, bool *ret_more, char *ret_cursor,
                     size_t cursor_size, struct diag *diag) CGW_NODISCARD;
int store_queue_one(struct db *db, struct store_scope scope, const char *queue_id,
                    store_queue_fn fn, void *ctx, struct diag *diag) CGW_NODISCARD;
int store_queue_pause(struct db *db, const struct store_actor *who, struct store_scope scope,
                      const char *queue_id, bool paused, struct diag *diag) CGW_NODISCARD;

#endif
