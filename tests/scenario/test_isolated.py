# SPDX-License-Identifier: Apache-2.0
"""test_isolated.py - a channel in a process of its own: it crashes and is upgraded in the middle of a campaign. Afterwards gateway and simulator
agree, person by person; the other channel and the daemon went on.

CAMPGW_CRASH_CONTACTS = people of the campaign that it happens to (standard 5,000).
"""
import contextlib
import os
import signal
import unittest

import harness
import stack

N = int(os.environ.get("CAMPGW_CRASH_CONTACTS", "5000"))
WINDOW, BINDS = 50, 2
HANDED = 2 * WINDOW * BINDS  # credit of both lanes: all that its process can hold


class Isolated(harness.Storm):
    durable = True
    knobs = {"seed": 11, "delay_min_ms": 80, "delay_max_ms": 160,  # some 800/s: the windows are full at any moment
             "receipt_delay_min_ms": 20, "receipt_delay_max_ms": 800}
    instance = {"window": WINDOW, "binds": BINDS, "isolation": "process"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.settings["instances"].append({"name": "other", "plugin": "channel_loopback", "delay_ms": 5, "receipt_ms": 100})
        cls.gateway.configure(cls.settings)
        cls.restart()
        cls.change_route(prefixes=["+86139"])
        cls.api.post("/api/v1/routes", {"name": "other", "channel": "sms", "instance": "other", "sender": harness.SENDER, "sender_kind": "short_code", "prefixes": ["+86137"],
                                        "rate_per_s": 100})

    def process(self, name="smsc"):
        return next(c for c in self.api.get("/api/v1/channels")["data"] if c["name"] == name)

    def pid(self):
        return self.process()["process"]["pid"]

    def others(self, n):
        people = self.people(n)
        for p in people:
            p.msisdn = p.msisdn.replace("+86139", "+86137")
        self.consent(people)
        return people

    def restarts(self, reason):
        name = 'campgw_plugin_child_restarts_total{channel_instance="smsc",reason="%s"}' % reason
        lines = self.api.ask("GET", "/metrics").body.decode().splitlines()
        return next((float(line.split()[-1]) for line in lines if line.startswith(name + " ")), 0)

    def through(self):
        """Messages of the other channel so far."""
        return self.process("other")["submitted"]

    def test_it_runs_in_a_process_of_its_own(self):
        process = self.process()
        self.assertEqual(process["isolation"], "process")
        pid = process["process"]["pid"]
        self.assertEqual(stack.parent_of(pid), self.gateway.process.pid)
        self.assertTrue(os.readlink("/proc/%d/exe" % pid).endswith("campgw-plugin-host"))
        with open("/proc/%d/status" % pid, encoding="ascii") as f:
            status = dict(line.split(":", 1) for line in f.read().splitlines())
        self.assertEqual((status["NoNewPrivs"].strip(), status["Seccomp"].strip(), int(status["CapEff"], 16), int(status["CapBnd"], 16) & int(status["CapPrm"], 16)), ("1", "2", 0, 0))
        with open("/proc/%d/environ" % pid, encoding="ascii") as f:
            self.assertNotIn("CREDENTIALS", f.read())
        self.assertEqual(self.process("other")["isolation"], "none")

    def test_a_crash_costs_its_route_a_moment_and_nobody_a_message(self):
        people, crowd = self.consenting(N), self.others(3000)
        self.change_route(rate_per_s=5000)
        other = self.campaign(crowd)
        cmp = self.campaign(people)
        crashes, daemon = self.restarts("crash"), self.gateway.process.pid
        self.assertTrue(self.until(lambda: self.unique() >= N // 3, 120, 0.01), self.funnel(cmp))
        pid = self.pid()
        self.hands_full(WINDOW)
        os.kill(pid, signal.SIGABRT)  # SIGSEGV a sanitizer takes for itself, and ends with a status
        through = self.through()
        self.assertTrue(self.until(lambda: self.pid() not in (0, pid) and self.process()["up"], 40), self.process())
        self.assertTrue(self.until(lambda: self.through() > through), "the other route stood still")
        self.assertEqual(self.process("other")["up"], True)
        self.assertEqual(self.restarts("crash"), crashes + 1)
        funnel = self.account(cmp, people, HANDED, 240 + N // 100)
        self.assertGreater(funnel["in_doubt"], 0, "it held nothing: the test saw no crash in the middle")
        beside = self.complete(other, 90)
        self.assertEqual((beside["submitted"], beside["in_doubt"]), (len(crowd), 0))
        self.assertEqual(self.gateway.process.pid, daemon)
        self.no_complaints()

    def test_an_upgrade_is_a_restart_of_its_process(self):
        people = self.consenting(min(N, 5000))
        self.change_route(rate_per_s=1500)
        cmp = self.campaign(people)
        self.goes(len(people) // 3)
        pid, daemon, done = self.pid(), self.gateway.process.pid, self.restarts("restart")
        self.assertEqual(self.api.post("/api/v1/channels/smsc/restart")["state"], "restarting")
        self.assertTrue(self.until(lambda: self.pid() not in (0, pid) and self.process()["up"], 40), self.process())
        self.assertEqual((self.restarts("restart"), self.gateway.process.pid), (done + 1, daemon))
        self.account(cmp, people, 0, 120)  # what was in flight was waited for
        self.assertEqual(self.number("SELECT count(*) FROM audit WHERE action = 'channel.restart' AND object = 'smsc'"), 1)

    def test_what_runs_inside_the_gateway_cannot_be_restarted(self):
        for name, status in (("other", 409), ("nobody", 404)):
            self.assertEqual(self.api.ask("POST", "/api/v1/channels/%s/restart" % name).status, status)

    def test_a_process_that_hangs_is_replaced(self):
        people = self.consenting(2000)  # more than the windows take until they are full, though the machine pauses for two seconds
        self.change_route(rate_per_s=500)
        cmp = self.campaign(people)
        self.goes(100)
        pid = self.pid()
        self.hands_full(WINDOW)
        os.kill(pid, signal.SIGSTOP)
        self.assertTrue(self.until(lambda: self.pid() not in (0, pid) and self.process()["up"], 40), self.process())
        self.assertGreaterEqual(self.restarts("hang"), 1)
        self.change_route(rate_per_s=None)
        funnel = self.account(cmp, people, HANDED, 120)
        self.assertGreater(funnel["in_doubt"], 0, "it held nothing: the test saw no hang in the middle")

    def test_it_ends_with_the_gateway(self):
        """A process that its gateway left behind would go on sending."""
        pid = self.pid()
        self.restart(kill=True)
        gone = stack.wait_until(lambda: stack.start_ticks(pid) is None, 20)
        with contextlib.suppress(ProcessLookupError):
            if not gone:
                os.kill(pid, signal.SIGKILL)
        self.assertTrue(gone)


if __name__ == "__main__":
    unittest.main()
