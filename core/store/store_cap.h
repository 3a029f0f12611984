/* SPDX-License-Identifier: Apache-2.0 */
/* store_cap.h - table cap as the API sees it: how often a person may be contacted. Counting is
 * store_caps.c's. A cap's slot, period, days, channel, classes and zone never change: a new
 * definition is a new row, the old one stays inactive for the log that names it. Every change
 * raises rules_version. */
#ifndef STORE_STORE_CAP_H
#define STORE_STORE_CAP_H

#include "policy/policy.h"
#include "store/store.h"

struct store_cap_values {
    char name[121];
    bool unlimited;      /* max null */
    int16_t max;         /* 0 = none allowed */
    uint8_t period;      /* enum cap_period */
    int16_t days;        /* sliding only, else 0 */
    uint8_t channel;     /* 0 = all together */
    uint32_t class_mask; /* bit CGW_CLASS_x */
    char zone[64];
};

/* Inside the caller's transaction. CGW_ELIMIT when all CAPS_MAX slots are taken. ret gets the
 * document. */
int store_cap_create(struct db *db, const struct store_actor *who, const struct store_cap_values *v,
                     char ret_public_id[40], struct buf *ret, struct diag *diag) CGW_NODISCARD;
int store_cap_json(struct db *db, const char *public_id, int64_t *ret_version, struct buf *ret,
                   struct diag *diag) CGW_NODISCARD;
/* In the order of creation. active: the ones in force, else the former ones. */
int store_cap_list(struct db *db, bool active, const char *cursor, int limit, struct buf *ret,
                   bool *ret_more, char *ret_cursor, size_t cursor_size,
                   struct diag *diag) CGW_NODISCARD;
/* The values of an active cap, locked. CGW_ENOTFOUND; CGW_ESTATE for a former one. */
int store_cap_lock(struct db *db, const char *public_id, int64_t *ret_version,
                   struct store_cap_values *ret, struct diag *diag) CGW_NODISCARD;
/* Name and max change in place; anything else makes a new row that takes over the public id, while
 * the former row gets a fresh one. */
int store_cap_update(struct db *db, const struct store_actor *who, const char *public_id,
                     const struct store_cap_values *v, int64_t *ret_version, struct buf *ret,
                     struct diag *diag) CGW_NODISCARD;
/* Out of force. Again: nothing changes, not an error. */
int store_cap_end(struct db *db, const struct store_actor *who, const char *public_id,
                  struct diag *diag) CGW_NODISCARD;

#endif
