/* SPDX-License-Identifier: Apache-2.0 */
/* spool.c - bodies of streams in files without a name: 0600, gone with the process, bounded one by
 * one and together. Scratch, not state. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* O_TMPFILE, mkostemp */
#endif
#include "api/api_int.h"

#include "base/file.h"
#include "base/sha256.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

int spool_open(struct api *api, struct diag *diag)
{
    int fd = open(api->conf.spool_dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0)
        return fd;
    char name[512]; /* file systems without O_TMPFILE */
    (void)snprintf(name, sizeof name, "%s/upload.XXXXXX", api->conf.spool_dir);
    fd = mkostemp(name, O_CLOEXEC);
    if (fd < 0)
        return diag_set(diag, -errno, api->conf.spool_dir, "cannot make an upload file: %s",
                        strerror(errno));
    (void)unlink(name);
    return fd;
}

int spool_write(struct api *api, struct api_stream *s, const void *data, size_t len)
{
    if (atomic_fetch_add(&api->spool_used, len) + len > api->conf.spool_max_bytes) {
        atomic_fetch_sub(&api->spool_used, len);
        return -ENOSPC;
    }
    s->len += (int64_t)len;
    s->spooled += (int64_t)len; /* counted even if the write fails: given back in spool_close() */
    int rc = file_write(s->fd, data, len);
    return rc == 0 ? 0 : rc == -ENOSPC || rc == -EDQUOT || rc == -EFBIG ? -ENOSPC : -EIO;
}

void spool_close(struct api *api, struct api_stream *s)
{
    if (s->fd < 0)
        return;
    (void)close(s->fd);
    s->fd = -1;
    atomic_fetch_sub(&api->spool_used, (uint64_t)s->spooled);
}

int spool_hash(const struct api_stream *s, unsigned char out[32])
{
    struct sha256 st;
    char piece[65536];
    int64_t at = 0;
    sha256_init(&st);
    while (at < s->len) {
        ssize_t n = pread(
            s->fd, piece,
            s->len - at < (int64_t)sizeof piece ? (size_t)(s->len - at) : sizeof piece, s->at + at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -EIO;
        sha256_update(&st, piece, (size_t)n);
        at += n;
    }
    sha256_final(&st, out);
    return 0;
}

/* Dictionary of byte sequences (RFC 9530 2, RFC 8941 3.3.5): sha-256=:BASE64:, other algorithms are
 * ignored. */
int digest_parse(const char *header, unsigned char out[32])
{
    for (const char *p = header; *p;) {
        p += strspn(p, " \t,");
        size_t n = strcspn(p, ",");
        if (!strncasecmp(p, "sha-256=", 8)) {
            const char *v = p + 8;
            size_t len = n - 8, got = 0;
            while (len && (v[len - 1] == ' ' || v[len - 1] == '\t'))
                len--;
            if (len < 2 || v[0] != ':' || v[len - 1] != ':')
                return -1;
            int rc = sodium_base642bin(out, 32, v + 1, len - 2, NULL, &got, NULL,
                                       sodium_base64_VARIANT_ORIGINAL);
            return rc == 0 && got == 32 ? 1 : -1;
        }
        p += n;
    }
    return 0;
}
