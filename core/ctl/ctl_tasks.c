/* SPDX-License-Identifier: Apache-2.0 */
/* ctl_tasks.c - tasks for agents without a system of their own: take some, take a whole list, bring
 * it back filled in. What is printed holds addresses: that is what it is for. */
#include "ctl/ctl.h"

#include <stdlib.h>
#include <string.h>

#define PAGE "500" /* tasks of one request of an export */

static int task_id_ok(struct ctl *c, const char *id)
{
    if (!strncmp(id, "tsk_", 4) &&
        strspn(id + 4, "abcdefghijklmnopqrstuvwxyz0123456789") == strlen(id + 4))
        return 0;
    return ctl_usage_error(c, "a task's id looks like tsk_...; campgwctl task list shows them");
}

static int add_campaign(struct ctl *c, struct buf *path)
{
    char id[80];
    if (!ctl_has(c, "campaign"))
        return 0;
    int code = ctl_resolve(c, "campaign", ctl_opt(c, "campaign"), id, sizeof id);
    ctl_query_add(path, "campaign", code ? NULL : id);
    return code;
}

int ctl_task_list(struct ctl *c)
{
    static const struct ctl_column columns[] = {
        {"TASK", "id", 's'},         {"STATE", "state", 'c'},       {"INSTANCE", "instance", 's'},
        {"AGENT", "agent", 's'},     {"LEASE", "lease_until", 't'}, {"UNTIL", "until", 't'},
        {"OUTCOME", "outcome", 's'}, {"CAMPAIGN", "campaign", 's'}, CTL_COLUMNS_END};
    struct buf path;
    buf_init(&path, CTL_PATH_MAX);
    buf_puts(&path, "/api/v1/tasks");
    ctl_query_add(&path, "lease", "none");
    ctl_query_add(&path, "channel", ctl_opt(c, "channel"));
    ctl_query_add(&path, "state", ctl_opt(c, "state"));
    int code = add_campaign(c, &path);
    if (code == 0)
        code = ctl_list(c, buf_str(&path), columns, "No task fits.");
    buf_done(&path);
    return code;
}

/* One GET that takes tasks; the lines go to `to`. */
static int take(struct ctl *c, const char *lease, const char *limit, bool csv, FILE *to)
{
    struct buf path;
    buf_init(&path, CTL_PATH_MAX);
    buf_puts(&path, "/api/v1/tasks");
    ctl_query_add(&path, "channel", c->argv[0]);
    ctl_query_add(&path, "lease", lease);
    ctl_query_add(&path, "limit", limit);
    ctl_query_add(&path, "agent", ctl_opt(c, "agent"));
    ctl_query_add(&path, "format", csv ? "csv" : "ndjson");
    int code = add_campaign(c, &path);
    if (code == 0 && c->dry_run) {
        ctl_say(c, "GET %s", buf_str(&path));
        code = CTL_DONE;
    }
    if (code == 0) {
        struct ctl_request req = {.method = "GET", .path = buf_str(&path), .sink = to};
        struct ctl_answer a;
        code = ctl_call(c, &req, &a);
        ctl_answer_done(&a);
    }
    buf_done(&path);
    return code;
}

static bool wants_csv(const struct ctl *c, bool csv)
{
    const char *format = ctl_opt(c, "format");
    return format ? !strcmp(format, "csv") : csv && !c->json;
}

int ctl_task_lease(struct ctl *c)
{
    char limit[24];
    int64_t n = 1;
    bool bad = false;
    (void)ctl_opt_int(c, "limit", 1, 500, &n, &bad);
    if (bad)
        return CTL_USAGE;
    (void)snprintf(limit, sizeof limit, "%lld", (long long)n);
    return take(c, ctl_opt(c, "lease"), limit, wants_csv(c, false), stdout);
}

/* Everything that is open, in as many requests as it takes: head once, then rows. */
int ctl_task_export(struct ctl *c)
{
    bool csv = wants_csv(c, true);
    for (bool first = true;; first = false) {
        char *text = NULL;
        size_t len = 0;
        FILE *f = open_memstream(&text, &len);
        int code = f ? take(c, "window", PAGE, csv, f)
                     : ctl_fail(c, CTL_FAILED, "cannot export", "out of memory", "");
        if (f)
            (void)fclose(f);
        const char *rows = csv && text && strchr(text, '\n') ? strchr(text, '\n') + 1 : text;
        bool some = code == 0 && rows && *rows;
        if (code == 0)
            (void)fputs(first ? text : rows, stdout);
        free(text);
        if (!some)
            return code;
    }
}

int ctl_task_show(struct ctl *c)
{
    char path[CTL_PATH_MAX];
    int code = task_id_ok(c, c->argv[0]);
    if (code)
        return code;
    (void)snprintf(path, sizeof path, "/api/v1/tasks/%.80s", c->argv[0]);
    json_t *doc = ctl_get(c, path, &code);
    if (code == 0)
        ctl_print_json(doc);
    json_decref(doc);
    return code;
}

static const struct ctl_column fields[] = {{"id", "id", 's'},
                                           {"state", "state", 'c'},
                                           {"outcome", "outcome", 's'},
                                           {"seconds", "seconds", 'n'},
                                           {"agent", "agent", 's'},
                                           {"until", "until", 't'},
                                           CTL_COLUMNS_END};

static int post(struct ctl *c, const char *verb, json_t *body)
{
    char path[CTL_PATH_MAX];
    (void)snprintf(path, sizeof path, "/api/v1/tasks/%.80s/%s", c->argv[0], verb);
    struct ctl_request req = {.method = "POST", .path = path, .body = body, .idem = true};
    struct ctl_answer a;
    int code = ctl_call(c, &req, &a);
    return code ? code : ctl_print_answer(c, &a, fields);
}

int ctl_task_outcome(struct ctl *c)
{
    int64_t seconds = 0;
    bool bad = false;
    int code = task_id_ok(c, c->argv[0]);
    if (code)
        return code;
    bool timed = ctl_opt_int(c, "seconds", 0, 86400, &seconds, &bad);
    if (bad)
        return CTL_USAGE;
    json_t *body = json_pack("{s:s}", "outcome", c->argv[1]);
    if (!body)
        return ctl_usage_error(c, "the outcome is no text");
    if (timed)
        ctl_set(body, "seconds", json_integer(seconds));
    ctl_set_str(body, "text", ctl_opt(c, "text"));
    return post(c, "outcome", body);
}

int ctl_task_release(struct ctl *c)
{
    int code = task_id_ok(c, c->argv[0]);
    return code ? code : post(c, "release", NULL);
}

int ctl_task_import(struct ctl *c)
{
    static const struct ctl_column counts[] = {{"received", "received", 'n'},
                                               {"taken", "taken", 'n'},
                                               {"repeated", "repeated", 'n'},
                                               {"rejected", "rejected", 'n'},
                                               CTL_COLUMNS_END};
    const char *media = NULL;
    int code = ctl_media(c, c->argv[0], &media);
    if (code)
        return code;
    struct ctl_request req = {.method = "POST",
                              .path = "/api/v1/tasks/outcomes",
                              .file = c->argv[0],
                              .media = media,
                              .idem = true};
    struct ctl_answer a;
    code = ctl_call(c, &req, &a);
    if (code)
        return code;
    const json_t *rejects = json_object_get(a.doc, "rejects");
    bool clean = ctl_num(a.doc, "rejected", 0) == 0;
    for (size_t i = 0; !c->json && i < json_array_size(rejects); i++) {
        char detail[300];
        const json_t *r = json_array_get(rejects, i);
        ctl_format(json_object_get(r, "detail"), 's', detail, sizeof detail);
        ctl_say(c, "  line %lld: %s", (long long)ctl_num(r, "line", 0), detail);
    }
    code = ctl_print_answer(c, &a, counts);
    return code ? code : clean ? CTL_OK : CTL_FAILED;
}
