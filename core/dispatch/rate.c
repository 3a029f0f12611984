/* SPDX-License-Identifier: Apache-2.0 */
/* rate.c - token buckets of routes, in segments: a long text costs as much as it takes on the wire.
 * A route's rate is for all nodes together: each spends it in proportion to the parts it holds. A
 * part has one holder at most, so the nodes together never exceed it, whoever comes and goes; the
 * share of a dead node lies idle until its parts are taken over. Burst: a tenth of a second, or one
 * segment of each node. */
#include "dispatch/dispatch_int.h"

#include "base/clock.h"

static struct route_bucket *bucket_of(struct dispatch *d, const struct route_info *r)
{
    for (unsigned i = 0; i < d->n_buckets; i++)
        if (d->buckets[i].route_id == r->route_id)
            return &d->buckets[i];
    if (d->n_buckets == CONTROL_ROUTES_MAX)
        d->n_buckets = 0; /* routes come and go: start over, each with an empty bucket */
    struct route_bucket *b = &d->buckets[d->n_buckets++];
    *b = (struct route_bucket){.route_id = r->route_id, .at_us = clock_mono_us()};
    return b;
}

/* Numbers of routes are above 0, so a partner's bucket stands under its own number, negated. It
 * counts messages, not segments. */
struct route_info rate_of_partner(const struct wave_info *w)
{
    return (struct route_info){.route_id = -w->partner_id,
                               .rate = w->partner_id ? w->partner_rate : 0};
}

uint32_t rate_take(struct dispatch *d, const struct route_info *r, uint32_t segments)
{
    if (r->rate <= 0)
        return segments;
    int32_t parts[STORE_PARTS];
    (void)pthread_mutex_lock(&d->rate_lock);
    struct route_bucket *b = bucket_of(d, r);
    int64_t now = clock_mono_us();
    double rate = r->rate * (double)queue_parts(d->queue, parts) / STORE_PARTS;
    double burst = rate / 10 > 1 ? rate / 10 : 1;
    b->tokens += (double)(now - b->at_us) * rate / 1e6;
    if (b->tokens > burst)
        b->tokens = burst;
    b->at_us = now;
    uint32_t got = b->tokens < 1 ? 0 : b->tokens < segments ? (uint32_t)b->tokens : segments;
    b->tokens -= got;
    (void)pthread_mutex_unlock(&d->rate_lock);
    return got;
}

void rate_owe(struct dispatch *d, const struct route_info *r, uint32_t segments)
{
    if (r->rate <= 0 || segments == 0)
        return;
    (void)pthread_mutex_lock(&d->rate_lock);
    bucket_of(d, r)->tokens -= segments; /* below zero: nobody takes until it is paid */
    (void)pthread_mutex_unlock(&d->rate_lock);
}

void rate_back(struct dispatch *d, const struct route_info *r, uint32_t segments)
{
    if (r->rate <= 0 || segments == 0)
        return;
    (void)pthread_mutex_lock(&d->rate_lock);
    bucket_of(d, r)->tokens += segments;
    (void)pthread_mutex_unlock(&d->rate_lock);
}
