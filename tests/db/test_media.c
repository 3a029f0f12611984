/* SPDX-License-Identifier: Apache-2.0 */
/* test_media.c - media on a real database: the same bytes are one row, read once and kept within
 * bounds; what people send is kept with their response; what is old goes unless something holds
 * it. Skipped when CAMPGW_TEST_DB is unset. */
#include "outcome_fixture.h"

#include "media/media.h"
#include "store/store_media.h"
#include "store/store_plan.h"

#include "base/sha256.h"

#include <stdlib.h>
#include <unistd.h>

TestSuite(media, .init = setup, .fini = teardown, .timeout = 60);

struct bytes {
    const char *data;
    size_t len;
};

static int64_t read_at(void *ctx, int64_t offset, void *out, size_t n)
{
    const struct bytes *b = ctx;
    memcpy(out, b->data + offset, n);
    return (int64_t)n;
}

/* len bytes that begin with seed. */
static int64_t put(uint32_t seed, size_t len, char public_id[40], bool *ret_new)
{
    char *data = calloc(1, len);
    struct bytes b = {data, len};
    unsigned char sha[32];
    struct sha256 st;
    int64_t id = 0;
    memcpy(data, &seed, sizeof seed);
    sha256_init(&st);
    sha256_update(&st, data, len);
    sha256_final(&st, sha);
    struct store_media_new m = {
        .sha256 = sha, .mime = "image/png", .name = "", .by = "test", .bytes = (int64_t)len};
    OK(db_begin(db, &d));
    OK(store_media_put(db, &m, read_at, &b, &id, public_id, ret_new, &d));
    OK(db_commit(db, &d));
    free(data);
    return id;
}

Test(media, the_same_bytes_are_one_row)
{
    char one[40], two[40];
    bool is_new;
    int64_t id = put(1, 3u << 20, one, &is_new);
    cr_expect(is_new);
    cr_expect_eq(put(1, 3u << 20, two, &is_new), id);
    cr_expect(!is_new);
    cr_expect_str_eq(one, two);
    cr_expect_eq(number("SELECT count(*) FROM media_chunk WHERE media_id = %" PRId64, id), 3);
}

Test(media, each_is_read_once_and_kept_within_bounds)
{
    char id[40];
    bool is_new;
    uint64_t h[5];
    char piece[100];
    for (uint32_t i = 0; i < 5; i++)
        h[i] = (uint64_t)put(10 + i, 1000000 + i, id, &is_new);
    struct media_cache *c = media_cache_new(getenv("CAMPGW_TEST_DB"), 2500000);
    for (int i = 0; i < 1000; i++) {
        uint32_t seed = 0;
        cr_assert_eq(media_cache_size(c, h[0]), 1000000);
        cr_assert_eq(media_cache_read(c, h[0], 0, &seed, sizeof seed), 4);
        cr_assert_eq(seed, 10);
    }
    cr_expect_eq(media_cache_loads(c), 1);
    cr_expect_eq(media_cache_read(c, h[0], 999990, piece, sizeof piece), 10);
    cr_expect_eq(media_cache_read(c, h[0], 1000000, piece, sizeof piece), 0);
    cr_expect_eq(media_cache_read(c, h[0], 1000001, piece, sizeof piece), CGW_EINVAL);
    cr_expect_eq(media_cache_read(c, h[0], -1, piece, sizeof piece), CGW_EINVAL);
    for (int i = 0; i < 5; i++) {
        cr_expect_eq(media_cache_size(c, h[i]), 1000000 + i);
        cr_expect_leq(media_cache_bytes(c), 2500000);
    }
    cr_expect_eq(media_cache_loads(c), 5, "the first was still there");
    cr_expect_eq(media_cache_size(c, h[0]), 1000000);
    cr_expect_eq(media_cache_loads(c), 6, "it had to give way, and was read again");
    cr_expect_eq(media_cache_size(c, 1u << 30), CGW_ENOTFOUND);
    cr_expect_eq(media_cache_size(c, 0), CGW_EINVAL);
    media_cache_free(c);
}

/* The words of the conninfo as a service of libpq: the database is there from now on. */
static void write_service(const char *path)
{
    FILE *f = fopen(path, "w");
    char words[1024], *save = NULL;
    cr_assert_not_null(f);
    (void)snprintf(words, sizeof words, "%s", getenv("CAMPGW_TEST_DB"));
    (void)fputs("[media]\n", f);
    for (char *w = strtok_r(words, " ", &save); w; w = strtok_r(NULL, " ", &save))
        (void)fprintf(f, "%s\n", w);
    cr_assert_eq(fclose(f), 0);
}

Test(media, a_database_that_is_away_is_left_alone_for_a_while)
{
    char id[40], path[] = "/tmp/campgw-service.XXXXXX";
    bool is_new;
    int64_t h = put(20, 1000, id, &is_new), found = CGW_EDB;
    int fd = mkstemp(path); /* a service file that knows no service yet */
    cr_assert(fd >= 0 && close(fd) == 0 && setenv("PGSERVICEFILE", path, 1) == 0);
    struct media_cache *c = media_cache_new("service=media", 2500);
    int64_t away = clock_mono_ms();
    cr_expect_eq(media_cache_size(c, (uint64_t)h), CGW_EDB);
    write_service(path);
    for (int i = 0; i < 2000 && found == CGW_EDB; i++) {
        found = media_cache_size(c, (uint64_t)h);
        (void)nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
    cr_expect_eq(found, 1000, "and found again afterwards");
    cr_expect_geq(clock_mono_ms() - away, MEDIA_RETRY_MS);
    media_cache_free(c);
    (void)unlink(path);
}

static struct cgw_inbound mms(const char *person, const struct cgw_part *parts, uint32_t n)
{
    return (struct cgw_inbound){.size = sizeof(struct cgw_inbound),
                                .kind = CGW_IN_TEXT,
                                .from = {CGW_ADDR_E164, (uint32_t)strlen(person), person},
                                .n_parts = n,
                                .parts = parts,
                                .arrived_utc_ms = clock_utc_ms(),
                                .ack = 1};
}

static void send(struct outcome_writer *o, const char *instance, const struct cgw_inbound *in)
{
    unsigned want = atomic_load(&n_stored) + 1;
    cr_assert_eq(outcome_inbound(o, instance, CGW_CHANNEL_MMS, in, 1), 1);
    wait_count(&n_stored, want);
}

Test(media, what_people_send_is_kept_with_their_response)
{
    static const char png[] = "\x89PNG\r\n\x1a\n and more", odd[] = "\x7f"
                                                                    "ELF\x02\x01";
    struct world w;
    make_world(&w, 40, 1);
    struct outcome_writer *o = start();
    const char *person = "+4915299990001";
    struct cgw_part parts[] = {
        {CGW_ROLE_TEXT, 7, "application/smil", NULL, "<smil/>", 0},
        {CGW_ROLE_SUBJECT, 4, "text/plain", NULL, "STOP", 0},
        {CGW_ROLE_MEDIA, sizeof png - 1, "image/png", "a.png", png, 0},
        {CGW_ROLE_MEDIA, sizeof odd - 1, "image/jpeg", "b\r\n.jpg", odd, 0},
    };
    int64_t id = customer_key(identity_key, person, strlen(person));
    struct cgw_inbound in = mms(person, parts, ARRAY_LEN(parts));
    send(o, w.instance, &in);
#define OF_PERSON "response r WHERE r.customer_id = %" PRId64
    cr_expect_eq(
        number("SELECT count(*) FROM response_text t JOIN response r ON t.part = r.part AND "
               "t.text_id = r.text_ref WHERE r.customer_id = %" PRId64 " AND t.body = 'STOP'",
               id),
        1, "a layout is nobody's words, the subject is");
    cr_expect_eq(number("SELECT count(*) FROM response_media x JOIN media m USING (media_id) JOIN "
                        "response r USING (part, response_id) WHERE r.customer_id = %" PRId64
                        " AND m.created_by = 'received' AND ((x.media_no = 1 AND m.mime = "
                        "'image/png' AND x.name = 'a.png') OR (x.media_no = 2 AND m.mime = "
                        "'application/octet-stream' AND x.name = ''))",
                        id),
                 2);
    send(o, w.instance, &in);
    cr_expect_eq(number("SELECT count(*) FROM " OF_PERSON, id), 1, "the peer repeated it");
    parts[2].body = "\x89PNG\r\n\x1a\n and else";
    send(o, w.instance, &in);
    cr_expect_eq(number("SELECT count(*) FROM " OF_PERSON, id), 2,
                 "another picture, the same words");
    outcome_stop(o);
}

Test(media, more_than_one_message_may_hold_is_left_out)
{
    static char data[20][16];
    struct cgw_part parts[20];
    struct world w;
    make_world(&w, 41, 1);
    struct outcome_writer *o = start();
    const char *person = "+4915299990002";
    for (int i = 0; i < 20; i++) {
        (void)snprintf(data[i], sizeof data[i], "GIF89a %d", i);
        parts[i] = (struct cgw_part){
            CGW_ROLE_MEDIA, (uint32_t)strlen(data[i]), "image/gif", NULL, data[i], 0};
    }
    struct cgw_inbound in = mms(person, parts, 20);
    send(o, w.instance, &in);
    cr_expect_eq(number("SELECT count(*) FROM response_media JOIN response r USING (part, "
                        "response_id) WHERE r.customer_id = %" PRId64,
                        customer_key(identity_key, person, strlen(person))),
                 16);
    outcome_stop(o);
}

Test(media, goes_after_its_time_unless_something_holds_it)
{
    char old[40], young[40], answered[40];
    bool is_new;
    (void)put(30, 10, old, &is_new);
    (void)put(31, 10, young, &is_new);
    (void)put(32, 10, answered, &is_new);
    run_sql("UPDATE media SET created_at = now() - interval '14 months' WHERE public_id IN ('%s', "
            "'%s') RETURNING 1",
            old, answered);
    /* An id that no response has: the tests beside this one receive some, and theirs stay as they
     * are. */
    run_sql(
        "INSERT INTO response_media (part, response_id, media_no, media_id, name) SELECT 1, -1, "
        "1, media_id, '' FROM media WHERE public_id = '%s' RETURNING 1",
        answered);
    OK(store_housekeeping(db, clock_utc_ms(), &d));
    cr_expect_eq(number("SELECT count(*) FROM media WHERE public_id = '%s'", old), 0);
    cr_expect_eq(number("SELECT count(*) FROM media_chunk c WHERE NOT EXISTS (SELECT FROM media m "
                        "WHERE m.media_id = c.media_id)"),
                 0);
    cr_expect_eq(number("SELECT count(*) FROM media WHERE public_id = '%s'", young), 1);
    cr_expect_eq(number("SELECT count(*) FROM media WHERE public_id = '%s'", answered), 1);
    run_sql("UPDATE response_media SET at = now() - interval '14 months' WHERE response_id = -1 "
            "RETURNING 1");
    OK(store_housekeeping(db, clock_utc_ms(), &d));
    cr_expect_eq(number("SELECT count(*) FROM media WHERE public_id = '%s'", answered), 0);
    cr_expect_eq(number("SELECT count(*) FROM response_media WHERE response_id = -1"), 0);
}
