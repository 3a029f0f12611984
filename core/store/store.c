/* SPDX-License-Identifier: Apache-2.0 */
/* store.c - shared helpers of store/. See store.h. */
#include "store/store.h"

#include "base/clock.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

int store_audit(struct db *db, const struct store_actor *who, const char *action,
                const char *object, const char *before, const char *after, struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, who->partner_id);
    dbp_text(&p, who->name);
    dbp_text(&p, who->request_id);
    dbp_text(&p, action);
    dbp_text(&p, object);
    dbp_text(&p, before);
    dbp_text(&p, after);
    return db_exec(db,
                   "INSERT INTO audit (partner_id, actor, request_id, action, object, before, "
                   "after) VALUES ($1, $2, $3, $4, $5, $6::jsonb, $7::jsonb)",
                   &p, NULL, diag);
}

int store_rules_touch(struct db *db, struct diag *diag)
{
    return db_exec(db, "UPDATE rules_clock SET version = version + 1", NULL, NULL, diag);
}

int store_facts_touch(struct db *db, uint64_t parts_mask, struct diag *diag)
{
    int32_t parts[STORE_PARTS];
    size_t n = 0;
    for (int32_t i = 0; i < STORE_PARTS; i++)
        if (parts_mask >> i & 1)
            parts[n++] = i;
    if (!n)
        return 0;
    struct db_params p;
    dbp_init(&p);
    dbp_int4_array(&p, parts, n);
    /* rows are locked in part order so that two writers never wait for each other in a circle */
    return db_exec(db,
                   "UPDATE fact_clock f SET ver = f.ver + 1 FROM (SELECT part FROM fact_clock "
                   "WHERE part = ANY($1) ORDER BY part FOR UPDATE) l WHERE f.part = l.part",
                   &p, NULL, diag);
}

int store_now(struct db *db, int64_t *ret_utc_ms, struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    int rc = db_query(db, "SELECT clock_timestamp()", NULL, &r, diag);
    if (rc == 0)
        *ret_utc_ms = dbr_ts(r, 0, 0);
    return rc;
}

static int put_doc(const struct db_result *r, struct buf *ret, struct diag *diag)
{
    buf_put(ret, dbr_text(r, 0, 0), (size_t)dbr_len(r, 0, 0));
    return ret->failed ? diag_set(diag, CGW_ELIMIT, "", "answer exceeds %zu bytes", ret->max) : 0;
}

int store_json_one(struct db *db, const char *sql, struct db_params *p, struct buf *ret,
                   struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    int rc = db_query(db, sql, p, &r, diag);
    if (rc < 0)
        return rc;
    if (dbr_rows(r) == 0)
        return diag_set(diag, CGW_ENOTFOUND, "", "not found");
    return put_doc(r, ret, diag);
}

int store_json_versioned(struct db *db, const char *sql, struct db_params *p, const char *what,
                         const char *public_id, int64_t *ret_version, struct buf *ret,
                         struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    int rc = db_query(db, sql, p, &r, diag);
    if (rc < 0)
        return rc;
    if (dbr_rows(r) == 0)
        return diag_set(diag, CGW_ENOTFOUND, "", "no %s %s", what, public_id);
    if (ret_version)
        *ret_version = dbr_int(r, 0, 1);
    return put_doc(r, ret, diag);
}

int store_json_list(struct db *db, const char *sql, struct db_params *p, int limit, struct buf *ret,
                    bool *ret_more, char *ret_cursor, size_t cursor_size, struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    int rc = db_query(db, sql, p, &r, diag);
    if (rc < 0)
        return rc;
    int rows = dbr_rows(r), n = rows < limit ? rows : limit;
    for (int i = 0; i < n; i++) {
        if (i)
            buf_putc(ret, ',');
        buf_put(ret, dbr_text(r, i, 0), (size_t)dbr_len(r, i, 0));
    }
    *ret_more = rows > limit;
    ret_cursor[0] = 0;
    if (n)
        (void)snprintf(ret_cursor, cursor_size, "%.*s", dbr_len(r, n - 1, 1),
                       dbr_text(r, n - 1, 1));
    return ret->failed ? diag_set(diag, CGW_ELIMIT, "",
                                  "answer exceeds %zu bytes; ask with a smaller limit", ret->max)
                       : 0;
}

/* UUIDv7 (RFC 9562 5.7): 48 bits of Unix milliseconds, version, random; 128 bits as 26 base32
 * digits. */
void store_new_id(const char *prefix, char *out, size_t out_size)
{
    static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";
    unsigned char id[16];
    randombytes_buf(id, sizeof id);
    uint64_t ms = (uint64_t)clock_utc_ms();
    for (int i = 0; i < 6; i++)
        id[i] = (unsigned char)(ms >> (40 - 8 * i));
    id[6] = (unsigned char)(0x70 | (id[6] & 0x0f));
    id[8] = (unsigned char)(0x80 | (id[8] & 0x3f));
    char text[27];
    for (int d = 0; d < 26; d++) { /* 130 bits: two leading zero bits, then 5 bits a digit */
        unsigned v = 0;
        for (int b = 0; b < 5; b++) {
            int bit = d * 5 + b - 2;
            v = v << 1 | (bit < 0 ? 0u : (unsigned)(id[bit / 8] >> (7 - bit % 8)) & 1u);
        }
        text[d] = digits[v];
    }
    text[26] = 0;
    (void)snprintf(out, out_size, "%s_%s", prefix, text);
}
