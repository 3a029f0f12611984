# SPDX-License-Identifier: Apache-2.0
"""test_waves.py - one campaign with a wave for each channel: SMS to the message centre, MMS, calls and tasks to loopback channels. Each wave
is counted by itself, on both sides; caps and do-not-disturb hold over all of them; a wave begins when its time has come.
"""
import collections
import glob
import http.client
import os
import shutil

import harness
import stack

KINDS = ("mms", "voice", "task")
PICTURE = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(range(256)) * 800


class Waves(harness.Field):
    @classmethod
    def prepare(cls):
        plugins = os.path.join(cls.gateway.dir, "plugins")
        stack.make_dir(plugins, cls.gateway.who)
        for path in glob.glob(os.path.join(cls.programs.plugins, "*.so")) + [os.path.join(cls.programs.build, "tests/fixtures/plugins/.libs/loopback_%s.so" % k) for k in KINDS]:
            shutil.copy(path, plugins)
        base = cls.gateway.settings(0, cls.sim.port)
        cls.records = {k: os.path.join(cls.gateway.dir, k + ".txt") for k in KINDS}
        cls.callback = stack.free_port(harness.PORTS)
        cls.config = {"callback": {"listen": "127.0.0.1", "port": cls.callback}, "plugins": {**base["plugins"], "directory": plugins},
                      "instances": base["instances"] + [{"name": "lo-" + k, "plugin": "loopback_" + k, "record": cls.records[k], "isolation": "none"} for k in KINDS]}

    @classmethod
    def route(cls, **more):
        super().route(**more)
        for k in KINDS:
            cls.api.post("/api/v1/routes", {"name": "r-" + k, "channel": k, "instance": "lo-" + k})

    @classmethod
    def everywhere(cls, people):
        """An audience of people with a telephone, for every channel of these."""
        aud = cls.api.post("/api/v1/audiences", {"name": "all", "channels": ["sms", *KINDS]})["id"]
        cls.api.call("PUT", "/api/v1/audiences/%s/recipients" % aud, body=harness.csv(people), media="text/csv")
        return aud

    def picture(self):
        return self.api.post("/api/v1/media", body=PICTURE, media="image/jpeg")["id"]

    def waves(self, **times):
        content = {"sms": {"text": "first #{{code}}"}, "mms": {"text": "second #{{code}}", "media": [{"media": self.picture(), "name": "photo.jpg"}]},
                   "voice": {"flow": {"say": "third {{code}}", "keys": {"9": "optout"}}}, "task": {"script": "fourth {{code}}"}}
        return [{"channel": k, "content": content[k], "validity": "PT60S", **times.get(k, {})} for k in content]

    def recorded(self, kind):
        """Records of the loopback channel: (number, roles, bytes)."""
        try:
            with open(self.records[kind], encoding="ascii") as f:
                return [tuple(line.split()) for line in f]
        except FileNotFoundError:
            return []

    def setUp(self):
        self.sim.ctl("reset")
        for path in self.records.values():
            if os.path.exists(path):
                with open(path, "w", encoding="ascii"):
                    pass

    def test_every_wave_is_counted_and_the_rules_hold_over_all(self):
        people, still, capped = self.people(60), self.people(10), self.people(10)
        everybody = people + still + capped
        self.consent(everybody)
        self.forbid(still)
        cap = self.api.post("/api/v1/caps", {"name": "three a year", "max": 3, "period": "year", "zone": "UTC", "classes": ["marketing"]})["id"]
        self.addCleanup(lambda: self.api.call("DELETE", "/api/v1/caps/" + cap))
        first = self.campaign(capped)  # one of the three
        self.complete(first, 40)
        self.sim.ctl("reset")
        # sms at once, the others later: otherwise who is first to use up the cap is chance
        cmp = self.campaign(everybody, waves=self.waves(mms={"after": "PT9S"}, voice={"after": "PT18S"}, task={"after": "PT27S"}), audience=self.everywhere(everybody))
        between = self.until(lambda: next((p for p in [self.progress(cmp)] if p["waiting_for"] == "schedule"), None), 20)
        self.assertTrue(between, self.progress(cmp))
        self.assertIsNotNone(between["until"])
        loaded = self.metric("campgw_media_loaded_total") or 0
        total = self.complete(cmp, 120)
        by = {g["channel"]: g for g in self.api.get("/api/v1/campaigns/%s/funnel?by=wave,channel" % cmp)["groups"]}
        # who has had one already: sms and mms are the second and third; for the others sms, mms and the call
        allowed = {"sms": people + capped, "mms": people + capped, "voice": people, "task": []}
        for kind, who in allowed.items():
            self.assertEqual((by[kind]["audience"], by[kind]["submitted"], by[kind]["waiting"]), (80, len(who), 0), by[kind])
            self.assertEqual(by[kind]["held"].get("dnd.list"), 10, by[kind])
            self.assertEqual(by[kind]["held"].get("cap.period", 0), 70 - len(who), by[kind])
        self.assertEqual(total["submitted"], sum(len(w) for w in allowed.values()))
        self.assertEqual(self.reached(), self.keys(allowed["sms"]))
        for kind in KINDS:
            self.assertEqual(collections.Counter(r[0] for r in self.recorded(kind)), collections.Counter(p.msisdn for p in allowed[kind]), kind)
        self.assertEqual({r[1] for r in self.recorded("mms")}, {"text,media"})
        self.assertEqual({int(r[2]) - len("second #") - len(str(p.code)) for r in self.recorded("mms") for p in everybody if p.msisdn == r[0]}, {len(PICTURE)})
        self.assertLessEqual(self.metric("campgw_media_loaded_total") - loaded, 1, "the picture was read more than once")
        self.seals_verify()

    def labelled(self, name):
        """Value by labels, of all series of a metric."""
        lines = self.api.ask("GET", "/metrics").body.decode().splitlines()
        return {line[len(name):].rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name + "{")}

    def send_mms(self, person, text, data):
        conn = http.client.HTTPConnection("127.0.0.1", self.callback, timeout=20)
        conn.request("POST", "/cb/lo-mms/inbound?media=image/jpeg", body=("%s 10690 %s\n" % (person.msisdn, text)).encode() + data)
        answer = conn.getresponse()
        self.assertEqual((answer.status, answer.read()), (200, b"stored\n"))
        conn.close()

    def test_what_people_send_back_is_a_response_with_its_picture(self):
        people = self.people(3)
        self.consent(people)
        waves = [w for w in self.waves() if w["channel"] == "mms"]
        cmp = self.campaign(people, waves=waves, audience=self.everywhere(people))
        self.complete(cmp, 40)
        photo = b"\x89PNG\r\n\x1a\n" + os.urandom(300000)
        self.send_mms(people[0], "Here it is", photo)
        self.send_mms(people[1], "1", b"GIF89a small")
        self.send_mms(people[2], "STOP", b"GIF89a small")
        rows = self.api.get("/api/v1/campaigns/%s/responses" % cmp)["data"]
        self.assertEqual([(r["text"], r["meaning"], [(m["type"], m["bytes"]) for m in r["media"]]) for r in rows],
                         [("STOP", "stop", [("image/gif", 12)]), ("1", "none", [("image/gif", 12)]), ("Here it is", "none", [("image/png", len(photo))])])
        self.assertEqual(self.api.ask("GET", "/api/v1/media/%s/content" % rows[2]["media"][0]["media"]).body, photo)
        self.assertEqual(rows[0]["media"][0]["media"], rows[1]["media"][0]["media"], "the same bytes are one media")
        self.assertEqual(self.api.get("/api/v1/campaigns/%s/answers" % cmp)["responses"], 3)
        self.assertEqual(self.verdict(people[2])["verdict"], "DENY")
        # of all tests so far: their last receipts may come after them
        stored = lambda: self.number("SELECT count(*) FROM contact_event JOIN contact_log USING (part, contact_id, attempt) WHERE kind = 2 AND channel = 2")
        counted = lambda: sum(n for k, n in self.labelled("campgw_messages_finished_total").items() if 'channel="mms"' in k and 'result="delivered"' in k)
        self.assertTrue(self.until(lambda: counted() == stored() >= 3, 20, 0.1), (counted(), stored()))
        for name in ("campgw_optout_enforce_seconds_count", "campgw_queue_messages", "campgw_queue_oldest_age_seconds", "campgw_submit_duration_seconds_count", "campgw_receipt_delay_seconds_count"):
            self.assertTrue(self.metric(name) or self.labelled(name), name)
        self.assertEqual(set(self.labelled("campgw_channel_up").values()), {1.0})

    def test_pause_keeps_waves_from_beginning_and_cancel_ends_them(self):
        people = self.people(20)
        self.consent(people)
        cmp = self.campaign(people, waves=self.waves(mms={"after": "PT15S"}, voice={"after": "PT1H"}, task={"not_before": harness.utc(3000)}), audience=self.everywhere(people))
        self.assertTrue(self.until(lambda: len(self.reached()) == 20, 20))
        self.act(cmp, "pause")
        self.assertFalse(self.until(lambda: self.recorded("mms"), 17), "a wave began while the campaign was paused")
        self.act(cmp, "resume")
        self.assertTrue(self.until(lambda: len(self.recorded("mms")) == 20, 20))
        states = lambda: {w["channel"]: w["state"] for w in self.api.get("/api/v1/campaigns/" + cmp)["waves"]}
        self.assertTrue(self.until(lambda: states()["sms"] == "done", 20), states())
        self.assertEqual((self.state(cmp), states()["voice"], states()["task"]), ("running", "waiting", "waiting"), "waves that wait keep the campaign running")
        self.act(cmp, "cancel")
        self.complete(cmp, 30, ("cancelled",))
        self.assertTrue(self.until(lambda: self.api.get("/api/v1/campaigns/" + cmp)["finished_at"], 20))
        f = self.funnel(cmp)  # behind the last result
        self.assertEqual((f["audience"], f["submitted"], f["held"]), (80, 40, {"campaign.cancelled": 40}))
        self.assertEqual((self.recorded("voice"), self.recorded("task")), ([], []))

    def test_a_wave_behind_the_end_does_not_keep_the_campaign(self):
        people = self.people(5)
        self.consent(people)
        waves = [w for w in self.waves() if w["channel"] in ("sms", "task")]
        waves[1]["after"] = "PT8S"
        cmp = self.campaign(people, waves=waves, audience=self.everywhere(people), not_after_s=12)
        self.act(cmp, "pause")  # the hour of the second wave passes, and the campaign's end too
        self.until(lambda: False, 13)
        self.act(cmp, "resume")
        f = self.complete(cmp, 40)
        self.assertEqual(f["held"].get("campaign.expired", 0) + f["submitted"], 10, f)
        self.assertEqual(self.recorded("task"), [])
