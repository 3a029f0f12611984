# SPDX-License-Identifier: Apache-2.0
"""test_nodes.py - three nodes on one database, their clocks five seconds apart. One is killed; the one that plans is stopped in the middle of
a campaign for longer than its lease, and comes back. Afterwards gateway and simulator must agree as exactly as after a crash of one.

CAMPGW_CRASH_CONTACTS = people in the audience (standard 5,000).
"""
import signal
import time
import unittest

import harness
import test_crash

LEASE_MS = 4000  # longer than a machine pauses: only who is killed or stopped loses its parts
TAKEOVER_S = 60  # no promise, only an end to waiting: machines may be slow
PARTS = 64


class Cluster:
    """What is asked of several nodes."""
    config = {"dispatch": {"lease_ms": LEASE_MS}}

    @classmethod
    def held(cls):
        """Parts by the node that holds them now."""
        return {row[0]: int(row[1]) for row in cls.cluster.sql("SELECT node, count(*) FROM part_head WHERE lease_until > now() GROUP BY 1")}

    @classmethod
    def spread_over(cls, *nodes):
        """All parts, in fair shares, are held by just these."""
        def fair():
            held = cls.held()
            return set(held) == set(nodes) and sum(held.values()) == PARTS and max(held.values()) <= -(-PARTS // len(nodes))
        assert harness.stack.wait_until(fair, TAKEOVER_S), "parts are held by %s, not by %s" % (cls.held(), nodes)

    @classmethod
    def planner(cls):
        """Node of the session that holds the planner's lock."""
        rows = cls.cluster.sql("SELECT split_part(split_part(a.application_name, '@', 2), ' ', 1) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE l.locktype = 'advisory' AND l.granted")
        return rows[0][0] if rows else None


class Faults(Cluster, test_crash.Crash):
    IN_DOUBT_MAX = 2 * test_crash.IN_DOUBT_MAX
    knobs = {**test_crash.Crash.knobs, "error_permille": 150,  # so many that some are refused while their node stands still
             "ack_timeout_ms": 5000 * TAKEOVER_S}  # a node that stands still answers no receipts, rightly so

    @classmethod
    def campaign_story(cls):
        self = cls("test_everybody_is_accounted_for")  # for its waiting and failing
        first, second, third = cls.gateway, cls.further_node("node-2", "--clock-shift-ms", "5000"), cls.further_node("node-3", "--clock-shift-ms", "-5000")
        cls.spread_over("node-1", "node-2", "node-3")
        cls.planners = [cls.planner()]
        cls.api.port = second.port
        cls.change_route(rate_per_s=max(600, test_crash.N // 20))
        cls.cmp = cls.campaign(cls.everybody)
        step = len(cls.groups["open"]) // 4
        self.reaches(step)
        self.until(lambda: len(cls.sending()) == 3, 20, 0.05)  # a node in whose parts a wave had nothing looks again after 2 s at most
        cls.senders = cls.sending()
        cls.hands_full(2 * test_crash.WINDOW * test_crash.BINDS + 1)  # more than two nodes can have on their way
        third.kill()
        killed = time.monotonic()
        self.reaches(2 * step)
        first.process.signal(signal.SIGSTOP)
        stopped = time.monotonic()
        try:
            cls.spread_over("node-2")
            cls.takeover = [time.monotonic() - t for t in (killed, stopped)]
            late = cls.campaign(cls.groups["closed"][:1])  # planned although the planner stands still; nobody may be reached
            self.complete(late)
            cls.planners.append(cls.planner())
        finally:
            first.process.signal(signal.SIGCONT)
        cls.spread_over("node-1", "node-2")
        third.start("--clock-shift-ms", "-5000")
        cls.spread_over("node-1", "node-2", "node-3")
        cls.restart_s = 0
        self.give_up_waiting(cls.cmp, 240 + test_crash.N // 200)
        cls.result = self.complete(cls.cmp, 240 + test_crash.N // 200)
        cls.remember()

    @classmethod
    def sending(cls):
        return {r[0] for r in cls.cluster.sql("SELECT DISTINCT node FROM intent")}

    def reaches(self, n):
        self.assertTrue(self.until(lambda: self.sim.stats()["messages"]["unique"] >= n, 120, 0.01), "%d were not reached: %s" % (n, self.funnel(self.cmp)))

    def test_in_doubt_is_bounded(self):
        super().test_in_doubt_is_bounded()
        self.assertGreater(len(self.in_doubt), 0, "nothing was on its way when they were killed and stopped: this run shows nothing")

    def test_every_node_worked_on_the_one_campaign(self):
        self.assertEqual(self.senders, {"node-1", "node-2", "node-3"})

    def test_another_node_plans_when_the_planner_stands_still(self):
        self.assertEqual(self.planners, ["node-1", "node-2"])

    def test_late_results_find_their_rows(self):
        """What the stopped node knew of its last windows is stored, also where a receipt came first."""
        with open(self.gateway.process.log_path, encoding="utf-8", errors="replace") as f:
            log = f.read()
        self.assertNotIn("outcome.item.refused", log)
        self.assertNotIn("where=23505", log)

    def test_work_is_taken_over(self):
        self.assertLess(max(self.takeover), TAKEOVER_S)
        print("# all parts taken over %.1f leases after the kill, %.1f after the stop" % tuple(t * 1000 / LEASE_MS for t in self.takeover), flush=True)


class Rate(Cluster, harness.Field):
    RATE, PEOPLE = 150, 900

    def test_nodes_share_the_rate_of_a_route(self):
        people = self.people(self.PEOPLE)
        self.consent(people)
        self.further_node("node-2")
        self.further_node("node-3")
        self.spread_over("node-1", "node-2", "node-3")
        self.change_route(rate_per_s=self.RATE)
        began_ms = time.time() * 1000  # the simulator runs on this machine: the same clock
        cmp = self.campaign(people)
        self.complete(cmp)
        senders = {r[0] for r in self.rows("SELECT DISTINCT node FROM intent")}
        came = sorted(m.first_ms for m in self.sim.messages())
        # of the whole time: from the first arrival on, a late one would make the others seem faster; without what the buckets may hold at once, a tenth of a second
        rate = (len(came) - self.RATE // 10) * 1000 / (came[-1] - began_ms)
        print("# %d messages of %d nodes at %.0f/s, the route's rate is %d" % (len(came), len(senders), rate, self.RATE), flush=True)
        self.assertEqual((len(came), len(senders)), (self.PEOPLE, 3))
        self.assertLess(rate, self.RATE * 1.1)


class Clocks(harness.Field):
    def set_database_ahead(self, seconds):
        """As if this machine's clock were that much behind: the daemon's search path begins with its own schema."""
        self.rows("CREATE OR REPLACE FUNCTION campgw.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$ SELECT pg_catalog.clock_timestamp() + interval '%d s' $$" % seconds)
        self.addCleanup(self.rows, "DROP FUNCTION IF EXISTS campgw.clock_timestamp()")

    def test_a_node_whose_clock_is_more_than_a_minute_off_does_not_start(self):
        self.set_database_ahead(-5)
        self.restart()
        for ahead in (70, -70):
            self.gateway.stop()
            self.set_database_ahead(ahead)
            self.gateway.launch()
            self.assertTrue(self.gateway.process.wait_gone(30), "it runs")
            self.assertIn("s away from the database's", self.log().splitlines()[-1])


if __name__ == "__main__":
    unittest.main()
