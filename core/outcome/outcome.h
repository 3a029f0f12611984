/* SPDX-License-Identifier: Apache-2.0 */
/* outcome.h - everything that comes back (results, receipts, inbound) becomes appended rows, in
 * batches, by one writer thread. Owns: contact_submit, contact_event, in_doubt, receipt_early,
 * response, attribution, and the echo rows of retries. Calls store and base only; never planner or
 * dispatch. Bounds: one item for every in-flight slot, OUTCOME_RING receipts and inbound; a full
 * ring pushes back. */
#ifndef OUTCOME_OUTCOME_H
#define OUTCOME_OUTCOME_H

#include "base/diag.h"
#include "cgw/channel.h"
#include <stdbool.h>
#include <stdint.h>

#define OUTCOME_RING 65536u /* receipts and inbound waiting for the writer, together */
/* A flush is due at so many results, which are in doubt until then; at so many items of every kind,
 * since what a peer repeats may wait for company; or so long after the first. */
#define OUTCOME_FLUSH_ROWS 1000u
#define OUTCOME_FLUSH_ITEMS 3000u
#define OUTCOME_FLUSH_MS 50
#define OUTCOME_PULLED_MAX 64 /* instances whose accepts are counted */

/* contact_event.kind; numbers are stored, never renumber. Kinds marked T end the contact. */
enum event_kind {
    EVENT_DELIVERED = 2,  /* T */
    EVENT_FAILED = 3,     /* T left us, failed at or behind the peer */
    EVENT_EXPIRED = 4,    /* T */
    EVENT_REFUSED = 5,    /* T refused for good: nothing was sent, reservation given back */
    EVENT_RETRY = 6,      /* refused for now; an echo row follows */
    EVENT_NOT_SENT = 7,   /* never written; an echo row follows */
    EVENT_IN_DOUBT = 9,   /* may have been written, never answered */
    EVENT_CANCELLED = 10, /* T withdrawn between decision and intent; code = reason */
    EVENT_ENROUTE = 11,
    EVENT_UNKNOWN = 12,      /* T no final word by the end of validity and grace */
    EVENT_SETTLED = 13,      /* in doubt → accepted, by a receipt that can only be its own */
    EVENT_RECALLED = 14,     /* T the network took it back before it delivered it */
    EVENT_NOT_RECALLED = 15, /* asked to, it would not: its receipt decides */
};
/* campaign_stat.kind: people, except SEGMENTS, RETRIES and SUB */
enum stat_kind {
    STAT_HELD = 1,      /* code = reason */
    STAT_SUBMITTED = 2, /* at least one attempt was or may have been written */
    STAT_DELIVERED = 3,
    STAT_FAILED = 4, /* FAILED and REFUSED */
    STAT_EXPIRED = 5,
    STAT_UNKNOWN = 6,
    STAT_SEGMENTS = 7,
    STAT_RETRIES = 8,     /* code = reason (RETRY_*) */
    STAT_IN_DOUBT = 9,    /* ever in doubt; a subset of SUBMITTED */
    STAT_SETTLED = 10,    /* in doubt and then settled by a receipt */
    STAT_RESPONSES = 11,  /* code = meaning */
    STAT_NO_RECEIPT = 12, /* accepted over a route without receipts: that is the end of it */
    STAT_SUB = 13,        /* code = CGW_SUB_*; events, so that each attempt counts */
    STAT_RECALLED = 14,
};

/* What the dispatcher knows of a message in flight; copied into every outcome. */
struct outcome_contact {
    int32_t part, wave_id, route_id;
    int64_t contact_id, customer_id;
    int64_t epoch; /* of the part when it was intended: another one now means that somebody else may
                      have settled it */
    int16_t attempt, tries, max_tries;
    bool from_echo;      /* an echo row (state 2) stands for it */
    bool resent;         /* an earlier attempt is in doubt, and counted */
    bool want_receipt;   /* a final result will follow */
    int64_t address_key; /* keyed hash of the address: settles in-doubt ones */
    int64_t intended_utc_ms;
    int64_t not_after_utc_ms; /* clamped validity: in doubt until then (+ grace) */
    uint64_t token;           /* in-flight slot, given back after the flush */
    void *run;                /* the dispatcher's chunk, opaque */
};

/* Our own name of a message, 1..65535, for peers that echo one with the receipt (SMPP
 * user_message_reference): tells two messages in doubt to one person apart. */
uint16_t outcome_reference(int64_t contact_id, int16_t attempt);

struct outcome_writer;
#define OUTCOME_SWEEP_MS 2000
struct outcome_config {
    const char *conninfo, *node;
    const unsigned char *sign_key; /* Ed25519, 64 bytes, borrowed for the writer's life */
    const unsigned char
        *identity_key;       /* 32 bytes, borrowed: person → customer_id and address_key */
    const char *optout_conf; /* path of the word sets */
    int64_t
        receipt_grace_ms; /* after validity: how long a receipt may still come (default 300,000) */
    int32_t soft_bounces; /* so many messages that came back for now … 0 = never */
    int64_t soft_bounce_days; /* … in so many days end the channel for a person */
    int32_t sweep_ms; /* how often receipts without an accept are gone through; 0 = every 2 s */
    /* After a flush is durable, from the writer thread: slots may be used again, chunks may be
     * complete. */
    void (*settled)(void *ctx, const struct outcome_contact *contacts, uint32_t n);
    /* Rows behind these acks are durable. */
    void (*stored)(void *ctx, const char *instance, const uint64_t *acks, uint32_t n);
    /* Names for figures; false: not known (any more). NULL: nothing is counted by route. */
    bool (*route_name)(void *ctx, int32_t route_id, char channel[16], char route[80]);
    /* Instances that are pulled, by number, and the zone of their days; NULL past the last
     * (OUTCOME_PULLED_MAX). The set never changes. May be NULL: there is none. */
    const char *(*pulled)(void *ctx, unsigned i, const char **ret_zone);
    /* What is durable of such an instance's accepts. */
    void (*tally)(void *ctx, const char *instance, const struct cgw_tally *t);
    /* Is what was intended on this channel and has no accept certainly not sent? NULL: never. */
    bool (*certain)(void *ctx, uint32_t channel);
    /* New work (echo rows) is due: wake the dispatchers. */
    void (*wake)(void *ctx);
    void *ctx;
};
int outcome_start(const struct outcome_config *cfg, struct outcome_writer **ret,
                  struct diag *diag) CGW_NODISCARD;
/* Flush everything, then stop. Callers have drained the instances before. */
void outcome_stop(struct outcome_writer *w);

/* Any thread. Never refuses: there is room for every in-flight slot. result's strings are copied.
 */
void outcome_result(struct outcome_writer *w, const struct outcome_contact *c, const char *instance,
                    const struct cgw_result *result);
/* Any thread; returns the prefix taken. Strings are copied. */
uint32_t outcome_receipts(struct outcome_writer *w, const char *instance,
                          const struct cgw_receipt *items, uint32_t n);
uint32_t outcome_inbound(struct outcome_writer *w, const char *instance, uint32_t channel,
                         const struct cgw_inbound *items, uint32_t n);
/* A chunk's last window is out: mark it done (state 2) as soon as all its results are flushed.
 * `outstanding` counts its in-flight messages; the writer calls settled() with each, and the
 * dispatcher decrements; the writer asks `finished(run)` after every flush. */
void outcome_chunk_sent(struct outcome_writer *w, int32_t part, int32_t wave_id, int32_t chunk_no,
                        void *run, bool (*finished)(void *run), void (*done)(void *run));
/* Any thread: tasks have ended, look at once. */
void outcome_poke(struct outcome_writer *w);
/* Takeover of parts (under new epochs), before dispatch begins: flags as in doubt what was intended
 * and never answered, and re-opens echo rows. Runs on the caller's connection, one transaction per
 * part. Returns how many were flagged. */
struct db;
int outcome_recover_part(struct db *db, const struct outcome_config *cfg, int32_t part,
                         int64_t epoch, int64_t *ret_in_doubt, struct diag *diag) CGW_NODISCARD;
/* Messages of one wave that the network accepted and whose receipt is overdue, asked about once
 * each and at most per_s in a second over all waves; the answers come as receipts. One caller at a
 * time (the planner); what was asked is forgotten at a restart, and asked again. */
#define OUTCOME_ASK_WAVES                                                                          \
    64 /* waves followed; of more, the one asked about longest ago begins anew */
struct outcome_asker {
    /* \return how many of the asks the channel took. */
    uint32_t (*query)(void *ctx, const char *instance, const struct cgw_ask *asks, uint32_t n);
    void *ctx;
    uint32_t per_s; /* 0 = never */
    int64_t refilled_mono_ms;
    uint32_t left;
    struct ask_progress {
        int32_t wave_id, part;
        int64_t contact_id, used_mono_ms;
        int16_t attempt, seg;
    } waves[OUTCOME_ASK_WAVES];
};
int outcome_ask_wave(struct outcome_asker *a, struct db *db, int32_t wave_id,
                     struct diag *diag) CGW_NODISCARD;

/* Accepted messages of a wave whose campaign was cancelled: the network is asked to take them back,
 * at most per_s in a second over all waves. Its answers come as receipts and are what is remembered
 * of it: what has one is never asked about again, whoever asks. What has none is asked about once
 * more after OUTCOME_RECALL_AGAIN_MS to twice that, or by who takes over; and given up when
 * OUTCOME_RECALL_ROUNDS such rounds brought nothing, or after OUTCOME_RECALL_ROUNDS_MAX of them.
 * One caller at a time (the planner). */
#define OUTCOME_RECALL_WAVES 64 /* waves followed; of more, the oldest look begins anew */
#define OUTCOME_RECALL_PER_S_MAX 1000
#define OUTCOME_RECALL_AGAIN_MS 120000
#define OUTCOME_RECALL_ROUNDS 3
#define OUTCOME_RECALL_ROUNDS_MAX 6
#define OUTCOME_RECALL_ROUND_MS 2000 /* from the end of a round to the next: late accepts */
struct asked_set;
struct outcome_recaller {
    /* \return how many of the asks the channel took; negative: it never will. */
    int (*recall)(void *ctx, const char *instance, const struct cgw_ask *asks, uint32_t n);
    void *ctx;
    uint32_t per_s; /* 0 = never */
    int64_t refilled_mono_ms, rotated_mono_ms;
    uint32_t left, left_ms;     /* of this second: asks, time spent on looking */
    struct asked_set *asked[2]; /* owned: asked since the last rotation, and before it */
    struct recall_progress {
        int32_t wave_id, part;
        int64_t contact_id, used_mono_ms, rest_until_mono_ms;
        int64_t found, found_before; /* unanswered: of this round, of the last that asked */
        int16_t attempt, seg;
        uint32_t asked, idle; /* of this round; rounds that asked and brought nothing */
        uint32_t rounds;      /* that asked since it is drained */
        bool drained;         /* everything that will ever be accepted has been */
        bool met_all;         /* a round after that went past everybody */
        int64_t people;       /* asked until then */
        bool incomplete;      /* this round passed by who waits for room of its instance */
    } waves[OUTCOME_RECALL_WAVES];
};
struct recall_wave {
    int32_t wave_id;
    int64_t since_utc_ms; /* accepted before that: its validity is over */
    bool drained;         /* no message of it is on its way to the network any more */
};
int outcome_recall_wave(struct outcome_recaller *a, struct db *db, const struct recall_wave *w,
                        struct diag *diag) CGW_NODISCARD;
void outcome_recaller_done(struct outcome_recaller *a);

/* Everyone of this wave without a final result gets EVENT_UNKNOWN (validity and grace are over).
 * Part by part, sealed. */
int outcome_close_wave(struct db *db, const struct outcome_config *cfg, int32_t wave_id,
                       int64_t now_utc_ms, int64_t *ret_closed, struct diag *diag) CGW_NODISCARD;

#endif
