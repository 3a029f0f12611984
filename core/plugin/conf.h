/* SPDX-License-Identifier: Apache-2.0 */
/* conf.h - the options of one instance: text and settings in, values checked against the plugin's
 * schema out. Secrets are the names of files in one credentials directory; they are read here and
 * never printed. Source: struct cgw_option in cgw/plugin.h. */
#ifndef PLUGIN_CONF_H
#define PLUGIN_CONF_H

#include "base/buf.h"
#include "base/diag.h"
#include "plugin/loader.h"
#include <libconfig.h>

#define CONF_ITEMS_MAX 256u    /* members of a list option */
#define CONF_SECRET_MAX 65536u /* bytes of a credential file (a PEM chain fits) */
#define CONF_TEXT_MAX 4096u    /* bytes of a string option without its own maximum */

struct cgw_conf; /* the values of one instance; the plugin sees the same object */

/* Options that the gateway itself reads for every instance whose plugin declares callback routes of
 * that kind. */
#define CONF_CALLBACK_USER "callback_user"
#define CONF_CALLBACK_PASSWORD "callback_password" /* secret */
#define CONF_CALLBACK_ALLOW "callback_allow"       /* list of CIDR */

/* Option of a channel that is pulled (its own schema declares it): IANA zone of the days that its
 * accepts are counted by. */
#define CONF_ZONE "zone"
/* Option of a plugin with recall() (its own schema declares it): false, and nobody is asked back.
 */
#define CONF_CANCEL "cancel"

/* How an instance runs: members of every instance that are the gateway's, none of the plugin's
 * options. */
#define CONF_ISOLATION "isolation"                  /* "none" or "process" */
#define CONF_ISOLATION_EXEC "isolation_exec"        /* bool: the process may run commands */
#define CONF_ISOLATION_MEMORY "isolation_memory_mb" /* its address space */
#define CONF_ISOLATION_READ "isolation_read"        /* list of paths it may read besides */
#define CONF_ISOLATION_WRITE "isolation_write"      /* list of paths it may change */
#define CONF_ISOLATION_MEMORY_DEFAULT 1024u
#define CONF_ISOLATION_MEMORY_MIN 64u
#define CONF_ISOLATION_MEMORY_MAX 65536u
#define CONF_ISOLATION_PATHS 32u /* paths of each list */

struct conf_isolation {
    bool process, exec;
    uint32_t memory_mb;
    char *read[CONF_ISOLATION_PATHS], *write[CONF_ISOLATION_PATHS]; /* owned */
    uint32_t n_read, n_write;
};
/* From the members of an instance's group (NULL = none). `process` is what holds when `isolation`
 * is not given. diag->where = file:line. Free what was filled, also after a failure. */
int conf_isolation_from_group(const char *instance, const config_setting_t *group, bool process,
                              struct conf_isolation *ret, struct diag *diag) CGW_NODISCARD;
void conf_isolation_done(struct conf_isolation *i);

struct conf_pair {
    const char *key, *value;
};

/**
 * Values from a libconfig group. Members `name` and `plugin` belong to the registry and are
 * skipped. \param group     NULL = only defaults \param cred_dir  directory of credential files,
 * NULL = none configured \return 0, or CGW_EINVAL / CGW_ENOTFOUND with diag->where = "file:line"
 * and a sentence that names instance and option: `instance smsc-a: option window: 0 is below the
 * minimum 1 (pdus)`.
 */
int conf_from_group(const struct plugin *p, const char *instance, const config_setting_t *group,
                    const char *cred_dir, struct cgw_conf **ret, struct diag *diag) CGW_NODISCARD;
/* Same from words (`--option k=v`); a list is separated by commas. */
int conf_from_pairs(const struct plugin *p, const char *instance, const struct conf_pair *pairs,
                    size_t n, const char *cred_dir, struct cgw_conf **ret,
                    struct diag *diag) CGW_NODISCARD;
/* The values keep how the instance is isolated; takes over what is in *i and empties it. */
void conf_set_isolation(struct cgw_conf *c, struct conf_isolation *i);
const struct conf_isolation *conf_isolation(const struct cgw_conf *c);
struct cgw_conf *conf_free(struct cgw_conf *c); /* wipes secrets; NULL-safe, returns NULL */

/* For the plugin API: every option in schema order. `shown` is the value for people: secrets appear
 * as "set" or "". */
typedef void (*conf_each_fn)(void *ctx, const struct cgw_option *opt, const char *shown,
                             bool from_default);
void conf_foreach(const struct cgw_conf *c, conf_each_fn fn, void *ctx);

/* The reading half of cgw_host. Unknown keys read as 0 / NULL. */
int64_t conf_int(const struct cgw_conf *c, const char *key);
const char *conf_str(const struct cgw_conf *c, const char *key);
/* It is an option, boolean, and false. */
bool conf_is_off(const struct cgw_conf *c, const char *key);
uint32_t conf_count(const struct cgw_conf *c, const char *key);
const char *conf_item(const struct cgw_conf *c, const char *key, uint32_t i);

/* Is the schema itself well-formed (types, ranges, defaults that fit)? 0 or CGW_EINVAL. Called by
 * the loader. */
int conf_schema_check(const struct cgw_option *options, uint32_t n,
                      struct diag *diag) CGW_NODISCARD;

#endif
