/* SPDX-License-Identifier: Apache-2.0 */
/* test_smpp_resolve.c - names of channel_smpp without a name server: getaddrinfo() is ours and
 * answers names only when the test says so. */
#include "resolve.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#define WAIT_MS 10000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t moved = PTHREAD_COND_INITIALIZER;
static bool open_gate;
static uint32_t asked_for_names, freed;

int getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                struct addrinfo **found)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) = NULL;
    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    if (hints->ai_flags & AI_NUMERICHOST)
        return real(host, port, hints, found);
    (void)pthread_mutex_lock(&lock);
    asked_for_names++;
    (void)pthread_cond_broadcast(&moved);
    while (!open_gate)
        (void)pthread_cond_wait(&moved, &lock);
    (void)pthread_mutex_unlock(&lock);
    return strcmp(host, "nowhere.example") == 0 ? EAI_NONAME
                                                : real("127.0.0.7", port, hints, found);
}

void freeaddrinfo(struct addrinfo *found)
{
    void (*real)(struct addrinfo *) = NULL;
    *(void **)&real = dlsym(RTLD_NEXT, "freeaddrinfo");
    real(found);
    (void)pthread_mutex_lock(&lock);
    freed++;
    (void)pthread_cond_broadcast(&moved);
    (void)pthread_mutex_unlock(&lock);
}

static void answer_names(void)
{
    (void)pthread_mutex_lock(&lock);
    open_gate = true;
    (void)pthread_cond_broadcast(&moved);
    (void)pthread_mutex_unlock(&lock);
}

static bool reaches(const uint32_t *counter, uint32_t n)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_MS / 1000;
    (void)pthread_mutex_lock(&lock);
    while (*counter < n && pthread_cond_timedwait(&moved, &lock, &until) != ETIMEDOUT)
        continue;
    bool there = *counter >= n;
    (void)pthread_mutex_unlock(&lock);
    return there;
}

static int poll_until_answered(struct smpp_resolve *r, struct smpp_peer_addr *addrs,
                               const char **why)
{
    static const struct timespec ms = {.tv_nsec = 1000000};
    int n = -EAGAIN;
    for (int i = 0; i < WAIT_MS && n == -EAGAIN; i++) {
        n = smpp_resolve_poll(r, addrs, SMPP_PEER_ADDRS_MAX, why);
        if (n == -EAGAIN)
            (void)nanosleep(&ms, NULL);
    }
    return n;
}

Test(smpp_resolve, numbers_are_answered_without_asking)
{
    struct smpp_resolve *asked = NULL, *r = NULL;
    struct smpp_peer_addr addrs[SMPP_PEER_ADDRS_MAX];
    const char *why = "";
    cr_assert_eq(smpp_resolve_start(&asked, "::1", 2775, &r), 0);
    cr_assert_eq(smpp_resolve_poll(r, addrs, SMPP_PEER_ADDRS_MAX, &why), 1);
    cr_assert_eq(addrs[0].sa.ss_family, AF_INET6);
    cr_assert_null(asked);
    cr_assert_eq(asked_for_names, 0);
    cr_assert_null(smpp_resolve_free(r));
    cr_assert_eq(freed, 1);
}

Test(smpp_resolve, links_of_an_account_share_one_question)
{
    struct smpp_resolve *asked = NULL, *r[3] = {NULL};
    struct smpp_peer_addr addrs[SMPP_PEER_ADDRS_MAX];
    const char *why = "";
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(smpp_resolve_start(&asked, "smsc.example", 2776, &r[i]), 0);
        cr_assert_eq(smpp_resolve_poll(r[i], addrs, SMPP_PEER_ADDRS_MAX, &why), -EAGAIN);
    }
    r[0] = smpp_resolve_free(r[0]); /* ran out of its time; the others have some left */
    answer_names();
    for (int i = 1; i < 3; i++) {
        cr_assert_eq(poll_until_answered(r[i], addrs, &why), 1);
        const struct sockaddr_in *in4 = (const struct sockaddr_in *)&addrs[0].sa;
        cr_assert_eq(ntohl(in4->sin_addr.s_addr), 0x7f000007u);
        cr_assert_eq(ntohs(in4->sin_port), 2776);
        r[i] = smpp_resolve_free(r[i]);
    }
    cr_assert_eq(asked_for_names, 1);
    cr_assert_eq(smpp_resolve_start(&asked, "smsc.example", 2776, &r[0]), 0);
    cr_assert_eq(poll_until_answered(r[0], addrs, &why), 1);
    cr_assert_eq(asked_for_names, 2, "an answer was taken for the next question");
    cr_assert(reaches(&freed, 1), "the first answer");
    r[0] = smpp_resolve_free(r[0]);
    asked = smpp_resolve_free(asked);
    cr_assert(reaches(&freed, 2), "the second answer");
}

Test(smpp_resolve, an_unknown_name_is_told)
{
    struct smpp_resolve *asked = NULL, *r = NULL;
    struct smpp_peer_addr addrs[SMPP_PEER_ADDRS_MAX];
    const char *why = "";
    answer_names();
    cr_assert_eq(smpp_resolve_start(&asked, "nowhere.example", 2775, &r), 0);
    cr_assert_eq(poll_until_answered(r, addrs, &why), -ENOENT);
    cr_assert_str_eq(why, gai_strerror(EAI_NONAME));
    r = smpp_resolve_free(r);
    asked = smpp_resolve_free(asked);
    cr_assert_eq(freed, 0);
}

/* Would wait for ever here, if it waited. */
Test(smpp_resolve, letting_go_does_not_wait_and_nothing_is_left, .timeout = 60)
{
    struct smpp_resolve *asked = NULL, *r = NULL;
    cr_assert_eq(smpp_resolve_start(&asked, "smsc.example", 2775, &r), 0);
    cr_assert(reaches(&asked_for_names, 1));
    r = smpp_resolve_free(r);
    asked = smpp_resolve_free(asked);
    cr_assert_eq(freed, 0);
    answer_names();
    cr_assert(reaches(&freed, 1), "the thread frees what nobody waits for");
}

Test(smpp_resolve, questions_under_way_have_a_limit, .timeout = 60)
{
    struct smpp_resolve *asked = NULL, *r = NULL;
    static const struct timespec ms = {.tv_nsec = 1000000};
    for (uint32_t i = 0; i < SMPP_RESOLVING_MAX; i++) {
        cr_assert_eq(smpp_resolve_start(&asked, "smsc.example", 2775, &r), 0);
        r = smpp_resolve_free(r);
        asked = smpp_resolve_free(asked); /* its account is gone */
    }
    cr_assert_eq(smpp_resolve_start(&asked, "smsc.example", 2775, &r), -EBUSY);
    cr_assert_null(r);
    cr_assert_null(asked);
    answer_names();
    cr_assert(reaches(&freed, SMPP_RESOLVING_MAX));
    int rc = -EBUSY;
    for (int i = 0; i < WAIT_MS && rc == -EBUSY; i++) {
        rc = smpp_resolve_start(&asked, "smsc.example", 2775, &r);
        (void)nanosleep(&ms, NULL);
    }
    cr_assert_eq(rc, 0, "there is room again");
    r = smpp_resolve_free(r);
    asked = smpp_resolve_free(asked);
    cr_assert(reaches(&freed, SMPP_RESOLVING_MAX + 1));
}
