/* SPDX-License-Identifier: Apache-2.0 */
/* trunk.h - the trunks of an instance: what was configured, which one takes the next call, and how
 * fast. Pure: times come in, nothing is sent. */
#ifndef IVR_TRUNK_H
#define IVR_TRUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IVR_TRUNKS_MAX 16u
#define IVR_TRUNK_CALLS_MAX 2000u
#define IVR_TRUNK_CPS_MAX 500u
#define IVR_TRUNK_REST_MS 30000       /* a trunk that failed is left alone; a ping may end it */
#define IVR_TRUNK_REST_MAX_MS 3600000 /* however long its Retry-After is */

struct ivr_trunk {
    /* configured */
    char host[128];  /* name or address, with ":port" when one was given */
    char user[64];   /* digest user, "" = none */
    char prefix[17]; /* put before the digits instead of "+" */
    bool plus;       /* keep "+" */
    bool registers;
    uint32_t priority, calls, cps;
    /* now */
    uint32_t used;
    double tokens;
    int64_t filled_mono_ms;
    bool reachable;  /* by pings; true until they say otherwise */
    bool registered; /* or does not register */
    uint32_t lost_pings;
    int64_t rest_until_mono_ms; /* after a failure */
    char why[96];               /* "" while it works */
};

/**
 * "[sip:]HOST[:PORT][;key=value]...": priority calls cps user register plus prefix.
 * \return 0, or -1 with a sentence in why.
 */
int ivr_trunk_parse(const char *text, struct ivr_trunk *ret, char *why, size_t why_size);

bool ivr_trunk_is_up(const struct ivr_trunk *t, int64_t now_ms);
/**
 * The trunk for one more call: of those up and not in `tried` (bits), the lowest priority figure
 * first, then the least used. One that is full or paced passes on to the next. Takes slot and
 * token. \param wait_ms  when none is free now: in how many ms one may be, -1 = when a call ends or
 * a trunk comes up, -2 = never, every trunk was tried \return index or -1
 */
int ivr_trunk_pick(struct ivr_trunk *trunks, uint32_t n, uint32_t tried, int64_t now_ms,
                   int64_t *wait_ms);
/* It failed: rest. retry_after_ms 0: the standard time. */
void ivr_trunk_failed(struct ivr_trunk *t, int64_t now_ms, int64_t retry_after_ms, const char *why);
/* A ping's answer: status, 0 = none. \return true when it went up or down by it. */
bool ivr_trunk_pinged(struct ivr_trunk *t, int64_t now_ms, int code);
/* Request-URI of a number or SIP URI through this trunk. */
void ivr_trunk_uri(const struct ivr_trunk *t, const char *address, char *out, size_t size);

#endif
