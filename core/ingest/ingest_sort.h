/* SPDX-License-Identifier: Apache-2.0 */
/* ingest_sort.h - private to core/ingest: stable sorting of one part of an upload by an unsigned
 * number, byte by byte. A few steps a row whatever the rows are, where comparing takes log n; ids
 * are hashes, so a comparison is a wrong guess every second time. */
#ifndef INGEST_INGEST_SORT_H
#define INGEST_INGEST_SORT_H

#include <stddef.h>
#include <stdint.h>

struct sort_row { /* numbers only, so that any of them can be the key */
    uint64_t customer_id, line, off, place;
};
/* v and spare hold n rows each; the sorted rows are in the one that is returned. key_at: offsetof()
 * of the key in the row. */
struct sort_row *sort_rows(struct sort_row *v, struct sort_row *spare, size_t n, size_t key_at);
uint64_t *sort_ids(uint64_t *v, uint64_t *spare, size_t n);

#endif
