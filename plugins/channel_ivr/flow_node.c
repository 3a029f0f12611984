/* SPDX-License-Identifier: Apache-2.0 */
/* flow_node.c - reads one node of a call flow: its prompt and what it does then. See flow.c. */
#include "flow_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N(a) (sizeof(a) / sizeof(a)[0])

int ivr_members(struct flow_reader *r, const json_t *object, const struct flow_member *table,
                size_t n)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)object, key, v)
    {
        size_t i = 0;
        while (i < n && strcmp(table[i].key, key) != 0)
            i++;
        ivr_enter(r, key);
        if (i == n)
            return ivr_bad(r, "is not a member that is known here.");
        if (table[i].take(r, v) < 0)
            return -1;
        ivr_leave(r);
    }
    return 0;
}

/* ---- prompts ---- */

static struct ivr_say *new_say(struct flow_reader *r, enum ivr_say_kind kind)
{
    if (r->flow->n_says == IVR_ALL_SAYS_MAX) {
        (void)ivr_bad(r, "all prompts together have more than %u pieces.", IVR_ALL_SAYS_MAX);
        return NULL;
    }
    struct ivr_say *s = &r->flow->says[r->flow->n_says++];
    s->kind = kind;
    return s;
}

static int piece_say(struct flow_reader *r, const json_t *v)
{
    const char *text = json_string_value(v);
    size_t len = text ? json_string_length(v) : 0;
    if (!text || strspn(text, " \t\r\n") == len)
        return ivr_bad(r, "must be a text to speak.");
    if (len > IVR_SAY_BYTES)
        return ivr_bad(r, "has %zu bytes; at most %u are spoken.", len, IVR_SAY_BYTES);
    struct ivr_say *s = new_say(r, IVR_SAY_TEXT);
    if (!s)
        return -1;
    s->text = strdup(text);
    return s->text ? 0 : ivr_bad(r, "there is no memory for it.");
}

static int piece_play(struct flow_reader *r, const json_t *v)
{
    const char *name = json_string_value(v);
    for (uint32_t i = 0; name && i < r->n_names; i++)
        if (r->names[i] && strcmp(r->names[i], name) == 0) {
            struct ivr_say *s = new_say(r, IVR_SAY_MEDIA);
            if (s)
                s->part = i;
            return s ? 0 : -1;
        }
    return name ? ivr_bad(r, "the message has no media part named \"%.40s\".", name)
                : ivr_bad(r, "must be the name of a media part.");
}

static int piece_pause(struct flow_reader *r, const json_t *v)
{
    int ms = 0;
    if (ivr_number(r, v, 20, IVR_PAUSE_MAX_MS, "milliseconds", &ms) < 0)
        return -1;
    struct ivr_say *s = new_say(r, IVR_SAY_PAUSE);
    if (s)
        s->ms = (uint32_t)ms;
    return s ? 0 : -1;
}

static const struct flow_member piece_members[] = {
    {"say", piece_say}, {"play", piece_play}, {"pause_ms", piece_pause}};

static int prompt_list(struct flow_reader *r, const json_t *list)
{
    size_t i;
    json_t *v;
    if (json_array_size(list) == 0 || json_array_size(list) > IVR_SAYS_MAX)
        return ivr_bad(r, "must hold 1 to %u pieces.", IVR_SAYS_MAX);
    json_array_foreach(list, i, v)
    {
        char index[24];
        (void)snprintf(index, sizeof index, "%zu", i);
        ivr_enter(r, index);
        if (!json_is_object(v) || json_object_size(v) != 1)
            return ivr_bad(r, "must be one of {\"say\":…}, {\"play\":…}, {\"pause_ms\":…}.");
        if (ivr_members(r, v, piece_members, N(piece_members)) < 0)
            return -1;
        ivr_leave(r);
    }
    return 0;
}

/* A text alone is said; several pieces come as a list. */
int ivr_prompt_read(struct flow_reader *r, const json_t *v, struct ivr_prompt *ret)
{
    uint32_t first = r->flow->n_says;
    int rc = json_is_array(v) ? prompt_list(r, v) : piece_say(r, v);
    *ret = (struct ivr_prompt){(uint16_t)first, (uint16_t)(r->flow->n_says - first)};
    return rc;
}

/* ---- members of a node ---- */

static int one_prompt(struct flow_reader *r, const json_t *v,
                      int (*read)(struct flow_reader *, const json_t *))
{
    uint32_t first = r->flow->n_says;
    if (r->node->prompt.n > 0)
        return ivr_bad(r, "a node has one of \"say\", \"play\" and \"prompt\".");
    int rc = read(r, v);
    r->node->prompt = (struct ivr_prompt){(uint16_t)first, (uint16_t)(r->flow->n_says - first)};
    return rc;
}

static int take_say(struct flow_reader *r, const json_t *v)
{
    return one_prompt(r, v, piece_say);
}

static int take_play(struct flow_reader *r, const json_t *v)
{
    return one_prompt(r, v, piece_play);
}

static int take_prompt(struct flow_reader *r, const json_t *v)
{
    if (!json_is_array(v))
        return ivr_bad(r, "must be a list of pieces.");
    return one_prompt(r, v, prompt_list);
}

static int take_invalid(struct flow_reader *r, const json_t *v)
{
    return ivr_prompt_read(r, v, &r->node->invalid);
}

static int take_barge_in(struct flow_reader *r, const json_t *v)
{
    r->node->barge_in = json_is_true(v);
    return json_is_boolean(v) ? 0 : ivr_bad(r, "must be true or false.");
}

static int take_next(struct flow_reader *r, const json_t *v)
{
    if (r->node->action == IVR_HANGUP)
        r->node->action = IVR_NEXT;
    return ivr_node_named(r, v, &r->node->next);
}

static int take_otherwise(struct flow_reader *r, const json_t *v)
{
    return ivr_node_named(r, v, &r->node->otherwise);
}

static int take_wait(struct flow_reader *r, const json_t *v)
{
    int s = 0;
    int rc = ivr_number(r, v, 1, IVR_WAIT_MAX_S, "seconds", &s);
    r->node->wait_ms = (uint32_t)s * 1000;
    return rc;
}

static int take_tries(struct flow_reader *r, const json_t *v)
{
    int n = 0;
    int rc = ivr_number(r, v, 1, IVR_TRIES_MAX, "tries", &n);
    r->node->tries = (uint8_t)n;
    return rc;
}

/* menu, collect, transfer and hangup exclude each other. */
static int act(struct flow_reader *r, enum ivr_action action)
{
    if (r->node->action != IVR_HANGUP && r->node->action != IVR_NEXT)
        return ivr_bad(r, "a node has one of \"menu\", \"collect\" and \"transfer\".");
    r->node->action = action;
    return 0;
}

static int take_menu(struct flow_reader *r, const json_t *v)
{
    const char *text;
    json_t *to;
    if (act(r, IVR_MENU) < 0)
        return -1;
    if (!json_is_object(v) || json_object_size(v) == 0)
        return ivr_bad(r, "must be an object from keys to nodes.");
    json_object_foreach((json_t *)v, text, to)
    {
        char key = 0;
        ivr_enter(r, text);
        if (ivr_key(r, text, &key) < 0 ||
            ivr_node_named(r, to, &r->node->keys[ivr_key_index(key)]) < 0)
            return -1;
        ivr_leave(r);
    }
    return 0;
}

static int collect_min(struct flow_reader *r, const json_t *v)
{
    int n = 0;
    int rc = ivr_number(r, v, 1, (int)IVR_DIGITS_MAX, "digits", &n);
    r->node->min = (uint8_t)n;
    return rc;
}

static int collect_max(struct flow_reader *r, const json_t *v)
{
    int n = 0;
    int rc = ivr_number(r, v, 1, (int)IVR_DIGITS_MAX, "digits", &n);
    r->node->max = (uint8_t)n;
    return rc;
}

static int collect_end(struct flow_reader *r, const json_t *v)
{
    return ivr_key(r, json_string_value(v), &r->node->end_key);
}

static const struct flow_member collect_members[] = {
    {"min", collect_min}, {"max", collect_max}, {"end", collect_end}};

static int take_collect(struct flow_reader *r, const json_t *v)
{
    if (act(r, IVR_COLLECT) < 0)
        return -1;
    if (!json_is_object(v)) { /* a number: exactly so many */
        int rc = collect_max(r, v);
        r->node->min = r->node->max;
        return rc;
    }
    if (ivr_members(r, v, collect_members, N(collect_members)) < 0)
        return -1;
    if (r->node->max == 0)
        return ivr_bad(r, "has no \"max\", the most digits to collect.");
    if (r->node->min == 0)
        r->node->min = 1;
    return r->node->min <= r->node->max
               ? 0
               : ivr_bad(r, "\"min\" %u is above \"max\" %u.", r->node->min, r->node->max);
}

/* What stands in Refer-To: no space, no line end, no angle bracket (RFC 3515, 2.1). */
static int take_transfer(struct flow_reader *r, const json_t *v)
{
    const char *s = json_string_value(v);
    if (act(r, IVR_TRANSFER) < 0)
        return -1;
    size_t n = s ? strlen(s) : 0;
    bool number = n >= 3 && s[0] == '+' && strspn(s + 1, "0123456789") == n - 1;
    bool uri = n > 4 && (strncmp(s, "sip:", 4) == 0 || strncmp(s, "sips:", 5) == 0);
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)s[i] <= 0x20 || (unsigned char)s[i] > 0x7e || strchr("<>\",", s[i]))
            uri = false;
    if (n > IVR_TARGET_BYTES || !(number || uri))
        return ivr_bad(r, "must be a SIP URI or \"+\" and digits, at most %u bytes.",
                       IVR_TARGET_BYTES);
    r->node->target = strdup(s);
    return r->node->target ? 0 : ivr_bad(r, "there is no memory for it.");
}

static int take_hangup(struct flow_reader *r, const json_t *v)
{
    return json_is_true(v) ? 0 : ivr_bad(r, "must be true, or left out.");
}

static const struct flow_member node_members[] = {
    {"say", take_say},
    {"play", take_play},
    {"prompt", take_prompt},
    {"invalid", take_invalid},
    {"barge_in", take_barge_in},
    {"next", take_next},
    {"otherwise", take_otherwise},
    {"wait_s", take_wait},
    {"tries", take_tries},
    {"menu", take_menu},
    {"collect", take_collect},
    {"transfer", take_transfer},
    {"hangup", take_hangup},
};

/* Members that mean nothing beside the node's action would be silently lost. */
static int node_makes_sense(struct flow_reader *r, const json_t *v)
{
    enum ivr_action a = r->node->action;
    bool asks = a == IVR_MENU || a == IVR_COLLECT;
    if (json_object_get(v, "hangup") && a != IVR_HANGUP)
        return ivr_bad(r, "\"hangup\" stands beside something else to do.");
    if (a == IVR_MENU && json_object_get(v, "next"))
        return ivr_bad(r, "a menu goes where its keys say; it has no \"next\".");
    if (!asks && (json_object_get(v, "invalid") || json_object_get(v, "tries")))
        return ivr_bad(r, "\"invalid\" and \"tries\" belong to \"menu\" and \"collect\".");
    if (!asks && a != IVR_TRANSFER &&
        (json_object_get(v, "otherwise") || json_object_get(v, "wait_s")))
        return ivr_bad(r, "\"otherwise\" and \"wait_s\" belong to a node that asks or transfers.");
    if (a == IVR_HANGUP && r->node->prompt.n == 0 && !json_object_get(v, "hangup"))
        return ivr_bad(r, "does nothing; give it a prompt, an action or \"hangup\".");
    return 0;
}

int ivr_node_read(struct flow_reader *r, const json_t *v, struct ivr_node *ret)
{
    ret->barge_in = true;
    ret->next = ret->otherwise = IVR_NOWHERE;
    for (int i = 0; i < IVR_KEYS; i++)
        ret->keys[i] = IVR_NOWHERE;
    ret->tries = 3;
    ret->wait_ms = 5000;
    r->node = ret;
    if (!json_is_object(v))
        return ivr_bad(r, "must be an object.");
    if (ivr_members(r, v, node_members, N(node_members)) < 0)
        return -1;
    if (ret->action == IVR_TRANSFER && !json_object_get(v, "wait_s"))
        ret->wait_ms = 30000;
    return node_makes_sense(r, v);
}
