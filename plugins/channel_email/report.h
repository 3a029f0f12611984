/* SPDX-License-Identifier: Apache-2.0 */
/* report.h - what a mail that came back means: bounce, complaint, wish to leave, answer of a
 * machine, answer of a person. Pure: no host, no network; MIME comes in parsed. Sources: RFC 3464
 * (delivery status), RFC 5965 (feedback), RFC 3834 (automatic answers), RFC 6522. */
#ifndef EMAIL_REPORT_H
#define EMAIL_REPORT_H

#include "classify.h"
#include "mime.h"
#include "token.h"

#define REPORT_RAW_MAX 256u
#define REPORT_TEXT_MAX 65536u

enum report_kind {
    REPORT_AUTOMATIC, /* a machine's answer, or nothing that says anything: ignored */
    REPORT_UNREADABLE,
    REPORT_FOREIGN, /* a bounce or complaint about no message of ours */
    REPORT_BOUNCE,
    REPORT_COMPLAINT,
    REPORT_LEAVE,
    REPORT_REPLY
};

struct report {
    enum report_kind kind;
    char id[EMAIL_ID_LEN + 1];   /* our message; "" = not known */
    char who[EMAIL_WHO_LEN + 1]; /* of the address a bounce came to; "" = it said nothing */
    bool sealed;          /* person is proven: stands in our own link, or our own address agrees */
    uint64_t reference;   /* BOUNCE, sealed: the gateway's of the message */
    bool forged;          /* it bore an address like ours whose proof is wrong */
    uint32_t result, sub; /* BOUNCE: CGW_RES_*, CGW_SUB_* */
    struct email_status status;
    char raw[REPORT_RAW_MAX]; /* the peer's words */
    char person[255];         /* who reports or is reported on; "" = not said */
    const char *subject;      /* REPLY; lives as long as the mail */
    const struct mime_part *text;
};

void report_read(const struct email_key *key, const struct mime_mail *m, struct report *ret);
/* The person's own words: without quoted lines; at most REPORT_TEXT_MAX - 1 bytes, whole letters.
 * \return their length. */
size_t report_own_words(const struct mime_part *p, char *out, size_t size);

#endif
