/* SPDX-License-Identifier: Apache-2.0 */
/* refmap.h - accepted messages whose receipt is still to come, as far as this node remembers them:
 * a receipt that finds its message here needs neither of the two look-ups that it costs otherwise.
 * Only memory: what is not here is in contact_submit. Bounded (REFMAP_SLOTS); the oldest of a
 * bucket gives way. Used by the writer thread only. */
#ifndef OUTCOME_REFMAP_H
#define OUTCOME_REFMAP_H

#include "store/store_outcome.h"

#define REFMAP_SLOTS                                                                               \
    1048576u               /* a power of two; 72 octets each, touched when used: 75 MB at most. A  \
                            * minute of receipts at 20,000/s: one that must be looked up costs 9 us */
#define REFMAP_REF_MAX 24u /* provider ids with their NUL; longer ones are looked up */

struct refmap_slot {
    int64_t refh /* 0 = free */, contact_id, address_key, ts_ms;
    int32_t route_id;
    uint32_t era; /* of its part, see flush.c */
    uint8_t part;
    char ref[REFMAP_REF_MAX];
};
struct refmap {
    struct refmap_slot *slot; /* owned */
};

int refmap_init(struct refmap *m) CGW_NODISCARD;
void refmap_done(struct refmap *m);
/* A message of one segment, accepted at its first attempt, without any event yet. */
void refmap_put(struct refmap *m, const struct ref_match *match, uint32_t era);
/* The message of this reference; it stays. */
bool refmap_find(const struct refmap *m, int64_t refh, const char *ref,
                 struct ref_match *ret) CGW_NODISCARD;
/* The message of this reference; it is forgotten here, whatever comes of the receipt. */
bool refmap_take(struct refmap *m, int64_t refh, const char *ref, struct ref_match *ret,
                 uint32_t *ret_era);
/* Its receipt came another way: by the database, under another spelling of the id. */
void refmap_forget(struct refmap *m, int64_t refh, const char *ref);

#endif
