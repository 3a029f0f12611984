/* SPDX-License-Identifier: Apache-2.0 */
/* routes_core.c - the route tables of apid when only the core nouns are linked in, and three routes
 * that exist for tests alone: a stream that tells what arrived, an export from a file, and a
 * handler that conflicts with itself. */
#include "api/api.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int stream_echo(struct api_request *req, struct api_response *resp)
{
    char hex[65];
    for (unsigned i = 0; i < 32; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", req->stream->sha256[i]);
    int64_t size = (int64_t)lseek(req->stream->fd, 0, SEEK_END);
    buf_printf(&resp->body,
               "{\"len\":%lld,\"file\":%lld,\"sha256\":\"%s\",\"gzip\":%s,\"media\":\"%s\"}",
               (long long)req->stream->len, (long long)size, hex,
               req->stream->gzip ? "true" : "false", req->stream->media);
    return api_ok(resp);
}

static int export_file(struct api_request *req, struct api_response *resp)
{
    char name[] = "/tmp/apid-export.XXXXXX";
    int64_t lines = api_query_int(req, "lines", 1);
    resp->fd = mkstemp(name);
    if (resp->fd < 0)
        return api_problem(resp, PROBLEM_NO_SPACE, "no file");
    (void)unlink(name);
    for (int64_t i = 0; i < lines; i++)
        resp->fd_len += dprintf(resp->fd, "%lld\n", (long long)i);
    resp->content_type = "application/x-ndjson";
    return api_ok(resp);
}

/* Fails the first two times as PostgreSQL does on a deadlock. */
static int conflicts(struct api_request *req, struct api_response *resp)
{
    static int calls;
    struct diag d = {0};
    if (__atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST) % 3 != 0) {
        int rc = db_script(
            req->db, "DO $$ BEGIN RAISE EXCEPTION 'pretended' USING ERRCODE = '40P01'; END $$", &d);
        return api_fail(req, resp, rc, &d);
    }
    buf_puts(&resp->body, "{\"done\":true}");
    return api_ok(resp);
}

static const struct api_member export_query[] = {
    {.name = "lines", .type = API_T_INT, .min = 1, .max = 1000000}, {.name = NULL}};

static const struct api_route routes_test[] = {
    {.method = "PUT",
     .path = "/api/v1/test/stream",
     .scope = "audiences:write",
     .flags = API_STREAM,
     .max_body = 20000000,
     .media = "text/csv|application/x-ndjson",
     .handler = stream_echo,
     .summary = "test"},
    {.method = "GET",
     .path = "/api/v1/test/export",
     .scope = "contacts:export",
     .query = export_query,
     .handler = export_file,
     .summary = "test"},
    {.method = "POST",
     .path = "/api/v1/test/conflict",
     .scope = "caps:write",
     .flags = API_TX,
     .handler = conflicts,
     .summary = "test"},
    {.method = NULL},
};

extern const struct api_route api_routes_system[], api_routes_api_keys[], api_routes_channels[],
    api_routes_routes[], api_routes_queues[], api_routes_dispatch[], api_routes_plugins[];
const struct api_route *const api_route_tables[] = {
    api_routes_system,  api_routes_api_keys, api_routes_channels,
    api_routes_routes,  api_routes_queues,   api_routes_dispatch,
    api_routes_plugins, routes_test,         NULL};
