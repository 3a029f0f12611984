/* SPDX-License-Identifier: Apache-2.0 */
/* msgid.h - one normal form for the message ids of submit_sm_resp and of receipts, which peers
 * write differently (hexadecimal here, decimal there, zero padded, other case). The normal form is
 * the id of the response without padding and in lower case, so it does not change when the setting
 * for receipts does; receipts are converted to it. Ids are strings of up to 64 characters; those
 * wider than 64 bits are converted digit by digit. One thread per struct.
 * Source: SMPP 3.4 5.2.23 (opaque), appendix B (decimal in receipts), habits of real SMSCs. */
#ifndef SMPP_MSGID_H
#define SMPP_MSGID_H

#include "cgw/types.h"
#include <stddef.h>
#include <stdint.h>

enum smpp_idform { SMPP_ID_AUTO, SMPP_ID_DEC, SMPP_ID_HEX, SMPP_ID_RAW };

#define SMPP_ID_MEMORY 8192u /* recent response ids remembered for learning, power of 2 */

enum smpp_idlink { /* how a receipt's id becomes the response's */
                   SMPP_IDLINK_SAME,
                   SMPP_IDLINK_DEC_TO_HEX, /* receipt decimal, response hexadecimal */
                   SMPP_IDLINK_HEX_TO_DEC,
                   SMPP_IDLINKS
};

struct smpp_msgid {
    enum smpp_idform resp, receipt;
    uint64_t *recent;            /* owned; only when something is auto */
    uint32_t hits[SMPP_IDLINKS]; /* receipts that matched a recent response this way */
};

/* \return 0 or -ENOMEM. */
int smpp_msgid_init(struct smpp_msgid *m, enum smpp_idform resp, enum smpp_idform receipt);
void smpp_msgid_done(struct smpp_msgid *m);
/* Option words auto, dec, hex, raw. \return 0 or -EINVAL. */
int smpp_idform_parse(const char *word, enum smpp_idform *ret);
/* Normal form of an id from a response (remembered when something is auto) or from a receipt (auto:
 * the relation of the two is learned from ids that match; until then a matching recent response
 * decides, else the id stays as it is). out gets "" for an empty id and for one longer than
 * CGW_PROVIDER_ID_MAX - 1. For query_sm and cancel_sm keep the id as the response wrote it. */
void smpp_msgid_resp(struct smpp_msgid *m, const char *id, char out[CGW_PROVIDER_ID_MAX]);
void smpp_msgid_receipt(struct smpp_msgid *m, const char *id, char out[CGW_PROVIDER_ID_MAX]);
/* What a receipt's id may also be, as long as the relation is not learned: `normal` is what
 * smpp_msgid_receipt() made of it. A message sent before this process began, or by another node, is
 * found by these. \return how many of out[] are filled. */
uint32_t smpp_msgid_also(const struct smpp_msgid *m, const char *id, const char *normal,
                         char out[CGW_ALSO_MAX][CGW_PROVIDER_ID_MAX]);
/* Normal form of an id that is known to be spelled as in the response (smpp_receipt.id_same). */
void smpp_msgid_same(const struct smpp_msgid *m, const char *id, char out[CGW_PROVIDER_ID_MAX]);

#endif
