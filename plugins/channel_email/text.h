/* SPDX-License-Identifier: Apache-2.0 */
/* text.h - a growing text with a limit. What does not fit any more marks it as failed, once and for
 * all, so that writers need no check in between. */
#ifndef EMAIL_TEXT_H
#define EMAIL_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct text {
    char *v; /* owned */
    size_t n, cap, max;
    bool failed;
};

static inline char *text_room(struct text *t, size_t n)
{
    if (t->failed || n > t->max || t->n > t->max - n) {
        t->failed = true;
        return NULL;
    }
    if (t->n + n > t->cap) {
        size_t cap = t->cap ? t->cap * 2 : 4096;
        while (cap < t->n + n)
            cap *= 2;
        char *v = realloc(t->v, cap);
        if (!v) {
            t->failed = true;
            return NULL;
        }
        t->v = v;
        t->cap = cap;
    }
    return t->v + t->n;
}

static inline void text_put(struct text *t, const char *s, size_t n)
{
    char *at = text_room(t, n);
    if (at && n) {
        memcpy(at, s, n);
        t->n += n;
    }
}

static inline void text_puts(struct text *t, const char *s)
{
    text_put(t, s, strlen(s));
}

static inline void text_done(struct text *t)
{
    free(t->v);
    *t = (struct text){.max = t->max};
}

#endif
