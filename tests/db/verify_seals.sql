-- SPDX-License-Identifier: Apache-2.0
-- verify_seals.sql - recomputes every seal from the rows it covers, in plain SQL: psql -d campgw -f verify_seals.sql
-- Answers one row for each fault and none when all is well. Needs SELECT on contact_log, contact_submit, contact_event, audit_seal and
-- part_head (role campgw_audit). Rule (core/store/store_seal.h): leaf = SHA-256(format octet, then of each column its length as int4 and its
-- binary value, NULL = length -1); digest = SHA-256(previous digest, leaves), leaves ordered by format, contact_id, attempt, segment, kind.
-- Signatures (Ed25519 over digest, public key in identity_check) are checked outside the database. Where retention has dropped partitions,
-- their seals are reported as "rows missing"; the chain behind them still verifies link by link.
SET search_path = campgw;
WITH leaf AS (
  SELECT part, seal_no, 1 AS fmt, contact_id, attempt, 0::int2 AS seg, 0::int2 AS kind, sha256('\x01'::bytea
      || int4send(4) || int4send(part) || int4send(8) || int8send(contact_id) || int4send(2) || int2send(attempt) || int4send(4) || int4send(period)
      || int4send(8) || int8send(customer_id) || int4send(4) || int4send(wave_id) || int4send(4) || int4send(chunk_no) || int4send(4) || int4send(partner_id)
      || int4send(8) || timestamptz_send(decided_at) || int4send(2) || int2send(verdict) || int4send(2) || int2send(reason)
      || coalesce(int4send(4) || int4send(rule_id), int4send(-1)) || int4send(4) || int4send(rules_version) || int4send(2) || int2send(channel)
      || int4send(2) || int2send(class) || int4send(2) || int2send(arm) || int4send(4) || int4send(slots) || int4send(8) || int8send(seal_no)) AS h
    FROM contact_log
  UNION ALL
  SELECT part, seal_no, 2, contact_id, attempt, seg, 0::int2, sha256('\x02'::bytea
      || int4send(4) || int4send(part) || int4send(8) || int8send(contact_id) || int4send(2) || int2send(attempt) || int4send(2) || int2send(seg)
      || int4send(2) || int2send(n_segs) || int4send(1) || boolsend(receipt) || int4send(8) || timestamptz_send(ts) || int4send(4) || int4send(route_id)
      || int4send(8) || int8send(refh) || int4send(8) || int8send(address_key) || int4send(octet_length(ref)) || convert_to(ref, 'UTF8')
      || int4send(octet_length(peer_ref)) || convert_to(peer_ref, 'UTF8') || int4send(8) || int8send(seal_no))
    FROM contact_submit
  UNION ALL
  SELECT part, seal_no, 3, contact_id, attempt, seg, kind, sha256('\x03'::bytea
      || int4send(4) || int4send(part) || int4send(8) || int8send(contact_id) || int4send(2) || int2send(attempt) || int4send(2) || int2send(seg)
      || int4send(2) || int2send(kind) || int4send(8) || timestamptz_send(ts) || int4send(4) || int4send(route_id) || int4send(4) || int4send(code)
      || int4send(octet_length(code_space)) || convert_to(code_space, 'UTF8') || int4send(octet_length(detail)) || convert_to(detail, 'UTF8')
      || int4send(2) || int2send(sub) || int4send(4) || int4send(quantity) || int4send(8) || int8send(seal_no))
    FROM contact_event),
rows AS (
  SELECT part, seal_no, count(*) AS n, string_agg(h, ''::bytea ORDER BY fmt, contact_id, attempt, seg, kind) AS leaves FROM leaf GROUP BY part, seal_no),
chain AS (
  SELECT part, seal_no, n_rows, prev, digest, lag(seal_no, 1, 0::int8) OVER w AS no_before,
         lag(digest, 1, decode(repeat('00', 32), 'hex')) OVER w AS digest_before
    FROM audit_seal WINDOW w AS (PARTITION BY part ORDER BY seal_no))
SELECT coalesce(c.part, r.part) AS part, coalesce(c.seal_no, r.seal_no) AS seal_no,
       CASE WHEN c.part IS NULL THEN 'rows without a seal'
            WHEN c.seal_no <> c.no_before + 1 THEN 'seal missing before this one'
            WHEN c.prev <> c.digest_before THEN 'not linked to the seal before it'
            WHEN coalesce(r.n, 0) < c.n_rows THEN 'rows missing'
            WHEN r.n > c.n_rows THEN 'rows inserted'
            ELSE 'rows changed' END AS fault
  FROM chain c FULL JOIN rows r ON r.part = c.part AND r.seal_no = c.seal_no
 WHERE c.part IS NULL OR r.part IS NULL OR c.seal_no <> c.no_before + 1 OR c.prev <> c.digest_before OR r.n <> c.n_rows OR c.digest <> sha256(c.prev || r.leaves)
UNION ALL
SELECT h.part, h.seal_no, 'head differs from the last seal'
  FROM part_head h LEFT JOIN audit_seal s ON s.part = h.part AND s.seal_no = h.seal_no
 WHERE (h.seal_no > 0 AND (s.digest IS NULL OR s.digest <> h.digest)) OR EXISTS (SELECT FROM audit_seal x WHERE x.part = h.part AND x.seal_no > h.seal_no)
 ORDER BY 1, 2;
