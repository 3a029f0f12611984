/* SPDX-License-Identifier: Apache-2.0 */
/* loop.h - one thread with epoll, a timer heap and an eventfd, for one or several plugin instances.
 * Knows no plugin: members are turned, timers and descriptors call back. All but loop_wake,
 * loop_call and loop_post belong to the loop's own thread. */
#ifndef PLUGIN_LOOP_H
#define PLUGIN_LOOP_H

#include "base/diag.h"
#include <stdbool.h>
#include <stdint.h>

#define LOOP_FD_MAX 65536u
#define LOOP_MEMBERS_MAX 64u

struct loop;
struct loop_timer; /* = struct cgw_timer of the public contract */

typedef void (*loop_fn)(void *arg);
typedef void (*loop_fd_fn)(void *arg, int fd, uint32_t events);

/* Around every timer and descriptor callback, so that the owner can watch its time. owner may be
 * NULL. */
struct loop_hooks {
    void (*enter)(void *owner, const char *what);
    void (*leave)(void *owner);
};

int loop_new(const char *thread_name, const struct loop_hooks *hooks, struct loop **ret,
             struct diag *diag) CGW_NODISCARD;
struct loop *loop_free(struct loop *l); /* stops and joins; members must be gone; NULL-safe */

/* Any thread. */
bool loop_is_self(const struct loop *l);
void loop_wake(struct loop *l);
void loop_call(struct loop *l, loop_fn fn, void *arg); /* runs fn there and waits for it */
int loop_post(struct loop *l, loop_fn fn,
              void *arg) CGW_NODISCARD; /* runs fn there later; -ENOMEM */

/* A member is turned once per round: it does its queued work and says in how many ms it wants to be
 * turned again (-1 = when woken, 0 = at once). */
int loop_attach(struct loop *l, int (*turn)(void *arg), void *arg) CGW_NODISCARD;
void loop_detach(struct loop *l, void *arg);

struct loop_timer *loop_timer_new(struct loop *l, loop_fn fn, void *arg, void *owner);
void loop_timer_set(struct loop_timer *t, int64_t at_mono_ms); /* 0 = disarm */
void loop_timer_free(struct loop_timer *t);
void *loop_timer_owner(const struct loop_timer *t);
struct loop *loop_timer_loop(const struct loop_timer *t);

int loop_watch(struct loop *l, int fd, uint32_t events, loop_fd_fn fn, void *arg,
               void *owner) CGW_NODISCARD;
void loop_unwatch(struct loop *l, int fd, const void *owner); /* only the owner's */
/* Removes every descriptor of an owner. Timers: the owner keeps its own list. */
void loop_forget(struct loop *l, const void *owner);

#endif
