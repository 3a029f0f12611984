/* SPDX-License-Identifier: Apache-2.0 */
/* test_smpp_rate.c - token bucket, adaptive limit and back-off of channel_smpp, with a clock of its
 * own. */
#include "rate.h"

#include <criterion/criterion.h>

static const struct smpp_aimd_conf CONF = {.pause_min_ms = 100, .pause_max_ms = 5000};

/* Parts a bucket lets through from now_ms for span_ms, asked every step_ms. */
static int64_t drain(struct smpp_bucket *b, int64_t now_ms, int64_t span_ms, int64_t step_ms)
{
    int64_t n = 0;
    for (int64_t t = now_ms; t < now_ms + span_ms; t += step_ms)
        while (smpp_bucket_take(b, t))
            n++;
    return n;
}

Test(smpp_bucket, lets_exactly_the_rate_through)
{
    static const int64_t rates[] = {1, 7, 10, 100, 333, 20000};
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        struct smpp_bucket b;
        smpp_bucket_init(&b, rates[i], 1000);
        int64_t n = drain(&b, 1000, 10000, 1);
        cr_assert(n >= rates[i] * 10 - rates[i] / 1000 - 1 && n <= rates[i] * 10 + 1,
                  "rate %lld gave %lld in 10 s", (long long)rates[i], (long long)n);
    }
}

Test(smpp_bucket, saves_up_no_more_than_the_burst)
{
    struct smpp_bucket b;
    smpp_bucket_init(&b, 1000, 0);
    int64_t n = 0;
    while (smpp_bucket_take(&b, 3600000))
        n++;
    cr_assert_eq(n, 1000 * SMPP_BURST_MS / 1000);
}

Test(smpp_bucket, without_a_rate_never_waits)
{
    struct smpp_bucket b;
    smpp_bucket_init(&b, 0, 0);
    for (int i = 0; i < 100000; i++)
        cr_assert(smpp_bucket_take(&b, 0));
    cr_assert_eq(smpp_bucket_wait_ms(&b, 0), 0);
}

Test(smpp_bucket, tells_when_the_next_part_may_go)
{
    struct smpp_bucket b;
    smpp_bucket_init(&b, 3, 0);
    cr_assert(smpp_bucket_take(&b, 0));
    int64_t wait_ms = smpp_bucket_wait_ms(&b, 0);
    cr_assert_eq(wait_ms, 334);
    cr_assert_not(smpp_bucket_take(&b, wait_ms - 1));
    cr_assert(smpp_bucket_take(&b, wait_ms));
}

Test(smpp_bucket, takes_back_what_was_not_written)
{
    struct smpp_bucket b;
    smpp_bucket_init(&b, 1, 0);
    cr_assert(smpp_bucket_take(&b, 0));
    cr_assert_not(smpp_bucket_take(&b, 0));
    smpp_bucket_give_back(&b);
    cr_assert(smpp_bucket_take(&b, 0));
}

Test(smpp_bucket, survives_a_clock_that_stands_or_goes_back)
{
    struct smpp_bucket b;
    smpp_bucket_init(&b, 10, 1000);
    cr_assert(smpp_bucket_take(&b, 1000));
    cr_assert_not(smpp_bucket_take(&b, 500));
    cr_assert_eq(smpp_bucket_within(&b, 1000, 500), 10);
}

/* A peer that takes `capacity` parts a second and throttles the rest; window `window`, answers
 * after rtt_ms. \return parts accepted within span_ms; *ret_refused the others. */
static int64_t play(struct smpp_aimd *a, int64_t capacity, int64_t span_ms, int64_t *ret_refused)
{
    struct smpp_bucket limit, peer;
    int64_t accepted = 0;
    smpp_bucket_init(&limit, 0, 0);
    smpp_bucket_init(&peer, capacity, 0);
    *ret_refused = 0;
    for (int64_t now_ms = 1; now_ms < span_ms; now_ms++) {
        if (smpp_aimd_is_paused(a, now_ms))
            continue;
        smpp_bucket_set_rate(&limit, a->limit, now_ms);
        for (int k = 0; k < 10 && smpp_bucket_take(&limit, now_ms); k++) {
            smpp_aimd_wrote(a, now_ms);
            if (smpp_bucket_take(&peer, now_ms)) {
                smpp_aimd_accepted(a, now_ms);
                accepted++;
            } else {
                (*ret_refused)++;
                (void)smpp_aimd_throttled(a, now_ms, now_ms, (uint32_t)now_ms * 2654435761u);
            }
        }
    }
    return accepted;
}

Test(smpp_aimd, settles_near_what_the_peer_takes)
{
    static const int64_t capacities[] = {50, 200, 1000};
    for (size_t i = 0; i < sizeof capacities / sizeof capacities[0]; i++) {
        struct smpp_aimd a;
        int64_t refused;
        smpp_aimd_init(&a, &CONF, 0);
        int64_t accepted = play(&a, capacities[i], 60000, &refused);
        cr_expect(accepted > capacities[i] * 60 * 7 / 10, "capacity %lld: only %lld in 60 s",
                  (long long)capacities[i], (long long)accepted);
        cr_expect(refused * 5 < accepted, "capacity %lld: %lld refused", (long long)capacities[i],
                  (long long)refused);
    }
}

Test(smpp_aimd, is_not_slowed_down_by_one_refusal_in_fifty)
{
    struct smpp_aimd a;
    int64_t paused_ms = 0, written = 0;
    smpp_aimd_init(&a, &CONF, 0);
    for (int64_t now_ms = 1; now_ms < 10000; now_ms++) {
        if (smpp_aimd_is_paused(&a, now_ms)) {
            paused_ms++;
            continue;
        }
        for (int k = 0; k < 10; k++) {
            smpp_aimd_wrote(&a, now_ms);
            if (++written % 50 == 0)
                (void)smpp_aimd_throttled(&a, now_ms, now_ms, 12345);
            else
                smpp_aimd_accepted(&a, now_ms);
        }
    }
    cr_assert_eq(a.limit, 0);
    cr_assert_gt(written, 10000);
}

Test(smpp_aimd, reacts_once_to_a_window_of_refusals)
{
    struct smpp_aimd a;
    int reactions = 0;
    smpp_aimd_init(&a, &CONF, 0);
    for (int i = 0; i < 100; i++)
        smpp_aimd_wrote(&a, 1000);
    for (int i = 0; i < 100; i++)
        reactions += smpp_aimd_throttled(&a, 1000, 1010, 7);
    cr_assert_eq(reactions, 1);
}

Test(smpp_aimd, doubles_the_pause_while_nothing_is_accepted_and_starts_over_afterwards)
{
    struct smpp_aimd a;
    int64_t now_ms = 1000;
    smpp_aimd_init(&a, &CONF, 0);
    for (int i = 0; i < 20; i++) {
        now_ms = (a.pause_until_ms > now_ms ? a.pause_until_ms : now_ms) + 1;
        cr_assert(smpp_aimd_throttled(&a, now_ms, now_ms, 0xffffffffu));
        cr_assert_leq(a.pause_until_ms - now_ms, CONF.pause_max_ms * 5 / 4 + 1);
    }
    cr_assert_eq(a.pause_ms, CONF.pause_max_ms);
    now_ms = a.pause_until_ms;
    smpp_aimd_accepted(&a, now_ms);
    cr_assert(smpp_aimd_throttled(&a, now_ms + 1, now_ms + 1, 0));
    cr_assert_eq(a.pause_ms, CONF.pause_min_ms);
}

Test(smpp_aimd, forgets_the_limit_when_the_peer_is_well_again)
{
    struct smpp_aimd a;
    int64_t refused;
    smpp_aimd_init(&a, &CONF, 0);
    (void)play(&a, 100, 10000, &refused);
    cr_assert_gt(a.limit, 0);
    for (int64_t now_ms = 10000; now_ms < 130000; now_ms += 5)
        smpp_aimd_accepted(&a, now_ms);
    cr_assert_eq(a.limit, 0);
}

/* 200 a second, then half a minute in which everything is refused, then a peer that takes all. */
Test(smpp_aimd, is_back_at_its_speed_within_seconds_after_a_storm)
{
    struct smpp_aimd a;
    struct smpp_bucket limit, offered;
    int64_t now_ms = 1;
    smpp_aimd_init(&a, &CONF, 0);
    smpp_bucket_init(&limit, 0, 0);
    smpp_bucket_init(&offered, 200, 0);
    for (; now_ms < 60000; now_ms++) {
        bool storm = now_ms > 5000 && now_ms <= 35000;
        if (now_ms > 35000 && (a.limit == 0 || a.limit >= a.ceiling))
            break;
        smpp_bucket_set_rate(&limit, a.limit, now_ms);
        if (smpp_aimd_is_paused(&a, now_ms) || smpp_bucket_wait_ms(&offered, now_ms) > 0 ||
            !smpp_bucket_take(&limit, now_ms))
            continue;
        (void)smpp_bucket_take(&offered, now_ms);
        smpp_aimd_wrote(&a, now_ms);
        for (int k = 0; storm && k < 20; k++) /* a window of them */
            (void)smpp_aimd_throttled(&a, now_ms, now_ms, (uint32_t)now_ms * 2654435761u);
        if (!storm)
            smpp_aimd_accepted(&a, now_ms);
    }
    cr_assert_lt(now_ms, 35000 + 20000, "limit still %lld of %lld", (long long)a.limit,
                 (long long)a.ceiling);
}

Test(smpp_backoff, grows_to_its_maximum_with_jitter_and_starts_over)
{
    struct smpp_backoff b;
    smpp_backoff_init(&b, 1000, 60000);
    for (uint32_t i = 0, base = 1000; i < 12; i++) {
        uint32_t random = i * 2654435761u;
        int64_t wait_ms = smpp_backoff_step(&b, random);
        cr_assert(wait_ms >= base / 2 && wait_ms <= base, "step %u waits %lld of %u", i,
                  (long long)wait_ms, base);
        base = base * 2 > 60000 ? 60000 : base * 2;
    }
    cr_assert_eq(b.tries, 12);
    smpp_backoff_reset(&b);
    cr_assert_leq(smpp_backoff_step(&b, 0), 1000);
}

Test(smpp_backoff, does_not_keep_several_binds_in_step)
{
    struct smpp_backoff a, b;
    smpp_backoff_init(&a, 1000, 60000);
    smpp_backoff_init(&b, 1000, 60000);
    cr_assert_neq(smpp_backoff_step(&a, 17), smpp_backoff_step(&b, 400));
}
