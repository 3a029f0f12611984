/* SPDX-License-Identifier: Apache-2.0 */
/* db.h - PostgreSQL through libpq: one connection, automatic prepared statements, parameters,
 * results, COPY. The only folder that sees libpq types. One thread per struct db. No SQL text of
 * the product lives here (that is store/). Errors: CGW_EDB with diag.text = server's words and
 * diag.where = SQLSTATE; -ENOTCONN when the connection is gone. */
#ifndef DB_DB_H
#define DB_DB_H

#include "base/buf.h"
#include "base/diag.h"
#include <stdbool.h>
#include <stdint.h>

struct db;
struct db_result;

#define DB_PARAMS_MAX 32

int db_open(const char *conninfo, const char *app_name, struct db **ret,
            struct diag *diag) CGW_NODISCARD;
/* Sessions opened from now on are called "campgwd@NODE APP" in pg_stat_activity, whatever conninfo
 * says: other nodes find those of a dead one by it. Before the first thread. */
void db_set_node(const char *node);
void db_close(struct db *db); /* NULL-safe */
bool db_is_up(const struct db *db);
int db_reopen(struct db *db,
              struct diag *diag) CGW_NODISCARD; /* after -ENOTCONN; drops any open transaction */
bool db_in_tx(const struct db *db);
const char *db_sqlstate(const struct db *db); /* of the last error, "" none */
bool db_retryable(const struct db *db);       /* serialization failure, deadlock, lock timeout */

/* ---- parameters: values are copied into the struct; arrays and long texts are borrowed until the
 * query returns ---- */
struct db_params {
    int n;
    const char *value[DB_PARAMS_MAX];
    int len[DB_PARAMS_MAX], format[DB_PARAMS_MAX];
    uint32_t oid[DB_PARAMS_MAX]; /* declared type; 0 = the server infers it (texts) */
    char inline_[DB_PARAMS_MAX][16];
    struct buf arrays; /* binary arrays, owned */
    size_t array_at[DB_PARAMS_MAX];
    bool failed;
};
void dbp_init(struct db_params *p);
void dbp_done(struct db_params *p);
void dbp_null(struct db_params *p);
void dbp_bool(struct db_params *p, bool v);
void dbp_int2(struct db_params *p, int16_t v);
void dbp_int4(struct db_params *p, int32_t v);
void dbp_int8(struct db_params *p, int64_t v);
void dbp_ts(struct db_params *p, int64_t utc_ms);               /* timestamptz; INT64_MIN = NULL */
void dbp_text(struct db_params *p, const char *s);              /* borrowed; NULL = SQL NULL */
void dbp_textn(struct db_params *p, const char *s, size_t len); /* borrowed, needs no NUL */
void dbp_bytea(struct db_params *p, const void *data, size_t len);
void dbp_int2_array(struct db_params *p, const int16_t *v, size_t n);
void dbp_int4_array(struct db_params *p, const int32_t *v, size_t n);
void dbp_int8_array(struct db_params *p, const int64_t *v, size_t n);
void dbp_text_array(struct db_params *p, const char *const *v, size_t n);
void dbp_ts_array(struct db_params *p, const int64_t *utc_ms, size_t n);

/* ---- statements: prepared on first use per connection, keyed by text. Results arrive in binary
 * form. -------------- */
int db_query(struct db *db, const char *sql,
             struct db_params *p /* may be NULL; dbp_done()d here */, struct db_result **ret,
             struct diag *diag) CGW_NODISCARD;
/* Same, result thrown away; ret_rows (may be NULL) = rows affected. */
int db_exec(struct db *db, const char *sql, struct db_params *p, int64_t *ret_rows,
            struct diag *diag) CGW_NODISCARD;
/* The same statement with n sets of parameters (all dbp_done()d here) in one round trip, run one
 * after the other: what costs is the waiting. ret[i] belongs to p[i]; on failure none is left, and
 * the transaction is to be rolled back. */
int db_query_each(struct db *db, const char *sql, struct db_params *p, int n,
                  struct db_result **ret, struct diag *diag) CGW_NODISCARD;
/* Several statements in one simple query, no parameters (migrations). */
int db_script(struct db *db, const char *sql, struct diag *diag) CGW_NODISCARD;
int db_begin(struct db *db, struct diag *diag) CGW_NODISCARD;
int db_commit(struct db *db, struct diag *diag) CGW_NODISCARD;
void db_rollback(struct db *db); /* no-op outside a transaction */

int dbr_rows(const struct db_result *r);
bool dbr_null(const struct db_result *r, int row, int col);
bool dbr_bool(const struct db_result *r, int row, int col);
int64_t dbr_int(const struct db_result *r, int row, int col); /* int2, int4, int8; 0 for NULL */
double dbr_double(const struct db_result *r, int row, int col);
int64_t dbr_ts(const struct db_result *r, int row, int col); /* UTC ms; INT64_MIN for NULL */
const char *dbr_text(const struct db_result *r, int row,
                     int col); /* text, json, jsonb; "" for NULL; NUL-terminated */
int dbr_len(const struct db_result *r, int row, int col); /* bytes */
const uint8_t *dbr_bytes(const struct db_result *r, int row, int col);
/* One-dimensional arrays: count, members. NULL members read as 0 / "". */
int dbr_array_len(const struct db_result *r, int row, int col);
int dbr_int2_array(const struct db_result *r, int row, int col, int16_t *out,
                   int max); /* returns members written */
/* text[]: pointer and length of member i; not NUL-terminated */
const char *dbr_text_item(const struct db_result *r, int row, int col, int i, int *ret_len);
void dbr_free(struct db_result *r); /* NULL-safe */
static inline void dbr_freep(struct db_result **r)
{
    dbr_free(*r);
}
#define auto_dbr __attribute__((cleanup(dbr_freep)))

/* ---- COPY ... FROM STDIN (FORMAT binary): rows are built in memory, sent in one go or streamed
 * ------------------------ */
struct db_copy {
    struct buf b;
    size_t row_at; /* offset of the current row's first field (behind its field count) */
    int64_t rows;
};
void dbc_init(struct db_copy *c, size_t max_bytes);
void dbc_done(struct db_copy *c);
void dbc_reset(struct db_copy *c);
void dbc_row(struct db_copy *c, int16_t fields);
void dbc_null(struct db_copy *c);
void dbc_bool(struct db_copy *c, bool v);
void dbc_int2(struct db_copy *c, int16_t v);
void dbc_int4(struct db_copy *c, int32_t v);
void dbc_int8(struct db_copy *c, int64_t v);
void dbc_ts(struct db_copy *c, int64_t utc_ms);
void dbc_text(struct db_copy *c, const char *s, size_t len);
void dbc_bytea(struct db_copy *c, const void *p, size_t len);
void dbc_int2_array(struct db_copy *c, const int16_t *v, size_t n);
/* The bytes of the current row: the fields as COPY sends them, each 4-byte length + value. What
 * seals hash. */
const void *dbc_row_bytes(const struct db_copy *c, size_t *ret_len);
int db_copy_send(struct db *db, const char *sql, struct db_copy *c,
                 struct diag *diag) CGW_NODISCARD; /* whole COPY */
int db_copy_open(struct db *db, const char *sql,
                 struct diag *diag) CGW_NODISCARD; /* streaming: open, push …, close */
int db_copy_push(struct db *db, struct db_copy *c,
                 struct diag *diag) CGW_NODISCARD;                          /* sends and resets c */
int db_copy_close(struct db *db, bool ok, struct diag *diag) CGW_NODISCARD; /* ok = false aborts */
/* COPY (query) TO STDOUT text rows handed to cb; stop by returning non-zero. */
int db_copy_out(struct db *db, const char *sql, int (*cb)(void *ctx, const char *row, size_t len),
                void *ctx, struct diag *diag) CGW_NODISCARD;

#endif
