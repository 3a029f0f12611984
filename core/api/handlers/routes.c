/* SPDX-License-Identifier: Apache-2.0 */
/* routes.c - /api/v1/routes: which channel instance carries what, with which sender, at which rate;
 * pause, resume, drain. Choosing a route for a message is dispatch's business. */
#include "api/api.h"

#include "address/address.h"
#include "base/clock.h"
#include "cgw/channel.h"
#include "policy/calendar.h"
#include "store/store_probe.h"
#include "store/store_route.h"

#include <stdio.h>
#include <string.h>

#define CHANNELS "sms|mms|voice|email|task"
#define SENDER_KINDS "auto|number|email|sip|short_code|alphanumeric"
#define CLASSES "marketing|service|reply|optout_confirm|emergency"

/* The daily test message: text is short for content {"text": …}. */
static const struct api_member probe_body[] = {
    {.name = "to", .type = API_T_STRING, .flags = API_M_REQUIRED, .min = 3, .max = 254},
    {.name = "at", .type = API_T_STRING, .flags = API_M_REQUIRED, .min = 5, .max = 5},
    {.name = "zone", .type = API_T_STRING, .flags = API_M_REQUIRED, .min = 1, .max = 63},
    {.name = "text", .type = API_T_STRING, .flags = API_M_TEXT, .min = 1, .max = 500},
    {.name = "content", .type = API_T_OBJECT},
    {.name = NULL},
};

/* REQ: flag of the members that a new route must have; NUL: flag of those that a patch may reset to
 * their default with null. */
#define ROUTE_MEMBERS(REQ, NUL)                                                                    \
    {.name = "name", .type = API_T_STRING, .flags = REQ, .min = 1, .max = 80},                     \
        {.name = "instance", .type = API_T_STRING, .flags = REQ, .min = 1, .max = 47},             \
        {.name = "sender", .type = API_T_STRING, .flags = NUL, .max = 60},                         \
        {.name = "sender_kind", .type = API_T_ENUM, .flags = NUL, .choices = SENDER_KINDS},        \
        {.name = "service_code", .type = API_T_STRING, .flags = NUL, .max = 60},                   \
        {.name = "rate_per_s", .type = API_T_INT, .flags = NUL, .min = 0, .max = 1000000},         \
        {.name = "classes",                                                                        \
         .type = API_T_ARRAY,                                                                      \
         .flags = NUL,                                                                             \
         .item_type = API_T_ENUM,                                                                  \
         .max = 5,                                                                                 \
         .choices = CLASSES},                                                                      \
        {.name = "prefixes",                                                                       \
         .type = API_T_ARRAY,                                                                      \
         .flags = NUL,                                                                             \
         .item_type = API_T_STRING,                                                                \
         .max = STORE_ROUTE_LIST_MAX,                                                              \
         .item_max = 16},                                                                          \
        {.name = "regions",                                                                        \
         .type = API_T_ARRAY,                                                                      \
         .flags = NUL,                                                                             \
         .item_type = API_T_STRING,                                                                \
         .max = STORE_ROUTE_LIST_MAX,                                                              \
         .item_max = 15},                                                                          \
        {.name = "priority", .type = API_T_INT, .flags = NUL, .min = 0, .max = 10000},             \
        {.name = "weight", .type = API_T_INT, .flags = NUL, .min = 1, .max = 1000},                \
        {.name = "max_segments",                                                                   \
         .type = API_T_INT,                                                                        \
         .flags = NUL,                                                                             \
         .min = 1,                                                                                 \
         .max = CGW_SEGMENTS_MAX},                                                                 \
        {.name = "max_tries", .type = API_T_INT, .flags = NUL, .min = 1, .max = 20},               \
        {.name = "probe", .type = API_T_OBJECT, .flags = NUL, .members = probe_body},              \
    {                                                                                              \
        .name = "receipts", .type = API_T_BOOL, .flags = NUL                                       \
    }

static const struct api_member create_body[] = {
    {.name = "channel", .type = API_T_ENUM, .flags = API_M_REQUIRED, .choices = CHANNELS},
    {.name = "partner_id", .type = API_T_INT, .min = 0, .max = INT32_MAX},
    ROUTE_MEMBERS(API_M_REQUIRED, API_M_NULLABLE),
    {.name = NULL},
};
static const struct api_member patch_body[] = {
    ROUTE_MEMBERS(0, API_M_NULLABLE),
    {.name = NULL},
};

/* Place of the word in "a|b|c", from 0; the validator made sure that it is there. */
static int word_index(const char *choices, const char *word)
{
    int i = 0;
    size_t n = strlen(word);
    for (const char *p = choices; *p; i++) {
        size_t m = strcspn(p, "|");
        if (m == n && !memcmp(p, word, n))
            return i;
        p += m + (p[m] == '|');
    }
    return -1;
}

/* ---- members → values. Absent = as it is, null = the default -------------------------------- */
static int64_t int_or(const json_t *doc, const char *name, int64_t dflt)
{
    return api_has(doc, name) ? api_int(doc, name, dflt) : INT64_MIN;
}

static const char *str_or(const json_t *doc, const char *name)
{
    return api_has(doc, name) ? api_str(doc, name, "") : NULL;
}

static int64_t class_mask(const json_t *doc)
{
    const json_t *list = json_object_get(doc, "classes");
    int64_t mask = 0;
    for (size_t i = 0; i < json_array_size(list); i++)
        mask |= INT64_C(1) << (word_index(CLASSES, json_string_value(json_array_get(list, i))) + 1);
    return list ? mask : INT64_MIN;
}

static bool prefix_ok(const char *s)
{
    return s[0] == '+' && s[1] >= '1' && s[1] <= '9' &&
           strspn(s + 1, "0123456789") == strlen(s + 1) && strlen(s) <= 16;
}

/* ISO 3166-1 or -2: "CN", "CN-GD". */
static bool region_ok(const char *s)
{
    static const char upper[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
                      code[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    if (strspn(s, upper) < 2 || (s[2] && s[2] != '-'))
        return false;
    return !s[2] || (s[3] && strlen(s + 3) <= 3 && strspn(s + 3, code) == strlen(s + 3));
}

static int64_t take_list(struct api_request *req, struct api_response *resp, const char *name,
                         bool (*ok)(const char *), const char *form, const char *const **ret)
{
    const json_t *list = json_object_get(req->json, name);
    size_t n = json_array_size(list);
    if (!list)
        return -1;
    const char **out = arena_alloc(&req->arena, (n + 1) * sizeof *out);
    for (size_t i = 0; out && i < n; i++) {
        char at[48];
        (void)snprintf(at, sizeof at, "/%s/%zu", name, i);
        out[i] = json_string_value(json_array_get(list, i));
        if (!ok(out[i]))
            api_error(resp, at, "invalid", "Must look like %s.", form);
    }
    *ret = out;
    return out ? (int64_t)n : -1;
}

static void take_values(struct api_request *req, struct api_response *resp,
                        struct store_route_values *v)
{
    const json_t *doc = req->json;
    store_route_values_init(v);
    v->name = str_or(doc, "name");
    v->instance = str_or(doc, "instance");
    v->sender = str_or(doc, "sender");
    v->service_code = str_or(doc, "service_code");
    if (api_has(doc, "sender_kind"))
        v->sender_kind = word_index(SENDER_KINDS, api_str(doc, "sender_kind", "auto"));
    v->rate = int_or(doc, "rate_per_s", 0);
    v->class_mask = class_mask(doc);
    v->priority = int_or(doc, "priority", 100);
    v->weight = int_or(doc, "weight", 1);
    v->max_segments = int_or(doc, "max_segments", 10);
    v->max_tries = int_or(doc, "max_tries", 5);
    if (api_has(doc, "receipts"))
        v->receipts = api_bool(doc, "receipts", true);
    v->n_prefixes = take_list(req, resp, "prefixes", prefix_ok, "+86138", &v->prefixes);
    v->n_regions = take_list(req, resp, "regions", region_ok, "CN or CN-GD", &v->regions);
}

/* Is the instance configured on this node and of the route's channel? 0 or the status of the
 * problem written. */
static int check_instance(struct api_request *req, struct api_response *resp, const char *instance,
                          int channel)
{
    const struct api_services *s = req->services;
    if (!instance)
        return 0;
    if (!s->instance_channel)
        return api_problem(
            resp, PROBLEM_UNAVAILABLE,
            "This node runs no channels: it cannot tell whether the instance exists.");
    int have = s->instance_channel(s->ctx, instance);
    if (have < 0)
        api_error(
            resp, "/instance", "unknown_instance",
            "No channel instance of this name is configured; GET /api/v1/channels lists them.");
    else if (have != channel)
        api_error(resp, "/instance", "wrong_channel",
                  "This instance serves another channel than the route's.");
    return 0;
}

/* ---- probe ---------------------------------------------------------------------------------- */
static int minute_of(const char *at)
{
    int h, m, n = 0;
    if (strspn(at, "0123456789:") != 5 || sscanf(at, "%2d:%2d%n", &h, &m, &n) != 2 || n != 5 ||
        h > 23 || m > 59)
        return -1;
    return h * 60 + m;
}

static void check_probe_content(struct api_request *req, struct api_response *resp, int channel,
                                const char *instance, const char *content)
{
    const struct api_services *s = req->services;
    static const char *const fields[] = {"(a probe has no fields)"};
    struct api_content found;
    struct diag d = {0};
    char at[96];
    if (!s->check_content ||
        s->check_content(s->ctx, "campaign_broadcast", (uint32_t)channel, content, strlen(content),
                         fields, 1, &instance, instance ? 1 : 0, NULL, 0, &found, &d) >= 0)
        return;
    (void)snprintf(at, sizeof at, "/probe/content%.64s", d.where);
    api_error(resp, at, "invalid", "%s", d.text);
}

static void take_probe_to(struct api_request *req, struct api_response *resp, const char *to,
                          int channel, struct store_probe *p)
{
    const struct api_services *s = req->services;
    struct address *a = arena_alloc(&req->arena, sizeof *a);
    struct diag d = {0};
    if (!a || address_normalise(to, strlen(to),
                                channel == CGW_CHANNEL_EMAIL ? CGW_ADDR_EMAIL : CGW_ADDR_E164, NULL,
                                a, &d) < 0)
        api_error(resp, "/probe/to", "invalid", "%s", a ? d.text : "out of memory");
    else if (!s->identity || s->identity(s->ctx, a->text, &p->part, &p->customer_id) < 0)
        api_error(resp, "/probe/to", "unavailable", "this node has no identity key");
    else
        p->address = a->text;
}

/* \return whether the body names a probe that is not null; faults are noted. */
static bool take_probe(struct api_request *req, struct api_response *resp, int channel,
                       const char *instance, struct store_probe *p)
{
    const json_t *doc = json_object_get(req->json, "probe");
    *p = (struct store_probe){.zone = api_str(doc, "zone", "")};
    if (!doc || json_is_null(doc))
        return false;
    json_t *content = json_object_get(doc, "content"), *made = NULL;
    const char *text = api_str(doc, "text", NULL);
    p->at_minute = minute_of(api_str(doc, "at", ""));
    if (p->at_minute < 0)
        api_error(resp, "/probe/at", "invalid", "must be a time of the day such as 09:00");
    if (!zone_known(p->zone))
        api_error(resp, "/probe/zone", "unknown_zone",
                  "not an IANA time zone such as Asia/Shanghai");
    if (!text == !content)
        api_error(resp, "/probe/text", "required", "give either text or content");
    if (api_errors(resp))
        return true;
    if (text)
        content = made = json_pack("{s:s}", "text", text);
    char *json = content ? json_dumps(content, JSON_COMPACT) : NULL;
    p->content = json ? arena_dup(&req->arena, json, strlen(json)) : NULL;
    free(json);
    json_decref(made);
    take_probe_to(req, resp, api_str(doc, "to", ""), channel, p);
    if (p->content)
        check_probe_content(req, resp, channel, instance, p->content);
    return true;
}

/* Behind the route's own row, in the same transaction; the answer shows both. */
static int put_probe(struct api_request *req, struct api_response *resp, const char *id,
                     const struct store_probe *p, int64_t *ret_version, struct diag *diag)
{
    if (!api_has(req->json, "probe"))
        return 0;
    int rc = store_probe_set(req->db, id, p, clock_utc_ms(), diag);
    buf_reset(&resp->body);
    return rc < 0 ? rc : store_route_json(req->db, req->scope, id, ret_version, &resp->body, diag);
}

static int finish(struct api_response *resp, int64_t version)
{
    resp->wake = API_WAKE_DISPATCH;
    api_etag(resp, version);
    return api_ok(resp);
}

/* ---- handlers ------------------------------------------------------------------------------- */
static int routes_create(struct api_request *req, struct api_response *resp)
{
    struct store_route_values v;
    struct diag d = {0};
    char id[40];
    take_values(req, resp, &v);
    v.channel = word_index(CHANNELS, api_str(req->json, "channel", "sms")) + 1;
    int status = check_instance(req, resp, v.instance, (int)v.channel);
    if (status)
        return status;
    struct store_probe probe;
    bool probes = take_probe(req, resp, (int)v.channel, v.instance, &probe);
    if (api_errors(resp))
        return api_invalid(resp);
    int32_t partner = (int32_t)api_int(req->json, "partner_id", req->caller.partner_id);
    if (req->caller.partner_id && partner != req->caller.partner_id)
        return api_problem(resp, PROBLEM_NOT_ALLOWED,
                           "Routes of another partner are made by the owner.");
    int64_t version = 1;
    int rc = store_route_create(req->db, &req->actor, partner, &v, id, &resp->body, &d);
    if (rc == 0)
        rc = put_probe(req, resp, id, probes ? &probe : NULL, &version, &d);
    if (rc < 0)
        return api_fail(req, resp, rc, &d);
    resp->wake = API_WAKE_DISPATCH;
    api_etag(resp, 1);
    return api_created(resp, "/api/v1/routes/%s", id);
}

static int routes_list(struct api_request *req, struct api_response *resp)
{
    struct api_page page;
    struct diag d = {0};
    bool more;
    char cursor[API_CURSOR_MAX];
    api_page_begin(req, resp, &page);
    int rc = store_route_list(req->db, req->scope, page.after, page.limit, &resp->body, &more,
                              cursor, sizeof cursor, &d);
    return rc < 0 ? api_fail(req, resp, rc, &d) : api_page_end(req, resp, &page, more, cursor);
}

static int routes_get(struct api_request *req, struct api_response *resp)
{
    struct diag d = {0};
    int64_t version;
    int rc =
        store_route_json(req->db, req->scope, api_path_param(req, "id"), &version, &resp->body, &d);
    if (rc < 0)
        return api_fail(req, resp, rc, &d);
    api_etag(resp, version);
    return api_ok(resp);
}

static int routes_patch(struct api_request *req, struct api_response *resp)
{
    const char *id = api_path_param(req, "id");
    struct store_route_values v;
    struct diag d = {0};
    int64_t version;
    int channel;
    int rc = store_route_lock(req->db, req->scope, id, &version, &channel, &d);
    if (rc < 0)
        return api_fail(req, resp, rc, &d);
    int status = api_if_match(req, resp, version);
    if (status)
        return status;
    take_values(req, resp, &v);
    status = check_instance(req, resp, v.instance, channel);
    if (status)
        return status;
    struct store_probe probe;
    bool probes = take_probe(req, resp, channel, v.instance, &probe);
    if (api_errors(resp))
        return api_invalid(resp);
    rc = store_route_update(req->db, &req->actor, id, &v, &version, &resp->body, &d);
    if (rc == 0)
        rc = put_probe(req, resp, id, probes ? &probe : NULL, &version, &d);
    return rc < 0 ? api_fail(req, resp, rc, &d) : finish(resp, version);
}

static int routes_delete(struct api_request *req, struct api_response *resp)
{
    struct diag d = {0};
    int rc = store_route_archive(req->db, &req->actor, req->scope, api_path_param(req, "id"), &d);
    if (rc < 0)
        return api_fail(req, resp, rc, &d);
    resp->wake = API_WAKE_DISPATCH;
    return api_no_content(resp);
}

static int set_state(struct api_request *req, struct api_response *resp, const char *state)
{
    struct diag d = {0};
    int64_t version;
    int rc = store_route_set_state(req->db, &req->actor, req->scope, api_path_param(req, "id"),
                                   state, &version, &resp->body, &d);
    return rc < 0 ? api_fail(req, resp, rc, &d) : finish(resp, version);
}

static int routes_pause(struct api_request *req, struct api_response *resp)
{
    return set_state(req, resp, "paused");
}

static int routes_resume(struct api_request *req, struct api_response *resp)
{
    return set_state(req, resp, "active");
}

static int routes_drain(struct api_request *req, struct api_response *resp)
{
    return set_state(req, resp, "draining");
}

const struct api_route api_routes_routes[] = {
    {.method = "GET",
     .path = "/api/v1/routes",
     .scope = "routes:read",
     .flags = API_READ | API_LIST,
     .handler = routes_list,
     .summary = "List routes"},
    {.method = "POST",
     .path = "/api/v1/routes",
     .scope = "routes:write",
     .flags = API_JSON | API_IDEM,
     .body = create_body,
     .handler = routes_create,
     .summary = "Create a route"},
    {.method = "GET",
     .path = "/api/v1/routes/{id}",
     .scope = "routes:read",
     .flags = API_READ,
     .handler = routes_get,
     .summary = "See a route"},
    {.method = "PATCH",
     .path = "/api/v1/routes/{id}",
     .scope = "routes:write",
     .flags = API_JSON | API_TX | API_IF_MATCH,
     .body = patch_body,
     .handler = routes_patch,
     .summary = "Change a route"},
    {.method = "DELETE",
     .path = "/api/v1/routes/{id}",
     .scope = "routes:write",
     .flags = API_TX,
     .handler = routes_delete,
     .summary = "Archive a route"},
    {.method = "POST",
     .path = "/api/v1/routes/{id}/pause",
     .scope = "routes:write",
     .flags = API_TX,
     .handler = routes_pause,
     .summary = "Pause a route: nothing more is handed to it"},
    {.method = "POST",
     .path = "/api/v1/routes/{id}/resume",
     .scope = "routes:write",
     .flags = API_TX,
     .handler = routes_resume,
     .summary = "Resume a paused or draining route"},
    {.method = "POST",
     .path = "/api/v1/routes/{id}/drain",
     .scope = "routes:write",
     .flags = API_TX,
     .handler = routes_drain,
     .summary = "Drain a route: finish what it has, take nothing new"},
    {.method = NULL},
};
