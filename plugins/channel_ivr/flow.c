/* SPDX-License-Identifier: Apache-2.0 */
/* flow.c - reads call flows. Must not guess: a member that is not known is an error, so that a
 * misspelt "otherwise" does not become a call that ends early. Every message names a JSON pointer
 * (RFC 6901). Two passes: node names first, so that nodes may name each other in any order. */
#include "flow_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char keys_text[] = "0123456789*#ABCD";

int ivr_key_index(char key)
{
    const char *at = key ? strchr(keys_text, key) : NULL;
    return at ? (int)(at - keys_text) : -1;
}

char ivr_key_char(int index)
{
    return index >= 0 && index < IVR_KEYS ? keys_text[index] : '?';
}

/* ---- pointer and complaint ---- */

void ivr_enter(struct flow_reader *r, const char *member)
{
    size_t n = strlen(r->where);
    r->marks[r->depth++ % FLOW_DEPTH] = n;
    if (n + 1 < sizeof r->where)
        r->where[n++] = '/';
    for (; *member && n + 2 < sizeof r->where; member++) { /* RFC 6901, 3 */
        if (*member == '~' || *member == '/') {
            r->where[n++] = '~';
            r->where[n++] = *member == '~' ? '0' : '1';
        } else {
            r->where[n++] = *member;
        }
    }
    r->where[n] = '\0';
}

void ivr_leave(struct flow_reader *r)
{
    r->where[r->marks[--r->depth % FLOW_DEPTH]] = '\0';
}

int ivr_bad(struct flow_reader *r, const char *fmt, ...)
{
    char what[176];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    (void)snprintf(r->err->where, sizeof r->err->where, "%.63s", r->where);
    (void)snprintf(r->err->text, sizeof r->err->text, "flow %.60s: %s",
                   r->where[0] ? r->where : "(the whole)", what);
    return -1;
}

int ivr_number(struct flow_reader *r, const json_t *v, int lo, int hi, const char *unit, int *ret)
{
    json_int_t n = json_integer_value(v);
    if (!json_is_integer(v) || n < lo || n > hi)
        return ivr_bad(r, "must be a whole number of %s from %d to %d.", unit, lo, hi);
    *ret = (int)n;
    return 0;
}

int ivr_node_named(struct flow_reader *r, const json_t *v, int16_t *ret)
{
    const char *name = json_string_value(v);
    for (uint32_t i = 0; name && i < r->flow->n_nodes; i++)
        if (strcmp(r->flow->nodes[i].name, name) == 0) {
            *ret = (int16_t)i;
            return 0;
        }
    return name ? ivr_bad(r, "there is no node \"%.40s\".", name)
                : ivr_bad(r, "must be the name of a node.");
}

int ivr_key(struct flow_reader *r, const char *text, char *ret)
{
    if (!text || strlen(text) != 1 || ivr_key_index(text[0]) < 0)
        return ivr_bad(r, "must be one key: 0-9, *, # or A-D.");
    *ret = text[0];
    return 0;
}

/* ---- the whole ---- */

static int take_voice(struct flow_reader *r, const json_t *v)
{
    const char *s = json_string_value(v);
    size_t n = s ? strlen(s) : 0;
    if (n == 0 || n >= sizeof r->flow->voice || s[0] == '-' ||
        strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-+_") != n)
        return ivr_bad(r, "must be a voice as espeak-ng names it, such as \"en\" or \"de+f2\".");
    (void)snprintf(r->flow->voice, sizeof r->flow->voice, "%s", s);
    return 0;
}

static int take_optout(struct flow_reader *r, const json_t *v)
{
    return ivr_key(r, json_string_value(v), &r->flow->optout_key);
}

static int take_optout_say(struct flow_reader *r, const json_t *v)
{
    return ivr_prompt_read(r, v, &r->flow->optout_prompt);
}

static int take_max(struct flow_reader *r, const json_t *v)
{
    int s = 0;
    int rc = ivr_number(r, v, 1, IVR_CALL_MAX_S, "seconds", &s);
    r->flow->max_ms = (uint32_t)s * 1000;
    return rc;
}

static int take_start(struct flow_reader *r, const json_t *v)
{
    return ivr_node_named(r, v, &r->flow->start);
}

static int take_nodes(struct flow_reader *r, const json_t *v)
{
    const char *name;
    json_t *body;
    uint32_t i = 0;
    json_object_foreach((json_t *)v, name, body)
    {
        ivr_enter(r, name);
        if (ivr_node_read(r, body, &r->flow->nodes[i++]) < 0)
            return -1;
        ivr_leave(r);
    }
    return 0;
}

static const struct flow_member root_members[] = {
    {"voice", take_voice}, {"optout", take_optout}, {"optout_say", take_optout_say},
    {"max_s", take_max},   {"start", take_start},   {"nodes", take_nodes},
};

static int name_nodes(struct flow_reader *r, const json_t *nodes)
{
    const char *name;
    json_t *body;
    ivr_enter(r, "nodes");
    if (!json_is_object(nodes) || json_object_size(nodes) == 0)
        return ivr_bad(r, "must be an object with at least one node.");
    if (json_object_size(nodes) > IVR_NODES_MAX)
        return ivr_bad(r, "has %zu nodes; at most %u are allowed.", json_object_size(nodes),
                       IVR_NODES_MAX);
    json_object_foreach((json_t *)nodes, name, body)
    {
        ivr_enter(r, name);
        if (!*name || strlen(name) > IVR_NAME_MAX)
            return ivr_bad(r, "a node's name has 1 to %u bytes.", IVR_NAME_MAX);
        (void)snprintf(r->flow->nodes[r->flow->n_nodes++].name, IVR_NAME_MAX + 1, "%s", name);
        ivr_leave(r);
    }
    ivr_leave(r);
    return 0;
}

static int read_root(struct flow_reader *r, const json_t *root)
{
    if (!json_is_object(root))
        return ivr_bad(r, "must be a JSON object.");
    const json_t *nodes = json_object_get(root, "nodes");
    if (!nodes) { /* short form: the flow is its only node */
        (void)snprintf(r->flow->nodes[0].name, IVR_NAME_MAX + 1, "start");
        r->flow->n_nodes = 1;
        return ivr_node_read(r, root, &r->flow->nodes[0]);
    }
    if (name_nodes(r, nodes) < 0)
        return -1;
    if (!json_object_get(root, "start"))
        return ivr_bad(r, "has no \"start\"; name the first node.");
    return ivr_members(r, root, root_members, sizeof root_members / sizeof root_members[0]);
}

/* The opt-out key works in every menu, so no menu may mean something else by it. */
static int optout_is_free(struct flow_reader *r)
{
    int key = ivr_key_index(r->flow->optout_key);
    if (r->flow->optout_prompt.n > 0 && key < 0) {
        ivr_enter(r, "optout_say");
        return ivr_bad(r, "needs \"optout\", the key that leads to it.");
    }
    for (uint32_t i = 0; key >= 0 && i < r->flow->n_nodes; i++)
        if (r->flow->nodes[i].action == IVR_MENU && r->flow->nodes[i].keys[key] != IVR_NOWHERE) {
            ivr_enter(r, "nodes");
            ivr_enter(r, r->flow->nodes[i].name);
            ivr_enter(r, "menu");
            return ivr_bad(r, "uses key %c, which is the opt-out key everywhere.",
                           r->flow->optout_key);
        }
    return 0;
}

struct ivr_flow *ivr_flow_parse(const char *json, size_t len, const char *const *names,
                                uint32_t n_names, struct ivr_flow_error *err)
{
    struct flow_reader r = {.names = names, .n_names = n_names, .err = err};
    json_error_t je;
    *err = (struct ivr_flow_error){{0}, {0}};
    if (len > IVR_FLOW_BYTES) {
        (void)ivr_bad(&r, "has %zu bytes; at most %u are allowed.", len, IVR_FLOW_BYTES);
        return NULL;
    }
    json_t *root = json_loadb(json, len, JSON_REJECT_DUPLICATES, &je);
    r.flow = calloc(1, sizeof *r.flow);
    if (!root)
        (void)ivr_bad(&r, "is not JSON, line %d: %.100s.", je.line, je.text);
    else if (!r.flow)
        (void)ivr_bad(&r, "there is no memory for it.");
    if (!root || !r.flow || read_root(&r, root) < 0 || optout_is_free(&r) < 0) {
        ivr_flow_free(r.flow);
        r.flow = NULL;
    }
    json_decref(root);
    return r.flow;
}

void ivr_flow_free(struct ivr_flow *f)
{
    if (!f)
        return;
    for (uint32_t i = 0; i < f->n_says; i++)
        free(f->says[i].text);
    for (uint32_t i = 0; i < f->n_nodes; i++)
        free(f->nodes[i].target);
    free(f);
}
