/* SPDX-License-Identifier: Apache-2.0 */
/* isolate.h - channel instances whose plugin runs in a process of its own. To the rest of the
 * gateway such an instance is like any other: its plugin is one that was described by its process,
 * never loaded here, and whose operations are frames. Supervises: a process that crashes, hangs,
 * ends or breaks the protocol is replaced, what it held is settled. */
#ifndef PLUGIN_ISOLATE_H
#define PLUGIN_ISOLATE_H

#include "plugin/host.h"

#define ISOLATE_PROGRAM_ENV "CAMPGW_PLUGIN_HOST" /* another campgw-plugin-host, for build trees */
#define ISOLATE_CREATE_MS 10000 /* from start of the process to CREATED, and to STARTED */
#define ISOLATE_PING_MS 250
#define ISOLATE_HANG_MS 5000     /* no answer to a ping for so long: it hangs */
#define ISOLATE_CHECK_MS 2000    /* check(): an answer to one frame, or the process is given up */
#define ISOLATE_STOP_MS 1000     /* from STOP to the end of the process, then SIGKILL */
#define ISOLATE_RETRY_MIN_MS 250 /* wait before a new process; doubled by each failure */
#define ISOLATE_RETRY_MAX_MS 30000
#define ISOLATE_RECALLED_MS 60000 /* asks of recall() that nobody answered count as gone then */
#define ISOLATE_CALM_MS 60000     /* so long without failure: the wait begins anew */
#define ISOLATE_DRAIN_MS 10000    /* a restart that was asked for: time for what is in flight */
#define ISOLATE_OUT_MAX 1048576u  /* unsent bytes beyond which no message is taken */
#define ISOLATE_LOGS_PER_S 200u   /* log lines of one process; more are counted */
#define ISOLATE_MEDIA_KNOWN 1024u /* handles of the latest messages: what the process may read */

/* Is this one of the gateway's own plugins, which may run inside it without being told? By file
 * name: who may put a file of that name there may replace the gateway's own code anyway. What a
 * plugin says of its vendor is not asked. */
bool isolate_is_own(const char *plugin_name);

/* Starts a process to learn what the file is. *ret lives as long as the process, like a loaded one;
 * its instances are isolated. Errors are those of plugin_load(). */
int isolate_describe(const char *path, const struct conf_isolation *how, struct plugin **ret,
                     struct diag *diag) CGW_NODISCARD;

struct isolate_status {
    bool isolated;
    int pid; /* 0 = no process now */
    uint32_t restarts;
    int landlock; /* its ABI in that process, 0 = the kernel has none */
    char version[64];
    char last_end[96]; /* why the last one ended, "" = none has */
};
void isolate_status(const struct plugin_instance *inst, struct isolate_status *ret);
/* Replaces the process by one of the file as it is now, after at most ISOLATE_DRAIN_MS for what is
 * in flight. Returns at once. CGW_ESTATE: not isolated, or stopping. Any thread. */
int isolate_restart(struct plugin_instance *inst, struct diag *diag) CGW_NODISCARD;
void isolate_metrics_register(void);
/* From now on every process refuses to leave this machine, as the gateway itself does (netguard.h).
 */
void isolate_sandbox_on(void);

#endif
