/* SPDX-License-Identifier: Apache-2.0 */
/* dnd.c - /api/v1/dnd-lists: lists that keep people from being contacted, and who stands in them.
 * Entries come as CSV or NDJSON stream or, a few, as JSON. Whoever adds ends the transaction with
 * store_facts_touch(), so that the next intent sees it. No SQL here. */
#include "api/handlers/dnd_intake.h"

#include "policy/policy.h"
#include "store/store_ids.h"

#include <stdio.h>
#include <string.h>

#define JSON_ENTRIES_MAX 1000

static const struct api_member create_body[] = {
    {"name", API_T_STRING, API_M_REQUIRED, .min = 1, .max = 120},
    {"scope", API_T_ENUM, 0, .choices = "all"},
    {"channel", API_T_ENUM, 0, .choices = PEOPLE_CHANNELS},
    {"class", API_T_ENUM, 0, .choices = PEOPLE_CLASSES},
    {.name = NULL}};
static const struct api_member patch_body[] = {{"name", API_T_STRING, 0, .min = 1, .max = 120},
                                               {.name = NULL}};
static const struct api_member entry[] = {PEOPLE_MEMBERS, {.name = NULL}};
static const struct api_member entries_body[] = {{"entries", API_T_ARRAY, API_M_REQUIRED,
                                                  API_T_OBJECT, .min = 1, .max = JSON_ENTRIES_MAX,
                                                  .members = entry},
                                                 {.name = NULL}};
static const struct api_member stream_query[] = {
    {"default_region", API_T_STRING, 0, .min = 2, .max = 2},
    {"invalid", API_T_ENUM, 0, .choices = "refuse|skip"},
    {.name = NULL}};

/* ---- lists
 * -------------------------------------------------------------------------------------------------------------------------
 */
static int create(struct api_request *req, struct api_response *resp)
{
    const char *channel = api_str(req->json, "channel", ""),
               *class = api_str(req->json, "class", "");
    if ((channel[0] != 0) + (class[0] != 0) + api_has(req->json, "scope") > 1) {
        api_error(resp, "", "scope_ambiguous",
                  "give one of \"scope\":\"all\", \"channel\" or \"class\"");
        return api_invalid(resp);
    }
    int scope = DND_SCOPE_ALL;
    if (channel[0])
        scope = DND_SCOPE_CHANNEL(people_word(PEOPLE_CHANNELS, channel));
    else if (class[0])
        scope = DND_SCOPE_CLASS(people_word(PEOPLE_CLASSES, class));
    struct diag d = {0};
    char id[40];
    int rc = store_dnd_create(req->db, &req->actor, api_str(req->json, "name", ""), scope,
                              &resp->body, id, &d);
    if (rc < 0)
        return api_fail(req, resp, rc, &d);
    api_etag(resp, 1);
    return api_created(resp, "/api/v1/dnd-lists/%s", id);
}

static int list(struct api_request *req, struct api_response *resp)
{
    struct api_page page;
    struct diag d = {0};
    bool more = false;
    char cursor[API_CURSOR_MAX];
    api_page_begin(req, resp, &page);
    int rc = store_dnd_list_json(req->db, req->scope, page.after, page.limit, &resp->body, &more,
                                 cursor, sizeof cursor, &d);
    return rc < 0 ? api_fail(req, resp, rc, &d) : api_page_end(req, resp, &page, more, cursor);
}

static int show(struct api_request *req, struct api_response *resp)
{
    struct diag d = {0};
    struct store_dnd_list l;
    int rc = store_dnd_get(req->db, req->scope, api_path_param(req, "id"), false, &l, &d);
    if (rc == 0)
        rc = store_dnd_json(req->db, req->scope, l.public_id, &resp->body, &d);
    if (rc < 0)
        return api_fail(req, resp, rc, &d);
    api_etag(resp, l.version);
    return api_ok(resp);
}

static int patch(struct api_request *req, struct api_response *resp)
{
    struct diag d = {0};
    struct store_dnd_list l;
    int rc = store_dnd_get(req->db, req->scope, api_path_param(req, "id"), true, &l, &d);
    if (rc < 0)
        return api_fail(req, resp, rc, &d);
    int status = api_if_match(req, resp, l.version);
    if (status)
        return status;
    const char *name = api_str(req->json, "name", "");
    if (name[0]) {
        rc = store_dnd_rename(req->db, &req->actor, &l, name, &d);
        if (rc == CGW_EDENIED)
            return api_problem(resp, PROBLEM_STATE_CONFLICT, "%s", d.text);
        if (rc < 0)
            return api_fail(req, resp, rc, &d);
    }
    return show(req, resp);
}

static int drop(struct api_request *req, struct api_response *resp)
{
    struct diag d = {0};
    struct store_dnd_list l;
    int rc = store_dnd_get(req->db, req->scope, api_path_param(req, "id"), true, &l, &d);
    if (rc == 0)
        rc = store_dnd_delete(req->db, &req->actor, &l, &d);
    if (rc == CGW_EDENIED)
        return api_problem(resp, PROBLEM_STATE_CONFLICT, "%s", d.text);
    return rc < 0 ? api_fail(req, resp, rc, &d) : api_no_content(resp);
}

/* ---- entries
 * ------------------------------------------------------------------------------------------------------------------------
 */
enum act { ACT_REPLACE, ACT_ADD, ACT_REMOVE };

/* 0, or the status of an answer already written */
static int take_json(struct api_request *req, struct api_response *resp)
{
    const json_t *list_ = json_object_get(req->json, "entries");
    size_t n = json_array_size(list_);
    struct people_ref *refs = arena_alloc(&req->arena, n * sizeof *refs);
    if (!refs)
        return api_problem(resp, PROBLEM_OVERLOADED, "out of memory");
    for (size_t i = 0; i < n; i++) {
        char at[48];
        (void)snprintf(at, sizeof at, "/entries/%zu", i);
        int status = people_ref_json(req, resp, json_array_get(list_, i), at, &refs[i]);
        if (status > 0)
            return status;
    }
    if (api_errors(resp))
        return api_invalid(resp);
    struct diag d = {0};
    struct store_people p;
    int rc = store_people_open(req->db, &p, &d);
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = store_people_put(&p, (int64_t)i, refs[i].key, refs[i].alt, refs[i].address, &d);
    int end = store_people_close(&p, rc == 0, rc == 0 ? &d : NULL);
    rc = rc < 0 ? rc : end;
    return rc < 0 ? people_fail(req, resp, rc, &d) : 0;
}

static int apply(struct intake *k, enum act act, const struct store_dnd_list *l,
                 struct store_dnd_counts *n, struct diag *diag)
{
    struct api_request *req = k->req;
    uint64_t parts = 0;
    int rc;
    if (act == ACT_REMOVE)
        return store_dnd_remove(req->db, &req->actor, l, n, diag);
    if (k->ids)
        rc = intake_fill(k, l, n, &parts, diag);
    else if (act == ACT_REPLACE)
        rc = store_dnd_replace(req->db, &req->actor, l, n, &parts, diag);
    else
        rc = store_dnd_add(req->db, &req->actor, l, n, &parts, diag);
    return rc < 0 ? rc
                  : store_facts_touch(req->db, parts,
                                      diag); /* last: it holds up intents until the commit */
}

static int failed(struct intake *k, struct api_response *resp, int rc, const struct diag *diag)
{
    return k->no_space ? api_problem(resp, PROBLEM_NO_SPACE, "%s", diag->text)
                       : people_upload_failed(k->req, resp, rc, diag, &k->rejects);
}

static int take_people(struct api_response *resp, struct intake *k, enum act act,
                       const struct store_dnd_list *l)
{
    const char *invalid = api_query(k->req, "invalid");
    struct diag d = {0};
    bool short_way = false;
    if (k->req->json)
        return take_json(k->req, resp);
    int rc = act == ACT_REMOVE ? 0 : store_dnd_fill_may(k->req->db, l, &short_way, &d);
    if (rc == 0)
        rc = intake_read(k, short_way, invalid ? !strcmp(invalid, "refuse") : act == ACT_REPLACE,
                         &d);
    return rc < 0 ? failed(k, resp, rc, &d) : 0;
}

static int change(struct api_request *req, struct api_response *resp, enum act act)
{
    struct diag d = {0};
    struct store_dnd_list l;
    struct store_dnd_counts n = {0};
    int rc = store_dnd_get(req->db, req->scope, api_path_param(req, "id"), true, &l, &d);
    if (rc < 0)
        return api_fail(req, resp, rc, &d);
    if (act == ACT_REPLACE && l.builtin)
        return api_problem(resp, PROBLEM_STATE_CONFLICT,
                           "a built-in list is not replaced as a whole; add or remove entries");
    struct intake k;
    intake_init(&k, req);
    int status = take_people(resp, &k, act, &l);
    if (!status) {
        rc = apply(&k, act, &l, &n, &d);
        if (rc < 0)
            status = k.no_space ? failed(&k, resp, rc, &d) : api_fail(req, resp, rc, &d);
    }
    if (!status) {
        people_rejects_sort(&k.rejects);
        buf_printf(&resp->body,
                   "{\"received\":%lld,\"added\":%lld,\"present\":%lld,\"removed\":%lld,"
                   "\"invalid\":%llu,\"rejects\":",
                   (long long)n.received, (long long)n.added, (long long)n.present,
                   (long long)n.removed, (unsigned long long)k.rejects.total);
        people_rejects_json(&k.rejects, &resp->body);
        buf_putc(&resp->body, '}');
        status = api_ok(resp);
    }
    intake_done(&k);
    return status;
}

static int replace(struct api_request *req, struct api_response *resp)
{
    return change(req, resp, ACT_REPLACE);
}

static int add(struct api_request *req, struct api_response *resp)
{
    return change(req, resp, ACT_ADD);
}

static int take_off(struct api_request *req, struct api_response *resp)
{
    return change(req, resp, ACT_REMOVE);
}

static int entries(struct api_request *req, struct api_response *resp)
{
    struct api_page page;
    struct diag d = {0};
    struct store_dnd_list l;
    bool more = false;
    char cursor[API_CURSOR_MAX];
    int rc = store_dnd_get(req->db, req->scope, api_path_param(req, "id"), false, &l, &d);
    if (rc < 0)
        return api_fail(req, resp, rc, &d);
    api_page_begin(req, resp, &page);
    rc = store_dnd_entries(req->db, &l, page.after, page.limit, &resp->body, &more, cursor,
                           sizeof cursor, &d);
    return rc < 0 ? api_fail(req, resp, rc, &d) : api_page_end(req, resp, &page, more, cursor);
}

static int lookup(struct api_request *req, struct api_response *resp)
{
    struct people_ref ref;
    struct diag d = {0};
    int64_t customer;
    if (req->scope.partner_id && api_has(req->json, "external_id"))
        return api_problem(resp, PROBLEM_NOT_ALLOWED,
                           "partners look people up by msisdn, email or customer id");
    int status = people_ref_json(req, resp, req->json, "", &ref);
    if (status)
        return status < 0 ? api_invalid(resp) : status;
    int rc = people_resolve(req, &ref, &customer, &d);
    if (rc < 0)
        return people_fail(req, resp, rc, &d);
    char id[STORE_ID_TEXT_MAX];
    store_id_encode("cus", customer, id, sizeof id);
    buf_printf(&resp->body, "{\"customer\":\"%s\",\"lists\":[", id);
    rc = store_dnd_lookup(req->db, req->scope, customer, &resp->body, &d);
    buf_puts(&resp->body, "]}");
    return rc < 0 ? api_fail(req, resp, rc, &d) : api_ok(resp);
}

#define ENTRIES "/api/v1/dnd-lists/{id}/entries"
const struct api_route api_routes_dnd[] = {
    {"GET", "/api/v1/dnd-lists", "dnd-lists:read", API_READ | API_LIST, .handler = list,
     .summary = "List do-not-disturb lists"},
    {"POST", "/api/v1/dnd-lists", "dnd-lists:write", API_JSON | API_IDEM, .body = create_body,
     .handler = create, .summary = "Create a do-not-disturb list"},
    {"POST", "/api/v1/dnd-lists/lookup", "dnd-lists:read", API_JSON | API_READ, .body = entry,
     .handler = lookup, .summary = "Find the lists a person stands in"},
    {"GET", "/api/v1/dnd-lists/{id}", "dnd-lists:read", API_READ, .handler = show,
     .summary = "Show a do-not-disturb list"},
    {"PATCH", "/api/v1/dnd-lists/{id}", "dnd-lists:write", API_JSON | API_TX | API_IF_MATCH,
     .body = patch_body, .handler = patch, .summary = "Rename a do-not-disturb list"},
    {"DELETE", "/api/v1/dnd-lists/{id}", "dnd-lists:write", API_TX, .handler = drop,
     .summary = "Delete a do-not-disturb list and its entries"},
    {"PUT", ENTRIES, "dnd-lists:write", API_STREAM | API_TX, .media = PEOPLE_MEDIA,
     .query = stream_query, .handler = replace, .summary = "Replace the entries of a list"},
    {"POST", ENTRIES, "dnd-lists:write", API_JSON | API_STREAM | API_IDEM,
     .max_body = API_STREAM_DEFAULT, .media = PEOPLE_MEDIA, .body = entries_body,
     .query = stream_query, .handler = add, .summary = "Add entries to a list"},
    {"POST", ENTRIES "/remove", "dnd-lists:write", API_JSON | API_STREAM | API_IDEM,
     .max_body = API_STREAM_DEFAULT, .media = PEOPLE_MEDIA, .body = entries_body,
     .query = stream_query, .handler = take_off, .summary = "Remove entries from a list"},
    {"GET", ENTRIES, "dnd-lists:read", API_READ | API_LIST, .handler = entries,
     .summary = "List the entries of a list"},
    {.method = NULL}};
