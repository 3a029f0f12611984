/* SPDX-License-Identifier: Apache-2.0 */
/* store_caps.c - reserve and give back cap counts. Every change happens under the part lock; the
 * guard in the upsert is a second belt. ORDER BY customer_id is what keeps concurrent upserts free
 * of deadlocks. */
#include "store/store_decide.h"

#include "policy/calendar.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CAP_NONE 32767 /* "no cap" still counts */

static int limit_of(const struct cap *c)
{
    return c->max < 0 ? CAP_NONE : c->max;
}

/* n[k] += 1 for all slots of one calendar period, guarded. Text depends on slots and limits only:
 * prepared once per rules version. first: what a row begins with, as an array literal. */
static int reserve_known(struct db *db, int32_t part, const struct rules *rules, uint32_t mask,
                         int32_t period, const char *first, const int64_t *ids, int n,
                         struct diag *diag)
{
    struct buf sql, set, guard;
    buf_init(&sql, 16384);
    buf_init(&set, 8192);
    buf_init(&guard, 8192);
    for (uint32_t c = 0; c < rules->n_caps; c++) {
        if (!(mask >> c & 1))
            continue;
        unsigned at = rules->caps[c].slot + 1u;
        buf_printf(&set, "%sn[%u] = coalesce(w.n[%u], 0) + 1", set.len ? ", " : "", at, at);
        buf_printf(&guard, "%scoalesce(w.n[%u], 0) < %d", guard.len ? " AND " : "", at,
                   limit_of(&rules->caps[c]));
    }
    buf_printf(&sql,
               "INSERT INTO cap_counter AS w (period, part, customer_id, n) SELECT $1, $2, id, '%s'"
               " FROM unnest($3::int8[]) id ORDER BY id ON CONFLICT (part, period, customer_id) "
               "DO UPDATE SET %s WHERE %s",
               first, buf_str(&set), buf_str(&guard));
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, period);
    dbp_int4(&p, part);
    dbp_int8_array(&p, ids, (size_t)n);
    int64_t rows = 0;
    int rc = db_exec(db, buf_str(&sql), &p, &rows, diag);
    if (rc == 0 && rows != n)
        rc = diag_set(diag, CGW_ECONFLICT, "cap", "%lld of %d reservations passed the guard",
                      (long long)rows, n);
    buf_done(&sql);
    buf_done(&set);
    buf_done(&guard);
    return rc;
}

/* People who were not counted in this period: a row each, without looking for one first. Should
 * there be one all the same, the key refuses the whole decision. */
static int reserve_first(struct db *db, int32_t part, int32_t period, const int16_t *first,
                         unsigned len, const int64_t *ids, int n, struct diag *diag)
{
    struct db_copy c;
    dbc_init(&c, (size_t)n * (64 + 6 * CAPS_MAX) + 4096);
    for (int i = 0; i < n; i++) {
        dbc_row(&c, 4);
        dbc_int4(&c, period);
        dbc_int4(&c, part);
        dbc_int8(&c, ids[i]);
        dbc_int2_array(&c, first, len);
    }
    int rc = db_copy_send(
        db, "COPY cap_counter (period, part, customer_id, n) FROM STDIN (FORMAT binary)", &c, diag);
    dbc_done(&c);
    return rc;
}

static int reserve_period(struct db *db, int32_t part, const struct rules *rules, uint32_t mask,
                          int32_t period, const struct reserve_row *rows, int n, int64_t *ids,
                          struct diag *diag)
{
    int16_t first[CAPS_MAX] = {0};
    char literal[2 * CAPS_MAX + 2] = "{";
    unsigned len = 0;
    for (uint32_t c = 0; c < rules->n_caps; c++) {
        if (!(mask >> c & 1))
            continue;
        first[rules->caps[c].slot] = 1;
        len = rules->caps[c].slot + 1u > len ? rules->caps[c].slot + 1u : len;
    }
    for (unsigned i = 0; i < len; i++) {
        literal[1 + 2 * i] = first[i] ? '1' : '0';
        literal[2 + 2 * i] = i + 1 < len ? ',' : '}';
    }
    int known = 0, rc = 0;
    for (int i = 0; i < n; i++)
        if (rows[i].counted & mask)
            ids[known++] = rows[i].customer_id;
    if (known)
        rc = reserve_known(db, part, rules, mask, period, literal, ids, known, diag);
    if (rc < 0 || known == n)
        return rc;
    int fresh = 0;
    for (int i = 0; i < n; i++)
        if (!(rows[i].counted & mask))
            ids[fresh++] = rows[i].customer_id;
    return reserve_first(db, part, period, first, len, ids, fresh, diag);
}

static int reserve_sliding(struct db *db, int32_t part, const struct cap *cap, int32_t period,
                           int32_t today, const int64_t *ids, int n, struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, period);
    dbp_int4(&p, part);
    dbp_int8_array(&p, ids, (size_t)n);
    dbp_int2(&p, (int16_t)today);
    dbp_int4(&p, today - cap->days);
    dbp_int4(&p, limit_of(cap));
    int64_t rows = 0;
    int rc = db_exec(db,
                     "INSERT INTO cap_counter AS w (period, part, customer_id, recent) SELECT $1, "
                     "$2, id, ARRAY[$4::int2] FROM unnest($3::int8[]) id ORDER BY id"
                     " ON CONFLICT (part, period, customer_id) DO UPDATE SET recent = (w.recent || "
                     "$4::int2)[greatest(1, cardinality(w.recent) + 2 - 32):]"
                     " WHERE (SELECT count(*) FROM unnest(w.recent) d WHERE d > $5) < $6",
                     &p, &rows, diag);
    if (rc == 0 && rows != n)
        rc = diag_set(diag, CGW_ECONFLICT, "cap", "%lld of %d reservations passed the guard",
                      (long long)rows, n);
    return rc;
}

static int reserve_all(struct db *db, int32_t part, const struct rules *rules, uint32_t todo,
                       int64_t now_ms, const struct reserve_row *rows, int n, int64_t *ids,
                       struct diag *diag)
{
    for (uint32_t c = 0; c < rules->n_caps; c++) {
        if (!(todo >> c & 1))
            continue;
        int32_t today = 0, period = cap_period_number(&rules->caps[c], now_ms, &today);
        uint32_t mask = 1u << c;
        int rc;
        if (rules->caps[c].period == CAP_SLIDING_DAYS) {
            for (int i = 0; i < n; i++)
                ids[i] = rows[i].customer_id;
            rc = reserve_sliding(db, part, &rules->caps[c], period, today, ids, n, diag);
        } else {
            int32_t ignored;
            for (uint32_t k = c + 1; k < rules->n_caps; k++)
                if (todo >> k & 1 && cap_period_number(&rules->caps[k], now_ms, &ignored) == period)
                    mask |= 1u << k;
            rc = reserve_period(db, part, rules, mask, period, rows, n, ids, diag);
        }
        if (rc < 0)
            return rc;
        todo &= ~mask;
    }
    return 0;
}

int store_caps_reserve(struct db *db, int32_t part, const struct rules *rules, uint32_t cap_mask,
                       int64_t now_ms, const struct reserve_row *rows, int n, struct diag *diag)
{
    if (!n || !cap_mask)
        return 0;
    int64_t *ids = malloc((size_t)n * sizeof *ids);
    if (!ids)
        return diag_set(diag, CGW_ELIMIT, "", "out of memory");
    int rc = reserve_all(db, part, rules, cap_mask, now_ms, rows, n, ids, diag);
    free(ids);
    return rc;
}

/* One reservation, one slot: which row it went to follows from the cap's definition and the moment
 * of the decision. */
static int release_slot(struct db *db, int32_t part, const struct cap *cap, int64_t customer_id,
                        int64_t decided_ms, struct diag *diag)
{
    int32_t day = 0, period = cap_period_number(cap, decided_ms, &day);
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, period);
    dbp_int4(&p, part);
    dbp_int8(&p, customer_id);
    if (cap->period == CAP_SLIDING_DAYS) {
        dbp_int2(&p, (int16_t)day);
        return db_exec(db,
                       "UPDATE cap_counter w SET recent = w.recent[:array_position(w.recent, $4) - "
                       "1] || w.recent[array_position(w.recent, $4) + 1:]"
                       " WHERE period = $1 AND part = $2 AND customer_id = $3 AND "
                       "array_position(w.recent, $4) IS NOT NULL",
                       &p, NULL, diag);
    }
    dbp_int4(&p, cap->slot + 1);
    return db_exec(db,
                   "UPDATE cap_counter w SET n[$4] = w.n[$4] - 1 WHERE period = $1 AND part = $2 "
                   "AND customer_id = $3 AND coalesce(w.n[$4], 0) > 0",
                   &p, NULL, diag);
}

/* A cap's slot, period and zone never change while its slot is in use (a change makes a new cap),
 * so any row of that slot that was active then will do. */
static int cap_of_slot(struct db *db, int slot, int64_t at_ms, struct cap *ret, struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int2(&p, (int16_t)slot);
    dbp_ts(&p, at_ms);
    auto_dbr struct db_result *r = NULL;
    int rc = db_query(db,
                      "SELECT cap_id, period, days, zone FROM cap WHERE slot = $1 ORDER BY "
                      "(created_at <= $2) DESC, created_at DESC LIMIT 1",
                      &p, &r, diag);
    if (rc < 0)
        return rc;
    if (dbr_rows(r) == 0)
        return diag_set(diag, CGW_ENOTFOUND, "cap", "no cap ever had slot %d", slot);
    *ret = (struct cap){.rule_id = (int32_t)dbr_int(r, 0, 0),
                        .slot = (uint8_t)slot,
                        .period = (uint8_t)dbr_int(r, 0, 1),
                        .days = (int16_t)dbr_int(r, 0, 2)};
    (void)snprintf(ret->zone, sizeof ret->zone, "%s", dbr_text(r, 0, 3));
    return 0;
}

int store_caps_release(struct db *db, int32_t part, const int64_t *contacts, int n,
                       int64_t *ret_released, struct diag *diag)
{
    if (ret_released)
        *ret_released = 0;
    if (n == 0)
        return 0;
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, part);
    dbp_int8_array(&p, contacts, (size_t)n);
    auto_dbr struct db_result *r = NULL;
    /* cap_release's key makes it idempotent: only rows that are new here are given back */
    int rc = db_query(
        db,
        "WITH l AS (SELECT contact_id, attempt, customer_id, decided_at, slots FROM contact_log "
        "WHERE part = $1 AND contact_id = ANY($2) AND verdict = 1 AND slots <> 0),"
        " f AS (INSERT INTO cap_release (part, contact_id, attempt) SELECT $1, contact_id, attempt "
        "FROM l ON CONFLICT DO NOTHING RETURNING contact_id, attempt)"
        "SELECT l.customer_id, l.decided_at, l.slots FROM l JOIN f USING (contact_id, attempt) "
        "ORDER BY l.customer_id",
        &p, &r, diag);
    struct cap caps[CAPS_MAX];
    int64_t known_at[CAPS_MAX];
    uint32_t known = 0;
    for (int i = 0; rc == 0 && i < dbr_rows(r); i++) {
        uint32_t slots = (uint32_t)dbr_int(r, i, 2);
        for (int s = 0; rc == 0 && s < (int)CAPS_MAX; s++) {
            if (!(slots >> s & 1))
                continue;
            if (!(known >> s & 1) ||
                known_at[s] != dbr_ts(r, i, 1)) { /* a slot may have had another cap then */
                rc = cap_of_slot(db, s, dbr_ts(r, i, 1), &caps[s], diag);
                known |= 1u << s;
                known_at[s] = dbr_ts(r, i, 1);
            }
            if (rc == 0)
                rc = release_slot(db, part, &caps[s], dbr_int(r, i, 0), dbr_ts(r, i, 1), diag);
        }
    }
    if (rc == 0 && ret_released)
        *ret_released = dbr_rows(r);
    return rc;
}

int store_reserved_at(struct db *db, int32_t part, const int64_t *contacts, int n,
                      int64_t *ret_at_ms, struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, part);
    dbp_int8_array(&p, contacts, (size_t)n);
    auto_dbr struct db_result *r = NULL;
    int rc = db_query(db,
                      "SELECT u.ord::int4, max(l.decided_at) FROM unnest($2::int8[]) WITH "
                      "ORDINALITY u (id, ord) JOIN contact_log l ON l.part = $1 AND l.contact_id = "
                      "u.id AND l.verdict = 1 AND l.slots <> 0"
                      " WHERE NOT EXISTS (SELECT FROM cap_release x WHERE x.part = $1 AND "
                      "x.contact_id = l.contact_id AND x.attempt = l.attempt) GROUP BY 1",
                      &p, &r, diag);
    for (int i = 0; i < n; i++)
        ret_at_ms[i] = INT64_MIN;
    for (int i = 0; rc == 0 && i < dbr_rows(r); i++)
        ret_at_ms[dbr_int(r, i, 0) - 1] = dbr_ts(r, i, 1);
    return rc;
}
