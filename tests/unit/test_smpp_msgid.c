/* SPDX-License-Identifier: Apache-2.0 */
/* test_smpp_msgid.c - ids of responses and receipts meet in one normal form. */
#include "msgid.h"
#include "test_smpp_build.h"

#include <errno.h>
#include <stdio.h>

TestSuite(smpp_msgid, .timeout = 20);

static struct smpp_msgid m;
static char a[CGW_PROVIDER_ID_MAX], c[CGW_PROVIDER_ID_MAX];

static void same_with(enum smpp_idform resp, enum smpp_idform receipt, const char *from_resp,
                      const char *from_receipt, bool same)
{
    cr_assert_eq(smpp_msgid_init(&m, resp, receipt), 0);
    smpp_msgid_resp(&m, from_resp, a);
    smpp_msgid_receipt(&m, from_receipt, c);
    cr_expect_eq(!strcmp(a, c), same, "%d/%d: %s is %s, %s is %s", resp, receipt, from_resp, a,
                 from_receipt, c);
    smpp_msgid_done(&m);
}

Checked(smpp_msgid, matches_in_every_pair_of_forms)
{
    static const struct {
        enum smpp_idform resp, receipt;
        const char *from_resp, *from_receipt;
        bool same;
    } cases[] = {
        {SMPP_ID_HEX, SMPP_ID_DEC, "70BA8A69", "1891273321", true},
        {SMPP_ID_HEX, SMPP_ID_DEC, "0038601fa", "0059113978", true},
        {SMPP_ID_HEX, SMPP_ID_DEC, "00000010", "16", true},
        {SMPP_ID_HEX, SMPP_ID_DEC, "10", "10", false},
        {SMPP_ID_DEC, SMPP_ID_HEX, "1891273321", "70ba8a69", true},
        {SMPP_ID_DEC, SMPP_ID_DEC, "42", "0000000042", true},
        {SMPP_ID_HEX, SMPP_ID_HEX, "00AB", "ab", true},
        {SMPP_ID_RAW, SMPP_ID_RAW, "00AB", "ab", false},
        {SMPP_ID_RAW, SMPP_ID_RAW, "00AB", "00AB", true},
        /* wider than 64 bits: 2^64, 2^64 + 1, 2^128 - 1 */
        {SMPP_ID_HEX, SMPP_ID_DEC, "10000000000000000", "18446744073709551616", true},
        {SMPP_ID_HEX, SMPP_ID_DEC, "10000000000000001", "18446744073709551616", false},
        {SMPP_ID_HEX, SMPP_ID_DEC, "ffffffffffffffffffffffffffffffff",
         "340282366920938463463374607431768211455", true},
        {SMPP_ID_DEC, SMPP_ID_HEX, "340282366920938463463374607431768211455",
         "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF", true},
        {SMPP_ID_DEC, SMPP_ID_HEX, "18446744073709551615", "FFFFFFFFFFFFFFFF", true},
        {SMPP_ID_HEX, SMPP_ID_DEC, "FFFFFFFFFFFFFFFF", "18446744073709551615", true},
        /* no numbers at all */
        {SMPP_ID_HEX, SMPP_ID_DEC, "bc59b8aa-2fd2-4035-8113-19301e050079",
         "BC59B8AA-2FD2-4035-8113-19301E050079", true},
        {SMPP_ID_AUTO, SMPP_ID_AUTO, "xYz-1", "xyz-1", false},
        {SMPP_ID_AUTO, SMPP_ID_AUTO, "0", "000", true},
        {SMPP_ID_AUTO, SMPP_ID_AUTO, "ABCD", "abcd", true},
        /* auto finds the one recent response that fits */
        {SMPP_ID_AUTO, SMPP_ID_AUTO, "70BA8A69", "1891273321", true},
        {SMPP_ID_AUTO, SMPP_ID_AUTO, "1891273321", "70BA8A69", true},
        {SMPP_ID_HEX, SMPP_ID_AUTO, "70BA8A69", "1891273321", true},
        {SMPP_ID_AUTO, SMPP_ID_DEC, "70BA8A69", "1891273321", true},
        {SMPP_ID_DEC, SMPP_ID_AUTO, "70000069", "1879048297", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        same_with(cases[i].resp, cases[i].receipt, cases[i].from_resp, cases[i].from_receipt,
                  cases[i].same);
}

Checked(smpp_msgid, says_what_an_id_may_also_be_until_it_knows)
{
    static const struct {
        enum smpp_idform resp, receipt;
        const char *id, *also[CGW_ALSO_MAX];
    } cases[] = {
        {SMPP_ID_AUTO, SMPP_ID_AUTO, "1891273321", {"70ba8a69", "105514480417"}},
        {SMPP_ID_AUTO, SMPP_ID_AUTO, "70BA8A69", {"1891273321", NULL}},
        {SMPP_ID_HEX, SMPP_ID_AUTO, "1891273321", {"70ba8a69", NULL}},
        {SMPP_ID_AUTO, SMPP_ID_HEX, "16", {"22", NULL}},
        {SMPP_ID_AUTO, SMPP_ID_AUTO, "7", {NULL, NULL}},
        {SMPP_ID_AUTO, SMPP_ID_AUTO, "bc59b8aa-2fd2", {NULL, NULL}},
        {SMPP_ID_HEX, SMPP_ID_DEC, "1891273321", {NULL, NULL}},
        {SMPP_ID_RAW, SMPP_ID_AUTO, "1891273321", {NULL, NULL}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char also[CGW_ALSO_MAX][CGW_PROVIDER_ID_MAX];
        uint32_t want = 0;
        cr_assert_eq(smpp_msgid_init(&m, cases[i].resp, cases[i].receipt), 0);
        smpp_msgid_receipt(&m, cases[i].id, c);
        while (want < CGW_ALSO_MAX && cases[i].also[want])
            want++;
        uint32_t n = smpp_msgid_also(&m, cases[i].id, c, also);
        cr_expect_eq(n, want, "%s: %u", cases[i].id, n);
        for (uint32_t k = 0; k < n && k < want; k++)
            cr_expect_str_eq(also[k], cases[i].also[k], "%s", cases[i].id);
        smpp_msgid_done(&m);
    }
}

Checked(smpp_msgid, learns_that_receipts_are_decimal_and_then_needs_no_memory)
{
    char hex[32], dec[32], also[CGW_ALSO_MAX][CGW_PROVIDER_ID_MAX];
    cr_assert_eq(smpp_msgid_init(&m, SMPP_ID_AUTO, SMPP_ID_AUTO), 0);
    for (unsigned i = 0; i < 20; i++) {
        (void)snprintf(hex, sizeof hex, "%08X", 0x12340000u + i * 4099);
        (void)snprintf(dec, sizeof dec, "%u", 0x12340000u + i * 4099);
        smpp_msgid_resp(&m, hex, a);
        smpp_msgid_receipt(&m, dec, c);
        cr_expect_str_eq(a, c);
        cr_expect_eq(smpp_msgid_also(&m, dec, c, also) != 0, i < 7, "known after eight, not %u", i);
    }
    smpp_msgid_receipt(&m, "4660", c); /* 0x1234, of before the start */
    cr_expect_str_eq(c, "1234");
    cr_expect_eq(smpp_msgid_also(&m, "4660", c, also), 0, "it knows");
    smpp_msgid_same(&m, "0001234", c);
    cr_expect_str_eq(c, "1234");
    smpp_msgid_done(&m);
}

Checked(smpp_msgid, is_not_led_astray_by_small_consecutive_ids)
{
    char id[32];
    cr_assert_eq(smpp_msgid_init(&m, SMPP_ID_AUTO, SMPP_ID_AUTO), 0);
    for (unsigned i = 1; i <= 2000;
         i++) { /* decimal both ways, but 10 read as hexadecimal is 16, also among them */
        (void)snprintf(id, sizeof id, "%u", i);
        smpp_msgid_resp(&m, id, a);
    }
    for (unsigned i = 1; i <= 2000; i++) {
        (void)snprintf(id, sizeof id, "%u", i);
        smpp_msgid_receipt(&m, id, c);
        if (i > 20) /* learned by then */
            cr_expect_str_eq(c, id);
    }
    smpp_msgid_done(&m);
}

Checked(smpp_msgid, drops_ids_that_are_too_long_instead_of_cutting_them)
{
    char id[CGW_PROVIDER_ID_MAX + 1];
    memset(id, 'f', sizeof id);
    id[CGW_PROVIDER_ID_MAX] = 0;
    cr_assert_eq(smpp_msgid_init(&m, SMPP_ID_DEC, SMPP_ID_HEX), 0);
    smpp_msgid_resp(&m, id, a);
    cr_expect_str_eq(a, "");
    id[CGW_PROVIDER_ID_MAX - 1] = 0;
    smpp_msgid_receipt(&m, id, c);
    cr_expect_str_eq(c, id, "too wide for decimal digits: stays as it is");
    smpp_msgid_receipt(&m, "", c);
    cr_expect_str_eq(c, "");
    smpp_msgid_done(&m);
    enum smpp_idform f = SMPP_ID_RAW;
    cr_expect(smpp_idform_parse("hex", &f) == 0 && f == SMPP_ID_HEX);
    cr_expect_eq(smpp_idform_parse("octal", &f), -EINVAL);
}
