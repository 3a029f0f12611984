/* SPDX-License-Identifier: Apache-2.0 */
/* openapi.c - /openapi.json: base.json and one fragment per noun, written by hand in openapi/,
 * merged once at start. A fragment may hold paths and components; what two fragments both define is
 * an error, so nothing is lost silently. */
#include "api/api_int.h"
#include "api/embed.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int merge_members(json_t *to, const json_t *from, const char *file, const char *what,
                         struct diag *diag)
{
    const char *name;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)from, name, v)
    {
        if (json_object_get(to, name))
            return diag_set(diag, CGW_EEXISTS, file, "%s %s is defined twice", what, name);
        if (json_object_set(to, name, v) != 0)
            return diag_set(diag, -ENOMEM, file, "out of memory");
    }
    return 0;
}

static json_t *object_at(json_t *doc, const char *name)
{
    json_t *o = json_object_get(doc, name);
    if (!o && json_object_set_new(doc, name, json_object()) == 0)
        o = json_object_get(doc, name);
    return o;
}

/* One level below the names: two fragments may add operations to one path, schemas to components.
 */
static int merge_groups(json_t *to, const json_t *from, const char *file, struct diag *diag)
{
    const char *name;
    json_t *group;
    int rc = 0;
    json_object_foreach((json_t *)(uintptr_t)from, name, group)
    {
        rc = merge_members(object_at(to, name), group, file, name, diag);
        if (rc < 0)
            break;
    }
    return rc;
}

static int merge_file(json_t *doc, const struct embedded *f, struct diag *diag)
{
    json_error_t err;
    json_t *part = json_loadb((const char *)f->data, f->len, JSON_REJECT_DUPLICATES, &err);
    if (!part)
        return diag_set(diag, CGW_EINVAL, f->name, "line %d column %d: %s", err.line, err.column,
                        err.text);
    int rc = merge_groups(object_at(doc, "paths"), json_object_get(part, "paths"), f->name, diag);
    if (rc == 0)
        rc = merge_groups(object_at(doc, "components"), json_object_get(part, "components"),
                          f->name, diag);
    (void)json_object_del(part, "paths");
    (void)json_object_del(part, "components");
    if (rc == 0)
        rc = merge_members(doc, part, f->name, "member", diag);
    json_decref(part);
    return rc;
}

int openapi_merge(char **ret, size_t *ret_len, struct diag *diag)
{
    json_t *doc = json_object();
    int rc = doc ? 0 : diag_set(diag, -ENOMEM, "", "out of memory");
    for (const struct embedded *f = api_openapi_files; rc == 0 && f->name; f++)
        rc = merge_file(doc, f, diag);
    if (rc == 0) {
        *ret = json_dumps(doc, JSON_COMPACT | JSON_SORT_KEYS);
        rc = *ret ? 0 : diag_set(diag, -ENOMEM, "", "out of memory");
        *ret_len = *ret ? strlen(*ret) : 0;
    }
    json_decref(doc);
    return rc;
}
