/* SPDX-License-Identifier: Apache-2.0 */
/* store_switch.c - see store_switch.h. */
#include "store/store_switch.h"
#include "store/store_json.h"

#include "cgw/types.h"
#include <stdio.h>
#include <string.h>

#define DISPATCH_DOC                                                                               \
    "json_build_object('state', state, 'since', " SQL_TIME(                                        \
        "since") ", 'actor', nullif(actor, ''))::text"

int store_dispatch_json(struct db *db, struct buf *ret, struct diag *diag)
{
    return store_json_one(db, "SELECT " DISPATCH_DOC " FROM dispatch_switch", NULL, ret, diag);
}

int store_dispatch_set(struct db *db, const struct store_actor *who, const char *state,
                       struct buf *ret, struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, state);
    dbp_text(&p, who->name);
    int64_t changed = 0;
    int rc = db_exec(db,
                     "UPDATE dispatch_switch SET state = $1, since = clock_timestamp(), actor = $2 "
                     "WHERE state <> $1",
                     &p, &changed, diag);
    if (rc < 0)
        return rc;
    size_t at = ret->len;
    rc = store_dispatch_json(db, ret, diag);
    if (rc == 0 && changed)
        rc = store_audit(db, who, "dispatch.set", "dispatch", NULL, buf_str(ret) + at, diag);
    return rc;
}

/* ---- queues --------------------------------------------------------------------------------- */
#define QUEUE_ID "r.public_id || (ARRAY['.bulk','.urgent'])[l.lane + 1]"
#define QUEUE_DOC                                                                                  \
    "json_build_object('id', " QUEUE_ID                                                            \
    ", 'route', r.public_id, 'route_name', r.name, 'route_state', r.state, "                       \
    "'channel', " SQL_CHANNEL("r.channel") ", 'lane', (ARRAY['bulk','urgent'])[l.lane + 1], "      \
                                           "'paused', q.route_id IS NOT NULL)::text"
#define QUEUE_FROM                                                                                 \
    " FROM route r CROSS JOIN (VALUES (0), (1)) l(lane) LEFT JOIN queue_pause q ON q.route_id = "  \
    "r.route_id AND q.lane = l.lane"                                                               \
    " WHERE ($1 = 0 OR r.partner_id = $1) AND NOT r.archived"

static int hand_out(const struct db_result *r, int n, store_queue_fn fn, void *ctx)
{
    int rc = 0;
    for (int i = 0; i < n && rc == 0; i++) {
        struct store_queue q = {.route_id = (int32_t)dbr_int(r, i, 2),
                                .lane = (int)dbr_int(r, i, 3),
                                .json = dbr_text(r, i, 0)};
        rc = fn(ctx, &q);
    }
    return rc;
}

int store_queue_list(struct db *db, struct store_scope scope, const char *cursor, int limit,
                     store_queue_fn fn, void *ctx, bool *ret_more, char *ret_cursor,
                     size_t cursor_size, struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, scope.partner_id);
    dbp_text(&p, cursor);
    dbp_int4(&p, limit + 1);
    int rc = db_query(db,
                      "SELECT " QUEUE_DOC ", " QUEUE_ID ", r.route_id, l.lane" QUEUE_FROM
                      " AND " QUEUE_ID " > $2 ORDER BY 2 LIMIT $3::int4",
                      &p, &r, diag);
    if (rc < 0)
        return rc;
    int n = dbr_rows(r) < limit ? dbr_rows(r) : limit;
    *ret_more = dbr_rows(r) > limit;
    ret_cursor[0] = 0;
    if (n)
        (void)snprintf(ret_cursor, cursor_size, "%s", dbr_text(r, n - 1, 1));
    return hand_out(r, n, fn, ctx);
}

int store_queue_one(struct db *db, struct store_scope scope, const char *queue_id,
                    store_queue_fn fn, void *ctx, struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, scope.partner_id);
    dbp_text(&p, queue_id);
    int rc = db_query(db,
                      "SELECT " QUEUE_DOC ", " QUEUE_ID ", r.route_id, l.lane" QUEUE_FROM
                      " AND " QUEUE_ID " = $2",
                      &p, &r, diag);
    if (rc < 0)
        return rc;
    if (dbr_rows(r) == 0)
        return diag_set(diag, CGW_ENOTFOUND, "", "no queue %s", queue_id);
    return hand_out(r, 1, fn, ctx);
}

static int keep_queue(void *ctx, const struct store_queue *q)
{
    struct store_queue *out = ctx;
    *out = *q;
    out->json = NULL;
    return 0;
}

int store_queue_pause(struct db *db, const struct store_actor *who, struct store_scope scope,
                      const char *queue_id, bool paused, struct diag *diag)
{
    struct store_queue q;
    int rc = store_queue_one(db, scope, queue_id, keep_queue, &q, diag);
    if (rc < 0)
        return rc;
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, q.route_id);
    dbp_int2(&p, (int16_t)q.lane);
    int64_t changed = 0;
    rc = db_exec(
        db,
        paused ? "INSERT INTO queue_pause (route_id, lane) VALUES ($1, $2) ON CONFLICT DO NOTHING"
               : "DELETE FROM queue_pause WHERE route_id = $1 AND lane = $2",
        &p, &changed, diag);
    if (rc < 0 || !changed)
        return rc;
    return store_audit(db, who, paused ? "queue.pause" : "queue.resume", queue_id, NULL, NULL,
                       diag);
}
