/* SPDX-License-Identifier: Apache-2.0 */
/* segment.h - long messages: where to cut, how to head the pieces, which reference number. Pure,
 * any thread (struct smpp_refs: one thread). Source: 3GPP TS 23.040 9.2.3.24.1 and .8
 * (concatenation), SMPP 3.4 5.3.2.22-24 (SAR). */
#ifndef SMPP_SEGMENT_H
#define SMPP_SEGMENT_H

#include "pdu.h"
#include "text.h"

enum smpp_split {
    SMPP_SPLIT_UDH8,   /* 05 00 03 ref total index */
    SMPP_SPLIT_UDH16,  /* 06 08 04 ref ref total index */
    SMPP_SPLIT_SAR,    /* sar_* optional parameters, no UDH */
    SMPP_SPLIT_PAYLOAD /* message_payload; the SMSC cuts */
};

struct smpp_segments {
    enum smpp_split split;
    uint32_t n;       /* PDUs to submit, 1..CGW_SEGMENTS_MAX */
    uint32_t network; /* segments the person's phone gets: n, or for PAYLOAD our estimate of the
                         SMSC's cut */
    uint32_t at[CGW_SEGMENTS_MAX + 1]; /* part i is octets[at[i] .. at[i + 1]) */
};

/* Plan the parts of an encoded text. Never cuts an escape pair or a surrogate pair; does not cut
 * inside a character sequence that is shown as one (ZWJ emoji, combining marks, flags) unless the
 * sequence alone is longer than a part. \return 0 or CGW_ELIMIT when more than max_segments would
 * be needed (0 = CGW_SEGMENTS_MAX; ret->network then says how many, as far as counted). */
int smpp_segment_plan(const uint8_t *octets, uint32_t len, const struct smpp_choice *choice,
                      enum smpp_split split, uint32_t max_segments, struct smpp_segments *ret);

/* Fill text, esm_class (UDHI), sar_* and payload of sm for part i. Other members stay. scratch
 * holds UDH + text and must live as long as sm->text is used; octets likewise. \return 0 or -EINVAL
 * (i out of range). */
#define SMPP_SEGMENT_SCRATCH 256u
int smpp_segment_fill(const struct smpp_segments *plan, const uint8_t *octets, uint32_t i,
                      uint16_t reference, uint8_t scratch[SMPP_SEGMENT_SCRATCH],
                      struct smpp_submit *sm);

/* References: two messages to the same number close in time never share one (their parts would mix
 * on the phone). */
#define SMPP_REFS_SLOTS 4096u
struct smpp_refs {
    uint16_t next[SMPP_REFS_SLOTS]; /* by hash of the number */
    uint16_t salt;
};
void smpp_refs_init(struct smpp_refs *refs, uint16_t salt); /* salt differs from run to run */
/* wide (UDH16 only): 16-bit reference; else 0..255, for SAR too: it becomes an 8-bit header at the
 * SMSC. */
uint16_t smpp_refs_take(struct smpp_refs *refs, const char *number, bool wide);

#endif
