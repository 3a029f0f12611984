# SPDX-License-Identifier: Apache-2.0
"""test_stop.py - stop means stop, at full speed. Once the API (or the receipt of a person's STOP) has answered, what may still leave is what
was intended before: one window of each bind. Counted by the simulator with its own clock; wall-clock figures are printed, never judged.
"""
import time
import unittest

import harness
import urgent

ALONE = "it measures at full speed"  # no other test beside it (scripts/lib/testrun.py)

WINDOW, BINDS = 25, 2
MOST_LATE = WINDOW * BINDS
PEOPLE = 12000


class Speed(harness.Field):
    # Delayed answers keep the windows full, as a real SMSC does, at 1,700 a second: six seconds are left when it is to stop, more than a machine pauses.
    # What goes on afterwards is answered at once.
    knobs = {"delay_min_ms": 20, "delay_max_ms": 40}
    instance = {"window": WINDOW, "binds": BINDS}
    n = PEOPLE

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.crowd = cls.people(cls.n)
        cls.consent(cls.crowd)
        cls.set = cls.audience(cls.crowd)

    def setUp(self):
        self.sim.ctl("reset")
        self.sim.set(**self.knobs)
        self.addCleanup(self.release)

    def release(self):
        self.api.call("PUT", "/api/v1/dispatch", {"state": "running"})
        self.api.post("/api/v1/routes/%s/resume" % self.route_id)
        self.api.post("/api/v1/queues/%s.bulk/resume" % self.route_id)

    def hurry(self):
        self.sim.set(delay_min_ms=0, delay_max_ms=0)

    def unique(self):
        return self.sim.stats()["messages"]["unique"]

    def at_full_speed(self, text):
        """A campaign of which a part went out, with many more to go; and how many came in the last moments."""
        cmp = self.campaign(self.crowd, audience=self.set, text=text)
        self.assertTrue(self.until(lambda: self.unique() > self.n // 8, 60, 0.005), "no speed: %s" % self.funnel(cmp))
        return cmp

    def stopped(self, act):
        """Does it at full speed, waits until nothing comes any more. What came after the answer, and when that was."""
        self.assertTrue(self.until(lambda: self.sim.stats()["unanswered"] >= MOST_LATE // 2, 30, 0.005), "the windows are not full")
        act()
        answered_ms = time.time() * 1000  # the simulator runs on this machine: the same clock
        seen, since = self.unique(), time.monotonic()
        while time.monotonic() < since + 1.5:  # longer than an intent lives: what was intended has gone or never will
            if self.unique() != seen:
                seen, since = self.unique(), time.monotonic()
            self.assertLess(seen, PEOPLE, "nothing stopped it")
            time.sleep(0.02)
        return [m.first_ms for m in self.sim.messages() if m.taken and m.first_ms > answered_ms], answered_ms

    def judge(self, what, late, answered_ms, most=MOST_LATE):
        last = max(late, default=answered_ms) - answered_ms
        print("# %s: %d left after the answer (bound %d), the last %.0f ms later" % (what, len(late), most, last), flush=True)
        self.assertLessEqual(len(late), most, what)


class Stop(Speed):
    def goes_on(self, cmp):
        """Resumed, it reaches everybody once."""
        funnel = self.complete(cmp, 180)
        self.assertEqual((funnel["held"], funnel["submitted"]), ({}, PEOPLE))
        self.assertEqual(sorted((m.dest, m.taken) for m in self.sim.messages()), sorted((p.dest, 1) for p in self.crowd))

    def brake(self, what, stop, go):
        cmp = self.at_full_speed("#{{code}} " + what)
        late, answered_ms = self.stopped(lambda: stop(cmp))
        self.judge(what, late, answered_ms)
        self.hurry()
        go(cmp)
        self.goes_on(cmp)

    def test_pause(self):
        self.brake("pause", lambda cmp: self.act(cmp, "pause"), lambda cmp: self.act(cmp, "resume"))

    def test_the_switch(self):
        self.brake("dispatch switch", lambda _: self.api.call("PUT", "/api/v1/dispatch", {"state": "paused"}),
                   lambda _: self.api.call("PUT", "/api/v1/dispatch", {"state": "running"}))

    def test_a_paused_route(self):
        path = "/api/v1/routes/%s/" % self.route_id
        self.brake("route pause", lambda _: self.api.post(path + "pause"), lambda _: self.api.post(path + "resume"))

    def test_a_paused_queue(self):
        path = "/api/v1/queues/%s.bulk/" % self.route_id
        self.brake("queue pause", lambda _: self.api.post(path + "pause"), lambda _: self.api.post(path + "resume"))

    def test_cancel(self):
        cmp = self.at_full_speed("#{{code}} cancel")
        late, answered_ms = self.stopped(lambda: self.act(cmp, "cancel"))
        self.judge("cancel", late, answered_ms)
        self.assertTrue(self.until(lambda: self.funnel(cmp)["waiting"] == 0 and self.funnel(cmp)["pending"] == 0, 60), self.funnel(cmp))
        funnel, reached = self.funnel(cmp), self.unique()
        self.assertEqual((funnel["submitted"], funnel["held"]), (reached, {"campaign.cancelled": PEOPLE - reached}))
        self.assertTrue(all(m.taken == 1 for m in self.sim.messages()))


class Forbid(Speed):
    """Not everything stops, only what goes to the people of the list, decided rows included."""
    n = 30000  # so that a chunk has more rows than the windows together

    def came(self, cmp):
        """When the campaign's message came to whom, after its end; once to everybody."""
        self.complete(cmp, 180)
        seen = [m for m in self.sim.messages() if m.taken and urgent.is_code(m.key)]
        self.assertTrue(all(m.taken == 1 for m in seen))
        return {m.dest: m.first_ms for m in seen}

    def test_a_list_by_the_api(self):
        people = self.crowd[::2]
        cmp = self.at_full_speed("#{{code}} list")
        self.forbid(people)
        answered_ms = time.time() * 1000
        self.hurry()
        came = self.came(cmp)
        mine = [came[p.dest] for p in people if p.dest in came]
        self.judge("do-not-disturb list of %d" % len(people), [ms for ms in mine if ms > answered_ms], answered_ms)
        self.assertLess(len(mine), len(people), "nobody of the list was still to come")

    def decided(self, cmp):
        """Somebody at the end of a chunk that is being sent, far behind what was intended."""
        rows = self.rows("SELECT r.address FROM chunk k JOIN wave w USING (wave_id) JOIN campaign c USING (campaign_id) JOIN recipient r ON r.part = k.part AND r.set_id = w.set_id AND r.seq > k.seq_hi - 10"
                         " AND r.seq <= k.seq_hi WHERE k.state = 1 AND k.seq_hi - k.sent_hi > 80 AND c.public_id = '%s'" % cmp)
        return [r[0].lstrip("+") for r in rows]

    def test_a_stop_by_message(self):
        people, answered = {p.dest for p in self.crowd[1::2]}, {}  # the others are on the list, perhaps
        self.change_route(rate_per_s=400)
        cmp = self.campaign(self.crowd, audience=self.set, text="#{{code}} stop")
        self.assertTrue(self.until(lambda: self.unique() > 100, 60), self.funnel(cmp))
        while len(answered) < 30:
            dest = self.until(lambda: next((d for d in self.decided(cmp) if d in people and d not in answered), None))
            self.assertTrue(dest, "no chunk is being sent")
            self.assertEqual(self.sim.ctl("mo %s %s STOP" % (dest, harness.SENDER))["status"], [0])
            answered[dest] = time.time() * 1000  # acknowledged is stored
        self.change_route(rate_per_s=None)
        self.hurry()
        came = self.came(cmp)
        late = [d for d, ms in answered.items() if came.get(d, 0) > ms]
        print("# STOP of %d people whose contact was decided: %d got the message after it was acknowledged" % (len(answered), len(late)), flush=True)
        self.assertLess(len(late), len(answered) // 4, "only what was in a window at that moment may come")


if __name__ == "__main__":
    unittest.main()
