/* SPDX-License-Identifier: Apache-2.0 */
/* test_refmap.c - what the outcome writer remembers of accepted messages. */
#include "outcome/refmap.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct refmap m;

static void setup(void)
{
    cr_assert_eq(refmap_init(&m), 0);
}

static void teardown(void)
{
    refmap_done(&m);
}

TestSuite(refmap, .init = setup, .fini = teardown);

static void put(int64_t refh, const char *ref, int64_t contact_id, int64_t ts_ms)
{
    struct ref_match x = {.refh = refh, .contact_id = contact_id, .ts_ms = ts_ms, .part = 63};
    (void)snprintf(x.ref, sizeof x.ref, "%s", ref);
    refmap_put(&m, &x, 7);
}

static int64_t take(int64_t refh, const char *ref)
{
    struct ref_match x;
    uint32_t era = 0;
    bool hit = refmap_take(&m, refh, ref, &x, &era);
    cr_assert(!hit || (era == 7 && x.part == 63 && x.refh == refh && !strcmp(x.ref, ref)));
    return hit ? x.contact_id : 0;
}

Test(refmap, gives_a_message_once_and_by_its_text)
{
    put(5, "abc", 11, 1);
    cr_assert_eq(take(5, "abd"), 0, "the hash alone is not enough");
    cr_assert_eq(take(5, "abc"), 11);
    cr_assert_eq(take(5, "abc"), 0);
}

Test(refmap, says_whose_a_message_was_and_keeps_it_for_the_receipt)
{
    struct ref_match x;
    put(5, "abc", 11, 1);
    cr_assert_not(refmap_find(&m, 5, "abd", &x));
    cr_assert(refmap_find(&m, 5, "abc", &x) && x.contact_id == 11 && x.part == 63);
    cr_assert_eq(take(5, "abc"), 11);
    put(5, "abc", 11, 1);
    put(5, "abc", 12, 2);
    cr_assert_not(refmap_find(&m, 5, "abc", &x), "which of the two?");
}

Test(refmap, knows_nothing_for_sure_when_a_peer_uses_an_id_again)
{
    put(5, "abc", 11, 1);
    put(5, "abc", 12, 2);
    cr_assert_eq(take(5, "abc"), 0);
    put(5, "abc", 13, 3);
    cr_assert_eq(take(5, "abc"), 13, "neither of the two is left");
    put(5, "abc", 14, 4);
    refmap_forget(&m, 5, "abd");
    refmap_forget(&m, 5, "abc");
    cr_assert_eq(take(5, "abc"), 0);
}

Test(refmap, lets_the_oldest_of_a_full_bucket_go)
{
    for (int i = 0; i < 5; i++)
        put(1 + (int64_t)i * REFMAP_SLOTS, "x", i + 1, i == 2 ? 0 : 10 + i);
    for (int i = 0; i < 5; i++)
        cr_assert_eq(take(1 + (int64_t)i * REFMAP_SLOTS, "x"), i == 2 ? 0 : i + 1);
}

Test(refmap, leaves_long_ids_and_no_ids_to_the_database)
{
    put(5, "123456789012345678901234", 11, 1);
    put(0, "", 12, 1);
    cr_assert_eq(take(5, "123456789012345678901234"), 0);
    cr_assert_eq(take(0, ""), 0);
}
