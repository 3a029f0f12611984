/* SPDX-License-Identifier: Apache-2.0 */
/* store_media.h - tables media, media_chunk: bytes that many messages share, named by their SHA-256
 * and owned by a partner. Rows are immutable; whoever uploads the same bytes again gets the same
 * row. What a media is (its type) the caller has found out. */
#ifndef STORE_STORE_MEDIA_H
#define STORE_STORE_MEDIA_H

#include "store/store.h"

#define STORE_MEDIA_CHUNK (1u << 20)
#define STORE_MEDIA_MAX (64u << 20) /* bytes of one media; media.max_mb is at most this */
#define STORE_MEDIA_PER_WAVE 32u    /* different media that one content names */

struct store_media_new {
    int32_t partner_id;
    const unsigned char *sha256; /* 32 bytes */
    const char *mime, *name, *by;
    int64_t bytes;
};
/* Bytes from an offset, for writing: \return how many, or -errno. */
typedef int64_t (*store_media_read)(void *ctx, int64_t offset, void *out, size_t n);
/* In the caller's transaction. *ret_new = false: these bytes were there already. */
int store_media_put(struct db *db, const struct store_media_new *m, store_media_read read,
                    void *ctx, int64_t *ret_media_id, char ret_public_id[40], bool *ret_new,
                    struct diag *diag) CGW_NODISCARD;
/* All bytes, appended. CGW_ENOTFOUND. */
int store_media_load(struct db *db, int64_t media_id, struct buf *ret,
                     struct diag *diag) CGW_NODISCARD;

/* ---- documents ---- */
int store_media_json(struct db *db, struct store_scope scope, const char *public_id,
                     struct buf *ret, struct diag *diag) CGW_NODISCARD;
int store_media_list(struct db *db, struct store_scope scope, const char *cursor, int limit,
                     struct buf *ret, bool *ret_more, char *ret_cursor, size_t cursor_size,
                     struct diag *diag) CGW_NODISCARD;
/* Locks the row. CGW_EBUSY: a campaign that is not over, or an answer, refers to it. */
int store_media_delete(struct db *db, const struct store_actor *who, struct store_scope scope,
                       const char *public_id, struct diag *diag) CGW_NODISCARD;

/* ---- what a content names ---- */
struct store_media_ref {
    int64_t media_id, bytes;
    char public_id[40], mime[64];
};
/* By public id, in the caller's scope; CGW_ENOTFOUND. */
int store_media_get(struct db *db, struct store_scope scope, const char *public_id,
                    struct store_media_ref *ret, struct diag *diag) CGW_NODISCARD;
/* By public id, of this partner (0: of the owner); CGW_ENOTFOUND. The row stays until the caller's
 * transaction is over. */
int store_media_find(struct db *db, int32_t partner_id, const char *public_id,
                     struct store_media_ref *ret, struct diag *diag) CGW_NODISCARD;

#endif
