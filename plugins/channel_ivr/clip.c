/* SPDX-License-Identifier: Apache-2.0 */
/* clip.c - the store of clip.h. A key is the whole source, compared byte by byte: two texts never
 * share a sound because their hashes do. */
#include "clip_int.h"
#include "flow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint64_t fnv1a(const void *data, size_t n, uint64_t h)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * 0x100000001b3u;
    return h;
}

/* ---- keys: kind, then voice NUL text, or the handle, or the file ---- */

static struct clip_key key_of(const struct ivr_source *s)
{
    if (s->text)
        return (struct clip_key){'t', s->voice, strlen(s->voice) + 1, s->text, strlen(s->text)};
    if (s->media)
        return (struct clip_key){'m', &s->media, sizeof s->media, NULL, 0};
    return (struct clip_key){'b', s->body, s->len, NULL, 0};
}

static uint64_t hash_of(const struct clip_key *k)
{
    uint64_t h = fnv1a(&k->kind, 1, 0xcbf29ce484222325u);
    h = fnv1a(k->a, k->a_len, h);
    return k->b_len > 0 ? fnv1a(k->b, k->b_len, h) : h;
}

static bool is_key(const struct ivr_clip *c, const struct clip_key *k)
{
    return c->kind == k->kind && c->key_len == k->a_len + k->b_len &&
           memcmp(c->key, k->a, k->a_len) == 0 &&
           (k->b_len == 0 || memcmp(c->key + k->a_len, k->b, k->b_len) == 0);
}

/* ---- store ---- */

static void unlink_idle(struct ivr_clips *s, struct ivr_clip *c)
{
    if (!c->idle)
        return;
    *(c->older ? &c->older->newer : &s->oldest) = c->newer;
    *(c->newer ? &c->newer->older : &s->newest) = c->older;
    c->idle = false;
}

static void clip_free(struct ivr_clip *c)
{
    free((void *)c->sound.ulaw); /* one block: A-law lies behind it */
    free(c);
}

static void drop(struct ivr_clips *s, struct ivr_clip *c)
{
    struct ivr_clip **at = &s->table[c->hash % CLIP_TABLE];
    while (*at != c)
        at = &(*at)->chain;
    *at = c->chain;
    unlink_idle(s, c);
    s->stats.clips--;
    s->stats.bytes -= c->bytes;
    clip_free(c);
}

static void make_room(struct ivr_clips *s)
{
    struct ivr_clip *c = s->oldest;
    while (c && (s->stats.bytes > s->conf.max_bytes || s->stats.clips > CLIPS_MAX)) {
        struct ivr_clip *newer = c->newer;
        s->stats.evicted++;
        drop(s, c);
        c = newer;
    }
}

static struct ivr_clip *add(struct ivr_clips *s, const struct clip_key *k, uint64_t hash)
{
    struct ivr_clip *c = calloc(1, sizeof *c + k->a_len + k->b_len);
    if (!c)
        return NULL;
    c->store = s;
    c->last_waiter = &c->waiters;
    c->kind = k->kind;
    c->hash = hash;
    c->key_len = k->a_len + k->b_len;
    memcpy(c->key, k->a, k->a_len);
    if (k->b_len > 0)
        memcpy(c->key + k->a_len, k->b, k->b_len);
    c->bytes = c->key_len;
    c->chain = s->table[hash % CLIP_TABLE];
    s->table[hash % CLIP_TABLE] = c;
    s->stats.clips++;
    s->stats.bytes += c->bytes;
    return c;
}

static struct ivr_clip *find(struct ivr_clips *s, const struct clip_key *k, uint64_t hash)
{
    struct ivr_clip *c = s->table[hash % CLIP_TABLE];
    while (c && !(c->hash == hash && is_key(c, k)))
        c = c->chain;
    return c;
}

/* In order of asking: who was handed over first is dialled first. */
static void wait_for(struct ivr_clip *c, struct ivr_clip_wait *w)
{
    w->clip = c;
    w->next = NULL;
    w->link = c->last_waiter;
    *c->last_waiter = w;
    c->last_waiter = &w->next;
}

static void load(struct ivr_clips *s, int more)
{
    s->stats.waiting += (uint32_t)more;
    if (s->conf.load)
        s->conf.load(s->conf.ctx, s->stats.waiting);
}

struct ivr_clip *ivr_clip_get(struct ivr_clips *s, const struct ivr_source *source,
                              struct ivr_clip_wait *wait)
{
    struct clip_key k = key_of(source);
    uint64_t hash = hash_of(&k);
    struct ivr_clip *c = find(s, &k, hash);
    if (c && c->state == IVR_CLIP_FAILED && c->holders == 0) { /* perhaps it works by now */
        drop(s, c);
        c = NULL;
    }
    if (c) {
        s->stats.hits++;
    } else {
        c = s->stats.waiting < IVR_CLIP_JOBS ? add(s, &k, hash) : NULL;
        if (!c)
            return NULL;
        load(s, 1);
        ivr_clip_make(c);
    }
    unlink_idle(s, c);
    c->holders++;
    if (c->state == IVR_CLIP_MAKING)
        wait_for(c, wait);
    return c;
}

void ivr_clip_unwait(struct ivr_clip_wait *w)
{
    if (!w->link)
        return;
    *w->link = w->next;
    if (w->next)
        w->next->link = w->link;
    else
        w->clip->last_waiter = w->link;
    w->link = NULL;
}

void ivr_clip_put(struct ivr_clip *c)
{
    if (!c || --c->holders > 0 || c->state == IVR_CLIP_MAKING)
        return;
    struct ivr_clips *s = c->store;
    c->idle = true;
    c->newer = NULL;
    c->older = s->newest;
    *(s->newest ? &s->newest->newer : &s->oldest) = c;
    s->newest = c;
    make_room(s);
}

/* From the worker, on the loop thread. */
void ivr_clip_made(struct ivr_clip *c)
{
    struct ivr_clips *s = c->store;
    load(s, -1);
    c->bytes += 2ull * c->sound.n;
    s->stats.bytes += 2ull * c->sound.n;
    c->state = c->sound.n > 0 ? IVR_CLIP_READY : IVR_CLIP_FAILED;
    if (c->state == IVR_CLIP_READY)
        s->stats.made++;
    else
        s->stats.failed++;
    c->holders++; /* a waiter may give it back */
    while (c->waiters) {
        struct ivr_clip_wait *w = c->waiters;
        ivr_clip_unwait(w);
        w->done(w->arg);
    }
    ivr_clip_put(c);
}

enum ivr_clip_state ivr_clip_state(const struct ivr_clip *c)
{
    return c->state;
}

const struct ivr_sound *ivr_clip_sound(const struct ivr_clip *c)
{
    return &c->sound;
}

const char *ivr_clip_why(const struct ivr_clip *c)
{
    return c->why;
}

bool ivr_clip_is_speech(const struct ivr_clip *c)
{
    return c->kind == 't';
}

void ivr_clips_stats(const struct ivr_clips *s, struct ivr_clips_stats *ret)
{
    *ret = s->stats;
}

/* \return 0 or a positive errno */
int ivr_clips_new(struct ivr_clips **ret, const struct ivr_clips_conf *conf)
{
    struct ivr_clips *s = calloc(1, sizeof *s);
    if (!s)
        return ENOMEM;
    s->conf = *conf;
    int err = ivr_clip_workers_start(s);
    if (err) {
        free(s);
        s = NULL;
    }
    *ret = s;
    return err;
}

void ivr_clips_stop(struct ivr_clips *s)
{
    if (s)
        ivr_clip_workers_stop(s);
}

void ivr_clips_free(struct ivr_clips *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < CLIP_TABLE; i++)
        for (struct ivr_clip *c = s->table[i], *next; c; c = next) {
            next = c->chain;
            clip_free(c);
        }
    free(s);
}
