/* SPDX-License-Identifier: Apache-2.0 */
/* test_smpp_inflight.c - the window table of channel_smpp. */
#include "inflight.h"
#include "proto.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static struct smpp_inflight table(uint32_t window)
{
    struct smpp_inflight f;
    cr_assert_eq(smpp_inflight_init(&f, window), 0);
    return f;
}

Test(smpp_inflight, refuses_a_window_of_none_or_too_many)
{
    struct smpp_inflight f;
    cr_assert_lt(smpp_inflight_init(&f, 0), 0);
    cr_assert_lt(smpp_inflight_init(&f, SMPP_WINDOW_MAX + 1), 0);
}

Test(smpp_inflight, takes_a_window_of_parts_and_no_more)
{
    static const uint32_t windows[] = {1, 2, 10, 500, SMPP_WINDOW_MAX};
    for (size_t i = 0; i < sizeof windows / sizeof windows[0]; i++) {
        struct smpp_inflight f = table(windows[i]);
        for (uint32_t k = 0; k < windows[i]; k++)
            cr_assert_neq(smpp_inflight_add(&f, SMPP_SLOT_PART, NULL, 0, 0), 0);
        cr_assert_eq(smpp_inflight_add(&f, SMPP_SLOT_PART, NULL, 0, 0), 0);
        cr_assert_neq(smpp_inflight_add(&f, SMPP_SLOT_ENQUIRE, NULL, 0, 0), 0,
                      "control PDUs have their own room");
        smpp_inflight_done(&f);
    }
}

Test(smpp_inflight, finds_answers_in_any_order_once)
{
    struct smpp_inflight f = table(100);
    uint32_t seqs[100];
    struct smpp_slot slot;
    for (uint32_t i = 0; i < 100; i++)
        seqs[i] = smpp_inflight_add(&f, SMPP_SLOT_PART, &seqs[i], i, i);
    for (uint32_t i = 0; i < 100; i++) {
        uint32_t k = i * 37 % 100;
        cr_assert(smpp_inflight_take(&f, seqs[k], &slot));
        cr_assert_eq(slot.owner, &seqs[k]);
        cr_assert_eq(slot.part, k);
        cr_assert_not(smpp_inflight_take(&f, seqs[k], &slot),
                      "the second answer to the same number is nobody's");
    }
    cr_assert_eq(f.parts, 0);
    cr_assert_null(smpp_inflight_oldest(&f));
    smpp_inflight_done(&f);
}

Test(smpp_inflight, knows_nothing_of_numbers_never_given)
{
    struct smpp_inflight f = table(10);
    struct smpp_slot slot;
    uint32_t seq = smpp_inflight_add(&f, SMPP_SLOT_PART, NULL, 0, 0);
    cr_assert_null(smpp_inflight_find(&f, 0));
    cr_assert_null(smpp_inflight_find(&f, seq + f.mask + 1), "the same place, another number");
    cr_assert_null(smpp_inflight_find(&f, UINT32_MAX));
    cr_assert_not(smpp_inflight_take(&f, seq + 1, &slot));
    smpp_inflight_done(&f);
}

Test(smpp_inflight, wraps_at_the_highest_number_and_skips_those_in_use)
{
    struct smpp_inflight f = table(10);
    struct smpp_slot slot;
    uint32_t slow = smpp_inflight_add(&f, SMPP_SLOT_PART, NULL, 0, 0);
    cr_assert_eq(slow, 1);
    f.last_seq = SMPP_SEQ_MAX - 1;
    cr_assert_eq(smpp_inflight_add(&f, SMPP_SLOT_PART, NULL, 0, 0), SMPP_SEQ_MAX);
    uint32_t next = smpp_inflight_add(&f, SMPP_SLOT_PART, NULL, 0, 0);
    cr_assert_eq(next, 2, "0 is no number and 1 is still unanswered");
    cr_assert(smpp_inflight_take(&f, slow, &slot));
    smpp_inflight_done(&f);
}

Test(smpp_inflight, never_gives_a_number_twice_while_it_is_unanswered)
{
    struct smpp_inflight f = table(50);
    uint32_t held[50], n = 0;
    struct smpp_slot slot;
    srand(1);
    for (int round = 0; round < 200000; round++) {
        if (n < 50 && (n == 0 || rand() % 2)) {
            uint32_t seq = smpp_inflight_add(&f, SMPP_SLOT_PART, NULL, 0, round);
            cr_assert(seq >= 1 && seq <= SMPP_SEQ_MAX);
            for (uint32_t i = 0; i < n; i++)
                cr_assert_neq(held[i], seq);
            held[n++] = seq;
        } else {
            uint32_t i = (uint32_t)rand() % n;
            cr_assert(smpp_inflight_take(&f, held[i], &slot));
            held[i] = held[--n];
        }
    }
    smpp_inflight_done(&f);
}

Test(smpp_inflight, names_the_part_that_waits_longest_but_no_control_pdu)
{
    struct smpp_inflight f = table(10);
    struct smpp_slot slot;
    (void)smpp_inflight_add(&f, SMPP_SLOT_BIND, NULL, 0, 1);
    uint32_t first = smpp_inflight_add(&f, SMPP_SLOT_PART, NULL, 0, 2);
    uint32_t second = smpp_inflight_add(&f, SMPP_SLOT_QUERY, NULL, 0, 3);
    uint32_t third = smpp_inflight_add(&f, SMPP_SLOT_PART, NULL, 0, 4);
    cr_assert_eq(smpp_inflight_oldest(&f)->seq, first);
    cr_assert(smpp_inflight_take(&f, second, &slot));
    cr_assert(smpp_inflight_take(&f, first, &slot));
    cr_assert_eq(smpp_inflight_oldest(&f)->seq, third);
    smpp_inflight_done(&f);
}

Test(smpp_inflight, forgets_all_but_the_numbers_after_a_loss)
{
    struct smpp_inflight f = table(10);
    uint32_t last = 0;
    for (int i = 0; i < 10; i++)
        last = smpp_inflight_add(&f, SMPP_SLOT_PART, NULL, 0, 0);
    smpp_inflight_clear(&f);
    cr_assert_eq(f.parts, 0);
    cr_assert_null(smpp_inflight_find(&f, last));
    cr_assert_eq(smpp_inflight_add(&f, SMPP_SLOT_PART, NULL, 0, 0), last + 1,
                 "an answer of the old link must not fit a new part");
    smpp_inflight_done(&f);
}
