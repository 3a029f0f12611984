/* SPDX-License-Identifier: Apache-2.0 */
/* flush.c - one transaction for a batch of what came back: rows, seals, statistics, releases, echo
 * rows, in this order under the locks of all parts concerned (taken in part order). All or nothing.
 */
#include "outcome/flush.h"

#include "base/clock.h"
#include "base/metrics.h"

#include <errno.h>
#include <string.h>

void flush_event(struct flush *f, int32_t part, const struct event_row *e)
{
    f->events[f->n_events++] = (struct part_event){.part = part, .e = *e};
    if (e->sub)
        flush_stat(f, e->contact_id, STAT_SUB, e->sub, 1);
}

void flush_stat(struct flush *f, int64_t contact_id, int16_t kind, int32_t code, int64_t n)
{
    f->stats[f->n_stats++] = (struct stat_delta){
        .wave_id = (int32_t)(contact_id >> 32), .kind = kind, .code = code, .n = n};
}

/* Each item makes at most: a submit per segment, 2 events, 6 statistics, 1 of everything else; each
 * early receipt woken likewise. */
static int alloc_lists(struct flush *f)
{
    size_t segs = 0, n = (size_t)f->n;
    for (int i = 0; i < f->n; i++)
        segs += f->items[i]->n_ids + 1u;
    f->max = (int)(segs * 2 + 16);
    size_t m = (size_t)f->max;
    f->submits = arena_alloc(&f->arena, 2 * m * sizeof *f->submits);
    f->events = arena_alloc(&f->arena, 4 * m * sizeof *f->events);
    f->stats = arena_alloc(&f->arena, 6 * m * sizeof *f->stats);
    f->doubts = arena_alloc(&f->arena, m * sizeof *f->doubts);
    f->echo_put = arena_alloc(&f->arena, m * sizeof *f->echo_put);
    f->echo_del = arena_alloc(&f->arena, m * sizeof *f->echo_del);
    f->release = arena_alloc(&f->arena, m * sizeof *f->release);
    f->doubt_del = arena_alloc(&f->arena, m * sizeof *f->doubt_del);
    f->unsend = arena_alloc(&f->arena, m * sizeof *f->unsend);
    f->figures = arena_alloc(&f->arena, 2 * m * sizeof *f->figures);
    f->early_put = arena_alloc(&f->arena, n * sizeof(*f->early_put));
    f->early_del = arena_alloc(&f->arena, 2 * m * sizeof *f->early_del);
    f->resolved = arena_alloc(&f->arena, 2 * m * sizeof *f->resolved);
    f->bounces = arena_alloc(&f->arena, 2 * m * sizeof *f->bounces);
    f->tasks = arena_alloc(&f->arena, n * sizeof *f->tasks);
    bool ok = f->submits && f->events && f->stats && f->doubts && f->echo_put && f->echo_del &&
              f->release && f->doubt_del && f->unsend && f->figures && f->early_put &&
              f->early_del && f->resolved && f->bounces && f->tasks;
    return ok ? 0 : diag_set(f->diag, CGW_ELIMIT, "", "flush memory");
}

static int lock_parts(struct flush *f, struct flush_proof *proof)
{
    /* a fenced node must still store what it knows */
    int rc = store_parts_lock(f->db, f->parts, f->lock, f->diag);
    for (int32_t p = 0; rc == 0 && p < STORE_PARTS; p++) {
        if (!(f->parts >> p & 1))
            continue;
        proof->xid = f->lock[p].xid;
        f->seal_no[p] = f->lock[p].seal_no + 1;
        if (f->lock[p].flush_no != f->w->flush_no[p])
            f->w->era[p]++;
        f->w->flush_no[p] = f->lock[p].flush_no;
        seal_begin(&f->seal[p], f->lock[p].digest);
    }
    return rc;
}

static int by_submit(const void *a, const void *b)
{
    const struct submit_row *x = a, *y = b;
    if (x->part != y->part)
        return x->part < y->part ? -1 : 1;
    if (x->contact_id != y->contact_id)
        return x->contact_id < y->contact_id ? -1 : 1;
    if (x->attempt != y->attempt)
        return x->attempt < y->attempt ? -1 : 1;
    return x->seg < y->seg ? -1 : x->seg > y->seg;
}

static int by_part_event(const void *a, const void *b)
{
    const struct part_event *x = a, *y = b;
    if (x->part != y->part)
        return x->part < y->part ? -1 : 1;
    if (x->e.contact_id != y->e.contact_id)
        return x->e.contact_id < y->e.contact_id ? -1 : 1;
    if (x->e.attempt != y->e.attempt)
        return x->e.attempt < y->e.attempt ? -1 : 1;
    if (x->e.seg != y->e.seg)
        return x->e.seg < y->e.seg ? -1 : 1;
    return x->e.kind < y->e.kind ? -1 : x->e.kind > y->e.kind;
}

void flush_events_sort(struct flush *f)
{
    qsort(f->events, (size_t)f->n_events, sizeof *f->events, by_part_event);
}

int flush_events_of(const struct flush *f, int n, int32_t part, int64_t contact_id, int *ret_n)
{
    int lo = 0, hi = n;
    while (lo < hi) {
        int mid = (lo + hi) / 2;
        const struct part_event *e = &f->events[mid];
        if (e->part < part || (e->part == part && e->e.contact_id < contact_id))
            lo = mid + 1;
        else
            hi = mid;
    }
    for (hi = lo; hi < n && f->events[hi].part == part && f->events[hi].e.contact_id == contact_id;)
        hi++;
    *ret_n = hi - lo;
    return lo;
}

static int write_small(struct flush *f)
{
    int rc = store_doubt_put(f->db, f->doubts, f->n_doubts, f->diag);
    f->w->doubts_known += f->n_doubts;
    for (int i = 0; rc == 0 && i < f->n_doubt_del; i++)
        rc = store_doubt_delete(f->db, f->doubt_del[i].part, f->doubt_del[i].contact_id, f->diag);
    for (int i = 0; rc == 0 && i < f->n_unsend; i++)
        rc = store_echo_unsend(f->db, f->unsend[i].part, f->unsend[i].contact_id, f->diag);
    for (int i = 0; rc == 0 && i < f->n_release; i++)
        rc = store_caps_release(f->db, f->release[i].part, &f->release[i].contact_id, 1, NULL,
                                f->diag);
    for (int i = 0; rc == 0 && i < f->n_echo_put; i++)
        rc = store_echo_put(f->db, f->echo_put[i].part, f->echo_put[i].wave_id, &f->echo_put[i].e,
                            1, f->diag);
    for (int i = 0; rc == 0 && i < f->n_echo_del; i++)
        rc = store_echo_delete(f->db, f->echo_del[i].part, f->echo_del[i].wave_id,
                               &f->echo_del[i].seq, 1, f->diag);
    if (rc == 0)
        rc = store_early_put(f->db, f->early_put, f->n_early_put, f->diag);
    if (rc == 0)
        rc = store_early_delete(f->db, f->early_del, f->n_early_del, f->diag);
    return rc;
}

static int append_seals(struct flush *f, struct flush_proof *proof)
{
    struct seal_end ends[STORE_PARTS];
    int n = 0;
    for (int32_t p = 0; p < STORE_PARTS; p++)
        if ((f->parts >> p & 1) && f->seal[p].rows)
            ends[n++] = (struct seal_end){.seal = &f->seal[p],
                                          .part = p,
                                          .seal_no = f->seal_no[p],
                                          .prev = f->lock[p].digest};
    int rc = store_seals_append(f->db, ends, n, f->w->cfg.sign_key, f->diag);
    if (n) { /* any of them proves the flush */
        proof->sealed = true;
        proof->part = ends[0].part;
        proof->seal_no = ends[0].seal_no;
        memcpy(proof->digest, ends[0].digest, SEAL_DIGEST);
    }
    return rc;
}

static int finish_chunks(struct flush *f)
{
    int rc = 0;
    for (int i = 0; rc == 0 && i < f->n; i++) {
        const struct item *it = f->items[i];
        if (it->kind == ITEM_CHUNK && it->chunk_no >= 0)
            rc = store_chunk_done(f->db, it->part, it->wave_id, it->chunk_no, f->diag);
    }
    return rc;
}

static int flush_rows(struct flush *f, struct flush_proof *proof)
{
    int rc = flush_results(f);
    for (int i = 0; i < f->n; i++)
        if (f->items[i]->kind == ITEM_RESULT)
            f->parts |= UINT64_C(1) << f->items[i]->contact.part;
    if (rc == 0)
        rc = flush_resolve(f);
    flush_task_parts(f);
    if (rc == 0)
        rc = flush_inbound_parts(f);
    if (rc == 0)
        rc = lock_parts(f, proof);
    if (rc == 0)
        rc = flush_overtaken(f);
    if (rc == 0)
        rc = flush_tasks(f);
    if (rc == 0)
        rc = flush_receipts(f);
    if (rc == 0)
        rc = flush_inbound(f);
    if (rc == 0)
        rc = flush_suppress(f);
    qsort(f->submits, (size_t)f->n_submits, sizeof *f->submits, by_submit);
    flush_events_sort(f);
    if (rc == 0)
        rc = store_submits_write(f->db, f->submits, f->n_submits, f->seal, f->seal_no, f->diag);
    if (rc == 0)
        rc = store_part_events_write(f->db, f->events, f->n_events, f->seal, f->seal_no, f->diag);
    if (rc == 0)
        rc = flush_documents_write(f);
    if (rc == 0)
        rc = append_seals(f, proof);
    if (rc == 0)
        rc = write_small(f);
    if (rc == 0)
        rc = finish_chunks(f);
    if (rc == 0 && f->n_stats)
        rc = store_stat_add(f->db, f->w->owner, f->stats, f->n_stats, f->diag);
    if (rc == 0)
        rc = store_facts_touch(f->db, f->facts, f->diag); /* last: see store.h */
    return rc;
}

/* After the commit: whose receipt can be applied without asking what happened before? One segment,
 * accepted at the first attempt, nobody else held the part since the intent, and no receipt came
 * with the answer. */
static void remember(struct flush *f)
{
    struct outcome_writer *w = f->w;
    for (int32_t p = 0; p < STORE_PARTS; p++)
        w->flush_no[p] += (f->parts >> p & 1) && f->seal[p].rows;
    for (int i = 0, n; i < f->n; i++) {
        const struct item *it = f->items[i];
        const struct outcome_contact *c = &it->contact;
        if (it->kind != ITEM_RESULT || it->result != CGW_RES_ACCEPTED || it->n_ids != 1 ||
            !it->refh || c->attempt != 1 || !c->want_receipt || c->epoch != f->lock[c->part].epoch)
            continue;
        (void)flush_events_of(f, f->n_events, c->part, c->contact_id, &n);
        if (n)
            continue;
        struct ref_match m = {.refh = it->refh,
                              .address_key = c->address_key,
                              .ts_ms = it->arrived_ms,
                              .part = c->part,
                              .route_id = c->route_id,
                              .contact_id = c->contact_id};
        if (strlen(it->ids[0]) < sizeof m.ref)
            memcpy(m.ref, it->ids[0], strlen(it->ids[0]) + 1);
        refmap_put(&w->refs, &m, w->era[c->part]);
    }
}

int flush_run(struct outcome_writer *w, struct db *db, struct item **items, int n,
              struct flush_proof *ret, bool *ret_wake, struct diag *diag)
{
    struct flush *f = calloc(1, sizeof *f);
    if (!f)
        return diag_set(diag, -ENOMEM, "", "out of memory");
    f->w = w;
    f->db = db;
    f->diag = diag;
    f->items = items;
    f->n = n;
    f->now_ms = clock_utc_ms();
    arena_init(&f->arena, 256u << 20);
    *ret = (struct flush_proof){0};
    int rc = alloc_lists(f);
    if (rc == 0)
        rc = db_begin(db, diag);
    if (rc == 0)
        rc = flush_rows(f, ret);
    if (rc == 0 && !ret->xid)
        rc = store_xid(db, &ret->xid, diag);
    if (rc == 0)
        rc = db_commit(db, diag);
    if (rc == 0) {
        remember(f);
        early_committed(f);
        figures_tell(f);
        METRIC_ADD("campgw_receipts_total", f->n_stored, "stored");
    }
    db_rollback(db);
    *ret_wake = f->wake || f->facts;
    arena_done(&f->arena);
    free(f);
    return rc;
}
