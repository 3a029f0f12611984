/* SPDX-License-Identifier: Apache-2.0 */
/* channel.h - what a channel plugin implements: messages in, results out.
 * Threads: every operation of an instance runs on that instance's loop thread unless it says
 * otherwise; a plugin with CGW_F_SHARED_LOOP shares one loop thread among all its instances.
 * Operations stay under 10 ms; a watchdog logs longer ones. Ownership: what an operation receives
 * is borrowed until it returns; what a plugin hands to a host service is copied before the service
 * returns. Nothing is freed on the other side. The promises (MUST) are proved for any plugin by
 * `campgw-plugin-check FILE.so`. */
#ifndef CGW_CHANNEL_H
#define CGW_CHANNEL_H

#include "cgw/types.h"

#ifdef __cplusplus
extern "C" {
#endif

struct cgw_host;
struct cgw_inst; /* the gateway's side of one configured instance; opaque */
struct cgw_conf; /* the instance's options; read through cgw_host.conf_* during create only */

/* One message to one person. `token` names it in every later call. */
struct cgw_message {
    uint32_t size;          /* sizeof(struct cgw_message) of the gateway */
    uint32_t lane;          /* CGW_LANE_* */
    uint64_t token;         /* slot and generation; a stale one is recognised by the gateway */
    uint32_t channel;       /* CGW_CHANNEL_* */
    uint32_t contact_class; /* CGW_CLASS_* */
    struct cgw_address to;
    struct cgw_address from;       /* kind 0: the instance's default sender */
    int64_t submit_before_mono_ms; /* not written to the peer by then: complete it NOT_SENT */
    int64_t not_after_utc_ms;      /* the peer must not deliver later: end of the legal window */
    uint32_t want_receipt;         /* 0 none, 1 final result */
    uint32_t n_parts;              /* 1..CGW_PARTS_MAX */
    const struct cgw_part *parts;
    uint64_t group; /* campaign-scoped key for the peer's own grouping or billing, 0 none */
    const char *service_code; /* billing or template identity of the route, may be NULL */
    uint64_t reference; /* our name of this message, 1..65535: peers that echo it with the receipt
                           (cgw_receipt.reference) help to settle what was never answered */
};

/* Result classes. Exactly one result per message taken by submit(). */
#define CGW_RES_ACCEPTED 1u      /* the peer took it; provider_ids are set                        */
#define CGW_RES_NOT_SENT 2u      /* certain: nothing reached the peer                            */
#define CGW_RES_REFUSED_RETRY 3u /* certain: refused now, may be tried again (retry_after_ms) */
#define CGW_RES_REFUSED 4u       /* certain: refused for good                                    */
#define CGW_RES_DELIVERED 5u     /* final, without a later receipt (an answered call)            */
#define CGW_RES_FAILED 6u        /* final: it left us and failed at or behind the peer           */
#define CGW_RES_EXPIRED 7u       /* final: validity ended first                                  */
#define CGW_RES_UNKNOWN 8u       /* written, but no answer; never resent by itself               */
#define CGW_RES_ENROUTE 9u       /* receipts only: not final, still on its way                   */
#define CGW_RES_RECALLED 10u     /* receipts only: final, the peer took it back undelivered      */
#define CGW_RES_NOT_RECALLED 11u /* receipts only: not final, the peer would not take it back */

#define CGW_RESF_THROTTLED 1u /* with REFUSED_RETRY: back-pressure of the peer, not an attempt */
#define CGW_RESF_ASSUMED 2u   /* inferred, not said by the peer                               */
#define CGW_RESF_WHOLE 4u     /* receipts: speaks for the whole message, not one segment      */

/* Sub-outcomes of voice and task contacts; 0 elsewhere. */
#define CGW_SUB_ANSWERED 1u
#define CGW_SUB_BUSY 2u
#define CGW_SUB_NO_ANSWER 3u
#define CGW_SUB_REJECTED 4u
#define CGW_SUB_BAD_ADDRESS 5u
#define CGW_SUB_ROUTE_DOWN 6u
#define CGW_SUB_HARD_BOUNCE 7u
#define CGW_SUB_SOFT_BOUNCE 8u
#define CGW_SUB_COMPLAINT 9u
#define CGW_SUB_MACHINE 10u

struct cgw_result {
    uint32_t size;
    uint32_t result; /* CGW_RES_* */
    uint64_t token;
    uint32_t flags;         /* CGW_RESF_* */
    uint32_t sub;           /* CGW_SUB_* or 0 */
    int64_t retry_after_ms; /* with REFUSED_RETRY: not earlier than this, 0 = the core's table */
    int32_t code;           /* the peer's raw code (SMPP command_status, SIP status, SMTP code) */
    uint32_t n_ids;         /* provider ids, one per network segment; 0 = none given */
    const char *code_space; /* "smpp34.command_status", "sip.status", "smtp.enhanced" ... */
    const char *raw;        /* the peer's words, may be NULL; cut to CGW_RAW_MAX */
    const char *const *provider_ids; /* each NUL-terminated, normal form of the instance */
    uint32_t segments;               /* network pieces written (SMS segments); 0 = none */
    uint32_t quantity;               /* unit of the descriptor: segments, bytes or seconds */
    const char *const *peer_ids; /* as many as provider_ids, as the peer spells them: what query()
                                    asks with. NULL, or a NULL or "" in it: spelled alike */
    const char *document;  /* with ACCEPTED: what a peer that pulls will read (an agent's task),
                              JSON;  kept in the transaction of the accept. NULL = none */
    uint32_t document_len; /* bytes, at most CGW_DOCUMENT_MAX */
    uint32_t reserved;
};

/* What the peer tells about an earlier message. */
struct cgw_receipt {
    uint32_t size;
    uint32_t result; /* ENROUTE, DELIVERED, FAILED, EXPIRED, UNKNOWN, REFUSED; as answers to
                        recall() RECALLED, NOT_RECALLED */
    uint32_t flags;  /* CGW_RESF_WHOLE ... */
    uint32_t sub;
    const char
        *provider_id; /* normal form, as in cgw_result; may be "" when only `reference` is known */
    uint64_t reference;        /* our own message reference echoed by the peer, 0 = none */
    struct cgw_address person; /* the recipient the receipt names; kind 0 = not said */
    int32_t code;
    uint32_t quantity;
    const char *code_space;
    const char *raw; /* the raw receipt text: times in it are in the peer's zone */
    int64_t arrived_utc_ms;
    uint64_t ack; /* plugin's name for it: returned by stored() when durable; 0 = none wanted */
    /* What the id may also be in normal form, when the plugin cannot tell (it has just started and
     * does not know yet how this peer spells ids in receipts). Each that is not NULL is looked for,
     * in this order, when provider_id fits nobody; believed only for the person named. */
    const char *also[CGW_ALSO_MAX];
};

/* What a person sends or does. Opt-out words, keys and bounces come in here; the core decides what
 * they mean. */
#define CGW_IN_TEXT 1u      /* SMS or MMS text, e-mail body */
#define CGW_IN_KEYS 2u      /* DTMF digits                  */
#define CGW_IN_OPTOUT 3u    /* explicit: one-click, opt-out digit */
#define CGW_IN_COMPLAINT 4u /* ARF and the like             */
#define CGW_IN_BOUNCE 5u    /* asynchronous bounce          */
#define CGW_IN_CLICK 6u
#define CGW_IN_TASK 7u /* an agent's outcome           */

struct cgw_inbound {
    uint32_t size;
    uint32_t kind;           /* CGW_IN_* */
    struct cgw_address from; /* the person */
    struct cgw_address to;   /* our number, mailbox or short code */
    uint32_t n_parts;
    uint32_t sub; /* CGW_SUB_* for bounces and tasks */
    const struct cgw_part *parts;
    uint64_t reference;  /* token of the contact it answers when the peer says so, 0 = unknown */
    const char *peer_id; /* the peer's id of this inbound message, for duplicates; may be NULL */
    int64_t arrived_utc_ms;
    uint64_t ack;            /* plugin's name for it: returned by stored() when durable */
    const char *provider_id; /* our message that it answers, normal form as in cgw_result; NULL =
                                not known. With it `from` may be of kind 0: the person is the one
                                whom that message reached */
};

/* query(): what became of an accepted message? recall(): take it back. */
struct cgw_ask {
    uint32_t size;
    uint32_t reserved;
    const char *peer_id;     /* as the peer spells it */
    struct cgw_address from; /* the sender it went out with; kind 0: the instance's default */
};

/* check(): can this content be sent, and in how many pieces? */
struct cgw_check {
    uint32_t size;
    int32_t code;            /* CGW_OK, CGW_EINVAL (cannot be sent), CGW_ELIMIT (too long) */
    uint32_t segments;       /* network pieces it needs */
    uint32_t units;          /* characters or bytes in the chosen encoding */
    const char *encoding;    /* static text: "gsm7", "ucs2", "latin1", "utf-8" ... */
    char text[CGW_DIAG_MAX]; /* why not, when code != 0 */
};

struct cgw_health {
    uint32_t size;
    uint32_t up;              /* 1: can take messages now */
    uint32_t links_up, links; /* binds, connections, trunks */
    uint32_t window_used, window;
    int64_t since_utc_ms;    /* of the present state */
    char text[CGW_DIAG_MAX]; /* one line for people: why it is down */
};

/* tally(): what is durable of an instance's accepts, over all nodes, in the zone of its option
 * `zone` (UTC without one). What the plugin accepted and `included` does not count yet comes on
 * top. */
struct cgw_tally {
    uint32_t size;
    uint32_t reserved;
    uint64_t day, month; /* accepted on the present day, in the present month */
    uint64_t open;       /* documents that nobody has ended yet */
    uint64_t included;   /* accepts of this object since its create() that these figures hold */
};

struct cgw_channel_ops {
    uint32_t size; /* sizeof(struct cgw_channel_ops) when the plugin was built */

    /* REQUIRED. Make one instance from its options. No network, no threads. On failure fill diag,
     * return CGW_E*, leave *ret. */
    int (*create)(const struct cgw_host *host, struct cgw_inst *inst, const struct cgw_conf *conf,
                  void **ret_ch, struct cgw_diag *diag);
    /* REQUIRED. Begin to connect; returns at once. */
    int (*start)(void *ch);
    /* REQUIRED. Pure, any thread, also before start: judge n messages. Only channel, from, to,
     * parts are set. */
    void (*check)(void *ch, const struct cgw_message *msgs, uint32_t n,
                  struct cgw_check *ret_checks);
    /* REQUIRED. Take a prefix of msgs, never block. \return how many were taken (0 = window full);
     * each taken message owes exactly one complete(). A message past its submit_before_mono_ms is
     * completed NOT_SENT, never written. */
    uint32_t (*submit)(void *ch, const struct cgw_message *msgs, uint32_t n);
    /* Rows behind these acks are durable: now answer the peer (deliver_sm_resp, MM7 1000, HTTP
     * 200). */
    void (*stored)(void *ch, const uint64_t *acks, uint32_t n);
    /* Optional. Recall messages not yet written; each recalled one still gets its
     * complete(NOT_SENT). */
    void (*cancel)(void *ch, const uint64_t *tokens, uint32_t n);
    /* Optional. Ask the peer about accepted messages; answers arrive as receipts. Asking is a wish:
     * who gets no answer may ask again. */
    void (*query)(void *ch, const struct cgw_ask *asks, uint32_t n);
    /* Optional. */
    void (*health)(void *ch, struct cgw_health *ret);
    /* REQUIRED. Stop taking, settle what is in flight until the deadline, then complete the rest
     * UNKNOWN (written) or NOT_SENT, and call host->drained(inst). Returns at once. */
    void (*drain)(void *ch, int64_t deadline_mono_ms);
    /* REQUIRED. After drained(): free everything. No service is called from here but log. */
    void (*destroy)(void *ch);
    /* Optional, of a channel that is pulled (cgw_channel_caps.pulled): told soon after start() and
     * then about once a second, and after accepts became durable. A capacity per day and month that
     * survives a restart is counted from it; say no credit before the first. */
    void (*tally)(void *ch, const struct cgw_tally *t);
    /* Optional. Ask the peer to take accepted messages back before it delivers them: their campaign
     * was cancelled. Take a prefix of asks, never block. \return how many were taken; the rest is
     * offered again. The peer's answer comes as a receipt: RECALLED when it says that the message
     * will not be delivered, NOT_RECALLED when it says no or that it is too late; then its receipt
     * tells what became of it. Without an answer nothing is said: who gets none may be asked again.
     */
    uint32_t (*recall)(void *ch, const struct cgw_ask *asks, uint32_t n);
    /* abi_minor 1 appends here */
};

#ifdef __cplusplus
}
#endif
#endif /* CGW_CHANNEL_H */
