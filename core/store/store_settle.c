/* SPDX-License-Identifier: Apache-2.0 */
/* store_settle.c - settlement figures: what a partner's campaigns had accepted, delivered and
 * failed per route and day. Counted from the rows of the log themselves, nothing is kept beside
 * them. A message counts as accepted on the day of its accept, as delivered or failed on the day of
 * the word about it; as everywhere, a failed piece is a failed message. What was taken back was
 * accepted, and is neither. */
#include "store/store_json.h"
#include "store/store_partner.h"

/* clang-format off */
/* Event kinds: 2 delivered, 3 failed, 4 expired, 13 settled (in doubt, then a receipt). Index ranges
 * of one wave in one part, so that nothing else is read. `quantity` of an event is seconds where the
 * channel is voice (3). */
static const char settle_sql[] =
    "WITH w AS (SELECT v.wave_id::int8 << 32 AS lo, (v.wave_id::int8 + 1) << 32 AS hi FROM wave v JOIN campaign c USING (campaign_id)"
    "  WHERE c.partner_id = $1 AND (c.started_at IS NULL OR c.started_at < ($3::date + 2)) AND (c.finished_at IS NULL OR c.finished_at > ($2::date - 62))),"
    " s AS (SELECT x.part, x.contact_id, x.attempt, x.route_id, min(x.ts) AS ts, max(x.n_segs)::int8 AS n FROM part_list p CROSS JOIN w"
    "  JOIN contact_submit x ON x.part = p.part AND x.contact_id >= w.lo AND x.contact_id < w.hi GROUP BY 1, 2, 3, 4),"
    " e AS (SELECT x.part, x.contact_id, x.attempt, max(x.route_id) AS route_id, min(x.ts) FILTER (WHERE x.kind IN (3, 4)) AS failed,"
    "  min(x.ts) FILTER (WHERE x.kind = 2 AND x.seg = -1) AS whole, max(x.ts) FILTER (WHERE x.kind = 2) AS last,"
    "  count(DISTINCT x.seg) FILTER (WHERE x.kind = 2 AND x.seg >= 0) AS pieces, min(x.ts) FILTER (WHERE x.kind = 13) AS settled,"
    "  coalesce(max(x.quantity::int8) FILTER (WHERE x.kind IN (2, 3)), 0) AS quantity"
    "  FROM part_list p CROSS JOIN w JOIN contact_event x ON x.part = p.part AND x.contact_id >= w.lo AND x.contact_id < w.hi"
    "  WHERE x.kind IN (2, 3, 4, 13) GROUP BY 1, 2, 3),"
    " m AS (SELECT coalesce(s.part, e.part) AS part, coalesce(s.route_id, e.route_id) AS route_id, coalesce(s.ts, e.settled) AS accepted, coalesce(s.n, 1) AS n,"
    "  e.failed, CASE WHEN e.failed IS NULL THEN coalesce(e.whole, CASE WHEN e.pieces >= s.n THEN e.last END) END AS delivered, coalesce(e.quantity, 0) AS quantity"
    "  FROM s FULL JOIN e USING (part, contact_id, attempt) WHERE s.ts IS NOT NULL OR e.settled IS NOT NULL),"
    " d AS (SELECT route_id, (accepted AT TIME ZONE $4)::date AS day, 1 AS accepted, 0 AS delivered, 0 AS failed, n AS parts, 0::int8 AS quantity FROM m"
    "  UNION ALL SELECT route_id, (coalesce(failed, delivered) AT TIME ZONE $4)::date, 0, (failed IS NULL)::int, (failed IS NOT NULL)::int, 0, quantity FROM m"
    "   WHERE coalesce(failed, delivered) IS NOT NULL),"
    " r AS (SELECT t.public_id, t.name, t.channel, d.day, sum(accepted) AS accepted, sum(delivered) AS delivered, sum(failed) AS failed, sum(parts) AS parts,"
    "  CASE WHEN t.channel = 3 THEN sum(quantity) ELSE 0 END AS seconds FROM d JOIN route t USING (route_id)"
    "  WHERE d.day BETWEEN $2::date AND $3::date GROUP BY t.route_id, t.public_id, t.name, t.channel, d.day)"
    " SELECT CASE WHEN $5 THEN format('%s,%s,%s,%s,%s,%s,%s,%s,%s', $1, day, public_id, \"csv_word\", " SQL_CHANNEL("channel") ", accepted, delivered, failed, parts) || ',' || seconds"
    "  ELSE json_build_object('day', day, 'route', public_id, 'name', name, 'channel', " SQL_CHANNEL("channel") ", 'accepted', accepted, 'delivered', delivered,"
    "  'failed', failed, 'parts', parts, 'seconds', seconds)::text END"
    " FROM (SELECT *, '\"' || replace(regexp_replace(name, '^([=+@-])', ' \\1'), '\"', '\"\"') || '\"' AS csv_word FROM r) r ORDER BY day, public_id";
/* clang-format on */

int store_settlements(struct db *db, const struct store_settle_query *q, bool csv, struct buf *ret,
                      struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, q->partner_id);
    dbp_text(&p, q->from);
    dbp_text(&p, q->to);
    dbp_text(&p, q->zone);
    dbp_bool(&p, csv);
    int rc = db_query(db, settle_sql, &p, &r, diag);
    if (rc < 0)
        return rc;
    if (csv)
        buf_puts(ret, "partner,day,route,name,channel,accepted,delivered,failed,parts,seconds\r\n");
    for (int i = 0; i < dbr_rows(r); i++) {
        buf_puts(ret, !csv && i ? "," : "");
        buf_puts(ret, dbr_text(r, i, 0));
        buf_puts(ret, csv ? "\r\n" : "");
    }
    return ret->failed ? diag_set(diag, CGW_ELIMIT, "", "too many rows; ask for fewer days") : 0;
}
