/* SPDX-License-Identifier: Apache-2.0 */
/* status.c - see status.h. */
#include "status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AFTER_MAX_MS 86400000ul

struct row {
    int from, to;
    struct mms_verdict verdict;
};

/* First match counts; what is not here is final. */
static const struct row MM7[] = {
    {1000, 1999, {MMS_ACCEPT, 0}},   /* 1000 success, 1100 partial success */
    {3000, 3000, {MMS_RETRY, 0}},    /* server error */
    {4000, 4000, {MMS_RETRY, 0}},    /* general service error */
    {4001, 4002, {MMS_ACCOUNT, 0}},  /* improper identification, version not supported */
    {4005, 4005, {MMS_RETRY, 0}},    /* service error */
    {4006, 4006, {MMS_THROTTLE, 0}}, /* service unavailable */
};

/* Without a StatusCode. 2xx and 5xx may stand behind a message that was taken: whoever sends it
 * again may send it twice. */
static const struct row HTTP[] = {
    {200, 299, {MMS_UNSURE, 0}},   {401, 401, {MMS_ACCOUNT, 0}}, {403, 405, {MMS_ACCOUNT, 0}},
    {407, 407, {MMS_ACCOUNT, 0}},  {408, 408, {MMS_RETRY, 0}},   {429, 429, {MMS_THROTTLE, 0}},
    {503, 503, {MMS_THROTTLE, 0}}, {500, 599, {MMS_UNSURE, 0}},  {300, 399, {MMS_ACCOUNT, 0}},
};

static const char *const NAMES[] = {
    [MMS_ACCEPT] = "accept",     [MMS_REFUSE] = "refuse",   [MMS_RETRY] = "retry",
    [MMS_THROTTLE] = "throttle", [MMS_ACCOUNT] = "account", [MMS_UNSURE] = "unsure",
};

const char *mms_class_name(enum mms_class cls)
{
    return NAMES[cls];
}

static struct mms_verdict look_up(const struct row *rows, size_t n, int code)
{
    for (size_t i = 0; i < n; i++)
        if (code >= rows[i].from && code <= rows[i].to)
            return rows[i].verdict;
    return (struct mms_verdict){MMS_REFUSE, 0};
}

struct mms_verdict mms_status_of(const struct mms_status *t, int code)
{
    for (uint32_t i = 0; i < t->n; i++)
        if (t->over[i].code == code)
            return t->over[i].verdict;
    return look_up(MM7, sizeof MM7 / sizeof MM7[0], code);
}

struct mms_verdict mms_status_http(int status)
{
    return look_up(HTTP, sizeof HTTP / sizeof HTTP[0], status);
}

static int fail(struct cgw_diag *diag, int rc, const char *item, const char *what)
{
    diag->code = rc;
    (void)snprintf(diag->text, sizeof diag->text, "\"%.60s\": %s", item, what);
    return rc;
}

static bool class_of(const char *word, size_t len, enum mms_class *ret)
{
    for (uint32_t c = MMS_ACCEPT; c <= MMS_ACCOUNT; c++)
        if (strlen(NAMES[c]) == len && !memcmp(NAMES[c], word, len)) {
            *ret = (enum mms_class)c;
            return true;
        }
    return false;
}

int mms_status_add(struct mms_status *t, const char *item, struct cgw_diag *diag)
{
    static const char want[] = "expected CODE=CLASS[:MS], for example 6102=retry:30000";
    char *end = NULL;
    struct mms_verdict v = {MMS_REFUSE, 0};
    long code = strtol(item, &end, 10);
    if (end == item || *end != '=' || code < 1 || code > 999999)
        return fail(diag, CGW_EINVAL, item, want);
    const char *word = end + 1;
    size_t len = strcspn(word, ":");
    if (!class_of(word, len, &v.cls))
        return fail(diag, CGW_EINVAL, item,
                    "the class must be accept, refuse, retry, throttle or account");
    if (word[len] == ':') {
        unsigned long ms = strtoul(word + len + 1, &end, 10);
        if (end == word + len + 1 || *end || ms > AFTER_MAX_MS || v.cls == MMS_ACCEPT ||
            v.cls == MMS_REFUSE || word[len + 1] == '-')
            return fail(diag, CGW_EINVAL, item,
                        "a pause of 0 to 86400000 ms goes with retry, throttle and account only");
        v.after_ms = (uint32_t)ms;
    }
    for (uint32_t i = 0; i < t->n; i++)
        if (t->over[i].code == (int)code)
            return fail(diag, CGW_EINVAL, item, "this code has an override already");
    if (t->n == MMS_OVERRIDES_MAX)
        return fail(diag, CGW_ELIMIT, item, "is more than 64 overrides");
    t->over[t->n].code = (int)code;
    t->over[t->n++].verdict = v;
    return 0;
}
