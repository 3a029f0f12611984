/* SPDX-License-Identifier: Apache-2.0 */
/* store_probe.c - see store_probe.h. */
#include "store/store_probe.h"

#include "policy/policy.h"
#include "store/store_place.h"

#include <stdio.h>
#include <string.h>

int store_probe_set(struct db *db, const char *route, const struct store_probe *v, int64_t now_ms,
                    struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, route);
    if (!v)
        return db_exec(db,
                       "DELETE FROM route_probe WHERE route_id = (SELECT route_id FROM route WHERE "
                       "public_id = $1)",
                       &p, NULL, diag);
    dbp_text(&p, v->address);
    dbp_int4(&p, v->part);
    dbp_int8(&p, v->customer_id);
    dbp_int2(&p, (int16_t)v->at_minute);
    dbp_text(&p, v->zone);
    dbp_text(&p, v->content);
    dbp_ts(&p, now_ms);
    return db_exec(
        db,
        "INSERT INTO route_probe (route_id, address, in_part, customer_id, at_minute, zone, "
        "content, since) SELECT route_id, $2, $3, $4, $5, $6, $7::text::jsonb, $8 FROM "
        "route WHERE public_id = $1 ON CONFLICT (route_id) DO UPDATE SET address = "
        "excluded.address, in_part = excluded.in_part, customer_id = excluded.customer_id, "
        "at_minute = excluded.at_minute, zone = excluded.zone, content = "
        "excluded.content, since = excluded.since",
        &p, NULL, diag);
}

/* ---- due */

/* The wave of a route's probes, made once and kept up with the probe's content. One node plans, so
 * nobody else makes it; were it so, the unique public id would stop the second. */
static int wave_of(struct db *db, int32_t route_id, int32_t *ret_wave, int32_t *ret_set,
                   struct diag *diag)
{
    struct db_params p;
    auto_dbr struct db_result *r = NULL;
    dbp_init(&p);
    dbp_int4(&p, route_id);
    int rc = db_exec(db,
                     "WITH n AS (UPDATE wave w SET content = x.content FROM route_probe x WHERE "
                     "x.route_id = $1 AND w.wave_id = x.wave_id AND w.content <> x.content "
                     "RETURNING w.campaign_id) UPDATE campaign c SET version = version + 1 FROM n "
                     "WHERE c.campaign_id = n.campaign_id",
                     &p, NULL, diag);
    if (rc == 0)
        rc = db_exec(
            db,
            "WITH o AS (SELECT r.*, x.content AS probe_content FROM route r JOIN route_probe x "
            "USING "
            "(route_id) WHERE r.route_id = $1 AND x.wave_id IS NULL), k AS (SELECT w.wave_id, "
            "w.set_id FROM o JOIN campaign c ON c.public_id = 'cmp_probe_' || o.public_id JOIN "
            "wave w "
            "USING (campaign_id)), s AS (INSERT INTO recipient_set (partner_id, fields) SELECT "
            "partner_id, '{}' FROM o WHERE NOT EXISTS (SELECT FROM k) RETURNING set_id), c AS "
            "(INSERT INTO campaign (public_id, partner_id, name, plugin, class, purpose, state, "
            "system, created_by, started_at) SELECT 'cmp_probe_' || o.public_id, o.partner_id, "
            "'Probes of ' || o.public_id, 'campaign_broadcast', 2, 2, 'running', true, 'system', "
            "now() FROM o, s RETURNING campaign_id), w AS (INSERT INTO wave (campaign_id, wave_no, "
            "channel, lane, content, routes, validity_ms, set_id, state) SELECT c.campaign_id, 1, "
            "o.channel, 1, o.probe_content, ARRAY[o.public_id], 3600000, s.set_id, 'running' FROM "
            "c, "
            "o, s RETURNING wave_id, set_id) UPDATE route_probe x SET wave_id = u.wave_id, set_id "
            "= "
            "u.set_id FROM (SELECT * FROM w UNION ALL SELECT * FROM k) u WHERE x.route_id = $1",
            &p, NULL, diag);
    if (rc == 0)
        rc = db_query(db,
                      "SELECT wave_id, set_id, ensure_set_partition(set_id), "
                      "ensure_wave_partitions(wave_id) FROM route_probe WHERE route_id = $1 AND "
                      "wave_id IS NOT NULL",
                      &p, &r, diag);
    if (rc < 0)
        return rc;
    if (dbr_rows(r) == 0)
        return diag_set(diag, CGW_ENOTFOUND, "", "route %d has no probe any more", route_id);
    *ret_wave = (int32_t)dbr_int(r, 0, 0);
    *ret_set = (int32_t)dbr_int(r, 0, 1);
    return 0;
}

struct due {
    int32_t route_id;
    bool missed;
    char zone[64], day[16];
    int64_t due_ms;
    struct store_probe_news news;
};

static int queue_one(struct db *db, const struct due *d, int64_t now_ms, int64_t *ret_rows,
                     struct diag *diag)
{
    struct db_params p;
    int32_t wave = 0, set = 0;
    int16_t place = 0;
    const char *zones[] = {d->zone};
    int rc = store_place_get(db, "", zones, 1, &place, diag); /* before the transaction */
    if (rc == 0)
        rc = db_begin(db, diag);
    if (rc == 0)
        rc = wave_of(db, d->route_id, &wave, &set, diag);
    dbp_init(&p);
    dbp_int4(&p, d->route_id);
    dbp_text(&p, d->day);
    dbp_ts(&p, d->due_ms);
    dbp_int2(&p, place);
    dbp_ts(&p, now_ms);
    if (rc == 0)
        rc = db_exec(
            db,
            "WITH x AS (SELECT *, nextval('system_seq') AS seq FROM route_probe WHERE route_id = "
            "$1),"
            " run AS (INSERT INTO probe_run (route_id, day, due, in_part, contact_id, state) "
            "SELECT "
            "$1, "
            "$2::text::date, $3, x.in_part, (x.wave_id::int8 << 32) | x.seq, 'waiting' FROM x ON "
            "CONFLICT "
            "DO NOTHING RETURNING contact_id), r AS (INSERT INTO recipient (part, set_id, seq, "
            "customer_id, address, email, place, params) SELECT x.in_part, x.set_id, x.seq, "
            "x.customer_id, "
            "CASE WHEN x.address LIKE '%@%' THEN '' ELSE x.address END, CASE WHEN x.address LIKE "
            "'%@%' THEN x.address ELSE '' END, $4, '' FROM x, run RETURNING part, seq) INSERT INTO "
            "echo (part, wave_id, "
            "seq, "
            "attempt, not_before, reason, keeps_reservation) SELECT r.part, x.wave_id, r.seq, 1, "
            "$5, "
            "0, false FROM r, x",
            &p, ret_rows, diag);
    if (rc == 0)
        rc = db_commit(db, diag);
    db_rollback(db);
    return rc;
}

static int note_missed(struct db *db, const struct due *d, int64_t now_ms, int64_t *ret_rows,
                       struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, d->route_id);
    dbp_text(&p, d->day);
    dbp_ts(&p, d->due_ms);
    dbp_ts(&p, now_ms);
    return db_exec(db,
                   "INSERT INTO probe_run (route_id, day, due, state, why, ended_at) VALUES ($1, "
                   "$2::text::date, $3, 'failed', 'missed: nobody planned within the hour', $4) ON "
                   "CONFLICT DO NOTHING",
                   &p, ret_rows, diag);
}

static int read_due(struct db *db, int64_t now_ms, struct due *ret, int *ret_n, struct diag *diag)
{
    struct db_params p;
    auto_dbr struct db_result *r = NULL;
    dbp_init(&p);
    dbp_ts(&p, now_ms);
    dbp_int4(&p, PROBE_LATE_MS / 1000);
    dbp_int4(&p, *ret_n);
    int rc =
        db_query(db,
                 "SELECT x.route_id, r.public_id, r.name, x.zone, d.day::text, d.due, d.due < "
                 "$1::timestamptz - make_interval(secs => $2::int4) FROM route_probe x JOIN route "
                 "r USING (route_id) CROSS JOIN LATERAL (SELECT y.day, (y.day + make_interval("
                 "mins => x.at_minute::int4)) AT TIME ZONE x.zone AS due FROM (SELECT ($1::"
                 "timestamptz AT TIME ZONE x.zone)::date - b AS day FROM generate_series(0, 1) b) "
                 "y) d WHERE NOT r.archived AND d.due <= $1 AND d.due >= x.since AND NOT EXISTS "
                 "(SELECT FROM probe_run k WHERE k.route_id = x.route_id AND k.day = d.day) ORDER "
                 "BY d.due LIMIT $3::int4",
                 &p, &r, diag);
    if (rc < 0)
        return rc;
    *ret_n = dbr_rows(r);
    for (int i = 0; i < *ret_n; i++) {
        ret[i] = (struct due){.route_id = (int32_t)dbr_int(r, i, 0),
                              .due_ms = dbr_ts(r, i, 5),
                              .missed = dbr_bool(r, i, 6)};
        (void)snprintf(ret[i].news.route, sizeof ret[i].news.route, "%s", dbr_text(r, i, 1));
        (void)snprintf(ret[i].news.name, sizeof ret[i].news.name, "%s", dbr_text(r, i, 2));
        (void)snprintf(ret[i].zone, sizeof ret[i].zone, "%s", dbr_text(r, i, 3));
        (void)snprintf(ret[i].day, sizeof ret[i].day, "%s", dbr_text(r, i, 4));
        (void)snprintf(ret[i].news.why, sizeof ret[i].news.why, "missed on %s", ret[i].day);
    }
    return 0;
}

int store_probe_due(struct db *db, int64_t now_ms, int *ret_queued, store_probe_fn fn, void *ctx,
                    struct diag *diag)
{
    struct due due[64]; /* the rest is due a turn later */
    int n = (int)ARRAY_LEN(due);
    *ret_queued = 0;
    int rc = read_due(db, now_ms, due, &n, diag);
    for (int i = 0; rc == 0 && i < n; i++) {
        int64_t rows = 0;
        rc = due[i].missed ? note_missed(db, &due[i], now_ms, &rows, diag)
                           : queue_one(db, &due[i], now_ms, &rows, diag);
        if (rc == 0 && rows && due[i].missed)
            fn(ctx, &due[i].news);
        *ret_queued += rc == 0 && rows && !due[i].missed;
    }
    return rc;
}

/* ---- judged */

/* clang-format off */
static const char open_runs[] =
    "SELECT p.route_id, p.day::text, r.public_id, r.name, p.in_part, p.contact_id, p.due, r.receipts, e.delivered, s.submitted, e.bad, l.reason"
    " FROM probe_run p JOIN route r USING (route_id)"
    " LEFT JOIN LATERAL (SELECT min(v.ts) FILTER (WHERE v.kind = 2) AS delivered, max(v.kind) FILTER (WHERE v.kind IN (3, 4, 5, 10, 12)) AS bad"
    "  FROM contact_event v WHERE v.part = p.in_part AND v.contact_id = p.contact_id) e ON true"
    " LEFT JOIN LATERAL (SELECT min(v.ts) AS submitted FROM contact_submit v WHERE v.part = p.in_part AND v.contact_id = p.contact_id) s ON true"
    " LEFT JOIN LATERAL (SELECT max(v.reason) AS reason FROM contact_log v WHERE v.part = p.in_part AND v.contact_id = p.contact_id AND v.verdict = 3"
    "  AND v.period IN (to_char(p.due, 'YYYYMM')::int4, to_char(p.due + interval '2 hours', 'YYYYMM')::int4)) l ON true"
    " WHERE p.state = 'waiting' ORDER BY p.due LIMIT 512";
/* clang-format on */

static const char *kind_word(int64_t kind)
{
    return kind == 3    ? "failed at or behind the peer"
           : kind == 4  ? "expired at the peer"
           : kind == 5  ? "refused by the peer"
           : kind == 10 ? "withdrawn before it was handed over"
                        : "no final word from the peer";
}

/* \return whether the run has ended. */
static bool judge(const struct db_result *r, int i, int64_t now_ms, struct store_probe_news *n)
{
    bool receipts = dbr_bool(r, i, 7), delivered = !dbr_null(r, i, 8),
         submitted = !dbr_null(r, i, 9);
    *n = (struct store_probe_news){.ok = delivered || (!receipts && submitted)};
    (void)snprintf(n->route, sizeof n->route, "%s", dbr_text(r, i, 2));
    (void)snprintf(n->name, sizeof n->name, "%s", dbr_text(r, i, 3));
    if (n->ok)
        n->took_ms = delivered && submitted && dbr_ts(r, i, 8) > dbr_ts(r, i, 9)
                         ? dbr_ts(r, i, 8) - dbr_ts(r, i, 9)
                         : 0;
    else if (!dbr_null(r, i, 10))
        (void)snprintf(n->why, sizeof n->why, "%s", kind_word(dbr_int(r, i, 10)));
    else if (!dbr_null(r, i, 11))
        (void)snprintf(n->why, sizeof n->why, "held: %s", reason_word((int)dbr_int(r, i, 11)));
    else if (now_ms > dbr_ts(r, i, 6) + PROBE_LATE_MS)
        (void)snprintf(n->why, sizeof n->why,
                       submitted ? "no receipt within the hour"
                                 : "not handed over within the hour");
    return n->ok || n->why[0];
}

static int end_run(struct db *db, const struct db_result *r, int i, int64_t now_ms,
                   const struct store_probe_news *n, int64_t *ret_rows, struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, (int32_t)dbr_int(r, i, 0));
    dbp_text(&p, dbr_text(r, i, 1));
    dbp_text(&p, n->ok ? "ok" : "failed");
    dbp_text(&p, n->why);
    if (n->ok)
        dbp_int8(&p, n->took_ms);
    else
        dbp_null(&p);
    dbp_ts(&p, now_ms);
    int rc = db_exec(db,
                     "UPDATE probe_run SET state = $3, why = $4, took_ms = $5, ended_at = $6 WHERE "
                     "route_id = $1 AND day = $2::text::date AND state = 'waiting'",
                     &p, ret_rows, diag);
    dbp_init(&p);
    dbp_int4(&p, (int32_t)dbr_int(r, i, 4));
    dbp_int8(&p, dbr_int(r, i, 5));
    /* what still waits would come as a second one on another day */
    return rc < 0 || n->ok ? rc
                           : db_exec(db,
                                     "DELETE FROM echo WHERE part = $1 AND wave_id = ($2::int8 >> "
                                     "32)::int4 AND seq = ($2::int8 & 4294967295) AND state = 0",
                                     &p, NULL, diag);
}

int store_probe_judge(struct db *db, int64_t now_ms, store_probe_fn fn, void *ctx,
                      struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    int rc = db_query(db, open_runs, NULL, &r, diag);
    for (int i = 0; rc == 0 && i < dbr_rows(r); i++) {
        struct store_probe_news n;
        int64_t rows = 0;
        if (!judge(r, i, now_ms, &n))
            continue;
        rc = end_run(db, r, i, now_ms, &n, &rows, diag);
        if (rc == 0 && rows)
            fn(ctx, &n);
    }
    return rc;
}

int store_probe_states(struct db *db, int64_t now_ms, struct store_probe_state *ret, int max,
                       int *ret_n, struct diag *diag)
{
    struct db_params p;
    auto_dbr struct db_result *r = NULL;
    dbp_init(&p);
    dbp_ts(&p, now_ms);
    dbp_int4(&p, max);
    int rc =
        db_query(db,
                 "SELECT r.public_id, coalesce((SELECT k.state = 'ok' FROM probe_run k WHERE "
                 "k.route_id = x.route_id AND k.state <> 'waiting' AND k.due >= x.since ORDER BY "
                 "k.day DESC LIMIT 1), true), extract(epoch FROM $1::timestamptz - "
                 "coalesce((SELECT max(k.due) FROM probe_run k WHERE k.route_id = x.route_id AND "
                 "k.state = 'ok'), x.since))::int8 FROM route_probe x JOIN route r USING "
                 "(route_id) WHERE NOT r.archived ORDER BY x.route_id LIMIT $2::int4",
                 &p, &r, diag);
    if (rc < 0)
        return rc;
    *ret_n = dbr_rows(r);
    for (int i = 0; i < *ret_n; i++) {
        ret[i] = (struct store_probe_state){.ok = dbr_bool(r, i, 1), .age_s = dbr_int(r, i, 2)};
        (void)snprintf(ret[i].route, sizeof ret[i].route, "%s", dbr_text(r, i, 0));
    }
    return 0;
}
