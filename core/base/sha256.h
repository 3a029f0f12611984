/* SPDX-License-Identifier: Apache-2.0 */
/* sha256.h - SHA-256 (FIPS 180-4) by libcrypto, which uses the processor's own instructions: a row
 * of the log costs a quarter of what libsodium's portable code takes. For rows and uploads; what is
 * hashed once in a while (keys, fingerprints) stays with libsodium. Contexts live where the caller
 * puts them; nothing to free. */
#ifndef BASE_SHA256_H
#define BASE_SHA256_H

#include <stddef.h>

#define SHA256_BYTES 32
struct sha256 {
    _Alignas(16) unsigned char state[128]; /* libcrypto's SHA256_CTX, kept out of this header */
};
void sha256_init(struct sha256 *s);
void sha256_update(struct sha256 *s, const void *data, size_t len);
void sha256_final(struct sha256 *s, unsigned char out[SHA256_BYTES]);

#endif
