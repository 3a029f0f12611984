/* SPDX-License-Identifier: Apache-2.0 */
/* consents.c - /api/v1/consents: grants and withdrawals, one as JSON or many as NDJSON. All of a
 * request holds or none of it. Which statement wins is store_consent.h's business. No SQL here. */
#include "api/handlers/people.h"

#include "store/store_consent.h"
#include "store/store_customer.h"
#include "store/store_ids.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define LINE_MAX_BYTES 65536u
#define STREAM_MAX (64ull << 20)

static const struct api_member consent_body[] = {
    PEOPLE_MEMBERS,
    {"action", API_T_ENUM, API_M_REQUIRED, .choices = "grant|withdraw"},
    {"purpose", API_T_STRING, API_M_REQUIRED, .min = 1, .max = 64},
    {"channel", API_T_ENUM, 0, .choices = PEOPLE_CHANNELS "|all"},
    {"source", API_T_STRING, API_M_REQUIRED, .min = 1, .max = 200},
    {"evidence", API_T_STRING, API_M_TEXT, .min = 0, .max = 2000},
    {"at", .type = API_T_TIME},
    {"expires", .type = API_T_TIME, .flags = API_M_NULLABLE},
    {.name = NULL}};
static const struct api_member list_query[] = {
    {"customer", API_T_ID, API_M_REQUIRED, .choices = "cus"},
    {"history", API_T_ENUM, 0, .choices = "true|false"},
    {.name = NULL}};

struct intake {
    struct api_request *req;
    struct api_response *resp;
    struct store_consents store;
    int64_t lines;
    int64_t first_bad; /* line, 0 none */
    int64_t now_ms;
};

static bool is_purpose(const char *s)
{
    for (const char *p = s; *p; p++)
        if (!(*p >= 'a' && *p <= 'z') && !(*p >= '0' && *p <= '9') && *p != '_' && *p != '.' &&
            *p != '-')
            return false;
    return true;
}

static void check_statement(struct intake *k, const char *pointer,
                            const struct store_consent_row *row)
{
    char at[64];
    (void)snprintf(at, sizeof at, "%s/purpose", pointer);
    if (!is_purpose(row->purpose))
        api_error(k->resp, at, "purpose_name",
                  "a purpose is written in lower case letters, digits, dot, dash and underscore, "
                  "such as \"marketing\"");
    (void)snprintf(at, sizeof at, "%s/at", pointer);
    if (row->at_utc_ms != INT64_MIN && row->at_utc_ms > k->now_ms + 60000)
        api_error(k->resp, at, "time_in_future", "a statement cannot be made in the future");
    (void)snprintf(at, sizeof at, "%s/expires", pointer);
    int64_t from = row->at_utc_ms != INT64_MIN ? row->at_utc_ms : k->now_ms;
    if (row->expires_utc_ms != INT64_MIN && row->expires_utc_ms <= from)
        api_error(k->resp, at, "expires_before_at", "the consent would end before it begins");
    if (row->expires_utc_ms != INT64_MIN && row->state == STORE_CONSENT_WITHDRAW)
        api_error(k->resp, at, "expires_withdrawal",
                  "a withdrawal does not expire; leave expires out");
    (void)snprintf(at, sizeof at, "%s/action", pointer);
    if (k->req->scope.partner_id && row->state == STORE_CONSENT_GRANT)
        api_error(k->resp, at, "partner_grant",
                  "keys of partners may record withdrawals; grants are recorded by the owner");
}

/* 0, or the status of an answer already written. Faults are collected and judged at the end. */
static int take(struct intake *k, const json_t *obj, int64_t line, const char *pointer)
{
    struct people_ref ref = {0};
    struct diag d = {0};
    int status = people_ref_json(k->req, k->resp, obj, pointer, &ref);
    if (status > 0)
        return status;
    const char *channel = api_str(obj, "channel", "all");
    struct store_consent_row row = {.line = line,
                                    .key = ref.key,
                                    .alt = ref.alt,
                                    .address = ref.address,
                                    .purpose = api_str(obj, "purpose", ""),
                                    .channel = (int16_t)people_word(PEOPLE_CHANNELS, channel),
                                    .state = !strcmp(api_str(obj, "action", ""), "grant")
                                                 ? STORE_CONSENT_GRANT
                                                 : STORE_CONSENT_WITHDRAW,
                                    .source = api_str(obj, "source", ""),
                                    .evidence = api_str(obj, "evidence", ""),
                                    .at_utc_ms = api_time(obj, "at"),
                                    .expires_utc_ms = api_time(obj, "expires")};
    check_statement(k, pointer, &row);
    if (api_errors(k->resp))
        return 0;
    int rc = store_consents_put(&k->store, &row, &d);
    return rc < 0 ? api_fail(k->req, k->resp, rc, &d) : 0;
}

static void line_fault(struct intake *k, int64_t line, const json_error_t *e)
{
    char at[32];
    (void)snprintf(at, sizeof at, "/%lld", (long long)line - 1);
    api_error(k->resp, at, "malformed_line", "line %lld, column %d: %s", (long long)line, e->column,
              e->text);
}

static int take_line(struct intake *k, const char *text, size_t len, int64_t line)
{
    char at[32];
    json_error_t e = {0};
    unsigned before = api_errors(k->resp);
    int status = 0;
    (void)snprintf(at, sizeof at, "/%lld", (long long)line - 1);
    json_t *obj = NULL;
    if (len > LINE_MAX_BYTES)
        api_error(k->resp, at, "line_too_long", "line %lld is longer than %u bytes",
                  (long long)line, LINE_MAX_BYTES);
    else if (!(obj = json_loadb(text, len, JSON_REJECT_DUPLICATES, &e)))
        line_fault(k, line, &e);
    else if (!json_is_object(obj))
        api_error(k->resp, at, "not_an_object", "line %lld is not an object", (long long)line);
    else if (api_check_members(k->resp, obj, at, consent_body) == 0)
        status = take(k, obj, line, at);
    json_decref(obj);
    if (api_errors(k->resp) > before && !k->first_bad)
        k->first_bad = line;
    return status;
}

static bool is_blank(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (s[i] != ' ' && s[i] != '\t' && s[i] != '\r')
            return false;
    return true;
}

static int take_lines(struct intake *k, const char *text, size_t len)
{
    int64_t line = 1;
    for (size_t at = 0; at < len && api_errors(k->resp) < API_ERRORS_MAX; line++) {
        const char *nl = memchr(text + at, '\n', len - at);
        size_t n = nl ? (size_t)(nl - text) - at : len - at;
        if (!is_blank(text + at, n)) {
            if (++k->lines > STORE_CONSENT_BATCH_MAX)
                return api_problem(k->resp, PROBLEM_TOO_LARGE,
                                   "more than %d statements; send them in several requests",
                                   STORE_CONSENT_BATCH_MAX);
            int status = take_line(k, text + at, n, line);
            if (status)
                return status;
        }
        at += n + 1;
    }
    if (!k->lines)
        return api_problem(k->resp, PROBLEM_MALFORMED_UPLOAD,
                           "the upload is empty; send one statement per line");
    return 0;
}

static int take_stream(struct intake *k)
{
    const struct api_stream *s = k->req->stream;
    if (s->gzip)
        return api_problem(k->resp, PROBLEM_MEDIA_TYPE,
                           "consents are taken without Content-Encoding");
    if (s->len == 0)
        return api_problem(k->resp, PROBLEM_MALFORMED_UPLOAD,
                           "the upload is empty; send one statement per line");
    void *map = mmap(NULL, (size_t)s->len, PROT_READ, MAP_PRIVATE, s->fd, 0);
    if (map == MAP_FAILED)
        return api_problem(k->resp, PROBLEM_INTERNAL, "the spooled body cannot be read");
    int status = take_lines(k, map, (size_t)s->len);
    (void)munmap(map, (size_t)s->len);
    return status;
}

static int finish(struct intake *k)
{
    struct store_consent_counts n;
    struct diag d = {0};
    uint64_t withdrawn_parts = 0;
    int rc = store_consents_close(&k->store, true, &k->req->actor, &n, &withdrawn_parts, &d);
    if (rc == 0)
        rc = store_facts_touch(k->req->db, withdrawn_parts,
                               &d); /* last: it holds up intents until the commit */
    if (rc < 0)
        return api_fail(k->req, k->resp, rc, &d);
    buf_printf(&k->resp->body, "{\"granted\":%lld,\"withdrawn\":%lld,\"outdated\":%lld}",
               (long long)n.granted, (long long)n.withdrawn, (long long)n.outdated);
    return api_ok(k->resp);
}

static int record(struct api_request *req, struct api_response *resp)
{
    struct intake k = {.req = req, .resp = resp};
    struct diag d = {0};
    int rc = store_now(req->db, &k.now_ms, &d);
    if (rc < 0)
        return api_fail(req, resp, rc, &d);
    rc = store_consents_open(req->db, &k.store, &d);
    if (rc < 0)
        return api_fail(req, resp, rc, &d);
    int status = req->json ? take(&k, req->json, 1, "") : take_stream(&k);
    if (!status && !api_errors(resp))
        return finish(&k);
    struct store_consent_counts unused;
    uint64_t parts;
    rc = store_consents_close(&k.store, false, &req->actor, &unused, &parts, NULL);
    (void)rc; /* only frees */
    if (status)
        return status;
    status = api_invalid(resp);
    if (k.first_bad) {
        char line[24];
        (void)snprintf(line, sizeof line, "%lld", (long long)k.first_bad);
        api_problem_json(resp, "line", line);
    }
    return status;
}

static int list(struct api_request *req, struct api_response *resp)
{
    struct api_page page;
    struct diag d = {0};
    int64_t id;
    bool more = false;
    char cursor[API_CURSOR_MAX];
    const char *history = api_query(req, "history");
    if (req->scope.partner_id)
        return api_problem(resp, PROBLEM_NOT_ALLOWED,
                           "consents are shown to keys of the owner; POST /api/v1/customers/lookup "
                           "says whether a person is contactable");
    if (store_id_decode("cus", api_query(req, "customer"), &id, &d) < 0) {
        api_error(resp, "/customer", "id_invalid", "%s", d.text);
        return api_invalid(resp);
    }
    api_page_begin(req, resp, &page);
    int rc = store_consent_list(req->db, id, history && !strcmp(history, "true"), page.after,
                                page.limit, &resp->body, &more, cursor, sizeof cursor, &d);
    return rc < 0 ? api_fail(req, resp, rc, &d) : api_page_end(req, resp, &page, more, cursor);
}

const struct api_route api_routes_consents[] = {
    {"POST", "/api/v1/consents", "consents:write", API_JSON | API_STREAM | API_IDEM_REQUIRED,
     .max_body = STREAM_MAX, .media = "application/x-ndjson", .body = consent_body,
     .handler = record, .summary = "Record grants and withdrawals of consent"},
    {"GET", "/api/v1/consents", "consents:read", API_READ | API_LIST, .query = list_query,
     .handler = list, .summary = "List the consents of a customer"},
    {.method = NULL}};
