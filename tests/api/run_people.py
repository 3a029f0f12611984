#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""run_people.py - audiences, customers, consents and do-not-disturb lists over HTTP: the good path of each endpoint and every kind of bad
upload. Needs $CAMPGW_API_DAEMON (harness.py) with these nouns and an identity key. Python standard library only."""
import base64
import gzip
import hashlib
import json
import os
import re
import socket
import sys
import unittest
import uuid

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness  # noqa: E402

CSV, NDJSON = "text/csv", "application/x-ndjson"
cluster = db = daemon = None


def setUpModule():
    global cluster, db, daemon
    cluster = harness.Cluster()
    db = cluster.database()
    db.sql("INSERT INTO partner VALUES (7, 'seven'), (8, 'eight')")
    daemon = harness.Daemon(db, plugins=os.environ.get("CAMPGW_PLUGIN_DIR", "."), optout=os.path.join(harness.ROOT, "conf", "optout.conf"))


def tearDownModule():
    code = daemon.stop()
    log = daemon.log()
    cluster.stop()
    if code:
        raise AssertionError("daemon ended with %s\n%s" % (code, log[-4000:]))
    if re.search(r"13800\d{6}", log):  # whole: 13800 alone is also a number of microseconds
        raise AssertionError("a number stands in the log")


def post(path, doc, key=None, idem=True, **kw):
    headers = {"Idempotency-Key": str(uuid.uuid4())} if idem else {}
    return daemon.post(path, doc, key=key, headers=headers, **kw)


def send(method, path, body, media=CSV, key=None, **headers):
    h = {"Content-Type": media}
    h.update({k.replace("_", "-"): v for k, v in headers.items()})
    return daemon.request(method, path, body=body if isinstance(body, bytes) else body.encode(), headers=h, key=key)


def number(i):
    return "+86138%08d" % i


WHAT_AND_REMEDY = r"^[A-Z'].*([;?] ?[a-z].*\.|\?)$"  # "what is wrong; what would be right."


class Case(unittest.TestCase):
    maxDiff = 2000

    def good(self, answer, status=200):
        self.assertEqual(answer.status, status, answer)
        return answer.json if answer.body else None

    def bad(self, answer, status, slug):
        self.assertEqual((answer.status, answer.slug), (status, slug), answer)
        self.assertIn("application/problem+json", answer.headers["Content-Type"])
        return answer.json

    def audience(self, key=None, **members):
        return self.good(post("/api/v1/audiences", {"name": "test", **members}, key=key), 201)["id"]

    def upload(self, body, media=CSV, aud=None, **headers):
        return send("PUT", "/api/v1/audiences/%s/recipients" % (aud or self.audience(default_region="CN")), body, media, **headers)


class Audiences(Case):
    def test_made_listed_shown_and_archived(self):
        a = self.good(post("/api/v1/audiences", {"name": "gotone", "channels": ["sms", "mms"], "dims": ["province"]}), 201)
        self.assertEqual((a["state"], a["channels"], a["dims"], a["in_use"]), ("empty", ["sms", "mms"], ["province"], False))
        self.assertEqual(self.good(daemon.get("/api/v1/audiences/" + a["id"]))["name"], "gotone")
        self.assertIn(a["id"], [x["id"] for x in self.good(daemon.get("/api/v1/audiences?limit=500"))["data"]])
        self.assertEqual(daemon.request("DELETE", "/api/v1/audiences/" + a["id"]).status, 204)
        self.assertEqual(daemon.request("DELETE", "/api/v1/audiences/" + a["id"]).status, 204)
        self.assertNotIn(a["id"], [x["id"] for x in daemon.get("/api/v1/audiences?limit=500").json["data"]])
        self.assertIn(a["id"], [x["id"] for x in daemon.get("/api/v1/audiences?limit=500&archived=true").json["data"]])
        self.bad(self.upload("msisdn\n%s\n" % number(1), aud=a["id"]), 409, "state-conflict")

    def test_lists_page_by_cursor(self):
        made = {self.audience() for _ in range(5)}
        seen, path = set(), "/api/v1/audiences?limit=2"
        for _ in range(200):
            page = self.good(daemon.get(path))
            self.assertLessEqual(len(page["data"]), 2)
            seen |= {x["id"] for x in page["data"]}
            if not page["has_more"]:
                break
            path = page["next"]
        self.assertLessEqual(made, seen)

    def test_bad_bodies(self):
        for doc, pointer in (({}, "/name"), ({"name": ""}, "/name"), ({"name": "x", "channels": []}, "/channels"), ({"name": "x", "channels": ["fax"]}, "/channels/0"),
                             ({"name": "x", "dims": ["a b"]}, "/dims/0"), ({"name": "x", "dims": ["msisdn"]}, "/dims/0"), ({"name": "x", "dims": ["a", "a"]}, "/dims/1"),
                             ({"name": "x", "dims": list("abcdefghi")}, "/dims"), ({"name": "x", "default_region": "XX"}, "/default_region"), ({"name": "x", "nmae": 1}, "/nmae")):
            with self.subTest(doc=doc):
                p = self.bad(post("/api/v1/audiences", doc), 422, "validation-failed")
                self.assertIn(pointer, [e["pointer"] for e in p["errors"]])
        self.assertEqual(post("/api/v1/audiences", {"name": "x"}, idem=False).status, 428)

    def test_one_key_makes_one_audience(self):
        h = {"Idempotency-Key": str(uuid.uuid4())}
        a, b = (daemon.post("/api/v1/audiences", {"name": "once"}, headers=h) for _ in range(2))
        self.assertEqual(a.json["id"], b.json["id"])
        self.assertEqual(b.headers["Idempotency-Replayed"], "true")

    def test_a_partner_sees_its_own(self):
        k7, k8 = (daemon.key("audiences:read", "audiences:write", partner_id=p) for p in (7, 8))
        a = self.audience(key=k7)
        self.good(daemon.get("/api/v1/audiences/" + a, key=k7))
        self.good(daemon.get("/api/v1/audiences/" + a))
        self.bad(daemon.get("/api/v1/audiences/" + a, key=k8), 404, "not-found")
        self.bad(send("PUT", "/api/v1/audiences/%s/recipients" % a, "msisdn\n%s\n" % number(1), key=k8), 404, "not-found")
        self.bad(daemon.get("/api/v1/audiences/%s/rejects" % a, key=k8), 404, "not-found")
        self.bad(daemon.get("/api/v1/audiences", key=daemon.key("caps:read")), 403, "scope-missing")

    def test_in_use(self):
        a = self.audience()
        db.sql("INSERT INTO campaign (public_id, partner_id, name, plugin, class, purpose, audience_id, state, created_by)"
               " SELECT 'cmp_' || public_id, 0, 't', 'broadcast', 1, 1, audience_id, 'running', 'test' FROM audience WHERE public_id = '%s'" % a)
        self.bad(daemon.request("DELETE", "/api/v1/audiences/" + a), 409, "in-use")
        self.bad(self.upload("msisdn\n%s\n" % number(1), aud=a), 409, "in-use")
        db.sql("UPDATE campaign SET state = 'completed' WHERE public_id = 'cmp_%s'" % a)
        self.assertEqual(daemon.request("DELETE", "/api/v1/audiences/" + a).status, 204)


class Uploads(Case):
    def test_rows_are_accepted_deduplicated_and_rejected(self):
        a = self.audience(default_region="CN", dims=["province"])
        text = "msisdn,name,province\r\n%s,Li,GD\r\n138 0000-0002,\"Wu, \"\"A\"\"\nB\",BJ\r\n0086 (138) 00000001,again,GD\r\nabc,x,GD\r\n%s,Zhang,\r\n" % (number(1), number(3))
        r = self.good(self.upload(text, aud=a))
        self.assertEqual((r["accepted"], r["duplicate"], r["invalid"]), (3, 1, 1), r)
        self.assertEqual(r["fields"], ["name", "province"])
        self.assertEqual([(x["line"], x["code"]) for x in r["rejects"]], [(5, "duplicate"), (6, r["rejects"][1]["code"])])
        self.assertNotIn("13800000001", json.dumps(r))
        doc = self.good(daemon.get("/api/v1/audiences/" + a))
        self.assertEqual((doc["state"], doc["accepted"], doc["sha256"], doc["fields"]), ("ready", 3, r["sha256"], ["name", "province"]))
        rejects = self.good(daemon.get("/api/v1/audiences/%s/rejects" % a))["data"]
        self.assertEqual(rejects, r["rejects"])
        rows = db.sql("SELECT r.address, replace(r.params, chr(31), '|'), d.value, p.region, p.zones::text FROM recipient r JOIN audience a USING (set_id) JOIN place p USING (place)"
                      " LEFT JOIN set_dim d ON d.set_id = r.set_id AND d.dim = 1 AND d.code = r.dims[1] WHERE a.public_id = '%s' ORDER BY 1" % a)
        self.assertIn("+8613800000001|Li|GD|GD|CN|", rows)
        self.assertIn("Asia/Shanghai", rows)
        self.assertIn('+8613800000002|Wu, "A"\nB|BJ|BJ|CN|', rows)

    def test_the_second_upload_replaces_the_first_and_a_failed_one_does_not(self):
        a = self.audience()
        first = self.good(self.upload("msisdn\n%s\n" % number(1), aud=a))
        second = self.good(self.upload("msisdn\n%s\n%s\n" % (number(1), number(2)), aud=a))
        self.assertNotEqual(first["sha256"], second["sha256"])
        before = db.sql("SELECT count(*) FROM recipient_set"), db.sql("SELECT count(*) FROM recipient"), db.sql("SELECT count(*) FROM audit")
        self.bad(self.upload("name\nLi\n", aud=a), 400, "malformed-upload")
        self.bad(self.upload("msisdn\nabc\n", aud=a), 400, "malformed-upload")
        self.assertEqual(before, (db.sql("SELECT count(*) FROM recipient_set"), db.sql("SELECT count(*) FROM recipient"), db.sql("SELECT count(*) FROM audit")))
        self.assertEqual(daemon.get("/api/v1/audiences/" + a).json["accepted"], 2)

    def test_bad_uploads_as_a_whole(self):
        bomb = gzip.compress(b"msisdn\n" + b"0" * (40 << 20))
        good = "msisdn,name\n%s,x\n" % number(1)
        zipped = gzip.compress(good.encode() * 50)
        for name, body, headers, status, line in (
                ("empty file", b"", {}, 400, None), ("blank lines", b"\n\n\n", {}, 400, None), ("missing header", number(1).encode() + b"\n", {}, 400, 1),
                ("no address column", b"name,city\nLi,GD\n", {}, 400, 1), ("doubled column", b"msisdn,name,name\n%s,a,b\n" % number(1).encode(), {}, 400, 1),
                ("column name", b"msisdn,na me\n%s,a\n" % number(1).encode(), {}, 400, 1), ("header only", b"msisdn\n", {}, 400, None),
                ("NUL in the header", b"msis\0dn\n", {}, 400, 1), ("header not UTF-8", b"msisdn,\xff\xfe\n%s,a\n" % number(1).encode(), {}, 400, 1),
                ("33 fields", ("msisdn," + ",".join("f%d" % i for i in range(33)) + "\n").encode(), {}, 413, 1),
                ("wrong separator", b"msisdn;name\n+8613800000001;Li\n", {}, 400, 1), ("JSON lines as CSV", b'{"msisdn":"+8613800000001"}\n', {}, 400, 1),
                ("gzip bomb", bomb, {"Content_Encoding": "gzip"}, 413, None), ("not gzip", good.encode(), {"Content_Encoding": "gzip"}, 400, None),
                ("cut gzip", zipped[:-20], {"Content_Encoding": "gzip"}, 400, None), ("damaged gzip", zipped[:30] + b"\0\0\0\0" + zipped[34:], {"Content_Encoding": "gzip"}, 400, None)):
            with self.subTest(name):
                a = self.upload(body, **headers)
                p = self.bad(a, status, "malformed-upload" if status == 400 else "too-large")
                self.assertRegex(p["detail"], WHAT_AND_REMEDY)
                doc = self.good(daemon.get("/api/v1/audiences?limit=1"))["data"][0]
                self.assertEqual((doc["state"], doc["accepted"]), ("empty", 0), "a part of it was kept")
                if line:
                    self.assertEqual(p.get("line"), line, p)

    def test_bad_rows_are_rejected_one_by_one(self):
        for name, rows, code, column in (
                ("too few columns", "%s\n" % number(1), "column_count", None), ("too many columns", "%s,a,b\n" % number(1), "column_count", None),
                ("NUL", "%s,a\0b\n" % number(1), "nul_byte", "name"), ("invalid UTF-8", None, "not_utf8", "name"), ("letters", "1380000x001,a\n", "number_letters", "msisdn"),
                ("too short", "+861380,a\n", "number_too_short", "msisdn"), ("too long", "+86138000000011111111,a\n", "number_too_long", "msisdn"),
                ("unknown country", "+9991234567890,a\n", "number_unknown_country", "msisdn"), ("fixed line", "+861088886666,a\n", "number_fixed_line", "msisdn"),
                ("field too long", "%s,%s\n" % (number(1), "x" * 257), "field_too_long", "name"), ("unit separator", "%s,a\x1fb\n" % number(1), "control_character", "name"),
                ("no number", ",a\n", "address_missing", None), ("row of 10 MB", "%s,%s\n" % (number(1), "x" * (10 << 20)), "row_too_long", "name"),
                ("quote inside", "%s,a\"b\n" % number(1), None, None)):
            with self.subTest(name):
                body = b"msisdn,name\n" + (rows.encode() if rows else number(1).encode() + b",\xff\xfe\n") + b"%s,last\n" % number(9).encode()
                r = self.good(self.upload(body))
                if code is None:
                    self.assertGreaterEqual(r["accepted"], 1)
                    continue
                self.assertEqual((r["accepted"], r["invalid"]), (1, 1), r)
                j = r["rejects"][0]
                self.assertEqual((j["line"], j["code"], j["column"]), (2, code, column), j)
                self.assertRegex(j["detail"], WHAT_AND_REMEDY)
                self.assertNotIn("138000", j["detail"])

    def test_every_written_form_of_a_number_is_one_person(self):
        forms = [number(77), "008613800000077", "+86 138 0000 0077", "138-0000-0077", "(138) 0000.0077", "１３８" + "０" * 6 + "７７", "8613800000077"]
        r = self.good(self.upload("msisdn\n" + "\n".join(forms[:6]) + "\n"))
        self.assertEqual((r["accepted"], r["duplicate"], r["invalid"]), (1, 5, 0), r)

    def test_national_numbers_need_a_region(self):
        r = self.bad(self.upload("msisdn\n13800000001\n", aud=self.audience()), 400, "malformed-upload")
        self.assertEqual(r["rejects"][0]["line"], 2)

    def test_ndjson(self):
        text = '{"msisdn":"%s","name":"Li"}\n\n{"msisdn":"%s","city":"GZ"}\n{"msisdn":17}\nnot json\n' % (number(1), number(2))
        r = self.good(self.upload(text, NDJSON))
        self.assertEqual((r["accepted"], r["fields"]), (2, ["name", "city"]))
        self.assertEqual([x["line"] for x in r["rejects"]][-1], 5)

    def test_bad_lines_of_ndjson_are_rejected_one_by_one(self):
        for name, line, code in (
                ("nested without end", '{"msisdn":"%s","a":%s}' % (number(1), "[" * 5000 + "]" * 5000), "json_syntax"), ("a list in a field", '{"msisdn":"%s","a":[1]}' % number(1), "json_type"),
                ("beyond int64", '{"msisdn":"%s","a":99999999999999999999}' % number(1), "json_syntax"), ("a member twice", '{"msisdn":"%s","a":"1","a":"2"}' % number(1), "json_syntax"),
                ("a number as number", '{"msisdn":8613800000001}', "json_type"), ("no object", '["msisdn"]', "json_not_object"), ("cut", '{"msisdn":"%s"' % number(1), "json_syntax")):
            with self.subTest(name):
                r = self.good(self.upload(line + '\n{"msisdn":"%s"}\n' % number(9), NDJSON))
                self.assertEqual((r["accepted"], r["invalid"]), (1, 1), r)
                self.assertEqual((r["rejects"][0]["line"], r["rejects"][0]["code"]), (1, code), r)
                self.assertRegex(r["rejects"][0]["detail"], WHAT_AND_REMEDY)

    def test_byte_order_mark_and_no_last_line_end(self):
        r = self.good(self.upload(b"\xef\xbb\xbfmsisdn\r\n" + number(1).encode()))
        self.assertEqual(r["accepted"], 1)

    def test_gzip_and_digest(self):
        body = gzip.compress(("msisdn\n%s\n" % number(1)).encode())
        digest = "sha-256=:%s:" % base64.b64encode(hashlib.sha256(body).digest()).decode()
        self.good(self.upload(body, Content_Encoding="gzip", Content_Digest=digest))
        wrong = "sha-256=:%s:" % base64.b64encode(b"\0" * 32).decode()
        self.bad(self.upload(body, Content_Encoding="gzip", Content_Digest=wrong), 422, "digest-mismatch")
        self.bad(self.upload("x", "text/plain"), 415, "media-type")

    def test_an_aborted_upload_leaves_nothing(self):
        a = self.audience()
        s = socket.socket(socket.AF_UNIX)
        s.connect(daemon.socket)
        s.sendall(b"PUT /api/v1/audiences/%s/recipients HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nContent-Length: 100000\r\n\r\nmsisdn\n%s\n" % (a.encode(), number(1).encode()))
        s.close()
        doc = self.good(daemon.get("/api/v1/audiences/" + a))
        self.assertEqual((doc["state"], doc["accepted"], doc["sha256"]), ("empty", 0, None))

    def test_a_declared_breakdown_field_must_be_a_column(self):
        p = self.bad(self.upload("msisdn,name\n%s,a\n" % number(1), aud=self.audience(dims=["province"])), 400, "malformed-upload")
        self.assertIn("province", p["detail"])

    def test_zone_and_region_come_from_the_row_then_the_customer_then_the_number(self):
        self.good(send("PUT", "/api/v1/customers", "msisdn,zone,region\n%s,Asia/Urumqi,CN-XJ\n" % number(501)))
        a = self.audience()
        self.good(self.upload("msisdn,zone,region\n%s,,\n%s,Asia/Tokyo,JP\n%s,,\n+12025550143,,\n" % (number(501), number(502), number(503)), aud=a))
        rows = dict(x.split("|", 1) for x in db.sql("SELECT r.address, p.region || ' ' || p.zones::text FROM recipient r JOIN audience a USING (set_id) JOIN place p USING (place)"
                                                     " WHERE a.public_id = '%s'" % a).splitlines())
        self.assertEqual(rows[number(501)], "CN-XJ {Asia/Urumqi}")
        self.assertEqual(rows[number(502)], "JP {Asia/Tokyo}")
        self.assertIn("Asia/Shanghai", rows[number(503)])
        self.assertIn("America/New_York", rows["+12025550143"])
        self.assertIn("Pacific/Honolulu", rows["+12025550143"])

    def test_slices_hold_one_part_and_one_place(self):
        a = self.audience()
        self.good(self.upload("msisdn,zone\n" + "".join("%s,%s\n" % (number(i), "Asia/Tokyo" if i % 3 else "") for i in range(20000)), aud=a))
        s = "SELECT set_id FROM audience WHERE public_id = '%s'" % a
        self.assertEqual(db.sql("SELECT count(*), min(seq), max(seq) FROM recipient WHERE set_id = (%s)" % s), "20000|0|19999")
        self.assertEqual(db.sql("SELECT sum(seq_hi - seq_lo + 1), count(DISTINCT part), max(seq_hi - seq_lo + 1) <= 5000 FROM set_slice WHERE set_id = (%s)" % s), "20000|64|t")
        self.assertEqual(db.sql("SELECT count(*) FROM (SELECT part, place, customer_id, lag((part, place, customer_id)) OVER (ORDER BY seq) AS before FROM recipient WHERE set_id = (%s)) x"
                                " WHERE before >= (part, place, customer_id)" % s), "0")
        self.assertEqual(db.sql("SELECT count(*) FROM recipient WHERE set_id = (%s) AND part <> customer_id %% 64" % s), "0")

    def test_more_than_ten_thousand_rejects_are_counted_exactly(self):
        a = self.audience()
        r = self.good(self.upload("msisdn\n%s\n" % number(1) + "abc\n" * 10500, aud=a))
        self.assertEqual((r["accepted"], r["invalid"], len(r["rejects"])), (1, 10500, 20))
        lines, path = [], "/api/v1/audiences/%s/rejects?limit=500" % a
        while path:
            page = self.good(daemon.get(path))
            lines += [x["line"] for x in page["data"]]
            path = page["next"] if page["has_more"] else None
        self.assertEqual(lines, list(range(3, 10003)))


class Customers(Case):
    def test_upsert_lookup_and_show(self):
        r = self.good(send("PUT", "/api/v1/customers", "msisdn,email,customer,zone,lang,channel,tier\n%s,li@Example.COM,c-1,Asia/Shanghai,zh-CN,sms,gold\n%s,,,,,,\nabc,,,,,,\n" % (number(601), number(602))))
        self.assertEqual((r["created"], r["updated"], r["duplicate"], r["invalid"], r["rejects"][0]["line"]), (2, 0, 0, 1, 4), r)
        c = self.good(daemon.post("/api/v1/customers/lookup", {"msisdn": "138 0000 0601", "default_region": "CN", "expand": ["contacts"]}))
        self.assertTrue(c["known"] and c["id"].startswith("cus_"))
        self.assertEqual((c["msisdn"], c["email"], c["external_id"], c["attrs"], c["channel"], c["contacts"]), ("+86138****0601", "l***@example.com", "c-1", {"tier": "gold"}, "sms", []))
        for who in ({"email": "li@example.com"}, {"external_id": "c-1"}, {"customer": c["id"]}):
            self.assertEqual(self.good(daemon.post("/api/v1/customers/lookup", who))["id"], c["id"], who)
        self.assertEqual(self.good(daemon.get("/api/v1/customers/" + c["id"]))["lang"], "zh-CN")
        self.good(send("PUT", "/api/v1/customers", "msisdn,tier,city\n%s,,GZ\n" % number(601)))
        c = self.good(daemon.get("/api/v1/customers/" + c["id"] + "?expand=contacts"))
        self.assertEqual((c["attrs"], c["lang"]), ({"tier": "gold", "city": "GZ"}, "zh-CN"))

    def test_bad_lookups(self):
        for doc, pointer in (({}, ""), ({"msisdn": number(1), "email": "a@example.com"}, ""), ({"msisdn": "abc"}, "/msisdn"), ({"msisdn": "13800000001"}, "/msisdn"),
                             ({"email": "nobody"}, "/email"), ({"customer": "cus_00000000000001"}, "/customer"), ({"msisdn": number(1), "expand": ["x"]}, "/expand/0")):
            with self.subTest(doc=doc):
                p = self.bad(daemon.post("/api/v1/customers/lookup", doc), 422, "validation-failed")
                self.assertIn(pointer, [e["pointer"] for e in p["errors"]])
                self.assertNotIn("13800000001", json.dumps(p))
        self.bad(daemon.post("/api/v1/customers/lookup", {"external_id": "none"}), 404, "not-found")
        self.bad(daemon.get("/api/v1/customers/cus_00000000000001"), 404, "not-found")
        self.assertFalse(self.good(daemon.post("/api/v1/customers/lookup", {"msisdn": number(699)}))["known"])
        self.bad(send("PUT", "/api/v1/customers", "name\nx\n"), 400, "malformed-upload")

    def test_a_partner_learns_one_bit_about_its_own_people(self):
        key = daemon.key("audiences:read", "audiences:write", "customers:read", "customers:write", partner_id=7)
        self.bad(send("PUT", "/api/v1/customers", "msisdn\n%s\n" % number(1), key=key), 403, "not-allowed")
        ask = lambda: daemon.post("/api/v1/customers/lookup", {"msisdn": number(611)}, key=key)  # noqa: E731
        self.bad(ask(), 404, "not-found")
        a = self.audience(key=key)
        self.good(send("PUT", "/api/v1/audiences/%s/recipients" % a, "msisdn\n%s\n" % number(611), key=key))
        c = self.good(ask())
        self.assertEqual((set(c), c["contactable"]), ({"id", "contactable"}, False))
        post("/api/v1/consents", {"msisdn": number(611), "action": "grant", "purpose": "marketing", "source": "web"})
        self.assertTrue(self.good(ask())["contactable"])
        self.assertEqual(set(self.good(daemon.get("/api/v1/customers/%s?expand=contacts" % c["id"], key=key))), {"id", "contactable"})
        self.assertGreaterEqual(int(db.sql("SELECT count(*) FROM audit WHERE action = 'customer.lookup' AND object = '%s' AND partner_id = 7" % c["id"])), 3)


class Consents(Case):
    def state(self, customer, **query):
        q = "".join("&%s=%s" % kv for kv in query.items())
        return self.good(daemon.get("/api/v1/consents?customer=%s%s" % (customer, q)))["data"]

    def who(self, n):
        return self.good(daemon.post("/api/v1/customers/lookup", {"msisdn": number(n)}))["id"]

    def test_grant_then_withdraw(self):
        c = self.who(701)
        clock = lambda: db.sql("SELECT sum(ver) FROM fact_clock")  # noqa: E731
        before = clock()
        r = self.good(post("/api/v1/consents", {"msisdn": number(701), "action": "grant", "purpose": "marketing", "channel": "sms", "source": "web form", "evidence": "form 17"}))
        self.assertEqual((r["granted"], r["withdrawn"], clock()), (1, 0, before))
        s = self.state(c)
        self.assertEqual([(x["purpose"], x["channel"], x["state"], x["source"], x["evidence"]) for x in s], [("marketing", "sms", "granted", "web form", "form 17")])
        self.good(post("/api/v1/consents", {"customer": c, "action": "withdraw", "purpose": "marketing", "source": "call"}))
        self.assertNotEqual(clock(), before)
        self.assertEqual({(x["channel"], x["state"]) for x in self.state(c)}, {("sms", "withdrawn"), ("all", "withdrawn")})
        self.assertEqual([x["state"] for x in self.state(c, history="true")], ["withdrawn", "granted"])

    def test_a_replay_says_nothing_twice(self):
        h = {"Idempotency-Key": str(uuid.uuid4())}
        doc = {"msisdn": number(702), "action": "grant", "purpose": "news", "source": "web"}
        for _ in range(2):
            self.good(daemon.post("/api/v1/consents", doc, headers=h))
        self.assertEqual(len(self.state(self.who(702), history="true")), 1)
        self.bad(daemon.post("/api/v1/consents", dict(doc, purpose="other"), headers=h), 422, "idempotency-key-reused")
        self.assertEqual(daemon.post("/api/v1/consents", doc).status, 428)

    def test_a_stream_holds_whole_or_not_at_all(self):
        line = '{"msisdn":"%s","action":"grant","purpose":"marketing","channel":"sms","source":"import"}\n'
        count = lambda: db.sql("SELECT count(*) FROM consent_event")  # noqa: E731
        put = lambda body: send("POST", "/api/v1/consents", body, NDJSON, Idempotency_Key=str(uuid.uuid4()))  # noqa: E731
        r = self.good(put("".join(line % number(i) for i in range(5000, 7000))))
        self.assertEqual(r["granted"], 2000)
        before = count()
        for name, bad, code in (("not JSON", "{oops}\n", "malformed_line"), ("array", "[1]\n", "not_an_object"), ("doubled member", '{"action":"grant","action":"grant"}\n', "malformed_line"),
                                ("unknown member", line.replace('"source"', '"sauce"') % number(1), None), ("bad number", line % "12x", None),
                                ("too long", '{"source":"%s"}\n' % ("x" * 70000), "line_too_long"), ("future", (line % number(1))[:-2] + ',"at":"2999-01-01T00:00:00Z"}\n', "time_in_future"),
                                ("bad purpose", (line % number(1)).replace("marketing", "Mark eting"), "purpose_name")):
            with self.subTest(name):
                p = self.bad(put(line % number(1) + "\n" + bad + line % number(2)), 422, "validation-failed")
                self.assertEqual(p["line"], 3)
                self.assertTrue(all(e["pointer"].startswith("/2") for e in p["errors"]), p)
                if code:
                    self.assertIn(code, [e["code"] for e in p["errors"]])
        self.bad(put(""), 400, "malformed-body")
        self.bad(put("\n \n"), 400, "malformed-upload")
        self.assertEqual(count(), before)

    def test_bad_statements(self):
        good = {"msisdn": number(1), "action": "grant", "purpose": "marketing", "source": "web"}
        for change, pointer in (({"action": "maybe"}, "/action"), ({"channel": "fax"}, "/channel"), ({"source": ""}, "/source"), ({"at": "yesterday"}, "/at"),
                                ({"expires": "2001-01-01T00:00:00Z"}, "/expires"), ({"purpose": 7}, "/purpose"), ({"msisdn": "x"}, "/msisdn"), ({"action": "withdraw", "expires": "2999-01-01T00:00:00Z"}, "/expires")):
            with self.subTest(change=change):
                p = self.bad(post("/api/v1/consents", {**good, **change}), 422, "validation-failed")
                self.assertIn(pointer, [e["pointer"] for e in p["errors"]])
        self.assertEqual(daemon.get("/api/v1/consents").status, 422)

    def test_a_partner_records_withdrawals_only(self):
        key = daemon.key("consents:read", "consents:write", partner_id=7)
        doc = {"msisdn": number(711), "purpose": "marketing", "source": "partner"}
        self.bad(post("/api/v1/consents", {**doc, "action": "grant"}, key=key), 422, "validation-failed")
        self.good(post("/api/v1/consents", {**doc, "action": "withdraw"}, key=key))
        self.bad(daemon.get("/api/v1/consents?customer=" + self.who(711), key=key), 403, "not-allowed")


class OnePerson(Case):
    """Several addresses, one customer."""

    def rows(self, body, status=200, **members):
        aud = self.audience(channels=["sms", "email"], **members)
        r = self.good(self.upload(body, aud=aud))
        return r, db.sql("SELECT customer_id || ' ' || address || ' ' || email FROM recipient r JOIN audience a USING (set_id) WHERE a.public_id = '%s' ORDER BY params" % aud)

    def id_of(self, **who):
        return self.good(daemon.post("/api/v1/customers/lookup", who))["id"]

    def test_rows_name_people_by_any_of_their_names(self):
        self.good(send("PUT", "/api/v1/customers", "msisdn,email,customer\n%s,one@example.com,ext-4001\n,two@example.com,ext-4002\n" % number(4001)))
        r, got = self.rows("msisdn,email,customer,n\n,,ext-4001,a\n,two@example.com,,b\n%s,new@example.com,,c\n,,nobody,d\n,,,e\n" % number(4003))
        self.assertEqual((r["accepted"], r["invalid"]), (3, 2))
        self.assertEqual([(x["line"], x["column"], x["code"]) for x in r["rejects"]], [(5, "customer", "customer_unknown"), (6, None, "address_missing")])
        self.assertIn("PUT /api/v1/customers", r["rejects"][0]["detail"])
        self.assertEqual([x.split(" ")[1:] for x in got.splitlines()], [[number(4001), "one@example.com"], ["", "two@example.com"], [number(4003), "new@example.com"]])
        self.assertEqual(self.id_of(msisdn=number(4001)), self.id_of(email="one@example.com"))
        self.assertEqual(self.id_of(msisdn=number(4003)), self.id_of(email="new@example.com"), "an upload says that two addresses are one person's")
        again, got2 = self.rows("email,n\nnew@example.com,c\n")
        self.assertEqual(got2.split(" ")[0], got.splitlines()[2].split(" ")[0], "by mail the same customer as by number")

    def test_a_row_that_names_two_customers_is_refused_until_they_are_joined(self):
        self.good(send("PUT", "/api/v1/customers", "msisdn,email\n%s,\n,apart@example.com\n" % number(4010)))
        both = "msisdn,email\n%s,apart@example.com\n" % number(4010)
        p = self.bad(self.upload(both), 400, "malformed-upload")
        self.assertIn("/link", json.dumps(p))
        a, b = self.id_of(msisdn=number(4010)), self.id_of(email="apart@example.com")
        done = self.good(daemon.post("/api/v1/customers/%s/link" % a, {"email": "apart@example.com"}))
        self.assertEqual(done, {"id": a, "absorbed": b})
        self.assertEqual(self.id_of(email="apart@example.com"), a)
        self.assertEqual(self.good(self.upload(both))["accepted"], 1)
        self.bad(daemon.post("/api/v1/customers/%s/link" % a, {"customer": b}), 409, "state-conflict")
        self.assertEqual(db.sql("SELECT count(*) FROM audit WHERE action = 'customer.link' AND object = '%s'" % a), "1")

    def test_a_list_entry_by_mail_and_a_withdrawal_by_external_id_are_the_persons(self):
        self.good(send("PUT", "/api/v1/customers", "msisdn,email,customer\n%s,dnd-4020@example.com,ext-4020\n" % number(4020)))
        lst = self.good(post("/api/v1/dnd-lists", {"name": "all-4020", "scope": "all"}), 201)["id"]
        self.good(daemon.post("/api/v1/dnd-lists/%s/entries" % lst, {"entries": [{"email": "dnd-4020@example.com"}]}), 200)
        c = self.good(daemon.post("/api/v1/customers/lookup", {"external_id": "ext-4020"}))
        self.assertEqual([x["list"] for x in c["dnd"]], [lst])
        self.assertEqual(c["id"], self.id_of(msisdn=number(4020)))
        post("/api/v1/consents", {"external_id": "ext-4020", "action": "withdraw", "purpose": "marketing", "source": "call"})
        self.assertEqual(self.good(daemon.post("/api/v1/customers/lookup", {"msisdn": number(4020)}))["consents"][0]["state"], "withdrawn")

    def test_a_number_that_changed_hands(self):
        self.good(send("PUT", "/api/v1/customers", "msisdn,email\n%s,mover@example.com\n" % number(4030)))
        old = self.id_of(msisdn=number(4030))
        self.bad(daemon.post("/api/v1/customers/%s/reassigned" % old, {"msisdn": number(4031)}), 409, "state-conflict")
        done = self.good(daemon.post("/api/v1/customers/%s/reassigned" % old, {"msisdn": number(4030)}))
        self.assertEqual(len({old, done["id"], done["former"]}), 3)
        self.assertEqual((self.id_of(msisdn=number(4030)), self.id_of(email="mover@example.com")), (done["id"], done["former"]))

    def test_a_forgotten_customer_leaves_no_address(self):
        self.good(send("PUT", "/api/v1/customers", "msisdn,email\n%s,gone@example.com\n" % number(4040)))
        self.rows("msisdn,n\n%s,secret\n%s,other\n" % (number(4040), number(4041)))
        old = self.id_of(email="gone@example.com")
        self.assertEqual(daemon.request("DELETE", "/api/v1/customers/" + old).status, 204)
        self.assertEqual(db.sql("SELECT (SELECT count(*) FROM customer WHERE email = 'gone@example.com') + (SELECT count(*) FROM recipient WHERE params = 'secret' OR address = '%s')" % number(4040)), "0")
        self.assertNotEqual(self.id_of(msisdn=number(4040)), old)
        self.assertEqual(db.sql("SELECT count(*) FROM recipient WHERE address = '%s'" % number(4041)), "1")

    def test_partners_may_not(self):
        key = daemon.key("customers:read", "customers:write", partner_id=7)
        c = self.id_of(msisdn=number(4050))
        for method, tail, doc in (("POST", "/link", {"msisdn": number(1)}), ("POST", "/reassigned", {"msisdn": number(1)}), ("DELETE", "", None)):
            self.bad(daemon.request(method, "/api/v1/customers/%s%s" % (c, tail), json_body=doc, key=key), 403, "not-allowed")


class AnEmptyBase(Case):  # the first class by name: nobody is a customer yet
    def test_a_new_list_is_filled_without_looking_anybody_up(self):
        self.assertEqual(db.sql("SELECT count(*) FROM customer"), "0")
        l = self.good(post("/api/v1/dnd-lists", {"name": str(uuid.uuid4()), "channel": "sms"}), 201)["id"]
        path = "/api/v1/dnd-lists/%s/entries" % l
        clock = lambda: int(db.sql("SELECT sum(ver) FROM fact_clock"))  # noqa: E731
        rows = "msisdn,email\n" + "".join("%s,\n" % number(i) for i in (7, 5, 7, 6)) + "%s,both@example.com\nabc,\n" % number(8)
        self.bad(send("PUT", path, rows), 400, "malformed-upload")
        self.assertEqual(db.sql("SELECT count(*) FROM dnd"), "0")
        before = clock()
        r = self.good(send("PUT", path + "?invalid=skip", rows))
        self.assertEqual((r["received"], r["added"], r["present"], r["invalid"]), (6, 5, 0, 1))
        self.assertEqual(db.sql("SELECT count(*), count(DISTINCT customer_id), min(scope), max(scope), count(*) FILTER (WHERE part <> customer_id % 64) FROM dnd").split("|"),
                         ["5", "5", "1001", "1001", "0"])
        self.assertEqual(clock() - before, int(db.sql("SELECT count(DISTINCT part) FROM dnd")))
        r = self.good(send("POST", path, "msisdn\n%s\n%s\n" % (number(5), number(9))))  # no empty list any more
        self.assertEqual((r["received"], r["added"], r["present"]), (2, 1, 1))
        self.assertEqual(daemon.request("DELETE", "/api/v1/dnd-lists/" + l).status, 204)


class Dnd(Case):
    def new(self, key=None, **members):
        return self.good(post("/api/v1/dnd-lists", {"name": str(uuid.uuid4()), **members}, key=key), 201)

    def entries(self, list_id):
        seen, path = [], "/api/v1/dnd-lists/%s/entries?limit=100" % list_id
        while path:
            page = self.good(daemon.get(path))
            seen += [x["customer"] for x in page["data"]]
            path = page["next"] if page["has_more"] else None
        return seen

    def test_scopes(self):
        self.assertEqual([self.new(**m)[k] for m, k in (({}, "scope"), ({"scope": "all"}, "scope"), ({"channel": "sms"}, "channel"), ({"class": "marketing"}, "class"))], ["all", "all", "sms", "marketing"])
        self.bad(post("/api/v1/dnd-lists", {"name": "x", "channel": "sms", "class": "marketing"}), 422, "validation-failed")
        name = self.new()["name"]
        self.bad(post("/api/v1/dnd-lists", {"name": name}), 409, "already-exists")

    def test_rename_needs_the_version(self):
        l = self.new()
        path = "/api/v1/dnd-lists/" + l["id"]
        patch = lambda name, **h: daemon.request("PATCH", path, body=json.dumps({"name": name}), headers={"Content-Type": "application/merge-patch+json", **h})  # noqa: E731
        self.assertEqual(patch("a").status, 428)
        etag = daemon.get(path).headers["ETag"]
        new = str(uuid.uuid4())
        self.assertEqual(self.good(patch(new, **{"If-Match": etag}))["name"], new)
        self.bad(patch("b", **{"If-Match": etag}), 412, "version-mismatch")

    def test_entries_by_stream_and_by_json(self):
        l = self.new()["id"]
        path = "/api/v1/dnd-lists/%s/entries" % l
        r = self.good(send("POST", path, "msisdn\n" + "".join(number(i) + "\n" for i in range(800, 1050)) + "abc\n"))
        self.assertEqual((r["received"], r["added"], r["present"], r["invalid"], r["rejects"][0]["line"]), (250, 250, 0, 1, 252))
        r = self.good(daemon.post(path, {"entries": [{"msisdn": number(800)}, {"msisdn": "13800001200", "default_region": "CN"}, {"email": "dnd@example.com"}]}))
        self.assertEqual((r["received"], r["added"], r["present"]), (3, 2, 1))
        seen = self.entries(l)
        self.assertEqual((len(seen), len(set(seen))), (252, 252))
        hit = self.good(daemon.post("/api/v1/dnd-lists/lookup", {"msisdn": number(800)}))
        self.assertEqual([x["id"] for x in hit["lists"] if x["id"] == l], [l])
        r = self.good(daemon.post(path + "/remove", {"entries": [{"customer": hit["customer"]}, {"email": "dnd@example.com"}, {"msisdn": number(1)}]}))
        self.assertEqual((r["received"], r["removed"]), (3, 2))
        r = self.good(send("PUT", path, '{"msisdn":"%s"}\n{"msisdn":"%s"}\n' % (number(801), number(2000)), NDJSON))
        self.assertEqual((r["added"], r["present"], r["removed"]), (1, 1, 249))
        self.bad(send("PUT", path, "msisdn\n%s\nabc\n" % number(801)), 400, "malformed-upload")
        self.assertEqual(len(self.entries(l)), 2)
        self.assertEqual(self.good(send("PUT", path + "?invalid=skip", "msisdn\n%s\nabc\n" % number(801)))["removed"], 1)
        self.bad(send("POST", path + "?invalid=refuse", "msisdn\n%s\nabc\n" % number(803)), 400, "malformed-upload")
        p = self.bad(daemon.post(path, {"entries": [{"msisdn": number(1)}, {"msisdn": "x"}]}), 422, "validation-failed")
        self.assertEqual(p["errors"][0]["pointer"], "/entries/1/msisdn")
        self.assertEqual(len(self.entries(l)), 1)
        self.assertEqual(daemon.request("DELETE", "/api/v1/dnd-lists/" + l).status, 204)
        self.bad(daemon.get(path), 404, "not-found")

    def test_adding_moves_the_clock_of_the_part(self):
        l = self.new()["id"]
        ver = lambda: db.sql("SELECT string_agg(ver::text, ',' ORDER BY part) FROM fact_clock")  # noqa: E731
        a = ver()
        add = lambda: self.good(daemon.post("/api/v1/dnd-lists/%s/entries" % l, {"entries": [{"msisdn": number(3000)}]}))  # noqa: E731
        add()
        b = ver()
        self.assertEqual(sum(x != y for x, y in zip(a.split(","), b.split(","))), 1)
        add()
        self.assertEqual(ver(), b, "what was forbidden already moves nothing")

    def test_an_entry_by_mailbox_reaches_the_customer_with_that_alias(self):
        self.good(send("PUT", "/api/v1/customers", "msisdn,email\n%s,alias@example.com\n" % number(3100)))
        l = self.new()["id"]
        self.good(daemon.post("/api/v1/dnd-lists/%s/entries" % l, {"entries": [{"email": "alias@example.com"}]}))
        hit = self.good(daemon.post("/api/v1/dnd-lists/lookup", {"msisdn": number(3100)}))
        self.assertIn(l, [x["id"] for x in hit["lists"]])

    def test_built_in_lists_stay(self):
        path = "/api/v1/dnd-lists/dnd_optouts"
        self.assertTrue(self.good(daemon.get(path))["builtin"])
        self.bad(daemon.request("DELETE", path), 409, "state-conflict")
        self.bad(send("PUT", path + "/entries", "msisdn\n%s\n" % number(1)), 409, "state-conflict")
        self.good(daemon.post(path + "/entries", {"entries": [{"msisdn": number(3200)}]}))
        self.good(daemon.post(path + "/entries/remove", {"entries": [{"msisdn": number(3200)}]}))
        self.assertEqual(db.sql("SELECT count(*) FROM audit WHERE object = 'dnd_optouts' AND action LIKE 'dnd_list.entries%'"), "2")
        self.assertEqual(db.sql("SELECT count(*) FROM audit WHERE after::text ~ '138[0-9]{8}'"), "0")

    def test_a_partner_has_lists_of_its_own(self):
        key = daemon.key("dnd-lists:read", "dnd-lists:write", partner_id=7)
        own = self.new(key=key)["id"]
        other = self.new()["id"]
        for l in (other, "dnd_optouts"):
            self.bad(daemon.get("/api/v1/dnd-lists/" + l, key=key), 404, "not-found")
            self.bad(daemon.post("/api/v1/dnd-lists/%s/entries" % l, {"entries": [{"msisdn": number(1)}]}, key=key), 404, "not-found")
        self.assertEqual([x["id"] for x in self.good(daemon.get("/api/v1/dnd-lists", key=key))["data"]], [own])
        self.good(daemon.post("/api/v1/dnd-lists/%s/entries" % own, {"entries": [{"msisdn": number(3300)}]}, key=key))
        self.assertEqual(db.sql("SELECT DISTINCT partner_id FROM dnd d JOIN dnd_list l USING (list_id, partner_id) WHERE l.public_id = '%s'" % own), "7")


class Document(Case):
    def test_the_public_document_names_every_endpoint_of_these_nouns(self):
        doc = self.good(daemon.get("/openapi.json"))
        for path, methods in (("/api/v1/audiences", "post get"), ("/api/v1/audiences/{id}", "get delete"), ("/api/v1/audiences/{id}/recipients", "put"), ("/api/v1/audiences/{id}/rejects", "get"),
                              ("/api/v1/customers", "put"), ("/api/v1/customers/lookup", "post"), ("/api/v1/customers/{id}", "get delete"), ("/api/v1/customers/{id}/link", "post"), ("/api/v1/customers/{id}/reassigned", "post"), ("/api/v1/consents", "post get"), ("/api/v1/dnd-lists", "post get"),
                              ("/api/v1/dnd-lists/lookup", "post"), ("/api/v1/dnd-lists/{id}", "get patch delete"), ("/api/v1/dnd-lists/{id}/entries", "get put post"), ("/api/v1/dnd-lists/{id}/entries/remove", "post")):
            self.assertLessEqual(set(methods.split()), set(doc["paths"][path]), path)


if __name__ == "__main__":
    unittest.main()
