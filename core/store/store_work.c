/* SPDX-License-Identifier: Apache-2.0 */
/* store_work.c - part lock, chunks, recipients, echo rows, intents. See store_decide.h. */
#include "store/store_decide.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* A statement of its own, behind the lock: what waited for the lock must not read clocks from
 * before the wait. */
static int read_clocks(struct db *db, struct part_lock *l, struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, l->part);
    auto_dbr struct db_result *r = NULL;
    int rc = db_query(db,
                      "SELECT clock_timestamp(), f.ver, rc.version, s.state = 'running' FROM "
                      "fact_clock f, rules_clock rc, dispatch_switch s WHERE f.part = $1",
                      &p, &r, diag);
    if (rc < 0)
        return rc;
    if (dbr_rows(r) != 1)
        return diag_set(diag, CGW_ENOTFOUND, "", "part %d has no clock", l->part);
    l->now_ms = dbr_ts(r, 0, 0);
    l->facts_ver = dbr_int(r, 0, 1);
    l->rules_version = (int32_t)dbr_int(r, 0, 2);
    l->running = dbr_bool(r, 0, 3);
    return 0;
}

static const char lock_sql[] =
    "SELECT seal_no, digest, epoch, flush_no, pg_current_xact_id()::text::int8 FROM part_head "
    "WHERE part = $1 AND ($3 = 0 OR (node = $2 AND epoch = $3)) FOR UPDATE";

static void lock_params(struct db_params *p, int32_t part, const char *node, int64_t epoch)
{
    dbp_init(p);
    dbp_int4(p, part);
    dbp_text(p, node);
    dbp_int8(p, epoch);
}

static int lock_read(const struct db_result *r, int32_t part, struct part_lock *ret,
                     struct diag *diag)
{
    if (dbr_rows(r) != 1)
        return diag_set(diag, CGW_EFENCED, "", "part %d is held by another node now", part);
    *ret = (struct part_lock){.part = part,
                              .epoch = dbr_int(r, 0, 2),
                              .seal_no = dbr_int(r, 0, 0),
                              .flush_no = dbr_int(r, 0, 3),
                              .xid = dbr_int(r, 0, 4)};
    if (dbr_len(r, 0, 1) != SEAL_DIGEST)
        return diag_set(diag, CGW_EDB, "", "part %d has no chain head of %d bytes", part,
                        SEAL_DIGEST);
    memcpy(ret->digest, dbr_bytes(r, 0, 1), SEAL_DIGEST);
    return 0;
}

int store_part_lock(struct db *db, int32_t part, const char *node, int64_t epoch,
                    struct part_lock *ret, struct diag *diag)
{
    struct db_params p;
    lock_params(&p, part, node, epoch);
    auto_dbr struct db_result *r = NULL;
    int rc = db_query(db, lock_sql, &p, &r, diag);
    if (rc == 0)
        rc = lock_read(r, part, ret, diag);
    return rc == 0 && epoch ? read_clocks(db, ret, diag) : rc;
}

int store_parts_lock(struct db *db, uint64_t parts, struct part_lock *ret, struct diag *diag)
{
    struct db_result *r[STORE_PARTS];
    struct db_params *p = malloc(STORE_PARTS * sizeof *p);
    int n = 0;
    if (!p)
        return diag_set(diag, -ENOMEM, "", "out of memory");
    for (int32_t part = 0; part < STORE_PARTS; part++)
        if (parts >> part & 1)
            lock_params(&p[n++], part, "", 0);
    int rc = db_query_each(db, lock_sql, p, n, r, diag);
    free(p);
    bool got = rc == 0;
    for (int32_t part = 0, i = 0; got && part < STORE_PARTS; part++)
        if (parts >> part & 1) {
            rc = rc == 0 ? lock_read(r[i], part, &ret[part], diag) : rc;
            dbr_free(r[i++]);
        }
    return rc;
}

int store_chunks_due(struct db *db, const int32_t *parts, int n_parts, const int32_t *waves,
                     int n_waves, int64_t now_ms, int per_wave, struct chunk_ref *ret, int max,
                     int *ret_n, struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int4_array(&p, parts, (size_t)n_parts);
    dbp_int4_array(&p, waves, (size_t)n_waves);
    dbp_ts(&p, now_ms);
    dbp_int4(&p, per_wave);
    dbp_int4(&p, max);
    auto_dbr struct db_result *r = NULL;
    int rc =
        db_query(db,
                 "SELECT c.part, c.chunk_no, c.place, c.seq_lo, c.seq_hi, c.sent_hi, c.cust_lo, "
                 "c.cust_hi, c.state, w.id FROM unnest($2::int4[]) WITH ORDINALITY w (id, ord),"
                 " LATERAL (SELECT * FROM chunk WHERE part = ANY($1) AND wave_id = w.id AND state "
                 "< 2 AND (not_before IS NULL OR not_before <= $3"
                 " OR EXISTS (SELECT FROM wave v JOIN campaign k USING (campaign_id) WHERE "
                 "v.wave_id = w.id AND k.state = 'cancelled'))"
                 " ORDER BY state DESC, part, chunk_no LIMIT $4) c ORDER BY w.ord, c.state DESC, "
                 "c.part, c.chunk_no LIMIT $5",
                 &p, &r, diag);
    if (rc < 0)
        return rc;
    *ret_n = dbr_rows(r);
    for (int i = 0; i < *ret_n; i++)
        ret[i] = (struct chunk_ref){.part = (int32_t)dbr_int(r, i, 0),
                                    .wave_id = (int32_t)dbr_int(r, i, 9),
                                    .chunk_no = (int32_t)dbr_int(r, i, 1),
                                    .place = (int32_t)dbr_int(r, i, 2),
                                    .seq_lo = dbr_int(r, i, 3),
                                    .seq_hi = dbr_int(r, i, 4),
                                    .sent_hi = dbr_int(r, i, 5),
                                    .cust_lo = dbr_int(r, i, 6),
                                    .cust_hi = dbr_int(r, i, 7),
                                    .state = (int16_t)dbr_int(r, i, 8)};
    return 0;
}

static void chunk_key(struct db_params *p, int32_t part, int32_t wave_id, int32_t chunk_no)
{
    dbp_init(p);
    dbp_int4(p, part);
    dbp_int4(p, wave_id);
    dbp_int4(p, chunk_no);
}

int store_chunk_claim(struct db *db, const struct chunk_ref *c, struct diag *diag)
{
    struct db_params p;
    int64_t rows = 0;
    chunk_key(&p, c->part, c->wave_id, c->chunk_no);
    int rc = db_exec(db,
                     "UPDATE chunk SET state = 1, not_before = NULL, reason = 0 WHERE part = $1 "
                     "AND wave_id = $2 AND chunk_no = $3 AND state = 0",
                     &p, &rows, diag);
    if (rc == 0 && rows != 1)
        rc = diag_set(diag, CGW_ESTATE, "", "chunk %d/%d/%d was claimed before", c->part,
                      c->wave_id, c->chunk_no);
    return rc;
}

int store_chunk_wait(struct db *db, const struct chunk_ref *c, int64_t until_ms, int reason,
                     struct diag *diag)
{
    struct db_params p;
    chunk_key(&p, c->part, c->wave_id, c->chunk_no);
    dbp_ts(&p, until_ms);
    dbp_int2(&p, (int16_t)reason);
    return db_exec(db,
                   "UPDATE chunk SET not_before = $4, reason = $5 WHERE part = $1 AND wave_id = $2 "
                   "AND chunk_no = $3 AND state = 0",
                   &p, NULL, diag);
}

int store_chunk_done(struct db *db, int32_t part, int32_t wave_id, int32_t chunk_no,
                     struct diag *diag)
{
    struct db_params p;
    chunk_key(&p, part, wave_id, chunk_no);
    return db_exec(db,
                   "UPDATE chunk SET state = 2, sent_hi = seq_hi WHERE part = $1 AND wave_id = $2 "
                   "AND chunk_no = $3 AND state = 1",
                   &p, NULL, diag);
}

int store_echo_due(struct db *db, const int32_t *parts, int n_parts, const int32_t *resting,
                   int n_resting, int lane, int64_t now_ms, struct echo_due *ret, int max,
                   int *ret_n, struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int4_array(&p, parts, (size_t)n_parts);
    dbp_ts(&p, now_ms);
    dbp_int2(&p, (int16_t)lane);
    dbp_int4(&p, max);
    dbp_int4_array(&p, resting, (size_t)n_resting);
    auto_dbr struct db_result *r = NULL;
    int rc = db_query(
        db,
        /* the oldest due rows of each part say which waves; at nine in the morning there may be
           millions behind them */
        "WITH p AS (SELECT u.part, u.ord FROM unnest($1::int4[]) WITH ORDINALITY u (part, ord)), d "
        "AS ("
        "SELECT DISTINCT p.ord, p.part, e.wave_id FROM p, LATERAL (SELECT x.wave_id FROM echo x "
        "WHERE x.part = p.part AND x.state = 0 AND x.not_before <= $2 AND x.wave_id = ANY(ARRAY("
        "SELECT w.wave_id FROM wave w JOIN campaign c USING (campaign_id) WHERE w.lane = $3 AND "
        "w.state IN ('planning', 'running', 'finishing')"
        " AND c.state IN ('running', 'finishing', 'cancelled') AND NOT w.wave_id = ANY($5))) ORDER "
        "BY x.not_before LIMIT 200) e"
        " UNION SELECT p.ord, p.part, w.wave_id FROM wave w JOIN campaign c USING (campaign_id), p,"
        " LATERAL (SELECT FROM echo x WHERE x.part = p.part AND x.wave_id = w.wave_id AND x.state "
        "= 0 LIMIT 1) x"
        " WHERE c.state = 'cancelled' AND w.state IN ('planning', 'running', 'finishing') AND "
        "w.lane = $3 AND NOT w.wave_id = ANY($5))"
        "SELECT part, wave_id FROM d ORDER BY ord, wave_id LIMIT $4",
        &p, &r, diag);
    if (rc < 0)
        return rc;
    *ret_n = dbr_rows(r);
    for (int i = 0; i < *ret_n; i++)
        ret[i] = (struct echo_due){(int32_t)dbr_int(r, i, 0), (int32_t)dbr_int(r, i, 1)};
    return 0;
}

/* columns: seq, customer_id, place, address, params, lang, email[, attempt, tries, keeps, resent]
 */
static int rows_from(const struct db_result *r, bool echo, struct arena *a,
                     struct contact_row *rows, int max, int *ret_n, struct diag *diag)
{
    int n = dbr_rows(r);
    if (n > max)
        return diag_set(diag, CGW_ELIMIT, "", "%d recipients in one chunk, the limit is %d", n,
                        max);
    for (int i = 0; i < n; i++) {
        struct contact_row *w = &rows[i];
        *w = (struct contact_row){.seq = dbr_int(r, i, 0),
                                  .customer_id = dbr_int(r, i, 1),
                                  .place = (int32_t)dbr_int(r, i, 2),
                                  .params_len = (uint32_t)dbr_len(r, i, 4),
                                  .attempt = 1};
        w->address = arena_dup(a, dbr_text(r, i, 3), (size_t)dbr_len(r, i, 3));
        w->params = arena_dup(a, dbr_text(r, i, 4), w->params_len);
        w->lang = dbr_len(r, i, 5) ? arena_dup(a, dbr_text(r, i, 5), (size_t)dbr_len(r, i, 5)) : "";
        w->email =
            dbr_len(r, i, 6) ? arena_dup(a, dbr_text(r, i, 6), (size_t)dbr_len(r, i, 6)) : "";
        if (!w->address || !w->params || !w->lang || !w->email)
            return diag_set(diag, CGW_ELIMIT, "", "recipients of one chunk exceed %zu bytes",
                            a->max);
        if (echo) {
            w->attempt = (int16_t)dbr_int(r, i, 7);
            w->tries = (int16_t)dbr_int(r, i, 8);
            w->keeps = dbr_bool(r, i, 9);
            w->resent = dbr_bool(r, i, 10);
        }
    }
    *ret_n = n;
    return 0;
}

int store_recipients(struct db *db, int32_t part, int32_t set_id, int64_t seq_lo, int64_t seq_hi,
                     struct arena *a, struct contact_row *rows, int max, int *ret_n,
                     struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, part);
    dbp_int4(&p, set_id);
    dbp_int8(&p, seq_lo);
    dbp_int8(&p, seq_hi);
    auto_dbr struct db_result *r = NULL;
    int rc = db_query(
        db,
        "SELECT seq, customer_id, place, address, params, lang, email FROM recipient WHERE "
        "part = $1 AND set_id = $2 AND seq BETWEEN $3 AND $4 ORDER BY seq",
        &p, &r, diag);
    return rc < 0 ? rc : rows_from(r, false, a, rows, max, ret_n, diag);
}

int store_recipients_resume(struct db *db, const struct chunk_ref *c, int32_t set_id,
                            struct arena *a, struct contact_row *rows, int max, int *ret_n,
                            struct diag *diag)
{
    struct db_params p;
    chunk_key(&p, c->part, c->wave_id, c->chunk_no);
    dbp_int4(&p, set_id);
    dbp_int8(&p, c->sent_hi);
    dbp_int8(&p, c->seq_hi);
    auto_dbr struct db_result *r = NULL;
    int rc = db_query(
        db,
        "SELECT r.seq, r.customer_id, r.place, r.address, r.params, r.lang, r.email FROM "
        "contact_log l "
        "JOIN "
        "recipient r ON r.part = $1 AND r.set_id = $4 AND r.seq = l.contact_id - ($2::int8 << 32)"
        " WHERE l.part = $1 AND l.contact_id BETWEEN ($2::int8 << 32) + $5 + 1 AND ($2::int8 << "
        "32) + $6 AND l.attempt = 1 AND l.verdict = 1 AND l.chunk_no = $3"
        " AND NOT EXISTS (SELECT FROM contact_event e WHERE e.part = $1 AND e.contact_id = "
        "l.contact_id)"
        " AND NOT EXISTS (SELECT FROM echo e WHERE e.part = $1 AND e.wave_id = $2 AND e.seq = "
        "r.seq)"
        " AND NOT EXISTS (SELECT FROM contact_log x WHERE x.part = $1 AND x.contact_id = "
        "l.contact_id AND x.attempt > 1) ORDER BY r.seq",
        &p, &r, diag);
    rc = rc < 0 ? rc : rows_from(r, false, a, rows, max, ret_n, diag);
    for (int i = 0; rc == 0 && i < *ret_n; i++)
        rows[i].keeps = true; /* counted when it was decided */
    return rc;
}

int store_echo_claim(struct db *db, int32_t part, int32_t wave_id, int32_t set_id, int64_t now_ms,
                     bool all, struct arena *a, struct contact_row *rows, int max, int *ret_n,
                     struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, part);
    dbp_int4(&p, wave_id);
    dbp_int4(&p, set_id);
    dbp_ts(&p, now_ms);
    dbp_bool(&p, all);
    dbp_int4(&p, max);
    auto_dbr struct db_result *r = NULL;
    int rc =
        db_query(db,
                 "WITH d AS (SELECT seq, attempt, tries, keeps_reservation, resent FROM echo WHERE "
                 "part = $1 AND wave_id = $2 AND state = 0 AND ($5 OR not_before <= $4) ORDER "
                 "BY not_before, seq LIMIT $6 FOR UPDATE SKIP LOCKED)"
                 "SELECT r.seq, r.customer_id, r.place, r.address, r.params, r.lang, r.email, "
                 "d.attempt, d.tries, d.keeps_reservation, d.resent"
                 " FROM d JOIN recipient r ON r.part = $1 AND r.set_id = $3 AND r.seq = d.seq "
                 "ORDER BY r.customer_id, r.seq",
                 &p, &r, diag);
    return rc < 0 ? rc : rows_from(r, true, a, rows, max, ret_n, diag);
}

int store_echo_put(struct db *db, int32_t part, int32_t wave_id, const struct echo_row *rows, int n,
                   struct diag *diag)
{
    if (n == 0)
        return 0;
    int rc = 0;
    for (int from = 0; from < n && rc == 0; from += 1000) {
        int m = n - from < 1000 ? n - from : 1000;
        int64_t seq[1000], at[1000];
        int16_t attempt[1000], tries[1000], reason[1000], keeps[1000], resent[1000];
        for (int i = 0; i < m; i++) {
            const struct echo_row *e = &rows[from + i];
            seq[i] = e->seq;
            at[i] = e->not_before_ms;
            attempt[i] = e->attempt;
            tries[i] = e->tries;
            reason[i] = e->reason;
            keeps[i] = e->keeps;
            resent[i] = e->resent;
        }
        struct db_params p;
        dbp_init(&p);
        dbp_int4(&p, part);
        dbp_int4(&p, wave_id);
        dbp_int8_array(&p, seq, (size_t)m);
        dbp_int2_array(&p, attempt, (size_t)m);
        dbp_int2_array(&p, tries, (size_t)m);
        dbp_ts_array(&p, at, (size_t)m);
        dbp_int2_array(&p, reason, (size_t)m);
        dbp_int2_array(&p, keeps, (size_t)m);
        dbp_int2_array(&p, resent, (size_t)m);
        rc = db_exec(
            db,
            "INSERT INTO echo (part, wave_id, seq, attempt, tries, state, not_before, reason, "
            "keeps_reservation, resent)"
            " SELECT $1, $2, u.seq, u.attempt, u.tries, 0, u.at, u.reason, u.keeps <> 0, u.resent "
            "<> 0 FROM unnest($3::int8[], $4::int2[], $5::int2[], $6::timestamptz[], $7::int2[], "
            "$8::int2[], $9::int2[]) u (seq, attempt, tries, at, reason, keeps, resent) ORDER BY "
            "u.seq"
            " ON CONFLICT (part, wave_id, seq) DO UPDATE SET attempt = excluded.attempt, tries = "
            "excluded.tries, state = 0, not_before = excluded.not_before,"
            " reason = excluded.reason, keeps_reservation = excluded.keeps_reservation, route_id = "
            "0, intended_at = NULL, resent = echo.resent OR excluded.resent",
            &p, NULL, diag);
    }
    return rc;
}

static void echo_key(struct db_params *p, int32_t part, int64_t contact_id)
{
    dbp_init(p);
    dbp_int4(p, part);
    dbp_int4(p, (int32_t)(contact_id >> 32));
    dbp_int8(p, contact_id & INT64_C(0xffffffff));
}

int store_echo_unsend(struct db *db, int32_t part, int64_t contact_id, struct diag *diag)
{
    struct db_params p;
    echo_key(&p, part, contact_id);
    return db_exec(db,
                   "DELETE FROM echo WHERE part = $1 AND wave_id = $2 AND seq = $3 AND resent AND "
                   "state = 0",
                   &p, NULL, diag);
}

int store_echo_resent(struct db *db, int32_t part, int64_t contact_id, int *ret_state,
                      struct diag *diag)
{
    struct db_params p;
    echo_key(&p, part, contact_id);
    auto_dbr struct db_result *r = NULL;
    int rc = db_query(
        db, "SELECT state FROM echo WHERE part = $1 AND wave_id = $2 AND seq = $3 AND resent", &p,
        &r, diag);
    if (rc == 0)
        *ret_state = dbr_rows(r) ? (int)dbr_int(r, 0, 0) : -1;
    return rc;
}

int store_echo_state(struct db *db, int32_t part, int32_t wave_id, const int64_t *seqs, int n,
                     int state, int32_t route_id, int64_t at_ms, struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, part);
    dbp_int4(&p, wave_id);
    dbp_int8_array(&p, seqs, (size_t)n);
    dbp_int2(&p, (int16_t)state);
    dbp_int4(&p, route_id);
    dbp_ts(&p, at_ms);
    return db_exec(db,
                   "UPDATE echo SET state = $4, route_id = $5, intended_at = $6 WHERE part = $1 "
                   "AND wave_id = $2 AND seq = ANY($3)",
                   &p, NULL, diag);
}

int store_echo_back(struct db *db, int32_t part, int32_t wave_id, int64_t not_before_ms,
                    struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, part);
    dbp_int4(&p, wave_id);
    dbp_ts(&p, not_before_ms);
    /* the decision of this attempt is in the log and was never sent: the next one gets its own
     * number */
    return db_exec(
        db,
        "UPDATE echo SET state = 0, attempt = attempt + 1, keeps_reservation = true, not_before = "
        "greatest(not_before, $3) WHERE part = $1 AND wave_id = $2 AND state = 1",
        &p, NULL, diag);
}

int store_echo_delete(struct db *db, int32_t part, int32_t wave_id, const int64_t *seqs, int n,
                      struct diag *diag)
{
    if (n == 0)
        return 0;
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, part);
    dbp_int4(&p, wave_id);
    dbp_int8_array(&p, seqs, (size_t)n);
    return db_exec(db, "DELETE FROM echo WHERE part = $1 AND wave_id = $2 AND seq = ANY($3)", &p,
                   NULL, diag);
}

int store_intent_lock(struct db *db, int32_t part, const char *node, int64_t epoch, int32_t wave_id,
                      int32_t route_id, struct intent_check *ret, struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, part);
    dbp_text(&p, node);
    dbp_int8(&p, epoch);
    auto_dbr struct db_result *lock = NULL;
    int rc = db_query(
        db, "SELECT 1 FROM part_head WHERE part = $1 AND node = $2 AND epoch = $3 FOR SHARE", &p,
        &lock, diag);
    if (rc < 0)
        return rc;
    if (dbr_rows(lock) != 1)
        return diag_set(diag, CGW_EFENCED, "", "part %d is held by another node now", part);
    dbp_init(&p);
    dbp_int4(&p, part);
    dbp_int4(&p, wave_id);
    dbp_int4(&p, route_id);
    auto_dbr struct db_result *r = NULL;
    rc = db_query(db,
                  "SELECT f.ver, rc.version, s.state = 'running', c.state, clock_timestamp(), "
                  "pg_current_xact_id()::text::int8, EXISTS (SELECT FROM route t WHERE t.route_id "
                  "= $3 AND t.state = 'active' AND NOT t.archived AND NOT EXISTS (SELECT FROM "
                  "queue_pause q WHERE q.route_id = t.route_id AND q.lane = w.lane)) FROM "
                  "fact_clock f, rules_clock rc, dispatch_switch s, wave w JOIN campaign c USING "
                  "(campaign_id) WHERE f.part = $1 AND w.wave_id = $2",
                  &p, &r, diag);
    if (rc < 0)
        return rc;
    if (dbr_rows(r) != 1)
        return diag_set(diag, CGW_ENOTFOUND, "", "wave %d is gone", wave_id);
    *ret = (struct intent_check){.facts_ver = dbr_int(r, 0, 0),
                                 .rules_version = (int32_t)dbr_int(r, 0, 1),
                                 .running = dbr_bool(r, 0, 2),
                                 .now_ms = dbr_ts(r, 0, 4),
                                 .xid = dbr_int(r, 0, 5),
                                 .route_open = dbr_bool(r, 0, 6)};
    (void)snprintf(ret->campaign_state, sizeof ret->campaign_state, "%s", dbr_text(r, 0, 3));
    return 0;
}

int store_xid(struct db *db, int64_t *ret_xid, struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    int rc = db_query(db, "SELECT pg_current_xact_id()::text::int8", NULL, &r, diag);
    if (rc == 0)
        *ret_xid = dbr_int(r, 0, 0);
    return rc;
}

int store_xact_over(struct db *db, int64_t xid, struct diag *diag)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%lld", (long long)xid);
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, text);
    auto_dbr struct db_result *r = NULL;
    int rc = db_query(db, "SELECT coalesce(pg_xact_status($1::xid8), '')", &p, &r, diag);
    if (rc == CGW_EDB && !strcmp(db_sqlstate(db), "22023"))
        return 0; /* "in the future": it was lost in a crash and is not given out again yet */
    if (rc < 0)
        return rc;
    return !strcmp(dbr_text(r, 0, 0), "in progress")
               ? diag_set(diag, CGW_EBUSY, "", "transaction %s is still in progress", text)
               : 0;
}

int store_intent_stands(struct db *db, int32_t part, int32_t wave_id, int64_t seq_lo,
                        int64_t seq_hi, const char *node, int64_t at_ms, bool *ret,
                        struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, part);
    dbp_int4(&p, wave_id);
    dbp_int8(&p, seq_lo);
    dbp_int8(&p, seq_hi);
    dbp_text(&p, node);
    dbp_ts(&p, at_ms);
    auto_dbr struct db_result *r = NULL;
    int rc = db_query(db,
                      "SELECT 1 FROM intent WHERE part = $1 AND wave_id = $2 AND seq_lo = $3 AND "
                      "seq_hi = $4 AND node = $5 AND at = $6",
                      &p, &r, diag);
    if (rc == 0)
        *ret = dbr_rows(r) == 1;
    return rc;
}

int store_echo_intent_stands(struct db *db, int32_t part, int32_t wave_id, const int64_t *seqs,
                             int n, int64_t at_ms, bool *ret, struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, part);
    dbp_int4(&p, wave_id);
    dbp_int8_array(&p, seqs, (size_t)n);
    dbp_ts(&p, at_ms);
    auto_dbr struct db_result *r = NULL;
    int rc = db_query(db,
                      "SELECT count(*) FROM echo WHERE part = $1 AND wave_id = $2 AND seq = "
                      "ANY($3) AND state = 2 AND intended_at = $4",
                      &p, &r, diag);
    if (rc == 0)
        *ret = dbr_int(r, 0, 0) == n;
    return rc;
}

int store_intent_chunk(struct db *db, const struct chunk_ref *c, int64_t seq_from, int64_t sent_hi,
                       int32_t route_id, const char *node, int64_t at_ms, struct diag *diag)
{
    struct db_params p;
    chunk_key(&p, c->part, c->wave_id, c->chunk_no);
    dbp_int8(&p, sent_hi);
    dbp_int8(&p, seq_from);
    dbp_int4(&p, route_id);
    dbp_text(&p, node);
    dbp_ts(&p, at_ms);
    int64_t rows = 0;
    int rc = db_exec(db,
                     "WITH c AS (UPDATE chunk SET sent_hi = $4 WHERE part = $1 AND wave_id = $2 "
                     "AND chunk_no = $3 AND state = 1 AND sent_hi < $4 RETURNING 1)"
                     "INSERT INTO intent (part, wave_id, seq_lo, seq_hi, route_id, node, at) "
                     "SELECT $1, $2, $5, $4, $6, $7, $8 FROM c",
                     &p, &rows, diag);
    if (rc == 0 && rows != 1)
        rc = diag_set(diag, CGW_ESTATE, "", "chunk %d/%d/%d is not ours to send", c->part,
                      c->wave_id, c->chunk_no);
    return rc;
}
