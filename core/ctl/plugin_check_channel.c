/* SPDX-License-Identifier: Apache-2.0 */
/* plugin_check_channel.c - the contract of channel plugins, clause by clause, on the gateway's own
 * host. No peer is needed: without one a good channel gives everything back. Source: the promises
 * in cgw/channel.h and cgw/host.h. */
#include "plugin_check_core.h"

#include "base/clock.h"
#include "plugin/host_int.h"
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define SUBMIT_BEFORE_MS 300
#define SETTLE_MS 800 /* from the last submit to the drain */
#define DRAIN_MS 2000
#define QUIET_MS 200 /* watched after drained() */
#define SLOW_TRIES                                                                                 \
    3 /* a busy machine may make an operation look slow, but not three times running */

/* ---- clauses: before start
 * ----------------------------------------------------------------------------------------------------------------
 */

static enum verdict descriptor(const struct checker *k, char *why)
{
    const struct cgw_plugin_desc *d = &k->plugin->desc;
    if (d->flags & ~(CGW_F_SHARED_LOOP | CGW_F_OWN_THREADS))
        return check_fail(why, "unknown bits in flags: 0x%llx", (unsigned long long)d->flags);
    if (!d->caps->cost_unit || !d->caps->concurrency_unit)
        return check_fail(why,
                          "caps.cost_unit and caps.concurrency_unit are needed: people read them");
    if ((d->caps->receipts || d->caps->replies || d->routes) && !d->channel->stored)
        return check_fail(why, "caps promise receipts or replies, but there is no stored(): the "
                               "peer would be answered too early");
    for (uint32_t i = 0; i < k->plugin->n_options; i++)
        if (strpbrk(d->options[i].help, "\r\n"))
            return check_fail(why, "help of option %s has several lines", d->options[i].key);
    return CHECK_PASS;
}

static enum verdict create_twice(const struct checker *k, char *why)
{
    struct core a, b;
    struct plugin_instance *one = NULL, *two = NULL;
    for (int i = 0; i < 2; i++) {
        if (open_instance(k, &a, &one, why))
            return CHECK_FAIL;
        one = instance_free(one);
    }
    if (open_instance(k, &a, &one, why) || open_instance(k, &b, &two, why))
        return CHECK_FAIL;
    (void)instance_free(two);
    (void)instance_free(one);
    return CHECK_PASS;
}

/* Gives option o the value v beside the others. \return a reason to fail, or CHECK_PASS. */
static enum verdict try_option(const struct checker *k, const char *key, const char *v, char *why)
{
    struct conf_pair pairs[CHECK_PAIRS_MAX + 1];
    struct plugin_instance *inst = NULL;
    struct core c;
    struct diag d = {0};
    size_t n = 0;
    for (size_t i = 0; i < k->n_pairs; i++)
        if (strcmp(k->pairs[i].key, key) != 0)
            pairs[n++] = k->pairs[i];
    pairs[n++] = (struct conf_pair){key, v};
    core_init(&c);
    int rc = open_with(k, pairs, n, &c, &inst, &d);
    if (!rc)
        (void)instance_free(inst);
    if (rc && strstr(d.text, "gave no reason"))
        return check_fail(
            why, "option %s = \"%.40s\": create() returned %d without a sentence in diag->text",
            key, v, rc);
    return CHECK_PASS;
}

static enum verdict options_at_bounds(const struct checker *k, char *why)
{
    enum verdict v = CHECK_PASS;
    if (!k->plugin->n_options)
        return check_skip(why, "no options");
    for (uint32_t i = 0; i < k->plugin->n_options && v == CHECK_PASS; i++) {
        const struct cgw_option *o = &k->plugin->desc.options[i];
        char text[1024];
        if (o->type == CGW_OPT_INT && (o->min || o->max)) {
            (void)snprintf(text, sizeof text, "%lld", (long long)o->min);
            v = try_option(k, o->key, text, why);
            (void)snprintf(text, sizeof text, "%lld", (long long)o->max);
            v = v == CHECK_PASS ? try_option(k, o->key, text, why) : v;
        } else if (o->type == CGW_OPT_BOOL) {
            v = try_option(k, o->key, "true", why);
            v = v == CHECK_PASS ? try_option(k, o->key, "false", why) : v;
        } else if (o->type == CGW_OPT_STR && !(o->flags & CGW_OPTF_SECRET)) {
            v = try_option(k, o->key, "\x01 %s%n/../'\"", why);
        } else if (o->type == CGW_OPT_LIST) {
            v = try_option(k, o->key, "", why);
            v = v == CHECK_PASS ? try_option(k, o->key, "a,\x7f,%s", why) : v;
        }
        for (const char *w = o->type == CGW_OPT_ENUM ? o->choices : ""; *w && v == CHECK_PASS;) {
            size_t len = strcspn(w, "|");
            (void)snprintf(text, sizeof text, "%.*s", (int)len, w);
            v = try_option(k, o->key, text, why);
            w += len + (w[len] == '|');
        }
    }
    return v;
}

/* ---- clauses: check()
 * ------------------------------------------------------------------------------------------------------------------------
 */

struct judged {
    const struct plugin_instance *inst;
    const struct cgw_message *msgs;
    uint32_t n;
    struct cgw_check checks[CHECK_ODD_MAX];
};

static void *judge(void *arg)
{
    struct judged *j = arg;
    instance_check(j->inst, j->msgs, j->n, j->checks);
    return NULL;
}

static bool same_verdict(const struct cgw_check *a, const struct cgw_check *b)
{
    return a->code == b->code && a->segments == b->segments && a->units == b->units &&
           !strcmp(a->text, b->text) &&
           !strcmp(a->encoding ? a->encoding : "", b->encoding ? b->encoding : "");
}

static enum verdict judge_forms(const struct checker *k, const struct judged *j, char *why)
{
    for (uint32_t i = 0; i < j->n; i++) {
        const struct cgw_check *c = &j->checks[i];
        if (k->isolated && c->code == CGW_EBUSY) /* did not answer: the gateway says it */
            return check_late(why, "message %u: %.200s", i, c->text);
        if (c->code != CGW_OK && c->code != CGW_EINVAL && c->code != CGW_ELIMIT)
            return check_fail(why, "message %u: code %d is none of CGW_OK, CGW_EINVAL, CGW_ELIMIT",
                              i, (int)c->code);
        if (c->code && !c->text[0])
            return check_fail(why, "message %u: refused without a reason in text", i);
        if (!c->code && (!c->encoding || !*c->encoding || !c->segments))
            return check_fail(why, "message %u: can be sent, but encoding or segments is missing",
                              i);
    }
    return CHECK_PASS;
}

static enum verdict check_is_pure(const struct checker *k, char *why)
{
    struct core c;
    struct plugin_instance *inst = NULL;
    struct cgw_message msgs[CHECK_ODD_MAX];
    struct judged a, b;
    pthread_t other;
    if (open_instance(k, &c, &inst, why))
        return CHECK_FAIL;
    a = (struct judged){
        .inst = inst,
        .msgs = msgs,
        .n = check_odd_messages(msgs, k->plugin->caps.channel, k->plugin->caps.address_kind)};
    b = a;
    (void)judge(&a);
    if (pthread_create(&other, NULL, judge, &b) || pthread_join(other, NULL))
        return check_fail(why, "no second thread");
    enum verdict v = judge_forms(k, &a, why);
    v = v == CHECK_PASS ? judge_forms(k, &b, why) : v;
    for (uint32_t i = 0; i < a.n && v == CHECK_PASS; i++)
        if (!same_verdict(&a.checks[i], &b.checks[i]))
            v = check_fail(why,
                           "message %u is judged differently the second time (code %d then %d, "
                           "segments %u then %u)",
                           i, (int)a.checks[i].code, (int)b.checks[i].code, a.checks[i].segments,
                           b.checks[i].segments);
    (void)instance_free(inst);
    return v;
}

/* ---- clauses: submit
 * ----------------------------------------------------------------------------------------------------------------------------
 */

struct run {
    struct core core;
    struct instance_stats stats;
    uint32_t handed;
    int drain_rc;
    int64_t drain_ms;
};

static int full_run(const struct checker *k, struct run *r, char *why)
{
    struct plugin_instance *inst = NULL;
    int rc = open_started(k, &r->core, &inst, why);
    if (rc)
        return rc;
    r->handed = hand_over_some(k, inst, 1, N_MESSAGES, SUBMIT_BEFORE_MS);
    (void)wait_for(&r->core, &r->core.n_results, r->handed, SETTLE_MS);
    int64_t t0 = clock_mono_ms();
    instance_drain(inst, t0 + DRAIN_MS);
    r->drain_rc = instance_drain_wait(inst);
    r->drain_ms = clock_mono_ms() - t0;
    (void)pthread_mutex_lock(&r->core.lock);
    r->core.drained = true;
    (void)pthread_mutex_unlock(&r->core.lock);
    (void)wait_for(&r->core, &r->core.n_results, UINT32_MAX, QUIET_MS);
    struct cgw_health h;
    instance_health(inst, &h); /* a turn of the loop: what drain() did behind drained() is done */
    instance_stats(inst, &r->stats);
    (void)instance_free(inst);
    return 0;
}

static enum verdict submit_settles(const struct checker *k, char *why)
{
    struct run r;
    if (full_run(k, &r, why))
        return CHECK_FAIL;
    for (uint32_t i = 1; i <= r.handed; i++)
        if (r.core.times[i] != 1)
            return check_fail(why, "message %u got %u results instead of one", i, r.core.times[i]);
    if (r.stats.double_completions || r.stats.unknown_tokens)
        return check_fail(why,
                          "%llu messages were completed twice, %llu results name an unknown token",
                          (unsigned long long)r.stats.double_completions,
                          (unsigned long long)r.stats.unknown_tokens);
    if (r.stats.bad_results || r.core.bad[0])
        return check_fail(why, "%llu results break a limit or form; %s",
                          (unsigned long long)r.stats.bad_results, r.core.bad);
    if (r.stats.unknown_by_host)
        return check_late(
            why, "%llu messages were never completed, the gateway had to call them UNKNOWN",
            (unsigned long long)r.stats.unknown_by_host);
    return CHECK_PASS;
}

/* Message memory that turns unreadable the moment the plugin must not look at it any more. */
static void *guarded_alloc(size_t n)
{
    void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    /* cppcheck-suppress memleak ; handed to the caller */
    return p == MAP_FAILED ? NULL : p;
}
static void guarded_release(void *p, size_t n)
{
    (void)mprotect(p, n, PROT_NONE);
}

static enum verdict messages_are_borrowed(const struct checker *k, char *why)
{
    struct run r;
    host_message_memory = (struct host_message_memory){guarded_alloc, guarded_release};
    return full_run(k, &r, why)
               ? CHECK_FAIL
               : CHECK_PASS; /* touching one ends this process: the caller sees the signal */
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OP_MS (25 * INSTANCE_SLOW_OP_MS) /* each instruction that touches memory is several */
#else
#define OP_MS INSTANCE_SLOW_OP_MS
#endif
static enum verdict ops_are_short(const struct checker *k, char *why)
{
    struct run r = {0};
    for (int i = 0; i < SLOW_TRIES; i++) {
        if (full_run(k, &r, why))
            return CHECK_FAIL;
        if (r.stats.slowest_op_us <= OP_MS * 1000)
            return CHECK_PASS;
    }
    return check_late(why, "%llu operations took longer than %d ms, the slowest %lld ms",
                      (unsigned long long)r.stats.slow_ops, INSTANCE_SLOW_OP_MS,
                      (long long)r.stats.slowest_op_us / 1000);
}

static enum verdict drain_ends(const struct checker *k, char *why)
{
    struct run r;
    if (full_run(k, &r, why))
        return CHECK_FAIL;
    if (r.drain_rc)
        return check_late(why, "drained() was not called by the deadline of %d ms", DRAIN_MS);
    if (r.stats.unknown_by_host)
        return check_late(why, "drained() was called before all messages were settled");
    return CHECK_PASS;
}

static enum verdict quiet_after_drained(const struct checker *k, char *why)
{
    struct run r;
    if (full_run(k, &r, why))
        return CHECK_FAIL;
    if (r.drain_rc) /* what the host ended, the plugin ends once more */
        return check_late(why, "drained() was not called by the deadline of %d ms", DRAIN_MS);
    if (r.stats.late_completions || r.core.n_after || r.core.n_items_after)
        return check_fail(why, "after drained() came %llu results and %u receipts or inbound",
                          (unsigned long long)r.stats.late_completions + r.core.n_after,
                          r.core.n_items_after);
    return CHECK_PASS;
}

static enum verdict start_then_drain(const struct checker *k, char *why)
{
    struct core c;
    struct plugin_instance *inst = NULL;
    if (open_started(k, &c, &inst, why))
        return CHECK_FAIL;
    instance_drain(inst, clock_mono_ms());
    int rc = instance_drain_wait(inst);
    (void)instance_free(inst);
    return rc ? check_late(why, "an instance that was only started is not drained at once")
              : CHECK_PASS;
}

/* ---- clauses: the rest
 * ----------------------------------------------------------------------------------------------------------------------------
 */

static enum verdict strangers_are_ignored(const struct checker *k, char *why)
{
    static const uint64_t strange[] = {0, 1, UINT64_MAX, 0x123456789abcdefu};
    static const struct cgw_ask asks[] = {
        {.size = sizeof asks[0], .peer_id = ""},
        {.size = sizeof asks[0], .peer_id = "no-such-id", .from = {CGW_ADDR_E164, 3, "+12"}},
        {.size = sizeof asks[0], .peer_id = "%n%s"},
        {.size = sizeof asks[0],
         .peer_id = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffff"}};
    struct core c;
    struct plugin_instance *inst = NULL;
    struct cgw_health h;
    if (open_started(k, &c, &inst, why))
        return CHECK_FAIL;
    instance_stored(inst, strange, ARRAY_LEN(strange));
    instance_cancel(inst, strange, ARRAY_LEN(strange));
    (void)instance_query(inst, asks, ARRAY_LEN(asks));
    (void)instance_recall(inst, asks, ARRAY_LEN(asks));
    instance_health(inst, &h); /* behind the others on the loop */
    (void)instance_free(inst);
    return c.n_results ? check_fail(why, "results came for messages that never were") : CHECK_PASS;
}

static enum verdict health_answers(const struct checker *k, char *why)
{
    struct core c;
    struct plugin_instance *inst = NULL;
    struct cgw_health h;
    if (!k->plugin->channel.health)
        return check_skip(why, "no health()");
    if (open_started(k, &c, &inst, why))
        return CHECK_FAIL;
    instance_health(inst, &h);
    (void)instance_free(inst);
    if (h.links_up > h.links || h.window_used > h.window)
        return check_fail(
            why,
            "more links up than there are (%u of %u), or more used than the window has (%u of %u)",
            h.links_up, h.links, h.window_used, h.window);
    return !h.up && !h.text[0] ? check_fail(why, "down without saying why in text") : CHECK_PASS;
}

static enum verdict routes_answer(const struct checker *k, char *why)
{
    static const char *const bodies[] = {
        "", "x", "<a", "{\"a\":", "--b\r\n\r\n--b--", "\xff\xfe\x80"};
    struct core c;
    struct plugin_instance *inst = NULL;
    uint32_t asked = 0;
    uint64_t id = 1;
    if (!k->plugin->n_routes)
        return check_skip(why, "no routes");
    if (open_started(k, &c, &inst, why))
        return CHECK_FAIL;
    for (uint32_t route = 0; route < k->plugin->n_routes; route++)
        for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
            const struct cgw_http_route *r = &k->plugin->desc.routes[route];
            struct cgw_http_request req = {.size = sizeof req,
                                           .id = id,
                                           .method = r->method,
                                           .path = r->path,
                                           .query = i & 1 ? "a=%00&b" : "",
                                           .content_type = i & 2 ? "text/xml" : NULL,
                                           .body = bodies[i],
                                           .body_len = (uint32_t)strlen(bodies[i])};
            id++;
            asked += !instance_http(inst, route, &req);
        }
    bool all = wait_for(&c, &c.n_replies, asked, 5000);
    struct instance_stats st;
    instance_stats(inst, &st);
    (void)instance_free(inst);
    if (!all)
        return check_late(why, "of %u odd requests %u were not answered within 5 s", asked,
                          st.http_outstanding);
    return st.unknown_tokens ? check_fail(why, "a request was answered twice") : CHECK_PASS;
}

const struct clause channel_clauses[] = {
    {"descriptor.complete", descriptor, NULL, "cgw/plugin.h: What a channel can do, as data."},
    {"create.twice", create_twice, NULL, "cgw/channel.h: Make one instance from its options."},
    {"create.explains_bad_options", options_at_bounds, NULL,
     "cgw/channel.h: On failure fill diag, return CGW_E*, leave *ret."},
    {"check.pure_on_any_thread", check_is_pure, NULL,
     "cgw/channel.h: Pure, any thread, also before start: judge n messages."},
    {"start.then_drain_at_once", start_then_drain, NULL,
     "cgw/channel.h: Begin to connect; returns at once."},
    {"submit.one_result_per_message", submit_settles, NULL,
     "cgw/channel.h: each taken message owes exactly one complete()."},
    {"submit.messages_are_borrowed", messages_are_borrowed,
     "it touched a message after submit() had returned",
     "cgw/channel.h: what an operation receives is borrowed until it returns"},
    {"ops.under_10_ms", ops_are_short, NULL,
     "cgw/channel.h: Operations stay under 10 ms; a watchdog logs longer ones."},
    {"drain.ends_by_deadline", drain_ends, NULL,
     "cgw/channel.h: settle what is in flight until the deadline, then complete the rest"},
    {"drain.quiet_afterwards", quiet_after_drained, NULL,
     "cgw/host.h: All in-flight messages are settled after drain()."},
    {"strangers.ignored", strangers_are_ignored, NULL,
     "cgw/channel.h: token: slot and generation; a stale one is recognised by the gateway"},
    {"health.answers", health_answers, NULL, "cgw/channel.h: one line for people: why it is down"},
    {"routes.answer_every_request", routes_answer, NULL,
     "cgw/host.h: Answer a callback request; exactly once per request."},
    {0},
};
