/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_text.h - alphabets of short messages: GSM 7 bit (one septet an octet), UCS-2, Latin-1.
 * Reads submitted texts for the log, writes and splits mobile originated ones. No I/O.
 * Source: 3GPP TS 23.038, 6.2.1; SMPP v3.4 5.2.19.
 */
#ifndef SIM_TEXT_H
#define SIM_TEXT_H

#include "sim_util.h"

enum sim_coding { SIM_CODING_AUTO, SIM_CODING_GSM, SIM_CODING_UCS2, SIM_CODING_LATIN1 };

/* How the octets of a data_coding are to be read. */
enum sim_alphabet {
    SIM_ALPHA_GSM,
    SIM_ALPHA_ASCII,
    SIM_ALPHA_LATIN1,
    SIM_ALPHA_UCS2,
    SIM_ALPHA_BINARY
};

enum sim_alphabet sim_alphabet_of(uint8_t data_coding);
/* Appends UTF-8; what cannot be read becomes U+FFFD, binary becomes hex. */
void sim_text_read(enum sim_alphabet alphabet, const uint8_t *text, size_t len,
                   struct sim_buf *out);

/* Encodes UTF-8 into octets; chooses GSM when everything fits and coding is AUTO.
 * Returns the data_coding, or -EILSEQ when the text does not fit the coding or is not UTF-8. */
int sim_text_write(enum sim_coding coding, const char *utf8, struct sim_buf *out);
/* Octets of the next part: at most max, never splitting an escape or a surrogate pair. */
size_t sim_text_cut(int data_coding, const uint8_t *text, size_t len, size_t max);

#endif
