/* SPDX-License-Identifier: Apache-2.0 */
/* store_partner.c - see store_partner.h. */
#include "store/store_partner.h"
#include "store/store_json.h"

#include <stdio.h>
#include <string.h>

/* The moment $m (ms) as a day of the partner's zone. */
#define DAY_OF(m) "(to_timestamp(" m " / 1000.0) AT TIME ZONE p.zone)::date"
/* clang-format off */
#define PARTNER_DOC \
    "json_build_object('id', p.partner_id, 'name', p.name, 'quota_day', p.quota_day," \
    " 'used_today', coalesce((SELECT d.used FROM partner_day d WHERE d.partner_id = p.partner_id" \
    " AND d.day = (now() AT TIME ZONE p.zone)::date), 0), 'rate_per_s', p.rate, 'zone', p.zone," \
    " 'archived', p.archived, 'version', p.version, 'created_at', " SQL_TIME("p.created_at") "," \
    " 'updated_at', " SQL_TIME("p.updated_at") ")::text"
/* clang-format on */

void store_partner_values_init(struct store_partner_values *v)
{
    *v = (struct store_partner_values){.quota_day = INT64_MIN, .rate = INT64_MIN};
}

static void put_values(struct db_params *p, const struct store_partner_values *v)
{
    dbp_text(p, v->name);
    dbp_text(p, v->zone);
    if (v->quota_day == INT64_MIN)
        dbp_null(p);
    else
        dbp_int8(p, v->quota_day);
    if (v->rate == INT64_MIN)
        dbp_null(p);
    else
        dbp_int4(p, (int32_t)v->rate);
}

static int name_taken(struct db *db, int rc, const char *name, struct diag *diag)
{
    if (rc == CGW_EDB && !strcmp(db_sqlstate(db), "23505"))
        return diag_set(diag, CGW_EEXISTS, "/name", "A partner named \"%s\" exists already.",
                        name ? name : "");
    return rc;
}

static void id_text(int32_t id, char out[16])
{
    (void)snprintf(out, 16, "%d", id);
}

int store_partner_create(struct db *db, const struct store_actor *who,
                         const struct store_partner_values *v, int32_t *ret_id, struct buf *ret,
                         struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    struct db_params p;
    char id[16];
    dbp_init(&p);
    put_values(&p, v);
    int rc = db_query(db,
                      "INSERT INTO partner (name, zone, quota_day, rate) VALUES ($1, coalesce($2, "
                      "'UTC'), nullif($3::int8, -1), coalesce($4, 0)) RETURNING partner_id",
                      &p, &r, diag);
    if (rc < 0)
        return name_taken(db, rc, v->name, diag);
    *ret_id = (int32_t)dbr_int(r, 0, 0);
    id_text(*ret_id, id);
    size_t at = ret->len;
    rc = store_partner_json(db, (struct store_scope){0}, *ret_id, NULL, ret, diag);
    return rc < 0 ? rc : store_audit(db, who, "partner.create", id, NULL, buf_str(ret) + at, diag);
}

int store_partner_json(struct db *db, struct store_scope scope, int32_t id, int64_t *ret_version,
                       struct buf *ret, struct diag *diag)
{
    struct db_params p;
    char name[16];
    id_text(id, name);
    dbp_init(&p);
    dbp_int4(&p, id);
    dbp_int4(&p, scope.partner_id);
    return store_json_versioned(db,
                                "SELECT " PARTNER_DOC
                                ", p.version FROM partner p WHERE p.partner_id = $1 AND ($2 = 0 OR "
                                "p.partner_id = $2)",
                                &p, "partner", name, ret_version, ret, diag);
}

int store_partner_list(struct db *db, struct store_scope scope, const char *cursor, int limit,
                       struct buf *ret, bool *ret_more, char *ret_cursor, size_t cursor_size,
                       struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, scope.partner_id);
    dbp_text(&p, cursor);
    dbp_int4(&p, limit + 1);
    return store_json_list(db,
                           "SELECT " PARTNER_DOC
                           ", p.name FROM partner p WHERE ($1 = 0 OR p.partner_id = $1) AND p.name "
                           "> $2 ORDER BY p.name LIMIT $3::int4",
                           &p, limit, ret, ret_more, ret_cursor, cursor_size, diag);
}

int store_partner_lock(struct db *db, int32_t id, int64_t *ret_version, struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, id);
    int rc =
        db_query(db, "SELECT version FROM partner WHERE partner_id = $1 FOR UPDATE", &p, &r, diag);
    if (rc < 0)
        return rc;
    if (dbr_rows(r) == 0)
        return diag_set(diag, CGW_ENOTFOUND, "", "no partner %d", id);
    *ret_version = dbr_int(r, 0, 0);
    return 0;
}

int store_partner_update(struct db *db, const struct store_actor *who, int32_t id,
                         const struct store_partner_values *v, int64_t *ret_version,
                         struct buf *ret, struct diag *diag)
{
    struct buf before;
    struct db_params p;
    char name[16];
    id_text(id, name);
    buf_init(&before, 65536);
    int rc = store_partner_json(db, (struct store_scope){0}, id, NULL, &before, diag);
    dbp_init(&p);
    put_values(&p, v);
    dbp_int4(&p, id);
    if (rc == 0)
        rc = name_taken(db,
                        db_exec(db,
                                "UPDATE partner SET name = coalesce($1, name), zone = coalesce($2, "
                                "zone), quota_day = CASE WHEN $3::int8 IS NULL THEN quota_day ELSE "
                                "nullif($3::int8, -1) END, rate = coalesce($4, rate), version = "
                                "version + 1, updated_at = now() WHERE partner_id = $5",
                                &p, NULL, diag),
                        v->name, diag);
    size_t at = ret->len;
    if (rc == 0)
        rc = store_partner_json(db, (struct store_scope){0}, id, ret_version, ret, diag);
    if (rc == 0)
        rc =
            store_audit(db, who, "partner.update", name, buf_str(&before), buf_str(ret) + at, diag);
    buf_done(&before);
    return rc;
}

int store_partner_archive(struct db *db, const struct store_actor *who, int32_t id,
                          struct diag *diag)
{
    int64_t version;
    struct db_params p;
    char name[16];
    id_text(id, name);
    int rc = store_partner_lock(db, id, &version, diag);
    dbp_init(&p);
    dbp_int4(&p, id);
    if (rc == 0)
        rc = db_exec(db,
                     "UPDATE partner SET archived = true, quota_day = 0, version = version + 1, "
                     "updated_at = now() WHERE partner_id = $1",
                     &p, NULL, diag);
    if (rc == 0)
        rc = db_exec(db,
                     "UPDATE api_key SET revoked_at = now() WHERE partner_id = $1 AND revoked_at "
                     "IS NULL",
                     &p, NULL, diag);
    return rc < 0 ? rc : store_audit(db, who, "partner.archive", name, NULL, NULL, diag);
}

/* ---- dispatch */

/* Two statements: the row's lock is waited for in the first, so that the second sees what others
 * took meanwhile. */
int store_partner_take(struct db *db, int32_t id, int64_t now_ms, uint32_t want, uint32_t *ret_got,
                       struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    struct db_params p;
    *ret_got = want;
    if (id == 0) /* the owner has none */
        return 0;
    dbp_init(&p);
    dbp_int4(&p, id);
    dbp_int8(&p, now_ms);
    int rc =
        db_exec(db,
                "INSERT INTO partner_day AS d (partner_id, day, used) SELECT p.partner_id, " DAY_OF(
                    "$2::int8") ", 0 FROM partner p WHERE p.partner_id = $1 AND "
                                "p.quota_day IS NOT NULL ON CONFLICT (partner_id, day) DO UPDATE "
                                "SET used = "
                                "d.used",
                &p, NULL, diag);
    if (rc < 0)
        return rc;
    dbp_init(&p);
    dbp_int4(&p, id);
    dbp_int8(&p, now_ms);
    rc =
        db_query(db,
                 "SELECT p.quota_day - d.used, d.day::text FROM partner p JOIN partner_day d USING "
                 "(partner_id) WHERE p.partner_id = $1 AND d.day = " DAY_OF(
                     "$2::int8") " AND p.quota_day IS NOT NULL",
                 &p, &r, diag);
    if (rc < 0 || dbr_rows(r) == 0)
        return rc;
    int64_t left = dbr_int(r, 0, 0);
    *ret_got = left <= 0 ? 0 : left < want ? (uint32_t)left : want;
    if (*ret_got == 0)
        return 0;
    dbp_init(&p);
    dbp_int4(&p, id);
    dbp_int8(&p, *ret_got);
    dbp_text(&p, dbr_text(r, 0, 1));
    return db_exec(db,
                   "UPDATE partner_day SET used = used + $2 WHERE partner_id = $1 AND day = "
                   "$3::text::date",
                   &p, NULL, diag);
}

int store_partner_left(struct db *db, int32_t id, int64_t now_ms, int64_t *ret_left,
                       int64_t *ret_next_ms, struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    struct db_params p;
    *ret_left = INT64_MAX;
    *ret_next_ms = 0;
    if (id == 0)
        return 0;
    dbp_init(&p);
    dbp_int4(&p, id);
    dbp_int8(&p, now_ms);
    int rc =
        db_query(db,
                 "SELECT greatest(p.quota_day - coalesce(d.used, 0), 0), (x.day + 1)::timestamp "
                 "AT TIME ZONE p.zone FROM partner p CROSS JOIN LATERAL (SELECT " DAY_OF(
                     "$2::int8") " AS day) x LEFT JOIN partner_day d ON d.partner_id = "
                                 "p.partner_id AND d.day = x.day WHERE p.partner_id = $1 AND "
                                 "p.quota_day IS NOT NULL",
                 &p, &r, diag);
    if (rc < 0 || dbr_rows(r) == 0)
        return rc;
    *ret_left = dbr_int(r, 0, 0);
    *ret_next_ms = dbr_ts(r, 0, 1);
    return 0;
}
