/* SPDX-License-Identifier: Apache-2.0 */
/* What answers and bounces mean, and how fast a domain may be served. */
#include "classify.h"
#include "domains.h"

#include "cgw/channel.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

Test(email_rules, enhanced_codes_are_found_and_addresses_are_not)
{
    static const struct {
        const char *text;
        int32_t code; /* 0: none */
    } cases[] = {
        {"5.1.1", 50101},
        {"5.1.10 null MX", 50110},
        {"smtp; 550 5.7.26 blocked", 50726},
        {"4.4.7 (expired)", 40407},
        {"2.0.0", 20000},
        {"5.7.133", 50799},
        {"from 5.1.2.3 said no", 0},
        {"15.1.1", 0},
        {"3.1.1", 0},
        {"5.1", 0},
        {"5.1.", 0},
        {"5.1234.1", 0},
        {"", 0},
        {"550 no", 0},
        {"192.0.2.5.1.1", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct email_status s = {0};
        bool found = email_status_find(cases[i].text, strlen(cases[i].text), &s);
        cr_assert_eq(found ? email_status_code(&s) : 0, cases[i].code, "%s", cases[i].text);
    }
}

Test(email_rules, only_dead_addresses_are_hard_and_policy_never_is)
{
    static const struct {
        struct email_status s;
        uint32_t sub;
    } cases[] = {
        {{5, 1, 1}, CGW_SUB_HARD_BOUNCE},
        {{5, 1, 2}, CGW_SUB_HARD_BOUNCE},
        {{5, 1, 10}, CGW_SUB_HARD_BOUNCE},
        {{5, 4, 4}, CGW_SUB_HARD_BOUNCE},
        {{5, 1, 7}, 0},
        {{5, 1, 8}, 0},
        {{5, 2, 2}, CGW_SUB_SOFT_BOUNCE},
        {{5, 4, 1}, CGW_SUB_SOFT_BOUNCE},
        {{5, 0, 0}, CGW_SUB_SOFT_BOUNCE},
        {{4, 4, 7}, CGW_SUB_SOFT_BOUNCE},
        {{5, 7, 1}, 0},
        {{5, 7, 26}, 0},
        {{4, 7, 0}, 0},
        {{5, 3, 4}, 0},
        {{5, 6, 1}, 0},
        {{2, 1, 1}, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_assert_eq(email_status_sub(&cases[i].s), cases[i].sub, "%d.%d.%d", cases[i].s.klass,
                     cases[i].s.subject, cases[i].s.detail);
}

Test(email_rules, refusals_by_stage_and_code)
{
    static const struct {
        enum email_stage stage;
        const char *line;
        uint32_t result, flags, sub;
        enum email_scope slow;
    } cases[] = {
        {EMAIL_RCPT, "550 5.1.1 no", CGW_RES_REFUSED, 0, CGW_SUB_HARD_BOUNCE, EMAIL_SCOPE_NONE},
        {EMAIL_RCPT, "550 no", CGW_RES_REFUSED, 0, CGW_SUB_SOFT_BOUNCE, EMAIL_SCOPE_NONE},
        {EMAIL_RCPT, "550 see 5.1.1 of the manual", CGW_RES_REFUSED, 0, CGW_SUB_SOFT_BOUNCE,
         EMAIL_SCOPE_NONE},
        {EMAIL_RCPT, "554 5.7.1 no", CGW_RES_REFUSED, 0, 0, EMAIL_SCOPE_DOMAIN},
        {EMAIL_RCPT, "450 4.2.1 no", CGW_RES_REFUSED_RETRY, 0, CGW_SUB_SOFT_BOUNCE,
         EMAIL_SCOPE_NONE},
        {EMAIL_RCPT, "421 no", CGW_RES_REFUSED_RETRY, CGW_RESF_THROTTLED, 0, EMAIL_SCOPE_DOMAIN},
        {EMAIL_RCPT, "451 4.7.0 no", CGW_RES_REFUSED_RETRY, CGW_RESF_THROTTLED, 0,
         EMAIL_SCOPE_DOMAIN},
        {EMAIL_BODY, "451 4.3.0 no", CGW_RES_REFUSED_RETRY, 0, 0, EMAIL_SCOPE_NONE},
        {EMAIL_BODY, "452 4.3.1 no", CGW_RES_REFUSED_RETRY, CGW_RESF_THROTTLED, 0,
         EMAIL_SCOPE_ROUTE},
        {EMAIL_BODY, "550 5.1.1 no", CGW_RES_REFUSED, 0, 0, EMAIL_SCOPE_NONE},
        {EMAIL_MAIL, "451 no", CGW_RES_REFUSED_RETRY, CGW_RESF_THROTTLED, 0, EMAIL_SCOPE_ROUTE},
        {EMAIL_MAIL, "550 5.1.8 no", CGW_RES_REFUSED, 0, 0, EMAIL_SCOPE_NONE},
        {EMAIL_CONNECT, "554 no", CGW_RES_NOT_SENT, 0, 0, EMAIL_SCOPE_ROUTE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int code = (cases[i].line[0] - '0') * 100 + (cases[i].line[1] - '0') * 10 +
                   (cases[i].line[2] - '0');
        struct email_verdict v = email_refusal(cases[i].stage, code, cases[i].line);
        cr_assert(v.result == cases[i].result && v.flags == cases[i].flags &&
                      v.sub == cases[i].sub && v.slow == cases[i].slow,
                  "%d %s: %u %u %u %d", (int)cases[i].stage, cases[i].line, v.result, v.flags,
                  v.sub, (int)v.slow);
    }
}

/* ---- domains ---- */

static struct email_domains *domains(const char *word)
{
    char why[256];
    struct email_domains *d = email_domains_new();
    cr_assert_not_null(d);
    cr_assert_eq(email_domains_limit(d, word, why, sizeof why), 0);
    return d;
}

Test(email_rules, limits_are_read_or_explained)
{
    static const char *const good[] = {"gmail.com=20/s:5", "a.example=0.5/s", "b.example=:2",
                                       "*=100/s:10"};
    static const char *const bad[] = {"",        "gmail.com", "gmail.com=", "=5/s",
                                      "x=5",     "x=5/m",     "x=:0",       "x=:-1",
                                      "x=:1001", "x=0/s",     "x=nan/s",    "x=inf/s",
                                      "x=-1/s",  "x=5/s:",    "x=5/s:2x",   "x=200000/s"};
    struct email_domains *d = email_domains_new();
    char why[256];
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        cr_assert_eq(email_domains_limit(d, good[i], why, sizeof why), 0, "%s", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        why[0] = 0;
        cr_assert_eq(email_domains_limit(d, bad[i], why, sizeof why), CGW_EINVAL, "%s", bad[i]);
        cr_assert(strstr(why, "DOMAIN=RATE/s:MOST"), "%s", why);
    }
    email_domains_free(d);
}

Test(email_rules, a_rate_is_kept_over_time)
{
    struct email_domains *d = domains("slow.example=20/s");
    unsigned sent = 0;
    int64_t now = 1000, again;
    struct email_domain *e = email_domains_get(d, "slow.example", now);
    while (now < 11000) {
        again = email_domain_take(e, now);
        if (again == 0) {
            sent++;
            email_domain_done(e, true, 0, now);
        } else {
            cr_assert_gt(again, now);
            now = again;
        }
    }
    cr_assert(sent >= 195 && sent <= 203, "%u in 10 s at 20/s", sent);
    email_domains_free(d);
}

Test(email_rules, no_more_than_most_at_once)
{
    struct email_domains *d = domains("few.example=:2");
    struct email_domain *e = email_domains_get(d, "few.example", 0);
    cr_assert_eq(email_domain_take(e, 0), 0);
    cr_assert_eq(email_domain_take(e, 0), 0);
    cr_assert_eq(email_domain_take(e, 0), INT64_MAX);
    email_domain_done(e, true, 0, 1);
    cr_assert_eq(email_domain_take(e, 1), 0);
    email_domains_free(d);
}

Test(email_rules, back_off_doubles_counts_a_wave_once_and_ends_with_success)
{
    struct email_domains *d = domains("busy.example=:5");
    struct email_domain *e = email_domains_get(d, "busy.example", 0);
    int64_t now = 0, waits[4];
    for (int i = 0; i < 4; i++) {
        email_domain_spare(e, now);
        email_domain_spare(e, now); /* the second answer of the same wave */
        waits[i] = email_domain_take(e, now) - now;
        now += waits[i];
    }
    cr_assert(waits[0] == EMAIL_BACKOFF_FIRST_MS && waits[1] == 2 * waits[0] &&
              waits[2] == 4 * waits[0] && waits[3] == 8 * waits[0]);
    for (int i = 0; i < 20; i++) {
        email_domain_spare(e, now);
        now = email_domain_take(e, now);
    }
    email_domain_spare(e, now);
    cr_assert_eq(email_domain_take(e, now) - now, EMAIL_BACKOFF_MAX_MS);
    now += EMAIL_BACKOFF_MAX_MS;
    cr_assert_eq(email_domain_take(e, now), 0);
    email_domain_done(e, true, 0, now);
    email_domain_spare(e, now);
    cr_assert_eq(email_domain_take(e, now) - now, EMAIL_BACKOFF_FIRST_MS);
    email_domains_free(d);
}

Test(email_rules, those_who_are_put_off_come_back_one_after_the_other)
{
    struct email_domains *d = domains("slow.example=10/s");
    struct email_domain *e = email_domains_get(d, "slow.example", 0);
    int64_t last = 0;
    for (int i = 0; i < 100; i++) {
        int64_t in_ms = email_domain_book(e, 0);
        cr_assert_geq(in_ms, last + 100);
        last = in_ms;
    }
    for (int i = 0; i < 100000; i++)
        last = email_domain_book(e, 0);
    cr_assert_eq(last, EMAIL_BOOKED_MAX_MS);
    email_domains_free(d);
}

/* A rate that is never reached says nothing: what messages took of late does. */
Test(email_rules, who_is_put_off_comes_back_at_the_pace_of_late)
{
    struct email_domains *d = domains("*=1000/s:4");
    struct email_domain *e = email_domains_get(d, "slow.example", 0);
    int64_t now = 0;
    for (int i = 0; i < 100; i++) {
        cr_assert_eq(email_domain_take(e, now), 0);
        now += 2000;
        email_domain_done(e, true, 2000, now); /* so 4 at once are 2 a second */
    }
    for (int i = 0; i < 4; i++)
        cr_assert_eq(email_domain_take(e, now), 0);
    e->waiting = 1;
    int64_t next = email_domain_outlook(e, now) - now;
    cr_assert(next >= 950 && next <= 1000, "the second of two waits for %d ms", (int)next);
    int64_t first = email_domain_book(e, now), second = email_domain_book(e, now);
    cr_assert(second - first >= 490 && second - first <= 501, "%d", (int)(second - first));
    for (int i = 0; i < 100; i++)
        e->took_ms = email_took(e->took_ms, 0);
    cr_assert_eq(e->took_ms, 1);
    cr_assert_leq(email_domain_outlook(e, now) - now, 1, "as the rate says");
    email_domains_free(d);
}

Test(email_rules, the_table_is_bounded_and_never_forgets_what_is_in_use)
{
    struct email_domains *d = domains("*=:3");
    char name[40];
    struct email_domain *busy = email_domains_get(d, "busy.example", 0);
    cr_assert_eq(email_domain_take(busy, 0), 0);
    for (int i = 0; i < 20000; i++) {
        (void)snprintf(name, sizeof name, "d%d.example", i);
        struct email_domain *e = email_domains_get(d, name, i + 1);
        cr_assert_not_null(e);
        cr_assert_str_eq(e->name, name);
    }
    cr_assert_eq(email_domains_get(d, "busy.example", 30000), busy);
    cr_assert_eq(busy->active, 1);
    for (unsigned i = 0; i < EMAIL_DOMAINS_MAX + 5; i++) {
        (void)snprintf(name, sizeof name, "u%u.example", i);
        struct email_domain *e = email_domains_get(d, name, 40000);
        if (e)
            e->waiting++;
        cr_assert_eq(e == NULL, i >= EMAIL_DOMAINS_MAX - 1, "%u", i);
    }
    email_domains_free(d);
}
