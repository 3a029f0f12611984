/* SPDX-License-Identifier: Apache-2.0 */
/* options.h - what an instance of channel_ivr is told. */
#ifndef IVR_OPTIONS_H
#define IVR_OPTIONS_H

#include "cgw/plugin.h"
#include "media.h"
#include "outcome.h"
#include "trunk.h"

#define IVR_CALLS_MAX 4000u /* concurrent calls of an instance, all trunks together */

extern const struct cgw_option ivr_option_schema[];

struct ivr_options {
    struct in_addr local;
    uint16_t sip_port, rtp_first, rtp_last;
    enum ivr_codec codecs[2];
    uint32_t n_codecs;
    struct ivr_trunk trunks[IVR_TRUNKS_MAX];
    char *passwords[IVR_TRUNKS_MAX]; /* owned; NULL = none */
    uint32_t n_trunks, calls;        /* calls: sum over the trunks */
    char caller_id[128], voice[32], tts_command[256];
    bool assert_identity;
    int64_t trunk_timeout_ms, ring_timeout_ms, ping_ms, max_call_ms, rtp_timeout_ms, tts_timeout_ms;
    uint32_t register_s, tts_workers, urgent_percent;
    uint64_t prompt_cache_bytes;
    struct ivr_retry_conf retry;
};

/* \return 0 or CGW_EINVAL with diag filled; never a secret in it. Free in both cases. */
int ivr_options_read(const struct cgw_host *host, const struct cgw_conf *conf,
                     struct ivr_options *ret, struct cgw_diag *diag);
void ivr_options_free(struct ivr_options *o);

/* Is it a caller identity: "+" and digits, digits, or a SIP URI? */
bool ivr_caller_ok(const char *text);

#endif
