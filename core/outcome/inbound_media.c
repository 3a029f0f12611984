/* SPDX-License-Identifier: Apache-2.0 */
/* inbound_media.c - pictures, sound and films that people send: copied out of the plugin's hands
 * within bounds, and kept in the media store in the transaction of the response that they came
 * with. Bounds: INBOUND_MEDIA_MAX of one message, CGW_BODY_MAX each, INBOUND_MEDIA_WAITING bytes
 * waiting for the writer: beyond it nothing is taken, and the peer repeats. */
#include "outcome/outcome_int.h"

#include "base/log.h"
#include "base/sha256.h"
#include "content/utf8.h"
#include "media/sniff.h"
#include "store/store_media.h"

#include <stdlib.h>
#include <string.h>

#define NAME_MAX_BYTES 100u

struct inbound_media {
    size_t bytes; /* of all; counted in the writer */
    uint32_t n;
    struct one {
        const char *mime, *name, *data; /* behind the table */
        uint32_t len;
    } one[INBOUND_MEDIA_MAX];
    char space[];
};

static bool is_media(const struct cgw_part *p)
{
    return p->role == CGW_ROLE_MEDIA && p->body && p->len;
}

static size_t text_len(const char *s)
{
    return s ? strnlen(s, NAME_MAX_BYTES) : 0;
}

static const char *copy(char **at, const char *s, size_t len)
{
    char *to = *at;
    if (len)
        memcpy(to, s, len);
    to[len] = 0;
    *at += len + 1;
    return to;
}

int inbound_media_take(struct outcome_writer *w, const struct cgw_inbound *in,
                       struct inbound_media **ret)
{
    size_t space = 0, bytes = 0;
    uint32_t n = 0, left_out = 0;
    *ret = NULL;
    for (uint32_t i = 0; i < in->n_parts; i++) {
        const struct cgw_part *p = &in->parts[i];
        if (!is_media(p) || n == INBOUND_MEDIA_MAX) {
            left_out += is_media(p);
            continue;
        }
        n++;
        bytes += p->len;
        space += p->len + text_len(p->mime) + text_len(p->name) + 3;
    }
    if (left_out)
        log_warning("outcome.media.left_out", "parts=%u limit=%u", left_out, INBOUND_MEDIA_MAX);
    if (!n)
        return 0;
    if (atomic_fetch_add(&w->media_waiting, bytes) + bytes > INBOUND_MEDIA_WAITING ||
        !(*ret = malloc(sizeof **ret + space))) {
        atomic_fetch_sub(&w->media_waiting, bytes);
        return CGW_EBUSY;
    }
    struct inbound_media *m = *ret;
    char *at = m->space;
    m->bytes = bytes;
    m->n = 0;
    for (uint32_t i = 0; m->n < n; i++) {
        const struct cgw_part *p = &in->parts[i];
        if (is_media(p))
            m->one[m->n++] = (struct one){.mime = copy(&at, p->mime, text_len(p->mime)),
                                          .name = copy(&at, p->name, text_len(p->name)),
                                          .data = copy(&at, p->body, p->len),
                                          .len = p->len};
    }
    return 0;
}

void inbound_media_free(struct outcome_writer *w, struct inbound_media *m)
{
    if (m)
        atomic_fetch_sub(&w->media_waiting, m->bytes);
    free(m);
}

void inbound_media_hash(const struct inbound_media *m, crypto_generichash_state *st)
{
    for (uint32_t i = 0; m && i < m->n; i++)
        (void)crypto_generichash_update(st, (const unsigned char *)m->one[i].data, m->one[i].len);
}

static int64_t read_at(void *ctx, int64_t offset, void *out, size_t n)
{
    const struct one *o = ctx;
    memcpy(out, o->data + offset, n);
    return (int64_t)n;
}

/* What people send is kept whatever it is; but nobody is told that it is what it is not. */
static const char *type_of(const struct one *o)
{
    char declared[64];
    size_t n = strcspn(o->mime, "; \t");
    const char *found = media_sniff(o->data, o->len);
    (void)snprintf(declared, sizeof declared, "%.*s", (int)n, o->mime);
    const char *agreed = found ? media_agree(found, declared) : NULL;
    return agreed ? agreed : found ? found : "application/octet-stream";
}

/* A file name from far away: what a screen can show, else none. */
static const char *name_of(const struct one *o)
{
    for (const char *c = o->name; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return "";
    return utf8_valid(o->name, strlen(o->name)) ? o->name : "";
}

int inbound_media_store(struct flush *f, const struct inbound_media *m, int32_t part,
                        int64_t response_id)
{
    int32_t partner = 0;
    int rc = m ? store_response_partner(f->db, part, response_id, &partner, f->diag) : 0;
    for (uint32_t i = 0; m && rc == 0 && i < m->n; i++) {
        const struct one *o = &m->one[i];
        unsigned char sha[32];
        struct sha256 st;
        char id[40];
        int64_t media_id = 0;
        bool is_new;
        sha256_init(&st);
        sha256_update(&st, o->data, o->len);
        sha256_final(&st, sha);
        struct store_media_new row = {.partner_id = partner,
                                      .sha256 = sha,
                                      .mime = type_of(o),
                                      .name = name_of(o),
                                      .by = "received",
                                      .bytes = o->len};
        rc = store_media_put(f->db, &row, read_at, (void *)(uintptr_t)o, &media_id, id, &is_new,
                             f->diag);
        if (rc == 0)
            rc = store_response_media(f->db, part, response_id, (int16_t)(i + 1), media_id,
                                      name_of(o), f->diag);
    }
    return rc;
}
