/* SPDX-License-Identifier: Apache-2.0 */
/* store_place.c - the dictionary of places. See store_place.h. */
#include "store/store_place.h"

#include <string.h>

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int run(struct db *db, const char *sql, const char *region, const char *const *zones,
               size_t n, bool *ret_found, int16_t *ret, struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, region);
    dbp_text_array(&p, zones, n);
    int rc = db_query(db, sql, &p, &r, diag);
    if (rc < 0)
        return rc;
    *ret_found = dbr_rows(r) > 0;
    if (*ret_found)
        *ret = (int16_t)dbr_int(r, 0, 0);
    return 0;
}

int store_place_get(struct db *db, const char *region, const char *const *zones, size_t n,
                    int16_t *ret, struct diag *diag)
{
    static const char find[] = "SELECT place FROM place WHERE region = $1 AND zones = $2::text[]";
    static const char add[] = "INSERT INTO place (region, zones) VALUES ($1, $2::text[]) ON "
                              "CONFLICT DO NOTHING RETURNING place";
    if (n > STORE_PLACE_ZONES_MAX)
        return diag_set(diag, CGW_ELIMIT, "", "a place has at most %u candidate zones",
                        STORE_PLACE_ZONES_MAX);
    const char *sorted[STORE_PLACE_ZONES_MAX] = {NULL}; /* no zone at all is a place, too */
    for (size_t i = 0; i < n; i++)
        sorted[i] = zones[i];
    qsort(sorted, n, sizeof *sorted, by_name); /* one set of zones = one place */
    bool found = false;
    /* look first: a conflicting INSERT would still use up a number of the int2 sequence */
    int rc = run(db, find, region, sorted, n, &found, ret, diag);
    if (rc == 0 && !found)
        rc = run(db, add, region, sorted, n, &found, ret, diag);
    if (rc == 0 && !found) /* another connection was quicker */
        rc = run(db, find, region, sorted, n, &found, ret, diag);
    if (rc == CGW_EDB && !strcmp(db_sqlstate(db), "2200H"))
        return diag_set(diag, CGW_ELIMIT, "", "the dictionary of places is full");
    if (rc == 0 && !found)
        return diag_set(diag, CGW_EDB, "", "place vanished while it was added");
    return rc;
}
