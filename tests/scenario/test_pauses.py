# SPDX-License-Identifier: Apache-2.0
"""test_pauses.py - scripts/test tells a failure from one that fell into a moment when the machine stood still, and asks once more only then."""
import os
import sys
import time
import unittest

import harness

sys.path.insert(0, os.path.join(harness.ROOT, "scripts/lib"))
import pauses  # noqa: E402
import testrun  # noqa: E402


class Slow(pauses.Pauses):
    def durable(self):
        time.sleep(pauses.NOTED_S + 0.1)


class Stuck(pauses.Pauses):
    def durable(self):
        self.over.wait(60)


class Fixed:
    def __init__(self, found):
        self.found = found

    def longest(self, _):
        return self.found


class Pauses(unittest.TestCase):
    def test_a_disk_that_takes_a_second_is_noted_for_who_ran_then(self):
        began = time.monotonic()
        slow = Slow()
        self.assertTrue(harness.stack.wait_until(lambda: any(what == "disk" for _, _, what in slow.notes), 20))
        slow.stop()
        self.assertGreater(slow.longest(began)[0], pauses.NOTED_S)
        self.assertIsNone(slow.longest(time.monotonic() + 60), "it was over before that")

    def test_one_that_goes_on_is_known_too(self):
        began, slow = time.monotonic(), Stuck()
        self.assertTrue(harness.stack.wait_until(lambda: slow.longest(began), 20))
        self.assertEqual([what for _, _, what in slow.notes if what == "disk"], [])
        slow.stop()


class Judged(unittest.TestCase):
    def run_of(self, pause, *outcomes):
        """Cases of a program with these outcomes, one each time it runs; how often it ran."""
        runner, ran = testrun.Runner.__new__(testrun.Runner), []
        runner.pauses, runner.again, runner.slower, runner.ended = Fixed(pause), [], 1, False

        def ask():
            ran.append(outcomes[len(ran)])
            return [testrun.Case("db", "x", ran[-1], why="why")]
        return runner.judged(ask)[0].outcome, len(ran), runner

    def test_it_is_asked_once_more_when_the_machine_stood_still_and_says_so(self):
        outcome, n, runner = self.run_of((2.0, "disk"), "failed", "passed")
        self.assertEqual((outcome, n), ("passed", 2))
        self.assertEqual(runner.again, ["x, while the disk stood still for 2.0 s: why"])

    def test_what_fails_again_has_failed(self):
        self.assertEqual(self.run_of((2.0, "disk"), "failed", "failed")[:2], ("failed", 2))

    def test_a_failure_of_a_machine_that_ran_is_a_verdict(self):
        self.assertEqual(self.run_of(None, "failed")[:2], ("failed", 1))

    def test_what_passed_or_was_skipped_is_not_asked(self):
        for outcome in ("passed", "skipped"):
            self.assertEqual(self.run_of((2.0, "core"), outcome)[:2], (outcome, 1))

    def test_a_run_has_few_of_these(self):
        runner = testrun.Runner.__new__(testrun.Runner)
        runner.pauses, runner.again, runner.slower, runner.ended, ran = Fixed((2.0, "core")), [], 1, False, []

        def ask():
            ran.append(1)
            return [testrun.Case("db", "x", "failed")]
        for _ in range(10):
            self.assertEqual(runner.judged(ask)[0].outcome, "failed")
        self.assertEqual(len(ran), 10 + testrun.AGAIN_MAX)


if __name__ == "__main__":
    unittest.main()
