/* SPDX-License-Identifier: Apache-2.0 */
/* test_smpp_pdu.c - what we send, octet by octet, and what we refuse to send. */
#include "test_smpp_build.h"

#include <errno.h>

TestSuite(smpp_pdu, .timeout = 20);

static struct build b;
static uint8_t out[SMPP_ENCODE_CAP(SMPP_PAYLOAD_MAX)];
static uint8_t text[SMPP_PAYLOAD_MAX + 1];

static struct smpp_submit plain(void)
{
    return (struct smpp_submit){.service_type = "CMT",
                                .source = {5, 0, "ACME"},
                                .destination = {1, 1, "4915112345678"},
                                .registered_delivery = 1,
                                .validity_period = "000001000000000R",
                                .text = (const uint8_t *)"\0hi", /* "@hi" */
                                .text_len = 3};
}

/* The mandatory part of plain(), written by hand. */
static void expect_plain(uint8_t esm_class, uint8_t data_coding, const void *short_message,
                         uint8_t n)
{
    const uint8_t flags[] = {esm_class, 0, 0}, tail[] = {1, 0, data_coding, 0, n};
    begin(&b, SMPP_SUBMIT_SM, 0, 0x7FFFFFFF);
    put_str(&b, "CMT");
    put_addr(&b, 5, 0, "ACME");
    put_addr(&b, 1, 1, "4915112345678");
    put_octets(&b, flags, 3);
    put_str(&b, "");
    put_str(&b, "000001000000000R");
    put_octets(&b, tail, 5);
    put_octets(&b, short_message, n);
}

static void expect_out(int n)
{
    finish(&b);
    cr_assert_eq(n, (int)b.len, "%d octets, expected %u", n, b.len);
    cr_expect_arr_eq(out, b.octets, b.len);
}

Checked(smpp_pdu, writes_submit_sm_with_a_nul_inside_the_text)
{
    struct smpp_submit sm = plain();
    int n = smpp_encode_submit(out, sizeof out, 0x7FFFFFFF, &sm);
    expect_plain(0, 0, "\0hi", 3);
    expect_out(n);
}

/* Person and text are set into a PDU that was packed before: nothing of the one before may stay. */
Checked(smpp_pdu, sends_nobody_anything_of_the_submit_before)
{
    struct smpp_submit sm = plain(), other = plain();
    int n = smpp_encode_submit(out, sizeof out, 1, &sm);
    strcpy(other.destination.text, "49301");
    other.text = (const uint8_t *)"longer than the first";
    other.text_len = 21;
    cr_expect_eq(smpp_encode_submit(out, sizeof out, 2, &other), n - 8 + 18);
    other.source = (struct smpp_addr){3, 1, "10690"};
    other.service_type = NULL;
    other.data_coding = 8;
    other.validity_period = NULL;
    n = smpp_encode_submit(out, sizeof out, 3, &other);
    begin(&b, SMPP_SUBMIT_SM, 0, 3);
    put_str(&b, "");
    put_addr(&b, 3, 1, "10690");
    put_addr(&b, 1, 1, "49301");
    put_octets(&b, "\0\0\0\0\0\x01\0\x08\0\x15longer than the first", 31);
    expect_out(n);
    other.registered_delivery = 0;
    cr_expect_eq(smpp_encode_submit(out, sizeof out, 4, &other), n);
    cr_expect_eq(out[n - 26], 0, "a flag of its own");
    n = smpp_encode_submit(out, sizeof out, 0x7FFFFFFF, &sm);
    expect_plain(0, 0, "\0hi", 3);
    expect_out(n);
}

/* Each field alone must make another PDU, also behind one that differs in nothing else. */
Checked(smpp_pdu, sends_every_field_of_its_own)
{
    static uint8_t first[1024];
    struct smpp_submit sm = plain(), v[12];
    int n = smpp_encode_submit(first, sizeof first, 1, &sm);
    for (size_t i = 0; i < 12; i++)
        v[i] = sm;
    v[0].service_type = "WAP";
    v[1].source.ton = 1;
    v[2].source.npi = 1;
    strcpy(v[3].source.text, "ACMF");
    v[4].destination.ton = 2;
    v[5].destination.npi = 8;
    v[6].esm_class = 3;
    v[7].protocol_id = 1;
    v[8].priority = 1;
    v[9].validity_period = "000002000000000R";
    v[10].registered_delivery = 0;
    v[11].data_coding = 8;
    for (size_t i = 0; i < 12; i++) {
        cr_expect_eq(smpp_encode_submit(out, sizeof out, 1, &sm), n);
        cr_expect_arr_eq(out, first, (size_t)n);
        cr_expect_eq(smpp_encode_submit(out, sizeof out, 1, &v[i]), n, "%zu", i);
        cr_expect_neq(memcmp(out, first, (size_t)n), 0, "field %zu is that of the submit before",
                      i);
    }
    sm.schedule = "261122120000000+";
    cr_expect_eq(smpp_encode_submit(out, sizeof out, 1, &sm), n + 16);
}

Checked(smpp_pdu, appends_sar_reference_and_the_routes_own_parameters)
{
    struct smpp_submit sm = plain();
    struct smpp_extra extra = {0};
    cr_assert_eq(smpp_extra_add(&extra, "0x1400=0a0B", NULL), 0);
    cr_assert_eq(smpp_extra_add(&extra, "1403=", NULL), 0);
    sm.has_sar = sm.has_user_ref = true;
    sm.sar_ref = 0x0102;
    sm.sar_total = 3;
    sm.sar_index = 2;
    sm.user_ref = 0xBEEF;
    sm.extra = extra.tlvs;
    sm.n_extra = extra.n;
    int n = smpp_encode_submit(out, sizeof out, 0x7FFFFFFF, &sm);
    expect_plain(0, 0, "\0hi", 3);
    put_tlv(&b, 0x0204, "\xBE\xEF", 2);
    put_tlv(&b, 0x020C, "\x01\x02", 2);
    put_tlv(&b, 0x020E, "\x03", 1);
    put_tlv(&b, 0x020F, "\x02", 1);
    put_tlv(&b, 0x1400, "\x0A\x0B", 2);
    put_tlv(&b, 0x1403, "", 0);
    expect_out(n);
}

Checked(smpp_pdu, sends_payloads_beyond_what_the_library_can_and_leaves_short_message_empty)
{
    static const uint32_t lens[] = {0, 1, 1024, 1025, SMPP_PAYLOAD_MAX};
    memset(text, 0xA5, sizeof text);
    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        struct smpp_submit sm = plain();
        sm.text = text;
        sm.text_len = lens[i];
        sm.payload = true;
        int n = smpp_encode_submit(out, sizeof out, 0x7FFFFFFF, &sm);
        expect_plain(0, 0, "", 0);
        put_tlv(&b, SMPP_TLV_MESSAGE_PAYLOAD, text, lens[i]);
        expect_out(n);
    }
}

Checked(smpp_pdu, refuses_what_the_library_would_cut_in_silence)
{
    struct smpp_submit sm = plain();
    sm.text = text;
    sm.text_len = SMPP_SHORT_MAX;
    cr_expect_gt(smpp_encode_submit(out, sizeof out, 1, &sm), 0);
    sm.text_len = SMPP_SHORT_MAX + 1;
    cr_expect_eq(smpp_encode_submit(out, sizeof out, 1, &sm), -EMSGSIZE);
    sm.payload = true;
    sm.text_len = SMPP_PAYLOAD_MAX + 1;
    cr_expect_eq(smpp_encode_submit(out, sizeof out, 1, &sm), -EMSGSIZE);
    sm = plain();
    memcpy(sm.destination.text, "123456789012345678901", 22);
    cr_expect_eq(smpp_encode_submit(out, sizeof out, 1, &sm), -EINVAL, "21 characters of address");
    sm = plain();
    sm.service_type = "SIXSIX";
    cr_expect_eq(smpp_encode_submit(out, sizeof out, 1, &sm), -EINVAL);
    sm = plain();
    sm.validity_period = "0000010000000";
    cr_expect_eq(smpp_encode_submit(out, sizeof out, 1, &sm), -EINVAL,
                 "times are empty or 16 characters");
    sm = plain();
    sm.source.ton = 7;
    cr_expect_eq(smpp_encode_submit(out, sizeof out, 1, &sm), -EINVAL);
    sm = plain();
    sm.has_sar = true;
    sm.esm_class = SMPP_ESM_UDHI;
    cr_expect_eq(smpp_encode_submit(out, sizeof out, 1, &sm), -EINVAL, "UDH and SAR do not mix");
}

Checked(smpp_pdu, needs_exactly_the_room_it_fills)
{
    struct smpp_submit sm = plain();
    sm.has_user_ref = true;
    int n = smpp_encode_submit(out, sizeof out, 1, &sm);
    cr_assert_gt(n, 0);
    cr_expect_eq(smpp_encode_submit(out, (size_t)n, 1, &sm), n);
    for (int cap = 0; cap < n; cap++)
        cr_expect_eq(smpp_encode_submit(out, (size_t)cap, 1, &sm), -ENOBUFS);
}

Checked(smpp_pdu, writes_binds_and_refuses_long_passwords_without_showing_them)
{
    struct smpp_bind bind = {SMPP_BIND_TRANSCEIVER, "campaign", "s3cret78", "VMA", "", 0x34, 1, 1};
    struct cgw_diag diag = {.size = sizeof diag};
    int n = smpp_encode_bind(out, sizeof out, 1, &bind);
    begin(&b, SMPP_BIND_TRANSCEIVER, 0, 1);
    put_str(&b, "campaign");
    put_str(&b, "s3cret78");
    put_str(&b, "VMA");
    put_octets(&b, "\x34\x01\x01", 3);
    put_str(&b, "");
    expect_out(n);
    cr_expect_eq(smpp_bind_check(&bind, &diag), 0);
    bind.password = "s3cret789";
    cr_expect_eq(smpp_encode_bind(out, sizeof out, 1, &bind), -EINVAL);
    cr_expect_eq(smpp_bind_check(&bind, &diag), CGW_EINVAL);
    cr_expect_str_eq(diag.where, "password");
    cr_expect_null(strstr(diag.text, "s3cret"));
    bind.password = "ok";
    bind.system_id = "sixteen-chars-id";
    cr_expect_eq(smpp_bind_check(&bind, &diag), CGW_EINVAL);
    bind.system_id = "bad\x01id";
    cr_expect_eq(smpp_bind_check(&bind, NULL), CGW_EINVAL);
    bind.system_id = NULL;
    cr_expect_eq(smpp_bind_check(&bind, NULL), 0);
}

Checked(smpp_pdu, writes_answers_with_any_status_and_sequence)
{
    static const struct {
        uint32_t command, status, sequence;
        size_t body;
    } cases[] = {
        {SMPP_ENQUIRE_LINK, 0, 5, 0},
        {SMPP_ENQUIRE_LINK | SMPP_RESP, 0, 0, 0},
        {SMPP_UNBIND, 0, 0x7FFFFFFF, 0},
        {SMPP_UNBIND | SMPP_RESP, 0, 1, 0},
        {SMPP_GENERIC_NACK, SMPP_RINVCMDLEN, 0, 0},
        {SMPP_DELIVER_SM | SMPP_RESP, SMPP_RX_T_APPN, 0xFFFFFFFF, 1},
        {SMPP_DATA_SM | SMPP_RESP, 0x4FF, 3, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int n = smpp_encode_simple(out, sizeof out, cases[i].command, cases[i].status,
                                   cases[i].sequence);
        begin(&b, cases[i].command, cases[i].status, cases[i].sequence);
        put_octets(&b, "", cases[i].body);
        expect_out(n);
    }
    cr_expect_eq(smpp_encode_simple(out, sizeof out, SMPP_SUBMIT_SM, 0, 1), -EINVAL);
    cr_expect_eq(smpp_encode_simple(out, 15, SMPP_UNBIND, 0, 1), -ENOBUFS);
}

Checked(smpp_pdu, writes_query_and_cancel)
{
    const struct smpp_addr source = {5, 0, "ACME"}, destination = {1, 1, "4915112345678"};
    int n = smpp_encode_query(out, sizeof out, 9, "1a2b", &source);
    begin(&b, SMPP_QUERY_SM, 0, 9);
    put_str(&b, "1a2b");
    put_addr(&b, 5, 0, "ACME");
    expect_out(n);
    n = smpp_encode_cancel(out, sizeof out, 9, "1a2b", NULL, &source, &destination);
    begin(&b, SMPP_CANCEL_SM, 0, 9);
    put_str(&b, "");
    put_str(&b, "1a2b");
    put_addr(&b, 5, 0, "ACME");
    put_addr(&b, 1, 1, "4915112345678");
    expect_out(n);
    char id[67];
    memset(id, 'a', 65);
    id[65] = 0;
    cr_expect_eq(smpp_encode_query(out, sizeof out, 9, id, &source), -EINVAL);
}

Checked(smpp_pdu, refuses_vendor_parameters_that_are_wrong_or_its_own)
{
    static const char *const bad[] = {"",         "1400",       "=00",         "0x=00",
                                      "12345=00", "14g0=00",    "1400=0",      "1400=0g",
                                      "0424=00",  "0x20C=0001", "0x0204=0001", "-1=00"};
    struct smpp_extra e = {0};
    struct cgw_diag diag = {.size = sizeof diag};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        diag.text[0] = 0;
        cr_expect_eq(smpp_extra_add(&e, bad[i], &diag), CGW_EINVAL, "\"%s\"", bad[i]);
        cr_expect_neq(diag.text[0], 0);
    }
    char item[5 + 2 * (SMPP_EXTRA_VALUE_MAX + 1) + 1];
    memset(item, '0', sizeof item);
    memcpy(item, "1400=", 5);
    item[sizeof item - 1] = 0;
    cr_expect_eq(smpp_extra_add(&e, item, &diag), CGW_ELIMIT);
    for (uint32_t i = 0; i < SMPP_OUT_TLVS_MAX; i++)
        cr_expect_eq(smpp_extra_add(&e, "1400=00", NULL), 0);
    cr_expect_eq(smpp_extra_add(&e, "1400=00", &diag), CGW_ELIMIT);
}

Checked(smpp_pdu, sequence_numbers_wrap_to_one)
{
    cr_expect_eq(smpp_seq_next(0), 1);
    cr_expect_eq(smpp_seq_next(1), 2);
    cr_expect_eq(smpp_seq_next(SMPP_SEQ_MAX - 1), SMPP_SEQ_MAX);
    cr_expect_eq(smpp_seq_next(SMPP_SEQ_MAX), 1);
    cr_expect_str_eq(smpp_status_name(0x58), "ESME_RTHROTTLED");
    cr_expect_str_eq(smpp_status_name(0x401), "vendor");
    cr_expect_str_eq(smpp_command_name(0x80000005), "deliver_sm_resp");
    cr_expect_str_eq(smpp_command_name(0x110), "unknown");
}
