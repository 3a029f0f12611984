/* SPDX-License-Identifier: Apache-2.0 */
/* tls.c - the only file that includes OpenSSL. Must not poll or close the socket.
 * Source: openssl-ssl(7); RFC 8446; name check per RFC 6125 through X509_VERIFY_PARAM. */
#include "tls.h"
#include "cgw/types.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct smpp_tls_ctx {
    SSL_CTX *ssl;     /* owned */
    BIO_METHOD *meth; /* owned */
    bool verify;
};

struct smpp_tls {
    SSL *ssl; /* owned */
    bool wants_write, closed;
    char why[160];
};

/* ---- a BIO on send/recv: OpenSSL's own socket BIO uses write(), which raises SIGPIPE in a process
 * that has not ignored it, and a plugin cannot know. */

static int fd_of(BIO *bio)
{
    return *(int *)BIO_get_data(bio);
}

static int bio_write(BIO *bio, const char *buf, int len)
{
    BIO_clear_retry_flags(bio);
    ssize_t n = send(fd_of(bio), buf, (size_t)len, MSG_NOSIGNAL);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        BIO_set_retry_write(bio);
    return (int)n;
}

static int bio_read(BIO *bio, char *buf, int size)
{
    BIO_clear_retry_flags(bio);
    ssize_t n = recv(fd_of(bio), buf, (size_t)size, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        BIO_set_retry_read(bio);
    return (int)n;
}

static long bio_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
    (void)bio;
    (void)num;
    (void)ptr;
    return cmd == BIO_CTRL_FLUSH ? 1 : 0;
}

static int bio_destroy(BIO *bio)
{
    free(BIO_get_data(bio));
    BIO_set_data(bio, NULL);
    return 1;
}

static BIO_METHOD *bio_method_new(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "smpp socket");
    if (!m)
        return NULL;
    if (BIO_meth_set_write(m, bio_write) && BIO_meth_set_read(m, bio_read) &&
        BIO_meth_set_ctrl(m, bio_ctrl) && BIO_meth_set_destroy(m, bio_destroy))
        return m;
    BIO_meth_free(m);
    return NULL;
}

static void explain(char *why, size_t size, const char *what)
{
    char text[120];
    unsigned long e = ERR_get_error();
    ERR_error_string_n(e, text, sizeof text);
    (void)snprintf(why, size, "%s: %s", what, e ? text : "unknown TLS error");
    ERR_clear_error();
}

/* ---- settings ---- */

static int load_files(SSL_CTX *ssl, const struct smpp_tls_conf *conf, char *why, size_t why_size)
{
    if (conf->ca_file ? SSL_CTX_load_verify_locations(ssl, conf->ca_file, NULL) != 1
                      : SSL_CTX_set_default_verify_paths(ssl) != 1) {
        explain(why, why_size, "cannot read the CA certificates");
        return CGW_EINVAL;
    }
    if (!conf->cert_file)
        return 0;
    if (SSL_CTX_use_certificate_chain_file(ssl, conf->cert_file) != 1) {
        explain(why, why_size, "cannot read the client certificate");
        return CGW_EINVAL;
    }
    const char *key_file = conf->key_file ? conf->key_file : conf->cert_file;
    if (SSL_CTX_use_PrivateKey_file(ssl, key_file, SSL_FILETYPE_PEM) != 1) {
        explain(why, why_size, "cannot read the client key");
        return CGW_EINVAL;
    }
    return 0;
}

int smpp_tls_ctx_new(const struct smpp_tls_conf *conf, struct smpp_tls_ctx **ret_ctx, char *why,
                     size_t why_size)
{
    int rc = CGW_EINVAL;
    struct smpp_tls_ctx *ctx = calloc(1, sizeof *ctx);
    if (!ctx) {
        (void)snprintf(why, why_size, "out of memory");
        return -ENOMEM;
    }
    ctx->verify = conf->verify;
    ctx->meth = bio_method_new();
    ctx->ssl = SSL_CTX_new(TLS_client_method());
    if (!ctx->ssl || !ctx->meth) {
        explain(why, why_size, "cannot start TLS");
        goto fail;
    }
    SSL_CTX_set_min_proto_version(ctx->ssl, TLS1_2_VERSION);
    SSL_CTX_set_mode(ctx->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_verify(ctx->ssl, conf->verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    rc = load_files(ctx->ssl, conf, why, why_size);
    if (rc)
        goto fail;
    *ret_ctx = ctx;
    return 0;
fail:
    smpp_tls_ctx_free(ctx);
    return rc;
}

struct smpp_tls_ctx *smpp_tls_ctx_free(struct smpp_tls_ctx *ctx)
{
    if (!ctx)
        return NULL;
    SSL_CTX_free(ctx->ssl);
    BIO_meth_free(ctx->meth);
    free(ctx);
    return NULL;
}

/* ---- one connection ---- */

static bool is_ip(const char *name)
{
    unsigned char raw[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, name, raw) == 1 || inet_pton(AF_INET6, name, raw) == 1;
}

static int set_name(SSL *ssl, const char *name)
{
    if (is_ip(name))
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1 ? 0 : -EINVAL;
    if (SSL_set_tlsext_host_name(ssl, name) != 1 || SSL_set1_host(ssl, name) != 1)
        return -EINVAL;
    return 0;
}

static int attach(struct smpp_tls_ctx *ctx, struct smpp_tls *t, int fd)
{
    int *box = malloc(sizeof *box);
    BIO *bio = box ? BIO_new(ctx->meth) : NULL;
    if (!bio) {
        free(box);
        return -ENOMEM;
    }
    *box = fd;
    BIO_set_data(bio, box);
    BIO_set_init(bio, 1);
    SSL_set_bio(t->ssl, bio, bio);
    SSL_set_connect_state(t->ssl);
    return 0;
}

int smpp_tls_new(struct smpp_tls_ctx *ctx, int fd, const char *name, struct smpp_tls **ret_tls)
{
    struct smpp_tls *t = calloc(1, sizeof *t);
    if (!t)
        return -ENOMEM;
    t->ssl = SSL_new(ctx->ssl);
    int rc = t->ssl ? attach(ctx, t, fd) : -ENOMEM;
    if (rc == 0 && name)
        rc = set_name(t->ssl, name);
    if (rc) {
        smpp_tls_free(t);
        return rc;
    }
    *ret_tls = t;
    return 0;
}

struct smpp_tls *smpp_tls_free(struct smpp_tls *t)
{
    if (!t)
        return NULL;
    SSL_free(t->ssl);
    free(t);
    return NULL;
}

/* What OpenSSL said about the last call, in our terms. */
static int judge(struct smpp_tls *t, int ret)
{
    t->wants_write = false;
    switch (SSL_get_error(t->ssl, ret)) {
    case SSL_ERROR_WANT_READ:
        return -EAGAIN;
    case SSL_ERROR_WANT_WRITE:
        t->wants_write = true;
        return -EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_SYSCALL:
        (void)snprintf(t->why, sizeof t->why, "connection lost inside TLS");
        break;
    default: {
        long v = SSL_get_verify_result(t->ssl);
        if (v != X509_V_OK)
            (void)snprintf(t->why, sizeof t->why, "certificate refused: %s",
                           X509_verify_cert_error_string(v));
        else
            explain(t->why, sizeof t->why, "TLS");
    }
    }
    t->closed = true; /* after a fatal error no close_notify may be sent */
    ERR_clear_error();
    return -EPROTO;
}

int smpp_tls_handshake(struct smpp_tls *t)
{
    ERR_clear_error();
    int ret = SSL_do_handshake(t->ssl);
    if (ret == 1)
        return 1;
    int rc = judge(t, ret);
    return rc == 0 ? -EPROTO : rc;
}

long smpp_tls_read(struct smpp_tls *t, void *buf, size_t size)
{
    ERR_clear_error();
    int n = SSL_read(t->ssl, buf, size > INT_MAX ? INT_MAX : (int)size);
    return n > 0 ? n : judge(t, n);
}

long smpp_tls_write(struct smpp_tls *t, const void *buf, size_t len)
{
    ERR_clear_error();
    int n = SSL_write(t->ssl, buf, len > INT_MAX ? INT_MAX : (int)len);
    if (n > 0)
        return n;
    int rc = judge(t, n);
    return rc == 0 ? -EPIPE : rc;
}

bool smpp_tls_wants_write(const struct smpp_tls *t)
{
    return t->wants_write;
}

bool smpp_tls_has_pending(const struct smpp_tls *t)
{
    return SSL_pending(t->ssl) > 0;
}

const char *smpp_tls_why(const struct smpp_tls *t)
{
    return t->why;
}

void smpp_tls_close(struct smpp_tls *t)
{
    if (t->closed)
        return;
    t->closed = true;
    ERR_clear_error();
    (void)SSL_shutdown(t->ssl);
    ERR_clear_error();
}
