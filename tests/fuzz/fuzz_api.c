/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_api.c - what a client says before anything is looked up: target, query, headers, JSON body
 * and the values in them, a form with a file; and a stored answer read back. Input: first octet =
 * which of them, the rest = its text (a body: second octet = which route). Promises: what is read
 * can be written and reads the same, every refusal is a document that a strict JSON parser takes.
 * Source document: core/api/README.md. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memfd_create */
#endif
#include "api/api_int.h"
#include "fuzz_ingest.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void check_document(struct api_response *resp)
{
    response_render(resp, "req_0");
    const char *text = buf_str(&resp->body);
    json_t *doc = json_loadb(text, resp->body.len, JSON_REJECT_DUPLICATES, NULL);
    CHECK(json_is_object(doc) && json_is_string(json_object_get(doc, "type")));
    CHECK(resp->status >= 400 && resp->status < 600);
    json_decref(doc);
}

static void on_time(const char *text, size_t len)
{
    int64_t ms = 0, again = 0;
    char out[25];
    (void)len;
    if (api_time_parse(text, &ms) != 0)
        return;
    api_time_format(ms, out);
    CHECK(strlen(out) == 24);
    /* years 1970 to 9999 are read; an offset may lead one day out of them */
    CHECK(ms < 0 || ms >= INT64_C(253402300800000) ||
          (api_time_parse(out, &again) == 0 && again == ms));
}

static void on_duration(const char *text, size_t len)
{
    int64_t ms = -1;
    (void)len;
    CHECK(api_duration_parse(text, &ms) != 0 || (ms >= 0 && ms % 1000 == 0));
}

static void on_cursor(const char *text, size_t len)
{
    char out[API_CURSOR_MAX], back[API_CURSOR_MAX * 2], again[API_CURSOR_MAX];
    int n = cursor_decode(text, out, sizeof out);
    (void)len;
    if (n < 0)
        return;
    CHECK((size_t)n == strlen(out) && text_is_utf8(out, (size_t)n));
    cursor_encode(out, back, sizeof back);
    CHECK(cursor_decode(back, again, sizeof again) == n && !strcmp(out, again));
}

static void check_query(const struct api_route *route, struct api_request_int *rq)
{
    struct api_response_int rs;
    struct api_response resp;
    struct api_request req = {.route = route, .priv = rq};
    response_init(&resp, &rs);
    arena_init(&req.arena, 1u << 16);
    query_check(&req, &resp);
    if (api_errors(&resp)) {
        (void)api_invalid(&resp);
        check_document(&resp);
    }
    arena_done(&req.arena);
    response_done(&resp);
}

static void on_target(const char *text, size_t len)
{
    static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"};
    char uri[API_URI_MAX], allowed[64];
    struct api_request_int rq = {.limit = 0};
    const char *path;
    if (len >= sizeof uri)
        return;
    memcpy(uri, text, len + 1);
    if (uri_parse(uri, &path, rq.query, API_QUERY_MAX, &rq.n_query))
        return;
    CHECK(text_is_utf8(path, strlen(path)) && rq.n_query <= API_QUERY_MAX);
    for (unsigned i = 0; i < rq.n_query; i++)
        CHECK(text_is_utf8(rq.query[i].name, strlen(rq.query[i].name)) &&
              text_is_utf8(rq.query[i].value, strlen(rq.query[i].value)));
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        const struct api_route *route =
            route_find(methods[i], path, rq.path, &rq.n_path, allowed, sizeof allowed);
        CHECK(strlen(allowed) < sizeof allowed && rq.n_path <= API_PATH_PARAMS_MAX);
        if (route)
            check_query(route, &rq);
    }
}

static void on_idempotency_key(const char *text, size_t len)
{
    char key[API_IDEM_KEY_MAX + 1];
    (void)len;
    if (!idem_key_parse(text, key, sizeof key))
        return;
    size_t n = strlen(key);
    CHECK(n >= 1 && n <= API_IDEM_KEY_MAX);
    for (size_t i = 0; i < n; i++)
        CHECK(key[i] > 0x20 && key[i] < 0x7f);
}

static void on_digest(const char *text, size_t len)
{
    unsigned char sum[32];
    int rc = digest_parse(text, sum);
    (void)len;
    CHECK(rc >= -1 && rc <= 1);
}

/* The table of the n-th route that takes a body. */
static const struct api_member *body_table(unsigned n)
{
    const struct api_member *found[256];
    unsigned count = 0;
    for (const struct api_route *const *t = api_route_tables; *t; t++)
        for (const struct api_route *r = *t; r->method; r++)
            if (r->body && count < ARRAY_LEN(found))
                found[count++] = r->body;
    CHECK(count > 10);
    return found[n % count];
}

static void on_body(const char *text, size_t len)
{
    struct api_response_int rs;
    struct api_response resp;
    if (!len)
        return;
    response_init(&resp, &rs);
    json_t *doc = json_body_parse(&resp, text + 1, len - 1);
    if (doc && api_check_members(&resp, doc, "", body_table((unsigned char)text[0])))
        (void)api_invalid(&resp);
    if (rs.problem >= 0)
        check_document(&resp);
    CHECK(doc || rs.problem >= 0);
    json_decref(doc);
    response_done(&resp);
}

static void on_stored_answer(const char *text, size_t len)
{
    struct api_response_int rs, rs2;
    struct api_response resp, again;
    struct buf packed;
    response_init(&resp, &rs);
    response_init(&again, &rs2);
    buf_init(&packed, 1u << 20);
    if (idem_unpack(&resp, 201, text, len) && idem_pack(&resp, &packed)) {
        CHECK(idem_unpack(&again, 201, packed.data, packed.len));
        CHECK(again.body.len == resp.body.len);
        CHECK(!resp.body.len || !memcmp(again.body.data, resp.body.data, resp.body.len));
        CHECK(!strcmp(rs.location, rs2.location) && !strcmp(rs.etag, rs2.etag));
    }
    buf_done(&packed);
    response_done(&resp);
    response_done(&again);
}

/* ---- a form: first line = Content-Type, the rest = the body */
static const char *form_type;

static const char *header_of_form(void *conn, const char *name)
{
    (void)conn;
    return !strcmp(name, "Content-Type") ? form_type : NULL;
}

static const struct api_route *route_with_form(void)
{
    for (const struct api_route *const *t = api_route_tables; *t; t++)
        for (const struct api_route *r = *t; r->method; r++)
            if (r->flags & API_FORM)
                return r;
    CHECK(0);
    return NULL;
}

static void on_form(const char *text, size_t len)
{
    static struct api_call call; /* too large for a stack */
    char type[512];
    const char *body = memchr(text, '\n', len);
    if (!body || (size_t)(body - text) >= sizeof type || memchr(text, 0, (size_t)(body - text)))
        return;
    (void)snprintf(type, sizeof type, "%.*s", (int)(body - text), text);
    form_type = type;
    size_t n = len - (size_t)(++body - text);
    call = (struct api_call){.rq = {.header = header_of_form}};
    call.req = (struct api_request){.priv = &call.rq, .route = route_with_form()};
    call.stream = (struct api_stream){
        .fd = memfd_create("form", MFD_CLOEXEC), .len = (int64_t)n, .spooled = (int64_t)n};
    CHECK(call.stream.fd >= 0 && (!n || write(call.stream.fd, body, n) == (ssize_t)n));
    response_init(&call.resp, &call.rs);
    bool ok = form_unwrap(&call);
    const struct api_stream *s = &call.stream;
    if (ok && api_errors(&call.resp))
        (void)api_invalid(&call.resp);
    if (call.rs.problem >= 0)
        check_document(&call.resp);
    CHECK(ok || call.rs.problem >= 0);
    if (call.rs.problem < 0) { /* within the body, between two borders, under a known type */
        CHECK(s->at > 4 && s->len >= 0 && s->at + s->len + 4 < (int64_t)n);
        CHECK(!memcmp(body + s->at - 4, "\r\n\r\n", 4) &&
              !memcmp(body + s->at + s->len, "\r\n--", 4));
        CHECK(media_type_listed(call.req.route->media, s->media) && strlen(s->name) <= 100);
    } else {
        CHECK(s->at == 0 && s->len == (int64_t)n);
    }
    (void)close(call.stream.fd);
    response_done(&call.resp);
}

static void (*const readers[])(const char *, size_t) = {on_time,   on_duration,        on_cursor,
                                                        on_target, on_idempotency_key, on_digest,
                                                        on_body,   on_stored_answer,   on_form};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    char *text = malloc(size); /* exact size with its NUL: reading past the end is seen */
    CHECK(text);
    memcpy(text, data + 1, size - 1);
    text[size - 1] = 0;
    void (*read_it)(const char *, size_t) = readers[data[0] % ARRAY_LEN(readers)];
    /* headers and values are texts that end at their NUL; a body may hold any octet */
    bool body = read_it == on_body || read_it == on_form || read_it == on_stored_answer;
    if (body || !memchr(text, 0, size - 1))
        read_it(text, size - 1);
    free(text);
    return 0;
}
