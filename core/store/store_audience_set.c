/* SPDX-License-Identifier: Apache-2.0 */
/* store_audience_set.c - one transaction that turns sorted rows into an immutable recipient set.
 * See store_audience.h. */
#include "store/store_audience.h"
#include "store/store_json.h"

#include <endian.h>
#include <errno.h>
#include <sodium.h>
#include <string.h>

#define PUSH_BYTES 1048576u
#define SLICE_BYTES_MAX (256u * 1024u * 1024u) /* about 3 million slices */

struct store_set {
    struct db *db; /* borrowed; its transaction is ours */
    int32_t set_id, audience_id, partner_id;
    size_t n_dims;
    char dims[STORE_DIMS_MAX][65];
    struct db_copy rows, slices;
    crypto_hash_sha256_state sha;
    int64_t seq; /* of the next row */
    int32_t part, slice_no;
    int16_t place;
    int64_t slice_lo, cust_lo, cust_hi; /* of the open slice */
    int32_t slice_rows;
    bool copying;
};

static int new_set_id(struct db *db, int32_t *ret, struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    int rc =
        db_query(db, "SELECT nextval(pg_get_serial_sequence('campgw.recipient_set', 'set_id'))",
                 NULL, &r, diag);
    if (rc < 0)
        return rc;
    *ret = (int32_t)dbr_int(r, 0, 0);
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, *ret);
    return db_exec(db, "SELECT ensure_set_partition($1)", &p, NULL, diag);
}

int store_set_open(struct db *db, const struct store_audience *a, struct store_set **ret,
                   struct diag *diag)
{
    if (db_in_tx(db))
        return diag_set(diag, CGW_ESTATE, "", "a set opens its own transaction");
    struct store_set *s = calloc(1, sizeof *s);
    if (!s)
        return diag_set(diag, -ENOMEM, "", "out of memory");
    s->db = db;
    s->audience_id = a->audience_id;
    s->partner_id = a->partner_id;
    s->n_dims = a->n_dims;
    memcpy(s->dims, a->dims, sizeof s->dims);
    s->part = -1;
    dbc_init(&s->rows, PUSH_BYTES + 65536u);
    dbc_init(&s->slices, SLICE_BYTES_MAX);
    (void)crypto_hash_sha256_init(&s->sha);
    /* Number and partition come first, on their own: the partition's locks would otherwise be held
     * as long as the upload takes. A failed upload leaves a gap in the numbers and, one time in
     * sixteen, an empty partition. */
    int rc = new_set_id(db, &s->set_id, diag);
    if (rc == 0)
        rc = db_begin(db, diag);
    if (rc == 0) {
        rc = db_copy_open(db,
                          "COPY recipient (part, set_id, seq, customer_id, address, place, lang, "
                          "email, dims, params) FROM STDIN (FORMAT binary)",
                          diag);
        s->copying = rc == 0;
    }
    if (rc < 0) {
        store_set_abort(s);
        return rc;
    }
    *ret = s;
    return 0;
}

static void set_free(struct store_set *s)
{
    dbc_done(&s->rows);
    dbc_done(&s->slices);
    free(s);
}

void store_set_abort(struct store_set *s)
{
    if (!s)
        return;
    int rc = s->copying ? db_copy_close(s->db, false, NULL) : 0;
    (void)rc; /* the rollback follows whatever the server says to the end of the COPY */
    db_rollback(s->db);
    set_free(s);
}

static void close_slice(struct store_set *s)
{
    if (!s->slice_rows)
        return;
    struct db_copy *c = &s->slices;
    dbc_row(c, 8);
    dbc_int4(c, s->part);
    dbc_int4(c, s->set_id);
    dbc_int4(c, s->slice_no++);
    dbc_int2(c, s->place);
    dbc_int8(c, s->slice_lo);
    dbc_int8(c, s->seq - 1);
    dbc_int8(c, s->cust_lo);
    dbc_int8(c, s->cust_hi);
    s->slice_rows = 0;
}

/* A slice is a run of at most STORE_CHUNK_ROWS rows of one part and one place: all people of a
 * chunk share their windows. */
static int slice_row(struct store_set *s, int32_t part, const struct store_set_row *row,
                     struct diag *diag)
{
    bool same = s->part == part && s->place == row->place;
    if (s->part > part || (s->part == part && s->place > row->place) ||
        (same && s->seq && row->customer_id <= s->cust_hi))
        return diag_set(diag, CGW_EINVAL, "",
                        "rows of a set must come in (part, place, customer) order");
    if (!same || s->slice_rows == STORE_CHUNK_ROWS)
        close_slice(s);
    if (s->part != part)
        s->slice_no = 0;
    if (!s->slice_rows) {
        s->slice_lo = s->seq;
        s->cust_lo = row->customer_id;
    }
    s->part = part;
    s->place = row->place;
    s->cust_hi = row->customer_id;
    s->slice_rows++;
    return 0;
}

static void hash_row(struct store_set *s, const struct store_set_row *row)
{
    uint64_t head[2] = {htobe64((uint64_t)row->customer_id), htobe64((uint64_t)row->params_len)};
    (void)crypto_hash_sha256_update(&s->sha, (const unsigned char *)head, sizeof head);
    (void)crypto_hash_sha256_update(&s->sha, (const unsigned char *)row->address,
                                    strlen(row->address) + 1);
    if (row->email[0])
        (void)crypto_hash_sha256_update(&s->sha, (const unsigned char *)row->email,
                                        strlen(row->email) + 1);
    (void)crypto_hash_sha256_update(&s->sha, (const unsigned char *)row->lang,
                                    strlen(row->lang) + 1);
    (void)crypto_hash_sha256_update(&s->sha, (const unsigned char *)row->params, row->params_len);
}

int store_set_put(struct store_set *s, const struct store_set_row *row, struct diag *diag)
{
    int32_t part = (int32_t)((uint64_t)row->customer_id % STORE_PARTS);
    int rc = slice_row(s, part, row, diag);
    if (rc < 0)
        return rc;
    struct db_copy *c = &s->rows;
    dbc_row(c, 10);
    dbc_int4(c, part);
    dbc_int4(c, s->set_id);
    dbc_int8(c, s->seq++);
    dbc_int8(c, row->customer_id);
    dbc_text(c, row->address, strlen(row->address));
    dbc_int2(c, row->place);
    dbc_text(c, row->lang, strlen(row->lang));
    dbc_text(c, row->email, strlen(row->email));
    dbc_int2_array(c, row->dims, s->n_dims);
    dbc_text(c, row->params, row->params_len);
    hash_row(s, row);
    return c->b.len >= PUSH_BYTES ? db_copy_push(s->db, c, diag) : 0;
}

int64_t store_set_rows(const struct store_set *s)
{
    return s->seq;
}

static int finish_rows(struct store_set *s, uint8_t digest[32], struct diag *diag)
{
    close_slice(s);
    (void)crypto_hash_sha256_final(&s->sha, digest);
    int rc = db_copy_push(s->db, &s->rows, diag);
    s->copying = false;
    int end = db_copy_close(s->db, rc == 0, rc == 0 ? diag : NULL);
    if (rc == 0)
        rc = end;
    if (rc == 0)
        rc = db_copy_send(s->db,
                          "COPY set_slice (part, set_id, slice_no, place, seq_lo, seq_hi, cust_lo, "
                          "cust_hi) FROM STDIN (FORMAT binary)",
                          &s->slices, diag);
    return rc;
}

static int put_set(struct store_set *s, const struct store_set_end *end, const uint8_t digest[32],
                   struct diag *diag)
{
    const char *dims[STORE_DIMS_MAX];
    for (size_t i = 0; i < s->n_dims; i++)
        dims[i] = s->dims[i];
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, s->set_id);
    dbp_int4(&p, s->audience_id);
    dbp_int4(&p, s->partner_id);
    dbp_text_array(&p, end->fields, end->n_fields);
    dbp_text_array(&p, dims, s->n_dims);
    dbp_int8(&p, s->seq);
    dbp_bytea(&p, digest, 32);
    return db_exec(s->db,
                   "INSERT INTO recipient_set (set_id, audience_id, partner_id, fields, dims, "
                   "n_rows, digest) OVERRIDING SYSTEM VALUE"
                   " VALUES ($1, $2, $3, $4, $5, $6, $7)",
                   &p, NULL, diag);
}

static int put_rejects(struct store_set *s, const struct store_set_end *end, struct diag *diag)
{
    struct db_copy c;
    dbc_init(&c, 16u * 1024u * 1024u);
    for (size_t i = 0; i < end->n_rejects && i < STORE_REJECTS_MAX; i++) {
        const struct store_set_reject *j = &end->rejects[i];
        dbc_row(&c, 5);
        dbc_int4(&c, s->set_id);
        dbc_int8(&c, j->line);
        dbc_text(&c, j->col, strlen(j->col));
        dbc_text(&c, j->code, strlen(j->code));
        dbc_text(&c, j->detail, strlen(j->detail));
    }
    int rc = c.rows ? db_copy_send(s->db,
                                   "COPY audience_reject (set_id, line, col, code, detail) FROM "
                                   "STDIN (FORMAT binary)",
                                   &c, diag)
                    : 0;
    dbc_done(&c);
    return rc;
}

static int put_dims(struct store_set *s, const struct store_set_end *end, struct diag *diag)
{
    struct db_copy c;
    dbc_init(&c, 128u * 1024u * 1024u);
    for (size_t i = 0; i < end->n_dim_values; i++) {
        const struct store_set_dim_value *v = &end->dim_values[i];
        dbc_row(&c, 4);
        dbc_int4(&c, s->set_id);
        dbc_int2(&c, v->dim);
        dbc_int2(&c, v->code);
        dbc_text(&c, v->value, v->len);
    }
    int rc =
        c.rows ? db_copy_send(s->db,
                              "COPY set_dim (set_id, dim, code, value) FROM STDIN (FORMAT binary)",
                              &c, diag)
               : 0;
    dbc_done(&c);
    return rc;
}

static int switch_audience(struct store_set *s, const struct store_actor *who,
                           const struct store_set_end *end, struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, s->audience_id);
    dbp_int4(&p, s->set_id);
    dbp_int8(&p, s->seq);
    dbp_int8(&p, end->duplicate);
    dbp_int8(&p, end->invalid);
    int rc = db_query(
        s->db,
        "UPDATE audience a SET set_id = $2, state = 'ready', accepted = $3, duplicate = $4, "
        "invalid = $5, version = version + 1,"
        " updated_at = now() WHERE a.audience_id = $1 AND NOT a.archived RETURNING a.public_id,"
        " EXISTS (SELECT FROM campaign c WHERE c.audience_id = a.audience_id AND c.state NOT IN "
        "('draft', 'completed', 'cancelled'))",
        &p, &r, diag);
    if (rc < 0)
        return rc;
    if (dbr_rows(r) == 0)
        return diag_set(diag, CGW_ESTATE, "", "the audience was archived");
    if (dbr_bool(r, 0, 1))
        return diag_set(diag, CGW_EBUSY, "", "a campaign that is under way uses this audience");
    struct buf b;
    buf_init(&b, 256);
    buf_printf(&b, "{\"set\":%d,\"accepted\":%lld,\"duplicate\":%lld,\"invalid\":%lld}", s->set_id,
               (long long)s->seq, (long long)end->duplicate, (long long)end->invalid);
    rc = store_audit(s->db, who, "audience.upload", dbr_text(r, 0, 0), NULL, buf_str(&b), diag);
    buf_done(&b);
    return rc;
}

int store_set_commit(struct store_set *s, const struct store_actor *who,
                     const struct store_set_end *end, uint8_t ret_digest[32], struct diag *diag)
{
    for (size_t i = 0; i < end->n_fields; i++) /* what the values mean is part of the content */
        (void)crypto_hash_sha256_update(&s->sha, (const unsigned char *)end->fields[i],
                                        strlen(end->fields[i]) + 1);
    uint8_t digest[32];
    int rc = finish_rows(s, digest, diag);
    if (rc == 0)
        rc = put_set(s, end, digest, diag);
    if (rc == 0)
        rc = put_rejects(s, end, diag);
    if (rc == 0)
        rc = put_dims(s, end, diag);
    if (rc == 0)
        rc = switch_audience(s, who, end, diag);
    if (rc == 0)
        rc = db_commit(s->db, diag);
    if (rc < 0) {
        store_set_abort(s);
        return rc;
    }
    memcpy(ret_digest, digest, sizeof digest);
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, s->set_id);
    rc = db_exec(s->db, "SELECT analyze_set($1)", &p, NULL, NULL);
    (void)rc; /* fresh statistics keep the first chunks off a bad plan; without them the set is
                 still right: not the upload's failure */
    set_free(s);
    return 0;
}
