# SPDX-License-Identifier: Apache-2.0
"""test_receipts.py - what the network says later, or never: ids that are used again, receipts that are lost, routes without any."""
import unittest

import harness


class Receipts(harness.Field):
    """The message centre writes ids padded and in capitals, so that whoever asks must use its spelling."""
    knobs = {"id_upper": 1, "id_pad": 14, "receipt_id_base": 10, "id_reuse": 40, "receipt_delay_min_ms": 800, "receipt_delay_max_ms": 1200}
    instance = {"window": 200, "user_reference": True}

    def setUp(self):
        self.sim.ctl("reset")

    def sent(self, n, **more):
        people = self.people(n)
        self.consent(people)
        return self.campaign(people, **more), people

    def asked(self):
        return self.sim.stats()["queries"]

    def test_ids_that_are_used_again_mislead_nobody(self):
        cmp, people = self.sent(120)  # each id three times before the first receipt
        funnel = self.complete(cmp, 40)
        self.assertEqual((funnel["delivered"], funnel["unknown"]), (120, 0), funnel)
        self.assertEqual(self.contacts_in("contact_event", cmp, "x.kind = 2"), {p.dest for p in people})
        self.no_complaints()

    def test_the_network_is_asked_once_for_what_is_overdue(self):
        self.sim.set(receipt_permille=0)
        self.addCleanup(self.sim.set, receipt_permille=1000)
        cmp, _ = self.sent(30, not_after_s=15)
        funnel = self.complete(cmp, 60)
        self.assertEqual((funnel["delivered"], funnel["unknown"]), (30, 0), funnel)
        self.assertEqual(self.asked(), 30)
        self.assertEqual(self.number("SELECT count(*) FROM contact_event WHERE detail = 'query_sm'"), 30)

    def test_a_route_without_receipts_ends_with_the_accept(self):
        self.change_route(receipts=False)
        self.addCleanup(self.change_route, receipts=True)
        cmp, _ = self.sent(30)
        funnel = self.complete(cmp, 30)  # well before its validity of a minute is over
        self.assertEqual((funnel["submitted"], funnel["pending"], funnel["unknown"], funnel["delivered"]), (30, 0, 0, 0), funnel)
        self.assertEqual(self.asked(), 0)


class SentOnceMore(harness.Field):
    """Service messages that were never answered, where the owner wants them sent a second time."""
    knobs = {"swallow_permille": 1000}
    instance = {"window": 50, "response_timeout_ms": 2500}  # longer than a machine pauses: what is sent once more is answered in time

    def test_who_was_in_doubt_is_sent_once_more_and_counted_once(self):
        self.rows("UPDATE class_rule SET resend_once = true WHERE name = 'service'")
        people = self.people(12)
        forbidden = people[:2]  # between the two times
        cmp = self.campaign(people, **{"class": "service", "purpose": "service"})
        wait = "SELECT count(*) FROM echo WHERE resent AND state = 0 AND attempt = 2"
        self.assertTrue(self.until(lambda: self.number(wait) == 12), "%d stand in line again: %s" % (self.number(wait), self.funnel(cmp)))
        self.assertEqual(self.reached(), set(), "a minute is for its receipt")
        self.forbid(forbidden)
        self.sim.set(swallow_permille=0)
        self.rows("UPDATE echo SET not_before = now() WHERE resent")
        left = "SELECT count(*) FROM echo WHERE resent"
        self.assertTrue(self.until(lambda: self.number(left) == 0, 60), "%d still stand in line" % self.number(left))
        self.give_up_waiting(cmp)
        funnel = self.complete(cmp, 50)
        self.assertEqual({dest for dest, _ in self.reached()}, {p.dest for p in people[2:]})
        self.assertEqual([m for m in self.sim.messages() if m.taken > 1], [])
        # who may not be sent to a second time may have got it the first: not held, but unknown
        self.assertEqual((funnel["submitted"], funnel["delivered"], funnel["unknown"], funnel["pending"], funnel["waiting"], funnel["held"]), (12, 10, 2, 0, 0, {}), funnel)
        self.assertEqual(self.number("SELECT count(*) FROM contact_log WHERE attempt = 2 AND verdict = 1"), 10)
        self.seals_verify()


if __name__ == "__main__":
    unittest.main()
