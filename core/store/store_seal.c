/* SPDX-License-Identifier: Apache-2.0 */
/* store_seal.c - see store_seal.h. SHA-256: so that psql alone can verify; Ed25519: so that a
 * database owner cannot rebuild the chain. */
#include "store/store_seal.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

void seal_begin(struct seal *s, const unsigned char prev[SEAL_DIGEST])
{
    s->rows = 0;
    sha256_init(&s->chain);
    sha256_update(&s->chain, prev, SEAL_DIGEST);
}

void seal_row(struct seal *s, enum seal_format format, const void *fields, size_t len)
{
    unsigned char leaf[SEAL_DIGEST], octet = (unsigned char)format;
    struct sha256 row;
    sha256_init(&row);
    sha256_update(&row, &octet, 1);
    sha256_update(&row, fields, len);
    sha256_final(&row, leaf);
    sha256_update(&s->chain, leaf, sizeof leaf);
    s->rows++;
}

static const char append_sql[] =
    "WITH h AS (UPDATE part_head SET seal_no = $2, digest = $8, flush_no = flush_no + "
    "($3 = 2)::int WHERE part = $1)"
    "INSERT INTO audit_seal (part, seal_no, kind, wave_id, chunk_no, n_rows, prev, "
    "digest, sig) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";

/* sig is borrowed until the statement has run. */
static void append_params(struct db_params *p, const struct seal_end *e, enum seal_kind kind,
                          int32_t wave_id, int32_t chunk_no, const unsigned char *sig)
{
    dbp_init(p);
    dbp_int4(p, e->part);
    dbp_int8(p, e->seal_no);
    dbp_int2(p, (int16_t)kind);
    dbp_int4(p, wave_id);
    dbp_int4(p, chunk_no);
    dbp_int4(p, e->seal->rows);
    dbp_bytea(p, e->prev, SEAL_DIGEST);
    dbp_bytea(p, e->digest, SEAL_DIGEST);
    dbp_bytea(p, sig, SEAL_SIGNATURE);
}

static void end(struct seal_end *e, const unsigned char sign_key[64],
                unsigned char sig[SEAL_SIGNATURE])
{
    sha256_final(&e->seal->chain, e->digest);
    (void)crypto_sign_detached(sig, NULL, e->digest, SEAL_DIGEST, sign_key);
}

int store_seal_append(struct db *db, struct seal *s, int32_t part, int64_t seal_no,
                      enum seal_kind kind, int32_t wave_id, int32_t chunk_no,
                      const unsigned char prev[SEAL_DIGEST], const unsigned char sign_key[64],
                      unsigned char ret_digest[SEAL_DIGEST], struct diag *diag)
{
    struct seal_end e = {.seal = s, .part = part, .seal_no = seal_no, .prev = prev};
    unsigned char sig[SEAL_SIGNATURE];
    struct db_params p;
    end(&e, sign_key, sig);
    memcpy(ret_digest, e.digest, SEAL_DIGEST);
    append_params(&p, &e, kind, wave_id, chunk_no, sig);
    return db_exec(db, append_sql, &p, NULL, diag);
}

int store_seals_append(struct db *db, struct seal_end *ends, int n,
                       const unsigned char sign_key[64], struct diag *diag)
{
    struct db_result *r[STORE_PARTS];
    struct batch {
        struct db_params p[STORE_PARTS];
        unsigned char sig[STORE_PARTS][SEAL_SIGNATURE];
    } *b = n ? malloc(sizeof *b) : NULL;
    if (!b)
        return n ? diag_set(diag, -ENOMEM, "", "out of memory") : 0;
    for (int i = 0; i < n; i++) {
        end(&ends[i], sign_key, b->sig[i]);
        append_params(&b->p[i], &ends[i], SEAL_FLUSH, 0, 0, b->sig[i]);
    }
    int rc = db_query_each(db, append_sql, b->p, n, r, diag);
    for (int i = 0; rc == 0 && i < n; i++)
        dbr_free(r[i]);
    free(b);
    return rc;
}

static int root_put(struct db *db, const struct seal_root *r, const int64_t seal_nos[STORE_PARTS],
                    const unsigned char prev[SEAL_DIGEST], struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int8(&p, r->root_no);
    dbp_ts(&p, r->at_ms);
    dbp_int8_array(&p, seal_nos, STORE_PARTS);
    dbp_bytea(&p, prev, SEAL_DIGEST);
    dbp_bytea(&p, r->digest, SEAL_DIGEST);
    dbp_bytea(&p, r->sig, SEAL_SIGNATURE);
    return db_exec(db,
                   "INSERT INTO audit_root (root_no, at, seal_nos, prev, digest, sig) VALUES ($1, "
                   "$2, $3, $4, $5, $6)",
                   &p, NULL, diag);
}

static void hash_int8(crypto_hash_sha256_state *h, int64_t v)
{
    unsigned char be[8];
    for (int i = 0; i < 8; i++)
        be[i] = (unsigned char)((uint64_t)v >> (56 - 8 * i));
    (void)crypto_hash_sha256_update(h, be, sizeof be);
}

int store_root_append(struct db *db, const unsigned char sign_key[64], struct seal_root *ret,
                      struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    /* one statement, one snapshot: heads of the same moment, and nobody waits for us */
    int rc = db_query(
        db,
        "WITH l AS (SELECT root_no, digest FROM audit_root ORDER BY root_no DESC LIMIT 1)"
        "SELECT h.seal_no, h.digest, coalesce((SELECT root_no FROM l), 0) + 1, coalesce((SELECT "
        "digest FROM l), decode(repeat('00', 32), 'hex')), date_trunc('second', now()) FROM "
        "part_head h ORDER BY h.part",
        NULL, &r, diag);
    if (rc == 0 && dbr_rows(r) != STORE_PARTS)
        rc = diag_set(diag, CGW_EDB, "", "part_head has %d rows", dbr_rows(r));
    if (rc < 0)
        return rc;
    int64_t seal_nos[STORE_PARTS];
    crypto_hash_sha256_state h;
    *ret = (struct seal_root){.root_no = dbr_int(r, 0, 2), .at_ms = dbr_ts(r, 0, 4)};
    (void)crypto_hash_sha256_init(&h);
    (void)crypto_hash_sha256_update(&h, dbr_bytes(r, 0, 3), SEAL_DIGEST);
    hash_int8(&h, ret->at_ms / 1000);
    for (int i = 0; i < STORE_PARTS; i++) {
        seal_nos[i] = dbr_int(r, i, 0);
        hash_int8(&h, seal_nos[i]);
        (void)crypto_hash_sha256_update(&h, dbr_bytes(r, i, 1), SEAL_DIGEST);
    }
    (void)crypto_hash_sha256_final(&h, ret->digest);
    (void)crypto_sign_detached(ret->sig, NULL, ret->digest, SEAL_DIGEST, sign_key);
    (void)sodium_bin2hex(ret->digest_hex, sizeof ret->digest_hex, ret->digest, SEAL_DIGEST);
    (void)sodium_bin2hex(ret->sig_hex, sizeof ret->sig_hex, ret->sig, SEAL_SIGNATURE);
    return root_put(db, ret, seal_nos, dbr_bytes(r, 0, 3), diag);
}

int store_seal_stands(struct db *db, int32_t part, int64_t seal_no,
                      const unsigned char digest[SEAL_DIGEST], bool *ret, struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, part);
    dbp_int8(&p, seal_no);
    dbp_bytea(&p, digest, SEAL_DIGEST);
    auto_dbr struct db_result *r = NULL;
    int rc =
        db_query(db, "SELECT 1 FROM audit_seal WHERE part = $1 AND seal_no = $2 AND digest = $3",
                 &p, &r, diag);
    if (rc == 0)
        *ret = dbr_rows(r) == 1;
    return rc;
}
