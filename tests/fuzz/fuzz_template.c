/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_template.c - message texts and values of every kind. Input: the text, a NUL, and the values
 * as packed params. Promises: a text that compiles expands or says why; no value breaks out of its
 * role; a failure leaves nothing behind. */
#include "content/template.h"
#include "content/utf8.h"
#include "fuzz_ingest.h"

#include <jansson.h>
#include <string.h>

static const char *const fields[] = {"a", "name", "city", "first_name"};
#define N_FIELDS 4u
static const uint32_t roles[] = {CGW_ROLE_TEXT, CGW_ROLE_HTML, CGW_ROLE_SUBJECT, CGW_ROLE_HEADER,
                                 CGW_ROLE_FLOW};

static void expand(const struct template *t, const struct template_binding *b, uint32_t role,
                   const struct field_value *v)
{
    struct buf out;
    struct diag why = {0};
    buf_init(&out, 1u << 20);
    buf_puts(&out, "before");
    int rc = template_expand(t, b, role, v, N_FIELDS, &out, &why);
    CHECK(out.len >= 6 && !memcmp(out.data, "before", 6));
    CHECK(rc == 0 || (out.len == 6 && why.text[0] && !out.failed));
    if (rc == 0 && (role == CGW_ROLE_SUBJECT || role == CGW_ROLE_HEADER))
        CHECK(!memchr(out.data, '\n', out.len) && !memchr(out.data, '\r', out.len) &&
              !memchr(out.data, 0, out.len));
    buf_done(&out);
}

/* A value stays one JSON string, and holds no HTML mark-up. */
static void check_escapes(const struct field_value *v)
{
    static const char flow[] = "[\"{{a|}}\"]", html[] = "{{a|}}";
    const struct {
        const char *text;
        uint32_t role;
    } both[] = {{flow, CGW_ROLE_FLOW}, {html, CGW_ROLE_HTML}};
    for (size_t i = 0; i < ARRAY_LEN(both); i++) {
        struct template *t = NULL;
        struct template_binding b;
        struct buf out;
        buf_init(&out, 1u << 16);
        CHECK(template_new(both[i].text, strlen(both[i].text), fields, N_FIELDS, &t, NULL) == 0);
        CHECK(template_bind(t, fields, N_FIELDS, &b, NULL) == 0);
        CHECK(template_expand(t, &b, both[i].role, v, N_FIELDS, &out, NULL) == 0);
        const char *s = buf_str(&out);
        if (both[i].role == CGW_ROLE_HTML)
            CHECK(!strpbrk(s, "<>\"'"));
        else if (utf8_valid(v[0].data, v[0].len)) {
            json_t *array = json_loadb(s, out.len, 0, NULL);
            CHECK(array && json_array_size(array) == 1);
            json_t *one = json_array_get(array, 0);
            CHECK(json_string_length(one) == v[0].len &&
                  !memcmp(json_string_value(one), v[0].data, v[0].len));
            json_decref(array);
        }
        buf_done(&out);
        template_free(t);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    const char *nul = size ? memchr(text, 0, size) : NULL;
    size_t len = nul ? (size_t)(nul - text) : size;
    struct field_value v[N_FIELDS];
    struct template *t = NULL;
    struct template_binding b;
    struct diag why = {0};
    if (params_unpack(nul ? nul + 1 : "", nul ? size - len - 1 : 0, v, N_FIELDS) < 0)
        return 0;
    for (uint32_t i = 0; i < N_FIELDS; i++)
        if (v[i].len && memchr(v[i].data, 0, v[i].len))
            return 0; /* cannot come through the door */
    check_escapes(v);
    int rc = template_new(text, len, size % 2 ? fields : NULL, N_FIELDS, &t, &why);
    CHECK(rc == 0 ? t != NULL : t == NULL && why.text[0] && utf8_valid(why.text, strlen(why.text)));
    if (rc < 0)
        return 0;
    if (template_bind(t, fields, N_FIELDS, &b, &why) == 0)
        for (size_t i = 0; i < ARRAY_LEN(roles); i++)
            expand(t, &b, roles[i], v);
    template_free(t);
    return 0;
}
