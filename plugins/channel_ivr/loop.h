/* SPDX-License-Identifier: Apache-2.0 */
/* loop.h - the one thread of the process that calls libre: its loop, timers, descriptors, and a way
 * in for other threads. No libre type leaves loop.c, sip*.c and media.c.
 *
 * Why an own thread: libre has an epoll loop of its own and keeps its state per thread, so it
 * cannot live in the gateway's loop; sound must leave every 20 ms while the gateway's loop may be
 * busy for
 * 10. One thread for all instances, because libre_init() is once per process and one thread carries
 * 500 to 800 calls. From it only services marked "any thread" are called; credit() and drained() go
 * through post(). */
#ifndef IVR_LOOP_H
#define IVR_LOOP_H

#include <stdbool.h>
#include <stdint.h>

/* Something to do on the loop thread. The node belongs to the caller until run() is called, and is
 * the callee's from then on. */
struct ivr_task {
    struct ivr_task *next;
    void (*run)(struct ivr_task *t);
};

/* Start the thread when it is the first holder; end it with the last. Not from the loop thread.
 * \return 0 or a negative errno. */
int ivr_loop_hold(void);
void ivr_loop_release(void);
/* Any thread. Tasks run in order of posting. */
void ivr_loop_post(struct ivr_task *t);
/* Post a task and wait until it ran. Not from the loop thread. */
void ivr_loop_call(void (*fn)(void *arg), void *arg);

/* ---- the rest: loop thread only ---- */

struct ivr_timer;
struct ivr_timer *ivr_timer_new(void (*cb)(void *arg), void *arg);
void ivr_timer_set(struct ivr_timer *t, int64_t in_ms); /* negative: disarm */
struct ivr_timer *ivr_timer_free(struct ivr_timer *t);  /* returns NULL */

/* \return 0 or a positive errno. cb(arg) when fd is readable. */
int ivr_loop_watch(int fd, void (*cb)(int flags, void *arg), void *arg);
void ivr_loop_unwatch(int fd);

int64_t ivr_mono_ms(void); /* any thread; the host's clock */

#endif
