/* SPDX-License-Identifier: Apache-2.0 */
/* instance.h - one account at one MMSC: its slots, its credit, what it holds for the gateway.
 * Private to this folder. Everything runs on the loop thread but mms_op_check. */
#ifndef MMS_INSTANCE_H
#define MMS_INSTANCE_H

#include "http.h"
#include "known.h"
#include "rate.h"

#define MMS_SIDE_SLOTS 2u    /* CancelReqs in flight, beside the window */
#define MMS_CANCELS_MAX 256u /* waiting to be written */
#define MMS_RECALLS_MAX                                                                            \
    16u /* of them asked for by recall(); the gateway holds what is not taken                      \
         */
#define MMS_HELD_MAX                                                                               \
    256u /* requests of the MMSC that are not answered yet: the gateway's own bound */
#define MMS_TAKE_MAX 64u /* messages of one submit(): keeps the call under its 10 ms */

enum mms_counter {
    MMS_C_WRITTEN,
    MMS_C_ACCEPTED,
    MMS_C_REFUSED,
    MMS_C_THROTTLED,
    MMS_C_UNSURE,
    MMS_C_UNREACHABLE,
    MMS_C_REPORTS,
    MMS_C_REPORTS_EARLY,
    MMS_C_READ,
    MMS_C_REPLIES,
    MMS_C_REPLY_PARTS_LOST,
    MMS_C_PUSHED_BACK,
    MMS_C_REQUESTS_BAD,
    MMS_C_CANCELS,
    MMS_C_CANCELS_REFUSED,
    MMS_C_REPLACES,
    MMS_C_BYTES,
    MMS_C_COUNT
};

#define MMS_OWN_SPACE "channel_mms" /* code space of what the plugin itself refuses */

struct mms_channel;

struct mms_slot {
    struct mms_call call; /* first: done() gets it */
    struct mms_body body;
    struct mms_channel *ch;
    bool used, is_cancel;
    bool recall; /* CancelReq as soon as the answer names the message */
    uint32_t lane;
    uint64_t token;
    char person[MMS_PERSON_SIZE], transaction[40];
    char id[MMS_ID_SIZE]; /* of the message to cancel or replace; "" = a new one */
};

/* A request of the MMSC that waits for the store, or for the SubmitRsp it overtook. */
struct mms_held {
    bool used, is_early;
    uint32_t generation;
    uint64_t request;
    struct mm7_dialect dialect;
    const char *response; /* name of the answer */
    char transaction[160];
    /* is_early: the report */
    int64_t until_ms, arrived_utc_ms;
    uint32_t result;
    uint64_t reference;
    char id[MMS_ID_SIZE], sender[96], recipient[96], raw[CGW_RAW_MAX];
};

struct mms_channel {
    const struct cgw_host *host;
    struct cgw_inst *inst;
    struct mms_options o;
    struct mms_http *http;
    struct cgw_timer *timer;
    char boundary[MMS_BOUNDARY_SIZE];
    uint64_t nonce, serial; /* transaction ids of two lives never meet */
    struct mms_slot *slots; /* owned: window, then MMS_SIDE_SLOTS */
    uint32_t n_used, n_side_used, n_held;
    struct mms_media media;
    struct mms_known known;
    struct mms_xw xw;
    struct mms_plan plan;                    /* of the message being written */
    struct mms_bucket bucket, recall_bucket; /* of the account; recalls' share of it */
    struct mms_pace pace;
    struct mms_held *held;        /* owned, MMS_HELD_MAX */
    char (*cancels)[MMS_ID_SIZE]; /* owned, a ring of MMS_CANCELS_MAX */
    uint32_t cancel_first, n_cancels;
    uint32_t credit[CGW_LANES];
    bool started, draining, drained, down;
    int64_t drain_ms, down_until_ms, backoff_ms, since_utc_ms;
    char trouble[CGW_DIAG_MAX];
};

/* instance.c */
void mms_credit(struct mms_channel *ch);
void mms_arm(struct mms_channel *ch);
void mms_up(struct mms_channel *ch);
void mms_down(struct mms_channel *ch, int64_t wait_ms, const char *why);
void mms_count(struct mms_channel *ch, enum mms_counter c);
void mms_try_drained(struct mms_channel *ch);
void mms_id_normal(char *id);

/* submit.c */
struct mms_slot *mms_slot_take(struct mms_channel *ch, bool is_side); /* NULL: none free */
void mms_slot_give(struct mms_channel *ch, struct mms_slot *s);
void mms_name_transaction(struct mms_channel *ch, struct mms_slot *s);
void mms_complete(struct mms_channel *ch, const struct mms_slot *s, const struct cgw_result *from);

/* answer.c */
void mms_slot_done(void *ctx, struct mms_call *call, enum mms_sent sent);

/* inbound.c: requests that wait */
struct mms_held *mms_hold(struct mms_channel *ch, uint64_t request, const struct mm7_request *q,
                          const char *response); /* NULL: too many wait */
uint64_t mms_ack_of(const struct mms_channel *ch, const struct mms_held *h);
void mms_let_go(struct mms_channel *ch, struct mms_held *h);
void mms_not_now(struct mms_channel *ch, uint64_t request);
void mms_held_refuse(struct mms_channel *ch);

/* report.c */
struct mms_person {
    char text[MMS_PERSON_SIZE];
};
bool mms_to_number(const struct mms_channel *ch, const char *text, struct mms_person *ret);
bool mms_find_person(const struct mms_channel *ch, const char *id, const char *recipient,
                     const char *sender, struct mms_person *ret);
void mms_on_report(struct mms_channel *ch, uint64_t request, struct mm7_request *q);
void mms_early_match(struct mms_channel *ch, const char *id);
void mms_early_expire(struct mms_channel *ch, bool all);
int64_t mms_early_next(const struct mms_channel *ch); /* INT64_MAX none */
/* A receipt of our own making: what the MMSC answered to a CancelReq. */
void mms_cancelled(struct mms_channel *ch, const char *id, bool confirmed, const char *raw);

/* the operations */
int mms_op_create(const struct cgw_host *host, struct cgw_inst *inst, const struct cgw_conf *conf,
                  void **ret_ch, struct cgw_diag *diag);
int mms_op_start(void *arg);
void mms_op_check(void *arg, const struct cgw_message *msgs, uint32_t n, struct cgw_check *ret);
uint32_t mms_op_submit(void *arg, const struct cgw_message *msgs, uint32_t n);
void mms_op_stored(void *arg, const uint64_t *acks, uint32_t n);
void mms_op_cancel(void *arg, const uint64_t *tokens, uint32_t n);
uint32_t mms_op_recall(void *arg, const struct cgw_ask *asks, uint32_t n);
void mms_op_health(void *arg, struct cgw_health *ret);
void mms_op_drain(void *arg, int64_t deadline_mono_ms);
void mms_op_destroy(void *arg);
void mms_on_request(void *arg, const struct cgw_http_request *req);

#endif
