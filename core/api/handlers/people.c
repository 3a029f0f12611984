/* SPDX-License-Identifier: Apache-2.0 */
/* people.c - shared by the handlers that take people in. See people.h. */
#include "api/handlers/people.h"

#include "base/metrics.h"
#include "store/store_customer.h"
#include "store/store_ids.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define FEED_BYTES 65536u

static struct {
    char dir[256];
    uint64_t max_bytes;
} scratch = {.dir = "/var/tmp", .max_bytes = 64ull << 30};

static const struct metric_family families[] = {
    {"campgw_upload_rows_total", METRIC_COUNTER,
     "Rows of audience uploads by what became of them: accepted, duplicate, invalid.", "result"},
    {.name = NULL},
};

void people_setup(const char *dir, uint64_t max_bytes)
{
    metrics_register(families);
    (void)snprintf(scratch.dir, sizeof scratch.dir, "%s", dir);
    scratch.max_bytes = max_bytes;
}

const char *people_scratch_dir(uint64_t *ret_max_bytes)
{
    *ret_max_bytes = scratch.max_bytes;
    return scratch.dir;
}

unsigned people_word(const char *choices, const char *word)
{
    size_t len = strlen(word);
    unsigned at = 1;
    for (const char *p = choices; len; at++) {
        size_t n = strcspn(p, "|");
        if (n == len && !memcmp(p, word, len))
            return at;
        if (!p[n])
            break;
        p += n + 1;
    }
    return 0;
}

/* ---- one person
 * ------------------------------------------------------------------------------------------------------------------
 */
int people_keys(const struct api_request *req, const char *address, int64_t *ret_key,
                int64_t *ret_alt, struct diag *diag)
{
    const struct api_services *s = req->services;
    if (!s || !s->identity)
        return diag_set(diag, -EOPNOTSUPP, "", "this node has no identity key");
    int32_t part;
    int rc = s->identity(s->ctx, address, &part, ret_key);
    if (rc == 0 && ret_alt) {
        /* the second id is the hash of a text that is no address: a line break cannot stand in one
         */
        char second[ADDRESS_TEXT_MAX + 4];
        size_t n = strnlen(address, ADDRESS_TEXT_MAX);
        memcpy(second, address, n);
        memcpy(second + n, "\n2", 3);
        rc = s->identity(s->ctx, second, &part, ret_alt);
    }
    return rc < 0 ? diag_set(diag, rc, "", "the address could not be hashed") : 0;
}

int people_fail(struct api_request *req, struct api_response *resp, int rc, const struct diag *diag)
{
    if (rc == -EOPNOTSUPP)
        return api_problem(resp, PROBLEM_UNAVAILABLE, "%s", diag->text);
    return api_fail(req, resp, rc, diag);
}

static int take_address(struct api_request *req, struct api_response *resp, const json_t *obj,
                        const char *pointer, const char *member, struct people_ref *ret)
{
    struct address a;
    struct diag d = {0};
    enum address_fault fault = ADDRESS_OK;
    const char *text = api_str(obj, member, "");
    uint32_t kind = !strcmp(member, "email") ? CGW_ADDR_EMAIL : CGW_ADDR_E164;
    if (address_normalise_why(text, strlen(text), kind, api_str(obj, "default_region", ""), &a,
                              &fault, &d) < 0) {
        char at[96];
        (void)snprintf(at, sizeof at, "%s/%s", pointer, member);
        api_error(resp, at, address_fault_code(fault), "%s", d.text);
        return -1;
    }
    int rc = people_keys(req, a.text, &ret->key, &ret->alt, &d);
    if (rc < 0)
        return people_fail(req, resp, rc, &d);
    (void)snprintf(ret->address, sizeof ret->address, "%s", a.text);
    return 0;
}

static int take_external(struct api_request *req, struct api_response *resp, const json_t *obj,
                         struct people_ref *ret)
{
    struct diag d = {0};
    int rc = store_customer_by_external(req->db, api_str(obj, "external_id", ""), &ret->key, &d);
    if (rc == CGW_ECONFLICT)
        return api_problem(resp, PROBLEM_STATE_CONFLICT, "%s", d.text);
    return rc < 0 ? api_fail(req, resp, rc, &d) : 0;
}

static int take_id(struct api_response *resp, const json_t *obj, const char *pointer,
                   struct people_ref *ret)
{
    struct diag d = {0};
    if (store_id_decode("cus", api_str(obj, "customer", ""), &ret->key, &d) == 0)
        return 0;
    char at[96];
    (void)snprintf(at, sizeof at, "%s/customer", pointer);
    api_error(resp, at, "id_invalid", "%s", d.text);
    return -1;
}

int people_ref_json(struct api_request *req, struct api_response *resp, const json_t *obj,
                    const char *pointer, struct people_ref *ret)
{
    static const char *const names[] = {"msisdn", "email", "customer", "external_id"};
    const char *given = NULL;
    unsigned n = 0;
    *ret = (struct people_ref){0};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (api_has(obj, names[i])) {
            given = names[i];
            n++;
        }
    if (n != 1) {
        api_error(resp, pointer, "person_ambiguous",
                  "name the person by exactly one of msisdn, email, customer, external_id");
        return -1;
    }
    if (!strcmp(given, "customer"))
        return take_id(resp, obj, pointer, ret);
    if (!strcmp(given, "external_id"))
        return take_external(req, resp, obj, ret);
    return take_address(req, resp, obj, pointer, given, ret);
}

static void found_one(void *ctx, size_t i, const struct store_person *p)
{
    (void)i;
    *(int64_t *)ctx = p->customer_id;
}

int people_resolve(struct api_request *req, const struct people_ref *ref, int64_t *ret,
                   struct diag *diag)
{
    const char *address = ref->address;
    *ret = ref->key;
    return store_people_find(req->db, &ref->key, &ref->alt, &address, 1, found_one, ret, diag);
}

/* ---- rejected rows
 * -----------------------------------------------------------------------------------------------------------------
 */
void people_rejects_init(struct people_rejects *r)
{
    *r = (struct people_rejects){0};
    arena_init(&r->texts, 8u << 20);
}

void people_rejects_done(struct people_rejects *r)
{
    arena_done(&r->texts);
    free(r->item);
    r->item = NULL;
}

static const char *keep(struct people_rejects *r, const char *s)
{
    const char *copy = arena_dup(&r->texts, s, strlen(s));
    return copy ? copy : "";
}

void people_rejects_add(struct people_rejects *r, const struct ingest_reject *reject)
{
    r->total++;
    if (r->n == STORE_REJECTS_MAX)
        return;
    if (r->n == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 64;
        struct store_set_reject *more = realloc(r->item, cap * sizeof *more);
        if (!more)
            return; /* the count stays exact; the list is a courtesy */
        r->item = more;
        r->cap = cap;
    }
    r->item[r->n++] =
        (struct store_set_reject){.line = (int64_t)reject->line,
                                  .col = keep(r, reject->column ? reject->column : ""),
                                  .code = keep(r, reject->code),
                                  .detail = keep(r, reject->text)};
}

static int by_line(const void *a, const void *b)
{
    const struct store_set_reject *x = a, *y = b;
    return x->line < y->line ? -1 : x->line > y->line;
}

void people_rejects_sort(struct people_rejects *r)
{
    if (r->n)
        qsort(r->item, r->n, sizeof *r->item, by_line);
}

void people_rejects_json(const struct people_rejects *r, struct buf *out)
{
    buf_putc(out, '[');
    for (size_t i = 0; i < r->n && i < PEOPLE_REJECTS_SHOWN; i++) {
        const struct store_set_reject *j = &r->item[i];
        buf_printf(out, "%s{\"line\":%lld,\"column\":", i ? "," : "", (long long)j->line);
        if (j->col[0])
            buf_put_json(out, j->col, strlen(j->col));
        else
            buf_puts(out, "null");
        buf_puts(out, ",\"code\":");
        buf_put_json(out, j->code, strlen(j->code));
        buf_puts(out, ",\"detail\":");
        buf_put_json(out, j->detail, strlen(j->detail));
        buf_putc(out, '}');
    }
    buf_putc(out, ']');
}

/* ---- uploads
 * ------------------------------------------------------------------------------------------------------------------------
 */
enum ingest_format people_format(const struct api_stream *s)
{
    return !strcmp(s->media, "text/csv") ? INGEST_CSV : INGEST_NDJSON;
}

int people_feed(const struct api_stream *s, struct ingest *in, struct diag *diag)
{
    auto_free char *piece = malloc(FEED_BYTES);
    if (!piece)
        return diag_set(diag, -ENOMEM, "", "out of memory");
    for (off_t at = 0;;) { /* pread: a transaction that is repeated reads from the start again */
        ssize_t n = pread(s->fd, piece, FEED_BYTES, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return diag_set(diag, -errno, "", "the spooled body cannot be read");
        if (n == 0)
            break;
        int rc = ingest_feed(in, piece, (size_t)n, diag);
        if (rc < 0)
            return rc;
        at += n;
    }
    int rc = ingest_finish(in, diag);
    struct ingest_counts n;
    ingest_counts(in, &n);
    return rc == 0 && n.accepted == 0 ? diag_set(diag, CGW_EINVAL, "",
                                                 "No row of the upload can be used; send at least "
                                                 "one that the rejects do not name.")
                                      : rc;
}

int people_upload_failed(struct api_request *req, struct api_response *resp, int rc,
                         const struct diag *diag, struct people_rejects *rejects)
{
    if (rc != CGW_EINVAL && rc != CGW_ELIMIT)
        return people_fail(req, resp, rc, diag);
    enum api_problem_id id = rc == CGW_EINVAL ? PROBLEM_MALFORMED_UPLOAD : PROBLEM_TOO_LARGE;
    int status = api_problem(resp, id, "%s", diag->text);
    long long line = 0;
    unsigned column = 0;
    if (sscanf(diag->where, "line %lld", &line) == 1) {
        char number[24];
        (void)snprintf(number, sizeof number, "%lld", line);
        api_problem_json(resp, "line", number);
    }
    const char *at = strstr(diag->where, "column ");
    if (at && sscanf(at, "column %u", &column) == 1) {
        char number[24];
        (void)snprintf(number, sizeof number, "%u", column);
        api_problem_json(resp, "column", number);
    }
    if (rejects && rejects->n) {
        struct buf b;
        buf_init(&b, 65536);
        people_rejects_sort(rejects);
        people_rejects_json(rejects, &b);
        api_problem_json(resp, "rejects", buf_str(&b));
        buf_done(&b);
    }
    return status;
}

/* ---- dictionary
 * ---------------------------------------------------------------------------------------------------------------------
 */
void people_map_init(struct people_map *m, size_t max_key_bytes)
{
    *m = (struct people_map){0};
    arena_init(&m->keys, max_key_bytes);
}

void people_map_done(struct people_map *m)
{
    arena_done(&m->keys);
    free(m->slot);
    m->slot = NULL;
}

static uint32_t hash(const void *key, size_t len)
{
    const unsigned char *p = key;
    uint32_t h = 2166136261u; /* FNV-1a; values come from at most 32,767 keys of one upload */
    for (size_t i = 0; i < len; i++)
        h = (h ^ p[i]) * 16777619u;
    return h;
}

static struct people_map_slot *find(const struct people_map *m, const void *key, size_t len,
                                    uint32_t h)
{
    for (size_t i = h & (m->cap - 1);; i = (i + 1) & (m->cap - 1)) {
        struct people_map_slot *s = &m->slot[i];
        if (!s->key || (s->hash == h && s->len == len && !memcmp(s->key, key, len)))
            return s;
    }
}

bool people_map_get(const struct people_map *m, const void *key, size_t len, int16_t *ret)
{
    if (!m->cap)
        return false;
    const struct people_map_slot *s = find(m, key, len, hash(key, len));
    if (s->key)
        *ret = s->value;
    return s->key != NULL;
}

static int grow(struct people_map *m)
{
    struct people_map bigger = {.cap = m->cap ? m->cap * 2 : 256};
    bigger.slot = calloc(bigger.cap, sizeof *bigger.slot);
    if (!bigger.slot)
        return -ENOMEM;
    for (size_t i = 0; i < m->cap; i++)
        if (m->slot[i].key)
            *find(&bigger, m->slot[i].key, m->slot[i].len, m->slot[i].hash) = m->slot[i];
    free(m->slot);
    m->slot = bigger.slot;
    m->cap = bigger.cap;
    return 0;
}

int people_map_put(struct people_map *m, const void *key, size_t len, int16_t value)
{
    if (m->n * 2 >= m->cap && grow(m) < 0)
        return -ENOMEM;
    char *copy = arena_dup(&m->keys, key, len);
    if (!copy)
        return CGW_ELIMIT;
    uint32_t h = hash(key, len);
    *find(m, key, len, h) =
        (struct people_map_slot){.key = copy, .len = (uint32_t)len, .hash = h, .value = value};
    m->n++;
    return 0;
}
