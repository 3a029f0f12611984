/* SPDX-License-Identifier: Apache-2.0 */
/* media.h - the bytes of shared media parts, read from the gateway once and lent to every message
 * that needs them. Bounded; what nobody uses any more makes room. Loop thread only. */
#ifndef MMS_MEDIA_H
#define MMS_MEDIA_H

#include "cgw/host.h"

#include <stdbool.h>

#define MMS_MEDIA_ENTRIES 256u
#define MMS_MEDIA_CACHE_BYTES (64u << 20)

struct mms_blob {
    uint64_t handle;
    char *data; /* owned, as it goes onto the wire */
    size_t len;
    uint32_t refs;
    uint64_t used; /* turn of the last use */
};

struct mms_media {
    struct mms_blob *blobs[MMS_MEDIA_ENTRIES]; /* owned */
    size_t bytes;
    uint64_t turn;
};

/* \return the blob, to be given back; NULL with *ret_rc: CGW_ENOTFOUND (no such media), CGW_ELIMIT
 * (above max_bytes), CGW_EBUSY (all room is in use). */
struct mms_blob *mms_media_get(struct mms_media *c, const struct cgw_host *host, uint64_t handle,
                               bool base64, size_t max_bytes, int *ret_rc);
void mms_media_put(struct mms_blob *b);
void mms_media_done(struct mms_media *c);
/* RFC 2045: lines of 76. out holds mms_base64_len(n) bytes. */
size_t mms_base64_len(size_t n);
size_t mms_base64(const void *data, size_t n, char *out);

#endif
