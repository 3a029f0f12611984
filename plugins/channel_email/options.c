/* SPDX-License-Identifier: Apache-2.0 */
/* options.c - the option schema of channel_email, and reading it. Connects to nothing. */
#include "instance.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define INT(k, def, lo, hi, u, h)                                                                  \
    {                                                                                              \
        .key = (k), .type = CGW_OPT_INT, .default_text = (def), .min = (lo), .max = (hi),          \
        .unit = (u), .help = (h)                                                                   \
    }
#define STR(k, fl, lo, hi, h)                                                                      \
    {                                                                                              \
        .key = (k), .type = CGW_OPT_STR, .flags = (fl), .min = (lo), .max = (hi), .help = (h)      \
    }
#define BOOL(k, def, h)                                                                            \
    {                                                                                              \
        .key = (k), .type = CGW_OPT_BOOL, .default_text = (def), .help = (h)                       \
    }
#define ENUM(k, def, ch, h)                                                                        \
    {                                                                                              \
        .key = (k), .type = CGW_OPT_ENUM, .default_text = (def), .choices = (ch), .help = (h)      \
    }

/* clang-format off */
const struct cgw_option email_options[] = {
    STR("host", CGW_OPTF_REQUIRED, 1, 200, "smarthost: name or address"),
    INT("port", "587", 1, 65535, NULL, "its port"),
    ENUM("tls", "starttls", "starttls|implicit|none", "starttls: or nothing is sent; implicit: TLS from the first byte (465); none: plain"),
    BOOL("verify", "true", "the smarthost's certificate must be valid for host"),
    STR("ca_file", 0, 1, 1024, "certificate authorities (PEM); unset: the system's"),
    STR("user", 0, 1, 255, "AUTH user; unset: no AUTH"),
    STR("password", CGW_OPTF_SECRET, 1, 255, "its password: name of a credential file"),
    ENUM("login", "auto", "auto|plain|login", "AUTH mechanism; auto: the best one offered"),
    BOOL("auth_without_tls", "false", "allow AUTH with tls = none: the password travels in the clear"),
    STR("helo", 0, 1, 120, "name said in EHLO; unset: this machine's"),
    INT("connections", "8", 1, SMTP_CONNECTIONS_MAX, "connections", "most at once; each has a thread"),
    INT("messages_per_connection", "100", 1, 100000, "messages", "then the connection is replaced"),
    INT("idle_s", "30", 1, 3600, "s", "a connection unused for so long is closed"),
    INT("connect_ms", "10000", 100, 120000, "ms", "to connect, greet, and log in"),
    INT("answer_s", "120", 1, 600, "s", "the longest silence of the smarthost"),
    INT("window", "64", 1, EMAIL_WINDOW_MAX, "messages", "taken and not settled; a tenth is kept for the urgent lane"),
    {.key = "domain_limits", .type = CGW_OPT_LIST,
     .help = "per recipient domain DOMAIN=RATE/s:MOST, as gmail.com=20/s:5; * is every other one (standard *=100/s:10)"},
    STR("from", 0, 3, 254, "sender's address when the message names none"),
    STR("from_name", 0, 1, 200, "sender's name beside it"),
    STR("reply_to", 0, 3, 254, "Reply-To"),
    STR("list_id", 0, 1, 200, "List-Id, without < and >"),
    STR("message_id_domain", 0, 1, 200, "domain of Message-ID; unset: that of from, or bounce_domain"),
    STR("bounce_domain", 0, 1, 190, "bounces go to b+TOKEN@ this (VERP), unsubscribing by mail to u+TOKEN@"),
    STR("envelope_from", 0, 3, 254, "envelope sender without bounce_domain; unset: from"),
    STR("unsubscribe_url", 0, 8, 400, "public https address of the route /u; unset: no one-click header"),
    STR("token_secret", CGW_OPTF_SECRET, EMAIL_SECRET_MIN, 1024, "key of ids, bounce addresses and links: name of a credential file; a change makes what was sent before unrecognisable"),
    INT("max_bytes", "10485760", 1000, 52428800, "bytes", "of one mail with everything in it"),
    {.key = NULL},
};
/* clang-format on */

static int complain(struct cgw_diag *diag, const char *where, const char *text)
{
    diag->code = CGW_EINVAL;
    (void)snprintf(diag->where, sizeof diag->where, "%s", where);
    (void)snprintf(diag->text, sizeof diag->text, "%s", text);
    return CGW_EINVAL;
}

/* Texts of the configuration are borrowed during create() only: all are kept in one block. */
static int keep_texts(struct email_channel *e, const struct cgw_conf *conf)
{
    const struct {
        const char *key, **to;
    } texts[] = {
        {"host", &e->smtp.host},
        {"ca_file", &e->smtp.ca_file},
        {"user", &e->smtp.user},
        {"password", &e->smtp.password},
        {"helo", &e->smtp.helo},
        {"from", &e->compose.from},
        {"from_name", &e->compose.from_name},
        {"reply_to", &e->compose.reply_to},
        {"list_id", &e->compose.list_id},
        {"message_id_domain", &e->compose.message_id_domain},
        {"bounce_domain", &e->compose.bounce_domain},
        {"envelope_from", &e->envelope_from},
        {"unsubscribe_url", &e->compose.unsubscribe_url},
    };
    size_t room = 1, at = 0;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const char *v = e->host->conf_str(conf, texts[i].key);
        room += v ? strlen(v) + 1 : 0;
    }
    e->words = calloc(1, room);
    if (!e->words)
        return -ENOMEM;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const char *v = e->host->conf_str(conf, texts[i].key);
        size_t n = v && *v ? strlen(v) + 1 : 0;
        *texts[i].to = n ? memcpy(e->words + at, v, n) : NULL;
        at += n;
    }
    return 0;
}

/* What will stand in header and envelope must not be able to end a line or a bracket. */
static int judge_texts(const struct email_channel *e, struct cgw_diag *diag)
{
    const struct {
        const char *key, *v, *bad;
    } texts[] = {
        {"host", e->smtp.host, " /@?#<>"},
        {"helo", e->smtp.helo, " /@?#<>"},
        {"from", e->compose.from, " <>,;:\"()[]\\"},
        {"reply_to", e->compose.reply_to, " <>,;:\"()[]\\"},
        {"envelope_from", e->envelope_from, " <>,;:\"()[]\\"},
        {"list_id", e->compose.list_id, " <>"},
        {"message_id_domain", e->compose.message_id_domain, " <>@"},
        {"bounce_domain", e->compose.bounce_domain, " <>@"},
        {"unsubscribe_url", e->compose.unsubscribe_url, " <>\"'"},
        {"from_name", e->compose.from_name, ""},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const char *v = texts[i].v;
        for (; v && *v; v++)
            if ((unsigned char)*v < 0x20 || *v == 0x7f || strchr(texts[i].bad, *v))
                return complain(diag, texts[i].key, "holds a character that cannot stand there");
    }
    return 0;
}

static bool is_address(const char *s)
{
    const char *at = s ? strchr(s, '@') : NULL;
    return at && at > s && at[1] && !strchr(at + 1, '@');
}

static int judge(const struct email_channel *e, const struct cgw_conf *conf, struct cgw_diag *diag)
{
    const char *url = e->compose.unsubscribe_url;
    if ((e->compose.bounce_domain || url) && !e->host->conf_str(conf, "token_secret"))
        return complain(diag, "token_secret",
                        "is missing: bounce_domain and unsubscribe_url need it, so that what was "
                        "sent before a restart is still known behind it");
    if (e->compose.from && !is_address(e->compose.from))
        return complain(diag, "from", "is no address of the form name@domain");
    if (e->compose.reply_to && !is_address(e->compose.reply_to))
        return complain(diag, "reply_to", "is no address of the form name@domain");
    if (e->envelope_from && !is_address(e->envelope_from))
        return complain(diag, "envelope_from", "is no address of the form name@domain");
    if (e->smtp.user && !e->smtp.password)
        return complain(diag, "password", "is missing: user is set");
    if (e->smtp.user && e->smtp.tls == SMTP_TLS_NONE &&
        !e->host->conf_int(conf, "auth_without_tls"))
        return complain(diag, "user",
                        "AUTH without TLS would show the password to the network; set tls, or "
                        "auth_without_tls = true");
    if (url && strncasecmp(url, "https://", 8) != 0 && strncasecmp(url, "http://", 7) != 0)
        return complain(diag, "unsubscribe_url", "is no address of the form https://…");
    if (e->smtp.ca_file && access(e->smtp.ca_file, R_OK) != 0)
        return complain(diag, "ca_file", "cannot be read");
    return judge_texts(e, diag);
}

static enum smtp_tls tls_of(const char *word)
{
    return !strcmp(word, "implicit") ? SMTP_TLS_IMPLICIT
           : !strcmp(word, "none")   ? SMTP_TLS_NONE
                                     : SMTP_TLS_STARTTLS;
}

static void read_numbers(struct email_channel *e, const struct cgw_conf *conf)
{
    const struct cgw_host *h = e->host;
    const char *login = h->conf_str(conf, "login");
    e->smtp.port = (uint32_t)h->conf_int(conf, "port");
    e->smtp.connections = (uint32_t)h->conf_int(conf, "connections");
    e->smtp.per_connection = (uint32_t)h->conf_int(conf, "messages_per_connection");
    e->smtp.idle_s = (long)h->conf_int(conf, "idle_s");
    e->smtp.connect_ms = (long)h->conf_int(conf, "connect_ms");
    e->smtp.answer_s = (long)h->conf_int(conf, "answer_s");
    e->smtp.verify = h->conf_int(conf, "verify") != 0;
    e->smtp.tls = tls_of(h->conf_str(conf, "tls"));
    e->smtp.login = !strcmp(login, "plain")   ? "AUTH=PLAIN"
                    : !strcmp(login, "login") ? "AUTH=LOGIN"
                                              : NULL;
    e->window = (uint32_t)h->conf_int(conf, "window");
    e->compose.max_bytes = (uint64_t)h->conf_int(conf, "max_bytes");
}

int email_options_read(struct email_channel *e, const struct cgw_conf *conf, struct cgw_diag *diag)
{
    char why[CGW_DIAG_MAX];
    int rc = keep_texts(e, conf);
    if (rc)
        return rc;
    read_numbers(e, conf);
    rc = judge(e, conf, diag);
    for (uint32_t i = 0; !rc && i < e->host->conf_count(conf, "domain_limits"); i++)
        if (email_domains_limit(e->domains, e->host->conf_item(conf, "domain_limits", i), why,
                                sizeof why))
            rc = complain(diag, "domain_limits", why);
    if (!rc && email_key_init(&e->key, e->host->conf_str(conf, "token_secret")))
        rc = complain(diag, "token_secret", "has fewer than 16 bytes");
    if (!e->smtp.helo)
        e->smtp.helo = "";
    if (!rc && !e->compose.message_id_domain)
        e->compose.message_id_domain = e->compose.from            ? strchr(e->compose.from, '@') + 1
                                       : e->compose.bounce_domain ? e->compose.bounce_domain
                                                                  : "localhost.localdomain";
    return rc;
}
