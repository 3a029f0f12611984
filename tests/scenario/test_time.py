# SPDX-License-Identifier: Apache-2.0
"""test_time.py - the clock jumps: of the database's machine (it is everybody's time), of the daemon's machine, back and forth, and over a restart of
the database. Nobody is contacted in a closed hour, leases survive, nobody is lost or contacted twice, nothing spins.

Clocks are moved by libfaketime (Debian package `faketime`); without it the tests skip.
"""
import datetime
import glob
import os
import time
import unittest
import zoneinfo

import harness
import stack

ALONE = "clocks jump"  # no other test beside it (scripts/lib/testrun.py)

HOUR = 3600
RATE, SLOW = 100, 20
WINDOW = 10
LIBRARY = next(iter(glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")), None)


class Jumps(harness.Field):
    instance = {"window": WINDOW}
    daemon_too = False

    @classmethod
    def setUpClass(cls):
        if not LIBRARY:
            raise unittest.SkipTest("libfaketime is not installed (package faketime)")
        super().setUpClass()
        if cls.daemon_too and stack.sanitized(cls.gateway.process.pid):
            raise unittest.SkipTest("libfaketime and the runtime of a sanitizer do not get along in one process")
        cls.clock_file = os.path.join(cls.dir, "clock")
        cls.jump(0)
        cls.gateway.stop()
        cls.cluster.stop()
        cls.by_clock_file(cls.cluster)
        if cls.daemon_too:
            cls.by_clock_file(cls.gateway)
        cls.cluster.start()
        cls.gateway.start()
        cls.api.port = cls.gateway.port

    @classmethod
    def by_clock_file(cls, server):
        """From its next start on this server lives by the clock file. (Set behind the change of user: the library leaves semaphores.)"""
        server.prefix = server.prefix + ["env", "LD_PRELOAD=" + LIBRARY, "FAKETIME_TIMESTAMP_FILE=" + cls.clock_file, "FAKETIME_CACHE_DURATION=1", "DONT_FAKE_MONOTONIC=1"]

    @classmethod
    def jump(cls, seconds):
        stack.write_file(cls.clock_file, "%+d\n" % seconds, cls.gateway.who)

    def jumped(self, seconds):
        """Moves the clock and waits until the database shows it."""
        self.jump(seconds)
        self.assertTrue(self.until(lambda: abs(self.ahead() - seconds) < 60, 30, 0.1), "the clock did not move: %d" % self.ahead())

    def ahead(self):
        return float(self.rows("SELECT extract(epoch FROM now())")[0][0]) - datetime.datetime.now(datetime.timezone.utc).timestamp()

    def setUp(self):
        self.sim.ctl("reset")
        self.jumped(0)
        self.change_route(rate_per_s=RATE)

    def consenting(self, n, place=harness.HOME):
        people = self.people(n, place=place)
        self.consent(people)
        return people

    def unique(self):
        return self.sim.stats()["messages"]["unique"]

    def goes(self, at_least):
        self.assertTrue(self.until(lambda: self.unique() >= at_least, 30), "only %d of %d messages came\n%s" % (self.unique(), at_least, stack.tail(self.gateway.process.log_path, 10)))

    def epochs(self):
        return self.rows("SELECT part, node, epoch FROM part_head ORDER BY part")

    def everybody_once(self, cmp, people):
        # whom a pause of the machine kept from being written while the clock was ahead is due by that clock: when it is put right, an hour later. Here it has passed, for the few.
        an_hour_later = "UPDATE echo SET not_before = now() WHERE state = 0 AND not_before > now() + interval '10 minutes' RETURNING 1"
        put_off = 0

        def nobody_waits():
            nonlocal put_off
            put_off += len(self.rows(an_hour_later))
            return self.funnel(cmp)["waiting"] == 0
        self.assertTrue(self.until(self.patient(nobody_waits), 150, 0.5), self.funnel(cmp))
        self.assertLess(put_off, len(people) // 5, "the clock put them off")
        funnel = self.complete(cmp, 90)
        self.assertEqual((funnel["held"], funnel["submitted"]), ({}, len(people)), funnel)
        self.assertEqual(self.reached(), self.keys(people))
        self.assertEqual([m for m in self.sim.messages() if m.taken != 1], [], "somebody got it twice")


class DatabaseClock(Jumps):
    def test_a_campaign_survives_an_hour_forth_and_two_back(self):
        people = self.consenting(500)
        epochs = self.epochs()
        cmp = self.campaign(people, not_after_s=6 * HOUR, validity_s=2 * HOUR)
        for at, seconds in ((100, HOUR), (200, -HOUR), (300, 0)):
            self.goes(at)
            self.jumped(seconds)
        self.everybody_once(cmp, people)
        self.assertEqual(self.epochs(), epochs, "a lease was lost")
        self.assertNotIn("queue.part.lost", self.log())
        self.seals_verify()
        self.no_complaints()

    def test_a_restart_of_the_database_at_another_time(self):
        people = self.consenting(300)
        cmp = self.campaign(people, not_after_s=6 * HOUR, validity_s=2 * HOUR)
        for at, seconds in ((60, -HOUR), (160, HOUR)):
            self.goes(at)
            self.cluster.stop("fast")
            self.jump(seconds)
            self.cluster.start()
        self.everybody_once(cmp, people)
        self.seals_verify()

    def open_zone(self):
        """A zone where the hour that has begun is neither the first nor one of the last of the day."""
        return next(z for z in ("Asia/Urumqi", "Europe/London", "America/New_York") if 1 <= datetime.datetime.now(zoneinfo.ZoneInfo(z)).hour <= 19)

    def test_nobody_is_contacted_in_an_hour_that_a_jump_has_closed(self):
        zone = self.open_zone()
        here = self.consenting(12800, place=("CN-XJ", zone))  # two hundred in each chunk: most of those in work are decided, and wait, when the hour ends
        self.change_route(rate_per_s=SLOW)
        hour = datetime.datetime.now(zoneinfo.ZoneInfo(zone)).hour
        self.api.post("/api/v1/calendars", {"name": "open for two hours", "kind": "quiet", "region": "CN-XJ", "hours": [
            {"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "from": "%02d:00" % hour, "to": "%02d:00" % (hour + 2)}]})
        cmp = self.campaign(here, not_after_s=30 * HOUR, validity_s=HOUR // 2)
        self.goes(SLOW)
        self.jumped(2 * HOUR + 300)
        before = self.unique()
        self.assertTrue(self.until(lambda: self.progress(cmp)["waiting_for"] == "quiet_calendar", 30, 0.1), self.progress(cmp))
        standing = self.stands()
        # each session of the daemon sees the jump two seconds later at most, and the machine may pause for two; what was intended until then may go
        most = 5 * SLOW + 2 * WINDOW
        print("# %d left after the jump (bound %d)" % (standing - before, most), flush=True)
        self.assertLessEqual(standing - before, most, "who was decided before the jump is contacted after it")
        self.assertIsNone(self.until(lambda: self.unique() > standing, 1.5, 0.1), "somebody is contacted in a closed hour")
        spent, lines = self.work(), len(self.log().splitlines())
        self.assertIsNone(self.until(lambda: False, 2))
        self.assertLess(self.work() - spent, 400, "transactions without work to do: it spins")
        self.assertLess(len(self.log().splitlines()) - lines, 40)
        self.act(cmp, "cancel")
        self.assertTrue(self.until(lambda: self.funnel(cmp)["waiting"] == 0), self.funnel(cmp))
        self.assertEqual(self.funnel(cmp)["held"], {"campaign.cancelled": len(here) - standing})

    def stands(self):
        """Messages when none has come for 2.5 s (longer than a pause of the machine, at the end of which some might), after 15 s in any case."""
        seen, since, end = self.unique(), time.monotonic(), time.monotonic() + 15
        while time.monotonic() < min(since + 2.5, end):
            if self.unique() != seen:
                seen, since = self.unique(), time.monotonic()
            time.sleep(0.05)
        return seen

    def work(self):
        return self.number("SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = 'campgw'")

    def test_parts_of_a_dead_node_are_not_waited_for_when_the_clock_goes_back(self):
        self.jumped(HOUR)
        # what a node leaves that was killed a moment ago; then the clock is put right again
        self.rows("INSERT INTO node (name, version) VALUES ('gone', '0'); UPDATE part_head SET node = 'gone', epoch = epoch + 1, lease_until = now() + interval '10 s' WHERE part < 16")
        self.jumped(0)
        self.assertTrue(self.until(lambda: self.number("SELECT count(*) FROM part_head WHERE node = 'gone'") == 0, 30, 0.2), "its leases run for another hour: %s" % self.epochs()[:2])
        people = self.consenting(100)
        self.everybody_once(self.campaign(people), people)


class DaemonClock(Jumps):
    daemon_too = True

    def test_both_clocks_may_jump(self):
        people = self.consenting(500)
        cmp = self.campaign(people, not_after_s=6 * HOUR, validity_s=2 * HOUR)
        for at, seconds in ((100, HOUR), (200, -HOUR), (300, 0)):
            self.goes(at)
            self.jumped(seconds)
        self.everybody_once(cmp, people)
        self.no_complaints()


if __name__ == "__main__":
    unittest.main()
