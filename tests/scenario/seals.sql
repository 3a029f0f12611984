-- SPDX-License-Identifier: Apache-2.0
-- seals.sql - recomputes every seal from the rows it covers and follows each part's chain from its beginning.
-- One row: seals looked at, seals whose digest differs, seals that do not follow their predecessor, rows of the log under no seal,
-- parts whose head is not their last seal. Rows are hashed as COPY sends them (core/store/store_seal.h): each field is its length
-- in four octets and its binary value, NULL is the length -1; the leaf begins with the octet of its table.
SET search_path = campgw;
CREATE FUNCTION pg_temp.f(v bytea) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$ SELECT CASE WHEN v IS NULL THEN '\xffffffff'::bytea ELSE int4send(octet_length(v)) || v END $$;
CREATE TEMP TABLE leaf AS
SELECT part, seal_no, 1 AS fmt, contact_id, attempt, 0::int2 AS seg, 0::int2 AS kind,
  sha256('\x01'::bytea || pg_temp.f(int4send(part)) || pg_temp.f(int8send(contact_id)) || pg_temp.f(int2send(attempt)) || pg_temp.f(int4send(period)) || pg_temp.f(int8send(customer_id))
    || pg_temp.f(int4send(wave_id)) || pg_temp.f(int4send(chunk_no)) || pg_temp.f(int4send(partner_id)) || pg_temp.f(timestamptz_send(decided_at)) || pg_temp.f(int2send(verdict))
    || pg_temp.f(int2send(reason)) || pg_temp.f(int4send(rule_id)) || pg_temp.f(int4send(rules_version)) || pg_temp.f(int2send(channel)) || pg_temp.f(int2send(class)) || pg_temp.f(int2send(arm))
    || pg_temp.f(int4send(slots)) || pg_temp.f(int8send(seal_no))) AS h
FROM contact_log
UNION ALL
SELECT part, seal_no, 2, contact_id, attempt, seg, 0::int2,
  sha256('\x02'::bytea || pg_temp.f(int4send(part)) || pg_temp.f(int8send(contact_id)) || pg_temp.f(int2send(attempt)) || pg_temp.f(int2send(seg)) || pg_temp.f(int2send(n_segs))
    || pg_temp.f(boolsend(receipt)) || pg_temp.f(timestamptz_send(ts)) || pg_temp.f(int4send(route_id)) || pg_temp.f(int8send(refh)) || pg_temp.f(int8send(address_key))
    || pg_temp.f(textsend(ref)) || pg_temp.f(textsend(peer_ref)) || pg_temp.f(int8send(seal_no)))
FROM contact_submit
UNION ALL
SELECT part, seal_no, 3, contact_id, attempt, seg, kind,
  sha256('\x03'::bytea || pg_temp.f(int4send(part)) || pg_temp.f(int8send(contact_id)) || pg_temp.f(int2send(attempt)) || pg_temp.f(int2send(seg)) || pg_temp.f(int2send(kind))
    || pg_temp.f(timestamptz_send(ts)) || pg_temp.f(int4send(route_id)) || pg_temp.f(int4send(code)) || pg_temp.f(textsend(code_space)) || pg_temp.f(textsend(detail)) || pg_temp.f(int2send(sub)) || pg_temp.f(int4send(quantity))
    || pg_temp.f(int8send(seal_no)))
FROM contact_event;
WITH again AS (
  SELECT s.part, s.seal_no, s.digest, s.prev, s.n_rows, count(l.h) AS rows, sha256(s.prev || coalesce(string_agg(l.h, ''::bytea ORDER BY l.fmt, l.contact_id, l.attempt, l.seg, l.kind), ''::bytea)) AS digest2,
    lag(s.digest, 1, decode(repeat('00', 32), 'hex')) OVER (PARTITION BY s.part ORDER BY s.seal_no) AS before, lag(s.seal_no, 1, 0::int8) OVER (PARTITION BY s.part ORDER BY s.seal_no) AS before_no
  FROM audit_seal s LEFT JOIN leaf l USING (part, seal_no) GROUP BY s.part, s.seal_no, s.digest, s.prev, s.n_rows)
SELECT count(*), count(*) FILTER (WHERE digest <> digest2 OR rows <> n_rows), count(*) FILTER (WHERE prev <> before OR seal_no <> before_no + 1),
  (SELECT count(*) FROM leaf l WHERE NOT EXISTS (SELECT FROM audit_seal s WHERE s.part = l.part AND s.seal_no = l.seal_no)),
  (SELECT count(*) FROM part_head h WHERE h.seal_no > 0 AND NOT EXISTS (SELECT FROM audit_seal s WHERE s.part = h.part AND s.seal_no = h.seal_no AND s.digest = h.digest))
FROM again;
