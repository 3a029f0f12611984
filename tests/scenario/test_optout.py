# SPDX-License-Identifier: Apache-2.0
"""test_optout.py - a reply that revokes stops the next message, also one that is queued already, and is confirmed once."""
import unittest

import harness


class OptOut(harness.Field):
    knobs = {"receipt_delay_max_ms": 50}
    instance = {"window": 20}

    def stop(self, person, text):
        answer = self.sim.ctl("mo %s %s %s" % (person.dest, harness.SENDER, text))
        self.assertEqual(answer["status"], [0], "the reply was not taken: %s" % answer)

    def denied(self, person, contact_class="marketing"):
        return self.until(lambda: self.verdict(person, contact_class=contact_class)["verdict"] == "DENY", 10, 0.01)

    def customers(self, n):
        people = self.people(n)
        self.api.call("PUT", "/api/v1/customers", body=harness.csv(people), media="text/csv")
        self.consent(people)
        return people

    def test_stop_and_tuiding_stop_the_next_message(self):
        a, b, c = people = self.customers(3)
        self.complete(self.campaign(people))
        for person, word in ((a, "STOP"), (b, "退订")):
            self.assertEqual(self.verdict(person)["verdict"], "ALLOW")
            self.stop(person, word)
            self.assertTrue(self.denied(person), word)
            self.assertEqual(self.verdict(person)["reason"], "dnd.optout")
        before = self.sim.stats()["messages"]["unique"]
        second = self.campaign(people, "second text #9{{code}}")
        funnel = self.complete(second)
        self.assertEqual(funnel["held"], {"dnd.optout": 2})
        self.assertEqual(self.sim.stats()["messages"]["unique"], before + 1)
        self.assertIn((c.dest, "9%d" % c.code), self.reached())

    def test_a_queued_message_is_stopped_too(self):
        people = self.customers(300)
        self.change_route(rate_per_s=40)
        try:
            cmp = self.campaign(people)
            keys = self.keys(people)
            self.assertTrue(self.until(lambda: len(self.reached() & keys) >= 20, 30), "the campaign does not begin")
            out = self.reached()
            # everybody is decided or waiting by now; the last ones of those who did not get it yet say STOP
            waiting = [p for p in people if (p.dest, str(p.code)) not in out][-20:]
            for person in waiting:
                self.stop(person, "STOP")
            late = {p.dest for p in waiting if self.denied(p)}
            self.assertEqual(len(late), len(waiting))
            enforced = self.reached()
        finally:
            self.change_route(rate_per_s=2000)
        funnel = self.complete(cmp)
        after = {dest for dest, key in self.reached() - enforced if (dest, key) in keys}
        self.assertEqual(after & late, set(), "a message went out behind an opt-out that was in force")
        got = {dest for dest, key in self.reached() if (dest, key) in keys}
        self.assertGreaterEqual(len(late - got), 10, "hardly anybody was still queued: this test shows nothing")
        self.assertEqual(funnel["submitted"], len(got))
        self.assertEqual(sum(funnel["held"].values()), len(people) - len(got))

    def test_stop_ends_marketing_and_stop_all_every_class(self):
        a, b = self.customers(2)
        self.stop(a, "STOP")
        self.assertTrue(self.denied(a))
        self.assertEqual(self.verdict(a, contact_class="service")["verdict"], "ALLOW")
        self.stop(b, "STOP ALL")
        self.assertTrue(self.denied(b, "service"))
        self.assertEqual(self.verdict(b)["reason"], "dnd.optout")

    def test_it_is_confirmed_once(self):
        person = self.customers(1)[0]

        def confirmations():
            return [m for m in self.sim.messages() if m.dest == person.dest and m.taken]
        self.stop(person, "STOP")
        self.assertTrue(self.until(lambda: len(confirmations()) == 1, 20), "no confirmation: %s" % confirmations())
        for word in ("STOP", "退订", "stop"):
            self.stop(person, word)
        witness = self.customers(1)[0]  # whoever says it last is confirmed last
        self.stop(witness, "TD")
        self.assertTrue(self.until(lambda: any(m.dest == witness.dest and m.taken for m in self.sim.messages()), 20))
        self.assertEqual(sum(m.taken for m in confirmations()), 1)

    def test_an_unclear_reply_is_kept_and_stops_nothing(self):
        person = self.customers(1)[0]
        self.complete(self.campaign([person]))
        before = self.number("SELECT count(*) FROM response")
        self.stop(person, "I will stop by at your shop tomorrow")
        self.assertTrue(self.until(lambda: self.number("SELECT count(*) FROM response") == before + 1, 10))
        self.assertEqual(self.verdict(person)["verdict"], "ALLOW")
        self.assertEqual(self.number("SELECT count(*) FROM attribution a JOIN response r USING (part, response_id) JOIN contact_log l ON l.part = a.part AND l.contact_id = a.contact_id"
                                     " WHERE l.customer_id = r.customer_id AND r.meaning IN (0, 3)"), 1)


if __name__ == "__main__":
    unittest.main()
