/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim.h - the one simulator object and what its modules offer each other.
 * One thread, one epoll. sim_session owns connections and bytes, sim_submit decides what becomes of
 * a submit, sim_answer holds answers back, sim_deliver queues what goes to the client, sim_receipt
 * and sim_mo make it, sim_count judges, sim_control is the operator's door.
 */
#ifndef SIM_H
#define SIM_H

#include "sim_codec.h"
#include "sim_complain.h"
#include "sim_count.h"
#include "sim_knobs.h"
#include "sim_timer.h"

#define SIM_ACCOUNTS_MAX 64
#define SIM_REPLIES_MAX 16
#define SIM_SLOTS 1024 /* unanswered deliver_sm of a session: deliver_window is below it */
#define SIM_RING 4096  /* power of two; recent submits remembered to see a reused number */
#define SIM_PEND_BUCKETS 1024
#define SIM_PEND_MAX 200000    /* unanswered submits of a session; the oldest become ambiguous */
#define SIM_OUT_PAUSE 4194304u /* unread answers: beyond, the session is not read any more */
#define SIM_STATUS_MAX 64      /* different command_status values counted */
#define SIM_IDS 1048576u       /* message ids query_sm and cancel_sm still know; power of two */

/* Purposes of draws: one stream of chance for each fault. */
enum sim_purpose {
    SIM_P_THROTTLE = 1,
    SIM_P_ERROR,
    SIM_P_ERROR_CODE,
    SIM_P_ERROR_BODY,
    SIM_P_NACK,
    SIM_P_BARE,
    SIM_P_DELAY,
    SIM_P_REORDER,
    SIM_P_SWALLOW,
    SIM_P_DROP_ANSWER,
    SIM_P_GARBAGE,
    SIM_P_GARBAGE_KIND,
    SIM_P_RECEIPT,
    SIM_P_RECEIPT_DELAY,
    SIM_P_RECEIPT_LATE,
    SIM_P_RECEIPT_EARLY,
    SIM_P_RECEIPT_DUP,
    SIM_P_RECEIPT_INTER,
    SIM_P_RECEIPT_AFTER,
    SIM_P_RECEIPT_UNKNOWN,
    SIM_P_RECEIPT_ESM0,
    SIM_P_RECEIPT_STATE,
    SIM_P_RECEIPT_FORM,
    SIM_P_REPLY,
    SIM_P_MO_SHUFFLE,
    SIM_P_RANDOM_BYTES
};

enum sim_bind_state { SIM_OPEN, SIM_BOUND_TX, SIM_BOUND_RX, SIM_BOUND_TRX, SIM_UNBOUND };

struct sim;
struct sim_account;
struct sim_session;

/* A PDU on its way to the client: stays until it is answered well, or given up. */
struct sim_delivery {
    struct sim_delivery *next;
    struct sim_account *account;
    uint32_t epoch;
    uint32_t attempts;
    uint64_t mo; /* the mo command that waits for it, 0 = none */
    bool receipt;
    uint64_t final_id; /* of the message whose final receipt this is, 0 = none */
    uint32_t len;
    uint8_t pdu[]; /* sequence_number is filled in when sent */
};

struct sim_slot {
    struct sim_delivery *delivery;
    uint32_t sequence;
    uint32_t want; /* command_id of the answer */
    bool late;     /* timed out: an answer that still comes is no mistake */
    bool raw;      /* sent by a raw or garbage command: any answer is welcome */
    int64_t sent_ms;
};

struct sim_account {
    char system_id[16];
    char password[64];
    bool any_password;
    uint32_t index;
    uint32_t binds;
    struct sim_delivery *head, *tail;
    uint64_t queued;
    uint32_t turn; /* round robin over receiving sessions */
    int64_t bucket_ms;
    double bucket;
};

/* Everything an answer to a submit needs. Held in a list while it waits. */
struct sim_answer {
    struct sim_answer *older, *newer; /* of the session */
    struct sim_answer *chain;         /* same bucket of sequence numbers */
    struct sim_session *session;      /* NULL: the session is gone, already settled */
    uint32_t sequence;
    uint32_t command; /* of the request */
    uint32_t status;
    uint64_t id;
    bool body;  /* error answers: with an empty message_id */
    bool bare;  /* good answers: without message_id */
    bool nack;  /* as generic_nack */
    bool timed; /* a timer owns it */
    bool fired;
    struct sim_ref ref;
};

/* Answers written into the out buffer, settled when their last octet has left. */
struct sim_written {
    uint64_t end;
    uint32_t sequence;
    enum sim_verdict verdict;
    struct sim_ref ref;
};

struct sim_session {
    int fd;
    uint32_t index;
    uint64_t serial; /* never reused: names the session in counts */
    enum sim_bind_state state;
    struct sim_account *account;
    struct sim_buf in, out;
    uint64_t out_sent; /* octets written to the socket since the start */
    uint32_t events;   /* registered with epoll */
    bool dirty;        /* in the flush list */
    bool closing;      /* close once the out buffer is empty */
    bool broken;       /* close at the end of this turn */
    bool bind_pending;
    bool unbind_sent;
    bool mute; /* takes octets, sends none: the far end of a link that died unnoticed */

    struct sim_written *written; /* ring, grown as needed */
    size_t written_head, written_n, written_cap;
    struct sim_answer *oldest, *newest;
    struct sim_answer *bucket[SIM_PEND_BUCKETS];
    uint32_t pending;
    struct {
        uint32_t sequence;
        uint64_t end;
    } recent[SIM_RING];

    struct sim_slot slot[SIM_SLOTS];
    uint32_t next_sequence;
    uint32_t unacked;
    uint32_t enquire_sequence; /* 0 = none outstanding */
    int64_t enquire_sent_ms, heard_ms, opened_ms;
    bool silence_told;
    uint32_t raw_commands; /* answers to raw bytes still welcome */
    uint32_t last_raw_status;
};

struct sim_stats {
    uint64_t connections, connections_refused, binds, binds_refused, unbinds, closed_without_unbind;
    uint64_t drops, garbage;
    uint64_t submits, accepted, throttled, errors, swallowed, answers_dropped, malformed;
    uint64_t answers_written, answers_lost;
    uint64_t queries, cancels, cancels_good, cancels_late, cancels_repeated;
    uint64_t enquires_received, enquires_sent;
    uint64_t receipts_made, receipts_acked, mo_made, mo_acked;
    uint64_t deliveries_sent, deliveries_again, deliveries_refused, deliveries_given_up;
    uint64_t deliveries_lost, acks_late;
    int64_t first_submit_ms, last_submit_ms;
    struct {
        uint32_t status;
        uint64_t count;
    } status[SIM_STATUS_MAX], ack[SIM_STATUS_MAX];
};

struct sim_message_id {
    uint64_t id;
    int64_t final_ms; /* epoch: from then on the state is final */
    uint8_t state;
    bool cancelled, asked; /* asked: a cancel_sm named it */
};

struct sim_reply {
    char suffix[SIM_ADDR_CAP];
    char text[256];
};

struct sim {
    int epoll_fd, listen_fd;
    char host[64];
    uint16_t port;
    struct sim_knobs knobs;
    struct sim_account account[SIM_ACCOUNTS_MAX];
    uint32_t accounts;
    bool open_accounts; /* none given: whoever comes gets one */
    struct sim_session **session;
    uint32_t sessions, sessions_high;
    uint64_t serial;
    struct sim_session **dirty;
    uint32_t n_dirty, dirty_cap;
    struct sim_timers timers;
    struct sim_count *count;
    struct sim_complaints complaints;
    struct sim_stats stats;
    struct sim_reply reply[SIM_REPLIES_MAX];
    int replies;
    struct sim_message_id *ids;
    uint64_t next_id, unknown_id;
    uint64_t ordinal, delivery_ordinal;
    uint32_t epoch; /* raised by reset: older timers and deliveries fade away */
    uint64_t mo_serial;
    int64_t now_ms, epoch_ms;
    bool stop;     /* leave the loop */
    bool quitting; /* left: timers only free what they hold */
    char dump_path[256];
    FILE *log, *journal;
    struct sim_control *control;
};

/* sim_session.c: connections */
int sim_listen(struct sim *sim);
void sim_unlisten(struct sim *sim);
void sim_accept(struct sim *sim);
void sim_session_event(struct sim *sim, struct sim_session *s, uint32_t events);
void sim_session_dirty(struct sim *sim, struct sim_session *s);
void sim_flush_all(struct sim *sim);
void sim_session_break(struct sim *sim, struct sim_session *s); /* closed at the end of the turn */
void sim_sessions_interest(struct sim *sim);                    /* after pause_reading changed */
void sim_sessions_done(struct sim *sim);
struct sim_session *sim_session_by_serial(struct sim *sim, uint64_t serial);
static inline bool sim_can_receive(const struct sim_session *s)
{
    return s && (s->state == SIM_BOUND_RX || s->state == SIM_BOUND_TRX) && !s->closing &&
           !s->broken && !s->mute;
}
static inline bool sim_is_bound(const struct sim_session *s)
{
    return s->state == SIM_BOUND_TX || s->state == SIM_BOUND_RX || s->state == SIM_BOUND_TRX;
}

/* sim_pdu.c: what arrives; sim_bind.c: who may */
void sim_pdu_received(struct sim *sim, struct sim_session *s, const struct sim_head *head,
                      const uint8_t *body);
void sim_bind(struct sim *sim, struct sim_session *s, const struct sim_head *head,
              const uint8_t *body, size_t len);
int sim_account_add(struct sim *sim, const char *system_id);
void sim_send_simple(struct sim *sim, struct sim_session *s, uint32_t command, uint32_t status,
                     uint32_t sequence);
void sim_send_enquire(struct sim *sim, struct sim_session *s);
void sim_send_unbind(struct sim *sim, struct sim_session *s);
void sim_housekeeping(struct sim *sim); /* enquire_link, unanswered deliveries, idle clients */

/* sim_submit.c and sim_check.c: a submit's fate */
void sim_submit(struct sim *sim, struct sim_session *s, const struct sim_head *head,
                const uint8_t *body, size_t len);
void sim_query(struct sim *sim, struct sim_session *s, const struct sim_head *head,
               const uint8_t *body, size_t len);
void sim_cancel(struct sim *sim, struct sim_session *s, const struct sim_head *head,
                const uint8_t *body, size_t len);
void sim_check_sequence(struct sim *sim, struct sim_session *s, const struct sim_head *head);
void sim_check_submit(struct sim *sim, struct sim_session *s, const struct sim_sm *sm);
void sim_count_status(struct sim *sim, bool ack, uint32_t status);
void sim_log_submit(struct sim *sim, const struct sim_session *s, const struct sim_head *head,
                    const struct sim_sm *sm, uint32_t status, const char *fate);

/* sim_answer.c: answers now, later, or never */
void sim_answer_send(struct sim *sim, struct sim_session *s, struct sim_answer *answer,
                     int64_t delay_ms); /* copies *answer */
void sim_answer_never(struct sim *sim, struct sim_session *s, const struct sim_answer *answer);
void sim_answer_half(struct sim *sim, struct sim_session *s, struct sim_answer *answer);
void sim_answers_written(struct sim *sim, struct sim_session *s);
void sim_answers_closed(struct sim *sim, struct sim_session *s);
void sim_answers_now(struct sim *sim, struct sim_session *s); /* all that wait for a timer */
uint32_t sim_answers_open(const struct sim_session *s);
bool sim_answer_outstanding(const struct sim_session *s, uint32_t sequence);

/* sim_deliver.c: the queue to the client */
struct sim_delivery *sim_delivery_new(struct sim *sim, struct sim_account *account,
                                      const struct sim_buf *pdu);
void sim_deliver(struct sim *sim, struct sim_delivery *d);
void sim_deliver_later(struct sim *sim, struct sim_delivery *d, int64_t delay_ms);
void sim_deliver_pump(struct sim *sim, struct sim_account *account);
void sim_deliver_answered(struct sim *sim, struct sim_session *s, const struct sim_head *head);
void sim_deliver_overdue(struct sim *sim, struct sim_session *s);
void sim_deliver_closed(struct sim *sim, struct sim_session *s);
void sim_deliver_reset(struct sim *sim);
struct sim_slot *sim_slot_take(struct sim *sim, struct sim_session *s, uint32_t want);

/* sim_receipt.c */
struct sim_receipt_plan {
    const struct sim_sm *sm;
    uint64_t id;
    uint64_t ordinal;
    bool early;              /* before the answer */
    int64_t answer_delay_ms; /* otherwise not before that */
};
void sim_receipt_plan(struct sim *sim, struct sim_account *account,
                      const struct sim_receipt_plan *plan);
bool sim_receipt_wanted(const struct sim *sim, const struct sim_sm *sm, uint64_t ordinal);
void sim_id_format(const struct sim *sim, uint64_t id, bool receipt, char out[SIM_ID_CAP]);
struct sim_message_id *sim_id_find(struct sim *sim, const char *text);
void sim_time_text(char *out, size_t cap, int64_t epoch_ms, const char *format); /* UTC */
void sim_id_keep(struct sim *sim, uint64_t id, uint8_t state, int64_t final_ms);

/* sim_journal.c: what outlives a SIGKILL */
int sim_journal_open(struct sim *sim, const char *path); /* takes over what it finds there */
void sim_journal_taken(struct sim *sim, const struct sim_session *s, uint32_t command,
                       const uint8_t *body, size_t len, uint64_t id, uint64_t ordinal);
void sim_journal_receipt(struct sim *sim, uint64_t id);
void sim_journal_flush(struct sim *sim); /* before anything is sent */

/* sim_mo.c */
struct sim_mo_order {
    struct sim_account *account; /* NULL: the first one bound to receive, else the first */
    const char *from, *to, *text;
    int coding; /* enum sim_coding */
    enum sim_concat_kind kind;
    bool payload, reverse, shuffle, twice;
    uint64_t mo; /* reported to sim_control_mo_answered, 0 = not */
    int64_t delay_ms;
};
int sim_mo_send(struct sim *sim, const struct sim_mo_order *order, int *ret_parts, char *why,
                size_t why_cap);
/* SUFFIX=TEXT; 0, -EINVAL or -ENOSPC. */
int sim_reply_add(struct sim *sim, const char *rule);
/* after_ms: until the answer to the submit is sent; a reply never overtakes it. */
void sim_mo_replies(struct sim *sim, struct sim_session *s, const struct sim_sm *sm,
                    uint64_t ordinal, int64_t after_ms);

/* sim_fault.c: by command or by rate */
void sim_drop(struct sim *sim, struct sim_session *s, bool mid_pdu);
void sim_garbage(struct sim *sim, struct sim_session *s, int64_t kind);
void sim_raw(struct sim *sim, struct sim_session *s, const uint8_t *bytes, size_t len);

/* sim_control.c */
int sim_control_open(struct sim *sim, const char *path);
void sim_control_event(struct sim *sim, uint32_t index, uint32_t events);
void sim_control_accept(struct sim *sim);
void sim_control_mo_answered(struct sim *sim, uint64_t mo, uint32_t status, bool final);
/* The mo command with this ticket is answered when so many deliveries are, or after mo_wait_ms. */
void sim_control_mo_expect(struct sim *sim, uint64_t ticket, int deliveries);
void sim_control_done(struct sim *sim);
int sim_dump_file(struct sim *sim, const char *path);
/* Runs one command; its JSON object goes to out. False when the answer comes later (mo). */
bool sim_command(struct sim *sim, char *line, uint64_t ticket, struct sim_buf *out);

/* sim_stats.c */
void sim_stats_json(const struct sim *sim, struct sim_buf *out);
void sim_sessions_json(const struct sim *sim, struct sim_buf *out);
void sim_reset(struct sim *sim);

/* What an epoll event belongs to. */
#define SIM_EV_LISTEN 0u
#define SIM_EV_SESSION 1u
#define SIM_EV_CONTROL 2u
#define SIM_EV_CLIENT 3u
#define SIM_EV_SIGNAL 4u
static inline uint64_t sim_ev(uint32_t kind, uint32_t index)
{
    return (uint64_t)kind << 32 | index;
}

#endif
