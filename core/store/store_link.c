/* SPDX-License-Identifier: Apache-2.0 */
/* store_link.c - see store_link.h. Every statement is bound to one part; what goes from one part to
 * the other passes through here. */
#include "store/store_link.h"

#include "store/store_customer.h"
#include "store/store_decide.h"
#include "store/store_dnd.h"
#include "store/store_ids.h"
#include "store/store_outcome.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

struct ids {
    int64_t from, to;
};

/* $1 part, $2 customer of the source; $3 part, $4 customer of the target. */
static void both(struct db_params *p, const struct ids *i)
{
    dbp_init(p);
    dbp_int4(p, store_part(i->from));
    dbp_int8(p, i->from);
    dbp_int4(p, store_part(i->to));
    dbp_int8(p, i->to);
}

static int run(struct db *db, const struct ids *i, const char *const *steps, size_t n,
               struct diag *diag)
{
    int rc = 0;
    for (size_t k = 0; rc == 0 && k < n; k++) {
        struct db_params p;
        both(&p, i);
        rc = db_exec(db, steps[k], &p, NULL, diag);
    }
    return rc;
}

/* A withdrawal of either binds from now on; a grant comes along only for a purpose of which the
 * target never said anything; of two grants the shorter holds. Counts add up: one person was
 * reached that often. */
static const char *const copy_steps[] = {
    "INSERT INTO dnd (part, customer_id, scope, list_id, partner_id, reason, since) SELECT $3, $4, "
    "scope, list_id, partner_id, reason, since FROM dnd WHERE part = $1 AND customer_id = $2 AND "
    "list_id <> 2 ORDER BY scope, list_id ON CONFLICT DO NOTHING",
    "WITH s AS (SELECT * FROM consent WHERE part = $1 AND customer_id = $2), said AS (SELECT "
    "purpose, channel FROM consent WHERE part = $3 AND customer_id = $4) INSERT INTO consent AS c "
    "(part, "
    "customer_id, purpose, channel, state, source, evidence, at, expires) SELECT $3, $4, purpose, "
    "channel, state, source, evidence, CASE WHEN state = 2 THEN now() ELSE at END, expires FROM s "
    "WHERE state = 2 OR NOT EXISTS (SELECT FROM said WHERE said.purpose = s.purpose) OR EXISTS "
    "(SELECT FROM said WHERE said.purpose = s.purpose AND said.channel = s.channel) ORDER BY "
    "purpose, channel ON CONFLICT (part, customer_id, purpose, channel) DO "
    "UPDATE SET state = greatest(c.state, excluded.state), source = CASE WHEN excluded.state = 2 "
    "THEN excluded.source ELSE c.source END, evidence = CASE WHEN excluded.state = 2 THEN "
    "excluded.evidence ELSE c.evidence END, at = CASE WHEN excluded.state = 2 THEN excluded.at "
    "ELSE c.at END, expires = CASE WHEN greatest(c.state, excluded.state) = 1 THEN "
    "least(c.expires, excluded.expires) END",
    "INSERT INTO consent_event (part, customer_id, purpose, channel, state, source, evidence, at, "
    "expires, actor) SELECT part, customer_id, purpose, channel, state, source, evidence, at, "
    "expires, 'joined' FROM consent WHERE part = $3 AND customer_id = $4 AND (purpose, channel) IN "
    "(SELECT purpose, channel FROM consent WHERE part = $1 AND customer_id = $2) ORDER BY purpose, "
    "channel",
    "WITH RECURSIVE p (period) AS ((SELECT period FROM cap_counter WHERE part = $1 ORDER BY period "
    "LIMIT 1) UNION ALL SELECT (SELECT c.period FROM cap_counter c WHERE c.part = $1 AND c.period "
    "> p.period ORDER BY c.period LIMIT 1) FROM p WHERE p.period IS NOT NULL) INSERT INTO "
    "cap_counter AS w (period, part, customer_id, n, recent) SELECT c.period, $3, $4, c.n, "
    "c.recent FROM p JOIN cap_counter c ON c.part = $1 AND c.period = p.period AND c.customer_id = "
    "$2 ORDER BY c.period ON CONFLICT (part, period, customer_id) DO UPDATE SET n = ARRAY(SELECT "
    "least(coalesce(w.n[i], 0) + coalesce(excluded.n[i], 0), 32000)::int2 FROM generate_series(1, "
    "greatest(cardinality(w.n), cardinality(excluded.n))) i), recent = (SELECT (ARRAY(SELECT d "
    "FROM unnest(w.recent || excluded.recent) d ORDER BY d))[greatest(1, cardinality(w.recent) + "
    "cardinality(excluded.recent) + 1 - 32):])",
    "INSERT INTO soft_bounce (part, customer_id, channel, contact_id, at) SELECT $3, $4, channel, "
    "contact_id, at FROM soft_bounce WHERE part = $1 AND customer_id = $2 ON CONFLICT DO NOTHING",
    "UPDATE customer t SET msisdn = coalesce(t.msisdn, s.msisdn), email = coalesce(t.email, "
    "s.email), external_id = coalesce(t.external_id, s.external_id), zone = coalesce(t.zone, "
    "s.zone), region = coalesce(t.region, s.region), lang = coalesce(t.lang, s.lang), channel = "
    "coalesce(t.channel, s.channel), attrs = s.attrs || t.attrs, updated_at = now() FROM customer "
    "s WHERE s.part = $1 AND s.customer_id = $2 AND t.part = $3 AND t.customer_id = $4",
    "INSERT INTO customer (part, customer_id, msisdn, email, external_id, zone, region, lang, "
    "channel, attrs) SELECT $3, $4, msisdn, email, external_id, zone, region, lang, channel, attrs "
    "FROM customer WHERE part = $1 AND customer_id = $2 ON CONFLICT DO NOTHING"};

/* What a new owner of an address, or a tombstone, keeps of the old one. */
static const char *const optout_steps[] = {
    "INSERT INTO dnd (part, customer_id, scope, list_id, partner_id, reason, since) SELECT $3, $4, "
    "scope, list_id, partner_id, reason, since FROM dnd WHERE part = $1 AND customer_id = $2 AND "
    "list_id = 1 ORDER BY scope ON CONFLICT DO NOTHING"};

/* The id ends: nobody is decided for under it again, and what is decided is not sent. */
static int end_id(struct db *db, int64_t id, struct diag *diag)
{
    static const int32_t scope = 0;
    const struct store_dnd_fact fact = {.part = store_part(id),
                                        .customer_id = id,
                                        .scopes = &scope,
                                        .n_scopes = 1,
                                        .list_id = STORE_DND_LINKED,
                                        .reason = 5 /* customer.linked */};
    uint64_t parts = 0;
    struct store_dnd_fact now = fact;
    int rc = store_now(db, &now.at_utc_ms, diag);
    if (rc == 0)
        rc = store_dnd_put(db, &now, &parts, NULL, diag);
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, store_part(id));
    dbp_int8(&p, id);
    if (rc < 0) {
        dbp_done(&p);
        return rc;
    }
    return db_exec(db, "DELETE FROM customer WHERE part = $1 AND customer_id = $2", &p, NULL, diag);
}

/* Every address that led to `from`, its own among them, leads to `to`. */
static int lead(struct db *db, const struct ids *i, struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int8(&p, i->from);
    dbp_int8(&p, i->to);
    int rc = db_exec(db, "UPDATE customer_alias SET customer_id = $2 WHERE customer_id = $1", &p,
                     NULL, diag);
    if (rc < 0)
        return rc;
    dbp_init(&p);
    dbp_int4(&p, store_part(i->from));
    dbp_int8(&p, i->from);
    dbp_int8(&p, i->to);
    return db_exec(db,
                   "INSERT INTO customer_alias (part, address_key, customer_id) VALUES ($1, $2, "
                   "$3) ON CONFLICT (part, address_key) DO UPDATE SET customer_id = $3",
                   &p, NULL, diag);
}

static int lock(struct db *db, const int64_t *ids, int n, uint64_t *io_parts, struct diag *diag)
{
    struct part_lock *locks = malloc(STORE_PARTS * sizeof *locks);
    if (!locks)
        return diag_set(diag, -ENOMEM, "", "out of memory");
    for (int i = 0; i < n; i++)
        *io_parts |= UINT64_C(1) << store_part(ids[i]);
    int rc = store_parts_lock(db, *io_parts, locks, diag);
    free(locks);
    return rc;
}

static int audit(struct db *db, const struct store_actor *who, const char *action, int64_t id,
                 int64_t other, const char *role, struct diag *diag)
{
    char cus[STORE_ID_TEXT_MAX], second[STORE_ID_TEXT_MAX], after[160] = "{}";
    store_id_encode("cus", id, cus, sizeof cus);
    if (other) {
        store_id_encode("cus", other, second, sizeof second);
        (void)snprintf(after, sizeof after, "{\"%s\":\"%s\"}", role, second);
    }
    return store_audit(db, who, action, cus, NULL, after, diag);
}

/* A fresh id in the part of another: no key of any address. */
static int64_t fresh(int64_t like)
{
    uint64_t v;
    randombytes_buf(&v, sizeof v);
    return (int64_t)((v >> 1) / STORE_PARTS * STORE_PARTS + (uint64_t)store_part(like));
}

int store_customer_link(struct db *db, const struct store_actor *who, int64_t kept, int64_t other,
                        int64_t *ret_kept, int64_t *ret_other, uint64_t *ret_parts,
                        struct diag *diag)
{
    struct ids i = {0};
    *ret_parts = 0;
    int rc = store_alias_lock(db, true, diag);
    if (rc == 0)
        rc = store_alias_find(db, kept, &i.to, diag);
    if (rc == 0)
        rc = store_alias_find(db, other, &i.from, diag);
    if (rc == 0 && i.to == i.from)
        rc = diag_set(diag, CGW_EEXISTS, "", "these are one customer already");
    if (rc == 0)
        rc = lock(db, (const int64_t[]){i.from, i.to}, 2, ret_parts, diag);
    if (rc == 0)
        rc = run(db, &i, copy_steps, ARRAY_LEN(copy_steps), diag);
    if (rc == 0)
        rc = lead(db, &i, diag);
    if (rc == 0)
        rc = end_id(db, i.from, diag);
    if (rc == 0)
        rc = audit(db, who, "customer.link", i.to, i.from, "absorbed", diag);
    *ret_kept = i.to;
    *ret_other = i.from;
    return rc;
}

static int forget(struct db *db, int64_t id, struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, store_part(id));
    dbp_int8(&p, id);
    return db_exec(db, "SELECT person_forget($1, $2)", &p, NULL, diag);
}

/* Is there another address than this one? */
static int has_other(struct db *db, int64_t id, int64_t address_key, bool *ret, struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int8(&p, id);
    dbp_int8(&p, address_key);
    dbp_int4(&p, store_part(id));
    auto_dbr struct db_result *r = NULL;
    /* an alias, or a person whose own key is another address */
    int rc = db_query(db,
                      "SELECT EXISTS (SELECT FROM customer_alias WHERE customer_id = $1 AND "
                      "address_key <> $2) OR ($1 <> $2 AND EXISTS (SELECT FROM customer WHERE part "
                      "= $3 AND customer_id = $1 AND (msisdn IS NOT NULL OR email IS NOT NULL)))",
                      &p, &r, diag);
    if (rc == 0)
        *ret = dbr_bool(r, 0, 0);
    return rc;
}

static int drop_address(struct db *db, int64_t id, const char *address, struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, store_part(id));
    dbp_int8(&p, id);
    dbp_text(&p, address);
    return db_exec(db,
                   "UPDATE customer SET msisdn = nullif(msisdn, $3), email = nullif(email, $3) "
                   "WHERE part = $1 AND customer_id = $2",
                   &p, NULL, diag);
}

/* The former owner moves to an id of their own, with all that is known; without another address
 * there is nobody left to know. */
static int move_former(struct db *db, int64_t id, int64_t address_key, const char *address,
                       int64_t *ret_former, struct diag *diag)
{
    bool other = false;
    *ret_former = 0;
    int rc = has_other(db, id, address_key, &other, diag);
    if (rc == 0 && other) {
        struct ids i = {id, fresh(id)};
        *ret_former = i.to;
        rc = run(db, &i, copy_steps, ARRAY_LEN(copy_steps), diag);
        if (rc == 0)
            rc = drop_address(db, i.to, address, diag);
        if (rc == 0)
            rc = lead(db, &i, diag);
    } else if (rc == 0) {
        rc = forget(db, id, diag);
    }
    return rc == 0 ? end_id(db, id, diag) : rc;
}

int store_customer_reassign(struct db *db, const struct store_actor *who, int64_t address_key,
                            const char *address, int64_t *ret_new, int64_t *ret_former,
                            uint64_t *ret_parts, struct diag *diag)
{
    int64_t id = 0;
    *ret_parts = 0;
    *ret_new = fresh(address_key);
    int rc = store_alias_lock(db, true, diag);
    if (rc == 0)
        rc = store_alias_find(db, address_key, &id, diag);
    if (rc == 0)
        rc = lock(db, (const int64_t[]){id, *ret_new}, 2, ret_parts, diag);
    struct ids i = {id, *ret_new};
    if (rc == 0)
        rc = run(db, &i, optout_steps, ARRAY_LEN(optout_steps), diag);
    if (rc == 0)
        rc = move_former(db, id, address_key, address, ret_former, diag);
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, store_part(address_key));
    dbp_int8(&p, address_key);
    dbp_int8(&p, *ret_new);
    if (rc == 0)
        rc = db_exec(db,
                     "INSERT INTO customer_alias (part, address_key, customer_id) VALUES ($1, $2, "
                     "$3) ON CONFLICT (part, address_key) DO UPDATE SET customer_id = $3",
                     &p, NULL, diag);
    else
        dbp_done(&p);
    return rc == 0 ? audit(db, who, "customer.reassigned", id, *ret_new, "new", diag) : rc;
}

int store_customer_erase(struct db *db, const struct store_actor *who, int64_t customer_id,
                         uint64_t *ret_parts, struct diag *diag)
{
    struct ids i = {0};
    *ret_parts = 0;
    int rc = store_alias_lock(db, true, diag);
    if (rc == 0)
        rc = store_alias_find(db, customer_id, &i.from, diag);
    i.to = fresh(i.from);
    if (rc == 0)
        rc = lock(db, &i.from, 1, ret_parts, diag);
    if (rc == 0)
        rc = run(db, &i, optout_steps, ARRAY_LEN(optout_steps), diag);
    if (rc == 0)
        rc = forget(db, i.from, diag);
    if (rc == 0)
        rc = lead(db, &i, diag);
    if (rc == 0)
        rc = end_id(db, i.from, diag);
    return rc == 0 ? audit(db, who, "customer.erase", i.from, 0, "", diag) : rc;
}
