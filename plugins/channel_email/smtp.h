/* SPDX-License-Identifier: Apache-2.0 */
/* smtp.h - connections to the smarthost; libcurl stays in smtp.c. One thread per connection:
 * libcurl's SMTP waits inside curl_multi_socket_action() for the answer to the final dot, and for
 * that to QUIT, so on one loop every message would wait for every other's. Decides nothing about
 * messages, domains or retries. Source: RFC 5321, RFC 3207 (STARTTLS), RFC 4954 (AUTH). */
#ifndef EMAIL_SMTP_H
#define EMAIL_SMTP_H

#include "classify.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SMTP_CONNECTIONS_MAX 64u
#define SMTP_LINE_MAX 256u

enum smtp_tls { SMTP_TLS_STARTTLS, SMTP_TLS_IMPLICIT, SMTP_TLS_NONE };

struct smtp_conf { /* texts are borrowed, they live as long as the pool */
    const char *host, *helo, *user, *password, *login, *ca_file;
    uint32_t port, connections, per_connection;
    enum smtp_tls tls;
    bool verify;
    long connect_ms, answer_s, idle_s;
};

enum smtp_end {
    SMTP_TAKEN,   /* 250 after the final dot */
    SMTP_REFUSED, /* stage, code and line say how: certain that it was not taken */
    SMTP_UNSENT,  /* never complete at the peer: why says what was in the way */
    SMTP_UNSURE   /* the final dot left, no answer came */
};

struct smtp_job {
    /* set by the owner; all of it stays valid until the job has ended */
    const char *from, *to; /* envelope; to == NULL: a probe, connects and says NOOP */
    uint64_t bytes;
    size_t (*read)(struct smtp_job *job, char *out, size_t room); /* on the connection's thread */
    bool (*may_write)(struct smtp_job *job); /* asked when the peer wants the text: still wanted? */
    /* set when it ended */
    enum smtp_end end;
    enum email_stage stage;
    int code;                 /* of the last answer, 0 none */
    char line[SMTP_LINE_MAX]; /* the last answer */
    char why[SMTP_LINE_MAX];  /* the obstacle when there was no answer */
    uint32_t connects;        /* connections opened for it */
    /* the pool's own */
    struct smtp_job *next;
    uint64_t given;
    bool complete, answered, late, leaving;
};

struct smtp_pool;
/* ended(ctx) is called on any thread, with the pool's lock held, when smtp_pool_ended() has
 * something or a connection is free again. Starts no thread. */
struct smtp_pool *smtp_pool_new(const struct smtp_conf *conf, void (*ended)(void *ctx), void *ctx);
int smtp_pool_start(struct smtp_pool *p);
uint32_t smtp_pool_resting(struct smtp_pool *p); /* how many jobs it could begin now */
/* Never blocks. false: every connection is busy (the job is still the caller's). */
bool smtp_pool_send(struct smtp_pool *p, struct smtp_job *job);
/* The jobs that ended since the last call, a chain by next. */
struct smtp_job *smtp_pool_ended(struct smtp_pool *p);
uint32_t smtp_pool_open(struct smtp_pool *p); /* connections open now */
/* All that is under way ends now, as UNSENT or UNSURE; the jobs still come by smtp_pool_ended(). */
void smtp_pool_abort(struct smtp_pool *p);
/* Aborts, says QUIT where that is possible at once, joins all threads. smtp_pool_ended() still
 * works behind it. */
void smtp_pool_stop(struct smtp_pool *p);
void smtp_pool_free(struct smtp_pool *p); /* stopped, or never started; NULL-safe */

#endif
