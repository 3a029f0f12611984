/* SPDX-License-Identifier: Apache-2.0 */
/* ctl_people.c - audiences, customers, the contact log. Numbers are taken from the command line and
 * shown masked. */
#include "ctl/ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* ---- audiences
 * -------------------------------------------------------------------------------------------------------------------
 */
static const struct ctl_column audience_fields[] = {{"id", "id", 's'},
                                                    {"name", "name", 's'},
                                                    {"state", "state", 'c'},
                                                    {"accepted", "accepted", 'n'},
                                                    {"duplicate", "duplicate", 'n'},
                                                    {"invalid", "invalid", 'n'},
                                                    {"channels", "channels", 's'},
                                                    {"region", "default_region", 's'},
                                                    {"fields", "fields", 's'},
                                                    {"in use", "in_use", 's'},
                                                    {"sha256", "sha256", 's'},
                                                    CTL_COLUMNS_END};

/* "lists/spring.csv.gz" -> "spring" */
static void name_of(const char *file, char *out, size_t size)
{
    const char *slash = strrchr(file, '/'), *base = slash ? slash + 1 : file;
    if (!strcmp(base, "-"))
        base = "standard input";
    (void)snprintf(out, size, "%.*s", (int)(base[0] ? 1 + strcspn(base + 1, ".") : 0), base);
}

static int new_audience(struct ctl *c, char *ret_id, size_t size)
{
    char name[121];
    const char *given = ctl_opt(c, "name"), *channels = ctl_opt(c, "channels");
    name_of(c->argv[0], name, sizeof name);
    json_t *body = json_pack("{s:s, s:o}", "name", given ? given : name, "channels",
                             ctl_words(channels ? channels : "sms"));
    if (!body)
        return ctl_usage_error(c, "--name is missing: the name of the file is no text");
    ctl_set_str(body, "default_region", ctl_opt(c, "region"));
    ctl_set(body, "dims", ctl_words(ctl_opt(c, "dims")));
    struct ctl_request req = {
        .method = "POST", .path = "/api/v1/audiences", .body = body, .idem = true};
    struct ctl_answer a;
    int code = ctl_call(c, &req, &a);
    (void)snprintf(ret_id, size, "%s", ctl_str(a.doc, "id", ""));
    ctl_answer_done(&a);
    return code;
}

static void drop_audience(struct ctl *c, const char *id)
{
    char path[CTL_PATH_MAX];
    (void)snprintf(path, sizeof path, "/api/v1/audiences/%s", id);
    struct ctl_request req = {
        .method = "DELETE", .path = path, .quiet = true, .finish = true, .timeout_ms = 5000};
    struct ctl_answer a;
    if (ctl_call(c, &req, &a) == 0)
        ctl_answer_done(&a);
}

static void tell_rejects(const struct ctl *c, const json_t *doc)
{
    const json_t *rejects = json_object_get(doc, "rejects");
    for (size_t i = 0; i < json_array_size(rejects); i++) {
        char detail[300];
        const json_t *r = json_array_get(rejects, i);
        ctl_format(json_object_get(r, "detail"), 's', detail, sizeof detail);
        ctl_say(c, "  line %lld: %s", (long long)ctl_num(r, "line", 0), detail);
    }
    if (ctl_num(doc, "invalid", 0) > (int64_t)json_array_size(rejects))
        ctl_say(c, "  next: campgwctl audience rejects %s --all", ctl_str(doc, "id", "AUDIENCE"));
}

static int upload(struct ctl *c, const char *id, const char *media)
{
    static const struct ctl_column fields[] = {
        {"id", "id", 's'},           {"accepted", "accepted", 'n'}, {"duplicate", "duplicate", 'n'},
        {"invalid", "invalid", 'n'}, {"fields", "fields", 's'},     CTL_COLUMNS_END};
    char path[CTL_PATH_MAX];
    (void)snprintf(path, sizeof path, "/api/v1/audiences/%s/recipients", id);
    struct ctl_request req = {.method = "PUT", .path = path, .file = c->argv[0], .media = media};
    struct ctl_answer a;
    int code = ctl_call(c, &req, &a);
    if (code)
        return code;
    if (!c->json)
        tell_rejects(c, a.doc);
    return ctl_print_answer(c, &a, fields);
}

int ctl_audience_upload(struct ctl *c)
{
    char id[80], what[600];
    const char *media = NULL, *given = ctl_opt(c, "audience"), *file = c->argv[0];
    int code = strcmp(file, "-") != 0 || ctl_has(c, "format")
                   ? ctl_media(c, file, &media)
                   : ctl_usage_error(c, "--format is missing: standard input has no name");
    if (code)
        return code;
    if (strcmp(file, "-") != 0 &&
        access(file, R_OK) != 0) { /* before an audience is made for nothing */
        (void)snprintf(what, sizeof what, "cannot read %s", file);
        return ctl_fail(c, CTL_FAILED, what, strerror(errno), "");
    }
    if (given)
        code = ctl_resolve(c, "audience", given, id, sizeof id);
    else
        code = new_audience(c, id, sizeof id);
    if (code)
        return code;
    code = upload(c, id, media);
    if (code && code != CTL_DONE && !given)
        drop_audience(c, id); /* nothing half-applied */
    if (code == CTL_INTERRUPTED)
        ctl_say(c, "\nThe upload was broken off; nothing of it was kept.");
    return code;
}

int ctl_audience_list(struct ctl *c)
{
    static const struct ctl_column columns[] = {{"ID", "id", 's'},
                                                {"NAME", "name", 's'},
                                                {"STATE", "state", 'c'},
                                                {"ACCEPTED", "accepted", 'n'},
                                                {"DUPLICATE", "duplicate", 'n'},
                                                {"INVALID", "invalid", 'n'},
                                                {"CREATED", "created_at", 't'},
                                                CTL_COLUMNS_END};
    return ctl_list(c, "/api/v1/audiences", columns, "No audience: campgwctl audience upload FILE");
}

int ctl_audience_show(struct ctl *c)
{
    char id[80], path[CTL_PATH_MAX];
    int code = ctl_resolve(c, "audience", c->argv[0], id, sizeof id);
    if (code)
        return code;
    (void)snprintf(path, sizeof path, "/api/v1/audiences/%s", id);
    struct ctl_answer a = {0};
    a.doc = ctl_get(c, path, &code);
    return code ? code : ctl_print_answer(c, &a, audience_fields);
}

int ctl_audience_rejects(struct ctl *c)
{
    static const struct ctl_column columns[] = {{"LINE", "line", 'n'},
                                                {"COLUMN", "column", 's'},
                                                {"CODE", "code", 's'},
                                                {"WHAT IS WRONG", "detail", 's'},
                                                CTL_COLUMNS_END};
    char id[80], path[CTL_PATH_MAX];
    int code = ctl_resolve(c, "audience", c->argv[0], id, sizeof id);
    (void)snprintf(path, sizeof path, "/api/v1/audiences/%s/rejects", id);
    return code ? code : ctl_list(c, path, columns, "No row was refused.");
}

/* ---- why
 * ------------------------------------------------------------------------------------------------------------------------------
 */
static json_t *ask_decision(struct ctl *c, int *ret_code)
{
    const char *channel = ctl_opt(c, "channel"), *at = ctl_opt(c, "at");
    char when[40];
    struct ctl_answer a = {0};
    json_t *body = ctl_person(c, c->argv[0]);
    if (!body) {
        *ret_code = ctl_usage_error(c, "the number is no text");
        return NULL;
    }
    *ret_code = at ? ctl_time(c, "at", at, when) : 0;
    ctl_set_str(body, "channel", channel ? channel : "sms");
    ctl_set_str(body, "class", ctl_opt(c, "class"));
    ctl_set_str(body, "purpose", ctl_opt(c, "purpose"));
    ctl_set_str(body, "at", at ? when : NULL);
    struct ctl_request req = {
        .method = "POST", .path = "/api/v1/decisions", .body = body, .reads = true};
    if (*ret_code)
        json_decref(body);
    else
        *ret_code = ctl_call(c, &req, &a);
    return a.doc;
}

static json_t *ask_contacts(struct ctl *c)
{
    struct ctl_answer a = {0};
    json_t *body = ctl_person(c, c->argv[0]);
    ctl_set(body, "expand", json_pack("[s]", "contacts"));
    struct ctl_request req = {.method = "POST",
                              .path = "/api/v1/customers/lookup",
                              .body = body,
                              .reads = true,
                              .quiet = true};
    (void)ctl_call(c, &req,
                   &a); /* the verdict stands without the history: a key may lack the scope */
    return a.doc;
}

static void put_text(const char *name, const json_t *value, char form)
{
    char text[300];
    if (!value || json_is_null(value))
        return;
    ctl_format(value, form, text, sizeof text);
    (void)printf("  %-12s %s\n", name, text);
}

static void show_why(const struct ctl *c, const json_t *decision, const json_t *customer)
{
    static const struct ctl_column columns[] = {
        {"WHEN", "at", 't'},       {"VERDICT", "verdict", 'c'},
        {"REASON", "reason", 's'}, {"CHANNEL", "channel", 's'},
        {"CLASS", "class", 's'},   {"CAMPAIGN", "campaign", 's'},
        {"CONTACT", "id", 's'},    CTL_COLUMNS_END};
    char person[80];
    const char *verdict = ctl_str(decision, "verdict", "?"),
               *reason = ctl_str(decision, "reason", "");
    ctl_mask(c->argv[0], person, sizeof person);
    (void)printf("%s  %s%s%s  %s\n", person, ctl_color(c, verdict), verdict, ctl_plain(c), reason);
    put_text("because", json_object_get(decision, "text"), 's');
    put_text("until", json_object_get(decision, "until"), 't');
    put_text("rule", json_object_get(decision, "rule"), 's');
    put_text("rules", json_object_get(decision, "rules_version"), 's');
    put_text("customer", json_object_get(customer, "id"), 's');
    const json_t *contacts = json_object_get(customer, "contacts");
    if (json_array_size(contacts)) {
        (void)puts("\nlast contacts");
        ctl_print_table(c, contacts, columns);
    } else if (customer) {
        (void)puts("  contacts     none yet");
    }
}

int ctl_customer_why(struct ctl *c)
{
    int code;
    json_t *decision = ask_decision(c, &code);
    if (code)
        return code;
    json_t *customer = ask_contacts(c);
    if (c->json) {
        json_t *doc = json_pack("{s:O, s:O?}", "decision", decision, "customer", customer);
        ctl_print_json(doc);
        json_decref(doc);
    } else {
        show_why(c, decision, customer);
    }
    bool allowed = !strcmp(ctl_str(decision, "verdict", ""), "ALLOW");
    json_decref(customer);
    json_decref(decision);
    return allowed ? CTL_OK : CTL_HELD;
}

/* ---- the contact log
 * ---------------------------------------------------------------------------------------------------------------------
 */
static int log_path(struct ctl *c, const char *base, struct buf *path)
{
    static const char *const plain[] = {"customer", "verdict", "reason", "state"},
                             *const times[] = {"from", "to"};
    char id[80], at[40];
    int code = 0;
    buf_puts(path, base);
    for (size_t i = 0; i < ARRAY_LEN(plain); i++)
        ctl_query_add(path, plain[i], ctl_opt(c, plain[i]));
    for (size_t i = 0; code == 0 && i < ARRAY_LEN(times); i++)
        if (ctl_has(c, times[i])) {
            code = ctl_time(c, times[i], ctl_opt(c, times[i]), at);
            ctl_query_add(path, times[i], code ? NULL : at);
        }
    if (code == 0 && ctl_has(c, "campaign")) {
        code = ctl_resolve(c, "campaign", ctl_opt(c, "campaign"), id, sizeof id);
        ctl_query_add(path, "campaign", code ? NULL : id);
    }
    return code;
}

int ctl_contact_list(struct ctl *c)
{
    static const struct ctl_column columns[] = {
        {"CONTACT", "id", 's'},        {"WHEN", "at|decided_at", 't'}, {"VERDICT", "verdict", 'c'},
        {"REASON", "reason", 's'},     {"STATE", "state", 'c'},        {"CHANNEL", "channel", 's'},
        {"CUSTOMER", "customer", 's'}, {"CAMPAIGN", "campaign", 's'},  CTL_COLUMNS_END};
    struct buf path;
    if (!ctl_has(c, "customer") && !ctl_has(c, "campaign"))
        return ctl_usage_error(c, "--customer or --campaign is missing");
    buf_init(&path, CTL_PATH_MAX);
    int code = log_path(c, "/api/v1/contacts", &path);
    if (code == 0)
        code = ctl_list(c, buf_str(&path), columns, "No contact fits.");
    buf_done(&path);
    return code;
}

int ctl_contact_show(struct ctl *c)
{
    char path[CTL_PATH_MAX];
    int code;
    const char *id = c->argv[0];
    if (strncmp(id, "con_", 4) != 0 ||
        strspn(id + 4, "abcdefghijklmnopqrstuvwxyz0123456789") != strlen(id + 4))
        return ctl_usage_error(
            c, "a contact's id looks like con_...; campgwctl contact list shows them");
    (void)snprintf(path, sizeof path, "/api/v1/contacts/%.80s", id);
    json_t *doc = ctl_get(c, path, &code);
    if (code == 0)
        ctl_print_json(doc); /* a history with branches: JSON is its most readable form */
    json_decref(doc);
    return code;
}

int ctl_contact_export(struct ctl *c)
{
    struct buf path;
    const char *format = ctl_opt(c, "format");
    bool csv = format ? !strcmp(format, "csv") : !c->json;
    if (!ctl_has(c, "customer") && !ctl_has(c, "campaign"))
        return ctl_usage_error(c, "--customer or --campaign is missing");
    buf_init(&path, CTL_PATH_MAX);
    int code = log_path(c, "/api/v1/contacts/export", &path);
    if (code == 0)
        code = ctl_download(c, buf_str(&path), csv ? "text/csv" : "application/x-ndjson");
    buf_done(&path);
    return code;
}
