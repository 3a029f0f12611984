/* SPDX-License-Identifier: Apache-2.0 */
/* confine.c - see confine.h: limits, privileges, descriptors. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* close_range */
#endif
#include "plugin/confine.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CGW_SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define CGW_SANITIZED
#endif
#endif

#include <errno.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

static int limit(int what, const char *name, rlim_t n, struct diag *diag)
{
    struct rlimit had, want = {n, n};
    if (getrlimit((__rlimit_resource_t)what, &had) == 0 && had.rlim_max < n)
        want = (struct rlimit){had.rlim_max, had.rlim_max};
    if (setrlimit((__rlimit_resource_t)what, &want) < 0)
        return diag_set(diag, -errno, "", "limit %s: %s", name, strerror(errno));
    return 0;
}

static int limits(const struct confine *c, struct diag *diag)
{
    const struct {
        int what;
        const char *name;
        rlim_t n;
    } all[] = {
#ifndef CGW_SANITIZED /* a sanitizer's shadow takes all addresses there are */
        {RLIMIT_AS, "isolation_memory_mb", (rlim_t)c->memory_mb << 20},
#endif
        {RLIMIT_NOFILE, "files", CONFINE_FILES},
        {RLIMIT_NPROC, "tasks", CONFINE_TASKS},
        {RLIMIT_FSIZE, "file size", (rlim_t)CONFINE_FILE_MB << 20},
        {RLIMIT_CORE, "core", 0},
        {RLIMIT_MSGQUEUE, "message queues", 0},
    };
    (void)c;
    int rc = 0;
    for (size_t i = 0; i < ARRAY_LEN(all) && !rc; i++)
        rc = limit(all[i].what, all[i].name, all[i].n, diag);
    return rc;
}

/* A gateway that runs as root must not make plugins that do. */
static int capabilities(struct diag *diag)
{
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[2] = {0};
    for (unsigned long cap = 0; cap < 64; cap++)
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno == EINVAL)
            break; /* the kernel knows no more */
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    (void)prctl(PR_SET_SECUREBITS,
                SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
                    SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED,
                0, 0, 0);
    if (syscall(SYS_capset, &head, none) < 0)
        return diag_set(diag, -errno, "", "capabilities: %s", strerror(errno));
    return 0;
}

int confine_process(const struct confine *c, struct diag *diag)
{
    if (close_range(CONFINE_FDS, ~0u, 0) < 0)
        return diag_set(diag, -errno, "", "close_range: %s", strerror(errno));
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return diag_set(diag, -errno, "", "prctl: %s", strerror(errno));
    int rc = capabilities(diag);
    return rc ? rc : limits(c, diag);
}
