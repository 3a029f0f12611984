/* SPDX-License-Identifier: Apache-2.0 */
/* status.h - what a StatusCode or an HTTP status means for a message or for the account: one table
 * and an account's overrides of it. Pure after reading. Source: TS 23.140 clause 8.7.8 and what
 * message centres use beside it. */
#ifndef MMS_STATUS_H
#define MMS_STATUS_H

#include "cgw/types.h"

#include <stdbool.h>

enum mms_class {
    MMS_ACCEPT,
    MMS_REFUSE,   /* this message never */
    MMS_RETRY,    /* this message later */
    MMS_THROTTLE, /* back-pressure: the account pauses, not an attempt */
    MMS_ACCOUNT,  /* our credentials or address are wrong: the account waits for people */
    MMS_UNSURE    /* nobody can tell whether it was taken */
};

struct mms_verdict {
    enum mms_class cls;
    uint32_t after_ms; /* RETRY, THROTTLE, ACCOUNT: not earlier; 0 = the standard */
};

#define MMS_OVERRIDES_MAX 64u
struct mms_status {
    uint32_t n;
    struct {
        int code;
        struct mms_verdict verdict;
    } over[MMS_OVERRIDES_MAX];
};

/* "6102=retry:30000": classes accept, refuse, retry[:ms], throttle[:ms], account[:ms]. \return 0,
 * CGW_EINVAL or CGW_ELIMIT with diag->text. */
int mms_status_add(struct mms_status *t, const char *item, struct cgw_diag *diag);
/* A StatusCode of MM7. */
struct mms_verdict mms_status_of(const struct mms_status *t, int code);
/* An HTTP status without a readable StatusCode. */
struct mms_verdict mms_status_http(int status);
const char *mms_class_name(enum mms_class cls);

#endif
