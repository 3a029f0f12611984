/* SPDX-License-Identifier: Apache-2.0 */
/* isolate_spawn.c - starts and ends the process of a plugin. exec, never a bare fork: the gateway
 * has many threads and its memory holds keys. The process inherits three sockets, no environment
 * and no other descriptor. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* posix_spawn_file_actions_addclosefrom_np */
#endif
#include "plugin/isolate_int.h"

#include "base/clock.h"
#include "plugin/confine.h"
#include "plugin/inside.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#define PROGRAM "campgw-plugin-host"
#define FD_FLOOR 16 /* our ends, out of the way of the numbers the process gets */

static atomic_bool sandbox;

void isolate_sandbox_on(void)
{
    atomic_store(&sandbox, true);
}

/* The one that was named, built or installed beside this program, or the one of the installation.
 */
static const char *program(char *room, size_t size)
{
    static const char *const beside[] = {PROGRAM, "../libexec/campgw/" PROGRAM};
    const char *named = getenv(ISOLATE_PROGRAM_ENV);
    if (named && *named)
        return named;
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = 0;
    char *slash = strrchr(self, '/');
    for (size_t i = 0; slash && i < ARRAY_LEN(beside); i++)
        if (snprintf(room, size, "%.*s/%s", (int)(slash - self), self, beside[i]) < (int)size &&
            !access(room, X_OK))
            return room;
    return CGW_PKGLIBEXECDIR "/" PROGRAM;
}

static int high_pair(int fds[2])
{
    int low[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, low) < 0)
        return -errno;
    int rc = 0;
    for (int i = 0; i < 2; i++) {
        fds[i] = fcntl(low[i], F_DUPFD_CLOEXEC, FD_FLOOR);
        if (fds[i] < 0)
            rc = -errno;
        (void)close(low[i]);
    }
    return rc;
}

static void close_all(int fds[3][2], int side)
{
    for (int i = 0; i < 3; i++)
        if (fds[i][side] >= 0)
            (void)close(fds[i][side]);
}

static char **arguments(const char *path, const struct conf_isolation *how, char **room,
                        char words[2][24], char *name)
{
    size_t n = 0;
    (void)snprintf(words[0], sizeof words[0], "%ld", (long)getpid());
    (void)snprintf(words[1], sizeof words[1], "%u",
                   how->memory_mb ? how->memory_mb : CONF_ISOLATION_MEMORY_DEFAULT);
    room[n++] = name;
    room[n++] = (char *)(uintptr_t) "--parent";
    room[n++] = words[0];
    room[n++] = (char *)(uintptr_t) "--gateway";
    room[n++] = (char *)(uintptr_t)PACKAGE_VERSION;
    room[n++] = (char *)(uintptr_t) "--memory-mb";
    room[n++] = words[1];
    if (how->exec)
        room[n++] = (char *)(uintptr_t) "--exec";
    if (atomic_load(&sandbox))
        room[n++] = (char *)(uintptr_t) "--sandbox";
    for (uint32_t i = 0; i < how->n_read; i++) {
        room[n++] = (char *)(uintptr_t) "--read";
        room[n++] = how->read[i];
    }
    for (uint32_t i = 0; i < how->n_write; i++) {
        room[n++] = (char *)(uintptr_t) "--write";
        room[n++] = how->write[i];
    }
    room[n++] = (char *)(uintptr_t)path;
    room[n] = NULL;
    return room;
}

static int file_actions(posix_spawn_file_actions_t *fa, int fds[3][2])
{
    static const int to[] = {INSIDE_MAIN_FD, INSIDE_CHECK_FD, INSIDE_MEDIA_FD};
    int rc = posix_spawn_file_actions_init(fa);
    for (int fd = 0; fd < 2 && !rc; fd++)
        rc = posix_spawn_file_actions_addopen(fa, fd, "/dev/null", O_RDWR, 0);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    if (!rc) /* else its report is wanted */
        rc = posix_spawn_file_actions_addopen(fa, 2, "/dev/null", O_RDWR, 0);
#endif
    for (int i = 0; i < 3 && !rc; i++)
        rc = posix_spawn_file_actions_adddup2(fa, fds[i][1], to[i]);
    return rc ? rc : posix_spawn_file_actions_addclosefrom_np(fa, CONFINE_FDS);
}

static int spawn(const char *path, const struct conf_isolation *how, int fds[3][2], pid_t *pid)
{
    char *room[16 + 4 * CONF_ISOLATION_PATHS], words[2][24], file[PATH_MAX];
    static char name[] = PROGRAM;
    static char zone[] = "TZ=UTC", where[] = "PATH=/usr/bin:/bin", lang[] = "LC_ALL=C.UTF-8";
    char *const env[] = {where, lang, zone, NULL};
    posix_spawn_file_actions_t fa;
    posix_spawnattr_t at;
    sigset_t none;
    (void)sigemptyset(&none);
    int rc = posix_spawnattr_init(&at);
    if (rc)
        return rc;
    (void)posix_spawnattr_setsigmask(&at, &none);
    (void)posix_spawnattr_setflags(&at, POSIX_SPAWN_SETSIGMASK);
    if (!(rc = file_actions(&fa, fds)))
        rc = posix_spawn(pid, program(file, sizeof file), &fa, &at,
                         arguments(path, how, room, words, name), env);
    (void)posix_spawn_file_actions_destroy(&fa);
    (void)posix_spawnattr_destroy(&at);
    return rc;
}

/* What runs as the same user must not look into this process, where the kernel lets it choose. */
static void hide(void)
{
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* a leak checker traces its own process */
#endif
}

int child_spawn(const char *path, const struct conf_isolation *how, struct child_process *ret,
                struct diag *diag)
{
    int fds[3][2] = {{-1, -1}, {-1, -1}, {-1, -1}}, rc = 0;
    char file[PATH_MAX];
    *ret = (struct child_process){.main_fd = -1, .check_fd = -1, .media_fd = -1};
    hide();
    for (int i = 0; i < 3 && !rc; i++)
        rc = high_pair(fds[i]);
    if (!rc)
        rc = -spawn(path, how, fds, &ret->pid);
    close_all(fds, 1);
    if (rc) {
        close_all(fds, 0);
        ret->pid = 0;
        return diag_set(diag, rc, "", "%.120s cannot be started: %s", program(file, sizeof file),
                        strerror(-rc));
    }
    ret->main_fd = fds[0][0];
    ret->check_fd = fds[1][0];
    ret->media_fd = fds[2][0];
    return 0;
}

static bool reap(pid_t pid, int ms, int *ret_status)
{
    const struct timespec nap = {.tv_nsec = 1000000};
    int64_t until = clock_mono_ms() + ms;
    pid_t got;
    while ((got = waitpid(pid, ret_status, WNOHANG)) != pid) {
        if ((got < 0 && errno != EINTR) || clock_mono_ms() >= until)
            return false;
        (void)nanosleep(&nap, NULL);
    }
    return true;
}

int child_end(struct child_process *c, int ms)
{
    int status = 0;
    if (c->pid && !reap(c->pid, ms, &status)) {
        (void)kill(c->pid, SIGKILL);
        (void)reap(c->pid, ISOLATE_STOP_MS, &status); /* longer only when the kernel holds it */
    }
    int *fds[] = {&c->main_fd, &c->check_fd, &c->media_fd};
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        if (*fds[i] >= 0)
            (void)close(*fds[i]);
        *fds[i] = -1;
    }
    c->pid = 0;
    return status;
}

bool child_wait(int fd, int64_t until_mono_ms)
{
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int64_t left = until_mono_ms - clock_mono_ms();
        int rc = poll(&p, 1, left > 0 ? (int)left : 0);
        if (rc > 0)
            return true;
        if (!rc && left <= 0)
            return false;
    }
}
