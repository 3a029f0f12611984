/* SPDX-License-Identifier: Apache-2.0 */
/* test_store_people.c - audiences, places, customers, consents and do-not-disturb lists against a
 * real PostgreSQL. CAMPGW_TEST_DB = conninfo of a migrated database (role campgw); skipped, with
 * this sentence, when it is unset. Each test uses customers of its own, so that the database need
 * not be empty. */
#include "store/store_audience.h"
#include "store/store_consent.h"
#include "store/store_customer.h"
#include "store/store_dnd.h"
#include "store/store_ids.h"
#include "store/store_place.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

static struct db *db;
static struct diag d;
static struct buf doc;
static const struct store_actor owner = {.name = "test", .request_id = "req_test"};
static const struct store_scope all = {0};

static void setup(void)
{
    const char *conninfo = getenv("CAMPGW_TEST_DB");
    if (!conninfo)
        cr_skip("CAMPGW_TEST_DB is not set: no database to test against");
    cr_assert_geq(sodium_init(), 0);
    d = (struct diag){0};
    cr_assert_eq(db_open(conninfo, "test_store_people", &db, &d), 0, "%s", d.text);
    buf_init(&doc, 1u << 20);
}

static void teardown(void)
{
    db_close(db);
    db = NULL;
    buf_done(&doc);
    if (__lsan_do_recoverable_leak_check)
        cr_assert_eq(__lsan_do_recoverable_leak_check(), 0, "memory leaked");
}

TestSuite(people, .init = setup, .fini = teardown, .timeout = 60);

#define OK(call) cr_assert_eq((call), 0, "%s: %s", #call, d.text)

/* A fresh customer id of a chosen part. */
static int64_t someone(int part)
{
    uint64_t id;
    randombytes_buf(&id, sizeof id);
    return (int64_t)((id >> 2) / 64 * 64 + (unsigned)part);
}

static int64_t number(const char *sql, int64_t a, int64_t b)
{
    struct db_result *r = NULL;
    struct db_params p;
    dbp_init(&p);
    dbp_int8(&p, a);
    dbp_int8(&p, b);
    OK(db_query(db, sql, &p, &r, &d));
    int64_t v = dbr_rows(r) ? dbr_int(r, 0, 0) : -1;
    dbr_free(r);
    return v;
}

static bool has(const char *text)
{
    return strstr(buf_str(&doc), text) != NULL;
}

/* ---- ids
 * ---------------------------------------------------------------------------------------------------------------------
 */
Test(ids, come_back_and_refuse_every_wrong_or_swapped_character)
{
    static const int64_t values[] = {0,
                                     1,
                                     63,
                                     INT64_MAX,
                                     INT64_MAX - 1,
                                     INT64_C(0x123456789abcdef),
                                     INT64_C(4294967296) * 77 + 12};
    for (size_t v = 0; v < ARRAY_LEN(values); v++) {
        char text[STORE_ID_TEXT_MAX], bad[STORE_ID_TEXT_MAX];
        int64_t back = -1;
        store_id_encode("cus", values[v], text, sizeof text);
        cr_assert_eq(strlen(text), 18);
        cr_assert_eq(store_id_decode("cus", text, &back, &d), 0);
        cr_assert_eq(back, values[v]);
        cr_assert_lt(store_id_decode("con", text, &back, &d), 0, "another kind");
        for (size_t i = 4; text[i]; i++) {
            for (const char *c = "0123456789abcdefghjkmnpqrstvwxyz"; *c; c++) {
                (void)snprintf(bad, sizeof bad, "%s", text);
                bad[i] = *c;
                cr_assert_eq(store_id_decode("cus", bad, &back, &d) == 0, *c == text[i],
                             "%s for %s", bad, text);
            }
            (void)snprintf(bad, sizeof bad, "%s", text);
            if (!text[i + 1] || text[i] == text[i + 1])
                continue;
            bad[i] = text[i + 1];
            bad[i + 1] = text[i];
            cr_assert_lt(store_id_decode("cus", bad, &back, &d), 0, "swapped %s", bad);
        }
    }
}

Test(ids, refuse_what_is_not_an_id)
{
    static const char *const texts[] = {"",
                                        "cus_",
                                        "cus",
                                        "cus_00000000000000000",
                                        "cus_000000000000",
                                        "cus_zzzzzzzzzzzzzz",
                                        "CUS_00000000000000",
                                        "cus-00000000000000",
                                        "cus_0000000000000u",
                                        "cus_00000 00000000"};
    int64_t id;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        cr_expect_eq(store_id_decode("cus", texts[i], &id, &d), CGW_EINVAL, "'%s'", texts[i]);
}

/* ---- places
 * ------------------------------------------------------------------------------------------------------------------
 */
Test(people, a_place_is_one_number_whatever_the_order_of_its_zones)
{
    static const char *const ab[] = {"Asia/Urumqi", "Asia/Shanghai"}, *const ba[] = {
                                                                          "Asia/Shanghai",
                                                                          "Asia/Urumqi"};
    int16_t x = 0, y = -1, z = -2, none = 0;
    OK(store_place_get(db, "CN", ab, 2, &x, &d));
    OK(store_place_get(db, "CN", ba, 2, &y, &d));
    OK(store_place_get(db, "CN", ab, 1, &z, &d));
    OK(store_place_get(db, "CN", NULL, 0, &none, &d));
    cr_assert_eq(x, y);
    cr_assert_neq(x, z);
    cr_assert_neq(z, none);
}

/* ---- audiences
 * -----------------------------------------------------------------------------------------------------------------
 */
static void new_audience(struct store_audience *a, char id[40], const char *const *dims,
                         size_t n_dims)
{
    struct store_audience_new n = {
        .name = "test", .channel_mask = 2, .default_region = "CN", .dims = dims, .n_dims = n_dims};
    buf_reset(&doc);
    OK(store_audience_create(db, &owner, &n, &doc, id, &d));
    OK(store_audience_get(db, all, id, a, &d));
}

static int put_people(struct store_set *s, int64_t n, int64_t base)
{
    int rc = 0;
    for (int32_t part = 0; part < 2; part++)
        for (int16_t place = 1; place <= 2; place++)
            for (int64_t i = 0; rc == 0 && i < n; i++) {
                struct store_set_row row = {.customer_id = base + i * 64 + part +
                                                           (place - 1) * INT64_C(64000000),
                                            .address = "+8613800000000",
                                            .email = "",
                                            .lang = "",
                                            .params = "Li\x1fGD",
                                            .params_len = 5,
                                            .place = place,
                                            .dims = (const int16_t[]){1}};
                rc = store_set_put(s, &row, &d);
            }
    return rc;
}

static const char *const fields[] = {"name", "province"}, *const dims[] = {"province"};

Test(people, a_set_is_cut_into_slices_of_one_part_and_one_place)
{
    struct store_audience a;
    struct store_set *s = NULL;
    char id[40];
    uint8_t sha[32];
    new_audience(&a, id, dims, 1);
    cr_assert(has("\"channels\" : [\"sms\"]") || has("\"channels\":[\"sms\"]"), "%s",
              buf_str(&doc));
    OK(store_set_open(db, &a, &s, &d));
    OK(put_people(s, 7000, someone(0) / 64 * 64));
    const struct store_set_reject rejects[] = {{3, "msisdn", "number_letters", "letters"},
                                               {9, "", "columns", "columns"}};
    const struct store_set_dim_value values[] = {{1, 1, "GD", 2}};
    struct store_set_end end = {.fields = fields,
                                .n_fields = 2,
                                .rejects = rejects,
                                .n_rejects = 2,
                                .dim_values = values,
                                .n_dim_values = 1,
                                .duplicate = 4,
                                .invalid = 2};
    OK(store_set_commit(s, &owner, &end, sha, &d));
    cr_assert_not(db_in_tx(db));
    int64_t set =
        number("SELECT set_id FROM audience WHERE audience_id = $1::int8 AND $2::int8 = 0",
               a.audience_id, 0);
    cr_assert_eq(
        number("SELECT n_rows FROM recipient_set WHERE set_id = $1::int8 AND $2::int8 = 0", set, 0),
        28000);
    cr_assert_eq(
        number("SELECT count(*) FROM recipient WHERE set_id = $1::int8 AND part = $2::int8", set,
               1),
        14000);
    cr_assert_eq(
        number("SELECT count(*) FROM set_slice WHERE set_id = $1::int8 AND $2::int8 = 0", set, 0),
        8, "5,000 + 2,000 for each of 2 parts x 2 places");
    cr_assert_eq(number("SELECT max(seq_hi - seq_lo + 1) FROM set_slice WHERE set_id = $1::int8 "
                        "AND $2::int8 = 0",
                        set, 0),
                 5000);
    cr_assert_eq(number("SELECT count(*) FROM (SELECT l.slice_no FROM set_slice l JOIN recipient r "
                        "ON r.part = l.part AND r.set_id = l.set_id"
                        " AND r.seq BETWEEN l.seq_lo AND l.seq_hi WHERE l.set_id = $1::int8 AND "
                        "$2::int8 = 0 GROUP BY l.part, l.slice_no, l.place, l.cust_lo, l.cust_hi"
                        " HAVING min(r.customer_id) <> l.cust_lo OR max(r.customer_id) <> "
                        "l.cust_hi OR min(r.place) <> l.place OR max(r.place) <> l.place) x",
                        set, 0),
                 0, "bounds and place of a slice are those of its rows");
    cr_assert_eq(number("SELECT sum(seq_hi - seq_lo + 1)::int8 FROM set_slice WHERE set_id = "
                        "$1::int8 AND $2::int8 = 0",
                        set, 0),
                 28000);
    cr_assert_eq(
        number("SELECT max(seq) - min(seq) FROM recipient WHERE set_id = $1::int8 AND $2::int8 = 0",
               set, 0),
        27999);
    cr_assert_eq(number("SELECT count(*) FROM set_dim WHERE set_id = $1::int8 AND value = 'GD' AND "
                        "$2::int8 = 0",
                        set, 0),
                 1);
    bool more = true;
    char cursor[128];
    buf_reset(&doc);
    OK(store_audience_rejects(db, all, id, "", 1, &doc, &more, cursor, sizeof cursor, &d));
    cr_assert(more && has("number_letters"));
    buf_reset(&doc);
    OK(store_audience_rejects(db, all, id, cursor, 1, &doc, &more, cursor, sizeof cursor, &d));
    cr_assert(!more && has("\"line\" : 9") && !has("number_letters"), "%s", buf_str(&doc));
}

Test(people, rows_out_of_order_are_refused_and_an_aborted_set_leaves_nothing)
{
    struct store_audience a;
    struct store_set *s = NULL;
    char id[40];
    new_audience(&a, id, NULL, 0);
    OK(store_set_open(db, &a, &s, &d));
    int64_t big = someone(0); /* names the row afterwards: other tests write at the same time */
    struct store_set_row row = {.customer_id = big,
                                .address = "+8613800000000",
                                .email = "",
                                .lang = "",
                                .params = "",
                                .place = 1};
    OK(store_set_put(s, &row, &d));
    cr_assert_eq(store_set_put(s, &row, &d), CGW_EINVAL, "the same customer twice");
    row.customer_id = 64;
    cr_assert_eq(store_set_put(s, &row, &d), CGW_EINVAL, "a smaller customer");
    store_set_abort(s);
    cr_assert_not(db_in_tx(db));
    cr_assert_eq(
        number("SELECT count(*) FROM recipient_set WHERE audience_id = $1::int8 AND $2::int8 = 0",
               a.audience_id, 0),
        0);
    cr_assert_eq(number("SELECT count(*) FROM recipient WHERE part = 0 AND customer_id = $1::int8 "
                        "AND $2::int8 = 0",
                        big, 0),
                 0);
    cr_assert_eq(number("SELECT coalesce(set_id, 0) FROM audience WHERE audience_id = $1::int8 AND "
                        "$2::int8 = 0",
                        a.audience_id, 0),
                 0);
}

Test(people, the_digest_names_content_and_changes_with_it)
{
    struct store_audience a;
    char id[40];
    uint8_t sha[3][32];
    new_audience(&a, id, NULL, 0);
    for (int i = 0; i < 3; i++) {
        struct store_set *s = NULL;
        struct store_set_end end = {0};
        OK(store_set_open(db, &a, &s, &d));
        struct store_set_row row = {.customer_id = 128,
                                    .address = i < 2 ? "+8613800000000" : "+8613800000001",
                                    .email = "",
                                    .lang = "",
                                    .params = "",
                                    .place = 1};
        OK(store_set_put(s, &row, &d));
        OK(store_set_commit(s, &owner, &end, sha[i], &d));
    }
    cr_assert_eq(memcmp(sha[0], sha[1], 32), 0);
    cr_assert_neq(memcmp(sha[0], sha[2], 32), 0);
}

Test(people, an_audience_in_use_is_neither_archived_nor_filled)
{
    struct store_audience a;
    struct store_set *s = NULL;
    struct store_set_end end = {0};
    char id[40];
    uint8_t sha[32];
    new_audience(&a, id, NULL, 0);
    OK(store_set_open(db, &a, &s, &d));
    struct store_set_row row = {.customer_id = 128,
                                .address = "+8613800000000",
                                .email = "",
                                .lang = "",
                                .params = "",
                                .place = 1};
    OK(store_set_put(s, &row, &d));
    struct db *db2 = NULL; /* a campaign starts while the upload is under way */
    OK(db_open(getenv("CAMPGW_TEST_DB"), "test", &db2, &d));
    char cmp[40];
    store_new_id("cmp", cmp, sizeof cmp);
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, cmp);
    dbp_int4(&p, a.audience_id);
    OK(db_exec(db2,
               "INSERT INTO campaign (public_id, partner_id, name, plugin, class, purpose, "
               "audience_id, state, created_by)"
               " VALUES ($1, 0, 't', 'broadcast', 1, 1, $2, 'running', 'test')",
               &p, NULL, &d));
    cr_assert_eq(store_set_commit(s, &owner, &end, sha, &d), CGW_EBUSY);
    cr_assert_not(db_in_tx(db));
    cr_assert_eq(store_audience_archive(db, &owner, all, id, &d), CGW_EBUSY);
    dbp_init(&p);
    dbp_text(&p, cmp);
    OK(db_exec(db2, "UPDATE campaign SET state = 'cancelled' WHERE public_id = $1", &p, NULL, &d));
    OK(store_audience_archive(db, &owner, all, id, &d));
    OK(store_audience_archive(db, &owner, all, id, &d));
    db_close(db2);
}

Test(people, a_partner_does_not_see_the_owners_audience)
{
    struct store_audience a;
    char id[40];
    new_audience(&a, id, NULL, 0);
    buf_reset(&doc);
    cr_assert_eq(store_audience_json(db, (struct store_scope){7}, id, &doc, &d), CGW_ENOTFOUND);
    cr_assert_eq(store_audience_archive(db, &owner, (struct store_scope){7}, id, &d),
                 CGW_ENOTFOUND);
}

/* ---- customers
 * -----------------------------------------------------------------------------------------------------------------
 */
static struct store_customer_counts upsert(const struct store_customer_row *rows, size_t n)
{
    struct store_customers c;
    struct store_customer_counts counts;
    OK(db_begin(db, &d));
    OK(store_customers_open(db, &c, &d));
    for (size_t i = 0; i < n; i++)
        OK(store_customers_put(&c, &rows[i], &d));
    OK(store_customers_close(&c, true, &owner, &counts, &d));
    OK(db_commit(db, &d));
    return counts;
}

#define ROW(l, k, number_, mail)                                                                   \
    {                                                                                              \
        .line = (l), .key = (k), .alt = (k) + 64, .msisdn = (number_), .email = (mail),            \
        .external_id = "", .zone = "", .region = "", .lang = "", .attrs = "{}", .attrs_len = 2     \
    }

Test(people, an_upsert_keeps_what_a_row_does_not_say_and_the_last_row_wins)
{
    int64_t id = someone(5);
    struct store_customer_row rows[3] = {ROW(2, id, "+8613800000001", ""),
                                         ROW(3, id, "+8613800000001", ""),
                                         ROW(4, id, "+8613800000001", "")};
    rows[0].zone = "Asia/Tokyo";
    rows[1].zone = "Asia/Shanghai";
    rows[1].attrs = "{\"tier\":\"gold\"}";
    rows[1].attrs_len = strlen(rows[1].attrs);
    struct store_customer_counts n = upsert(rows, 2);
    cr_assert_eq(n.created, 1);
    cr_assert_eq(n.duplicate, 1);
    rows[2].lang = "zh-CN";
    n = upsert(&rows[2], 1);
    cr_assert_eq(n.created, 0);
    cr_assert_eq(n.updated, 1);
    buf_reset(&doc);
    OK(store_customer_json(db, all, id, &doc, &d));
    cr_assert(has("Asia/Shanghai") && has("zh-CN") && has("gold") && has("+86138****0001"), "%s",
              buf_str(&doc));
    cr_assert(!has("13800000001"), "numbers are masked: %s", buf_str(&doc));
}

static void take_id(void *ctx, size_t i, const struct store_person *p)
{
    ((int64_t *)ctx)[i] = p->customer_id;
}

Test(people, a_mailbox_becomes_an_alias_unless_facts_are_stored_under_it)
{
    int64_t id = someone(6), mail = someone(7), id2 = someone(6), mail2 = someone(7);
    struct store_customer_row a = ROW(2, id, "+8613800000002", "li@example.com"),
                              b = ROW(2, id2, "+8613800000003", "wu@example.com");
    a.email_key = mail;
    b.email_key = mail2;
    uint64_t parts = 0;
    const int32_t scope = 0;
    struct store_dnd_fact fact = {.part = 7,
                                  .customer_id = mail2,
                                  .scopes = &scope,
                                  .n_scopes = 1,
                                  .list_id = STORE_DND_BOUNCES,
                                  .reason = 3};
    OK(db_begin(db, &d));
    OK(store_dnd_put(db, &fact, &parts, NULL, &d));
    OK(db_commit(db, &d));
    cr_assert_eq(parts, UINT64_C(1) << 7);
    struct store_customer_counts n = upsert(&a, 1);
    cr_assert_eq(n.aliases, 1);
    n = upsert(&b, 1);
    cr_assert_eq(n.aliases, 0, "a do-not-disturb row stands under the mailbox");
    const char *addresses[] = {"li@example.com", "wu@example.com"};
    int64_t keys[] = {mail, mail2}, alts[] = {1, 2}, got[] = {0, 0};
    OK(store_people_find(db, keys, alts, addresses, 2, take_id, got, &d));
    cr_assert_eq(got[0], id);
    cr_assert_eq(got[1], 0, "nothing is known, the key stands for itself");
}

Test(people, another_number_under_the_same_key_gets_the_second_id_everywhere)
{
    int64_t id = someone(8), alt = someone(9);
    struct store_customer_row first = ROW(2, id, "+8613800000004", ""),
                              second = ROW(2, id, "+8613900000005", "");
    second.alt = alt;
    (void)upsert(&first, 1);
    struct store_customer_counts n = upsert(&second, 1);
    cr_assert_eq(n.created, 1);
    buf_reset(&doc);
    OK(store_customer_json(db, all, alt, &doc, &d));
    cr_assert(has("\"known\" : true"), "%s", buf_str(&doc));
    const char *addresses[] = {"+8613900000005", "+8613800000004"};
    int64_t keys[] = {id, id}, alts[] = {alt, alt}, got[] = {0, 0};
    OK(store_people_find(db, keys, alts, addresses, 2, take_id, got, &d));
    cr_assert_eq(got[0], alt);
    cr_assert_eq(got[1], id);
    struct store_people p;
    OK(db_begin(db, &d));
    OK(store_people_open(db, &p, &d));
    OK(store_people_put(&p, 1, id, alt, "+8613900000005", &d));
    OK(store_people_close(&p, true, &d));
    cr_assert_eq(number("SELECT customer_id FROM in_person WHERE $1::int8 = $2::int8", 0, 0), alt);
    db_rollback(db);
}

Test(people, an_external_id_of_two_customers_names_nobody)
{
    int64_t a = someone(1), b = someone(2), got = 0;
    char ext[40];
    store_new_id("x", ext, sizeof ext);
    struct store_customer_row rows[2] = {ROW(2, a, "+8613800000006", ""),
                                         ROW(3, b, "+8613800000007", "")};
    rows[0].external_id = ext;
    (void)upsert(rows, 1);
    OK(store_customer_by_external(db, ext, &got, &d));
    cr_assert_eq(got, a);
    rows[1].external_id = ext;
    (void)upsert(&rows[1], 1);
    cr_assert_eq(store_customer_by_external(db, ext, &got, &d), CGW_ECONFLICT);
    cr_assert_eq(store_customer_by_external(db, "nobody", &got, &d), CGW_ENOTFOUND);
}

Test(people, a_partner_sees_only_people_of_its_own_audiences_and_one_bit_of_them)
{
    int64_t id = someone(0);
    struct db_params p;
    dbp_init(&p);
    OK(db_exec(db, "INSERT INTO partner VALUES (7, 'seven') ON CONFLICT DO NOTHING", &p, NULL, &d));
    struct store_actor seven = {.partner_id = 7, .name = "key_7", .request_id = "r"};
    struct store_audience_new n = {.name = "theirs", .channel_mask = 2, .default_region = ""};
    struct store_audience a;
    struct store_set *s = NULL;
    struct store_set_end end = {0};
    uint8_t sha[32];
    char aid[40];
    buf_reset(&doc);
    OK(store_audience_create(db, &seven, &n, &doc, aid, &d));
    OK(store_audience_get(db, (struct store_scope){7}, aid, &a, &d));
    OK(store_set_open(db, &a, &s, &d));
    struct store_set_row row = {.customer_id = id,
                                .address = "+8613800000000",
                                .email = "",
                                .lang = "",
                                .params = "",
                                .place = 1};
    OK(store_set_put(s, &row, &d));
    OK(store_set_commit(s, &seven, &end, sha, &d));
    bool seen = false;
    OK(store_customer_visible(db, (struct store_scope){7}, id, &seen, &d));
    cr_assert(seen);
    OK(store_customer_visible(db, (struct store_scope){8}, id, &seen, &d));
    cr_assert_not(seen);
    OK(store_customer_visible(db, all, id, &seen, &d));
    cr_assert(seen);
    OK(store_customer_visible(db, all, someone(0), &seen, &d));
    cr_assert_not(seen);
    buf_reset(&doc);
    OK(store_customer_json(db, (struct store_scope){7}, id, &doc, &d));
    cr_assert(has("\"contactable\" : false") && !has("consents"), "no consent: %s", buf_str(&doc));
}

/* ---- consents
 * --------------------------------------------------------------------------------------------------------------------
 */
static struct store_consent_counts say(const struct store_consent_row *rows, size_t n,
                                       uint64_t *ret_parts)
{
    struct store_consents c;
    struct store_consent_counts counts;
    OK(db_begin(db, &d));
    OK(store_consents_open(db, &c, &d));
    for (size_t i = 0; i < n; i++)
        OK(store_consents_put(&c, &rows[i], &d));
    OK(store_consents_close(&c, true, &owner, &counts, ret_parts, &d));
    OK(store_facts_touch(db, *ret_parts, &d));
    OK(db_commit(db, &d));
    return counts;
}

static struct store_consent_row statement(int64_t id, int channel, int state, int64_t at)
{
    return (struct store_consent_row){.line = 1,
                                      .key = id,
                                      .address = "",
                                      .purpose = "marketing",
                                      .channel = (int16_t)channel,
                                      .state = (int16_t)state,
                                      .source = "test",
                                      .evidence = "",
                                      .at_utc_ms = at,
                                      .expires_utc_ms = INT64_MIN};
}

/* 0 no row, 1 granted, 2 withdrawn: the most specific row, as policy reads it */
static int64_t state_of(int64_t id, int channel)
{
    return number("SELECT coalesce((SELECT state FROM consent WHERE part = $1::int8 % 64 AND "
                  "customer_id = $1::int8 AND purpose = 1 AND channel IN (0, $2::int8)"
                  " ORDER BY channel DESC LIMIT 1), 0)::int8",
                  id, channel);
}

#define T0 INT64_C(1700000000000)

Test(people, consent_follows_the_later_statement_in_whatever_order_they_come)
{
    static const struct {
        const char *name;
        int n, channel[3], state[3], at[3], want; /* want: what holds for SMS */
    } cases[] = {
        {"grant", 1, {1}, {1}, {0}, 1},
        {"withdrawal after grant", 2, {1, 1}, {1, 2}, {0, 1}, 2},
        {"older withdrawal arrives late", 2, {1, 1}, {1, 2}, {1, 0}, 1},
        {"older grant arrives late", 2, {1, 1}, {2, 1}, {1, 0}, 2},
        {"withdrawal wins a tie", 2, {1, 1}, {2, 1}, {0, 0}, 2},
        {"withdrawal wins a tie, other order", 2, {1, 1}, {1, 2}, {0, 0}, 2},
        {"withdrawal of all ends a channel's grant", 2, {1, 0}, {1, 2}, {0, 1}, 2},
        {"older withdrawal of all does not", 2, {1, 0}, {1, 2}, {1, 0}, 1},
        {"older grant of a channel after a withdrawal of all", 2, {0, 1}, {2, 1}, {1, 0}, 2},
        {"newer grant of a channel after a withdrawal of all", 2, {0, 1}, {2, 1}, {0, 1}, 1},
        {"grant of all does not lift a channel's withdrawal", 2, {1, 0}, {2, 1}, {0, 1}, 2},
        {"all withdrawn, all granted again", 2, {0, 0}, {2, 1}, {0, 1}, 1},
        {"channel granted, all withdrawn, channel granted again",
         3,
         {1, 0, 1},
         {1, 2, 1},
         {0, 1, 2},
         1},
    };
    for (size_t c = 0; c < ARRAY_LEN(cases); c++)
        for (int batch = 0; batch < 2; batch++) {
            int64_t id = someone(11);
            struct store_consent_row rows[3];
            uint64_t parts;
            for (int i = 0; i < cases[c].n; i++) {
                rows[i] =
                    statement(id, cases[c].channel[i], cases[c].state[i], T0 + cases[c].at[i]);
                rows[i].line = i;
                if (!batch)
                    (void)say(&rows[i], 1, &parts);
            }
            if (batch)
                (void)say(rows, (size_t)cases[c].n, &parts);
            cr_expect_eq(state_of(id, 1), cases[c].want, "%s (%s): %" PRId64, cases[c].name,
                         batch ? "one request" : "one by one", state_of(id, 1));
            cr_expect_eq(number("SELECT count(*) FROM consent_event WHERE part = $1::int8 % 64 AND "
                                "customer_id = $1::int8 AND $2::int8 = 0",
                                id, 0),
                         cases[c].n, "every statement is kept");
        }
}

Test(people, only_a_withdrawal_moves_the_fact_clock)
{
    int64_t id = someone(12);
    uint64_t parts = 99;
    struct store_consent_row row = statement(id, 1, STORE_CONSENT_GRANT, INT64_MIN);
    int64_t before =
        number("SELECT ver FROM fact_clock WHERE part = $1::int8 AND $2::int8 = 0", 12, 0);
    struct store_consent_counts n = say(&row, 1, &parts);
    cr_assert_eq(n.granted, 1);
    cr_assert_eq(parts, 0);
    row.state = STORE_CONSENT_WITHDRAW;
    n = say(&row, 1, &parts);
    cr_assert_eq(n.withdrawn, 1);
    cr_assert_eq(parts, UINT64_C(1) << 12);
    cr_assert_eq(number("SELECT ver FROM fact_clock WHERE part = $1::int8 AND $2::int8 = 0", 12, 0),
                 before + 1);
    bool more;
    char cursor[64];
    buf_reset(&doc);
    OK(store_consent_list(db, id, true, "", 10, &doc, &more, cursor, sizeof cursor, &d));
    cr_assert(has("withdrawn") && has("granted") && has("\"actor\" : \"test\""), "%s",
              buf_str(&doc));
}

/* ---- do-not-disturb
 * ----------------------------------------------------------------------------------------------------------------
 */
static void people(const int64_t *ids, size_t n)
{
    struct store_people p;
    OK(store_people_open(db, &p, &d));
    for (size_t i = 0; i < n; i++)
        OK(store_people_put(&p, (int64_t)i, ids[i], 0, "", &d));
    OK(store_people_close(&p, true, &d));
}

static void new_list(struct store_dnd_list *l, int32_t scope)
{
    char id[40], name[40];
    store_new_id("list", name, sizeof name);
    buf_reset(&doc);
    OK(db_begin(db, &d));
    OK(store_dnd_create(db, &owner, name, scope, &doc, id, &d));
    OK(db_commit(db, &d));
    OK(store_dnd_get(db, all, id, false, l, &d));
}

Test(people, entries_are_added_replaced_and_removed_set_by_set)
{
    struct store_dnd_list l;
    struct store_dnd_counts n;
    uint64_t parts = 0;
    int64_t ids[4] = {someone(0), someone(63), someone(31), 0};
    ids[3] = ids[0];
    new_list(&l, 2001);
    cr_assert(has("\"class\" : \"marketing\"") && has("\"scope\" : null"), "%s", buf_str(&doc));
    OK(db_begin(db, &d));
    people(ids, 4);
    OK(store_dnd_add(db, &owner, &l, &n, &parts, &d));
    cr_assert_eq(n.received, 4);
    cr_assert_eq(n.added, 3);
    cr_assert_eq(n.present, 0);
    cr_assert_eq(parts, UINT64_C(1) << 63 | 1 | UINT64_C(1) << 31, "the mask reaches part 63");
    OK(db_commit(db, &d));
    OK(db_begin(db, &d));
    people(&ids[1], 1);
    OK(store_dnd_replace(db, &owner, &l, &n, &parts, &d));
    cr_assert_eq(n.removed, 2);
    cr_assert_eq(n.added, 0);
    cr_assert_eq(n.present, 1);
    cr_assert_eq(parts, 0);
    OK(db_commit(db, &d));
    OK(db_begin(db, &d));
    people(ids, 4);
    OK(store_dnd_remove(db, &owner, &l, &n, &d));
    cr_assert_eq(n.removed, 1);
    OK(db_commit(db, &d));
    cr_assert_eq(
        number("SELECT count(*) FROM dnd WHERE list_id = $1::int8 AND $2::int8 = 0", l.list_id, 0),
        0);
}

Test(people, entries_page_through_without_loss)
{
    struct store_dnd_list l;
    struct store_dnd_counts n;
    uint64_t parts;
    int64_t ids[25];
    for (int i = 0; i < 25; i++)
        ids[i] = someone(i % 3);
    new_list(&l, 0);
    OK(db_begin(db, &d));
    people(ids, 25);
    OK(store_dnd_add(db, &owner, &l, &n, &parts, &d));
    OK(db_commit(db, &d));
    char cursor[128] = "";
    bool more = true;
    int pages = 0, seen = 0;
    for (; more && pages < 10; pages++) {
        buf_reset(&doc);
        OK(store_dnd_entries(db, &l, cursor, 7, &doc, &more, cursor, sizeof cursor, &d));
        for (const char *p = buf_str(&doc); (p = strstr(p, "\"customer\"")); p++)
            seen++;
    }
    cr_assert_eq(pages, 4);
    cr_assert_eq(seen, 25);
    cr_assert_eq(store_dnd_entries(db, &l, "rubbish", 7, &doc, &more, cursor, sizeof cursor, &d),
                 CGW_EINVAL);
}

Test(people, built_in_lists_cannot_be_deleted_renamed_or_replaced)
{
    struct store_dnd_list l;
    struct store_dnd_counts n;
    uint64_t parts;
    OK(store_dnd_get(db, all, "dnd_optouts", false, &l, &d));
    cr_assert(l.builtin);
    cr_assert_eq(store_dnd_delete(db, &owner, &l, &d), CGW_EDENIED);
    cr_assert_eq(store_dnd_rename(db, &owner, &l, "x", &d), CGW_EDENIED);
    cr_assert_eq(store_dnd_replace(db, &owner, &l, &n, &parts, &d), CGW_EDENIED);
    cr_assert_eq(store_dnd_get(db, (struct store_scope){7}, "dnd_optouts", false, &l, &d),
                 CGW_ENOTFOUND, "partners do not see them");
}

Test(people, an_optout_is_confirmed_once_and_again_after_the_person_came_off_the_list)
{
    int64_t id = someone(20);
    const int32_t scope = 2001, every[] = {2001, 2002, 2003, 2004};
    uint64_t parts = 0;
    bool confirm = false;
    OK(db_begin(db, &d));
    OK(store_dnd_optout(db, 20, id, &scope, 1, 5, T0, &parts, &confirm, &d));
    cr_assert(confirm);
    cr_assert_eq(parts, UINT64_C(1) << 20);
    OK(db_commit(db, &d));
    parts = 0;
    OK(db_begin(db, &d));
    OK(store_dnd_optout(db, 20, id, &scope, 1, 6, T0, &parts, &confirm, &d));
    cr_assert_not(confirm);
    cr_assert_eq(parts, 0, "nothing new is forbidden");
    OK(store_dnd_optout(db, 20, id, every, 4, 7, T0, &parts, &confirm, &d));
    cr_assert(confirm);
    OK(db_commit(db, &d));
    cr_assert_eq(number("SELECT count(*) FROM dnd WHERE part = $2::int8 AND customer_id = $1::int8 "
                        "AND list_id = 1 AND reason = 2",
                        id, 20),
                 4);
    struct store_dnd_list l;
    struct store_dnd_counts n;
    OK(store_dnd_get(db, all, "dnd_optouts", false, &l, &d));
    OK(db_begin(db, &d));
    people(&id, 1);
    OK(store_dnd_remove(db, &owner, &l, &n, &d));
    OK(store_dnd_optout(db, 20, id, &scope, 1, 8, T0, &parts, &confirm, &d));
    cr_assert(confirm);
    db_rollback(db);
    buf_reset(&doc);
    OK(store_dnd_lookup(db, all, id, &doc, &d));
    cr_assert(has("dnd_optouts"));
    buf_reset(&doc);
    OK(store_dnd_lookup(db, (struct store_scope){7}, id, &doc, &d));
    cr_assert_eq(doc.len, 0);
}
