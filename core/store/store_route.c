/* SPDX-License-Identifier: Apache-2.0 */
/* store_route.c - see store_route.h. */
#include "store/store_route.h"
#include "store/store_json.h"

#include <stdio.h>
#include <string.h>

/* clang-format off */
#define PROBE_DOC \
    "json_build_object('to', CASE WHEN x.address LIKE '%@%' THEN " SQL_MASK_EMAIL("x.address") " ELSE " SQL_MASK_NUMBER("x.address") " END," \
    " 'at', to_char(time '00:00' + make_interval(mins => x.at_minute::int4), 'HH24:MI'), 'zone', x.zone, 'content', x.content," \
    " 'ok', (SELECT k.state = 'ok' FROM probe_run k WHERE k.route_id = x.route_id AND k.state <> 'waiting' AND k.due >= x.since ORDER BY k.day DESC LIMIT 1)," \
    " 'last', (SELECT json_agg(json_build_object('day', k.day, 'due', " SQL_TIME("k.due") ", 'state', k.state, 'why', k.why, 'took_ms', k.took_ms) ORDER BY k.day DESC)" \
    " FROM (SELECT * FROM probe_run k WHERE k.route_id = x.route_id ORDER BY k.day DESC LIMIT 7) k))"
/* clang-format on */
#define ROUTE_DOC                                                                                  \
    "json_build_object('id', public_id, 'name', name, 'partner_id', partner_id, "                  \
    "'channel', " SQL_CHANNEL(                                                                     \
        "channel") ", 'instance', instance,"                                                       \
                   " 'sender', sender, 'sender_kind', "                                            \
                   "(ARRAY['auto','number','email','sip','short_code','alphanumeric'])[sender_"    \
                   "kind + 1],"                                                                    \
                   " 'service_code', service_code, 'rate_per_s', rate, 'classes', (SELECT "        \
                   "coalesce(json_agg(" SQL_CLASS(                                                 \
                       "c") " ORDER BY c), '[]')"                                                  \
                            " FROM generate_series(1, 5) c WHERE class_mask >> c & 1 = 1), "       \
                            "'prefixes', prefixes, 'regions', regions, 'priority', priority,"      \
                            " 'weight', weight, 'max_segments', max_segments, 'max_tries', "       \
                            "max_tries, 'receipts', receipts, 'state', state, 'probe', "           \
                            "(SELECT " PROBE_DOC " FROM route_probe x WHERE x.route_id = "         \
                            "route.route_id), 'version', version,"                                 \
                            " 'created_at', " SQL_TIME("created_at") ", 'updated_at', " SQL_TIME(  \
                                "updated_at") ")::text"

void store_route_values_init(struct store_route_values *v)
{
    *v = (struct store_route_values){.channel = INT64_MIN,
                                     .sender_kind = INT64_MIN,
                                     .rate = INT64_MIN,
                                     .class_mask = INT64_MIN,
                                     .priority = INT64_MIN,
                                     .weight = INT64_MIN,
                                     .max_segments = INT64_MIN,
                                     .max_tries = INT64_MIN,
                                     .receipts = INT64_MIN,
                                     .n_prefixes = -1,
                                     .n_regions = -1};
}

static void put_int4(struct db_params *p, int64_t v)
{
    if (v == INT64_MIN)
        dbp_null(p);
    else
        dbp_int4(p, (int32_t)v);
}

static void put_int2(struct db_params *p, int64_t v)
{
    if (v == INT64_MIN)
        dbp_null(p);
    else
        dbp_int2(p, (int16_t)v);
}

static void put_list(struct db_params *p, const char *const *v, int64_t n)
{
    if (n < 0)
        dbp_null(p);
    else
        dbp_text_array(p, v, (size_t)n);
}

/* $2 … $14, the same order for create and update */
static void put_values(struct db_params *p, const struct store_route_values *v)
{
    dbp_text(p, v->name);
    dbp_text(p, v->instance);
    dbp_text(p, v->sender);
    dbp_text(p, v->service_code);
    put_int2(p, v->sender_kind);
    put_int4(p, v->rate);
    put_int4(p, v->class_mask);
    put_int4(p, v->priority);
    put_int4(p, v->weight);
    put_int2(p, v->max_segments);
    put_int2(p, v->max_tries);
    if (v->receipts == INT64_MIN)
        dbp_null(p);
    else
        dbp_bool(p, v->receipts != 0);
    put_list(p, v->prefixes, v->n_prefixes);
    put_list(p, v->regions, v->n_regions);
}

static int name_taken(struct db *db, int rc, const char *name, struct diag *diag)
{
    if (rc == CGW_EDB && !strcmp(db_sqlstate(db), "23505"))
        return diag_set(
            diag, CGW_EEXISTS, "/name",
            "A route named \"%s\" exists already; names are unique in the installation.",
            name ? name : "");
    return rc;
}

int store_route_create(struct db *db, const struct store_actor *who, int32_t partner_id,
                       const struct store_route_values *v, char ret_public_id[40], struct buf *ret,
                       struct diag *diag)
{
    store_new_id("rte", ret_public_id, 40);
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, ret_public_id);
    put_values(&p, v);
    dbp_int4(&p, partner_id);
    dbp_int2(&p, (int16_t)v->channel);
    size_t at = ret->len;
    int rc = store_json_versioned(
        db,
        "INSERT INTO route (public_id, name, instance, sender, service_code, sender_kind, rate, "
        "class_mask, priority, weight, max_segments, max_tries,"
        " receipts, prefixes, regions, partner_id, channel) VALUES ($1, $2, $3, coalesce($4, ''), "
        "coalesce($5, ''), coalesce($6, 0::int2),"
        " coalesce($7, 0), coalesce($8, 0), coalesce($9, 100), coalesce($10, 1), coalesce($11, "
        "10::int2), coalesce($12, 5::int2), coalesce($13, true),"
        " coalesce($14, '{}'::text[]), coalesce($15, '{}'::text[]), $16, $17) RETURNING " ROUTE_DOC
        ", version",
        &p, "route", ret_public_id, NULL, ret, diag);
    if (rc < 0)
        return name_taken(db, rc, v->name, diag);
    return store_audit(db, who, "route.create", ret_public_id, NULL, buf_str(ret) + at, diag);
}

int store_route_json(struct db *db, struct store_scope scope, const char *public_id,
                     int64_t *ret_version, struct buf *ret, struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, public_id);
    dbp_int4(&p, scope.partner_id);
    return store_json_versioned(db,
                                "SELECT " ROUTE_DOC
                                ", version FROM route WHERE public_id = $1 AND ($2 "
                                "= 0 OR partner_id = $2) AND NOT archived",
                                &p, "route", public_id, ret_version, ret, diag);
}

int store_route_list(struct db *db, struct store_scope scope, const char *cursor, int limit,
                     struct buf *ret, bool *ret_more, char *ret_cursor, size_t cursor_size,
                     struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, scope.partner_id);
    dbp_text(&p, cursor);
    dbp_int4(&p, limit + 1);
    return store_json_list(db,
                           "SELECT " ROUTE_DOC
                           ", name FROM route WHERE ($1 = 0 OR partner_id = $1) AND NOT archived "
                           "AND name > $2 ORDER BY name LIMIT $3::int4",
                           &p, limit, ret, ret_more, ret_cursor, cursor_size, diag);
}

int store_route_lock(struct db *db, struct store_scope scope, const char *public_id,
                     int64_t *ret_version, int *ret_channel, struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, public_id);
    dbp_int4(&p, scope.partner_id);
    int rc = db_query(db,
                      "SELECT version, channel FROM route WHERE public_id = $1 AND ($2 = 0 OR "
                      "partner_id = $2) AND NOT archived FOR UPDATE",
                      &p, &r, diag);
    if (rc < 0)
        return rc;
    if (dbr_rows(r) == 0)
        return diag_set(diag, CGW_ENOTFOUND, "", "no route %s", public_id);
    *ret_version = dbr_int(r, 0, 0);
    if (ret_channel)
        *ret_channel = (int)dbr_int(r, 0, 1);
    return 0;
}

int store_route_update(struct db *db, const struct store_actor *who, const char *public_id,
                       const struct store_route_values *v, int64_t *ret_version, struct buf *ret,
                       struct diag *diag)
{
    struct buf before;
    buf_init(&before, 65536);
    int rc = store_route_json(db, (struct store_scope){0}, public_id, NULL, &before, diag);
    if (rc < 0)
        goto out;
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, public_id);
    put_values(&p, v);
    size_t at = ret->len;
    rc = store_json_versioned(
        db,
        "UPDATE route SET name = coalesce($2, name), instance = coalesce($3, instance), sender = "
        "coalesce($4, sender), service_code = coalesce($5, service_code),"
        " sender_kind = coalesce($6, sender_kind), rate = coalesce($7, rate), class_mask = "
        "coalesce($8, class_mask), priority = coalesce($9, priority),"
        " weight = coalesce($10, weight), max_segments = coalesce($11, max_segments), max_tries = "
        "coalesce($12, max_tries), receipts = coalesce($13, receipts),"
        " prefixes = coalesce($14, prefixes), regions = coalesce($15, regions), version = version "
        "+ 1, updated_at = now() WHERE public_id = $1"
        " RETURNING " ROUTE_DOC ", version",
        &p, "route", public_id, ret_version, ret, diag);
    rc = rc < 0 ? name_taken(db, rc, v->name, diag)
                : store_audit(db, who, "route.update", public_id, buf_str(&before),
                              buf_str(ret) + at, diag);
out:
    buf_done(&before);
    return rc;
}

int store_route_set_state(struct db *db, const struct store_actor *who, struct store_scope scope,
                          const char *public_id, const char *state, int64_t *ret_version,
                          struct buf *ret, struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, public_id);
    dbp_int4(&p, scope.partner_id);
    dbp_text(&p, state);
    int64_t changed = 0;
    int rc =
        db_exec(db,
                "UPDATE route SET state = $3, version = version + 1, updated_at = now() WHERE "
                "public_id = $1 AND ($2 = 0 OR partner_id = $2) AND NOT archived AND state <> $3",
                &p, &changed, diag);
    if (rc == 0 && changed) {
        char after[64];
        (void)snprintf(after, sizeof after, "{\"state\":\"%s\"}", state);
        rc = store_audit(db, who, "route.state", public_id, NULL, after, diag);
    }
    return rc < 0 ? rc : store_route_json(db, scope, public_id, ret_version, ret, diag);
}

int store_route_archive(struct db *db, const struct store_actor *who, struct store_scope scope,
                        const char *public_id, struct diag *diag)
{
    int64_t version;
    int rc = store_route_lock(db, scope, public_id, &version, NULL, diag);
    if (rc < 0)
        return rc;
    auto_dbr struct db_result *r = NULL;
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, public_id);
    rc = db_query(db,
                  "SELECT c.public_id FROM wave w JOIN campaign c USING (campaign_id) WHERE "
                  "w.routes @> ARRAY[$1::text] AND w.state NOT IN ('done', 'cancelled')"
                  " AND c.state NOT IN ('draft', 'completed', 'cancelled') LIMIT 1",
                  &p, &r, diag);
    if (rc < 0)
        return rc;
    if (dbr_rows(r) > 0)
        return diag_set(diag, CGW_EBUSY, "",
                        "Campaign %s uses this route; let it end or change it first.",
                        dbr_text(r, 0, 0));
    dbp_init(&p);
    dbp_text(&p, public_id);
    rc = db_exec(db,
                 "UPDATE route SET archived = true, state = 'draining', name = name || ' (' || "
                 "public_id || ')', version = version + 1, updated_at = now() WHERE public_id = $1",
                 &p, NULL, diag);
    return rc < 0 ? rc : store_audit(db, who, "route.archive", public_id, NULL, NULL, diag);
}

int store_route_instance(struct db *db, const char *after, struct store_instance_use *ret,
                         struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, after);
    int rc = db_query(db,
                      "SELECT instance, public_id FROM route WHERE NOT archived AND instance > $1 "
                      "ORDER BY instance LIMIT 1",
                      &p, &r, diag);
    if (rc < 0)
        return rc;
    if (dbr_rows(r) == 0)
        return CGW_ENOTFOUND;
    (void)snprintf(ret->instance, sizeof ret->instance, "%s", dbr_text(r, 0, 0));
    (void)snprintf(ret->route, sizeof ret->route, "%s", dbr_text(r, 0, 1));
    return 0;
}
