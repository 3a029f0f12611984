/* SPDX-License-Identifier: Apache-2.0 */
/* store_contact.c - see store_contact.h. Event kinds are stored numbers: 2 delivered, 3 failed, 4
 * expired, 5 refused, 6 retry, 7 not sent, 9 in doubt, 10 withdrawn before it went out (code =
 * reason), 11 on its way, 12 unknown, 13 settled, 14 recalled, 15 not recalled. */
#include "store/store_contact.h"
#include "store/store_customer.h"
#include "store/store_ids.h"
#include "store/store_json.h"

#include "policy/policy.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define PAGE_ROWS 1000

/* ---- the state of a contact ------------------------------------------------------------------ */
/* clang-format off */
#define EVENTS \
    "bool_or(v.kind IN (3, 5)) AS failed, bool_or(v.kind = 4) AS expired, bool_or(v.kind = 14)" \
    " AS recalled, bool_or(v.kind = 2" \
    " AND v.seg = -1) AS whole," \
    " count(DISTINCT v.seg) FILTER (WHERE v.kind = 2 AND v.seg >= 0) AS pieces," \
    " bool_or(v.kind = 12) AS unknown," \
    " max(v.code) FILTER (WHERE v.kind = 10) AS withdrawn, bool_or(v.kind = 9) AS doubt," \
    " bool_or(v.kind = 13) AS settled"
/* clang-format on */
/* Rows b(part, contact_id, wave_id, chunk_no, verdict) with what is known of them. */
/* clang-format off */
#define KNOWN \
    " LEFT JOIN LATERAL (SELECT " EVENTS " FROM contact_event v WHERE v.part = b.part AND" \
    " v.contact_id = b.contact_id) ev ON true" \
    " LEFT JOIN LATERAL (SELECT count(*) AS n, max(s.n_segs) AS n_segs FROM contact_submit s" \
    " WHERE s.part = b.part AND s.contact_id = b.contact_id) su ON true" \
    " LEFT JOIN echo ec ON ec.part = b.part AND ec.wave_id = b.wave_id AND ec.seq =" \
    " b.contact_id & 4294967295" \
    " LEFT JOIN chunk k ON k.part = b.part AND k.wave_id = b.wave_id AND k.chunk_no = b.chunk_no" \
    " CROSS JOIN LATERAL (SELECT CASE WHEN b.verdict = 3 THEN 'held' WHEN ev.failed THEN" \
    " 'failed' WHEN ev.expired THEN 'expired' WHEN ev.recalled THEN 'recalled'" \
    " WHEN ev.whole OR ev.pieces >= su.n_segs THEN 'delivered' WHEN ev.withdrawn IS NOT NULL" \
    " THEN 'held'" \
    " WHEN ec.state IS NOT NULL THEN (ARRAY['waiting','reserved','intended'])[ec.state + 1]" \
    " WHEN ev.unknown THEN 'unknown'" \
    " WHEN su.n > 0 OR ev.settled THEN 'accepted' WHEN ev.doubt THEN 'in_doubt' WHEN" \
    " b.verdict IS DISTINCT FROM 1 THEN 'waiting'" \
    " WHEN k.state = 2 OR k.sent_hi >= b.contact_id & 4294967295 THEN 'intended' ELSE" \
    " 'reserved' END AS word) st" \
    " CROSS JOIN LATERAL (SELECT CASE st.word WHEN 'held' THEN 3 WHEN 'waiting' THEN 2 ELSE" \
    " 1 END AS verdict," \
    " CASE st.word WHEN 'held' THEN coalesce(CASE WHEN b.verdict = 3 THEN b.reason::int4" \
    " END, ev.withdrawn, 0)" \
    " WHEN 'waiting' THEN coalesce(ec.reason, b.reason, 0)::int4 ELSE 0 END AS reason) now"
/* clang-format on */

/* Reasons by their stored numbers: 1-9 do-not-disturb lists, 40s caps, 50s calendars. */
/* clang-format off */
#define RULE(reason, id) \
    "CASE WHEN " reason " BETWEEN 1 AND 9 THEN (SELECT x.public_id FROM dnd_list x WHERE" \
    " x.list_id = " id ") WHEN " reason " BETWEEN 40 AND 49 THEN" \
    " (SELECT x.public_id FROM cap x WHERE x.cap_id = " id ") WHEN " reason " BETWEEN 50 AND" \
    " 59 THEN (SELECT x.public_id FROM calendar x WHERE x.calendar_id = " id ") END"
/* clang-format on */

int store_rule_name(struct db *db, int reason, int32_t rule_id, char ret[40], struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    struct db_params p;
    ret[0] = 0;
    if (!rule_id)
        return 0;
    dbp_init(&p);
    dbp_int4(&p, reason);
    dbp_int4(&p, rule_id);
    int rc = db_query(db, "SELECT " RULE("$1", "$2"), &p, &r, diag);
    if (rc == 0)
        (void)snprintf(ret, 40, "%s", dbr_text(r, 0, 0));
    return rc;
}

int store_whereabouts(struct db *db, int64_t customer_id, struct store_whereabouts *ret,
                      struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    struct db_params p;
    *ret = (struct store_whereabouts){0};
    dbp_init(&p);
    dbp_int4(&p, store_part(customer_id));
    dbp_int8(&p, customer_id);
    int rc = db_query(
        db, "SELECT zone, region, msisdn FROM customer WHERE part = $1 AND customer_id = $2", &p,
        &r, diag);
    if (rc < 0 || dbr_rows(r) == 0)
        return rc;
    (void)snprintf(ret->zone, sizeof ret->zone, "%s", dbr_text(r, 0, 0));
    (void)snprintf(ret->region, sizeof ret->region, "%s", dbr_text(r, 0, 1));
    (void)snprintf(ret->msisdn, sizeof ret->msisdn, "%s", dbr_text(r, 0, 2));
    return 0;
}

/* ---- rows ------------------------------------------------------------------------------------ */
int store_contact_waves(struct db *db, struct store_scope scope, const char *campaign, int32_t *ret,
                        size_t max, size_t *ret_n, struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, campaign);
    dbp_int4(&p, scope.partner_id);
    int rc = db_query(db,
                      "SELECT w.wave_id FROM campaign c JOIN wave w USING (campaign_id) WHERE "
                      "c.public_id = $1 AND ($2 = 0 OR c.partner_id = $2) ORDER BY 1",
                      &p, &r, diag);
    if (rc < 0)
        return rc;
    *ret_n = (size_t)dbr_rows(r);
    if (*ret_n == 0)
        return diag_set(diag, CGW_ENOTFOUND, "", "no campaign %.39s", campaign);
    if (*ret_n > max)
        return diag_set(diag, CGW_ELIMIT, "", "campaign %.39s has more than %zu waves", campaign,
                        max);
    for (size_t i = 0; i < *ret_n; i++)
        ret[i] = (int32_t)dbr_int(r, (int)i, 0);
    return 0;
}

/* $1 part, $2 contacts below this, $3 limit, $4 scope, $5 waves, $6 lowest contact, $7 customer, $8
 * from, $9 to, $10 and $11 periods, $12 state, $13 verdict, $14 reason. The latest decision of each
 * contact; people put back before any decision come from echo, the undecided from chunk. */
/* clang-format off */
#define LOGGED(which) \
    "(SELECT l.part, l.contact_id, l.attempt, l.customer_id, l.wave_id, l.chunk_no," \
    " l.decided_at, l.verdict, l.reason, l.rule_id, l.rules_version, l.channel, l.class" \
    " FROM contact_log l WHERE l.part = $1 AND l.contact_id < $2 AND l.contact_id >= $6 AND" \
    " " which " AND ($4 = 0 OR l.partner_id = $4)" \
    " AND ($8::timestamptz IS NULL OR l.decided_at >= $8) AND ($9::timestamptz IS NULL OR" \
    " l.decided_at < $9) AND l.period BETWEEN $10 AND $11" \
    " AND NOT EXISTS (SELECT FROM contact_log n WHERE n.part = $1 AND n.contact_id =" \
    " l.contact_id AND n.attempt > l.attempt)"
#define PUT_BACK \
    " SELECT e.part, e.wave_id::int8 << 32 | e.seq, e.attempt, r.customer_id, e.wave_id," \
    " NULL::int4, NULL::timestamptz, 2::int2, e.reason, NULL::int4, NULL::int4, w.channel," \
    " c.class" \
    " FROM echo e JOIN wave w USING (wave_id) JOIN campaign c USING (campaign_id) JOIN" \
    " recipient r ON r.part = $1 AND r.set_id = w.set_id AND r.seq = e.seq" \
    " WHERE e.part = $1 AND ($5::int4[] IS NULL OR e.wave_id = ANY($5)) AND ($7 = 0 OR" \
    " r.customer_id = $7) AND (e.wave_id::int8 << 32 | e.seq) < $2" \
    " AND ($4 = 0 OR c.partner_id = $4) AND $8::timestamptz IS NULL AND $9::timestamptz IS NULL" \
    " AND NOT EXISTS (SELECT FROM contact_log l WHERE l.part = $1 AND l.contact_id =" \
    " (e.wave_id::int8 << 32 | e.seq)) ORDER BY 2 DESC LIMIT $3"
/* People of chunks that nobody has decided yet: closed hours are noted once per chunk. */
#define UNDECIDED \
    " SELECT k.part, k.wave_id::int8 << 32 | r.seq, 1::int2, r.customer_id, k.wave_id, k.chunk_no," \
    " NULL::timestamptz, 2::int2, k.reason, NULL::int4, NULL::int4, w.channel, c.class" \
    " FROM chunk k JOIN wave w USING (wave_id) JOIN campaign c USING (campaign_id) JOIN recipient r" \
    " ON r.part = $1 AND r.set_id = w.set_id AND r.seq BETWEEN k.seq_lo AND k.seq_hi" \
    " WHERE k.part = $1 AND k.state = 0 AND ($5::int4[] IS NULL OR k.wave_id = ANY($5)) AND ($7 = 0" \
    " OR ($7 BETWEEN k.cust_lo AND k.cust_hi AND r.customer_id = $7))" \
    " AND (k.wave_id::int8 << 32 | r.seq) < $2 AND ($4 = 0 OR c.partner_id = $4)" \
    " AND $8::timestamptz IS NULL AND $9::timestamptz IS NULL ORDER BY 2 DESC LIMIT $3"
#define ROWS(base) \
    "WITH b AS MATERIALIZED (SELECT * FROM (" base " UNION ALL (" PUT_BACK ") UNION ALL (" UNDECIDED ")) x" \
    " ORDER BY" \
    " contact_id DESC LIMIT $3)" \
    "SELECT b.contact_id, b.customer_id, now.verdict, now.reason, w.wave_no, b.attempt," \
    " b.rules_version, c.public_id, " SQL_CHANNEL("b.channel") ", " SQL_CLASS("b.class") \
    ", st.word, CASE WHEN b.verdict = 3 THEN " RULE("b.reason", "b.rule_id") " END, " \
    SQL_TIME("b.decided_at") ", " \
    SQL_TIME("CASE WHEN st.word = 'waiting' THEN coalesce(ec.not_before, k.not_before) END") ", ($12::text IS NULL" \
    " OR st.word = $12) AND ($13::int4 < 0 OR now.verdict = $13)" \
    " AND ($14::int4 < 0 OR now.reason = $14) FROM b LEFT JOIN wave w ON w.wave_id =" \
    " b.wave_id LEFT JOIN campaign c USING (campaign_id)" KNOWN " ORDER BY b.contact_id DESC"
/* clang-format on */
/* A person's rows are gathered first: with a LIMIT inside, the key order would tempt the planner to
 * walk the whole part. */
static const char rows_of_customer[] = ROWS("SELECT * FROM " LOGGED(
    "l.customer_id = $7 AND ($5::int4[] IS NULL OR l.wave_id = ANY($5))") " OFFSET 0) y");
static const char rows_of_waves[] =
    ROWS(LOGGED("l.wave_id = ANY($5)") " ORDER BY l.contact_id DESC LIMIT $3)");

static int32_t period_of(int64_t ms, int32_t open)
{
    if (ms == INT64_MIN)
        return open;
    time_t s = (time_t)(ms / 1000);
    struct tm tm;
    (void)gmtime_r(&s, &tm);
    return (tm.tm_year + 1900) * 100 + tm.tm_mon + 1;
}

struct scan {
    struct db *db;
    int32_t partner_id, part;
    int64_t below;
    const struct store_contact_filter *f;
    struct diag *diag;
};

static int page(const struct scan *s, int rows, struct db_result **ret)
{
    const struct store_contact_filter *f = s->f;
    int32_t lowest = INT32_MAX;
    for (size_t i = 0; i < f->n_waves; i++)
        lowest = f->waves[i] < lowest ? f->waves[i] : lowest;
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, s->part);
    dbp_int8(&p, s->below);
    dbp_int4(&p, rows);
    dbp_int4(&p, s->partner_id);
    if (f->waves)
        dbp_int4_array(&p, f->waves, f->n_waves);
    else
        dbp_null(&p);
    dbp_int8(&p, f->waves ? (int64_t)lowest << 32 : 0);
    dbp_int8(&p, f->customer_id);
    dbp_ts(&p, f->from_ms);
    dbp_ts(&p, f->to_ms);
    dbp_int4(&p, period_of(f->from_ms, 0));
    dbp_int4(&p, period_of(f->to_ms, INT32_MAX));
    dbp_text(&p, f->state);
    dbp_int4(&p, f->verdict);
    dbp_int4(&p, f->reason);
    return db_query(s->db, f->customer_id ? rows_of_customer : rows_of_waves, &p, ret, s->diag);
}

static void row_from(const struct db_result *r, int i, struct store_contact_row *ret)
{
    *ret = (struct store_contact_row){.contact_id = dbr_int(r, i, 0),
                                      .customer_id = dbr_int(r, i, 1),
                                      .verdict = (int)dbr_int(r, i, 2),
                                      .reason = (int)dbr_int(r, i, 3),
                                      .wave_no = (int)dbr_int(r, i, 4),
                                      .attempt = (int)dbr_int(r, i, 5),
                                      .rules_version = (int)dbr_int(r, i, 6),
                                      .campaign = dbr_text(r, i, 7),
                                      .channel = dbr_text(r, i, 8),
                                      .contact_class = dbr_text(r, i, 9),
                                      .state = dbr_text(r, i, 10),
                                      .rule = dbr_text(r, i, 11),
                                      .decided_at = dbr_text(r, i, 12),
                                      .until = dbr_text(r, i, 13)};
}

struct walk {
    int limit, shown, scanned; /* limit 0 = all */
    bool more;
    int32_t at_part; /* where the next page goes on */
    int64_t at_contact;
    store_contact_fn fn;
    void *ctx;
};

/* One page of one part. \return rows it held, negative on failure */
static int take_page(const struct scan *s, struct walk *w, int rows)
{
    auto_dbr struct db_result *r = NULL;
    int rc = page(s, rows, &r);
    if (rc < 0)
        return rc;
    for (int i = 0; i < dbr_rows(r); i++) {
        struct store_contact_row row;
        row_from(r, i, &row);
        bool match = dbr_bool(r, i, 14);
        if (match && w->limit && w->shown == w->limit) {
            w->more = true;
            return 0;
        }
        w->at_part = s->part;
        w->at_contact = row.contact_id;
        w->scanned++;
        if (match) {
            w->shown++;
            rc = w->fn(w->ctx, &row);
            if (rc)
                return rc < 0 ? rc : -rc;
        }
    }
    return dbr_rows(r);
}

static int read_cursor(const char *cursor, struct scan *s, struct diag *diag)
{
    char *end;
    if (!cursor[0])
        return 0;
    long part = strtol(cursor, &end, 10);
    long long contact = *end == ':' ? strtoll(end + 1, &end, 10) : -1;
    if (*end || part < 0 || part >= STORE_PARTS || contact < 0)
        return diag_set(diag, CGW_EINVAL, "?cursor", "not a cursor of this list");
    s->part = (int32_t)part;
    s->below = contact;
    return 0;
}

int store_contact_scan(struct db *db, struct store_scope scope,
                       const struct store_contact_filter *f, const char *cursor, int limit,
                       store_contact_fn fn, void *ctx, bool *ret_more, char *ret_cursor,
                       size_t cursor_size, struct diag *diag)
{
    struct scan s = {
        .db = db, .partner_id = scope.partner_id, .below = INT64_MAX, .f = f, .diag = diag};
    struct walk w = {.limit = limit, .fn = fn, .ctx = ctx};
    if (!f->customer_id && !f->n_waves)
        return diag_set(diag, CGW_EINVAL, "?customer", "name a customer or a campaign");
    int32_t last = STORE_PARTS - 1;
    if (f->customer_id)
        s.part = last = store_part(f->customer_id);
    int rc = read_cursor(cursor, &s, diag);
    bool derived = f->state || f->verdict >= 0 || f->reason >= 0 || !limit;
    while (rc == 0 && !w.more && s.part <= last) {
        int rows = derived ? PAGE_ROWS : limit - w.shown + 1;
        int n = take_page(&s, &w, rows);
        rc = n < 0 ? n : 0;
        s.below = w.at_contact;
        if (n < rows) { /* this part is through */
            s.part++;
            s.below = INT64_MAX;
        }
        if (limit && w.scanned >= STORE_CONTACT_SCAN_MAX && s.part <= last)
            w.more = true;
    }
    *ret_more = w.more;
    (void)snprintf(ret_cursor, cursor_size, "%d:%" PRId64, w.at_part, w.at_contact);
    return rc;
}

/* ---- one ------------------------------------------------------------------------------------- */
/* {"1":["dnd.list","on a do-not-disturb list"] …}: words and sentences for the document's SQL. */
static void reasons_json(const char *lang, struct buf *out)
{
    const char *comma = "";
    buf_putc(out, '{');
    for (int i = 0; i < 256; i++) {
        const char *word = reason_word(i), *text = reason_text(i, lang);
        if (!strcmp(word, "?"))
            continue;
        buf_printf(out, "%s\"%d\":[", comma, i);
        buf_put_json(out, word, strlen(word));
        buf_putc(out, ',');
        buf_put_json(out, text, strlen(text));
        buf_putc(out, ']');
        comma = ",";
    }
    buf_putc(out, '}');
}

/* Who and where: from the chunk, else the recipient, else the log (recipients are dropped earlier
 * than the log). */
static int find_one(struct db *db, struct store_scope scope, int64_t contact_id, int32_t *ret_part,
                    int64_t *ret_customer, struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, (int32_t)(contact_id >> 32));
    dbp_int8(&p, contact_id & INT64_C(0xffffffff));
    dbp_int8(&p, contact_id);
    dbp_int4(&p, scope.partner_id);
    int rc =
        db_query(db,
                 "WITH parts AS (SELECT array_agg(part) AS p FROM part_list), w AS (SELECT w.* "
                 "FROM wave w JOIN campaign c USING (campaign_id) WHERE w.wave_id = $1 AND ($4 = 0 "
                 "OR c.partner_id = $4))"
                 "SELECT part, customer_id FROM (SELECT r.part, r.customer_id FROM w, parts, "
                 "recipient r WHERE r.part = ANY(parts.p) AND r.set_id = w.set_id AND r.seq = $2"
                 " UNION ALL SELECT l.part, l.customer_id FROM w, parts, contact_log l WHERE "
                 "l.part = ANY(parts.p) AND l.contact_id = $3) x LIMIT 1",
                 &p, &r, diag);
    if (rc < 0)
        return rc;
    if (dbr_rows(r) == 0)
        return diag_set(diag, CGW_ENOTFOUND, "", "no such contact");
    *ret_part = (int32_t)dbr_int(r, 0, 0);
    *ret_customer = dbr_int(r, 0, 1);
    return 0;
}

/* $1 part, $2 contact, $3 wave, $4 seq, $5 reasons, $6 customer */
#define WORD(x) "$5::jsonb -> (" x ")::text ->> 0"
#define SENTENCE(x) "$5::jsonb -> (" x ")::text ->> 1"
#define ROUTE(id) "(SELECT x.public_id FROM route x WHERE x.route_id = " id ")"
/* clang-format off */
static const char contact_doc[] =
    "WITH l AS (SELECT * FROM contact_log WHERE part = $1 AND contact_id = $2),"
    " at AS (SELECT k.* FROM chunk k WHERE k.part = $1 AND k.wave_id = $3 AND $4 BETWEEN"
    " k.seq_lo AND k.seq_hi LIMIT 1),"
    " b AS (SELECT $1::int4 AS part, $2::int8 AS contact_id, $3::int4 AS wave_id,"
    " at.chunk_no, l.verdict, l.reason, l.rule_id FROM (SELECT 1) one LEFT JOIN at ON true"
    " LEFT JOIN LATERAL (SELECT * FROM l ORDER BY attempt DESC LIMIT 1) l ON true)"
    "SELECT json_build_object('campaign', c.public_id, 'wave', w.wave_no, 'channel', "
    SQL_CHANNEL("w.channel") ", 'class', " SQL_CLASS("c.class") ", 'state', st.word,"
    " 'verdict', (ARRAY['ALLOW','DEFER','DENY'])[now.verdict], 'reason', nullif("
    WORD("now.reason") ", ''), 'text', CASE WHEN now.reason <> 0 THEN "
    SENTENCE("now.reason") " END,"
    " 'waiting', CASE WHEN st.word = 'waiting' THEN json_build_object('until', "
    SQL_TIME("coalesce(ec.not_before, k.not_before)")
    ", 'reason', nullif(" WORD("coalesce(ec.reason, k.reason, 0)") ", ''), 'text', CASE WHEN"
    " coalesce(ec.reason, k.reason, 0) <> 0 THEN " SENTENCE("coalesce(ec.reason, k.reason,"
    " 0)") " END) END,"
    " 'decisions', (SELECT coalesce(json_agg(json_build_object('attempt', l.attempt,"
    " 'verdict', (ARRAY['ALLOW','DEFER','DENY'])[l.verdict], 'reason', nullif(" WORD("l.reason")
    ", ''), 'text', " SENTENCE("l.reason") ", 'rule', " RULE("l.reason", "l.rule_id") ","
    " 'rules_version', l.rules_version, 'decided_at', " SQL_TIME("l.decided_at")
    ", 'seal', l.seal_no) ORDER BY l.attempt), '[]') FROM l),"
    " 'intents', (SELECT coalesce(json_agg(json_build_object('at', " SQL_TIME("i.at") ","
    " 'node', i.node, 'route', " ROUTE("i.route_id") ")), '[]') FROM"
    " (SELECT * FROM intent WHERE part = $1 AND wave_id = $3 AND seq_lo <= $4 ORDER BY"
    " seq_lo DESC LIMIT 1) i WHERE i.seq_hi >= $4 AND EXISTS (SELECT FROM l WHERE l.verdict = 1)),"
    " 'submits', (SELECT coalesce(json_agg(json_build_object('attempt', s.attempt,"
    " 'segment', s.seg, 'segments', s.n_segs, 'at', " SQL_TIME("s.ts") ", 'route', "
    ROUTE("s.route_id")
    ", 'reference', nullif(s.ref, '')) ORDER BY s.attempt, s.seg), '[]') FROM contact_submit"
    " s WHERE s.part = $1 AND s.contact_id = $2),"
    " 'events', (SELECT coalesce(json_agg(json_build_object('at', " SQL_TIME("v.ts") ","
    " 'kind', (ARRAY['?','delivered','failed','expired','refused','retry','not_sent','?','in_doubt',"
    "'withdrawn','on_its_way','unknown','settled','recalled','not_recalled'])[v.kind], 'attempt', v.attempt,"
    " 'segment', CASE WHEN v.seg >= 0 THEN v.seg END, 'route', " ROUTE("v.route_id")
    ", 'code', CASE WHEN v.code_space <> '' AND v.kind <> 10 THEN v.code END, 'code_space',"
    " CASE WHEN v.kind <> 10 THEN nullif(v.code_space, '') END,"
    " 'sub', " SQL_SUB("v.sub") ", 'quantity', nullif(v.quantity, 0),"
    " 'reason', CASE WHEN v.kind = 10 THEN " WORD("v.code") " END, 'detail',"
    " nullif(v.detail, '')) ORDER BY v.ts, v.attempt, v.seg, v.kind), '[]')"
    " FROM contact_event v WHERE v.part = $1 AND v.contact_id = $2),"
    " 'responses', (SELECT coalesce(json_agg(json_build_object('at', " SQL_TIME("r.ts") ","
    " 'channel', " SQL_CHANNEL("r.channel")
    ", 'meaning', (ARRAY['text','opt_out','opt_out_all','unclear','start','help'])[r.meaning"
    " + 1]) ORDER BY r.ts), '[]') FROM response r"
    " JOIN attribution a ON a.part = r.part AND a.response_id = r.response_id WHERE r.part ="
    " $1 AND r.customer_id = $6 AND a.contact_id = $2))::text"
    " FROM b JOIN wave w ON w.wave_id = b.wave_id JOIN campaign c USING (campaign_id)" KNOWN;
/* clang-format on */

int store_contact_json(struct db *db, struct store_scope scope, int64_t contact_id,
                       const char *lang, struct buf *ret, struct diag *diag)
{
    int32_t part = 0;
    int64_t customer = 0;
    int rc = find_one(db, scope, contact_id, &part, &customer, diag);
    if (rc < 0)
        return rc;
    auto_dbr struct db_result *r = NULL;
    struct buf reasons;
    struct db_params p;
    buf_init(&reasons, 65536);
    reasons_json(lang, &reasons);
    dbp_init(&p);
    dbp_int4(&p, part);
    dbp_int8(&p, contact_id);
    dbp_int4(&p, (int32_t)(contact_id >> 32));
    dbp_int8(&p, contact_id & INT64_C(0xffffffff));
    dbp_text(&p, buf_str(&reasons));
    dbp_int8(&p, customer);
    rc = db_query(db, contact_doc, &p, &r, diag);
    buf_done(&reasons);
    if (rc < 0)
        return rc;
    if (dbr_rows(r) == 0)
        return diag_set(diag, CGW_ENOTFOUND, "", "no such contact");
    char con[STORE_ID_TEXT_MAX], cus[STORE_ID_TEXT_MAX];
    store_id_encode("con", contact_id, con, sizeof con);
    store_id_encode("cus", customer, cus, sizeof cus);
    buf_printf(ret, "{\"id\":\"%s\",\"customer\":\"%s\",", con, cus);
    buf_put(ret, dbr_text(r, 0, 0) + 1, (size_t)dbr_len(r, 0, 0) - 1); /* the rest of the object */
    return ret->failed ? diag_set(diag, CGW_ELIMIT, "", "answer exceeds %zu bytes", ret->max) : 0;
}
