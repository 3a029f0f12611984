/* SPDX-License-Identifier: Apache-2.0 */
/* api_keys.c - /api/v1/api-keys: create (the secret is shown once), list, revoke, rotate. Nobody
 * can give away what they do not hold: scopes, classes and partner of a new key lie within the
 * caller's own. */
#include "api/api_int.h"

#include "base/word.h"
#include "cgw/channel.h"
#include "store/store_key.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define TOKEN_MAX 120
#define CLASS_WORDS "marketing|service|reply|optout_confirm|emergency"

static const struct api_member create_body[] = {
    {.name = "name", .type = API_T_STRING, .flags = API_M_REQUIRED, .min = 1, .max = 120},
    {.name = "scopes",
     .type = API_T_ARRAY,
     .flags = API_M_REQUIRED,
     .item_type = API_T_STRING,
     .min = 1,
     .max = API_SCOPES_MAX,
     .item_max = 40},
    {.name = "classes",
     .type = API_T_ARRAY,
     .item_type = API_T_ENUM,
     .max = 5,
     .choices = CLASS_WORDS},
    {.name = "partner_id", .type = API_T_INT, .min = 0, .max = INT32_MAX},
    {.name = "expires_at", .type = API_T_TIME, .flags = API_M_NULLABLE},
    {.name = NULL},
};

/* Words of the body into `out`; unknown ones and ones the caller lacks are faults. */
static size_t take_scopes(struct api_request *req, struct api_response *resp,
                          const char *out[API_SCOPES_MAX], char *missing, size_t missing_size)
{
    const json_t *list = json_object_get(req->json, "scopes");
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *word = json_string_value(json_array_get(list, i));
        char at[40];
        (void)snprintf(at, sizeof at, "/scopes/%zu", i);
        if (api_scope_bit(word) < 0) {
            const char *near = NULL;
            for (int k = 0; api_scope_word(k); k++)
                near = word_nearer(word, api_scope_word(k), near);
            api_error(resp, at, "unknown_scope",
                      near ? "There is no such scope; did you mean \"%s\"?"
                           : "There is no such scope.%s",
                      near ? near : "");
        } else if (!api_has_scope(req, word)) {
            (void)snprintf(missing, missing_size, "%s", word);
        } else {
            out[n++] = word;
        }
    }
    return n;
}

static uint32_t take_classes(const json_t *list)
{
    uint32_t mask = 0;
    for (size_t i = 0; i < json_array_size(list); i++)
        for (uint32_t c = CGW_CLASS_MARKETING; c <= CGW_CLASS_EMERGENCY; c++)
            if (!strcmp(class_word(c), json_string_value(json_array_get(list, i))))
                mask |= 1u << c;
    return mask ? mask : 1u << CGW_CLASS_MARKETING;
}

/* "cgk_<id>_<43 characters>": 256 random bits; only the hash stays with us. */
static void make_token(const char *public_id, char token[TOKEN_MAX], unsigned char sha256[32])
{
    unsigned char secret[32];
    char text[64];
    randombytes_buf(secret, sizeof secret);
    (void)sodium_bin2base64(text, sizeof text, secret, sizeof secret,
                            sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    (void)snprintf(token, TOKEN_MAX, "cgk_%s_%s", public_id + 4, text);
    crypto_hash_sha256(sha256, (const unsigned char *)token, strlen(token));
    sodium_memzero(secret, sizeof secret);
    sodium_memzero(text, sizeof text);
}

/* The document with the secret added; the one answer that ever holds it. */
static void add_secret(struct api_response *resp, char token[TOKEN_MAX])
{
    if (resp->body.len && !resp->body.failed) {
        resp->body.len--; /* the closing brace */
        buf_puts(&resp->body, ",\"secret\":");
        buf_put_json(&resp->body, token, strlen(token));
        buf_putc(&resp->body, '}');
    }
    resp->secret_json_pointer = "/secret";
    sodium_memzero(token, TOKEN_MAX);
}

static int keys_create(struct api_request *req, struct api_response *resp)
{
    const char *scopes[API_SCOPES_MAX];
    char missing[STORE_KEY_SCOPE_MAX] = "", id[40], token[TOKEN_MAX];
    unsigned char sha[32];
    struct store_key_new k = {.name = api_str(req->json, "name", ""),
                              .scopes = scopes,
                              .expires_utc_ms = api_time(req->json, "expires_at")};
    k.n_scopes = take_scopes(req, resp, scopes, missing, sizeof missing);
    k.class_mask = take_classes(json_object_get(req->json, "classes"));
    k.partner_id = (int32_t)api_int(req->json, "partner_id", req->caller.partner_id);
    int64_t now;
    struct diag d = {0};
    int rc = store_now(req->db, &now, &d);
    if (rc < 0)
        return api_fail(req, resp, rc, &d);
    if (k.expires_utc_ms != INT64_MIN && k.expires_utc_ms <= now)
        api_error(resp, "/expires_at", "in_the_past", "Must lie in the future.");
    if (api_errors(resp))
        return api_invalid(resp);
    if (missing[0]) {
        int status = api_problem(resp, PROBLEM_SCOPE_MISSING,
                                 "One cannot hand out the scope %s without having it.", missing);
        api_problem_text(resp, "scope", "%s", missing);
        return status;
    }
    if (k.class_mask & ~req->caller.class_mask)
        return api_problem(resp, PROBLEM_NOT_ALLOWED,
                           "One cannot hand out a contact class without having it.");
    if (req->caller.partner_id && k.partner_id != req->caller.partner_id)
        return api_problem(resp, PROBLEM_NOT_ALLOWED,
                           "Keys of another partner are made by the owner.");
    store_new_id("key", id, sizeof id);
    make_token(id, token, sha);
    rc = store_key_create(req->db, &req->actor, &k, id, sha, &resp->body, &d);
    if (rc < 0)
        return api_fail(req, resp, rc, &d);
    add_secret(resp, token);
    return api_created(resp, "/api/v1/api-keys/%s", id);
}

static int keys_list(struct api_request *req, struct api_response *resp)
{
    struct api_page page;
    struct diag d = {0};
    bool more;
    char cursor[API_CURSOR_MAX];
    api_page_begin(req, resp, &page);
    int rc = store_key_list(req->db, req->scope, page.after, page.limit, &resp->body, &more, cursor,
                            sizeof cursor, &d);
    return rc < 0 ? api_fail(req, resp, rc, &d) : api_page_end(req, resp, &page, more, cursor);
}

static void forget(struct api_request *req, void *arg)
{
    auth_forget(api_of(req)->auth, arg);
}

/* The cached copy goes once the change is committed. */
static void forget_after(struct api_request *req, struct api_response *resp)
{
    resp->after_commit = forget;
    resp->after_commit_arg = (void *)(uintptr_t)api_path_param(req, "id");
}

static int keys_revoke(struct api_request *req, struct api_response *resp)
{
    struct diag d = {0};
    int rc = store_key_revoke(req->db, &req->actor, req->scope, api_path_param(req, "id"), &d);
    if (rc < 0)
        return api_fail(req, resp, rc, &d);
    forget_after(req, resp);
    return api_no_content(resp);
}

/* A rotated secret speaks with the key's rights: who lacks one of them could otherwise take them
 * over. */
static bool covers(const struct api_request *req, const struct store_key *k)
{
    bool ok = !(k->class_mask & ~req->caller.class_mask);
    for (unsigned i = 0; i < k->n_scopes; i++)
        ok = ok && api_has_scope(req, k->scopes[i]);
    return ok;
}

static int keys_rotate(struct api_request *req, struct api_response *resp)
{
    const char *id = api_path_param(req, "id");
    struct diag d = {0};
    struct store_key k;
    int rc = store_key_lock(req->db, req->scope, id, &k, &d);
    if (rc < 0)
        return api_fail(req, resp, rc, &d);
    if (strcmp(id, req->caller.name) != 0 && !covers(req, &k))
        return api_problem(
            resp, PROBLEM_NOT_ALLOWED,
            "The key holds scopes or classes that you do not; it can rotate itself.");
    char token[TOKEN_MAX];
    unsigned char sha[32];
    make_token(id, token, sha);
    rc = store_key_rotate(req->db, &req->actor, req->scope, id, sha, &resp->body, &d);
    if (rc < 0)
        return api_fail(req, resp, rc, &d);
    add_secret(resp, token);
    forget_after(req, resp);
    return api_ok(resp);
}

const struct api_route api_routes_api_keys[] = {
    {.method = "GET",
     .path = "/api/v1/api-keys",
     .scope = "api-keys:read",
     .flags = API_READ | API_LIST,
     .handler = keys_list,
     .summary = "List API keys"},
    {.method = "POST",
     .path = "/api/v1/api-keys",
     .scope = "api-keys:write",
     .flags = API_JSON | API_IDEM,
     .body = create_body,
     .handler = keys_create,
     .summary = "Create an API key; its secret is shown once"},
    {.method = "DELETE",
     .path = "/api/v1/api-keys/{id}",
     .scope = "api-keys:write",
     .flags = API_TX,
     .handler = keys_revoke,
     .summary = "Revoke an API key"},
    {.method = "POST",
     .path = "/api/v1/api-keys/{id}/rotate",
     .scope = "api-keys:write",
     .flags = API_IDEM,
     .handler = keys_rotate,
     .summary = "Give an API key a new secret, shown once; the old one stops working"},
    {.method = NULL},
};
