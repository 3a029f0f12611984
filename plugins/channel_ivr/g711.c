/* SPDX-License-Identifier: Apache-2.0 */
/* g711.c - see g711.h. */
#include "g711.h"

#include <stdbool.h>
#include <stdlib.h>
#include <re_types.h>
#include <rem_g711.h>

int16_t ivr_ulaw_decode(uint8_t v)
{
    return g711_ulaw2pcm(v);
}

int16_t ivr_alaw_decode(uint8_t v)
{
    return g711_alaw2pcm(v);
}

/* librem negates its argument: the most negative sample has no positive twin */
static int16_t safe(int16_t v)
{
    return v == INT16_MIN ? (int16_t)-INT16_MAX : v;
}

void ivr_ulaw_encode(const int16_t *in, size_t n, uint8_t *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = g711_pcm2ulaw(safe(in[i]));
}

void ivr_alaw_encode(const int16_t *in, size_t n, uint8_t *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = g711_pcm2alaw(safe(in[i]));
}
