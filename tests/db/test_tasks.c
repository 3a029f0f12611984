/* SPDX-License-Identifier: Apache-2.0 */
/* test_tasks.c - tasks on a real database: the document comes with its accept or not at all, nobody
 * has a task that another has, what ends is said in the log once, and a crash leaves nobody in
 * doubt.
 */
#include "outcome_fixture.h"

#include "store/store_task.h"

#include <pthread.h>

TestSuite(tasks, .init = setup, .fini = teardown, .timeout = 120);

#define DOC "{\"reference\":\"r\",\"to\":{\"kind\":\"e164\",\"address\":\"+491\"}}"

static const struct store_scope owner = {0};
static char pulled_instance[48];

static const char *pulled(void *ctx, unsigned i, const char **ret_zone)
{
    (void)ctx;
    *ret_zone = "Asia/Shanghai";
    return i == 0 ? pulled_instance : NULL;
}

static struct cgw_tally last_tally;
static atomic_uint n_tallies;

static void on_tally(void *ctx, const char *instance, const struct cgw_tally *t)
{
    (void)ctx;
    if (!strcmp(instance, pulled_instance))
        last_tally = *t;
    atomic_fetch_add(&n_tallies, 1);
}

static bool certain(void *ctx, uint32_t channel)
{
    (void)ctx;
    return channel == CGW_CHANNEL_SMS;
}

static struct outcome_writer *start_pulled(const struct world *w)
{
    struct outcome_writer *o = NULL;
    struct outcome_config cfg = config(getenv("CAMPGW_TEST_DB"));
    (void)snprintf(pulled_instance, sizeof pulled_instance, "%s", w->instance);
    cfg.pulled = pulled;
    cfg.tally = on_tally;
    OK(outcome_start(&cfg, &o, &d));
    return o;
}

static void accept(struct outcome_writer *o, const struct world *w, const struct outcome_contact *c,
                   const char *id)
{
    const char *ids[] = {id};
    struct cgw_result r = {.size = sizeof r,
                           .result = CGW_RES_ACCEPTED,
                           .code_space = "task",
                           .raw = "",
                           .provider_ids = ids,
                           .n_ids = 1,
                           .document = DOC,
                           .document_len = sizeof DOC - 1};
    unsigned want = atomic_load(&n_settled) + 1;
    outcome_result(o, c, w->instance, &r);
    wait_count(&n_settled, want);
}

/* n open tasks of a world of their own. */
static void task_world(struct world *w, int32_t part, int n)
{
    char id[64];
    sent_world(w, part, n);
    run_sql("UPDATE campaign SET class = 2 WHERE campaign_id = %d RETURNING 1", w->campaign_id);
    struct outcome_writer *o = start_pulled(w);
    for (int i = 0; i < n; i++) {
        struct outcome_contact c = contact(w, i);
        (void)snprintf(id, sizeof id, "%s-%d", w->instance, i);
        accept(o, w, &c, id);
    }
    outcome_stop(o);
}

#define TASKS(w, what)                                                                             \
    number("SELECT " what " FROM task WHERE part = %d AND instance = '%s'", (w)->part,             \
           (w)->instance)

static int64_t key_of(const struct world *w, int i)
{
    return number("SELECT task_key FROM task WHERE part = %d AND contact_id = %" PRId64, w->part,
                  contact_of(w, i));
}

static int nobody(void *ctx, const struct task_given *t)
{
    (void)ctx;
    (void)t;
    return 0;
}

static struct task_ask ask_of(const struct world *w, int limit)
{
    return (struct task_ask){.instance = w->instance,
                             .agent = "a",
                             .now_ms = clock_utc_ms(),
                             .lease_ms = 60000,
                             .limit = limit};
}

static struct task_lease_counts take(struct task_ask ask)
{
    struct task_lease_counts n;
    OK(db_begin(db, &d));
    OK(store_task_lease(db, owner, &ask, nobody, NULL, &n, &d));
    OK(db_commit(db, &d));
    return n;
}

static int report(int64_t key, int outcome, bool *ret_new)
{
    uint64_t parts = 0;
    struct task_report r = {
        .task_key = key, .now_ms = clock_utc_ms(), .outcome = outcome, .seconds = 3, .note = "yes"};
    OK(db_begin(db, &d));
    int rc = store_task_report(db, owner, &r, &parts, ret_new, &d);
    if (rc == 0)
        OK(store_facts_touch(db, parts, &d));
    OK(db_commit(db, &d));
    return rc;
}

/* Until all of these tasks stand in the log; a second writer that found them at the same time comes
 * too late. */
static void settle(const struct world *w, int n)
{
    static struct task_end seen[256], again[256];
    int m = 0, k = 0;
    OK(store_tasks_ended(db, clock_utc_ms(), seen, ARRAY_LEN(seen), &m, &d));
    for (int i = m; i-- > 0;) /* those of the tests beside this one are theirs to settle */
        if (seen[i].part != w->part)
            seen[i] = seen[--m];
    struct outcome_writer *o = start();
    for (int i = 0; i < 1000 && TASKS(w, "count(*) FILTER (WHERE settled)") < n; i++) {
        outcome_poke(o);
        nap(20);
    }
    cr_assert_eq(TASKS(w, "count(*) FILTER (WHERE settled)"), n);
    OK(store_tasks_settle(db, clock_utc_ms(), seen, m, again, &k, &d));
    cr_assert_eq(k, 0, "settled twice");
    outcome_stop(o);
}

static int64_t happened(const struct world *w, int kind)
{
    return number("SELECT count(*) FROM contact_event WHERE part = %d AND contact_id >> 32 = %d "
                  "AND kind = %d",
                  w->part, w->wave_id, kind);
}

#define DAY_THERE "(now() AT TIME ZONE 'Asia/Shanghai')::date"
#define DAY_NUMBER "SELECT (" DAY_THERE " - date '2000-01-01')::int8"

Test(tasks, a_document_comes_with_its_accept_and_is_counted_on_its_day)
{
    struct world w;
    int64_t day = number(DAY_NUMBER);
    task_world(&w, 3, 4);
    cr_assert_eq(TASKS(&w, "count(*)"), 4);
    cr_assert_eq(number("SELECT count(*) FROM task t JOIN contact_submit s USING (part, "
                        "contact_id, attempt) WHERE t.part = 3 AND t.instance = '%s' AND t.ref = "
                        "s.ref AND t.task_key & 63 = t.part",
                        w.instance),
                 4);
    cr_assert_eq(last_tally.included, 4, "%d", (int)last_tally.included);
    struct outcome_writer *o = start_pulled(&w); /* as after a restart */
    unsigned before = atomic_load(&n_tallies);
    for (int i = 0; i < 2000 && atomic_load(&n_tallies) == before; i++)
        nap(10);
    outcome_stop(o);
    if (number(DAY_NUMBER) == day) { /* no midnight since */
        cr_assert_eq(number("SELECT n FROM task_count WHERE instance = '%s' AND day = " DAY_THERE,
                            w.instance),
                     4);
        cr_assert_eq(last_tally.day, 4);
        cr_assert_eq(last_tally.month, 4);
    }
    cr_assert_eq(number("SELECT sum(n)::int8 FROM task_count WHERE instance = '%s'", w.instance),
                 4);
    cr_assert_eq(last_tally.open, 4);
    cr_assert_eq(last_tally.included, 0);
}

/* ---- one task, one agent ----------------------------------------------------------------------
 */
#define DESKS 5
#define CROWD 60

struct desk {
    pthread_t thread;
    const struct world *w;
    int64_t got[CROWD];
    int n;
};

static int note_key(void *ctx, const struct task_given *t)
{
    struct desk *k = ctx;
    if (k->n < CROWD)
        k->got[k->n++] = t->task_key;
    return 0;
}

static void *desk_main(void *arg)
{
    struct desk *k = arg;
    struct db *c = connection();
    struct diag dd = {0};
    for (int idle = 0; idle < 3;) {
        struct task_ask ask = ask_of(k->w, 2);
        struct task_lease_counts n = {0};
        if (db_begin(c, &dd) < 0 || store_task_lease(c, owner, &ask, note_key, k, &n, &dd) < 0)
            break;
        nap(3); /* the others look while this is not committed */
        if (db_commit(c, &dd) < 0)
            break;
        idle = n.given ? 0 : idle + 1;
    }
    db_close(c);
    return NULL;
}

Test(tasks, nobody_takes_a_task_that_another_has)
{
    struct world w;
    static struct desk desks[DESKS];
    static int64_t all[DESKS * CROWD];
    int n = 0;
    task_world(&w, 4, CROWD);
    for (int i = 0; i < DESKS; i++) {
        desks[i].w = &w;
        cr_assert_eq(pthread_create(&desks[i].thread, NULL, desk_main, &desks[i]), 0);
    }
    for (int i = 0; i < DESKS; i++) {
        (void)pthread_join(desks[i].thread, NULL);
        for (int k = 0; k < desks[i].n; k++)
            all[n++] = desks[i].got[k];
    }
    qsort(all, (size_t)n, sizeof *all, by_id);
    for (int i = 1; i < n; i++)
        cr_assert_neq(all[i], all[i - 1], "a task was given out twice");
    cr_assert_eq(n, CROWD);
    cr_assert_eq(TASKS(&w, "max(leases)::int8"), 1);
}

Test(tasks, a_lease_ends_and_a_window_ends_for_good)
{
    struct world w;
    task_world(&w, 5, 3);
    struct task_ask ask = ask_of(&w, 10);
    cr_assert_eq(take(ask).given, 3);
    cr_assert_eq(take(ask).given, 0);
    cr_assert_eq(TASKS(&w, "count(*) FILTER (WHERE lease_until <= until)"), 3);
    ask.now_ms += 60001; /* the lease of a minute is over; so is the window of one task */
    run_sql("UPDATE task SET until = now() + interval '30 s' WHERE part = 5 AND contact_id = "
            "%" PRId64 " RETURNING 1",
            contact_of(&w, 0));
    run_sql("UPDATE task SET until = now() + interval '1 h' WHERE part = 5 AND contact_id <> "
            "%" PRId64 " AND instance = '%s' RETURNING 1",
            contact_of(&w, 0), w.instance);
    cr_assert_eq(take(ask).given, 2);
    cr_assert_eq(TASKS(&w, "sum(leases)::int8"), 5);
}

Test(tasks, what_nobody_did_in_time_expires_once_and_counts_against_nobody)
{
    struct world w;
    bool news;
    task_world(&w, 6, 3);
    cr_assert_eq(take(ask_of(&w, 1)).given, 1);
    run_sql("UPDATE task SET until = now() - interval '10 s', lease_until = CASE WHEN state = 1 "
            "THEN now() - interval '10 s' END WHERE part = 6 AND instance = '%s' RETURNING 1",
            w.instance);
    cr_assert_eq(take(ask_of(&w, 10)).given, 0, "its window is over");
    settle(&w, 2);
    cr_assert_eq(happened(&w, EVENT_EXPIRED), 2, "who holds one has a moment left to report");
    cr_assert_eq(stat(&w, STAT_EXPIRED), 2);
    int64_t held = number("SELECT task_key FROM task WHERE part = 6 AND instance = '%s' AND state "
                          "= 1",
                          w.instance);
    cr_assert_eq(report(held, TASK_NO_ANSWER, &news), 0, "%s", d.text);
    settle(&w, 3);
    cr_assert_eq(happened(&w, EVENT_FAILED), 1);
    cr_assert_eq(stat(&w, STAT_FAILED), 1);
    cr_assert_eq(report(key_of(&w, 2), TASK_REACHED, &news), CGW_ESTATE);
}

Test(tasks, an_outcome_counts_once_and_another_is_refused)
{
    struct world w;
    bool news = false;
    task_world(&w, 7, 1);
    int64_t key = key_of(&w, 0);
    cr_assert_eq(report(key, TASK_REACHED, &news), CGW_ESTATE, "nobody has taken it");
    cr_assert_eq(take(ask_of(&w, 1)).given, 1);
    cr_assert_eq(report(key, TASK_OPTED_OUT, &news), 0, "%s", d.text);
    cr_assert(news);
    cr_assert_eq(report(key, TASK_OPTED_OUT, &news), 0);
    cr_assert_not(news);
    cr_assert_eq(report(key, TASK_BUSY, &news), CGW_ESTATE);
    cr_assert_eq(number("SELECT count(*) FROM dnd WHERE part = 7 AND customer_id = %" PRId64
                        " AND scope = 2001 AND reason = 2",
                        w.ids[0]),
                 1, "in force before the log has it");
    settle(&w, 1);
    cr_assert_eq(happened(&w, EVENT_DELIVERED), 1);
    cr_assert_eq(stat(&w, STAT_DELIVERED), 1);
    cr_assert_eq(stat(&w, STAT_RESPONSES), 1);
    cr_assert_eq(number("SELECT count(*) FROM response r JOIN attribution a USING (part, "
                        "response_id) WHERE r.part = 7 AND r.kind = %u AND r.meaning = 1 AND "
                        "a.contact_id = %" PRId64,
                        CGW_IN_TASK, contact_of(&w, 0)),
                 1);
}

Test(tasks, who_opted_out_meanwhile_is_not_given_out)
{
    struct world w;
    task_world(&w, 8, 3);
    run_sql("INSERT INTO dnd (part, customer_id, scope, list_id, reason) VALUES (8, %" PRId64
            ", 1001, 1, 2) RETURNING 1",
            w.ids[1]);
    struct task_lease_counts n = take(ask_of(&w, 3));
    cr_assert_eq(n.given, 2);
    cr_assert_eq(n.withdrawn, 1);
    settle(&w, 1);
    cr_assert_eq(number("SELECT count(*) FROM contact_event WHERE part = 8 AND contact_id = "
                        "%" PRId64 " AND kind = 3 AND code_space = 'task.withdrawn' AND detail = "
                        "'dnd.optout'",
                        contact_of(&w, 1)),
                 1);
    cr_assert_eq(stat(&w, STAT_FAILED), 1);
    run_sql("UPDATE campaign SET class = 1 WHERE campaign_id = %d RETURNING 1", w.campaign_id);
    run_sql("UPDATE task SET state = 0, lease_until = NULL WHERE part = 8 AND instance = '%s' AND "
            "state = 1 RETURNING 1",
            w.instance);
    n = take(ask_of(&w, 3));
    cr_assert_eq(n.given, 0, "marketing needs consent");
    cr_assert_eq(n.withdrawn, 2);
}

Test(tasks, a_paused_campaign_route_or_switch_gives_nothing_out)
{
    struct world w;
    task_world(&w, 9, 1);
    run_sql("UPDATE campaign SET state = 'paused' WHERE campaign_id = %d RETURNING 1",
            w.campaign_id);
    cr_assert_eq(take(ask_of(&w, 1)).given, 0);
    run_sql("UPDATE campaign SET state = 'running' WHERE campaign_id = %d RETURNING 1",
            w.campaign_id);
    run_sql("UPDATE route SET state = 'paused' WHERE route_id = %d RETURNING 1", w.route_id);
    cr_assert_eq(take(ask_of(&w, 1)).given, 0);
    run_sql("UPDATE route SET state = 'draining' WHERE route_id = %d RETURNING 1", w.route_id);
    cr_assert_eq(take(ask_of(&w, 1)).given, 1, "what was accepted is worked on");
}

/* ---- crash -------------------------------------------------------------------------------------
 */
#define ECHO(w, what)                                                                              \
    number("SELECT " what " FROM echo WHERE part = %d AND wave_id = %d AND seq = %" PRId64,        \
           (w)->part, (w)->wave_id, (w)->first_seq)

Test(tasks, without_an_accept_nobody_is_in_doubt_and_a_late_accept_makes_no_second_task)
{
    struct world w;
    struct outcome_config cfg = config(NULL);
    int64_t flagged = -1;
    cfg.certain = certain;
    sent_world(&w, 10, 1);
    struct outcome_contact late = contact(&w, 0);
    OK(outcome_recover_part(db, &cfg, 10, take_part(db, 10), &flagged, &d));
    cr_assert_eq(flagged, 0);
    cr_assert_eq(happened(&w, EVENT_IN_DOUBT), 0);
    cr_assert_eq(happened(&w, EVENT_NOT_SENT), 1);
    cr_assert_eq(ECHO(&w, "attempt * 10 + state + keeps_reservation::int4"), 21);
    cr_assert_eq(stat(&w, STAT_SUBMITTED), 0);
    struct outcome_writer *o = start_pulled(&w);
    accept(o, &w, &late, "late");
    outcome_stop(o);
    cr_assert_eq(TASKS(&w, "count(*)"), 0, "the next attempt makes one");
    cr_assert_eq(number("SELECT count(*) FROM contact_submit WHERE part = 10 AND contact_id = "
                        "%" PRId64,
                        contact_of(&w, 0)),
                 0);
    cr_assert_eq(stat(&w, STAT_SUBMITTED), 0);
    cr_assert_eq(stat(&w, STAT_SEGMENTS), 0);
    cr_assert_eq(ECHO(&w, "attempt"), 2, "still in line");
}
