/* SPDX-License-Identifier: Apache-2.0 */
/* tokens.c - see tokens.h. */
#include "plugin/tokens.h"

#include "cgw/types.h"
#include <errno.h>

/* splitmix64 finaliser: tokens are slot and generation, so their low bits alone would cluster. */
static uint64_t mix(uint64_t x)
{
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9u;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static uint32_t home(const struct tokens *t, uint64_t token)
{
    return (uint32_t)mix(token) & (t->cap - 1);
}

int tokens_init(struct tokens *t, uint32_t max)
{
    *t = (struct tokens){.max = max, .cap = 256};
    t->slots = calloc(t->cap, sizeof *t->slots);
    return t->slots ? 0 : -ENOMEM;
}

void tokens_done(struct tokens *t)
{
    free(t->slots);
    t->slots = NULL;
}

static struct token_slot *probe(struct tokens *t, uint64_t token)
{
    uint32_t i = home(t, token);
    while (t->slots[i].state != TOKEN_ABSENT && t->slots[i].token != token)
        i = (i + 1) & (t->cap - 1);
    return &t->slots[i];
}

static int grow(struct tokens *t)
{
    struct token_slot *old = t->slots;
    uint32_t old_cap = t->cap;
    struct token_slot *slots = calloc((size_t)old_cap * 2, sizeof *slots);
    if (!slots)
        return -ENOMEM;
    t->slots = slots;
    t->cap = old_cap * 2;
    for (uint32_t i = 0; i < old_cap; i++)
        if (old[i].state != TOKEN_ABSENT)
            *probe(t, old[i].token) = old[i];
    free(old);
    return 0;
}

int tokens_add(struct tokens *t, uint64_t token, uint32_t lane)
{
    struct token_slot *s = probe(t, token);
    if (s->state != TOKEN_ABSENT)
        return CGW_EEXISTS;
    if (t->n == t->max)
        return CGW_ELIMIT;
    if (t->n >= t->cap / 2) {
        int rc = grow(t);
        if (rc)
            return rc;
        s = probe(t, token);
    }
    *s = (struct token_slot){.token = token, .state = TOKEN_WAITING, .lane = lane};
    t->n++;
    return 0;
}

struct token_slot *tokens_find(struct tokens *t, uint64_t token)
{
    struct token_slot *s = probe(t, token);
    return s->state == TOKEN_ABSENT ? NULL : s;
}

/* Deletes by moving later members of the same run back (Knuth 6.4, algorithm R): no tombstones. */
static void close_gap(struct tokens *t, uint32_t gap)
{
    uint32_t mask = t->cap - 1;
    for (uint32_t i = (gap + 1) & mask; t->slots[i].state != TOKEN_ABSENT; i = (i + 1) & mask) {
        uint32_t h = home(t, t->slots[i].token);
        if (((i - h) & mask) < ((i - gap) & mask))
            continue;
        t->slots[gap] = t->slots[i];
        gap = i;
    }
    t->slots[gap] = (struct token_slot){0};
}

bool tokens_finish(struct tokens *t, uint64_t token)
{
    struct token_slot *s = probe(t, token);
    if (s->state == TOKEN_ABSENT)
        return false;
    close_gap(t, (uint32_t)(s - t->slots));
    t->n--;
    t->recent[mix(token) & (TOKENS_RECENT - 1)] = token;
    return true;
}

bool tokens_was_finished(const struct tokens *t, uint64_t token)
{
    return t->recent[mix(token) & (TOKENS_RECENT - 1)] == token;
}

struct token_slot *tokens_next(struct tokens *t, enum token_state state, uint32_t *cursor)
{
    for (; *cursor < t->cap; (*cursor)++)
        if (t->slots[*cursor].state == (uint32_t)state)
            return &t->slots[*cursor];
    return NULL;
}
