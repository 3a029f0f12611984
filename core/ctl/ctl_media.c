/* SPDX-License-Identifier: Apache-2.0 */
/* ctl_media.c - media that campaigns refer to, and what people answered. */
#include "ctl/ctl.h"

#include <string.h>

static const struct ctl_column media_fields[] = {{"id", "id", 's'},
                                                 {"type", "type", 's'},
                                                 {"bytes", "bytes", 'n'},
                                                 {"name", "name", 's'},
                                                 {"in use", "in_use", 'b'},
                                                 {"sha256", "sha256", 's'},
                                                 {"created", "created_at", 't'},
                                                 CTL_COLUMNS_END};

/* The name of the file in a query: what is neither letter, digit nor . _ - goes as "_". */
static void put_name(const char *file, char *out, size_t size)
{
    const char *slash = strrchr(file, '/'), *base = slash ? slash + 1 : file;
    size_t n = 0;
    for (; *base && n + 1 < size && n < 100; base++)
        out[n++] = (*base >= 'a' && *base <= 'z') || (*base >= 'A' && *base <= 'Z') ||
                           (*base >= '0' && *base <= '9') || strchr("._-", *base)
                       ? *base
                       : '_';
    out[n] = 0;
}

int ctl_media_upload(struct ctl *c)
{
    char name[101], path[CTL_PATH_MAX];
    const char *type = ctl_opt(c, "type"), *given = ctl_opt(c, "name");
    size_t len = strlen(c->argv[0]);
    if (len > 3 && !strcmp(c->argv[0] + len - 3, ".gz"))
        return ctl_usage_error(c, "a media is kept as it is sent: unpack %.200s first", c->argv[0]);
    put_name(given ? given : strcmp(c->argv[0], "-") ? c->argv[0] : "media", name, sizeof name);
    (void)snprintf(path, sizeof path, "/api/v1/media?name=%s", name);
    struct ctl_request req = {.method = "POST",
                              .path = path,
                              .file = c->argv[0],
                              .media = type ? type : "application/octet-stream"};
    struct ctl_answer a;
    int code = ctl_call(c, &req, &a);
    return code ? code : ctl_print_answer(c, &a, media_fields);
}

int ctl_media_list(struct ctl *c)
{
    static const struct ctl_column columns[] = {
        {"ID", "id", 's'},     {"TYPE", "type", 's'},     {"BYTES", "bytes", 'n'},
        {"NAME", "name", 's'}, {"IN USE", "in_use", 'b'}, {"CREATED", "created_at", 't'},
        CTL_COLUMNS_END};
    return ctl_list(c, "/api/v1/media", columns, "No media: campgwctl media upload FILE");
}

/* The path of the media that the first word names; 0 or CTL_USAGE (printed). */
static int media_path(const struct ctl *c, const char *what, char *out, size_t size)
{
    if (strncmp(c->argv[0], "med_", 4) != 0 ||
        strspn(c->argv[0] + 4, "0123456789abcdefghijklmnopqrstuvwxyz") != 26 ||
        strlen(c->argv[0]) != 30)
        return ctl_usage_error(c, "%.60s is no id of a media: campgwctl media list", c->argv[0]);
    (void)snprintf(out, size, "/api/v1/media/%s%s", c->argv[0], what);
    return 0;
}

int ctl_media_show(struct ctl *c)
{
    char path[CTL_PATH_MAX];
    struct ctl_answer a = {0};
    int code = media_path(c, "", path, sizeof path);
    if (code)
        return code;
    a.doc = ctl_get(c, path, &code);
    return code ? code : ctl_print_answer(c, &a, media_fields);
}

int ctl_media_download(struct ctl *c)
{
    char path[CTL_PATH_MAX];
    int code = media_path(c, "/content", path, sizeof path);
    if (code == 0 && !ctl_has(c, "output") && c->tty_out)
        code = ctl_usage_error(c, "the bytes of a media are not for a terminal: give -o FILE");
    return code ? code : ctl_download(c, path, "*/*");
}

int ctl_media_delete(struct ctl *c)
{
    static const struct ctl_column fields[] = {
        {"id", "id", 's'}, {"state", "state", 'c'}, CTL_COLUMNS_END};
    char path[CTL_PATH_MAX], question[200];
    int code = media_path(c, "", path, sizeof path);
    (void)snprintf(question, sizeof question, "Delete %s and its bytes.", c->argv[0]);
    if (code == 0)
        code = ctl_confirm(c, question, 1);
    if (code)
        return code;
    struct ctl_request req = {.method = "DELETE", .path = path};
    struct ctl_answer a;
    code = ctl_call(c, &req, &a);
    if (code)
        return code;
    ctl_answer_done(&a);
    a.doc = json_pack("{s:s, s:s}", "id", c->argv[0], "state", "deleted");
    return ctl_print_answer(c, &a, fields);
}

int ctl_campaign_responses(struct ctl *c)
{
    static const struct ctl_column columns[] = {{"AT", "at", 't'},
                                                {"WAVE", "wave", 'n'},
                                                {"CHANNEL", "channel", 's'},
                                                {"KIND", "kind", 's'},
                                                {"MEANING", "meaning", 's'},
                                                {"TEXT", "text", 's'},
                                                {"CUSTOMER", "customer", 's'},
                                                CTL_COLUMNS_END};
    char id[80], path[CTL_PATH_MAX];
    int code = ctl_resolve(c, "campaign", c->argv[0], id, sizeof id);
    (void)snprintf(path, sizeof path, "/api/v1/campaigns/%s/responses", id);
    return code ? code : ctl_list(c, path, columns, "Nobody has answered.");
}

int ctl_campaign_answers(struct ctl *c)
{
    static const struct ctl_column columns[] = {
        {"ANSWER", "answer", 's'},   {"KIND", "kind", 's'}, {"WAVE", "wave", 'n'},
        {"CHANNEL", "channel", 's'}, {"PEOPLE", "n", 'n'},  CTL_COLUMNS_END};
    char id[80], path[CTL_PATH_MAX];
    int code = ctl_resolve(c, "campaign", c->argv[0], id, sizeof id);
    (void)snprintf(path, sizeof path, "/api/v1/campaigns/%s/answers", id);
    json_t *doc = code ? NULL : ctl_get(c, path, &code);
    const json_t *rows = json_object_get(doc, "answers");
    if (code == 0 && c->json)
        ctl_print_json(doc);
    else if (code == 0 && json_array_size(rows))
        ctl_print_table(c, rows, columns);
    else if (code == 0)
        ctl_say(c, "Nobody has answered.");
    if (code == 0 && !c->json && ctl_num(doc, "other", 0))
        ctl_say(c, "And %lld other answers.", (long long)ctl_num(doc, "other", 0));
    json_decref(doc);
    return code;
}
