/* SPDX-License-Identifier: Apache-2.0 */
/* mmsc_count.c - counts messages by recipient and key, and copies of each. */
#include "mmsc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEYS_MAX 1048576u
#define BUCKETS 2097152u

struct entry {
    char dest[20];
    uint64_t key;
    uint32_t accepted, refused, ambiguous, taken;
};

struct mmsc_count {
    struct entry *v;
    uint32_t *buckets; /* index + 1 */
    uint32_t n, cap, overflow;
};

struct mmsc_count *mmsc_count_new(void)
{
    struct mmsc_count *c = sim_alloc(sizeof *c);
    c->buckets = sim_alloc(BUCKETS * sizeof *c->buckets);
    return c;
}

void mmsc_count_free(struct mmsc_count *c)
{
    free(c->v);
    free(c->buckets);
    free(c);
}

uint32_t mmsc_count_take(struct mmsc_count *c, const char *dest, uint64_t key, bool taken)
{
    uint64_t h = sim_mix(sim_hash(SIM_HASH_START, dest, strlen(dest)) ^ sim_mix(key));
    uint32_t at = (uint32_t)(h % BUCKETS);
    for (; c->buckets[at]; at = (at + 1) % BUCKETS) {
        struct entry *e = &c->v[c->buckets[at] - 1];
        if (e->key == key && !strcmp(e->dest, dest)) {
            e->taken += taken;
            return c->buckets[at] - 1;
        }
    }
    if (c->n == KEYS_MAX) {
        c->overflow++;
        return UINT32_MAX;
    }
    if (c->n == c->cap) {
        c->cap = c->cap ? c->cap * 2 : 1024;
        c->v = sim_realloc(c->v, c->cap * sizeof *c->v);
    }
    struct entry *e = &c->v[c->n];
    memset(e, 0, sizeof *e);
    sim_copy(e->dest, sizeof e->dest, dest);
    e->key = key;
    e->taken = taken;
    c->buckets[at] = ++c->n;
    return c->n - 1;
}

void mmsc_count_fate(struct mmsc_count *c, uint32_t slot, enum mmsc_fate fate)
{
    if (slot >= c->n)
        return;
    struct entry *e = &c->v[slot];
    *(fate == MMSC_ACCEPTED  ? &e->accepted
      : fate == MMSC_REFUSED ? &e->refused
                             : &e->ambiguous) += 1;
}

void mmsc_count_json(const struct mmsc_count *c, struct sim_buf *out)
{
    uint32_t unique = 0, accepted = 0, ambiguous = 0, refused = 0, twice = 0;
    for (uint32_t i = 0; i < c->n; i++) {
        const struct entry *e = &c->v[i];
        unique += e->accepted || e->ambiguous;
        accepted += e->accepted > 0;
        ambiguous += !e->accepted && e->ambiguous;
        refused += !e->accepted && !e->ambiguous && e->refused;
        twice += e->taken > 1;
    }
    sim_buf_printf(out,
                   "\"messages\":{\"unique\":%u,\"accepted\":%u,\"ambiguous\":%u,"
                   "\"refused_only\":%u,\"duplicate_taken\":%u,\"keys\":%u,\"overflow\":%u}",
                   unique, accepted, ambiguous, refused, twice, c->n, c->overflow);
}

int mmsc_count_dump(const struct mmsc_count *c, const char *path)
{
    FILE *f = fopen(path, "w");
    if (!f)
        return -errno;
    for (uint32_t i = 0; i < c->n; i++)
        fprintf(f, "%s\t%llu\t%u\t%u\t%u\t%u\n", c->v[i].dest, (unsigned long long)c->v[i].key,
                c->v[i].accepted, c->v[i].refused, c->v[i].ambiguous, c->v[i].taken);
    return fclose(f) ? -EIO : 0;
}
