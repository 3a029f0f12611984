# SPDX-License-Identifier: Apache-2.0
# sql/local.mk - migrations and roles, applied by `campgwctl setup` and `campgwctl db migrate`.
dist_sql_DATA = sql/001_init.sql sql/roles.sql
EXTRA_DIST += sql/README.md
