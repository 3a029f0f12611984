/* SPDX-License-Identifier: Apache-2.0 */
/* test_api_check.c - bodies against tables of members, strict JSON, problem documents, idempotency;
 * no network, no database. */
#include "api/api_int.h"

#include <criterion/criterion.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

static struct api_response resp;
static struct api_response_int priv;

static void setup(void)
{
    cr_assert_geq(sodium_init(), 0);
    response_init(&resp, &priv);
}
static void teardown(void)
{
    response_done(&resp);
}
TestSuite(api_check, .init = setup, .fini = teardown);

static const struct api_member inner[] = {
    {.name = "at", .type = API_T_TIME, .flags = API_M_REQUIRED},
    {.name = "after", .type = API_T_DURATION, .min = 1000, .max = 604800000},
    {.name = NULL},
};
static const struct api_member table[] = {
    {.name = "name", .type = API_T_STRING, .flags = API_M_REQUIRED, .min = 1, .max = 5},
    {.name = "text", .type = API_T_STRING, .flags = API_M_TEXT},
    {.name = "n", .type = API_T_INT, .flags = API_M_NULLABLE, .min = 0, .max = 10},
    {.name = "any_n", .type = API_T_INT},
    {.name = "rate", .type = API_T_NUMBER, .min = 0, .max = 1},
    {.name = "on", .type = API_T_BOOL},
    {.name = "kind", .type = API_T_ENUM, .choices = "sms|mms"},
    {.name = "id", .type = API_T_ID, .choices = "aud"},
    {.name = "words",
     .type = API_T_ARRAY,
     .item_type = API_T_ENUM,
     .min = 1,
     .max = 2,
     .choices = "a|b"},
    {.name = "waves", .type = API_T_ARRAY, .max = 3, .members = inner},
    {.name = "inner", .type = API_T_OBJECT, .members = inner},
    {.name = "free", .type = API_T_OBJECT},
    {.name = NULL},
};

/* "pointer code" of every fault of a body, in order, joined by spaces. */
static const char *faults(const char *text)
{
    static char out[1000];
    response_reset(&resp);
    json_t *doc = json_loads(text, 0, NULL);
    cr_assert_not_null(doc, "%s", text);
    unsigned n = api_check_members(&resp, doc, "", table);
    cr_expect_eq(n, api_errors(&resp));
    json_decref(doc);
    (void)api_invalid(&resp);
    response_render(&resp, "req_x");
    json_t *problem = json_loadb(resp.body.data, resp.body.len, JSON_REJECT_DUPLICATES, NULL);
    cr_assert_not_null(problem, "%s", buf_str(&resp.body));
    const json_t *errors = json_object_get(problem, "errors");
    out[0] = 0;
    for (size_t i = 0; i < json_array_size(errors); i++) {
        const json_t *e = json_array_get(errors, i);
        size_t o = strlen(out);
        (void)snprintf(out + o, sizeof out - o, "%s%s %s", o ? " " : "", api_str(e, "pointer", "?"),
                       api_str(e, "code", "?"));
    }
    json_decref(problem);
    return out;
}

Test(api_check, a_good_body_has_no_faults)
{
    cr_expect_str_eq(
        faults("{\"name\":\"äöüßé\",\"text\":\"a\\nb\",\"n\":null,\"any_n\":-9223372036854775808,"
               "\"rate\":0.5,\"on\":false,\"kind\":\"mms\",\"id\":\"aud_01abc\","
               "\"words\":[\"a\",\"b\"],\"waves\":[{\"at\":\"2026-01-01T00:00:00Z\",\"after\":"
               "\"P7D\"}],\"inner\":{\"at\":\"2026-01-01T00:00:00Z\"},\"free\":{\"x\":[1]}}"),
        "");
}

Test(api_check, every_fault_has_its_pointer_and_code)
{
    static const struct {
        const char *body, *faults;
    } cases[] = {
        {"{}", "/name required"},
        {"{\"name\":null}", "/name wrong_type"},
        {"{\"name\":\"\"}", "/name too_short"},
        {"{\"name\":\"123456\"}", "/name too_long"},
        {"{\"name\":\"a\\u0001\"}", "/name control_character"},
        {"{\"name\":\"a\\n\"}", "/name control_character"},
        {"{\"name\":\"a\",\"text\":\"\\u0007\"}", "/text control_character"},
        {"{\"name\":\"a\",\"n\":11}", "/n out_of_range"},
        {"{\"name\":\"a\",\"n\":1.0}", "/n wrong_type"},
        {"{\"name\":\"a\",\"rate\":1.01}", "/rate out_of_range"},
        {"{\"name\":\"a\",\"on\":1}", "/on wrong_type"},
        {"{\"name\":\"a\",\"kind\":\"sm\"}", "/kind unknown_value"},
        {"{\"name\":\"a\",\"kind\":\"\"}", "/kind unknown_value"},
        {"{\"name\":\"a\",\"kind\":\"sms|mms\"}", "/kind unknown_value"},
        {"{\"name\":\"a\",\"id\":\"cmp_1\"}", "/id not_an_id"},
        {"{\"name\":\"a\",\"id\":\"aud_\"}", "/id not_an_id"},
        {"{\"name\":\"a\",\"id\":\"aud_'--\"}", "/id not_an_id"},
        {"{\"name\":\"a\",\"words\":[]}", "/words too_few"},
        {"{\"name\":\"a\",\"words\":[\"a\",\"a\",\"a\"]}", "/words too_many"},
        {"{\"name\":\"a\",\"words\":[\"a\",1]}", "/words/1 wrong_type"},
        {"{\"name\":\"a\",\"waves\":[{\"at\":\"x\"},{}]}",
         "/waves/0/at not_a_time /waves/1/at required"},
        {"{\"name\":\"a\",\"waves\":[[]]}", "/waves/0 wrong_type"},
        {"{\"name\":\"a\",\"inner\":{\"at\":\"2026-01-01T00:00:00Z\",\"after\":\"PT0S\",\"atx\":1}"
         "}",
         "/inner/after out_of_range /inner/atx unknown_member"},
        {"{\"name\":\"a\",\"x~/y\":1}", "/x~0~1y unknown_member"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        cr_expect_str_eq(faults(cases[i].body), cases[i].faults, "%s gave %s", cases[i].body,
                         faults(cases[i].body));
}

Test(api_check, a_long_member_name_leaves_the_answer_valid)
{
    char body[2000] = "{\"name\":\"a\",\"";
    for (size_t i = 0; i < 300; i++)
        (void)strncat(body, "é", 3);
    (void)strncat(body, "\":1}", 5);
    cr_expect_not_null(strstr(faults(body), "unknown_member"));
}

Test(api_check, strict_json_refuses_depth_doubles_and_big_numbers)
{
    static const char *const bad[] = {"",
                                      "[]",
                                      "{\"a\":1,\"a\":2}",
                                      "{\"a\":9223372036854775808}",
                                      "{\"a\":1}}",
                                      "{\"a\":\"\\u0000\"}",
                                      "nul",
                                      "{\"a\":tru}"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        response_reset(&resp);
        json_t *doc = json_body_parse(&resp, bad[i], strlen(bad[i]));
        cr_expect_null(doc, "%s was taken", bad[i]);
        json_decref(doc);
        cr_expect_eq(resp.status, 400);
    }
    char deep[100];
    for (unsigned n = 32; n <= 33; n++) { /* the object itself is one level */
        (void)snprintf(deep, sizeof deep, "{\"a\":%.*s%.*s}", (int)n - 1,
                       "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", (int)n - 1,
                       "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]");
        response_reset(&resp);
        json_t *doc = json_body_parse(&resp, deep, strlen(deep));
        cr_expect_eq(doc != NULL, n == 32, "depth %u", n);
        json_decref(doc);
    }
}

Test(api_check, the_parsers_words_do_not_quote_the_client)
{
    const char *body = "{\"msisdn\": +8613812345678}";
    cr_expect_null(json_body_parse(&resp, body, strlen(body)));
    response_render(&resp, "req_x");
    cr_expect_null(strstr(buf_str(&resp.body), "138"), "%s", buf_str(&resp.body));
}

Test(api_check, problems_are_what_rfc9457_says)
{
    cr_expect_eq(api_problem(&resp, PROBLEM_STATE_CONFLICT, "Is \"%s\".", "running"), 409);
    api_problem_json(&resp, "allowed", "[\"pause\"]");
    api_problem_text(&resp, "next", "POST /x?\"%d\"", 1);
    response_render(&resp, "req_1");
    cr_expect_str_eq(
        buf_str(&resp.body),
        "{\"type\":\"/problems/state-conflict\",\"title\":\"Not in this "
        "state\",\"status\":409,\"detail\":\"Is \\\"running\\\".\","
        "\"instance\":\"req_1\",\"allowed\":[\"pause\"],\"next\":\"POST /x?\\\"1\\\"\"}");
    cr_expect_str_eq(resp.content_type, "application/problem+json");
}

Test(api_check, problem_slugs_are_unique_and_well_formed)
{
    for (int i = 0; i < PROBLEM_COUNT; i++) {
        const char *s = problem_slug((enum api_problem_id)i);
        cr_expect_eq(strspn(s, "abcdefghijklmnopqrstuvwxyz-"), strlen(s));
        cr_expect(problem_status((enum api_problem_id)i) >= 400 &&
                  problem_status((enum api_problem_id)i) < 600);
        for (int k = 0; k < i; k++)
            cr_expect_str_neq(s, problem_slug((enum api_problem_id)k));
    }
}

Test(api_check, store_answers_become_the_right_problem)
{
    static const struct {
        int rc;
        const char *where;
        int status;
        enum api_problem_id id;
    } cases[] = {
        {CGW_ENOTFOUND, "", 404, PROBLEM_NOT_FOUND},
        {CGW_EEXISTS, "", 409, PROBLEM_ALREADY_EXISTS},
        {CGW_ESTATE, "", 409, PROBLEM_STATE_CONFLICT},
        {CGW_EBUSY, "", 409, PROBLEM_IN_USE},
        {CGW_ECONFLICT, "", 412, PROBLEM_VERSION_MISMATCH},
        {CGW_EINVAL, "/a", 422, PROBLEM_VALIDATION_FAILED},
        {CGW_EINVAL, "line 3", 422, PROBLEM_VALIDATION_FAILED},
        {CGW_ELIMIT, "/a", 422, PROBLEM_VALIDATION_FAILED},
        {CGW_EDB, "23505", 409, PROBLEM_ALREADY_EXISTS},
        {CGW_EDB, "23503", 409, PROBLEM_IN_USE},
        {CGW_EDB, "22P02", 422, PROBLEM_VALIDATION_FAILED},
        {CGW_EDB, "XX000", 500, PROBLEM_INTERNAL},
        {CGW_EDB, "57014", 503, PROBLEM_DATABASE_UNAVAILABLE},
        {-107, "", 503, PROBLEM_DATABASE_UNAVAILABLE},
        {-28, "", 507, PROBLEM_NO_SPACE},
        {-12, "", 500, PROBLEM_INTERNAL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct diag d;
        (void)diag_set(&d, cases[i].rc, cases[i].where, "words");
        response_reset(&resp);
        cr_expect_eq(api_fail(NULL, &resp, cases[i].rc, &d), cases[i].status, "%d %s gave %d",
                     cases[i].rc, cases[i].where, resp.status);
        cr_expect_eq(priv.problem, (int)cases[i].id);
    }
}

/* ---- idempotency ---------------------------------------------------------------------------- */
Test(api_check, idempotency_keys_plain_and_quoted_are_the_same)
{
    char key[API_IDEM_KEY_MAX + 1], longest[300];
    cr_expect(idem_key_parse("abc-123", key, sizeof key));
    cr_expect_str_eq(key, "abc-123");
    cr_expect(idem_key_parse("\"abc-\\\"123\"", key, sizeof key));
    cr_expect_str_eq(key, "abc-\"123");
    memset(longest, 'k', sizeof longest);
    longest[255] = 0;
    cr_expect(idem_key_parse(longest, key, sizeof key));
    longest[255] = 'k';
    longest[256] = 0;
    cr_expect_not(idem_key_parse(longest, key, sizeof key));
    cr_expect_not(idem_key_parse("", key, sizeof key));
    cr_expect_not(idem_key_parse("\"\"", key, sizeof key));
    cr_expect_not(idem_key_parse("a b", key, sizeof key));
    cr_expect_not(idem_key_parse("\xc3\xa4", key, sizeof key));
}

Test(api_check, fingerprints_tell_method_path_and_body_apart)
{
    unsigned char body[32] = {1}, other[32] = {2}, f[6][32];
    idem_fingerprint("POST", "/a", body, f[0]);
    idem_fingerprint("POST", "/a", body, f[1]);
    idem_fingerprint("POST", "/b", body, f[2]);
    idem_fingerprint("PUT", "/a", body, f[3]);
    idem_fingerprint("POST", "/a", other, f[4]);
    idem_fingerprint("POS", "T/a", body, f[5]);
    cr_expect_arr_eq(f[0], f[1], 32);
    for (size_t i = 2; i < 6; i++)
        cr_expect_arr_neq(f[0], f[i], 32);
}

Test(api_check, stored_answers_come_back_without_their_secret)
{
    struct buf packed;
    buf_init(&packed, 100000);
    buf_puts(&resp.body, "{\"id\":\"key_1\",\"secret\":\"cgk_\\u00e4\"}");
    resp.secret_json_pointer = "/secret";
    api_etag(&resp, 7);
    (void)api_created(&resp, "/api/v1/x/%d", 1);
    cr_assert(idem_pack(&resp, &packed));
    cr_expect_null(strstr(buf_str(&packed), "cgk_"));
    response_reset(&resp);
    cr_assert(idem_unpack(&resp, 201, packed.data, packed.len));
    cr_expect_str_eq(buf_str(&resp.body),
                     "{\"id\":\"key_1\",\"secret\":null,\"secret_shown\":true}");
    cr_expect_str_eq(priv.location, "/api/v1/x/1");
    cr_expect_str_eq(priv.etag, "\"v7\"");
    cr_expect(priv.replayed);
    buf_done(&packed);
}

Test(api_check, answers_that_cannot_be_kept_are_not)
{
    struct buf packed;
    buf_init(&packed, 3u << 20);
    resp.content_type = "text/csv";
    cr_expect_not(idem_pack(&resp, &packed));
    resp.content_type = NULL;
    for (int i = 0; i < 1100; i++)
        buf_printf(&resp.body, "%01024d", 0);
    cr_expect_not(idem_pack(&resp, &packed));
    buf_done(&packed);
}

Test(api_check, headers_cannot_be_split)
{
    cr_expect_eq(api_set_header(&resp, "X-A", "a\r\nX-B: b"), CGW_ELIMIT);
    for (int i = 0; i < API_HEADERS_MAX; i++)
        cr_expect_eq(api_set_header(&resp, "X-A", "%d", i), 0);
    cr_expect_eq(api_set_header(&resp, "X-A", "more"), CGW_ELIMIT);
}
