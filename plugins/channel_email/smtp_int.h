/* SPDX-License-Identifier: Apache-2.0 */
/* smtp_int.h - shared by smtp.c (libcurl, one connection) and pool.c (threads); nobody else's. */
#ifndef EMAIL_SMTP_INT_H
#define EMAIL_SMTP_INT_H

#include "smtp.h"

#include <pthread.h>

struct worker {
    struct smtp_pool *pool;
    pthread_t thread;
    pthread_cond_t wake;
    void *easy;           /* CURL, NULL: no connection */
    struct smtp_job *job; /* being sent */
    struct worker *below; /* resting stack */
    uint32_t used;        /* messages on this connection */
    int fd;               /* of the connection, -1 none; closed under the lock only */
    bool started;
    char error[SMTP_LINE_MAX]; /* CURL_ERROR_SIZE */
};

struct smtp_pool {
    struct smtp_conf conf;
    char url[400];
    void (*ended)(void *ctx);
    void *ctx;
    pthread_mutex_t lock;
    struct worker *resting;
    struct smtp_job *done, **done_end;
    bool stopping, aborting;
    uint32_t at_work, n_resting; /* threads */
    pthread_cond_t left;
    struct worker workers[SMTP_CONNECTIONS_MAX];
};

void smtp_init(void);
/* Sends the job, fills in what became of it. The worker's thread. */
void smtp_serve(struct worker *w, struct smtp_job *job);
/* QUIT and its answer, when there is a connection. The worker's thread, lock not held. */
void smtp_hang_up(struct worker *w);

#endif
