/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_sim_codec.c - the simulator's codec, alphabets and counting, without sockets.
 * Must not need a running simulator (tests/sim/selftest.py does). Source: SMPP v3.4 issue 1.2;
 * 3GPP TS 23.040; 3GPP TS 23.038.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../sim/sim_codec.h"
#include "../sim/sim_count.h"
#include "../sim/sim_text.h"

/* Criterion passes a test that leaks; this makes it fail where a leak checker is linked in. */
extern int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

static void no_leaks(void)
{
    if (__lsan_do_recoverable_leak_check)
        cr_assert_eq(__lsan_do_recoverable_leak_check(), 0);
}

TestSuite(sim_codec, .fini = no_leaks);
TestSuite(sim_text, .fini = no_leaks);
TestSuite(sim_count, .fini = no_leaks);

/* Mandatory fields of a submit_sm from 12345 to 447001, then sm_length and what the test appends.
 */
#define HEAD                                                                                       \
    "\0\3\0"                                                                                       \
    "12345\0"                                                                                      \
    "\1\1"                                                                                         \
    "447001\0"                                                                                     \
    "\0\0\0"                                                                                       \
    "\0\0"                                                                                         \
    "\1\0\0\0"
#define PARSE(sm, text) sim_sm_parse(SMPP_SUBMIT_SM, (const uint8_t *)(text), sizeof(text) - 1, sm)

Test(sim_codec, reads_every_field_of_a_submit)
{
    struct sim_sm sm;

    PARSE(&sm, HEAD "\5hello");
    cr_assert_eq(sm.faults, 0);
    cr_assert_str_eq(sm.src.text, "12345");
    cr_assert_eq(sm.src.ton, 3);
    cr_assert_str_eq(sm.dst.text, "447001");
    cr_assert_eq(sm.dst.npi, 1);
    cr_assert_eq(sm.registered, 1);
    cr_assert_eq(sm.text_len, 5);
    cr_assert_arr_eq(sm.text, "hello", 5);
    cr_assert_eq(sm.concat.kind, SIM_CONCAT_NONE);
}

Test(sim_codec, never_reads_past_the_end_wherever_a_pdu_is_cut)
{
    static const char whole[] = HEAD "\5hello\x02\x0c\x00\x02\x00\x07";
    struct sim_sm sm;

    for (size_t n = 0; n < sizeof(whole) - 1; n++) {
        uint8_t *copy = malloc(n + 1); /* the exact size lets a sanitizer see one octet too many */

        memcpy(copy, whole, n);
        copy = realloc(copy, n ? n : 1);
        sim_sm_parse(SMPP_SUBMIT_SM, copy, n, &sm);
        if (n != sizeof(HEAD "\5hello") - 1)
            cr_assert(sm.faults & SIM_F_UNUSABLE, "cut after %zu octets", n);
        free(copy);
    }
}

Test(sim_codec, names_the_fault_of_a_body_or_parameter)
{
    struct sim_sm sm;

    PARSE(&sm, HEAD "\6hello");
    cr_assert_eq(sm.faults, SIM_F_SM_LENGTH);
    PARSE(&sm, HEAD "\1h\x04\x24\x00\x01p");
    cr_assert_eq(sm.faults, SIM_F_BOTH_BODIES);
    PARSE(&sm, HEAD "\1h\x02\x04\x00\x01p");
    cr_assert_eq(sm.faults, SIM_F_TLV_LENGTH);
    cr_assert_eq(sm.fault_tag, 0x0204);
    PARSE(&sm, HEAD "\1h\x02\x0c\x00");
    cr_assert_eq(sm.faults, SIM_F_TLV_CUT);
    PARSE(&sm, HEAD "\1h\x02\x0c\x00\x02\x00\x07");
    cr_assert_eq(sm.faults, SIM_F_SAR_PARTIAL);
}

Test(sim_codec, takes_the_text_from_message_payload)
{
    struct sim_sm sm;

    PARSE(&sm, HEAD "\0\x04\x24\x00\x03pay");
    cr_assert_eq(sm.faults, 0);
    cr_assert(sm.in_payload);
    cr_assert_eq(sm.text_len, 3);
    cr_assert_arr_eq(sm.text, "pay", 3);
}

Test(sim_codec, reads_sar_parameters_in_any_order)
{
    struct sim_sm sm;

    PARSE(&sm, HEAD "\1h"
                    "\x02\x0f\x00\x01\x02"
                    "\x02\x0c\x00\x02\x01\x07"
                    "\x02\x0e\x00\x01\x03");
    cr_assert_eq(sm.faults, 0);
    cr_assert_eq(sm.concat.kind, SIM_CONCAT_SAR);
    cr_assert_eq(sm.concat.ref, 0x107);
    cr_assert_eq(sm.concat.part, 2);
    cr_assert_eq(sm.concat.total, 3);
}

Test(sim_codec, reads_concatenation_beside_other_elements_of_the_header)
{
    static const uint8_t with_empty[] = {0x0B, 0x24, 1, 1, 0x05, 0, 0x08, 4, 0x12, 0x34, 2, 1, 'x'};
    static const uint8_t wide[] = {0x09, 0x24, 1, 1, 0x08, 4, 0x12, 0x34, 2, 1, 'x'};
    struct sim_concat c;

    cr_assert_eq(sim_udh_parse(wide, sizeof(wide), &c), 10);
    cr_assert_eq(c.kind, SIM_CONCAT_UDH16);
    cr_assert_eq(c.ref, 0x1234);
    cr_assert_eq(c.total, 2);
    cr_assert_eq(sim_udh_parse(with_empty, sizeof(with_empty), &c), 12);
    cr_assert_eq(c.ref, 0x1234);
}

Test(sim_codec, refuses_headers_that_do_not_add_up)
{
    static const struct {
        uint8_t octets[6];
        size_t len;
    } bad[] = {
        {{5, 0, 3, 1, 2}, 5}, {{4, 0, 3, 1, 2}, 5}, {{1, 0}, 2}, {{3, 0, 1, 1}, 4}, {{0}, 0}};
    struct sim_concat c;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_assert_eq(sim_udh_parse(bad[i].octets, bad[i].len, &c), -EINVAL, "case %zu", i);
}

Test(sim_codec, writes_a_delivery_that_it_can_read)
{
    static const uint8_t text[300] = {'l', 'o', 'n', 'g'};
    struct sim_sm in = {.src = {1, 1, "447001"}, .dst = {3, 0, "12345"}, .esm_class = 4};
    static const size_t sizes[] = {0, 1, 254, 255, 300};
    struct sim_buf out = {0};

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct sim_sm sm;
        struct sim_head head;
        size_t begin;

        sim_buf_clear(&out);
        in.body = text;
        in.body_len = sizes[i];
        begin = sim_pdu_deliver(&out, SMPP_DELIVER_SM, &in);
        sim_pdu_tlv(&out, SMPP_TLV_STATE, "\2", 1);
        sim_pdu_end(&out, begin);
        sim_head_parse(out.data, &head);
        cr_assert_eq(head.length, out.len);
        sim_sm_parse(head.command, out.data + 16, out.len - 16, &sm);
        cr_assert_eq(sm.faults, 0);
        cr_assert_eq(sm.text_len, sizes[i]);
        cr_assert_eq(sm.in_payload, sizes[i] > 254);
        cr_assert_arr_eq(sm.text, text, sizes[i]);
        cr_assert_eq(sm.message_state, 2);
        cr_assert_str_eq(sm.src.text, "447001");
    }
    sim_buf_done(&out);
}

Test(sim_codec, keeps_begin_valid_when_the_buffer_moves)
{
    struct sim_buf out = {0};
    struct sim_head head;
    static const uint8_t filler[4090];

    sim_buf_put(&out, filler, sizeof(filler));
    sim_buf_eat(&out, sizeof(filler) - 3); /* three octets unread, the next PDU makes it move */
    sim_pdu_end(&out, sim_pdu_begin(&out, SMPP_UNBIND, 0, 9));
    sim_head_parse(sim_buf_at(&out) + 3, &head);
    cr_assert_eq(head.length, 16);
    cr_assert_eq(head.sequence, 9);
    sim_buf_done(&out);
}

Test(sim_text, chooses_the_alphabet_and_reads_back_what_it_wrote)
{
    static const struct {
        const char *text;
        int coding;
        size_t octets;
    } cases[] = {{"plain", 0, 5},
                 {"a@\xE2\x82\xAC{", 0, 6},
                 {"\xE9\x80\x80\xE8\xAE\xA2", 8, 4},
                 {"\xF0\x9F\x98\x80", 8, 4},
                 {"", 0, 0}};
    struct sim_buf out = {0}, back = {0};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int coding = sim_text_write(SIM_CODING_AUTO, cases[i].text, &out);

        cr_assert_eq(coding, cases[i].coding, "case %zu", i);
        cr_assert_eq(out.len, cases[i].octets, "case %zu", i);
        sim_buf_clear(&back);
        sim_text_read(sim_alphabet_of((uint8_t)coding), out.data, out.len, &back);
        sim_buf_put(&back, "", 1);
        cr_assert_str_eq((const char *)back.data, cases[i].text);
    }
    cr_assert_eq(sim_text_write(SIM_CODING_AUTO, "\xC0\x80", &out), -EILSEQ);
    cr_assert_eq(sim_text_write(SIM_CODING_GSM, "\xE9\x80\x80", &out), -EILSEQ);
    sim_buf_done(&out);
    sim_buf_done(&back);
}

Test(sim_text, splits_neither_escapes_nor_surrogate_pairs)
{
    static const uint8_t gsm[] = {'a', 'b', 0x1B, 'e', 'c'};
    static const uint8_t wide[] = {0, 'a', 0xD8, 0x3D, 0xDE, 0x00, 0, 'b'};

    cr_assert_eq(sim_text_cut(0, gsm, sizeof(gsm), 3), 2);
    cr_assert_eq(sim_text_cut(0, gsm, sizeof(gsm), 4), 4);
    cr_assert_eq(sim_text_cut(8, wide, sizeof(wide), 4), 2);
    cr_assert_eq(sim_text_cut(8, wide, sizeof(wide), 7), 6);
    cr_assert_eq(sim_text_cut(8, wide, sizeof(wide), 8), 8);
}

Test(sim_count, finds_the_marker_in_both_widths_and_hashes_the_rest)
{
    uint64_t v;

    cr_assert(sim_count_key((const uint8_t *)"a # #12b #13", 12, false, &v));
    cr_assert_eq(v, 12);
    cr_assert(sim_count_key((const uint8_t *)"\0#\0"
                                             "4\0"
                                             "2\0x",
                            8, true, &v));
    cr_assert_eq(v, 42);
    cr_assert_not(sim_count_key((const uint8_t *)"#", 1, false, &v));
    cr_assert_not(sim_count_key((const uint8_t *)"a", 1, false, &v));
    cr_assert_eq(v, UINT64_C(0xaf63dc4c8601ec8c)); /* FNV-1a of "a" */
}

static struct sim_sm part(uint8_t n, const char *text)
{
    struct sim_sm sm = {.dst = {1, 1, "447001"}, .src = {3, 0, "12345"}};

    sm.concat = (struct sim_concat){SIM_CONCAT_UDH8, 7, 2, n};
    sm.text = (const uint8_t *)text;
    sm.text_len = strlen(text);
    return sm;
}

static void sent(struct sim_count *c, uint8_t n, const char *text, enum sim_verdict verdict)
{
    struct sim_sm sm = part(n, text);
    struct sim_noticed noticed;
    struct sim_ref ref = sim_count_submit(c, 0, 1, &sm, 1000, &noticed);

    if (verdict != SIM_REFUSED_STATUS)
        sim_count_take(c, ref, 1);
    sim_count_settle(c, ref, verdict);
}

Test(sim_count, counts_a_long_message_once_all_its_parts_are_answered)
{
    struct sim_count *c = sim_count_new();
    struct sim_counted n;

    sent(c, 1, "one ", SIM_ACCEPTED_OK);
    sim_count_stats(c, &n);
    cr_assert_eq(n.unique, 0);
    cr_assert_eq(n.incomplete, 1);
    sent(c, 2, "two", SIM_AMBIGUOUS);
    sim_count_stats(c, &n);
    cr_assert_eq(n.unique, 1);
    cr_assert_eq(n.ambiguous, 1);
    cr_assert_eq(n.incomplete, 0);
    sent(c, 2, "two", SIM_ACCEPTED_OK);
    sim_count_stats(c, &n);
    cr_assert_eq(n.accepted, 1);
    cr_assert_eq(n.duplicate, 0);
    sent(c, 1, "one ", SIM_ACCEPTED_OK);
    sent(c, 2, "two", SIM_ACCEPTED_OK);
    sim_count_stats(c, &n);
    cr_assert_eq(n.unique, 1);
    cr_assert_eq(n.duplicate, 1);
    sim_count_free(c);
}

Test(sim_count, ignores_what_was_submitted_before_a_reset)
{
    struct sim_count *c = sim_count_new();
    struct sim_sm sm = part(1, "one");
    struct sim_noticed noticed;
    struct sim_ref ref = sim_count_submit(c, 0, 1, &sm, 1000, &noticed);
    struct sim_counted n;

    sim_count_reset(c);
    sim_count_settle(c, ref, SIM_ACCEPTED_OK);
    sim_count_stats(c, &n);
    cr_assert_eq(n.keys, 0);
    cr_assert_eq(n.incomplete, 0);
    sim_count_free(c);
}
