# SPDX-License-Identifier: Apache-2.0
"""test_recall.py - a cancelled campaign takes back what the network has accepted and not delivered: all of it, once each, nothing that was delivered, nothing over a channel
that is not allowed to. The funnel, the contacts and the caps say what became of it."""
import time
import unittest

import harness

HOUR_MS = 3600000


class Recall(harness.Storm):
    """Some receipts come at once, the others not while the test looks: those messages lie at the message centre."""
    durable = True
    knobs = {"receipt_late_ms": HOUR_MS}
    instance = {"window": 100, "cancel": True}

    def setUp(self):
        super().setUp()
        self.sim.set(receipt_late_permille=1000, receipt_permille=1000, receipt_late_ms=HOUR_MS)

    def accepted(self, cmp, n):
        self.assertTrue(self.until(lambda: len(self.contacts_in("contact_submit", cmp)) == n, 30, 0.1), self.funnel(cmp))

    def events(self, cmp, kind):
        return self.number("SELECT count(*) FROM contact_event e JOIN wave w ON w.wave_id = e.contact_id >> 32 JOIN campaign c USING (campaign_id)"
                           " WHERE c.public_id = '%s' AND e.kind = %d" % (cmp, kind))

    def cancels(self):
        stats = self.sim.stats()
        return tuple(stats[k] for k in ("cancels", "cancels_good", "cancels_late", "cancels_repeated"))

    def becomes(self, cmp, word, n, timeout_s=30):
        self.assertTrue(self.until(lambda: self.funnel(cmp)[word] == n, timeout_s, 0.1), "%s %s" % (self.funnel(cmp), self.cancels()))

    def adds_up(self, cmp, **expected):
        funnel = self.funnel(cmp)
        self.assertEqual({k: funnel[k] for k in ("submitted", "delivered", "failed", "expired", "recalled", "unknown", "pending")},
                         {**dict.fromkeys(("delivered", "failed", "expired", "recalled", "unknown", "pending"), 0), **expected}, funnel)
        self.seals_verify()


class TakesBack(Recall):
    def test_what_is_not_delivered_and_nothing_else(self):
        self.sim.set(receipt_late_permille=500)
        people = self.consenting(400)
        cap = self.api.post("/api/v1/caps", {"name": "recall", "max": 1, "period": "year", "zone": "UTC", "classes": ["marketing"]})["id"]
        self.addCleanup(self.api.call, "DELETE", "/api/v1/caps/" + cap, headers={"If-Match": self.api.ask("GET", "/api/v1/caps/" + cap).headers["ETag"]})
        cmp = self.campaign(people)
        self.accepted(cmp, 400)
        self.assertTrue(self.until(lambda: self.sim.stats()["receipts_acked"] == self.sim.stats()["receipts_made"] == self.funnel(cmp)["delivered"], 30, 0.1))
        delivered = self.funnel(cmp)["delivered"]
        self.assertTrue(100 < delivered < 300, delivered)
        asked_before = self.metric("campgw_recalls_asked_total")
        self.act(cmp, "cancel")
        self.becomes(cmp, "recalled", 400 - delivered)
        self.assertEqual(self.cancels(), (400 - delivered, 400 - delivered, 0, 0))
        self.assertEqual(self.metric("campgw_recalls_asked_total") - asked_before, 400 - delivered)
        self.adds_up(cmp, submitted=400, delivered=delivered, recalled=400 - delivered)
        self.complete(cmp, 40, ("cancelled",))
        states = self.api.every("/api/v1/contacts?campaign=%s&state=recalled&limit=500" % cmp)
        self.assertEqual(len(list(states)), 400 - delivered)
        # the word of a peer that nothing was delivered gives no cap back
        again = self.campaign(people)
        self.assertEqual(self.complete(again)["held"], {"cap.period": 400})
        self.no_complaints()

    def test_who_says_no_is_asked_once_whatever_restarts(self):
        """The network has delivered and its receipts are lost: it is too late for each, and that is remembered."""
        self.sim.set(receipt_permille=0, receipt_late_permille=0)
        people = self.consenting(100)
        cmp = self.campaign(people)
        self.accepted(cmp, 100)
        self.act(cmp, "cancel")
        self.assertTrue(self.until(lambda: self.events(cmp, 15) == 100, 30, 0.1), self.cancels())
        self.restart(kill=True)
        time.sleep(5)  # a second for the parts, then some rounds
        self.assertEqual(self.cancels(), (100, 0, 100, 0))
        self.adds_up(cmp, submitted=100, pending=100)

    def test_what_comes_while_it_is_cancelled_is_taken_back_too(self):
        self.sim.set(delay_min_ms=400, delay_max_ms=800)
        self.addCleanup(self.sim.set, delay_min_ms=0, delay_max_ms=0)
        people = self.consenting(1200)  # a window of 100 each 0.6 s: six seconds are left
        cmp = self.campaign(people)
        self.goes(150)
        self.act(cmp, "cancel")
        self.assertTrue(self.until(lambda: self.funnel(cmp)["waiting"] == 0 and self.funnel(cmp)["pending"] == 0, 30, 0.1), "%s %s" % (self.funnel(cmp), self.cancels()))
        funnel = self.funnel(cmp)
        self.assertEqual(funnel["recalled"], funnel["submitted"], funnel)
        self.assertGreater(funnel["held"]["campaign.cancelled"], 100, "nothing was left: the test proves little")
        self.assertEqual(self.cancels(), (funnel["submitted"], funnel["submitted"], 0, 0))

    def test_a_campaign_that_goes_on_keeps_everything(self):
        people = self.consenting(50)
        cmp = self.campaign(people)
        self.accepted(cmp, 50)
        time.sleep(2)
        self.assertEqual(self.cancels(), (0, 0, 0, 0))


class Killed(Recall):
    """Slowly enough that a SIGKILL meets it in the middle: 50 of the 100 a second are for taking back."""
    instance = {"window": 100, "cancel": True, "rate": 100}

    def test_nobody_is_forgotten_and_few_are_asked_twice(self):
        n, unanswered = 300, 32 + 50  # of one bind; answers of the last 50 ms, at most 1,000, not yet in the database
        self.sim.set(receipt_late_ms=40000)  # then the message centre says DELETED, also to whom its answer was lost
        people = self.consenting(n)
        cmp = self.campaign(people)
        self.accepted(cmp, n)
        self.act(cmp, "cancel")
        self.assertTrue(self.until(lambda: self.cancels()[0] >= 60, 30, 0.01), self.cancels())
        self.gateway.kill()
        before = self.cancels()[0]
        self.assertLess(before, n, "it was through already: the test proves little")
        self.gateway.start()
        self.api.port = self.gateway.port
        self.becomes(cmp, "recalled", n, 70)
        asked, good, late, repeated = self.cancels()
        self.assertEqual((good, late), (n, 0))
        self.assertLessEqual(repeated, unanswered)
        self.assertEqual(asked, n + repeated)
        self.adds_up(cmp, submitted=n, recalled=n)
        self.no_complaints()


class Isolated(Recall):
    instance = {"window": 100, "cancel": True, "isolation": "process"}

    def test_a_plugin_in_a_process_of_its_own_does_it_too(self):
        people = self.consenting(400)
        cmp = self.campaign(people)
        self.accepted(cmp, 400)
        self.act(cmp, "cancel")
        self.becomes(cmp, "recalled", 400)
        self.assertEqual(self.cancels(), (400, 400, 0, 0))
        self.adds_up(cmp, submitted=400, recalled=400)


class NotAllowed(Recall):
    instance = {"window": 100}

    def test_without_the_option_everything_is_delivered(self):
        self.sim.set(receipt_late_ms=6000)
        asked_before = self.metric("campgw_recalls_asked_total")
        people = self.consenting(100)
        cmp = self.campaign(people)
        self.accepted(cmp, 100)
        self.act(cmp, "cancel")
        self.becomes(cmp, "delivered", 100)
        self.assertEqual(self.cancels(), (0, 0, 0, 0))
        self.assertEqual(self.metric("campgw_recalls_asked_total"), asked_before, "the channel was asked")
        self.adds_up(cmp, submitted=100, delivered=100)


if __name__ == "__main__":
    unittest.main()
