/* SPDX-License-Identifier: Apache-2.0 */
/* planner.c - see planner.h. A turn every 250 ms, or at once when woken. */
#include "planner/planner.h"

#include "planner/probes.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "store/store_trouble.h"
#include "store/store_plan.h"
#include "store/store_seal.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#define TURN_MS 250
#define WAVES_MAX 1024
#define REST_TIMES 4 /* at most a fifth of one core */
#define REST_MAX_MS 1000
#define HOUSEKEEPING_MS 3600000
#define QUEUES_MS 5000 /* the queues are counted this often */
#define VALIDITY_UNSET_MS                                                                          \
    INT64_C(172800000) /* no validity named: the network keeps a message at most two days */

struct planner {
    struct planner_config cfg;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t more;
    bool stop, woken, ours, halted;
    struct db *db;
    int64_t housekeeping_mono_ms, queues_mono_ms;
    struct plan_wave waves[WAVES_MAX];
};

static int plan_wave(struct planner *p, struct plan_wave *w, struct diag *diag)
{
    int64_t chunks = 0;
    int rc = 0;
    if (!strcmp(w->state, "waiting")) {
        rc = store_plan_begin(p->db, w->wave_id, diag);
        if (rc == 0)
            planner_wake(p); /* its chunks with the next turn, not a whole turn's wait later */
        return rc;
    }
    for (int32_t part = w->planned_part + 1; rc == 0 && part < STORE_PARTS; part++) {
        rc = store_plan_part(p->db, w, part, &chunks, diag);
        if (rc == 0 && chunks && p->cfg.wake)
            p->cfg.wake(p->cfg.ctx, w->wave_id); /* dispatch begins with the first part */
    }
    return rc;
}

static bool validity_over(const struct plan_wave *w, int64_t now_ms, int64_t grace_ms)
{
    int64_t end =
        w->drained_ms + clock_shift_get() + (w->validity_ms ? w->validity_ms : VALIDITY_UNSET_MS);
    if (w->not_after_ms && w->not_after_ms < end)
        end = w->not_after_ms;
    return now_ms > end + grace_ms && now_ms > w->drained_ms + grace_ms;
}

/* Whose validity is over is not asked for any more: it is delivered or never will be. */
static int recall_wave(struct planner *p, const struct plan_wave *w, int64_t now_ms,
                       struct diag *diag)
{
    bool drained = !strcmp(w->state, "finishing") && !w->busy;
    if (!p->cfg.recall_wave || strcmp(w->campaign_state, "cancelled") != 0 ||
        (w->not_after_ms && now_ms >= w->not_after_ms) || (drained && w->pending <= 0))
        return 0;
    return p->cfg.recall_wave(p->cfg.ctx, p->db, w->wave_id,
                              now_ms - (w->validity_ms ? w->validity_ms : VALIDITY_UNSET_MS),
                              drained, diag);
}

static int finish_wave(struct planner *p, const struct plan_wave *w, int64_t now_ms,
                       struct diag *diag)
{
    if (!strcmp(w->state, "running"))
        return w->busy ? 0 : store_plan_wave_state(p->db, w->wave_id, "running", "finishing", diag);
    if (w->busy) /* a late retry: back to sending */
        return store_plan_wave_state(p->db, w->wave_id, "finishing", "running", diag);
    if (w->pending > 0 && !validity_over(w, now_ms, p->cfg.receipt_grace_ms))
        return p->cfg.ask_wave && validity_over(w, now_ms, 0)
                   ? p->cfg.ask_wave(p->cfg.ctx, p->db, w->wave_id, diag)
                   : 0;
    int64_t closed = 0;
    int rc = w->pending > 0 && p->cfg.close_wave
                 ? p->cfg.close_wave(p->cfg.ctx, p->db, w->wave_id, now_ms, &closed, diag)
                 : 0;
    if (rc == 0)
        rc = store_plan_wave_state(p->db, w->wave_id, "finishing", "done", diag);
    if (rc == 0)
        log_info("planner.wave.done", "wave=%d unknown=%lld", w->wave_id, (long long)closed);
    return rc;
}

/* One broken wave must not stop the others. */
static void broken(const struct plan_wave *w, int rc, const struct diag *diag)
{
    log_error("planner.wave.failed", "wave=%d code=%s msg=\"%s\"", w->wave_id, diag_code_name(rc),
              diag->text);
}

/* Taking back is a wish: where it fails the wave still comes to its end. */
static int sending_wave(struct planner *p, const struct plan_wave *w, int64_t now_ms,
                        struct diag *diag)
{
    int rc = recall_wave(p, w, now_ms, diag);
    if (rc == -ENOTCONN)
        return rc;
    if (rc < 0)
        broken(w, rc, diag);
    return finish_wave(p, w, now_ms, diag);
}

static void gauge_campaigns(void *ctx, const char *state, int64_t n)
{
    (void)ctx;
    const char *const v[] = {state};
    metric_set(metric_get("campgw_campaigns", v, 1), (double)n);
}

static void gauge_queue(void *ctx, const char *lane, int64_t due, int64_t later, double oldest_s)
{
    (void)ctx;
    const char *const is_due[] = {lane, "due"}, *const waits[] = {lane, "later"};
    metric_set(metric_get("campgw_queue_messages", is_due, 2), (double)due);
    metric_set(metric_get("campgw_queue_messages", waits, 2), (double)later);
    metric_set(metric_get("campgw_queue_oldest_age_seconds", is_due, 1),
               oldest_s > 0 ? oldest_s : 0);
}

/* The log line is the copy that the database's owner does not hold. */
static int seal_root(struct planner *p, struct diag *diag)
{
    struct seal_root r;
    int rc = store_root_append(p->db, p->cfg.sign_key, &r, diag);
    if (rc < 0)
        return rc;
    log_info("audit.root", "root=%lld at=%lld digest=%s sig=%s", (long long)r.root_no,
             (long long)(r.at_ms / 1000), r.digest_hex, r.sig_hex);
    return 0;
}

static int turn(struct planner *p, struct diag *diag)
{
    int64_t now_ms = 0, due = 0, completed = 0;
    int n = 0, queued = 0;
    int rc = store_now(p->db, &now_ms, diag);
    if (rc == 0)
        rc = probes_gauges(p->db, now_ms + clock_shift_get(), diag);
    if (rc == 0 && !p->ours)
        rc = store_planner_lock(p->db, &p->ours, diag);
    if (rc < 0 || !p->ours)
        return rc;
    rc = store_now(p->db, &now_ms, diag);
    if (rc < 0)
        return rc;
    clock_set_utc(now_ms);
    now_ms += clock_shift_get();
    if (!p->housekeeping_mono_ms || clock_mono_ms() - p->housekeeping_mono_ms > HOUSEKEEPING_MS) {
        rc = store_housekeeping(p->db, now_ms, diag);
        if (rc == 0)
            rc = seal_root(p, diag);
        p->housekeeping_mono_ms = clock_mono_ms();
    }
    if (rc == 0)
        rc = probes_turn(p->db, now_ms, &queued, diag);
    if (queued && p->cfg.wake)
        p->cfg.wake(p->cfg.ctx, 0);
    if (rc == 0)
        rc = store_plan_due(p->db, now_ms, &due, diag);
    if (rc == 0)
        rc = store_plan_waves(p->db, now_ms, p->waves, WAVES_MAX, &n, diag);
    for (int i = 0; rc == 0 && i < n; i++) {
        struct plan_wave *w = &p->waves[i];
        bool sending = !strcmp(w->state, "running") || !strcmp(w->state, "finishing");
        int wave_rc = sending ? sending_wave(p, w, now_ms, diag) : plan_wave(p, w, diag);
        if (wave_rc == -ENOTCONN)
            rc = wave_rc;
        else if (wave_rc < 0 && wave_rc != CGW_ESTATE)
            broken(w, wave_rc, diag);
    }
    if (rc == 0)
        rc = store_plan_campaigns(p->db, &completed, diag);
    if (rc == 0)
        rc = store_campaign_states(p->db, gauge_campaigns, NULL, diag);
    if (rc == 0 && clock_mono_ms() - p->queues_mono_ms > QUEUES_MS) {
        rc = store_queues(p->db, now_ms, gauge_queue, NULL, diag);
        p->queues_mono_ms = clock_mono_ms();
    }
    return rc;
}

static struct timespec from_now(int64_t ms)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_nsec += (long)(ms % 1000) * 1000000;
    t.tv_sec += ms / 1000 + t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    return t;
}

/* A turn asks about every running wave, which with a thousand of them is no small thing: it rests a
 * multiple of what it took, however often it is woken meanwhile. */
static bool wait_turn(struct planner *p, int64_t took_ms)
{
    int64_t rest_ms = took_ms * REST_TIMES < REST_MAX_MS ? took_ms * REST_TIMES : REST_MAX_MS;
    struct timespec rested = from_now(rest_ms),
                    until = from_now(rest_ms > TURN_MS ? rest_ms : TURN_MS);
    (void)pthread_mutex_lock(&p->lock);
    while (!p->stop && pthread_cond_timedwait(&p->more, &p->lock, &rested) != ETIMEDOUT)
        ;
    while (!p->stop && !p->woken)
        if (pthread_cond_timedwait(&p->more, &p->lock, &until) == ETIMEDOUT)
            break;
    p->woken = false;
    bool stop = p->stop;
    (void)pthread_mutex_unlock(&p->lock);
    return stop;
}

static void *planner_main(void *arg)
{
    struct planner *p = arg;
    bool complained = false;
    int64_t began;
    do {
        struct diag d = {0};
        began = clock_mono_ms();
        int rc = p->db ? 0 : db_open(p->cfg.conninfo, "planner", &p->db, &d);
        if (rc == 0)
            rc = turn(p, &d);
        metric_set(metric_get("campgw_db_up", NULL, 0), rc == 0);
        bool told = store_trouble_note(STORE_WRITER_PLANNER, rc, &d);
        if (rc < 0) {
            char text[CGW_DIAG_MAX];
            if (!told && !complained)
                log_warning("planner.failed", "code=%s msg=\"%s\"", diag_code_name(rc),
                            log_quote(d.text, text, sizeof text));
            db_close(p->db); /* the advisory lock goes with it */
            p->db = NULL;
            p->ours = false;
        }
        complained = rc < 0;
    } while (!wait_turn(p, clock_mono_ms() - began));
    db_close(p->db);
    return NULL;
}

int planner_start(const struct planner_config *cfg, struct planner **ret, struct diag *diag)
{
    static const struct metric_family families[] = {
        {"campgw_campaigns", METRIC_GAUGE, "Campaigns by state.", "state"},
        {"campgw_queue_messages", METRIC_GAUGE,
         "Messages of running campaigns not yet sent; on the node that plans.", "queue,state"},
        {"campgw_queue_oldest_age_seconds", METRIC_GAUGE,
         "How long the oldest message that is due has been so; on the node that plans.", "queue"},
        {"campgw_db_up", METRIC_GAUGE, "1 while the database does what the planner asks.", ""},
        {NULL, METRIC_GAUGE, NULL, NULL}};
    metrics_register(families);
    probes_register();
    struct planner *p = calloc(1, sizeof *p);
    if (!p)
        return diag_set(diag, -ENOMEM, "", "out of memory");
    p->cfg = *cfg;
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&p->lock, NULL);
    (void)pthread_cond_init(&p->more, &attr);
    (void)pthread_condattr_destroy(&attr);
    int rc = pthread_create(&p->thread, NULL, planner_main, p);
    if (rc != 0) {
        free(p);
        return diag_set(diag, -rc, "", "cannot start the planner thread");
    }
    *ret = p;
    return 0;
}

void planner_wake(void *arg)
{
    struct planner *p = arg;
    (void)pthread_mutex_lock(&p->lock);
    p->woken = true;
    (void)pthread_cond_signal(&p->more);
    (void)pthread_mutex_unlock(&p->lock);
}

void planner_halt(struct planner *p)
{
    if (!p || p->halted)
        return;
    (void)pthread_mutex_lock(&p->lock);
    p->stop = true;
    (void)pthread_cond_signal(&p->more);
    (void)pthread_mutex_unlock(&p->lock);
    (void)pthread_join(p->thread, NULL);
    p->halted = true;
}

void planner_stop(struct planner *p)
{
    if (!p)
        return;
    planner_halt(p);
    (void)pthread_mutex_destroy(&p->lock);
    (void)pthread_cond_destroy(&p->more);
    free(p);
}
