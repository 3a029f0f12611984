/* SPDX-License-Identifier: Apache-2.0 */
/* media.c - see media.h. Two locks: `load` is held by the one who reads the database, `lock` over
 * the table and over the copying out, never over the database. Order: load → lock. */
#include "media/media.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "store/store_media.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct kept {
    uint64_t handle; /* 0 = free */
    uint64_t used;   /* the larger, the later */
    char *data;      /* owned */
    size_t len;
};

struct media_cache {
    char *conninfo; /* owned */
    size_t max_bytes;
    pthread_mutex_t load, lock;
    struct db *db;         /* load */
    int64_t retry_mono_ms; /* load */
    struct kept kept[MEDIA_CACHE_ENTRIES];
    size_t bytes;
    uint64_t clock, loads;
};

static const struct metric_family families[] = {
    {"campgw_media_loaded_total", METRIC_COUNTER, "Media read from the database.", ""},
    {"campgw_media_cache_bytes", METRIC_GAUGE, "Media kept in memory.", ""},
    {NULL, METRIC_GAUGE, NULL, NULL}};

struct media_cache *media_cache_new(const char *conninfo, size_t max_bytes)
{
    metrics_register(families);
    struct media_cache *c = calloc(1, sizeof *c);
    if (!c || !(c->conninfo = strdup(conninfo))) {
        free(c);
        return NULL;
    }
    c->max_bytes = max_bytes;
    (void)pthread_mutex_init(&c->load, NULL);
    (void)pthread_mutex_init(&c->lock, NULL);
    return c;
}

void media_cache_free(struct media_cache *c)
{
    if (!c)
        return;
    db_close(c->db);
    for (size_t i = 0; i < MEDIA_CACHE_ENTRIES; i++)
        free(c->kept[i].data);
    (void)pthread_mutex_destroy(&c->load);
    (void)pthread_mutex_destroy(&c->lock);
    free(c->conninfo);
    free(c);
}

/* Under `lock`. */
static struct kept *find(struct media_cache *c, uint64_t handle)
{
    for (size_t i = 0; i < MEDIA_CACHE_ENTRIES; i++)
        if (c->kept[i].handle == handle) {
            c->kept[i].used = ++c->clock;
            return &c->kept[i];
        }
    return NULL;
}

/* Under `lock`: the one that was used longest ago, NULL when nothing is kept. */
static struct kept *oldest(struct media_cache *c)
{
    struct kept *k = NULL;
    for (size_t i = 0; i < MEDIA_CACHE_ENTRIES; i++)
        if (c->kept[i].handle && (!k || c->kept[i].used < k->used))
            k = &c->kept[i];
    return k;
}

static void forget(struct media_cache *c, struct kept *k)
{
    c->bytes -= k->len;
    free(k->data);
    *k = (struct kept){0};
}

static void keep(struct media_cache *c, uint64_t handle, char *data, size_t len)
{
    struct kept *k, *room;
    (void)pthread_mutex_lock(&c->lock);
    while (c->bytes + len > c->max_bytes && (k = oldest(c)))
        forget(c, k);
    room = find(c, 0);
    if (!room) {
        room = oldest(c);
        forget(c, room);
    }
    *room = (struct kept){handle, ++c->clock, data, len};
    c->bytes += len;
    c->loads++;
    metric_add(metric_get("campgw_media_loaded_total", NULL, 0), 1);
    metric_set(metric_get("campgw_media_cache_bytes", NULL, 0), (double)c->bytes);
    (void)pthread_mutex_unlock(&c->lock);
}

static int read_rows(struct media_cache *c, uint64_t handle, struct buf *out)
{
    struct diag d = {0};
    int rc = !c->db            ? db_open(c->conninfo, "media", &c->db, &d)
             : db_is_up(c->db) ? 0
                               : db_reopen(c->db, &d);
    if (rc == 0)
        rc = store_media_load(c->db, (int64_t)handle, out, &d);
    if (rc == 0 || rc == CGW_ENOTFOUND)
        return rc;
    char text[CGW_DIAG_MAX];
    log_warning("media.read.failed", "media=%llu code=%s msg=\"%s\"", (unsigned long long)handle,
                diag_code_name(rc), log_quote(d.text, text, sizeof text));
    return CGW_EDB;
}

static int load(struct media_cache *c, uint64_t handle)
{
    struct buf data;
    int rc = 0;
    (void)pthread_mutex_lock(&c->load);
    (void)pthread_mutex_lock(&c->lock);
    bool there = find(c, handle) != NULL; /* somebody else was faster */
    (void)pthread_mutex_unlock(&c->lock);
    if (!there && clock_mono_ms() < c->retry_mono_ms)
        rc = CGW_EDB;
    if (!there && rc == 0) {
        buf_init(&data, STORE_MEDIA_MAX);
        rc = read_rows(c, handle, &data);
        if (rc == 0)
            keep(c, handle, data.data, data.len); /* takes the memory over */
        else
            buf_done(&data);
        c->retry_mono_ms = rc == CGW_EDB ? clock_mono_ms() + MEDIA_RETRY_MS : 0;
    }
    (void)pthread_mutex_unlock(&c->load);
    return rc;
}

/* out NULL: the size is asked for. */
static int64_t look(struct media_cache *c, uint64_t handle, int64_t offset, void *out, size_t n)
{
    int64_t rc = CGW_ENOTFOUND;
    (void)pthread_mutex_lock(&c->lock);
    const struct kept *k = find(c, handle);
    if (k && !out)
        rc = (int64_t)k->len;
    else if (k && (offset < 0 || (size_t)offset > k->len))
        rc = CGW_EINVAL;
    else if (k) {
        size_t left = k->len - (size_t)offset;
        rc = (int64_t)(n < left ? n : left);
        memcpy(out, k->data + offset, (size_t)rc);
    }
    (void)pthread_mutex_unlock(&c->lock);
    return rc;
}

static int64_t get(struct media_cache *c, uint64_t handle, int64_t offset, void *out, size_t n)
{
    int64_t rc = handle ? look(c, handle, offset, out, n) : CGW_EINVAL;
    /* twice: what was just read may have had to give way to others before we looked */
    for (int tries = 0; rc == CGW_ENOTFOUND && tries < 2; tries++) {
        int loaded = load(c, handle);
        if (loaded < 0)
            return loaded;
        rc = look(c, handle, offset, out, n);
    }
    return rc;
}

int64_t media_cache_size(struct media_cache *c, uint64_t handle)
{
    return get(c, handle, 0, NULL, 0);
}

int64_t media_cache_read(struct media_cache *c, uint64_t handle, int64_t offset, void *out,
                         size_t n)
{
    return out ? get(c, handle, offset, out, n) : CGW_EINVAL;
}

uint64_t media_cache_loads(struct media_cache *c)
{
    (void)pthread_mutex_lock(&c->lock);
    uint64_t n = c->loads;
    (void)pthread_mutex_unlock(&c->lock);
    return n;
}

size_t media_cache_bytes(struct media_cache *c)
{
    (void)pthread_mutex_lock(&c->lock);
    size_t n = c->bytes;
    (void)pthread_mutex_unlock(&c->lock);
    return n;
}
