/* SPDX-License-Identifier: Apache-2.0 */
/* store_part.c - see store_part.h. part_head rows are always locked in part order: flushes lock
 * several of them. */
#include "store/store_part.h"

/* Times further ahead than any lease can be (dispatch.lease_ms is at most ten minutes) were written
 * before the database's clock was set back: they say nothing of who is alive. */
#define AHEAD "interval '11 minutes'"

int store_node_seen(struct db *db, const char *node, const char *version, bool starting,
                    struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, node);
    dbp_text(&p, version);
    dbp_bool(&p, starting);
    return db_exec(db,
                   "INSERT INTO node (name, version) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE "
                   "SET seen_at = now(), version = $2,"
                   " started_at = CASE WHEN $3 THEN now() ELSE node.started_at END",
                   &p, NULL, diag);
}

int store_parts_patience(struct db *db, int ms, struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, ms);
    auto_dbr struct db_result *r = NULL;
    return db_query(db, "SELECT set_config('lock_timeout', $1::int4::text, false)", &p, &r, diag);
}

static int leases_from(struct db *db, const char *sql, struct db_params *p,
                       struct part_lease *leases, int *ret_n, struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    int rc = db_query(db, sql, p, &r, diag);
    if (rc < 0)
        return rc;
    int n = dbr_rows(r);
    for (int i = 0; i < n && i < STORE_PARTS; i++)
        leases[i] =
            (struct part_lease){.part = (int32_t)dbr_int(r, i, 0), .epoch = dbr_int(r, i, 1)};
    *ret_n = n < STORE_PARTS ? n : STORE_PARTS;
    return 0;
}

int store_parts_retake(struct db *db, const char *node, int ttl_ms, struct part_lease *leases,
                       int *ret_n, struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, node);
    dbp_int4(&p, ttl_ms);
    return leases_from(
        db,
        "WITH l AS (SELECT part FROM part_head WHERE node = $1 ORDER BY part FOR UPDATE)"
        "UPDATE part_head h SET epoch = epoch + 1, lease_until = now() + make_interval(secs => "
        "$2::int4 / 1000.0) FROM l WHERE h.part = l.part"
        " RETURNING h.part, h.epoch",
        &p, leases, ret_n, diag);
}

int store_parts_acquire(struct db *db, const char *node, int ttl_ms, int max,
                        struct part_lease *leases, int *ret_n, struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, node);
    dbp_int4(&p, ttl_ms);
    dbp_int4(&p, max);
    return leases_from(db,
                       "WITH l AS (SELECT part FROM part_head WHERE node IS DISTINCT FROM $1 AND "
                       "(lease_until IS NULL OR lease_until < now() OR lease_until > now() + " AHEAD
                       ")"
                       " ORDER BY part LIMIT $3 FOR UPDATE SKIP LOCKED)"
                       "UPDATE part_head h SET node = $1, epoch = epoch + 1, lease_until = now() + "
                       "make_interval(secs => $2::int4 / 1000.0) FROM l WHERE h.part = l.part"
                       " RETURNING h.part, h.epoch",
                       &p, leases, ret_n, diag);
}

int store_parts_renew(struct db *db, const char *node, int ttl_ms, struct part_lease *leases,
                      int *ret_n, struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, node);
    dbp_int4(&p, ttl_ms);
    return leases_from(
        db,
        "WITH l AS (SELECT part FROM part_head WHERE node = $1 ORDER BY part FOR UPDATE)"
        "UPDATE part_head h SET lease_until = now() + make_interval(secs => $2::int4 / 1000.0) "
        "FROM l WHERE h.part = l.part RETURNING h.part, h.epoch",
        &p, leases, ret_n, diag);
}

int store_parts_release(struct db *db, const char *node, const int32_t *parts, int n,
                        struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, node);
    dbp_int4_array(&p, parts, (size_t)n);
    return db_exec(
        db,
        "WITH l AS (SELECT part FROM part_head WHERE node = $1 AND part = ANY($2) ORDER BY part "
        "FOR UPDATE)"
        "UPDATE part_head h SET node = NULL, lease_until = NULL FROM l WHERE h.part = l.part",
        &p, NULL, diag);
}

int store_nodes_disconnect(struct db *db, int ttl_ms, int *ret_n, struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, ttl_ms);
    auto_dbr struct db_result *r = NULL;
    /* state_change: a session that did something since is that of a node which comes back */
    int rc = db_query(db,
                      "SELECT count(*) FILTER (WHERE pg_terminate_backend(a.pid)) FROM node n JOIN "
                      "pg_stat_activity a ON starts_with(a.application_name, 'campgwd@' || n.name "
                      "|| ' ') WHERE n.seen_at < now() - make_interval(secs => $1::int4 / 1000.0)"
                      " AND NOT EXISTS (SELECT FROM part_head h WHERE h.node = n.name AND "
                      "h.lease_until > now())"
                      " AND a.state_change < now() - make_interval(secs => $1::int4 / 1000.0) AND "
                      "a.datname = current_database() AND a.usename = current_user",
                      &p, &r, diag);
    if (rc == 0)
        *ret_n = (int)dbr_int(r, 0, 0);
    return rc;
}

int store_nodes_alive(struct db *db, int ttl_ms, int *ret_n, struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, ttl_ms);
    auto_dbr struct db_result *r = NULL;
    int rc = db_query(db,
                      "SELECT count(*) FROM node WHERE seen_at > now() - make_interval(secs => "
                      "$1::int4 / 1000.0) AND seen_at < now() + " AHEAD,
                      &p, &r, diag);
    if (rc == 0)
        *ret_n = (int)dbr_int(r, 0, 0);
    return rc;
}
