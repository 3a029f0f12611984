/* SPDX-License-Identifier: Apache-2.0 */
/* test_protocol.c - the sending protocol against a real PostgreSQL: what must hold when two
 * connections race, and after a crash at any point. Skipped, with this sentence, when
 * CAMPGW_TEST_DB is unset. Source: sql/README.md, "Protocol". */
#include "protocol_fixture.h"

#include "base/clock.h"
#include "outcome/outcome.h"
#include "policy/calendar.h"
#include "store/store_plan.h"
#include "store/store_rules.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

TestSuite(protocol, .init = setup, .fini = teardown, .timeout = 60);

/* ---- two regressions to keep for ever
 * ---------------------------------------------------------------------------- */
Test(protocol, a_planned_chunk_has_sent_nothing_not_even_the_rows_before_it)
{
    struct world w;
    make_world(&w, 1, 4);
    run_sql("INSERT INTO set_slice (part, set_id, slice_no, place, seq_lo, seq_hi, cust_lo, "
            "cust_hi) VALUES (1, %d, 7, 0, 500, 503, 1, 2) RETURNING 1",
            w.set_id);
    run_sql("UPDATE wave SET state = 'planning', planned_part = 0 WHERE wave_id = %d RETURNING 1",
            w.wave_id);
    struct plan_wave plan = {.wave_id = w.wave_id, .set_id = w.set_id};
    int64_t chunks = 0;
    OK(store_plan_part(db, &plan, 1, &chunks, &d));
    cr_assert_eq(chunks, 1);
    cr_assert_eq(
        number("SELECT sent_hi FROM chunk WHERE part = 1 AND wave_id = %d AND chunk_no = 7",
               w.wave_id),
        499);
    int64_t rows = 0;
    cr_assert_lt(db_exec(db, "UPDATE chunk SET sent_hi = seq_lo - 2", NULL, &rows, &d), 0,
                 "the table takes a sent_hi before the chunk");
}

struct racer {
    struct db *c;
    const struct world *w;
    int rc;
    struct diag d;
};

static void *late_intent(void *arg)
{
    struct racer *r = arg;
    struct intent_check check;
    struct chunk_ref c = {.part = r->w->part, .wave_id = r->w->wave_id, .chunk_no = 0};
    r->rc = db_begin(r->c, &r->d);
    if (r->rc == 0)
        r->rc =
            store_intent_lock(r->c, r->w->part, NODE, r->w->epoch, r->w->wave_id, 1, &check, &r->d);
    if (r->rc == 0)
        r->rc = store_intent_chunk(r->c, &c, r->w->first_seq, r->w->first_seq + 1, r->w->route_id,
                                   NODE, check.now_ms, &r->d);
    if (r->rc == 0)
        r->rc = db_commit(r->c, &r->d);
    db_rollback(r->c);
    return NULL;
}

/* Tests run side by side: it must be this session that waits. */
static void wait_for_waiter(int64_t pid)
{
    struct timespec nap = {.tv_nsec = 5000000};
    for (int i = 0; i < 2000; i++) {
        if (number("SELECT count(*) FROM pg_stat_activity WHERE pid = %" PRId64
                   " AND wait_event_type = 'Lock' AND query LIKE '%%part_head%%'",
                   pid) > 0)
            return;
        (void)nanosleep(&nap, NULL);
    }
    cr_assert_fail("session %" PRId64 " waits for no part", pid);
}

static int64_t pid_of(struct db *c)
{
    return number_on(c, "SELECT pg_backend_pid()::int8");
}

Test(protocol, an_intent_that_waited_for_a_takeover_is_fenced)
{
    struct world w;
    make_world(&w, 2, 4);
    decide_all(&w, 0, 0);
    struct db *taker = connection();
    OK(db_begin(taker, &d));
    (void)take_part(taker, w.part);
    struct racer r = {.c = connection(), .w = &w};
    int64_t pid = pid_of(r.c);
    pthread_t t;
    cr_assert_eq(pthread_create(&t, NULL, late_intent, &r), 0);
    wait_for_waiter(pid);
    OK(db_commit(taker, &d));
    (void)pthread_join(t, NULL);
    cr_assert_eq(r.rc, CGW_EFENCED, "rc %d: %s", r.rc, r.d.text);
    cr_assert_eq(number("SELECT sent_hi FROM chunk WHERE part = 2 AND wave_id = %d", w.wave_id),
                 w.first_seq - 1);
    db_close(r.c);
    db_close(taker);
}

static struct outcome_config recovery(void)
{
    return (struct outcome_config){
        .node = NODE, .sign_key = sign_key, .identity_key = identity_key};
}

struct taker {
    struct db *c;
    int32_t part;
    int64_t epoch, flagged;
    int rc;
    struct diag d;
};
static void *take_over(void *arg)
{
    struct taker *t = arg;
    struct outcome_config cfg = recovery();
    t->epoch = take_part(t->c, t->part); /* waits for the intent's lock */
    t->rc = outcome_recover_part(t->c, &cfg, t->part, t->epoch, &t->flagged, &t->d);
    return NULL;
}

Test(protocol, a_takeover_waits_for_the_intent_and_flags_what_it_covered)
{
    struct world w;
    make_world(&w, 3, 6);
    decide_all(&w, 0, 0);
    struct intent_check check;
    struct chunk_ref c = {.part = w.part, .wave_id = w.wave_id, .chunk_no = 0};
    struct db *zombie = connection();
    OK(db_begin(zombie, &d));
    OK(store_intent_lock(zombie, w.part, NODE, w.epoch, w.wave_id, 1, &check, &d));
    struct taker taker = {.c = connection(), .part = w.part};
    int64_t pid = pid_of(taker.c);
    pthread_t t;
    cr_assert_eq(pthread_create(&t, NULL, take_over, &taker), 0);
    wait_for_waiter(pid);
    OK(store_intent_chunk(zombie, &c, w.first_seq, w.first_seq + 1, w.route_id, NODE, check.now_ms,
                          &d));
    OK(db_commit(zombie, &d));
    (void)pthread_join(t, NULL);
    cr_assert_eq(taker.rc, 0, "%s", taker.d.text);
    cr_assert_eq(taker.flagged, 2);
    cr_assert_eq(number("SELECT count(*) FROM contact_event WHERE part = 3 AND contact_id / "
                        "4294967296 = %d AND kind = 9",
                        w.wave_id),
                 2);
    db_close(zombie);
    db_close(taker.c);
}

/* A node that was stopped in the middle of a transaction: no time-out of the server sees it while
 * it seems to be sending rows. */
Test(protocol, the_locks_of_a_dead_node_fall_with_its_sessions)
{
    struct world w;
    struct part_lock lock;
    make_world(&w, 30, 1);
    db_set_node("gone");
    struct db *zombie = connection(), *other = connection();
    OK(db_begin(zombie, &d));
    OK(store_part_lock(zombie, w.part, NODE, w.epoch, &lock, &d));
    OK(db_copy_open(zombie, "COPY idempotency FROM STDIN (FORMAT binary)", &d));
    run_sql("INSERT INTO node (name, version, seen_at) VALUES ('gone', '0', now() + interval '1 "
            "minute') RETURNING 1");
    int n = 0, ended = 0;
    (void)nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL); /* its sessions did nothing */
    OK(store_nodes_disconnect(db, 50, &ended, &d));
    cr_assert_eq(ended, 0, "it was seen just now");
    run_sql("UPDATE node SET seen_at = now() - interval '1 hour' WHERE name = 'gone' RETURNING 1");
    OK(store_nodes_disconnect(db, 3600000, &ended, &d));
    cr_assert_eq(ended, 0, "its sessions did something in this hour");
    for (int i = 0; i < 500 && ended < 2; i++, ended += n) {
        (void)nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        OK(store_nodes_disconnect(db, 50, &n, &d));
    }
    cr_assert_eq(ended, 2);
    OK(db_begin(db, &d));
    OK(store_part_lock(db, w.part, NODE, w.epoch, &lock, &d)); /* waits until the other is gone */
    db_rollback(db);
    cr_assert_lt(db_copy_close(zombie, true, &d), 0);
    cr_assert_not(db_is_up(zombie));
    run_sql("DELETE FROM node WHERE name = 'gone' RETURNING 1");
    db_close(zombie);
    db_close(other);
}

/* ---- locks and fates
 * ------------------------------------------------------------------------------------------------
 */
struct locker {
    struct db *c;
    int32_t part;
    int64_t epoch, done_ms;
    struct part_lock lock;
    int rc;
    struct diag d;
};
static void *lock_late(void *arg)
{
    struct locker *l = arg;
    l->rc = db_begin(l->c, &l->d);
    if (l->rc == 0)
        l->rc = store_part_lock(l->c, l->part, NODE, l->epoch, &l->lock, &l->d);
    db_rollback(l->c);
    return NULL;
}

Test(protocol, whoever_waited_for_the_part_reads_clocks_of_after_the_wait)
{
    struct world w;
    make_world(&w, 4, 1);
    struct db *holder = connection();
    OK(db_begin(holder, &d));
    struct part_lock lock;
    OK(store_part_lock(holder, w.part, NODE, w.epoch, &lock, &d));
    struct locker l = {.c = connection(), .part = w.part, .epoch = w.epoch};
    int64_t pid = pid_of(l.c);
    pthread_t t;
    cr_assert_eq(pthread_create(&t, NULL, lock_late, &l), 0);
    wait_for_waiter(pid);
    OK(store_facts_touch(holder, UINT64_C(1) << w.part, &d));
    int64_t before =
        number_on(holder, "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::int8");
    run_sql(
        "UPDATE part_head SET lease_until = now() WHERE part = 63 RETURNING 1"); /* any statement:
                                                                                    time passes */
    OK(db_commit(holder, &d));
    (void)pthread_join(t, NULL);
    cr_assert_eq(l.rc, 0, "%s", l.d.text);
    cr_assert_eq(l.lock.facts_ver, lock.facts_ver + 1);
    cr_assert_geq(l.lock.now_ms, before,
                  "the clock was read %" PRId64 " ms before the lock was free",
                  before - l.lock.now_ms);
    db_close(l.c);
    db_close(holder);
}

/* Which parts a node finds free, whatever its own clock says. */
Test(protocol, a_lease_ends_by_the_databases_clock)
{
    struct part_lease got[STORE_PARTS];
    static const struct {
        int64_t ahead_ms;
        const char *ends;
        bool taken;
    } cases[] = {{3600000, "+ interval '1 minute'", false}, {-3600000, "- interval '1 s'", true}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        bool taken = false;
        int n = 0;
        run_sql("UPDATE part_head SET node = 'another', lease_until = now() %s WHERE part = 32 "
                "RETURNING 1",
                cases[i].ends);
        clock_shift(cases[i].ahead_ms);
        OK(db_begin(db, &d));
        OK(store_parts_acquire(db, "taker", 10000, STORE_PARTS, got, &n, &d));
        db_rollback(db);
        for (int k = 0; k < n; k++)
            taken = taken || got[k].part == 32;
        cr_assert_eq(taken, cases[i].taken, "case %zu", i);
    }
}

Test(protocol, a_decision_that_waited_for_a_takeover_is_fenced)
{
    struct world w;
    struct part_lock lock;
    make_world(&w, 31, 1);
    struct db *taker = connection();
    OK(db_begin(taker, &d));
    int64_t epoch = take_part(taker, w.part);
    struct locker l = {.c = connection(), .part = w.part, .epoch = w.epoch};
    int64_t pid = pid_of(l.c);
    pthread_t t;
    cr_assert_eq(pthread_create(&t, NULL, lock_late, &l), 0);
    wait_for_waiter(pid);
    OK(db_commit(taker, &d));
    (void)pthread_join(t, NULL);
    cr_assert_eq(l.rc, CGW_EFENCED, "rc %d: %s", l.rc, l.d.text);
    OK(db_begin(taker, &d));
    cr_assert_eq(store_part_lock(taker, w.part, "another", epoch, &lock, &d), CGW_EFENCED);
    OK(store_part_lock(taker, w.part, NODE, epoch, &lock, &d));
    db_rollback(taker);
    db_close(l.c);
    db_close(taker);
}

Test(protocol, a_commit_that_still_runs_is_neither_done_nor_undone)
{
    struct db *other = connection();
    int64_t xid = 0;
    OK(db_begin(other, &d));
    OK(store_xid(other, &xid, &d));
    cr_assert_eq(store_xact_over(db, xid, &d), CGW_EBUSY);
    OK(db_commit(other, &d));
    OK(store_xact_over(db, xid, &d));
    OK(store_xact_over(db, xid + 1000000, &d)); /* lost in a crash and not given out again yet */
    db_close(other);
}

/* After a crash of the server a transaction id may belong to somebody else: only the rows
 * themselves are proof. */
Test(protocol, the_fate_of_a_commit_is_told_by_its_own_rows)
{
    struct world w;
    bool stands = true;
    make_world(&w, 14, 6);
    decide_all(&w, 0, 0);
    struct intent_check check;
    struct chunk_ref c = {.part = 14, .wave_id = w.wave_id, .chunk_no = 0};
    for (int round = 0; round < 2; round++) {
        OK(db_begin(db, &d));
        OK(store_intent_lock(db, 14, NODE, w.epoch, w.wave_id, 1, &check, &d));
        OK(store_intent_chunk(db, &c, w.first_seq, w.first_seq + 2, w.route_id, NODE, check.now_ms,
                              &d));
        if (round == 0)
            db_rollback(db);
        else
            OK(db_commit(db, &d));
        OK(store_intent_stands(db, 14, w.wave_id, w.first_seq, w.first_seq + 2, NODE, check.now_ms,
                               &stands, &d));
        cr_assert_eq(stands, round == 1);
    }
    OK(store_intent_stands(db, 14, w.wave_id, w.first_seq, w.first_seq + 2, "other", check.now_ms,
                           &stands, &d));
    cr_assert_not(stands, "another node's intent");
    OK(store_intent_stands(db, 14, w.wave_id, w.first_seq, w.first_seq + 2, NODE, check.now_ms + 1,
                           &stands, &d));
    cr_assert_not(stands, "another moment's intent");

    struct echo_row rows[2] = {{.seq = w.first_seq + 4, .attempt = 2},
                               {.seq = w.first_seq + 5, .attempt = 2}};
    int64_t seqs[] = {w.first_seq + 4, w.first_seq + 5};
    OK(store_echo_put(db, 14, w.wave_id, rows, 2, &d));
    OK(store_echo_intent_stands(db, 14, w.wave_id, seqs, 2, 5000, &stands, &d));
    cr_assert_not(stands);
    OK(store_echo_state(db, 14, w.wave_id, seqs, 2, 2, w.route_id, 5000, &d));
    OK(store_echo_intent_stands(db, 14, w.wave_id, seqs, 2, 5000, &stands, &d));
    cr_assert(stands);

    struct part_lock lock;
    OK(db_begin(db, &d));
    OK(store_part_lock(db, 14, "", 0, &lock, &d));
    OK(db_commit(db, &d));
    OK(store_seal_stands(db, 14, lock.seal_no, lock.digest, &stands, &d));
    cr_assert(stands);
    lock.digest[0] ^= 1;
    OK(store_seal_stands(db, 14, lock.seal_no, lock.digest, &stands, &d));
    cr_assert_not(stands, "a seal of the same number over other rows");
}

Test(protocol, a_session_that_the_server_ended_is_a_lost_connection)
{
    struct db *other = connection();
    OK(db_begin(other, &d));
    int64_t pid = number_on(other, "SELECT pg_backend_pid()");
    cr_assert_eq(number("SELECT pg_terminate_backend(%" PRId64 ")::int4", pid), 1);
    for (int i = 0;
         i < 2000 && number("SELECT count(*) FROM pg_stat_activity WHERE pid = %" PRId64, pid); i++)
        (void)nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    cr_assert_eq(db_commit(other, &d), -ENOTCONN, "%s", d.text);
    OK(db_reopen(other, &d));
    db_close(other);
}

/* ---- caps
 * -------------------------------------------------------------------------------------------------------------
 */

static struct cap cap_row(const char *zone, uint8_t slot, uint8_t period, int16_t max, int16_t days)
{
    struct cap c = {.slot = slot, .period = period, .max = max, .days = days};
    (void)snprintf(c.zone, sizeof c.zone, "%s", zone);
    return c;
}

struct reserver {
    struct db *c;
    const struct rules *rules;
    struct reserve_row row;
    int64_t at_ms;
    int rc;
    struct diag d;
};
static void *reserve_one(void *arg)
{
    struct reserver *r = arg;
    r->rc = db_begin(r->c, &r->d);
    if (r->rc == 0)
        r->rc = store_caps_reserve(r->c, (int32_t)(r->row.customer_id % 64), r->rules, 3, r->at_ms,
                                   &r->row, 1, &r->d);
    if (r->rc == 0)
        r->rc = db_commit(r->c, &r->d);
    db_rollback(r->c);
    return NULL;
}

Test(protocol, of_two_connections_that_race_for_the_last_slot_one_gets_it)
{
    struct world w;
    make_world(&w, 5, 1);
    struct cap caps[] = {cap_row("Asia/Shanghai", 3, CAP_MONTH, 2, 0),
                         cap_row("Asia/Shanghai", 4, CAP_SLIDING_DAYS, 2, 7)};
    struct rules rules = {.caps = caps, .n_caps = 2};
    int64_t now = clock_utc_ms();
    struct reserver first = {.c = connection(),
                             .rules = &rules,
                             .row = {w.ids[0], UINT32_MAX},
                             .at_ms = now},
                    r[2];
    (void)reserve_one(&first);
    cr_assert_eq(first.rc, 0, "%s", first.d.text);
    pthread_t t[2];
    for (int i = 0; i < 2; i++) {
        r[i] = (struct reserver){
            .c = connection(), .rules = &rules, .row = {w.ids[0], UINT32_MAX}, .at_ms = now};
        cr_assert_eq(pthread_create(&t[i], NULL, reserve_one, &r[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        (void)pthread_join(t[i], NULL);
        db_close(r[i].c);
    }
    db_close(first.c);
    cr_assert_eq((r[0].rc == 0) + (r[1].rc == 0), 1, "%d %s, %d %s", r[0].rc, r[0].d.text, r[1].rc,
                 r[1].d.text);
    cr_assert_eq(r[0].rc + r[1].rc, CGW_ECONFLICT);
    cr_assert_eq(number("SELECT n[4] FROM cap_counter WHERE part = 5 AND customer_id = %" PRId64
                        " AND period > 0",
                        w.ids[0]),
                 2);
    cr_assert_eq(
        number(
            "SELECT cardinality(recent) FROM cap_counter WHERE part = 5 AND customer_id = %" PRId64
            " AND period < 0",
            w.ids[0]),
        2);
}

/* Who has no row yet gets one without a look; who has one, against what was said, stops it all. */
Test(protocol, a_person_said_to_be_uncounted_is_never_counted_from_nought_again)
{
    struct world w;
    make_world(&w, 59, 3);
    struct cap caps[] = {cap_row("Asia/Shanghai", 3, CAP_MONTH, 9, 0),
                         cap_row("Asia/Shanghai", 5, CAP_MONTH, 9, 0)};
    struct rules rules = {.caps = caps, .n_caps = 2};
    struct reserve_row rows[3] = {{w.ids[0], 0}, {w.ids[1], 0}, {w.ids[2], UINT32_MAX}};
    int64_t now = clock_utc_ms();
    OK(db_begin(db, &d));
    OK(store_caps_reserve(db, w.part, &rules, 3, now, rows, 3, &d));
    OK(db_commit(db, &d));
    OK(db_begin(db, &d));
    rows[0].counted = 3;
    cr_assert_eq(store_caps_reserve(db, w.part, &rules, 3, now, rows, 3, &d), CGW_EDB);
    cr_assert_str_eq(db_sqlstate(db), "23505");
    db_rollback(db);
    rows[1].counted = 3;
    OK(db_begin(db, &d));
    OK(store_caps_reserve(db, w.part, &rules, 3, now, rows, 3, &d));
    OK(db_commit(db, &d));
    cr_assert_eq(number("SELECT count(*) FROM cap_counter WHERE part = 59 AND customer_id = ANY("
                        "'{%" PRId64 ",%" PRId64 ",%" PRId64 "}') AND n = '{0,0,0,2,0,2}'",
                        w.ids[0], w.ids[1], w.ids[2]),
                 3);
}

/* Rows of cap as the release reads them; slots of their own so that no other test's rows are meant.
 */
static void put_cap(uint8_t slot, const struct cap *c)
{
    run_sql("UPDATE cap SET active = false WHERE slot = %d RETURNING 1", slot);
    run_sql("INSERT INTO cap (public_id, name, slot, period, days, max, zone, created_at) VALUES "
            "('cap_' || gen_random_uuid(), 't', %d, %d, %d, %d, '%s', '2020-01-01') RETURNING 1",
            slot, c->period, c->days, c->max, c->zone);
}

static int64_t day_of(const char *zone, int64_t ms)
{
    int32_t day = 0;
    cr_assert(zone_local_day(zone, ms, &day, NULL));
    return day;
}

Test(protocol, a_release_gives_back_once_and_exactly_what_was_counted)
{
    struct world w;
    make_world(&w, 6, 2);
    struct cap caps[] = {cap_row("Asia/Shanghai", 20, CAP_MONTH, 9, 0),
                         cap_row("Asia/Shanghai", 21, CAP_SLIDING_DAYS, 9, 7),
                         cap_row("Asia/Shanghai", 22, CAP_DAY, 9, 0)};
    struct rules rules = {.caps = caps, .n_caps = 3};
    for (size_t i = 0; i < 3; i++)
        put_cap(caps[i].slot, &caps[i]);
    /* The month before on any day: the log has partitions from there on, so a number of days would
     * lead too far back or not far enough. Ten days before its end it is another month in Shanghai
     * as well, and older than the sliding seven days. */
    int64_t now = number("SELECT (extract(epoch FROM now()) * 1000)::int8"),
            last_month = number("SELECT (extract(epoch FROM date_trunc('month', now() AT TIME ZONE "
                                "'UTC') - interval '10 days') * 1000)::int8");
    /* counted for both people last month and today; the log says: the reservation of contact 0 is
     * last month's */
    OK(db_begin(db, &d));
    struct reserve_row rows[2] = {{w.ids[0], 0}, {w.ids[1], UINT32_MAX}};
    OK(store_caps_reserve(db, w.part, &rules, 7, last_month, rows, 2, &d));
    OK(store_caps_reserve(db, w.part, &rules, 7, now, rows, 2, &d));
    OK(db_commit(db, &d));
    decide_all(&w, 1u << 20 | 1u << 21 | 1u << 22, last_month);
    int64_t contact = contact_of(&w, 0), released = 0;
    for (int i = 0; i < 3; i++) {
        OK(db_begin(db, &d));
        OK(store_caps_release(db, w.part, &contact, 1, &released, &d));
        OK(db_commit(db, &d));
        cr_assert_eq(released, i == 0 ? 1 : 0, "call %d gave back %" PRId64, i, released);
    }
    int32_t month_then = cap_period_number(&caps[0], last_month, NULL),
            month_now = cap_period_number(&caps[0], now, NULL),
            day_then = cap_period_number(&caps[2], last_month, NULL),
            day_now = cap_period_number(&caps[2], now, NULL);
    const struct {
        int32_t period;
        int slot, first, second;
    } want[] = {
        {month_then, 21, 0, 1}, {month_now, 21, 1, 1}, {day_then, 23, 0, 1}, {day_now, 23, 1, 1}};
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        cr_assert_eq(number("SELECT n[%d] FROM cap_counter WHERE part = 6 AND period = %d AND "
                            "customer_id = %" PRId64,
                            want[i].slot, want[i].period, w.ids[0]),
                     want[i].first, "row %zu", i);
        cr_assert_eq(number("SELECT n[%d] FROM cap_counter WHERE part = 6 AND period = %d AND "
                            "customer_id = %" PRId64,
                            want[i].slot, want[i].period, w.ids[1]),
                     want[i].second, "row %zu, other", i);
    }
    cr_assert_eq(number("SELECT recent[1] FROM cap_counter WHERE part = 6 AND period = -22 AND "
                        "customer_id = %" PRId64,
                        w.ids[0]),
                 day_of("Asia/Shanghai", now));
    cr_assert_eq(number("SELECT cardinality(recent) FROM cap_counter WHERE part = 6 AND period = "
                        "-22 AND customer_id = %" PRId64,
                        w.ids[0]),
                 1);
    cr_assert_eq(number("SELECT cardinality(recent) FROM cap_counter WHERE part = 6 AND period = "
                        "-22 AND customer_id = %" PRId64,
                        w.ids[1]),
                 2);
}

Test(protocol, counters_equal_a_recount_of_the_log_less_what_was_released)
{
    struct world w;
    make_world(&w, 7, 20);
    struct cap cap = cap_row("UTC", 25, CAP_MONTH, 9, 0);
    struct rules rules = {.caps = &cap, .n_caps = 1};
    put_cap(25, &cap);
    int64_t now = number("SELECT (extract(epoch FROM now()) * 1000)::int8"), back[5];
    OK(db_begin(db, &d));
    struct reserve_row rows[ARRAY_LEN(w.ids)];
    for (int i = 0; i < w.n; i++)
        rows[i] = (struct reserve_row){w.ids[i], i % 2 ? UINT32_MAX : 0};
    OK(store_caps_reserve(db, w.part, &rules, 1, now, rows, w.n, &d));
    OK(db_commit(db, &d));
    decide_all(&w, 1u << 25, now);
    for (int i = 0; i < 5; i++)
        back[i] = contact_of(&w, i * 3);
    OK(db_begin(db, &d));
    OK(store_caps_release(db, w.part, back, 5, NULL, &d));
    OK(db_commit(db, &d));
    cr_assert_eq(number("SELECT count(*) FROM contact_log l WHERE part = 7 AND wave_id = %d AND "
                        "slots & (1 << 25) <> 0"
                        " AND (SELECT n[26] FROM cap_counter c WHERE c.part = 7 AND c.customer_id "
                        "= l.customer_id AND c.period = %d)"
                        " <> 1 - (SELECT count(*) FROM cap_release r WHERE r.part = 7 AND "
                        "r.contact_id = l.contact_id)",
                        w.wave_id, cap_period_number(&cap, now, NULL)),
                 0);
    cr_assert_eq(number("SELECT sum(c.n[26]) FROM cap_counter c WHERE c.part = 7 AND c.customer_id "
                        "IN (SELECT customer_id FROM contact_log WHERE part = 7 AND wave_id = %d)",
                        w.wave_id),
                 15);
}

/* ---- facts
 * ------------------------------------------------------------------------------------------------------------
 */
Test(protocol, people_out_of_order_are_refused_rather_than_passed_by)
{
    struct contact_row rows[3] = {
        {.customer_id = 64 * 9}, {.customer_id = 64 * 5}, {.customer_id = 64 * 20}};
    struct rules rules;
    policy_defaults(&rules);
    struct facts_query q = {.part = 0,
                            .contact_class = 1,
                            .channel = 1,
                            .purpose = 1,
                            .rules = &rules,
                            .now_ms = clock_utc_ms()};
    cr_assert_eq(store_facts(db, &q, rows, 3, &d), CGW_EINVAL);
}

Test(protocol, class_rules_from_rows_keep_what_has_no_column)
{
    struct rule_set *rs = NULL;
    struct rules def;
    policy_defaults(&def);
    OK(store_rules_load(db, &rs, &d));
    cr_assert_eq(rs->rules.classes[CGW_CLASS_REPLY].dnd_ignore,
                 def.classes[CGW_CLASS_REPLY].dnd_ignore);
    cr_assert_eq(rs->rules.classes[CGW_CLASS_OPTOUT_CONFIRM].stop_ignore,
                 def.classes[CGW_CLASS_OPTOUT_CONFIRM].stop_ignore);
    rule_set_free(rs);
}

/* ---- recovery
 * ----------------------------------------------------------------------------------------------------------
 */
Test(protocol, recovery_flags_exactly_what_was_intended_and_never_answered)
{
    struct world w;
    make_world(&w, 8, 12);
    decide_all(&w, 0, 0);
    intend(&w, 8); /* 0..7 may have gone, 8..11 surely not */
    /* 0 accepted, 1 refused for good, 2 waits again, 3 was withdrawn, 4 came back and went out as
     * attempt 2; 5, 6, 7 unknown */
    struct seal seals[STORE_PARTS];
    int64_t seal_no[STORE_PARTS];
    unsigned char digest[SEAL_DIGEST];
    struct part_lock lock;
    OK(db_begin(db, &d));
    OK(store_part_lock(db, 8, "", 0, &lock, &d));
    seal_no[8] = lock.seal_no + 1;
    seal_begin(&seals[8], lock.digest);
    struct submit_row sub = {.part = 8,
                             .contact_id = contact_of(&w, 0),
                             .attempt = 1,
                             .n_segs = 1,
                             .ts_ms = 1,
                             .route_id = w.route_id,
                             .ref = "",
                             .peer_ref = ""};
    OK(store_submits_write(db, &sub, 1, seals, seal_no, &d));
    struct event_row ev[] = {
        {.contact_id = contact_of(&w, 1), .attempt = 1, .seg = -1, .kind = EVENT_REFUSED},
        {.contact_id = contact_of(&w, 3), .attempt = 1, .seg = -1, .kind = EVENT_CANCELLED}};
    OK(store_events_write(db, 8, seal_no[8], ev, 2, &seals[8], &d));
    struct log_row again = {.contact_id = contact_of(&w, 4),
                            .customer_id = w.ids[4],
                            .attempt = 2,
                            .verdict = VERDICT_ALLOW};
    struct log_head h = {.part = 8,
                         .wave_id = w.wave_id,
                         .rules_version = 1,
                         .decided_ms = clock_utc_ms(),
                         .seal_no = seal_no[8] + 1,
                         .channel = 1,
                         .contact_class = 1};
    struct seal other;
    OK(store_seal_append(db, &seals[8], 8, seal_no[8], SEAL_FLUSH, 0, 0, lock.digest, sign_key,
                         digest, &d));
    seal_begin(&other, digest);
    OK(store_log_write(db, &h, &again, 1, &other, &d));
    unsigned char digest2[SEAL_DIGEST];
    OK(store_seal_append(db, &other, 8, h.seal_no, SEAL_DECIDE, w.wave_id, -1, digest, sign_key,
                         digest2, &d));
    struct echo_row echo = {
        .seq = w.first_seq + 2, .attempt = 2, .not_before_ms = clock_utc_ms(), .keeps = true};
    OK(store_echo_put(db, 8, w.wave_id, &echo, 1, &d));
    OK(db_commit(db, &d));
    struct outcome_config cfg = recovery();
    int64_t flagged = 0;
    w.epoch = take_part(db, 8);
    OK(outcome_recover_part(db, &cfg, 8, w.epoch, &flagged, &d));
    cr_assert_eq(flagged, 3);
    cr_assert_eq(number("SELECT count(*) FROM contact_event WHERE part = 8 AND kind = 9 AND "
                        "contact_id IN (%" PRId64 ", %" PRId64 ", %" PRId64 ")",
                        contact_of(&w, 5), contact_of(&w, 6), contact_of(&w, 7)),
                 3);
    cr_assert_eq(number("SELECT count(*) FROM in_doubt WHERE part = 8 AND contact_id / 4294967296 "
                        "= %d AND route_id = %d",
                        w.wave_id, w.route_id),
                 3);
    cr_assert_eq(
        number("SELECT sum(n)::int8 FROM campaign_stat WHERE wave_id = %d AND kind = 2", w.wave_id),
        3);
    OK(outcome_recover_part(db, &cfg, 8, w.epoch, &flagged, &d));
    cr_assert_eq(flagged, 0, "a second recovery flags nobody again");
    /* and the rest of the chunk is exactly what was never intended */
    struct arena a;
    struct contact_row rows[16];
    int n = 0;
    arena_init(&a, 1u << 20);
    struct chunk_ref c = {.part = 8,
                          .wave_id = w.wave_id,
                          .chunk_no = 0,
                          .seq_lo = w.first_seq,
                          .seq_hi = w.first_seq + 11,
                          .sent_hi = w.first_seq + 7};
    OK(store_recipients_resume(db, &c, w.set_id, &a, rows, 16, &n, &d));
    cr_assert_eq(n, 4);
    for (int i = 0; i < n; i++)
        cr_assert_eq(rows[i].seq, w.first_seq + 8 + i);
    arena_done(&a);
}

Test(protocol, recovered_echo_rows_wait_again_or_are_in_doubt_by_their_state)
{
    struct world w;
    make_world(&w, 9, 3);
    run_sql(
        "UPDATE chunk SET state = 2, sent_hi = seq_hi WHERE part = 9 AND wave_id = %d RETURNING 1",
        w.wave_id);
    for (int state = 0; state < 3; state++)
        run_sql("INSERT INTO echo (part, wave_id, seq, attempt, state, not_before, reason, "
                "keeps_reservation, route_id, intended_at) VALUES (9, %d, %" PRId64
                ", 4, %d, now(), 0, false, %d, now()) RETURNING 1",
                w.wave_id, w.first_seq + state, state, w.route_id);
    struct outcome_config cfg = recovery();
    int64_t flagged = 0;
    OK(outcome_recover_part(db, &cfg, 9, w.epoch, &flagged, &d));
    cr_assert_eq(flagged, 1);
    cr_assert_eq(
        number("SELECT attempt FROM echo WHERE part = 9 AND wave_id = %d AND seq = %" PRId64
               " AND state = 0",
               w.wave_id, w.first_seq),
        4);
    cr_assert_eq(
        number("SELECT attempt FROM echo WHERE part = 9 AND wave_id = %d AND seq = %" PRId64
               " AND state = 0 AND keeps_reservation",
               w.wave_id, w.first_seq + 1),
        5);
    cr_assert_eq(number("SELECT count(*) FROM echo WHERE part = 9 AND wave_id = %d", w.wave_id), 2);
    cr_assert_eq(number("SELECT attempt FROM contact_event WHERE part = 9 AND contact_id = %" PRId64
                        " AND kind = 9",
                        contact_of(&w, 2)),
                 4);
}

Test(protocol, decided_echo_rows_that_are_not_sent_wait_again_as_a_new_attempt)
{
    struct world w;
    make_world(&w, 10, 3);
    struct echo_row rows[3];
    int64_t seqs[] = {w.first_seq, w.first_seq + 1}, one = w.first_seq;
    for (int i = 0; i < 3; i++)
        rows[i] = (struct echo_row){.seq = w.first_seq + i, .attempt = 2, .not_before_ms = 1000};
    OK(store_echo_put(db, 10, w.wave_id, rows, 3, &d));
    OK(store_echo_state(db, 10, w.wave_id, seqs, 2, 1, 0, INT64_MIN, &d));
    OK(store_echo_state(db, 10, w.wave_id, &one, 1, 2, w.route_id, clock_utc_ms(), &d));
    OK(store_echo_back(db, 10, w.wave_id, 0, &d));
    cr_assert_eq(number("SELECT sum(attempt * 100 + state * 10 + keeps_reservation::int4) FROM "
                        "echo WHERE part = 10 AND wave_id = %d",
                        w.wave_id),
                 220 + 301 + 200);
}

/* ---- what is due
 * ----------------------------------------------------------------------------------------------------------
 */
static bool echo_due(const struct world *w, const int32_t *resting, int n_resting)
{
    struct echo_due due[256];
    int n = 0;
    OK(store_echo_due(db, &w->part, 1, resting, n_resting, 0, clock_utc_ms(), due, 256, &n, &d));
    for (int i = 0; i < n; i++)
        if (due[i].wave_id == w->wave_id)
            return true;
    return false;
}

Test(protocol, due_echo_rows_are_found_unless_the_wave_rests_or_the_campaign_is_paused)
{
    struct world w;
    make_world(&w, 11, 2);
    struct echo_row row = {
        .seq = w.first_seq, .attempt = 2, .not_before_ms = clock_utc_ms() + 3600000};
    OK(store_echo_put(db, 11, w.wave_id, &row, 1, &d));
    cr_assert_not(echo_due(&w, NULL, 0), "not before its time");
    run_sql("UPDATE campaign SET state = 'cancelled' WHERE campaign_id = %d RETURNING 1",
            w.campaign_id);
    cr_assert(echo_due(&w, NULL, 0), "of a cancelled campaign at once");
    run_sql("UPDATE campaign SET state = 'running' WHERE campaign_id = %d RETURNING 1",
            w.campaign_id);
    row.not_before_ms = clock_utc_ms() - 1000;
    OK(store_echo_put(db, 11, w.wave_id, &row, 1, &d));
    cr_assert(echo_due(&w, NULL, 0));
    cr_assert_not(echo_due(&w, &w.wave_id, 1), "a resting wave");
    run_sql("UPDATE campaign SET state = 'paused' WHERE campaign_id = %d RETURNING 1",
            w.campaign_id);
    cr_assert_not(echo_due(&w, NULL, 0), "a paused campaign");
}

Test(protocol, a_waiting_chunk_of_a_cancelled_campaign_is_due_at_once)
{
    struct world w;
    make_world(&w, 12, 2);
    struct chunk_ref c = {.part = 12, .wave_id = w.wave_id, .chunk_no = 0}, due[4];
    int n = 0;
    OK(store_chunk_wait(db, &c, clock_utc_ms() + 3600000, REASON_CALENDAR_QUIET, &d));
    OK(store_chunks_due(db, &w.part, 1, &w.wave_id, 1, clock_utc_ms(), 4, due, 4, &n, &d));
    cr_assert_eq(n, 0);
    run_sql("UPDATE campaign SET state = 'cancelled' WHERE campaign_id = %d RETURNING 1",
            w.campaign_id);
    OK(store_chunks_due(db, &w.part, 1, &w.wave_id, 1, clock_utc_ms(), 4, due, 4, &n, &d));
    cr_assert_eq(n, 1);
}

/* ---- seals
 * ---------------------------------------------------------------------------------------------------------------
 */
/* The auditor's query, as it stands beside this file; `$part` faults of one part, since other tests
 * write to theirs. */
static int64_t seal_faults(int32_t part)
{
    char path[1024], text[16384] = "", sql[20000];
    (void)snprintf(path, sizeof path, "%s", __FILE__);
    char *slash = strrchr(path, '/');
    (void)snprintf(slash ? slash + 1 : path, 32, "verify_seals.sql");
    FILE *f = fopen(path, "re");
    cr_assert_not_null(f, "%s", path);
    size_t n = fread(text, 1, sizeof text - 1, f);
    (void)fclose(f);
    text[n] = 0;
    char *from = strstr(text, "WITH leaf"), *end = from ? strrchr(from, ';') : NULL;
    cr_assert(from && end);
    *end = 0;
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM (%s) x WHERE part = $1", from);
    struct db_params p;
    struct db_result *r = NULL;
    dbp_init(&p);
    dbp_int4(&p, part);
    OK(db_query(db, sql, &p, &r, &d));
    int64_t faults = dbr_int(r, 0, 0);
    dbr_free(r);
    return faults;
}

Test(protocol, seals_verify_in_plain_sql_and_tell_what_was_touched)
{
    struct world w;
    make_world(&w, 13, 30);
    decide_all(&w, 5, 0);
    intend(&w, 10);
    struct outcome_config cfg = recovery();
    int64_t flagged = 0;
    w.epoch = take_part(db, 13);
    OK(outcome_recover_part(db, &cfg, 13, w.epoch, &flagged, &d));
    cr_assert_eq(flagged, 10);
    cr_assert_geq(number("SELECT count(*) FROM audit_seal WHERE part = 13"), 2);
    cr_assert_eq(seal_faults(13), 0);
    OK(db_begin(db, &d));
    run_sql(
        "INSERT INTO contact_event SELECT part, contact_id, attempt, seg, 77, ts, route_id, code, "
        "code_space, detail, sub, quantity, seal_no FROM contact_event WHERE part = 13 AND "
        "contact_id = %" PRId64 " RETURNING 1",
        contact_of(&w, 0));
    cr_assert_eq(seal_faults(13), 1, "an inserted row goes unseen");
    db_rollback(db);
    OK(db_begin(db, &d));
    run_sql("UPDATE part_head SET digest = sha256(digest) WHERE part = 13 RETURNING 1");
    cr_assert_eq(seal_faults(13), 1, "a head that was cut goes unseen");
    db_rollback(db);
    OK(db_begin(db, &d));
    run_sql(
        "INSERT INTO audit_seal SELECT part, seal_no + 2, kind, wave_id, chunk_no, 0, digest, "
        "digest, sig FROM audit_seal WHERE part = 13 ORDER BY seal_no DESC LIMIT 1 RETURNING 1");
    cr_assert_geq(seal_faults(13), 2, "a gap goes unseen");
    db_rollback(db);
}
