/* SPDX-License-Identifier: Apache-2.0 */
/* tasks.c - contacts that agents pull: the document of an accept becomes a row in the transaction
 * of the accept, and a task that ended (agents said so, withdrawn, its time is over) is found by a
 * bounded sweep and said in the log once, like a receipt of any channel. Whoever ended it did so in
 * a transaction of its own: the row is the box between them, and `settled` its lid. */
#include "outcome/outcome_int.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "policy/policy.h"

#include <stdio.h>
#include <string.h>

#define SWEEP_MS 1000
/* Of one flush: each may be a response, which is a few round trips, and results of other channels
 * wait meanwhile. A full sweep is followed by the next at once. */
#define SWEEP_TASKS 64
#define TALLY_MS 1000

/* ---- accepts ----------------------------------------------------------------------------------
 */
void flush_document(struct flush *f, const struct item *it)
{
    if (!it->document)
        return;
    f->tasks[f->n_tasks++] = (struct task_row){.part = it->contact.part,
                                               .route_id = it->contact.route_id,
                                               .contact_id = it->contact.contact_id,
                                               .customer_id = it->contact.customer_id,
                                               .until_ms = it->contact.not_after_utc_ms,
                                               .created_ms = it->arrived_ms,
                                               .attempt = it->contact.attempt,
                                               .receipt = it->contact.want_receipt,
                                               .instance = it->instance,
                                               .ref = it->n_ids ? it->ids[0] : "",
                                               .document = it->document,
                                               .document_len = it->document_len};
}

void flush_document_drop(struct flush *f, const struct item *it)
{
    for (int i = 0; i < f->n_tasks; i++)
        if (f->tasks[i].part == it->contact.part &&
            f->tasks[i].contact_id == it->contact.contact_id &&
            f->tasks[i].attempt == it->contact.attempt) {
            f->tasks[i] = f->tasks[--f->n_tasks];
            return;
        }
}

static const char *zone_of(const struct outcome_writer *w, const char *instance)
{
    const char *zone = "UTC", *name;
    for (unsigned i = 0;
         w->cfg.pulled && i < OUTCOME_PULLED_MAX && (name = w->cfg.pulled(w->cfg.ctx, i, &zone));
         i++)
        if (!strcmp(name, instance))
            return zone;
    return "UTC";
}

/* Rows of one instance are counted together; the counter's row is held from here to the commit. */
int flush_documents_write(struct flush *f)
{
    int rc = store_tasks_write(f->db, f->tasks, f->n_tasks, f->diag);
    for (int i = 0; rc == 0 && i < f->n_tasks; i++) {
        const char *instance = f->tasks[i].instance;
        int n = 0;
        bool first = true;
        for (int k = 0; k < f->n_tasks; k++) {
            bool same = !strcmp(f->tasks[k].instance, instance);
            first = first && !(same && k < i);
            n += same;
        }
        if (first)
            rc = store_task_count_add(f->db, instance, zone_of(f->w, instance), f->now_ms, n,
                                      f->diag);
    }
    return rc;
}

/* ---- ends -------------------------------------------------------------------------------------
 */
void flush_task_parts(struct flush *f)
{
    for (int i = 0; i < f->n; i++)
        if (f->items[i]->kind == ITEM_TASK)
            f->parts |= UINT64_C(1) << f->items[i]->part;
}

static int by_key(const void *a, const void *b)
{
    const struct task_end *x = a, *y = b;
    if (x->part != y->part)
        return x->part < y->part ? -1 : 1;
    if (x->contact_id != y->contact_id)
        return x->contact_id < y->contact_id ? -1 : 1;
    return (x->attempt > y->attempt) - (x->attempt < y->attempt);
}

/* What the log says of it. */
static void say(struct flush *f, const struct task_end *t)
{
    const struct task_word *w = t->state == TASK_DONE ? task_word(t->outcome) : NULL;
    char detail[64];
    struct item it = {.flags = CGW_RESF_WHOLE, .arrived_ms = t->ended_ms};
    struct ref_match m = {.refh = t->ref[0] ? store_ref_hash(t->instance, t->ref) : 0,
                          .part = t->part,
                          .route_id = t->route_id,
                          .contact_id = t->contact_id,
                          .attempt = t->attempt,
                          .n_segs = 1,
                          .receipt = t->receipt};
    if (t->state == TASK_DONE) {
        it.result = w ? w->result : CGW_RES_FAILED;
        it.code = t->outcome;
        it.code_space = "task.outcome";
        it.sub = w ? w->sub : 0;
        it.quantity = t->seconds;
        (void)snprintf(detail, sizeof detail, "%s seconds=%d", w ? w->word : "failed",
                       (int)t->seconds);
    } else if (t->state == TASK_WITHDRAWN) {
        it.result = CGW_RES_FAILED;
        it.code = t->outcome;
        it.code_space = "task.withdrawn";
        (void)snprintf(detail, sizeof detail, "%s", reason_word(t->outcome));
    } else {
        it.result = CGW_RES_EXPIRED;
        it.code = t->leases;
        it.code_space = "task.expired";
        (void)snprintf(detail, sizeof detail, "%s", t->leases ? "leased" : "never leased");
    }
    it.raw = arena_dup(&f->arena, detail, strlen(detail));
    (void)flush_resolved(f, &m, &it);
}

/* Certain that nobody spoke to this person: the contact does not count against a cap. */
static void give_back(struct flush *f, const struct task_end *t)
{
    if (t->leases || t->state == TASK_DONE)
        return;
    f->release[f->n_release].part = t->part;
    f->release[f->n_release++].contact_id = t->contact_id;
}

/* What the person said to the agent: an answer like one that was written, of a known contact. */
static int respond(struct flush *f, const struct task_end *t)
{
    const struct task_word *w = t->state == TASK_DONE ? task_word(t->outcome) : NULL;
    if (!w || !w->said)
        return 0;
    struct response_row r = {.part = t->part,
                             .customer_id = t->customer_id,
                             .ts_ms = t->ended_ms,
                             .dedupe = t->contact_id * 31 + t->attempt,
                             .channel = CGW_CHANNEL_TASK,
                             .kind = CGW_IN_TASK,
                             .meaning = w->meaning,
                             .own_address = "",
                             .instance = t->instance,
                             .body = t->note,
                             .body_len = strlen(t->note)};
    int64_t id = 0;
    int rc = store_response_put(f->db, &r, &id, f->diag);
    if (rc == CGW_EEXISTS)
        return 0;
    if (rc == 0)
        rc = store_attribution_put(f->db, t->part, id, t->contact_id, 2, f->diag);
    if (rc == 0)
        flush_stat(f, t->contact_id, STAT_RESPONSES, w->meaning, 1);
    METRIC_INC("campgw_responses_total", optout_kind_word(w->meaning));
    return rc;
}

/* Under the locks: those that nobody has settled meanwhile. */
int flush_tasks(struct flush *f)
{
    int n = 0, rc;
    for (int i = 0; i < f->n; i++)
        n += f->items[i]->kind == ITEM_TASK;
    if (n == 0)
        return 0;
    struct task_end *keys = arena_alloc(&f->arena, (size_t)n * sizeof *keys);
    f->endings = arena_alloc(&f->arena, (size_t)n * sizeof *f->endings);
    if (!keys || !f->endings)
        return diag_set(f->diag, CGW_ELIMIT, "", "flush memory");
    n = 0;
    for (int i = 0; i < f->n; i++) {
        const struct item *it = f->items[i];
        if (it->kind != ITEM_TASK)
            continue;
        keys[n].part = it->part;
        keys[n].contact_id = it->contact.contact_id;
        keys[n++].attempt = it->contact.attempt;
    }
    qsort(keys, (size_t)n, sizeof *keys, by_key);
    rc = store_tasks_settle(f->db, f->now_ms, keys, n, f->endings, &f->n_endings, f->diag);
    for (int i = 0; rc == 0 && i < f->n_endings; i++) {
        say(f, &f->endings[i]);
        give_back(f, &f->endings[i]);
        rc = respond(f, &f->endings[i]);
    }
    return rc;
}

/* ---- the sweep --------------------------------------------------------------------------------
 */
int tasks_sweep(struct outcome_writer *w, struct item **batch, int n, int max)
{
    static struct task_end found[SWEEP_TASKS]; /* writer thread only */
    struct diag d = {0};
    int m = 0, most = max - n < SWEEP_TASKS ? max - n : SWEEP_TASKS;
    bool poked = atomic_exchange(&w->poked, false);
    if (most <= 0 || (!poked && clock_mono_ms() - w->tasks_mono_ms < SWEEP_MS))
        return n;
    w->tasks_mono_ms = clock_mono_ms();
    if (store_tasks_ended(w->db, clock_utc_ms(), found, most, &m, &d) < 0)
        return n;
    for (int i = 0; i < m; i++) {
        struct item *it = calloc(1, sizeof *it);
        if (!it)
            break;
        it->kind = ITEM_TASK;
        it->part = found[i].part;
        it->contact.contact_id = found[i].contact_id;
        it->contact.attempt = found[i].attempt;
        batch[n++] = it;
    }
    if (m == most)
        atomic_store(&w->poked, true);
    return n;
}

/* ---- counts -----------------------------------------------------------------------------------
 */
/* An accept with a document has left our hands: its row is counted, or there will be none. */
void tasks_included(struct outcome_writer *w, const struct item *it)
{
    const char *name, *zone;
    if (it->kind != ITEM_RESULT || !it->document || !w->cfg.pulled)
        return;
    for (unsigned i = 0; i < OUTCOME_PULLED_MAX && (name = w->cfg.pulled(w->cfg.ctx, i, &zone));
         i++)
        if (!strcmp(name, it->instance))
            w->included[i]++;
    w->counted = true;
}

void tasks_tally(struct outcome_writer *w)
{
    const char *name, *zone;
    struct diag d = {0};
    if (!w->cfg.pulled || !w->cfg.tally || !w->db || !db_is_up(w->db) ||
        (!w->counted && clock_mono_ms() - w->tallied_mono_ms < TALLY_MS))
        return;
    w->tallied_mono_ms = clock_mono_ms();
    w->counted = false;
    for (unsigned i = 0; i < OUTCOME_PULLED_MAX && (name = w->cfg.pulled(w->cfg.ctx, i, &zone));
         i++) {
        struct task_counts c;
        if (store_task_counts(w->db, name, zone, clock_utc_ms(), &c, &d) < 0)
            return;
        w->cfg.tally(w->cfg.ctx, name,
                     &(struct cgw_tally){.size = sizeof(struct cgw_tally),
                                         .day = (uint64_t)c.day,
                                         .month = (uint64_t)c.month,
                                         .open = (uint64_t)c.open,
                                         .included = w->included[i]});
    }
}
