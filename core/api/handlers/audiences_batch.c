/* SPDX-License-Identifier: Apache-2.0 */
/* audiences_batch.c - see audiences_upload.h: rows that were read and judged become customers with
 * places, and scratch by part. Until all is read the connection belongs to this side. No SQL here.
 */
#include "api/handlers/audiences_upload.h"

#include "store/store_place.h"

#include <stdio.h>
#include <string.h>

/* ---- places and breakdown fields
 * --------------------------------------------------------------------------------------------- */
/* Zone of the row, else of the customer, else of the region, else every zone the number may be in:
 * later a campaign is closed for the person when any of them is. A list that was cut counts as
 * unknown. */
static uint32_t zones_of(const struct who_row *r, const char *zones[STORE_PLACE_ZONES_MAX])
{
    uint32_t n = 0;
    if (r->zone[0]) {
        zones[0] = r->zone;
        return 1;
    }
    if (r->region[0])
        n = address_region_zones(r->region, zones, STORE_PLACE_ZONES_MAX);
    if (!n && r->msisdn[0])
        n = address_zones(r->msisdn, zones, STORE_PLACE_ZONES_MAX);
    return n > STORE_PLACE_ZONES_MAX ? 0 : n;
}

static int place_of(struct upload *u, const struct who_row *r, int16_t *ret, struct diag *diag)
{
    const char *zones[STORE_PLACE_ZONES_MAX];
    const char *region = r->region[0] ? r->region : r->number_region;
    uint32_t n = zones_of(r, zones);
    /* Zone names of tables live as long as the process: their pointers name the set. A row's own
     * zone is named by its text. */
    char key[128 + sizeof zones];
    size_t len = strnlen(region, 40),
           zone_len = strnlen(r->zone, 80); /* what was let in is shorter */
    memcpy(key, region, len);
    key[len++] = '/';
    memcpy(key + len, r->zone, zone_len);
    len += zone_len;
    key[len++] = '/';
    if (!r->zone[0]) {
        memcpy(key + len, zones, n * sizeof *zones);
        len += n * sizeof *zones;
    }
    if (people_map_get(&u->places, key, len, ret))
        return 0;
    int rc = store_place_get(u->req->db, region, zones, n, ret, diag);
    if (rc == 0 && people_map_put(&u->places, key, len, *ret) < 0)
        rc = diag_set(diag, CGW_ELIMIT, "", "the upload names too many places");
    return rc;
}

/* CGW_ELIMIT names the field in diag.where: the row is refused, not the upload. */
static int dims_of(struct upload *u, const struct batch *b, const struct who_row *r,
                   int16_t out[STORE_DIMS_MAX], struct diag *diag)
{
    struct field_value values[CGW_FIELDS_MAX];
    if (u->audience.n_dims && params_unpack(r->params, r->params_len, values, CGW_FIELDS_MAX) < 0)
        return diag_set(diag, CGW_EINVAL, "", "packed fields are damaged");
    for (size_t d = 0; d < u->audience.n_dims; d++) {
        out[d] = 0;
        if (b->dim_field[d] < 0 || !values[b->dim_field[d]].len)
            continue;
        const struct field_value *v = &values[b->dim_field[d]];
        struct people_map *m = &u->dims[d];
        if (people_map_get(m, v->data, v->len, &out[d]))
            continue;
        if (m->n >= STORE_DIM_VALUES_MAX ||
            people_map_put(m, v->data, v->len, (int16_t)(m->n + 1)) < 0)
            return diag_set(diag, CGW_ELIMIT, u->audience.dims[d],
                            "the breakdown field has more than %d different values",
                            STORE_DIM_VALUES_MAX);
        out[d] = (int16_t)m->n;
    }
    return 0;
}

/* ---- rows
 * ----------------------------------------------------------------------------------------------------------------------
 */
void upload_reject(struct upload *u, const struct ingest_reject *reject)
{
    (void)pthread_mutex_lock(&u->rejects_lock);
    people_rejects_add(&u->rejects, reject);
    (void)pthread_mutex_unlock(&u->rejects_lock);
}

static void refuse(struct upload *u, uint64_t line, const char *column, const char *code,
                   const char *why)
{
    upload_reject(
        u, &(struct ingest_reject){.line = line, .column = column, .code = code, .text = why});
    u->refused++;
}

static int spool_one(struct upload *u, const struct batch *b, const struct who_row *r,
                     struct diag *diag)
{
    struct spool_row s = {.customer_id = r->customer_id,
                          .line = r->line,
                          .address = r->msisdn,
                          .email = r->email,
                          .lang = r->lang,
                          .params = r->params,
                          .params_len = r->params_len,
                          .n_dims = (uint32_t)u->audience.n_dims};
    int rc = dims_of(u, b, r, s.dims, diag);
    if (rc == CGW_ELIMIT) {
        refuse(u, r->line, diag->where, "dimension_values", diag->text);
        return 0;
    }
    if (rc == 0)
        rc = place_of(u, r, &s.place, diag);
    if (rc < 0)
        return rc;
    rc = spool_put(u->spool, &s, diag);
    u->spool_failed = rc < 0;
    return rc;
}

int upload_take_batch(void *ctx, void *block, struct diag *diag)
{
    struct upload *u = ctx;
    struct batch *b = block;
    u->who.rows = b->rows;
    u->who.n = b->n;
    u->who.texts = &b->texts;
    int rc = who_resolve(&u->who, diag);
    for (size_t i = 0; rc == 0 && i < b->n; i++) {
        const struct who_row *r = &b->rows[i];
        if (r->refused)
            refuse(u, r->line, r->column, r->refused, r->why);
        else
            rc = spool_one(u, b, r, diag);
    }
    b->n = 0;
    arena_done(&b->texts);
    return rc;
}
