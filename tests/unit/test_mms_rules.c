/* SPDX-License-Identifier: Apache-2.0 */
/* test_mms_rules.c - the pure half of channel_mms: status table, pace, memory of ids, base64, plan,
 * addresses, dates. */
#include "body.h"
#include "known.h"
#include "rate.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(mms_rules, .timeout = 20);

Test(mms_rules, overrides_are_read_and_refused)
{
    static const char *const bad[] = {"",
                                      "x",
                                      "6102",
                                      "6102=",
                                      "6102=later",
                                      "=retry",
                                      "-1=retry",
                                      "6102=retry:",
                                      "6102=retry:-1",
                                      "6102=retry:99999999999",
                                      "6102=refuse:5",
                                      "6102=unsure",
                                      "6102=retry:5x"};
    struct mms_status t = {0};
    struct cgw_diag d = {.size = sizeof d};
    cr_assert_eq(mms_status_of(&t, 6102).cls, MMS_REFUSE);
    cr_assert_eq(mms_status_add(&t, "6102=retry:30000", &d), 0);
    cr_assert_eq(mms_status_of(&t, 6102).cls, MMS_RETRY);
    cr_assert_eq(mms_status_of(&t, 6102).after_ms, 30000);
    cr_assert_eq(mms_status_add(&t, "6102=refuse", &d), CGW_EINVAL, "twice");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        d.text[0] = '\0';
        cr_assert_eq(mms_status_add(&t, bad[i], &d), CGW_EINVAL, "%s", bad[i]);
        cr_assert(d.text[0]);
    }
    for (int i = 0; i < 63; i++) {
        char item[32];
        (void)snprintf(item, sizeof item, "%d=accept", 7000 + i);
        cr_assert_eq(mms_status_add(&t, item, &d), 0);
    }
    cr_assert_eq(mms_status_add(&t, "8000=accept", &d), CGW_ELIMIT);
}

Test(mms_rules, an_uncertain_answer_is_never_a_retry)
{
    for (int s = 200; s < 600; s++) {
        enum mms_class c = mms_status_http(s).cls;
        cr_assert(c != MMS_ACCEPT, "HTTP %d says nothing of the message", s);
        if (s < 300 || (s >= 500 && s != 503))
            cr_assert_eq(c, MMS_UNSURE, "HTTP %d", s);
    }
}

Test(mms_rules, a_throttling_event_is_one_pause)
{
    struct mms_pace p;
    mms_pace_init(&p, 16, 100, 1000);
    cr_assert_eq(mms_pace_throttled(&p, 10, 0, 1000), 100);
    cr_assert_eq(p.limit, 8);
    (void)mms_pace_throttled(&p, 20, 0, 1010); /* written before the first was told */
    cr_assert_eq(p.limit, 8);
    cr_assert_eq(p.until_ms, 1100);
    cr_assert_eq(mms_pace_throttled(&p, 1200, 0, 1300), 200, "the next is longer");
    cr_assert_eq(p.limit, 4);
    cr_assert_eq(mms_pace_throttled(&p, 1600, 5000, 1700), 5000, "what the peer asks for");
    for (int i = 0; i < 200; i++)
        mms_pace_good(&p);
    cr_assert_eq(p.limit, 16, "it opens again");
    cr_assert_eq(p.next_pause_ms, 100);
}

Test(mms_rules, the_bucket_gives_its_rate_and_no_more)
{
    struct mms_bucket b;
    int taken = 0;
    mms_bucket_init(&b, 1000, 0);
    for (int64_t t = 0; t < 1000; t++)
        while (mms_bucket_take(&b, t))
            taken++;
    cr_assert(taken >= 990 && taken <= 1060, "%d", taken);
    cr_assert_eq(mms_bucket_has(&b, 100000), 50, "what an idle one saves up");
    mms_bucket_init(&b, 0, 0);
    cr_assert(mms_bucket_take(&b, 0) && mms_bucket_wait_ms(&b, 0) == 0);
}

Test(mms_rules, ids_are_remembered_and_the_oldest_forgotten)
{
    struct mms_known k;
    cr_assert_eq(mms_known_init(&k), 0);
    for (uint64_t i = 0; i < 20000; i++) {
        char id[40];
        (void)snprintf(id, sizeof id, "id-%llu", (unsigned long long)i);
        mms_known_put(&k, id, "+8613800000000", i);
    }
    cr_assert_null(mms_known_id(&k, "id-100"));
    cr_assert_null(mms_known_token(&k, 100));
    cr_assert(mms_known_id(&k, "id-19999") && mms_known_id(&k, "id-4000"));
    cr_assert_str_eq(mms_known_token(&k, 5000)->id, "id-5000");
    mms_known_done(&k);
}

Test(mms_rules, base64_is_that_of_rfc_2045)
{
    static const char *const pairs[][2] = {{"", ""},
                                           {"f", "Zg==\r\n"},
                                           {"fo", "Zm8=\r\n"},
                                           {"foo", "Zm9v\r\n"},
                                           {"foobar", "Zm9vYmFy\r\n"}};
    for (size_t i = 0; i < 5; i++) {
        char out[64] = "";
        size_t n = mms_base64(pairs[i][0], strlen(pairs[i][0]), out);
        cr_assert_eq(n, strlen(pairs[i][1]));
        cr_assert_eq(memcmp(out, pairs[i][1], n), 0);
        cr_assert_eq(mms_base64_len(strlen(pairs[i][0])), n);
    }
    char big[1000], out[2000];
    memset(big, 'x', sizeof big);
    size_t n = mms_base64(big, sizeof big, out);
    cr_assert_eq(n, mms_base64_len(sizeof big));
    for (size_t at = 0, line = 0; at < n; at++, line++) {
        cr_assert(line < 78);
        line = out[at] == '\n' ? (size_t)-1 : line;
    }
}

/* ---- content ---- */

static const struct cgw_host no_host = {.size = sizeof no_host};
static struct mms_options standard(void)
{
    return (struct mms_options){.smil = true,
                                .smil_ms = 5000,
                                .max_bytes = 5000,
                                .max_parts = 4,
                                .subject_max = 10,
                                .recipient_plus = true,
                                .sender_plus = true};
}

static int plan(struct mms_plan *p, const struct mms_options *o, struct cgw_part *parts, uint32_t n)
{
    char why[CGW_DIAG_MAX] = "";
    struct cgw_message m = {
        .size = sizeof m, .to = {CGW_ADDR_E164, 12, "+86138000000"}, .parts = parts, .n_parts = n};
    int rc = mms_plan_make(p, o, &no_host, &m, why, sizeof why);
    cr_assert(!rc || why[0], "a refusal says why");
    return rc;
}

#define PART(role_, mime_, name_, body_)                                                           \
    {                                                                                              \
        .role = role_, .mime = mime_, .name = name_, .len = sizeof body_ - 1, .body = body_        \
    }

Test(mms_rules, a_smil_shows_one_picture_and_one_text_a_page)
{
    static struct mms_plan p;
    struct mms_options o = standard();
    struct cgw_part parts[] = {PART(CGW_ROLE_MEDIA, "image/png", "a.png", "x"),
                               PART(CGW_ROLE_TEXT, "text/plain", NULL, "one"),
                               PART(CGW_ROLE_MEDIA, "audio/amr", "s.amr", "x"),
                               PART(CGW_ROLE_MEDIA, "video/3gpp", "v.3gp", "x")};
    cr_assert_eq(plan(&p, &o, parts, 4), 0);
    cr_assert(strstr(p.made, "<par dur=\"5000ms\"><img src=\"a.png\" region=\"Image\"/>"
                             "<text src=\"part2.txt\" region=\"Text\"/><audio src=\"s.amr\"/></par>"
                             "<par dur=\"5000ms\"><video src=\"v.3gp\" region=\"Image\"/></par>"),
              "%s", p.made);
    struct cgw_part given[] = {PART(CGW_ROLE_TEXT, "application/smil", NULL, "<smil/>"),
                               PART(CGW_ROLE_TEXT, "text/plain", "t.txt", "one")};
    cr_assert_eq(plan(&p, &o, given, 2), 0);
    cr_assert(p.smil && !p.made[0], "a given one is taken as it is");
}

Test(mms_rules, limits_of_the_account_hold)
{
    static struct mms_plan p;
    static char big[6000];
    struct mms_options o = standard();
    struct cgw_part text = PART(CGW_ROLE_TEXT, "text/plain", NULL, "x");
    struct cgw_part large = {.role = CGW_ROLE_MEDIA, .mime = "image/png", .len = 6000, .body = big};
    struct cgw_part subject = PART(CGW_ROLE_SUBJECT, NULL, NULL, "eleven char");
    struct cgw_part five[5] = {text, text, text, text, text};
    struct cgw_part two[2] = {text, subject};
    cr_assert_eq(plan(&p, &o, &large, 1), CGW_ELIMIT);
    cr_assert_eq(plan(&p, &o, five, 5), CGW_ELIMIT);
    cr_assert_eq(plan(&p, &o, two, 2), CGW_ELIMIT);
    cr_assert_eq(plan(&p, &o, &subject, 1), CGW_ELIMIT);
    cr_assert_eq(plan(&p, &o, NULL, 0), CGW_EINVAL);
    struct cgw_part same[2] = {PART(CGW_ROLE_TEXT, "text/plain", "a", "x"),
                               PART(CGW_ROLE_TEXT, "text/plain", "a", "y")};
    cr_assert_eq(plan(&p, &o, same, 2), CGW_EINVAL);
}

Test(mms_rules, the_body_never_ends_early)
{
    static struct mms_plan p;
    struct mms_body b = {0};
    struct mms_media media = {0};
    struct mms_options o = standard();
    struct cgw_part evil = PART(CGW_ROLE_TEXT, "text/plain", NULL, "\r\n--BOUND--\r\n");
    cr_assert_eq(plan(&p, &o, &evil, 1), 0);
    cr_assert_eq(mms_body_make(&b, "mm7-0123456789abcdef", "<s/>", 4, &p, &o, &media, &no_host), 0);
    char all[8192];
    size_t n = 0;
    for (uint32_t i = 0; i < b.n_pieces; i++) {
        size_t len = 0;
        const char *data = mms_body_piece(&b, i, &len);
        memcpy(all + n, data, len);
        n += len;
    }
    all[n] = '\0';
    cr_assert_eq(n, b.total);
    cr_assert(!strncmp(all, "--mm7-0123456789abcdef\r\n", 24));
    cr_assert(strstr(all, "start=\"<smil>\"") && strstr(all, "Content-ID: <part1.txt>"));
    cr_assert_eq(strcmp(all + n - 28, "\r\n--mm7-0123456789abcdef--\r\n"), 0);
    mms_body_done(&b);
    mms_media_done(&media);
}

Test(mms_rules, addresses_as_the_account_writes_them)
{
    struct mms_options o = standard();
    struct mm7_address a;
    struct cgw_address to = {CGW_ADDR_E164, 12, "+86138000000"}, none = {0};
    (void)snprintf(o.recipient_suffix, sizeof o.recipient_suffix, "/TYPE=PLMN");
    cr_assert_eq(mms_recipient(&o, &to, &a), 0);
    cr_assert_str_eq(a.text, "+86138000000/TYPE=PLMN");
    o.recipient_plus = false;
    (void)mms_recipient(&o, &to, &a);
    cr_assert_str_eq(a.text, "86138000000/TYPE=PLMN");
    cr_assert_eq(mms_sender(&o, &none, &a), 0);
    cr_assert_str_eq(a.text, "", "no sender is no element");
    (void)snprintf(o.default_sender, sizeof o.default_sender, "news@example.org");
    (void)mms_sender(&o, &none, &a);
    cr_assert_eq(a.form, MM7_EMAIL);
    static const char *const forms[][2] = {{"+8613800000000/TYPE=PLMN", "+8613800000000"},
                                           {"tel:+86 138", "+86138"},
                                           {"861380@mmsc.example", "861380"},
                                           {"news@example.org", "news@example.org"},
                                           {"", ""}};
    for (size_t i = 0; i < 5; i++) {
        char out[96];
        mms_address_strip(forms[i][0], out, sizeof out);
        cr_assert_str_eq(out, forms[i][1]);
    }
}

Test(mms_rules, times_are_utc)
{
    char text[40];
    mms_date(1774780800999, text, sizeof text);
    cr_assert_str_eq(text, "2026-03-29T10:40:00Z");
    mms_duration(90500, text, sizeof text);
    cr_assert_str_eq(text, "PT90S");
}
