/* SPDX-License-Identifier: Apache-2.0 */
/* test_task.c - the document of a task is always one JSON text whatever is in the message, and rows
 * of a CSV that comes back are cut as RFC 4180 says. */
#include "api/handlers/tasks.h"
#include "document.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <string.h>

#define PART(role_, text)                                                                          \
    (struct cgw_part)                                                                              \
    {                                                                                              \
        .role = role_, .len = (uint32_t)strlen(text), .mime = "", .body = text                     \
    }

static struct cgw_message message(const struct cgw_part *parts, uint32_t n)
{
    return (struct cgw_message){.size = sizeof(struct cgw_message),
                                .to = {CGW_ADDR_E164, 13, "+491511234567"},
                                .not_after_utc_ms = INT64_C(1767225600000),
                                .n_parts = n,
                                .parts = parts};
}

static json_t *document(const struct cgw_message *m)
{
    static char out[CGW_DOCUMENT_MAX];
    size_t n = document_make(m, "ref", NULL);
    cr_assert_leq(n, sizeof out);
    cr_assert_eq(document_make(m, "ref", out), n);
    cr_assert(document_is_json(out, n), "%.*s", (int)n, out);
    json_error_t e;
    json_t *doc = json_loadb(out, n, JSON_REJECT_DUPLICATES, &e);
    cr_assert_not_null(doc, "%s: %.*s", e.text, (int)n, out);
    return doc;
}

Test(document, tells_whom_what_and_until_when)
{
    struct cgw_part parts[] = {PART(CGW_ROLE_SUBJECT, "renewal"), PART(CGW_ROLE_TEXT, "call"),
                               PART(CGW_ROLE_FLOW, " {\"ask\": [1, true, null, \"x\"]} ")};
    struct cgw_message m = message(parts, 3);
    m.from = (struct cgw_address){CGW_ADDR_SHORTCODE, 5, "10690"};
    m.service_code = "gold";
    json_t *d = document(&m);
    json_t *to = json_object_get(d, "to");
    cr_assert_str_eq(json_string_value(json_object_get(d, "reference")), "ref");
    cr_assert_str_eq(json_string_value(json_object_get(to, "address")), "+491511234567");
    cr_assert_str_eq(json_string_value(json_object_get(to, "kind")), "e164");
    cr_assert_str_eq(json_string_value(json_object_get(d, "not_after")), "2026-01-01T00:00:00Z");
    cr_assert_str_eq(json_string_value(json_object_get(d, "subject")), "renewal");
    cr_assert_str_eq(json_string_value(json_object_get(d, "service_code")), "gold");
    cr_assert_eq(json_array_size(json_object_get(json_object_get(d, "flow"), "ask")), 4);
    json_decref(d);
}

Test(document, carries_any_text_and_any_kind_of_address)
{
    const char *texts[] = {"quote \" and \\ and \n\t\x01",
                           "退订 \xf0\x9f\x98\x80",
                           "{\"a\": }",
                           "{",
                           "\"open",
                           "[1,]",
                           "01",
                           "nul",
                           "-",
                           "1e",
                           "{\"a\" 1}",
                           "[1] 2"};
    for (uint32_t kind = 0; kind < 9; kind++)
        for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
            struct cgw_part parts[] = {PART(CGW_ROLE_TEXT, texts[i]), PART(CGW_ROLE_FLOW, texts[i]),
                                       PART(CGW_ROLE_TEXT, "second")};
            struct cgw_message m = message(parts, 3);
            m.to = (struct cgw_address){kind, (uint32_t)strlen(texts[i]), texts[i]};
            json_t *d = document(&m);
            cr_assert_str_eq(json_string_value(json_object_get(d, "script")), texts[i]);
            cr_assert_str_eq(json_string_value(json_object_get(d, "flow")), texts[i],
                             "what is no JSON is a string: case %zu", i);
            json_decref(d);
        }
}

/* The judge must agree with a parser that is not ours. */
Test(document, judges_json_as_others_do)
{
    const char *texts[] = {"{}",      "[]",       "\"\\u00e9\"", "0",
                           "-0.5e+3", "true",     "[[[[]]]]",    "{\"a\":{\"b\":[{}]}}",
                           " 1 ",     "",         " ",           "{,}",
                           "[,]",     "\"\\x\"",  "\"\\u12g4\"", "1.",
                           ".5",      "+1",       "TRUE",        "{\"a\":1,}",
                           "{a:1}",   "\"a\nb\"", "1 2",         "[1 2]",
                           "nulls",   "-01",      "1e5"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        json_t *theirs = json_loads(texts[i], JSON_DECODE_ANY, NULL);
        cr_assert_eq(document_is_json(texts[i], strlen(texts[i])), theirs != NULL, "<%s>",
                     texts[i]);
        json_decref(theirs);
    }
    char deep[2 * DOCUMENT_DEPTH + 4];
    for (int d = DOCUMENT_DEPTH; d <= DOCUMENT_DEPTH + 1; d++) {
        memset(deep, '[', (size_t)d);
        memset(deep + d, ']', (size_t)d);
        cr_assert_eq(document_is_json(deep, (size_t)d * 2), d == DOCUMENT_DEPTH);
    }
}

Test(document, is_counted_beyond_its_limit_and_never_written_beyond_it)
{
    static char big[CGW_DOCUMENT_MAX + 1], out[CGW_DOCUMENT_MAX];
    memset(big, 'x', sizeof big - 1);
    struct cgw_part p = PART(CGW_ROLE_TEXT, big);
    struct cgw_message m = message(&p, 1);
    cr_assert_gt(document_make(&m, "ref", NULL), CGW_DOCUMENT_MAX);
    cr_assert_gt(document_make(&m, "ref", out), CGW_DOCUMENT_MAX);
}

/* ---- CSV ---------------------------------------------------------------------------------------
 */
static int row(char *text, size_t len, size_t *at, char **cells, long *line)
{
    memset(cells, 0, 4 * sizeof *cells);
    return tasks_csv_cells(text, len, at, cells, 4, line);
}

Test(csv, cells_are_cut_as_written)
{
    char text[] = "a,b,c\r\n\"x,\"\"y\"\"\r\nz\",,\"\"\n1,2,3,4,5,6\n\nlast,\"q\"tail,";
    char *c[4];
    size_t at = 0, len = sizeof text - 1;
    long line = 0;
    cr_assert_eq(row(text, len, &at, c, &line), 3);
    cr_assert_str_eq(c[2], "c");
    cr_assert_eq(line, 1);
    cr_assert_eq(row(text, len, &at, c, &line), 3);
    cr_assert_str_eq(c[0], "x,\"y\"\r\nz");
    cr_assert_str_eq(c[1], "");
    cr_assert_str_eq(c[2], "");
    cr_assert_eq(line, 3, "a row may have lines in it");
    cr_assert_eq(row(text, len, &at, c, &line), 4, "cells behind the bound are left out");
    cr_assert_str_eq(c[3], "4");
    cr_assert_eq(row(text, len, &at, c, &line), 1);
    cr_assert_str_eq(c[0], "");
    cr_assert_eq(row(text, len, &at, c, &line), 3);
    cr_assert_str_eq(c[1], "qtail");
    cr_assert_str_eq(c[2], "");
    cr_assert_eq(row(text, len, &at, c, &line), 0);
    char open[] = "a,\"never closed\n";
    at = 0;
    cr_assert_eq(row(open, sizeof open - 1, &at, c, &line), -1);
}
