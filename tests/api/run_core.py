#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""run_core.py - the HTTP API's infrastructure and its own nouns, seen from outside: authentication, limits, bad input, idempotency,
lists, database and shutdown trouble, callbacks. Needs CAMPGW_API_DAEMON (tests/api/apid.c with routes_core.c) and a PostgreSQL server.
    CAMPGW_API_DAEMON=…/apid python3 tests/api/run_core.py [-k NAME]"""
import base64
import concurrent.futures
import gzip
import hashlib
import http.client
import json
import os
import resource
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import warnings

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import formats
import harness

ALONE = "a thousand connections"  # no other test beside it (scripts/lib/testrun.py)

CLUSTER = None
DB = None
DAEMON = None
FORMS = {"Content-Type": "application/json"}
DEADLINE_MS = 3000  # of callbacks; longer than a machine pauses, so that an answer from another thread comes in time


def setUpModule():
    global CLUSTER, DB, DAEMON
    CLUSTER = harness.Cluster()
    DB = CLUSTER.database()
    DAEMON = harness.Daemon(DB, callback_deadline_ms=DEADLINE_MS)


def tearDownModule():
    code = DAEMON.stop()
    log = DAEMON.log()
    CLUSTER.stop()
    if code:
        raise AssertionError("the daemon ended with %d:\n%s" % (code, log[-6000:]))


class Case(unittest.TestCase):
    def refused(self, answer, status, slug):
        self.assertEqual((answer.status, answer.headers["Content-Type"]), (status, "application/problem+json"), answer)
        self.assertEqual(answer.slug, slug, answer)
        self.assertEqual(answer.json["instance"], answer.headers["Request-Id"])
        self.assertEqual(answer.json["status"], status)
        return answer.json

    def fault(self, answer, pointer, code):
        """The validation fault at a pointer."""
        doc = self.refused(answer, 422, "validation-failed")
        found = [e for e in doc["errors"] if e.get("pointer", e.get("parameter")) == pointer]
        self.assertTrue(found, answer)
        self.assertEqual(found[0]["code"], code, answer)
        return found[0]["detail"]


class System(Case):
    def test_health_version_ready(self):
        self.assertEqual(DAEMON.get("/health", local=False).json, {"status": "ok"})
        self.assertEqual(DAEMON.get("/ready", local=False).json, {"ready": True, "reasons": []})
        self.assertEqual(DAEMON.get("/version", local=False).json["api"], "v1")

    def test_every_answer_has_a_request_id_and_no_sniffing(self):
        for path in ("/health", "/nope", "/api/v1/routes"):
            a = DAEMON.get(path, local=False)
            self.assertRegex(a.headers["Request-Id"], "^req_[0-9a-z]{26}$")
            self.assertEqual(a.headers["X-Content-Type-Options"], "nosniff")

    def test_traceparent_reaches_the_log(self):
        trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        DAEMON.get("/health", local=False, headers={"traceparent": trace})
        harness.wait_for("log line", lambda: trace in DAEMON.log())

    def test_metrics_are_clean(self):
        DAEMON.get("/health", local=False)
        text = DAEMON.get("/metrics", local=False).body.decode()
        self.assertIn('campgw_http_request_duration_seconds_bucket{handler="/health",code="200",le="+Inf"}', text)
        self.assertIn("process_resident_memory_bytes", text)
        self.assertEqual((formats.exposition(text), formats.promtool(text)), ([], ""))

    def test_openapi_and_route_table_agree(self):
        doc = DAEMON.get("/openapi.json", local=False).json
        self.assertEqual(doc["openapi"], "3.1.0")
        said = {}
        for path, item in doc["paths"].items():
            for method, op in item.items():
                said[method.upper() + " " + path] = (op["x-scope"] or "-", op["summary"], op)
        dump = subprocess.run([os.environ.get("CAMPGWD") or os.environ["CAMPGW_API_DAEMON"], "--dump-routes"], capture_output=True, text=True, timeout=60, check=True).stdout
        have = {}
        for line in dump.splitlines():
            method, path, scope = line.split(" ")
            if not path.startswith("/api/v1/test/"):
                have[method + " " + path] = scope
        self.assertEqual(sorted(said), sorted(have))
        for name, scope in have.items():
            self.assertEqual(said[name][0], scope, name)
            wanted = [{"key": []}] if scope != "-" else []
            self.assertEqual(said[name][2]["security"], wanted, name)
        # base.json holds components for the nouns that this daemon lacks
        self.assertEqual([f for f in formats.openapi(doc) if "used by nobody" not in f], [])

    def test_unknown_paths_and_methods(self):
        self.refused(DAEMON.get("/api/v1/nothing", local=False), 404, "not-found")
        self.refused(DAEMON.get("/api/v1/routes/", local=False), 404, "not-found")
        self.refused(DAEMON.get("/api/v1/routes/a%2Fb", local=False), 404, "not-found")
        a = DAEMON.request("DELETE", "/api/v1/dispatch", local=False)
        self.refused(a, 405, "method-not-allowed")
        self.assertEqual(a.headers["Allow"], "GET, PUT")
        self.refused(DAEMON.request("BREW", "/health", local=False), 405, "method-not-allowed")

    def test_request_targets_that_cannot_be_read(self):
        for target in ("/health%zz", "/health%0", "/health%00", "/health?a=%ff", "/health?" + "&".join("a%d=1" % i for i in range(40)), "/" + "a" * 5000):
            self.refused(DAEMON.get(target, local=False), 400, "malformed-request")

    def test_a_refusal_keeps_the_connection(self):
        conn = DAEMON.connection()
        for _ in range(3):
            conn.request("GET", "/nope")
            answer = conn.getresponse()
            answer.read()
            self.assertEqual((answer.status, answer.headers["Connection"]), (404, None))
        conn.close()

    def test_head_is_get_without_body(self):
        a = DAEMON.request("HEAD", "/version", local=False)
        self.assertEqual((a.status, a.body), (200, b""))


class Access(Case):
    def test_without_or_with_a_wrong_key(self):
        for headers in ({}, {"Authorization": "Basic abc"}, {"Authorization": "Bearer x"}, {"Authorization": "Bearer cgk_abc_" + "a" * 43},
                        {"Authorization": "Bearer cgk__" + "a" * 43}, {"Authorization": "Bearer cgk_" + "a" * 900}):
            a = DAEMON.get("/api/v1/routes", local=False, headers=headers)
            self.refused(a, 401, "not-signed-in")
            self.assertIn("Bearer", a.headers["WWW-Authenticate"])

    def test_a_right_id_with_a_wrong_secret(self):
        key = DAEMON.key("routes:read")
        wrong = key[:-1] + ("A" if key[-1] != "A" else "B")
        self.refused(DAEMON.get("/api/v1/routes", key=wrong), 401, "not-signed-in")
        self.assertEqual(DAEMON.get("/api/v1/routes", key=key).status, 200)
        self.refused(DAEMON.get("/api/v1/routes", key=wrong), 401, "not-signed-in")

    def test_a_missing_scope_is_named(self):
        key = DAEMON.key("routes:read")
        doc = self.refused(DAEMON.post("/api/v1/routes", {}, key=key), 403, "scope-missing")
        self.assertEqual(doc["scope"], "routes:write")

    def test_an_expired_key(self):
        key = DAEMON.key("routes:read")
        DB.sql("UPDATE api_key SET expires_at = now() - interval '1 second' WHERE public_id = 'key_%s'" % key.split("_")[1])
        self.refused(DAEMON.get("/api/v1/routes", key=key), 401, "key-expired")

    def test_a_key_expires_while_cached(self):
        key = DAEMON.key("routes:read")
        DB.sql("UPDATE api_key SET expires_at = clock_timestamp() + interval '4 seconds' WHERE public_id = 'key_%s'" % key.split("_")[1])
        self.assertEqual(DAEMON.get("/api/v1/routes", key=key).status, 200, "or a machine paused for four seconds")
        harness.wait_for("expiry", lambda: DAEMON.get("/api/v1/routes", key=key).status == 401)

    def test_a_revoked_key_stops_at_once_here(self):
        key = DAEMON.key("routes:read")
        self.assertEqual(DAEMON.get("/api/v1/routes", key=key).status, 200)
        self.assertEqual(DAEMON.request("DELETE", "/api/v1/api-keys/key_" + key.split("_")[1]).status, 204)
        self.refused(DAEMON.get("/api/v1/routes", key=key), 401, "not-signed-in")
        self.assertEqual(DAEMON.request("DELETE", "/api/v1/api-keys/key_" + key.split("_")[1]).status, 204)

    def test_a_key_revoked_elsewhere_stops_within_five_seconds(self):
        key = DAEMON.key("routes:read")
        self.assertEqual(DAEMON.get("/api/v1/routes", key=key).status, 200)
        DB.sql("UPDATE api_key SET revoked_at = now() WHERE public_id = 'key_%s'" % key.split("_")[1])
        harness.wait_for("revocation", lambda: DAEMON.get("/api/v1/routes", key=key).status == 401, 20)

    def test_rotating_replaces_the_secret(self):
        key = DAEMON.key("routes:read", "api-keys:write")
        self.assertEqual(DAEMON.get("/api/v1/routes", key=key).status, 200)
        a = DAEMON.post("/api/v1/api-keys/key_%s/rotate" % key.split("_")[1], key=key)
        self.assertEqual(a.status, 200, a)
        self.refused(DAEMON.get("/api/v1/routes", key=key), 401, "not-signed-in")
        self.assertEqual(DAEMON.get("/api/v1/routes", key=a.json["secret"]).status, 200)

    def test_nobody_hands_out_more_than_they_have(self):
        key = DAEMON.key("api-keys:write", "routes:read")
        doc = self.refused(DAEMON.post("/api/v1/api-keys", {"name": "x", "scopes": ["routes:write"]}, key=key), 403, "scope-missing")
        self.assertEqual(doc["scope"], "routes:write")
        self.refused(DAEMON.post("/api/v1/api-keys", {"name": "x", "scopes": ["routes:read"], "classes": ["emergency"]}, key=key), 403, "not-allowed")
        strong = DAEMON.key("routes:write")
        self.refused(DAEMON.post("/api/v1/api-keys/key_%s/rotate" % strong.split("_")[1], key=key), 403, "not-allowed")

    def test_partners_see_only_their_own(self):
        DB.sql("INSERT INTO partner VALUES (7, 'seven') ON CONFLICT DO NOTHING")
        theirs = DAEMON.key("routes:read", "routes:write", "dispatch:control", "api-keys:write", "api-keys:read", partner_id=7)
        mine = DAEMON.post("/api/v1/routes", {"name": "owner's", "channel": "sms", "instance": "loop-a"}).json["id"]
        for method, path in (("GET", "/api/v1/routes/" + mine), ("DELETE", "/api/v1/routes/" + mine), ("POST", "/api/v1/routes/%s/pause" % mine)):
            self.refused(DAEMON.request(method, path, key=theirs), 404, "not-found")
        self.assertEqual(DAEMON.get("/api/v1/routes", key=theirs).json["data"], [])
        own = DAEMON.post("/api/v1/routes", {"name": "theirs", "channel": "sms", "instance": "loop-a"}, key=theirs)
        self.assertEqual((own.status, own.json["partner_id"]), (201, 7))
        self.refused(DAEMON.post("/api/v1/routes", {"name": "z", "channel": "sms", "instance": "loop-a", "partner_id": 0}, key=theirs), 403, "not-allowed")
        self.refused(DAEMON.request("PUT", "/api/v1/dispatch", json_body={"state": "paused"}, key=theirs), 403, "not-allowed")
        self.refused(DAEMON.post("/api/v1/api-keys", {"name": "x", "scopes": ["routes:read"], "partner_id": 0}, key=theirs), 403, "not-allowed")
        self.assertEqual({k["partner_id"] for k in DAEMON.get("/api/v1/api-keys", key=theirs).json["data"]}, {7})
        self.assertEqual(DAEMON.request("DELETE", "/api/v1/routes/" + mine).status, 204)

    def test_the_local_socket_is_not_for_everybody(self):
        if os.geteuid() != 0:
            self.skipTest("needs root to become somebody else")
        script = ("import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); "
                  "s.sendall(b'GET /api/v1/routes HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n'); print(s.recv(4096).decode())")
        done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, "-c", script, DAEMON.socket],
                              capture_output=True, text=True, timeout=30, cwd="/")
        self.assertIn("403 Forbidden", done.stdout, done.stderr)
        self.assertIn("/problems/not-allowed", done.stdout)

    def test_the_admin_group_may_use_the_local_socket(self):
        if os.geteuid() != 0:
            self.skipTest("needs root to become somebody else")
        d = harness.Daemon(DB, group="daemon")
        script = ("import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); "
                  "s.sendall(b'GET /api/v1/routes HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n'); print(s.recv(4096).decode())")
        for groups in (["--regid=daemon", "--clear-groups"], ["--regid=65534", "--groups=daemon"]):
            done = subprocess.run(["setpriv", "--reuid=65534"] + groups + [sys.executable, "-c", script, d.socket], capture_output=True, text=True, timeout=30, cwd="/")
            self.assertIn("200 OK", done.stdout, done.stderr)
        self.assertEqual(d.stop(), 0)

    def test_the_rate_of_a_key_is_limited(self):
        d = harness.Daemon(DB, rate=5)
        key = d.key("routes:read")
        for i in range(5):
            a = d.get("/api/v1/routes", key=key)
            self.assertEqual(a.status, 200)
            self.assertEqual(a.headers["RateLimit-Policy"], '"key";q=5;w=60')
            self.assertRegex(a.headers["RateLimit"], '^"key";r=%d;t=[0-9]+$' % (4 - i))
        a = d.get("/api/v1/routes", key=key)
        self.refused(a, 429, "rate-limited")
        self.assertTrue(1 <= int(a.headers["Retry-After"]) <= 60)
        self.assertEqual(d.get("/api/v1/routes", key=d.key("routes:read")).status, 200, "another key has its own rate")
        self.assertEqual(d.stop(), 0)

    def test_secrets_stay_out_of_the_log(self):
        key = DAEMON.key("routes:read")
        DAEMON.get("/api/v1/routes", key=key)
        self.assertNotIn(key.split("_", 2)[2], DAEMON.log())  # whole: it may hold an underscore itself
        self.assertNotIn(key, DB.sql("SELECT * FROM audit"))


class BadInput(Case):
    def body(self, body, headers=FORMS):
        return DAEMON.request("POST", "/api/v1/api-keys", body=body, headers=headers)

    def test_media_types(self):
        good = b'{"name":"x","scopes":["routes:read"]}'
        for headers in ({}, {"Content-Type": "text/plain"}, {"Content-Type": "application/json; charset=latin1"}, {"Content-Type": "application/merge-patch+json"},
                        {"Content-Type": "application/json", "Content-Encoding": "gzip"}):
            a = self.body(good, headers)
            self.refused(a, 415, "media-type")
            self.assertEqual(a.headers["Accept"], "application/json")
        self.assertEqual(self.body(good, {"Content-Type": "Application/JSON; charset=UTF-8"}).status, 201)

    def test_a_body_where_none_is_taken(self):
        self.refused(DAEMON.request("POST", "/api/v1/routes/rte_x/pause", body=b"{}", headers=FORMS), 415, "media-type")

    def test_malformed_json_tells_line_and_column(self):
        doc = self.refused(self.body(b'{"name":"x",\n "scopes":[}'), 400, "malformed-body")
        self.assertEqual(doc["line"], 2)
        self.assertGreater(doc["column"], 5)
        for bad in (b"", b"[]", b"1", b'{"a":1', b'{"a":1}x', b"{'a':1}", b'{"name":"\xff"}', b'{"name":"\\ud800"}', b'{"name":"a\\u0000b"}', b'{"a":NaN}', b"\xef\xbb\xbf{}"):
            self.refused(self.body(bad), 400, "malformed-body")

    def test_doubled_members(self):
        self.refused(self.body(b'{"name":"x","name":"y","scopes":["routes:read"]}'), 400, "malformed-body")

    def test_deep_nesting(self):
        doc = self.refused(self.body(b'{"name":' + b"[" * 10000 + b"]" * 10000 + b"}"), 400, "malformed-body")
        self.assertIn("32 levels", doc["detail"])
        self.assertEqual((doc["line"], doc["column"]), (1, 8 + 32))
        self.refused(self.body(b'{"a":' * 10000 + b"1" + b"}" * 10000), 400, "malformed-body")
        self.assertEqual(self.body(b'{"name":"[[[[{{{{' + b'[' * 50 + b'","scopes":["routes:read"]}').status, 201, "brackets in a string do not nest")

    def test_numbers_beyond_int64(self):
        for n in (b"9223372036854775808", b"-9223372036854775809", b"1" + b"0" * 400, b"1e400"):
            self.refused(self.body(b'{"name":"x","scopes":["routes:read"],"partner_id":' + n + b"}"), 400, "malformed-body")
        a = self.body(b'{"name":"x","scopes":["routes:read"],"partner_id":9223372036854775807}')
        self.fault(a, "/partner_id", "out_of_range")

    def test_unknown_members_get_a_suggestion(self):
        self.assertIn('"scopes"', self.fault(DAEMON.post("/api/v1/api-keys", {"name": "x", "scoeps": []}), "/scoeps", "unknown_member"))
        self.fault(DAEMON.post("/api/v1/api-keys", {"name": "x", "a/b~c": 1}), "/a~1b~0c", "unknown_member")
        self.assertIn('"routes:read"', self.fault(DAEMON.post("/api/v1/api-keys", {"name": "x", "scopes": ["route:read"]}), "/scopes/0", "unknown_scope"))

    def test_wrong_types_ranges_and_lengths(self):
        def post(**doc):
            return DAEMON.post("/api/v1/routes", {"name": "n", "channel": "sms", "instance": "loop-a", **doc})
        self.fault(post(name=1), "/name", "wrong_type")
        self.fault(post(name=None), "/name", "wrong_type")
        self.fault(post(name=""), "/name", "too_short")
        self.fault(post(name="ä" * 81), "/name", "too_long")
        self.fault(post(name="a\nb"), "/name", "control_character")
        self.fault(post(channel="fax"), "/channel", "unknown_value")
        self.fault(post(rate_per_s=-1), "/rate_per_s", "out_of_range")
        self.fault(post(rate_per_s=1.5), "/rate_per_s", "wrong_type")
        self.fault(post(rate_per_s="1"), "/rate_per_s", "wrong_type")
        self.fault(post(classes=["marketing", "spam"]), "/classes/1", "unknown_value")
        self.fault(post(classes={}), "/classes", "wrong_type")
        self.fault(post(prefixes=["+86138", "86138"]), "/prefixes/1", "invalid")
        self.fault(post(prefixes=["+1"] * 501), "/prefixes", "too_many")
        self.fault(post(regions=["cn"]), "/regions/0", "invalid")
        self.fault(DAEMON.post("/api/v1/routes", {}), "/name", "required")
        a = DAEMON.post("/api/v1/api-keys", {"name": "x", "scopes": ["routes:read"], "expires_at": "tomorrow"})
        self.fault(a, "/expires_at", "not_a_time")
        a = DAEMON.post("/api/v1/api-keys", {"name": "x", "scopes": ["routes:read"], "expires_at": "2020-01-01T00:00:00Z"})
        self.fault(a, "/expires_at", "in_the_past")

    def test_many_faults_are_cut(self):
        doc = self.refused(DAEMON.post("/api/v1/routes", {"x%d" % i: 1 for i in range(60)}), 422, "validation-failed")
        self.assertEqual(len(doc["errors"]), 20)
        self.assertIn("63", doc["detail"])

    def test_too_large(self):
        doc = self.refused(self.body(b'{"name":"' + b"x" * 65536 + b'"}'), 413, "too-large")
        self.assertEqual(doc["limit"], 65536)

    def test_too_large_without_a_length(self):
        conn = DAEMON.connection(local=True)
        conn.request("POST", "/api/v1/api-keys", body=iter([b" " * 30000] * 30), headers=FORMS, encode_chunked=True)
        self.refused(harness.Answer(conn.getresponse()), 413, "too-large")
        conn.close()

    def test_a_huge_announcement_is_refused_before_the_body(self):
        conn = socket.create_connection(("127.0.0.1", DAEMON.port), timeout=30)
        key = DAEMON.key("api-keys:write")
        conn.sendall(b"POST /api/v1/api-keys HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99999999999\r\n"
                     b"Authorization: Bearer " + key.encode() + b"\r\n\r\n")
        self.assertIn(b"413", conn.recv(100))
        conn.close()

    def test_nobody_unknown_gets_a_body_taken(self):
        conn = socket.create_connection(("127.0.0.1", DAEMON.port), timeout=30)
        conn.sendall(b"PUT /api/v1/test/stream HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nContent-Length: 9000000\r\n"
                     b"Authorization: Bearer cgk_00000000000000000000000000_" + b"a" * 43 + b"\r\nExpect: 100-continue\r\n\r\n")
        self.assertIn(b"401", conn.recv(100))
        conn.close()

    def test_query_parameters(self):
        for query, parameter, code in (("?limit=0", "limit", "out_of_range"), ("?limit=501", "limit", "out_of_range"), ("?limit=x", "limit", "out_of_range"),
                                       ("?cursor=!!", "cursor", "not_a_cursor"), ("?cursor=AAAA", "cursor", "not_a_cursor"), ("?lmit=5", "lmit", "unknown_member"),
                                       ("?limit=5&limit=6", "limit", "doubled")):
            self.fault(DAEMON.get("/api/v1/routes" + query), parameter, code)

    def test_slow_clients_are_dropped_and_hold_up_nobody(self):
        d = harness.Daemon(DB, timeout_s=4)  # longer than a machine pauses between a connection and its words
        slow = [socket.create_connection(("127.0.0.1", d.port), timeout=30) for _ in range(20)]
        for i, s in enumerate(slow):
            s.sendall(b"POST /api/v1/api-keys HTTP/1.1\r\nHost: x\r\n" + (b"Content-Length: 10\r\n\r\n{" if i % 2 else b"Con"))
        self.assertEqual(d.get("/ready", local=False).status, 200)
        began = time.monotonic()
        for s in slow:
            while s.recv(1000):
                pass
            s.close()
        self.assertLess(time.monotonic() - began, 20)
        self.assertEqual(d.stop(), 0)

    def test_a_thousand_parallel_connections(self):
        want = 1000 + 100
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard != resource.RLIM_INFINITY and hard < want:
            self.skipTest("this process may open only %d files" % hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, want), hard))
        key = DAEMON.key("routes:read")
        conns = [socket.create_connection(("127.0.0.1", DAEMON.port), timeout=30) for _ in range(1000)]
        for c in conns:
            c.sendall(b"GET /api/v1/routes?limit=1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + key.encode() + b"\r\n\r\n")
        seen = {}
        for c in conns:
            line = c.makefile("rb").readline().split(b" ")[1]
            seen[line] = seen.get(line, 0) + 1
            c.close()
        self.assertEqual(sum(seen.values()), 1000)
        self.assertEqual(set(seen) - {b"200", b"503"}, set(), seen)
        self.assertGreaterEqual(seen.get(b"200", 0), 256, seen)
        self.assertEqual(DAEMON.get("/ready", local=False).status, 200)


class Streams(Case):
    def put(self, data, **headers):
        return DAEMON.request("PUT", "/api/v1/test/stream", body=data, headers={k.replace("_", "-"): v for k, v in {"Content_Type": "text/csv", **headers}.items()})

    def digest(self, data):
        return "sha-256=:" + base64.b64encode(hashlib.sha256(data).digest()).decode() + ":"

    def test_a_stream_arrives_whole(self):
        data = os.urandom(3000000)
        a = self.put(data, Content_Digest=self.digest(data))
        self.assertEqual(a.json, {"len": len(data), "file": len(data), "sha256": hashlib.sha256(data).hexdigest(), "gzip": False, "media": "text/csv"})

    def test_gzip_is_passed_on_as_it_came(self):
        data = gzip.compress(b"a,b\n" * 1000)
        a = self.put(data, Content_Encoding="gzip", Content_Digest="md5=:x:, " + self.digest(data))
        self.assertEqual((a.json["gzip"], a.json["len"]), (True, len(data)))

    def test_a_wrong_digest(self):
        self.refused(self.put(b"abc", Content_Digest=self.digest(b"abd")), 422, "digest-mismatch")
        self.refused(self.put(b"abc", Content_Digest="sha-256=abc"), 400, "malformed-request")

    def test_digest_of_json_too(self):
        body = b'{"name":"x","scopes":["routes:read"]}'
        a = DAEMON.request("POST", "/api/v1/api-keys", body=body, headers={**FORMS, "Content-Digest": self.digest(b"other")})
        self.refused(a, 422, "digest-mismatch")

    def test_wrong_media_type_and_size(self):
        self.refused(self.put(b"abc", Content_Type="application/json"), 415, "media-type")
        self.refused(self.put(b"abc", Content_Encoding="br"), 415, "media-type")
        conn = socket.socket(socket.AF_UNIX)
        conn.settimeout(30)
        conn.connect(DAEMON.socket)
        conn.sendall(b"PUT /api/v1/test/stream HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nContent-Length: 20000001\r\n\r\n")
        self.assertIn(b"413", conn.recv(100), "refused from the headers alone")
        conn.close()

    def test_an_aborted_stream_leaves_nothing(self):
        conn = socket.socket(socket.AF_UNIX)
        conn.connect(DAEMON.socket)
        conn.sendall(b"PUT /api/v1/test/stream HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nContent-Length: 5000000\r\n\r\n" + b"x" * 1000000)
        harness.wait_for("bytes in the spool", lambda: "campgw_http_spool_bytes 1000000" in DAEMON.get("/metrics", local=False).body.decode())
        conn.close()
        harness.wait_for("an empty spool", lambda: "campgw_http_spool_bytes 0\n" in DAEMON.get("/metrics", local=False).body.decode())
        self.assertEqual(os.listdir(DAEMON.spool), [])

    def test_an_export_comes_from_a_file(self):
        a = DAEMON.get("/api/v1/test/export?lines=100000")
        self.assertEqual((a.headers["Content-Type"], a.body.count(b"\n")), ("application/x-ndjson", 100000))


class Idempotency(Case):
    DOC = {"name": "idem", "scopes": ["routes:read"]}

    def post(self, key, doc=None, d=None):
        return (d or DAEMON).post("/api/v1/api-keys", doc or self.DOC, headers={"Idempotency-Key": key})

    def test_the_same_again_gets_the_same_answer_without_the_secret(self):
        first = self.post("a-1")
        again = self.post("a-1")
        quoted = self.post('"a-1"')
        self.assertEqual((first.status, again.status, quoted.status), (201, 201, 201))
        self.assertEqual(again.headers["Idempotency-Replayed"], "true")
        self.assertIsNone(first.headers["Idempotency-Replayed"])
        self.assertEqual(again.headers["Location"], first.headers["Location"])
        self.assertEqual(again.json, {**first.json, "secret": None, "secret_shown": True})
        self.assertEqual(quoted.json, again.json)
        self.assertEqual(DB.sql("SELECT count(*) FROM api_key WHERE public_id = '%s'" % first.json["id"]), "1")
        self.assertEqual(DB.sql("SELECT count(*) FROM idempotency WHERE answer LIKE '%%%s%%'" % first.json["secret"][-43:]), "0")
        self.assertEqual(DB.sql("SELECT count(*) FROM audit WHERE object = '%s'" % first.json["id"]), "1")

    def test_another_body_is_refused(self):
        self.assertEqual(self.post("b-1").status, 201)
        self.refused(self.post("b-1", {**self.DOC, "name": "other"}), 422, "idempotency-key-reused")

    def test_a_failure_leaves_no_record(self):
        self.refused(self.post("c-1", {**self.DOC, "partner_id": 4711}), 422, "validation-failed")
        self.assertEqual(self.post("c-1").status, 201)

    def test_keys_belong_to_their_owner(self):
        key = DAEMON.key("api-keys:write", "routes:read")
        self.assertEqual(self.post("d-1").status, 201)
        a = DAEMON.post("/api/v1/api-keys", self.DOC, key=key, headers={"Idempotency-Key": "d-1"})
        self.assertEqual((a.status, a.headers["Idempotency-Replayed"]), (201, None))

    def test_malformed_keys(self):
        for bad in ("a b", "", "x" * 256, '""'):
            self.refused(self.post(bad), 400, "malformed-request")

    def test_a_second_one_while_the_first_runs(self):
        blocker = subprocess.Popen([os.path.join(CLUSTER.bin, "psql"), "-qX", DB.conninfo("postgres")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        blocker.stdin.write("BEGIN; LOCK TABLE campgw.api_key IN EXCLUSIVE MODE;\n\\echo locked\n")
        blocker.stdin.flush()
        self.assertEqual(blocker.stdout.readline(), "locked\n")
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            first = pool.submit(self.post, "e-1")
            harness.wait_for("the first to wait", lambda: DB.sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") == "1")
            second = self.post("e-1")
            self.refused(second, 409, "idempotency-in-progress")
            self.assertEqual(second.headers["Retry-After"], "1")
            blocker.stdin.write("COMMIT;\n")
            blocker.stdin.close()
            blocker.wait(20)
            blocker.stdout.close()
            self.assertEqual(first.result().status, 201)
        self.assertEqual(self.post("e-1").json["id"], first.result().json["id"])

    def test_old_records_are_forgotten(self):
        first = self.post("f-1")
        DB.sql("UPDATE idempotency SET created_at = now() - interval '8 days' WHERE idem_key = 'f-1'")
        again = self.post("f-1")
        self.assertEqual((again.status, again.headers["Idempotency-Replayed"]), (201, None))
        self.assertNotEqual(again.json["id"], first.json["id"])

    def test_deadlocks_are_repeated(self):
        self.assertEqual(DAEMON.post("/api/v1/test/conflict").json, {"done": True})


class Nouns(Case):
    def route(self, name, **doc):
        a = DAEMON.post("/api/v1/routes", {"name": name, "channel": "sms", "instance": "loop-a", **doc})
        self.assertEqual(a.status, 201, a)
        return a

    def test_a_route_from_birth_to_archive(self):
        a = self.route("r-life", sender="10086", sender_kind="short_code", rate_per_s=50, classes=["service", "marketing"], prefixes=["+86138"], regions=["CN-GD"])
        self.assertEqual(a.headers["ETag"], '"v1"')
        path = a.headers["Location"]
        doc = DAEMON.get(path).json
        self.assertEqual(doc, a.json)
        self.assertEqual((doc["classes"], doc["state"], doc["sender_kind"], doc["max_tries"]), (["marketing", "service"], "active", "short_code", 5))
        patch = {"rate_per_s": None, "sender": "10010", "prefixes": []}
        self.refused(DAEMON.request("PATCH", path, json_body=patch), 428, "if-match-required")
        self.refused(DAEMON.request("PATCH", path, json_body=patch, headers={"If-Match": '"v9"'}), 412, "version-mismatch")
        b = DAEMON.request("PATCH", path, json_body=patch, headers={"If-Match": '"v0", "v1"', "Content-Type": "application/merge-patch+json"})
        self.assertEqual((b.status, b.headers["ETag"]), (200, '"v2"'), b)
        self.assertEqual({**doc, "rate_per_s": 0, "sender": "10010", "prefixes": [], "version": 2, "updated_at": b.json["updated_at"]}, b.json)
        for verb, state in (("pause", "paused"), ("pause", "paused"), ("drain", "draining"), ("resume", "active")):
            self.assertEqual(DAEMON.post("%s/%s" % (path, verb)).json["state"], state)
        self.assertEqual(DAEMON.request("DELETE", path).status, 204)
        self.refused(DAEMON.get(path), 404, "not-found")
        self.route("r-life")
        actions = DB.sql("SELECT string_agg(action, ' ' ORDER BY audit_id) FROM audit WHERE object = '%s'" % doc["id"])
        self.assertEqual(actions, "route.create route.update route.state route.state route.state route.archive")

    def test_names_are_unique_and_instances_exist(self):
        self.route("r-once")
        self.refused(DAEMON.post("/api/v1/routes", {"name": "r-once", "channel": "sms", "instance": "loop-a"}), 409, "already-exists")
        self.fault(DAEMON.post("/api/v1/routes", {"name": "r2", "channel": "sms", "instance": "nope"}), "/instance", "unknown_instance")
        self.fault(DAEMON.post("/api/v1/routes", {"name": "r2", "channel": "mms", "instance": "loop-a"}), "/instance", "wrong_channel")

    def test_a_route_in_use_is_not_archived(self):
        path = self.route("r-used").headers["Location"]
        rid = path.rsplit("/", 1)[1]
        DB.sql("INSERT INTO campaign (public_id, partner_id, name, plugin, class, purpose, state, created_by) VALUES ('cmp_u', 0, 'u', 'p', 1, 1, 'running', 't');"
               "INSERT INTO wave (campaign_id, wave_no, channel, content, routes) SELECT campaign_id, 1, 1, '{}', '{%s}' FROM campaign WHERE public_id = 'cmp_u'" % rid)
        doc = self.refused(DAEMON.request("DELETE", path), 409, "in-use")
        self.assertIn("cmp_u", doc["detail"])
        DB.sql("UPDATE campaign SET state = 'completed' WHERE public_id = 'cmp_u'")
        self.assertEqual(DAEMON.request("DELETE", path).status, 204)

    def test_lists_page_through_everything_once(self):
        names = ["page-%02d" % i for i in range(7)]
        for n in names:
            self.route(n)
        seen, path = [], "/api/v1/routes?limit=2"
        while path:
            a = DAEMON.get(path)
            self.assertEqual(a.status, 200, a)
            self.assertLessEqual(len(a.json["data"]), 2)
            seen += [r["name"] for r in a.json["data"]]
            self.assertEqual(a.headers["Link"], '<%s>; rel="next"' % a.json["next"] if a.json["has_more"] else None)
            path = a.json["next"]
        self.assertEqual(seen, sorted(set(seen)))
        self.assertTrue(set(names) <= set(seen))

    def test_queues(self):
        rid = self.route("q-route").json["id"]
        q = DAEMON.get("/api/v1/queues/%s.bulk" % rid).json
        self.assertEqual((q["lane"], q["paused"], q["node"]["waiting"]), ("bulk", False, 3))
        self.assertIsNone(DAEMON.get("/api/v1/queues/%s.urgent" % rid).json["node"])
        for verb, paused in (("pause", True), ("pause", True), ("resume", False)):
            self.assertEqual(DAEMON.post("/api/v1/queues/%s.bulk/%s" % (rid, verb)).json["paused"], paused)
        self.assertEqual(DB.sql("SELECT count(*) FROM audit WHERE object = '%s.bulk'" % rid), "2")
        self.refused(DAEMON.get("/api/v1/queues/%s.slow" % rid), 404, "not-found")
        self.assertIn(rid + ".urgent", [x["id"] for x in DAEMON.get("/api/v1/queues?limit=500").json["data"]])

    def test_the_dispatch_switch(self):
        self.assertEqual(DAEMON.get("/api/v1/dispatch").json["state"], "running")
        for state in ("paused", "paused", "running"):
            self.assertEqual(DAEMON.request("PUT", "/api/v1/dispatch", json_body={"state": state}).json["state"], state)
        self.assertEqual(DB.sql("SELECT count(*) FROM audit WHERE action = 'dispatch.set'"), "2")
        self.fault(DAEMON.request("PUT", "/api/v1/dispatch", json_body={"state": "off"}), "/state", "unknown_value")

    def test_channels_and_plugins(self):
        self.assertEqual(DAEMON.get("/api/v1/channels").json["data"][0]["name"], "loop-a")
        self.assertEqual(DAEMON.get("/api/v1/plugins/channel_loopback").json["kind"], "channel")
        self.refused(DAEMON.get("/api/v1/plugins/nope"), 404, "not-found")
        self.refused(DAEMON.request("POST", "/api/v1/channels/nope/restart"), 404, "not-found")


class Trouble(Case):
    def test_a_full_queue_refuses_before_any_work(self):
        d = harness.Daemon(DB, workers=1, queue=2)
        blocker = subprocess.Popen([os.path.join(CLUSTER.bin, "psql"), "-qX", DB.conninfo("postgres")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        blocker.stdin.write("BEGIN; LOCK TABLE campgw.route IN ACCESS EXCLUSIVE MODE;\n\\echo locked\n")
        blocker.stdin.flush()
        blocker.stdout.readline()
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            jobs = [pool.submit(d.get, "/api/v1/routes") for _ in range(20)]
            harness.wait_for("refusals", lambda: sum(j.done() for j in jobs) >= 17)
            self.assertEqual(d.get("/health", local=False).status, 200, "health does not wait for workers")
            blocker.stdin.write("COMMIT;\n")
            blocker.stdin.close()
            blocker.wait(20)
            blocker.stdout.close()
            answers = [j.result() for j in jobs]
        refused = [a for a in answers if a.status == 503]
        # one with the worker and two waiting; one less when a request comes before the worker took the first
        self.assertIn(len(refused), (17, 18))
        self.assertEqual(sum(a.status == 200 for a in answers), 20 - len(refused))
        for a in refused:
            self.refused(a, 503, "overloaded")
            self.assertEqual(a.headers["Retry-After"], "1")
        self.assertEqual(d.stop(), 0)

    def test_the_database_goes_and_comes_back(self):
        cluster = harness.Cluster()
        d = harness.Daemon(cluster.database())
        try:
            self.assertEqual(d.get("/api/v1/routes").status, 200)
            cluster.stop_server()
            a = d.get("/api/v1/routes")
            self.refused(a, 503, "database-unavailable")
            self.assertIsNotNone(a.headers["Retry-After"])
            self.assertEqual(d.get("/health", local=False).status, 200)
            ready = d.get("/ready", local=False)
            self.assertEqual((ready.status, ready.json["reasons"]), (503, ["database: does not answer"]))
            self.refused(d.get("/api/v1/routes", key="cgk_00000000000000000000000000_" + "a" * 43), 503, "database-unavailable")
            cluster.start()
            harness.wait_for("recovery", lambda: d.get("/ready", local=False).status == 200)
            self.assertEqual(d.post("/api/v1/api-keys", {"name": "x", "scopes": ["routes:read"]}).status, 201)
        finally:
            code = d.stop()
            cluster.stop()
        self.assertEqual(code, 0)

    def test_started_without_a_database_it_waits_for_one(self):
        cluster = harness.Cluster()
        db = cluster.database()
        cluster.stop_server()
        d = harness.Daemon(db)
        try:
            self.assertEqual(d.get("/ready", local=False).status, 503)
            cluster.start()
            harness.wait_for("recovery", lambda: d.get("/ready", local=False).status == 200)
        finally:
            code = d.stop()
            cluster.stop()
        self.assertEqual(code, 0)

    def test_stopping_lets_a_running_request_finish(self):
        d = harness.Daemon(DB)
        blocker = subprocess.Popen([os.path.join(CLUSTER.bin, "psql"), "-qX", DB.conninfo("postgres")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        blocker.stdin.write("BEGIN; LOCK TABLE campgw.api_key IN EXCLUSIVE MODE;\n\\echo locked\n")
        blocker.stdin.flush()
        blocker.stdout.readline()
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            job = pool.submit(d.post, "/api/v1/api-keys", {"name": "late", "scopes": ["routes:read"]})
            harness.wait_for("it to wait", lambda: DB.sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") == "1")
            stop = pool.submit(d.stop)
            harness.wait_for("the socket to go", lambda: not os.path.exists(d.socket))
            blocker.stdin.write("COMMIT;\n")
            blocker.stdin.close()
            blocker.wait(20)
            blocker.stdout.close()
            self.assertEqual(job.result().status, 201)
            self.assertEqual(stop.result(), 0)

    def test_two_daemons_do_not_share_a_socket_but_a_stale_one_is_replaced(self):
        d = harness.Daemon(DB)
        with self.assertRaises(RuntimeError) as refusal:
            harness.Daemon(DB, socket=d.socket)
        self.assertIn("another process answers", str(refusal.exception) + open(DAEMON.log_path).read() + self.last_log())
        d.process.kill()
        d.process.wait()
        self.assertTrue(os.path.exists(d.socket))
        e = harness.Daemon(DB, socket=d.socket)
        e.socket = d.socket
        self.assertEqual(e.get("/health").status, 200)
        self.assertEqual(e.stop(), 0)
        d.stop()

    def last_log(self):
        logs = [os.path.join(CLUSTER.dir, n) for n in os.listdir(CLUSTER.dir) if n.endswith(".log")]
        return "".join(open(n, encoding="utf-8", errors="replace").read() for n in logs)


class Callbacks(Case):
    def call(self, path, body=b"hello", headers=None, method="POST", daemon=None):
        conn = http.client.HTTPConnection("127.0.0.1", (daemon or DAEMON).info["callback_port"], timeout=20)
        try:
            conn.request(method, path, body=body, headers=headers or {}, encode_chunked="Transfer-Encoding" in (headers or {}))
            a = conn.getresponse()
            return a.status, a.read(), a.headers
        finally:
            conn.close()

    def test_a_request_reaches_the_plugin_and_its_answer_comes_back(self):
        status, body, _ = self.call("/cb/loop-a/fast?x=1&y=2")
        self.assertEqual((status, body), (200, b"0 /fast?x=1&y=2 5 hello"))

    def test_the_answer_may_come_later_and_only_once(self):
        for _ in range(5):
            status, body, headers = self.call("/cb/loop-a/later")
            self.assertEqual((status, body, headers["Content-Type"]), (202, b"later", "text/plain"))

    def test_no_answer_in_time_is_503(self):
        d = harness.Daemon(DB, callback_deadline_ms=700)
        try:
            began = time.monotonic()
            status, _, headers = self.call("/cb/loop-a/never", daemon=d)
            self.assertEqual((status, headers["Retry-After"]), (503, "5"))
            self.assertTrue(0.6 < time.monotonic() - began < 10)
        finally:
            d.stop()

    def test_paths_methods_and_sizes(self):
        self.assertEqual(self.call("/cb/loop-a/nope")[0], 404)
        self.assertEqual(self.call("/cb/loop-b/fast")[0], 404)
        self.assertEqual(self.call("/api/v1/routes")[0], 404)
        self.assertEqual(self.call("/cb/loop-a/fast", method="GET", body=None)[0], 405)
        self.assertEqual(self.call("/cb/loop-a/fast", body=b"x" * 1001)[0], 413)
        self.assertEqual(self.call("/cb/loop-a/fast", body=iter([b"x" * 600, b"y" * 600]), headers={"Transfer-Encoding": "chunked"})[0], 413)

    def test_basic_authentication(self):
        self.assertEqual(self.call("/cb/loop-a/basic")[0], 401)
        for userpass, status in (("peer:wrong", 401), ("peer:secret", 200), ("peer:secretx", 401), (":", 401)):
            token = base64.b64encode(userpass.encode()).decode()
            self.assertEqual(self.call("/cb/loop-a/basic", headers={"Authorization": "Basic " + token})[0], status, userpass)

    def test_address_lists(self):
        self.assertEqual(self.call("/cb/loop-a/near")[0], 200)
        self.assertEqual(self.call("/cb/loop-a/far")[0], 403)

    def test_many_wait_at_the_same_time(self):
        with concurrent.futures.ThreadPoolExecutor(80) as pool:
            answers = list(pool.map(lambda i: self.call("/cb/loop-a/" + ("never" if i % 2 else "later"))[0], range(80)))
        self.assertEqual(sorted(set(answers)), [202, 503])
        self.assertEqual(answers.count(202), 40)

    def test_connections_of_one_address_are_limited(self):
        d = harness.Daemon(DB, callback_per_ip=2)
        try:
            held = [socket.create_connection(("127.0.0.1", d.info["callback_port"]), 20) for _ in range(3)]
            head = b"POST /cb/loop-a/fast HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
            answers = []
            for s in held:
                try:
                    s.sendall(head)
                    answers.append(s.recv(100)[:12])
                except ConnectionError:
                    answers.append(b"")
            self.assertEqual(sorted(answers), [b"", b"HTTP/1.1 200", b"HTTP/1.1 200"])
            for s in held:
                s.close()
        finally:
            d.stop()


class SecureCallbacks(Case):
    """The callback listener with a certificate of its own."""

    @classmethod
    def setUpClass(cls):
        if not shutil.which("openssl"):
            raise unittest.SkipTest("openssl is not installed")
        cls.dir = tempfile.mkdtemp(dir=CLUSTER.dir)
        cls.cert, cls.key = os.path.join(cls.dir, "cert.pem"), os.path.join(cls.dir, "key.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                        "-addext", "subjectAltName=DNS:localhost", "-keyout", cls.key, "-out", cls.cert], check=True, stderr=subprocess.DEVNULL, timeout=60)
        cls.daemon = harness.Daemon(DB, callback_cert=cls.cert, callback_key=cls.key, callback_deadline_ms=DEADLINE_MS)

    @classmethod
    def tearDownClass(cls):
        cls.daemon.stop()

    def call(self, path, context):
        conn = http.client.HTTPSConnection("localhost", self.daemon.info["callback_port"], timeout=20, context=context)
        try:
            conn.request("POST", path, body=b"hello")
            a = conn.getresponse()
            return a.status, a.read()
        finally:
            conn.close()

    def test_requests_and_late_answers_travel_over_tls(self):
        trusting = ssl.create_default_context(cafile=self.cert)
        self.assertEqual(self.call("/cb/loop-a/fast?x=1", trusting), (200, b"0 /fast?x=1 5 hello"))
        for _ in range(5):
            self.assertEqual(self.call("/cb/loop-a/later", trusting), (202, b"later"))

    def test_many_wait_at_the_same_time_over_tls(self):
        trusting = ssl.create_default_context(cafile=self.cert)
        with concurrent.futures.ThreadPoolExecutor(40) as pool:
            answers = list(pool.map(lambda i: self.call("/cb/loop-a/" + ("never" if i % 2 else "later"), trusting)[0], range(40)))
        self.assertEqual((answers.count(202), answers.count(503)), (20, 20))

    def test_who_does_not_know_the_certificate_does_not_talk(self):
        with self.assertRaises(ssl.SSLError):
            self.call("/cb/loop-a/fast", ssl.create_default_context())

    def test_plain_http_gets_nothing(self):
        conn = http.client.HTTPConnection("127.0.0.1", self.daemon.info["callback_port"], timeout=20)
        with self.assertRaises((http.client.HTTPException, OSError)):
            conn.request("POST", "/cb/loop-a/fast", body=b"hello")
            conn.getresponse()
        conn.close()

    def test_old_versions_of_tls_are_refused(self):
        old = ssl.create_default_context(cafile=self.cert)
        old.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        with self.assertRaises((ssl.SSLError, OSError)):
            self.call("/cb/loop-a/fast", old)

    def test_a_key_without_its_certificate_is_a_clear_error(self):
        with self.assertRaises(RuntimeError) as refusal:
            harness.Daemon(DB, callback_key=self.key)
        self.assertIn("together or not at all", str(refusal.exception) + self.logs())

    @staticmethod
    def logs():
        text = ""
        for name in os.listdir(CLUSTER.dir):
            if name.endswith(".log"):
                with open(os.path.join(CLUSTER.dir, name), encoding="utf-8", errors="replace") as f:
                    text += f.read()
        return text


if __name__ == "__main__":
    threading.stack_size(256 * 1024)
    unittest.main(verbosity=2)
