/* SPDX-License-Identifier: Apache-2.0 */
/* channels.c - /api/v1/channels: the configured channel instances of this node. Peers and
 * credentials are configuration, not resources. */
#include "api/api.h"

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

const struct api_route api_routes_channels[] = {
    {.method = "GET",
     .path = "/api/v1/channels",
     .scope = "channels:read",
     .handler = channels_list,
     .summary = "List the channel instances of this node"},
    {.method = NULL},
};
