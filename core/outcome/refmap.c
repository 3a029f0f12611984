/* SPDX-License-Identifier: Apache-2.0 */
/* refmap.c - see refmap.h. Buckets of four slots, no chains, nothing to grow. */
#include "outcome/refmap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WAYS 4u

int refmap_init(struct refmap *m)
{
    m->slot = calloc(REFMAP_SLOTS, sizeof *m->slot);
    return m->slot ? 0 : -ENOMEM;
}

void refmap_done(struct refmap *m)
{
    free(m->slot);
    m->slot = NULL;
}

static struct refmap_slot *bucket(const struct refmap *m, int64_t refh)
{
    return &m->slot[(uint64_t)refh % (REFMAP_SLOTS / WAYS) * WAYS];
}

void refmap_put(struct refmap *m, const struct ref_match *match, uint32_t era)
{
    struct refmap_slot *b = bucket(m, match->refh), *at = b;
    size_t len = strlen(match->ref);
    if (!match->refh || len >= REFMAP_REF_MAX)
        return;
    for (unsigned i = 1; i < WAYS && at->refh; i++) /* a free one, else the oldest */
        if (!b[i].refh || b[i].ts_ms < at->ts_ms)
            at = &b[i];
    *at = (struct refmap_slot){.refh = match->refh,
                               .contact_id = match->contact_id,
                               .address_key = match->address_key,
                               .ts_ms = match->ts_ms,
                               .route_id = match->route_id,
                               .era = era,
                               .part = (uint8_t)match->part};
    memcpy(at->ref, match->ref, len);
}

/* A peer may have used the id again: then the database tells. */
static struct refmap_slot *only(const struct refmap *m, int64_t refh, const char *ref)
{
    struct refmap_slot *b = bucket(m, refh), *hit = NULL;
    for (unsigned i = 0; i < WAYS; i++) {
        if (b[i].refh != refh || strcmp(b[i].ref, ref) != 0)
            continue;
        if (hit)
            return NULL;
        hit = &b[i];
    }
    return hit;
}

bool refmap_find(const struct refmap *m, int64_t refh, const char *ref, struct ref_match *ret)
{
    const struct refmap_slot *hit = only(m, refh, ref);
    if (hit)
        *ret = (struct ref_match){.part = hit->part, .contact_id = hit->contact_id};
    return hit;
}

void refmap_forget(struct refmap *m, int64_t refh, const char *ref)
{
    struct refmap_slot *b = bucket(m, refh);
    for (unsigned i = 0; i < WAYS; i++)
        if (b[i].refh == refh && !strcmp(b[i].ref, ref))
            b[i].refh = 0;
}

bool refmap_take(struct refmap *m, int64_t refh, const char *ref, struct ref_match *ret,
                 uint32_t *ret_era)
{
    struct refmap_slot *hit = only(m, refh, ref);
    if (!hit) { /* of two, one would seem to have no receipt when the other is gone */
        refmap_forget(m, refh, ref);
        return false;
    }
    *ret = (struct ref_match){.refh = refh,
                              .address_key = hit->address_key,
                              .ts_ms = hit->ts_ms,
                              .part = hit->part,
                              .route_id = hit->route_id,
                              .contact_id = hit->contact_id,
                              .attempt = 1,
                              .n_segs = 1,
                              .receipt = true};
    memcpy(ret->ref, hit->ref, sizeof hit->ref);
    *ret_era = hit->era;
    hit->refh = 0;
    return true;
}
