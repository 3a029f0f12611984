/* SPDX-License-Identifier: Apache-2.0 */
/* store_audience.c - audiences as the API sees them: create, show, list, archive, rejects. See
 * store_audience.h; the rows of an upload are written by store_audience_set.c. */
#include "store/store_audience.h"
#include "store/store_json.h"

#include <stdio.h>
#include <string.h>

#define IN_USE                                                                                     \
    "EXISTS (SELECT FROM campaign c WHERE c.audience_id = a.audience_id AND c.state NOT IN "       \
    "('draft', 'completed', 'cancelled'))"

/* clang-format off */
#define DOCUMENT \
    "json_build_object('id', a.public_id, 'name', a.name, 'channels', " SQL_CHANNELS("a.channel_mask") "," \
    " 'default_region', nullif(a.default_region, ''), 'dims', to_json(a.dims), 'state', a.state," \
    " 'accepted', a.accepted, 'duplicate', a.duplicate, 'invalid', a.invalid," \
    " 'fields', coalesce((SELECT to_json(s.fields) FROM recipient_set s WHERE s.set_id = a.set_id), '[]'::json)," \
    " 'sha256', (SELECT encode(s.digest, 'hex') FROM recipient_set s WHERE s.set_id = a.set_id)," \
    " 'in_use', " IN_USE ", 'archived', a.archived, 'version', a.version, 'created_by', a.created_by," \
    " 'created_at', " SQL_TIME("a.created_at") ", 'updated_at', " SQL_TIME("a.updated_at") ")::text"
/* clang-format on */

int store_audience_create(struct db *db, const struct store_actor *who,
                          const struct store_audience_new *a, struct buf *ret,
                          char ret_public_id[40], struct diag *diag)
{
    struct db_params p;
    store_new_id("aud", ret_public_id, 40);
    dbp_init(&p);
    dbp_text(&p, ret_public_id);
    dbp_int4(&p, who->partner_id);
    dbp_text(&p, a->name);
    dbp_int4(&p, (int32_t)a->channel_mask);
    dbp_text(&p, a->default_region);
    dbp_text_array(&p, a->dims, a->n_dims);
    dbp_text(&p, who->name);
    int rc = db_exec(db,
                     "INSERT INTO audience (public_id, partner_id, name, channel_mask, "
                     "default_region, dims, created_by)"
                     " VALUES ($1, $2, $3, $4, $5, $6, $7)",
                     &p, NULL, diag);
    if (rc == 0)
        rc = store_audience_json(db, (struct store_scope){who->partner_id}, ret_public_id, ret,
                                 diag);
    if (rc == 0)
        rc = store_audit(db, who, "audience.create", ret_public_id, NULL, buf_str(ret), diag);
    return rc;
}

int store_audience_json(struct db *db, struct store_scope scope, const char *public_id,
                        struct buf *ret, struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, public_id);
    dbp_int4(&p, scope.partner_id);
    return store_json_one(
        db,
        "SELECT " DOCUMENT
        " FROM audience a WHERE a.public_id = $1 AND ($2 = 0 OR a.partner_id = $2)",
        &p, ret, diag);
}

int store_audience_list(struct db *db, struct store_scope scope, bool archived, const char *cursor,
                        int limit, struct buf *ret, bool *ret_more, char *ret_cursor,
                        size_t cursor_size, struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, scope.partner_id);
    dbp_bool(&p, archived);
    dbp_int4(&p, cursor[0] ? (int32_t)strtol(cursor, NULL, 10) : INT32_MAX);
    dbp_int4(&p, limit + 1);
    return store_json_list(db,
                           "SELECT " DOCUMENT ", a.audience_id::text FROM audience a WHERE ($1 = 0 "
                           "OR a.partner_id = $1) AND a.archived = $2"
                           " AND a.audience_id < $3 ORDER BY a.audience_id DESC LIMIT $4::int4",
                           &p, limit, ret, ret_more, ret_cursor, cursor_size, diag);
}

int store_audience_get(struct db *db, struct store_scope scope, const char *public_id,
                       struct store_audience *ret, struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, public_id);
    dbp_int4(&p, scope.partner_id);
    int rc = db_query(
        db,
        "SELECT a.audience_id, a.partner_id, a.channel_mask, a.default_region, a.archived, " IN_USE
        ", a.dims FROM audience a"
        " WHERE a.public_id = $1 AND ($2 = 0 OR a.partner_id = $2)",
        &p, &r, diag);
    if (rc < 0)
        return rc;
    if (dbr_rows(r) == 0)
        return diag_set(diag, CGW_ENOTFOUND, "", "no such audience");
    *ret = (struct store_audience){.audience_id = (int32_t)dbr_int(r, 0, 0),
                                   .partner_id = (int32_t)dbr_int(r, 0, 1),
                                   .channel_mask = (uint32_t)dbr_int(r, 0, 2),
                                   .archived = dbr_bool(r, 0, 4),
                                   .in_use = dbr_bool(r, 0, 5)};
    (void)snprintf(ret->default_region, sizeof ret->default_region, "%s", dbr_text(r, 0, 3));
    int n = dbr_array_len(r, 0, 6);
    for (int i = 0; i < n && i < (int)STORE_DIMS_MAX; i++) {
        int len = 0;
        const char *name = dbr_text_item(r, 0, 6, i, &len);
        (void)snprintf(ret->dims[ret->n_dims++], sizeof ret->dims[0], "%.*s", len, name);
    }
    return 0;
}

int store_audience_archive(struct db *db, const struct store_actor *who, struct store_scope scope,
                           const char *public_id, struct diag *diag)
{
    struct store_audience a;
    int rc = store_audience_get(db, scope, public_id, &a, diag);
    if (rc < 0 || a.archived)
        return rc;
    int64_t rows = 0;
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, a.audience_id);
    /* the condition stands in the statement as well: a campaign may start between the look and the
     * change */
    rc = db_exec(db,
                 "UPDATE audience a SET archived = true, version = version + 1, updated_at = now() "
                 "WHERE a.audience_id = $1 AND NOT " IN_USE,
                 &p, &rows, diag);
    if (rc < 0)
        return rc;
    if (rows == 0)
        return diag_set(diag, CGW_EBUSY, "",
                        "a campaign that is under way uses this audience; cancel it or wait until "
                        "it is completed");
    return store_audit(db, who, "audience.archive", public_id, NULL, NULL, diag);
}

int store_audience_rejects(struct db *db, struct store_scope scope, const char *public_id,
                           const char *cursor, int limit, struct buf *ret, bool *ret_more,
                           char *ret_cursor, size_t cursor_size, struct diag *diag)
{
    struct store_audience a;
    int rc = store_audience_get(db, scope, public_id, &a, diag);
    if (rc < 0)
        return rc;
    char *col = NULL;
    int64_t line = cursor[0] ? strtoll(cursor, &col, 10) : INT64_MIN;
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, a.audience_id);
    dbp_int8(&p, line);
    dbp_text(&p, col && *col == ':' ? col + 1 : "");
    dbp_int4(&p, limit + 1);
    return store_json_list(
        db,
        "SELECT json_build_object('line', j.line, 'column', nullif(j.col, ''), 'code', j.code, "
        "'detail', j.detail)::text,"
        " j.line || ':' || j.col || ':' || j.code"
        " FROM audience a JOIN audience_reject j ON j.set_id = a.set_id WHERE a.audience_id = $1"
        " AND (j.line > $2 OR j.line = $2 AND j.col || ':' || j.code > $3) ORDER BY j.line, j.col "
        "|| ':' || j.code LIMIT $4::int4",
        &p, limit, ret, ret_more, ret_cursor, cursor_size, diag);
}
