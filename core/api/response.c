/* SPDX-License-Identifier: Apache-2.0 */
/* response.c - finishing an answer: status, Location, ETag, headers, list pages. Sources: RFC 9110,
 * RFC 8288 (Link). */
#include "api/api_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void response_init(struct api_response *resp, struct api_response_int *priv)
{
    *resp = (struct api_response){.fd = API_FD_NONE, .priv = priv};
    *priv = (struct api_response_int){.problem = -1};
    buf_init(&resp->body, API_ANSWER_MAX);
    buf_init(&priv->extras, API_EXTRA_MAX);
    buf_init(&priv->errors, API_EXTRA_MAX);
}

void response_done(struct api_response *resp)
{
    buf_done(&resp->body);
    buf_done(&resp->priv->extras);
    buf_done(&resp->priv->errors);
    if (resp->fd >= 0)
        (void)close(resp->fd);
    resp->fd = API_FD_NONE;
}

void response_reset(struct api_response *resp)
{
    struct api_response_int *priv = resp->priv;
    response_done(resp);
    response_init(resp, priv);
}

static int finish(struct api_response *resp, int status)
{
    if (resp->body.failed)
        return api_problem(resp, PROBLEM_INTERNAL,
                           "The answer exceeds %u bytes; ask with a smaller limit.",
                           API_ANSWER_MAX);
    resp->status = status;
    return status;
}

int api_ok(struct api_response *resp)
{
    return finish(resp, 200);
}

int api_accepted(struct api_response *resp)
{
    return finish(resp, 202);
}

int api_created(struct api_response *resp, const char *location_fmt, ...)
{
    va_list ap;
    va_start(ap, location_fmt);
    (void)vsnprintf(resp->priv->location, sizeof resp->priv->location, location_fmt, ap);
    va_end(ap);
    return finish(resp, 201);
}

int api_no_content(struct api_response *resp)
{
    buf_reset(&resp->body);
    return finish(resp, 204);
}

int api_set_header(struct api_response *resp, const char *name, const char *fmt, ...)
{
    struct api_response_int *p = resp->priv;
    if (p->n_headers == API_HEADERS_MAX)
        return CGW_ELIMIT;
    struct api_header_out *h = &p->headers[p->n_headers];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(h->value, sizeof h->value, fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= sizeof h->value || strlen(name) >= sizeof h->name ||
        strpbrk(h->value, "\r\n"))
        return CGW_ELIMIT;
    (void)snprintf(h->name, sizeof h->name, "%s", name);
    p->n_headers++;
    return 0;
}

void api_etag(struct api_response *resp, int64_t version)
{
    (void)snprintf(resp->priv->etag, sizeof resp->priv->etag, "\"v%lld\"", (long long)version);
}

int api_json(struct api_response *resp, int status, json_t *doc)
{
    char *text = doc ? json_dumps(doc, JSON_COMPACT) : NULL;
    json_decref(doc);
    if (!text)
        return api_problem(resp, PROBLEM_INTERNAL, "Out of memory.");
    buf_reset(&resp->body);
    buf_puts(&resp->body, text);
    free(text);
    return finish(resp, status);
}

/* Strong comparison of entity tags (RFC 9110 13.1.1) in a list; `*` matches whatever exists. */
int api_if_match(struct api_request *req, struct api_response *resp, int64_t version)
{
    char want[40];
    (void)snprintf(want, sizeof want, "\"v%lld\"", (long long)version);
    const char *h = api_header(req, "If-Match");
    if (!h)
        return api_problem(resp, PROBLEM_IF_MATCH_REQUIRED,
                           "Send If-Match with the ETag of the answer you changed.");
    if (!strcmp(h, "*"))
        return 0;
    for (const char *p = h; *p;) {
        size_t n = strcspn(p, ",");
        size_t from = strspn(p, " \t"), to = n;
        while (to > from && (p[to - 1] == ' ' || p[to - 1] == '\t'))
            to--;
        if (to - from == strlen(want) && !memcmp(p + from, want, to - from))
            return 0;
        p += n + (p[n] == ',');
    }
    int status = api_problem(resp, PROBLEM_VERSION_MISMATCH,
                             "It is now version %s; read it again, then repeat the change.", want);
    api_problem_text(resp, "etag", "%s", want);
    return status;
}

/* ---- lists ---------------------------------------------------------------------------------- */
void api_page_begin(struct api_request *req, struct api_response *resp, struct api_page *ret)
{
    buf_reset(&resp->body);
    buf_puts(&resp->body, "{\"data\":[");
    *ret = (struct api_page){
        .limit = req->priv->limit, .after = req->priv->cursor, .data_at = resp->body.len};
}

static void put_encoded(struct buf *b, const char *s)
{
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     strchr("-._~", c);
        if (plain)
            buf_putc(b, (char)c);
        else
            buf_printf(b, "%%%02X", c);
    }
}

int api_page_end(struct api_request *req, struct api_response *resp, const struct api_page *page,
                 bool more, const char *last_cursor)
{
    (void)page;
    if (!more) {
        buf_puts(&resp->body, "],\"has_more\":false,\"next\":null}");
        return api_ok(resp);
    }
    char cursor[API_CURSOR_MAX * 2];
    cursor_encode(last_cursor, cursor, sizeof cursor);
    struct buf next;
    buf_init(&next, API_URI_MAX);
    buf_printf(&next, "%s?cursor=%s", req->path, cursor);
    for (unsigned i = 0; i < req->priv->n_query; i++) {
        const struct api_pair *q = &req->priv->query[i];
        if (!strcmp(q->name, "cursor"))
            continue;
        buf_printf(&next, "&%s=", q->name);
        put_encoded(&next, q->value);
    }
    const char *text = buf_str(&next);
    buf_puts(&resp->body, "],\"has_more\":true,\"next\":");
    buf_put_json(&resp->body, text, strlen(text));
    buf_putc(&resp->body, '}');
    /* too long for a header: the body has it */
    (void)api_set_header(resp, "Link", "<%s>; rel=\"next\"", text);
    buf_done(&next);
    return api_ok(resp);
}
