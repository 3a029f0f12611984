/* SPDX-License-Identifier: Apache-2.0 */
/* store_people.c - streams of people: look up keys, fill in_person, upsert customers. See
 * store_customer.h. */
#include "store/store_customer.h"

#include <string.h>

#define PUSH_BYTES 1048576u

/* Another address under the same key: numbers are compared with numbers; an e-mail address only
 * when the person has no number, because a person's e-mail address may change while the number
 * names them. */
#define COLLIDES(addr)                                                                             \
    "(CASE WHEN left(" addr ", 1) = '+' THEN c.msisdn <> " addr " ELSE " addr                      \
    " <> '' AND c.msisdn IS NULL AND c.email <> " addr " END)"

int store_people_any(struct db *db, bool *ret_any, struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    int rc =
        db_query(db, "SELECT EXISTS (SELECT FROM customer) OR EXISTS (SELECT FROM customer_alias)",
                 NULL, &r, diag);
    if (rc == 0)
        *ret_any = dbr_bool(r, 0, 0);
    return rc;
}

static void tell_found(const struct db_result *r, store_person_fn found, void *ctx)
{
    for (int i = 0; i < dbr_rows(r); i++) {
        struct store_person who = {.customer_id = dbr_int(r, i, 1),
                                   .zone = dbr_text(r, i, 2),
                                   .region = dbr_text(r, i, 3),
                                   .lang = dbr_text(r, i, 4),
                                   .msisdn = dbr_text(r, i, 5),
                                   .email = dbr_text(r, i, 6)};
        found(ctx, (size_t)dbr_int(r, i, 0) - 1, &who);
    }
}

int store_people_find(struct db *db, const int64_t *keys, const int64_t *alts,
                      const char *const *addresses, size_t n, store_person_fn found, void *ctx,
                      struct diag *diag)
{
    static const char sql[] =
        /* LIMIT keeps the look-ups what they are, one index descent each: a plan that hashes all
           customers per call is never right here */
        "SELECT k.i::int8, CASE WHEN x.moved THEN k.alt ELSE x.id END, CASE WHEN x.moved THEN '' "
        "ELSE coalesce(c.zone, '') END,"
        " CASE WHEN x.moved THEN '' ELSE coalesce(c.region, '') END, CASE WHEN x.moved THEN '' "
        "ELSE coalesce(c.lang, '') END, CASE WHEN x.moved THEN '' ELSE coalesce(c.msisdn, '') END, "
        "CASE WHEN x.moved THEN '' ELSE coalesce(c.email, '') END"
        " FROM unnest($1::int8[], $2::int8[], $3::text[]) WITH ORDINALITY AS k(key, alt, address, "
        "i)"
        " LEFT JOIN LATERAL (SELECT customer_id FROM customer_alias WHERE part = k.key % 64 AND "
        "address_key = k.key LIMIT 1) a ON true"
        " LEFT JOIN LATERAL (SELECT * FROM customer WHERE part = coalesce(a.customer_id, k.key) % "
        "64 AND customer_id = coalesce(a.customer_id, k.key) LIMIT 1) c ON true"
        " CROSS JOIN LATERAL (SELECT coalesce(a.customer_id, k.key) AS id, k.alt <> 0 AND "
        "a.customer_id IS NULL AND coalesce(" COLLIDES(
            "k.address") ", false) AS moved) x"
                         " WHERE a.customer_id IS NOT NULL OR c.customer_id IS NOT NULL";
    auto_dbr struct db_result *r = NULL;
    struct db_params p;
    dbp_init(&p);
    dbp_int8_array(&p, keys, n);
    dbp_int8_array(&p, alts, n);
    dbp_text_array(&p, addresses, n);
    int rc = db_query(db, sql, &p, &r, diag);
    if (rc == 0)
        tell_found(r, found, ctx);
    return rc;
}

int store_people_external(struct db *db, const char *const *ids, size_t n, store_person_fn found,
                          void *ctx, struct diag *diag)
{
    static const char sql[] =
        "SELECT k.i::int8, c.customer_id, coalesce(c.zone, ''), coalesce(c.region, ''), "
        "coalesce(c.lang, ''), coalesce(c.msisdn, ''), coalesce(c.email, '')"
        " FROM unnest($1::text[]) WITH ORDINALITY AS k(id, i)"
        " CROSS JOIN LATERAL (SELECT * FROM customer WHERE external_id = k.id LIMIT 2) c";
    auto_dbr struct db_result *r = NULL;
    struct db_params p;
    dbp_init(&p);
    dbp_text_array(&p, ids, n);
    int rc = db_query(db, sql, &p, &r, diag);
    if (rc == 0)
        tell_found(r, found, ctx);
    return rc;
}

/* Probes that stay probes: as joins they would read all customers for a block of rows. An alias
 * names a person, never another alias: who is a target is known. person_known() also asks the
 * counters, and costs ten times the rest. */
#define RESOLVED(k)                                                                                \
    "coalesce((SELECT a.customer_id FROM customer_alias a WHERE a.part = " k                       \
    " % 64 AND a.address_key = " k " LIMIT 1), " k ")"
#define NONE(table, column, k)                                                                     \
    "(SELECT 1 FROM " table " x WHERE x.part = " k " % 64 AND x." column " = " k " LIMIT 1) IS "   \
    "NULL"
#define STRANGER(k)                                                                                \
    NONE("customer_alias", "address_key", k)                                                       \
    " AND " NONE("customer", "customer_id", k) " AND " NONE("dnd", "customer_id", k) " AND " NONE( \
        "consent", "customer_id",                                                                  \
        k) " AND (SELECT 1 FROM customer_alias x WHERE x.customer_id = " k " LIMIT 1) IS NULL"
#define KNOWN(k) "person_known((" k " % 64)::int4, " k ")"
/* May somebody have been contacted, or stand in a set, under the id of an e-mail address? */
#define BY_MAIL                                                                                    \
    "(SELECT EXISTS (SELECT FROM audience u JOIN recipient_set s USING (audience_id) WHERE "       \
    "u.channel_mask & 16 <> 0 AND NOT s.dropped))"
/* Sets that were uploaded before know the person under the id that ends here: nobody is contacted
 * under it again. */
#define MADE(insert, when)                                                                         \
    "WITH a AS (" insert                                                                           \
    " ON CONFLICT DO NOTHING RETURNING part, address_key), l AS (INSERT INTO "                     \
    "dnd (part, customer_id, scope, list_id, reason) SELECT part, address_key, 0, 2, 5 FROM a "    \
    "WHERE " when " ORDER BY part, address_key ON CONFLICT DO NOTHING RETURNING part) SELECT "     \
    "coalesce(bit_or(1::int8 << part), 0), (SELECT count(*) FROM a) FROM l"

static const char *const pair_steps[] = {
    MADE("INSERT INTO customer_alias (part, address_key, customer_id) SELECT DISTINCT ON (k.b) k.b "
         "% 64, k.b, " RESOLVED("k.a") " FROM unnest($1::int8[], $2::int8[]) WITH ORDINALITY k (a, "
                                       "b, i) WHERE k.a <> k.b AND " STRANGER(
                                           "k.b") " AND (NOT " BY_MAIL
                                                  " AND $3 OR NOT " KNOWN(
                                                      "k.b") ") ORDER BY k.b, k.i",
         "NOT $3 OR " BY_MAIL),
    MADE("INSERT INTO customer_alias (part, address_key, customer_id) SELECT DISTINCT ON (k.a) k.a "
         "% 64, k.a, " RESOLVED(
             "k.b") " FROM unnest($1::int8[], $2::int8[]) WITH ORDINALITY k (a, "
                    "b, i) WHERE k.a <> " RESOLVED("k.b") " AND $3::bool IS NOT NULL AND " STRANGER(
                        "k.a") " AND NOT " KNOWN("k.a") " ORDER BY k.a, k.i",
         "true")};

static void pair_params(struct db_params *p, const int64_t *firsts, const int64_t *seconds,
                        size_t n)
{
    dbp_init(p);
    dbp_int8_array(p, firsts, n);
    dbp_int8_array(p, seconds, n);
}

static int pair_all(struct db *db, const int64_t *firsts, const int64_t *seconds, size_t n,
                    bool mail, int64_t *ret_ids, struct diag *diag)
{
    static const char read[] =
        "SELECT " RESOLVED("k.a") ", " RESOLVED("k.b") " FROM unnest($1::int8[], $2::int8[]) WITH "
                                                       "ORDINALITY k (a, b, i) ORDER BY k.i";
    struct db_params p;
    uint64_t parts = 0;
    int rc = store_alias_lock(db, true, diag);
    for (size_t i = 0; rc == 0 && i < ARRAY_LEN(pair_steps); i++) {
        auto_dbr struct db_result *made = NULL;
        pair_params(&p, firsts, seconds, n);
        dbp_bool(&p, mail);
        rc = db_query(db, pair_steps[i], &p, &made, diag);
        if (rc == 0)
            parts |= (uint64_t)dbr_int(made, 0, 0);
    }
    if (rc < 0)
        return rc;
    auto_dbr struct db_result *r = NULL;
    pair_params(&p, firsts, seconds, n);
    rc = db_query(db, read, &p, &r, diag);
    for (size_t i = 0; rc == 0 && i < n; i++)
        ret_ids[i] = dbr_int(r, (int)i, 0) == dbr_int(r, (int)i, 1) ? dbr_int(r, (int)i, 0) : 0;
    return rc == 0 ? store_facts_touch(db, parts, diag) : rc;
}

int store_people_pair(struct db *db, const int64_t *firsts, const int64_t *seconds, size_t n,
                      bool mail, int64_t *ret_ids, struct diag *diag)
{
    int rc = db_begin(db, diag);
    if (rc == 0)
        rc = pair_all(db, firsts, seconds, n, mail, ret_ids, diag);
    if (rc == 0)
        rc = db_commit(db, diag);
    db_rollback(db);
    return rc;
}

int store_alias_lock(struct db *db, bool exclusive, struct diag *diag)
{
    return db_exec(db,
                   exclusive ? "SELECT pg_advisory_xact_lock(hashtext('campgw.alias'))"
                             : "SELECT pg_advisory_xact_lock_shared(hashtext('campgw.alias'))",
                   NULL, NULL, diag);
}

/* Collision first (only keys without an alias can collide), then aliases. */
#define RESOLVE_COLLISIONS(table)                                                                  \
    "UPDATE " table " i SET part = i.alt % 64, customer_id = i.alt FROM customer c WHERE c.part "  \
    "= i.part AND c.customer_id = i.customer_id AND i.alt <> 0"                                    \
    " AND " COLLIDES("i.address") " AND NOT EXISTS (SELECT FROM customer_alias a WHERE a.part = "  \
                                  "i.part AND a.address_key = i.customer_id)"
#define RESOLVE_ALIASES(table)                                                                     \
    "UPDATE " table                                                                                \
    " i SET part = a.customer_id % 64, customer_id = a.customer_id FROM customer_alias a"          \
    " WHERE a.part = i.part AND a.address_key = i.customer_id"

static int start(struct db *db, const char *table_sql, const char *copy_sql, struct db_copy *copy,
                 struct diag *diag)
{
    if (!db_in_tx(db))
        return diag_set(diag, CGW_ESTATE, "", "a stream of people is written inside a transaction");
    int rc = db_script(db, "SET LOCAL work_mem = '64MB'", diag);
    if (rc == 0)
        rc = db_script(db, table_sql, diag);
    if (rc == 0)
        rc = db_copy_open(db, copy_sql, diag);
    if (rc == 0)
        dbc_init(copy, PUSH_BYTES + 262144u);
    return rc;
}

static int finish_copy(struct db *db, struct db_copy *copy, bool ok, struct diag *diag)
{
    int rc = ok ? db_copy_push(db, copy, diag) : 0;
    int end = db_copy_close(db, ok && rc == 0, diag);
    dbc_done(copy);
    return rc < 0 ? rc : end;
}

int store_people_open(struct db *db, struct store_people *p, struct diag *diag)
{
    *p = (struct store_people){.db = db};
    int rc = store_alias_lock(db, false, diag);
    if (rc == 0)
        rc = start(
            db,
            "CREATE TEMP TABLE IF NOT EXISTS in_person (line int8 NOT NULL, part int4 NOT NULL, "
            "customer_id int8 NOT NULL, alt int8 NOT NULL,"
            " address text NOT NULL) ON COMMIT DELETE ROWS; TRUNCATE in_person",
            "COPY in_person (line, part, customer_id, alt, address) FROM STDIN (FORMAT binary)",
            &p->copy, diag);
    p->copying = rc == 0;
    return rc;
}

int store_people_put(struct store_people *p, int64_t line, int64_t key, int64_t alt,
                     const char *address, struct diag *diag)
{
    struct db_copy *c = &p->copy;
    dbc_row(c, 5);
    dbc_int8(c, line);
    dbc_int4(c, store_part(key));
    dbc_int8(c, key);
    dbc_int8(c, alt);
    dbc_text(c, address, strlen(address));
    return c->b.len >= PUSH_BYTES ? db_copy_push(p->db, c, diag) : 0;
}

int store_people_close(struct store_people *p, bool ok, struct diag *diag)
{
    if (!p->copying)
        return 0;
    p->copying = false;
    int rc = finish_copy(p->db, &p->copy, ok, diag);
    if (rc < 0 || !ok)
        return rc;
    bool any = false;
    rc = db_script(p->db, "ANALYZE in_person",
                   diag); /* nobody else does it for a temporary table; without it large sets meet
                             in nested loops */
    if (rc == 0)
        rc = store_people_any(p->db, &any, diag);
    if (rc == 0 && any)
        rc = db_exec(p->db, RESOLVE_COLLISIONS("in_person"), NULL, NULL, diag);
    if (rc == 0 && any)
        rc = db_exec(p->db, RESOLVE_ALIASES("in_person"), NULL, NULL, diag);
    return rc;
}

/* ---- customers
 * ----------------------------------------------------------------------------------------------------------------
 */
int store_customers_open(struct db *db, struct store_customers *c, struct diag *diag)
{
    *c = (struct store_customers){.db = db};
    int rc = start(db,
                   "CREATE TEMP TABLE IF NOT EXISTS in_customer (line int8 NOT NULL, part int4 NOT "
                   "NULL, customer_id int8 NOT NULL, alt int8 NOT NULL,"
                   " address text NOT NULL, email_key int8, msisdn text, email text, external_id "
                   "text, zone text, region text, lang text, channel int2,"
                   " attrs text NOT NULL) ON COMMIT DELETE ROWS; TRUNCATE in_customer",
                   "COPY in_customer (line, part, customer_id, alt, address, email_key, msisdn, "
                   "email, external_id, zone, region, lang, channel, attrs)"
                   " FROM STDIN (FORMAT binary)",
                   &c->copy, diag);
    c->copying = rc == 0;
    return rc;
}

static void optional(struct db_copy *c, const char *s)
{
    if (s[0])
        dbc_text(c, s, strlen(s));
    else
        dbc_null(c);
}

int store_customers_put(struct store_customers *s, const struct store_customer_row *row,
                        struct diag *diag)
{
    struct db_copy *c = &s->copy;
    const char *address = row->msisdn[0] ? row->msisdn : row->email;
    dbc_row(c, 14);
    dbc_int8(c, row->line);
    dbc_int4(c, store_part(row->key));
    dbc_int8(c, row->key);
    dbc_int8(c, row->alt);
    dbc_text(c, address, strlen(address));
    if (row->email_key)
        dbc_int8(c, row->email_key);
    else
        dbc_null(c);
    optional(c, row->msisdn);
    optional(c, row->email);
    optional(c, row->external_id);
    optional(c, row->zone);
    optional(c, row->region);
    optional(c, row->lang);
    if (row->channel)
        dbc_int2(c, (int16_t)row->channel);
    else
        dbc_null(c);
    dbc_text(c, row->attrs, row->attrs_len);
    s->emails = s->emails || row->email_key;
    return c->b.len >= PUSH_BYTES ? db_copy_push(s->db, c, diag) : 0;
}

static int upsert(struct store_customers *c, struct store_customer_counts *ret, struct diag *diag)
{
    static const char sql[] =
        "WITH u AS (INSERT INTO customer AS c (part, customer_id, msisdn, email, external_id, "
        "zone, region, lang, channel, attrs)"
        " SELECT DISTINCT ON (part, customer_id) part, customer_id, msisdn, email, external_id, "
        "zone, region, lang, channel, attrs::jsonb"
        " FROM in_customer ORDER BY part, customer_id, line DESC"
        " ON CONFLICT (part, customer_id) DO UPDATE SET msisdn = coalesce(c.msisdn, "
        "excluded.msisdn), email = coalesce(excluded.email, c.email),"
        " external_id = coalesce(excluded.external_id, c.external_id), zone = "
        "coalesce(excluded.zone, c.zone),"
        " region = coalesce(excluded.region, c.region), lang = coalesce(excluded.lang, c.lang), "
        "channel = coalesce(excluded.channel, c.channel),"
        " attrs = c.attrs || excluded.attrs, updated_at = now() RETURNING xmax = 0 AS created)"
        " SELECT count(*) FILTER (WHERE created), count(*) FILTER (WHERE NOT created), (SELECT "
        "count(*) FROM in_customer) - count(*) FROM u";
    auto_dbr struct db_result *r = NULL;
    int rc = db_query(c->db, sql, NULL, &r, diag);
    if (rc < 0)
        return rc;
    ret->created = dbr_int(r, 0, 0);
    ret->updated = dbr_int(r, 0, 1);
    ret->duplicate = dbr_int(r, 0, 2);
    return 0;
}

/* The e-mail address of a row with a number leads to the same person, unless facts were already
 * stored under it: those would be lost from sight, and a do-not-disturb row must never be. Joining
 * two known people is another act (it copies the stricter facts). */
static int add_aliases(struct store_customers *c, struct store_customer_counts *ret,
                       uint64_t *ret_parts, struct diag *diag)
{
    static const char sql[] =
        MADE("INSERT INTO customer_alias (part, address_key, customer_id) SELECT DISTINCT ON "
             "(i.email_key) i.email_key % 64, i.email_key, i.customer_id FROM in_customer i WHERE "
             "i.email_key IS NOT NULL AND i.email_key <> i.customer_id"
             " AND NOT EXISTS (SELECT FROM customer o WHERE o.part = i.email_key % 64 AND "
             "o.customer_id = i.email_key)"
             " AND NOT EXISTS (SELECT FROM dnd o WHERE o.part = i.email_key % 64 AND "
             "o.customer_id = i.email_key)"
             " AND NOT EXISTS (SELECT FROM consent o WHERE o.part = i.email_key % 64 AND "
             "o.customer_id = i.email_key)"
             " AND NOT EXISTS (SELECT FROM customer_alias o WHERE o.customer_id = i.email_key)"
             " AND (NOT " BY_MAIL " OR NOT " KNOWN("i.email_key") ") ORDER BY i.email_key, i.line "
                                                                  "DESC",
             BY_MAIL);
    auto_dbr struct db_result *r = NULL;
    int rc = db_query(c->db, sql, NULL, &r, diag);
    if (rc < 0)
        return rc;
    *ret_parts = (uint64_t)dbr_int(r, 0, 0);
    ret->aliases = dbr_int(r, 0, 1);
    return 0;
}

int store_customers_close(struct store_customers *c, bool ok, const struct store_actor *who,
                          struct store_customer_counts *ret, struct diag *diag)
{
    if (!c->copying)
        return 0;
    c->copying = false;
    *ret = (struct store_customer_counts){0};
    uint64_t parts = 0;
    int rc = finish_copy(c->db, &c->copy, ok, diag);
    if (rc < 0 || !ok)
        return rc;
    rc = store_alias_lock(c->db, c->emails, diag);
    if (rc == 0)
        rc = db_script(c->db, "ANALYZE in_customer", diag);
    if (rc == 0)
        rc = db_exec(c->db, RESOLVE_COLLISIONS("in_customer"), NULL, NULL, diag);
    if (rc == 0)
        rc = db_exec(c->db, RESOLVE_ALIASES("in_customer"), NULL, NULL, diag);
    if (rc == 0)
        rc = upsert(c, ret, diag);
    if (rc == 0 && c->emails)
        rc = add_aliases(c, ret, &parts, diag);
    if (rc < 0)
        return rc;
    struct buf b;
    buf_init(&b, 256);
    buf_printf(&b, "{\"created\":%lld,\"updated\":%lld,\"duplicate\":%lld}",
               (long long)ret->created, (long long)ret->updated, (long long)ret->duplicate);
    rc = store_audit(c->db, who, "customer.upload", "customers", NULL, buf_str(&b), diag);
    buf_done(&b);
    return rc == 0 ? store_facts_touch(c->db, parts, diag) : rc;
}
