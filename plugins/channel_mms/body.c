/* SPDX-License-Identifier: Apache-2.0 */
/* body.c - see body.h. Order of parts: SOAP first, then one multipart with the SMIL first
 * (TS 23.140 8.7.1; RFC 2387). Content-IDs stand in brackets, references to them do not. */
#include "body.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool room(struct mms_body *b, size_t more)
{
    size_t size = b->own_size ? b->own_size : 4096;
    while (size < b->own_len + more)
        size *= 2;
    char *p = size == b->own_size ? b->own : realloc(b->own, size);
    if (!p) {
        b->failed = true;
        return false;
    }
    b->own = p;
    b->own_size = size;
    return true;
}

static void add_piece(struct mms_body *b, const struct mms_blob *blob, size_t at, size_t len)
{
    uint32_t last = b->n_pieces - 1;
    b->total += len;
    if (!blob && b->n_pieces && !b->pieces[last].blob &&
        b->pieces[last].at + b->pieces[last].len == at) {
        b->pieces[last].len += len;
        return;
    }
    if (b->n_pieces == MMS_PIECES_MAX) {
        b->failed = true;
        return;
    }
    b->pieces[b->n_pieces].blob = blob;
    b->pieces[b->n_pieces].at = at;
    b->pieces[b->n_pieces++].len = len;
}

static void put(struct mms_body *b, const char *data, size_t len)
{
    if (b->failed || len == 0 || !room(b, len))
        return;
    memcpy(b->own + b->own_len, data, len);
    add_piece(b, NULL, b->own_len, len);
    b->own_len += len;
}

static void say(struct mms_body *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct mms_body *b, const char *fmt, ...)
{
    char line[512];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= sizeof line)
        b->failed = true;
    else
        put(b, line, (size_t)n);
}

static void inline_media(struct mms_body *b, const struct cgw_part *part, bool base64)
{
    if (!base64 || b->failed) {
        put(b, part->body, part->len);
        return;
    }
    size_t most = mms_base64_len(part->len);
    if (!room(b, most))
        return;
    size_t n = mms_base64(part->body, part->len, b->own + b->own_len);
    add_piece(b, NULL, b->own_len, n);
    b->own_len += n;
}

static int put_item(struct mms_body *b, const char *boundary, const struct mms_item *it,
                    const struct mms_options *o, struct mms_media *media,
                    const struct cgw_host *host)
{
    bool is_text = !strncmp(it->type, "text/", 5) && !it->part->media;
    bool base64 = o->base64 && !is_text;
    int rc = 0;
    say(b,
        "\r\n--%s-in\r\nContent-Type: %s\r\nContent-ID: <%s>\r\nContent-Location: %s\r\n"
        "Content-Transfer-Encoding: %s\r\n\r\n",
        boundary, it->type, it->name, it->name,
        base64    ? "base64"
        : is_text ? "8bit"
                  : "binary");
    if (!it->part->media) {
        if (it->part->len)
            inline_media(b, it->part, base64);
        return 0;
    }
    struct mms_blob *blob =
        mms_media_get(media, host, it->part->media, o->base64, o->max_bytes, &rc);
    if (!blob)
        return rc;
    b->blobs[b->n_blobs++] = blob;
    add_piece(b, blob, 0, blob->len);
    return 0;
}

static void put_smil(struct mms_body *b, const char *boundary, const struct mms_plan *p)
{
    const char *smil = p->smil ? p->smil->body : p->made;
    size_t len = p->smil ? p->smil->len : strlen(p->made);
    say(b,
        "\r\n--%s-in\r\nContent-Type: application/smil; charset=utf-8\r\nContent-ID: <smil>\r\n"
        "Content-Location: smil.xml\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
        boundary);
    put(b, smil, len);
}

static int put_content(struct mms_body *b, const char *boundary, const struct mms_plan *p,
                       const struct mms_options *o, struct mms_media *media,
                       const struct cgw_host *host)
{
    bool has_smil = p->smil || p->made[0];
    int rc = 0;
    say(b, "\r\n--%s\r\nContent-Type: multipart/%s; boundary=\"%s-in\"\r\nContent-ID: <%s>\r\n",
        boundary, has_smil ? "related; type=\"application/smil\"; start=\"<smil>\"" : "mixed",
        boundary, MMS_CONTENT_ID);
    if (has_smil)
        put_smil(b, boundary, p);
    for (uint32_t i = 0; i < p->n && !rc; i++)
        rc = put_item(b, boundary, &p->items[i], o, media, host);
    say(b, "\r\n--%s-in--\r\n", boundary);
    return rc;
}

int mms_body_make(struct mms_body *b, const char *boundary, const char *soap, size_t soap_len,
                  const struct mms_plan *p, const struct mms_options *o, struct mms_media *media,
                  const struct cgw_host *host)
{
    b->own_len = 0;
    b->n_pieces = b->n_blobs = 0;
    b->total = 0;
    b->failed = false;
    if (p)
        say(b, "--%s\r\nContent-Type: text/xml; charset=utf-8\r\nContent-ID: <mm7-soap>\r\n\r\n",
            boundary);
    put(b, soap, soap_len);
    int rc = p ? put_content(b, boundary, p, o, media, host) : 0;
    if (p)
        say(b, "\r\n--%s--\r\n", boundary);
    if (!rc && b->failed)
        rc = CGW_EBUSY;
    if (rc)
        mms_body_release(b);
    return rc;
}

const char *mms_body_piece(const struct mms_body *b, uint32_t i, size_t *ret_len)
{
    *ret_len = b->pieces[i].len;
    return (b->pieces[i].blob ? b->pieces[i].blob->data : b->own) + b->pieces[i].at;
}

void mms_body_release(struct mms_body *b)
{
    for (uint32_t i = 0; i < b->n_blobs; i++)
        mms_media_put(b->blobs[i]);
    b->n_blobs = 0;
}

void mms_body_done(struct mms_body *b)
{
    mms_body_release(b);
    free(b->own);
    *b = (struct mms_body){0};
}

void mms_body_type(const char *boundary, char *out, size_t size)
{
    (void)snprintf(out, size,
                   "multipart/related; boundary=\"%s\"; type=\"text/xml\"; start=\"<mm7-soap>\"",
                   boundary);
}
