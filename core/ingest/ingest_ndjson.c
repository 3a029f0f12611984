/* SPDX-License-Identifier: Apache-2.0 */
/* ingest_ndjson.c - one JSON object per line (RFC 8259), members as in CSV columns. Values are
 * text; whole numbers, fractions and booleans of fields are taken as they are written, numbers as
 * addresses are not: JSON would drop their zeros. Messages never repeat the input, since it holds
 * addresses. */
#include "ingest/ingest_int.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define NUMBER_MAX 32u /* bytes of a number written as text */

struct numbers { /* room for field values that are numbers */
    char text[CGW_FIELDS_MAX][NUMBER_MAX];
};

static const char *type_name(const json_t *v)
{
    static const char *const names[] = {
        [JSON_OBJECT] = "an object", [JSON_ARRAY] = "an array", [JSON_STRING] = "a string",
        [JSON_INTEGER] = "a number", [JSON_REAL] = "a number",  [JSON_TRUE] = "a boolean",
        [JSON_FALSE] = "a boolean",  [JSON_NULL] = "null",
    };
    return names[json_typeof(v)];
}

static int wrong_type(struct ingest *in, uint64_t line, const char *name, const json_t *v,
                      const char *want)
{
    ingest_reject_row(in, line, name, "json_type", "The member is %s; write %s.", type_name(v),
                      want);
    return CGW_EINVAL;
}

/* The shortest decimal that reads back as the same double. */
static size_t write_real(double d, char out[NUMBER_MAX])
{
    int n = 0;
    for (int digits = 15; digits <= 17; digits++) {
        n = snprintf(out, NUMBER_MAX, "%.*g", digits, d);
        if (strtod(out, NULL) == d)
            break;
    }
    return n > 0 ? (size_t)n : 0;
}

static int field_value(struct ingest *in, uint64_t line, const char *name, const json_t *v,
                       char number[NUMBER_MAX], struct cell *ret)
{
    int n = 0;
    switch (json_typeof(v)) {
    case JSON_STRING:
        *ret = (struct cell){json_string_value(v), json_string_length(v)};
        return 0;
    case JSON_INTEGER:
        n = snprintf(number, NUMBER_MAX, "%lld", (long long)json_integer_value(v));
        *ret = (struct cell){number, n > 0 ? (size_t)n : 0};
        return 0;
    case JSON_REAL:
        *ret = (struct cell){number, write_real(json_real_value(v), number)};
        return 0;
    case JSON_TRUE:
    case JSON_FALSE:
        *ret = json_is_true(v) ? (struct cell){"true", 4} : (struct cell){"false", 5};
        return 0;
    case JSON_NULL:
        return 0;
    default:
        return wrong_type(in, line, name, v, "a string or a number");
    }
}

/* A member that is no reserved name. \return field number, or negative after the reject */
static int field_number(struct ingest *in, uint64_t line, const char *name)
{
    int field = ingest_field_find(in, name);
    if (field >= 0)
        return field;
    field = ingest_field_add(in, name);
    if (field == CGW_ELIMIT)
        ingest_reject_row(in, line, "", "too_many_fields",
                          "The row brings a field beyond the first %u of the upload; leave it out.",
                          CGW_FIELDS_MAX);
    else if (field < 0)
        ingest_reject_row(in, line, "", "field_name",
                          "A member's name is no field name; use at most %u letters, digits and _, "
                          "beginning with a letter or _.",
                          INGEST_FIELD_NAME_MAX);
    return field;
}

static int read_members(struct ingest *in, json_t *object, struct raw_row *raw,
                        struct numbers *numbers)
{
    const char *name;
    json_t *v;
    json_object_foreach(object, name, v)
    {
        int col = ingest_column_find(name);
        if (col >= 0) {
            if (raw->reserved[col].data) {
                ingest_reject_row(in, raw->line, ingest_column_names[col], "json_syntax",
                                  "The member stands twice; keep one.");
                return CGW_EINVAL;
            }
            if (!json_is_string(v) && !json_is_null(v))
                return wrong_type(in, raw->line, ingest_column_names[col], v, "a string in quotes");
            raw->reserved[col] =
                (struct cell){json_is_string(v) ? json_string_value(v) : "", json_string_length(v)};
            continue;
        }
        int field = field_number(in, raw->line, name);
        if (field < 0)
            return field;
        int rc = field_value(in, raw->line, ingest_field_label(in, (uint32_t)field), v,
                             numbers->text[field], &raw->field[field]);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static void reject_syntax(struct ingest *in, uint64_t line, const json_error_t *e)
{
    static const struct {
        enum json_error_code code;
        const char *text;
    } known[] = {
        {json_error_duplicate_key, "a member stands twice; keep one"},
        {json_error_numeric_overflow, "a number does not fit in 64 bits; write it as a string"},
        {json_error_stack_overflow, "it is nested too deeply; a row is one flat object"},
        {json_error_null_character, "a string holds a NUL character"},
        {json_error_null_byte_in_key, "a member's name holds a NUL character"},
        {json_error_premature_end_of_input, "it ends too early; write one object per line"},
        {json_error_end_of_input_expected,
         "something follows the object; write one object per line"},
        {json_error_invalid_utf8, "it is not UTF-8"},
    };
    const char *what = "it is not a JSON object";
    enum json_error_code code = json_error_code(e);
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (known[i].code == code)
            what = known[i].text;
    ingest_reject_row(in, line, "", code == json_error_invalid_utf8 ? "not_utf8" : "json_syntax",
                      "The line cannot be read near column %d: %s.", e->column, what);
}

static int take_object(struct ingest *in, json_t *object, uint64_t line, struct diag *diag)
{
    struct numbers numbers;
    struct raw_row raw = {.line = line};
    uint32_t fields_before = in->n_fields;
    uint64_t rejected_before = in->counts.rejected;
    if (!json_is_object(object)) {
        ingest_reject_row(in, line, "", "json_not_object",
                          "The line is %s; write one object per line.", type_name(object));
        return 0;
    }
    int rc = read_members(in, object, &raw, &numbers) < 0 ? 0 : ingest_row_take(in, &raw, diag);
    if (in->counts.rejected != rejected_before)
        in->n_fields = fields_before; /* a bad row brings no new fields */
    return rc;
}

static int line_end(struct ingest *in, struct diag *diag)
{
    struct ndjson_stage *s = &in->u.ndjson;
    uint64_t line = s->line++;
    json_error_t e;
    int rc = 0;
    in->counts.lines++;
    if (s->used && s->text[s->used - 1] == '\r')
        s->used--;
    if (s->too_long)
        ingest_reject_row(in, line, "", "row_too_long", "The row is longer than %u bytes.",
                          INGEST_ROW_MAX);
    else if (strspn(s->text, " \t") >= s->used) {
        ; /* blank */
    } else {
        json_t *object = json_loadb(s->text, s->used, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &e);
        if (object) {
            rc = take_object(in, object, line, diag);
            json_decref(object);
        } else {
            reject_syntax(in, line, &e);
        }
    }
    s->used = 0;
    s->too_long = false;
    if (rc == 0 && in->counts.rows > in->opts.max_rows)
        rc = diag_set(diag, CGW_ELIMIT, "", "The upload has more than %llu rows; split it.",
                      (unsigned long long)in->opts.max_rows);
    return rc;
}

static void append(struct ndjson_stage *s, const char *data, size_t len)
{
    if (len > INGEST_ROW_MAX - s->used) {
        s->too_long = true;
        s->used = 0;
    }
    if (s->too_long)
        return;
    memcpy(s->text + s->used, data, len);
    s->used += len;
    s->text[s->used] = 0;
}

int ndjson_feed(struct ingest *in, const char *data, size_t len, struct diag *diag)
{
    while (len) {
        const char *nl = memchr(data, '\n', len);
        size_t n = nl ? (size_t)(nl - data) : len;
        append(&in->u.ndjson, data, n);
        if (!nl)
            break;
        int rc = line_end(in, diag);
        if (rc < 0)
            return rc;
        data += n + 1;
        len -= n + 1;
    }
    return 0;
}

int ndjson_finish(struct ingest *in, struct diag *diag)
{
    const struct ndjson_stage *s = &in->u.ndjson;
    return s->used || s->too_long ? line_end(in, diag) : 0;
}
