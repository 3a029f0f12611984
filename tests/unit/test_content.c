/* SPDX-License-Identifier: Apache-2.0 */
/* test_content.c - templates, packed field values, UTF-8. */
#include "content/params.h"
#include "content/template.h"
#include "content/utf8.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static const char *const fields[] = {"name", "city", "points", "first_name"};
#define N_FIELDS 4u

/* Expand with the values of one packed text; the result, or the failure's name. */
static const char *expand(const char *text, uint32_t role, const char *params, struct diag *why)
{
    static char result[4096];
    struct template *t = NULL;
    struct template_binding b;
    struct field_value v[N_FIELDS];
    struct buf out;
    buf_init(&out, 4000);
    int rc = template_new(text, strlen(text), fields, N_FIELDS, &t, why);
    if (rc == 0)
        rc = template_bind(t, fields, N_FIELDS, &b, why);
    if (rc == 0)
        rc = params_unpack(params, strlen(params), v, N_FIELDS);
    if (rc == 0)
        rc = template_expand(t, &b, role, v, N_FIELDS, &out, why);
    (void)snprintf(result, sizeof result, "%s", rc < 0 ? diag_code_name(rc) : buf_str(&out));
    buf_done(&out);
    template_free(t);
    return result;
}

Test(template, expands_fields_defaults_and_literal_braces)
{
    static const struct {
        const char *text, *params, *out;
    } t[] = {
        {"", "", ""},
        {"Hello", "", "Hello"},
        {"Hi {{name}}!", "Li", "Hi Li!"},
        {"{{name}}{{city}}",
         "Li\x1f"
         "Shanghai",
         "LiShanghai"},
        {"{{ name }} {{  city}}",
         "a\x1f"
         "b",
         "a b"},
        {"{{name|friend}}", "", "friend"},
        {"{{name|friend}}", "Li", "Li"},
        {"{{name|}}.", "", "."},
        {"{{name|a|b}}", "", "a|b"},
        {"{{name| x }}", "", " x "},
        {"{{{{name}}", "Li", "{{name}}"},
        {"{{{{{{name}}", "Li", "{{Li"},
        {"{{{{", "", "{{"},
        {"a{{{{b{{{{c", "", "a{{b{{c"},
        {"{ {name} }", "", "{ {name} }"},
        {"} }} }", "", "} }} }"},
        {"{{name}}}}", "Li", "Li}}"},
        {"{{city}} {{city}}", "\x1fX", "X X"},
        {"您好，{{name}}：{{points}} 分",
         "李\x1f\x1f"
         "12",
         "您好，李：12 分"},
        {"{{points}}",
         "\x1f\x1f"
         "0",
         "0"},
        {"{{first_name}}",
         "a\x1f"
         "b\x1f"
         "c\x1f"
         "d",
         "d"},
        {"{{name|{x}}}", "", "{x}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        struct diag why = {0};
        cr_expect_str_eq(expand(t[i].text, CGW_ROLE_TEXT, t[i].params, &why), t[i].out, "'%s': %s",
                         t[i].text, why.text);
    }
}

Test(template, says_where_a_text_is_wrong_and_what_would_be_right)
{
    static const struct {
        const char *text, *where, *says;
    } t[] = {
        {"Hi {{name", "column 4", "never closed"},
        {"{{", "column 1", "never closed"},
        {"Hi {{name}", "column 4", "never closed"},
        {"您好{{name", "column 3", "never closed"},
        {"a\nb {{name", "line 2, column 3", "never closed"},
        {"{{name {{city}}", "column 1", "before this one is closed"},
        {"{{}}", "column 1", "no field name"},
        {"{{ }}", "column 1", "no field name"},
        {"{{1a}}", "column 1", "no field name"},
        {"{{na me}}", "column 1", "no field name"},
        {"{{{name}}}", "column 1", "no field name"},
        {"{{nmae}}", "column 1", "did you mean 'name'"},
        {"{{Name}}", "column 1", "did you mean 'name'"},
        {"{{firstname}}", "column 1", "did you mean 'first_name'"},
        {"x {{zebra}}", "column 3", "name, city, points, first_name"},
        {"{{\xff}}", "column 3", "not UTF-8"},
    };
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        struct diag why = {0};
        cr_expect_str_eq(expand(t[i].text, CGW_ROLE_TEXT, "", &why), "EINVAL", "'%s'", t[i].text);
        cr_expect_str_eq(why.where, t[i].where, "'%s'", t[i].text);
        cr_expect(strstr(why.text, t[i].says) != NULL, "'%s': %s", t[i].text, why.text);
    }
    struct diag why = {0};
    struct template *tp = NULL;
    cr_expect_eq(template_new("a\0b", 3, NULL, 0, &tp, &why), CGW_EINVAL);
    cr_expect(strstr(why.text, "NUL") != NULL);
    cr_expect_eq(template_new("{{x}}", 5, fields, 0, &tp, &why), CGW_EINVAL);
    cr_expect(strstr(why.text, "no fields") != NULL);
}

Test(template, names_the_field_that_has_no_value)
{
    struct diag why = {0};
    cr_expect_str_eq(expand("Hi {{name}} {{city}}", CGW_ROLE_TEXT, "Li", &why), "ENOTFOUND");
    cr_expect_str_eq(why.where, "city");
}

Test(template, escapes_values_by_role_and_leaves_the_authors_text)
{
    static const struct {
        uint32_t role;
        const char *text, *params, *out;
    } t[] = {
        {CGW_ROLE_HTML, "<b>{{name}}</b>", "<i>&\"'", "<b>&lt;i&gt;&amp;&quot;&#39;</b>"},
        {CGW_ROLE_HTML, "{{name|<x>}}", "", "&lt;x&gt;"},
        {CGW_ROLE_TEXT, "{{name}}", "<i>&\"'", "<i>&\"'"},
        {CGW_ROLE_FLOW, "{\"say\":\"{{name}}\"}", "a\"b\\c\nd\te",
         "{\"say\":\"a\\\"b\\\\c\\u000ad\\u0009e\"}"},
        {CGW_ROLE_SUBJECT, "For {{name}}", "Li & Co", "For Li & Co"},
        {CGW_ROLE_SUBJECT, "For {{name}}", "Li\r\nBcc: x", "EINVAL"},
        {CGW_ROLE_HEADER, "{{name}}", "a\rb", "EINVAL"},
        {CGW_ROLE_HEADER, "{{name|x}}", "a\nb", "EINVAL"},
        {CGW_ROLE_SUBJECT, "a\nb", "", "EINVAL"},
        {CGW_ROLE_TEXT, "{{name}}", "a\nb", "a\nb"},
    };
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        struct diag why = {0};
        cr_expect_str_eq(expand(t[i].text, t[i].role, t[i].params, &why), t[i].out, "%zu '%s'", i,
                         t[i].text);
    }
}

Test(template, checks_a_role_before_anybody_is_written_to)
{
    struct template *t = NULL;
    struct diag why = {0};
    cr_assert_eq(template_new("a\nb {{x}}", 9, NULL, 0, &t, &why), 0);
    cr_expect_eq(template_check_role(t, CGW_ROLE_TEXT, &why), 0);
    cr_expect_eq(template_check_role(t, CGW_ROLE_SUBJECT, &why), CGW_EINVAL);
    cr_expect_str_eq(why.where, "line 1, column 2");
    template_free(t);
}

Test(template, lists_fields_once_and_binds_them_later)
{
    static const char *const other[] = {"a", "city", "name"};
    const char *const *names;
    struct template *t = NULL;
    struct template_binding b;
    struct diag why = {0};
    const char text[] = "{{name}} {{city}} {{name|x}}";
    cr_assert_eq(template_new(text, strlen(text), NULL, 0, &t, &why), 0);
    cr_assert_eq(template_fields(t, &names), 2);
    cr_expect_str_eq(names[0], "name");
    cr_expect_str_eq(names[1], "city");
    cr_assert_eq(template_bind(t, other, 3, &b, &why), 0);
    cr_expect_eq(b.index[0], 2);
    cr_expect_eq(b.index[1], 1);
    cr_expect_eq(template_bind(t, other, 2, &b, &why), CGW_EINVAL);
    cr_expect_str_eq(why.where, "name");
    template_free(t);
}

Test(template, keeps_its_bounds)
{
    static char big[TEMPLATE_MAX + 1];
    struct template *t = NULL;
    struct diag why = {0};
    memset(big, 'x', sizeof big);
    cr_expect_eq(template_new(big, sizeof big, NULL, 0, &t, &why), CGW_ELIMIT);
    cr_expect_eq(template_new(big, TEMPLATE_MAX, NULL, 0, &t, &why), 0);
    template_free(t);
    t = NULL;
    for (size_t i = 0; i + 5 <= TEMPLATE_MAX; i += 5)
        memcpy(big + i, "{{a}}", 5);
    cr_expect_eq(template_new(big, TEMPLATE_MAX / 5 * 5, NULL, 0, &t, &why), CGW_ELIMIT);
    size_t used = 0;
    for (int i = 0; i < 33; i++)
        used += (size_t)snprintf(big + used, sizeof big - used, "{{f%d}}", i);
    cr_expect_eq(template_new(big, used, NULL, 0, &t, &why), CGW_ELIMIT);

    struct buf out;
    struct template_binding b;
    buf_init(&out, 20);
    buf_puts(&out, "keep");
    cr_assert_eq(template_new("{{name}}{{name}}{{name}}", 24, fields, N_FIELDS, &t, &why), 0);
    cr_assert_eq(template_bind(t, fields, N_FIELDS, &b, &why), 0);
    struct field_value v = {"12345678", 8};
    cr_expect_eq(template_expand(t, &b, CGW_ROLE_TEXT, &v, 1, &out, &why), CGW_ELIMIT);
    cr_expect_str_eq(buf_str(&out), "keep");
    buf_done(&out);
    template_free(t);
}

Test(params, packs_and_unpacks_what_was_given)
{
    static const char *const sets[][4] = {{"", "", "", ""},
                                          {"a", "", "", ""},
                                          {"", "b", "", ""},
                                          {"a", "b", "c", "d"},
                                          {"", "", "", "d"}};
    for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
        struct field_value in[4], out[4];
        struct buf b;
        buf_init(&b, PARAMS_MAX);
        for (int j = 0; j < 4; j++)
            in[j] = (struct field_value){sets[i][j], (uint32_t)strlen(sets[i][j])};
        cr_assert_eq(params_pack(in, 4, &b), 0);
        cr_assert_eq(params_unpack(b.data, b.len, out, 4), 0);
        for (int j = 0; j < 4; j++)
            cr_expect(out[j].len == in[j].len && !memcmp(out[j].data, in[j].data, in[j].len));
        buf_done(&b);
    }
}

Test(params, refuses_what_cannot_come_back)
{
    struct field_value v[3];
    struct buf b;
    char big[CGW_FIELD_MAX + 1];
    memset(big, 'x', sizeof big);
    buf_init(&b, PARAMS_MAX);
    v[0] = (struct field_value){"a\x1f"
                                "b",
                                3};
    cr_expect_eq(params_pack(v, 1, &b), CGW_EINVAL);
    v[0] = (struct field_value){"a\0b", 3};
    cr_expect_eq(params_pack(v, 1, &b), CGW_EINVAL);
    v[0] = (struct field_value){big, sizeof big};
    cr_expect_eq(params_pack(v, 1, &b), CGW_ELIMIT);
    cr_expect_eq(b.len, 0);
    cr_expect_eq(params_unpack("a\x1f"
                               "b\x1f"
                               "c",
                               5, v, 2),
                 CGW_EINVAL);
    cr_expect_eq(params_unpack("a", 1, v, 0), CGW_EINVAL);
    cr_expect_eq(params_unpack("", 0, v, 3), 0);
    cr_expect_eq(v[2].len, 0);
    buf_done(&b);
}

Test(utf8, takes_what_rfc_3629_allows_and_nothing_else)
{
    static const struct {
        const char *s;
        size_t len;
        bool ok;
    } t[] = {
        {"", 0, true},
        {"abc", 3, true},
        {"\xc2\x80", 2, true},
        {"\xdf\xbf", 2, true},
        {"\xe0\xa0\x80", 3, true},
        {"\xed\x9f\xbf", 3, true},
        {"\xee\x80\x80", 3, true},
        {"\xf0\x90\x80\x80", 4, true},
        {"\xf4\x8f\xbf\xbf", 4, true},
        {"\0", 1, true},
        {"\x80", 1, false},
        {"\xbf", 1, false},
        {"\xc0\x80", 2, false},
        {"\xc1\xbf", 2, false},
        {"\xc2", 1, false},
        {"\xc2\x41", 2, false},
        {"\xe0\x80\x80", 3, false},
        {"\xe0\x9f\xbf", 3, false},
        {"\xed\xa0\x80", 3, false},
        {"\xed\xbf\xbf", 3, false},
        {"\xe4\xbd", 2, false},
        {"\xf0\x80\x80\x80", 4, false},
        {"\xf0\x8f\xbf\xbf", 4, false},
        {"\xf4\x90\x80\x80", 4, false},
        {"\xf5\x80\x80\x80", 4, false},
        {"\xff", 1, false},
        {"\xfe", 1, false},
        {"abcdefgh\xff", 9, false},
        {"abcdefg\xc2\xa9ijk", 12, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(t); i++)
        cr_expect_eq(utf8_valid(t[i].s, t[i].len), t[i].ok, "%zu", i);
    for (uint32_t c = 0; c <= 0x110000; c += c < 0x11000 ? 1 : 251) {
        char enc[4];
        uint32_t back = 0;
        size_t n = utf8_put(c, enc);
        if ((c >= 0xd800 && c <= 0xdfff) || c > 0x10ffff) {
            cr_expect_eq(n, 0);
            continue;
        }
        cr_expect(n && utf8_next(enc, n, &back) == n && back == c, "U+%04X", c);
    }
}
