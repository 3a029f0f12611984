/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_assembly.c - messages in parts: who belongs together, what is complete, how many copies.
 * A copy counts when every part has one: copies = the smallest count over the parts, so that a part
 * sent again is no second message. A finished message stays known. An accepted part of it that
 * comes again begins a message of its own: an "echo" as long as it only repeats parts of the
 * former, a second copy when it repeats all, another message when a part differs (references wrap).
 * Source: 3GPP TS 23.040, 9.2.3.24.1; SMPP v3.4 5.3.2.22. Bound: SIM_ASSEMBLY_MAX messages.
 */
#include <stdlib.h>
#include <string.h>

#include "sim_count_int.h"

static uint32_t bucket_of(uint32_t account, const struct sim_sm *sm)
{
    uint64_t h = SIM_HASH_START;
    uint32_t id[2] = {account, (uint32_t)sm->concat.kind << 24 | (uint32_t)sm->concat.ref << 8 |
                                   sm->concat.total};

    h = sim_hash(h, id, sizeof(id));
    h = sim_hash(h, sm->src.text, strlen(sm->src.text) + 1);
    h = sim_hash(h, sm->dst.text, strlen(sm->dst.text));
    return (uint32_t)sim_mix(h) & (SIM_BUCKETS - 1);
}

static bool same_message(const struct sim_assembly *a, uint32_t account, const struct sim_sm *sm)
{
    return a->account == account && a->concat.kind == sm->concat.kind &&
           a->concat.ref == sm->concat.ref && a->concat.total == sm->concat.total &&
           !strcmp(a->dst, sm->dst.text) && !strcmp(a->src, sm->src.text);
}

static void age_remove(struct sim_age *s, struct sim_assembly *a)
{
    *(a->older ? &a->older->newer : &s->oldest) = a->newer;
    *(a->newer ? &a->newer->older : &s->newest) = a->older;
    a->older = a->newer = NULL;
}

static void age_append(struct sim_age *s, struct sim_assembly *a)
{
    a->older = s->newest;
    *(s->newest ? &s->newest->newer : &s->oldest) = a;
    s->newest = a;
}

static void assembly_free(struct sim_assembly *a)
{
    for (uint32_t i = 0; i < a->concat.total; i++)
        free(a->part[i].text);
    free(a);
}

static uint32_t bucket_of_assembly(const struct sim_assembly *a)
{
    struct sim_sm sm;

    memset(&sm, 0, sizeof(sm));
    sm.concat = a->concat;
    memcpy(sm.src.text, a->src, sizeof(a->src));
    memcpy(sm.dst.text, a->dst, sizeof(a->dst));
    return bucket_of(a->account, &sm);
}

/* Gathers what is known of the text: all parts when complete, else those that were seen. */
static uint64_t whole_value(const struct sim_assembly *a, bool *ret_marker)
{
    struct sim_buf text = {0};
    uint64_t value;

    for (uint32_t i = 0; i < a->concat.total; i++)
        if (a->part[i].seen)
            sim_buf_put(&text, a->part[i].text, a->part[i].len);
    *ret_marker = sim_count_key(text.data, text.len, a->two_octets, &value);
    sim_buf_done(&text);
    return value;
}

bool sim_assembly_incomplete(const struct sim_assembly *a)
{
    bool taken = false, missing = false;

    for (uint32_t i = 0; i < a->concat.total; i++) {
        taken |= a->part[i].taken > 0;
        missing |= !a->part[i].taken;
    }
    return taken && missing && !a->echo;
}

void sim_assembly_as_key(const struct sim_assembly *a, struct sim_key *ret)
{
    bool marker;

    memset(ret, 0, sizeof(*ret));
    ret->value = whole_value(a, &marker);
    ret->flags = (uint8_t)(SIM_K_PARTIAL | (marker ? SIM_K_MARKER : 0));
    ret->refused = a->refused;
    ret->parts = a->concat.total;
    ret->seen = (uint16_t)a->seen;
    ret->first_ms = a->first_ms;
    ret->last_ms = a->last_ms;
    memcpy(ret->dest, a->dst, sizeof(ret->dest));
}

/* A message that will never be complete keeps its line in the dump. */
static void archive(struct sim_count *c, const struct sim_assembly *a)
{
    struct sim_key k, *kept;
    uint32_t n;

    if (a->key != SIM_NO_KEY || a->echo)
        return;
    sim_assembly_as_key(a, &k);
    n = sim_key_find(c, a->dst, k.flags, k.value, k.parts, a->first_ms);
    if (n == SIM_NO_KEY)
        return;
    kept = sim_key_at(c, n);
    kept->refused += k.refused;
    kept->seen = k.seen;
    kept->last_ms = k.last_ms;
    for (uint32_t i = 0; i < a->concat.total; i++)
        if (a->part[i].ok || a->part[i].ambiguous)
            kept->flags |= SIM_K_TOUCHED;
}

static void free_when_idle(struct sim_count *c, struct sim_assembly *a)
{
    if (a->linked || a->refs)
        return;
    age_remove(&c->parts.detached, a);
    archive(c, a);
    assembly_free(a);
}

static void unlink_assembly(struct sim_count *c, struct sim_assembly *a)
{
    struct sim_assembly **p = &c->parts.bucket[bucket_of_assembly(a)];

    while (*p != a)
        p = &(*p)->chain;
    *p = a->chain;
    age_remove(&c->parts.live, a);
    age_append(&c->parts.detached, a);
    c->parts.n--;
    c->parts.incomplete += sim_assembly_incomplete(a);
    a->linked = false;
    free_when_idle(c, a);
}

static struct sim_assembly *find(struct sim_count *c, uint32_t account, const struct sim_sm *sm)
{
    struct sim_assembly *a = c->parts.bucket[bucket_of(account, sm)];

    while (a && !same_message(a, account, sm))
        a = a->chain;
    return a;
}

static struct sim_assembly *start(struct sim_count *c, uint32_t account, const struct sim_sm *sm,
                                  int64_t epoch_ms)
{
    struct sim_assembly **head = &c->parts.bucket[bucket_of(account, sm)];
    struct sim_assembly *a =
        sim_alloc(sizeof(*a) + (size_t)sm->concat.total * sizeof(struct sim_part));

    if (c->parts.n >= SIM_ASSEMBLY_MAX)
        unlink_assembly(c, c->parts.live.oldest);
    a->account = account;
    a->key = SIM_NO_KEY;
    a->concat = sm->concat;
    a->two_octets = (sm->data_coding & 0x0C) == 0x08;
    memcpy(a->src, sm->src.text, sizeof(a->src));
    memcpy(a->dst, sm->dst.text, sizeof(a->dst));
    a->first_ms = epoch_ms;
    a->linked = true;
    a->chain = *head;
    *head = a;
    age_append(&c->parts.live, a);
    c->parts.n++;
    return a;
}

/* Tells the key what changed since it was last told. */
static void recount(struct sim_count *c, struct sim_assembly *a)
{
    struct sim_copies now = {UINT16_MAX, a->refused, UINT16_MAX, UINT16_MAX};
    struct sim_key *k;
    bool touched = false;

    if (a->key == SIM_NO_KEY)
        return;
    for (uint32_t i = 0; i < a->concat.total; i++) {
        const struct sim_part *p = &a->part[i];
        uint32_t either = (uint32_t)p->ok + p->ambiguous;

        now.accepted = p->ok < now.accepted ? p->ok : now.accepted;
        now.ambiguous = either < now.ambiguous ? either : now.ambiguous;
        now.taken = p->taken < now.taken ? p->taken : now.taken;
        touched |= either > 0;
    }
    now.ambiguous -= now.accepted;
    k = sim_key_at(c, a->key);
    k->accepted += now.accepted - a->counted.accepted;
    k->refused += now.refused - a->counted.refused;
    k->ambiguous += now.ambiguous - a->counted.ambiguous;
    k->taken += now.taken - a->counted.taken;
    k->last_ms = a->last_ms;
    if (touched)
        k->flags |= SIM_K_TOUCHED;
    a->counted = now;
}

static void name_when_complete(struct sim_count *c, struct sim_assembly *a)
{
    bool marker;
    uint64_t value;

    if (a->seen < a->concat.total || a->key != SIM_NO_KEY)
        return;
    value = whole_value(a, &marker);
    a->key =
        sim_key_find(c, a->dst, marker ? SIM_K_MARKER : 0, value, a->concat.total, a->first_ms);
    if (a->key == SIM_NO_KEY)
        return;
    for (uint32_t i = 0; i < a->concat.total; i++) {
        free(a->part[i].text);
        a->part[i].text = NULL;
    }
    recount(c, a);
}

static void see_part(struct sim_assembly *a, struct sim_part *p, const struct sim_sm *sm,
                     uint64_t hash)
{
    if (p->seen)
        return;
    p->seen = true;
    p->hash = hash;
    if (p->was != hash)
        a->echo = false;
    p->len = (uint16_t)sm->text_len;
    p->text = sim_alloc(sm->text_len);
    memcpy(p->text, sm->text, sm->text_len);
    a->seen++;
}

/* Every part has been accepted or may have been. */
static bool is_finished(const struct sim_assembly *a)
{
    for (uint32_t i = 0; i < a->concat.total; i++)
        if (!a->part[i].ok && !a->part[i].ambiguous)
            return false;
    return true;
}

/* The message that this part belongs to: the one known, or a new one in its place. */
static struct sim_assembly *message_of(struct sim_count *c, uint32_t account,
                                       const struct sim_sm *sm, uint64_t hash, int64_t epoch_ms,
                                       struct sim_noticed *noticed)
{
    struct sim_assembly *old = find(c, account, sm), *a;
    const struct sim_part *p = old ? &old->part[sm->concat.part - 1] : NULL;
    bool finished = old && is_finished(old);

    if (!old)
        return start(c, account, sm, epoch_ms);
    if (p->seen && p->hash != hash) {
        noticed->ref_reused = old->seen < old->concat.total && !old->echo;
        unlink_assembly(c, old);
        return start(c, account, sm, epoch_ms);
    }
    if (!finished || !p->ok)
        return old;
    old->refs++; /* keeps it alive while its hashes are copied */
    unlink_assembly(c, old);
    a = start(c, account, sm, epoch_ms);
    for (uint32_t i = 0; i < a->concat.total; i++)
        a->part[i].was = old->part[i].hash;
    a->echo = true;
    old->refs--;
    free_when_idle(c, old);
    return a;
}

struct sim_ref sim_assembly_submit(struct sim_count *c, uint32_t account, uint64_t session,
                                   const struct sim_sm *sm, int64_t epoch_ms,
                                   struct sim_noticed *noticed)
{
    uint8_t n = (uint8_t)(sm->concat.part - 1);
    uint64_t hash = sim_hash(SIM_HASH_START, sm->text, sm->text_len);
    struct sim_assembly *a = message_of(c, account, sm, hash, epoch_ms, noticed);

    if (!a->part[n].taken && a->taken_session && a->taken_session != session)
        noticed->other_session = a->taken_session;
    a->last_ms = epoch_ms;
    age_remove(&c->parts.live, a);
    age_append(&c->parts.live, a);
    see_part(a, &a->part[n], sm, hash);
    name_when_complete(c, a);
    a->refs++;
    return (struct sim_ref){c->epoch, a->key, a, n};
}

static uint32_t smallest_taken(const struct sim_assembly *a)
{
    uint32_t least = UINT16_MAX;

    for (uint32_t i = 0; i < a->concat.total; i++)
        least = a->part[i].taken < least ? a->part[i].taken : least;
    return least;
}

static void bump(uint16_t *n)
{
    if (*n < UINT16_MAX)
        ++*n;
}

bool sim_assembly_take(struct sim_count *c, struct sim_ref ref, uint64_t session)
{
    struct sim_assembly *a = ref.assembly;
    uint32_t was = smallest_taken(a);

    bump(&a->part[ref.part].taken);
    a->taken_session = session;
    recount(c, a);
    return smallest_taken(a) > was;
}

void sim_assembly_settle(struct sim_count *c, struct sim_ref ref, enum sim_verdict verdict)
{
    struct sim_assembly *a = ref.assembly;

    if (verdict == SIM_ACCEPTED_OK)
        bump(&a->part[ref.part].ok);
    else if (verdict == SIM_AMBIGUOUS)
        bump(&a->part[ref.part].ambiguous);
    else
        a->refused++;
    recount(c, a);
    a->refs--;
    free_when_idle(c, a);
}

static void drop_all(struct sim_age *age)
{
    struct sim_assembly *a = age->oldest;

    while (a) {
        struct sim_assembly *next = a->newer;

        assembly_free(a);
        a = next;
    }
    age->oldest = age->newest = NULL;
}

void sim_assembly_reset(struct sim_count *c)
{
    drop_all(&c->parts.live);
    drop_all(&c->parts.detached);
    memset(c->parts.bucket, 0, SIM_BUCKETS * sizeof(*c->parts.bucket));
    c->parts.n = 0;
    c->parts.incomplete = 0;
}
