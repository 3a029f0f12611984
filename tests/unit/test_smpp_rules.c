/* SPDX-License-Identifier: Apache-2.0 */
/* test_smpp_rules.c - the tables of a route: addresses, validity, retries. */
#include "address.h"
#include "retry.h"
#include "test_smpp_build.h"
#include "validity.h"

#include <errno.h>
#include <stdio.h>

TestSuite(smpp_address, .timeout = 20);
TestSuite(smpp_validity, .timeout = 20);
TestSuite(smpp_retry, .timeout = 20);

static struct cgw_address address(uint32_t kind, const char *text)
{
    return (struct cgw_address){kind, (uint32_t)strlen(text), text};
}

Checked(smpp_address, gives_senders_their_usual_ton_and_npi)
{
    static const struct {
        uint32_t kind;
        const char *text;
        int rc;
        uint8_t ton, npi;
        const char *out;
    } cases[] = {
        {CGW_ADDR_E164, "+4915112345678", 0, 1, 1, "4915112345678"},
        {CGW_ADDR_SHORTCODE, "2255", 0, 3, 0, "2255"},
        {CGW_ADDR_ALPHA, "ACME Shop 1", 0, 5, 0, "ACME Shop 1"},
        {0, "", 0, 0, 0, ""},
        {CGW_ADDR_ALPHA, "TwelveLetter", CGW_EINVAL, 0, 0, ""},
        {CGW_ADDR_ALPHA, "Caf\xC3\xA9", CGW_EINVAL, 0, 0, ""},
        {CGW_ADDR_ALPHA, "", CGW_EINVAL, 0, 0, ""},
        {CGW_ADDR_ALPHA, "[x]", CGW_EINVAL, 0, 0, ""}, /* two septets each */
        {CGW_ADDR_SHORTCODE, "22a5", CGW_EINVAL, 0, 0, ""},
        {CGW_ADDR_E164, "+1234567", CGW_EINVAL, 0, 0, ""},
        {CGW_ADDR_E164, "+1234567890123456", CGW_EINVAL, 0, 0, ""},
        {CGW_ADDR_EMAIL, "a@b.c", CGW_EINVAL, 0, 0, ""},
    };
    const struct smpp_addr_rules rules = SMPP_ADDR_RULES_AUTO;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cgw_address from = address(cases[i].kind, cases[i].text);
        struct smpp_addr out = {9, 9, "untouched"};
        cr_expect_eq(smpp_addr_source(&from, &rules, &out, NULL), cases[i].rc, "case %zu", i);
        if (cases[i].rc) {
            cr_expect_str_eq(out.text, "untouched");
            continue;
        }
        cr_expect_str_eq(out.text, cases[i].out);
        cr_expect_eq(out.ton, cases[i].ton, "case %zu", i);
        cr_expect_eq(out.npi, cases[i].npi, "case %zu", i);
    }
}

Checked(smpp_address, a_routes_overrides_win)
{
    struct smpp_addr_rules rules = {5, 1, 6, 9, 0, 0, true};
    struct smpp_addr out;
    struct cgw_address a = address(CGW_ADDR_SHORTCODE, "2255");
    cr_assert_eq(smpp_addr_source(&a, &rules, &out, NULL), 0);
    cr_expect(out.ton == 6 && out.npi == 9);
    a = address(CGW_ADDR_E164, "+4915112345678");
    cr_assert_eq(smpp_addr_source(&a, &rules, &out, NULL), 0);
    cr_expect(out.ton == 5 && out.npi == 1);
    cr_assert_eq(smpp_addr_dest(&a, &rules, &out, NULL), 0);
    cr_expect(out.ton == 0 && out.npi == 0);
    cr_expect_str_eq(out.text, "+4915112345678");
    rules.dest_plus = false;
    rules.dest_ton = rules.dest_npi = SMPP_ADDR_AUTO;
    cr_assert_eq(smpp_addr_dest(&a, &rules, &out, NULL), 0);
    cr_expect(out.ton == 1 && out.npi == 1);
    cr_expect_str_eq(out.text, "4915112345678");
    a = address(CGW_ADDR_ALPHA, "ACME");
    struct cgw_diag diag = {.size = sizeof diag};
    cr_expect_eq(smpp_addr_dest(&a, &rules, &out, &diag), CGW_EINVAL);
    cr_expect_str_eq(diag.where, "to");
}

Checked(smpp_address, reads_rules_and_guesses_senders)
{
    int ton = 7, npi = 7;
    cr_expect_eq(smpp_addr_rule_parse("auto", &ton, &npi, NULL), 0);
    cr_expect(ton == SMPP_ADDR_AUTO && npi == SMPP_ADDR_AUTO);
    cr_expect_eq(smpp_addr_rule_parse("5/0", &ton, &npi, NULL), 0);
    cr_expect(ton == 5 && npi == 0);
    static const char *const bad[] = {"",     "5",    "5/",   "/0",   "7/0",
                                      "1/19", "1/1x", "-1/0", "1/ 1", "auto "};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect_eq(smpp_addr_rule_parse(bad[i], &ton, &npi, NULL), CGW_EINVAL, "\"%s\"", bad[i]);
    cr_expect_eq(smpp_addr_guess("+4915112345678"), CGW_ADDR_E164);
    cr_expect_eq(smpp_addr_guess("4915112345678"), CGW_ADDR_E164);
    cr_expect_eq(smpp_addr_guess("2255"), CGW_ADDR_SHORTCODE);
    cr_expect_eq(smpp_addr_guess("ACME"), CGW_ADDR_ALPHA);
    cr_expect_eq(smpp_addr_guess(""), 0);
    cr_expect_eq(smpp_addr_guess("12"), 0);
    cr_expect_eq(smpp_addr_guess("TwelveLetter"), 0);
}

Checked(smpp_address, reads_received_addresses)
{
    static const struct {
        uint8_t ton;
        const char *text;
        uint32_t kind;
        const char *out;
        bool plain;
    } cases[] = {
        {1, "4915112345678", CGW_ADDR_E164, "+4915112345678", false},
        {0, "+4915112345678", CGW_ADDR_E164, "+4915112345678", false},
        {0, "004915112345678", CGW_ADDR_E164, "+4915112345678", false},
        {0, "+49 151 123-456.78", CGW_ADDR_E164, "+4915112345678", false},
        {2, "015112345678", CGW_ADDR_E164, "015112345678", true},
        {0, "4915112345678", CGW_ADDR_E164, "4915112345678", true},
        {3, "2255", CGW_ADDR_SHORTCODE, "2255", false},
        {0, "40404", CGW_ADDR_SHORTCODE, "40404", false},
        {1, "40404", CGW_ADDR_SHORTCODE, "40404", false},
        {5, "ACME", CGW_ADDR_ALPHA, "ACME", false},
        {5, "AC\x01ME", CGW_ADDR_ALPHA, "AC?ME", false},
        {0, "Bobo", CGW_ADDR_ALPHA, "Bobo", false},
        {1, "12345678901234567890", 0, "+12345678901234567890", false},
        {0, "", 0, "", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct smpp_addr a = {.ton = cases[i].ton};
        char out[SMPP_LONG_ADDR_MAX + 2];
        bool plain = !cases[i].plain;
        memcpy(a.text, cases[i].text, strlen(cases[i].text) + 1);
        cr_expect_eq(smpp_addr_read(&a, out, sizeof out, &plain), cases[i].kind, "case %zu", i);
        cr_expect_str_eq(out, cases[i].out, "case %zu: %s", i, out);
        cr_expect_eq(plain, cases[i].plain, "case %zu", i);
    }
}

/* ---- validity ---- */

#define NOW 1795305600000ll /* 2026-11-22T00:00:00Z */
#define HOUR 3600000ll

Checked(smpp_validity, writes_both_forms_and_rounds_down)
{
    char out[SMPP_TIME_LEN + 1];
    struct smpp_validity_rules r = {.form = SMPP_VALIDITY_RELATIVE};
    cr_assert_eq(smpp_validity_write(&r, NOW, NOW + 26 * HOUR + 61999, out), 0);
    cr_expect_str_eq(out, "000001020101000R");
    r.form = SMPP_VALIDITY_ABSOLUTE;
    cr_assert_eq(smpp_validity_write(&r, NOW, NOW + 26 * HOUR + 61999, out), 0);
    cr_expect_str_eq(out, "261123020101000+");
    cr_assert_eq(smpp_validity_write(&r, NOW + 999, NOW + HOUR, out), 0);
    cr_expect_str_eq(out, "261122010000000+", "not a second later than allowed");
    r.form = SMPP_VALIDITY_NONE;
    cr_assert_eq(smpp_validity_write(&r, NOW, NOW + HOUR, out), 0);
    cr_expect_str_eq(out, "");
}

Checked(smpp_validity, is_clamped_and_never_goes_beyond_the_window)
{
    char out[SMPP_TIME_LEN + 1];
    struct smpp_validity_rules r = {SMPP_VALIDITY_RELATIVE, 5 * 60000, 48 * HOUR, 5000};
    cr_assert_eq(smpp_validity_write(&r, NOW, NOW + 1000 * HOUR, out), 0);
    cr_expect_str_eq(out, "000002000000000R");
    cr_assert_eq(smpp_validity_write(&r, NOW, 0, out), 0);
    cr_expect_str_eq(out, "000002000000000R", "no end of the window: the longest");
    cr_assert_eq(smpp_validity_write(&r, NOW, NOW + 5 * 60000 + 5000, out), 0);
    cr_expect_str_eq(out, "000000000500000R");
    cr_expect_eq(smpp_validity_write(&r, NOW, NOW + 5 * 60000 + 4999, out), -ETIME,
                 "shorter than the SMSC takes");
    cr_expect_eq(smpp_validity_write(&r, NOW, NOW, out), -ETIME);
    cr_expect_eq(smpp_validity_write(&r, NOW, NOW - HOUR, out), -ETIME);
    r.form = SMPP_VALIDITY_NONE;
    cr_expect_eq(smpp_validity_write(&r, NOW, NOW - 1, out), -ETIME);
    r = (struct smpp_validity_rules){.form = SMPP_VALIDITY_RELATIVE, .max_ms = 100 * 24 * HOUR};
    cr_assert_eq(smpp_validity_write(&r, NOW, 0, out), 0);
    cr_expect_str_eq(out, "000030000000000R");
}

Checked(smpp_validity, knows_its_words)
{
    enum smpp_validity v = SMPP_VALIDITY_NONE;
    cr_expect_eq(smpp_validity_parse("relative", &v), 0);
    cr_expect_eq(v, SMPP_VALIDITY_RELATIVE);
    cr_expect_eq(smpp_validity_parse("later", &v), -EINVAL);
}

/* ---- retry ---- */

static struct smpp_retry table;

Checked(smpp_retry, classifies_every_status_of_the_specifications)
{
    static const uint32_t transient[] = {0x08,  0x64,  0xFE, 0x102, 0x45, 0xFF,
                                         0x400, 0x4FF, 0x22, 0x30,  0x500};
    static const uint32_t permanent[] = {0x01, 0x02, 0x03, 0x06, 0x07,  0x0A,  0x0B,  0x0C, 0x15,
                                         0x33, 0x34, 0x40, 0x42, 0x43,  0x44,  0x48,  0x49, 0x50,
                                         0x51, 0x54, 0x55, 0x61, 0x62,  0x63,  0x65,  0x66, 0xC0,
                                         0xC1, 0xC2, 0xC3, 0xC4, 0x100, 0x101, 0x103, 0x104};
    cr_assert_eq(smpp_retry_init(&table, NULL, NULL), 0);
    cr_expect_eq(smpp_retry_submit(&table, 0).cls, SMPP_CLASS_OK);
    for (size_t i = 0; i < sizeof transient / sizeof transient[0]; i++)
        cr_expect_eq(smpp_retry_submit(&table, transient[i]).cls, SMPP_CLASS_TRANSIENT, "0x%x",
                     transient[i]);
    for (size_t i = 0; i < sizeof permanent / sizeof permanent[0]; i++)
        cr_expect_eq(smpp_retry_submit(&table, permanent[i]).cls, SMPP_CLASS_PERMANENT, "0x%x",
                     permanent[i]);
    cr_expect_eq(smpp_retry_submit(&table, 0x14).cls, SMPP_CLASS_THROTTLE);
    cr_expect_eq(smpp_retry_submit(&table, 0x58).cls, SMPP_CLASS_THROTTLE);
    cr_expect_eq(smpp_retry_submit(&table, 0x04).cls, SMPP_CLASS_SESSION);
    cr_expect_gt(smpp_retry_submit(&table, 0x08).tries, smpp_retry_submit(&table, 0x45).tries);
}

Checked(smpp_retry, treats_binds_on_their_own)
{
    cr_expect_eq(smpp_retry_bind(0, 0).cls, SMPP_CLASS_OK);
    cr_expect_eq(smpp_retry_bind(0x05, 1).cls, SMPP_CLASS_TRANSIENT, "already bound is not bound");
    cr_expect_eq(smpp_retry_bind(0x0E, 1).cls, SMPP_CLASS_BIND_PERMANENT);
    cr_expect_eq(smpp_retry_bind(0x0F, 1).cls, SMPP_CLASS_BIND_PERMANENT);
    cr_expect_eq(smpp_retry_bind(0x53, 1).cls, SMPP_CLASS_BIND_PERMANENT);
    cr_expect_geq(smpp_retry_bind(0x0E, 1).retry_after_ms, 300000);
    cr_expect_eq(smpp_retry_bind(0x0D, 1).cls, SMPP_CLASS_TRANSIENT);
    cr_expect_eq(smpp_retry_bind(0x0D, 3).cls, SMPP_CLASS_BIND_PERMANENT);
    cr_expect_eq(smpp_retry_bind(0x499, 50).cls, SMPP_CLASS_TRANSIENT);
}

Checked(smpp_retry, takes_a_routes_overrides)
{
    cr_assert_eq(
        smpp_retry_init(
            &table, "0x61=transient:30000:3, 20=permanent ,0x400=throttle:250,1025=session", NULL),
        0);
    struct smpp_verdict v = smpp_retry_submit(&table, 0x61);
    cr_expect(v.cls == SMPP_CLASS_TRANSIENT && v.retry_after_ms == 30000 && v.tries == 3);
    cr_expect_eq(smpp_retry_submit(&table, 0x14).cls, SMPP_CLASS_PERMANENT);
    v = smpp_retry_submit(&table, 0x400);
    cr_expect(v.cls == SMPP_CLASS_THROTTLE && v.retry_after_ms == 250);
    cr_expect_eq(smpp_retry_submit(&table, 0x401).cls, SMPP_CLASS_SESSION);
    cr_expect_eq(smpp_retry_submit(&table, 0x58).cls, SMPP_CLASS_THROTTLE);
}

Checked(smpp_retry, refuses_wrong_overrides_and_says_which)
{
    static const char *const bad[] = {"x",
                                      "0x61",
                                      "0x61=",
                                      "0x61=maybe",
                                      "0x61=transient:",
                                      "0x61=transient:x",
                                      "0x61=transient:3600001",
                                      "0x61=transient:1:0",
                                      "0x61=transient:1:101",
                                      "0x61=permanent:1",
                                      "0x61=throttle:1:1",
                                      "0=permanent",
                                      "0x61=permanent,",
                                      "0x61=permanent,,0x62=permanent",
                                      "0x61=permanent,97=permanent",
                                      "0x1ffffffff=permanent",
                                      "-1=permanent"};
    struct cgw_diag diag = {.size = sizeof diag};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        diag.text[0] = 0;
        cr_expect_eq(smpp_retry_init(&table, bad[i], &diag), CGW_EINVAL, "\"%s\"", bad[i]);
        cr_expect_neq(diag.text[0], 0);
    }
    char many[4096] = "";
    size_t n = 0;
    for (uint32_t i = 1; i <= SMPP_OVERRIDES_MAX + 1; i++)
        n += (size_t)snprintf(many + n, sizeof many - n, "%s%u=permanent", i > 1 ? "," : "", i);
    cr_expect_eq(smpp_retry_init(&table, many, &diag), CGW_ELIMIT);
}

Checked(smpp_retry, pauses_longer_each_time_up_to_an_hour)
{
    const struct smpp_verdict v = {SMPP_CLASS_TRANSIENT, 30000, 9};
    cr_expect_eq(smpp_retry_pause_ms(&v, 1), 30000);
    cr_expect_eq(smpp_retry_pause_ms(&v, 2), 120000);
    cr_expect_eq(smpp_retry_pause_ms(&v, 3), 480000);
    cr_expect_eq(smpp_retry_pause_ms(&v, 60), 3600000);
    cr_expect_str_eq(smpp_class_name(SMPP_CLASS_THROTTLE), "throttle");
}
