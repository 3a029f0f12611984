/* SPDX-License-Identifier: Apache-2.0 */
/* ctl_setup.c - `campgwctl setup`: roles, database, schema, keys, configuration. Safe to repeat:
 * what is there stays, what is missing is made. Never makes a second identity key for a database
 * that has one: every customer would become a stranger. */
#include "ctl/ctl_local.h"

#include "address/address.h"
#include "store/store_schema.h"

#include <errno.h>
#include <pwd.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>

#define OPTOUT_MAX (1u << 20)

struct setup {
    struct ctl *c;
    const char *conf_dir, *cred_dir, *dbname, *sql, *examples, *owner;
    char cred_default[4096];
    char conninfo[CONNINFO_MAX];
    const char *os_user;
    struct db *db; /* owned */
    bool superuser, has_identity;
    unsigned char identity[32], sign[64];
    char escrow[65]; /* "" when the key was there before */
    json_t *steps;   /* owned */
};

static void step(struct setup *s, const char *what, const char *fmt, ...) CGW_PRINTF(3, 4);
static void step(struct setup *s, const char *what, const char *fmt, ...)
{
    char text[700];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    ctl_say(s->c, "%-8s %s", what, text);
    (void)json_array_append_new(s->steps, json_pack("{s:s, s:s}", "result", what, "step", text));
}

/* ---- database
 * ----------------------------------------------------------------------------------------------------------------------
 */
static int open_server(struct setup *s)
{
    const char *given = ctl_opt(s->c, "database"), *os_user = ctl_opt(s->c, "os-user");
    struct diag d = {0};
    (void)snprintf(s->conninfo, sizeof s->conninfo, "%s", given ? given : "dbname=postgres");
    s->os_user = os_user ? os_user : given ? NULL : local_admin_account();
    int rc = local_db_open(s->conninfo, s->os_user, &s->db, &d);
    if (rc == 0)
        rc = cluster_is_superuser(s->db, &s->superuser, &d);
    return rc < 0 ? ctl_fail_diag(s->c, "cannot reach the database server as its superuser", &d,
                                  "run it as root on the server's machine, or give --database "
                                  "\"host=... user=... dbname=...\"")
                  : 0;
}

static int reopen(struct setup *s, struct diag *d)
{
    char conninfo[CONNINFO_MAX];
    db_close(s->db);
    s->db = NULL;
    int rc = local_conninfo_with(s->conninfo, "dbname", s->dbname, conninfo);
    return rc < 0 ? diag_set(d, rc, "--database", "too long")
                  : local_db_open(conninfo, s->os_user, &s->db, d);
}

static int as_superuser(struct setup *s, struct diag *d)
{
    char file[4200];
    bool there = false;
    (void)snprintf(file, sizeof file, "%s/roles.sql", s->sql);
    int rc = cluster_roles_exist(s->db, &there, d);
    if (rc == 0 && !there)
        rc = cluster_create_roles(s->db, file, d);
    if (rc < 0)
        return rc;
    step(s, there ? "present" : "created", "roles campgw_owner, campgw, campgw_audit");
    rc = cluster_database_exists(s->db, s->dbname, &there, d);
    if (rc == 0 && !there)
        rc = cluster_create_database(s->db, s->dbname, d);
    if (rc < 0)
        return rc;
    step(s, there ? "present" : "created", "database %s", s->dbname);
    rc = reopen(s, d);
    if (rc == 0)
        rc = cluster_grant_owner(s->db, s->dbname, d);
    return rc < 0 ? rc : cluster_become_owner(s->db, d);
}

static int as_owner(struct setup *s, struct diag *d)
{
    bool there = false;
    int rc = ctl_has(s->c, "dbname") ? reopen(s, d) : 0;
    if (rc == 0)
        rc = cluster_roles_exist(s->db, &there, d);
    if (rc == 0 && !there)
        rc = diag_set(d, CGW_EDENIED, "",
                      "the roles are missing and this connection may not make them");
    return rc < 0 ? rc : cluster_become_owner(s->db, d);
}

static void migrated(void *ctx, int version, const char *file)
{
    step(ctx, "applied", "schema %d (%s)", version, file);
}

static int database(struct setup *s)
{
    static const unsigned char nobody[64];
    struct diag d = {0};
    char next[700];
    int version = 0, before = 0, rc = s->superuser ? as_superuser(s, &d) : as_owner(s, &d);
    (void)snprintf(
        next, sizeof next,
        "as a superuser: psql -f %s/roles.sql && createdb -O campgw_owner %s; then this again",
        s->sql, s->dbname);
    if (rc < 0)
        return ctl_fail_diag(s->c, "cannot prepare the database", &d, s->superuser ? "" : next);
    rc = store_schema_version(s->db, &before, &d);
    if (rc == 0)
        rc = store_schema_migrate(s->db, s->sql, migrated, s, &d);
    if (rc == 0)
        rc = store_schema_version(s->db, &version, &d);
    if (rc == 0 && version == before)
        step(s, "present", "schema %d", version);
    if (rc == 0) { /* against a value that no key has: is there an identity at all? */
        rc = store_identity_check(s->db, nobody, nobody, &d);
        s->has_identity = rc != CGW_ENOTFOUND;
        rc = rc == CGW_ENOTFOUND || rc == CGW_EVERSION ? 0 : rc;
    }
    return rc < 0 ? ctl_fail_diag(s->c, "cannot bring up the schema", &d, "") : 0;
}

/* ---- keys
 * ------------------------------------------------------------------------------------------------------------------------------
 */
static int give_to(const struct setup *s, const char *path, struct diag *d)
{
    const struct passwd *pw = s->owner ? getpwnam(s->owner) : NULL;
    if (s->owner && !pw)
        return diag_set(d, CGW_ENOTFOUND, "--owner", "there is no account %s", s->owner);
    if (pw && chown(path, pw->pw_uid, pw->pw_gid) != 0)
        return diag_set(d, -errno, path, "cannot give it to %s: %s", s->owner, strerror(errno));
    return 0;
}

static int write_key(const struct setup *s, const char *name, const unsigned char *key, size_t len,
                     struct diag *d)
{
    char path[4200], hex[2 * 64 + 2];
    (void)snprintf(path, sizeof path, "%s/%s", s->cred_dir, name);
    (void)sodium_bin2hex(hex, sizeof hex, key, len);
    hex[2 * len] = '\n';
    int rc = local_write_new(path, hex, 2 * len + 1, 0600, d);
    sodium_memzero(hex, sizeof hex);
    return rc < 0 ? rc : give_to(s, path, d);
}

static bool there_is(const struct setup *s, const char *name)
{
    char path[4200];
    struct stat st;
    (void)snprintf(path, sizeof path, "%s/%s", s->cred_dir, name);
    return lstat(path, &st) == 0;
}

/* The database has an identity: then its keys are wanted, no new ones. */
static int lost_key(const struct setup *s, const char *name)
{
    char what[300], next[4400];
    (void)snprintf(what, sizeof what, "the database has an identity already, but %s is missing",
                   name);
    (void)snprintf(next, sizeof next,
                   "put the copy that you kept (one line of hex) into %s/%s, mode 0600",
                   s->cred_dir, name);
    return ctl_fail(s->c, CTL_CONFLICT, what,
                    "with a new key every customer of the log would become a stranger", next);
}

static int read_keys(struct setup *s, struct diag *d)
{
    struct config keys = {.credentials = s->cred_dir,
                          .identity_key_file = "identity.key",
                          .sign_key_file = "sign.key"};
    int rc = config_load_keys(&keys, d);
    memcpy(s->identity, keys.identity_key, sizeof s->identity);
    memcpy(s->sign, keys.sign_key, sizeof s->sign);
    sodium_memzero(&keys, sizeof keys);
    return rc;
}

static int make_keys(struct setup *s, struct diag *d)
{
    unsigned char public_key[crypto_sign_PUBLICKEYBYTES];
    int rc = 0;
    if (!there_is(s, "identity.key")) {
        randombytes_buf(s->identity, sizeof s->identity);
        rc = write_key(s, "identity.key", s->identity, sizeof s->identity, d);
        if (rc < 0)
            return rc;
        (void)sodium_bin2hex(s->escrow, sizeof s->escrow, s->identity, sizeof s->identity);
        step(s, "created", "%s/identity.key", s->cred_dir);
    }
    if (!there_is(s, "sign.key")) {
        (void)crypto_sign_keypair(public_key, s->sign);
        rc = write_key(s, "sign.key", s->sign, sizeof s->sign, d);
        if (rc == 0)
            step(s, "created", "%s/sign.key", s->cred_dir);
    }
    return rc;
}

/* Shown before anything else can fail: later runs find the file and stay silent. */
static void show_escrow(const struct setup *s)
{
    if (!s->escrow[0] || s->c->json)
        return;
    (void)printf("\nIDENTITY KEY, shown this once. Print it or put it into a vault, away from this "
                 "machine and from the backups of the database.\n"
                 "Whoever loses it loses every customer's identity for good; whoever has it and "
                 "the database can name them.\n\n    %s\n\n",
                 s->escrow);
    (void)fflush(stdout);
}

static int keys(struct setup *s)
{
    struct diag d = {0};
    bool made = false;
    unsigned char check[ADDRESS_KEY_CHECK_BYTES], public_key[crypto_sign_PUBLICKEYBYTES];
    static const char *const names[] = {"identity.key", "sign.key"};
    for (size_t i = 0; s->has_identity && i < ARRAY_LEN(names); i++)
        if (!there_is(s, names[i]))
            return lost_key(s, names[i]);
    int rc = local_mkdir(s->cred_dir, 0700, &made, &d);
    if (rc == 0 && made)
        rc = give_to(s, s->cred_dir, &d);
    if (rc == 0)
        rc = make_keys(s, &d);
    show_escrow(s);
    if (rc == 0)
        rc = read_keys(s, &d);
    if (rc < 0)
        return ctl_fail_diag(s->c, "cannot make or read the keys", &d, "");
    address_key_check(s->identity, check);
    (void)crypto_sign_ed25519_sk_to_pk(public_key, s->sign);
    rc = s->has_identity ? store_identity_check(s->db, check, s->sign, &d)
                         : store_identity_put(s->db, check, public_key, &d);
    if (rc < 0)
        return ctl_fail_diag(s->c, "the keys and the database do not belong together", &d,
                             "use the key of this database, or another --dbname");
    step(s, s->has_identity ? "present" : "created", "identity of the installation");
    return 0;
}

/* ---- files
 * -----------------------------------------------------------------------------------------------------------------------------------
 */
static bool same_as(const char *path, const char *data, size_t len)
{
    FILE *f = fopen(path, "re");
    if (!f)
        return false;
    auto_free char *now = malloc(len + 1);
    bool same = now && fread(now, 1, len + 1, f) == len && !memcmp(now, data, len);
    (void)fclose(f);
    return same;
}

/* Never over an existing file: what it would be goes beside it. */
static int place(struct setup *s, const char *name, const char *data, size_t len, struct diag *d)
{
    char path[4200], beside[4300];
    struct stat st;
    (void)snprintf(path, sizeof path, "%s/%s", s->conf_dir, name);
    (void)snprintf(beside, sizeof beside, "%s.new", path);
    if (lstat(path, &st) != 0) {
        int rc = local_write_new(path, data, len, 0644, d);
        if (rc == 0)
            step(s, "created", "%s", path);
        return rc;
    }
    if (same_as(path, data, len)) {
        step(s, "present", "%s", path);
        return 0;
    }
    if (unlink(beside) != 0 && errno != ENOENT)
        return diag_set(d, -errno, beside, "cannot replace: %s", strerror(errno));
    int rc = local_write_new(beside, data, len, 0644, d);
    if (rc == 0)
        step(s, "kept", "%s; what setup would write is in %s", path, beside);
    return rc;
}

static int place_optout(struct setup *s, struct diag *d)
{
    char from[4200], to[4200];
    struct stat st;
    (void)snprintf(from, sizeof from, "%s/optout.conf", s->examples);
    (void)snprintf(to, sizeof to, "%s/optout.conf", s->conf_dir);
    if (lstat(to, &st) == 0) {
        step(s, "present", "%s", to);
        return 0;
    }
    FILE *f = fopen(from, "re");
    if (!f)
        return diag_set(
            d, CGW_ENOTFOUND, from,
            "the shipped list of opt-out words is not there; name its directory with --examples");
    auto_free char *text = malloc(OPTOUT_MAX);
    size_t n = text ? fread(text, 1, OPTOUT_MAX, f) : 0;
    (void)fclose(f);
    return n == 0 || n == OPTOUT_MAX
               ? diag_set(d, CGW_EINVAL, from, "empty or larger than %u bytes", OPTOUT_MAX)
               : place(s, "optout.conf", text, n, d);
}

/* The server of --database for another role: its user and dbname are replaced. "" when it holds a
 * password, which has no business in a file that everybody may read. */
static void conninfo_for(const struct setup *s, const char *role, char out[CONNINFO_MAX])
{
    const char *given = ctl_opt(s->c, "database");
    char with_db[CONNINFO_MAX], kept[CONNINFO_MAX];
    size_t n = 0;
    *out = *kept = 0;
    if (given && (strstr(given, "password") || strstr(given, "://"))) {
        if (strstr(given, "password") || strchr(strstr(given, "://") + 3, '@'))
            return;
        (void)snprintf(kept, sizeof kept, "%s", given);
    }
    for (const char *p = !*kept && given ? given : ""; *p;) {
        size_t len = strcspn(p, " ");
        if (len && strncmp(p, "user=", 5) != 0 && strncmp(p, "dbname=", 7) != 0 &&
            n + len + 2 < sizeof kept)
            n += (size_t)snprintf(kept + n, sizeof kept - n, "%s%.*s", n ? " " : "", (int)len, p);
        p += len + (p[len] == ' ');
    }
    if (local_conninfo_with(kept, "dbname", s->dbname, with_db) < 0 ||
        local_conninfo_with(with_db, "user", role, out) < 0)
        *out = 0;
    if (*out == ' ')
        memmove(out, out + 1, strlen(out));
}

/* What differs from the defaults; returns how many. */
static size_t settings(struct setup *s, struct local_setting *set, char optout[4200],
                       char daemon[CONNINFO_MAX], char owner[CONNINFO_MAX])
{
    struct ctl *c = s->c;
    size_t n = 0;
    bool elsewhere = strcmp(s->conf_dir, CGW_SYSCONFDIR) != 0,
         own_db = ctl_has(c, "database") || strcmp(s->dbname, "campgw") != 0;
    (void)snprintf(optout, 4200, "%s/optout.conf", s->conf_dir);
    conninfo_for(s, "campgw", daemon);
    conninfo_for(s, DB_OWNER_ROLE, owner);
    const struct local_setting all[] = {
        {"node", ctl_opt(c, "node")},
        {"credentials", elsewhere || ctl_has(c, "credentials-dir") ? s->cred_dir : NULL},
        {"database.conninfo", ctl_has(c, "daemon-database") ? ctl_opt(c, "daemon-database")
                              : own_db && *daemon           ? daemon
                                                            : NULL},
        {"database.owner_conninfo", own_db && *owner ? owner : NULL},
        {"api.port", ctl_opt(c, "port")},
        {"api.socket", ctl_opt(c, "api-socket")},
        {"outcome.optout", elsewhere ? optout : NULL}};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (all[i].value)
            set[n++] = all[i];
    set[n] = (struct local_setting){NULL, NULL};
    return n;
}

static int configuration(struct setup *s)
{
    char optout[4200], daemon[CONNINFO_MAX], owner[CONNINFO_MAX];
    struct local_setting set[10];
    struct diag d = {0};
    struct buf text;
    bool made;
    (void)settings(s, set, optout, daemon, owner);
    buf_init(&text, 1u << 20);
    local_conf_text(set, s->conf_dir, &text);
    int rc = local_mkdir(s->conf_dir, 0755, &made, &d);
    if (rc == 0)
        rc = place(s, "campgw.conf", buf_str(&text), text.len, &d);
    if (rc == 0)
        rc = place_optout(s, &d);
    buf_done(&text);
    return rc < 0 ? ctl_fail_diag(s->c, "cannot write the configuration", &d, "") : 0;
}

/* ---- all of it
 * ---------------------------------------------------------------------------------------------------------------------------------
 */
static void finish(struct setup *s)
{
    struct ctl *c = s->c;
    if (c->json) {
        json_t *doc = json_pack("{s:O, s:s, s:s, s:s}", "steps", s->steps, "config", s->conf_dir,
                                "credentials", s->cred_dir, "database", s->dbname);
        if (s->escrow[0])
            ctl_set_str(doc, "identity_key", s->escrow);
        ctl_print_json(doc);
        json_decref(doc);
        return;
    }
    bool usual = !strcmp(s->conf_dir, CGW_SYSCONFDIR);
    (void)printf("next: edit %s/campgw.conf: name a channel in `instances`\n      campgwctl -c "
                 "%s/campgw.conf doctor\n",
                 s->conf_dir, s->conf_dir);
    if (usual)
        (void)puts("      systemctl enable --now campgwd\n      campgwctl status");
    else
        (void)printf("      campgwd -c %s/campgw.conf\n      campgwctl --socket PATH status, with "
                     "the path of api.socket\n",
                     s->conf_dir);
}

static int check_options(struct setup *s)
{
    struct ctl *c = s->c;
    int64_t port;
    bool bad = false;
    (void)ctl_opt_int(c, "port", 0, 65535, &port, &bad);
    if (bad)
        return CTL_USAGE;
    if (!cluster_name_ok(s->dbname))
        return ctl_usage_error(c, "--dbname: a-z, 0-9 and _, beginning with a letter");
    if (s->conf_dir[0] != '/' || s->cred_dir[0] != '/')
        return ctl_usage_error(
            c, "--conf-dir and --credentials-dir are absolute paths: the daemon runs elsewhere");
    return s->owner && !getpwnam(s->owner)
               ? ctl_usage_error(c, "--owner: there is no account %s", s->owner)
               : 0;
}

int ctl_setup(struct ctl *c)
{
    struct setup s = {.c = c,
                      .conf_dir = CGW_SYSCONFDIR,
                      .dbname = "campgw",
                      .sql = CGW_SQLDIR,
                      .examples = CGW_EXAMPLESDIR,
                      .owner = ctl_opt(c, "owner")};
    const struct {
        const char *option, **to;
    } dirs[] = {{"conf-dir", &s.conf_dir},
                {"dbname", &s.dbname},
                {"sql", &s.sql},
                {"examples", &s.examples}};
    for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
        if (ctl_has(c, dirs[i].option))
            *dirs[i].to = ctl_opt(c, dirs[i].option);
    (void)snprintf(s.cred_default, sizeof s.cred_default, "%s/credentials", s.conf_dir);
    s.cred_dir = ctl_has(c, "credentials-dir") ? ctl_opt(c, "credentials-dir") : s.cred_default;
    int code = check_options(&s);
    if (code)
        return code;
    s.steps = json_array();
    code = open_server(&s);
    if (code == 0)
        code = database(&s);
    if (code == 0)
        code = keys(&s);
    if (code == 0)
        code = configuration(&s);
    if (code == 0)
        finish(&s);
    db_close(s.db);
    json_decref(s.steps);
    sodium_memzero(&s, sizeof s);
    return code;
}
