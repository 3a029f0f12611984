/* SPDX-License-Identifier: Apache-2.0 */
/* decisions.c - /api/v1/decisions: would this customer be contacted, on this channel, at this time?
 * Same facts, same policy as the dispatcher; writes nothing about the person. Keys of partners
 * learn only whether their own people are contactable, and their asking is audited. */
#include "api/handlers/people.h"

#include "policy/policy.h"
#include "store/store_campaign.h"
#include "store/store_customer.h"
#include "store/store_ids.h"

#include <stdio.h>
#include <string.h>

static const struct api_member decide_body[] = {
    PEOPLE_MEMBERS,
    {.name = "channel", .type = API_T_ENUM, .flags = API_M_REQUIRED, .choices = PEOPLE_CHANNELS},
    {.name = "class", .type = API_T_ENUM, .choices = PEOPLE_CLASSES},
    {.name = "purpose", .type = API_T_STRING, .min = 1, .max = 64},
    {.name = "at", .type = API_T_TIME, .flags = API_M_NULLABLE},
    {.name = NULL}};

/* A partner asks about its own people only. 0 or the status of an answer already written. */
static int check_partner(struct api_request *req, struct api_response *resp, int64_t customer_id)
{
    bool visible = false;
    struct diag d = {0};
    char cus[STORE_ID_TEXT_MAX];
    if (!req->scope.partner_id)
        return 0;
    int rc = store_customer_visible(req->db, req->scope, customer_id, &visible, &d);
    if (rc < 0)
        return api_fail(req, resp, rc, &d);
    if (!visible)
        return api_problem(resp, PROBLEM_NOT_FOUND, "nobody of your audiences");
    store_id_encode("cus", customer_id, cus, sizeof cus);
    rc = store_audit(req->db, &req->actor, "decision.ask", cus, NULL, NULL, &d);
    return rc < 0 ? api_fail(req, resp, rc, &d) : 0;
}

/* What a partner may know of the answer. */
static int only_contactable(struct api_response *resp, const char *cus)
{
    json_t *doc = json_loadb(resp->body.data, resp->body.len, 0, NULL);
    bool yes = !strcmp(api_str(doc, "verdict", ""), "ALLOW");
    json_decref(doc);
    buf_reset(&resp->body);
    buf_printf(&resp->body, "{\"customer\":\"%s\",\"contactable\":%s}", cus,
               yes ? "true" : "false");
    return api_ok(resp);
}

static int find_purpose(struct api_request *req, struct api_response *resp, int16_t *ret)
{
    struct diag d = {0};
    int rc = store_purpose_find(req->db, api_str(req->json, "purpose", "marketing"), ret, &d);
    if (rc == CGW_ENOTFOUND) {
        api_error(resp, "/purpose", "unknown_purpose", "%s", d.text);
        return api_invalid(resp);
    }
    return rc < 0 ? api_fail(req, resp, rc, &d) : 0;
}

static int decide(struct api_request *req, struct api_response *resp)
{
    const struct api_services *s = req->services;
    struct people_ref ref = {0};
    struct diag d = {0};
    int64_t customer_id = 0;
    char cus[STORE_ID_TEXT_MAX];
    if (!s->decide)
        return api_problem(resp, PROBLEM_UNAVAILABLE, "This node decides nothing.");
    int status = people_ref_json(req, resp, req->json, "", &ref);
    if (status > 0)
        return status;
    if (api_errors(resp))
        return api_invalid(resp);
    int rc = people_resolve(req, &ref, &customer_id, &d);
    if (rc < 0)
        return people_fail(req, resp, rc, &d);
    status = check_partner(req, resp, customer_id);
    struct api_decide ask = {
        .part = store_part(customer_id),
        .customer_id = customer_id,
        .address = ref.address,
        .partner_id = req->scope.partner_id,
        .channel = people_word(PEOPLE_CHANNELS, api_str(req->json, "channel", "sms")),
        .contact_class = people_word(PEOPLE_CLASSES, api_str(req->json, "class", "marketing")),
        .at_utc_ms = api_time(req->json, "at")};
    if (!status)
        status = find_purpose(req, resp, &ask.purpose);
    if (status)
        return status;
    store_id_encode("cus", customer_id, cus, sizeof cus);
    buf_printf(&resp->body, "{\"customer\":\"%s\",", cus);
    size_t at = resp->body.len;
    rc = s->decide(s->ctx, req->db, &ask, &resp->body, &d);
    if (rc < 0)
        return api_fail(req, resp, rc, &d);
    memmove(resp->body.data + at, resp->body.data + at + 1,
            resp->body.len - at - 1); /* its members go on in the same object */
    resp->body.len--;
    return req->scope.partner_id ? only_contactable(resp, cus) : api_ok(resp);
}

const struct api_route api_routes_decisions[] = {
    {.method = "POST",
     .path = "/api/v1/decisions",
     .scope = "decisions:read",
     .flags = API_JSON | API_TX,
     .body = decide_body,
     .handler = decide,
     .summary = "Ask whether a customer would be contacted"},
    {.method = NULL},
};
