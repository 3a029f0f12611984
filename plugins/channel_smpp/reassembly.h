/* SPDX-License-Identifier: Apache-2.0 */
/* reassembly.h - puts the parts of a person's long message together, and recognises messages that
 * the SMSC delivers twice. Bounded in sets, bytes and time; one thread. Source: 3GPP
 * TS 23.040 9.2.3.24, SMPP 3.4 5.3.2.22-24. */
#ifndef SMPP_REASSEMBLY_H
#define SMPP_REASSEMBLY_H

#include "pdu.h"
#include "text.h"

/* ---- one part ---- */
struct smpp_concat {
    uint8_t total, index; /* total 0 = a message of one part */
    uint16_t reference;
    uint8_t form; /* 0 none, 8 or 16 bits of UDH, 1 = SAR: sets of different forms never mix */
    const uint8_t *text; /* behind the UDH; points into the PDU */
    uint32_t text_len;
    bool udh_bad;  /* UDHI was set but the header is impossible: whole text kept as text */
    bool has_port; /* application port addressing: no text for people (WAP push and the like) */
    uint16_t port;
};
/* Reads UDH and SAR of a deliver_sm/data_sm. */
void smpp_concat_read(const struct smpp_pdu *pdu, struct smpp_concat *ret);

/* ---- a set of parts ---- */
/* Octets of one part; a longer one (message_payload) is taken as a message of its own. */
#define SMPP_PART_MAX 1024u

struct smpp_mo {
    struct smpp_addr source, destination;
    uint8_t total, have; /* have < total: timed out, pieces are missing */
    uint8_t data_coding; /* of the first part present */
    char *utf8; /* owned: smpp_mo_done(); missing parts show as "[...]"; NULL when binary */
    uint32_t utf8_len;
    uint8_t *octets; /* owned: joined octets as received */
    uint32_t octets_len;
    uint64_t *tags; /* owned: tag of every part present, in order of index */
    uint32_t n_tags;
};
void smpp_mo_done(struct smpp_mo *mo);

struct smpp_reasm;
struct smpp_reasm_limits {
    uint32_t max_sets;  /* open messages; 0 = 1024 */
    uint32_t max_bytes; /* of all parts; 0 = 4 MiB */
    int64_t timeout_ms; /* from the first part; 0 = 10 minutes */
};
struct smpp_reasm *smpp_reasm_new(const struct smpp_reasm_limits *limits,
                                  enum smpp_alphabet default_alphabet);
void smpp_reasm_free(struct smpp_reasm *r);

/* Add one part or one whole message. tag is the caller's name for the PDU (its acknowledgement).
 * \return 1 = complete, *ret filled (call smpp_mo_done()); 0 = kept, waiting for the rest; -EEXIST
 * = this part is here already (acknowledge it); -ENOBUFS = a limit is reached: the oldest set was
 * given up for it, take it with smpp_reasm_expired() and add again, or answer ESME_RX_T_APPN so
 * that the SMSC repeats; -ENOMEM. A peer with a delivery window of one sends part 2 only after part
 * 1 was answered: answer parts that return 0 at once, and only the last one when the whole message
 * is stored. Ask smpp_dedupe_seen() before: the repetition of a last part would open a set that
 * never completes. */
int smpp_reasm_add(struct smpp_reasm *r, int64_t now_ms, const struct smpp_pdu *pdu, uint64_t tag,
                   struct smpp_mo *ret);
/* Take one set that timed out or was given up: what is there, in order. \return 1 and *ret, 0 =
 * none, -ENOMEM (try later). */
int smpp_reasm_expired(struct smpp_reasm *r, int64_t now_ms, struct smpp_mo *ret);
uint32_t smpp_reasm_sets(const struct smpp_reasm *r);
int64_t smpp_reasm_next_ms(
    const struct smpp_reasm *r); /* when smpp_reasm_expired() is due next, INT64_MAX = never */

/* ---- delivered twice? ---- */
struct smpp_mo_key {
    uint64_t a, b; /* keyed 128-bit digest of source, destination, coding and text */
};
struct smpp_dedupe;
/* entries: most keys remembered (oldest are overwritten); 0 = 4096. window_ms 0 = 30 s: a person
 * may really say "1" twice. */
struct smpp_dedupe *smpp_dedupe_new(uint32_t entries, int64_t window_ms, const uint8_t key[16]);
void smpp_dedupe_free(struct smpp_dedupe *d);
struct smpp_mo_key smpp_dedupe_key(const struct smpp_dedupe *d, const struct smpp_pdu *pdu);
bool smpp_dedupe_seen(const struct smpp_dedupe *d, int64_t now_ms, struct smpp_mo_key key);
void smpp_dedupe_put(struct smpp_dedupe *d, int64_t now_ms,
                     struct smpp_mo_key key); /* when it is stored, not before */

#endif
