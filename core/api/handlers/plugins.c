/* SPDX-License-Identifier: Apache-2.0 */
/* plugins.c - /api/v1/plugins: what is loaded on this node, with options (secrets shown as "set"),
 * counters and the last error. */
#include "api/api.h"

static int plugins_list(struct api_request *req, struct api_response *resp)
{
    struct diag d = {0};
    buf_puts(&resp->body, "{\"data\":[");
    int rc = req->services->plugins
                 ? req->services->plugins(req->services->ctx, NULL, &resp->body, &d)
                 : 0;
    if (rc < 0)
        return api_fail(req, resp, rc, &d);
    buf_puts(&resp->body, "],\"has_more\":false,\"next\":null}");
    return api_ok(resp);
}

static int plugins_get(struct api_request *req, struct api_response *resp)
{
    struct diag d = {0};
    const char *name = api_path_param(req, "name");
    if (!req->services->plugins)
        return api_problem(resp, PROBLEM_NOT_FOUND, "No plugin %s is loaded on this node.", name);
    int rc = req->services->plugins(req->services->ctx, name, &resp->body, &d);
    if (rc == CGW_ENOTFOUND)
        return api_problem(resp, PROBLEM_NOT_FOUND, "No plugin %s is loaded on this node.", name);
    return rc < 0 ? api_fail(req, resp, rc, &d) : api_ok(resp);
}

const struct api_route api_routes_plugins[] = {
    {.method = "GET",
     .path = "/api/v1/plugins",
     .scope = "plugins:read",
     .handler = plugins_list,
     .summary = "List the plugins of this node"},
    {.method = "GET",
     .path = "/api/v1/plugins/{name}",
     .scope = "plugins:read",
     .handler = plugins_get,
     .summary = "See a plugin with options, counters and last error"},
    {.method = NULL},
};
