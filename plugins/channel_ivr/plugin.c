/* SPDX-License-Identifier: Apache-2.0 */
/* plugin.c - the descriptor of channel_ivr: what it can do, its options, counters and operations.
 * Contract: cgw/plugin.h. CGW_F_OWN_THREADS because libre has a loop of its own (loop.h);
 * CGW_F_SHARED_LOOP because all instances share that one, so their operations may as well come one
 * after another. */
#include "instance.h"

/* In the order of enum ivr_counter. */
static const struct cgw_counter counters[] = {
    [IVR_C_DIALLED] = {"ivr_calls_dialled", "calls", "INVITEs written, also on a second trunk"},
    [IVR_C_ANSWERED] = {"ivr_calls_answered", "calls", "calls somebody answered"},
    [IVR_C_BUSY] = {"ivr_calls_busy", "calls", "calls that ended busy"},
    [IVR_C_NO_ANSWER] = {"ivr_calls_no_answer", "calls", "calls that nobody answered"},
    [IVR_C_REJECTED] = {"ivr_calls_rejected", "calls", "calls that were turned away"},
    [IVR_C_BAD_NUMBER] = {"ivr_calls_bad_number", "calls", "numbers that do not exist"},
    [IVR_C_TRUNK_FAILED] = {"ivr_calls_trunk_failed", "calls", "calls that no trunk could carry"},
    [IVR_C_FAILED_OVER] = {"ivr_calls_failed_over", "calls", "calls put to another trunk"},
    [IVR_C_TALK_SECONDS] = {"ivr_talk_seconds", "seconds", "length of answered calls"},
    [IVR_C_KEYS] = {"ivr_answers", "answers", "menu choices and collected digits"},
    [IVR_C_OPTOUTS] = {"ivr_optouts", "calls", "opt-out keys pressed"},
    [IVR_C_TRANSFERS] = {"ivr_transfers", "calls", "REFERs written"},
    [IVR_C_PROMPTS_MADE_FAILED] = {"ivr_prompts_failed", "calls",
                                   "calls not made because a prompt could not be"},
    [IVR_C_INBOX_FULL] = {"ivr_answers_dropped", "answers",
                          "answers dropped because the gateway took none for long"},
    [IVR_C_PINGS_LOST] = {"ivr_pings_lost", "pings", "OPTIONS without an answer"},
    [IVR_C_COUNT] = {NULL, NULL, NULL},
};

static const struct cgw_channel_caps caps = {
    .size = sizeof caps,
    .channel = CGW_CHANNEL_VOICE,
    .address_kind = CGW_ADDR_E164,
    .max_parts = CGW_PARTS_MAX,
    .max_bytes = 0,
    .role_mask = 1u << CGW_ROLE_FLOW | 1u << CGW_ROLE_MEDIA,
    .receipts = 0,
    .replies = 1,
    .cost_unit = "second",
    .concurrency_unit = "call",
};

static const struct cgw_channel_ops ops = {
    .size = sizeof ops,
    .create = ivr_op_create,
    .start = ivr_op_start,
    .check = ivr_op_check,
    .submit = ivr_op_submit,
    .stored = ivr_op_stored,
    .cancel = ivr_op_cancel,
    .health = ivr_op_health,
    .drain = ivr_op_drain,
    .destroy = ivr_op_destroy,
};

CGW_CHANNEL_PLUGIN(.flags = CGW_F_SHARED_LOOP | CGW_F_OWN_THREADS, .name = "channel_ivr",
                   .version = "1.0", .vendor = "campgw", .options = ivr_option_schema,
                   .counters = counters, .caps = &caps, .channel = &ops);
