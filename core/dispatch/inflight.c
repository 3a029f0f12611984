/* SPDX-License-Identifier: Apache-2.0 */
/* inflight.c - see inflight.h. token = generation << 32 | slot + 1. */
#include "dispatch/inflight.h"

#include <pthread.h>
#include <stdlib.h>

struct slot {
    struct outcome_contact contact;
    uint32_t generation;
    uint32_t next; /* free list */
    bool taken;
};
struct inflight {
    pthread_mutex_t lock;
    struct slot *slots; /* owned */
    uint32_t n, free_head, used;
};

struct inflight *inflight_new(uint32_t slots)
{
    struct inflight *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->slots = calloc(slots, sizeof *t->slots);
    if (!t->slots) {
        free(t);
        return NULL;
    }
    t->n = slots;
    for (uint32_t i = 0; i < slots; i++)
        t->slots[i].next = i + 1;
    (void)pthread_mutex_init(&t->lock, NULL);
    return t;
}

void inflight_free(struct inflight *t)
{
    if (!t)
        return;
    (void)pthread_mutex_destroy(&t->lock);
    free(t->slots);
    free(t);
}

bool inflight_add(struct inflight *t, struct outcome_contact *c)
{
    bool ok = false;
    (void)pthread_mutex_lock(&t->lock);
    if (t->free_head < t->n) {
        uint32_t i = t->free_head;
        struct slot *s = &t->slots[i];
        t->free_head = s->next;
        t->used++;
        s->taken = true;
        c->token = (uint64_t)++s->generation << 32 | (i + 1u);
        s->contact = *c;
        ok = true;
    }
    (void)pthread_mutex_unlock(&t->lock);
    return ok;
}

static struct slot *find(struct inflight *t, uint64_t token)
{
    uint32_t i = (uint32_t)token - 1u;
    if (i >= t->n || !t->slots[i].taken || t->slots[i].generation != (uint32_t)(token >> 32))
        return NULL;
    return &t->slots[i];
}

bool inflight_get(struct inflight *t, uint64_t token, struct outcome_contact *ret)
{
    (void)pthread_mutex_lock(&t->lock);
    struct slot *s = find(t, token);
    if (s)
        *ret = s->contact;
    (void)pthread_mutex_unlock(&t->lock);
    return s != NULL;
}

void inflight_release(struct inflight *t, uint64_t token)
{
    (void)pthread_mutex_lock(&t->lock);
    struct slot *s = find(t, token);
    if (s) {
        s->taken = false;
        s->next = t->free_head;
        t->free_head = (uint32_t)(s - t->slots);
        t->used--;
    }
    (void)pthread_mutex_unlock(&t->lock);
}

uint32_t inflight_used(struct inflight *t)
{
    (void)pthread_mutex_lock(&t->lock);
    uint32_t n = t->used;
    (void)pthread_mutex_unlock(&t->lock);
    return n;
}

uint32_t inflight_room(struct inflight *t)
{
    return t->n - inflight_used(t);
}
