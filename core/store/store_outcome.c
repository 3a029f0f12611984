/* SPDX-License-Identifier: Apache-2.0 */
/* store_outcome.c - accepts, events, receipts, in doubt. See store_outcome.h. Responses:
 * store_response.c. */
#include "store/store_outcome.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

int64_t store_ref_hash(const char *instance, const char *ref)
{
    /* Not a secret and compared with the text afterwards: the key only has to be the same always.
     */
    static const unsigned char key[crypto_shorthash_siphashx24_KEYBYTES] = "campgw reference";
    unsigned char h[crypto_shorthash_siphashx24_BYTES], text[48 + CGW_PROVIDER_ID_MAX];
    size_t n = strnlen(instance, 47), m = strnlen(ref, CGW_PROVIDER_ID_MAX);
    memcpy(text, instance, n);
    text[n++] = 0;
    memcpy(text + n, ref, m);
    (void)crypto_shorthash_siphashx24(h, text, n + m, key);
    int64_t v;
    memcpy(&v, h, sizeof v);
    v &= INT64_MAX;
    return v ? v : 1; /* 0 means "no reference" */
}

int store_submits_write(struct db *db, const struct submit_row *rows, int n, struct seal *seals,
                        const int64_t *seal_no, struct diag *diag)
{
    if (n == 0)
        return 0;
    struct db_copy c;
    dbc_init(&c, (size_t)n * 480 + 4096);
    for (int i = 0; i < n; i++) {
        const struct submit_row *s = &rows[i];
        dbc_row(&c, 13);
        dbc_int4(&c, s->part);
        dbc_int8(&c, s->contact_id);
        dbc_int2(&c, s->attempt);
        dbc_int2(&c, s->seg);
        dbc_int2(&c, s->n_segs);
        dbc_bool(&c, s->receipt);
        dbc_ts(&c, s->ts_ms);
        dbc_int4(&c, s->route_id);
        dbc_int8(&c, s->refh);
        dbc_int8(&c, s->address_key);
        dbc_text(&c, s->ref, strlen(s->ref));
        dbc_text(&c, s->peer_ref, strlen(s->peer_ref));
        dbc_int8(&c, seal_no[s->part]);
        size_t len = 0;
        const void *bytes = dbc_row_bytes(&c, &len);
        if (!c.b.failed)
            seal_row(&seals[s->part], SEAL_ROW_SUBMIT, bytes, len);
    }
    int rc = db_copy_send(db, "COPY contact_submit FROM STDIN (FORMAT binary)", &c, diag);
    dbc_done(&c);
    return rc;
}

int store_refs_find(struct db *db, const int64_t *refh, int n, struct ref_match *ret, int max,
                    int *ret_n, struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int8_array(&p, refh, (size_t)n);
    dbp_int4(&p, max);
    auto_dbr struct db_result *r = NULL;
    int rc = db_query(db,
                      "SELECT refh, ref, part, route_id, contact_id, attempt, seg, n_segs, "
                      "address_key, ts, receipt FROM contact_submit WHERE refh = ANY($1) ORDER BY "
                      "refh, ts DESC LIMIT $2",
                      &p, &r, diag);
    if (rc < 0)
        return rc;
    *ret_n = dbr_rows(r);
    for (int i = 0; i < *ret_n; i++) {
        ret[i] = (struct ref_match){.refh = dbr_int(r, i, 0),
                                    .part = (int32_t)dbr_int(r, i, 2),
                                    .route_id = (int32_t)dbr_int(r, i, 3),
                                    .contact_id = dbr_int(r, i, 4),
                                    .attempt = (int16_t)dbr_int(r, i, 5),
                                    .seg = (int16_t)dbr_int(r, i, 6),
                                    .n_segs = (int16_t)dbr_int(r, i, 7),
                                    .address_key = dbr_int(r, i, 8),
                                    .ts_ms = dbr_ts(r, i, 9),
                                    .receipt = dbr_bool(r, i, 10)};
        (void)snprintf(ret[i].ref, sizeof ret[i].ref, "%s", dbr_text(r, i, 1));
    }
    return 0;
}

int store_contact_who(struct db *db, int32_t part, int64_t contact_id, int64_t *ret_customer_id,
                      int16_t *ret_channel, struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, part);
    dbp_int8(&p, contact_id);
    auto_dbr struct db_result *r = NULL;
    int rc = db_query(db,
                      "SELECT customer_id, channel FROM contact_log WHERE part = $1 AND contact_id "
                      "= $2 LIMIT 1",
                      &p, &r, diag);
    if (rc < 0)
        return rc;
    if (dbr_rows(r) == 0)
        return CGW_ENOTFOUND;
    *ret_customer_id = dbr_int(r, 0, 0);
    *ret_channel = (int16_t)dbr_int(r, 0, 1);
    return 0;
}

int store_events_find(struct db *db, int32_t part, const int64_t *contacts, int n,
                      struct event_key *ret, int max, int *ret_n, struct diag *diag)
{
    struct db_params p;
    *ret_n = 0;
    if (n == 0)
        return 0;
    dbp_init(&p);
    dbp_int4(&p, part);
    dbp_int8_array(&p, contacts, (size_t)n);
    dbp_int4(&p, max);
    auto_dbr struct db_result *r = NULL;
    /* one probe each, see store_facts.c */
    int rc = db_query(db,
                      "SELECT u.id, e.attempt, e.seg, e.kind FROM unnest($2::int8[]) u (id) CROSS "
                      "JOIN LATERAL (SELECT attempt, seg, kind FROM contact_event WHERE part = $1 "
                      "AND contact_id = u.id OFFSET 0) e LIMIT $3",
                      &p, &r, diag);
    if (rc < 0)
        return rc;
    *ret_n = dbr_rows(r);
    for (int i = 0; i < *ret_n; i++)
        ret[i] = (struct event_key){dbr_int(r, i, 0), (int16_t)dbr_int(r, i, 1),
                                    (int16_t)dbr_int(r, i, 2), (int16_t)dbr_int(r, i, 3)};
    return 0;
}

/* ---- early receipts
 * -------------------------------------------------------------------------------------------------
 */
int store_early_put(struct db *db, const struct early_receipt *const *rows, int n,
                    struct diag *diag)
{
    if (n == 0)
        return 0;
    struct db_copy c;
    dbc_init(&c, (size_t)n * (sizeof **rows + 128) + 4096);
    for (int i = 0; i < n; i++) {
        const struct early_receipt *e = rows[i];
        dbc_row(&c, 14);
        dbc_text(&c, e->instance, strlen(e->instance));
        dbc_int8(&c, e->refh);
        dbc_text(&c, e->ref, strlen(e->ref));
        dbc_int2(&c, e->result);
        dbc_int4(&c, e->flags);
        dbc_int4(&c, e->code);
        dbc_text(&c, e->code_space, strlen(e->code_space));
        dbc_text(&c, e->raw, strlen(e->raw));
        dbc_int8(&c, e->person_key);
        dbc_ts(&c, e->arrived_ms);
        dbc_int4(&c, e->reference);
        dbc_int2(&c, e->sub);
        dbc_int4(&c, e->quantity);
        dbc_text(&c, e->also, strlen(e->also));
    }
    int rc = db_copy_send(db,
                          "COPY receipt_early (instance, refh, ref, result, flags, code, "
                          "code_space, raw, person_key, arrived, reference, sub, quantity, also) "
                          "FROM STDIN (FORMAT binary)",
                          &c, diag);
    dbc_done(&c);
    return rc;
}

static int early_select(struct db *db, const char *sql, struct db_params *p,
                        struct early_receipt *ret, int *ret_n, struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    int rc = db_query(db, sql, p, &r, diag);
    if (rc < 0)
        return rc;
    *ret_n = dbr_rows(r);
    for (int i = 0; i < *ret_n; i++) {
        struct early_receipt *e = &ret[i];
        *e = (struct early_receipt){.id = dbr_int(r, i, 0),
                                    .refh = dbr_int(r, i, 1),
                                    .result = (int16_t)dbr_int(r, i, 3),
                                    .flags = (int32_t)dbr_int(r, i, 4),
                                    .code = (int32_t)dbr_int(r, i, 5),
                                    .person_key = dbr_int(r, i, 8),
                                    .arrived_ms = dbr_ts(r, i, 9),
                                    .reference = (int32_t)dbr_int(r, i, 10),
                                    .sub = (int16_t)dbr_int(r, i, 11),
                                    .quantity = (int32_t)dbr_int(r, i, 12)};
        (void)snprintf(e->ref, sizeof e->ref, "%s", dbr_text(r, i, 2));
        (void)snprintf(e->code_space, sizeof e->code_space, "%s", dbr_text(r, i, 6));
        (void)snprintf(e->raw, sizeof e->raw, "%s", dbr_text(r, i, 7));
        (void)snprintf(e->instance, sizeof e->instance, "%s", dbr_text(r, i, 13));
        (void)snprintf(e->also, sizeof e->also, "%s", dbr_text(r, i, 14));
    }
    return 0;
}

int store_early_find(struct db *db, const int64_t *refh, int n, struct early_receipt *ret, int max,
                     int *ret_n, struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int8_array(&p, refh, (size_t)n);
    dbp_int4(&p, max);
    return early_select(
        db,
        "SELECT receipt_id, refh, ref, result, flags, code, code_space, raw, person_key, arrived, "
        "reference, sub, quantity, instance, also FROM receipt_early WHERE refh = ANY($1) ORDER BY "
        "refh, "
        "receipt_id LIMIT $2",
        &p, ret, ret_n, diag);
}

int store_early_after(struct db *db, int64_t id, struct early_receipt *ret, int max, int *ret_n,
                      struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int8(&p, id);
    dbp_int4(&p, max);
    return early_select(
        db,
        "SELECT receipt_id, refh, ref, result, flags, code, code_space, raw, person_key, arrived, "
        "reference, sub, quantity, instance, also FROM receipt_early WHERE receipt_id > $1 ORDER "
        "BY "
        "receipt_id LIMIT $2",
        &p, ret, ret_n, diag);
}

int store_early_delete(struct db *db, const int64_t *ids, int n, struct diag *diag)
{
    if (n == 0)
        return 0;
    struct db_params p;
    dbp_init(&p);
    dbp_int8_array(&p, ids, (size_t)n);
    return db_exec(db, "DELETE FROM receipt_early WHERE receipt_id = ANY($1)", &p, NULL, diag);
}

static int count_of(struct db *db, const char *sql, int64_t *ret_n, struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    int rc = db_query(db, sql, NULL, &r, diag);
    if (rc == 0)
        *ret_n = dbr_int(r, 0, 0);
    return rc;
}

int store_early_count(struct db *db, int64_t *ret_n, struct diag *diag)
{
    return count_of(db, "SELECT count(*) FROM receipt_early", ret_n, diag);
}

/* ---- in doubt
 * ---------------------------------------------------------------------------------------------------------
 */
int store_doubt_put(struct db *db, const struct doubt_row *rows, int n, struct diag *diag)
{
    int rc = 0;
    for (int i = 0; i < n && rc == 0; i++) {
        struct db_params p;
        dbp_init(&p);
        dbp_int4(&p, rows[i].part);
        dbp_int8(&p, rows[i].contact_id);
        dbp_int2(&p, rows[i].attempt);
        dbp_int4(&p, rows[i].route_id);
        dbp_int8(&p, rows[i].address_key);
        dbp_ts(&p, rows[i].since_ms);
        dbp_ts(&p, rows[i].until_ms);
        rc = db_exec(db,
                     "INSERT INTO in_doubt (part, contact_id, attempt, route_id, address_key, "
                     "since, until) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
                     &p, NULL, diag);
    }
    return rc;
}

int store_doubt_find(struct db *db, int64_t address_key, const char *instance, int64_t before_ms,
                     struct doubt_row *ret, int max, int *ret_n, struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int8(&p, address_key);
    dbp_ts(&p, before_ms);
    dbp_text(&p, instance);
    dbp_int4(&p, max);
    auto_dbr struct db_result *r = NULL;
    int rc = db_query(db,
                      "SELECT DISTINCT ON (contact_id) part, contact_id, attempt, route_id, since, "
                      "until, coalesce((SELECT max(s.n_segs) FROM contact_submit s WHERE s.part = "
                      "d.part AND s.contact_id = d.contact_id AND s.attempt > d.attempt), 0)"
                      " FROM in_doubt d WHERE address_key = $1 AND since <= $2"
                      " AND (route_id = 0 OR EXISTS (SELECT FROM route r WHERE r.route_id = "
                      "d.route_id AND r.instance = $3)) ORDER BY contact_id, attempt DESC LIMIT $4",
                      &p, &r, diag);
    if (rc < 0)
        return rc;
    *ret_n = dbr_rows(r);
    for (int i = 0; i < *ret_n; i++)
        ret[i] = (struct doubt_row){.part = (int32_t)dbr_int(r, i, 0),
                                    .contact_id = dbr_int(r, i, 1),
                                    .attempt = (int16_t)dbr_int(r, i, 2),
                                    .route_id = (int32_t)dbr_int(r, i, 3),
                                    .address_key = address_key,
                                    .since_ms = dbr_ts(r, i, 4),
                                    .until_ms = dbr_ts(r, i, 5),
                                    .later_segs = (int16_t)dbr_int(r, i, 6)};
    return 0;
}

int store_doubt_delete(struct db *db, int32_t part, int64_t contact_id, struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, part);
    dbp_int8(&p, contact_id);
    return db_exec(db, "DELETE FROM in_doubt WHERE part = $1 AND contact_id = $2", &p, NULL, diag);
}

int store_doubt_count(struct db *db, int64_t *ret_n, struct diag *diag)
{
    return count_of(db, "SELECT count(*) FROM in_doubt", ret_n, diag);
}

int store_doubt_forget(struct db *db, int32_t part, int32_t wave_id, struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, part);
    dbp_int4(&p, wave_id);
    return db_exec(db,
                   "DELETE FROM in_doubt WHERE part = $1 AND contact_id >= $2::int8 << 32 AND "
                   "contact_id < ($2::int8 + 1) << 32",
                   &p, NULL, diag);
}

int store_wave_resends(struct db *db, int32_t wave_id, bool *ret, struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, wave_id);
    auto_dbr struct db_result *r = NULL;
    int rc = db_query(db,
                      "SELECT r.resend_once FROM wave w JOIN campaign c USING (campaign_id) JOIN "
                      "class_rule r USING (class) WHERE w.wave_id = $1",
                      &p, &r, diag);
    if (rc == 0)
        *ret = dbr_rows(r) == 1 && dbr_bool(r, 0, 0);
    return rc;
}

/* ---- takeover and end of a wave
 * ------------------------------------------------------------------------------------------- */
static int open_contacts(struct db *db, const char *sql, struct db_params *p,
                         struct open_contact *ret, int max, int *ret_n, struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    int rc = db_query(db, sql, p, &r, diag);
    if (rc < 0)
        return rc;
    *ret_n = dbr_rows(r) < max ? dbr_rows(r) : max;
    for (int i = 0; i < *ret_n; i++) {
        ret[i] = (struct open_contact){.contact_id = dbr_int(r, i, 0),
                                       .attempt = (int16_t)dbr_int(r, i, 1),
                                       .customer_id = dbr_int(r, i, 2),
                                       .since_ms = dbr_null(r, i, 3) ? 0 : dbr_ts(r, i, 3),
                                       .route_id = (int32_t)dbr_int(r, i, 4),
                                       .resends = dbr_bool(r, i, 6),
                                       .resent = dbr_bool(r, i, 7),
                                       .channel = (int16_t)dbr_int(r, i, 8)};
        (void)snprintf(ret[i].address, sizeof ret[i].address, "%s", dbr_text(r, i, 5));
    }
    return 0;
}

/* The address of recipient r that a message of wave w went to. */
#define CONTACTED "CASE WHEN w.channel = 4 OR r.address = '' THEN r.email ELSE r.address END"
#define RESENDS " JOIN campaign ca USING (campaign_id) JOIN class_rule cr USING (class)"

int store_unanswered(struct db *db, int32_t part, struct open_contact *ret, int max, int *ret_n,
                     struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, part);
    dbp_int4(&p, max);
    /* chunk rows: allowed, seq <= sent_hi, attempt 1 the latest, nothing known of it; echo rows of
     * state 2 have their own attempt */
    return open_contacts(
        db,
        "SELECT l.contact_id, l.attempt, l.customer_id, i.at, coalesce(i.route_id, 0), " CONTACTED
        ", "
        "cr.resend_once, false, w.channel FROM chunk c"
        " JOIN wave w USING (wave_id)" RESENDS
        " JOIN contact_log l ON l.part = $1 AND l.contact_id BETWEEN (c.wave_id::int8 << 32) + "
        "c.seq_lo AND (c.wave_id::int8 << 32) + c.sent_hi AND l.attempt = 1 AND l.verdict = 1 AND "
        "l.chunk_no = c.chunk_no"
        " JOIN recipient r ON r.part = $1 AND r.set_id = w.set_id AND r.seq = l.contact_id - "
        "(c.wave_id::int8 << 32)"
        " LEFT JOIN intent i ON i.part = $1 AND i.wave_id = c.wave_id AND i.seq_lo = (SELECT "
        "max(x.seq_lo) FROM intent x WHERE x.part = $1 AND x.wave_id = c.wave_id AND x.seq_lo <= "
        "r.seq)"
        " WHERE c.part = $1 AND c.state = 1 AND c.sent_hi >= c.seq_lo"
        " AND NOT EXISTS (SELECT FROM contact_submit s WHERE s.part = $1 AND s.contact_id = "
        "l.contact_id)"
        " AND NOT EXISTS (SELECT FROM contact_event e WHERE e.part = $1 AND e.contact_id = "
        "l.contact_id)"
        " AND NOT EXISTS (SELECT FROM echo e WHERE e.part = $1 AND e.wave_id = c.wave_id AND e.seq "
        "= r.seq)"
        " AND NOT EXISTS (SELECT FROM contact_log x WHERE x.part = $1 AND x.contact_id = "
        "l.contact_id AND x.attempt > 1)"
        " UNION ALL SELECT e.wave_id::int8 << 32 | e.seq, e.attempt, r.customer_id, e.intended_at, "
        "e.route_id, " CONTACTED
        ", cr.resend_once, e.resent, w.channel FROM echo e JOIN wave w USING "
        "(wave_id)" RESENDS
        " JOIN recipient r ON r.part = $1 AND r.set_id = w.set_id AND r.seq = e.seq"
        " WHERE e.part = $1 AND e.state = 2 AND NOT EXISTS (SELECT FROM contact_submit s WHERE "
        "s.part = $1 AND s.contact_id = (e.wave_id::int8 << 32 | e.seq) AND s.attempt = e.attempt)"
        " AND NOT EXISTS (SELECT FROM contact_event v WHERE v.part = $1 AND v.contact_id = "
        "(e.wave_id::int8 << 32 | e.seq) AND v.attempt = e.attempt)"
        " ORDER BY 1, 2 LIMIT $2",
        &p, ret, max, ret_n, diag);
}

int store_echo_recover(struct db *db, int32_t part, struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, part);
    int rc = db_exec(db, "DELETE FROM echo WHERE part = $1 AND state = 2", &p, NULL, diag);
    if (rc < 0)
        return rc;
    dbp_init(&p);
    dbp_int4(&p, part);
    /* the decision of this attempt is in the log and was never sent: the next one gets its own
     * number */
    return db_exec(db,
                   "UPDATE echo SET state = 0, attempt = attempt + 1, keeps_reservation = true "
                   "WHERE part = $1 AND state = 1",
                   &p, NULL, diag);
}

int store_unfinished(struct db *db, int32_t part, int32_t wave_id, struct open_contact *ret,
                     int max, int *ret_n, struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, part);
    dbp_int4(&p, wave_id);
    dbp_int4(&p, max);
    return open_contacts(
        db,
        "WITH x AS (SELECT contact_id, max(attempt) AS attempt, max(n_segs) AS n, max(route_id) AS "
        "route_id FROM"
        " (SELECT contact_id, attempt, n_segs, route_id FROM contact_submit WHERE part = $1 AND "
        "contact_id >= $2::int8 << 32 AND contact_id < ($2::int8 + 1) << 32"
        " UNION ALL SELECT contact_id, attempt, 1::int2, route_id FROM contact_event WHERE part = "
        "$1 AND contact_id >= $2::int8 << 32 AND contact_id < ($2::int8 + 1) << 32 AND kind = 9) u"
        " WHERE NOT EXISTS (SELECT FROM contact_submit s WHERE s.part = $1 AND s.contact_id = "
        "u.contact_id AND NOT s.receipt) GROUP BY contact_id),"
        " f AS (SELECT contact_id, count(*) FILTER (WHERE kind = 2 AND seg >= 0) AS d, "
        "bool_or(kind IN (3, 4, 5, 12, 14) OR (kind = 2 AND seg = -1)) AS final FROM contact_event"
        " WHERE part = $1 AND contact_id >= $2::int8 << 32 AND contact_id < ($2::int8 + 1) << 32 "
        "GROUP BY contact_id)"
        "SELECT x.contact_id, x.attempt, 0::int8, NULL::timestamptz, x.route_id, '', false, false, "
        "0::int2 FROM x LEFT JOIN f USING (contact_id)"
        " WHERE NOT coalesce(f.final, false) AND coalesce(f.d, 0) < x.n ORDER BY 1 LIMIT $3",
        &p, ret, max, ret_n, diag);
}

/* $7 kinds of events that speak for one segment; $8 accepted since. A page of accepts is looked
 * through, however few of them are unanswered; its end, with no instance, is the row where the next
 * page begins. Events are asked for inside the page whatever plan is made of it. */
#define PAGE "1000"
#define UNANSWERED                                                                                 \
    "WITH page AS MATERIALIZED (SELECT contact_id, attempt, seg, route_id, ref, peer_ref, "        \
    "receipt, ts FROM contact_submit WHERE part = $1 AND contact_id >= $2::int8 << 32 AND "        \
    "contact_id < ($2::int8 + 1) << 32 AND (contact_id, attempt, seg) > ($3, $4, $5) ORDER BY "    \
    "contact_id, attempt, seg LIMIT " PAGE "),"                                                    \
    " b AS MATERIALIZED (SELECT min(contact_id) AS lo, max(contact_id) AS hi, count(*) AS n FROM " \
    "page),"                                                                                       \
    " u AS (SELECT s.contact_id, s.attempt, s.seg, r.instance, coalesce(nullif(s.peer_ref, ''), "  \
    "s.ref), r.sender, r.sender_kind FROM page s JOIN route r USING (route_id)"                    \
    " WHERE s.receipt AND s.ref <> '' AND ($8::timestamptz IS NULL OR s.ts > $8) AND NOT EXISTS "  \
    "(SELECT FROM contact_event e WHERE e.part = $1 AND e.contact_id >= $2::int8 << 32 AND "       \
    "e.contact_id < ($2::int8 + 1) << 32 AND e.contact_id >= (SELECT lo FROM b) AND e.contact_id " \
    "<= (SELECT hi FROM b) AND e.contact_id = s.contact_id AND e.attempt = s.attempt AND (e.kind " \
    "IN (3, 4, 5, 12) OR (e.kind = ANY($7) AND e.seg IN (s.seg, -1)))) ORDER BY 1, 2, 3 LIMIT "    \
    "$6)"                                                                                          \
    " SELECT * FROM u UNION ALL (SELECT contact_id, attempt, seg, '', '', '', 0 FROM page WHERE "  \
    "(SELECT n FROM b) = " PAGE " ORDER BY 1 DESC, 2 DESC, 3 DESC LIMIT 1) ORDER BY 1, 2, 3"

static void overdue_read(const struct db_result *r, int i, struct overdue *ret)
{
    *ret = (struct overdue){.contact_id = dbr_int(r, i, 0),
                            .attempt = (int16_t)dbr_int(r, i, 1),
                            .seg = (int16_t)dbr_int(r, i, 2),
                            .sender_kind = (uint32_t)dbr_int(r, i, 6)};
    (void)snprintf(ret->instance, sizeof ret->instance, "%s", dbr_text(r, i, 3));
    (void)snprintf(ret->peer_id, sizeof ret->peer_id, "%s", dbr_text(r, i, 4));
    (void)snprintf(ret->sender, sizeof ret->sender, "%s", dbr_text(r, i, 5));
}

static int unanswered(struct db *db, int32_t part, int32_t wave_id, struct overdue *after,
                      bool recalled, int64_t since_ms, struct overdue *ret, int max, int *ret_n,
                      bool *ret_end, struct diag *diag)
{
    static const int16_t for_one[] = {2, 14, 15};
    struct overdue end = {0};
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, part);
    dbp_int4(&p, wave_id);
    dbp_int8(&p, after->contact_id);
    dbp_int2(&p, after->attempt);
    dbp_int2(&p, after->seg);
    dbp_int4(&p, max);
    dbp_int2_array(&p, for_one, recalled ? 3 : 2);
    dbp_ts(&p, recalled ? since_ms : INT64_MIN);
    auto_dbr struct db_result *r = NULL;
    int rc = db_query(db, UNANSWERED, &p, &r, diag);
    if (rc < 0)
        return rc;
    *ret_n = 0;
    for (int i = 0; i < dbr_rows(r); i++) {
        bool is_end = !*dbr_text(r, i, 3);
        overdue_read(r, i, is_end ? &end : &ret[*ret_n]);
        *ret_n += !is_end;
    }
    *ret_end = *ret_n < max && !end.contact_id;
    if (!*ret_end)
        *after = *ret_n == max ? ret[max - 1] : end;
    return 0;
}

int store_overdue(struct db *db, int32_t part, int32_t wave_id, struct overdue *after,
                  struct overdue *ret, int max, int *ret_n, bool *ret_end, struct diag *diag)
{
    return unanswered(db, part, wave_id, after, false, 0, ret, max, ret_n, ret_end, diag);
}

int store_recallable(struct db *db, int32_t part, int32_t wave_id, int64_t since_ms,
                     struct overdue *after, struct overdue *ret, int max, int *ret_n, bool *ret_end,
                     struct diag *diag)
{
    return unanswered(db, part, wave_id, after, true, since_ms, ret, max, ret_n, ret_end, diag);
}
