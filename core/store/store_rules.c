/* SPDX-License-Identifier: Apache-2.0 */
/* store_rules.c - see store_rules.h. spans in jsonb: [{"days":31,"from":540,"to":1260}] (bit mask
 * Monday = 1, minutes of the day). */
#include "store/store_rules.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int store_rules_version(struct db *db, int32_t *ret_version, struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    int rc = db_query(db, "SELECT version FROM rules_clock", NULL, &r, diag);
    if (rc == 0)
        *ret_version = (int32_t)dbr_int(r, 0, 0);
    return rc;
}

static int load_classes(struct db *db, struct rule_set *rs, struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    int rc = db_query(db, "SELECT class, dnd, consent, caps, calendar, counts FROM class_rule",
                      NULL, &r, diag);
    if (rc < 0)
        return rc;
    for (int i = 0; i < dbr_rows(r); i++) {
        int64_t c = dbr_int(r, i, 0);
        if (c < 1 || c >= (int64_t)ARRAY_LEN(rs->rules.classes))
            continue;
        struct class_rule *k = &rs->rules.classes[c]; /* what has no column keeps its default */
        k->dnd = dbr_bool(r, i, 1);
        k->consent = dbr_bool(r, i, 2);
        k->caps = dbr_bool(r, i, 3);
        k->calendar = dbr_bool(r, i, 4);
        k->counts = dbr_bool(r, i, 5);
    }
    return 0;
}

static int load_caps(struct db *db, struct rule_set *rs, struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    int rc = db_query(db,
                      "SELECT cap_id, slot, period, channel, class_mask, max, days, zone FROM cap "
                      "WHERE active ORDER BY cap_id",
                      NULL, &r, diag);
    if (rc < 0)
        return rc;
    uint32_t n = (uint32_t)dbr_rows(r);
    if (n > CAPS_MAX)
        return diag_set(diag, CGW_ELIMIT, "cap", "%u active caps, the limit is %u", n, CAPS_MAX);
    for (uint32_t i = 0; i < n; i++) {
        struct cap *c = &rs->caps[i];
        int row = (int)i;
        *c = (struct cap){.rule_id = (int32_t)dbr_int(r, row, 0),
                          .slot = (uint8_t)dbr_int(r, row, 1),
                          .period = (uint8_t)dbr_int(r, row, 2),
                          .channel = (uint8_t)dbr_int(r, row, 3),
                          .class_mask = (uint32_t)dbr_int(r, row, 4),
                          .max = dbr_null(r, row, 5) ? (int16_t)-1 : (int16_t)dbr_int(r, row, 5),
                          .days = (int16_t)dbr_int(r, row, 6)};
        (void)snprintf(c->zone, sizeof c->zone, "%s", dbr_text(r, row, 7));
    }
    rs->rules.caps = rs->caps;
    rs->rules.n_caps = n;
    return 0;
}

static int load_spans(struct db *db, struct rule_set *rs, struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    int rc = db_query(db,
                      "SELECT c.calendar_id, (s->>'days')::int4, (s->>'from')::int4, "
                      "(s->>'to')::int4 FROM calendar c, jsonb_array_elements(c.spans) s"
                      " WHERE c.active ORDER BY c.calendar_id",
                      NULL, &r, diag);
    if (rc < 0)
        return rc;
    int n = dbr_rows(r);
    rs->spans = calloc((size_t)n + 1, sizeof *rs->spans);
    if (!rs->spans)
        return diag_set(diag, -ENOMEM, "", "out of memory");
    for (int i = 0; i < n; i++) {
        rs->spans[i] = (struct open_span){.days = (uint8_t)dbr_int(r, i, 1),
                                          .from_min = (int16_t)dbr_int(r, i, 2),
                                          .to_min = (int16_t)dbr_int(r, i, 3)};
        for (uint32_t c = 0; c < rs->n_calendars; c++) {
            struct calendar_def *def = &rs->calendars[c];
            if (def->number != dbr_int(r, i, 0))
                continue;
            if (!def->n_spans)
                def->spans = &rs->spans[i];
            def->n_spans++;
        }
    }
    return 0;
}

static int load_calendars(struct db *db, struct rule_set *rs, struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    int rc = db_query(db,
                      "SELECT calendar_id, kind, region, class_mask, channel_mask, coalesce(ics, "
                      "'') FROM calendar WHERE active ORDER BY calendar_id",
                      NULL, &r, diag);
    if (rc < 0)
        return rc;
    rs->n_calendars = (uint32_t)dbr_rows(r);
    rs->calendars = calloc(rs->n_calendars + 1u, sizeof *rs->calendars);
    if (!rs->calendars)
        return diag_set(diag, -ENOMEM, "", "out of memory");
    for (uint32_t i = 0; i < rs->n_calendars; i++) {
        struct calendar_def *c = &rs->calendars[i];
        int row = (int)i;
        c->number = (int32_t)dbr_int(r, row, 0);
        c->holiday = !strcmp(dbr_text(r, row, 1), "holiday");
        (void)snprintf(c->region, sizeof c->region, "%s", dbr_text(r, row, 2));
        c->class_mask = (uint32_t)dbr_int(r, row, 3);
        c->channel_mask = (uint32_t)dbr_int(r, row, 4);
        c->ics_len = (size_t)dbr_len(r, row, 5);
        c->ics = arena_dup(&rs->texts, dbr_text(r, row, 5), c->ics_len);
        if (!c->ics)
            return diag_set(diag, CGW_ELIMIT, "calendar",
                            "calendar texts exceed %zu bytes together", rs->texts.max);
    }
    return load_spans(db, rs, diag);
}

int store_rules_load(struct db *db, struct rule_set **ret, struct diag *diag)
{
    struct rule_set *rs = calloc(1, sizeof *rs);
    if (!rs)
        return diag_set(diag, -ENOMEM, "", "out of memory");
    arena_init(&rs->texts, 64u * 1024u * 1024u);
    policy_defaults(&rs->rules);
    /* the version first: rows that change while we read carry a later one, and the next look will
     * reload */
    int rc = store_rules_version(db, &rs->rules.version, diag);
    if (rc == 0)
        rc = load_classes(db, rs, diag);
    if (rc == 0)
        rc = load_caps(db, rs, diag);
    if (rc == 0)
        rc = load_calendars(db, rs, diag);
    if (rc < 0) {
        rule_set_free(rs);
        return rc;
    }
    *ret = rs;
    return 0;
}

void rule_set_free(struct rule_set *rs)
{
    if (!rs)
        return;
    arena_done(&rs->texts);
    free(rs->calendars);
    free(rs->spans);
    free(rs);
}

int store_place_load(struct db *db, int16_t place, struct arena *a, struct place *ret,
                     struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int2(&p, place);
    auto_dbr struct db_result *r = NULL;
    int rc = db_query(db, "SELECT region, zones FROM place WHERE place = $1", &p, &r, diag);
    if (rc < 0)
        return rc;
    if (dbr_rows(r) == 0)
        return diag_set(diag, CGW_ENOTFOUND, "place", "place %d is not in the dictionary", place);
    *ret = (struct place){0};
    (void)snprintf(ret->region, sizeof ret->region, "%s", dbr_text(r, 0, 0));
    int n = dbr_array_len(r, 0, 1);
    for (int i = 0; i < n && ret->n_zones < PLACE_ZONES_MAX; i++) {
        int len = 0;
        const char *z = dbr_text_item(r, 0, 1, i, &len);
        const char *copy = arena_dup(a, z, (size_t)len);
        if (!copy)
            return diag_set(diag, CGW_ELIMIT, "place", "zone names exceed the arena");
        ret->zones[ret->n_zones++] = copy;
    }
    /* more candidates than we can look at: nobody may be contacted there rather than somebody at
     * the wrong hour */
    if (n > (int)PLACE_ZONES_MAX)
        ret->n_zones = 0;
    return 0;
}
