/* SPDX-License-Identifier: Apache-2.0 */
/* db_int.h - private to core/db: the connection and big-endian helpers. */
#ifndef DB_DB_INT_H
#define DB_DB_INT_H

#include "db/db.h"
#include <endian.h>
#include <libpq-fe.h>
#include <string.h>

#define DB_STATEMENTS                                                                              \
    512 /* slots of the prepared statement table; beyond it statements run unprepared */

struct db {
    PGconn *conn; /* owned */
    char sqlstate[6];
    bool in_tx;
    bool broken; /* the server is lost to us: reopen */
    struct db_statement {
        char *sql; /* owned; NULL = free. The slot number is the statement's name */
        uint32_t oid[DB_PARAMS_MAX];
    } statement[DB_STATEMENTS];
};
struct db_result {
    PGresult *res; /* owned */
};

#define PG_EPOCH_MS                                                                                \
    INT64_C(946684800000) /* 2000-01-01T00:00Z; timestamptz counts microseconds from it */

int db_fail(struct db *db, const PGresult *res,
            struct diag *diag); /* fills sqlstate; returns CGW_EDB or -ENOTCONN */

static inline void be_put(struct buf *b, uint64_t v, size_t bytes)
{
    uint64_t z = htobe64(v << (8 * (8 - bytes)));
    buf_put(b, &z, bytes);
}
static inline uint64_t be_get(const char *p, size_t bytes)
{
    uint64_t z = 0;
    memcpy(&z, p, bytes);
    return be64toh(z) >> (8 * (8 - bytes));
}

#endif
