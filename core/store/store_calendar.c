/* SPDX-License-Identifier: Apache-2.0 */
/* store_calendar.c - see store_calendar.h. spans in jsonb: [{"days":31,"from":540,"to":1260}], as
 * store_rules.c reads them. */
#include "store/store_calendar.h"
#include "store/store_json.h"

#include <stdio.h>
#include <string.h>

#define HHMM(x) "lpad((" x " / 60)::text, 2, '0') || ':' || lpad((" x " % 60)::text, 2, '0')"
/* clang-format off */
#define CALENDAR_DOC \
    "json_build_object('id', public_id, 'name', name, 'kind', kind, 'region', nullif(region, '')," \
    " 'classes', (SELECT coalesce(json_agg(" SQL_CLASS("c") " ORDER BY c), '[]') FROM" \
    " generate_series(1, 5) c WHERE class_mask >> c & 1 = 1)," \
    " 'channels', coalesce(" SQL_CHANNELS("channel_mask") ", '[]')," \
    " 'hours', CASE WHEN kind = 'quiet' THEN (SELECT" \
    " coalesce(json_agg(json_build_object('days', (SELECT json_agg(d ORDER BY o)" \
    " FROM unnest(ARRAY['mon','tue','wed','thu','fri','sat','sun']) WITH ORDINALITY w (d, o)" \
    " WHERE (s->>'days')::int4 >> (o::int4 - 1) & 1 = 1)," \
    " 'from', " HHMM("(s->>'from')::int4") ", 'to', " HHMM("(s->>'to')::int4") ") ORDER BY" \
    " n), '[]') FROM jsonb_array_elements(spans) WITH ORDINALITY e (s, n)) END," \
    " 'ics_bytes', CASE WHEN kind = 'holiday' THEN coalesce(octet_length(ics), 0) END," \
    " 'active', active, 'version', version," \
    " 'created_at', " SQL_TIME("created_at") ", 'updated_at', " SQL_TIME("updated_at") ")::text"
/* clang-format on */

static void spans_json(const struct store_calendar_values *v, struct buf *out)
{
    buf_putc(out, '[');
    for (uint32_t i = 0; i < v->n_spans; i++)
        buf_printf(out, "%s{\"days\":%u,\"from\":%d,\"to\":%d}", i ? "," : "", v->spans[i].days,
                   v->spans[i].from_min, v->spans[i].to_min);
    buf_putc(out, ']');
}

/* $2 … $6 */
static void put_values(struct db_params *p, const struct store_calendar_values *v,
                       struct buf *spans)
{
    spans_json(v, spans);
    dbp_text(p, v->name);
    dbp_text(p, v->region);
    dbp_int4(p, (int32_t)v->class_mask);
    dbp_int4(p, (int32_t)v->channel_mask);
    dbp_text(p, buf_str(spans));
}

/* Compiling takes all calendars or none: what would not compile must not come in. Call after
 * store_rules_touch(), which lets one in at a time. */
static int room(struct db *db, const char *public_id, int64_t more_calendars, int64_t ics_len,
                struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, public_id);
    int rc = db_query(db,
                      "SELECT count(*), coalesce(sum(octet_length(ics)) FILTER (WHERE public_id <> "
                      "$1), 0)::int8 FROM calendar WHERE active",
                      &p, &r, diag);
    if (rc < 0)
        return rc;
    if (dbr_int(r, 0, 0) + more_calendars > STORE_CALENDARS_MAX)
        return diag_set(diag, CGW_ELIMIT, "",
                        "%d calendars are in force, which is the limit; delete one first",
                        STORE_CALENDARS_MAX);
    if (dbr_int(r, 0, 1) + ics_len > (int64_t)STORE_CALENDAR_BYTES_MAX)
        return diag_set(diag, CGW_ELIMIT, "",
                        "the texts of all calendars together may have %u bytes",
                        STORE_CALENDAR_BYTES_MAX);
    return 0;
}

int store_calendar_create(struct db *db, const struct store_actor *who,
                          const struct store_calendar_values *v, char ret_public_id[40],
                          struct buf *ret, struct diag *diag)
{
    struct buf spans;
    struct db_params p;
    buf_init(&spans, 16384);
    store_new_id("cal", ret_public_id, 40);
    size_t at = ret->len;
    int rc = store_rules_touch(db, diag);
    if (rc == 0)
        rc = room(db, ret_public_id, 1, 0, diag);
    if (rc == 0) {
        dbp_init(&p);
        dbp_text(&p, ret_public_id);
        put_values(&p, v, &spans);
        dbp_text(&p, v->holiday ? "holiday" : "quiet");
        rc = store_json_versioned(
            db,
            "INSERT INTO calendar (public_id, name, region, class_mask, "
            "channel_mask, spans, kind) VALUES ($1, $2, $3, $4, $5, $6::jsonb, $7)"
            " RETURNING " CALENDAR_DOC ", version",
            &p, "calendar", ret_public_id, NULL, ret, diag);
    }
    buf_done(&spans);
    return rc < 0 ? rc
                  : store_audit(db, who, "calendar.create", ret_public_id, NULL, buf_str(ret) + at,
                                diag);
}

int store_calendar_json(struct db *db, const char *public_id, int64_t *ret_version, struct buf *ret,
                        struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, public_id);
    return store_json_versioned(
        db, "SELECT " CALENDAR_DOC ", version FROM calendar WHERE public_id = $1", &p, "calendar",
        public_id, ret_version, ret, diag);
}

int store_calendar_list(struct db *db, bool active, const char *cursor, int limit, struct buf *ret,
                        bool *ret_more, char *ret_cursor, size_t cursor_size, struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_bool(&p, active);
    dbp_int4(&p, (int32_t)strtol(cursor, NULL, 10));
    dbp_int4(&p, limit + 1);
    return store_json_list(db,
                           "SELECT " CALENDAR_DOC
                           ", calendar_id::text FROM calendar WHERE active = $1 AND calendar_id > "
                           "$2 ORDER BY calendar_id LIMIT $3::int4",
                           &p, limit, ret, ret_more, ret_cursor, cursor_size, diag);
}

static int read_spans(struct db *db, const char *public_id, struct open_span *ret, uint32_t *ret_n,
                      struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, public_id);
    int rc = db_query(db,
                      "SELECT (s->>'days')::int4, (s->>'from')::int4, (s->>'to')::int4 FROM "
                      "calendar, jsonb_array_elements(spans) WITH ORDINALITY e (s, n)"
                      " WHERE public_id = $1 ORDER BY n",
                      &p, &r, diag);
    if (rc < 0)
        return rc;
    if (dbr_rows(r) > (int)CALENDAR_SPANS_MAX)
        return diag_set(diag, CGW_ELIMIT, "", "calendar %s has more than %u spans", public_id,
                        CALENDAR_SPANS_MAX);
    *ret_n = (uint32_t)dbr_rows(r);
    for (int i = 0; i < dbr_rows(r); i++)
        ret[i] = (struct open_span){.days = (uint8_t)dbr_int(r, i, 0),
                                    .from_min = (int16_t)dbr_int(r, i, 1),
                                    .to_min = (int16_t)dbr_int(r, i, 2)};
    return 0;
}

int store_calendar_lock(struct db *db, const char *public_id, int64_t *ret_version,
                        struct store_calendar_values *ret, struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, public_id);
    int rc = db_query(db,
                      "SELECT version, name, region, kind = 'holiday', class_mask, channel_mask, "
                      "active FROM calendar WHERE public_id = $1 FOR UPDATE",
                      &p, &r, diag);
    if (rc < 0)
        return rc;
    if (dbr_rows(r) == 0)
        return diag_set(diag, CGW_ENOTFOUND, "", "no calendar %s", public_id);
    if (!dbr_bool(r, 0, 6))
        return diag_set(diag, CGW_ESTATE, "",
                        "calendar %s is no longer in force and stays as it was", public_id);
    *ret_version = dbr_int(r, 0, 0);
    *ret = (struct store_calendar_values){.holiday = dbr_bool(r, 0, 3),
                                          .class_mask = (uint32_t)dbr_int(r, 0, 4),
                                          .channel_mask = (uint32_t)dbr_int(r, 0, 5)};
    (void)snprintf(ret->name, sizeof ret->name, "%s", dbr_text(r, 0, 1));
    (void)snprintf(ret->region, sizeof ret->region, "%s", dbr_text(r, 0, 2));
    return read_spans(db, public_id, ret->spans, &ret->n_spans, diag);
}

int store_calendar_update(struct db *db, const struct store_actor *who, const char *public_id,
                          const struct store_calendar_values *v, int64_t *ret_version,
                          struct buf *ret, struct diag *diag)
{
    struct buf before, spans;
    struct db_params p;
    buf_init(&before, 65536);
    buf_init(&spans, 16384);
    size_t at = ret->len;
    int rc = store_rules_touch(db, diag);
    if (rc == 0)
        rc = store_calendar_json(db, public_id, NULL, &before, diag);
    if (rc == 0) {
        dbp_init(&p);
        dbp_text(&p, public_id);
        put_values(&p, v, &spans);
        rc = store_json_versioned(
            db,
            "UPDATE calendar SET name = $2, region = $3, class_mask = $4, channel_mask = $5, spans "
            "= $6::jsonb, version = version + 1, updated_at = now()"
            " WHERE public_id = $1 RETURNING " CALENDAR_DOC ", version",
            &p, "calendar", public_id, ret_version, ret, diag);
    }
    if (rc == 0)
        rc = store_audit(db, who, "calendar.change", public_id, buf_str(&before), buf_str(ret) + at,
                         diag);
    buf_done(&before);
    buf_done(&spans);
    return rc;
}

int store_calendar_end(struct db *db, const struct store_actor *who, const char *public_id,
                       struct diag *diag)
{
    struct buf doc;
    buf_init(&doc, 65536);
    int64_t ended = 0;
    int rc = store_calendar_json(db, public_id, NULL, &doc, diag);
    if (rc == 0) {
        struct db_params p;
        dbp_init(&p);
        dbp_text(&p, public_id);
        rc = db_exec(db,
                     "UPDATE calendar SET active = false, version = version + 1, updated_at = "
                     "now() WHERE public_id = $1 AND active",
                     &p, &ended, diag);
    }
    if (rc == 0 && ended)
        rc = store_rules_touch(db, diag);
    if (rc == 0 && ended)
        rc = store_audit(db, who, "calendar.end", public_id, buf_str(&doc), NULL, diag);
    buf_done(&doc);
    return rc;
}

int store_calendar_set_ics(struct db *db, const struct store_actor *who, const char *public_id,
                           const char *ics, size_t len, int64_t *ret_version, struct buf *ret,
                           struct diag *diag)
{
    struct db_params p;
    int rc = store_rules_touch(db, diag);
    if (rc == 0)
        rc = room(db, public_id, 0, (int64_t)len, diag);
    if (rc == 0) {
        dbp_init(&p);
        dbp_text(&p, public_id);
        dbp_textn(&p, ics, len);
        rc = store_json_versioned(
            db,
            "UPDATE calendar SET ics = $2, version = version + 1, updated_at = "
            "now() WHERE public_id = $1 RETURNING " CALENDAR_DOC ", version",
            &p, "calendar", public_id, ret_version, ret, diag);
    }
    char after[64];
    (void)snprintf(after, sizeof after, "{\"ics_bytes\":%zu}", len);
    return rc < 0 ? rc : store_audit(db, who, "calendar.ics", public_id, NULL, after, diag);
}

int store_calendar_ics(struct db *db, const char *public_id, struct buf *ret, struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, public_id);
    int rc = db_query(db, "SELECT ics FROM calendar WHERE public_id = $1", &p, &r, diag);
    if (rc < 0)
        return rc;
    if (dbr_rows(r) == 0)
        return diag_set(diag, CGW_ENOTFOUND, "", "no calendar %s", public_id);
    if (dbr_null(r, 0, 0))
        return diag_set(diag, CGW_ENOTFOUND, "",
                        "calendar %s has no iCalendar text yet; PUT one here", public_id);
    buf_put(ret, dbr_text(r, 0, 0), (size_t)dbr_len(r, 0, 0));
    return ret->failed ? diag_set(diag, CGW_ELIMIT, "", "the text is too large") : 0;
}

int store_calendar_def(struct db *db, const char *public_id, struct arena *a,
                       struct open_span *spans, struct calendar_def *ret, struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, public_id);
    int rc = db_query(db,
                      "SELECT calendar_id, kind = 'holiday', region, class_mask, channel_mask, "
                      "coalesce(ics, '') FROM calendar WHERE public_id = $1",
                      &p, &r, diag);
    if (rc < 0)
        return rc;
    if (dbr_rows(r) == 0)
        return diag_set(diag, CGW_ENOTFOUND, "", "no calendar %s", public_id);
    *ret = (struct calendar_def){.number = (int32_t)dbr_int(r, 0, 0),
                                 .holiday = dbr_bool(r, 0, 1),
                                 .class_mask = (uint32_t)dbr_int(r, 0, 3),
                                 .channel_mask = (uint32_t)dbr_int(r, 0, 4),
                                 .ics_len = (size_t)dbr_len(r, 0, 5),
                                 .spans = spans};
    (void)snprintf(ret->region, sizeof ret->region, "%s", dbr_text(r, 0, 2));
    ret->ics = arena_dup(a, dbr_text(r, 0, 5), ret->ics_len);
    if (!ret->ics)
        return diag_set(diag, CGW_ELIMIT, "", "the calendar's text is too large");
    return read_spans(db, public_id, spans, &ret->n_spans, diag);
}
