/* SPDX-License-Identifier: Apache-2.0 */
/* plugin_check_campaign.c - the contract of campaign plugins, clause by clause: pure, replayable,
 * unimpressed by odd content. Source: the promises in cgw/campaign.h. */
#include "plugin_check_campaign.h"

#include "content/params.h"
#include "content/render.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N_CUSTOMERS 3u
#define N_ROWS_MAX 64u
#define OUT_MAX 1024u

static uint32_t builder_fails, builder_calls;

/* Books a call. \return whether it is refused. */
static bool out_refuses(struct cgw_out *out)
{
    out->n_calls++;
    out->calls_refused += out->full;
    if (out->calls_refused > REFUSED_MAX) /* a loop without end: the clause's hint says so */
        abort();
    return out->full;
}

static int out_propose(struct cgw_out *out, const struct cgw_proposal *p)
{
    if (out_refuses(out))
        return CGW_ELIMIT;
    buf_printf(&out->text, "propose %llu %u %u %d %lld\n", (unsigned long long)p->customer,
               p->channel, p->content, (int)p->weight, (long long)p->not_before_utc_ms);
    return ++out->n_proposals > OUT_MAX ? CGW_ELIMIT : 0;
}
static int out_state(struct cgw_out *out, uint64_t customer, const void *state, uint32_t len)
{
    if (out_refuses(out))
        return CGW_ELIMIT;
    buf_printf(&out->text, "state %llu %u ", (unsigned long long)customer, len);
    if (len <= CGW_STATE_MAX)
        buf_put(&out->text, state, len);
    return len <= CGW_STATE_MAX ? 0 : CGW_ELIMIT;
}
static int out_timer(struct cgw_out *out, uint64_t customer, const char *name, int64_t at_utc_ms)
{
    if (out_refuses(out))
        return CGW_ELIMIT;
    buf_printf(&out->text, "timer %llu %s %lld\n", (unsigned long long)customer, name,
               (long long)at_utc_ms);
    return 0;
}
static int out_total(struct cgw_out *out, const char *name, int64_t delta)
{
    if (out_refuses(out))
        return CGW_ELIMIT;
    buf_printf(&out->text, "total %s %lld\n", name, (long long)delta);
    return 0;
}

void bench_builder_fails_at(uint32_t nth)
{
    builder_fails = nth;
    builder_calls = 0;
}

uint32_t bench_builder_calls(void)
{
    return builder_calls;
}

static bool builder_refuses(void)
{
    uint32_t nth = __atomic_add_fetch(&builder_calls, 1, __ATOMIC_RELAXED);
    return builder_fails && nth >= builder_fails;
}

static int bench_add_template(struct cgw_builder *b, uint32_t i, uint32_t role, const char *mime,
                              const char *tmpl, uint32_t len)
{
    return builder_refuses() ? CGW_ELIMIT
                             : render_campaign_host()->add_template(b, i, role, mime, tmpl, len);
}

static int bench_add_part(struct cgw_builder *b, uint32_t i, const struct cgw_part *part)
{
    return builder_refuses() ? CGW_ELIMIT : render_campaign_host()->add_part(b, i, part);
}

static struct cgw_campaign_host bench_host;

static void fill_host(void)
{
    bench_host = *render_campaign_host();
    bench_host.add_template = bench_add_template;
    bench_host.add_part = bench_add_part;
    bench_host.propose = out_propose;
    bench_host.set_state = out_state;
    bench_host.set_timer = out_timer;
    bench_host.add_total = out_total;
}

static const struct cgw_campaign_host *host(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT; /* a clause has several threads */
    (void)pthread_once(&once, fill_host);
    return &bench_host;
}

static const char *const fields[] = {"name", "city"};
static const uint32_t channels[] = {CGW_CHANNEL_SMS, CGW_CHANNEL_MMS, CGW_CHANNEL_VOICE,
                                    CGW_CHANNEL_EMAIL, CGW_CHANNEL_TASK};

int open_bench(const struct checker *k, uint32_t channel, const char *content, struct bench *b,
               char *why)
{
    struct diag d = {0};
    *b = (struct bench){0};
    if (campaign_plugin_new(k->plugin, host(), &b->plugin, &d)) {
        (void)check_fail(why, "create: %s", d.text);
        return -1;
    }
    if (render_run_new("cmp_check", channel, content, strlen(content), fields, ARRAY_LEN(fields),
                       &b->run, &d)) {
        b->plugin = campaign_plugin_free(b->plugin);
        return 1; /* not for the plugin to see: the gateway refuses such content itself */
    }
    return 0;
}

void close_bench(struct bench *b)
{
    (void)render_run_free(b->run);
    (void)campaign_plugin_free(b->plugin);
}

/* ---- validate
 * ------------------------------------------------------------------------------------------------------------------------------
 */

static const char *const odd_contents[] = {
    "{}",
    "{\"text\":\"\"}",
    "{\"text\":\"   \"}",
    "{\"text\":5,\"subject\":[],\"html\":{},\"flow\":null}",
    "{\"text\":\"{{nobody}}\"}",
    "{\"text\":\"{{name\"}",
    "{\"text\":\"\\u0000\"}",
    "{\"text\":\"%s%n\",\"subject\":\"a\\r\\nb\",\"html\":\"<\",\"flow\":\"{\"}",
    "{\"a\":{\"b\":{\"c\":{\"d\":[1,2,3]}}},\"waves\":[{}],\"days\":-1}",
};

static enum verdict judge_once(const struct bench *b, const char *content, char *why)
{
    struct diag one = {0}, two = {0};
    int a = campaign_validate(b->plugin, b->run, &one),
        again = campaign_validate(b->plugin, b->run, &two);
    if (a != again || strcmp(one.text, two.text) != 0)
        return check_fail(why, "content %.80s is judged differently the second time (%d, then %d)",
                          content, a, again);
    if (a && !strcmp(one.text, campaign_plugin_of(b->plugin)->desc.name))
        return check_fail(why, "content %.80s is refused without a sentence in diag->text",
                          content);
    if (a && one.where[0] && one.where[0] != '/')
        return check_fail(why, "content %.80s: diag->where is \"%.40s\", not a JSON pointer",
                          content, one.where);
    return CHECK_PASS;
}

static enum verdict validate_explains(const struct checker *k, char *why)
{
    enum verdict v = CHECK_PASS;
    for (size_t c = 0; c < ARRAY_LEN(channels); c++)
        for (size_t i = 0; i < ARRAY_LEN(odd_contents) && v == CHECK_PASS; i++) {
            struct bench b;
            int rc = open_bench(k, channels[c], odd_contents[i], &b, why);
            if (rc < 0)
                return CHECK_FAIL;
            if (rc > 0)
                continue;
            v = judge_once(&b, odd_contents[i], why);
            close_bench(&b);
        }
    return v;
}

static enum verdict create_twice(const struct checker *k, char *why)
{
    struct campaign_plugin *a = NULL, *b = NULL;
    struct diag d = {0};
    for (int i = 0; i < 2; i++) {
        if (campaign_plugin_new(k->plugin, host(), &a, &d))
            return check_fail(why, "create: %s", d.text);
        a = campaign_plugin_free(a);
    }
    if (campaign_plugin_new(k->plugin, host(), &a, &d) ||
        campaign_plugin_new(k->plugin, host(), &b, &d))
        return check_fail(why, "create: %s", d.text);
    (void)campaign_plugin_free(b);
    (void)campaign_plugin_free(a);
    return CHECK_PASS;
}

/* What most plugins take; the first that this one does is used. */
static const char *const usual_contents[] = {
    "{\"text\":\"Hello {{name|friend}}\"}",
    "{\"subject\":\"Hello {{name|friend}}\",\"text\":\"Hello {{name|friend}}\",\"html\":"
    "\"<p>{{name|friend}}</p>\"}",
    "{\"flow\":{\"say\":\"{{name|friend}}\"}}",
    "{\"text\":\"Hello {{name|friend}}\",\"subject\":\"Hello {{name|friend}}\",\"html\":"
    "\"<p>{{name|friend}}</p>\",\"flow\":{\"say\":\"{{name|friend}}\"}}",
};

/* The first content and channel that the plugin finds valid. */
enum verdict open_valid(const struct checker *k, struct bench *b, char *why)
{
    char last[CHECK_WHY_MAX] = "";
    size_t n_contents = k->content ? 1 : ARRAY_LEN(usual_contents);
    for (size_t c = 0; c < ARRAY_LEN(channels) * n_contents; c++) {
        struct diag d = {0};
        const char *content = k->content ? k->content : usual_contents[c / ARRAY_LEN(channels)];
        int rc = open_bench(k, channels[c % ARRAY_LEN(channels)], content, b, why);
        if (rc < 0)
            return CHECK_FAIL;
        if (rc > 0)
            return check_fail(why, "the content given is not a JSON object that the gateway takes");
        if (!campaign_validate(b->plugin, b->run, &d))
            return CHECK_PASS;
        (void)snprintf(last, sizeof last, "%.90s %.200s", d.where, d.text);
        close_bench(b);
    }
    return check_skip(
        why, "the plugin takes the content for no channel (%.150s); give its own with --content",
        last);
}

/* ---- render
 * --------------------------------------------------------------------------------------------------------------------------------------
 */

/* A full row, one with an empty field, one without any. */
static const char *const params[N_CUSTOMERS] = {"Ann\x1fKowloon", "\x1fNairobi", ""};

static void describe(const struct cgw_builder *b, uint32_t n, struct buf *out)
{
    for (uint32_t i = 0; i < n; i++) {
        const struct render_message *m = render_builder_message(b, i);
        buf_printf(out, "message %u rc %d parts %u\n", i, m->rc, m->n_parts);
        for (uint32_t p = 0; p < m->n_parts; p++) {
            buf_printf(out, "role %u mime %s: ", m->parts[p].role, m->parts[p].mime);
            buf_put(out, m->parts[p].body, m->parts[p].media ? 0 : m->parts[p].len);
            buf_putc(out, '\n');
        }
    }
}

int render_rows(const struct bench *b, const char *const *rows, uint32_t n, struct buf *out,
                uint32_t *empty)
{
    struct arena arena;
    struct cgw_builder *builder = NULL;
    uint32_t lens[N_ROWS_MAX];
    struct diag d = {0};
    arena_init(&arena, 16u << 20);
    for (uint32_t i = 0; i < n; i++)
        lens[i] = (uint32_t)strlen(rows[i]);
    int rc = render_builder_new(b->run, &arena, rows, lens, n, &builder, &d);
    for (uint32_t i = 0; i < n && !rc; i++)
        render_builder_set_customer(builder, i, i + 1, i ? "" : "en");
    if (!rc && !(rc = campaign_render(b->plugin, b->run, 0, render_builder_customers(builder), n,
                                      builder))) {
        describe(builder, n, out);
        for (uint32_t i = 0; i < n; i++)
            *empty += !render_builder_message(builder, i)->rc &&
                      !render_builder_message(builder, i)->n_parts;
    }
    if (builder)
        render_builder_free(builder);
    arena_done(&arena);
    return rc;
}

static int render_once(const struct bench *b, uint32_t n, struct buf *out, uint32_t *empty)
{
    return render_rows(b, params, n, out, empty);
}

enum verdict campaign_render_some(const struct checker *k, uint32_t *ret_n, char *why)
{
    struct bench b;
    struct buf out;
    uint32_t empty = 0;
    enum verdict v = open_valid(k, &b, why);
    if (v != CHECK_PASS)
        return v;
    buf_init(&out, 32u << 20);
    for (int i = 0; i < 1000 && v == CHECK_PASS; i++) {
        buf_reset(&out);
        int rc = render_once(&b, N_CUSTOMERS, &out, &empty);
        v = rc ? check_fail(why, "valid content does not render (%d)", rc) : v;
        *ret_n += N_CUSTOMERS;
    }
    buf_done(&out);
    close_bench(&b);
    return v;
}

static enum verdict render_is_pure(const struct checker *k, char *why)
{
    struct bench b;
    struct buf one, two;
    uint32_t empty = 0;
    enum verdict v = open_valid(k, &b, why);
    if (v != CHECK_PASS)
        return v;
    buf_init(&one, 32u << 20);
    buf_init(&two, 32u << 20);
    int rc = render_once(&b, N_CUSTOMERS, &one, &empty);
    int again = render_once(&b, N_CUSTOMERS, &two, &empty);
    if (rc || again)
        v = check_fail(why,
                       "valid content does not render (%d); a missing field of one customer must "
                       "not stop the others",
                       rc ? rc : again);
    else if (one.len != two.len || memcmp(buf_str(&one), buf_str(&two), one.len) != 0)
        v = check_fail(why, "the same content renders differently the second time");
    else if (empty)
        v = check_fail(why, "render() answers 0 but added no part to %u messages", empty / 2);
    buf_done(&one);
    buf_done(&two);
    close_bench(&b);
    return v;
}

static enum verdict render_of_nobody(const struct checker *k, char *why)
{
    struct bench b;
    struct buf out;
    uint32_t empty = 0;
    enum verdict v = open_valid(k, &b, why);
    if (v != CHECK_PASS)
        return v;
    buf_init(&out, 1u << 20);
    int rc = render_once(&b, 0, &out, &empty);
    buf_done(&out);
    close_bench(&b);
    return rc ? check_fail(why, "render() of 0 customers answers %d instead of 0", rc) : CHECK_PASS;
}

/* ---- step and scan
 * ----------------------------------------------------------------------------------------------------------------------------------
 */

static int step_once(const struct bench *b, struct buf *ret)
{
    static const struct cgw_field some[] = {{"name", "Ann", 3}};
    struct cgw_item items[8];
    struct cgw_out out = {.n_proposals = 0};
    uint32_t n = 0;
    for (uint32_t kind = CGW_ITEM_RECIPIENT; kind <= CGW_ITEM_TIMER; kind++)
        for (uint32_t full = 0; full < 2; full++) {
            items[n] = (struct cgw_item){
                .size = sizeof items[0],
                .kind = kind,
                .at_utc_ms = 1800000000000,
                .channel = CGW_CHANNEL_SMS,
                .customer = {.size = sizeof(struct cgw_customer),
                             .id = n + 1,
                             .n_fields = full,
                             .fields = full ? some : NULL,
                             .lang = ""},
                .result = kind == CGW_ITEM_OUTCOME ? CGW_RES_DELIVERED : 0,
                .text = kind == CGW_ITEM_RESPONSE ? "1" : "",
                .text_len = kind == CGW_ITEM_RESPONSE,
                .state = full ? "odd state" : "",
                .state_len = full ? 9 : 0,
                .timer = kind == CGW_ITEM_TIMER ? "no-such-timer" : "",
            };
            n++;
        }
    buf_init(&out.text, 4u << 20);
    int rc = campaign_step(b->plugin, b->run, items, n, &out);
    buf_printf(&out.text, "rc %d\n", rc);
    *ret = out.text;
    return rc;
}

static enum verdict step_is_pure(const struct checker *k, char *why)
{
    struct bench b;
    struct buf one, two;
    if (!k->plugin->campaign.step)
        return check_skip(why, "no step()");
    enum verdict v = open_valid(k, &b, why);
    if (v != CHECK_PASS)
        return v;
    (void)step_once(&b, &one);
    (void)step_once(&b, &two);
    if (one.len != two.len || memcmp(buf_str(&one), buf_str(&two), one.len) != 0)
        v = check_fail(why,
                       "the same items lead to other proposals, states or timers the second time");
    buf_done(&one);
    buf_done(&two);
    close_bench(&b);
    return v;
}

static enum verdict scan_is_bounded(const struct checker *k, char *why)
{
    struct bench b;
    struct cgw_out out = {.n_proposals = 0};
    if (!k->plugin->campaign.scan)
        return check_skip(why, "no scan()");
    enum verdict v = open_valid(k, &b, why);
    if (v != CHECK_PASS)
        return v;
    buf_init(&out.text, 4u << 20);
    int n = campaign_scan(b.plugin, b.run, 0, 5, &out);
    if (n > 5 || out.n_proposals > 5)
        v = check_fail(why, "scan() of at most 5 says %d and wrote %u", n, out.n_proposals);
    buf_done(&out.text);
    close_bench(&b);
    return v;
}

const struct clause campaign_clauses[] = {
    {"create.twice", create_twice, NULL, "cgw/campaign.h: One object per process and plugin."},
    {"validate.explains_and_repeats", validate_explains, NULL,
     "cgw/campaign.h: diag->where is a JSON pointer."},
    {"render.repeats", render_is_pure, NULL,
     "cgw/campaign.h: Every operation is a pure function of its arguments (replayable)"},
    {"render.of_nobody", render_of_nobody, NULL,
     "cgw/campaign.h: Content for n customers: add parts to messages 0..n-1 of the builder."},
    {"step.repeats", step_is_pure, NULL,
     "cgw/campaign.h: Every operation is a pure function of its arguments (replayable)"},
    {"scan.bounded", scan_is_bounded, NULL, "cgw/campaign.h: how many of `max` it wrote."},
    {0},
};
