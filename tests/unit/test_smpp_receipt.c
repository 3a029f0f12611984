/* SPDX-License-Identifier: Apache-2.0 */
/* test_smpp_receipt.c - receipts in every form, and what is none. */
#include "receipt.h"
#include "test_smpp_build.h"

#include <errno.h>

TestSuite(smpp_receipt, .timeout = 20);

static struct build b;
static struct smpp_pdu pdu;
static struct smpp_receipt r;

static enum smpp_kind kind(uint8_t esm_class, uint8_t data_coding, const char *text, size_t n)
{
    deliver(&b, esm_class, data_coding, text, n);
    decode(&b, &pdu);
    return smpp_kind_of(&pdu);
}

static void parse(const char *text)
{
    cr_assert_eq(kind(SMPP_ESM_RECEIPT, 0, text, strlen(text)), SMPP_KIND_RECEIPT);
    cr_assert_eq(smpp_receipt_parse(&pdu, &r), 0, "%s", text);
}

Checked(smpp_receipt, reads_the_text_form_and_keeps_nothing_of_the_message)
{
    parse("id:0059113978 sub:001 dlvrd:001 submit date:1002101730 done date:100210173159 "
          "stat:DELIVRD err:000 text:my secret "
          "stat:EXPIRED id:666");
    cr_expect_eq(r.result, CGW_RES_DELIVERED);
    cr_expect_eq(r.state, 2);
    cr_expect_str_eq(r.id, "0059113978");
    cr_expect_str_eq(r.stat, "DELIVRD");
    cr_expect_str_eq(r.err, "000");
    cr_expect_eq(r.code, 0);
    cr_expect(r.sub == 1 && r.dlvrd == 1);
    cr_expect_str_eq(r.submit_date, "1002101730");
    cr_expect_str_eq(r.done_date, "100210173159");
    cr_expect_str_eq(r.raw, "id:0059113978 sub:001 dlvrd:001 submit date:1002101730 done "
                            "date:100210173159 stat:DELIVRD err:000");
    cr_expect_not(r.id_same);
}

Checked(smpp_receipt, takes_keys_in_any_order_case_and_with_gaps)
{
    static const struct {
        const char *text, *id, *stat, *err;
        uint32_t result;
        int32_t code;
    } cases[] = {
        {"stat:undeliv id:77 err:33", "77", "UNDELIV", "33", CGW_RES_FAILED, 33},
        {"ID:77 SUB:1 DLVRD:0 STAT:EXPIRED ERR:0A1 Text:x", "77", "EXPIRED", "0A1", CGW_RES_EXPIRED,
         0},
        {"id: 77 stat: REJECTD err: NOROUTE", "77", "REJECTD", "NOROUTE", CGW_RES_REFUSED, 0},
        {"id:77 stat:DELIVERED err:", "77", "DELIVERED", "", CGW_RES_DELIVERED, 0},
        {"id:77 err: text:abc", "77", "", "", CGW_RES_UNKNOWN, 0},
        {"id:77,sub:001,stat:DELETED,err:5", "77", "DELETED", "5", CGW_RES_FAILED, 5},
        {"id:77 done_date:2611220039 stat:ENROUTE", "77", "ENROUTE", "", CGW_RES_ENROUTE, 0},
        {"id:77 stat:ACCEPTD", "77", "ACCEPTD", "", CGW_RES_ENROUTE, 0},
        {"id:77 stat:UNKNOWN", "77", "UNKNOWN", "", CGW_RES_UNKNOWN, 0},
        {"id:77 stat:SKIPPED", "77", "SKIPPED", "", CGW_RES_FAILED, 0},
        {"id:77 stat:WHATEVER err:99999999999", "77", "WHATEVER", "99999999999", CGW_RES_UNKNOWN,
         0},
        {"\r\nid:77\r\nstat:DELIVRD\r\n", "77", "DELIVRD", "", CGW_RES_DELIVERED, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        parse(cases[i].text);
        cr_expect_str_eq(r.id, cases[i].id, "case %zu: id %s", i, r.id);
        cr_expect_str_eq(r.stat, cases[i].stat, "case %zu: stat %s", i, r.stat);
        cr_expect_str_eq(r.err, cases[i].err, "case %zu: err %s", i, r.err);
        cr_expect_eq(r.result, cases[i].result, "case %zu", i);
        cr_expect_eq(r.code, cases[i].code, "case %zu: %d", i, r.code);
    }
}

Checked(smpp_receipt, parameters_count_before_the_text)
{
    deliver(&b, SMPP_ESM_RECEIPT, 0, "id:1891273321 stat:DELIVRD err:000", 34);
    put_tlv(&b, SMPP_TLV_RECEIPTED_MESSAGE_ID, "70BA8A69\0", 9);
    put_tlv(&b, SMPP_TLV_MESSAGE_STATE, "\x05", 1);
    put_tlv(&b, SMPP_TLV_NETWORK_ERROR_CODE, "\x03\x01\x02", 3);
    put_tlv(&b, SMPP_TLV_USER_MESSAGE_REFERENCE, "\x00\x00", 2);
    finish(&b);
    decode(&b, &pdu);
    cr_assert_eq(smpp_receipt_parse(&pdu, &r), 0);
    cr_expect_str_eq(r.id, "70BA8A69");
    cr_expect(r.id_same, "the text spells it another way");
    cr_expect_eq(r.result, CGW_RES_FAILED);
    cr_expect(r.has_network && r.network_type == 3 && r.network_code == 0x0102);
    cr_expect_eq(r.code, 0x0102);
    cr_expect_eq(r.reference, 1, "reference 0 is a reference");
}

Checked(smpp_receipt, reads_parameters_without_text_with_or_without_nul)
{
    static const uint8_t states[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    static const uint32_t results[] = {
        CGW_RES_ENROUTE, CGW_RES_ENROUTE, CGW_RES_DELIVERED, CGW_RES_EXPIRED, CGW_RES_FAILED,
        CGW_RES_FAILED,  CGW_RES_ENROUTE, CGW_RES_UNKNOWN,   CGW_RES_REFUSED, CGW_RES_FAILED};
    for (size_t i = 0; i < sizeof states; i++) {
        deliver(&b, i % 2 ? 0 : SMPP_ESM_RECEIPT, 0, "", 0); /* recognised with esm_class 0 too */
        put_tlv(&b, SMPP_TLV_RECEIPTED_MESSAGE_ID, "abc", i % 3 ? 3 : 4);
        put_tlv(&b, SMPP_TLV_MESSAGE_STATE, "\x02\x02\x02\x02", 4); /* wrong length: skipped ... */
        put_tlv(&b, SMPP_TLV_MESSAGE_STATE, &states[i], 1); /* ... the good one behind it counts */
        finish(&b);
        decode(&b, &pdu);
        cr_expect_eq(smpp_kind_of(&pdu), SMPP_KIND_RECEIPT);
        cr_assert_eq(smpp_receipt_parse(&pdu, &r), 0);
        cr_expect_str_eq(r.id, "abc");
        cr_expect_eq(r.result, results[i], "state %zu", i);
    }
    cr_expect_eq(smpp_state_result(10), CGW_RES_UNKNOWN);
}

Checked(smpp_receipt, takes_three_digits_for_a_network_error)
{
    deliver(&b, SMPP_ESM_RECEIPT, 0, "id:77 stat:UNDELIV err:000", 26);
    put_tlv(&b, SMPP_TLV_NETWORK_ERROR_CODE, "027", 3);
    finish(&b);
    decode(&b, &pdu);
    cr_assert_eq(smpp_receipt_parse(&pdu, &r), 0);
    cr_expect_eq(r.code, 27);
}

Checked(smpp_receipt, finds_the_text_in_payload_behind_a_header_in_ucs2_and_in_data_sm)
{
    static const char text[] = "id:77 sub:001 dlvrd:001 stat:DELIVRD err:000";
    uint8_t wide[2 * sizeof text];
    deliver(&b, SMPP_ESM_RECEIPT, 0, "", 0);
    put_tlv(&b, SMPP_TLV_MESSAGE_PAYLOAD, text, sizeof text - 1);
    finish(&b);
    decode(&b, &pdu);
    cr_expect(smpp_receipt_parse(&pdu, &r) == 0 && r.result == CGW_RES_DELIVERED);
    char headed[8 + sizeof text] = "\x05\x00\x03\x01\x02\x01";
    memcpy(headed + 6, text, sizeof text);
    cr_expect_eq(kind(0x44, 0, headed, 6 + sizeof text - 1), SMPP_KIND_RECEIPT);
    cr_expect(smpp_receipt_parse(&pdu, &r) == 0 && !strcmp(r.id, "77"));
    for (size_t i = 0; i < sizeof text; i++)
        smpp_put16(wide + 2 * i, (uint8_t)text[i]);
    cr_expect_eq(kind(0, 8, (char *)wide, 2 * (sizeof text - 1)), SMPP_KIND_RECEIPT);
    cr_expect(smpp_receipt_parse(&pdu, &r) == 0 && !strcmp(r.id, "77"));
    cr_expect_eq(kind(4, 8, text, sizeof text - 1), SMPP_KIND_RECEIPT);
    cr_expect(smpp_receipt_parse(&pdu, &r) == 0 && !strcmp(r.id, "77"), "says UCS-2, is ASCII");
    begin(&b, SMPP_DATA_SM, 0, 3);
    put_str(&b, "");
    put_addr(&b, 1, 1, "4915112345678");
    put_addr(&b, 3, 0, "2255");
    put_octets(&b, "\x04\x00\x00", 3);
    put_tlv(&b, SMPP_TLV_MESSAGE_PAYLOAD, text, sizeof text - 1);
    finish(&b);
    decode(&b, &pdu);
    cr_expect_eq(smpp_kind_of(&pdu), SMPP_KIND_RECEIPT);
    cr_expect(smpp_receipt_parse(&pdu, &r) == 0 && r.result == CGW_RES_DELIVERED);
}

Checked(smpp_receipt, tells_receipts_from_peoples_messages)
{
    static const struct {
        uint8_t esm_class;
        const char *text;
        enum smpp_kind kind;
    } cases[] = {
        {0, "STOP", SMPP_KIND_MO},
        {0, "id:1 stat:DELIVRD", SMPP_KIND_MO}, /* a person may write that */
        {0, "id:77 sub:001 dlvrd:001 stat:DELIVRD err:000 text:", SMPP_KIND_RECEIPT},
        {0, "id:77 sub:001 dlvrd:001 stat:FUNNY err:000 text:", SMPP_KIND_MO},
        {0, "see text:id:77 sub:001 dlvrd:001 stat:DELIVRD err:000", SMPP_KIND_MO},
        {0, "my kid:5 upstat:DELIVRD suberr:1", SMPP_KIND_MO},
        {0x03, "hello", SMPP_KIND_MO},
        {0x80, "hello", SMPP_KIND_MO},
        {0x04, "STOP", SMPP_KIND_RECEIPT},
        {0x24, "id:1", SMPP_KIND_RECEIPT},
        {0x20, "id:1 stat:ENROUTE", SMPP_KIND_INTERMEDIATE},
        {0x08, "", SMPP_KIND_ACK},
        {0x10, "", SMPP_KIND_ACK},
        {0x0C, "STOP", SMPP_KIND_MO}, /* reserved: never lose a person's words */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_expect_eq(kind(cases[i].esm_class, 0, cases[i].text, strlen(cases[i].text)),
                     cases[i].kind, "case %zu", i);
}

Checked(smpp_receipt, intermediate_notifications_are_never_final)
{
    cr_assert_eq(kind(SMPP_ESM_INTERMEDIATE, 0, "id:77 stat:UNDELIV err:001", 26),
                 SMPP_KIND_INTERMEDIATE);
    cr_assert_eq(smpp_receipt_parse(&pdu, &r), 0);
    cr_expect_eq(r.result, CGW_RES_ENROUTE);
}

Checked(smpp_receipt, refuses_what_names_no_message_and_keeps_no_words_of_it)
{
    cr_assert_eq(kind(SMPP_ESM_RECEIPT, 0, "please stop", 11), SMPP_KIND_RECEIPT);
    cr_expect_eq(smpp_receipt_parse(&pdu, &r), -EBADMSG);
    cr_expect_str_eq(r.raw, "");
    char text[254];
    memset(text, '7', sizeof text);
    memcpy(text, "id:", 3);
    cr_assert_eq(kind(SMPP_ESM_RECEIPT, 0, text, sizeof text), SMPP_KIND_RECEIPT);
    cr_expect_eq(smpp_receipt_parse(&pdu, &r), -EBADMSG, "an id that long is dropped, not cut");
}
