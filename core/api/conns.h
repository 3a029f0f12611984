/* SPDX-License-Identifier: Apache-2.0 */
/* conns.h - who may keep a connection for how long, and who makes room when they run out. A
 * connection whose next request has not come, or comes a byte at a time, is worth less than any new
 * one: the one that waits longest goes first. After it, a client that does not take its answer. One
 * that is served, uploads or takes an export is never cut here. Used on the listener's thread only;
 * knows nothing of requests. */
#ifndef API_CONNS_H
#define API_CONNS_H

#include <stdbool.h>
#include <stdint.h>

enum conn_state {
    CONN_WAITS,   /* no complete request header yet: at most timeout_s */
    CONN_ANSWERS, /* is sent an answer of bounded size: makes room after timeout_s */
    CONN_BUSY,    /* everything else */
    CONN_CUT      /* shut down, the library has not closed it yet */
};

struct conn {
    struct conn *prev, *next;
    int fd;
    enum conn_state state;
    int64_t since_ms;
};

struct conns { /* zeroed, then limits set */
    unsigned max, timeout_s;
    unsigned open;
    struct conn *first[CONN_BUSY], *last[CONN_BUSY]; /* waiting, answering: longest first */
};

/* Entered as waiting; may cut another one. c is the caller's and stays where it is. */
void conn_opened(struct conns *all, struct conn *c, int fd, int64_t now_ms);
void conn_becomes(struct conns *all, struct conn *c, enum conn_state state, int64_t now_ms);
void conn_closed(struct conns *all, struct conn *c);

#endif
