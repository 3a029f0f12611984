/* SPDX-License-Identifier: Apache-2.0 */
/* instance.c - the life of a channel instance: its loop, create, start, drain, destroy, and what
 * can be seen of it. Traffic is instance_submit.c (in), instance_settle.c (out) and instance_mail.c
 * (the rest). */
#include "plugin/host_int.h"

#include "base/clock.h"
#include "base/log.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define STUCK_GRACE_MS 1000 /* behind the forced end: then the loop itself hangs */
#define SLOW_LOG_EVERY_MS 10000

static const struct metric_family families[] = {
    {"campgw_plugin_double_completions_total", METRIC_COUNTER,
     "Results for messages that had one already, dropped.", "channel_instance"},
    {"campgw_plugin_unknown_tokens_total", METRIC_COUNTER,
     "Results or replies for something never handed over, dropped.", "channel_instance"},
    {"campgw_plugin_late_completions_total", METRIC_COUNTER,
     "Results after the instance was drained, dropped.", "channel_instance"},
    {"campgw_plugin_bad_results_total", METRIC_COUNTER,
     "Results, receipts or inbound that broke a stated limit and were cut.", "channel_instance"},
    {"campgw_plugin_slow_ops_total", METRIC_COUNTER,
     "Plugin operations that took longer than 10 ms.", "channel_instance,op"},
    {NULL, METRIC_COUNTER, NULL, NULL},
};

void host_metrics_register(void)
{
    metrics_register(families);
}

void inst_count(struct plugin_instance *in, _Atomic uint64_t *counter, const char *metric)
{
    (void)atomic_fetch_add(counter, 1);
    METRIC_INC(metric, in->name);
}

static _Atomic uint64_t *fault_of(struct plugin_instance *in, enum fault f)
{
    _Atomic uint64_t *const all[FAULTS_N] = {
        [FAULT_SLOW] = &in->slow_ops,
        [FAULT_DOUBLE] = &in->double_completions,
        [FAULT_UNKNOWN] = &in->unknown_tokens,
        [FAULT_LATE] = &in->late_completions,
        [FAULT_BAD] = &in->bad_results,
        [FAULT_NOT_SETTLED] = &in->unknown_by_host,
        [FAULT_NOT_TAKEN] = &in->not_sent_by_host,
    };
    return all[f];
}

uint64_t inst_fault(const struct plugin_instance *in, enum fault f)
{
    return atomic_load(fault_of((struct plugin_instance *)in, f));
}

void inst_add_fault(struct plugin_instance *in, enum fault f, uint64_t n)
{
    static const char *const names[FAULTS_N] = {
        [FAULT_SLOW] = "campgw_plugin_slow_ops_total",
        [FAULT_DOUBLE] = "campgw_plugin_double_completions_total",
        [FAULT_UNKNOWN] = "campgw_plugin_unknown_tokens_total",
        [FAULT_LATE] = "campgw_plugin_late_completions_total",
        [FAULT_BAD] = "campgw_plugin_bad_results_total",
    };
    if (!n)
        return;
    (void)atomic_fetch_add(fault_of(in, f), n);
    const char *const labels[] = {in->name, "process"};
    if (names[f])
        metric_add(metric_get(names[f], labels, f == FAULT_SLOW ? 2 : 1), (double)n);
}

/* A wrong pointer from a plugin is its bug or ours, never input: stop where it happens. */
struct plugin_instance *inst_of(const struct cgw_inst *inst)
{
    if (!inst || inst->magic != INST_MAGIC)
        abort();
    return inst->self;
}

void inst_wake(struct plugin_instance *in)
{
    loop_wake(in->loop);
}

/* ---- watchdog
 * ----------------------------------------------------------------------------------------------------------------------
 */

void inst_enter(void *inst, const char *op)
{
    struct plugin_instance *in = inst;
    atomic_store(&in->op_since_us, clock_mono_us());
    atomic_store(&in->op_name, op);
}

void inst_leave(void *inst)
{
    struct plugin_instance *in = inst;
    const char *op = atomic_exchange(&in->op_name, NULL);
    int64_t us = clock_mono_us() - atomic_load(&in->op_since_us);
    if (us > atomic_load(&in->slowest_op_us))
        atomic_store(&in->slowest_op_us, us);
    if (us <= INSTANCE_SLOW_OP_MS * 1000)
        return;
    (void)atomic_fetch_add(&in->slow_ops, 1);
    METRIC_INC("campgw_plugin_slow_ops_total", in->name, op ? op : "?");
    int64_t now = clock_mono_ms();
    if (in->slow_logged_ms && now - in->slow_logged_ms < SLOW_LOG_EVERY_MS)
        return;
    in->slow_logged_ms = now;
    log_warning("plugin.op.slow", "instance=%s op=%s us=%lld limit_ms=%d", in->name, op ? op : "?",
                (long long)us, INSTANCE_SLOW_OP_MS);
}

/* Behind create() and start(): those of an isolated plugin wait for its process, which watches
 * itself. */
static void leave_first(struct plugin_instance *in)
{
    if (in->plugin->isolated)
        atomic_store(&in->op_name, NULL);
    else
        inst_leave(in);
}

static const struct loop_hooks hooks = {inst_enter, inst_leave};

/* ---- loops: one per instance, or one per plugin with CGW_F_SHARED_LOOP
 * ----------------------------------------------------------- */

struct shared_loop {
    struct shared_loop *next;
    const struct plugin *plugin;
    struct loop *loop; /* owned */
    uint32_t refs;
};
static pthread_mutex_t shared_lock = PTHREAD_MUTEX_INITIALIZER;
static struct shared_loop *shared_loops;

static struct shared_loop *shared_get_locked(const struct plugin *p, struct diag *diag)
{
    struct shared_loop *s = shared_loops;
    while (s && s->plugin != p)
        s = s->next;
    if (!s && (s = calloc(1, sizeof *s))) {
        s->plugin = p;
        if (loop_new(p->desc.name, &hooks, &s->loop, diag)) {
            free(s);
            return NULL;
        }
        s->next = shared_loops;
        shared_loops = s;
    }
    if (s)
        s->refs++;
    return s;
}

static int loop_get(struct plugin_instance *in, struct diag *diag)
{
    if (!(in->plugin->desc.flags & CGW_F_SHARED_LOOP))
        return loop_new(in->name, &hooks, &in->loop, diag);
    (void)pthread_mutex_lock(&shared_lock);
    in->shared = shared_get_locked(in->plugin, diag);
    (void)pthread_mutex_unlock(&shared_lock);
    if (!in->shared)
        return diag_set(diag, -ENOMEM, "", "instance %s: no loop thread could be started",
                        in->name);
    in->loop = in->shared->loop;
    return 0;
}

static void loop_put(struct plugin_instance *in)
{
    struct loop *gone = NULL;
    if (!in->shared) {
        gone = in->loop;
    } else {
        (void)pthread_mutex_lock(&shared_lock);
        if (!--in->shared->refs) {
            struct shared_loop **at = &shared_loops;
            while (*at != in->shared)
                at = &(*at)->next;
            *at = in->shared->next;
            gone = in->shared->loop;
            free(in->shared);
        }
        (void)pthread_mutex_unlock(&shared_lock);
    }
    (void)loop_free(gone);
}

/* ---- new
 * ------------------------------------------------------------------------------------------------------------------------------
 */

/* Families live as long as the process, like the plugin. Instances of one plugin share them;
 * registering twice is harmless. */
static void counters_init(struct plugin_instance *in)
{
    const struct plugin *p = in->plugin;
    const char *const label[] = {in->name};
    for (uint32_t i = 0; i < p->n_counters; i++) {
        char name[PLUGIN_NAME_MAX + 32];
        (void)snprintf(name, sizeof name, "campgw_plugin_%s_total", p->desc.counters[i].name);
        in->counter_metrics[i] = metric_get(name, label, 1);
        struct metric_family *f = in->counter_metrics[i] ? NULL : calloc(2, sizeof *f);
        if (!f)
            continue;
        f[0] = (struct metric_family){strdup(name), METRIC_COUNTER, p->desc.counters[i].help,
                                      "channel_instance"};
        if (!f[0].name) {
            free(f);
            continue;
        }
        metrics_register(f); /* keeps f */
        in->counter_metrics[i] = metric_get(name, label, 1);
    }
} /* NOLINT(clang-analyzer-unix.Malloc) - see there */

static int turn(void *arg);

static void plugin_diag(const struct plugin_instance *in, int rc, const struct cgw_diag *from,
                        struct diag *to)
{
    (void)diag_set(to, rc, from->where, "instance %s: %s%s%.150s", in->name, from->where,
                   from->where[0] ? ": " : "",
                   from->text[0] ? from->text : "the plugin gave no reason");
}

struct create_call {
    struct plugin_instance *in;
    struct diag *diag;
    int rc;
};

static void timers_free(struct plugin_instance *in)
{
    while (in->timers)
        host_table.timer_free(in->timers);
}

static void create_on_loop(void *arg)
{
    struct create_call *c = arg;
    struct plugin_instance *in = c->in;
    struct cgw_diag d = {.size = sizeof d};
    inst_enter(in, "create");
    c->rc = in->plugin->channel.create(&host_table, &in->pub, in->conf, &in->ch, &d);
    leave_first(in);
    d.text[sizeof d.text - 1] = d.where[sizeof d.where - 1] = 0;
    if (!c->rc && (c->rc = loop_attach(in->loop, turn, in))) {
        in->plugin->channel.destroy(in->ch);
        (void)snprintf(d.text, sizeof d.text, "more than %u instances share one loop",
                       LOOP_MEMBERS_MAX);
    }
    if (c->rc) {
        c->rc = c->rc < 0 ? c->rc : CGW_EINVAL;
        plugin_diag(in, c->rc, &d, c->diag);
        timers_free(in);
        loop_forget(in->loop, in);
    }
}

static void release(struct plugin_instance *in)
{
    mail_done(in);
    tokens_done(&in->tokens);
    (void)conf_free(in->conf);
    (void)pthread_mutex_destroy(&in->lock);
    (void)pthread_cond_destroy(&in->drained);
    in->pub.magic = 0;
    free(in);
}

static struct plugin_instance *alloc_instance(const struct plugin *p, const char *name,
                                              struct cgw_conf *conf,
                                              const struct instance_sink *sink)
{
    struct plugin_instance *in = calloc(1, sizeof *in);
    if (!in)
        return NULL;
    in->posts = calloc(INSTANCE_POSTS, sizeof *in->posts);
    if (!in->posts || tokens_init(&in->tokens, INSTANCE_INFLIGHT)) {
        free(in->posts);
        free(in);
        return NULL;
    }
    in->pub = (struct cgw_inst){INST_MAGIC, in};
    in->plugin = p;
    in->conf = conf;
    in->sink = *sink;
    in->next_expiry_ms = INT64_MAX;
    (void)snprintf(in->name, sizeof in->name, "%s", name);
    for (uint32_t i = 0; i < CGW_LANES; i++) {
        queue_init(&in->incoming[i]);
        queue_init(&in->queue[i]);
    }
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&in->drained, &attr);
    (void)pthread_condattr_destroy(&attr);
    (void)pthread_mutex_init(&in->lock, NULL);
    return in;
}

int instance_new(const struct plugin *p, const char *name, struct cgw_conf *conf,
                 const struct instance_sink *sink, struct plugin_instance **ret, struct diag *diag)
{
    if (!plugin_is_channel(p)) {
        (void)conf_free(conf);
        return diag_set(diag, CGW_EINVAL, "",
                        "instance %s: %s is a campaign plugin; only channel plugins have instances",
                        name, p->desc.name);
    }
    struct plugin_instance *in = alloc_instance(p, name, conf, sink);
    if (!in) {
        (void)conf_free(conf);
        return diag_set(diag, -ENOMEM, "", "instance %s: out of memory", name);
    }
    int rc = loop_get(in, diag);
    if (rc) {
        release(in);
        return rc;
    }
    counters_init(in);
    struct create_call c = {in, diag, 0};
    loop_call(in->loop, create_on_loop, &c);
    if (c.rc) {
        loop_put(in);
        release(in);
        return c.rc;
    }
    *ret = in;
    return 0;
}

/* ---- start
 * ----------------------------------------------------------------------------------------------------------------------------
 */

static void start_on_loop(void *arg)
{
    struct create_call *c = arg;
    struct plugin_instance *in = c->in;
    int expected = INSTANCE_NEW;
    if (!atomic_compare_exchange_strong(
            &in->state, &expected, INSTANCE_RUNNING)) { /* before start(): it may tell credit */
        c->rc = CGW_ESTATE;
        return;
    }
    in->started = true;
    inst_enter(in, "start");
    c->rc = in->plugin->channel.start(in->ch);
    leave_first(in);
}

int instance_start(struct plugin_instance *inst, struct diag *diag)
{
    struct create_call c = {inst, diag, 0};
    loop_call(inst->loop, start_on_loop, &c);
    if (c.rc)
        return diag_set(diag, c.rc, "", "instance %s: start failed (%s)", inst->name,
                        diag_code_name(c.rc));
    return 0;
}

/* ---- drain
 * ----------------------------------------------------------------------------------------------------------------------------
 */

void inst_set_drained(struct plugin_instance *in)
{
    if (inst_state(in) != INSTANCE_DRAINING) {
        log_warning("plugin.drained.unasked", "instance=%s", in->name);
        return;
    }
    if (atomic_load(&in->taken))
        log_error("plugin.drained.early", "instance=%s unsettled=%u", in->name,
                  atomic_load(&in->taken));
    settle_rest(in, "no result from the plugin by the drain deadline");
    (void)pthread_mutex_lock(&in->lock);
    atomic_store(&in->state, INSTANCE_DRAINED);
    (void)pthread_cond_broadcast(&in->drained);
    (void)pthread_mutex_unlock(&in->lock);
}

static void drain_forced(void *arg)
{
    struct plugin_instance *in = arg;
    if (inst_state(in) != INSTANCE_DRAINING)
        return;
    log_error("plugin.drain.overdue", "instance=%s unsettled=%u", in->name,
              atomic_load(&in->taken));
    (void)pthread_mutex_lock(&in->lock);
    in->forced = true;
    (void)pthread_mutex_unlock(&in->lock);
    inst_set_drained(in);
}

static void drain_on_loop(struct plugin_instance *in)
{
    in->draining = true;
    submit_give_back(in);
    if (!in->started) {
        inst_set_drained(in);
        return;
    }
    int64_t deadline = atomic_load(&in->drain_deadline_ms), now = clock_mono_ms();
    /* Both halves count from the same deadline: the gateway's decides, the other only cleans up. */
    int64_t grace = in->supervised ? 2 * DRAIN_GRACE_MS : DRAIN_GRACE_MS;
    in->drain_timer = loop_timer_new(in->loop, drain_forced, in, in);
    if (in->drain_timer)
        loop_timer_set(in->drain_timer, (deadline > now ? deadline : now) + grace);
    inst_enter(in, "drain");
    in->plugin->channel.drain(in->ch, deadline);
    inst_leave(in);
}

void instance_drain(struct plugin_instance *inst, int64_t deadline_mono_ms)
{
    (void)pthread_mutex_lock(&inst->lock);
    if (inst_state(inst) <= INSTANCE_RUNNING) {
        atomic_store(&inst->drain_deadline_ms, deadline_mono_ms);
        atomic_store(&inst->state, INSTANCE_DRAINING);
        for (uint32_t lane = 0; lane < CGW_LANES; lane++)
            atomic_store(&inst->told[lane], 0);
    }
    (void)pthread_mutex_unlock(&inst->lock);
    inst_wake(inst);
}

int instance_drain_wait(struct plugin_instance *inst)
{
    int64_t until = atomic_load(&inst->drain_deadline_ms), now = clock_mono_ms();
    until = (until > now ? until : now) + DRAIN_GRACE_MS + STUCK_GRACE_MS;
    struct timespec ts = {.tv_sec = until / 1000, .tv_nsec = (until % 1000) * 1000000};
    int rc = 0;
    (void)pthread_mutex_lock(&inst->lock);
    while (inst_state(inst) != INSTANCE_DRAINED && !rc)
        rc = pthread_cond_timedwait(&inst->drained, &inst->lock, &ts);
    bool kept = inst_state(inst) == INSTANCE_DRAINED && !inst->forced;
    (void)pthread_mutex_unlock(&inst->lock);
    return kept ? 0 : CGW_EBUSY;
}

static int turn(void *arg)
{
    struct plugin_instance *in = arg;
    if (inst_state(in) == INSTANCE_DRAINING && !in->draining)
        drain_on_loop(in);
    bool more = mail_turn(in);
    int wait = submit_turn(in), recall = asks_wait(in);
    if (recall >= 0 && (wait < 0 || recall < wait))
        wait = recall;
    return more ? 0 : wait;
}

/* ---- free
 * -------------------------------------------------------------------------------------------------------------------------------
 */

static void destroy_on_loop(void *arg)
{
    struct plugin_instance *in = arg;
    loop_detach(in->loop, in);
    inst_enter(in, "destroy");
    in->plugin->channel.destroy(in->ch);
    inst_leave(in);
    timers_free(in);
    loop_timer_free(in->drain_timer);
    loop_forget(in->loop, in);
}

struct plugin_instance *instance_free(struct plugin_instance *inst)
{
    if (!inst)
        return NULL;
    instance_drain(inst, clock_mono_ms());
    if (instance_drain_wait(inst) && inst_state(inst) != INSTANCE_DRAINED) {
        /* The loop hangs inside the plugin. Its memory stays: freeing it under a running thread
         * would be worse. */
        log_error("plugin.instance.stuck", "instance=%s op=%s", inst->name,
                  atomic_load(&inst->op_name));
        return NULL;
    }
    loop_call(inst->loop, destroy_on_loop, inst);
    loop_put(inst);
    release(inst);
    return NULL;
}

/* ---- looking at it
 * -------------------------------------------------------------------------------------------------------------------------
 */

const char *instance_state_name(enum instance_state s)
{
    static const char *const names[] = {"new", "running", "draining", "drained"};
    return s <= INSTANCE_DRAINED ? names[s] : "?";
}

void instance_stats(const struct plugin_instance *inst, struct instance_stats *ret)
{
    struct plugin_instance *in = (struct plugin_instance *)inst; /* only its lock is touched */
    *ret = (struct instance_stats){
        .state = inst_state(in),
        .taken = atomic_load(&in->taken),
        .acks_outstanding = atomic_load(&in->acks_outstanding),
        .submitted = atomic_load(&in->submitted),
        .completed = atomic_load(&in->completed),
        .not_sent_by_host = atomic_load(&in->not_sent_by_host),
        .unknown_by_host = atomic_load(&in->unknown_by_host),
        .double_completions = atomic_load(&in->double_completions),
        .unknown_tokens = atomic_load(&in->unknown_tokens),
        .late_completions = atomic_load(&in->late_completions),
        .bad_results = atomic_load(&in->bad_results),
        .receipts = atomic_load(&in->receipts),
        .inbound = atomic_load(&in->inbound),
        .slow_ops = atomic_load(&in->slow_ops),
        .slowest_op_us = atomic_load(&in->slowest_op_us),
    };
    for (uint32_t lane = 0; lane < CGW_LANES; lane++) {
        ret->waiting[lane] = atomic_load(&in->waiting[lane]);
        ret->told[lane] = atomic_load(&in->told[lane]);
    }
    (void)pthread_mutex_lock(&in->lock);
    ret->http_outstanding = in->n_http;
    ret->last_error_utc_ms = in->last_error_utc_ms;
    memcpy(ret->last_error, in->last_error, sizeof ret->last_error);
    (void)pthread_mutex_unlock(&in->lock);
}

const char *instance_name(const struct plugin_instance *inst)
{
    return inst->name;
}
const struct plugin *instance_plugin(const struct plugin_instance *inst)
{
    return inst->plugin;
}
const struct cgw_conf *instance_conf(const struct plugin_instance *inst)
{
    return inst->conf;
}
uint64_t instance_counter(const struct plugin_instance *inst, uint32_t i)
{
    return i < inst->plugin->n_counters ? atomic_load(&inst->counters[i]) : 0;
}
void instance_set_user(struct plugin_instance *inst, void *user)
{
    atomic_store(&inst->user, user);
}
void *instance_user(const struct plugin_instance *inst)
{
    return atomic_load(&inst->user);
}
void instance_check(const struct plugin_instance *inst, const struct cgw_message *msgs, uint32_t n,
                    struct cgw_check *ret_checks)
{
    for (uint32_t i = 0; i < n; i++)
        ret_checks[i] = (struct cgw_check){.size = sizeof ret_checks[i], .encoding = ""};
    inst->plugin->channel.check(inst->ch, msgs, n, ret_checks);
    for (uint32_t i = 0; i < n; i++)
        ret_checks[i].text[sizeof ret_checks[i].text - 1] = 0;
}
