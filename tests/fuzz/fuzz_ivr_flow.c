/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_ivr_flow.c - call flows. Promises: a flow or a sentence, never both; every index of a flow
 * lies in its tables, so that a call can walk it; reading twice reads the same. Source document:
 * plugins/channel_ivr/flow.h. */
#include "fuzz_ingest.h"
#include "flow.h"

#include <string.h>

static void is_prompt(const struct ivr_flow *f, struct ivr_prompt p)
{
    CHECK(p.first + p.n <= f->n_says && p.n <= IVR_SAYS_MAX);
}

static void is_node(const struct ivr_flow *f, int n)
{
    CHECK(n >= IVR_NOWHERE && n < (int)f->n_nodes);
}

static void walkable(const struct ivr_flow *f)
{
    CHECK(f->n_nodes >= 1 && f->n_nodes <= IVR_NODES_MAX && f->n_says <= IVR_ALL_SAYS_MAX);
    is_node(f, f->start);
    CHECK(f->start >= 0 && f->max_ms <= IVR_CALL_MAX_S * 1000u && f->voice[0] != '-');
    is_prompt(f, f->optout_prompt);
    for (uint32_t i = 0; i < f->n_says; i++) {
        CHECK((f->says[i].kind == IVR_SAY_TEXT) == (f->says[i].text != NULL));
        CHECK(f->says[i].kind != IVR_SAY_MEDIA || f->says[i].part < 2);
        CHECK(f->says[i].ms <= IVR_PAUSE_MAX_MS);
    }
    for (uint32_t i = 0; i < f->n_nodes; i++) {
        const struct ivr_node *n = &f->nodes[i];
        is_prompt(f, n->prompt);
        is_prompt(f, n->invalid);
        is_node(f, n->next);
        is_node(f, n->otherwise);
        for (int key = 0; key < IVR_KEYS; key++)
            is_node(f, n->keys[key]);
        CHECK(n->tries >= 1 && n->wait_ms >= 1000 && n->wait_ms <= IVR_WAIT_MAX_S * 1000u);
        CHECK(n->action != IVR_COLLECT || (n->min >= 1 && n->min <= n->max));
        CHECK(n->max <= IVR_DIGITS_MAX);
        CHECK(n->action != IVR_TRANSFER || (n->target && !strpbrk(n->target, "\r\n<> ")));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"a.wav", "b.wav"};
    struct ivr_flow_error err, again;
    char *exact = malloc(size ? size : 1); /* reading past the end is seen */
    CHECK(exact);
    memcpy(exact, data, size);
    struct ivr_flow *f = ivr_flow_parse(exact, size, names, 2, &err);
    struct ivr_flow *g = ivr_flow_parse(exact, size, names, 2, &again);
    CHECK(!f == !g && !strcmp(err.text, again.text));
    CHECK(!f == (err.text[0] != '\0'));
    if (f)
        walkable(f);
    ivr_flow_free(f);
    ivr_flow_free(g);
    free(exact);
    return 0;
}
