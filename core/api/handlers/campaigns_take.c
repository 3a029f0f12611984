/* SPDX-License-Identifier: Apache-2.0 */
/* campaigns_take.c - from a campaign's document to checked values: class, purpose, audience, times,
 * keyword, waves, content, routes. Templates and parts are judged by services->check_content,
 * policy by nobody here. See campaigns.h. */
#include "api/handlers/campaigns.h"
#include "api/handlers/people.h"

#include "base/clock.h"
#include "base/word.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define CLASSES                                                                                    \
    "marketing|service|emergency" /* replies and confirmations are made by the gateway itself */
#define PLUGIN_DEFAULT "campaign_broadcast"
#define PAST_TOLERANCE_MS 60000 /* between the client's clock and ours */
#define VALIDITY_MAX_MS (INT64_C(30) * 86400000)
#define AFTER_MAX_MS (INT64_C(366) * 86400000)
#define CONTENT_VALUES_MAX 1024u /* values of one content looked at for media */

static const struct api_member wave_body[] = {
    {.name = "channel", .type = API_T_ENUM, .flags = API_M_REQUIRED, .choices = PEOPLE_CHANNELS},
    {.name = "content", .type = API_T_OBJECT, .flags = API_M_REQUIRED},
    {.name = "routes",
     .type = API_T_ARRAY,
     .flags = API_M_NULLABLE,
     .item_type = API_T_ID,
     .max = STORE_WAVE_ROUTES_MAX,
     .choices = "rte"},
    {.name = "validity",
     .type = API_T_DURATION,
     .flags = API_M_NULLABLE,
     .min = 60000,
     .max = VALIDITY_MAX_MS},
    {.name = "not_before", .type = API_T_TIME, .flags = API_M_NULLABLE},
    {.name = "after",
     .type = API_T_DURATION,
     .flags = API_M_NULLABLE,
     .min = 1000,
     .max = AFTER_MAX_MS},
    {.name = NULL}};

#define CAMPAIGN_MEMBERS(REQ)                                                                      \
    {.name = "name", .type = API_T_STRING, .flags = REQ, .min = 1, .max = 120},                    \
        {.name = "class", .type = API_T_ENUM, .flags = API_M_NULLABLE, .choices = CLASSES},        \
        {.name = "purpose", .type = API_T_STRING, .flags = API_M_NULLABLE, .min = 1, .max = 64},   \
        {.name = "plugin", .type = API_T_STRING, .flags = API_M_NULLABLE, .min = 1, .max = 63},    \
        {.name = "audience", .type = API_T_ID, .flags = API_M_NULLABLE, .choices = "aud"},         \
        {.name = "not_before", .type = API_T_TIME, .flags = API_M_NULLABLE},                       \
        {.name = "not_after", .type = API_T_TIME, .flags = API_M_NULLABLE},                        \
        {.name = "keyword", .type = API_T_STRING, .flags = API_M_NULLABLE, .min = 1, .max = 40},   \
    {                                                                                              \
        .name = "waves", .type = API_T_ARRAY, .flags = REQ, .min = 1, .max = STORE_WAVES_MAX,      \
        .members = wave_body                                                                       \
    }

const struct api_member campaigns_create_body[] = {CAMPAIGN_MEMBERS(API_M_REQUIRED),
                                                   {.name = NULL}};
const struct api_member campaigns_patch_body[] = {CAMPAIGN_MEMBERS(0), {.name = NULL}};

static struct {
    int (*check)(void *ctx, const char *word, size_t len, struct diag *diag);
    void *ctx;
} keywords;

void campaigns_keyword_check(int (*check)(void *ctx, const char *word, size_t len,
                                          struct diag *diag),
                             void *ctx)
{
    keywords.check = check;
    keywords.ctx = ctx;
}

/* ---- members --------------------------------------------------------------------------------- */
static int take_class(struct campaign_intake *k, const json_t *doc, struct store_campaign_values *v)
{
    const char *word = api_str(doc, "class", "marketing");
    v->contact_class = (uint8_t)people_word(PEOPLE_CLASSES, word);
    if (v->contact_class == CGW_CLASS_EMERGENCY && !api_has_scope(k->req, "campaigns:emergency")) {
        int status =
            api_problem(k->resp, PROBLEM_SCOPE_MISSING,
                        "The class emergency passes almost every rule; it needs its own scope.");
        api_problem_text(k->resp, "scope", "campaigns:emergency");
        return status;
    }
    if (!api_may_class(k->req, v->contact_class))
        return api_problem(
            k->resp, PROBLEM_NOT_ALLOWED,
            "This key may not use the class %s; the classes of a key are chosen when it is made.",
            word);
    return 0;
}

static int take_purpose(struct campaign_intake *k, const json_t *doc,
                        struct store_campaign_values *v)
{
    struct diag d = {0};
    int rc = store_purpose_find(k->req->db, api_str(doc, "purpose", "marketing"), &v->purpose, &d);
    if (rc == CGW_ENOTFOUND)
        api_error(k->resp, "/purpose", "unknown_purpose", "%s", d.text);
    return rc < 0 && rc != CGW_ENOTFOUND ? api_fail(k->req, k->resp, rc, &d) : 0;
}

static int take_audience(struct campaign_intake *k, const json_t *doc,
                         struct store_campaign_values *v)
{
    const char *id = api_str(doc, "audience", NULL);
    struct diag d = {0};
    bool ready = k->flags & CAMPAIGN_CHECK_READY;
    if (!id)
        return ready ? api_problem(k->resp, PROBLEM_STATE_CONFLICT,
                                   "The campaign has no audience; PATCH it with one first.")
                     : 0;
    int rc = store_campaign_audience(k->req->db, k->partner_id, id, 0, ready, &k->req->arena,
                                     &k->audience, &d);
    if (rc == CGW_ENOTFOUND)
        api_error(k->resp, "/audience", "unknown_audience", "%s", d.text);
    else if (rc < 0)
        return api_fail(k->req, k->resp, rc, &d);
    else if (k->audience.archived)
        api_error(k->resp, "/audience", "archived", "this audience is archived");
    else if (ready && (!k->audience.ready || !k->audience.set_id || !k->audience.n_rows))
        return api_problem(k->resp, PROBLEM_STATE_CONFLICT,
                           "Nobody is in the audience; PUT /api/v1/audiences/%s/recipients first.",
                           id);
    v->audience_id = k->audience.audience_id;
    return 0;
}

static void take_times(struct campaign_intake *k, const json_t *doc,
                       struct store_campaign_values *v)
{
    int64_t now = clock_utc_ms();
    v->not_before_ms = api_time(doc, "not_before");
    v->not_after_ms = api_time(doc, "not_after");
    bool ahead = k->flags & CAMPAIGN_CHECK_TIMES;
    if (ahead && api_time(k->given, "not_before") != INT64_MIN &&
        v->not_before_ms < now - PAST_TOLERANCE_MS)
        api_error(k->resp, "/not_before", "in_the_past",
                  "lies in the past; leave it out to begin at once");
    if (ahead && api_time(k->given, "not_after") != INT64_MIN && v->not_after_ms <= now)
        api_error(k->resp, "/not_after", "in_the_past",
                  "lies in the past: nobody could be contacted");
    if (v->not_before_ms != INT64_MIN && v->not_after_ms != INT64_MIN &&
        v->not_after_ms <= v->not_before_ms)
        api_error(k->resp, "/not_after", "before_not_before", "must be after not_before");
}

static int take_keyword(struct campaign_intake *k, const json_t *doc,
                        struct store_campaign_values *v)
{
    struct diag d = {0};
    v->keyword = api_str(doc, "keyword", "");
    if (!v->keyword[0])
        return 0;
    if (!keywords.check)
        return api_problem(
            k->resp, PROBLEM_UNAVAILABLE,
            "This node knows no opt-out words and cannot tell whether the keyword is one.");
    int rc = keywords.check(keywords.ctx, v->keyword, strlen(v->keyword), &d);
    if (rc == CGW_EINVAL)
        api_error(k->resp, "/keyword", "optout_word", "%s", d.text);
    return rc < 0 && rc != CGW_EINVAL ? api_fail(k->req, k->resp, rc, &d) : 0;
}

/* ---- waves ----------------------------------------------------------------------------------- */
static int copy_content(struct campaign_intake *k, const json_t *obj, struct store_wave_values *w)
{
    char *text = json_dumps(json_object_get(obj, "content"), JSON_COMPACT);
    w->content_len = text ? strlen(text) : 0;
    w->content = text ? arena_dup(&k->req->arena, text, w->content_len) : NULL;
    free(text);
    return w->content ? 0 : api_problem(k->resp, PROBLEM_TOO_LARGE, "The content is too large.");
}

static bool is_media_id(const char *s)
{
    return !strncmp(s, "med_", 4) && strlen(s) == 30 &&
           strspn(s + 4, "0123456789abcdefghijklmnopqrstuvwxyz") == 26;
}

struct content_value {
    const json_t *v;
    char at[120];
};

static int take_media_id(struct campaign_intake *k, const char *id, const char *at, size_t wave,
                         struct store_wave_values *w)
{
    struct store_media_ref *all = (struct store_media_ref *)(uintptr_t)w->media;
    struct diag d = {0};
    char where[160];
    for (uint32_t i = 0; i < w->n_media; i++)
        if (!strcmp(all[i].public_id, id))
            return 0;
    (void)snprintf(where, sizeof where, "/waves/%zu/content%s", wave, at);
    if (w->n_media == STORE_MEDIA_PER_WAVE) {
        api_error(k->resp, where, "too_many", "a content names at most %u media",
                  STORE_MEDIA_PER_WAVE);
        return 0;
    }
    int rc = store_media_find(k->req->db, k->partner_id, id, &all[w->n_media], &d);
    if (rc == CGW_ENOTFOUND)
        api_error(k->resp, where, "unknown_media",
                  "there is no media %s of yours; POST /api/v1/media gives the id", id);
    w->n_media += rc == 0;
    return rc < 0 && rc != CGW_ENOTFOUND ? api_fail(k->req, k->resp, rc, &d) : 0;
}

/* Every string of the content that has the form of a media id names a media, whatever the plugin
 * makes of it: it must be there, and stays there as long as the campaign may send it. */
static int take_media(struct campaign_intake *k, const json_t *content, size_t wave,
                      struct store_wave_values *w)
{
    struct content_value *todo = arena_alloc(&k->req->arena, CONTENT_VALUES_MAX * sizeof *todo);
    w->media = arena_alloc(&k->req->arena, STORE_MEDIA_PER_WAVE * sizeof *w->media);
    size_t n = 0;
    int status = 0;
    if (!todo || !w->media)
        return api_problem(k->resp, PROBLEM_TOO_LARGE, "The content is too large.");
    todo[n++] = (struct content_value){.v = content};
    while (!status && n) {
        struct content_value at = todo[--n];
        const char *name;
        json_t *v;
        size_t i;
        if (json_is_string(at.v) && is_media_id(json_string_value(at.v)))
            status = take_media_id(k, json_string_value(at.v), at.at, wave, w);
        if (n + json_object_size(at.v) + json_array_size(at.v) > CONTENT_VALUES_MAX)
            return api_problem(k->resp, PROBLEM_TOO_LARGE,
                               "The content has more than %u values side by side.",
                               CONTENT_VALUES_MAX);
        json_object_foreach((json_t *)(uintptr_t)at.v, name, v)
        {
            todo[n].v = v;
            (void)snprintf(todo[n++].at, sizeof at.at, "%.80s/%.30s", at.at, name);
        }
        json_array_foreach(at.v, i, v)
        {
            todo[n].v = v;
            (void)snprintf(todo[n++].at, sizeof at.at, "%.80s/%zu", at.at, i);
        }
    }
    return status;
}

static void take_wave_times(struct campaign_intake *k, const json_t *obj, size_t i,
                            const struct store_campaign_values *v, struct store_wave_values *w)
{
    char at[48];
    w->not_before_ms = api_time(obj, "not_before");
    w->after_ms = api_duration(obj, "after", 0);
    (void)snprintf(at, sizeof at, "/waves/%zu/not_before", i);
    if (w->not_before_ms != INT64_MIN && v->not_after_ms != INT64_MIN &&
        w->not_before_ms >= v->not_after_ms)
        api_error(k->resp, at, "behind_not_after", "must lie before the campaign's not_after");
    int64_t begins = v->not_before_ms != INT64_MIN ? v->not_before_ms : clock_utc_ms();
    (void)snprintf(at, sizeof at, "/waves/%zu/after", i);
    if (w->after_ms && v->not_after_ms != INT64_MIN && begins + w->after_ms >= v->not_after_ms)
        api_error(k->resp, at, "behind_not_after",
                  "the wave would begin behind the campaign's not_after");
}

static void take_wave_routes(struct campaign_intake *k, const json_t *obj, size_t i,
                             struct store_wave_values *w)
{
    const json_t *list = json_object_get(obj, "routes");
    for (size_t r = 0; r < json_array_size(list) && r < STORE_WAVE_ROUTES_MAX; r++) {
        const char *id = json_string_value(json_array_get(list, r));
        for (size_t o = 0; o < w->n_routes; o++) {
            char at[48];
            (void)snprintf(at, sizeof at, "/waves/%zu/routes/%zu", i, r);
            if (!strcmp(w->routes[o], id))
                api_error(k->resp, at, "twice", "this route is named twice");
        }
        w->routes[w->n_routes++] = id;
    }
}

static int find_routes(struct campaign_intake *k, const struct store_campaign_values *v, size_t i,
                       struct store_campaign_routes *ret)
{
    const struct store_wave_values *w = &v->waves[i];
    struct diag d = {0};
    int rc = store_campaign_routes(k->req->db, k->partner_id, v->contact_class, w, &k->req->arena,
                                   ret, &d);
    if (rc < 0)
        return api_fail(k->req, k->resp, rc, &d);
    if (ret->wrong >= 0) {
        char at[48];
        (void)snprintf(at, sizeof at, "/waves/%zu/routes/%d", i, ret->wrong);
        api_error(k->resp, at, "route_unfit", "%s", ret->why);
    } else if (!ret->n_routes && (k->flags & CAMPAIGN_CHECK_READY)) {
        return api_problem(k->resp, PROBLEM_STATE_CONFLICT,
                           "No route carries %s for this class and partner; create one first.",
                           channel_word(w->channel));
    }
    return 0;
}

/* Is the content right for the plugin, does the audience have its fields, does it fit the routes?
 */
static int check_content(struct campaign_intake *k, const struct store_campaign_values *v, size_t i,
                         const struct store_campaign_routes *routes)
{
    const struct api_services *s = k->req->services;
    const struct store_wave_values *w = &v->waves[i];
    struct api_content found = {0};
    struct diag d = {0};
    char at[160];
    bool known =
        k->audience.set_id != 0; /* before the upload only the form of field names can be judged */
    if (!s->check_content)
        return api_problem(k->resp, PROBLEM_UNAVAILABLE,
                           "This node runs no campaign plugins: it cannot judge the content.");
    struct render_media media[STORE_MEDIA_PER_WAVE];
    for (uint32_t m = 0; m < w->n_media; m++) {
        media[m] = (struct render_media){.handle = (uint64_t)w->media[m].media_id,
                                         .size = w->media[m].bytes};
        memcpy(media[m].id, w->media[m].public_id, sizeof media[m].id);
        memcpy(media[m].mime, w->media[m].mime, sizeof media[m].mime);
    }
    int rc =
        s->check_content(s->ctx, v->plugin, w->channel, w->content, w->content_len,
                         known ? k->audience.fields : NULL, known ? k->audience.n_fields : 0,
                         routes->instances, routes->n_instances, media, w->n_media, &found, &d);
    (void)snprintf(at, sizeof at, "/waves/%zu/content%s", i, d.where[0] == '/' ? d.where : "");
    if (rc == CGW_ENOTFOUND)
        api_error(k->resp, "/plugin", "unknown_plugin", "%s", d.text);
    else if (rc == CGW_EINVAL || rc == CGW_ELIMIT)
        api_error(k->resp, at, rc == CGW_EINVAL ? "content_invalid" : "content_too_long", "%s",
                  d.text);
    else if (rc < 0)
        return api_fail(k->req, k->resp, rc, &d);
    else if (routes->n_routes && found.segments_max > (uint32_t)routes->max_segments)
        api_error(k->resp, at, "content_too_long", "needs %u parts in %s; route \"%s\" allows %d",
                  found.segments_max, found.encoding, routes->tightest, routes->max_segments);
    return 0;
}

static int take_wave(struct campaign_intake *k, const json_t *obj, size_t i,
                     struct store_campaign_values *v)
{
    struct store_wave_values *w = &v->waves[i];
    struct store_campaign_routes routes;
    char at[48];
    *w = (struct store_wave_values){
        .channel = (uint8_t)people_word(PEOPLE_CHANNELS, api_str(obj, "channel", "sms")),
        .validity_ms = api_duration(obj, "validity", 0)};
    (void)snprintf(at, sizeof at, "/waves/%zu/channel", i);
    if (k->audience.audience_id && !(k->audience.channel_mask >> w->channel & 1))
        api_error(k->resp, at, "not_in_audience", "the audience was not made for this channel");
    take_wave_routes(k, obj, i, w);
    take_wave_times(k, obj, i, v, w);
    int status = copy_content(k, obj, w);
    if (!status)
        status = take_media(k, json_object_get(obj, "content"), i, w);
    if (status || api_errors(k->resp))
        return status;
    status = find_routes(k, v, i, &routes);
    return status || api_errors(k->resp) ? status : check_content(k, v, i, &routes);
}

int campaigns_take(struct campaign_intake *k, const json_t *doc, struct store_campaign_values *ret)
{
    const json_t *waves = json_object_get(doc, "waves");
    *ret = (struct store_campaign_values){.name = api_str(doc, "name", ""),
                                          .plugin = api_str(doc, "plugin", PLUGIN_DEFAULT),
                                          .n_waves = (uint32_t)json_array_size(waves)};
    int status = take_class(k, doc, ret);
    if (!status)
        status = take_purpose(k, doc, ret);
    if (!status)
        status = take_audience(k, doc, ret);
    if (!status)
        status = take_keyword(k, doc, ret);
    if (status)
        return status;
    take_times(k, doc, ret);
    for (uint32_t i = 0; !status && i < ret->n_waves && i < STORE_WAVES_MAX; i++)
        status = take_wave(k, json_array_get(waves, i), i, ret);
    return status;
}
