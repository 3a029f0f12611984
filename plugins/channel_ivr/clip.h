/* SPDX-License-Identifier: Apache-2.0 */
/* clip.h - prompts ready to be played, made once and shared by all calls: media files and spoken
 * texts, by content. Made by worker threads, because reading, speaking and resampling take longer
 * than the 20 ms between two packets. The store is bounded in bytes; what no call holds goes first
 * when it was used longest ago. Loop thread only but ivr_clips_new() and _stop(). */
#ifndef IVR_CLIP_H
#define IVR_CLIP_H

#include "media.h"

#define IVR_CLIP_JOBS 1024u /* clips waiting to be made */
#define IVR_CLIP_WORKERS 8u
#define IVR_VOICE_BYTES 32u

struct ivr_clips_conf {
    uint32_t workers;    /* threads, and so at most as many children that speak */
    uint64_t max_bytes;  /* of ready clips */
    const char *command; /* borrowed; espeak-ng */
    int64_t timeout_ms;  /* of one text */
    int64_t (*media_size)(uint64_t media);
    int64_t (*media_read)(uint64_t media, int64_t offset, void *out, size_t n);
    void (*load)(void *ctx, uint32_t waiting); /* NULL-safe: so many are to be made now */
    void *ctx;
};

/* What a clip is made of. */
struct ivr_source {
    const char *text, *voice; /* a text to speak; else: */
    uint64_t media;           /* a media handle; else: */
    const void *body;         /* a WAV file */
    uint32_t len;
};

enum ivr_clip_state { IVR_CLIP_MAKING, IVR_CLIP_READY, IVR_CLIP_FAILED };

struct ivr_clip;
struct ivr_clips;

/* Told once when the clip is ready or failed; lies in the waiter's memory. */
struct ivr_clip_wait {
    struct ivr_clip_wait *next, **link; /* link NULL: not waiting */
    struct ivr_clip *clip;
    void (*done)(void *arg);
    void *arg;
};

int ivr_clips_new(struct ivr_clips **ret, const struct ivr_clips_conf *conf); /* 0 or errno */
/* Ends the workers; what they still post comes before anything posted later. NULL-safe, twice is
 * once. */
void ivr_clips_stop(struct ivr_clips *s);
/* Stopped before; loop thread; no clip is held any more. NULL-safe. */
void ivr_clips_free(struct ivr_clips *s);

/* A held clip; wait is linked when it is still being made. NULL when too many wait already. */
struct ivr_clip *ivr_clip_get(struct ivr_clips *s, const struct ivr_source *source,
                              struct ivr_clip_wait *wait);
void ivr_clip_unwait(struct ivr_clip_wait *wait);
void ivr_clip_put(struct ivr_clip *c); /* NULL-safe */
enum ivr_clip_state ivr_clip_state(const struct ivr_clip *c);
const struct ivr_sound *ivr_clip_sound(const struct ivr_clip *c);
const char *ivr_clip_why(const struct ivr_clip *c); /* of a failed one */
bool ivr_clip_is_speech(const struct ivr_clip *c);

struct ivr_clips_stats {
    uint64_t hits, made, failed, evicted, bytes;
    uint32_t clips, waiting;
};
void ivr_clips_stats(const struct ivr_clips *s, struct ivr_clips_stats *ret);

#endif
