/* SPDX-License-Identifier: Apache-2.0 */
/* store_schema.c - see store_schema.h. */
#include "store/store_schema.h"

#include <dirent.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define FILES_MAX 999
#define FILE_BYTES_MAX (4u << 20)

int store_schema_version(struct db *db, int *ret_version, struct diag *diag)
{
    auto_dbr struct db_result *there = NULL, *r = NULL;
    *ret_version = 0;
    int rc = db_query(db, "SELECT to_regclass('campgw.schema_migration') IS NOT NULL", NULL, &there,
                      diag);
    if (rc < 0 || !dbr_bool(there, 0, 0))
        return rc;
    rc = db_query(db, "SELECT coalesce(max(version), 0) FROM schema_migration", NULL, &r, diag);
    if (rc == 0)
        *ret_version = (int)dbr_int(r, 0, 0);
    return rc;
}

int store_schema_check(struct db *db, struct diag *diag)
{
    int version = 0;
    int rc = store_schema_version(db, &version, diag);
    if (rc < 0)
        return rc;
    if (version < STORE_SCHEMA_VERSION)
        return diag_set(
            diag, CGW_EVERSION, "",
            "the database has schema %d, this program needs %d: run `campgwctl db migrate`",
            version, STORE_SCHEMA_VERSION);
    if (version > STORE_SCHEMA_VERSION)
        return diag_set(
            diag, CGW_EVERSION, "",
            "the database has schema %d, this program knows up to %d: install the newer campgw",
            version, STORE_SCHEMA_VERSION);
    return 0;
}

static int read_file(const char *path, char **ret, struct diag *diag)
{
    FILE *f = fopen(path, "re");
    if (!f)
        return diag_set(diag, -errno, path, "cannot read: %s", strerror(errno));
    char *text = malloc(FILE_BYTES_MAX + 1);
    size_t n = text ? fread(text, 1, FILE_BYTES_MAX, f) : 0;
    bool whole = text && feof(f);
    (void)fclose(f);
    if (!whole) {
        free(text);
        return diag_set(diag, CGW_ELIMIT, path, "larger than %u bytes or unreadable",
                        FILE_BYTES_MAX);
    }
    text[n] = 0;
    *ret = text;
    return 0;
}

static void sha_of(const char *text, char out[65])
{
    unsigned char h[crypto_hash_sha256_BYTES];
    (void)crypto_hash_sha256(h, (const unsigned char *)text, strlen(text));
    (void)sodium_bin2hex(out, 65, h, sizeof h);
}

/* Applied before: same text? Not applied: run it. */
static int apply(struct db *db, int version, const char *name, const char *text, bool *ret_applied,
                 struct diag *diag)
{
    char sha[65];
    sha_of(text, sha);
    struct db_params p;
    dbp_init(&p);
    dbp_int4(&p, version);
    auto_dbr struct db_result *r = NULL;
    *ret_applied = false;
    int rc = db_query(db, "SELECT sha256 FROM schema_migration WHERE version = $1", &p, &r, diag);
    if (rc < 0)
        return rc;
    if (dbr_rows(r))
        return strcmp(dbr_text(r, 0, 0), sha) == 0
                   ? 0
                   : diag_set(diag, CGW_EVERSION, name,
                              "was applied with another text: migrations are forward only, add a "
                              "new file instead of changing this one");
    rc = db_begin(db, diag);
    if (rc == 0)
        rc = db_script(db, text, diag);
    if (rc == 0) {
        dbp_init(&p);
        dbp_int4(&p, version);
        dbp_text(&p, name);
        dbp_text(&p, sha);
        rc = db_exec(db, "INSERT INTO schema_migration (version, name, sha256) VALUES ($1, $2, $3)",
                     &p, NULL, diag);
    }
    if (rc == 0)
        rc = db_commit(db, diag);
    db_rollback(db);
    *ret_applied = rc == 0;
    return rc;
}

static int is_migration(const struct dirent *e)
{
    const char *n = e->d_name;
    size_t len = strlen(n);
    return len > 8 && n[0] >= '0' && n[0] <= '9' && n[1] >= '0' && n[1] <= '9' && n[2] >= '0' &&
           n[2] <= '9' && n[3] == '_' && !strcmp(n + len - 4, ".sql");
}

int store_schema_migrate(struct db *db, const char *dir,
                         void (*report)(void *ctx, int version, const char *file), void *ctx,
                         struct diag *diag)
{
    struct dirent **files = NULL;
    int n = scandir(dir, &files, is_migration, alphasort);
    if (n <= 0)
        return diag_set(diag, n < 0 ? -errno : CGW_ENOTFOUND, dir,
                        "no migrations (NNN_name.sql) found");
    int rc = db_script(db,
                       "SELECT pg_advisory_lock(hashtext('campgw.migrate')); CREATE SCHEMA IF NOT "
                       "EXISTS campgw; CREATE TABLE IF NOT EXISTS campgw.schema_migration"
                       " (version int4 PRIMARY KEY, name text NOT NULL, sha256 text NOT NULL, "
                       "applied_at timestamptz NOT NULL DEFAULT now())",
                       diag);
    for (int i = 0; rc == 0 && i < n; i++) {
        char path[4096], *text = NULL;
        bool applied = false;
        int version = (files[i]->d_name[0] - '0') * 100 + (files[i]->d_name[1] - '0') * 10 +
                      files[i]->d_name[2] - '0';
        (void)snprintf(path, sizeof path, "%s/%s", dir, files[i]->d_name);
        rc = read_file(path, &text, diag);
        if (rc == 0)
            rc = apply(db, version, files[i]->d_name, text, &applied, diag);
        if (rc == 0 && applied && report)
            report(ctx, version, files[i]->d_name);
        free(text);
    }
    int unlocked = db_script(db,
                             "SELECT pg_advisory_unlock(hashtext('campgw.migrate')); GRANT SELECT "
                             "ON campgw.schema_migration TO campgw, campgw_audit",
                             rc == 0 ? diag : NULL);
    for (int i = 0; i < n; i++)
        free(files[i]);
    free(files);
    return rc < 0 ? rc : unlocked;
}

int store_role_check(struct db *db, struct diag *diag)
{
    auto_dbr struct db_result *r = NULL;
    int rc = db_query(
        db,
        "SELECT current_user::text, rolsuper OR pg_has_role(current_user, n.nspowner, 'MEMBER') "
        "FROM pg_roles, pg_namespace n WHERE rolname = current_user AND nspname = 'campgw'",
        NULL, &r, diag);
    if (rc < 0)
        return rc;
    if (dbr_rows(r) && dbr_bool(r, 0, 1))
        return diag_set(diag, CGW_EDENIED, "",
                        "role %s owns the schema or is a superuser, so the log would not be append "
                        "only: connect as role campgw",
                        dbr_text(r, 0, 0));
    return 0;
}

int store_identity_check(struct db *db, const unsigned char check[16],
                         const unsigned char sign_key[64], struct diag *diag)
{
    unsigned char seed[crypto_sign_SEEDBYTES], sign_public[crypto_sign_PUBLICKEYBYTES],
        again[crypto_sign_SECRETKEYBYTES];
    auto_dbr struct db_result *r = NULL;
    int rc = db_query(db, "SELECT check_value, sign_public FROM identity_check", NULL, &r, diag);
    if (rc < 0)
        return rc;
    if (dbr_rows(r) == 0)
        return diag_set(diag, CGW_ENOTFOUND, "",
                        "this database has no identity yet: run `campgwctl setup`");
    if (dbr_len(r, 0, 0) != 16 || memcmp(dbr_bytes(r, 0, 0), check, 16) != 0)
        return diag_set(diag, CGW_EVERSION, "",
                        "the identity key does not fit this database: its customers were made with "
                        "another key; put the right key file back");
    /* from the seed, not from the half of the file that says so: the seals come from the seed */
    (void)crypto_sign_ed25519_sk_to_seed(seed, sign_key);
    (void)crypto_sign_seed_keypair(sign_public, again, seed);
    bool same = dbr_len(r, 0, 1) == sizeof sign_public &&
                memcmp(dbr_bytes(r, 0, 1), sign_public, sizeof sign_public) == 0 &&
                sodium_memcmp(again, sign_key, sizeof again) == 0;
    sodium_memzero(seed, sizeof seed);
    sodium_memzero(again, sizeof again);
    if (!same)
        return diag_set(diag, CGW_EVERSION, "",
                        "the signing key does not fit this database: seals made with it would not "
                        "verify against the public key of setup; put the right key file back");
    return 0;
}

int store_identity_put(struct db *db, const unsigned char check[16],
                       const unsigned char sign_public[32], struct diag *diag)
{
    struct db_params p;
    dbp_init(&p);
    dbp_bytea(&p, check, 16);
    dbp_bytea(&p, sign_public, 32);
    int64_t rows = 0;
    int rc = db_exec(db,
                     "INSERT INTO identity_check (check_value, sign_public) VALUES ($1, $2) ON "
                     "CONFLICT DO NOTHING",
                     &p, &rows, diag);
    if (rc == 0 && rows == 0)
        rc = diag_set(diag, CGW_EEXISTS, "", "this database has an identity already");
    return rc;
}
