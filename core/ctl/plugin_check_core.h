/* SPDX-License-Identifier: Apache-2.0 */
/* plugin_check_core.h - the gateway's core as the checker plays it: it books every result, takes
 * receipts as the clause wants (all, none, half), stores at once or late; and the ways to open an
 * instance on it. One per clause and process. */
#ifndef CTL_PLUGIN_CHECK_CORE_H
#define CTL_PLUGIN_CHECK_CORE_H

#include "plugin/host.h"
#include "plugin_check.h"
#include <pthread.h>

#define N_MESSAGES 200u     /* tokens 1..N_MESSAGES are booked one by one; others together as 0 */
#define CORE_HELD_MAX 4096u /* acks held back, final receipts remembered */

struct core {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint32_t times[N_MESSAGES + 1], n_results, n_after, n_items, n_items_after, n_replies, n_offers;
    uint32_t by_result[CGW_RES_ENROUTE + 1];
    uint8_t last[N_MESSAGES + 1]; /* the result of each */
    bool drained;
    char bad[128]; /* the first result that breaks its form */
    /* what the clause wants */
    uint32_t refuse_offers; /* take nothing so many times, as a full queue does */
    bool take_half;         /* then a prefix of what comes in one call */
    bool hold_acks;         /* do not call stored() before core_store_held() */
    uint64_t held[CORE_HELD_MAX], seen[CORE_HELD_MAX];
    uint32_t n_held, n_seen, n_repeated;
};

void core_init(struct core *c);
void core_store_held(struct core *c, struct plugin_instance *inst);
uint32_t figure_now(struct core *c, const uint32_t *figure);
/* Until *figure reaches `want` or ms have passed. */
bool wait_for(struct core *c, const uint32_t *figure, uint32_t want, int64_t ms);

/* \return 0, or the code with diag filled; c is not initialised. */
int open_with(const struct checker *k, const struct conf_pair *pairs, size_t n, struct core *c,
              struct plugin_instance **ret, struct diag *d);
/* Initialise c and create, or create and start; `why` is filled on failure. */
int open_instance(const struct checker *k, struct core *c, struct plugin_instance **ret, char *why);
int open_started(const struct checker *k, struct core *c, struct plugin_instance **ret, char *why);

/* Hands over plain messages with the tokens first..first+n-1, every eighth urgent. \return taken by
 * the gateway's own queue. */
uint32_t hand_over_some(const struct checker *k, struct plugin_instance *inst, uint64_t first,
                        uint32_t n, int64_t before_ms);
/* Drains and frees. \return CHECK_PASS when each of the tokens 1..n got exactly one result, none
 * was left to the host, and drained() came in time; else why. */
enum verdict close_settled(struct core *c, struct plugin_instance *inst, uint32_t n,
                           int64_t drain_ms, char *why);

#endif
