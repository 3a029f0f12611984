/* SPDX-License-Identifier: Apache-2.0 */
/* store_key.h - table api_key: who may call the API. Only SHA-256 of the secret token is kept: the
 * token is 256 random bits, so no slow hash is needed. */
#ifndef STORE_STORE_KEY_H
#define STORE_STORE_KEY_H

#include "store/store.h"

#define STORE_KEY_SCOPES_MAX 64
#define STORE_KEY_SCOPE_MAX 32 /* bytes of a scope word with its NUL */

struct store_key {
    char public_id[40];
    int32_t partner_id;
    uint32_t class_mask;
    unsigned char secret_sha256[32];
    int64_t expires_utc_ms; /* INT64_MIN = never */
    bool revoked, expired;  /* expired by the database's clock */
    int64_t expires_in_ms;  /* from now by the database's clock; INT64_MAX = never */
    unsigned n_scopes;
    char scopes[STORE_KEY_SCOPES_MAX][STORE_KEY_SCOPE_MAX];
};
/* By public id, whoever owns it. Notes the use (at most once a minute). CGW_ENOTFOUND. */
int store_key_find(struct db *db, const char *public_id, struct store_key *ret,
                   struct diag *diag) CGW_NODISCARD;

struct store_key_new {
    const char *name;
    int32_t partner_id;
    uint32_t class_mask;
    const char *const *scopes;
    size_t n_scopes;
    int64_t expires_utc_ms; /* INT64_MIN = never */
};
/* public_id comes from the caller because the token contains it. ret gets the document. CGW_EINVAL
 * /partner_id when there is no such partner. */
int store_key_create(struct db *db, const struct store_actor *who, const struct store_key_new *k,
                     const char *public_id, const unsigned char secret_sha256[32], struct buf *ret,
                     struct diag *diag) CGW_NODISCARD;
/* Newest first. */
int store_key_list(struct db *db, struct store_scope scope, const char *cursor, int limit,
                   struct buf *ret, bool *ret_more, char *ret_cursor, size_t cursor_size,
                   struct diag *diag) CGW_NODISCARD;
/* Again is fine. */
int store_key_revoke(struct db *db, const struct store_actor *who, struct store_scope scope,
                     const char *public_id, struct diag *diag) CGW_NODISCARD;
/* Locks the key for the caller's transaction. CGW_ENOTFOUND; CGW_ESTATE when revoked. */
int store_key_lock(struct db *db, struct store_scope scope, const char *public_id,
                   struct store_key *ret, struct diag *diag) CGW_NODISCARD;
/* New secret under the same id; the old one is worthless from the commit on. */
int store_key_rotate(struct db *db, const struct store_actor *who, struct store_scope scope,
                     const char *public_id, const unsigned char secret_sha256[32], struct buf *ret,
                     struct diag *diag) CGW_NODISCARD;

#endif
