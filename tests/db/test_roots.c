/* SPDX-License-Identifier: Apache-2.0 */
/* test_roots.c - the hourly signed root over the heads of all chains: the auditor's query verifies
 * it and sees what was cut off. Skipped when CAMPGW_TEST_DB is unset. Source: sql/README.md,
 * "Seals". */
#include "protocol_fixture.h"

TestSuite(roots, .init = setup, .fini = teardown, .timeout = 60);

/* The auditor's query, as it stands beside this file: faults of this root. */
static int64_t root_faults(int64_t root_no)
{
    char path[1024], text[8192] = "", sql[10000];
    (void)snprintf(path, sizeof path, "%s", __FILE__);
    char *slash = strrchr(path, '/');
    (void)snprintf(slash ? slash + 1 : path, 32, "verify_roots.sql");
    FILE *f = fopen(path, "re");
    cr_assert_not_null(f, "%s", path);
    size_t n = fread(text, 1, sizeof text - 1, f);
    (void)fclose(f);
    text[n] = 0;
    char *from = strstr(text, "WITH at"), *end = from ? strrchr(from, ';') : NULL;
    cr_assert(from && end);
    *end = 0;
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM (%s) x WHERE root_no = $1", from);
    struct db_params p;
    struct db_result *r = NULL;
    dbp_init(&p);
    dbp_int8(&p, root_no);
    OK(db_query(db, sql, &p, &r, &d));
    int64_t faults = dbr_int(r, 0, 0);
    dbr_free(r);
    return faults;
}

/* A root like the last one but for one column; faults of it and of those behind it. */
static int64_t forged(const struct seal_root *last, const char *columns)
{
    OK(db_begin(db, &d));
    run_sql("INSERT INTO audit_root SELECT root_no + 1, %s FROM audit_root WHERE root_no = %" PRId64
            " RETURNING 1",
            columns, last->root_no);
    int64_t n = root_faults(last->root_no + 1);
    db_rollback(db);
    return n;
}

Test(roots, a_root_tells_that_a_chain_lost_its_end)
{
    struct world w;
    struct seal_root first, second;
    OK(store_root_append(db, sign_key, &first, &d));
    make_world(&w, 40, 3);
    decide_all(&w, 0, 0);
    intend(&w, 1);
    OK(store_root_append(db, sign_key, &second, &d));
    cr_assert_eq(second.root_no, first.root_no + 1);
    cr_assert_eq(
        number("SELECT seal_nos[41] FROM audit_root WHERE root_no = %" PRId64, second.root_no), 1);
    cr_assert_eq(root_faults(first.root_no), 0);
    cr_assert_eq(root_faults(second.root_no), 0);
    cr_assert_eq(crypto_sign_verify_detached(second.sig, second.digest, SEAL_DIGEST, sign_public),
                 0);
    /* a seal that the root names is not there; the heads of another moment; a missing root */
    cr_assert_eq(
        forged(&second, "at, seal_nos[:40] || 2::int8 || seal_nos[42:], digest, digest, sig"), 1,
        "a chain without its end goes unseen");
    cr_assert_eq(forged(&second, "at, seal_nos, digest, digest, sig"), 1, "other heads go unseen");
    cr_assert_eq(forged(&second, "at, seal_nos, prev, digest, sig"), 1,
                 "a root that follows another one goes unseen");
}
