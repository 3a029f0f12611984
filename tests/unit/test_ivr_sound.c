/* SPDX-License-Identifier: Apache-2.0 */
/* test_ivr_sound.c - WAV files, resampling, G.711, and the store of prompts on its real loop. */
#include "clip.h"
#include "g711.h"
#include "loop.h"
#include "wav.h"

#include <criterion/criterion.h>
#include <math.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- WAV ---- */

static size_t header(uint8_t *out, uint16_t tag, uint16_t channels, uint32_t rate, uint16_t bits,
                     uint32_t len)
{
    const uint32_t sizes[] = {36 + len, 16, len};
    memcpy(out, "RIFF----WAVEfmt ----", 20);
    memcpy(out + 4, &sizes[0], 4);
    memcpy(out + 16, &sizes[1], 4);
    memcpy(out + 20, &tag, 2);
    memcpy(out + 22, &channels, 2);
    memcpy(out + 24, &rate, 4);
    memset(out + 28, 0, 6);
    memcpy(out + 34, &bits, 2);
    memcpy(out + 36, "data", 4);
    memcpy(out + 40, &sizes[2], 4);
    return 44;
}

static void tone(int16_t *out, size_t n, double hertz, double rate)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (int16_t)lrint(16000 * sin(2 * M_PI * hertz * (double)i / rate));
}

/* Power at a frequency against all of it (Goertzel): 1 for a pure tone. */
static double share(const int16_t *s, size_t n, double hertz)
{
    double w = 2 * M_PI * hertz / IVR_RATE, c = 2 * cos(w), a = 0, b = 0, sum = 0;
    for (size_t i = 0; i < n; i++) {
        double v = s[i] + c * a - b;
        b = a;
        a = v;
        sum += (double)s[i] * s[i];
    }
    return (a * a + b * b - c * a * b) / ((double)n / 2 * sum);
}

Test(ivr_wav, every_format_that_is_read_gives_the_same_sound)
{
    static uint8_t file[44 + 2 * 2 * 8000];
    int16_t pcm[8000], *out = NULL;
    char why[128];
    tone(pcm, 8000, 440, 8000);
    for (int f = 0; f < 4; f++) {
        static const uint16_t tags[] = {1, 1, 6, 7}, bits[] = {16, 8, 8, 8};
        size_t len = 8000u * bits[f] / 8,
               at = header(file, tags[f], 1, 8000, bits[f], (uint32_t)len);
        if (f == 0)
            memcpy(file + at, pcm, len);
        else if (f == 1)
            for (int i = 0; i < 8000; i++)
                file[at + (size_t)i] = (uint8_t)(pcm[i] / 256 + 128);
        else if (f == 2)
            ivr_alaw_encode(pcm, 8000, file + at);
        else
            ivr_ulaw_encode(pcm, 8000, file + at);
        cr_assert_eq(ivr_wav_read(file, at + len, &out, why, sizeof why), 8000, "%d: %s", f, why);
        cr_assert_gt(share(out, 8000, 440), 0.99, "format %d", f);
        free(out);
    }
}

Test(ivr_wav, stereo_is_averaged_and_a_wrong_length_is_cut)
{
    uint8_t file[44 + 8];
    int16_t *out = NULL, frames[4] = {1000, 3000, -500, -1500};
    char why[128];
    (void)header(file, 1, 2, 8000, 16, 0x7fffffff); /* as written to a pipe */
    memcpy(file + 44, frames, 8);
    cr_assert_eq(ivr_wav_read(file, sizeof file, &out, why, sizeof why), 2, "%s", why);
    cr_assert(out[0] == 2000 && out[1] == -1000);
    free(out);
}

Test(ivr_wav, what_is_no_sound_is_refused_with_a_reason)
{
    uint8_t file[64] = {0};
    int16_t *out = NULL;
    static const struct {
        uint16_t tag, channels, bits;
        uint32_t rate;
        const char *word;
    } rows[] = {{3, 1, 32, 8000, "PCM"},  {1, 1, 24, 8000, "PCM"},
                {1, 0, 16, 8000, "fmt"},  {1, 9, 16, 8000, "channels"},
                {1, 1, 16, 0, "samples"}, {1, 1, 16, 400000, "samples"}};
    char why[128];
    cr_assert_eq(ivr_wav_read(file, sizeof file, &out, why, sizeof why), -1);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        (void)header(file, rows[i].tag, rows[i].channels, rows[i].rate, rows[i].bits, 20);
        cr_assert_eq(ivr_wav_read(file, sizeof file, &out, why, sizeof why), -1, "row %zu", i);
        cr_assert(strstr(why, rows[i].word), "row %zu: %s", i, why);
    }
    (void)header(file, 1, 1, 8000, 16, 0);
    cr_assert_eq(ivr_wav_read(file, 44, &out, why, sizeof why), -1);
    cr_assert(strstr(why, "no sound"), "%s", why);
}

Test(ivr_wav, resampling_keeps_a_tone_and_drops_what_a_line_cannot_carry)
{
    static int16_t in[48000];
    static const uint32_t rates[] = {11025, 16000, 22050, 44100, 48000};
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        int16_t *out = NULL;
        tone(in, rates[i], 1000, rates[i]);
        int64_t n = ivr_resample(in, rates[i], rates[i], IVR_RATE, &out);
        cr_assert(llabs(n - (int64_t)IVR_RATE) <= 1, "%u: %lld samples", rates[i], (long long)n);
        cr_assert_gt(share(out + 400, 7200, 1000), 0.995, "%u", rates[i]);
        free(out);
        if (rates[i] < 16000)
            continue;
        tone(in, rates[i], 5500, rates[i]); /* above half of 8 kHz: would come back as 2,500 Hz */
        n = ivr_resample(in, rates[i], rates[i], IVR_RATE, &out);
        double peak = 0;
        for (int64_t k = 400; k < n - 400; k++)
            peak = fabs((double)out[k]) > peak ? fabs((double)out[k]) : peak;
        cr_assert_lt(peak, 160, "%u: an alias of %.0f of 16000", rates[i], peak);
        free(out);
    }
}

Test(ivr_g711, the_loudest_sample_keeps_its_sign)
{
    int16_t in[2] = {INT16_MIN, INT16_MAX};
    uint8_t u[2], a[2];
    ivr_ulaw_encode(in, 2, u);
    ivr_alaw_encode(in, 2, a);
    cr_assert(ivr_ulaw_decode(u[0]) < -30000 && ivr_ulaw_decode(u[1]) > 30000);
    cr_assert(ivr_alaw_decode(a[0]) < -30000 && ivr_alaw_decode(a[1]) > 30000);
}

/* ---- the store: on its loop, with media files made up here ---- */

#define CLIP_SAMPLES 1600u

static int64_t media_size(uint64_t media)
{
    (void)media;
    return 44 + 2 * CLIP_SAMPLES;
}

static int64_t media_read(uint64_t media, int64_t offset, void *out, size_t n)
{
    static uint8_t file[44 + 2 * CLIP_SAMPLES];
    (void)header(file, media == 666 ? 99 : 1, 1, 8000, 16, 2 * CLIP_SAMPLES);
    size_t some = n > 1000 ? 1000 : n; /* a short read is no error */
    memcpy(out, file + offset, some);
    return (int64_t)some;
}

struct get {
    struct ivr_clips *clips;
    struct ivr_source source;
    struct ivr_clip_wait wait;
    struct ivr_clip *clip;
    sem_t done;
    struct ivr_clips_stats stats;
};

static void on_done(void *arg)
{
    (void)sem_post(&((struct get *)arg)->done);
}

static void do_get(void *arg)
{
    struct get *g = arg;
    g->wait = (struct ivr_clip_wait){.done = on_done, .arg = g};
    g->clip = ivr_clip_get(g->clips, &g->source, &g->wait);
    if (!g->clip || ivr_clip_state(g->clip) != IVR_CLIP_MAKING)
        (void)sem_post(&g->done);
}

static void do_put(void *arg)
{
    struct get *g = arg;
    ivr_clip_put(g->clip);
    ivr_clips_stats(g->clips, &g->stats);
}

static enum ivr_clip_state get(struct get *g, const struct ivr_source *source)
{
    struct timespec until;
    g->source = *source;
    (void)sem_init(&g->done, 0, 0);
    ivr_loop_call(do_get, g);
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 15;
    cr_assert_eq(sem_timedwait(&g->done, &until), 0, "the clip was never made");
    return ivr_clip_state(g->clip);
}

static void do_free(void *arg)
{
    ivr_clips_free(arg);
}

static struct ivr_clips *open_store(uint64_t max_bytes, const char *command)
{
    struct ivr_clips_conf conf = {.workers = 2,
                                  .max_bytes = max_bytes,
                                  .command = command,
                                  .timeout_ms = 10000, /* a program may take that long to start */
                                  .media_size = media_size,
                                  .media_read = media_read};
    struct ivr_clips *s = NULL;
    cr_assert_eq(ivr_loop_hold(), 0);
    cr_assert_eq(ivr_clips_new(&s, &conf), 0);
    return s;
}

static void close_store(struct ivr_clips *s)
{
    ivr_clips_stop(s);
    ivr_loop_call(do_free, s);
    ivr_loop_release();
}

Test(ivr_clip, a_source_is_made_once_and_what_failed_is_tried_again)
{
    struct ivr_clips *s = open_store(1u << 20, "false");
    struct get a = {.clips = s}, b = {.clips = s};
    struct ivr_source file = {.media = 7}, noise = {.media = 666},
                      text = {.text = "Hello.", .voice = "en"};
    cr_assert_eq(get(&a, &file), IVR_CLIP_READY);
    cr_assert_eq(ivr_clip_sound(a.clip)->n, CLIP_SAMPLES);
    cr_assert_eq(get(&b, &file), IVR_CLIP_READY);
    cr_assert_eq(a.clip, b.clip);
    ivr_loop_call(do_put, &a);
    ivr_loop_call(do_put, &b);
    cr_assert(b.stats.made == 1 && b.stats.hits == 1);
    cr_assert_eq(get(&a, &noise), IVR_CLIP_FAILED);
    cr_assert(strstr(ivr_clip_why(a.clip), "PCM") && !ivr_clip_is_speech(a.clip));
    ivr_loop_call(do_put, &a);
    cr_assert_eq(get(&b, &text), IVR_CLIP_FAILED);
    cr_assert(strstr(ivr_clip_why(b.clip), "failed") && ivr_clip_is_speech(b.clip));
    ivr_loop_call(do_put, &b);
    cr_assert_eq(get(&b, &text), IVR_CLIP_FAILED);
    ivr_loop_call(do_put, &b);
    cr_assert_eq(b.stats.failed, 3, "a text that failed is spoken again");
    close_store(s);
}

Test(ivr_clip, the_store_is_bounded_and_keeps_what_is_held_and_what_was_used_last)
{
    struct ivr_clips *s = open_store(3 * 2 * CLIP_SAMPLES + 100, "false");
    struct get held = {.clips = s}, g = {.clips = s};
    cr_assert_eq(get(&held, &(struct ivr_source){.media = 1}), IVR_CLIP_READY);
    for (uint64_t i = 2; i < 40; i++) {
        cr_assert_eq(get(&g, &(struct ivr_source){.media = i}), IVR_CLIP_READY);
        ivr_loop_call(do_put, &g);
        cr_assert(g.stats.bytes <= 3 * 2 * CLIP_SAMPLES + 100, "%llu bytes",
                  (unsigned long long)g.stats.bytes);
    }
    cr_assert_eq(g.stats.clips, 3);
    uint64_t made = g.stats.made;
    cr_assert_eq(get(&g, &(struct ivr_source){.media = 39}), IVR_CLIP_READY);
    ivr_loop_call(do_put, &g);
    cr_assert_eq(g.stats.made, made, "the last one is still there");
    cr_assert_eq(get(&g, &(struct ivr_source){.media = 2}), IVR_CLIP_READY);
    ivr_loop_call(do_put, &g);
    cr_assert_eq(g.stats.made, made + 1, "the oldest was dropped");
    ivr_loop_call(do_put, &held);
    close_store(s);
}
