/* SPDX-License-Identifier: Apache-2.0 */
/* store_schema.h - schema version, forward-only migrations, identity of the installation. */
#ifndef STORE_STORE_SCHEMA_H
#define STORE_STORE_SCHEMA_H

#include "store/store.h"

/* 0 = no schema yet. */
int store_schema_version(struct db *db, int *ret_version, struct diag *diag) CGW_NODISCARD;
/* CGW_EVERSION with the command to type when the database is older or newer than this program. */
int store_schema_check(struct db *db, struct diag *diag) CGW_NODISCARD;
/* Apply dir/NNN_*.sql above the present version, each in its own transaction, under an advisory
 * lock; run as campgw_owner. report (may be NULL) is told each applied file. A file that was
 * applied and has changed since is refused. */
int store_schema_migrate(struct db *db, const char *dir,
                         void (*report)(void *ctx, int version, const char *file), void *ctx,
                         struct diag *diag) CGW_NODISCARD;

/* The daemon refuses to run as owner or superuser. */
int store_role_check(struct db *db, struct diag *diag) CGW_NODISCARD;
/* Compare with the stored check value and public key; CGW_ENOTFOUND before setup, CGW_EVERSION when
 * another key made the data or would sign it. */
int store_identity_check(struct db *db, const unsigned char check[16],
                         const unsigned char sign_key[64], struct diag *diag) CGW_NODISCARD;
/* Once, as owner. CGW_EEXISTS when there is one. */
int store_identity_put(struct db *db, const unsigned char check[16],
                       const unsigned char sign_public[32], struct diag *diag) CGW_NODISCARD;

#endif
