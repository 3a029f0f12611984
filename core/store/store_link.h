/* SPDX-License-Identifier: Apache-2.0 */
/* store_link.h - people who turn out to be one, numbers that went to somebody else, people who want
 * to be forgotten. The only writers that touch more than one part for one person: they take the
 * alias lock, then the parts in order; what is decided and not yet sent to an id that ends here is
 * denied (customer.linked). Inside the caller's transaction, which ends with store_facts_touch()
 * for the parts returned. Audited. */
#ifndef STORE_STORE_LINK_H
#define STORE_STORE_LINK_H

#include "store/store.h"

/* `other` becomes `kept`: every list entry, the withdrawals of both, all counts, all addresses.
 * CGW_EEXISTS: they are one already. ret_other: the id that ended. */
int store_customer_link(struct db *db, const struct store_actor *who, int64_t kept, int64_t other,
                        int64_t *ret_kept, int64_t *ret_other, uint64_t *ret_parts,
                        struct diag *diag) CGW_NODISCARD;
/* The address with this key is somebody else's from now on: it leads to a new id that inherits
 * opt-outs and nothing else. The former owner goes on under another new id while there is another
 * address, else is forgotten. ret_former 0 = forgotten. address: normal form. */
int store_customer_reassign(struct db *db, const struct store_actor *who, int64_t address_key,
                            const char *address, int64_t *ret_new, int64_t *ret_former,
                            uint64_t *ret_parts, struct diag *diag) CGW_NODISCARD;
/* All addresses lead to one new id that keeps opt-outs (a keyed tombstone); the customer row,
 * fields of recipients, texts and evidence go. The log stays: it holds no address. */
int store_customer_erase(struct db *db, const struct store_actor *who, int64_t customer_id,
                         uint64_t *ret_parts, struct diag *diag) CGW_NODISCARD;

#endif
