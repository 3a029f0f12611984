/* SPDX-License-Identifier: Apache-2.0 */
/* options.c - option schema and its reading. Types and ranges are checked by the gateway from the
 * schema; here is what only telephony knows. Must not touch the network or print a secret. */
#include "options.h"
#include "flow.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define INT(key, def, lo, hi, unit, help)                                                          \
    {                                                                                              \
        key, CGW_OPT_INT, 0, def, lo, hi, NULL, unit, help                                         \
    }
#define STR(key, flags, def, hi, help)                                                             \
    {                                                                                              \
        key, CGW_OPT_STR, flags, def, 0, hi, NULL, NULL, help                                      \
    }

const struct cgw_option ivr_option_schema[] = {
    {"trunks", CGW_OPT_LIST, CGW_OPTF_REQUIRED, NULL, 0, 511, NULL, NULL,
     "HOST[:PORT][;priority=N][;calls=N][;cps=N][;user=NAME][;register=yes][;plus=no][;prefix=00]"},
    STR("passwords", CGW_OPTF_SECRET, NULL, 4096,
        "credential with one line \"USER PASSWORD\" per trunk user"),
    STR("sip_address", 0, "0.0.0.0", 15,
        "IPv4 address for SIP and sound; 0.0.0.0: the one that leads to the first trunk"),
    INT("sip_port", "0", 0, 65535, NULL, "UDP port of SIP, 0 = any"),
    INT("rtp_port_first", "16384", 1024, 65534, NULL, "lowest port of sound"),
    INT("rtp_port_last", "32767", 1025, 65535, NULL,
        "highest port of sound; two are needed per call"),
    {"codecs", CGW_OPT_LIST, 0, "pcmu,pcma", 0, 8, NULL, NULL, "offered, best first: pcmu, pcma"},
    STR("caller_id", 0, "anonymous", 127, "caller of messages that name none"),
    {"p_asserted_identity", CGW_OPT_BOOL, 0, "false", 0, 1, NULL, NULL,
     "send the caller in P-Asserted-Identity (RFC 3325) too"},
    INT("trunk_timeout_ms", "5000", 500, 32000, "ms",
        "a trunk that gives no answer to an INVITE for so long has failed"),
    INT("ring_timeout_s", "30", 5, 180, "s", "hang up what rings longer"),
    INT("options_ping_s", "30", 0, 3600, "s", "OPTIONS to every trunk, 0 = never"),
    INT("register_s", "300", 60, 86400, "s", "expiry of registrations"),
    INT("max_call_s", "600", 10, IVR_CALL_MAX_S, "s", "hang up what lasts longer"),
    INT("rtp_timeout_s", "60", 0, 600, "s",
        "an answered call that is silent for so long is lost, 0 = never"),
    INT("retry_busy_s", "300", 0, 86400, "s", "busy: again after so long, 0 = final"),
    INT("retry_no_answer_s", "3600", 0, 86400, "s", "no answer: again after so long, 0 = final"),
    INT("retry_rejected_s", "0", 0, 86400, "s", "rejected: again after so long, 0 = final"),
    INT("retry_route_s", "60", 1, 86400, "s", "no trunk could take it: again after so long"),
    STR("voice", 0, "en", 31, "voice of espeak-ng for flows that name none"),
    STR("tts_command", 0, "espeak-ng", 255, "the command that speaks"),
    INT("tts_timeout_ms", "10000", 100, 60000, "ms", "it is killed when one text takes longer"),
    INT("tts_workers", "2", 1, 8, "threads", "prompts made at the same time"),
    INT("prompt_cache_mib", "64", 1, 4096, "MiB", "prompts kept, by content"),
    INT("urgent_percent", "10", 0, 50, "percent", "share of the calls kept for the urgent lane"),
    {NULL, 0, 0, NULL, 0, 0, NULL, NULL, NULL},
};

struct reader {
    const struct cgw_host *host;
    const struct cgw_conf *conf;
    struct ivr_options *o;
    struct cgw_diag *diag;
};

static int bad(struct reader *r, const char *key, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static int bad(struct reader *r, const char *key, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(r->diag->text, sizeof r->diag->text, fmt, ap);
    va_end(ap);
    (void)snprintf(r->diag->where, sizeof r->diag->where, "%s", key);
    return r->diag->code = CGW_EINVAL;
}

static void text(struct reader *r, const char *key, char *out, size_t size)
{
    const char *s = r->host->conf_str(r->conf, key);
    (void)snprintf(out, size, "%s", s ? s : "");
}

static int64_t integer(struct reader *r, const char *key)
{
    return r->host->conf_int(r->conf, key);
}

bool ivr_caller_ok(const char *s)
{
    size_t n = strlen(s);
    if (n == 0 || n > 127)
        return false;
    for (size_t i = 0; i < n; i++) /* it stands between < and > of a header */
        if ((unsigned char)s[i] <= 0x20 || (unsigned char)s[i] > 0x7e || strchr("<>\"\\,", s[i]))
            return false;
    return strncmp(s, "sip:", 4) == 0 || !strpbrk(s, "@:;");
}

/* ---- trunks ---- */

/* "USER PASSWORD" lines; the password is all behind the first space. */
static char *password_of(const char *lines, const char *user)
{
    size_t n = strlen(user);
    while (lines && *lines) {
        size_t len = strcspn(lines, "\r\n");
        if (len > n + 1 && strncmp(lines, user, n) == 0 && lines[n] == ' ')
            return strndup(lines + n + 1, len - n - 1);
        lines += len;
        lines += strspn(lines, "\r\n");
    }
    return NULL;
}

static int read_trunk(struct reader *r, uint32_t i, const char *passwords)
{
    struct ivr_trunk *t = &r->o->trunks[i];
    char why[160];
    if (ivr_trunk_parse(r->host->conf_item(r->conf, "trunks", i), t, why, sizeof why) < 0)
        return bad(r, "trunks", "trunk %u: %s", i + 1, why);
    if (t->user[0]) {
        r->o->passwords[i] = password_of(passwords, t->user);
        if (!r->o->passwords[i])
            return bad(r, "passwords", "no line \"%s PASSWORD\" for trunk %u", t->user, i + 1);
    }
    r->o->calls += t->calls;
    return 0;
}

static int read_trunks(struct reader *r)
{
    uint32_t n = r->host->conf_count(r->conf, "trunks");
    const char *passwords = r->host->conf_str(r->conf, "passwords");
    int rc = 0;
    if (n == 0 || n > IVR_TRUNKS_MAX)
        return bad(r, "trunks", "%u trunks; 1 to %u are possible", n, IVR_TRUNKS_MAX);
    for (uint32_t i = 0; i < n && rc == 0; i++)
        rc = read_trunk(r, i, passwords);
    r->o->n_trunks = n;
    if (rc == 0 && r->o->calls > IVR_CALLS_MAX)
        return bad(r, "trunks", "calls= of all trunks make %u; one instance carries at most %u",
                   r->o->calls, IVR_CALLS_MAX);
    return rc;
}

/* ---- network ---- */

/* Connecting a UDP socket sends nothing, but tells which address the host would use. */
static struct in_addr way_out(const char *host)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(5060)}, self = {0};
    socklen_t len = sizeof self;
    char name[128];
    (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(host, ":"), host);
    if (inet_pton(AF_INET, name, &to.sin_addr) != 1)
        to.sin_addr.s_addr = htonl(0xc0000201); /* a documentation address: the default route */
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof to) != 0 ||
        getsockname(fd, (struct sockaddr *)&self, &len) != 0)
        self.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd >= 0)
        (void)close(fd);
    return self.sin_addr;
}

static int read_network(struct reader *r)
{
    char address[16];
    text(r, "sip_address", address, sizeof address);
    if (inet_pton(AF_INET, address, &r->o->local) != 1)
        return bad(r, "sip_address", "\"%s\" is not an IPv4 address", address);
    if (r->o->local.s_addr == 0)
        r->o->local = way_out(r->o->trunks[0].host);
    int64_t first = integer(r, "rtp_port_first"), last = integer(r, "rtp_port_last");
    if (last < first || (last - first + 1) / 2 < r->o->calls)
        return bad(r, "rtp_port_last",
                   "ports %lld to %lld hold fewer than the %u calls of the trunks; two per call",
                   (long long)first, (long long)last, r->o->calls);
    r->o->sip_port = (uint16_t)integer(r, "sip_port");
    r->o->rtp_first = (uint16_t)first;
    r->o->rtp_last = (uint16_t)last;
    return 0;
}

static int read_codecs(struct reader *r)
{
    uint32_t n = r->host->conf_count(r->conf, "codecs");
    if (n < 1 || n > 2)
        return bad(r, "codecs", "one or two of pcmu, pcma");
    for (uint32_t i = 0; i < n; i++) {
        const char *s = r->host->conf_item(r->conf, "codecs", i);
        bool ulaw = strcmp(s, "pcmu") == 0;
        if (!ulaw && strcmp(s, "pcma") != 0)
            return bad(r, "codecs", "\"%.20s\" is neither pcmu nor pcma", s);
        r->o->codecs[i] = ulaw ? IVR_ULAW : IVR_ALAW;
    }
    if (n == 2 && r->o->codecs[0] == r->o->codecs[1])
        return bad(r, "codecs", "one codec is named twice");
    r->o->n_codecs = n;
    return 0;
}

static void read_numbers(struct reader *r)
{
    struct ivr_options *o = r->o;
    o->assert_identity = integer(r, "p_asserted_identity") != 0;
    o->trunk_timeout_ms = integer(r, "trunk_timeout_ms");
    o->ring_timeout_ms = integer(r, "ring_timeout_s") * 1000;
    o->ping_ms = integer(r, "options_ping_s") * 1000;
    o->register_s = (uint32_t)integer(r, "register_s");
    o->max_call_ms = integer(r, "max_call_s") * 1000;
    o->rtp_timeout_ms = integer(r, "rtp_timeout_s") * 1000;
    o->tts_timeout_ms = integer(r, "tts_timeout_ms");
    o->tts_workers = (uint32_t)integer(r, "tts_workers");
    o->urgent_percent = (uint32_t)integer(r, "urgent_percent");
    o->prompt_cache_bytes = (uint64_t)integer(r, "prompt_cache_mib") << 20;
    o->retry = (struct ivr_retry_conf){.busy_s = integer(r, "retry_busy_s"),
                                       .no_answer_s = integer(r, "retry_no_answer_s"),
                                       .rejected_s = integer(r, "retry_rejected_s"),
                                       .route_s = integer(r, "retry_route_s")};
}

int ivr_options_read(const struct cgw_host *host, const struct cgw_conf *conf,
                     struct ivr_options *ret, struct cgw_diag *diag)
{
    struct reader r = {host, conf, ret, diag};
    int rc = read_trunks(&r);
    if (rc == 0)
        rc = read_network(&r);
    if (rc == 0)
        rc = read_codecs(&r);
    read_numbers(&r);
    text(&r, "caller_id", ret->caller_id, sizeof ret->caller_id);
    text(&r, "voice", ret->voice, sizeof ret->voice);
    text(&r, "tts_command", ret->tts_command, sizeof ret->tts_command);
    if (rc == 0 && !ivr_caller_ok(ret->caller_id))
        rc = bad(&r, "caller_id", "must be a number, a name without space or a SIP URI");
    if (rc == 0 && (!ret->voice[0] || ret->voice[0] == '-'))
        rc = bad(&r, "voice", "must be a voice as espeak-ng names it, such as en");
    return rc;
}

void ivr_options_free(struct ivr_options *o)
{
    for (uint32_t i = 0; i < IVR_TRUNKS_MAX; i++)
        if (o->passwords[i]) {
            explicit_bzero(o->passwords[i], strlen(o->passwords[i]));
            free(o->passwords[i]);
            o->passwords[i] = NULL;
        }
}
