/* SPDX-License-Identifier: Apache-2.0 */
/* customer_key.c - keyed customer ids (address.h). The key stays with the caller; nothing here
 * keeps or prints it. Source: libsodium crypto_generichash (BLAKE2b, RFC 7693), keyed; the first
 * eight bytes read little-endian. */
#include "address/address.h"

#include <sodium.h>
#include <string.h>

_Static_assert(ADDRESS_KEY_BYTES == crypto_generichash_KEYBYTES,
               "the key is a libsodium generichash key");
_Static_assert(ADDRESS_KEY_CHECK_BYTES == crypto_generichash_BYTES_MIN,
               "sixteen bytes are its shortest hash");

static int64_t read_id(const uint8_t *p)
{
    uint64_t v = 0;
    for (int i = 7; i >= 0; i--)
        v = v << 8 | p[i];
    return (int64_t)(v & 0x7fffffffffffffffu);
}

int64_t customer_key(const uint8_t key[ADDRESS_KEY_BYTES], const char *text, size_t len)
{
    uint8_t h[crypto_generichash_BYTES_MIN];
    /* the arguments are within the function's limits, so it cannot fail */
    (void)crypto_generichash(h, sizeof h, (const uint8_t *)text, len, key, ADDRESS_KEY_BYTES);
    int64_t id = read_id(h);
    if (!id)
        id = read_id(h + 8);
    return id ? id : 1;
}

void address_key_check(const uint8_t key[ADDRESS_KEY_BYTES],
                       uint8_t ret_check[ADDRESS_KEY_CHECK_BYTES])
{
    /* a NUL keeps this text apart from every address */
    static const char what[] = "campgw identity key check\0 1";
    (void)crypto_generichash(ret_check, ADDRESS_KEY_CHECK_BYTES, (const uint8_t *)what, sizeof what,
                             key, ADDRESS_KEY_BYTES);
}
