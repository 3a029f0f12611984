/* SPDX-License-Identifier: Apache-2.0 */
/* test_recall.c - whom the network is asked to give back, how often, and when that is given up.
 * Skipped, with this sentence, when CAMPGW_TEST_DB is unset. Source: core/outcome/outcome.h. */
#include "outcome_fixture.h"

TestSuite(recall, .init = setup, .fini = teardown, .timeout = 60);

#define PEOPLE 6

struct channel {
    int room;         /* asks that it takes; negative: it never will */
    const char *down; /* an instance that takes none */
    char asked[64][CGW_PROVIDER_ID_MAX];
    int n;
};

static int take(void *ctx, const char *instance, const struct cgw_ask *asks, uint32_t n)
{
    struct channel *c = ctx;
    cr_assert_eq(n, 1);
    if (c->down && !strcmp(c->down, instance))
        return 0;
    if (c->room <= 0)
        return c->room;
    c->room--;
    (void)snprintf(c->asked[c->n++ % 64], CGW_PROVIDER_ID_MAX, "%s", asks->peer_id);
    return 1;
}

/* other: the route of every second one, 0 = theirs too. */
static void accept_over(struct world *w, struct outcome_writer *o, int n, int32_t other)
{
    for (int i = 0; i < n; i++) {
        char text[16];
        const char *id = text;
        struct outcome_contact c = contact(w, i);
        if (other && i % 2 == 0)
            c.route_id = other;
        (void)snprintf(text, sizeof text, "m%d", i);
        result(o, w, &c, CGW_RES_ACCEPTED, 0, &id, 1);
    }
}

static void accept_people(struct world *w, struct outcome_writer *o, int32_t part, int n)
{
    sent_world(w, part, n);
    accept_over(w, o, n, 0);
}

static void accept_all(struct world *w, struct outcome_writer *o, int32_t part)
{
    accept_people(w, o, part, PEOPLE);
}

/* One second and the rest between two rounds have passed. */
static void later(struct outcome_recaller *a)
{
    a->refilled_mono_ms -= 1000;
    for (int i = 0; i < OUTCOME_RECALL_WAVES; i++)
        a->waves[i].rest_until_mono_ms = 0;
}

/* So long that who did not answer may be asked again. */
static void much_later(struct outcome_recaller *a)
{
    later(a);
    a->asked[0] = (free(a->asked[0]), NULL);
    a->asked[1] = (free(a->asked[1]), NULL);
}

static void look(struct outcome_recaller *a, const struct world *w, bool drained, int64_t since_ms)
{
    struct recall_wave r = {.wave_id = w->wave_id, .since_utc_ms = since_ms, .drained = drained};
    /* 64 parts within its time of one call, or of some: 40 calls are two seconds of looking, and
     * those behind the end of a round come back at once */
    for (int i = 0; i < 40; i++) {
        a->left_ms = 200;
        OK(outcome_recall_wave(a, db, &r, &d));
    }
}

Test(recall, what_is_answered_is_never_asked_about_and_the_rest_once)
{
    struct world w;
    struct channel c = {.room = 100};
    struct outcome_recaller a = {.recall = take, .ctx = &c, .per_s = 100};
    struct outcome_writer *o = start();
    accept_all(&w, o, 41);
    receipt_at(o, w.instance, "m0", DEL, 0, NULL, 0);
    receipt_at(o, w.instance, "m1", CGW_RES_RECALLED, 0, NULL, 0);
    receipt_at(o, w.instance, "m2", CGW_RES_NOT_RECALLED, 0, NULL, 0);
    receipt_at(o, w.instance, "m3", CGW_RES_ENROUTE, 0, NULL, 0);
    look(&a, &w, false, 0);
    cr_assert_eq(c.n, 3);
    cr_assert_str_eq(c.asked[0], "m3");
    cr_assert_str_eq(c.asked[2], "m5");
    for (int i = 0; i < 4; i++) {
        later(&a);
        look(&a, &w, i > 1, 0);
    }
    cr_assert_eq(c.n, 3, "asked about %d times", c.n);
    struct outcome_recaller another = {.recall = take, .ctx = &c, .per_s = 100};
    receipt_at(o, w.instance, "m4", CGW_RES_RECALLED, 0, NULL, 0);
    look(&another, &w, true, 0);
    cr_assert_eq(c.n, 5, "who takes over asks about those without an answer");
    outcome_recaller_done(&a);
    outcome_recaller_done(&another);
    outcome_stop(o);
    cr_assert_eq(stat(&w, STAT_RECALLED), 2);
    cr_assert_eq(events(&w, 2, EVENT_NOT_RECALLED), 1);
}

Test(recall, a_channel_without_room_is_waited_for_and_the_rate_is_kept)
{
    struct world w;
    struct channel c = {.room = 2};
    struct outcome_recaller a = {.recall = take, .ctx = &c, .per_s = 3};
    struct outcome_writer *o = start();
    accept_all(&w, o, 42);
    int64_t began = clock_mono_ms();
    look(&a, &w, true, 0);
    cr_assert_eq(c.n, 2);
    c.room = 100;
    look(&a, &w, true, 0);
    cr_assert(c.n == 3 || clock_mono_ms() - began >= 1000, "three a second, %d were asked", c.n);
    later(&a);
    look(&a, &w, true, 0);
    cr_assert_eq(c.n, PEOPLE);
    for (int i = 0; i < PEOPLE; i++)
        cr_assert_eq(c.asked[i][1] - '0', i, "in their order, each once");
    outcome_recaller_done(&a);
    outcome_stop(o);
}

Test(recall, a_channel_that_is_down_does_not_block_another)
{
    struct world w;
    struct channel c = {.room = 100, .down = "away"};
    struct outcome_recaller a = {.recall = take, .ctx = &c, .per_s = 100};
    struct outcome_writer *o = start();
    sent_world(&w, 46, PEOPLE);
    accept_over(&w, o, PEOPLE,
                (int32_t)number("INSERT INTO route (public_id, name, channel, instance) VALUES "
                                "('rte_away%d', 'away%d', 1, 'away') RETURNING route_id",
                                w.wave_id, w.wave_id));
    look(&a, &w, true, 0);
    cr_assert_eq(c.n, PEOPLE / 2, "%d were asked about", c.n);
    for (int i = 0; i < 10; i++) {
        later(&a);
        look(&a, &w, true, 0);
    }
    cr_assert_eq(c.n, PEOPLE / 2, "each once");
    c.down = NULL;
    later(&a);
    look(&a, &w, true, 0);
    cr_assert_eq(c.n, PEOPLE, "and the others when it is back");
    outcome_recaller_done(&a);
    outcome_stop(o);
}

Test(recall, who_never_answers_is_given_up)
{
    struct world w;
    struct channel c = {.room = 1000};
    struct outcome_recaller a = {.recall = take, .ctx = &c, .per_s = 100};
    struct outcome_writer *o = start();
    accept_all(&w, o, 43);
    for (int i = 0; i < 20; i++) {
        much_later(&a);
        look(&a, &w, true, 0);
    }
    cr_assert_eq(c.n, PEOPLE * (OUTCOME_RECALL_ROUNDS + 1), "asked about %d times", c.n);
    outcome_recaller_done(&a);
    outcome_stop(o);
}

/* One receipt a round makes each round look like one that brought something. */
Test(recall, receipts_do_not_prolong_the_asking_for_ever)
{
    struct world w;
    struct channel c = {.room = 1000};
    struct outcome_recaller a = {.recall = take, .ctx = &c, .per_s = 100};
    struct outcome_writer *o = start();
    accept_people(&w, o, 45, 12);
    for (int i = 0; i < 10; i++) {
        char id[16];
        much_later(&a);
        look(&a, &w, true, 0);
        (void)snprintf(id, sizeof id, "m%d", i);
        receipt_at(o, w.instance, id, DEL, 0, NULL, 0);
    }
    cr_assert_eq(c.n, 12 + 11 + 10 + 9 + 8 + 7, "asked about %d times", c.n);
    outcome_recaller_done(&a);
    outcome_stop(o);
}

Test(recall, a_part_that_came_through_beside_one_taken_back_is_noted)
{
    static const char *const ids[] = {"a", "b", "c"};
    struct world w;
    struct outcome_writer *o = start();
    sent_world(&w, 48, 1);
    struct outcome_contact c = contact(&w, 0);
    result(o, &w, &c, CGW_RES_ACCEPTED, 0, ids, 3);
    receipt_at(o, w.instance, "a", CGW_RES_RECALLED, 0, NULL, 0);
    receipt_at(o, w.instance, "b", DEL, 0, NULL, 0);
    receipt_at(o, w.instance, "c", CGW_RES_FAILED, 0, NULL, 0);
    outcome_stop(o);
    cr_assert_eq(events(&w, 0, EVENT_DELIVERED), 1);
    cr_assert_eq(events(&w, 0, EVENT_FAILED), 0);
    cr_assert_eq(stat(&w, STAT_RECALLED), 1);
    cr_assert_eq(stat(&w, STAT_DELIVERED), 0);
}

/* 1,400 answered ones in front of 100 others: a look ends where its page does, with nobody. */
Test(recall, one_look_is_bounded_whatever_is_answered)
{
    struct world w;
    struct overdue after = {0}, rows[64];
    int n = 0;
    bool end = true;
    make_world(&w, 47, 1);
    int64_t first = (int64_t)w.wave_id << 32;
    OK(db_begin(db, &d));
    run_sql(
        "WITH x AS (INSERT INTO contact_submit (part, contact_id, attempt, seg, n_segs, receipt, "
        "ts, route_id, refh, address_key, ref, peer_ref, seal_no) SELECT 47, %" PRId64
        " + g, 1, 0, 1, true, now(), %d, 0, 0, 'm' || g, '', 0 FROM generate_series(1, 1500) g "
        "RETURNING 1) SELECT count(*) FROM x",
        first, w.route_id);
    run_sql("WITH x AS (INSERT INTO contact_event (part, contact_id, attempt, seg, kind, ts, "
            "route_id, code, code_space, detail, sub, quantity, seal_no) SELECT 47, %" PRId64
            " + g, 1, 0, 2, now(), %d, 0, '', '', 0, 0, 0 FROM generate_series(1, 1400) g "
            "RETURNING 1) SELECT count(*) FROM x",
            first, w.route_id);
    OK(store_recallable(db, 47, w.wave_id, 0, &after, rows, 64, &n, &end, &d));
    cr_assert(n == 0 && !end && after.contact_id == first + 1000, "%d behind %" PRId64, n,
              after.contact_id - first);
    OK(store_recallable(db, 47, w.wave_id, 0, &after, rows, 64, &n, &end, &d));
    cr_assert(n == 64 && !end && rows[0].contact_id == first + 1401 &&
              after.contact_id == first + 1464);
    OK(store_recallable(db, 47, w.wave_id, 0, &after, rows, 64, &n, &end, &d));
    cr_assert(n == 36 && end && rows[35].contact_id == first + 1500);
    db_rollback(db);
}

Test(recall, nobody_is_asked_after_its_validity_or_without_a_channel_that_can)
{
    struct world w;
    struct channel c = {.room = 100};
    struct outcome_recaller a = {.recall = take, .ctx = &c, .per_s = 100};
    struct outcome_writer *o = start();
    accept_all(&w, o, 44);
    look(&a, &w, true, clock_utc_ms() + 60000);
    cr_assert_eq(c.n, 0);
    outcome_recaller_done(&a);
    c.room = -1;
    a = (struct outcome_recaller){.recall = take, .ctx = &c, .per_s = 100};
    look(&a, &w, true, 0);
    cr_assert_eq(a.waves[0].idle, OUTCOME_RECALL_ROUNDS, "it is not looked at again");
    c.room = 100;
    a.per_s = 0;
    look(&a, &w, true, 0);
    cr_assert_eq(c.n, 0);
    outcome_recaller_done(&a);
    outcome_stop(o);
}
