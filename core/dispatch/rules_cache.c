/* SPDX-License-Identifier: Apache-2.0 */
/* rules_cache.c - see rules_cache.h. */
#include "dispatch/rules_cache.h"

#include "base/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#define WINDOWS_MAX                                                                                \
    8192u /* compiled sets kept; beyond it compile and drop the oldest is not worth the care:      \
             refuse */
#define RULES_AGE_MAX_MS INT64_C(86400000) /* the compiled horizon must keep moving */

struct window_entry {
    int16_t place;
    uint8_t contact_class, channel;
    struct windows *w; /* owned */
};
struct rules_ref {
    atomic_int refs;
    struct rule_set *set; /* owned */
    int64_t made_mono_ms;
    int64_t from_ms; /* start of the compiled horizon */
    pthread_mutex_t lock;
    struct window_entry *entries; /* owned */
    uint32_t n, cap;
};
struct rules_cache {
    pthread_mutex_t lock;
    struct rules_ref *current; /* counted */
};

struct rules_cache *rules_cache_new(void)
{
    struct rules_cache *c = calloc(1, sizeof *c);
    if (c)
        (void)pthread_mutex_init(&c->lock, NULL);
    return c;
}

void rules_cache_free(struct rules_cache *c)
{
    if (!c)
        return;
    rules_unref(c->current);
    (void)pthread_mutex_destroy(&c->lock);
    free(c);
}

void rules_unref(struct rules_ref *r)
{
    if (!r || atomic_fetch_sub(&r->refs, 1) > 1)
        return;
    for (uint32_t i = 0; i < r->n; i++)
        windows_free(r->entries[i].w);
    free(r->entries);
    rule_set_free(r->set);
    (void)pthread_mutex_destroy(&r->lock);
    free(r);
}

static bool usable(const struct rules_ref *r, int32_t version)
{
    return r && r->set->rules.version >= version &&
           clock_mono_ms() - r->made_mono_ms < RULES_AGE_MAX_MS && clock_utc_ms() >= r->from_ms &&
           clock_utc_ms() - r->from_ms < RULES_AGE_MAX_MS * 30;
}

int rules_cache_get(struct rules_cache *c, struct db *db, int32_t version, struct rules_ref **ret,
                    struct diag *diag)
{
    int rc = 0;
    if (version == 0)
        rc = store_rules_version(db, &version, diag);
    if (rc < 0)
        return rc;
    (void)pthread_mutex_lock(&c->lock);
    if (!usable(c->current, version)) {
        struct rules_ref *r = calloc(1, sizeof *r);
        rc = r ? store_rules_load(db, &r->set, diag) : diag_set(diag, -ENOMEM, "", "out of memory");
        if (rc == 0) {
            atomic_init(&r->refs, 1);
            (void)pthread_mutex_init(&r->lock, NULL);
            r->made_mono_ms = clock_mono_ms();
            r->from_ms = clock_utc_ms() - RULES_AGE_MAX_MS;
            rules_unref(c->current);
            c->current = r;
        } else {
            free(r);
        }
    }
    if (rc == 0) {
        atomic_fetch_add(&c->current->refs, 1);
        *ret = c->current;
    }
    (void)pthread_mutex_unlock(&c->lock);
    return rc;
}

const struct rules *rules_of(const struct rules_ref *r)
{
    return &r->set->rules;
}

const struct rule_set *rules_set(const struct rules_ref *r)
{
    return r->set;
}

static struct windows *lookup(const struct rules_ref *r, int16_t place, uint32_t contact_class,
                              uint32_t channel)
{
    for (uint32_t i = 0; i < r->n; i++)
        if (r->entries[i].place == place && r->entries[i].contact_class == contact_class &&
            r->entries[i].channel == channel)
            return r->entries[i].w;
    return NULL;
}

static int compile(struct rules_ref *r, struct db *db, int16_t place, uint32_t contact_class,
                   uint32_t channel, struct windows **ret, struct diag *diag)
{
    if (r->n == WINDOWS_MAX)
        return diag_set(diag, CGW_ELIMIT, "calendar",
                        "more than %u places, classes and channels in use", WINDOWS_MAX);
    if (r->n == r->cap) {
        uint32_t cap = r->cap ? r->cap * 2 : 64;
        struct window_entry *more = realloc(r->entries, cap * sizeof *more);
        if (!more)
            return diag_set(diag, -ENOMEM, "", "out of memory");
        r->entries = more;
        r->cap = cap;
    }
    struct arena a;
    arena_init(&a, 65536);
    struct place where;
    int rc = store_place_load(db, place, &a, &where, diag);
    if (rc == 0)
        rc = windows_compile(r->set->calendars, r->set->n_calendars, &where, contact_class, channel,
                             r->from_ms, ret, diag);
    arena_done(&a);
    if (rc == 0)
        r->entries[r->n++] = (struct window_entry){.place = place,
                                                   .contact_class = (uint8_t)contact_class,
                                                   .channel = (uint8_t)channel,
                                                   .w = *ret};
    return rc;
}

int rules_windows(struct rules_ref *r, struct db *db, int16_t place, uint32_t contact_class,
                  uint32_t channel, const struct windows **ret, struct diag *diag)
{
    int rc = 0;
    (void)pthread_mutex_lock(&r->lock);
    struct windows *w = lookup(r, place, contact_class, channel);
    if (!w)
        rc = compile(r, db, place, contact_class, channel, &w, diag);
    (void)pthread_mutex_unlock(&r->lock);
    if (rc == 0)
        *ret = w;
    return rc;
}
