/* SPDX-License-Identifier: Apache-2.0 */
/* conns.c - see conns.h. The library counts only how long a connection is silent, so a byte a
 * second keeps one for ever, and at its limit it accepts nobody. Cutting is shutdown(): the library
 * finds the end of the connection and closes it itself, and tells us before the descriptor is free.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* MSG_NOSIGNAL */
#endif
#include "api/conns.h"

#include <stddef.h>
#include <sys/socket.h>

#define ROOM_SHARE 16 /* a sixteenth of the connections is kept free for those who come */

#define PROBLEM_ANSWER(status, title, slug, detail)                                                \
    "HTTP/1.1 " #status " " title "\r\nContent-Type: application/problem+json\r\n"                 \
    "Retry-After: 1\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"                       \
    "{\"type\":\"/problems/" slug "\",\"title\":\"" title "\",\"status\":" #status                 \
    ",\"detail\":\"" detail "\"}"
static const char crowded[] = PROBLEM_ANSWER(
    503, "Overloaded", "overloaded",
    "All connections of this node are taken and this one waited longest; nothing was changed.");
static const char too_slow[] =
    PROBLEM_ANSWER(408, "Request timeout", "request-timeout",
                   "The head of the request did not come in time; nothing was changed.");

static void leave(struct conns *all, struct conn *c)
{
    if (c->state >= CONN_BUSY)
        return;
    *(c->prev ? &c->prev->next : &all->first[c->state]) = c->next;
    *(c->next ? &c->next->prev : &all->last[c->state]) = c->prev;
    c->prev = c->next = NULL;
}

static void enter(struct conns *all, struct conn *c, enum conn_state state, int64_t now_ms)
{
    c->state = state;
    c->since_ms = now_ms;
    if (state >= CONN_BUSY)
        return;
    c->prev = all->last[state];
    *(c->prev ? &c->prev->next : &all->first[state]) = c;
    all->last[state] = c;
}

/* The words are a courtesy to who reads them: a full buffer must not hold us up. */
static void cut(struct conns *all, struct conn *c, const char *words, size_t len)
{
    if (c->state == CONN_WAITS)
        (void)send(c->fd, words, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)shutdown(c->fd, SHUT_RDWR);
    leave(all, c);
    c->state = CONN_CUT;
}

static bool overdue(const struct conns *all, const struct conn *c, int64_t now_ms)
{
    return c && now_ms - c->since_ms > (int64_t)all->timeout_s * 1000;
}

/* Nobody is in the way before somebody else comes or goes: no timer is needed. */
static void cut_overdue(struct conns *all, int64_t now_ms)
{
    while (overdue(all, all->first[CONN_WAITS], now_ms))
        cut(all, all->first[CONN_WAITS], too_slow, sizeof too_slow - 1);
}

static void make_room(struct conns *all, int64_t now_ms)
{
    if (all->open <= all->max - all->max / ROOM_SHARE)
        return;
    struct conn *waits = all->first[CONN_WAITS], *slow = all->first[CONN_ANSWERS];
    if (waits)
        cut(all, waits, crowded, sizeof crowded - 1);
    else if (overdue(all, slow, now_ms))
        cut(all, slow, NULL, 0);
}

void conn_opened(struct conns *all, struct conn *c, int fd, int64_t now_ms)
{
    c->fd = fd;
    all->open++;
    cut_overdue(all, now_ms);
    make_room(all, now_ms);
    enter(all, c, CONN_WAITS, now_ms);
}

void conn_becomes(struct conns *all, struct conn *c, enum conn_state state, int64_t now_ms)
{
    if (c->state == CONN_CUT)
        return;
    leave(all, c);
    enter(all, c, state, now_ms);
    cut_overdue(all, now_ms);
}

void conn_closed(struct conns *all, struct conn *c)
{
    leave(all, c);
    all->open--;
}
