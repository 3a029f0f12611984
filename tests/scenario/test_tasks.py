# SPDX-License-Identifier: Apache-2.0
"""test_tasks.py - contacts that people make: a message wave, then a call for those who did not answer it. Agents' systems take tasks
over HTTP and report; what they say ends up in the same log, counts, caps and do-not-disturb lists as everything else.
"""
import csv
import io
import json
import os
import subprocess
import time
import unittest

import harness
from harness import stack


RATE = 600  # of 3,000 tasks: more than two seconds are left when the daemon dies in the middle of them, whatever the machine does meanwhile


class Desk(harness.Field):
    """A call centre beside the message centre."""
    task_options = {}
    validity_s = 60

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.settings["instances"] = list(cls.settings["instances"]) + [{"name": "call_centre", "plugin": "channel_task", **cls.task_options}]
        cls.gateway.stop()
        cls.gateway.configure(cls.settings)
        cls.gateway.start()
        cls.api.port = cls.gateway.port
        cls.desk_route = cls.api.post("/api/v1/routes", {"name": "desk%d" % time.monotonic_ns(), "channel": "task", "instance": "call_centre"})["id"]

    def setUp(self):
        self.sim.ctl("reset")

    def consenting(self, n):
        people = self.people(n)
        self.consent(people)
        return people

    @classmethod
    def audience(cls, people):
        aud = cls.api.post("/api/v1/audiences", {"name": "a%d" % time.monotonic_ns(), "channels": ["sms", "task"]})["id"]
        done = cls.api.call("PUT", "/api/v1/audiences/%s/recipients" % aud, body=harness.csv(people), media="text/csv", timeout_s=120)
        assert done["accepted"] == len(people), done
        return aud

    def calls(self, people, validity_s=None, not_after_s=7200, **more):
        """A campaign of calls, started."""
        cmp = self.api.post("/api/v1/campaigns", {
            "name": "calls%d" % time.monotonic_ns(), "class": "marketing", "purpose": "marketing", "audience": self.audience(people), "not_after": harness.utc(not_after_s),
            "waves": [{"channel": "task", "content": {"flow": {"ask": "renew?", "code": "{{code}}", "hints": ["be brief"]}, "script": "Customer {{code}}"},
                       "validity": "PT%dS" % (validity_s or self.validity_s)}], **more})["id"]
        self.act(cmp, "start")
        return cmp

    def states(self, cmp):
        return {r[0]: int(r[1]) for r in self.rows(
            "SELECT (ARRAY['open','leased','done','expired','withdrawn'])[t.state + 1], count(*) FROM task t JOIN wave w ON w.wave_id = t.contact_id >> 32 JOIN campaign c USING (campaign_id)"
            " WHERE c.public_id = '%s' GROUP BY 1" % cmp)}

    def filled(self, cmp, n, timeout_s=30):
        self.assertTrue(self.until(lambda: sum(self.states(cmp).values()) == n, timeout_s, 0.1), "%s of %d\n%s" % (self.states(cmp), n, stack.tail(self.gateway.process.log_path, 10)))

    def take(self, limit=500, lease="PT5M", **more):
        query = "&".join("%s=%s" % kv for kv in {"channel": "call_centre", "limit": limit, "lease": lease, **more}.items())
        answer = self.api.ask("GET", "/api/v1/tasks?" + query)
        self.assertEqual(answer.status, 200, answer.body)
        return [json.loads(line) for line in answer.body.decode().splitlines()]

    def report(self, task, outcome, **more):
        return self.api.post("/api/v1/tasks/%s/outcome" % task, {"outcome": outcome, **more})

    def logged(self, cmp, n):
        """Ends of tasks that stand in the log: (kind, code space, detail) and how many."""
        sql = ("SELECT x.kind, x.code_space, x.detail, count(*) FROM contact_event x JOIN wave w ON w.wave_id = (x.contact_id >> 32) JOIN campaign c USING (campaign_id)"
               " WHERE c.public_id = '%s' AND x.code_space LIKE 'task.%%' GROUP BY 1, 2, 3" % cmp)
        got = self.until(lambda: (lambda rows: rows if sum(int(r[3]) for r in rows) >= n else None)(self.rows(sql)), 30, 0.1) or self.rows(sql)
        return {(int(r[0]), r[1], r[2]): int(r[3]) for r in got}


class Loop(Desk):
    def test_messages_first_then_a_call_for_those_who_did_not_answer(self):
        people = self.consenting(12)
        sms = self.campaign(people, text="offer #{{code}}, reply 1")
        self.complete(sms)
        answered = people[:4]
        for p in answered:
            self.sim.ctl("mo %s %s 1" % (p.dest, harness.SENDER))
        self.assertTrue(self.until(lambda: self.funnel(sms)["responded"] == 4), self.funnel(sms))
        rest = people[4:]
        calls = self.calls(rest)
        self.filled(calls, 8)
        tasks = self.take(campaign=calls)
        self.assertEqual({t["document"]["to"]["address"] for t in tasks}, {p.msisdn for p in rest})
        self.assertEqual({(t["campaign"], t["instance"], t["class"], t["leases"]) for t in tasks}, {(calls, "call_centre", "marketing", 1)})
        by_code = {p.msisdn: str(p.code) for p in rest}
        for t in tasks:
            self.assertEqual(t["document"]["flow"], {"ask": "renew?", "code": by_code[t["document"]["to"]["address"]], "hints": ["be brief"]})
            self.assertEqual([(h["channel"], h["campaign"], h["outcome"]) for h in t["history"]], [("sms", sms, "delivered")])
        self.assertEqual(self.take(campaign=calls), [], "a leased task was given out twice")
        words = ["reached", "reached", "reached", "no_answer", "busy", "refused", "wrong_number", "opted_out"]
        for t, word in zip(tasks, words):
            done = self.report(t["id"], word, seconds=7, text="said: " + word)
            self.assertEqual((done["state"], done["outcome"], done["seconds"]), ("done", word, 7))
        self.assertEqual(self.logged(calls, 8), {
            (2, "task.outcome", "reached seconds=7"): 3, (2, "task.outcome", "refused seconds=7"): 1, (2, "task.outcome", "opted_out seconds=7"): 1,
            (3, "task.outcome", "no_answer seconds=7"): 1, (3, "task.outcome", "busy seconds=7"): 1, (3, "task.outcome", "wrong_number seconds=7"): 1})
        funnel = self.complete(calls)
        self.assertEqual((funnel["audience"], funnel["submitted"], funnel["delivered"], funnel["failed"], funnel["expired"], funnel["unknown"], funnel["responded"]), (8, 8, 5, 3, 0, 0, 5), funnel)
        # the opt-out holds the next message, on every channel, and nobody else is held
        gone = next(p for p in rest if p.msisdn == tasks[7]["document"]["to"]["address"])
        again = self.campaign(people, text="more #8{{code}}")
        self.assertEqual(self.complete(again)["held"], {"dnd.optout": 1})
        self.assertEqual(self.verdict(gone)["reason"], "dnd.optout")
        self.seals_verify()

    def test_a_list_goes_out_as_csv_and_comes_back(self):
        people = self.consenting(6)
        calls = self.calls(people)
        self.filled(calls, 6)
        answer = self.api.ask("GET", "/api/v1/tasks?channel=task&format=csv&lease=window&agent=list%201&campaign=" + calls)
        self.assertEqual(answer.headers["Content-Type"], "text/csv; charset=utf-8")
        rows = list(csv.DictReader(io.StringIO(answer.body.decode(), newline="")))
        self.assertEqual({r["to"] for r in rows}, {p.msisdn for p in people})
        self.assertEqual({json.loads(r["flow"])["ask"] for r in rows}, {"renew?"})
        words = ["reached", "busy", "machine", "callback", "nonsense", ""]
        for row, word in zip(rows, words):
            row.update(outcome=word, seconds="12", note='said "yes",\nand more')
        out = io.StringIO(newline="")
        back = csv.DictWriter(out, rows[0].keys())
        back.writeheader()
        back.writerows(rows)
        body = out.getvalue().encode() + ("tsk_" + "0" * 14 + ",,,,,,,,,,,,,reached,1,\r\n").encode()
        done = self.api.post("/api/v1/tasks/outcomes", body=body, media="text/csv")
        self.assertEqual((done["received"], done["taken"], done["repeated"], done["rejected"]), (6, 4, 0, 2), done)
        self.assertEqual({(r["column"], r["code"]) for r in done["rejects"]}, {("outcome", "unknown_value"), ("task", "not_found")})
        again = self.api.post("/api/v1/tasks/outcomes", body=body, media="text/csv")
        self.assertEqual((again["taken"], again["repeated"], again["rejected"]), (0, 4, 2), again)
        self.assertEqual(sum(self.logged(calls, 4).values()), 4)
        self.assertEqual(self.number("SELECT count(*) FROM response_text WHERE body = 'said \"yes\",' || chr(10) || 'and more'"), 2)
        self.assertEqual(self.states(calls), {"done": 4, "leased": 2})

    def tool(self, *args, code=0):
        done = subprocess.run([self.programs.ctl, "--socket", self.gateway.socket, *args], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stdout

    def test_the_tool_takes_reports_and_carries_lists(self):
        people = self.consenting(5)
        calls = self.calls(people)
        self.filled(calls, 5)
        one = json.loads(self.tool("task", "lease", "call_centre", "--campaign", calls, "--agent", "ann"))
        self.assertEqual(json.loads(self.tool("task", "show", one["id"]))["agent"], "ann")
        self.tool("task", "release", one["id"])
        self.tool("task", "lease", "task", "--campaign", calls)
        self.tool("task", "outcome", one["id"], "busy", "--seconds", "3")
        self.tool("task", "outcome", one["id"], "reached", code=5)
        path = os.path.join(self.dir, "list.csv")
        rows = list(csv.DictReader(io.StringIO(self.tool("task", "export", "call_centre", "--campaign", calls), newline="")))
        self.assertEqual(len(rows), 4)
        with open(path, "w", encoding="utf-8", newline="") as f:
            back = csv.DictWriter(f, rows[0].keys())
            back.writeheader()
            back.writerows({**row, "outcome": "reached"} for row in rows)
        self.assertEqual(json.loads(self.tool("--json", "task", "import", path))["taken"], 4)
        self.assertIn("done", self.tool("task", "list", "--campaign", calls, "--state", "done"))
        self.assertNotIn("+86", self.tool("--json", "task", "list", "--campaign", calls))
        self.logged(calls, 5)

    def test_a_paused_route_gives_no_tasks_and_an_opt_out_takes_them_away(self):
        people = self.consenting(3)
        calls = self.calls(people)
        self.filled(calls, 3)
        self.api.post("/api/v1/routes/%s/pause" % self.desk_route)
        self.assertEqual(self.take(campaign=calls), [])
        self.api.post("/api/v1/routes/%s/resume" % self.desk_route)
        self.forbid(people[:1])
        self.assertEqual({t["document"]["to"]["address"] for t in self.take(campaign=calls)}, {p.msisdn for p in people[1:]})
        self.assertEqual(self.logged(calls, 1), {(3, "task.withdrawn", "dnd.list"): 1})

    def test_a_task_ends_with_its_window_and_counts_against_no_cap(self):
        self.api.post("/api/v1/caps", {"name": "calls", "max": 1, "period": "month", "zone": "UTC", "classes": ["marketing"], "channel": "task"})
        people = self.consenting(4)
        calls = self.calls(people, not_after_s=15)
        self.filled(calls, 4)
        (held,) = self.take(limit=1, campaign=calls)
        self.assertTrue(self.until(lambda: self.states(calls) == {"expired": 3, "leased": 1}, 30, 0.1), self.states(calls))
        self.assertEqual(self.take(campaign=calls), [])
        self.report(held["id"], "reached")
        funnel = self.complete(calls)
        self.assertEqual((funnel["submitted"], funnel["delivered"], funnel["expired"], funnel["unknown"]), (4, 1, 3, 0), funnel)
        again = self.calls(people)
        self.filled(again, 3)
        self.assertEqual(self.until(lambda: self.funnel(again)["held"]), {"cap.period": 1})


class Crash(Desk):
    task_options = {"window": 25}
    validity_s = 600

    def test_no_task_is_lost_or_doubled_whenever_the_daemon_dies(self):
        n, kills = 3000, 0
        people = self.consenting(n)
        path = "/api/v1/routes/" + self.desk_route
        self.api.call("PATCH", path, {"rate_per_s": RATE}, media="application/merge-patch+json", headers={"If-Match": self.api.ask("GET", path).headers["ETag"]})
        calls = self.calls(people)
        done = set()
        for goal in (50, 600, 1400, 2200):
            self.until(lambda: sum(self.states(calls).values()) >= goal, 60, 0.005)
            before = sum(self.states(calls).values())
            self.restart(kill=True)
            kills += before < n
            for t in self.take(limit=100, campaign=calls):
                self.assertNotIn(t["id"], done)
                self.report(t["id"], "reached")
                done.add(t["id"])
        self.assertGreaterEqual(kills, 2, "the daemon was too fast for this test")
        self.api.call("PATCH", path, {"rate_per_s": None}, media="application/merge-patch+json", headers={"If-Match": self.api.ask("GET", path).headers["ETag"]})
        self.filled(calls, n, 90)
        while True:
            tasks = self.take(campaign=calls)
            if not tasks:
                break
            done.update(t["id"] for t in tasks)
            body = "".join(json.dumps({"task": t["id"], "outcome": "no_answer"}) + "\n" for t in tasks)
            self.assertEqual(self.api.post("/api/v1/tasks/outcomes", body=body.encode(), media="application/x-ndjson")["taken"], len(tasks))
        self.assertEqual(len(done), n)
        self.assertEqual(self.number("SELECT count(DISTINCT contact_id) FROM task"), n)
        funnel = self.complete(calls)
        self.assertEqual((funnel["audience"], funnel["submitted"], funnel["delivered"] + funnel["failed"], funnel["unknown"], funnel["held"]), (n, n, n, 0, {}), funnel)
        self.assertEqual(self.number("SELECT count(*) FROM contact_event WHERE kind = 9"), 0, "somebody was in doubt")
        self.assertEqual(self.number("SELECT sum(n) FROM task_count"), n)
        self.seals_verify()


class Capacity(Desk):
    task_options = {"capacity_day": 30, "window": 8, "zone": harness.zone_in_mid_day()}

    def health(self):
        return next(c for c in self.api.get("/api/v1/channels")["data"] if c["name"] == "call_centre")["health"]

    def reconfigure(self, **options):
        self.settings["instances"][-1].update(options)
        self.gateway.kill()
        self.gateway.configure(self.settings)
        self.gateway.start()
        self.api.port = self.gateway.port

    def test_the_capacity_of_a_day_outlives_a_restart(self):
        calls = self.calls(self.consenting(60), validity_s=600)
        self.filled(calls, 30)
        self.assertTrue(self.until(lambda: self.health() == "capacity of the day is used: 30 of 30"), self.health())
        for kill in (True, False):
            self.restart(kill=kill)
            time.sleep(2.5)  # longer than the gateway needs to hand out more, if it would
            self.assertEqual(sum(self.states(calls).values()), 30)
        self.reconfigure(capacity_day=1000, capacity_month=37)
        self.filled(calls, 37)
        self.reconfigure(capacity_month=1000, open_max=40)
        self.filled(calls, 40)
        time.sleep(1.5)
        self.assertEqual(sum(self.states(calls).values()), 40)
        for t in self.take(limit=5):
            self.report(t["id"], "reached")
        self.filled(calls, 45)


if __name__ == "__main__":
    unittest.main()
