/* SPDX-License-Identifier: Apache-2.0 */
/* ingest.h - push parser for uploads of recipients and customers: CSV (RFC 4180) or NDJSON, plain
 * or gzip (RFC 1952), in pieces of any size. Bad rows are reported and skipped; a bad upload as a
 * whole ends with a diagnosis. Does not store anything: rows go to a callback. One object = one
 * upload = one thread at a time. Memory: under 1 MiB per upload whatever its size.
 *
 * Columns (header row in CSV, member names in NDJSON): msisdn email customer zone region lang
 * channel; at least one address per row, or a customer id where the upload takes it. Every other
 * column is a template field: at most CGW_FIELDS_MAX, values at most CGW_FIELD_MAX bytes, names
 * [A-Za-z_][A-Za-z0-9_]{0,63}. In NDJSON the fields appear as the upload goes on, in order of first
 * sight; ingest_fields() is complete after ingest_finish(). */
#ifndef INGEST_INGEST_H
#define INGEST_INGEST_H

#include "address/address.h"
#include "base/cleanup.h"
#include "base/diag.h"
#include "content/params.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INGEST_ROW_MAX                                                                             \
    65536u /* bytes of one row; a longer one is rejected and skipped to its line end */
#define INGEST_COLUMNS_MAX (7u + CGW_FIELDS_MAX)
#define INGEST_FIELD_NAME_MAX 64u   /* bytes of a field name */
#define INGEST_EXTERNAL_ID_MAX 128u /* bytes of `customer` */
#define INGEST_REGION_MAX 15u       /* "CN-GD" */
#define INGEST_LANG_MAX 35u         /* RFC 5646 4.4.1 */
#define INGEST_GZIP_RATIO_MAX 200u  /* plain bytes per compressed byte ... */
#define INGEST_GZIP_FREE 1048576u   /* ... once this many plain bytes have come out */

enum ingest_format { INGEST_CSV = 1, INGEST_NDJSON = 2 };

struct ingest_opts {
    const char *default_region; /* ISO 3166-1 for national numbers; NULL or "" = they are refused */
    uint64_t max_bytes;         /* plain bytes of the whole upload; 0 = 16 GiB */
    uint64_t max_rows;          /* rows, good or bad; 0 = 100,000,000 */
    bool require_msisdn; /* a row without a number is rejected even if it has an e-mail address */
    bool require_email;
    bool customer_names;    /* the uploader's own id may stand for the addresses */
    bool refuse_fixed_line; /* reject numbers that are fixed lines for certain */
};

/* One good row; everything is borrowed until the callback returns; absent texts are "". */
struct ingest_row {
    uint64_t line;      /* first line of the row; the CSV header is line 1 */
    const char *msisdn; /* E.164 */
    const char *email;
    const char *customer; /* the uploader's own id */
    const char *zone;     /* IANA name that tzdata has */
    const char *region;   /* "CN" or "CN-GD", upper case */
    const char *lang;     /* "zh-CN" */
    uint32_t channel;     /* CGW_CHANNEL_*, 0 = not said */
    uint8_t number_line;  /* enum address_line of msisdn */
    char number_region[3];
    const char *params; /* packed field values, see params.h */
    size_t params_len;
};

/* One bad row. Texts never hold an address or a value. code is a stable slug: see ingest_codes in
 * ingest.c. */
struct ingest_reject {
    uint64_t line;
    const char *column; /* name, "" = the row as a whole */
    const char *code;
    const char *text; /* what is wrong and what would be right */
};

/* A negative answer ends the upload; ingest_feed() returns it with what the callback wrote into
 * diag. */
typedef int (*ingest_row_fn)(void *ctx, const struct ingest_row *row, struct diag *diag);
typedef void (*ingest_reject_fn)(void *ctx, const struct ingest_reject *reject);

struct ingest_counts {
    uint64_t bytes_in; /* as received */
    uint64_t bytes;    /* plain */
    uint64_t lines;
    uint64_t rows; /* = accepted + rejected */
    uint64_t accepted, rejected;
};

struct ingest; /* opaque */

/* opts may be NULL; its strings are copied. diag: out of memory, unknown format or region. NULL on
 * failure. */
struct ingest *ingest_new(enum ingest_format format, bool gzip, const struct ingest_opts *opts,
                          ingest_row_fn row, ingest_reject_fn reject, void *ctx,
                          struct diag *diag) CGW_NODISCARD;
void ingest_free(struct ingest *in);

/* \return 0; CGW_EINVAL: the upload as a whole is wrong (no header, not gzip, ...); CGW_ELIMIT: a
 * bound was passed; or what the row callback answered. After a failure every later call returns the
 * same code and calls nothing. */
int ingest_feed(struct ingest *in, const void *data, size_t len, struct diag *diag) CGW_NODISCARD;
/* End of the upload: takes the last row even without a line end; refuses an empty or cut upload.
 * Call once. */
int ingest_finish(struct ingest *in, struct diag *diag) CGW_NODISCARD;

void ingest_counts(const struct ingest *in, struct ingest_counts *ret);
/* Names of the template fields in the order of params. Borrowed from in. */
uint32_t ingest_fields(const struct ingest *in, const char *const **ret_names);

#endif
