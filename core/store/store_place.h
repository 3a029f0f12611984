/* SPDX-License-Identifier: Apache-2.0 */
/* store_place.h - table place: the dictionary of where people may be (region + candidate zones),
 * whose number recipients carry. Rows are shared by everybody, never changed and never removed. */
#ifndef STORE_STORE_PLACE_H
#define STORE_STORE_PLACE_H

#include "store/store.h"

#define STORE_PLACE_ZONES_MAX 64u

/* Number of (region, zones), added when it is new. zones need no order; n 0 = zone unknown. Call
 * outside a transaction when the row may be new: an uncommitted row would make other uploads wait.
 * CGW_ELIMIT when the dictionary is full (32,767). */
int store_place_get(struct db *db, const char *region, const char *const *zones, size_t n,
                    int16_t *ret, struct diag *diag) CGW_NODISCARD;

#endif
