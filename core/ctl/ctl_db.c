/* SPDX-License-Identifier: Apache-2.0 */
/* ctl_db.c - `campgwctl db migrate` and `db check`: the schema, seen as its owner and as the
 * daemon. No daemon needed. */
#include "ctl/ctl_local.h"

#include "address/address.h"
#include "store/store_schema.h"

#include <string.h>

/* --database, else the configuration's. *ret_config stays NULL without need of one. */
static int conninfo_of(struct ctl *c, bool owner, struct config **ret_config, const char **ret)
{
    struct diag d = {0};
    *ret = ctl_opt(c, "database");
    if (*ret && owner)
        return 0;
    if (config_load(ctl_opt(c, "config"), ret_config, &d) < 0 && !*ret)
        return ctl_fail_diag(c, "cannot read the configuration", &d,
                             "--config FILE, or --database CONNINFO; campgwctl setup writes one");
    if (!*ret)
        *ret = owner ? (*ret_config)->owner_conninfo : (*ret_config)->conninfo;
    return 0;
}

/* Debian's servers know local users by their accounts: root may ask as postgres. */
static int open_owner(struct ctl *c, const char *conninfo, struct db **ret, struct diag *d)
{
    char as_admin[CONNINFO_MAX];
    const char *account = ctl_has(c, "database") ? NULL : local_admin_account();
    int rc = local_db_open(conninfo, NULL, ret, d);
    if (rc < 0 && account && local_conninfo_with(conninfo, "user", account, as_admin) == 0) {
        struct diag again = {0};
        if (local_db_open(as_admin, account, ret, &again) == 0)
            rc = 0;
    }
    return rc < 0 ? rc : cluster_become_owner(*ret, d);
}

struct applied {
    const struct ctl *c;
    json_t *list;
};

static void on_applied(void *ctx, int version, const char *file)
{
    struct applied *a = ctx;
    ctl_say(a->c, "applied  schema %d (%s)", version, file);
    (void)json_array_append_new(a->list, json_pack("{s:i, s:s}", "version", version, "file", file));
}

static void tell(const struct ctl *c, int version, json_t *applied)
{
    json_t *doc = json_pack("{s:i, s:O}", "schema", version, "applied", applied);
    if (c->json)
        ctl_print_json(doc);
    else
        (void)printf("schema %d%s\n", version, json_array_size(applied) ? "" : ", nothing to do");
    json_decref(doc);
}

int ctl_db_migrate(struct ctl *c)
{
    struct config *config = NULL;
    struct db *db = NULL;
    struct diag d = {0};
    const char *conninfo, *dir = ctl_opt(c, "sql") ? ctl_opt(c, "sql") : CGW_SQLDIR;
    int version = 0, code = conninfo_of(c, true, &config, &conninfo);
    if (code)
        return code;
    struct applied a = {c, json_array()};
    int rc = open_owner(c, conninfo, &db, &d);
    if (rc < 0)
        code = ctl_fail_diag(c, "cannot reach the database as " DB_OWNER_ROLE, &d,
                             "campgwctl db migrate --database \"dbname=campgw user=campgw_owner "
                             "...\", or as root on its machine");
    if (rc == 0)
        rc = store_schema_migrate(db, dir, on_applied, &a, &d);
    if (code == 0 && rc < 0)
        code = ctl_fail_diag(
            c, "the schema could not be brought up; nothing of the failing file was kept", &d,
            rc == CGW_ENOTFOUND ? "--sql DIR names the migrations" : "");
    if (code == 0 && store_schema_version(db, &version, &d) < 0)
        code = ctl_fail_diag(c, "the schema's version cannot be read", &d, "");
    if (code == 0)
        tell(c, version, a.list);
    db_close(db);
    config_free(config);
    json_decref(a.list);
    return code;
}

int ctl_db_check(struct ctl *c)
{
    struct config *config = NULL;
    struct db *db = NULL;
    struct diag d = {0};
    unsigned char check[ADDRESS_KEY_CHECK_BYTES];
    const char *conninfo;
    int code = conninfo_of(c, false, &config, &conninfo);
    if (code)
        return code;
    int rc = local_db_open(conninfo, NULL, &db, &d);
    if (rc == 0)
        rc = store_schema_check(db, &d);
    if (rc == 0)
        rc = store_role_check(db, &d);
    bool with_key = rc == 0 && config;
    if (with_key)
        rc = config_load_keys(config, &d);
    if (rc == 0 && with_key) {
        address_key_check(config->identity_key, check);
        rc = store_identity_check(db, check, config->sign_key, &d);
    }
    if (rc < 0)
        code = ctl_fail_diag(c, "the daemon would refuse this database", &d,
                             "campgwctl doctor looks at everything");
    else if (c->json)
        (void)printf("{\"ok\": true, \"schema\": %d, \"identity\": %s}\n", STORE_SCHEMA_VERSION,
                     with_key ? "true" : "false");
    else
        (void)printf("ok: schema %d, role is not the owner%s\n", STORE_SCHEMA_VERSION,
                     with_key ? ", the identity key fits"
                              : "; no configuration, so the identity key was not compared");
    db_close(db);
    config_free(config);
    return code;
}
