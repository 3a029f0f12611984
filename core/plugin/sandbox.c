/* SPDX-License-Identifier: Apache-2.0 */
/* sandbox.c - see sandbox.h. Names other than localhost are refused even where they would lead to
 * this machine today: what a resolver says may change. */
#include "plugin/sandbox.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char *const sandbox_words[] = {
    "host",   "hosts", "url",    "urls",  "address",   "addresses", "addr",
    "peer",   "peers", "server", "proxy", "smarthost", "registrar", "trunk",
    "trunks", "relay", "mmsc",   "smsc",  "endpoint",  "domain"};

static bool names_a_peer(const char *key)
{
    for (const char *at = key; *at;) {
        size_t n = strcspn(at, "_");
        for (size_t i = 0; i < ARRAY_LEN(sandbox_words); i++)
            if (strlen(sandbox_words[i]) == n && !memcmp(at, sandbox_words[i], n))
                return true;
        at += n + (at[n] == '_');
    }
    return false;
}

/* The host of a URL, a SIP URI, host:port or a bare address. */
static void host_of(const char *peer, char *out, size_t size)
{
    const char *at = strstr(peer, "://");
    at = at                               ? at + 3
         : !strncasecmp(peer, "sips:", 5) ? peer + 5
         : !strncasecmp(peer, "sip:", 4)  ? peer + 4
                                          : peer;
    size_t authority = strcspn(at, "/?#;");
    for (size_t i = authority; i-- > 0;) /* the last @ ends the user */
        if (at[i] == '@') {
            at += i + 1;
            authority -= i + 1;
            break;
        }
    size_t n = authority;
    if (*at == '[') {
        at++;
        n = strcspn(at, "]");
    } else {
        const char *colon = memchr(at, ':', authority);
        if (colon && !memchr(colon + 1, ':', authority - (size_t)(colon + 1 - at)))
            n = (size_t)(colon - at); /* one colon: a port; several: a bare IPv6 address */
    }
    (void)snprintf(out, size, "%.*s", (int)n, at);
}

bool sandbox_is_loopback(const char *peer)
{
    char host[256];
    unsigned char ip[16];
    host_of(peer, host, sizeof host);
    if (!strcasecmp(host, "localhost"))
        return true;
    if (inet_pton(AF_INET, host, ip) == 1)
        return ip[0] == 127;
    return inet_pton(AF_INET6, host, ip) == 1 &&
           !memcmp(ip, (const unsigned char[16]){[15] = 1}, sizeof ip);
}

static int deny(const char *instance, const char *key, const char *value, struct diag *diag)
{
    return diag_set(diag, CGW_EDENIED, "",
                    "instance %s: option %s = \"%.60s\": a sandbox speaks to simulators on this "
                    "machine only; use 127.0.0.1, ::1, localhost or plugin %s",
                    instance, key, value, SANDBOX_PLUGIN);
}

static int check_option(const struct cgw_option *o, const char *instance,
                        const struct cgw_conf *conf, uint32_t *n, struct diag *diag)
{
    if (o->type == CGW_OPT_STR) {
        const char *v = conf_str(conf, o->key);
        if (!v || !*v)
            return 0;
        ++*n;
        return sandbox_is_loopback(v) ? 0 : deny(instance, o->key, v, diag);
    }
    for (uint32_t i = 0; o->type == CGW_OPT_LIST && i < conf_count(conf, o->key); i++) {
        const char *v = conf_item(conf, o->key, i);
        ++*n;
        if (!sandbox_is_loopback(v))
            return deny(instance, o->key, v, diag);
    }
    return 0;
}

int sandbox_check(const struct plugin *p, const char *instance, const struct cgw_conf *conf,
                  struct diag *diag)
{
    uint32_t peers = 0;
    if (!strcmp(p->desc.name, SANDBOX_PLUGIN))
        return 0;
    for (uint32_t i = 0; i < p->n_options; i++) {
        const struct cgw_option *o = &p->desc.options[i];
        int rc = names_a_peer(o->key) && !(o->flags & CGW_OPTF_SECRET)
                     ? check_option(o, instance, conf, &peers, diag)
                     : 0;
        if (rc)
            return rc;
    }
    return peers ? 0
                 : diag_set(diag, CGW_EDENIED, "",
                            "instance %s: plugin %s names no peer in its options, so a sandbox "
                            "cannot tell that it is a simulator; use plugin %s",
                            instance, p->desc.name, SANDBOX_PLUGIN);
}
