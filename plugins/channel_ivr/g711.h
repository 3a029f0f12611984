/* SPDX-License-Identifier: Apache-2.0 */
/* g711.h - A-law and mu-law (ITU-T G.711). g711.c is the only file that knows librem. */
#ifndef IVR_G711_H
#define IVR_G711_H

#include <stddef.h>
#include <stdint.h>

#define IVR_ULAW_SILENCE 0xffu
#define IVR_ALAW_SILENCE 0xd5u

int16_t ivr_ulaw_decode(uint8_t v);
int16_t ivr_alaw_decode(uint8_t v);
void ivr_ulaw_encode(const int16_t *in, size_t n, uint8_t *out);
void ivr_alaw_encode(const int16_t *in, size_t n, uint8_t *out);

#endif
