/* SPDX-License-Identifier: Apache-2.0 */
/* body.h - the body of one request: pieces of the message's own buffer between pieces of shared
 * media, so that a picture for a million people is never copied. No sockets. */
#ifndef MMS_BODY_H
#define MMS_BODY_H

#include "content.h"
#include "media.h"

#define MMS_PIECES_MAX (2u * CGW_PARTS_MAX + 4u)
#define MMS_BOUNDARY_SIZE 48u

struct mms_body {
    char *own; /* owned, kept for the next message */
    size_t own_len, own_size;
    struct {
        const struct mms_blob *blob; /* NULL: own */
        size_t at, len;
    } pieces[MMS_PIECES_MAX];
    uint32_t n_pieces;
    struct mms_blob *blobs[CGW_PARTS_MAX]; /* references held */
    uint32_t n_blobs;
    uint64_t total;
    bool failed;
};

/* soap alone as text/xml (plan NULL: a CancelReq), or a multipart with the content. \return 0, or
 * CGW_E* of a media part. */
int mms_body_make(struct mms_body *b, const char *boundary, const char *soap, size_t soap_len,
                  const struct mms_plan *p, const struct mms_options *o, struct mms_media *media,
                  const struct cgw_host *host);
const char *mms_body_piece(const struct mms_body *b, uint32_t i, size_t *ret_len);
void mms_body_release(struct mms_body *b); /* gives the media back, keeps the buffer */
void mms_body_done(struct mms_body *b);
/* Content-Type of such a body. */
void mms_body_type(const char *boundary, char *out, size_t size);
#define MMS_CONTENT_ID "mm7-content"

#endif
