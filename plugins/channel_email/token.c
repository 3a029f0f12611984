/* SPDX-License-Identifier: Apache-2.0 */
/* token.c - see token.h. Proofs are keyed BLAKE2b (libsodium's crypto_generichash). */
#include "token.h"

#include "cgw/types.h"

#include <sodium.h>
#include <string.h>

#define NAME_LEN 16u
#define CHECK_LEN 10u
#define PROOF_LEN 16u
#define REFERENCE_LEN 4u /* 20 bits */

static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567"; /* RFC 4648, small */

/* n letters of 5 bits each; bytes holds at least n * 5 / 8 */
static void spell(const unsigned char *bytes, size_t n, char *out)
{
    for (size_t i = 0; i < n; i++) {
        size_t bit = i * 5;
        unsigned two = (unsigned)(bytes[bit / 8] << 8) | bytes[bit / 8 + 1];
        out[i] = letters[two >> (11 - bit % 8) & 31u];
    }
    out[n] = 0;
}

static void prove(const struct email_key *k, char use, const char *text, size_t len, size_t n,
                  char *out)
{
    unsigned char hash[32];
    crypto_generichash_state st;
    (void)crypto_generichash_init(&st, k->mac, sizeof k->mac, sizeof hash);
    (void)crypto_generichash_update(&st, (const unsigned char *)&use, 1);
    (void)crypto_generichash_update(&st, (const unsigned char *)text, len);
    (void)crypto_generichash_final(&st, hash, sizeof hash);
    spell(hash, n, out);
}

int email_key_init(struct email_key *k, const char *secret)
{
    static const unsigned char use[] = "campgw channel_email tokens 1";
    unsigned char own[32];
    size_t len = secret ? strlen(secret) : sizeof own;
    if (len < EMAIL_SECRET_MIN || sodium_init() < 0)
        return CGW_EINVAL;
    randombytes_buf(own, sizeof own);
    unsigned char salted[32];
    (void)crypto_generichash(salted, sizeof salted, use, sizeof use, NULL, 0);
    crypto_generichash_state st;
    (void)crypto_generichash_init(&st, salted, sizeof salted, sizeof k->mac);
    (void)crypto_generichash_update(&st, secret ? (const unsigned char *)secret : own, len);
    (void)crypto_generichash_final(&st, k->mac, sizeof k->mac);
    (void)crypto_generichash(k->seal, sizeof k->seal, (const unsigned char *)"person", 6, k->mac,
                             sizeof k->mac);
    randombytes_buf(&k->run, sizeof k->run);
    k->serial = 0;
    return 0;
}

void email_id_new(struct email_key *k, char out[EMAIL_ID_LEN + 1])
{
    uint64_t seed[2] = {k->run, ++k->serial};
    prove(k, 'n', (const char *)seed, sizeof seed, NAME_LEN, out);
    prove(k, 'm', out, NAME_LEN, CHECK_LEN, out + NAME_LEN);
}

void email_token_make(const struct email_key *k, char use, const char *id,
                      char out[EMAIL_TOKEN_LEN + 1])
{
    memcpy(out, id, EMAIL_ID_LEN);
    out[EMAIL_ID_LEN] = '-';
    prove(k, use, id, EMAIL_ID_LEN, PROOF_LEN, out + EMAIL_ID_LEN + 1);
}

static bool fold(const char *text, size_t n, char *out)
{
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        out[i] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
        if (!out[i] || (out[i] != '-' && !strchr(letters, out[i])))
            return false;
    }
    out[n] = 0;
    return true;
}

static bool id_ok(const struct email_key *k, const char *id)
{
    char want[CHECK_LEN + 1];
    prove(k, 'm', id, NAME_LEN, CHECK_LEN, want);
    return sodium_memcmp(want, id + NAME_LEN, CHECK_LEN) == 0;
}

bool email_token_read(const struct email_key *k, char use, const char *text, size_t len,
                      char ret_id[EMAIL_ID_LEN + 1])
{
    char given[EMAIL_TOKEN_LEN + 1], want[EMAIL_TOKEN_LEN + 1];
    if (len != EMAIL_TOKEN_LEN || !fold(text, len, given) || given[EMAIL_ID_LEN] != '-')
        return false;
    email_token_make(k, use, given, want);
    if (sodium_memcmp(want, given, EMAIL_TOKEN_LEN) != 0)
        return false;
    memcpy(ret_id, given, EMAIL_ID_LEN);
    ret_id[EMAIL_ID_LEN] = 0;
    return true;
}

/* The id is the nonce: it names one message, which has one person. */
static void nonce_of(const char *id, unsigned char nonce[crypto_secretbox_NONCEBYTES])
{
    (void)crypto_generichash(nonce, crypto_secretbox_NONCEBYTES, (const unsigned char *)id,
                             EMAIL_ID_LEN, NULL, 0);
}

void email_person_seal(const struct email_key *k, const char *id, const char *address, size_t len,
                       char out[EMAIL_SEALED_MAX])
{
    unsigned char nonce[crypto_secretbox_NONCEBYTES],
        box[EMAIL_PERSON_MAX + crypto_secretbox_MACBYTES];
    out[0] = 0;
    if (len > EMAIL_PERSON_MAX)
        return;
    nonce_of(id, nonce);
    (void)crypto_secretbox_easy(box, (const unsigned char *)address, len, nonce, k->seal);
    (void)sodium_bin2base64(out, EMAIL_SEALED_MAX, box, len + crypto_secretbox_MACBYTES,
                            sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

bool email_person_open(const struct email_key *k, const char *id, const char *text, size_t len,
                       char out[EMAIL_PERSON_MAX + 1])
{
    unsigned char nonce[crypto_secretbox_NONCEBYTES],
        box[EMAIL_PERSON_MAX + crypto_secretbox_MACBYTES];
    size_t n = 0;
    if (sodium_base642bin(box, sizeof box, text, len, NULL, &n, NULL,
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 ||
        n < crypto_secretbox_MACBYTES)
        return false;
    nonce_of(id, nonce);
    if (crypto_secretbox_open_easy((unsigned char *)out, box, n, nonce, k->seal) != 0)
        return false;
    out[n - crypto_secretbox_MACBYTES] = 0;
    return strlen(out) == n - crypto_secretbox_MACBYTES;
}

/* What stands between a token and its @: nothing, or of bounces "-WHO". */
static bool find_who(char use, const char *text, char ret_who[EMAIL_WHO_LEN + 1])
{
    ret_who[0] = 0;
    if (text[0] == '@')
        return true;
    return use == EMAIL_FOR_BOUNCE && text[0] == '-' &&
           strnlen(text, EMAIL_WHO_LEN + 2) == EMAIL_WHO_LEN + 2 &&
           text[1 + EMAIL_WHO_LEN] == '@' && fold(text + 1, EMAIL_WHO_LEN, ret_who) &&
           !strchr(ret_who, '-');
}

bool email_token_find(const struct email_key *k, char use, const char *text,
                      char ret_id[EMAIL_ID_LEN + 1], char ret_who[EMAIL_WHO_LEN + 1])
{
    char who[EMAIL_WHO_LEN + 1];
    size_t left = text ? strlen(text) : 0;
    for (; left > EMAIL_TOKEN_LEN + 2; text++, left--)
        if ((text[0] | 32) == use && text[1] == '+' &&
            find_who(use, text + 2 + EMAIL_TOKEN_LEN, who) &&
            email_token_read(k, use, text + 2, EMAIL_TOKEN_LEN, ret_id)) {
            if (ret_who)
                memcpy(ret_who, who, sizeof who);
            return true;
        }
    return false;
}

/* ---- whose bounce ---- */

static void prove_who(const struct email_key *k, const char *id, const char *address,
                      char who[EMAIL_WHO_LEN + 1])
{
    char text[EMAIL_ID_LEN + REFERENCE_LEN + EMAIL_PERSON_MAX];
    size_t len = strnlen(address, EMAIL_PERSON_MAX), at = EMAIL_ID_LEN + REFERENCE_LEN;
    memcpy(text, id, EMAIL_ID_LEN);
    memcpy(text + EMAIL_ID_LEN, who, REFERENCE_LEN);
    memcpy(text + at, address, len);
    prove(k, 'w', text, at + len, EMAIL_WHO_LEN - REFERENCE_LEN, who + REFERENCE_LEN);
}

void email_who_make(const struct email_key *k, const char *id, uint64_t reference,
                    const char *address, char out[EMAIL_WHO_LEN + 1])
{
    for (size_t i = 0; i < REFERENCE_LEN; i++)
        out[i] = letters[reference >> (5 * (REFERENCE_LEN - 1 - i)) & 31u];
    prove_who(k, id, address, out);
}

bool email_who_is(const struct email_key *k, const char *id, const char *who, const char *address,
                  uint64_t *ret_reference)
{
    char want[EMAIL_WHO_LEN + 1];
    uint64_t reference = 0;
    if (strlen(who) != EMAIL_WHO_LEN || strlen(id) != EMAIL_ID_LEN)
        return false;
    memcpy(want, who, REFERENCE_LEN);
    prove_who(k, id, address, want);
    if (sodium_memcmp(want, who, EMAIL_WHO_LEN) != 0)
        return false;
    for (size_t i = 0; i < REFERENCE_LEN; i++)
        reference = reference << 5 | (uint64_t)(strchr(letters, who[i]) - letters);
    *ret_reference = reference;
    return true;
}

bool email_id_find(const struct email_key *k, const char *text, char ret_id[EMAIL_ID_LEN + 1])
{
    char id[EMAIL_ID_LEN + 1];
    size_t left = text ? strlen(text) : 0;
    for (; left > EMAIL_ID_LEN + 1; text++, left--) {
        if (text[0] != '<' || text[1 + EMAIL_ID_LEN] != '@' || !fold(text + 1, EMAIL_ID_LEN, id) ||
            !id_ok(k, id))
            continue;
        memcpy(ret_id, id, sizeof id);
        return true;
    }
    return false;
}
