/* SPDX-License-Identifier: Apache-2.0 */
/* mini_host.h - a small gateway for one channel instance: one epoll loop, timers, options from
 * words, and a strict book of who owes what. Must not share code with the real gateway: it is a
 * second opinion. Contract: cgw/host.h, cgw/channel.h. */
#ifndef MINI_HOST_H
#define MINI_HOST_H

#include "cgw/plugin.h"

#include <stdbool.h>

#define MINI_TOKENS 65536u
#define MINI_ACKS 8192u

/* What became of a token. */
struct mini_token {
    uint8_t state; /* 0 unused, 1 taken, 2 completed */
    uint8_t result, lane;
    uint32_t flags, n_ids, segments;
    int32_t code;
    int64_t at_ms; /* completed */
};

struct mini_hooks {
    void *ctx;
    void (*complete)(void *ctx, uint64_t token, const struct cgw_result *r);
    void (*receipt)(void *ctx, const struct cgw_receipt *r);
    void (*inbound)(void *ctx, const struct cgw_inbound *m);
    void (*reply)(void *ctx, uint64_t request, uint32_t status, const char *body, uint32_t len);
};

struct cgw_inst {
    const struct cgw_plugin_desc *desc;
    void *ch;
    struct mini_hooks hooks;
    const char *const *options; /* "key=value", NULL ends; during create */
    int epoll_fd;
    struct mini_watch {
        cgw_fd_cb cb;
        void *arg;
        bool used;
    } watches[1024];
    struct cgw_timer {
        struct cgw_inst *inst;
        cgw_timer_cb cb;
        void *arg;
        int64_t at_ms;
        bool used;
    } timers[128];
    struct {
        cgw_timer_cb cb;
        void *arg;
    } posts[16];
    uint32_t n_posts;
    int64_t credit[CGW_LANES];
    uint64_t counters[64];
    struct mini_token *tokens; /* owned, MINI_TOKENS */
    uint32_t n_taken, n_completed, result_count[16];
    uint32_t n_receipts, n_inbound, n_drained;
    uint64_t acks[MINI_ACKS];
    uint32_t n_acks;
    bool full;           /* refuse receipts and inbound */
    bool keep_acks;      /* do not call stored() yet */
    uint32_t violations; /* broken promises */
    char violation[160]; /* the first one */
    /* CPU time of the longest call into the plugin, and of the second longest: a virtual machine
     * that pauses counts the pause as time of whoever ran, once */
    int64_t longest_us, second_us;
    bool verbose;
};

int64_t mini_mono_ms(void);
/* \return the plugin's answer; diag is filled on refusal. options: "key=value" words, others
 * default. */
int mini_create(struct cgw_inst *in, const struct cgw_plugin_desc *desc, const char *const *options,
                struct cgw_diag *diag);
/* Offer n messages with tokens; counts those taken against the credit. \return taken. */
uint32_t mini_submit(struct cgw_inst *in, const struct cgw_message *msgs, uint32_t n);
/* Run the loop until is_done says so. \return false when the time is over first. */
bool mini_run(struct cgw_inst *in, bool (*is_done)(struct cgw_inst *in, void *ctx), void *ctx,
              int64_t limit_ms);
void mini_turn(struct cgw_inst *in, int64_t wait_ms);
void mini_destroy(struct cgw_inst *in);
void mini_violation(struct cgw_inst *in, const char *what, uint64_t token);
/* What media_size() and media_read() know; data is borrowed. At most 8 handles. */
void mini_media(uint64_t handle, const char *data, size_t len);

#endif
