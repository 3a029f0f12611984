/* SPDX-License-Identifier: Apache-2.0 */
/* ctl_customer.c - customers: uploaded, shown; joined, whose number went to somebody else, or who
 * are to be forgotten. The last three end an id for good, so each asks before. */
#include "ctl/ctl.h"

#include <string.h>

/* The customer that a word names: cus_..., a number, an e-mail address, ext:ID. */
static int find(struct ctl *c, const char *word, char *ret_id, size_t size)
{
    if (!strncmp(word, "cus_", 4)) {
        (void)snprintf(ret_id, size, "%s", word);
        return 0;
    }
    json_t *body = ctl_person(c, word);
    if (!body)
        return ctl_usage_error(c, "the number is no text");
    struct ctl_request req = {
        .method = "POST", .path = "/api/v1/customers/lookup", .body = body, .reads = true};
    struct ctl_answer a;
    int code = ctl_call(c, &req, &a);
    (void)snprintf(ret_id, size, "%s", ctl_str(a.doc, "id", ""));
    ctl_answer_done(&a);
    return code;
}

/* POST /customers/{id}/<verb> with the person of the second word. */
static int change(struct ctl *c, const char *verb, const char *question,
                  const struct ctl_column *fields)
{
    char id[80], path[CTL_PATH_MAX];
    int code = find(c, c->argv[0], id, sizeof id);
    if (!code)
        code = ctl_confirm(c, question, 1);
    if (code)
        return code;
    json_t *body = ctl_person(c, c->argv[1]);
    if (!body)
        return ctl_usage_error(c, "the second number is no text");
    (void)snprintf(path, sizeof path, "/api/v1/customers/%s/%s", id, verb);
    struct ctl_request req = {.method = "POST", .path = path, .body = body};
    struct ctl_answer a;
    code = ctl_call(c, &req, &a);
    return code ? code : ctl_print_answer(c, &a, fields);
}

int ctl_customer_link(struct ctl *c)
{
    static const struct ctl_column fields[] = {
        {"id", "id", 's'}, {"absorbed", "absorbed", 's'}, CTL_COLUMNS_END};
    return change(c, "link", "Join both customers: the stricter of both holds, and it stays so.",
                  fields);
}

int ctl_customer_reassigned(struct ctl *c)
{
    static const struct ctl_column fields[] = {
        {"new owner", "id", 's'}, {"former owner", "former", 's'}, CTL_COLUMNS_END};
    return change(c, "reassigned",
                  "The address gets a new customer, who inherits opt-outs and nothing else.",
                  fields);
}

int ctl_customer_erase(struct ctl *c)
{
    static const struct ctl_column fields[] = {
        {"id", "id", 's'}, {"state", "state", 'c'}, CTL_COLUMNS_END};
    char id[80], path[CTL_PATH_MAX];
    int code = find(c, c->argv[0], id, sizeof id);
    if (!code)
        code = ctl_confirm(c, "Forget the customer: addresses, fields and texts go for good.", 1);
    if (code)
        return code;
    (void)snprintf(path, sizeof path, "/api/v1/customers/%s", id);
    struct ctl_request req = {.method = "DELETE", .path = path};
    struct ctl_answer a;
    code = ctl_call(c, &req, &a);
    if (code)
        return code;
    ctl_answer_done(&a);
    a.doc = json_pack("{s:s, s:s}", "id", id, "state", "forgotten");
    return ctl_print_answer(c, &a, fields);
}

int ctl_customer_show(struct ctl *c)
{
    static const struct ctl_column fields[] = {{"id", "id", 's'},
                                               {"known", "known", 'b'},
                                               {"msisdn", "msisdn", 's'},
                                               {"email", "email", 's'},
                                               {"external id", "external_id", 's'},
                                               {"zone", "zone", 's'},
                                               {"region", "region", 's'},
                                               {"lang", "lang", 's'},
                                               {"channel", "channel", 's'},
                                               {"contactable", "contactable", 'b'},
                                               {"updated", "updated_at", 't'},
                                               CTL_COLUMNS_END};
    static const struct ctl_column lists[] = {{"DO-NOT-DISTURB LIST", "name|list", 's'},
                                              {"SCOPE", "scope|channel|class", 's'},
                                              {"SINCE", "since", 't'},
                                              CTL_COLUMNS_END};
    static const struct ctl_column consents[] = {
        {"CONSENT FOR", "purpose", 's'}, {"CHANNEL", "channel", 's'},
        {"STATE", "state", 'c'},         {"SINCE", "at", 't'},
        {"EXPIRES", "expires", 't'},     CTL_COLUMNS_END};
    char id[80], path[CTL_PATH_MAX];
    int code = find(c, c->argv[0], id, sizeof id);
    (void)snprintf(path, sizeof path, "/api/v1/customers/%s", id);
    json_t *doc = code ? NULL : ctl_get(c, path, &code);
    if (code)
        return code;
    const json_t *dnd = json_object_get(doc, "dnd"), *said = json_object_get(doc, "consents");
    if (c->json)
        ctl_print_json(doc);
    else
        ctl_print_fields(c, doc, fields);
    if (!c->json && json_array_size(dnd))
        ctl_print_table(c, dnd, lists);
    if (!c->json && json_array_size(said))
        ctl_print_table(c, said, consents);
    json_decref(doc);
    return CTL_OK;
}

int ctl_customer_upload(struct ctl *c)
{
    static const struct ctl_column counts[] = {{"created", "created", 'n'},
                                               {"updated", "updated", 'n'},
                                               {"duplicate", "duplicate", 'n'},
                                               {"invalid", "invalid", 'n'},
                                               CTL_COLUMNS_END};
    struct buf path;
    struct ctl_request req = {.method = "PUT", .file = c->argv[0]};
    struct ctl_answer a;
    int code = strcmp(c->argv[0], "-") != 0 || ctl_has(c, "format")
                   ? ctl_media(c, c->argv[0], &req.media)
                   : ctl_usage_error(c, "--format is missing: standard input has no name");
    if (code)
        return code;
    buf_init(&path, CTL_PATH_MAX);
    buf_puts(&path, "/api/v1/customers");
    ctl_query_add(&path, "default_region", ctl_opt(c, "region"));
    req.path = buf_str(&path);
    code = ctl_call(c, &req, &a);
    buf_done(&path);
    if (code)
        return code;
    bool clean = ctl_num(a.doc, "invalid", 0) == 0;
    const json_t *rejects = json_object_get(a.doc, "rejects");
    for (size_t i = 0; !c->json && i < json_array_size(rejects); i++)
        ctl_say(c, "  line %lld: %s", (long long)ctl_num(json_array_get(rejects, i), "line", 0),
                ctl_str(json_array_get(rejects, i), "detail", ""));
    code = ctl_print_answer(c, &a, counts);
    return code ? code : clean ? CTL_OK : CTL_FAILED;
}
