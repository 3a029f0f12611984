/* SPDX-License-Identifier: Apache-2.0 */
/* ingest_int.h - private to core/ingest: the stages of one upload. bytes → (gzip) → reader (CSV or
 * NDJSON) → row check → callback. */
#ifndef INGEST_INGEST_INT_H
#define INGEST_INGEST_INT_H

#include "ingest/ingest.h"

#include <zlib.h>

enum ingest_column {
    COL_MSISDN,
    COL_EMAIL,
    COL_CUSTOMER,
    COL_ZONE,
    COL_REGION,
    COL_LANG,
    COL_CHANNEL,
    COL_RESERVED
};
extern const char *const ingest_column_names[COL_RESERVED];

struct cell {
    const char *data; /* NUL-terminated */
    size_t len;
};

/* One row's cells before they are judged. */
struct raw_row {
    uint64_t line;
    struct cell reserved[COL_RESERVED]; /* len 0 = absent */
    struct cell field[CGW_FIELDS_MAX];
};

/* ---- gzip
 * ------------------------------------------------------------------------------------------------------------------------
 */
struct gzip_stage {
    z_stream z;
    bool ready;     /* inflateInit2 done */
    bool in_member; /* between a member's first and last byte */
    bool padding;   /* zeros after the last member */
    uint64_t members, in, out;
    unsigned char block[65536];
};
typedef int (*gzip_sink_fn)(void *ctx, const char *data, size_t len, struct diag *diag);
int gzip_init(struct gzip_stage *g, struct diag *diag) CGW_NODISCARD;
int gzip_feed(struct gzip_stage *g, const void *data, size_t len, gzip_sink_fn sink, void *ctx,
              struct diag *diag) CGW_NODISCARD;
int gzip_finish(struct gzip_stage *g, struct diag *diag) CGW_NODISCARD;
void gzip_done(struct gzip_stage *g);

/* ---- CSV
 * -------------------------------------------------------------------------------------------------------------------------
 */
#define CSV_CELLS_MAX                                                                              \
    (INGEST_COLUMNS_MAX + 1u) /* one more than allowed, to see that there are too many */
enum csv_state { CSV_CELL_START, CSV_PLAIN, CSV_QUOTED, CSV_QUOTE_SEEN, CSV_SKIP };
enum csv_fault { CSV_FINE, CSV_TOO_LONG, CSV_QUOTE, CSV_NUL };
struct csv_stage {
    enum csv_state state;
    enum csv_fault fault; /* first fault of the row being read */
    uint32_t fault_cell;
    bool after_cr, any; /* any: the row has at least one byte */
    uint64_t line, row_line;
    size_t raw; /* bytes of the row as received */
    size_t used;
    uint32_t n_cells, off[CSV_CELLS_MAX], len[CSV_CELLS_MAX];
    char text[INGEST_ROW_MAX + 2 * CSV_CELLS_MAX]; /* cells without quotes, each with a NUL */
    bool have_header;
    uint32_t n_columns;
    int8_t target[INGEST_COLUMNS_MAX]; /* column → enum ingest_column, or COL_RESERVED + field */
};
int csv_feed(struct ingest *in, const char *data, size_t len, struct diag *diag) CGW_NODISCARD;
int csv_finish(struct ingest *in, struct diag *diag) CGW_NODISCARD;
int csv_header(struct ingest *in,
               struct diag *diag) CGW_NODISCARD; /* the row in the stage is the header */
bool csv_is_header_again(const struct ingest *in);

/* ---- NDJSON
 * ----------------------------------------------------------------------------------------------------------------------
 */
struct ndjson_stage {
    uint64_t line;
    size_t used;
    bool too_long;
    char text[INGEST_ROW_MAX + 1];
};
int ndjson_feed(struct ingest *in, const char *data, size_t len, struct diag *diag) CGW_NODISCARD;
int ndjson_finish(struct ingest *in, struct diag *diag) CGW_NODISCARD;

/* ---- the upload
 * -------------------------------------------------------------------------------------------------------------------
 */
struct ingest {
    enum ingest_format format;
    struct ingest_opts opts;
    char default_region[3];
    ingest_row_fn row;
    ingest_reject_fn reject;
    void *ctx;
    int failed; /* code that every later call returns */
    struct diag failure;
    bool finished;
    struct ingest_counts counts;
    unsigned char sniff[4];
    uint32_t n_sniff;
    uint32_t n_mark; /* bytes of a byte order mark seen; 4 = no longer looked for */
    uint32_t n_fields;
    char field_name[CGW_FIELDS_MAX][INGEST_FIELD_NAME_MAX + 1];
    const char *field_names[CGW_FIELDS_MAX]; /* into field_name */
    char zone_seen[64];                      /* last zone that was found in tzdata */
    char region_seen[INGEST_REGION_MAX + 1];
    struct gzip_stage *gzip; /* owned, NULL = plain */
    union {
        struct csv_stage csv;
        struct ndjson_stage ndjson;
    } u;
};

/* Report a bad row; printf form. */
void ingest_reject_row(struct ingest *in, uint64_t line, const char *column, const char *code,
                       const char *fmt, ...) CGW_PRINTF(5, 6);
/* Judge one row: callback or reject. */
int ingest_row_take(struct ingest *in, const struct raw_row *raw, struct diag *diag) CGW_NODISCARD;
/* A field's number by name, adding it when new. \return number, CGW_EINVAL bad name, CGW_ELIMIT too
 * many */
int ingest_field_find(struct ingest *in, const char *name);
int ingest_field_add(struct ingest *in, const char *name);
/* enum ingest_column of a reserved name in any case, or -1 */
int ingest_column_find(const char *name);
const char *ingest_field_label(const struct ingest *in, uint32_t field);

#endif
