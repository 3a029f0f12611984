/* SPDX-License-Identifier: Apache-2.0 */
/* store_media.c - see store_media.h. */
#include "store/store_media.h"
#include "store/store_json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* clang-format off */
#define DOCUMENT \
    "json_build_object('id', m.public_id, 'partner_id', m.partner_id, 'type', m.mime, 'bytes'," \
    " m.bytes, 'sha256', encode(m.sha256, 'hex'), 'name', nullif(m.name, ''), 'in_use', " IN_USE \
    ", 'created_by', m.created_by, 'created_at', " SQL_TIME("m.created_at") ")::text"
#define IN_USE \
    "(EXISTS (SELECT FROM wave_media x JOIN wave USING (wave_id) JOIN campaign c USING" \
    " (campaign_id) WHERE x.media_id = m.media_id AND c.state NOT IN ('completed', 'cancelled'))" \
    " OR EXISTS (SELECT FROM response_media x WHERE x.media_id = m.media_id))"
/* clang-format on */
#define MINE(n) "($" n " = 0 OR m.partner_id = $" n ")"

static int not_found(struct diag *diag, const char *public_id)
{
    return diag_set(diag, CGW_ENOTFOUND, "", "no media %.39s", public_id);
}

/* ---- write ----------------------------------------------------------------------------------- */
static int put_chunk(struct db *db, int64_t media_id, int32_t no, const char *data, size_t len,
                     struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int8(&p, media_id);
    dbp_int4(&p, no);
    dbp_bytea(&p, data, len);
    return db_exec(db, "INSERT INTO media_chunk (media_id, chunk_no, data) VALUES ($1, $2, $3)", &p,
                   NULL, diag);
}

static int put_chunks(struct db *db, int64_t media_id, int64_t bytes, store_media_read read,
                      void *ctx, struct diag *diag)
{
    char *piece = malloc(STORE_MEDIA_CHUNK);
    int rc = piece ? 0 : diag_set(diag, -ENOMEM, "", "out of memory");
    for (int64_t at = 0; rc == 0 && at < bytes; at += STORE_MEDIA_CHUNK) {
        int64_t left = bytes - at;
        size_t n = left < (int64_t)STORE_MEDIA_CHUNK ? (size_t)left : STORE_MEDIA_CHUNK;
        rc = read(ctx, at, piece, n) == (int64_t)n
                 ? put_chunk(db, media_id, (int32_t)(at / STORE_MEDIA_CHUNK), piece, n, diag)
                 : diag_set(diag, -EIO, "", "the media cannot be read back");
    }
    free(piece);
    return rc;
}

static int find_bytes(struct db *db, const struct store_media_new *m, int64_t *ret_media_id,
                      char ret_public_id[40], struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, m->partner_id);
    dbp_bytea(&p, m->sha256, 32);
    /* locked: it must not be deleted before the caller refers to it */
    int rc = db_query(db,
                      "SELECT media_id, public_id FROM media WHERE partner_id = $1 AND sha256 = $2 "
                      "FOR KEY SHARE",
                      &p, &r, diag);
    if (rc < 0 || !dbr_rows(r))
        return rc < 0 ? rc : CGW_ENOTFOUND;
    *ret_media_id = dbr_int(r, 0, 0);
    (void)snprintf(ret_public_id, 40, "%s", dbr_text(r, 0, 1));
    return 0;
}

int store_media_put(struct db *db, const struct store_media_new *m, store_media_read read,
                    void *ctx, int64_t *ret_media_id, char ret_public_id[40], bool *ret_new,
                    struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    struct db_params p;
    *ret_new = false;
    int rc = find_bytes(db, m, ret_media_id, ret_public_id, diag);
    if (rc != CGW_ENOTFOUND)
        return rc;
    store_new_id("med", ret_public_id, 40);
    dbp_init(&p);
    dbp_text(&p, ret_public_id);
    dbp_int4(&p, m->partner_id);
    dbp_bytea(&p, m->sha256, 32);
    dbp_text(&p, m->mime);
    dbp_text(&p, m->name);
    dbp_int8(&p, m->bytes);
    dbp_text(&p, m->by);
    /* two at the same time: the second waits here for the first, and finds its row then */
    rc = db_query(db,
                  "INSERT INTO media (public_id, partner_id, sha256, mime, name, bytes, "
                  "created_by) VALUES ($1, $2, $3, $4, $5, $6, $7)"
                  " ON CONFLICT (partner_id, sha256) DO NOTHING RETURNING media_id",
                  &p, &r, diag);
    if (rc < 0)
        return rc;
    if (!dbr_rows(r)) {
        rc = find_bytes(db, m, ret_media_id, ret_public_id, diag);
        return rc == CGW_ENOTFOUND ? diag_set(diag, CGW_EBUSY, "", "deleted meanwhile; try again")
                                   : rc;
    }
    *ret_media_id = dbr_int(r, 0, 0);
    *ret_new = true;
    return put_chunks(db, *ret_media_id, m->bytes, read, ctx, diag);
}

int store_media_delete(struct db *db, const struct store_actor *who, struct store_scope scope,
                       const char *public_id, struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, public_id);
    dbp_int4(&p, scope.partner_id);
    int rc = db_query(
        db, "SELECT m.media_id FROM media m WHERE m.public_id = $1 AND " MINE("2") " FOR UPDATE",
        &p, &r, diag);
    if (rc < 0 || !dbr_rows(r))
        return rc < 0 ? rc : not_found(diag, public_id);
    /* a statement of its own: a campaign that was written while we waited for the lock is seen */
    auto_dbr struct db_result *use = NULL;
    dbp_init(&p);
    dbp_int8(&p, dbr_int(r, 0, 0));
    rc = db_query(db, "SELECT " IN_USE ", " DOCUMENT " FROM media m WHERE m.media_id = $1", &p,
                  &use, diag);
    if (rc < 0)
        return rc;
    if (dbr_bool(use, 0, 0))
        return diag_set(diag, CGW_EBUSY, "",
                        "a campaign that is not over, or an answer of a person, refers to media "
                        "%.39s",
                        public_id);
    dbp_init(&p);
    dbp_int8(&p, dbr_int(r, 0, 0));
    rc = db_exec(db, "DELETE FROM media WHERE media_id = $1", &p, NULL, diag);
    return rc < 0
               ? rc
               : store_audit(db, who, "media.delete", public_id, dbr_text(use, 0, 1), NULL, diag);
}

/* ---- read ------------------------------------------------------------------------------------ */
int store_media_load(struct db *db, int64_t media_id, struct buf *ret, struct diag *diag)
{
    for (int32_t no = 0;; no++) {
        auto_dbr struct db_result *r = NULL;
        struct db_params p;
        dbp_init(&p);
        dbp_int8(&p, media_id);
        dbp_int4(&p, no);
        int rc = db_query(db, "SELECT data FROM media_chunk WHERE media_id = $1 AND chunk_no = $2",
                          &p, &r, diag);
        if (rc < 0)
            return rc;
        if (!dbr_rows(r))
            return no ? 0 : diag_set(diag, CGW_ENOTFOUND, "", "no such media");
        buf_put(ret, dbr_bytes(r, 0, 0), (size_t)dbr_len(r, 0, 0));
        if (ret->failed)
            return diag_set(diag, CGW_ELIMIT, "", "a media exceeds %zu bytes", ret->max);
        if (dbr_len(r, 0, 0) < (int)STORE_MEDIA_CHUNK)
            return 0;
    }
}

int store_media_json(struct db *db, struct store_scope scope, const char *public_id,
                     struct buf *ret, struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, public_id);
    dbp_int4(&p, scope.partner_id);
    int rc =
        store_json_one(db, "SELECT " DOCUMENT " FROM media m WHERE m.public_id = $1 AND " MINE("2"),
                       &p, ret, diag);
    return rc == CGW_ENOTFOUND ? not_found(diag, public_id) : rc;
}

int store_media_list(struct db *db, struct store_scope scope, const char *cursor, int limit,
                     struct buf *ret, bool *ret_more, char *ret_cursor, size_t cursor_size,
                     struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, scope.partner_id);
    dbp_int8(&p, cursor[0] ? strtoll(cursor, NULL, 10) : INT64_MAX);
    dbp_int4(&p, limit + 1);
    return store_json_list(db,
                           "SELECT " DOCUMENT ", m.media_id::text FROM media m WHERE " MINE(
                               "1") " AND m.media_id < $2 ORDER BY m.media_id DESC LIMIT $3::int4",
                           &p, limit, ret, ret_more, ret_cursor, cursor_size, diag);
}

static int find(struct db *db, const char *sql, int32_t partner_id, const char *public_id,
                struct store_media_ref *ret, struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    struct db_params p;
    dbp_init(&p);
    dbp_text(&p, public_id);
    dbp_int4(&p, partner_id);
    int rc = db_query(db, sql, &p, &r, diag);
    if (rc < 0 || !dbr_rows(r))
        return rc < 0 ? rc : not_found(diag, public_id);
    *ret = (struct store_media_ref){.media_id = dbr_int(r, 0, 0), .bytes = dbr_int(r, 0, 1)};
    (void)snprintf(ret->public_id, sizeof ret->public_id, "%s", dbr_text(r, 0, 2));
    (void)snprintf(ret->mime, sizeof ret->mime, "%s", dbr_text(r, 0, 3));
    return 0;
}

#define REF                                                                                        \
    "SELECT m.media_id, m.bytes, m.public_id, m.mime FROM media m WHERE m.public_id = $1 AND "

int store_media_get(struct db *db, struct store_scope scope, const char *public_id,
                    struct store_media_ref *ret, struct diag *diag)
{
    return find(db, REF MINE("2"), scope.partner_id, public_id, ret, diag);
}

int store_media_find(struct db *db, int32_t partner_id, const char *public_id,
                     struct store_media_ref *ret, struct diag *diag)
{
    return find(db, REF "m.partner_id = $2 FOR KEY SHARE", partner_id, public_id, ret, diag);
}
