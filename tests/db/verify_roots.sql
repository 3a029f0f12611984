-- SPDX-License-Identifier: Apache-2.0
-- verify_roots.sql - recomputes every root from the seals it names. One row for each fault, none when all is well. Role campgw_audit suffices.
-- Rule (core/store/store_seal.h): digest = SHA-256(previous root's digest, time in seconds as int8, then for each part in order seal_no as int8
-- and that seal's digest, 32 zero octets for a part without seals).
SET search_path = campgw;
WITH at AS (
  SELECT r.*, lag(r.digest, 1, decode(repeat('00', 32), 'hex')) OVER w AS digest_before, lag(r.root_no, 1, 0::int8) OVER w AS root_before
    FROM audit_root r WINDOW w AS (ORDER BY r.root_no)),
heads AS (
  SELECT r.root_no, count(*) FILTER (WHERE u.seal_no > 0 AND s.digest IS NULL) AS lost,
         string_agg(int8send(u.seal_no) || coalesce(s.digest, decode(repeat('00', 32), 'hex')), ''::bytea ORDER BY u.n) AS leaves
    FROM audit_root r CROSS JOIN LATERAL unnest(r.seal_nos) WITH ORDINALITY u (seal_no, n) LEFT JOIN audit_seal s ON (s.part, s.seal_no) = (u.n - 1, u.seal_no)
   GROUP BY r.root_no)
SELECT root_no, CASE WHEN root_no <> root_before + 1 THEN 'roots missing before' WHEN prev <> digest_before THEN 'not linked to the root before'
                     WHEN lost > 0 THEN format('%s chains lost their end', lost)
                     WHEN sha256(prev || int8send(extract(epoch FROM at)::int8) || leaves) <> digest THEN 'heads were changed' END AS fault
  FROM at JOIN heads USING (root_no)
 WHERE root_no <> root_before + 1 OR prev <> digest_before OR lost > 0 OR sha256(prev || int8send(extract(epoch FROM at)::int8) || leaves) <> digest ORDER BY 1;
