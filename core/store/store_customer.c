/* SPDX-License-Identifier: Apache-2.0 */
/* store_customer.c - one customer: find, show. See store_customer.h; streams are in store_people.c.
 */
#include "store/store_customer.h"
#include "store/store_dnd.h"
#include "store/store_ids.h"
#include "store/store_json.h"

#include <stdio.h>
#include <string.h>

int store_customer_by_external(struct db *db, const char *external_id, int64_t *ret,
                               struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, external_id);
    int rc = db_query(db, "SELECT customer_id FROM customer WHERE external_id = $1 LIMIT 2", &p, &r,
                      diag);
    if (rc < 0)
        return rc;
    if (dbr_rows(r) == 0)
        return diag_set(diag, CGW_ENOTFOUND, "", "no customer with this external id");
    if (dbr_rows(r) > 1)
        return diag_set(
            diag, CGW_ECONFLICT, "",
            "more than one customer carries this external id; ask by number or e-mail address");
    *ret = dbr_int(r, 0, 0);
    return 0;
}

/* People stand in sets sorted by customer inside slices, so that a slice's bounds leave few slices
 * to read. */
#define IN_SETS                                                                                    \
    "EXISTS (SELECT FROM set_slice l JOIN recipient_set s USING (set_id) JOIN recipient r ON "     \
    "r.part = l.part AND r.set_id = l.set_id"                                                      \
    " AND r.seq BETWEEN l.seq_lo AND l.seq_hi AND r.customer_id = $2"                              \
    " WHERE l.part = $1 AND $2 BETWEEN l.cust_lo AND l.cust_hi AND NOT s.dropped AND ($3 = 0 OR "  \
    "s.partner_id = $3))"

int store_customer_visible(struct db *db, struct store_scope scope, int64_t customer_id, bool *ret,
                           struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, store_part(customer_id));
    dbp_int8(&p, customer_id);
    dbp_int4(&p, scope.partner_id);
    int rc = db_query(
        db,
        "SELECT ($3 = 0 AND (EXISTS (SELECT FROM customer WHERE part = $1 AND customer_id = $2)"
        " OR EXISTS (SELECT FROM dnd WHERE part = $1 AND customer_id = $2)"
        " OR EXISTS (SELECT FROM consent WHERE part = $1 AND customer_id = $2))) OR " IN_SETS
        " OR ($3 = 0 AND EXISTS (SELECT FROM contact_log WHERE part = $1 AND customer_id = $2))",
        &p, &r, diag);
    if (rc == 0)
        *ret = dbr_bool(r, 0, 0);
    return rc;
}

/* clang-format off */
static const char owner_sql[] =
    "SELECT json_build_object('id', $3::text, 'known', c.customer_id IS NOT NULL,"
    " 'msisdn', " SQL_MASK_NUMBER("c.msisdn") ", 'email', " SQL_MASK_EMAIL("c.email") ","
    " 'external_id', c.external_id, 'zone', c.zone, 'region', c.region, 'lang', c.lang,"
    " 'channel', " SQL_CHANNEL("c.channel") ", 'attrs', coalesce(c.attrs, '{}'),"
    " 'created_at', " SQL_TIME("c.created_at") ", 'updated_at', " SQL_TIME("c.updated_at") ","
    " 'dnd', coalesce((SELECT json_agg(json_build_object('list', l.public_id, 'name', l.name, "
    SQL_SCOPE("d.scope") ", 'since', " SQL_TIME("d.since") ") ORDER BY l.list_id, d.scope)"
    " FROM dnd d JOIN dnd_list l USING (list_id)"
    " WHERE d.part = k.part AND d.customer_id = k.id), '[]'),"
    " 'consents', coalesce((SELECT json_agg(json_build_object('purpose', u.name,"
    " 'channel', coalesce(" SQL_CHANNEL("n.channel") ", 'all'),"
    " 'state', (ARRAY['granted','withdrawn'])[n.state], 'source', n.source,"
    " 'at', " SQL_TIME("n.at") ", 'expires', " SQL_TIME("n.expires") ")"
    " ORDER BY u.name, n.channel) FROM consent n JOIN purpose u USING (purpose)"
    " WHERE n.part = k.part AND n.customer_id = k.id), '[]'))::text"
    " FROM (SELECT $1::int4 AS part, $2::int8 AS id) k"
    " LEFT JOIN customer c ON c.part = k.part AND c.customer_id = k.id";
/* clang-format on */

static int owner_json(struct db *db, int64_t customer_id, struct buf *ret, struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, store_part(customer_id));
    dbp_int8(&p, customer_id);
    char id[STORE_ID_TEXT_MAX];
    store_id_encode("cus", customer_id, id, sizeof id);
    dbp_text(&p, id);
    return store_json_one(db, owner_sql, &p, ret, diag);
}

/* A partner learns one bit about people of its own audiences, nothing about why. */
static int partner_json(struct db *db, struct store_scope scope, int64_t customer_id,
                        struct buf *ret, struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, store_part(customer_id));
    dbp_int8(&p, customer_id);
    dbp_int4(&p, scope.partner_id);
    char id[STORE_ID_TEXT_MAX];
    store_id_encode("cus", customer_id, id, sizeof id);
    dbp_text(&p, id);
    return store_json_one(
        db,
        "SELECT json_build_object('id', $4::text, 'contactable',"
        " NOT EXISTS (SELECT FROM dnd WHERE part = $1 AND customer_id = $2 AND scope IN (0, 2001) "
        "AND partner_id IN (0, $3))"
        " AND (NOT (SELECT consent FROM class_rule WHERE class = 1)"
        " OR EXISTS (SELECT FROM consent WHERE part = $1 AND customer_id = $2 AND purpose = 1 AND "
        "state = 1 AND (expires IS NULL OR expires > now()))))::text",
        &p, ret, diag);
}

int store_customer_json(struct db *db, struct store_scope scope, int64_t customer_id,
                        struct buf *ret, struct diag *diag)
{
    return scope.partner_id ? partner_json(db, scope, customer_id, ret, diag)
                            : owner_json(db, customer_id, ret, diag);
}

/* clang-format off */
static const char contacts_sql[] =
    "SELECT l.contact_id, l.reason, json_build_object('attempt', l.attempt,"
    " 'at', " SQL_TIME("l.decided_at") ", 'verdict', (ARRAY['ALLOW','DEFER','DENY'])[l.verdict],"
    " 'channel', " SQL_CHANNEL("l.channel") ", 'class', " SQL_CLASS("l.class") ","
    " 'campaign', c.public_id)::text"
    " FROM contact_log l LEFT JOIN wave w USING (wave_id) LEFT JOIN campaign c USING (campaign_id)"
    " WHERE l.part = $1 AND l.customer_id = $2"
    " ORDER BY l.decided_at DESC, l.contact_id DESC, l.attempt DESC LIMIT $3::int4";
/* clang-format on */

int store_customer_contacts(struct db *db, int64_t customer_id, int limit,
                            const char *(*word)(int reason), struct buf *ret, struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, store_part(customer_id));
    dbp_int8(&p, customer_id);
    dbp_int4(&p, limit);
    int rc = db_query(db, contacts_sql, &p, &r, diag);
    for (int i = 0; rc == 0 && i < dbr_rows(r); i++) {
        char id[STORE_ID_TEXT_MAX];
        store_id_encode("con", dbr_int(r, i, 0), id, sizeof id);
        buf_printf(ret, "%s{\"id\":\"%s\",\"reason\":\"%s\",", i ? "," : "", id,
                   word((int)dbr_int(r, i, 1)));
        buf_put(ret, dbr_text(r, i, 2) + 1,
                (size_t)dbr_len(r, i, 2) - 1); /* the rest of the object */
    }
    return rc;
}
