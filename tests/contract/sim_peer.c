/* SPDX-License-Identifier: Apache-2.0 */
/* sim_peer.c - see sim_peer.h. */
#include "sim_peer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGS_MAX 64

static const char *setting(const char *name, const char *otherwise)
{
    const char *s = getenv(name);
    return s && *s ? s : otherwise;
}

static void path_in(const struct sim_peer *p, const char *name, char *out, size_t size)
{
    (void)snprintf(out, size, "%s/%s", p->dir, name);
}

/* stdin_fd: -1 for /dev/null. The child ends with us. */
static pid_t spawn(const char *const *argv, int stdin_fd)
{
    pid_t parent = getpid(), pid = fork();
    if (pid != 0)
        return pid;
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(126);
    int in = stdin_fd >= 0 ? stdin_fd : open("/dev/null", O_RDONLY);
    (void)dup2(in, STDIN_FILENO);
    (void)execvp(argv[0], (char *const *)(uintptr_t)argv);
    _exit(127);
}

static int wait_port(const char *file, pid_t pid, uint16_t *ret_port)
{
    for (int i = 0; i < 1000; i++) { /* 10 s: the file appears by rename, nothing announces it */
        FILE *f = fopen(file, "r");
        int port = 0, n = f ? fscanf(f, "%d", &port) : 0;
        if (f)
            (void)fclose(f);
        if (n == 1 && port > 0) {
            *ret_port = (uint16_t)port;
            return 0;
        }
        if (waitpid(pid, NULL, WNOHANG) == pid)
            return -ECHILD;
        (void)poll(NULL, 0, 10);
    }
    return -ETIME;
}

static int connect_control(struct sim_peer *p)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    path_in(p, "control", to.sun_path, sizeof to.sun_path);
    p->control = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return p->control >= 0 && connect(p->control, (struct sockaddr *)&to, sizeof to) == 0 ? 0
                                                                                          : -errno;
}

int sim_peer_start(struct sim_peer *p, const char *const *args)
{
    return sim_peer_start_as(p, setting("CAMPGW_SMSCSIM", "tests/sim/smscsim"), args);
}

int sim_peer_start_as(struct sim_peer *p, const char *program, const char *const *args)
{
    char port_file[96], control[96];
    const char *argv[ARGS_MAX] = {program,   "--listen",  "127.0.0.1:0", "--port-file",
                                  port_file, "--control", control};
    size_t n = 7;
    memset(p, 0, sizeof *p);
    p->control = p->tls_stdin = -1;
    (void)snprintf(p->dir, sizeof p->dir, "/tmp/smpp-harness-XXXXXX");
    if (!mkdtemp(p->dir))
        return -errno;
    path_in(p, "port", port_file, sizeof port_file);
    path_in(p, "control", control, sizeof control);
    for (; args && *args && n + 1 < ARGS_MAX; args++)
        argv[n++] = *args;
    p->pid = spawn(argv, -1);
    int rc = p->pid > 0 ? wait_port(port_file, p->pid, &p->port) : -errno;
    if (rc == -ECHILD)
        p->pid = 0;
    return rc ? rc : connect_control(p);
}

static int make_certificate(const struct sim_peer *p, const char *name)
{
    char key[96], cert[96], subject[128], alt[160];
    path_in(p, "key.pem", key, sizeof key);
    path_in(p, "cert.pem", cert, sizeof cert);
    (void)snprintf(subject, sizeof subject, "/CN=%s", name);
    (void)snprintf(alt, sizeof alt, "subjectAltName=DNS:%s", name);
    const char *argv[] = {
        "openssl", "req",   "-x509",   "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
        "-nodes",  "-days", "2",       "-keyout", key,  "-out",     cert,
        "-subj",   subject, "-addext", alt,       NULL};
    int status = 0;
    pid_t pid = spawn(argv, -1);
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ||
        WEXITSTATUS(status) != 0)
        return -ECHILD;
    return 0;
}

static int start_front(struct sim_peer *p, const char *name, bool mutual)
{
    char key[96], cert[96], port[8], port_file[96], script[512];
    int ends[2];
    if (make_certificate(p, name) != 0 || pipe2(ends, O_CLOEXEC) != 0)
        return -ECHILD;
    path_in(p, "key.pem", key, sizeof key);
    path_in(p, "cert.pem", cert, sizeof cert);
    path_in(p, "tls_port", port_file, sizeof port_file);
    (void)snprintf(port, sizeof port, "%u", p->port);
    (void)snprintf(script, sizeof script, "%s/tests/contract/tls_front.py", setting("srcdir", "."));
    const char *argv[] = {"python3", script, cert, key, port, port_file, mutual ? cert : NULL,
                          NULL};
    p->tls_pid = spawn(argv, ends[0]);
    (void)close(ends[0]);
    p->tls_stdin = ends[1];
    return p->tls_pid > 0 ? wait_port(port_file, p->tls_pid, &p->tls_port) : -errno;
}

int sim_peer_tls(struct sim_peer *p, const char *name)
{
    return start_front(p, name, false);
}

int sim_peer_tls_mutual(struct sim_peer *p, const char *name)
{
    return start_front(p, name, true);
}

static void end_child(pid_t pid)
{
    if (pid <= 0)
        return;
    (void)kill(pid, SIGTERM);
    for (int i = 0; i < 300; i++) {
        if (waitpid(pid, NULL, WNOHANG) != 0)
            return;
        (void)poll(NULL, 0, 10);
    }
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
}

void sim_peer_stop(struct sim_peer *p)
{
    static const char *const files[] = {"port",     "control",  "key.pem",
                                        "cert.pem", "tls_port", "log"};
    char path[96];
    if (p->control >= 0)
        (void)close(p->control);
    if (p->tls_stdin >= 0)
        (void)close(p->tls_stdin);
    end_child(p->tls_pid);
    end_child(p->pid);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        path_in(p, files[i], path, sizeof path);
        (void)unlink(path);
    }
    (void)rmdir(p->dir);
    memset(p, 0, sizeof *p);
    p->control = p->tls_stdin = -1;
}

int sim_peer_send(struct sim_peer *p, const char *line)
{
    char text[1024];
    int n = snprintf(text, sizeof text, "%s\n", line);
    return send(p->control, text, (size_t)n, MSG_NOSIGNAL) == n ? 0 : -EPIPE;
}

bool sim_peer_has_answer(const struct sim_peer *p)
{
    struct pollfd f = {.fd = p->control, .events = POLLIN};
    return poll(&f, 1, 0) == 1;
}

const char *sim_peer_read(struct sim_peer *p)
{
    size_t n = 0;
    while (n + 1 < sizeof p->answer) {
        struct pollfd f = {.fd = p->control, .events = POLLIN};
        if (poll(&f, 1, 5000) != 1 || recv(p->control, p->answer + n, 1, 0) != 1)
            break;
        if (p->answer[n] == '\n')
            break;
        n++;
    }
    p->answer[n] = '\0';
    return p->answer;
}

const char *sim_peer_ask(struct sim_peer *p, const char *fmt, ...)
{
    char line[900];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    return sim_peer_send(p, line) == 0 ? sim_peer_read(p) : "";
}

int64_t sim_peer_number(const struct sim_peer *p, const char *after, const char *key)
{
    char quoted[80];
    const char *at = after ? strstr(p->answer, after) : p->answer;
    (void)snprintf(quoted, sizeof quoted, "\"%s\":", key);
    at = at ? strstr(at, quoted) : NULL;
    return at ? strtoll(at + strlen(quoted), NULL, 10) : -1;
}

int64_t sim_peer_stat(struct sim_peer *p, const char *key)
{
    (void)sim_peer_ask(p, "stats");
    return sim_peer_number(p, NULL, key);
}
