/* SPDX-License-Identifier: Apache-2.0 */
/* caps.c - /api/v1/caps: how often a person may be contacted. max null = no cap (still counted), 0
 * = none allowed. Caps bind everybody's campaigns, so only keys of the owner change them. Counting
 * is policy's and the store's. */
#include "api/handlers/people.h"

#include "policy/calendar.h"
#include "store/store_cap.h"

#include <stdio.h>
#include <string.h>

#define PERIODS "day|week|month|quarter|year"

#define CAP_MEMBERS(REQ)                                                                           \
    {.name = "name", .type = API_T_STRING, .flags = REQ, .min = 1, .max = 120},                    \
        {.name = "max", .type = API_T_INT, .flags = REQ | API_M_NULLABLE, .min = 0, .max = 32000}, \
        {.name = "period", .type = API_T_ENUM, .flags = API_M_NULLABLE, .choices = PERIODS},       \
        {.name = "sliding_days",                                                                   \
         .type = API_T_INT,                                                                        \
         .flags = API_M_NULLABLE,                                                                  \
         .min = 1,                                                                                 \
         .max = 366},                                                                              \
        {.name = "channel",                                                                        \
         .type = API_T_ENUM,                                                                       \
         .flags = API_M_NULLABLE,                                                                  \
         .choices = PEOPLE_CHANNELS "|all"},                                                       \
        {.name = "classes",                                                                        \
         .type = API_T_ARRAY,                                                                      \
         .flags = API_M_NULLABLE,                                                                  \
         .item_type = API_T_ENUM,                                                                  \
         .min = 1,                                                                                 \
         .max = 5,                                                                                 \
         .choices = PEOPLE_CLASSES},                                                               \
    {                                                                                              \
        .name = "zone", .type = API_T_STRING, .flags = REQ, .min = 1, .max = 63                    \
    }

static const struct api_member create_body[] = {CAP_MEMBERS(API_M_REQUIRED), {.name = NULL}};
static const struct api_member patch_body[] = {CAP_MEMBERS(0), {.name = NULL}};
static const struct api_member list_query[] = {
    {.name = "active", .type = API_T_ENUM, .choices = "true|false"}, {.name = NULL}};

static int owner_only(const struct api_request *req, struct api_response *resp)
{
    return req->caller.partner_id
               ? api_problem(resp, PROBLEM_NOT_ALLOWED,
                             "Caps bind everybody's campaigns; only keys of the owner change them.")
               : 0;
}

/* Exactly one of period and sliding_days; naming one in a patch drops the other. */
static void take_period(struct api_response *resp, const json_t *doc, struct store_cap_values *v)
{
    const char *period = api_str(doc, "period", NULL);
    int64_t days = api_int(doc, "sliding_days", 0);
    if (period && days) {
        api_error(resp, "/sliding_days", "period_twice",
                  "give either period (calendar days, weeks, months …) or sliding_days, not both");
    } else if (period) {
        v->period = (uint8_t)(people_word(PERIODS, period) - 1);
        v->days = 0;
    } else if (days) {
        v->period = CAP_SLIDING_DAYS;
        v->days = (int16_t)days;
    } else if (api_has(doc, "period") || api_has(doc, "sliding_days")) {
        api_error(resp, "/period", "period_missing",
                  "a cap counts in a calendar period or over sliding_days; name the other when one "
                  "is taken away");
    }
}

static void take_classes(const json_t *doc, struct store_cap_values *v)
{
    if (!api_has(doc, "classes"))
        return;
    const json_t *list = json_object_get(doc, "classes");
    v->class_mask = json_is_null(list) ? 1u << CGW_CLASS_MARKETING : 0;
    for (size_t i = 0; i < json_array_size(list); i++)
        v->class_mask |=
            1u << people_word(PEOPLE_CLASSES, json_string_value(json_array_get(list, i)));
}

static void take_values(struct api_response *resp, const json_t *doc, struct store_cap_values *v)
{
    if (api_has(doc, "name"))
        (void)snprintf(v->name, sizeof v->name, "%s", api_str(doc, "name", ""));
    if (api_has(doc, "max")) {
        v->unlimited = json_is_null(json_object_get(doc, "max"));
        v->max = (int16_t)api_int(doc, "max", 0);
    }
    if (api_has(doc, "channel"))
        v->channel = (uint8_t)people_word(PEOPLE_CHANNELS, api_str(doc, "channel", "all"));
    if (api_has(doc, "zone"))
        (void)snprintf(v->zone, sizeof v->zone, "%s", api_str(doc, "zone", ""));
    take_period(resp, doc, v);
    take_classes(doc, v);
}

static void check_values(struct api_response *resp, const struct store_cap_values *v)
{
    if (!zone_known(v->zone))
        api_error(resp, "/zone", "unknown_zone",
                  "not an IANA time zone such as Asia/Shanghai; days and months of a cap are "
                  "counted in it");
    if (v->period == CAP_SLIDING_DAYS && !v->unlimited && v->max > CAP_SLIDING_MAX)
        api_error(resp, "/max", "out_of_range",
                  "a sliding cap allows at most %d contacts; use a calendar period for more",
                  CAP_SLIDING_MAX);
}

static int create(struct api_request *req, struct api_response *resp)
{
    struct diag d = {0};
    char id[40];
    struct store_cap_values v = {.class_mask = 1u << CGW_CLASS_MARKETING};
    int status = owner_only(req, resp);
    if (status)
        return status;
    if (!api_has(req->json, "period") && !api_has(req->json, "sliding_days"))
        api_error(resp, "/period", "required", "a cap needs period or sliding_days");
    take_values(resp, req->json, &v);
    check_values(resp, &v);
    if (api_errors(resp))
        return api_invalid(resp);
    int rc = store_cap_create(req->db, &req->actor, &v, id, &resp->body, &d);
    if (rc < 0)
        return api_fail(req, resp, rc, &d);
    resp->wake = API_WAKE_RULES | API_WAKE_DISPATCH;
    api_etag(resp, 1);
    return api_created(resp, "/api/v1/caps/%s", id);
}

static int list(struct api_request *req, struct api_response *resp)
{
    struct api_page page;
    struct diag d = {0};
    bool more = false;
    char cursor[API_CURSOR_MAX];
    const char *active = api_query(req, "active");
    api_page_begin(req, resp, &page);
    int rc = store_cap_list(req->db, !active || !strcmp(active, "true"), page.after, page.limit,
                            &resp->body, &more, cursor, sizeof cursor, &d);
    return rc < 0 ? api_fail(req, resp, rc, &d) : api_page_end(req, resp, &page, more, cursor);
}

static int get(struct api_request *req, struct api_response *resp)
{
    struct diag d = {0};
    int64_t version;
    int rc = store_cap_json(req->db, api_path_param(req, "id"), &version, &resp->body, &d);
    if (rc < 0)
        return api_fail(req, resp, rc, &d);
    api_etag(resp, version);
    return api_ok(resp);
}

static int patch(struct api_request *req, struct api_response *resp)
{
    const char *id = api_path_param(req, "id");
    struct store_cap_values v;
    struct diag d = {0};
    int64_t version;
    int status = owner_only(req, resp);
    if (status)
        return status;
    int rc = store_cap_lock(req->db, id, &version, &v, &d);
    if (rc < 0)
        return api_fail(req, resp, rc, &d);
    status = api_if_match(req, resp, version);
    if (status)
        return status;
    take_values(resp, req->json, &v);
    check_values(resp, &v);
    if (api_errors(resp))
        return api_invalid(resp);
    rc = store_cap_update(req->db, &req->actor, id, &v, &version, &resp->body, &d);
    if (rc < 0)
        return api_fail(req, resp, rc, &d);
    resp->wake = API_WAKE_RULES | API_WAKE_DISPATCH;
    api_etag(resp, version);
    return api_ok(resp);
}

static int end(struct api_request *req, struct api_response *resp)
{
    struct diag d = {0};
    int status = owner_only(req, resp);
    if (status)
        return status;
    int rc = store_cap_end(req->db, &req->actor, api_path_param(req, "id"), &d);
    if (rc < 0)
        return api_fail(req, resp, rc, &d);
    resp->wake = API_WAKE_RULES | API_WAKE_DISPATCH;
    return api_no_content(resp);
}

const struct api_route api_routes_caps[] = {
    {.method = "GET",
     .path = "/api/v1/caps",
     .scope = "caps:read",
     .flags = API_READ | API_LIST,
     .query = list_query,
     .handler = list,
     .summary = "List caps"},
    {.method = "POST",
     .path = "/api/v1/caps",
     .scope = "caps:write",
     .flags = API_JSON | API_IDEM,
     .body = create_body,
     .handler = create,
     .summary = "Create a cap"},
    {.method = "GET",
     .path = "/api/v1/caps/{id}",
     .scope = "caps:read",
     .flags = API_READ,
     .handler = get,
     .summary = "See a cap"},
    {.method = "PATCH",
     .path = "/api/v1/caps/{id}",
     .scope = "caps:write",
     .flags = API_JSON | API_TX | API_IF_MATCH,
     .body = patch_body,
     .handler = patch,
     .summary = "Change a cap"},
    {.method = "DELETE",
     .path = "/api/v1/caps/{id}",
     .scope = "caps:write",
     .flags = API_TX,
     .handler = end,
     .summary = "End a cap"},
    {.method = NULL},
};
