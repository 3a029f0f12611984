# SPDX-License-Identifier: Apache-2.0
"""test_at_once.py - a small campaign while everything else happens too: rules, lists, pauses, routes, replies, reports, each from a
thread of its own. Everybody must be accounted for; under ThreadSanitizer (scripts/test sanitize) this is the daemon's whole run.
"""
import threading

import harness
import stack

N, TURNS = 1200, 10


class AtOnce(harness.Field):
    knobs = {"seed": 11, "throttle_permille": 20, "delay_min_ms": 1, "delay_max_ms": 15, "reorder_permille": 50, "receipt_delay_min_ms": 5, "receipt_delay_max_ms": 300,
             "receipt_early_permille": 30, "receipt_duplicate_permille": 20}
    instance = {"window": 20, "binds": 2}

    def setUp(self):
        self.over, self.faults, self.turns = threading.Event(), [], {}
        self.change_route(rate_per_s=200)

    # ---- what happens meanwhile; each returns after one turn ----

    def rules(self, api):
        cap = api.post("/api/v1/caps", {"name": "wide", "max": 1000, "period": "day", "zone": "UTC", "classes": ["marketing"]})["id"]
        calendar = api.post("/api/v1/calendars", {"name": "elsewhere", "kind": "quiet", "region": harness.FAR[0], "hours": [{"days": ["mon"], "from": "10:00", "to": "11:00"}]})["id"]
        api.call("DELETE", "/api/v1/caps/" + cap)
        api.call("DELETE", "/api/v1/calendars/" + calendar)

    def people_and_lists(self, api):
        with self.lock:
            person = self.spare.pop() if self.spare else None
        if person:
            api.post("/api/v1/dnd-lists/%s/entries" % self.list_id, {"entries": [{"msisdn": person.msisdn}]})
        api.post("/api/v1/decisions", {"msisdn": self.everybody[0].msisdn, "channel": "sms", "class": "marketing", "purpose": "marketing"})

    def brakes(self, api):
        for verb in ("pause", "resume"):
            api.ask("POST", "/api/v1/routes/%s/%s" % (self.route_id, verb))
            api.ask("POST", "/api/v1/queues/%s.bulk/%s" % (self.route_id, verb))
            api.ask("POST", "/api/v1/campaigns/%s/%s" % (self.cmp, verb))  # 409 once it is over

    def reports(self, api):
        for path in ("campaigns/%s/progress" % self.cmp, "campaigns/%s/funnel" % self.cmp, "contacts?campaign=%s&limit=50" % self.cmp, "channels", "queues"):
            api.get("/api/v1/" + path)
        for path in ("/metrics", "/ready"):
            api.ask("GET", path)

    def replies(self, _):
        person = self.everybody[self.turns.get("replies", 0) % N]
        self.sim.ctl("mo %s %s thanks, nice" % (person.dest, harness.SENDER))

    def again_and_again(self, what):
        api = self.gateway.api(self.api.key)
        try:
            while not self.over.is_set():
                what(api)
                self.turns[what.__name__] = self.turns.get(what.__name__, 0) + 1
        except (OSError, stack.ApiError, stack.StackError) as e:
            self.faults.append("%s: %s" % (what.__name__, e))

    def test_everybody_is_accounted_for_whatever_else_happens(self):
        self.lock, self.everybody = threading.Lock(), self.people(N)
        self.spare = self.everybody[-100:]
        self.consent(self.everybody)
        self.list_id = self.api.post("/api/v1/dnd-lists", {"name": "meanwhile", "scope": "all"})["id"]
        self.cmp = self.campaign(self.everybody)
        deeds = (self.rules, self.people_and_lists, self.brakes, self.reports, self.replies)
        threads = [threading.Thread(target=self.again_and_again, args=(w,)) for w in deeds]
        for t in threads:
            t.start()
        try:
            enough = self.until(lambda: self.faults or all(self.turns.get(w.__name__, 0) >= TURNS for w in deeds), 60)
        finally:
            self.over.set()
            for t in threads:
                t.join(60)
        self.assertEqual((self.faults, [t.name for t in threads if t.is_alive()]), ([], []))
        for verb in ("routes/%s/resume" % self.route_id, "queues/%s.bulk/resume" % self.route_id, "campaigns/%s/resume" % self.cmp):
            self.api.ask("POST", "/api/v1/" + verb)
        self.assertTrue(enough, "in 60 s only %s" % self.turns)
        r = self.complete(self.cmp, 120)
        self.assertEqual(r["submitted"] + sum(r["held"].values()), N, r)
        self.assertEqual(r["delivered"] + r["failed"] + r["expired"] + r["unknown"], r["submitted"], r)
        self.assertEqual(set(r["held"]) - {"dnd.list"}, set(), r)
        taken = [m for m in self.sim.messages() if m.taken]
        self.assertEqual(([m for m in taken if m.taken > 1], len(taken)), ([], r["submitted"]))
        self.seals_verify()
        self.no_complaints()
