/* SPDX-License-Identifier: Apache-2.0 */
/* store_outcome.h - rows behind the outcome writer: accepts, events, receipts, in doubt, responses,
 * opt-outs. The caller owns the transaction and holds the locks of all parts it writes to (in part
 * order). */
#ifndef STORE_STORE_OUTCOME_H
#define STORE_STORE_OUTCOME_H

#include "store/store_decide.h"

struct submit_row {
    int32_t part;
    int64_t contact_id;
    int16_t attempt, seg, n_segs;
    bool receipt; /* a final word is expected */
    int64_t ts_ms;
    int32_t route_id;
    int64_t refh, address_key;
    const char *ref, *peer_ref; /* peer_ref: as the peer spells it, "" = as ref */
};
/* One COPY for all parts; rows sorted by (part, contact, attempt, seg). seals[part] and
 * seal_no[part] are the open seals of those parts. */
int store_submits_write(struct db *db, const struct submit_row *rows, int n, struct seal *seals,
                        const int64_t *seal_no, struct diag *diag) CGW_NODISCARD;
struct part_event {
    int32_t part;
    struct event_row e;
};
/* Likewise, sorted by (part, contact, attempt, segment, kind). */
int store_part_events_write(struct db *db, const struct part_event *rows, int n, struct seal *seals,
                            const int64_t *seal_no, struct diag *diag) CGW_NODISCARD;

/* 63-bit hash of (instance, provider id): what contact_submit.refh and receipt_early.refh hold. */
int64_t store_ref_hash(const char *instance, const char *ref);

struct ref_match {
    int64_t refh, address_key, ts_ms;
    char ref[CGW_PROVIDER_ID_MAX];
    int32_t part, route_id;
    int64_t contact_id;
    int16_t attempt, seg, n_segs;
    bool receipt;
};
/* Accepted messages with these hashes, sorted by refh, newest first (the text must be compared by
 * the caller). */
int store_refs_find(struct db *db, const int64_t *refh, int n, struct ref_match *ret, int max,
                    int *ret_n, struct diag *diag) CGW_NODISCARD;

/* Whom a contact was for, and over what; CGW_ENOTFOUND when the log has it no more. */
int store_contact_who(struct db *db, int32_t part, int64_t contact_id, int64_t *ret_customer_id,
                      int16_t *ret_channel, struct diag *diag) CGW_NODISCARD;

struct event_key {
    int64_t contact_id;
    int16_t attempt, seg, kind;
};
/* Events that exist for these contacts (each once), at most max, in no order. */
int store_events_find(struct db *db, int32_t part, const int64_t *contacts, int n,
                      struct event_key *ret, int max, int *ret_n, struct diag *diag) CGW_NODISCARD;

struct early_receipt {
    int64_t id, refh, person_key, arrived_ms;
    int16_t result, sub;
    int32_t flags, code, reference, quantity;
    bool mismatched; /* not stored: there is an accept of this id, for somebody else */
    char instance[48], ref[CGW_PROVIDER_ID_MAX], code_space[32], raw[CGW_RAW_MAX];
    char also[CGW_ALSO_MAX * CGW_PROVIDER_ID_MAX]; /* what ref may also be, a blank between */
};
int store_early_put(struct db *db, const struct early_receipt *const *rows, int n,
                    struct diag *diag) CGW_NODISCARD;
/* Waiting receipts of these ids, by hash and age. */
int store_early_find(struct db *db, const int64_t *refh, int n, struct early_receipt *ret, int max,
                     int *ret_n, struct diag *diag) CGW_NODISCARD;
/* Waiting receipts behind an id, in order: for the sweep. */
int store_early_after(struct db *db, int64_t id, struct early_receipt *ret, int max, int *ret_n,
                      struct diag *diag) CGW_NODISCARD;
int store_early_delete(struct db *db, const int64_t *ids, int n, struct diag *diag) CGW_NODISCARD;
int store_early_count(struct db *db, int64_t *ret_n, struct diag *diag) CGW_NODISCARD;

struct doubt_row {
    int32_t part, route_id;
    int64_t contact_id, address_key, since_ms, until_ms;
    int16_t attempt;
    int16_t later_segs; /* found: segments of a later attempt that was accepted, 0 = none */
};
int store_doubt_put(struct db *db, const struct doubt_row *rows, int n,
                    struct diag *diag) CGW_NODISCARD;
/* Candidates for a receipt of this instance that names a person: of each contact its newest attempt
 * in doubt by then. */
int store_doubt_find(struct db *db, int64_t address_key, const char *instance, int64_t before_ms,
                     struct doubt_row *ret, int max, int *ret_n, struct diag *diag) CGW_NODISCARD;
int store_doubt_delete(struct db *db, int32_t part, int64_t contact_id,
                       struct diag *diag) CGW_NODISCARD;
int store_doubt_count(struct db *db, int64_t *ret_n, struct diag *diag) CGW_NODISCARD;

/* Is what is in doubt of this wave's class sent once more (class_rule.resend_once)? */
int store_wave_resends(struct db *db, int32_t wave_id, bool *ret, struct diag *diag) CGW_NODISCARD;

/* ---- takeover and end of a wave
 * ------------------------------------------------------------------------------------------- */
struct open_contact {
    int64_t contact_id, customer_id, since_ms;
    int32_t route_id;
    int16_t attempt;
    bool resends, resent; /* its class is sent once more; it is the second time already */
    int16_t channel;      /* of its wave; unanswered ones only */
    char address[256];
};
/* Intended, without submit or event: chunk rows up to sent_hi, and echo rows of state 2. */
int store_unanswered(struct db *db, int32_t part, struct open_contact *ret, int max, int *ret_n,
                     struct diag *diag) CGW_NODISCARD;
/* Echo rows decided but never intended (state 1) wait again; those of state 2 are gone (they are in
 * doubt now). */
int store_echo_recover(struct db *db, int32_t part, struct diag *diag) CGW_NODISCARD;
/* Submitted or in doubt, without a final word. */
int store_unfinished(struct db *db, int32_t part, int32_t wave_id, struct open_contact *ret,
                     int max, int *ret_n, struct diag *diag) CGW_NODISCARD;
/* Accepted segments of a part and wave behind (contact, attempt, seg) for which a receipt is
 * expected and none came, at most max. One call looks at a bounded number of accepts: where it
 * ended, possibly with no row at all, is *after; *ret_end: nothing lies behind it. */
struct overdue {
    int64_t contact_id;
    int16_t attempt, seg;
    uint32_t sender_kind;
    char instance[48], peer_id[CGW_PROVIDER_ID_MAX], sender[64];
};
int store_overdue(struct db *db, int32_t part, int32_t wave_id, struct overdue *after,
                  struct overdue *ret, int max, int *ret_n, bool *ret_end,
                  struct diag *diag) CGW_NODISCARD;
/* Likewise those accepted since then that the network has not answered either whether it takes them
 * back. */
int store_recallable(struct db *db, int32_t part, int32_t wave_id, int64_t since_ms,
                     struct overdue *after, struct overdue *ret, int max, int *ret_n, bool *ret_end,
                     struct diag *diag) CGW_NODISCARD;
int store_doubt_forget(struct db *db, int32_t part, int32_t wave_id,
                       struct diag *diag) CGW_NODISCARD;

/* ---- responses
 * ----------------------------------------------------------------------------------------------------------------
 */
int store_alias_find(struct db *db, int64_t address_key, int64_t *ret_customer_id,
                     struct diag *diag) CGW_NODISCARD; /* itself when there is no alias */
struct response_row {
    int32_t part;
    int64_t customer_id, ts_ms, dedupe;
    int16_t channel, kind, meaning;
    const char *own_address, *instance, *body;
    size_t body_len;
};
/* CGW_EEXISTS: the same inbound was stored in the last 10 minutes. */
int store_response_put(struct db *db, const struct response_row *r, int64_t *ret_response_id,
                       struct diag *diag) CGW_NODISCARD;
/* The contact that reached this person last (30 days); CGW_ENOTFOUND none. */
int store_last_contact(struct db *db, int32_t part, int64_t customer_id, int64_t before_ms,
                       int64_t *ret_contact_id, int32_t *ret_partner,
                       struct diag *diag) CGW_NODISCARD;
/* Whose campaign a response answers; 0 when none is known. */
int store_response_partner(struct db *db, int32_t part, int64_t response_id, int32_t *ret,
                           struct diag *diag) CGW_NODISCARD;
int store_response_media(struct db *db, int32_t part, int64_t response_id, int16_t no,
                         int64_t media_id, const char *name, struct diag *diag) CGW_NODISCARD;
/* rule: 1 = the last contact within 30 days, 2 = the peer named our message. */
int store_attribution_put(struct db *db, int32_t part, int64_t response_id, int64_t contact_id,
                          int rule, struct diag *diag) CGW_NODISCARD;
/* One more message that came back for now; counted once per message. ret_n: how many since then. */
int store_soft_bounce(struct db *db, int32_t part, int64_t customer_id, int16_t channel,
                      int64_t contact_id, int64_t at_ms, int64_t since_ms, int64_t *ret_n,
                      struct diag *diag) CGW_NODISCARD;
int store_soft_bounce_forget(struct db *db, int32_t part, int64_t customer_id, int16_t channel,
                             struct diag *diag) CGW_NODISCARD;
/* The one-by-one wave that carries opt-out confirmations of a channel; made on first use. */
int store_confirm_wave(struct db *db, int channel, int32_t *ret_wave_id, int32_t *ret_set_id,
                       struct diag *diag) CGW_NODISCARD;
/* One confirmation to one person: recipient + echo row, due now. */
int store_confirm_queue(struct db *db, int32_t wave_id, int32_t set_id, int32_t part,
                        int64_t customer_id, const char *address, const char *text, int32_t scope,
                        int64_t response_id, int64_t now_ms, struct diag *diag) CGW_NODISCARD;

#endif
