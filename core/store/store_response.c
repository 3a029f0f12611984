/* SPDX-License-Identifier: Apache-2.0 */
/* store_response.c - what people answer: immutable responses, recomputable attribution, opt-outs
 * and their one confirmation. */
#include "store/store_outcome.h"
#include "store/store_place.h"

#include <stdio.h>
#include <string.h>

int store_alias_find(struct db *db, int64_t address_key, int64_t *ret_customer_id,
                     struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, (int32_t)(address_key % STORE_PARTS));
    dbp_int8(&p, address_key);
    auto_dbr struct db_result *r = NULL;
    int rc =
        db_query(db, "SELECT customer_id FROM customer_alias WHERE part = $1 AND address_key = $2",
                 &p, &r, diag);
    if (rc == 0)
        *ret_customer_id = dbr_rows(r) ? dbr_int(r, 0, 0) : address_key;
    return rc;
}

int store_response_put(struct db *db, const struct response_row *x, int64_t *ret_response_id,
                       struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, x->part);
    dbp_int8(&p, x->customer_id);
    dbp_ts(&p, x->ts_ms);
    dbp_int2(&p, x->channel);
    dbp_text(&p, x->own_address);
    dbp_text(&p, x->instance);
    dbp_int2(&p, x->kind);
    dbp_int2(&p, x->meaning);
    dbp_int8(&p, x->dedupe);
    dbp_textn(&p, x->body ? x->body : "", x->body_len);
    auto_dbr struct db_result *r = NULL;
    int rc = db_query(
        db,
        "WITH seen AS (SELECT FROM response WHERE part = $1 AND customer_id = $2 AND ts > "
        "$3::timestamptz - interval '10 minutes' AND dedupe = $9),"
        " t AS (INSERT INTO response_text (part, customer_id, body) SELECT $1, $2, $10 WHERE NOT "
        "EXISTS (SELECT FROM seen) RETURNING text_id)"
        "INSERT INTO response (part, customer_id, ts, channel, own_address, instance, kind, "
        "meaning, text_ref, partner_id, dedupe)"
        " SELECT $1, $2, $3, $4, $5, $6, $7, $8, text_id, 0, $9 FROM t RETURNING response_id",
        &p, &r, diag);
    if (rc < 0)
        return rc;
    if (dbr_rows(r) == 0)
        return diag_set(diag, CGW_EEXISTS, "", "the same message was stored before");
    *ret_response_id = dbr_int(r, 0, 0);
    return 0;
}

int store_last_contact(struct db *db, int32_t part, int64_t customer_id, int64_t before_ms,
                       int64_t *ret_contact_id, int32_t *ret_partner, struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, part);
    dbp_int8(&p, customer_id);
    dbp_ts(&p, before_ms);
    auto_dbr struct db_result *r = NULL;
    int rc = db_query(
        db,
        "SELECT contact_id, partner_id FROM contact_log WHERE part = $1 AND customer_id = $2 AND "
        "verdict = 1 AND class <> 4 AND decided_at <= $3"
        " AND decided_at > $3::timestamptz - interval '30 days'"
        " AND period IN (to_char($3::timestamptz, 'YYYYMM')::int4, to_char($3::timestamptz - "
        "interval '30 days', 'YYYYMM')::int4) ORDER BY decided_at DESC LIMIT 1",
        &p, &r, diag);
    if (rc < 0)
        return rc;
    if (dbr_rows(r) == 0)
        return CGW_ENOTFOUND;
    *ret_contact_id = dbr_int(r, 0, 0);
    *ret_partner = (int32_t)dbr_int(r, 0, 1);
    return 0;
}

int store_attribution_put(struct db *db, int32_t part, int64_t response_id, int64_t contact_id,
                          int rule, struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, part);
    dbp_int8(&p, response_id);
    dbp_int8(&p, contact_id);
    dbp_int2(&p, (int16_t)rule);
    return db_exec(db,
                   "INSERT INTO attribution (part, response_id, contact_id, rule, version) VALUES "
                   "($1, $2, $3, $4, 1) ON CONFLICT DO NOTHING",
                   &p, NULL, diag);
}

/* ---- bounces ----------------------------------------------------------------------------------
 */
static void bounce_key(struct db_params *p, int32_t part, int64_t customer_id, int16_t channel)
{
    dbp_init(p);
    dbp_int4(p, part);
    dbp_int8(p, customer_id);
    dbp_int2(p, channel);
}

int store_soft_bounce(struct db *db, int32_t part, int64_t customer_id, int16_t channel,
                      int64_t contact_id, int64_t at_ms, int64_t since_ms, int64_t *ret_n,
                      struct diag *diag)
{
    struct db_params p;
    bounce_key(&p, part, customer_id, channel);
    dbp_int8(&p, contact_id);
    dbp_ts(&p, at_ms);
    int rc = db_exec(db,
                     "INSERT INTO soft_bounce (part, customer_id, channel, contact_id, at) VALUES "
                     "($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
                     &p, NULL, diag);
    if (rc < 0)
        return rc;
    auto_dbr struct db_result *r = NULL;
    bounce_key(&p, part, customer_id, channel);
    dbp_ts(&p, since_ms);
    rc = db_query(db,
                  "SELECT count(*) FROM soft_bounce WHERE part = $1 AND customer_id = $2 AND "
                  "channel = $3 AND at > $4",
                  &p, &r, diag);
    if (rc == 0)
        *ret_n = dbr_int(r, 0, 0);
    return rc;
}

int store_soft_bounce_forget(struct db *db, int32_t part, int64_t customer_id, int16_t channel,
                             struct diag *diag)
{
    struct db_params p;
    bounce_key(&p, part, customer_id, channel);
    return db_exec(db,
                   "DELETE FROM soft_bounce WHERE part = $1 AND customer_id = $2 AND channel = $3",
                   &p, NULL, diag);
}

int store_response_partner(struct db *db, int32_t part, int64_t response_id, int32_t *ret,
                           struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, part);
    dbp_int8(&p, response_id);
    int rc = db_query(db,
                      "SELECT c.partner_id FROM attribution a JOIN wave w ON w.wave_id = "
                      "(a.contact_id >> 32)::int4 JOIN campaign c USING (campaign_id)"
                      " WHERE a.part = $1 AND a.response_id = $2 ORDER BY a.rule DESC LIMIT 1",
                      &p, &r, diag);
    *ret = rc == 0 && dbr_rows(r) ? (int32_t)dbr_int(r, 0, 0) : 0;
    return rc;
}

int store_response_media(struct db *db, int32_t part, int64_t response_id, int16_t no,
                         int64_t media_id, const char *name, struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, part);
    dbp_int8(&p, response_id);
    dbp_int2(&p, no);
    dbp_int8(&p, media_id);
    dbp_text(&p, name);
    return db_exec(db,
                   "INSERT INTO response_media (part, response_id, media_no, media_id, name) "
                   "VALUES ($1, $2, $3, $4, $5)",
                   &p, NULL, diag);
}

int store_confirm_wave(struct db *db, int channel, int32_t *ret_wave_id, int32_t *ret_set_id,
                       struct diag *diag)
{
    char public_id[40];
    (void)snprintf(public_id, sizeof public_id, "cmp_confirm%d", channel);
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, public_id);
    auto_dbr struct db_result *r = NULL;
    int rc = db_query(db,
                      "SELECT w.wave_id, w.set_id FROM campaign c JOIN wave w USING (campaign_id) "
                      "WHERE c.public_id = $1",
                      &p, &r, diag);
    if (rc < 0)
        return rc;
    if (dbr_rows(r)) {
        *ret_wave_id = (int32_t)dbr_int(r, 0, 0);
        *ret_set_id = (int32_t)dbr_int(r, 0, 1);
        return 0;
    }
    rc = db_exec(db, "SELECT pg_advisory_xact_lock(hashtext('campgw.confirm'))", NULL, NULL, diag);
    if (rc < 0)
        return rc;
    dbp_init(&p);
    dbp_text(&p, public_id);
    dbp_int2(&p, (int16_t)channel);
    auto_dbr struct db_result *made = NULL;
    rc = db_query(db,
                  "WITH s AS (INSERT INTO recipient_set (partner_id, fields) SELECT 0, '{text}' "
                  "WHERE NOT EXISTS (SELECT FROM campaign WHERE public_id = $1) RETURNING set_id),"
                  " c AS (INSERT INTO campaign (public_id, partner_id, name, plugin, class, "
                  "purpose, state, system, created_by, started_at)"
                  " SELECT $1, 0, 'Opt-out confirmations', 'campaign_broadcast', 4, 2, 'running', "
                  "true, 'system', now() FROM s RETURNING campaign_id)"
                  "INSERT INTO wave (campaign_id, wave_no, channel, lane, content, validity_ms, "
                  "set_id, state)"
                  " SELECT campaign_id, 1, $2, 1, '{\"text\": \"{{text}}\"}', 86400000, set_id, "
                  "'running' FROM c, s RETURNING wave_id, set_id",
                  &p, &made, diag);
    if (rc < 0)
        return rc;
    if (dbr_rows(made) == 0) /* another node made it while we waited for the lock */
        return diag_set(diag, CGW_EBUSY, "",
                        "opt-out confirmation wave was just made by another node");
    *ret_wave_id = (int32_t)dbr_int(made, 0, 0);
    *ret_set_id = (int32_t)dbr_int(made, 0, 1);
    dbp_init(&p);
    dbp_int4(&p, *ret_set_id);
    rc = db_exec(db, "SELECT ensure_set_partition($1)", &p, NULL, diag);
    if (rc < 0)
        return rc;
    dbp_init(&p);
    dbp_int4(&p, *ret_wave_id);
    return db_exec(db, "SELECT ensure_wave_partitions($1)", &p, NULL, diag);
}

int store_confirm_queue(struct db *db, int32_t wave_id, int32_t set_id, int32_t part,
                        int64_t customer_id, const char *address, const char *text, int32_t scope,
                        int64_t response_id, int64_t now_ms, struct diag *diag)
{
    struct db_params p;
    int16_t place = 0;
    int rc =
        store_place_get(db, "", NULL, 0, &place,
                        diag); /* its class has no calendar: where the person is does not matter */
    if (rc < 0)
        return rc;
    dbp_init(&p);
    dbp_int4(&p, part);
    dbp_int4(&p, wave_id);
    dbp_int4(&p, set_id);
    dbp_int8(&p, customer_id);
    dbp_text(&p, address);
    dbp_text(&p, text);
    dbp_int4(&p, scope);
    dbp_int8(&p, response_id);
    dbp_ts(&p, now_ms);
    dbp_int2(&p, place);
    return db_exec(
        db,
        "WITH r AS (INSERT INTO recipient (part, set_id, seq, customer_id, address, email, place, "
        "params) SELECT $1, $3, nextval('system_seq'), $4, CASE WHEN m THEN '' ELSE $5 END, CASE "
        "WHEN m THEN $5 ELSE '' END, $10, $6 FROM (SELECT strpos($5, '@') > 0 AS m) x RETURNING "
        "seq),"
        " e AS (INSERT INTO echo (part, wave_id, seq, attempt, not_before, reason, "
        "keeps_reservation) SELECT $1, $2, seq, 1, $9, 0, false FROM r)"
        "INSERT INTO optout_confirm (part, customer_id, scope, response_id, contact_id) SELECT $1, "
        "$4, $7, $8, ($2::int8 << 32) | seq FROM r"
        " ON CONFLICT (part, customer_id, scope) DO UPDATE SET response_id = excluded.response_id, "
        "contact_id = excluded.contact_id, at = now()",
        &p, NULL, diag);
}
