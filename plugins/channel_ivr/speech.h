/* SPDX-License-Identifier: Apache-2.0 */
/* speech.h - text to speech by the espeak-ng command. Blocks: for worker threads only. The command
 * is run, never linked: its licence is the GPL, and a crash of it is not ours. */
#ifndef IVR_SPEECH_H
#define IVR_SPEECH_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct ivr_speech {
    const char *command; /* path or name */
    const char *voice;
    int64_t timeout_ms;      /* the child ends then */
    const atomic_bool *stop; /* or when this becomes true; NULL: never */
};

/* \return bytes of a WAV file in *ret (owned), or -1 with a sentence in why. */
int64_t ivr_speak(const struct ivr_speech *s, const char *text, uint8_t **ret, char *why,
                  size_t why_size);

#endif
