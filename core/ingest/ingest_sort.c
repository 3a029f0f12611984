/* SPDX-License-Identifier: Apache-2.0 */
/* ingest_sort.c - see ingest_sort.h. Least significant byte first (Knuth, TAOCP 3, 5.2.5). */
#include "ingest/ingest_sort.h"

#include <stdbool.h>
#include <string.h>

#define DIGITS 8u
#define VALUES 256u

static inline uint8_t digit_of(const char *row, size_t key_at, unsigned digit)
{
    uint64_t key;
    memcpy(&key, row + key_at, sizeof key);
    return (uint8_t)(key >> (8u * digit));
}

/* Counts become places. False: all rows have one value here, nothing moves. */
static bool places(size_t at[VALUES], size_t n)
{
    size_t sum = 0;
    for (unsigned v = 0; v < VALUES; v++) {
        size_t here = at[v];
        if (here == n)
            return false;
        at[v] = sum;
        sum += here;
    }
    return true;
}

/* Always inlined: with the size known a row moves in registers. */
static inline __attribute__((always_inline)) char *sort(char *from, char *to, size_t n, size_t size,
                                                        size_t key_at)
{
    size_t at[DIGITS][VALUES] = {{0}};
    for (size_t i = 0; i < n; i++)
        for (unsigned d = 0; d < DIGITS; d++)
            at[d][digit_of(from + i * size, key_at, d)]++;
    for (unsigned d = 0; n && d < DIGITS; d++) {
        if (!places(at[d], n))
            continue;
        for (size_t i = 0; i < n; i++) {
            const char *row = from + i * size;
            memcpy(to + at[d][digit_of(row, key_at, d)]++ * size, row, size);
        }
        char *sorted = to;
        to = from;
        from = sorted;
    }
    return from;
}

struct sort_row *sort_rows(struct sort_row *v, struct sort_row *spare, size_t n, size_t key_at)
{
    return (void *)sort((char *)v, (char *)spare, n, sizeof *v, key_at);
}

uint64_t *sort_ids(uint64_t *v, uint64_t *spare, size_t n)
{
    return (void *)sort((char *)v, (char *)spare, n, sizeof *v, 0);
}
