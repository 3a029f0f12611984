/* SPDX-License-Identifier: Apache-2.0 */
/* ctl_local.h - private to the commands that work without a daemon: configuration, files, the
 * database server. Must not be included by commands that speak to the API. */
#ifndef CTL_CTL_LOCAL_H
#define CTL_CTL_LOCAL_H

#include "config/config.h"
#include "ctl/ctl.h"
#include "db/db.h"

#define CONNINFO_MAX 2048
#define DB_OWNER_ROLE "campgw_owner"

/* conninfo with another value appended: both forms of libpq, "a=b" and "postgresql://". Later
 * values win. */
int local_conninfo_with(const char *conninfo, const char *name, const char *value,
                        char out[CONNINFO_MAX]);
/* db_open(); as root with os_user that account asks, so that peer authentication knows it. */
int local_db_open(const char *conninfo, const char *os_user, struct db **ret,
                  struct diag *diag) CGW_NODISCARD;
/* "postgres" when this is root and the account exists, else NULL. */
const char *local_admin_account(void);
/* Server-level statements (no schema is needed for them); see ctl_cluster.c. */
int cluster_is_superuser(struct db *db, bool *ret, struct diag *diag) CGW_NODISCARD;
int cluster_database_exists(struct db *db, const char *name, bool *ret,
                            struct diag *diag) CGW_NODISCARD;
int cluster_roles_exist(struct db *db, bool *ret, struct diag *diag) CGW_NODISCARD;
int cluster_create_roles(struct db *db, const char *file, struct diag *diag) CGW_NODISCARD;
int cluster_create_database(struct db *db, const char *name, struct diag *diag) CGW_NODISCARD;
int cluster_grant_owner(struct db *db, const char *database, struct diag *diag) CGW_NODISCARD;
/* Act as the schema's owner from here on. */
int cluster_become_owner(struct db *db, struct diag *diag) CGW_NODISCARD;
bool cluster_name_ok(const char *name); /* a-z, 0-9, _ : goes into a statement as it is */

/* A file at once or not at all, fsynced. mode 0600 ...; -EEXIST when there is one. */
int local_write_new(const char *path, const void *data, size_t len, unsigned mode,
                    struct diag *diag) CGW_NODISCARD;
int local_mkdir(const char *path, unsigned mode, bool *ret_made,
                struct diag *diag) CGW_NODISCARD; /* 0 also when it is there */
/* The commented configuration with every key of config_keys[]; set[] names those that are not
 * default. */
struct local_setting {
    const char *key, *value; /* ends with key NULL */
};
void local_conf_text(const struct local_setting *set, const char *conf_dir, struct buf *out);

#endif
