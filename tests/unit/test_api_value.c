/* SPDX-License-Identifier: Apache-2.0 */
/* test_api_value.c - times, durations, cursors, UTF-8, request targets and entity values of the
 * API; no network, no database. */
#include "api/api_int.h"
#include "base/word.h"

#include <criterion/criterion.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

static int64_t parsed(const char *text)
{
    int64_t ms;
    return api_time_parse(text, &ms) == 0 ? ms : INT64_MIN;
}

Test(api_value, reads_rfc3339_times)
{
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"2000-02-29T23:59:59Z", 951868799000},
        {"2026-03-01T09:00:00+08:00", 1772326800000},
        {"2026-03-01T01:00:00.5Z", 1772326800500},
        {"2026-03-01T01:00:00.123999Z", 1772326800123},
        {"2026-02-28t20:30:00-04:30", 1772326800000},
        {"9999-12-31T23:59:59Z", 253402300799000},
    };
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        cr_expect_eq(parsed(good[i].text), good[i].ms, "%s gave %lld", good[i].text,
                     (long long)parsed(good[i].text));
}

Test(api_value, refuses_what_is_no_rfc3339_time)
{
    static const char *const bad[] = {"",
                                      "2026",
                                      "2026-03-01",
                                      "2026-03-01T09:00:00",
                                      "2026-13-01T09:00:00Z",
                                      "2026-02-29T09:00:00Z",
                                      "2100-02-29T00:00:00Z",
                                      "2026-03-01T24:00:00Z",
                                      "2026-03-01T09:60:00Z",
                                      "2026-03-01T09:00:61Z",
                                      "2026-03-01T09:00:00.Z",
                                      "2026-03-01T09:00:00+0800",
                                      "2026-03-01T09:00:00+08:60",
                                      "2026-03-01T09:00:00Zx",
                                      "1969-12-31T23:59:59Z",
                                      "2026-3-01T09:00:00Z",
                                      "tomorrow"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        cr_expect_eq(parsed(bad[i]), INT64_MIN, "%s was taken", bad[i]);
}

Test(api_value, writes_times_that_it_can_read)
{
    static const int64_t times[] = {0, 951868799999, 1772326800123, 4107542399001, 253402300799999};
    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        char text[25];
        api_time_format(times[i], text);
        cr_expect_eq(parsed(text), times[i], "%s", text);
    }
    char text[25];
    api_time_format(1772326800123, text);
    cr_expect_str_eq(text, "2026-03-01T01:00:00.123Z");
}

Test(api_value, reads_durations_of_fixed_length_only)
{
    static const struct {
        const char *text;
        int64_t ms;
    } table[] = {{"P7D", 604800000}, {"P1W", 604800000},
                 {"PT90M", 5400000}, {"P1DT2H3M4S", 93784000},
                 {"PT0S", 0},        {"P", -1},
                 {"PT", -1},         {"P1M", -1},
                 {"P1Y", -1},        {"7D", -1},
                 {"P1DT", -1},       {"PT1S1M", -1},
                 {"P-1D", -1},       {"PT1.5H", -1},
                 {"P1D ", -1},       {"P1234567890D", -1},
                 {"P1D2D", -1},      {"", -1}};
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        int64_t ms = -1;
        int rc = api_duration_parse(table[i].text, &ms);
        cr_expect_eq(rc == 0 ? ms : -1, table[i].ms, "%s", table[i].text);
    }
}

Test(api_value, cursors_come_back_as_they_went)
{
    static const char *const texts[] = {"1", "route ä", "2026-01-01T00:00:00Z|con_1", "~/?&=%"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        char wire[API_CURSOR_MAX * 2], back[API_CURSOR_MAX];
        cursor_encode(texts[i], wire, sizeof wire);
        cr_expect_eq(
            strspn(wire, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
            strlen(wire));
        cr_assert_geq(cursor_decode(wire, back, sizeof back), 0);
        cr_expect_str_eq(back, texts[i]);
    }
}

Test(api_value, cursors_made_by_hand_are_refused)
{
    char back[API_CURSOR_MAX], wire[2000], nul[64];
    static const char *const bad[] = {
        "",    "A", "!!!!", "AAAA", "MQ" /* "1" */, "MjU" /* "25" */, "Mf8" /* "1\xff" */,
        "MTE=" /* padded */};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        cr_expect_eq(cursor_decode(bad[i], back, sizeof back), -1, "%s was taken", bad[i]);
    memset(wire, 'M', sizeof wire - 1);
    wire[sizeof wire - 1] = 0;
    cr_expect_eq(cursor_decode(wire, back, sizeof back), -1);
    (void)sodium_bin2base64(nul, sizeof nul, (const unsigned char *)"1a\0b", 4,
                            sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    cr_expect_eq(cursor_decode(nul, back, sizeof back), -1);
}

Test(api_value, knows_utf8)
{
    static const char *const good[] = {
        "", "abc", "ä", "退订", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf", "\xed\x9f\xbf"};
    static const char *const bad[] = {
        "\x80",         "\xc0\xaf",         "\xc1\xbf",         "\xe0\x80\x80",
        "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xe4\xb8",
        "a\xff"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        cr_expect(text_is_utf8(good[i], strlen(good[i])), "good %zu", i);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        cr_expect_not(text_is_utf8(bad[i], strlen(bad[i])), "bad %zu", i);
}

Test(api_value, splits_and_decodes_a_target)
{
    char uri[] = "/a%20b/c?x=1%262&y&z=a+b&&w=";
    struct api_pair q[8];
    unsigned n;
    const char *path;
    cr_assert_null(uri_parse(uri, &path, q, 8, &n));
    cr_expect_str_eq(path, "/a b/c");
    cr_assert_eq(n, 4);
    cr_expect_str_eq(q[0].name, "x");
    cr_expect_str_eq(q[0].value, "1&2");
    cr_expect_str_eq(q[1].name, "y");
    cr_expect_str_eq(q[1].value, "");
    cr_expect_str_eq(q[2].value, "a b");
    cr_expect_str_eq(q[3].value, "");
}

Test(api_value, refuses_targets_that_lie)
{
    static const char *const bad[] = {"",     "a",       "/%",         "/%4",
                                      "/%4x", "/%00",    "/%0a",       "/\x7f",
                                      "/%ff", "/?%ff=1", "/?a=%c0%af", "/?1&2&3&4&5"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char uri[64];
        struct api_pair q[4];
        unsigned n;
        const char *path;
        (void)snprintf(uri, sizeof uri, "%s", bad[i]);
        cr_expect_not_null(uri_parse(uri, &path, q, 4, &n), "%s was taken", bad[i]);
    }
}

Test(api_value, digests_of_rfc9530)
{
    static const char empty[] = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:";
    unsigned char have[32], want[32];
    crypto_hash_sha256(want, (const unsigned char *)"", 0);
    cr_expect_eq(digest_parse(empty, have), 1);
    cr_expect_arr_eq(have, want, 32);
    cr_expect_eq(
        digest_parse("sha-512=:AAAA:, sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:",
                     have),
        1);
    cr_expect_eq(digest_parse("sha-512=:AAAA:", have), 0);
    cr_expect_eq(digest_parse("", have), 0);
    cr_expect_eq(digest_parse("sha-256=47DE", have), -1);
    cr_expect_eq(digest_parse("sha-256=:47DE:", have), -1);
    cr_expect_eq(digest_parse("sha-256=:", have), -1);
}

static const char *nearest(const char *word)
{
    static const char *const words[] = {"name", "scopes", "expires_at", "to"};
    const char *best = NULL;
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        best = word_nearer(word, words[i], best);
    return best;
}

Test(api_value, suggests_the_nearest_word)
{
    cr_expect_str_eq(nearest("nmae"), "name");
    cr_expect_str_eq(nearest("NAMES"), "name");
    cr_expect_str_eq(nearest("scope"), "scopes");
    cr_expect_str_eq(nearest("expiresAt"), "expires_at");
    cr_expect_str_eq(nearest("too"), "to");
    cr_expect_null(nearest("budget"));
    cr_expect_null(nearest("x"), "no letter of it is right");
    cr_expect_null(nearest(""));
    char longest[300];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    cr_expect_null(nearest(longest));
}
