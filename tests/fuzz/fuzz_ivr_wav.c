/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_ivr_wav.c - what comes from outside as bytes: WAV files, and RTP packets (the same input
 * read as both). Promises: a sound of at most 300 s, or a sentence; a packet's payload lies in the
 * packet. Source documents: plugins/channel_ivr/wav.h, rtp.h. */
#include "fuzz_ingest.h"
#include "rtp.h"
#include "wav.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char why[128] = "";
    int16_t *sound = NULL;
    struct rtp_packet p;
    struct rtp_digits d = {0};
    if (size > 1u << 16)
        return 0;
    uint8_t *exact = malloc(size ? size : 1); /* reading past the end is seen */
    CHECK(exact);
    memcpy(exact, data, size);
    int64_t n = ivr_wav_read(exact, size, &sound, why, sizeof why);
    CHECK(n < 0 ? why[0] != '\0' : n >= 1 && n <= (int64_t)IVR_RATE * IVR_CLIP_MAX_S && sound);
    if (n > 0)
        CHECK(sound[0] == sound[0] && sound[n - 1] == sound[n - 1]);
    free(sound);
    if (rtp_read(exact, size, &p)) {
        CHECK(p.payload >= exact && p.payload + p.len <= exact + size);
        char key = rtp_digit(&d, &p);
        CHECK(!key || strchr("0123456789*#ABCD", key));
        CHECK(!rtp_digit(&d, &p));
    }
    free(exact);
    return 0;
}
