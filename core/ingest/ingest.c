/* SPDX-License-Identifier: Apache-2.0 */
/* ingest.c - one upload: options, limits, order of the stages, what ends it as a whole. See
 * ingest.h. */
#include "ingest/ingest_int.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Codes of ingest_reject, besides those of address_fault_code() and "duplicate" of the spool:
 * row_too_long, column_count, csv_quote, nul_byte, not_utf8, header_again, address_missing,
 * address_repeated, number_scientific, number_fixed_line, msisdn_required, email_required,
 * customer_too_long, control_character, zone_unknown, region_unknown, lang_syntax, channel_unknown,
 * channel_address, field_too_long, field_name, too_many_fields, json_syntax, json_not_object,
 * json_type. They never change meaning. */

#define MAX_BYTES_DEFAULT (UINT64_C(16) << 30)
#define MAX_ROWS_DEFAULT UINT64_C(100000000)

const char *const ingest_column_names[COL_RESERVED] = {
    [COL_MSISDN] = "msisdn",   [COL_EMAIL] = "email",   [COL_CUSTOMER] = "customer",
    [COL_ZONE] = "zone",       [COL_REGION] = "region", [COL_LANG] = "lang",
    [COL_CHANNEL] = "channel",
};

static int setup(struct ingest *in, bool gzip, struct diag *diag)
{
    const char *region = in->opts.default_region ? in->opts.default_region : "";
    if (in->format != INGEST_CSV && in->format != INGEST_NDJSON)
        return diag_set(diag, CGW_EINVAL, "format", "The format of the upload is CSV or NDJSON.");
    if (*region && !address_region_known(region))
        return diag_set(diag, CGW_EINVAL, "default_region",
                        "The default region is unknown; use an ISO 3166-1 code such as CN.");
    memcpy(in->default_region, region, strlen(region) + 1);
    in->opts.default_region = in->default_region;
    in->opts.max_bytes = in->opts.max_bytes ? in->opts.max_bytes : MAX_BYTES_DEFAULT;
    in->opts.max_rows = in->opts.max_rows ? in->opts.max_rows : MAX_ROWS_DEFAULT;
    for (uint32_t i = 0; i < CGW_FIELDS_MAX; i++)
        in->field_names[i] = in->field_name[i];
    if (in->format == INGEST_CSV)
        in->u.csv.line = in->u.csv.row_line = 1;
    else
        in->u.ndjson.line = 1;
    if (!gzip)
        return 0;
    in->gzip = calloc(1, sizeof *in->gzip);
    if (!in->gzip)
        return diag_set(diag, -ENOMEM, "", "No memory for an upload.");
    return gzip_init(in->gzip, diag);
}

struct ingest *ingest_new(enum ingest_format format, bool gzip, const struct ingest_opts *opts,
                          ingest_row_fn row, ingest_reject_fn reject, void *ctx, struct diag *diag)
{
    struct ingest *in = calloc(1, sizeof *in);
    if (!in) {
        (void)diag_set(diag, -ENOMEM, "", "No memory for an upload.");
        return NULL;
    }
    in->format = format;
    if (opts)
        in->opts = *opts;
    in->row = row;
    in->reject = reject;
    in->ctx = ctx;
    if (setup(in, gzip, diag) < 0) {
        ingest_free(in);
        return NULL;
    }
    return in;
}

void ingest_free(struct ingest *in)
{
    if (!in)
        return;
    if (in->gzip)
        gzip_done(in->gzip);
    free(in->gzip);
    free(in);
}

void ingest_reject_row(struct ingest *in, uint64_t line, const char *column, const char *code,
                       const char *fmt, ...)
{
    char text[CGW_DIAG_MAX];
    struct ingest_reject r = {.line = line, .column = column, .code = code, .text = text};
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    in->counts.rows++;
    in->counts.rejected++;
    if (in->reject)
        in->reject(in->ctx, &r);
}

/* ---- columns and fields
 * ---------------------------------------------------------------------------------------------------------
 */

int ingest_column_find(const char *name)
{
    for (int i = 0; i < COL_RESERVED; i++)
        if (!strcasecmp(name, ingest_column_names[i]))
            return i;
    return -1;
}

int ingest_field_find(struct ingest *in, const char *name)
{
    for (uint32_t i = 0; i < in->n_fields; i++)
        if (!strcmp(in->field_name[i], name))
            return (int)i;
    return CGW_ENOTFOUND;
}

static bool field_name_ok(const char *name)
{
    size_t len = strlen(name);
    if (!len || len > INGEST_FIELD_NAME_MAX || (name[0] >= '0' && name[0] <= '9'))
        return false;
    return strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") == len;
}

int ingest_field_add(struct ingest *in, const char *name)
{
    if (!field_name_ok(name))
        return CGW_EINVAL;
    if (in->n_fields == CGW_FIELDS_MAX)
        return CGW_ELIMIT;
    memcpy(in->field_name[in->n_fields], name, strlen(name) + 1);
    return (int)in->n_fields++;
}

const char *ingest_field_label(const struct ingest *in, uint32_t field)
{
    return field < in->n_fields ? in->field_name[field] : "";
}

/* ---- stages
 * ------------------------------------------------------------------------------------------------------------------------
 */

/* Files that are something else altogether are told apart by their first bytes, before they make a
 * thousand rejects. */
static int sniff(struct ingest *in, const char *data, size_t len, struct diag *diag)
{
    static const struct {
        unsigned char head[4];
        uint32_t n;
        const char *text;
    } others[] = {
        {{0x1f, 0x8b},
         2,
         "The upload is gzip but was not declared so; send it with Content-Encoding: gzip."},
        {{'P', 'K', 3, 4},
         4,
         "The upload is a zip archive or a spreadsheet; export it as CSV in UTF-8."},
        {{0xd0, 0xcf, 0x11, 0xe0}, 4, "The upload is a spreadsheet; export it as CSV in UTF-8."},
        {{0xff, 0xfe}, 2, "The upload is UTF-16; save it as UTF-8."},
        {{0xfe, 0xff}, 2, "The upload is UTF-16; save it as UTF-8."},
    };
    if (in->n_sniff == sizeof in->sniff)
        return 0;
    for (size_t i = 0; i < len && in->n_sniff < sizeof in->sniff; i++)
        in->sniff[in->n_sniff++] = (unsigned char)data[i];
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        if (in->n_sniff >= others[i].n && !memcmp(in->sniff, others[i].head, others[i].n))
            return diag_set(diag, CGW_EINVAL, "line 1", "%s", others[i].text);
    return 0;
}

static int reader_feed(struct ingest *in, const char *data, size_t len, struct diag *diag)
{
    return in->format == INGEST_CSV ? csv_feed(in, data, len, diag)
                                    : ndjson_feed(in, data, len, diag);
}

/* The mark U+FEFF in front of the whole text is dropped (RFC 3629, section 6); it may come in
 * pieces. */
static int mark_feed(struct ingest *in, const char *data, size_t len, struct diag *diag)
{
    static const char mark[] = "\xef\xbb\xbf";
    while (len && in->n_mark < 3 && *data == mark[in->n_mark]) {
        in->n_mark++;
        data++;
        len--;
    }
    if (len && in->n_mark < 3) {
        uint32_t held = in->n_mark;
        in->n_mark = 4;
        int rc = reader_feed(in, mark, held, diag);
        if (rc < 0)
            return rc;
    }
    return len ? reader_feed(in, data, len, diag) : 0;
}

static int plain_feed(void *ctx, const char *data, size_t len, struct diag *diag)
{
    struct ingest *in = ctx;
    if (len > in->opts.max_bytes - in->counts.bytes)
        return diag_set(diag, CGW_ELIMIT, "", "The upload is larger than %llu bytes; split it.",
                        (unsigned long long)in->opts.max_bytes);
    in->counts.bytes += len;
    int rc = sniff(in, data, len, diag);
    if (rc < 0)
        return rc;
    return mark_feed(in, data, len, diag);
}

static int fail(struct ingest *in, int rc, struct diag *diag)
{
    in->failed = rc;
    if (diag)
        in->failure = *diag;
    return rc;
}

int ingest_feed(struct ingest *in, const void *data, size_t len, struct diag *diag)
{
    if (in->failed) {
        if (diag)
            *diag = in->failure;
        return in->failed;
    }
    if (in->finished)
        return diag_set(diag, CGW_ESTATE, "", "The upload has already ended.");
    in->counts.bytes_in += len;
    int rc = in->gzip ? gzip_feed(in->gzip, data, len, plain_feed, in, diag)
                      : plain_feed(in, data, len, diag);
    return rc < 0 ? fail(in, rc, diag) : 0;
}

int ingest_finish(struct ingest *in, struct diag *diag)
{
    int rc = 0;
    if (in->failed) {
        if (diag)
            *diag = in->failure;
        return in->failed;
    }
    if (in->finished)
        return diag_set(diag, CGW_ESTATE, "", "The upload has already ended.");
    in->finished = true;
    if (in->gzip)
        rc = gzip_finish(in->gzip, diag);
    if (rc == 0 && !in->counts.bytes)
        rc = diag_set(diag, CGW_EINVAL, "line 1",
                      "The upload is empty; send a header row and at least one row.");
    if (rc == 0)
        rc = in->format == INGEST_CSV ? csv_finish(in, diag) : ndjson_finish(in, diag);
    return rc < 0 ? fail(in, rc, diag) : 0;
}

void ingest_counts(const struct ingest *in, struct ingest_counts *ret)
{
    *ret = in->counts;
}

uint32_t ingest_fields(const struct ingest *in, const char *const **ret_names)
{
    *ret_names = in->field_names;
    return in->n_fields;
}
