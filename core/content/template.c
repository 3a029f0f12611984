/* SPDX-License-Identifier: Apache-2.0 */
/* template.c - see template.h: compile a text into literal and field pieces, bind them to an
 * audience. Expanding: template_expand.c. */
#include "content/template_int.h"

#include "base/word.h"
#include "content/utf8.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIELD_NAME_MAX 64u

/* ---- where
 * -------------------------------------------------------------------------------------------------------------------------
 */

static void place_of(const struct template *t, size_t off, char *out, size_t out_size)
{
    size_t line = 1, from = 0;
    for (size_t i = 0; i < off; i++)
        if (t->text[i] == '\n') {
            line++;
            from = i + 1;
        }
    size_t column = utf8_count(t->text + from, off - from) + 1;
    if (memchr(t->text, '\n', t->len))
        (void)snprintf(out, out_size, "line %zu, column %zu", line, column);
    else
        (void)snprintf(out, out_size, "column %zu", column);
}

static int fault_at(const struct template *t, size_t off, struct diag *diag, const char *text)
{
    char where[64];
    place_of(t, off, where, sizeof where);
    return diag_set(diag, CGW_EINVAL, where, "%s", text);
}

/* ---- names
 * -------------------------------------------------------------------------------------------------------------------------
 */

static bool name_ok(const char *s, size_t len)
{
    if (!len || len > FIELD_NAME_MAX || (s[0] >= '0' && s[0] <= '9'))
        return false;
    for (size_t i = 0; i < len; i++) {
        bool letter = (s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z') || s[i] == '_';
        if (!letter && !(s[i] >= '0' && s[i] <= '9'))
            return false;
    }
    return true;
}

/* "Unknown field 'x'": the nearest name if there is one, and all that there are. */
static int unknown_field(const char *where, const char *name, const char *const *fields,
                         uint32_t n_fields, struct diag *diag)
{
    const char *near = NULL;
    char list[128] = "";
    size_t used = 0;
    for (uint32_t i = 0; i < n_fields; i++) {
        near = word_nearer(name, fields[i], near);
        if (used < sizeof list - 1) {
            int n = snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", fields[i]);
            used += n > 0 ? (size_t)n : 0;
        }
    }
    if (used >= sizeof list) /* cut: say so */
        memcpy(list + sizeof list - 4, "...", 4);
    if (!n_fields)
        return diag_set(diag, CGW_EINVAL, where,
                        "Unknown field '%.64s'; the audience has no fields.", name);
    if (near)
        return diag_set(diag, CGW_EINVAL, where, "Unknown field '%.64s'; did you mean '%.64s'?",
                        name, near);
    return diag_set(diag, CGW_EINVAL, where, "Unknown field '%.40s'; the audience's fields are %s.",
                    name, list);
}

static bool has_name(const char *const *fields, uint32_t n, const char *name, uint32_t *ret_index)
{
    for (uint32_t i = 0; i < n; i++)
        if (!strcmp(fields[i], name)) {
            *ret_index = i;
            return true;
        }
    return false;
}

/* ---- compile
 * ----------------------------------------------------------------------------------------------------------------------
 */

static int add_piece(struct template *t, struct template_piece p, struct diag *diag)
{
    if (p.field < 0 && !p.len)
        return 0;
    if (t->n_pieces == TEMPLATE_PIECES_MAX)
        return diag_set(diag, CGW_ELIMIT, "", "The text has more than %u pieces; use fewer fields.",
                        TEMPLATE_PIECES_MAX);
    if (t->n_pieces == t->cap_pieces) {
        uint32_t cap = t->cap_pieces ? t->cap_pieces * 2 : 16;
        struct template_piece *more = realloc(t->piece, cap * sizeof *more);
        if (!more)
            return diag_set(diag, -ENOMEM, "", "No memory for a text.");
        t->piece = more;
        t->cap_pieces = cap;
    }
    t->piece[t->n_pieces++] = p;
    return 0;
}

/* The template's own number of a field, new or known. */
static int own_field(struct template *t, const char *name, struct diag *diag)
{
    uint32_t i;
    if (has_name((const char *const *)t->names, t->n_names, name, &i))
        return (int)i;
    if (t->n_names == CGW_FIELDS_MAX)
        return diag_set(diag, CGW_ELIMIT, "", "The text uses more than %u fields.", CGW_FIELDS_MAX);
    t->names[t->n_names] = strdup(name);
    if (!t->names[t->n_names])
        return diag_set(diag, -ENOMEM, "", "No memory for a text.");
    return (int)t->n_names++;
}

static size_t find_pair(const struct template *t, size_t from, char brace)
{
    for (size_t i = from; i + 1 < t->len; i++)
        if (t->text[i] == brace && t->text[i + 1] == brace)
            return i;
    return t->len;
}

struct known {
    const char *const *fields;
    uint32_t n;
};

/* "{{" stands at `at`. \return where reading goes on, in *ret_next */
static int read_field(struct template *t, size_t at, const struct known *known, size_t *ret_next,
                      struct diag *diag)
{
    char name[FIELD_NAME_MAX + 1], where[64];
    size_t lo = at + 2, end = find_pair(t, lo, '}');
    if (end == t->len)
        return fault_at(
            t, at, diag,
            "The {{ that stands here is never closed; write {{field}}, or {{{{ for a literal {{.");
    if (find_pair(t, lo, '{') < end)
        return fault_at(
            t, at, diag,
            "Another {{ stands before this one is closed; write {{field}} or {{field|default}}.");
    const char *bar = memchr(t->text + lo, '|', end - lo);
    size_t hi = bar ? (size_t)(bar - t->text) : end;
    struct template_piece p = {.field = -1, .has_default = bar != NULL};
    if (bar)
        p.off = (uint32_t)(hi + 1), p.len = (uint32_t)(end - hi - 1);
    while (lo < hi && t->text[lo] == ' ')
        lo++;
    while (hi > lo && t->text[hi - 1] == ' ')
        hi--;
    if (!name_ok(t->text + lo, hi - lo))
        return fault_at(t, at, diag,
                        "Between {{ and }} stands no field name; use letters, digits and _, such "
                        "as {{first_name}}.");
    memcpy(name, t->text + lo, hi - lo);
    name[hi - lo] = 0;
    uint32_t index;
    place_of(t, at, where, sizeof where);
    if (known->fields && !has_name(known->fields, known->n, name, &index))
        return unknown_field(where, name, known->fields, known->n, diag);
    int field = own_field(t, name, diag);
    if (field < 0)
        return field;
    p.field = (int8_t)field;
    *ret_next = end + 2;
    return add_piece(t, p, diag);
}

static int compile(struct template *t, const struct known *known, struct diag *diag)
{
    size_t from = 0;
    while (from < t->len) {
        size_t at = find_pair(t, from, '{');
        struct template_piece literal = {
            .off = (uint32_t)from, .len = (uint32_t)(at - from), .field = -1};
        bool escaped = at + 3 < t->len && t->text[at + 2] == '{' && t->text[at + 3] == '{';
        if (escaped)
            literal.len += 2; /* the first two of the four are the literal {{ */
        int rc = add_piece(t, literal, diag);
        if (rc < 0 || at == t->len)
            return rc;
        if (escaped)
            from = at + 4;
        else if ((rc = read_field(t, at, known, &from, diag)) < 0)
            return rc;
    }
    return 0;
}

static int check_text(const struct template *t, struct diag *diag)
{
    for (size_t i = 0; i < t->len;) {
        uint32_t c;
        size_t n = utf8_next(t->text + i, t->len - i, &c);
        if (!n)
            return fault_at(t, i, diag, "The text is not UTF-8 here.");
        if (!c)
            return fault_at(t, i, diag, "The text holds a NUL character; remove it.");
        i += n;
    }
    return 0;
}

int template_new(const char *text, size_t len, const char *const *fields, uint32_t n_fields,
                 struct template **ret, struct diag *diag)
{
    const struct known known = {fields, n_fields};
    if (len > TEMPLATE_MAX)
        return diag_set(diag, CGW_ELIMIT, "", "The text is longer than %u bytes.", TEMPLATE_MAX);
    struct template *t = calloc(1, sizeof *t);
    if (!t || !(t->text = malloc(len + 1))) {
        free(t);
        return diag_set(diag, -ENOMEM, "", "No memory for a text.");
    }
    if (len)
        memcpy(t->text, text, len);
    t->text[len] = 0;
    t->len = len;
    int rc = check_text(t, diag);
    if (rc == 0)
        rc = compile(t, &known, diag);
    if (rc < 0) {
        template_free(t);
        return rc;
    }
    *ret = t;
    return 0;
}

void template_free(struct template *t)
{
    if (!t)
        return;
    for (uint32_t i = 0; i < t->n_names; i++)
        free(t->names[i]);
    free(t->piece);
    free(t->text);
    free(t);
}

uint32_t template_fields(const struct template *t, const char *const **ret_names)
{
    *ret_names = (const char *const *)t->names;
    return t->n_names;
}

/* Fields stand inside strings: outside of one, {{ is no JSON. */
static int check_flow(const struct template *t, struct diag *diag)
{
    json_error_t err;
    json_t *doc = json_loadb(t->text, t->len, JSON_REJECT_DUPLICATES, &err);
    json_decref(doc);
    if (doc)
        return 0;
    char where[48];
    (void)snprintf(where, sizeof where, "line %d, column %d", err.line, err.column);
    return diag_set(diag, CGW_EINVAL, where,
                    "A flow is JSON, with its {{fields}} inside of strings: %s.", err.text);
}

int template_check_role(const struct template *t, uint32_t role, struct diag *diag)
{
    if (role == CGW_ROLE_FLOW)
        return check_flow(t, diag);
    if (role != CGW_ROLE_HEADER && role != CGW_ROLE_SUBJECT)
        return 0;
    size_t at = strcspn(t->text, "\r\n");
    if (at < t->len)
        return fault_at(t, at, diag, "A subject or header is one line; remove the line end.");
    return 0;
}

int template_bind(const struct template *t, const char *const *fields, uint32_t n_fields,
                  struct template_binding *ret, struct diag *diag)
{
    struct template_binding b = {.n = t->n_names};
    for (uint32_t i = 0; i < t->n_names; i++) {
        uint32_t index;
        if (!has_name(fields, n_fields, t->names[i], &index))
            return unknown_field(t->names[i], t->names[i], fields, n_fields, diag);
        if (index >= CGW_FIELDS_MAX)
            return diag_set(diag, CGW_ELIMIT, t->names[i], "An audience has at most %u fields.",
                            CGW_FIELDS_MAX);
        b.index[i] = (uint8_t)index;
    }
    *ret = b;
    return 0;
}
