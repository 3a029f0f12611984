/* SPDX-License-Identifier: Apache-2.0 */
/* clip_work.c - the threads that make clips: read or speak, decode, resample, encode for both
 * codecs. Touches of a clip only its key, sound and why, and only until it is posted. */
#include "clip_int.h"
#include "g711.h"
#include "speech.h"
#include "wav.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int64_t read_media(const struct ivr_clips *s, uint64_t media, uint8_t **ret, char *why,
                          size_t size)
{
    int64_t n = s->conf.media_size ? s->conf.media_size(media) : -1, at = 0;
    if (n <= 0 || n > (int64_t)IVR_WAV_BYTES) {
        (void)snprintf(why, size, "the media file is not there or larger than 64 MiB");
        return -1;
    }
    uint8_t *data = malloc((size_t)n);
    while (data && at < n) {
        int64_t got = s->conf.media_read(media, at, data + at, (size_t)(n - at));
        if (got <= 0)
            break;
        at += got;
    }
    if (data && at == n) {
        *ret = data;
        return n;
    }
    free(data);
    (void)snprintf(why, size, "the media file cannot be read");
    return -1;
}

static int64_t fetch(struct ivr_clip *c, uint8_t **ret)
{
    const struct ivr_clips *s = c->store;
    if (c->kind == 't') {
        struct ivr_speech speech = {s->conf.command, c->key, s->conf.timeout_ms, &s->ending};
        size_t voice = strlen(c->key) + 1, n = c->key_len - voice;
        char *text = strndup(c->key + voice, n);
        int64_t len = text ? ivr_speak(&speech, text, ret, c->why, sizeof c->why) : -1;
        free(text);
        return len;
    }
    if (c->kind == 'm') {
        uint64_t media;
        memcpy(&media, c->key, sizeof media);
        return read_media(s, media, ret, c->why, sizeof c->why);
    }
    *ret = malloc(c->key_len ? c->key_len : 1);
    if (!*ret)
        return -1;
    memcpy(*ret, c->key, c->key_len);
    return (int64_t)c->key_len;
}

/* Whole frames, the rest of the last one silent. */
static void encode(struct ivr_clip *c, const int16_t *samples, size_t n)
{
    size_t whole = (n + IVR_FRAME - 1) / IVR_FRAME * IVR_FRAME;
    uint8_t *both = malloc(2 * whole);
    if (!both) {
        (void)snprintf(c->why, sizeof c->why, "there is no memory for the sound");
        return;
    }
    memset(both, IVR_ULAW_SILENCE, whole);
    memset(both + whole, IVR_ALAW_SILENCE, whole);
    ivr_ulaw_encode(samples, n, both);
    ivr_alaw_encode(samples, n, both + whole);
    c->sound = (struct ivr_sound){(uint32_t)whole, both, both + whole};
}

static void make(struct ivr_clip *c)
{
    uint8_t *wav = NULL;
    int16_t *samples = NULL;
    (void)snprintf(c->why, sizeof c->why, "there is no memory for the sound");
    int64_t len = fetch(c, &wav);
    int64_t n = len > 0 ? ivr_wav_read(wav, (size_t)len, &samples, c->why, sizeof c->why) : -1;
    if (n > 0)
        encode(c, samples, (size_t)n);
    free(samples);
    free(wav);
}

static void made(struct ivr_task *t)
{
    ivr_clip_made((struct ivr_clip *)t);
}

static struct ivr_clip *next_job(struct ivr_clips *s)
{
    (void)pthread_mutex_lock(&s->lock);
    while (!s->first && !atomic_load(&s->ending))
        (void)pthread_cond_wait(&s->more, &s->lock);
    struct ivr_clip *c = atomic_load(&s->ending) ? NULL : s->first;
    if (c) {
        s->first = c->job;
        if (!s->first)
            s->last = &s->first;
    }
    (void)pthread_mutex_unlock(&s->lock);
    return c;
}

static void *work(void *arg)
{
    struct ivr_clip *c;
    while ((c = next_job(arg))) {
        make(c);
        c->done.run = made;
        ivr_loop_post(&c->done);
    }
    return NULL;
}

int ivr_clip_workers_start(struct ivr_clips *s)
{
    sigset_t all, before;
    int rc = 0;
    (void)pthread_mutex_init(&s->lock, NULL);
    (void)pthread_cond_init(&s->more, NULL);
    s->last = &s->first;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    while (rc == 0 && s->n_threads < s->conf.workers && s->n_threads < IVR_CLIP_WORKERS) {
        rc = pthread_create(&s->threads[s->n_threads], NULL, work, s);
        s->n_threads += rc == 0;
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0)
        ivr_clip_workers_stop(s);
    return rc;
}

void ivr_clip_workers_stop(struct ivr_clips *s)
{
    (void)pthread_mutex_lock(&s->lock);
    atomic_store(&s->ending, true);
    (void)pthread_cond_broadcast(&s->more);
    (void)pthread_mutex_unlock(&s->lock);
    for (uint32_t i = 0; i < s->n_threads; i++)
        (void)pthread_join(s->threads[i], NULL);
    s->n_threads = 0;
}

void ivr_clip_make(struct ivr_clip *c)
{
    struct ivr_clips *s = c->store;
    c->job = NULL;
    (void)pthread_mutex_lock(&s->lock);
    *s->last = c;
    s->last = &c->job;
    (void)pthread_cond_signal(&s->more);
    (void)pthread_mutex_unlock(&s->lock);
}
