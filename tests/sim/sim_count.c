/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_count.c - keys: one record for each message the simulator has seen, and the reports on them.
 * Must not know SMPP sessions or faults. Bound: SIM_KEYS_MAX records.
 */
#include "sim_count.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sim_count_int.h"

struct sim_count *sim_count_new(void)
{
    struct sim_count *c = sim_alloc(sizeof(*c));

    c->epoch = 1;
    c->parts.bucket = sim_alloc(SIM_BUCKETS * sizeof(*c->parts.bucket));
    return c;
}

void sim_count_reset(struct sim_count *c)
{
    sim_assembly_reset(c);
    for (uint32_t i = 0; i < SIM_KEYS_MAX / SIM_CHUNK; i++) {
        free(c->chunk[i]);
        c->chunk[i] = NULL;
    }
    free(c->index);
    c->index = NULL;
    c->index_cap = 0;
    c->n_keys = 0;
    c->overflow = 0;
    c->epoch++;
}

struct sim_count *sim_count_free(struct sim_count *c)
{
    if (!c)
        return NULL;
    sim_count_reset(c);
    free(c->parts.bucket);
    free(c);
    return NULL;
}

bool sim_count_key(const uint8_t *text, size_t len, bool two, uint64_t *ret_value)
{
    size_t unit = two ? 2 : 1;
    size_t low = unit - 1; /* the octet that holds an ASCII character */

    for (size_t i = 0; i + 2 * unit <= len; i += unit) {
        uint64_t v = 0;
        int digits = 0;

        if (text[i + low] != '#' || (two && text[i]))
            continue;
        for (size_t j = i + unit; j + unit <= len && digits < 18; j += unit, digits++) {
            uint8_t ch = text[j + low];

            if (ch < '0' || ch > '9' || (two && text[j]))
                break;
            v = v * 10 + (uint64_t)(ch - '0');
        }
        if (digits) {
            *ret_value = v;
            return true;
        }
    }
    *ret_value = sim_hash(SIM_HASH_START, text, len);
    return false;
}

struct sim_key *sim_key_at(const struct sim_count *c, uint32_t key)
{
    return &c->chunk[key / SIM_CHUNK][key % SIM_CHUNK];
}

static uint64_t key_hash(const char *dest, uint8_t flags, uint64_t value)
{
    return sim_mix(sim_hash(SIM_HASH_START, dest, strlen(dest)) ^ sim_mix(value + flags));
}

static void index_put(struct sim_count *c, uint32_t key)
{
    const struct sim_key *k = sim_key_at(c, key);
    uint8_t kind = k->flags & (SIM_K_MARKER | SIM_K_PARTIAL);
    uint32_t at = (uint32_t)key_hash(k->dest, kind, k->value) & (c->index_cap - 1);

    while (c->index[at])
        at = (at + 1) & (c->index_cap - 1);
    c->index[at] = key + 1;
}

static void index_grow(struct sim_count *c)
{
    c->index_cap = c->index_cap ? c->index_cap * 2 : 65536;
    free(c->index);
    c->index = sim_alloc(c->index_cap * sizeof(*c->index));
    for (uint32_t i = 0; i < c->n_keys; i++)
        index_put(c, i);
}

uint32_t sim_key_find(struct sim_count *c, const char *dest, uint8_t flags, uint64_t value,
                      uint16_t parts, int64_t epoch_ms)
{
    struct sim_key *k;
    uint32_t at;

    if (c->n_keys * 2 >= c->index_cap)
        index_grow(c);
    at = (uint32_t)key_hash(dest, flags, value) & (c->index_cap - 1);
    for (; c->index[at]; at = (at + 1) & (c->index_cap - 1)) {
        k = sim_key_at(c, c->index[at] - 1);
        if (k->value == value && (k->flags & (SIM_K_MARKER | SIM_K_PARTIAL)) == flags &&
            !strcmp(k->dest, dest))
            return c->index[at] - 1;
    }
    if (c->n_keys == SIM_KEYS_MAX) {
        c->overflow++;
        return SIM_NO_KEY;
    }
    if (!c->chunk[c->n_keys / SIM_CHUNK])
        c->chunk[c->n_keys / SIM_CHUNK] = sim_alloc(SIM_CHUNK * sizeof(struct sim_key));
    k = sim_key_at(c, c->n_keys);
    k->value = value;
    k->flags = flags;
    k->parts = parts;
    k->seen = parts;
    k->first_ms = epoch_ms;
    sim_copy(k->dest, sizeof(k->dest), dest);
    c->index[at] = c->n_keys + 1;
    return c->n_keys++;
}

struct sim_ref sim_count_submit(struct sim_count *c, uint32_t account, uint64_t session,
                                const struct sim_sm *sm, int64_t epoch_ms,
                                struct sim_noticed *ret_noticed)
{
    struct sim_ref ref = {c->epoch, SIM_NO_KEY, NULL, 0};
    uint64_t value;
    uint8_t flags;

    memset(ret_noticed, 0, sizeof(*ret_noticed));
    if (sm->concat.kind != SIM_CONCAT_NONE && sm->concat.total > 1)
        return sim_assembly_submit(c, account, session, sm, epoch_ms, ret_noticed);
    flags = sim_count_key(sm->text, sm->text_len, (sm->data_coding & 0x0C) == 0x08, &value)
                ? SIM_K_MARKER
                : 0;
    ref.key = sim_key_find(c, sm->dst.text, flags, value, 1, epoch_ms);
    if (ref.key != SIM_NO_KEY)
        sim_key_at(c, ref.key)->last_ms = epoch_ms;
    return ref;
}

bool sim_count_take(struct sim_count *c, struct sim_ref ref, uint64_t session)
{
    if (ref.epoch != c->epoch)
        return true;
    if (ref.assembly)
        return sim_assembly_take(c, ref, session);
    if (ref.key != SIM_NO_KEY)
        sim_key_at(c, ref.key)->taken++;
    return true;
}

void sim_count_settle(struct sim_count *c, struct sim_ref ref, enum sim_verdict verdict)
{
    struct sim_key *k;

    if (ref.epoch != c->epoch)
        return;
    if (ref.assembly) {
        sim_assembly_settle(c, ref, verdict);
        return;
    }
    if (ref.key == SIM_NO_KEY)
        return;
    k = sim_key_at(c, ref.key);
    if (verdict == SIM_REFUSED_STATUS) {
        k->refused++;
        return;
    }
    k->flags |= SIM_K_TOUCHED;
    if (verdict == SIM_ACCEPTED_OK)
        k->accepted++;
    else
        k->ambiguous++;
}

uint64_t sim_count_first_id(struct sim_ref ref, uint64_t id)
{
    if (!ref.assembly)
        return id;
    if (!ref.assembly->first_id)
        ref.assembly->first_id = id;
    return ref.assembly->first_id;
}

void sim_count_stats(const struct sim_count *c, struct sim_counted *ret)
{
    memset(ret, 0, sizeof(*ret));
    for (uint32_t i = 0; i < c->n_keys; i++) {
        const struct sim_key *k = sim_key_at(c, i);

        if (k->flags & SIM_K_PARTIAL)
            continue;
        ret->keys++;
        ret->unique += k->accepted || k->ambiguous;
        ret->accepted += k->accepted > 0;
        ret->ambiguous += !k->accepted && k->ambiguous;
        ret->refused_only += !k->accepted && !k->ambiguous && k->refused;
        ret->duplicate += k->accepted + k->ambiguous > 1;
        ret->duplicate_taken += k->taken > 1;
    }
    ret->incomplete = c->parts.incomplete;
    for (const struct sim_assembly *a = c->parts.live.oldest; a; a = a->newer)
        ret->incomplete += sim_assembly_incomplete(a);
    ret->overflow = c->overflow;
}

static void dump_line(FILE *out, const struct sim_key *k)
{
    char dest[3 * SIM_ADDR_CAP];

    fprintf(out, "%s\t", sim_visible(k->dest, dest, sizeof(dest)));
    if (k->flags & SIM_K_PARTIAL)
        fputc('~', out);
    if (k->flags & SIM_K_MARKER)
        fprintf(out, "#%" PRIu64, k->value);
    else
        fprintf(out, "%016" PRIx64, k->value);
    fprintf(out, "\t%u\t%u\t%u\t%u\t%" PRId64 "\t%" PRId64 "\t%u\t%u\n", k->accepted, k->refused,
            k->ambiguous, k->parts, k->first_ms, k->last_ms, k->taken, k->seen);
}

int sim_count_dump(const struct sim_count *c, FILE *out)
{
    for (uint32_t i = 0; i < c->n_keys; i++)
        dump_line(out, sim_key_at(c, i));
    for (const struct sim_assembly *a = c->parts.live.oldest; a; a = a->newer) {
        struct sim_key k;

        if (a->key != SIM_NO_KEY || a->echo)
            continue;
        sim_assembly_as_key(a, &k);
        dump_line(out, &k);
    }
    return ferror(out) ? -EIO : 0;
}

/* Destinations already printed: open addressing over borrowed strings. */
struct dest_set {
    const char **slot;
    size_t cap;
    uint64_t lines;
};

static void print_once(struct dest_set *set, FILE *out, const char *dest)
{
    size_t at = (size_t)sim_mix(sim_hash(SIM_HASH_START, dest, strlen(dest))) & (set->cap - 1);
    char visible[3 * SIM_ADDR_CAP];

    while (set->slot[at]) {
        if (!strcmp(set->slot[at], dest))
            return;
        at = (at + 1) & (set->cap - 1);
    }
    set->slot[at] = dest;
    set->lines++;
    fprintf(out, "%s\n", sim_visible(dest, visible, sizeof(visible)));
}

static bool assembly_touched(const struct sim_assembly *a)
{
    for (uint32_t i = 0; i < a->concat.total; i++)
        if (a->part[i].ok || a->part[i].ambiguous)
            return true;
    return false;
}

int sim_count_dests(const struct sim_count *c, FILE *out, uint64_t *ret_lines)
{
    struct dest_set set = {NULL, 1024, 0};

    while (set.cap < 2 * ((size_t)c->n_keys + c->parts.n))
        set.cap *= 2;
    set.slot = sim_alloc(set.cap * sizeof(*set.slot));
    for (uint32_t i = 0; i < c->n_keys; i++)
        if (sim_key_at(c, i)->flags & SIM_K_TOUCHED)
            print_once(&set, out, sim_key_at(c, i)->dest);
    for (const struct sim_assembly *a = c->parts.live.oldest; a; a = a->newer)
        if (assembly_touched(a))
            print_once(&set, out, a->dst);
    free(set.slot);
    *ret_lines = set.lines;
    return ferror(out) ? -EIO : 0;
}
