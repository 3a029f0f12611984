/* SPDX-License-Identifier: Apache-2.0 */
/* instance.h - one configured account and its links, shared by the files of the socket half. Loop
 * thread only. Who owns what: instance.c the account, credit, results and drain; bind.c one link's
 * life, dispatch.c its PDUs; pump.c writing parts and taking their answers; inbox.c what the peer
 * sends; query.c questions about earlier messages. */
#ifndef SMPP_INSTANCE_H
#define SMPP_INSTANCE_H

#include "conn.h"
#include "inflight.h"
#include "message.h"
#include "options.h"
#include "pdu.h"
#include "rate.h"
#include "receipt.h"

#define SMPP_QUERIES_MAX 256u /* questions waiting to be asked */
#define SMPP_RECALLS_MAX 64u  /* cancel_sm waiting; the gateway holds what is not taken */

/* Counters of the descriptor, in its order (plugin.c). */
enum smpp_counter {
    SMPP_C_PARTS_WRITTEN,
    SMPP_C_PARTS_ACCEPTED,
    SMPP_C_PARTS_REFUSED,
    SMPP_C_THROTTLED,
    SMPP_C_RESPONSE_TIMEOUT,
    SMPP_C_RESPONSE_UNMATCHED,
    SMPP_C_MESSAGES_TORN,
    SMPP_C_RECEIPTS,
    SMPP_C_RECEIPTS_UNREADABLE,
    SMPP_C_REPLIES,
    SMPP_C_REPLIES_REPEATED,
    SMPP_C_REPLIES_UNUSABLE,
    SMPP_C_REPLIES_INCOMPLETE,
    SMPP_C_PUSHED_BACK,
    SMPP_C_QUERIES,
    SMPP_C_QUERIES_FAILED,
    SMPP_C_BINDS,
    SMPP_C_BINDS_REFUSED,
    SMPP_C_LINKS_LOST,
    SMPP_C_ENQUIRE_TIMEOUT,
    SMPP_C_PDUS_BAD,
    SMPP_C_TLVS_BAD,
    SMPP_C_RECALLS,
    SMPP_C_RECALLS_FAILED,
    SMPP_C_COUNT
};

enum smpp_state {
    SMPP_CLOSED,
    SMPP_CONNECTING,
    SMPP_TLS,
    SMPP_BINDING,
    SMPP_BOUND,
    SMPP_UNBINDING,
    SMPP_STATES
};
enum smpp_role { SMPP_ROLE_TRX, SMPP_ROLE_TX, SMPP_ROLE_RX };

struct smpp_inst;

struct smpp_link {
    struct smpp_inst *inst; /* borrowed */
    uint32_t index,
        epoch; /* epoch: counts connections, so that late answers do not go to the next one */
    enum smpp_role role;
    enum smpp_state state;
    struct smpp_conn conn;
    struct smpp_inflight inflight;
    struct smpp_backoff backoff;
    uint32_t refusals; /* binds refused in a row */
    struct smpp_aimd aimd;
    struct smpp_bucket limit; /* of aimd */
    struct cgw_timer *timer;
    struct smpp_resolve *resolve; /* a hold on it, NULL when not asking */
    int64_t resolve_ms;           /* when to look for its answer */
    struct smpp_peer_addr addrs[SMPP_PEER_ADDRS_MAX];
    uint32_t n_addrs, next_addr;
    uint32_t watched; /* CGW_FD_* told to the host, 0 = not watched */
    int64_t step_ms;  /* CLOSED: connect then (0 never); else this step must be done by then */
    int64_t heard_ms, enquire_due_ms; /* enquire_due_ms 0: none asked */
    uint32_t enquire_seq;             /* the last question, 0 none */
    int64_t ramp_from_ms;             /* 0: window fully open */
    struct smpp_msgs queue[CGW_LANES], flying, waiting;
    uint32_t queued_msgs, queued_parts, waiting_msgs;
    int64_t expiry_ms; /* no queued message expires before */
    bool more;         /* work left over for the next turn */
    bool slow;         /* throttling has been logged and has not cleared */
    int64_t since_utc_ms;
    char why[160]; /* last trouble */
};

struct smpp_inbox;

struct smpp_inst {
    const struct cgw_host *host;
    struct cgw_inst *gw;
    struct smpp_options opt;
    struct smpp_tls_ctx *tls;   /* owned */
    struct smpp_resolve *asked; /* a hold on the last question for the name */
    struct smpp_refs refs;
    struct smpp_msgid ids;
    struct smpp_bucket bucket; /* of the account */
    struct smpp_link *links;   /* owned */
    uint32_t n_links;
    struct smpp_inbox *inbox; /* owned */
    struct smpp_msgs done;    /* settled, not yet reported */
    struct cgw_timer *timer;
    int64_t now_ms;
    uint32_t depth; /* operations running */
    uint32_t random;
    uint32_t credit[CGW_LANES]; /* last told */
    uint32_t segments_q8;       /* smoothed parts per message, 256 = one */
    bool credit_waits;          /* the rate, not the window, limits the credit */
    bool credit_stale;          /* tell it even if it is the same figure */
    bool started, draining, drain_posted, drained;
    int64_t drain_soft_ms, drain_deadline_ms;
    struct smpp_question {
        char id[SMPP_MSGID_MAX + 1]; /* as the peer spells it */
        struct smpp_addr source;
    } queries[SMPP_QUERIES_MAX], recalls[SMPP_RECALLS_MAX];
    uint32_t query_first, n_queries, recall_first, n_recalls;
    struct smpp_bucket recall_bucket; /* their share of the account's rate */
    uint8_t encode[SMPP_ENCODE_CAP(SMPP_PAYLOAD_MAX)];
    struct smpp_pdu pdu; /* the one being handled */
};

/* ---- instance.c ---- */
/* Every entry from the host: enter, work, leave. leave() pumps, reports and re-arms. */
void smpp_enter(struct smpp_inst *in);
void smpp_leave(struct smpp_inst *in);
void smpp_done(struct smpp_inst *in,
               struct smpp_msg *m); /* hand over a settled message, in no list */
uint32_t smpp_random(struct smpp_inst *in);
void smpp_count(struct smpp_inst *in, enum smpp_counter c, uint64_t n);
void smpp_log(struct smpp_inst *in, uint32_t level, const char *event, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Another link that can take messages which `not_this` can no longer send; NULL when none. */
struct smpp_link *smpp_other_link(struct smpp_inst *in, const struct smpp_link *not_this);

/* ---- bind.c ---- */
int smpp_link_init(struct smpp_link *l, struct smpp_inst *in, uint32_t index, enum smpp_role role);
void smpp_link_done(struct smpp_link *l);
int smpp_link_start(struct smpp_link *l, int64_t at_ms);
void smpp_link_tick(struct smpp_link *l);   /* what is due by time */
void smpp_link_settle(struct smpp_link *l); /* pump and flush */
void smpp_link_arm(struct smpp_link *l);    /* watch and timer */
void smpp_link_unbind(struct smpp_link *l); /* politely, when bound; else close */
void smpp_link_close(struct smpp_link *l, const char *why);
bool smpp_link_can_send(const struct smpp_link *l);
/* Append a control PDU. Lost links are noticed when they are settled. */
void smpp_link_say(struct smpp_link *l, uint32_t command, uint32_t status, uint32_t sequence);
const char *smpp_state_name(enum smpp_state s);

/* ---- pump.c ---- */
uint32_t smpp_link_window(const struct smpp_link *l,
                          uint32_t lane); /* parts that may be unanswered now */
void smpp_place(struct smpp_link *l, struct smpp_msg *m, enum smpp_msg_place place, bool at_head);
int smpp_pump(struct smpp_link *l); /* \return 0 or negative: link lost */
void smpp_pump_answer(struct smpp_link *l, const struct smpp_pdu *pdu);
void smpp_pump_timeouts(struct smpp_link *l);
void smpp_pump_expire(struct smpp_link *l); /* queued messages past their time */
void smpp_pump_lost(struct smpp_link *l);   /* settle everything that was on the link */
void smpp_pump_recall(struct smpp_link *l); /* drain: give back what has not been begun */
/* Recall what has not been begun; tokens are sorted. */
void smpp_pump_cancel(struct smpp_link *l, const uint64_t *tokens, uint32_t n);
int64_t smpp_pump_next_ms(const struct smpp_link *l); /* next thing to do by time, INT64_MAX none */

/* ---- inbox.c ---- */
int smpp_inbox_new(struct smpp_inst *in, struct smpp_inbox **ret_inbox);
void smpp_inbox_free(struct smpp_inbox *inbox);
void smpp_inbox_take(struct smpp_link *l, const struct smpp_pdu *pdu); /* deliver_sm, data_sm */
void smpp_inbox_flush(struct smpp_inst *in); /* hand the batch of receipts over */
void smpp_inbox_stored(struct smpp_inst *in, const uint64_t *acks, uint32_t n);
void smpp_inbox_tick(struct smpp_inst *in);
void smpp_inbox_drain(struct smpp_inst *in);          /* pass incomplete replies on now */
uint32_t smpp_inbox_held(const struct smpp_inst *in); /* answers owed to the peer */
int64_t smpp_inbox_next_ms(const struct smpp_inst *in);
/* A receipt that needs no answer to the peer: what it said of the message it was asked about.
 * flags: CGW_RESF_*, for who is asked about parts may answer for the whole. */
void smpp_inbox_report(struct smpp_inst *in, const char *provider_id, uint32_t result,
                       uint32_t flags, int32_t code, const char *raw);

/* ---- query.c ---- */
/* \return false: no id, or no source that could be written. */
bool smpp_question_set(const struct smpp_inst *in, struct smpp_question *q,
                       const struct cgw_ask *ask);
void smpp_query_add(struct smpp_inst *in, const struct cgw_ask *asks, uint32_t n);
void smpp_query_pump(struct smpp_link *l);
void smpp_query_answer(struct smpp_link *l, struct smpp_slot *slot, const struct smpp_pdu *pdu);
void smpp_query_drop(struct smpp_slot *slot); /* timed out or link lost; a recall's too */

/* ---- recall.c ---- */
/* CGW_RES_* of a message_state of this instance. */
uint32_t smpp_result_of(const struct smpp_inst *in, uint8_t state);
void smpp_recall_start(struct smpp_inst *in);
uint32_t smpp_recall_add(struct smpp_inst *in, const struct cgw_ask *asks, uint32_t n);
void smpp_recall_pump(struct smpp_link *l);
int64_t smpp_recall_next_ms(const struct smpp_link *l); /* 0: nothing to do by time */
void smpp_recall_answer(struct smpp_link *l, struct smpp_slot *slot, const struct smpp_pdu *pdu);

#endif
