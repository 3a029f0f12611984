/* SPDX-License-Identifier: Apache-2.0 */
/* outcome_fixture.h - an outcome writer on a real database, and what one asks of it. */
#ifndef TESTS_DB_OUTCOME_FIXTURE_H
#define TESTS_DB_OUTCOME_FIXTURE_H

#include "protocol_fixture.h"

#include "address/address.h"
#include "base/clock.h"
#include "outcome/outcome.h"

#include <stdatomic.h>
#include <time.h>

#define DEL CGW_RES_DELIVERED
#define FAI CGW_RES_FAILED

static atomic_uint n_settled, n_stored;

static void on_settled(void *ctx, const struct outcome_contact *contacts, uint32_t n)
{
    (void)ctx;
    (void)contacts;
    atomic_fetch_add(&n_settled, n);
}
static void on_stored(void *ctx, const char *instance, const uint64_t *acks, uint32_t n)
{
    (void)ctx;
    (void)instance;
    (void)acks;
    atomic_fetch_add(&n_stored, n);
}

static struct outcome_config config(const char *conninfo)
{
    return (struct outcome_config){.conninfo = conninfo,
                                   .node = NODE,
                                   .sign_key = sign_key,
                                   .identity_key = identity_key,
                                   .receipt_grace_ms = 1000,
                                   .soft_bounces = 3,
                                   .soft_bounce_days = 30,
                                   .settled = on_settled,
                                   .stored = on_stored};
}

MAYBE_UNUSED static struct outcome_writer *start(void)
{
    struct outcome_writer *w = NULL;
    struct outcome_config cfg = config(getenv("CAMPGW_TEST_DB"));
    OK(outcome_start(&cfg, &w, &d));
    return w;
}

static void nap(long ms)
{
    (void)nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static void wait_count(atomic_uint *count, unsigned want)
{
    for (int i = 0; i < 10000 && atomic_load(count) < want;
         i++) /* of a database that pauses, too */
        nap(2);
    cr_assert_eq(atomic_load(count), want);
}

/* A world whose chunk went out completely. */
MAYBE_UNUSED static void sent_world(struct world *w, int32_t part, int n)
{
    make_world(w, part, n);
    decide_all(w, 0, 0);
    intend(w, n);
}

MAYBE_UNUSED static struct outcome_contact contact(const struct world *w, int i)
{
    int64_t now = clock_utc_ms();
    return (struct outcome_contact){.part = w->part,
                                    .wave_id = w->wave_id,
                                    .route_id = w->route_id,
                                    .contact_id = contact_of(w, i),
                                    .customer_id = w->ids[i],
                                    .epoch = w->epoch,
                                    .attempt = 1,
                                    .max_tries = 3,
                                    .want_receipt = true,
                                    .intended_utc_ms = now - 20000,
                                    .not_after_utc_ms = now + 60000};
}

MAYBE_UNUSED static void result(struct outcome_writer *o, const struct world *w,
                                const struct outcome_contact *c, uint32_t res, uint32_t flags,
                                const char *const *ids, uint32_t n_ids)
{
    struct cgw_result r = {.size = sizeof r,
                           .result = res,
                           .flags = flags,
                           .code_space = "t",
                           .raw = "said \x80 so",
                           .provider_ids = ids,
                           .n_ids = n_ids};
    unsigned want = atomic_load(&n_settled) + 1;
    outcome_result(o, c, w->instance, &r);
    wait_count(&n_settled, want);
}

MAYBE_UNUSED static void receipt_at(struct outcome_writer *o, const char *instance, const char *id,
                                    uint32_t res, uint32_t flags, const char *person, int64_t at_ms)
{
    struct cgw_receipt r = {.size = sizeof r,
                            .result = res,
                            .flags = flags,
                            .provider_id = id,
                            .code_space = "t",
                            .raw = "",
                            .ack = 1,
                            .arrived_utc_ms = at_ms};
    if (person)
        r.person = (struct cgw_address){
            .kind = CGW_ADDR_E164, .len = (uint32_t)strlen(person), .text = person};
    unsigned want = atomic_load(&n_stored) + 1;
    cr_assert_eq(outcome_receipts(o, instance, &r, 1), 1);
    wait_count(&n_stored, want);
}

MAYBE_UNUSED static int64_t stat(const struct world *w, int kind)
{
    return number(
        "SELECT coalesce(sum(n), 0)::int8 FROM campaign_stat WHERE wave_id = %d AND kind = %d",
        w->wave_id, kind);
}
MAYBE_UNUSED static int64_t events(const struct world *w, int i, int kind)
{
    return number("SELECT count(*) FROM contact_event WHERE part = %d AND contact_id = %" PRId64
                  " AND kind = %d",
                  w->part, contact_of(w, i), kind);
}

MAYBE_UNUSED static void person_of(const struct world *w, int i, char out[32])
{
    (void)snprintf(out, 32, "+49151%08u", (unsigned)(w->ids[i] / 64 % 100000000));
}

MAYBE_UNUSED static void wait_event(const struct world *w, int i, int kind)
{
    for (int k = 0; k < 2000 && !events(w, i, kind); k++)
        nap(10);
    cr_assert_eq(events(w, i, kind), 1, "contact %d, kind %d", i, kind);
}

#endif
