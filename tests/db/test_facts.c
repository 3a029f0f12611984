/* SPDX-License-Identifier: Apache-2.0 */
/* test_facts.c - the two ways of reading what policy must know of people, by range and by probe,
 * tell the same. Skipped, with this sentence, when CAMPGW_TEST_DB is unset. */
#include "protocol_fixture.h"

#include "base/clock.h"
#include "policy/calendar.h"

TestSuite(facts, .init = setup, .fini = teardown, .timeout = 60);

#define PART 11
#define PEOPLE 120 /* more than RANGE_PEOPLE_MIN of store_facts.c */

static int64_t ids[PEOPLE];
static struct rules rules;
static struct facts_query query;

static void exec_for(int i, const char *values, const char *table)
{
    run_sql("INSERT INTO %s SELECT %d, %" PRId64 ", %s RETURNING 1", table, PART, ids[i], values);
}

/* Everybody has another mixture of list entries, consents and contacts. */
static void people(void)
{
    uint64_t first;
    randombytes_buf(&first, sizeof first);
    policy_defaults(&rules);
    static const struct cap cap = {
        .rule_id = 1, .slot = 0, .period = CAP_MONTH, .max = 2, .zone = "UTC"};
    rules.caps = &cap;
    rules.n_caps = 1;
    query = (struct facts_query){.part = PART,
                                 .contact_class = CGW_CLASS_MARKETING,
                                 .channel = CGW_CHANNEL_SMS,
                                 .purpose = 1,
                                 .now_ms = clock_utc_ms(),
                                 .rules = &rules,
                                 .cap_mask = 1};
    int32_t period = cap_period_number(&cap, query.now_ms, NULL);
    for (int i = 0; i < PEOPLE; i++) {
        ids[i] = (int64_t)(first >> 3) / 64 * 64 + PART + (int64_t)i * 64 * 100;
        if (i % 2)
            exec_for(i, "1, 0, 1, 't', '', now() - interval '2 days', NULL", "consent");
        if (i % 4 == 1)
            exec_for(i, "1, 1, 2, 't', '', now() - interval '1 day', NULL", "consent");
        if (i % 5 == 0)
            exec_for(i, "0, 1, 0, 2, now()", "dnd");
        if (i % 15 == 0)
            exec_for(i, "2001, 3, 0, 3, now()", "dnd");
        if (i % 3 == 0)
            run_sql(
                "INSERT INTO cap_counter (period, part, customer_id, n) VALUES (%d, %d, %" PRId64
                ", '{2}') RETURNING 1",
                period, PART, ids[i]);
    }
}

static void read_into(struct contact_row *rows, struct facts_habit *habit)
{
    memset(rows, 0, PEOPLE * sizeof *rows);
    for (int i = 0; i < PEOPLE; i++)
        rows[i].customer_id = ids[i];
    query.habit = habit;
    OK(store_facts(db, &query, rows, PEOPLE, &d));
}

static void same(const struct contact_row *a, const struct contact_row *b)
{
    for (int i = 0; i < PEOPLE; i++) {
        cr_assert_eq(a[i].facts.dnd_hits, b[i].facts.dnd_hits, "%d", i);
        cr_assert_eq(a[i].facts.dnd_rule, b[i].facts.dnd_rule, "%d", i);
        cr_assert_eq(a[i].facts.dnd_reason, b[i].facts.dnd_reason, "%d", i);
        cr_assert_eq(a[i].facts.consent, b[i].facts.consent, "%d", i);
        cr_assert_eq(a[i].cap_n[0], b[i].cap_n[0], "%d", i);
        cr_assert_eq(a[i].counted, b[i].counted, "%d", i);
    }
}

Test(facts, are_the_same_by_range_and_by_probe)
{
    static struct contact_row probed[PEOPLE], ranged[PEOPLE];
    struct facts_habit habit = {{0}};
    people();
    read_into(probed, NULL);
    for (int i = 0; i < PEOPLE; i++) {
        cr_assert_eq(probed[i].facts.dnd_hits != 0, i % 5 == 0, "%d", i);
        cr_assert_eq(probed[i].facts.consent, i % 2 == 0 ? 0 : i % 4 == 1 ? 2 : 1, "%d", i);
        cr_assert_eq(probed[i].cap_n[0], i % 3 == 0 ? 2 : 0, "%d", i);
        cr_assert_eq(probed[i].counted, i % 3 == 0, "%d", i);
    }
    read_into(ranged, &habit);
    same(probed, ranged);
    cr_assert_eq(habit.probe_for[FACTS_DND] + habit.probe_for[FACTS_CONSENT], 0);
    /* a list of many others in between: the range is cut off, and must not be believed */
    run_sql("INSERT INTO dnd SELECT %d, %" PRId64
            " + 64 * k, 0, 1, 0, 2, now() FROM generate_series(1, %d) k "
            "WHERE k %% 100 <> 0 RETURNING 1",
            PART, ids[0], PEOPLE * 100 - 101);
    read_into(ranged, &habit);
    same(probed, ranged);
    cr_assert_gt(habit.probe_for[FACTS_DND], 0);
    cr_assert_eq(habit.probe_for[FACTS_CONSENT], 0);
    read_into(ranged, &habit); /* and by the habit of probing */
    same(probed, ranged);
}
