/* SPDX-License-Identifier: Apache-2.0 */
/* audiences.c - /api/v1/audiences: who a campaign is for. The upload itself is in
 * audiences_upload.c. No SQL here. */
#include "api/handlers/audiences.h"
#include "api/handlers/people.h"

#include <ctype.h>
#include <string.h>

static const struct api_member create_body[] = {
    {"name", API_T_STRING, API_M_REQUIRED, .min = 1, .max = 120},
    {"channels", API_T_ARRAY, 0, API_T_ENUM, .min = 1, .max = 5, .choices = PEOPLE_CHANNELS},
    {"default_region", API_T_STRING, 0, .min = 2, .max = 2},
    {"dims", API_T_ARRAY, 0, API_T_STRING, .min = 0, .max = STORE_DIMS_MAX,
     .item_max = INGEST_FIELD_NAME_MAX},
    {.name = NULL}};
static const struct api_member list_query[] = {{"archived", API_T_ENUM, 0, .choices = "true|false"},
                                               {.name = NULL}};

static bool is_field_name(const char *s)
{
    if (!isalpha((unsigned char)s[0]) && s[0] != '_')
        return false;
    for (const char *p = s; *p; p++)
        if (!isalnum((unsigned char)*p) && *p != '_')
            return false;
    return !people_word("msisdn|email|customer|zone|region|lang|channel", s);
}

static size_t take_dims(struct api_response *resp, const json_t *list,
                        const char *dims[STORE_DIMS_MAX])
{
    size_t n = json_array_size(list) < STORE_DIMS_MAX ? json_array_size(list) : STORE_DIMS_MAX;
    for (size_t i = 0; i < n; i++) {
        char at[32];
        dims[i] = json_string_value(json_array_get(list, i));
        (void)snprintf(at, sizeof at, "/dims/%zu", i);
        if (!is_field_name(dims[i]))
            api_error(resp, at, "field_name",
                      "a breakdown field is a template column: letters, digits and _, none of the "
                      "reserved columns");
        for (size_t k = 0; k < i; k++)
            if (!strcmp(dims[k], dims[i]))
                api_error(resp, at, "field_twice", "the field is named twice");
    }
    return n;
}

static int create(struct api_request *req, struct api_response *resp)
{
    const json_t *channels = json_object_get(req->json, "channels");
    const char *dims[STORE_DIMS_MAX];
    struct store_audience_new a = {.name = api_str(req->json, "name", ""),
                                   .default_region = api_str(req->json, "default_region", ""),
                                   .dims = dims};
    for (size_t i = 0; i < json_array_size(channels); i++)
        a.channel_mask |=
            1u << people_word(PEOPLE_CHANNELS, json_string_value(json_array_get(channels, i)));
    if (!a.channel_mask)
        a.channel_mask = 1u << CGW_CHANNEL_SMS;
    a.n_dims = take_dims(resp, json_object_get(req->json, "dims"), dims);
    if (a.default_region[0] && !address_region_known(a.default_region))
        api_error(resp, "/default_region", "region_unknown",
                  "not an ISO 3166-1 code in capitals, such as \"CN\"");
    if (api_errors(resp))
        return api_invalid(resp);
    struct diag d = {0};
    char id[40];
    int rc = store_audience_create(req->db, &req->actor, &a, &resp->body, id, &d);
    return rc < 0 ? api_fail(req, resp, rc, &d) : api_created(resp, "/api/v1/audiences/%s", id);
}

static int list(struct api_request *req, struct api_response *resp)
{
    struct api_page page;
    struct diag d = {0};
    bool more = false;
    char cursor[API_CURSOR_MAX];
    const char *archived = api_query(req, "archived");
    api_page_begin(req, resp, &page);
    int rc =
        store_audience_list(req->db, req->scope, archived && !strcmp(archived, "true"), page.after,
                            page.limit, &resp->body, &more, cursor, sizeof cursor, &d);
    return rc < 0 ? api_fail(req, resp, rc, &d) : api_page_end(req, resp, &page, more, cursor);
}

static int get(struct api_request *req, struct api_response *resp)
{
    struct diag d = {0};
    int rc = store_audience_json(req->db, req->scope, api_path_param(req, "id"), &resp->body, &d);
    return rc < 0 ? api_fail(req, resp, rc, &d) : api_ok(resp);
}

static int archive(struct api_request *req, struct api_response *resp)
{
    struct diag d = {0};
    int rc =
        store_audience_archive(req->db, &req->actor, req->scope, api_path_param(req, "id"), &d);
    return rc < 0 ? api_fail(req, resp, rc, &d) : api_no_content(resp);
}

static int rejects(struct api_request *req, struct api_response *resp)
{
    struct api_page page;
    struct diag d = {0};
    bool more = false;
    char cursor[API_CURSOR_MAX];
    api_page_begin(req, resp, &page);
    int rc = store_audience_rejects(req->db, req->scope, api_path_param(req, "id"), page.after,
                                    page.limit, &resp->body, &more, cursor, sizeof cursor, &d);
    return rc < 0 ? api_fail(req, resp, rc, &d) : api_page_end(req, resp, &page, more, cursor);
}

const struct api_route api_routes_audiences[] = {
    {"POST", "/api/v1/audiences", "audiences:write", API_JSON | API_IDEM_REQUIRED,
     .body = create_body, .handler = create, .summary = "Create an audience"},
    {"GET", "/api/v1/audiences", "audiences:read", API_READ | API_LIST, .query = list_query,
     .handler = list, .summary = "List audiences"},
    {"GET", "/api/v1/audiences/{id}", "audiences:read", API_READ, .handler = get,
     .summary = "Show an audience"},
    {"DELETE", "/api/v1/audiences/{id}", "audiences:write", API_TX, .handler = archive,
     .summary = "Archive an audience"},
    {"PUT", "/api/v1/audiences/{id}/recipients", "audiences:write", API_STREAM,
     .media = PEOPLE_MEDIA, .handler = audiences_upload,
     .summary = "Upload the people of an audience"},
    {"GET", "/api/v1/audiences/{id}/rejects", "audiences:read", API_READ | API_LIST,
     .handler = rejects, .summary = "List rejected rows of the last upload"},
    {.method = NULL}};
