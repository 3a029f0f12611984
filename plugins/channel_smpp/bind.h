/* SPDX-License-Identifier: Apache-2.0 */
/* bind.h - what bind.c (one link's states) and dispatch.c (its PDUs) share. Nobody else includes
 * it; the rest is in instance.h. */
#ifndef SMPP_BIND_H
#define SMPP_BIND_H

#include "instance.h"

enum smpp_event {
    SMPP_EV_OPEN, /* time to connect */
    SMPP_EV_TCP_UP,
    SMPP_EV_TLS_UP,
    SMPP_EV_BIND_OK,
    SMPP_EV_BIND_REFUSED,
    SMPP_EV_UNBIND,      /* we want to go */
    SMPP_EV_UNBIND_DONE, /* unbind_resp, or the peer's own unbind answered */
    SMPP_EV_TIMEOUT,     /* the step took too long */
    SMPP_EV_LOST,
    SMPP_EVENTS
};

void smpp_link_fire(struct smpp_link *l,
                    enum smpp_event ev); /* the event's move in the link's state; none: ignored */
void smpp_link_set_why(struct smpp_link *l, const char *why);
bool smpp_is_worth_saying(uint32_t tries); /* 1st, 2nd, 4th, 8th ... failure in a row */
void smpp_link_read(
    struct smpp_link *l); /* dispatch.c: take what the socket has and handle the whole PDUs */

#endif
