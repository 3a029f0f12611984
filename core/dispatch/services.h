/* SPDX-License-Identifier: Apache-2.0 */
/* services.h - what dispatch knows, told without sending: would this person be contacted, and when
 * is a calendar closed? Same rules cache, same facts, same policy_decide() as the dispatchers;
 * writes nothing. Any thread, each with its own connection. */
#ifndef DISPATCH_SERVICES_H
#define DISPATCH_SERVICES_H

#include "dispatch/rules_cache.h"

struct decide_ask {
    int32_t part, partner_id;
    int64_t customer_id;
    const char *address; /* normalised, "" when only the customer is known */
    uint32_t channel, contact_class;
    int16_t purpose;
    int64_t at_utc_ms; /* INT64_MIN = now */
};
/* Appends
 * {"verdict","reason","text","until","closes","rule","rules_version","channel","class","at"}. */
int dispatch_decide(struct rules_cache *cache, struct db *db, const struct decide_ask *ask,
                    struct buf *ret, struct diag *diag) CGW_NODISCARD;

/* Appends {"from","to","rule","holiday"} of each closed interval that touches [from, to),
 * comma-separated: what this one calendar closes for people of the region (of several zones: closed
 * in any of them). region "" = the calendar's own; CGW_EINVAL when that is everywhere. */
int dispatch_windows(struct db *db, const char *calendar_id, const char *region,
                     int64_t from_utc_ms, int64_t to_utc_ms, struct buf *ret,
                     struct diag *diag) CGW_NODISCARD;

#endif
