/* SPDX-License-Identifier: Apache-2.0 */
/* resolve.c - name lookup on a thread of our own. Nothing can interrupt getaddrinfo(), so the
 * thread is detached and has nothing of the account's: only the question, which whoever lets go
 * last frees. All calls come from the loop thread. Must not open sockets. Source: getaddrinfo(3).
 */
#include "resolve.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STACK_BYTES (512u * 1024u) /* name service modules are foreign code */

struct smpp_resolve {
    char host[256], port[8];
    atomic_uint holders;  /* links, the account, the thread */
    atomic_bool answered; /* what follows is written before, by one thread */
    int rc;               /* EAI_* */
    struct addrinfo *found;
};

static atomic_uint running; /* threads */

static void let_go(struct smpp_resolve *r)
{
    if (!r || atomic_fetch_sub(&r->holders, 1) != 1)
        return;
    if (r->found)
        freeaddrinfo(r->found);
    free(r);
}

static bool ask(struct smpp_resolve *r, int flags)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags};
    r->rc = getaddrinfo(r->host, r->port, &hints, &r->found);
    if (r->rc)
        r->found = NULL;
    return r->rc == 0;
}

static void *ask_main(void *arg)
{
    struct smpp_resolve *r = arg;
    (void)ask(r, AI_NUMERICSERV);
    atomic_store(&r->answered, true);
    let_go(r);
    (void)atomic_fetch_sub(&running, 1);
    return NULL;
}

static int ask_elsewhere(struct smpp_resolve *r)
{
    if (atomic_fetch_add(&running, 1) >= SMPP_RESOLVING_MAX) {
        (void)atomic_fetch_sub(&running, 1);
        return -EBUSY;
    }
    sigset_t all, before;
    pthread_attr_t attr;
    pthread_t thread;
    (void)sigfillset(&all); /* signals are the gateway's */
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    (void)pthread_attr_setstacksize(&attr, STACK_BYTES);
    (void)atomic_fetch_add(&r->holders, 1);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&thread, &attr, ask_main, r);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attr);
    if (rc) { /* there is no thread that holds it; the caller still does */
        (void)atomic_fetch_sub(&r->holders, 1);
        (void)atomic_fetch_sub(&running, 1);
    }
    return -rc;
}

int smpp_resolve_start(struct smpp_resolve **asked, const char *host, uint16_t port,
                       struct smpp_resolve **ret_r)
{
    if (*asked && !atomic_load(&(*asked)->answered)) {
        (void)atomic_fetch_add(&(*asked)->holders, 1);
        *ret_r = *asked;
        return 0;
    }
    *asked = smpp_resolve_free(*asked); /* answered: names move, ask again */
    struct smpp_resolve *r = calloc(1, sizeof *r);
    if (!r)
        return -ENOMEM;
    atomic_init(&r->holders, 1);
    (void)snprintf(r->host, sizeof r->host, "%s", host);
    (void)snprintf(r->port, sizeof r->port, "%u", (unsigned)port);
    if (ask(r, AI_NUMERICHOST | AI_NUMERICSERV)) {
        atomic_store(&r->answered, true); /* without asking anybody */
    } else {
        int rc = ask_elsewhere(r);
        if (rc) {
            let_go(r);
            return rc;
        }
        (void)atomic_fetch_add(&r->holders, 1);
        *asked = r;
    }
    *ret_r = r;
    return 0;
}

int smpp_resolve_poll(struct smpp_resolve *r, struct smpp_peer_addr *addrs, uint32_t max,
                      const char **ret_why)
{
    if (!atomic_load(&r->answered))
        return -EAGAIN;
    if (r->rc) {
        *ret_why = gai_strerror(r->rc);
        return -ENOENT;
    }
    uint32_t n = 0;
    for (const struct addrinfo *a = r->found; a && n < max; a = a->ai_next) {
        if (a->ai_addrlen > sizeof addrs[n].sa)
            continue;
        memcpy(&addrs[n].sa, a->ai_addr, a->ai_addrlen);
        addrs[n].len = a->ai_addrlen;
        n++;
    }
    if (n == 0) {
        *ret_why = "no usable address";
        return -ENOENT;
    }
    return (int)n;
}

struct smpp_resolve *smpp_resolve_free(struct smpp_resolve *r)
{
    let_go(r);
    return NULL;
}
