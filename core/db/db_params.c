/* SPDX-License-Identifier: Apache-2.0 */
/* db_params.c - statement parameters in PostgreSQL's binary formats (each type's send and recv
 * functions). */
#include "db/db_int.h"

#define ARRAYS_MAX (64u * 1024u * 1024u)
/* pg_type.dat of PostgreSQL; an array's own type follows from its element's */
enum {
    OID_BOOL = 16,
    OID_BYTEA = 17,
    OID_INT8 = 20,
    OID_INT2 = 21,
    OID_INT4 = 23,
    OID_TEXT = 25,
    OID_TIMESTAMPTZ = 1184
};
enum {
    OID_INT2_ARRAY = 1005,
    OID_INT4_ARRAY = 1007,
    OID_TEXT_ARRAY = 1009,
    OID_INT8_ARRAY = 1016,
    OID_TIMESTAMPTZ_ARRAY = 1185
};

void dbp_init(struct db_params *p)
{
    p->n = 0;
    p->failed = false;
    buf_init(&p->arrays, ARRAYS_MAX);
}

void dbp_done(struct db_params *p)
{
    buf_done(&p->arrays);
}

static int slot(struct db_params *p)
{
    if (p->n == DB_PARAMS_MAX) {
        p->failed = true;
        return DB_PARAMS_MAX - 1;
    }
    int i = p->n++;
    p->array_at[i] = SIZE_MAX;
    p->format[i] = 1;
    p->oid[i] = 0;
    return i;
}

void dbp_null(struct db_params *p)
{
    int i = slot(p);
    p->value[i] = NULL;
    p->len[i] = 0;
}

static void put_inline(struct db_params *p, uint32_t oid, uint64_t v, size_t bytes)
{
    int i = slot(p);
    p->oid[i] = oid;
    uint64_t z = htobe64(v << (8 * (8 - bytes)));
    memcpy(p->inline_[i], &z, bytes);
    p->value[i] = p->inline_[i];
    p->len[i] = (int)bytes;
}

void dbp_bool(struct db_params *p, bool v)
{
    put_inline(p, OID_BOOL, v, 1);
}
void dbp_int2(struct db_params *p, int16_t v)
{
    put_inline(p, OID_INT2, (uint16_t)v, 2);
}
void dbp_int4(struct db_params *p, int32_t v)
{
    put_inline(p, OID_INT4, (uint32_t)v, 4);
}
void dbp_int8(struct db_params *p, int64_t v)
{
    put_inline(p, OID_INT8, (uint64_t)v, 8);
}

void dbp_ts(struct db_params *p, int64_t utc_ms)
{
    if (utc_ms == INT64_MIN) {
        dbp_null(p);
        p->oid[p->n - 1] = OID_TIMESTAMPTZ;
    } else {
        put_inline(p, OID_TIMESTAMPTZ, (uint64_t)((utc_ms - PG_EPOCH_MS) * 1000), 8);
    }
}

void dbp_textn(struct db_params *p, const char *s, size_t len)
{
    int i = slot(p);
    p->value[i] = s ? s : NULL;
    p->len[i] = (int)len;
    p->oid[i] = OID_TEXT;
}

void dbp_text(struct db_params *p, const char *s)
{
    dbp_textn(p, s, s ? strlen(s) : 0);
    p->format[p->n - 1] = 0; /* text form, type inferred: also right for jsonb, intervals, names */
    p->oid[p->n - 1] = 0;
}

void dbp_bytea(struct db_params *p, const void *data, size_t len)
{
    dbp_textn(p, data, len);
    p->oid[p->n - 1] = OID_BYTEA;
}

/* Array header: dimensions, has-null flag, element oid, length, lower bound (array_recv). */
static int array_open(struct db_params *p, uint32_t oid, uint32_t array_oid, size_t n)
{
    int i = slot(p);
    p->oid[i] = array_oid;
    p->array_at[i] = p->arrays.len;
    be_put(&p->arrays, n ? 1 : 0, 4);
    be_put(&p->arrays, 0, 4);
    be_put(&p->arrays, oid, 4);
    if (n) {
        be_put(&p->arrays, n, 4);
        be_put(&p->arrays, 1, 4);
    }
    return i;
}

static void array_close(struct db_params *p, int i)
{
    p->len[i] = (int)(p->arrays.len - p->array_at[i]);
    p->failed = p->failed || p->arrays.failed;
}

static void element(struct db_params *p, uint64_t v, size_t bytes)
{
    be_put(&p->arrays, bytes, 4);
    be_put(&p->arrays, v, bytes);
}

void dbp_int2_array(struct db_params *p, const int16_t *v, size_t n)
{
    int i = array_open(p, OID_INT2, OID_INT2_ARRAY, n);
    for (size_t k = 0; k < n; k++)
        element(p, (uint16_t)v[k], 2);
    array_close(p, i);
}

void dbp_int4_array(struct db_params *p, const int32_t *v, size_t n)
{
    int i = array_open(p, OID_INT4, OID_INT4_ARRAY, n);
    for (size_t k = 0; k < n; k++)
        element(p, (uint32_t)v[k], 4);
    array_close(p, i);
}

void dbp_int8_array(struct db_params *p, const int64_t *v, size_t n)
{
    int i = array_open(p, OID_INT8, OID_INT8_ARRAY, n);
    for (size_t k = 0; k < n; k++)
        element(p, (uint64_t)v[k], 8);
    array_close(p, i);
}

void dbp_ts_array(struct db_params *p, const int64_t *utc_ms, size_t n)
{
    int i = array_open(p, OID_TIMESTAMPTZ, OID_TIMESTAMPTZ_ARRAY, n);
    for (size_t k = 0; k < n; k++)
        element(p, (uint64_t)((utc_ms[k] - PG_EPOCH_MS) * 1000), 8);
    array_close(p, i);
}

void dbp_text_array(struct db_params *p, const char *const *v, size_t n)
{
    int i = array_open(p, OID_TEXT, OID_TEXT_ARRAY, n);
    for (size_t k = 0; k < n; k++) {
        size_t len = strlen(v[k]);
        be_put(&p->arrays, len, 4);
        buf_put(&p->arrays, v[k], len);
    }
    array_close(p, i);
}
