/* SPDX-License-Identifier: Apache-2.0 */
/* test_db.c - statements in one round trip (db_query_each): order, the first failure, a lost
 * server. Skipped, with this sentence, when CAMPGW_TEST_DB is unset. */
#include "protocol_fixture.h"

#include <errno.h>

TestSuite(db, .init = setup, .fini = teardown, .timeout = 60);

static struct db_params params[64];
static struct db_result *results[64];

static int each(const char *sql, const int32_t *values, int n)
{
    for (int i = 0; i < n; i++) {
        dbp_init(&params[i]);
        dbp_int4(&params[i], values[i]);
    }
    return db_query_each(db, sql, params, n, results, &d);
}

static void still_good(void)
{
    cr_assert_eq(number("SELECT 7::int8"), 7);
}

Test(db, gives_each_set_of_parameters_its_own_result)
{
    int32_t values[64];
    for (int i = 0; i < 64; i++)
        values[i] = i * 3;
    OK(each("SELECT $1 * 2", values, 64));
    for (int i = 0; i < 64; i++) {
        cr_assert_eq(dbr_int(results[i], 0, 0), i * 6);
        dbr_free(results[i]);
    }
    OK(each("SELECT $1 * 2", values, 0));
    still_good();
}

Test(db, tells_the_first_failure_and_keeps_no_result)
{
    static const int32_t values[] = {1, 0, 2};
    OK(db_begin(db, &d));
    cr_assert_eq(each("SELECT 12 / $1", values, 3), CGW_EDB);
    cr_assert_str_eq(db_sqlstate(db), "22012");
    for (int i = 0; i < 3; i++)
        cr_assert_null(results[i]);
    db_rollback(db);
    still_good();
}

Test(db, notices_in_the_middle_that_the_server_is_gone)
{
    static const int32_t values[] = {1, 2, 3};
    cr_assert_eq(
        each("SELECT CASE WHEN $1 = 2 THEN pg_terminate_backend(pg_backend_pid()) END", values, 3),
        -ENOTCONN);
    for (int i = 0; i < 3; i++)
        cr_assert_null(results[i]);
    cr_assert(!db_is_up(db));
    OK(db_reopen(db, &d));
    still_good();
}
