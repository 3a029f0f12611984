/* SPDX-License-Identifier: Apache-2.0 */
/* send.c - windows of a decided batch: credit → intent (durable) → submit. Nothing goes to a
 * channel that is not behind a committed intent, and no intent is committed without credit for all
 * of it. Source: sql/README.md, "Protocol". */
#include "dispatch/dispatch_int.h"

#include "address/address.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/word.h"
#include "store/store_partner.h"
#include "store/store_trouble.h"

#include <errno.h>
#include <string.h>

#define VALIDITY_LONGEST_MS INT64_C(172800000) /* the network keeps a message at most two days */

struct window {
    const struct route_info *route;
    struct plugin_instance *inst;
    int rows[DISPATCH_WINDOW_ROWS]; /* indexes into batch.rows */
    int n;
    uint32_t segments, reserved;
    bool closed; /* the intent found the route paused */
};

static bool closing(const struct contact_row *r, int64_t now_ms)
{
    return r->verdict.closes_ms - DISPATCH_CLOSE_EARLY_MS <= now_ms;
}

/* Rows for one intent: consecutive ones that share a route, as many as credit, rate and in-flight
 * room allow. */
static void gather(struct worker *w, struct window *win)
{
    struct batch *b = &w->batch;
    win->n = 0;
    win->route = NULL;
    win->segments = 0;
    if (store_trouble_with(
            STORE_WRITER_OUTCOME)) /* results could not be stored: as without credit */
        return;
    for (int i = b->at; i < b->n && win->n < DISPATCH_WINDOW_ROWS; i++) {
        if (b->rows[i].gone)
            continue;
        const struct route_info *r =
            routing_choose(b->control, w->d->cfg.registry, b->wave, &b->rows[i], true);
        if (!r || (win->route && r != win->route))
            break;
        win->route = r;
        win->rows[win->n++] = i;
        win->segments += b->rows[i].segments;
    }
    if (!win->route) {
        win->n = 0;
        return;
    }
    win->inst = registry_find(w->d->cfg.registry, win->route->instance);
    uint32_t room = inflight_room(w->d->inflight),
             want = (uint32_t)win->n < room ? (uint32_t)win->n : room;
    struct route_info partner = rate_of_partner(b->wave);
    uint32_t granted = rate_take(w->d, &partner, want);
    uint32_t may = rate_take(w->d, win->route, win->segments), used = 0;
    uint32_t n = 0;
    want = granted;
    while (n < want && used + b->rows[win->rows[n]].segments <= may)
        used += b->rows[win->rows[n++]].segments;
    if (n == 0 && want && may) /* a message longer than the bucket goes on credit */
        n = 1;
    win->reserved = n ? instance_reserve(win->inst, b->wave->lane, n) : 0;
    uint32_t spent = 0;
    for (uint32_t i = 0; i < win->reserved; i++)
        spent += b->rows[win->rows[i]].segments;
    rate_back(w->d, win->route, may > spent ? may - spent : 0);
    rate_owe(w->d, win->route, spent > may ? spent - may : 0);
    rate_back(w->d, &partner, granted - win->reserved);
    win->n = (int)win->reserved;
    win->segments = spent;
}

static void give_up(struct worker *w, struct window *win)
{
    instance_unreserve(win->inst, w->batch.wave->lane, win->reserved);
    rate_back(w->d, win->route, win->segments);
    struct route_info partner = rate_of_partner(w->batch.wave);
    rate_back(w->d, &partner, (uint32_t)win->n);
    win->reserved = 0;
}

/* Only so many of the window go as the partner's quota of the day still allows; the others find it
 * empty when they are looked at again. Their channel credit goes back with the submit. */
static int take_quota(struct worker *w, struct window *win, int64_t now_ms, struct diag *diag)
{
    struct batch *b = &w->batch;
    uint32_t got = (uint32_t)win->n, spent = 0;
    int rc = store_partner_take(w->db, b->wave->partner_id, now_ms, got, &got, diag);
    if (rc < 0 || got == (uint32_t)win->n)
        return rc;
    if (got == 0)
        return CGW_EBUSY;
    struct route_info partner = rate_of_partner(b->wave);
    rate_back(w->d, &partner, (uint32_t)win->n - got);
    win->n = (int)got;
    for (uint32_t i = 0; i < got; i++)
        spent += b->rows[win->rows[i]].segments;
    rate_back(w->d, win->route, win->segments - spent);
    win->segments = spent;
    return 0;
}

/* The last seq that this window covers: also the withdrawn rows behind its last one, so that
 * sent_hi never looks back at them. */
static int64_t covers(const struct batch *b, const struct window *win)
{
    int last = win->rows[win->n - 1];
    while (last + 1 < b->n && b->rows[last + 1].gone)
        last++;
    return last + 1 == b->n && !b->echo ? b->chunk.seq_hi : b->rows[last].seq;
}

static int intent_stands(struct worker *w, const struct window *win, int64_t at_ms, bool *ret,
                         struct diag *diag)
{
    struct batch *b = &w->batch;
    int64_t seqs[DISPATCH_WINDOW_ROWS];
    if (!b->echo)
        return store_intent_stands(w->db, b->chunk.part, b->chunk.wave_id,
                                   b->rows[win->rows[0]].seq, covers(b, win), w->d->cfg.node, at_ms,
                                   ret, diag);
    for (int i = 0; i < win->n; i++)
        seqs[i] = b->rows[win->rows[i]].seq;
    return store_echo_intent_stands(w->db, b->chunk.part, b->chunk.wave_id, seqs, win->n, at_ms,
                                    ret, diag);
}

/* COMMIT's answer was lost: the intent's own rows tell, once its transaction is over. */
static int commit_lost(struct worker *w, const struct window *win, int64_t at_ms, int64_t xid,
                       struct diag *diag)
{
    while (!dispatch_stopping(w->d)) {
        bool committed = false;
        if (db_reopen(w->db, diag) == 0 && store_xact_over(w->db, xid, diag) == 0 &&
            intent_stands(w, win, at_ms, &committed, diag) == 0)
            return committed ? 0 : -ENOTCONN;
        if (dispatch_wait(w, 250))
            break;
    }
    return -ENOTCONN; /* stopping: the takeover will find it in doubt */
}

/* 0 committed; CGW_EBUSY facts, rules or the caps' period moved: look again; CGW_ENOTFOUND paused;
 * else an error. ret_before: until when, on the monotonic clock, what was checked here may be used.
 */
static int commit_intent(struct worker *w, struct window *win, int64_t *ret_now,
                         int64_t *ret_before, struct diag *diag)
{
    struct batch *b = &w->batch;
    struct intent_check c;
    int64_t epoch = queue_epoch(w->d->queue, b->chunk.part);
    if (!epoch)
        return diag_set(diag, CGW_EFENCED, "", "part %d is not ours any more", b->chunk.part);
    int rc = db_begin(w->db, diag);
    if (rc == 0)
        rc = store_intent_lock(w->db, b->chunk.part, w->d->cfg.node, epoch, b->chunk.wave_id,
                               win->route->route_id, &c, diag);
    if (rc != 0)
        return rc;
    clock_set_utc(c.now_ms);
    *ret_before = clock_mono_ms() + DISPATCH_SUBMIT_WITHIN_MS;
    *ret_now = c.now_ms + clock_shift_get();
    bool cancelled = !strcmp(c.campaign_state, "cancelled");
    if (!c.running || (strcmp(c.campaign_state, "running") != 0 &&
                       strcmp(c.campaign_state, "finishing") != 0 && !cancelled))
        return CGW_ENOTFOUND;
    if (c.facts_ver != b->facts_ver || c.rules_version != rules_of(b->rules)->version ||
        cancelled || *ret_now >= b->reserved_until_ms)
        return CGW_EBUSY;
    win->closed = !c.route_open;
    if (win->closed)
        return CGW_EBUSY;
    for (int i = 0; i < win->n; i++)
        if (closing(&b->rows[win->rows[i]], *ret_now))
            return CGW_EBUSY;
    rc = take_quota(w, win, *ret_now, diag);
    if (rc < 0)
        return rc;
    if (b->echo) {
        int64_t seqs[DISPATCH_WINDOW_ROWS];
        for (int i = 0; i < win->n; i++)
            seqs[i] = b->rows[win->rows[i]].seq;
        rc = store_echo_state(w->db, b->chunk.part, b->chunk.wave_id, seqs, win->n, 2,
                              win->route->route_id, *ret_now, diag);
    } else {
        rc = store_intent_chunk(w->db, &b->chunk, b->rows[win->rows[0]].seq, covers(b, win),
                                win->route->route_id, w->d->cfg.node, *ret_now, diag);
    }
    if (rc < 0)
        return rc;
    rc = db_commit(w->db, diag);
    return rc == -ENOTCONN ? commit_lost(w, win, *ret_now, c.xid, diag) : rc;
}

/* Classes without calendar, not_after and validity never close. */
static int64_t ends_ms(const struct contact_row *r, int64_t now_ms)
{
    int64_t most = now_ms + VALIDITY_LONGEST_MS;
    return r->verdict.closes_ms < most ? r->verdict.closes_ms : most;
}

static void contact_of(struct worker *w, const struct contact_row *r, const struct route_info *t,
                       int64_t now_ms, struct outcome_contact *c)
{
    struct batch *b = &w->batch;
    *c = (struct outcome_contact){
        .epoch = b->epoch,
        .part = b->chunk.part,
        .wave_id = b->chunk.wave_id,
        .route_id = t->route_id,
        .contact_id = contact_id(b, r),
        .customer_id = r->customer_id,
        .attempt = r->attempt,
        .tries = r->tries,
        .max_tries = t->max_tries,
        .from_echo = b->echo,
        .resent = r->resent,
        .want_receipt = t->receipts,
        .address_key = customer_key(w->d->cfg.identity_key, r->address, strlen(r->address)),
        .intended_utc_ms = now_ms,
        .not_after_utc_ms = ends_ms(r, now_ms),
        .run = b->run};
}

static void submit(struct worker *w, struct window *win, int64_t now_ms, int64_t before)
{
    struct batch *b = &w->batch;
    struct cgw_message msgs[DISPATCH_WINDOW_ROWS];
    struct outcome_contact contacts[DISPATCH_WINDOW_ROWS];
    bool late =
        clock_mono_ms() >= before; /* COMMIT's answer was lost for a while, or we were stopped:
                                      hours and do-not-disturb may be others by now */
    int n = 0;
    for (; !late && n < win->n; n++) {
        const struct contact_row *r = &b->rows[win->rows[n]];
        contact_of(w, r, win->route, now_ms, &contacts[n]);
        if (!inflight_add(w->d->inflight, &contacts[n]))
            break; /* another worker took the room since gather(): these rows are certainly not sent
                    */
        atomic_fetch_add(&b->run->outstanding, 1);
        atomic_fetch_add(&w->d->part_inflight[b->chunk.part], 1);
        judge_message(b, r, win->route, &msgs[n]);
        msgs[n].token = contacts[n].token;
        msgs[n].submit_before_mono_ms = before;
        msgs[n].not_after_utc_ms = ends_ms(r, clock_utc_ms()) - DISPATCH_CLOSE_EARLY_MS;
    }
    uint32_t taken = n ? instance_submit_reserved(win->inst, msgs, (uint32_t)n) : 0;
    atomic_store(&w->d->last_submit_utc_ms, now_ms);
    METRIC_ADD("campgw_messages_submitted_total", taken, channel_word(b->wave->channel),
               win->route->name, class_word(b->wave->contact_class));
    struct cgw_result not_sent = {.size = sizeof not_sent,
                                  .result = CGW_RES_NOT_SENT,
                                  .code_space = "campgw",
                                  .raw = "channel took less than its credit"};
    for (int i = (int)taken; i < win->n; i++) {
        if (i >= n) { /* no slot: the writer needs none to put the row back in line */
            contact_of(w, &b->rows[win->rows[i]], win->route, now_ms, &contacts[i]);
            atomic_fetch_add(&b->run->outstanding, 1);
            atomic_fetch_add(&w->d->part_inflight[b->chunk.part], 1);
        }
        not_sent.token = contacts[i].token;
        outcome_result(w->d->writer, &contacts[i], win->route->instance, &not_sent);
    }
    if (taken < win->reserved)
        instance_unreserve(win->inst, b->wave->lane, win->reserved - taken);
    b->at = win->rows[win->n - 1] + 1;
}

static bool rows_left(struct batch *b)
{
    while (b->at < b->n && b->rows[b->at].gone)
        b->at++;
    return b->at < b->n;
}

/* Routes, queues or the campaign may have changed: see with fresh eyes. CGW_ENOTFOUND = paused. */
static int look_anew(struct worker *w, struct diag *diag)
{
    struct batch *b = &w->batch;
    struct control *fresh = control_ref(w, diag);
    if (!fresh)
        return CGW_EDB;
    const struct wave_info *wave = control_wave(fresh, b->chunk.wave_id);
    bool go_on = wave && fresh->running;
    control_unref(w->d, go_on ? b->control : fresh);
    if (!go_on)
        return CGW_ENOTFOUND;
    b->control = fresh;
    b->wave = wave;
    return 0;
}

/* One window. 0 = sent or looked again; CGW_EBUSY = nothing can go now; CGW_ENOTFOUND = paused. */
static int one_window(struct worker *w, struct diag *diag)
{
    struct batch *b = &w->batch;
    struct window win = {0};
    int64_t now_ms = 0, before = 0;
    if (b->facts_ver == INT64_MIN || closing(&b->rows[b->at], clock_utc_ms()) || b->wave->cancelled)
        return decide_again(w, diag);
    gather(w, &win);
    if (win.n == 0)
        return CGW_EBUSY;
    int rc = commit_intent(w, &win, &now_ms, &before, diag);
    db_rollback(w->db);
    if (rc == 0) {
        submit(w, &win, now_ms, before);
        return 0;
    }
    give_up(w, &win);
    if (win.closed) {
        rc = look_anew(w, diag);
        return rc < 0 ? rc : CGW_EBUSY;
    }
    return rc == CGW_EBUSY ? decide_again(w, diag) : rc;
}

int send_batch(struct worker *w, struct diag *diag)
{
    struct batch *b = &w->batch;
    int64_t waiting_since = 0, stalled_since = 0;
    while (rows_left(b)) {
        if (dispatch_stopping(w->d))
            return CGW_ESTATE;
        int rc = one_window(w, diag);
        if (rc == CGW_EBUSY && db_is_up(w->db)) {
            int64_t now = clock_mono_ms();
            waiting_since = waiting_since ? waiting_since : now;
            stalled_since = stalled_since ? stalled_since : now;
            if (now - stalled_since > STALLED_MS)
                return CGW_EBUSY;
            if (now - waiting_since > CONTROL_AGE_MS) {
                rc = look_anew(w, diag);
                if (rc < 0)
                    return rc;
                waiting_since = now;
            }
            (void)dispatch_wait(w, 50);
            continue;
        }
        waiting_since = stalled_since = 0;
        if (rc < 0)
            return rc;
    }
    return 0;
}