/* SPDX-License-Identifier: Apache-2.0 */
/* domains.c - see domains.h. */
#include "domains.h"

#include "cgw/types.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHAINS 8192u
#define STEP_UNLIMITED_MS 10 /* between those whom a domain without a limit put off */
#define STEP_BY_MOST_MAX_MS                                                                        \
    1000               /* a domain that is slow for a while must not be idle for long afterwards */
#define TOOK_OF_LATE 8 /* messages that the mean goes by, about */
#define STANDARD_PER_S 100
#define STANDARD_MOST 10u

struct named {
    char name[EMAIL_DOMAIN_LEN];
    struct email_limit limit;
};

struct email_domains {
    struct email_limit standard;
    struct named *named; /* EMAIL_LIMITS_MAX */
    uint32_t n_named;
    uint32_t chain[CHAINS]; /* index + 1 */
    struct email_domain *v; /* EMAIL_DOMAINS_MAX */
    uint32_t n;
};

struct email_domains *email_domains_new(void)
{
    struct email_domains *d = calloc(1, sizeof *d);
    if (!d)
        return NULL;
    d->standard = (struct email_limit){STANDARD_PER_S, STANDARD_MOST};
    d->named = calloc(EMAIL_LIMITS_MAX, sizeof *d->named);
    d->v = calloc(EMAIL_DOMAINS_MAX, sizeof *d->v); /* touched as it fills */
    if (d->named && d->v)
        return d;
    email_domains_free(d);
    return NULL;
}

void email_domains_free(struct email_domains *d)
{
    if (!d)
        return;
    free(d->named);
    free(d->v);
    free(d);
}

/* ---- limits ---- */

/* "20/s:5", "20/s", ":5" */
static bool read_limit(const char *text, struct email_limit *ret)
{
    char *end = (char *)(uintptr_t)text;
    *ret = (struct email_limit){0};
    if (*text != ':') {
        ret->per_s = strtod(text, &end);
        if (end == text || !(ret->per_s >= 0.001 && ret->per_s <= 100000) ||
            strncmp(end, "/s", 2) != 0)
            return false;
        end += 2;
    }
    if (*end == ':') {
        const char *from = end + 1;
        unsigned long most = strtoul(from, &end, 10);
        if (end == from || *from == '-' || most < 1 || most > 1000)
            return false;
        ret->most = (uint32_t)most;
    }
    return *end == 0 && (ret->per_s > 0 || ret->most > 0);
}

int email_domains_limit(struct email_domains *d, const char *word, char *why, size_t why_size)
{
    const char *eq = strchr(word, '=');
    struct email_limit limit;
    if (!eq || eq == word || (size_t)(eq - word) >= EMAIL_DOMAIN_LEN ||
        !read_limit(eq + 1, &limit)) {
        (void)snprintf(
            why, why_size,
            "\"%.60s\" is no limit; write DOMAIN=RATE/s:MOST, as gmail.com=20/s:5 "
            "(rate 0.001 to 100000, most to 1000, either may be left out, * = all others)",
            word);
        return CGW_EINVAL;
    }
    if (eq - word == 1 && *word == '*') {
        d->standard = limit;
        return 0;
    }
    if (d->n_named == EMAIL_LIMITS_MAX) {
        (void)snprintf(why, why_size, "more than %u domains with a limit", EMAIL_LIMITS_MAX);
        return CGW_EINVAL;
    }
    struct named *n = &d->named[d->n_named++];
    n->limit = limit;
    for (size_t i = 0; word + i < eq; i++)
        n->name[i] = word[i] >= 'A' && word[i] <= 'Z' ? (char)(word[i] + 32) : word[i];
    return 0;
}

static struct email_limit limit_of(const struct email_domains *d, const char *name)
{
    for (uint32_t i = 0; i < d->n_named; i++)
        if (!strcmp(d->named[i].name, name))
            return d->named[i].limit;
    return d->standard;
}

/* ---- the table ---- */

static uint32_t chain_of(const char *name)
{
    uint32_t h = 2166136261u; /* FNV-1a: a chain is short whoever chose the names, v is bounded */
    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 16777619u;
    return h % CHAINS;
}

static void unchain(struct email_domains *d, uint32_t i)
{
    uint32_t *at = &d->chain[chain_of(d->v[i].name)];
    while (*at && *at != i + 1)
        at = &d->v[*at - 1].next;
    if (*at)
        *at = d->v[i].next;
}

/* An entry that nobody uses and that remembers nothing; EMAIL_DOMAINS_MAX = none. */
static uint32_t spare_entry(struct email_domains *d, int64_t now_ms)
{
    uint32_t best = EMAIL_DOMAINS_MAX;
    if (d->n < EMAIL_DOMAINS_MAX)
        return d->n++;
    for (uint32_t i = 0; i < d->n; i++) {
        const struct email_domain *e = &d->v[i];
        if (!e->active && !e->waiting && e->spared_until_ms <= now_ms &&
            (best == EMAIL_DOMAINS_MAX || e->used_ms < d->v[best].used_ms))
            best = i;
    }
    if (best < EMAIL_DOMAINS_MAX)
        unchain(d, best);
    return best;
}

/* a tenth of a second's worth */
static double burst(const struct email_domain *e)
{
    return e->limit.per_s > 10 ? e->limit.per_s / 10 : 1;
}

struct email_domain *email_domains_get(struct email_domains *d, const char *name, int64_t now_ms)
{
    uint32_t *chain = &d->chain[chain_of(name)];
    for (uint32_t i = *chain; i; i = d->v[i - 1].next)
        if (!strcmp(d->v[i - 1].name, name)) {
            d->v[i - 1].used_ms = now_ms;
            return &d->v[i - 1];
        }
    uint32_t i = spare_entry(d, now_ms);
    if (i == EMAIL_DOMAINS_MAX)
        return NULL;
    struct email_domain *e = &d->v[i];
    *e = (struct email_domain){.limit = limit_of(d, name),
                               .filled_ms = now_ms,
                               .used_ms = now_ms,
                               .backoff_ms = EMAIL_BACKOFF_FIRST_MS,
                               .took_ms = EMAIL_TOOK_MS,
                               .next = *chain};
    (void)snprintf(e->name, sizeof e->name, "%s", name);
    e->tokens = burst(e);
    *chain = i + 1;
    return e;
}

/* ---- one domain ---- */

static void fill(struct email_domain *e, int64_t now_ms)
{
    e->tokens += (double)(now_ms - e->filled_ms) * e->limit.per_s / 1000;
    if (e->tokens > burst(e))
        e->tokens = burst(e);
    e->filled_ms = now_ms;
}

int64_t email_domain_take(struct email_domain *e, int64_t now_ms)
{
    if (e->spared_until_ms > now_ms)
        return e->spared_until_ms;
    if (e->limit.most && e->active >= e->limit.most)
        return INT64_MAX; /* until one of them is done */
    if (e->limit.per_s > 0) {
        fill(e, now_ms);
        if (e->tokens < 1)
            return now_ms + 1 + (int64_t)((1 - e->tokens) * 1000 / e->limit.per_s);
        e->tokens -= 1;
    }
    e->active++;
    return 0;
}

/* Between two messages, where so many are under way at once; 0 without a limit. */
static double step_by_most(const struct email_domain *e)
{
    return e->limit.most ? e->took_ms / e->limit.most : 0;
}

static double step_by_rate(const struct email_domain *e)
{
    return e->limit.per_s > 0 ? 1000 / e->limit.per_s : 0;
}

/* ahead: who must be served first, beyond what can be served at once */
static double wait_for(double ahead, double step_ms)
{
    return ahead > 0 ? ahead * step_ms : 0;
}

void email_domain_untake(struct email_domain *e)
{
    e->active--;
    e->tokens += e->limit.per_s > 0;
}

int64_t email_domain_outlook(const struct email_domain *e, int64_t now_ms)
{
    int64_t from = e->spared_until_ms > now_ms ? e->spared_until_ms : now_ms;
    double tokens = e->tokens + (double)(now_ms - e->filled_ms) * e->limit.per_s / 1000;
    double mine = e->waiting + 1.0;
    double by_rate = wait_for(mine - (tokens > burst(e) ? burst(e) : tokens), step_by_rate(e));
    double by_most = wait_for(mine + e->active - e->limit.most, step_by_most(e));
    return from + (int64_t)(by_rate > by_most ? by_rate : by_most);
}

double email_took(double mean_ms, int64_t took_ms)
{
    double mean = mean_ms + ((double)took_ms - mean_ms) / TOOK_OF_LATE;
    return mean > 1 ? mean : 1;
}

void email_domain_done(struct email_domain *e, bool ok, int64_t took_ms, int64_t now_ms)
{
    e->active--;
    e->used_ms = now_ms;
    if (!ok)
        return;
    e->took_ms = email_took(e->took_ms, took_ms);
    if (e->spared_until_ms <= now_ms)
        e->backoff_ms = EMAIL_BACKOFF_FIRST_MS;
}

void email_domain_spare(struct email_domain *e, int64_t now_ms)
{
    if (e->spared_until_ms > now_ms)
        return; /* the answers of one wave count once */
    e->spared_until_ms = now_ms + e->backoff_ms;
    e->backoff_ms =
        e->backoff_ms * 2 > EMAIL_BACKOFF_MAX_MS ? EMAIL_BACKOFF_MAX_MS : e->backoff_ms * 2;
}

int64_t email_domain_book(struct email_domain *e, int64_t now_ms)
{
    double by_rate = step_by_rate(e), by_most = step_by_most(e);
    if (by_most > STEP_BY_MOST_MAX_MS)
        by_most = STEP_BY_MOST_MAX_MS;
    double step = by_rate > by_most ? by_rate : by_most;
    int64_t step_ms = (int64_t)(step > 0 ? step : STEP_UNLIMITED_MS) + 1;
    int64_t from = e->spared_until_ms > now_ms ? e->spared_until_ms : now_ms;
    if (e->booked_ms < from)
        e->booked_ms = from;
    e->booked_ms += step_ms;
    if (e->booked_ms > now_ms + EMAIL_BOOKED_MAX_MS)
        e->booked_ms = now_ms + EMAIL_BOOKED_MAX_MS;
    return e->booked_ms - now_ms;
}
