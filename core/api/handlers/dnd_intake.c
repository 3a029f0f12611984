/* SPDX-License-Identifier: Apache-2.0 */
/* dnd_intake.c - see dnd_intake.h. Rows are read and judged on the worker's thread; hashing and
 * writing goes on beside it (base/relay.h), which has the connection and the scratch files to
 * itself meanwhile. No SQL here. */
#include "api/handlers/dnd_intake.h"

#include "base/relay.h"

#include <errno.h>
#include <string.h>

#define BLOCK_BYTES 65536u
#define PERSON_MAX (sizeof(uint64_t) + ADDRESS_TEXT_MAX)

struct block { /* people one behind the other: line, address with its NUL */
    size_t used;
    char bytes[BLOCK_BYTES];
};

/* ---- the relay's side */
static int take_person(struct intake *k, uint64_t line, const char *address, struct diag *diag)
{
    int64_t key, alt = 0;
    int rc = people_keys(k->req, address, &key, k->ids ? NULL : &alt, diag);
    if (rc < 0 || !k->ids)
        return rc < 0 ? rc : store_people_put(&k->people, (int64_t)line, key, alt, address, diag);
    rc = ids_put(k->ids, key, diag);
    k->no_space = rc < 0;
    return rc;
}

static int take_block(void *ctx, void *block, struct diag *diag)
{
    struct block *b = block;
    int rc = 0;
    for (size_t at = 0; rc == 0 && at < b->used;) {
        uint64_t line;
        memcpy(&line, b->bytes + at, sizeof line);
        const char *address = b->bytes + at + sizeof line;
        at += sizeof line + strlen(address) + 1;
        rc = take_person(ctx, line, address, diag);
    }
    b->used = 0;
    return rc;
}

/* ---- the worker's side */
static int pass_person(struct intake *k, uint64_t line, const char *address, struct diag *diag)
{
    struct block *b = relay_block(k->relay);
    size_t len = strlen(address) + 1;
    if (b->used + PERSON_MAX > BLOCK_BYTES) {
        int rc = relay_pass(k->relay, diag);
        if (rc < 0)
            return rc;
        b = relay_block(k->relay);
    }
    memcpy(b->bytes + b->used, &line, sizeof line);
    memcpy(b->bytes + b->used + sizeof line, address, len);
    b->used += sizeof line + len;
    return 0;
}

static int take_row(void *ctx, const struct ingest_row *in, struct diag *diag)
{
    struct intake *k = ctx;
    int rc = pass_person(k, in->line, in->msisdn[0] ? in->msisdn : in->email, diag);
    if (rc < 0 || !in->msisdn[0] || !in->email[0])
        return rc;
    /* a row with both addresses forbids both: the mailbox may be known under a customer of its own
     */
    return pass_person(k, in->line, in->email, diag);
}

static void take_reject(void *ctx, const struct ingest_reject *reject)
{
    people_rejects_add(&((struct intake *)ctx)->rejects, reject);
}

static int open_people(struct intake *k, bool short_way, struct diag *diag)
{
    if (!short_way)
        return store_people_open(k->req->db, &k->people, diag);
    uint64_t max_bytes;
    const char *dir = people_scratch_dir(&max_bytes);
    k->ids = ids_new(dir, max_bytes, diag);
    k->no_space = !k->ids;
    return k->ids ? 0 : diag->code;
}

/* The whole body through both sides. An error of the other side comes first: it met earlier rows.
 */
static int feed(struct intake *k, struct diag *diag)
{
    auto_free struct block *blocks = calloc(RELAY_BLOCKS, sizeof *blocks);
    if (!blocks)
        return diag_set(diag, -ENOMEM, "", "out of memory");
    void *each[RELAY_BLOCKS];
    for (size_t i = 0; i < RELAY_BLOCKS; i++)
        each[i] = &blocks[i];
    k->relay = relay_new(each, take_block, k, diag);
    if (!k->relay)
        return diag->code;
    int rc = people_feed(k->req->stream, k->in, diag);
    if (rc == 0)
        rc = relay_pass(k->relay, diag);
    int end = relay_end(TAKE(k->relay), diag);
    return end < 0 ? end : rc;
}

int intake_read(struct intake *k, bool short_way, bool refuse_invalid, struct diag *diag)
{
    const char *region = api_query(k->req, "default_region");
    const struct ingest_opts opts = {.default_region = region ? region : ""};
    k->in = ingest_new(people_format(k->req->stream), k->req->stream->gzip, &opts, take_row,
                       take_reject, k, diag);
    if (!k->in)
        return diag->code;
    int rc = open_people(k, short_way, diag);
    if (rc < 0)
        return rc;
    rc = feed(k, diag);
    struct ingest_counts n;
    ingest_counts(k->in, &n);
    if (rc == 0 && n.rejected && refuse_invalid)
        rc = diag_set(diag, CGW_EINVAL, "",
                      "%llu rows cannot be used, and those people would lose their protection; "
                      "correct them, or say ?invalid=skip",
                      (unsigned long long)n.rejected);
    int end = store_people_close(&k->people, rc == 0, rc == 0 ? diag : NULL);
    return rc < 0 ? rc : end;
}

/* ---- the short way */
static int next_person(void *ctx, int64_t *ret_customer_id, struct diag *diag)
{
    struct intake *k = ctx;
    while (!ids_next(k->ids, ret_customer_id)) {
        if (k->part == CUSTOMER_PARTS)
            return 0;
        int rc = ids_load(k->ids, k->part++, diag);
        k->no_space = rc < 0;
        if (rc < 0)
            return rc;
    }
    return 1;
}

int intake_fill(struct intake *k, const struct store_dnd_list *l, struct store_dnd_counts *ret,
                uint64_t *ret_parts, struct diag *diag)
{
    *ret = (struct store_dnd_counts){.received = (int64_t)ids_count(k->ids)};
    return store_dnd_fill(k->req->db, &k->req->actor, l, next_person, k, ret, ret_parts, diag);
}

void intake_init(struct intake *k, struct api_request *req)
{
    *k = (struct intake){.req = req};
    people_rejects_init(&k->rejects);
}

void intake_done(struct intake *k)
{
    ingest_free(k->in);
    ids_free(k->ids);
    people_rejects_done(&k->rejects);
}
