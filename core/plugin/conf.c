/* SPDX-License-Identifier: Apache-2.0 */
/* conf.c - options of one instance from a libconfig group or from words, and the plugin's view of
 * them. Judging one value is conf_value.c's; the schema itself is judged here, once, when a plugin
 * is loaded. */
#include "plugin/conf_int.h"

#include "base/word.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Options of the gateway, added for plugins that declare a callback route of that kind
 * (cgw/host.h). */
static const struct cgw_option callback_options[] = {
    {.key = CONF_CALLBACK_USER,
     .type = CGW_OPT_STR,
     .flags = CGW_OPTF_REQUIRED,
     .min = 1,
     .max = 255,
     .help = "user of HTTP basic authentication on the callback routes"},
    {.key = CONF_CALLBACK_PASSWORD,
     .type = CGW_OPT_STR,
     .flags = CGW_OPTF_REQUIRED | CGW_OPTF_SECRET,
     .min = 1,
     .max = 255,
     .help = "its password: name of a credential file"},
    {.key = CONF_CALLBACK_ALLOW,
     .type = CGW_OPT_LIST,
     .flags = CGW_OPTF_REQUIRED,
     .help = "networks that may use the callback routes, as CIDR"},
};
static const uint32_t callback_auth[] = {CGW_HTTP_AUTH_BASIC, CGW_HTTP_AUTH_BASIC,
                                         CGW_HTTP_IP_ALLOW};

static const char *const registry_keys[] = {"name",
                                            "plugin",
                                            CONF_ISOLATION,
                                            CONF_ISOLATION_EXEC,
                                            CONF_ISOLATION_MEMORY,
                                            CONF_ISOLATION_READ,
                                            CONF_ISOLATION_WRITE};

/* ---- schema
 * ------------------------------------------------------------------------------------------------------------
 */

static bool key_ok(const char *key)
{
    size_t n = strnlen(key, 64);
    return n && n < 64 && key[0] >= 'a' && key[0] <= 'z' &&
           strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789_") == n;
}

static int option_shape(const struct cgw_option *o, struct diag *diag)
{
    bool ours = false;
    for (size_t i = 0; i < ARRAY_LEN(registry_keys); i++)
        ours = ours || !strcmp(o->key, registry_keys[i]);
    if (!key_ok(o->key) || ours)
        return diag_set(diag, CGW_EINVAL, "",
                        "option \"%.60s\": the key must be a-z, 0-9, _ and none of the gateway's "
                        "own: name, plugin, isolation*",
                        o->key);
    if (o->type < CGW_OPT_INT || o->type > CGW_OPT_ENUM)
        return diag_set(diag, CGW_EINVAL, "", "option %s: type %u is none of CGW_OPT_*", o->key,
                        o->type);
    if (!o->help || !*o->help)
        return diag_set(diag, CGW_EINVAL, "", "option %s: has no help text; write one line",
                        o->key);
    if (o->min > o->max && !(o->type == CGW_OPT_STR && !o->max))
        return diag_set(diag, CGW_EINVAL, "", "option %s: its minimum is above its maximum",
                        o->key);
    if (o->type == CGW_OPT_ENUM && (!o->choices || !*o->choices))
        return diag_set(diag, CGW_EINVAL, "", "option %s: an enum needs choices, separated by |",
                        o->key);
    if (o->flags & CGW_OPTF_SECRET && (o->type != CGW_OPT_STR || o->default_text))
        return diag_set(diag, CGW_EINVAL, "", "option %s: a secret is a string without a default",
                        o->key);
    if (o->flags & CGW_OPTF_REQUIRED && o->default_text)
        return diag_set(diag, CGW_EINVAL, "",
                        "option %s: is required and has a default; choose one", o->key);
    return 0;
}

static int option_default(const struct cgw_option *o, struct diag *diag)
{
    struct conf_value v = {.opt = o};
    struct diag why = {0};
    int rc = o->default_text ? conf_value_from_text(&v, o->default_text, NULL, &why) : 0;
    conf_value_done(&v);
    return rc ? diag_set(diag, CGW_EINVAL, "",
                         "option %s: its default does not fit its own schema: %.120s", o->key,
                         why.text)
              : 0;
}

int conf_schema_check(const struct cgw_option *options, uint32_t n, struct diag *diag)
{
    for (uint32_t i = 0; i < n; i++) {
        int rc = option_shape(&options[i], diag);
        if (rc || (rc = option_default(&options[i], diag)))
            return rc;
        for (uint32_t j = 0; j < i; j++)
            if (!strcmp(options[i].key, options[j].key))
                return diag_set(diag, CGW_EINVAL, "", "option %s: declared twice", options[i].key);
    }
    return 0;
}

/* ---- nearest word
 * ------------------------------------------------------------------------------------------------------
 */

/* ---- one instance
 * ---------------------------------------------------------------------------------------------------------
 */

struct conf_value *conf_value_of(const struct cgw_conf *c, const char *key)
{
    for (uint32_t i = 0; i < c->n; i++)
        if (!strcmp(c->values[i].opt->key, key))
            return (struct conf_value *)&c->values[i];
    return NULL;
}

static bool has_route_auth(const struct plugin *p, uint32_t auth)
{
    for (uint32_t i = 0; i < p->n_routes; i++)
        if (p->desc.routes[i].auth == auth)
            return true;
    return false;
}

struct cgw_conf *conf_new(const struct plugin *p)
{
    struct cgw_conf *c =
        calloc(1, sizeof *c + (p->n_options + ARRAY_LEN(callback_options)) * sizeof c->values[0]);
    if (!c)
        return NULL;
    for (; c->n < p->n_options; c->n++)
        c->values[c->n].opt = &p->desc.options[c->n];
    for (size_t i = 0; i < ARRAY_LEN(callback_options); i++)
        if (has_route_auth(p, callback_auth[i]) && !conf_value_of(c, callback_options[i].key))
            c->values[c->n++].opt = &callback_options[i];
    return c;
}

struct cgw_conf *conf_free(struct cgw_conf *c)
{
    for (uint32_t i = 0; c && i < c->n; i++)
        conf_value_done(&c->values[i]);
    if (c)
        conf_isolation_done(&c->isolation);
    free(c);
    return NULL;
}

static int unknown_key(const struct cgw_conf *c, const char *instance, const char *where,
                       const char *key, struct diag *diag)
{
    const char *near = NULL;
    for (uint32_t i = 0; i < c->n; i++)
        near = word_nearer(key, c->values[i].opt->key, near);
    for (size_t i = 0; i < ARRAY_LEN(registry_keys); i++)
        near = word_nearer(key, registry_keys[i], near);
    return diag_set(diag, CGW_EINVAL, where,
                    near ? "instance %s: option %.60s is not known; did you mean %s?"
                         : "instance %s: option %.60s is not known%s",
                    instance, key, near ? near : "");
}

int conf_finish(struct cgw_conf *c, const char *instance, const char *where, struct diag *diag)
{
    for (uint32_t i = 0; i < c->n; i++) {
        struct conf_value *v = &c->values[i];
        if (v->has)
            continue;
        if (v->opt->flags & CGW_OPTF_REQUIRED)
            return diag_set(diag, CGW_EINVAL, where, "instance %s: option %s is required: %.120s",
                            instance, v->opt->key, v->opt->help);
        v->from_default = true;
        int rc =
            v->opt->default_text ? conf_value_from_text(v, v->opt->default_text, NULL, diag) : 0;
        if (rc)
            return rc;
    }
    return 0;
}

static int lead(const char *instance, const struct conf_value *v, const char *where, int rc,
                const struct diag *why, struct diag *diag)
{
    return diag_set(diag, rc, where, "instance %s: option %s: %.170s", instance, v->opt->key,
                    why->text);
}

static int setting_items(struct conf_value *v, const config_setting_t *s, struct diag *diag)
{
    const char *items[CONF_ITEMS_MAX];
    int n = config_setting_length(s);
    if (n > (int)CONF_ITEMS_MAX)
        return diag_set(diag, CGW_EINVAL, "", "%d members are above the maximum %u", n,
                        CONF_ITEMS_MAX);
    for (int i = 0; i < n; i++)
        if (!(items[i] = config_setting_get_string_elem(s, i)))
            return diag_set(diag, CGW_EINVAL, "", "member %d is not a string in quotes", i + 1);
    return conf_value_from_items(v, items, (uint32_t)n, diag);
}

static int value_from_setting(struct conf_value *v, const config_setting_t *s, const char *cred_dir,
                              struct diag *diag)
{
    static const char *const wanted[] = {
        [CGW_OPT_INT] = "a number",          [CGW_OPT_STR] = "a string in quotes",
        [CGW_OPT_BOOL] = "true or false",    [CGW_OPT_LIST] = "a list of strings",
        [CGW_OPT_ENUM] = "a word in quotes",
    };
    uint32_t want = v->opt->type;
    switch (config_setting_type(s)) {
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_INT64:
        if (want == CGW_OPT_INT)
            return conf_value_from_int(v, config_setting_get_int64(s), diag);
        break;
    case CONFIG_TYPE_BOOL:
        if (want == CGW_OPT_BOOL)
            return conf_value_from_int(v, config_setting_get_bool(s), diag);
        break;
    case CONFIG_TYPE_STRING: {
        const char *text = config_setting_get_string(s);
        if (want == CGW_OPT_LIST)
            return conf_value_from_items(v, &text, 1, diag);
        if (want == CGW_OPT_STR || want == CGW_OPT_ENUM)
            return conf_value_from_text(v, text, cred_dir, diag);
        break;
    }
    case CONFIG_TYPE_ARRAY:
    case CONFIG_TYPE_LIST:
        if (want == CGW_OPT_LIST)
            return setting_items(v, s, diag);
        break;
    default:
        break;
    }
    return diag_set(diag, CGW_EINVAL, "", "must be %s", wanted[want]);
}

static void place_of(const config_setting_t *s, char *out, size_t size)
{
    const char *file = config_setting_source_file(s);
    (void)snprintf(out, size, "%s:%u", file ? file : "config",
                   (unsigned)config_setting_source_line(s));
}

static int take_setting(struct cgw_conf *c, const char *instance, const config_setting_t *s,
                        const char *cred_dir, struct diag *diag)
{
    const char *key = config_setting_name(s);
    char where[sizeof diag->where];
    struct diag why = {0};
    for (size_t i = 0; i < ARRAY_LEN(registry_keys); i++)
        if (!strcmp(key, registry_keys[i]))
            return 0;
    place_of(s, where, sizeof where);
    struct conf_value *v = conf_value_of(c, key);
    if (!v)
        return unknown_key(c, instance, where, key, diag);
    int rc = value_from_setting(v, s, cred_dir, &why);
    return rc ? lead(instance, v, where, rc, &why, diag) : 0;
}

int conf_from_group(const struct plugin *p, const char *instance, const config_setting_t *group,
                    const char *cred_dir, struct cgw_conf **ret, struct diag *diag)
{
    struct cgw_conf *c = conf_new(p);
    if (!c)
        return diag_set(diag, -ENOMEM, "", "out of memory");
    char where[sizeof diag->where] = "";
    int rc = 0, n = group ? config_setting_length(group) : 0;
    for (int i = 0; i < n && !rc; i++)
        rc = take_setting(c, instance, config_setting_get_elem(group, (unsigned)i), cred_dir, diag);
    if (group)
        place_of(group, where, sizeof where);
    if (!rc)
        rc = conf_finish(c, instance, where, diag);
    if (rc) {
        (void)conf_free(c);
        return rc;
    }
    *ret = c;
    return 0;
}

static int take_pair(struct cgw_conf *c, const char *instance, const struct conf_pair *pair,
                     const char *cred_dir, struct diag *diag)
{
    struct conf_value *v = conf_value_of(c, pair->key);
    struct diag why = {0};
    if (!v)
        return unknown_key(c, instance, "", pair->key, diag);
    if (v->has)
        return diag_set(diag, CGW_EINVAL, "", "instance %s: option %s is given twice", instance,
                        pair->key);
    int rc = conf_value_from_text(v, pair->value, cred_dir, &why);
    return rc ? lead(instance, v, "", rc, &why, diag) : 0;
}

int conf_from_pairs(const struct plugin *p, const char *instance, const struct conf_pair *pairs,
                    size_t n, const char *cred_dir, struct cgw_conf **ret, struct diag *diag)
{
    struct cgw_conf *c = conf_new(p);
    if (!c)
        return diag_set(diag, -ENOMEM, "", "out of memory");
    int rc = 0;
    for (size_t i = 0; i < n && !rc; i++)
        rc = take_pair(c, instance, &pairs[i], cred_dir, diag);
    if (!rc)
        rc = conf_finish(c, instance, "", diag);
    if (rc) {
        (void)conf_free(c);
        return rc;
    }
    *ret = c;
    return 0;
}

/* ---- reading
 * ------------------------------------------------------------------------------------------------------------------
 */

int64_t conf_int(const struct cgw_conf *c, const char *key)
{
    const struct conf_value *v = conf_value_of(c, key);
    return v ? v->num : 0;
}

bool conf_is_off(const struct cgw_conf *c, const char *key)
{
    const struct conf_value *v = conf_value_of(c, key);
    return v && v->opt->type == CGW_OPT_BOOL && !v->num;
}

const char *conf_str(const struct cgw_conf *c, const char *key)
{
    const struct conf_value *v = conf_value_of(c, key);
    return v ? v->text : NULL;
}

uint32_t conf_count(const struct cgw_conf *c, const char *key)
{
    const struct conf_value *v = conf_value_of(c, key);
    return v ? v->n_items : 0;
}

const char *conf_item(const struct cgw_conf *c, const char *key, uint32_t i)
{
    const struct conf_value *v = conf_value_of(c, key);
    return v && i < v->n_items ? v->items[i] : NULL;
}

static void show(const struct conf_value *v, struct buf *out)
{
    if (!v->has)
        return;
    if (v->opt->flags & CGW_OPTF_SECRET)
        buf_puts(out, "set");
    else if (v->opt->type == CGW_OPT_INT)
        buf_printf(out, "%lld", (long long)v->num);
    else if (v->opt->type == CGW_OPT_BOOL)
        buf_puts(out, v->num ? "true" : "false");
    else if (v->opt->type == CGW_OPT_LIST)
        for (uint32_t i = 0; i < v->n_items; i++)
            buf_printf(out, "%s%s", i ? ", " : "", v->items[i]);
    else
        buf_puts(out, v->text);
}

void conf_foreach(const struct cgw_conf *c, conf_each_fn fn, void *ctx)
{
    struct buf b;
    buf_init(&b, (CONF_TEXT_MAX + 2) * CONF_ITEMS_MAX);
    for (uint32_t i = 0; i < c->n; i++) {
        buf_reset(&b);
        show(&c->values[i], &b);
        fn(ctx, c->values[i].opt, buf_str(&b), c->values[i].from_default);
    }
    buf_done(&b);
}
