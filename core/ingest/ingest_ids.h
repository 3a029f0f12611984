/* SPDX-License-Identifier: Apache-2.0 */
/* ingest_ids.h - scratch for uploads of which nothing but the customers' ids is kept: one unlinked
 * file per part, read back sorted, each id once. An eighth of what ingest_spool.h writes. One
 * thread at a time. Use: ids_new, ids_put ..., then for each part ids_load + ids_next until false,
 * ids_free.
 */
#ifndef INGEST_INGEST_IDS_H
#define INGEST_INGEST_IDS_H

#include "base/cleanup.h"
#include "base/diag.h"
#include <stdbool.h>
#include <stdint.h>

struct ids; /* opaque */

/* max_bytes bounds all files together. NULL with diag on failure. */
struct ids *ids_new(const char *dir, uint64_t max_bytes, struct diag *diag) CGW_NODISCARD;
void ids_free(struct ids *s); /* NULL-safe */
/* \return 0, CGW_ELIMIT when max_bytes or the disk is used up, -errno for another fault of the
 * file. After a failure the object is only good for ids_free(). */
int ids_put(struct ids *s, int64_t customer_id, struct diag *diag) CGW_NODISCARD;
uint64_t ids_count(const struct ids *s); /* ids given, repeated ones as well */
/* One part, ascending, each id once; frees what the part loaded before occupied. */
int ids_load(struct ids *s, uint32_t part, struct diag *diag) CGW_NODISCARD;
bool ids_next(struct ids *s, int64_t *ret);

#endif
