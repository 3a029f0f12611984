/* SPDX-License-Identifier: Apache-2.0 */
/* blobs.c - see blobs.h. */
#include "blobs.h"

#include "mime.h"

static size_t encoded_bytes(int64_t size)
{
    return ((size_t)size / MIME_BASE64_STEP + 1) * 78;
}

static size_t all_bytes(const struct blobs *b)
{
    size_t n = 0;
    for (uint32_t i = 0; i < BLOBS_MAX; i++)
        n += b->v[i].media ? encoded_bytes(b->v[i].size) : 0;
    return n;
}

static void forget(struct blobs *b, struct blob *blob)
{
    if (blob->media && !blob->ready && !blob->failed)
        b->loading--;
    text_done(&blob->text);
    *blob = (struct blob){0};
}

/* The one nobody holds that was used longest ago; NULL none. */
static struct blob *oldest(struct blobs *b)
{
    struct blob *best = NULL;
    for (uint32_t i = 0; i < BLOBS_MAX; i++)
        if (b->v[i].media && !b->v[i].held && (!best || b->v[i].used_ms < best->used_ms))
            best = &b->v[i];
    return best;
}

static struct blob *free_slot(struct blobs *b, size_t bytes)
{
    for (;;) {
        struct blob *old = oldest(b);
        for (uint32_t i = 0; i < BLOBS_MAX && all_bytes(b) + bytes <= BLOBS_BYTES; i++)
            if (!b->v[i].media)
                return &b->v[i];
        if (!old)
            return NULL;
        forget(b, old);
    }
}

struct blob *blobs_get(struct blobs *b, uint64_t media)
{
    struct blob *blob = NULL;
    for (uint32_t i = 0; i < BLOBS_MAX && !blob; i++)
        if (b->v[i].media == media)
            blob = &b->v[i];
    if (!blob) {
        int64_t size = b->host->media_size(media);
        blob = free_slot(b, encoded_bytes(size > 0 ? size : 0));
        if (!blob)
            return NULL;
        *blob = (struct blob){.media = media, .size = size > 0 ? size : 0, .failed = size < 0};
        blob->text.max = encoded_bytes(blob->size) + 256 * 1024; /* the encoder's own slack */
        b->loading += !blob->failed;
    }
    blob->held++;
    blob->used_ms = b->host->now_mono_ms();
    return blob;
}

void blobs_put(struct blobs *b, struct blob *blob)
{
    blob->held--;
    if (blob->failed && !blob->held)
        forget(b, blob); /* the next message may try again */
}

static void load(struct blobs *b, struct blob *blob)
{
    char *bytes = b->step;
    size_t want = blob->size - blob->at < (int64_t)BLOB_STEP_BYTES ? (size_t)(blob->size - blob->at)
                                                                   : BLOB_STEP_BYTES;
    int64_t got = want ? b->host->media_read(blob->media, blob->at, bytes, want) : 0;
    if (got < 0 || (size_t)got != want) {
        blob->failed = true;
    } else {
        mime_put_base64(&blob->text, bytes, (size_t)got);
        blob->at += got;
        blob->failed = blob->text.failed;
        blob->ready = !blob->failed && blob->at == blob->size;
    }
    b->loading -= blob->ready || blob->failed;
}

bool blobs_step(struct blobs *b)
{
    for (uint32_t i = 0; i < BLOBS_MAX && b->loading; i++)
        if (b->v[i].media && !b->v[i].ready && !b->v[i].failed) {
            load(b, &b->v[i]);
            break;
        }
    return b->loading > 0;
}

void blobs_done(struct blobs *b)
{
    for (uint32_t i = 0; i < BLOBS_MAX; i++)
        forget(b, &b->v[i]);
}
