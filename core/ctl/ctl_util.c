/* SPDX-License-Identifier: Apache-2.0 */
/* ctl_util.c - what several commands need: names to ids, lists page by page, times, people, files.
 */
#include "ctl/ctl.h"

#include "address/address.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define PAGE_MAX 500
#define PAGES_MAX 20000 /* 10 million rows: an export is the right tool for more */

/* ---- names and ids
 * --------------------------------------------------------------------------------------------------------------
 */
static const struct {
    const char *kind, *prefix, *path;
} kinds[] = {
    {"campaign", "cmp_", "/api/v1/campaigns"}, {"audience", "aud_", "/api/v1/audiences"},
    {"route", "rte_", "/api/v1/routes"},       {"dnd", "dnd_", "/api/v1/dnd-lists"},
    {"calendar", "cal_", "/api/v1/calendars"}, {"cap", "cap_", "/api/v1/caps"},
    {"key", "key_", "/api/v1/api-keys"},       {"queue", "rte_", "/api/v1/queues"},
    {"plugin", "", "/api/v1/plugins"},         {"instance", "", "/api/v1/channels"},
    {"partner", "#", "/api/v1/partners"}, /* named by number */
};

const char *ctl_kind_path(const char *kind)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (!strcmp(kinds[i].kind, kind))
            return kinds[i].path;
    return NULL;
}

static bool is_id(const char *word, const char *prefix)
{
    size_t n = strlen(prefix);
    if (prefix[0] == '#')
        return word[0] && strspn(word, "0123456789") == strlen(word);
    return !strncmp(word, prefix, n) && word[n] &&
           strspn(word + n, "abcdefghijklmnopqrstuvwxyz0123456789.") == strlen(word + n);
}

/* A queue's name is its route's with the lane. */
static bool named(const json_t *row, const char *kind, const char *word)
{
    char name[200];
    if (strcmp(kind, "queue") != 0)
        return !strcmp(ctl_str(row, "name", ""), word);
    (void)snprintf(name, sizeof name, "%s.%s", ctl_str(row, "route_name", ""),
                   ctl_str(row, "lane", ""));
    return !strcmp(name, word);
}

static int not_one(const struct ctl *c, const char *kind, const char *word, unsigned n)
{
    char what[300], next[120];
    if (n)
        (void)snprintf(what, sizeof what, "%u of kind %s are called \"%.100s\"", n, kind, word);
    else
        (void)snprintf(what, sizeof what, "there is no %s \"%.100s\"", kind, word);
    (void)snprintf(next, sizeof next, "campgwctl %s list", kind);
    return ctl_fail(c, n ? CTL_FAILED : CTL_NOT_FOUND, what,
                    n ? "a name must fit one" : "neither an id nor a name fits", next);
}

/* Next page's path, "" at the end. Only a path of our own is followed. */
static void next_page(const json_t *doc, char *path, size_t size)
{
    const char *next = ctl_str(doc, "next", "");
    (void)snprintf(path, size, "%s", !strncmp(next, "/api/", 5) && strlen(next) < size ? next : "");
}

int ctl_resolve(struct ctl *c, const char *kind, const char *word, char *out, size_t out_size)
{
    const char *prefix = "", *base = ctl_kind_path(kind);
    char path[CTL_PATH_MAX];
    unsigned found = 0;
    int code = 0;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (!strcmp(kinds[i].kind, kind))
            prefix = kinds[i].prefix;
    (void)snprintf(out, out_size, "%s", word);
    if (is_id(word, prefix) || !strcmp(word, "dnd_optouts"))
        return 0;
    (void)snprintf(path, sizeof path, "%s?limit=%d", base, PAGE_MAX);
    for (int page = 0; *path && page < PAGES_MAX; page++) {
        json_t *doc = ctl_get(c, path, &code);
        const json_t *rows = json_object_get(doc, "data");
        for (size_t i = 0; i < json_array_size(rows); i++)
            if (named(json_array_get(rows, i), kind, word) && found++ == 0)
                ctl_format(json_object_get(json_array_get(rows, i), "id"), 's', out, out_size);
        next_page(doc, path, sizeof path);
        json_decref(doc);
        if (code)
            return code;
    }
    return found == 1 ? 0 : not_one(c, kind, word, found);
}

void ctl_query_add(struct buf *path, const char *name, const char *value)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~,:"; /* RFC 3986 3.4, no
                                                                                   "+" */
    if (!value)
        return;
    buf_printf(path, "%c%s=", memchr(path->data, '?', path->len) ? '&' : '?', name);
    for (const char *p = value; *p; p++)
        if (strchr(plain, *p))
            buf_putc(path, *p);
        else
            buf_printf(path, "%%%02X", (unsigned)(unsigned char)*p);
}

/* ---- lists
 * --------------------------------------------------------------------------------------------------------------------------
 */
static int first_page(struct ctl *c, const char *path, int64_t limit,
                      const struct ctl_column *columns, const char *empty)
{
    struct buf p;
    char n[24];
    int code;
    buf_init(&p, CTL_PATH_MAX);
    buf_puts(&p, path);
    (void)snprintf(n, sizeof n, "%lld", (long long)limit);
    if (c->cmd->flags & CTL_F_LIST)
        ctl_query_add(&p, "limit", n);
    json_t *doc = ctl_get(c, buf_str(&p), &code);
    const json_t *rows = json_object_get(doc, "data");
    if (code == 0 && c->json)
        ctl_print_json(doc);
    else if (code == 0 && json_array_size(rows))
        ctl_print_table(c, rows, columns);
    else if (code == 0)
        ctl_say(c, "%s", empty);
    if (code == 0 && !c->json && json_is_true(json_object_get(doc, "has_more")))
        ctl_say(c, "There are more: --limit N (up to %d) or --all.", PAGE_MAX);
    json_decref(doc);
    buf_done(&p);
    return code;
}

static int all_pages(struct ctl *c, const char *path, const struct ctl_column *columns,
                     const char *empty)
{
    char at[CTL_PATH_MAX];
    int code = 0;
    size_t n = 0;
    (void)snprintf(at, sizeof at, "%s%climit=%d", path, strchr(path, '?') ? '&' : '?', PAGE_MAX);
    for (int page = 0; code == 0 && *at && page < PAGES_MAX; page++) {
        json_t *doc = ctl_get(c, at, &code);
        const json_t *rows = json_object_get(doc, "data");
        for (size_t i = 0; c->json && i < json_array_size(rows); i++)
            ctl_print_line(json_array_get(rows, i));
        if (!c->json && json_array_size(rows))
            ctl_print_table(c, rows, columns);
        n += json_array_size(rows);
        next_page(doc, at, sizeof at);
        json_decref(doc);
    }
    if (code == 0 && n == 0 && !c->json)
        ctl_say(c, "%s", empty);
    return code;
}

int ctl_list(struct ctl *c, const char *path, const struct ctl_column *columns, const char *empty)
{
    int64_t limit = 50;
    bool bad = false;
    if (ctl_has(c, "all"))
        return all_pages(c, path, columns, empty);
    (void)ctl_opt_int(c, "limit", 1, PAGE_MAX, &limit, &bad);
    return bad ? CTL_USAGE : first_page(c, path, limit, columns, empty);
}

/* ---- times
 * --------------------------------------------------------------------------------------------------------------------------
 */
static int bad_time(const struct ctl *c, const char *option, const char *text)
{
    return ctl_usage_error(
        c, "--%s: \"%.40s\" is no time; write 2026-11-22T09:00:00+08:00, now, +30m, +2h or +7d",
        option, text);
}

int ctl_time(const struct ctl *c, const char *option, const char *text, char out[40])
{
    long long n = 0;
    char *end = NULL;
    struct tm tm;
    if (text[0] != '+' && strcmp(text, "now") != 0) {
        if (strlen(text) >= 40 || strlen(text) < 17 || text[4] != '-' ||
            (text[10] != 'T' && text[10] != ' '))
            return bad_time(c, option, text);
        (void)snprintf(out, 40, "%s", text);
        out[10] = 'T';
        return 0;
    }
    if (text[0] == '+') {
        errno = 0;
        n = strtoll(text + 1, &end, 10);
        long long unit = *end == 's'   ? 1
                         : *end == 'm' ? 60
                         : *end == 'h' ? 3600
                         : *end == 'd' ? 86400
                                       : 0;
        if (errno || end == text + 1 || !unit || end[1] || n < 0 || n > 36500)
            return bad_time(c, option, text);
        n *= unit;
    }
    time_t t = time(NULL) + (time_t)n;
    if (!gmtime_r(&t, &tm) || !strftime(out, 40, "%Y-%m-%dT%H:%M:%SZ", &tm))
        return bad_time(c, option, text);
    return 0;
}

/* ---- people
 * -------------------------------------------------------------------------------------------------------------------------
 */
json_t *ctl_person(const struct ctl *c, const char *word)
{
    bool customer = !strncmp(word, "cus_", 4), email = strchr(word, '@') != NULL;
    if (!strncmp(word, "ext:", 4))
        return json_pack("{s:s}", "external_id", word + 4);
    json_t *p = json_pack("{s:s}", customer ? "customer" : email ? "email" : "msisdn", word);
    if (!customer && !email)
        ctl_set_str(p, "default_region", ctl_opt(c, "region"));
    return p;
}

void ctl_mask(const char *word, char *out, size_t size)
{
    if (!strncmp(word, "cus_", 4) || !strncmp(word, "ext:", 4))
        (void)snprintf(out, size, "%s", word);
    else
        address_mask(word, out, size);
    ctl_clean(out);
}

/* ---- things that are made or changed by name
 * ------------------------------------------------------------------------------------------------
 */
int ctl_find_named(struct ctl *c, const char *base, const char *name, char *out, size_t size)
{
    char path[CTL_PATH_MAX];
    int code;
    *out = 0;
    (void)snprintf(path, sizeof path, "%s?limit=500", base);
    json_t *doc = ctl_get(c, path, &code);
    const json_t *rows = json_object_get(doc, "data");
    for (size_t i = 0; i < json_array_size(rows) && !*out; i++) {
        const json_t *row = json_array_get(rows, i);
        if (!strcmp(ctl_str(row, "name", ""), name) || !strcmp(ctl_str(row, "id", ""), name))
            (void)snprintf(out, size, "%s", ctl_str(row, "id", ""));
    }
    json_decref(doc);
    return code;
}

int ctl_put_named(struct ctl *c, const char *base, const char *id, json_t *body,
                  const char *create_only, struct ctl_answer *a)
{
    char path[CTL_PATH_MAX];
    struct ctl_request req = {.method = "POST", .path = base, .body = body, .idem = true};
    if (!*id)
        return ctl_call(c, &req, a);
    (void)snprintf(path, sizeof path, "%s/%s", base, id);
    struct ctl_request read = {.method = "GET", .path = path};
    struct ctl_answer now;
    int code = ctl_call(c, &read, &now);
    ctl_answer_done(&now);
    if (create_only)
        (void)json_object_del(body, create_only);
    req = (struct ctl_request){
        .method = "PATCH", .path = path, .body = body, .merge_patch = true, .if_match = now.etag};
    if (code)
        json_decref(body);
    return code ? code : ctl_call(c, &req, a);
}

/* ---- JSON
 * ---------------------------------------------------------------------------------------------------------------------------
 */
json_t *ctl_words(const char *list)
{
    if (!list)
        return NULL;
    json_t *out = json_array();
    for (const char *p = list; *p;) {
        size_t n = strcspn(p, ",");
        if (n)
            (void)json_array_append_new(out, json_stringn(p, n));
        p += n + (p[n] == ',');
    }
    return out;
}

void ctl_set(json_t *doc, const char *name, json_t *value)
{
    if (value)
        (void)json_object_set_new(doc, name, value);
}

void ctl_set_str(json_t *doc, const char *name, const char *value)
{
    if (value)
        (void)json_object_set_new(doc, name, json_string(value));
}

int ctl_read_json(const struct ctl *c, const char *file, json_t **ret)
{
    json_error_t e;
    char what[600], why[400];
    FILE *f = strcmp(file, "-") != 0 ? fopen(file, "re") : stdin;
    (void)snprintf(what, sizeof what, "cannot read %s", file);
    if (!f)
        return ctl_fail(c, CTL_FAILED, what, strerror(errno), "");
    auto_free char *text = malloc(CTL_FILE_MAX + 1);
    size_t n = text ? fread(text, 1, CTL_FILE_MAX + 1, f) : 0;
    bool failed = ferror(f) != 0;
    if (f != stdin)
        (void)fclose(f);
    if (failed || n > CTL_FILE_MAX || !text) {
        (void)snprintf(why, sizeof why,
                       n > CTL_FILE_MAX ? "it is larger than %u bytes" : "it is unreadable",
                       CTL_FILE_MAX);
        return ctl_fail(c, CTL_FAILED, what, why, "");
    }
    *ret = json_loadb(text, n, JSON_REJECT_DUPLICATES, &e);
    if (*ret)
        return 0;
    (void)snprintf(why, sizeof why, "line %d, column %d: %s", e.line, e.column, e.text);
    (void)snprintf(what, sizeof what, "%s is not well-formed JSON", file);
    return ctl_fail(c, CTL_FAILED, what, why, "");
}

int ctl_media(const struct ctl *c, const char *file, const char **ret)
{
    static const struct {
        const char *ending, *media;
    } known[] = {{".csv", "text/csv"},
                 {".txt", "text/csv"},
                 {".ndjson", "application/x-ndjson"},
                 {".jsonl", "application/x-ndjson"}};
    const char *format = ctl_opt(c, "format");
    size_t n = strlen(file);
    if (format) {
        *ret = !strcmp(format, "csv") ? "text/csv" : "application/x-ndjson";
        return 0;
    }
    if (n > 3 && !strcmp(file + n - 3, ".gz"))
        n -= 3;
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        size_t m = strlen(known[i].ending);
        if (n > m && !strncasecmp(file + n - m, known[i].ending, m)) {
            *ret = known[i].media;
            return 0;
        }
    }
    return ctl_usage_error(
        c, "the name of %.200s does not say whether it is CSV or NDJSON: give --format", file);
}
