/* SPDX-License-Identifier: Apache-2.0 */
/* ingest_csv.c - bytes to rows. Source: RFC 4180; beyond it: CR, LF and CRLF all end a row, a byte
 * order mark is skipped, blank lines too. What RFC 4180 forbids is rejected row by row, never
 * guessed. */
#include "ingest/ingest_int.h"

#include "content/utf8.h"

#include <string.h>

static void row_start(struct csv_stage *c)
{
    c->state = CSV_CELL_START;
    c->fault = CSV_FINE;
    c->fault_cell = 0;
    c->any = false;
    c->row_line = c->line;
    c->raw = 0;
    c->used = 0;
    c->n_cells = 0;
    c->off[0] = 0;
}

static void set_fault(struct csv_stage *c, enum csv_fault fault)
{
    if (c->fault)
        return;
    c->fault = fault;
    c->fault_cell = c->n_cells;
}

static void cell_end(struct csv_stage *c)
{
    c->text[c->used] = 0;
    if (c->n_cells < CSV_CELLS_MAX) {
        c->len[c->n_cells] = (uint32_t)(c->used - c->off[c->n_cells]);
        c->used++;
        if (c->n_cells + 1 < CSV_CELLS_MAX)
            c->off[c->n_cells + 1] = (uint32_t)c->used;
    } else {
        c->used = c->off[CSV_CELLS_MAX - 1]; /* beyond the last one that matters: only counted */
    }
    c->n_cells++;
    c->state = CSV_CELL_START;
}

static const char *column_name(const struct ingest *in, uint32_t cell)
{
    const struct csv_stage *c = &in->u.csv;
    if (!c->have_header || cell >= c->n_columns)
        return "";
    int t = c->target[cell];
    return t < COL_RESERVED ? ingest_column_names[t]
                            : ingest_field_label(in, (uint32_t)(t - COL_RESERVED));
}

static void reject_fault(struct ingest *in)
{
    struct csv_stage *c = &in->u.csv;
    const char *column = column_name(in, c->fault_cell);
    if (c->fault == CSV_TOO_LONG)
        ingest_reject_row(
            in, c->row_line, column, "row_too_long",
            "The row is longer than %u bytes (it reached line %llu); is a quote left open?",
            INGEST_ROW_MAX, (unsigned long long)c->line);
    else if (c->fault == CSV_QUOTE)
        ingest_reject_row(in, c->row_line, column, "csv_quote",
                          "A quote stands inside or behind a cell (line %llu); quote the whole "
                          "cell and double the quotes in it.",
                          (unsigned long long)c->line);
    else
        ingest_reject_row(in, c->row_line, column, "nul_byte",
                          "The row holds a NUL byte; remove it, or save the file as UTF-8.");
}

/* A fault in the header leaves nothing to go on with. */
static int header_fault(const struct csv_stage *c, struct diag *diag)
{
    static const char *const why[] = {
        [CSV_TOO_LONG] = "The header row is longer than 64 KiB or a quote is left open in it.",
        [CSV_QUOTE] = "A quote in the header row stands inside or behind a name; write the names "
                      "without quotes.",
        [CSV_NUL] = "The header row holds a NUL byte; save the file as UTF-8.",
    };
    if (c->text[0] == '{')
        return diag_set(diag, CGW_EINVAL, "line 1",
                        "The upload looks like NDJSON; send it as application/x-ndjson.");
    return diag_set(diag, CGW_EINVAL, "line 1", "%s", why[c->fault]);
}

static bool check_utf8(struct ingest *in)
{
    const struct csv_stage *c = &in->u.csv;
    for (uint32_t i = 0; i < c->n_cells && i < CSV_CELLS_MAX; i++)
        if (!utf8_valid(c->text + c->off[i], c->len[i])) {
            ingest_reject_row(in, c->row_line, column_name(in, i), "not_utf8",
                              "The cell is not UTF-8; save the file as UTF-8.");
            return false;
        }
    return true;
}

static int deliver(struct ingest *in, struct diag *diag)
{
    struct csv_stage *c = &in->u.csv;
    struct raw_row raw = {.line = c->row_line};
    if (c->n_cells != c->n_columns) {
        ingest_reject_row(in, c->row_line, "", "column_count",
                          "The row has %u columns, the header %u; quote values that hold commas.",
                          c->n_cells, c->n_columns);
        return 0;
    }
    if (csv_is_header_again(in)) {
        ingest_reject_row(in, c->row_line, "", "header_again",
                          "The header row stands here again; keep the first one only.");
        return 0;
    }
    for (uint32_t i = 0; i < c->n_cells; i++) {
        int t = c->target[i];
        struct cell *to = t < COL_RESERVED ? &raw.reserved[t] : &raw.field[t - COL_RESERVED];
        *to = (struct cell){c->text + c->off[i], c->len[i]};
    }
    return ingest_row_take(in, &raw, diag);
}

static int row_end(struct ingest *in, struct diag *diag)
{
    struct csv_stage *c = &in->u.csv;
    int rc = 0;
    if (c->state != CSV_SKIP)
        cell_end(c);
    bool blank = c->state != CSV_SKIP && !c->any;
    if (blank)
        ;
    else if (!c->have_header)
        rc = c->fault ? header_fault(c, diag) : csv_header(in, diag);
    else if (c->fault)
        reject_fault(in);
    else if (check_utf8(in))
        rc = deliver(in, diag);
    if (rc == 0 && in->counts.rows > in->opts.max_rows)
        rc = diag_set(diag, CGW_ELIMIT, "", "The upload has more than %llu rows; split it.",
                      (unsigned long long)in->opts.max_rows);
    return rc;
}

static void put(struct csv_stage *c, char ch)
{
    c->text[c->used++] =
        ch; /* raw is bounded by INGEST_ROW_MAX, and every cell's NUL has its own room */
}

/* One byte that is no row end. */
static void take(struct csv_stage *c, char ch)
{
    if (!ch)
        set_fault(c, CSV_NUL);
    switch (c->state) {
    case CSV_CELL_START:
        if (ch == '"') {
            c->state = CSV_QUOTED;
            break;
        }
        c->state = CSV_PLAIN;
        __attribute__((fallthrough));
    case CSV_PLAIN:
        if (ch == ',')
            cell_end(c);
        else if (ch == '"') {
            set_fault(c, CSV_QUOTE);
            c->state = CSV_SKIP;
        } else
            put(c, ch);
        break;
    case CSV_QUOTED:
        if (ch == '"')
            c->state = CSV_QUOTE_SEEN;
        else
            put(c, ch);
        break;
    case CSV_QUOTE_SEEN:
        if (ch == '"') {
            put(c, ch);
            c->state = CSV_QUOTED;
        } else if (ch == ',')
            cell_end(c);
        else {
            set_fault(c, CSV_QUOTE);
            c->state = CSV_SKIP;
        }
        break;
    case CSV_SKIP:
        break;
    }
}

static int newline(struct ingest *in, char ch, struct diag *diag)
{
    struct csv_stage *c = &in->u.csv;
    if (c->state == CSV_QUOTED) { /* part of the value */
        put(c, ch);
        c->raw++;
        c->line += !(ch == '\n' && c->after_cr);
        c->after_cr = ch == '\r';
        return 0;
    }
    if (ch == '\n' && c->after_cr) { /* second half of CRLF */
        c->after_cr = false;
        return 0;
    }
    int rc = row_end(in, diag);
    c->after_cr = ch == '\r';
    c->line++;
    in->counts.lines++;
    row_start(c);
    return rc;
}

/* The bytes from data on that are nothing but part of a plain cell, taken at once. */
static size_t take_run(struct csv_stage *c, const char *data, size_t len)
{
    static const bool ends[256] = {
        [0] = true, ['"'] = true, [','] = true, ['\n'] = true, ['\r'] = true};
    size_t n = 0, room = INGEST_ROW_MAX - c->raw;
    while (n < len && n < room && !ends[(uint8_t)data[n]])
        n++;
    memcpy(c->text + c->used, data, n);
    c->used += n;
    c->raw += n;
    return n;
}

int csv_feed(struct ingest *in, const char *data, size_t len, struct diag *diag)
{
    struct csv_stage *c = &in->u.csv;
    for (size_t i = 0; i < len; i++) {
        char ch = data[i];
        bool line_end = ch == '\n' || ch == '\r';
        if (c->state == CSV_PLAIN && c->raw < INGEST_ROW_MAX) { /* behind its first byte */
            size_t n = take_run(c, data + i, len - i);
            if (n) {
                i += n - 1;
                continue;
            }
        }
        if (c->raw >= INGEST_ROW_MAX && c->state != CSV_SKIP &&
            !(line_end && c->state != CSV_QUOTED)) {
            set_fault(c, CSV_TOO_LONG);
            c->state = CSV_SKIP;
        }
        if (line_end) {
            int rc = newline(in, ch, diag);
            if (rc < 0)
                return rc;
            continue;
        }
        c->after_cr = false;
        c->any = true;
        c->raw++;
        take(c, ch);
    }
    return 0;
}

int csv_finish(struct ingest *in, struct diag *diag)
{
    struct csv_stage *c = &in->u.csv;
    int rc = 0;
    if (c->state == CSV_QUOTED)
        set_fault(c, CSV_QUOTE);
    if (c->any || c->state == CSV_SKIP) {
        rc = row_end(in, diag);
        in->counts.lines++;
    }
    if (rc == 0 && !c->have_header)
        rc = diag_set(diag, CGW_EINVAL, "line 1",
                      "The upload holds blank lines only; send a header row and at least one row.");
    return rc;
}
