/* SPDX-License-Identifier: Apache-2.0 */
/* config.h - campgw.conf as checked, typed values. One table (config.c) knows every key with type,
 * range and default; unknown keys are errors with file:line and the nearest known word. The groups
 * `plugins` and `instances` are the plugin registry's (plugin/registry.h). */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include "base/diag.h"
#include <libconfig.h>
#include <stdint.h>

#define CONFIG_PATH_DEFAULT CGW_SYSCONFDIR "/campgw.conf"

struct config {
    config_t
        file; /* the parsed text, for the registry; texts below point into it or are defaults */
    const char *path; /* owned */
    const char *node, *log_level, *credentials;
    const char *conninfo, *owner_conninfo;
    const char *api_listen, *api_socket, *api_admin_group, *api_spool_dir;
    int api_port, api_workers, api_queue, api_connections, api_timeout_s, api_rate_per_min,
        api_spool_max_mb;
    const char *callback_listen;
    int callback_port;                                /* -1 = no callback listener */
    const char *callback_tls_cert, *callback_tls_key; /* names inside `credentials` */
    int callback_connections, callback_per_address, callback_timeout_s, callback_answer_ms;
    int dispatch_threads, dispatch_inflight, dispatch_lease_ms;
    int media_max_mb, media_cache_mb;
    const char *outcome_optout;
    int outcome_receipt_grace_s, outcome_query_per_s, outcome_recall_per_s, outcome_soft_bounces,
        outcome_soft_bounce_days;
    const char *identity_key_file, *sign_key_file; /* names inside `credentials` */
    unsigned char identity_key[32], sign_key[64];  /* read by config_load_keys() */
};

/* path NULL = CONFIG_PATH_DEFAULT. On failure diag.where is "file:line". */
int config_load(const char *path, struct config **ret, struct diag *diag) CGW_NODISCARD;
int config_load_keys(struct config *c, struct diag *diag) CGW_NODISCARD;
/* A credential file's text without its final newline; at most size - 1 bytes. Refuses files that
 * others may read. */
int config_credential(const struct config *c, const char *name, char *out, size_t size,
                      struct diag *diag) CGW_NODISCARD;
void config_free(struct config *c); /* wipes keys */

/* For documentation and `campgwctl doctor`: every key of the table. */
struct config_key {
    const char *key; /* "api.port" */
    char type;       /* 's' text, 'i' integer */
    size_t offset;   /* into struct config */
    const char *text_default;
    int int_default, min, max;
    const char *unit, *help;
};
extern const struct config_key config_keys[]; /* ends with key NULL */

#endif
