/* SPDX-License-Identifier: Apache-2.0 */
/* outcome.c - see outcome.h. Status codes: RFC 3261, 21; 607: RFC 8197; 608: RFC 8688. */
#include "outcome.h"
#include "cgw/channel.h"

#include <stddef.h>

enum kind { BUSY, NO_ANSWER, REJECTED, BAD_NUMBER, TRUNK, CONGESTED, LOGIN, OTHER, KINDS };

static const struct {
    uint32_t sub, flags;
    bool person, other_trunk, trunk_rests; /* person: said about the person, not about us */
    size_t retry;                          /* member of ivr_retry_conf + 1, 0 = final */
    const char *word;
} kinds[KINDS] = {
#define RETRY(member) offsetof(struct ivr_retry_conf, member) + 1
    [BUSY] = {CGW_SUB_BUSY, 0, true, false, false, RETRY(busy_s), "busy"},
    [NO_ANSWER] = {CGW_SUB_NO_ANSWER, 0, true, false, false, RETRY(no_answer_s), "no_answer"},
    [REJECTED] = {CGW_SUB_REJECTED, 0, true, false, false, RETRY(rejected_s), "rejected"},
    [BAD_NUMBER] = {CGW_SUB_BAD_ADDRESS, 0, true, false, false, 0, "bad_number"},
    [TRUNK] = {CGW_SUB_ROUTE_DOWN, 0, false, true, true, RETRY(route_s), "trunk_failure"},
    /* 503 is back-pressure: it costs the person no attempt */
    [CONGESTED] = {CGW_SUB_ROUTE_DOWN, CGW_RESF_THROTTLED, false, true, true, RETRY(route_s),
                   "trunk_congested"},
    [LOGIN] = {CGW_SUB_ROUTE_DOWN, 0, false, true, true, 0, "login_refused"},
    [OTHER] = {0, 0, false, false, false, 0, "refused"},
};

static const struct {
    int status;
    enum kind kind;
} statuses[] = {
    {0, TRUNK},       {401, LOGIN},      {403, REJECTED},   {404, BAD_NUMBER}, {407, LOGIN},
    {408, NO_ANSWER}, {410, BAD_NUMBER}, {480, NO_ANSWER},  {484, BAD_NUMBER}, {486, BUSY},
    {487, NO_ANSWER}, {500, TRUNK},      {502, TRUNK},      {503, CONGESTED},  {504, TRUNK},
    {600, BUSY},      {603, REJECTED},   {604, BAD_NUMBER}, {607, REJECTED},   {608, REJECTED},
};

static enum kind kind_of(int status)
{
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++)
        if (statuses[i].status == status)
            return statuses[i].kind;
    return OTHER;
}

static int64_t retry_ms(enum kind k, const struct ivr_retry_conf *conf)
{
    if (!kinds[k].retry)
        return 0;
    return 1000 * *(const int64_t *)((const char *)conf + kinds[k].retry - 1);
}

void ivr_outcome(int status, int64_t retry_after_ms, const struct ivr_retry_conf *conf,
                 struct ivr_verdict *ret)
{
    enum kind k = kind_of(status);
    int64_t ms = retry_ms(k, conf);
    *ret = (struct ivr_verdict){.sub = kinds[k].sub,
                                .other_trunk = kinds[k].other_trunk,
                                .trunk_rests = kinds[k].trunk_rests,
                                .word = kinds[k].word};
    if (ms > 0) {
        ret->result = CGW_RES_REFUSED_RETRY;
        ret->flags = kinds[k].flags;
        ret->retry_after_ms = retry_after_ms > ms ? retry_after_ms : ms;
        if (!kinds[k].person && retry_after_ms > 0) /* the trunk knows best when it is back */
            ret->retry_after_ms = retry_after_ms;
    } else {
        ret->result = kinds[k].person ? CGW_RES_FAILED : CGW_RES_REFUSED;
    }
}

uint32_t ivr_transfer_sub(int status)
{
    if (status >= 200 && status < 300)
        return CGW_SUB_ANSWERED;
    return status ? kinds[kind_of(status)].sub : 0;
}
