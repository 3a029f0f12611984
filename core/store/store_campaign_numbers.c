/* SPDX-License-Identifier: Apache-2.0 */
/* store_campaign_numbers.c - how far a campaign is, what it waits for, and its funnel, from the
 * exact counts that are kept in the transactions of the rows they count. Kinds of campaign_stat
 * (stored numbers): 1 held (code = reason), 2 submitted, 3 delivered, 4 failed, 5 expired, 6
 * unknown, 7 segments, 8 retries, 9 ever in doubt, 10 settled, 11 responses, 12 accepted without a
 * receipt to come, 13 events by sub-outcome. */
#include "base/word.h"
#include "store/store_campaign.h"
#include "store/store_json.h"

#include "policy/policy.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MINE(n) "NOT c.system AND ($" n " = 0 OR c.partner_id = $" n ")"
/* People of a wave: of its set, before it is fixed of the audience as it stands. */
/* clang-format off */
#define WAVE_PEOPLE \
    "coalesce((SELECT s.n_rows FROM recipient_set s WHERE s.set_id = coalesce(w.set_id," \
    " (SELECT a.set_id FROM audience a WHERE a.audience_id = c.audience_id))), 0)"
/* clang-format on */

/* ---- progress -------------------------------------------------------------------------------- */
/* $1 public id, $2 scope, $3 now, $4 instances that are down.
 * Reasons of waiting by their stored numbers: 40s caps, 50s calendar, 110s the network asks for
 * time; 0 = not_before of the campaign. rate: people in the newest windows (at most 200 a part) of
 * the last 10 s. */
/* clang-format off */
#define PROGRESS \
    "WITH c AS (SELECT c.*, w.waves, w.total FROM campaign c, LATERAL (SELECT" \
    " coalesce(array_agg(w.wave_id), '{}') AS waves, coalesce(sum(" WAVE_PEOPLE "), 0)::int8" \
    " AS total" \
    " FROM wave w WHERE w.campaign_id = c.campaign_id) w WHERE c.public_id = $1 AND " \
    MINE("2") ")," \
    " done AS (SELECT coalesce(sum(s.n), 0)::int8 AS n FROM campaign_stat s, c WHERE" \
    " s.wave_id = ANY(c.waves) AND s.kind IN (1, 2))," \
    " parts AS (SELECT array_agg(part) AS p FROM part_list)," \
    " due AS (SELECT EXISTS (SELECT FROM wave w WHERE w.wave_id = ANY(c.waves) AND (w.state =" \
    " 'planning' OR (w.state = 'waiting' AND coalesce(" SQL_WAVE_BEGINS("$3") " <= $3, true))))" \
    "  OR EXISTS (SELECT FROM chunk k WHERE k.part = ANY(parts.p) AND k.wave_id =" \
    " ANY(c.waves) AND k.state < 2 AND (k.state = 1 OR k.not_before IS NULL OR k.not_before" \
    " <= $3))" \
    "  OR EXISTS (SELECT FROM echo e WHERE e.part = ANY(parts.p) AND e.wave_id =" \
    " ANY(c.waves) AND (e.state > 0 OR e.not_before <= $3)) AS now FROM c, parts)," \
    " next AS (SELECT not_before, reason FROM (" \
    "  SELECT k.not_before, k.reason FROM chunk k, c, parts WHERE k.part = ANY(parts.p) AND" \
    " k.wave_id = ANY(c.waves) AND k.state = 0 AND k.not_before > $3" \
    "  UNION ALL SELECT e.not_before, e.reason FROM echo e, c, parts WHERE e.part =" \
    " ANY(parts.p) AND e.wave_id = ANY(c.waves) AND e.state = 0 AND e.not_before > $3" \
    "  UNION ALL SELECT " SQL_WAVE_BEGINS("$3") ", 0::int2 FROM c JOIN wave w ON w.wave_id =" \
    " ANY(c.waves) WHERE w.state = 'waiting' AND " SQL_WAVE_BEGINS("$3") " > $3) x" \
    "  ORDER BY not_before, reason LIMIT 1)," \
    " way AS (SELECT bool_and(EXISTS (SELECT FROM route r WHERE NOT r.archived AND r.state =" \
    " 'active' AND r.channel = w.channel AND r.instance <> ALL($4::text[])" \
    "  AND (cardinality(w.routes) = 0 OR r.public_id = ANY(w.routes)) AND (r.class_mask = 0" \
    " OR r.class_mask >> c.class & 1 = 1) AND r.partner_id IN (0, c.partner_id)" \
    "  AND NOT EXISTS (SELECT FROM queue_pause q WHERE q.route_id = r.route_id AND q.lane =" \
    " w.lane))) AS up FROM c JOIN wave w ON w.wave_id = ANY(c.waves)" \
    "  WHERE w.state NOT IN ('waiting', 'done', 'cancelled'))," \
    " rate AS (SELECT coalesce(sum(i.seq_hi - i.seq_lo + 1), 0)::float8 / greatest(1," \
    " least(10, extract(epoch FROM now() - coalesce(max(c.started_at), now())))) AS r" \
    "  FROM c, unnest((SELECT p FROM parts)) u (part), unnest(c.waves) w (id), LATERAL" \
    " (SELECT * FROM intent i WHERE i.part = u.part AND i.wave_id = w.id ORDER BY i.seq_lo" \
    " DESC LIMIT 200) i" \
    "  WHERE c.state = 'running' AND i.at > $3::timestamptz - interval '10 seconds')," \
    " last AS (SELECT max(least(c.not_after, w.drained_at + make_interval(secs => CASE WHEN" \
    " w.validity_ms > 0 THEN w.validity_ms / 1000 ELSE 172800 END))) AS at" \
    "  FROM c JOIN wave w ON w.wave_id = ANY(c.waves))," \
    " wait AS (SELECT CASE WHEN c.state = 'scheduled' THEN 'schedule' WHEN c.state =" \
    " 'finishing' THEN 'receipts' WHEN c.state <> 'running' THEN NULL" \
    "  WHEN c.not_before > $3 THEN 'schedule' WHEN (SELECT s.state <> 'running' FROM" \
    " dispatch_switch s) THEN 'dispatch_paused' WHEN NOT way.up THEN 'route_down'" \
    "  WHEN due.now OR next.reason IS NULL THEN NULL WHEN next.reason BETWEEN 50 AND 59 THEN" \
    " 'quiet_calendar' WHEN next.reason BETWEEN 40 AND 49 THEN 'cap_window'" \
    "  WHEN next.reason = 0 THEN 'schedule' WHEN next.reason = 113 THEN 'dispatch_paused'" \
    " ELSE 'capacity' END AS what FROM c CROSS JOIN due CROSS JOIN way LEFT JOIN next ON true)" \
    "SELECT json_build_object('state', c.state, 'done', done.n, 'total', c.total, 'unit'," \
    " 'contacts', 'rate_per_s', round(rate.r::numeric, 1)," \
    " 'eta', CASE WHEN c.state = 'running' AND wait.what IS NULL AND rate.r > 0 AND c.total" \
    " > done.n THEN " \
    SQL_TIME("($3::timestamptz + make_interval(secs => (c.total - done.n) / rate.r))") " END," \
    " 'waiting_for', wait.what, 'until', " SQL_TIME("CASE WHEN wait.what = 'schedule' AND" \
    " c.not_before > $3 THEN c.not_before WHEN wait.what = 'receipts' THEN last.at" \
    " WHEN wait.what IN ('quiet_calendar', 'cap_window', 'capacity', 'schedule') THEN" \
    " next.not_before END") ")::text" \
    " FROM c CROSS JOIN done CROSS JOIN rate CROSS JOIN last CROSS JOIN wait LEFT JOIN next ON true"
/* clang-format on */

int store_campaign_progress(struct db *db, struct store_scope scope, const char *public_id,
                            const struct store_live *live, struct buf *ret, struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, public_id);
    dbp_int4(&p, scope.partner_id);
    dbp_ts(&p, live->now_ms);
    dbp_text_array(&p, live->down, live->n_down);
    int rc = store_json_one(db, PROGRESS, &p, ret, diag);
    return rc == CGW_ENOTFOUND ? diag_set(diag, CGW_ENOTFOUND, "", "no campaign %.39s", public_id)
                               : rc;
}

/* ---- funnel ---------------------------------------------------------------------------------- */
enum {
    KIND_HELD = 1,
    KIND_SUBMITTED,
    KIND_DELIVERED,
    KIND_FAILED,
    KIND_EXPIRED,
    KIND_UNKNOWN,
    KIND_SEGMENTS,
    KIND_RETRIES,
    KIND_IN_DOUBT,
    KIND_SETTLED,
    KIND_RESPONSES,
    KIND_NO_RECEIPT,
    KIND_SUB,
    KIND_RECALLED,
    KINDS
};
#define REASONS 256
#define SUBS 16 /* more than there are CGW_SUB_* */

struct counts {
    int64_t people, held[REASONS], sub[SUBS], kind[KINDS];
};
struct group {
    int wave_no; /* 0: not split by wave */
    int channel; /* 0: not split by channel */
    struct counts n;
};
struct funnel {
    struct counts total;
    struct group *groups; /* owned */
    size_t n;
};

static struct group *group_of(struct funnel *f, unsigned by, int wave_no, int channel)
{
    int w = by & FUNNEL_BY_WAVE ? wave_no : 0, ch = by & FUNNEL_BY_CHANNEL ? channel : 0;
    for (size_t i = 0; i < f->n; i++)
        if (f->groups[i].wave_no == w && f->groups[i].channel == ch)
            return &f->groups[i];
    struct group *more = realloc(f->groups, (f->n + 1) * sizeof *more);
    if (!more)
        return NULL;
    f->groups = more;
    f->groups[f->n] = (struct group){.wave_no = w, .channel = ch};
    return &f->groups[f->n++];
}

static void add(struct counts *c, int64_t people, int64_t kind, int64_t code, int64_t n)
{
    c->people += people;
    if (kind <= 0 || kind >= KINDS)
        return;
    c->kind[kind] += n;
    if (kind == KIND_HELD && code >= 0 && code < REASONS)
        c->held[code] += n;
    if (kind == KIND_SUB && code >= 0 && code < SUBS)
        c->sub[code] += n;
}

/* Rows: wave_no, channel, people (first row of a wave, else 0), kind, code, n. Whoever a cancelled
 * wave never began with is held by that. */
/* clang-format off */
#define FUNNEL \
    "WITH c AS (SELECT c.* FROM campaign c WHERE c.public_id = $1 AND " MINE("2") ")," \
    " w AS (SELECT w.*, " WAVE_PEOPLE "::int8 AS people FROM c JOIN wave w USING (campaign_id))" \
    "SELECT w.wave_no, w.channel, w.people, 0::int2, 0, 0::int8 FROM w" \
    " UNION ALL SELECT w.wave_no, w.channel, 0::int8, s.kind, s.code, sum(s.n)::int8 FROM w" \
    " JOIN campaign_stat s USING (wave_id) GROUP BY 1, 2, 4, 5" \
    " UNION ALL SELECT w.wave_no, w.channel, 0::int8, 1::int2, $3::int4, w.people FROM w" \
    " WHERE w.state = 'cancelled' AND w.people > 0" \
    " ORDER BY 1, 4, 5"
/* clang-format on */

static int read_funnel(struct db *db, struct store_scope scope, const char *public_id, unsigned by,
                       struct funnel *f, struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, public_id);
    dbp_int4(&p, scope.partner_id);
    dbp_int4(&p, REASON_CAMPAIGN_CANCELLED);
    int rc = db_query(db, FUNNEL, &p, &r, diag);
    if (rc < 0)
        return rc;
    if (dbr_rows(r) == 0)
        return diag_set(diag, CGW_ENOTFOUND, "", "no campaign %.39s", public_id);
    for (int i = 0; i < dbr_rows(r); i++) {
        struct group *g = group_of(f, by, (int)dbr_int(r, i, 0), (int)dbr_int(r, i, 1));
        if (!g)
            return diag_set(diag, -ENOMEM, "", "out of memory");
        add(&f->total, dbr_int(r, i, 2), dbr_int(r, i, 3), dbr_int(r, i, 4), dbr_int(r, i, 5));
        add(&g->n, dbr_int(r, i, 2), dbr_int(r, i, 3), dbr_int(r, i, 4), dbr_int(r, i, 5));
    }
    return 0;
}

static int64_t held_in(const struct counts *c, enum funnel_stage stage)
{
    int64_t n = 0;
    for (int i = 0; i < REASONS; i++)
        if (c->held[i] && reason_stage(i) == stage)
            n += c->held[i];
    return n;
}

static void put(struct buf *out, const char *name, int64_t n)
{
    buf_printf(out, "\"%s\":%lld,", name, (long long)n);
}

static void put_held(struct buf *out, const struct counts *c)
{
    const char *comma = "";
    buf_puts(out, "\"held\":{");
    for (int i = 0; i < REASONS; i++) {
        if (!c->held[i])
            continue;
        buf_printf(out, "%s\"%s\":%lld", comma, reason_word(i), (long long)c->held[i]);
        comma = ",";
    }
    buf_puts(out, "},");
}

static void put_subs(struct buf *out, const struct counts *c)
{
    const char *comma = "";
    buf_puts(out, "\"by_sub\":{");
    for (unsigned i = 1; i < SUBS; i++) {
        if (!c->sub[i] || !sub_word(i)[0])
            continue;
        buf_printf(out, "%s\"%s\":%lld", comma, sub_word(i), (long long)c->sub[i]);
        comma = ",";
    }
    buf_puts(out, "},");
}

/* The stages in their one order, without braces. */
static void put_stages(struct buf *out, const struct counts *c)
{
    static const struct {
        enum funnel_stage stage;
        const char *name;
    } nested[] = {{STAGE_DND, "after_dnd"},   {STAGE_CONSENT, "after_consent"},
                  {STAGE_STOP, "after_stop"}, {STAGE_ASSIGNMENT, "after_assignment"},
                  {STAGE_CAPS, "after_caps"}, {STAGE_CALENDAR, "after_calendar"}};
    static const struct {
        int kind;
        const char *name;
    } ends[] = {{KIND_DELIVERED, "delivered"},
                {KIND_FAILED, "failed"},
                {KIND_EXPIRED, "expired"},
                {KIND_RECALLED, "recalled"},
                {KIND_UNKNOWN, "unknown"}},
      beside[] = {{KIND_RESPONSES, "responded"},
                  {KIND_IN_DOUBT, "in_doubt"},
                  {KIND_SETTLED, "settled"},
                  {KIND_RETRIES, "retries"},
                  {KIND_SEGMENTS, "segments"}};
    int64_t left = c->people, pending = c->kind[KIND_SUBMITTED];
    put(out, "audience", c->people);
    for (size_t i = 0; i < ARRAY_LEN(nested); i++)
        put(out, nested[i].name, left -= held_in(c, nested[i].stage));
    put(out, "submitted", c->kind[KIND_SUBMITTED]);
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        put(out, ends[i].name, c->kind[ends[i].kind]);
        pending -= c->kind[ends[i].kind];
    }
    put(out, "pending", pending - c->kind[KIND_NO_RECEIPT]);
    put(out, "waiting", c->people - c->kind[KIND_HELD] - c->kind[KIND_SUBMITTED]);
    put_held(out, c);
    put_subs(out, c);
    for (size_t i = 0; i < ARRAY_LEN(beside); i++)
        put(out, beside[i].name, c->kind[beside[i].kind]);
    out->len--; /* the last comma */
}

static void put_group(struct buf *out, const struct group *g)
{
    buf_putc(out, '{');
    if (g->wave_no)
        buf_printf(out, "\"wave\":%d,", g->wave_no);
    if (g->channel > 0)
        buf_printf(out, "\"channel\":\"%s\",", channel_word((uint32_t)g->channel));
    put_stages(out, &g->n);
    buf_putc(out, '}');
}

int store_campaign_funnel(struct db *db, struct store_scope scope, const char *public_id,
                          unsigned by, struct buf *ret, struct diag *diag)
{
    struct funnel *f = calloc(1, sizeof *f);
    if (!f)
        return diag_set(diag, -ENOMEM, "", "out of memory");
    int rc = read_funnel(db, scope, public_id, by, f, diag);
    if (rc == 0) {
        buf_printf(ret, "{\"campaign\":\"%s\",", public_id);
        put_stages(ret, &f->total);
        buf_puts(ret, ",\"groups\":[");
        for (size_t i = 0; by && i < f->n; i++) {
            if (i)
                buf_putc(ret, ',');
            put_group(ret, &f->groups[i]);
        }
        buf_puts(ret, "]}");
    }
    free(f->groups);
    free(f);
    return rc < 0        ? rc
           : ret->failed ? diag_set(diag, CGW_ELIMIT, "", "answer exceeds %zu bytes", ret->max)
                         : 0;
}
