/* SPDX-License-Identifier: Apache-2.0 */
/* store_control.c - see store_control.h. */
#include "store/store_control.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define TEXTS_MAX (64u * 1024u * 1024u)

/* A text[] column as an array of NUL-terminated strings in the arena. */
static int text_list(struct arena *a, const struct db_result *r, int row, int col,
                     const char ***ret, uint32_t *ret_n)
{
    int n = dbr_array_len(r, row, col);
    *ret_n = (uint32_t)n;
    *ret = arena_alloc(a, ((size_t)n + 1) * sizeof **ret);
    for (int i = 0; *ret && i < n; i++) {
        int len = 0;
        const char *s = dbr_text_item(r, row, col, i, &len);
        (*ret)[i] = arena_dup(a, s, (size_t)len);
        if (!(*ret)[i])
            return -ENOMEM;
    }
    return *ret ? 0 : -ENOMEM;
}

static void copy_text(char *out, size_t size, const struct db_result *r, int row, int col)
{
    (void)snprintf(out, size, "%s", dbr_text(r, row, col));
}

static int64_t ts_or_zero(const struct db_result *r, int row, int col)
{
    return dbr_null(r, row, col) ? 0 : dbr_ts(r, row, col);
}

/* Media of the waves, in the order of the waves; few waves have any. */
static int load_media(struct db *db, struct control *c, struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    int rc = db_query(
        db,
        "SELECT x.wave_id, m.media_id, m.bytes, m.public_id, m.mime FROM wave w JOIN campaign c "
        "USING (campaign_id) JOIN wave_media x USING (wave_id) JOIN media m USING (media_id)"
        " WHERE w.state IN ('planning', 'running', 'finishing') AND c.state IN ('running', "
        "'finishing', 'cancelled') ORDER BY x.wave_id LIMIT 131072",
        NULL, &r, diag);
    uint32_t n = rc < 0 ? 0 : (uint32_t)dbr_rows(r), at = 0;
    struct store_media_ref *all = arena_alloc(&c->arena, (n + 1u) * sizeof *all);
    if (rc == 0 && !all)
        return diag_set(diag, CGW_ELIMIT, "wave", "media of the running campaigns exceed %u bytes",
                        TEXTS_MAX);
    for (uint32_t i = 0; rc == 0 && i < c->n_waves; i++) {
        struct wave_info *w = &c->waves[i];
        for (; at < n && dbr_int(r, (int)at, 0) < w->wave_id; at++)
            ;
        w->media = &all[at];
        for (; at < n && dbr_int(r, (int)at, 0) == w->wave_id; at++, w->n_media++) {
            all[at] = (struct store_media_ref){.media_id = dbr_int(r, (int)at, 1),
                                               .bytes = dbr_int(r, (int)at, 2)};
            copy_text(all[at].public_id, sizeof all[at].public_id, r, (int)at, 3);
            copy_text(all[at].mime, sizeof all[at].mime, r, (int)at, 4);
        }
    }
    return rc;
}

static int load_waves(struct db *db, struct control *c, struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    int rc = db_query(
        db,
        "SELECT w.wave_id, w.campaign_id, w.set_id, c.partner_id, c.public_id, c.plugin, c.class, "
        "w.channel, w.lane, c.purpose, c.state = 'cancelled',"
        " c.not_before, c.not_after, w.validity_ms, w.content::text, s.fields, w.routes, "
        "c.version, "
        "w.state <> 'finishing', p.rate"
        " FROM wave w JOIN campaign c USING (campaign_id) JOIN recipient_set s USING (set_id) JOIN "
        "partner p ON p.partner_id = c.partner_id"
        " WHERE w.state IN ('planning', 'running', 'finishing') AND c.state IN ('running', "
        "'finishing', 'cancelled') ORDER BY w.wave_id LIMIT 4097",
        NULL, &r, diag);
    if (rc < 0)
        return rc;
    c->n_waves = (uint32_t)dbr_rows(r);
    if (c->n_waves > CONTROL_WAVES_MAX)
        c->n_waves =
            CONTROL_WAVES_MAX; /* the rest gets its turn when these are done: oldest first */
    c->waves = arena_alloc(&c->arena, (c->n_waves + 1u) * sizeof *c->waves);
    for (uint32_t i = 0; c->waves && i < c->n_waves; i++) {
        struct wave_info *w = &c->waves[i];
        int k = (int)i;
        *w = (struct wave_info){.wave_id = (int32_t)dbr_int(r, k, 0),
                                .campaign_id = (int32_t)dbr_int(r, k, 1),
                                .set_id = (int32_t)dbr_int(r, k, 2),
                                .partner_id = (int32_t)dbr_int(r, k, 3),
                                .contact_class = (uint8_t)dbr_int(r, k, 6),
                                .channel = (uint8_t)dbr_int(r, k, 7),
                                .lane = (uint8_t)dbr_int(r, k, 8),
                                .purpose = (int16_t)dbr_int(r, k, 9),
                                .cancelled = dbr_bool(r, k, 10),
                                .not_before_ms = ts_or_zero(r, k, 11),
                                .not_after_ms = ts_or_zero(r, k, 12),
                                .validity_ms = dbr_int(r, k, 13),
                                .content_len = (uint32_t)dbr_len(r, k, 14),
                                .version = (int32_t)dbr_int(r, k, 17),
                                .sending = dbr_bool(r, k, 18),
                                .partner_rate = (int32_t)dbr_int(r, k, 19)};
        copy_text(w->campaign, sizeof w->campaign, r, k, 4);
        copy_text(w->plugin, sizeof w->plugin, r, k, 5);
        w->content = arena_dup(&c->arena, dbr_text(r, k, 14), w->content_len);
        if (!w->content || text_list(&c->arena, r, k, 15, &w->fields, &w->n_fields) < 0 ||
            text_list(&c->arena, r, k, 16, &w->routes, &w->n_routes) < 0)
            return diag_set(diag, CGW_ELIMIT, "wave",
                            "contents of the running campaigns exceed %u bytes", TEXTS_MAX);
    }
    return c->waves ? 0 : diag_set(diag, -ENOMEM, "", "out of memory");
}

static int load_routes(struct db *db, struct control *c, struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    int rc =
        db_query(db,
                 "SELECT route_id, partner_id, rate, priority, weight, public_id, name, instance, "
                 "sender, service_code, channel, sender_kind, state = 'active', receipts,"
                 " EXISTS (SELECT FROM queue_pause q WHERE q.route_id = r.route_id AND lane = 0), "
                 "EXISTS (SELECT FROM queue_pause q WHERE q.route_id = r.route_id AND lane = 1),"
                 " class_mask, max_segments, max_tries, prefixes, regions FROM route r WHERE NOT "
                 "archived ORDER BY priority, route_id LIMIT 512",
                 NULL, &r, diag);
    if (rc < 0)
        return rc;
    c->n_routes = (uint32_t)dbr_rows(r);
    c->routes = arena_alloc(&c->arena, (c->n_routes + 1u) * sizeof *c->routes);
    for (uint32_t i = 0; c->routes && i < c->n_routes; i++) {
        struct route_info *t = &c->routes[i];
        int k = (int)i;
        *t = (struct route_info){.route_id = (int32_t)dbr_int(r, k, 0),
                                 .partner_id = (int32_t)dbr_int(r, k, 1),
                                 .rate = (int32_t)dbr_int(r, k, 2),
                                 .priority = (int32_t)dbr_int(r, k, 3),
                                 .weight = (int32_t)dbr_int(r, k, 4),
                                 .channel = (uint8_t)dbr_int(r, k, 10),
                                 .sender_kind = (uint8_t)dbr_int(r, k, 11),
                                 .active = dbr_bool(r, k, 12),
                                 .receipts = dbr_bool(r, k, 13),
                                 .paused = {dbr_bool(r, k, 14), dbr_bool(r, k, 15)},
                                 .class_mask = (uint32_t)dbr_int(r, k, 16),
                                 .max_segments = (int16_t)dbr_int(r, k, 17),
                                 .max_tries = (int16_t)dbr_int(r, k, 18)};
        copy_text(t->public_id, sizeof t->public_id, r, k, 5);
        copy_text(t->name, sizeof t->name, r, k, 6);
        copy_text(t->instance, sizeof t->instance, r, k, 7);
        copy_text(t->sender, sizeof t->sender, r, k, 8);
        copy_text(t->service_code, sizeof t->service_code, r, k, 9);
        if (text_list(&c->arena, r, k, 19, &t->prefixes, &t->n_prefixes) < 0 ||
            text_list(&c->arena, r, k, 20, &t->regions, &t->n_regions) < 0)
            return diag_set(diag, CGW_ELIMIT, "route", "route prefixes exceed %u bytes", TEXTS_MAX);
    }
    return c->routes ? 0 : diag_set(diag, -ENOMEM, "", "out of memory");
}

int store_control_load(struct db *db, struct control **ret, struct diag *diag)
{
    struct control *c = calloc(1, sizeof *c);
    if (!c)
        return diag_set(diag, -ENOMEM, "", "out of memory");
    c->refs = 1;
    arena_init(&c->arena, TEXTS_MAX);
    auto_dbr struct db_result *r = NULL;
    int rc = db_query(db, "SELECT state = 'running' FROM dispatch_switch", NULL, &r, diag);
    if (rc == 0) {
        c->running = dbr_rows(r) && dbr_bool(r, 0, 0);
        rc = load_waves(db, c, diag);
    }
    if (rc == 0)
        rc = load_media(db, c, diag);
    if (rc == 0)
        rc = load_routes(db, c, diag);
    if (rc < 0) {
        control_free(c);
        return rc;
    }
    *ret = c;
    return 0;
}

void control_free(struct control *c)
{
    if (!c)
        return;
    arena_done(&c->arena);
    free(c);
}

const struct wave_info *control_wave(const struct control *c, int32_t wave_id)
{
    for (uint32_t i = 0; i < c->n_waves; i++)
        if (c->waves[i].wave_id == wave_id)
            return &c->waves[i];
    return NULL;
}

const struct route_info *control_route(const struct control *c, int32_t route_id)
{
    for (uint32_t i = 0; i < c->n_routes; i++)
        if (c->routes[i].route_id == route_id)
            return &c->routes[i];
    return NULL;
}
