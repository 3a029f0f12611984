/* SPDX-License-Identifier: Apache-2.0 */
/* store_task.h - tasks: contacts that a channel keeps for agents who pull them (table task). The
 * outcome writer puts them with their accept and settles them in the log; the API leases them and
 * notes what agents say. A row is the durable box between the two: the API's transaction ends a
 * task, the writer's transaction says so in the log, each exactly once. */
#ifndef STORE_STORE_TASK_H
#define STORE_STORE_TASK_H

#include "store/store.h"

#include "cgw/channel.h"

#define STORE_TASK_PICK_MAX 500 /* tasks looked at in one round of a lease */
#define STORE_TASK_BYTES_MAX                                                                       \
    (8 << 20)                    /* of their documents together, unless the first is larger        \
                                  */
#define STORE_TASK_HISTORY 10    /* last contacts told with a task */
#define STORE_TASK_NOTE_MAX 4096 /* bytes of an agent's note */
#define STORE_TASK_SECONDS_MAX 86400
/* After the end of its window a leased task still waits so long for the word of the agent who was
 * at it. */
#define STORE_TASK_REPORT_MS INT64_C(120000)

enum task_state { TASK_OPEN, TASK_LEASED, TASK_DONE, TASK_EXPIRED, TASK_WITHDRAWN };
#define STORE_TASK_STATES "open|leased|done|expired|withdrawn"
const char *task_state_word(int state);

/* What agents say. Numbers are stored (task.outcome, contact_event.code): never renumber. */
enum task_outcome {
    TASK_REACHED = 1,
    TASK_NO_ANSWER,
    TASK_BUSY,
    TASK_REFUSED,
    TASK_WRONG_NUMBER,
    TASK_OPTED_OUT,
    TASK_OPTED_OUT_ALL,
    TASK_CALLBACK,
    TASK_MACHINE,
    TASK_FAILED,
    TASK_OUTCOMES
};
#define STORE_TASK_OUTCOMES                                                                        \
    "reached|no_answer|busy|refused|wrong_number|opted_out|opted_out_all|callback|machine|failed"
struct task_word {
    const char *word;
    uint32_t result;  /* CGW_RES_* */
    uint32_t sub;     /* CGW_SUB_* */
    bool said;        /* the person said something: a response */
    uint8_t meaning;  /* of that response, as stored */
    uint8_t n_scopes; /* classes that the person wants nothing of any more, from marketing on */
};
const struct task_word *task_word(int outcome); /* NULL: not one */
int task_outcome_of(const char *word);          /* 0: not one */

/* ---- the outcome writer: the caller owns the transaction and holds the parts' locks -----------
 */
struct task_row {
    int32_t part, route_id;
    int64_t contact_id, customer_id, until_ms, created_ms;
    int16_t attempt;
    bool receipt;
    const char *instance, *ref, *document;
    size_t document_len;
};
int store_tasks_write(struct db *db, const struct task_row *rows, int n,
                      struct diag *diag) CGW_NODISCARD;
/* n more accepted tasks of this instance on the present day of its zone. */
int store_task_count_add(struct db *db, const char *instance, const char *zone, int64_t now_ms,
                         int64_t n, struct diag *diag) CGW_NODISCARD;
struct task_counts {
    int64_t day, month, open;
};
int store_task_counts(struct db *db, const char *instance, const char *zone, int64_t now_ms,
                      struct task_counts *ret, struct diag *diag) CGW_NODISCARD;

/* Tasks that ended and whose end is not in the log yet: said, withdrawn, or their time is over. */
struct task_end {
    int32_t part, route_id;
    int64_t contact_id, customer_id, ended_ms;
    int16_t attempt;
    bool receipt;
    int state, outcome, leases;
    int32_t seconds;
    char instance[48], ref[CGW_PROVIDER_ID_MAX], note[STORE_TASK_NOTE_MAX + 1];
};
/* At most max of them, keys only, of any part. */
int store_tasks_ended(struct db *db, int64_t now_ms, struct task_end *ret, int max, int *ret_n,
                      struct diag *diag) CGW_NODISCARD;
/* Of these (sorted by key) take those that nobody has settled meanwhile: ret[] in the same order,
 * with all members. */
int store_tasks_settle(struct db *db, int64_t now_ms, const struct task_end *keys, int n,
                       struct task_end *ret, int *ret_n, struct diag *diag) CGW_NODISCARD;

/* ---- agents: the API ------------------------------------------------------------------------- */
struct task_ask {
    const char *instance; /* NULL: any */
    int32_t channel;      /* CGW_CHANNEL_*, 0 any */
    const char *campaign; /* public id, NULL any */
    const char *agent;    /* who takes them, for people */
    int64_t now_ms;
    int64_t lease_ms; /* INT64_MAX: as long as the task may be worked on */
    int limit;        /* 1..STORE_TASK_PICK_MAX */
};
struct task_given {
    int32_t part;
    int64_t contact_id, task_key, lease_until_ms, until_ms;
    int16_t attempt;
    int leases, wave_no;
    const char *instance, *campaign, *contact_class, *document, *history; /* JSON texts: last two */
};
typedef int (*task_given_fn)(void *ctx, const struct task_given *t); /* negative ends it */
struct task_lease_counts {
    int given, withdrawn;
};
/* Leases open tasks, those that end first before others, each to one caller at a time. Who has
 * opted out or lost consent since is not given out: the task is withdrawn. The caller's
 * transaction.
 */
int store_task_lease(struct db *db, struct store_scope scope, const struct task_ask *ask,
                     task_given_fn fn, void *ctx, struct task_lease_counts *ret,
                     struct diag *diag) CGW_NODISCARD;

struct task_report {
    int64_t task_key, now_ms;
    int outcome; /* enum task_outcome */
    int32_t seconds;
    const char *note;
};
/* What came of a task. ret_new false: the same was said before. CGW_ENOTFOUND; CGW_ESTATE: another
 * outcome stands, the task has ended, or was never given out. *io_parts: for store_facts_touch(),
 * the last statement of the transaction. */
int store_task_report(struct db *db, struct store_scope scope, const struct task_report *r,
                      uint64_t *io_parts, bool *ret_new, struct diag *diag) CGW_NODISCARD;
/* Gives a lease back. CGW_ESTATE: the task has ended. */
int store_task_release(struct db *db, struct store_scope scope, int64_t task_key,
                       struct diag *diag) CGW_NODISCARD;
/* One task; with its document and history when `whole`. */
int store_task_json(struct db *db, struct store_scope scope, int64_t task_key, bool whole,
                    struct buf *ret, struct diag *diag) CGW_NODISCARD;
struct task_filter {
    const char *instance, *campaign, *state; /* NULL: any */
    int32_t channel;                         /* 0: any */
};
int store_task_list(struct db *db, struct store_scope scope, const struct task_filter *f,
                    const char *cursor, int limit, struct buf *ret, bool *ret_more,
                    char *ret_cursor, size_t cursor_size, struct diag *diag) CGW_NODISCARD;

#endif
