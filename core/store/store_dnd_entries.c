/* SPDX-License-Identifier: Apache-2.0 */
/* store_dnd_entries.c - entries of do-not-disturb lists, set-based. See store_dnd.h. */
#include "store/store_customer.h"
#include "store/store_dnd.h"
#include "store/store_ids.h"
#include "store/store_json.h"

#include <stdio.h>

static void one_list(struct db_params *p, const struct store_dnd_list *list)
{
    dbp_init(p);
    dbp_int4(p, list->list_id);
}

/* Ordered by the primary key: two writers of the same customers meet in the same order, and the
 * index is written from left to right. */
static int insert_people(struct db *db, const struct store_dnd_list *list,
                         struct store_dnd_counts *ret, uint64_t *ret_parts, struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    struct db_params p;
    one_list(&p, list);
    dbp_int4(&p, list->scope);
    dbp_int4(&p, list->partner_id);
    dbp_int2(&p, list->reason);
    int rc =
        db_query(db,
                 "WITH u AS MATERIALIZED (SELECT DISTINCT part, customer_id FROM in_person),"
                 " n AS (INSERT INTO dnd (part, customer_id, scope, list_id, partner_id, reason)"
                 " SELECT part, customer_id, $2::int4, $1::int4, $3::int4, $4::int2 FROM u ORDER "
                 "BY part, customer_id"
                 " ON CONFLICT DO NOTHING RETURNING part)"
                 " SELECT count(*), coalesce(bit_or(1::int8 << part), 0), (SELECT count(*) FROM "
                 "in_person), (SELECT count(*) FROM u) FROM n",
                 &p, &r, diag);
    if (rc < 0)
        return rc;
    ret->added = dbr_int(r, 0, 0);
    *ret_parts = (uint64_t)dbr_int(r, 0, 1);
    ret->received = dbr_int(r, 0, 2);
    ret->present = dbr_int(r, 0, 3) - ret->added;
    return 0;
}

static int finish(struct db *db, const struct store_actor *who, const struct store_dnd_list *list,
                  const char *action, const struct store_dnd_counts *n, struct diag *diag)
{
    struct db_params p;
    one_list(&p, list);
    int rc =
        db_exec(db, "UPDATE dnd_list SET updated_at = now() WHERE list_id = $1", &p, NULL, diag);
    if (rc < 0)
        return rc;
    struct buf b;
    buf_init(&b, 256);
    buf_printf(&b, "{\"received\":%lld,\"added\":%lld,\"removed\":%lld}", (long long)n->received,
               (long long)n->added, (long long)n->removed);
    rc = store_audit(db, who, action, list->public_id, NULL, buf_str(&b), diag);
    buf_done(&b);
    return rc;
}

int store_dnd_add(struct db *db, const struct store_actor *who, const struct store_dnd_list *list,
                  struct store_dnd_counts *ret, uint64_t *ret_parts, struct diag *diag)
{
    *ret = (struct store_dnd_counts){0};
    int rc = insert_people(db, list, ret, ret_parts, diag);
    return rc < 0 ? rc : finish(db, who, list, "dnd_list.entries_add", ret, diag);
}

/* ---- the short way
 * -----------------------------------------------------------------------------------------------
 */
#define FILL_BYTES 1048576u

int store_dnd_fill_may(struct db *db, const struct store_dnd_list *list, bool *ret_may,
                       struct diag *diag)
{
    bool known = true;
    *ret_may = false;
    if (list->builtin) /* replies write there without the list's lock */
        return 0;
    auto_dbr struct db_result *r = NULL;
    struct db_params p;
    one_list(&p, list);
    int rc =
        store_alias_lock(db, false, diag); /* nobody becomes known by an e-mail address meanwhile */
    if (rc == 0)
        rc = db_query(db, "SELECT NOT EXISTS (SELECT FROM dnd WHERE list_id = $1)", &p, &r, diag);
    if (rc == 0)
        rc = store_people_any(db, &known, diag);
    if (rc == 0)
        *ret_may = dbr_bool(r, 0, 0) && !known;
    return rc;
}

static int fill_row(struct db_copy *c, const struct store_dnd_list *list, int64_t customer_id,
                    struct db *db, struct diag *diag)
{
    dbc_row(c, 6);
    dbc_int4(c, store_part(customer_id));
    dbc_int8(c, customer_id);
    dbc_int4(c, list->scope);
    dbc_int4(c, list->list_id);
    dbc_int4(c, list->partner_id);
    dbc_int2(c, list->reason);
    return c->b.len >= FILL_BYTES ? db_copy_push(db, c, diag) : 0;
}

int store_dnd_fill(struct db *db, const struct store_actor *who, const struct store_dnd_list *list,
                   int (*next)(void *ctx, int64_t *ret_customer_id, struct diag *diag), void *ctx,
                   struct store_dnd_counts *io, uint64_t *ret_parts, struct diag *diag)
{
    struct db_copy c;
    int64_t id = 0;
    int more = 0,
        rc = db_copy_open(db,
                          "COPY dnd (part, customer_id, scope, list_id, partner_id, reason) FROM "
                          "STDIN (FORMAT binary)",
                          diag);
    if (rc < 0)
        return rc;
    dbc_init(&c, FILL_BYTES + 4096u);
    while (rc == 0 && (more = next(ctx, &id, diag)) == 1) {
        *ret_parts |= UINT64_C(1) << store_part(id);
        io->added++;
        rc = fill_row(&c, list, id, db, diag);
    }
    rc = more < 0 ? more : rc;
    if (rc == 0)
        rc = db_copy_push(db, &c, diag);
    int end = db_copy_close(db, rc == 0, rc == 0 ? diag : NULL);
    dbc_done(&c);
    if (rc == 0)
        rc = end;
    return rc < 0 ? rc : finish(db, who, list, "dnd_list.entries_add", io, diag);
}

int store_dnd_replace(struct db *db, const struct store_actor *who,
                      const struct store_dnd_list *list, struct store_dnd_counts *ret,
                      uint64_t *ret_parts, struct diag *diag)
{
    *ret = (struct store_dnd_counts){0};
    if (list->builtin)
        return diag_set(diag, CGW_EDENIED, "",
                        "a built-in list is not replaced as a whole; add or remove entries");
    struct db_params p;
    one_list(&p, list);
    int rc = db_exec(db,
                     "DELETE FROM dnd d WHERE d.list_id = $1"
                     " AND NOT EXISTS (SELECT FROM in_person i WHERE i.part = d.part AND "
                     "i.customer_id = d.customer_id)",
                     &p, &ret->removed, diag);
    if (rc == 0)
        rc = insert_people(db, list, ret, ret_parts, diag);
    return rc < 0 ? rc : finish(db, who, list, "dnd_list.entries_replace", ret, diag);
}

int store_dnd_remove(struct db *db, const struct store_actor *who,
                     const struct store_dnd_list *list, struct store_dnd_counts *ret,
                     struct diag *diag)
{
    *ret = (struct store_dnd_counts){0};
    auto_dbr struct db_result *r = NULL;
    struct db_params p;
    one_list(&p, list);
    int rc = db_query(
        db,
        "WITH d AS (DELETE FROM dnd d USING (SELECT DISTINCT part, customer_id FROM in_person) i"
        " WHERE d.list_id = $1 AND d.part = i.part AND d.customer_id = i.customer_id RETURNING "
        "d.part)"
        " SELECT count(*), (SELECT count(*) FROM in_person) FROM d",
        &p, &r, diag);
    if (rc < 0)
        return rc;
    ret->removed = dbr_int(r, 0, 0);
    ret->received = dbr_int(r, 0, 1);
    if (list->list_id ==
        STORE_DND_OPTOUTS) /* who is taken off and opts out again gets a confirmation again */
        rc = db_exec(db,
                     "DELETE FROM optout_confirm o USING in_person i WHERE o.part = i.part AND "
                     "o.customer_id = i.customer_id",
                     NULL, NULL, diag);
    return rc < 0 ? rc : finish(db, who, list, "dnd_list.entries_remove", ret, diag);
}

/* clang-format off */
static const char entries_sql[] =
    "SELECT d.part, d.customer_id, d.scope, json_build_object(" SQL_SCOPE("d.scope") ","
    " 'since', " SQL_TIME("d.since") ")::text FROM dnd d WHERE d.list_id = $1"
    " AND (d.part, d.customer_id) >= ($2, $3) AND (d.part, d.customer_id, d.scope) > ($2, $3, $4)"
    " ORDER BY d.part, d.customer_id, d.scope LIMIT $5::int4";
static const char lookup_sql[] =
    "SELECT json_build_object('id', l.public_id, 'name', l.name, " SQL_SCOPE("d.scope") ","
    " 'since', " SQL_TIME("d.since") ")::text, '' FROM dnd d JOIN dnd_list l USING (list_id)"
    " WHERE d.part = $1 AND d.customer_id = $2 AND ($3 = 0 OR l.partner_id = $3)"
    " ORDER BY l.list_id, d.scope LIMIT 500";
/* clang-format on */

int store_dnd_entries(struct db *db, const struct store_dnd_list *list, const char *cursor,
                      int limit, struct buf *ret, bool *ret_more, char *ret_cursor,
                      size_t cursor_size, struct diag *diag)
{
    long long part = -1, customer = 0, scope = 0;
    if (cursor[0] && sscanf(cursor, "%lld:%lld:%lld", &part, &customer, &scope) != 3)
        return diag_set(diag, CGW_EINVAL, "", "the cursor is not one of this list");
    auto_dbr struct db_result *r = NULL;
    struct db_params p;
    one_list(&p, list);
    dbp_int4(&p, (int32_t)part);
    dbp_int8(&p, customer);
    dbp_int4(&p, (int32_t)scope);
    dbp_int4(&p, limit + 1);
    int rc = db_query(db, entries_sql, &p, &r, diag);
    if (rc < 0)
        return rc;
    int n = dbr_rows(r) < limit ? dbr_rows(r) : limit;
    *ret_more = dbr_rows(r) > limit;
    for (int i = 0; i < n; i++) {
        char id[STORE_ID_TEXT_MAX];
        store_id_encode("cus", dbr_int(r, i, 1), id, sizeof id);
        buf_printf(ret, "%s{\"customer\":\"%s\",", i ? "," : "", id);
        buf_put(ret, dbr_text(r, i, 3) + 1, (size_t)dbr_len(r, i, 3) - 1);
    }
    ret_cursor[0] = 0;
    if (n)
        (void)snprintf(ret_cursor, cursor_size, "%lld:%lld:%lld", (long long)dbr_int(r, n - 1, 0),
                       (long long)dbr_int(r, n - 1, 1), (long long)dbr_int(r, n - 1, 2));
    return 0;
}

int store_dnd_lookup(struct db *db, struct store_scope scope, int64_t customer_id, struct buf *ret,
                     struct diag *diag)
{
    char cursor[8];
    bool more;
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, (int32_t)((uint64_t)customer_id % STORE_PARTS));
    dbp_int8(&p, customer_id);
    dbp_int4(&p, scope.partner_id);
    return store_json_list(db, lookup_sql, &p, 500, ret, &more, cursor, sizeof cursor, diag);
}
