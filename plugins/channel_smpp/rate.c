/* SPDX-License-Identifier: Apache-2.0 */
/* rate.c - token bucket, adaptive limit and back-off of one account and its binds.
 * Must not send, log or read a clock. Reasoning: README.md, "How fast it sends". */
#include "rate.h"

#define MILLI 1000
#define NEVER (INT64_MIN / 2) /* before any clock, without overflow in differences */
#define Q16_ONE 65536u
#define SHARE_GAIN                                                                                 \
    64u /* one answer moves the smoothed share by 1/64: a single refusal stays below what is       \
           tolerated */
#define SHARE_TOLERATED                                                                            \
    3277u /* 5 %: a peer at its limit refuses a few; slowing down for those gives speed away */
#define PAUSE_FULL_SHARE 8192u /* 12.5 % and more: the whole pause, below in proportion */
#define SHARE_FORGOTTEN_MS                                                                         \
    1000 /* so long without a refusal: what was refused before says nothing about now. Counting    \
            answers alone takes minutes when a storm has left a few answers a second */
#define RECOVER_S 10 /* additive steps that lead back to the ceiling in this many seconds */
#define QUIET_AFTER_CUT_MS 500 /* no raise that soon after a cut */
#define RAISE_EVERY_MS 100

/* ---- token bucket ---- */

static int64_t bucket_cap(const struct smpp_bucket *b)
{
    int64_t cap = b->rate * SMPP_BURST_MS;
    return cap < MILLI ? MILLI : cap;
}

static void bucket_fill(struct smpp_bucket *b, int64_t now_ms)
{
    int64_t elapsed_ms = now_ms - b->filled_ms;
    if (elapsed_ms <= 0)
        return;
    b->filled_ms = now_ms;
    if (elapsed_ms > 60000)
        elapsed_ms = 60000;            /* the cap is reached long before; keeps the product small */
    b->millis += elapsed_ms * b->rate; /* parts/s times ms = thousandths of a part */
    if (b->millis > bucket_cap(b))
        b->millis = bucket_cap(b);
}

void smpp_bucket_init(struct smpp_bucket *b, int64_t rate, int64_t now_ms)
{
    *b = (struct smpp_bucket){.rate = rate, .millis = MILLI, .filled_ms = now_ms};
}

void smpp_bucket_set_rate(struct smpp_bucket *b, int64_t rate, int64_t now_ms)
{
    bucket_fill(b, now_ms);
    b->rate = rate;
    if (b->millis > bucket_cap(b))
        b->millis = bucket_cap(b);
}

bool smpp_bucket_take(struct smpp_bucket *b, int64_t now_ms)
{
    if (b->rate == 0)
        return true;
    bucket_fill(b, now_ms);
    if (b->millis < MILLI)
        return false;
    b->millis -= MILLI;
    return true;
}

void smpp_bucket_give_back(struct smpp_bucket *b)
{
    if (b->rate == 0)
        return;
    b->millis += MILLI;
    if (b->millis > bucket_cap(b))
        b->millis = bucket_cap(b);
}

int64_t smpp_bucket_wait_ms(struct smpp_bucket *b, int64_t now_ms)
{
    if (b->rate == 0)
        return 0;
    bucket_fill(b, now_ms);
    if (b->millis >= MILLI)
        return 0;
    return (MILLI - b->millis + b->rate - 1) / b->rate;
}

int64_t smpp_bucket_within(struct smpp_bucket *b, int64_t horizon_ms, int64_t now_ms)
{
    if (b->rate == 0)
        return INT32_MAX;
    bucket_fill(b, now_ms);
    return (b->millis + horizon_ms * b->rate) / MILLI;
}

/* ---- adaptive limit ---- */

void smpp_aimd_init(struct smpp_aimd *a, const struct smpp_aimd_conf *conf, int64_t now_ms)
{
    *a = (struct smpp_aimd){
        .conf = *conf,
        .pause_ms = conf->pause_min_ms,
        .reacted_ms = NEVER,
        .cut_ms = NEVER,
        .refused_ms = NEVER,
        .raised_ms = now_ms,
        .window_ms = now_ms,
    };
}

static void aimd_measure(struct smpp_aimd *a, int64_t now_ms)
{
    int64_t elapsed_ms = now_ms - a->window_ms;
    if (elapsed_ms < 1000)
        return;
    a->speed = a->sent * 1000 / elapsed_ms;
    a->sent = 0;
    a->window_ms = now_ms;
}

/* Parts per second right now: the running second once it has some length, else the last full one.
 */
static int64_t aimd_speed(const struct smpp_aimd *a, int64_t now_ms)
{
    int64_t elapsed_ms = now_ms - a->window_ms;
    if (elapsed_ms < 100)
        return a->speed > 0 ? a->speed : a->sent * 10;
    return a->sent * 1000 / elapsed_ms;
}

void smpp_aimd_wrote(struct smpp_aimd *a, int64_t now_ms)
{
    aimd_measure(a, now_ms);
    a->sent++;
}

static void aimd_raise(struct smpp_aimd *a, int64_t now_ms)
{
    int64_t elapsed_ms = now_ms - a->raised_ms;
    if (a->limit == 0 || elapsed_ms < RAISE_EVERY_MS || now_ms - a->cut_ms < QUIET_AFTER_CUT_MS)
        return;
    a->raised_ms = now_ms;
    if (elapsed_ms > 1000)
        elapsed_ms = 1000;
    int64_t step = a->ceiling * elapsed_ms / (RECOVER_S * 1000);
    a->limit += step > 0 ? step : 1;
    if (a->limit >= 2 * a->ceiling)
        a->limit = 0; /* twice the old speed and no complaint: the limit is gone */
}

void smpp_aimd_accepted(struct smpp_aimd *a, int64_t now_ms)
{
    a->refused_q16 -= a->refused_q16 / SHARE_GAIN;
    if (now_ms - a->refused_ms >= SHARE_FORGOTTEN_MS)
        a->refused_q16 = 0;
    a->accepted_since = true;
    if (a->refused_q16 <= SHARE_TOLERATED)
        aimd_raise(a, now_ms);
}

static void aimd_cut(struct smpp_aimd *a, int64_t now_ms)
{
    int64_t base = a->limit;
    if (base == 0) {
        base = aimd_speed(a, now_ms);
        a->ceiling = base > 0 ? base : 1;
    }
    /* Cut by half the share refused: a peer that refuses everything halves us, one that refuses a
     * tenth costs a twentieth. */
    base -= base * (int64_t)a->refused_q16 / (2 * (int64_t)Q16_ONE);
    a->limit = base > 1 ? base : 1;
    a->raised_ms = a->cut_ms = now_ms;
}

static int64_t jittered(int64_t ms, uint32_t random)
{
    return ms - ms / 4 + (int64_t)(random % (uint32_t)(ms / 2 + 1));
}

bool smpp_aimd_throttled(struct smpp_aimd *a, int64_t written_ms, int64_t now_ms, uint32_t random)
{
    a->refused_q16 += (Q16_ONE - a->refused_q16) / SHARE_GAIN;
    a->refused_ms = now_ms;
    if (written_ms <= a->reacted_ms)
        return false; /* same burst: one reaction per event, or a full window would halve the rate a
                         hundred times */
    if (a->reacted_ms != NEVER && !a->accepted_since) {
        a->pause_ms *= 2;
        if (a->pause_ms > a->conf.pause_max_ms)
            a->pause_ms = a->conf.pause_max_ms;
    } else {
        a->pause_ms = a->conf.pause_min_ms;
    }
    if (a->refused_q16 > SHARE_TOLERATED)
        aimd_cut(a, now_ms);
    int64_t pause_ms = a->pause_ms;
    if (a->refused_q16 < PAUSE_FULL_SHARE)
        pause_ms = pause_ms * (int64_t)a->refused_q16 / (int64_t)PAUSE_FULL_SHARE;
    a->pause_until_ms = now_ms + 1 + jittered(pause_ms, random);
    a->reacted_ms = now_ms;
    a->accepted_since = false;
    return true;
}

bool smpp_aimd_is_paused(const struct smpp_aimd *a, int64_t now_ms)
{
    return now_ms < a->pause_until_ms;
}

/* ---- reconnect back-off ---- */

void smpp_backoff_init(struct smpp_backoff *b, int64_t min_ms, int64_t max_ms)
{
    *b = (struct smpp_backoff){.min_ms = min_ms, .max_ms = max_ms, .next_ms = min_ms};
}

int64_t smpp_backoff_step(struct smpp_backoff *b, uint32_t random)
{
    int64_t base_ms = b->next_ms;
    b->next_ms = base_ms > b->max_ms / 2 ? b->max_ms : base_ms * 2;
    b->tries++;
    return base_ms - base_ms / 2 + (int64_t)(random % (uint32_t)(base_ms / 2 + 1));
}

void smpp_backoff_reset(struct smpp_backoff *b)
{
    b->next_ms = b->min_ms;
    b->tries = 0;
}
