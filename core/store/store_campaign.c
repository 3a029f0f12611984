/* SPDX-License-Identifier: Apache-2.0 */
/* store_campaign.c - rows of campaigns and waves, states and actions, documents. See
 * store_campaign.h; numbers: store_campaign_numbers.c. */
#include "store/store_campaign.h"
#include "store/store_json.h"

#include <stdio.h>
#include <string.h>

/* ---- states and actions ---------------------------------------------------------------------- */
static const char *const state_words[CAMPAIGN_STATES] = {
    [CAMPAIGN_DRAFT] = "draft",         [CAMPAIGN_IN_REVIEW] = "in_review",
    [CAMPAIGN_APPROVED] = "approved",   [CAMPAIGN_SCHEDULED] = "scheduled",
    [CAMPAIGN_RUNNING] = "running",     [CAMPAIGN_PAUSED] = "paused",
    [CAMPAIGN_FINISHING] = "finishing", [CAMPAIGN_COMPLETED] = "completed",
    [CAMPAIGN_CANCELLED] = "cancelled",
};
#define IN(s) (1u << CAMPAIGN_##s)
/* The approval policy is empty: drafts may be scheduled and started. running <-> finishing ->
 * completed are the planner's. */
const struct campaign_action campaign_actions[CAMPAIGN_VERBS] = {
    [CAMPAIGN_SCHEDULE] = {"schedule", IN(DRAFT) | IN(APPROVED), IN(SCHEDULED), CAMPAIGN_SCHEDULED},
    [CAMPAIGN_START] = {"start", IN(DRAFT) | IN(APPROVED) | IN(SCHEDULED),
                        IN(RUNNING) | IN(FINISHING), CAMPAIGN_RUNNING},
    [CAMPAIGN_PAUSE] = {"pause", IN(RUNNING), IN(PAUSED), CAMPAIGN_PAUSED},
    [CAMPAIGN_RESUME] = {"resume", IN(PAUSED), IN(RUNNING) | IN(FINISHING), CAMPAIGN_RUNNING},
    [CAMPAIGN_CANCEL] = {"cancel",
                         IN(DRAFT) | IN(IN_REVIEW) | IN(APPROVED) | IN(SCHEDULED) | IN(RUNNING) |
                             IN(PAUSED) | IN(FINISHING),
                         IN(CANCELLED), CAMPAIGN_CANCELLED},
};

const char *campaign_state_word(enum campaign_state s)
{
    return state_words[s];
}

int campaign_state_of(const char *word)
{
    for (int i = 0; i < CAMPAIGN_STATES; i++)
        if (!strcmp(word, state_words[i]))
            return i;
    return -1;
}

void campaign_actions_json(enum campaign_state s, struct buf *out)
{
    const char *comma = "";
    buf_putc(out, '[');
    for (int i = 0; i < CAMPAIGN_VERBS; i++) {
        if (!(campaign_actions[i].from >> s & 1))
            continue;
        buf_printf(out, "%s\"%s\"", comma, campaign_actions[i].verb);
        comma = ",";
    }
    buf_putc(out, ']');
}

/* The table as two parallel arrays, and the states in bit order: what the documents' SQL needs. */
static void put_actions(struct db_params *p)
{
    static const char *verbs[CAMPAIGN_VERBS];
    int32_t masks[CAMPAIGN_VERBS];
    for (int i = 0; i < CAMPAIGN_VERBS; i++) {
        verbs[i] = campaign_actions[i].verb;
        masks[i] = (int32_t)campaign_actions[i].from;
    }
    dbp_text_array(p, verbs, CAMPAIGN_VERBS);
    dbp_int4_array(p, masks, CAMPAIGN_VERBS);
    dbp_text_array(p, state_words, CAMPAIGN_STATES);
}

/* ---- documents ------------------------------------------------------------------------------- */
/* clang-format off */
#define WAVE_INPUT \
    "'channel', " SQL_CHANNEL("w.channel") ", 'content', w.content, 'routes', w.routes," \
    " 'validity', CASE WHEN w.validity_ms > 0 THEN 'PT' || w.validity_ms / 1000 || 'S' END," \
    " 'not_before', " SQL_TIME("w.not_before") \
    ", 'after', CASE WHEN w.after_ms > 0 THEN 'PT' || w.after_ms / 1000 || 'S' END"
#define INPUT \
    "'name', c.name, 'class', " SQL_CLASS("c.class") ", 'purpose', (SELECT u.name FROM" \
    " purpose u WHERE u.purpose = c.purpose), 'plugin', c.plugin," \
    " 'audience', (SELECT a.public_id FROM audience a WHERE a.audience_id = c.audience_id)," \
    " 'not_before', " SQL_TIME("c.not_before") \
    ", 'not_after', " SQL_TIME("c.not_after") ", 'keyword', nullif(c.keyword, '')"
/* clang-format on */
/* $1 verbs, $2 masks, $3 states */
/* clang-format off */
#define DOCUMENT(extra) \
    "json_build_object('id', c.public_id, 'partner_id', c.partner_id, 'state', c.state, " INPUT \
    ", 'waves', (SELECT json_agg(json_build_object('wave', w.wave_no, " WAVE_INPUT "," \
    " 'state', w.state) ORDER BY w.wave_no) FROM wave w WHERE w.campaign_id = c.campaign_id)," \
    " 'actions', (SELECT coalesce(json_agg(t.verb ORDER BY t.n), '[]') FROM" \
    " unnest($1::text[], $2::int4[]) WITH ORDINALITY t (verb, mask, n)" \
    " WHERE t.mask >> (array_position($3::text[], c.state) - 1) & 1 = 1)" extra "," \
    " 'version', c.version, 'created_by', c.created_by," \
    " 'created_at', " SQL_TIME("c.created_at") ", 'updated_at', " \
    SQL_TIME("c.updated_at") ", 'started_at', " SQL_TIME("c.started_at") \
    ", 'finished_at', " SQL_TIME("c.finished_at") ")::text"
/* clang-format on */
#define MINE(n) "NOT c.system AND ($" n " = 0 OR c.partner_id = $" n ")"

static int not_found(struct diag *diag, const char *public_id)
{
    return diag_set(diag, CGW_ENOTFOUND, "", "no campaign %.39s", public_id);
}

int store_campaign_json(struct db *db, struct store_scope scope, const char *public_id,
                        const struct store_live *live, int64_t *ret_version, struct buf *ret,
                        struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    struct buf progress;
    struct db_params p;
    buf_init(&progress, 65536);
    int rc = store_campaign_progress(db, scope, public_id, live, &progress, diag);
    if (rc == 0) {
        dbp_init(&p);
        put_actions(&p);
        dbp_text(&p, public_id);
        dbp_int4(&p, scope.partner_id);
        dbp_text(&p, buf_str(&progress));
        rc = db_query(
            db,
            "SELECT " DOCUMENT(", 'progress', $6::json") ", c.version FROM campaign c WHERE "
                                                         "c.public_id = $4 AND " MINE("5"),
            &p, &r, diag);
    }
    buf_done(&progress);
    if (rc < 0)
        return rc;
    if (dbr_rows(r) == 0)
        return not_found(diag, public_id);
    buf_put(ret, dbr_text(r, 0, 0), (size_t)dbr_len(r, 0, 0));
    if (ret_version)
        *ret_version = dbr_int(r, 0, 1);
    return 0;
}

int store_campaign_list(struct db *db, struct store_scope scope, const char *state,
                        const char *cursor, int limit, struct buf *ret, bool *ret_more,
                        char *ret_cursor, size_t cursor_size, struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    put_actions(&p);
    dbp_int4(&p, scope.partner_id);
    dbp_text(&p, state);
    dbp_int4(&p, cursor[0] ? (int32_t)strtol(cursor, NULL, 10) : INT32_MAX);
    dbp_int4(&p, limit + 1);
    return store_json_list(
        db,
        "SELECT " DOCUMENT("") ", c.campaign_id::text FROM campaign c WHERE " MINE(
            "4") " AND ($5::text IS NULL OR c.state = $5) AND c.campaign_id < $6 ORDER BY "
                 "c.campaign_id DESC LIMIT $7::int4",
        &p, limit, ret, ret_more, ret_cursor, cursor_size, diag);
}

int store_campaign_input(struct db *db, int32_t campaign_id, struct buf *ret, struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, campaign_id);
    return store_json_one(
        db,
        "SELECT json_build_object(" INPUT
        ", 'waves', (SELECT json_agg(json_build_object(" WAVE_INPUT
        ") ORDER BY w.wave_no) FROM wave w"
        " WHERE w.campaign_id = c.campaign_id))::text FROM campaign c WHERE c.campaign_id = $1",
        &p, ret, diag);
}

/* ---- rows ------------------------------------------------------------------------------------ */
static int insert_media(struct db *db, int32_t wave_id, const struct store_wave_values *w,
                        struct diag *diag)
{
    int64_t ids[STORE_MEDIA_PER_WAVE];
    struct db_params p;
    if (!w->n_media)
        return 0;
    for (uint32_t i = 0; i < w->n_media; i++)
        ids[i] = w->media[i].media_id;
    dbp_init(&p);
    dbp_int4(&p, wave_id);
    dbp_int8_array(&p, ids, w->n_media);
    return db_exec(db, "INSERT INTO wave_media (wave_id, media_id) SELECT $1, unnest($2::int8[])",
                   &p, NULL, diag);
}

static int insert_waves(struct db *db, int32_t campaign_id, const struct store_campaign_values *v,
                        struct diag *diag)
{
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < v->n_waves; i++) {
        const struct store_wave_values *w = &v->waves[i];
        struct db_params p;
        dbp_init(&p);
        dbp_int4(&p, campaign_id);
        dbp_int2(&p, (int16_t)(i + 1));
        dbp_int2(&p, w->channel);
        dbp_textn(&p, w->content, w->content_len);
        dbp_text_array(&p, w->routes, w->n_routes);
        dbp_int8(&p, w->validity_ms);
        dbp_ts(&p, w->not_before_ms);
        dbp_int8(&p, w->after_ms);
        auto_dbr struct db_result *r = NULL;
        rc = db_query(db,
                      "INSERT INTO wave (campaign_id, wave_no, channel, content, routes, "
                      "validity_ms, not_before, after_ms) VALUES ($1, $2, $3, $4::jsonb, "
                      "$5::text[], $6, $7, $8) RETURNING wave_id",
                      &p, &r, diag);
        if (rc == 0)
            rc = insert_media(db, (int32_t)dbr_int(r, 0, 0), w, diag);
    }
    return rc;
}

/* $2 … $9 */
static void put_values(struct db_params *p, const struct store_campaign_values *v)
{
    dbp_text(p, v->name);
    dbp_text(p, v->plugin);
    dbp_int2(p, v->contact_class);
    dbp_int2(p, v->purpose);
    if (v->audience_id)
        dbp_int4(p, v->audience_id);
    else
        dbp_null(p);
    dbp_text(p, v->keyword);
    dbp_ts(p, v->not_before_ms);
    dbp_ts(p, v->not_after_ms);
}

/* What the audit keeps: settings, never the text of messages. */
static int audit_change(struct db *db, const struct store_actor *who, const char *action,
                        const char *public_id, const char *before, int32_t campaign_id,
                        struct diag *diag)
{
    struct buf after;
    buf_init(&after, 1u << 20);
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, campaign_id);
    int rc = store_json_one(db,
                            "SELECT json_build_object(" INPUT
                            ", 'state', c.state)::text FROM campaign c WHERE c.campaign_id = $1",
                            &p, &after, diag);
    if (rc == 0)
        rc = store_audit(db, who, action, public_id, before, buf_str(&after), diag);
    buf_done(&after);
    return rc;
}

int store_campaign_create(struct db *db, const struct store_actor *who,
                          const struct store_campaign_values *v, char ret_public_id[40],
                          struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    struct db_params p;
    store_new_id("cmp", ret_public_id, 40);
    dbp_init(&p);
    dbp_text(&p, ret_public_id);
    put_values(&p, v);
    dbp_int4(&p, who->partner_id);
    dbp_text(&p, who->name);
    int rc =
        db_query(db,
                 "INSERT INTO campaign (public_id, name, plugin, class, purpose, audience_id, "
                 "keyword, not_before, not_after, partner_id, created_by)"
                 " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING campaign_id",
                 &p, &r, diag);
    if (rc < 0)
        return rc;
    int32_t id = (int32_t)dbr_int(r, 0, 0);
    rc = insert_waves(db, id, v, diag);
    return rc < 0 ? rc : audit_change(db, who, "campaign.create", ret_public_id, NULL, id, diag);
}

int store_campaign_lock(struct db *db, struct store_scope scope, const char *public_id,
                        struct store_campaign *ret, struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    struct db_params p;
    char id[sizeof ret->public_id]; /* public_id may be that of ret itself */
    (void)snprintf(id, sizeof id, "%s", public_id);
    dbp_init(&p);
    dbp_text(&p, public_id);
    dbp_int4(&p, scope.partner_id);
    int rc = db_query(db,
                      "SELECT c.campaign_id, c.partner_id, c.audience_id, c.version, c.not_before, "
                      "c.not_after, c.state, c.class FROM campaign c"
                      " WHERE c.public_id = $1 AND " MINE("2") " FOR UPDATE",
                      &p, &r, diag);
    if (rc < 0)
        return rc;
    if (dbr_rows(r) == 0)
        return not_found(diag, public_id);
    int state = campaign_state_of(dbr_text(r, 0, 6));
    if (state < 0)
        return diag_set(diag, CGW_EVERSION, "",
                        "campaign %.39s is in a state this version does not know", public_id);
    *ret = (struct store_campaign){.campaign_id = (int32_t)dbr_int(r, 0, 0),
                                   .partner_id = (int32_t)dbr_int(r, 0, 1),
                                   .audience_id = (int32_t)dbr_int(r, 0, 2),
                                   .version = dbr_int(r, 0, 3),
                                   .not_before_ms = dbr_ts(r, 0, 4),
                                   .not_after_ms = dbr_ts(r, 0, 5),
                                   .state = (enum campaign_state)state,
                                   .contact_class = (uint8_t)dbr_int(r, 0, 7)};
    memcpy(ret->public_id, id, sizeof id);
    return 0;
}

static int delete_waves(struct db *db, int32_t campaign_id, struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, campaign_id);
    return db_exec(db, "DELETE FROM wave WHERE campaign_id = $1 AND state = 'waiting'", &p, NULL,
                   diag);
}

/* A scheduled campaign starts by itself: its waves keep naming the set of the audience it has now.
 */
static int fix_sets(struct db *db, int32_t campaign_id, int32_t set_id, struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, campaign_id);
    dbp_int4(&p, set_id);
    return db_exec(db, "UPDATE wave SET set_id = $2 WHERE campaign_id = $1 AND state = 'waiting'",
                   &p, NULL, diag);
}

int store_campaign_update(struct db *db, const struct store_actor *who,
                          const struct store_campaign *c, const struct store_campaign_values *v,
                          struct diag *diag)
{
    struct buf before;
    struct db_params p;
    buf_init(&before, 1u << 20);
    dbp_init(&p);
    dbp_int4(&p, c->campaign_id);
    int rc = store_json_one(db,
                            "SELECT json_build_object(" INPUT
                            ", 'state', c.state)::text FROM campaign c WHERE c.campaign_id = $1",
                            &p, &before, diag);
    if (rc == 0)
        rc = delete_waves(db, c->campaign_id, diag);
    if (rc == 0)
        rc = insert_waves(db, c->campaign_id, v, diag);
    if (rc == 0 && c->state == CAMPAIGN_SCHEDULED) {
        dbp_init(&p);
        dbp_int4(&p, c->campaign_id);
        dbp_int4(&p, v->audience_id);
        rc = db_exec(db,
                     "UPDATE wave SET set_id = (SELECT set_id FROM audience WHERE audience_id = "
                     "$2) WHERE campaign_id = $1",
                     &p, NULL, diag);
    }
    if (rc == 0) {
        dbp_init(&p);
        dbp_int4(&p, c->campaign_id);
        put_values(&p, v);
        rc = db_exec(db,
                     "UPDATE campaign SET name = $2, plugin = $3, class = $4, purpose = $5, "
                     "audience_id = $6, keyword = $7, not_before = $8, not_after = $9,"
                     " version = version + 1, updated_at = now() WHERE campaign_id = $1",
                     &p, NULL, diag);
    }
    if (rc == 0)
        rc = audit_change(db, who, "campaign.change", c->public_id, buf_str(&before),
                          c->campaign_id, diag);
    buf_done(&before);
    return rc;
}

int store_campaign_delete(struct db *db, const struct store_actor *who,
                          const struct store_campaign *c, struct diag *diag)
{
    struct buf before;
    struct db_params p;
    buf_init(&before, 1u << 20);
    dbp_init(&p);
    dbp_int4(&p, c->campaign_id);
    int rc = store_json_one(db,
                            "SELECT json_build_object(" INPUT
                            ", 'state', c.state)::text FROM campaign c WHERE c.campaign_id = $1",
                            &p, &before, diag);
    if (rc == 0)
        rc = delete_waves(db, c->campaign_id, diag);
    if (rc == 0) {
        dbp_init(&p);
        dbp_int4(&p, c->campaign_id);
        rc = db_exec(db, "DELETE FROM campaign WHERE campaign_id = $1 AND state = 'draft'", &p,
                     NULL, diag);
    }
    if (rc == 0)
        rc = store_audit(db, who, "campaign.delete", c->public_id, buf_str(&before), NULL, diag);
    buf_done(&before);
    return rc;
}

int store_campaign_act(struct db *db, const struct store_actor *who, const struct store_campaign *c,
                       enum campaign_verb verb, int32_t set_id, struct diag *diag)
{
    const struct campaign_action *a = &campaign_actions[verb];
    char action[40], before[64], after[64];
    struct db_params p;
    int64_t rows = 0;
    dbp_init(&p);
    dbp_int4(&p, c->campaign_id);
    dbp_text(&p, campaign_state_word(c->state));
    dbp_text(&p, campaign_state_word(a->to));
    int rc = db_exec(db,
                     "UPDATE campaign SET state = $3, version = version + 1, updated_at = now(),"
                     " started_at = CASE WHEN $3 = 'running' THEN coalesce(started_at, now()) ELSE "
                     "started_at END WHERE campaign_id = $1 AND state = $2",
                     &p, &rows, diag);
    if (rc == 0 && rows != 1)
        rc = diag_set(diag, CGW_ESTATE, "", "campaign %s has moved on meanwhile", c->public_id);
    if (rc == 0 && set_id)
        rc = fix_sets(db, c->campaign_id, set_id, diag);
    if (rc == 0 && verb == CAMPAIGN_CANCEL) { /* waves that are under way are held person by person,
                                                 the others never begin */
        dbp_init(&p);
        dbp_int4(&p, c->campaign_id);
        rc = db_exec(
            db, "UPDATE wave SET state = 'cancelled' WHERE campaign_id = $1 AND state = 'waiting'",
            &p, NULL, diag);
    }
    if (rc < 0)
        return rc;
    (void)snprintf(action, sizeof action, "campaign.%s", a->verb);
    (void)snprintf(before, sizeof before, "{\"state\":\"%s\"}", campaign_state_word(c->state));
    (void)snprintf(after, sizeof after, "{\"state\":\"%s\"}", campaign_state_word(a->to));
    return store_audit(db, who, action, c->public_id, before, after, diag);
}

/* ---- what a campaign refers to --------------------------------------------------------------- */
int store_purpose_find(struct db *db, const char *name, int16_t *ret, struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, name);
    int rc =
        db_query(db,
                 "SELECT (SELECT purpose FROM purpose WHERE name = $1), (SELECT string_agg(name, "
                 "', ') FROM (SELECT name FROM purpose ORDER BY purpose LIMIT 10) x)",
                 &p, &r, diag);
    if (rc < 0)
        return rc;
    if (dbr_null(r, 0, 0))
        return diag_set(diag, CGW_ENOTFOUND, "",
                        "nobody ever consented to this purpose; known ones are %.150s",
                        dbr_text(r, 0, 1));
    *ret = (int16_t)dbr_int(r, 0, 0);
    return 0;
}

static int copy_fields(const struct db_result *r, int col, struct arena *a,
                       struct store_campaign_audience *ret)
{
    int n = dbr_array_len(r, 0, col);
    ret->fields = arena_alloc(a, ((size_t)n + 1) * sizeof *ret->fields);
    for (int i = 0; ret->fields && i < n; i++) {
        int len = 0;
        const char *s = dbr_text_item(r, 0, col, i, &len);
        ret->fields[i] = arena_dup(a, s, (size_t)len);
        if (!ret->fields[i])
            return CGW_ELIMIT;
        ret->n_fields++;
    }
    return ret->fields ? 0 : CGW_ELIMIT;
}

int store_campaign_audience(struct db *db, int32_t partner_id, const char *public_id,
                            int32_t audience_id, bool lock, struct arena *a,
                            struct store_campaign_audience *ret, struct diag *diag)
{
/* clang-format off */
#define AUDIENCE \
    "SELECT a.audience_id, coalesce(a.set_id, 0), a.state = 'ready', a.archived," \
    " coalesce(s.n_rows, 0), a.channel_mask, a.public_id, coalesce(s.fields, '{}')" \
    " FROM audience a LEFT JOIN recipient_set s ON s.set_id = a.set_id AND NOT s.dropped" \
    " WHERE ($1::text IS NULL OR a.public_id = $1) AND ($1::text IS NOT NULL OR" \
    " a.audience_id = $2) AND ($3 = 0 OR a.partner_id = $3)"
    /* clang-format on */
    auto_dbr struct db_result *r = NULL;
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, public_id);
    dbp_int4(&p, audience_id);
    dbp_int4(&p, partner_id);
    int rc = db_query(db, lock ? AUDIENCE " FOR SHARE OF a" : AUDIENCE, &p, &r, diag);
#undef AUDIENCE
    if (rc < 0)
        return rc;
    if (dbr_rows(r) == 0)
        return diag_set(diag, CGW_ENOTFOUND, "", "no audience %.39s", public_id ? public_id : "");
    *ret = (struct store_campaign_audience){.audience_id = (int32_t)dbr_int(r, 0, 0),
                                            .set_id = (int32_t)dbr_int(r, 0, 1),
                                            .ready = dbr_bool(r, 0, 2),
                                            .archived = dbr_bool(r, 0, 3),
                                            .n_rows = dbr_int(r, 0, 4),
                                            .channel_mask = (uint32_t)dbr_int(r, 0, 5)};
    (void)snprintf(ret->public_id, sizeof ret->public_id, "%s", dbr_text(r, 0, 6));
    return copy_fields(r, 7, a, ret) < 0
               ? diag_set(diag, CGW_ELIMIT, "", "the audience's field names are too large")
               : 0;
}

static bool add_instance(struct arena *a, struct store_campaign_routes *ret, const char *name)
{
    for (uint32_t i = 0; i < ret->n_instances; i++)
        if (!strcmp(ret->instances[i], name))
            return true;
    if (ret->n_instances == ARRAY_LEN(ret->instances))
        return true; /* a sample is enough to judge content by */
    ret->instances[ret->n_instances] = arena_dup(a, name, strlen(name));
    return ret->instances[ret->n_instances++] != NULL;
}

static const char *misfit(const struct db_result *r, int i)
{
    static const char *const why[] = {
        "no such route", "this route serves another channel than the wave's",
        "this route does not carry the campaign's class", "this route belongs to another partner"};
    for (int k = 0; k < (int)ARRAY_LEN(why); k++)
        if (dbr_null(r, i, 3 + k) || !dbr_bool(r, i, 3 + k))
            return why[k];
    return NULL;
}

int store_campaign_routes(struct db *db, int32_t partner_id, uint32_t contact_class,
                          const struct store_wave_values *w, struct arena *a,
                          struct store_campaign_routes *ret, struct diag *diag)
{
/* clang-format off */
#define FITS \
    "r.channel = $3, r.class_mask = 0 OR r.class_mask >> $4::int4 & 1 = 1, r.partner_id IN" \
    " (0, $5)"
    /* clang-format on */
    auto_dbr struct db_result *r = NULL;
    struct db_params p;
    *ret = (struct store_campaign_routes){.wrong = -1, .max_segments = INT16_MAX};
    dbp_init(&p);
    dbp_text_array(&p, w->routes, w->n_routes);
    dbp_bool(&p, w->n_routes > 0);
    dbp_int2(&p, w->channel);
    dbp_int4(&p, (int32_t)contact_class);
    dbp_int4(&p, partner_id);
    int rc =
        db_query(db,
                 "(SELECT r.instance, r.max_segments, r.name, r.route_id IS NOT NULL, " FITS
                 " FROM unnest($1::text[]) WITH ORDINALITY n (id, o)"
                 " LEFT JOIN route r ON r.public_id = n.id AND NOT r.archived WHERE $2 ORDER BY "
                 "n.o) UNION ALL"
                 " (SELECT r.instance, r.max_segments, r.name, true, " FITS
                 " FROM route r WHERE NOT $2 AND NOT r.archived ORDER BY r.priority, r.route_id)",
                 &p, &r, diag);
#undef FITS
    for (int i = 0; rc == 0 && i < dbr_rows(r); i++) {
        const char *why = misfit(r, i);
        if (why && w->n_routes && ret->wrong < 0) {
            ret->wrong = i;
            ret->why = why;
        }
        if (why)
            continue;
        ret->n_routes++;
        if (dbr_int(r, i, 1) < ret->max_segments) {
            ret->max_segments = (int16_t)dbr_int(r, i, 1);
            (void)snprintf(ret->tightest, sizeof ret->tightest, "%s", dbr_text(r, i, 2));
        }
        if (!add_instance(a, ret, dbr_text(r, i, 0)))
            rc = diag_set(diag, CGW_ELIMIT, "", "the routes' names are too large");
    }
    return rc;
}
