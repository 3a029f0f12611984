/* SPDX-License-Identifier: Apache-2.0 */
/* store.h - what every file of store/ shares. store/ is the only folder with SQL text: one
 * store_<noun>.[ch] per noun. Every function takes the caller's connection (one thread), runs
 * inside the caller's transaction when there is one, does not log, fills diag and returns 0, CGW_E*
 * or -ENOTCONN. Functions that list or change take a scope: whose rows may be seen. Read functions
 * for the API return finished JSON documents built in SQL (json_build_object …): one place knows
 * the member names. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/buf.h"
#include "base/diag.h"
#include "db/db.h"
#include <stdint.h>

#define STORE_PARTS 64
#define STORE_SCHEMA_VERSION 1 /* highest number of sql/NNN_*.sql this program knows */
#define STORE_CHUNK_ROWS 5000
#define STORE_REJECTS_MAX 10000

struct store_scope {
    int32_t partner_id; /* 0 = owner: sees everything */
};
/* WHERE fragment convention: `($n = 0 OR partner_id = $n)` with dbp_int4(p, scope.partner_id). */

/* Who does it, for the audit row of a change. */
struct store_actor {
    int32_t partner_id;
    const char *name;       /* "key_…" public id, "local:root" … borrowed */
    const char *request_id; /* borrowed */
};

/* Audit row in the change's own transaction; before/after are JSON texts or NULL. Never pass
 * secrets or texts of people. */
int store_audit(struct db *db, const struct store_actor *who, const char *action,
                const char *object, const char *before, const char *after,
                struct diag *diag) CGW_NODISCARD;
/* +1 on rules_clock: call in every transaction that changes caps, calendars, class rules. */
int store_rules_touch(struct db *db, struct diag *diag) CGW_NODISCARD;
/* LAST statement before commit in every transaction that forbids something for customers of these
 * parts (bit p = part p). */
int store_facts_touch(struct db *db, uint64_t parts_mask, struct diag *diag) CGW_NODISCARD;
/* Database time, UTC ms. */
int store_now(struct db *db, int64_t *ret_utc_ms, struct diag *diag) CGW_NODISCARD;

/* One JSON document of a single-row, single-column query into buf; CGW_ENOTFOUND when there is no
 * row. */
int store_json_one(struct db *db, const char *sql, struct db_params *p, struct buf *ret,
                   struct diag *diag) CGW_NODISCARD;
/* The same of a statement that gives document and version (ret_version: NULL = not wanted); what:
 * the noun of "no NOUN ID". */
int store_json_versioned(struct db *db, const char *sql, struct db_params *p, const char *what,
                         const char *public_id, int64_t *ret_version, struct buf *ret,
                         struct diag *diag) CGW_NODISCARD;
/* Rows (document, cursor text) into `"data":[…]` style: appends documents joined by commas, at most
 * limit of them; ret_more and the last cursor. Query limit+1 rows. */
int store_json_list(struct db *db, const char *sql, struct db_params *p, int limit, struct buf *ret,
                    bool *ret_more, char *ret_cursor, size_t cursor_size,
                    struct diag *diag) CGW_NODISCARD;
/* New public id: prefix + "_" + UUIDv7 in Crockford base32, lower case (26 characters). out at
 * least 40 bytes. */
void store_new_id(const char *prefix, char *out, size_t out_size);

#endif
