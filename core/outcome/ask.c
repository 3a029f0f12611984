/* SPDX-License-Identifier: Apache-2.0 */
/* ask.c - accepted, validity over, no receipt: the network is asked what became of it. Once each
 * and few a second, because a peer that loses receipts loses them by the thousand. Decides nothing:
 * an answer is a receipt like any other. */
#include "outcome/outcome_int.h"

#include "base/clock.h"
#include "base/metrics.h"

#include <string.h>

#define ASKS_PER_CALL 64
#define LOOKING_MS 50 /* at most so long in one call: the caller has other waves */

static struct ask_progress *progress_of(struct outcome_asker *a, int32_t wave_id)
{
    struct ask_progress *oldest = &a->waves[0];
    for (int i = 0; i < OUTCOME_ASK_WAVES; i++) {
        if (a->waves[i].wave_id == wave_id)
            return &a->waves[i];
        if (a->waves[i].used_mono_ms < oldest->used_mono_ms)
            oldest = &a->waves[i];
    }
    *oldest = (struct ask_progress){.wave_id = wave_id};
    return oldest;
}

static void refill(struct outcome_asker *a)
{
    int64_t now = clock_mono_ms();
    if (now - a->refilled_mono_ms < 1000)
        return;
    a->refilled_mono_ms = now;
    a->left = a->per_s;
}

/* \return whether the channel took it. Who has no such instance, or cannot ask, is passed by. */
static bool ask(struct outcome_asker *a, const struct overdue *o)
{
    struct cgw_ask one = {
        .size = sizeof one,
        .peer_id = o->peer_id,
        .from = {o->sender[0] ? o->sender_kind : 0, (uint32_t)strlen(o->sender), o->sender}};
    uint32_t taken = a->query(a->ctx, o->instance, &one, 1);
    METRIC_INC("campgw_receipts_asked_total", taken ? "asked" : "passed");
    return taken == 1;
}

int outcome_ask_wave(struct outcome_asker *a, struct db *db, int32_t wave_id, struct diag *diag)
{
    struct overdue rows[ASKS_PER_CALL];
    struct ask_progress *at = progress_of(a, wave_id);
    int64_t until = clock_mono_ms() + LOOKING_MS;
    int rc = 0;
    refill(a);
    at->used_mono_ms = clock_mono_ms();
    while (rc == 0 && a->left && at->part < STORE_PARTS && clock_mono_ms() < until) {
        struct overdue after = {
            .contact_id = at->contact_id, .attempt = at->attempt, .seg = at->seg};
        bool end = false;
        int n = 0, max = a->left < ASKS_PER_CALL ? (int)a->left : ASKS_PER_CALL;
        rc = store_overdue(db, at->part, wave_id, &after, rows, max, &n, &end, diag);
        for (int i = 0; rc == 0 && i < n; i++)
            a->left -= ask(a, &rows[i]);
        if (rc == 0 && !end) {
            at->contact_id = after.contact_id;
            at->attempt = after.attempt;
            at->seg = after.seg;
        } else if (rc == 0) {
            int32_t next = at->part + 1;
            *at = (struct ask_progress){
                .wave_id = wave_id, .part = next, .used_mono_ms = at->used_mono_ms};
        }
    }
    return rc;
}
