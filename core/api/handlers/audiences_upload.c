/* SPDX-License-Identifier: Apache-2.0 */
/* audiences_upload.c - PUT /audiences/{id}/recipients: body -> rows -> customers and places ->
 * scratch by part -> one transaction. Rows are judged one by one; the upload as a whole is kept or
 * not. Rows are read and judged on the worker's thread; batches of them become customers, places
 * and scratch beside it (base/relay.h), which has the connection to itself meanwhile. Order and
 * slices: store_audience.h. */
#include "api/handlers/audiences.h"
#include "api/handlers/audiences_upload.h"

#include "base/metrics.h"
#include "store/store_customer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define BATCH_BYTES (4u << 20)
#define FILL_BYTES 512u       /* what a customer row may add to a row */
#define DIM_BYTES (32u << 20) /* distinct values of one breakdown field */

static bool is_phone_only(uint32_t mask)
{
    return !(mask & 1u << CGW_CHANNEL_EMAIL);
}

static void find_dims(struct upload *u)
{
    const char *const *names;
    uint32_t n = ingest_fields(u->in, &names);
    if (n == u->fields_seen)
        return;
    u->fields_seen = n;
    for (size_t d = 0; d < u->audience.n_dims; d++)
        for (uint32_t f = 0; f < n; f++)
            if (!strcmp(names[f], u->audience.dims[d]))
                u->dim_field[d] = (int32_t)f;
}

static int pass_batch(struct upload *u, struct diag *diag)
{
    struct batch *b = relay_block(u->relay);
    memcpy(b->dim_field, u->dim_field, sizeof b->dim_field);
    return relay_pass(u->relay, diag);
}

static const char *copy(struct batch *b, const char *s, bool *ok)
{
    if (!s[0])
        return "";
    const char *c = arena_dup(&b->texts, s, strlen(s));
    *ok = *ok && c;
    return c;
}

static int take_row(void *ctx, const struct ingest_row *in, struct diag *diag)
{
    struct upload *u = ctx;
    struct batch *b = relay_block(u->relay);
    find_dims(u);
    /* room for the largest row and for what a customer row adds to each row of the batch */
    if (b->n == WHO_ROWS || b->texts.used + b->n * FILL_BYTES + PARAMS_MAX + 4096u > BATCH_BYTES) {
        int rc = pass_batch(u, diag);
        if (rc < 0)
            return rc;
        b = relay_block(u->relay);
    }
    bool ok = true;
    struct who_row *r = &b->rows[b->n];
    *r = (struct who_row){.line = in->line,
                          .msisdn = copy(b, in->msisdn, &ok),
                          .email = copy(b, in->email, &ok),
                          .external = u->req->scope.partner_id ? "" : copy(b, in->customer, &ok),
                          .zone = copy(b, in->zone, &ok),
                          .region = copy(b, in->region, &ok),
                          .lang = copy(b, in->lang, &ok),
                          .params_len = in->params_len};
    r->params = arena_dup(&b->texts, in->params ? in->params : "", in->params_len);
    if (!ok || !r->params)
        return diag_set(diag, -ENOMEM, "", "out of memory");
    memcpy(r->number_region, in->number_region, sizeof r->number_region);
    b->n++;
    return 0;
}

static void take_reject(void *ctx, const struct ingest_reject *reject)
{
    upload_reject(ctx, reject);
}

/* ---- the whole
 * ------------------------------------------------------------------------------------------------------------------
 */
static int open_all(struct upload *u, struct diag *diag)
{
    uint64_t max_bytes;
    const char *dir = people_scratch_dir(&max_bytes);
    uint32_t mask = u->audience.channel_mask;
    (void)pthread_mutex_init(&u->rejects_lock, NULL);
    people_rejects_init(&u->rejects);
    people_map_init(&u->places, 16u << 20);
    for (size_t d = 0; d < STORE_DIMS_MAX; d++) {
        people_map_init(&u->dims[d], DIM_BYTES);
        u->dim_field[d] = -1;
    }
    u->who.req = u->req;
    u->who.need_number = is_phone_only(mask);
    u->who.need_email = mask == 1u << CGW_CHANNEL_EMAIL;
    u->batches = calloc(RELAY_BLOCKS, sizeof *u->batches);
    if (!u->batches)
        return diag_set(diag, -ENOMEM, "", "out of memory");
    for (size_t i = 0; i < RELAY_BLOCKS; i++)
        arena_init(&u->batches[i].texts, BATCH_BYTES);
    int rc = store_people_any(u->req->db, &u->who.look_up, diag);
    if (rc < 0)
        return rc;
    const struct ingest_opts opts = {
        .default_region = u->audience.default_region,
        .customer_names = !u->req->scope.partner_id, /* partners know no ids of the owner's */
        .refuse_fixed_line = !(mask & ~(1u << CGW_CHANNEL_SMS | 1u << CGW_CHANNEL_MMS))};
    u->spool = spool_new(dir, max_bytes, diag);
    if (!u->spool) {
        u->spool_failed = true;
        return diag->code;
    }
    u->in = ingest_new(people_format(u->req->stream), u->req->stream->gzip, &opts, take_row,
                       take_reject, u, diag);
    return u->in ? 0 : diag->code;
}

static void close_all(struct upload *u)
{
    ingest_free(u->in);
    spool_free(u->spool);
    for (size_t d = 0; d < STORE_DIMS_MAX; d++)
        people_map_done(&u->dims[d]);
    people_map_done(&u->places);
    people_rejects_done(&u->rejects);
    (void)pthread_mutex_destroy(&u->rejects_lock);
    for (size_t i = 0; u->batches && i < RELAY_BLOCKS; i++)
        arena_done(&u->batches[i].texts);
    free(u->batches);
    free(u);
}

/* The whole body through both sides. An error of the other side comes first: it met earlier rows.
 */
static int feed(struct upload *u, struct diag *diag)
{
    void *each[RELAY_BLOCKS];
    for (size_t i = 0; i < RELAY_BLOCKS; i++)
        each[i] = &u->batches[i];
    u->relay = relay_new(each, upload_take_batch, u, diag);
    if (!u->relay)
        return diag->code;
    int rc = people_feed(u->req->stream, u->in, diag);
    if (rc == 0)
        rc = pass_batch(u, diag);
    int end = relay_end(TAKE(u->relay), diag);
    return end < 0 ? end : rc;
}

static int read_all(struct upload *u, struct diag *diag)
{
    int rc = feed(u, diag);
    struct spool_counts kept;
    spool_counts(u->spool, &kept);
    if (rc == 0 && !kept.put)
        rc = diag_set(diag, CGW_EINVAL, "",
                      "No row of the upload can be used; send at least one that the rejects do not "
                      "name.");
    for (size_t d = 0; rc == 0 && d < u->audience.n_dims; d++)
        if (u->dim_field[d] < 0)
            rc = diag_set(
                diag, CGW_EINVAL, "line 1",
                "the audience declares the breakdown field %s, but the upload has no such column",
                u->audience.dims[d]);
    return rc;
}

static int write_parts(struct upload *u, struct store_set *set, struct diag *diag)
{
    for (uint32_t part = 0; part < CUSTOMER_PARTS; part++) {
        int rc = spool_load(u->spool, part, take_reject, u, diag);
        u->spool_failed = rc < 0;
        if (rc < 0)
            return rc;
        struct spool_row s;
        while (spool_next(u->spool, &s)) {
            struct store_set_row row = {.customer_id = s.customer_id,
                                        .address = s.address,
                                        .email = s.email,
                                        .lang = s.lang,
                                        .params = s.params,
                                        .params_len = s.params_len,
                                        .place = s.place,
                                        .dims = s.dims};
            rc = store_set_put(set, &row, diag);
            if (rc < 0)
                return rc;
        }
    }
    return 0;
}

static struct store_set_dim_value *dim_values(const struct upload *u, size_t *ret_n)
{
    size_t n = 0, total = 1;
    for (size_t d = 0; d < u->audience.n_dims; d++)
        total += u->dims[d].n;
    struct store_set_dim_value *all = calloc(total, sizeof *all);
    for (size_t d = 0; all && d < u->audience.n_dims; d++)
        for (size_t i = 0; i < u->dims[d].cap; i++)
            if (u->dims[d].slot[i].key)
                all[n++] = (struct store_set_dim_value){.dim = (int16_t)(d + 1),
                                                        .code = u->dims[d].slot[i].value,
                                                        .value = u->dims[d].slot[i].key,
                                                        .len = u->dims[d].slot[i].len};
    *ret_n = n;
    return all;
}

struct result {
    int64_t accepted, duplicate, invalid;
    uint8_t sha256[32];
};

static int write_set(struct upload *u, struct result *ret, struct diag *diag)
{
    struct store_set *set = NULL;
    int rc = store_set_open(u->req->db, &u->audience, &set, diag);
    if (rc < 0)
        return rc;
    rc = write_parts(u, set, diag);
    if (rc < 0) {
        store_set_abort(set);
        return rc;
    }
    struct ingest_counts in;
    struct spool_counts sp;
    struct store_set_end end = {0};
    ingest_counts(u->in, &in);
    spool_counts(u->spool, &sp);
    end.n_fields = ingest_fields(u->in, &end.fields);
    people_rejects_sort(&u->rejects);
    end.rejects = u->rejects.item;
    end.n_rejects = u->rejects.n;
    auto_free struct store_set_dim_value *values = dim_values(u, &end.n_dim_values);
    end.dim_values = values;
    *ret = (struct result){.accepted = store_set_rows(set),
                           .duplicate = (int64_t)sp.duplicates,
                           .invalid = (int64_t)(in.rejected + u->refused)};
    end.duplicate = ret->duplicate;
    end.invalid = ret->invalid;
    if (!values) {
        store_set_abort(set);
        return diag_set(diag, -ENOMEM, "", "out of memory");
    }
    return store_set_commit(set, &u->req->actor, &end, ret->sha256, diag);
}

static int answer(struct upload *u, const struct result *r, struct api_response *resp)
{
    struct buf *b = &resp->body;
    const char *const *names;
    uint32_t n = ingest_fields(u->in, &names);
    buf_printf(b,
               "{\"id\":\"%s\",\"accepted\":%lld,\"duplicate\":%lld,\"invalid\":%lld,\"fields\":[",
               api_path_param(u->req, "id"), (long long)r->accepted, (long long)r->duplicate,
               (long long)r->invalid);
    for (uint32_t i = 0; i < n; i++) {
        if (i)
            buf_putc(b, ',');
        buf_put_json(b, names[i], strlen(names[i]));
    }
    buf_puts(b, "],\"sha256\":\"");
    for (size_t i = 0; i < sizeof r->sha256; i++)
        buf_printf(b, "%02x", r->sha256[i]);
    buf_puts(b, "\",\"rejects\":");
    people_rejects_json(&u->rejects, b);
    buf_putc(b, '}');
    METRIC_ADD("campgw_upload_rows_total", (double)r->accepted, "accepted");
    METRIC_ADD("campgw_upload_rows_total", (double)r->duplicate, "duplicate");
    METRIC_ADD("campgw_upload_rows_total", (double)r->invalid, "invalid");
    return api_ok(resp);
}

int audiences_upload(struct api_request *req, struct api_response *resp)
{
    struct diag d = {0};
    struct upload *u = calloc(1, sizeof *u);
    if (!u)
        return api_problem(resp, PROBLEM_OVERLOADED, "out of memory");
    u->req = req;
    int rc = store_audience_get(req->db, req->scope, api_path_param(req, "id"), &u->audience, &d);
    if (rc == 0 && u->audience.archived)
        rc = diag_set(&d, CGW_ESTATE, "", "the audience is archived; create another one");
    if (rc == 0 && u->audience.in_use)
        rc = diag_set(
            &d, CGW_EBUSY, "",
            "a campaign that is under way uses this audience; its people cannot change now");
    if (rc < 0) {
        free(u);
        return api_fail(req, resp, rc, &d);
    }
    struct result result;
    int status;
    rc = open_all(u, &d);
    if (rc == 0)
        rc = read_all(u, &d);
    if (rc == 0)
        rc = write_set(u, &result, &d);
    if (rc == 0)
        status = answer(u, &result, resp);
    else if (u->spool_failed)
        status = api_problem(resp, PROBLEM_NO_SPACE, "%s", d.text);
    else if (rc == CGW_ESTATE || rc == CGW_EBUSY)
        status = api_fail(req, resp, rc, &d);
    else
        status = people_upload_failed(req, resp, rc, &d, &u->rejects);
    close_all(u);
    return status;
}
