/* SPDX-License-Identifier: Apache-2.0 */
/* rules_cache.h - the current rules with their compiled windows, shared by all dispatchers and the
 * API. A set is immutable but for the windows, which are compiled on first use per (place, class,
 * channel). Rebuilt when rules_version moves or a day has passed. */
#ifndef DISPATCH_RULES_CACHE_H
#define DISPATCH_RULES_CACHE_H

#include "store/store_rules.h"

struct rules_cache;
struct rules_ref; /* one version, counted */

struct rules_cache *rules_cache_new(void);
void rules_cache_free(struct rules_cache *c);
/* The rules of at least this version (0 = whatever is current in the database). Released with
 * rules_unref(). */
int rules_cache_get(struct rules_cache *c, struct db *db, int32_t version, struct rules_ref **ret,
                    struct diag *diag) CGW_NODISCARD;
void rules_unref(struct rules_ref *r);
const struct rules *rules_of(const struct rules_ref *r);
/* Windows of a place of the dictionary; borrowed from r. */
int rules_windows(struct rules_ref *r, struct db *db, int16_t place, uint32_t contact_class,
                  uint32_t channel, const struct windows **ret, struct diag *diag) CGW_NODISCARD;
const struct rule_set *rules_set(const struct rules_ref *r);

#endif
