/* SPDX-License-Identifier: Apache-2.0 */
/* store_dnd.c - the lists themselves, and the facts that the core writes. See store_dnd.h; entries:
 * store_dnd_entries.c. */
#include "store/store_dnd.h"
#include "store/store_json.h"

#include <stdio.h>
#include <string.h>

/* clang-format off */
#define DOCUMENT \
    "json_build_object('id', l.public_id, 'name', l.name, " SQL_SCOPE("l.scope") "," \
    " 'builtin', l.list_id < 100, 'version', l.version, 'created_at', " SQL_TIME("l.created_at") "," \
    " 'updated_at', " SQL_TIME("l.updated_at") ")::text"
/* clang-format on */
#define MINE(n) "($" n " = 0 OR l.partner_id = $" n ")"

int store_dnd_create(struct db *db, const struct store_actor *who, const char *name, int32_t scope,
                     struct buf *ret, char ret_public_id[40], struct diag *diag)
{
    struct db_params p;
    store_new_id("dnd", ret_public_id, 40);
    dbp_init(&p);
    dbp_text(&p, ret_public_id);
    dbp_int4(&p, who->partner_id);
    dbp_text(&p, name);
    dbp_int4(&p, scope);
    int rc = db_exec(
        db, "INSERT INTO dnd_list (public_id, partner_id, name, scope) VALUES ($1, $2, $3, $4)", &p,
        NULL, diag);
    if (rc == CGW_EDB && !strcmp(db_sqlstate(db), "23505"))
        return diag_set(diag, CGW_EEXISTS, "/name", "a list of this name exists");
    if (rc == 0)
        rc = store_dnd_json(db, (struct store_scope){who->partner_id}, ret_public_id, ret, diag);
    if (rc == 0)
        rc = store_audit(db, who, "dnd_list.create", ret_public_id, NULL, buf_str(ret), diag);
    return rc;
}

int store_dnd_get(struct db *db, struct store_scope scope, const char *public_id, bool lock,
                  struct store_dnd_list *ret, struct diag *diag)
{
#define GET                                                                                        \
    "SELECT l.list_id, l.partner_id, l.scope, l.version, l.reason FROM dnd_list l WHERE "          \
    "l.public_id = $1 AND " MINE("2")
    auto_dbr struct db_result *r = NULL;
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, public_id);
    dbp_int4(&p, scope.partner_id);
    int rc = db_query(db, lock ? GET " FOR UPDATE" : GET, &p, &r, diag);
#undef GET
    if (rc < 0)
        return rc;
    if (dbr_rows(r) == 0)
        return diag_set(diag, CGW_ENOTFOUND, "", "no such list");
    *ret = (struct store_dnd_list){.list_id = (int32_t)dbr_int(r, 0, 0),
                                   .partner_id = (int32_t)dbr_int(r, 0, 1),
                                   .scope = (int32_t)dbr_int(r, 0, 2),
                                   .version = (int32_t)dbr_int(r, 0, 3),
                                   .reason = (int16_t)dbr_int(r, 0, 4)};
    ret->builtin = ret->list_id < STORE_DND_OWN_LISTS;
    (void)snprintf(ret->public_id, sizeof ret->public_id, "%s", public_id);
    return 0;
}

int store_dnd_json(struct db *db, struct store_scope scope, const char *public_id, struct buf *ret,
                   struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, public_id);
    dbp_int4(&p, scope.partner_id);
    return store_json_one(
        db, "SELECT " DOCUMENT " FROM dnd_list l WHERE l.public_id = $1 AND " MINE("2"), &p, ret,
        diag);
}

int store_dnd_list_json(struct db *db, struct store_scope scope, const char *cursor, int limit,
                        struct buf *ret, bool *ret_more, char *ret_cursor, size_t cursor_size,
                        struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, scope.partner_id);
    dbp_int4(&p, (int32_t)strtol(cursor, NULL, 10));
    dbp_int4(&p, limit + 1);
    return store_json_list(db,
                           "SELECT " DOCUMENT ", l.list_id::text FROM dnd_list l WHERE " MINE(
                               "1") " AND l.list_id > $2 ORDER BY l.list_id LIMIT $3::int4",
                           &p, limit, ret, ret_more, ret_cursor, cursor_size, diag);
}

int store_dnd_rename(struct db *db, const struct store_actor *who,
                     const struct store_dnd_list *list, const char *name, struct diag *diag)
{
    if (list->builtin)
        return diag_set(diag, CGW_EDENIED, "", "built-in lists keep their names");
    struct buf before, after;
    buf_init(&before, 65536);
    buf_init(&after, 65536);
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, list->list_id);
    dbp_text(&p, name);
    int rc = store_dnd_json(db, (struct store_scope){0}, list->public_id, &before, diag);
    if (rc == 0)
        rc = db_exec(db,
                     "UPDATE dnd_list SET name = $2, version = version + 1, updated_at = now() "
                     "WHERE list_id = $1",
                     &p, NULL, diag);
    else
        dbp_done(&p);
    if (rc == CGW_EDB && !strcmp(db_sqlstate(db), "23505"))
        rc = diag_set(diag, CGW_EEXISTS, "/name", "a list of this name exists");
    if (rc == 0)
        rc = store_dnd_json(db, (struct store_scope){0}, list->public_id, &after, diag);
    if (rc == 0)
        rc = store_audit(db, who, "dnd_list.change", list->public_id, buf_str(&before),
                         buf_str(&after), diag);
    buf_done(&before);
    buf_done(&after);
    return rc;
}

int store_dnd_delete(struct db *db, const struct store_actor *who,
                     const struct store_dnd_list *list, struct diag *diag)
{
    if (list->builtin)
        return diag_set(diag, CGW_EDENIED, "", "built-in lists cannot be deleted");
    int64_t entries = 0;
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, list->list_id);
    int rc = db_exec(db, "DELETE FROM dnd WHERE list_id = $1", &p, &entries, diag);
    if (rc < 0)
        return rc;
    dbp_init(&p);
    dbp_int4(&p, list->list_id);
    rc = db_exec(db, "DELETE FROM dnd_list WHERE list_id = $1", &p, NULL, diag);
    if (rc < 0)
        return rc;
    struct buf b;
    buf_init(&b, 128);
    buf_printf(&b, "{\"entries\":%lld}", (long long)entries);
    rc = store_audit(db, who, "dnd_list.delete", list->public_id, buf_str(&b), NULL, diag);
    buf_done(&b);
    return rc;
}

int store_dnd_put(struct db *db, const struct store_dnd_fact *fact, uint64_t *io_parts,
                  int64_t *ret_added, struct diag *diag)
{
    int64_t added = 0;
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, fact->part);
    dbp_int8(&p, fact->customer_id);
    dbp_int4_array(&p, fact->scopes, fact->n_scopes);
    dbp_int4(&p, fact->list_id);
    dbp_int2(&p, fact->reason);
    dbp_ts(&p, fact->at_utc_ms);
    int rc =
        db_exec(db,
                "INSERT INTO dnd (part, customer_id, scope, list_id, partner_id, reason, since)"
                " SELECT $1, $2, s, $4, 0, $5, $6 FROM unnest($3::int4[]) s ORDER BY s ON CONFLICT "
                "DO NOTHING",
                &p, &added, diag);
    if (rc < 0)
        return rc;
    if (added)
        *io_parts |= UINT64_C(1) << fact->part;
    if (ret_added)
        *ret_added = added;
    return 0;
}

int store_dnd_optout(struct db *db, int32_t part, int64_t customer_id, const int32_t *scopes,
                     size_t n_scopes, int64_t response_id, int64_t at_utc_ms, uint64_t *io_parts,
                     bool *ret_confirm, struct diag *diag)
{
    struct store_dnd_fact fact = {.part = part,
                                  .customer_id = customer_id,
                                  .scopes = scopes,
                                  .n_scopes = n_scopes,
                                  .list_id = STORE_DND_OPTOUTS,
                                  .reason = 2 /* dnd.optout */,
                                  .at_utc_ms = at_utc_ms};
    int rc = store_dnd_put(db, &fact, io_parts, NULL, diag);
    if (rc < 0)
        return rc;
    int64_t confirms = 0;
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, part);
    dbp_int8(&p, customer_id);
    dbp_int4(&p,
             n_scopes == 1
                 ? scopes[0]
                 : 0); /* "stop all" is one act with several rows: confirmed once, under scope 0 */
    dbp_int8(&p, response_id);
    dbp_ts(&p, at_utc_ms);
    rc = db_exec(db,
                 "INSERT INTO optout_confirm (part, customer_id, scope, response_id, at) VALUES "
                 "($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
                 &p, &confirms, diag);
    if (rc == 0)
        *ret_confirm = confirms > 0;
    return rc;
}
