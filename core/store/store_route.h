/* SPDX-License-Identifier: Apache-2.0 */
/* store_route.h - table route: rows naming a channel instance with sender, rate, where it may go
 * and in which order it is chosen. Never holds a secret; the instance (peer, credentials) is
 * configuration. */
#ifndef STORE_STORE_ROUTE_H
#define STORE_STORE_ROUTE_H

#include "store/store.h"

#define STORE_ROUTE_LIST_MAX 500 /* prefixes or regions of one route */

/* Values for a new route or a change of one: NULL, INT64_MIN and n -1 mean "as it is" (or the
 * column's default for a new one). */
struct store_route_values {
    const char *name, *instance, *sender, *service_code;
    int64_t channel; /* CGW_CHANNEL_*; new routes only */
    int64_t sender_kind, rate, class_mask, priority, weight, max_segments, max_tries, receipts;
    const char *const *prefixes, *const *regions;
    int64_t n_prefixes, n_regions;
};
void store_route_values_init(struct store_route_values *v);

/* ret gets the document. CGW_EEXISTS when the name is taken. */
int store_route_create(struct db *db, const struct store_actor *who, int32_t partner_id,
                       const struct store_route_values *v, char ret_public_id[40], struct buf *ret,
                       struct diag *diag) CGW_NODISCARD;
int store_route_json(struct db *db, struct store_scope scope, const char *public_id,
                     int64_t *ret_version, struct buf *ret, struct diag *diag) CGW_NODISCARD;
/* In name order; archived ones are not listed. */
int store_route_list(struct db *db, struct store_scope scope, const char *cursor, int limit,
                     struct buf *ret, bool *ret_more, char *ret_cursor, size_t cursor_size,
                     struct diag *diag) CGW_NODISCARD;
/* Locks the row for the caller's transaction. */
int store_route_lock(struct db *db, struct store_scope scope, const char *public_id,
                     int64_t *ret_version, int *ret_channel, struct diag *diag) CGW_NODISCARD;
int store_route_update(struct db *db, const struct store_actor *who, const char *public_id,
                       const struct store_route_values *v, int64_t *ret_version, struct buf *ret,
                       struct diag *diag) CGW_NODISCARD;
/* state: active, paused, draining. Already so: nothing changes, not an error. */
int store_route_set_state(struct db *db, const struct store_actor *who, struct store_scope scope,
                          const char *public_id, const char *state, int64_t *ret_version,
                          struct buf *ret, struct diag *diag) CGW_NODISCARD;
/* The next instance, in the order of names behind `after`, that a route goes through, and one such
 * route. CGW_ENOTFOUND behind the last. */
struct store_instance_use {
    char instance[64], route[40];
};
int store_route_instance(struct db *db, const char *after, struct store_instance_use *ret,
                         struct diag *diag) CGW_NODISCARD;
/* Out of use for good; its log stays. CGW_EBUSY while a live campaign names it. Frees the name. */
int store_route_archive(struct db *db, const struct store_actor *who, struct store_scope scope,
                        const char *public_id, struct diag *diag) CGW_NODISCARD;

#endif
