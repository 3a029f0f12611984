/* SPDX-License-Identifier: Apache-2.0 */
/* test_ingest.c - uploads as they come: good, dressed up, broken, hostile. Every table row is fed
 * whole and byte by byte. */
#include "content/params.h"
#include "ingest/ingest.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* What came out, as one text: "+86... name=Li;" per row and "!line:column:code;" per reject. */
struct log {
    char text[8192];
    size_t used;
    struct ingest *in;
    uint64_t rows, rejects;
    char code[32];
    uint64_t line;
    bool quiet;
    int stop_after; /* rows, 0 = never */
};

static void note(struct log *l, const char *fmt, ...) CGW_PRINTF(2, 3);
static void note(struct log *l, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = l->quiet ? 0 : vsnprintf(l->text + l->used, sizeof l->text - l->used, fmt, ap);
    va_end(ap);
    l->used += n > 0 ? (size_t)n : 0;
    l->used = l->used < sizeof l->text ? l->used : sizeof l->text - 1;
}

static int on_row(void *ctx, const struct ingest_row *r, struct diag *diag)
{
    struct log *l = ctx;
    const char *const *names;
    struct field_value v[CGW_FIELDS_MAX];
    const char *const own[][2] = {
        {"e", r->email}, {"c", r->customer}, {"z", r->zone}, {"r", r->region}, {"l", r->lang}};
    l->rows++;
    if (l->stop_after && (int)l->rows == l->stop_after)
        return diag_set(diag, CGW_EDB, "here", "The database said no.");
    uint32_t n = ingest_fields(l->in, &names);
    cr_assert_eq(params_unpack(r->params, r->params_len, v, n), 0);
    note(l, "%s", r->msisdn);
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        if (own[i][1][0])
            note(l, " %s:%s", own[i][0], own[i][1]);
    if (r->channel)
        note(l, " ch:%u", r->channel);
    for (uint32_t i = 0; i < n; i++)
        if (v[i].len)
            note(l, " %s=%.*s", names[i], (int)v[i].len, v[i].data);
    note(l, ";");
    return 0;
}

static void on_reject(void *ctx, const struct ingest_reject *r)
{
    struct log *l = ctx;
    l->rejects++;
    cr_assert(r->text[0] && r->code[0] && r->column);
    cr_expect(strstr(r->text, "138") == NULL, "a reject repeats the number: %s", r->text);
    (void)snprintf(l->code, sizeof l->code, "%s", r->code);
    l->line = r->line;
    note(l, "!%llu:%s:%s;", (unsigned long long)r->line, r->column, r->code);
}

static int run(enum ingest_format format, bool gzip, const struct ingest_opts *opts,
               const char *data, size_t len, size_t piece, struct log *l, struct diag *why)
{
    struct ingest *in = ingest_new(format, gzip, opts, on_row, on_reject, l, why);
    cr_assert(in, "%s", why->text);
    l->in = in;
    int rc = 0;
    for (size_t at = 0; at < len && rc == 0; at += piece)
        rc = ingest_feed(in, data + at, len - at < piece ? len - at : piece, why);
    if (rc == 0)
        rc = ingest_finish(in, why);
    struct ingest_counts c;
    ingest_counts(in, &c);
    cr_expect_eq(c.rows, c.accepted + c.rejected);
    cr_expect_eq(c.rejected, l->rejects);
    cr_expect_eq(c.accepted, l->rows);
    if (rc < 0) { /* a failed upload stays failed */
        struct diag again = {0};
        cr_expect_eq(ingest_feed(in, "x", 1, &again), rc);
        cr_expect_str_eq(again.text, why->text);
    }
    ingest_free(in);
    return rc;
}

struct sample {
    const char *text, *want; /* the log, or "FATAL: part of the message" */
};

static void check(enum ingest_format format, const struct ingest_opts *opts, const struct sample *s,
                  size_t n)
{
    static const size_t pieces[] = {1u << 20, 1, 3};
    for (size_t i = 0; i < n; i++)
        for (size_t p = 0; p < ARRAY_LEN(pieces); p++) {
            struct log l = {0};
            struct diag why = {0};
            int rc = run(format, false, opts, s[i].text, strlen(s[i].text), pieces[p], &l, &why);
            if (!strncmp(s[i].want, "FATAL: ", 7))
                cr_expect(rc < 0 && strstr(why.text, s[i].want + 7), "%zu/%zu: %d %s %s", i, p, rc,
                          why.text, l.text);
            else
                cr_expect(rc == 0 && !strcmp(l.text, s[i].want),
                          "%zu/%zu: %d %s\n got  %s\n want %s", i, p, rc, why.text, l.text,
                          s[i].want);
        }
}

static const struct ingest_opts china = {.default_region = "CN"};
#define A "+8613800138000"
#define B "+8613900139000"

TestSuite(ingest, .timeout = 60);

Test(ingest, reads_csv_as_rfc_4180_says_and_files_are)
{
    static const struct sample s[] = {
        {"msisdn\n" A "\n", A ";"},
        {"msisdn\n" A, A ";"},
        {"msisdn\r\n" A "\r\n" B "\r\n", A ";" B ";"},
        {"msisdn\r" A "\r" B "\r", A ";" B ";"},
        {"\xef\xbb\xbfmsisdn\n" A "\n", A ";"},
        {"\n\n\r\nmsisdn\n\n" A "\n\n\n" B "\n\n", A ";" B ";"},
        {"msisdn,name\n" A ",Li\n", A " name=Li;"},
        {"name,msisdn\nLi," A "\n", A " name=Li;"},
        {" msisdn , name \n" A ", Li \n", A " name= Li ;"},
        {"MSISDN,Name\n" A ",Li\n", A " Name=Li;"},
        {"\"msisdn\",\"name\"\n\"" A "\",\"Li\"\n", A " name=Li;"},
        {"msisdn,name\n" A ",\"Li, Na\"\n", A " name=Li, Na;"},
        {"msisdn,name\n" A ",\"say \"\"hi\"\"\"\n", A " name=say \"hi\";"},
        {"msisdn,name\n" A ",\"a\nb\"\n" B ",c\n", A " name=a\nb;" B " name=c;"},
        {"msisdn,name\n" A ",\"a\r\nb\"\r\n" B ",c\r\n", A " name=a\r\nb;" B " name=c;"},
        {"msisdn,name\n" A ",\"\"\n", A ";"},
        {"msisdn,name\n" A ",\n", A ";"},
        {"msisdn,name\n" A ",", A ";"},
        {"msisdn,name\n" A ",李娜\n", A " name=李娜;"},
        {"msisdn,a,b,c\n" A ",,2,\n", A " b=2;"},
        {"msisdn,email,customer,zone,region,lang,channel,x\n138-0013-8000,A@B.CN,c1,Asia/"
         "Shanghai,cn-gd,zh-CN,SMS,1\n",
         A " e:A@b.cn c:c1 z:Asia/Shanghai r:CN-GD l:zh-CN ch:1 x=1;"},
        {"email\na@b.cn\n", " e:a@b.cn;"},
        {"msisdn,email\n,a@b.cn\n" A ",\n", " e:a@b.cn;" A ";"},
        {"msisdn\n", ""},
        {"msisdn,name", ""},
    };
    check(INGEST_CSV, &china, s, ARRAY_LEN(s));
}

Test(ingest, rejects_bad_rows_with_line_column_and_code_and_goes_on)
{
    static const struct sample s[] = {
        {"msisdn\nabc\n" A "\n", "!2:msisdn:number_letters;" A ";"},
        {"msisdn\n123\n" A "\n", "!2:msisdn:number_too_short;" A ";"},
        {"msisdn\n+9991234567\n", "!2:msisdn:number_unknown_country;"},
        {"msisdn\n1.38E+10\n", "!2:msisdn:number_scientific;"},
        {"msisdn,name\n" A "\n" B ",x\n", "!2::column_count;" B " name=x;"},
        {"msisdn,name\n" A ",x,y\n" B ",x\n", "!2::column_count;" B " name=x;"},
        {"msisdn\n" A "," B "\n", "!2::column_count;"},
        {"msisdn\n,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,\n" A "\n",
         "!2::column_count;" A ";"},
        {"msisdn,name\n" A ",a\"b\n" B ",c\n", "!2:name:csv_quote;" B " name=c;"},
        {"msisdn,name\n" A ",\"a\"b\n" B ",c\n", "!2:name:csv_quote;" B " name=c;"},
        {"msisdn,name\n" A ",\"a\nb\n", "!2:name:csv_quote;"},
        {"msisdn,name\n" A ",\"a\nb\"x\n" B ",c\n", "!2:name:csv_quote;" B " name=c;"},
        {"msisdn,name\n" A ",\xff\n" B ",c\n", "!2:name:not_utf8;" B " name=c;"},
        {"msisdn,name\n" A ",\xe4\xbd\n", "!2:name:not_utf8;"},
        {"msisdn,name\n" A ",a\x1f"
         "b\n",
         "!2:name:control_character;"},
        {"msisdn,name\n" A ",a\x07\n", "!2:name:control_character;"},
        {"msisdn,name\nmsisdn,name\n" A ",x\n", "!2::header_again;" A " name=x;"},
        {"msisdn,email\n,\n", "!2::address_missing;"},
        {"msisdn,name\n,x\n", "!2::address_missing;"},
        {"msisdn,email\n" A ",nobody\n", "!2:email:email_syntax;"},
        {"msisdn,zone\n" A ",Asia/Peking\n" A ",Asia/Shanghai\n",
         "!2:zone:zone_unknown;" A " z:Asia/Shanghai;"},
        {"msisdn,zone\n" A ",../etc/passwd\n", "!2:zone:zone_unknown;"},
        {"msisdn,region\n" A ",China\n", "!2:region:region_unknown;"},
        {"msisdn,region\n" A ",ZZ\n" A ",CN-\n" A ",CN-ABCD\n",
         "!2:region:region_unknown;!3:region:region_unknown;!4:region:region_unknown;"},
        {"msisdn,lang\n" A ",chinese\n" A ",zh_CN\n" A ",z\n" A ",zh-Hans-CN\n",
         "!2:lang:lang_syntax;!3:lang:lang_syntax;!4:lang:lang_syntax;" A " l:zh-Hans-CN;"},
        {"msisdn,channel\n" A ",fax\n", "!2:channel:channel_unknown;"},
        {"msisdn,channel\n" A ",email\n", "!2:channel:channel_address;"},
        {"email,channel\na@b.cn,sms\na@b.cn,task\n", "!2:channel:channel_address; e:a@b.cn ch:5;"},
        {"msisdn,customer\n" A ",\"a\nb\"\n", "!2:customer:control_character;"},
        {"msisdn,name\n" A ",\"a\nb\nc\"\n" B "\n", A " name=a\nb\nc;!5::column_count;"},
        {"msisdn,name\r\n" A ",\"a\r\nb\"\r\n" B "\r\n", A " name=a\r\nb;!4::column_count;"},
        {"\r\n\r\nmsisdn\r\n\r\nabc\r\n", "!5:msisdn:number_letters;"},
    };
    check(INGEST_CSV, &china, s, ARRAY_LEN(s));
}

Test(ingest, ends_an_upload_that_is_wrong_as_a_whole)
{
    static const struct sample s[] = {
        {"", "FATAL: is empty"},
        {"\n\n", "FATAL: blank lines only"},
        {"\xef\xbb\xbf", "FATAL: blank lines only"},
        {"name\nLi\n", "FATAL: no address column"},
        {A "\n", "FATAL: data, not a header"},
        {"13800138000,Li\n", "FATAL: data, not a header"},
        {"a@b.cn\n", "FATAL: data, not a header"},
        {"msisdn;name\n", "FATAL: not separated by commas"},
        {"msisdn\tname\n", "FATAL: not separated by commas"},
        {"msisdn,msisdn\n", "FATAL: stands twice"},
        {"msisdn,MSISDN\n", "FATAL: stands twice"},
        {"msisdn,a,a\n", "FATAL: stands twice"},
        {"msisdn,first name\n", "FATAL: is no field name"},
        {"msisdn,姓名\n", "FATAL: is no field name"},
        {"msisdn,1a\n", "FATAL: is no field name"},
        {"msisdn,\n", "FATAL: has no name"},
        {"msisdn,\xff\n", "FATAL: not UTF-8"},
        {"msisdn,\"a\n", "FATAL: quote"},
        {"msisdn,a\"b\n", "FATAL: quote"},
        {"msisdn,"
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
         "FATAL: longer than 64"},
        {"{\"msisdn\":\"" A "\"}\n", "FATAL: NDJSON"},
        {"msisdn,f1,f2,f3,f4,f5,f6,f7,f8,f9,f10,f11,f12,f13,f14,f15,f16,f17,f18,f19,f20,f21,f22,"
         "f23,f24,f25,f26,f27,f28,f29,f30,f31,f32,f33\n",
         "FATAL: more than 32 template fields"},
        {"\x1f\x8b\x08", "FATAL: gzip but was not declared"},
        {"PK\x03\x04zzz", "FATAL: spreadsheet"},
        {"\xff\xfem", "FATAL: UTF-16"},
    };
    check(INGEST_CSV, &china, s, ARRAY_LEN(s));
}

Test(ingest, reads_ndjson)
{
    static const struct sample s[] = {
        {"{\"msisdn\":\"" A "\"}\n", A ";"},
        {"{\"msisdn\":\"" A "\"}", A ";"},
        {"\xef\xbb\xbf{\"msisdn\":\"" A "\"}\r\n\r\n  \n{\"msisdn\":\"" B "\"}\r\n", A ";" B ";"},
        {"{\"msisdn\":\"" A "\",\"name\":\"李\",\"n\":12,\"x\":0.1,\"y\":true,\"z\":null}\n",
         A " name=李 n=12 x=0.1 y=true;"},
        {"{\"a\":\"1\",\"msisdn\":\"" A "\"}\n{\"b\":\"2\",\"msisdn\":\"" B "\"}\n",
         A " a=1;" B " b=2;"},
        {"{\"msisdn\":\"" A "\",\"zone\":null,\"email\":\"a@b.cn\",\"channel\":\"email\"}\n",
         A " e:a@b.cn ch:4;"},
        {"{\"msisdn\":13800138000}\n", "!1:msisdn:json_type;"},
        {"{\"msisdn\":\"" A "\",\"n\":[1]}\n{\"msisdn\":\"" A "\",\"n\":{}}\n",
         "!1:n:json_type;!2:n:json_type;"},
        {"{\"msisdn\":\"" A "\",\"bad name\":1}\n", "!1::field_name;"},
        {"{\"msisdn\":\"" A "\",\"msisdn\":\"" B "\"}\n", "!1::json_syntax;"},
        {"{\"msisdn\":\"" A "\",\"MSISDN\":\"" B "\"}\n", "!1:msisdn:json_syntax;"},
        {"{\"msisdn\":\"" A "\"} x\n{\"msisdn\":\"" B "\"}\n", "!1::json_syntax;" B ";"},
        {"{\"msisdn\":\"" A "\"\n{\"msisdn\":\"" B "\"}\n", "!1::json_syntax;" B ";"},
        {"[1]\n\"x\"\n7\nnull\n",
         "!1::json_not_object;!2::json_not_object;!3::json_not_object;!4::json_not_object;"},
        {"{\"msisdn\":\"" A "\",\"n\":9223372036854775808}\n", "!1::json_syntax;"},
        {"{\"msisdn\":\"" A "\",\"n\":9223372036854775807}\n", A " n=9223372036854775807;"},
        {"{\"msisdn\":\"" A "\",\"n\":\"\xff\"}\n", "!1::not_utf8;"},
        {"{\"msisdn\":\"" A "\",\"n\":\"a\\u0000b\"}\n", "!1::json_syntax;"},
        {"{\"msisdn\":\"" A "\",\"n\":\"a\\u001fb\"}\n", "!1:n:control_character;"},
        {"{}\n", "!1::address_missing;"},
        {"", "FATAL: is empty"},
        {"\x1f\x8b\x08", "FATAL: gzip but was not declared"},
    };
    check(INGEST_NDJSON, &china, s, ARRAY_LEN(s));
}

Test(ingest, takes_no_fields_from_rejected_ndjson_rows)
{
    static const char text[] =
        "{\"msisdn\":\"x\",\"bad\":\"1\"}\n{\"msisdn\":\"" A "\",\"good\":\"2\"}\n";
    const char *const *names;
    struct diag why;
    struct log l = {0};
    struct ingest *in = ingest_new(INGEST_NDJSON, false, &china, on_row, on_reject, &l, &why);
    l.in = in;
    cr_assert_eq(ingest_feed(in, text, sizeof text - 1, &why), 0);
    cr_assert_eq(ingest_finish(in, &why), 0);
    cr_assert_eq(ingest_fields(in, &names), 1);
    cr_expect_str_eq(names[0], "good");
    cr_expect_eq(ingest_finish(in, &why), CGW_ESTATE);
    ingest_free(in);
}

Test(ingest, follows_its_options)
{
    static const struct {
        struct ingest_opts opts;
        const char *text, *want;
    } t[] = {
        {{0}, "msisdn\n13800138000\n" A "\n", "!2:msisdn:number_no_country;" A ";"},
        {{.default_region = "US"}, "msisdn\n2125550123\n", "+12125550123;"},
        {{.default_region = "CN", .require_msisdn = true},
         "msisdn,email\n,a@b.cn\n",
         "!2:msisdn:msisdn_required;"},
        {{.default_region = "CN", .require_email = true},
         "msisdn,email\n" A ",\n",
         "!2:email:email_required;"},
        {{.default_region = "CN", .require_email = true},
         "msisdn\n" A "\n",
         "FATAL: lacks the column email"},
        {{.default_region = "CN", .refuse_fixed_line = true},
         "msisdn\n01065529988\n" A "\n",
         "!2:msisdn:number_fixed_line;" A ";"},
        {{.default_region = "CN"}, "msisdn\n01065529988\n", "+861065529988;"},
        {{.customer_names = true},
         "email,customer\n,c1\na@b.cn,\n,\n",
         " c:c1; e:a@b.cn;!4::address_missing;"},
        {{.customer_names = true}, "customer,channel\nc1,email\n", " c:c1 ch:4;"},
        {{0}, "customer\nc1\n", "FATAL: names no address column"},
        {{.max_rows = 1}, "msisdn\n" A "\n" B "\n", "FATAL: more than 1 rows"},
        {{.max_bytes = 10}, "msisdn\n" A "\n", "FATAL: larger than 10 bytes"},
    };
    for (size_t i = 0; i < ARRAY_LEN(t); i++)
        check(INGEST_CSV, &t[i].opts, &(struct sample){t[i].text, t[i].want}, 1);
    struct diag why = {0};
    cr_expect_null(ingest_new(INGEST_CSV, false, &(struct ingest_opts){.default_region = "XX"},
                              on_row, on_reject, NULL, &why));
    cr_expect_str_eq(why.where, "default_region");
    cr_expect_null(ingest_new((enum ingest_format)9, false, NULL, on_row, on_reject, NULL, &why));
}

Test(ingest, rejects_nul_bytes_and_goes_on)
{
    static const char text[] = "msisdn,name\n" A ",a\0b\n" B ",c\n";
    struct log l = {0};
    struct diag why;
    cr_expect_eq(run(INGEST_CSV, false, &china, text, sizeof text - 1, 4, &l, &why), 0);
    cr_expect_str_eq(l.text, "!2:name:nul_byte;" B " name=c;");
    static const char head[] = "ms\0isdn\n";
    cr_expect_eq(run(INGEST_CSV, false, &china, head, sizeof head - 1, 4, &(struct log){0}, &why),
                 CGW_EINVAL);
    static const char json[] = "{\"msisdn\":\"" A "\"\0}\n{\"msisdn\":\"" B "\"}\n";
    l = (struct log){0};
    cr_expect_eq(run(INGEST_NDJSON, false, &china, json, sizeof json - 1, 4, &l, &why), 0);
    cr_expect_str_eq(l.text, "!1::json_syntax;" B ";");
}

Test(ingest, rejects_a_line_of_10_megabytes_and_goes_on)
{
    static const enum ingest_format formats[] = {INGEST_CSV, INGEST_NDJSON, INGEST_CSV};
    static const char *const heads[] = {"msisdn\n", "", "msisdn\n\""};
    static const char *const tails[] = {"\n" A "\n", "\n{\"msisdn\":\"" A "\"}\n", "\n" A "\n"};
    size_t big = 10u << 20;
    char *text = malloc(big + 128);
    cr_assert(text);
    for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
        struct log l = {0};
        struct diag why = {0};
        size_t head = strlen(heads[i]), tail = strlen(tails[i]);
        memcpy(text, heads[i], head);
        memset(text + head, '1', big);
        memcpy(text + head + big, tails[i], tail);
        cr_expect_eq(run(formats[i], false, &china, text, head + big + tail, 65536, &l, &why), 0,
                     "%s", why.text);
        cr_expect(strstr(l.text, "row_too_long;" A ";"), "%s", l.text);
    }
    free(text);
}

Test(ingest, takes_a_row_of_exactly_its_limits)
{
    char value[CGW_FIELD_MAX + 2], text[1024];
    memset(value, 'v', sizeof value);
    for (int more = 0; more < 2; more++) {
        struct log l = {.quiet = true};
        struct diag why;
        int len =
            snprintf(text, sizeof text, "msisdn,v\n%s,%.*s\n", A, (int)CGW_FIELD_MAX + more, value);
        cr_expect_eq(run(INGEST_CSV, false, &china, text, (size_t)len, 7, &l, &why), 0);
        cr_expect_eq(l.rows, 1u - (unsigned)more);
        if (more)
            cr_expect_str_eq(l.code, "field_too_long");
    }
    /* a row of INGEST_ROW_MAX bytes is judged by its cells, one byte more is too long */
    char *row = malloc(INGEST_ROW_MAX + 64);
    cr_assert(row);
    for (size_t more = 0; more < 2; more++) {
        struct log l = {.quiet = true};
        struct diag why;
        size_t n = (size_t)snprintf(row, 8, "msisdn\n");
        memset(row + n, '1', INGEST_ROW_MAX + more);
        row[n + INGEST_ROW_MAX + more] = '\n';
        cr_expect_eq(
            run(INGEST_CSV, false, &china, row, n + INGEST_ROW_MAX + more + 1, 1000, &l, &why), 0);
        cr_expect_str_eq(l.code, more ? "row_too_long" : "number_too_long");
    }
    free(row);
}

Test(ingest, stops_when_the_caller_says_so)
{
    struct log l = {.stop_after = 2};
    struct diag why = {0};
    cr_expect_eq(run(INGEST_CSV, false, &china, "msisdn\n" A "\n" B "\n" A "\n", 52, 52, &l, &why),
                 CGW_EDB);
    cr_expect_eq(l.rows, 2);
    cr_expect_str_eq(why.where, "here");
}

/* ---- gzip
 * --------------------------------------------------------------------------------------------------------------------------
 */

static size_t pack(const char *data, size_t len, unsigned char *out, size_t out_size)
{
    z_stream z = {0};
    cr_assert_eq(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (z_const Bytef *)data;
    z.avail_in = (uInt)len;
    z.next_out = out;
    z.avail_out = (uInt)out_size;
    cr_assert_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
    size_t n = out_size - z.avail_out;
    (void)deflateEnd(&z);
    return n;
}

Test(ingest, unpacks_gzip_with_members_and_padding)
{
    static const size_t pieces[] = {1000, 1, 5};
    unsigned char z[512];
    size_t n = pack("msisdn\n" A "\n13", 24, z, sizeof z), one = n;
    n += pack("900139000\n", 10, z + n, sizeof z - n);
    for (size_t p = 0; p < ARRAY_LEN(pieces); p++) {
        struct log l = {0};
        struct diag why = {0};
        cr_expect_eq(run(INGEST_CSV, true, &china, (const char *)z, n, pieces[p], &l, &why), 0,
                     "%s", why.text);
        cr_expect_str_eq(l.text, A ";" B ";");
        for (size_t cut = 1; cut < n; cut++) {
            if (cut == one)
                continue;
            l = (struct log){0};
            cr_expect_eq(run(INGEST_CSV, true, &china, (const char *)z, cut, pieces[p], &l, &why),
                         CGW_EINVAL, "cut at %zu", cut);
        }
        unsigned char padded[600] = {0};
        memcpy(padded, z, n);
        l = (struct log){0};
        cr_expect_eq(
            run(INGEST_CSV, true, &china, (const char *)padded, n + 50, pieces[p], &l, &why), 0,
            "%s", why.text);
        padded[n + 49] = 'x';
        cr_expect_eq(run(INGEST_CSV, true, &china, (const char *)padded, n + 50, pieces[p],
                         &(struct log){0}, &why),
                     CGW_EINVAL);
    }
    struct diag why;
    z[one / 2] ^= 0x55;
    cr_expect_eq(run(INGEST_CSV, true, &china, (const char *)z, n, 7, &(struct log){0}, &why),
                 CGW_EINVAL);
    cr_expect_eq(run(INGEST_CSV, true, &china, "msisdn\n", 7, 7, &(struct log){0}, &why),
                 CGW_EINVAL);
    cr_expect(strstr(why.text, "is not gzip"));
    cr_expect_eq(run(INGEST_CSV, true, &china, "", 0, 7, &(struct log){0}, &why), CGW_EINVAL);
    cr_expect(strstr(why.text, "is empty"));
}

Test(ingest, stops_a_gzip_bomb_early)
{
    size_t plain = 64u << 20;
    char *zeros = calloc(1, plain);
    unsigned char *z = malloc(1u << 20);
    cr_assert(zeros && z);
    memset(zeros, '1', plain);
    memcpy(zeros, "msisdn\n", 7);
    size_t n = pack(zeros, plain, z, 1u << 20);
    struct log l = {.quiet = true};
    struct diag why;
    struct ingest_counts c;
    struct ingest *in = ingest_new(INGEST_CSV, true, &china, on_row, on_reject, &l, &why);
    cr_expect_eq(ingest_feed(in, z, n, &why), CGW_ELIMIT);
    cr_expect(strstr(why.text, "200 times"), "%s", why.text);
    ingest_counts(in, &c);
    cr_expect_lt(c.bytes, 16u << 20);
    ingest_free(in);
    free(zeros);
    free(z);
}
