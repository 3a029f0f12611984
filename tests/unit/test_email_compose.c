/* SPDX-License-Identifier: Apache-2.0 */
/* Mails as channel_email writes them: lines, encodings, structure, judgement. The text is read back
 * by python's mail library in tests/contract/run_email.py; here it is the bytes that count. */
#include "compose.h"
#include "mime.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t no_media(uint64_t media)
{
    return media == 7 ? 3000 : CGW_ENOTFOUND;
}

static const struct cgw_host host = {.size = sizeof host, .media_size = no_media};
static const struct compose_conf conf = {.from = "news@shop.example",
                                         .message_id_domain = "shop.example",
                                         .bounce_domain = "b.shop.example",
                                         .unsubscribe_url = "https://u.example/cb/mail/u",
                                         .max_bytes = 1000000};

#define PART(role_, body_)                                                                         \
    {                                                                                              \
        .role = role_, .len = sizeof body_ - 1, .mime = "text/plain", .body = body_                \
    }

static struct cgw_message message(const struct cgw_part *parts, uint32_t n)
{
    return (struct cgw_message){.size = sizeof(struct cgw_message),
                                .contact_class = CGW_CLASS_MARKETING,
                                .to = {CGW_ADDR_EMAIL, 13, "ann@a.example"},
                                .n_parts = n,
                                .parts = parts};
}

static char *composed(const struct cgw_message *m, size_t *ret_len)
{
    static struct blob *none[CGW_PARTS_MAX];
    struct email_key key;
    struct compose_mail mail;
    char id[EMAIL_ID_LEN + 1];
    cr_assert_eq(email_key_init(&key, "a secret of the tests"), 0);
    mime_init();
    email_id_new(&key, id);
    cr_assert_eq(compose(&conf, &key, id, m, none, 1795824000000, &mail), 0);
    char *text = calloc(1, mail.text.n + 1);
    cr_assert_not_null(text);
    memcpy(text, mail.text.v, mail.text.n);
    *ret_len = mail.text.n;
    cr_assert_eq(compose_bytes(&mail), mail.text.n);
    compose_done(&mail);
    return text;
}

/* RFC 5322 2.1.1, 2.3; nothing beyond ASCII, so that no system needs 8BITMIME */
static void lines_are_legal(const char *text, size_t len)
{
    size_t from = 0;
    for (size_t i = 0; i < len; i++) {
        cr_assert((unsigned char)text[i] < 0x80 && text[i], "byte %zu is 0x%02x", i,
                  (unsigned char)text[i]);
        cr_assert(text[i] != '\r' || text[i + 1] == '\n', "bare CR at %zu", i);
        if (text[i] != '\n')
            continue;
        cr_assert(i && text[i - 1] == '\r', "bare LF at %zu", i);
        cr_assert_leq(i - 1 - from, 998);
        from = i + 1;
    }
    cr_assert_eq(from, len, "the last line has no end");
}

Test(email_compose, a_plain_mail_is_seven_bit_and_dated)
{
    const struct cgw_part parts[] = {PART(CGW_ROLE_SUBJECT, "Hello"),
                                     PART(CGW_ROLE_TEXT, "one\ntwo\r\n.\n")};
    struct cgw_message m = message(parts, 2);
    size_t len;
    char *text = composed(&m, &len);
    lines_are_legal(text, len);
    cr_assert_eq(strncmp(text, "Date: Sat, 28 Nov 2026 00:00:00 +0000\r\n", 39), 0, "%.40s", text);
    cr_assert(strstr(text, "\r\nFrom: news@shop.example\r\nTo: ann@a.example\r\n"));
    cr_assert(strstr(text, "Content-Transfer-Encoding: 7bit\r\n\r\none\r\ntwo\r\n.\r\n"), "%s",
              text);
    free(text);
}

Test(email_compose, any_text_becomes_legal_lines)
{
    static char monster[200000];
    static const char *const pieces[] = {"\xe2\x82\xac", "\xf0\x9f\x98\x80", "\r", "\n", "x", "="};
    for (unsigned seed = 1; seed <= 60; seed++) {
        size_t n = 0;
        unsigned s = seed;
        while (n < 3000u * (seed % 20 + 1)) {
            s = s * 1103515245u + 12345u;
            const char *p = pieces[(s >> 16) % (seed % 6 + 1)];
            n += (size_t)snprintf(monster + n, sizeof monster - n, "%s", p);
        }
        const struct cgw_part parts[] = {
            PART(CGW_ROLE_SUBJECT,
                 "\xe4\xbd\xa0\xe5\xa5\xbd \xe2\x82\xac a rather long subject with "
                 "words, so that it must be folded somewhere \xc3\xa4\xc3\xb6"),
            {.role = CGW_ROLE_TEXT, .len = (uint32_t)n, .mime = "text/plain", .body = monster},
            {.role = CGW_ROLE_HTML, .len = (uint32_t)n, .mime = "text/html", .body = monster},
            PART(CGW_ROLE_HEADER, "X-Name: \xc3\xa4 very well")};
        struct cgw_message m = message(parts, 4);
        size_t len;
        char *text = composed(&m, &len);
        lines_are_legal(text, len);
        free(text);
    }
}

Test(email_compose, encodings_fit_the_text)
{
    static char line[1200];
    memset(line, 'x', sizeof line);
    cr_assert_eq(mime_encoding_for("abc\n", 4), MIME_7BIT);
    cr_assert_eq(mime_encoding_for(line, 990), MIME_7BIT);
    cr_assert_eq(mime_encoding_for(line, 1200), MIME_QUOTED);
    static const char mostly_ascii[] = "gr\xc3\xbc\xc3\x9f, words of mostly ASCII letters";
    cr_assert_eq(mime_encoding_for(mostly_ascii, sizeof mostly_ascii - 1), MIME_QUOTED);
    cr_assert_eq(mime_encoding_for("\xe4\xbd\xa0\xe5\xa5\xbd", 6), MIME_BASE64);
    cr_assert_eq(mime_encoding_for("a\0b", 3), MIME_BASE64);
    cr_assert_eq(mime_encoding_for("a\rb", 3), MIME_BASE64);
}

Test(email_compose, marketing_alone_carries_the_one_click_header)
{
    const struct cgw_part parts[] = {PART(CGW_ROLE_TEXT, "see " COMPOSE_PLACEHOLDER " now")};
    struct cgw_message m = message(parts, 1);
    size_t len;
    char *text = composed(&m, &len);
    cr_assert(strstr(text, "List-Unsubscribe: <https://u.example/cb/mail/u?t="));
    cr_assert(strstr(text, "\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"));
    cr_assert(strstr(text, "\r\n\r\nsee https://u.example/cb/mail/u?t="));
    free(text);
    m.contact_class = CGW_CLASS_SERVICE;
    text = composed(&m, &len);
    cr_assert_not(strstr(text, "List-Unsubscribe"));
    free(text);
}

Test(email_compose, pictures_the_html_shows_are_inline_and_others_attached)
{
    const struct cgw_part parts[] = {
        PART(CGW_ROLE_TEXT, "t"),
        PART(CGW_ROLE_HTML, "<img src='cid:logo'><img src=\"cid:logo2x\">"),
        {.role = CGW_ROLE_MEDIA, .len = 3, .mime = "image/png", .name = "logo", .body = "PNG"},
        {.role = CGW_ROLE_MEDIA, .len = 3, .mime = "image/png", .name = "logo2", .body = "PNG"},
        {.role = CGW_ROLE_MEDIA, .len = 3, .mime = "x\r\ny", .name = NULL, .body = "PNG"}};
    struct cgw_message m = message(parts, 5);
    size_t len;
    char *text = composed(&m, &len);
    lines_are_legal(text, len);
    cr_assert(strstr(text, "Content-ID: <logo>\r\nContent-Disposition: inline"));
    cr_assert_not(strstr(text, "Content-ID: <logo2>"));
    cr_assert(strstr(text, "Content-Disposition: attachment;\r\n filename=\"logo2\""));
    cr_assert(strstr(text, "Content-Type: application/octet-stream\r\n"));
    const char *mixed = strstr(text, "multipart/mixed"),
               *alt = strstr(text, "multipart/alternative"),
               *related = strstr(text, "multipart/related");
    cr_assert(mixed && alt > mixed && related > alt);
    free(text);
}

Test(email_compose, what_must_not_leave_is_judged_before)
{
    static const struct {
        struct cgw_part part;
        const char *to;
        int32_t code;
    } cases[] = {
        {PART(CGW_ROLE_TEXT, "t"), "ann@a.example", CGW_OK},
        {PART(CGW_ROLE_TEXT, "t"), "b\xc3\xb6rd@a.example", CGW_OK},
        {PART(CGW_ROLE_TEXT, "t"), "ann@a.example>\r\nDATA", CGW_EINVAL},
        {PART(CGW_ROLE_TEXT, "t"), "ann bob@a.example", CGW_EINVAL},
        {PART(CGW_ROLE_TEXT, "t"), "@a.example", CGW_EINVAL},
        {PART(CGW_ROLE_TEXT, "t"), "ann@", CGW_EINVAL},
        {PART(CGW_ROLE_TEXT, "t"), "a,b@a.example", CGW_EINVAL},
        {PART(CGW_ROLE_TEXT, ""), "ann@a.example", CGW_EINVAL},
        {PART(CGW_ROLE_FLOW, "{}"), "ann@a.example", CGW_EINVAL},
        {{.role = CGW_ROLE_MEDIA, .media = 8}, "ann@a.example", CGW_EINVAL},
        {{.role = CGW_ROLE_TEXT, .len = 5}, "ann@a.example", CGW_EINVAL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cgw_message m = message(&cases[i].part, 1);
        struct cgw_check c;
        m.to = (struct cgw_address){CGW_ADDR_EMAIL, (uint32_t)strlen(cases[i].to), cases[i].to};
        compose_check(&conf, &host, &m, &c);
        cr_assert_eq(c.code, cases[i].code, "case %zu: %d %s", i, c.code, c.text);
        cr_assert_eq(c.code == CGW_OK, c.text[0] == 0);
    }
}

Test(email_compose, header_parts_cannot_take_over)
{
    static const char *const bad[] = {
        "Bcc: x",          "bcc: x",       "BCC : x",       "Subject: x",     "From: x",
        "Content-Type: x", ": x",          "no colon",      "X y: z",         "X: a\nBcc: b",
        "X: a\rb",         "Resent-To: x", "content-id: x", "Return-Path: x", "\xc3\xa4: x"};
    static const char *const good[] = {"X-Campaign: spring", "Precedence: bulk", "Feedback-ID: a:b",
                                       "X-Empty:"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0] + sizeof good / sizeof good[0]; i++) {
        bool is_bad = i < sizeof bad / sizeof bad[0];
        const char *line = is_bad ? bad[i] : good[i - sizeof bad / sizeof bad[0]];
        const struct cgw_part parts[] = {
            PART(CGW_ROLE_TEXT, "t"),
            {.role = CGW_ROLE_HEADER, .len = (uint32_t)strlen(line), .body = line}};
        struct cgw_message m = message(parts, 2);
        struct cgw_check c;
        compose_check(&conf, &host, &m, &c);
        cr_assert_eq(c.code, is_bad ? CGW_EINVAL : CGW_OK, "%s", line);
    }
}

/* Not a verdict, a figure: what composing costs beside sending. */
Test(email_compose, composing_is_cheap)
{
    static char html[3000];
    memset(html, 'h', sizeof html);
    const struct cgw_part parts[] = {
        PART(CGW_ROLE_SUBJECT, "Gr\xc3\xbc\xc3\x9f"),
        PART(CGW_ROLE_TEXT, "Hallo \xc3\xa4"),
        {.role = CGW_ROLE_HTML, .len = sizeof html, .mime = "text/html", .body = html}};
    struct cgw_message m = message(parts, 3);
    clock_t began = clock();
    unsigned n = 0;
    for (; clock() - began < CLOCKS_PER_SEC / 5; n++) {
        size_t len;
        free(composed(&m, &len));
    }
    double per_s = n / ((double)(clock() - began) / CLOCKS_PER_SEC);
    cr_log_info("composed %.0f mails of 3 KB in a CPU second", per_s);
    cr_assert_gt(per_s, 500, "%.0f", per_s);
}
