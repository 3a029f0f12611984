/* SPDX-License-Identifier: Apache-2.0 */
/* http_pump.c - GET requests over keep-alive connections, one unanswered each, and a sink that
 * answers what is called back: the client of `scripts/bench kannel`, so light that it takes few
 * cycles from what is measured. Usage: http_pump PORT N CONNECTIONS SINK_PORT SECONDS PATH, where
 * each %d in PATH is the message's number; ends when N were answered and N came back or nothing
 * more comes back, or after SECONDS. Loopback only; knows HTTP/1.1 with Content-Length and nothing
 * else (RFC 9112, 6.2). */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FDS_MAX 4096
#define BUF_BYTES 8192
#define TRIES_MAX 1000000 /* refusals in all: then something is wrong */
#define SILENCE_S 10.0    /* so long after the last event nothing is expected any more */

static const char ok_answer[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2"
                                "\r\n\r\nOK";

struct peer {
    bool is_open, is_client;
    long message; /* of a client: what waits for its answer, -1 = nothing */
    size_t len;
    char in[BUF_BYTES + 1];
};

static struct {
    int poll, listener;
    long n, next, answered, refused, called_back;
    const char *path;
    struct peer *peer; /* by file descriptor */
} pump;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static double now_s(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct sockaddr_in loopback(long port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void add(int fd, bool is_client)
{
    int one = 1;
    struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
    if (fd >= FDS_MAX) {
        (void)fprintf(stderr, "http_pump: more than %d connections\n", FDS_MAX);
        exit(1);
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    pump.peer[fd].is_open = true;
    pump.peer[fd].is_client = is_client;
    pump.peer[fd].message = -1;
    pump.peer[fd].len = 0;
    if (epoll_ctl(pump.poll, EPOLL_CTL_ADD, fd, &e) < 0)
        fail("epoll_ctl");
}

/* Requests are small and the peer has read all before: the socket takes them whole. */
static void put(int fd, const char *text, size_t len)
{
    if (send(fd, text, len, MSG_NOSIGNAL) != (ssize_t)len)
        fail("send");
}

static void request(int fd, long message)
{
    char out[1024], digits[24];
    size_t at = (size_t)snprintf(out, sizeof out, "GET ");
    int n = snprintf(digits, sizeof digits, "%08ld", message);
    for (const char *p = pump.path; *p && at < sizeof out - 64; p++)
        if (p[0] == '%' && p[1] == 'd') {
            memcpy(out + at, digits, (size_t)n);
            at += (size_t)n;
            p++;
        } else {
            out[at++] = *p;
        }
    at += (size_t)snprintf(out + at, sizeof out - at, " HTTP/1.1\r\nHost: localhost\r\n\r\n");
    pump.peer[fd].message = message;
    put(fd, out, at);
}

static void next_request(int fd)
{
    if (pump.next < pump.n)
        request(fd, pump.next++);
}

/* Length of the first whole message in the buffer, 0 = not yet. */
static size_t whole(struct peer *p)
{
    p->in[p->len] = 0;
    const char *end = strstr(p->in, "\r\n\r\n");
    if (!end)
        return 0;
    const char *field = strcasestr(p->in, "\r\ncontent-length:");
    size_t body = field && field < end ? strtoul(field + 17, NULL, 10) : 0;
    size_t need = (size_t)(end - p->in) + 4 + body;
    return p->len >= need ? need : 0;
}

static void take_answer(int fd, struct peer *p)
{
    if (strncmp(p->in, "HTTP/1.1 2", 10) == 0) {
        pump.answered++;
        p->message = -1;
        next_request(fd);
    } else if (++pump.refused > TRIES_MAX) {
        (void)fprintf(stderr, "http_pump: refused: %.200s\n", p->in);
        exit(1);
    } else {
        request(fd, p->message); /* its queue is full: the same again */
    }
}

static void readable(int fd)
{
    struct peer *p = &pump.peer[fd];
    ssize_t got = recv(fd, p->in + p->len, BUF_BYTES - p->len, 0);
    if (got <= 0) {
        if (p->is_client && p->message >= 0)
            fail("the connection ended before the answer");
        (void)close(fd);
        p->is_open = false;
        return;
    }
    p->len += (size_t)got;
    for (size_t used; (used = whole(p)) > 0;) {
        if (p->is_client) {
            take_answer(fd, p);
        } else {
            pump.called_back++;
            put(fd, ok_answer, sizeof ok_answer - 1);
        }
        memmove(p->in, p->in + used, p->len - used);
        p->len -= used;
    }
    if (p->len == BUF_BYTES)
        fail("a message is longer than the buffer");
}

static void listen_on(long port)
{
    int one = 1;
    struct sockaddr_in at = loopback(port);
    struct epoll_event e = {.events = EPOLLIN};
    pump.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    e.data.fd = pump.listener;
    (void)setsockopt(pump.listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (pump.listener < 0 || bind(pump.listener, (struct sockaddr *)&at, sizeof at) < 0 ||
        listen(pump.listener, 1024) < 0 ||
        epoll_ctl(pump.poll, EPOLL_CTL_ADD, pump.listener, &e) < 0)
        fail("listen");
}

static void connect_all(long port, long connections)
{
    struct sockaddr_in to = loopback(port);
    for (long i = 0; i < connections; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0)
            fail("connect");
        add(fd, true);
        next_request(fd);
    }
}

int main(int argc, char **argv)
{
    if (argc != 7) {
        (void)fprintf(stderr,
                      "usage: http_pump PORT N CONNECTIONS SINK_PORT SECONDS PATH-WITH-%%d\n");
        return 2;
    }
    double end = now_s() + (double)strtol(argv[5], NULL, 10);
    pump.n = strtol(argv[2], NULL, 10);
    pump.path = argv[6];
    pump.peer = calloc(FDS_MAX, sizeof *pump.peer);
    pump.poll = epoll_create1(EPOLL_CLOEXEC);
    if (!pump.peer || pump.poll < 0)
        fail("start");
    listen_on(strtol(argv[4], NULL, 10));
    connect_all(strtol(argv[1], NULL, 10), strtol(argv[3], NULL, 10));
    double heard = now_s();
    while ((pump.answered < pump.n || pump.called_back < pump.n) && now_s() < end &&
           (pump.answered < pump.n || now_s() < heard + SILENCE_S)) {
        struct epoll_event e[256];
        int n = epoll_wait(pump.poll, e, 256, 200);
        if (n < 0 && errno != EINTR)
            fail("epoll_wait");
        if (n > 0)
            heard = now_s();
        for (int i = 0; i < n; i++)
            if (e[i].data.fd == pump.listener)
                add(accept4(pump.listener, NULL, NULL, SOCK_CLOEXEC), false);
            else
                readable(e[i].data.fd);
    }
    (void)printf("{\"answered\": %ld, \"refused\": %ld, \"called_back\": %ld}\n", pump.answered,
                 pump.refused, pump.called_back);
    free(pump.peer);
    return pump.answered == pump.n ? 0 : 1;
}
