/* SPDX-License-Identifier: Apache-2.0 */
/* confine_files.c - the files an isolated plugin can reach, by Landlock (kernel 5.13 and later,
 * used by its system calls: libc has no functions for it). Programs, libraries, certificates, the
 * resolver's files and time zones can be read; what the instance names besides; nothing else, above
 * all neither the configuration, the credentials, /proc nor other users' data. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* O_PATH */
#endif
#include "plugin/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* linux/landlock.h of the oldest kernel we build on does not know the later ones. */
#define LL_CREATE 444
#define LL_ADD 445
#define LL_RESTRICT 446
#define LL_VERSION 1u
#define LL_BENEATH 1
#define FS_EXECUTE (1ull << 0)
#define FS_WRITE_FILE (1ull << 1)
#define FS_READ_FILE (1ull << 2)
#define FS_READ_DIR (1ull << 3)
#define FS_FIRST ((1ull << 13) - 1)              /* ABI 1: all but the following */
#define FS_REFER (1ull << 13)                    /* ABI 2 */
#define FS_TRUNCATE (1ull << 14)                 /* ABI 3 */
#define FS_IOCTL_DEV (1ull << 15)                /* ABI 5 */
#define SCOPE_SOCKETS_SIGNALS 3ull               /* ABI 6: abstract sockets, signals */
#define FS_MAKE_DEVICES (1ull << 6 | 1ull << 11) /* char and block: nobody needs to make them */

struct ruleset {
    uint64_t fs, net, scoped;
};
struct beneath {
    uint64_t allowed;
    int32_t fd;
} __attribute__((packed));

#define READ (FS_READ_FILE | FS_READ_DIR)
#define FILES (FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV)

static const struct {
    const char *path;
    uint64_t rights;
} always[] = {
    {"/usr", READ | FS_EXECUTE},
    {"/lib", READ | FS_EXECUTE},
    {"/lib64", READ | FS_EXECUTE},
    {"/bin", READ | FS_EXECUTE},
    {"/etc/ld.so.cache", READ},
    {"/etc/ssl", READ},
    {"/etc/ca-certificates", READ},
    {"/etc/resolv.conf", READ},
    {"/etc/hosts", READ},
    {"/etc/host.conf", READ},
    {"/etc/nsswitch.conf", READ},
    {"/etc/gai.conf", READ},
    {"/etc/services", READ},
    {"/etc/protocols", READ},
    {"/etc/localtime", READ},
    {"/etc/timezone", READ},
    {"/dev/null", READ | FS_WRITE_FILE},
    {"/dev/zero", READ},
    {"/dev/full", READ},
    {"/dev/random", READ},
    {"/dev/urandom", READ},
    {"/sys/devices/system/cpu", READ},
};

/* \return 0, also for what does not exist; -errno. */
static int allow(int set, uint64_t handled, const char *path, uint64_t rights)
{
    int fd = open(path, O_PATH | O_CLOEXEC);
    struct stat st;
    if (fd < 0)
        return errno == ENOENT || errno == EACCES ? 0 : -errno;
    if (fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode))
        rights &= FILES;
    struct beneath rule = {rights & handled, fd};
    int rc = syscall(LL_ADD, set, LL_BENEATH, &rule, 0) < 0 ? -errno : 0;
    (void)close(fd);
    return rc;
}

static int allow_all(int set, uint64_t handled, const struct confine *c, struct diag *diag)
{
    int rc = allow(set, handled, c->plugin, READ | FS_EXECUTE); /* not what lies beside it */
    for (size_t i = 0; i < ARRAY_LEN(always) && !rc; i++)
        rc = allow(set, handled, always[i].path, always[i].rights);
    for (uint32_t i = 0; i < c->n_read && !rc; i++)
        rc = allow(set, handled, c->read[i], READ);
    for (uint32_t i = 0; i < c->n_write && !rc; i++)
        rc = allow(set, handled, c->write[i], handled & ~FS_EXECUTE & ~FS_MAKE_DEVICES);
    return rc ? diag_set(diag, rc, "", "Landlock: %s", strerror(-rc)) : 0;
}

int confine_files(const struct confine *c, int *ret_abi, struct diag *diag)
{
    long abi = syscall(LL_CREATE, NULL, 0, LL_VERSION);
    *ret_abi = abi < 1 ? 0 : (int)abi;
    if (abi < 1)
        return 0; /* this kernel has none, or it is switched off: the caller says so */
    struct ruleset rules = {.fs = FS_FIRST | (abi >= 2 ? FS_REFER : 0) |
                                  (abi >= 3 ? FS_TRUNCATE : 0) | (abi >= 5 ? FS_IOCTL_DEV : 0),
                            .scoped = abi >= 6 ? SCOPE_SOCKETS_SIGNALS : 0};
    size_t size = abi >= 6 ? 24 : abi >= 4 ? 16 : 8;
    int set = (int)syscall(LL_CREATE, &rules, size, 0);
    if (set < 0)
        return diag_set(diag, -errno, "", "Landlock: %s", strerror(errno));
    int rc = allow_all(set, rules.fs, c, diag);
    if (!rc && syscall(LL_RESTRICT, set, 0) < 0)
        rc = diag_set(diag, -errno, "", "Landlock: %s", strerror(errno));
    (void)close(set);
    return rc;
}
