/* SPDX-License-Identifier: Apache-2.0 */
/* request.c - reading a request: target (RFC 3986), query, headers, members of the body; strict
 * JSON (RFC 8259). */
#include "api/api_int.h"

#include <stdio.h>
#include <string.h>

/* ---- request target ------------------------------------------------------------------------- */
static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Decodes [s, s+len) in place and ends it with NUL (there is always a byte behind it: separator or
 * NUL). */
static const char *decode(char *s, size_t len, bool plus)
{
    size_t o = 0;
    for (size_t i = 0; i < len; i++) {
        char c = s[i];
        if (c == '%') {
            int hi = i + 2 < len ? hex(s[i + 1]) : -1;
            int lo = hi >= 0 ? hex(s[i + 2]) : -1;
            if (lo < 0)
                return "a % sign in the target is not followed by two hexadecimal digits";
            c = (char)(hi << 4 | lo);
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        if ((unsigned char)c < 0x20 || c == 0x7f)
            return "the target holds a control character";
        s[o++] = c;
    }
    s[o] = 0;
    return text_is_utf8(s, o) ? NULL : "the target is not UTF-8";
}

const char *uri_parse(char *uri, const char **ret_path, struct api_pair *query, unsigned query_max,
                      unsigned *ret_n)
{
    *ret_n = 0;
    *ret_path = uri;
    if (uri[0] != '/')
        return "the target must begin with /";
    size_t path_len = strcspn(uri, "?#");
    char *p = uri[path_len] == '?' ? uri + path_len + 1 : NULL;
    const char *fault = decode(uri, path_len, false);
    while (!fault && p && *p) {
        size_t len = strcspn(p, "&");
        bool last = !p[len];
        size_t name_len = strcspn(p, "=&");
        char *value = p + name_len + (p[name_len] == '=');
        size_t value_len = name_len < len ? len - name_len - 1 : 0;
        if (len) {
            if (*ret_n == query_max)
                return "too many query parameters";
            query[*ret_n] = (struct api_pair){p, name_len < len ? value : ""};
            ++*ret_n;
            if (name_len < len)
                fault = decode(value, value_len, true);
            if (!fault)
                fault = decode(p, name_len, true);
        }
        p = last ? NULL : p + len + 1;
    }
    return fault;
}

/* ---- parts of a request --------------------------------------------------------------------- */
const char *api_path_param(const struct api_request *req, const char *name)
{
    for (unsigned i = 0; i < req->priv->n_path; i++)
        if (!strcmp(req->priv->path[i].name, name))
            return req->priv->path[i].value;
    return "";
}

const char *api_query(const struct api_request *req, const char *name)
{
    for (unsigned i = 0; i < req->priv->n_query; i++)
        if (!strcmp(req->priv->query[i].name, name))
            return req->priv->query[i].value;
    return NULL;
}

int64_t api_query_int(const struct api_request *req, const char *name, int64_t absent)
{
    const char *v = api_query(req, name);
    return v ? strtoll(v, NULL, 10) : absent;
}

const char *api_header(const struct api_request *req, const char *name)
{
    return req->priv->header(req->priv->conn, name);
}

bool api_has_scope(const struct api_request *req, const char *scope)
{
    int bit = api_scope_bit(scope);
    return bit >= 0 && (req->caller.scopes >> bit & 1);
}

bool api_may_class(const struct api_request *req, uint32_t contact_class)
{
    if (contact_class > 31 || !(req->caller.class_mask >> contact_class & 1))
        return false;
    return contact_class != CGW_CLASS_EMERGENCY || api_has_scope(req, "campaigns:emergency");
}

/* ---- members of a checked body -------------------------------------------------------------- */
const char *api_str(const json_t *obj, const char *name, const char *absent)
{
    const json_t *v = json_object_get(obj, name);
    return json_is_string(v) ? json_string_value(v) : absent;
}

int64_t api_int(const json_t *obj, const char *name, int64_t absent)
{
    const json_t *v = json_object_get(obj, name);
    return json_is_integer(v) ? json_integer_value(v) : absent;
}

bool api_bool(const json_t *obj, const char *name, bool absent)
{
    const json_t *v = json_object_get(obj, name);
    return json_is_boolean(v) ? json_is_true(v) : absent;
}

bool api_has(const json_t *obj, const char *name)
{
    return json_object_get(obj, name) != NULL;
}

int64_t api_time(const json_t *obj, const char *name)
{
    const char *s = api_str(obj, name, NULL);
    int64_t ms;
    return s && api_time_parse(s, &ms) == 0 ? ms : INT64_MIN;
}

int64_t api_duration(const json_t *obj, const char *name, int64_t absent_ms)
{
    const char *s = api_str(obj, name, NULL);
    int64_t ms;
    return s && api_duration_parse(s, &ms) == 0 ? ms : absent_ms;
}

/* ---- strict JSON ---------------------------------------------------------------------------- */
/* Deepest nesting and where it passes the limit, without parsing: the parser recurses, we do not
 * let it. */
static bool depth_ok(const char *text, size_t len, unsigned *ret_line, unsigned *ret_column)
{
    unsigned depth = 0, line = 1, column = 0;
    bool in_string = false;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        column++;
        if (c == '\n') {
            line++;
            column = 0;
        }
        if (in_string) {
            if (c == '\\' && i + 1 < len) {
                i++;
                column++;
            } else if (c == '"') {
                in_string = false;
            }
            continue;
        }
        if (c == '"')
            in_string = true;
        else if ((c == '{' || c == '[') && ++depth > API_JSON_DEPTH) {
            *ret_line = line;
            *ret_column = column;
            return false;
        } else if ((c == '}' || c == ']') && depth) {
            depth--;
        }
    }
    return true;
}

static void put_place(struct api_response *resp, unsigned line, unsigned column)
{
    char n[16];
    (void)snprintf(n, sizeof n, "%u", line);
    api_problem_json(resp, "line", n);
    (void)snprintf(n, sizeof n, "%u", column);
    api_problem_json(resp, "column", n);
}

json_t *json_body_parse(struct api_response *resp, const char *text, size_t len)
{
    unsigned line = 0, column = 0;
    if (!depth_ok(text, len, &line, &column)) {
        (void)api_problem(resp, PROBLEM_MALFORMED_BODY, "Nested deeper than %d levels.",
                          API_JSON_DEPTH);
        put_place(resp, line, column);
        return NULL;
    }
    json_error_t err;
    json_t *doc = json_loadb(text, len, JSON_REJECT_DUPLICATES, &err);
    if (doc && json_is_object(doc))
        return doc;
    if (doc) {
        json_decref(doc);
        (void)api_problem(resp, PROBLEM_MALFORMED_BODY, "The body must be a JSON object.");
        put_place(resp, 1, 1);
        return NULL;
    }
    /* the parser quotes what stands near the fault: the client's own words, which may hold a
     * number, stay out of the answer */
    char words[sizeof err.text];
    (void)snprintf(words, sizeof words, "%s", len ? err.text : "the body is empty");
    char *near = strstr(words, " near '");
    if (near)
        *near = 0;
    (void)api_problem(resp, PROBLEM_MALFORMED_BODY, "Not JSON: %s.", words);
    put_place(resp, err.line > 0 ? (unsigned)err.line : 1,
              err.column > 0 ? (unsigned)err.column : 1);
    return NULL;
}
