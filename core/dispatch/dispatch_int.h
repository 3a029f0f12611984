/* SPDX-License-Identifier: Apache-2.0 */
/* dispatch_int.h - private to core/dispatch: workers, batches, routing, the control snapshot. */
#ifndef DISPATCH_DISPATCH_INT_H
#define DISPATCH_DISPATCH_INT_H

#include "content/render.h"
#include "dispatch/dispatch.h"
#include "media/media.h"
#include "dispatch/inflight.h"
#include "queue/queue.h"
#include <pthread.h>
#include <stdatomic.h>

#define WORKERS_MAX 16u
#define BATCH_ARENA_MAX (256u << 20) /* texts of one decided chunk */
#define STALLED_MS                                                                                 \
    2000             /* nothing of a batch could go for that long: give the thread to other work */
#define REST_MS 1000 /* how long a wave that failed or stalled waits for its next turn */
#define ECHO_REST_MS                                                                               \
    30000 /* rows whose route stalls are decided again that much later: every decision is a log    \
             row */
#define CONTROL_AGE_MS                                                                             \
    200 /* a paused campaign is noticed by its intents at once, by the choice of work within this  \
         */
#define CONTROL_AGE_MAX_MS                                                                         \
    1000 /* with a load under way, how old a snapshot others may work with                         \
          */

/* A chunk whose windows go out; lives until its last result is flushed. */
struct chunk_run {
    struct dispatch *d;
    int32_t part, wave_id, chunk_no; /* chunk_no -1: echo rows */
    atomic_int outstanding;
    atomic_bool sent_all;
};

/* Segments per second of a route on this node; shared by the workers. */
struct route_bucket {
    int32_t route_id;
    double tokens;
    int64_t at_us;
};

struct dispatch {
    struct dispatch_config cfg;
    pthread_mutex_t rate_lock;
    struct route_bucket buckets[CONTROL_ROUTES_MAX];
    unsigned n_buckets;
    struct outcome_writer *writer; /* borrowed */
    struct outcome_config outcome; /* for recovery */
    struct queue *queue;
    struct inflight *inflight;
    pthread_mutex_t lock;      /* control, wake */
    pthread_cond_t more, room; /* work, for who has none; room or work, for who has messages */
    uint64_t work, wakes; /* count wake-ups, so that none is missed between a look and a wait */
    bool stop;
    struct control *control; /* counted */
    int64_t control_mono_ms; /* when its load began */
    uint64_t changes;        /* somebody said that waves or routes changed; control_changes: what
                                the snapshot knows of it */
    uint64_t control_changes, control_load, loads; /* numbers of loads: an older one never replaces
                                                      a newer one */
    bool control_loading; /* somebody loads, and knows of loading_changes */
    uint64_t loading_changes;
    atomic_int part_inflight[STORE_PARTS];
    _Atomic int64_t last_submit_utc_ms;
    struct worker *workers[WORKERS_MAX];
    unsigned n_workers;
};

/* What one dispatcher thread has in work: one decided chunk or one set of echo rows of one part and
 * wave. */
struct batch {
    const struct wave_info *wave; /* in control */
    struct control *control;      /* counted */
    struct rules_ref *rules;      /* counted */
    struct chunk_ref chunk;       /* echo: only part and wave_id, chunk_no -1 */
    bool echo;
    struct chunk_run *run;    /* shared with the writer */
    struct contact_row *rows; /* owned by the worker */
    int n, at;                /* rows, next to send */
    int64_t facts_ver;
    int64_t epoch;             /* under which it was decided, 0 = not yet */
    int64_t reserved_until_ms; /* the caps' period of its reservations ends here: later contacts
                                  count elsewhere */
    int64_t quota_left;        /* of its partner today, when it was judged; INT64_MAX = no quota */
    int64_t quota_next_ms;     /* the partner's next day */
    struct arena arena;
    struct cgw_run *render;
};

struct worker {
    struct dispatch *d;
    pthread_t thread;
    unsigned no;
    int lane;
    char owner[64]; /* statistics rows */
    struct db *db;
    struct contact_row *rows; /* STORE_CHUNK_ROWS, owned */
    struct batch batch;
    struct facts_habit habit;
    uint64_t seen_work, seen_wakes;
};

static inline int64_t contact_id(const struct batch *b, const struct contact_row *r)
{
    return (int64_t)b->chunk.wave_id << 32 | r->seq;
}

/* "Not found" means "nothing to send" to who asks for a batch; of something that ought to exist it
 * is an error. */
static inline int loud(int rc)
{
    return rc == CGW_ENOTFOUND ? CGW_EINVAL : rc;
}

/* control.c */
struct control *control_ref(struct worker *w,
                            struct diag *diag); /* fresh enough snapshot, counted; NULL with diag */
void control_unref(struct dispatch *d, struct control *c);

/* routing.c: the route of a contact, by priority, then weight. up: only what can take it now. Else
 * also one that is paused or down, but never rather than one that is not: who has a route can wait
 * for it. NULL when none fits. */
const struct route_info *routing_choose(const struct control *c, const struct registry *reg,
                                        const struct wave_info *w, const struct contact_row *row,
                                        bool up);
/* false: there are routes for this wave and none of them can take anything now. */
bool routing_can_go(const struct control *c, const struct registry *reg, const struct wave_info *w);
void routing_sender(const struct route_info *r, struct cgw_address *ret);

/* rate.c: how many of the wanted segments may go now (takes them); rate 0 = all. Unused ones go
 * back. */
uint32_t rate_take(struct dispatch *d, const struct route_info *r, uint32_t segments);
void rate_owe(struct dispatch *d, const struct route_info *r,
              uint32_t segments); /* a message longer than the bucket */
void rate_back(struct dispatch *d, const struct route_info *r, uint32_t segments);

/* The bucket of a partner: whatever its routes, its campaigns together keep its rate. */
struct route_info rate_of_partner(const struct wave_info *w);

/* judge.c: rows of w->batch from `at` on get facts, a verdict, texts of the allowed ones, a route.
 * Content that cannot be made or carried is a hold with its reason. */
int judge_facts(struct worker *w, int64_t now_ms, struct diag *diag) CGW_NODISCARD;
/* Each row's address becomes the one for the wave's channel, "" when it has none: held by
 * judge_policy(). After rows are read. */
void judge_addresses(struct batch *b);
void judge_policy(struct batch *b, struct contact_row *r, int64_t now_ms);
int judge_content(struct worker *w, struct diag *diag) CGW_NODISCARD;
void judge_routes(struct worker *w); /* also: does the content fit it? */
/* What a channel is asked about and gets; the submit adds token and times. */
void judge_message(const struct batch *b, const struct contact_row *r, const struct route_info *t,
                   struct cgw_message *m);
uint32_t judge_caps(const struct batch *b); /* slots of the caps that count its contacts */

/* decide.c: fill w->batch. 0 = batch ready to send; CGW_ENOTFOUND = nothing to send of it (all
 * held, waiting or done). */
int decide_chunk(struct worker *w, const struct chunk_ref *c, struct diag *diag) CGW_NODISCARD;
int decide_echo(struct worker *w, const struct echo_due *e, struct diag *diag) CGW_NODISCARD;
int decide_resume(struct worker *w, const struct chunk_ref *c, struct diag *diag) CGW_NODISCARD;
/* Decided echo rows of the batch that will not be sent now wait again. */
int decide_echo_back(struct worker *w, int delay_ms, struct diag *diag) CGW_NODISCARD;
/* Opens a transaction with the part of the batch locked. CGW_ENOTFOUND: sending is switched off;
 * CGW_EBUSY: the rules are others than those of the batch. */
int decide_lock(struct worker *w, struct part_lock *lock, int64_t *ret_now,
                struct diag *diag) CGW_NODISCARD;
void batch_done(struct worker *w);

/* again.c: look again at the rows not yet intended: new do-not-disturb entries, closing hours,
 * changed rules, cancelled campaign. */
int decide_again(struct worker *w, struct diag *diag) CGW_NODISCARD;

/* send.c: windows of w->batch until it is empty, halted or paused. */
int send_batch(struct worker *w, struct diag *diag) CGW_NODISCARD;
void run_free(struct chunk_run *r);

bool dispatch_wait(struct worker *w, int ms); /* for room, with messages in hand; true = stop */
void dispatch_work_here(struct dispatch *d);  /* wakes everybody; d->lock is held */
bool dispatch_stopping(struct dispatch *d);

#endif
