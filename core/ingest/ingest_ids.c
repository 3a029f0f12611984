/* SPDX-License-Identifier: Apache-2.0 */
/* ingest_ids.c - see ingest_ids.h. */
#include "ingest/ingest_ids.h"

#include "address/address.h"
#include "base/file.h"
#include "ingest/ingest_scratch.h"
#include "ingest/ingest_sort.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUFFER_IDS 2048u /* of one part: those of all parts together stay in the cache */

struct ids_part {
    int fd;
    uint64_t n; /* in the file and in the buffer */
    size_t buffered;
    uint64_t *buffer; /* owned, made at the first id */
};

struct ids {
    char *dir; /* owned */
    uint64_t max_ids, n;
    struct ids_part part[CUSTOMER_PARTS];
    uint64_t *memory;       /* owned: the loaded part and as much to sort it */
    const uint64_t *loaded; /* into memory */
    size_t n_loaded, next;
};

struct ids *ids_new(const char *dir, uint64_t max_bytes, struct diag *diag)
{
    if (scratch_check(dir, diag) < 0)
        return NULL;
    struct ids *s = calloc(1, sizeof *s);
    char *copy = strdup(dir);
    if (!s || !copy) {
        free(s);
        free(copy);
        (void)diag_set(diag, -ENOMEM, "", "No memory for scratch files.");
        return NULL;
    }
    s->dir = copy;
    s->max_ids = max_bytes / sizeof *s->memory;
    for (uint32_t i = 0; i < CUSTOMER_PARTS; i++)
        s->part[i].fd = -1;
    return s;
}

static void unload(struct ids *s)
{
    free(s->memory);
    s->memory = NULL;
    s->loaded = NULL;
    s->n_loaded = s->next = 0;
}

void ids_free(struct ids *s)
{
    if (!s)
        return;
    unload(s);
    for (uint32_t i = 0; i < CUSTOMER_PARTS; i++) {
        if (s->part[i].fd >= 0)
            (void)close(s->part[i].fd);
        free(s->part[i].buffer);
    }
    free(s->dir);
    free(s);
}

static int flush(struct ids *s, struct ids_part *p, struct diag *diag)
{
    if (!p->buffered)
        return 0;
    if (p->fd < 0)
        p->fd = scratch_open(s->dir, diag);
    if (p->fd < 0)
        return p->fd;
    int rc = file_write(p->fd, p->buffer, p->buffered * sizeof *p->buffer);
    if (rc < 0)
        return scratch_fault(-rc, "written", diag);
    p->buffered = 0;
    return 0;
}

int ids_put(struct ids *s, int64_t customer_id, struct diag *diag)
{
    struct ids_part *p = &s->part[customer_part(customer_id)];
    if (customer_id < 0)
        return diag_set(diag, CGW_EINVAL, "", "A customer's id is not negative.");
    if (s->n == s->max_ids)
        return diag_set(diag, CGW_ELIMIT, "",
                        "The upload needs more than %llu bytes of scratch space; split it.",
                        (unsigned long long)(s->max_ids * sizeof *s->memory));
    if (!p->buffer && !(p->buffer = malloc(BUFFER_IDS * sizeof *p->buffer)))
        return diag_set(diag, -ENOMEM, "", "No memory for scratch files.");
    int rc = p->buffered == BUFFER_IDS ? flush(s, p, diag) : 0;
    if (rc < 0)
        return rc;
    p->buffer[p->buffered++] = (uint64_t)customer_id;
    p->n++;
    s->n++;
    return 0;
}

uint64_t ids_count(const struct ids *s)
{
    return s->n;
}

static int read_part(const struct ids_part *p, void *to, struct diag *diag)
{
    size_t size = (size_t)p->n * sizeof *p->buffer;
    for (size_t at = 0; at < size;) {
        ssize_t n = pread(p->fd, (char *)to + at, size - at, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return scratch_fault(n < 0 ? errno : EIO, "read", diag);
        at += (size_t)n;
    }
    return 0;
}

/* Of the sorted ids each once, in place. */
static size_t unique(uint64_t *v, size_t n)
{
    size_t keep = n > 0;
    for (size_t i = 1; i < n; i++)
        if (v[i] != v[keep - 1])
            v[keep++] = v[i];
    return keep;
}

int ids_load(struct ids *s, uint32_t part, struct diag *diag)
{
    unload(s);
    if (part >= CUSTOMER_PARTS)
        return diag_set(diag, CGW_EINVAL, "", "There are only %u parts.", CUSTOMER_PARTS);
    struct ids_part *p = &s->part[part];
    if (!p->n)
        return 0;
    s->memory = malloc(2 * (size_t)p->n * sizeof *s->memory);
    if (!s->memory)
        return diag_set(diag, -ENOMEM, "", "No memory to sort %llu rows.",
                        (unsigned long long)p->n);
    int rc = flush(s, p, diag);
    if (rc == 0)
        rc = read_part(p, s->memory, diag);
    if (rc < 0)
        return rc;
    uint64_t *sorted = sort_ids(s->memory, s->memory + p->n, (size_t)p->n);
    s->n_loaded = unique(sorted, (size_t)p->n);
    s->loaded = sorted;
    return 0;
}

bool ids_next(struct ids *s, int64_t *ret)
{
    if (s->next == s->n_loaded)
        return false;
    *ret = (int64_t)s->loaded[s->next++];
    return true;
}
