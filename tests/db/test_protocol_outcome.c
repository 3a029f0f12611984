/* SPDX-License-Identifier: Apache-2.0 */
/* test_protocol_outcome.c - what comes back, through the outcome writer into a real PostgreSQL:
 * results, receipts in every order, in doubt and settled, rows of retries. Skipped, with this
 * sentence, when CAMPGW_TEST_DB is unset. Source: core/outcome/outcome.h. */
#include "outcome_fixture.h"

#include <criterion/hooks.h>
#include <criterion/options.h>

TestSuite(outcomes, .init = setup, .fini = teardown, .timeout = 60);

/* One after the other: the sweep of a test beside it would find what only the look after a commit
 * may find. */
ReportHook(PRE_ALL)(struct criterion_test_set *tests)
{
    (void)tests;
    criterion_options.jobs = 1;
}

/* ---- forward only
 * ------------------------------------------------------------------------------------------------------
 */
#define EXP CGW_RES_EXPIRED
#define ENR CGW_RES_ENROUTE
#define UNK CGW_RES_UNKNOWN
#define REC CGW_RES_RECALLED
#define KEP CGW_RES_NOT_RECALLED
#define WHOLE 0x100 /* in `seg`: speaks for the whole message */
struct step {
    int seg;
    uint32_t result;
};
static const struct sequence {
    const char *what;
    uint32_t n_segs;
    int accept_at; /* the accept comes after so many receipts */
    struct step step[6];
    int n_steps, delivered, failed, expired, n_events, recalled;
} sequences[] = {
    {"one receipt", 1, 0, {{0, DEL}}, 1, 1, 0, 0, 1, 0},
    {"enroute before it", 1, 0, {{0, ENR}, {0, DEL}}, 2, 1, 0, 0, 2, 0},
    {"enroute twice", 1, 0, {{0, ENR}, {0, ENR}}, 2, 0, 0, 0, 1, 0},
    {"enroute after it", 1, 0, {{0, DEL}, {0, ENR}}, 2, 1, 0, 0, 1, 0},
    {"repeated", 1, 0, {{0, DEL}, {0, DEL}, {0, DEL}}, 3, 1, 0, 0, 1, 0},
    {"a second opinion", 1, 0, {{0, EXP}, {0, DEL}}, 2, 0, 0, 1, 1, 0},
    {"failed, then delivered", 1, 0, {{0, FAI}, {0, DEL}}, 2, 0, 1, 0, 1, 0},
    {"unknown is not final", 1, 0, {{0, UNK}, {0, FAI}}, 2, 0, 1, 0, 2, 0},
    {"early", 1, 1, {{0, DEL}}, 1, 1, 0, 0, 1, 0},
    {"early and repeated", 1, 2, {{0, DEL}, {0, DEL}, {0, FAI}}, 3, 1, 0, 0, 1, 0},
    {"early enroute", 1, 1, {{0, ENR}, {0, DEL}}, 2, 1, 0, 0, 2, 0},
    {"three segments", 3, 0, {{2, DEL}, {0, DEL}, {1, DEL}}, 3, 1, 0, 0, 3, 0},
    {"two of three", 3, 0, {{0, DEL}, {1, DEL}}, 2, 0, 0, 0, 2, 0},
    {"one of them repeated", 3, 0, {{0, DEL}, {0, DEL}, {0, DEL}}, 3, 0, 0, 0, 1, 0},
    {"one failed", 3, 0, {{0, DEL}, {1, FAI}, {2, DEL}}, 3, 0, 1, 0, 2, 0},
    {"one for the whole", 3, 0, {{WHOLE, DEL}, {1, FAI}}, 2, 1, 0, 0, 1, 0},
    {"segments early and late", 2, 1, {{1, DEL}, {0, DEL}}, 2, 1, 0, 0, 2, 0},
    {"recalled, then said to be deleted", 1, 0, {{0, REC}, {0, FAI}}, 2, 0, 0, 0, 1, 1},
    {"recalled, then not again", 1, 0, {{0, REC}, {0, KEP}}, 2, 0, 0, 0, 1, 1},
    {"recalled, and yet delivered", 1, 0, {{0, REC}, {0, DEL}}, 2, 0, 0, 0, 1, 1},
    {"not recalled: its receipt decides", 1, 0, {{0, KEP}, {0, KEP}, {0, DEL}}, 3, 1, 0, 0, 2, 0},
    {"delivered, too late", 1, 0, {{0, DEL}, {0, KEP}}, 2, 1, 0, 0, 1, 0},
    {"early recall", 1, 1, {{0, REC}}, 1, 0, 0, 0, 1, 1},
    {"three segments recalled", 3, 0, {{0, REC}, {1, REC}, {2, REC}, {1, REC}}, 4, 0, 0, 0, 3, 1},
    {"the last one recalled", 3, 0, {{0, DEL}, {1, DEL}, {2, REC}}, 3, 0, 0, 0, 3, 1},
    {"one failed, one recalled", 2, 0, {{0, FAI}, {1, REC}}, 2, 0, 1, 0, 2, 0},
};

Test(outcomes, receipts_move_a_contact_forward_only_and_once)
{
    struct world w;
    sent_world(&w, 20, ARRAY_LEN(sequences));
    struct outcome_writer *o = start();
    for (size_t i = 0; i < ARRAY_LEN(sequences); i++) {
        const struct sequence *s = &sequences[i];
        char text[3][32];
        const char *ids[3];
        for (int k = 0; k < 3; k++) {
            (void)snprintf(text[k], sizeof text[k], "id-%zu-%d", i, k);
            ids[k] = text[k];
        }
        int64_t was[] = {stat(&w, STAT_DELIVERED), stat(&w, STAT_FAILED), stat(&w, STAT_EXPIRED),
                         stat(&w, STAT_RECALLED)};
        struct outcome_contact c = contact(&w, (int)i);
        for (int k = 0; k <= s->n_steps; k++) {
            if (k == s->accept_at)
                result(o, &w, &c, CGW_RES_ACCEPTED, 0, ids, s->n_segs);
            if (k < s->n_steps)
                receipt_at(o, w.instance, ids[s->step[k].seg & 0xff], s->step[k].result,
                           s->step[k].seg & WHOLE ? CGW_RESF_WHOLE : 0, NULL, 0);
        }
        cr_assert_eq(stat(&w, STAT_DELIVERED) - was[0], s->delivered, "%s: delivered", s->what);
        cr_assert_eq(stat(&w, STAT_FAILED) - was[1], s->failed, "%s: failed", s->what);
        cr_assert_eq(stat(&w, STAT_EXPIRED) - was[2], s->expired, "%s: expired", s->what);
        cr_assert_eq(stat(&w, STAT_RECALLED) - was[3], s->recalled, "%s: recalled", s->what);
        cr_assert_eq(
            number("SELECT count(*) FROM contact_event WHERE part = 20 AND contact_id = %" PRId64,
                   contact_of(&w, (int)i)),
            s->n_events, "%s: events", s->what);
    }
    outcome_stop(o);
    cr_assert_eq(stat(&w, STAT_SUBMITTED), ARRAY_LEN(sequences));
    cr_assert_eq(number("SELECT count(*) FROM receipt_early WHERE instance = '%s'", w.instance), 0);
}

/* What a writer remembers of its accepts is worth nothing once somebody else wrote to the part. */
Test(outcomes, a_final_word_that_another_node_stored_is_seen)
{
    struct world w;
    const char *const ids[] = {"m0", "m1"};
    sent_world(&w, 33, 2);
    struct outcome_writer *o = start(), *other = start();
    for (int i = 0; i < 2; i++) {
        struct outcome_contact c = contact(&w, i);
        result(o, &w, &c, CGW_RES_ACCEPTED, 0, &ids[i], 1);
    }
    receipt_at(other, w.instance, "m0", DEL, 0, NULL, 0);
    receipt_at(o, w.instance, "m0", FAI, 0, NULL, 0);
    receipt_at(o, w.instance, "m1", FAI, 0, NULL, 0);
    receipt_at(other, w.instance, "m1", DEL, 0, NULL, 0);
    outcome_stop(o);
    outcome_stop(other);
    cr_assert_eq(stat(&w, STAT_DELIVERED), 1);
    cr_assert_eq(stat(&w, STAT_FAILED), 1);
    cr_assert_eq(events(&w, 0, EVENT_FAILED) + events(&w, 1, EVENT_DELIVERED), 0,
                 "a second final word was stored");
}

/* A flush that stands at the lock of a part: everything that it looked for before, it has looked
 * for.
 */
struct held {
    struct db *c;
    int32_t part;
};

static struct held hold(int32_t part)
{
    struct held h = {connection(), part};
    OK(db_begin(h.c, &d));
    (void)number_on(h.c, "SELECT 1::int8 FROM part_head WHERE part = %d FOR UPDATE", part);
    return h;
}

static void wait_until_somebody_stands_at(const struct held *h)
{
    int64_t n = 0;
    for (int i = 0; i < 2000 && !n; i++) {
        nap(5);
        n = number(
            "SELECT count(*) FROM pg_locks l JOIN pg_locks m USING (transactionid) WHERE NOT "
            "l.granted AND m.pid = %" PRId64 " AND m.granted",
            number_on(h->c, "SELECT pg_backend_pid()::int8"));
    }
    cr_assert_eq(n, 1, "no flush waits for part %d", h->part);
}

static void let_go(struct held *h)
{
    db_rollback(h->c);
    db_close(h->c);
}

/* One whose sweep is not what finds it. */
static struct outcome_writer *start_without_sweep(void)
{
    struct outcome_writer *w = NULL;
    struct outcome_config cfg = config(getenv("CAMPGW_TEST_DB"));
    cfg.sweep_ms = 600000;
    OK(outcome_start(&cfg, &w, &d));
    return w;
}

/* So that a node that starts knows that some wait. */
static void early_of_somebody(void)
{
    run_sql("WITH x AS (INSERT INTO receipt_early (instance, refh, ref, result, flags, code, "
            "code_space, raw, person_key, reference, sub, quantity, arrived) VALUES ('nobody', 1, "
            "'1', 2, 0, 0, '', '', 0, 0, 0, 0, now()) RETURNING 1) SELECT count(*) FROM x");
}

static void accept_later(struct outcome_writer *o, const struct world *w, const char *id)
{
    struct outcome_contact c = contact(w, 0);
    struct cgw_result r = {
        .size = sizeof r, .result = CGW_RES_ACCEPTED, .provider_ids = &id, .n_ids = 1};
    outcome_result(o, &c, w->instance, &r);
}

static void receipt_later(struct outcome_writer *o, const struct world *w, const char *id)
{
    struct cgw_receipt r = {.size = sizeof r, .result = DEL, .provider_id = id, .ack = 1};
    cr_assert_eq(outcome_receipts(o, w->instance, &r, 1), 1);
}

/* The accept's flush has looked for receipts, and is not through; nobody sees its accept. */
Test(outcomes, a_receipt_that_another_node_keeps_while_its_accept_is_stored_finds_it)
{
    struct world w;
    sent_world(&w, 35, 1);
    early_of_somebody();
    struct outcome_writer *o = start_without_sweep(), *other = start_without_sweep();
    struct held h = hold(35);
    accept_later(o, &w, "at-once");
    wait_until_somebody_stands_at(&h);
    receipt_at(other, w.instance, "at-once", DEL, 0, NULL, 0);
    nap(300); /* it looks again in vain: what finds it is the look after the accept */
    let_go(&h);
    wait_event(&w, 0, EVENT_DELIVERED);
    outcome_stop(o);
    outcome_stop(other);
}

/* The receipt's flush has looked for the accept, and is not through; nobody sees its receipt. */
Test(outcomes, a_receipt_whose_accept_another_node_stores_while_it_is_kept_finds_it)
{
    struct world w, busy;
    const char *const ids[] = {"known"};
    sent_world(&w, 36, 1);
    sent_world(&busy, 37, 1);
    (void)snprintf(w.instance, sizeof w.instance, "%s", busy.instance);
    run_sql("WITH x AS (UPDATE route SET instance = '%s' WHERE route_id = %d RETURNING 1) SELECT "
            "count(*) FROM x",
            w.instance, w.route_id);
    struct outcome_writer *o = start_without_sweep(), *other = start_without_sweep();
    struct outcome_contact c = contact(&busy, 0);
    result(o, &busy, &c, CGW_RES_ACCEPTED, 0, ids, 1);
    struct held h = hold(37);
    receipt_later(other, &busy, "known"); /* stands at the part; in one flush with it: */
    receipt_later(other, &w, "crossing");
    wait_until_somebody_stands_at(&h);
    accept_later(o, &w, "crossing");
    for (int i = 0; i < 2000 && !number("SELECT count(*) FROM contact_submit WHERE part = 36 AND "
                                        "contact_id = %" PRId64,
                                        contact_of(&w, 0));
         i++)
        nap(5);
    let_go(&h);
    wait_event(&w, 0, EVENT_DELIVERED);
    wait_event(&busy, 0, EVENT_DELIVERED);
    outcome_stop(o);
    outcome_stop(other);
}

/* Who kept it is gone, and this node knows of no waiting receipts. */
Test(outcomes, a_receipt_that_a_lost_node_kept_is_found)
{
    struct world w;
    sent_world(&w, 38, 1);
    struct outcome_writer *o = start(), *other = start();
    struct held h = hold(38);
    accept_later(o, &w, "left-behind");
    wait_until_somebody_stands_at(&h);
    receipt_at(other, w.instance, "left-behind", DEL, 0, NULL, 0);
    outcome_stop(other);
    let_go(&h);
    wait_event(&w, 0, EVENT_DELIVERED);
    outcome_stop(o);
}

/* The peer spells ids in receipts in another way, and the plugin does not know it yet. */
static void receipt_also(struct outcome_writer *o, const struct world *w, const char *id,
                         const char *also, const char *other, const char *person)
{
    struct cgw_receipt r = {
        .size = sizeof r, .result = DEL, .provider_id = id, .ack = 1, .also = {also, other}};
    unsigned want = atomic_load(&n_stored) + 1;
    if (person)
        r.person = (struct cgw_address){
            .kind = CGW_ADDR_E164, .len = (uint32_t)strlen(person), .text = person};
    cr_assert_eq(outcome_receipts(o, w->instance, &r, 1), 1);
    wait_count(&n_stored, want);
}

static void accept_named(struct outcome_writer *o, const struct world *w, int i, const char *id,
                         char person[32])
{
    struct outcome_contact c = contact(w, i);
    person_of(w, i, person);
    c.address_key = customer_key(identity_key, person, strlen(person));
    result(o, w, &c, CGW_RES_ACCEPTED, 0, &id, 1);
}

Test(outcomes, a_receipt_finds_what_its_id_may_also_be_only_for_the_person_it_names)
{
    struct world w;
    char person[3][32];
    sent_world(&w, 40, 3);
    struct outcome_writer *o = start();
    accept_named(o, &w, 0, "ff", person[0]);
    accept_named(o, &w, 1, "255", person[1]);
    accept_named(o, &w, 2, "597", person[2]);
    receipt_also(o, &w, "no-such", "ff", "597", NULL);
    receipt_also(o, &w, "255", "ff", "597", person[0]); /* ff, and not the message 255 */
    receipt_at(o, w.instance, "ff", FAI, 0, person[0], 0);
    receipt_at(o, w.instance, "ff", DEL, 0, person[0], 0);
    outcome_stop(o);
    cr_assert_eq(events(&w, 0, EVENT_DELIVERED), 1, "the one that it means");
    cr_assert_eq(events(&w, 1, EVENT_DELIVERED) + events(&w, 2, EVENT_DELIVERED), 0, "another one");
    cr_assert_eq(events(&w, 0, EVENT_FAILED) + stat(&w, STAT_FAILED), 0, "the first word stands");
    cr_assert_eq(number("SELECT count(*) FROM receipt_early WHERE instance = '%s'", w.instance), 1);
}

Test(outcomes, a_receipt_that_waits_keeps_what_its_id_may_also_be)
{
    struct world w;
    char person[32];
    sent_world(&w, 42, 1);
    struct outcome_writer *o = start();
    person_of(&w, 0, person);
    receipt_also(o, &w, "255", "597", "ff", person);
    accept_named(o, &w, 0, "ff", person);
    wait_event(&w, 0, EVENT_DELIVERED);
    outcome_stop(o);
    cr_assert_eq(number("SELECT count(*) FROM receipt_early WHERE instance = '%s'", w.instance), 0);
}

Test(outcomes, a_receipt_that_comes_with_the_answer_is_not_forgotten_after_it)
{
    struct world w;
    const char *const ids[] = {"both"};
    sent_world(&w, 34, 1);
    struct outcome_writer *o = start();
    struct outcome_contact c = contact(&w, 0);
    struct cgw_result r = {
        .size = sizeof r, .result = CGW_RES_ACCEPTED, .provider_ids = ids, .n_ids = 1};
    outcome_result(o, &c, w.instance, &r); /* one flush with the receipt behind it */
    receipt_at(o, w.instance, "both", DEL, 0, NULL, 0);
    receipt_at(o, w.instance, "both", FAI, 0, NULL, 0);
    outcome_stop(o);
    cr_assert_eq(stat(&w, STAT_DELIVERED), 1);
    cr_assert_eq(stat(&w, STAT_FAILED) + events(&w, 0, EVENT_FAILED), 0);
}

Test(outcomes, a_receipt_after_unknown_still_counts_and_takes_the_unknown_back)
{
    struct world w;
    sent_world(&w, 21, 2);
    struct outcome_writer *o = start();
    const char *const ids[] = {"late-1"}, *const other[] = {"late-2"};
    struct outcome_contact c = contact(&w, 0), c2 = contact(&w, 1);
    result(o, &w, &c, CGW_RES_ACCEPTED, 0, ids, 1);
    result(o, &w, &c2, CGW_RES_ACCEPTED, 0, other, 1);
    struct outcome_config cfg = config(NULL);
    int64_t closed = 0;
    OK(outcome_close_wave(db, &cfg, w.wave_id, clock_utc_ms(), &closed, &d));
    cr_assert_eq(closed, 2);
    receipt_at(o, w.instance, "late-1", DEL, 0, NULL, 0);
    outcome_stop(o);
    cr_assert_eq(stat(&w, STAT_UNKNOWN), 1);
    cr_assert_eq(stat(&w, STAT_DELIVERED), 1);
    OK(outcome_close_wave(db, &cfg, w.wave_id, clock_utc_ms(), &closed, &d));
    cr_assert_eq(closed, 0);
}

/* ---- texts of peers
 * ------------------------------------------------------------------------------------------------------
 */
Test(outcomes, bytes_that_are_no_text_cost_no_row)
{
    struct world w;
    sent_world(&w, 22, 1);
    struct outcome_writer *o = start();
    const char *const ids[] = {"\xff\xfe-17"};
    struct outcome_contact c = contact(&w, 0);
    result(o, &w, &c, CGW_RES_ACCEPTED, 0, ids, 1);
    receipt_at(o, w.instance, ids[0], DEL, 0, NULL, 0);
    outcome_stop(o);
    cr_assert_eq(stat(&w, STAT_SUBMITTED), 1);
    cr_assert_eq(stat(&w, STAT_DELIVERED), 1);
}

Test(outcomes, nothing_is_called_stored_while_the_database_refuses_everybody)
{
    char conninfo[1024];
    (void)snprintf(conninfo, sizeof conninfo, "%s options='-c default_transaction_read_only=on'",
                   getenv("CAMPGW_TEST_DB"));
    struct outcome_config cfg = config(conninfo);
    struct outcome_writer *o = NULL;
    OK(outcome_start(&cfg, &o, &d));
    struct cgw_receipt r = {
        .size = sizeof r, .result = DEL, .provider_id = "x", .code_space = "", .raw = "", .ack = 7};
    cr_assert_eq(outcome_receipts(o, "nobody", &r, 1), 1);
    nap(700);
    cr_assert_eq(atomic_load(&n_stored), 0);
    outcome_stop(o);
    cr_assert_eq(atomic_load(&n_stored), 0, "a peer was told at the stop that its receipt is kept");
}

Test(outcomes, a_writer_stops_though_a_kept_receipt_cannot_be_applied)
{
    struct world w;
    char person[32], conninfo[1024];
    sent_world(&w, 39, 1);
    struct outcome_writer *o = start();
    struct outcome_contact c = contact(&w, 0);
    person_of(&w, 0, person);
    c.address_key = customer_key(identity_key, person, strlen(person));
    result(o, &w, &c, CGW_RES_UNKNOWN, 0, NULL, 0);
    outcome_stop(o);
    (void)snprintf(conninfo, sizeof conninfo, "%s options='-c default_transaction_read_only=on'",
                   getenv("CAMPGW_TEST_DB"));
    run_sql("WITH x AS (INSERT INTO receipt_early (instance, refh, ref, result, flags, code, "
            "code_space, raw, person_key, reference, sub, quantity, arrived) VALUES ('%s', 99, "
            "'late', 2, 0, 0, '', '', %" PRId64 ", 0, 0, 0, now() - interval '10 s') RETURNING 1) "
            "SELECT count(*) FROM x",
            w.instance, c.address_key);
    struct outcome_config cfg = config(conninfo);
    OK(outcome_start(&cfg, &o, &d));
    nap(2700); /* the first sweep */
    outcome_stop(o);
    cr_assert_eq(events(&w, 0, EVENT_SETTLED), 0);
}

/* ---- in doubt
 * -------------------------------------------------------------------------------------------------------------
 */
Test(outcomes, in_doubt_is_settled_by_the_one_receipt_that_can_be_its_own)
{
    struct world w, foreign;
    char person[32], twice[32];
    sent_world(&w, 23, 2);
    make_world(&foreign, 24, 1); /* another instance */
    struct outcome_writer *o = start();
    int64_t now = clock_utc_ms();
    person_of(&w, 0, person);
    person_of(&w, 1, twice);
    struct outcome_contact c = contact(&w, 0), c2 = contact(&w, 1);
    c.address_key = customer_key(identity_key, person, strlen(person));
    c2.address_key = customer_key(identity_key, twice, strlen(twice));
    result(o, &w, &c, CGW_RES_UNKNOWN, 0, NULL, 0);
    result(o, &w, &c2, CGW_RES_UNKNOWN, 0, NULL, 0);
    /* a second wave has the same person in doubt: nobody can say which one a receipt means */
    run_sql("INSERT INTO in_doubt SELECT part, contact_id + (1::int8 << 32), attempt, route_id, "
            "address_key, since, until FROM in_doubt WHERE part = 23 AND contact_id = %" PRId64
            " RETURNING 1",
            contact_of(&w, 1));
    receipt_at(o, foreign.instance, "not-ours", DEL, 0, person + 1, now - 10000);
    receipt_at(o, w.instance, "before-it", DEL, 0, person + 1, now - 30000);
    receipt_at(o, w.instance, "two-fit", DEL, 0, twice, now - 10000);
    receipt_at(o, w.instance, "its-own", DEL, 0, person + 1,
               now - 10000); /* SMSCs leave out the + */
    wait_event(&w, 0, EVENT_SETTLED);
    receipt_at(o, w.instance, "its-own", DEL, 0, person + 1, now - 9000);
    outcome_stop(o);
    cr_assert_eq(
        number("SELECT count(*) FROM contact_submit WHERE part = 23 AND contact_id = %" PRId64
               " AND ref = 'its-own'",
               contact_of(&w, 0)),
        1);
    cr_assert_eq(events(&w, 1, EVENT_SETTLED), 0);
    cr_assert_eq(stat(&w, STAT_SUBMITTED), 2);
    cr_assert_eq(stat(&w, STAT_IN_DOUBT), 2);
    cr_assert_eq(stat(&w, STAT_SETTLED), 1);
    cr_assert_eq(stat(&w, STAT_DELIVERED), 1);
    cr_assert_eq(number("SELECT count(*) FROM in_doubt WHERE part = 23 AND contact_id = %" PRId64,
                        contact_of(&w, 0)),
                 0);
}

Test(outcomes, a_fresh_receipt_waits_for_its_accept_though_the_person_is_in_doubt)
{
    struct world w;
    char person[32];
    sent_world(&w, 25, 2);
    struct outcome_writer *o = start();
    person_of(&w, 0, person);
    struct outcome_contact old = contact(&w, 0), fresh = contact(&w, 1);
    old.address_key = fresh.address_key = customer_key(identity_key, person, strlen(person));
    const char *const ids[] = {"fresh-1"};
    result(o, &w, &old, CGW_RES_UNKNOWN, 0, NULL, 0);
    /* fresh for a minute more: the machine may pause before the accept comes */
    receipt_at(o, w.instance, ids[0], DEL, 0, person, clock_utc_ms() + 60000);
    result(o, &w, &fresh, CGW_RES_ACCEPTED, 0, ids, 1);
    outcome_stop(o);
    cr_assert_eq(events(&w, 0, EVENT_SETTLED), 0, "the receipt settled the wrong contact");
    cr_assert_eq(events(&w, 1, EVENT_DELIVERED), 1);
}

/* A node that was overtaken still knows what became of its last window. */
static const struct overtaken {
    uint32_t result;
    int submitted, in_doubt, settled, failed, echo;
} overtaken[] = {{CGW_RES_ACCEPTED, 1, 1, 1, 0, 0},
                 {CGW_RES_REFUSED, 1, 1, 0, 1, 0},
                 {CGW_RES_NOT_SENT, 0, 1, 0, 0, 1},
                 {CGW_RES_REFUSED_RETRY, 0, 1, 0, 0, 1},
                 {CGW_RES_UNKNOWN, 1, 1, 0, 0, 0}};

Test(outcomes, results_of_an_overtaken_node_settle_and_count_nobody_twice)
{
    for (size_t i = 0; i < ARRAY_LEN(overtaken); i++) {
        const struct overtaken *x = &overtaken[i];
        struct world w;
        sent_world(&w, 26, 1);
        struct outcome_contact c = contact(&w, 0);
        struct outcome_config cfg = config(NULL);
        int64_t flagged = 0;
        OK(outcome_recover_part(db, &cfg, 26, take_part(db, 26), &flagged, &d));
        cr_assert_eq(flagged, 1);
        struct outcome_writer *o = start();
        result(o, &w, &c, x->result, 0, NULL, 0);
        outcome_stop(o);
        cr_assert_eq(stat(&w, STAT_SUBMITTED), x->submitted, "result %u", x->result);
        cr_assert_eq(stat(&w, STAT_IN_DOUBT), x->in_doubt, "result %u", x->result);
        cr_assert_eq(stat(&w, STAT_SETTLED), x->settled, "result %u", x->result);
        cr_assert_eq(stat(&w, STAT_FAILED), x->failed, "result %u", x->result);
        cr_assert_eq(
            number("SELECT count(*) FROM echo WHERE part = 26 AND wave_id = %d AND attempt = 2",
                   w.wave_id),
            x->echo, "result %u", x->result);
        cr_assert_eq(
            number("SELECT count(*) FROM in_doubt WHERE part = 26 AND contact_id = %" PRId64,
                   contact_of(&w, 0)),
            x->result == CGW_RES_UNKNOWN, "result %u", x->result);
    }
}

Test(outcomes, a_late_accept_of_an_overtaken_node_whose_receipt_came_first_adds_nothing)
{
    struct world w;
    char person[32];
    int64_t flagged = 0;
    const char *const ids[] = {"late-1"};
    sent_world(&w, 29, 1);
    person_of(&w, 0, person);
    struct outcome_contact c = contact(&w, 0);
    struct outcome_config cfg = config(NULL);
    OK(outcome_recover_part(db, &cfg, 29, take_part(db, 29), &flagged, &d));
    cr_assert_eq(flagged, 1);
    run_sql("UPDATE in_doubt SET since = since - interval '1 minute' WHERE part = 29 RETURNING 1");
    struct outcome_writer *o = start();
    receipt_at(o, w.instance, ids[0], DEL, 0, person, clock_utc_ms() - 10000);
    wait_event(&w, 0, EVENT_SETTLED);
    result(o, &w, &c, CGW_RES_ACCEPTED, 0, ids, 1);
    outcome_stop(o);
    cr_assert_eq(stat(&w, STAT_SEGMENTS), 1, "the accept was refused as a whole");
    cr_assert_eq(stat(&w, STAT_SUBMITTED), 1);
    cr_assert_eq(stat(&w, STAT_SETTLED), 1);
    cr_assert_eq(stat(&w, STAT_DELIVERED), 1);
    cr_assert_eq(
        number("SELECT count(*) FROM contact_submit WHERE part = 29 AND contact_id = %" PRId64,
               contact_of(&w, 0)),
        1);
}

/* ---- echo rows
 * -------------------------------------------------------------------------------------------------------------
 */
static const struct transition {
    uint32_t result, flags;
    bool from_echo;
    int16_t attempt, tries;
    int rows, next_attempt, next_tries, event; /* what stands in echo afterwards */
} transitions[] = {
    {CGW_RES_ACCEPTED, 0, false, 1, 0, 0, 0, 0, 0},
    {CGW_RES_ACCEPTED, 0, true, 2, 1, 0, 0, 0, 0},
    {CGW_RES_NOT_SENT, 0, false, 1, 0, 1, 2, 0, EVENT_NOT_SENT},
    {CGW_RES_NOT_SENT, 0, true, 2, 1, 1, 3, 1, EVENT_NOT_SENT},
    {CGW_RES_REFUSED_RETRY, 0, false, 1, 0, 1, 2, 1, EVENT_RETRY},
    {CGW_RES_REFUSED_RETRY, CGW_RESF_THROTTLED, true, 5, 2, 1, 6, 2, EVENT_RETRY},
    {CGW_RES_REFUSED_RETRY, 0, true, 5, 2, 0, 0, 0, EVENT_REFUSED}, /* third try of three */
    {CGW_RES_REFUSED, 0, true, 2, 0, 0, 0, 0, EVENT_REFUSED},
    {CGW_RES_FAILED, 0, true, 2, 0, 0, 0, 0, EVENT_FAILED},
    {CGW_RES_UNKNOWN, 0, true, 2, 0, 0, 0, 0, EVENT_IN_DOUBT},
};

Test(outcomes, each_result_leaves_the_echo_row_that_it_should)
{
    struct world w;
    sent_world(&w, 27, ARRAY_LEN(transitions));
    struct outcome_writer *o = start();
    for (size_t i = 0; i < ARRAY_LEN(transitions); i++) {
        const struct transition *t = &transitions[i];
        struct outcome_contact c = contact(&w, (int)i);
        c.attempt = t->attempt;
        c.tries = t->tries;
        c.from_echo = t->from_echo;
        int64_t seq = w.first_seq + (int64_t)i;
        if (t->from_echo)
            run_sql("INSERT INTO echo (part, wave_id, seq, attempt, tries, state, not_before, "
                    "reason, keeps_reservation) VALUES (27, %d, %" PRId64
                    ", %d, %d, 2, now(), 0, true) RETURNING 1",
                    w.wave_id, seq, t->attempt, t->tries);
        result(o, &w, &c, t->result, t->flags, NULL, 0);
        cr_assert_eq(
            number("SELECT count(*) FROM echo WHERE part = 27 AND wave_id = %d AND seq = %" PRId64,
                   w.wave_id, seq),
            t->rows, "row %zu", i);
        if (t->rows) {
            cr_assert_eq(number("SELECT attempt * 100 + tries * 10 + state FROM echo WHERE part = "
                                "27 AND wave_id = %d AND seq = %" PRId64,
                                w.wave_id, seq),
                         t->next_attempt * 100 + t->next_tries * 10, "row %zu", i);
            cr_assert_eq(number("SELECT keeps_reservation::int4 FROM echo WHERE part = 27 AND "
                                "wave_id = %d AND seq = %" PRId64,
                                w.wave_id, seq),
                         1, "row %zu", i);
        }
        if (t->event)
            cr_assert_eq(
                number(
                    "SELECT count(*) FROM contact_event WHERE part = 27 AND contact_id = %" PRId64
                    " AND attempt = %d AND kind = %d",
                    contact_of(&w, (int)i), t->attempt, t->event),
                1, "row %zu", i);
    }
    outcome_stop(o);
}

/* Without words: what the channel says that a person did. list and reason 0: nothing is forbidden.
 */
/* The last try of a telephone that rang leaves the reservation where it is; one that reached nobody
 * gives it back. */
Test(outcomes, a_telephone_that_rang_counts_as_a_contact_also_when_the_tries_are_used_up)
{
    static const struct {
        uint32_t sub;
        int kind, released;
    } cases[] = {{CGW_SUB_NO_ANSWER, EVENT_FAILED, 0},
                 {CGW_SUB_BUSY, EVENT_FAILED, 0},
                 {CGW_SUB_REJECTED, EVENT_FAILED, 0},
                 {CGW_SUB_ROUTE_DOWN, EVENT_REFUSED, 1},
                 {0, EVENT_REFUSED, 1}};
    struct world w;
    make_world(&w, 24, ARRAY_LEN(cases));
    run_sql("INSERT INTO cap (public_id, name, slot, period, max, zone, active) VALUES "
            "('cap_rang', 'rang', 30, 2, 9, 'UTC', false) RETURNING 1");
    decide_all(&w, 1u << 30, 0); /* counted: only then there is something to give back */
    intend(&w, ARRAY_LEN(cases));
    struct outcome_writer *o = start();
    for (int i = 0; i < (int)ARRAY_LEN(cases); i++) {
        struct outcome_contact c = contact(&w, i);
        struct cgw_result r = {
            .size = sizeof r, .result = CGW_RES_REFUSED_RETRY, .sub = cases[i].sub, .code = 480};
        unsigned want = atomic_load(&n_settled) + 1;
        c.tries = (int16_t)(c.max_tries - 1);
        outcome_result(o, &c, w.instance, &r);
        wait_count(&n_settled, want);
        cr_assert_eq(number("SELECT kind::int8 FROM contact_event WHERE part = 24 AND contact_id = "
                            "%" PRId64,
                            c.contact_id),
                     cases[i].kind, "case %d", i);
        cr_assert_eq(number("SELECT count(*) FROM cap_release WHERE part = 24 AND contact_id = "
                            "%" PRId64,
                            c.contact_id),
                     cases[i].released, "case %d", i);
    }
    outcome_stop(o);
    cr_assert_eq(stat(&w, STAT_FAILED), ARRAY_LEN(cases));
}

Test(outcomes, a_complaint_forbids_marketing_and_is_not_answered)
{
    static const struct {
        uint32_t kind;
        int list, reason, confirmed;
    } cases[] = {{CGW_IN_COMPLAINT, 3, 4, 0},
                 {CGW_IN_OPTOUT, 1, 2, 1},
                 {CGW_IN_BOUNCE, 0, 0, 0},
                 {CGW_IN_CLICK, 0, 0, 0}};
    struct world w;
    make_world(&w, 28, 1);
    struct outcome_writer *o = start();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char person[32];
        int len = snprintf(person, sizeof person, "+49152%08u", (unsigned)i);
        int64_t id = customer_key(identity_key, person, (size_t)len);
        struct cgw_inbound in = {.size = sizeof in,
                                 .kind = cases[i].kind,
                                 .from = {CGW_ADDR_E164, (uint32_t)len, person},
                                 .arrived_utc_ms = clock_utc_ms(),
                                 .ack = 1};
        unsigned want = atomic_load(&n_stored) + 1;
        cr_assert_eq(outcome_inbound(o, w.instance, CGW_CHANNEL_SMS, &in, 1), 1);
        wait_count(&n_stored, want);
        cr_expect_eq(number("SELECT count(*) FROM response WHERE customer_id = %" PRId64, id), 1,
                     "kind %u is kept", cases[i].kind);
        cr_expect_eq(number("SELECT coalesce(sum(list_id * 10 + reason), 0)::int8 FROM dnd WHERE "
                            "customer_id = %" PRId64 " AND scope = 2001",
                            id),
                     cases[i].list * 10 + cases[i].reason, "kind %u", cases[i].kind);
        cr_expect_eq(number("SELECT count(*) FROM optout_confirm WHERE customer_id = %" PRId64, id),
                     cases[i].confirmed, "kind %u", cases[i].kind);
    }
    outcome_stop(o);
}
