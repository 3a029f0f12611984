/* SPDX-License-Identifier: Apache-2.0 */
/* store_rules.h - the rules of one rules_version as policy wants them: class rules, caps,
 * calendars. Immutable once loaded. */
#ifndef STORE_STORE_RULES_H
#define STORE_STORE_RULES_H

#include "policy/calendar.h"
#include "policy/policy.h"
#include "store/store.h"

struct rule_set {
    struct rules rules; /* rules.caps points into caps[] */
    struct cap caps[CAPS_MAX];
    struct calendar_def *calendars; /* owned, with their texts */
    uint32_t n_calendars;
    struct open_span *spans; /* owned */
    struct arena texts;
};
int store_rules_version(struct db *db, int32_t *ret_version, struct diag *diag) CGW_NODISCARD;
int store_rules_load(struct db *db, struct rule_set **ret, struct diag *diag) CGW_NODISCARD;
void rule_set_free(struct rule_set *rs);
/* Place dictionary entry; zones point into arena. CGW_ENOTFOUND when absent. */
int store_place_load(struct db *db, int16_t place, struct arena *a, struct place *ret,
                     struct diag *diag) CGW_NODISCARD;

#endif
