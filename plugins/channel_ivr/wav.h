/* SPDX-License-Identifier: Apache-2.0 */
/* wav.h - reads RIFF WAVE files into 8 kHz mono samples, as a telephone line carries them. Pure. */
#ifndef IVR_WAV_H
#define IVR_WAV_H

#include <stddef.h>
#include <stdint.h>

#define IVR_RATE 8000u         /* samples per second of G.711 (ITU-T G.711)           */
#define IVR_WAV_RATE_MIN 4000u /* sample rates that are read                          */
#define IVR_WAV_RATE_MAX 192000u
#define IVR_CLIP_MAX_S 300u       /* longest prompt                                      */
#define IVR_WAV_BYTES (64u << 20) /* largest file                                        */

/**
 * \param ret  owned by the caller (free): samples at IVR_RATE
 * \return number of samples (at least 1), or -1 with a sentence in why.
 * Formats: PCM of 8 or 16 bits, A-law, mu-law; any number of channels up to 8 (averaged).
 */
int64_t ivr_wav_read(const uint8_t *data, size_t len, int16_t **ret, char *why, size_t why_size);

/* Windowed-sinc resampling. \return samples written to *ret (owned), -1 without memory. */
int64_t ivr_resample(const int16_t *in, size_t n, uint32_t from_rate, uint32_t to_rate,
                     int16_t **ret);

#endif
