/* SPDX-License-Identifier: Apache-2.0 */
/* host.h - run channel plugins: one instance per configured section, one loop thread each (or one
 * per plugin with CGW_F_SHARED_LOOP), the service table that plugins see, and exactly one result
 * per message. Knows neither database nor policy: what comes back leaves through `struct
 * instance_sink`, what the host cannot do itself comes in through `struct host_services`. Source:
 * cgw/channel.h, cgw/host.h. */
#ifndef PLUGIN_HOST_H
#define PLUGIN_HOST_H

#include "base/diag.h"
#include "plugin/conf.h"
#include "plugin/loader.h"

/* ---- limits
 * -------------------------------------------------------------------------------------------------------
 */
#define INSTANCE_RING 4096u /* messages per lane waiting for submit(); credit is cut to it */
#define INSTANCE_INFLIGHT                                                                          \
    65536u /* messages known to an instance: waiting and taken                   */
#define INSTANCE_RING_BYTES                                                                        \
    67108864u /* bytes of waiting messages                                         */
#define INSTANCE_ACKS                                                                              \
    65536u /* receipts and inbound taken and not yet stored(); more is refused   */
#define INSTANCE_POSTS                                                                             \
    4096u                  /* post() calls waiting                                               */
#define INSTANCE_HTTP 256u /* callback requests not yet answered */
#define INSTANCE_QUERIES 4096u /* asks waiting for query()                                   */
#define INSTANCE_RECALLS                                                                           \
    256u /* asks waiting for recall(): what waits there may be delivered      */
#define INSTANCE_TIMERS 65536u
#define INSTANCE_BATCH 64u /* messages per submit() call */
#define INSTANCE_SLOW_OP_MS                                                                        \
    10 /* an operation or callback that takes longer is counted and logged   */
#define INSTANCE_REOFFER_MS                                                                        \
    10 /* waiting messages are offered again at least this often             */

struct plugin_instance;

/* From host to core. Called from the instance's loop thread or from a plugin's own thread, without
 * any lock held; must not call the blocking functions below (instance_new, _start, _drain_wait,
 * _free, _health). Items are borrowed until return. */
struct instance_sink {
    void *ctx;
    /* Results, each token exactly once in its life. Never refuses: keep a slot for every message
     * handed over. */
    void (*complete)(void *ctx, struct plugin_instance *inst, const struct cgw_result *results,
                     uint32_t n);
    /* \return how many were taken, a prefix. */
    uint32_t (*receipt)(void *ctx, struct plugin_instance *inst, const struct cgw_receipt *items,
                        uint32_t n);
    uint32_t (*inbound)(void *ctx, struct plugin_instance *inst, const struct cgw_inbound *items,
                        uint32_t n);
    /* The free credit of a lane grew; may be NULL. */
    void (*credit_changed)(void *ctx, struct plugin_instance *inst);
    /* Answer to instance_http(), exactly once per request; may be NULL when no listener is wired.
     */
    void (*reply)(void *ctx, struct plugin_instance *inst, uint64_t request_id, uint32_t status,
                  const char *content_type, const char *body, uint32_t len);
};

/* Wired once by main before the first instance; every member may be NULL (the plugin then gets
 * CGW_ENOTFOUND). Any thread. */
struct host_services {
    int (*address_normalise)(uint32_t kind, const char *text, const char *default_region, char *out,
                             size_t out_size);
    int64_t (*media_size)(uint64_t media);
    int64_t (*media_read)(uint64_t media, int64_t offset, void *out, size_t n);
};
void host_set_services(const struct host_services *services); /* copied */
/* Registers the metric families of this folder; once, at start. */
void host_metrics_register(void);

/* ---- life: new → start → (submit …) → drain → free. Blocking, not from a sink.
 * ---------------------------------------- */
/**
 * Make one instance: create() runs on its loop thread. Takes over `conf` (also on failure).
 * \param sink  copied
 * \return 0 with *ret owned by the caller; CGW_EINVAL etc. with the plugin's own words in diag.
 */
int instance_new(const struct plugin *p, const char *name, struct cgw_conf *conf,
                 const struct instance_sink *sink, struct plugin_instance **ret,
                 struct diag *diag) CGW_NODISCARD;
int instance_start(struct plugin_instance *inst, struct diag *diag) CGW_NODISCARD;
/* Stop taking; waiting messages are completed NOT_SENT at once, the plugin settles what it took.
 * Returns at once. Any thread. */
void instance_drain(struct plugin_instance *inst, int64_t deadline_mono_ms);
/* Wait until drained. When the plugin has not told by the deadline (+ 500 ms), what it still holds
 * is completed UNKNOWN (assumed). \return 0, or CGW_EBUSY when the plugin did not keep the
 * deadline. Never started: drained at once. */
int instance_drain_wait(struct plugin_instance *inst);
/* destroy() and free. Drains with a deadline of now when that was not done. NULL-safe, returns
 * NULL. */
struct plugin_instance *instance_free(struct plugin_instance *inst);

/* ---- traffic, any thread
 * ---------------------------------------------------------------------------------------------- */
/* Free credit of a lane: what the plugin told, less what waits and what is reserved. */
uint32_t instance_credit(const struct plugin_instance *inst, uint32_t lane);
/* Take up to `want` of it before committing an intent, so that several dispatchers share it.
 * \return how many. */
uint32_t instance_reserve(struct plugin_instance *inst, uint32_t lane, uint32_t want);
void instance_unreserve(struct plugin_instance *inst, uint32_t lane, uint32_t n);
/**
 * Hand over messages (copied whole). instance_submit_reserved(): each was reserved before and gives
 * that back as it enters; what is not taken stays reserved until instance_unreserve(). \return how
 * many were taken, a prefix; less than n only when not running or a stated limit is passed. Each
 * taken one gets exactly one result: the plugin's, or NOT_SENT from the host when submit() did not
 * take it by submit_before_mono_ms. A token already in flight ends the prefix.
 */
uint32_t instance_submit(struct plugin_instance *inst, const struct cgw_message *msgs, uint32_t n);
uint32_t instance_submit_reserved(struct plugin_instance *inst, const struct cgw_message *msgs,
                                  uint32_t n);
/* Pure: judge content; runs on the caller's thread. */
void instance_check(const struct plugin_instance *inst, const struct cgw_message *msgs, uint32_t n,
                    struct cgw_check *ret_checks);
/* Rows behind these acks (of receipts or inbound) are durable. */
void instance_stored(struct plugin_instance *inst, const uint64_t *acks, uint32_t n);
/* Recall messages: waiting ones are completed NOT_SENT by the host, others are put to the plugin's
 * cancel(). */
void instance_cancel(struct plugin_instance *inst, const uint64_t *tokens, uint32_t n);
/* \return how many were queued for query(); 0 when the plugin has no query(). Texts are copied. */
uint32_t instance_query(struct plugin_instance *inst, const struct cgw_ask *asks, uint32_t n);
/* Likewise for recall(); who waits there already counts as queued. \return how many, the rest
 * later; negative: not now and not soon, because the plugin has no recall(), its option `cancel` is
 * off, or the instance does not run. */
int instance_recall(struct plugin_instance *inst, const struct cgw_ask *asks, uint32_t n);
/* What is durable of the accepts: the newest figures replace those not yet told. Ignored without a
 * tally() of the plugin. */
void instance_tally(struct plugin_instance *inst, const struct cgw_tally *t);
/* Put a callback request (copied) to route `route` of the plugin; req->id is the caller's and
 * unique while unanswered. \return 0 (the sink's reply follows), CGW_ENOTFOUND no such route,
 * CGW_ELIMIT body above the route's max_body, CGW_EBUSY too many unanswered, CGW_ESTATE not
 * running. */
int instance_http(struct plugin_instance *inst, uint32_t route,
                  const struct cgw_http_request *req) CGW_NODISCARD;
/* Route number for a method and a path behind /cb/<instance>; -1 no such path, -2 path known under
 * another method. */
int instance_route(const struct plugin_instance *inst, const char *method, const char *path);

/* ---- looking at it, any thread
 * -------------------------------------------------------------------------------------------- */
enum instance_state { INSTANCE_NEW, INSTANCE_RUNNING, INSTANCE_DRAINING, INSTANCE_DRAINED };
const char *instance_state_name(enum instance_state s);

struct instance_stats {
    enum instance_state state;
    uint32_t waiting[CGW_LANES]; /* not yet taken by the plugin */
    uint32_t taken;              /* taken, no result yet */
    uint32_t told[CGW_LANES];    /* credit as the plugin told it */
    uint32_t acks_outstanding, http_outstanding;
    uint64_t submitted, completed, not_sent_by_host;
    uint64_t
        unknown_by_host; /* the plugin never settled them: it was drained, or its deadline passed */
    uint64_t double_completions, unknown_tokens, late_completions, bad_results;
    uint64_t receipts, inbound, slow_ops;
    int64_t slowest_op_us;
    int64_t last_error_utc_ms; /* 0 = none */
    char last_error[CGW_DIAG_MAX];
};
void instance_stats(const struct plugin_instance *inst, struct instance_stats *ret);
/* Asks health() on the loop, waiting at most 250 ms; a loop that does not answer is a health of its
 * own (up = 0). */
void instance_health(struct plugin_instance *inst, struct cgw_health *ret);
const char *instance_name(const struct plugin_instance *inst);
const struct plugin *instance_plugin(const struct plugin_instance *inst);
const struct cgw_conf *instance_conf(const struct plugin_instance *inst);
/* Value of the i-th counter the plugin declares. */
uint64_t instance_counter(const struct plugin_instance *inst, uint32_t i);
/* A slot for the core's own object (route table entry …); not used here. */
void instance_set_user(struct plugin_instance *inst, void *user);
void *instance_user(const struct plugin_instance *inst);

#endif
