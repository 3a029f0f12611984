/* SPDX-License-Identifier: Apache-2.0 */
/* campaigns.c - /api/v1/campaigns: create, change, delete; schedule, start, pause, resume, cancel;
 * progress and funnel. Which action is legal in which state is one table in store_campaign.c;
 * sending is the dispatcher's. */
#include "api/handlers/campaigns.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>

#define STATES "draft|in_review|approved|scheduled|running|paused|finishing|completed|cancelled"
#define INSTANCES_MAX 64

static const struct api_member list_query[] = {
    {.name = "state", .type = API_T_ENUM, .choices = STATES}, {.name = NULL}};
static const struct api_member funnel_query[] = {
    {.name = "by", .type = API_T_STRING, .min = 1, .max = 40}, {.name = NULL}};
static const struct api_member start_body[] = {{.name = "expect_submitted_max",
                                                .type = API_T_INT,
                                                .flags = API_M_NULLABLE,
                                                .min = 0,
                                                .max = INT64_MAX},
                                               {.name = NULL}};

/* ---- what only this node knows --------------------------------------------------------------- */
/* Names of channel instances that say they are down. */
static void read_live(struct api_request *req, struct store_live *ret)
{
    const struct api_services *s = req->services;
    const char **down = arena_alloc(&req->arena, INSTANCES_MAX * sizeof *down);
    struct diag d = {0};
    struct buf text;
    *ret = (struct store_live){.now_ms = clock_utc_ms(), .down = down};
    if (!s->channels || !down)
        return;
    buf_init(&text, 1u << 20);
    buf_putc(&text, '[');
    int rc = s->channels(s->ctx, &text, &d);
    buf_putc(&text, ']');
    json_t *list = rc < 0 || text.failed ? NULL : json_loadb(text.data, text.len, 0, NULL);
    for (size_t i = 0; i < json_array_size(list) && ret->n_down < INSTANCES_MAX; i++) {
        const json_t *c = json_array_get(list, i);
        const char *name = api_str(c, "name", "");
        if (!json_is_false(json_object_get(c, "up")))
            continue;
        const char *copy = arena_dup(&req->arena, name, strlen(name));
        if (copy)
            down[ret->n_down++] = copy;
    }
    json_decref(list);
    buf_done(&text);
}

static int answer(struct api_request *req, struct api_response *resp, const char *id,
                  int64_t *ret_version)
{
    struct store_live live;
    struct diag d = {0};
    read_live(req, &live);
    int rc = store_campaign_json(req->db, req->scope, id, &live, ret_version, &resp->body, &d);
    if (rc < 0)
        return api_fail(req, resp, rc, &d);
    api_etag(resp, *ret_version);
    return 0;
}

static int show(struct api_request *req, struct api_response *resp, const char *id)
{
    int64_t version;
    int status = answer(req, resp, id, &version);
    return status ? status : api_ok(resp);
}

static int conflict(struct api_response *resp, const struct store_campaign *c, const char *what)
{
    struct buf actions;
    buf_init(&actions, 1024);
    campaign_actions_json(c->state, &actions);
    int status = api_problem(resp, PROBLEM_STATE_CONFLICT, "A campaign that is %s cannot be %s.",
                             campaign_state_word(c->state), what);
    api_problem_text(resp, "state", "%s", campaign_state_word(c->state));
    api_problem_json(resp, "actions", buf_str(&actions));
    buf_done(&actions);
    return status;
}

/* ---- read ------------------------------------------------------------------------------------ */
static int list(struct api_request *req, struct api_response *resp)
{
    struct api_page page;
    struct diag d = {0};
    bool more = false;
    char cursor[API_CURSOR_MAX];
    api_page_begin(req, resp, &page);
    int rc = store_campaign_list(req->db, req->scope, api_query(req, "state"), page.after,
                                 page.limit, &resp->body, &more, cursor, sizeof cursor, &d);
    return rc < 0 ? api_fail(req, resp, rc, &d) : api_page_end(req, resp, &page, more, cursor);
}

static int get(struct api_request *req, struct api_response *resp)
{
    return show(req, resp, api_path_param(req, "id"));
}

static int progress(struct api_request *req, struct api_response *resp)
{
    struct store_live live;
    struct diag d = {0};
    read_live(req, &live);
    int rc = store_campaign_progress(req->db, req->scope, api_path_param(req, "id"), &live,
                                     &resp->body, &d);
    return rc < 0 ? api_fail(req, resp, rc, &d) : api_ok(resp);
}

/* "wave,channel" to FUNNEL_BY_*; false for anything else. */
static bool parse_by(const char *text, unsigned *ret)
{
    static const char *const words[] = {"wave", "channel"};
    *ret = 0;
    for (const char *p = text; p && *p;) {
        size_t n = strcspn(p, ",");
        unsigned bit = 0;
        for (unsigned i = 0; i < ARRAY_LEN(words); i++)
            if (strlen(words[i]) == n && !memcmp(words[i], p, n))
                bit = 1u << i;
        if (!bit)
            return false;
        *ret |= bit;
        p += n + (p[n] == ',');
    }
    return true;
}

static int funnel(struct api_request *req, struct api_response *resp)
{
    struct diag d = {0};
    unsigned by = 0;
    if (!parse_by(api_query(req, "by"), &by)) {
        api_error(resp, "?by", "unknown_value", "must be wave, channel or wave,channel");
        return api_invalid(resp);
    }
    int rc =
        store_campaign_funnel(req->db, req->scope, api_path_param(req, "id"), by, &resp->body, &d);
    return rc < 0 ? api_fail(req, resp, rc, &d) : api_ok(resp);
}

/* ---- create, change, delete ------------------------------------------------------------------ */
static int create(struct api_request *req, struct api_response *resp)
{
    struct campaign_intake k = {.req = req,
                                .resp = resp,
                                .partner_id = req->scope.partner_id,
                                .flags = CAMPAIGN_CHECK_TIMES,
                                .given = req->json};
    struct store_campaign_values v;
    struct diag d = {0};
    char id[40];
    int64_t version;
    int status = campaigns_take(&k, req->json, &v);
    if (status)
        return status;
    if (api_errors(resp))
        return api_invalid(resp);
    int rc = store_campaign_create(req->db, &req->actor, &v, id, &d);
    if (rc < 0)
        return api_fail(req, resp, rc, &d);
    status = answer(req, resp, id, &version);
    return status ? status : api_created(resp, "/api/v1/campaigns/%s", id);
}

/* The stored campaign as a client would write it. NULL with the answer written. */
static json_t *stored(struct api_request *req, struct api_response *resp, int32_t campaign_id,
                      int *ret_status)
{
    struct diag d = {0};
    struct buf text;
    buf_init(&text, 4u << 20);
    int rc = store_campaign_input(req->db, campaign_id, &text, &d);
    json_t *doc = rc < 0 ? NULL : json_loadb(text.data, text.len, 0, NULL);
    if (!doc)
        *ret_status =
            rc < 0 ? api_fail(req, resp, rc, &d)
                   : api_problem(resp, PROBLEM_INTERNAL, "The stored campaign cannot be read.");
    buf_done(&text);
    return doc;
}

/* RFC 7396 for a document whose members are values and arrays. */
static void merge(json_t *doc, const json_t *patch)
{
    const char *name;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)patch, name, v)
    {
        if (json_is_null(v))
            (void)json_object_del(doc, name);
        else
            (void)json_object_set(doc, name, v);
    }
}

static int change(struct api_request *req, struct api_response *resp,
                  const struct store_campaign *c, json_t *doc)
{
    struct campaign_intake k = {.req = req,
                                .resp = resp,
                                .partner_id = c->partner_id,
                                .flags = CAMPAIGN_CHECK_TIMES,
                                .given = req->json};
    struct store_campaign_values v;
    struct diag d = {0};
    merge(doc, req->json);
    if (c->state == CAMPAIGN_SCHEDULED) {
        k.flags |= CAMPAIGN_CHECK_READY;
        if (api_time(doc, "not_before") == INT64_MIN)
            api_error(resp, "/not_before", "required",
                      "a scheduled campaign needs the time at which it starts");
    }
    if (api_check_members(resp, doc, "", campaigns_create_body))
        return api_invalid(resp);
    int status = campaigns_take(&k, doc, &v);
    if (status)
        return status;
    if (api_errors(resp))
        return api_invalid(resp);
    int rc = store_campaign_update(req->db, &req->actor, c, &v, &d);
    return rc < 0 ? api_fail(req, resp, rc, &d) : 0;
}

static int patch(struct api_request *req, struct api_response *resp)
{
    struct store_campaign c;
    struct diag d = {0};
    int rc = store_campaign_lock(req->db, req->scope, api_path_param(req, "id"), &c, &d);
    if (rc < 0)
        return api_fail(req, resp, rc, &d);
    int status = api_if_match(req, resp, c.version);
    if (status)
        return status;
    if (!(CAMPAIGN_CHANGEABLE >> c.state & 1))
        return conflict(resp, &c, "changed");
    json_t *doc = stored(req, resp, c.campaign_id, &status);
    if (!doc)
        return status;
    status = change(req, resp, &c, doc);
    json_decref(doc);
    if (status)
        return status;
    resp->wake = API_WAKE_PLANNER | API_WAKE_DISPATCH;
    return show(req, resp, c.public_id);
}

static int delete (struct api_request *req, struct api_response *resp)
{
    struct store_campaign c;
    struct diag d = {0};
    int rc = store_campaign_lock(req->db, req->scope, api_path_param(req, "id"), &c, &d);
    if (rc < 0)
        return api_fail(req, resp, rc, &d);
    if (c.state != CAMPAIGN_DRAFT)
        return conflict(resp, &c, "deleted: only a draft that never sent can");
    rc = store_campaign_delete(req->db, &req->actor, &c, &d);
    return rc < 0 ? api_fail(req, resp, rc, &d) : api_no_content(resp);
}

/* ---- actions --------------------------------------------------------------------------------- */
/* Each wave may write to everybody once. */
static int check_forecast(const struct api_request *req, struct api_response *resp, int64_t people,
                          uint32_t waves)
{
    int64_t most = req->json ? api_int(req->json, "expect_submitted_max", -1) : -1;
    if (most < 0 || people * waves <= most)
        return 0;
    char times[40] = "";
    if (waves > 1)
        (void)snprintf(times, sizeof times, " and the campaign %u waves", waves);
    int status = api_problem(resp, PROBLEM_FORECAST_EXCEEDED,
                             "The audience has %lld people%s, you expect at most %lld messages.",
                             (long long)people, times, (long long)most);
    char number[24];
    (void)snprintf(number, sizeof number, "%lld", (long long)people);
    api_problem_json(resp, "audience", number);
    return status;
}

static int check_window(struct api_response *resp, const struct store_campaign *c,
                        enum campaign_verb verb)
{
    int64_t now = clock_utc_ms();
    if (c->not_after_ms != INT64_MIN && c->not_after_ms <= now)
        return api_problem(resp, PROBLEM_STATE_CONFLICT,
                           "The campaign's not_after has passed; PATCH it first.");
    if (verb != CAMPAIGN_SCHEDULE)
        return 0;
    if (c->not_before_ms == INT64_MIN)
        return api_problem(
            resp, PROBLEM_STATE_CONFLICT,
            "The campaign has no not_before to wait for; PATCH it first, or start it now.");
    if (c->not_before_ms <= now)
        return api_problem(
            resp, PROBLEM_STATE_CONFLICT,
            "The campaign's not_before has passed; PATCH it first, or start it now.");
    return 0;
}

/* Everything is looked at again: fields of the audience and routes may have changed since the
 * campaign was written. */
static int check_ready(struct api_request *req, struct api_response *resp,
                       const struct store_campaign *c, enum campaign_verb verb, int32_t *ret_set_id)
{
    struct campaign_intake k = {
        .req = req, .resp = resp, .partner_id = c->partner_id, .flags = CAMPAIGN_CHECK_READY};
    struct store_campaign_values v;
    int status = check_window(resp, c, verb);
    json_t *doc = status ? NULL : stored(req, resp, c->campaign_id, &status);
    if (!doc)
        return status;
    status = campaigns_take(&k, doc, &v);
    json_decref(doc);
    if (status)
        return status;
    if (api_errors(resp))
        return api_invalid(resp);
    *ret_set_id = k.audience.set_id;
    return check_forecast(req, resp, k.audience.n_rows, v.n_waves);
}

static int act(struct api_request *req, struct api_response *resp, enum campaign_verb verb,
               const char *past)
{
    const struct campaign_action *a = &campaign_actions[verb];
    struct store_campaign c;
    struct diag d = {0};
    int32_t set_id = 0;
    int rc = store_campaign_lock(req->db, req->scope, api_path_param(req, "id"), &c, &d);
    if (rc < 0)
        return api_fail(req, resp, rc, &d);
    if (a->in_effect >> c.state & 1)
        return show(req, resp, c.public_id);
    if (!(a->from >> c.state & 1))
        return conflict(resp, &c, past);
    int status = verb == CAMPAIGN_SCHEDULE || verb == CAMPAIGN_START
                     ? check_ready(req, resp, &c, verb, &set_id)
                     : 0;
    if (status)
        return status;
    rc = store_campaign_act(req->db, &req->actor, &c, verb, set_id, &d);
    if (rc < 0)
        return api_fail(req, resp, rc, &d);
    resp->wake = API_WAKE_PLANNER | API_WAKE_DISPATCH;
    return show(req, resp, c.public_id);
}

static int schedule(struct api_request *req, struct api_response *resp)
{
    return act(req, resp, CAMPAIGN_SCHEDULE, "scheduled");
}

static int start(struct api_request *req, struct api_response *resp)
{
    return act(req, resp, CAMPAIGN_START, "started");
}

static int pause_(struct api_request *req, struct api_response *resp)
{
    return act(req, resp, CAMPAIGN_PAUSE, "paused");
}

static int resume(struct api_request *req, struct api_response *resp)
{
    return act(req, resp, CAMPAIGN_RESUME, "resumed");
}

static int cancel(struct api_request *req, struct api_response *resp)
{
    return act(req, resp, CAMPAIGN_CANCEL, "cancelled");
}

#define ROUTE(m, p, s, f, ...)                                                                     \
    {                                                                                              \
        .method = m, .path = "/api/v1/campaigns" p, .scope = "campaigns:" s, .flags = f,           \
        __VA_ARGS__                                                                                \
    }
const struct api_route api_routes_campaigns[] = {
    ROUTE("GET", "", "read", API_READ | API_LIST, .query = list_query, .handler = list,
          .summary = "List campaigns"),
    ROUTE("POST", "", "write", API_JSON | API_IDEM_REQUIRED, .max_body = API_BODY_JSON_MAX,
          .body = campaigns_create_body, .handler = create, .summary = "Create a campaign"),
    ROUTE("GET", "/{id}", "read", API_READ, .handler = get, .summary = "See a campaign"),
    ROUTE("PATCH", "/{id}", "write", API_JSON | API_TX | API_IF_MATCH,
          .max_body = API_BODY_JSON_MAX, .body = campaigns_patch_body, .handler = patch,
          .summary = "Change a campaign that has not started"),
    ROUTE("DELETE", "/{id}", "write", API_TX, .handler = delete, .summary = "Delete a draft"),
    ROUTE("POST", "/{id}/schedule", "send", API_TX, .handler = schedule,
          .summary = "Start by itself at not_before"),
    ROUTE("POST", "/{id}/start", "send", API_JSON | API_BODY_OPTIONAL | API_TX, .body = start_body,
          .handler = start, .summary = "Start a campaign"),
    ROUTE("POST", "/{id}/pause", "send", API_TX, .handler = pause_,
          .summary = "Pause a campaign: nothing more goes out"),
    ROUTE("POST", "/{id}/resume", "send", API_TX, .handler = resume,
          .summary = "Resume a paused campaign"),
    ROUTE("POST", "/{id}/cancel", "send", API_TX, .handler = cancel,
          .summary = "Cancel a campaign for good"),
    ROUTE("GET", "/{id}/progress", "read", API_READ, .handler = progress,
          .summary = "See how far a campaign is"),
    ROUTE("GET", "/{id}/funnel", "read", API_READ, .query = funnel_query, .handler = funnel,
          .summary = "See the funnel of a campaign"),
    {.method = NULL},
};
