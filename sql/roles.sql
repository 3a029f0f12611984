-- SPDX-License-Identifier: Apache-2.0
-- roles.sql - the three database roles; run once by a superuser before the first migration (campgwctl setup does it).
--   campgw_owner  owns the schema, runs migrations; the daemon refuses to run as this role
--   campgw        the daemon: no DDL, and no UPDATE or DELETE on log, submit, event, seal, response
--   campgw_audit  read-only views without addresses
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'campgw_owner') THEN CREATE ROLE campgw_owner LOGIN NOSUPERUSER; END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'campgw') THEN CREATE ROLE campgw LOGIN NOSUPERUSER; END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'campgw_audit') THEN CREATE ROLE campgw_audit LOGIN NOSUPERUSER; END IF;
END $$;
