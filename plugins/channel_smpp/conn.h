/* SPDX-License-Identifier: Apache-2.0 */
/* conn.h - one TCP connection, plain or TLS, non-blocking, with its read and write buffers.
 * Passive: the bind watches the descriptor and calls in. Must not know PDUs, timers or the host.
 * Source: tcp(7), connect(2) EINPROGRESS. */
#ifndef SMPP_CONN_H
#define SMPP_CONN_H

#include "resolve.h"
#include "tls.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SMPP_RX_SIZE (128u * 1024u) /* twice the longest PDU we accept */
#define SMPP_TX_SIZE                                                                               \
    (256u * 1024u) /* answers kept for a peer that does not read; beyond it the link is given up   \
                    */

struct smpp_conn {
    int fd;               /* owned, -1 closed */
    struct smpp_tls *tls; /* owned, NULL plain */
    bool tcp_up;
    bool blocked;     /* the kernel took nothing the last time: tell when it does again */
    uint8_t *rx, *tx; /* owned; rx has one octet more for a NUL */
    uint32_t rx_start, rx_len;
    uint32_t tx_start, tx_len;
    uint32_t tx_exposed; /* octets from tx_start on that the kernel or TLS may already have seen */
    char why[160];       /* last failure */
};

int smpp_conn_init(struct smpp_conn *c) __attribute__((warn_unused_result));
void smpp_conn_done(struct smpp_conn *c);

/* Begin to connect; tls may be NULL. \return 0 or a negative errno (text in c->why). */
int smpp_conn_open(struct smpp_conn *c, const struct smpp_peer_addr *to, int64_t dead_after_ms);
int smpp_conn_start_tls(struct smpp_conn *c, struct smpp_tls_ctx *ctx, const char *name);
void smpp_conn_close(struct smpp_conn *c);

/* Go on connecting. \return 1 TCP is up (and TLS, when started), 0 wait, negative lost. */
int smpp_conn_progress(struct smpp_conn *c);
/* Read what fits. \return > 0 octets, 0 nothing now, negative lost or closed by the peer. */
long smpp_conn_fill(struct smpp_conn *c);
/* Append to the write buffer. \return 0 or -ENOBUFS when the peer has not read for too long. */
int smpp_conn_append(struct smpp_conn *c, const void *buf, uint32_t len);
/* Hand the write buffer to the kernel. \return 1 empty, 0 some left, negative lost. */
int smpp_conn_flush(struct smpp_conn *c);
/* Cut the write buffer back to `keep` octets, of which none of those removed was exposed. */
void smpp_conn_rollback(struct smpp_conn *c, uint32_t keep);
void smpp_conn_consume(struct smpp_conn *c, uint32_t n);
uint32_t smpp_conn_events(const struct smpp_conn *c); /* CGW_FD_* to watch */

#endif
