/* SPDX-License-Identifier: Apache-2.0 */
/* test_smpp_corpus.c - PDUs of real SMSCs and of other implementations' tests, one JSON object a
 * line in the file that CAMPGW_SMPP_CORPUS names: what an ESME can receive must be read as it was
 * meant, the rest be refused. Skipped when unset. Members used: n, hex, command, command_id,
 * command_status, sequence_number, valid, fields, tlvs [{tag, hex}]. */
#include "guard.h"
#include "reassembly.h"
#include "receipt.h"
#include "test_smpp_build.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

TestSuite(smpp_corpus, .timeout = 60);

#define LINE_MAX_BYTES (1u << 20)

static uint8_t octets[SMPP_PDU_MAX];
static struct smpp_pdu pdu;
static int n_line;

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static uint32_t unhex(const char *hex, uint8_t *out, size_t cap)
{
    uint32_t n = 0;
    for (; hex[0] && hex[1] && n < cap; hex += 2)
        out[n++] = (uint8_t)(digit(hex[0]) * 16 + digit(hex[1]));
    return n;
}

static void expect_str(const json_t *fields, const char *key, const char *value, size_t max)
{
    const char *s = json_string_value(json_object_get(fields, key));
    if (s)
        cr_expect(strlen(s) > max || !strcmp(s, value), "PDU %d: %s is \"%s\", not \"%s\"", n_line,
                  key, value, s);
}

static void expect_int(const json_t *fields, const char *key, uint32_t value)
{
    const json_t *v = json_object_get(fields, key);
    if (v)
        cr_expect_eq((uint32_t)json_integer_value(v), value, "PDU %d: %s is %u", n_line, key,
                     value);
}

static void expect_fields(const json_t *f)
{
    expect_str(f, "system_id", pdu.system_id, SMPP_SYSTEM_ID_MAX);
    expect_str(f, "message_id", pdu.message_id, SMPP_MSGID_MAX);
    expect_str(f, "final_date", pdu.final_date, SMPP_TIME_LEN);
    expect_str(f, "service_type", pdu.service_type, SMPP_SERVICE_TYPE_MAX);
    expect_str(f, "source_addr", pdu.source.text, SMPP_LONG_ADDR_MAX);
    expect_str(f, "destination_addr", pdu.destination.text, SMPP_LONG_ADDR_MAX);
    expect_str(f, "esme_addr", pdu.destination.text, SMPP_LONG_ADDR_MAX);
    expect_int(f, "message_state", pdu.message_state);
    expect_int(f, "error_code", pdu.error_code);
    expect_int(f, "source_addr_ton", pdu.source.ton);
    expect_int(f, "source_addr_npi", pdu.source.npi);
    expect_int(f, "dest_addr_ton", pdu.destination.ton);
    expect_int(f, "dest_addr_npi", pdu.destination.npi);
    expect_int(f, "esme_addr_ton", pdu.destination.ton);
    expect_int(f, "esme_addr_npi", pdu.destination.npi);
    expect_int(f, "esm_class", pdu.esm_class);
    expect_int(f, "protocol_id", pdu.protocol_id);
    expect_int(f, "priority_flag", pdu.priority);
    expect_int(f, "registered_delivery", pdu.registered_delivery);
    expect_int(f, "data_coding", pdu.data_coding);
    expect_int(f, "sm_length", pdu.short_len);
    const char *hex = json_string_value(json_object_get(f, "short_message_hex"));
    if (hex) {
        uint8_t want[SMPP_SHORT_IN_MAX];
        cr_assert_eq(unhex(hex, want, sizeof want), pdu.short_len, "PDU %d", n_line);
        cr_expect_arr_eq(want, pdu.short_message, pdu.short_len, "PDU %d", n_line);
    }
}

/* The n-th parameter as the corpus lists it; error responses and header-only commands may keep
 * none. */
static void expect_tlvs(const json_t *tlvs)
{
    static uint8_t want[SMPP_PDU_MAX];
    if (!pdu.has_body)
        return;
    cr_expect_eq(json_array_size(tlvs), pdu.n_tlvs + pdu.tlvs_dropped, "PDU %d", n_line);
    for (uint32_t i = 0; i < pdu.n_tlvs && i < json_array_size(tlvs); i++) {
        const json_t *t = json_array_get(tlvs, i);
        uint32_t n = unhex(json_string_value(json_object_get(t, "hex")), want, sizeof want);
        cr_expect_eq(strtoul(json_string_value(json_object_get(t, "tag")), NULL, 16),
                     pdu.tlvs[i].tag, "PDU %d", n_line);
        cr_assert_eq(n, pdu.tlvs[i].len, "PDU %d parameter %u", n_line, i);
        cr_expect(!n || !memcmp(want, pdu.tlvs[i].value, n), "PDU %d parameter %u", n_line, i);
    }
}

/* Value of receipted_message_id without its NUL; false when absent. */
static bool corpus_id(const json_t *tlvs, char *out, size_t cap)
{
    size_t i = 0;
    const json_t *t = NULL;
    json_array_foreach(tlvs, i, t)
    {
        if (strcmp(json_string_value(json_object_get(t, "tag")), "0x001e"))
            continue;
        uint32_t n = unhex(json_string_value(json_object_get(t, "hex")), (uint8_t *)out, cap - 1);
        out[n] = 0;
        return true;
    }
    return false;
}

static void expect_receipt(const json_t *f, const json_t *tlvs)
{
    struct smpp_receipt r;
    char id[CGW_PROVIDER_ID_MAX];
    cr_expect_eq(smpp_kind_of(&pdu), SMPP_KIND_RECEIPT, "PDU %d", n_line);
    cr_assert_eq(smpp_receipt_parse(&pdu, &r), 0, "PDU %d names its message", n_line);
    const json_t *want = json_object_get(f, "receipt");
    if (corpus_id(tlvs, id, sizeof id))
        cr_expect_str_eq(r.id, id, "PDU %d: id %s", n_line, r.id);
    else
        expect_str(want, "id", r.id, sizeof r.id);
    cr_expect_neq(r.id[0], 0, "PDU %d", n_line);
    cr_expect_neq(r.state, 255, "PDU %d: state not understood", n_line);
    cr_expect_null(strstr(r.raw, "ext:"), "PDU %d: the message's text is kept", n_line);
    expect_str(want, "stat", r.stat, sizeof r.stat);
    expect_str(want, "err", r.err, sizeof r.err);
    expect_str(want, "submit_date", r.submit_date, sizeof r.submit_date);
    expect_str(want, "done_date", r.done_date, sizeof r.done_date);
    const char *stat = json_string_value(json_object_get(want, "stat"));
    if (stat && !strcmp(stat, "DELIVRD"))
        cr_expect_eq(r.result, CGW_RES_DELIVERED, "PDU %d", n_line);
    if (stat && !strcmp(stat, "UNDELIV"))
        cr_expect_eq(r.result, CGW_RES_FAILED, "PDU %d", n_line);
}

static void expect_text(const json_t *f)
{
    const struct smpp_reasm_limits limits = {0};
    struct smpp_reasm *r = smpp_reasm_new(&limits, SMPP_ALPHA_GSM);
    struct smpp_mo mo;
    cr_assert_not_null(r);
    cr_expect_eq(smpp_kind_of(&pdu), SMPP_KIND_MO, "PDU %d", n_line);
    int rc = smpp_reasm_add(r, 0, &pdu, 1, &mo);
    if (rc == 0) /* a part: what is there comes out in the end */
        rc = smpp_reasm_expired(r, INT64_MAX, &mo);
    cr_assert_eq(rc, 1, "PDU %d", n_line);
    const char *text = json_string_value(json_object_get(f, "text"));
    if (text && text[0])
        cr_expect(mo.utf8 && strstr(mo.utf8, text), "PDU %d: \"%s\", expected \"%s\"", n_line,
                  mo.utf8, text);
    smpp_mo_done(&mo);
    smpp_reasm_free(r);
}

static bool receivable(const char *command)
{
    static const char *const no[] = {"bind_receiver",   "bind_transmitter", "bind_transceiver",
                                     "submit_sm",       "submit_multi",     "submit_multi_resp",
                                     "query_sm",        "cancel_sm",        "replace_sm",
                                     "deliver_sm_resp", "unknown",          "?"};
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++)
        if (!strcmp(command, no[i]))
            return false;
    return true;
}

/* \return 1 when the PDU is one that an ESME can receive. */
static int check_valid(const json_t *j, uint32_t len)
{
    const json_t *f = json_object_get(j, "fields"), *tlvs = json_object_get(j, "tlvs");
    const char *command = json_string_value(json_object_get(j, "command"));
    uint32_t framed = 0;
    cr_expect_eq(smpp_frame(octets, len, &framed), 1, "PDU %d", n_line);
    cr_expect_eq(framed, len, "PDU %d", n_line);
    int rc = smpp_decode(octets, len, &pdu);
    cr_expect_eq(pdu.sequence, (uint32_t)json_integer_value(json_object_get(j, "sequence_number")),
                 "PDU %d", n_line);
    if (!receivable(command)) {
        cr_expect_eq(rc, -ENOSYS, "PDU %d (%s)", n_line, command);
        return 0;
    }
    cr_assert_eq(rc, 0, "PDU %d (%s) refused", n_line, command);
    cr_expect_eq(pdu.status, (uint32_t)json_integer_value(json_object_get(j, "command_status")),
                 "PDU %d", n_line);
    cr_expect_str_eq(smpp_command_name(pdu.command), command, "PDU %d", n_line);
    if (!pdu.has_body)
        return 1;
    expect_fields(f);
    expect_tlvs(tlvs);
    if (pdu.command != SMPP_DELIVER_SM && pdu.command != SMPP_DATA_SM)
        return 1;
    if ((pdu.esm_class & SMPP_ESM_TYPE) == SMPP_ESM_RECEIPT)
        expect_receipt(f, tlvs);
    else
        expect_text(f);
    return 1;
}

/* Broken ones: never framed, or refused, or taken without what is broken. */
static void check_invalid(const json_t *j, uint32_t len)
{
    uint32_t framed = 0;
    int whole = smpp_frame(octets, len, &framed);
    if (whole != 1 || framed != len)
        return; /* the rest of the stream decides */
    int rc = smpp_decode(octets, len, &pdu);
    if (rc == -EBADMSG || rc == -ENOSYS)
        return;
    cr_assert_eq(rc, 0, "PDU %d", n_line);
    bool taken = pdu.tail_bad || pdu.command == (SMPP_SUBMIT_SM | SMPP_RESP) || /* id without NUL */
                 json_object_size(json_object_get(json_object_get(j, "fields"),
                                                  "receipt")); /* receipt of cut text */
    cr_expect(taken, "PDU %d passed as if nothing were wrong", n_line);
}

Checked(smpp_corpus, every_pdu_is_handled_as_its_meaning_says)
{
    const char *path = getenv("CAMPGW_SMPP_CORPUS");
    if (!path || !*path)
        cr_skip_test("CAMPGW_SMPP_CORPUS names no file");
    FILE *file = fopen(path, "r");
    if (!file)
        cr_skip_test("the file of CAMPGW_SMPP_CORPUS cannot be opened");
    char *line = malloc(LINE_MAX_BYTES);
    int seen = 0, received = 0;
    cr_assert_not_null(line);
    while (fgets(line, (int)LINE_MAX_BYTES, file)) {
        json_error_t error;
        json_t *j = json_loads(line, 0, &error);
        cr_assert_not_null(j, "line %d: %s", seen + 1, error.text);
        n_line = (int)json_integer_value(json_object_get(j, "n"));
        uint32_t len = unhex(json_string_value(json_object_get(j, "hex")), octets, sizeof octets);
        if (json_is_true(json_object_get(j, "valid")))
            received += check_valid(j, len);
        else
            check_invalid(j, len);
        json_decref(j);
        seen++;
    }
    free(line);
    (void)fclose(file);
    cr_expect_gt(received, 0, "no PDU for an ESME among %d", seen);
    cr_log_info("%d PDUs, %d of them for an ESME", seen, received);
}
