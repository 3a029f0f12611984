/* SPDX-License-Identifier: Apache-2.0 */
/* rate.h - how fast an account sends: a token bucket of messages, and a window that gives way when
 * the message centre pushes back. Pure arithmetic: time comes in as an argument. */
#ifndef MMS_RATE_H
#define MMS_RATE_H

#include <stdbool.h>
#include <stdint.h>

#define MMS_BURST_MS 50 /* an idle bucket saves up this much */

struct mms_bucket {
    int64_t rate;      /* messages per second, 0 = no limit */
    int64_t millis;    /* thousandths of a message available */
    int64_t filled_ms; /* when `millis` was true */
};
void mms_bucket_init(struct mms_bucket *b, int64_t rate, int64_t now_ms);
bool mms_bucket_take(struct mms_bucket *b, int64_t now_ms);
int64_t mms_bucket_has(struct mms_bucket *b, int64_t now_ms);     /* whole messages */
int64_t mms_bucket_wait_ms(struct mms_bucket *b, int64_t now_ms); /* until the next, 0 = now */

/* Pauses and the window of an account. */
struct mms_pace {
    int64_t pause_min_ms, pause_max_ms;
    int64_t next_pause_ms, until_ms; /* nothing is sent before */
    uint32_t window, limit;          /* most in flight: configured, now */
    uint32_t good;                   /* accepted since the limit last grew */
    int64_t cut_ms;                  /* when it was last cut */
};
void mms_pace_init(struct mms_pace *p, uint32_t window, int64_t pause_min_ms, int64_t pause_max_ms);
void mms_pace_good(struct mms_pace *p);
/* An answer to what was written at written_ms says stop: one pause per event, however many answers
 * of the same window tell of it. at_least_ms: what the peer asked for, 0 none. \return the pause.
 */
int64_t mms_pace_throttled(struct mms_pace *p, int64_t written_ms, int64_t at_least_ms,
                           int64_t now_ms);
void mms_pace_probe(struct mms_pace *p); /* one at a time until something is good */

#endif
