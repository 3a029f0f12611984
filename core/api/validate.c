/* SPDX-License-Identifier: Apache-2.0 */
/* validate.c - JSON bodies against tables of members: one place for types, ranges, lengths, words,
 * times and unknown members. Depth is that of the tables (static), never of the input. Pointers:
 * RFC 6901. */
#include "api/api_int.h"

#include "base/word.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define POINTER_MAX 192
#define STRING_MAX 1000
#define ARRAY_MAX 1000

/* ---- pointers ------------------------------------------------------------------------------- */
static void pointer_add(char out[POINTER_MAX], const char *base, const char *name)
{
    size_t o = (size_t)snprintf(out, POINTER_MAX, "%.*s/", POINTER_MAX - 8, base);
    for (; *name && o + 3 < POINTER_MAX; name++) {
        if (*name == '~' || *name == '/') {
            out[o++] = '~';
            out[o++] = *name == '~' ? '0' : '1';
        } else {
            out[o++] = *name;
        }
    }
    /* cut on a character's edge: the pointer goes into a JSON text */
    while (o && *name && ((unsigned char)out[o - 1] & 0xc0) == 0x80)
        o--;
    if (o && *name && (unsigned char)out[o - 1] >= 0xc0)
        o--;
    out[o] = 0;
}

/* ---- scalars -------------------------------------------------------------------------------- */
static const char *type_name(int type)
{
    static const char *const names[] = {
        [API_T_STRING] = "a string",    [API_T_INT] = "an integer", [API_T_NUMBER] = "a number",
        [API_T_BOOL] = "true or false", [API_T_ENUM] = "a string",  [API_T_TIME] = "a string",
        [API_T_DURATION] = "a string",  [API_T_ID] = "a string",    [API_T_OBJECT] = "an object",
        [API_T_ARRAY] = "an array",     [API_T_ANY] = "a value"};
    return names[type];
}

static bool type_fits(int type, const json_t *v)
{
    switch (type) {
    case API_T_INT:
        return json_is_integer(v);
    case API_T_NUMBER:
        return json_is_number(v);
    case API_T_BOOL:
        return json_is_boolean(v);
    case API_T_OBJECT:
        return json_is_object(v);
    case API_T_ARRAY:
        return json_is_array(v);
    case API_T_ANY:
        return true;
    default:
        return json_is_string(v);
    }
}

/* Is the word one of "a|b|c"? */
static bool choice_has(const char *choices, const char *word)
{
    size_t n = strlen(word);
    for (const char *p = choices; *p;) {
        size_t m = strcspn(p, "|");
        if (m == n && !memcmp(p, word, n))
            return true;
        p += m + (p[m] == '|');
    }
    return false;
}

static void choices_text(const char *choices, char *out, size_t size)
{
    size_t o = 0;
    for (; *choices && o + 3 < size; choices++) {
        if (*choices == '|') {
            out[o++] = ',';
            out[o++] = ' ';
        } else {
            out[o++] = *choices;
        }
    }
    out[o] = 0;
}

static void check_string(struct api_response *resp, const char *s, size_t len, const char *ptr,
                         const struct api_member *m, int64_t min, int64_t max)
{
    int64_t chars = 0;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)s[i];
        chars += (c & 0xc0) != 0x80;
        bool ok = c >= 0x20 ? c != 0x7f
                            : (m->flags & API_M_TEXT) && (c == '\n' || c == '\r' || c == '\t');
        if (!ok) {
            api_error(resp, ptr, "control_character",
                      "Control character U+%04X is not allowed here.", c);
            return;
        }
    }
    if (max == 0)
        max = STRING_MAX;
    if (chars < min)
        api_error(resp, ptr, "too_short",
                  "It has %" PRId64 " characters; at least %" PRId64 " are needed.", chars, min);
    else if (chars > max)
        api_error(resp, ptr, "too_long",
                  "It has %" PRId64 " characters; at most %" PRId64 " are allowed.", chars, max);
}

static void check_int(struct api_response *resp, int64_t v, const char *ptr,
                      const struct api_member *m)
{
    if (m->min == 0 && m->max == 0)
        return;
    if (v < m->min || v > m->max)
        api_error(resp, ptr, "out_of_range", "%" PRId64 " is outside %" PRId64 " to %" PRId64 ".",
                  v, m->min, m->max);
}

static void check_enum(struct api_response *resp, const char *s, const char *ptr,
                       const struct api_member *m)
{
    if (choice_has(m->choices, s))
        return;
    char all[256];
    choices_text(m->choices, all, sizeof all);
    api_error(resp, ptr, "unknown_value", "Must be one of %s.", all);
}

static void check_id(struct api_response *resp, const char *s, const char *ptr,
                     const struct api_member *m)
{
    size_t n = strlen(m->choices), len = strlen(s);
    bool ok = len > n + 1 && len < API_CLIENT_ID_MAX && !strncmp(s, m->choices, n) && s[n] == '_';
    for (size_t i = n + 1; ok && i < len; i++)
        ok = (s[i] >= '0' && s[i] <= '9') || (s[i] >= 'a' && s[i] <= 'z') ||
             (s[i] >= 'A' && s[i] <= 'Z') || s[i] == '_';
    if (!ok)
        api_error(resp, ptr, "not_an_id", "Must be an id of the form %s_….", m->choices);
}

static void check_duration(struct api_response *resp, const char *s, const char *ptr,
                           const struct api_member *m)
{
    int64_t ms;
    if (api_duration_parse(s, &ms) < 0)
        api_error(resp, ptr, "not_a_duration",
                  "Must be an ISO 8601 duration of weeks, days, hours, minutes and seconds, such "
                  "as P7D or PT90M.");
    else if ((m->min || m->max) && (ms < m->min || ms > m->max))
        api_error(resp, ptr, "out_of_range", "Must be between %" PRId64 " and %" PRId64 " seconds.",
                  m->min / 1000, m->max / 1000);
}

static void check_time(struct api_response *resp, const char *s, const char *ptr)
{
    int64_t ms;
    if (api_time_parse(s, &ms) < 0)
        api_error(resp, ptr, "not_a_time",
                  "Must be an RFC 3339 time with zone, such as 2026-03-01T09:00:00+08:00%s.",
                  ptr[0] == '?' ? " (write + as %2B in a query)" : "");
}

static void check_scalar(struct api_response *resp, const json_t *v, const char *ptr, int type,
                         const struct api_member *m, int64_t min, int64_t max)
{
    const char *s = json_string_value(v);
    switch (type) {
    case API_T_STRING:
        check_string(resp, s, json_string_length(v), ptr, m, min, max);
        break;
    case API_T_INT:
        check_int(resp, json_integer_value(v), ptr, m);
        break;
    case API_T_NUMBER:
        if ((m->min || m->max) &&
            (json_number_value(v) < (double)m->min || json_number_value(v) > (double)m->max))
            api_error(resp, ptr, "out_of_range", "Must be between %" PRId64 " and %" PRId64 ".",
                      m->min, m->max);
        break;
    case API_T_ENUM:
        check_enum(resp, s, ptr, m);
        break;
    case API_T_ID:
        check_id(resp, s, ptr, m);
        break;
    case API_T_TIME:
        check_time(resp, s, ptr);
        break;
    case API_T_DURATION:
        check_duration(resp, s, ptr, m);
        break;
    default:
        break;
    }
}

/* ---- containers ----------------------------------------------------------------------------- */
static void check_array(struct api_response *resp, const json_t *v, const char *ptr,
                        const struct api_member *m)
{
    int64_t n = (int64_t)json_array_size(v), max = m->max ? m->max : ARRAY_MAX;
    if (n < m->min || n > max) {
        api_error(resp, ptr, n < m->min ? "too_few" : "too_many",
                  "It has %" PRId64 " items; %" PRId64 " to %" PRId64 " are allowed.", n, m->min,
                  max);
        return;
    }
    for (size_t i = 0; i < (size_t)n; i++) {
        const json_t *item = json_array_get(v, i);
        char at[POINTER_MAX], index[24];
        (void)snprintf(index, sizeof index, "%zu", i);
        pointer_add(at, ptr, index);
        int type = m->members ? API_T_OBJECT : m->item_type ? m->item_type : API_T_ANY;
        if (!type_fits(type, item))
            api_error(resp, at, "wrong_type", "Must be %s.", type_name(type));
        else if (m->members)
            (void)api_check_members(resp, item, at, m->members);
        else
            check_scalar(resp, item, at, type, m, type == API_T_STRING ? 1 : 0, m->item_max);
    }
}

static void check_value(struct api_response *resp, const json_t *v, const char *ptr,
                        const struct api_member *m)
{
    if (json_is_null(v) && (m->flags & API_M_NULLABLE))
        return;
    if (!type_fits(m->type, v)) {
        api_error(resp, ptr, "wrong_type", "Must be %s%s.", type_name(m->type),
                  m->flags & API_M_NULLABLE ? " or null" : "");
        return;
    }
    if (m->type == API_T_ARRAY)
        check_array(resp, v, ptr, m);
    else if (m->type == API_T_OBJECT && m->members)
        (void)api_check_members(resp, v, ptr, m->members);
    else
        check_scalar(resp, v, ptr, m->type, m, m->min, m->max);
}

static const struct api_member *member_find(const struct api_member *table, const char *name)
{
    for (; table->name; table++)
        if (!strcmp(table->name, name))
            return table;
    return NULL;
}

static void unknown_member(struct api_response *resp, const char *ptr, const char *name,
                           const struct api_member *table)
{
    const char *near = NULL;
    for (; table->name; table++)
        near = word_nearer(name, table->name, near);
    if (near)
        api_error(resp, ptr, "unknown_member", "Not known here; did you mean \"%s\"?", near);
    else
        api_error(resp, ptr, "unknown_member", "Not known here.");
}

unsigned api_check_members(struct api_response *resp, const json_t *obj, const char *pointer,
                           const struct api_member *table)
{
    unsigned before = api_errors(resp);
    if (!json_is_object(obj)) {
        api_error(resp, pointer, "wrong_type", "Must be an object.");
        return 1;
    }
    const char *name;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)obj, name, v)
    {
        char at[POINTER_MAX];
        pointer_add(at, pointer, name);
        const struct api_member *m = member_find(table, name);
        if (m)
            check_value(resp, v, at, m);
        else
            unknown_member(resp, at, name, table);
    }
    for (const struct api_member *m = table; m->name; m++) {
        if (!(m->flags & API_M_REQUIRED) || json_object_get(obj, m->name))
            continue;
        char at[POINTER_MAX];
        pointer_add(at, pointer, m->name);
        api_error(resp, at, "required", "Is required.");
    }
    return api_errors(resp) - before;
}

/* ---- query parameters: the same tables, values are texts ------------------------------------ */
static bool text_int(const char *s, int64_t *ret)
{
    char *end;
    if (!*s || strspn(s, "-0123456789") != strlen(s) || strlen(s) > 19)
        return false;
    *ret = strtoll(s, &end, 10);
    return !*end;
}

static void check_query_value(struct api_response *resp, const char *at, const char *value,
                              const struct api_member *m)
{
    int64_t v;
    if (m->type == API_T_INT) {
        if (!text_int(value, &v))
            api_error(resp, at, "wrong_type", "Must be an integer.");
        else
            check_int(resp, v, at, m);
    } else if (m->type == API_T_BOOL) {
        if (!choice_has("true|false", value))
            api_error(resp, at, "unknown_value", "Must be true or false.");
    } else {
        json_t *s = json_string(value);
        if (s)
            check_scalar(resp, s, at, m->type, m, m->min, m->max);
        json_decref(s);
    }
}

static void check_page(struct api_request *req, struct api_response *resp)
{
    const char *limit = api_query(req, "limit"), *cursor = api_query(req, "cursor");
    int64_t n = API_LIMIT_DEFAULT;
    if (limit && (!text_int(limit, &n) || n < 1 || n > API_LIMIT_MAX))
        api_error(resp, "?limit", "out_of_range", "Must be an integer from 1 to %d.",
                  API_LIMIT_MAX);
    req->priv->limit = (int)n;
    req->priv->cursor = "";
    if (!cursor)
        return;
    char *out = arena_alloc(&req->arena, API_CURSOR_MAX);
    if (!out || cursor_decode(cursor, out, API_CURSOR_MAX) < 0)
        api_error(resp, "?cursor", "not_a_cursor",
                  "Take it from `next` of the page before; it is not made by hand.");
    else
        req->priv->cursor = out;
}

void query_check(struct api_request *req, struct api_response *resp)
{
    static const struct api_member page[] = {{.name = "limit"}, {.name = "cursor"}, {.name = NULL}};
    static const struct api_member none[] = {{.name = NULL}};
    const struct api_member *table = req->route->query ? req->route->query : none;
    bool list = req->route->flags & API_LIST;
    for (unsigned i = 0; i < req->priv->n_query; i++) {
        const struct api_pair *q = &req->priv->query[i];
        char at[POINTER_MAX];
        (void)snprintf(at, sizeof at, "?%.64s", q->name);
        for (unsigned k = 0; k < i; k++)
            if (!strcmp(req->priv->query[k].name, q->name))
                api_error(resp, at, "doubled", "Given twice.");
        const struct api_member *m = member_find(table, q->name);
        if (m)
            check_query_value(resp, at, q->value, m);
        else if (!list || !member_find(page, q->name))
            unknown_member(resp, at, q->name, table->name ? table : page);
    }
    for (const struct api_member *m = table; m->name; m++) {
        char at[POINTER_MAX];
        (void)snprintf(at, sizeof at, "?%s", m->name);
        if ((m->flags & API_M_REQUIRED) && !api_query(req, m->name))
            api_error(resp, at, "required", "Is required.");
    }
    if (list)
        check_page(req, resp);
}
