/* SPDX-License-Identifier: Apache-2.0 */
/* test_retention.c - what goes after its time and what must not: the rows are made old, the clock
 * is the database's own. Alone in its database. Skipped when CAMPGW_TEST_DB is unset. Source:
 * sql/README.md, "Partitions and retention". */
#include "protocol_fixture.h"

#include "store/store_plan.h"

#include "base/clock.h"

#include <criterion/hooks.h>
#include <criterion/options.h>

TestSuite(retention, .init = setup, .fini = teardown, .timeout = 60);

/* One after the other: housekeeping is of the whole database, and would take what the test beside
 * it has just made old. */
ReportHook(PRE_ALL)(struct criterion_test_set *tests)
{
    (void)tests;
    criterion_options.jobs = 1;
}

static void housekeeping(void)
{
    OK(store_housekeeping(db, clock_utc_ms(), &d));
}

/* Rows of a table that match; all tables here are read by the daemon's own role. */
#define COUNT(table, where) number("SELECT count(*) FROM " table " WHERE " where)

/* months old; whether it stays */
static const struct aged {
    const char *insert, *count;
    int months, stay;
} aged[] = {
    {"audit (partner_id, actor, request_id, action, object, at) VALUES (0, 'aged', '', 'a', 'o', "
     "%s)",
     "audit WHERE actor = 'aged'", 85, 0},
    {"audit (partner_id, actor, request_id, action, object, at) VALUES (0, 'aged', '', 'a', 'o', "
     "%s)",
     "audit WHERE actor = 'aged'", 83, 1},
    {"response_text (part, customer_id, body, at) VALUES (1, 1, 'aged', %s)",
     "response_text WHERE body = 'aged'", 14, 0},
    {"response_text (part, customer_id, body, at) VALUES (1, 1, 'aged', %s)",
     "response_text WHERE body = 'aged'", 12, 1},
    {"response (part, customer_id, ts, channel, own_address, instance, kind, meaning, partner_id, "
     "dedupe) VALUES (1, 1, %s, 1, '', 'aged', 1, 0, 0, 1)",
     "response WHERE instance = 'aged'", 26, 0},
    {"response (part, customer_id, ts, channel, own_address, instance, kind, meaning, partner_id, "
     "dedupe) VALUES (1, 1, %s, 1, '', 'aged', 1, 0, 0, 1)",
     "response WHERE instance = 'aged'", 24, 1},
    /* a log row is kept 25 months after its month, and a recount needs its release as long */
    {"cap_release (part, contact_id, attempt, at) VALUES (1, 99, 1, %s)",
     "cap_release WHERE contact_id = 99", 28, 0},
    {"cap_release (part, contact_id, attempt, at) VALUES (1, 99, 1, %s)",
     "cap_release WHERE contact_id = 99", 26, 1},
    {"in_doubt VALUES (1, 98, 1, 0, 1, now(), %s)", "in_doubt WHERE contact_id = 98", 1, 0},
    {"in_doubt VALUES (1, 98, 1, 0, 1, now(), %s)", "in_doubt WHERE contact_id = 98", -1, 1},
};

Test(retention, rows_go_after_their_time_and_not_before)
{
    for (size_t i = 0; i < ARRAY_LEN(aged); i++) {
        char at[64], insert[512];
        (void)snprintf(at, sizeof at, "now() - interval '%d months'", aged[i].months);
        const char *hole = strstr(aged[i].insert, "%s");
        (void)snprintf(insert, sizeof insert, "%.*s%s%s", (int)(hole - aged[i].insert),
                       aged[i].insert, at, hole + 2);
        run_sql("INSERT INTO %s RETURNING 1", insert);
        housekeeping();
        cr_assert_eq(number("SELECT count(*) FROM %s", aged[i].count), aged[i].stay,
                     "%s of %d months", aged[i].count, aged[i].months);
    }
}

Test(retention, an_answer_goes_with_its_attribution)
{
    run_sql(
        "WITH r AS (INSERT INTO response (part, customer_id, ts, channel, own_address, instance, "
        "kind, meaning, partner_id, dedupe) VALUES (2, 2, now() - interval '26 months', 1, '', "
        "'with', 1, 0, 0, 1) RETURNING part, response_id) INSERT INTO attribution SELECT part, "
        "response_id, 5, 1, 1 FROM r RETURNING 1");
    housekeeping();
    cr_assert_eq(COUNT("attribution", "contact_id = 5"), 0);
    cr_assert_eq(COUNT("response", "instance = 'with'"), 0);
}

Test(retention, the_last_word_of_a_consent_outlives_every_term)
{
    run_sql("INSERT INTO consent VALUES (3, 3, 1, 0, 1, 's', '', now() - interval '8 years', NULL) "
            "RETURNING 1");
    for (int i = 0; i < 3; i++) /* granted, withdrawn, granted; and another person's, erased */
        run_sql("INSERT INTO consent_event (part, customer_id, purpose, channel, state, source, "
                "evidence, at, actor, recorded_at) VALUES (3, %d, 1, 0, 1, 's', 'e%d', now(), 'a', "
                "now() - interval '8 years') RETURNING 1",
                i == 2 ? 3 : 3 + i * 64, i);
    run_sql(
        "INSERT INTO consent_event (part, customer_id, purpose, channel, state, source, "
        "evidence, at, actor, recorded_at) VALUES (3, 3, 1, 0, 1, 's', 'e3', now(), 'a', now() - "
        "interval '8 years') RETURNING 1");
    housekeeping();
    cr_assert_eq(COUNT("consent_event", "part = 3"), 1);
    cr_assert_eq(COUNT("consent_event", "part = 3 AND evidence = 'e3'"), 1,
                 "the word that is in force is gone");
}

/* months since the campaign ended, -1 = it runs */
static void ended(struct world *w, int32_t part, int months)
{
    make_world(w, part, 2);
    decide_all(w, 0, 0);
    intend(w, 2);
    run_sql("UPDATE campaign SET state = %s, finished_at = now() - interval '%d months' WHERE "
            "campaign_id = %d RETURNING 1",
            months < 0 ? "'running'" : "'completed'", months, w->campaign_id);
    if (months < 0)
        run_sql("UPDATE campaign SET finished_at = NULL WHERE campaign_id = %d RETURNING 1",
                w->campaign_id);
}

static void work_goes_and_the_log_stays(void)
{
    struct world w;
    static const struct {
        int months, stay;
    } cases[] = {{14, 0}, {12, 1}, {-1, 1}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        ended(&w, 4 + (int32_t)i, cases[i].months);
        housekeeping();
        cr_assert_eq(number("SELECT count(*) FROM chunk WHERE wave_id = %d", w.wave_id),
                     cases[i].stay, "chunk, %d months", cases[i].months);
        cr_assert_eq(number("SELECT count(*) FROM intent WHERE wave_id = %d", w.wave_id),
                     cases[i].stay, "intent, %d months", cases[i].months);
        cr_assert_eq(number("SELECT count(*) FROM contact_log WHERE wave_id = %d", w.wave_id), 2);
        cr_assert_eq(number("SELECT count(*) FROM audit_seal WHERE wave_id = %d", w.wave_id), 1);
    }
}

static void slices_and_dimensions_go_with_their_recipients(void)
{
    struct world w;
    ended(&w, 10, 14);
    run_sql("INSERT INTO set_slice VALUES (10, %d, 0, 0, 1, 2, 1, 2) RETURNING 1", w.set_id);
    run_sql("INSERT INTO set_dim VALUES (%d, 1, 1, 'v') RETURNING 1", w.set_id);
    run_sql("UPDATE campaign SET finished_at = now() - interval '1 year' WHERE NOT system "
            "RETURNING 1");
    for (int i = 0; i < 17; i++) /* the block is not the newest any more */
        run_sql("INSERT INTO recipient_set (partner_id, fields) VALUES (0, '{}') RETURNING 1");
    run_sql("UPDATE recipient_set SET created_at = now() - interval '1 year' RETURNING 1");
    housekeeping();
    cr_assert_eq(number("SELECT count(*) FROM recipient WHERE set_id = %d", w.set_id), 0);
    cr_assert_eq(number("SELECT count(*) FROM set_slice WHERE set_id = %d", w.set_id), 0);
    cr_assert_eq(number("SELECT count(*) FROM set_dim WHERE set_id = %d", w.set_id), 0);
}

/* One test, because retention of recipients looks at whole blocks of sets. */
Test(retention, work_of_ended_campaigns_goes)
{
    work_goes_and_the_log_stays();
    slices_and_dimensions_go_with_their_recipients();
}
