/* SPDX-License-Identifier: Apache-2.0 */
/* speech.c - see speech.h. Text goes in and sound comes out through memory files, so that neither a
 * shell nor a command line sees the text, and no pipe can fill up. */
#include "speech.h"
#include "wav.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STEP_MS 5

extern char **environ;

static int text_file(const char *text)
{
    int fd = memfd_create("say", MFD_CLOEXEC);
    size_t n = strlen(text);
    if (fd >= 0 && (write(fd, text, n) != (ssize_t)n || lseek(fd, 0, SEEK_SET) != 0)) {
        (void)close(fd);
        fd = -1;
    }
    return fd;
}

/* The worker blocks all signals; the child starts with none blocked. */
static int spawn(const struct ivr_speech *s, int in, int out, pid_t *ret)
{
    char *const argv[] = {(char *)s->command, (char *)"-v",       (char *)s->voice,
                          (char *)"--stdin",  (char *)"--stdout", NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t none, def;
    (void)sigemptyset(&none);
    (void)sigemptyset(&def);
    (void)sigaddset(&def, SIGPIPE);
    (void)posix_spawn_file_actions_init(&files);
    (void)posix_spawnattr_init(&attr);
    (void)posix_spawnattr_setsigmask(&attr, &none);
    (void)posix_spawnattr_setsigdefault(&attr, &def);
    (void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    int rc = posix_spawn_file_actions_adddup2(&files, in, 0);
    if (rc == 0)
        rc = posix_spawn_file_actions_adddup2(&files, out, 1);
    if (rc == 0)
        rc = posix_spawn_file_actions_addopen(&files, 2, "/dev/null", 1 /* O_WRONLY */, 0);
    if (rc == 0)
        rc = posix_spawnp(ret, s->command, &files, &attr, argv, environ);
    (void)posix_spawnattr_destroy(&attr);
    (void)posix_spawn_file_actions_destroy(&files);
    return rc;
}

/* Looks every few milliseconds: a worker has nothing else to do, and this works in every sandbox.
 * \return the child's status, -1 when it had to be killed. */
static int wait_for(const struct ivr_speech *s, pid_t pid)
{
    static const struct timespec step = {0, STEP_MS * 1000000};
    int status = 0;
    for (int64_t ms = 0; ms < s->timeout_ms && !(s->stop && atomic_load(s->stop)); ms += STEP_MS) {
        pid_t got = waitpid(pid, &status, WNOHANG);
        if (got == pid)
            return status;
        if (got < 0 && errno != EINTR) /* somebody collects all children: its sound tells */
            return 0;
        (void)nanosleep(&step, NULL);
    }
    (void)kill(pid, SIGKILL); /* our child and not yet waited for: the id is its own */
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return -1;
}

static int64_t read_back(int fd, uint8_t **ret)
{
    off_t n = lseek(fd, 0, SEEK_END);
    if (n <= 0 || n > (off_t)IVR_WAV_BYTES)
        return -1;
    *ret = malloc((size_t)n);
    if (*ret && pread(fd, *ret, (size_t)n, 0) == n)
        return n;
    free(*ret);
    return -1;
}

static int64_t run(const struct ivr_speech *s, int in, int out, uint8_t **ret, char *why,
                   size_t size)
{
    pid_t pid = 0;
    int rc = spawn(s, in, out, &pid);
    if (rc != 0) {
        (void)snprintf(why, size, "%.60s cannot be run: %.60s", s->command, strerror(rc));
        return -1;
    }
    int status = wait_for(s, pid);
    if (status == -1 || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        (void)snprintf(why, size, "%.60s %s for voice %.31s", s->command,
                       status == -1 ? "took too long" : "failed", s->voice);
        return -1;
    }
    int64_t n = read_back(out, ret);
    if (n < 0)
        (void)snprintf(why, size, "%.60s gave no sound for voice %.31s", s->command, s->voice);
    return n;
}

int64_t ivr_speak(const struct ivr_speech *s, const char *text, uint8_t **ret, char *why,
                  size_t size)
{
    int in = text_file(text), out = memfd_create("sound", MFD_CLOEXEC);
    int64_t n = -1;
    if (in >= 0 && out >= 0)
        n = run(s, in, out, ret, why, size);
    else
        (void)snprintf(why, size, "no memory file for the text: %.60s", strerror(errno));
    if (in >= 0)
        (void)close(in);
    if (out >= 0)
        (void)close(out);
    return n;
}
