/* SPDX-License-Identifier: Apache-2.0 */
/* ctl_routes.c - routes, their probes, and queues. */
#include "ctl/ctl.h"

#include <string.h>

/* ---- one thing, one action
 * ------------------------------------------------------------------------------------------------------
 */
static int act(struct ctl *c, const char *kind, const struct ctl_column *fields)
{
    char id[80], path[CTL_PATH_MAX];
    int code = ctl_resolve(c, kind, c->argv[0], id, sizeof id);
    if (code)
        return code;
    (void)snprintf(path, sizeof path, "%s/%s/%s", ctl_kind_path(kind), id, c->cmd->verb);
    struct ctl_request req = {.method = "POST", .path = path};
    struct ctl_answer a;
    code = ctl_call(c, &req, &a);
    return code ? code : ctl_print_answer(c, &a, fields);
}

/* ---- routes
 * -----------------------------------------------------------------------------------------------------------------------
 */
static const struct ctl_column route_fields[] = {{"id", "id", 's'},
                                                 {"name", "name", 's'},
                                                 {"channel", "channel", 's'},
                                                 {"instance", "instance", 's'},
                                                 {"sender", "sender", 's'},
                                                 {"state", "state", 'c'},
                                                 {"classes", "classes", 's'},
                                                 {"rate/s", "rate_per_s", 'n'},
                                                 {"priority", "priority", 'n'},
                                                 {"weight", "weight", 'n'},
                                                 {"max segments", "max_segments", 'n'},
                                                 CTL_COLUMNS_END};

int ctl_route_list(struct ctl *c)
{
    static const struct ctl_column columns[] = {{"ID", "id", 's'},
                                                {"NAME", "name", 's'},
                                                {"CHANNEL", "channel", 's'},
                                                {"INSTANCE", "instance", 's'},
                                                {"SENDER", "sender", 's'},
                                                {"STATE", "state", 'c'},
                                                {"RATE/S", "rate_per_s", 'n'},
                                                {"PRIO", "priority", 'n'},
                                                CTL_COLUMNS_END};
    return ctl_list(c, "/api/v1/routes", columns,
                    "No route yet: campgwctl route create NAME --instance INSTANCE");
}

static bool put_int(const struct ctl *c, json_t *doc, const char *option, const char *member,
                    int64_t max)
{
    int64_t v;
    bool bad = false;
    if (ctl_opt_int(c, option, 0, max, &v, &bad))
        ctl_set(doc, member, json_integer(v));
    return !bad;
}

/* The members that options name; NULL after a printed error. */
static json_t *route_body(const struct ctl *c)
{
    static const struct {
        const char *option, *member;
    } words[] = {
        {"name", "name"},     {"channel", "channel"},         {"instance", "instance"},
        {"sender", "sender"}, {"sender-kind", "sender_kind"}, {"service-code", "service_code"}};
    static const char *const lists[] = {"classes", "prefixes", "regions"};
    static const struct {
        const char *option, *member;
        int64_t max;
    } ints[] = {{"rate", "rate_per_s", 1000000},
                {"priority", "priority", 32767},
                {"weight", "weight", 32767},
                {"max-segments", "max_segments", 255},
                {"max-tries", "max_tries", 32767}};
    json_t *body = json_object();
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        ctl_set_str(body, words[i].member, ctl_opt(c, words[i].option));
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        ctl_set(body, lists[i], ctl_words(ctl_opt(c, lists[i])));
    if (ctl_has(c, "no-receipts"))
        ctl_set(body, "receipts", json_false());
    for (size_t i = 0; i < ARRAY_LEN(ints); i++)
        if (!put_int(c, body, ints[i].option, ints[i].member, ints[i].max)) {
            json_decref(body);
            return NULL;
        }
    return body;
}

int ctl_route_create(struct ctl *c)
{
    if (!ctl_has(c, "instance"))
        return ctl_usage_error(c, "--instance is missing: the channel instance of the "
                                  "configuration that carries the route");
    json_t *body = route_body(c);
    if (!body)
        return CTL_USAGE;
    ctl_set_str(body, "name", c->argv[0]);
    if (!ctl_has(c, "channel"))
        ctl_set_str(body, "channel", "sms");
    struct ctl_request req = {
        .method = "POST", .path = "/api/v1/routes", .body = body, .idem = true};
    struct ctl_answer a;
    int code = ctl_call(c, &req, &a);
    return code ? code : ctl_print_answer(c, &a, route_fields);
}

/* PATCH of the route that the first word names; takes body over. */
static int change(struct ctl *c, json_t *body, struct ctl_answer *a)
{
    char id[80];
    int code = ctl_resolve(c, "route", c->argv[0], id, sizeof id);
    if (code) {
        json_decref(body);
        return code;
    }
    return ctl_put_named(c, "/api/v1/routes", id, body, NULL, a);
}

int ctl_route_set(struct ctl *c)
{
    struct ctl_answer a;
    json_t *body = route_body(c);
    if (!body)
        return CTL_USAGE;
    if (!json_object_size(body)) {
        json_decref(body);
        return ctl_usage_error(c, "nothing to change: give an option, such as --rate 100");
    }
    int code = change(c, body, &a);
    return code ? code : ctl_print_answer(c, &a, route_fields);
}

static int read_route(struct ctl *c, json_t **ret)
{
    char id[80], path[CTL_PATH_MAX];
    int code = ctl_resolve(c, "route", c->argv[0], id, sizeof id);
    (void)snprintf(path, sizeof path, "/api/v1/routes/%s", id);
    *ret = code ? NULL : ctl_get(c, path, &code);
    return code;
}

int ctl_route_show(struct ctl *c)
{
    struct ctl_answer a = {0};
    int code = read_route(c, &a.doc);
    return code ? code : ctl_print_answer(c, &a, route_fields);
}

int ctl_route_action(struct ctl *c)
{
    return act(c, "route", route_fields);
}

/* ---- probes: the daily test message of a route
 * ---------------------------------------------------------------------------------------------------------
 */
int ctl_probe_list(struct ctl *c)
{
    static const struct ctl_column columns[] = {
        {"ROUTE", "name", 's'},  {"ID", "id", 's'},           {"TO", "probe.to", 's'},
        {"AT", "probe.at", 's'}, {"ZONE", "probe.zone", 's'}, {"ARRIVED", "probe.ok", 'b'},
        CTL_COLUMNS_END};
    return ctl_list(c, "/api/v1/routes", columns,
                    "No route yet: campgwctl route create NAME --instance INSTANCE");
}

/* What a route's answer says of its probe; frees the answer. */
static int print_probe(struct ctl *c, struct ctl_answer *a)
{
    static const struct ctl_column fields[] = {{"to", "to", 's'},      {"at", "at", 's'},
                                               {"zone", "zone", 's'},  {"content", "content", 's'},
                                               {"arrived", "ok", 'b'}, CTL_COLUMNS_END};
    static const struct ctl_column days[] = {{"DAY", "day", 's'},         {"DUE", "due", 't'},
                                             {"STATE", "state", 'c'},     {"WHY", "why", 's'},
                                             {"TOOK MS", "took_ms", 'n'}, CTL_COLUMNS_END};
    json_t *probe = json_object_get(a->doc, "probe");
    const json_t *last = json_object_get(probe, "last");
    if (c->json) {
        ctl_print_json(probe ? probe : json_null());
    } else if (json_is_object(probe)) {
        ctl_print_fields(c, probe, fields);
        if (json_array_size(last)) {
            (void)putchar('\n');
            ctl_print_table(c, last, days);
        }
    } else {
        ctl_say(c,
                "The route has no probe: campgwctl probe set ROUTE --to NUMBER --at HH:MM --zone "
                "ZONE --text TEXT");
    }
    ctl_answer_done(a);
    return CTL_OK;
}

int ctl_probe_show(struct ctl *c)
{
    struct ctl_answer a = {0};
    int code = read_route(c, &a.doc);
    return code ? code : print_probe(c, &a);
}

static int change_probe(struct ctl *c, json_t *probe)
{
    struct ctl_answer a;
    int code = change(c, json_pack("{s:o}", "probe", probe), &a);
    return code ? code : print_probe(c, &a);
}

int ctl_probe_set(struct ctl *c)
{
    static const char *const needed[] = {"to", "at", "zone"};
    const char *text = ctl_opt(c, "text"), *file = ctl_opt(c, "file");
    json_t *content = NULL;
    for (size_t i = 0; i < ARRAY_LEN(needed); i++)
        if (!ctl_has(c, needed[i]))
            return ctl_usage_error(c, "--%s is missing: campgwctl probe set --help", needed[i]);
    if (!text == !file)
        return ctl_usage_error(c, text
                                      ? "give --text or --file, not both"
                                      : "--text is missing, or --file with a content as of a wave");
    int code = file ? ctl_read_json(c, file, &content) : 0;
    if (code)
        return code;
    json_t *probe = json_object();
    for (size_t i = 0; i < ARRAY_LEN(needed); i++)
        ctl_set_str(probe, needed[i], ctl_opt(c, needed[i]));
    ctl_set_str(probe, "text", text);
    ctl_set(probe, "content", content);
    return change_probe(c, probe);
}

int ctl_probe_remove(struct ctl *c)
{
    return change_probe(c, json_null());
}

/* ---- queues
 * --------------------------------------------------------------------------------------------------------------------------
 */
int ctl_queue_list(struct ctl *c)
{
    static const struct ctl_column columns[] = {{"ID", "id", 's'},
                                                {"ROUTE", "route_name", 's'},
                                                {"LANE", "lane", 's'},
                                                {"PAUSED", "paused", 's'},
                                                {"ROUTE STATE", "route_state", 'c'},
                                                {"WAITING", "node.waiting", 'n'},
                                                {"IN FLIGHT", "node.in_flight", 'n'},
                                                {"CREDIT", "node.credit", 'n'},
                                                {"RATE/S", "node.rate_per_s", 'n'},
                                                CTL_COLUMNS_END};
    return ctl_list(c, "/api/v1/queues", columns, "No queue: there is no route yet.");
}

int ctl_queue_action(struct ctl *c)
{
    static const struct ctl_column fields[] = {{"id", "id", 's'},
                                               {"route", "route_name", 's'},
                                               {"lane", "lane", 's'},
                                               {"paused", "paused", 's'},
                                               CTL_COLUMNS_END};
    return act(c, "queue", fields);
}
