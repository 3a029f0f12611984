/* SPDX-License-Identifier: Apache-2.0 */
/* lease.c - keeps this node's parts: renews at a fifth of the lease, takes what is free up to its
 * fair share, gives surplus back. A lost lease is only a matter of liveness: the epoch check in
 * every decide and intent is what keeps two nodes apart. */
#include "queue/queue_int.h"

#include "base/clock.h"
#include "base/log.h"
#include "store/store_trouble.h"

#include <errno.h>
#include <time.h>

int64_t queue_epoch(struct queue *q, int32_t part)
{
    return clock_mono_ms() < atomic_load(&q->valid_mono_ms) ? atomic_load(&q->epoch[part]) : 0;
}

int queue_parts(struct queue *q, int32_t parts[STORE_PARTS])
{
    int n = 0;
    for (int32_t p = 0; p < STORE_PARTS; p++)
        if (queue_epoch(q, p))
            parts[n++] = p;
    return n;
}

/* Offer a part to the dispatchers once what its former holder left is settled. */
static void settle(struct queue *q, struct db *db, const struct part_lease *l)
{
    struct diag d = {0};
    if (queue_part_live(q, l->part) || (q->cfg.idle && !q->cfg.idle(q->cfg.ctx, l->part)))
        return; /* our own former work on it is not flushed yet: next round */
    if (q->cfg.recover && q->cfg.recover(q->cfg.ctx, db, l->part, l->epoch, &d) < 0) {
        log_error("queue.recover.failed", "part=%d msg=\"%s\"", l->part, d.text);
        return;
    }
    atomic_store(&q->epoch[l->part], l->epoch);
    queue_look_again(q, 0); /* a wave without work so far may have some in this part */
}

static void take_over(struct queue *q, struct db *db, struct part_lease *leases, int n)
{
    for (int i = 0; i < n; i++) {
        q->held[leases[i].part] = leases[i].epoch;
        atomic_store(&q->epoch[leases[i].part], 0);
    }
    for (int32_t p = 0; p < STORE_PARTS; p++) {
        struct part_lease l = {p, q->held[p]};
        if (l.epoch && atomic_load(&q->epoch[p]) == 0)
            settle(q, db, &l);
    }
}

static int renew(struct queue *q, struct db *db, struct diag *diag)
{
    struct part_lease now[STORE_PARTS];
    int n = 0;
    int64_t asked = clock_mono_ms();
    int rc = store_parts_renew(db, q->cfg.node, q->cfg.lease_ttl_ms, now, &n, diag);
    if (rc < 0)
        return rc;
    bool ours[STORE_PARTS] = {false};
    for (int i = 0; i < n; i++)
        ours[now[i].part] = q->held[now[i].part] == now[i].epoch;
    for (int32_t p = 0; p < STORE_PARTS; p++)
        if (q->held[p] && !ours[p]) {
            log_warning("queue.part.lost", "part=%d epoch=%lld", p, (long long)q->held[p]);
            q->held[p] = 0;
            atomic_store(&q->epoch[p], 0);
        }
    atomic_store(&q->valid_mono_ms, asked + q->cfg.lease_ttl_ms);
    return 0;
}

/* We are alive; who is not loses what it holds in the database. Before anything that may wait for a
 * lock of a dead node. */
static int roll_call(struct queue *q, struct db *db, bool starting, int *ret_alive,
                     struct diag *diag)
{
    int ended = 0;
    int rc = store_node_seen(db, q->cfg.node, q->cfg.version, starting, diag);
    if (rc == 0)
        rc = store_nodes_disconnect(db, q->cfg.lease_ttl_ms, &ended, diag);
    if (rc == 0 && ended)
        log_notice("queue.node.dead", "sessions_ended=%d", ended);
    return rc < 0 ? rc : store_nodes_alive(db, q->cfg.lease_ttl_ms, ret_alive, diag);
}

static int balance(struct queue *q, struct db *db, int alive, struct diag *diag)
{
    int held = 0, n = 0, rc = 0;
    int share = (STORE_PARTS + (alive > 0 ? alive : 1) - 1) / (alive > 0 ? alive : 1);
    for (int32_t p = 0; p < STORE_PARTS; p++)
        held += q->held[p] != 0;
    struct part_lease got[STORE_PARTS];
    if (held < share)
        rc = store_parts_acquire(db, q->cfg.node, q->cfg.lease_ttl_ms, share - held, got, &n, diag);
    if (rc == 0)
        take_over(q, db, got, n);
    for (int32_t p = STORE_PARTS - 1; rc == 0 && p >= 0 && held > share; p--) {
        if (!q->held[p] || queue_part_live(q, p))
            continue;
        atomic_store(&q->epoch[p], 0); /* first no new work, then give it away */
        if (queue_part_live(q, p) || (q->cfg.idle && !q->cfg.idle(q->cfg.ctx, p))) {
            atomic_store(&q->epoch[p], q->held[p]);
            continue;
        }
        rc = store_parts_release(db, q->cfg.node, &p, 1, diag);
        if (rc < 0)
            break; /* still ours as far as we know: the next renewal tells, and settles it before it
                      is offered again */
        q->held[p] = 0;
        held--;
    }
    return rc;
}

static bool wait_or_stop(struct queue *q, int ms)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    (void)pthread_mutex_lock(&q->lock);
    if (!q->stop)
        (void)pthread_cond_timedwait(&q->poke, &q->lock, &until);
    bool stop = q->stop;
    (void)pthread_mutex_unlock(&q->lock);
    return stop;
}

static int connect_lease(struct queue *q, struct db **ret, struct diag *diag)
{
    int rc = db_open(q->cfg.conninfo, "lease", ret, diag);
    return rc < 0 ? rc : store_parts_patience(*ret, q->cfg.lease_ttl_ms / 2, diag);
}

/* At start: what we held in our former life. */
static int retake(struct queue *q, struct db *db, struct diag *diag)
{
    struct part_lease own[STORE_PARTS];
    int n = 0;
    int64_t asked = clock_mono_ms();
    int rc = store_parts_retake(db, q->cfg.node, q->cfg.lease_ttl_ms, own, &n, diag);
    if (rc < 0)
        return rc;
    atomic_store(&q->valid_mono_ms, asked + q->cfg.lease_ttl_ms);
    take_over(q, db, own, n);
    return 0;
}

static void *lease_main(void *arg)
{
    struct queue *q = arg;
    struct db *db = NULL;
    struct diag d = {0};
    bool first = true, complained = false;
    for (;;) {
        int alive = 1;
        int rc = db ? 0 : connect_lease(q, &db, &d);
        if (rc == 0)
            rc = roll_call(q, db, first, &alive, &d);
        if (rc == 0 && first) {
            rc = retake(q, db, &d);
            first = rc < 0;
        }
        if (rc == 0)
            rc = renew(q, db, &d);
        if (rc == 0)
            rc = balance(q, db, alive, &d);
        if (!store_trouble_note(STORE_WRITER_LEASE, rc, &d) && rc < 0 && !complained) {
            char text[CGW_DIAG_MAX];
            log_warning("queue.lease.failed", "code=%s msg=\"%s\"", diag_code_name(rc),
                        log_quote(d.text, text, sizeof text));
        }
        if (rc == 0 && complained)
            log_notice("queue.lease.back", "parts=%d", queue_parts(q, (int32_t[STORE_PARTS]){0}));
        complained = rc < 0;
        if (rc < 0) {
            db_close(db);
            db = NULL;
        }
        if (wait_or_stop(q, rc < 0 ? 500 : q->cfg.lease_ttl_ms / 5))
            break;
    }
    int32_t parts[STORE_PARTS];
    int n = 0;
    for (int32_t p = 0; p < STORE_PARTS; p++)
        if (q->held[p])
            parts[n++] = p;
    if (db && n && store_parts_release(db, q->cfg.node, parts, n, &d) < 0)
        log_warning("queue.release.failed", "msg=\"%s\"",
                    d.text); /* the lease runs out by itself */
    db_close(db);
    return NULL;
}

int queue_start(const struct queue_config *cfg, struct queue **ret, struct diag *diag)
{
    struct queue *q = calloc(1, sizeof *q);
    if (!q)
        return diag_set(diag, -ENOMEM, "", "out of memory");
    q->cfg = *cfg;
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&q->lock, NULL);
    (void)pthread_cond_init(&q->poke, &attr);
    (void)pthread_condattr_destroy(&attr);
    int rc = pthread_create(&q->thread, NULL, lease_main, q);
    if (rc != 0) {
        free(q);
        return diag_set(diag, -rc, "", "cannot start the lease thread");
    }
    *ret = q;
    return 0;
}

void queue_stop(struct queue *q)
{
    if (!q)
        return;
    (void)pthread_mutex_lock(&q->lock);
    q->stop = true;
    (void)pthread_cond_broadcast(&q->poke);
    (void)pthread_mutex_unlock(&q->lock);
    (void)pthread_join(q->thread, NULL);
    (void)pthread_mutex_destroy(&q->lock);
    (void)pthread_cond_destroy(&q->poke);
    free(q);
}
