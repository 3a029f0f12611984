/* SPDX-License-Identifier: Apache-2.0 */
/* dispatch.c - /api/v1/dispatch: the kill switch of the whole installation. */
#include "api/api.h"

#include "store/store_switch.h"

static const struct api_member put_body[] = {
    {.name = "state",
     .type = API_T_ENUM,
     .flags = API_M_REQUIRED,
     .choices = "running|paused|draining"},
    {.name = NULL},
};

static int dispatch_get(struct api_request *req, struct api_response *resp)
{
    struct diag d = {0};
    int rc = store_dispatch_json(req->db, &resp->body, &d);
    return rc < 0 ? api_fail(req, resp, rc, &d) : api_ok(resp);
}

static int dispatch_put(struct api_request *req, struct api_response *resp)
{
    struct diag d = {0};
    if (req->caller.partner_id)
        return api_problem(resp, PROBLEM_NOT_ALLOWED,
                           "The switch stops everybody's campaigns; only the owner may turn it. "
                           "Pause your own campaigns instead.");
    int rc =
        store_dispatch_set(req->db, &req->actor, api_str(req->json, "state", ""), &resp->body, &d);
    if (rc < 0)
        return api_fail(req, resp, rc, &d);
    resp->wake = API_WAKE_DISPATCH;
    return api_ok(resp);
}

const struct api_route api_routes_dispatch[] = {
    {.method = "GET",
     .path = "/api/v1/dispatch",
     .scope = "dispatch:read",
     .flags = API_READ,
     .handler = dispatch_get,
     .summary = "See the dispatch switch"},
    {.method = "PUT",
     .path = "/api/v1/dispatch",
     .scope = "dispatch:control",
     .flags = API_JSON | API_TX,
     .body = put_body,
     .handler = dispatch_put,
     .summary = "Turn dispatch on or off for everything"},
    {.method = NULL},
};
