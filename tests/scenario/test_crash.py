# SPDX-License-Identifier: Apache-2.0
"""test_crash.py - a campaign through every kind of trouble at once: throttling, errors, receipts early and late, a connection cut in the
middle, the daemon killed in the middle. Afterwards gateway and simulator must agree, person by person.

CAMPGW_CRASH_CONTACTS = people in the audience (standard 5,000).
"""
import os
import unittest

import harness

N = int(os.environ.get("CAMPGW_CRASH_CONTACTS", "5000"))
WINDOW, BINDS = 50, 2
# store.md's bound: what the windows hold, a flush not yet durable (1,000 rows or 50 ms), once for the kill and the windows once for the cut
IN_DOUBT_MAX = 1000 + 2 * WINDOW * BINDS


class Crash(harness.Field):
    durable = True
    IN_DOUBT_MAX = IN_DOUBT_MAX
    knobs = {"seed": 7, "throttle_permille": 20, "error_permille": 10, "error_list": "0x08:2,0x0b:1", "delay_min_ms": 2, "delay_max_ms": 30, "reorder_permille": 50,
             "receipt_delay_min_ms": 20, "receipt_delay_max_ms": 1500, "receipt_early_permille": 30, "receipt_late_permille": 30, "receipt_late_ms": 4000,
             "receipt_state": "DELIVRD:97,UNDELIV:2,EXPIRED:1", "receipt_duplicate_permille": 20, "receipt_form": "both:3,tlv:1,text:1,payload:1"}
    instance = {"window": WINDOW, "binds": BINDS, "retry": "0x08=transient:300:8"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.groups = {"dnd": cls.people(N * 5 // 100, "dnd"), "unconsented": cls.people(N * 3 // 100, "unconsented"), "capped": cls.people(N * 4 // 100, "capped"),
                      "closed": cls.people(N * 2 // 100, "closed", harness.FAR)}
        cls.groups["open"] = cls.people(N - sum(len(g) for g in cls.groups.values()))
        g = cls.groups
        cls.everybody = [p for group in g.values() for p in group]
        cls.consent(g["dnd"] + g["capped"] + g["closed"] + g["open"])
        cls.forbid(g["dnd"])
        cls.close_region(*harness.FAR)
        cls.api.post("/api/v1/caps", {"name": "one a day", "max": 1, "period": "day", "zone": harness.zone_in_mid_day(), "classes": ["marketing"]})
        cls.earlier_contacts()
        cls.campaign_story()

    @classmethod
    def earlier_contacts(cls):
        """One for each of those whose cap is to be full. None is refused: that would give its slot back."""
        cls.sim.set(error_permille=0)
        cls("test_everybody_is_accounted_for").complete(cls.campaign(cls.groups["capped"]))
        cls.sim.set(error_permille=cls.knobs["error_permille"])
        cls.sim.ctl("reset")

    @classmethod
    def campaign_story(cls):
        self = cls("test_everybody_is_accounted_for")  # for its waiting and failing
        cls.change_route(rate_per_s=max(1500, N // 20))
        cls.cmp = cls.campaign(cls.everybody, audience=cls.audience(cls.everybody))
        third = len(cls.groups["open"]) // 3
        assert self.until(lambda: cls.sim.stats()["messages"]["unique"] >= third, 120, 0.01), "the campaign does not get going: %s" % cls.funnel(cls.cmp)
        cls.sim.ctl("drop mid-pdu")
        assert self.until(lambda: cls.sim.stats()["messages"]["unique"] >= 2 * third, 120, 0.01), "nothing came after the cut: %s" % cls.funnel(cls.cmp)
        cls.restart_s = cls.restart(kill=True)
        self.give_up_waiting(cls.cmp, 240 + N // 200)
        cls.result = self.complete(cls.cmp, 240 + N // 200)
        cls.remember()

    @classmethod
    def remember(cls):
        self = cls("test_everybody_is_accounted_for")
        cls.seen = cls.sim.messages()
        cls.reached_keys = {(m.dest, m.key) for m in cls.seen if m.taken}
        cls.submitted = self.contacts_in("contact_submit", cls.cmp)
        cls.in_doubt = self.contacts_in("contact_event", cls.cmp, "x.kind = 9")

    def dests(self, group):
        return {p.dest for p in self.groups[group]}

    def test_what_the_log_calls_submitted_was_received(self):
        unique = {dest for dest, _ in self.reached_keys}
        self.assertLessEqual(self.submitted, unique, "the log knows of messages that nobody got")
        self.assertLessEqual(unique, self.submitted | self.in_doubt, "messages went out that the log does not know")

    def test_in_doubt_is_bounded(self):
        self.assertLessEqual(len(self.in_doubt), self.IN_DOUBT_MAX)
        self.assertEqual(self.result["in_doubt"], len(self.in_doubt))

    def test_nobody_gets_it_twice(self):
        twice = {m.dest for m in self.seen if m.taken > 1}
        self.assertLessEqual(twice, self.in_doubt)
        self.assertEqual(twice, set(), "in doubt is never sent again by itself")

    def test_nobody_gets_what_rules_forbid(self):
        unique = {dest for dest, _ in self.reached_keys}
        for group in ("dnd", "unconsented", "capped", "closed"):
            self.assertEqual(unique & self.dests(group), set(), group)

    def test_held_people_have_their_reason(self):
        g = {k: len(v) for k, v in self.groups.items()}
        self.assertEqual(self.result["held"], {"dnd.list": g["dnd"], "consent.missing": g["unconsented"], "cap.period": g["capped"], "calendar.no_open_hour": g["closed"]})

    def test_everybody_is_accounted_for(self):
        r = self.result
        self.assertEqual(r["audience"], N)
        self.assertEqual(r["submitted"], len(self.groups["open"]))
        self.assertEqual(r["delivered"] + r["failed"] + r["expired"] + r["unknown"], r["submitted"])
        self.assertEqual((r["pending"], r["waiting"]), (0, 0))
        # no final word only for what was in doubt, never went into the simulator, and was not refused when its node came back or sent it again
        refused = self.in_doubt & self.contacts_in("contact_event", self.cmp, "x.kind = 5")
        self.assertLessEqual(refused, {m.dest for m in self.seen if m.refused and not m.taken})
        self.assertEqual(r["unknown"], len(self.in_doubt - {dest for dest, _ in self.reached_keys} - refused))
        self.assertEqual(r["settled"], r["in_doubt"] - r["unknown"] - self.proved_unsent())

    def proved_unsent(self):
        """In doubt, until their node came back and said of each such attempt that it had not gone out or was refused."""
        return self.number("SELECT count(*) FROM (SELECT FROM contact_event d WHERE kind = 9 GROUP BY part, contact_id HAVING bool_and(EXISTS (SELECT FROM contact_event n"
                           " WHERE (n.part, n.contact_id, n.attempt) = (d.part, d.contact_id, d.attempt) AND n.kind IN (5, 6, 7)))) x")

    def test_nobody_is_above_a_cap(self):
        over = self.number("SELECT count(*) FROM (SELECT customer_id FROM contact_log l WHERE verdict = 1 AND NOT EXISTS (SELECT FROM cap_release r WHERE r.part = l.part AND r.contact_id = l.contact_id)"
                           " GROUP BY part, customer_id HAVING count(DISTINCT contact_id) > 1) x")
        self.assertEqual(over, 0)

    def test_cap_counters_equal_a_recount_of_the_log(self):
        differing = self.number(
            "WITH log AS (SELECT part, customer_id, count(DISTINCT contact_id) AS n FROM contact_log l WHERE verdict = 1 AND slots <> 0"
            " AND NOT EXISTS (SELECT FROM cap_release r WHERE r.part = l.part AND r.contact_id = l.contact_id) GROUP BY 1, 2),"
            " counted AS (SELECT part, customer_id, sum(coalesce(n[1], 0)) AS n FROM cap_counter GROUP BY 1, 2)"
            " SELECT count(*) FROM log FULL JOIN counted USING (part, customer_id) WHERE coalesce(log.n, 0) <> coalesce(counted.n, 0)")
        self.assertEqual(differing, 0)

    def test_statistics_equal_a_recount_of_the_rows(self):
        def count(table, where):
            return self.number("SELECT count(DISTINCT (x.part, x.contact_id)) FROM %s x JOIN wave w ON w.wave_id = (x.contact_id >> 32) JOIN campaign c USING (campaign_id) WHERE c.public_id = '%s' AND %s" % (table, self.cmp, where))
        r = self.result
        self.assertEqual(r["delivered"], count("contact_event", "kind = 2"))
        self.assertEqual(r["failed"], count("contact_event", "kind IN (3, 5)"))
        self.assertEqual(r["expired"], count("contact_event", "kind = 4"))
        self.assertEqual(r["unknown"], count("contact_event", "kind = 12"))
        self.assertEqual(sum(r["held"].values()), count("contact_log", "verdict = 3"))

    def test_seals_verify(self):
        self.seals_verify()

    def test_a_changed_row_breaks_its_seal(self):
        self.rows("UPDATE contact_log SET reason = reason + 1 WHERE (part, contact_id, attempt) = (SELECT part, contact_id, attempt FROM contact_log WHERE verdict = 3 ORDER BY 1, 2, 3 LIMIT 1)")
        try:
            with self.assertRaises(AssertionError):
                self.seals_verify()
        finally:
            self.rows("UPDATE contact_log SET reason = reason - 1 WHERE (part, contact_id, attempt) = (SELECT part, contact_id, attempt FROM contact_log WHERE verdict = 3 ORDER BY 1, 2, 3 LIMIT 1)")

    def test_every_receipt_was_acknowledged(self):
        stats = self.sim.stats()
        self.assertEqual((stats["deliveries_lost"], stats["deliveries_given_up"]), (0, 0))

    def test_the_simulator_has_no_complaint(self):
        self.no_complaints()

    def test_the_restart_was_quick(self):
        self.assertLess(self.restart_s, 15)


if __name__ == "__main__":
    unittest.main()
