/* SPDX-License-Identifier: Apache-2.0 */
/* classify.h - what an answer or a bounce means, as tables. Must not know sockets or MIME. Sources:
 * RFC 5321 4.2, RFC 3463 (enhanced codes), RFC 3464 2.3. */
#ifndef EMAIL_CLASSIFY_H
#define EMAIL_CLASSIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct email_status { /* RFC 3463; klass 0 = none given */
    int klass, subject, detail;
};

/* Where in the dialogue the answer came. */
enum email_stage { EMAIL_CONNECT, EMAIL_MAIL, EMAIL_RCPT, EMAIL_DATA, EMAIL_BODY, EMAIL_ENDED };

/* What it says about the traffic to come. */
enum email_scope { EMAIL_SCOPE_NONE, EMAIL_SCOPE_DOMAIN, EMAIL_SCOPE_ROUTE };

struct email_verdict {
    uint32_t result, flags, sub; /* CGW_RES_*, CGW_RESF_*, CGW_SUB_* */
    enum email_scope slow;       /* who must be spared for a while */
};

/* The first "C.S.D" with class 2, 4 or 5 in a text, at most len bytes of it. */
bool email_status_find(const char *text, size_t len, struct email_status *ret);
/* class * 10000 + subject * 100 + detail; details above 99 count as 99 */
int32_t email_status_code(const struct email_status *s);
/* CGW_SUB_HARD_BOUNCE: the address is dead; SOFT_BOUNCE: not reached, may be next time; 0: nothing
 * is said about the address (policy, content, the sender). */
uint32_t email_status_sub(const struct email_status *s);
/* A refusal in the dialogue: line as the peer wrote it ("550 5.1.1 …"). */
struct email_verdict email_refusal(enum email_stage stage, int code, const char *line);

#endif
