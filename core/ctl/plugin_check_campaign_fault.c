/* SPDX-License-Identifier: Apache-2.0 */
/* plugin_check_campaign_fault.c - campaign plugins on a bad day: fields that are missing or huge,
 * states of the greatest length, a builder and outputs that refuse, no memory, many threads; and
 * whether they look at anything but their arguments. */
#include "plugin_check_campaign.h"
#include "plugin_check_sabotage.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THREADS 4u
#define MEMORY_TRIES 200u

/* ---- rows
 * -------------------------------------------------------------------------------------------------
 */

static enum verdict rows_of_every_shape(const struct checker *k, char *why)
{
    static char longest[CGW_FIELD_MAX + 1];
    static const char *const odd[] = {"",
                                      "\x1f",
                                      "\x1f\x1f\x1f",
                                      "\xff\xfe\x1f\xc3",
                                      "{{name}}",
                                      "%s%n\x1f<script>",
                                      "\r\nX: y\x1f\x01",
                                      longest};
    struct bench b;
    enum verdict v = open_valid(k, &b, why);
    if (v != CHECK_PASS)
        return v;
    memset(longest, 'x', CGW_FIELD_MAX);
    for (size_t i = 0; i < ARRAY_LEN(odd) && v == CHECK_PASS; i++) {
        struct buf out;
        uint32_t empty = 0;
        const char *rows[] = {odd[i], "Ann\x1fKowloon"};
        buf_init(&out, 4u << 20);
        int rc = render_rows(&b, rows, ARRAY_LEN(rows), &out, &empty);
        if (rc > 0)
            v = check_fail(why, "row %zu: render() answers %d, which is no CGW_E*", i, rc);
        else if (rc == CGW_ENOTFOUND)
            v = check_fail(why, "row %zu lacks a field: that holds this person, not the others", i);
        buf_done(&out);
    }
    close_bench(&b);
    return v;
}

/* Together or one by one: a customer's message depends on nobody else's. */
static enum verdict rows_one_by_one(const struct checker *k, char *why)
{
    static const char *const rows[] = {"Ann\x1fKowloon", "Bob\x1fLagos", "Eve\x1fNairobi"};
    struct bench b;
    struct buf all, single;
    uint32_t empty = 0;
    enum verdict v = open_valid(k, &b, why);
    if (v != CHECK_PASS)
        return v;
    buf_init(&all, 4u << 20);
    buf_init(&single, 4u << 20);
    (void)render_rows(&b, rows, ARRAY_LEN(rows), &all, &empty);
    for (size_t i = ARRAY_LEN(rows); i-- && v == CHECK_PASS;) {
        buf_reset(&single);
        (void)render_rows(&b, &rows[i], 1, &single, &empty);
        const char *body = strchr(buf_str(&single), '\n'); /* behind "message 0 …" */
        if (body && *body && !strstr(buf_str(&all), body))
            v = check_fail(why, "row %zu renders differently alone than among others", i);
    }
    buf_done(&all);
    buf_done(&single);
    close_bench(&b);
    return v;
}

/* ---- a builder and outputs that refuse
 * -------------------------------------------------------------------- */

static enum verdict builder_refuses(const struct checker *k, char *why)
{
    static const char *const rows[] = {"Ann\x1fKowloon", "Bob\x1fLagos"};
    struct bench b;
    struct buf out;
    uint32_t empty = 0;
    enum verdict v = open_valid(k, &b, why);
    if (v != CHECK_PASS)
        return v;
    for (uint32_t nth = 1; nth <= 3 && v == CHECK_PASS; nth++) {
        buf_init(&out, 4u << 20);
        bench_builder_fails_at(nth);
        int rc = render_rows(&b, rows, ARRAY_LEN(rows), &out, &empty);
        uint32_t calls = bench_builder_calls();
        bench_builder_fails_at(0);
        if (calls > REFUSED_MAX)
            v = check_fail(why, "%u calls of the builder, which answers CGW_ELIMIT", calls);
        else if (calls >= nth && !rc)
            v = check_fail(why, "the builder answers CGW_ELIMIT, render() answers 0: messages "
                                "would go out with parts missing");
        buf_done(&out);
    }
    close_bench(&b);
    return v;
}

/* Every kind of item, with states of the greatest length and of the worst content. */
static int step_with(const struct bench *b, const void *state, uint32_t len, bool full,
                     struct cgw_out *out)
{
    struct cgw_item items[64];
    for (uint32_t i = 0; i < ARRAY_LEN(items); i++)
        items[i] = (struct cgw_item){
            .size = sizeof items[0],
            .kind = i % 5, /* one that does not exist is among them */
            .at_utc_ms = i % 7 ? 1800000000000 : INT64_MAX,
            .channel = i % 6,
            .customer = {.size = sizeof(struct cgw_customer), .id = i, .lang = ""},
            .result = i % 11,
            .text = i % 3 ? "STOP" : "",
            .text_len = i % 3 ? 4 : 0,
            .state = state,
            .state_len = len,
            .timer = "",
        };
    *out = (struct cgw_out){.full = full};
    buf_init(&out->text, 8u << 20);
    return campaign_step(b->plugin, b->run, items, ARRAY_LEN(items), out);
}

static enum verdict step_states(const struct checker *k, char *why)
{
    static unsigned char state[CGW_STATE_MAX];
    static const uint32_t lens[] = {0, 1, 7, CGW_STATE_MAX - 1, CGW_STATE_MAX};
    static const unsigned char fills[] = {0, 0xff, 'x', 0x80};
    struct bench b;
    if (!k->plugin->campaign.step)
        return check_skip(why, "no step()");
    enum verdict v = open_valid(k, &b, why);
    if (v != CHECK_PASS)
        return v;
    for (size_t i = 0; i < ARRAY_LEN(lens) * ARRAY_LEN(fills) && v == CHECK_PASS; i++) {
        struct cgw_out one, two;
        memset(state, fills[i % ARRAY_LEN(fills)], sizeof state);
        /* a block of exactly that size, so that a read behind it is seen by what watches memory */
        uint32_t len = lens[i / ARRAY_LEN(fills)];
        void *exact = malloc(len ? len : 1);
        if (exact)
            memcpy(exact, state, len);
        int rc = step_with(&b, exact, len, false, &one);
        (void)step_with(&b, exact, len, false, &two);
        if (rc > 0)
            v = check_fail(why, "step() answers %d, which is no CGW_E*", rc);
        else if (one.text.len != two.text.len)
            v = check_fail(why, "a state of %u bytes: another output the second time", len);
        free(exact);
        buf_done(&one.text);
        buf_done(&two.text);
    }
    close_bench(&b);
    return v;
}

static enum verdict outputs_refuse(const struct checker *k, char *why)
{
    struct bench b;
    struct cgw_out out;
    if (!k->plugin->campaign.step)
        return check_skip(why, "no step()");
    enum verdict v = open_valid(k, &b, why);
    if (v != CHECK_PASS)
        return v;
    int rc = step_with(&b, "", 0, true, &out);
    if (out.calls_refused && !rc)
        v = check_fail(why,
                       "outputs were refused with CGW_ELIMIT, step() answers 0: the host would "
                       "commit a half");
    buf_done(&out.text);
    close_bench(&b);
    return v;
}

static enum verdict scan_limits(const struct checker *k, char *why)
{
    static const uint32_t maxima[] = {0, 1, 1000};
    struct bench b;
    if (!k->plugin->campaign.scan)
        return check_skip(why, "no scan()");
    enum verdict v = open_valid(k, &b, why);
    for (uint32_t i = 0; v == CHECK_PASS && i < 2 * ARRAY_LEN(maxima); i++) {
        uint32_t max = maxima[i / 2];
        struct cgw_out out = {.full = i & 1};
        buf_init(&out.text, 4u << 20);
        int n = campaign_scan(b.plugin, b.run, i, max, &out);
        if (n > (int)max || out.n_proposals > max)
            v = check_fail(why, "scan() of at most %u says %d and wrote %u", max, n,
                           out.n_proposals);
        else if (out.full && n > 0)
            v = check_fail(why, "every output is refused, scan() says it wrote %d", n);
        buf_done(&out.text);
    }
    if (b.plugin)
        close_bench(&b);
    return v;
}

/* ---- memory
 * --------------------------------------------------------------------------------------------- */

static enum verdict memory_fails(const struct checker *k, char *why)
{
    static const char *const rows[] = {"Ann\x1fKowloon"};
    if (memory_hook(k->plugin) <= 0)
        return check_skip(why, "the plugin's file calls no allocator");
    for (uint32_t nth = 1; nth <= MEMORY_TRIES; nth++) {
        struct bench b;
        struct cgw_out out = {0};
        struct buf text;
        char inner[CHECK_WHY_MAX];
        uint32_t empty = 0;
        memory_fail_at(nth, false);
        enum verdict v = open_valid(k, &b, inner);
        if (v == CHECK_PASS) {
            buf_init(&text, 1u << 20);
            int rc = render_rows(&b, rows, 1, &text, &empty);
            int step = k->plugin->campaign.step ? step_with(&b, "", 0, false, &out) : 0;
            buf_done(&text);
            buf_done(&out.text);
            close_bench(&b);
            if (rc > 0 || step > 0)
                return check_fail(why, "memory call %u fails: answer %d is no CGW_E*", nth,
                                  rc > 0 ? rc : step);
            if (empty && memory_calls() >= nth)
                return check_fail(why, "memory call %u fails: render() answers 0 without a part",
                                  nth);
        }
        uint32_t calls = memory_calls();
        memory_fail_at(0, false);
        if (calls < nth)
            return CHECK_PASS;
    }
    return CHECK_PASS;
}

/* ---- pure
 * -----------------------------------------------------------------------------------------------
 */

static enum verdict looks_at_arguments_only(const struct checker *k, char *why)
{
    static const char *const others[] = {
        "time",   "clock_gettime", "gettimeofday", "clock",         "rand",   "random",
        "rand_r", "getrandom",     "arc4random",   "open",          "fopen",  "openat",
        "open64", "fopen64",       "socket",       "connect",       "getenv", "secure_getenv",
        "fork",   "system",        "popen",        "pthread_create"};
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        if (memory_imports(k->plugin, others[i]))
            return check_fail(why,
                              "the file calls %s(): what it answers then depends on more than "
                              "its arguments",
                              others[i]);
    return CHECK_PASS;
}

struct worker {
    const struct checker *k;
    struct campaign_plugin *plugin;
    const char *right;
    size_t right_len;
    bool wrong;
};

static const char *const thread_rows[] = {"Ann\x1fKowloon", "Bob\x1fLagos", "\x1f", ""};

static void *render_often(void *arg)
{
    struct worker *w = arg;
    struct bench own;
    char why[CHECK_WHY_MAX];
    if (open_valid(w->k, &own, why) != CHECK_PASS)
        return NULL;
    struct bench shared = {w->plugin, own.run}; /* the one object, a run of its own */
    for (int i = 0; i < 200; i++) {
        struct buf out;
        uint32_t empty = 0;
        buf_init(&out, 1u << 20);
        (void)render_rows(&shared, thread_rows, ARRAY_LEN(thread_rows), &out, &empty);
        w->wrong |= out.len != w->right_len || memcmp(buf_str(&out), w->right, w->right_len) != 0;
        buf_done(&out);
    }
    close_bench(&own);
    return NULL;
}

static enum verdict runs_in_parallel(const struct checker *k, char *why)
{
    struct bench b;
    struct buf right;
    struct worker w[THREADS];
    pthread_t t[THREADS];
    uint32_t empty = 0;
    enum verdict v = open_valid(k, &b, why);
    if (v != CHECK_PASS)
        return v;
    buf_init(&right, 1u << 20);
    (void)render_rows(&b, thread_rows, ARRAY_LEN(thread_rows), &right, &empty);
    for (uint32_t i = 0; i < THREADS; i++) {
        w[i] = (struct worker){k, b.plugin, buf_str(&right), right.len, false};
        if (pthread_create(&t[i], NULL, render_often, &w[i]))
            return check_fail(why, "no %u threads", THREADS);
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        (void)pthread_join(t[i], NULL);
        if (w[i].wrong)
            v = check_fail(why, "runs of different campaigns at once render each other's content");
    }
    buf_done(&right);
    close_bench(&b);
    return v;
}

#define PURE "cgw/campaign.h: Every operation is a pure function of its arguments (replayable)"
const struct clause campaign_fault_clauses[] = {
    {"pure.looks_at_arguments_only", looks_at_arguments_only, NULL, PURE},
    {"pure.runs_in_parallel", runs_in_parallel, "something is shared between runs",
     "cgw/campaign.h: Any thread, one call at a time per run."},
    {"render.rows_of_every_shape", rows_of_every_shape, NULL,
     "cgw/campaign.h: CGW_ENOTFOUND: the contact is held content.field_missing"},
    {"render.one_by_one", rows_one_by_one, NULL, PURE},
    {"render.builder_refuses", builder_refuses, NULL,
     "cgw/campaign.h: add_template: 0, CGW_ENOTFOUND, CGW_ELIMIT."},
    {"step.states_of_every_shape", step_states, NULL,
     "cgw/campaign.h: bytes of state kept for (campaign, customer), at most CGW_STATE_MAX"},
    {"step.outputs_refuse", outputs_refuse, "it calls on and on after CGW_ELIMIT",
     "cgw/campaign.h: the host commits state and proposals in one transaction."},
    {"scan.at_its_limits", scan_limits, "it calls on and on after CGW_ELIMIT",
     "cgw/campaign.h: how many of `max` it wrote."},
    {"memory.survives", memory_fails, "a call of malloc() that failed was not looked at", PURE},
    {0},
};
