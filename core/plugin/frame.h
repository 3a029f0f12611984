/* SPDX-License-Identifier: Apache-2.0 */
/* frame.h - what travels between the gateway and the process of an isolated plugin: frames of
 * {length, type, payload}, in the byte order of the machine, since both ends run on it. Writes them
 * into a buffer, cuts them out of a stream and reads members out of them. Every length is checked
 * here, on both sides: the other end may be hostile. Knows no descriptor of a plugin and no
 * instance; what stands in which frame: frame_items.h. */
#ifndef PLUGIN_FRAME_H
#define PLUGIN_FRAME_H

#include "base/buf.h"
#include "cgw/types.h"

#define FRAME_HEADER 8u
/* The largest thing that travels: a message or an inbound of CGW_PARTS_MAX parts, and its texts. */
#define FRAME_MAX (CGW_PARTS_MAX * CGW_BODY_MAX + 1048576u)
#define FRAME_READ 262144u     /* bytes asked of the kernel at once */
#define FRAME_ITEMS_MAX 4096u  /* items of one frame: acks, tokens */
#define FRAME_MESSAGES_MAX 64u /* messages of one frame, at most */
#define FRAME_RESULTS_MAX 64u  /* results or receipts of one frame */
#define FRAME_MEDIA_MAX 65536u /* bytes of one media answer */

enum frame_type {
    FRAME_NONE,
    /* gateway -> plugin's process */
    FRAME_CONFIG,
    FRAME_START,
    FRAME_SUBMIT,
    FRAME_STORED,
    FRAME_CANCEL,
    FRAME_QUERY,
    FRAME_HTTP,
    FRAME_PING,
    FRAME_DRAIN,
    FRAME_STOP,
    FRAME_TAKEN, /* receipts and inbound went on: so many may follow */
    FRAME_CHECK, /* on its own socket, as its answer is */
    FRAME_MEDIA_ANSWER,
    /* plugin's process -> gateway */
    FRAME_DESCRIBED,
    FRAME_REFUSED,
    FRAME_CREATED,
    FRAME_STARTED,
    FRAME_CREDIT,
    FRAME_COMPLETE,
    FRAME_RECEIPT,
    FRAME_INBOUND,
    FRAME_REPLY,
    FRAME_COUNT,
    FRAME_LOG,
    FRAME_PONG,
    FRAME_DRAINED,
    FRAME_CHECKED,
    FRAME_MEDIA, /* on its own socket: size or bytes of a media handle */
    /* gateway -> plugin's process */
    FRAME_TALLY,
    FRAME_RECALL,
    FRAME_TYPES
};

/* ---- writing: one frame after another into a buffer */
size_t frame_begin(struct buf *b, enum frame_type type); /* \return where it begins */
void frame_end(struct buf *b, size_t at);                /* fills in its length */
void frame_u32(struct buf *b, uint32_t v);
void frame_u64(struct buf *b, uint64_t v);
void frame_i64(struct buf *b, int64_t v);
void frame_text(struct buf *b, const char *s); /* with its NUL; NULL stays NULL */
void frame_bytes(struct buf *b, const char *s, uint32_t len);
void frame_cut(struct buf *b, const char *s, uint32_t max); /* a text, at most max bytes of it */

/* ---- reading: a cursor that never leaves its frame. After the first member that does not fit,
 * `bad` is set and everything reads as 0, NULL or "". */
struct frame {
    uint32_t type;
    const char *at, *end;
    bool bad;
};
uint32_t frame_get_u32(struct frame *f);
uint64_t frame_get_u64(struct frame *f);
int64_t frame_get_i64(struct frame *f);
/* A number that must not be above max. */
uint32_t frame_get_count(struct frame *f, uint32_t max);
/* In place, NUL-terminated, without a NUL in it; at most max bytes without its NUL. NULL when NULL
 * was written. */
const char *frame_get_text(struct frame *f, uint32_t max);
const char *frame_get_word(struct frame *f, uint32_t max); /* same, but NULL reads as "" */
/* In place, a NUL stands behind them; NULL when NULL was written. */
const char *frame_get_bytes(struct frame *f, uint32_t max, uint32_t *ret_len);
/* All was read and nothing is left over. */
bool frame_done(const struct frame *f);

/* ---- a stream of frames */
struct frame_reader {
    char *data; /* owned */
    size_t at, len, cap;
};
void frame_reader_done(struct frame_reader *r);
/* Reads once what the descriptor has. \return bytes, 0 at the end of the stream, -EAGAIN, -errno. A
 * length that was announced costs nothing: room grows with what has come. */
int64_t frame_fill(struct frame_reader *r, int fd);
/* Same from memory, for tests. */
bool frame_feed(struct frame_reader *r, const void *data, size_t len);
/* Cuts the next frame out. \return 1, 0 = more must come, CGW_ELIMIT = longer than its type may be,
 * CGW_EINVAL = no type that travels from that side. The frame is good until the next fill. */
int frame_next(struct frame_reader *r, bool from_plugin, struct frame *ret);

#endif
