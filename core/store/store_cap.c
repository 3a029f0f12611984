/* SPDX-License-Identifier: Apache-2.0 */
/* store_cap.c - see store_cap.h. */
#include "store/store_cap.h"
#include "store/store_json.h"

#include <stdio.h>
#include <string.h>

/* clang-format off */
#define CAP_DOC \
    "json_build_object('id', public_id, 'name', name, 'max', max, 'period'," \
    " (ARRAY['day','week','month','quarter','year'])[period + 1]," \
    " 'sliding_days', CASE WHEN period = 5 THEN days END, 'channel', coalesce(" \
    SQL_CHANNEL("channel") ", 'all')," \
    " 'classes', (SELECT json_agg(" SQL_CLASS("c") " ORDER BY c) FROM generate_series(1, 5)" \
    " c WHERE class_mask = 0 OR class_mask >> c & 1 = 1)," \
    " 'zone', zone, 'active', active, 'version', version, 'created_at', " \
    SQL_TIME("created_at") ", 'updated_at', " SQL_TIME("updated_at") ")::text"
/* clang-format on */

/* Counters of a slot outlive its cap until their period ends: a slot that was never used comes
 * first, then the one left longest ago. Call with rules_clock locked (store_rules_touch), so that
 * two creators do not take the same slot. */
static int free_slot(struct db *db, int16_t *ret, struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    int rc = db_query(db,
                      "SELECT s::int2 FROM generate_series(0, 31) s LEFT JOIN LATERAL (SELECT "
                      "max(updated_at) AS left_at FROM cap WHERE slot = s) u ON true"
                      " WHERE NOT EXISTS (SELECT FROM cap WHERE slot = s AND active) ORDER BY "
                      "u.left_at NULLS FIRST, s LIMIT 1",
                      NULL, &r, diag);
    if (rc < 0)
        return rc;
    if (dbr_rows(r) == 0)
        return diag_set(diag, CGW_ELIMIT, "", "all %u caps are in use; delete one first", CAPS_MAX);
    *ret = (int16_t)dbr_int(r, 0, 0);
    return 0;
}

static void put_values(struct db_params *p, const struct store_cap_values *v)
{
    dbp_text(p, v->name);
    if (v->unlimited)
        dbp_null(p);
    else
        dbp_int2(p, v->max);
    dbp_int2(p, v->period);
    dbp_int2(p, v->days);
    dbp_int2(p, v->channel);
    dbp_int4(p, (int32_t)v->class_mask);
    dbp_text(p, v->zone);
}

static int insert_cap(struct db *db, const char *public_id, const struct store_cap_values *v,
                      int64_t version, struct buf *ret, struct diag *diag)
{
    int16_t slot = 0;
    int rc = free_slot(db, &slot, diag);
    if (rc < 0)
        return rc;
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, public_id);
    put_values(&p, v);
    dbp_int2(&p, slot);
    dbp_int4(&p, (int32_t)version);
    return store_json_versioned(
        db,
        "INSERT INTO cap (public_id, name, max, period, days, channel, "
        "class_mask, zone, slot, version)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING " CAP_DOC ", version",
        &p, "cap", public_id, NULL, ret, diag);
}

int store_cap_create(struct db *db, const struct store_actor *who, const struct store_cap_values *v,
                     char ret_public_id[40], struct buf *ret, struct diag *diag)
{
    store_new_id("cap", ret_public_id, 40);
    size_t at = ret->len;
    int rc = store_rules_touch(db, diag);
    if (rc == 0)
        rc = insert_cap(db, ret_public_id, v, 1, ret, diag);
    return rc < 0
               ? rc
               : store_audit(db, who, "cap.create", ret_public_id, NULL, buf_str(ret) + at, diag);
}

int store_cap_json(struct db *db, const char *public_id, int64_t *ret_version, struct buf *ret,
                   struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, public_id);
    return store_json_versioned(db, "SELECT " CAP_DOC ", version FROM cap WHERE public_id = $1", &p,
                                "cap", public_id, ret_version, ret, diag);
}

int store_cap_list(struct db *db, bool active, const char *cursor, int limit, struct buf *ret,
                   bool *ret_more, char *ret_cursor, size_t cursor_size, struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_bool(&p, active);
    dbp_int4(&p, (int32_t)strtol(cursor, NULL, 10));
    dbp_int4(&p, limit + 1);
    return store_json_list(
        db,
        "SELECT " CAP_DOC
        ", cap_id::text FROM cap WHERE active = $1 AND cap_id > $2 ORDER BY cap_id LIMIT $3::int4",
        &p, limit, ret, ret_more, ret_cursor, cursor_size, diag);
}

int store_cap_lock(struct db *db, const char *public_id, int64_t *ret_version,
                   struct store_cap_values *ret, struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, public_id);
    int rc = db_query(db,
                      "SELECT version, name, max, period, days, channel, class_mask, zone, active "
                      "FROM cap WHERE public_id = $1 FOR UPDATE",
                      &p, &r, diag);
    if (rc < 0)
        return rc;
    if (dbr_rows(r) == 0)
        return diag_set(diag, CGW_ENOTFOUND, "", "no cap %s", public_id);
    if (!dbr_bool(r, 0, 8))
        return diag_set(diag, CGW_ESTATE, "", "cap %s is no longer in force and stays as it was",
                        public_id);
    *ret_version = dbr_int(r, 0, 0);
    *ret = (struct store_cap_values){.unlimited = dbr_null(r, 0, 2),
                                     .max = (int16_t)dbr_int(r, 0, 2),
                                     .period = (uint8_t)dbr_int(r, 0, 3),
                                     .days = (int16_t)dbr_int(r, 0, 4),
                                     .channel = (uint8_t)dbr_int(r, 0, 5),
                                     .class_mask = (uint32_t)dbr_int(r, 0, 6)};
    (void)snprintf(ret->name, sizeof ret->name, "%s", dbr_text(r, 0, 1));
    (void)snprintf(ret->zone, sizeof ret->zone, "%s", dbr_text(r, 0, 7));
    return 0;
}

static bool same_counting(const struct store_cap_values *a, const struct store_cap_values *b)
{
    return a->period == b->period && a->days == b->days && a->channel == b->channel &&
           a->class_mask == b->class_mask && !strcmp(a->zone, b->zone);
}

static int replace_cap(struct db *db, const char *public_id, const struct store_cap_values *v,
                       int64_t version, struct buf *ret, struct diag *diag)
{
    char former[40];
    store_new_id("cap", former, sizeof former);
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, public_id);
    dbp_text(&p, former);
    int rc = db_exec(db,
                     "UPDATE cap SET public_id = $2, active = false, updated_at = "
                     "clock_timestamp() WHERE public_id = $1",
                     &p, NULL, diag);
    return rc < 0 ? rc : insert_cap(db, public_id, v, version, ret, diag);
}

static int change_in_place(struct db *db, const char *public_id, const struct store_cap_values *v,
                           struct buf *ret, struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, public_id);
    dbp_text(&p, v->name);
    if (v->unlimited)
        dbp_null(&p);
    else
        dbp_int2(&p, v->max);
    return store_json_versioned(
        db,
        "UPDATE cap SET name = $2, max = $3, version = version + 1, updated_at "
        "= now() WHERE public_id = $1 RETURNING " CAP_DOC ", version",
        &p, "cap", public_id, NULL, ret, diag);
}

int store_cap_update(struct db *db, const struct store_actor *who, const char *public_id,
                     const struct store_cap_values *v, int64_t *ret_version, struct buf *ret,
                     struct diag *diag)
{
    struct store_cap_values old;
    struct buf before;
    buf_init(&before, 16384);
    size_t at = ret->len;
    int rc = store_rules_touch(db, diag);
    if (rc == 0)
        rc = store_cap_lock(db, public_id, ret_version, &old, diag);
    if (rc == 0)
        rc = store_cap_json(db, public_id, NULL, &before, diag);
    if (rc == 0) {
        (*ret_version)++;
        rc = same_counting(&old, v) ? change_in_place(db, public_id, v, ret, diag)
                                    : replace_cap(db, public_id, v, *ret_version, ret, diag);
    }
    if (rc == 0)
        rc = store_audit(db, who, "cap.change", public_id, buf_str(&before), buf_str(ret) + at,
                         diag);
    buf_done(&before);
    return rc;
}

int store_cap_end(struct db *db, const struct store_actor *who, const char *public_id,
                  struct diag *diag)
{
    struct buf doc;
    buf_init(&doc, 16384);
    int rc = store_cap_json(db, public_id, NULL, &doc, diag);
    int64_t ended = 0;
    if (rc == 0) {
        struct db_params p;
        dbp_init(&p);
        dbp_text(&p, public_id);
        rc = db_exec(db,
                     "UPDATE cap SET active = false, version = version + 1, updated_at = "
                     "clock_timestamp() WHERE public_id = $1 AND active",
                     &p, &ended, diag);
    }
    if (rc == 0 && ended)
        rc = store_rules_touch(db, diag);
    if (rc == 0 && ended)
        rc = store_audit(db, who, "cap.end", public_id, buf_str(&doc), NULL, diag);
    buf_done(&doc);
    return rc;
}
