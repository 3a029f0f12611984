/* SPDX-License-Identifier: Apache-2.0 */
/* conf_isolation.c - how an instance is isolated: members of its group that are the gateway's own.
 * Decides nothing by itself; which plugins are isolated without being told is the registry's. */
#include "plugin/conf_int.h"

#include <stdio.h>
#include <string.h>

static int complain(const config_setting_t *s, const char *instance, struct diag *diag,
                    const char *what)
{
    char where[sizeof diag->where];
    const char *file = config_setting_source_file(s);
    (void)snprintf(where, sizeof where, "%s:%u", file ? file : "config",
                   (unsigned)config_setting_source_line(s));
    return diag_set(diag, CGW_EINVAL, where, "instance %s: option %s: %s", instance,
                    config_setting_name(s), what);
}

static int take_mode(const config_setting_t *s, const char *instance, struct conf_isolation *ret,
                     struct diag *diag)
{
    const char *word = config_setting_get_string(s);
    bool process = word && !strcmp(word, "process");
    if (!process && (!word || strcmp(word, "none") != 0))
        return complain(s, instance, diag, "must be \"none\" or \"process\" in quotes");
    ret->process = process;
    return 0;
}

static int take_exec(const config_setting_t *s, const char *instance, struct conf_isolation *ret,
                     struct diag *diag)
{
    if (config_setting_type(s) != CONFIG_TYPE_BOOL)
        return complain(s, instance, diag, "must be true or false");
    ret->exec = config_setting_get_bool(s);
    return 0;
}

static int take_memory(const config_setting_t *s, const char *instance, struct conf_isolation *ret,
                       struct diag *diag)
{
    long long n =
        config_setting_type(s) == CONFIG_TYPE_INT ? (long long)config_setting_get_int(s) : -1;
    char why[96];
    (void)snprintf(why, sizeof why, "must be a number of MiB from %u to %u",
                   CONF_ISOLATION_MEMORY_MIN, CONF_ISOLATION_MEMORY_MAX);
    if (n < CONF_ISOLATION_MEMORY_MIN || n > CONF_ISOLATION_MEMORY_MAX)
        return complain(s, instance, diag, why);
    ret->memory_mb = (uint32_t)n;
    return 0;
}

static int take_paths(const config_setting_t *s, const char *instance, char **paths, uint32_t *n,
                      struct diag *diag)
{
    int len =
        config_setting_is_array(s) || config_setting_is_list(s) ? config_setting_length(s) : -1;
    for (int i = 0; i < len; i++) {
        const char *path = config_setting_get_string_elem(s, i);
        if (!path || path[0] != '/' || *n == CONF_ISOLATION_PATHS)
            return complain(s, instance, diag,
                            "each of its at most 32 members is an absolute path in quotes");
        if (!(paths[*n] = strdup(path)))
            return diag_set(diag, CGW_ELIMIT, "", "out of memory");
        (*n)++;
    }
    return len < 0 ? complain(s, instance, diag, "must be a list of absolute paths") : 0;
}

static int take_read(const config_setting_t *s, const char *instance, struct conf_isolation *ret,
                     struct diag *diag)
{
    return take_paths(s, instance, ret->read, &ret->n_read, diag);
}

static int take_write(const config_setting_t *s, const char *instance, struct conf_isolation *ret,
                      struct diag *diag)
{
    return take_paths(s, instance, ret->write, &ret->n_write, diag);
}

int conf_isolation_from_group(const char *instance, const config_setting_t *group, bool process,
                              struct conf_isolation *ret, struct diag *diag)
{
    static const struct {
        const char *key;
        int (*take)(const config_setting_t *s, const char *instance, struct conf_isolation *ret,
                    struct diag *diag);
    } keys[] = {
        {CONF_ISOLATION, take_mode},          {CONF_ISOLATION_EXEC, take_exec},
        {CONF_ISOLATION_MEMORY, take_memory}, {CONF_ISOLATION_READ, take_read},
        {CONF_ISOLATION_WRITE, take_write},
    };
    int rc = 0;
    *ret = (struct conf_isolation){.process = process, .memory_mb = CONF_ISOLATION_MEMORY_DEFAULT};
    for (size_t i = 0; group && i < ARRAY_LEN(keys) && !rc; i++) {
        const config_setting_t *s = config_setting_get_member(group, keys[i].key);
        if (s)
            rc = keys[i].take(s, instance, ret, diag);
    }
    return rc;
}

void conf_isolation_done(struct conf_isolation *i)
{
    for (uint32_t k = 0; k < i->n_read; k++)
        free(i->read[k]);
    for (uint32_t k = 0; k < i->n_write; k++)
        free(i->write[k]);
    *i = (struct conf_isolation){0};
}

void conf_set_isolation(struct cgw_conf *c, struct conf_isolation *i)
{
    conf_isolation_done(&c->isolation);
    c->isolation = *i;
    *i = (struct conf_isolation){0};
}

const struct conf_isolation *conf_isolation(const struct cgw_conf *c)
{
    return &c->isolation;
}
