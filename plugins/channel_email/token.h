/* SPDX-License-Identifier: Apache-2.0 */
/* token.h - names of our messages that nobody else can make: Message-ID, VERP address, link to
 * unsubscribe. libsodium stays in token.c. An id says by itself that it is ours; a token adds what
 * it may be used for, so that a bounce address does not unsubscribe anybody. Small letters and
 * digits only: mail systems change the case of addresses. */
#ifndef EMAIL_TOKEN_H
#define EMAIL_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EMAIL_ID_LEN 26u    /* 16 letters of name, 10 of proof (50 bits) */
#define EMAIL_TOKEN_LEN 43u /* id, "-", 16 letters of proof (80 bits) */
#define EMAIL_SECRET_MIN 16 /* bytes of the option token_secret */

#define EMAIL_FOR_BOUNCE 'b' /* b+TOKEN-WHO@bounce_domain: envelope sender (VERP) */
#define EMAIL_FOR_LEAVE 'u'  /* the one-click link, and u+TOKEN@bounce_domain */

/* An address has room for 64 octets before its @, so the one of bounces cannot carry the person. It
 * carries what tells whether an address that a bounce names is the one we wrote to, and the
 * gateway's reference of the message: a bounce of a message whose accept nobody knows (lost behind
 * the final dot, or with the process) then says certainly whose it is. */
#define EMAIL_WHO_LEN                                                                              \
    14u /* 4 letters of reference, 10 of proof (50 bits) over them, id, address                    \
         */

/* The link also carries whom it is for, sealed: it must still work when the message is forgotten
 * (retention), or when nobody knows whether it was sent at all. */
#define EMAIL_PERSON_MAX 254u /* bytes of an address (RFC 5321 4.5.3.1.3, without < and >) */
#define EMAIL_SEALED_MAX 364u /* base64url of the address and 16 bytes of proof, with its NUL */

struct email_key {
    unsigned char mac[32], seal[32];
    uint64_t run, serial; /* no id is used twice, not even after a restart */
};

/* NULL: a secret of this run. \return 0, or CGW_EINVAL when the secret is too short. */
int email_key_init(struct email_key *k, const char *secret);
void email_id_new(struct email_key *k, char out[EMAIL_ID_LEN + 1]);
void email_token_make(const struct email_key *k, char use, const char *id,
                      char out[EMAIL_TOKEN_LEN + 1]);
/* Is text[0..len) a token for this use? ret_id in small letters. Takes the same time whatever is
 * wrong with the proof. */
bool email_token_read(const struct email_key *k, char use, const char *text, size_t len,
                      char ret_id[EMAIL_ID_LEN + 1]);
/* The address of the message `id`, sealed; "" when it is too long. An id names one message, so
 * nothing else is ever sealed under it. */
void email_person_seal(const struct email_key *k, const char *id, const char *address, size_t len,
                       char out[EMAIL_SEALED_MAX]);
/* Back again; false when it was not made for this id by us. */
bool email_person_open(const struct email_key *k, const char *id, const char *text, size_t len,
                       char out[EMAIL_PERSON_MAX + 1]);
/* The first "USE+TOKEN@" in a text, as it stands in address headers; of bounces also
 * "b+TOKEN-WHO@". ret_who: "" none; NULL not wanted. */
bool email_token_find(const struct email_key *k, char use, const char *text,
                      char ret_id[EMAIL_ID_LEN + 1], char ret_who[EMAIL_WHO_LEN + 1]);
void email_who_make(const struct email_key *k, const char *id, uint64_t reference,
                    const char *address, char out[EMAIL_WHO_LEN + 1]);
/* Was message `id` written to this address, as it stands? */
bool email_who_is(const struct email_key *k, const char *id, const char *who, const char *address,
                  uint64_t *ret_reference);
/* The first "<ID@" in a text, as it stands in Message-ID, In-Reply-To and References. */
bool email_id_find(const struct email_key *k, const char *text, char ret_id[EMAIL_ID_LEN + 1]);

#endif
