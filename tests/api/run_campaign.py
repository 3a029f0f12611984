#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""run_campaign.py - campaigns, the contact log, decisions, caps and calendars over HTTP: the good path of each endpoint and what is refused.
Needs $CAMPGW_API_DAEMON = tests/api/apid_full (all nouns, real plugins, no dispatcher) and $CAMPGW_PLUGIN_DIR with channel_loopback.so and
campaign_broadcast.so; channel_smpp.so counts parts, without it that test is skipped. Python standard library only."""
import datetime
import json
import os
import re
import subprocess
import sys
import unittest
import uuid

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import formats  # noqa: E402
import harness  # noqa: E402

cluster = db = daemon = None
PLUGINS = os.environ.get("CAMPGW_PLUGIN_DIR", ".")
SMPP = os.path.exists(os.path.join(PLUGINS, "channel_smpp.so"))
NOW = datetime.datetime.now(datetime.timezone.utc)


def setUpModule():
    global cluster, db, daemon
    cluster = harness.Cluster()
    db = cluster.database()
    db.sql("INSERT INTO partner VALUES (7, 'seven'), (8, 'eight')")
    options = {"smpp": "yes"} if SMPP else {}
    daemon = harness.Daemon(db, plugins=PLUGINS, optout=os.path.join(harness.ROOT, "conf", "optout.conf"), **options)


def tearDownModule():
    code = daemon.stop()
    log = daemon.log()
    cluster.stop()
    if code:
        raise AssertionError("daemon ended with %s\n%s" % (code, log[-6000:]))
    if re.search(r"13800\d{6}", log):  # whole: 13800 alone is also a number of microseconds
        raise AssertionError("a number stands in the log")


def at(**delta):
    return (NOW + datetime.timedelta(**delta)).strftime("%Y-%m-%dT%H:%M:%SZ")


def number(i):
    return "+86138%08d" % i


def post(path, doc=None, key=None, **kw):
    return daemon.post("/api/v1" + path, doc, key=key, headers={"Idempotency-Key": str(uuid.uuid4())}, **kw)


def act(path, key=None):
    return daemon.request("POST", "/api/v1" + path, key=key)


def get(path, **kw):
    return daemon.get("/api/v1" + path, **kw)


def send(method, path, body, media, key=None, **headers):
    h = {"Content-Type": media}
    h.update({k.replace("_", "-"): v for k, v in headers.items()})
    return daemon.request(method, "/api/v1" + path, body=body.encode() if isinstance(body, str) else body, headers=h, key=key)


def patch(path, doc, etag, key=None):
    return send("PATCH", path, json.dumps(doc), "application/merge-patch+json", key=key, If_Match=etag)


class Case(unittest.TestCase):
    maxDiff = 3000

    def good(self, answer, status=200):
        self.assertEqual(answer.status, status, answer)
        return answer.json if answer.body else None

    def refused(self, answer, status, slug):
        self.assertEqual((answer.status, answer.slug), (status, slug), answer)
        return answer.json

    def fault(self, answer, pointer, code):
        doc = self.refused(answer, 422, "validation-failed")
        found = {e.get("pointer", e.get("parameter")): e for e in doc["errors"]}
        self.assertIn(pointer, found, answer)
        self.assertEqual(found[pointer]["code"], code, answer)
        return found[pointer]["detail"]

    def route(self, name=None, key=None, **more):
        doc = {"name": name or "r-%s" % uuid.uuid4(), "channel": "sms", "instance": "loop-a", **more}
        return self.good(post("/routes", doc, key=key), 201)["id"]

    def audience(self, people=20, header="msisdn,name", key=None):
        aud = self.good(post("/audiences", {"name": "test", "channels": ["sms"]}, key=key), 201)["id"]
        if people:
            text = header + "\n" + "".join("%s,N%d\n" % (number(i), i) for i in range(people))
            self.good(send("PUT", "/audiences/%s/recipients" % aud, text, "text/csv", key=key))
        return aud

    def doc(self, audience=None, text="Hello {{name|friend}}", routes=(), **more):
        wave = {"channel": "sms", "content": {"text": text}}
        if routes:
            wave["routes"] = list(routes)
        doc = {"name": "test", "waves": [wave], **more}
        if audience:
            doc["audience"] = audience
        return doc

    def campaign(self, *args, key=None, **kw):
        return self.good(post("/campaigns", self.doc(*args, **kw), key=key), 201)


class Caps(Case):
    def test_a_cap_is_made_changed_in_place_and_ended(self):
        made = post("/caps", {"name": "monthly", "max": 2, "period": "month", "zone": "Asia/Shanghai"})
        cap = self.good(made, 201)
        self.assertEqual((cap["max"], cap["period"], cap["channel"], cap["classes"], cap["sliding_days"]), (2, "month", "all", ["marketing"], None))
        self.assertEqual(made.headers["Location"], "/api/v1/caps/" + cap["id"])
        before = db.sql("SELECT version FROM rules_clock")
        changed = self.good(patch("/caps/" + cap["id"], {"max": None, "name": "free"}, made.headers["ETag"]))
        self.assertEqual((changed["max"], changed["name"], changed["id"], changed["version"]), (None, "free", cap["id"], 2))
        self.assertEqual(db.sql("SELECT count(*) FROM cap WHERE name IN ('monthly', 'free')"), "1")
        self.assertGreater(int(db.sql("SELECT version FROM rules_clock")), int(before))
        self.refused(patch("/caps/" + cap["id"], {"max": 3}, made.headers["ETag"]), 412, "version-mismatch")
        zero = self.good(patch("/caps/" + cap["id"], {"max": 0}, '"v2"'))
        self.assertEqual(zero["max"], 0)
        self.assertEqual(daemon.request("DELETE", "/api/v1/caps/" + cap["id"]).status, 204)
        self.assertEqual(daemon.request("DELETE", "/api/v1/caps/" + cap["id"]).status, 204)
        self.assertFalse(self.good(get("/caps/" + cap["id"]))["active"])
        self.assertNotIn(cap["id"], [c["id"] for c in self.good(get("/caps"))["data"]])
        self.assertIn(cap["id"], [c["id"] for c in self.good(get("/caps?active=false"))["data"]])
        self.refused(patch("/caps/" + cap["id"], {"max": 1}, '"v4"'), 409, "state-conflict")

    def test_another_way_of_counting_is_a_new_row_under_the_same_id(self):
        cap = self.good(post("/caps", {"name": "c", "max": 2, "period": "month", "zone": "UTC", "classes": ["marketing", "service"]}), 201)
        slot = db.sql("SELECT slot FROM cap WHERE public_id = '%s'" % cap["id"])
        new = self.good(patch("/caps/" + cap["id"], {"sliding_days": 30}, '"v1"'))
        self.assertEqual((new["id"], new["period"], new["sliding_days"], new["max"], new["version"]), (cap["id"], None, 30, 2, 2))
        self.assertNotEqual(db.sql("SELECT slot FROM cap WHERE public_id = '%s'" % cap["id"]), slot)
        self.assertEqual(db.sql("SELECT active FROM cap WHERE slot = %s AND period = 2 ORDER BY cap_id DESC LIMIT 1" % slot), "f")
        daemon.request("DELETE", "/api/v1/caps/" + cap["id"])

    def test_what_is_no_cap_is_refused_with_the_place(self):
        base = {"name": "c", "max": 2, "period": "month", "zone": "UTC"}
        self.fault(post("/caps", {**base, "zone": "Asia/Nowhere"}), "/zone", "unknown_zone")
        self.fault(post("/caps", {**base, "sliding_days": 7}), "/sliding_days", "period_twice")
        self.fault(post("/caps", {"name": "c", "max": 2, "zone": "UTC"}), "/period", "required")
        self.fault(post("/caps", {"name": "c", "max": 33, "sliding_days": 7, "zone": "UTC"}), "/max", "out_of_range")
        self.fault(post("/caps", {"name": "c", "max": 1, "sliding_days": 367, "zone": "UTC"}), "/sliding_days", "out_of_range")
        self.fault(post("/caps", {**base, "max": -1}), "/max", "out_of_range")
        self.fault(post("/caps", {**base, "classes": []}), "/classes", "too_few")
        self.assertIn("period", self.fault(post("/caps", {**base, "perid": "month"}), "/perid", "unknown_member"))
        self.refused(get("/caps/cap_nothing"), 404, "not-found")
        key = daemon.key("caps:read", "caps:write", partner_id=7)
        self.refused(post("/caps", base, key=key), 403, "not-allowed")
        self.good(get("/caps", key=key))

    def test_the_thirty_third_cap_is_refused(self):
        made = []
        while True:
            a = post("/caps", {"name": "many", "max": 1, "period": "day", "zone": "UTC"})
            if a.status != 201:
                break
            made.append(a.json["id"])
            self.assertLessEqual(len(made), 32)
        self.assertEqual(a.status, 422, a)
        self.assertEqual(db.sql("SELECT count(*) FROM cap WHERE active"), "32")
        for cap in made:
            daemon.request("DELETE", "/api/v1/caps/" + cap)


ICS = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//test//EN\r\n%sEND:VCALENDAR\r\n"
EVENT = "BEGIN:VEVENT\r\nUID:%s\r\nDTSTAMP:20260101T000000Z\r\nDTSTART;VALUE=DATE:%s\r\n%sSUMMARY:Holiday\r\nEND:VEVENT\r\n"


class Calendars(Case):
    def end(self, *calendars):
        for c in calendars:
            self.assertEqual(daemon.request("DELETE", "/api/v1/calendars/" + c).status, 204)

    def test_quiet_hours_come_back_as_written_and_mean_what_they_say(self):
        hours = [{"days": ["mon", "tue", "wed", "thu", "fri"], "from": "09:00", "to": "21:00"}, {"days": ["sat"], "from": "10:00", "to": "24:00"}]
        made = post("/calendars", {"name": "quiet", "kind": "quiet", "region": "CN", "hours": hours, "classes": ["marketing"], "channels": ["sms", "voice"]})
        cal = self.good(made, 201)
        self.assertEqual((cal["hours"], cal["region"], cal["classes"], cal["channels"]), (hours, "CN", ["marketing"], ["sms", "voice"]))
        # Monday 2027-01-04: closed in China (both zones) until 09:00 in Urumqi = 03:00 UTC, then from 21:00 in Shanghai = 13:00 UTC
        w = self.good(get("/calendars/%s/windows?from=2027-01-04T00:00:00Z&to=2027-01-05T00:00:00Z" % cal["id"]))
        self.assertEqual([(c["from"][11:16], c["to"][11:16], c["holiday"], c["rule"]) for c in w["closed"]],
                         [("00:00", "03:00", False, cal["id"]), ("13:00", "00:00", False, cal["id"])])
        changed = self.good(patch("/calendars/" + cal["id"], {"hours": [{"days": ["sun"], "from": "00:00", "to": "24:00"}], "region": None}, made.headers["ETag"]))
        self.assertEqual((changed["region"], changed["hours"][0]["days"], changed["version"]), (None, ["sun"], 2))
        self.fault(get("/calendars/%s/windows" % cal["id"]), "region", "required")
        self.good(get("/calendars/%s/windows?region=US" % cal["id"]))
        self.fault(get("/calendars/%s/windows?region=XQ" % cal["id"]), "region", "unknown_region")
        self.fault(get("/calendars/%s/windows?region=CN&from=2027-01-04T00:00:00Z&to=2026-01-04T00:00:00Z" % cal["id"]), "to", "out_of_range")
        self.assertIn(cal["id"], [c["id"] for c in self.good(get("/calendars?limit=500"))["data"]])
        self.end(cal["id"])
        self.assertNotIn(cal["id"], [c["id"] for c in self.good(get("/calendars?limit=500"))["data"]])

    def test_holidays_go_in_and_out_as_icalendar(self):
        cal = self.good(post("/calendars", {"name": "holidays", "kind": "holiday", "region": "CN"}), 201)
        self.refused(get("/calendars/%s/ics" % cal["id"]), 404, "not-found")
        year = NOW.year + (NOW.month > 6)
        text = ICS % (EVENT % ("a", "%d1001" % year, "") + EVENT % ("b", "%d1002" % year, ""))
        put = send("PUT", "/calendars/%s/ics" % cal["id"], text, "text/calendar")
        self.assertEqual((self.good(put)["events"], put.json["ics_bytes"]), (2, len(text)))
        back = get("/calendars/%s/ics" % cal["id"])
        self.assertEqual((back.body.decode(), back.headers["Content-Type"]), (text, "text/calendar; charset=utf-8"))
        w = self.good(get("/calendars/%s/windows?from=%d-09-30T00:00:00Z&to=%d-10-05T00:00:00Z" % (cal["id"], year, year)))
        self.assertTrue(w["closed"] and all(c["holiday"] for c in w["closed"]), w)
        self.end(cal["id"])

    def test_broken_and_boundless_calendars_are_refused(self):
        cal = self.good(post("/calendars", {"name": "h", "kind": "holiday"}), 201)["id"]
        put = lambda body, media="text/calendar", **h: send("PUT", "/calendars/%s/ics" % cal, body, media, **h)
        self.refused(put("hello"), 400, "malformed-upload")
        broken = self.refused(put(ICS % (EVENT % ("a", "20261001", "RRULE:FREQ=SOMETIMES\r\n"))), 400, "malformed-upload")
        self.assertEqual(broken.get("line"), 8, broken)
        self.assertRegex(broken["detail"], "FREQ.*(YEARLY|DAILY)")
        self.refused(put((ICS % (EVENT % ("a", "20261001", ""))).replace("Holiday", "a\0b")), 400, "malformed-upload")
        many = "".join("BEGIN:VEVENT\r\nUID:%d\r\nDTSTART;VALUE=DATE:20261001\r\nEND:VEVENT\r\n" % i for i in range(10000))
        self.assertRegex(self.refused(put(ICS % many), 413, "too-large")["detail"], "at most 4096")
        conn = daemon.connection(local=True)  # announced as too large: refused before it is sent
        conn.putrequest("PUT", "/api/v1/calendars/%s/ics" % cal)
        conn.putheader("Content-Type", "text/calendar")
        conn.putheader("Content-Length", str(1 << 21))
        conn.endheaders()
        self.assertEqual(conn.getresponse().status, 413)
        conn.close()
        self.refused(put("{}", "application/json"), 415, "media-type")
        self.refused(get("/calendars/%s/ics" % cal), 404, "not-found")
        quiet = self.good(post("/calendars", {"name": "q", "kind": "quiet", "hours": [{"days": ["mon"], "from": "09:00", "to": "10:00"}]}), 201)["id"]
        self.refused(send("PUT", "/calendars/%s/ics" % quiet, ICS % (EVENT % ("a", "20261001", "")), "text/calendar"), 409, "state-conflict")
        self.end(cal, quiet)

    def test_what_is_no_calendar_is_refused_with_the_place(self):
        hour = {"days": ["mon"], "from": "09:00", "to": "21:00"}
        base = {"name": "q", "kind": "quiet", "hours": [hour]}
        self.fault(post("/calendars", {**base, "hours": [{**hour, "from": "22:00"}]}), "/hours/0/to", "before_from")
        self.fault(post("/calendars", {**base, "hours": [{**hour, "to": "24:01"}]}), "/hours/0/to", "not_a_time_of_day")
        self.fault(post("/calendars", {**base, "hours": [{**hour, "days": ["noday"]}]}), "/hours/0/days/0", "unknown_value")
        self.fault(post("/calendars", {"name": "q", "kind": "quiet"}), "/hours", "required")
        self.fault(post("/calendars", {**base, "kind": "holiday"}), "/hours", "not_for_holidays")
        self.fault(post("/calendars", {**base, "region": "China"}), "/region", "unknown_region")
        self.fault(post("/calendars", {**base, "region": "XQ"}), "/region", "unknown_region")


class Campaigns(Case):
    @classmethod
    def setUpClass(cls):
        me = cls()
        cls.main_route = me.route("main", max_segments=2)
        cls.people = me.audience()

    def test_a_campaign_is_made_read_and_replayed(self):
        idem = str(uuid.uuid4())
        doc = self.doc(self.people, **{"class": "marketing"}, not_before=at(days=1), not_after=at(days=3), keyword="PLAN7")
        doc["waves"][0].update(routes=[self.main_route], validity="P1D")
        first = daemon.post("/api/v1/campaigns", doc, headers={"Idempotency-Key": idem})
        c = self.good(first, 201)
        self.assertEqual((c["state"], c["class"], c["purpose"], c["plugin"], c["audience"], c["keyword"]),
                         ("draft", "marketing", "marketing", "campaign_broadcast", self.people, "PLAN7"))
        self.assertEqual(c["waves"], [{"wave": 1, "channel": "sms", "content": doc["waves"][0]["content"], "routes": [self.main_route], "validity": "PT86400S",
                                       "not_before": None, "after": None, "state": "waiting"}])
        self.assertEqual(c["actions"], ["schedule", "start", "cancel"])
        self.assertEqual((c["progress"]["total"], c["progress"]["done"], c["progress"]["unit"]), (20, 0, "contacts"))
        again = daemon.post("/api/v1/campaigns", doc, headers={"Idempotency-Key": idem})
        self.assertEqual((again.status, again.json["id"], again.headers["Idempotency-Replayed"]), (201, c["id"], "true"))
        self.refused(daemon.post("/api/v1/campaigns", doc), 428, "idempotency-key-required")
        self.assertEqual(self.good(get("/campaigns/" + c["id"]))["id"], c["id"])
        self.assertIn(c["id"], [x["id"] for x in self.good(get("/campaigns?state=draft&limit=500"))["data"]])
        self.assertNotIn(c["id"], [x["id"] for x in self.good(get("/campaigns?state=running&limit=500"))["data"]])
        self.fault(get("/campaigns?state=stuck"), "state", "unknown_value")
        self.assertEqual(db.sql("SELECT count(*) FROM audit WHERE object = '%s' AND action = 'campaign.create'" % c["id"]), "1")

    def test_content_is_judged_when_it_is_written(self):
        bad = lambda text, **kw: post("/campaigns", self.doc(self.people, text=text, **kw))
        self.assertIn("nam", self.fault(bad("Hi {{nam}}"), "/waves/0/content/text", "content_invalid"))
        self.fault(bad("Hi {{name"), "/waves/0/content/text", "content_invalid")
        self.fault(bad("   "), "/waves/0/content/text", "content_invalid")
        doc = self.doc(self.people)
        doc["waves"][0]["content"] = {"txt": "x"}
        self.fault(post("/campaigns", doc), "/waves/0/content/text", "content_invalid")
        doc["waves"][0]["content"] = "x"
        self.fault(post("/campaigns", doc), "/waves/0/content", "wrong_type")
        # without an audience only the form of names is judged; start looks again
        self.good(post("/campaigns", self.doc(None, text="Hi {{anything}}")), 201)
        self.fault(post("/campaigns", self.doc(None, text="Hi {{any thing}}")), "/waves/0/content/text", "content_invalid")

    def content(self, channel, content, people=None):
        return post("/campaigns", {"name": "c", "waves": [{"channel": channel, "content": content}], **({"audience": people} if people else {})})

    def test_each_channel_has_its_members(self):
        flow = {"start": "hello", "steps": {"hello": {"say": "Hi {{name|\"friend\"}}", "keys": {"1": "yes"}}}}
        for channel, content in (("mms", {"text": "Hi {{name}}"}), ("mms", {"subject": "Hi {{name}}", "smil": "<smil><body/></smil>", "text": "x"}),
                                 ("email", {"subject": "Hi", "html": "<p>{{name}}</p>", "headers": {"X-Offer": "{{city|none}}"}}), ("voice", {"flow": flow}),
                                 ("task", {"flow": flow}), ("task", {"script": "Ask {{name}} for the plan"}), ("voice", {"flow": json.dumps(flow)})):
            made = self.good(self.content(channel, content), 201)
            self.assertEqual(made["waves"][0]["content"], content)
        for channel, content, where, says in (
                ("sms", {"text": "x", "html": "y"}, "", 'no member "html"; it has text'),
                ("mms", {"subject": "only"}, "/text", "needs"),
                ("mms", {"text": "x", "smil": "<smil>{{name}}</smil>"}, "/smil", "no fields"),
                ("email", {"subject": "a\nb", "text": "x"}, "/subject", "one line"),
                ("email", {"subject": "a"}, "/text", "html"),
                ("email", {"text": "a"}, "/subject", "needs"),
                ("email", {"subject": "a", "text": "x", "headers": ["X-A: b"]}, "/headers", "object"),
                ("email", {"subject": "a", "text": "x", "headers": {"X A": "b"}}, "/headers", "no name"),
                ("email", {"subject": "a", "text": "x", "headers": {"X-A": "b\r\nBcc: c"}}, "/headers/X-A", "one line"),
                ("email", {"subject": "a", "text": "x", "headers": {"X-%d" % i: "b" for i in range(9)}}, "/headers", "limit is 8"),
                ("voice", {}, "/flow", "JSON object"),
                ("voice", {"flow": "{ no json"}, "/flow", "A flow is JSON"),
                ("voice", {"flow": {"say": "Hi {{na me}}"}}, "/flow", "no field name"),
                ("voice", {"flow": 5}, "/flow", "JSON object"),
                ("task", {}, "/flow", "script")):
            self.assertIn(says, self.fault(self.content(channel, content), "/waves/0/content" + where, "content_invalid"), (channel, content))

    def test_several_waves_have_their_times(self):
        people = self.good(post("/audiences", {"name": "both", "channels": ["sms", "mms"]}), 201)["id"]
        waves = [{"channel": "sms", "content": {"text": "first"}}, {"channel": "mms", "content": {"text": "second"}, "after": "PT2H"},
                 {"channel": "sms", "content": {"text": "third"}, "not_before": at(days=2)}]
        doc = {"name": "c", "audience": people, "not_after": at(days=3), "waves": waves}
        c = self.good(post("/campaigns", doc), 201)
        self.assertEqual([(w["channel"], w["after"], w["not_before"] is None) for w in c["waves"]], [("sms", None, True), ("mms", "PT7200S", True), ("sms", None, False)])
        funnel = self.good(get("/campaigns/%s/funnel?by=wave,channel" % c["id"]))
        self.assertEqual([(g["wave"], g["channel"]) for g in funnel["groups"]], [(1, "sms"), (2, "mms"), (3, "sms")])
        waves[2]["not_before"] = at(days=4)
        self.fault(post("/campaigns", doc), "/waves/2/not_before", "behind_not_after")
        del waves[2]
        waves[1]["after"] = "P4D"
        self.fault(post("/campaigns", doc), "/waves/1/after", "behind_not_after")
        waves[1]["after"] = "PT0S"
        self.fault(post("/campaigns", doc), "/waves/1/after", "out_of_range")

    def test_expected_numbers_count_every_wave(self):
        doc = self.doc(self.people)
        doc["waves"] *= 2
        c = self.good(post("/campaigns", doc), 201)
        refused = post("/campaigns/%s/start" % c["id"], {"expect_submitted_max": 39})
        self.refused(refused, 409, "forecast-exceeded")
        self.assertIn("2 waves", refused.json["detail"])
        self.good(post("/campaigns/%s/start" % c["id"], {"expect_submitted_max": 40}))

    @unittest.skipUnless(SMPP, "no channel_smpp.so in CAMPGW_PLUGIN_DIR: nobody counts parts")
    def test_text_that_needs_more_parts_than_the_route_allows_is_refused(self):
        one, two = self.route(instance="smsc-a", max_segments=1), self.route("double", instance="smsc-a", max_segments=2)
        make = lambda text, *routes: post("/campaigns", self.doc(self.people, text=text, routes=routes))
        self.good(make("x" * 160, one), 201)
        self.assertIn("allows 1", self.fault(make("x" * 161, one), "/waves/0/content", "content_too_long"))
        self.good(make("x" * 161, two), 201)
        self.fault(make("x" * 161, two, one), "/waves/0/content", "content_too_long")
        self.assertIn('3 parts', self.fault(make("退" * 135, two), "/waves/0/content", "content_too_long"))
        # eight letters stand for a field that has no value yet
        self.good(make("x" * 152 + "{{name}}", one), 201)
        self.fault(make("x" * 153 + "{{name}}", one), "/waves/0/content", "content_too_long")

    def test_references_are_checked(self):
        self.fault(post("/campaigns", self.doc("aud_nothing")), "/audience", "unknown_audience")
        self.fault(post("/campaigns", self.doc(self.people, routes=["rte_nothing"])), "/waves/0/routes/0", "route_unfit")
        self.fault(post("/campaigns", self.doc(self.people, routes=[self.main_route, self.main_route])), "/waves/0/routes/1", "twice")
        service = self.route(classes=["service"])
        self.fault(post("/campaigns", self.doc(self.people, routes=[service])), "/waves/0/routes/0", "route_unfit")
        self.fault(post("/campaigns", self.doc(self.people, purpose="surveys")), "/purpose", "unknown_purpose")
        self.fault(post("/campaigns", self.doc(self.people, plugin="campaign_lottery")), "/plugin", "unknown_plugin")
        doc = self.doc(self.people)
        doc["waves"] *= 9
        self.fault(post("/campaigns", doc), "/waves", "too_many")
        doc["waves"] = [{"channel": "email", "content": {"subject": "a", "text": "b"}}]
        self.fault(post("/campaigns", doc), "/waves/0/channel", "not_in_audience")

    def test_times_and_keywords_are_checked(self):
        make = lambda **kw: post("/campaigns", self.doc(self.people, **kw))
        self.fault(make(not_before=at(hours=-1)), "/not_before", "in_the_past")
        self.fault(make(not_after=at(hours=-1)), "/not_after", "in_the_past")
        self.fault(make(not_before=at(days=2), not_after=at(days=1)), "/not_after", "before_not_before")
        self.fault(make(not_before="tomorrow"), "/not_before", "not_a_time")
        for word in ("STOP", "td", "T", "退订", "stop all"):
            self.fault(make(keyword=word), "/keyword", "optout_word")
        self.good(make(keyword="SUMMER"), 201)

    def test_classes_need_leave(self):
        key = daemon.key("campaigns:write", "campaigns:read", "audiences:write", classes=["marketing"])
        make = lambda c, k: post("/campaigns", self.doc(self.people, **{"class": c}), key=k)
        self.good(make("marketing", key), 201)
        self.refused(make("service", key), 403, "not-allowed")
        self.assertEqual(self.refused(make("emergency", key), 403, "scope-missing")["scope"], "campaigns:emergency")
        key = daemon.key("campaigns:write", "campaigns:emergency", classes=["emergency"])
        self.good(make("emergency", key), 201)
        self.fault(make("reply", None), "/class", "unknown_value")

    def test_a_draft_is_changed_by_merge_patch(self):
        made = post("/campaigns", self.doc(self.people, keyword="ONE", not_after=at(days=9)))
        c = self.good(made, 201)
        path = "/campaigns/" + c["id"]
        self.refused(send("PATCH", path, '{"name":"x"}', "application/merge-patch+json"), 428, "if-match-required")
        new = self.good(patch(path, {"name": "second", "keyword": None, "not_before": at(days=1)}, made.headers["ETag"]))
        self.assertEqual((new["name"], new["keyword"], new["version"], new["waves"]), ("second", None, 2, c["waves"]))
        self.assertTrue(new["not_before"] and new["not_after"])
        self.fault(patch(path, {"name": None}, '"v2"'), "/name", "wrong_type")
        self.fault(patch(path, {"not_after": at(hours=2)}, '"v2"'), "/not_after", "before_not_before")
        self.fault(patch(path, {"waves": [{"channel": "sms", "content": {"text": "{{zz}}"}}]}, '"v2"'), "/waves/0/content/text", "content_invalid")
        self.assertEqual(self.good(patch(path, {"waves": [{"channel": "sms", "content": {"text": "new"}}]}, '"v2"'))["waves"][0]["content"]["text"], "new")
        self.refused(patch(path, {"name": "x"}, '"v2"'), 412, "version-mismatch")
        self.assertEqual(daemon.request("DELETE", "/api/v1" + path).status, 204)
        self.refused(get(path), 404, "not-found")

    def test_start_wants_somebody_to_contact(self):
        self.refused(act("/campaigns/%s/start" % self.campaign(None, text="x")["id"]), 409, "state-conflict")
        empty = self.audience(0)
        c = self.campaign(empty, text="Hi {{later}}")["id"]
        self.refused(act("/campaigns/%s/start" % c), 409, "state-conflict")
        self.good(send("PUT", "/audiences/%s/recipients" % empty, "msisdn,name\n%s,a\n" % number(1), "text/csv"))
        self.fault(act("/campaigns/%s/start" % c), "/waves/0/content/text", "content_invalid")
        c = self.campaign(self.people)["id"]
        doc = self.refused(daemon.post("/api/v1/campaigns/%s/start" % c, {"expect_submitted_max": 19}), 409, "forecast-exceeded")
        self.assertEqual(doc["audience"], 20)
        self.assertEqual(self.good(get("/campaigns/" + c))["state"], "draft")
        self.good(daemon.post("/api/v1/campaigns/%s/start" % c, {"expect_submitted_max": 20}))

    def test_the_life_of_a_campaign(self):
        c = self.campaign(self.people)["id"]
        path = "/campaigns/" + c
        doc = self.refused(act(path + "/pause"), 409, "state-conflict")
        self.assertEqual((doc["state"], doc["actions"]), ("draft", ["schedule", "start", "cancel"]))
        self.refused(act(path + "/schedule"), 409, "state-conflict")
        started = self.good(act(path + "/start"))
        self.assertEqual((started["state"], started["actions"]), ("running", ["pause", "cancel"]))
        self.assertTrue(started["started_at"])
        again = self.good(act(path + "/start"))
        self.assertEqual((again["state"], again["version"]), ("running", started["version"]))
        self.assertEqual(db.sql("SELECT count(*) FROM audit WHERE object = '%s' AND action = 'campaign.start'" % c), "1")
        self.assertEqual(db.sql("SELECT w.set_id = a.set_id FROM wave w JOIN campaign c USING (campaign_id) JOIN audience a USING (audience_id) WHERE c.public_id = '%s'" % c), "t")
        self.refused(patch(path, {"name": "x"}, '"v%d"' % started["version"]), 409, "state-conflict")
        self.refused(daemon.request("DELETE", "/api/v1" + path), 409, "state-conflict")
        self.refused(send("PUT", "/audiences/%s/recipients" % self.people, "msisdn,name\n%s,a\n" % number(1), "text/csv"), 409, "in-use")
        self.assertEqual(self.good(act(path + "/pause"))["state"], "paused")
        self.assertEqual(self.good(act(path + "/pause"))["state"], "paused")
        self.refused(act(path + "/start"), 409, "state-conflict")
        self.assertEqual(self.good(act(path + "/resume"))["state"], "running")
        cancelled = self.good(act(path + "/cancel"))
        self.assertEqual((cancelled["state"], cancelled["actions"], cancelled["waves"][0]["state"]), ("cancelled", [], "cancelled"))
        self.good(act(path + "/cancel"))
        self.refused(act(path + "/start"), 409, "state-conflict")
        f = self.good(get(path + "/funnel"))
        self.assertEqual((f["audience"], f["held"], f["waiting"], f["submitted"]), (20, {"campaign.cancelled": 20}, 0, 0))
        db.sql("UPDATE campaign SET state = 'completed' WHERE public_id = '%s'" % c)
        self.assertEqual(self.refused(act(path + "/cancel"), 409, "state-conflict")["actions"], [])

    def test_scheduling_waits_for_its_time(self):
        c = self.campaign(self.people, not_before=at(days=1))["id"]
        path = "/campaigns/" + c
        s = self.good(act(path + "/schedule"))
        self.assertEqual((s["state"], s["progress"]["waiting_for"], s["progress"]["until"][:19]), ("scheduled", "schedule", at(days=1)[:19]))
        self.good(act(path + "/schedule"))
        self.fault(patch(path, {"not_before": None}, '"v%d"' % s["version"]), "/not_before", "required")
        later = self.good(patch(path, {"not_before": at(days=2)}, '"v%d"' % s["version"]))
        self.assertEqual((later["state"], later["not_before"][:10]), ("scheduled", at(days=2)[:10]))
        self.assertEqual(db.sql("SELECT count(*) FROM wave w JOIN campaign c USING (campaign_id) WHERE c.public_id = '%s' AND w.set_id IS NOT NULL" % c), "1")
        self.assertEqual(self.good(act(path + "/start"))["progress"]["waiting_for"], "schedule")

    def test_partners_see_their_own_campaigns_only(self):
        scopes = ("campaigns:read", "campaigns:write", "campaigns:send", "audiences:read", "audiences:write", "contacts:read")
        seven, eight = daemon.key(*scopes, partner_id=7), daemon.key(*scopes, partner_id=8)
        aud = self.audience(3, key=seven)
        c = self.campaign(aud, key=seven)["id"]
        self.good(get("/campaigns/" + c, key=seven))
        self.refused(get("/campaigns/" + c, key=eight), 404, "not-found")
        self.refused(get("/campaigns/%s/funnel" % c, key=eight), 404, "not-found")
        self.refused(get("/campaigns/%s/progress" % c, key=eight), 404, "not-found")
        self.refused(act("/campaigns/%s/start" % c, key=eight), 404, "not-found")
        self.refused(get("/contacts?campaign=" + c, key=eight), 404, "not-found")
        self.fault(post("/campaigns", self.doc(aud), key=eight), "/audience", "unknown_audience")
        self.assertEqual([x["id"] for x in self.good(get("/campaigns", key=seven))["data"]], [c])
        reader = daemon.key("campaigns:read", "campaigns:write")
        self.assertEqual(self.refused(act("/campaigns/%s/start" % c, key=reader), 403, "scope-missing")["scope"], "campaigns:send")

    def test_progress_says_what_is_waited_for(self):
        own = self.route()
        c = self.campaign(self.people, routes=[own])["id"]
        path = "/campaigns/" + c
        self.good(act(path + "/start"))
        waits = lambda: (lambda p: (p["waiting_for"], p["until"] and p["until"][:16]))(self.good(get(path + "/progress")))
        self.assertEqual(waits(), (None, None))
        wave = db.sql("SELECT w.wave_id FROM wave w JOIN campaign c USING (campaign_id) WHERE c.public_id = '%s'" % c)
        db.sql("UPDATE wave SET state = 'running', planned_part = 63 WHERE wave_id = %s" % wave)
        db.sql("INSERT INTO chunk SELECT part, %s, slice_no, place, seq_lo, seq_hi, 0, seq_lo - 1, cust_lo, cust_hi, now() + interval '3 hours', 50 FROM set_slice s"
               " JOIN wave w USING (set_id) WHERE w.wave_id = %s" % (wave, wave))
        until = db.sql("SELECT to_char(min(not_before) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI') FROM chunk WHERE wave_id = %s" % wave)
        self.assertEqual(waits(), ("quiet_calendar", until))
        self.good(act("/routes/%s/pause" % own))
        self.assertEqual(waits()[0], "route_down")
        self.good(act("/routes/%s/resume" % own))
        self.good(send("PUT", "/dispatch", '{"state":"paused"}', "application/json"))
        self.assertEqual(waits()[0], "dispatch_paused")
        self.good(send("PUT", "/dispatch", '{"state":"running"}', "application/json"))
        db.sql("UPDATE chunk SET not_before = NULL, reason = 0 WHERE wave_id = %s" % wave)
        self.assertEqual(waits(), (None, None))
        db.sql("UPDATE route SET instance = 'loop-b' WHERE public_id = '%s'" % own)  # the daemon says that it is down
        self.assertEqual(waits()[0], "route_down")
        db.sql("UPDATE route SET instance = 'loop-a' WHERE public_id = '%s'" % own)
        db.sql("INSERT INTO intent (part, wave_id, seq_lo, seq_hi, route_id, node) SELECT part, wave_id, seq_lo, seq_hi, 1, 'n' FROM chunk WHERE wave_id = %s LIMIT 1" % wave)
        p = self.good(get(path + "/progress"))
        self.assertGreater(p["rate_per_s"], 0)
        self.assertTrue(p["eta"])
        db.sql("UPDATE wave SET state = 'finishing', drained_at = now(), validity_ms = 3600000 WHERE wave_id = %s" % wave)
        db.sql("UPDATE campaign SET state = 'finishing' WHERE public_id = '%s'" % c)
        self.assertEqual(waits()[0], "receipts")

    def test_the_funnel_adds_up(self):
        c = self.campaign(self.people)["id"]
        wave = db.sql("SELECT w.wave_id FROM wave w JOIN campaign c USING (campaign_id) WHERE c.public_id = '%s'" % c)
        held = {1: 2, 10: 1, 40: 3, 53: 1, 60: 1}
        for code, n in held.items():
            db.sql("INSERT INTO campaign_stat VALUES (%s, 'a', 1, %d, %d)" % (wave, code, n))
        db.sql("INSERT INTO campaign_stat VALUES (%s, 'a', 2, 0, 4), (%s, 'b', 2, 0, 3), (%s, 'a', 3, 0, 4), (%s, 'a', 4, 0, 1), (%s, 'a', 7, 0, 9), (%s, 'a', 11, 1, 2)"
               % ((wave,) * 6))
        f = self.good(get("/campaigns/%s/funnel?by=wave,channel" % c))
        stages = ["audience", "after_dnd", "after_consent", "after_stop", "after_assignment", "after_caps", "after_calendar", "submitted"]
        self.assertEqual([f[s] for s in stages], [20, 18, 17, 17, 17, 14, 13, 7])
        self.assertEqual([k for k in f if k in stages], stages)
        self.assertEqual(f["held"], {"dnd.list": 2, "consent.missing": 1, "cap.period": 3, "calendar.no_open_hour": 1, "content.field_missing": 1})
        self.assertEqual(f["waiting"], 20 - sum(held.values()) - 7)
        self.assertEqual(f["submitted"], sum(f[k] for k in ("delivered", "failed", "expired", "unknown", "pending")))
        self.assertEqual((f["pending"], f["responded"], f["segments"]), (2, 2, 9))
        self.assertEqual([(g["wave"], g["channel"], g["submitted"]) for g in f["groups"]], [(1, "sms", 7)])
        self.assertEqual(self.good(get("/campaigns/%s/funnel" % c))["groups"], [])
        self.assertNotIn("wave", self.good(get("/campaigns/%s/funnel?by=channel" % c))["groups"][0])
        self.fault(get("/campaigns/%s/funnel?by=arm" % c), "by", "unknown_value")
        self.assertEqual(self.good(get("/campaigns/%s/progress" % c))["done"], 15)


class Contacts(Case):
    """A wave of ten people with one of each kind of fate, written as the dispatcher and the outcome writer would."""

    FATES = ["held", "delivered", "failed", "expired", "unknown", "accepted", "in_doubt", "intended", "waiting", "withdrawn"]

    @classmethod
    def setUpClass(cls):
        me = cls()
        if not json.loads(get("/routes?limit=1").body)["data"]:
            me.route()
        aud = me.audience(len(cls.FATES))
        cls.campaign_id = me.campaign(aud)["id"]
        me.good(act("/campaigns/%s/start" % cls.campaign_id))
        cls.wave = int(db.sql("SELECT w.wave_id FROM wave w JOIN campaign c USING (campaign_id) WHERE c.public_id = '%s'" % cls.campaign_id))
        db.sql("SELECT ensure_wave_partitions(%d)" % cls.wave)
        db.sql("INSERT INTO chunk SELECT part, %d, slice_no, place, seq_lo, seq_hi, 1, seq_hi, cust_lo, cust_hi, NULL, 0 FROM set_slice s JOIN wave w USING (set_id) WHERE w.wave_id = %d"
               % (cls.wave, cls.wave))
        rows = db.sql("SELECT r.part, r.seq, r.customer_id FROM recipient r JOIN wave w USING (set_id) WHERE w.wave_id = %d ORDER BY r.seq" % cls.wave).split("\n")
        for fate, row in zip(cls.FATES, rows):
            cls.write(fate, *[int(x) for x in row.split("|")])

    @classmethod
    def write(cls, fate, part, seq, customer):
        con = (cls.wave << 32) | seq
        period = int(NOW.strftime("%Y%m"))
        if fate == "waiting":
            db.sql("INSERT INTO echo VALUES (%d, %d, %d, 1, 0, 0, now() + interval '1 hour', 50, false)" % (part, cls.wave, seq))
            return
        verdict, reason = (3, 1) if fate == "held" else (1, 0)
        db.sql("INSERT INTO contact_log VALUES (%d, %d, 1, %d, %d, %d, (SELECT chunk_no FROM chunk WHERE part = %d AND wave_id = %d AND %d BETWEEN seq_lo AND seq_hi),"
               " 0, now(), %d, %d, %s, 1, 1, 1, 0, 0, 1)" % (part, con, period, customer, cls.wave, part, cls.wave, seq, verdict, reason, "1" if verdict == 3 else "NULL"))
        if fate in ("delivered", "failed", "expired", "unknown", "accepted"):
            db.sql("INSERT INTO contact_submit VALUES (%d, %d, 1, 0, 1, true, now(), 1, 77, 0, 'ref-1', '', 1)" % (part, con))
        kind = {"delivered": 2, "failed": 3, "expired": 4, "unknown": 12, "in_doubt": 9, "withdrawn": 10}.get(fate)
        if kind:
            db.sql("INSERT INTO contact_event VALUES (%d, %d, 1, %d, %d, now(), 1, %d, 'smpp34.command_status', '', 1, 30, 1)"
                   % (part, con, 0 if kind == 2 else -1, kind, 2 if fate == "withdrawn" else 8))

    def all(self, query=""):
        rows, path = [], "/api/v1/contacts?campaign=%s&limit=3%s" % (self.campaign_id, query)
        while path:
            page = self.good(daemon.get(path))
            rows += page["data"]
            self.assertEqual(page["has_more"], page["next"] is not None)
            path = page["next"]
        return rows

    def test_every_fate_has_its_state(self):
        rows = self.all()
        want = sorted("held" if f == "withdrawn" else f for f in self.FATES)
        self.assertEqual(sorted(r["state"] for r in rows), want)
        self.assertEqual(len({r["id"] for r in rows}), len(rows))
        by = {r["state"]: r for r in rows}
        self.assertEqual((by["waiting"]["verdict"], by["waiting"]["reason"]), ("DEFER", "calendar.quiet"))
        self.assertTrue(by["waiting"]["until"])
        self.assertEqual((by["delivered"]["verdict"], by["delivered"]["reason"]), ("ALLOW", None))
        held = {r["reason"]: r for r in rows if r["state"] == "held"}
        self.assertEqual(sorted(held), ["dnd.list", "dnd.optout"])
        self.assertEqual(held["dnd.list"]["rule"], "dnd_optouts")
        self.assertNotIn("138000", json.dumps(rows))

    def test_filters_choose(self):
        self.assertEqual([r["state"] for r in self.all("&state=failed")], ["failed"])
        self.assertEqual([r["reason"] for r in self.all("&reason=dnd.list")], ["dnd.list"])
        self.assertEqual({r["state"] for r in self.all("&verdict=DENY")}, {"held"})
        self.assertEqual(self.all("&from=%s" % at(days=1)), [])
        self.assertEqual(len(self.all("&from=%s&to=%s" % (at(days=-1), at(days=1)))), 9)
        one = self.all("&state=expired")[0]
        mine = self.good(get("/contacts?customer=" + one["customer"]))["data"]
        self.assertIn(one["id"], [r["id"] for r in mine])
        both = self.good(get("/contacts?customer=%s&campaign=%s" % (one["customer"], self.campaign_id)))["data"]
        self.assertEqual([r["id"] for r in both], [one["id"]])
        self.fault(get("/contacts"), "customer", "required")
        self.fault(get("/contacts?campaign=%s&reason=dnd.lst" % self.campaign_id), "reason", "unknown_value")
        self.fault(get("/contacts?campaign=%s&state=lost" % self.campaign_id), "state", "unknown_value")
        self.fault(get("/contacts?customer=cus_00000000000001"), "customer", "id_invalid")
        self.refused(get("/contacts?campaign=cmp_nothing"), 404, "not-found")

    def test_one_contact_says_why(self):
        by = {r["state"]: r for r in self.all()}
        d = self.good(get("/contacts/" + by["delivered"]["id"]))
        self.assertEqual((d["state"], d["campaign"], d["customer"], d["waiting"]), ("delivered", self.campaign_id, by["delivered"]["customer"], None))
        self.assertEqual([(x["attempt"], x["verdict"], x["reason"]) for x in d["decisions"]], [(1, "ALLOW", None)])
        self.assertEqual([(x["segment"], x["reference"]) for x in d["submits"]], [(0, "ref-1")])
        self.assertEqual([(x["kind"], x["code"]) for x in d["events"]], [("delivered", 8)])
        w = self.good(get("/contacts/" + by["waiting"]["id"]))
        self.assertEqual((w["state"], w["decisions"], w["waiting"]["reason"], w["waiting"]["text"]), ("waiting", [], "calendar.quiet", "quiet hours"))
        h = self.good(get("/contacts/" + self.all("&reason=dnd.list")[0]["id"], headers={"Accept-Language": "zh-CN"}))
        self.assertEqual((h["decisions"][0]["text"], h["text"], h["decisions"][0]["rule"]), ("在免打扰名单中", "在免打扰名单中", "dnd_optouts"))
        x = self.good(get("/contacts/" + self.all("&reason=dnd.optout")[0]["id"]))
        self.assertEqual([(e["kind"], e["reason"], e["code"]) for e in x["events"]], [("withdrawn", "dnd.optout", None)])
        self.refused(get("/contacts/con_00000000000000"), 404, "not-found")
        self.refused(get("/contacts/con_0000000000000z"), 404, "not-found")
        key = daemon.key("contacts:read", partner_id=7)
        self.refused(get("/contacts/" + by["delivered"]["id"], key=key), 404, "not-found")
        self.assertNotIn("138000", json.dumps([d, w, h, x]))

    def test_export_is_the_same_rows(self):
        path = "/contacts/export?campaign=" + self.campaign_id
        a = get(path)
        self.assertEqual(a.headers["Content-Type"], "application/x-ndjson")
        self.assertEqual([json.loads(line) for line in a.body.decode().splitlines()], self.all())
        csv = get(path + "&state=delivered", headers={"Accept": "text/csv"})
        lines = csv.body.decode().split("\r\n")
        self.assertEqual((csv.headers["Content-Type"], len(lines), lines[0][:17]), ("text/csv; charset=utf-8", 3, "contact,customer,"))
        self.assertIn(",delivered,ALLOW,,,1,1,", lines[1])
        self.refused(get(path, key=daemon.key("contacts:read")), 403, "scope-missing")
        self.assertGreaterEqual(int(db.sql("SELECT count(*) FROM audit WHERE action = 'contacts.export' AND object = '%s'" % self.campaign_id)), 2)


class Decisions(Case):
    def ask(self, **kw):
        return post("/decisions", {"channel": "sms", **kw})

    def consent(self, who, action="grant"):
        self.good(post("/consents", {"msisdn": who, "action": action, "purpose": "marketing", "source": "test"}))

    def test_the_answer_is_policys(self):
        who = number(900001)
        a = self.good(self.ask(msisdn=who))
        self.assertEqual((a["verdict"], a["reason"], a["rule"]), ("DENY", "consent.missing", None))
        self.consent(who)
        a = self.good(self.ask(msisdn=who))
        self.assertEqual((a["verdict"], a["reason"], a["until"]), ("ALLOW", None, None))
        by_id = self.good(self.ask(customer=a["customer"]))
        self.assertEqual(by_id["customer"], a["customer"])
        cap = self.good(post("/caps", {"name": "none", "max": 0, "period": "month", "zone": "UTC"}), 201)["id"]
        denied = self.good(self.ask(msisdn=who))
        self.assertEqual((denied["verdict"], denied["reason"], denied["rule"]), ("DENY", "cap.period", cap))
        self.assertGreater(denied["rules_version"], a["rules_version"])
        self.good(patch("/caps/" + cap, {"max": None}, '"v1"'))
        self.assertEqual(self.good(self.ask(msisdn=who))["verdict"], "ALLOW")
        daemon.request("DELETE", "/api/v1/caps/" + cap)

    def test_time_and_place_decide(self):
        who = number(900002)
        self.consent(who)
        cal = self.good(post("/calendars", {"name": "n", "kind": "quiet", "region": "CN", "classes": ["marketing"],
                                            "hours": [{"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "from": "09:00", "to": "21:00"}]}), 201)["id"]
        day = (NOW + datetime.timedelta(days=3)).strftime("%Y-%m-%d")
        night = self.good(self.ask(msisdn=who, at=day + "T20:00:00Z"))
        # number of China: Shanghai and Urumqi; open when it is 09:00 in Urumqi (UTC+6)
        next_day = (NOW + datetime.timedelta(days=4)).strftime("%Y-%m-%d")
        self.assertEqual((night["verdict"], night["reason"], night["rule"], night["until"]), ("DEFER", "calendar.quiet", cal, next_day + "T03:00:00.000Z"))
        noon = self.good(self.ask(msisdn=who, at=day + "T06:00:00Z"))
        self.assertEqual((noon["verdict"], noon["closes"]), ("ALLOW", day + "T13:00:00.000Z"))
        self.assertEqual(self.good(self.ask(msisdn=who, at=day + "T20:00:00Z", **{"class": "emergency"}))["verdict"], "ALLOW")
        self.good(send("PUT", "/customers", '{"msisdn":"%s","zone":"Asia/Shanghai"}\n' % who, "application/x-ndjson"))
        self.assertEqual(self.good(self.ask(msisdn=who, at=day + "T20:00:00Z"))["until"], next_day + "T01:00:00.000Z")
        daemon.request("DELETE", "/api/v1/calendars/" + cal)

    def test_partners_learn_only_whether(self):
        key = daemon.key("decisions:read", "audiences:read", "audiences:write", partner_id=7)
        self.refused(post("/decisions", {"channel": "sms", "msisdn": number(900003)}, key=key), 404, "not-found")
        self.audience(3, key=key)
        a = self.good(post("/decisions", {"channel": "sms", "msisdn": number(1)}, key=key))
        self.assertEqual((set(a), a["contactable"]), ({"customer", "contactable"}, False))
        self.consent(number(1))
        self.assertTrue(self.good(post("/decisions", {"channel": "sms", "msisdn": number(1)}, key=key))["contactable"])
        self.assertEqual(db.sql("SELECT count(*) FROM audit WHERE action = 'decision.ask'"), "2")

    def test_bad_questions(self):
        self.fault(post("/decisions", {"msisdn": number(1)}), "/channel", "required")
        self.fault(self.ask(), "", "person_ambiguous")
        self.fault(self.ask(msisdn="12ab"), "/msisdn", "number_letters")
        self.fault(self.ask(msisdn=number(1), purpose="surveys"), "/purpose", "unknown_purpose")
        self.fault(self.ask(msisdn=number(1), at="noon"), "/at", "not_a_time")


class Description(Case):
    def test_every_route_is_described_with_its_scope_and_the_description_is_sound(self):
        doc = self.good(daemon.get("/openapi.json", local=False))
        described = {}
        for path, ops in doc["paths"].items():
            for method, op in ops.items():
                described[(method.upper(), path)] = op.get("x-scope") or "-"
        dump = subprocess.run([os.environ["CAMPGW_API_DAEMON"], "--dump-routes"], stdout=subprocess.PIPE, text=True, timeout=60, check=True).stdout
        routes = {(line.split()[0], line.split()[1]): line.split()[2] for line in dump.splitlines()}
        self.assertEqual(described, routes)
        self.assertEqual(formats.openapi(doc), [])

    def test_reasons_are_those_of_the_gateway(self):
        with open(os.path.join(harness.ROOT, "core/policy/reasons.def"), encoding="utf-8") as f:
            words = re.findall(r'^REASON\(\w+, \d+, "([^"]+)"', f.read(), re.M)
        doc = self.good(daemon.get("/openapi.json", local=False))
        self.assertEqual(doc["components"]["schemas"]["Reason"]["enum"], words)


if __name__ == "__main__":
    unittest.main(verbosity=1)
