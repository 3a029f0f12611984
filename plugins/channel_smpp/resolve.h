/* SPDX-License-Identifier: Apache-2.0 */
/* resolve.h - host name to addresses without blocking the loop thread.
 * Must not open sockets. Source: getaddrinfo_a(3); numeric addresses never leave the thread. */
#ifndef SMPP_RESOLVE_H
#define SMPP_RESOLVE_H

#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>

#define SMPP_PEER_ADDRS_MAX 8u /* addresses tried per name */

struct smpp_peer_addr {
    struct sockaddr_storage sa;
    socklen_t len;
};

struct smpp_resolve; /* a question under way */

/* \return 0 with *ret_r set (ask poll), or a negative errno. */
int smpp_resolve_start(const char *host, uint16_t port, struct smpp_resolve **ret_r);
/* \return > 0 addresses, -EAGAIN not yet, other negative: no such name (text in *ret_why, static).
 */
int smpp_resolve_poll(struct smpp_resolve *r, struct smpp_peer_addr *addrs, uint32_t max,
                      const char **ret_why);
/* Done or no longer wanted. A question that cannot be recalled is freed by a later call, never
 * while it runs. */
struct smpp_resolve *smpp_resolve_free(struct smpp_resolve *r);

#endif
