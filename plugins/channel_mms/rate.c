/* SPDX-License-Identifier: Apache-2.0 */
/* rate.c - see rate.h. */
#include "rate.h"

static void fill(struct mms_bucket *b, int64_t now_ms)
{
    int64_t most = b->rate * MMS_BURST_MS > 1000 ? b->rate * MMS_BURST_MS : 1000;
    int64_t passed = now_ms - b->filled_ms;
    if (passed > 0) {
        b->millis = passed > 1000 ? most : b->millis + passed * b->rate;
        b->filled_ms = now_ms;
    }
    if (b->millis > most)
        b->millis = most;
}

void mms_bucket_init(struct mms_bucket *b, int64_t rate, int64_t now_ms)
{
    *b = (struct mms_bucket){.rate = rate, .millis = 1000, .filled_ms = now_ms};
}

bool mms_bucket_take(struct mms_bucket *b, int64_t now_ms)
{
    if (b->rate == 0)
        return true;
    fill(b, now_ms);
    if (b->millis < 1000)
        return false;
    b->millis -= 1000;
    return true;
}

int64_t mms_bucket_has(struct mms_bucket *b, int64_t now_ms)
{
    if (b->rate == 0)
        return INT32_MAX;
    fill(b, now_ms);
    return b->millis / 1000;
}

int64_t mms_bucket_wait_ms(struct mms_bucket *b, int64_t now_ms)
{
    if (b->rate == 0)
        return 0;
    fill(b, now_ms);
    return b->millis >= 1000 ? 0 : (1000 - b->millis + b->rate - 1) / b->rate;
}

void mms_pace_init(struct mms_pace *p, uint32_t window, int64_t pause_min_ms, int64_t pause_max_ms)
{
    *p = (struct mms_pace){.pause_min_ms = pause_min_ms,
                           .pause_max_ms = pause_max_ms,
                           .next_pause_ms = pause_min_ms,
                           .window = window,
                           .limit = window};
}

void mms_pace_good(struct mms_pace *p)
{
    p->next_pause_ms = p->pause_min_ms;
    if (p->limit < p->window && ++p->good >= p->limit) {
        p->limit++;
        p->good = 0;
    }
}

int64_t mms_pace_throttled(struct mms_pace *p, int64_t written_ms, int64_t at_least_ms,
                           int64_t now_ms)
{
    int64_t pause = p->next_pause_ms > at_least_ms ? p->next_pause_ms : at_least_ms;
    if (p->cut_ms && written_ms <= p->cut_ms) { /* told by an answer before this one */
        if (now_ms + at_least_ms > p->until_ms && at_least_ms)
            p->until_ms = now_ms + at_least_ms;
        return p->until_ms > now_ms ? p->until_ms - now_ms : p->pause_min_ms;
    }
    p->cut_ms = now_ms;
    p->limit = p->limit > 1 ? p->limit / 2 : 1;
    p->good = 0;
    p->until_ms = now_ms + pause;
    p->next_pause_ms =
        p->next_pause_ms * 2 < p->pause_max_ms ? p->next_pause_ms * 2 : p->pause_max_ms;
    return pause;
}

void mms_pace_probe(struct mms_pace *p)
{
    p->limit = 1;
    p->good = 0;
}
