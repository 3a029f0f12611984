/* SPDX-License-Identifier: Apache-2.0 */
/* ctl_doctor.c - `campgwctl doctor`: looks at everything the daemon needs, whether it runs or not,
 * and says how to put it right. Changes nothing; prints no secret and no connection string. */
#include "ctl/ctl_local.h"

#include "address/address.h"
#include "base/clock.h"
#include "base/log.h"
#include "content/optout_conf.h"
#include "plugin/registry.h"
#include "store/store_schema.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define SERVICE_ACCOUNT "campgw"
#define SKEW_WARN_MS 2000
#define SKEW_MAX_MS 60000 /* the daemon refuses to start beyond it */
#define SPOOL_FREE_MIN (1ull << 30)

struct doctor {
    struct ctl *c;
    struct config *config; /* owned */
    struct db *db;         /* owned */
    bool running;          /* the daemon answers */
    json_t *checks;        /* owned */
    unsigned faults;
};

static void note(struct doctor *k, const char *state, const char *name, const char *fix,
                 const char *fmt, ...) CGW_PRINTF(5, 6);
static void note(struct doctor *k, const char *state, const char *name, const char *fix,
                 const char *fmt, ...)
{
    char text[600];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    text[strcspn(text, "\n")] = 0;
    ctl_clean(text);
    k->faults += !strcmp(state, "fault");
    json_t *one = json_pack("{s:s, s:s, s:s}", "check", name, "state", state, "text", text);
    if (strcmp(state, "ok") != 0)
        ctl_set_str(one, "fix", fix);
    (void)json_array_append_new(k->checks, one);
    if (k->c->json)
        return;
    (void)printf("%s%-7s%s  %-13s %s\n", ctl_color(k->c, state), state, ctl_plain(k->c), name,
                 text);
    if (strcmp(state, "ok") != 0 && *fix)
        (void)printf("         %-13s fix: %s\n", "", fix);
}

static void fault(struct doctor *k, const char *name, const struct diag *d, const char *fix)
{
    note(k, "fault", name, fix, "%s%s%s", d->where, d->where[0] ? ": " : "", d->text);
}

/* ---- files
 * -------------------------------------------------------------------------------------------------------------------------
 */
static void check_config(struct doctor *k)
{
    struct diag d = {0};
    if (config_load(ctl_opt(k->c, "config"), &k->config, &d) < 0)
        fault(k, "configuration", &d,
              d.code == CGW_ENOTFOUND ? "campgwctl setup writes one; --config FILE names another"
                                      : "correct that line; campgw.conf(5) has every key");
    else
        note(k, "ok", "configuration", "", "%s", k->config->path);
}

static void check_keys(struct doctor *k)
{
    struct diag d = {0};
    struct stat st;
    if (config_load_keys(k->config, &d) < 0)
        fault(k, "keys", &d,
              d.code == CGW_EDENIED ? "chmod 600 the file"
                                    : "campgwctl setup makes them once; for a database that has "
                                      "data put the kept copy there; as root if they are root's");
    else if (stat(k->config->credentials, &st) == 0 && (st.st_mode & 07))
        note(k, "warning", "keys", "chmod 700 the directory", "everybody may look into %s",
             k->config->credentials);
    else
        note(k, "ok", "keys", "",
             "identity and signing key are readable, nobody else may read them");
}

static void check_words(struct doctor *k)
{
    struct optout_sets words = {0};
    struct diag d = {0};
    if (optout_conf_load(k->config->outcome_optout, &words, &d) < 0)
        fault(k, "opt-out words", &d, "copy the shipped optout.conf there (campgwctl setup does)");
    else
        note(k, "ok", "opt-out words", "", "%s", k->config->outcome_optout);
    optout_sets_done(&words);
}

static void check_plugins(struct doctor *k)
{
    struct registry_opts opts = {.plugin_dir = CGW_PKGLIBDIR};
    struct registry *r = NULL;
    struct diag d = {0};
    const config_setting_t *list = config_lookup(&k->config->file, "instances");
    log_set_level(LOG_L_ERROR);
    if (!config_lookup(&k->config->file, "plugins.credentials"))
        (void)setenv("CREDENTIALS_DIRECTORY", k->config->credentials,
                     0); /* as the service manager would */
    int rc = registry_new(&opts, &r, &d);
    if (rc == 0)
        rc = registry_check_config(r, &k->config->file, &d);
    (void)registry_free(r);
    if (rc < 0)
        fault(k, "plugins", &d,
              "correct that line, or install the plugin; campgw-plugin-check FILE.so judges one "
              "plugin");
    else if (!list || config_setting_length(list) == 0)
        note(k, "warning", "plugins", "add one to `instances` in the configuration",
             "no channel instance: nothing can be sent");
    else
        note(k, "ok", "plugins", "", "%d channel instance%s, all plugins load",
             config_setting_length(list), config_setting_length(list) == 1 ? "" : "s");
}

static void check_spool(struct doctor *k)
{
    struct statvfs v;
    const char *dir = k->config->api_spool_dir;
    char size[32];
    if (access(dir, W_OK | X_OK) != 0 || statvfs(dir, &v) != 0) {
        note(k, "fault", "uploads", "make the directory, or name another: api.spool_dir", "%s: %s",
             dir, strerror(errno));
        return;
    }
    unsigned long long left = (unsigned long long)v.f_bavail * v.f_frsize;
    ctl_format_size((int64_t)left, size);
    note(k, left < SPOOL_FREE_MIN ? "warning" : "ok", "uploads",
         "make room, or name another directory: api.spool_dir", "%s has %s left", dir, size);
}

/* ---- database
 * ------------------------------------------------------------------------------------------------------------------------
 */
static void check_database(struct doctor *k)
{
    struct diag d = {0}, again = {0};
    int rc = local_db_open(k->config->conninfo, NULL, &k->db, &d);
    if (rc < 0 && geteuid() == 0 && getpwnam(SERVICE_ACCOUNT) &&
        local_db_open(k->config->conninfo, SERVICE_ACCOUNT, &k->db, &again) == 0)
        rc = 0;
    if (rc < 0) {
        fault(k, "database", &d,
              "is PostgreSQL running, and does pg_hba.conf let the role in? database.conninfo in "
              "the configuration says how it is reached");
        return;
    }
    note(k, "ok", "database", "", "answers");
    rc = store_schema_check(k->db, &d);
    if (rc < 0)
        fault(k, "schema", &d, "campgwctl db migrate");
    else
        note(k, "ok", "schema", "", "version %d", STORE_SCHEMA_VERSION);
    if (rc < 0)
        return;
    if (store_role_check(k->db, &d) < 0)
        fault(k, "role", &d, "user=campgw in database.conninfo");
    else
        note(k, "ok", "role", "", "may not change the log");
}

static void check_identity(struct doctor *k)
{
    static const unsigned char none[32];
    unsigned char check[ADDRESS_KEY_CHECK_BYTES];
    struct diag d = {0};
    if (!memcmp(k->config->identity_key, none, sizeof none) || store_schema_check(k->db, NULL) < 0)
        return; /* said already */
    address_key_check(k->config->identity_key, check);
    if (store_identity_check(k->db, check, k->config->sign_key, &d) < 0)
        fault(k, "identity", &d,
              d.code == CGW_ENOTFOUND ? "campgwctl setup"
                                      : "put the key file of this database back");
    else
        note(k, "ok", "identity", "", "the keys fit the database");
}

static void check_clock(struct doctor *k)
{
    int64_t now = 0;
    struct diag d = {0};
    if (store_now(k->db, &now, &d) < 0)
        return;
    int64_t skew = now - clock_utc_ms(), size = skew < 0 ? -skew : skew;
    note(k,
         size > SKEW_MAX_MS    ? "fault"
         : size > SKEW_WARN_MS ? "warning"
                               : "ok",
         "clock", "synchronise the clocks of both machines: timedatectl set-ntp true",
         "%lld ms away from the database's", (long long)size);
}

/* ---- machine
 * ----------------------------------------------------------------------------------------------------------------------------
 */
static void check_daemon(struct doctor *k)
{
    struct ctl_request req = {
        .method = "GET", .path = "/ready", .quiet = true, .also_good = 503, .timeout_ms = 5000};
    struct ctl_answer a;
    char why[300];
    if (!ctl_has(k->c, "socket") && !ctl_has(k->c, "server") && k->config &&
        k->config->api_socket[0])
        (void)setenv("CAMPGW_SOCKET", k->config->api_socket, 0);
    int code = ctl_call(k->c, &req, &a);
    k->running = code == 0;
    if (code) {
        note(k, "warning", "daemon",
             "systemctl start campgwd; journalctl -u campgwd says why it ended",
             "does not answer at %s", ctl_http_where(k->c));
        return;
    }
    ctl_format(json_object_get(a.doc, "reasons"), 's', why, sizeof why);
    if (json_is_true(json_object_get(a.doc, "ready")))
        note(k, "ok", "daemon", "", "ready at %s", ctl_http_where(k->c));
    else
        note(k, "fault", "daemon", "wait a few seconds, or see journalctl -u campgwd",
             "not ready: %s", why);
    ctl_answer_done(&a);
}

static int try_bind(const char *address, int port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    bool six = strchr(address, ':') != NULL;
    int one = 1;
    if (six ? inet_pton(AF_INET6, address, &in6.sin6_addr) != 1
            : inet_pton(AF_INET, address, &in.sin_addr) != 1)
        return EINVAL;
    auto_close int fd = socket(six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    return bind(fd, six ? (struct sockaddr *)&in6 : (struct sockaddr *)&in,
                six ? sizeof in6 : sizeof in) == 0
               ? 0
               : errno;
}

static void check_port(struct doctor *k, const char *name, const char *address, int port)
{
    if (!address[0] || port <= 0)
        return;
    int rc = try_bind(address, port);
    if (rc == 0)
        note(k, k->running ? "warning" : "ok", name,
             "is the running daemon another one? systemctl restart campgwd", "%s:%d is free",
             address, port);
    else if (rc == EADDRINUSE && k->running)
        note(k, "ok", name, "", "%s:%d is in use, and the daemon runs", address, port);
    else
        note(k, "fault", name, "name another in the configuration, or end what uses it: ss -ltnp",
             "%s:%d: %s", address, port, strerror(rc));
}

static void check_limits(struct doctor *k)
{
    struct rlimit r;
    unsigned long long want = (unsigned long long)k->config->api_connections + 1024u;
    if (getrlimit(RLIMIT_NOFILE, &r) != 0)
        return;
    note(k, r.rlim_max < want ? "warning" : "ok", "open files",
         "LimitNOFILE=65536 in the service, or ulimit -n",
         "limit %llu, %llu wanted for api.connections", (unsigned long long)r.rlim_max, want);
}

int ctl_doctor(struct ctl *c)
{
    struct doctor k = {.c = c, .checks = json_array()};
    check_config(&k);
    if (k.config) {
        check_keys(&k);
        check_words(&k);
        check_plugins(&k);
        check_spool(&k);
        check_database(&k);
        if (k.db)
            check_identity(&k);
    }
    if (k.db)
        check_clock(&k);
    check_daemon(&k);
    if (k.config) {
        check_port(&k, "API port", k.config->api_listen, k.config->api_port);
        check_port(&k, "callback port", k.config->callback_listen, k.config->callback_port);
        check_limits(&k);
    }
    json_t *doc = json_pack("{s:b, s:O}", "ok", k.faults == 0, "checks", k.checks);
    if (c->json)
        ctl_print_json(doc);
    else
        (void)printf("%s\n", k.faults ? "There are faults." : "No fault found.");
    json_decref(doc);
    json_decref(k.checks);
    db_close(k.db);
    config_free(k.config);
    return k.faults ? CTL_FAILED : CTL_OK;
}
