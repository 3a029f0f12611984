/* SPDX-License-Identifier: Apache-2.0 */
/* media.h - media for many messages: each is read from the database once and kept in bounded
 * memory, so that one picture goes to a million people without a million reads. Media are
 * immutable: what is kept is never wrong. A connection of its own; any thread. Rows:
 * store/store_media.h. */
#ifndef MEDIA_MEDIA_H
#define MEDIA_MEDIA_H

#include "base/cleanup.h"
#include "base/diag.h"
#include <stddef.h>
#include <stdint.h>

#define MEDIA_CACHE_ENTRIES 1024u /* media kept at once, beside the bytes */
#define MEDIA_RETRY_MS 500        /* after a failure of the database, nobody asks it for so long */

struct media_cache;
/* max_bytes: kept in memory together; a larger media is kept alone. Opens nothing yet. */
struct media_cache *media_cache_new(const char *conninfo, size_t max_bytes) CGW_NODISCARD;
void media_cache_free(struct media_cache *c); /* NULL-safe; nobody may be reading */

/* Bytes; CGW_ENOTFOUND no such media; CGW_EDB the database does not answer. The first caller of a
 * media waits for the database, the others for him. */
int64_t media_cache_size(struct media_cache *c, uint64_t handle);
/* At most n bytes from the offset into out. \return how many, 0 at the end, CGW_EINVAL beyond it,
 * else as above. */
int64_t media_cache_read(struct media_cache *c, uint64_t handle, int64_t offset, void *out,
                         size_t n);
/* For tests and metrics: reads of the database so far, bytes kept now. */
uint64_t media_cache_loads(struct media_cache *c);
size_t media_cache_bytes(struct media_cache *c);

#endif
