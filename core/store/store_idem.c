/* SPDX-License-Identifier: Apache-2.0 */
/* store_idem.c - see store_idem.h. */
#include "store/store_idem.h"

#include <string.h>

/* Two requests with the same key never run at the same time: whoever has the lock runs, the other
 * is told to come back. The lock is an advisory one because the row appears only with the effect.
 */
static int take_lock(struct db *db, const char *owner, const char *key, bool *ret,
                     struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, owner);
    dbp_text(&p, key);
    int rc = db_query(db, "SELECT pg_try_advisory_xact_lock(hashtextextended($1 || ' ' || $2, 7))",
                      &p, &r, diag);
    if (rc == 0)
        *ret = dbr_bool(r, 0, 0);
    return rc;
}

int store_idem_take(struct db *db, const char *owner, const char *key,
                    const unsigned char fingerprint[32], enum store_idem *ret, int *ret_status,
                    struct buf *ret_answer, struct diag *diag)
{
    bool locked = false;
    int rc = take_lock(db, owner, key, &locked, diag);
    if (rc < 0)
        return rc;
    if (!locked) {
        *ret = STORE_IDEM_RUNNING;
        return 0;
    }
    auto_dbr struct db_result *r = NULL;
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, owner);
    dbp_text(&p, key);
    rc = db_query(
        db,
        "SELECT fingerprint, status, answer FROM idempotency WHERE owner = $1 AND idem_key = $2"
        " AND created_at > now() - (SELECT keep FROM retention WHERE what = 'idempotency')",
        &p, &r, diag);
    if (rc < 0)
        return rc;
    *ret = STORE_IDEM_NEW;
    if (dbr_rows(r) == 0)
        return 0;
    *ret = STORE_IDEM_OTHER_BODY;
    if (dbr_len(r, 0, 0) != 32 || memcmp(dbr_bytes(r, 0, 0), fingerprint, 32) != 0)
        return 0;
    *ret = STORE_IDEM_REPLAY;
    *ret_status = (int)dbr_int(r, 0, 1);
    buf_put(ret_answer, dbr_text(r, 0, 2), (size_t)dbr_len(r, 0, 2));
    return ret_answer->failed
               ? diag_set(diag, CGW_ELIMIT, "", "stored answer exceeds %zu bytes", ret_answer->max)
               : 0;
}

int store_idem_save(struct db *db, const char *owner, const char *key,
                    const unsigned char fingerprint[32], int status, const char *answer, size_t len,
                    struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, owner);
    dbp_text(&p, key);
    dbp_bytea(&p, fingerprint, 32);
    dbp_int2(&p, (int16_t)status);
    dbp_textn(&p, answer, len);
    /* a row that is still there has outlived its retention: store_idem_take() would have found it
     * otherwise */
    return db_exec(
        db,
        "INSERT INTO idempotency (owner, idem_key, fingerprint, status, answer) VALUES ($1, $2, "
        "$3, $4, $5)"
        " ON CONFLICT (owner, idem_key) DO UPDATE SET fingerprint = excluded.fingerprint, status = "
        "excluded.status, answer = excluded.answer, created_at = now()",
        &p, NULL, diag);
}

int store_idem_expire(struct db *db, int limit, int64_t *ret_rows, struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, limit);
    return db_exec(db,
                   "DELETE FROM idempotency WHERE (owner, idem_key) IN (SELECT owner, idem_key "
                   "FROM idempotency"
                   " WHERE created_at <= now() - (SELECT keep FROM retention WHERE what = "
                   "'idempotency') ORDER BY created_at LIMIT $1::int4)",
                   &p, ret_rows, diag);
}

int store_begin_read(struct db *db, struct diag *diag)
{
    int rc = db_begin(db, diag);
    return rc < 0
               ? rc
               : db_script(db, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY", diag);
}

int store_ping(struct db *db, struct diag *diag)
{
    return db_script(db, "", diag);
}
