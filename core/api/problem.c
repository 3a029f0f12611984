/* SPDX-License-Identifier: Apache-2.0 */
/* problem.c - errors as application/problem+json: collect, map from store answers, render. Source:
 * RFC 9457. */
#include "api/api_int.h"

#include "store/store_trouble.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    int status;
    const char *slug, *title;
} problems[PROBLEM_COUNT] = {
#define API_PROBLEM(sym, status_, slug_, title_) [PROBLEM_##sym] = {status_, slug_, title_},
#include "api/problems.def"
#undef API_PROBLEM
};

int problem_status(enum api_problem_id id)
{
    return problems[id].status;
}

const char *problem_slug(enum api_problem_id id)
{
    return problems[id].slug;
}

int api_problem(struct api_response *resp, enum api_problem_id id, const char *detail_fmt, ...)
{
    struct api_response_int *p = resp->priv;
    va_list ap;
    va_start(ap, detail_fmt);
    (void)vsnprintf(p->detail, sizeof p->detail, detail_fmt, ap);
    va_end(ap);
    p->problem = (int)id;
    buf_reset(&p->extras);
    buf_reset(&resp->body);
    p->location[0] = p->etag[0] = 0;
    resp->status = problems[id].status;
    return resp->status;
}

void api_problem_text(struct api_response *resp, const char *name, const char *value_fmt, ...)
{
    char value[512];
    va_list ap;
    va_start(ap, value_fmt);
    (void)vsnprintf(value, sizeof value, value_fmt, ap);
    va_end(ap);
    buf_printf(&resp->priv->extras, ",\"%s\":", name);
    buf_put_json(&resp->priv->extras, value, strlen(value));
}

void api_problem_json(struct api_response *resp, const char *name, const char *json)
{
    buf_printf(&resp->priv->extras, ",\"%s\":%s", name, json);
}

void api_error(struct api_response *resp, const char *pointer, const char *code,
               const char *detail_fmt, ...)
{
    struct api_response_int *p = resp->priv;
    if (p->n_errors++ >= API_ERRORS_MAX)
        return;
    char detail[400];
    va_list ap;
    va_start(ap, detail_fmt);
    (void)vsnprintf(detail, sizeof detail, detail_fmt, ap);
    va_end(ap);
    /* a query parameter has no pointer: RFC 9457 lets extension members name it otherwise */
    buf_puts(&p->errors, p->errors.len ? "," : "");
    buf_puts(&p->errors, pointer[0] == '?' ? "{\"parameter\":" : "{\"pointer\":");
    const char *where = pointer[0] == '?' ? pointer + 1 : pointer;
    buf_put_json(&p->errors, where, strlen(where));
    buf_printf(&p->errors, ",\"code\":\"%s\",\"detail\":", code);
    buf_put_json(&p->errors, detail, strlen(detail));
    buf_putc(&p->errors, '}');
}

unsigned api_errors(const struct api_response *resp)
{
    return resp->priv->n_errors;
}

int api_invalid(struct api_response *resp)
{
    unsigned n = resp->priv->n_errors;
    if (n > API_ERRORS_MAX)
        return api_problem(resp, PROBLEM_VALIDATION_FAILED, "%u faults, the first %d are listed.",
                           n, API_ERRORS_MAX);
    return api_problem(resp, PROBLEM_VALIDATION_FAILED, "%u fault%s.", n, n == 1 ? "" : "s");
}

/* ---- from a store function's answer --------------------------------------------------------- */
static int database_problem(struct api_response *resp, const struct diag *diag)
{
    /* PostgreSQL error classes, appendix A of its manual */
    if (!strncmp(diag->where, "22", 2))
        return api_problem(resp, PROBLEM_VALIDATION_FAILED, "A value is not acceptable: %s",
                           diag->text);
    if (!strcmp(diag->where, "23505"))
        return api_problem(resp, PROBLEM_ALREADY_EXISTS,
                           "Something with these values exists already.");
    if (!strcmp(diag->where, "23503"))
        return api_problem(resp, PROBLEM_IN_USE, "Something else refers to it.");
    const char *trouble = store_trouble_of(diag);
    if (trouble) {
        resp->priv->retry_after_s = 5;
        return api_problem(resp, PROBLEM_DATABASE_UNAVAILABLE, "Nothing was changed. %s", trouble);
    }
    if (!strncmp(diag->where, "53", 2) || !strncmp(diag->where, "57", 2)) {
        resp->priv->retry_after_s = 2;
        return api_problem(resp, PROBLEM_DATABASE_UNAVAILABLE,
                           "The database has no room or stopped the statement.");
    }
    return api_problem(resp, PROBLEM_INTERNAL,
                       "The database refused the statement (SQLSTATE %s); the log has its words.",
                       diag->where);
}

static const struct {
    int code;
    enum api_problem_id id;
} codes[] = {
    {CGW_ENOTFOUND, PROBLEM_NOT_FOUND},
    {CGW_EEXISTS, PROBLEM_ALREADY_EXISTS},
    {CGW_ESTATE, PROBLEM_STATE_CONFLICT},
    {CGW_EBUSY, PROBLEM_IN_USE},
    {CGW_ECONFLICT, PROBLEM_VERSION_MISMATCH},
    {CGW_EDENIED, PROBLEM_NOT_ALLOWED},
    {-ENOSPC, PROBLEM_NO_SPACE},
};

static int lost_database(struct api_response *resp)
{
    resp->priv->db_gone = true;
    resp->priv->retry_after_s = 2;
    return api_problem(
        resp, PROBLEM_DATABASE_UNAVAILABLE,
        "The connection to the database was lost; nothing was changed unless the answer said so.");
}

int api_fail(struct api_request *req, struct api_response *resp, int rc, const struct diag *diag)
{
    (void)req;
    if (rc == -ENOTCONN)
        return lost_database(resp);
    if (rc == CGW_EDB) {
        resp->priv->db_error = true;
        return database_problem(resp, diag);
    }
    for (size_t i = 0; i < ARRAY_LEN(codes); i++)
        if (codes[i].code == rc)
            return api_problem(resp, codes[i].id, "%s", diag->text);
    if (rc == CGW_EINVAL || rc == CGW_ELIMIT) {
        if (diag->where[0] != '/' && diag->where[0] != '?')
            return api_problem(resp, PROBLEM_VALIDATION_FAILED, "%s%s%s", diag->where,
                               diag->where[0] ? ": " : "", diag->text);
        api_error(resp, diag->where, rc == CGW_EINVAL ? "invalid" : "limit", "%s", diag->text);
        return api_invalid(resp);
    }
    return api_problem(resp, PROBLEM_INTERNAL, "%s", diag->text);
}

/* ---- rendering ------------------------------------------------------------------------------ */
void response_render(struct api_response *resp, const char *request_id)
{
    struct api_response_int *p = resp->priv;
    if (p->problem < 0)
        return;
    struct buf *b = &resp->body;
    buf_reset(b);
    buf_printf(b, "{\"type\":\"/problems/%s\",\"title\":\"%s\",\"status\":%d,\"detail\":",
               problems[p->problem].slug, problems[p->problem].title, resp->status);
    buf_put_json(b, p->detail, strlen(p->detail));
    buf_puts(b, ",\"instance\":");
    buf_put_json(b, request_id, strlen(request_id));
    if (p->errors.len && !p->errors.failed) {
        buf_puts(b, ",\"errors\":[");
        buf_put(b, p->errors.data, p->errors.len);
        buf_putc(b, ']');
    }
    if (p->extras.len && !p->extras.failed)
        buf_put(b, p->extras.data, p->extras.len);
    buf_putc(b, '}');
    resp->content_type = "application/problem+json";
}
