/* SPDX-License-Identifier: Apache-2.0 */
/* store_part.h - nodes and part leases. Safety never depends on leases or clocks, only liveness
 * does: every decide and intent locks part_head and checks (node, epoch). */
#ifndef STORE_STORE_PART_H
#define STORE_STORE_PART_H

#include "store/store.h"

struct part_lease {
    int32_t part;
    int64_t epoch;
};
int store_node_seen(struct db *db, const char *node, const char *version, bool starting,
                    struct diag *diag) CGW_NODISCARD;
/* How long statements of this session wait for a lock: a lease that waits longer is lost anyway. */
int store_parts_patience(struct db *db, int ms, struct diag *diag) CGW_NODISCARD;
/* At start: raise the epoch of parts still held under our own name. Returns them in leases
 * (STORE_PARTS long). */
int store_parts_retake(struct db *db, const char *node, int ttl_ms, struct part_lease *leases,
                       int *ret_n, struct diag *diag) CGW_NODISCARD;
/* Take free or expired parts, at most `max`. */
int store_parts_acquire(struct db *db, const char *node, int ttl_ms, int max,
                        struct part_lease *leases, int *ret_n, struct diag *diag) CGW_NODISCARD;
/* Renew; returns what is still ours (fewer than given = lost). */
int store_parts_renew(struct db *db, const char *node, int ttl_ms, struct part_lease *leases,
                      int *ret_n, struct diag *diag) CGW_NODISCARD;
int store_parts_release(struct db *db, const char *node, const int32_t *parts, int n,
                        struct diag *diag) CGW_NODISCARD;
/* Ends the sessions of nodes that were not seen for ttl, hold no lease and did nothing in it. A
 * process that was stopped, or a machine that is gone, would else keep its row locks and the
 * planner's lock for ever: over a unix socket no time-out finds that out, and in the middle of a
 * COPY none of the server's. What such a node knows it stores over new sessions when it comes back.
 */
int store_nodes_disconnect(struct db *db, int ttl_ms, int *ret_n, struct diag *diag) CGW_NODISCARD;
/* Nodes seen within ttl. */
int store_nodes_alive(struct db *db, int ttl_ms, int *ret_n, struct diag *diag) CGW_NODISCARD;

#endif
