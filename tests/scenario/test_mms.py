# SPDX-License-Identifier: Apache-2.0
"""test_mms.py - a campaign by MMS: daemon, channel_mms, the simulated MMSC and the callback listener together. What the MMSC counted equals the
log, reports come back over HTTP, and the answer of a person stops what was to follow."""
import os
import unittest

import harness
import stack

USER, PASSWORD = "mmsc", "heron7"
PICTURE = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(range(256)) * 100


class Mmsc(stack.Simulator):
    """tests/sim/mmscsim: the same life, other switches."""

    def start(self, port=0, **knobs):
        stack.make_dir(self.dir, self.who)
        argv = [self.program, "--listen", "127.0.0.1:%d" % port, "--port-file", self.port_file, "--control", self.control]
        for knob, value in knobs.items():
            argv += ["--" + knob.replace("_", "-"), str(value)]
        self.process.spawn(self.prefix + argv)
        if not stack.wait_until(lambda: os.path.exists(self.port_file), stack.START_S):
            self.process.fail("does not start")

    def taken(self):
        """{(dest, key): copies} of what went in, answered or not."""
        path = os.path.join(self.dir, "sim.messages")
        self.ctl("dump " + path)
        with open(path, encoding="utf-8") as f:
            rows = [line.split("\t") for line in f]
        return {(w[0], w[1]): int(w[5]) for w in rows if int(w[5])}


class Mms(harness.Field):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        port = stack.free_port(harness.PORTS)
        cls.mmsc = Mmsc(os.path.join(os.path.dirname(cls.programs.simulator), "mmscsim"), os.path.join(cls.dir, "mmsc"))
        cls.addClassCleanup(cls.mmsc.stop)
        cls.mmsc.start(callback="http://127.0.0.1:%d/cb/mmsc/mm7" % port, callback_auth="%s:%s" % (USER, PASSWORD), drop_answer_permille=20, report_swap=1)
        stack.write_file(os.path.join(cls.gateway.credentials, "mmsc.callback"), PASSWORD + "\n", cls.gateway.who, 0o600)
        cls.settings["callback"] = {"listen": "127.0.0.1", "port": port}
        cls.settings["instances"].append({
            "name": "mmsc", "plugin": "channel_mms", "url": "http://127.0.0.1:%d/mm7" % cls.mmsc.port, "vaspid": "campgw", "default_sender": harness.SENDER, "region": "CN",
            "expiry_min_ms": 1000, "window": 16, "cancel": True, "callback_user": USER, "callback_password": "mmsc.callback", "callback_allow": ["10.0.0.1/32"]})
        cls.gateway.configure(cls.settings)
        cls.restart()
        cls.mms_route = cls.api.post("/api/v1/routes", {"name": "mms", "channel": "mms", "instance": "mmsc", "sender": harness.SENDER, "sender_kind": "short_code"})["id"]

    def send(self, people):
        aud = self.api.post("/api/v1/audiences", {"name": "mms", "channels": ["mms"]})["id"]
        self.api.call("PUT", "/api/v1/audiences/%s/recipients" % aud, body=harness.csv(people), media="text/csv")
        picture = self.api.post("/api/v1/media", body=PICTURE, media="image/jpeg")["id"]
        content = {"subject": "Spring & you", "text": "campaign text #{{code}}", "media": [{"media": picture, "name": "photo.jpg"}]}
        return self.campaign(people, audience=aud, waves=[{"channel": "mms", "content": content, "validity": "PT60S"}])

    def test_a_campaign_is_counted_the_same_on_both_sides(self):
        people = self.people(400)
        self.consent(people)
        funnel = self.complete(self.send(people))
        taken = self.mmsc.taken()
        self.assertEqual({k for k in taken if k in self.keys(people)}, self.keys(people), funnel)
        self.assertEqual([k for k, n in taken.items() if n > 1], [], "somebody got it twice")
        stats = self.mmsc.stats()
        self.assertEqual(stats["complaints_total"], 0, stats["complaints"])
        self.assertEqual(stats["echo_wrong"], 0)
        self.assertGreater(stats["media_bytes"], 400 * len(PICTURE), "the picture did not travel with every message")
        self.assertGreater(stats["ambiguous"], 0, "no answer was lost: the test proves little")
        # the reports of messages whose answer was lost settle them too: by their person
        self.assertEqual((funnel["submitted"], funnel["delivered"]), (400, 400), funnel)

    def test_an_answer_with_a_photo_is_kept_and_stop_stops(self):
        people = self.people(1)
        self.consent(people)
        cmp = self.send(people)
        self.complete(cmp)
        self.mmsc.ctl("mo media=5000 %s %s nice" % (people[0].msisdn, harness.SENDER))
        self.assertTrue(self.until(lambda: self.mmsc.stats()["mo_acked"] == 1, 15), self.mmsc.stats())
        rows = self.api.get("/api/v1/campaigns/%s/responses" % cmp)["data"]
        self.assertEqual([(r["text"], [(m["type"], m["bytes"]) for m in r["media"]]) for r in rows], [("nice", [("image/jpeg", 5000)])], rows)
        self.mmsc.ctl("mo %s %s TD" % (people[0].msisdn, harness.SENDER))
        self.assertTrue(self.until(lambda: self.verdict(people[0], channel="mms")["verdict"] == "DENY", 15), self.verdict(people[0], channel="mms"))
        self.assertTrue(self.until(lambda: self.mmsc.stats()["mo_acked"] == 2, 15), self.mmsc.stats())  # else it is said again, in the test that follows

    def test_a_cancelled_campaign_takes_back_what_was_not_retrieved(self):
        self.mmsc.set(report_delay_ms=3600000, drop_answer_permille=0)
        self.addCleanup(self.mmsc.set, report_delay_ms=0, drop_answer_permille=20)
        before = self.mmsc.stats()["cancels"]
        people = self.people(100)
        self.consent(people)
        cmp = self.send(people)
        self.assertTrue(self.until(lambda: len(self.contacts_in("contact_submit", cmp)) == 100, 30, 0.1), self.funnel(cmp))
        self.act(cmp, "cancel")
        self.assertTrue(self.until(lambda: self.funnel(cmp)["recalled"] == 100, 30, 0.1), self.funnel(cmp))
        self.assertEqual(self.mmsc.stats()["cancels"] - before, 100)

    def test_strangers_are_not_heard(self):
        self.mmsc.set(callback_auth="mmsc:guess")
        self.addCleanup(self.mmsc.set, callback_auth="%s:%s" % (USER, PASSWORD))
        before = self.mmsc.stats()["mo_refused"]
        self.mmsc.ctl("mo +8613999999999 %s TD" % harness.SENDER)
        self.assertTrue(self.until(lambda: self.mmsc.stats()["mo_refused"] == before + 1), self.mmsc.stats())


if __name__ == "__main__":
    unittest.main()
