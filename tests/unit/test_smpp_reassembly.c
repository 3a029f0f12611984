/* SPDX-License-Identifier: Apache-2.0 */
/* test_smpp_reassembly.c - long messages of people, in every order, with gaps and repetitions,
 * within bounds. */
#include "reassembly.h"
#include "test_smpp_build.h"

#include <errno.h>
#include <limits.h>

static struct build b;
static struct smpp_pdu pdu;
static struct smpp_reasm *r;
static struct smpp_mo mo;

static void setup(void)
{
    const struct smpp_reasm_limits limits = {3, 2000, 60000};
    r = smpp_reasm_new(&limits, SMPP_ALPHA_GSM);
    cr_assert_not_null(r);
}

static void teardown(void)
{
    smpp_reasm_free(r);
}

TestSuite(smpp_reassembly, .init = setup, .fini = teardown, .timeout = 20);
TestSuite(smpp_dedupe, .timeout = 20);

/* One part with an 8-bit header. */
static int add(int64_t now_ms, uint8_t ref, uint8_t total, uint8_t index, const char *text,
               uint64_t tag)
{
    uint8_t octets[254] = {5, 0, 3, ref, total, index};
    memcpy(octets + 6, text, strlen(text));
    deliver(&b, SMPP_ESM_UDHI, 0, octets, 6 + strlen(text));
    decode(&b, &pdu);
    return smpp_reasm_add(r, now_ms, &pdu, tag, &mo);
}

static void expect_text(const char *text)
{
    cr_expect_str_eq(mo.utf8, text, "%s", mo.utf8);
    cr_expect_eq(mo.utf8_len, strlen(text));
    smpp_mo_done(&mo);
}

Checked(smpp_reassembly, a_message_of_one_part_is_complete_at_once)
{
    deliver(&b, 0, 0, "STOP\0", 5);
    decode(&b, &pdu);
    cr_assert_eq(smpp_reasm_add(r, 0, &pdu, 77, &mo), 1);
    cr_expect(mo.total == 1 && mo.have == 1 && mo.n_tags == 1 && mo.tags[0] == 77);
    cr_expect_str_eq(mo.source.text, "4915112345678");
    expect_text("STOP@");
    cr_expect_eq(smpp_reasm_sets(r), 0);
}

Checked(smpp_reassembly, joins_parts_in_any_order)
{
    cr_assert_eq(add(0, 9, 3, 3, "three", 103), 0);
    cr_assert_eq(add(1, 9, 3, 1, "one ", 101), 0);
    cr_assert_eq(add(2, 9, 3, 2, "two ", 102), 1);
    cr_expect(mo.have == 3 && mo.n_tags == 3);
    cr_expect(mo.tags[0] == 101 && mo.tags[1] == 102 && mo.tags[2] == 103);
    cr_expect_eq(mo.octets_len, 13);
    expect_text("one two three");
    cr_expect_eq(smpp_reasm_sets(r), 0);
    cr_expect_eq(smpp_reasm_next_ms(r), INT64_MAX);
}

Checked(smpp_reassembly, joins_characters_that_a_phone_cut_in_two)
{
    static const uint8_t first[] = {6, 8, 4, 1, 2, 2, 1, 0x90, 0x00, 0xD8, 0x3D},
                         second[] = {6, 8, 4, 1, 2, 2, 2, 0xDC, 0x4D};
    deliver(&b, SMPP_ESM_UDHI, 8, first, sizeof first);
    decode(&b, &pdu);
    cr_assert_eq(smpp_reasm_add(r, 0, &pdu, 1, &mo), 0);
    deliver(&b, SMPP_ESM_UDHI, 8, second, sizeof second);
    decode(&b, &pdu);
    cr_assert_eq(smpp_reasm_add(r, 0, &pdu, 2, &mo), 1);
    expect_text("退👍");
}

Checked(smpp_reassembly, joins_sar_and_does_not_mix_it_with_udh)
{
    cr_assert_eq(add(0, 9, 2, 1, "udh", 1), 0);
    for (uint8_t i = 1; i <= 2; i++) {
        deliver(&b, 0, 0, i == 1 ? "sar " : "too", i == 1 ? 4 : 3);
        put_tlv(&b, SMPP_TLV_SAR_MSG_REF_NUM, "\0\x09", 2);
        put_tlv(&b, SMPP_TLV_SAR_TOTAL_SEGMENTS, "\x02", 1);
        put_tlv(&b, SMPP_TLV_SAR_SEGMENT_SEQNUM, &i, 1);
        finish(&b);
        decode(&b, &pdu);
        cr_assert_eq(smpp_reasm_add(r, 0, &pdu, i, &mo), i - 1);
    }
    expect_text("sar too");
    cr_expect_eq(smpp_reasm_sets(r), 1);
}

Checked(smpp_reassembly, knows_a_repeated_part_and_a_reused_reference)
{
    cr_assert_eq(add(0, 9, 2, 1, "old", 1), 0);
    cr_expect_eq(add(0, 9, 2, 1, "old", 2), -EEXIST);
    cr_expect_eq(add(5, 9, 2, 1, "new ", 3), 0, "another text: the next message");
    cr_assert_eq(add(5, 9, 2, 2, "end", 4), 1);
    expect_text("new end");
    cr_assert_eq(smpp_reasm_expired(r, 5, &mo), 1, "the old one is given up");
    cr_expect(mo.have == 1 && mo.total == 2);
    expect_text("old[...]");
}

Checked(smpp_reassembly, hands_out_what_is_there_after_the_timeout)
{
    cr_assert_eq(add(1000, 9, 4, 2, "STOP", 1), 0);
    cr_assert_eq(add(2000, 9, 4, 4, "end", 2), 0);
    cr_expect_eq(smpp_reasm_next_ms(r), 61000);
    cr_expect_eq(smpp_reasm_expired(r, 60999, &mo), 0);
    cr_assert_eq(smpp_reasm_expired(r, 61000, &mo), 1);
    cr_expect(mo.have == 2 && mo.total == 4 && mo.n_tags == 2);
    expect_text("[...]STOP[...]end");
    cr_expect_eq(smpp_reasm_expired(r, 61000, &mo), 0);
}

Checked(smpp_reassembly, is_bounded_in_sets_and_bytes_and_gives_up_the_oldest)
{
    for (uint8_t i = 0; i < 3; i++)
        cr_assert_eq(add(i, i, 2, 1, "first", i), 0);
    cr_expect_eq(add(9, 3, 2, 1, "first", 3), -ENOBUFS);
    cr_assert_eq(smpp_reasm_expired(r, 9, &mo), 1);
    cr_expect_eq(mo.tags[0], 0);
    smpp_mo_done(&mo);
    cr_expect_eq(add(9, 3, 2, 1, "first", 3), 0);
    char text[201];
    memset(text, 'x', 200);
    text[200] = 0;
    int rc = 0;
    for (uint8_t i = 1; i <= 11 && rc == 0; i++)
        rc = add(9, 3, 12, i, text, i);
    cr_expect_eq(rc, -ENOBUFS, "sets or 2000 bytes are reached");
}

Checked(smpp_reassembly, takes_impossible_headers_for_a_message_of_one_part)
{
    static const struct {
        const char *octets;
        size_t len;
        const char *text;
        bool bad;
    } cases[] = {
        {"\x05\x00\x03\x09\x02\x00hi", 8, "hi", false}, /* index 0 */
        {"\x05\x00\x03\x09\x02\x03hi", 8, "hi", false}, /* index beyond total */
        {"\x05\x00\x03\x09\x00\x01hi", 8, "hi", false},
        {"\x05\x00\x03\x09\x01\x01hi", 8, "hi", false},
        {"\x05\x00\x04\x09\x02\x01hi", 8, "hi", true}, /* element longer than the header */
        {"\x7Fhi", 3, "àhi",
         true}, /* header longer than the text: all of it is text, and 0x7F is a letter */
        {"\x00hi", 3, "hi", false},
        {"", 0, "", true},
    };
    struct smpp_concat c;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        deliver(&b, SMPP_ESM_UDHI, 0, cases[i].octets, cases[i].len);
        decode(&b, &pdu);
        smpp_concat_read(&pdu, &c);
        cr_expect_eq(c.total, 0, "case %zu", i);
        cr_expect_eq(c.udh_bad, cases[i].bad, "case %zu", i);
        cr_assert_eq(smpp_reasm_add(r, 0, &pdu, 1, &mo), 1, "case %zu", i);
        cr_expect_str_eq(mo.utf8, cases[i].text, "case %zu: %s", i, mo.utf8);
        smpp_mo_done(&mo);
    }
}

Checked(smpp_reassembly, names_application_ports_and_leaves_binary_alone)
{
    static const uint8_t card[] = {6, 5, 4, 0x23, 0xF4, 0, 0, 'B', 'E', 'G', 'I', 'N'};
    struct smpp_concat c;
    deliver(&b, SMPP_ESM_UDHI, 4, card, sizeof card);
    decode(&b, &pdu);
    smpp_concat_read(&pdu, &c);
    cr_expect(c.has_port && c.port == 9204);
    cr_assert_eq(smpp_reasm_add(r, 0, &pdu, 1, &mo), 1);
    cr_expect_null(mo.utf8);
    cr_expect_eq(mo.octets_len, 5);
    cr_expect_arr_eq(mo.octets, "BEGIN", 5);
    smpp_mo_done(&mo);
}

Checked(smpp_dedupe, recognises_a_repetition_only_when_stored_and_only_for_a_while)
{
    static const uint8_t key[16] = {1};
    struct smpp_dedupe *d = smpp_dedupe_new(8, 1000, key);
    cr_assert_not_null(d);
    deliver(&b, 0, 0, "1", 1);
    decode(&b, &pdu);
    struct smpp_mo_key k = smpp_dedupe_key(d, &pdu);
    cr_expect_not(smpp_dedupe_seen(d, 0, k), "not stored yet: the repetition is needed");
    smpp_dedupe_put(d, 0, k);
    cr_expect(smpp_dedupe_seen(d, 999, k));
    cr_expect_not(smpp_dedupe_seen(d, 1000, k), "a person may say it twice");
    deliver(&b, 0, 0, "2", 1);
    decode(&b, &pdu);
    cr_expect_not(smpp_dedupe_seen(d, 0, smpp_dedupe_key(d, &pdu)));
    deliver(&b, 0, 8, "1", 1);
    decode(&b, &pdu);
    cr_expect_not(smpp_dedupe_seen(d, 0, smpp_dedupe_key(d, &pdu)));
    deliver(&b, 0, 0, "1", 1);
    put_tlv(&b, SMPP_TLV_SAR_SEGMENT_SEQNUM, "\x02", 1);
    finish(&b);
    decode(&b, &pdu);
    cr_expect_not(smpp_dedupe_seen(d, 0, smpp_dedupe_key(d, &pdu)), "another part");
    for (int i = 0; i < 1000; i++) { /* a full table forgets, it does not grow */
        k.a = (uint64_t)i;
        smpp_dedupe_put(d, i, k);
        cr_expect(smpp_dedupe_seen(d, i, k));
    }
    smpp_dedupe_free(d);
}
