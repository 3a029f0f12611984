/* SPDX-License-Identifier: Apache-2.0 */
/* test_protocol_settle.c - whom a receipt means when the peer uses ids again, what is in doubt and
 * sent once more, and messages for which no receipt comes; through the outcome writer into a real
 * PostgreSQL. Skipped, with this sentence, when CAMPGW_TEST_DB is unset. */
#include "outcome_fixture.h"

#include "policy/policy.h"

TestSuite(settle, .init = setup, .fini = teardown, .timeout = 60);

#define DAY_MS INT64_C(86400000)

static int64_t key_of(const struct world *w, int i)
{
    char person[32];
    person_of(w, i, person);
    return customer_key(identity_key, person, strlen(person));
}

static struct outcome_contact keyed(const struct world *w, int i)
{
    struct outcome_contact c = contact(w, i);
    c.address_key = key_of(w, i);
    return c;
}

static int64_t pending(const struct world *w)
{
    return stat(w, STAT_SUBMITTED) - stat(w, STAT_DELIVERED) - stat(w, STAT_FAILED) -
           stat(w, STAT_EXPIRED) - stat(w, STAT_UNKNOWN) - stat(w, STAT_NO_RECEIPT);
}

/* ---- ids used again
 * ------------------------------------------------------------------------------------------------------
 */
Test(settle, a_receipt_goes_to_the_person_it_names_when_an_id_is_used_again)
{
    struct world w;
    char first[32], third[32];
    sent_world(&w, 30, 3);
    struct outcome_writer *o = start();
    const char *const ids[] = {"again"};
    person_of(&w, 0, first);
    person_of(&w, 2, third);
    for (int i = 0; i < 2; i++) {
        struct outcome_contact c = keyed(&w, i);
        result(o, &w, &c, CGW_RES_ACCEPTED, 0, ids, 1);
    }
    receipt_at(o, w.instance, "again", DEL, 0, first, 0);
    cr_assert_eq(events(&w, 0, EVENT_DELIVERED), 1, "the older accept of the id is meant");
    cr_assert_eq(events(&w, 1, EVENT_DELIVERED), 0);
    /* somebody else's: kept, and given to the accept that comes for it */
    receipt_at(o, w.instance, "again", FAI, 0, third, 0);
    cr_assert_eq(stat(&w, STAT_FAILED), 0, "a receipt was applied to the wrong person");
    cr_assert_eq(number("SELECT count(*) FROM receipt_early WHERE instance = '%s'", w.instance), 1);
    struct outcome_contact c = keyed(&w, 2);
    result(o, &w, &c, CGW_RES_ACCEPTED, 0, ids, 1);
    outcome_stop(o);
    cr_assert_eq(events(&w, 2, EVENT_FAILED), 1);
    cr_assert_eq(number("SELECT count(*) FROM receipt_early WHERE instance = '%s'", w.instance), 0);
    cr_assert_eq(stat(&w, STAT_DELIVERED), 1);
    cr_assert_eq(stat(&w, STAT_FAILED), 1);
}

/* after_ms: when the receipt came, seen from the accept. */
static const struct aged {
    const char *what;
    bool named;
    int64_t after_ms;
    int applied;
} aged[] = {
    {"a minute before the answer", false, -60000, 1},
    {"a quarter of an hour before the answer", false, -900000, 0},
    {"an hour before it by our clock, naming the person", true, -3700000, 1},
    {"four hours before it, naming the person", true, -14400000, 0},
    {"after a day", false, DAY_MS, 1},
    {"after three days, naming nobody", false, 3 * DAY_MS, 0},
    {"after three days, naming the person", true, 3 * DAY_MS, 1},
    {"after eight days", true, 8 * DAY_MS, 0},
};

Test(settle, a_receipt_is_believed_within_its_time_only)
{
    struct world w;
    sent_world(&w, 31, ARRAY_LEN(aged));
    struct outcome_writer *o = start();
    for (size_t i = 0; i < ARRAY_LEN(aged); i++) {
        char id[32], person[32];
        const char *const ids[] = {id};
        (void)snprintf(id, sizeof id, "aged-%zu", i);
        person_of(&w, (int)i, person);
        struct outcome_contact c = keyed(&w, (int)i);
        result(o, &w, &c, CGW_RES_ACCEPTED, 0, ids, 1);
        receipt_at(o, w.instance, id, DEL, 0, aged[i].named ? person : NULL,
                   clock_utc_ms() + aged[i].after_ms);
        cr_assert_eq(events(&w, (int)i, EVENT_DELIVERED), aged[i].applied, "%s", aged[i].what);
    }
    outcome_stop(o);
}

Test(settle, our_reference_tells_two_in_doubt_apart)
{
    struct world w;
    char person[32];
    sent_world(&w, 32, 2);
    struct outcome_writer *o = start();
    person_of(&w, 0, person);
    for (int i = 0; i < 2; i++) {
        struct outcome_contact c = contact(&w, i);
        c.address_key = key_of(&w, 0); /* the same person twice */
        result(o, &w, &c, CGW_RES_UNKNOWN, 0, NULL, 0);
    }
    struct cgw_receipt r = {
        .size = sizeof r,
        .result = DEL,
        .provider_id = "ref-1",
        .code_space = "t",
        .raw = "",
        .ack = 1,
        .reference = outcome_reference(contact_of(&w, 1), 1),
        .person = {.kind = CGW_ADDR_E164, .len = (uint32_t)strlen(person), .text = person},
        .arrived_utc_ms = clock_utc_ms() - 10000};
    cr_assert_eq(outcome_receipts(o, w.instance, &r, 1), 1);
    wait_event(&w, 1, EVENT_SETTLED);
    outcome_stop(o);
    cr_assert_eq(events(&w, 0, EVENT_SETTLED), 0);
    cr_assert_eq(number("SELECT count(*) FROM in_doubt WHERE part = 32 AND contact_id = %" PRId64,
                        contact_of(&w, 0)),
                 1);
}

/* ---- no receipt to come
 * ------------------------------------------------------------------------------------------------------
 */
Test(settle, without_receipts_accepted_is_the_end)
{
    struct world w;
    sent_world(&w, 33, 3);
    struct outcome_writer *o = start();
    const char *const ids[3][1] = {{"none-0"}, {"none-1"}, {"none-2"}};
    for (int i = 0; i < 3; i++) {
        struct outcome_contact c = keyed(&w, i);
        c.want_receipt = i == 2;
        result(o, &w, &c, CGW_RES_ACCEPTED, 0, ids[i], 1);
    }
    cr_assert_eq(pending(&w), 1, "only the one with a receipt is waited for");
    receipt_at(o, w.instance, "none-1", DEL, 0, NULL, 0); /* a peer that sends one all the same */
    cr_assert_eq(stat(&w, STAT_DELIVERED), 1);
    cr_assert_eq(pending(&w), 1);
    outcome_stop(o);
    struct outcome_config cfg = config(NULL);
    int64_t closed = 0;
    OK(outcome_close_wave(db, &cfg, w.wave_id, clock_utc_ms(), &closed, &d));
    cr_assert_eq(closed, 1, "%d called unknown though the network accepted them", (int)closed - 1);
    cr_assert_eq(events(&w, 2, EVENT_UNKNOWN), 1);
    cr_assert_eq(pending(&w), 0);
}

/* ---- overdue
 * ------------------------------------------------------------------------------------------------------
 */
static struct asked {
    unsigned n;
    char ids[64][32];
} asked;

static uint32_t on_query(void *ctx, const char *instance, const struct cgw_ask *asks, uint32_t n)
{
    const struct world *w = ctx;
    cr_assert_str_eq(instance, w->instance);
    for (uint32_t i = 0; i < n; i++)
        (void)snprintf(asked.ids[asked.n++ % 64], 32, "%s", asks[i].peer_id);
    return n;
}

static int by_id_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

Test(settle, asks_once_for_each_and_few_a_second_in_the_peers_spelling)
{
    struct world w;
    sent_world(&w, 39, 60);
    struct outcome_writer *o = start();
    for (int i = 0; i < 60; i++) {
        char id[32], peer[32];
        const char *const ids[] = {id}, *const peers[] = {peer};
        (void)snprintf(id, sizeof id, "a%d", i);
        (void)snprintf(peer, sizeof peer, "000A%02d", i);
        struct cgw_result r = {.size = sizeof r,
                               .result = CGW_RES_ACCEPTED,
                               .code_space = "t",
                               .provider_ids = ids,
                               .peer_ids = peers,
                               .n_ids = 1};
        struct outcome_contact c = keyed(&w, i);
        unsigned want = atomic_load(&n_settled) + 1;
        outcome_result(o, &c, w.instance, &r);
        wait_count(&n_settled, want);
    }
    receipt_at(o, w.instance, "a7", DEL, 0, NULL, 0);
    outcome_stop(o);
    struct outcome_asker a = {.query = on_query, .ctx = &w, .per_s = 25};
    int64_t began = clock_mono_ms();
    OK(outcome_ask_wave(&a, db, w.wave_id, &d));
    OK(outcome_ask_wave(&a, db, w.wave_id, &d));
    cr_assert(asked.n <= 25 || clock_mono_ms() - began >= 1000, "%u asked at once", asked.n);
    for (int i = 0; i < 400 && asked.n < 59; i++) {
        OK(outcome_ask_wave(&a, db, w.wave_id, &d));
        nap(10);
    }
    cr_assert_geq(clock_mono_ms() - began, 2000, "59 at 25 a second take more than two seconds");
    a.left = a.per_s;
    OK(outcome_ask_wave(&a, db, w.wave_id, &d));
    cr_assert_eq(asked.n, 59, "%u asked of 59 overdue", asked.n);
    qsort(asked.ids, 59, sizeof asked.ids[0], by_id_text);
    for (int i = 0; i < 59; i++) { /* all but number 7 */
        char peer[32];
        (void)snprintf(peer, sizeof peer, "000A%02d", i < 7 ? i : i + 1);
        cr_assert_str_eq(asked.ids[i], peer);
    }
}

/* ---- sent once more
 * ------------------------------------------------------------------------------------------------------
 */
#define CLASS_SERVICE 2

/* Nobody else's waves are of this class, so the rule stays as these tests leave it. */
static void service(struct world *w, int32_t part, int n)
{
    sent_world(w, part, n);
    run_sql("UPDATE campaign SET class = %d WHERE campaign_id = %d RETURNING 1", CLASS_SERVICE,
            w->campaign_id);
    run_sql("UPDATE class_rule SET resend_once = true WHERE class = %d RETURNING 1", CLASS_SERVICE);
}

static int64_t echo_row(const struct world *w, int i, const char *what)
{
    return number("SELECT (%s)::int8 FROM echo WHERE part = %d AND wave_id = %d AND seq = %" PRId64,
                  what, w->part, w->wave_id, w->first_seq + i);
}

static struct outcome_contact second(const struct world *w, int i)
{
    struct outcome_contact c = keyed(w, i);
    run_sql("UPDATE echo SET state = 2 WHERE part = %d AND wave_id = %d AND seq = %" PRId64
            " RETURNING 1",
            w->part, w->wave_id, w->first_seq + i);
    c.attempt = 2;
    c.from_echo = c.resent = true;
    return c;
}

Test(settle, in_doubt_is_not_sent_again_unless_its_class_says_so)
{
    struct world w;
    sent_world(&w, 34, 1);
    struct outcome_writer *o = start();
    struct outcome_contact c = keyed(&w, 0);
    result(o, &w, &c, CGW_RES_UNKNOWN, 0, NULL, 0);
    outcome_stop(o);
    cr_assert_eq(echo_row(&w, 0, "1"), -1);
    cr_assert_eq(events(&w, 0, EVENT_IN_DOUBT), 1);
}

/* What becomes of the second time; the person is counted once. */
static const struct again {
    const char *what;
    uint32_t result;
    int echo, delivered, failed, doubts;
} agains[] = {{"accepted", CGW_RES_ACCEPTED, -1, 0, 0, 1},
              {"delivered at once", CGW_RES_DELIVERED, -1, 1, 0, 1},
              {"refused", CGW_RES_REFUSED, -1, 0, 1, 1},
              {"not sent", CGW_RES_NOT_SENT, 3, 0, 0, 1},
              {"in doubt again", CGW_RES_UNKNOWN, -1, 0, 0, 2}};

Test(settle, what_is_sent_once_more_is_marked_counted_once_and_never_a_third_time)
{
    struct world w;
    service(&w, 35, ARRAY_LEN(agains));
    struct outcome_writer *o = start();
    for (size_t i = 0; i < ARRAY_LEN(agains); i++) {
        int64_t was[] = {stat(&w, STAT_SUBMITTED), stat(&w, STAT_DELIVERED), stat(&w, STAT_FAILED),
                         stat(&w, STAT_IN_DOUBT)};
        struct outcome_contact c = keyed(&w, (int)i);
        result(o, &w, &c, CGW_RES_UNKNOWN, 0, NULL, 0);
        cr_assert_eq(echo_row(&w, (int)i, "attempt * 1000 + reason"), 2000 + REASON_RETRY_IN_DOUBT);
        cr_assert_eq(echo_row(&w, (int)i,
                              "(resent AND keeps_reservation AND not_before > now() + "
                              "interval '50 seconds')::int4"),
                     1, "its receipt must have time to come first");
        c = second(&w, (int)i);
        result(o, &w, &c, agains[i].result, 0, NULL, 0);
        const struct again *x = &agains[i];
        cr_assert_eq(echo_row(&w, (int)i, "attempt"), x->echo, "%s: in line", x->what);
        cr_assert_eq(stat(&w, STAT_SUBMITTED) - was[0], 1, "%s: submitted", x->what);
        cr_assert_eq(stat(&w, STAT_DELIVERED) - was[1], x->delivered, "%s: delivered", x->what);
        cr_assert_eq(stat(&w, STAT_FAILED) - was[2], x->failed, "%s: failed", x->what);
        cr_assert_eq(stat(&w, STAT_IN_DOUBT) - was[3], 1, "%s: ever in doubt", x->what);
        cr_assert_eq(
            number("SELECT count(*) FROM in_doubt WHERE part = 35 AND contact_id = %" PRId64,
                   contact_of(&w, (int)i)),
            x->doubts, "%s: rows in doubt", x->what);
    }
    outcome_stop(o);
    cr_assert_eq(echo_row(&w, 3, "resent::int4"), 1, "the mark was lost on the way");
}

Test(settle, a_late_receipt_of_the_first_time_stops_the_second_or_is_noted_beside_it)
{
    struct world w;
    char person[2][32];
    service(&w, 36, 2);
    struct outcome_writer *o = start();
    int64_t now = clock_utc_ms();
    const char *const ids[] = {"second-1"};
    for (int i = 0; i < 2; i++) {
        struct outcome_contact c = keyed(&w, i);
        person_of(&w, i, person[i]);
        result(o, &w, &c, CGW_RES_UNKNOWN, 0, NULL, 0);
    }
    /* 0: the receipt comes while the row waits */
    receipt_at(o, w.instance, "first-0", DEL, 0, person[0], now - 10000);
    wait_event(&w, 0, EVENT_SETTLED);
    cr_assert_eq(echo_row(&w, 0, "1"), -1, "it would be sent though it was delivered");
    /* 1: it comes after the second time was accepted and delivered */
    struct outcome_contact c = second(&w, 1);
    result(o, &w, &c, CGW_RES_ACCEPTED, 0, ids, 1);
    receipt_at(o, w.instance, "second-1", DEL, 0, person[1], 0);
    receipt_at(o, w.instance, "first-1", DEL, 0, person[1], now - 10000);
    wait_event(&w, 1, EVENT_SETTLED);
    outcome_stop(o);
    cr_assert_eq(events(&w, 1, EVENT_DELIVERED), 2, "both were received, and the log says so");
    cr_assert_eq(stat(&w, STAT_DELIVERED), 2, "two people, not three");
    cr_assert_eq(stat(&w, STAT_SUBMITTED), 2);
    cr_assert_eq(stat(&w, STAT_SETTLED), 2);
    cr_assert_eq(pending(&w), 0);
}

Test(settle, a_takeover_sends_once_more_what_it_finds_in_doubt)
{
    struct world w;
    struct outcome_config cfg = config(NULL);
    int64_t flagged = 0;
    service(&w, 37, 3);
    OK(outcome_recover_part(db, &cfg, 37, take_part(db, 37), &flagged, &d));
    cr_assert_eq(flagged, 3);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(echo_row(&w, i, "attempt * 1000 + reason"), 2000 + REASON_RETRY_IN_DOUBT);
    /* the second time is lost as well: in doubt, counted once, and that is the end */
    (void)second(&w, 0);
    (void)second(&w, 1);
    OK(outcome_recover_part(db, &cfg, 37, take_part(db, 37), &flagged, &d));
    cr_assert_eq(flagged, 2);
    cr_assert_eq(echo_row(&w, 0, "1"), -1);
    cr_assert_eq(stat(&w, STAT_SUBMITTED), 3);
    cr_assert_eq(stat(&w, STAT_IN_DOUBT), 3);
    OK(outcome_recover_part(db, &cfg, 37, take_part(db, 37), &flagged, &d));
    cr_assert_eq(flagged, 0);
    /* its former holder says that it was not sent after all: in line, and marked as it was */
    struct outcome_contact c = keyed(&w, 1);
    c.attempt = 2;
    c.from_echo = c.resent = true;
    struct outcome_writer *o = start();
    result(o, &w, &c, CGW_RES_NOT_SENT, 0, NULL, 0);
    outcome_stop(o);
    cr_assert_eq(echo_row(&w, 1, "attempt * 10 + resent::int4"), 31);
    cr_assert_eq(stat(&w, STAT_SUBMITTED), 3);
}

/* The node that was overtaken speaks after all. under_way: the second time has left already. */
static const struct overtaken {
    uint32_t result;
    bool under_way;
    int echo, submitted, failed;
} overtaken[] = {{CGW_RES_ACCEPTED, false, -1, 1, 0}, {CGW_RES_REFUSED, false, -1, 1, 1},
                 {CGW_RES_NOT_SENT, false, 2, 0, 0},  {CGW_RES_UNKNOWN, false, 2, 1, 0},
                 {CGW_RES_ACCEPTED, true, 2, 1, 0},   {CGW_RES_REFUSED, true, 2, 1, 0},
                 {CGW_RES_NOT_SENT, true, 2, 1, 0},   {CGW_RES_UNKNOWN, true, 2, 1, 0}};

Test(settle, an_overtaken_node_settles_what_waits_to_be_sent_once_more)
{
    for (size_t i = 0; i < ARRAY_LEN(overtaken); i++) {
        const struct overtaken *x = &overtaken[i];
        struct world w;
        struct outcome_config cfg = config(NULL);
        int64_t flagged = 0;
        service(&w, 38, 1);
        struct outcome_contact c = keyed(&w, 0);
        OK(outcome_recover_part(db, &cfg, 38, take_part(db, 38), &flagged, &d));
        if (x->under_way)
            (void)second(&w, 0);
        struct outcome_writer *o = start();
        result(o, &w, &c, x->result, 0, NULL, 0);
        outcome_stop(o);
        cr_assert_eq(echo_row(&w, 0, "attempt"), x->echo, "case %zu: in line", i);
        if (x->echo > 0)
            cr_assert_eq(echo_row(&w, 0, "state * 10 + resent::int4"),
                         (x->under_way ? 20 : 0) + (x->result != CGW_RES_NOT_SENT || x->under_way),
                         "case %zu: as it was", i);
        cr_assert_eq(stat(&w, STAT_SUBMITTED), x->submitted, "case %zu: submitted", i);
        cr_assert_eq(stat(&w, STAT_FAILED), x->failed, "case %zu: failed", i);
        cr_assert_eq(stat(&w, STAT_IN_DOUBT), 1, "case %zu: ever in doubt", i);
    }
}

Test(settle, an_overtaken_node_does_not_take_the_row_of_the_second_time_away)
{
    struct world w;
    struct outcome_config cfg = config(NULL);
    int64_t flagged = 0;
    service(&w, 41, 1);
    run_sql("INSERT INTO echo (part, wave_id, seq, attempt, state, not_before, reason, "
            "keeps_reservation) VALUES (41, %d, %" PRId64 ", 2, 2, now(), 0, true) RETURNING 1",
            w.wave_id, w.first_seq);
    struct outcome_contact c = keyed(&w, 0);
    c.attempt = 2;
    c.from_echo = true;
    OK(outcome_recover_part(db, &cfg, 41, take_part(db, 41), &flagged, &d));
    cr_assert_eq(echo_row(&w, 0, "attempt * 100 + state * 10 + resent::int4"), 301);
    (void)second(&w, 0);
    struct outcome_writer *o = start();
    result(o, &w, &c, CGW_RES_ACCEPTED, 0, NULL, 0);
    outcome_stop(o);
    cr_assert_eq(echo_row(&w, 0, "attempt * 100 + state * 10 + resent::int4"), 321,
                 "after a crash nobody would know that it is under way");
}
