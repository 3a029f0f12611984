/* SPDX-License-Identifier: Apache-2.0 */
/* What comes back, of several systems' making, as channel_email reads it; and hostile mail. The
 * samples are our own. */
#include "report.h"

#include "cgw/channel.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct email_key key;
static char id[EMAIL_ID_LEN + 1], verp[100], leave[100];

static void setup(void)
{
    char token[EMAIL_TOKEN_LEN + 1];
    cr_assert_eq(email_key_init(&key, "a secret of the tests"), 0);
    email_id_new(&key, id);
    email_token_make(&key, EMAIL_FOR_BOUNCE, id, token);
    (void)snprintf(verp, sizeof verp, "b+%s@b.example", token);
    email_token_make(&key, EMAIL_FOR_LEAVE, id, token);
    (void)snprintf(leave, sizeof leave, "u+%s@b.example", token);
}

TestSuite(email_report, .init = setup);

static struct mime_mail mail;

static struct report read_text(const char *text, size_t len)
{
    struct report r = {.kind = REPORT_UNREADABLE};
    if (mime_read(text, len, &mail) == 0)
        report_read(&key, &mail, &r);
    return r;
}

static struct report read_mail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static struct report read_mail(const char *fmt, ...)
{
    static char text[20000];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return read_text(text, strlen(text));
}

#define REPORT_HEAD                                                                                \
    "From: mailer-daemon@x.example\nTo: <%s>\nMIME-Version: 1.0\n"                                 \
    "Content-Type: multipart/report; report-type=\"delivery-status\";\n\tboundary=\"=_b\"\n\n"     \
    "--=_b\nContent-Type: text/plain\n\nIt failed.\n\n--=_b\nContent-Type: "                       \
    "message/delivery-status\n\n"
#define REPORT_TAIL                                                                                \
    "\n--=_b\nContent-Type: text/rfc822-headers\n\nSubject: x\nMessage-ID: <a@b>\n\n--=_b--\n"

Test(email_report, fields_may_be_folded_and_in_any_order)
{
    struct report r = read_mail(
        REPORT_HEAD "Reporting-MTA: dns; x\n\nstatus:\n\t5.1.1 (bad destination\n mailbox)\n"
                    "DIAGNOSTIC-CODE: x-unix;\n  user\n\tunknown\nAction: failed\n"
                    "Final-Recipient: rfc822;ann@a.example\n" REPORT_TAIL,
        verp);
    cr_assert_eq(r.kind, REPORT_BOUNCE);
    cr_assert_str_eq(r.id, id);
    cr_assert(r.result == CGW_RES_FAILED && r.sub == CGW_SUB_HARD_BOUNCE);
    cr_assert_str_eq(r.raw, "x-unix; user unknown");
    cr_assert_str_eq(r.person, "ann@a.example");
    mime_done(&mail);
}

Test(email_report, a_failure_among_several_recipients_counts)
{
    struct report r =
        read_mail(REPORT_HEAD "Reporting-MTA: dns; x\n\n"
                              "Final-Recipient: rfc822; a@a\nAction: relayed\nStatus: "
                              "2.0.0\n\nFinal-Recipient: rfc822; b@a\nAction: "
                              "failed (gave up)\nStatus: 4.4.7\n" REPORT_TAIL,
                  verp);
    cr_assert(r.kind == REPORT_BOUNCE && r.result == CGW_RES_FAILED &&
              r.sub == CGW_SUB_SOFT_BOUNCE);
    cr_assert_str_eq(r.person, "b@a");
    mime_done(&mail);
}

Test(email_report, a_delay_is_no_failure)
{
    struct report r =
        read_mail(REPORT_HEAD "Reporting-MTA: dns; x\n\nFinal-Recipient: rfc822; "
                              "a@a\nAction: delayed\nStatus: 4.4.1\nWill-Retry-Until: "
                              "tomorrow\n" REPORT_TAIL,
                  verp);
    cr_assert(r.kind == REPORT_BOUNCE && r.result == CGW_RES_ENROUTE && r.sub == 0);
    mime_done(&mail);
}

Test(email_report, without_action_or_status_it_is_unreadable_not_guessed)
{
    struct report r = read_mail(REPORT_HEAD "Reporting-MTA: dns; x\n" REPORT_TAIL, verp);
    cr_assert_eq(r.kind, REPORT_UNREADABLE);
    mime_done(&mail);
    r = read_mail(REPORT_HEAD "a: b\n\nAction: exploded\nStatus: 5.1.1\n" REPORT_TAIL, verp);
    cr_assert_eq(r.kind, REPORT_UNREADABLE);
    mime_done(&mail);
}

Test(email_report, a_feedback_report_without_our_address_is_found_by_the_returned_header)
{
    struct report r = read_mail(
        "From: fbl@a.example\nTo: abuse@shop.example\nMIME-Version: 1.0\nContent-Type: "
        "multipart/report; report-type=feedback-report; boundary=f\n\n--f\n\nx\n--f\nContent-Type: "
        "message/feedback-report\n\nFeedback-Type: abuse\nOriginal-Rcpt-To: <ann@a.example>\n\n"
        "--f\nContent-Type: message/rfc822\n\nSubject: y\nMessage-ID: <%s@shop.example>\n\nbody\n"
        "--f--\n",
        id);
    cr_assert_eq(r.kind, REPORT_COMPLAINT);
    cr_assert_str_eq(r.id, id);
    cr_assert_str_eq(r.person, "ann@a.example");
    mime_done(&mail);
}

Test(email_report, machines_are_told_from_people)
{
    static const struct {
        const char *header;
        enum report_kind kind;
    } cases[] = {
        {"Auto-Submitted: auto-replied", REPORT_AUTOMATIC},
        {"Auto-Submitted: auto-generated; x=y", REPORT_AUTOMATIC},
        {"Auto-Submitted: no", REPORT_REPLY},
        {"Auto-Submitted: No; x", REPORT_REPLY},
        {"Precedence: bulk", REPORT_AUTOMATIC},
        {"Precedence: auto_reply", REPORT_AUTOMATIC},
        {"Precedence: normal", REPORT_REPLY},
        {"X-Autorespond: x", REPORT_AUTOMATIC},
        {"List-Id: <x.y>", REPORT_AUTOMATIC},
        {"Return-Path: <>", REPORT_AUTOMATIC},
        {"Return-Path: <ann@a.example>", REPORT_REPLY},
        {"X-Other: y", REPORT_REPLY},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct report r = read_mail("%s\nFrom: Ann <ann@a.example>\nTo: %s\n\nYes please.\n",
                                    cases[i].header, verp);
        cr_assert_eq(r.kind, cases[i].kind, "%s: %d", cases[i].header, (int)r.kind);
        mime_done(&mail);
    }
}

Test(email_report, the_unsubscribe_address_wins_over_the_form_of_the_mail)
{
    struct report r = read_mail("Auto-Submitted: auto-generated\nFrom: a@a\nTo: %s\n\n\n", leave);
    cr_assert_eq(r.kind, REPORT_LEAVE);
    cr_assert_str_eq(r.id, id);
    mime_done(&mail);
}

Test(email_report, own_words_are_those_not_quoted_and_end_at_whole_letters)
{
    char out[64];
    struct mime_part p = {.body = "Yes\n> no\n>> never\nok \xc3\xa4\n\n"};
    p.len = strlen(p.body);
    cr_assert_eq(report_own_words(&p, out, sizeof out), strlen("Yes\nok \xc3\xa4"));
    cr_assert_str_eq(out, "Yes\nok \xc3\xa4");
    for (size_t size = 1; size < 16; size++) {
        p.body = "\xe4\xbd\xa0\xe5\xa5\xbd\xf0\x9f\x98\x80";
        p.len = strlen(p.body);
        size_t n = report_own_words(&p, out, size);
        cr_assert(n < size && (n == 0 || n == 3 || n == 6 || n == 10), "%zu of %zu", n, size);
    }
}

/* ---- hostile mail: bounded in time, depth and parts ---- */

static char *repeated(const char *unit, size_t times, const char *head, size_t *ret_len)
{
    size_t u = strlen(unit), h = strlen(head);
    char *text = malloc(h + u * times + 1);
    cr_assert_not_null(text);
    memcpy(text, head, h);
    for (size_t i = 0; i < times; i++)
        memcpy(text + h + i * u, unit, u);
    *ret_len = h + u * times;
    text[*ret_len] = 0;
    return text;
}

Test(email_report, nesting_is_refused_before_it_is_parsed, .timeout = 20)
{
    size_t len;
    char *text = repeated("Content-Type: multipart/mixed; boundary=b\n\n--b\n", 5000, "", &len);
    cr_assert_eq(mime_read(text, len, &mail), CGW_ELIMIT);
    free(text);
    text = repeated("CONTENT-TYPE:message/rfc822\n\n", 257, "", &len);
    cr_assert_eq(mime_read(text, len, &mail), CGW_ELIMIT);
    free(text);
}

Test(email_report, what_would_exhaust_the_parser_never_reaches_it, .timeout = 20)
{
    static const struct {
        const char *unit, *head;
        size_t times;
    } cases[] = {
        {"a:", "From: ", 100000},
        {"a:", "x: y\nresent-SENDER : ", 100000},
        {"a:\n ", "To: ", 100000},
        {"a:", "Content-Type: message/rfc822\n\nReply-To: ", 100000},
        {"a <a@b>, ", "Cc: ", 100000},
        {"X: y\n", "", 100000},
        {"--b\n\nx\n", "Content-Type: multipart/mixed; boundary=b\n\n", 100000},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t len;
        char *text = repeated(cases[i].unit, cases[i].times, cases[i].head, &len);
        cr_assert_eq(mime_read(text, len, &mail), CGW_ELIMIT, "case %zu", i);
        free(text);
    }
}

Test(email_report, ordinary_mail_passes_the_guard)
{
    size_t len;
    struct report r =
        read_mail("From: Ann <ann@a.example>\nTo: team: a@a, b@b;, c@[IPv6:2001:db8::1:2:3]\n"
                  "In-Reply-To: <%s@shop.example>\n\nTime: 10:30:00 -- see you\n",
                  id);
    cr_assert_eq(r.kind, REPORT_REPLY);
    mime_done(&mail);
    char *text = repeated("Note: a line like a header\n", 5000, "From: a@a\n\n", &len);
    cr_assert_eq(mime_read(text, len, &mail), 0);
    mime_done(&mail);
    free(text);
}

Test(email_report, parts_beyond_the_limit_are_left_out, .timeout = 20)
{
    size_t len;
    char *text =
        repeated("--b\n\nx\n", 4000, "Content-Type: multipart/mixed; boundary=b\n\n", &len);
    cr_assert_eq(mime_read(text, len, &mail), 0);
    cr_assert(mail.n_parts == MIME_PARTS_MAX && mail.cut);
    mime_done(&mail);
    free(text);
}

Test(email_report, deep_multiparts_are_not_entered, .timeout = 20)
{
    char text[8000] = "";
    size_t n = 0;
    for (int i = 0; i < 40; i++)
        n += (size_t)snprintf(text + n, sizeof text - n,
                              "Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i);
    (void)snprintf(text + n, sizeof text - n, "Content-Type: text/plain\n\ndeep\n");
    cr_assert_eq(mime_read(text, strlen(text), &mail), 0);
    cr_assert(mail.cut);
    for (unsigned i = 0; i < mail.n_parts; i++)
        cr_assert_not(strstr(mail.parts[i].body, "deep"));
    mime_done(&mail);
}

Test(email_report, a_large_part_is_read_to_its_limit, .timeout = 20)
{
    size_t len;
    char *text = repeated("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n", 60000,
                          "Subject: x\n\n", &len);
    cr_assert_eq(mime_read(text, len, &mail), 0);
    cr_assert(mail.n_parts == 1 && mail.parts[0].len <= MIME_PART_BYTES);
    mime_done(&mail);
    free(text);
}

Test(email_report, rubbish_is_read_without_harm, .timeout = 60)
{
    static const char sample[] =
        "To: b+aaaaaaaaaaaaaaaaaaaaaaaaaa-aaaaaaaaaaaaaaaa@b\nContent-Type: "
        "multipart/report; report-type=delivery-status; boundary=q\n\n--q\n"
        "Content-Type: message/delivery-status\n\na:b\n\nAction: failed\n"
        "Status: 5.1.1\n\n--q--\n";
    char text[sizeof sample];
    unsigned s = 1;
    for (int round = 0; round < 20000; round++) {
        memcpy(text, sample, sizeof text);
        for (int k = 0; k < 4; k++) {
            s = s * 1103515245u + 12345u;
            text[(s >> 8) % (sizeof text - 1)] = (char)(s >> 24);
        }
        struct report r = read_text(text, sizeof text - 1);
        cr_assert(r.kind != REPORT_BOUNCE && r.kind != REPORT_LEAVE, "a forged address was taken");
        mime_done(&mail);
    }
}

#define WHO_REPORT                                                                                 \
    REPORT_HEAD "%sFinal-Recipient: rfc822; %s\nAction: failed\nStatus: 5.1.1\n\n--=_b\n"          \
                "Content-Type: text/rfc822-headers\n\nMessage-ID: <a@b>\nTo: %s\n\n--=_b--\n"

Test(email_report, a_bounce_names_the_person_only_where_our_own_address_agrees)
{
    static const struct {
        const char *original, *final, *to, *person; /* person NULL: nobody is named */
    } cases[] = {
        {"", "ann@x.example", "x", "ann@x.example"},
        {"", "ANN@X.example", "x", "ann@x.example"},
        {"Original-Recipient: rfc822;ann@x.example\n", "box@y.example", "x", "ann@x.example"},
        {"", "box@y.example", "\"Ann <3\" <ann@x.example>", "ann@x.example"},
        {"", "box@y.example", "bob@x.example", NULL},
        {"", "", "", NULL},
    };
    char who[EMAIL_WHO_LEN + 1], token[EMAIL_TOKEN_LEN + 1], to[200];
    email_token_make(&key, EMAIL_FOR_BOUNCE, id, token);
    email_who_make(&key, id, 4711, "ann@x.example", who);
    (void)snprintf(to, sizeof to, "b+%s-%s@b.example", token, who);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct report r = read_mail(WHO_REPORT, to, cases[i].original, cases[i].final, cases[i].to);
        cr_assert_eq(r.kind, REPORT_BOUNCE, "case %zu", i);
        cr_assert_str_eq(r.id, id);
        cr_assert_eq(r.sealed, cases[i].person != NULL, "case %zu: %s", i, r.person);
        if (cases[i].person)
            cr_assert_str_eq(r.person, cases[i].person);
        cr_assert_eq(r.reference, cases[i].person ? 4711u : 0u);
        mime_done(&mail);
    }
    to[50] = to[50] == 'q' ? 'r' : 'q'; /* our message still, but the rest is made up */
    struct report r = read_mail(WHO_REPORT, to, "", "ann@x.example", "");
    cr_assert(r.kind == REPORT_BOUNCE && !r.sealed);
    mime_done(&mail);
}
