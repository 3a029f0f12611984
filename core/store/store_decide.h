/* SPDX-License-Identifier: Apache-2.0 */
/* store_decide.h - rows behind decide and intent: part lock, due work, facts, cap counters, the
 * log, echo rows, statistics. Protocol: sql/README.md. The caller owns the transaction and the
 * order of the calls. */
#ifndef STORE_STORE_DECIDE_H
#define STORE_STORE_DECIDE_H

#include "policy/policy.h"
#include "store/store.h"
#include "store/store_seal.h"

struct part_lock {
    int32_t part;
    int64_t epoch, seal_no, flush_no, xid, now_ms /* database time, unshifted; this and the next
                                      three only for a holder (epoch given) */
        ,
        facts_ver;
    int32_t rules_version;
    bool running; /* dispatch switch */
    unsigned char digest[SEAL_DIGEST];
};
/* FOR UPDATE; CGW_EFENCED when (node, epoch) is no longer ours. epoch 0: any holder (flushes).
 * ret->epoch is the row's. */
int store_part_lock(struct db *db, int32_t part, const char *node, int64_t epoch,
                    struct part_lock *ret, struct diag *diag) CGW_NODISCARD;
/* All parts of the mask, whoever holds them, in ascending order; ret by part. For flushes. */
int store_parts_lock(struct db *db, uint64_t parts, struct part_lock *ret,
                     struct diag *diag) CGW_NODISCARD;

struct chunk_ref {
    int32_t part, wave_id, chunk_no, place;
    int64_t seq_lo, seq_hi, sent_hi, cust_lo, cust_hi;
    int16_t state;
};
/* Open chunks (state 0 due, or state 1 left over) of these waves in these parts: at most per_wave
 * of each wave, in the order of `waves`. */
int store_chunks_due(struct db *db, const int32_t *parts, int n_parts, const int32_t *waves,
                     int n_waves, int64_t now_ms, int per_wave, struct chunk_ref *ret, int max,
                     int *ret_n, struct diag *diag) CGW_NODISCARD;
int store_chunk_claim(struct db *db, const struct chunk_ref *c,
                      struct diag *diag) CGW_NODISCARD; /* CGW_ESTATE: not state 0 */
int store_chunk_wait(struct db *db, const struct chunk_ref *c, int64_t until_ms, int reason,
                     struct diag *diag) CGW_NODISCARD;
int store_chunk_done(struct db *db, int32_t part, int32_t wave_id, int32_t chunk_no,
                     struct diag *diag) CGW_NODISCARD;

struct echo_due {
    int32_t part, wave_id;
};
/* Parts and waves with due echo rows (of cancelled campaigns whatever not_before says), in the
 * order of `parts`, without the resting waves. */
int store_echo_due(struct db *db, const int32_t *parts, int n_parts, const int32_t *resting,
                   int n_resting, int lane, int64_t now_ms, struct echo_due *ret, int max,
                   int *ret_n, struct diag *diag) CGW_NODISCARD;

/* One person in work. Strings live in the batch's arena. */
struct contact_row {
    int64_t seq, customer_id;
    int32_t place;
    int16_t attempt, tries;
    bool keeps;  /* a reservation of an earlier attempt stands */
    bool gone;   /* withdrawn after the decision: skip */
    bool resent; /* an earlier attempt is in doubt: counted as sent, whatever becomes of this one */
    const char
        *address; /* as read: the number, "" none; dispatch puts the one for its channel here */
    const char *email, *params, *lang;
    uint32_t params_len;
    struct policy_facts facts;
    int16_t cap_n[CAPS_MAX];
    uint32_t counted; /* caps whose counter has a row of this person; the others begin at nought */
    struct verdict verdict;
    uint32_t n_parts;
    const struct cgw_part *parts;
    uint32_t segments;
    int32_t route_id;
};
int store_recipients(struct db *db, int32_t part, int32_t set_id, int64_t seq_lo, int64_t seq_hi,
                     struct arena *a, struct contact_row *rows, int max, int *ret_n,
                     struct diag *diag) CGW_NODISCARD;
/* Rows of a decided chunk that were allowed and not yet intended (seq > sent_hi), attempt 1. */
int store_recipients_resume(struct db *db, const struct chunk_ref *c, int32_t set_id,
                            struct arena *a, struct contact_row *rows, int max, int *ret_n,
                            struct diag *diag) CGW_NODISCARD;
/* Due echo rows of one part and wave, locked; sorted by customer. all: also those not yet due
 * (cancelled campaign). */
int store_echo_claim(struct db *db, int32_t part, int32_t wave_id, int32_t set_id, int64_t now_ms,
                     bool all, struct arena *a, struct contact_row *rows, int max, int *ret_n,
                     struct diag *diag) CGW_NODISCARD;

/* What a dispatcher has learned of the tables: zero at its start. */
enum facts_read { FACTS_DND, FACTS_CONSENT, FACTS_CAPS, FACTS_READS };
struct facts_habit {
    uint8_t probe_for[FACTS_READS]; /* chunks that are probed, because a range was too full */
};
struct facts_query {
    struct facts_habit *habit; /* borrowed; NULL: people are probed one by one */
    int32_t part, partner_id;
    uint32_t contact_class, channel;
    int16_t purpose;
    int32_t wave_id;
    int64_t now_ms;
    const struct rules *rules;
    uint32_t cap_mask; /* rules->caps indexes to read; 0 none */
};
/* Fills facts of rows (sorted by customer_id; equal ids allowed). windows and holds_reservation
 * stay the caller's. */
int store_facts(struct db *db, const struct facts_query *q, struct contact_row *rows, int n,
                struct diag *diag) CGW_NODISCARD;

struct reserve_row {
    int64_t customer_id;
    uint32_t counted; /* as store_facts() found it under the same lock; UINT32_MAX = not looked */
};
/* Count the ALLOWed rows' slots; rows in customer order. CGW_ECONFLICT when a guard refused (cannot
 * happen under the lock: roll back). */
int store_caps_reserve(struct db *db, int32_t part, const struct rules *rules, uint32_t cap_mask,
                       int64_t now_ms, const struct reserve_row *rows, int n,
                       struct diag *diag) CGW_NODISCARD;
/* Give back what these contacts reserved, at most once each. Under the part lock. ret_released may
 * be NULL. */
int store_caps_release(struct db *db, int32_t part, const int64_t *contacts, int n,
                       int64_t *ret_released, struct diag *diag) CGW_NODISCARD;

/* Reservations that stand for these contacts: when they were made (INT64_MIN = none). Arrays run
 * parallel. */
int store_reserved_at(struct db *db, int32_t part, const int64_t *contacts, int n,
                      int64_t *ret_at_ms, struct diag *diag) CGW_NODISCARD;

struct log_row {
    int64_t contact_id, customer_id;
    int32_t chunk_no;
    int16_t attempt, verdict, reason;
    int32_t rule_id;
    uint32_t slots;
};
struct log_head {
    int32_t part, wave_id, partner_id, rules_version;
    int64_t decided_ms, seal_no;
    int16_t channel, contact_class;
};
/* COPY rows (ascending contact_id) and feed the seal. */
int store_log_write(struct db *db, const struct log_head *h, const struct log_row *rows, int n,
                    struct seal *seal, struct diag *diag) CGW_NODISCARD;

struct echo_row {
    int64_t seq;
    int16_t attempt, tries;
    int64_t not_before_ms;
    int16_t reason;
    bool keeps;
    bool resent; /* an earlier attempt is in doubt; once said it stands */
};
int store_echo_put(struct db *db, int32_t part, int32_t wave_id, const struct echo_row *rows, int n,
                   struct diag *diag) CGW_NODISCARD; /* insert or replace, state 0 */
int store_echo_state(struct db *db, int32_t part, int32_t wave_id, const int64_t *seqs, int n,
                     int state, int32_t route_id, int64_t at_ms, struct diag *diag) CGW_NODISCARD;
/* Rows of this part and wave that were decided and will not be sent (state 1) wait again, as a new
 * attempt. The caller is the only one at work on them. */
int store_echo_back(struct db *db, int32_t part, int32_t wave_id, int64_t not_before_ms,
                    struct diag *diag) CGW_NODISCARD;
/* The resent row of this contact, when it is not under way yet, is not needed any more. */
int store_echo_unsend(struct db *db, int32_t part, int64_t contact_id,
                      struct diag *diag) CGW_NODISCARD;
/* State of the resent row of this contact, -1 = none. */
int store_echo_resent(struct db *db, int32_t part, int64_t contact_id, int *ret_state,
                      struct diag *diag) CGW_NODISCARD;
int store_echo_delete(struct db *db, int32_t part, int32_t wave_id, const int64_t *seqs, int n,
                      struct diag *diag) CGW_NODISCARD;

struct stat_delta {
    int32_t wave_id, code;
    int16_t kind;
    int64_t n;
};
/* owner: node name plus writer, so that no two writers touch the same rows. */
int store_stat_add(struct db *db, const char *owner, struct stat_delta *deltas, int n,
                   struct diag *diag) CGW_NODISCARD;

/* ---- intent
 * -------------------------------------------------------------------------------------------------------------
 */
struct intent_check {
    int64_t xid; /* for store_xact_over() when the answer to COMMIT was lost */
    int64_t facts_ver;
    int32_t rules_version;
    bool running, route_open; /* the switch; the route is active and its queue not paused */
    char campaign_state[16];
    int64_t now_ms;
};
/* Locks part_head FOR SHARE, then (a second statement, so that nothing committed while waiting is
 * missed) reads the clocks. */
int store_intent_lock(struct db *db, int32_t part, const char *node, int64_t epoch, int32_t wave_id,
                      int32_t route_id, struct intent_check *ret, struct diag *diag) CGW_NODISCARD;
/* Id of the open transaction. */
int store_xid(struct db *db, int64_t *ret_xid, struct diag *diag) CGW_NODISCARD;
/* After a reconnect: 0 when that transaction does not run any more; CGW_EBUSY: ask again. How it
 * ended its rows must tell: after a crash of the server transaction ids that never reached the disk
 * are given out again, and pg_xact_status() answers for the new owner. */
int store_xact_over(struct db *db, int64_t xid, struct diag *diag) CGW_NODISCARD;
/* Is exactly this intent in the database? */
int store_intent_stands(struct db *db, int32_t part, int32_t wave_id, int64_t seq_lo,
                        int64_t seq_hi, const char *node, int64_t at_ms, bool *ret,
                        struct diag *diag) CGW_NODISCARD;
int store_echo_intent_stands(struct db *db, int32_t part, int32_t wave_id, const int64_t *seqs,
                             int n, int64_t at_ms, bool *ret, struct diag *diag) CGW_NODISCARD;
int store_intent_chunk(struct db *db, const struct chunk_ref *c, int64_t seq_from, int64_t sent_hi,
                       int32_t route_id, const char *node, int64_t at_ms,
                       struct diag *diag) CGW_NODISCARD;

/* ---- events written by dispatch itself (withdrawn between decision and intent)
 * -------------------------------------------- */
struct event_row {
    int64_t contact_id;
    int16_t attempt, seg, kind;
    int64_t ts_ms;
    int32_t route_id, code, quantity;
    int16_t sub; /* CGW_SUB_*, 0 none */
    const char *code_space, *detail;
};
int store_events_write(struct db *db, int32_t part, int64_t seal_no, const struct event_row *rows,
                       int n, struct seal *seal, struct diag *diag)
    CGW_NODISCARD; /* sorted by (contact, attempt, seg, kind) */

#endif
