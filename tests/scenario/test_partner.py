#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_partner.py - a partner never gets more out than its quota of the day, whatever nodes and campaigns it uses; the others wait for
its next day and say so; its rate binds all its campaigns and nodes together; what it settles equals a recount of the rows and of the
simulator; a partner's key sees nothing of others.
"""
import collections
import csv
import datetime
import io
import time
import unittest
import uuid
import zoneinfo

import harness
import stack

ZONE = harness.zone_in_mid_day()
READS = ["audiences:read", "campaigns:read", "contacts:read", "contacts:export", "routes:read", "partners:read", "settlements:read", "queues:read", "api-keys:read"]


class Partners(harness.Field):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.owner = cls.api
        cls.admin = cls.gateway.local()

    def partner(self, **members):
        """Number, and the API with a key that has all scopes but those of the owner."""
        doc = self.admin.post("/api/v1/partners", {"name": "p" + uuid.uuid4().hex[:8], "zone": ZONE, **members})
        key = self.admin.post("/api/v1/api-keys", {"name": "k" + uuid.uuid4().hex[:8], "partner_id": doc["id"], "scopes": [s for s in stack.all_scopes() if s != "campaigns:emergency"], "classes": ["marketing", "service"]})["secret"]
        return doc["id"], self.gateway.api(key)

    def as_partner(self, api):
        type(self).api = api
        self.addCleanup(setattr, type(self), "api", self.owner)

    def unwritten(self, cmps):
        """How often a message was not written within a second of its intent (DISPATCH_SUBMIT_WITHIN_MS), on a machine that pauses a whole window: it has used the
        quota, and its person stands in line again."""
        return self.number("SELECT count(*) FROM contact_event e JOIN wave w ON w.wave_id = e.contact_id >> 32 JOIN campaign c USING (campaign_id)"
                           " WHERE e.kind = 7 AND c.public_id IN (%s)" % ", ".join("'%s'" % c for c in cmps))

    def standing(self):
        """People who wait for the partner's next day."""
        return self.number("SELECT count(*) FROM echo WHERE state = 0 AND reason = 82")

    def all_but_quota_waits(self, cmps, asked, quota):
        done = self.until(lambda: self.standing() == asked - quota + self.unwritten(cmps), 60)
        self.assertTrue(done, "%s wait of %d, %d were not written: %s" % (self.standing(), asked, self.unwritten(cmps), self.rows("SELECT state, reason, count(*) FROM echo GROUP BY 1, 2")))

    def used(self, number):
        rows = self.rows("SELECT coalesce(sum(used), 0) FROM partner_day WHERE partner_id = %d" % number)
        return int(rows[0][0])

    def test_a_partner_never_exceeds_its_quota_of_the_day(self):
        quota, asked = 170, 300
        number, api = self.partner(quota_day=quota)
        people = self.people(asked)
        self.consent(people)
        other = self.people(50)
        self.consent(other)
        self.further_node("node-2")
        mine = {p.dest for p in people + other}
        self.as_partner(api)
        days = 3 * 86400
        cmps = [self.campaign(people[:150], not_after_s=days), self.campaign(people[150:], not_after_s=days)]
        self.all_but_quota_waits(cmps, asked, quota)
        type(self).api = self.owner
        self.complete(self.campaign(other))  # the owner has no quota

        def sent():
            return len(mine & {m.dest for m in self.sim.messages()})
        self.assertTrue(self.until(lambda: sent() == quota - self.unwritten(cmps) + len(other)), "%d were sent, %d not written" % (sent(), self.unwritten(cmps)))
        time.sleep(1)
        self.assertLessEqual(sent(), quota + len(other))
        self.assertLess(self.unwritten(cmps), quota // 2, "the quota went to messages that were not written")
        self.all_but_quota_waits(cmps, asked, quota)
        self.assertEqual(self.used(number), quota)
        self.assertEqual(self.admin.get("/api/v1/partners/%d" % number)["used_today"], quota)
        due = self.rows("SELECT DISTINCT extract(epoch FROM not_before)::int8 FROM echo WHERE reason = 82")
        zone = zoneinfo.ZoneInfo(ZONE)
        midnight = datetime.datetime.combine(datetime.datetime.now(zone).date() + datetime.timedelta(days=1), datetime.time(), zone)
        self.assertEqual(due, [[str(int(midnight.timestamp()))]], "they wait for the partner's next day")
        # more quota on the same day: those who wait are asked again by their time only, new campaigns at once
        doc = self.admin.ask("GET", "/api/v1/partners/%d" % number)
        self.admin.call("PATCH", "/api/v1/partners/%d" % number, {"quota_day": quota + 20}, media="application/merge-patch+json", headers={"If-Match": doc.headers["ETag"]})
        more = self.people(40)
        self.consent(more)
        self.as_partner(api)
        cmps.append(self.campaign(more, not_after_s=days))
        self.all_but_quota_waits(cmps, asked + len(more), quota + 20)
        self.assertEqual(self.used(number), quota + 20)
        # whose campaign ends before the next day is held, with the reason
        last = self.people(10)
        type(self).api = self.owner
        self.consent(last)
        self.as_partner(api)
        short = self.campaign(last, not_after_s=90)
        self.complete(short)
        self.assertEqual(self.funnel(short)["held"], {"partner.quota": 10})
        for cmp in cmps:  # one of them may have had its whole share of the quota, and is over
            self.assertIn(self.admin.ask("POST", "/api/v1/campaigns/%s/cancel" % cmp).status, (200, 409))

    def test_a_kill_in_mid_campaign_does_not_stretch_the_quota(self):
        quota = 120
        number, api = self.partner(quota_day=quota, rate_per_s=30)  # three seconds to be killed in
        people = self.people(200)
        self.consent(people)
        before = self.sim.stats()["messages"]["unique"]

        def sent():
            return self.sim.stats()["messages"]["unique"] - before
        self.as_partner(api)
        cmp = self.campaign(people, not_after_s=3 * 86400)
        self.assertTrue(self.until(lambda: sent() >= 30, 30, 0.005))
        killed_at = sent()
        type(self).api = self.owner
        self.restart(kill=True)
        api.port = self.gateway.port
        self.all_but_quota_waits([cmp], len(people), quota)
        self.assertTrue(killed_at < quota, "killed too late: %d" % killed_at)
        self.assertEqual(self.used(number), quota)
        lost = self.unwritten([cmp])
        self.assertTrue(quota - 60 - lost <= sent() <= quota, "%d were sent, %d not written, the rest of %d is in doubt" % (sent(), lost, quota))
        self.admin.call("POST", "/api/v1/campaigns/%s/cancel" % cmp)

    def test_the_rate_of_a_partner_binds_campaigns_and_nodes_together(self):
        rate, n = 60, 600  # ten seconds of it: the time is that of planning, too
        _, api = self.partner(rate_per_s=rate)
        people = self.people(n)
        self.consent(people)
        self.further_node("node-3")
        known = {m.dest for m in self.sim.messages()}
        self.as_partner(api)
        began_ms = time.time() * 1000  # the simulator runs on this machine: the same clock
        cmps = [self.campaign(people[:n // 2]), self.campaign(people[n // 2:])]
        for cmp in cmps:
            self.complete(cmp)
        came = sorted(m.first_ms for m in self.sim.messages() if m.dest not in known)
        # of the whole time: from the first arrival on, a late one would make the others seem faster; without what the buckets may hold at once, a tenth of a second
        measured = (n - rate // 10) * 1000 / (came[-1] - began_ms)
        print("# %d messages at %.0f/s, the partner's rate is %d" % (len(came), measured, rate), flush=True)
        self.assertEqual(len(came), n)
        self.assertLess(measured, rate * 1.15)

    def test_settlements_equal_a_recount_of_the_rows(self):
        number, api = self.partner()
        people = self.people(60)
        self.consent(people)
        self.sim.set(receipt_state="DELIVRD:4,UNDELIV:1")
        self.addCleanup(self.sim.set, receipt_state="DELIVRD:1")
        self.as_partner(api)
        cmps = [self.campaign(people[:40]), self.campaign(people[40:], text="long " * 50 + "{{code}}")]
        for cmp in cmps:
            self.complete(cmp)
        # some of it yesterday evening, of the zone
        self.rows("UPDATE contact_submit SET ts = ts - interval '1 day' WHERE seg = 0 AND contact_id & 1 = 0 AND n_segs = 1")
        zone = zoneinfo.ZoneInfo(ZONE)
        today = datetime.datetime.now(zone).date()
        span = "from=%s&to=%s&zone=%s" % (today - datetime.timedelta(days=2), today + datetime.timedelta(days=1), ZONE.replace("/", "%2F"))
        answer = api.get("/api/v1/settlements?" + span)
        want = self.recount(cmps, zone)
        have = {(d["day"], d["route"]): [d[k] for k in ("accepted", "delivered", "failed", "parts", "seconds")] for d in answer["data"]}
        self.assertEqual(have, want)
        total = [sum(v[i] for v in have.values()) for i in range(4)]
        self.assertEqual(total[0], len(people))
        self.assertEqual(total[1] + total[2], len(people))
        self.assertTrue(0 < total[2] < len(people) and total[3] > len(people), total)
        text = api.ask("GET", "/api/v1/settlements?format=csv&" + span)
        self.assertTrue(text.headers["Content-Type"].startswith("text/csv"))
        lines = list(csv.DictReader(io.StringIO(text.body.decode())))
        self.assertEqual({(r["day"], r["route"]): [int(r[k]) for k in ("accepted", "delivered", "failed", "parts", "seconds")] for r in lines}, want)
        self.assertEqual({r["partner"] for r in lines}, {str(number)})
        self.assertEqual(self.admin.get("/api/v1/settlements?partner=%d&%s" % (number, span))["data"], answer["data"])
        for bad in ("from=2026-02-29&to=2026-03-01", "from=2026-03-02&to=2026-03-01", "from=2020-01-01&to=2026-03-01", "from=x&to=y", span.replace(ZONE.replace("/", "%2F"), "Mars")):
            self.assertEqual(api.ask("GET", "/api/v1/settlements?" + bad).status, 422, bad)

    def recount(self, cmps, zone):
        """By hand, from the rows as they stand."""
        days = collections.defaultdict(lambda: [0, 0, 0, 0, 0])
        where = "contact_id >> 32 IN (SELECT w.wave_id FROM wave w JOIN campaign c USING (campaign_id) WHERE c.public_id IN (%s))" % ", ".join("'%s'" % c for c in cmps)
        routes = dict(self.rows("SELECT route_id, public_id FROM route"))
        messages, events = {}, collections.defaultdict(list)
        for key, attempt, segs, ts, route in self.rows("SELECT contact_id, attempt, n_segs, extract(epoch FROM ts), route_id FROM contact_submit WHERE " + where):
            old = messages.get((key, attempt))
            messages[key, attempt] = (int(segs), min(float(ts), old[1] if old else 1e18), routes[route])
        for key, attempt, kind, seg, ts in self.rows("SELECT contact_id, attempt, kind, seg, extract(epoch FROM ts) FROM contact_event WHERE kind IN (2, 3, 4) AND " + where):
            events[key, attempt].append((int(kind), int(seg), float(ts)))

        def day(ts):
            return str(datetime.datetime.fromtimestamp(ts, zone).date())
        for name, (segs, ts, route) in messages.items():
            days[day(ts), route][0] += 1
            days[day(ts), route][3] += segs
            bad = [t for kind, _, t in events[name] if kind > 2]
            good = [(seg, t) for kind, seg, t in events[name] if kind == 2]
            whole = [t for seg, t in good if seg == -1]
            if bad:
                days[day(min(bad)), route][2] += 1
            elif whole:
                days[day(min(whole)), route][1] += 1
            elif len({seg for seg, _ in good}) >= segs:
                days[day(max(t for _, t in good)), route][1] += 1
        return dict(days)

    def test_keys_of_a_partner_see_nothing_of_others(self):
        mine, api = self.partner()
        theirs, other = self.partner()
        people = self.people(5)
        self.consent(people)
        self.as_partner(other)
        cmp = self.campaign(people)
        self.complete(cmp)
        aud = other.get("/api/v1/campaigns/" + cmp)["audience"]
        con = other.get("/api/v1/contacts?campaign=" + cmp)["data"][0]["id"]
        route = self.admin.post("/api/v1/routes", {"name": "of %d" % theirs, "channel": "sms", "instance": self.owner.get("/api/v1/routes/" + self.route_id)["instance"], "partner_id": theirs})["id"]
        key = self.admin.post("/api/v1/api-keys", {"name": "theirs", "partner_id": theirs, "scopes": ["campaigns:read"]})["id"]
        aud = aud["id"] if isinstance(aud, dict) else aud
        things = ["/api/v1/campaigns/" + cmp, "/api/v1/campaigns/%s/progress" % cmp, "/api/v1/campaigns/%s/funnel" % cmp, "/api/v1/audiences/" + aud, "/api/v1/audiences/%s/rejects" % aud,
                  "/api/v1/contacts/" + con, "/api/v1/routes/" + route, "/api/v1/partners/%d" % theirs]
        for path in things:
            self.assertEqual(other.ask("GET", path).status, 200, "the partner itself sees " + path)
            self.assertEqual(api.ask("GET", path).status, 404, path)
        for path, word in [("/api/v1/campaigns", cmp), ("/api/v1/audiences", aud), ("/api/v1/routes", route), ("/api/v1/contacts?campaign=" + cmp, con), ("/api/v1/partners", '"id":%d' % theirs), ("/api/v1/api-keys", key)]:
            self.assertIn(word, other.ask("GET", path).body.decode().replace('" : ', '":'), "the partner itself sees " + path)
            found = api.ask("GET", path)
            self.assertIn(found.status, (200, 404), path)
            self.assertNotIn(word, found.body.decode().replace('" : ', '":'), path)
        today = datetime.date.today()
        self.assertEqual(api.ask("GET", "/api/v1/settlements?partner=%d&from=%s&to=%s" % (theirs, today, today)).status, 404)
        self.assertEqual(api.get("/api/v1/settlements?from=%s&to=%s" % (today, today))["data"], [])
        export = api.ask("GET", "/api/v1/contacts/export?campaign=" + cmp)
        self.assertNotIn(con, export.body.decode())
        # nor may they change partners, or make keys and routes for others
        self.assertEqual(api.ask("POST", "/api/v1/partners", {"name": "x"}).status, 403)
        self.assertEqual(api.ask("DELETE", "/api/v1/partners/%d" % theirs).status, 403)
        self.assertEqual(api.ask("POST", "/api/v1/api-keys", {"name": "x", "partner_id": theirs, "scopes": ["campaigns:read"]}).status, 403)
        self.assertEqual(api.ask("POST", "/api/v1/routes", {"name": "x%d" % mine, "channel": "sms", "instance": "smsc", "partner_id": theirs}).status, 403)
        for verb in ("pause", "resume", "cancel"):
            self.assertEqual(api.ask("POST", "/api/v1/campaigns/%s/%s" % (cmp, verb)).status, 404, verb)

    def test_an_archived_partner_sends_nothing_and_has_no_keys(self):
        number, api = self.partner()
        people = self.people(5)
        self.consent(people)
        self.as_partner(api)
        cmp = self.campaign(people, not_after_s=90, start=False)
        type(self).api = self.owner
        self.assertEqual(self.admin.ask("DELETE", "/api/v1/partners/%d" % number).status, 204)
        self.assertEqual(self.number("SELECT count(*) FROM api_key WHERE partner_id = %d AND revoked_at IS NULL" % number), 0)
        self.act(cmp, "start")
        self.complete(cmp)
        self.assertEqual(self.funnel(cmp)["held"], {"partner.quota": 5})
        self.assertEqual({p.dest for p in people} & {m.dest for m in self.sim.messages()}, set())
        self.assertEqual(self.admin.ask("PATCH", "/api/v1/partners/0", {"quota_day": 1}, media="application/merge-patch+json", headers={"If-Match": '"1"'}).status, 403)


if __name__ == "__main__":
    unittest.main()
