/* SPDX-License-Identifier: Apache-2.0 */
/* store_plan.c - see store_plan.h. */
#include "store/store_plan.h"
#include "store/store_json.h"

#include <stdio.h>

int store_planner_lock(struct db *db, bool *ret_ours, struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    int rc =
        db_query(db, "SELECT pg_try_advisory_lock(hashtext('campgw.planner'))", NULL, &r, diag);
    if (rc == 0)
        *ret_ours = dbr_bool(r, 0, 0);
    return rc;
}

int store_plan_due(struct db *db, int64_t now_ms, int64_t *ret_n, struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_ts(&p, now_ms);
    return db_exec(db,
                   "UPDATE campaign SET state = 'running', started_at = coalesce(started_at, "
                   "now()), updated_at = now(), version = version + 1"
                   " WHERE state = 'scheduled' AND (not_before IS NULL OR not_before <= $1)",
                   &p, ret_n, diag);
}

int store_plan_waves(struct db *db, int64_t now_ms, struct plan_wave *ret, int max, int *ret_n,
                     struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, max);
    dbp_ts(&p, now_ms);
    auto_dbr struct db_result *r = NULL;
    /* LATERAL with LIMIT: one probe per part and wave, whatever the statistics say of a table that
     * was empty a minute ago; the first chunk ends them, echo rows are looked for when there is
     * none */
    int rc = db_query(
        db,
        "SELECT w.wave_id, w.campaign_id, coalesce(w.set_id, 0), w.planned_part, w.state, c.state, "
        "w.validity_ms, c.not_after, w.drained_at,"
        " w.state IN ('running', 'finishing') AND (EXISTS (SELECT FROM part_list p, LATERAL "
        "(SELECT FROM chunk k WHERE k.part = p.part AND k.wave_id = w.wave_id AND k.state < 2 "
        "LIMIT 1) k) OR EXISTS (SELECT FROM part_list p, LATERAL (SELECT FROM echo e WHERE "
        "e.part = p.part AND e.wave_id = w.wave_id LIMIT 1) e)),"
        " CASE WHEN w.state = 'finishing' THEN (SELECT coalesce(sum(CASE kind WHEN 2 THEN n WHEN 3 "
        "THEN -n WHEN 4 THEN -n WHEN 5 THEN -n WHEN 6 THEN -n WHEN 12 THEN -n WHEN 14 THEN -n ELSE "
        "0 "
        "END), 0)::int8"
        " FROM campaign_stat s WHERE s.wave_id = w.wave_id) ELSE 0 END"
        " FROM wave w JOIN campaign c USING (campaign_id) WHERE NOT c.system AND ((w.state = "
        "'planning' AND c.state = 'running')"
        /* behind not_after nobody is contacted: it begins then, so that the campaign can end */
        " OR (w.state = 'waiting' AND c.state = 'running' AND least(coalesce(" SQL_WAVE_BEGINS(
            "$2") ", '-infinity'), c.not_after) <= $2::timestamptz)"
                  " OR (w.state = 'planning' AND c.state = 'cancelled') OR (w.state IN ('running', "
                  "'finishing') AND c.state IN ('running', 'finishing', 'cancelled'))) ORDER BY "
                  "w.wave_id "
                  "LIMIT $1",
        &p, &r, diag);
    if (rc < 0)
        return rc;
    *ret_n = dbr_rows(r);
    for (int i = 0; i < *ret_n; i++) {
        ret[i] = (struct plan_wave){.wave_id = (int32_t)dbr_int(r, i, 0),
                                    .campaign_id = (int32_t)dbr_int(r, i, 1),
                                    .set_id = (int32_t)dbr_int(r, i, 2),
                                    .planned_part = (int32_t)dbr_int(r, i, 3),
                                    .validity_ms = dbr_int(r, i, 6),
                                    .not_after_ms = dbr_null(r, i, 7) ? 0 : dbr_ts(r, i, 7),
                                    .drained_ms = dbr_null(r, i, 8) ? 0 : dbr_ts(r, i, 8),
                                    .busy = dbr_bool(r, i, 9),
                                    .pending = dbr_int(r, i, 10)};
        (void)snprintf(ret[i].state, sizeof ret[i].state, "%s", dbr_text(r, i, 4));
        (void)snprintf(ret[i].campaign_state, sizeof ret[i].campaign_state, "%s",
                       dbr_text(r, i, 5));
    }
    return 0;
}

int store_plan_begin(struct db *db, int32_t wave_id, struct diag *diag)
{
    struct db_params p;
    int64_t rows = 0;
    int rc = db_begin(db, diag);
    if (rc == 0) {
        dbp_init(&p);
        dbp_int4(&p, wave_id);
        rc = db_exec(db,
                     "UPDATE wave w SET set_id = coalesce(w.set_id, a.set_id), state = 'planning' "
                     "FROM campaign c JOIN audience a USING (audience_id)"
                     " WHERE w.wave_id = $1 AND c.campaign_id = w.campaign_id AND w.state = "
                     "'waiting' AND coalesce(w.set_id, a.set_id) IS NOT NULL",
                     &p, &rows, diag);
    }
    if (rc == 0 && rows != 1)
        rc = diag_set(diag, CGW_ESTATE, "", "wave %d has no uploaded audience", wave_id);
    if (rc == 0) {
        dbp_init(&p);
        dbp_int4(&p, wave_id);
        rc = db_exec(db, "SELECT ensure_wave_partitions($1)", &p, NULL, diag);
    }
    if (rc == 0)
        rc = db_commit(db, diag);
    db_rollback(db);
    return rc;
}

int store_plan_part(struct db *db, const struct plan_wave *w, int32_t part, int64_t *ret_chunks,
                    struct diag *diag)
{
    struct db_params p;
    int64_t moved = 0;
    int rc = db_begin(db, diag);
    if (rc == 0) {
        dbp_init(&p);
        dbp_int4(&p, part);
        dbp_int4(&p, w->wave_id);
        rc = db_exec(
            db,
            "UPDATE wave SET planned_part = $1, state = CASE WHEN $1 = 63 THEN 'running' ELSE "
            "'planning' END WHERE wave_id = $2 AND state = 'planning' AND planned_part = $1 - 1",
            &p, &moved, diag);
    }
    if (rc == 0 && moved != 1)
        rc = diag_set(diag, CGW_ESTATE, "", "wave %d is planned by somebody else", w->wave_id);
    if (rc == 0) {
        dbp_init(&p);
        dbp_int4(&p, part);
        dbp_int4(&p, w->wave_id);
        dbp_int4(&p, w->set_id);
        /* sent_hi starts one below: a default of 0 would call earlier rows sent */
        rc = db_exec(db,
                     "INSERT INTO chunk (part, wave_id, chunk_no, place, seq_lo, seq_hi, sent_hi, "
                     "cust_lo, cust_hi)"
                     " SELECT part, $2, slice_no, place, seq_lo, seq_hi, seq_lo - 1, cust_lo, "
                     "cust_hi FROM set_slice WHERE part = $1 AND set_id = $3 ORDER BY slice_no",
                     &p, ret_chunks, diag);
    }
    if (rc == 0)
        rc = db_commit(db, diag);
    db_rollback(db);
    return rc;
}

int store_plan_wave_state(struct db *db, int32_t wave_id, const char *from, const char *to,
                          struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, wave_id);
    dbp_text(&p, from);
    dbp_text(&p, to);
    return db_exec(
        db,
        "UPDATE wave SET state = $3, drained_at = CASE WHEN $3 = 'finishing' THEN "
        "coalesce(drained_at, clock_timestamp()) WHEN $3 = 'running' THEN NULL ELSE drained_at END"
        " WHERE wave_id = $1 AND state = $2",
        &p, NULL, diag);
}

int store_plan_campaigns(struct db *db, int64_t *ret_completed, struct diag *diag)
{
    int64_t moved = 0;
    int rc = db_exec(db,
                     "UPDATE campaign c SET state = 'finishing', updated_at = now(), version = "
                     "version + 1 WHERE state = 'running' AND NOT system"
                     " AND NOT EXISTS (SELECT FROM wave w WHERE w.campaign_id = c.campaign_id AND "
                     "w.state IN ('waiting', 'planning', 'running'))",
                     NULL, &moved, diag);
    if (rc == 0)
        rc = db_exec(db,
                     "UPDATE campaign c SET state = 'running', updated_at = now(), version = "
                     "version + 1 WHERE state = 'finishing' AND NOT system"
                     " AND EXISTS (SELECT FROM wave w WHERE w.campaign_id = c.campaign_id AND "
                     "w.state IN ('planning', 'running'))",
                     NULL, &moved, diag);
    if (rc == 0)
        rc = db_exec(
            db,
            "UPDATE campaign c SET state = CASE WHEN state = 'cancelled' THEN 'cancelled' ELSE "
            "'completed' END, finished_at = now(), updated_at = now(), version = version + 1"
            " WHERE state IN ('finishing', 'cancelled') AND finished_at IS NULL AND NOT system"
            " AND NOT EXISTS (SELECT FROM wave w WHERE w.campaign_id = c.campaign_id AND w.state "
            "NOT IN ('done', 'cancelled') AND NOT (c.state = 'cancelled' AND w.state = 'waiting'))",
            NULL, ret_completed, diag);
    return rc;
}

int store_housekeeping(struct db *db, int64_t now_ms, struct diag *diag)
{
    static const char *const steps[] = {
        "SELECT ensure_time_partitions($1)",
        "SELECT count(*) FROM drop_expired() WHERE $1::timestamptz IS NOT NULL", /* its clock is the
                                                                                    database's */
        "DELETE FROM idempotency WHERE created_at < $1::timestamptz - (SELECT keep FROM retention "
        "WHERE what = 'idempotency')",
        "DELETE FROM receipt_early WHERE arrived < $1::timestamptz - (SELECT keep FROM retention "
        "WHERE what = 'receipt_early')",
        "DELETE FROM audience_reject WHERE at < $1::timestamptz - (SELECT keep FROM retention "
        "WHERE what = 'reject')",
    };
    int rc = 0;
    for (size_t i = 0; i < ARRAY_LEN(steps) && rc == 0; i++) {
        struct db_params p;
        dbp_init(&p);
        dbp_ts(&p, now_ms);
        rc = db_exec(db, steps[i], &p, NULL, diag);
    }
    return rc;
}

int store_campaign_states(struct db *db, void (*each)(void *ctx, const char *state, int64_t n),
                          void *ctx, struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    int rc = db_query(db, "SELECT state, count(*) FROM campaign WHERE NOT system GROUP BY state",
                      NULL, &r, diag);
    for (int i = 0; rc == 0 && i < dbr_rows(r); i++)
        each(ctx, dbr_text(r, i, 0), dbr_int(r, i, 1));
    return rc;
}

int store_queues(struct db *db, int64_t now_ms,
                 void (*each)(void *ctx, const char *lane, int64_t due, int64_t later,
                              double oldest_s),
                 void *ctx, struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    struct db_params p;
    dbp_init(&p);
    dbp_ts(&p, now_ms);
    /* Of campaigns that run: rows of chunks that are not sent yet, and echo rows. What waits for
     * its hour is not late. */
    int rc = db_query(
        db,
        "WITH x AS (SELECT w.lane, k.seq_hi - k.sent_hi AS n, coalesce(k.not_before, "
        "c.not_before) AS at, c.started_at + ($1 - now()) AS started FROM wave w JOIN campaign c "
        "USING (campaign_id), part_list p, LATERAL (SELECT * FROM chunk k WHERE k.part = p.part "
        "AND "
        "k.wave_id = w.wave_id AND k.state < 2 OFFSET 0) k WHERE w.state IN ('planning', "
        "'running') AND "
        "c.state = 'running'"
        " UNION ALL SELECT w.lane, 1, e.not_before, NULL FROM wave w JOIN campaign c USING "
        "(campaign_id), part_list p, LATERAL (SELECT * FROM echo e WHERE e.part = p.part AND "
        "e.wave_id = w.wave_id AND e.state < 2 OFFSET 0) e WHERE w.state IN ('planning', "
        "'running', "
        "'finishing') AND c.state IN ('running', 'finishing'))"
        "SELECT l.lane, coalesce(sum(n) FILTER (WHERE at IS NULL OR at <= $1), 0)::int8, "
        "coalesce(sum(n) FILTER (WHERE at > $1), 0)::int8, coalesce(extract(epoch FROM "
        "$1::timestamptz - min(greatest(at, started)) FILTER (WHERE at IS NULL OR at <= $1)), "
        "0)::float8 FROM (VALUES (0::int2), (1::int2)) l (lane) LEFT JOIN x USING (lane) GROUP BY "
        "l.lane ORDER BY l.lane",
        &p, &r, diag);
    static const char *const lanes[] = {"bulk", "urgent"};
    for (int i = 0; rc == 0 && i < dbr_rows(r); i++)
        each(ctx, lanes[dbr_int(r, i, 0) & 1], dbr_int(r, i, 1), dbr_int(r, i, 2),
             dbr_double(r, i, 3));
    return rc;
}
