/* SPDX-License-Identifier: Apache-2.0 */
/* plugin_check_report.c - what campgw-plugin-check says: a line per clause while they run, JSON,
 * and the certificate: which file exactly (SHA-256), against which contract, each clause with the
 * sentence it comes from, and the figures. A certificate of a failed check says so. */
#include "plugin_check.h"

#include "base/buf.h"
#include "base/sha256.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#define TEXT_MAX (1u << 20)
#define ROWS_MAX 64u

static const char *const words[] = {"PASS", "FAIL", "SKIP"}, *const small[] = {"pass", "fail",
                                                                               "skip"};

struct report {
    struct report_args args;
    const struct checker *k;
    unsigned n[3];
    uint32_t n_rows;
    struct row {
        const char *clause, *promise;
        enum verdict verdict;
        char why[CHECK_WHY_MAX];
    } rows[ROWS_MAX];
    char sha256[2 * SHA256_BYTES + 1];
    char date[24];
};

static void hash_file(const char *path, char *hex)
{
    struct sha256 s;
    unsigned char out[SHA256_BYTES], room[16384];
    size_t n;
    FILE *f = fopen(path, "rbe");
    *hex = 0;
    if (!f)
        return;
    sha256_init(&s);
    while ((n = fread(room, 1, sizeof room, f)))
        sha256_update(&s, room, n);
    (void)fclose(f);
    sha256_final(&s, out);
    for (size_t i = 0; i < SHA256_BYTES; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", out[i]);
}

struct report *report_new(const struct report_args *args, const struct checker *k)
{
    struct report *r = calloc(1, sizeof *r);
    struct tm tm;
    time_t now = time(NULL);
    if (!r)
        return NULL;
    r->args = *args;
    r->k = k;
    hash_file(args->file, r->sha256);
    (void)strftime(r->date, sizeof r->date, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
    return r;
}

void report_clause(struct report *r, const struct clause *clause, enum verdict v, const char *why)
{
    r->n[v]++;
    if (r->n_rows < ROWS_MAX) {
        struct row *row = &r->rows[r->n_rows++];
        *row = (struct row){.clause = clause->name, .promise = clause->promise, .verdict = v};
        (void)snprintf(row->why, sizeof row->why, "%s", why);
    }
    if (r->args.json)
        return;
    printf("%s %s%s%s\n", words[v], clause->name, *why ? ": " : "", why);
    if (v == CHECK_FAIL && clause->promise)
        printf("     %s\n", clause->promise);
    (void)fflush(stdout);
}

/* ---- JSON */

static void put_member(struct buf *b, const char *key, const char *value)
{
    buf_printf(b, "\"%s\": ", key);
    buf_put_json(b, value ? value : "", value ? strlen(value) : 0);
}

static void put_rows(const struct report *r, struct buf *b)
{
    buf_puts(b, "  \"clauses\": [");
    for (uint32_t i = 0; i < r->n_rows; i++) {
        const struct row *row = &r->rows[i];
        buf_printf(b, "%s\n    {", i ? "," : "");
        put_member(b, "clause", row->clause);
        buf_puts(b, ", ");
        put_member(b, "result", small[row->verdict]);
        buf_puts(b, ", ");
        put_member(b, "why", row->why);
        buf_puts(b, ", ");
        put_member(b, "promise", row->promise);
        buf_puts(b, "}");
    }
    buf_puts(b, "\n  ],\n");
}

static void put_json(const struct report *r, struct buf *b)
{
    const struct plugin *p = r->k->plugin;
    const struct figures *f = r->k->figures;
    buf_puts(b, "{\n  ");
    put_member(b, "file", r->args.file);
    buf_puts(b, ",\n  ");
    put_member(b, "sha256", r->sha256);
    if (p) {
        buf_puts(b, ",\n  ");
        put_member(b, "plugin", p->desc.name);
        buf_puts(b, ",\n  ");
        put_member(b, "kind", plugin_is_channel(p) ? "channel" : "campaign");
        buf_puts(b, ",\n  ");
        put_member(b, "version", p->desc.version);
        buf_puts(b, ",\n  ");
        put_member(b, "vendor", p->desc.vendor);
        buf_printf(b, ",\n  \"plugin_abi\": \"%u.%u\"", p->desc.abi.abi_major,
                   p->desc.abi.abi_minor);
    }
    buf_printf(b, ",\n  \"abi\": \"%u.%u\",\n  \"gateway\": \"%s\",\n  \"date\": \"%s\",\n",
               CGW_ABI_MAJOR, CGW_ABI_MINOR, PACKAGE_VERSION, r->date);
    put_rows(r, b);
    if (f->measured) {
        buf_printf(b,
                   "  \"figures\": {\"what\": \"%s\", \"n\": %llu, \"per_second\": %.0f, "
                   "\"cpu_ms_per_1000\": %.3f, \"memory_kib\": %llu, ",
                   f->what, (unsigned long long)f->n, f->per_second, f->cpu_ms_per_1000,
                   (unsigned long long)f->memory_kib);
        put_member(b, "results", f->results);
        buf_puts(b, "},\n");
    }
    buf_printf(b,
               "  \"conforms\": %s,\n  \"passed\": %u,\n  \"failed\": %u,\n  \"skipped\": %u\n}\n",
               r->n[CHECK_FAIL] ? "false" : "true", r->n[0], r->n[1], r->n[2]);
}

/* ---- the certificate */

static void put_identity(const struct report *r, struct buf *b)
{
    const struct plugin *p = r->k->plugin;
    struct utsname u;
    if (uname(&u))
        memset(&u, 0, sizeof u);
    buf_printf(b, "campgw plugin conformance report\n\n");
    if (p)
        buf_printf(
            b, "plugin    %s %s, %s by %s\n", p->desc.name, p->desc.version ? p->desc.version : "-",
            plugin_is_channel(p) ? "channel" : "campaign", p->desc.vendor ? p->desc.vendor : "-");
    buf_printf(b, "file      %s\nSHA-256   %s\n", r->args.file, r->sha256);
    if (p)
        buf_printf(b, "built for ABI %u.%u\n", p->desc.abi.abi_major, p->desc.abi.abi_minor);
    buf_printf(b, "judged by gateway %s, ABI %u.%u, on %s %s\ndate      %s\n\n", PACKAGE_VERSION,
               CGW_ABI_MAJOR, CGW_ABI_MINOR, u.sysname, u.machine, r->date);
}

static void put_certificate(const struct report *r, struct buf *b)
{
    const struct figures *f = r->k->figures;
    put_identity(r, b);
    for (uint32_t i = 0; i < r->n_rows; i++) {
        const struct row *row = &r->rows[i];
        buf_printf(b, "%s  %s\n", words[row->verdict], row->clause);
        if (row->promise)
            buf_printf(b, "      %s\n", row->promise);
        if (row->why[0])
            buf_printf(b, "      %s: %s\n", row->verdict == CHECK_SKIP ? "not judged" : "found",
                       row->why);
    }
    if (f->measured)
        buf_printf(b,
                   "\nspeed     %.0f %s a second, %.2f ms CPU per 1,000 (%llu measured)\n"
                   "results   %s\nmemory    %llu KiB at most, checker included\n",
                   f->per_second, f->what, f->cpu_ms_per_1000, (unsigned long long)f->n,
                   f->results[0] ? f->results : "-", (unsigned long long)f->memory_kib);
    buf_printf(b, "\n%u passed, %u failed, %u not judged: %s\n", r->n[0], r->n[1], r->n[2],
               r->n[CHECK_FAIL] ? "DOES NOT CONFORM" : "conforms");
}

static int write_certificate(const struct report *r)
{
    struct buf b;
    buf_init(&b, TEXT_MAX);
    put_certificate(r, &b);
    FILE *f = fopen(r->args.certificate, "we");
    size_t n = f ? fwrite(buf_str(&b), 1, b.len, f) : 0;
    bool bad = !f || n != b.len;
    if (f && fclose(f))
        bad = true;
    buf_done(&b);
    if (bad)
        (void)fprintf(stderr, "campgw-plugin-check: %s: cannot be written: %s\n",
                      r->args.certificate, strerror(errno));
    return bad ? 1 : 0;
}

int report_end(struct report *r)
{
    int rc = r->n[CHECK_FAIL] ? 1 : 0;
    const struct figures *f = r->k->figures;
    if (r->args.json) {
        struct buf b;
        buf_init(&b, TEXT_MAX);
        put_json(r, &b);
        (void)fputs(buf_str(&b), stdout);
        buf_done(&b);
    } else {
        if (f->measured)
            printf("%.0f %s a second, %.2f ms CPU per 1,000, %llu KiB\n", f->per_second, f->what,
                   f->cpu_ms_per_1000, (unsigned long long)f->memory_kib);
        printf("%u passed, %u failed, %u skipped\n", r->n[0], r->n[1], r->n[2]);
    }
    if (r->args.certificate && write_certificate(r))
        rc = 1;
    free(r);
    return rc;
}
