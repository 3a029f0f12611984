/* SPDX-License-Identifier: Apache-2.0 */
/* rate.h - how fast: a token bucket counted in parts, the adaptive limit that follows the peer's
 * throttling answers, and the reconnect back-off. Pure arithmetic: time and random numbers come in
 * as arguments. Must not send, log or read a clock. Source: SMPP v3.4 issue 1.2, 5.1.3
 * (ESME_RTHROTTLED, ESME_RMSGQFUL). */
#ifndef SMPP_RATE_H
#define SMPP_RATE_H

#include <stdbool.h>
#include <stdint.h>

/* ---- token bucket; one token is one part (one submit_sm)
 * ------------------------------------------------------- */
#define SMPP_BURST_MS                                                                              \
    50 /* an idle bucket saves up this much: peers count per second and refuse larger bursts */

struct smpp_bucket {
    int64_t rate;      /* parts per second, 0 = no limit */
    int64_t millis;    /* thousandths of a part available */
    int64_t filled_ms; /* when `millis` was true */
};

void smpp_bucket_init(struct smpp_bucket *b, int64_t rate, int64_t now_ms);
void smpp_bucket_set_rate(struct smpp_bucket *b, int64_t rate, int64_t now_ms);
bool smpp_bucket_take(struct smpp_bucket *b, int64_t now_ms);
void smpp_bucket_give_back(struct smpp_bucket *b); /* a taken part was not written after all */
int64_t smpp_bucket_wait_ms(struct smpp_bucket *b,
                            int64_t now_ms); /* until the next part, 0 = now */
int64_t smpp_bucket_within(struct smpp_bucket *b, int64_t horizon_ms,
                           int64_t now_ms); /* parts possible by then */

/* ---- adaptive limit
 * --------------------------------------------------------------------------------------------- */
struct smpp_aimd_conf {
    int64_t pause_min_ms, pause_max_ms; /* first and longest pause after a throttling answer */
};

struct smpp_aimd {
    struct smpp_aimd_conf conf;
    int64_t limit;          /* parts per second, 0 = none imposed by the peer's answers */
    int64_t ceiling;        /* the speed before the first cut: recovery aims there */
    int64_t pause_ms;       /* next full pause */
    int64_t pause_until_ms; /* nothing is written before */
    int64_t
        reacted_ms; /* answers to parts written before this belong to an event already dealt with */
    int64_t raised_ms, cut_ms;
    int64_t refused_ms;   /* the last throttled answer */
    int64_t window_ms;    /* start of the present measuring second */
    int64_t sent, speed;  /* parts written in it; parts per second of the one before */
    uint32_t refused_q16; /* smoothed share of throttled answers, 65536 = all */
    bool accepted_since;  /* something was accepted since the last reaction */
};

void smpp_aimd_init(struct smpp_aimd *a, const struct smpp_aimd_conf *conf, int64_t now_ms);
void smpp_aimd_wrote(struct smpp_aimd *a, int64_t now_ms);
void smpp_aimd_accepted(struct smpp_aimd *a, int64_t now_ms);
/* The peer throttled a part written at written_ms. \return true when this started a new pause.
 * `random` is any 32 bits. */
bool smpp_aimd_throttled(struct smpp_aimd *a, int64_t written_ms, int64_t now_ms, uint32_t random);
bool smpp_aimd_is_paused(const struct smpp_aimd *a, int64_t now_ms);

/* ---- reconnect back-off
 * ----------------------------------------------------------------------------------------- */
struct smpp_backoff {
    int64_t min_ms, max_ms, next_ms;
    uint32_t tries;
};

void smpp_backoff_init(struct smpp_backoff *b, int64_t min_ms, int64_t max_ms);
int64_t smpp_backoff_step(struct smpp_backoff *b,
                          uint32_t random); /* wait this long; half of it is jitter */
void smpp_backoff_reset(struct smpp_backoff *b);

#endif
