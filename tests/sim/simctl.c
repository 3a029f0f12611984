/* SPDX-License-Identifier: Apache-2.0 */
/*
 * simctl.c - one command to the control socket of smscsim: prints the answer, exit 0 when it is ok.
 * Must not interpret commands. Usage: simctl SOCKET COMMAND [WORDS...]
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define WAIT_S 60 /* longer than any mo_wait_ms in use; dumps of millions of lines take seconds */

static bool send_all(int fd, const char *data, size_t len)
{
    while (len) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

        if (n <= 0)
            return false;
        data += n;
        len -= (size_t)n;
    }
    return true;
}

static bool send_words(int fd, int argc, char **argv)
{
    for (int i = 2; i < argc; i++)
        if (!send_all(fd, argv[i], strlen(argv[i])) || !send_all(fd, i + 1 < argc ? " " : "\n", 1))
            return false;
    return true;
}

/* Copies one line to standard output. 1 when it says ok, 0 when it does not, -1 without a line. */
static int print_answer(int fd)
{
    static const char good[] = "{\"ok\":true";
    size_t seen = 0;
    bool matches = true;
    char c;

    while (read(fd, &c, 1) == 1) {
        putchar(c);
        if (seen < sizeof(good) - 1)
            matches = matches && c == good[seen];
        seen++;
        if (c == '\n')
            return matches && seen > sizeof(good) - 1;
    }
    return -1;
}

int main(int argc, char **argv)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    struct timeval wait = {WAIT_S, 0};
    int fd, answer;

    if (argc < 3 || strlen(argv[1]) >= sizeof(addr.sun_path)) {
        fprintf(stderr, "usage: simctl SOCKET COMMAND [WORDS...]   (COMMAND help lists all)\n");
        return 2;
    }
    memcpy(addr.sun_path, argv[1], strlen(argv[1]));
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr))) {
        perror(argv[1]);
        return 2;
    }
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    answer = send_words(fd, argc, argv) ? print_answer(fd) : -1;
    close(fd);
    if (answer < 0)
        fprintf(stderr, "simctl: no answer\n");
    return answer == 1 ? 0 : answer == 0 ? 1 : 2;
}
