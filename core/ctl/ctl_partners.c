/* SPDX-License-Identifier: Apache-2.0 */
/* ctl_partners.c - partners who send through this installation, and what is to be settled with
 * them. */
#include "ctl/ctl.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct ctl_column partner_fields[] = {{"id", "id", 's'},
                                                   {"name", "name", 's'},
                                                   {"quota/day", "quota_day", 'n'},
                                                   {"used today", "used_today", 'n'},
                                                   {"rate/s", "rate_per_s", 'n'},
                                                   {"zone", "zone", 's'},
                                                   {"archived", "archived", 'b'},
                                                   {"created", "created_at", 't'},
                                                   CTL_COLUMNS_END};

int ctl_partner_list(struct ctl *c)
{
    static const struct ctl_column columns[] = {{"ID", "id", 's'},
                                                {"NAME", "name", 's'},
                                                {"QUOTA/DAY", "quota_day", 'n'},
                                                {"USED", "used_today", 'n'},
                                                {"RATE/S", "rate_per_s", 'n'},
                                                {"ZONE", "zone", 's'},
                                                {"ARCHIVED", "archived", 'b'},
                                                CTL_COLUMNS_END};
    return ctl_list(c, "/api/v1/partners", columns, "No partner: campgwctl partner create NAME");
}

int ctl_partner_show(struct ctl *c)
{
    char id[80], path[CTL_PATH_MAX];
    int code = ctl_resolve(c, "partner", c->argv[0], id, sizeof id);
    if (code)
        return code;
    (void)snprintf(path, sizeof path, "/api/v1/partners/%s", id);
    struct ctl_answer a = {0};
    a.doc = ctl_get(c, path, &code);
    return code ? code : ctl_print_answer(c, &a, partner_fields);
}

/* 0, or CTL_USAGE (printed). "none" is the absence of a limit. */
static int partner_body(const struct ctl *c, json_t **ret)
{
    static const struct {
        const char *option, *member;
        int64_t max;
    } limits[] = {{"quota", "quota_day", 1000000000}, {"rate", "rate_per_s", 1000000}};
    bool bad = false;
    json_t *body = json_object();
    for (size_t i = 0; i < ARRAY_LEN(limits) && !bad; i++) {
        const char *word = ctl_opt(c, limits[i].option);
        int64_t n = 0;
        if (word && !strcmp(word, "none"))
            ctl_set(body, limits[i].member, json_null());
        else if (ctl_opt_int(c, limits[i].option, 0, limits[i].max, &n, &bad))
            ctl_set(body, limits[i].member, json_integer(n));
    }
    ctl_set_str(body, "zone", ctl_opt(c, "zone"));
    ctl_set_str(body, "name", ctl_opt(c, "name"));
    if (bad) {
        json_decref(body);
        return CTL_USAGE;
    }
    *ret = body;
    return 0;
}

int ctl_partner_create(struct ctl *c)
{
    json_t *body = NULL;
    int code = partner_body(c, &body);
    if (code)
        return code;
    ctl_set_str(body, "name", c->argv[0]);
    struct ctl_request req = {
        .method = "POST", .path = "/api/v1/partners", .body = body, .idem = true};
    struct ctl_answer a;
    code = ctl_call(c, &req, &a);
    return code ? code : ctl_print_answer(c, &a, partner_fields);
}

int ctl_partner_set(struct ctl *c)
{
    char id[80];
    json_t *body = NULL;
    struct ctl_answer a;
    int code = partner_body(c, &body);
    if (code == 0 && !json_object_size(body))
        code = ctl_usage_error(c, "nothing to change: give --quota, --rate, --zone or --name");
    if (code == 0)
        code = ctl_resolve(c, "partner", c->argv[0], id, sizeof id);
    if (code) {
        json_decref(body);
        return code;
    }
    code = ctl_put_named(c, "/api/v1/partners", id, body, NULL, &a);
    return code ? code : ctl_print_answer(c, &a, partner_fields);
}

/* ---- settlements
 * ------------------------------------------------------------------------------------------------------------------------
 */
/* First day of this month and today, UTC. */
static void this_month(char from[16], char to[16])
{
    time_t now = time(NULL);
    struct tm tm = {0};
    (void)gmtime_r(&now, &tm);
    (void)strftime(to, 16, "%Y-%m-%d", &tm);
    (void)strftime(from, 16, "%Y-%m-01", &tm);
}

static int show_settlement(struct ctl *c, const char *path)
{
    static const struct ctl_column columns[] = {
        {"DAY", "day", 's'},           {"ROUTE", "name", 's'},          {"CHANNEL", "channel", 's'},
        {"ACCEPTED", "accepted", 'n'}, {"DELIVERED", "delivered", 'n'}, {"FAILED", "failed", 'n'},
        {"PARTS", "parts", 'n'},       {"SECONDS", "seconds", 'n'},     CTL_COLUMNS_END};
    int code;
    json_t *doc = ctl_get(c, path, &code);
    const json_t *rows = json_object_get(doc, "data");
    if (code == 0 && c->json)
        ctl_print_json(doc);
    else if (code == 0 && json_array_size(rows))
        ctl_print_table(c, rows, columns);
    else if (code == 0)
        ctl_say(c, "Nothing was accepted, delivered or failed from %s to %s.",
                ctl_str(doc, "from", "?"), ctl_str(doc, "to", "?"));
    json_decref(doc);
    return code;
}

int ctl_settlement_show(struct ctl *c)
{
    char id[80], from[16], to[16];
    struct buf path;
    int code = c->argc ? ctl_resolve(c, "partner", c->argv[0], id, sizeof id) : 0;
    const char *format = ctl_opt(c, "format");
    bool csv = format ? !strcmp(format, "csv") : ctl_has(c, "output");
    if (code == 0 && !csv && ctl_has(c, "output"))
        code = ctl_usage_error(c, "--output is for --format csv");
    if (code)
        return code;
    this_month(from, to);
    buf_init(&path, CTL_PATH_MAX);
    buf_puts(&path, "/api/v1/settlements");
    ctl_query_add(&path, "partner", c->argc ? id : NULL);
    ctl_query_add(&path, "from", ctl_opt(c, "from") ? ctl_opt(c, "from") : from);
    ctl_query_add(&path, "to", ctl_opt(c, "to") ? ctl_opt(c, "to") : to);
    ctl_query_add(&path, "zone", ctl_opt(c, "zone"));
    ctl_query_add(&path, "format", csv ? "csv" : NULL);
    code = csv ? ctl_download(c, buf_str(&path), "text/csv") : show_settlement(c, buf_str(&path));
    buf_done(&path);
    return code;
}
