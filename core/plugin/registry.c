/* SPDX-License-Identifier: Apache-2.0 */
/* registry.c - see registry.h. */
#include "plugin/registry.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/word.h"
#include "plugin/sandbox.h"
#include "plugin/isolate.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

struct entry {
    struct plugin_instance *inst; /* owned */
    char where[96];
};

struct registry {
    struct registry_opts opts;
    struct campaign_plugin *campaigns[PLUGINS_MAX]; /* owned */
    uint32_t n_campaigns;
    struct entry entries[INSTANCES_MAX];
    uint32_t n_entries;
};

/* Where plugins and secrets are, taken from the configuration. */
struct places {
    const char *plugin_dir, *cred_dir;
};

int registry_new(const struct registry_opts *opts, struct registry **ret, struct diag *diag)
{
    struct registry *r = calloc(1, sizeof *r);
    if (!r)
        return diag_set(diag, -ENOMEM, "", "registry: out of memory");
    r->opts = *opts;
    if (opts->sandbox)
        isolate_sandbox_on();
    *ret = r;
    return 0;
}

struct registry *registry_free(struct registry *r)
{
    if (!r)
        return NULL;
    for (uint32_t i = 0; i < r->n_entries; i++)
        instance_drain(r->entries[i].inst, clock_mono_ms());
    for (uint32_t i = 0; i < r->n_entries; i++)
        (void)instance_free(r->entries[i].inst);
    for (uint32_t i = 0; i < r->n_campaigns; i++)
        (void)campaign_plugin_free(r->campaigns[i]);
    free(r);
    return NULL;
}

/* ---- words of the configuration
 * --------------------------------------------------------------------------------------------------
 */

static const char *place_of(const config_setting_t *s, char *out, size_t size)
{
    const char *file = config_setting_source_file(s);
    (void)snprintf(out, size, "%s:%u", file ? file : "config",
                   (unsigned)config_setting_source_line(s));
    return out;
}

static int complain(const config_setting_t *s, struct diag *diag, const char *what, const char *arg)
{
    char where[sizeof diag->where];
    return diag_set(diag, CGW_EINVAL, place_of(s, where, sizeof where), "%s%.80s", what, arg);
}

static const char *const plugins_words[] = {"directory", "credentials", "load"};

static int check_plugins_group(const config_setting_t *g, struct diag *diag)
{
    if (!config_setting_is_group(g))
        return complain(g, diag, "plugins must be a group: plugins: { directory = \"…\"; };", "");
    for (int i = 0; i < config_setting_length(g); i++) {
        const config_setting_t *s = config_setting_get_elem(g, (unsigned)i);
        const char *key = config_setting_name(s), *known = NULL, *near = NULL;
        for (size_t k = 0; k < ARRAY_LEN(plugins_words); k++) {
            if (!strcmp(key, plugins_words[k]))
                known = key;
            near = word_nearer(key, plugins_words[k], near);
        }
        if (!known) {
            char where[sizeof diag->where];
            return diag_set(diag, CGW_EINVAL, place_of(s, where, sizeof where),
                            "plugins.%.60s is not known%s%s%s", key,
                            near ? "; did you mean "
                                 : "; members are directory, credentials and load",
                            near ? near : "", near ? "?" : "");
        }
        if (strcmp(key, "load") != 0 && config_setting_type(s) != CONFIG_TYPE_STRING)
            return complain(s, diag, "must be a string in quotes: plugins.", key);
    }
    return 0;
}

static int read_places(const struct registry *r, const config_t *cfg, struct places *ret,
                       struct diag *diag)
{
    config_setting_t *g = config_lookup(cfg, "plugins");
    *ret = (struct places){.plugin_dir = r->opts.plugin_dir,
                           .cred_dir = r->opts.credentials ? r->opts.credentials
                                                           : getenv("CREDENTIALS_DIRECTORY")};
    if (!g)
        return 0;
    int rc = check_plugins_group(g, diag);
    if (!rc) {
        (void)config_setting_lookup_string(g, "directory", &ret->plugin_dir);
        (void)config_setting_lookup_string(g, "credentials", &ret->cred_dir);
    }
    return rc;
}

/* ---- plugins
 * ----------------------------------------------------------------------------------------------------------------------------
 */

static int campaign_create(struct registry *r, const struct plugin *p, struct diag *diag)
{
    if (plugin_is_channel(p) || !r->opts.campaign_host || registry_campaign(r, p->desc.name))
        return 0;
    int rc = campaign_plugin_new(p, r->opts.campaign_host, &r->campaigns[r->n_campaigns], diag);
    if (!rc)
        r->n_campaigns++;
    return rc;
}

/* The path of the file that a name in the configuration stands for. */
static int plugin_path(const struct places *at, const char *name, const char *where, char *path,
                       size_t size, struct diag *diag)
{
    if (!*name || strchr(name, '/'))
        return diag_set(diag, CGW_EINVAL, where,
                        "\"%.60s\" is no plugin name; write the file name without path and .so",
                        name);
    if (!at->plugin_dir)
        return diag_set(diag, CGW_ENOTFOUND, where, "plugin %s: plugins.directory is not set",
                        name);
    if (snprintf(path, size, "%s/%s.so", at->plugin_dir, name) >= (int)size)
        return diag_set(diag, CGW_EINVAL, where, "plugin %.60s: the path is too long", name);
    return 0;
}

/* Loads the file, or with `how` asks a process of its own what it is. */
static int get_plugin(const char *path, const struct conf_isolation *how, const char *where,
                      struct plugin **ret, struct diag *diag)
{
    int rc = how ? isolate_describe(path, how, ret, diag) : plugin_load(path, ret, diag);
    if (rc && diag)
        (void)snprintf(diag->where, sizeof diag->where, "%s", where);
    if (!rc)
        log_info("plugin.loaded", "plugin=%s version=%s abi=%u.%u isolation=%s", (*ret)->desc.name,
                 (*ret)->desc.version, (*ret)->desc.abi.abi_major, (*ret)->desc.abi.abi_minor,
                 how ? "process" : "none");
    return rc;
}

static int need_plugin(struct registry *r, const struct places *at, const char *name,
                       const struct conf_isolation *how, const config_setting_t *s,
                       struct plugin **ret, struct diag *diag)
{
    struct plugin *p = how ? plugin_find_isolated(name) : plugin_find(name);
    char where[sizeof diag->where];
    char path[1024];
    (void)place_of(s, where, sizeof where);
    int rc = p ? 0 : plugin_path(at, name, where, path, sizeof path, diag);
    if (!p && !rc)
        rc = get_plugin(path, how, where, &p, diag);
    if (rc)
        return rc;
    *ret = p;
    return campaign_create(r, p, diag);
}

static int load_listed(struct registry *r, const config_t *cfg, const struct places *at,
                       struct diag *diag)
{
    const config_setting_t *load = config_lookup(cfg, "plugins.load");
    int n = load ? config_setting_length(load) : 0, rc = 0;
    if (load && !config_setting_is_array(load) && !config_setting_is_list(load))
        return complain(load, diag, "plugins.load must be a list of plugin names", "");
    for (int i = 0; i < n && !rc; i++) {
        struct plugin *p;
        const char *name = config_setting_get_string_elem(load, i);
        rc = name ? need_plugin(r, at, name, NULL, load, &p, diag)
                  : complain(load, diag, "plugins.load must be a list of strings in quotes", "");
    }
    return rc;
}

/* ---- instances
 * --------------------------------------------------------------------------------------------------------------------------
 */

static bool name_ok(const char *s)
{
    size_t n = strnlen(s, INSTANCE_NAME_MAX);
    return n && n < INSTANCE_NAME_MAX &&
           strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == n;
}

static int read_instance(struct registry *r, const config_setting_t *g, const struct places *at,
                         struct plugin **ret_plugin, const char **ret_name,
                         struct cgw_conf **ret_conf, struct diag *diag)
{
    const char *name = NULL, *plugin = NULL;
    if (!config_setting_is_group(g))
        return complain(g, diag, "each instance is a group: { name = \"…\"; plugin = \"…\"; … }",
                        "");
    if (!config_setting_lookup_string(g, "name", &name) || !name_ok(name))
        return complain(g, diag, "an instance needs a name of letters, digits, - and _ in quotes",
                        "");
    if (!config_setting_lookup_string(g, "plugin", &plugin))
        return complain(
            g, diag, "an instance names its plugin: plugin = \"channel_…\"; missing in instance ",
            name);
    struct conf_isolation how;
    int rc = conf_isolation_from_group(name, g, !isolate_is_own(plugin), &how, diag);
    if (!rc)
        rc = need_plugin(r, at, plugin, how.process ? &how : NULL, g, ret_plugin, diag);
    if (!rc && !plugin_is_channel(*ret_plugin))
        rc = complain(
            g, diag,
            "is a campaign plugin, which has no instances; put it into plugins.load: ", plugin);
    *ret_name = name;
    if (!rc)
        rc = conf_from_group(*ret_plugin, name, g, at->cred_dir, ret_conf, diag);
    if (!rc)
        conf_set_isolation(*ret_conf, &how);
    conf_isolation_done(&how);
    return rc;
}

static int add_at(struct registry *r, const struct plugin *p, const char *name,
                  struct cgw_conf *conf, const char *where, struct diag *diag)
{
    if (!name_ok(name) || r->n_entries == INSTANCES_MAX || registry_find(r, name)) {
        (void)conf_free(conf);
        return diag_set(
            diag, registry_find(r, name) ? CGW_EEXISTS : CGW_EINVAL, where,
            "instance %.60s: the name is taken or malformed, or there are %u instances already",
            name, INSTANCES_MAX);
    }
    struct entry *e = &r->entries[r->n_entries];
    int rc = instance_new(p, name, conf, &r->opts.sink, &e->inst, diag);
    if (rc) {
        if (diag && *where)
            (void)snprintf(diag->where, sizeof diag->where, "%s", where);
        return rc;
    }
    (void)snprintf(e->where, sizeof e->where, "%s", where);
    r->n_entries++;
    return 0;
}

int registry_add(struct registry *r, const struct plugin *p, const char *name,
                 struct cgw_conf *conf, struct diag *diag)
{
    return add_at(r, p, name, conf, "", diag);
}

static bool name_repeats(const config_setting_t *list, int i)
{
    const char *name = NULL, *other = NULL;
    (void)config_setting_lookup_string(config_setting_get_elem(list, (unsigned)i), "name", &name);
    for (int j = 0; j < i; j++)
        if (name &&
            config_setting_lookup_string(config_setting_get_elem(list, (unsigned)j), "name",
                                         &other) &&
            !strcmp(name, other))
            return true;
    return false;
}

static int walk(struct registry *r, const config_t *cfg, bool make, struct diag *diag)
{
    struct places at;
    int rc = read_places(r, cfg, &at, diag);
    if (rc || (rc = load_listed(r, cfg, &at, diag)))
        return rc;
    const config_setting_t *list = config_lookup(cfg, "instances");
    if (list && !config_setting_is_list(list))
        return complain(list, diag,
                        "instances must be a list of groups: instances = ( { name = \"…\"; … } );",
                        "");
    int n = list ? config_setting_length(list) : 0;
    for (int i = 0; i < n && !rc; i++) {
        const config_setting_t *g = config_setting_get_elem(list, (unsigned)i);
        char where[sizeof diag->where];
        struct plugin *p = NULL;
        struct cgw_conf *conf = NULL;
        const char *name = NULL;
        rc = read_instance(r, g, &at, &p, &name, &conf, diag);
        if (!rc && r->opts.sandbox && (rc = sandbox_check(p, name, conf, diag)))
            (void)place_of(g, diag->where, sizeof diag->where);
        if (!rc && name_repeats(list, i))
            rc = complain(g, diag, "a second instance has the name ", name);
        if (!rc && make)
            rc = add_at(r, p, name, TAKE(conf), place_of(g, where, sizeof where), diag);
        (void)conf_free(conf);
    }
    return rc;
}

int registry_load_config(struct registry *r, const config_t *cfg, struct diag *diag)
{
    return walk(r, cfg, true, diag);
}

int registry_check_config(struct registry *r, const config_t *cfg, struct diag *diag)
{
    return walk(r, cfg, false, diag);
}

/* ---- life and looking
 * ----------------------------------------------------------------------------------------------------------------------
 */

int registry_start(struct registry *r, struct diag *diag)
{
    int rc = 0;
    for (uint32_t i = 0; i < r->n_entries && !rc; i++)
        rc = instance_start(r->entries[i].inst, diag);
    return rc;
}

int registry_drain(struct registry *r, int64_t deadline_mono_ms)
{
    int rc = 0;
    for (uint32_t i = 0; i < r->n_entries; i++)
        instance_drain(r->entries[i].inst, deadline_mono_ms);
    for (uint32_t i = 0; i < r->n_entries; i++)
        if (instance_drain_wait(r->entries[i].inst))
            rc = CGW_EBUSY;
    return rc;
}

struct plugin_instance *registry_at(const struct registry *r, uint32_t i)
{
    return i < r->n_entries ? r->entries[i].inst : NULL;
}

struct plugin_instance *registry_find(const struct registry *r, const char *instance)
{
    for (uint32_t i = 0; i < r->n_entries; i++)
        if (!strcmp(instance_name(r->entries[i].inst), instance))
            return r->entries[i].inst;
    return NULL;
}

struct campaign_plugin *registry_campaign(const struct registry *r, const char *plugin)
{
    for (uint32_t i = 0; i < r->n_campaigns; i++)
        if (!strcmp(campaign_plugin_of(r->campaigns[i])->desc.name, plugin))
            return r->campaigns[i];
    return NULL;
}

const char *registry_where(const struct registry *r, const struct plugin_instance *inst)
{
    for (uint32_t i = 0; i < r->n_entries; i++)
        if (r->entries[i].inst == inst)
            return r->entries[i].where;
    return "";
}
