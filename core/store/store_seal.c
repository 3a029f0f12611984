/* SPDX-License-Identifier: Apache-2.0 */
/* store_seal.c - see store_seal.h. SHA-256: so that psql alone can verify; Ed25519: so that a
 * database owner cannot rebuild the chain. */
#include "store/store_seal.h"

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

int store_seal_append(struct db *db, struct seal *s, int32_t part, int64_t seal_no,
                      enum seal_kind kind, int32_t wave_id, int32_t chunk_no,
                      const unsigned char prev[SEAL_DIGEST], const unsigned char sign_key[64],
                      unsigned char ret_digest[SEAL_DIGEST], struct diag *diag)
{
    unsigned char sig[SEAL_SIGNATURE];
    sha256_final(&s->chain, ret_digest);
    (void)crypto_sign_detached(sig, NULL, ret_digest, SEAL_DIGEST, sign_key);
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, part);
    dbp_int8(&p, seal_no);
    dbp_int2(&p, (int16_t)kind);
    dbp_int4(&p, wave_id);
    dbp_int4(&p, chunk_no);
    dbp_int4(&p, s->rows);
    dbp_bytea(&p, prev, SEAL_DIGEST);
    dbp_bytea(&p, ret_digest, SEAL_DIGEST);
    dbp_bytea(&p, sig, sizeof sig);
    return db_exec(db,
                   "WITH h AS (UPDATE part_head SET seal_no = $2, digest = $8 WHERE part = $1)"
                   "INSERT INTO audit_seal (part, seal_no, kind, wave_id, chunk_no, n_rows, prev, "
                   "digest, sig) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                   &p, NULL, diag);
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
