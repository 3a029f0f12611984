/* SPDX-License-Identifier: Apache-2.0 */
/* http.h - the only door to libcurl: requests of one account over kept connections, driven by the
 * gateway's loop. Tells for each request whether one octet of its body may have left. Must not know
 * MM7. Loop thread only. */
#ifndef MMS_HTTP_H
#define MMS_HTTP_H

#include "body.h"
#include "options.h"

#define MMS_ANSWER_MAX 65536u

enum mms_sent {
    MMS_ANSWERED,  /* `status`, `answer` */
    MMS_UNWRITTEN, /* nothing of the body left us; `why` */
    MMS_LOST       /* it may have left, there is no answer; `why` */
};

struct mms_call {
    void *easy; /* owned by http.c */
    struct mms_http *http;
    const struct mms_body *body; /* borrowed while active */
    uint32_t piece;
    size_t offset;
    bool active, wrote;
    int64_t begun_ms, before_ms; /* not written by then: not at all; 0 = no limit */
    char *answer;                /* owned, kept for the next call */
    size_t answer_len, answer_size;
    const char *answer_type;
    int status;
    int64_t retry_after_ms;
    bool unreachable; /* UNWRITTEN because the peer could not be reached */
    char why[120];
};

typedef void (*mms_done_fn)(void *ctx, struct mms_call *call, enum mms_sent sent);

struct mms_http;
int mms_http_global(void);
int mms_http_new(const struct mms_options *o, const struct cgw_host *host, struct cgw_inst *inst,
                 const char *content_type, mms_done_fn done, void *ctx, struct mms_http **ret,
                 struct cgw_diag *diag);
/* Begins; done() follows, never from within. is_multi: the body is a multipart. \return 0 or
 * CGW_EBUSY without memory. */
int mms_http_send(struct mms_http *h, struct mms_call *call, const struct mms_body *body,
                  bool is_multi, int64_t before_ms);
/* Ends it now, with done(): UNWRITTEN or LOST. */
void mms_http_abort(struct mms_http *h, struct mms_call *call, const char *why);
void mms_call_done(struct mms_call *call);
/* Closes all connections and gives watches and timer back; the last use of host services. */
void mms_http_close(struct mms_http *h);
void mms_http_free(struct mms_http *h);

#endif
