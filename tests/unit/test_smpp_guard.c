/* SPDX-License-Identifier: Apache-2.0 */
/* test_smpp_guard.c - framing, the walk over what comes in, and decoding of every
 * command an ESME receives. */
#include "guard.h"
#include "test_smpp_build.h"

#include <errno.h>
#include <stdlib.h>

TestSuite(smpp_guard, .timeout = 20);

static struct build b;
static struct smpp_pdu pdu;

Checked(smpp_guard, frames_only_lengths_from_16_to_64_kib)
{
    static const struct {
        uint32_t length;
        int rc;
    } cases[] = {{0, -EBADMSG},     {15, -EBADMSG},        {16, 1}, {17, 0}, {65536, 0},
                 {65537, -EBADMSG}, {0xFFFFFFFF, -EBADMSG}};
    uint8_t buf[16] = {0};
    uint32_t len = 0;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        smpp_put32(buf, cases[i].length);
        cr_expect_eq(smpp_frame(buf, sizeof buf, &len), cases[i].rc, "length %u", cases[i].length);
        if (cases[i].rc >= 0)
            cr_expect_eq(len, cases[i].length);
    }
    cr_expect_eq(smpp_frame(buf, 3, &len), 0, "three octets say nothing yet");
    cr_expect_eq(len, 16);
}

/* A valid PDU of 171 octets that would make the codec library write past its error log. */
Checked(smpp_guard, survives_thirty_empty_optional_parameters)
{
    begin(&b, SMPP_DELIVER_SM, 0, 1);
    put_str(&b, "");
    put_addr(&b, 1, 1, "4917012345678");
    put_addr(&b, 5, 0, "ACME");
    put_octets(&b, "\0\0\0\0\0\0\0\0\0\0", 10);
    for (int i = 0; i < 30; i++)
        put_tlv(&b, 0x1400, "", 0);
    finish(&b);
    uint8_t *exact = malloc(b.len); /* one octet read too far would be seen here */
    cr_assert_not_null(exact);
    memcpy(exact, b.octets, b.len);
    cr_assert_eq(smpp_decode(exact, b.len, &pdu), 0);
    cr_expect_eq(pdu.n_tlvs, 30);
    cr_expect_eq(pdu.tlvs_dropped, 0);
    cr_expect_str_eq(pdu.source.text, "4917012345678");
    free(exact);
}

Checked(smpp_guard, keeps_64_optional_parameters_and_counts_the_rest_of_a_full_pdu)
{
    deliver(&b, 0, 0, "x", 1);
    uint32_t n = 0;
    for (; b.len + 4 <= SMPP_PDU_MAX; n++)
        put_tlv(&b, (uint16_t)(0x1400 + n % 256), "", 0);
    finish(&b);
    decode(&b, &pdu);
    cr_expect_eq(pdu.n_tlvs, SMPP_TLVS_MAX);
    cr_expect_eq(pdu.tlvs_dropped, n - SMPP_TLVS_MAX);
}

Checked(smpp_guard, decodes_every_field_of_deliver_sm)
{
    begin(&b, SMPP_DELIVER_SM, 0, 0xFFFFFFFF);
    put_str(&b, "WAP");
    put_addr(&b, 2, 8, "15112345678");
    put_addr(&b, 6, 9, "2255");
    put_octets(&b, "\x40\x7F\x03", 3);
    put_str(&b,
            "261122120000000+"); /* peers fill these two although the specification empties them */
    put_str(&b, "000001000000000R");
    put_octets(&b,
               "\x01\x00\xF1\x00\x03"
               "abc",
               8);
    put_tlv(&b, 0x0204, "\x12\x34", 2);
    finish(&b);
    decode(&b, &pdu);
    cr_expect_eq(pdu.sequence, 0xFFFFFFFF);
    cr_expect_str_eq(pdu.service_type, "WAP");
    cr_expect_eq(pdu.source.ton, 2);
    cr_expect_eq(pdu.source.npi, 8);
    cr_expect_str_eq(pdu.source.text, "15112345678");
    cr_expect_eq(pdu.destination.ton, 6);
    cr_expect_str_eq(pdu.destination.text, "2255");
    cr_expect_eq(pdu.esm_class, 0x40);
    cr_expect_eq(pdu.protocol_id, 0x7F);
    cr_expect_eq(pdu.priority, 3);
    cr_expect_eq(pdu.registered_delivery, 1);
    cr_expect_eq(pdu.data_coding, 0xF1);
    cr_expect_eq(pdu.short_len, 3);
    cr_expect_arr_eq(pdu.short_message, "abc", 3);
    uint32_t v = 0;
    cr_expect(smpp_pdu_tlv_uint(&pdu, 0x0204, 2, &v) && v == 0x1234);
    cr_expect_not(smpp_pdu_tlv_uint(&pdu, 0x0204, 1, &v), "another length is another thing");
}

Checked(smpp_guard, keeps_ton_and_npi_of_no_meaning)
{
    begin(&b, SMPP_DATA_SM, 0, 0);
    put_str(&b, "");
    put_addr(&b, 28, 29, "Alicer");
    put_addr(&b, 7, 2, "Bobo");
    put_octets(&b, "\x04\x00\x08", 3);
    finish(&b);
    decode(&b, &pdu);
    cr_expect_eq(pdu.source.ton, 28);
    cr_expect_eq(pdu.source.npi, 29);
    cr_expect_eq(pdu.destination.ton, 7);
    cr_expect_eq(pdu.destination.npi, 2);
    cr_expect_eq(pdu.data_coding, 8);
    cr_expect_str_eq(pdu.destination.text, "Bobo");
}

Checked(smpp_guard, cuts_strings_that_are_too_long_instead_of_losing_the_pdu)
{
    char address[200];
    memset(address, '7', sizeof address);
    address[sizeof address - 1] = 0;
    begin(&b, SMPP_DELIVER_SM, 0, 1);
    put_str(&b, "TOOLONGTYPE");
    put_addr(&b, 1, 1, address);
    put_addr(&b, 1, 1, "49");
    put_octets(&b, "\0\0\0\0\0\0\0\0\0\x02ok", 12);
    finish(&b);
    decode(&b, &pdu);
    cr_expect_str_eq(pdu.service_type, "TOOLO");
    cr_expect_eq(strlen(pdu.source.text), SMPP_ADDR_MAX);
    cr_expect_arr_eq(pdu.short_message, "ok", 2);
}

Checked(smpp_guard, refuses_a_deliver_sm_that_ends_in_a_field_at_every_length)
{
    deliver(&b, 0, 0, "hello", 5);
    uint32_t whole = b.len;
    for (uint32_t n = SMPP_HEADER_LEN; n < whole; n++) {
        uint8_t *exact = malloc(n);
        cr_assert_not_null(exact);
        memcpy(exact, b.octets, n);
        smpp_put32(exact, n);
        cr_expect_eq(smpp_decode(exact, n, &pdu), -EBADMSG, "%u of %u octets", n, whole);
        cr_expect_eq(pdu.sequence, 7);
        free(exact);
    }
}

Checked(smpp_guard, takes_254_octets_and_refuses_255)
{
    char text[255];
    memset(text, 'x', sizeof text);
    deliver(&b, 0, 0, text, 254);
    decode(&b, &pdu);
    cr_expect_eq(pdu.short_len, 254);
    deliver(&b, 0, 0, text, 255);
    cr_expect_eq(smpp_decode(b.octets, b.len, &pdu), -EBADMSG);
}

Checked(smpp_guard, ignores_octets_behind_the_last_whole_optional_parameter)
{
    deliver(&b, 0, 0, "x", 1);
    put_tlv(&b, SMPP_TLV_MESSAGE_STATE, "\x02", 1);
    put_octets(&b, "\x04\x24\xFF\xFF\x00", 5);
    finish(&b);
    decode(&b, &pdu);
    cr_expect(pdu.tail_bad);
    cr_expect_eq(pdu.n_tlvs, 1);
}

Checked(smpp_guard, takes_responses_in_all_their_shapes)
{
    static const struct {
        const char *body;
        size_t len;
        uint32_t status;
        const char *id, *words;
    } cases[] = {
        {"", 0, 0, "", ""},
        {"\0", 1, 0, "", ""},
        {"1a2b\0", 5, 0, "1a2b", ""},
        {"1a2b", 4, 0, "1a2b", ""}, /* NUL forgotten */
        {"1a2b\0\x04\x20\x00\x01\x02", 10, 0, "1a2b", ""},
        {"", 0, 0x45, "", ""},
        {"\0", 1, 0x45, "", ""},
        {"1a2b\0", 5, 0x45, "", ""},
        {"\x00\x1d\x00\x02no", 6, 0x45, "", "no"}, /* parameters without an id before them */
        {"\0\x00\x1d\x00\x02no", 7, 0x45, "", "no"},
        {"\x00\x1d\x00\x03n\x07o", 7, 0x400, "", "n?o"},
        {"\x01\x02\x03", 3, 0x45, "", ""},
    };
    char words[32];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        begin(&b, SMPP_SUBMIT_SM | SMPP_RESP, cases[i].status, (uint32_t)i);
        put_octets(&b, cases[i].body, cases[i].len);
        finish(&b);
        decode(&b, &pdu);
        cr_expect_eq(pdu.status, cases[i].status);
        cr_expect_eq(pdu.sequence, i);
        cr_expect_str_eq(pdu.message_id, cases[i].id, "case %zu", i);
        smpp_pdu_error_text(&pdu, words, sizeof words);
        cr_expect_str_eq(words, cases[i].words, "case %zu", i);
    }
}

Checked(smpp_guard, reads_bind_and_query_responses)
{
    begin(&b, SMPP_BIND_TRANSCEIVER | SMPP_RESP, 0, 1);
    put_str(&b, "a-system-id-that-is-too-long");
    put_tlv(&b, SMPP_TLV_SC_INTERFACE_VERSION, "\x50", 1);
    finish(&b);
    decode(&b, &pdu);
    cr_expect_str_eq(pdu.system_id, "a-system-id-tha");
    cr_expect_eq(pdu.interface_version, 0x50);
    begin(&b, SMPP_QUERY_SM | SMPP_RESP, 0, 2);
    put_str(&b, "77");
    put_str(&b, "261122120000000+");
    put_octets(&b, "\x09\x21", 2);
    finish(&b);
    decode(&b, &pdu);
    cr_expect_str_eq(pdu.message_id, "77");
    cr_expect_str_eq(pdu.final_date, "261122120000000+");
    cr_expect_eq(pdu.message_state, 9);
    cr_expect_eq(pdu.error_code, 0x21);
}

Checked(smpp_guard, answers_what_it_cannot_take_and_never_answers_a_response)
{
    uint32_t command = 0, status = 0;
    begin(&b, 0x110, 0, 3);
    int rc = smpp_decode(b.octets, b.len, &pdu);
    cr_expect_eq(rc, -ENOSYS);
    cr_expect(smpp_decode_answer(rc, pdu.command, &command, &status));
    cr_expect(command == SMPP_GENERIC_NACK && status == SMPP_RINVCMDID);
    begin(&b, SMPP_SUBMIT_SM, 0, 3);
    cr_expect_eq(smpp_decode(b.octets, b.len, &pdu), -ENOSYS, "an SMSC does not submit to us");
    begin(&b, 0x80000110, 0, 3);
    rc = smpp_decode(b.octets, b.len, &pdu);
    cr_expect_not(smpp_decode_answer(rc, pdu.command, &command, &status));
    begin(&b, SMPP_DELIVER_SM, 0, 9);
    rc = smpp_decode(b.octets, b.len, &pdu);
    cr_expect(smpp_decode_answer(rc, pdu.command, &command, &status));
    cr_expect(command == (SMPP_DELIVER_SM | SMPP_RESP) && status == SMPP_RINVCMDLEN);
    begin(&b, SMPP_ALERT_NOTIFICATION, 0, 9);
    rc = smpp_decode(b.octets, b.len, &pdu);
    cr_expect_not(smpp_decode_answer(rc, pdu.command, &command, &status), "it has no response");
}

Checked(smpp_guard, finds_the_text_in_short_message_or_payload_never_both)
{
    uint32_t n = 0;
    deliver(&b, 0, 0, "", 0);
    put_tlv(&b, SMPP_TLV_MESSAGE_PAYLOAD, "payload", 7);
    finish(&b);
    decode(&b, &pdu);
    cr_expect_arr_eq(smpp_pdu_text(&pdu, &n), "payload", 7);
    cr_expect_eq(n, 7);
    deliver(&b, 0, 0, "short", 5);
    put_tlv(&b, SMPP_TLV_MESSAGE_PAYLOAD, "payload", 7);
    finish(&b);
    decode(&b, &pdu);
    cr_expect_arr_eq(smpp_pdu_text(&pdu, &n), "short", 5);
    cr_expect_eq(n, 5);
    deliver(&b, 0, 0, "", 0);
    decode(&b, &pdu);
    cr_expect_not_null(smpp_pdu_text(&pdu, &n));
    cr_expect_eq(n, 0);
}
