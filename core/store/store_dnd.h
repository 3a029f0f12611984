/* SPDX-License-Identifier: Apache-2.0 */
/* store_dnd.h - do-not-disturb lists and their entries (tables dnd_list, dnd). Entries name
 * customers, never numbers. Whoever adds entries ends the transaction with store_facts_touch(): the
 * functions say for which parts (ret_parts), because that statement must be the last one. */
#ifndef STORE_STORE_DND_H
#define STORE_STORE_DND_H

#include "store/store.h"

#define STORE_DND_OPTOUTS 1 /* built-in lists: cannot be deleted, renamed or replaced */
#define STORE_DND_LINKED 2
#define STORE_DND_BOUNCES 3
#define STORE_DND_OWN_LISTS 100 /* lists made by people start here */

struct store_dnd_list {
    int32_t list_id, partner_id, scope, version;
    int16_t reason;
    bool builtin;
    char public_id[40];
};
/* name: CGW_EEXISTS (as 23505) when the partner has one of that name. scope: DND_SCOPE_*. */
int store_dnd_create(struct db *db, const struct store_actor *who, const char *name, int32_t scope,
                     struct buf *ret, char ret_public_id[40], struct diag *diag) CGW_NODISCARD;
/* lock: FOR UPDATE, for If-Match and for writers of entries (they queue per list). */
int store_dnd_get(struct db *db, struct store_scope scope, const char *public_id, bool lock,
                  struct store_dnd_list *ret, struct diag *diag) CGW_NODISCARD;
int store_dnd_json(struct db *db, struct store_scope scope, const char *public_id, struct buf *ret,
                   struct diag *diag) CGW_NODISCARD;
int store_dnd_list_json(struct db *db, struct store_scope scope, const char *cursor, int limit,
                        struct buf *ret, bool *ret_more, char *ret_cursor, size_t cursor_size,
                        struct diag *diag) CGW_NODISCARD;
int store_dnd_rename(struct db *db, const struct store_actor *who,
                     const struct store_dnd_list *list, const char *name,
                     struct diag *diag) CGW_NODISCARD; /* CGW_EDENIED for built-in lists */
int store_dnd_delete(struct db *db, const struct store_actor *who,
                     const struct store_dnd_list *list, struct diag *diag) CGW_NODISCARD;

/* ---- entries; people stand in in_person (store_people_*), same transaction
 * ---------------------------------------------- */
struct store_dnd_counts {
    int64_t received, added, present,
        removed; /* received: rows; added + present: different customers */
};
int store_dnd_add(struct db *db, const struct store_actor *who, const struct store_dnd_list *list,
                  struct store_dnd_counts *ret, uint64_t *ret_parts,
                  struct diag *diag) CGW_NODISCARD;
int store_dnd_replace(struct db *db, const struct store_actor *who,
                      const struct store_dnd_list *list, struct store_dnd_counts *ret,
                      uint64_t *ret_parts,
                      struct diag *diag) CGW_NODISCARD; /* CGW_EDENIED for built-in lists */
int store_dnd_remove(struct db *db, const struct store_actor *who,
                     const struct store_dnd_list *list, struct store_dnd_counts *ret,
                     struct diag *diag) CGW_NODISCARD;
/* The short way into a list without entries, as long as no customer is known: nobody to find by
 * another address, no row to meet. may says whether; the list is locked (store_dnd_get), so it
 * stays true. next gives each customer once, in (part, customer) order: 1, 0 at the end, or an
 * error. */
int store_dnd_fill_may(struct db *db, const struct store_dnd_list *list, bool *ret_may,
                       struct diag *diag) CGW_NODISCARD;
int store_dnd_fill(struct db *db, const struct store_actor *who, const struct store_dnd_list *list,
                   int (*next)(void *ctx, int64_t *ret_customer_id, struct diag *diag), void *ctx,
                   struct store_dnd_counts *io, uint64_t *ret_parts,
                   struct diag *diag) CGW_NODISCARD; /* io: received is the caller's */
/* Entries as JSON objects joined by commas, ordered by part and customer. */
int store_dnd_entries(struct db *db, const struct store_dnd_list *list, const char *cursor,
                      int limit, struct buf *ret, bool *ret_more, char *ret_cursor,
                      size_t cursor_size, struct diag *diag) CGW_NODISCARD;
/* Lists a customer stands in, as JSON objects joined by commas. Partners see their own lists. */
int store_dnd_lookup(struct db *db, struct store_scope scope, int64_t customer_id, struct buf *ret,
                     struct diag *diag) CGW_NODISCARD;

/* ---- for the core: a person said stop, or an address is dead
 * ---------------------------------------------------------- */
struct store_dnd_fact {
    int32_t part;
    int64_t customer_id;
    const int32_t *scopes; /* DND_SCOPE_* */
    size_t n_scopes;
    int32_t list_id; /* STORE_DND_* */
    int16_t reason;  /* enum reason */
    int64_t at_utc_ms;
};
/* Rows of the fact; those that exist stay as they are. *io_parts gets the part's bit when something
 * new was written: pass it to store_facts_touch() as the last statement. ret_added may be NULL. */
int store_dnd_put(struct db *db, const struct store_dnd_fact *fact, uint64_t *io_parts,
                  int64_t *ret_added, struct diag *diag) CGW_NODISCARD;
/* An opt-out by the person: list opt-outs, reason opt-out, and the right to the one confirmation.
 * ret_confirm: true once per opt-out (and again after the person was taken off the list), false for
 * each repetition. */
int store_dnd_optout(struct db *db, int32_t part, int64_t customer_id, const int32_t *scopes,
                     size_t n_scopes, int64_t response_id, int64_t at_utc_ms, uint64_t *io_parts,
                     bool *ret_confirm, struct diag *diag) CGW_NODISCARD;

#endif
