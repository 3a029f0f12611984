/* SPDX-License-Identifier: Apache-2.0 */
/* store_partner.h - tables partner and partner_day: who sends through this installation, how much a
 * day and how fast. The quota counts messages handed to channels, in the transaction of the intent:
 * a partner never exceeds it, whatever nodes and crashes do. What comes back unsent or refused for
 * now has used its share: it is taken again when it goes again. */
#ifndef STORE_STORE_PARTNER_H
#define STORE_STORE_PARTNER_H

#include "store/store.h"

/* NULL and INT64_MIN mean "as it is" (or the column's default for a new one). */
struct store_partner_values {
    const char *name, *zone;
    int64_t quota_day; /* -1 = no quota */
    int64_t rate;      /* messages per second, 0 = no limit */
};
void store_partner_values_init(struct store_partner_values *v);

/* ret gets the document. CGW_EEXISTS when the name is taken. */
int store_partner_create(struct db *db, const struct store_actor *who,
                         const struct store_partner_values *v, int32_t *ret_id, struct buf *ret,
                         struct diag *diag) CGW_NODISCARD;
/* A partner sees itself only. */
int store_partner_json(struct db *db, struct store_scope scope, int32_t id, int64_t *ret_version,
                       struct buf *ret, struct diag *diag) CGW_NODISCARD;
int store_partner_list(struct db *db, struct store_scope scope, const char *cursor, int limit,
                       struct buf *ret, bool *ret_more, char *ret_cursor, size_t cursor_size,
                       struct diag *diag) CGW_NODISCARD;
int store_partner_lock(struct db *db, int32_t id, int64_t *ret_version,
                       struct diag *diag) CGW_NODISCARD;
int store_partner_update(struct db *db, const struct store_actor *who, int32_t id,
                         const struct store_partner_values *v, int64_t *ret_version,
                         struct buf *ret, struct diag *diag) CGW_NODISCARD;
/* Out of use: nothing of it is sent any more (quota 0), its keys are revoked; rows stay. */
int store_partner_archive(struct db *db, const struct store_actor *who, int32_t id,
                          struct diag *diag) CGW_NODISCARD;

/* ---- dispatch: in the caller's transaction */
/* Take up to `want` of today's quota; the row stays locked until the end of the transaction. */
int store_partner_take(struct db *db, int32_t id, int64_t now_ms, uint32_t want, uint32_t *ret_got,
                       struct diag *diag) CGW_NODISCARD;
/* What is left of today's (INT64_MAX = no quota) and when the next day begins. */
int store_partner_left(struct db *db, int32_t id, int64_t now_ms, int64_t *ret_left,
                       int64_t *ret_next_ms, struct diag *diag) CGW_NODISCARD;

/* ---- settlement: figures per route and day of the zone (store_settle.c) */
struct store_settle_query {
    int32_t partner_id;
    const char *from, *to; /* "YYYY-MM-DD", both days included */
    const char *zone;
};
/* csv: lines with CR LF and a head; else JSON objects joined by commas. */
int store_settlements(struct db *db, const struct store_settle_query *q, bool csv, struct buf *ret,
                      struct diag *diag) CGW_NODISCARD;

#endif
