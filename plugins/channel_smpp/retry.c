/* SPDX-License-Identifier: Apache-2.0 */
/* retry.c - the table from command_status to what we do about it, and its overrides.
 * Source: SMPP 3.4 table 5-2, SMPP 5.0 table 4-45; the numbers of tries and pauses are ours,
 * overridable per route. */
#include "retry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAUSE_MAX_MS 3600000u
#define TRIES_MAX 100u
/* ESME_RBINDFAIL is often an overload first and a configuration error in the end */
#define FAIL_BIND_AFTER 3u

/* Members of a struct smpp_verdict. */
#define THROTTLE SMPP_CLASS_THROTTLE, 100, 0
#define TRANSIENT SMPP_CLASS_TRANSIENT, 30000, 4 /* 30 s, 2 min, 8 min */
/* says little; a few tries, then it is a failure */
#define DOUBTFUL SMPP_CLASS_TRANSIENT, 30000, 3
#define SESSION SMPP_CLASS_SESSION, 1000, 0
#define PERMANENT SMPP_CLASS_PERMANENT, 0, 1

/* Ranges, first match counts. What is not here is unknown or a vendor's: DOUBTFUL. */
static const struct {
    uint32_t from, to;
    struct smpp_verdict verdict;
} SUBMIT[] = {
    {0x00, 0x00, {SMPP_CLASS_OK, 0, 0}},
    {0x14, 0x14, {THROTTLE}}, /* message queue full: as much back-pressure as 0x58 */
    {0x58, 0x58, {THROTTLE}},
    {0x01, 0x03, {PERMANENT}}, /* lengths, command */
    {0x04, 0x05, {SESSION}},   /* not (or already) bound: the bind is confused */
    {0x06, 0x07, {PERMANENT}},
    {0x08, 0x08, {TRANSIENT}}, /* system error */
    {0x0A, 0x0C, {PERMANENT}}, /* addresses, message id */
    {0x0D, 0x0F, {SESSION}},   /* bind failures as an answer to submit_sm: the bind is gone */
    {0x11, 0x11, {PERMANENT}},
    {0x13, 0x13, {PERMANENT}},
    {0x15, 0x15, {PERMANENT}}, /* service type */
    {0x33, 0x34, {PERMANENT}},
    {0x40, 0x40, {PERMANENT}},
    {0x42, 0x44, {PERMANENT}},
    {0x45, 0x45, {DOUBTFUL}},  /* submit failed, no reason given */
    {0x48, 0x51, {PERMANENT}}, /* TON, NPI */
    {0x53, 0x55, {PERMANENT}},
    {0x61, 0x63, {PERMANENT}}, /* schedule, validity, default message */
    {0x64, 0x64, {TRANSIENT}}, /* receiver temporary */
    {0x65, 0x67, {PERMANENT}},
    {0xC0, 0xC4, {PERMANENT}}, /* optional parameters */
    {0xFE, 0xFE, {TRANSIENT}}, /* delivery failure */
    {0xFF, 0xFF, {DOUBTFUL}},
    {0x100, 0x101, {PERMANENT}},
    {0x102, 0x102, {TRANSIENT}}, /* service not available */
    {0x103, 0x104, {PERMANENT}},
};

static const char *const CLASSES[] = {
    [SMPP_CLASS_OK] = "ok",
    [SMPP_CLASS_THROTTLE] = "throttle",
    [SMPP_CLASS_TRANSIENT] = "transient",
    [SMPP_CLASS_SESSION] = "session",
    [SMPP_CLASS_PERMANENT] = "permanent",
    [SMPP_CLASS_BIND_PERMANENT] = "bind_permanent",
};

const char *smpp_class_name(enum smpp_class cls)
{
    return CLASSES[cls];
}

struct smpp_verdict smpp_retry_submit(const struct smpp_retry *t, uint32_t status)
{
    for (uint32_t i = 0; i < t->n; i++)
        if (t->over[i].status == status)
            return t->over[i].verdict;
    for (size_t i = 0; i < sizeof SUBMIT / sizeof SUBMIT[0]; i++)
        if (status >= SUBMIT[i].from && status <= SUBMIT[i].to)
            return SUBMIT[i].verdict;
    return (struct smpp_verdict){DOUBTFUL};
}

struct smpp_verdict smpp_retry_bind(uint32_t status, uint32_t failures)
{
    static const struct smpp_verdict wrong = {SMPP_CLASS_BIND_PERMANENT, 300000, 0};
    static const struct smpp_verdict later = {SMPP_CLASS_TRANSIENT, 1000, 0};
    switch (status) {
    case SMPP_ROK:
        return (struct smpp_verdict){SMPP_CLASS_OK, 0, 0};
    case SMPP_RALYBND: /* the old session is still up there: it is not ours, so wait until it is
                          gone */
        return (struct smpp_verdict){SMPP_CLASS_TRANSIENT, 5000, 0};
    case SMPP_RINVPASWD:
    case SMPP_RINVSYSID:
    case 0x53: /* ESME_RINVSYSTYP */
        return wrong;
    case SMPP_RBINDFAIL:
        return failures >= FAIL_BIND_AFTER ? wrong : later;
    default:
        return later;
    }
}

uint32_t smpp_retry_pause_ms(const struct smpp_verdict *v, uint32_t attempt)
{
    uint64_t ms = v->retry_after_ms;
    for (uint32_t i = 1; i < attempt && ms < PAUSE_MAX_MS; i++)
        ms *= 4;
    return ms < PAUSE_MAX_MS ? (uint32_t)ms : PAUSE_MAX_MS;
}

/* ---- overrides ---- */

static int fail(struct cgw_diag *diag, int code, const char *item, size_t len, const char *text)
{
    if (diag) {
        diag->code = code;
        (void)snprintf(diag->where, sizeof diag->where, "retry");
        (void)snprintf(diag->text, sizeof diag->text, "\"%.*s\": %s", (int)(len < 60 ? len : 60),
                       item, text);
    }
    return code;
}

/* Decimal or 0x number at *s, at most max. */
static bool number(const char **s, const char *end, uint32_t max, uint32_t *ret)
{
    if (*s >= end || **s < '0' || **s > '9')
        return false;
    char *stop = NULL;
    bool hex = end - *s > 2 && (*s)[0] == '0' && ((*s)[1] | 0x20) == 'x';
    unsigned long v = strtoul(*s, &stop, hex ? 16 : 10);
    if (stop > end || v > max)
        return false;
    *s = stop;
    *ret = (uint32_t)v;
    return true;
}

static bool class_word(const char **s, const char *end, enum smpp_class *ret)
{
    static const enum smpp_class allowed[] = {SMPP_CLASS_THROTTLE, SMPP_CLASS_TRANSIENT,
                                              SMPP_CLASS_SESSION, SMPP_CLASS_PERMANENT};
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++) {
        size_t n = strlen(CLASSES[allowed[i]]);
        if ((size_t)(end - *s) >= n && !memcmp(*s, CLASSES[allowed[i]], n)) {
            *s += n;
            *ret = allowed[i];
            return true;
        }
    }
    return false;
}

/* "STATUS=CLASS[:MS[:TRIES]]" in s..end. \return NULL or what is wrong. */
static const char *read_item(const char *s, const char *end, uint32_t *ret_status,
                             struct smpp_verdict *ret)
{
    static const struct smpp_verdict defaults[] = {
        [SMPP_CLASS_OK] = {SMPP_CLASS_OK, 0, 0}, [SMPP_CLASS_THROTTLE] = {THROTTLE},
        [SMPP_CLASS_TRANSIENT] = {TRANSIENT},    [SMPP_CLASS_SESSION] = {SESSION},
        [SMPP_CLASS_PERMANENT] = {PERMANENT},
    };
    enum smpp_class cls = SMPP_CLASS_OK;
    if (!number(&s, end, UINT32_MAX, ret_status) || s >= end || *s++ != '=')
        return "expected STATUS=CLASS, for example 0x61=transient:30000:3";
    if (*ret_status == SMPP_ROK)
        return "status 0 is success and cannot be overridden";
    if (!class_word(&s, end, &cls))
        return "class must be throttle, transient, session or permanent";
    *ret = defaults[cls];
    if (s < end && *s == ':' && cls != SMPP_CLASS_PERMANENT) {
        s++;
        if (!number(&s, end, PAUSE_MAX_MS, &ret->retry_after_ms))
            return "pause must be 0 to 3600000 ms";
    }
    if (s < end && *s == ':' && cls == SMPP_CLASS_TRANSIENT) {
        s++;
        if (!number(&s, end, TRIES_MAX, &ret->tries) || !ret->tries)
            return "tries must be 1 to 100";
    }
    return s == end ? NULL : "unexpected text behind it";
}

int smpp_retry_init(struct smpp_retry *t, const char *overrides, struct cgw_diag *diag)
{
    t->n = 0;
    const char *s = overrides ? overrides : "";
    while (*s) {
        while (*s == ' ')
            s++;
        size_t len = strcspn(s, ",");
        size_t trimmed = len;
        while (trimmed && s[trimmed - 1] == ' ')
            trimmed--;
        if (t->n >= SMPP_OVERRIDES_MAX)
            return fail(diag, CGW_ELIMIT, s, trimmed, "more than 64 overrides");
        const char *wrong =
            read_item(s, s + trimmed, &t->over[t->n].status, &t->over[t->n].verdict);
        for (uint32_t i = 0; !wrong && i < t->n; i++)
            if (t->over[i].status == t->over[t->n].status)
                wrong = "this status has an override already";
        if (wrong)
            return fail(diag, CGW_EINVAL, s, trimmed, wrong);
        t->n++;
        s += len;
        if (*s == ',' && !*++s)
            return fail(diag, CGW_EINVAL, s, 0, "list ends with a comma");
    }
    return 0;
}
