/* SPDX-License-Identifier: Apache-2.0 */
/* trunk.c - see trunk.h. */
#include "trunk.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PINGS_LOST 2u /* in a row: down */

/* ---- reading ---- */

struct reader {
    struct ivr_trunk *t;
    char *why;
    size_t size;
};

static int bad(struct reader *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static int bad(struct reader *r, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(r->why, r->size, fmt, ap);
    va_end(ap);
    return -1;
}

static int number(struct reader *r, const char *key, const char *v, uint32_t max, uint32_t *ret)
{
    char *end;
    unsigned long n = strtoul(v, &end, 10);
    if (*v < '0' || *v > '9' || *end || n < 1 || n > max)
        return bad(r, "%s must be a number from 1 to %u", key, max);
    *ret = (uint32_t)n;
    return 0;
}

static int take_priority(struct reader *r, const char *v)
{
    return number(r, "priority", v, 100, &r->t->priority);
}

static int take_calls(struct reader *r, const char *v)
{
    return number(r, "calls", v, IVR_TRUNK_CALLS_MAX, &r->t->calls);
}

static int take_cps(struct reader *r, const char *v)
{
    return number(r, "cps", v, IVR_TRUNK_CPS_MAX, &r->t->cps);
}

static int take_user(struct reader *r, const char *v)
{
    size_t n = strlen(v);
    if (n == 0 || n >= sizeof r->t->user || strpbrk(v, " \"<>@;,\\"))
        return bad(r, "user must be 1 to %zu characters without space or \"<>@;,",
                   sizeof r->t->user - 1);
    (void)snprintf(r->t->user, sizeof r->t->user, "%s", v);
    return 0;
}

static int yes_no(struct reader *r, const char *key, const char *v, bool *ret)
{
    *ret = strcmp(v, "yes") == 0;
    return *ret || strcmp(v, "no") == 0 ? 0 : bad(r, "%s must be yes or no", key);
}

static int take_register(struct reader *r, const char *v)
{
    return yes_no(r, "register", v, &r->t->registers);
}

static int take_plus(struct reader *r, const char *v)
{
    return yes_no(r, "plus", v, &r->t->plus);
}

static int take_prefix(struct reader *r, const char *v)
{
    size_t n = strlen(v);
    if (n == 0 || n >= sizeof r->t->prefix || strspn(v, "0123456789*#") != n)
        return bad(r, "prefix must be 1 to %zu of 0-9 * #", sizeof r->t->prefix - 1);
    (void)snprintf(r->t->prefix, sizeof r->t->prefix, "%s", v);
    r->t->plus = false;
    return 0;
}

static const struct {
    const char *key;
    int (*take)(struct reader *r, const char *v);
} words[] = {{"priority", take_priority}, {"calls", take_calls},       {"cps", take_cps},
             {"user", take_user},         {"register", take_register}, {"plus", take_plus},
             {"prefix", take_prefix}};

static int take_word(struct reader *r, char *word)
{
    char *value = strchr(word, '=');
    if (value)
        *value++ = '\0';
    for (size_t i = 0; value && i < sizeof words / sizeof words[0]; i++)
        if (strcmp(words[i].key, word) == 0)
            return words[i].take(r, value);
    return bad(
        r, "\"%.30s\" is none of priority=, calls=, cps=, user=, register=, plus=, prefix=", word);
}

static int take_host(struct reader *r, const char *host)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
    size_t name = strspn(host, allowed), n = strlen(host);
    const char *port = host + name + (host[name] == ':');
    bool port_good = !host[name] || (host[name] == ':' && *port && strlen(port) <= 5 &&
                                     strspn(port, "0123456789") == strlen(port) && atol(port) > 0 &&
                                     atol(port) < 65536);
    if (name == 0 || n >= sizeof r->t->host || !port_good)
        return bad(r, "\"%.60s\" is not HOST or HOST:PORT (name or IPv4 address)", host);
    (void)snprintf(r->t->host, sizeof r->t->host, "%s", host);
    return 0;
}

int ivr_trunk_parse(const char *text, struct ivr_trunk *ret, char *why, size_t size)
{
    struct reader r = {ret, why, size};
    char copy[512], *rest = copy;
    *ret = (struct ivr_trunk){.priority = 10,
                              .calls = 100,
                              .cps = 10,
                              .plus = true,
                              .reachable = true,
                              .registered = true};
    if (strncmp(text, "sip:", 4) == 0)
        text += 4;
    if (snprintf(copy, sizeof copy, "%s", text) >= (int)sizeof copy)
        return bad(&r, "a trunk is described in at most %zu characters", sizeof copy - 1);
    if (take_host(&r, strsep(&rest, ";")) < 0)
        return -1;
    for (char *word; (word = strsep(&rest, ";"));)
        if (take_word(&r, word) < 0)
            return -1;
    if (ret->registers && !ret->user[0])
        return bad(&r, "register=yes needs user=");
    ret->registered = !ret->registers;
    ret->tokens = 1;
    return 0;
}

/* ---- choosing ---- */

bool ivr_trunk_is_up(const struct ivr_trunk *t, int64_t now_ms)
{
    return t->reachable && t->registered && now_ms >= t->rest_until_mono_ms;
}

/* At most a fifth of a second's calls are saved up: a pause must not become a burst. */
static void fill(struct ivr_trunk *t, int64_t now_ms)
{
    double most = t->cps * 0.2 < 1 ? 1 : t->cps * 0.2;
    if (t->filled_mono_ms)
        t->tokens += (double)(now_ms - t->filled_mono_ms) * t->cps / 1000;
    t->filled_mono_ms = now_ms;
    if (t->tokens > most)
        t->tokens = most;
}

static bool better(const struct ivr_trunk *a, const struct ivr_trunk *b)
{
    if (a->priority != b->priority)
        return a->priority < b->priority;
    return (uint64_t)a->used * b->calls < (uint64_t)b->used * a->calls;
}

int ivr_trunk_pick(struct ivr_trunk *trunks, uint32_t n, uint32_t tried, int64_t now_ms,
                   int64_t *wait_ms)
{
    int best = -1;
    *wait_ms = -2;
    for (uint32_t i = 0; i < n; i++) {
        struct ivr_trunk *t = &trunks[i];
        if (tried & 1u << i)
            continue;
        if (*wait_ms == -2)
            *wait_ms = -1;
        fill(t, now_ms);
        if (!ivr_trunk_is_up(t, now_ms) || t->used >= t->calls)
            continue;
        if (t->tokens < 1) {
            int64_t in_ms = (int64_t)((1 - t->tokens) * 1000 / t->cps) + 1;
            if (*wait_ms < 0 || in_ms < *wait_ms)
                *wait_ms = in_ms;
        } else if (best < 0 || better(t, &trunks[best])) {
            best = (int)i;
        }
    }
    if (best >= 0) {
        trunks[best].tokens -= 1;
        trunks[best].used++;
    }
    return best;
}

/* ---- health ---- */

void ivr_trunk_failed(struct ivr_trunk *t, int64_t now_ms, int64_t retry_after_ms, const char *why)
{
    int64_t rest = retry_after_ms > 0 ? retry_after_ms : IVR_TRUNK_REST_MS;
    if (rest > IVR_TRUNK_REST_MAX_MS)
        rest = IVR_TRUNK_REST_MAX_MS;
    if (now_ms + rest > t->rest_until_mono_ms)
        t->rest_until_mono_ms = now_ms + rest;
    (void)snprintf(t->why, sizeof t->why, "%s", why);
}

/* Any answer but 408 and 503 shows somebody who serves: many trunks do not allow OPTIONS. */
bool ivr_trunk_pinged(struct ivr_trunk *t, int64_t now_ms, int code)
{
    bool was_up = ivr_trunk_is_up(t, now_ms), good = code && code != 408 && code != 503;
    t->lost_pings = good ? 0 : t->lost_pings + 1;
    if (good) {
        bool was_lost = !t->reachable;
        t->reachable = true;
        if (was_lost) /* back from silence: what it rested for is over as well */
            t->rest_until_mono_ms = 0;
        if (t->registered && now_ms >= t->rest_until_mono_ms)
            t->why[0] = '\0';
    } else if (t->lost_pings >= PINGS_LOST) {
        t->reachable = false;
        if (code)
            (void)snprintf(t->why, sizeof t->why, "answers OPTIONS with %d", code);
        else
            (void)snprintf(t->why, sizeof t->why, "does not answer OPTIONS");
    }
    return was_up != ivr_trunk_is_up(t, now_ms);
}

void ivr_trunk_uri(const struct ivr_trunk *t, const char *address, char *out, size_t size)
{
    if (strncmp(address, "sip:", 4) == 0 || strncmp(address, "sips:", 5) == 0)
        (void)snprintf(out, size, "%s", address);
    else
        (void)snprintf(out, size, "sip:%s%s@%s", t->plus ? "+" : t->prefix,
                       address + (address[0] == '+'), t->host);
}
