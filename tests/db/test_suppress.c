/* SPDX-License-Identifier: Apache-2.0 */
/* test_suppress.c - bounces, complaints and answers that name our message instead of a person,
 * through the outcome writer into a real PostgreSQL. Skipped, with this sentence, when
 * CAMPGW_TEST_DB is unset. */
#include "outcome_fixture.h"

#include "policy/policy.h"
#include "store/store_link.h"

TestSuite(suppress, .init = setup, .fini = teardown, .timeout = 60);

/* Accepted under the id "m<i>" of the world's instance. */
static void accept_one(struct outcome_writer *o, const struct world *w, int i)
{
    char id[16];
    (void)snprintf(id, sizeof id, "m%d", i);
    const char *const ids[] = {id};
    struct outcome_contact c = contact(w, i);
    result(o, w, &c, CGW_RES_ACCEPTED, 0, ids, 1);
}

static void receipt_sub(struct outcome_writer *o, const struct world *w, int i, uint32_t res,
                        uint32_t sub, uint32_t quantity)
{
    char id[16];
    (void)snprintf(id, sizeof id, "m%d", i);
    struct cgw_receipt r = {.size = sizeof r,
                            .result = res,
                            .sub = sub,
                            .quantity = quantity,
                            .provider_id = id,
                            .code_space = "smtp.enhanced",
                            .raw = "",
                            .ack = 1,
                            .arrived_utc_ms = clock_utc_ms()};
    unsigned want = atomic_load(&n_stored) + 1;
    cr_assert_eq(outcome_receipts(o, w->instance, &r, 1), 1);
    wait_count(&n_stored, want);
}

static void inbound(struct outcome_writer *o, const struct world *w, uint32_t channel,
                    uint32_t kind, uint32_t sub, const char *provider_id)
{
    struct cgw_inbound in = {.size = sizeof in,
                             .kind = kind,
                             .sub = sub,
                             .provider_id = provider_id,
                             .arrived_utc_ms = clock_utc_ms(),
                             .ack = 1};
    unsigned want = atomic_load(&n_stored) + 1;
    cr_assert_eq(outcome_inbound(o, w->instance, channel, &in, 1), 1);
    wait_count(&n_stored, want);
}

/* list * 100 + reason of the rows of this scope; 0 none. */
static int64_t barred(int64_t customer, int scope)
{
    return number("SELECT coalesce(sum(list_id * 100 + reason), 0)::int8 FROM dnd WHERE part = %d "
                  "AND customer_id = %" PRId64 " AND scope = %d",
                  (int)(customer % 64), customer, scope);
}

static int64_t facts_ver(int part)
{
    return number("SELECT ver FROM fact_clock WHERE part = %d", part);
}

Test(suppress, an_address_that_does_not_exist_ends_its_channel_and_no_other)
{
    struct world w;
    sent_world(&w, 40, 2);
    struct outcome_writer *o = start();
    accept_one(o, &w, 0);
    int64_t before = facts_ver(40);
    receipt_sub(o, &w, 0, FAI, CGW_SUB_HARD_BOUNCE, 0);
    cr_assert_eq(barred(w.ids[0], DND_SCOPE_CHANNEL(1)), 300 + REASON_DND_BOUNCE);
    cr_assert_eq(number("SELECT count(*) FROM dnd WHERE customer_id = %" PRId64, w.ids[0]), 1);
    cr_assert_gt(facts_ver(40), before, "decided contacts would still go out");
    /* said at once, by the answer to the submit */
    struct outcome_contact c = contact(&w, 1);
    struct cgw_result r = {.size = sizeof r, .result = CGW_RES_REFUSED, .sub = CGW_SUB_HARD_BOUNCE};
    unsigned want = atomic_load(&n_settled) + 1;
    outcome_result(o, &c, w.instance, &r);
    wait_count(&n_settled, want);
    outcome_stop(o);
    cr_assert_eq(barred(w.ids[1], DND_SCOPE_CHANNEL(1)), 300 + REASON_DND_BOUNCE);
    cr_assert_eq(stat(&w, STAT_SUB), 2);
}

Test(suppress, mail_that_comes_back_after_it_was_called_delivered_counts_all_the_same)
{
    struct world w;
    sent_world(&w, 41, 1);
    struct outcome_writer *o = start();
    accept_one(o, &w, 0);
    receipt_sub(o, &w, 0, DEL, 0, 0);
    receipt_sub(o, &w, 0, FAI, CGW_SUB_HARD_BOUNCE, 0);
    outcome_stop(o);
    cr_assert_eq(events(&w, 0, EVENT_FAILED), 0, "the first final word stands");
    cr_assert_eq(barred(w.ids[0], DND_SCOPE_CHANNEL(1)), 300 + REASON_DND_BOUNCE);
}

/* soft_bounces of the fixture is 3 */
Test(suppress, so_many_messages_that_came_back_for_now_end_the_channel)
{
    struct world w[4];
    int64_t who = 0;
    struct outcome_writer *o = start();
    for (int k = 0; k < 4; k++) { /* four campaigns to one person */
        make_world(&w[k], 42, 1);
        who = k ? who : w[0].ids[0];
        run_sql("UPDATE chunk SET cust_lo = %" PRId64 ", cust_hi = %" PRId64
                " WHERE part = 42 AND wave_id = %d RETURNING 1",
                who, who, w[k].wave_id);
        w[k].ids[0] = who;
        decide_all(&w[k], 0, 0);
        intend(&w[k], 1);
        accept_one(o, &w[k], 0);
    }
    receipt_sub(o, &w[0], 0, FAI, CGW_SUB_SOFT_BOUNCE, 0);
    inbound(o, &w[0], CGW_CHANNEL_SMS, CGW_IN_BOUNCE, CGW_SUB_SOFT_BOUNCE, "m0");
    inbound(o, &w[1], CGW_CHANNEL_SMS, CGW_IN_BOUNCE, CGW_SUB_SOFT_BOUNCE, "m0");
    cr_assert_eq(barred(who, DND_SCOPE_CHANNEL(1)), 0, "a message counted twice");
    receipt_sub(o, &w[2], 0, FAI, CGW_SUB_SOFT_BOUNCE, 0);
    cr_assert_eq(barred(who, DND_SCOPE_CHANNEL(1)), 300 + REASON_DND_BOUNCE);
    run_sql("DELETE FROM dnd WHERE customer_id = %" PRId64 " RETURNING 1", who);
    receipt_sub(o, &w[3], 0, FAI, CGW_SUB_SOFT_BOUNCE, 0);
    outcome_stop(o);
    cr_assert_eq(barred(who, DND_SCOPE_CHANNEL(1)), 0, "who was taken off the list begins anew");
}

Test(suppress, an_opt_out_that_names_our_message_is_the_persons_whom_it_reached)
{
    struct world w;
    sent_world(&w, 43, 3);
    struct outcome_writer *o = start();
    for (int i = 0; i < 3; i++)
        accept_one(o, &w, i);
    inbound(o, &w, CGW_CHANNEL_EMAIL, CGW_IN_OPTOUT, 0, "m1");
    inbound(o, &w, CGW_CHANNEL_EMAIL, CGW_IN_OPTOUT, 0, "m1"); /* a second click */
    inbound(o, &w, CGW_CHANNEL_EMAIL, CGW_IN_COMPLAINT, CGW_SUB_COMPLAINT, "m2");
    inbound(o, &w, CGW_CHANNEL_EMAIL, CGW_IN_OPTOUT, 0, "nobody's");
    outcome_stop(o);
    o = start(); /* nothing is remembered */
    inbound(o, &w, CGW_CHANNEL_EMAIL, CGW_IN_OPTOUT, 0, "m0");
    outcome_stop(o);
    cr_assert_eq(barred(w.ids[0], 2001), 100 + REASON_DND_OPTOUT);
    cr_assert_eq(barred(w.ids[1], 2001), 100 + REASON_DND_OPTOUT);
    cr_assert_eq(barred(w.ids[2], 2001), 300 + REASON_DND_COMPLAINT);
    cr_assert_eq(number("SELECT count(*) FROM response WHERE instance = '%s'", w.instance), 3);
    cr_assert_eq(
        number("SELECT count(*) FROM attribution a JOIN response r USING (part, "
               "response_id) WHERE r.instance = '%s' AND a.rule = 2 AND a.contact_id >> 32 "
               "= %d",
               w.instance, w.wave_id),
        3);
    cr_assert_eq(number("SELECT count(*) FROM optout_confirm WHERE part = 43 AND customer_id IN "
                        "(SELECT customer_id FROM recipient WHERE part = 43 AND set_id = %d)",
                        w.set_id),
                 0, "a click in a mail was answered by a message");
}

Test(suppress, what_concerns_an_id_that_ended_is_kept_for_the_one_that_lives)
{
    struct world w;
    struct store_actor who = {.name = "test", .request_id = "r"};
    int64_t kept = 0, gone = 0, to;
    uint64_t parts = 0;
    sent_world(&w, 44, 2);
    struct outcome_writer *o = start();
    accept_one(o, &w, 0);
    accept_one(o, &w, 1);
    to = w.ids[0] / 64 * 64 + 45;
    OK(db_begin(db, &d));
    OK(store_customer_link(db, &who, to, w.ids[0], &kept, &gone, &parts, &d));
    OK(store_facts_touch(db, parts, &d));
    OK(db_commit(db, &d));
    receipt_sub(o, &w, 0, FAI, CGW_SUB_HARD_BOUNCE, 0);
    inbound(o, &w, CGW_CHANNEL_EMAIL, CGW_IN_OPTOUT, 0, "m0");
    outcome_stop(o);
    cr_assert_eq(barred(to, DND_SCOPE_CHANNEL(1)), 300 + REASON_DND_BOUNCE);
    cr_assert_eq(barred(to, 2001), 100 + REASON_DND_OPTOUT);
    cr_assert_eq(barred(w.ids[0], 2001), 0);
}

Test(suppress, sub_outcome_and_quantity_stand_under_the_seal_also_of_what_came_early)
{
    struct world w;
    sent_world(&w, 46, 2);
    struct outcome_writer *o = start();
    receipt_sub(o, &w, 1, FAI, CGW_SUB_BUSY, 7); /* before its accept */
    accept_one(o, &w, 0);
    accept_one(o, &w, 1);
    receipt_sub(o, &w, 0, DEL, CGW_SUB_ANSWERED, 34);
    wait_event(&w, 1, EVENT_FAILED);
    outcome_stop(o);
    cr_assert_eq(number("SELECT sum(sub * 1000 + quantity)::int8 FROM contact_event WHERE part = "
                        "46 AND contact_id >> 32 = %d",
                        w.wave_id),
                 (CGW_SUB_BUSY + CGW_SUB_ANSWERED) * 1000 + 41);
    cr_assert_eq(
        number("SELECT n FROM campaign_stat WHERE wave_id = %d AND kind = 13 AND code = %u",
               w.wave_id, CGW_SUB_BUSY),
        1);
}
