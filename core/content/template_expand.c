/* SPDX-License-Identifier: Apache-2.0 */
/* template_expand.c - one person's text: values escaped for the part's role, so that nobody's name
 * can become markup, a header or JSON. Sources: HTML 13.1.4 (character references), RFC 8259 7
 * (JSON strings), RFC 5322 2.2 (headers are lines). */
#include "content/template_int.h"

#include <string.h>

struct escape {
    char c;
    const char *text;
};

static const struct escape html[] = {
    {'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}, {'\'', "&#39;"}};

static void put_html(struct buf *out, const char *s, size_t len)
{
    size_t from = 0;
    for (size_t i = 0; i < len; i++)
        for (size_t e = 0; e < ARRAY_LEN(html); e++)
            if (s[i] == html[e].c) {
                buf_put(out, s + from, i - from);
                buf_puts(out, html[e].text);
                from = i + 1;
            }
    buf_put(out, s + from, len - from);
}

static void put_json(struct buf *out, const char *s, size_t len)
{
    size_t from = 0;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = (uint8_t)s[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        buf_put(out, s + from, i - from);
        buf_printf(out, c < 0x20 ? "\\u%04x" : "\\%c", c);
        from = i + 1;
    }
    buf_put(out, s + from, len - from);
}

static bool is_line_role(uint32_t role)
{
    return role == CGW_ROLE_HEADER || role == CGW_ROLE_SUBJECT;
}

static bool has_line_end(const char *s, size_t len)
{
    return len && (memchr(s, '\r', len) || memchr(s, '\n', len) || memchr(s, 0, len));
}

static int put_value(const char *name, uint32_t role, const char *s, size_t len, struct buf *out,
                     struct diag *diag)
{
    if (is_line_role(role) && has_line_end(s, len))
        return diag_set(
            diag, CGW_EINVAL, name,
            "The value of '%s' holds a line end or NUL, which a subject or header cannot hold.",
            name);
    if (role == CGW_ROLE_HTML)
        put_html(out, s, len);
    else if (role == CGW_ROLE_FLOW)
        put_json(out, s, len);
    else
        buf_put(out, s, len);
    return 0;
}

static int put_field(const struct template *t, const struct template_piece *p,
                     const struct template_binding *b, uint32_t role,
                     const struct field_value *values, uint32_t n_values, struct buf *out,
                     struct diag *diag)
{
    const char *name = t->names[p->field];
    uint32_t index = b->index[p->field];
    if (index < n_values && values[index].len)
        return put_value(name, role, values[index].data, values[index].len, out, diag);
    if (!p->has_default)
        return diag_set(
            diag, CGW_ENOTFOUND, name,
            "The person has no value for '%s' and the text gives no default; write {{%s|...}}.",
            name, name);
    if (role == CGW_ROLE_FLOW) { /* it stands inside the author's JSON string: escaped already */
        buf_put(out, t->text + p->off, p->len);
        return 0;
    }
    return put_value(name, role, t->text + p->off, p->len, out, diag);
}

int template_expand(const struct template *t, const struct template_binding *b, uint32_t role,
                    const struct field_value *values, uint32_t n_values, struct buf *out,
                    struct diag *diag)
{
    size_t before = out->len;
    int rc = b->n == t->n_names
                 ? 0
                 : diag_set(diag, CGW_EINVAL, "", "The binding belongs to another text.");
    for (uint32_t i = 0; i < t->n_pieces && rc == 0; i++) {
        const struct template_piece *p = &t->piece[i];
        if (p->field >= 0)
            rc = put_field(t, p, b, role, values, n_values, out, diag);
        else if (is_line_role(role) && has_line_end(t->text + p->off, p->len))
            rc = diag_set(diag, CGW_EINVAL, "",
                          "A subject or header is one line; remove the line end from the text.");
        else
            buf_put(out, t->text + p->off, p->len);
    }
    if (rc == 0 && out->failed)
        rc =
            diag_set(diag, CGW_ELIMIT, "", "The expanded text is longer than %zu bytes.", out->max);
    if (rc < 0) {
        out->len = before;
        out->failed = false;
    }
    return rc;
}
