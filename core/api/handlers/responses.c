/* SPDX-License-Identifier: Apache-2.0 */
/* responses.c - /api/v1/campaigns/{id}/responses and …/answers, /api/v1/responses/{id}: what people
 * answered to a campaign. Which campaign a response answers is outcome/'s finding. */
#include "api/api.h"
#include "store/store_campaign.h"
#include "store/store_ids.h"
#include "store/store_responses.h"

static const struct api_member list_query[] = {
    {.name = "wave", .type = API_T_INT, .min = 1, .max = STORE_WAVES_MAX}, {.name = NULL}};

static int list(struct api_request *req, struct api_response *resp)
{
    struct api_page page;
    struct diag d = {0};
    bool more = false;
    char cursor[API_CURSOR_MAX];
    api_page_begin(req, resp, &page);
    int rc = store_responses_list(req->db, req->scope, api_path_param(req, "id"),
                                  (int)api_query_int(req, "wave", 0), page.after, page.limit,
                                  &resp->body, &more, cursor, sizeof cursor, &d);
    return rc < 0 ? api_fail(req, resp, rc, &d) : api_page_end(req, resp, &page, more, cursor);
}

static int answers(struct api_request *req, struct api_response *resp)
{
    struct diag d = {0};
    int rc =
        store_responses_answers(req->db, req->scope, api_path_param(req, "id"), &resp->body, &d);
    return rc < 0 ? api_fail(req, resp, rc, &d) : api_ok(resp);
}

static int get(struct api_request *req, struct api_response *resp)
{
    struct diag d = {0};
    int64_t id = 0;
    if (store_id_decode("rsp", api_path_param(req, "id"), &id, &d) < 0)
        return api_problem(resp, PROBLEM_NOT_FOUND, "%s", d.text);
    int rc = store_responses_json(req->db, req->scope, id, &resp->body, &d);
    return rc < 0 ? api_fail(req, resp, rc, &d) : api_ok(resp);
}

const struct api_route api_routes_responses[] = {
    {"GET", "/api/v1/campaigns/{id}/responses", "responses:read", API_READ | API_LIST,
     .query = list_query, .handler = list, .summary = "List what people answered"},
    {"GET", "/api/v1/campaigns/{id}/answers", "responses:read", API_READ, .handler = answers,
     .summary = "Count what people answered"},
    {"GET", "/api/v1/responses/{id}", "responses:read", API_READ, .handler = get,
     .summary = "Show one response"},
    {.method = NULL}};
