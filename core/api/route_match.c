/* SPDX-License-Identifier: Apache-2.0 */
/* route_match.c - finds the route of a request, checks and prints the tables. */
#include "api/api_int.h"

#include <stdio.h>
#include <string.h>

/* Value of a {param}: what our ids and names consist of. */
static bool segment_ok(const char *s, size_t n)
{
    static const char extra[] = "_-.";
    if (!n || n > 128)
        return false;
    for (size_t i = 0; i < n; i++) {
        char c = s[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
              memchr(extra, c, sizeof extra - 1)))
            return false;
    }
    return true;
}

struct span {
    const char *at;
    size_t len;
};

/* Walks template and path side by side; names and values of {params} are spans of their texts. */
static bool path_match(const char *tmpl, const char *path, struct span *names, struct span *values,
                       unsigned *ret_n)
{
    *ret_n = 0;
    while (*tmpl) {
        if (*tmpl != '{') {
            if (*tmpl++ != *path++)
                return false;
            continue;
        }
        size_t name = strcspn(tmpl, "}"), seg = strcspn(path, "/");
        if (!segment_ok(path, seg) || *ret_n == API_PATH_PARAMS_MAX)
            return false;
        names[*ret_n] = (struct span){tmpl + 1, name - 1};
        values[(*ret_n)++] = (struct span){path, seg};
        tmpl += name + 1;
        path += seg;
    }
    return !*path;
}

static void add_allowed(char *out, size_t size, const char *method)
{
    size_t o = strlen(out);
    if (!strstr(out, method))
        (void)snprintf(out + o, size - o, "%s%s", o ? ", " : "", method);
}

static void take_params(struct api_path_value *params, const struct span *names,
                        const struct span *values, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        (void)snprintf(params[i].name, sizeof params[i].name, "%.*s", (int)names[i].len,
                       names[i].at);
        (void)snprintf(params[i].value, sizeof params[i].value, "%.*s", (int)values[i].len,
                       values[i].at);
    }
}

const struct api_route *route_find(const char *method, const char *path,
                                   struct api_path_value *params, unsigned *ret_n,
                                   char *ret_allowed, size_t allowed_size)
{
    struct span names[API_PATH_PARAMS_MAX], values[API_PATH_PARAMS_MAX];
    const char *wanted = !strcmp(method, "HEAD") ? "GET" : method;
    ret_allowed[0] = 0;
    for (const struct api_route *const *t = api_route_tables; *t; t++) {
        for (const struct api_route *r = *t; r->method; r++) {
            unsigned n;
            if (!path_match(r->path, path, names, values, &n))
                continue;
            add_allowed(ret_allowed, allowed_size, r->method);
            if (strcmp(r->method, wanted) != 0)
                continue;
            *ret_n = n;
            take_params(params, names, values, n);
            return r;
        }
    }
    return NULL;
}

static int route_check(const struct api_route *r, struct diag *diag)
{
    if (!r->handler || !r->summary || r->path[0] != '/')
        return diag_set(diag, CGW_EINVAL, r->path, "route %s %s lacks a handler, summary or path",
                        r->method, r->path);
    if (r->scope && api_scope_bit(r->scope) < 0)
        return diag_set(diag, CGW_EINVAL, r->path, "route %s %s names the unknown scope %s",
                        r->method, r->path, r->scope);
    if ((r->flags & API_STREAM) && !r->media)
        return diag_set(diag, CGW_EINVAL, r->path,
                        "route %s %s takes a stream but names no media type", r->method, r->path);
    if (!(r->flags & API_STREAM) && r->max_body > API_BODY_JSON_MAX)
        return diag_set(diag, CGW_EINVAL, r->path, "route %s %s allows a JSON body above %u bytes",
                        r->method, r->path, API_BODY_JSON_MAX);
    if ((r->flags & API_INLINE) && (r->scope || r->flags != API_INLINE))
        return diag_set(diag, CGW_EINVAL, r->path, "route %s %s is inline and may be nothing else",
                        r->method, r->path);
    return 0;
}

int routes_check(struct diag *diag)
{
    for (const struct api_route *const *t = api_route_tables; *t; t++) {
        for (const struct api_route *r = *t; r->method; r++) {
            int rc = route_check(r, diag);
            if (rc < 0)
                return rc;
            for (const struct api_route *const *u = t; *u; u++)
                for (const struct api_route *s = *u == *t ? r + 1 : *u; s->method; s++)
                    if (!strcmp(r->method, s->method) && !strcmp(r->path, s->path))
                        return diag_set(diag, CGW_EEXISTS, r->path,
                                        "route %s %s stands twice in the tables", r->method,
                                        r->path);
        }
    }
    return 0;
}

void api_dump_routes(struct buf *out)
{
    for (const struct api_route *const *t = api_route_tables; *t; t++)
        for (const struct api_route *r = *t; r->method; r++)
            buf_printf(out, "%s %s %s\n", r->method, r->path, r->scope ? r->scope : "-");
}
