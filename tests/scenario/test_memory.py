# SPDX-License-Identifier: Apache-2.0
"""test_memory.py - millions are queued, the message centre is slow, and the daemon holds what it has in hand and no more: the formula of
core/README.md ("Memory"), computed here from the same terms. CAMPGW_LONG=1 (scripts/test --all) queues 5,000,000, otherwise 300,000.
"""
import os
import unittest

import harness
import stack

ALONE = "it takes the memory of the machine"  # no other test beside it (scripts/lib/testrun.py)

QUEUED = 5000000 if os.environ.get("CAMPGW_LONG") else 300000
WINDOW = 1000
DISPATCHERS = 3  # two bulk and the urgent one
CHUNK_ROWS = 5000
# bytes; what they are made of stands in core/README.md
BASE = 16 << 20
DECIDED_ROW = 2048
IN_FLIGHT = 2048
UPLOAD = 16 << 20


def page_bytes():
    """What a single touched byte takes of the memory."""
    try:
        with open("/sys/kernel/mm/transparent_hugepage/enabled", encoding="ascii") as f:
            return 2 << 20 if "[always]" in f.read() else 4096
    except OSError:
        return 4096


REMEMBERED = min(1048576 * 72, 6 * WINDOW * page_bytes())  # of those that are accepted here, each on a page of its own
FORMULA = BASE + REMEMBERED + DISPATCHERS * CHUNK_ROWS * DECIDED_ROW + 2 * WINDOW * IN_FLIGHT + UPLOAD


class Queued(harness.Field):
    knobs = {"delay_min_ms": 3000, "delay_max_ms": 3000}
    instance = {"window": WINDOW}

    @staticmethod
    def body(n):
        """CSV made while it is sent."""
        yield b"msisdn,code\n"
        for at in range(0, n, 5000):
            yield "".join("+86138%08d,%d\n" % (i, i) for i in range(at, min(n, at + 5000))).encode()

    def anonymous(self):
        return stack.rss_anon(self.gateway.process.pid)

    def test_memory_follows_what_is_in_hand_and_not_what_is_queued(self):
        aud = self.api.post("/api/v1/audiences", {"name": "many"})["id"]
        done = self.api.call("PUT", "/api/v1/audiences/%s/recipients" % aud, body=self.body(QUEUED), media="text/csv", timeout_s=800)
        self.assertEqual(done["accepted"], QUEUED)
        uploaded = self.anonymous()
        # a class that needs no consent: five million grants would say nothing here
        cmp = self.campaign(None, audience=aud, not_after_s=6 * 3600, **{"class": "service", "purpose": "service"})
        self.assertTrue(self.until(lambda: self.number("SELECT count(*) FROM wave WHERE state = 'running'") == 1, 300, 0.2), "not planned")
        peak = 0

        def enough():
            nonlocal peak
            peak = max(peak, self.anonymous())
            return self.sim.stats()["messages"]["unique"] >= 5 * WINDOW
        self.assertTrue(self.until(enough, 60, 0.05), "%s" % self.progress(cmp))
        waiting = self.progress(cmp)["total"] - self.progress(cmp)["done"]
        self.assertGreater(waiting, QUEUED // 2, "the message centre is not slow")
        print("# %d queued: %d bytes anonymous at most, %d after the upload, formula %d" % (QUEUED, peak, uploaded, FORMULA), flush=True)
        self.memory_below(peak, FORMULA)
        self.act(cmp, "cancel")


if __name__ == "__main__":
    unittest.main()
