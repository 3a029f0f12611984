/* SPDX-License-Identifier: Apache-2.0 */
/* store_key.c - see store_key.h. */
#include "store/store_key.h"
#include "store/store_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define KEY_DOC                                                                                    \
    "json_build_object('id', public_id, 'name', name, 'partner_id', partner_id, 'scopes', "        \
    "scopes, 'classes',"                                                                           \
    " (SELECT coalesce(json_agg(" SQL_CLASS(                                                       \
        "c") " ORDER BY c), '[]') FROM generate_series(1, 5) c WHERE class_mask >> c & 1 = 1),"    \
             " 'state', CASE WHEN revoked_at IS NOT NULL THEN 'revoked' WHEN expires_at <= now() " \
             "THEN 'expired' ELSE 'active' END,"                                                   \
             " 'created_by', created_by, 'created_at', " SQL_TIME(                                 \
                 "created_at") ", 'expires_at', " SQL_TIME("expires_at") ", "                      \
                                                                         "'revoked_at',"           \
                                                                         " " SQL_TIME(             \
                                                                             "revoked_"            \
                                                                             "at") ", "            \
                                                                                   "'las"          \
                                                                                   "t_"            \
                                                                                   "used"          \
                                                                                   "_at'"          \
                                                                                   ","             \
                                                                                   " " SQL_TIME(   \
                                                                                       "last_"     \
                                                                                       "used_at") ")::text"

#define KEY_COLUMNS                                                                                \
    "public_id, partner_id, class_mask, secret_sha256, expires_at, revoked_at IS NOT NULL, "       \
    "coalesce(expires_at <= clock_timestamp(), false),"                                            \
    " coalesce((extract(epoch FROM expires_at - clock_timestamp()) * 1000)::int8, "                \
    "9223372036854775807), scopes"

static int read_key(const struct db_result *r, const char *public_id, struct store_key *ret,
                    struct diag *diag)
{
    if (dbr_rows(r) == 0)
        return diag_set(diag, CGW_ENOTFOUND, "", "no API key %s", public_id);
    *ret = (struct store_key){.partner_id = (int32_t)dbr_int(r, 0, 1),
                              .class_mask = (uint32_t)dbr_int(r, 0, 2),
                              .expires_utc_ms = dbr_ts(r, 0, 4),
                              .revoked = dbr_bool(r, 0, 5),
                              .expired = dbr_bool(r, 0, 6),
                              .expires_in_ms = dbr_int(r, 0, 7)};
    (void)snprintf(ret->public_id, sizeof ret->public_id, "%s", dbr_text(r, 0, 0));
    if (dbr_len(r, 0, 3) != (int)sizeof ret->secret_sha256)
        return diag_set(diag, CGW_EINVAL, "", "API key %s has no usable secret", public_id);
    memcpy(ret->secret_sha256, dbr_bytes(r, 0, 3), sizeof ret->secret_sha256);
    int n = dbr_array_len(r, 0, 8);
    for (int i = 0; i < n && ret->n_scopes < STORE_KEY_SCOPES_MAX; i++) {
        int len = 0;
        const char *s = dbr_text_item(r, 0, 8, i, &len);
        (void)snprintf(ret->scopes[ret->n_scopes++], STORE_KEY_SCOPE_MAX, "%.*s", len, s);
    }
    return 0;
}

int store_key_find(struct db *db, const char *public_id, struct store_key *ret, struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, public_id);
    int rc =
        db_query(db,
                 "SELECT " KEY_COLUMNS ", last_used_at IS NULL OR last_used_at < clock_timestamp() "
                 "- interval '1 minute' FROM api_key WHERE public_id = $1",
                 &p, &r, diag);
    if (rc == 0)
        rc = read_key(r, public_id, ret, diag);
    if (rc < 0 || !dbr_bool(r, 0, 9))
        return rc;
    dbp_init(&p);
    dbp_text(&p, public_id);
    return db_exec(db,
                   "UPDATE api_key SET last_used_at = clock_timestamp() WHERE public_id = $1 AND "
                   "revoked_at IS NULL",
                   &p, NULL, diag);
}

int store_key_create(struct db *db, const struct store_actor *who, const struct store_key_new *k,
                     const char *public_id, const unsigned char secret_sha256[32], struct buf *ret,
                     struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, public_id);
    dbp_int4(&p, k->partner_id);
    dbp_text(&p, k->name);
    dbp_bytea(&p, secret_sha256, 32);
    dbp_text_array(&p, k->scopes, k->n_scopes);
    dbp_int4(&p, (int32_t)k->class_mask);
    dbp_text(&p, who->name);
    dbp_ts(&p, k->expires_utc_ms);
    size_t at = ret->len;
    int rc = store_json_one(db,
                            "INSERT INTO api_key (public_id, partner_id, name, secret_sha256, "
                            "scopes, class_mask, created_by, expires_at)"
                            " VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING " KEY_DOC,
                            &p, ret, diag);
    if (rc == CGW_EDB && !strcmp(db_sqlstate(db), "23503"))
        return diag_set(diag, CGW_EINVAL, "/partner_id", "There is no partner %" PRId32 ".",
                        k->partner_id);
    return rc < 0
               ? rc
               : store_audit(db, who, "api_key.create", public_id, NULL, buf_str(ret) + at, diag);
}

int store_key_list(struct db *db, struct store_scope scope, const char *cursor, int limit,
                   struct buf *ret, bool *ret_more, char *ret_cursor, size_t cursor_size,
                   struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, scope.partner_id);
    dbp_text(&p, cursor);
    dbp_int4(&p, limit + 1);
    /* public ids begin with their time: their order is that of creation */
    return store_json_list(
        db,
        "SELECT " KEY_DOC
        ", public_id FROM api_key WHERE ($1 = 0 OR partner_id = $1) AND ($2 = '' OR public_id < $2)"
        " ORDER BY public_id DESC LIMIT $3::int4",
        &p, limit, ret, ret_more, ret_cursor, cursor_size, diag);
}

int store_key_revoke(struct db *db, const struct store_actor *who, struct store_scope scope,
                     const char *public_id, struct diag *diag)
{
    struct store_key k;
    int rc = store_key_lock(db, scope, public_id, &k, diag);
    if (rc == CGW_ESTATE)
        return 0;
    if (rc < 0)
        return rc;
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, public_id);
    rc = db_exec(db, "UPDATE api_key SET revoked_at = clock_timestamp() WHERE public_id = $1", &p,
                 NULL, diag);
    return rc < 0 ? rc : store_audit(db, who, "api_key.revoke", public_id, NULL, NULL, diag);
}

int store_key_lock(struct db *db, struct store_scope scope, const char *public_id,
                   struct store_key *ret, struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, public_id);
    dbp_int4(&p, scope.partner_id);
    int rc =
        db_query(db,
                 "SELECT " KEY_COLUMNS
                 " FROM api_key WHERE public_id = $1 AND ($2 = 0 OR partner_id = $2) FOR UPDATE",
                 &p, &r, diag);
    if (rc == 0)
        rc = read_key(r, public_id, ret, diag);
    if (rc == 0 && ret->revoked)
        return diag_set(diag, CGW_ESTATE, "", "The key is revoked; create a new one.");
    return rc;
}

int store_key_rotate(struct db *db, const struct store_actor *who, struct store_scope scope,
                     const char *public_id, const unsigned char secret_sha256[32], struct buf *ret,
                     struct diag *diag)
{
    struct store_key k;
    int rc = store_key_lock(db, scope, public_id, &k, diag);
    if (rc < 0)
        return rc;
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, public_id);
    dbp_bytea(&p, secret_sha256, 32);
    rc = store_json_one(db,
                        "UPDATE api_key SET secret_sha256 = $2, last_used_at = NULL WHERE "
                        "public_id = $1 RETURNING " KEY_DOC,
                        &p, ret, diag);
    return rc < 0 ? rc : store_audit(db, who, "api_key.rotate", public_id, NULL, NULL, diag);
}
