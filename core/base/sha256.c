/* SPDX-License-Identifier: Apache-2.0 */
/* sha256.c - see sha256.h. The EVP functions allocate a context per hash in flight and would have
 * to be freed on every way out; these, deprecated since OpenSSL 3.0, take ours. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "base/sha256.h"

#include <openssl/sha.h>

_Static_assert(sizeof(SHA256_CTX) <= sizeof(struct sha256), "sha256.state holds libcrypto's");
_Static_assert(SHA256_BYTES == SHA256_DIGEST_LENGTH, "");

static SHA256_CTX *of(struct sha256 *s)
{
    return (SHA256_CTX *)(void *)s; /* state is its first and only member */
}

void sha256_init(struct sha256 *s)
{
    (void)SHA256_Init(of(s));
}

void sha256_update(struct sha256 *s, const void *data, size_t len)
{
    (void)SHA256_Update(of(s), data, len);
}

void sha256_final(struct sha256 *s, unsigned char out[SHA256_BYTES])
{
    (void)SHA256_Final(out, of(s));
}
