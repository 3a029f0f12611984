# SPDX-License-Identifier: Apache-2.0
"""test_peer.py - the message centre misbehaves in every way known from the field: throttling storms, stalls, half-dead links, answers in
any order or never, receipts early, days late, twice, against each other, ids in other spellings, one lost connection after the other.
When the fault is over the campaign goes on to its end; what was answered is not sent again; what was not is in doubt, and no more
than the windows hold; everybody has a final word.

The simulator counts: `submits` are PDUs, so `submits == people` says that nothing at all was sent a second time.
"""
import unittest

import harness

RECOVERS_S = 60  # after the end of a fault, on a machine that does other things as well


class Peer(harness.Storm):
    def setUp(self):
        super().setUp()
        before = {k: v for k, v in self.sim.ctl("get").items() if k not in ("ok", "id_start")}
        self.addCleanup(lambda: self.sim.set(**{k: v for k, v in before.items() if v != ""}))

    def submits(self):
        return self.sim.stats()["submits"]

    def counts(self, cmp, **wanted):
        """Waits for these numbers of the funnel, all at once."""
        self.assertTrue(self.until(lambda: {k: self.funnel(cmp)[k] for k in wanted} == wanted, RECOVERS_S, 0.1), "wanted %s, got %s" % (wanted, self.funnel(cmp)))


class Links(Peer):
    """Faults of links and of windows."""
    WINDOW, BINDS = 10, 2
    instance = {"window": WINDOW, "binds": BINDS, "enquire_link_ms": 400, "enquire_timeout_ms": 4000, "response_timeout_ms": 8000, "throttle_max_ms": 500, "bind_refused_ms": 200}

    def live(self):
        return {s["session"] for s in self.sim.ctl("sessions")["sessions"] if s["state"] == "trx"}

    def test_throttling_storms_cost_nobody_an_attempt(self):
        self.change_route(max_tries=1)
        self.addCleanup(self.change_route, max_tries=5, rate_per_s=None)
        for status in ("0x58", "0x14"):
            with self.subTest(status=status):
                self.sim.ctl("reset")
                self.sim.set(throttle_status=status)
                people = self.consenting(200)
                self.change_route(rate_per_s=50)  # more than three seconds are left when the storm begins
                cmp = self.campaign(people)
                self.goes(40)
                self.sim.set(throttle_permille=1000)
                self.assertTrue(self.until(lambda: self.sim.stats()["throttled"] >= 25, RECOVERS_S), self.sim.stats())
                self.sim.set(throttle_permille=0)
                self.change_route(rate_per_s=None)
                funnel = self.account(cmp, people, timeout_s=RECOVERS_S)
                self.assertEqual(funnel["delivered"], len(people))
                stats = self.sim.stats()
                self.assertEqual(stats["submits"], len(people) + stats["throttled"], "what was taken was sent again")
        self.no_complaints()

    def test_a_window_without_answers_is_waited_for_and_not_overrun(self):
        people = self.consenting(200)
        self.sim.set(expect_window=self.WINDOW)
        cmp = self.campaign(people, start=False)
        self.sim.set(delay_min_ms=2500, delay_max_ms=2500)
        self.act(cmp, "start")
        most = self.BINDS * self.WINDOW
        bulk = most - self.BINDS * self.WINDOW // 10  # a tenth of each window is kept for urgent messages
        self.assertTrue(self.until(lambda: self.sim.stats()["unanswered"] >= bulk, RECOVERS_S, 0.005), self.sim.stats())
        self.sim.set(delay_min_ms=0, delay_max_ms=0)
        self.assertLessEqual(self.submits(), most)
        funnel = self.account(cmp, people, timeout_s=RECOVERS_S)
        self.assertEqual((funnel["delivered"], self.submits()), (len(people), len(people)))
        self.no_complaints()

    def test_a_half_dead_link_is_found_and_replaced_while_the_other_carries_on(self):
        people = self.consenting(400)
        self.change_route(rate_per_s=80)  # more than four seconds for the other one to carry on in
        self.addCleanup(self.change_route, rate_per_s=None)
        self.assertTrue(self.until(lambda: len(self.live()) == self.BINDS), self.live())
        cmp = self.campaign(people)
        self.goes(30)
        dead = min(self.live())
        self.sim.ctl("mute session=%d" % dead)
        at = self.unique()
        self.goes(at + self.WINDOW)
        self.assertTrue(self.until(lambda: dead not in self.live() and len(self.live()) == self.BINDS, RECOVERS_S), "the dead link is still trusted: %s" % self.live())
        self.change_route(rate_per_s=None)
        self.assertTrue(self.until(lambda: self.funnel(cmp)["waiting"] == 0, RECOVERS_S), self.funnel(cmp))
        self.account(cmp, people, in_doubt_max=self.WINDOW, timeout_s=RECOVERS_S)
        self.assertLessEqual(self.submits(), len(people))

    def test_one_lost_connection_after_the_other(self):
        people = self.consenting(300)
        cmp = self.campaign(people, start=False)
        self.sim.set(drop_every_submits=25)
        self.act(cmp, "start")
        self.goes(200)
        self.sim.set(drop_every_submits=0)
        self.assertTrue(self.until(lambda: self.funnel(cmp)["waiting"] == 0, RECOVERS_S), self.funnel(cmp))
        drops = self.sim.stats()["drops"]
        self.assertGreaterEqual(drops, 8)
        self.account(cmp, people, in_doubt_max=drops * self.WINDOW, timeout_s=RECOVERS_S)
        self.assertLessEqual(self.submits(), len(people), "a message that may have been taken was sent again")


class Answers(Peer):
    """Faults of answers and receipts."""
    WINDOW = 10
    instance = {"window": WINDOW, "response_timeout_ms": 4000}  # longer than a machine pauses: who was answered is not in doubt
    knobs = {"deliver_window": 20}

    def test_answers_in_any_order_and_some_never(self):
        people = self.consenting(200)
        self.sim.set(reorder_permille=500, reorder_ms=100, drop_answer_permille=60, swallow_permille=40)
        cmp = self.campaign(people)
        self.assertTrue(self.until(lambda: self.funnel(cmp)["waiting"] == 0 and self.funnel(cmp)["submitted"] == len(people), 60, 0.1),
                        "the window is not given back: %s" % self.funnel(cmp))
        stats = self.sim.stats()
        self.assertEqual(stats["submits"], len(people), "something was sent again")
        lost, taken = stats["swallowed"], stats["answers_dropped"]
        self.assertGreater(min(lost, taken), 0)
        # whose answer was lost has a receipt; who was swallowed has nothing
        self.counts(cmp, settled=self.funnel(cmp)["in_doubt"] - lost, delivered=len(people) - lost)
        doubt = self.contacts_in("contact_event", cmp, "x.kind = 9")
        self.assertLessEqual({m.dest for m in self.sim.messages() if not m.accepted}, doubt)
        funnel = self.account(cmp, people, in_doubt_max=len(doubt), timeout_s=RECOVERS_S)
        self.assertEqual((funnel["unknown"], funnel["delivered"]), (lost, len(people) - lost))
        self.assertEqual(max(m.taken for m in self.sim.messages()), 1)
        self.seals_verify()

    def test_receipts_that_overtake_their_answers(self):
        people = self.consenting(150)
        self.sim.set(receipt_early_permille=1000, receipt_early_ms=150)
        cmp = self.campaign(people)
        self.counts(cmp, delivered=len(people), in_doubt=0, unknown=0)
        self.account(cmp, people, timeout_s=RECOVERS_S)
        self.assertEqual(self.number("SELECT count(*) FROM receipt_early"), 0, "receipts that found their message still wait")

    def test_receipts_that_come_days_later(self):
        people = self.consenting(60)
        self.sim.set(deliver_window=0)
        cmp = self.campaign(people, not_after_s=26 * 3600)
        self.counts(cmp, submitted=len(people), waiting=0)
        self.addCleanup(self.restart)
        self.gateway.stop()
        self.gateway.start("--clock-shift-ms", str(3 * 86400 * 1000))
        type(self).api.port = self.gateway.port
        self.complete(cmp, RECOVERS_S)
        self.counts(cmp, unknown=len(people), delivered=0)
        self.sim.set(deliver_window=20)
        self.counts(cmp, unknown=0, delivered=len(people))
        self.assertEqual(self.submits(), len(people))
        self.seals_verify()

    def test_the_first_final_word_stands(self):
        people = self.consenting(150)
        self.sim.set(receipt_duplicate_permille=500, receipt_after_final_permille=500, receipt_unknown_permille=300, receipt_intermediate_permille=300, receipt_delay_max_ms=100)
        cmp = self.campaign(people)
        self.counts(cmp, submitted=len(people), waiting=0)
        self.assertTrue(self.until(self.quiet, RECOVERS_S), self.sim.stats())
        funnel = self.account(cmp, people, timeout_s=RECOVERS_S)
        self.assertEqual((funnel["delivered"], funnel["expired"], funnel["failed"]), (len(people), 0, 0))
        finals = self.number("SELECT coalesce(max(n), 0) FROM (SELECT count(*) AS n FROM contact_event e JOIN wave w ON w.wave_id = e.contact_id >> 32 JOIN campaign c USING (campaign_id)"
                             " WHERE c.public_id = '%s' AND kind IN (2, 3, 4, 5, 12) GROUP BY part, contact_id) x" % cmp)
        self.assertEqual(finals, 1, "more than one final word was stored")
        self.assertGreater(self.sim.stats()["receipts_made"], 2 * len(people))

    def test_ids_in_other_spellings(self):
        spellings = ({"id_base": 16, "receipt_id_base": 10}, {"id_base": 16, "id_upper": 1, "id_pad": 12, "receipt_id_base": 16},
                     {"id_base": 10, "receipt_id_base": 16, "receipt_id_upper": 1}, {"id_base": 10, "id_pad": 14, "receipt_id_base": 10}, {"id_base": 16, "receipt_id_base": 10, "receipt_id_pad": 12})
        plain = {"id_base": 16, "id_upper": 0, "id_pad": 0, "receipt_id_base": 16, "receipt_id_upper": 0, "receipt_id_pad": 0}
        for spelling in spellings:
            with self.subTest(**spelling):
                self.restart()  # what it has learned of this peer is forgotten
                self.sim.ctl("reset")
                self.sim.set(**{**plain, **spelling}, receipt_form="text:1")
                people = self.consenting(40)
                cmp = self.campaign(people)
                self.counts(cmp, delivered=len(people))
                self.account(cmp, people, timeout_s=RECOVERS_S)

    def test_ids_in_other_spellings_of_messages_sent_before_a_restart(self):
        """Nothing is left to learn from: the first receipts that it hears are of messages that it does not remember."""
        self.addCleanup(self.sim.set, id_base=16, receipt_id_base=16, deliver_window=self.knobs["deliver_window"])
        for id_base, receipt_id_base in ((16, 10), (10, 16)):
            with self.subTest(id_base=id_base):
                self.sim.ctl("reset")
                self.sim.set(id_base=id_base, receipt_id_base=receipt_id_base, receipt_form="text:1", deliver_window=0)
                people = self.consenting(40)
                cmp = self.campaign(people)
                self.counts(cmp, submitted=len(people), waiting=0)
                self.restart(kill=True)
                self.assertEqual(self.funnel(cmp)["delivered"], 0, "a receipt came before the restart: the test proves nothing")
                self.sim.set(deliver_window=self.knobs["deliver_window"])
                self.counts(cmp, delivered=len(people))  # before their validity ends, so unasked
                self.account(cmp, people, in_doubt_max=self.WINDOW, timeout_s=RECOVERS_S)


if __name__ == "__main__":
    unittest.main()
