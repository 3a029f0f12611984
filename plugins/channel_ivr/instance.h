/* SPDX-License-Identifier: Apache-2.0 */
/* instance.h - one configured instance and its calls. Two threads: the gateway's loop calls the
 * operations (instance.c), the libre thread owns everything else (dial.c, call.c, call_flow.c,
 * inbox.c, contacts.c). What both touch is atomic or under `lock`, and marked. */
#ifndef IVR_INSTANCE_H
#define IVR_INSTANCE_H

#include "clip.h"
#include "flow.h"
#include "loop.h"
#include "options.h"
#include "sip.h"

#include <pthread.h>
#include <stdatomic.h>

#define IVR_STEPS_MAX 256u   /* nodes entered in one call: a flow that runs in circles ends */
#define IVR_PRESSED_MAX 64u  /* keys kept of one call for its record */
#define IVR_AHEAD_MAX 16u    /* keys pressed before they were asked for */
#define IVR_INBOX_MAX 8192u  /* answers that the gateway did not take yet */
#define IVR_BYE_GRACE_MS 600 /* behind the last hang-up: one repetition of a lost BYE */

enum ivr_counter {
    IVR_C_DIALLED,
    IVR_C_ANSWERED,
    IVR_C_BUSY,
    IVR_C_NO_ANSWER,
    IVR_C_REJECTED,
    IVR_C_BAD_NUMBER,
    IVR_C_TRUNK_FAILED,
    IVR_C_FAILED_OVER,
    IVR_C_TALK_SECONDS,
    IVR_C_KEYS,
    IVR_C_OPTOUTS,
    IVR_C_TRANSFERS,
    IVR_C_PROMPTS_MADE_FAILED,
    IVR_C_INBOX_FULL,
    IVR_C_PINGS_LOST,
    IVR_C_COUNT
};

enum ivr_call_state {
    IVR_PREPARING, /* prompts are being made */
    IVR_READY,     /* waits for a trunk */
    IVR_DIALLING,  /* INVITE written, no answer at all */
    IVR_RINGING,   /* the trunk works on it */
    IVR_TALKING
};

enum ivr_keys_from { IVR_FROM_NOWHERE, IVR_FROM_RTP, IVR_FROM_INFO };

struct ivr_chan;

struct ivr_list { /* of calls, by `next` and `link` */
    struct ivr_call *first, **last;
};

struct ivr_call {
    struct ivr_task task; /* first: how it enters the loop */
    struct ivr_chan *ch;
    struct ivr_call *next, **link;
    /* the message */
    uint64_t token;
    uint32_t lane;
    char to[256], from[128];
    uint32_t to_kind, from_kind;
    int64_t submit_before_ms, end_ms; /* host clock; end_ms: end of the legal window */
    struct ivr_flow *flow;            /* owned; NULL when it could not be read */
    char why[160];
    struct cgw_part *parts; /* owned copies of the MEDIA parts, in the order the flow counts them */
    uint32_t n_parts;
    /* prompts */
    struct ivr_clip *clips[IVR_ALL_SAYS_MAX];
    struct ivr_clip_wait waits[IVR_ALL_SAYS_MAX];
    uint32_t clips_missing;
    /* the call */
    enum ivr_call_state state;
    struct ivr_timer *phase, *wait;
    int trunk;
    uint32_t tried; /* bits of trunks that failed */
    int last_status;
    int64_t retry_after_ms;
    struct ivr_media *media;
    struct ivr_leg *leg;
    char call_id[IVR_CALL_ID_MAX];
    int64_t dialled_ms, rang_ms, answered_ms;
    /* the flow */
    int node;
    uint32_t steps, tries;
    struct ivr_prompt prompt;
    uint32_t piece;
    bool playing, listening, transferring, complaining;
    enum ivr_keys_from keys_from;
    char digits[IVR_DIGITS_MAX + 1], pressed[IVR_PRESSED_MAX + 1], ahead[IVR_AHEAD_MAX];
    uint32_t n_digits, n_pressed, n_ahead, n_answers;
    const char *ending; /* set: say the last words, then hang up */
    const char *over;   /* set: hang up now */
};

struct ivr_answer; /* inbox.c: what a person pressed, until the gateway took it */

struct ivr_trunk_link { /* one trunk's ping and registration */
    struct ivr_chan *ch;
    uint32_t index;
    struct ivr_account account;
    struct ivr_contact *contact;
    struct ivr_timer *timer;
};

struct ivr_chan {
    const struct cgw_host *host;
    struct cgw_inst *inst;
    struct ivr_options opt;
    bool started;
    /* both threads */
    atomic_uint in_hand, waiting[CGW_LANES]; /* messages taken; of them not yet dialled */
    atomic_uint speaking, coming;            /* prompts to be made; calls that have not asked yet */
    atomic_uint cps_up;                      /* of the trunks that are up; 0: none is */
    atomic_bool credit_posted, draining;
    pthread_mutex_t lock;
    struct cgw_health health; /* under lock */
    /* libre thread */
    struct ivr_clips *clips;
    struct ivr_sip *sip;
    int sip_error;
    struct ivr_list preparing, ready[CGW_LANES], active;
    uint32_t n_active;
    struct ivr_timer *dial_timer, *inbox_timer, *drain_timer, *rest_timer;
    struct ivr_trunk_link links[IVR_TRUNKS_MAX];
    struct ivr_answer *answers, **last_answer;
    uint32_t n_answers;
    uint64_t next_ack;
    int64_t deadline_ms, cut_ms, hung_up_ms;
    bool drain_told, ending;
};

/* ---- lists ---- */
void ivr_list_init(struct ivr_list *l);
void ivr_list_add(struct ivr_list *l, struct ivr_call *c);
void ivr_list_add_first(struct ivr_list *l, struct ivr_call *c);
void ivr_list_remove(struct ivr_list *l, struct ivr_call *c);

/* ---- call.c: life of one call ---- */
struct ivr_call *ivr_call_new(struct ivr_chan *ch, const struct cgw_message *m); /* any thread */
void ivr_call_begin(struct ivr_call *c);    /* prompts, then the queue */
void ivr_call_not_sent(struct ivr_call *c); /* settle what was never written */
void ivr_call_settle(struct ivr_call *c, const struct cgw_result *r); /* and free */
void ivr_call_hang_up(struct ivr_call *c, const char *end); /* answered: BYE and DELIVERED */
void ivr_call_give_up(struct ivr_call *c, uint32_t result, const char *why); /* not answered */

/* ---- dial.c: queue, trunks, INVITE until the answer ---- */
void ivr_dial_ready(struct ivr_call *c);
void ivr_dial_kick(struct ivr_chan *ch); /* a call ended, a trunk came up */
void ivr_dial_run(void *ch);             /* dial what may be dialled now; a timer's callback */
void ivr_trunk_release(struct ivr_call *c);

/* ---- call_flow.c: what is said and asked ---- */
void ivr_flow_begin(struct ivr_call *c);
void ivr_flow_digit(struct ivr_call *c, char key);
void ivr_flow_played(struct ivr_call *c);
void ivr_flow_timeout(struct ivr_call *c);
void ivr_flow_transferred(struct ivr_call *c, int status);

/* ---- inbox.c: answers of people ---- */
void ivr_inbox_put(struct ivr_call *c, uint32_t kind, uint32_t sub, const char *text,
                   const char *name);
void ivr_inbox_push(struct ivr_chan *ch);
void ivr_inbox_free(struct ivr_chan *ch);

/* ---- contacts.c: pings, registrations, health ---- */
void ivr_contacts_start(struct ivr_chan *ch);
void ivr_contacts_stop(struct ivr_chan *ch);
void ivr_health_update(struct ivr_chan *ch);

/* ---- instance.c ---- */
void ivr_tell_credit(struct ivr_chan *ch); /* any thread but under no lock */
void ivr_drain_look(struct ivr_chan *ch);  /* is everything settled? */
int64_t ivr_now_ms(const struct ivr_chan *ch);
void ivr_count(struct ivr_chan *ch, enum ivr_counter counter, uint64_t n);
void ivr_log(struct ivr_chan *ch, uint32_t level, const char *event, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

int ivr_op_create(const struct cgw_host *host, struct cgw_inst *inst, const struct cgw_conf *conf,
                  void **ret, struct cgw_diag *diag);
int ivr_op_start(void *ch);
void ivr_op_check(void *ch, const struct cgw_message *msgs, uint32_t n, struct cgw_check *ret);
uint32_t ivr_op_submit(void *ch, const struct cgw_message *msgs, uint32_t n);
void ivr_op_stored(void *ch, const uint64_t *acks, uint32_t n);
void ivr_op_cancel(void *ch, const uint64_t *tokens, uint32_t n);
void ivr_op_health(void *ch, struct cgw_health *ret);
void ivr_op_drain(void *ch, int64_t deadline_mono_ms);
void ivr_op_destroy(void *ch);

#endif
