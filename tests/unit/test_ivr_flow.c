/* SPDX-License-Identifier: Apache-2.0 */
/* test_ivr_flow.c - the reader of call flows: what it takes, and how it names what it does not. */
#include "flow.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {"hello.wav", "menu.wav"};

static struct ivr_flow *parse(const char *json, struct ivr_flow_error *err)
{
    return ivr_flow_parse(json, strlen(json), names, 2, err);
}

static struct ivr_flow *good(const char *json)
{
    struct ivr_flow_error err;
    struct ivr_flow *f = parse(json, &err);
    cr_assert(f, "%s", err.text);
    return f;
}

Test(ivr_flow, a_text_alone_is_said_and_the_call_ends)
{
    struct ivr_flow *f = good("{\"say\":\"Hello.\"}");
    cr_assert_eq(f->n_nodes, 1);
    cr_assert_eq(f->nodes[0].action, IVR_HANGUP);
    cr_assert_str_eq(f->says[f->nodes[0].prompt.first].text, "Hello.");
    ivr_flow_free(f);
}

Test(ivr_flow, a_whole_flow_becomes_its_tables)
{
    struct ivr_flow *f = good(
        "{\"start\":\"ask\",\"voice\":\"de+f2\",\"optout\":\"9\",\"optout_say\":[{\"play\":"
        "\"hello.wav\"}],\"max_s\":90,\"nodes\":{"
        "\"bye\":{\"hangup\":true},"
        "\"ask\":{\"prompt\":[{\"play\":\"menu.wav\"},{\"pause_ms\":200},{\"say\":\"x\"}],\"menu\":"
        "{\"1\":\"pin\",\"*\":\"ask\",\"#\":\"bye\"},\"wait_s\":7,\"tries\":2,\"invalid\":\"No.\","
        "\"otherwise\":\"bye\",\"barge_in\":false},"
        "\"pin\":{\"say\":\"PIN?\",\"collect\":{\"min\":2,\"max\":4,\"end\":\"#\"},\"next\":\"go\"}"
        ","
        "\"go\":{\"transfer\":\"sip:agent@10.0.0.1\",\"otherwise\":\"bye\"}}}");
    const struct ivr_node *ask = &f->nodes[f->start];
    cr_assert_str_eq(ask->name, "ask");
    cr_assert_eq(ask->action, IVR_MENU);
    cr_assert_eq(ask->prompt.n, 3);
    cr_assert_eq(f->says[ask->prompt.first].part, 1);
    cr_assert_eq(f->says[ask->prompt.first + 1].ms, 200);
    cr_assert_str_eq(f->nodes[ask->keys[ivr_key_index('1')]].name, "pin");
    cr_assert_eq(ask->keys[ivr_key_index('*')], f->start);
    cr_assert_eq(ask->keys[ivr_key_index('2')], IVR_NOWHERE);
    cr_assert(ask->wait_ms == 7000 && ask->tries == 2 && !ask->barge_in && ask->invalid.n == 1);
    const struct ivr_node *pin = &f->nodes[ask->keys[1]];
    cr_assert(pin->action == IVR_COLLECT && pin->min == 2 && pin->max == 4 && pin->end_key == '#');
    cr_assert_str_eq(f->nodes[pin->next].target, "sip:agent@10.0.0.1");
    cr_assert_eq(f->nodes[pin->next].wait_ms, 30000);
    cr_assert(f->optout_key == '9' && f->optout_prompt.n == 1 && f->max_ms == 90000);
    ivr_flow_free(f);
}

/* JSON, pointer that must be named, a word of the sentence */
static const struct {
    const char *json, *where, *word;
} bad[] = {
    {"", "", "JSON"},
    {"[]", "", "object"},
    {"{\"say\":\"a\",\"say\":\"b\"}", "", "JSON"},
    {"{}", "", "nothing"},
    {"{\"say\":\"  \"}", "/say", "text"},
    {"{\"say\":7}", "/say", "text"},
    {"{\"sya\":\"x\"}", "/sya", "known"},
    {"{\"play\":\"gone.wav\"}", "/play", "gone.wav"},
    {"{\"say\":\"x\",\"play\":\"hello.wav\"}", "/play", "one of"},
    {"{\"prompt\":[]}", "/prompt", "1 to"},
    {"{\"prompt\":[{\"say\":\"a\",\"pause_ms\":20}]}", "/prompt/0", "one of"},
    {"{\"prompt\":[{\"say\":\"a\"},{\"pause_ms\":10001}]}", "/prompt/1/pause_ms", "10000"},
    {"{\"start\":\"a\",\"nodes\":{}}", "/nodes", "at least one"},
    {"{\"nodes\":{\"a\":{\"say\":\"x\"}}}", "", "start"},
    {"{\"start\":\"b\",\"nodes\":{\"a\":{\"say\":\"x\"}}}", "/start", "\"b\""},
    {"{\"start\":\"a\",\"nodes\":{\"a\":{\"say\":\"x\",\"next\":\"b\"}}}", "/nodes/a/next",
     "\"b\""},
    {"{\"start\":\"a\",\"nodes\":{\"a\":7}}", "/nodes/a", "object"},
    {"{\"start\":\"a\",\"nodes\":{\"a\":{\"menu\":{\"11\":\"a\"}}}}", "/nodes/a/menu/11", "key"},
    {"{\"start\":\"a\",\"nodes\":{\"a\":{\"menu\":{}}}}", "/nodes/a/menu", "keys"},
    {"{\"start\":\"a\",\"nodes\":{\"a\":{\"menu\":{\"1\":\"a\"},\"next\":\"a\"}}}", "/nodes/a",
     "next"},
    {"{\"start\":\"a\",\"nodes\":{\"a\":{\"menu\":{\"1\":\"a\"},\"collect\":3}}}",
     "/nodes/a/collect", "one of"},
    {"{\"start\":\"a/b\",\"nodes\":{\"a/b\":{\"menu\":{\"1\":\"~\"}}}}", "/nodes/a~1b/menu/1", "~"},
    {"{\"collect\":33}", "/collect", "32"},
    {"{\"collect\":0}", "/collect", "1 to"},
    {"{\"collect\":{\"min\":3}}", "/collect", "max"},
    {"{\"collect\":{\"min\":3,\"max\":2}}", "/collect", "above"},
    {"{\"collect\":{\"max\":2,\"end\":\"x\"}}", "/collect/end", "key"},
    {"{\"collect\":2,\"wait_s\":61}", "/wait_s", "60"},
    {"{\"collect\":2,\"tries\":0}", "/tries", "1 to"},
    {"{\"say\":\"x\",\"tries\":2}", "", "tries"},
    {"{\"say\":\"x\",\"otherwise\":\"start\"}", "", "otherwise"},
    {"{\"say\":\"x\",\"hangup\":false}", "/hangup", "true"},
    {"{\"transfer\":\"+49 30\"}", "/transfer", "SIP URI"},
    {"{\"transfer\":\"sip:a@b>\\r\\nX: y\"}", "/transfer", "SIP URI"},
    {"{\"start\":\"a\",\"voice\":\"-w /tmp/x\",\"nodes\":{\"a\":{\"say\":\"x\"}}}", "/voice",
     "espeak-ng"},
    {"{\"start\":\"a\",\"optout\":\"99\",\"nodes\":{\"a\":{\"say\":\"x\"}}}", "/optout", "key"},
    {"{\"start\":\"a\",\"optout\":\"1\",\"nodes\":{\"a\":{\"menu\":{\"1\":\"a\"}}}}",
     "/nodes/a/menu", "opt-out"},
    {"{\"start\":\"a\",\"optout_say\":\"x\",\"nodes\":{\"a\":{\"say\":\"x\"}}}", "/optout_say",
     "optout"},
    {"{\"start\":\"a\",\"max_s\":3601,\"nodes\":{\"a\":{\"say\":\"x\"}}}", "/max_s", "3600"},
};

Test(ivr_flow, what_is_wrong_is_named_by_its_pointer)
{
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct ivr_flow_error err;
        struct ivr_flow *f = parse(bad[i].json, &err);
        cr_assert(!f, "taken: %s", bad[i].json);
        cr_assert_str_eq(err.where, bad[i].where, "%s: where is %s, not %s", bad[i].json, err.where,
                         bad[i].where);
        cr_assert(strstr(err.text, bad[i].word) && strstr(err.text, bad[i].where), "%s: %s",
                  bad[i].json, err.text);
    }
}

static size_t put_nodes(char *out, size_t size, unsigned n)
{
    size_t at = (size_t)snprintf(out, size, "{\"start\":\"n0\",\"nodes\":{");
    for (unsigned i = 0; i < n; i++)
        at += (size_t)snprintf(out + at, size - at, "%s\"n%u\":{\"say\":\"x\"}", i ? "," : "", i);
    return at + (size_t)snprintf(out + at, size - at, "}}");
}

Test(ivr_flow, nodes_bytes_and_texts_are_bounded)
{
    static char json[IVR_FLOW_BYTES + 64];
    struct ivr_flow_error err;
    struct ivr_flow *f;
    (void)put_nodes(json, sizeof json, IVR_NODES_MAX);
    ivr_flow_free(good(json));
    (void)put_nodes(json, sizeof json, IVR_NODES_MAX + 1);
    f = parse(json, &err);
    cr_assert(!f && strstr(err.text, "64"), "%s", err.text);
    memset(json, ' ', sizeof json);
    f = ivr_flow_parse(json, IVR_FLOW_BYTES + 1, names, 2, &err);
    cr_assert(!f && strstr(err.text, "65536"), "%s", err.text);
    (void)snprintf(json, sizeof json, "{\"say\":\"%0*d\"}", (int)IVR_SAY_BYTES, 1);
    ivr_flow_free(good(json));
    (void)snprintf(json, sizeof json, "{\"say\":\"%0*d\"}", (int)IVR_SAY_BYTES + 1, 1);
    f = parse(json, &err);
    cr_assert(!f && strstr(err.text, "2000"), "%s", err.text);
}

Test(ivr_flow, deep_json_ends_in_a_sentence)
{
    static char json[60001];
    struct ivr_flow_error err;
    memset(json, '[', sizeof json - 1);
    cr_assert(!parse(json, &err) && err.text[0]);
}
