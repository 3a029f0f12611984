/* SPDX-License-Identifier: Apache-2.0 */
/* loop.c - see loop.h. */
#include "loop.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include <re.h>

#define FDS_MAX 65536 /* highest descriptor number libre's table holds */

enum loop_state { OFF, STARTING, ON, FAILED };

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    uint32_t holders;
    enum loop_state state;
    int wake_fd, error;
    struct ivr_task *first, **last;
} loop = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER, .wake_fd = -1};

int64_t ivr_mono_ms(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* ---- tasks ---- */

static void run_tasks(void)
{
    (void)pthread_mutex_lock(&loop.lock);
    struct ivr_task *t = loop.first;
    loop.first = NULL;
    loop.last = &loop.first;
    (void)pthread_mutex_unlock(&loop.lock);
    while (t) {
        struct ivr_task *next = t->next; /* run() may free it */
        t->run(t);
        t = next;
    }
}

static void on_wake(int flags, void *arg)
{
    uint64_t n;
    (void)flags;
    (void)arg;
    if (read(loop.wake_fd, &n, sizeof n) == (ssize_t)sizeof n)
        run_tasks();
}

void ivr_loop_post(struct ivr_task *t)
{
    uint64_t one = 1;
    t->next = NULL;
    (void)pthread_mutex_lock(&loop.lock);
    bool was_empty = !loop.first;
    *loop.last = t;
    loop.last = &t->next;
    /* under the lock: the thread may not end and close the descriptor in between */
    if (was_empty && write(loop.wake_fd, &one, sizeof one) < 0) {
        /* an eventfd refuses only a counter that is full, and then it is readable already */
    }
    (void)pthread_mutex_unlock(&loop.lock);
}

struct waiter {
    struct ivr_task task;
    void (*fn)(void *arg);
    void *arg;
    bool done;
};

static void run_waiter(struct ivr_task *t)
{
    struct waiter *w = (struct waiter *)t;
    w->fn(w->arg);
    (void)pthread_mutex_lock(&loop.lock);
    w->done = true;
    (void)pthread_cond_broadcast(&loop.changed);
    (void)pthread_mutex_unlock(&loop.lock);
}

void ivr_loop_call(void (*fn)(void *arg), void *arg)
{
    struct waiter w = {.task = {NULL, run_waiter}, .fn = fn, .arg = arg, .done = false};
    ivr_loop_post(&w.task);
    (void)pthread_mutex_lock(&loop.lock);
    while (!w.done)
        (void)pthread_cond_wait(&loop.changed, &loop.lock);
    (void)pthread_mutex_unlock(&loop.lock);
}

/* ---- the thread ---- */

static int libre_error;

static void init_once(void)
{
    libre_error = libre_init(); /* once per process; never closed, a second init is not supported */
}

static void tell_state(enum loop_state state, int error)
{
    (void)pthread_mutex_lock(&loop.lock);
    loop.state = state;
    loop.error = error;
    (void)pthread_cond_broadcast(&loop.changed);
    (void)pthread_mutex_unlock(&loop.lock);
}

static int fd_limit(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) != 0 || r.rlim_cur > FDS_MAX)
        return FDS_MAX;
    return (int)r.rlim_cur;
}

static void *loop_main(void *arg)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)arg;
    (void)pthread_once(&once, init_once);
    int err = libre_error ? libre_error : re_thread_init();
    if (err) {
        tell_state(FAILED, err);
        return NULL;
    }
    err = fd_setsize(fd_limit());
    if (!err)
        err = poll_method_set(METHOD_EPOLL);
    if (!err)
        err = fd_listen(loop.wake_fd, FD_READ, on_wake, NULL);
    tell_state(err ? FAILED : ON, err);
    if (!err) {
        (void)re_main(NULL);
        fd_close(loop.wake_fd);
    }
    re_thread_close();
    return NULL;
}

/* All signals stay with the gateway's threads. */
static int start_thread(void)
{
    sigset_t all, before;
    loop.first = NULL;
    loop.last = &loop.first;
    loop.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop.wake_fd < 0)
        return -errno;
    loop.state = STARTING;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&loop.thread, NULL, loop_main, NULL);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -rc;
}

static void stop_thread(void *arg)
{
    (void)arg;
    re_cancel();
}

int ivr_loop_hold(void)
{
    (void)pthread_mutex_lock(&loop.lock);
    int rc = loop.holders == 0 ? start_thread() : 0;
    while (rc == 0 && loop.state == STARTING)
        (void)pthread_cond_wait(&loop.changed, &loop.lock);
    bool failed = loop.state == FAILED;
    if (rc == 0 && failed)
        rc = -loop.error;
    if (rc == 0)
        loop.holders++;
    (void)pthread_mutex_unlock(&loop.lock);
    if (failed && rc < 0)
        (void)pthread_join(loop.thread, NULL);
    if (rc < 0 && loop.wake_fd >= 0) {
        (void)close(loop.wake_fd);
        loop.wake_fd = -1;
    }
    return rc;
}

void ivr_loop_release(void)
{
    (void)pthread_mutex_lock(&loop.lock);
    bool last = --loop.holders == 0;
    (void)pthread_mutex_unlock(&loop.lock);
    if (!last)
        return;
    ivr_loop_call(stop_thread, NULL);
    (void)pthread_join(loop.thread, NULL);
    (void)close(loop.wake_fd);
    loop.wake_fd = -1;
    loop.state = OFF;
}

/* ---- timers and descriptors ---- */

struct ivr_timer {
    struct tmr tmr;
    void (*cb)(void *arg);
    void *arg;
};

struct ivr_timer *ivr_timer_new(void (*cb)(void *arg), void *arg)
{
    struct ivr_timer *t = calloc(1, sizeof *t);
    if (t) {
        tmr_init(&t->tmr);
        t->cb = cb;
        t->arg = arg;
    }
    return t;
}

void ivr_timer_set(struct ivr_timer *t, int64_t in_ms)
{
    if (in_ms < 0)
        tmr_cancel(&t->tmr);
    else
        tmr_start(&t->tmr, (uint64_t)in_ms, t->cb, t->arg);
}

struct ivr_timer *ivr_timer_free(struct ivr_timer *t)
{
    if (t)
        tmr_cancel(&t->tmr);
    free(t);
    return NULL;
}

int ivr_loop_watch(int fd, void (*cb)(int flags, void *arg), void *arg)
{
    return fd_listen(fd, FD_READ, cb, arg);
}

void ivr_loop_unwatch(int fd)
{
    fd_close(fd);
}
