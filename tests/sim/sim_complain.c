/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_complain.c - the table of complaints and its counters.
 * closed_without_unbind is kept out of the total: the client may have been killed on purpose.
 * Source of the rules: SMPP v3.4 issue 1.2, clauses named in each line.
 */
#include "sim_complain.h"

#include <stdarg.h>
#include <stdio.h>

static const struct {
    const char *name;
    const char *help;
} kinds[SIM_C_COUNT] = {
    [SIM_C_SEQ_ZERO] = {"seq_zero", "sequence_number 0 (5.1.4)"},
    [SIM_C_SEQ_HIGH] = {"seq_high", "sequence_number above 0x7FFFFFFF (5.1.4)"},
    [SIM_C_SEQ_REUSED] = {"seq_reused", "sequence_number of a request still unanswered (5.1.4)"},
    [SIM_C_SUBMIT_UNBOUND] = {"submit_unbound", "request before the bind (2.3)"},
    [SIM_C_SUBMIT_ON_RX] = {"submit_on_rx", "submit on a receiver bind (2.3)"},
    [SIM_C_BIND_TWICE] = {"bind_twice", "bind on a bound session (2.2)"},
    [SIM_C_PASSWORD_LONG] = {"password_long", "password longer than 8 characters (5.2.2)"},
    [SIM_C_BIND_FIELDS] = {"bind_fields", "a bind field is too long or cut (4.1)"},
    [SIM_C_FRAME] = {"frame", "command_length below 16 or above 65536 (5.1.1)"},
    [SIM_C_MALFORMED] = {"malformed", "a mandatory field is cut or too long (4.4.1)"},
    [SIM_C_UNKNOWN_COMMAND] = {"unknown_command", "command_id not known here (5.1.2)"},
    [SIM_C_REQUEST_STATUS] = {"request_status", "request with command_status not 0 (5.1.3)"},
    [SIM_C_SM_LENGTH] = {"sm_length", "sm_length does not fit the PDU (5.2.21)"},
    [SIM_C_SM_TOO_LONG] = {"sm_too_long", "short_message above 254 octets (5.2.22)"},
    [SIM_C_PART_TOO_LONG] = {"part_too_long", "more than one message of its alphabet can carry"},
    [SIM_C_BOTH_BODIES] = {"both_bodies", "short_message and message_payload (5.3.2.32)"},
    [SIM_C_TLV_LENGTH] = {"tlv_length", "known TLV with a length not allowed (5.3.2)"},
    [SIM_C_TLV_CUT] = {"tlv_cut", "TLV runs past the end (3.2.4.1)"},
    [SIM_C_TLV_TWICE] = {"tlv_twice", "TLV that may occur once is repeated"},
    [SIM_C_UDH_BROKEN] = {"udh_broken", "UDHI set, header does not add up (TS 23.040 9.2.3.24)"},
    [SIM_C_UDH_AND_SAR] = {"udh_and_sar", "UDH concatenation and sar_ parameters together"},
    [SIM_C_SAR_PARTIAL] = {"sar_partial", "not all three sar_ parameters (5.3.2.22)"},
    [SIM_C_PART_NUMBER] = {"part_number", "part number 0 or above the total"},
    [SIM_C_REF_REUSED] = {"ref_reused", "reference of a message still incomplete used for another"},
    [SIM_C_PARTS_OVER_SESSIONS] = {"parts_over_sessions", "parts of a message on several sessions"},
    [SIM_C_SPLIT_SURROGATE] = {"split_surrogate", "surrogate pair split over parts"},
    [SIM_C_SPLIT_ESCAPE] = {"split_escape", "GSM escape sequence split over parts (TS 23.038)"},
    [SIM_C_UCS2_ODD] = {"ucs2_odd", "UCS-2 text with an odd number of octets"},
    [SIM_C_GSM_OCTET] = {"gsm_octet", "octet above 0x7F in the default alphabet"},
    [SIM_C_SENDER_TON_NPI] = {"sender_ton_npi", "letters in the sender need TON 5 NPI 0 (5.2.5)"},
    [SIM_C_SENDER_LONG] = {"sender_long", "alphanumeric sender above 11 characters (TS 23.040)"},
    [SIM_C_PLUS] = {"plus", "+ in an address: international is told by TON 1 (5.2.5)"},
    [SIM_C_DESTINATION] = {"destination", "destination empty or not digits"},
    [SIM_C_VALIDITY_FORMAT] = {"validity_format",
                               "validity_period is not YYMMDDhhmmsstnnp (7.1.1)"},
    [SIM_C_VALIDITY_MISSING] = {"validity_missing", "validity_period missing though expected"},
    [SIM_C_VALIDITY_LATE] = {"validity_late", "validity_period later than expected"},
    [SIM_C_SCHEDULE_FORMAT] = {"schedule_format", "schedule_delivery_time malformed (7.1.1)"},
    [SIM_C_FLAGS] = {"flags", "priority above 3, replace above 1 or default message set (5.2)"},
    [SIM_C_WINDOW] = {"window", "more unanswered submits than expected"},
    [SIM_C_NO_ENQUIRE] = {"no_enquire", "bound client silent for longer than expected (4.11)"},
    [SIM_C_ENQUIRE_UNANSWERED] = {"enquire_unanswered", "enquire_link not answered (4.11)"},
    [SIM_C_RESPONSE_COMMAND] = {"response_command", "answer of another command than asked (5.1.2)"},
    [SIM_C_RESPONSE_UNKNOWN] = {"response_unknown", "answer to nothing"},
    [SIM_C_DELIVER_UNANSWERED] = {"deliver_unanswered", "deliver_sm or data_sm not answered"},
    [SIM_C_CLOSED_WITHOUT_UNBIND] = {"closed_without_unbind",
                                     "bound session closed; not in the total"},
};

void sim_complain(struct sim_complaints *c, enum sim_complaint kind, const char *fmt, ...)
{
    va_list ap;

    if (c->kind[kind].count++)
        return;
    va_start(ap, fmt);
    vsnprintf(c->kind[kind].first, sizeof(c->kind[kind].first), fmt, ap);
    va_end(ap);
    for (char *p = c->kind[kind].first; *p; p++)
        if (*p < 0x20 || *p > 0x7E)
            *p = '?'; /* it may quote what the client sent */
}

uint64_t sim_complaints_total(const struct sim_complaints *c)
{
    uint64_t total = 0;

    for (int i = 0; i < SIM_C_COUNT; i++)
        if (i != SIM_C_CLOSED_WITHOUT_UNBIND)
            total += c->kind[i].count;
    return total;
}

void sim_complaints_json(const struct sim_complaints *c, struct sim_buf *out)
{
    const char *comma = "";

    for (int i = 0; i < SIM_C_COUNT; i++) {
        if (!c->kind[i].count)
            continue;
        sim_buf_printf(out, "%s\"%s\":{\"count\":%llu,\"help\":", comma, kinds[i].name,
                       (unsigned long long)c->kind[i].count);
        sim_buf_json(out, kinds[i].help);
        sim_buf_printf(out, ",\"first\":");
        sim_buf_json(out, c->kind[i].first);
        sim_buf_printf(out, "}");
        comma = ",";
    }
}
