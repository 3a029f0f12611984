/* SPDX-License-Identifier: Apache-2.0 */
/* plugin.c - the descriptor of channel_mms: what it can do, its options, counters, routes and
 * operations. Contract: cgw/plugin.h. CGW_F_SHARED_LOOP: an account needs a fraction of a core, and
 * GMime is used from one thread only. */
#include "instance.h"

/* In the order of enum mms_counter. */
static const struct cgw_counter counters[] = {
    [MMS_C_WRITTEN] = {"mms_written", "messages", "requests with a message handed to HTTP"},
    [MMS_C_ACCEPTED] = {"mms_accepted", "messages", "answered with success"},
    [MMS_C_REFUSED] = {"mms_refused", "messages", "refused, for now or for good"},
    [MMS_C_THROTTLED] = {"mms_throttled", "messages", "refused because we are too fast"},
    [MMS_C_UNSURE] = {"mms_unsure", "messages", "written, and nobody can tell what became of it"},
    [MMS_C_UNREACHABLE] = {"mms_unreachable", "messages",
                           "not sent because the MMSC could not be reached"},
    [MMS_C_REPORTS] = {"mms_reports", "reports", "delivery reports passed on"},
    [MMS_C_REPORTS_EARLY] = {"mms_reports_early", "reports",
                             "delivery reports that came before their SubmitRsp"},
    [MMS_C_READ] = {"mms_read_replies", "reports", "read replies passed on"},
    [MMS_C_REPLIES] = {"mms_replies", "messages", "messages of people passed on"},
    [MMS_C_REPLY_PARTS_LOST] = {"mms_reply_parts_lost", "parts", "parts of them beyond the limits"},
    [MMS_C_PUSHED_BACK] = {"mms_pushed_back", "requests",
                           "requests of the MMSC answered 503 because the gateway was full"},
    [MMS_C_REQUESTS_BAD] = {"mms_requests_bad", "requests",
                            "requests of the MMSC that could not be read or are not for us"},
    [MMS_C_CANCELS] = {"mms_cancels", "requests", "CancelReq written"},
    [MMS_C_CANCELS_REFUSED] = {"mms_cancels_refused", "requests",
                               "CancelReq refused or unanswered"},
    [MMS_C_REPLACES] = {"mms_replaces", "requests", "ReplaceReq written"},
    [MMS_C_BYTES] = {"mms_bytes", "bytes", "request bodies handed to HTTP"},
    [MMS_C_COUNT] = {NULL, NULL, NULL},
};

static const struct cgw_http_route routes[] = {
    {"POST", "/mm7", CGW_HTTP_AUTH_BASIC, CGW_BODY_MAX * 4u, mms_on_request},
    {"POST", "/mm7/ip", CGW_HTTP_IP_ALLOW, CGW_BODY_MAX * 4u, mms_on_request},
    {NULL, NULL, 0, 0, NULL},
};

static const struct cgw_channel_caps caps = {
    .size = sizeof caps,
    .channel = CGW_CHANNEL_MMS,
    .address_kind = CGW_ADDR_E164,
    .max_parts = CGW_PARTS_MAX,
    .max_bytes = 0,
    .role_mask =
        1u << CGW_ROLE_TEXT | 1u << CGW_ROLE_SUBJECT | 1u << CGW_ROLE_HEADER | 1u << CGW_ROLE_MEDIA,
    .receipts = 1,
    .replies = 1,
    .cost_unit = "message",
    .concurrency_unit = "window slot",
};

static const struct cgw_channel_ops ops = {
    .size = sizeof ops,
    .create = mms_op_create,
    .start = mms_op_start,
    .check = mms_op_check,
    .submit = mms_op_submit,
    .stored = mms_op_stored,
    .cancel = mms_op_cancel,
    .health = mms_op_health,
    .drain = mms_op_drain,
    .destroy = mms_op_destroy,
    .recall = mms_op_recall,
};

CGW_CHANNEL_PLUGIN(.flags = CGW_F_SHARED_LOOP, .name = "channel_mms", .version = "1.0",
                   .vendor = "campgw", .options = mms_option_schema, .counters = counters,
                   .caps = &caps, .routes = routes, .channel = &ops);
