/* SPDX-License-Identifier: Apache-2.0 */
/* options.h - the options of one account: the schema the gateway checks, and the values in the form
 * the plugin uses. Must not touch the network. Meaning and defaults: README.md. */
#ifndef MMS_OPTIONS_H
#define MMS_OPTIONS_H

#include "cgw/plugin.h"
#include "mm7.h"
#include "status.h"

#include <stdbool.h>

#define MMS_HEADERS_MAX 16u
#define MMS_WINDOW_MAX 512u

struct mms_options {
    /* the link */
    char url[512], user[128], password[128];
    char tls_ca[512], tls_cert[512], tls_key[512], tls_key_password[128];
    bool tls_verify;
    char headers[MMS_HEADERS_MAX][256];
    uint32_t n_headers;
    bool soap_action; /* send the header at all */
    char soap_action_value[200];
    int64_t connect_timeout_ms, response_timeout_ms, reconnect_min_ms, reconnect_max_ms;

    /* how fast */
    uint32_t window, urgent_percent;
    int64_t rate, throttle_min_ms, throttle_max_ms, retry_ms, account_wait_ms;
    struct mms_status status;

    /* who we are and how addresses are written */
    struct mm7_dialect dialect;
    char vaspid[64], vasid[64], relay_server_id[64];
    char default_sender[80], sender_suffix[32], recipient_suffix[32], region[4];
    bool sender_plus, recipient_plus;

    /* what a SubmitReq says */
    char service_code[64], linked_id[128];
    const char *class_of[CGW_CLASS_EMERGENCY + 1]; /* MessageClass, NULL = left out */
    bool ask_read;
    uint32_t report; /* 0 wanted, 1 always, 2 never */
    bool priority_by_lane;
    const char *adaptations, *distribution, *drm; /* "true", "false", NULL */
    const char *charged_party, *content_class;    /* NULL = left out */
    char charged_party_id[80], delivery_condition[64];
    bool charged_by_group, echo_reference;
    bool cancel; /* CancelReq for what is accepted */
    char applic_id[64], reply_applic_id[64], aux_applic_info[128];
    bool reply_charging;
    int64_t reply_charging_bytes, reply_deadline_ms;
    uint32_t expiry; /* 0 absolute, 1 relative, 2 none */
    int64_t expiry_min_ms, expiry_max_ms, expiry_margin_ms;

    /* the content */
    bool smil, base64;
    int64_t smil_ms;
    uint32_t max_bytes, max_parts, subject_max;

    int64_t early_hold_ms;
};

extern const struct cgw_option mms_option_schema[];

/* \return 0 or CGW_EINVAL with diag saying which option, what is wrong and what would be right. */
int mms_options_read(struct mms_options *o, const struct cgw_host *host,
                     const struct cgw_conf *conf, struct cgw_diag *diag);

#endif
