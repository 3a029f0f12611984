/* SPDX-License-Identifier: Apache-2.0 */
/* resolve.h - host name to addresses without blocking the loop thread: a thread of its own asks,
 * one per account, for all of its links. Numeric addresses need none. Must not open sockets.
 * Source: getaddrinfo(3). */
#ifndef SMPP_RESOLVE_H
#define SMPP_RESOLVE_H

#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>

#define SMPP_PEER_ADDRS_MAX 8u /* addresses tried per name */
#define SMPP_RESOLVING_MAX 64u /* questions under way in the process, abandoned ones too */

struct smpp_peer_addr {
    struct sockaddr_storage sa;
    socklen_t len;
};

struct smpp_resolve; /* a question under way */

/* asked: the account's last question, NULL at first; while it is under way it is joined, as all
 * links of an account ask for the same name. Give it to smpp_resolve_free() at the end.
 * \return 0 with *ret_r set (ask poll), -EBUSY with SMPP_RESOLVING_MAX under way, or another
 * negative errno. */
int smpp_resolve_start(struct smpp_resolve **asked, const char *host, uint16_t port,
                       struct smpp_resolve **ret_r);
/* \return > 0 addresses, -EAGAIN not yet, other negative: no such name (text in *ret_why, static).
 */
int smpp_resolve_poll(struct smpp_resolve *r, struct smpp_peer_addr *addrs, uint32_t max,
                      const char **ret_why);
/* Done or no longer wanted. Never waits: a question that runs frees itself when it is answered.
 * \return NULL */
struct smpp_resolve *smpp_resolve_free(struct smpp_resolve *r);

#endif
