/* SPDX-License-Identifier: Apache-2.0 */
/* customers.c - /api/v1/customers: upsert stream, look-up, one customer. Numbers are taken in
 * bodies only and never given out whole. Partners learn whether a person of their own audiences is
 * contactable, nothing else, and each question is audited. No SQL here. */
#include "api/handlers/people.h"

#include "policy/policy.h"
#include "store/store_customer.h"
#include "store/store_ids.h"
#include "store/store_link.h"

#include <stdio.h>
#include <string.h>

#define CONTACTS_SHOWN 50

static const struct api_member lookup_body[] = {
    PEOPLE_MEMBERS,
    {"expand", API_T_ARRAY, 0, API_T_ENUM, .min = 0, .max = 4, .choices = "contacts"},
    {.name = NULL}};
static const struct api_member link_body[] = {PEOPLE_MEMBERS, {.name = NULL}};
static const struct api_member reassigned_body[] = {
    {"msisdn", API_T_STRING, 0, .min = 1, .max = 64},
    {"email", API_T_STRING, 0, .min = 3, .max = 254},
    {"default_region", API_T_STRING, 0, .min = 2, .max = 2},
    {.name = NULL}};
static const struct api_member get_query[] = {{"expand", API_T_ENUM, 0, .choices = "contacts"},
                                              {.name = NULL}};
static const struct api_member upload_query[] = {
    {"default_region", API_T_STRING, 0, .min = 2, .max = 2}, {.name = NULL}};

/* ---- upload
 * ----------------------------------------------------------------------------------------------------------------------
 */
struct upload {
    struct api_request *req;
    struct ingest *in; /* owned */
    struct store_customers store;
    struct people_rejects rejects;
    struct buf attrs;
};

static int pack_attrs(struct upload *u, const struct ingest_row *row, struct diag *diag)
{
    struct field_value values[CGW_FIELDS_MAX];
    const char *const *names;
    uint32_t n = ingest_fields(u->in, &names);
    if (params_unpack(row->params, row->params_len, values, n) < 0)
        return diag_set(diag, CGW_EINVAL, "", "packed fields are damaged");
    struct buf *b = &u->attrs;
    buf_reset(b);
    buf_putc(b, '{');
    for (uint32_t i = 0; i < n; i++) {
        if (!values[i].len)
            continue;
        if (b->len > 1)
            buf_putc(b, ',');
        buf_put_json(b, names[i], strlen(names[i]));
        buf_putc(b, ':');
        buf_put_json(b, values[i].data, values[i].len);
    }
    buf_putc(b, '}');
    return b->failed
               ? diag_set(diag, CGW_ELIMIT, "", "the fields of a row exceed %zu bytes", b->max)
               : 0;
}

static int take_row(void *ctx, const struct ingest_row *in, struct diag *diag)
{
    struct upload *u = ctx;
    struct store_customer_row row = {.line = (int64_t)in->line,
                                     .msisdn = in->msisdn,
                                     .email = in->email,
                                     .external_id = in->customer,
                                     .zone = in->zone,
                                     .region = in->region,
                                     .lang = in->lang,
                                     .channel = in->channel};
    int64_t unused;
    int rc = people_keys(u->req, in->msisdn[0] ? in->msisdn : in->email, &row.key, &row.alt, diag);
    if (rc == 0 && in->msisdn[0] && in->email[0])
        rc = people_keys(u->req, in->email, &row.email_key, &unused, diag);
    if (rc == 0)
        rc = pack_attrs(u, in, diag);
    if (rc < 0)
        return rc;
    row.attrs = buf_str(&u->attrs);
    row.attrs_len = u->attrs.len;
    return store_customers_put(&u->store, &row, diag);
}

static void take_reject(void *ctx, const struct ingest_reject *reject)
{
    people_rejects_add(&((struct upload *)ctx)->rejects, reject);
}

static int read_all(struct upload *u, struct store_customer_counts *counts, struct diag *diag)
{
    const char *region = api_query(u->req, "default_region");
    const struct ingest_opts opts = {.default_region = region ? region : ""};
    u->in = ingest_new(people_format(u->req->stream), u->req->stream->gzip, &opts, take_row,
                       take_reject, u, diag);
    if (!u->in)
        return diag->code;
    int rc = store_customers_open(u->req->db, &u->store, diag);
    if (rc < 0)
        return rc;
    rc = people_feed(u->req->stream, u->in, diag);
    int end =
        store_customers_close(&u->store, rc == 0, &u->req->actor, counts, rc == 0 ? diag : NULL);
    return rc < 0 ? rc : end;
}

static int upload(struct api_request *req, struct api_response *resp)
{
    if (req->scope.partner_id)
        return api_problem(resp, PROBLEM_NOT_ALLOWED, "only keys of the owner change customers");
    struct diag d = {0};
    struct store_customer_counts n = {0};
    struct upload u = {.req = req};
    people_rejects_init(&u.rejects);
    buf_init(&u.attrs, 65536);
    int status, rc = read_all(&u, &n, &d);
    if (rc < 0) {
        status = people_upload_failed(req, resp, rc, &d, &u.rejects);
    } else {
        buf_printf(
            &resp->body,
            "{\"created\":%lld,\"updated\":%lld,\"duplicate\":%lld,\"invalid\":%llu,\"rejects\":",
            (long long)n.created, (long long)n.updated, (long long)n.duplicate,
            (unsigned long long)u.rejects.total);
        people_rejects_json(&u.rejects, &resp->body);
        buf_putc(&resp->body, '}');
        status = api_ok(resp);
    }
    ingest_free(u.in);
    people_rejects_done(&u.rejects);
    buf_done(&u.attrs);
    return status;
}

/* ---- one
 * -------------------------------------------------------------------------------------------------------------------------
 */
static int show(struct api_request *req, struct api_response *resp, int64_t id, bool contacts)
{
    struct diag d = {0};
    struct buf *b = &resp->body;
    int rc = store_customer_json(req->db, req->scope, id, b, &d);
    if (rc == 0 && contacts && !req->scope.partner_id && b->len) {
        b->len--; /* the closing brace comes back behind the contacts */
        buf_puts(b, ",\"contacts\":[");
        rc = store_customer_contacts(req->db, id, CONTACTS_SHOWN, reason_word, b, &d);
        buf_puts(b, "]}");
    }
    return rc < 0 ? api_fail(req, resp, rc, &d) : api_ok(resp);
}

/* A partner asks about people: who, when and about whom is kept; strangers look like people that do
 * not exist. */
static int partner_may(struct api_request *req, int64_t id, bool *ret, struct diag *diag)
{
    *ret = true;
    if (!req->scope.partner_id)
        return 0;
    char text[STORE_ID_TEXT_MAX];
    store_id_encode("cus", id, text, sizeof text);
    int rc = store_customer_visible(req->db, req->scope, id, ret, diag);
    return rc < 0 ? rc
                  : store_audit(req->db, &req->actor, "customer.lookup", text, NULL, NULL, diag);
}

static int lookup(struct api_request *req, struct api_response *resp)
{
    struct people_ref ref;
    struct diag d = {0};
    int64_t id = 0;
    bool may = false;
    if (req->scope.partner_id && api_has(req->json, "external_id"))
        return api_problem(resp, PROBLEM_NOT_ALLOWED,
                           "partners look people up by msisdn, email or customer id");
    int status = people_ref_json(req, resp, req->json, "", &ref);
    if (status)
        return status < 0 ? api_invalid(resp) : status;
    int rc = people_resolve(req, &ref, &id, &d);
    if (rc == 0)
        rc = partner_may(req, id, &may, &d);
    if (rc < 0)
        return people_fail(req, resp, rc, &d);
    if (!may)
        return api_problem(resp, PROBLEM_NOT_FOUND, "no such customer in your audiences");
    return show(req, resp, id, json_array_size(json_object_get(req->json, "expand")) > 0);
}

static int get(struct api_request *req, struct api_response *resp)
{
    struct diag d = {0};
    int64_t id;
    bool seen = false;
    if (store_id_decode("cus", api_path_param(req, "id"), &id, &d) < 0)
        return api_problem(resp, PROBLEM_NOT_FOUND, "%s", d.text);
    int rc = req->scope.partner_id ? partner_may(req, id, &seen, &d)
                                   : store_customer_visible(req->db, req->scope, id, &seen, &d);
    if (rc < 0)
        return api_fail(req, resp, rc, &d);
    if (!seen)
        return api_problem(resp, PROBLEM_NOT_FOUND, "no such customer");
    return show(req, resp, id, api_query(req, "expand") != NULL);
}

/* ---- one person, two ids; somebody else's address; nobody any more
 * ---------------------------------------------------------------- */
/* 0, or the status of an answer already written. */
static int take_known(struct api_request *req, struct api_response *resp, int64_t *ret_id)
{
    struct diag d = {0};
    bool seen = false;
    if (req->scope.partner_id)
        return api_problem(resp, PROBLEM_NOT_ALLOWED, "only keys of the owner change customers");
    if (store_id_decode("cus", api_path_param(req, "id"), ret_id, &d) < 0)
        return api_problem(resp, PROBLEM_NOT_FOUND, "%s", d.text);
    int rc = store_customer_visible(req->db, req->scope, *ret_id, &seen, &d);
    if (rc < 0)
        return api_fail(req, resp, rc, &d);
    return seen ? 0 : api_problem(resp, PROBLEM_NOT_FOUND, "no such customer");
}

/* Last statement of each change: what is decided already is looked at again. */
static int changed(struct api_request *req, struct api_response *resp, int rc, uint64_t parts,
                   struct diag *diag)
{
    if (rc == 0)
        rc = store_facts_touch(req->db, parts, diag);
    if (rc == CGW_EEXISTS)
        return api_problem(resp, PROBLEM_STATE_CONFLICT, "%s", diag->text);
    return rc < 0 ? people_fail(req, resp, rc, diag) : 0;
}

static void put_id(struct buf *b, char before, const char *name, int64_t id)
{
    char text[STORE_ID_TEXT_MAX];
    store_id_encode("cus", id, text, sizeof text);
    if (id)
        buf_printf(b, "%c\"%s\":\"%s\"", before, name, text);
    else
        buf_printf(b, "%c\"%s\":null", before, name);
}

static int link_people(struct api_request *req, struct api_response *resp)
{
    struct people_ref ref;
    struct diag d = {0};
    uint64_t parts = 0;
    int64_t kept = 0, other = 0, gone = 0;
    int status = take_known(req, resp, &kept);
    if (!status)
        status = people_ref_json(req, resp, req->json, "", &ref);
    if (status)
        return status < 0 ? api_invalid(resp) : status;
    int rc = people_resolve(req, &ref, &other, &d);
    if (rc == 0)
        rc = store_customer_link(req->db, &req->actor, kept, other, &kept, &gone, &parts, &d);
    status = changed(req, resp, rc, parts, &d);
    if (status)
        return status;
    put_id(&resp->body, '{', "id", kept);
    put_id(&resp->body, ',', "absorbed", gone);
    buf_putc(&resp->body, '}');
    return api_ok(resp);
}

static int reassigned(struct api_request *req, struct api_response *resp)
{
    struct people_ref ref;
    struct diag d = {0};
    uint64_t parts = 0;
    int64_t id = 0, owner = 0, fresh = 0, former = 0;
    int status = take_known(req, resp, &id);
    if (!status)
        status = people_ref_json(req, resp, req->json, "", &ref);
    if (status)
        return status < 0 ? api_invalid(resp) : status;
    int rc = people_resolve(req, &ref, &owner, &d);
    if (rc == 0 && owner != id)
        return api_problem(resp, PROBLEM_STATE_CONFLICT,
                           "the address does not belong to this customer; look it up first");
    if (rc == 0)
        rc = store_customer_reassign(req->db, &req->actor, ref.key, ref.address, &fresh, &former,
                                     &parts, &d);
    status = changed(req, resp, rc, parts, &d);
    if (status)
        return status;
    put_id(&resp->body, '{', "id", fresh);
    put_id(&resp->body, ',', "former", former);
    buf_putc(&resp->body, '}');
    return api_ok(resp);
}

static int erase(struct api_request *req, struct api_response *resp)
{
    struct diag d = {0};
    uint64_t parts = 0;
    int64_t id = 0;
    int status = take_known(req, resp, &id);
    if (status)
        return status;
    int rc = store_customer_erase(req->db, &req->actor, id, &parts, &d);
    status = changed(req, resp, rc, parts, &d);
    return status ? status : api_no_content(resp);
}

const struct api_route api_routes_customers[] = {
    {"PUT", "/api/v1/customers", "customers:write", API_STREAM | API_TX, .media = PEOPLE_MEDIA,
     .query = upload_query, .handler = upload, .summary = "Create or update customers"},
    {"POST", "/api/v1/customers/lookup", "customers:read", API_JSON | API_TX, .body = lookup_body,
     .handler = lookup, .summary = "Find a customer"},
    {"GET", "/api/v1/customers/{id}", "customers:read", API_TX, .query = get_query, .handler = get,
     .summary = "Show a customer"},
    {"POST", "/api/v1/customers/{id}/link", "customers:write", API_JSON | API_TX, .body = link_body,
     .handler = link_people, .summary = "Join another customer with this one"},
    {"POST", "/api/v1/customers/{id}/reassigned", "customers:write", API_JSON | API_TX,
     .body = reassigned_body, .handler = reassigned,
     .summary = "Say that an address went to somebody else"},
    {"DELETE", "/api/v1/customers/{id}", "customers:write", API_TX, .handler = erase,
     .summary = "Forget a customer"},
    {.method = NULL}};
