/* SPDX-License-Identifier: Apache-2.0 */
/* ingest_spool.c - see ingest_spool.h. Records are written through one buffer per part and read
 * back through a private mapping, so that memory holds an index of one part and nothing else. */
#include "ingest/ingest_spool.h"

#include "base/file.h"
#include "ingest/ingest_scratch.h"
#include "ingest/ingest_sort.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BUFFER_BYTES 65536u
#define AHEAD 8u
#define RECORD_MAX                                                                                 \
    (sizeof(struct record) + 2u * ADDRESS_TEXT_MAX + SPOOL_LANG_MAX + 1u + PARAMS_MAX)

/* On disk: this head, then address, e-mail, lang and params, each with a NUL; records start
 * anywhere, so heads are copied, not cast. */
struct record {
    int64_t customer_id;
    uint64_t line;
    uint32_t params_len;
    int16_t place;
    int16_t dims[SPOOL_DIMS_MAX];
    uint8_t n_dims, address_len, lang_len, email_len;
};

struct part_file {
    int fd;
    uint64_t rows, bytes; /* bytes: written + buffered */
    size_t buffered;
    char *buffer; /* owned, BUFFER_BYTES, made at the first row */
};

struct spool {
    char *dir; /* owned */
    uint64_t max_bytes;
    struct part_file part[CUSTOMER_PARTS];
    struct spool_counts counts;
    char *map; /* owned mapping of the loaded part */
    size_t map_len;
    struct sort_row *index, *spare; /* owned; as many rows each */
    uint64_t n_index, next;
};

/* ---- writing
 * ----------------------------------------------------------------------------------------------------------------------
 */

struct spool *spool_new(const char *dir, uint64_t max_bytes, struct diag *diag)
{
    if (scratch_check(dir, diag) < 0)
        return NULL;
    struct spool *s = calloc(1, sizeof *s);
    char *copy = strdup(dir);
    if (!s || !copy) {
        free(s);
        free(copy);
        (void)diag_set(diag, -ENOMEM, "", "No memory for scratch files.");
        return NULL;
    }
    s->dir = copy;
    s->max_bytes = max_bytes;
    for (uint32_t i = 0; i < CUSTOMER_PARTS; i++)
        s->part[i].fd = -1;
    return s;
}

static int flush(struct spool *s, struct part_file *p, struct diag *diag)
{
    if (!p->buffered)
        return 0;
    if (p->fd < 0)
        p->fd = scratch_open(s->dir, diag);
    if (p->fd < 0)
        return p->fd;
    int rc = file_write(p->fd, p->buffer, p->buffered);
    if (rc < 0)
        return scratch_fault(-rc, "written", diag);
    p->buffered = 0;
    return 0;
}

static int check_row(const struct spool_row *row, size_t address_len, size_t email_len,
                     size_t lang_len, struct diag *diag)
{
    if (!(address_len + email_len) || address_len >= ADDRESS_TEXT_MAX ||
        email_len >= ADDRESS_TEXT_MAX || lang_len > SPOOL_LANG_MAX ||
        row->params_len > PARAMS_MAX || row->n_dims > SPOOL_DIMS_MAX || row->customer_id < 0)
        return diag_set(diag, CGW_EINVAL, "", "A row does not fit the limits of an upload.");
    return 0;
}

static char *append(char *to, const void *data, size_t len)
{
    if (len)
        memcpy(to, data, len);
    return to + len;
}

int spool_put(struct spool *s, const struct spool_row *row, struct diag *diag)
{
    struct part_file *p = &s->part[customer_part(row->customer_id)];
    size_t address_len = strlen(row->address), email_len = strlen(row->email),
           lang_len = strlen(row->lang);
    int rc = check_row(row, address_len, email_len, lang_len, diag);
    if (rc < 0)
        return rc;
    struct record r = {.customer_id = row->customer_id,
                       .line = row->line,
                       .params_len = (uint32_t)row->params_len,
                       .place = row->place,
                       .n_dims = (uint8_t)row->n_dims,
                       .address_len = (uint8_t)address_len,
                       .email_len = (uint8_t)email_len,
                       .lang_len = (uint8_t)lang_len};
    memcpy(r.dims, row->dims, row->n_dims * sizeof *row->dims);
    size_t size = sizeof r + address_len + email_len + lang_len + row->params_len + 4;
    if (size > s->max_bytes - s->counts.bytes)
        return diag_set(diag, CGW_ELIMIT, "",
                        "The upload needs more than %llu bytes of scratch space; split it.",
                        (unsigned long long)s->max_bytes);
    if (!p->buffer && !(p->buffer = malloc(BUFFER_BYTES)))
        return diag_set(diag, -ENOMEM, "", "No memory for scratch files.");
    if (size > BUFFER_BYTES - p->buffered && (rc = flush(s, p, diag)) < 0)
        return rc;
    char *to = append(p->buffer + p->buffered, &r, sizeof r);
    to = append(to, row->address, address_len + 1);
    to = append(to, row->email, email_len + 1);
    to = append(to, row->lang, lang_len + 1);
    to = append(to, row->params, row->params_len);
    *to = 0;
    p->buffered += size;
    p->bytes += size;
    p->rows++;
    s->counts.bytes += size;
    s->counts.put++;
    return 0;
}

_Static_assert(RECORD_MAX + 4 < BUFFER_BYTES, "every record fits an empty buffer");

/* ---- reading
 * ----------------------------------------------------------------------------------------------------------------------
 */

static void unload(struct spool *s)
{
    if (s->map)
        (void)munmap(s->map, s->map_len);
    free(s->index);
    free(s->spare);
    s->map = NULL;
    s->map_len = 0;
    s->index = s->spare = NULL;
    s->n_index = s->next = 0;
}

void spool_free(struct spool *s)
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

static size_t record_at(const struct spool *s, uint64_t off, struct record *ret)
{
    memcpy(ret, s->map + off, sizeof *ret);
    return sizeof *ret + ret->address_len + ret->email_len + ret->lang_len + ret->params_len + 4;
}

#define PLACE_BIAS 32768 /* places are signed, keys are not */

static void sort_index(struct spool *s, size_t key_at)
{
    struct sort_row *sorted = sort_rows(s->index, s->spare, (size_t)s->n_index, key_at);
    s->spare = sorted == s->index ? s->spare : s->index;
    s->index = sorted;
}

static int map_part(struct spool *s, struct part_file *p, struct diag *diag)
{
    int rc = flush(s, p, diag);
    if (rc < 0)
        return rc;
    free(p->buffer);
    p->buffer = NULL;
    s->map_len = (size_t)p->bytes;
    void *m = mmap(NULL, s->map_len, PROT_READ, MAP_PRIVATE | MAP_POPULATE, p->fd, 0);
    if (m == MAP_FAILED) {
        s->map_len = 0;
        return scratch_fault(errno, "read", diag);
    }
    s->map = m;
    s->index = malloc((size_t)p->rows * sizeof *s->index);
    s->spare = malloc((size_t)p->rows * sizeof *s->spare);
    if (!s->index || !s->spare)
        return diag_set(diag, -ENOMEM, "", "No memory to sort %llu rows.",
                        (unsigned long long)p->rows);
    return 0;
}

/* True: the lines ascend, as they do unless somebody put rows in another order than they stood in.
 */
static bool build_index(struct spool *s, uint64_t rows)
{
    struct record r;
    uint64_t off = 0, last = 0;
    bool ascending = true;
    for (uint64_t i = 0; i < rows; i++) {
        size_t size = record_at(s, off, &r);
        s->index[i] = (struct sort_row){.customer_id = (uint64_t)r.customer_id,
                                        .line = r.line,
                                        .off = off,
                                        .place = (uint64_t)(r.place + PLACE_BIAS)};
        off += size;
        ascending = ascending && r.line >= last;
        last = r.line;
    }
    s->n_index = rows;
    return ascending;
}

static void tell_duplicate(struct spool *s, const struct sort_row *kept,
                           const struct sort_row *dropped, ingest_reject_fn duplicate, void *ctx)
{
    char text[CGW_DIAG_MAX];
    s->counts.duplicates++;
    if (!duplicate || s->counts.duplicates > SPOOL_DUPLICATES_TOLD)
        return;
    (void)snprintf(text, sizeof text, "The same person already stands in line %llu, which is kept.",
                   (unsigned long long)kept->line);
    duplicate(ctx, &(struct ingest_reject){
                       .line = dropped->line, .column = "", .code = "duplicate", .text = text});
}

/* In (customer, line) order. */
static void drop_duplicates(struct spool *s, ingest_reject_fn duplicate, void *ctx)
{
    uint64_t keep = 0;
    for (uint64_t i = 0; i < s->n_index; i++) {
        if (keep && s->index[keep - 1].customer_id == s->index[i].customer_id)
            tell_duplicate(s, &s->index[keep - 1], &s->index[i], duplicate, ctx);
        else
            s->index[keep++] = s->index[i];
    }
    s->n_index = keep;
    s->counts.kept += keep;
}

static bool one_place(const struct spool *s)
{
    for (uint64_t i = 1; i < s->n_index; i++)
        if (s->index[i].place != s->index[0].place)
            return false;
    return true;
}

int spool_load(struct spool *s, uint32_t part, ingest_reject_fn duplicate, void *ctx,
               struct diag *diag)
{
    unload(s);
    if (part >= CUSTOMER_PARTS)
        return diag_set(diag, CGW_EINVAL, "", "There are only %u parts.", CUSTOMER_PARTS);
    struct part_file *p = &s->part[part];
    if (!p->rows)
        return 0;
    int rc = map_part(s, p, diag);
    if (rc < 0 || !s->map) {
        unload(s);
        return rc;
    }
    if (!build_index(s, p->rows)) /* sorting is stable: what is in order already stays so */
        sort_index(s, offsetof(struct sort_row, line));
    sort_index(s, offsetof(struct sort_row, customer_id));
    drop_duplicates(s, duplicate, ctx);
    if (!one_place(s))
        sort_index(s, offsetof(struct sort_row, place));
    return 0;
}

uint64_t spool_loaded(const struct spool *s)
{
    return s->n_index;
}

bool spool_next(struct spool *s, struct spool_row *ret)
{
    struct record r;
    if (s->next == s->n_index)
        return false;
    uint64_t off = s->index[s->next++].off;
    if (s->next + AHEAD < s->n_index) /* records lie as the upload had them, anywhere by customer */
        __builtin_prefetch(s->map + s->index[s->next + AHEAD].off);
    (void)record_at(s, off, &r);
    const char *address = s->map + off + sizeof r, *email = address + r.address_len + 1,
               *lang = email + r.email_len + 1;
    *ret = (struct spool_row){.customer_id = r.customer_id,
                              .place = r.place,
                              .line = r.line,
                              .address = address,
                              .email = email,
                              .lang = lang,
                              .params = lang + r.lang_len + 1,
                              .params_len = r.params_len,
                              .n_dims = r.n_dims};
    memcpy(ret->dims, r.dims, r.n_dims * sizeof *r.dims);
    return true;
}

void spool_counts(const struct spool *s, struct spool_counts *ret)
{
    *ret = s->counts;
}
