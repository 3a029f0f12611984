/* SPDX-License-Identifier: Apache-2.0 */
/* ingest_header.c - the CSV header row: which column is what. A wrong header ends the upload,
 * because every row would be wrong. */
#include "ingest/ingest_int.h"

#include "content/utf8.h"

#include <stdio.h>
#include <string.h>

/* Cell i of the header without blanks around it, in `out`. */
static bool header_name(const struct csv_stage *c, uint32_t i, char out[INGEST_FIELD_NAME_MAX + 1])
{
    const char *s = c->text + c->off[i];
    size_t len = c->len[i];
    while (len && (*s == ' ' || *s == '\t')) {
        s++;
        len--;
    }
    while (len && (s[len - 1] == ' ' || s[len - 1] == '\t'))
        len--;
    if (len > INGEST_FIELD_NAME_MAX)
        return false;
    memcpy(out, s, len);
    out[len] = 0;
    return true;
}

/* Is this a first row of data? Then saying so helps more than complaining about names. */
static bool looks_like_data(const struct csv_stage *c)
{
    for (uint32_t i = 0; i < c->n_cells && i < CSV_CELLS_MAX; i++) {
        const char *s = c->text + c->off[i];
        if (memchr(s, '@', c->len[i]) ||
            (c->len[i] >= 5 && strspn(s, "+0123456789 -") == c->len[i]))
            return true;
    }
    return false;
}

static int bad_shape(const struct csv_stage *c, struct diag *diag)
{
    const char *s = c->text;
    if (s[0] == '{')
        return diag_set(diag, CGW_EINVAL, "line 1",
                        "The upload looks like NDJSON; send it as application/x-ndjson.");
    if (looks_like_data(c))
        return diag_set(diag, CGW_EINVAL, "line 1",
                        "The first line is data, not a header; put the column names first, such as "
                        "msisdn,name.");
    if (c->n_cells == 1 && strpbrk(s, ";\t|"))
        return diag_set(diag, CGW_EINVAL, "line 1",
                        "The columns are not separated by commas; write msisdn,name.");
    return 0;
}

static int take_column(struct ingest *in, uint32_t i, bool seen[COL_RESERVED], struct diag *diag)
{
    struct csv_stage *c = &in->u.csv;
    char name[INGEST_FIELD_NAME_MAX + 1], where[32];
    (void)snprintf(where, sizeof where, "line 1, column %u", i + 1);
    if (!utf8_valid(c->text + c->off[i], c->len[i]))
        return diag_set(diag, CGW_EINVAL, where,
                        "The column name is not UTF-8; save the file as UTF-8.");
    if (!header_name(c, i, name))
        return diag_set(diag, CGW_EINVAL, where, "The column name is longer than %u bytes.",
                        INGEST_FIELD_NAME_MAX);
    int col = ingest_column_find(name);
    if (col >= 0 ? seen[col] : ingest_field_find(in, name) >= 0)
        return diag_set(diag, CGW_EINVAL, where,
                        "The column '%s' stands twice in the header; keep one.", name);
    if (col >= 0) {
        seen[col] = true;
        c->target[i] = (int8_t)col;
        return 0;
    }
    int field = ingest_field_add(in, name);
    if (field == CGW_ELIMIT)
        return diag_set(diag, CGW_ELIMIT, where,
                        "There are more than %u template fields; leave out what no text uses.",
                        CGW_FIELDS_MAX);
    if (field < 0)
        return diag_set(
            diag, CGW_EINVAL, where,
            *name
                ? "'%s' is no field name; use letters, digits and _, beginning with a letter or _."
                : "The column has no name%s; name it or remove it.",
            name);
    c->target[i] = (int8_t)(COL_RESERVED + field);
    return 0;
}

int csv_header(struct ingest *in, struct diag *diag)
{
    struct csv_stage *c = &in->u.csv;
    bool seen[COL_RESERVED] = {false};
    int rc = bad_shape(c, diag);
    if (rc < 0)
        return rc;
    if (c->n_cells > INGEST_COLUMNS_MAX)
        return diag_set(diag, CGW_ELIMIT, "line 1",
                        "There are more than %u columns; leave out what no text uses.",
                        INGEST_COLUMNS_MAX);
    for (uint32_t i = 0; i < c->n_cells; i++) {
        rc = take_column(in, i, seen, diag);
        if (rc < 0)
            return rc;
    }
    if (!seen[COL_MSISDN] && !seen[COL_EMAIL] && !(in->opts.customer_names && seen[COL_CUSTOMER]))
        return diag_set(diag, CGW_EINVAL, "line 1",
                        "The header names no address column; one must be msisdn or email.");
    if ((in->opts.require_msisdn && !seen[COL_MSISDN]) ||
        (in->opts.require_email && !seen[COL_EMAIL]))
        return diag_set(diag, CGW_EINVAL, "line 1",
                        "The header lacks the column %s, which this upload needs.",
                        seen[COL_MSISDN] ? "email" : "msisdn");
    c->n_columns = c->n_cells;
    c->have_header = true;
    return 0;
}

/* Files that were pasted behind each other repeat their header. */
bool csv_is_header_again(const struct ingest *in)
{
    const struct csv_stage *c = &in->u.csv;
    char name[INGEST_FIELD_NAME_MAX + 1];
    char first = c->text[c->off[0]];
    if (first == '+' || (first >= '0' && first <= '9')) /* no name begins so, numbers do */
        return false;
    for (uint32_t i = 0; i < c->n_columns; i++) {
        int t = c->target[i];
        if (!header_name(c, i, name))
            return false;
        if (t < COL_RESERVED
                ? ingest_column_find(name) != t
                : strcmp(name, ingest_field_label(in, (uint32_t)(t - COL_RESERVED))) != 0)
            return false;
    }
    return true;
}
