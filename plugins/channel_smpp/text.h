/* SPDX-License-Identifier: Apache-2.0 */
/* text.h - the alphabets of short messages: choose one, encode, decode to UTF-8.
 * Encoded text is octets with a length, never a C string: "@" is 0x00 in the GSM alphabet. Pure,
 * any thread. Source: 3GPP TS 23.038 (GSM 03.38) 4, 6.2.1; SMPP 3.4 5.2.19. */
#ifndef SMPP_TEXT_H
#define SMPP_TEXT_H

#include "cgw/types.h"
#include "proto.h"

enum smpp_alphabet {
    SMPP_ALPHA_GSM,      /* GSM 03.38 default alphabet + extension, one septet an octet */
    SMPP_ALPHA_ASCII,    /* IA5 / ASCII */
    SMPP_ALPHA_LATIN1,   /* ISO 8859-1 */
    SMPP_ALPHA_UCS2,     /* UTF-16BE in practice */
    SMPP_ALPHA_BINARY,   /* octets, no text */
    SMPP_ALPHA_CYRILLIC, /* ISO 8859-5, received only */
    SMPP_ALPHA_HEBREW    /* ISO 8859-8, received only */
};
#define SMPP_ALLOW(alphabet) (1u << (alphabet))

/* Of a route. */
struct smpp_text_rules {
    enum smpp_alphabet
        default_alphabet; /* what the SMSC takes data_coding 0 for: GSM, ASCII or LATIN1 */
    uint32_t allowed;     /* SMPP_ALLOW() bits. GSM: data_coding 0 may be used; ASCII: 1; LATIN1: 3;
                             UCS2: 8. 0 = GSM | UCS2 */
};

struct smpp_choice {
    enum smpp_alphabet alphabet;
    uint8_t data_coding;
    bool septets;         /* the handset gets GSM septets: 160/153 count; else octets: 140/134 */
    const char *encoding; /* "gsm7", "ascii", "latin1", "ucs2": static, for people and cgw_check */
    uint32_t octets;      /* encoded length */
    uint32_t units;       /* septets, octets or UTF-16 units */
};

/* Choose the cheapest allowed coding that can say the whole text, in the order default (0), Latin-1
 * (3), IA5 (1), UCS-2 (8). \return 0; CGW_EINVAL: invalid UTF-8, U+0000 or a character no allowed
 * coding has (diag names it and where, not the text); CGW_ELIMIT: longer than SMPP_PAYLOAD_MAX
 * octets. diag may be NULL. */
int smpp_text_choose(const char *utf8, size_t len, const struct smpp_text_rules *rules,
                     struct smpp_choice *ret, struct cgw_diag *diag);
/* \return octets written or -EINVAL (character not in the alphabet, invalid UTF-8), -ENOBUFS. */
int smpp_text_encode(const char *utf8, size_t len, enum smpp_alphabet alphabet, uint8_t *out,
                     size_t cap);

/* What a received data_coding means on a route whose data_coding 0 is default_alphabet. Message
 * classes included. */
enum smpp_alphabet smpp_text_alphabet(uint8_t data_coding, enum smpp_alphabet default_alphabet);
/* Decode to UTF-8 (no NUL added, never a NUL inside: what cannot be said becomes U+FFFD).
 * \return bytes written, -ENOTSUP for BINARY, -ENOBUFS (3 bytes of cap an octet are always enough).
 */
int smpp_text_decode(const uint8_t *octets, size_t len, enum smpp_alphabet alphabet, char *out,
                     size_t cap);

/* One character of well-formed UTF-8 (no surrogates, no overlong forms). \return bytes taken, 0 =
 * ill-formed or at the end. */
uint32_t smpp_utf8_next(const char *s, size_t len, uint32_t *ret_cp);

/* One character, as octets in the GSM alphabet. \return 1 or 2 (escape pair), 0 = not in it. */
uint32_t smpp_gsm_put(uint32_t cp, uint8_t out[2]);

#endif
