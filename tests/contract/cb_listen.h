/* SPDX-License-Identifier: Apache-2.0 */
/* cb_listen.h - the callback listener of the small host: takes HTTP requests of a simulator and
 * hands them to a route of the plugin. One request per connection, turned by whoever runs the loop.
 */
#ifndef CB_LISTEN_H
#define CB_LISTEN_H

#include "mini_host.h"

#define CB_CONNS 64u

struct cb_listen {
    int fd;
    uint16_t port;
    struct cb_conn {
        int fd; /* -1 free */
        uint64_t id;
        char *in; /* owned */
        size_t len, size;
        bool handed;
    } conns[CB_CONNS];
    uint64_t next_id;
    uint32_t n_requests;
};

int cb_open(struct cb_listen *l);
/* Takes what has come; whole requests go to route 0 of the plugin. */
void cb_turn(struct cb_listen *l, struct cgw_inst *in);
void cb_reply(struct cb_listen *l, uint64_t id, uint32_t status, const char *body, uint32_t len);
void cb_close(struct cb_listen *l);

#endif
