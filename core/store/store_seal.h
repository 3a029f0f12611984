/* SPDX-License-Identifier: Apache-2.0 */
/* store_seal.h - tamper evidence: one hash chain per part, signed. digest = SHA-256(previous digest
 * ‖ leaf ‖ leaf …), leaf = SHA-256(format octet ‖ the row's fields as COPY sends them: 4-byte
 * length and value each, -1 for NULL). How to verify with plain SQL: sql/README.md. The signing key
 * never enters the database. */
#ifndef STORE_STORE_SEAL_H
#define STORE_STORE_SEAL_H

#include "base/sha256.h"
#include "store/store.h"

#define SEAL_DIGEST SHA256_BYTES
#define SEAL_SIGNATURE 64
enum seal_kind { SEAL_DECIDE = 1, SEAL_FLUSH = 2 };
enum seal_format { SEAL_ROW_LOG = 1, SEAL_ROW_SUBMIT = 2, SEAL_ROW_EVENT = 3 };

struct seal {
    struct sha256 chain;
    int32_t rows;
};
void seal_begin(struct seal *s, const unsigned char prev[SEAL_DIGEST]);
void seal_row(struct seal *s, enum seal_format format, const void *fields, size_t len);
/* Append to the chain; the caller holds the part's lock and passes the head it read under it. Moves
 * part_head on. */
int store_seal_append(struct db *db, struct seal *s, int32_t part, int64_t seal_no,
                      enum seal_kind kind, int32_t wave_id, int32_t chunk_no,
                      const unsigned char prev[SEAL_DIGEST], const unsigned char sign_key[64],
                      unsigned char ret_digest[SEAL_DIGEST], struct diag *diag) CGW_NODISCARD;

/* One signature over the heads of all parts, chained to the root before: a copy of it kept
 * elsewhere shows that no chain lost its end. How to verify: sql/README.md. */
struct seal_root {
    int64_t root_no, at_ms;
    unsigned char digest[SEAL_DIGEST], sig[SEAL_SIGNATURE];
    char digest_hex[2 * SEAL_DIGEST + 1], sig_hex[2 * SEAL_SIGNATURE + 1];
};
int store_root_append(struct db *db, const unsigned char sign_key[64], struct seal_root *ret,
                      struct diag *diag) CGW_NODISCARD;

/* One seal of a flush; prev is the head read under the part's lock. digest is filled. */
struct seal_end {
    struct seal *seal;
    int32_t part;
    int64_t seal_no;
    const unsigned char *prev;
    unsigned char digest[SEAL_DIGEST];
};
int store_seals_append(struct db *db, struct seal_end *ends, int n,
                       const unsigned char sign_key[64], struct diag *diag) CGW_NODISCARD;

/* Is exactly this seal in the chain? What was sealed with it was committed with it. */
int store_seal_stands(struct db *db, int32_t part, int64_t seal_no,
                      const unsigned char digest[SEAL_DIGEST], bool *ret,
                      struct diag *diag) CGW_NODISCARD;

#endif
