/* SPDX-License-Identifier: Apache-2.0 */
/* queues.c - /api/v1/queues: a queue is (route, lane): pause it, look at its numbers. Its id is the
 * route's with .bulk or .urgent. */
#include "api/api.h"

#include "store/store_switch.h"

#include <string.h>

struct adder {
    struct api_request *req;
    struct buf *out;
    bool comma;
};

/* The stored document with this node's live numbers added; null when this node knows none. */
static int add_queue(void *ctx, const struct store_queue *q)
{
    struct adder *a = ctx;
    const struct api_services *s = a->req->services;
    struct api_queue_numbers n = {0};
    bool live = s->queue_numbers && s->queue_numbers(s->ctx, q->route_id, q->lane, &n);
    size_t len = strlen(q->json);
    if (a->comma)
        buf_putc(a->out, ',');
    a->comma = true;
    buf_put(a->out, q->json, len - 1); /* without the closing brace */
    if (live)
        buf_printf(
            a->out,
            ",\"node\":{\"waiting\":%lld,\"in_flight\":%lld,\"credit\":%lld,\"rate_per_s\":%.1f}}",
            (long long)n.waiting, (long long)n.in_flight, (long long)n.credit, n.rate_per_s);
    else
        buf_puts(a->out, ",\"node\":null}");
    return 0;
}

static int queues_list(struct api_request *req, struct api_response *resp)
{
    struct api_page page;
    struct diag d = {0};
    bool more;
    char cursor[API_CURSOR_MAX];
    struct adder a = {.req = req, .out = &resp->body};
    api_page_begin(req, resp, &page);
    int rc = store_queue_list(req->db, req->scope, page.after, page.limit, add_queue, &a, &more,
                              cursor, sizeof cursor, &d);
    return rc < 0 ? api_fail(req, resp, rc, &d) : api_page_end(req, resp, &page, more, cursor);
}

static int queue_answer(struct api_request *req, struct api_response *resp)
{
    struct diag d = {0};
    struct adder a = {.req = req, .out = &resp->body};
    int rc = store_queue_one(req->db, req->scope, api_path_param(req, "id"), add_queue, &a, &d);
    return rc < 0 ? api_fail(req, resp, rc, &d) : api_ok(resp);
}

static int set_pause(struct api_request *req, struct api_response *resp, bool paused)
{
    struct diag d = {0};
    int rc =
        store_queue_pause(req->db, &req->actor, req->scope, api_path_param(req, "id"), paused, &d);
    if (rc < 0)
        return api_fail(req, resp, rc, &d);
    resp->wake = API_WAKE_DISPATCH;
    return queue_answer(req, resp);
}

static int queues_pause(struct api_request *req, struct api_response *resp)
{
    return set_pause(req, resp, true);
}

static int queues_resume(struct api_request *req, struct api_response *resp)
{
    return set_pause(req, resp, false);
}

const struct api_route api_routes_queues[] = {
    {.method = "GET",
     .path = "/api/v1/queues",
     .scope = "queues:read",
     .flags = API_READ | API_LIST,
     .handler = queues_list,
     .summary = "List queues with this node's numbers"},
    {.method = "GET",
     .path = "/api/v1/queues/{id}",
     .scope = "queues:read",
     .flags = API_READ,
     .handler = queue_answer,
     .summary = "See a queue"},
    {.method = "POST",
     .path = "/api/v1/queues/{id}/pause",
     .scope = "queues:write",
     .flags = API_TX,
     .handler = queues_pause,
     .summary = "Pause a queue"},
    {.method = "POST",
     .path = "/api/v1/queues/{id}/resume",
     .scope = "queues:write",
     .flags = API_TX,
     .handler = queues_resume,
     .summary = "Resume a queue"},
    {.method = NULL},
};
