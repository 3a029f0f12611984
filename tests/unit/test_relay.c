/* SPDX-License-Identifier: Apache-2.0 */
/* test_relay.c - blocks between two threads: each once, in order, by one side at a time; errors. */
#include "base/relay.h"

#include <criterion/criterion.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { BLOCKS = 20000, NONE = -1 };

struct block {
    atomic_bool filling, taking;
    int64_t number;
};
struct job {
    struct block block[RELAY_BLOCKS];
    int64_t next, fail_at; /* number of the block at which taking fails, NONE */
    bool overlap, disorder;
};

static int take(void *ctx, void *block, struct diag *diag)
{
    struct job *j = ctx;
    struct block *b = block;
    atomic_store(&b->taking, true);
    j->overlap = j->overlap || atomic_load(&b->filling);
    j->disorder = j->disorder || b->number != j->next;
    j->next++;
    for (volatile int i = 0; i < (int)(b->number % 7) * 100; i++)
        ; /* now one side is the slower one, now the other */
    atomic_store(&b->taking, false);
    return j->fail_at == b->number
               ? diag_set(diag, CGW_ELIMIT, "here", "block %d is too much", (int)b->number)
               : 0;
}

static struct relay *begin(struct job *j, int64_t fail_at)
{
    struct diag why = {0};
    void *each[RELAY_BLOCKS];
    *j = (struct job){.fail_at = fail_at};
    for (size_t i = 0; i < RELAY_BLOCKS; i++)
        each[i] = &j->block[i];
    struct relay *r = relay_new(each, take, j, &why);
    cr_assert(r, "%s", why.text);
    return r;
}

static int fill(struct relay *r, int64_t number, struct diag *why)
{
    struct block *b = relay_block(r);
    cr_assert_not(atomic_load(&b->taking), "block %lld is still being taken", (long long)number);
    atomic_store(&b->filling, true);
    b->number = number;
    for (volatile int i = 0; i < (int)(number % 5) * 100; i++)
        ;
    atomic_store(&b->filling, false);
    return relay_pass(r, why);
}

TestSuite(relay, .timeout = 60);

Test(relay, passes_each_block_once_and_in_order)
{
    struct job j;
    struct diag why = {0};
    struct relay *r = begin(&j, NONE);
    for (int64_t i = 0; i < BLOCKS; i++)
        cr_assert_eq(fill(r, i, &why), 0);
    cr_expect_eq(relay_end(r, &why), 0);
    cr_expect_eq(j.next, BLOCKS, "taken when the end returns: %lld", (long long)j.next);
    cr_expect_not(j.disorder);
    cr_expect_not(j.overlap);
}

Test(relay, ends_with_nothing_passed)
{
    struct job j;
    struct diag why = {0};
    cr_expect_eq(relay_end(begin(&j, NONE), &why), 0);
    cr_expect_eq(j.next, 0);
    cr_expect_eq(relay_end(NULL, &why), 0);
}

Test(relay, tells_an_error_at_the_next_block_and_takes_none_after_it)
{
    struct job j;
    struct diag why = {0};
    struct relay *r = begin(&j, 3);
    int rc = 0;
    int64_t i = 0;
    for (; rc == 0 && i < BLOCKS; i++)
        rc = fill(r, i, &why);
    cr_expect_eq(rc, CGW_ELIMIT);
    cr_expect(i > 3 && i <= 4 + (int64_t)RELAY_BLOCKS, "%lld blocks were filled", (long long)i);
    cr_expect(!strcmp(why.where, "here") && strstr(why.text, "block 3"), "%s", why.text);
    cr_expect_eq(relay_pass(r, &why), CGW_ELIMIT);
    why = (struct diag){0};
    cr_expect_eq(relay_end(r, &why), CGW_ELIMIT);
    cr_expect(strstr(why.text, "block 3"), "%s", why.text);
    cr_expect_eq(j.next, 4);
}

Test(relay, tells_an_error_of_the_last_block_at_the_end)
{
    struct job j;
    struct diag why = {0};
    struct relay *r = begin(&j, 0);
    int rc = fill(r, 0, &why);
    cr_expect(rc == 0 || rc == CGW_ELIMIT);
    cr_expect_eq(relay_end(r, &why), CGW_ELIMIT);
}
