/* SPDX-License-Identifier: Apache-2.0 */
/* calendars.c - /api/v1/calendars: quiet calendars (weekly open hours) and holiday calendars
 * (iCalendar, RFC 5545), and what they mean. Calendars bind everybody's campaigns, so only keys of
 * the owner change them. Parsing and compiling are policy/calendar.h's. */
#include "api/handlers/people.h"

#include "policy/calendar.h"
#include "store/store_calendar.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define DAYS "mon|tue|wed|thu|fri|sat|sun"
#define WINDOWS_DEFAULT_MS (INT64_C(7) * 86400000)
#define WINDOWS_MAX_MS (INT64_C(366) * 86400000)

static const struct api_member hours_body[] = {
    {.name = "days",
     .type = API_T_ARRAY,
     .flags = API_M_REQUIRED,
     .item_type = API_T_ENUM,
     .min = 1,
     .max = 7,
     .choices = DAYS},
    {.name = "from", .type = API_T_STRING, .flags = API_M_REQUIRED, .min = 5, .max = 5},
    {.name = "to", .type = API_T_STRING, .flags = API_M_REQUIRED, .min = 5, .max = 5},
    {.name = NULL}};

#define CALENDAR_MEMBERS(REQ)                                                                      \
    {.name = "name", .type = API_T_STRING, .flags = REQ, .min = 1, .max = 120},                    \
        {.name = "region", .type = API_T_STRING, .flags = API_M_NULLABLE, .max = 6},               \
        {.name = "classes",                                                                        \
         .type = API_T_ARRAY,                                                                      \
         .flags = API_M_NULLABLE,                                                                  \
         .item_type = API_T_ENUM,                                                                  \
         .max = 5,                                                                                 \
         .choices = PEOPLE_CLASSES},                                                               \
        {.name = "channels",                                                                       \
         .type = API_T_ARRAY,                                                                      \
         .flags = API_M_NULLABLE,                                                                  \
         .item_type = API_T_ENUM,                                                                  \
         .max = 5,                                                                                 \
         .choices = PEOPLE_CHANNELS},                                                              \
    {                                                                                              \
        .name = "hours", .type = API_T_ARRAY, .min = 1, .max = CALENDAR_SPANS_MAX,                 \
        .members = hours_body                                                                      \
    }

static const struct api_member create_body[] = {
    {.name = "kind", .type = API_T_ENUM, .flags = API_M_REQUIRED, .choices = "quiet|holiday"},
    CALENDAR_MEMBERS(API_M_REQUIRED),
    {.name = NULL}};
static const struct api_member patch_body[] = {CALENDAR_MEMBERS(0), {.name = NULL}};
static const struct api_member list_query[] = {
    {.name = "active", .type = API_T_ENUM, .choices = "true|false"}, {.name = NULL}};
static const struct api_member windows_query[] = {
    {.name = "from", .type = API_T_TIME},
    {.name = "to", .type = API_T_TIME},
    {.name = "region", .type = API_T_STRING, .min = 2, .max = 6},
    {.name = NULL}};

static int owner_only(const struct api_request *req, struct api_response *resp)
{
    return req->caller.partner_id
               ? api_problem(
                     resp, PROBLEM_NOT_ALLOWED,
                     "Calendars bind everybody's campaigns; only keys of the owner change them.")
               : 0;
}

/* "09:30" to minutes of the day, "24:00" included; -1 otherwise. */
static int minutes_of(const char *s)
{
    if (strlen(s) != 5 || s[2] != ':' || strspn(s, "0123456789") != 2 ||
        strspn(s + 3, "0123456789") != 2)
        return -1;
    int h = (s[0] - '0') * 10 + s[1] - '0', m = (s[3] - '0') * 10 + s[4] - '0';
    return m > 59 || h > 24 || (h == 24 && m) ? -1 : h * 60 + m;
}

static void take_span(struct api_response *resp, const json_t *obj, size_t i, struct open_span *ret)
{
    char at[48];
    int from = minutes_of(api_str(obj, "from", "")), to = minutes_of(api_str(obj, "to", ""));
    const json_t *days = json_object_get(obj, "days");
    *ret = (struct open_span){.from_min = (int16_t)from, .to_min = (int16_t)to};
    for (size_t k = 0; k < json_array_size(days); k++)
        ret->days =
            (uint8_t)(ret->days |
                      1u << (people_word(DAYS, json_string_value(json_array_get(days, k))) - 1));
    (void)snprintf(at, sizeof at, "/hours/%zu/%s", i, from < 0 ? "from" : "to");
    if (from < 0 || to < 0)
        api_error(resp, at, "not_a_time_of_day",
                  "must be a local time of day from 00:00 to 24:00, such as 09:00");
    else if (from >= to)
        api_error(resp, at, "before_from",
                  "must be after from; hours over midnight are written as two entries, to 24:00 "
                  "and from 00:00");
}

static uint32_t take_mask(const json_t *doc, const char *name, const char *choices)
{
    const json_t *list = json_object_get(doc, name);
    uint32_t mask = 0;
    for (size_t i = 0; i < json_array_size(list); i++)
        mask |= 1u << people_word(choices, json_string_value(json_array_get(list, i)));
    return mask;
}

/* ISO 3166-1 or -2: CN, CN-GD. */
static bool region_ok(const char *s)
{
    static const char upper[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
                      code[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    char country[3];
    if (strlen(s) < 2 || strspn(s, upper) < 2 ||
        (s[2] &&
         (s[2] != '-' || !s[3] || strlen(s + 3) > 3 || strspn(s + 3, code) != strlen(s + 3))))
        return false;
    (void)snprintf(country, sizeof country, "%.2s", s);
    return address_region_known(country);
}

static void take_values(struct api_response *resp, const json_t *doc,
                        struct store_calendar_values *v)
{
    if (api_has(doc, "name"))
        (void)snprintf(v->name, sizeof v->name, "%s", api_str(doc, "name", ""));
    if (api_has(doc, "region"))
        (void)snprintf(v->region, sizeof v->region, "%s", api_str(doc, "region", ""));
    if (v->region[0] && !region_ok(v->region))
        api_error(resp, "/region", "unknown_region",
                  "must be an ISO 3166 country or subdivision such as CN or CN-GD; leave it out "
                  "for everywhere");
    if (api_has(doc, "classes"))
        v->class_mask = take_mask(doc, "classes", PEOPLE_CLASSES);
    if (api_has(doc, "channels"))
        v->channel_mask = take_mask(doc, "channels", PEOPLE_CHANNELS);
    if (!api_has(doc, "hours"))
        return;
    const json_t *hours = json_object_get(doc, "hours");
    if (v->holiday)
        api_error(resp, "/hours", "not_for_holidays",
                  "a holiday calendar has no hours: PUT its iCalendar text to …/ics");
    v->n_spans = 0;
    for (size_t i = 0; i < json_array_size(hours) && i < CALENDAR_SPANS_MAX; i++)
        take_span(resp, json_array_get(hours, i), i, &v->spans[v->n_spans++]);
}

static int create(struct api_request *req, struct api_response *resp)
{
    struct diag d = {0};
    char id[40];
    struct store_calendar_values v = {.holiday =
                                          !strcmp(api_str(req->json, "kind", ""), "holiday")};
    int status = owner_only(req, resp);
    if (status)
        return status;
    if (!v.holiday && !api_has(req->json, "hours"))
        api_error(resp, "/hours", "required",
                  "a quiet calendar needs its open hours; outside them it is closed");
    take_values(resp, req->json, &v);
    if (api_errors(resp))
        return api_invalid(resp);
    int rc = store_calendar_create(req->db, &req->actor, &v, id, &resp->body, &d);
    if (rc < 0)
        return api_fail(req, resp, rc, &d);
    resp->wake = API_WAKE_RULES | API_WAKE_DISPATCH;
    api_etag(resp, 1);
    return api_created(resp, "/api/v1/calendars/%s", id);
}

static int list(struct api_request *req, struct api_response *resp)
{
    struct api_page page;
    struct diag d = {0};
    bool more = false;
    char cursor[API_CURSOR_MAX];
    const char *active = api_query(req, "active");
    api_page_begin(req, resp, &page);
    int rc = store_calendar_list(req->db, !active || !strcmp(active, "true"), page.after,
                                 page.limit, &resp->body, &more, cursor, sizeof cursor, &d);
    return rc < 0 ? api_fail(req, resp, rc, &d) : api_page_end(req, resp, &page, more, cursor);
}

static int get(struct api_request *req, struct api_response *resp)
{
    struct diag d = {0};
    int64_t version;
    int rc = store_calendar_json(req->db, api_path_param(req, "id"), &version, &resp->body, &d);
    if (rc < 0)
        return api_fail(req, resp, rc, &d);
    api_etag(resp, version);
    return api_ok(resp);
}

static int patch(struct api_request *req, struct api_response *resp)
{
    const char *id = api_path_param(req, "id");
    struct store_calendar_values v;
    struct diag d = {0};
    int64_t version;
    int status = owner_only(req, resp);
    if (status)
        return status;
    int rc = store_calendar_lock(req->db, id, &version, &v, &d);
    if (rc < 0)
        return api_fail(req, resp, rc, &d);
    status = api_if_match(req, resp, version);
    if (status)
        return status;
    take_values(resp, req->json, &v);
    if (api_errors(resp))
        return api_invalid(resp);
    rc = store_calendar_update(req->db, &req->actor, id, &v, &version, &resp->body, &d);
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
    int rc = store_calendar_end(req->db, &req->actor, api_path_param(req, "id"), &d);
    if (rc < 0)
        return api_fail(req, resp, rc, &d);
    resp->wake = API_WAKE_RULES | API_WAKE_DISPATCH;
    return api_no_content(resp);
}

/* ---- iCalendar ------------------------------------------------------------------------------- */
static int read_body(const struct api_stream *s, struct buf *ret)
{
    if (!buf_reserve(ret, (size_t)s->len + 1))
        return -ENOMEM;
    while (ret->len < (size_t)s->len) {
        ssize_t n = pread(s->fd, ret->data + ret->len, (size_t)s->len - ret->len, (off_t)ret->len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -EIO;
        ret->len += (size_t)n;
    }
    return 0;
}

/* The stored text goes into a text column: UTF-8 without NUL, which RFC 5545 demands anyway. */
static int check_ics(struct api_response *resp, struct buf *text, uint32_t *ret_events)
{
    struct diag d = {0};
    if (text->len && memchr(text->data, 0, text->len))
        return api_problem(resp, PROBLEM_MALFORMED_UPLOAD,
                           "the text holds a NUL byte; send iCalendar text (RFC 5545) in UTF-8");
    int rc = calendar_check_ics(buf_str(text), text->len, ret_events, &d);
    if (rc == 0)
        return 0;
    int status = api_problem(resp, rc == CGW_ELIMIT ? PROBLEM_TOO_LARGE : PROBLEM_MALFORMED_UPLOAD,
                             "%s%s%s", d.where, d.where[0] ? ": " : "", d.text);
    long long line = 0;
    if (sscanf(d.where, "line %lld", &line) == 1) {
        char number[24];
        (void)snprintf(number, sizeof number, "%lld", line);
        api_problem_json(resp, "line", number);
    }
    return status;
}

static int put_ics(struct api_request *req, struct api_response *resp)
{
    const char *id = api_path_param(req, "id");
    struct store_calendar_values v;
    struct diag d = {0};
    struct buf text;
    int64_t version;
    uint32_t events = 0;
    int status = owner_only(req, resp);
    if (status)
        return status;
    if (req->stream->gzip)
        return api_problem(resp, PROBLEM_MEDIA_TYPE,
                           "calendars are taken without Content-Encoding");
    int rc = store_calendar_lock(req->db, id, &version, &v, &d);
    if (rc < 0)
        return api_fail(req, resp, rc, &d);
    if (!v.holiday)
        return api_problem(resp, PROBLEM_STATE_CONFLICT,
                           "a quiet calendar has open hours, not events: PATCH its hours, or "
                           "create a holiday calendar");
    buf_init(&text, CALENDAR_ICS_MAX + 1);
    rc = read_body(req->stream, &text);
    status = rc < 0 ? api_problem(resp, PROBLEM_INTERNAL, "the spooled body cannot be read")
                    : check_ics(resp, &text, &events);
    if (!status) {
        rc = store_calendar_set_ics(req->db, &req->actor, id, buf_str(&text), text.len, &version,
                                    &resp->body, &d);
        status = rc < 0 ? api_fail(req, resp, rc, &d) : 0;
    }
    buf_done(&text);
    if (status)
        return status;
    resp->body.len--; /* the document's closing brace */
    buf_printf(&resp->body, ", \"events\" : %u}", events);
    resp->wake = API_WAKE_RULES | API_WAKE_DISPATCH;
    api_etag(resp, version);
    return api_ok(resp);
}

static int get_ics(struct api_request *req, struct api_response *resp)
{
    struct diag d = {0};
    int rc = store_calendar_ics(req->db, api_path_param(req, "id"), &resp->body, &d);
    if (rc < 0)
        return api_fail(req, resp, rc, &d);
    resp->content_type = "text/calendar; charset=utf-8";
    return api_ok(resp);
}

/* ---- what it really means -------------------------------------------------------------------- */
static int windows(struct api_request *req, struct api_response *resp)
{
    const char *id = api_path_param(req, "id"), *region = api_query(req, "region"),
               *from = api_query(req, "from"), *to = api_query(req, "to");
    const struct api_services *s = req->services;
    struct diag d = {0};
    int64_t from_ms = 0, to_ms = 0;
    char from_text[25], to_text[25];
    if (!s->windows)
        return api_problem(resp, PROBLEM_UNAVAILABLE, "This node compiles no calendars.");
    int rc = from ? api_time_parse(from, &from_ms) : store_now(req->db, &from_ms, &d);
    to_ms = from_ms + WINDOWS_DEFAULT_MS;
    if (rc == 0 && to)
        rc = api_time_parse(to, &to_ms);
    if (rc < 0)
        return api_fail(req, resp, rc, &d);
    if (to_ms <= from_ms || to_ms - from_ms > WINDOWS_MAX_MS)
        api_error(resp, "?to", "out_of_range", "must be after from, by at most 366 days");
    if (region && !region_ok(region))
        api_error(resp, "?region", "unknown_region",
                  "must be an ISO 3166 country or subdivision such as CN or CN-GD");
    if (api_errors(resp))
        return api_invalid(resp);
    api_time_format(from_ms, from_text);
    api_time_format(to_ms, to_text);
    buf_printf(&resp->body, "{\"calendar\":\"%s\",\"from\":\"%s\",\"to\":\"%s\",\"closed\":[", id,
               from_text, to_text);
    rc = s->windows(s->ctx, req->db, id, region ? region : "", from_ms, to_ms, &resp->body, &d);
    if (rc == CGW_EINVAL) { /* the calendar holds everywhere: whose clock is meant? */
        api_error(resp, "?region", "required", "%s", d.text);
        return api_invalid(resp);
    }
    if (rc < 0)
        return api_fail(req, resp, rc, &d);
    buf_puts(&resp->body, "]}");
    return api_ok(resp);
}

const struct api_route api_routes_calendars[] = {
    {.method = "GET",
     .path = "/api/v1/calendars",
     .scope = "calendars:read",
     .flags = API_READ | API_LIST,
     .query = list_query,
     .handler = list,
     .summary = "List calendars"},
    {.method = "POST",
     .path = "/api/v1/calendars",
     .scope = "calendars:write",
     .flags = API_JSON | API_IDEM,
     .body = create_body,
     .handler = create,
     .summary = "Create a calendar"},
    {.method = "GET",
     .path = "/api/v1/calendars/{id}",
     .scope = "calendars:read",
     .flags = API_READ,
     .handler = get,
     .summary = "See a calendar"},
    {.method = "PATCH",
     .path = "/api/v1/calendars/{id}",
     .scope = "calendars:write",
     .flags = API_JSON | API_TX | API_IF_MATCH,
     .body = patch_body,
     .handler = patch,
     .summary = "Change a calendar"},
    {.method = "DELETE",
     .path = "/api/v1/calendars/{id}",
     .scope = "calendars:write",
     .flags = API_TX,
     .handler = end,
     .summary = "End a calendar"},
    {.method = "GET",
     .path = "/api/v1/calendars/{id}/ics",
     .scope = "calendars:read",
     .flags = API_READ,
     .handler = get_ics,
     .summary = "Get a holiday calendar as iCalendar"},
    {.method = "PUT",
     .path = "/api/v1/calendars/{id}/ics",
     .scope = "calendars:write",
     .flags = API_STREAM | API_TX,
     .max_body = CALENDAR_ICS_MAX,
     .media = "text/calendar",
     .handler = put_ics,
     .summary = "Replace the events of a holiday calendar"},
    {.method = "GET",
     .path = "/api/v1/calendars/{id}/windows",
     .scope = "calendars:read",
     .flags = API_READ,
     .query = windows_query,
     .handler = windows,
     .summary = "See when a calendar is closed"},
    {.method = NULL},
};
