/* SPDX-License-Identifier: Apache-2.0 */
/* channels.c - /api/v1/channels: the configured channel instances of this node. Peers and
 * credentials are configuration, not resources. */
#include "api/api.h"

#include "store/store.h"

#include <string.h>

static int channels_list(struct api_request *req, struct api_response *resp)
{
    struct diag d = {0};
    buf_puts(&resp->body, "{\"data\":[");
    int rc =
        req->services->channels ? req->services->channels(req->services->ctx, &resp->body, &d) : 0;
    if (rc < 0)
        return api_fail(req, resp, rc, &d);
    buf_puts(&resp->body, "],\"has_more\":false,\"next\":null}");
    return api_ok(resp);
}

/* The plugin's file may be a new one: this is how it is upgraded. */
static int channels_restart(struct api_request *req, struct api_response *resp)
{
    struct diag d = {0};
    const char *name = api_path_param(req, "name");
    if (req->caller.partner_id)
        return api_problem(
            resp, PROBLEM_NOT_ALLOWED,
            "A channel carries everybody's messages; only the owner may restart it.");
    int rc = req->services->channel_restart
                 ? req->services->channel_restart(req->services->ctx, name, &d)
                 : CGW_ENOTFOUND;
    if (rc == CGW_ENOTFOUND)
        return api_problem(resp, PROBLEM_NOT_FOUND, "No channel instance %s is on this node.",
                           name);
    if (rc == 0)
        rc = store_audit(req->db, &req->actor, "channel.restart", name, NULL, NULL, &d);
    if (rc < 0)
        return api_fail(req, resp, rc, &d);
    buf_puts(&resp->body, "{\"name\":");
    buf_put_json(&resp->body, name, strlen(name));
    buf_puts(&resp->body, ",\"state\":\"restarting\"}");
    return api_accepted(resp);
}

const struct api_route api_routes_channels[] = {
    {.method = "GET",
     .path = "/api/v1/channels",
     .scope = "channels:read",
     .handler = channels_list,
     .summary = "List the channel instances of this node"},
    {.method = "POST",
     .path = "/api/v1/channels/{name}/restart",
     .scope = "channels:restart",
     .flags = API_TX,
     .handler = channels_restart,
     .summary = "Restart the process of an isolated channel instance"},
    {.method = NULL},
};
