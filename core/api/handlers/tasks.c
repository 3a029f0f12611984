/* SPDX-License-Identifier: Apache-2.0 */
/* tasks.c - /api/v1/tasks: agents' systems take what is to be done and give it back. Taking is a
 * lease: two never have the same task at the same time, and what nobody reports comes back.
 * Reports: tasks_report.c. No SQL here. */
#include "api/handlers/tasks.h"

#include "api/handlers/people.h"
#include "base/clock.h"
#include "store/store_ids.h"

#include <stdio.h>
#include <string.h>

#define LEASE_DEFAULT_MS INT64_C(900000)
#define LEASE_LEAST_MS INT64_C(1000)
#define LEASE_MOST_MS INT64_C(86400000)

static const struct api_member query[] = {{"channel", API_T_STRING, 0, .min = 1, .max = 47},
                                          {"lease", API_T_STRING, 0, .min = 1, .max = 32},
                                          {"agent", API_T_STRING, 0, .min = 1, .max = 64},
                                          {"campaign", API_T_ID, 0, .choices = "cmp"},
                                          {"state", API_T_ENUM, 0, .choices = STORE_TASK_STATES},
                                          {"format", API_T_ENUM, 0, .choices = "ndjson|csv"},
                                          {.name = NULL}};

int tasks_id(struct api_request *req, struct api_response *resp, int64_t *ret_key)
{
    struct diag d = {0};
    if (store_id_decode("tsk", api_path_param(req, "id"), ret_key, &d) < 0)
        return api_problem(resp, PROBLEM_NOT_FOUND, "%s", d.text);
    return 0;
}

/* `channel` names one instance, or all of a kind by its word. */
static void take_channel(const struct api_request *req, const char **ret_instance,
                         int32_t *ret_channel)
{
    const char *channel = api_query(req, "channel");
    *ret_channel = channel ? (int32_t)people_word(PEOPLE_CHANNELS, channel) : 0;
    *ret_instance = channel && !*ret_channel ? channel : NULL;
}

/* ---- list --------------------------------------------------------------------------------------
 */
static int list(struct api_request *req, struct api_response *resp)
{
    struct task_filter f = {.campaign = api_query(req, "campaign"),
                            .state = api_query(req, "state")};
    struct api_page page;
    struct diag d = {0};
    bool more = false;
    char cursor[API_CURSOR_MAX] = "";
    take_channel(req, &f.instance, &f.channel);
    api_page_begin(req, resp, &page);
    int rc = store_task_list(req->db, req->scope, &f, page.after, page.limit, &resp->body, &more,
                             cursor, sizeof cursor, &d);
    return rc < 0 ? api_fail(req, resp, rc, &d) : api_page_end(req, resp, &page, more, cursor);
}

/* ---- lease -------------------------------------------------------------------------------------
 */
struct lines {
    struct buf *out;
    bool csv;
};

static int one_line(void *ctx, const struct task_given *t)
{
    struct lines *l = ctx;
    (l->csv ? tasks_csv_row : tasks_json_row)(l->out, t);
    return l->out->failed ? CGW_ELIMIT : 0;
}

/* 0, or the status of an answer already written. */
static int take_lease(struct api_request *req, struct api_response *resp, int64_t *ret_ms)
{
    const char *text = api_query(req, "lease");
    *ret_ms = LEASE_DEFAULT_MS;
    if (text && !strcmp(text, "window"))
        *ret_ms = INT64_MAX;
    else if (text && (api_duration_parse(text, ret_ms) < 0 || *ret_ms < LEASE_LEAST_MS ||
                      *ret_ms > LEASE_MOST_MS))
        api_error(resp, "?lease", "out_of_range",
                  "a duration of PT1S to PT24H, such as PT15M; \"window\": as long as the task "
                  "lasts; \"none\": only look");
    if (api_query(req, "state"))
        api_error(resp, "?state", "not_with_lease",
                  "only open tasks are given out; with lease=none the list is by state");
    return api_errors(resp) ? api_invalid(resp) : 0;
}

static int lease(struct api_request *req, struct api_response *resp)
{
    const char *format = api_query(req, "format"), *agent = api_query(req, "agent");
    struct task_ask ask = {.campaign = api_query(req, "campaign"),
                           .agent = agent ? agent : req->caller.name,
                           .now_ms = clock_utc_ms(),
                           .limit = (int)api_query_int(req, "limit", API_LIMIT_DEFAULT)};
    struct lines l = {.out = &resp->body, .csv = format && !strcmp(format, "csv")};
    struct task_lease_counts n;
    struct diag d = {0};
    int status = take_lease(req, resp, &ask.lease_ms);
    if (status)
        return status;
    take_channel(req, &ask.instance, &ask.channel);
    if (l.csv)
        tasks_csv_head(l.out);
    int rc = store_task_lease(req->db, req->scope, &ask, one_line, &l, &n, &d);
    char after[80];
    (void)snprintf(after, sizeof after, "{\"given\":%d,\"withdrawn\":%d}", n.given, n.withdrawn);
    if (rc == 0 && (n.given || n.withdrawn)) /* an empty poll is no news */
        rc = store_audit(req->db, &req->actor, "tasks.lease", api_query(req, "channel"), NULL,
                         after, &d);
    if (rc < 0)
        return api_fail(req, resp, rc, &d);
    if (n.withdrawn)
        resp->wake = API_WAKE_TASKS;
    resp->content_type = l.csv ? "text/csv; charset=utf-8" : "application/x-ndjson";
    return api_ok(resp);
}

/* With a channel tasks are taken, which needs more than to see them. */
static int list_or_lease(struct api_request *req, struct api_response *resp)
{
    const char *how = api_query(req, "lease");
    if (!api_query(req, "channel") || (how && !strcmp(how, "none"))) {
        if (how && strcmp(how, "none") != 0) {
            api_error(resp, "?channel", "required", "whose tasks? name an instance or a channel");
            return api_invalid(resp);
        }
        return list(req, resp);
    }
    if (!api_has_scope(req, "tasks:work")) {
        int status = api_problem(resp, PROBLEM_SCOPE_MISSING,
                                 "taking tasks needs the scope tasks:work; lease=none only looks");
        api_problem_text(resp, "scope", "tasks:work");
        return status;
    }
    return lease(req, resp);
}

/* ---- one ---------------------------------------------------------------------------------------
 */
static int show(struct api_request *req, struct api_response *resp)
{
    struct diag d = {0};
    int64_t key = 0;
    int status = tasks_id(req, resp, &key);
    if (status)
        return status;
    int rc = store_task_json(req->db, req->scope, key, api_has_scope(req, "tasks:work"),
                             &resp->body, &d);
    return rc < 0 ? api_fail(req, resp, rc, &d) : api_ok(resp);
}

static int release(struct api_request *req, struct api_response *resp)
{
    struct diag d = {0};
    int64_t key = 0;
    int status = tasks_id(req, resp, &key);
    if (status)
        return status;
    int rc = store_task_release(req->db, req->scope, key, &d);
    if (rc == 0)
        rc = store_audit(req->db, &req->actor, "task.release", api_path_param(req, "id"), NULL,
                         NULL, &d);
    return rc < 0 ? api_fail(req, resp, rc, &d) : show(req, resp);
}

const struct api_route api_routes_tasks[] = {
    {.method = "GET",
     .path = "/api/v1/tasks",
     .scope = "tasks:read",
     .flags = API_TX | API_LIST,
     .query = query,
     .handler = list_or_lease,
     .summary = "Take tasks, or list them"},
    {.method = "POST",
     .path = "/api/v1/tasks/outcomes",
     .scope = "tasks:work",
     .flags = API_STREAM | API_IDEM,
     .max_body = 16u << 20,
     .media = PEOPLE_MEDIA,
     .handler = tasks_outcomes,
     .summary = "Report what became of many tasks"},
    {.method = "GET",
     .path = "/api/v1/tasks/{id}",
     .scope = "tasks:read",
     .flags = API_READ,
     .handler = show,
     .summary = "See a task"},
    {.method = "POST",
     .path = "/api/v1/tasks/{id}/outcome",
     .scope = "tasks:work",
     .flags = API_JSON | API_IDEM,
     .body = tasks_outcome_body,
     .handler = tasks_outcome,
     .summary = "Report what became of a task"},
    {.method = "POST",
     .path = "/api/v1/tasks/{id}/release",
     .scope = "tasks:work",
     .flags = API_IDEM,
     .handler = release,
     .summary = "Give a task back"},
    {.method = NULL},
};
