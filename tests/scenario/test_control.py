# SPDX-License-Identifier: Apache-2.0
"""test_control.py - who steers, is obeyed: pause, resume, cancel, the switch, routes, queues, caps, hours and ends of campaigns. Each test
says what the simulator must not have seen and what the log must say instead; nobody may be lost or reached twice by any of it.
"""
import datetime
import json
import time
import unittest

import harness

WINDOW = 10
QUIET = 50  # calendar.quiet in core/policy/reasons.def
QUIET_S = 1.5  # how long nothing must happen to count as "stopped": longer than an intent lives; at the rates here dozens of messages would come in that time


class Steered(harness.Field):
    instance = {"window": WINDOW}
    RATE = 30

    def setUp(self):
        self.sim.ctl("reset")
        self.addCleanup(self.release_brakes)

    def release_brakes(self):
        self.api.call("PUT", "/api/v1/dispatch", {"state": "running"})
        self.api.post("/api/v1/routes/%s/resume" % self.route_id)
        for lane in ("bulk", "urgent"):
            self.api.post("/api/v1/queues/%s.%s/resume" % (self.route_id, lane))
        self.change_route(rate_per_s=None)
        for noun in ("caps", "calendars"):
            for rule in list(self.api.every("/api/v1/" + noun)):
                self.api.call("DELETE", "/api/v1/%s/%s" % (noun, rule["id"]))

    @classmethod
    def act(cls, cmp, verb):
        return super().act(cmp, verb) if verb == "start" else cls.api.post("/api/v1/campaigns/%s/%s" % (cmp, verb))

    def consenting(self, n, **where):
        people = self.people(n, **where)
        self.consent(people)
        return people

    def cap(self, most):
        return self.api.post("/api/v1/caps", {"name": "test", "max": most, "period": "year", "zone": "UTC", "classes": ["marketing"]})["id"]

    def unique(self):
        return self.sim.stats()["messages"]["unique"]

    def goes(self, at_least):
        self.assertTrue(self.until(lambda: self.unique() >= at_least, 30, 0.01), "only %d of %d messages came" % (self.unique(), at_least))

    def stands_still(self, at_most):
        """For QUIET_S nothing new, and no more than that in all. (Waiting for nothing has no event to wait for.)"""
        seen, since = self.unique(), time.monotonic()
        end = since + 20
        while time.monotonic() < since + QUIET_S:
            self.assertLess(time.monotonic(), end, "messages keep coming")
            if self.unique() != seen:
                seen, since = self.unique(), time.monotonic()
            time.sleep(0.02)
        self.assertLessEqual(seen, at_most)
        return seen

    def waits_for(self, cmp, word):
        self.assertTrue(self.until(lambda: self.progress(cmp)["waiting_for"] == word), self.progress(cmp))
        self.assertEqual(self.funnel(cmp)["held"], {}, "waiting is no reason to hold anybody")

    def everybody_once(self, people):
        self.assertEqual(sorted((m.dest, m.taken) for m in self.sim.messages()), sorted((p.dest, 1) for p in people))

    def got(self, people, lead):
        """Who of them got the text in which this stands before the code."""
        reached = self.reached()
        return {p.dest for p in people if (p.dest, lead + str(p.code)) in reached}

    def contacts(self, cmp):
        return list(self.api.every("/api/v1/contacts?limit=500&campaign=" + cmp))


class Campaigns(Steered):
    def test_pause_stops_within_a_window_and_resume_goes_on_where_it_was(self):
        people = self.consenting(150)
        self.change_route(rate_per_s=self.RATE)
        cmp = self.campaign(people)
        self.goes(30)
        self.assertEqual(self.act(cmp, "pause")["state"], "paused")
        stopped = self.stands_still(self.unique() + WINDOW)
        self.assertLess(stopped, 150)
        self.assertEqual(self.act(cmp, "pause")["state"], "paused")
        self.assertIsNone(self.progress(cmp)["waiting_for"])
        self.assertEqual(self.funnel(cmp)["held"], {})
        self.change_route(rate_per_s=None)
        self.assertEqual(self.act(cmp, "resume")["state"], "running")
        funnel = self.complete(cmp)
        self.assertEqual((funnel["held"], funnel["submitted"], funnel["waiting"]), ({}, 150, 0))
        self.everybody_once(people)

    def test_a_restart_does_not_end_a_pause(self):
        people = self.consenting(120)
        self.change_route(rate_per_s=self.RATE)
        cmp = self.campaign(people)
        self.goes(10)
        self.act(cmp, "pause")
        self.stands_still(119)
        before = self.unique()
        self.restart()
        self.assertEqual(self.stands_still(before), before)
        self.assertEqual(self.state(cmp), "paused")
        self.change_route(rate_per_s=None)
        self.act(cmp, "resume")
        self.complete(cmp)
        self.everybody_once(people)

    def test_cancel_holds_the_rest_and_gives_their_cap_back(self):
        people = self.consenting(150)
        self.cap(1)
        self.change_route(rate_per_s=self.RATE)
        cmp = self.campaign(people)
        self.goes(30)
        self.assertEqual(self.act(cmp, "cancel")["state"], "cancelled")
        self.stands_still(self.unique() + WINDOW)
        self.assertEqual(self.act(cmp, "cancel")["state"], "cancelled")
        self.assertTrue(self.until(lambda: self.funnel(cmp)["waiting"] == 0 and self.funnel(cmp)["pending"] == 0), self.funnel(cmp))
        reached, funnel = {m.dest for m in self.sim.messages() if m.taken}, self.funnel(cmp)
        self.assertEqual((funnel["submitted"], funnel["held"]), (len(reached), {"campaign.cancelled": 150 - len(reached)}))
        states = self.contacts(cmp)
        self.assertEqual(len(states), 150)
        self.assertEqual({(r["state"], r["reason"]) for r in states}, {("delivered", None), ("held", "campaign.cancelled")})
        self.change_route(rate_per_s=None)
        again = self.campaign(people, text="again #7{{code}}")
        funnel = self.complete(again)
        self.assertEqual(funnel["held"], {"cap.period": len(reached)}, "who was not reached still has the whole cap")
        self.assertEqual(self.got(people, "7"), {p.dest for p in people} - reached)

    def test_cancel_before_anything_went_holds_everybody(self):
        people = self.consenting(20)
        self.api.post("/api/v1/routes/%s/pause" % self.route_id)
        cmp = self.campaign(people)
        self.waits_for(cmp, "route_down")
        self.act(cmp, "cancel")
        self.assertTrue(self.until(lambda: self.funnel(cmp)["waiting"] == 0), self.funnel(cmp))
        self.assertEqual(self.funnel(cmp)["held"], {"campaign.cancelled": 20})
        self.assertEqual(self.unique(), 0)

    def test_what_the_state_does_not_allow_is_refused(self):
        people = self.consenting(3)
        none = self.api.post("/api/v1/campaigns", {"name": "nobody", "waves": [{"channel": "sms", "content": {"text": "x"}}]})["id"]
        refused = self.api.ask("POST", "/api/v1/campaigns/%s/start" % none, {})
        self.assertEqual((refused.status, refused.slug), (409, "state-conflict"))
        self.assertIn("audience", refused.json["detail"])
        self.assertEqual(self.state(none), "draft")
        cmp = self.campaign(people)
        again = self.api.ask("POST", "/api/v1/campaigns/%s/start" % cmp, {})
        self.assertEqual(again.status, 200, again)
        self.complete(cmp)
        for verb in ("cancel", "pause", "resume", "start"):
            refused = self.api.ask("POST", "/api/v1/campaigns/%s/%s" % (cmp, verb))
            self.assertEqual((refused.status, refused.slug, refused.json["state"], refused.json["actions"]), (409, "state-conflict", "completed", []), verb)
        self.assertEqual(self.state(cmp), "completed")
        self.everybody_once(people)

    def test_a_campaign_whose_end_has_come_holds_who_is_left(self):
        people = self.consenting(12)
        self.api.call("PUT", "/api/v1/dispatch", {"state": "paused"})
        cmp = self.campaign(people, not_after_s=9)
        self.assertTrue(self.until(lambda: self.api.get("/api/v1/campaigns/" + cmp)["not_after"] < harness.utc(0), 20, 0.1))
        self.api.call("PUT", "/api/v1/dispatch", {"state": "running"})
        self.assertEqual(self.complete(cmp)["held"], {"campaign.expired": 12})
        self.assertEqual(self.unique(), 0)
        late = self.api.ask("POST", "/api/v1/campaigns", {"name": "late", "not_after": harness.utc(-5), "waves": [{"channel": "sms", "content": {"text": "x"}}]})
        self.assertEqual((late.status, late.json["errors"][0]["pointer"]), (422, "/not_after"))


class Brakes(Steered):
    def test_the_switch_stops_everything_and_lets_it_go_again(self):
        people = self.consenting(120)
        self.change_route(rate_per_s=self.RATE)
        cmp = self.campaign(people)
        self.goes(10)
        self.api.call("PUT", "/api/v1/dispatch", {"state": "paused"})
        self.stands_still(self.unique() + WINDOW)
        self.waits_for(cmp, "dispatch_paused")
        fresh = self.campaign(self.consenting(5))
        self.waits_for(fresh, "dispatch_paused")
        self.assertEqual(self.stands_still(119), self.unique())
        self.change_route(rate_per_s=None)
        self.api.call("PUT", "/api/v1/dispatch", {"state": "running"})
        self.complete(cmp)
        self.assertEqual(self.complete(fresh)["submitted"], 5)
        self.assertTrue(all(m.taken == 1 for m in self.sim.messages()))

    def test_a_paused_route_is_waited_for(self):
        people = self.consenting(20)
        self.api.post("/api/v1/routes/%s/pause" % self.route_id)
        cmp = self.campaign(people)
        self.waits_for(cmp, "route_down")
        self.assertEqual(self.stands_still(0), 0)
        self.api.post("/api/v1/routes/%s/resume" % self.route_id)
        self.assertEqual(self.complete(cmp)["held"], {})
        self.everybody_once(people)

    def test_a_route_paused_in_the_middle_is_waited_for(self):
        people = self.consenting(200)
        self.change_route(rate_per_s=self.RATE)
        cmp = self.campaign(people)
        self.goes(10)
        self.api.post("/api/v1/routes/%s/pause" % self.route_id)
        # the route is part of what workers look at every 200 ms, and of a rate of 30 a second; the machine may pause for two
        self.assertLess(self.stands_still(self.unique() + 3 * self.RATE), 200)
        self.waits_for(cmp, "route_down")
        self.change_route(rate_per_s=None)
        self.api.post("/api/v1/routes/%s/resume" % self.route_id)
        self.assertEqual(self.complete(cmp)["submitted"], 200)
        self.everybody_once(people)

    def test_a_paused_queue_keeps_its_lane_and_leaves_the_other(self):
        person, *people = self.consenting(21)
        self.complete(self.campaign([person]))
        self.sim.ctl("reset")
        self.api.post("/api/v1/queues/%s.bulk/pause" % self.route_id)
        cmp = self.campaign(people)
        self.waits_for(cmp, "route_down")
        self.assertEqual(self.stands_still(0), 0)
        self.sim.ctl("mo %s %s STOP" % (person.dest, harness.SENDER))
        self.goes(1)  # its confirmation, on the urgent lane
        self.assertEqual({m.dest for m in self.sim.messages()}, {person.dest})
        self.api.post("/api/v1/queues/%s.bulk/resume" % self.route_id)
        self.assertEqual(self.complete(cmp)["submitted"], 20)

    def test_an_urgent_confirmation_passes_a_full_bulk_lane(self):
        person, *people = self.consenting(90)
        self.complete(self.campaign([person]))
        self.sim.ctl("reset")
        self.sim.set(delay_min_ms=2500, delay_max_ms=2500)  # nine in flight for 2.5 s each: the lane is full for 25 s
        try:
            cmp = self.campaign(people)
            self.goes(1)
            self.assertTrue(self.until(lambda: sum(m.taken for m in self.sim.messages()) >= WINDOW - 1, 10), "the window does not fill")
            self.sim.ctl("mo %s %s STOP" % (person.dest, harness.SENDER))
            self.assertTrue(self.until(lambda: any(m.dest == person.dest for m in self.sim.messages()), 10), "no confirmation")
            self.assertGreater(self.funnel(cmp)["waiting"], 30, "it waited for the bulk lane, or that was not full")
        finally:
            self.sim.set(delay_min_ms=0, delay_max_ms=0)
        self.assertEqual(self.complete(cmp)["submitted"], 89)


class Caps(Steered):
    def test_the_second_campaign_holds_exactly_whom_the_first_reached(self):
        people = self.consenting(45)
        cap = self.cap(1)
        self.assertEqual(self.complete(self.campaign(people[:30]))["held"], {})
        second = self.campaign(people[15:], text="second #2{{code}}")
        self.assertEqual(self.complete(second)["held"], {"cap.period": 15})
        self.assertEqual(self.got(people, "2"), {p.dest for p in people[30:]})
        held = [r for r in self.contacts(second) if r["state"] == "held"]
        self.assertEqual({(r["reason"], r["rule"]) for r in held}, {("cap.period", cap)})
        self.assertEqual(self.contacts_in("contact_log", second, "x.verdict = 3"), {p.dest for p in people[15:30]})

    def test_a_cap_of_zero_allows_nobody(self):
        people = self.consenting(10)
        self.cap(0)
        self.assertEqual(self.complete(self.campaign(people))["held"], {"cap.period": 10})
        self.assertEqual(self.unique(), 0)

    def test_no_cap_allows_everybody_and_still_counts(self):
        people = self.consenting(10)
        cap = self.cap(None)
        for n in "123":
            self.assertEqual(self.complete(self.campaign(people, text="text #%s{{code}}" % n))["held"], {})
        path = "/api/v1/caps/" + cap
        self.api.call("PATCH", path, {"max": 3}, media="application/merge-patch+json", headers={"If-Match": self.api.ask("GET", path).headers["ETag"]})
        self.assertEqual(self.complete(self.campaign(people, text="text #4{{code}}"))["held"], {"cap.period": 10}, "the three before were not counted")
        self.assertEqual(sum(m.taken for m in self.sim.messages()), 30)

    def test_two_campaigns_at_once_do_not_share_one_slot(self):
        people = self.consenting(60)
        self.cap(1)
        audience = self.audience(people)
        both = [self.campaign(people, audience=audience, text="both #%d{{code}}" % n, start=False) for n in (1, 2)]
        for cmp in both:
            self.act(cmp, "start")
        funnels = [self.complete(cmp) for cmp in both]
        self.assertEqual(sum(f["submitted"] for f in funnels), 60)
        self.assertEqual(sum(f["held"].get("cap.period", 0) for f in funnels), 60)
        self.assertEqual(sorted((m.dest, m.taken) for m in self.sim.messages()), sorted((p.dest, 1) for p in people))


class Contents(Steered):
    def test_who_cannot_be_told_is_held_with_the_reason_and_keeps_the_cap(self):
        people = self.consenting(12)
        abroad = self.people(1, place=("SG", "Asia/Singapore"))
        abroad[0].msisdn = "+6581234567"
        self.consent(abroad)
        self.cap(1)
        self.addCleanup(self.change_route, prefixes=[], max_segments=10)
        self.change_route(prefixes=["+86"], max_segments=1)
        names = ["Li"] * 5 + [""] * 4 + ["x" * 200] * 3 + ["Tan"]  # no value and no default; more than one part once it is filled in; no way there
        body = "msisdn,code,name\n" + "".join("%s,%d,%s\n" % (p.msisdn, p.code, name) for p, name in zip(people + abroad, names))
        aud = self.api.post("/api/v1/audiences", {"name": "names"})["id"]
        self.assertEqual(self.api.call("PUT", "/api/v1/audiences/%s/recipients" % aud, body=body.encode(), media="text/csv")["accepted"], 13)
        first = self.complete(self.campaign(None, text="Hello {{name}} #{{code}}", audience=aud))
        self.assertEqual((first["submitted"], first["held"]), (5, {"content.field_missing": 4, "content.too_long": 3, "route.none": 1}))
        self.everybody_once(people[:5])
        second = self.complete(self.campaign(None, text="Hello #{{code}}", audience=aud))
        self.assertEqual((second["submitted"], second["held"]), (7, {"cap.period": 5, "route.none": 1}))
        self.everybody_once(people)


class Hours(Steered):
    """A region that is closed now and opens later; the gateway is then started with its clock at that hour."""

    def shift_to(self, moment):
        ahead = datetime.datetime.fromisoformat(moment.replace("Z", "+00:00")) - datetime.datetime.now(datetime.timezone.utc)
        self.gateway.stop()
        self.gateway.start("--clock-shift-ms", str(int(ahead.total_seconds() * 1000) + 120000))
        type(self).api.port = self.gateway.port

    def live_at(self, people):
        """An audience tells where its rows are; questions about a person look at the customer."""
        body = "".join(json.dumps({"msisdn": p.msisdn, "region": p.region, "zone": p.zone}) + "\n" for p in people)
        self.api.call("PUT", "/api/v1/customers", body=body.encode(), media="application/x-ndjson")

    def put_off(self, cmp):
        """How many people wait for a moment, as whole chunks or one by one, and the stored numbers of their reasons."""
        wave = "(SELECT w.wave_id FROM wave w JOIN campaign c USING (campaign_id) WHERE c.public_id = '%s')" % cmp
        rows = self.rows("SELECT reason, sum(n) FROM (SELECT reason, seq_hi - seq_lo + 1 AS n FROM chunk WHERE state = 0 AND not_before > now() AND wave_id = %s"
                         " UNION ALL SELECT reason, 1 FROM echo WHERE state = 0 AND not_before > now() AND wave_id = %s) x GROUP BY 1" % (wave, wave))
        return sum(int(n) for _, n in rows), {int(reason) for reason, _ in rows}

    def test_a_closed_hour_is_waited_for_and_reopened_by_the_clock(self):
        here, far = self.consenting(10), self.consenting(20, place=harness.FAR)
        calendar = self.close_region(*harness.FAR)["id"]
        self.live_at(far)
        verdict = self.verdict(far[0])
        self.assertEqual((verdict["verdict"], verdict["reason"], verdict["rule"]), ("DEFER", "calendar.quiet", calendar))
        hopeless = self.campaign(here + far, not_after_s=3600)
        funnel = self.complete(hopeless)
        self.assertEqual((funnel["held"], funnel["submitted"]), ({"calendar.no_open_hour": 20}, 10))
        cmp = self.campaign(here + far, text="later #3{{code}}", not_after_s=26 * 3600)
        self.assertTrue(self.until(lambda: self.funnel(cmp)["submitted"] == 10 and self.progress(cmp)["waiting_for"] == "quiet_calendar"), self.progress(cmp))
        self.assertEqual(self.progress(cmp)["until"], verdict["until"])
        self.assertEqual((self.funnel(cmp)["held"], self.funnel(cmp)["waiting"]), ({}, 20))
        self.assertEqual(self.put_off(cmp), (20, {QUIET}))
        self.assertEqual({m.dest for m in self.sim.messages()}, {p.dest for p in here})
        self.shift_to(verdict["until"])
        try:
            self.assertEqual(self.verdict(far[0])["verdict"], "ALLOW")
            funnel = self.complete(cmp)
            self.assertEqual((funnel["held"], funnel["submitted"], funnel["waiting"]), ({}, 30, 0))
            self.assertEqual({m.dest for m in self.sim.messages() if m.taken and m.key in {"3%d" % p.code for p in far}}, {p.dest for p in far})
        finally:
            self.restart()

    def test_who_waits_for_an_hour_is_shown_with_the_reason(self):
        far = self.consenting(20, place=harness.FAR)
        self.close_region(*harness.FAR)
        self.live_at(far)
        until = self.verdict(far[0])["until"]
        cmp = self.campaign(far, not_after_s=26 * 3600)
        self.assertTrue(self.until(lambda: self.progress(cmp)["waiting_for"] == "quiet_calendar"), self.progress(cmp))
        self.assertEqual(self.put_off(cmp), (20, {QUIET}))
        rows = self.contacts(cmp)
        self.act(cmp, "cancel")
        self.assertEqual(len(rows), 20, "everybody of the campaign has a state")
        self.assertEqual({(r["state"], r["verdict"], r["reason"], r["until"]) for r in rows}, {("waiting", "DEFER", "calendar.quiet", until)})


if __name__ == "__main__":
    unittest.main()
