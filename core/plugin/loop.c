/* SPDX-License-Identifier: Apache-2.0 */
/* loop.c - see loop.h. Descriptors are looked up by number and generation, so an event that was
 * fetched before its descriptor was unwatched (or reused) by an earlier callback of the same round
 * is recognised and dropped. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* pthread_setname_np */
#endif
#include "plugin/loop.h"

#include "base/clock.h"
#include "cgw/host.h"
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#define EVENTS_PER_ROUND 64
#define TIMERS_PER_ROUND 256
#define WAKE_KEY UINT64_MAX

struct call {
    struct call *next;
    loop_fn fn;
    void *arg;
    bool *done; /* loop_call: set under the lock; NULL = posted, freed by the loop */
};

struct member {
    int (*turn)(void *);
    void *arg;
};

struct watch {
    loop_fd_fn fn;
    void *arg, *owner;
    uint32_t generation;
    bool used;
};

struct loop_timer {
    struct loop *loop;
    loop_fn fn;
    void *arg, *owner;
    int64_t at_ms;
    size_t index; /* in the heap; SIZE_MAX = not armed */
};

struct loop {
    pthread_t thread;
    struct loop_hooks hooks;
    int epoll_fd, wake_fd; /* owned */
    atomic_bool woken;
    pthread_mutex_t lock; /* calls, stop and the done flags */
    pthread_cond_t done;
    struct call *calls, **calls_end;
    bool stop;
    struct member members[LOOP_MEMBERS_MAX];
    uint32_t n_members;
    struct watch *watches; /* owned, by descriptor */
    size_t n_watches;
    uint32_t generation;
    struct loop_timer **heap; /* owned array of borrowed timers */
    size_t n_heap, cap_heap;
};

/* ---- timers: binary min-heap
 * ---------------------------------------------------------------------------------------------- */

static void heap_put(struct loop *l, size_t i, struct loop_timer *t)
{
    l->heap[i] = t;
    t->index = i;
}

static void heap_up(struct loop *l, size_t i, struct loop_timer *t)
{
    for (; i && l->heap[(i - 1) / 2]->at_ms > t->at_ms; i = (i - 1) / 2)
        heap_put(l, i, l->heap[(i - 1) / 2]);
    heap_put(l, i, t);
}

static void heap_down(struct loop *l, size_t i, struct loop_timer *t)
{
    for (size_t child; (child = 2 * i + 1) < l->n_heap; i = child) {
        if (child + 1 < l->n_heap && l->heap[child + 1]->at_ms < l->heap[child]->at_ms)
            child++;
        if (l->heap[child]->at_ms >= t->at_ms)
            break;
        heap_put(l, i, l->heap[child]);
    }
    heap_put(l, i, t);
}

static void heap_remove(struct loop *l, struct loop_timer *t)
{
    size_t i = t->index;
    if (i == SIZE_MAX)
        return;
    t->index = SIZE_MAX;
    struct loop_timer *last = l->heap[--l->n_heap];
    if (last == t)
        return;
    if (i && l->heap[(i - 1) / 2]->at_ms > last->at_ms)
        heap_up(l, i, last);
    else
        heap_down(l, i, last);
}

/* Room for a timer is made when it is created, so that arming one cannot fail. */
static bool heap_room(struct loop *l)
{
    size_t cap = l->cap_heap ? l->cap_heap * 2 : 64;
    struct loop_timer **p = realloc(l->heap, cap * sizeof(*p));
    if (!p)
        return false;
    l->heap = p;
    l->cap_heap = cap;
    return true;
}

struct loop_timer *loop_timer_new(struct loop *l, loop_fn fn, void *arg, void *owner)
{
    struct loop_timer *t = calloc(1, sizeof *t);
    if (t)
        *t =
            (struct loop_timer){.loop = l, .fn = fn, .arg = arg, .owner = owner, .index = SIZE_MAX};
    return t;
}

void loop_timer_set(struct loop_timer *t, int64_t at_mono_ms)
{
    struct loop *l = t->loop;
    heap_remove(l, t);
    if (!at_mono_ms)
        return;
    /* Without memory for one more entry nothing that runs on timers can be kept up: better stop
     * than send late. */
    if (l->n_heap == l->cap_heap && !heap_room(l))
        abort();
    t->at_ms = at_mono_ms;
    heap_up(l, l->n_heap++, t);
}

void loop_timer_free(struct loop_timer *t)
{
    if (t)
        heap_remove(t->loop, t);
    free(t);
}

void *loop_timer_owner(const struct loop_timer *t)
{
    return t->owner;
}

struct loop *loop_timer_loop(const struct loop_timer *t)
{
    return t->loop;
}

static void run_timers(struct loop *l)
{
    int64_t now = clock_mono_ms();
    for (int i = 0; i < TIMERS_PER_ROUND && l->n_heap && l->heap[0]->at_ms <= now; i++) {
        struct loop_timer *t = l->heap[0];
        void *owner = t->owner; /* the callback may free its timer */
        heap_remove(l, t);
        l->hooks.enter(owner, "timer");
        t->fn(t->arg);
        l->hooks.leave(owner);
    }
}

/* ---- descriptors
 * ----------------------------------------------------------------------------------------------------------------
 */

static int grow_watches(struct loop *l, int fd)
{
    size_t want = l->n_watches ? l->n_watches : 64;
    while (want <= (size_t)fd)
        want *= 2;
    if (want <= l->n_watches)
        return 0;
    struct watch *p = realloc(l->watches, want * sizeof *p);
    if (!p)
        return -ENOMEM;
    memset(p + l->n_watches, 0, (want - l->n_watches) * sizeof *p);
    l->watches = p;
    l->n_watches = want;
    return 0;
}

int loop_watch(struct loop *l, int fd, uint32_t events, loop_fd_fn fn, void *arg, void *owner)
{
    if (fd < 0 || fd >= (int)LOOP_FD_MAX)
        return CGW_EINVAL;
    int rc = grow_watches(l, fd);
    if (rc)
        return rc;
    struct watch *w = &l->watches[fd];
    if (w->used && w->owner != owner)
        return CGW_EEXISTS;
    uint32_t generation = w->used ? w->generation : ++l->generation;
    struct epoll_event ev = {.data.u64 = (uint64_t)generation << 32 | (uint32_t)fd};
    ev.events = (events & CGW_FD_READ ? (uint32_t)EPOLLIN | (uint32_t)EPOLLRDHUP : 0) |
                (events & CGW_FD_WRITE ? (uint32_t)EPOLLOUT : 0);
    if (epoll_ctl(l->epoll_fd, w->used ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &ev) < 0)
        return -errno;
    *w = (struct watch){
        .fn = fn, .arg = arg, .owner = owner, .generation = generation, .used = true};
    return 0;
}

void loop_unwatch(struct loop *l, int fd, const void *owner)
{
    if (fd < 0 || (size_t)fd >= l->n_watches || !l->watches[fd].used ||
        l->watches[fd].owner != owner)
        return;
    l->watches[fd].used = false;
    (void)epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, fd,
                    NULL); /* the plugin may have closed it already */
}

void loop_forget(struct loop *l, const void *owner)
{
    for (size_t fd = 0; fd < l->n_watches; fd++)
        loop_unwatch(l, (int)fd, owner);
}

static void one_event(struct loop *l, const struct epoll_event *ev)
{
    if (ev->data.u64 == WAKE_KEY) {
        uint64_t n;
        ssize_t r = read(l->wake_fd, &n, sizeof n);
        (void)r; /* never empty: only this thread reads it */
        /* After the read, before any queue is looked at. The other way round a wake between the two
         * would be swallowed and leave `woken` set with nothing to read: every later wake would
         * then be lost. */
        atomic_store(&l->woken, false);
        return;
    }
    size_t fd = ev->data.u64 & UINT32_MAX;
    uint32_t generation = (uint32_t)(ev->data.u64 >> 32);
    if (fd >= l->n_watches || !l->watches[fd].used || l->watches[fd].generation != generation)
        return;
    struct watch w = l->watches[fd];
    uint32_t got = ev->events;
    uint32_t events =
        (got & (uint32_t)EPOLLIN ? CGW_FD_READ : 0) |
        (got & (uint32_t)EPOLLOUT ? CGW_FD_WRITE : 0) |
        (got & ((uint32_t)EPOLLHUP | (uint32_t)EPOLLERR | (uint32_t)EPOLLRDHUP) ? CGW_FD_HANGUP
                                                                                : 0);
    l->hooks.enter(w.owner, "descriptor");
    w.fn(w.arg, (int)fd, events);
    l->hooks.leave(w.owner);
}

/* ---- calls from other threads
 * ---------------------------------------------------------------------------------------------------
 */

bool loop_is_self(const struct loop *l)
{
    return pthread_equal(pthread_self(), l->thread);
}

void loop_wake(struct loop *l)
{
    if (atomic_exchange(&l->woken, true))
        return;
    uint64_t one = 1;
    ssize_t r = write(l->wake_fd, &one, sizeof one);
    (void)r; /* cannot fail but by overflow, and then it is readable anyway */
}

static void enqueue(struct loop *l, struct call *c)
{
    c->next = NULL;
    *l->calls_end = c;
    l->calls_end = &c->next;
}

int loop_post(struct loop *l, loop_fn fn, void *arg)
{
    struct call *c = calloc(1, sizeof *c);
    if (!c)
        return -ENOMEM;
    *c = (struct call){.fn = fn, .arg = arg};
    (void)pthread_mutex_lock(&l->lock);
    enqueue(l, c);
    (void)pthread_mutex_unlock(&l->lock);
    loop_wake(l);
    return 0;
}

void loop_call(struct loop *l, loop_fn fn, void *arg)
{
    if (loop_is_self(l)) {
        fn(arg);
        return;
    }
    bool done = false;
    struct call c = {.fn = fn, .arg = arg, .done = &done};
    (void)pthread_mutex_lock(&l->lock);
    enqueue(l, &c);
    (void)pthread_mutex_unlock(&l->lock);
    loop_wake(l);
    (void)pthread_mutex_lock(&l->lock);
    while (!done)
        (void)pthread_cond_wait(&l->done, &l->lock);
    (void)pthread_mutex_unlock(&l->lock);
}

static bool run_calls(struct loop *l)
{
    (void)pthread_mutex_lock(&l->lock);
    struct call *c = l->calls;
    l->calls = NULL;
    l->calls_end = &l->calls;
    (void)pthread_mutex_unlock(&l->lock);
    while (c) {
        struct call *next = c->next; /* the caller's stack frame is gone once done is set */
        c->fn(c->arg);
        (void)pthread_mutex_lock(&l->lock);
        if (c->done)
            *c->done = true;
        else
            free(c);
        (void)pthread_cond_broadcast(&l->done);
        (void)pthread_mutex_unlock(&l->lock);
        c = next;
    }
    (void)pthread_mutex_lock(&l->lock);
    bool stop = l->stop && !l->calls;
    (void)pthread_mutex_unlock(&l->lock);
    return !stop;
}

/* ---- the round
 * --------------------------------------------------------------------------------------------------------------------
 */

int loop_attach(struct loop *l, int (*turn)(void *arg), void *arg)
{
    if (l->n_members == LOOP_MEMBERS_MAX)
        return CGW_ELIMIT;
    l->members[l->n_members++] = (struct member){turn, arg};
    return 0;
}

void loop_detach(struct loop *l, void *arg)
{
    for (uint32_t i = 0; i < l->n_members; i++)
        if (l->members[i].arg == arg) {
            l->members[i] = l->members[--l->n_members];
            return;
        }
}

static int sooner(int a, int b)
{
    return a < 0 ? b : b < 0 ? a : a < b ? a : b;
}

static int timer_wait(const struct loop *l)
{
    if (!l->n_heap)
        return -1;
    int64_t ms = l->heap[0]->at_ms - clock_mono_ms();
    return ms <= 0 ? 0 : ms > 60000 ? 60000 : (int)ms;
}

static void *run(void *arg)
{
    struct loop *l = arg;
    struct epoll_event events[EVENTS_PER_ROUND];
    while (run_calls(l)) {
        run_timers(l);
        int wait = -1;
        for (uint32_t i = 0; i < l->n_members; i++)
            wait = sooner(wait, l->members[i].turn(l->members[i].arg));
        wait = sooner(wait, timer_wait(l));
        int n = epoll_wait(l->epoll_fd, events, EVENTS_PER_ROUND, wait);
        for (int i = 0; i < n; i++)
            one_event(l, &events[i]);
    }
    return NULL;
}

static int open_fds(struct loop *l)
{
    l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event ev = {.events = EPOLLIN, .data.u64 = WAKE_KEY};
    if (l->epoll_fd < 0 || l->wake_fd < 0 ||
        epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, l->wake_fd, &ev) < 0)
        return -errno;
    return 0;
}

static void release(struct loop *l)
{
    if (l->epoll_fd >= 0)
        (void)close(l->epoll_fd);
    if (l->wake_fd >= 0)
        (void)close(l->wake_fd);
    (void)pthread_mutex_destroy(&l->lock);
    (void)pthread_cond_destroy(&l->done);
    free(l->watches);
    free(l->heap);
    free(l);
}

int loop_new(const char *thread_name, const struct loop_hooks *hooks, struct loop **ret,
             struct diag *diag)
{
    struct loop *l = calloc(1, sizeof *l);
    if (!l)
        return diag_set(diag, -ENOMEM, "", "loop %s: out of memory", thread_name);
    l->hooks = *hooks;
    l->epoll_fd = l->wake_fd = -1;
    l->calls_end = &l->calls;
    (void)pthread_mutex_init(&l->lock, NULL);
    (void)pthread_cond_init(&l->done, NULL);
    int rc = open_fds(l);
    if (!rc)
        rc = -pthread_create(&l->thread, NULL, run, l);
    if (rc) {
        release(l);
        return diag_set(diag, rc, "", "loop %s: %s", thread_name, strerror(-rc));
    }
    char name[16]; /* limit of the kernel */
    (void)snprintf(name, sizeof name, "%.15s", thread_name);
    (void)pthread_setname_np(l->thread, name);
    *ret = l;
    return 0;
}

struct loop *loop_free(struct loop *l)
{
    if (!l)
        return NULL;
    (void)pthread_mutex_lock(&l->lock);
    l->stop = true;
    (void)pthread_mutex_unlock(&l->lock);
    loop_wake(l);
    (void)pthread_join(l->thread, NULL);
    release(l);
    return NULL;
}
