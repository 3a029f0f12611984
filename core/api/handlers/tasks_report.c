/* SPDX-License-Identifier: Apache-2.0 */
/* tasks_report.c - what agents report: one outcome as JSON, or many as the CSV list that comes
 * back. The answer means that the word is durable and, for an opt-out, in force; the contact log
 * has it within a second. The same word twice changes nothing, another word is refused. */
#include "api/handlers/tasks.h"

#include "api/handlers/people.h"
#include "base/clock.h"
#include "content/utf8.h"
#include "store/store_ids.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CELLS_MAX 64
#define REJECTS_SHOWN 100

const struct api_member tasks_outcome_body[] = {
    {"outcome", API_T_ENUM, API_M_REQUIRED, .choices = STORE_TASK_OUTCOMES},
    {"seconds", API_T_INT, 0, .min = 0, .max = STORE_TASK_SECONDS_MAX},
    {"text", API_T_STRING, API_M_TEXT, .min = 0, .max = STORE_TASK_NOTE_MAX / 4},
    {.name = NULL}};

/* For the trail: who said what of which task, without the person's words. */
static int audit(struct api_request *req, const char *task, const struct task_report *r,
                 struct diag *diag)
{
    char after[96];
    (void)snprintf(after, sizeof after, "{\"outcome\":\"%s\",\"seconds\":%d}",
                   task_word(r->outcome)->word, (int)r->seconds);
    return store_audit(req->db, &req->actor, "task.outcome", task, NULL, after, diag);
}

int tasks_outcome(struct api_request *req, struct api_response *resp)
{
    struct task_report r = {.now_ms = clock_utc_ms(),
                            .outcome = task_outcome_of(api_str(req->json, "outcome", "")),
                            .seconds = (int32_t)api_int(req->json, "seconds", 0),
                            .note = api_str(req->json, "text", "")};
    struct diag d = {0};
    uint64_t parts = 0;
    bool news = false;
    int status = tasks_id(req, resp, &r.task_key);
    if (status)
        return status;
    int rc = store_task_report(req->db, req->scope, &r, &parts, &news, &d);
    if (rc == 0 && news)
        rc = audit(req, api_path_param(req, "id"), &r, &d);
    if (rc == 0)
        rc = store_task_json(req->db, req->scope, r.task_key, false, &resp->body, &d);
    if (rc == 0)
        rc = store_facts_touch(req->db, parts, &d); /* last: it holds up intents */
    if (rc < 0)
        return api_fail(req, resp, rc, &d);
    resp->wake = API_WAKE_TASKS;
    return api_ok(resp);
}

/* ---- many --------------------------------------------------------------------------------------
 */
struct row {
    struct task_report r;
    long line;
    bool bad;
    char id[STORE_ID_TEXT_MAX];
};

struct batch {
    struct api_request *req;
    char *text; /* owned; cells and strings point into it or into the request's arena */
    size_t len;
    struct row *rows; /* owned */
    int n;
    int taken, repeated, rejected;
    struct buf rejects;
};

static void reject(struct batch *b, long line, const char *column, const char *code,
                   const char *detail)
{
    if (b->rejected++ >= REJECTS_SHOWN)
        return;
    buf_printf(&b->rejects, "%s{\"line\":%ld,\"column\":\"%s\",\"code\":\"%s\",\"detail\":",
               b->rejects.len ? "," : "", line, column, code);
    buf_put_json(&b->rejects, detail, strlen(detail));
    buf_putc(&b->rejects, '}');
}

/* Checks one row and keeps it; a bad one is named. */
static void add(struct batch *b, long line, const char *task, const char *outcome,
                const char *seconds, const char *note)
{
    struct row *r = &b->rows[b->n];
    struct diag d = {0};
    char *end = NULL;
    long s = seconds[0] ? strtol(seconds, &end, 10) : 0;
    *r = (struct row){.line = line, .r = {.now_ms = clock_utc_ms(), .note = note}};
    if (store_id_decode("tsk", task, &r->r.task_key, &d) < 0)
        reject(b, line, "task", "id_invalid", d.text);
    else if (!(r->r.outcome = task_outcome_of(outcome)))
        reject(b, line, "outcome", "unknown_value", "one of " STORE_TASK_OUTCOMES);
    else if ((end && *end) || s < 0 || s > STORE_TASK_SECONDS_MAX)
        reject(b, line, "seconds", "out_of_range", "whole seconds, 0 to 86400");
    else if (strlen(note) > STORE_TASK_NOTE_MAX || !utf8_valid(note, strlen(note)))
        reject(b, line, "note", "too_long", "UTF-8 of at most 4096 bytes");
    else {
        r->r.seconds = (int32_t)s;
        store_id_encode("tsk", r->r.task_key, r->id, sizeof r->id);
        b->n++;
    }
}

static int column_of(char *const *head, int n, const char *a, const char *b)
{
    for (int i = 0; i < n; i++)
        if (!strcmp(head[i], a) || !strcmp(head[i], b))
            return i;
    return -1;
}

/* 0, or the status of an answer already written. */
static int malformed(struct api_response *resp, long line, const char *what)
{
    int status = api_problem(resp, PROBLEM_MALFORMED_UPLOAD, "line %ld: %s", line, what);
    char n[24];
    (void)snprintf(n, sizeof n, "%ld", line);
    api_problem_json(resp, "line", n);
    return status;
}

static int too_many(struct api_response *resp)
{
    int status = api_problem(resp, PROBLEM_TOO_LARGE, "more than %d rows; send the rest in another",
                             TASKS_ROWS_MAX);
    return status;
}

static const char *cell_of(char *const *cells, int n, int column)
{
    return column >= 0 && column < n ? cells[column] : "";
}

static int read_csv(struct batch *b, struct api_response *resp)
{
    char *head[CELLS_MAX], *cells[CELLS_MAX];
    size_t at = b->len >= 3 && !memcmp(b->text, "\xef\xbb\xbf", 3) ? 3 : 0;
    long line = 0;
    int nh = tasks_csv_cells(b->text, b->len, &at, head, CELLS_MAX, &line), n;
    int task = nh > 0 ? column_of(head, nh, "task", "id") : -1,
        outcome = nh > 0 ? column_of(head, nh, "outcome", "outcome") : -1;
    if (task < 0 || outcome < 0)
        return malformed(resp, 1,
                         "the head needs the columns task and outcome; seconds and note "
                         "may be there, all others are left alone");
    int seconds = column_of(head, nh, "seconds", "seconds"),
        note = column_of(head, nh, "note", "note"), rows = 0;
    for (long from = line + 1;
         (n = tasks_csv_cells(b->text, b->len, &at, cells, CELLS_MAX, &line)) > 0;
         from = line + 1) {
        if (n == 1 && !cells[0][0])
            continue; /* an empty line */
        if (rows++ == TASKS_ROWS_MAX)
            return too_many(resp);
        if (cell_of(cells, n, outcome)[0]) /* nobody has worked on the others yet */
            add(b, from, cell_of(cells, n, task), cell_of(cells, n, outcome),
                cell_of(cells, n, seconds), cell_of(cells, n, note));
    }
    return n < 0 ? malformed(resp, line, "a quote is not closed") : 0;
}

static int read_ndjson(struct batch *b, struct api_response *resp)
{
    long line = 0;
    int rows = 0;
    for (char *at = b->text, *next; at && *at; at = next) {
        next = strchr(at, '\n');
        size_t n = next ? (size_t)(next++ - at) : strlen(at);
        line++;
        if (strspn(at, " \t\r") >= n)
            continue;
        if (rows++ == TASKS_ROWS_MAX)
            return too_many(resp);
        json_t *doc = json_loadb(at, n, JSON_REJECT_DUPLICATES, NULL);
        char seconds[24];
        const char *task = api_str(doc, "task", api_str(doc, "id", ""));
        (void)snprintf(seconds, sizeof seconds, "%lld", (long long)api_int(doc, "seconds", 0));
        const char *text = api_str(doc, "text", ""),
                   *kept = arena_dup(&b->req->arena, text, strlen(text));
        if (!json_is_object(doc) || !kept)
            reject(b, line, "", "not_an_object", "one JSON object in each line");
        else
            add(b, line, task, api_str(doc, "outcome", ""), seconds, kept);
        json_decref(doc);
    }
    return 0;
}

static int read_all(struct batch *b, struct api_response *resp)
{
    const struct api_stream *s = b->req->stream;
    if (s->gzip)
        return api_problem(resp, PROBLEM_MEDIA_TYPE, "outcomes are small: send them unpacked");
    b->len = (size_t)s->len;
    b->text = malloc(b->len + 1);
    b->rows = malloc((TASKS_ROWS_MAX + 1) * sizeof *b->rows);
    if (!b->text || !b->rows)
        return api_problem(resp, PROBLEM_OVERLOADED, "out of memory");
    for (size_t at = 0; at < b->len;) {
        ssize_t n = pread(s->fd, b->text + at, b->len - at, (off_t)at);
        if (n <= 0)
            return api_problem(resp, PROBLEM_INTERNAL, "the upload cannot be read");
        at += (size_t)n;
    }
    b->text[b->len] = 0;
    if (memchr(b->text, 0, b->len))
        return malformed(resp, 1, "the text holds a NUL byte");
    return people_format(s) == INGEST_CSV ? read_csv(b, resp) : read_ndjson(b, resp);
}

/* By part, so that two uploads never wait for each other in a circle; the first of a task wins. */
static int by_task(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    int p = (int)(x->r.task_key & 63), q = (int)(y->r.task_key & 63);
    if (p != q)
        return p - q;
    if (x->r.task_key != y->r.task_key)
        return x->r.task_key < y->r.task_key ? -1 : 1;
    return (x->line > y->line) - (x->line < y->line);
}

static int apply(struct batch *b, struct diag *diag)
{
    uint64_t parts = 0;
    int rc = 0;
    qsort(b->rows, (size_t)b->n, sizeof *b->rows, by_task);
    for (int i = 0; rc == 0 && i < b->n; i++) {
        const struct row *r = &b->rows[i];
        bool news = false;
        rc = store_task_report(b->req->db, b->req->scope, &r->r, &parts, &news, diag);
        if (rc == CGW_ENOTFOUND || rc == CGW_ESTATE) {
            reject(b, r->line, "task", rc == CGW_ESTATE ? "state_conflict" : "not_found",
                   diag->text);
            rc = 0;
            continue;
        }
        if (rc == 0 && news)
            rc = audit(b->req, r->id, &r->r, diag);
        b->taken += news;
        b->repeated += !news;
    }
    return rc < 0 ? rc : store_facts_touch(b->req->db, parts, diag);
}

int tasks_outcomes(struct api_request *req, struct api_response *resp)
{
    struct batch b = {.req = req};
    struct diag d = {0};
    buf_init(&b.rejects, 1u << 20);
    int status = read_all(&b, resp), rc = status ? 0 : apply(&b, &d);
    if (rc < 0)
        status = api_fail(req, resp, rc, &d);
    if (!status) {
        buf_printf(
            &resp->body,
            "{\"received\":%d,\"taken\":%d,\"repeated\":%d,\"rejected\":%d,\"rejects\":[%s]}",
            b.taken + b.repeated + b.rejected, b.taken, b.repeated, b.rejected,
            b.rejects.len ? buf_str(&b.rejects) : "");
        resp->wake = API_WAKE_TASKS;
        status = api_ok(resp);
    }
    buf_done(&b.rejects);
    free(b.text);
    free(b.rows);
    return status;
}
