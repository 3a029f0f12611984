/* SPDX-License-Identifier: Apache-2.0 */
/* db_copy.c - COPY in binary format (PostgreSQL 15 documentation, SQL COPY, "Binary Format"). */
#include "db/db_int.h"

static const char header[19] =
    "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0"; /* signature, flags, extension length */
enum { OID_INT2 = 21 };

void dbc_init(struct db_copy *c, size_t max_bytes)
{
    *c = (struct db_copy){0};
    buf_init(&c->b, max_bytes);
}

void dbc_done(struct db_copy *c)
{
    buf_done(&c->b);
}

void dbc_reset(struct db_copy *c)
{
    buf_reset(&c->b);
    c->rows = 0;
    c->row_at = 0;
}

void dbc_row(struct db_copy *c, int16_t fields)
{
    be_put(&c->b, (uint16_t)fields, 2);
    c->row_at = c->b.len;
    c->rows++;
}

static void fixed(struct db_copy *c, uint64_t v, size_t bytes)
{
    uint32_t len = htobe32((uint32_t)bytes);
    uint64_t value = htobe64(v << (8 * (8 - bytes)));
    if (!buf_reserve(&c->b, sizeof len + sizeof value))
        return;
    char *at = c->b.data + c->b.len;
    memcpy(at, &len, sizeof len);
    memcpy(at + sizeof len, &value, sizeof value); /* what is behind bytes is written over */
    c->b.len += sizeof len + bytes;
}

void dbc_null(struct db_copy *c)
{
    be_put(&c->b, UINT32_MAX, 4);
}
void dbc_bool(struct db_copy *c, bool v)
{
    fixed(c, v, 1);
}
void dbc_int2(struct db_copy *c, int16_t v)
{
    fixed(c, (uint16_t)v, 2);
}
void dbc_int4(struct db_copy *c, int32_t v)
{
    fixed(c, (uint32_t)v, 4);
}
void dbc_int8(struct db_copy *c, int64_t v)
{
    fixed(c, (uint64_t)v, 8);
}

void dbc_ts(struct db_copy *c, int64_t utc_ms)
{
    if (utc_ms == INT64_MIN)
        dbc_null(c);
    else
        fixed(c, (uint64_t)((utc_ms - PG_EPOCH_MS) * 1000), 8);
}

void dbc_text(struct db_copy *c, const char *s, size_t len)
{
    be_put(&c->b, len, 4);
    buf_put(&c->b, s, len);
}

void dbc_bytea(struct db_copy *c, const void *p, size_t len)
{
    dbc_text(c, p, len);
}

void dbc_int2_array(struct db_copy *c, const int16_t *v, size_t n)
{
    be_put(&c->b, n ? 20 + n * 6 : 12, 4);
    be_put(&c->b, n ? 1 : 0, 4);
    be_put(&c->b, 0, 4);
    be_put(&c->b, OID_INT2, 4);
    if (n) {
        be_put(&c->b, n, 4);
        be_put(&c->b, 1, 4);
    }
    for (size_t i = 0; i < n; i++)
        fixed(c, (uint16_t)v[i], 2);
}

const void *dbc_row_bytes(const struct db_copy *c, size_t *ret_len)
{
    *ret_len = c->b.len - c->row_at;
    return c->b.data + c->row_at;
}

int db_copy_open(struct db *db, const char *sql, struct diag *diag)
{
    PGresult *res = PQexec(db->conn, sql);
    if (PQresultStatus(res) != PGRES_COPY_IN) {
        int rc = db_fail(db, res, diag);
        PQclear(res);
        return rc;
    }
    PQclear(res);
    return PQputCopyData(db->conn, header, sizeof header) == 1 ? 0 : db_fail(db, NULL, diag);
}

int db_copy_push(struct db *db, struct db_copy *c, struct diag *diag)
{
    if (c->b.failed)
        return diag_set(diag, CGW_ELIMIT, "", "COPY buffer exceeds its bound of %zu bytes",
                        c->b.max);
    if (c->b.len && PQputCopyData(db->conn, c->b.data, (int)c->b.len) != 1)
        return db_fail(db, NULL, diag);
    dbc_reset(c);
    return 0;
}

int db_copy_close(struct db *db, bool ok, struct diag *diag)
{
    static const char trailer[2] = "\377\377";
    int sent = ok ? PQputCopyData(db->conn, trailer, sizeof trailer) : 1;
    sent = sent == 1 ? PQputCopyEnd(db->conn, ok ? NULL : "aborted by the gateway") : sent;
    int rc = sent == 1 ? 0 : db_fail(db, NULL, diag);
    PGresult *res;
    while ((res = PQgetResult(db->conn))) {
        if (PQresultStatus(res) != PGRES_COMMAND_OK && rc == 0 && ok)
            rc = db_fail(db, res, diag);
        PQclear(res);
    }
    return rc;
}

int db_copy_send(struct db *db, const char *sql, struct db_copy *c, struct diag *diag)
{
    int rc = db_copy_open(db, sql, diag);
    if (rc < 0)
        return rc;
    rc = db_copy_push(db, c, diag);
    int end = db_copy_close(db, rc == 0, rc == 0 ? diag : NULL);
    return rc < 0 ? rc : end;
}

int db_copy_out(struct db *db, const char *sql, int (*cb)(void *ctx, const char *row, size_t len),
                void *ctx, struct diag *diag)
{
    PGresult *res = PQexec(db->conn, sql);
    if (PQresultStatus(res) != PGRES_COPY_OUT) {
        int rc = db_fail(db, res, diag);
        PQclear(res);
        return rc;
    }
    PQclear(res);
    int rc = 0, n;
    char *row = NULL;
    while ((n = PQgetCopyData(db->conn, &row, 0)) > 0) {
        if (rc == 0)
            rc = cb(ctx, row, (size_t)n); /* after a stop the rest is read and dropped: the protocol
                                             has no way back */
        PQfreemem(row);
    }
    if (n == -2 && rc == 0)
        rc = db_fail(db, NULL, diag);
    while ((res = PQgetResult(db->conn))) {
        if (PQresultStatus(res) != PGRES_COMMAND_OK && rc == 0)
            rc = db_fail(db, res, diag);
        PQclear(res);
    }
    return rc;
}
