/* SPDX-License-Identifier: Apache-2.0 */
/* ctl_rules.c - what holds contacts back: do-not-disturb, consent, caps, calendars. What a rule
 * means is the gateway's to decide. */
#include "ctl/ctl.h"

#include <errno.h>
#include <string.h>
#include <time.h>

/* ---- do-not-disturb
 * ----------------------------------------------------------------------------------------------------------------
 */
int ctl_dnd_list(struct ctl *c)
{
    static const struct ctl_column columns[] = {{"ID", "id", 's'},
                                                {"NAME", "name", 's'},
                                                {"SCOPE", "scope|channel|class", 's'},
                                                {"BUILT IN", "builtin", 's'},
                                                {"UPDATED", "updated_at", 't'},
                                                CTL_COLUMNS_END};
    return ctl_list(c, "/api/v1/dnd-lists", columns, "No list.");
}

int ctl_dnd_create(struct ctl *c)
{
    static const struct ctl_column fields[] = {{"id", "id", 's'},
                                               {"name", "name", 's'},
                                               {"scope", "scope|channel|class", 's'},
                                               CTL_COLUMNS_END};
    const char *channel = ctl_opt(c, "channel"), *class = ctl_opt(c, "class");
    if (channel && class)
        return ctl_usage_error(c, "a list is for one channel or for one class, not both");
    json_t *body = json_pack("{s:s}", "name", c->argv[0]);
    if (!body)
        return ctl_usage_error(c, "the name is no text");
    ctl_set_str(body, "channel", channel);
    ctl_set_str(body, "class", class);
    ctl_set_str(body, "scope", channel || class ? NULL : "all");
    struct ctl_request req = {
        .method = "POST", .path = "/api/v1/dnd-lists", .body = body, .idem = true};
    struct ctl_answer a;
    int code = ctl_call(c, &req, &a);
    return code ? code : ctl_print_answer(c, &a, fields);
}

int ctl_dnd_entries(struct ctl *c)
{
    static const struct ctl_column columns[] = {{"CUSTOMER", "customer", 's'},
                                                {"SCOPE", "scope|channel|class", 's'},
                                                {"SINCE", "since", 't'},
                                                CTL_COLUMNS_END};
    char id[80], path[CTL_PATH_MAX];
    int code = ctl_resolve(c, "dnd", c->argv[0], id, sizeof id);
    (void)snprintf(path, sizeof path, "/api/v1/dnd-lists/%s/entries", id);
    return code ? code : ctl_list(c, path, columns, "Nobody stands in it.");
}

static int dnd_request(struct ctl *c, const char *list, const char *verb, struct buf *path,
                       struct ctl_request *req)
{
    const char *file = ctl_opt(c, "file");
    if ((c->argc > 0) == (file != NULL))
        return ctl_usage_error(c, file ? "give numbers or --file, not both"
                                       : "NUMBER or --file is missing");
    buf_printf(path, "/api/v1/dnd-lists/%s/entries%s", list, verb);
    req->method = "POST";
    req->idem = true;
    if (file) {
        ctl_query_add(path, "default_region", ctl_opt(c, "region"));
        req->file = file;
        int code = strcmp(file, "-") != 0 || ctl_has(c, "format")
                       ? ctl_media(c, file, &req->media)
                       : ctl_usage_error(c, "--format is missing: standard input has no name");
        req->path = buf_str(path);
        return code;
    }
    json_t *entries = json_array();
    for (int i = 0; i < c->argc; i++)
        (void)json_array_append_new(entries, ctl_person(c, c->argv[i]));
    req->body = json_pack("{s:o}", "entries", entries);
    req->path = buf_str(path);
    return 0;
}

static int dnd_change(struct ctl *c, const char *verb, bool ask)
{
    static const struct ctl_column fields[] = {
        {"received", "received", 'n'},      {"added", "added", 'n'},
        {"present before", "present", 'n'}, {"removed", "removed", 'n'},
        {"invalid", "invalid", 'n'},        CTL_COLUMNS_END};
    char list[80], question[300];
    const char *named = ctl_opt(c, "list");
    struct ctl_request req = {0};
    struct ctl_answer a;
    struct buf path;
    int code = ctl_resolve(c, "dnd", named ? named : "dnd_optouts", list, sizeof list);
    buf_init(&path, CTL_PATH_MAX);
    if (code == 0)
        code = dnd_request(c, list, verb, &path, &req);
    if (code == 0 && ask) {
        (void)snprintf(question, sizeof question,
                       "Take people off %s: they may be contacted again.", list);
        code = ctl_confirm(c, question, c->argc);
    }
    if (code)
        json_decref(req.body);
    else
        code = ctl_call(c, &req, &a);
    buf_done(&path);
    if (code)
        return code;
    bool invalid = ctl_num(a.doc, "invalid", 0) > 0;
    const json_t *rejects = json_object_get(a.doc, "rejects");
    for (size_t i = 0; !c->json && i < json_array_size(rejects); i++)
        ctl_say(c, "  line %lld: %s", (long long)ctl_num(json_array_get(rejects, i), "line", 0),
                ctl_str(json_array_get(rejects, i), "detail", ""));
    (void)ctl_print_answer(c, &a, fields);
    return invalid ? CTL_FAILED : CTL_OK;
}

int ctl_dnd_add(struct ctl *c)
{
    return dnd_change(c, "", false);
}

int ctl_dnd_remove(struct ctl *c)
{
    return dnd_change(c, "/remove", true);
}

int ctl_dnd_check(struct ctl *c)
{
    static const struct ctl_column columns[] = {{"LIST", "id|list", 's'},
                                                {"NAME", "name", 's'},
                                                {"SCOPE", "scope|channel|class", 's'},
                                                {"SINCE", "since", 't'},
                                                CTL_COLUMNS_END};
    char person[80];
    struct ctl_request req = {.method = "POST",
                              .path = "/api/v1/dnd-lists/lookup",
                              .body = ctl_person(c, c->argv[0]),
                              .reads = true};
    struct ctl_answer a;
    int code = ctl_call(c, &req, &a);
    if (code)
        return code;
    const json_t *lists = json_object_get(a.doc, "lists");
    bool held = json_array_size(lists) > 0;
    ctl_mask(c->argv[0], person, sizeof person);
    if (c->json)
        ctl_print_json(a.doc);
    else if (held)
        ctl_print_table(c, lists, columns);
    else
        (void)printf("%s stands in no list\n", person);
    ctl_answer_done(&a);
    return held ? CTL_HELD : CTL_OK;
}

/* ---- consent
 * ----------------------------------------------------------------------------------------------------------------------------
 */
static int statement(struct ctl *c, const char *action)
{
    static const struct ctl_column fields[] = {{"granted", "granted", 'n'},
                                               {"withdrawn", "withdrawn", 'n'},
                                               {"outdated", "outdated", 'n'},
                                               CTL_COLUMNS_END};
    static const char *const times[] = {"at", "expires"};
    const char *purpose = ctl_opt(c, "purpose"), *channel = ctl_opt(c, "channel");
    char when[40];
    int code = 0;
    if (!ctl_has(c, "source"))
        return ctl_usage_error(c,
                               "--source is missing: where it was said, such as shop, call, form");
    json_t *body = ctl_person(c, c->argv[0]);
    if (!body)
        return ctl_usage_error(c, "the number is no text");
    ctl_set_str(body, "action", action);
    ctl_set_str(body, "purpose", purpose ? purpose : "marketing");
    ctl_set_str(body, "channel", channel ? channel : "all");
    ctl_set_str(body, "source", ctl_opt(c, "source"));
    ctl_set_str(body, "evidence", ctl_opt(c, "evidence"));
    for (size_t i = 0; code == 0 && i < ARRAY_LEN(times); i++)
        if (ctl_has(c, times[i])) {
            code = ctl_time(c, times[i], ctl_opt(c, times[i]), when);
            ctl_set_str(body, times[i], code ? NULL : when);
        }
    struct ctl_request req = {
        .method = "POST", .path = "/api/v1/consents", .body = body, .idem = true};
    struct ctl_answer a;
    if (code)
        json_decref(body);
    else
        code = ctl_call(c, &req, &a);
    return code ? code : ctl_print_answer(c, &a, fields);
}

int ctl_consent_grant(struct ctl *c)
{
    return statement(c, "grant");
}

int ctl_consent_withdraw(struct ctl *c)
{
    return statement(c, "withdraw");
}

static int customer_of(struct ctl *c, char *out, size_t size)
{
    if (!strncmp(c->argv[0], "cus_", 4)) {
        (void)snprintf(out, size, "%s", c->argv[0]);
        return 0;
    }
    struct ctl_request req = {.method = "POST",
                              .path = "/api/v1/customers/lookup",
                              .body = ctl_person(c, c->argv[0]),
                              .reads = true};
    struct ctl_answer a;
    int code = ctl_call(c, &req, &a);
    (void)snprintf(out, size, "%s", code ? "" : ctl_str(a.doc, "id", ""));
    ctl_answer_done(&a);
    return code;
}

int ctl_consent_show(struct ctl *c)
{
    static const struct ctl_column columns[] = {
        {"PURPOSE", "purpose", 's'}, {"CHANNEL", "channel", 's'},
        {"STATE", "state", 'c'},     {"SINCE", "at", 't'},
        {"EXPIRES", "expires", 't'}, {"SOURCE", "source", 's'},
        {"BY", "actor", 's'},        CTL_COLUMNS_END};
    char customer[80];
    struct buf path;
    int code = customer_of(c, customer, sizeof customer);
    if (code)
        return code;
    buf_init(&path, CTL_PATH_MAX);
    buf_puts(&path, "/api/v1/consents");
    ctl_query_add(&path, "customer", customer);
    ctl_query_add(&path, "history", ctl_has(c, "history") ? "true" : NULL);
    code = ctl_list(c, buf_str(&path), columns, "No consent is recorded.");
    buf_done(&path);
    return code;
}

/* ---- caps
 * ----------------------------------------------------------------------------------------------------------------------------------
 */
static const struct ctl_column cap_fields[] = {{"id", "id", 's'},
                                               {"name", "name", 's'},
                                               {"max", "max", 'n'},
                                               {"period", "period", 's'},
                                               {"sliding days", "sliding_days", 'n'},
                                               {"channel", "channel", 's'},
                                               {"classes", "classes", 's'},
                                               {"zone", "zone", 's'},
                                               {"active", "active", 'b'},
                                               CTL_COLUMNS_END};

int ctl_cap_list(struct ctl *c)
{
    static const struct ctl_column columns[] = {
        {"ID", "id", 's'},           {"NAME", "name", 's'},
        {"MAX", "max", 'n'},         {"PERIOD", "period|sliding_days", 's'},
        {"CHANNEL", "channel", 's'}, {"CLASSES", "classes", 's'},
        {"ZONE", "zone", 's'},       CTL_COLUMNS_END};
    return ctl_list(c, "/api/v1/caps", columns,
                    "No cap: campgwctl cap set NAME --max N --period month --zone ZONE");
}

static int cap_body(struct ctl *c, json_t **ret)
{
    const char *max = ctl_opt(c, "max");
    int64_t n = 0, days;
    bool bad = false, none = max && !strcmp(max, "none");
    if (!max)
        return ctl_usage_error(c, "--max is missing: a number, 0 = none allowed, none = no cap");
    if (!none)
        (void)ctl_opt_int(c, "max", 0, 32000, &n, &bad);
    bool sliding = ctl_opt_int(c, "sliding", 1, 366, &days, &bad);
    if (bad)
        return CTL_USAGE;
    if (sliding && ctl_has(c, "period"))
        return ctl_usage_error(c, "give --period or --sliding, not both");
    json_t *body = json_pack("{s:o}", "max", none ? json_null() : json_integer(n));
    ctl_set_str(body, "period", ctl_opt(c, "period"));
    if (sliding)
        ctl_set(body, "sliding_days", json_integer(days));
    ctl_set_str(body, "channel", ctl_opt(c, "channel"));
    ctl_set(body, "classes", ctl_words(ctl_opt(c, "classes")));
    ctl_set_str(body, "zone", ctl_opt(c, "zone"));
    *ret = body;
    return 0;
}

int ctl_cap_set(struct ctl *c)
{
    char id[80];
    json_t *body = NULL;
    struct ctl_answer a;
    int code = cap_body(c, &body);
    if (code == 0)
        code = ctl_find_named(c, "/api/v1/caps", c->argv[0], id, sizeof id);
    if (code == 0 && !*id) {
        ctl_set_str(body, "name", c->argv[0]);
        if (!ctl_has(c, "zone") || (!ctl_has(c, "period") && !ctl_has(c, "sliding")))
            code = ctl_usage_error(c, "a new cap needs --zone and --period or --sliding");
    }
    if (code) {
        json_decref(body);
        return code;
    }
    code = ctl_put_named(c, "/api/v1/caps", id, body, NULL, &a);
    return code ? code : ctl_print_answer(c, &a, cap_fields);
}

/* ---- calendars
 * -----------------------------------------------------------------------------------------------------------------------------
 */
static const struct ctl_column calendar_fields[] = {
    {"id", "id", 's'},         {"name", "name", 's'},       {"kind", "kind", 's'},
    {"region", "region", 's'}, {"classes", "classes", 's'}, {"channels", "channels", 's'},
    {"hours", "hours", 's'},   {"events", "events", 'n'},   CTL_COLUMNS_END};

int ctl_calendar_list(struct ctl *c)
{
    static const struct ctl_column columns[] = {{"ID", "id", 's'},
                                                {"NAME", "name", 's'},
                                                {"KIND", "kind", 's'},
                                                {"REGION", "region", 's'},
                                                {"CLASSES", "classes", 's'},
                                                {"CHANNELS", "channels", 's'},
                                                {"UPDATED", "updated_at", 't'},
                                                CTL_COLUMNS_END};
    return ctl_list(c, "/api/v1/calendars", columns,
                    "No calendar: campgwctl calendar import FILE.ics");
}

static json_t *calendar_body(const struct ctl *c, const char *name, const char *kind)
{
    json_t *body = json_pack("{s:s, s:s}", "name", name, "kind", kind);
    ctl_set_str(body, "region", ctl_opt(c, "region"));
    ctl_set(body, "classes", ctl_words(ctl_opt(c, "classes")));
    ctl_set(body, "channels", ctl_words(ctl_opt(c, "channels")));
    return body;
}

/* The calendar for a file: the one of that name, changed as the options say, or a new one. */
static int calendar_for(struct ctl *c, const char *name, char *id, size_t size, bool *made)
{
    struct ctl_answer a = {0};
    int code = ctl_find_named(c, "/api/v1/calendars", name, id, size);
    if (code)
        return code;
    *made = !*id;
    if (*made || ctl_has(c, "region") || ctl_has(c, "classes") || ctl_has(c, "channels"))
        code = ctl_put_named(c, "/api/v1/calendars", id, calendar_body(c, name, "holiday"), "kind",
                             &a);
    if (code == 0 && *made)
        (void)snprintf(id, size, "%s", ctl_str(a.doc, "id", ""));
    ctl_answer_done(&a);
    return code;
}

int ctl_calendar_import(struct ctl *c)
{
    char name[121], id[80], path[CTL_PATH_MAX], what[600];
    const char *file = c->argv[0], *given = ctl_opt(c, "name"), *slash = strrchr(file, '/');
    bool made = false;
    (void)snprintf(name, sizeof name, "%s", slash ? slash + 1 : file);
    name[strcspn(name, ".")] = 0;
    if (strcmp(file, "-") != 0 && access(file, R_OK) != 0) {
        (void)snprintf(what, sizeof what, "cannot read %s", file);
        return ctl_fail(c, CTL_FAILED, what, strerror(errno), "");
    }
    if (!given && (!name[0] || !strcmp(file, "-")))
        return ctl_usage_error(c, "--name is missing");
    int code = calendar_for(c, given ? given : name, id, sizeof id, &made);
    if (code)
        return code;
    (void)snprintf(path, sizeof path, "/api/v1/calendars/%s/ics", id);
    struct ctl_request req = {
        .method = "PUT", .path = path, .file = file, .media = "text/calendar"};
    struct ctl_answer a;
    code = ctl_call(c, &req, &a);
    if (code == 0)
        return ctl_print_answer(c, &a, calendar_fields);
    if (made && code != CTL_DONE) { /* nothing half-applied */
        path[strlen(path) - 4] = 0;
        struct ctl_request drop = {
            .method = "DELETE", .path = path, .quiet = true, .finish = true, .timeout_ms = 5000};
        if (ctl_call(c, &drop, &a) == 0)
            ctl_answer_done(&a);
    }
    return code;
}

static const char *const days[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};

static int day_of(const char *p)
{
    for (int i = 0; i < 7; i++)
        if (!strncmp(p, days[i], 3))
            return i;
    return -1;
}

/* "mon-fri=09:00-20:00" */
static json_t *span_of(const char *p, size_t n)
{
    char text[32];
    if (n >= sizeof text || n < 15)
        return NULL;
    (void)snprintf(text, sizeof text, "%.*s", (int)n, p);
    int first = day_of(text), last = text[3] == '-' ? day_of(text + 4) : first;
    const char *at = text + (text[3] == '-' ? 7 : 3);
    if (first < 0 || last < 0 || *at != '=' || strlen(at) != 12 || at[6] != '-')
        return NULL;
    json_t *list = json_array();
    for (int d = first;; d = (d + 1) % 7) { /* fri-mon goes over the end of the week */
        (void)json_array_append_new(list, json_string(days[d]));
        if (d == last)
            break;
    }
    return json_pack("{s:o, s:s#, s:s}", "days", list, "from", at + 1, 5, "to", at + 7);
}

static json_t *hours_of(const char *text)
{
    json_t *hours = json_array();
    for (const char *p = text; *p;) {
        size_t n = strcspn(p, ",");
        json_t *span = span_of(p, n);
        if (!span) {
            json_decref(hours);
            return NULL;
        }
        (void)json_array_append_new(hours, span);
        p += n + (p[n] == ',');
    }
    return hours;
}

int ctl_calendar_quiet(struct ctl *c)
{
    char id[80];
    struct ctl_answer a;
    const char *text = ctl_opt(c, "hours");
    json_t *hours = text ? hours_of(text) : NULL;
    if (!hours)
        return ctl_usage_error(c, text ? "--hours: write mon-fri=09:00-20:00,sat=10:00-18:00"
                                       : "--hours is missing");
    json_t *body = calendar_body(c, c->argv[0], "quiet");
    ctl_set(body, "hours", hours);
    int code = ctl_find_named(c, "/api/v1/calendars", c->argv[0], id, sizeof id);
    if (code) {
        json_decref(body);
        return code;
    }
    if (*id)
        (void)json_object_del(body, "name"); /* it may have been given by its id */
    code = ctl_put_named(c, "/api/v1/calendars", id, body, "kind", &a);
    return code ? code : ctl_print_answer(c, &a, calendar_fields);
}

/* First moments of a month and of the next, UTC. */
static int month_bounds(const struct ctl *c, char from[40], char to[40])
{
    const char *month = ctl_opt(c, "month");
    time_t now = time(NULL);
    struct tm tm;
    int y, m;
    (void)gmtime_r(&now, &tm);
    y = tm.tm_year + 1900;
    m = tm.tm_mon + 1;
    if (month && (strlen(month) != 7 || sscanf(month, "%4d-%2d", &y, &m) != 2 || y < 1970 ||
                  y > 9998 || m < 1 || m > 12))
        return ctl_usage_error(c, "--month is written YYYY-MM, not \"%.20s\"", month);
    (void)snprintf(from, 40, "%04d-%02d-01T00:00:00Z", y, m);
    (void)snprintf(to, 40, "%04d-%02d-01T00:00:00Z", m == 12 ? y + 1 : y, m == 12 ? 1 : m + 1);
    return 0;
}

int ctl_calendar_show(struct ctl *c)
{
    static const struct ctl_column columns[] = {{"CLOSED FROM", "from", 't'},
                                                {"TO", "to", 't'},
                                                {"RULE", "rule", 's'},
                                                {"HOLIDAY", "holiday", 's'},
                                                CTL_COLUMNS_END};
    char id[80], from[40], to[40];
    struct buf path;
    int code = month_bounds(c, from, to);
    if (code == 0)
        code = ctl_resolve(c, "calendar", c->argv[0], id, sizeof id);
    if (code)
        return code;
    buf_init(&path, CTL_PATH_MAX);
    buf_printf(&path, "/api/v1/calendars/%s/windows", id);
    ctl_query_add(&path, "from", from);
    ctl_query_add(&path, "to", to);
    ctl_query_add(&path, "region", ctl_opt(c, "region"));
    json_t *doc = ctl_get(c, buf_str(&path), &code);
    buf_done(&path);
    const json_t *closed = json_object_get(doc, "closed");
    if (code == 0 && c->json)
        ctl_print_json(doc);
    else if (code == 0 && json_array_size(closed))
        ctl_print_table(c, closed, columns);
    else if (code == 0)
        ctl_say(c, "It closes nothing in that month.");
    json_decref(doc);
    return code;
}

int ctl_calendar_export(struct ctl *c)
{
    char id[80], path[CTL_PATH_MAX];
    int code = ctl_resolve(c, "calendar", c->argv[0], id, sizeof id);
    (void)snprintf(path, sizeof path, "/api/v1/calendars/%s/ics", id);
    return code ? code : ctl_download(c, path, "text/calendar");
}
