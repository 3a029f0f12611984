/* SPDX-License-Identifier: Apache-2.0 */
/* store_consent.c - grants and withdrawals of consent. See store_consent.h. */
#include "store/store_consent.h"
#include "store/store_customer.h"
#include "store/store_json.h"

#include <stdio.h>
#include <string.h>

#define BYTES_MAX (128u * 1024u * 1024u) /* of one request in memory */

int store_consents_open(struct db *db, struct store_consents *c, struct diag *diag)
{
    *c = (struct store_consents){.db = db};
    int rc = db_in_tx(db)
                 ? store_alias_lock(db, false, diag)
                 : diag_set(diag, CGW_ESTATE, "", "consents are written inside a transaction");
    if (rc == 0)
        rc = db_script(db,
                       "SET LOCAL work_mem = '64MB'; CREATE TEMP TABLE IF NOT EXISTS in_consent "
                       "(line int8 NOT NULL, part int4 NOT NULL, customer_id int8 NOT NULL,"
                       " alt int8 NOT NULL, address text NOT NULL, purpose text NOT NULL, channel "
                       "int2 NOT NULL, state int2 NOT NULL, source text NOT NULL,"
                       " evidence text NOT NULL, at timestamptz, expires timestamptz, purpose_id "
                       "int2) ON COMMIT DELETE ROWS; TRUNCATE in_consent",
                       diag);
    if (rc < 0)
        return rc;
    dbc_init(&c->copy, BYTES_MAX);
    c->open = true;
    return 0;
}

int store_consents_put(struct store_consents *s, const struct store_consent_row *row,
                       struct diag *diag)
{
    struct db_copy *c = &s->copy;
    dbc_row(c, 12);
    dbc_int8(c, row->line);
    dbc_int4(c, store_part(row->key));
    dbc_int8(c, row->key);
    dbc_int8(c, row->alt);
    dbc_text(c, row->address, strlen(row->address));
    dbc_text(c, row->purpose, strlen(row->purpose));
    dbc_int2(c, row->channel);
    dbc_int2(c, row->state);
    dbc_text(c, row->source, strlen(row->source));
    dbc_text(c, row->evidence, strlen(row->evidence));
    dbc_ts(c, row->at_utc_ms);
    dbc_ts(c, row->expires_utc_ms);
    return c->b.failed ? diag_set(diag, CGW_ELIMIT, "", "the statements exceed %zu bytes", c->b.max)
                       : 0;
}

/* Rows of one kind become the state, where they are not older than what holds. `newer`: a later
 * statement, or a withdrawal at the same moment. For single channels (channel <> 0) a grant also
 * loses against a later withdrawal of everything, which stands in its own row. */
#define NEWER "(excluded.at > c.at OR excluded.at = c.at AND excluded.state = 2)"
#define APPLY(which, extra)                                                                        \
    "INSERT INTO consent AS c (part, customer_id, purpose, channel, state, source, evidence, at, " \
    "expires)"                                                                                     \
    " SELECT DISTINCT ON (part, customer_id, purpose_id, channel) part, customer_id, purpose_id, " \
    "channel, state, source, evidence, at, expires"                                                \
    " FROM in_consent i WHERE " which extra                                                        \
    " ORDER BY part, customer_id, purpose_id, channel, at DESC, state DESC, line DESC"             \
    " ON CONFLICT (part, customer_id, purpose, channel) DO UPDATE SET state = excluded.state, "    \
    "source = excluded.source,"                                                                    \
    " evidence = excluded.evidence, at = excluded.at, expires = excluded.expires WHERE " NEWER

static const char *const steps[] = {
    /* resolve: the same rules as store_people.c */
    "UPDATE in_consent i SET part = i.alt % 64, customer_id = i.alt FROM customer c WHERE c.part = "
    "i.part AND c.customer_id = i.customer_id AND i.alt <> 0"
    " AND (CASE WHEN left(i.address, 1) = '+' THEN c.msisdn <> i.address ELSE i.address <> '' AND "
    "c.msisdn IS NULL AND c.email <> i.address END)"
    " AND NOT EXISTS (SELECT FROM customer_alias a WHERE a.part = i.part AND a.address_key = "
    "i.customer_id)",
    "UPDATE in_consent i SET part = a.customer_id % 64, customer_id = a.customer_id FROM "
    "customer_alias a"
    " WHERE a.part = i.part AND a.address_key = i.customer_id",
    /* names that are there use up no number of the int2 sequence */
    "INSERT INTO purpose (name) SELECT DISTINCT purpose FROM in_consent i WHERE NOT EXISTS (SELECT "
    "FROM purpose p WHERE p.name = i.purpose)"
    " ORDER BY 1 ON CONFLICT DO NOTHING",
    "UPDATE in_consent i SET purpose_id = p.purpose, at = coalesce(i.at, now()) FROM purpose p "
    "WHERE p.name = i.purpose",
    APPLY("i.channel = 0", ""),
    "UPDATE consent c SET state = 2, source = i.source, evidence = i.evidence, at = i.at, expires "
    "= i.expires"
    " FROM (SELECT DISTINCT ON (part, customer_id, purpose_id) * FROM in_consent WHERE channel = 0 "
    "AND state = 2"
    " ORDER BY part, customer_id, purpose_id, at DESC, line DESC) i"
    " WHERE c.part = i.part AND c.customer_id = i.customer_id AND c.purpose = i.purpose_id AND "
    "c.channel <> 0 AND c.state = 1 AND c.at <= i.at",
    APPLY("i.channel <> 0",
          " AND NOT (i.state = 1 AND EXISTS (SELECT FROM consent w WHERE w.part = i.part AND "
          "w.customer_id = i.customer_id AND w.purpose = i.purpose_id"
          " AND w.channel = 0 AND w.state = 2 AND w.at >= i.at))"),
};

static int count(struct db *db, const struct store_actor *who, struct store_consent_counts *ret,
                 uint64_t *ret_parts, struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, who->name);
    int rc = db_query(db,
                      "WITH e AS (INSERT INTO consent_event (part, customer_id, purpose, channel, "
                      "state, source, evidence, at, expires, actor)"
                      " SELECT part, customer_id, purpose_id, channel, state, source, evidence, "
                      "at, expires, $1 FROM in_consent"
                      " ORDER BY part, customer_id, line RETURNING part, state)"
                      " SELECT count(*) FILTER (WHERE state = 1), count(*) FILTER (WHERE state = "
                      "2), coalesce(bit_or(1::int8 << part) FILTER (WHERE state = 2), 0),"
                      " (SELECT count(*) FROM in_consent i JOIN consent c ON c.part = i.part AND "
                      "c.customer_id = i.customer_id AND c.purpose = i.purpose_id"
                      " AND c.channel = i.channel WHERE c.at > i.at OR c.state <> i.state) FROM e",
                      &p, &r, diag);
    if (rc < 0)
        return rc;
    ret->granted = dbr_int(r, 0, 0);
    ret->withdrawn = dbr_int(r, 0, 1);
    *ret_parts = (uint64_t)dbr_int(r, 0, 2);
    ret->outdated = dbr_int(r, 0, 3);
    return 0;
}

int store_consents_close(struct store_consents *c, bool ok, const struct store_actor *who,
                         struct store_consent_counts *ret, uint64_t *ret_parts, struct diag *diag)
{
    if (!c->open)
        return 0;
    c->open = false;
    int rc = ok ? db_copy_send(c->db,
                               "COPY in_consent (line, part, customer_id, alt, address, purpose, "
                               "channel, state, source, evidence, at, expires)"
                               " FROM STDIN (FORMAT binary)",
                               &c->copy, diag)
                : 0;
    dbc_done(&c->copy);
    if (rc == 0 && ok) /* nobody else does it for a temporary table */
        rc = db_script(c->db, "ANALYZE in_consent", diag);
    for (size_t i = 0; rc == 0 && ok && i < ARRAY_LEN(steps); i++)
        rc = db_exec(c->db, steps[i], NULL, NULL, diag);
    if (rc < 0 || !ok)
        return rc;
    rc = count(c->db, who, ret, ret_parts, diag);
    if (rc < 0)
        return rc;
    struct buf b;
    buf_init(&b, 256);
    buf_printf(&b, "{\"granted\":%lld,\"withdrawn\":%lld,\"outdated\":%lld}",
               (long long)ret->granted, (long long)ret->withdrawn, (long long)ret->outdated);
    rc = store_audit(c->db, who, "consent.record", "consents", NULL, buf_str(&b), diag);
    buf_done(&b);
    return rc;
}

/* clang-format off */
#define ROW(t) \
    "json_build_object('purpose', u.name, 'channel', coalesce(" SQL_CHANNEL(t ".channel") ", 'all')," \
    " 'state', (ARRAY['granted','withdrawn'])[" t ".state], 'source', " t ".source," \
    " 'evidence', " t ".evidence, 'at', " SQL_TIME(t ".at") ", 'expires', " SQL_TIME(t ".expires")
static const char now_sql[] =
    "SELECT " ROW("c") ")::text, (c.purpose * 100 + c.channel)::text"
    " FROM consent c JOIN purpose u USING (purpose)"
    " WHERE c.part = $1 AND c.customer_id = $2 AND c.purpose * 100 + c.channel > $3::int8"
    " ORDER BY c.purpose, c.channel LIMIT $4::int4";
static const char history_sql[] =
    "SELECT " ROW("e") ", 'actor', e.actor, 'recorded_at', " SQL_TIME("e.recorded_at") ")::text,"
    " e.event_id::text FROM consent_event e JOIN purpose u USING (purpose)"
    " WHERE e.part = $1 AND e.customer_id = $2 AND e.event_id < $3::int8"
    " ORDER BY e.event_id DESC LIMIT $4::int4";
/* clang-format on */

int store_consent_list(struct db *db, int64_t customer_id, bool history, const char *cursor,
                       int limit, struct buf *ret, bool *ret_more, char *ret_cursor,
                       size_t cursor_size, struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, store_part(customer_id));
    dbp_int8(&p, customer_id);
    dbp_int8(&p, cursor[0] ? strtoll(cursor, NULL, 10) : history ? INT64_MAX : -1);
    dbp_int4(&p, limit + 1);
    return store_json_list(db, history ? history_sql : now_sql, &p, limit, ret, ret_more,
                           ret_cursor, cursor_size, diag);
}
