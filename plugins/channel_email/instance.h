/* SPDX-License-Identifier: Apache-2.0 */
/* instance.h - the object behind one configured e-mail instance, and which file does what with it:
 * options.c reads it from the configuration, sender.c moves messages, results.c settles them,
 * inbox.c takes what comes back by the callback routes, plugin.c is the table of operations.
 * Everything here belongs to the instance's loop thread; check() reads only what options.c set. */
#ifndef EMAIL_INSTANCE_H
#define EMAIL_INSTANCE_H

#include "blobs.h"
#include "compose.h"
#include "domains.h"
#include "smtp.h"
#include "token.h"

#include "cgw/plugin.h"

#include <stdatomic.h>

#define EMAIL_WINDOW_MAX 1024u
#define EMAIL_HELD_BYTES ((size_t)64 << 20) /* text of all messages held */
#define EMAIL_LOOK_AGAIN_MS 200 /* while something is under way, should a wake-up get lost */
#define EMAIL_ROUTE_BACKOFF_FIRST_MS 1000
#define EMAIL_ROUTE_BACKOFF_MAX_MS 60000

enum email_counter {
    C_SENT,
    C_REFUSED,
    C_THROTTLED,
    C_UNSURE,
    C_CONNECTIONS,
    C_BOUNCE_HARD,
    C_BOUNCE_SOFT,
    C_BOUNCE_OTHER,
    C_DELAYED,
    C_DELIVERED,
    C_COMPLAINTS,
    C_OPTOUTS,
    C_REPLIES,
    C_AUTOMATIC,
    C_FOREIGN,
    C_UNREADABLE,
    C_FORGED,
};

/* One message on its way. */
struct email_job {
    struct smtp_job smtp; /* first: the pool hands it back by this */
    struct email_channel *ch;
    struct email_job *next;
    uint64_t token;
    uint32_t lane;
    int64_t submit_before_ms, not_after_utc_ms, begun_ms;
    struct email_domain *domain;
    char id[EMAIL_ID_LEN + 1], from[330], to[260];
    struct compose_mail mail;
    struct blob *blobs[CGW_PARTS_MAX];
    uint32_t n_blobs;
    uint32_t piece; /* read so far */
    size_t offset;
};

struct email_channel {
    const struct cgw_host *host;
    struct cgw_inst *inst;
    /* options */
    struct compose_conf compose;
    struct smtp_conf smtp;
    const char *envelope_from;
    uint32_t window;
    char *words; /* owned: every text of the options */
    /* parts */
    struct email_key key;
    struct email_domains *domains;
    struct smtp_pool *pool;
    struct blobs *blobs;
    struct cgw_timer *timer;
    /* messages */
    struct email_job *waiting[CGW_LANES], **waiting_end[CGW_LANES];
    uint32_t n_waiting, n_sending, n_free; /* n_free: connections that could begin now */
    uint32_t n_blocked;                    /* wait for their domain, not for a connection */
    double took_ms;                        /* a message on its connection, of late */
    int64_t moved_ms;                      /* when one began or ended last */
    size_t held_bytes;
    atomic_bool posted; /* on_ended has been asked for */
    /* the route */
    struct smtp_job probe;
    bool probing, up, draining, drained;
    int64_t probe_at_ms, backoff_ms, since_utc_ms, deadline_ms;
    char why[CGW_DIAG_MAX];
};

/* options.c */
extern const struct cgw_option email_options[];
int email_options_read(struct email_channel *e, const struct cgw_conf *conf, struct cgw_diag *diag);

/* sender.c */
int email_start(struct email_channel *e);
uint32_t email_submit(struct email_channel *e, const struct cgw_message *msgs, uint32_t n);
void email_cancel(struct email_channel *e, const uint64_t *tokens, uint32_t n);
void email_drain(struct email_channel *e, int64_t deadline_mono_ms);
void email_on_timer(void *arg);
void email_free_jobs(struct email_channel *e);
void email_free_job(struct email_job *j);
/* All that waits is NOT_SENT. */
void email_give_back_all(struct email_channel *e, const char *why);

/* results.c */
void email_collect(struct email_channel *e); /* settles what has ended */
void email_send_probe(struct email_channel *e);

/* inbox.c */
extern const struct cgw_http_route email_routes[];
void email_stored(struct email_channel *e, const uint64_t *acks, uint32_t n);

#endif
