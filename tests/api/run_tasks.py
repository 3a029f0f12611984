#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""run_tasks.py - tasks over HTTP: who may see and take them, what a lease gives, every refusal, lists that go out and come back. The rows
are planted; how they come to be is tests/scenario/test_tasks.py. Needs $CAMPGW_API_DAEMON. Python standard library only."""
import csv
import io
import json
import os
import re
import sys
import threading
import unittest
import uuid

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness  # noqa: E402

cluster = db = daemon = None
READ, WORK = "tasks:read", "tasks:work"


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
    if re.search(r"13900\d{6}", log):  # whole: 13900 alone may be a number of microseconds
        raise AssertionError("a number stands in the log")


class Case(unittest.TestCase):
    maxDiff = 2000

    def setUp(self):
        """An instance, a route and a campaign of partner 7 with five open tasks, class service."""
        tag = uuid.uuid4().hex[:12]
        self.instance, self.cmp = "desk" + tag, "cmp_" + tag
        campaign = db.sql("INSERT INTO campaign (public_id, partner_id, name, plugin, class, purpose, state, created_by) VALUES ('%s', 7, 't', 'campaign_broadcast', 2, 2, 'running', 't')"
                          " RETURNING campaign_id" % self.cmp)
        self.wave = int(db.sql("INSERT INTO wave (campaign_id, wave_no, channel, content, state) VALUES (%s, 1, 5, '{}', 'running') RETURNING wave_id" % campaign))
        route = db.sql("INSERT INTO route (public_id, name, channel, instance) VALUES ('rte_%s', '%s', 5, '%s') RETURNING route_id" % (tag, tag, self.instance))
        self.base = int.from_bytes(os.urandom(6), "big")
        for i in range(5):
            doc = json.dumps({"reference": "r%d" % i, "to": {"kind": "e164", "address": "+8613900%06d" % i}, "script": 'say "hi",\nthen wait', "flow": {"step": i}})
            db.sql("INSERT INTO task (part, contact_id, attempt, task_key, customer_id, instance, route_id, receipt, ref, document, until, created_at) VALUES (%d, (%d::int8 << 32) + %d, 1,"
                   " (%d::int8 << 14) + %d, %d, '%s', %s, true, 'r%d', '%s', now() + interval '%d minutes', now())"
                   % (i, self.wave, i, self.base, i * 64 + i, (self.base << 8) + i, self.instance, route, i, doc.replace("'", "''"), 60 + i))
        self.key = daemon.key(READ, WORK, partner_id=7)

    def good(self, answer, status=200):
        self.assertEqual(answer.status, status, answer)
        return answer.json if answer.body else None

    def bad(self, answer, status, slug):
        self.assertEqual((answer.status, answer.slug), (status, slug), answer)
        return answer.json

    def take(self, key=None, **more):
        query = "&".join("%s=%s" % kv for kv in {"channel": self.instance, **more}.items())
        answer = daemon.get("/api/v1/tasks?" + query, key=key or self.key)
        self.assertEqual((answer.status, answer.headers["Content-Type"]), (200, "application/x-ndjson"), answer)
        return [json.loads(line) for line in answer.body.splitlines()]

    def report(self, task, key=None, **doc):
        return daemon.post("/api/v1/tasks/%s/outcome" % task, doc, key=key or self.key)

    def listed(self, key=None, query=""):
        return self.good(daemon.get("/api/v1/tasks?campaign=%s%s" % (self.cmp, query), key=key or self.key))["data"]


class Taking(Case):
    def test_what_ends_first_comes_first_and_nobody_else_gets_it(self):
        first = self.take(limit=2, lease="PT10M", agent="ann")
        self.assertEqual([t["document"]["reference"] for t in first], ["r0", "r1"])
        t = first[0]
        self.assertEqual((t["instance"], t["campaign"], t["wave"], t["class"], t["leases"], t["history"]), (self.instance, self.cmp, 1, "service", 1, []))
        self.assertEqual((t["document"]["to"]["address"], t["document"]["flow"]), ("+8613900000000", {"step": 0}))
        self.assertEqual([t["document"]["reference"] for t in self.take(limit=500)], ["r2", "r3", "r4"])
        self.assertEqual(self.take(), [])
        shown = self.good(daemon.get("/api/v1/tasks/" + t["id"], key=self.key))
        self.assertEqual((shown["state"], shown["agent"], shown["outcome"], shown["document"]["reference"]), ("leased", "ann", None, "r0"))

    def test_callers_at_the_same_moment_share_and_do_not_double(self):
        got, lock = [], threading.Lock()

        def desk():
            for _ in range(6):
                mine = self.take(limit=1)
                with lock:
                    got.extend(t["id"] for t in mine)
        desks = [threading.Thread(target=desk) for _ in range(4)]
        for t in desks:
            t.start()
        for t in desks:
            t.join(60)
        self.assertEqual((len(got), len(set(got))), (5, 5))

    def test_a_lease_never_outlives_the_window(self):
        for t in self.take(lease="PT24H"):
            self.assertEqual(t["lease_until"], t["until"])

    def test_a_window_lease_is_the_whole_window_and_csv_carries_it_all(self):
        answer = daemon.get("/api/v1/tasks?channel=%s&lease=window&format=csv" % self.instance, key=self.key)
        self.assertEqual((answer.status, answer.headers["Content-Type"]), (200, "text/csv; charset=utf-8"))
        rows = list(csv.DictReader(io.StringIO(answer.body.decode(), newline="")))
        self.assertEqual([(r["to"], r["script"], r["flow"], r["history"], r["outcome"]) for r in rows],
                         [("+8613900%06d" % i, 'say "hi",\nthen wait', '{"step":%d}' % i, "[]", "") for i in range(5)])
        self.assertEqual({r["lease_until"] == r["until"] for r in rows}, {True})

    def test_a_given_back_task_is_taken_again(self):
        (t,) = self.take(limit=1)
        self.assertEqual(self.good(daemon.post("/api/v1/tasks/%s/release" % t["id"], key=self.key))["state"], "open")
        self.assertEqual(self.good(daemon.post("/api/v1/tasks/%s/release" % t["id"], key=self.key))["state"], "open")
        (again,) = self.take(limit=1)
        self.assertEqual((again["id"], again["leases"]), (t["id"], 2))

    def test_the_history_is_that_of_the_person_and_at_most_ten(self):
        customer = db.sql("SELECT customer_id FROM task WHERE contact_id = %d::int8 << 32" % self.wave)
        for i in range(12):
            db.sql("INSERT INTO contact_log SELECT 0, (%d::int8 << 32) + %d, 1, to_char(now(), 'YYYYMM')::int4, %s, %d, 0, 7, now() - interval '%d hours', 1, 0, NULL, 1, 1, 2, 0, 0, 1"
                   % (self.wave, 100 + i, customer, self.wave, i + 1))
            db.sql("INSERT INTO contact_submit SELECT 0, (%d::int8 << 32) + %d, 1, 0, 1, true, now(), 1, 1, 1, '', '', 1" % (self.wave, 100 + i))
        db.sql("INSERT INTO contact_event (part, contact_id, attempt, seg, kind, ts, route_id, code, code_space, detail, sub, quantity, seal_no)"
               " SELECT 0, (%d::int8 << 32) + 100, 1, -1, 3, now(), 1, 3, 'task.outcome', 'busy seconds=4', 2, 4, 1" % self.wave)
        (t,) = self.take(limit=1)
        self.assertEqual([h["outcome"] for h in t["history"]], ["busy"] + ["accepted"] * 9)
        self.assertEqual({(h["channel"], h["campaign"]) for h in t["history"]}, {("sms", self.cmp)})
        self.assertNotIn("+86", json.dumps(t["history"]))

    def test_refusals(self):
        for query, pointer in (("channel=%s&lease=1", "?lease"), ("channel=%s&lease=PT0S", "?lease"), ("channel=%s&lease=PT25H", "?lease"), ("channel=%s&limit=0", "?limit"), ("channel=%s&limit=501", "?limit"),
                               ("channel=%s&state=open", "?state"), ("channel=%s&format=xml", "?format"), ("campaign=x&channel=%s", "?campaign"), ("lease=PT1M", "?channel"), ("chanel=%s", "?chanel")):
            with self.subTest(query=query):
                p = self.bad(daemon.get("/api/v1/tasks?" + (query % self.instance if "%" in query else query), key=self.key), 422, "validation-failed")
                self.assertIn(pointer, [e.get("pointer", "?%s" % e.get("parameter")) for e in p["errors"]])
        self.assertEqual(len(self.take()), 5, "a refused request took something")


class Who(Case):
    def test_seeing_is_not_taking(self):
        reader = daemon.key(READ, partner_id=7)
        self.assertEqual(self.bad(daemon.get("/api/v1/tasks?channel=" + self.instance, key=reader), 403, "scope-missing")["scope"], WORK)
        (t, *_) = self.listed(reader)
        self.assertEqual(t["state"], "open")
        self.assertNotIn("+86", json.dumps(self.listed(reader) + [self.good(daemon.get("/api/v1/tasks/" + t["id"], key=reader))]))
        for verb in ("outcome", "release"):
            self.bad(daemon.post("/api/v1/tasks/%s/%s" % (t["id"], verb), {"outcome": "busy"} if verb == "outcome" else None, key=reader), 403, "scope-missing")
        self.bad(daemon.request("POST", "/api/v1/tasks/outcomes", body=b"task,outcome\n", headers={"Content-Type": "text/csv"}, key=reader), 403, "scope-missing")

    def test_a_partner_has_its_own_tasks_only(self):
        other = daemon.key(READ, WORK, partner_id=8)
        (t, *_) = self.listed()
        self.assertEqual(self.take(other), [])
        self.assertEqual(self.listed(other), [])
        self.bad(daemon.get("/api/v1/tasks/" + t["id"], key=other), 404, "not-found")
        self.take()
        self.bad(self.report(t["id"], other, outcome="busy"), 404, "not-found")
        self.bad(daemon.post("/api/v1/tasks/%s/release" % t["id"], key=other), 404, "not-found")
        body = ("task,outcome\n%s,busy\n" % t["id"]).encode()
        done = self.good(daemon.request("POST", "/api/v1/tasks/outcomes", body=body, headers={"Content-Type": "text/csv"}, key=other))
        self.assertEqual((done["taken"], done["rejects"][0]["code"]), (0, "not_found"))

    def test_the_list_filters_and_pages(self):
        (t,) = self.take(limit=1)
        self.good(self.report(t["id"], outcome="busy"))
        self.assertEqual([x["id"] for x in self.listed(query="&state=done")], [t["id"]])
        self.assertEqual(len(self.listed(query="&state=open")), 4)
        self.assertEqual(len(self.listed(query="&channel=%s&lease=none" % self.instance)), 5)
        self.assertEqual(self.listed(query="&channel=sms&lease=none"), [])
        seen, path = [], "/api/v1/tasks?limit=2&campaign=" + self.cmp
        for _ in range(4):
            page = self.good(daemon.get(path, key=self.key))
            seen += [x["id"] for x in page["data"]]
            if not page["has_more"]:
                break
            path = page["next"]
        self.assertEqual((len(seen), len(set(seen))), (5, 5))


class Reporting(Case):
    def test_one_word_stands(self):
        (t,) = self.take(limit=1)
        done = self.good(self.report(t["id"], outcome="reached", seconds=61, text="yes, gladly"))
        self.assertEqual((done["state"], done["outcome"], done["seconds"], done["logged"]), ("done", "reached", 61, False))
        self.good(self.report(t["id"], outcome="reached", seconds=61, text="yes, gladly"))
        for other in ({"outcome": "busy"}, {"outcome": "reached", "seconds": 60, "text": "yes, gladly"}, {"outcome": "reached", "seconds": 61, "text": "no"}):
            self.bad(self.report(t["id"], **other), 409, "state-conflict")
        self.bad(daemon.post("/api/v1/tasks/%s/release" % t["id"], key=self.key), 409, "state-conflict")
        rows = db.sql("SELECT actor LIKE 'key_%%', after ->> 'outcome', after ->> 'seconds' FROM audit WHERE action = 'task.outcome' AND object = '%s'" % t["id"]).splitlines()
        self.assertEqual(rows, ["t|reached|61"])
        self.assertEqual(db.sql("SELECT count(*) FROM audit WHERE after::text LIKE '%gladly%'"), "0", "the person's words are in the trail")

    def test_an_opt_out_is_in_force_with_the_answer(self):
        (a, b) = self.take(limit=2)
        for task, word, scopes in ((a, "opted_out", "2001"), (b, "opted_out_all", "2001,2002,2003")):
            part = int(db.sql("SELECT part FROM task WHERE ref = '%s' AND instance = '%s'" % (task["document"]["reference"], self.instance)))
            before = int(db.sql("SELECT ver FROM fact_clock WHERE part = %d" % part))
            self.good(self.report(task["id"], outcome=word))
            got = db.sql("SELECT string_agg(scope::text, ',' ORDER BY scope) FROM dnd d JOIN task t USING (part, customer_id) WHERE t.instance = '%s' AND t.ref = '%s'" % (self.instance, task["document"]["reference"]))
            self.assertEqual(got, scopes)
            self.assertGreater(int(db.sql("SELECT ver FROM fact_clock WHERE part = %d" % part)), before, "intents do not see it")

    def test_refusals(self):
        (t, *_) = self.listed()
        self.bad(self.report(t["id"], outcome="busy"), 409, "state-conflict")  # nobody took it
        self.take()
        for doc, pointer in (({}, "/outcome"), ({"outcome": "fine"}, "/outcome"), ({"outcome": "busy", "seconds": -1}, "/seconds"), ({"outcome": "busy", "seconds": 86401}, "/seconds"),
                             ({"outcome": "busy", "text": "x" * 1025}, "/text"), ({"outcome": "busy", "secs": 1}, "/secs")):
            with self.subTest(doc=doc):
                p = self.bad(daemon.post("/api/v1/tasks/%s/outcome" % t["id"], doc, key=self.key), 422, "validation-failed")
                self.assertIn(pointer, [e["pointer"] for e in p["errors"]])
        self.bad(self.report("tsk_00000000000000", outcome="busy"), 404, "not-found")
        self.bad(self.report(t["id"][:-1] + ("0" if t["id"][-1] != "0" else "1"), outcome="busy"), 404, "not-found")
        db.sql("UPDATE task SET until = now() - interval '10 minutes', lease_until = now() - interval '10 minutes' WHERE instance = '%s'" % self.instance)
        self.bad(self.report(t["id"], outcome="busy"), 409, "state-conflict")

    def send(self, body, media="text/csv", **headers):
        return daemon.request("POST", "/api/v1/tasks/outcomes", body=body if isinstance(body, bytes) else body.encode(), headers={"Content-Type": media, **headers}, key=self.key)

    def test_many_at_once_and_each_bad_row_is_named(self):
        ids = [t["id"] for t in self.take()]
        body = ('\ufeffnote,task,outcome,seconds\r\n"said ""no"",\r\nthrice",%s,refused,7\r\n,%s,,\r\n,%s,bad,\r\n,xyz,busy,\r\n,%s,busy,1h\r\n\r\n,%s,busy\r\n,%s,machine,2' % (ids[0], ids[1], ids[2], ids[3], ids[3], ids[3]))
        done = self.good(self.send(body))
        self.assertEqual((done["received"], done["taken"], done["repeated"], done["rejected"]), (6, 2, 0, 4), done)
        self.assertEqual([(r["line"], r["column"], r["code"]) for r in sorted(done["rejects"], key=lambda r: r["line"])],
                         [(5, "outcome", "unknown_value"), (6, "task", "id_invalid"), (7, "seconds", "out_of_range"), (10, "task", "state_conflict")])
        self.assertEqual(self.good(daemon.get("/api/v1/tasks/" + ids[0], key=self.key))["text"], 'said "no",\r\nthrice')
        again = self.good(self.send(body))
        self.assertEqual((again["taken"], again["repeated"], again["rejected"]), (0, 2, 4))
        lines = "".join(json.dumps(x) + "\n" for x in ({"task": ids[1], "outcome": "reached", "seconds": 5, "text": "ok"}, {"task": ids[2]}, [])) + "\n{broken\n"
        done = self.good(self.send(lines, "application/x-ndjson"))
        self.assertEqual((done["taken"], done["rejected"], [r["line"] for r in done["rejects"]]), (1, 3, [2, 3, 5]))

    def test_uploads_that_cannot_be_read(self):
        for body, slug in (("task;outcome\n", "malformed-upload"), ('task,outcome\n"tsk', "malformed-upload"), ("task,outcome\n\0", "malformed-upload"),
                           ("task,outcome\n" + "x,busy\n" * 5001, "too-large")):
            with self.subTest(body=body[:40]):
                answer = self.send(body)
                self.assertEqual(answer.slug, slug, answer)
        self.assertEqual(self.send("x", "text/plain").status, 415)

    def test_a_repeated_request_is_answered_as_before(self):
        (t,) = self.take(limit=1)
        h = {"Idempotency-Key": str(uuid.uuid4())}
        a, b = (self.send("task,outcome\n%s,busy\n" % t["id"], **h) for _ in range(2))
        self.assertEqual((a.json, b.json, b.headers["Idempotency-Replayed"]), (a.json, a.json, "true"))


if __name__ == "__main__":
    unittest.main()
