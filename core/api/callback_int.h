/* SPDX-License-Identifier: Apache-2.0 */
/* callback_int.h - private to callback.c (listener, waiting, answers) and callback_auth.c (who may
 * call). */
#ifndef API_CALLBACK_INT_H
#define API_CALLBACK_INT_H

#include "api/callback.h"
#include <stdbool.h>
#include <sys/socket.h>

/* "Basic …" of RFC 7617 against what is configured; in constant time. Nothing configured: nobody
 * may. */
bool callback_basic_ok(const char *authorization, const char *user, const char *password);
/* Is the peer in one of the networks? IPv4 peers on an IPv6 socket count as IPv4. A malformed
 * network matches nobody. */
bool callback_cidr_ok(const struct sockaddr *peer, const char *const *allow);

#endif
