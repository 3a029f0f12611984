/* SPDX-License-Identifier: Apache-2.0 */
/* ctl_cluster.c - what `setup` says to the database server before there is a schema: roles,
 * database, who one is. Statements about the product's tables stay in store/. */
#include "ctl/ctl_local.h"

#include <errno.h>
#include <pwd.h>
#include <string.h>

#define ROLES_FILE_MAX 65536u

bool cluster_name_ok(const char *name)
{
    size_t n = strlen(name);
    return n > 0 && n < 60 && name[0] >= 'a' && name[0] <= 'z' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == n;
}

int local_conninfo_with(const char *conninfo, const char *name, const char *value,
                        char out[CONNINFO_MAX])
{
    bool uri = !strncmp(conninfo, "postgres://", 11) || !strncmp(conninfo, "postgresql://", 13);
    const char *gap = uri ? (strchr(conninfo, '?') ? "&" : "?") : " ";
    int n = snprintf(out, CONNINFO_MAX, "%s%s%s=%s", conninfo, gap, name,
                     value); /* value: cluster_name_ok() or a role of ours */
    return n > 0 && n < CONNINFO_MAX ? 0 : CGW_ELIMIT;
}

const char *local_admin_account(void)
{
    return geteuid() == 0 && getpwnam("postgres") ? "postgres" : NULL;
}

int local_db_open(const char *conninfo, const char *os_user, struct db **ret, struct diag *diag)
{
    const struct passwd *pw = os_user && geteuid() == 0 ? getpwnam(os_user) : NULL;
    if (os_user && geteuid() == 0 && !pw)
        return diag_set(diag, CGW_ENOTFOUND, "", "there is no account %s", os_user);
    /* only the effective user: the server asks the socket who is there at connect(2), and libpq
     * takes its default role from it */
    if (pw && seteuid(pw->pw_uid) != 0)
        return diag_set(diag, -errno, "", "cannot act as %s: %s", os_user, strerror(errno));
    int rc = db_open(conninfo, "campgwctl", ret, diag);
    if (pw && seteuid(0) != 0)
        abort(); /* never go on with the wrong rights */
    return rc;
}

static int ask(struct db *db, const char *sql, const char *arg, bool *ret, struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    struct db_params p;
    dbp_init(&p);
    if (arg)
        dbp_text(&p, arg);
    int rc = db_query(db, sql, &p, &r, diag);
    if (rc == 0)
        *ret = dbr_rows(r) > 0 && dbr_bool(r, 0, 0);
    return rc;
}

int cluster_is_superuser(struct db *db, bool *ret, struct diag *diag)
{
    return ask(db, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user", NULL, ret, diag);
}

int cluster_database_exists(struct db *db, const char *name, bool *ret, struct diag *diag)
{
    return ask(db, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1::name)", name, ret,
               diag);
}

int cluster_roles_exist(struct db *db, bool *ret, struct diag *diag)
{
    return ask(db,
               "SELECT count(*) = 3 FROM pg_roles WHERE rolname IN ('campgw_owner', 'campgw', "
               "'campgw_audit')",
               NULL, ret, diag);
}

int cluster_create_roles(struct db *db, const char *file, struct diag *diag)
{
    FILE *f = fopen(file, "re");
    if (!f)
        return diag_set(diag, CGW_ENOTFOUND, file, "cannot read: %s", strerror(errno));
    auto_free char *text = malloc(ROLES_FILE_MAX + 1);
    size_t n = text ? fread(text, 1, ROLES_FILE_MAX, f) : 0;
    bool whole = text && feof(f) && !ferror(f);
    (void)fclose(f);
    if (!whole)
        return diag_set(diag, CGW_ELIMIT, file, "unreadable or larger than %u bytes",
                        ROLES_FILE_MAX);
    text[n] = 0;
    return db_script(db, text, diag);
}

int cluster_create_database(struct db *db, const char *name, struct diag *diag)
{
    char sql[200];
    if (!cluster_name_ok(name))
        return diag_set(diag, CGW_EINVAL, "--dbname",
                        "a database name has a-z, 0-9 and _, and begins with a letter");
    (void)snprintf(sql, sizeof sql,
                   "CREATE DATABASE %s OWNER " DB_OWNER_ROLE " ENCODING 'UTF8' TEMPLATE template0",
                   name);
    return db_script(db, sql, diag);
}

int cluster_grant_owner(struct db *db, const char *database, struct diag *diag)
{
    char sql[200];
    (void)snprintf(sql, sizeof sql,
                   "GRANT CREATE, CONNECT, TEMPORARY ON DATABASE %s TO " DB_OWNER_ROLE, database);
    return db_script(db, sql, diag);
}

int cluster_become_owner(struct db *db, struct diag *diag)
{
    return db_script(db, "SET ROLE " DB_OWNER_ROLE, diag);
}
