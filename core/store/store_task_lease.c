/* SPDX-License-Identifier: Apache-2.0 */
/* store_task_lease.c - the agents' half of tasks: lease, release, report, look. A lease asks the
 * rules once more: who opted out, withdrew consent, or belongs to a campaign that was paused since
 * is not given out. See store_task.h. */
#include "store/store_task.h"

#include "policy/policy.h"
#include "store/store_dnd.h"
#include "store/store_ids.h"
#include "store/store_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ROUNDS_MAX 16 /* of a lease that meets many people who opted out */

/* ---- what a person may be told about: the last contacts ---------------------------------------
 */
/* clang-format off */
#define HISTORY(part, customer, contact, partner) \
    "(SELECT coalesce(json_agg(json_build_object('at', " SQL_TIME("h.decided_at") ", 'channel', "    \
    SQL_CHANNEL("h.channel") ", 'campaign', h.campaign, 'outcome', h.outcome) ORDER BY h.decided_at" \
    " DESC), '[]') FROM (SELECT l.decided_at, l.channel, hc.public_id AS campaign, coalesce((SELECT" \
    " CASE WHEN v.code_space = 'task.outcome' THEN split_part(v.detail, ' ', 1) ELSE"                \
    " (ARRAY['?','delivered','failed','expired','refused','?','?','?','?','?','?','unknown','?','recalled'])"       \
    "[v.kind] END FROM contact_event v WHERE v.part = " part " AND v.contact_id = l.contact_id AND"  \
    " v.kind IN (2, 3, 4, 5, 12, 14) ORDER BY v.ts DESC, v.kind LIMIT 1), CASE WHEN EXISTS (SELECT FROM" \
    " contact_submit s WHERE s.part = " part " AND s.contact_id = l.contact_id) THEN 'accepted' END)"\
    " AS outcome FROM contact_log l JOIN wave hw ON hw.wave_id = l.wave_id JOIN campaign hc USING"   \
    " (campaign_id) WHERE l.part = " part " AND l.customer_id = " customer " AND l.contact_id <> "   \
    contact " AND l.verdict = 1 AND (" partner " = 0 OR l.partner_id = " partner ") AND NOT EXISTS"  \
    " (SELECT FROM contact_log n WHERE n.part = " part " AND n.contact_id = l.contact_id AND"        \
    " n.attempt > l.attempt)"                                                                        \
    " ORDER BY l.decided_at DESC LIMIT 10) h WHERE h.outcome IS NOT NULL)"
/* clang-format on */

/* ---- lease ------------------------------------------------------------------------------------
 */
/* Reason why a task may not be given out any more, 0 = it may. Same order and same rows as the
 * decision: list entries of the widest scope, then the person's latest word on consent. */
/* clang-format off */
#define FORBIDDEN \
    "coalesce(CASE WHEN k.dnd THEN (SELECT d.reason FROM dnd d WHERE d.part = t.part AND"            \
    " d.customer_id = t.customer_id AND d.scope IN (0, 1000 + w.channel, 2000 + c.class) AND"        \
    " d.partner_id IN (0, c.partner_id) ORDER BY d.scope, d.list_id LIMIT 1) END, CASE WHEN"         \
    " k.consent THEN coalesce((SELECT CASE WHEN n.state = 2 THEN 11 WHEN n.expires <= $1 THEN 12"    \
    " ELSE 0 END FROM consent n WHERE n.part = t.part AND n.customer_id = t.customer_id AND"         \
    " n.purpose = c.purpose AND n.channel IN (0, w.channel) ORDER BY n.at DESC, n.state DESC"        \
    " LIMIT 1), 10) END, 0)"
static const char pick_sql[] =
    "SELECT t.part, t.contact_id, t.attempt, t.task_key, t.leases, t.until, t.instance, c.public_id,"
    " w.wave_no, " SQL_CLASS("c.class") ", t.document, " FORBIDDEN " FROM task t JOIN wave w ON"
    " w.wave_id = (t.contact_id >> 32)::int4 JOIN campaign c USING (campaign_id) JOIN class_rule k"
    " USING (class) JOIN route r ON r.route_id = t.route_id"
    " WHERE t.state < 2 AND t.until > $1 AND (t.state = 0 OR t.lease_until <= $1)"
    " AND ($2::text IS NULL OR t.instance = $2) AND ($3 = 0 OR w.channel = $3) AND ($4 = 0 OR"
    " c.partner_id = $4) AND ($5::text IS NULL OR c.public_id = $5) AND c.state IN ('running',"
    " 'finishing') AND w.state <> 'cancelled' AND r.state <> 'paused' AND (SELECT state FROM"
    " dispatch_switch) <> 'paused'"
    " ORDER BY t.until, t.part, t.contact_id LIMIT $6 FOR UPDATE OF t SKIP LOCKED";
/* clang-format on */

struct keys {
    int32_t part[STORE_TASK_PICK_MAX];
    int64_t contact[STORE_TASK_PICK_MAX];
    int16_t attempt[STORE_TASK_PICK_MAX];
    int16_t reason[STORE_TASK_PICK_MAX];
    int n;
};

static int pick(struct db *db, struct store_scope scope, const struct task_ask *ask, int most,
                struct db_result **ret, struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_ts(&p, ask->now_ms);
    dbp_text(&p, ask->instance);
    dbp_int4(&p, ask->channel);
    dbp_int4(&p, scope.partner_id);
    dbp_text(&p, ask->campaign);
    dbp_int4(&p, most);
    return db_query(db, pick_sql, &p, ret, diag);
}

static void add_key(struct keys *k, const struct db_result *r, int i, int reason)
{
    k->part[k->n] = (int32_t)dbr_int(r, i, 0);
    k->contact[k->n] = dbr_int(r, i, 1);
    k->attempt[k->n] = (int16_t)dbr_int(r, i, 2);
    k->reason[k->n++] = (int16_t)reason;
}

static void key_params(struct db_params *p, const struct keys *k)
{
    dbp_init(p);
    dbp_int4_array(p, k->part, (size_t)k->n);
    dbp_int8_array(p, k->contact, (size_t)k->n);
    dbp_int2_array(p, k->attempt, (size_t)k->n);
}

#define KEYS                                                                                       \
    " FROM unnest($1::int4[], $2::int8[], $3::int2[]) k (part, contact_id, attempt) WHERE t.part " \
    "= k.part AND t.contact_id = k.contact_id AND t.attempt = k.attempt"

static int withdraw(struct db *db, const struct keys *k, int64_t now_ms, struct diag *diag)
{
    struct db_params p;
    if (k->n == 0)
        return 0;
    key_params(&p, k);
    dbp_int2_array(&p, k->reason, (size_t)k->n);
    dbp_ts(&p, now_ms);
    return db_exec(
        db,
        "UPDATE task t SET state = 4, outcome = k.reason, ended_at = $5, lease_until = NULL FROM "
        "unnest($1::int4[], $2::int8[], $3::int2[], $4::int2[]) k (part, contact_id, attempt, "
        "reason) WHERE t.part = k.part AND t.contact_id = k.contact_id AND t.attempt = k.attempt",
        &p, NULL, diag);
}

static int lease(struct db *db, const struct keys *k, const struct task_ask *ask, int64_t most_ms,
                 struct diag *diag)
{
    struct db_params p;
    if (k->n == 0)
        return 0;
    key_params(&p, k);
    dbp_ts(&p, most_ms);
    dbp_text(&p, ask->agent);
    return db_exec(db,
                   "UPDATE task t SET state = 1, leases = t.leases + 1, agent = $5, lease_until = "
                   "least(t.until, $4)" KEYS,
                   &p, NULL, diag);
}

static int history_of(struct db *db, struct store_scope scope, int32_t part, int64_t contact_id,
                      int16_t attempt, struct db_result **ret, struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, part);
    dbp_int8(&p, contact_id);
    dbp_int2(&p, attempt);
    dbp_int4(&p, scope.partner_id);
    return db_query(
        db,
        "SELECT " HISTORY(
            "$1", "t.customer_id", "$2",
            "$4") "::text FROM task t WHERE t.part = $1 AND t.contact_id = $2 AND t.attempt = $3",
        &p, ret, diag);
}

static int give(struct db *db, struct store_scope scope, const struct db_result *r, int i,
                int64_t lease_until_ms, task_given_fn fn, void *ctx, struct diag *diag)
{
    struct task_given g = {.part = (int32_t)dbr_int(r, i, 0),
                           .contact_id = dbr_int(r, i, 1),
                           .attempt = (int16_t)dbr_int(r, i, 2),
                           .task_key = dbr_int(r, i, 3),
                           .leases = (int)dbr_int(r, i, 4) + 1,
                           .until_ms = dbr_ts(r, i, 5),
                           .instance = dbr_text(r, i, 6),
                           .campaign = dbr_text(r, i, 7),
                           .wave_no = (int)dbr_int(r, i, 8),
                           .contact_class = dbr_text(r, i, 9),
                           .document = dbr_text(r, i, 10)};
    g.lease_until_ms = lease_until_ms < g.until_ms ? lease_until_ms : g.until_ms;
    auto_dbr struct db_result *h = NULL;
    int rc = history_of(db, scope, g.part, g.contact_id, g.attempt, &h, diag);
    if (rc < 0)
        return rc;
    g.history = dbr_rows(h) ? dbr_text(h, 0, 0) : "[]";
    return fn(ctx, &g);
}

/* One round: \return tasks looked at, negative on failure. */
static int lease_round(struct db *db, struct store_scope scope, const struct task_ask *ask,
                       task_given_fn fn, void *ctx, size_t *bytes, struct task_lease_counts *n,
                       struct diag *diag)
{
    struct keys given = {.n = 0}, gone = {.n = 0};
    auto_dbr struct db_result *r = NULL;
    int64_t until_ms = ask->lease_ms == INT64_MAX ? INT64_C(253402300799000) /* year 9999 */
                                                  : ask->now_ms + ask->lease_ms;
    int rc = pick(db, scope, ask, ask->limit - n->given, &r, diag);
    for (int i = 0; rc == 0 && i < dbr_rows(r); i++) {
        int reason = (int)dbr_int(r, i, 11);
        *bytes += reason ? 0 : (size_t)dbr_len(r, i, 10);
        if (reason) {
            add_key(&gone, r, i, reason);
        } else if (*bytes <= STORE_TASK_BYTES_MAX || n->given == 0) {
            add_key(&given, r, i, 0);
            rc = give(db, scope, r, i, until_ms, fn, ctx, diag);
            n->given++;
        }
    }
    if (rc == 0)
        rc = withdraw(db, &gone, ask->now_ms, diag);
    if (rc == 0)
        rc = lease(db, &given, ask, until_ms, diag);
    n->withdrawn += gone.n;
    return rc < 0 ? rc : dbr_rows(r);
}

int store_task_lease(struct db *db, struct store_scope scope, const struct task_ask *ask,
                     task_given_fn fn, void *ctx, struct task_lease_counts *ret, struct diag *diag)
{
    size_t bytes = 0;
    *ret = (struct task_lease_counts){0};
    if (ask->limit < 1 || ask->limit > STORE_TASK_PICK_MAX)
        return diag_set(diag, CGW_EINVAL, "?limit", "1 to %d", STORE_TASK_PICK_MAX);
    for (int round = 0; round < ROUNDS_MAX; round++) {
        int before = ret->given, want = ask->limit - before;
        int seen = lease_round(db, scope, ask, fn, ctx, &bytes, ret, diag);
        if (seen < 0)
            return seen;
        if (seen < want || ret->given == ask->limit || bytes > STORE_TASK_BYTES_MAX)
            break;
    }
    return 0;
}

/* ---- release, report --------------------------------------------------------------------------
 */
struct standing {
    int32_t part, partner_id;
    int64_t contact_id, customer_id, until_ms;
    int16_t attempt;
    int state, outcome, leases, seconds;
    char note[STORE_TASK_NOTE_MAX + 1];
};

static int find(struct db *db, struct store_scope scope, int64_t key, struct standing *ret,
                struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, (int32_t)(key & 63));
    dbp_int8(&p, key);
    dbp_int4(&p, scope.partner_id);
    auto_dbr struct db_result *r = NULL;
    int rc = db_query(db,
                      "SELECT t.part, t.contact_id, t.attempt, t.customer_id, t.until, t.state, "
                      "t.outcome, t.leases, t.seconds, t.note FROM task t JOIN wave w ON w.wave_id "
                      "= (t.contact_id >> 32)::int4 JOIN campaign c USING (campaign_id) WHERE "
                      "t.part = $1 AND t.task_key = $2 AND ($3 = 0 OR c.partner_id = $3) FOR "
                      "UPDATE OF t",
                      &p, &r, diag);
    if (rc < 0)
        return rc;
    if (dbr_rows(r) == 0)
        return diag_set(diag, CGW_ENOTFOUND, "", "no such task");
    *ret = (struct standing){.part = (int32_t)dbr_int(r, 0, 0),
                             .contact_id = dbr_int(r, 0, 1),
                             .attempt = (int16_t)dbr_int(r, 0, 2),
                             .customer_id = dbr_int(r, 0, 3),
                             .until_ms = dbr_ts(r, 0, 4),
                             .state = (int)dbr_int(r, 0, 5),
                             .outcome = (int)dbr_int(r, 0, 6),
                             .leases = (int)dbr_int(r, 0, 7),
                             .seconds = (int)dbr_int(r, 0, 8)};
    (void)snprintf(ret->note, sizeof ret->note, "%s", dbr_text(r, 0, 9));
    return 0;
}

/* 0: the report is news. 1: the same was said before. */
static int judge(const struct standing *t, const struct task_report *r, struct diag *diag)
{
    if (t->state == TASK_DONE) {
        bool same =
            t->outcome == r->outcome && t->seconds == r->seconds && !strcmp(t->note, r->note);
        const struct task_word *w = task_word(t->outcome);
        return same ? 1
                    : diag_set(diag, CGW_ESTATE, "",
                               "this task has an outcome already, %s; the first one stands",
                               w ? w->word : "another");
    }
    if (t->state > TASK_LEASED)
        return diag_set(diag, CGW_ESTATE, "",
                        "this task is %s: it was not to be worked on any more",
                        task_state_word(t->state));
    if (t->leases == 0)
        return diag_set(diag, CGW_ESTATE, "", "nobody has taken this task: lease it first");
    if (r->now_ms > t->until_ms + STORE_TASK_REPORT_MS)
        return diag_set(diag, CGW_ESTATE, "",
                        "the window of this task ended more than %d s ago: it has expired",
                        (int)(STORE_TASK_REPORT_MS / 1000));
    return 0;
}

static int forbid(struct db *db, const struct standing *t, const struct task_report *r,
                  uint64_t *io_parts, struct diag *diag)
{
    static const int32_t scopes[] = {DND_SCOPE_CLASS(CGW_CLASS_MARKETING),
                                     DND_SCOPE_CLASS(CGW_CLASS_SERVICE),
                                     DND_SCOPE_CLASS(CGW_CLASS_REPLY)};
    const struct task_word *w = task_word(r->outcome);
    struct store_dnd_fact fact = {.part = t->part,
                                  .customer_id = t->customer_id,
                                  .scopes = scopes,
                                  .n_scopes = w->n_scopes,
                                  .list_id = STORE_DND_OPTOUTS,
                                  .reason = REASON_DND_OPTOUT,
                                  .at_utc_ms = r->now_ms};
    return w->n_scopes ? store_dnd_put(db, &fact, io_parts, NULL, diag) : 0;
}

int store_task_report(struct db *db, struct store_scope scope, const struct task_report *r,
                      uint64_t *io_parts, bool *ret_new, struct diag *diag)
{
    struct standing t;
    int rc = find(db, scope, r->task_key, &t, diag);
    *ret_new = false;
    if (rc == 0)
        rc = judge(&t, r, diag);
    if (rc)
        return rc < 0 ? rc : 0;
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, t.part);
    dbp_int8(&p, t.contact_id);
    dbp_int2(&p, t.attempt);
    dbp_int2(&p, (int16_t)r->outcome);
    dbp_int4(&p, r->seconds);
    dbp_text(&p, r->note);
    dbp_ts(&p, r->now_ms);
    rc = db_exec(db,
                 "UPDATE task SET state = 2, outcome = $4, seconds = $5, note = $6, ended_at = $7, "
                 "lease_until = NULL WHERE part = $1 AND contact_id = $2 AND attempt = $3",
                 &p, NULL, diag);
    *ret_new = rc == 0;
    return rc < 0 ? rc : forbid(db, &t, r, io_parts, diag);
}

int store_task_release(struct db *db, struct store_scope scope, int64_t task_key, struct diag *diag)
{
    struct standing t;
    int rc = find(db, scope, task_key, &t, diag);
    if (rc < 0)
        return rc;
    if (t.state > TASK_LEASED)
        return diag_set(diag, CGW_ESTATE, "", "this task is %s: there is no lease to give back",
                        task_state_word(t.state));
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, t.part);
    dbp_int8(&p, t.contact_id);
    dbp_int2(&p, t.attempt);
    return db_exec(db,
                   "UPDATE task SET state = 0, lease_until = NULL, agent = '' WHERE part = $1 AND "
                   "contact_id = $2 AND attempt = $3",
                   &p, NULL, diag);
}

/* ---- look -------------------------------------------------------------------------------------
 */
/* clang-format off */
#define OUTCOME_WORD \
    "CASE WHEN t.state = 2 THEN (ARRAY['reached','no_answer','busy','refused','wrong_number'," \
    "'opted_out','opted_out_all','callback','machine','failed'])[t.outcome] END"
#define MEMBERS \
    "'campaign', c.public_id, 'wave', w.wave_no, 'channel', " SQL_CHANNEL("w.channel") ", 'instance',"     \
    " t.instance, 'class', " SQL_CLASS("c.class") ", 'state', (ARRAY['open','leased','done','expired',"    \
    "'withdrawn'])[t.state + 1], 'created_at', " SQL_TIME("t.created_at") ", 'until', " SQL_TIME("t.until")\
    ", 'lease_until', " SQL_TIME("t.lease_until") ", 'agent', nullif(t.agent, ''), 'leases', t.leases,"    \
    " 'outcome', " OUTCOME_WORD ", 'seconds', CASE WHEN t.state = 2 THEN t.seconds END, 'ended_at', "      \
    SQL_TIME("t.ended_at") ", 'logged', t.settled"
/* clang-format on */

/* The members that C knows better: the ids. */
static void put_ids(struct buf *out, int64_t key, int64_t contact, const char *rest, size_t len)
{
    char tsk[STORE_ID_TEXT_MAX], con[STORE_ID_TEXT_MAX];
    store_id_encode("tsk", key, tsk, sizeof tsk);
    store_id_encode("con", contact, con, sizeof con);
    buf_printf(out, "{\"id\":\"%s\",\"contact\":\"%s\",", tsk, con);
    buf_put(out, rest + 1, len - 1);
}

int store_task_json(struct db *db, struct store_scope scope, int64_t task_key, bool whole,
                    struct buf *ret, struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, (int32_t)(task_key & 63));
    dbp_int8(&p, task_key);
    dbp_int4(&p, scope.partner_id);
    auto_dbr struct db_result *r = NULL;
    int rc = db_query(db,
                      "SELECT t.contact_id, json_build_object(" MEMBERS
                      ")::text, t.document, nullif(t.note, ''), t.attempt FROM task t JOIN wave w "
                      "ON w.wave_id = (t.contact_id >> 32)::int4 JOIN campaign c USING "
                      "(campaign_id) WHERE t.part = $1 AND t.task_key = $2 AND ($3 = 0 OR "
                      "c.partner_id = $3)",
                      &p, &r, diag);
    if (rc < 0)
        return rc;
    if (dbr_rows(r) == 0)
        return diag_set(diag, CGW_ENOTFOUND, "", "no such task");
    put_ids(ret, task_key, dbr_int(r, 0, 0), dbr_text(r, 0, 1), (size_t)dbr_len(r, 0, 1));
    if (whole) { /* an address and what people said: for those who work on tasks */
        auto_dbr struct db_result *h = NULL;
        rc = history_of(db, scope, (int32_t)(task_key & 63), dbr_int(r, 0, 0),
                        (int16_t)dbr_int(r, 0, 4), &h, diag);
        if (rc < 0)
            return rc;
        ret->len--;
        buf_puts(ret, ",\"text\":");
        if (dbr_null(r, 0, 3))
            buf_puts(ret, "null");
        else
            buf_put_json(ret, dbr_text(r, 0, 3), (size_t)dbr_len(r, 0, 3));
        buf_printf(ret, ",\"document\":%s,\"history\":%s}", dbr_text(r, 0, 2), dbr_text(h, 0, 0));
    }
    return ret->failed ? diag_set(diag, CGW_ELIMIT, "", "answer exceeds %zu bytes", ret->max) : 0;
}

static int read_cursor(const char *cursor, int32_t *part, int64_t *contact, int *attempt,
                       struct diag *diag)
{
    *part = -1;
    if (cursor[0] && sscanf(cursor, "%" SCNd32 ":%" SCNd64 ":%d", part, contact, attempt) != 3)
        return diag_set(diag, CGW_EINVAL, "?cursor", "not a cursor of this list");
    return 0;
}

static int state_of(const char *word)
{
    for (int i = 0; word && i <= TASK_WITHDRAWN; i++)
        if (!strcmp(word, task_state_word(i)))
            return i;
    return -1;
}

int store_task_list(struct db *db, struct store_scope scope, const struct task_filter *f,
                    const char *cursor, int limit, struct buf *ret, bool *ret_more,
                    char *ret_cursor, size_t cursor_size, struct diag *diag)
{
    int32_t part;
    int64_t contact = 0;
    int attempt = 0, rc = read_cursor(cursor, &part, &contact, &attempt, diag);
    if (rc < 0)
        return rc;
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, part);
    dbp_int8(&p, contact);
    dbp_int2(&p, (int16_t)attempt);
    dbp_text(&p, f->instance);
    dbp_int4(&p, f->channel);
    dbp_int4(&p, scope.partner_id);
    dbp_text(&p, f->campaign);
    dbp_int4(&p, state_of(f->state));
    dbp_int4(&p, limit + 1);
    auto_dbr struct db_result *r = NULL;
    rc = db_query(db,
                  "SELECT t.part, t.contact_id, t.attempt, t.task_key, json_build_object(" MEMBERS
                  ")::text FROM task t JOIN wave w ON w.wave_id = (t.contact_id >> 32)::int4 JOIN "
                  "campaign c USING (campaign_id) WHERE (t.part, t.contact_id, t.attempt) > ($1, "
                  "$2, $3) AND ($4::text IS NULL OR t.instance = $4) AND ($5 = 0 OR w.channel = "
                  "$5) AND ($6 = 0 OR c.partner_id = $6) AND ($7::text IS NULL OR c.public_id = "
                  "$7) AND ($8 < 0 OR t.state = $8) ORDER BY t.part, t.contact_id, t.attempt LIMIT "
                  "$9",
                  &p, &r, diag);
    if (rc < 0)
        return rc;
    *ret_more = dbr_rows(r) > limit;
    for (int i = 0; i < dbr_rows(r) && i < limit; i++) {
        buf_puts(ret, i ? "," : "");
        put_ids(ret, dbr_int(r, i, 3), dbr_int(r, i, 1), dbr_text(r, i, 4),
                (size_t)dbr_len(r, i, 4));
        (void)snprintf(ret_cursor, cursor_size, "%d:%" PRId64 ":%d", (int)dbr_int(r, i, 0),
                       dbr_int(r, i, 1), (int)dbr_int(r, i, 2));
    }
    return ret->failed ? diag_set(diag, CGW_ELIMIT, "", "answer exceeds %zu bytes", ret->max) : 0;
}
