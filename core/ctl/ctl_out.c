/* SPDX-License-Identifier: Apache-2.0 */
/* ctl_out.c - what people and scripts read: errors, tables, fields, JSON, progress bars. stdout is
 * data, stderr is remarks. Text of others never reaches a terminal with control characters in it.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* wcswidth */
#endif
#include "ctl/ctl.h"

#include "base/clock.h"

#include <stdarg.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

#define CELL_MAX 400
#define COLUMNS_MAX 16
#define BAR_CELLS 20
#define LINE_EVERY_MS 10000
#define BAR_EVERY_MS 100

/* ---- errors and remarks
 * ------------------------------------------------------------------------------------------------------
 */
static void say_lines(const char *label, const char *text)
{
    if (text && *text)
        (void)fprintf(stderr, "  %s: %s\n", label, text);
}

int ctl_fail(const struct ctl *c, enum ctl_exit code, const char *what, const char *why,
             const char *next)
{
    if (c->json) {
        json_t *doc = json_pack("{s:s, s:s, s:i}", "title", what, "detail", why ? why : "", "exit",
                                (int)code);
        if (next && *next)
            ctl_set_str(doc, "next", next);
        ctl_print_json(doc);
        json_decref(doc);
    }
    (void)fprintf(stderr, "campgwctl: %s\n", what);
    say_lines("why", why);
    say_lines("next", next);
    return (int)code;
}

static int exit_of_diag(int code)
{
    switch (code) {
    case CGW_ENOTFOUND:
        return CTL_NOT_FOUND;
    case CGW_EDENIED:
        return CTL_NOT_ALLOWED;
    case CGW_EVERSION:
    case CGW_ESTATE:
    case CGW_EEXISTS:
        return CTL_CONFLICT;
    default:
        return CTL_FAILED;
    }
}

int ctl_fail_diag(const struct ctl *c, const char *what, const struct diag *d, const char *next)
{
    char why[CGW_DIAG_MAX + 128];
    (void)snprintf(why, sizeof why, "%s%s%s", d->where, d->where[0] ? ": " : "", d->text);
    size_t n = strlen(why);
    while (n && why[n - 1] == '\n')
        why[--n] = 0;
    return ctl_fail(c, (enum ctl_exit)exit_of_diag(d->code), what, why, next);
}

void ctl_say(const struct ctl *c, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    (void)c;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    (void)fprintf(stderr, "%s\n", text);
}

int ctl_confirm(const struct ctl *c, const char *question, int64_t count)
{
    char answer[64], want[32];
    if (c->yes || c->dry_run)
        return 0;
    if (isatty(STDIN_FILENO) != 1 || !c->tty_err)
        return ctl_fail(c, CTL_USAGE, question,
                        "this cannot be taken back, and there is no terminal to ask on",
                        "the same command with --yes");
    (void)snprintf(want, sizeof want, "%lld", (long long)count);
    if (count >= 10000)
        (void)fprintf(stderr, "%s\nType %s to go on: ", question, want);
    else
        (void)fprintf(stderr, "%s\nGo on? [y/N] ", question);
    if (!fgets(answer, sizeof answer, stdin))
        return CTL_FAILED;
    answer[strcspn(answer, "\n")] = 0;
    if (count >= 10000 ? !strcmp(answer, want) : answer[0] == 'y' || answer[0] == 'Y')
        return 0;
    (void)fputs("Nothing was done.\n", stderr);
    return CTL_FAILED;
}

/* ---- values
 * --------------------------------------------------------------------------------------------------------------------
 */
const json_t *ctl_at(const json_t *doc, const char *path)
{
    while (doc && *path) {
        char name[64];
        size_t n = strcspn(path, ".");
        (void)snprintf(name, sizeof name, "%.*s", (int)n, path);
        doc = json_object_get(doc, name);
        path += n + (path[n] == '.');
    }
    return doc;
}

const char *ctl_str(const json_t *doc, const char *path, const char *absent)
{
    const json_t *v = ctl_at(doc, path);
    return json_is_string(v) ? json_string_value(v) : absent;
}

int64_t ctl_num(const json_t *doc, const char *path, int64_t absent)
{
    const json_t *v = ctl_at(doc, path);
    return json_is_integer(v) ? json_integer_value(v)
           : json_is_real(v)  ? (int64_t)json_real_value(v)
                              : absent;
}

void ctl_clean(char *text)
{
    for (unsigned char *p = (unsigned char *)text; *p; p++)
        if (*p < 0x20 || *p == 0x7f)
            *p = '?';
        else if (p[0] == 0xc2 && p[1] >= 0x80 &&
                 p[1] < 0xa0) /* C1 controls in UTF-8: some terminals obey them */
            p[0] = p[1] = '?';
}

void ctl_format_count(int64_t n, char out[32])
{
    char digits[24];
    size_t len = (size_t)snprintf(digits, sizeof digits, "%lld", (long long)n),
           from = digits[0] == '-', o = 0;
    for (size_t i = 0; i < len; i++) {
        if (i > from && (len - i) % 3 == 0)
            out[o++] = ',';
        out[o++] = digits[i];
    }
    out[o] = 0;
}

void ctl_format_size(int64_t bytes, char out[32])
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    double v = (double)bytes;
    size_t u = 0;
    for (; v >= 1000 && u + 1 < ARRAY_LEN(units); u++)
        v /= 1000;
    (void)snprintf(out, 32, u ? "%.1f %s" : "%.0f %s", v, units[u]);
}

/* "2026-01-02T03:04:05.678Z" as local time to the second; anything else stays as it is. */
static void format_time(const char *text, char *out, size_t size)
{
    struct tm tm = {0}, local;
    if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour,
               &tm.tm_min, &tm.tm_sec) != 6 ||
        !strchr(text, 'Z')) {
        (void)snprintf(out, size, "%s", text);
        return;
    }
    tm.tm_year -= 1900;
    tm.tm_mon--;
    time_t t = timegm(&tm);
    if (!localtime_r(&t, &local) || !strftime(out, size, "%Y-%m-%d %H:%M:%S", &local))
        (void)snprintf(out, size, "%s", text);
}

static void format_array(const json_t *list, char form, char *out, size_t size)
{
    size_t used = 0;
    for (size_t i = 0; i < json_array_size(list) && used < size; i++) {
        char one[CELL_MAX];
        ctl_format(json_array_get(list, i), form, one, sizeof one);
        int n = snprintf(out + used, size - used, "%s%s", i ? "," : "", one);
        used += n > 0 ? (size_t)n : 0;
    }
}

void ctl_format(const json_t *v, char form, char *out, size_t size)
{
    char number[32];
    (void)snprintf(out, size, "-");
    switch (json_typeof(v ? v : json_null())) {
    case JSON_STRING:
        if (form == 't')
            format_time(json_string_value(v), out, size);
        else if (json_string_length(v))
            (void)snprintf(out, size, "%s", json_string_value(v));
        break;
    case JSON_INTEGER:
        ctl_format_count(json_integer_value(v), number);
        if (form == 'n')
            (void)snprintf(out, size, "%s", number);
        else
            (void)snprintf(out, size, "%lld", (long long)json_integer_value(v));
        break;
    case JSON_REAL:
        (void)snprintf(out, size, "%.1f", json_real_value(v));
        break;
    case JSON_TRUE:
        (void)snprintf(out, size, "yes");
        break;
    case JSON_FALSE:
        (void)snprintf(out, size, "no");
        break;
    case JSON_ARRAY:
        if (json_array_size(v))
            format_array(v, form, out, size);
        break;
    case JSON_OBJECT: {
        auto_free char *text = json_dumps(v, JSON_COMPACT | JSON_SORT_KEYS);
        (void)snprintf(out, size, "%s", text ? text : "-");
        break;
    }
    case JSON_NULL:
        break;
    }
    ctl_clean(out);
}

static void format_column(const json_t *doc, const struct ctl_column *col, char *out, size_t size)
{
    const json_t *v = NULL;
    for (const char *p = col->path; *p && (!v || json_is_null(v));) {
        char one[64];
        size_t n = strcspn(p, "|");
        (void)snprintf(one, sizeof one, "%.*s", (int)n, p);
        v = ctl_at(doc, one);
        p += n + (p[n] == '|');
    }
    ctl_format(v, col->form, out, size);
}

/* ---- colour
 * ---------------------------------------------------------------------------------------------------------------------------
 */
const char *ctl_color(const struct ctl *c, const char *state)
{
    static const struct {
        const char *word, *escape;
    } colors[] = {
        {"ready", "32"},     {"running", "32"},   {"active", "32"},    {"completed", "32"},
        {"yes", "32"},       {"ALLOW", "32"},     {"granted", "32"},   {"ok", "32"},
        {"paused", "33"},    {"draining", "33"},  {"DEFER", "33"},     {"waiting", "33"},
        {"loading", "33"},   {"finishing", "33"}, {"scheduled", "33"}, {"warning", "33"},
        {"cancelled", "31"}, {"failed", "31"},    {"revoked", "31"},   {"expired", "31"},
        {"no", "31"},        {"DENY", "31"},      {"withdrawn", "31"}, {"fault", "31"},
        {"degraded", "33"},  {"disabled", "31"}};
    static char escape[16]; /* one thread */
    if (!c->color)
        return "";
    for (size_t i = 0; i < ARRAY_LEN(colors); i++)
        if (!strcmp(colors[i].word, state)) {
            (void)snprintf(escape, sizeof escape, "\033[%sm", colors[i].escape);
            return escape;
        }
    return "";
}

const char *ctl_plain(const struct ctl *c)
{
    return c->color ? "\033[0m" : "";
}

/* ---- tables
 * ----------------------------------------------------------------------------------------------------------------------------
 */
static int width_of(const char *text)
{
    wchar_t wide[CELL_MAX];
    size_t n = mbstowcs(wide, text, CELL_MAX);
    int w = n == (size_t)-1 ? -1 : wcswidth(wide, n < CELL_MAX ? n : CELL_MAX);
    return w < 0 ? (int)strlen(text) : w;
}

static void put_cell(const struct ctl *c, const char *text, int width, char form, bool last)
{
    int gap = width - width_of(text);
    bool right = form == 'n';
    if (right)
        (void)printf("%*s", gap > 0 ? gap : 0, "");
    (void)printf("%s%s%s", form == 'c' || form == 'b' ? ctl_color(c, text) : "", text,
                 form == 'c' || form == 'b' ? ctl_plain(c) : "");
    if (!last)
        (void)printf("%*s", (right || gap < 0 ? 0 : gap) + 2, "");
}

void ctl_print_table(const struct ctl *c, const json_t *rows, const struct ctl_column *columns)
{
    int width[COLUMNS_MAX] = {0}, n = 0;
    char text[CELL_MAX];
    for (; columns[n].title && n < COLUMNS_MAX; n++)
        width[n] = (int)strlen(columns[n].title);
    for (size_t i = 0; i < json_array_size(rows); i++)
        for (int k = 0; k < n; k++) {
            format_column(json_array_get(rows, i), &columns[k], text, sizeof text);
            int w = width_of(text);
            width[k] = w > width[k] ? w : width[k];
        }
    for (int k = 0; k < n; k++)
        put_cell(c, columns[k].title, width[k], columns[k].form == 'n' ? 'n' : 's', k + 1 == n);
    (void)putchar('\n');
    for (size_t i = 0; i < json_array_size(rows); i++) {
        for (int k = 0; k < n; k++) {
            format_column(json_array_get(rows, i), &columns[k], text, sizeof text);
            put_cell(c, text, width[k], columns[k].form, k + 1 == n);
        }
        (void)putchar('\n');
    }
}

void ctl_print_fields(const struct ctl *c, const json_t *doc, const struct ctl_column *columns)
{
    int width = 0;
    char text[CELL_MAX];
    for (const struct ctl_column *k = columns; k->title; k++)
        width = (int)strlen(k->title) > width ? (int)strlen(k->title) : width;
    for (const struct ctl_column *k = columns; k->title; k++) {
        format_column(doc, k, text, sizeof text);
        bool colored = k->form == 'c' || k->form == 'b';
        (void)printf("%-*s  %s%s%s\n", width, k->title, colored ? ctl_color(c, text) : "", text,
                     colored ? ctl_plain(c) : "");
    }
}

void ctl_print_json(const json_t *doc)
{
    (void)json_dumpf(doc, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY);
    (void)putchar('\n');
}

void ctl_print_line(const json_t *doc)
{
    (void)json_dumpf(doc, stdout, JSON_COMPACT | JSON_ENCODE_ANY);
    (void)putchar('\n');
    (void)fflush(stdout);
}

int ctl_print_answer(const struct ctl *c, struct ctl_answer *a, const struct ctl_column *columns)
{
    if (c->json)
        ctl_print_json(a->doc);
    else
        ctl_print_fields(c, a->doc, columns);
    ctl_answer_done(a);
    return CTL_OK;
}

/* ---- progress
 * --------------------------------------------------------------------------------------------------------------------------
 */
static void eta_text(int64_t left, double rate, char out[32])
{
    out[0] = 0;
    if (rate <= 0 || left <= 0)
        return;
    double raw = (double)left / rate;
    long long s = raw > 8.64e6 ? 8640000 : (long long)(raw + 0.5);
    if (s >= 3600)
        (void)snprintf(out, 32, " ETA %lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
    else
        (void)snprintf(out, 32, " ETA %lld:%02lld", s / 60, s % 60);
}

static void amount(int64_t n, bool bytes, char out[32])
{
    if (bytes)
        ctl_format_size(n, out);
    else
        ctl_format_count(n, out);
}

void ctl_bar_show(const struct ctl *c, struct ctl_bar *b, int64_t done, int64_t total,
                  const char *unit, double rate, const char *note)
{
    int64_t now = clock_mono_ms();
    char cells[BAR_CELLS + 1], d[32], t[32], r[32], eta[32];
    bool bytes = !strcmp(unit, "bytes"), known = total > 0;
    if (!b->begun) {
        *b = (struct ctl_bar){
            .begun = true, .start_ms = now, .last_ms = now - LINE_EVERY_MS, .first_done = done};
        if (!c->tty_err)
            b->last_ms = now; /* the first line after ten seconds: short work stays silent */
    }
    if (now - b->last_ms < (c->tty_err ? BAR_EVERY_MS : LINE_EVERY_MS))
        return;
    b->last_ms = now;
    if (rate < 0)
        rate = now > b->start_ms
                   ? (double)(done - b->first_done) * 1000 / (double)(now - b->start_ms)
                   : 0;
    int full = known ? (int)(done * BAR_CELLS / total) : 0;
    for (int i = 0; i < BAR_CELLS; i++)
        cells[i] = i < full ? '#' : '.';
    cells[BAR_CELLS] = 0;
    amount(done, bytes, d);
    amount(known ? total : done, bytes, t);
    amount((int64_t)rate, bytes, r);
    eta_text(known ? total - done : 0, rate, eta);
    (void)fprintf(stderr, "%s[%s] %s/%s %s%s%s/s%s%s%s%s", c->tty_err ? "\r" : "", cells, d,
                  known ? t : "?", bytes ? "" : unit, bytes ? "" : " ", r, eta, note ? " " : "",
                  note ? note : "", c->tty_err ? "\033[K" : "\n");
    b->open = c->tty_err;
}

void ctl_bar_end(const struct ctl *c, struct ctl_bar *b)
{
    if (b->open && c->tty_err)
        (void)fputs("\r\033[K", stderr);
    b->open = false;
}
