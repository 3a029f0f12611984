/* SPDX-License-Identifier: Apache-2.0 */
/* plugin_host.c - the host of channel plugins against channel_loopback and against a plugin that
 * breaks its promises. Usage: plugin_host LOOPBACK.so ROGUE.so [isolated]; prints TAP. Waits for
 * conditions with a deadline, never by sleeping. */
#include "base/clock.h"
#include "plugin/host.h"
#include "plugin/isolate.h"
#include "plugin/loop.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TOKENS 20001u
#define WAIT_MS 10000

static unsigned n_tests, n_failed;

static void ok(bool good, const char *what, long long got)
{
    n_failed += !good;
    printf("%s %u - %s\n", good ? "ok" : "not ok", ++n_tests, what);
    if (!good)
        printf("# got %lld\n", got);
}

/* ---- the core's side: counts what comes back
 * ------------------------------------------------------------------------------------- */

struct core {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint8_t times[TOKENS];
    uint32_t by_result[16], n_results, n_receipts, n_failed_receipts, n_inbound, n_replies;
    uint64_t order[TOKENS];
    uint32_t reply_status;
    uint64_t last_ack;
    char text[64];
    bool refuse;
};

static void core_complete(void *ctx, struct plugin_instance *inst, const struct cgw_result *r,
                          uint32_t n)
{
    struct core *c = ctx;
    (void)inst;
    (void)pthread_mutex_lock(&c->lock);
    for (uint32_t i = 0; i < n; i++) {
        c->times[r[i].token % TOKENS]++;
        c->by_result[r[i].result & 15]++;
        c->order[c->n_results++ % TOKENS] = r[i].token;
    }
    (void)pthread_cond_broadcast(&c->changed);
    (void)pthread_mutex_unlock(&c->lock);
}

static uint32_t core_receipt(void *ctx, struct plugin_instance *inst, const struct cgw_receipt *r,
                             uint32_t n)
{
    struct core *c = ctx;
    (void)inst;
    (void)pthread_mutex_lock(&c->lock);
    for (uint32_t i = 0; i < n; i++)
        c->n_failed_receipts += r[i].result == CGW_RES_FAILED;
    c->n_receipts += n;
    (void)pthread_cond_broadcast(&c->changed);
    (void)pthread_mutex_unlock(&c->lock);
    return n;
}

static uint32_t core_inbound(void *ctx, struct plugin_instance *inst, const struct cgw_inbound *m,
                             uint32_t n)
{
    struct core *c = ctx;
    (void)inst;
    (void)pthread_mutex_lock(&c->lock);
    uint32_t taken = c->refuse ? 0 : n;
    c->n_inbound += taken;
    c->last_ack = m[0].ack;
    (void)snprintf(c->text, sizeof c->text, "%s|%s|%.*s", m[0].from.text, m[0].to.text,
                   (int)m[0].parts[0].len, m[0].parts[0].body);
    (void)pthread_cond_broadcast(&c->changed);
    (void)pthread_mutex_unlock(&c->lock);
    return taken;
}

static void core_reply(void *ctx, struct plugin_instance *inst, uint64_t id, uint32_t status,
                       const char *type, const char *body, uint32_t len)
{
    struct core *c = ctx;
    (void)inst;
    (void)id;
    (void)type;
    (void)body;
    (void)len;
    (void)pthread_mutex_lock(&c->lock);
    c->n_replies++;
    c->reply_status = status;
    (void)pthread_cond_broadcast(&c->changed);
    (void)pthread_mutex_unlock(&c->lock);
}

static struct core *core_new(void)
{
    struct core *c = calloc(1, sizeof *c);
    pthread_condattr_t attr;
    if (!c)
        abort();
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&c->changed, &attr);
    (void)pthread_condattr_destroy(&attr);
    (void)pthread_mutex_init(&c->lock, NULL);
    return c;
}

/* Until *figure is at least `want`. */
static bool wait_for(struct core *c, const uint32_t *figure, uint32_t want)
{
    int64_t until = clock_mono_ms() + WAIT_MS;
    struct timespec ts = {.tv_sec = until / 1000, .tv_nsec = (until % 1000) * 1000000};
    int rc = 0;
    (void)pthread_mutex_lock(&c->lock);
    while (*figure < want && !rc)
        rc = pthread_cond_timedwait(&c->changed, &c->lock, &ts);
    bool reached = *figure >= want;
    (void)pthread_mutex_unlock(&c->lock);
    return reached;
}

static uint32_t seen(struct core *c, const uint32_t *figure)
{
    (void)pthread_mutex_lock(&c->lock);
    uint32_t n = *figure;
    (void)pthread_mutex_unlock(&c->lock);
    return n;
}

static const struct plugin *loopback, *rogue;

static struct plugin_instance *open_instance(const struct plugin *p, struct core *c,
                                             const struct conf_pair *pairs, size_t n)
{
    struct instance_sink sink = {c, core_complete, core_receipt, core_inbound, NULL, core_reply};
    struct plugin_instance *inst = NULL;
    struct cgw_conf *conf = NULL;
    struct diag d = {0};
    if (conf_from_pairs(p, "t", pairs, n, NULL, &conf, &d) ||
        instance_new(p, "t", conf, &sink, &inst, &d) || instance_start(inst, &d)) {
        printf("# %s\n", d.text);
        abort();
    }
    return inst;
}

static uint32_t hand_over(struct plugin_instance *inst, uint64_t token, uint32_t lane,
                          int64_t before_ms)
{
    struct cgw_part part = {
        .role = CGW_ROLE_TEXT, .len = 5, .mime = "text/plain; charset=utf-8", .body = "hello"};
    struct cgw_message m = {.size = sizeof m,
                            .lane = lane,
                            .token = token,
                            .channel = CGW_CHANNEL_SMS,
                            .contact_class = CGW_CLASS_SERVICE,
                            .to = {CGW_ADDR_E164, 12, "+99900000001"},
                            .submit_before_mono_ms = clock_mono_ms() + before_ms,
                            .want_receipt = 1,
                            .n_parts = 1,
                            .parts = &part};
    return instance_submit(inst, &m, 1);
}

static bool each_once(struct core *c, uint32_t from, uint32_t to)
{
    bool once = true;
    (void)pthread_mutex_lock(&c->lock);
    for (uint32_t t = from; t <= to; t++)
        once &= c->times[t] == 1;
    (void)pthread_mutex_unlock(&c->lock);
    return once;
}

static void set_refuse(struct core *c, bool refuse)
{
    (void)pthread_mutex_lock(&c->lock);
    c->refuse = refuse;
    (void)pthread_mutex_unlock(&c->lock);
}

/* ---- the loop alone
 * ---------------------------------------------------------------------------------------------------------------
 */

#define CALLERS 4
#define CALLS_EACH 20000u

static uint32_t n_calls; /* loop thread only */

static void count_call(void *arg)
{
    (void)arg;
    n_calls++;
}

static void *call_often(void *loop)
{
    for (uint32_t i = 0; i < CALLS_EACH; i++)
        loop_call(loop, count_call, NULL);
    return NULL;
}

static void no_hook(void *owner, const char *what)
{
    (void)owner;
    (void)what;
}
static void no_leave(void *owner)
{
    (void)owner;
}

/* A wake that comes between the loop's read of its eventfd and its look at the queues must not be
 * lost; with a lost one all callers wait for ever and the alarm ends the test. */
static void never_loses_a_wake(void)
{
    const struct loop_hooks hooks = {no_hook, no_leave};
    struct loop *loop = NULL;
    struct diag d = {0};
    pthread_t callers[CALLERS];
    if (loop_new("wakes", &hooks, &loop, &d))
        abort();
    for (int i = 0; i < CALLERS; i++)
        if (pthread_create(&callers[i], NULL, call_often, loop))
            abort();
    for (int i = 0; i < CALLERS; i++)
        (void)pthread_join(callers[i], NULL);
    (void)loop_free(loop);
    ok(n_calls == CALLERS * CALLS_EACH, "a loop called from four threads answers every call",
       n_calls);
}

/* ---- tests
 * --------------------------------------------------------------------------------------------------------------------------------
 */

static void settles_each_message_once(void)
{
    struct core *c = core_new();
    const struct conf_pair o[] = {{"window", "50"},          {"refuse_per_mille", "20"},
                                  {"retry_per_mille", "30"}, {"unknown_per_mille", "10"},
                                  {"fail_per_mille", "40"},  {"delay_ms", "1"},
                                  {"receipt_ms", "5"}};
    struct plugin_instance *inst = open_instance(loopback, c, o, ARRAY_LEN(o));
    uint32_t sent = 0;
    for (uint32_t t = 1; t <= 20000; t++) {
        uint32_t before = seen(c, &c->n_results);
        while (!hand_over(inst, t, t % 10 ? CGW_LANE_BULK : CGW_LANE_URGENT, 60000) &&
               wait_for(c, &c->n_results, before + 1))
            before = seen(c, &c->n_results);
        sent++;
    }
    ok(sent == 20000 && wait_for(c, &c->n_results, 20000), "20,000 messages get a result",
       seen(c, &c->n_results));
    ok(each_once(c, 1, 20000), "each of them exactly once", 0);
    ok(seen(c, &c->by_result[CGW_RES_REFUSED]) > 200 &&
           seen(c, &c->by_result[CGW_RES_REFUSED]) < 600,
       "the refused share is as configured", seen(c, &c->by_result[CGW_RES_REFUSED]));
    ok(seen(c, &c->by_result[CGW_RES_UNKNOWN]) > 100 && !seen(c, &c->by_result[CGW_RES_NOT_SENT]),
       "nothing expired while the window was busy", seen(c, &c->by_result[CGW_RES_NOT_SENT]));
    ok(wait_for(c, &c->n_receipts, seen(c, &c->by_result[CGW_RES_ACCEPTED])),
       "every accepted message gets its receipt", seen(c, &c->n_receipts));
    ok(seen(c, &c->n_failed_receipts) > 500, "some receipts say FAILED",
       seen(c, &c->n_failed_receipts));
    struct instance_stats st;
    instance_stats(inst, &st);
    ok(st.submitted == 20000 && st.completed == 20000 && !st.taken && !st.waiting[0] &&
           !st.double_completions,
       "the books are even", (long long)st.completed);
    ok(instance_counter(inst, 0) == 20000, "the plugin's own counter says so too",
       (long long)instance_counter(inst, 0));
    (void)instance_free(inst);
    free(c);
}

static void gives_back_what_is_not_taken_in_time(void)
{
    struct core *c = core_new();
    /* all are handed over before the first is answered, though the machine pauses for 2 s */
    const struct conf_pair o[] = {{"window", "2"}, {"delay_ms", "4000"}};
    struct plugin_instance *inst = open_instance(loopback, c, o, ARRAY_LEN(o));
    for (uint32_t t = 1; t <= 20; t++)
        (void)hand_over(inst, t, CGW_LANE_BULK, t == 1 ? 60000 : 60);
    ok(wait_for(c, &c->by_result[CGW_RES_NOT_SENT], 19) && wait_for(c, &c->n_results, 20),
       "19 messages beyond the window come back NOT_SENT",
       seen(c, &c->by_result[CGW_RES_NOT_SENT]));
    ok(seen(c, &c->by_result[CGW_RES_ACCEPTED]) == 1 && each_once(c, 1, 20),
       "the one that was taken is answered later", seen(c, &c->by_result[1]));
    (void)instance_free(inst);
    free(c);
}

static void keeps_order_and_urgent_first(void)
{
    struct core *c = core_new();
    const struct conf_pair o[] = {{"window", "4"}, {"delay_ms", "200"}};
    struct plugin_instance *inst = open_instance(loopback, c, o, ARRAY_LEN(o));
    /* no result is taken, so none makes room, before the urgent one is there */
    (void)pthread_mutex_lock(&c->lock);
    for (uint32_t t = 1; t <= 30; t++)
        (void)hand_over(inst, t, CGW_LANE_BULK, 60000);
    (void)hand_over(inst, 1000, CGW_LANE_URGENT, 60000);
    (void)pthread_mutex_unlock(&c->lock);
    ok(wait_for(c, &c->n_results, 31), "all are answered", seen(c, &c->n_results));
    uint32_t urgent_at = 31, in_order = 1, last = 0;
    for (uint32_t i = 0; i < 31; i++) {
        if (c->order[i] == 1000)
            urgent_at = i;
        else
            in_order &= c->order[i] > last, last = (uint32_t)c->order[i];
    }
    ok(urgent_at < 12, "the urgent one overtakes the bulk", urgent_at);
    ok(in_order, "bulk keeps its order", last);
    (void)instance_free(inst);
    free(c);
}

static void shares_credit_by_reservation(void)
{
    struct core *c = core_new();
    /* longer than a pause between the two that give the same token */
    const struct conf_pair o[] = {{"window", "100"}, {"delay_ms", "5000"}};
    struct plugin_instance *inst = open_instance(loopback, c, o, ARRAY_LEN(o));
    ok(instance_credit(inst, CGW_LANE_BULK) == 90 && instance_credit(inst, CGW_LANE_URGENT) == 100,
       "a tenth is kept for urgent", instance_credit(inst, CGW_LANE_BULK));
    ok(instance_reserve(inst, CGW_LANE_BULK, 60) == 60 &&
           instance_reserve(inst, CGW_LANE_BULK, 60) == 30,
       "two dispatchers cannot reserve the same credit", instance_credit(inst, CGW_LANE_BULK));
    ok(instance_credit(inst, CGW_LANE_BULK) == 0, "reserved credit is not free",
       instance_credit(inst, CGW_LANE_BULK));
    instance_unreserve(inst, CGW_LANE_BULK, 90);
    ok(instance_credit(inst, CGW_LANE_BULK) == 90, "given back, it is",
       instance_credit(inst, CGW_LANE_BULK));
    ok(hand_over(inst, 5, 0, 60000) && !hand_over(inst, 5, 0, 60000),
       "a token in flight is not taken twice", 0);
    uint64_t t = 5;
    instance_cancel(inst, &t, 1);
    ok(wait_for(c, &c->n_results, 1) && each_once(c, 5, 5), "and is answered once", 0);
    (void)instance_free(inst);
    free(c);
}

static void answers_inbound_only_when_stored(void)
{
    struct core *c = core_new();
    struct plugin_instance *inst = open_instance(loopback, c, NULL, 0);
    static const char body[] = "+99900000001 10086 STOP ALL";
    struct cgw_http_request req = {.size = sizeof req,
                                   .id = 77,
                                   .method = "POST",
                                   .path = "/inbound",
                                   .query = "",
                                   .body = body,
                                   .body_len = sizeof body - 1};
    int route = instance_route(inst, "POST", "/inbound");
    ok(route == 0 && instance_route(inst, "GET", "/inbound") == -2 &&
           instance_route(inst, "GET", "/") == -1,
       "routes are found", route);
    ok(!instance_http(inst, 0, &req) && wait_for(c, &c->n_inbound, 1) && !seen(c, &c->n_replies),
       "an inbound message is passed on, unanswered", seen(c, &c->n_replies));
    ok(!strcmp(c->text, "+99900000001|10086|STOP ALL"), "with sender, recipient and text", 0);
    uint64_t ack = c->last_ack;
    instance_stored(inst, &ack, 1);
    ok(wait_for(c, &c->n_replies, 1) && seen(c, &c->reply_status) == 200,
       "stored rows let it be answered 200", seen(c, &c->reply_status));
    /* in a process of its own the first refused one waits on the way: plugin_isolated has that */
    uint32_t refused = !instance_plugin(inst)->isolated;
    set_refuse(c, true);
    ok(!refused || (!instance_http(inst, 0, &req) && wait_for(c, &c->n_replies, 2) &&
                    seen(c, &c->reply_status) == 503),
       "what the core refuses is answered 503", seen(c, &c->reply_status));
    set_refuse(c, false);
    req.body = "nonsense";
    req.body_len = 8;
    ok(!instance_http(inst, 0, &req) && wait_for(c, &c->n_replies, 2 + refused) &&
           seen(c, &c->reply_status) == 400,
       "nonsense is answered 400", seen(c, &c->reply_status));
    req.body_len = CGW_BODY_MAX + 4097u; /* the route takes one byte less */
    ok(instance_http(inst, 0, &req) == CGW_ELIMIT && instance_http(inst, 1, &req) == CGW_ENOTFOUND,
       "limits are kept before the plugin", 0);
    req.body = body;
    req.body_len = sizeof body - 1;
    ok(!instance_http(inst, 0, &req) && wait_for(c, &c->n_inbound, 2),
       "one request stays unanswered", seen(c, &c->n_inbound));
    (void)instance_free(inst);
    ok(seen(c, &c->n_replies) == 3 + refused && seen(c, &c->reply_status) == 503,
       "and is answered 503 when the instance goes", seen(c, &c->reply_status));
    free(c);
}

static void drains_and_gives_back(void)
{
    struct core *c = core_new();
    const struct conf_pair o[] = {{"window", "10"}, {"delay_ms", "5000"}};
    struct plugin_instance *inst = open_instance(loopback, c, o, ARRAY_LEN(o));
    for (uint32_t t = 1; t <= 30; t++)
        (void)hand_over(inst, t, CGW_LANE_BULK, 60000);
    while (instance_credit(inst, CGW_LANE_BULK)) /* until the plugin has its nine */
        (void)pthread_mutex_lock(&c->lock), (void)pthread_mutex_unlock(&c->lock);
    struct cgw_health h;
    instance_health(inst, &h);
    ok(h.up == 1 && h.window == 10, "health is asked on the loop", h.window_used);
    instance_drain(inst, clock_mono_ms() + 4000); /* before the answers, after a pause */
    ok(!instance_drain_wait(inst), "drained before the deadline", 0);
    ok(seen(c, &c->n_results) == 30 && each_once(c, 1, 30) &&
           seen(c, &c->by_result[CGW_RES_NOT_SENT]) >= 20,
       "waiting messages come back NOT_SENT", seen(c, &c->by_result[CGW_RES_NOT_SENT]));
    ok(!hand_over(inst, 99, CGW_LANE_BULK, 60000), "nothing enters a drained instance", 0);
    (void)instance_free(inst);
    free(c);
}

/* Until the plugin itself has them: what still waits in its process is given back, rightly. */
static bool in_hand(struct plugin_instance *inst, uint32_t n)
{
    const struct timespec blink = {.tv_nsec = 5000000};
    struct cgw_health h = {0};
    for (int64_t until = clock_mono_ms() + WAIT_MS; clock_mono_ms() < until;) {
        instance_health(inst, &h);
        if (h.window_used == n)
            return true;
        (void)nanosleep(&blink, NULL);
    }
    return false;
}

static void survives(const char *sin, uint32_t want_result,
                     uint64_t (*figure)(const struct instance_stats *), const char *what)
{
    struct core *c = core_new();
    const struct conf_pair o[] = {{"sin", sin}};
    struct plugin_instance *inst = open_instance(rogue, c, o, 1);
    struct instance_stats st;
    for (uint32_t t = 1; t <= 10; t++)
        (void)hand_over(inst, t, CGW_LANE_BULK, 60000);
    if (want_result != CGW_RES_UNKNOWN)
        (void)wait_for(c, &c->n_results, 10);
    else
        (void)in_hand(inst, 10);
    /* only who never says drained meets the deadline */
    instance_drain(inst, clock_mono_ms() + (strcmp(sin, "never_drained") ? 5000 : 0));
    int rc = instance_drain_wait(inst);
    struct cgw_health h;
    instance_health(inst,
                    &h); /* a turn of the loop: what drain() did behind drained() is done too */
    instance_stats(inst, &st);
    (void)instance_free(inst);
    ok(seen(c, &c->n_results) == 10 && seen(c, &c->by_result[want_result]) == 10 && figure(&st) &&
           (rc != 0) == !strcmp(sin, "never_drained"),
       what, (long long)figure(&st));
    free(c);
}

static uint64_t doubles(const struct instance_stats *s)
{
    return s->double_completions;
}
static uint64_t unknowns(const struct instance_stats *s)
{
    return s->unknown_tokens;
}
static uint64_t lates(const struct instance_stats *s)
{
    return s->late_completions;
}
static uint64_t slows(const struct instance_stats *s)
{
    return s->slow_ops;
}
static uint64_t completed(const struct instance_stats *s)
{
    return s->completed;
}

/* Loaded here, or run in a process per instance: the same promises. */
static int get(const char *path, bool isolated, struct plugin **ret, struct diag *d)
{
    const struct conf_isolation how = {.process = true};
    return isolated ? isolate_describe(path, &how, ret, d) : plugin_load(path, ret, d);
}

int main(int argc, char **argv)
{
    struct plugin *p = NULL;
    struct diag d = {0};
    bool isolated = argc == 4 && !strcmp(argv[3], "isolated");
    if (argc < 3 || get(argv[1], isolated, &p, &d)) {
        (void)fprintf(stderr, "usage: plugin_host LOOPBACK.so ROGUE.so [isolated]: %s\n", d.text);
        return 2;
    }
    loopback = p;
    if (get(argv[2], isolated, &p, &d)) {
        (void)fprintf(stderr, "%s\n", d.text);
        return 2;
    }
    rogue = p;
    (void)alarm(300); /* whatever hangs */
    host_metrics_register();
    never_loses_a_wake();
    settles_each_message_once();
    gives_back_what_is_not_taken_in_time();
    keeps_order_and_urgent_first();
    shares_credit_by_reservation();
    answers_inbound_only_when_stored();
    drains_and_gives_back();
    survives("double", CGW_RES_DELIVERED, doubles, "second completions are dropped and counted");
    survives("unknown_token", CGW_RES_DELIVERED, unknowns,
             "unknown tokens are dropped and counted");
    survives("late", CGW_RES_DELIVERED, lates, "completions after drained are dropped and counted");
    survives("slow", CGW_RES_DELIVERED, slows, "slow operations are counted");
    survives("silent", CGW_RES_UNKNOWN, completed,
             "what a plugin never settles becomes UNKNOWN at the drain");
    survives("never_drained", CGW_RES_DELIVERED, completed,
             "a plugin that never says drained is overruled");
    printf("1..%u\n", n_tests);
    return n_failed != 0;
}
