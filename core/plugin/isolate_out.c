/* SPDX-License-Identifier: Apache-2.0 */
/* isolate_out.c - to the process of a plugin: frames in order, written as the socket takes them. A
 * message counts as handed over when its frame is written to the last byte; one that is not stays
 * certain not to have left. */
#include "plugin/isolate_int.h"

#include "base/clock.h"
#include "plugin/frame_items.h"
#include <errno.h>
#include <sys/socket.h>

void isolate_flush(struct isolate *s)
{
    struct out_chunk *c;
    bool full = false;
    while ((c = s->out) && !full) {
        ssize_t n = send(s->child.main_fd, c->data + c->written, c->len - c->written,
                         MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN)
            return; /* it ended: its socket says so, and that settles everything */
        full = n < 0 || (size_t)n < c->len - c->written;
        if (n > 0) {
            c->written += (size_t)n;
            s->out_bytes -= (size_t)n;
        }
        if (full)
            break;
        if (!(s->out = c->next))
            s->out_end = &s->out;
        explicit_bzero(c->data, c->len); /* bodies and secrets do not linger */
        free(c);
    }
    if (full != s->watching_write)
        isolate_watch(s, full);
}

/* Takes the frame in *b; without memory the process is not told, and is lost. */
void isolate_send(struct isolate *s, struct buf *b, const struct cgw_message *msgs, uint32_t n)
{
    struct out_chunk *c = b->failed ? NULL : malloc(sizeof *c + b->len);
    if (!c) {
        buf_done(b);
        isolate_lost(s, END_PROTOCOL, "no memory for a frame");
        return;
    }
    *c = (struct out_chunk){.len = b->len, .n_tokens = n};
    memcpy(c->data, b->data, b->len);
    for (uint32_t i = 0; i < n; i++)
        c->tokens[i] = msgs[i].token;
    explicit_bzero(b->data, b->len);
    buf_done(b);
    s->out_bytes += c->len;
    *s->out_end = c;
    s->out_end = &c->next;
    isolate_flush(s);
}

void isolate_send_bare(struct isolate *s, enum frame_type type)
{
    struct buf b;
    buf_init(&b, 64);
    frame_end(&b, frame_begin(&b, type));
    isolate_send(s, &b, NULL, 0);
}

void isolate_out_drop(struct isolate *s)
{
    struct out_chunk *c;
    while ((c = s->out)) {
        s->out = c->next;
        for (uint32_t i = 0; i < c->n_tokens; i++) {
            struct cgw_result r = {.size = sizeof r,
                                   .result = CGW_RES_NOT_SENT,
                                   .token = c->tokens[i],
                                   .code_space = "campgw.host",
                                   .raw = "the plugin's process ended before it got the message"};
            settle_results(s->in, &r, 1);
        }
        explicit_bzero(c->data, c->len);
        free(c);
    }
    s->out_end = &s->out;
    s->out_bytes = 0;
    s->watching_write = false;
}

/* ---- operations
 * ------------------------------------------------------------------------------------------------------------------------
 */

static void know_media(struct isolate *s, const struct cgw_message *m)
{
    for (uint32_t i = 0; i < m->n_parts; i++) {
        bool known = !m->parts[i].media;
        for (uint32_t k = 0; k < ISOLATE_MEDIA_KNOWN && !known; k++)
            known = s->media[k] == m->parts[i].media;
        if (!known)
            s->media[s->media_at++ % ISOLATE_MEDIA_KNOWN] = m->parts[i].media;
    }
}

uint32_t isolate_submit(void *ch, const struct cgw_message *msgs, uint32_t n)
{
    struct isolate *s = ch;
    struct buf b;
    uint32_t k = 0;
    if (s->phase != ISO_UP || s->restarting || s->out_bytes > ISOLATE_OUT_MAX || !n ||
        !s->room[msgs[0].lane])
        return 0;
    buf_init(&b, (size_t)FRAME_MAX + FRAME_HEADER);
    size_t at = frame_begin(&b, FRAME_SUBMIT), count_at = b.len;
    frame_u32(&b, 0);
    /* More than it has room for would wait there, where it cannot be recalled as certainly. */
    uint32_t lane = msgs[0].lane, room = s->room[lane] < n ? s->room[lane] : n;
    while (k < room && k < FRAME_MESSAGES_MAX && (!k || b.len < ISOLATE_OUT_MAX)) {
        know_media(s, &msgs[k]);
        item_put_message(&b, &msgs[k++]);
    }
    if (b.failed || !k) {
        buf_done(&b);
        return 0;
    }
    memcpy(b.data + count_at, &k, sizeof k);
    frame_end(&b, at);
    s->sent[lane] += k;
    s->room[lane] -= k;
    isolate_send(s, &b, msgs, k);
    return k;
}

static void send_numbers(struct isolate *s, enum frame_type type, const uint64_t *v, uint32_t n)
{
    struct buf b;
    buf_init(&b, FRAME_ITEMS_MAX * 8 + 64);
    size_t at = frame_begin(&b, type);
    frame_u32(&b, n);
    for (uint32_t i = 0; i < n; i++)
        frame_u64(&b, v[i]);
    frame_end(&b, at);
    isolate_send(s, &b, NULL, 0);
}

#define ACK_BITS 48 /* below: the process's own number, above: which process */

void isolate_stored(void *ch, const uint64_t *acks, uint32_t n)
{
    struct isolate *s = ch;
    uint64_t v[512];
    uint32_t k = 0;
    for (uint32_t i = 0; i < n && s->phase >= ISO_UP; i++) {
        if (acks[i] >> ACK_BITS == s->generation)
            v[k++] = acks[i] & ((1ull << ACK_BITS) - 1);
        if (k == ARRAY_LEN(v)) {
            send_numbers(s, FRAME_STORED, v, k);
            k = 0;
        }
    }
    if (k && s->phase >= ISO_UP)
        send_numbers(s, FRAME_STORED, v, k);
}

void isolate_cancel(void *ch, const uint64_t *tokens, uint32_t n)
{
    struct isolate *s = ch;
    for (uint32_t i = 0; i < n && s->phase == ISO_UP; i += FRAME_ITEMS_MAX)
        send_numbers(s, FRAME_CANCEL, tokens + i,
                     n - i < FRAME_ITEMS_MAX ? n - i : FRAME_ITEMS_MAX);
}

static void send_asks(struct isolate *s, enum frame_type type, const struct cgw_ask *asks,
                      uint32_t n)
{
    struct buf b;
    buf_init(&b, FRAME_MAX);
    size_t at = frame_begin(&b, type);
    frame_u32(&b, n);
    for (uint32_t i = 0; i < n; i++)
        item_put_ask(&b, &asks[i]);
    frame_end(&b, at);
    isolate_send(s, &b, NULL, 0);
}

void isolate_query(void *ch, const struct cgw_ask *asks, uint32_t n)
{
    struct isolate *s = ch;
    if (s->phase == ISO_UP && n)
        send_asks(s, FRAME_QUERY, asks, n < FRAME_MESSAGES_MAX ? n : FRAME_MESSAGES_MAX);
}

/* No more than the process has room for. What it never has an answer to counts as gone when nothing
 * moved for a minute. */
uint32_t isolate_recall(void *ch, const struct cgw_ask *asks, uint32_t n)
{
    struct isolate *s = ch;
    int64_t now = clock_mono_ms();
    if (s->phase != ISO_UP)
        return 0;
    if (now - s->recalled_ms > ISOLATE_RECALLED_MS)
        s->recalls = 0;
    uint32_t room = s->recalls < INSTANCE_RECALLS ? INSTANCE_RECALLS - s->recalls : 0;
    n = n < room ? n : room;
    n = n < FRAME_MESSAGES_MAX ? n : FRAME_MESSAGES_MAX;
    if (!n)
        return 0;
    s->recalls += n;
    s->recalled_ms = now;
    send_asks(s, FRAME_RECALL, asks, n);
    return n;
}

/* The core counts for the instance; each process is a new object that has accepted nothing yet. As
 * long as accepts of an earlier one are not in the figures, a capacity cannot be kept by them. */
void isolate_tally(void *ch, const struct cgw_tally *t)
{
    struct isolate *s = ch;
    struct cgw_tally own = *t;
    if (s->phase != ISO_UP || t->included < s->documents_before)
        return; /* the next one comes within a second */
    own.included -= s->documents_before;
    struct buf b;
    buf_init(&b, 64);
    size_t at = frame_begin(&b, FRAME_TALLY);
    item_put_tally(&b, &own);
    frame_end(&b, at);
    isolate_send(s, &b, NULL, 0);
}

void isolate_http(void *ch, const struct cgw_http_request *req)
{
    static const char down[] = "the channel is not running\n";
    struct isolate *s = ch;
    if (s->phase != ISO_UP) {
        mail_reply(s->in, req->id, 503, "text/plain; charset=utf-8", down, sizeof down - 1);
        return;
    }
    struct buf b;
    buf_init(&b, FRAME_MAX);
    size_t at = frame_begin(&b, FRAME_HTTP);
    item_put_request(&b, req);
    frame_end(&b, at);
    isolate_send(s, &b, NULL, 0);
}
