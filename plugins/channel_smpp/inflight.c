/* SPDX-License-Identifier: Apache-2.0 */
/* inflight.c - window table indexed by the low bits of the sequence number; answers may come in any
 * order. A number whose place is still taken is skipped, so a number is never used twice while it
 * is outstanding. */
#include "inflight.h"
#include "proto.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NONE UINT32_MAX

int smpp_inflight_init(struct smpp_inflight *f, uint32_t window)
{
    memset(f, 0, sizeof *f);
    f->oldest = f->newest = NONE;
    if (window == 0 || window > SMPP_WINDOW_MAX)
        return -EINVAL;
    uint32_t size = 64;
    while (size < 2 * (window + SMPP_CONTROL_MAX))
        size *= 2;
    f->slots = calloc(size, sizeof *f->slots);
    if (!f->slots)
        return -ENOMEM;
    f->mask = size - 1;
    f->window = window;
    return 0;
}

void smpp_inflight_done(struct smpp_inflight *f)
{
    free(f->slots);
    f->slots = NULL;
}

void smpp_inflight_clear(struct smpp_inflight *f)
{
    memset(f->slots, 0, ((size_t)f->mask + 1) * sizeof *f->slots);
    f->parts = f->control = 0;
    f->oldest = f->newest = NONE;
}

/* The table is at least twice as large as all entries together: a free place is near. */
static uint32_t next_seq(struct smpp_inflight *f)
{
    do
        f->last_seq = smpp_seq_next(f->last_seq);
    while (f->slots[f->last_seq & f->mask].kind != SMPP_SLOT_FREE);
    return f->last_seq;
}

static bool is_timed(enum smpp_slot_kind kind)
{
    return kind == SMPP_SLOT_PART || kind == SMPP_SLOT_QUERY || kind == SMPP_SLOT_RECALL;
}

static void list_append(struct smpp_inflight *f, uint32_t at)
{
    f->slots[at].older = f->newest;
    f->slots[at].newer = NONE;
    if (f->newest == NONE)
        f->oldest = at;
    else
        f->slots[f->newest].newer = at;
    f->newest = at;
}

static void list_remove(struct smpp_inflight *f, const struct smpp_slot *s)
{
    if (s->older == NONE)
        f->oldest = s->newer;
    else
        f->slots[s->older].newer = s->newer;
    if (s->newer == NONE)
        f->newest = s->older;
    else
        f->slots[s->newer].older = s->older;
}

uint32_t smpp_inflight_add(struct smpp_inflight *f, enum smpp_slot_kind kind, void *owner,
                           uint32_t part, int64_t now_ms)
{
    if (kind == SMPP_SLOT_PART ? f->parts >= f->window : f->control >= SMPP_CONTROL_MAX)
        return 0;
    uint32_t seq = next_seq(f), at = seq & f->mask;
    f->slots[at] = (struct smpp_slot){
        .seq = seq, .kind = kind, .part = part, .written_ms = now_ms, .owner = owner};
    if (kind == SMPP_SLOT_PART)
        f->parts++;
    else
        f->control++;
    if (is_timed(kind))
        list_append(f, at);
    return seq;
}

const struct smpp_slot *smpp_inflight_find(const struct smpp_inflight *f, uint32_t seq)
{
    const struct smpp_slot *s = &f->slots[seq & f->mask];
    return s->kind != SMPP_SLOT_FREE && s->seq == seq ? s : NULL;
}

bool smpp_inflight_take(struct smpp_inflight *f, uint32_t seq, struct smpp_slot *ret_slot)
{
    struct smpp_slot *s = &f->slots[seq & f->mask];
    if (s->kind == SMPP_SLOT_FREE || s->seq != seq)
        return false;
    if (is_timed(s->kind))
        list_remove(f, s);
    if (s->kind == SMPP_SLOT_PART)
        f->parts--;
    else
        f->control--;
    *ret_slot = *s;
    s->kind = SMPP_SLOT_FREE;
    return true;
}

const struct smpp_slot *smpp_inflight_oldest(const struct smpp_inflight *f)
{
    return f->oldest == NONE ? NULL : &f->slots[f->oldest];
}
