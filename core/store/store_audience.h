/* SPDX-License-Identifier: Apache-2.0 */
/* store_audience.h - tables audience, recipient_set, recipient, set_slice, set_dim,
 * audience_reject. An upload becomes a new immutable set in one transaction or leaves nothing.
 * Parsing and hashing happen before (ingest/, address/); this file only takes rows that are already
 * normal, sorted by (part, place, customer) and free of duplicates. */
#ifndef STORE_STORE_AUDIENCE_H
#define STORE_STORE_AUDIENCE_H

#include "store/store.h"

#define STORE_DIMS_MAX 8u
#define STORE_DIM_VALUES_MAX 32767 /* codes 1..: int2; 0 = no value */

struct store_audience_new {
    const char *name;
    uint32_t channel_mask;      /* bit CGW_CHANNEL_* */
    const char *default_region; /* "" none */
    const char *const *dims;    /* declared breakdown fields */
    size_t n_dims;
};
/* CGW_EEXISTS never: names need not be unique. ret gets the document. */
int store_audience_create(struct db *db, const struct store_actor *who,
                          const struct store_audience_new *a, struct buf *ret,
                          char ret_public_id[40], struct diag *diag) CGW_NODISCARD;
int store_audience_json(struct db *db, struct store_scope scope, const char *public_id,
                        struct buf *ret, struct diag *diag) CGW_NODISCARD;
/* Newest first; cursor = what the last page returned, "" first page; archived ones only when asked
 * for. */
int store_audience_list(struct db *db, struct store_scope scope, bool archived, const char *cursor,
                        int limit, struct buf *ret, bool *ret_more, char *ret_cursor,
                        size_t cursor_size, struct diag *diag) CGW_NODISCARD;
/* CGW_ENOTFOUND; CGW_EBUSY while a campaign that is neither draft nor over uses it. Archiving twice
 * is fine. Audited when it changed. */
int store_audience_archive(struct db *db, const struct store_actor *who, struct store_scope scope,
                           const char *public_id, struct diag *diag) CGW_NODISCARD;
/* Rejects of the current set in line order. */
int store_audience_rejects(struct db *db, struct store_scope scope, const char *public_id,
                           const char *cursor, int limit, struct buf *ret, bool *ret_more,
                           char *ret_cursor, size_t cursor_size, struct diag *diag) CGW_NODISCARD;

struct store_audience {
    int32_t audience_id, partner_id;
    uint32_t channel_mask;
    char default_region[16];
    bool archived, in_use; /* in_use: by a campaign that is neither draft nor over */
    size_t n_dims;
    char dims[STORE_DIMS_MAX][65];
};
int store_audience_get(struct db *db, struct store_scope scope, const char *public_id,
                       struct store_audience *ret, struct diag *diag) CGW_NODISCARD;

/* ---- writing a set
 * ----------------------------------------------------------------------------------------------------------
 */
struct store_set_row {
    int64_t customer_id;         /* its part is customer_id % 64 */
    const char *address, *email; /* number and e-mail address, "" none; at least one */
    const char *lang, *params;
    size_t params_len;
    int16_t place;
    const int16_t *dims; /* as many as the set has */
};
struct store_set_reject {
    int64_t line;
    const char *col, *code, *detail; /* never an address or a value */
};
struct store_set_dim_value { /* meaning of a dictionary code */
    int16_t dim, code;
    const char *value;
    size_t len;
};
struct store_set_end {
    const char *const *fields; /* template fields in the order of params */
    size_t n_fields;
    const struct store_set_dim_value *dim_values;
    size_t n_dim_values;
    const struct store_set_reject *rejects; /* at most STORE_REJECTS_MAX */
    size_t n_rejects;
    int64_t duplicate, invalid; /* exact counts */
};
struct store_set; /* opaque: owns the open transaction */

/* Begins a transaction and the COPY. Not inside a transaction: the set's number and partition are
 * made before it. */
int store_set_open(struct db *db, const struct store_audience *a, struct store_set **ret,
                   struct diag *diag) CGW_NODISCARD;
/* Rows in (part, place, customer) order; seq counts from 0 over the whole set. Sent in pieces of
 * about 1 MiB. */
int store_set_put(struct store_set *s, const struct store_set_row *row,
                  struct diag *diag) CGW_NODISCARD;
int64_t store_set_rows(const struct store_set *s);
/* Set, slices, rejects, dictionary, audience and audit row, then COMMIT and statistics. ret_digest:
 * SHA-256 of the content. CGW_ESTATE when the audience was archived, CGW_EBUSY when it came into
 * use meanwhile. s is freed and the transaction closed in any case. */
int store_set_commit(struct store_set *s, const struct store_actor *who,
                     const struct store_set_end *end, uint8_t ret_digest[32],
                     struct diag *diag) CGW_NODISCARD;
/* Rolls back; nothing is kept. NULL-safe. */
void store_set_abort(struct store_set *s);

#endif
