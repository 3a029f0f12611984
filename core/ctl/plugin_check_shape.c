/* SPDX-License-Identifier: Apache-2.0 */
/* plugin_check_shape.c - what comes from outside in every shape: contents nobody would write, media
 * that vanish, options at their limits, many threads that judge, requests of an enemy. */
#include "plugin_check_core.h"
#include "plugin_check_sabotage.h"

#include "base/clock.h"
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DRAIN_MS 1500
#define THREADS 8u
#define ROUNDS 40u
#define JUDGE_MS 4000 /* beneath valgrind the rounds end earlier */
#define REQUEST_MS 5000

/* ---- contents
 * --------------------------------------------------------------------------------------------- */

static enum verdict odd_are_settled(const struct checker *k, char *why)
{
    struct core c;
    struct plugin_instance *inst = NULL;
    struct cgw_message odd[CHECK_ODD_MAX];
    struct cgw_check checks[CHECK_ODD_MAX];
    sabotage_services(k);
    atomic_store(&sabotage.media_bytes, -1);
    if (open_started(k, &c, &inst, why))
        return CHECK_FAIL;
    uint32_t n = check_odd_messages(odd, k->plugin->caps.channel, k->plugin->caps.address_kind),
             taken = 0;
    instance_check(inst, odd, n, checks);
    for (uint32_t i = 0; i < n; i++) {
        odd[i].token = i + 1;
        odd[i].submit_before_mono_ms = clock_mono_ms() + 300;
        odd[i].not_after_utc_ms = INT64_MAX / 2;
        odd[i].contact_class = CGW_CLASS_SERVICE;
        taken += instance_submit(inst, &odd[i], 1);
    }
    (void)wait_for(&c, &c.n_results, taken, 800);
    enum verdict v = close_settled(&c, inst, taken, DRAIN_MS, why);
    for (uint32_t i = 0; i < n && v == CHECK_PASS; i++)
        if (checks[i].code && c.last[i + 1] == CGW_RES_ACCEPTED)
            v = check_fail(why, "check() refuses odd message %u (%.100s), submit() accepts it", i,
                           checks[i].text);
    return v;
}

static enum verdict media_vanish(const struct checker *k, char *why)
{
    static const struct {
        int64_t bytes, left;
        const char *when;
    } stages[] = {{-1, 0, "before it is asked for"},
                  {1000000, 0, "after its size was told"},
                  {1000000, 5000, "while it is read"},
                  {INT64_MAX, 5000, "and lies about its size"}};
    struct cgw_part media = {.role = CGW_ROLE_MEDIA, .mime = "image/png", .name = "a.png"};
    if (!(k->plugin->caps.role_mask & 1u << CGW_ROLE_MEDIA))
        return check_skip(why, "no media are sent");
    sabotage_services(k);
    for (size_t i = 0; i < ARRAY_LEN(stages); i++) {
        struct core c;
        struct plugin_instance *inst = NULL;
        struct cgw_part part, parts[2];
        struct cgw_message m;
        char inner[CHECK_WHY_MAX];
        atomic_store(&sabotage.media_bytes, stages[i].bytes);
        atomic_store(&sabotage.media_left, stages[i].left);
        atomic_store(&sabotage.media_reads, 0);
        if (open_started(k, &c, &inst, why))
            return CHECK_FAIL;
        check_plain_message(&m, &part, &k->plugin->caps, 1, CGW_LANE_BULK, clock_mono_ms() + 200);
        parts[0] = part;
        parts[1] = media;
        parts[1].media = 7 + i;
        m.parts = parts;
        m.n_parts = 2;
        uint32_t n = instance_submit(inst, &m, 1);
        (void)wait_for(&c, &c.n_results, n, 300);
        if (close_settled(&c, inst, n, DRAIN_MS, inner) != CHECK_PASS)
            return check_within(why, "the media handle vanishes %s: %.200s", stages[i].when, inner);
        if (atomic_load(&sabotage.media_reads) && c.last[1] == CGW_RES_ACCEPTED)
            return check_fail(why, "the media handle vanishes %s: sent without it", stages[i].when);
    }
    return CHECK_PASS;
}

/* ---- many judges
 * ------------------------------------------------------------------------------------------ */

struct judge {
    const struct plugin_instance *inst;
    const struct cgw_message *msgs;
    const struct cgw_check *right;
    uint32_t n, seed, wrong, unanswered;
    bool isolated;
};

/* The gateway's own word for an isolated one that did not answer in time. */
static bool no_answer(bool isolated, const struct cgw_check *c)
{
    return isolated && c->code == CGW_EBUSY;
}

static bool same(const struct cgw_check *a, const struct cgw_check *b)
{
    return a->code == b->code && a->segments == b->segments && a->units == b->units &&
           !strcmp(a->text, b->text);
}

static void *judge_often(void *arg)
{
    struct judge *j = arg;
    struct cgw_check got;
    int64_t until = clock_mono_ms() + JUDGE_MS;
    for (uint32_t round = 0; round < ROUNDS && clock_mono_ms() < until; round++)
        for (uint32_t i = 0; i < j->n; i++) {
            uint32_t at = (i * 7 + j->seed + round) % j->n;
            instance_check(j->inst, &j->msgs[at], 1, &got);
            if (no_answer(j->isolated, &got))
                j->unanswered++;
            else
                j->wrong += !same(&got, &j->right[at]);
        }
    return NULL;
}

static enum verdict many_judges(const struct checker *k, char *why)
{
    struct core c;
    struct plugin_instance *inst = NULL;
    struct cgw_message msgs[CHECK_ODD_MAX];
    struct cgw_check right[CHECK_ODD_MAX];
    struct judge j[THREADS];
    pthread_t t[THREADS];
    uint32_t wrong = 0, unanswered = 0;
    if (open_started(k, &c, &inst, why))
        return CHECK_FAIL;
    uint32_t n = check_odd_messages(msgs, k->plugin->caps.channel, k->plugin->caps.address_kind);
    instance_check(inst, msgs, n, right);
    for (uint32_t i = 0; i < n; i++)
        unanswered += no_answer(k->isolated, &right[i]);
    for (uint32_t i = 0; i < THREADS; i++) {
        j[i] = (struct judge){inst, msgs, right, n, i, 0, 0, k->isolated};
        if (pthread_create(&t[i], NULL, judge_often, &j[i]))
            return check_fail(why, "no %u threads", THREADS);
    }
    uint32_t handed = hand_over_some(k, inst, 1, 40, 150); /* the loop is busy meanwhile */
    for (uint32_t i = 0; i < THREADS; i++) {
        (void)pthread_join(t[i], NULL);
        wrong += j[i].wrong;
        unanswered += j[i].unanswered;
    }
    (void)wait_for(&c, &c.n_results, handed, 300);
    enum verdict v = close_settled(&c, inst, handed, DRAIN_MS, why);
    if (unanswered)
        return check_late(why, "%u verdicts did not come when %u threads judge at once", unanswered,
                          THREADS);
    return wrong ? check_fail(why, "%u of %u verdicts differ when %u threads judge at once", wrong,
                              THREADS * ROUNDS * n, THREADS)
                 : v;
}

/* ---- options at their limits, and a life with each
 * -------------------------------------------------------- */

static enum verdict life_with(const struct checker *k, const char *key, const char *value,
                              char *why)
{
    struct conf_pair pairs[CHECK_PAIRS_MAX + 1];
    struct plugin_instance *inst = NULL;
    struct core c;
    struct diag d = {0};
    char inner[CHECK_WHY_MAX];
    size_t n = 0;
    for (size_t i = 0; i < k->n_pairs; i++)
        if (strcmp(k->pairs[i].key, key) != 0)
            pairs[n++] = k->pairs[i];
    pairs[n++] = (struct conf_pair){key, value};
    core_init(&c);
    if (open_with(k, pairs, n, &c, &inst, &d))
        return CHECK_PASS; /* refused with a sentence: create.explains_bad_options */
    if (instance_start(inst, &d)) {
        (void)instance_free(inst);
        return CHECK_PASS;
    }
    uint32_t handed = hand_over_some(k, inst, 1, 4, 20);
    (void)wait_for(&c, &c.n_results, handed, 30);
    return close_settled(&c, inst, handed, DRAIN_MS, inner) == CHECK_PASS
               ? CHECK_PASS
               : check_within(why, "option %s = \"%.40s\": %.200s", key, value, inner);
}

static enum verdict longest_text(const struct checker *k, const struct cgw_option *o, char *why)
{
    size_t n = o->max > 0 && o->max < CONF_TEXT_MAX ? (size_t)o->max : CONF_TEXT_MAX;
    bool list = o->type == CGW_OPT_LIST;
    char *text = calloc(1, n + 1);
    if (!text)
        return check_fail(why, "out of memory");
    memset(text, 'a', n);
    for (size_t i = 1, items = 1; list && i < n && items < CONF_ITEMS_MAX; i += 2, items++)
        text[i] = ',';
    enum verdict v = life_with(k, o->key, text, why);
    free(text);
    return v;
}

static enum verdict option_at_limits(const struct checker *k, const struct cgw_option *o, char *why)
{
    char text[64];
    enum verdict v = CHECK_PASS;
    if (o->flags & CGW_OPTF_SECRET)
        return v;
    if (o->type == CGW_OPT_STR || o->type == CGW_OPT_LIST)
        return longest_text(k, o, why);
    if (o->type != CGW_OPT_INT)
        return v;
    (void)snprintf(text, sizeof text, "%lld", (long long)o->min);
    v = life_with(k, o->key, text, why);
    (void)snprintf(text, sizeof text, "%lld", (long long)o->max);
    return v == CHECK_PASS && (o->min || o->max) ? life_with(k, o->key, text, why) : v;
}

static enum verdict options_at_limits(const struct checker *k, char *why)
{
    enum verdict v = CHECK_PASS;
    int64_t until = clock_mono_ms() + 20000; /* a plugin with many options ends in time as well */
    for (uint32_t i = 0; i < k->plugin->n_options && v == CHECK_PASS; i++)
        if (clock_mono_ms() < until)
            v = option_at_limits(k, &k->plugin->desc.options[i], why);
    return k->plugin->n_options ? v : check_skip(why, "no options");
}

/* ---- requests of an enemy
 * --------------------------------------------------------------------------------- */

#define X10(x) x x x x x x x x x x
static const struct hostile {
    const char *type, *query, *body;
} hostile[] = {
    {NULL, NULL, ""},
    {"text/xml", "",
     "<?xml version=\"1.0\"?><!DOCTYPE a [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><a>&e;</a>"},
    {"text/xml", "",
     "<!DOCTYPE a [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">"
     "<!ENTITY c \"&b;&b;&b;&b;&b;&b;&b;&b;\"><!ENTITY d \"&c;&c;&c;&c;&c;&c;\">]><a>&d;&d;</a>"},
    {"text/xml", "", X10(X10(X10("<a>")))},
    {"application/json", "", X10(X10(X10("[")))},
    {"application/json", "", "{\"a\":\"\\ud800\",\"a\":1e999,\"b\":-0}"},
    {"multipart/related; boundary=\"", "", "--\r\n\r\n"},
    {"multipart/mixed; boundary=b", "",
     "--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"},
    {"application/x-www-form-urlencoded", "a=%", "id=%ff%00&id=%&=&&status=" X10(X10("x"))},
    {"message/rfc822", "x=%s%n", "From: a\r\nFrom: b\r\n\r\n\0\xff"},
    {"text/plain\r\nX: y", "../../etc/passwd", "%s%s%n"},
};
static const char *const hostile_headers[] = {"Content-Length",    "-1",    "Host",   "",
                                              "X-Very-Long",       NULL,    "X\r\nY", "z",
                                              "Transfer-Encoding", "bogus", NULL};

static uint32_t ask_route(const struct checker *k, struct plugin_instance *inst, uint32_t route,
                          uint64_t *id)
{
    static char huge[8193];
    const char *headers[ARRAY_LEN(hostile_headers)];
    const struct cgw_http_route *r = &k->plugin->desc.routes[route];
    uint32_t asked = 0;
    memset(huge, 'x', sizeof huge - 1);
    memcpy(headers, hostile_headers, sizeof headers);
    headers[5] = huge;
    for (size_t i = 0; i < ARRAY_LEN(hostile); i++) {
        struct cgw_http_request req = {.size = sizeof req,
                                       .id = ++*id,
                                       .method = r->method,
                                       .path = r->path,
                                       .query = hostile[i].query,
                                       .content_type = hostile[i].type,
                                       .body = hostile[i].body,
                                       .body_len = (uint32_t)strlen(hostile[i].body),
                                       .headers = i & 1 ? headers : NULL};
        asked += !instance_http(inst, route, &req);
    }
    return asked;
}

static uint32_t ask_big(const struct checker *k, struct plugin_instance *inst, uint32_t route,
                        uint64_t *id)
{
    const struct cgw_http_route *r = &k->plugin->desc.routes[route];
    char *body = malloc(r->max_body ? r->max_body : 1);
    if (!body)
        return 0;
    memset(body, '<', r->max_body);
    struct cgw_http_request req = {.size = sizeof req,
                                   .id = ++*id,
                                   .method = r->method,
                                   .path = r->path,
                                   .query = "",
                                   .body = body,
                                   .body_len = r->max_body};
    uint32_t asked = !instance_http(inst, route, &req);
    free(body);
    return asked;
}

static enum verdict hostile_requests(const struct checker *k, char *why)
{
    struct core c;
    struct plugin_instance *inst = NULL;
    struct instance_stats st;
    uint32_t asked = 0;
    uint64_t id = 0;
    if (!k->plugin->n_routes)
        return check_skip(why, "no routes");
    if (open_started(k, &c, &inst, why))
        return CHECK_FAIL;
    c.refuse_offers = 2; /* a full gateway: 503, and the peer repeats */
    for (uint32_t route = 0; route < k->plugin->n_routes; route++) {
        asked += ask_route(k, inst, route, &id);
        asked += ask_big(k, inst, route, &id);
        if (!wait_for(&c, &c.n_replies, asked, REQUEST_MS)) {
            instance_stats(inst, &st);
            (void)instance_free(inst);
            return check_late(why, "%s %s: %u of %u hostile requests were not answered in %d s",
                              k->plugin->desc.routes[route].method,
                              k->plugin->desc.routes[route].path, st.http_outstanding, asked,
                              REQUEST_MS / 1000);
        }
    }
    c.hold_acks = true; /* the drain finds requests that wait for stored() */
    for (uint32_t route = 0; route < k->plugin->n_routes; route++)
        (void)ask_route(k, inst, route, &id);
    return close_settled(&c, inst, 0, DRAIN_MS, why);
}

static uint32_t odd_asks(struct cgw_ask *asks, uint32_t n)
{
    static char longest[CGW_PROVIDER_ID_MAX];
    memset(longest, 'f', sizeof longest - 1);
    for (uint32_t i = 0; i < n; i++)
        asks[i] = (struct cgw_ask){.size = sizeof asks[i],
                                   .peer_id = i % 3   ? longest
                                              : i % 2 ? ""
                                                      : "%n%s\r\n",
                                   .from = {i % 7, i % 7 ? 6 : 0, i % 7 ? "\xff\0\r\n<>" : NULL}};
    return n;
}

static void ask_everything(void *ch, void *arg)
{
    static struct cgw_ask asks[64];
    const struct checker *k = arg;
    k->plugin->channel.query(ch, asks, odd_asks(asks, ARRAY_LEN(asks)));
    k->plugin->channel.query(ch, asks, 0);
}

struct recalled {
    const struct checker *k;
    uint32_t most; /* taken beyond what was offered */
};

static void recall_everything(void *ch, void *arg)
{
    static struct cgw_ask asks[64];
    struct recalled *r = arg;
    uint32_t n = odd_asks(asks, ARRAY_LEN(asks)), taken = r->k->plugin->channel.recall(ch, asks, n);
    r->most = taken > n ? taken - n : r->most;
    taken = r->k->plugin->channel.recall(ch, asks, 0);
    r->most = taken > r->most ? taken : r->most;
}

static enum verdict query_anything(const struct checker *k, char *why)
{
    struct core c;
    struct plugin_instance *inst = NULL;
    if (!k->plugin->channel.query)
        return check_skip(why, "no query()");
    if (open_started(k, &c, &inst, why))
        return CHECK_FAIL;
    for (int i = 0; i < 20; i++)
        if (!sabotage_on_loop(inst, ask_everything, (void *)(uintptr_t)k))
            return check_fail(why, "query() does not come back");
    uint32_t n = hand_over_some(k, inst, 1, 8, 100);
    (void)wait_for(&c, &c.n_results, n, 200);
    return close_settled(&c, inst, n, DRAIN_MS, why);
}

/* Whatever it is asked to take back: a prefix is taken, and each message keeps its one result. */
static enum verdict recall_anything(const struct checker *k, char *why)
{
    struct core c;
    struct plugin_instance *inst = NULL;
    struct recalled r = {.k = k};
    if (!k->plugin->channel.recall)
        return check_skip(why, "no recall()");
    if (open_started(k, &c, &inst, why))
        return CHECK_FAIL;
    uint32_t n = hand_over_some(k, inst, 1, 8, 100);
    for (int i = 0; i < 20; i++)
        if (!sabotage_on_loop(inst, recall_everything, &r))
            return check_fail(why, "recall() does not come back");
    (void)wait_for(&c, &c.n_results, n, 200);
    if (r.most)
        return check_fail(why, "recall() takes %u more than it was offered", r.most);
    return close_settled(&c, inst, n, DRAIN_MS, why);
}

const struct clause shape_clauses[] = {
    {"submit.odd_contents_are_settled", odd_are_settled, NULL,
     "cgw/channel.h: check(): can this content be sent, and in how many pieces?"},
    {"media.may_vanish", media_vanish, NULL, "cgw/host.h: media_read: bytes read or CGW_E*"},
    {"check.by_many_threads", many_judges, "check() shares something between threads",
     "cgw/channel.h: Pure, any thread, also before start"},
    {"options.at_their_limits", options_at_limits, NULL,
     "cgw/plugin.h: min, max: INT: inclusive; STR: bytes"},
    {"routes.hostile_requests", hostile_requests, NULL,
     "cgw/host.h: Answer a callback request; exactly once per request."},
    {"query.anything", query_anything, NULL,
     "cgw/channel.h: Ask the peer about accepted messages; answers arrive as receipts."},
    {"recall.anything", recall_anything, NULL,
     "cgw/channel.h: Take a prefix of asks, never block."},
    {0},
};
