/* SPDX-License-Identifier: Apache-2.0 */
/* confine.h - what the process of an isolated plugin gives up before the plugin's first instruction
 * runs: privileges, limits, descriptors, system calls, the file system. Only takes away; none of it
 * can be had back. The descriptors that stay are those below CONFINE_FDS. */
#ifndef PLUGIN_CONFINE_H
#define PLUGIN_CONFINE_H

#include "base/diag.h"
#include <stdbool.h>
#include <stdint.h>

#define CONFINE_FDS 6         /* 0..2 /dev/null, 3 main, 4 checks, 5 media */
#define CONFINE_PATHS_MAX 32u /* paths of each kind that an instance may name */
#define CONFINE_FILES 4096u   /* RLIMIT_NOFILE */
#define CONFINE_TASKS 1024u   /* RLIMIT_NPROC: threads, and commands with exec */
#define CONFINE_FILE_MB 1024u /* RLIMIT_FSIZE */

struct confine {
    const char *plugin; /* the file: it can be read, what lies beside it cannot */
    bool exec;          /* may run commands */
    uint32_t memory_mb; /* RLIMIT_AS */
    const char *read[CONFINE_PATHS_MAX], *write[CONFINE_PATHS_MAX];
    uint32_t n_read, n_write;
};

/* Limits, privileges, descriptors. */
int confine_process(const struct confine *c, struct diag *diag) CGW_NODISCARD;
/* System calls, with libseccomp (confine_calls.c). */
int confine_calls(const struct confine *c, struct diag *diag) CGW_NODISCARD;
/* The file system, where the kernel has Landlock (confine_files.c). *ret_abi = 0: it has not. */
int confine_files(const struct confine *c, int *ret_abi, struct diag *diag) CGW_NODISCARD;

#endif
