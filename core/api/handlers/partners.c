/* SPDX-License-Identifier: Apache-2.0 */
/* partners.c - /api/v1/partners and /api/v1/settlements: who sends through this installation, with
 * which daily quota and rate, and what is to be paid for it. The owner makes and changes partners;
 * a partner sees itself. */
#include "api/api_int.h"

#include "policy/calendar.h"
#include "store/store_partner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SETTLE_DAYS_MAX 366

#define PARTNER_MEMBERS(REQ)                                                                       \
    {.name = "name", .type = API_T_STRING, .flags = REQ, .min = 1, .max = 80},                     \
        {.name = "quota_day",                                                                      \
         .type = API_T_INT,                                                                        \
         .flags = API_M_NULLABLE,                                                                  \
         .min = 0,                                                                                 \
         .max = INT64_C(1000000000)},                                                              \
        {.name = "rate_per_s",                                                                     \
         .type = API_T_INT,                                                                        \
         .flags = API_M_NULLABLE,                                                                  \
         .min = 0,                                                                                 \
         .max = 1000000},                                                                          \
    {                                                                                              \
        .name = "zone", .type = API_T_STRING, .flags = API_M_NULLABLE, .min = 1, .max = 63         \
    }
static const struct api_member create_body[] = {PARTNER_MEMBERS(API_M_REQUIRED), {.name = NULL}};
static const struct api_member patch_body[] = {PARTNER_MEMBERS(0), {.name = NULL}};
static const struct api_member settle_query[] = {
    {.name = "partner", .type = API_T_INT, .min = 0, .max = INT32_MAX},
    {.name = "from", .type = API_T_STRING, .flags = API_M_REQUIRED, .min = 10, .max = 10},
    {.name = "to", .type = API_T_STRING, .flags = API_M_REQUIRED, .min = 10, .max = 10},
    {.name = "zone", .type = API_T_STRING, .min = 1, .max = 63},
    {.name = "format", .type = API_T_ENUM, .choices = "json|csv"},
    {.name = NULL},
};

static int owner_only(const struct api_request *req, struct api_response *resp)
{
    return req->caller.partner_id ? api_problem(resp, PROBLEM_NOT_ALLOWED,
                                                "Partners are made and changed by the owner.")
                                  : 0;
}

static void take_values(const struct api_request *req, struct api_response *resp,
                        struct store_partner_values *v)
{
    const json_t *doc = req->json;
    store_partner_values_init(v);
    if (api_has(doc, "name"))
        v->name = api_str(doc, "name", "");
    if (api_has(doc, "zone"))
        v->zone = api_str(doc, "zone", "UTC");
    if (api_has(doc, "quota_day"))
        v->quota_day = api_int(doc, "quota_day", -1);
    if (api_has(doc, "rate_per_s"))
        v->rate = api_int(doc, "rate_per_s", 0);
    if (v->zone && !zone_known(v->zone))
        api_error(resp, "/zone", "unknown_zone",
                  "not an IANA time zone such as Asia/Shanghai; the day of the quota is its day");
}

/* The number in the path; 0 stands for none, since the owner is not to be changed here. */
static int32_t path_id(const struct api_request *req)
{
    const char *s = api_path_param(req, "id");
    return strlen(s) <= 9 && strspn(s, "0123456789") == strlen(s) ? (int32_t)atoi(s) : -1;
}

static int create(struct api_request *req, struct api_response *resp)
{
    struct store_partner_values v;
    struct diag d = {0};
    int32_t id;
    int status = owner_only(req, resp);
    if (status)
        return status;
    take_values(req, resp, &v);
    if (api_errors(resp))
        return api_invalid(resp);
    int rc = store_partner_create(req->db, &req->actor, &v, &id, &resp->body, &d);
    if (rc < 0)
        return api_fail(req, resp, rc, &d);
    api_etag(resp, 1);
    return api_created(resp, "/api/v1/partners/%d", id);
}

static int list(struct api_request *req, struct api_response *resp)
{
    struct api_page page;
    struct diag d = {0};
    bool more;
    char cursor[API_CURSOR_MAX];
    api_page_begin(req, resp, &page);
    int rc = store_partner_list(req->db, req->scope, page.after, page.limit, &resp->body, &more,
                                cursor, sizeof cursor, &d);
    return rc < 0 ? api_fail(req, resp, rc, &d) : api_page_end(req, resp, &page, more, cursor);
}

static int get(struct api_request *req, struct api_response *resp)
{
    struct diag d = {0};
    int64_t version;
    int rc = store_partner_json(req->db, req->scope, path_id(req), &version, &resp->body, &d);
    if (rc < 0)
        return api_fail(req, resp, rc, &d);
    api_etag(resp, version);
    return api_ok(resp);
}

static int not_the_owner(struct api_response *resp, int32_t id)
{
    return id ? 0
              : api_problem(resp, PROBLEM_NOT_ALLOWED,
                            "Partner 0 is the owner: it has no quota and cannot be archived.");
}

static int patch(struct api_request *req, struct api_response *resp)
{
    struct store_partner_values v;
    struct diag d = {0};
    int64_t version;
    int32_t id = path_id(req);
    int status = owner_only(req, resp);
    if (!status)
        status = not_the_owner(resp, id);
    if (status)
        return status;
    int rc = store_partner_lock(req->db, id, &version, &d);
    if (rc < 0)
        return api_fail(req, resp, rc, &d);
    status = api_if_match(req, resp, version);
    if (status)
        return status;
    take_values(req, resp, &v);
    if (api_errors(resp))
        return api_invalid(resp);
    rc = store_partner_update(req->db, &req->actor, id, &v, &version, &resp->body, &d);
    if (rc < 0)
        return api_fail(req, resp, rc, &d);
    resp->wake = API_WAKE_DISPATCH;
    api_etag(resp, version);
    return api_ok(resp);
}

static void forget_keys(struct api_request *req, void *arg)
{
    (void)arg;
    auth_forget_partner(api_of(req)->auth, path_id(req));
}

static int archive(struct api_request *req, struct api_response *resp)
{
    struct diag d = {0};
    int32_t id = path_id(req);
    int status = owner_only(req, resp);
    if (!status)
        status = not_the_owner(resp, id);
    if (status)
        return status;
    int rc = store_partner_archive(req->db, &req->actor, id, &d);
    if (rc < 0)
        return api_fail(req, resp, rc, &d);
    resp->wake = API_WAKE_DISPATCH;
    resp->after_commit = forget_keys; /* their cached copies end with them */
    return api_no_content(resp);
}

/* ---- settlements */

/* Days since the civil epoch, or -1: "2026-02-29" is none. */
static int64_t day_number(const char *s)
{
    static const int month_days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int y, m, d, n = 0;
    if (strspn(s, "0123456789-") != 10 || sscanf(s, "%4d-%2d-%2d%n", &y, &m, &d, &n) != 3 ||
        n != 10 || y < 2000 || m < 1 || m > 12 || d < 1 || d > month_days[m - 1])
        return -1;
    if (m == 2 && d == 29 && (y % 4 || (y % 100 == 0 && y % 400)))
        return -1;
    int64_t a = y - (m < 3), mm = m < 3 ? m + 12 : m;
    return 365 * a + a / 4 - a / 100 + a / 400 + (153 * (mm - 3) + 2) / 5 + d;
}

static int take_days(struct api_request *req, struct api_response *resp,
                     struct store_settle_query *q)
{
    q->from = api_query(req, "from");
    q->to = api_query(req, "to");
    q->zone = api_query(req, "zone") ? api_query(req, "zone") : "UTC";
    int64_t from = q->from ? day_number(q->from) : -1, to = q->to ? day_number(q->to) : -1;
    if (from < 0)
        api_error(resp, "from", "invalid", "from must be a day such as 2026-01-31");
    if (to < 0)
        api_error(resp, "to", "invalid", "to must be a day such as 2026-01-31");
    if (from >= 0 && to >= 0 && (to < from || to - from >= SETTLE_DAYS_MAX))
        api_error(resp, "to", "out_of_range", "to must lie 0 to %d days behind from",
                  SETTLE_DAYS_MAX - 1);
    if (!zone_known(q->zone))
        api_error(resp, "zone", "unknown_zone", "not an IANA time zone such as Asia/Shanghai");
    return api_errors(resp) ? api_invalid(resp) : 0;
}

static int settlements(struct api_request *req, struct api_response *resp)
{
    struct store_settle_query q = {.partner_id = req->scope.partner_id};
    struct diag d = {0};
    const char *partner = api_query(req, "partner"), *format = api_query(req, "format");
    if (partner)
        q.partner_id = (int32_t)strtol(partner, NULL, 10);
    if (req->scope.partner_id && q.partner_id != req->scope.partner_id)
        return api_problem(resp, PROBLEM_NOT_FOUND, "There is no such partner.");
    int status = take_days(req, resp, &q);
    if (status)
        return status;
    bool csv = format && !strcmp(format, "csv");
    if (!csv)
        buf_printf(&resp->body,
                   "{\"partner_id\":%d,\"from\":\"%s\",\"to\":\"%s\",\"zone\":\"%s\",\"data\":[",
                   q.partner_id, q.from, q.to, q.zone);
    int rc = store_settlements(req->db, &q, csv, &resp->body, &d);
    if (rc < 0)
        return api_fail(req, resp, rc, &d);
    if (csv)
        resp->content_type = "text/csv; charset=utf-8";
    else
        buf_puts(&resp->body, "]}");
    return api_ok(resp);
}

const struct api_route api_routes_partners[] = {
    {.method = "GET",
     .path = "/api/v1/partners",
     .scope = "partners:read",
     .flags = API_READ | API_LIST,
     .handler = list,
     .summary = "List partners"},
    {.method = "POST",
     .path = "/api/v1/partners",
     .scope = "partners:write",
     .flags = API_JSON | API_IDEM,
     .body = create_body,
     .handler = create,
     .summary = "Create a partner"},
    {.method = "GET",
     .path = "/api/v1/partners/{id}",
     .scope = "partners:read",
     .flags = API_READ,
     .handler = get,
     .summary = "See a partner"},
    {.method = "PATCH",
     .path = "/api/v1/partners/{id}",
     .scope = "partners:write",
     .flags = API_JSON | API_TX | API_IF_MATCH,
     .body = patch_body,
     .handler = patch,
     .summary = "Change a partner"},
    {.method = "DELETE",
     .path = "/api/v1/partners/{id}",
     .scope = "partners:write",
     .flags = API_TX,
     .handler = archive,
     .summary = "Archive a partner: its keys are revoked, nothing of it is sent any more"},
    {.method = "GET",
     .path = "/api/v1/settlements",
     .scope = "settlements:read",
     .flags = API_READ,
     .query = settle_query,
     .handler = settlements,
     .summary = "See settlement figures per route and day"},
    {.method = NULL},
};
