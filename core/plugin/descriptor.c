/* SPDX-License-Identifier: Apache-2.0 */
/* descriptor.c - see descriptor.h. Every refusal is one sentence: the file, what is wrong, the
 * remedy. Must not call into the plugin. Order matters: the prefix guards the descriptor, the
 * descriptor guards the tables behind it. */
#include "plugin/descriptor.h"

#include "plugin/conf.h"
#include <string.h>

/* 1.0 as it was frozen; what a later MINOR appends makes these larger than FIRST. */
_Static_assert(sizeof(struct cgw_plugin_desc) >= DESC_SIZE_FIRST, "members are only appended");
_Static_assert(sizeof(struct cgw_channel_ops) >= CHANNEL_OPS_SIZE_FIRST,
               "members are only appended");
_Static_assert(sizeof(struct cgw_campaign_ops) >= CAMPAIGN_OPS_SIZE_FIRST,
               "members are only appended");
_Static_assert(sizeof(struct cgw_channel_caps) >= CAPS_SIZE_FIRST, "members are only appended");

_Static_assert(sizeof(struct cgw_abi_prefix) == 16, "the prefix is frozen for ever");

struct required_op {
    const char *name;
    size_t offset;
};
#define OP(table, op)                                                                              \
    {                                                                                              \
#op, offsetof(struct table, op)                                                            \
    }
static const struct required_op channel_required[] = {
    OP(cgw_channel_ops, create), OP(cgw_channel_ops, start), OP(cgw_channel_ops, check),
    OP(cgw_channel_ops, submit), OP(cgw_channel_ops, drain), OP(cgw_channel_ops, destroy),
};
static const struct required_op campaign_required[] = {
    OP(cgw_campaign_ops, create),
    OP(cgw_campaign_ops, validate),
    OP(cgw_campaign_ops, render),
    OP(cgw_campaign_ops, destroy),
};

/* Copies the members that both sides know; the rest reads as 0. */
static void copy_known(void *to, size_t to_size, const void *from, size_t from_size)
{
    memset(to, 0, to_size);
    memcpy(to, from, from_size < to_size ? from_size : to_size);
}

static int accept_prefix(const struct cgw_abi_prefix *x, size_t obj_size, const char *file,
                         struct diag *diag)
{
    if (obj_size && obj_size < sizeof *x)
        return diag_set(
            diag, CGW_EINVAL, file,
            "%s: the symbol cgw_plugin has only %zu bytes; export it with CGW_CHANNEL_PLUGIN() "
            "or CGW_CAMPAIGN_PLUGIN()",
            file, obj_size);
    if (x->magic != CGW_ABI_MAGIC)
        return diag_set(
            diag, CGW_EINVAL, file,
            "%s: not a campgw plugin: its magic is 0x%08x instead of 0x%08x; export the descriptor "
            "with CGW_CHANNEL_PLUGIN() or CGW_CAMPAIGN_PLUGIN()",
            file, x->magic, CGW_ABI_MAGIC);
    if (x->abi_major != CGW_ABI_MAJOR)
        return diag_set(
            diag, CGW_EVERSION, file,
            "%s: built for plugin ABI %u.%u, this gateway offers %u.%u; rebuild against "
            "campgw-plugin %u.x",
            file, x->abi_major, x->abi_minor, CGW_ABI_MAJOR, CGW_ABI_MINOR, CGW_ABI_MAJOR);
    if (x->abi_minor > CGW_ABI_MINOR)
        return diag_set(diag, CGW_EVERSION, file,
                        "%s: built for plugin ABI %u.%u, this gateway offers only %u.%u; upgrade "
                        "the gateway or "
                        "rebuild against campgw-plugin %u.%u",
                        file, x->abi_major, x->abi_minor, CGW_ABI_MAJOR, CGW_ABI_MINOR,
                        CGW_ABI_MAJOR, CGW_ABI_MINOR);
    if (x->desc_size < DESC_SIZE_FIRST)
        return diag_set(diag, CGW_EINVAL, file,
                        "%s: its descriptor has %u bytes, ABI %u.0 began with %u; rebuild against "
                        "the installed "
                        "headers",
                        file, x->desc_size, CGW_ABI_MAJOR, DESC_SIZE_FIRST);
    if (obj_size && obj_size < x->desc_size)
        return diag_set(diag, CGW_EINVAL, file,
                        "%s: its descriptor says %u bytes, but the exported object has %zu; let "
                        "CGW_ABI_PREFIX() "
                        "fill desc_size",
                        file, x->desc_size, obj_size);
    return 0;
}

static bool word_ok(const char *s, size_t max)
{
    size_t n = s ? strnlen(s, max) : 0;
    return n && n < max && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == n;
}

static int accept_names(const struct cgw_plugin_desc *d, const char *file, struct diag *diag)
{
    if (!word_ok(d->name, PLUGIN_NAME_MAX))
        return diag_set(
            diag, CGW_EINVAL, file,
            "%s: its name is missing or not made of a-z, 0-9 and _ (at most %u characters)", file,
            PLUGIN_NAME_MAX - 1);
    size_t len = strlen(d->name);
    if (strncmp(file, d->name, len) != 0 || strcmp(file + len, ".so") != 0)
        return diag_set(diag, CGW_EINVAL, file,
                        "%s: calls itself \"%s\"; rename the file to %s.so or the plugin to match",
                        file, d->name, d->name);
    if (!d->version || !*d->version || !d->vendor || !*d->vendor)
        return diag_set(diag, CGW_EINVAL, file,
                        "%s: has no version or vendor; set .version and .vendor in the descriptor",
                        file);
    return 0;
}

static int accept_kind(const struct cgw_plugin_desc *d, const char *file, struct diag *diag)
{
    if (d->channel && d->campaign)
        return diag_set(diag, CGW_EINVAL, file,
                        "%s: offers channel and campaign operations; a plugin is one of the two, "
                        "make two files",
                        file);
    if (!d->channel && !d->campaign)
        return diag_set(diag, CGW_EINVAL, file,
                        "%s: offers no operations; set .channel or .campaign in the descriptor",
                        file);
    uint32_t kind = d->channel ? CGW_KIND_CHANNEL : CGW_KIND_CAMPAIGN;
    if (d->abi.kind != kind)
        return diag_set(diag, CGW_EINVAL, file,
                        "%s: says kind %u but has %s operations (kind %u); use %s()", file,
                        d->abi.kind, d->channel ? "channel" : "campaign", kind,
                        d->channel ? "CGW_CHANNEL_PLUGIN" : "CGW_CAMPAIGN_PLUGIN");
    return 0;
}

static int accept_ops(const void *ops, size_t first, const struct required_op *req, size_t n,
                      void *to, size_t to_size, const char *file, const char *what,
                      struct diag *diag)
{
    uint32_t size;
    memcpy(&size, ops, sizeof size);
    if (size < first)
        return diag_set(diag, CGW_EINVAL, file,
                        "%s: its %s operations have %u bytes, ABI %u.0 began with %zu; set .size = "
                        "sizeof(struct "
                        "cgw_%s_ops)",
                        file, what, size, CGW_ABI_MAJOR, first, what);
    copy_known(to, to_size, ops, size);
    for (size_t i = 0; i < n; i++) {
        void (*fn)(void);
        memcpy(&fn, (const char *)to + req[i].offset, sizeof fn);
        if (!fn)
            return diag_set(diag, CGW_EINVAL, file,
                            "%s: lacks the required %s operation %s(); see cgw/%s.h", file, what,
                            req[i].name, what);
    }
    return 0;
}

static int accept_caps(const struct cgw_plugin_desc *d, const char *file, struct plugin *ret,
                       struct diag *diag)
{
    if (!d->caps || d->caps->size < CAPS_SIZE_FIRST)
        return diag_set(
            diag, CGW_EINVAL, file,
            "%s: a channel plugin needs .caps with .size = sizeof(struct cgw_channel_caps)", file);
    copy_known(&ret->caps, sizeof ret->caps, d->caps, d->caps->size);
    const struct cgw_channel_caps *c = &ret->caps;
    if (c->channel < CGW_CHANNEL_SMS || c->channel > CGW_CHANNEL_TASK ||
        c->address_kind < CGW_ADDR_E164 || c->address_kind > CGW_ADDR_EXTERNAL)
        return diag_set(
            diag, CGW_EINVAL, file,
            "%s: its caps name channel %u and address kind %u; use CGW_CHANNEL_* and CGW_ADDR_*",
            file, c->channel, c->address_kind);
    if (!c->max_parts || c->max_parts > CGW_PARTS_MAX || !c->role_mask)
        return diag_set(
            diag, CGW_EINVAL, file,
            "%s: its caps allow %u parts (1..%u) and role mask 0x%x (at least one role)", file,
            c->max_parts, CGW_PARTS_MAX, c->role_mask);
    return 0;
}

static int accept_counters(const struct cgw_plugin_desc *d, const char *file, struct plugin *ret,
                           struct diag *diag)
{
    for (uint32_t i = 0; d->counters && d->counters[i].name; i++) {
        if (i == PLUGIN_COUNTERS_MAX)
            return diag_set(
                diag, CGW_EINVAL, file,
                "%s: declares more than %u counters, or its table does not end with a NULL name",
                file, PLUGIN_COUNTERS_MAX);
        if (!word_ok(d->counters[i].name, PLUGIN_NAME_MAX) || !d->counters[i].help)
            return diag_set(diag, CGW_EINVAL, file,
                            "%s: counter %u needs a name of a-z, 0-9 and _ and a help text", file,
                            i);
        ret->n_counters = i + 1;
    }
    return 0;
}

static int accept_routes(const struct cgw_plugin_desc *d, const char *file, struct plugin *ret,
                         struct diag *diag)
{
    for (uint32_t i = 0; d->routes && d->routes[i].path; i++) {
        const struct cgw_http_route *r = &d->routes[i];
        if (i == PLUGIN_ROUTES_MAX)
            return diag_set(diag, CGW_EINVAL, file,
                            "%s: declares more than %u callback routes, or its table does not end "
                            "with a NULL path",
                            file, PLUGIN_ROUTES_MAX);
        if (r->path[0] != '/' || !r->method || !*r->method || !r->handler ||
            r->auth > CGW_HTTP_IP_ALLOW || r->max_body > CGW_BODY_MAX * 4)
            return diag_set(diag, CGW_EINVAL, file,
                            "%s: callback route %u needs a method, a path that begins with /, a "
                            "handler, a CGW_HTTP_* "
                            "auth and at most %u bytes of body",
                            file, i, CGW_BODY_MAX * 4);
        ret->n_routes = i + 1;
    }
    return 0;
}

static int accept_options(const struct cgw_plugin_desc *d, const char *file, struct plugin *ret,
                          struct diag *diag)
{
    while (d->options && d->options[ret->n_options].key) {
        if (ret->n_options == PLUGIN_OPTIONS_MAX)
            return diag_set(
                diag, CGW_EINVAL, file,
                "%s: declares more than %u options, or its table does not end with a NULL key",
                file, PLUGIN_OPTIONS_MAX);
        ret->n_options++;
    }
    struct diag inner = {0};
    if (conf_schema_check(d->options, ret->n_options, &inner))
        return diag_set(diag, CGW_EINVAL, file, "%s: %.200s", file, inner.text);
    return 0;
}

static int accept_channel(const char *file, struct plugin *ret, struct diag *diag)
{
    const struct cgw_plugin_desc *d = &ret->desc;
    int rc = accept_ops(d->channel, CHANNEL_OPS_SIZE_FIRST, channel_required,
                        ARRAY_LEN(channel_required), &ret->channel, sizeof ret->channel, file,
                        "channel", diag);
    if (!rc)
        rc = accept_caps(d, file, ret, diag);
    if (!rc)
        rc = accept_routes(d, file, ret, diag);
    return rc;
}

int descriptor_accept(const struct cgw_abi_prefix *exported, size_t obj_size, const char *file,
                      struct plugin *ret, struct diag *diag)
{
    struct plugin p = {.path = ret->path, .dl = ret->dl};
    int rc = accept_prefix(exported, obj_size, file, diag);
    if (rc)
        return rc;
    copy_known(&p.desc, sizeof p.desc, exported, exported->desc_size);
    if ((rc = accept_names(&p.desc, file, diag)) || (rc = accept_kind(&p.desc, file, diag)))
        return rc;
    if (p.desc.channel)
        rc = accept_channel(file, &p, diag);
    else
        rc = accept_ops(p.desc.campaign, CAMPAIGN_OPS_SIZE_FIRST, campaign_required,
                        ARRAY_LEN(campaign_required), &p.campaign, sizeof p.campaign, file,
                        "campaign", diag);
    if (rc || (rc = accept_options(&p.desc, file, &p, diag)) ||
        (rc = accept_counters(&p.desc, file, &p, diag)))
        return rc;
    *ret = p;
    if (p.desc.channel) {
        ret->desc.channel = &ret->channel;
        ret->desc.caps = &ret->caps;
    } else {
        ret->desc.campaign = &ret->campaign;
    }
    return 0;
}
