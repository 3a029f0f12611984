/* SPDX-License-Identifier: Apache-2.0 */
/* ingest_gzip.c - inflate an upload in blocks of 64 KiB and stop a bomb early. Source: RFC 1952
 * (members may follow each other). */
#include "ingest/ingest_int.h"

#include <errno.h>
#include <string.h>

#define GZIP_WINDOW_BITS (15 + 16) /* zlib.h: +16 = gzip wrapper only */

int gzip_init(struct gzip_stage *g, struct diag *diag)
{
    if (inflateInit2(&g->z, GZIP_WINDOW_BITS) != Z_OK)
        return diag_set(diag, -ENOMEM, "", "No memory to unpack an upload.");
    g->ready = true;
    return 0;
}

void gzip_done(struct gzip_stage *g)
{
    if (g->ready)
        (void)inflateEnd(&g->z);
    g->ready = false;
}

static int check_ratio(const struct gzip_stage *g, struct diag *diag)
{
    uint64_t in = g->in - g->z.avail_in;
    if (g->out > INGEST_GZIP_FREE && g->out / INGEST_GZIP_RATIO_MAX > in)
        return diag_set(
            diag, CGW_ELIMIT, "",
            "The upload unpacks to more than %u times its size; send it in plain form or split it.",
            INGEST_GZIP_RATIO_MAX);
    return 0;
}

static int broken(const struct gzip_stage *g, struct diag *diag)
{
    if (!g->out && !g->members)
        return diag_set(diag, CGW_EINVAL, "",
                        "The upload is not gzip; send it without Content-Encoding: gzip.");
    return diag_set(diag, CGW_EINVAL, "",
                    "The gzip data is damaged after %llu plain bytes; pack and send it again.",
                    (unsigned long long)g->out);
}

/* One call of inflate(). What came out before a fault is read too: how an upload is refused must
 * not depend on the pieces it came in. */
static int inflate_block(struct gzip_stage *g, gzip_sink_fn sink, void *ctx, struct diag *diag)
{
    g->z.next_out = g->block;
    g->z.avail_out = sizeof g->block;
    g->in_member = true;
    int z = inflate(&g->z, Z_NO_FLUSH);
    if (z == Z_MEM_ERROR)
        return diag_set(diag, -ENOMEM, "", "No memory to unpack an upload.");
    size_t n = sizeof g->block - g->z.avail_out;
    g->out += n;
    int rc = check_ratio(g, diag);
    if (rc == 0 && n)
        rc = sink(ctx, (const char *)g->block, n, diag);
    if (rc == 0 && z != Z_OK && z != Z_STREAM_END && z != Z_BUF_ERROR)
        return broken(g, diag);
    if (rc == 0 && z == Z_STREAM_END) {
        g->members++;
        g->in_member = false;
        if (inflateReset(&g->z) != Z_OK)
            return broken(g, diag);
    }
    return rc;
}

/* Between members: gzip pads with zeros (tape blocks); anything else must be another member. */
static int skip_padding(struct gzip_stage *g, struct diag *diag)
{
    if (!g->members || g->in_member)
        return 0;
    while (g->z.avail_in && !*g->z.next_in) {
        g->padding = true;
        g->z.next_in++;
        g->z.avail_in--;
    }
    return g->padding && g->z.avail_in ? broken(g, diag) : 0;
}

static int feed_slice(struct gzip_stage *g, const unsigned char *data, size_t len,
                      gzip_sink_fn sink, void *ctx, struct diag *diag)
{
    g->z.next_in = (z_const Bytef *)data;
    g->z.avail_in = (uInt)len;
    g->in += len;
    do {
        int rc = skip_padding(g, diag);
        if (rc < 0 || !g->z.avail_in)
            return rc;
        rc = inflate_block(g, sink, ctx, diag);
        if (rc < 0)
            return rc;
    } while (g->z.avail_in || !g->z.avail_out);
    return 0;
}

int gzip_feed(struct gzip_stage *g, const void *data, size_t len, gzip_sink_fn sink, void *ctx,
              struct diag *diag)
{
    const unsigned char *p = data;
    while (len) { /* zlib counts in 32 bits */
        size_t n = len > (1u << 24) ? 1u << 24 : len;
        int rc = feed_slice(g, p, n, sink, ctx, diag);
        if (rc < 0)
            return rc;
        p += n;
        len -= n;
    }
    return 0;
}

int gzip_finish(struct gzip_stage *g, struct diag *diag)
{
    if (g->in_member)
        return diag_set(
            diag, CGW_EINVAL, "",
            "The gzip data ends in the middle, after %llu plain bytes; send the whole file.",
            (unsigned long long)g->out);
    return 0;
}
