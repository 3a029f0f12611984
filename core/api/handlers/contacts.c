/* SPDX-License-Identifier: Apache-2.0 */
/* contacts.c - /api/v1/contacts: the log. Who was contacted or held in which campaign, why, and
 * what came of it. No address leaves here. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* O_TMPFILE, mkostemp */
#endif
#include "api/handlers/people.h"

#include "base/file.h"
#include "policy/policy.h"
#include "store/store_contact.h"
#include "store/store_ids.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define WAVES_MAX 64
#define VERDICTS "ALLOW|DEFER|DENY"

#define FILTERS                                                                                    \
    {.name = "customer", .type = API_T_ID, .choices = "cus"},                                      \
        {.name = "campaign", .type = API_T_ID, .choices = "cmp"},                                  \
        {.name = "verdict", .type = API_T_ENUM, .choices = VERDICTS},                              \
        {.name = "reason", .type = API_T_STRING, .min = 1, .max = 40},                             \
        {.name = "state", .type = API_T_ENUM, .choices = STORE_CONTACT_STATES},                    \
        {.name = "from", .type = API_T_TIME},                                                      \
    {                                                                                              \
        .name = "to", .type = API_T_TIME                                                           \
    }

static const struct api_member filter_query[] = {FILTERS, {.name = NULL}};

struct wanted {
    struct store_contact_filter f;
    int32_t waves[WAVES_MAX];
};

static int64_t time_param(const struct api_request *req, const char *name)
{
    int64_t ms = INT64_MIN;
    const char *text = api_query(req, name);
    return text && api_time_parse(text, &ms) == 0 ? ms : INT64_MIN;
}

/* 0, or the status of an answer already written. */
static int take_filters(struct api_request *req, struct api_response *resp, struct wanted *w)
{
    const char *customer = api_query(req, "customer"), *campaign = api_query(req, "campaign"),
               *verdict = api_query(req, "verdict"), *reason = api_query(req, "reason");
    struct diag d = {0};
    w->f = (struct store_contact_filter){.verdict = -1,
                                         .reason = -1,
                                         .state = api_query(req, "state"),
                                         .from_ms = time_param(req, "from"),
                                         .to_ms = time_param(req, "to")};
    if (!customer && !campaign)
        api_error(resp, "?customer", "required",
                  "the log is asked by customer, by campaign, or both");
    if (customer && store_id_decode("cus", customer, &w->f.customer_id, &d) < 0)
        api_error(resp, "?customer", "id_invalid", "%s", d.text);
    if (verdict)
        w->f.verdict = (int)people_word(VERDICTS, verdict);
    if (reason && (w->f.reason = reason_from_word(reason)) < 0)
        api_error(resp, "?reason", "unknown_value",
                  "not a reason code; they look like dnd.list, cap.period, calendar.quiet");
    if (w->f.from_ms != INT64_MIN && w->f.to_ms != INT64_MIN && w->f.to_ms <= w->f.from_ms)
        api_error(resp, "?to", "before_from", "must be after from");
    if (api_errors(resp))
        return api_invalid(resp);
    if (!campaign)
        return 0;
    int rc =
        store_contact_waves(req->db, req->scope, campaign, w->waves, WAVES_MAX, &w->f.n_waves, &d);
    w->f.waves = w->waves;
    return rc < 0 ? api_fail(req, resp, rc, &d) : 0;
}

/* ---- list ------------------------------------------------------------------------------------ */
static const char *verdict_word(int verdict)
{
    static const char *const words[] = {"", "ALLOW", "DEFER", "DENY"};
    return verdict >= 1 && verdict <= 3 ? words[verdict] : "";
}

static void put_text(struct buf *out, const char *name, const char *value)
{
    buf_printf(out, ",\"%s\":", name);
    if (value[0])
        buf_put_json(out, value, strlen(value));
    else
        buf_puts(out, "null");
}

static void put_row(struct buf *out, const struct store_contact_row *r)
{
    char con[STORE_ID_TEXT_MAX], cus[STORE_ID_TEXT_MAX];
    store_id_encode("con", r->contact_id, con, sizeof con);
    store_id_encode("cus", r->customer_id, cus, sizeof cus);
    buf_printf(out, "{\"id\":\"%s\",\"customer\":\"%s\"", con, cus);
    put_text(out, "campaign", r->campaign);
    buf_printf(out, ",\"wave\":%d", r->wave_no);
    put_text(out, "channel", r->channel);
    put_text(out, "class", r->contact_class);
    put_text(out, "state", r->state);
    put_text(out, "verdict", verdict_word(r->verdict));
    put_text(out, "reason", reason_word(r->reason));
    put_text(out, "rule", r->rule);
    buf_printf(out, ",\"rules_version\":%d,\"attempt\":%d", r->rules_version, r->attempt);
    put_text(out, "decided_at", r->decided_at);
    put_text(out, "until", r->until);
    buf_putc(out, '}');
}

struct listing {
    struct buf *out;
    bool any;
};

static int list_row(void *ctx, const struct store_contact_row *r)
{
    struct listing *l = ctx;
    if (l->any)
        buf_putc(l->out, ',');
    l->any = true;
    put_row(l->out, r);
    return l->out->failed ? CGW_ELIMIT : 0;
}

static int list(struct api_request *req, struct api_response *resp)
{
    struct wanted w;
    struct api_page page;
    struct diag d = {0};
    bool more = false;
    char cursor[API_CURSOR_MAX];
    int status = take_filters(req, resp, &w);
    if (status)
        return status;
    api_page_begin(req, resp, &page);
    struct listing l = {.out = &resp->body};
    int rc = store_contact_scan(req->db, req->scope, &w.f, page.after, page.limit, list_row, &l,
                                &more, cursor, sizeof cursor, &d);
    return rc < 0 ? api_fail(req, resp, rc, &d) : api_page_end(req, resp, &page, more, cursor);
}

/* ---- one ------------------------------------------------------------------------------------- */
static int get(struct api_request *req, struct api_response *resp)
{
    struct diag d = {0};
    int64_t id = 0;
    if (store_id_decode("con", api_path_param(req, "id"), &id, &d) < 0)
        return api_problem(resp, PROBLEM_NOT_FOUND, "%s", d.text);
    const char *lang = api_header(req, "Accept-Language");
    int rc = store_contact_json(req->db, req->scope, id, lang ? lang : "", &resp->body, &d);
    return rc < 0 ? api_fail(req, resp, rc, &d) : api_ok(resp);
}

/* ---- export: the same rows, all of them, through an unlinked file ---------------------------- */
struct export
{
    int fd;
    bool csv;
    uint64_t written, max;
    struct buf b;
    struct diag *diag;
};

static int flush(struct export *e)
{
    if (file_write(e->fd, e->b.data, e->b.len) < 0)
        return diag_set(e->diag, -ENOSPC, "", "no space left for the export");
    e->written += e->b.len;
    buf_reset(&e->b);
    return e->written > e->max
               ? diag_set(
                     e->diag, -ENOSPC, "",
                     "the export is larger than this node's scratch space; ask for a shorter time")
               : 0;
}

/* Ids and words only: nothing in a field needs quoting. */
static void put_csv(struct buf *out, const struct store_contact_row *r)
{
    char con[STORE_ID_TEXT_MAX], cus[STORE_ID_TEXT_MAX];
    store_id_encode("con", r->contact_id, con, sizeof con);
    store_id_encode("cus", r->customer_id, cus, sizeof cus);
    buf_printf(out, "%s,%s,%s,%d,%s,%s,%s,%s,%s,%s,%d,%d,%s,%s\r\n", con, cus, r->campaign,
               r->wave_no, r->channel, r->contact_class, r->state, verdict_word(r->verdict),
               reason_word(r->reason), r->rule, r->rules_version, r->attempt, r->decided_at,
               r->until);
}

static int export_row(void *ctx, const struct store_contact_row *r)
{
    struct export *e = ctx;
    if (e->csv) {
        put_csv(&e->b, r);
    } else {
        put_row(&e->b, r);
        buf_putc(&e->b, '\n');
    }
    if (e->b.failed)
        return diag_set(e->diag, CGW_ELIMIT, "", "one row exceeds the buffer");
    return e->b.len > 65536 ? flush(e) : 0;
}

static int scratch_file(uint64_t *ret_max, struct diag *diag)
{
    const char *dir = people_scratch_dir(ret_max);
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0)
        return fd;
    char name[512]; /* file systems without O_TMPFILE */
    (void)snprintf(name, sizeof name, "%s/export.XXXXXX", dir);
    fd = mkostemp(name, O_CLOEXEC);
    if (fd < 0)
        return diag_set(diag, errno == ENOSPC ? -ENOSPC : -EIO, "",
                        "no scratch file can be made on this node");
    (void)unlink(name);
    return fd;
}

static int export_rows(struct api_request *req, struct wanted *w, struct export *e)
{
    bool more = false;
    char cursor[API_CURSOR_MAX];
    if (e->csv)
        buf_puts(&e->b, "contact,customer,campaign,wave,channel,class,state,verdict,reason,rule,"
                        "rules_version,attempt,decided_at,until\r\n");
    int rc = store_contact_scan(req->db, req->scope, &w->f, "", 0, export_row, e, &more, cursor,
                                sizeof cursor, e->diag);
    return rc < 0 ? rc : flush(e);
}

static bool wants_csv(const struct api_request *req)
{
    const char *accept = api_header(req, "Accept");
    return accept && strstr(accept, "text/csv");
}

static int export(struct api_request *req, struct api_response *resp)
{
    struct wanted w;
    struct diag d = {0};
    int status = take_filters(req, resp, &w);
    if (status)
        return status;
    const char *campaign = api_query(req, "campaign"), *customer = api_query(req, "customer");
    int rc = store_audit(req->db, &req->actor, "contacts.export", campaign ? campaign : customer,
                         NULL, NULL, &d);
    if (rc < 0)
        return api_fail(req, resp, rc, &d);
    struct export e = {.csv = wants_csv(req), .diag = &d};
    e.fd = scratch_file(&e.max, &d);
    if (e.fd < 0)
        return api_fail(req, resp, e.fd, &d);
    buf_init(&e.b, 1u << 20);
    rc = export_rows(req, &w, &e);
    buf_done(&e.b);
    if (rc < 0) {
        (void)close(e.fd);
        return api_fail(req, resp, rc, &d);
    }
    resp->fd = e.fd;
    resp->fd_len = (int64_t)e.written;
    resp->content_type = e.csv ? "text/csv; charset=utf-8" : "application/x-ndjson";
    return api_ok(resp);
}

const struct api_route api_routes_contacts[] = {
    {.method = "GET",
     .path = "/api/v1/contacts",
     .scope = "contacts:read",
     .flags = API_READ | API_LIST,
     .query = filter_query,
     .handler = list,
     .summary = "List contacts"},
    {.method = "GET",
     .path = "/api/v1/contacts/export",
     .scope = "contacts:export",
     .flags = API_TX,
     .query = filter_query,
     .handler = export,
     .summary = "Export contacts"},
    {.method = "GET",
     .path = "/api/v1/contacts/{id}",
     .scope = "contacts:read",
     .flags = API_READ,
     .handler = get,
     .summary = "See why a contact was made or held"},
    {.method = NULL},
};
