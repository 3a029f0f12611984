/* SPDX-License-Identifier: Apache-2.0 */
/* speech.c - see speech.h. Text goes in and sound comes out through memory files, so that neither a
 * shell nor a command line sees the text, and no pipe can fill up. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* clone, memfd_create */
#endif
#include "speech.h"
#include "wav.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STEP_MS 5
#define GRACE_MS 500 /* for a command that does not heed its timer */
#define STACK 65536u
#ifdef __SANITIZE_THREAD__
/* It takes every child for a copy; one on the same memory makes it lose sight of the worker. */
#define SHARES CLONE_VFORK
#else
#define SHARES (CLONE_VM | CLONE_VFORK)
#endif

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

struct child {
    const struct ivr_speech *speech;
    int in, out;
    int why; /* errno of what failed before the command ran */
};

/* In the child, on the worker's memory: system calls only. The command carries its own limit, since
 * in a process of its own this plugin may not signal anybody: it is ended by its timer, or when the
 * worker ends. The worker blocks all signals; the command starts with none blocked or ignored.
 * AddressSanitizer knows nothing of this stack. */
__attribute__((no_sanitize("address"))) static int become(void *arg)
{
    struct child *c = arg;
    const struct ivr_speech *s = c->speech;
    const struct itimerval limit = {
        .it_value = {.tv_sec = s->timeout_ms / 1000, .tv_usec = s->timeout_ms % 1000 * 1000}};
    char *const argv[] = {(char *)s->command, (char *)"-v",       (char *)s->voice,
                          (char *)"--stdin",  (char *)"--stdout", NULL};
    sigset_t none;
    for (int sig = 1; sig < NSIG; sig++)
        (void)signal(sig, SIG_DFL);
    (void)sigemptyset(&none);
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (setitimer(ITIMER_REAL, &limit, NULL) == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 &&
        dup2(c->in, 0) == 0 && dup2(c->out, 1) == 1 && dup2(null, 2) == 2 &&
        sigprocmask(SIG_SETMASK, &none, NULL) == 0)
        (void)execvp(s->command, argv);
    c->why = errno;
    return 127; /* to clone(), which ends the child */
}

/* As posix_spawn() does it, which knows no timers: no copy of the gateway's memory is made, and the
 * worker waits until the command runs. */
static int spawn(const struct ivr_speech *s, int in, int out, pid_t *ret)
{
    char *room = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED)
        return ENOMEM;
    struct child *c = (struct child *)(void *)room; /* below its stack: why comes back */
    *c = (struct child){s, in, out, 0};
    *ret = clone(become, room + STACK, SHARES | SIGCHLD, c);
    int rc = *ret < 0 ? errno : c->why;
    (void)munmap(room, STACK);
    if (*ret > 0 && rc)
        (void)waitpid(*ret, NULL, 0);
    return rc;
}

/* Looks every few milliseconds: a worker has nothing else to do, and this works in every sandbox.
 * \return the child's status, -1 when its time was over. */
static int wait_for(const struct ivr_speech *s, pid_t pid)
{
    static const struct timespec step = {0, STEP_MS * 1000000};
    int status = 0;
    for (int64_t ms = 0; ms < s->timeout_ms + GRACE_MS && !(s->stop && atomic_load(s->stop));
         ms += STEP_MS) {
        pid_t got = waitpid(pid, &status, WNOHANG);
        if (got == pid)
            return WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM ? -1 : status;
        if (got < 0 && errno != EINTR) /* somebody collects all children: its sound tells */
            return 0;
        (void)nanosleep(&step, NULL);
    }
    /* Our child and not yet waited for: the id is its own. Where it may not be killed, it ends with
     * this thread. */
    if (kill(pid, SIGKILL) == 0)
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
