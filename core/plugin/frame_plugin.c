/* SPDX-License-Identifier: Apache-2.0 */
/* frame_plugin.c - see frame_plugin.h. */
#include "plugin/frame_plugin.h"

#include "plugin/conf_int.h"
#include <errno.h>
#include <string.h>

#define WORD 4096u /* bytes of a name, a help text */

/* ---- descriptor
 * ------------------------------------------------------------------------------------------------------------------------
 */

static uint32_t ops_of(const struct cgw_channel_ops *o)
{
    return (o->stored ? PLUGIN_OP_STORED : 0) | (o->cancel ? PLUGIN_OP_CANCEL : 0) |
           (o->query ? PLUGIN_OP_QUERY : 0) | (o->health ? PLUGIN_OP_HEALTH : 0) |
           (o->tally ? PLUGIN_OP_TALLY : 0) | (o->recall ? PLUGIN_OP_RECALL : 0);
}

static void put_caps(struct buf *b, const struct cgw_channel_caps *c)
{
    frame_u32(b, c->channel);
    frame_u32(b, c->address_kind);
    frame_u32(b, c->max_parts);
    frame_u32(b, c->max_bytes);
    frame_u32(b, c->role_mask);
    frame_u32(b, c->receipts);
    frame_u32(b, c->replies);
    frame_cut(b, c->cost_unit, WORD);
    frame_cut(b, c->concurrency_unit, WORD);
    frame_u32(b, c->pulled);
}

static void put_tables(struct buf *b, const struct plugin *p)
{
    const struct cgw_plugin_desc *d = &p->desc;
    frame_u32(b, p->n_options);
    for (uint32_t i = 0; i < p->n_options; i++) {
        const struct cgw_option *o = &d->options[i];
        frame_cut(b, o->key, WORD);
        frame_u32(b, o->type);
        frame_u32(b, o->flags);
        frame_cut(b, o->default_text, WORD);
        frame_i64(b, o->min);
        frame_i64(b, o->max);
        frame_cut(b, o->choices, WORD);
        frame_cut(b, o->unit, WORD);
        frame_cut(b, o->help, WORD);
    }
    frame_u32(b, p->n_counters);
    for (uint32_t i = 0; i < p->n_counters; i++) {
        frame_cut(b, d->counters[i].name, WORD);
        frame_cut(b, d->counters[i].unit, WORD);
        frame_cut(b, d->counters[i].help, WORD);
    }
    frame_u32(b, p->n_routes);
    for (uint32_t i = 0; i < p->n_routes; i++) {
        frame_cut(b, d->routes[i].method, WORD);
        frame_cut(b, d->routes[i].path, WORD);
        frame_u32(b, d->routes[i].auth);
        frame_u32(b, d->routes[i].max_body);
    }
}

void plugin_put(struct buf *b, const struct plugin *p)
{
    frame_u32(b, p->desc.abi.abi_minor);
    frame_u32(b, ops_of(&p->channel));
    frame_u64(b, p->desc.flags);
    frame_cut(b, p->desc.name, WORD);
    frame_cut(b, p->desc.version, WORD);
    frame_cut(b, p->desc.vendor, WORD);
    put_caps(b, &p->caps);
    put_tables(b, p);
}

static void get_caps(struct frame *f, struct cgw_channel_caps *c)
{
    *c = (struct cgw_channel_caps){.size = sizeof *c, .channel = frame_get_u32(f)};
    c->address_kind = frame_get_u32(f);
    c->max_parts = frame_get_u32(f);
    c->max_bytes = frame_get_u32(f);
    c->role_mask = frame_get_u32(f);
    c->receipts = frame_get_u32(f);
    c->replies = frame_get_u32(f);
    c->cost_unit = frame_get_text(f, WORD);
    c->concurrency_unit = frame_get_text(f, WORD);
    c->pulled = frame_get_u32(f);
}

static void get_tables(struct frame *f, struct described *d)
{
    d->n_options = frame_get_count(f, PLUGIN_OPTIONS_MAX);
    for (uint32_t i = 0; i < d->n_options; i++) {
        struct cgw_option *o = &d->options[i];
        o->key = frame_get_word(f, WORD);
        o->type = frame_get_u32(f);
        o->flags = frame_get_u32(f);
        o->default_text = frame_get_text(f, WORD);
        o->min = frame_get_i64(f);
        o->max = frame_get_i64(f);
        o->choices = frame_get_text(f, WORD);
        o->unit = frame_get_text(f, WORD);
        o->help = frame_get_text(f, WORD);
    }
    d->n_counters = frame_get_count(f, PLUGIN_COUNTERS_MAX);
    for (uint32_t i = 0; i < d->n_counters; i++) {
        d->counters[i].name = frame_get_word(f, WORD);
        d->counters[i].unit = frame_get_text(f, WORD);
        d->counters[i].help = frame_get_text(f, WORD);
    }
    d->n_routes = frame_get_count(f, PLUGIN_ROUTES_MAX);
    for (uint32_t i = 0; i < d->n_routes; i++) {
        d->routes[i].method = frame_get_word(f, WORD);
        d->routes[i].path = frame_get_word(f, WORD);
        d->routes[i].auth = frame_get_u32(f);
        d->routes[i].max_body = frame_get_u32(f);
    }
}

int plugin_get(struct frame *f, struct described **ret)
{
    size_t len = (size_t)(f->end - f->at);
    struct described *d = calloc(1, sizeof *d);
    if (!d || !(d->text = malloc(len + 1))) {
        free(d);
        return -ENOMEM;
    }
    memcpy(d->text, f->at, len);
    struct frame own = {.type = f->type, .at = d->text, .end = d->text + len};
    d->abi_minor = frame_get_u32(&own);
    d->ops = frame_get_u32(&own);
    d->flags = frame_get_u64(&own);
    d->name = frame_get_word(&own, WORD);
    d->version = frame_get_word(&own, WORD);
    d->vendor = frame_get_word(&own, WORD);
    get_caps(&own, &d->caps);
    get_tables(&own, d);
    if (!frame_done(&own)) {
        (void)described_free(d);
        return CGW_EINVAL;
    }
    *ret = d;
    return 0;
}

struct described *described_free(struct described *d)
{
    if (d)
        free(d->text);
    free(d);
    return NULL;
}

/* ---- values
 * ------------------------------------------------------------------------------------------------------------------------
 */

void values_put(struct buf *b, const struct cgw_conf *c)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->n; i++)
        n += c->values[i].has && !c->values[i].from_default;
    frame_u32(b, n);
    for (uint32_t i = 0; i < c->n; i++) {
        const struct conf_value *v = &c->values[i];
        if (!v->has || v->from_default)
            continue;
        frame_text(b, v->opt->key);
        frame_i64(b, v->num);
        frame_text(b, v->text);
        frame_u32(b, v->n_items);
        for (uint32_t k = 0; k < v->n_items; k++)
            frame_text(b, v->items[k]);
    }
}

/* A secret arrives as its content, not as the name of a file. */
static int set_value(struct conf_value *v, int64_t num, const char *text, const char *const *items,
                     uint32_t n, struct diag *diag)
{
    uint32_t type = v->opt->type;
    if (type == CGW_OPT_INT || type == CGW_OPT_BOOL)
        return conf_value_from_int(v, num, diag);
    if (type == CGW_OPT_LIST)
        return conf_value_from_items(v, items, n, diag);
    if (!text)
        return diag_set(diag, CGW_EINVAL, "", "is no text any more");
    if (type == CGW_OPT_ENUM)
        return conf_value_from_text(v, text, NULL, diag);
    v->text = strdup(text);
    v->has = v->text != NULL;
    return v->has ? 0 : diag_set(diag, -ENOMEM, "", "out of memory");
}

static int get_value(struct frame *f, struct cgw_conf *c, const char *instance,
                     uint32_t *ret_unknown, struct diag *diag)
{
    const char *items[CONF_ITEMS_MAX];
    struct diag why = {0};
    const char *key = frame_get_word(f, WORD);
    int64_t num = frame_get_i64(f);
    const char *text = frame_get_text(f, CONF_SECRET_MAX);
    uint32_t n = frame_get_count(f, CONF_ITEMS_MAX);
    for (uint32_t i = 0; i < n; i++)
        items[i] = frame_get_word(f, CONF_SECRET_MAX);
    if (f->bad)
        return diag_set(diag, CGW_EINVAL, "", "instance %s: its options cannot be read", instance);
    struct conf_value *v = conf_value_of(c, key);
    if (!v) {
        (*ret_unknown)++;
        return 0;
    }
    int rc = set_value(v, num, text, items, n, &why);
    return rc ? diag_set(diag, rc, "", "instance %s: option %s: %.150s", instance, key, why.text)
              : 0;
}

int values_get(struct frame *f, const struct plugin *p, const char *instance, struct cgw_conf **ret,
               uint32_t *ret_unknown, struct diag *diag)
{
    struct cgw_conf *c = conf_new(p);
    if (!c)
        return diag_set(diag, -ENOMEM, "", "instance %s: out of memory", instance);
    uint32_t n = frame_get_count(f, PLUGIN_OPTIONS_MAX + 8);
    int rc = 0;
    *ret_unknown = 0;
    for (uint32_t i = 0; i < n && !rc; i++)
        rc = get_value(f, c, instance, ret_unknown, diag);
    if (!rc)
        rc = conf_finish(c, instance, "", diag);
    if (rc) {
        (void)conf_free(c);
        return rc;
    }
    *ret = c;
    return 0;
}
