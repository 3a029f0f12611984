/* SPDX-License-Identifier: Apache-2.0 */
/* wav.c - RIFF WAVE reader. Trusts no length in the file: a chunk that is longer than what is left
 * is cut (espeak-ng writes such headers to a pipe). Format: "Multimedia Programming Interface and
 * Data Specifications 1.0" (1991), WAVE; tags of RFC 2361. */
#include "wav.h"
#include "g711.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WAVE_PCM = 1, WAVE_ALAW = 6, WAVE_ULAW = 7, WAVE_EXTENSIBLE = 0xfffe };

struct wav {
    uint32_t tag, channels, rate, bits;
    const uint8_t *data;
    size_t len;
};

static uint32_t u16(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t u32(const uint8_t *p)
{
    return u16(p) | u16(p + 2) << 16;
}

static int64_t bad(char *why, size_t size, const char *text)
{
    (void)snprintf(why, size, "%s", text);
    return -1;
}

static void read_fmt(struct wav *w, const uint8_t *p, size_t len)
{
    if (len < 16)
        return;
    w->tag = u16(p);
    w->channels = u16(p + 2);
    w->rate = u32(p + 4);
    w->bits = u16(p + 14);
    if (w->tag == WAVE_EXTENSIBLE && len >= 40) /* the sub-format's first word is the tag */
        w->tag = u16(p + 24);
}

static void find_chunks(struct wav *w, const uint8_t *d, size_t len)
{
    size_t at = 12;
    while (!w->data && at + 8 <= len) {
        size_t room = len - at - 8, n = u32(d + at + 4);
        const uint8_t *body = d + at + 8;
        if (n > room)
            n = room;
        if (memcmp(d + at, "fmt ", 4) == 0)
            read_fmt(w, body, n);
        else if (memcmp(d + at, "data", 4) == 0) {
            w->data = body;
            w->len = n;
        }
        at += 8 + n + (n & 1);
    }
}

static int sample(const struct wav *w, const uint8_t *p)
{
    switch (w->tag) {
    case WAVE_ALAW:
        return ivr_alaw_decode(*p);
    case WAVE_ULAW:
        return ivr_ulaw_decode(*p);
    default:
        return w->bits == 8 ? (*p - 128) * 256 : (int16_t)u16(p);
    }
}

static int16_t *to_mono(const struct wav *w, size_t frames)
{
    size_t width = w->bits / 8;
    int16_t *out = malloc(frames * sizeof *out);
    for (size_t i = 0; out && i < frames; i++) {
        int sum = 0;
        for (uint32_t c = 0; c < w->channels; c++)
            sum += sample(w, w->data + (i * w->channels + c) * width);
        out[i] = (int16_t)(sum / (int)w->channels);
    }
    return out;
}

int64_t ivr_wav_read(const uint8_t *d, size_t len, int16_t **ret, char *why, size_t size)
{
    struct wav w = {0};
    if (len > IVR_WAV_BYTES)
        return bad(why, size, "the file is larger than 64 MiB");
    if (len < 12 || memcmp(d, "RIFF", 4) != 0 || memcmp(d + 8, "WAVE", 4) != 0)
        return bad(why, size, "not a RIFF WAVE file");
    find_chunks(&w, d, len);
    if (!w.data || w.channels == 0)
        return bad(why, size, "the file has no fmt chunk before its data chunk");
    bool law = w.tag == WAVE_ALAW || w.tag == WAVE_ULAW;
    if (!(law && w.bits == 8) && !(w.tag == WAVE_PCM && (w.bits == 8 || w.bits == 16)))
        return bad(why, size, "only PCM of 8 or 16 bits, A-law and mu-law are played");
    if (w.channels > 8 || w.rate < IVR_WAV_RATE_MIN || w.rate > IVR_WAV_RATE_MAX)
        return bad(why, size, "1 to 8 channels and 4,000 to 192,000 samples a second are played");
    size_t frames = w.len / (w.channels * (w.bits / 8));
    if (frames == 0)
        return bad(why, size, "the file holds no sound");
    if (frames / w.rate >= IVR_CLIP_MAX_S)
        return bad(why, size, "the sound is longer than 300 seconds");
    int16_t *mono = to_mono(&w, frames);
    if (!mono)
        return bad(why, size, "there is no memory for the sound");
    if (w.rate == IVR_RATE) {
        *ret = mono;
        return (int64_t)frames;
    }
    int64_t n = ivr_resample(mono, frames, w.rate, IVR_RATE, ret);
    free(mono);
    return n > 0 ? n : bad(why, size, "the sound is too short or there is no memory for it");
}

/* ---- resampling ---- */

#define SINC_LOBES 12 /* zero crossings on either side: > 60 dB of what would alias */
#define SINC_STEPS 64 /* positions between two samples that the table knows */

/* One row of taps for each fraction of a sample; a table, because sin() per tap costs 20 times. */
static double *sinc_table(double cutoff, int half)
{
    int taps = 2 * half + 1;
    double *t = malloc((size_t)SINC_STEPS * (size_t)taps * sizeof *t);
    for (int s = 0; t && s < SINC_STEPS; s++) {
        double sum = 0, *row = t + (size_t)s * (size_t)taps;
        for (int k = 0; k < taps; k++) {
            double d = k - half - (double)s / SINC_STEPS, x = M_PI * d * cutoff;
            double window = 0.5 + 0.5 * cos(M_PI * d / (half + 1));
            row[k] = (fabs(d) < 1e-9 ? 1 : sin(x) / x) * window;
            sum += row[k];
        }
        for (int k = 0; k < taps; k++)
            row[k] /= sum; /* constant in, the same constant out */
    }
    return t;
}

static int16_t one_output(const int16_t *in, int64_t n, double at, const double *table, int half)
{
    int64_t base = (int64_t)at;
    const double *row = table + (size_t)((at - (double)base) * SINC_STEPS) * (size_t)(2 * half + 1);
    double acc = 0;
    for (int k = -half; k <= half; k++) {
        int64_t i = base + k;
        acc += row[k + half] * in[i < 0 ? 0 : i >= n ? n - 1 : i];
    }
    return (int16_t)(acc > 32767 ? 32767 : acc < -32768 ? -32768 : lrint(acc));
}

int64_t ivr_resample(const int16_t *in, size_t n, uint32_t from, uint32_t to, int16_t **ret)
{
    double step = (double)from / to, cutoff = from > to ? 0.92 * to / from : 0.98;
    int half = (int)ceil(SINC_LOBES / cutoff);
    int64_t count = (int64_t)((double)n / step);
    double *table = sinc_table(cutoff, half);
    int16_t *out = count > 0 ? malloc((size_t)count * sizeof *out) : NULL;
    for (int64_t i = 0; table && out && i < count; i++)
        out[i] = one_output(in, (int64_t)n, (double)i * step, table, half);
    if (!table) {
        free(out);
        out = NULL;
    }
    free(table);
    *ret = out;
    return out ? count : -1;
}
