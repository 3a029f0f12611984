/* SPDX-License-Identifier: Apache-2.0 */
/* buf.h - a growing byte buffer with a ceiling, and an arena. Appends after a failure are ignored;
 * ask `failed` once at the end. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/cleanup.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
    char *data; /* owned */
    size_t len, cap, max;
    bool failed; /* max passed or out of memory */
};

void buf_init(struct buf *b, size_t max);
void buf_done(struct buf *b);
void buf_reset(struct buf *b); /* keeps the memory */
bool buf_reserve(struct buf *b, size_t more);
void buf_put(struct buf *b, const void *data, size_t len);
void buf_puts(struct buf *b, const char *s);
void buf_putc(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) CGW_PRINTF(2, 3);
/* JSON string with quotes and escapes; what is not UTF-8 in it becomes U+FFFD. */
void buf_put_json(struct buf *b, const char *s, size_t len);
const char *buf_str(struct buf *b); /* NUL-terminated view; "" when empty or failed */

/* Arena: many small allocations freed together (one decided chunk, one request). */
struct arena {
    struct arena_block *head; /* owned */
    size_t used, max;
};
void arena_init(struct arena *a, size_t max);
void arena_done(struct arena *a);
void *arena_alloc(struct arena *a, size_t n) CGW_NODISCARD; /* aligned to 16; NULL beyond max */
char *arena_dup(struct arena *a, const char *s, size_t len) CGW_NODISCARD; /* adds a NUL */

#endif
