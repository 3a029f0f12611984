/* SPDX-License-Identifier: Apache-2.0 */
/* callback_auth.c - see callback_int.h. Basic: RFC 7617; networks: RFC 4632, RFC 4291 2.3. */
#include "api/callback_int.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

bool callback_basic_ok(const char *authorization, const char *user, const char *password)
{
    unsigned char given[1024], a[32], b[32];
    char want[1024];
    size_t n = 0;
    if (!authorization || !user || !password || strncasecmp(authorization, "Basic ", 6) != 0)
        return false;
    const char *token = authorization + 6;
    if (sodium_base642bin(given, sizeof given, token, strlen(token), " ", &n, NULL,
                          sodium_base64_VARIANT_ORIGINAL) != 0)
        return false;
    int len = snprintf(want, sizeof want, "%s:%s", user, password);
    if (len < 0 || (size_t)len >= sizeof want)
        return false;
    /* hashes have one length: comparing them tells nothing about where texts differ */
    size_t want_len = (size_t)len;
    crypto_hash_sha256(a, given, n);
    crypto_hash_sha256(b, (const unsigned char *)want, want_len);
    sodium_memzero(want, sizeof want);
    sodium_memzero(given, sizeof given);
    return sodium_memcmp(a, b, sizeof a) == 0;
}

/* Address bytes in network order: 4 or 16, 0 for other families. */
static size_t peer_bytes(const struct sockaddr *peer, unsigned char out[16])
{
    if (peer->sa_family == AF_INET) {
        memcpy(out, &((const struct sockaddr_in *)(const void *)peer)->sin_addr, 4);
        return 4;
    }
    if (peer->sa_family != AF_INET6)
        return 0;
    const unsigned char *a = ((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr.s6_addr;
    static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    if (!memcmp(a, mapped, sizeof mapped)) {
        memcpy(out, a + 12, 4);
        return 4;
    }
    memcpy(out, a, 16);
    return 16;
}

static bool in_network(const unsigned char *addr, size_t size, const char *cidr)
{
    char text[64];
    unsigned char net[16];
    size_t n = strcspn(cidr, "/");
    if (n >= sizeof text)
        return false;
    memcpy(text, cidr, n);
    text[n] = 0;
    int family = strchr(text, ':') ? AF_INET6 : AF_INET;
    if ((family == AF_INET ? 4u : 16u) != size || inet_pton(family, text, net) != 1)
        return false;
    unsigned long bits = size * 8;
    if (cidr[n]) {
        char *end;
        bits = strtoul(cidr + n + 1, &end, 10);
        if (!cidr[n + 1] || *end || cidr[n + 1] == '-' || bits > size * 8)
            return false;
    }
    size_t whole = bits / 8, rest = bits % 8;
    if (memcmp(addr, net, whole) != 0)
        return false;
    return !rest || !((addr[whole] ^ net[whole]) >> (8 - rest));
}

bool callback_cidr_ok(const struct sockaddr *peer, const char *const *allow)
{
    unsigned char addr[16];
    size_t size = peer ? peer_bytes(peer, addr) : 0;
    for (; size && allow && *allow; allow++)
        if (in_network(addr, size, *allow))
            return true;
    return false;
}
