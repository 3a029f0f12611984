/* SPDX-License-Identifier: Apache-2.0 */
/* media.c - see media.h. */
#include "media.h"

#include <stdlib.h>
#include <string.h>

#define LINE 57u /* octets of one line of 76 characters */

size_t mms_base64_len(size_t n)
{
    return (n + 2) / 3 * 4 + (n + LINE - 1) / LINE * 2;
}

size_t mms_base64(const void *data, size_t n, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *in = data;
    char *o = out;
    for (size_t i = 0; i < n; i += 3) {
        unsigned v = (unsigned)in[i] << 16 | (i + 1 < n ? (unsigned)in[i + 1] << 8 : 0) |
                     (i + 2 < n ? in[i + 2] : 0);
        *o++ = digits[v >> 18];
        *o++ = digits[v >> 12 & 63];
        *o++ = i + 1 < n ? digits[v >> 6 & 63] : '=';
        *o++ = i + 2 < n ? digits[v & 63] : '=';
        if (i % LINE == LINE - 3 || i + 3 >= n) {
            *o++ = '\r';
            *o++ = '\n';
        }
    }
    return (size_t)(o - out);
}

static void drop(struct mms_media *c, uint32_t i)
{
    c->bytes -= c->blobs[i]->len;
    free(c->blobs[i]->data);
    free(c->blobs[i]);
    c->blobs[i] = NULL;
}

/* \return a free entry after enough unused ones were given up, or MMS_MEDIA_ENTRIES. */
static uint32_t make_room(struct mms_media *c, size_t need)
{
    for (;;) {
        uint32_t empty = MMS_MEDIA_ENTRIES, oldest = MMS_MEDIA_ENTRIES;
        for (uint32_t i = 0; i < MMS_MEDIA_ENTRIES; i++) {
            const struct mms_blob *b = c->blobs[i];
            if (!b)
                empty = i;
            else if (!b->refs && (oldest == MMS_MEDIA_ENTRIES || b->used < c->blobs[oldest]->used))
                oldest = i;
        }
        if (empty < MMS_MEDIA_ENTRIES && c->bytes + need <= MMS_MEDIA_CACHE_BYTES)
            return empty;
        if (oldest == MMS_MEDIA_ENTRIES)
            return MMS_MEDIA_ENTRIES;
        drop(c, oldest);
    }
}

static int read_all(const struct cgw_host *host, uint64_t handle, char *out, size_t n)
{
    for (size_t at = 0; at < n;) {
        int64_t got = host->media_read(handle, (int64_t)at, out + at, n - at);
        if (got <= 0)
            return CGW_ENOTFOUND;
        at += (size_t)got;
    }
    return 0;
}

static struct mms_blob *load(const struct cgw_host *host, uint64_t handle, bool base64, size_t n,
                             int *ret_rc)
{
    struct mms_blob *b = calloc(1, sizeof *b);
    char *raw = malloc(n ? n : 1);
    *ret_rc = !b || !raw ? CGW_EBUSY : read_all(host, handle, raw, n);
    if (!*ret_rc && base64) {
        char *coded = malloc(mms_base64_len(n) + 1);
        *ret_rc = coded ? 0 : CGW_EBUSY;
        n = coded ? mms_base64(raw, n, coded) : n;
        free(raw);
        raw = coded;
    }
    if (*ret_rc) {
        free(raw);
        free(b);
        return NULL;
    }
    *b = (struct mms_blob){.handle = handle, .data = raw, .len = n};
    return b;
}

struct mms_blob *mms_media_get(struct mms_media *c, const struct cgw_host *host, uint64_t handle,
                               bool base64, size_t max_bytes, int *ret_rc)
{
    struct mms_blob *b = NULL;
    for (uint32_t i = 0; i < MMS_MEDIA_ENTRIES && !b; i++)
        if (c->blobs[i] && c->blobs[i]->handle == handle)
            b = c->blobs[i];
    if (!b) {
        int64_t size = host->media_size ? host->media_size(handle) : CGW_ENOTFOUND;
        *ret_rc = size < 0 ? CGW_ENOTFOUND : (uint64_t)size > max_bytes ? CGW_ELIMIT : 0;
        if (*ret_rc)
            return NULL;
        uint32_t at = make_room(c, base64 ? mms_base64_len((size_t)size) : (size_t)size);
        if (at == MMS_MEDIA_ENTRIES) {
            *ret_rc = CGW_EBUSY;
            return NULL;
        }
        b = load(host, handle, base64, (size_t)size, ret_rc);
        if (!b)
            return NULL;
        c->blobs[at] = b;
        c->bytes += b->len;
    }
    b->refs++;
    b->used = ++c->turn;
    *ret_rc = 0;
    return b;
}

void mms_media_put(struct mms_blob *b)
{
    if (b)
        b->refs--;
}

void mms_media_done(struct mms_media *c)
{
    for (uint32_t i = 0; i < MMS_MEDIA_ENTRIES; i++)
        if (c->blobs[i])
            drop(c, i);
}
