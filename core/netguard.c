/* SPDX-License-Identifier: Apache-2.0 */
/* netguard.c - see netguard.h. Linked into campgwd and campgw-plugin-host; without netguard_on()
 * every call passes.
 */
#include "netguard.h"

#include "base/cleanup.h"
#include "base/log.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define OURS __attribute__((visibility("default"))) /* plugins and libraries must find these */

static atomic_bool on;
static _Atomic uint64_t refused;

void netguard_on(void)
{
    atomic_store(&on, true);
}

uint64_t netguard_refused(void)
{
    return atomic_load(&refused);
}

static bool is_loopback4(const unsigned char *ip)
{
    return ip[0] == 127;
}

static bool is_local(const struct sockaddr *a, socklen_t len)
{
    static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    if (!a || len < sizeof a->sa_family)
        return true; /* the system call's own business: no address, or not one */
    if (a->sa_family == AF_INET && len >= sizeof v4) {
        memcpy(&v4, a, sizeof v4);
        return is_loopback4((const unsigned char *)&v4.sin_addr);
    }
    if (a->sa_family == AF_INET6 && len >= sizeof v6) {
        memcpy(&v6, a, sizeof v6);
        const unsigned char *ip = v6.sin6_addr.s6_addr;
        return IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr) ||
               (!memcmp(ip, mapped, sizeof mapped) && is_loopback4(ip + sizeof mapped));
    }
    return a->sa_family == AF_UNIX || a->sa_family == AF_UNSPEC || a->sa_family == AF_NETLINK;
}

static bool may(const struct sockaddr *a, socklen_t len)
{
    if (!atomic_load(&on) || is_local(a, len))
        return true;
    (void)atomic_fetch_add(&refused, 1);
    log_warning("sandbox.refused", "family=%d msg=\"nothing leaves this machine in a sandbox\"",
                a->sa_family);
    errno = EACCES;
    return false;
}

/* The next definition of the function: the C library's, or that of a sanitizer before it. */
#define NEXT(name, type)                                                                           \
    static _Atomic(type) next;                                                                     \
    type real = atomic_load(&next);                                                                \
    if (!real) {                                                                                   \
        void *found = dlsym(RTLD_NEXT, name);                                                      \
        memcpy(&real, &found, sizeof real);                                                        \
        atomic_store(&next, real);                                                                 \
    }

OURS int connect(int fd, const struct sockaddr *to, socklen_t len)
{
    typedef int (*fn)(int, const struct sockaddr *, socklen_t);
    NEXT("connect", fn)
    return may(to, len) ? real(fd, to, len) : -1;
}

OURS ssize_t sendto(int fd, const void *data, size_t n, int flags, const struct sockaddr *to,
                    socklen_t len)
{
    typedef ssize_t (*fn)(int, const void *, size_t, int, const struct sockaddr *, socklen_t);
    NEXT("sendto", fn)
    return may(to, len) ? real(fd, data, n, flags, to, len) : -1;
}

OURS ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
    typedef ssize_t (*fn)(int, const struct msghdr *, int);
    NEXT("sendmsg", fn)
    return may(m->msg_name, m->msg_namelen) ? real(fd, m, flags) : -1;
}

OURS int sendmmsg(int fd, struct mmsghdr *v, unsigned n, int flags)
{
    typedef int (*fn)(int, struct mmsghdr *, unsigned, int);
    NEXT("sendmmsg", fn)
    for (unsigned i = 0; i < n; i++)
        if (!may(v[i].msg_hdr.msg_name, v[i].msg_hdr.msg_namelen))
            return -1;
    return real(fd, v, n, flags);
}
