/* SPDX-License-Identifier: Apache-2.0 */
/* clip_int.h - shared by the store (clip.c) and its workers (clip_work.c). */
#ifndef IVR_CLIP_INT_H
#define IVR_CLIP_INT_H

#include "clip.h"
#include "loop.h"

#include <pthread.h>
#include <stdatomic.h>

#define CLIP_TABLE 1024u
#define CLIPS_MAX 16384u /* clips in the store, however small */

struct clip_key {
    char kind; /* t text, m media handle, b body */
    const void *a;
    size_t a_len;
    const void *b;
    size_t b_len;
};

struct ivr_clip {
    struct ivr_task done; /* first: the worker posts the clip itself */
    struct ivr_clip *job; /* next one to be made */
    struct ivr_clips *store;
    struct ivr_clip *chain, *older, *newer;
    bool idle; /* in the list of those that no call holds */
    char kind;
    enum ivr_clip_state state;
    uint32_t holders;
    uint64_t hash, bytes;
    struct ivr_clip_wait *waiters, **last_waiter;
    struct ivr_sound sound; /* written by the worker before it posts */
    char why[160];
    size_t key_len;
    char key[];
};

struct ivr_clips {
    struct ivr_clips_conf conf;
    struct ivr_clip *table[CLIP_TABLE];
    struct ivr_clip *oldest, *newest;
    struct ivr_clips_stats stats;
    /* work */
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct ivr_clip *first, **last;
    atomic_bool ending;
    pthread_t threads[IVR_CLIP_WORKERS];
    uint32_t n_threads;
};

int ivr_clip_workers_start(struct ivr_clips *s);
void ivr_clip_workers_stop(struct ivr_clips *s);
void ivr_clip_make(struct ivr_clip *c); /* queue it; ivr_clip_made() follows on the loop thread */
void ivr_clip_made(struct ivr_clip *c);

#endif
