/* SPDX-License-Identifier: Apache-2.0 */
/* classify.c - see classify.h. */
#include "classify.h"

#include "cgw/channel.h"

#include <stdlib.h>
#include <string.h>

#define ANY (-1)

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

/* one to three digits; \return where they end, NULL when there are none or more */
static const char *number(const char *p, const char *end, int *ret)
{
    const char *from = p;
    for (*ret = 0; p < end && digit(*p) && p - from < 4; p++)
        *ret = *ret * 10 + (*p - '0');
    return p == from || p - from > 3 ? NULL : p;
}

bool email_status_find(const char *text, size_t len, struct email_status *ret)
{
    const char *end = text + len;
    for (const char *p = text; p + 5 <= end; p++) {
        struct email_status s = {.klass = *p - '0'};
        if ((*p != '2' && *p != '4' && *p != '5') || p[1] != '.' ||
            (p > text && (digit(p[-1]) || p[-1] == '.')))
            continue;
        const char *q = number(p + 2, end, &s.subject);
        if (!q || q >= end || *q != '.' || !(q = number(q + 1, end, &s.detail)))
            continue;
        if (q < end && *q == '.' && q + 1 < end && digit(q[1]))
            continue; /* an IP address */
        *ret = s;
        return true;
    }
    return false;
}

int32_t email_status_code(const struct email_status *s)
{
    int subject = s->subject > 99 ? 99 : s->subject, detail = s->detail > 99 ? 99 : s->detail;
    return s->klass * 10000 + subject * 100 + detail;
}

/* The first row that fits decides. Class 5 only; class 4 that ended in failure is always soft. */
static const struct {
    int subject, detail;
    uint32_t sub;
} dead[] = {
    {1, 7, 0},                     /* bad sender's mailbox address: our fault, not the person's */
    {1, 8, 0},                     /* bad sender's system address */
    {1, 9, 0},                     /* relayed to a system that is not compliant */
    {1, ANY, CGW_SUB_HARD_BOUNCE}, /* 5.1.1 no such mailbox, 5.1.2 no such domain, 5.1.10 null MX */
    {4, 4, CGW_SUB_HARD_BOUNCE},   /* unable to route: no host for the domain */
    {2, ANY, CGW_SUB_SOFT_BOUNCE}, /* mailbox full, disabled, message too long for it */
    {4, ANY, CGW_SUB_SOFT_BOUNCE}, /* network, time-outs */
    {0, ANY, CGW_SUB_SOFT_BOUNCE}, /* nothing said */
    {7, ANY, 0},                   /* policy: the sender is blocked, the address is fine */
    {ANY, ANY, 0},                 /* system, protocol, content */
};

uint32_t email_status_sub(const struct email_status *s)
{
    if (s->klass == 4)
        return s->subject == 7 ? 0 : CGW_SUB_SOFT_BOUNCE;
    for (size_t i = 0; s->klass == 5 && i < sizeof dead / sizeof dead[0]; i++)
        if ((dead[i].subject == ANY || dead[i].subject == s->subject) &&
            (dead[i].detail == ANY || dead[i].detail == s->detail))
            return dead[i].sub;
    return 0;
}

/* Refusals: stage, reply code (4 or 5: the whole class), enhanced subject. First row that fits. */
static const struct refusal {
    int stage, code, subject;
    struct email_verdict v;
} refusals[] = {
    /* before the message: the smarthost speaks about us */
    {EMAIL_CONNECT, ANY, ANY, {CGW_RES_NOT_SENT, 0, 0, EMAIL_SCOPE_ROUTE}},
    {EMAIL_MAIL, 4, ANY, {CGW_RES_REFUSED_RETRY, CGW_RESF_THROTTLED, 0, EMAIL_SCOPE_ROUTE}},
    {EMAIL_MAIL, 5, ANY, {CGW_RES_REFUSED, 0, 0, EMAIL_SCOPE_NONE}},
    /* 421 closes, 4.7.x is "not so fast", 4.3.x is a full or overloaded system */
    {ANY, 421, ANY, {CGW_RES_REFUSED_RETRY, CGW_RESF_THROTTLED, 0, EMAIL_SCOPE_DOMAIN}},
    {ANY, 4, 7, {CGW_RES_REFUSED_RETRY, CGW_RESF_THROTTLED, 0, EMAIL_SCOPE_DOMAIN}},
    {ANY, 452, 3, {CGW_RES_REFUSED_RETRY, CGW_RESF_THROTTLED, 0, EMAIL_SCOPE_ROUTE}},
    {ANY, 4, 2, {CGW_RES_REFUSED_RETRY, 0, CGW_SUB_SOFT_BOUNCE, EMAIL_SCOPE_NONE}},
    {ANY, 4, ANY, {CGW_RES_REFUSED_RETRY, 0, 0, EMAIL_SCOPE_NONE}},
    /* a policy block is about the sender: spare the domain, never the person */
    {ANY, 5, 7, {CGW_RES_REFUSED, 0, 0, EMAIL_SCOPE_DOMAIN}},
    {ANY, 5, ANY, {CGW_RES_REFUSED, 0, 0, EMAIL_SCOPE_NONE}},
};

struct email_verdict email_refusal(enum email_stage stage, int code, const char *line)
{
    struct email_status s = {0};
    /* only right behind the reply code: later digits are words, not codes (RFC 2034 4) */
    bool enhanced = line && strlen(line) > 4 && email_status_find(line + 4, strlen(line + 4), &s) &&
                    s.klass == code / 100 && line[4] == '0' + s.klass;
    int subject = enhanced ? s.subject : -2;
    struct email_verdict v = {CGW_RES_NOT_SENT, 0, 0, EMAIL_SCOPE_ROUTE};
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        const struct refusal *r = &refusals[i];
        if ((r->stage == ANY || r->stage == (int)stage) &&
            (r->code == ANY || r->code == code || r->code == code / 100) &&
            (r->subject == ANY || r->subject == subject)) {
            v = r->v;
            break;
        }
    }
    if (v.result == CGW_RES_REFUSED && stage == EMAIL_RCPT)
        v.sub = enhanced ? email_status_sub(&s)
                         : (code == 550 || code == 553 ? CGW_SUB_SOFT_BOUNCE : 0);
    return v;
}
