/* SPDX-License-Identifier: Apache-2.0 */
/* sip_int.h - shared by sip.c and sip_leg.c, the files that know libre's SIP. */
#ifndef IVR_SIP_INT_H
#define IVR_SIP_INT_H

#include "sip.h"

#include <re.h>

struct ivr_sip {
    struct sip *sip;
    struct dnsc *dns;
    struct sipsess_sock *sessions;
    struct sipevent_sock *events;
    struct ivr_sip_conf conf;
    struct sa local;
};

int ivr_auth(char **user, char **password, const char *realm, void *account);

#endif
