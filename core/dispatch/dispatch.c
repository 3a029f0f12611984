/* SPDX-License-Identifier: Apache-2.0 */
/* dispatch.c - threads, wake-ups, the channels' sink. See dispatch.h. */
#include "dispatch/dispatch_int.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/word.h"
#include "store/store_trouble.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

bool dispatch_stopping(struct dispatch *d)
{
    (void)pthread_mutex_lock(&d->lock);
    bool stop = d->stop;
    (void)pthread_mutex_unlock(&d->lock);
    return stop;
}

static bool wait_on(struct dispatch *d, pthread_cond_t *cond, const uint64_t *count, uint64_t *seen,
                    int ms)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)ms * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    (void)pthread_mutex_lock(&d->lock);
    while (!d->stop && *count == *seen)
        if (pthread_cond_timedwait(cond, &d->lock, &until) == ETIMEDOUT)
            break;
    *seen = *count;
    bool stop = d->stop;
    (void)pthread_mutex_unlock(&d->lock);
    return stop;
}

bool dispatch_wait(struct worker *w, int ms)
{
    return wait_on(w->d, &w->d->room, &w->d->wakes, &w->seen_wakes, ms);
}

/* With nothing in hand: room for messages is no reason to ask the database for work. */
static bool wait_for_work(struct worker *w, int ms)
{
    return wait_on(w->d, &w->d->more, &w->d->work, &w->seen_work, ms);
}

void dispatch_work_here(struct dispatch *d)
{
    d->wakes++;
    d->work++;
    (void)pthread_cond_broadcast(&d->more);
    (void)pthread_cond_broadcast(&d->room);
}

void dispatch_wake(void *arg)
{
    struct dispatch *d = arg;
    (void)pthread_mutex_lock(&d->lock);
    d->changes++; /* the snapshot may be what changed */
    dispatch_work_here(d);
    (void)pthread_mutex_unlock(&d->lock);
}

void dispatch_planned(void *arg, int32_t wave_id)
{
    struct dispatch *d = arg;
    if (d->queue)
        queue_look_again(d->queue, wave_id);
    (void)pthread_mutex_lock(&d->lock);
    bool known = d->control && control_wave(d->control, wave_id);
    (void)pthread_mutex_unlock(&d->lock);
    if (known)
        dispatch_poke(d);
    else
        dispatch_wake(d);
}

void dispatch_poke(void *arg)
{
    struct dispatch *d = arg;
    (void)pthread_mutex_lock(&d->lock);
    dispatch_work_here(d);
    (void)pthread_mutex_unlock(&d->lock);
}

/* For whoever waits with messages in hand. */
static void more_room(struct dispatch *d)
{
    (void)pthread_mutex_lock(&d->lock);
    d->wakes++;
    (void)pthread_cond_broadcast(&d->room);
    (void)pthread_mutex_unlock(&d->lock);
}

/* ---- the channels' side
 * ------------------------------------------------------------------------------------------- */
static void credit_changed(void *arg, struct plugin_instance *inst)
{
    (void)inst;
    more_room(arg);
}

static struct metric *duration_of(struct dispatch *d, int32_t route_id)
{
    char channel[16], route[80];
    const char *const label[] = {route};
    return dispatch_route_name(d, route_id, channel, route)
               ? metric_get("campgw_submit_duration_seconds", label, 1)
               : NULL;
}

/* A batch mostly is of one route: its series is found once, and counted under one lock. */
struct durations {
    int32_t route_id;
    size_t n;
    double s[64];
};

static void observe(struct dispatch *d, struct durations *t)
{
    if (t->n)
        metric_observe_all(duration_of(d, t->route_id), t->s, t->n);
    t->n = 0;
}

static void on_complete(void *arg, struct plugin_instance *inst, const struct cgw_result *results,
                        uint32_t n)
{
    struct dispatch *d = arg;
    struct durations took = {.n = 0};
    int64_t now_ms = clock_utc_ms();
    for (uint32_t i = 0; i < n; i++) {
        struct outcome_contact c;
        if (!inflight_get(d->inflight, results[i].token, &c)) {
            METRIC_INC("campgw_stale_results_total", instance_name(inst));
            continue;
        }
        if (took.n == ARRAY_LEN(took.s) || c.route_id != took.route_id)
            observe(d, &took);
        took.route_id = c.route_id;
        took.s[took.n++] = (double)(now_ms - c.intended_utc_ms) / 1000.0;
        outcome_result(d->writer, &c, instance_name(inst), &results[i]);
    }
    observe(d, &took);
}

static uint32_t on_receipt(void *arg, struct plugin_instance *inst, const struct cgw_receipt *items,
                           uint32_t n)
{
    struct dispatch *d = arg;
    return d->writer ? outcome_receipts(d->writer, instance_name(inst), items, n) : 0;
}

static uint32_t on_inbound(void *arg, struct plugin_instance *inst, const struct cgw_inbound *items,
                           uint32_t n)
{
    struct dispatch *d = arg;
    return d->writer ? outcome_inbound(d->writer, instance_name(inst),
                                       instance_plugin(inst)->caps.channel, items, n)
                     : 0;
}

struct instance_sink dispatch_sink(struct dispatch *d)
{
    return (struct instance_sink){.ctx = d,
                                  .complete = on_complete,
                                  .receipt = on_receipt,
                                  .inbound = on_inbound,
                                  .credit_changed = credit_changed};
}

void dispatch_settled(void *arg, const struct outcome_contact *contacts, uint32_t n)
{
    struct dispatch *d = arg;
    for (uint32_t i = 0; i < n; i++) {
        struct chunk_run *run = contacts[i].run;
        if (contacts[i].token)
            inflight_release(d->inflight, contacts[i].token);
        atomic_fetch_sub(&d->part_inflight[contacts[i].part], 1);
        atomic_fetch_sub(&run->outstanding, 1);
    }
    more_room(d);
}

/* ---- chunks in work
 * --------------------------------------------------------------------------------------------------
 */
void run_free(struct chunk_run *r)
{
    if (r->chunk_no < 0)
        queue_echo_done(r->d->queue, r->part, r->wave_id);
    else
        queue_chunk_back(r->d->queue, r->part, r->wave_id, r->chunk_no);
    free(r);
}

static bool run_finished(void *arg)
{
    struct chunk_run *r = arg;
    return atomic_load(&r->outstanding) == 0;
}

static void run_done(void *arg)
{
    run_free(arg);
}

/* Hand the run to the writer: it marks the chunk done (when all of it went out) and frees the run
 * after the last result. */
static void hand_over(struct worker *w, bool all_sent)
{
    struct batch *b = &w->batch;
    struct chunk_run *run = b->run;
    b->run = NULL;
    if (run->chunk_no < 0)
        queue_echo_sent(w->d->queue, run->part, run->wave_id);
    outcome_chunk_sent(w->d->writer, run->part, run->wave_id, all_sent ? run->chunk_no : -1, run,
                       run_finished, run_done);
}

static void put_back(struct worker *w, const struct chunk_ref *c)
{
    if (c->chunk_no < 0)
        queue_echo_back(w->d->queue, c->part, c->wave_id);
    else
        queue_chunk_back(w->d->queue, c->part, c->wave_id, c->chunk_no);
}

/* Nobody looks at decided echo rows before a takeover: what this thread will not send must wait
 * again, however long the database is away. (Of a chunk nothing is to do: sent_hi says where it
 * stands.) */
static void unsent_echo_back(struct worker *w, int delay_ms)
{
    int rc = -ENOTCONN;
    while (rc < 0 && rc != CGW_EFENCED && !dispatch_stopping(w->d)) {
        struct diag d = {0};
        rc = db_is_up(w->db) ? 0 : db_reopen(w->db, &d);
        if (rc == 0)
            rc = decide_echo_back(w, delay_ms, &d);
        if (rc < 0 && rc != CGW_EFENCED)
            (void)dispatch_wait(w, 250);
    }
}

/* A wave that fails, or whose routes take nothing, must not stand before the others. */
static void rest(struct worker *w, int32_t wave_id, int rc)
{
    if (rc != 0 && rc != CGW_ENOTFOUND && rc != -ENOTCONN && rc != CGW_EFENCED)
        queue_rest(w->d->queue, wave_id, rc == CGW_ESTATE ? REST_MS / 4 : REST_MS);
}

/* Decide and send one piece of work that the queue handed out. */
static int work_on(struct worker *w, const struct chunk_ref *c, int decided, struct diag *diag)
{
    int rc = decided;
    if (rc == 0)
        rc = send_batch(w, diag);
    if (c->chunk_no < 0 && rc != 0 && decided != CGW_ENOTFOUND && w->batch.epoch)
        unsent_echo_back(w, decided == 0 && rc == CGW_EBUSY ? ECHO_REST_MS : 0);
    if (decided != CGW_EBUSY) /* else only the rules moved while we looked */
        rest(w, c->wave_id, rc);
    if (decided == 0)
        hand_over(w, rc == 0);
    else
        put_back(w, c);
    batch_done(w);
    return rc;
}

/* No decision before somebody can carry it out: it would only grow old. */
static bool stuck(struct worker *w, const struct control *control, int32_t wave_id)
{
    const struct wave_info *wave = control_wave(control, wave_id);
    if (!wave || wave->cancelled || routing_can_go(control, w->d->cfg.registry, wave))
        return false;
    queue_rest(w->d->queue, wave_id, REST_MS);
    return true;
}

static int next_piece(struct worker *w, struct diag *diag)
{
    if (store_trouble_with(STORE_WRITER_OUTCOME))
        return CGW_ENOTFOUND;
    struct control *control = control_ref(w, diag);
    if (!control)
        return CGW_EDB;
    int64_t now_ms = clock_utc_ms();
    struct echo_due echo;
    struct chunk_ref chunk = {0};
    int rc = control->running ? queue_next_echo(w->d->queue, w->db, w->lane, now_ms, &echo, diag)
                              : CGW_ENOTFOUND;
    if (rc == 0) {
        bool later = stuck(w, control, echo.wave_id);
        control_unref(w->d, control);
        if (later) {
            queue_echo_back(w->d->queue, echo.part, echo.wave_id);
            return 0; /* it rests now: look for other work */
        }
        chunk = (struct chunk_ref){.part = echo.part, .wave_id = echo.wave_id, .chunk_no = -1};
        return work_on(w, &chunk, decide_echo(w, &echo, diag), diag);
    }
    if (rc == CGW_ENOTFOUND && control->running)
        rc = queue_next_chunk(w->d->queue, w->db, control, w->lane, now_ms, &chunk, diag);
    if (rc == 0 && stuck(w, control, chunk.wave_id)) {
        put_back(w, &chunk);
        control_unref(w->d, control);
        return 0;
    }
    control_unref(w->d, control);
    if (rc < 0)
        return rc;
    return work_on(
        w, &chunk,
        chunk.state == 0 ? decide_chunk(w, &chunk, diag) : decide_resume(w, &chunk, diag), diag);
}

static bool harmless(int rc)
{
    return rc == 0 || rc == CGW_ENOTFOUND || rc == CGW_EBUSY || rc == CGW_ESTATE;
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    unsigned failures = 0;
    while (!dispatch_stopping(w->d)) {
        struct diag d = {0};
        int rc = 0;
        if (!w->db)
            rc = db_open(w->d->cfg.conninfo, "dispatch", &w->db, &d);
        else if (!db_is_up(w->db))
            rc = db_reopen(w->db, &d);
        if (rc == 0)
            rc = next_piece(w, &d);
        bool told =
            rc != CGW_ENOTFOUND && store_trouble_note(STORE_WRITER_DISPATCH + w->no, rc, &d);
        if (harmless(rc)) {
            failures = 0;
            if (rc != 0)
                (void)wait_for_work(w, rc == CGW_EBUSY ? 5 : 100);
            continue;
        }
        char text[CGW_DIAG_MAX];
        METRIC_INC("campgw_dispatch_failures_total", diag_code_name(rc));
        if (failures++ % 20 == 0 && !told) /* complain once, then now and then */
            log_warning("dispatch.failed", "worker=%u code=%s where=%s msg=\"%s\"", w->no,
                        diag_code_name(rc), d.where, log_quote(d.text, text, sizeof text));
        (void)wait_for_work(w, failures < 5 ? 50 : 500);
    }
    db_close(w->db);
    return NULL;
}

/* ---- life
 * ---------------------------------------------------------------------------------------------------------------
 */
int dispatch_new(const struct dispatch_config *cfg, struct dispatch **ret, struct diag *diag)
{
    static const struct metric_family families[] = {
        {"campgw_messages_submitted_total", METRIC_COUNTER,
         "Messages handed to a channel behind a committed intent.", "channel,route,class"},
        {"campgw_contacts_decided_total", METRIC_COUNTER, "Policy decisions.",
         "channel,verdict,reason"},
        {"campgw_decision_duration_seconds", METRIC_HISTOGRAM,
         "One decide transaction (up to 5,000 contacts).", ""},
        {"campgw_submit_duration_seconds", METRIC_HISTOGRAM,
         "From the intent of a message to the channel's answer.", "route"},
        {"campgw_dispatch_failures_total", METRIC_COUNTER,
         "Pieces of work put back after an error.", "code"},
        {"campgw_stale_results_total", METRIC_COUNTER, "Results for tokens that are not in flight.",
         "channel_instance"},
        {NULL, METRIC_COUNTER, NULL, NULL}};
    metrics_register(families);
    struct dispatch *d = calloc(1, sizeof *d);
    if (!d)
        return diag_set(diag, -ENOMEM, "", "out of memory");
    d->cfg = *cfg;
    d->inflight = inflight_new(cfg->inflight_slots ? cfg->inflight_slots : 65536u);
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&d->lock, NULL);
    (void)pthread_mutex_init(&d->rate_lock, NULL);
    (void)pthread_cond_init(&d->more, &attr);
    (void)pthread_cond_init(&d->room, &attr);
    (void)pthread_condattr_destroy(&attr);
    if (!d->inflight) {
        free(d);
        return diag_set(diag, -ENOMEM, "", "out of memory");
    }
    *ret = d;
    return 0;
}

static int recover(void *arg, struct db *db, int32_t part, int64_t epoch, struct diag *diag)
{
    struct dispatch *d = arg;
    int64_t flagged = 0;
    int rc = outcome_recover_part(db, &d->outcome, part, epoch, &flagged, diag);
    if (rc == 0 && flagged)
        log_notice("dispatch.part.recovered", "part=%d in_doubt=%lld", part, (long long)flagged);
    return rc;
}

static bool part_idle(void *arg, int32_t part)
{
    struct dispatch *d = arg;
    return atomic_load(&d->part_inflight[part]) == 0;
}

static int worker_start(struct dispatch *d, unsigned no, int lane, struct diag *diag)
{
    struct worker *w = calloc(1, sizeof *w);
    if (w)
        w->rows = malloc(STORE_CHUNK_ROWS * sizeof *w->rows);
    if (!w || !w->rows) {
        free(w);
        return diag_set(diag, -ENOMEM, "", "out of memory");
    }
    w->d = d;
    w->no = no;
    w->lane = lane;
    (void)snprintf(w->owner, sizeof w->owner, "%.48s/d%u", d->cfg.node, no);
    int rc = pthread_create(&w->thread, NULL, worker_main, w);
    if (rc != 0) {
        free(w->rows);
        free(w);
        return diag_set(diag, -rc, "", "cannot start a dispatcher thread");
    }
    d->workers[d->n_workers++] = w;
    return 0;
}

int dispatch_start(struct dispatch *d, struct registry *registry, struct outcome_writer *writer,
                   const struct outcome_config *outcome, struct diag *diag)
{
    d->cfg.registry = registry;
    d->writer = writer;
    d->outcome = *outcome;
    struct queue_config q = {.conninfo = d->cfg.conninfo,
                             .node = d->cfg.node,
                             .version = d->cfg.version,
                             .lease_ttl_ms = d->cfg.lease_ttl_ms ? d->cfg.lease_ttl_ms : 10000,
                             .recover = recover,
                             .idle = part_idle,
                             .ctx = d};
    int rc = queue_start(&q, &d->queue, diag);
    unsigned bulk = d->cfg.bulk_threads ? d->cfg.bulk_threads : 2;
    if (rc == 0)
        rc = worker_start(d, 0, CGW_LANE_URGENT, diag);
    for (unsigned i = 1; rc == 0 && i <= bulk && i < WORKERS_MAX; i++)
        rc = worker_start(d, i, CGW_LANE_BULK, diag);
    return rc;
}

void dispatch_halt(struct dispatch *d)
{
    (void)pthread_mutex_lock(&d->lock);
    d->stop = true;
    (void)pthread_cond_broadcast(&d->more);
    (void)pthread_cond_broadcast(&d->room);
    (void)pthread_mutex_unlock(&d->lock);
    for (unsigned i = 0; i < d->n_workers; i++)
        (void)pthread_join(d->workers[i]->thread, NULL);
}

struct dispatch *dispatch_free(struct dispatch *d)
{
    if (!d)
        return NULL;
    queue_stop(d->queue);
    for (unsigned i = 0; i < d->n_workers; i++) {
        free(d->workers[i]->rows);
        free(d->workers[i]);
    }
    control_free(d->control);
    inflight_free(d->inflight);
    (void)pthread_mutex_destroy(&d->lock);
    (void)pthread_mutex_destroy(&d->rate_lock);
    (void)pthread_cond_destroy(&d->more);
    (void)pthread_cond_destroy(&d->room);
    free(d);
    return NULL;
}

uint32_t dispatch_inflight(struct dispatch *d)
{
    return inflight_used(d->inflight);
}

int64_t dispatch_last_submit_utc_ms(struct dispatch *d)
{
    return atomic_load(&d->last_submit_utc_ms);
}

unsigned dispatch_parts(struct dispatch *d)
{
    int32_t parts[STORE_PARTS];
    return d->queue ? (unsigned)queue_parts(d->queue, parts) : 0;
}

bool dispatch_route_name(struct dispatch *d, int32_t route_id, char channel[16], char route[80])
{
    (void)pthread_mutex_lock(&d->lock);
    const struct route_info *r = d->control ? control_route(d->control, route_id) : NULL;
    if (r) {
        (void)snprintf(channel, 16, "%s", channel_word(r->channel));
        (void)snprintf(route, 80, "%s", r->name);
    }
    (void)pthread_mutex_unlock(&d->lock);
    return r != NULL;
}

bool dispatch_route_instance(struct dispatch *d, int32_t route_id, char *out)
{
    (void)pthread_mutex_lock(&d->lock);
    const struct route_info *r = d->control ? control_route(d->control, route_id) : NULL;
    if (r)
        memcpy(out, r->instance, sizeof r->instance);
    (void)pthread_mutex_unlock(&d->lock);
    return r != NULL;
}
