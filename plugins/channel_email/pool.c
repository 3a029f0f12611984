/* SPDX-License-Identifier: Apache-2.0 */
/* pool.c - the threads, one per connection: work, rest, farewell. A connection is closed after
 * `per_connection` messages or `idle_s` without one. The thread that rested last works first, so
 * that little traffic keeps few connections. See smtp.h; what a thread does with a mail: smtp.c. */
#include "smtp_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define STACK_BYTES ((size_t)512 * 1024)
#define FAREWELL_MS 200

/* ---- threads ---- */

/* Lock held. Free for work from now on, and that is told: the owner waits for it. */
static void push(struct worker *w)
{
    w->below = w->pool->resting;
    w->pool->resting = w;
    w->pool->n_resting++;
    w->pool->ended(w->pool->ctx);
}

static void unlink_worker(struct worker *w)
{
    struct worker **at = &w->pool->resting;
    while (*at && *at != w)
        at = &(*at)->below;
    if (*at) {
        *at = w->below;
        w->pool->n_resting--;
    }
}

/* Lock held, and left for the time of the farewell. */
static void leave(struct worker *w)
{
    (void)pthread_mutex_unlock(&w->pool->lock);
    smtp_hang_up(w);
    (void)pthread_mutex_lock(&w->pool->lock);
}

/* Lock held. Waits for work; hangs up when none comes. NULL: the pool ends. */
static struct smtp_job *rest(struct worker *w)
{
    struct smtp_pool *p = w->pool;
    push(w);
    while (!w->job && !p->stopping) {
        struct timespec until;
        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += p->conf.idle_s;
        int rc = w->easy ? pthread_cond_timedwait(&w->wake, &p->lock, &until)
                         : pthread_cond_wait(&w->wake, &p->lock);
        if (rc != ETIMEDOUT || w->job || p->stopping)
            continue;
        unlink_worker(w); /* no job while a slow peer takes its leave */
        leave(w);
        push(w);
    }
    return w->job;
}

static void *work(void *arg)
{
    struct worker *w = arg;
    struct smtp_pool *p = w->pool;
    struct smtp_job *job;
    (void)pthread_mutex_lock(&p->lock);
    while ((job = rest(w))) {
        (void)pthread_mutex_unlock(&p->lock);
        smtp_serve(w, job);
        (void)pthread_mutex_lock(&p->lock);
        w->job = NULL;
        job->next = NULL;
        *p->done_end = job;
        p->done_end = &job->next;
        if (w->used >= p->conf.per_connection) {
            p->ended(p->ctx); /* the result need not wait for the farewell */
            leave(w);
        }
    }
    leave(w);
    p->at_work--;
    (void)pthread_cond_signal(&p->left);
    (void)pthread_mutex_unlock(&p->lock);
    return NULL;
}

bool smtp_pool_send(struct smtp_pool *p, struct smtp_job *job)
{
    (void)pthread_mutex_lock(&p->lock);
    struct worker *w = p->stopping || p->aborting ? NULL : p->resting;
    if (w) {
        p->resting = w->below;
        p->n_resting--;
        w->job = job;
        (void)pthread_cond_signal(&w->wake);
    }
    (void)pthread_mutex_unlock(&p->lock);
    return w != NULL;
}

uint32_t smtp_pool_resting(struct smtp_pool *p)
{
    (void)pthread_mutex_lock(&p->lock);
    uint32_t n = p->n_resting;
    (void)pthread_mutex_unlock(&p->lock);
    return n;
}

struct smtp_job *smtp_pool_ended(struct smtp_pool *p)
{
    (void)pthread_mutex_lock(&p->lock);
    struct smtp_job *all = p->done;
    p->done = NULL;
    p->done_end = &p->done;
    (void)pthread_mutex_unlock(&p->lock);
    return all;
}

uint32_t smtp_pool_open(struct smtp_pool *p)
{
    uint32_t n = 0;
    (void)pthread_mutex_lock(&p->lock);
    for (uint32_t i = 0; i < p->conf.connections; i++)
        n += p->workers[i].fd >= 0;
    (void)pthread_mutex_unlock(&p->lock);
    return n;
}

void smtp_pool_abort(struct smtp_pool *p)
{
    (void)pthread_mutex_lock(&p->lock);
    __atomic_store_n(&p->aborting, true, __ATOMIC_RELEASE);
    for (uint32_t i = 0; i < p->conf.connections; i++)
        if (p->workers[i].job && p->workers[i].fd >= 0)
            (void)shutdown(p->workers[i].fd, SHUT_RDWR); /* ends every wait of curl at once */
    (void)pthread_mutex_unlock(&p->lock);
}

/* ---- life ---- */

struct smtp_pool *smtp_pool_new(const struct smtp_conf *conf, void (*ended)(void *ctx), void *ctx)
{
    smtp_init();
    struct smtp_pool *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->conf = *conf;
    p->ended = ended;
    p->ctx = ctx;
    p->done_end = &p->done;
    bool v6 = strchr(conf->host, ':') != NULL;
    (void)snprintf(p->url, sizeof p->url, "smtp%s://%s%.200s%s:%u/%.120s",
                   conf->tls == SMTP_TLS_IMPLICIT ? "s" : "", v6 ? "[" : "", conf->host,
                   v6 ? "]" : "", conf->port, conf->helo);
    (void)pthread_mutex_init(&p->lock, NULL);
    pthread_condattr_t mono;
    (void)pthread_condattr_init(&mono);
    (void)pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&p->left, &mono);
    for (uint32_t i = 0; i < SMTP_CONNECTIONS_MAX; i++) {
        p->workers[i].pool = p;
        p->workers[i].fd = -1;
        (void)pthread_cond_init(&p->workers[i].wake, &mono);
    }
    (void)pthread_condattr_destroy(&mono);
    return p;
}

int smtp_pool_start(struct smtp_pool *p)
{
    pthread_attr_t attr;
    int rc = 0;
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setstacksize(&attr, STACK_BYTES);
    for (uint32_t i = 0; i < p->conf.connections && !rc; i++) {
        rc = -pthread_create(&p->workers[i].thread, &attr, work, &p->workers[i]);
        p->workers[i].started = rc == 0;
        p->at_work += rc == 0;
    }
    (void)pthread_attr_destroy(&attr);
    return rc;
}

/* Lock held. A moment for QUIT and its answer, then whoever still waits is cut off. */
static void farewell(struct smtp_pool *p)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += FAREWELL_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    while (p->at_work && pthread_cond_timedwait(&p->left, &p->lock, &until) == 0)
        ;
    for (uint32_t i = 0; i < SMTP_CONNECTIONS_MAX; i++)
        if (p->workers[i].fd >= 0)
            (void)shutdown(p->workers[i].fd, SHUT_RDWR);
}

void smtp_pool_stop(struct smtp_pool *p)
{
    smtp_pool_abort(p);
    (void)pthread_mutex_lock(&p->lock);
    p->stopping = true;
    for (uint32_t i = 0; i < SMTP_CONNECTIONS_MAX; i++)
        (void)pthread_cond_signal(&p->workers[i].wake);
    farewell(p);
    (void)pthread_mutex_unlock(&p->lock);
    for (uint32_t i = 0; i < SMTP_CONNECTIONS_MAX; i++)
        if (p->workers[i].started)
            (void)pthread_join(p->workers[i].thread, NULL);
}

void smtp_pool_free(struct smtp_pool *p)
{
    if (!p)
        return;
    for (uint32_t i = 0; i < SMTP_CONNECTIONS_MAX; i++)
        (void)pthread_cond_destroy(&p->workers[i].wake);
    (void)pthread_cond_destroy(&p->left);
    (void)pthread_mutex_destroy(&p->lock);
    free(p);
}
