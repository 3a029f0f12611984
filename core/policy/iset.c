/* SPDX-License-Identifier: Apache-2.0 */
/* iset.c - see iset.h: linear merges over sorted arrays.
 * Must not know what an interval means. */
#include "policy/iset.h"

#include <stdlib.h>

void iset_done(struct iset *s)
{
    free(s->v);
    *s = (struct iset){0};
}

void iset_clear(struct iset *s)
{
    s->n = 0;
    s->unsorted = false;
}

static bool iset_grow(struct iset *s)
{
    if (s->n < s->cap)
        return true;
    size_t cap = s->cap ? s->cap * 2 : 64;
    struct interval *v = realloc(s->v, cap * sizeof *v);
    if (!v) {
        s->failed = true;
        return false;
    }
    s->v = v;
    s->cap = cap;
    return true;
}

void iset_add(struct iset *s, int64_t from_ms, int64_t to_ms)
{
    if (from_ms >= to_ms)
        return;
    if (s->n > 0 && !s->unsorted) {
        struct interval *last = &s->v[s->n - 1];
        if (from_ms < last->from_ms) {
            s->unsorted = true;
        } else if (from_ms <= last->to_ms) {
            last->to_ms = to_ms > last->to_ms ? to_ms : last->to_ms;
            return;
        }
    }
    if (iset_grow(s))
        s->v[s->n++] = (struct interval){from_ms, to_ms};
}

static int interval_cmp(const void *pa, const void *pb)
{
    const struct interval *a = pa, *b = pb;
    return (a->from_ms > b->from_ms) - (a->from_ms < b->from_ms);
}

void iset_normalize(struct iset *s)
{
    if (!s->unsorted)
        return;
    qsort(s->v, s->n, sizeof *s->v, interval_cmp);
    size_t n = s->n;
    s->n = 0;
    s->unsorted = false;
    for (size_t i = 0; i < n; i++)
        iset_add(s, s->v[i].from_ms, s->v[i].to_ms); /* writes at or before the place it reads */
}

void iset_union(struct iset *dst, const struct iset *a, const struct iset *b)
{
    size_t i = 0, j = 0;
    iset_clear(dst);
    while (i < a->n || j < b->n) {
        bool take_a = j == b->n || (i < a->n && a->v[i].from_ms <= b->v[j].from_ms);
        const struct interval *x = take_a ? &a->v[i++] : &b->v[j++];
        iset_add(dst, x->from_ms, x->to_ms);
    }
    dst->failed = dst->failed || a->failed || b->failed;
}

void iset_subtract(struct iset *dst, const struct iset *a, const struct iset *b)
{
    size_t j = 0;
    iset_clear(dst);
    for (size_t i = 0; i < a->n; i++) {
        int64_t at_ms = a->v[i].from_ms, end_ms = a->v[i].to_ms;
        while (j < b->n && b->v[j].to_ms <= at_ms)
            j++;
        for (size_t k = j; k < b->n && b->v[k].from_ms < end_ms; k++) {
            iset_add(dst, at_ms, b->v[k].from_ms);
            at_ms = b->v[k].to_ms;
        }
        iset_add(dst, at_ms, end_ms);
    }
    dst->failed = dst->failed || a->failed || b->failed;
}

void iset_clip(struct iset *s, int64_t from_ms, int64_t to_ms)
{
    size_t n = s->n;
    iset_clear(s);
    for (size_t i = 0; i < n; i++) {
        struct interval x = s->v[i];
        iset_add(s, x.from_ms > from_ms ? x.from_ms : from_ms, x.to_ms < to_ms ? x.to_ms : to_ms);
    }
}

void iset_swap(struct iset *a, struct iset *b)
{
    struct iset t = *a;
    *a = *b;
    *b = t;
}
