# SPDX-License-Identifier: Apache-2.0
"""test_urgent.py - the urgent lane while bulk runs: a confirmation of an opt-out does not stand in line behind a campaign. Milliseconds are
printed; judged is how much of the bulk came in between.

CAMPGW_URGENT_PEOPLE, CAMPGW_URGENT_SAMPLES = size of the bulk and number of urgent messages (standard 20,000 and 40).
"""
import os
import unittest

import harness
import urgent

PEOPLE, SAMPLES = int(os.environ.get("CAMPGW_URGENT_PEOPLE", "20000")), int(os.environ.get("CAMPGW_URGENT_SAMPLES", "40"))
CHUNK = PEOPLE // 64


class Urgent(harness.Field):
    durable = True
    # some 2,000/s: the bulk outlasts the samples by many seconds, though the machine may pause for two
    knobs = {"delay_min_ms": 60, "delay_max_ms": 120, "deliver_window": 1000}
    instance = {"window": 100, "binds": 2}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.crowd = cls.people(PEOPLE)
        cls.consent(cls.crowd)
        cls.set = cls.audience(cls.crowd)

    def samples(self, n=SAMPLES):
        """Those of n behind which bulk was still to come."""
        asking = self.people(n)
        self.sim.ctl("reset")
        cmp = self.campaign(self.crowd, audience=self.set)
        self.assertTrue(self.until(lambda: self.sim.stats()["messages"]["unique"] > PEOPLE // 20, 60, 0.01), self.funnel(cmp))
        samples = [s for s in urgent.measure(self.sim, [p.msisdn for p in asking], harness.SENDER) if s.bulk]
        if self.state(cmp) == "running":
            self.api.post("/api/v1/campaigns/%s/cancel" % cmp)
        self.assertGreater(len(samples), n // 4, "the campaign was over before the urgent messages")
        for what in ("row_ms", "ms", "waited"):
            print("# %-7s %s" % (what, urgent.figures([getattr(s, what) for s in samples])), flush=True)
        return [s.waited for s in samples]

    def test_a_confirmation_overtakes_the_campaign(self):
        self.assertLess(urgent.percentile(self.samples(), 50), PEOPLE // 10, "it stood in line")

    def test_it_waits_neither_for_chunks_nor_for_answers(self):
        """The peer is slow and the windows are full: a chunk takes long, and so does the answer to the urgent message before."""
        self.sim.set(delay_min_ms=900, delay_max_ms=1500)  # 150 a second: what a slow machine takes for an urgent one is few of bulk, an answer is many
        self.addCleanup(self.sim.set, **self.knobs)
        waited = self.samples(min(16, SAMPLES))
        self.assertLess(urgent.percentile(waited, 75), CHUNK // 4)
        self.assertLess(urgent.percentile(waited, 90), CHUNK)


if __name__ == "__main__":
    unittest.main()
