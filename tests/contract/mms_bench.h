/* SPDX-License-Identifier: Apache-2.0 */
/* mms_bench.h - one bench for channel_mms: simulator, plugin, callback listener and traffic. Shared
 * by the contract tests and the measuring program. */
#ifndef MMS_BENCH_H
#define MMS_BENCH_H

#include "cb_listen.h"
#include "sim_peer.h"

#define MMS_WORDS_MAX 40
#define MMS_PAUSES_MS                                                                              \
    6000             /* disk or CPU of a busy machine may stand still for 2 s, more than once */
#define MMS_IMAGE 7u /* a handle that mini_media knows */

struct mms_bench {
    struct sim_peer sim;
    struct cb_listen cb;
    struct cgw_inst in;
    bool up;
    char words[MMS_WORDS_MAX][300];
    const char *options[MMS_WORDS_MAX + 1];
    uint32_t n_options;

    /* traffic */
    uint32_t total, given, settled, retries;
    uint32_t *again, n_again, *logical;
    uint64_t next_token;
    uint32_t lane, batch;
    int64_t submit_for_ms, valid_for_ms;
    const char *subject, *header; /* further parts, NULL none */
    bool with_media;

    /* what came */
    struct cgw_result last;
    char last_raw[CGW_RAW_MAX], last_space[40], last_id[CGW_PROVIDER_ID_MAX];
    struct cgw_receipt receipt;
    char receipt_id[CGW_PROVIDER_ID_MAX], receipt_person[40], receipt_raw[CGW_RAW_MAX];
    uint32_t by_result[16];
    struct cgw_inbound inbound;
    char in_text[4096], in_from[40], in_to[40], in_subject[512], in_provider[128], in_peer[160];
    uint32_t in_media;
    uint32_t reply_status, n_replies;
    char reply[4096];
};

void mms_opt(struct mms_bench *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
const char *mms_simulator(void); /* the program */
/* Starts the simulator with these switches (NULL ends). \return 0 or negative. */
int mms_bench_open(struct mms_bench *b, const char *const *sim_args);
int mms_bench_start(struct mms_bench *b, struct cgw_diag *diag);
void mms_turn(struct mms_bench *b); /* one round of everything */
/* Sends `total` messages until each is settled. \return false when the time is over first. */
bool mms_send(struct mms_bench *b, uint32_t total, int64_t limit_ms);
/* Until a figure of ours is at least `want`. The limit is the usual time; what the machine may lose
 * by pausing comes on top (MMS_PAUSES_MS). */
bool mms_wait(struct mms_bench *b, const uint32_t *figure, uint32_t want, int64_t limit_ms);
/* The same for a figure of the simulator; `after` may be NULL. \return the figure. */
int64_t mms_wait_stat(struct mms_bench *b, const char *after, const char *key, int64_t want);
void mms_turn_for(struct mms_bench *b, int64_t ms); /* to see that nothing more comes */
/* Hands a request to the plugin as the listener would; the answer is in `reply`. */
void mms_post(struct mms_bench *b, const char *content_type, const char *body, size_t len);
bool mms_drain(struct mms_bench *b, int64_t within_ms);
void mms_bench_close(struct mms_bench *b);

#endif
