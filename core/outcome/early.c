/* SPDX-License-Identifier: Apache-2.0 */
/* early.c - receipts that fit no accept yet: kept in receipt_early, and looked at again. A receipt
 * and its accept may be stored at the same time, by two nodes or in two flushes, and then neither
 * transaction sees the other's row. So each looks for the other after its own commit as well:
 * whichever commits last finds both. The sweep is for the rest: what a crash in between leaves, who
 * is in doubt, what a node that knew of no waiting receipt did not look for, and ids that may be
 * spelled in another way. */
#include "outcome/flush.h"

#include "base/clock.h"
#include "base/metrics.h"

#include <stdio.h>
#include <string.h>

_Static_assert(OUTCOME_SWEEP_ROWS <= OUTCOME_EARLY_ROWS, "a sweep fits where a look fits");

int early_keep(struct flush *f, const struct item *it, int64_t refh, int64_t key, bool other)
{
    if (it->early_id) /* it waits already */
        return 0;
    struct early_receipt *e = arena_alloc(&f->arena, sizeof *e);
    if (!e)
        return diag_set(f->diag, CGW_ELIMIT, "", "flush memory");
    *e = (struct early_receipt){.refh = refh,
                                .person_key = key,
                                .arrived_ms = it->arrived_ms,
                                .reference = it->reference,
                                .result = (int16_t)it->result,
                                .flags = (int32_t)it->flags,
                                .sub = (int16_t)it->sub,
                                .quantity = it->quantity,
                                .code = it->code,
                                .mismatched = other};
    memcpy(e->instance, it->instance, sizeof e->instance);
    (void)strncpy(e->ref, it->ref, sizeof e->ref - 1);
    (void)strncpy(e->code_space, it->code_space, sizeof e->code_space - 1);
    (void)strncpy(e->raw, it->raw, sizeof e->raw - 1);
    for (uint32_t i = 0; i < CGW_ALSO_MAX; i++)
        if (it->also[i] && it->also[i][0] && !strchr(it->also[i], ' '))
            (void)snprintf(e->also + strlen(e->also), sizeof e->also - strlen(e->also), "%s%s",
                           e->also[0] ? " " : "", it->also[i]);
    f->early_put[f->n_early_put++] = e;
    return 0;
}

static void look_again_for(struct outcome_writer *w, int64_t refh)
{
    if (w->n_again < (int)ARRAY_LEN(w->again)) /* else the sweep comes to it */
        w->again[w->n_again++] = refh;
}

void early_committed(struct flush *f)
{
    struct outcome_writer *w = f->w;
    w->early_known += f->n_early_put;
    for (int i = 0; i < f->n_early_put; i++) {
        METRIC_INC("campgw_receipts_total", f->early_put[i]->mismatched ? "mismatched" : "early");
        if (f->early_put[i]->ref[0]) /* those without an id are the sweep's: all have one hash */
            look_again_for(w, f->early_put[i]->refh);
    }
    if (!w->early_known)
        return;
    for (int i = 0; i < f->n_submits; i++)
        if (f->submits[i].refh)
            look_again_for(w, f->submits[i].refh);
}

static struct item *item_of(struct early_receipt *e)
{
    char *rest = NULL;
    struct cgw_receipt r = {.size = sizeof r,
                            .result = (uint32_t)e->result,
                            .flags = (uint32_t)e->flags,
                            .sub = (uint32_t)e->sub,
                            .quantity = (uint32_t)e->quantity,
                            .provider_id = e->ref,
                            .code = e->code,
                            .code_space = e->code_space,
                            .raw = e->raw,
                            .reference = (uint64_t)e->reference,
                            .arrived_utc_ms = e->arrived_ms};
    for (uint32_t i = 0; i < CGW_ALSO_MAX; i++)
        r.also[i] = strtok_r(i ? NULL : e->also, " ", &rest);
    struct item *it = receipt_item(e->instance, &r);
    if (it) {
        it->early_id = e->id;
        it->person_key = e->person_key;
    }
    return it;
}

/* \return items in the batch now: each row once, from `from` on. */
static int add_items(struct item **batch, int from, int n, struct early_receipt *rows, int n_rows)
{
    int looked = n;
    for (int i = 0; i < n_rows; i++) {
        bool there = false;
        for (int k = from; k < looked && !there; k++)
            there = batch[k]->early_id == rows[i].id;
        struct item *it = there ? NULL : item_of(&rows[i]);
        if (it)
            batch[n++] = it;
    }
    return n;
}

/* What did not fit is looked at the next time. */
static void forget_looked(struct outcome_writer *w, const struct early_receipt *rows, int n)
{
    int left = 0;
    for (int i = 0; n == OUTCOME_EARLY_ROWS && i < w->n_again; i++)
        if (w->again[i] > rows[n - 1].refh)
            w->again[left++] = w->again[i];
    w->n_again = left;
}

int early_bring(struct outcome_writer *w, struct item **batch, int n)
{
    struct early_receipt *rows = w->early;
    struct diag d = {0};
    int from = n, found = 0;
    int64_t now = clock_mono_ms();
    /* a stopping writer would be brought again what the database does not take */
    bool sweeps = !atomic_load(&w->stop) && now - w->swept_mono_ms >= w->cfg.sweep_ms;
    if (!sweeps && !w->n_again)
        return n;
    if (outcome_connected(w, &d) < 0 ||
        (w->n_again &&
         store_early_find(w->db, w->again, w->n_again, rows, OUTCOME_EARLY_ROWS, &found, &d) < 0)) {
        w->n_again = 0; /* rather than trying all the time; the sweep comes to them */
        return n;
    }
    n = add_items(batch, from, n, rows, found);
    forget_looked(w, rows, found);
    if (!sweeps)
        return n;
    w->swept_mono_ms = now;
    /* counted although we know of none: another node may have kept some, and died */
    if (store_early_count(w->db, &w->early_known, &d) < 0 ||
        store_doubt_count(w->db, &w->doubts_known, &d) < 0 || !w->early_known ||
        store_early_after(w->db, w->swept_id, rows, OUTCOME_SWEEP_ROWS, &found, &d) < 0)
        return n;
    w->swept_id = found == OUTCOME_SWEEP_ROWS ? rows[found - 1].id : 0;
    return add_items(batch, from, n, rows, found);
}
