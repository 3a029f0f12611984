/* SPDX-License-Identifier: Apache-2.0 */
/* protocol_fixture.h - a small campaign in one part of a real database, for the tests of the
 * sending protocol. CAMPGW_TEST_DB = conninfo of a migrated database (role campgw) that may be
 * filled. Every test takes a part of its own: they run beside each other. */
#ifndef TESTS_DB_PROTOCOL_FIXTURE_H
#define TESTS_DB_PROTOCOL_FIXTURE_H

#include "store/store_outcome.h"
#include "store/store_part.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static struct db *db;
static struct diag d;
static unsigned char sign_public[32], sign_key[64], identity_key[32];

#define OK(call) cr_assert_eq((call), 0, "%s: %s", #call, d.text)
#define NODE "test"

#define MAYBE_UNUSED __attribute__((unused)) /* not every program plays all of it */

struct world {
    int32_t part, campaign_id, wave_id, set_id, route_id, n;
    int64_t epoch, first_seq;
    char instance[48];
    int64_t ids[64];
};

static struct db *connection(void)
{
    struct db *c = NULL;
    const char *conninfo = getenv("CAMPGW_TEST_DB");
    if (!conninfo)
        cr_skip("CAMPGW_TEST_DB is not set: no database to test against");
    cr_assert_eq(db_open(conninfo, "test_protocol", &c, &d), 0, "%s", d.text);
    return c;
}

static void setup(void)
{
    cr_assert_geq(sodium_init(), 0);
    d = (struct diag){0};
    db = connection();
    (void)crypto_sign_keypair(sign_public, sign_key);
    randombytes_buf(identity_key, sizeof identity_key);
}

static void teardown(void)
{
    db_close(db);
    db = NULL;
}

/* One number of a statement text; -1 when there is no row. */
static int64_t number_on(struct db *c, const char *fmt, ...) CGW_PRINTF(2, 3);
static int64_t number_on(struct db *c, const char *fmt, ...)
{
    char sql[2048];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(sql, sizeof sql, fmt, ap);
    va_end(ap);
    struct db_result *r = NULL;
    cr_assert_eq(db_query(c, sql, NULL, &r, &d), 0, "%s: %s", sql, d.text);
    int64_t v = dbr_rows(r) ? dbr_int(r, 0, 0) : -1;
    dbr_free(r);
    return v;
}
#define number(...) number_on(db, __VA_ARGS__)
#define run_sql(...) (void)number_on(db, __VA_ARGS__)

/* A fresh epoch of the part for this node, as after a takeover. */
static int64_t take_part(struct db *c, int32_t part)
{
    return number_on(c,
                     "UPDATE part_head SET node = '" NODE
                     "', epoch = epoch + 1, lease_until = now() + interval '1 hour' WHERE part = "
                     "%d RETURNING epoch",
                     part);
}

static int by_id(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

/* n people of one part in one set, one running wave, one chunk of all of them. */
MAYBE_UNUSED static void make_world(struct world *w, int32_t part, int n)
{
    char tag[27];
    uint64_t bits[2];
    randombytes_buf(bits, sizeof bits);
    (void)snprintf(tag, sizeof tag, "%012" PRIx64, bits[0] & UINT64_C(0xffffffffffff));
    *w = (struct world){.part = part, .n = n, .first_seq = 10};
    (void)snprintf(w->instance, sizeof w->instance, "i%s", tag);
    for (int i = 0; i < n; i++) {
        uint64_t v;
        randombytes_buf(&v, sizeof v);
        w->ids[i] = (int64_t)((v >> 2) / 64 * 64 + (unsigned)part);
    }
    qsort(w->ids, (size_t)n, sizeof *w->ids, by_id);
    w->set_id = (int32_t)number("INSERT INTO recipient_set (partner_id, fields, n_rows) VALUES (0, "
                                "'{}', %d) RETURNING set_id",
                                n);
    OK(db_begin(db, &d)); /* tests run beside each other: one makes partitions at a time */
    run_sql("SELECT 1 FROM (SELECT pg_advisory_xact_lock(4711)) x");
    run_sql("SELECT 1 FROM (SELECT ensure_set_partition(%d)) x", w->set_id);
    OK(db_commit(db, &d));
    w->campaign_id =
        (int32_t)number("INSERT INTO campaign (public_id, partner_id, name, plugin, class, "
                        "purpose, state, created_by) VALUES ('cmp_%s', 0, 't', "
                        "'campaign_broadcast', 1, 1, 'running', 't') RETURNING campaign_id",
                        tag);
    w->wave_id = (int32_t)number(
        "INSERT INTO wave (campaign_id, wave_no, channel, content, set_id, state, planned_part) "
        "VALUES (%d, 1, 1, '{}', %d, 'running', 63) RETURNING wave_id",
        w->campaign_id, w->set_id);
    OK(db_begin(db, &d));
    run_sql("SELECT 1 FROM (SELECT pg_advisory_xact_lock(4711)) x");
    run_sql("SELECT 1 FROM (SELECT ensure_wave_partitions(%d)) x", w->wave_id);
    OK(db_commit(db, &d));
    w->route_id = (int32_t)number("INSERT INTO route (public_id, name, channel, instance) VALUES "
                                  "('rte_%s', 'r%s', 1, '%s') RETURNING route_id",
                                  tag, tag, w->instance);
    for (int i = 0; i < n; i++)
        run_sql("INSERT INTO recipient (part, set_id, seq, customer_id, address, place, params) "
                "VALUES (%d, %d, %" PRId64 ", %" PRId64 ", '+49151%08u', 0, '') RETURNING 1",
                part, w->set_id, w->first_seq + i, w->ids[i],
                (unsigned)(w->ids[i] / 64 % 100000000));
    run_sql("INSERT INTO chunk (part, wave_id, chunk_no, place, seq_lo, seq_hi, sent_hi, cust_lo, "
            "cust_hi) VALUES (%d, %d, 0, 0, %" PRId64 ", %" PRId64 ", %" PRId64 ", %" PRId64
            ", %" PRId64 ") RETURNING 1",
            part, w->wave_id, w->first_seq, w->first_seq + n - 1, w->first_seq - 1, w->ids[0],
            w->ids[n - 1]);
    w->epoch = take_part(db, part);
}

MAYBE_UNUSED static int64_t contact_of(const struct world *w, int i)
{
    return (int64_t)w->wave_id << 32 | (w->first_seq + i);
}

/* Decide the whole chunk ALLOW, counting `slots`, at a moment of the caller's choice. */
MAYBE_UNUSED static void decide_all(struct world *w, uint32_t slots, int64_t at_ms)
{
    struct part_lock lock;
    struct seal seal;
    unsigned char digest[SEAL_DIGEST];
    struct log_row rows[64];
    struct chunk_ref c = {.part = w->part, .wave_id = w->wave_id, .chunk_no = 0};
    OK(db_begin(db, &d));
    OK(store_part_lock(db, w->part, NODE, w->epoch, &lock, &d));
    OK(store_chunk_claim(db, &c, &d));
    for (int i = 0; i < w->n; i++)
        rows[i] = (struct log_row){.contact_id = contact_of(w, i),
                                   .customer_id = w->ids[i],
                                   .attempt = 1,
                                   .verdict = VERDICT_ALLOW,
                                   .slots = slots};
    struct log_head h = {.part = w->part,
                         .wave_id = w->wave_id,
                         .rules_version = 1,
                         .decided_ms = at_ms ? at_ms : lock.now_ms,
                         .seal_no = lock.seal_no + 1,
                         .channel = 1,
                         .contact_class = 1};
    seal_begin(&seal, lock.digest);
    OK(store_log_write(db, &h, rows, w->n, &seal, &d));
    OK(store_seal_append(db, &seal, w->part, h.seal_no, SEAL_DECIDE, w->wave_id, 0, lock.digest,
                         sign_key, digest, &d));
    OK(db_commit(db, &d));
}

/* Intent for the first n of the chunk. */
MAYBE_UNUSED static void intend(struct world *w, int n)
{
    struct intent_check check;
    struct chunk_ref c = {.part = w->part, .wave_id = w->wave_id, .chunk_no = 0};
    OK(db_begin(db, &d));
    OK(store_intent_lock(db, w->part, NODE, w->epoch, w->wave_id, 1, &check, &d));
    OK(store_intent_chunk(db, &c, w->first_seq, w->first_seq + n - 1, w->route_id, NODE,
                          check.now_ms, &d));
    OK(db_commit(db, &d));
}

#endif
