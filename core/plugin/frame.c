/* SPDX-License-Identifier: Apache-2.0 */
/* frame.c - see frame.h. */
#include "plugin/frame.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define SMALL 4096u
#define ITEM_MAX (FRAME_RESULTS_MAX * 131072u) /* results with ids and documents */

/* What may come from where, and how long it may be. */
static const struct {
    bool from_plugin;
    uint32_t max;
} types[FRAME_TYPES] = {
    [FRAME_CONFIG] = {false, FRAME_MAX},
    [FRAME_START] = {false, 0},
    [FRAME_SUBMIT] = {false, FRAME_MAX},
    [FRAME_STORED] = {false, FRAME_ITEMS_MAX * 8 + 8},
    [FRAME_CANCEL] = {false, FRAME_ITEMS_MAX * 8 + 8},
    [FRAME_QUERY] = {false, FRAME_MAX},
    [FRAME_RECALL] = {false, FRAME_MAX},
    [FRAME_HTTP] = {false, FRAME_MAX},
    [FRAME_PING] = {false, SMALL},
    [FRAME_DRAIN] = {false, SMALL},
    [FRAME_STOP] = {false, 0},
    [FRAME_TALLY] = {false, SMALL},
    [FRAME_TAKEN] = {false, SMALL},
    [FRAME_CHECK] = {false, FRAME_MAX},
    [FRAME_MEDIA_ANSWER] = {false, FRAME_MEDIA_MAX + SMALL},
    [FRAME_DESCRIBED] = {true, 1048576u},
    [FRAME_REFUSED] = {true, SMALL},
    [FRAME_CREATED] = {true, SMALL},
    [FRAME_STARTED] = {true, SMALL},
    [FRAME_CREDIT] = {true, SMALL},
    [FRAME_COMPLETE] = {true, ITEM_MAX},
    [FRAME_RECEIPT] = {true, ITEM_MAX},
    [FRAME_INBOUND] = {true, FRAME_MAX},
    [FRAME_REPLY] = {true, CGW_BODY_MAX * 4 + SMALL},
    [FRAME_COUNT] = {true, SMALL},
    [FRAME_LOG] = {true, SMALL},
    [FRAME_PONG] = {true, SMALL},
    [FRAME_DRAINED] = {true, 0},
    [FRAME_CHECKED] = {true, FRAME_MESSAGES_MAX * 512u},
    [FRAME_MEDIA] = {true, SMALL},
};

#define NOTHING UINT32_MAX /* the length of what is NULL */

/* ---- writing
 * ------------------------------------------------------------------------------------------------------------------------
 */

size_t frame_begin(struct buf *b, enum frame_type type)
{
    size_t at = b->len;
    frame_u32(b, 0);
    frame_u32(b, (uint32_t)type);
    return at;
}

void frame_end(struct buf *b, size_t at)
{
    if (b->failed)
        return;
    uint32_t len = (uint32_t)(b->len - at - FRAME_HEADER);
    memcpy(b->data + at, &len, sizeof len);
}

void frame_u32(struct buf *b, uint32_t v)
{
    buf_put(b, &v, sizeof v);
}

void frame_u64(struct buf *b, uint64_t v)
{
    buf_put(b, &v, sizeof v);
}

void frame_i64(struct buf *b, int64_t v)
{
    buf_put(b, &v, sizeof v);
}

void frame_bytes(struct buf *b, const char *s, uint32_t len)
{
    frame_u32(b, s ? len : NOTHING);
    if (!s)
        return;
    buf_put(b, s, len);
    buf_putc(b, 0);
}

void frame_cut(struct buf *b, const char *s, uint32_t max)
{
    frame_bytes(b, s, s ? (uint32_t)strnlen(s, max) : 0);
}

void frame_text(struct buf *b, const char *s)
{
    frame_bytes(b, s, s ? (uint32_t)strlen(s) : 0);
}

/* ---- reading
 * ------------------------------------------------------------------------------------------------------------------------
 */

static bool take(struct frame *f, void *to, size_t n)
{
    if (f->bad || (size_t)(f->end - f->at) < n) {
        f->bad = true;
        memset(to, 0, n);
        return false;
    }
    memcpy(to, f->at, n);
    f->at += n;
    return true;
}

uint32_t frame_get_u32(struct frame *f)
{
    uint32_t v;
    (void)take(f, &v, sizeof v);
    return v;
}

uint64_t frame_get_u64(struct frame *f)
{
    uint64_t v;
    (void)take(f, &v, sizeof v);
    return v;
}

int64_t frame_get_i64(struct frame *f)
{
    int64_t v;
    (void)take(f, &v, sizeof v);
    return v;
}

uint32_t frame_get_count(struct frame *f, uint32_t max)
{
    uint32_t v = frame_get_u32(f);
    if (v <= max)
        return v;
    f->bad = true;
    return 0;
}

const char *frame_get_bytes(struct frame *f, uint32_t max, uint32_t *ret_len)
{
    uint32_t len = frame_get_u32(f);
    *ret_len = 0;
    if (f->bad || len == NOTHING)
        return NULL;
    if (len > max || (size_t)(f->end - f->at) < (size_t)len + 1 || f->at[len]) {
        f->bad = true;
        return NULL;
    }
    const char *s = f->at;
    f->at += (size_t)len + 1;
    *ret_len = len;
    return s;
}

const char *frame_get_text(struct frame *f, uint32_t max)
{
    uint32_t len;
    const char *s = frame_get_bytes(f, max, &len);
    if (!s || !memchr(s, 0, len))
        return s;
    f->bad = true;
    return NULL;
}

const char *frame_get_word(struct frame *f, uint32_t max)
{
    const char *s = frame_get_text(f, max);
    return s ? s : "";
}

bool frame_done(const struct frame *f)
{
    return !f->bad && f->at == f->end;
}

/* ---- a stream
 * ------------------------------------------------------------------------------------------------------------------------
 */

void frame_reader_done(struct frame_reader *r)
{
    if (r->data)
        explicit_bzero(r->data, r->len); /* secrets and bodies travel here */
    free(r->data);
    *r = (struct frame_reader){0};
}

static bool room(struct frame_reader *r, size_t want)
{
    if (r->at) {
        memmove(r->data, r->data + r->at, r->len - r->at);
        r->len -= r->at;
        r->at = 0;
    }
    if (r->cap - r->len >= want)
        return true;
    size_t cap = r->cap ? r->cap : FRAME_READ;
    while (cap - r->len < want)
        cap *= 2;
    if (cap > 2 * (size_t)(FRAME_MAX + FRAME_READ))
        return false;
    char *p = realloc(r->data, cap);
    if (!p)
        return false;
    r->data = p;
    r->cap = cap;
    return true;
}

int64_t frame_fill(struct frame_reader *r, int fd)
{
    if (!room(r, FRAME_READ))
        return -ENOMEM;
    ssize_t n = recv(fd, r->data + r->len, r->cap - r->len, MSG_DONTWAIT);
    if (n > 0)
        r->len += (size_t)n;
    return n < 0 ? -errno : n;
}

bool frame_feed(struct frame_reader *r, const void *data, size_t len)
{
    if (!room(r, len))
        return false;
    if (len)
        memcpy(r->data + r->len, data, len);
    r->len += len;
    return true;
}

int frame_next(struct frame_reader *r, bool from_plugin, struct frame *ret)
{
    uint32_t head[2];
    if (r->len - r->at < sizeof head)
        return 0;
    memcpy(head, r->data + r->at, sizeof head);
    if (head[1] == FRAME_NONE || head[1] >= FRAME_TYPES ||
        types[head[1]].from_plugin != from_plugin)
        return CGW_EINVAL;
    if (head[0] > types[head[1]].max)
        return CGW_ELIMIT;
    if (r->len - r->at - sizeof head < head[0])
        return 0;
    const char *payload = r->data + r->at + sizeof head;
    *ret = (struct frame){.type = head[1], .at = payload, .end = payload + head[0]};
    r->at += sizeof head + head[0];
    return 1;
}
