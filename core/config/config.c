/* SPDX-License-Identifier: Apache-2.0 */
/* config.c - see config.h. */
#include "config/config.h"

#include "base/log.h"
#include "base/word.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define S(k, member, def, help_)                                                                   \
    {                                                                                              \
        k, 's', offsetof(struct config, member), def, 0, 0, 4096, NULL, help_                      \
    }
#define I(k, member, def, lo, hi, unit_, help_)                                                    \
    {                                                                                              \
        k, 'i', offsetof(struct config, member), NULL, def, lo, hi, unit_, help_                   \
    }

const struct config_key config_keys[] = {
    S("node", node, "node-1", "name of this node, unique among the nodes of one database"),
    S("log_level", log_level, "info", LOG_LEVELS "; reread on HUP"),
    S("credentials", credentials, CGW_SYSCONFDIR "/credentials",
      "directory of key and password files, each 0600 or 0640; $CREDENTIALS_DIRECTORY wins"),
    S("identity_key", identity_key_file, "identity.key",
      "file in credentials: 32 bytes in hex; the identity of every customer hangs on it"),
    S("sign_key", sign_key_file, "sign.key",
      "file in credentials: Ed25519 secret key, 64 bytes in hex; signs the seals"),
    S("database.conninfo", conninfo, "dbname=campgw user=campgw",
      "libpq connection string of the daemon's role"),
    S("database.owner_conninfo", owner_conninfo, "dbname=campgw user=campgw_owner",
      "libpq connection string for `campgwctl db migrate`"),
    S("api.listen", api_listen, "127.0.0.1", "address of the HTTP API, \"\" = none"),
    I("api.port", api_port, 8440, 0, 65535, NULL, "TCP port of the HTTP API, 0 = any free one"),
    S("api.socket", api_socket, CGW_RUNSTATEDIR "/campgw/api.sock",
      "local socket of the HTTP API, \"\" = none"),
    S("api.admin_group", api_admin_group, "campgw-admin",
      "members may use the local socket without a key"),
    S("api.spool_dir", api_spool_dir, "/var/tmp",
      "directory for uploads in progress (files are unlinked at once)"),
    I("api.workers", api_workers, 4, 1, 64, "threads", "requests worked on at the same time"),
    I("api.queue", api_queue, 256, 1, 65536, "requests",
      "requests waiting for a worker; beyond it 503"),
    I("api.connections", api_connections, 2048, 1, 100000, "connections",
      "open connections; beyond it the one that waits longest gives way"),
    I("api.timeout_s", api_timeout_s, 15, 1, 3600, "s", "idle or slow connections are closed"),
    I("api.rate_per_min", api_rate_per_min, 600, 1, 10000000, "requests/min", "per key"),
    I("api.spool_max_mb", api_spool_max_mb, 16384, 1, 1048576, "MB",
      "uploads in progress, together"),
    S("callback.listen", callback_listen, "127.0.0.1", "address of the plugins' callback listener"),
    I("callback.port", callback_port, -1, -1, 65535, NULL,
      "port of the plugins' callback listener; 0 = any free one, -1 = none"),
    S("callback.tls_cert", callback_tls_cert, "",
      "file in credentials: certificate chain (PEM) of the callback listener, \"\" = plain HTTP"),
    S("callback.tls_key", callback_tls_key, "", "file in credentials: its private key (PEM)"),
    I("callback.connections", callback_connections, 512, 1, 65536, "connections",
      "open connections of the callback listener; beyond it new ones are closed"),
    I("callback.per_address", callback_per_address, 128, 1, 65536, "connections",
      "of them from one address; a proxy in front counts as one"),
    I("callback.timeout_s", callback_timeout_s, 15, 1, 3600, "s",
      "idle or slow connections of the callback listener are closed"),
    I("callback.answer_ms", callback_answer_ms, 30000, 100, 600000, "ms",
      "a report not stored by then is answered 503"),
    I("dispatch.threads", dispatch_threads, 2, 1, 15, "threads",
      "dispatchers of the bulk lane; the urgent lane has its own"),
    I("dispatch.inflight", dispatch_inflight, 65536, 64, 100000, "messages",
      "handed to channels and not yet settled"),
    I("dispatch.lease_ms", dispatch_lease_ms, 10000, 1000, 600000, "ms",
      "after that long without a sign another node takes over"),
    I("media.max_mb", media_max_mb, 16, 1, 64, "MB", "bytes of one media; beyond it 413"),
    I("media.cache_mb", media_cache_mb, 64, 1, 4096, "MB",
      "media kept in memory for the messages that refer to them"),
    S("outcome.optout", outcome_optout, CGW_SYSCONFDIR "/optout.conf", "opt-out words by locale"),
    I("outcome.receipt_grace_s", outcome_receipt_grace_s, 300, 0, 604800, "s",
      "how long after its validity a message may still get its receipt"),
    I("outcome.query_per_s", outcome_query_per_s, 20, 0, 1000, "messages/s",
      "asked about, once each, when validity is over and no receipt came; 0 = never"),
    I("outcome.recall_per_s", outcome_recall_per_s, 500, 0, 1000, "messages/s",
      "taken back from the network when their campaign is cancelled; 0 = never"),
    I("outcome.soft_bounces", outcome_soft_bounces, 5, 0, 1000, "messages",
      "that came back for now and end the channel for a person; 0 = never"),
    I("outcome.soft_bounce_days", outcome_soft_bounce_days, 30, 1, 366, "days",
      "in which so many have to come back"),
    {NULL, 0, 0, NULL, 0, 0, 0, NULL, NULL}};

static int CGW_PRINTF(4, 5) complain(const struct config *c, const config_setting_t *s,
                                     struct diag *diag, const char *fmt, ...)
{
    char where[96], text[CGW_DIAG_MAX];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    (void)snprintf(where, sizeof where, "%.80s:%d", c->path, config_setting_source_line(s));
    return diag_set(diag, CGW_EINVAL, where, "%s", text);
}

static const struct config_key *find_key(const char *name)
{
    for (const struct config_key *k = config_keys; k->key; k++)
        if (!strcmp(k->key, name))
            return k;
    return NULL;
}

static int take(struct config *c, const struct config_key *k, const config_setting_t *s,
                struct diag *diag)
{
    char *at = (char *)c + k->offset, range[96];
    if (k->type == 's') {
        const char *v = config_setting_get_string(s);
        if (!v)
            return complain(c, s, diag, "%s must be a text in quotes", k->key);
        if (!strcmp(k->key, "log_level") && log_level_parse(v) < 0)
            return complain(c, s, diag, "log_level must be one of %s", LOG_LEVELS);
        *(const char **)(void *)at = v;
        return 0;
    }
    if (config_setting_type(s) != CONFIG_TYPE_INT)
        return complain(c, s, diag, "%s must be a whole number", k->key);
    int v = config_setting_get_int(s);
    (void)snprintf(range, sizeof range, "%d is outside %d..%d%s%s", v, k->min, k->max,
                   k->unit ? " " : "", k->unit ? k->unit : "");
    if (v < k->min || v > k->max)
        return complain(c, s, diag, "%s: %s", k->key, range);
    *(int *)(void *)at = v;
    return 0;
}

static bool is_group(const char *name)
{
    size_t n = strlen(name);
    for (const struct config_key *k = config_keys; k->key; k++)
        if (!strncmp(k->key, name, n) && k->key[n] == '.')
            return true;
    return false;
}

static int unknown(const struct config *c, const config_setting_t *s, const char *name,
                   struct diag *diag)
{
    const char *near = NULL;
    for (const struct config_key *k = config_keys; k->key; k++)
        near = word_nearer(name, k->key, near);
    return near ? complain(c, s, diag, "unknown key %s; did you mean %s?", name, near)
                : complain(c, s, diag, "unknown key %s", name);
}

static int take_group(struct config *c, const config_setting_t *group, const char *prefix,
                      struct diag *diag)
{
    int rc = 0;
    for (int i = 0; rc == 0 && i < config_setting_length(group); i++) {
        const config_setting_t *s = config_setting_get_elem(group, (unsigned)i);
        char name[128];
        (void)snprintf(name, sizeof name, "%s%s%s", prefix, prefix[0] ? "." : "",
                       config_setting_name(s));
        if (!prefix[0] && (!strcmp(name, "plugins") || !strcmp(name, "instances")))
            continue; /* the registry's */
        const struct config_key *k = find_key(name);
        if (!k && !prefix[0] && config_setting_is_group(s) && is_group(name)) {
            for (int m = 0; rc == 0 && m < config_setting_length(s);
                 m++) { /* groups nest one level */
                const config_setting_t *member = config_setting_get_elem(s, (unsigned)m);
                char full[200];
                (void)snprintf(full, sizeof full, "%s.%s", name, config_setting_name(member));
                k = find_key(full);
                rc = k ? take(c, k, member, diag) : unknown(c, member, full, diag);
            }
            continue;
        }
        rc = k ? take(c, k, s, diag) : unknown(c, s, name, diag);
    }
    return rc;
}

static void set_defaults(struct config *c)
{
    for (const struct config_key *k = config_keys; k->key; k++) {
        char *at = (char *)c + k->offset;
        if (k->type == 's')
            *(const char **)(void *)at = k->text_default;
        else
            *(int *)(void *)at = k->int_default;
    }
    const char *dir = getenv("CREDENTIALS_DIRECTORY"); /* systemd's LoadCredential */
    if (dir)
        c->credentials = dir;
}

int config_load(const char *path, struct config **ret, struct diag *diag)
{
    struct config *c = calloc(1, sizeof *c);
    if (!c)
        return diag_set(diag, -ENOMEM, "", "out of memory");
    c->path = strdup(path ? path : CONFIG_PATH_DEFAULT);
    config_init(&c->file);
    set_defaults(c);
    int rc = 0;
    if (!c->path || config_read_file(&c->file, c->path) != CONFIG_TRUE) {
        char where[96];
        (void)snprintf(where, sizeof where, "%.80s:%d", c->path ? c->path : "",
                       config_error_line(&c->file));
        rc = config_error_type(&c->file) == CONFIG_ERR_PARSE
                 ? diag_set(diag, CGW_EINVAL, where, "%s", config_error_text(&c->file))
                 : diag_set(diag, CGW_ENOTFOUND, c->path ? c->path : "",
                            "cannot read the configuration: %s", strerror(errno));
    }
    if (rc == 0)
        rc = take_group(c, config_root_setting(&c->file), "", diag);
    if (rc < 0) {
        config_free(c);
        return rc;
    }
    const char *dir = getenv("CREDENTIALS_DIRECTORY");
    if (dir)
        c->credentials = dir;
    *ret = c;
    return 0;
}

void config_free(struct config *c)
{
    if (!c)
        return;
    sodium_memzero(c->identity_key, sizeof c->identity_key);
    sodium_memzero(c->sign_key, sizeof c->sign_key);
    config_destroy(&c->file);
    free((void *)(uintptr_t)c->path);
    free(c);
}

int config_credential(const struct config *c, const char *name, char *out, size_t size,
                      struct diag *diag)
{
    char path[4200];
    struct stat st;
    (void)snprintf(path, sizeof path, "%s/%s", c->credentials, name);
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return diag_set(diag, CGW_ENOTFOUND, name, "cannot read the credential file %s: %s", path,
                        strerror(errno));
    if (st.st_mode & 07)
        return diag_set(diag, CGW_EDENIED, name,
                        "%s may be read by everybody (mode %04o): chmod 0600 it", path,
                        (unsigned)st.st_mode & 07777u);
    ssize_t n = read(fd, out, size - 1);
    if (n < 0 || (size_t)st.st_size > size - 1)
        return diag_set(diag, CGW_EINVAL, name, "%s is larger than %zu bytes or unreadable", path,
                        size - 1);
    while (n && (out[n - 1] == '\n' || out[n - 1] == '\r'))
        n--;
    out[n] = 0;
    return 0;
}

static int load_hex(const struct config *c, const char *name, unsigned char *out, size_t len,
                    struct diag *diag)
{
    char text[256];
    size_t got = 0;
    int rc = config_credential(c, name, text, sizeof text, diag);
    if (rc == 0 &&
        (sodium_hex2bin(out, len, text, strlen(text), NULL, &got, NULL) != 0 || got != len))
        rc = diag_set(diag, CGW_EINVAL, name, "must hold %zu bytes in hex (%zu digits)", len,
                      len * 2);
    sodium_memzero(text, sizeof text);
    return rc;
}

int config_load_keys(struct config *c, struct diag *diag)
{
    int rc = load_hex(c, c->identity_key_file, c->identity_key, sizeof c->identity_key, diag);
    return rc < 0 ? rc : load_hex(c, c->sign_key_file, c->sign_key, sizeof c->sign_key, diag);
}
