/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_knobs.h - everything about the simulator that can be turned, at start and while it runs.
 * One table gives the option (--throttle-permille), the control name (set throttle_permille) and
 * the help text; README.md repeats it in prose.
 */
#ifndef SIM_KNOBS_H
#define SIM_KNOBS_H

#include "sim_util.h"

#define SIM_CHOICES_MAX 16

/* "DELIVRD:90,UNDELIV:10": values drawn by weight. */
struct sim_choices {
    int n;
    int64_t value[SIM_CHOICES_MAX];
    uint32_t weight[SIM_CHOICES_MAX];
    uint32_t total;
    char text[256];
};

enum sim_receipt_form {
    SIM_FORM_TLV,
    SIM_FORM_TEXT,
    SIM_FORM_BOTH,
    SIM_FORM_PAYLOAD,
    SIM_FORM_DATA
};

/* message_state, SMPP 3.4 5.2.28 */
enum sim_state {
    SIM_ENROUTE = 1,
    SIM_DELIVERED,
    SIM_EXPIRED,
    SIM_DELETED,
    SIM_UNDELIVERABLE,
    SIM_ACCEPTED,
    SIM_UNKNOWN,
    SIM_REJECTED
};

enum sim_garbage {
    SIM_GARBAGE_RANDOM,
    SIM_GARBAGE_SHORT,
    SIM_GARBAGE_ZERO,
    SIM_GARBAGE_HUGE,
    SIM_GARBAGE_TLVS,
    SIM_GARBAGE_UNKNOWN,
    SIM_GARBAGE_NO_NUL,
    SIM_GARBAGE_STALL
};

struct sim_knobs {
    int64_t seed;
    /* links and binds */
    int64_t max_sessions, max_binds, refuse_bind, bind_error_body, bind_delay_ms, silent;
    int64_t pause_reading, one_byte_writes, drop_rst, enquire_unbound, enquire_ms;
    int64_t enquire_timeout_ms;
    /* answers */
    int64_t throttle_permille, throttle_status, error_permille, error_body_permille, nack_permille;
    int64_t delay_min_ms, delay_max_ms, reorder_permille, reorder_ms, swallow_permille;
    int64_t drop_answer_permille, drop_after_submits, drop_every_submits, garbage_permille;
    int64_t max_window, window_status, max_rate, rate_burst, rate_status, response_tlv;
    int64_t response_bare_permille, cancel_status;
    /* message ids */
    int64_t id_start, id_reuse, id_base, id_pad, id_upper;
    int64_t receipt_id_base, receipt_id_pad, receipt_id_upper;
    int64_t receipt_tlv_as_answer, receipt_reference;
    char id_prefix[33];
    /* receipts */
    int64_t receipt_permille, receipt_delay_min_ms, receipt_delay_max_ms, receipt_late_permille;
    int64_t receipt_late_ms, receipt_early_permille, receipt_early_ms, receipt_duplicate_permille;
    int64_t receipt_intermediate_permille, receipt_after_final_permille, receipt_unknown_permille;
    int64_t receipt_esm0_permille, receipt_per_message, receipt_nul, receipt_date_digits;
    /* deliveries */
    int64_t deliver_window, ack_timeout_ms, redeliver_ms, redeliver_max, queue_max;
    int64_t mo_wait_ms, reply_permille, reply_delay_ms;
    /* what is expected of the client */
    int64_t expect_window, expect_enquire_ms, expect_validity_before;
    struct sim_choices error_list, receipt_state, receipt_form, garbage_kind;
};

void sim_knobs_init(struct sim_knobs *knobs);
/* name with '_' or '-'. 0, -ENOENT (no such knob) or -EINVAL with a sentence in why. */
int sim_knobs_set(struct sim_knobs *knobs, const char *name, const char *value, char *why,
                  size_t why_cap);
/* All of them as members of a JSON object, without the braces. */
void sim_knobs_json(const struct sim_knobs *knobs, struct sim_buf *out);
/* One line each, for --help. */
void sim_knobs_help(struct sim_buf *out);
int64_t sim_choose(const struct sim_choices *choices, uint64_t draw);
/* The seven letter word of a receipt's stat: field, SMPP 3.4 appendix B. */
const char *sim_state_word(int64_t state);
int sim_garbage_parse(const char *word, int64_t *ret_kind);

#endif
