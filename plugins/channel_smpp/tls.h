/* SPDX-License-Identifier: Apache-2.0 */
/* tls.h - TLS over an already connected non-blocking socket; OpenSSL types stay in tls.c.
 * Must not open, close or poll the socket. Source: RFC 8446; SMPPS is plain TLS on its own port,
 * there is no STARTTLS. */
#ifndef SMPP_TLS_H
#define SMPP_TLS_H

#include <stdbool.h>
#include <stddef.h>

struct smpp_tls_ctx; /* settings of one instance */
struct smpp_tls;     /* one connection */

struct smpp_tls_conf {
    const char *ca_file;   /* PEM; NULL: the system's store */
    const char *cert_file; /* our certificate chain, NULL: none */
    const char *key_file;  /* its key, NULL: in cert_file */
    bool verify;
};

/* \return 0 or CGW_EINVAL with the reason in why. Reads files: call from create() only. */
int smpp_tls_ctx_new(const struct smpp_tls_conf *conf, struct smpp_tls_ctx **ret_ctx, char *why,
                     size_t why_size);
struct smpp_tls_ctx *smpp_tls_ctx_free(struct smpp_tls_ctx *ctx);

/* name: what the certificate must say (also sent as SNI unless it is an IP address). */
int smpp_tls_new(struct smpp_tls_ctx *ctx, int fd, const char *name, struct smpp_tls **ret_tls);
struct smpp_tls *smpp_tls_free(struct smpp_tls *t);

/* Each: > 0 done (octets), -EAGAIN wait for what smpp_tls_wants_write() says, 0 the peer closed,
 * other negative: lost; then smpp_tls_why() tells. */
int smpp_tls_handshake(struct smpp_tls *t);
long smpp_tls_read(struct smpp_tls *t, void *buf, size_t size);
long smpp_tls_write(struct smpp_tls *t, const void *buf, size_t len);
bool smpp_tls_wants_write(const struct smpp_tls *t);
bool smpp_tls_has_pending(
    const struct smpp_tls *t); /* octets decrypted but not read: poll will not tell */
const char *smpp_tls_why(const struct smpp_tls *t);
void smpp_tls_close(struct smpp_tls *t); /* close_notify, once, without waiting */

#endif
