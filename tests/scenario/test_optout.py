# SPDX-License-Identifier: Apache-2.0
"""test_optout.py - what people write back, over the air: an opt-out word ends their contacts, messages already decided included, is
confirmed once, and everything else is kept and attributed without being taken for one. The words themselves: tests/unit and
conf/optout.conf; here only that they arrive, in the alphabets of the network.
"""
import unittest

import harness

# Response meanings as stored (sql/001_init.sql, table response)
TEXT, STOP, STOP_ALL, UNCLEAR = 0, 1, 2, 3
SERVICE = {"class": "service", "purpose": "service"}


class Replies(harness.Field):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.api.post("/api/v1/caps", {"name": "counted, not limited", "max": None, "period": "month", "zone": "UTC", "classes": ["marketing"]})

    def setUp(self):
        self.sim.ctl("reset")

    def say(self, person, text):
        """Back only after every part was acknowledged: from then on it must hold."""
        done = self.sim.ctl("mo %s %s %s" % (person.dest, harness.SENDER, text))
        self.assertEqual(set(done["status"]), {0}, done)

    def consenting(self, n):
        people = self.people(n)
        self.consent(people)
        return people

    def reach(self, people, lead="9", **more):
        """A campaign to its end. Each `lead` makes keys of its own; its id, its funnel, and whom it reached at the other side."""
        cmp = self.campaign(people, text="news #%s{{code}}" % lead, **more)
        funnel = self.complete(cmp)
        keys = {m.key for m in self.sim.messages() if m.taken}
        return cmp, funnel, {p for p in people if lead + str(p.code) in keys}

    def contact(self, cmp, person):
        customer = self.verdict(person)["customer"]
        return self.api.get("/api/v1/contacts?campaign=%s&customer=%s" % (cmp, customer))["data"]

    def confirmations(self, person):
        """Messages to that person that are no campaign's: those carry a numeric key of up to 10 digits."""
        return [m for m in self.sim.messages() if m.dest == person.dest and len(m.key) == 16 and m.taken]

    def response(self, person, text):
        """(meaning, public id of the campaign it was attributed to) of a stored reply."""
        rows = self.rows("SELECT p.meaning, coalesce(c.public_id, '') FROM response p JOIN response_text t ON t.part = p.part AND t.text_id = p.text_ref"
                         " LEFT JOIN attribution a ON a.part = p.part AND a.response_id = p.response_id LEFT JOIN wave w ON w.wave_id = a.contact_id >> 32 LEFT JOIN campaign c USING (campaign_id)"
                         " WHERE t.body = '%s' AND t.customer_id = p.customer_id AND EXISTS (SELECT FROM recipient r WHERE r.customer_id = p.customer_id AND r.address = '%s') GROUP BY 1, 2"
                         % (text.replace("'", "''"), person.msisdn))
        self.assertEqual(len(rows), 1, rows)
        return int(rows[0][0]), rows[0][1]


class Words(Replies):
    def test_stop_and_its_chinese_word_end_the_next_campaign(self):
        people = self.consenting(6)
        _, _, reached = self.reach(people, "1")
        self.assertEqual(reached, set(people))
        self.say(people[0], "STOP")
        self.say(people[1], "退订")
        cmp, funnel, reached = self.reach(people, "2")
        self.assertEqual(funnel["held"], {"dnd.optout": 2})
        self.assertEqual((funnel["after_dnd"], funnel["submitted"]), (4, 4))
        self.assertEqual(reached, set(people[2:]))
        for p in people[:2]:
            rows = self.contact(cmp, p)
            self.assertEqual([(r["state"], r["verdict"], r["reason"]) for r in rows], [("held", "DENY", "dnd.optout")])

    def test_words_come_through_every_alphabet_and_in_parts(self):
        people = self.consenting(4)
        self.reach(people, "1")
        for person, line in zip(people, ("coding=latin1 {0} {1} Stop.", "coding=gsm {0} {1}  please   STOP", "coding=ucs2 {0} {1} ＴＤ", "form=sar {0} {1} STOP")):
            done = self.sim.ctl("mo " + line.format(person.dest, harness.SENDER))
            self.assertEqual(set(done["status"]), {0}, done)
        _, funnel, reached = self.reach(people, "2")
        self.assertEqual((funnel["held"], reached), ({"dnd.optout": 4}, set()))

    def test_stop_leaves_service_messages_and_stop_all_ends_them(self):
        people = self.consenting(5)
        plain, all_en, all_zh = people[0], people[1], people[2]
        self.reach(people, "1")
        self.say(plain, "STOP")
        self.say(all_en, "STOP ALL")
        self.say(all_zh, "全部退订")
        _, funnel, reached = self.reach(people, "2", **SERVICE)
        self.assertEqual((funnel["held"], reached), ({"dnd.optout": 2}, {plain, *people[3:]}))
        _, funnel, reached = self.reach(people, "3")
        self.assertEqual((funnel["held"], reached), ({"dnd.optout": 3}, set(people[3:])))
        self.assertEqual([self.verdict(p, contact_class="emergency")["verdict"] for p in people], ["ALLOW"] * 5)

    def test_an_opt_out_is_confirmed_once_however_often_it_is_repeated(self):
        first, last = self.consenting(2)
        self.reach([first, last], "1")
        for text in ("STOP", "STOP", "stop please", "TD", "unsubscribe"):
            self.say(first, text)
        self.assertTrue(self.until(lambda: self.confirmations(first)), "no confirmation came")
        self.say(last, "STOP")  # the lane is in order: when this one's is there, no second one of the first is on its way
        self.assertTrue(self.until(lambda: self.confirmations(last)), "no confirmation came")
        waiting = "SELECT count(*) FROM echo e JOIN wave w USING (wave_id) JOIN campaign c USING (campaign_id) WHERE c.system"
        self.assertTrue(self.until(lambda: self.number(waiting) == 0))
        for person in (first, last):
            self.assertEqual([m.taken for m in self.confirmations(person)], [1])
        self.assertEqual(self.number("SELECT count(*) FROM contact_log l JOIN recipient r ON r.customer_id = l.customer_id AND r.part = l.part WHERE l.class = 4 AND r.address = '%s'"
                                     " AND r.set_id = (SELECT w.set_id FROM wave w WHERE w.wave_id = l.wave_id)" % first.msisdn), 1)


class NotAnOptOut(Replies):
    def test_an_unclear_reply_is_kept_and_attributed_and_changes_nothing(self):
        person, other = self.consenting(2)
        self.reach([person, other], "1")
        latest, _, _ = self.reach([person], "2")
        unclear = "I will not stop asking about the plan"
        plain = "thanks, got it"
        self.say(person, unclear)
        self.say(person, plain)
        self.assertEqual(self.response(person, unclear), (UNCLEAR, latest))
        self.assertEqual(self.response(person, plain), (TEXT, latest))
        self.assertEqual(self.funnel(latest)["responded"], 2)
        self.assertEqual(self.verdict(person)["verdict"], "ALLOW")
        _, funnel, reached = self.reach([person, other], "3")
        self.assertEqual((funnel["held"], reached), ({}, {person, other}))
        self.assertEqual(self.confirmations(person), [])

    def test_an_answer_is_allowed_to_who_wrote_and_to_nobody_else(self):
        """Class `reply` needs no consent, because the person wrote within 10 minutes."""
        wrote, silent = self.people(2)
        self.reach([wrote, silent], "4")  # known, and held: they never agreed to marketing
        self.assertNotEqual(self.verdict(wrote, contact_class="reply")["verdict"], "ALLOW")
        self.say(wrote, "where is my parcel?")
        self.assertTrue(self.until(lambda: self.verdict(wrote, contact_class="reply")["verdict"] == "ALLOW"), self.verdict(wrote, contact_class="reply"))
        self.assertNotEqual(self.verdict(silent, contact_class="reply")["verdict"], "ALLOW")
        self.assertNotEqual(self.verdict(wrote)["verdict"], "ALLOW")

    def test_an_opt_out_is_kept_and_attributed_too(self):
        (person,) = self.consenting(1)
        cmp, _, _ = self.reach([person], "1")
        self.say(person, "QUIT")
        self.assertEqual(self.response(person, "QUIT"), (STOP, cmp))
        self.say(person, "STOP ALL")
        self.assertEqual(self.response(person, "STOP ALL"), (STOP_ALL, cmp))

    def test_a_stranger_who_writes_disturbs_nothing(self):
        (stranger,) = self.people(1)
        self.say(stranger, "hello?")
        self.say(stranger, "STOP")
        self.consent([stranger])
        _, funnel, reached = self.reach([stranger], "1")
        self.assertEqual((funnel["held"], reached), ({"dnd.optout": 1}, set()), "an opt-out holds before the first contact, too")


class AlreadyQueued(Replies):
    """Decided, reserved and waiting for the route's rate when the word arrives."""
    TOGETHER = 16  # people of one part: one chunk, decided in one transaction, sent in the order of seq
    RATE = 2

    def together(self):
        """People whose rows stand in one chunk: a bigger audience tells who shares a part."""
        pool = self.consenting(64 * self.TOGETHER)
        self.audience(pool)
        addresses = [r[0] for r in self.rows("WITH s AS (SELECT max(set_id) AS id FROM recipient_set), big AS (SELECT part FROM recipient, s WHERE set_id = s.id GROUP BY part ORDER BY count(*) DESC, part LIMIT 1)"
                                             " SELECT address FROM recipient, s WHERE set_id = s.id AND part = (SELECT part FROM big) ORDER BY seq LIMIT %d" % self.TOGETHER)]
        of = {p.msisdn: p for p in pool}
        self.assertEqual(len(addresses), self.TOGETHER)
        return [of[a] for a in addresses]

    def counted(self, person):
        return self.number("SELECT coalesce(sum(coalesce(n[1], 0)), 0) FROM cap_counter k WHERE k.customer_id = (SELECT customer_id FROM recipient WHERE address = '%s' LIMIT 1)" % person.msisdn)

    def withdrawn(self, word):
        people = self.together()
        self.change_route(rate_per_s=self.RATE)
        try:
            cmp = self.campaign(people, text="queued #{{code}}")
            self.assertTrue(self.until(lambda: self.sim.stats()["messages"]["unique"] >= 2, 30), "nothing goes out")
            gone = {m.key for m in self.sim.messages() if m.taken}
            last = people[-1]
            self.assertNotIn(str(last.code), gone)
            before = self.contact(cmp, last)
            self.assertEqual([(r["state"], r["verdict"]) for r in before], [("reserved", "ALLOW")], "must have been decided: else nothing is tested")
            self.assertEqual(self.counted(last), 1)
            self.say(last, word)
        finally:
            self.change_route(rate_per_s=None)
        funnel = self.complete(cmp)
        self.assertEqual((funnel["held"], funnel["submitted"]), ({"dnd.optout": 1}, len(people) - 1))
        self.assertEqual({m.key for m in self.sim.messages() if m.taken and len(m.key) < 16}, {str(p.code) for p in people[:-1]})
        self.assertEqual([(r["state"], r["verdict"], r["reason"]) for r in self.contact(cmp, last)], [("held", "DENY", "dnd.optout")])
        self.assertEqual(self.counted(last), 0, "the reservation was not given back")
        self.assertEqual([self.counted(p) for p in people[:-1]], [1] * (len(people) - 1))
        self.seals_verify()

    def test_stop_withdraws_a_message_that_is_already_queued(self):
        self.withdrawn("STOP")

    def test_its_chinese_word_withdraws_a_message_that_is_already_queued(self):
        self.withdrawn("退订")


if __name__ == "__main__":
    unittest.main()
