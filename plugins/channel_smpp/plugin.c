/* SPDX-License-Identifier: Apache-2.0 */
/* plugin.c - the descriptor of channel_smpp: what it can do, its options, counters and operations.
 * Contract: cgw/plugin.h. CGW_F_SHARED_LOOP because libsmpp34 keeps its state in globals: one
 * thread of the process calls it. */
#include "ops.h"

/* In the order of enum smpp_counter. */
static const struct cgw_counter counters[] = {
    [SMPP_C_PARTS_WRITTEN] = {"smpp_parts_written", "parts", "submit_sm written"},
    [SMPP_C_PARTS_ACCEPTED] = {"smpp_parts_accepted", "parts", "submit_sm_resp with status 0"},
    [SMPP_C_PARTS_REFUSED] = {"smpp_parts_refused", "parts",
                              "submit_sm answered with an error other than throttling"},
    [SMPP_C_THROTTLED] = {"smpp_parts_throttled", "parts",
                          "submit_sm answered with a throttling status"},
    [SMPP_C_RESPONSE_TIMEOUT] = {"smpp_response_timeouts", "parts",
                                 "submit_sm without an answer in time"},
    [SMPP_C_RESPONSE_UNMATCHED] = {"smpp_responses_unmatched", "pdus",
                                   "answers that came late or to nothing"},
    [SMPP_C_MESSAGES_TORN] = {"smpp_messages_torn", "messages",
                              "messages of which only some parts were accepted"},
    [SMPP_C_RECEIPTS] = {"smpp_receipts", "receipts", "delivery receipts passed on"},
    [SMPP_C_RECEIPTS_UNREADABLE] = {"smpp_receipts_unreadable", "receipts",
                                    "receipts that name neither message nor state"},
    [SMPP_C_REPLIES] = {"smpp_replies", "messages", "replies passed on"},
    [SMPP_C_REPLIES_REPEATED] = {"smpp_replies_repeated", "pdus",
                                 "replies the SMSC delivered again"},
    [SMPP_C_REPLIES_UNUSABLE] = {"smpp_replies_unusable", "pdus",
                                 "replies without a sender, or no text for people"},
    [SMPP_C_REPLIES_INCOMPLETE] = {"smpp_replies_incomplete", "messages",
                                   "long replies passed on with parts missing"},
    [SMPP_C_PUSHED_BACK] = {"smpp_deliveries_pushed_back", "pdus",
                            "deliver_sm answered 0x64 because the gateway was full"},
    [SMPP_C_QUERIES] = {"smpp_queries", "pdus", "query_sm written"},
    [SMPP_C_QUERIES_FAILED] = {"smpp_queries_failed", "pdus", "query_sm refused or unanswered"},
    [SMPP_C_BINDS] = {"smpp_binds", "binds", "successful binds"},
    [SMPP_C_BINDS_REFUSED] = {"smpp_binds_refused", "binds", "binds the SMSC refused"},
    [SMPP_C_LINKS_LOST] = {"smpp_links_lost", "binds", "bound links that ended"},
    [SMPP_C_ENQUIRE_TIMEOUT] = {"smpp_enquire_timeouts", "binds",
                                "links given up because enquire_link was not answered"},
    [SMPP_C_PDUS_BAD] = {"smpp_pdus_bad", "pdus",
                         "PDUs that could not be read or are no business of ours"},
    [SMPP_C_TLVS_BAD] = {"smpp_tlvs_bad", "pdus",
                         "PDUs with unreadable or too many optional parameters"},
    [SMPP_C_RECALLS] = {"smpp_recalls", "pdus", "cancel_sm written"},
    [SMPP_C_RECALLS_FAILED] = {"smpp_recalls_failed", "pdus",
                               "cancel_sm refused or unanswered, or not possible"},
    [SMPP_C_COUNT] = {NULL, NULL, NULL},
};

static const struct cgw_channel_caps caps = {
    .size = sizeof caps,
    .channel = CGW_CHANNEL_SMS,
    .address_kind = CGW_ADDR_E164,
    .max_parts = 1,
    .max_bytes = 0,
    .role_mask = 1u << CGW_ROLE_TEXT,
    .receipts = 1,
    .replies = 1,
    .cost_unit = "segment",
    .concurrency_unit = "window slot",
};

static const struct cgw_channel_ops ops = {
    .size = sizeof ops,
    .create = smpp_op_create,
    .start = smpp_op_start,
    .check = smpp_op_check,
    .submit = smpp_op_submit,
    .stored = smpp_op_stored,
    .cancel = smpp_op_cancel,
    .query = smpp_op_query,
    .recall = smpp_op_recall,
    .health = smpp_op_health,
    .drain = smpp_op_drain,
    .destroy = smpp_op_destroy,
};

CGW_CHANNEL_PLUGIN(.flags = CGW_F_SHARED_LOOP | CGW_F_OWN_THREADS, .name = "channel_smpp",
                   .version = "1.0", .vendor = "campgw", .options = smpp_option_schema,
                   .counters = counters, .caps = &caps, .channel = &ops);
