/* SPDX-License-Identifier: Apache-2.0 */
/* test_smpp_segment.c - where long messages are cut, how the parts are headed, which references
 * they carry. */
#include "segment.h"
#include "test_smpp_build.h"

#include <errno.h>
#include <stdio.h>

TestSuite(smpp_segment, .timeout = 20);

static const struct smpp_text_rules USUAL = {SMPP_ALPHA_GSM, 0};
static struct smpp_choice choice;
static struct smpp_segments plan;
static uint8_t octets[SMPP_PAYLOAD_MAX];
static uint32_t octets_len;
static char text[SMPP_PAYLOAD_MAX];

static void encode(const char *utf8, const struct smpp_text_rules *rules)
{
    cr_assert_eq(smpp_text_choose(utf8, strlen(utf8), rules, &choice, NULL), 0);
    int n = smpp_text_encode(utf8, strlen(utf8), choice.alphabet, octets, sizeof octets);
    cr_assert_geq(n, 0);
    octets_len = (uint32_t)n;
}

/* n times a, then b. */
static const char *repeat(const char *a, uint32_t n, const char *b)
{
    size_t at = 0, len = strlen(a);
    for (uint32_t i = 0; i < n; i++, at += len)
        memcpy(text + at, a, len);
    memcpy(text + at, b, strlen(b) + 1);
    return text;
}

static uint32_t parts(const char *utf8, enum smpp_split split)
{
    encode(utf8, &USUAL);
    cr_assert_eq(smpp_segment_plan(octets, octets_len, &choice, split, 0, &plan), 0);
    return plan.n;
}

Checked(smpp_segment, cuts_exactly_at_the_limits_of_each_mode)
{
    static const struct {
        const char *sign;
        enum smpp_split split;
        uint32_t single, part;
    } cases[] = {
        {"a", SMPP_SPLIT_UDH8, 160, 153}, {"a", SMPP_SPLIT_UDH16, 160, 152},
        {"a", SMPP_SPLIT_SAR, 160, 153},  {"退", SMPP_SPLIT_UDH8, 70, 67},
        {"退", SMPP_SPLIT_UDH16, 70, 66}, {"退", SMPP_SPLIT_SAR, 70, 67},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t unit = cases[i].sign[0] == 'a' ? 1 : 2;
        cr_expect_eq(parts(repeat(cases[i].sign, cases[i].single, ""), cases[i].split), 1,
                     "case %zu", i);
        cr_expect_eq(parts(repeat(cases[i].sign, cases[i].single + 1, ""), cases[i].split), 2,
                     "case %zu", i);
        cr_expect_eq(plan.at[1], cases[i].part * unit, "case %zu", i);
        cr_expect_eq(parts(repeat(cases[i].sign, cases[i].part * 3, ""), cases[i].split), 3,
                     "case %zu", i);
        cr_expect_eq(parts(repeat(cases[i].sign, cases[i].part * 3 + 1, ""), cases[i].split), 4,
                     "case %zu", i);
    }
}

Checked(smpp_segment, cuts_latin1_by_octets)
{
    const struct smpp_text_rules latin = {SMPP_ALPHA_GSM, SMPP_ALLOW(SMPP_ALPHA_LATIN1)};
    static const uint32_t room[] = {
        [SMPP_SPLIT_UDH8] = 134, [SMPP_SPLIT_UDH16] = 133, [SMPP_SPLIT_SAR] = 134};
    for (enum smpp_split split = SMPP_SPLIT_UDH8; split <= SMPP_SPLIT_SAR; split++) {
        encode(repeat("ç", 140, ""), &latin);
        cr_expect_eq(smpp_segment_plan(octets, octets_len, &choice, split, 0, &plan), 0);
        cr_expect_eq(plan.n, 1);
        encode(repeat("ç", 141, ""), &latin);
        cr_expect_eq(smpp_segment_plan(octets, octets_len, &choice, split, 0, &plan), 0);
        cr_expect_eq(plan.at[1], room[split]);
    }
}

Checked(smpp_segment, never_cuts_an_escape_pair)
{
    cr_expect_eq(parts(repeat("a", 158, "€"), SMPP_SPLIT_UDH8), 1, "160 septets");
    cr_expect_eq(parts(repeat("a", 159, "€"), SMPP_SPLIT_UDH8), 2, "161 septets");
    cr_expect_eq(parts(repeat("a", 152, "€aaaaaaaaaaaa"), SMPP_SPLIT_UDH8), 2);
    cr_expect_eq(plan.at[1], 152, "the pair goes whole into the next part");
    cr_expect_eq(parts(repeat("€", 81, ""), SMPP_SPLIT_UDH8), 2);
    cr_expect_eq(plan.at[1], 152);
}

Checked(smpp_segment, counts_septets_where_data_coding_0_is_ascii_on_the_wire)
{
    const struct smpp_text_rules ascii = {SMPP_ALPHA_ASCII, 0};
    encode(repeat("[", 80, ""), &ascii);
    cr_expect_eq(smpp_segment_plan(octets, octets_len, &choice, SMPP_SPLIT_UDH8, 0, &plan), 0);
    cr_expect_eq(plan.n, 1);
    encode(repeat("[", 81, ""), &ascii);
    cr_expect_eq(smpp_segment_plan(octets, octets_len, &choice, SMPP_SPLIT_UDH8, 0, &plan), 0);
    cr_expect_eq(plan.n, 2, "81 octets, but 162 septets on the phone");
    cr_expect_eq(plan.at[1], 76);
}

Checked(smpp_segment, never_cuts_a_surrogate_pair)
{
    cr_expect_eq(parts(repeat("退", 66, "👍退退退退"), SMPP_SPLIT_UDH8), 2);
    cr_expect_eq(plan.at[1], 66 * 2);
    cr_expect_eq(parts(repeat("👍", 36, ""), SMPP_SPLIT_UDH8), 2);
    cr_expect_eq(plan.at[1], 132, "33 pairs; half of one does not use the last unit");
}

Checked(smpp_segment, keeps_joined_signs_together)
{
    static const char *const signs[] = {
        "👨\u200D👩\u200D👧", /* family */
        "👍🏽",        /* skin tone */
        "🇩🇪",              /* flag */
        "❤\uFE0F",         /* variation selector */
        "e\u0301\u0323",   /* combining marks */
    };
    for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++) {
        char tail[64];
        (void)snprintf(tail, sizeof tail, "%sabcdefgh", signs[i]);
        cr_expect_eq(parts(repeat("退", 66, tail), SMPP_SPLIT_UDH8), 2);
        cr_expect_eq(plan.at[1], 66 * 2, "case %zu cut at %u", i, plan.at[1]);
    }
    cr_expect_eq(parts(repeat("退", 65, "🇩🇪🇫🇷abcdefgh"), SMPP_SPLIT_UDH8), 2);
    cr_expect_eq(plan.at[1], 65 * 2, "a flag needs four units");
    cr_expect_eq(parts(repeat("退", 63, "🇩🇪🇫🇷abcdefgh"), SMPP_SPLIT_UDH8), 2);
    cr_expect_eq(plan.at[1], 67 * 2, "between two flags is a good place");
}

Checked(smpp_segment, cuts_a_joined_sequence_that_no_part_can_hold)
{
    cr_expect_eq(parts(repeat("👨\u200D", 100, "👧"), SMPP_SPLIT_UDH8), 5); /* 302 units */
    cr_expect_eq(plan.at[plan.n], octets_len);
    for (uint32_t i = 1; i < plan.n; i++)
        cr_expect((octets[plan.at[i]] & 0xFC) != 0xDC, "part %u begins with half a pair", i);
}

Checked(smpp_segment, refuses_more_parts_than_allowed)
{
    encode(repeat("a", 153 * 3 + 1, ""), &USUAL);
    cr_expect_eq(smpp_segment_plan(octets, octets_len, &choice, SMPP_SPLIT_UDH8, 3, &plan),
                 CGW_ELIMIT);
    cr_expect_eq(plan.network, 4);
    cr_expect_eq(smpp_segment_plan(octets, octets_len, &choice, SMPP_SPLIT_UDH8, 4, &plan), 0);
    cr_expect_eq(smpp_segment_plan(octets, octets_len, &choice, SMPP_SPLIT_PAYLOAD, 3, &plan),
                 CGW_ELIMIT);
    encode(repeat("a", 153 * 255, ""), &USUAL);
    cr_expect_eq(smpp_segment_plan(octets, octets_len, &choice, SMPP_SPLIT_UDH8, 0, &plan), 0);
    cr_expect_eq(plan.n, 255);
    encode(repeat("a", 153 * 255 + 1, ""), &USUAL);
    cr_expect_eq(smpp_segment_plan(octets, octets_len, &choice, SMPP_SPLIT_UDH8, 0, &plan),
                 CGW_ELIMIT);
}

Checked(smpp_segment, heads_the_parts_as_each_mode_wants)
{
    uint8_t scratch[SMPP_SEGMENT_SCRATCH];
    struct smpp_submit sm = {.esm_class = 0x03};
    cr_assert_eq(parts(repeat("@", 161, ""), SMPP_SPLIT_UDH8), 2);
    cr_assert_eq(smpp_segment_fill(&plan, octets, 1, 0x0177, scratch, &sm), 0);
    cr_expect_eq(sm.esm_class, 0x43);
    cr_expect_eq(sm.text_len, 6 + 8);
    cr_expect_arr_eq(sm.text, "\x05\x00\x03\x77\x02\x02\0\0", 8);
    cr_expect_not(sm.has_sar);
    cr_assert_eq(parts(text, SMPP_SPLIT_UDH16), 2);
    cr_assert_eq(smpp_segment_fill(&plan, octets, 0, 0x0177, scratch, &sm), 0);
    cr_expect_eq(sm.text_len, 7 + 152);
    cr_expect_arr_eq(sm.text, "\x06\x08\x04\x01\x77\x02\x01\0", 8);
    cr_assert_eq(parts(text, SMPP_SPLIT_SAR), 2);
    cr_assert_eq(smpp_segment_fill(&plan, octets, 1, 0x77, scratch, &sm), 0);
    cr_expect_eq(sm.esm_class, 0x03, "no header indicator with SAR");
    cr_expect(sm.has_sar && sm.sar_ref == 0x77 && sm.sar_total == 2 && sm.sar_index == 2);
    cr_expect_eq(sm.text_len, 8);
    cr_assert_eq(parts(text, SMPP_SPLIT_PAYLOAD), 1);
    cr_expect_eq(plan.network, 2);
    cr_assert_eq(smpp_segment_fill(&plan, octets, 0, 0x77, scratch, &sm), 0);
    cr_expect(sm.payload && !sm.has_sar && sm.text_len == 161 && sm.esm_class == 0x03);
    cr_expect_eq(smpp_segment_fill(&plan, octets, 1, 0x77, scratch, &sm), -EINVAL);
    cr_assert_eq(parts("short", SMPP_SPLIT_PAYLOAD), 1);
    cr_assert_eq(smpp_segment_fill(&plan, octets, 0, 0, scratch, &sm), 0);
    cr_expect_not(sm.payload, "a short text needs no payload parameter");
}

Checked(smpp_segment, an_empty_text_is_one_empty_part)
{
    uint8_t scratch[SMPP_SEGMENT_SCRATCH];
    struct smpp_submit sm = {0};
    cr_assert_eq(parts("", SMPP_SPLIT_UDH8), 1);
    cr_assert_eq(smpp_segment_fill(&plan, octets, 0, 0, scratch, &sm), 0);
    cr_expect_eq(sm.text_len, 0);
}

Checked(smpp_segment, gives_messages_to_one_number_different_references)
{
    static struct smpp_refs refs;
    bool seen[256] = {false};
    smpp_refs_init(&refs, 4711);
    for (int i = 0; i < 256; i++) {
        uint16_t r = smpp_refs_take(&refs, "4915112345678", false);
        cr_assert_lt(r, 256);
        cr_expect_not(seen[r], "reference %u came twice", r);
        seen[r] = true;
        (void)smpp_refs_take(&refs, "4915112345679", false);
    }
    uint16_t before = smpp_refs_take(&refs, "4915112345678", true);
    for (int i = 0; i < 70000; i++) {
        uint16_t r = smpp_refs_take(&refs, "4915112345678", true);
        cr_assert_eq(r, (uint16_t)(before + 1));
        before = r;
    }
}
