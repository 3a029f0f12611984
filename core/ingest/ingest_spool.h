/* SPDX-License-Identifier: Apache-2.0 */
/* ingest_spool.h - scratch between parsing and COPY: one unlinked file per part, so that an upload
 * of any size is sorted and deduplicated one sixty-fourth at a time. Scratch, not state: it ends
 * with the object or the process. One thread at a time. Use: spool_new, spool_put ..., then for
 * each part spool_load + spool_next until false, spool_free. */
#ifndef INGEST_SPOOL_H
#define INGEST_SPOOL_H

#include "address/address.h"
#include "base/cleanup.h"
#include "base/diag.h"
#include "ingest/ingest.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SPOOL_DIMS_MAX 8u /* declared breakdown fields */
#define SPOOL_DUPLICATES_TOLD                                                                      \
    1000u /* duplicates reported one by one; later ones are only counted */
#define SPOOL_LANG_MAX INGEST_LANG_MAX

struct spool_row {
    int64_t customer_id; /* decides the part */
    int16_t place;
    uint64_t line;       /* of the upload */
    const char *address; /* number in normal form, NUL-terminated, "" = none */
    const char *email;   /* likewise; at least one of them */
    const char *lang;    /* NUL-terminated, "" = none */
    const char *params;  /* packed, params_len bytes, followed by a NUL when it comes out */
    size_t params_len;
    uint32_t n_dims;
    int16_t dims[SPOOL_DIMS_MAX];
};

struct spool_counts {
    uint64_t put;        /* rows given */
    uint64_t kept;       /* rows left after deduplication, of the parts loaded so far */
    uint64_t duplicates; /* rows dropped, of the parts loaded so far */
    uint64_t bytes;      /* scratch used */
};

struct spool; /* opaque */

/* Files are made 0600 in dir and unlinked at once. max_bytes bounds all of them together. NULL with
 * diag on failure. */
struct spool *spool_new(const char *dir, uint64_t max_bytes, struct diag *diag) CGW_NODISCARD;
void spool_free(struct spool *s);

/* Add a row; everything is copied. \return 0, CGW_EINVAL for a row that does not fit its limits,
 * CGW_ELIMIT when max_bytes or the disk is used up, -errno for another fault of the file. After a
 * failure the spool is only good for spool_free(). */
int spool_put(struct spool *s, const struct spool_row *row, struct diag *diag) CGW_NODISCARD;

/* Load one part: rows in (place, customer_id) order, each customer once, the one of the first line.
 * A dropped row is told through `duplicate` (may be NULL) with code "duplicate" and the line that
 * was kept. Frees what the part loaded before occupied. */
int spool_load(struct spool *s, uint32_t part, ingest_reject_fn duplicate, void *ctx,
               struct diag *diag) CGW_NODISCARD;
uint64_t spool_loaded(const struct spool *s); /* rows of the loaded part */
bool spool_next(
    struct spool *s,
    struct spool_row *ret); /* pointers are good until the next spool_load or spool_free */
void spool_counts(const struct spool *s, struct spool_counts *ret);

#endif
