/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_upload.h - one upload for fuzz_csv.c and fuzz_json.c, read twice in different pieces: the
 * outcome must not depend on them. Input: first octet = options (bit 0 gzip, bit 1 default region,
 * bits 2-7 piece length - 1), the rest = the upload. */
#ifndef FUZZ_UPLOAD_H
#define FUZZ_UPLOAD_H

#include "content/params.h"
#include "content/utf8.h"
#include "fuzz_ingest.h"
#include "ingest/ingest.h"

#include <string.h>

#define UPLOAD_BYTES_MAX (4u << 20)

struct outcome {
    uint64_t hash, rows, rejects;
    struct ingest *in;
};

static void mix(struct outcome *o, const void *data, size_t len)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < len; i++)
        o->hash = (o->hash ^ p[i]) * UINT64_C(1099511628211); /* FNV-1a */
}

static int on_row(void *ctx, const struct ingest_row *r, struct diag *diag)
{
    struct outcome *o = ctx;
    struct field_value v[CGW_FIELDS_MAX];
    const char *const *names;
    struct address again;
    uint32_t n = ingest_fields(o->in, &names);
    (void)diag;
    o->rows++;
    CHECK(r->msisdn[0] || r->email[0]);
    CHECK(!r->msisdn[0] ||
          (address_normalise(r->msisdn, strlen(r->msisdn), CGW_ADDR_E164, "", &again, NULL) == 0 &&
           !strcmp(again.text, r->msisdn)));
    CHECK(!r->email[0] ||
          (address_normalise(r->email, strlen(r->email), 0, "", &again, NULL) == 0 &&
           !strcmp(again.text, r->email)));
    CHECK(!r->zone[0] || address_zone_known(r->zone));
    CHECK(r->params_len < PARAMS_MAX && r->params[r->params_len] == 0 &&
          utf8_valid(r->params, r->params_len));
    CHECK(params_unpack(r->params, r->params_len, v, n) == 0);
    CHECK(strlen(r->customer) <= INGEST_EXTERNAL_ID_MAX &&
          utf8_valid(r->customer, strlen(r->customer)));
    mix(o, r->msisdn, strlen(r->msisdn) + 1);
    mix(o, r->email, strlen(r->email) + 1);
    mix(o, r->params, r->params_len + 1);
    mix(o, &r->line, sizeof r->line);
    return 0;
}

static void on_reject(void *ctx, const struct ingest_reject *r)
{
    struct outcome *o = ctx;
    o->rejects++;
    CHECK(r->line && r->code[0] && r->text[0]);
    CHECK(utf8_valid(r->text, strlen(r->text)) && utf8_valid(r->column, strlen(r->column)));
    mix(o, r->code, strlen(r->code) + 1);
    mix(o, &r->line, sizeof r->line);
}

static int upload_once(enum ingest_format format, bool gzip, const char *region,
                       const uint8_t *data, size_t size, size_t piece, struct outcome *o)
{
    const struct ingest_opts opts = {.default_region = region, .max_bytes = UPLOAD_BYTES_MAX};
    struct diag why = {0};
    struct ingest_counts c;
    *o = (struct outcome){.hash = UINT64_C(14695981039346656037)};
    struct ingest *in = ingest_new(format, gzip, &opts, on_row, on_reject, o, &why);
    CHECK(in);
    o->in = in;
    int rc = 0;
    for (size_t at = 0; at < size && rc == 0; at += piece)
        rc = ingest_feed(in, data + at, size - at < piece ? size - at : piece, &why);
    if (rc == 0)
        rc = ingest_finish(in, &why);
    ingest_counts(in, &c);
    CHECK(c.rows == c.accepted + c.rejected && c.accepted == o->rows && c.rejected == o->rejects);
    CHECK(rc == 0 || why.text[0]);
    CHECK(rc == 0 || rc == CGW_EINVAL || rc == CGW_ELIMIT);
    ingest_free(in);
    return rc;
}

static void upload_twice(enum ingest_format format, const uint8_t *data, size_t size)
{
    struct outcome whole, pieces;
    if (size < 1)
        return;
    bool gzip = data[0] & 1;
    const char *region = data[0] & 2 ? "CN" : "";
    size_t piece = (size_t)(data[0] >> 2) + 1;
    int a = upload_once(format, gzip, region, data + 1, size - 1, size, &whole);
    int b = upload_once(format, gzip, region, data + 1, size - 1, piece, &pieces);
    CHECK(a == b);
    /* how much came out of a broken gzip stream before the fault may differ with zlib's look-ahead
     */
    if (a == 0 || !gzip)
        CHECK(whole.hash == pieces.hash && whole.rows == pieces.rows &&
              whole.rejects == pieces.rejects);
}

#endif
