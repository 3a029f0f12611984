/* SPDX-License-Identifier: Apache-2.0 */
/* cb_listen.c - see cb_listen.h. */
#include "cb_listen.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

int cb_open(struct cb_listen *l)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t len = sizeof a;
    memset(l, 0, sizeof *l);
    for (uint32_t i = 0; i < CB_CONNS; i++)
        l->conns[i].fd = -1;
    l->next_id = CB_CONNS;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    l->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (l->fd < 0 || bind(l->fd, (struct sockaddr *)&a, sizeof a) || listen(l->fd, 64) ||
        getsockname(l->fd, (struct sockaddr *)&a, &len))
        return -errno;
    l->port = ntohs(a.sin_port);
    return 0;
}

static void conn_end(struct cb_conn *c)
{
    (void)close(c->fd);
    free(c->in);
    *c = (struct cb_conn){.fd = -1};
}

static char *header(char *head, const char *name)
{
    size_t n = strlen(name);
    for (char *line = strstr(head, "\r\n"); line; line = strstr(line + 2, "\r\n"))
        if (!strncasecmp(line + 2, name, n) && line[2 + n] == ':')
            return line + 3 + n + strspn(line + 3 + n, " ");
    return NULL;
}

static void hand_over(struct cb_conn *c, struct cgw_inst *in)
{
    static const char *const none[] = {NULL};
    char *end = memmem(c->in, c->len, "\r\n\r\n", 4), type[200] = "";
    if (!end)
        return;
    *end = '\0';
    char *length = header(c->in, "Content-Length"), *t = header(c->in, "Content-Type");
    size_t need = length ? strtoul(length, NULL, 10) : 0, head = (size_t)(end - c->in) + 4;
    if (t)
        (void)snprintf(type, sizeof type, "%.*s", (int)strcspn(t, "\r"), t);
    *end = '\r';
    if (c->len < head + need)
        return;
    c->handed = true;
    struct cgw_http_request req = {.size = sizeof req,
                                   .id = c->id,
                                   .method = "POST",
                                   .path = in->desc->routes[0].path,
                                   .query = "",
                                   .content_type = t ? type : NULL,
                                   .body = c->in + head,
                                   .body_len = (uint32_t)need,
                                   .headers = none};
    in->desc->routes[0].handler(in->ch, &req);
}

static void take(struct cb_conn *c, struct cgw_inst *in)
{
    if (c->size - c->len < 65536) {
        c->size = c->size * 2 + 131072;
        c->in = realloc(c->in, c->size);
    }
    ssize_t n = recv(c->fd, c->in + c->len, c->size - c->len - 1, 0);
    if (n == 0) {
        conn_end(c);
        return;
    }
    if (n < 0)
        return;
    c->len += (size_t)n;
    c->in[c->len] = '\0';
    hand_over(c, in);
}

void cb_turn(struct cb_listen *l, struct cgw_inst *in)
{
    for (uint32_t i = 0; i < CB_CONNS; i++) {
        struct cb_conn *c = &l->conns[i];
        if (c->fd < 0 && (c->fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
            c->id = (l->next_id += CB_CONNS) + i;
            l->n_requests++;
        }
        if (c->fd >= 0 && !c->handed)
            take(c, in);
    }
}

void cb_reply(struct cb_listen *l, uint64_t id, uint32_t status, const char *body, uint32_t len)
{
    struct cb_conn *c = &l->conns[id % CB_CONNS];
    char head[128];
    if (c->fd < 0 || c->id != id)
        return;
    int n = snprintf(head, sizeof head, "HTTP/1.1 %u X\r\nContent-Length: %u\r\n\r\n", status, len);
    (void)send(c->fd, head, (size_t)n, MSG_NOSIGNAL);
    (void)send(c->fd, body, len, MSG_NOSIGNAL);
    conn_end(c);
}

void cb_close(struct cb_listen *l)
{
    for (uint32_t i = 0; i < CB_CONNS; i++)
        if (l->conns[i].fd >= 0)
            conn_end(&l->conns[i]);
    (void)close(l->fd);
}
