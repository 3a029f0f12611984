/* SPDX-License-Identifier: Apache-2.0 */
/* test_link.c - two ids that are one person, addresses that change hands, people to be forgotten,
 * and addresses that an upload says belong together; on a real PostgreSQL. Skipped, with this
 * sentence, when CAMPGW_TEST_DB is unset. */
#include "protocol_fixture.h"

#include "store/store_customer.h"
#include "store/store_dnd.h"
#include "store/store_link.h"

TestSuite(link, .init = setup, .fini = teardown, .timeout = 60);

static const struct store_actor owner = {.name = "test", .request_id = "req_test"};

/* Number of the present month's counters. */
#define MONTH "((date_trunc('month', now())::date - date '2000-01-01') * 8 + 2)"

static int64_t someone(int part)
{
    uint64_t id;
    randombytes_buf(&id, sizeof id);
    return (int64_t)((id >> 2) / 64 * 64 + (unsigned)part);
}

static int64_t leads_to(int64_t key)
{
    int64_t id = 0;
    OK(store_alias_find(db, key, &id, &d));
    return id;
}

static int64_t barred(int64_t id, int list)
{
    return number("SELECT count(*) FROM dnd WHERE part = %d AND customer_id = %" PRId64
                  " AND list_id = %d",
                  (int)(id % 64), id, list);
}

static void add_dnd(int64_t id, int scope, int list)
{
    run_sql("INSERT INTO dnd (part, customer_id, scope, list_id, reason) VALUES (%d, %" PRId64
            ", %d, %d, 2) RETURNING 1",
            (int)(id % 64), id, scope, list);
}

static void add_consent(int64_t id, int channel, int state)
{
    run_sql("INSERT INTO consent (part, customer_id, purpose, channel, state, source, at) VALUES "
            "(%d, %" PRId64 ", 1, %d, %d, 't', now() - interval '1 day') RETURNING 1",
            (int)(id % 64), id, channel, state);
}

/* State of the latest word about the channel, as policy reads it; -1 none. */
static int64_t consent_of(int64_t id, int channel)
{
    return number("SELECT state FROM consent WHERE part = %d AND customer_id = %" PRId64
                  " AND purpose = 1 AND channel IN (0, %d) ORDER BY at DESC, state DESC LIMIT 1",
                  (int)(id % 64), id, channel);
}

static void link_two(int64_t kept, int64_t other)
{
    int64_t k = 0, gone = 0;
    uint64_t parts = 0;
    OK(db_begin(db, &d));
    OK(store_customer_link(db, &owner, kept, other, &k, &gone, &parts, &d));
    cr_assert_eq(k, kept);
    cr_assert_eq(gone, other);
    cr_assert_eq(parts, UINT64_C(1) << (kept % 64) | UINT64_C(1) << (other % 64));
    OK(store_facts_touch(db, parts, &d));
    OK(db_commit(db, &d));
}

Test(link, the_stricter_of_both_holds_from_then_on)
{
    int64_t kept = someone(3), other = someone(61);
    add_dnd(other, 2001, 1);
    add_dnd(other, 1004, 3);
    add_consent(kept, 0, 1);
    add_consent(other, 1, 2);
    add_consent(other, 4, 1); /* no grant beside what the other said */
    run_sql("INSERT INTO cap_counter (period, part, customer_id, n) VALUES (" MONTH ", 3, %" PRId64
            ", '{1,2}'), (" MONTH ", 61, %" PRId64 ", '{1,0,4}') RETURNING 1",
            kept, other);
    run_sql("INSERT INTO cap_counter (period, part, customer_id, recent) VALUES (-1, 61, %" PRId64
            ", '{9000,9002}'), (-1, 3, %" PRId64 ", '{9001}') RETURNING 1",
            other, kept);
    link_two(kept, other);
    cr_expect_eq(barred(kept, 1), 1);
    cr_expect_eq(barred(kept, 3), 1);
    cr_expect_eq(barred(kept, 2), 0, "the kept id itself was ended");
    cr_expect_eq(barred(other, 2), 1, "decided contacts of the other id would go out");
    cr_expect_eq(consent_of(kept, 1), 2);
    cr_expect_eq(consent_of(kept, 4), 1);
    cr_expect_eq(number("SELECT count(*) FROM consent WHERE part = 3 AND customer_id = %" PRId64
                        " AND channel = 4",
                        kept),
                 0);
    cr_expect_eq(number("SELECT (n[1] * 100 + n[2] * 10 + n[3])::int8 FROM cap_counter WHERE part "
                        "= 3 AND period = " MONTH " AND customer_id = %" PRId64,
                        kept),
                 224);
    cr_expect_eq(
        number("SELECT (recent = '{9000,9001,9002}')::int::int8 FROM cap_counter WHERE part = "
               "3 AND period = -1 AND customer_id = %" PRId64,
               kept),
        1);
    cr_expect_eq(leads_to(other), kept);
}

Test(link, all_addresses_follow_and_a_second_time_changes_nothing)
{
    int64_t a = someone(5), b = someone(6), c = someone(7), further = someone(8);
    run_sql("INSERT INTO customer_alias (part, address_key, customer_id) VALUES (8, %" PRId64
            ", %" PRId64 ") RETURNING 1",
            further, c);
    run_sql("INSERT INTO customer (part, customer_id, email, external_id) VALUES (7, %" PRId64
            ", 'c@example.com', 'ext-%" PRId64 "') RETURNING 1",
            c, c);
    link_two(b, c);
    link_two(a, b); /* what was joined before comes along */
    cr_expect_eq(leads_to(c), a);
    cr_expect_eq(leads_to(b), a);
    cr_expect_eq(leads_to(further), a);
    cr_expect_eq(
        number("SELECT (email = 'c@example.com')::int::int8 FROM customer WHERE external_id = "
               "'ext-%" PRId64 "' AND customer_id = %" PRId64,
               c, a),
        1);
    int64_t k, gone;
    uint64_t parts;
    OK(db_begin(db, &d));
    cr_expect_eq(store_customer_link(db, &owner, a, further, &k, &gone, &parts, &d), CGW_EEXISTS);
    db_rollback(db);
}

Test(link, a_new_owner_of_a_number_inherits_opt_outs_and_nothing_else)
{
    int64_t number_key = someone(10), mail_key = someone(11), fresh = 0, former = 0;
    uint64_t parts = 0;
    run_sql("INSERT INTO customer (part, customer_id, msisdn, email) VALUES (10, %" PRId64
            ", '+8613800000000', 'x@example.com') RETURNING 1",
            number_key);
    run_sql("INSERT INTO customer_alias (part, address_key, customer_id) VALUES (11, %" PRId64
            ", %" PRId64 ") RETURNING 1",
            mail_key, number_key);
    add_dnd(number_key, 2001, 1);
    add_dnd(number_key, 1004, 3);
    add_consent(number_key, 0, 1);
    OK(db_begin(db, &d));
    OK(store_customer_reassign(db, &owner, number_key, "+8613800000000", &fresh, &former, &parts,
                               &d));
    OK(store_facts_touch(db, parts, &d));
    OK(db_commit(db, &d));
    cr_expect_eq(fresh % 64, 10);
    cr_expect_eq(leads_to(number_key), fresh);
    cr_expect_eq(barred(fresh, 1), 1);
    cr_expect_eq(barred(fresh, 3), 0);
    cr_expect_eq(consent_of(fresh, 1), -1);
    /* the former owner lives on by mail, with everything */
    cr_expect(former && former != number_key);
    cr_expect_eq(leads_to(mail_key), former);
    cr_expect_eq(barred(former, 3), 1);
    cr_expect_eq(consent_of(former, 1), 1);
    cr_expect_eq(
        number("SELECT (msisdn IS NULL AND email = 'x@example.com')::int::int8 FROM customer "
               "WHERE customer_id = %" PRId64,
               former),
        1);
    cr_expect_eq(barred(number_key, 2), 1);
}

Test(link, who_is_forgotten_leaves_ids_and_opt_outs)
{
    struct world w;
    uint64_t parts = 0;
    make_world(&w, 12, 2);
    int64_t id = w.ids[0];
    run_sql("INSERT INTO set_slice VALUES (12, %d, 0, 0, %" PRId64 ", %" PRId64 ", %" PRId64
            ", %" PRId64 ") RETURNING 1",
            w.set_id, w.first_seq, w.first_seq + 1, w.ids[0], w.ids[1]);
    run_sql("INSERT INTO customer (part, customer_id, msisdn) VALUES (12, %" PRId64
            ", '+8613800000000') RETURNING 1",
            id);
    run_sql("INSERT INTO response_text (part, customer_id, body) VALUES (12, %" PRId64
            ", 'mine') RETURNING 1",
            id);
    add_dnd(id, 2001, 1);
    OK(db_begin(db, &d));
    OK(store_customer_erase(db, &owner, id, &parts, &d));
    OK(store_facts_touch(db, parts, &d));
    OK(db_commit(db, &d));
    int64_t tomb = leads_to(id);
    cr_expect(tomb != id && tomb % 64 == 12);
    cr_expect_eq(barred(tomb, 1), 1);
    cr_expect_eq(barred(id, 2), 1);
    cr_expect_eq(number("SELECT count(*) FROM customer WHERE customer_id = %" PRId64, id) +
                     number("SELECT count(*) FROM response_text WHERE customer_id = %" PRId64, id),
                 0);
    cr_expect_eq(number("SELECT count(*) FROM recipient WHERE part = 12 AND set_id = %d AND "
                        "address = ''",
                        w.set_id),
                 1, "of two people one is forgotten");
}

Test(link, of_two_addresses_the_unknown_one_follows)
{
    int64_t number_key = someone(20), mail = someone(21), known_mail = someone(22),
            other = someone(23), third = someone(24), ret[4];
    add_dnd(known_mail, 0, 1);
    add_dnd(other, 0, 1);
    const int64_t firsts[] = {number_key, other, third, third},
                  seconds[] = {mail, known_mail, known_mail, mail};
    OK(store_people_pair(db, firsts, seconds, 4, true, ret, &d));
    cr_expect_eq(ret[0], number_key);
    cr_expect_eq(ret[1], 0, "two known people were joined by an upload");
    cr_expect_eq(ret[2], known_mail, "the number is new: it follows");
    cr_expect_eq(ret[3], 0, "and is nobody else's then");
    cr_expect_eq(leads_to(mail), number_key);
    cr_expect_eq(leads_to(third), known_mail);
    /* counts alone make somebody known */
    int64_t counted = someone(25);
    run_sql("INSERT INTO cap_counter (period, part, customer_id, n) VALUES (" MONTH ", 25, %" PRId64
            ", '{1}') RETURNING 1",
            counted);
    OK(store_people_pair(db, &known_mail, &counted, 1, false, ret, &d));
    cr_expect_eq(ret[0], 0);
}
