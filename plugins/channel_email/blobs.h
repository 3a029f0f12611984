/* SPDX-License-Identifier: Apache-2.0 */
/* blobs.h - media of the gateway, read once and kept in base64 for all the messages that carry
 * them. Loop thread only, but that a ready blob's text may be read by any thread that holds it. */
#ifndef EMAIL_BLOBS_H
#define EMAIL_BLOBS_H

#include "cgw/host.h"
#include "text.h"

#define BLOBS_MAX 64u
#define BLOBS_BYTES ((size_t)96 << 20) /* of all of them, encoded */
#define BLOB_STEP_BYTES (57u * 4096u)  /* read and encoded at a time: stays under a millisecond */

struct blob {
    uint64_t media; /* handle of the gateway */
    int64_t size, at;
    struct text text; /* base64 in lines, CRLF */
    uint32_t held;
    int64_t used_ms;
    bool ready, failed;
};

struct blobs {
    const struct cgw_host *host;
    struct blob v[BLOBS_MAX];
    uint32_t loading; /* of v, not ready yet */
    char step[BLOB_STEP_BYTES];
};

/* Held until blobs_put(). NULL: no room now. A blob that failed stays failed while it is held. */
struct blob *blobs_get(struct blobs *b, uint64_t media);
void blobs_put(struct blobs *b, struct blob *blob);
/* One step of loading. \return whether there is more to load. */
bool blobs_step(struct blobs *b);
void blobs_done(struct blobs *b);

#endif
