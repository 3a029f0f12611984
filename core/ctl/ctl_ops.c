/* SPDX-License-Identifier: Apache-2.0 */
/* ctl_ops.c - status, version, the dispatch switch, plugins, API keys. */
#include "ctl/ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>

/* ---- status
 * -------------------------------------------------------------------------------------------------------------------
 */
static const struct ctl_column channel_columns[] = {{"CHANNEL", "name", 's'},
                                                    {"KIND", "channel", 's'},
                                                    {"PLUGIN", "plugin", 's'},
                                                    {"STATE", "state", 'c'},
                                                    {"UP", "up", 'b'},
                                                    {"LINKS", "links_up", 'n'},
                                                    {"WINDOW", "window_used", 'n'},
                                                    {"IN FLIGHT", "in_flight", 'n'},
                                                    {"LAST ERROR", "last_error", 's'},
                                                    CTL_COLUMNS_END};
static const struct ctl_column running_columns[] = {{"RUNNING", "name", 's'},
                                                    {"ID", "id", 's'},
                                                    {"STATE", "state", 'c'},
                                                    {"DONE", "progress.done", 'n'},
                                                    {"OF", "progress.total", 'n'},
                                                    {"WAITING FOR", "progress.waiting_for", 's'},
                                                    CTL_COLUMNS_END};

/* GET /ready answers 503 with its reasons: that is an answer here, not a failure. */
static json_t *get_ready(struct ctl *c, int *ret_code)
{
    struct ctl_request req = {
        .method = "GET", .path = "/ready", .also_good = 503, .timeout_ms = 10000};
    struct ctl_answer a;
    *ret_code = ctl_call(c, &req, &a);
    return a.doc;
}

static json_t *part_of(struct ctl *c, json_t *doc, const char *name, const char *path)
{
    int code;
    json_t *part = ctl_get_quiet(c, path, &code);
    if (part)
        (void)json_object_set_new(doc, name, part);
    else if (code == CTL_NOT_ALLOWED)
        ctl_say(c, "%s: not shown, the key lacks the scope", name);
    return part;
}

/* Lists come without progress: it is asked for one by one, for as many as a screen holds. */
static void add_progress(struct ctl *c, json_t *campaigns)
{
    json_t *rows = json_object_get(campaigns, "data"), *row;
    size_t i;
    json_array_foreach(rows, i, row)
    {
        char path[CTL_PATH_MAX];
        int code;
        (void)snprintf(path, sizeof path, "/api/v1/campaigns/%s/progress", ctl_str(row, "id", ""));
        ctl_set(row, "progress", ctl_get_quiet(c, path, &code));
    }
}

static void show_status(const struct ctl *c, const json_t *doc)
{
    const json_t *ready = json_object_get(doc, "ready"),
                 *reasons = json_object_get(ready, "reasons");
    bool ok = json_is_true(json_object_get(ready, "ready"));
    const char *dispatch = ctl_str(doc, "dispatch.state", "?");
    (void)printf("campgw %s on %s: %s%s%s, dispatch %s%s%s\n", ctl_str(doc, "version.version", "?"),
                 ctl_str(doc, "version.node", "?"), ctl_color(c, ok ? "ready" : "no"),
                 ok ? "ready" : "not ready", ctl_plain(c), ctl_color(c, dispatch), dispatch,
                 ctl_plain(c));
    for (size_t i = 0; i < json_array_size(reasons); i++) {
        char text[300];
        ctl_format(json_array_get(reasons, i), 's', text, sizeof text);
        (void)printf("  not ready: %s\n", text);
    }
    const json_t *rows = ctl_at(doc, "channels.data");
    if (json_array_size(rows))
        ctl_print_table(c, rows, channel_columns);
    rows = ctl_at(doc, "campaigns.data");
    if (json_array_size(rows))
        ctl_print_table(c, rows, running_columns);
    else if (rows)
        (void)puts("no campaign is running");
}

int ctl_status(struct ctl *c)
{
    int code;
    json_t *ready = get_ready(c, &code), *doc;
    if (code)
        return code;
    doc = json_pack("{s:o}", "ready", ready);
    (void)part_of(c, doc, "version", "/version");
    (void)part_of(c, doc, "dispatch", "/api/v1/dispatch");
    (void)part_of(c, doc, "channels", "/api/v1/channels");
    add_progress(c, part_of(c, doc, "campaigns", "/api/v1/campaigns?state=running&limit=20"));
    if (c->json)
        ctl_print_json(doc);
    else
        show_status(c, doc);
    code = json_is_true(ctl_at(doc, "ready.ready")) ? CTL_OK : CTL_FAILED;
    json_decref(doc);
    return code;
}

int ctl_version(struct ctl *c)
{
    static const struct ctl_column fields[] = {{"campgwctl", "campgwctl", 's'},
                                               {"gateway", "gateway.version", 's'},
                                               {"node", "gateway.node", 's'},
                                               {"schema", "gateway.schema", 's'},
                                               {"plugin ABI", "gateway.plugin_abi", 's'},
                                               CTL_COLUMNS_END};
    int code;
    json_t *gateway = ctl_get_quiet(c, "/version", &code),
           *doc = json_pack("{s:s}", "campgwctl", PACKAGE_VERSION);
    ctl_set(doc, "gateway", gateway ? gateway : json_null());
    if (c->json)
        ctl_print_json(doc);
    else
        ctl_print_fields(c, doc, fields);
    if (!gateway)
        ctl_say(c, "the gateway does not answer at %s", ctl_http_where(c));
    json_decref(doc);
    return CTL_OK; /* the question was this program's version */
}

/* ---- dispatch
 * --------------------------------------------------------------------------------------------------------------------------
 */
static const struct ctl_column dispatch_fields[] = {
    {"dispatch", "state", 'c'}, {"since", "since", 't'}, {"by", "actor", 's'}, CTL_COLUMNS_END};

int ctl_dispatch_status(struct ctl *c)
{
    struct ctl_request req = {.method = "GET", .path = "/api/v1/dispatch"};
    struct ctl_answer a;
    int code = ctl_call(c, &req, &a);
    return code ? code : ctl_print_answer(c, &a, dispatch_fields);
}

int ctl_dispatch_set(struct ctl *c)
{
    static const struct {
        const char *verb, *state;
    } states[] = {{"pause", "paused"}, {"resume", "running"}, {"drain", "draining"}};
    const char *state = "paused";
    for (size_t i = 0; i < ARRAY_LEN(states); i++)
        if (!strcmp(states[i].verb, c->cmd->verb))
            state = states[i].state;
    struct ctl_request req = {
        .method = "PUT", .path = "/api/v1/dispatch", .body = json_pack("{s:s}", "state", state)};
    struct ctl_answer a;
    int code = ctl_call(c, &req, &a);
    return code ? code : ctl_print_answer(c, &a, dispatch_fields);
}

/* ---- plugins
 * ------------------------------------------------------------------------------------------------------------------------------
 */
int ctl_plugin_list(struct ctl *c)
{
    static const struct ctl_column columns[] = {{"NAME", "name", 's'},       {"KIND", "kind", 's'},
                                                {"VERSION", "version", 's'}, {"ABI", "abi", 's'},
                                                {"VENDOR", "vendor", 's'},   CTL_COLUMNS_END};
    return ctl_list(
        c, "/api/v1/plugins", columns,
        "No plugin is loaded: name one in `instances` or `plugins.load` of the configuration.");
}

int ctl_plugin_show(struct ctl *c)
{
    static const struct ctl_column fields[] = {
        {"name", "name", 's'},     {"kind", "kind", 's'}, {"version", "version", 's'},
        {"vendor", "vendor", 's'}, {"abi", "abi", 's'},   CTL_COLUMNS_END};
    static const struct ctl_column options[] = {{"OPTION", "key", 's'},
                                                {"VALUE", "value", 's'},
                                                {"DEFAULT", "default", 's'},
                                                {"MEANING", "help", 's'},
                                                CTL_COLUMNS_END};
    struct buf path;
    int code;
    buf_init(&path, CTL_PATH_MAX);
    buf_puts(&path, "/api/v1/plugins/");
    bool name =
        c->argv[0][0] &&
        strspn(c->argv[0], "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") ==
            strlen(c->argv[0]);
    buf_puts(&path, name ? c->argv[0] : "-");
    json_t *doc = ctl_get(c, buf_str(&path), &code);
    buf_done(&path);
    if (code)
        return code;
    if (c->json) {
        ctl_print_json(doc);
        json_decref(doc);
        return CTL_OK;
    }
    ctl_print_fields(c, doc, fields);
    const json_t *instances = json_object_get(doc, "instances");
    for (size_t i = 0; i < json_array_size(instances); i++) {
        const json_t *in = json_array_get(instances, i);
        char where[200];
        ctl_format(json_object_get(in, "where"), 's', where, sizeof where);
        (void)printf("\ninstance %s (%s): %s\n", ctl_str(in, "name", "?"), where,
                     ctl_str(in, "state", "?"));
        ctl_print_table(c, json_object_get(in, "options"), options);
    }
    json_decref(doc);
    return CTL_OK;
}

/* ---- channel instances
 * ------------------------------------------------------------------------------------------------------------------------
 */
int ctl_instance_list(struct ctl *c)
{
    static const struct ctl_column columns[] = {{"NAME", "name", 's'},
                                                {"PLUGIN", "plugin", 's'},
                                                {"CHANNEL", "channel", 's'},
                                                {"STATE", "state", 's'},
                                                {"UP", "up", 's'},
                                                {"HEALTH", "health", 's'},
                                                {"ISOLATION", "isolation", 's'},
                                                {"PID", "process.pid", 'n'},
                                                {"RESTARTS", "process.restarts", 'n'},
                                                CTL_COLUMNS_END};
    return ctl_list(c, "/api/v1/channels", columns,
                    "No channel instance: name one in `instances` of the configuration.");
}

int ctl_instance_restart(struct ctl *c)
{
    static const struct ctl_column fields[] = {
        {"instance", "name", 's'}, {"state", "state", 's'}, CTL_COLUMNS_END};
    char path[CTL_PATH_MAX];
    bool name =
        c->argv[0][0] && strlen(c->argv[0]) < 64 &&
        strspn(c->argv[0], "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") ==
            strlen(c->argv[0]);
    (void)snprintf(path, sizeof path, "/api/v1/channels/%s/restart", name ? c->argv[0] : "-");
    struct ctl_request req = {.method = "POST", .path = path};
    struct ctl_answer a;
    int code = ctl_call(c, &req, &a);
    return code ? code : ctl_print_answer(c, &a, fields);
}

/* ---- keys
 * ----------------------------------------------------------------------------------------------------------------------------------
 */
static int save_secret(const struct ctl *c, const char *file, const char *secret)
{
    char what[600];
    auto_close int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    size_t n = strlen(secret);
    if (fd >= 0 && write(fd, secret, n) == (ssize_t)n && write(fd, "\n", 1) == 1 && fsync(fd) == 0)
        return 0;
    (void)snprintf(what, sizeof what, "the key has a new secret, but it could not be written to %s",
                   file);
    return ctl_fail(c, CTL_FAILED, what, strerror(errno), "campgwctl key rotate KEY");
}

static int show_key(const struct ctl *c, json_t *doc)
{
    static const struct ctl_column fields[] = {
        {"id", "id", 's'},           {"name", "name", 's'},          {"scopes", "scopes", 's'},
        {"classes", "classes", 's'}, {"expires", "expires_at", 't'}, CTL_COLUMNS_END};
    const char *file = ctl_opt(c, "save"), *secret = ctl_str(doc, "secret", NULL);
    int code = 0;
    if (file && secret) {
        code = save_secret(c, file, secret);
        (void)json_object_del(doc, "secret");
        ctl_set_str(doc, "saved", file);
    }
    if (c->json) {
        ctl_print_json(doc);
        return code;
    }
    ctl_print_fields(c, doc, fields);
    if (!file) {
        (void)printf("secret   %s\n", secret ? secret : "-");
        ctl_say(c, "The secret is shown this once; the gateway keeps only its hash.");
    } else if (code == 0) {
        ctl_say(c, "The secret is in %s; use it with --key-file.", file);
    }
    return code;
}

int ctl_key_create(struct ctl *c)
{
    char at[40];
    int64_t partner;
    bool bad = false;
    const char *name = ctl_opt(c, "name"), *expires = ctl_opt(c, "expires"),
               *file = ctl_opt(c, "save");
    if (!name || !ctl_has(c, "scopes"))
        return ctl_usage_error(c, "%s is missing", name ? "--scopes" : "--name");
    if (file && access(file, F_OK) == 0)
        return ctl_fail(c, CTL_FAILED, "the file for the secret exists", file,
                        "name another file with --save");
    int code = expires ? ctl_time(c, "expires", expires, at) : 0;
    if (code)
        return code;
    bool of_partner = ctl_opt_int(c, "partner", 0, INT32_MAX, &partner, &bad);
    if (bad)
        return CTL_USAGE;
    json_t *body = json_pack("{s:s, s:o}", "name", name, "scopes", ctl_words(ctl_opt(c, "scopes")));
    ctl_set(body, "classes", ctl_words(ctl_opt(c, "classes")));
    ctl_set_str(body, "expires_at", expires ? at : NULL);
    if (of_partner)
        ctl_set(body, "partner_id", json_integer(partner));
    /* no Idempotency-Key: a replay could not show the secret again */
    struct ctl_request req = {.method = "POST", .path = "/api/v1/api-keys", .body = body};
    struct ctl_answer a;
    code = ctl_call(c, &req, &a);
    if (code == 0)
        code = show_key(c, a.doc);
    ctl_answer_done(&a);
    return code;
}

int ctl_key_rotate(struct ctl *c)
{
    char id[80], path[CTL_PATH_MAX], question[200];
    const char *file = ctl_opt(c, "save");
    if (file && access(file, F_OK) == 0)
        return ctl_fail(c, CTL_FAILED, "the file for the secret exists", file,
                        "name another file with --save");
    int code = ctl_resolve(c, "key", c->argv[0], id, sizeof id);
    if (code)
        return code;
    (void)snprintf(question, sizeof question,
                   "Give %s a new secret: whoever has only the old one is shut out at once.", id);
    code = ctl_confirm(c, question, 1);
    if (code)
        return code;
    (void)snprintf(path, sizeof path, "/api/v1/api-keys/%s/rotate", id);
    struct ctl_request req = {.method = "POST", .path = path};
    struct ctl_answer a;
    code = ctl_call(c, &req, &a);
    if (code == 0)
        code = show_key(c, a.doc);
    ctl_answer_done(&a);
    return code;
}

int ctl_key_list(struct ctl *c)
{
    static const struct ctl_column columns[] = {{"ID", "id", 's'},
                                                {"NAME", "name", 's'},
                                                {"STATE", "state", 'c'},
                                                {"SCOPES", "scopes", 's'},
                                                {"EXPIRES", "expires_at", 't'},
                                                {"LAST USED", "last_used_at", 't'},
                                                CTL_COLUMNS_END};
    return ctl_list(c, "/api/v1/api-keys", columns,
                    "No key yet: campgwctl key create --name NAME --scopes LIST");
}

int ctl_key_revoke(struct ctl *c)
{
    char id[80], path[CTL_PATH_MAX], question[200];
    int code = ctl_resolve(c, "key", c->argv[0], id, sizeof id);
    if (code)
        return code;
    (void)snprintf(question, sizeof question, "Revoke %s: whoever uses it is shut out at once.",
                   id);
    code = ctl_confirm(c, question, 1);
    if (code)
        return code;
    (void)snprintf(path, sizeof path, "/api/v1/api-keys/%s", id);
    struct ctl_request req = {.method = "DELETE", .path = path};
    struct ctl_answer a;
    code = ctl_call(c, &req, &a);
    if (code)
        return code;
    json_t *doc = json_pack("{s:s, s:s}", "id", id, "state", "revoked");
    static const struct ctl_column fields[] = {
        {"id", "id", 's'}, {"state", "state", 'c'}, CTL_COLUMNS_END};
    ctl_answer_done(&a);
    a.doc = doc;
    return ctl_print_answer(c, &a, fields);
}
