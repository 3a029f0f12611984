/* SPDX-License-Identifier: Apache-2.0 */
/* store_customer.h - tables customer and customer_alias, and the way from address keys to customers
 * that every door uses. Knows no identity key: callers hash (address/) and hand in numbers. Two of
 * them per address: `key`, and `alt`, the id that a person gets when another address already lives
 * under `key` (63 bits can collide; the second comer moves, the first stays). */
#ifndef STORE_STORE_CUSTOMER_H
#define STORE_STORE_CUSTOMER_H

#include "store/store.h"

static inline int32_t store_part(int64_t customer_id)
{
    return (int32_t)((uint64_t)customer_id % STORE_PARTS);
}

/* ---- many at once, read only: what is known about these keys
 * ------------------------------------------------------------ */
struct store_person {    /* borrowed texts, "" = not known */
    int64_t customer_id; /* after alias and collision */
    const char *zone, *region, *lang, *msisdn, *email;
};
typedef void (*store_person_fn)(void *ctx, size_t i, const struct store_person *p);
/* Is there anything to look up at all? */
int store_people_any(struct db *db, bool *ret_any, struct diag *diag) CGW_NODISCARD;
/* found() for each key that has an alias or a customer row, once; the others keep their own key as
 * id. address: normal form, tells a collision. At most a few thousand per call. */
int store_people_find(struct db *db, const int64_t *keys, const int64_t *alts,
                      const char *const *addresses, size_t n, store_person_fn found, void *ctx,
                      struct diag *diag) CGW_NODISCARD;

/* The same by the id of another system; found() twice for an id that two customers carry. */
int store_people_external(struct db *db, const char *const *ids, size_t n, store_person_fn found,
                          void *ctx, struct diag *diag) CGW_NODISCARD;
/* Two addresses of one person, n pairs: the one of which nothing is stored yet becomes an alias of
 * the other's person, the second before the first. ret_ids gets the person, or 0 when both are
 * known and are two people: to be joined by store_customer_link() only. mail: the seconds are
 * e-mail addresses, which are cheap to judge while nobody is contacted by mail. A transaction of
 * its own, under the exclusive alias lock. */
int store_people_pair(struct db *db, const int64_t *firsts, const int64_t *seconds, size_t n,
                      bool mail, int64_t *ret_ids, struct diag *diag) CGW_NODISCARD;

/* ---- many at once, to be written: temporary table in_person
 * ---------------------------------------------------------------- */
/* Inside the caller's transaction: open, put ..., close. Then in_person(line, part, customer_id)
 * holds resolved customers (a customer may stand there twice), for store_dnd_* and store_consent_*.
 * Gone at the end of the transaction. */
struct store_people {
    struct db *db; /* borrowed */
    struct db_copy copy;
    bool copying;
};
int store_people_open(struct db *db, struct store_people *p, struct diag *diag) CGW_NODISCARD;
/* A known customer id: key = id, alt = 0, address = "". */
int store_people_put(struct store_people *p, int64_t line, int64_t key, int64_t alt,
                     const char *address, struct diag *diag) CGW_NODISCARD;
/* ok = false drops everything (the transaction is then only good for rollback). Call exactly once
 * after open. */
int store_people_close(struct store_people *p, bool ok, struct diag *diag) CGW_NODISCARD;

/* Aliases do not change while somebody writes facts about people found by alias: shared for fact
 * writers (store_people_open takes it), exclusive for alias writers. Held to the end of the
 * transaction. */
int store_alias_lock(struct db *db, bool exclusive, struct diag *diag) CGW_NODISCARD;

/* ---- upsert stream
 * ----------------------------------------------------------------------------------------------------------
 */
struct store_customer_row {
    int64_t line, key, alt;
    int64_t email_key; /* second address of the same row, 0 none: becomes an alias unless somebody
                          already lives there */
    const char *msisdn, *email, *external_id, *zone, *region,
        *lang;         /* "" = absent: keeps what is stored */
    uint32_t channel;  /* 0 = absent */
    const char *attrs; /* JSON object; merged member by member */
    size_t attrs_len;
};
struct store_customer_counts {
    int64_t created, updated, duplicate, aliases;
};
struct store_customers {
    struct db *db; /* borrowed */
    struct db_copy copy;
    bool copying, emails;
};
/* Inside the caller's transaction, like store_people. The last row of a customer wins. */
int store_customers_open(struct db *db, struct store_customers *c, struct diag *diag) CGW_NODISCARD;
int store_customers_put(struct store_customers *c, const struct store_customer_row *row,
                        struct diag *diag) CGW_NODISCARD;
int store_customers_close(struct store_customers *c, bool ok, const struct store_actor *who,
                          struct store_customer_counts *ret, struct diag *diag) CGW_NODISCARD;

/* ---- one
 * ----------------------------------------------------------------------------------------------------------------------
 */
/* CGW_ENOTFOUND; CGW_ECONFLICT when two customers carry the id. */
int store_customer_by_external(struct db *db, const char *external_id, int64_t *ret,
                               struct diag *diag) CGW_NODISCARD;
/* May this scope see the customer? Owner: anyone with a row somewhere; partner: people in the
 * partner's own audiences. */
int store_customer_visible(struct db *db, struct store_scope scope, int64_t customer_id, bool *ret,
                           struct diag *diag) CGW_NODISCARD;
/* Document with masked addresses, do-not-disturb rows and consents; "known": false when only facts
 * are stored, not the person. Partners get {"id", "contactable"} and nothing else: false when a
 * do-not-disturb row of the owner or their own, or a withdrawn or missing marketing consent forbids
 * marketing on `channel` (0 = any). */
int store_customer_json(struct db *db, struct store_scope scope, int64_t customer_id,
                        struct buf *ret, struct diag *diag) CGW_NODISCARD;
/* The newest log rows of the person as JSON objects joined by commas, at most limit. word: reason
 * number to reason code. */
int store_customer_contacts(struct db *db, int64_t customer_id, int limit,
                            const char *(*word)(int reason), struct buf *ret,
                            struct diag *diag) CGW_NODISCARD;

#endif
