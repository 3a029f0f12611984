# SPDX-License-Identifier: Apache-2.0
"""test_comes_back.py - what mailboxes and people at telephones send back, and what the gateway does with it the next time it is asked.

E-mail: a hard bounce, a complaint, a one-click unsubscribe. Telephone: the opt-out key, a key of the menu, busy lines.
"""
import http.server
import threading
import unittest
import urllib.error
import urllib.parse
import urllib.request

import harness

import peers
import stack

CAP = 2  # contacts a month over all channels
TRIES, RETRY_S = 3, 2  # of a busy line
ANGRY = "angry."  # begins the address of a person who complains
LOST = peers.GONE + "lost."  # of a mailbox that does not exist, behind a server that says so only by mail
FLOW = {"start": "ask", "voice": "en", "optout": "9", "optout_say": "You will not be called again.", "max_s": 30, "nodes": {
    "ask": {"say": "Press 1 for the catalogue, 9 for no more calls.", "menu": {"1": "bye"}, "wait_s": 3, "tries": 1, "otherwise": "bye"}, "bye": {"say": "Thank you."}}}
CONTENT = {"email": {"subject": "Summer", "text": "Summer. No more mails: %unsubscribe_url%"}, "sms": {"text": "Summer #{{code}}"}, "voice": {"flow": FLOW}}


class Proxy(http.server.BaseHTTPRequestHandler):
    """The public web server in front of the gateway: passes clicks on, and remembers them, because a click can be repeated only by who knows the link."""
    target, clicks = "", []

    def do_POST(self):  # noqa: N802 - the name that http.server wants
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.clicks.append(self.path)
        self.send_response(self.click(self.path, body))
        self.end_headers()

    @classmethod
    def click(cls, path, body=b"List-Unsubscribe=One-Click"):
        request = urllib.request.Request(cls.target + "?" + path.partition("?")[2], body, {"Content-Type": "application/x-www-form-urlencoded"})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status
        except urllib.error.HTTPError as e:
            return e.code

    def log_message(self, *_):
        """Nothing: the output is TAP."""


class Person:
    def __init__(self, code, mailbox="p."):
        self.code, self.msisdn, self.email = code, "+86138%08d" % code, "%s%d@customer.example" % (mailbox, code)


class ComesBack(harness.Field):
    @classmethod
    def prepare(cls):
        cls.peers = peers.Peers(cls.programs, cls.dir, harness.PORTS + 50)
        if cls.peers.missing:
            raise unittest.SkipTest("not built: " + " ".join(cls.peers.missing))
        cls.peers.mail.always = (*peers.Mail.always, "--complain", ANGRY + "*", "--lose", LOST + "*")
        cls.addClassCleanup(cls.peers.stop)
        cls.peers.start(cls.gateway)
        base = "http://127.0.0.1:%d/cb/" % cls.peers.callback
        proxy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
        cls.addClassCleanup(proxy.server_close)
        cls.addClassCleanup(proxy.shutdown)
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        Proxy.target = base + "mail/u"
        cls.peers.mail.set(report_url=base + "mail/report", link_base="http://127.0.0.1:%d/u" % proxy.server_port)
        config = cls.peers.extend(cls.gateway.settings(0, cls.sim.port, **cls.instance))
        next(i for i in config["instances"] if i["name"] == "phones")["retry_busy_s"] = RETRY_S
        cls.config = {k: config[k] for k in ("callback", "instances")}

    @classmethod
    def route(cls, **more):
        for route in ({"channel": "sms", "instance": "smsc", "sender": harness.SENDER, "sender_kind": "short_code"}, {"channel": "email", "instance": "mail", "receipts": False},
                      {"channel": "voice", "instance": "phones", "max_tries": TRIES}):
            cls.api.post("/api/v1/routes", {"name": route["channel"], **route})
        cls.api.post("/api/v1/caps", {"name": "month", "max": CAP, "period": "month", "zone": harness.HOME[1], "classes": ["marketing"]})

    @classmethod
    def known(cls, *people):
        """They are customers, and agreed to everything."""
        rows = "msisdn,email,region,zone,code\n" + "".join("%s,%s,%s,%s,%d\n" % (p.msisdn, p.email, *harness.HOME, p.code) for p in people)
        cls.api.call("PUT", "/api/v1/customers", body=rows.encode(), media="text/csv")
        cls.consent(people)
        return rows.encode()

    def begun(self, channel, rows):
        """A campaign by this channel to these people, started: its id."""
        aud = self.api.post("/api/v1/audiences", {"name": "a %s %d" % (channel, next(harness.Person.counter)), "channels": [channel]})["id"]
        self.api.call("PUT", "/api/v1/audiences/%s/recipients" % aud, body=rows, media="text/csv")
        cmp = self.api.post("/api/v1/campaigns", {"name": "c " + aud, "class": "marketing", "purpose": "marketing", "audience": aud, "not_after": harness.utc(7200),
                                                  "waves": [{"channel": channel, "content": CONTENT[channel], "validity": "PT60S"}]})["id"]
        self.act(cmp, "start")
        return cmp

    def sent(self, channel, rows, timeout_s=60):
        """The same, to its end: funnel and id."""
        cmp = self.begun(channel, rows)
        return self.complete(cmp, timeout_s), cmp

    def reason(self, person, channel):
        return self.verdict(person, channel)["reason"]

    def becomes(self, person, channel, reason):
        self.assertTrue(self.until(lambda: self.reason(person, channel) == reason, 40, 0.1),
                        "%s is asked for: %s, not %s\n%s" % (channel, self.verdict(person, channel), reason, stack.tail(self.gateway.process.log_path, 10)))

    def called(self, person):
        self.peers.phones.stats()  # books the calls that ended
        return self.peers.phones.reached()[person.msisdn]


class Mail(ComesBack):
    def test_bounce_complaint_and_click_keep_the_next_mail_away(self):
        gone, angry, leaves, fine = Person(101, peers.GONE), Person(102, ANGRY), Person(103, peers.LEAVES), Person(104)
        rows = self.known(gone, angry, leaves, fine)
        funnel, _ = self.sent("email", rows)
        self.assertEqual((funnel["submitted"], funnel["held"]), (4, {}), funnel)
        for person, reason in ((gone, "dnd.bounce"), (angry, "dnd.complaint"), (leaves, "dnd.optout")):
            self.becomes(person, "email", reason)
        funnel, _ = self.sent("email", rows)
        self.assertEqual((funnel["submitted"], funnel["held"]), (1, {"dnd.bounce": 1, "dnd.complaint": 1, "dnd.optout": 1}), funnel)
        self.assertEqual({p.email: self.peers.mail.reached()[p.email] for p in (gone, angry, leaves, fine)}, {gone.email: 1, angry.email: 1, leaves.email: 1, fine.email: 2})
        self.a_bounce_is_about_the_mailbox_only(gone, leaves)
        self.a_second_click_is_harmless(leaves)
        self.assertEqual(self.peers.mail.complaints(), 0, self.peers.mail.stats())

    def test_a_bounce_of_a_mail_in_doubt_says_whose_it_is(self):
        """The mail was taken and the connection broke before that was said: the bounce is the first word about it. One person has two such mails, another one."""
        two, one, mail = Person(111, LOST), Person(112, LOST), self.peers.mail
        rows, only = self.known(two, one), self.known(two)
        mail.set(hold_reports=1)
        self.addCleanup(mail.set, hold_reports=0)
        funnels = [self.doubted(rows, 2), self.doubted(only, 1)]
        mail.set(hold_reports=0)
        count = "SELECT count(*) FROM %s x JOIN wave w ON w.wave_id = (x.contact_id >> 32) JOIN campaign c USING (campaign_id) WHERE c.public_id = '%s'"
        for cmp, n in funnels:
            self.assertTrue(self.until(lambda: self.number(count % ("contact_event", cmp) + " AND kind = 13") == n, 30, 0.1), stack.tail(self.gateway.process.log_path, 10))
            funnel = self.complete(cmp, 60)
            self.assertEqual((funnel["submitted"], funnel["failed"], funnel["held"]), (n, n, {}), funnel)
            self.assertEqual(self.number(count % ("in_doubt", cmp)), 0)
        for person in (two, one):
            self.becomes(person, "email", "dnd.bounce")
        self.assertEqual([mail.reached()[p.email] for p in (two, one)], [2, 1], "none was sent again")

    def doubted(self, rows, n):
        """A campaign whose mails are all in doubt; its id and how many they are."""
        before = self.number("SELECT count(*) FROM in_doubt")
        cmp = self.begun("email", rows)
        self.assertTrue(self.until(lambda: self.number("SELECT count(*) FROM in_doubt") == before + n, 30, 0.1), stack.tail(self.gateway.process.log_path, 10))
        return cmp, n

    def a_bounce_is_about_the_mailbox_only(self, gone, leaves):
        funnel, cmp = self.sent("sms", self.known(gone, leaves))
        self.assertEqual((funnel["submitted"], funnel["held"]), (1, {"dnd.optout": 1}), funnel)
        self.assertEqual(self.contacts_in("contact_submit", cmp), {gone.msisdn[1:]})

    def a_second_click_is_harmless(self, leaves):
        self.assertEqual(len(set(Proxy.clicks)), 1, "one person unsubscribes")
        entries = "SELECT count(*) FROM dnd"
        before = self.number(entries)
        self.assertEqual(Proxy.click(Proxy.clicks[0]), 200)
        self.assertEqual(self.reason(leaves, "email"), "dnd.optout")
        self.assertEqual(self.number(entries), before)
        path, _, token = Proxy.clicks[0].partition("t=")
        forged = urllib.parse.unquote(token)
        self.assertEqual(Proxy.click("%st=%s" % (path, ("a" if forged[0] != "a" else "b") + forged[1:])), 404)


class Telephone(ComesBack):
    def test_keys_are_an_optout_and_a_response(self):
        one, nine = Person(201), Person(209)
        funnel, cmp = self.sent("voice", self.known(one, nine))
        self.assertEqual((funnel["submitted"], funnel["delivered"]), (2, 2), funnel)
        for channel in ("voice", "sms", "email"):
            self.becomes(nine, channel, "dnd.optout")
        self.assertFalse(self.reason(one, "voice"))
        said = {(a["kind"], a["answer"]): a["n"] for a in self.api.get("/api/v1/campaigns/%s/answers" % cmp)["answers"]}
        self.assertEqual(said.get(("keys", "1")), 1, said)
        self.assertEqual(sum(n for (kind, _), n in said.items() if kind == "optout"), 1, said)
        funnel, _ = self.sent("voice", self.known(one, nine))
        self.assertEqual((funnel["submitted"], funnel["held"]), (1, {"dnd.optout": 1}), funnel)
        self.assertEqual((self.called(one), self.called(nine)), (2, 1))
        self.assertEqual(self.peers.phones.complaints(), 0, self.peers.phones.stats())

    def test_a_busy_line_is_tried_again_and_counts_once(self):
        busy = Person(307)
        rows = self.known(busy)
        funnel, _ = self.sent("voice", rows, 90)
        self.assertEqual((funnel["delivered"], funnel["failed"], self.called(busy)), (0, 1, TRIES), funnel)
        self.assertFalse(self.reason(busy, "sms"), "%d calls of one contact used up a cap of %d" % (TRIES, CAP))
        self.sent("sms", rows)
        self.assertEqual(self.reason(busy, "sms"), "cap.period", "the call that was busy counted for nothing")


if __name__ == "__main__":
    unittest.main()
