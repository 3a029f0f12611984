/* SPDX-License-Identifier: Apache-2.0 */
/* plugin_check_sabotage.h - what a plugin meets on a bad day: its own memory calls fail, services
 * refuse, the wall clock is set, media vanishes. Works in the clause's own process by changing the
 * plugin's import slots and the table of services that create() is given; the gateway's own calls
 * are left alone. */
#ifndef CTL_PLUGIN_CHECK_SABOTAGE_H
#define CTL_PLUGIN_CHECK_SABOTAGE_H

#include "plugin_check.h"
#include <stdatomic.h>

/* ---- services (plugin_check_sabotage.c) */
struct sabotage {
    _Atomic int64_t utc_ms;                                       /* added to the wall clock */
    _Atomic uint32_t refuse_timers, refuse_posts, refuse_watches; /* that many calls, then grant */
    _Atomic int64_t media_bytes; /* size told of every handle; < 0: the handle is gone */
    _Atomic int64_t media_left;  /* bytes that can be read before it vanishes */
    /* seen in passing */
    _Atomic uint32_t took_too_many;   /* submit() answered more than it was offered */
    _Atomic uint32_t untaken_settled; /* completed inside submit(), but behind the taken prefix */
    _Atomic uint32_t odd_credit;      /* credit() of a lane that is none */
    _Atomic uint32_t media_reads;
};
extern struct sabotage sabotage;
/* Before the instance is made. */
void sabotage_services(const struct checker *k);
/* Runs fn(the plugin's object, arg) on the instance's loop thread and waits for it, 5 s at most. */
struct plugin_instance;
bool sabotage_on_loop(struct plugin_instance *inst, void (*fn)(void *ch, void *arg), void *arg);

/* ---- memory (plugin_check_memory.c) */
/* \return how many import slots of the plugin's file were turned to the checker's allocator. */
int memory_hook(const struct plugin *p);
/* Let the nth call from now fail, and with `and_after` all behind it; 0 = none. Counts from 0. */
void memory_fail_at(uint32_t nth, bool and_after);
uint32_t memory_calls(void);
/* Does the plugin's file import this function? */
bool memory_imports(const struct plugin *p, const char *function);

#endif
