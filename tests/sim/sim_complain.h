/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_complain.h - what a client did against the specification, counted by kind.
 * Complaining never changes what the simulator answers.
 */
#ifndef SIM_COMPLAIN_H
#define SIM_COMPLAIN_H

#include "sim_util.h"

enum sim_complaint {
    SIM_C_SEQ_ZERO,
    SIM_C_SEQ_HIGH,
    SIM_C_SEQ_REUSED,
    SIM_C_SUBMIT_UNBOUND,
    SIM_C_SUBMIT_ON_RX,
    SIM_C_BIND_TWICE,
    SIM_C_PASSWORD_LONG,
    SIM_C_BIND_FIELDS,
    SIM_C_FRAME,
    SIM_C_MALFORMED,
    SIM_C_UNKNOWN_COMMAND,
    SIM_C_REQUEST_STATUS,
    SIM_C_SM_LENGTH,
    SIM_C_SM_TOO_LONG,
    SIM_C_PART_TOO_LONG,
    SIM_C_BOTH_BODIES,
    SIM_C_TLV_LENGTH,
    SIM_C_TLV_CUT,
    SIM_C_TLV_TWICE,
    SIM_C_UDH_BROKEN,
    SIM_C_UDH_AND_SAR,
    SIM_C_SAR_PARTIAL,
    SIM_C_PART_NUMBER,
    SIM_C_REF_REUSED,
    SIM_C_PARTS_OVER_SESSIONS,
    SIM_C_SPLIT_SURROGATE,
    SIM_C_SPLIT_ESCAPE,
    SIM_C_UCS2_ODD,
    SIM_C_GSM_OCTET,
    SIM_C_SENDER_TON_NPI,
    SIM_C_SENDER_LONG,
    SIM_C_PLUS,
    SIM_C_DESTINATION,
    SIM_C_VALIDITY_FORMAT,
    SIM_C_VALIDITY_MISSING,
    SIM_C_VALIDITY_LATE,
    SIM_C_SCHEDULE_FORMAT,
    SIM_C_FLAGS,
    SIM_C_WINDOW,
    SIM_C_NO_ENQUIRE,
    SIM_C_ENQUIRE_UNANSWERED,
    SIM_C_RESPONSE_COMMAND,
    SIM_C_RESPONSE_UNKNOWN,
    SIM_C_DELIVER_UNANSWERED,
    SIM_C_CLOSED_WITHOUT_UNBIND,
    SIM_C_COUNT
};

struct sim_complaints {
    struct {
        uint64_t count;
        char first[160];
    } kind[SIM_C_COUNT];
};

/* fmt describes the first example; never put a whole number or a text into it. */
void sim_complain(struct sim_complaints *complaints, enum sim_complaint kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
uint64_t sim_complaints_total(const struct sim_complaints *complaints);
/* "kind":{"count":N,"help":"...","first":"..."} for those that happened, without the braces. */
void sim_complaints_json(const struct sim_complaints *complaints, struct sim_buf *out);

#endif
