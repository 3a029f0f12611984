/* SPDX-License-Identifier: Apache-2.0 */
/* retry.h - what a command_status means for a message or for a bind: a table, and a route's
 * overrides of it. Pure after init. Source: SMPP 3.4 table 5-2, SMPP 5.0 table 4-45, and how SMSCs
 * use them. */
#ifndef SMPP_RETRY_H
#define SMPP_RETRY_H

#include "cgw/types.h"
#include "proto.h"

enum smpp_class {
    SMPP_CLASS_OK,
    SMPP_CLASS_THROTTLE,  /* back-pressure: pause, slow down, not an attempt */
    SMPP_CLASS_TRANSIENT, /* may be tried again after retry_after_ms, at most `tries` times in all
                           */
    SMPP_CLASS_SESSION,   /* the bind is at fault: rebind, then try again */
    SMPP_CLASS_PERMANENT, /* this message never */
    SMPP_CLASS_BIND_PERMANENT /* bind only: configuration is wrong; alarm, retry slowly */
};

struct smpp_verdict {
    enum smpp_class cls;
    uint32_t retry_after_ms; /* first pause */
    uint32_t tries;          /* attempts in all, 0 = no limit (THROTTLE, SESSION) */
};

#define SMPP_OVERRIDES_MAX 64u
struct smpp_retry {
    uint32_t n;
    struct {
        uint32_t status;
        struct smpp_verdict verdict;
    } over[SMPP_OVERRIDES_MAX];
};

/* overrides: "0x61=transient:30000:3,0x14=permanent" (classes throttle[:ms],
 * transient[:ms[:tries]], session[:ms], permanent); NULL or "" = none. \return 0, CGW_EINVAL or
 * CGW_ELIMIT with diag (may be NULL). */
int smpp_retry_init(struct smpp_retry *t, const char *overrides, struct cgw_diag *diag);
/* Answer to submit_sm (or generic_nack with its sequence). */
struct smpp_verdict smpp_retry_submit(const struct smpp_retry *t, uint32_t status);
/* Answer to bind_*; failures counts refusals in a row including this one. TRANSIENT: back off as
 * for a lost connection. */
struct smpp_verdict smpp_retry_bind(uint32_t status, uint32_t failures);
/* Pause before the next attempt after `attempt` (from 1) failed: first pause, then four times
 * longer each, at most 1 hour. */
uint32_t smpp_retry_pause_ms(const struct smpp_verdict *v, uint32_t attempt);
/* "throttle", "transient" ... static text. */
const char *smpp_class_name(enum smpp_class cls);

#endif
