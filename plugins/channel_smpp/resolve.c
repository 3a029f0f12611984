/* SPDX-License-Identifier: Apache-2.0 */
/* resolve.c - asynchronous name lookup on glibc's helper thread. All calls come from the loop
 * thread. Must not open sockets. Source: getaddrinfo_a(3). */
#include "resolve.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct smpp_resolve {
    struct gaicb cb;
    struct addrinfo hints;
    char host[256], port[8];
    struct smpp_resolve *next; /* list of the abandoned */
};

static struct smpp_resolve *abandoned; /* loop thread only */

static void resolve_destroy(struct smpp_resolve *r)
{
    if (r->cb.ar_result)
        freeaddrinfo(r->cb.ar_result);
    free(r);
}

static void sweep(void)
{
    struct smpp_resolve **at = &abandoned;
    while (*at) {
        struct smpp_resolve *r = *at;
        if (gai_error(&r->cb) == EAI_INPROGRESS) {
            at = &r->next;
            continue;
        }
        *at = r->next;
        resolve_destroy(r);
    }
}

int smpp_resolve_start(const char *host, uint16_t port, struct smpp_resolve **ret_r)
{
    sweep();
    struct smpp_resolve *r = calloc(1, sizeof *r);
    if (!r)
        return -ENOMEM;
    (void)snprintf(r->host, sizeof r->host, "%s", host);
    (void)snprintf(r->port, sizeof r->port, "%u", (unsigned)port);
    r->hints.ai_family = AF_UNSPEC;
    r->hints.ai_socktype = SOCK_STREAM;
    r->hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
    r->cb.ar_name = r->host;
    r->cb.ar_service = r->port;
    r->cb.ar_request = &r->hints;
    if (getaddrinfo(r->host, r->port, &r->hints, &r->cb.ar_result) == 0) {
        *ret_r = r; /* numeric: answered without asking anybody */
        return 0;
    }
    r->cb.ar_result = NULL;
    r->hints.ai_flags = AI_NUMERICSERV;
    struct gaicb *list[1] = {&r->cb};
    if (getaddrinfo_a(GAI_NOWAIT, list, 1, NULL) != 0) {
        free(r);
        return -EAGAIN;
    }
    *ret_r = r;
    return 0;
}

int smpp_resolve_poll(struct smpp_resolve *r, struct smpp_peer_addr *addrs, uint32_t max,
                      const char **ret_why)
{
    if (!r->cb.ar_result) {
        int rc = gai_error(&r->cb);
        if (rc == EAI_INPROGRESS)
            return -EAGAIN;
        if (rc != 0 || !r->cb.ar_result) {
            *ret_why = gai_strerror(rc);
            return -ENOENT;
        }
    }
    uint32_t n = 0;
    for (struct addrinfo *a = r->cb.ar_result; a && n < max; a = a->ai_next) {
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
    if (!r)
        return NULL;
    if (!r->cb.ar_result && gai_error(&r->cb) == EAI_INPROGRESS) {
        if (gai_cancel(&r->cb) != EAI_CANCELED) {
            r->next = abandoned;
            abandoned = r;
            return NULL;
        }
    }
    resolve_destroy(r);
    return NULL;
}
