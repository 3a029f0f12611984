/* SPDX-License-Identifier: Apache-2.0 */
/* db_result.c - reading binary results. */
#include "db/db_int.h"

int dbr_rows(const struct db_result *r)
{
    return PQntuples(r->res);
}

bool dbr_null(const struct db_result *r, int row, int col)
{
    return PQgetisnull(r->res, row, col) == 1;
}

bool dbr_bool(const struct db_result *r, int row, int col)
{
    return !dbr_null(r, row, col) && PQgetvalue(r->res, row, col)[0] == 1;
}

int64_t dbr_int(const struct db_result *r, int row, int col)
{
    if (dbr_null(r, row, col))
        return 0;
    const char *p = PQgetvalue(r->res, row, col);
    switch (PQgetlength(r->res, row, col)) {
    case 2:
        return (int16_t)be_get(p, 2);
    case 4:
        return (int32_t)be_get(p, 4);
    case 8:
        return (int64_t)be_get(p, 8);
    default:
        return 0;
    }
}

double dbr_double(const struct db_result *r, int row, int col)
{
    if (dbr_null(r, row, col) || PQgetlength(r->res, row, col) != 8)
        return 0;
    uint64_t bits = be_get(PQgetvalue(r->res, row, col), 8);
    double d;
    memcpy(&d, &bits, sizeof d);
    return d;
}

int64_t dbr_ts(const struct db_result *r, int row, int col)
{
    if (dbr_null(r, row, col))
        return INT64_MIN;
    int64_t us = (int64_t)be_get(PQgetvalue(r->res, row, col), 8);
    int64_t ms = us / 1000 - (us % 1000 < 0); /* floor, also before 2000 */
    return ms + PG_EPOCH_MS;
}

#define OID_JSONB 3802
const char *dbr_text(const struct db_result *r, int row, int col)
{
    if (dbr_null(r, row, col))
        return "";
    const char *p = PQgetvalue(r->res, row, col);
    return PQftype(r->res, col) == OID_JSONB ? p + 1
                                             : p; /* jsonb_send: version byte 1, then text */
}

int dbr_len(const struct db_result *r, int row, int col)
{
    int n = PQgetlength(r->res, row, col);
    return PQftype(r->res, col) == OID_JSONB && n ? n - 1 : n;
}

const uint8_t *dbr_bytes(const struct db_result *r, int row, int col)
{
    return (const uint8_t *)PQgetvalue(r->res, row, col);
}

int dbr_array_len(const struct db_result *r, int row, int col)
{
    if (dbr_null(r, row, col) || PQgetlength(r->res, row, col) < 20)
        return 0;
    return (int)be_get(PQgetvalue(r->res, row, col) + 12, 4);
}

/* Walk to member i of a one-dimensional array: header 20 bytes, then 4-byte length (-1 NULL) +
 * bytes each. */
static const char *member(const struct db_result *r, int row, int col, int i, int *ret_len)
{
    const char *p = PQgetvalue(r->res, row, col) + 20;
    for (int k = 0;; k++) {
        int len = (int32_t)be_get(p, 4);
        p += 4;
        if (k == i) {
            *ret_len = len;
            return p;
        }
        p += len > 0 ? len : 0;
    }
}

int dbr_int2_array(const struct db_result *r, int row, int col, int16_t *out, int max)
{
    int n = dbr_array_len(r, row, col);
    const char *p = n ? PQgetvalue(r->res, row, col) + 20 : NULL;
    for (int i = 0; i < n && i < max; i++) {
        int len = (int32_t)be_get(p, 4);
        out[i] = len == 2 ? (int16_t)be_get(p + 4, 2) : 0;
        p += 4 + (len > 0 ? len : 0);
    }
    return n < max ? n : max;
}

const char *dbr_text_item(const struct db_result *r, int row, int col, int i, int *ret_len)
{
    if (i < 0 || i >= dbr_array_len(r, row, col)) {
        *ret_len = 0;
        return "";
    }
    int len = 0;
    const char *p = member(r, row, col, i, &len);
    *ret_len = len > 0 ? len : 0;
    return p;
}

void dbr_free(struct db_result *r)
{
    if (!r)
        return;
    PQclear(r->res);
    free(r);
}
