/* SPDX-License-Identifier: Apache-2.0 */
/* options.h - the options of one instance: the schema the gateway checks, and the values in the
 * form the plugin uses. Must not touch the network. Meaning, defaults and sources of every option:
 * README.md, "Options". */
#ifndef SMPP_OPTIONS_H
#define SMPP_OPTIONS_H

#include "address.h"
#include "cgw/plugin.h"
#include "msgid.h"
#include "rate.h"
#include "retry.h"
#include "segment.h"
#include "text.h"
#include "tls.h"
#include "validity.h"

#define SMPP_BINDS_MAX 32u

struct smpp_options {
    char host[256], tls_name[256], tls_ca[512], tls_cert[512], tls_key[512];
    uint16_t port;
    bool tls, tls_verify;

    char system_id[SMPP_SYSTEM_ID_MAX + 1], password[SMPP_PASSWORD_MAX + 1],
        system_type[SMPP_SYSTEM_TYPE_MAX + 1];
    char address_range[SMPP_RANGE_MAX + 1], service_type[SMPP_SERVICE_TYPE_MAX + 1];
    uint8_t addr_ton, addr_npi;
    bool separate; /* txrx: a transmitter and a receiver instead of one transceiver */
    uint32_t binds, window, urgent_percent;
    int64_t rate;

    struct smpp_addr_rules addr_rules;
    char default_sender[32], region[4];
    uint32_t default_sender_kind; /* CGW_ADDR_*, 0 = none configured */

    struct smpp_text_rules text_rules;
    enum smpp_split split;
    uint32_t max_segments;
    uint8_t registered_delivery; /* for messages that want a receipt */
    struct smpp_validity_rules validity;
    struct smpp_extra extra;
    bool user_reference; /* send our reference along, for SMSCs that echo it */
    bool query;          /* query_sm may be used */
    bool cancel;         /* cancel_sm may be used */
    struct smpp_retry retry;
    enum smpp_idform id_resp, id_receipt;
    bool receipt_is_whole; /* one receipt for the whole message, not one per part */

    int64_t enquire_link_ms, enquire_timeout_ms, response_timeout_ms, bind_timeout_ms;
    int64_t reconnect_min_ms, reconnect_max_ms, bind_refused_ms, ramp_ms;
    struct smpp_aimd_conf throttle;
    int64_t mo_part_hold_ms, mo_parts_timeout_ms, mo_duplicate_ms;
};

extern const struct cgw_option smpp_option_schema[];

/* \return 0 or CGW_EINVAL with diag saying which option, what is wrong and what would be right. */
int smpp_options_read(struct smpp_options *o, const struct cgw_host *host,
                      const struct cgw_conf *conf, struct cgw_diag *diag);

#endif
