/* SPDX-License-Identifier: Apache-2.0 */
/* host_int.h - the inside of an instance, shared by instance*.c and host_table.c only.
 * Two worlds: members "loop only" are touched by the loop thread without a lock; members "locked"
 * by anybody under `lock`. The lock is never held while a plugin or a sink is called. */
#ifndef PLUGIN_HOST_INT_H
#define PLUGIN_HOST_INT_H

#include "base/metrics.h"
#include "plugin/host.h"
#include "plugin/loop.h"
#include "plugin/tokens.h"
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define INST_MAGIC 0x696e7374u
#define DRAIN_GRACE_MS 500

/* Sizes of the first release of this MAJOR. */
#define RESULT_SIZE_FIRST 96u
#define RECEIPT_SIZE_FIRST 88u
#define INBOUND_SIZE_FIRST 96u

/* What the plugin holds as `struct cgw_inst *`. */
struct cgw_inst {
    uint32_t magic;
    struct plugin_instance *self;
};

struct cgw_timer {
    struct cgw_timer *next, **prev;
    struct plugin_instance *inst;
    struct loop_timer *timer; /* owned */
};

/* One waiting message; parts and texts stand behind it in the same block. */
struct msg_node {
    struct msg_node *next;
    size_t bytes;
    struct cgw_message msg;
};
struct msg_queue {
    struct msg_node *head, **end;
};

struct post {
    cgw_timer_cb cb;
    void *arg;
};

struct http_node {
    struct http_node *next;
    uint32_t route;
    bool handed;                 /* the plugin has it */
    struct cgw_http_request req; /* everything it points to stands behind */
};

struct u64_list {
    uint64_t *v;
    uint32_t n, cap;
};

struct ask_list {
    struct cgw_ask *v; /* owned; each owns its peer_id, `from` lies behind it */
    uint32_t n;
};

struct shared_loop;

struct plugin_instance {
    struct cgw_inst pub;
    const struct plugin *plugin; /* borrowed, lives as long as the process */
    char name[64];
    struct cgw_conf *conf; /* owned */
    struct instance_sink sink;
    void *ch; /* the plugin's object; loop only but for check() */
    struct loop *loop;
    struct shared_loop *shared; /* NULL: the loop is owned */
    void *_Atomic user;

    _Atomic int state; /* enum instance_state */
    bool started;      /* loop only */
    bool draining;     /* loop only: drain() was called */
    bool forced;       /* locked: the plugin missed its deadline */
    bool supervised;   /* in a process of its own: the gateway's half keeps the deadline */
    _Atomic int64_t drain_deadline_ms;
    struct loop_timer *drain_timer; /* owned, loop only */

    _Atomic uint32_t told[CGW_LANES], waiting[CGW_LANES], reserved[CGW_LANES];
    _Atomic uint32_t taken;

    pthread_mutex_t lock;
    pthread_cond_t drained;
    struct tokens tokens;                 /* locked */
    struct msg_queue incoming[CGW_LANES]; /* locked */
    size_t bytes;                         /* locked */
    struct u64_list acks, cancels;        /* locked */
    struct ask_list queries;              /* locked */
    struct ask_list recalls;              /* locked */
    int64_t recall_ms;                    /* loop only: offer them again then */
    struct cgw_tally tally;               /* locked; size 0 = nothing to tell */
    struct post *posts;                   /* locked; ring of INSTANCE_POSTS */
    uint32_t posts_head, n_posts;
    struct http_node *http; /* locked: all unanswered, oldest first */
    uint32_t n_http;
    char last_error[CGW_DIAG_MAX]; /* locked */
    int64_t last_error_utc_ms;

    struct msg_queue queue[CGW_LANES]; /* loop only: waiting for submit() */
    int64_t next_expiry_ms;            /* loop only: nothing in queue[] expires earlier */
    int64_t reoffer_ms;                /* loop only: offer again then, 0 = at once */
    _Atomic bool offer;                /* something changed: offer again at once */
    bool told_in_submit[CGW_LANES];    /* loop only */
    struct cgw_timer *timers;          /* loop only */
    uint32_t n_timers;

    const char *_Atomic op_name; /* what runs now, NULL = nothing */
    _Atomic int64_t op_since_us;
    int64_t slow_logged_ms; /* loop only */
    _Atomic int64_t slowest_op_us;
    _Atomic uint32_t acks_outstanding;
    _Atomic uint64_t submitted, completed, not_sent_by_host, unknown_by_host, double_completions,
        unknown_tokens, late_completions, bad_results;
    _Atomic uint64_t receipts, inbound, slow_ops, documents; /* documents: accepts with one */
    _Atomic uint64_t counters[PLUGIN_COUNTERS_MAX];
    struct metric *counter_metrics[PLUGIN_COUNTERS_MAX];
};

/* What a plugin does wrong, as metrics and as figures of its instance: also counted where an
 * isolated plugin runs, and told from there. */
enum fault {
    FAULT_SLOW,
    FAULT_DOUBLE,
    FAULT_UNKNOWN,
    FAULT_LATE,
    FAULT_BAD,
    FAULT_NOT_SETTLED, /* the host said UNKNOWN for it */
    FAULT_NOT_TAKEN,   /* the host said NOT_SENT for it */
    FAULTS_N
};
uint64_t inst_fault(const struct plugin_instance *in, enum fault f);
void inst_add_fault(struct plugin_instance *in, enum fault f, uint64_t n);

/* Where waiting messages live, so that a checker can put them on pages that become unreadable once
 * the plugin must not touch them. The default release overwrites before it frees: a plugin that
 * keeps a pointer must not get away with it, and bodies do not linger. */
struct host_message_memory {
    void *(*alloc)(size_t n);
    void (*release)(void *p, size_t n);
};
extern struct host_message_memory host_message_memory;
extern const struct cgw_host host_table; /* host_table.c */

/* instance.c */
struct plugin_instance *inst_of(const struct cgw_inst *inst); /* checks the magic */
void inst_enter(void *inst, const char *op);
void inst_leave(void *inst);
void inst_wake(struct plugin_instance *in);
void inst_set_drained(struct plugin_instance *in);
static inline enum instance_state inst_state(const struct plugin_instance *in)
{
    return (enum instance_state)atomic_load(&in->state);
}
/* Bytes of a copy with its NUL, and the copy itself at *at, which moves behind it. NULL stays NULL.
 */
static inline size_t text_room(const char *s)
{
    return s ? strlen(s) + 1 : 0;
}
static inline const char *put_text(char **at, const char *s)
{
    size_t n = text_room(s);
    char *to = *at;
    if (!n)
        return NULL;
    memcpy(to, s, n);
    *at += n;
    return to;
}
void inst_count(struct plugin_instance *in, _Atomic uint64_t *counter, const char *metric);

/* instance_health.c */
void health_now(struct plugin_instance *in, struct cgw_health *ret); /* loop only */

/* instance_submit.c */
void queue_init(struct msg_queue *q);
int submit_turn(struct plugin_instance *in); /* loop only; ms until the next turn, -1 when woken */
void submit_give_back(
    struct plugin_instance *in); /* loop only: all waiting are completed NOT_SENT */
void submit_recall(struct plugin_instance *in,
                   const struct u64_list *sorted); /* loop only: NOT_SENT for the waiting ones */
void submit_credit(struct plugin_instance *in, uint32_t lane, uint32_t n);

/* instance_settle.c */
void settle_results(struct plugin_instance *in, const struct cgw_result *results, uint32_t n);
void settle_by_host(struct plugin_instance *in, uint64_t token, uint32_t result, uint32_t flags,
                    const char *why);
/* Everything the plugin still holds. */
/* What a plugin never answered: UNKNOWN, but NOT_SENT where nothing leaves by submit()
 * (caps.pulled).
 */
void settle_rest(struct plugin_instance *in, const char *why);
uint32_t settle_receipts(struct plugin_instance *in, const struct cgw_receipt *items, uint32_t n);
uint32_t settle_inbound(struct plugin_instance *in, const struct cgw_inbound *items, uint32_t n);

/* instance_mail.c */
/* Loop only: posts, acks, cancels, queries, recalls, requests. \return true = more waits. */
bool mail_turn(struct plugin_instance *in);
/* instance_asks.c, loop only */
void asks_turn(struct plugin_instance *in);
void asks_done(struct plugin_instance *in); /* frees what nobody was asked */
/* Milliseconds until what recall() did not take is offered again, -1 = nothing waits. */
int asks_wait(struct plugin_instance *in);
int mail_post(struct plugin_instance *in, cgw_timer_cb cb, void *arg);
void mail_reply(struct plugin_instance *in, uint64_t request_id, uint32_t status,
                const char *content_type, const char *body, uint32_t len);
void mail_done(struct plugin_instance *in); /* answers 503 to what is left, frees all */

#endif
