/* SPDX-License-Identifier: Apache-2.0 */
/* test_smpp_text.c - alphabets: choice, encoding, decoding. */
#include "test_smpp_build.h"
#include "text.h"

#include <errno.h>

TestSuite(smpp_text, .timeout = 20);

static const struct smpp_text_rules USUAL = {SMPP_ALPHA_GSM, 0};
static struct smpp_choice choice;
static uint8_t octets[SMPP_PAYLOAD_MAX];
static char utf8[3 * SMPP_PAYLOAD_MAX];

/* Every character of the two GSM tables, in table order, as a phone would show it. */
static const char GSM_TABLE[] =
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    "ÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
static const char GSM_EXTENSION[] = "\f^{}\\[~]|€";

Checked(smpp_text, encodes_the_whole_gsm_table_in_order_with_at_as_zero)
{
    int n =
        smpp_text_encode(GSM_TABLE, sizeof GSM_TABLE - 1, SMPP_ALPHA_GSM, octets, sizeof octets);
    cr_assert_eq(n, 127, "%d", n); /* 128 without the escape */
    for (int i = 0; i < 127; i++)
        cr_expect_eq(octets[i], i < 27 ? i : i + 1, "position %d", i);
    n = smpp_text_decode(octets, (size_t)n, SMPP_ALPHA_GSM, utf8, sizeof utf8);
    cr_assert_eq(n, (int)sizeof GSM_TABLE - 1);
    cr_expect_arr_eq(utf8, GSM_TABLE, sizeof GSM_TABLE - 1);
}

Checked(smpp_text, encodes_extension_characters_as_escape_pairs)
{
    static const uint8_t pairs[] = {0x1B, 0x0A, 0x1B, 0x14, 0x1B, 0x28, 0x1B, 0x29, 0x1B, 0x2F,
                                    0x1B, 0x3C, 0x1B, 0x3D, 0x1B, 0x3E, 0x1B, 0x40, 0x1B, 0x65};
    int n = smpp_text_encode(GSM_EXTENSION, sizeof GSM_EXTENSION - 1, SMPP_ALPHA_GSM, octets,
                             sizeof octets);
    cr_assert_eq(n, (int)sizeof pairs);
    cr_expect_arr_eq(octets, pairs, sizeof pairs);
    n = smpp_text_decode(octets, (size_t)n, SMPP_ALPHA_GSM, utf8, sizeof utf8);
    cr_expect_eq(n, (int)sizeof GSM_EXTENSION - 1);
    cr_expect_arr_eq(utf8, GSM_EXTENSION, (size_t)n);
}

Checked(smpp_text, chooses_the_cheapest_coding_and_counts_its_units)
{
    enum {
        G = SMPP_ALLOW(SMPP_ALPHA_GSM),
        A = SMPP_ALLOW(SMPP_ALPHA_ASCII),
        L = SMPP_ALLOW(SMPP_ALPHA_LATIN1),
        U = SMPP_ALLOW(SMPP_ALPHA_UCS2)
    };
    static const struct {
        const char *text;
        enum smpp_alphabet by_default;
        uint32_t allowed;
        const char *encoding;
        uint8_t data_coding;
        uint32_t octets, units;
    } cases[] = {
        {"", SMPP_ALPHA_GSM, 0, "gsm7", 0, 0, 0},
        {"hello @", SMPP_ALPHA_GSM, 0, "gsm7", 0, 7, 7},
        {"5€ [a]", SMPP_ALPHA_GSM, 0, "gsm7", 0, 9, 9},
        {"退订", SMPP_ALPHA_GSM, 0, "ucs2", 8, 4, 2},
        {"a👍", SMPP_ALPHA_GSM, 0, "ucs2", 8, 6, 3},
        {"a`b", SMPP_ALPHA_GSM, 0, "ucs2", 8, 6, 3},
        {"ça", SMPP_ALPHA_GSM, G | L | U, "latin1", 3, 2, 2},
        {"a`b", SMPP_ALPHA_GSM, G | A | U, "ascii", 1, 3, 3},
        {"ça", SMPP_ALPHA_GSM, G | A | U, "ucs2", 8, 4, 2},
        {"plain", SMPP_ALPHA_GSM, U, "ucs2", 8, 10, 5},
        /* data_coding 0 is ASCII here: one octet on the wire, two septets on the phone */
        {"[x]", SMPP_ALPHA_ASCII, 0, "ascii", 0, 3, 5},
        {"é", SMPP_ALPHA_ASCII, 0, "ucs2", 8, 2, 1},
        {"é", SMPP_ALPHA_LATIN1, 0, "latin1", 0, 1, 1},
        {"ç", SMPP_ALPHA_LATIN1, 0, "ucs2", 8, 2,
         1}, /* Latin-1 has it, the phone's alphabet has not */
        {"€", SMPP_ALPHA_LATIN1, 0, "ucs2", 8, 2, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct smpp_text_rules rules = {cases[i].by_default, cases[i].allowed};
        cr_assert_eq(smpp_text_choose(cases[i].text, strlen(cases[i].text), &rules, &choice, NULL),
                     0, "case %zu", i);
        cr_expect_str_eq(choice.encoding, cases[i].encoding, "case %zu: %s", i, choice.encoding);
        cr_expect_eq(choice.data_coding, cases[i].data_coding, "case %zu", i);
        cr_expect_eq(choice.octets, cases[i].octets, "case %zu: %u octets", i, choice.octets);
        cr_expect_eq(choice.units, cases[i].units, "case %zu: %u units", i, choice.units);
        cr_expect_eq(smpp_text_encode(cases[i].text, strlen(cases[i].text), choice.alphabet, octets,
                                      sizeof octets),
                     (int)choice.octets);
    }
}

Checked(smpp_text, names_the_character_that_no_allowed_coding_has_but_not_the_text)
{
    const struct smpp_text_rules only_gsm = {SMPP_ALPHA_GSM, SMPP_ALLOW(SMPP_ALPHA_GSM)};
    struct cgw_diag diag = {.size = sizeof diag};
    cr_expect_eq(smpp_text_choose("secret 退", strlen("secret 退"), &only_gsm, &choice, &diag),
                 CGW_EINVAL);
    cr_expect_not_null(strstr(diag.text, "character 8 (U+9000)"), "%s", diag.text);
    cr_expect_null(strstr(diag.text, "secret"));
}

Checked(smpp_text, refuses_invalid_utf8_and_nul)
{
    static const struct {
        const char *text;
        size_t len;
    } bad[] = {{"a\x80", 2},
               {"\xC0\x80", 2},
               {"\xC1\xBF", 2},
               {"\xE0\x9F\xBF", 3},
               {"\xED\xA0\x80", 3},
               {"\xF4\x90\x80\x80", 4},
               {"\xF8\x88\x80\x80\x80", 5},
               {"\xE2\x82", 2},
               {"\xC3", 1},
               {"a\0b", 3}};
    struct cgw_diag diag = {.size = sizeof diag};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect_eq(smpp_text_choose(bad[i].text, bad[i].len, &USUAL, &choice, &diag), CGW_EINVAL,
                     "case %zu", i);
    cr_expect_eq(smpp_text_encode("\xED\xA0\x80", 3, SMPP_ALPHA_UCS2, octets, sizeof octets),
                 -EINVAL);
}

Checked(smpp_text, bounds_the_length)
{
    memset(utf8, 'a', SMPP_PAYLOAD_MAX + 1);
    struct cgw_diag diag = {.size = sizeof diag};
    cr_expect_eq(smpp_text_choose(utf8, SMPP_PAYLOAD_MAX, &USUAL, &choice, &diag), 0);
    cr_expect_eq(smpp_text_choose(utf8, SMPP_PAYLOAD_MAX + 1, &USUAL, &choice, &diag), CGW_ELIMIT);
    cr_expect_eq(smpp_text_encode(utf8, 10, SMPP_ALPHA_UCS2, octets, 19), -ENOBUFS);
    cr_expect_eq(smpp_text_encode(utf8, 10, SMPP_ALPHA_UCS2, octets, 20), 20);
    cr_expect_eq(smpp_text_decode((const uint8_t *)"abc", 3, SMPP_ALPHA_GSM, utf8, 2), -ENOBUFS);
}

Checked(smpp_text, knows_what_each_data_coding_means)
{
    static const struct {
        uint8_t dc;
        enum smpp_alphabet alphabet;
    } cases[] = {{0x00, SMPP_ALPHA_LATIN1},   {0x01, SMPP_ALPHA_ASCII},  {0x02, SMPP_ALPHA_BINARY},
                 {0x03, SMPP_ALPHA_LATIN1},   {0x04, SMPP_ALPHA_BINARY}, {0x05, SMPP_ALPHA_BINARY},
                 {0x06, SMPP_ALPHA_CYRILLIC}, {0x07, SMPP_ALPHA_HEBREW}, {0x08, SMPP_ALPHA_UCS2},
                 {0x10, SMPP_ALPHA_LATIN1},   {0x13, SMPP_ALPHA_LATIN1}, {0x14, SMPP_ALPHA_BINARY},
                 {0x18, SMPP_ALPHA_UCS2},     {0x19, SMPP_ALPHA_UCS2},   {0x20, SMPP_ALPHA_BINARY},
                 {0xC0, SMPP_ALPHA_LATIN1},   {0xD8, SMPP_ALPHA_LATIN1}, {0xE0, SMPP_ALPHA_UCS2},
                 {0xF0, SMPP_ALPHA_LATIN1},   {0xF2, SMPP_ALPHA_LATIN1}, {0xF4, SMPP_ALPHA_BINARY},
                 {0xF6, SMPP_ALPHA_BINARY}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_expect_eq(smpp_text_alphabet(cases[i].dc, SMPP_ALPHA_LATIN1), cases[i].alphabet,
                     "0x%02x", cases[i].dc);
}

Checked(smpp_text, decodes_odd_input_without_loss_of_the_rest_and_never_writes_a_nul)
{
    static const struct {
        enum smpp_alphabet alphabet;
        const char *in;
        size_t len;
        const char *out;
    } cases[] = {
        {SMPP_ALPHA_GSM, "a\x1B", 2, "a\xEF\xBF\xBD"},
        {SMPP_ALPHA_GSM, "a\x1B\x41z", 4,
         "aAz"}, /* unknown extension shows its default character */
        {SMPP_ALPHA_GSM, "a\x80z", 3, "a\xEF\xBF\xBDz"},
        {SMPP_ALPHA_GSM, "\x00", 1, "@"},
        {SMPP_ALPHA_ASCII, "a\0\xE9", 3, "a\xEF\xBF\xBD\xEF\xBF\xBD"},
        {SMPP_ALPHA_LATIN1,
         "Espa\xF1"
         "a",
         6, "España"},
        {SMPP_ALPHA_UCS2, "\x90\x00\x8B\xA2", 4, "退订"},
        {SMPP_ALPHA_UCS2, "\xD8\x3D\xDC\x4D", 4, "👍"},
        {SMPP_ALPHA_UCS2, "\xD8\x3D\x00\x41", 4,
         "\xEF\xBF\xBD"
         "A"},
        {SMPP_ALPHA_UCS2, "\xDC\x4D\x00\x41\x00", 5,
         "\xEF\xBF\xBD"
         "A\xEF\xBF\xBD"},
        {SMPP_ALPHA_UCS2, "\x00\x00", 2, "\xEF\xBF\xBD"},
        {SMPP_ALPHA_CYRILLIC, "\xBF\xE0\xD8\xF0", 4, "При№"},
        {SMPP_ALPHA_HEBREW, "\xF9\xEC\xE5\xED", 4, "שלום"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int n = smpp_text_decode((const uint8_t *)cases[i].in, cases[i].len, cases[i].alphabet,
                                 utf8, sizeof utf8 - 1);
        cr_assert_geq(n, 0);
        utf8[n] = 0;
        cr_expect_str_eq(utf8, cases[i].out, "case %zu: %s", i, utf8);
    }
    cr_expect_eq(smpp_text_decode((const uint8_t *)"x", 1, SMPP_ALPHA_BINARY, utf8, sizeof utf8),
                 -ENOTSUP);
}
