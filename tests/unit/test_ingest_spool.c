/* SPDX-License-Identifier: Apache-2.0 */
/* test_ingest_spool.c - scratch files: order, deduplication, bounds, a full disk; rows and bare
 * ids. */
#include "ingest/ingest_spool.h"

#include "ingest/ingest_ids.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64];

static void make_dir(void)
{
    (void)snprintf(dir, sizeof dir, "/tmp/cgw-spool.XXXXXX");
    cr_assert(mkdtemp(dir));
}
static void remove_dir(void)
{
    cr_expect_eq(rmdir(dir), 0, "something was left in the spool directory");
}
TestSuite(spool, .init = make_dir, .fini = remove_dir, .timeout = 60);

struct told {
    uint64_t n, last_line;
    char last[CGW_DIAG_MAX];
};
static void on_duplicate(void *ctx, const struct ingest_reject *r)
{
    struct told *t = ctx;
    t->n++;
    t->last_line = r->line;
    cr_expect_str_eq(r->code, "duplicate");
    (void)snprintf(t->last, sizeof t->last, "%s", r->text);
}

static int64_t id_of(uint64_t i)
{
    return (int64_t)((i * 0x9e3779b97f4a7c15u) >> 1);
}

static void put(struct spool *s, int64_t id, int16_t place, uint64_t line, const char *params)
{
    char address[32];
    struct diag why = {0};
    struct spool_row r = {.customer_id = id,
                          .place = place,
                          .line = line,
                          .address = address,
                          .email = line % 5 ? "" : "somebody@example.com",
                          .lang = line % 2 ? "zh-CN" : "",
                          .params = params,
                          .params_len = strlen(params),
                          .n_dims = (uint32_t)(line % 9)};
    (void)snprintf(address, sizeof address, "+86138%08llu", (unsigned long long)line);
    for (uint32_t i = 0; i < r.n_dims; i++)
        r.dims[i] = (int16_t)(line + i);
    cr_assert_eq(spool_put(s, &r, &why), 0, "%s", why.text);
}

Test(spool, gives_every_part_back_sorted_and_whole)
{
    enum { ROWS = 50000 };
    struct diag why = {0};
    struct spool *s = spool_new(dir, UINT64_C(1) << 30, &why);
    cr_assert(s, "%s", why.text);
    for (uint64_t i = 1; i <= ROWS; i++) {
        char params[64];
        (void)snprintf(params, sizeof params, "v%llu\x1fx", (unsigned long long)i);
        put(s, id_of(i), (int16_t)((int)(i % 3) - 1), i, params);
    }
    static unsigned char seen[ROWS + 1];
    for (uint32_t part = 0; part < CUSTOMER_PARTS; part++) {
        struct spool_row r, before = {0};
        uint64_t n = 0;
        cr_assert_eq(spool_load(s, part, on_duplicate, NULL, &why), 0);
        while (spool_next(s, &r)) {
            char want[64];
            cr_assert(r.line >= 1 && r.line <= ROWS && !seen[r.line]);
            seen[r.line] = 1;
            cr_expect_eq(customer_part(r.customer_id), part);
            cr_expect(!n || r.place > before.place ||
                      (r.place == before.place && r.customer_id > before.customer_id));
            (void)snprintf(want, sizeof want, "v%llu\x1fx", (unsigned long long)r.line);
            cr_expect(r.params_len == strlen(want) && !strcmp(r.params, want));
            (void)snprintf(want, sizeof want, "+86138%08llu", (unsigned long long)r.line);
            cr_expect_str_eq(r.address, want);
            cr_expect_str_eq(r.email, r.line % 5 ? "" : "somebody@example.com");
            cr_expect_str_eq(r.lang, r.line % 2 ? "zh-CN" : "");
            cr_expect_eq(r.place, (int16_t)((int)(r.line % 3) - 1));
            cr_expect_eq(r.customer_id, id_of(r.line));
            cr_assert_eq(r.n_dims, r.line % 9);
            for (uint32_t i = 0; i < r.n_dims; i++)
                cr_expect_eq(r.dims[i], (int16_t)(r.line + i));
            before = r;
            n++;
        }
        cr_expect_eq(n, spool_loaded(s));
    }
    struct spool_counts c;
    spool_counts(s, &c);
    cr_expect(c.put == ROWS && c.kept == ROWS && c.duplicates == 0 && c.bytes > ROWS * 40);
    spool_free(s);
}

Test(spool, keeps_the_first_line_of_a_person_whatever_its_place)
{
    struct diag why = {0};
    struct told told = {0};
    struct spool *s = spool_new(dir, 1 << 20, &why);
    struct spool_row r;
    put(s, 64, 5, 20, "late");
    put(s, 64, 1, 30, "later");
    put(s, 64, 9, 10, "first");
    put(s, 128, 2, 15, "other");
    cr_assert_eq(spool_load(s, 0, on_duplicate, &told, &why), 0);
    cr_expect_eq(told.n, 2);
    cr_expect_eq(told.last_line, 30);
    cr_expect(strstr(told.last, "line 10"));
    cr_assert(spool_next(s, &r));
    cr_expect_str_eq(r.params, "other");
    cr_assert(spool_next(s, &r));
    cr_expect_str_eq(r.params, "first");
    cr_expect_eq(r.place, 9);
    cr_expect_not(spool_next(s, &r));
    cr_expect_eq(spool_load(s, 1, NULL, NULL, &why), 0);
    cr_expect_not(spool_next(s, &r));
    cr_expect_eq(spool_load(s, 64, NULL, NULL, &why), CGW_EINVAL);
    spool_free(s);
}

Test(spool, tells_the_first_thousand_duplicates_and_counts_all)
{
    struct diag why = {0};
    struct told told = {0};
    struct spool_counts c;
    struct spool *s = spool_new(dir, 1 << 20, &why);
    for (uint64_t i = 0; i < 3000; i++)
        put(s, 7, 0, i + 2, "");
    cr_assert_eq(spool_load(s, 7, on_duplicate, &told, &why), 0);
    spool_counts(s, &c);
    cr_expect(told.n == SPOOL_DUPLICATES_TOLD && c.duplicates == 2999 && c.kept == 1);
    spool_free(s);
}

Test(spool, stops_at_its_bound_with_a_reason)
{
    struct diag why = {0};
    struct spool *s = spool_new(dir, 1000, &why);
    struct spool_row r = {.customer_id = 1,
                          .address = "+8613800138000",
                          .email = "",
                          .lang = "",
                          .params = "",
                          .n_dims = 0};
    int rc = 0, n = 0;
    for (; rc == 0 && n < 1000; n++)
        rc = spool_put(s, &r, &why);
    cr_expect(rc == CGW_ELIMIT && n > 5 && n < 30, "%d after %d", rc, n);
    cr_expect(strstr(why.text, "1000 bytes"));
    r.address = "";
    cr_expect_eq(spool_put(s, &r, &why), CGW_EINVAL);
    r.address = "+8613800138000";
    r.n_dims = SPOOL_DIMS_MAX + 1;
    cr_expect_eq(spool_put(s, &r, &why), CGW_EINVAL);
    spool_free(s);
    cr_expect_null(spool_new("/nonexistent", 1000, &why));
    cr_expect_null(spool_new("/etc/passwd", 1000, &why));
}

/* A file that cannot grow stands for a disk that is full: both end in write(). */
Test(spool, says_that_the_disk_is_full)
{
    struct diag why = {0};
    struct spool *s = spool_new(dir, UINT64_C(1) << 30, &why);
    struct rlimit before, small = {100000, 100000};
    char params[1000];
    memset(params, 'p', sizeof params);
    struct spool_row r = {.customer_id = 1,
                          .address = "+8613800138000",
                          .email = "",
                          .lang = "",
                          .params = params,
                          .params_len = sizeof params};
    int rc = 0;
    (void)signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    small.rlim_max = before.rlim_max;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (int i = 0; rc == 0 && i < 1000; i++)
        rc = spool_put(s, &r, &why);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    cr_expect_eq(rc, CGW_ELIMIT);
    cr_expect(strstr(why.text, "full"), "%s", why.text);
    spool_free(s);
}

/* ---- ids alone */
Test(spool, gives_ids_back_in_order_and_once)
{
    enum { IDS = 300000, DIFFERENT = 200000 };
    struct diag why = {0};
    struct ids *s = ids_new(dir, UINT64_C(1) << 30, &why);
    cr_assert(s, "%s", why.text);
    for (uint64_t i = 0; i < IDS; i++)
        cr_assert_eq(ids_put(s, id_of(i % DIFFERENT), &why), 0, "%s", why.text);
    cr_expect_eq(ids_count(s), IDS);
    uint64_t n = 0, sum = 0, want = 0;
    for (uint64_t i = 0; i < DIFFERENT; i++)
        want += (uint64_t)id_of(i);
    for (uint32_t part = 0; part < CUSTOMER_PARTS; part++) {
        int64_t id, before = -1;
        cr_assert_eq(ids_load(s, part, &why), 0, "%s", why.text);
        for (; ids_next(s, &id); before = id) {
            cr_assert(id > before && customer_part(id) == part);
            sum += (uint64_t)id;
            n++;
        }
    }
    cr_expect(n == DIFFERENT && sum == want);
    cr_expect_eq(ids_load(s, CUSTOMER_PARTS, &why), CGW_EINVAL);
    ids_free(s);
}

Test(spool, sorts_ids_of_every_size)
{
    static const int64_t some[] = {INT64_MAX - 63, 0, 64, 64, 1 << 20, 0, INT64_C(1) << 40};
    static const int64_t want[] = {0, 64, 1 << 20, INT64_C(1) << 40, INT64_MAX - 63};
    struct diag why = {0};
    struct ids *s = ids_new(dir, 1 << 20, &why);
    int64_t id;
    for (size_t i = 0; i < ARRAY_LEN(some); i++)
        cr_assert_eq(ids_put(s, some[i], &why), 0);
    cr_expect_eq(ids_put(s, -1, &why), CGW_EINVAL);
    cr_assert_eq(ids_load(s, 0, &why), 0);
    for (size_t i = 0; i < ARRAY_LEN(want); i++)
        cr_expect(ids_next(s, &id) && id == want[i]);
    cr_expect_not(ids_next(s, &id));
    cr_assert_eq(ids_load(s, 1, &why), 0);
    cr_expect_not(ids_next(s, &id));
    ids_free(s);
    ids_free(NULL);
}

Test(spool, stops_ids_at_their_bound_and_on_a_full_disk)
{
    struct diag why = {0};
    struct rlimit before, small = {100000, 100000};
    struct ids *s = ids_new(dir, 80, &why);
    for (int64_t i = 0; i < 10; i++)
        cr_assert_eq(ids_put(s, i, &why), 0);
    cr_expect_eq(ids_put(s, 10, &why), CGW_ELIMIT);
    cr_expect(strstr(why.text, "80 bytes"), "%s", why.text);
    ids_free(s);
    cr_expect_null(ids_new("/nonexistent", 1000, &why));
    (void)signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    small.rlim_max = before.rlim_max;
    s = ids_new(dir, 1 << 30, &why);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    int rc = 0;
    for (int64_t i = 0; rc == 0 && i < 1000000; i++)
        rc = ids_put(s, i * 64, &why);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    cr_expect(rc == CGW_ELIMIT && strstr(why.text, "full"), "%s", why.text);
    ids_free(s);
}
