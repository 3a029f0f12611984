/* SPDX-License-Identifier: Apache-2.0 */
/* outcome_int.h - private to core/outcome: items, the flush and its row lists. */
#ifndef OUTCOME_OUTCOME_INT_H
#define OUTCOME_OUTCOME_INT_H

#include "base/buf.h"
#include "base/ring.h"
#include "content/optout.h"
#include "outcome/outcome.h"
#include "outcome/refmap.h"
#include "store/store_outcome.h"
#include "store/store_task.h"
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>

#define SEGS_MAX 255
#define RESEND_AFTER_MS                                                                            \
    60000 /* of a class that resends what is in doubt: so long its receipt may settle it first */

#define INBOUND_MEDIA_MAX 16u /* media of one message from a person; what is more is left out */
#define INBOUND_MEDIA_WAITING (64u << 20) /* bytes of media waiting for the writer */

struct inbound_media; /* inbound_media.c */

/* Early receipts that one look by id, and the sweep, add to a flush at most; ids to look for after
 * a commit (the sweep comes to the others). */
#define OUTCOME_EARLY_ROWS 1000
#define OUTCOME_SWEEP_ROWS 200
#define OUTCOME_AGAIN_MAX 8192

enum item_kind { ITEM_RESULT, ITEM_RECEIPT, ITEM_INBOUND, ITEM_CHUNK, ITEM_TASK };

/* One thing that came back, copied out of the plugin's hands; one malloc'd block with its strings
 * behind it. */
struct item {
    enum item_kind kind;
    char instance[48];
    struct outcome_contact contact; /* RESULT */
    uint32_t result, flags, sub, channel, in_kind;
    int64_t retry_after_ms, arrived_ms;
    int32_t code, reference, quantity;
    uint32_t n_ids, segments;
    uint64_t ack;
    int64_t person_key; /* of an early receipt; 0 = from person */
    int64_t refh;       /* RESULT accepted with one id: its hash */
    int64_t early_id;   /* row of receipt_early that is looked at again */
    const char *code_space, *raw, *ref, *person, *own, *body, *peer_id;
    const char *also[CGW_ALSO_MAX]; /* RECEIPT: what ref may also be; "" = nothing */
    const char *answers;            /* INBOUND: provider id of our message, "" = not said */
    const char **ids, **peer_ids;   /* as many; peer_ids "" = spelled like ids */
    uint32_t body_len;
    struct inbound_media *media; /* INBOUND; owned, NULL = none */
    const char *document;        /* RESULT: kept with the accept; NULL = none */
    uint32_t document_len;
    int stat_at, stat_n; /* RESULT: its statistics in the flush */
    /* CHUNK; TASK: its key is part and contact */
    int32_t part, wave_id, chunk_no;
    void *run;
    bool (*finished)(void *run);
    void (*done)(void *run);
    _Alignas(8) char bytes[];
};

/* figures.c */
enum figure {
    FIGURE_DELIVERED,
    FIGURE_FAILED,
    FIGURE_EXPIRED,
    FIGURE_UNKNOWN,
    FIGURE_ACCEPTED, /* and no receipt will come */
    FIGURE_RECALLED,
    FIGURE_OPTOUT
};
struct figure_row {
    int32_t route_id;
    enum figure what;
    int64_t delay_ms; /* of the receipt, -1 none; OPTOUT: when it came */
};

/* Something that ends a channel, or a class, for a person. */
struct bounce {
    uint32_t sub;        /* CGW_SUB_*: those of flush_bounces() */
    int32_t part;        /* of the contact, or of the person */
    int64_t customer_id; /* 0 = whoever the contact reached */
    int64_t contact_id;  /* < 0: no message of ours is named */
    int16_t channel;     /* with customer_id */
    int64_t at_ms;
};

/* Rows of one flush, in the flush's arena; bounded by its items. */
struct flush {
    struct outcome_writer *w;
    struct db *db;
    struct diag *diag;
    struct arena arena;
    struct item **items;
    int n;
    int64_t now_ms;
    uint64_t parts; /* bit mask of parts written to */
    uint64_t facts; /* parts in which somebody was forbidden */
    struct part_lock lock[STORE_PARTS];
    struct seal seal[STORE_PARTS];
    int64_t seal_no[STORE_PARTS];
    struct submit_row *submits;
    struct part_event *events;
    struct stat_delta *stats;
    struct doubt_row *doubts;
    struct {
        int32_t part, wave_id;
        struct echo_row e;
    } * echo_put;
    struct {
        int32_t part, wave_id;
        int64_t seq;
    } * echo_del;
    struct {
        int32_t part;
        int64_t contact_id;
    } * release, *doubt_del, *unsend; /* unsend: settled before it was sent once more */
    int64_t *early_del;
    const struct early_receipt **early_put;
    struct task_row *tasks;   /* documents of accepts */
    struct task_end *endings; /* tasks that end with this flush */
    struct resolved *resolved;
    struct figure_row *figures;
    int n_figures;
    struct bounce *bounces;
    int n_bounces;
    int n_submits, n_events, n_stats, n_doubts, n_echo_put, n_echo_del, n_release, n_doubt_del,
        n_early_del, n_early_put, n_resolved, n_unsend, n_tasks, n_endings;
    int n_stored;        /* receipts that were news */
    int max;             /* capacity of the lists */
    int32_t resend_wave; /* the last one asked about */
    bool resends;        /* its class is sent once more when in doubt */
    int rc;              /* of that question */
    bool wake;
};

/* A receipt whose message is known. */
struct resolved {
    struct ref_match m;
    int16_t result;
    uint32_t flags;
    int32_t code, quantity;
    int16_t sub;
    int64_t arrived_ms;
    const char *code_space, *raw;
    bool settles;       /* it settles one in doubt */
    int16_t later_segs; /* with settles: segments of a later attempt that was accepted */
    bool remembered;    /* from the refmap: no event of it as long as the part's era is this one */
    uint32_t era;
};

struct outcome_writer {
    struct outcome_config cfg;
    struct refmap refs;
    /* flush_no of part_head as our last flush left it. Another number under the lock: somebody else
     * wrote events of that part, and what refs knows of it (era) is worth no more. */
    int64_t flush_no[STORE_PARTS];
    uint32_t era[STORE_PARTS];
    struct ring ring; /* struct item * */
    pthread_t thread;
    atomic_bool stop;
    _Atomic uint32_t waiting;     /* receipts and inbound in the ring: bounded by OUTCOME_RING */
    _Atomic size_t media_waiting; /* bytes: bounded by INBOUND_MEDIA_WAITING */
    struct db *db;
    struct optout_sets words;
    char owner[64];
    struct item *batch[OUTCOME_FLUSH_ITEMS + OUTCOME_EARLY_ROWS + OUTCOME_SWEEP_ROWS];
    struct item *chunks[1024]; /* sent chunks waiting for their last result */
    int n_chunks;
    int64_t early_known;              /* rows in receipt_early, roughly: 0 = no need to look */
    int64_t again[OUTCOME_AGAIN_MAX]; /* refh of accepts and early receipts of the last flushes */
    int n_again;
    struct early_receipt early[OUTCOME_EARLY_ROWS]; /* what a look found */
    int64_t doubts_known;
    int64_t swept_id, swept_mono_ms; /* receipt_early: where the sweep stands */
    int64_t tasks_mono_ms, tallied_mono_ms;
    atomic_bool poked;                     /* tasks ended */
    bool counted;                          /* accepts with documents since the last tally */
    uint64_t included[OUTCOME_PULLED_MAX]; /* accepts with documents that left our hands */
};

/* results.c: rows that follow from results; and, under the locks, what else follows when another
 * holder flagged the contact meanwhile. */
int flush_results(struct flush *f);
int flush_overtaken(struct flush *f);
/* writer.c */
struct item *receipt_item(const char *instance, const struct cgw_receipt *r);
int outcome_connected(struct outcome_writer *w, struct diag *diag);
/* early.c: a receipt is kept with the flush; after the commit both sides are noted, to look again;
 * early_bring() adds what that look, and now and then the sweep, finds. */
int early_keep(struct flush *f, const struct item *it, int64_t refh, int64_t key, bool other);
void early_committed(struct flush *f);
int early_bring(struct outcome_writer *w, struct item **batch, int n);
/* receipts.c: find the messages (before the locks), then rows that follow. */
int flush_resolve(struct flush *f);
int flush_receipts(struct flush *f);
/* inbound.c: who, and rows. */
int flush_inbound_parts(struct flush *f);
int flush_inbound(struct flush *f);
/* inbound_media.c: media of a message are copied (any thread; CGW_EBUSY: no room now), tell two
 * messages apart, and become rows beside the response. */
int inbound_media_take(struct outcome_writer *w, const struct cgw_inbound *in,
                       struct inbound_media **ret) CGW_NODISCARD;
void inbound_media_free(struct outcome_writer *w, struct inbound_media *m); /* NULL-safe */
void inbound_media_hash(const struct inbound_media *m, crypto_generichash_state *st);
int inbound_media_store(struct flush *f, const struct inbound_media *m, int32_t part,
                        int64_t response_id) CGW_NODISCARD;
/* figures.c: what will be counted when the flush is durable; and the counting. */
void figures_register(void);
void figure_add(struct flush *f, int32_t route_id, enum figure what, int64_t delay_ms);
void figures_tell(const struct flush *f);
void figures_finished(const struct outcome_config *cfg, int32_t route_id, enum figure what,
                      uint32_t n);
/* suppress.c: note what bounced (others are ignored); then who is not contacted any more. */
bool flush_bounces(uint32_t sub);
void flush_bounce(struct flush *f, const struct bounce *b);
int flush_suppress(struct flush *f);
/* tasks.c: documents of accepts, and tasks that ended. */
void flush_document(struct flush *f, const struct item *it);
void flush_document_drop(struct flush *f, const struct item *it);
int flush_documents_write(struct flush *f);
void flush_task_parts(struct flush *f);
int flush_tasks(struct flush *f);
int tasks_sweep(struct outcome_writer *w, struct item **batch, int n, int max);
void tasks_included(struct outcome_writer *w, const struct item *it);
void tasks_tally(struct outcome_writer *w);
/* A final word of the channel, as a receipt of the whole message. */
struct resolved *flush_resolved(struct flush *f, const struct ref_match *m, const struct item *it);
/* lists */
/* Also counts its sub-outcome, if it has one. */
void flush_event(struct flush *f, int32_t part, const struct event_row *e);
void flush_events_sort(struct flush *f); /* by part, contact, attempt, segment, kind */
/* Where the contact's events stand among the first n, sorted; how many. */
int flush_events_of(const struct flush *f, int n, int32_t part, int64_t contact_id, int *ret_n);
void flush_stat(struct flush *f, int64_t contact_id, int16_t kind, int32_t code, int64_t n);

#endif
