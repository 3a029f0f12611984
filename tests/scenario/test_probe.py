#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_probe.py - the daily test message of a route: goes out once a day whatever nodes and restarts do, is judged by policy like any
other, is measured from submit to receipt, and raises the alarm when it fails, is held or was missed.
"""
import datetime
import time
import unittest

import harness

TO = "+8613977700001"


class Probe(harness.Field):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.url = "/api/v1/routes/" + cls.route_id

    def setUp(self):
        self.sim.set(receipt_state="DELIVRD:1", receipt_delay_min_ms=0, receipt_delay_max_ms=0)
        # the probe of the test before first: one whose run is forgotten while it stands is planned again
        self.rows("DELETE FROM route_probe")
        self.rows("DELETE FROM probe_run")
        self.began = self.sent()

    def probe(self, minutes_ago=0, **members):
        """Set by the API; then its time is moved, so that it is due now."""
        self.change_route(probe={"to": TO, "at": "09:00", "zone": "UTC", "text": "probe", **members})
        due = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=minutes_ago)
        self.at = "%02d:%02d" % (due.hour, due.minute)
        # the day before went well
        self.rows("INSERT INTO probe_run (route_id, day, due, state, ended_at) SELECT route_id, date '%s' - 1, now() - interval '1 day', 'ok', now() FROM route_probe;"
                  "UPDATE route_probe SET at_minute = %d, since = now() - interval '30 hours'" % (due.date(), due.hour * 60 + due.minute))
        self.day = str(due.date())

    def sent(self):
        return sum(m.accepted for m in self.sim.messages() if m.dest == TO[1:])

    def run_of_today(self):
        rows = self.rows("SELECT state, why, coalesce(took_ms, -1) FROM probe_run WHERE day = '%s'" % self.day)
        return rows[0] if rows else None

    def ended(self):
        run = self.until(lambda: (self.run_of_today() or ["waiting"])[0] != "waiting" and self.run_of_today(), 30)
        self.assertTrue(run, "it does not end: %s" % self.run_of_today())
        return run

    def gauge(self, name):
        text = self.gateway.local().ask("GET", "/metrics").body.decode()
        line = next((x for x in text.splitlines() if x.startswith('%s{route="%s"}' % (name, self.route_id))), None)
        return float(line.rsplit(" ", 1)[1]) if line else None

    def alarm(self, is_on):
        self.assertTrue(self.until(lambda: self.gauge("campgw_route_probe_ok") == (0 if is_on else 1), 20, 0.5), self.gauge("campgw_route_probe_ok"))
        self.assertEqual(self.api.get(self.url)["probe"]["ok"], not is_on)

    def test_a_probe_goes_out_and_is_measured(self):
        self.sim.set(receipt_delay_min_ms=3000, receipt_delay_max_ms=3000)
        self.probe()
        state, why, took = self.ended()
        self.assertEqual((state, why), ("ok", ""))
        self.assertTrue(1000 <= int(took) <= 20000, took)
        self.assertEqual(self.sent() - self.began, 1)
        seen = self.api.get(self.url)["probe"]
        self.assertEqual((seen["last"][0]["state"], seen["last"][0]["took_ms"], seen["at"], seen["content"]), ("ok", int(took), self.at, {"text": "probe"}))
        self.assertNotIn(TO[4:-4], str(seen), "its number is masked")
        self.alarm(False)
        self.assertTrue(self.until(lambda: (self.gauge("campgw_route_probe_age_seconds") or 1e9) < 120, 20, 0.5))
        cls = self.rows("SELECT DISTINCT l.class, l.verdict FROM contact_log l JOIN probe_run p ON (p.in_part, p.contact_id) = (l.part, l.contact_id)")
        self.assertEqual(cls, [["2", "1"]], "a contact of class service, decided like any other")

    def test_once_a_day_with_several_nodes_and_restarts(self):
        other = self.further_node("node-2")
        self.addCleanup(other.stop)
        self.probe()
        self.ended()
        self.restart(kill=True)
        self.restart()
        time.sleep(3)
        self.assertEqual(self.sent() - self.began, 1)
        self.assertEqual(self.number("SELECT count(*) FROM probe_run WHERE day = '%s'" % self.day), 1)

    def test_one_that_fails_raises_the_alarm(self):
        self.sim.set(receipt_state="UNDELIV:1")
        self.probe()
        state, why, _ = self.ended()
        self.assertEqual((state, why), ("failed", "failed at or behind the peer"))
        self.alarm(True)
        self.assertIn("probe.failed route=%s" % self.route_id, self.log())

    def test_one_without_a_receipt_fails_after_the_hour(self):
        self.sim.set(receipt_permille=0)
        self.addCleanup(self.sim.set, receipt_permille=1000)
        self.probe()
        self.assertTrue(self.until(lambda: self.number("SELECT count(*) FROM contact_submit s JOIN probe_run p ON (p.in_part, p.contact_id) = (s.part, s.contact_id)") == 1, 30))
        self.assertEqual(self.run_of_today()[0], "waiting")
        self.rows("UPDATE probe_run SET due = due - interval '61 minutes' WHERE state = 'waiting'")
        self.assertEqual(self.ended()[:2], ["failed", "no receipt within the hour"])
        self.alarm(True)

    def test_one_that_cannot_go_is_not_sent_on_another_day(self):
        self.api.call("POST", self.url + "/pause")
        self.addCleanup(self.api.call, "POST", self.url + "/resume")
        self.probe()
        self.assertTrue(self.until(lambda: self.run_of_today(), 20))
        time.sleep(1)
        self.rows("UPDATE probe_run SET due = due - interval '61 minutes' WHERE state = 'waiting'")
        self.assertEqual(self.ended()[:2], ["failed", "not handed over within the hour"])
        self.alarm(True)

    def test_policy_holds_it_like_any_other(self):
        name = "probe list"
        lst = self.api.post("/api/v1/dnd-lists", {"name": name, "scope": "all"})["id"]
        self.api.post("/api/v1/dnd-lists/%s/entries" % lst, {"entries": [{"msisdn": TO}]})
        self.addCleanup(self.rows, "DELETE FROM dnd WHERE list_id = (SELECT list_id FROM dnd_list WHERE public_id = '%s')" % lst)
        self.probe()
        self.assertEqual(self.ended()[:2], ["failed", "held: dnd.list"])
        self.assertEqual(self.sent() - self.began, 0)
        self.alarm(True)

    def test_one_that_was_missed_raises_the_alarm_and_is_not_made_up_for(self):
        self.probe(minutes_ago=90)
        self.assertEqual(self.ended()[:2], ["failed", "missed: nobody planned within the hour"])
        self.alarm(True)
        self.assertIn("missed on " + self.day, self.log())
        self.assertEqual(self.sent() - self.began, 0)

    def test_what_is_wrong_is_refused_and_null_takes_it_away(self):
        etag = self.api.ask("GET", self.url).headers["ETag"]
        good = {"to": TO, "at": "09:00", "zone": "UTC", "text": "probe"}
        for pointer, change in [("/probe/at", {"at": "24:00"}), ("/probe/at", {"at": "9:000"}), ("/probe/zone", {"zone": "Mars"}), ("/probe/to", {"to": "hello"}),
                                ("/probe/text", {"content": {"text": "two"}}), ("/probe/content/text", {"text": "{{nobody}}"})]:
            answer = self.api.ask("PATCH", self.url, {"probe": {**good, **change}}, media="application/merge-patch+json", headers={"If-Match": etag})
            self.assertEqual((answer.status, answer.json.get("errors", [{}])[0].get("pointer")), (422, pointer), answer)
        self.change_route(probe=good)
        self.assertEqual(self.api.get(self.url)["probe"]["at"], "09:00")
        self.change_route(priority=99)
        self.assertEqual(self.api.get(self.url)["probe"]["at"], "09:00", "a change of something else leaves it")
        self.change_route(probe=None)
        self.assertIsNone(self.api.get(self.url)["probe"])


if __name__ == "__main__":
    unittest.main()
