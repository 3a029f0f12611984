# SPDX-License-Identifier: Apache-2.0
"""test_fair.py - a thousand campaigns at once: each gets its turn, equals progress alike, and looking for work does not cost more because many wait.

Turns are counted in chunks (rows of one part and place), because a chunk is what a dispatcher takes at a time. Judged by counts and by
ratios of CPU time, never by the clock. CAMPGW_LONG=1 (scripts/test --all) runs it with 1,000 campaigns, otherwise with 150.
"""
import collections
import os
import unittest

import harness
import stack

ALONE = "it compares CPU time"  # no other test beside it (scripts/lib/testrun.py)

SMALL = 1000 if os.environ.get("CAMPGW_LONG") else 150
LARGE, LARGE_PEOPLE = 4, 1280


class Fair(harness.Field):
    # For all messages at once: a wave whose route takes nothing rests for a second, in which hundreds of turns pass, so a message centre that pauses would decide who is served last
    instance = {"window": 10000}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.few, cls.many = cls.people(3), cls.people(LARGE_PEOPLE)
        cls.consent(cls.few + cls.many)
        cls.small_audience, cls.large_audience = cls.audience(cls.few), cls.audience(cls.many)

    def tearDown(self):
        self.switch("running")

    def switch(self, state):
        self.api.call("PUT", "/api/v1/dispatch", {"state": state})

    def start(self, audience, n, **more):
        return [self.campaign(None, audience=audience, **more) for _ in range(n)]

    def planned(self, campaigns):
        """All chunks are there: from here on only the choice of the dispatchers matters."""
        self.assertTrue(self.until(lambda: self.number("SELECT count(*) FROM wave WHERE state = 'planning' OR state = 'draft'") == 0, 120, 0.2), "not planned: %s" % self.rows("SELECT state, count(*) FROM wave GROUP BY 1"))
        return {r[1]: int(r[0]) for r in self.rows("SELECT w.wave_id, c.public_id FROM wave w JOIN campaign c USING (campaign_id)") if r[1] in set(campaigns)}

    def turns(self, waves):
        """Wave of each decided chunk, in the order of the decisions."""
        rows = self.rows("SELECT wave_id FROM (SELECT wave_id, part, chunk_no, min(decided_at) AS at FROM contact_log GROUP BY 1, 2, 3) x ORDER BY at")
        return [int(r[0]) for r in rows if int(r[0]) in waves]

    def cpu_of(self, people, text):
        """CPU of daemon and database, in clock ticks, for one campaign from its start to its last receipt."""
        audience = self.audience(people)
        before = self.ticks()
        self.assertEqual(self.complete(self.campaign(None, audience=audience, text=text), 300)["submitted"], len(people))
        return self.ticks() - before

    def ticks(self):
        return self.cluster.cpu_ticks() + dict(stack.all_ticks())[self.gateway.process.pid]

    def test_each_of_many_gets_its_turn_and_equals_progress_alike(self):
        self.switch("paused")
        large = self.start(self.large_audience, LARGE)
        small = self.start(self.small_audience, SMALL)
        waves = self.planned(large + small)
        big = {waves[c] for c in large}
        self.switch("running")
        for cmp in small:
            self.complete(cmp, 300)
        order = self.turns(set(waves.values()))
        first = {}
        for i, wave in enumerate(order):
            first.setdefault(wave, i)
        self.assertEqual(set(first), set(waves.values()), "somebody had no turn at all")
        print("# the last of %d campaigns had its first turn as number %d" % (len(waves), max(first.values()) + 1), flush=True)
        self.assertLess(max(first.values()), 2 * len(waves), "somebody waited for more than two rounds")
        for share in (0.25, 0.5, 0.75):
            turns = collections.Counter(w for w in order[:int(len(order) * share)] if w in big)
            self.assertLessEqual(max(turns.values()), 2 * min(turns[w] for w in big) + 4, "equals are not treated alike: %s" % turns)
        for cmp in large:
            self.assertEqual(self.complete(cmp, 300)["submitted"], LARGE_PEOPLE)
        self.no_complaints()

    def test_many_that_wait_for_their_hour_cost_the_others_little(self):
        far = self.people(3, place=harness.FAR)
        self.consent(far)
        self.close_region(*harness.FAR)
        self.cpu_of(self.many, "warm #3{{code}}")
        alone = self.cpu_of(self.many, "alone #4{{code}}")
        audience = self.audience(far)
        self.start(audience, SMALL, not_after_s=26 * 3600)
        self.assertTrue(self.until(lambda: self.number("SELECT count(DISTINCT wave_id) FROM chunk WHERE state = 0 AND not_before > now()") == SMALL, 300, 0.5), "not all of them were put off")
        among = self.cpu_of(self.many, "among #5{{code}}")
        print("# CPU of a campaign of %d: alone %d ticks, beside %d waiting campaigns %d" % (LARGE_PEOPLE, alone, SMALL, among), flush=True)
        self.assertLess(among, 3 * alone, "looking for work costs more than the work")


if __name__ == "__main__":
    unittest.main()
