#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""run_email.py [-k PART] - channel_email in the gateway's own host against mail servers: Postfix's smtp-sink, a private Postfix, a small
server with TLS and AUTH that misbehaves on command. Prints TAP. Run from the build directory (or CGW_BUILDDIR)."""
import base64
import email
import email.policy
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

SRC = os.environ.get("CGW_SRCDIR") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("CGW_BUILDDIR") or os.getcwd()
sys.dont_write_bytecode = True
sys.path[:0] = [os.path.join(SRC, "tests/contract"), os.path.join(SRC, "scripts/lib")]
import mailpeers
import pytap

ACCEPTED, NOT_SENT, REFUSED_RETRY, REFUSED, DELIVERED, FAILED, UNKNOWN, ENROUTE = 1, 2, 3, 4, 5, 6, 8, 9
HARD, SOFT = 7, 8
THROTTLED = 1
TEXT, OPTOUT, COMPLAINT = 1, 3, 4
URL = "https://mail.shop.example/cb/mail/u"


def parsed(data):
    return email.message_from_bytes(data, policy=email.policy.default)


class Case(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="cgw-email.", dir="/tmp")
        os.chmod(self.dir, 0o711)
        self.addCleanup(shutil.rmtree, self.dir, True)
        self.credentials = os.path.join(self.dir, "credentials")
        os.mkdir(self.credentials, 0o700)

    def secret(self, name, text):
        with open(os.path.join(self.credentials, name), "w", encoding="ascii", opener=lambda p, f: os.open(p, f, 0o600)) as f:
            f.write(text)
        return name

    def sink(self, *switches, stores=False):
        if not mailpeers.tool("smtp-sink"):
            self.skipTest("smtp-sink (package postfix) is not installed")
        sink = mailpeers.Sink(*switches, folder=os.path.join(self.dir, "mails") if stores else None)
        self.addCleanup(sink.close)
        return sink

    def tiny(self, **options):
        server = mailpeers.Tiny(**options)
        self.addCleanup(server.close)
        return server

    def driver(self, up=True, **options):
        d = mailpeers.Driver(BUILD, self.credentials, **options)
        self.addCleanup(lambda: self.assertEqual(d.close(), 1 if d.refusal else 0))
        if up and not d.refusal:
            d.up()
        return d

    def call(self, driver, method, path, body=None, headers=None):
        conn = http.client.HTTPConnection("127.0.0.1", driver.port, timeout=20)
        try:
            conn.request(method, path, body=body, headers=headers or {})
            a = conn.getresponse()
            return a.status, a.read().decode()
        finally:
            conn.close()

    def report(self, driver, mail):
        return self.call(driver, "POST", "/cb/mail/report", mail.replace("\n", "\r\n").encode(), {"Content-Type": "message/rfc822"})


class Sending(Case):
    def test_a_mail_arrives_and_its_result_names_it(self):
        sink = self.sink(stores=True)
        d = self.driver(port=sink.port, bounce_domain="b.shop.example", from_name="Shop für alle", reply_to="ask@shop.example",
                        list_id="news.shop.example", unsubscribe_url=URL)
        r = d.result("ann@a.example", [{"role": "subject", "body": "Grüße aus 北京"}, {"role": "text", "body": "Zeile 1\n.\n.. Punkte\nGrüße %unsubscribe_url%\n"},
                                       {"role": "header", "body": "X-Campaign: spring"}])
        self.assertEqual((r["result"], r["sub"]), (ACCEPTED, 0))
        self.assertRegex(r["id"], "^[a-z2-7]{26}$")
        raw = sink.mails()[0]
        m = parsed(raw[raw.index(b"\nDate:") + 1:])
        self.assertEqual(r["peer_id"], m["Message-ID"])
        self.assertEqual(m["Message-ID"], "<%s@shop.example>" % r["id"])
        self.assertEqual(m["Subject"], "Grüße aus 北京")
        self.assertEqual(str(m["From"]), "Shop für alle <news@shop.example>")
        self.assertEqual((m["To"], m["Reply-To"], m["List-Id"], m["X-Campaign"]), ("ann@a.example", "ask@shop.example", "<news.shop.example>", "spring"))
        self.assertEqual(m["List-Unsubscribe-Post"], "List-Unsubscribe=One-Click")
        link, mailto = re.fullmatch(r"<(https://[^>]+)>, <(mailto:[^>]+)>", re.sub(r"\s+", " ", m["List-Unsubscribe"])).groups()
        token = re.fullmatch(re.escape(URL) + r"\?t=([a-z2-7]{26}-[a-z2-7]{16})\.[A-Za-z0-9_-]{24,}", link).group(1)
        self.assertEqual(mailto, "mailto:u+%s@b.shop.example?subject=unsubscribe" % token)
        self.assertTrue(token.startswith(r["id"]))
        self.assertEqual(m.get_content().replace("\r\n", "\n").rstrip("\n"), "Zeile 1\n.\n.. Punkte\nGrüße %s" % link)
        self.assertRegex(raw.decode("ascii", "replace"), r"X-Mail-Args: <b\+%s-[a-z2-7]{16}-[a-z2-7]{14}@b\.shop\.example>" % r["id"])

    def test_html_pictures_and_attachments(self):
        server = self.tiny()
        picture, paper = os.urandom(5000), os.urandom(300000)
        for i, data in ((1, picture), (2, paper)):
            with open(os.path.join(self.dir, str(i)), "wb") as f:
                f.write(data)
        d = self.driver(port=server.port)
        for i in (1, 2):
            d.do("media", id=i, file=os.path.join(self.dir, str(i)))
        d.send("p%d@a.example", [{"role": "subject", "body": "s"}, {"role": "text", "body": "plain"},
                                 {"role": "html", "body": "<p>Hällo <img src=\"cid:logo\"></p>" + "x" * 3000},
                                 {"role": "media", "media": 1, "mime": "image/png", "name": "logo"},
                                 {"role": "media", "media": 2, "mime": "application/pdf", "name": "Preisliste größer.pdf"}], n=20, submit_ms=60000)
        self.assertEqual({r["result"] for r in d.results(20)}, {ACCEPTED})
        self.assertEqual(sorted(m["to"] for m in server.mails), sorted("p%d@a.example" % i for i in range(20)))
        for mail in server.mails:
            for line in mail["data"].split(b"\r\n"):
                self.assertLessEqual(len(line), 998)
            self.assertNotIn(b"\n", mail["data"].replace(b"\r\n", b""))
            mail["data"].decode("ascii")
        m = parsed(server.mails[0]["data"])
        self.assertEqual([p.get_content_type() for p in m.walk()],
                         ["multipart/mixed", "multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png", "application/pdf"])
        self.assertEqual(m.get_body(("html",)).get_content().rstrip("\r\n"), "<p>Hällo <img src=\"cid:logo\"></p>" + "x" * 3000)
        parts = {p.get_content_type(): p for p in m.walk()}
        self.assertEqual(parts["image/png"].get_payload(decode=True), picture)
        self.assertEqual(parts["image/png"]["Content-ID"], "<logo>")
        self.assertEqual(parts["application/pdf"].get_payload(decode=True), paper)
        self.assertEqual(parts["application/pdf"].get_filename(), "Preisliste größer.pdf")
        self.assertEqual(parts["application/pdf"].get_content_disposition(), "attachment")

    def test_what_cannot_be_sent_is_refused_with_its_reason(self):
        server = self.tiny()
        d = self.driver(port=server.port, max_bytes=20000)
        text = {"role": "text", "body": "t"}
        for to, parts, reason in (("ann@a.example", [{"role": "subject", "body": "s"}], "TEXT or an HTML"), ("no address", [text], "recipient"),
                                  ("a@b@c.example", [text], "recipient"), ("a>b@c.example", [text], "recipient"),
                                  ("ann@a.example", [text, {"role": "header", "body": "Bcc: all@a.example"}], "written by the channel"),
                                  ("ann@a.example", [text, {"role": "header", "body": "X: a\r\nBcc: b@a.example"}], "no line ends"),
                                  ("ann@a.example", [text, {"role": "subject", "body": "a\nb"}], "no line ends"),
                                  ("ann@a.example", [text, text], "one TEXT"), ("ann@a.example", [text, {"role": "media", "media": 9}], "not there"),
                                  ("ann@a.example", [{"role": "text", "body": "x" * 30000}], "max_bytes is 20000")):
            with self.subTest(reason):
                self.assertIn(reason, d.ask("check", "check", to=to, parts=parts)["text"])
                r = d.result(to, parts)
                self.assertEqual(r["result"], REFUSED)
                self.assertIn(reason, r["raw"])
        self.assertEqual(server.mails, [])

    def test_many_mails_reuse_few_connections(self):
        server = self.tiny()
        d = self.driver(port=server.port, connections=4, messages_per_connection=25, domain_limits="*=100000/s")
        d.send("p%d@a.example", n=200, submit_ms=20000)
        self.assertEqual({r["result"] for r in d.results(200)}, {ACCEPTED})
        per = {}
        for m in server.mails:
            per[m["session"]] = per.get(m["session"], 0) + 1
        self.assertLessEqual(max(per.values()), 25)
        self.assertGreaterEqual(max(per.values()), 20)
        self.assertLessEqual(server.sessions, 14)
        mailpeers.until("each connection that was used up said QUIT", lambda: server.verbs().count("QUIT") >= server.sessions - 4)

    def test_an_idle_connection_is_closed_with_quit(self):
        server = self.tiny()
        d = self.driver(port=server.port, idle_s=1)
        self.assertEqual(d.result()["result"], ACCEPTED)
        mailpeers.until("QUIT", lambda: "QUIT" in server.verbs(), 10)
        mailpeers.until("no connection", lambda: d.ask("stats", "stats")["links_up"] == 0, 10)
        self.assertEqual(d.result()["result"], ACCEPTED)

    def test_connections_answer_side_by_side(self):
        """A slow answer to one final dot must not hold up the others."""
        guard, at_once = threading.Lock(), [0, 0]

        def answer(verb, arg, s):
            if verb == "DOT":
                for step in (1, -1):
                    with guard:
                        at_once[0] += step
                        at_once[1] = max(at_once)
                    time.sleep(0.1)

        server = self.tiny(answer=answer)
        d = self.driver(port=server.port, connections=8, domain_limits="*=100000/s")
        d.send("p%d@a.example", n=64, submit_ms=20000)
        self.assertEqual({r["result"] for r in d.results(64)}, {ACCEPTED})
        self.assertGreater(at_once[1], 3, "one after the other it is one")
        self.assertLess(d.ask("stats", "stats")["slow_ops"], 32, "waiting on the loop makes 64 slow calls of 200 ms")

    def test_a_message_is_never_sent_past_its_time(self):
        server = self.tiny(answer=lambda verb, arg, s: time.sleep(2) if verb == "DOT" else None)
        d = self.driver(port=server.port, connections=1)
        d.send("p%d@a.example", n=3, submit_ms=3500)  # the first is begun by then also when the machine pauses, and two take longer
        found = [r["result"] for r in d.results(3)]
        self.assertEqual(found.count(ACCEPTED) + found.count(NOT_SENT), 3)
        self.assertIn(found.count(ACCEPTED), (1, 2), "the third would begin 4 s later")
        self.assertEqual(len(server.mails), found.count(ACCEPTED))

    def test_nothing_is_written_when_the_legal_window_has_closed(self):
        server = self.tiny(answer=lambda verb, arg, s: time.sleep(0.5) if verb == "DATA" else None)
        d = self.driver(port=server.port)
        r = d.result(window_ms=200)
        self.assertEqual(r["result"], NOT_SENT)
        self.assertIn("window", r["raw"])
        self.assertEqual(server.mails, [])
        self.assertEqual(d.result()["result"], ACCEPTED)


class Security(Case):
    def setUp(self):
        super().setUp()
        if not shutil.which("openssl"):
            self.skipTest("openssl is not installed")
        self.files = mailpeers.certificate(self.dir)

    def test_starttls_and_auth(self):
        server = self.tiny(tls="starttls", files=self.files, auth={"gw": "s3cret"})
        d = self.driver(port=server.port, host="localhost", tls="starttls", ca_file=self.files[0], user="gw", password=self.secret("pw", "s3cret"))
        self.assertEqual(d.result()["result"], ACCEPTED)
        self.assertEqual([(m["tls"], m["user"]) for m in server.mails], [(True, "gw")])
        names = server.verbs()
        self.assertLess(names.index("STARTTLS"), names.index("AUTH"))

    def test_implicit_tls_and_login(self):
        server = self.tiny(tls="implicit", files=self.files, auth={"gw": "s3cret"})
        d = self.driver(port=server.port, host="localhost", tls="implicit", ca_file=self.files[0], user="gw", password=self.secret("pw", "s3cret"), login="login")
        self.assertEqual(d.result()["result"], ACCEPTED)
        self.assertEqual([(m["tls"], m["user"]) for m in server.mails], [(True, "gw")])
        self.assertTrue(any(v == "AUTH" and a.startswith("LOGIN") for _, v, a in server.commands))

    def test_a_certificate_that_does_not_verify_ends_the_connection(self):
        server = self.tiny(tls="starttls", files=self.files, auth={"gw": "s3cret"})
        d = self.driver(up=False, port=server.port, host="localhost", tls="starttls", user="gw", password=self.secret("pw", "s3cret"))
        text = mailpeers.until("it says why", lambda: (lambda s: "certificate" in s["text"] and s["text"])(d.ask("stats", "stats")))
        self.assertIn("certificate", text)
        self.assertNotIn("AUTH", server.verbs())
        e = self.driver(port=server.port, host="localhost", tls="starttls", verify="false", user="gw", password="pw")
        self.assertEqual(e.result()["result"], ACCEPTED)

    def test_a_certificate_for_another_name_is_refused(self):
        other = os.path.join(self.dir, "other")
        os.mkdir(other)
        files = mailpeers.certificate(other, "elsewhere.test")
        server = self.tiny(tls="implicit", files=files)
        d = self.driver(up=False, port=server.port, host="localhost", tls="implicit", ca_file=files[0])
        mailpeers.until("it says why", lambda: "localhost" in d.ask("stats", "stats")["text"])
        self.assertNotIn("MAIL", server.verbs())

    def test_without_starttls_nothing_is_said(self):
        server = self.tiny(auth={"gw": "s3cret"}, auth_in_clear=True)
        d = self.driver(up=False, port=server.port, tls="starttls", user="gw", password=self.secret("pw", "s3cret"))
        mailpeers.until("it tried", lambda: server.sessions >= 1 and d.ask("stats", "stats")["text"] != "connecting for the first time")
        self.assertFalse(d.ask("stats", "stats")["up"])
        self.assertFalse({"AUTH", "MAIL"} & set(server.verbs()))

    def test_auth_without_tls_needs_to_be_allowed(self):
        server = self.tiny(auth={"gw": "s3cret"}, auth_in_clear=True)
        password = self.secret("pw", "s3cret")
        d = self.driver(port=server.port, user="gw", password=password)
        self.assertIn("auth_without_tls", d.refusal["text"])
        e = self.driver(port=server.port, user="gw", password=password, auth_without_tls="true")
        self.assertEqual(e.result()["result"], ACCEPTED)

    def test_a_wrong_password_is_told_and_nothing_sent(self):
        server = self.tiny(tls="starttls", files=self.files, auth={"gw": "s3cret"})
        d = self.driver(up=False, port=server.port, host="localhost", tls="starttls", ca_file=self.files[0], user="gw", password=self.secret("pw", "wrong"))
        mailpeers.until("it says why", lambda: "535" in d.ask("stats", "stats")["text"])
        self.assertNotIn("MAIL", server.verbs())


class Faults(Case):
    def test_answers_at_rcpt_by_class(self):
        table = {"gone": ("550 5.1.1 No such user", REFUSED, 0, HARD, 50101), "nohost": ("550 5.1.2 No such domain", REFUSED, 0, HARD, 50102),
                 "nullmx": ("556 5.1.10 Null MX", REFUSED, 0, HARD, 50110), "sender": ("550 5.1.8 Bad sender", REFUSED, 0, 0, 50108),
                 "full": ("552 5.2.2 Mailbox full", REFUSED, 0, SOFT, 50202), "policy": ("550 5.7.1 Not wanted", REFUSED, 0, 0, 50701),
                 "bare": ("550 no", REFUSED, 0, SOFT, 550), "grey": ("450 4.2.0 Later", REFUSED_RETRY, 0, SOFT, 40200),
                 "slow": ("451 4.7.1 Too fast", REFUSED_RETRY, THROTTLED, 0, 40701), "shut": ("421 4.3.2 Closing", REFUSED_RETRY, THROTTLED, 0, 40302)}
        server = self.tiny(answer=lambda verb, arg, s: table[arg.split("@")[0]][0] if verb == "RCPT" and arg.split("@")[0] in table else None)
        d = self.driver(port=server.port)
        for name, (line, result, flags, sub, code) in table.items():
            with self.subTest(name):
                r = d.result("%s@%s.example" % (name, name))
                self.assertEqual((r["result"], r["flags"], r["sub"], r["code"]), (result, flags, sub, code))
                self.assertEqual((r["raw"], r["space"]), (line, "smtp.reply" if name == "bare" else "smtp.enhanced"))
                self.assertEqual(r["retry_ms"] > 0, flags == THROTTLED)
        self.assertEqual(server.mails, [])
        self.assertEqual(d.result()["result"], ACCEPTED)

    def test_a_refusal_of_the_text_is_certain(self):
        server = self.tiny(answer=lambda verb, arg, s: {"spam@a.example": "554 5.7.1 Spam", "disk@a.example": "452 4.3.1 Disk full"}.get(arg) if verb == "DOT" else None)
        d = self.driver(port=server.port)
        r = d.result("spam@a.example")
        self.assertEqual((r["result"], r["sub"], r["code"]), (REFUSED, 0, 50701))
        r = d.result("disk@b.example")
        self.assertEqual(r["result"], ACCEPTED)
        r = d.result("disk@a.example", submit_ms=5000)
        while r["result"] == REFUSED_RETRY and "spared" in r["raw"]:  # the policy block of a moment ago
            time.sleep(0.2)
            r = d.result("disk@a.example", submit_ms=5000)
        self.assertEqual((r["result"], r["flags"]), (REFUSED_RETRY, THROTTLED))

    def test_lost_behind_the_final_dot_is_unknown_and_before_it_is_not_sent(self):
        server = self.tiny(answer=lambda verb, arg, s: "CLOSE" if (verb, arg) in (("DOT", "dot@a.example"), ("RCPT", "rcpt@a.example"), ("DATA", "")) and
                           getattr(s, "recipient", "") != "ok@a.example" else None)
        d = self.driver(port=server.port)
        self.assertEqual(d.result("ok@a.example")["result"], ACCEPTED)
        self.assertEqual(d.result("rcpt@a.example")["result"], NOT_SENT)
        server.answer = lambda verb, arg, s: "CLOSE" if verb == "DATA" else None
        self.assertEqual(d.result("data@a.example")["result"], NOT_SENT)
        server.answer = lambda verb, arg, s: "CLOSE" if verb == "DOT" else None
        self.assertEqual(d.result("dot@a.example")["result"], UNKNOWN)
        server.answer = None
        self.assertEqual(d.result("ok@a.example")["result"], ACCEPTED)

    def test_silence_ends_in_time(self):
        server = self.tiny(answer=lambda verb, arg, s: "HANG" if (verb == "DOT" and "dot" in arg) or (verb == "RCPT" and "rcpt" in arg) else None)
        d = self.driver(port=server.port, answer_s=4)  # a server that is only paused answers by then
        began = time.monotonic()
        d.send("dot@a.example")
        d.send("rcpt@a.example")
        self.assertEqual(sorted(r["result"] for r in d.results(2)), [NOT_SENT, UNKNOWN])
        self.assertEqual([m["to"] for m in server.mails], ["dot@a.example"])
        self.assertLess(time.monotonic() - began, 15, "the hanging end after 20 s")

    def test_a_connection_that_died_of_age_is_replaced_unseen(self):
        server = self.tiny()
        d = self.driver(port=server.port, connections=1)
        self.assertEqual(d.result("one@a.example")["result"], ACCEPTED)
        server.answer = lambda verb, arg, s: "421 4.4.2 Idle too long" if verb == "MAIL" and s.number == 1 else None
        self.assertEqual(d.result("two@a.example")["result"], ACCEPTED)
        with server.lock:
            for c in server.connections[1:]:
                c.shutdown(2)
        self.assertEqual(d.result("three@a.example")["result"], ACCEPTED)
        self.assertGreaterEqual(server.sessions, 3)

    def test_a_smarthost_that_is_away_takes_the_route_down_and_comes_back(self):
        port = mailpeers.free_port()
        d = self.driver(up=False, port=port)
        mailpeers.until("down, with a reason", lambda: "onnect" in d.ask("stats", "stats")["text"])
        self.assertFalse(d.ask("stats", "stats")["up"])
        self.tiny(port=port)
        d.up()
        self.assertEqual(d.result()["result"], ACCEPTED)

    def test_smtp_sink_with_each_fault(self):
        for switches, result in ((("-f", "rcpt", "-B", "550 5.1.1 no"), REFUSED), (("-r", "rcpt"), REFUSED_RETRY), (("-q", "rcpt"), NOT_SENT),
                                 (("-f", "."), REFUSED), (("-q", "."), UNKNOWN), (("-f", "data"), REFUSED), (("-w", "1"), ACCEPTED)):
            with self.subTest(switches):
                sink = self.sink(*switches)
                d = self.driver(port=sink.port)
                r = d.result()
                self.assertEqual(r["result"], result, r)
                if switches[0] == "-f" and switches[1] == "rcpt":
                    self.assertEqual(r["sub"], HARD)

    def test_a_drain_settles_what_is_under_way(self):
        for last in (False, False, True):  # 800 ms, which a machine may pause away: a plugin that is late is late each time
            if self.drained(last):
                break

    def drained(self, last):
        server = self.tiny(answer=lambda verb, arg, s: "HANG" if verb == "DOT" and "hang" in arg else None)
        d = self.driver(port=server.port, connections=2)
        d.send("hang@a.example")
        d.send("ok@a.example")
        self.assertEqual(d.event("result")["result"], ACCEPTED)
        done = d.ask("drain", "drained", ms=800)
        if done["rc"] and not last:
            return False
        self.assertEqual(done["rc"], 0)
        self.assertLess(done["ms"], 15000, "the answer would be awaited for two minutes")
        self.assertEqual(d.event("result")["result"], UNKNOWN)
        self.assertEqual(d.ask("stats", "stats")["bad_results"], 0)
        return True


class Domains(Case):
    def test_rate_and_messages_at_once_of_a_domain(self):
        active, most = {}, {}
        guard = threading.Lock()

        def watch(verb, arg, s):
            if verb == "RCPT":
                s.domain = arg.split("@")[1]
                with guard:
                    active[s.domain] = active.get(s.domain, 0) + 1
                    most[s.domain] = max(most.get(s.domain, 0), active[s.domain])
            if verb == "DOT":
                time.sleep(0.05)
                with guard:
                    active[s.domain] -= 1

        server = self.tiny(answer=watch)
        d = self.driver(port=server.port, connections=8, domain_limits="few.example=:2,slow.example=10/s,*=100000/s")
        began = time.monotonic()
        d.send("f%d@few.example", n=8, submit_ms=20000)
        d.send("s%d@slow.example", n=10, submit_ms=20000)
        d.send("o%d@other.example", n=30, submit_ms=20000)
        self.assertEqual({r["result"] for r in d.results(48)}, {ACCEPTED})
        self.assertEqual(most["few.example"], 2)
        self.assertGreater(most["other.example"], 3)
        self.assertGreater(time.monotonic() - began, 0.8, "10 at 10 a second")

    def test_what_would_wait_too_long_comes_back_with_its_moment(self):
        server = self.tiny()
        d = self.driver(port=server.port, domain_limits="slow.example=1/s")
        d.send("p%d@slow.example", n=20, submit_ms=3000)  # three of them are in time; fewer when the machine pauses
        found = d.results(20)
        put_off = sorted(r["retry_ms"] for r in found if r["result"] == REFUSED_RETRY)
        self.assertTrue(all(r["flags"] == THROTTLED for r in found if r["result"] == REFUSED_RETRY))
        self.assertGreaterEqual(len(put_off), 15)
        self.assertGreater(put_off[-1] - put_off[0], 6000, "each has a second of its own: 14 and more, less what the machine pauses meanwhile")
        self.assertLessEqual(len(server.mails), 4)

    def test_a_slow_smarthost_is_given_what_it_can_send_in_time(self):
        server = self.tiny(answer=lambda verb, arg, s: time.sleep(0.2) if verb == "DOT" else None)
        for limits in ("*=100000/s", "*=100000/s:4"):
            d = self.driver(port=server.port, connections=4, domain_limits=limits)
            d.send("p%d@a.example", n=100, submit_ms=1000, patience_ms=30000)  # 20 a second; the window is 64
            back = [r for r in d.results(100) if r["result"] != ACCEPTED]
            self.assertLess(len(back), 40, "few, and only when the machine pauses: %s" % back[:3])

    def test_a_smarthost_that_stands_still_is_given_little(self):
        gate = threading.Event()
        self.addCleanup(gate.set)
        server = self.tiny(answer=lambda verb, arg, s: (gate.wait(60), None)[1] if verb == "DOT" else None)
        d = self.driver(port=server.port, connections=2)
        d.do("send", to="p%d@a.example", parts=[{"role": "text", "body": "A text.\n"}], n=100, submit_ms=1000, patience_ms=6000)
        taken = d.event("sent")["n"]
        self.assertLess(taken, 22, "two are under way, and nobody else can begin")
        gate.set()
        self.assertEqual({r["result"] for r in d.results(taken)}, {ACCEPTED, NOT_SENT})

    def test_a_domain_that_asks_for_it_is_spared_alone(self):
        server = self.tiny(answer=lambda verb, arg, s: "421 4.7.28 Rate limited" if verb == "RCPT" and "busy" in arg else None)
        d = self.driver(port=server.port)
        self.assertEqual(d.result("a@busy.example")["flags"], THROTTLED)
        for _ in range(4):  # it is spared for 1 s, which a machine may pause away; then it is asked once more, and spared for twice as long
            asked = server.verbs().count("RCPT")
            r = d.result("b@busy.example", submit_ms=300)
            again = server.verbs().count("RCPT") - asked
            if not again and r["result"] == REFUSED_RETRY:
                break
        self.assertEqual((r["result"], r["flags"]), (REFUSED_RETRY, THROTTLED))
        self.assertGreater(r["retry_ms"], 0)
        self.assertEqual(again, 0, "it was not asked again")
        self.assertEqual(d.result("c@calm.example")["result"], ACCEPTED)

    def test_the_urgent_lane_goes_first(self):
        gate = threading.Event()
        server = self.tiny(answer=lambda verb, arg, s: (gate.wait(10), None)[1] if verb == "MAIL" and not gate.is_set() else None)
        d = self.driver(port=server.port, connections=1)
        d.send("bulk%d@a.example", n=3, submit_ms=9000)
        d.send("now@a.example", lane=1, submit_ms=9000)
        mailpeers.until("all are taken", lambda: d.ask("stats", "stats")["held"] == 4)
        gate.set()
        d.results(4)
        self.assertLessEqual([m["to"] for m in server.mails].index("now@a.example"), 1)

    def test_a_limit_that_is_none_is_refused_with_its_form(self):
        d = self.driver(port=1, domain_limits="gmail.com=fast")
        self.assertIn("DOMAIN=RATE/s:MOST", d.refusal["text"])


DSN = """Return-Path: <>
X-Original-To: %(rcpt)s
From: MAILER-DAEMON@mx.test
To: %(rcpt)s
Subject: Undelivered Mail Returned to Sender
Content-Type: multipart/report; report-type=delivery-status; boundary="b1"
MIME-Version: 1.0

--b1
Content-Type: text/plain

Sorry.
--b1
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.test
Arrival-Date: Sat, 28 Nov 2026 00:00:00 +0000

Final-Recipient: rfc822; ann@a.example
Original-Recipient: rfc822;ann@a.example
Action: %(action)s
Status: %(status)s
Remote-MTA: dns; mx.a.example
Diagnostic-Code: smtp; %(words)s

--b1
Content-Type: message/rfc822

%(returned)s
--b1--
"""


class Reports(Case):
    def setUp(self):
        super().setUp()
        self.server = self.tiny()
        self.d = self.driver(port=self.server.port, bounce_domain="b.shop.example", unsubscribe_url=URL)
        r = self.d.result()
        self.msg, mail = r["id"], self.server.mails[0]
        self.verp = mail["from"].split("<")[1].split(">")[0]
        self.mail = mail["data"].decode()
        self.token = re.search(r"\?t=([a-z2-7-]+)", self.mail).group(1)

    def dsn(self, status="5.1.1", action="failed", words="550 5.1.1 no such user", rcpt=None, returned="Subject: x\n\nbody\n"):
        return DSN % {"rcpt": rcpt or self.verp, "action": action, "status": status, "words": words, "returned": returned}

    def count(self, name):
        return self.d.ask("stats", "stats")["counters"]["email_" + name]

    def test_bounces_become_receipts_by_status(self):
        for status, action, words, result, sub, code in (("5.1.1", "failed", "550 5.1.1 no such user", FAILED, HARD, 50101), ("5.4.4", "failed", "no host", FAILED, HARD, 50404),
                                                         ("5.0.0", "failed", "550 5.1.1 unknown", FAILED, HARD, 50101), ("5.2.2", "failed", "full", FAILED, SOFT, 50202),
                                                         ("4.4.7", "failed", "expired", FAILED, SOFT, 40407), ("5.7.1", "failed", "550 5.7.1 blocked", FAILED, 0, 50701),
                                                         ("4.4.1", "delayed", "timeout", ENROUTE, 0, 40401), ("2.0.0", "delivered", "ok", DELIVERED, 0, 20000)):
            with self.subTest(status + action):
                self.assertEqual(self.report(self.d, self.dsn(status, action, words)), (200, "stored\n"))
                r = self.d.event("receipt")
                self.assertEqual((r["result"], r["sub"], r["id"], r["code"], r["space"]), (result, sub, self.msg, code, "smtp.enhanced"))
        self.assertEqual((self.count("bounces_hard"), self.count("bounces_soft"), self.count("bounces_other"), self.count("delayed")), (3, 2, 1, 1))

    def test_a_bounce_of_a_mail_in_doubt_names_person_and_reference(self):
        server = self.tiny(answer=lambda verb, arg, s: "CLOSE" if verb == "DOT" else None)
        d = self.driver(port=server.port, bounce_domain="b.shop.example")
        self.assertEqual(d.result("ann@a.example", reference=4711)["result"], UNKNOWN)
        verp = server.mails[0]["from"].split("<")[1].split(">")[0]
        self.assertLessEqual(len(verp.split("@")[0]), 64)
        whole = self.dsn(rcpt=verp)
        forwarded = whole.replace("ann@a.example", "box@b.example")
        for text, named in ((whole, ("ann@a.example", 4711)), (forwarded, ("", 0)), (forwarded.replace("Subject: x\n\nbody", "To: <ann@a.example>\n\nbody"), ("ann@a.example", 4711)),
                            (self.dsn(rcpt=re.sub("-.{14}@", "@", verp)), ("", 0))):
            self.assertEqual(self.report(d, text), (200, "stored\n"))
            r = d.event("receipt")
            self.assertEqual((r["result"], (r["person"], r["reference"])), (FAILED, named))

    def test_the_case_of_the_address_does_not_matter(self):
        self.report(self.d, self.dsn(rcpt=self.verp.upper()))
        self.assertEqual(self.d.event("receipt")["id"], self.msg)

    def test_the_returned_message_tells_when_the_address_does_not(self):
        self.report(self.d, self.dsn(rcpt="postmaster@b.shop.example", returned=self.mail.replace("\r\n", "\n")))
        self.assertEqual(self.d.event("receipt")["id"], self.msg)

    def test_what_is_forged_or_of_others_is_ignored_and_counted(self):
        wrong = re.sub(r"-(.)", lambda m: "-" + ("b" if m.group(1) == "a" else "a"), self.verp)
        self.assertEqual(self.report(self.d, self.dsn(rcpt=wrong)), (200, "ignored\n"))
        self.assertEqual(self.report(self.d, self.dsn(rcpt="b+%s@b.shop.example" % self.token)), (200, "ignored\n"), "the link's token is for the link")
        self.assertEqual(self.report(self.d, self.dsn(rcpt="x@b.shop.example")), (200, "ignored\n"))
        self.assertTrue(self.d.none_of("receipt"))
        self.assertEqual((self.count("foreign"), self.count("forged")), (3, 2))

    def test_200_comes_only_when_it_is_stored_and_503_when_it_is_not_taken(self):
        self.d.set(refuse=1)
        self.assertEqual(self.report(self.d, self.dsn())[0], 503)
        self.d.set(refuse=0, hold=1)
        answers = []
        t = threading.Thread(target=lambda: answers.append(self.report(self.d, self.dsn())))
        t.start()
        self.d.event("receipt")
        time.sleep(0.3)
        self.assertEqual(answers, [], "not stored yet")
        self.d.do("release")
        t.join(10)
        self.assertEqual(answers, [(200, "stored\n")])

    def test_complaints_and_opt_outs_of_feedback_loops(self):
        arf = ("From: fbl@a.example\nTo: abuse@shop.example\nSubject: complaint\nMIME-Version: 1.0\n"
               "Content-Type: multipart/report; report-type=feedback-report; boundary=f\n\n--f\nContent-Type: text/plain\n\nThis is a report.\n"
               "--f\nContent-Type: message/feedback-report\n\nFeedback-Type: %s\nUser-Agent: fbl/1\nVersion: 1\nOriginal-Mail-From: <%s>\nOriginal-Rcpt-To: ann@a.example\n\n"
               "--f\nContent-Type: message/rfc822\n\n%s\n--f--\n")
        returned = self.mail.replace("\r\n", "\n")
        for kind, verp, found in (("abuse", self.verp, COMPLAINT), ("fraud", "", COMPLAINT), ("opt-out", self.verp, OPTOUT)):
            with self.subTest(kind):
                self.assertEqual(self.report(self.d, arf % (kind, verp, returned))[0], 200)
                i = self.d.event("inbound")
                self.assertEqual((i["kind"], i["id"], i["from"]), (found, self.msg, None))
        self.assertEqual(self.report(self.d, arf % ("not-spam", self.verp, returned)), (200, "ignored\n"))

    def test_answers_of_machines_are_ignored(self):
        letter = "Return-Path: <ann@a.example>\nFrom: Ann <ann@a.example>\nTo: %s\nSubject: away\n%s\nI am away.\n"
        for sign in ("Auto-Submitted: auto-replied\n", "Precedence: bulk\n", "X-Autoreply: yes\n"):
            self.assertEqual(self.report(self.d, letter % (self.verp, sign)), (200, "ignored\n"))
        mdn = ("From: ann@a.example\nTo: %s\nMIME-Version: 1.0\nContent-Type: multipart/report; report-type=disposition-notification; boundary=m\n\n"
               "--m\nContent-Type: text/plain\n\nread\n--m\nContent-Type: message/disposition-notification\n\nDisposition: manual-action; displayed\n\n--m--\n")
        self.assertEqual(self.report(self.d, mdn % self.verp), (200, "ignored\n"))
        self.assertTrue(self.d.none_of("inbound"))
        self.assertEqual(self.count("automatic"), 4)

    def test_answers_of_people_come_in_with_what_they_answer(self):
        letter = ("From: =?utf-8?q?J=C3=B6rg?= <joerg@a.example>\nTo: news@shop.example\nSubject: =?utf-8?q?Stop_=E2=9C=8B?=\nMessage-ID: <1@a.example>\nAuto-Submitted: no\n"
                  "In-Reply-To: <%s@shop.example>\nMIME-Version: 1.0\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\n"
                  "STOP bitte, f=FCr immer\n\n> quoted\n")
        self.assertEqual(self.report(self.d, letter % self.msg), (200, "stored\n"))
        i = self.d.event("inbound")
        self.assertEqual((i["kind"], i["id"], i["from"], i["peer_id"]), (TEXT, self.msg, "joerg@a.example", "<1@a.example>"))
        self.assertEqual([p["body"] for p in i["parts"]], ["STOP bitte, für immer", "Stop ✋"])
        for body, read in ((b"h\xe4 \xff STOP", "h\ufffd \ufffd STOP"), (b"STOP \xc3\xa4", "STOP ä")):
            self.call(self.d, "POST", "/cb/mail/report", b"From: ann@a.example\r\nTo: x@y.example\r\nSubject: \xfc\r\n\r\n" + body + b"\r\n")
            self.assertEqual(self.d.event("inbound")["parts"][0]["body"], read, "no alphabet named, wrong bytes")
        self.report(self.d, letter % ("a" * 26))
        self.assertEqual(self.d.event("inbound")["id"], None, "an id that we never made is no reference")

    def test_a_bounce_in_nobodys_format_is_read_by_its_code(self):
        self.report(self.d, "Return-Path: <>\nX-Original-To: %s\nFrom: MAILER-DAEMON@q.test\nTo: %s\nSubject: failure notice\n\n"
                            "Hi. This is the qmail-send program.\n<ann@a.example>:\n192.0.2.1 said: 550 5.1.1 unknown user\n" % (self.verp, self.verp))
        r = self.d.event("receipt")
        self.assertEqual((r["result"], r["sub"], r["code"]), (FAILED, HARD, 50101))

    def test_hostile_mail_is_answered_and_harms_nobody(self):
        deep = "".join("Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (i, i) for i in range(3000))
        for mail in ("", "\n", "\0" * 1000, "From\n" * 1000, deep, "To: " + "<" * 100000 + "\n\nx", "Content-Type: multipart/mixed; boundary=\"" + "x" * 100000 + "\"\n\n",
                     "Content-Type: multipart/mixed; boundary=b\n\n" + "--b\n\nx\n" * 20000, "Subject: " + "=?utf-8?q?=" * 20000 + "\n\n",
                     "From: " + "a:" * 100000 + "\n\nx", self.dsn(status="9" * 5000), self.dsn(words="x" * 200000), "X: y\n" * 100000 + "\nbody"):
            with self.subTest(mail[:40]):
                began = time.monotonic()
                self.assertEqual(self.report(self.d, mail)[0], 200)
                self.assertLess(time.monotonic() - began, 5)
        conn = http.client.HTTPConnection("127.0.0.1", self.d.port, timeout=20)
        conn.putrequest("POST", "/cb/mail/report")
        conn.putheader("Content-Length", str((4 << 20) + 1))
        conn.endheaders()
        self.assertEqual(conn.getresponse().status, 413)
        conn.close()
        self.report(self.d, self.dsn())
        mailpeers.until("it still works", lambda: self.d.event("receipt")["sub"] == HARD)

    def test_one_click_needs_no_login_and_a_second_click_is_harmless(self):
        path = "/cb/mail/u?t=" + self.token
        status, page = self.call(self.d, "GET", path)
        self.assertEqual(status, 200)
        self.assertRegex(page, r"<form method=\"post\">.*<button>")
        self.assertTrue(self.d.none_of("inbound"), "looking at the page unsubscribes nobody")
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        for _ in range(2):
            status, page = self.call(self.d, "POST", path, "List-Unsubscribe=One-Click", form)
            self.assertEqual(status, 200)
            self.assertIn("unsubscribed", page)
            i = self.d.event("inbound")
            self.assertEqual((i["kind"], i["id"], i["from"]), (OPTOUT, self.msg, None))

    def test_the_link_itself_says_whom_it_was_for(self):
        link = re.search(r"\?t=([A-Za-z0-9_.-]+)", self.mail.replace("=\r\n", "")).group(1)
        self.assertNotIn("@", link)
        for piece in link.split("."):
            self.assertNotIn(b"ann@a.example", base64.urlsafe_b64decode(piece + "=" * (-len(piece) % 4)))
        for path, person in ((link, "ann@a.example"), (link[:-1], None), (self.token + ".", None)):
            self.assertEqual(self.call(self.d, "POST", "/cb/mail/u?t=" + path, "x")[0], 200)
            i = self.d.event("inbound")
            self.assertEqual((i["kind"], i["id"], i["from"]), (OPTOUT, self.msg, person))

    def test_one_click_is_answered_when_it_is_stored(self):
        self.d.set(hold=1)
        answers = []
        t = threading.Thread(target=lambda: answers.append(self.call(self.d, "POST", "/cb/mail/u?t=" + self.token, "List-Unsubscribe=One-Click")[0]))
        t.start()
        self.d.event("inbound")
        time.sleep(0.3)
        self.assertEqual(answers, [])
        self.d.do("release")
        t.join(10)
        self.assertEqual(answers, [200])
        self.d.set(refuse=1)
        self.assertEqual(self.call(self.d, "POST", "/cb/mail/u?t=" + self.token, "x")[0], 503)

    def test_a_wrong_token_is_404(self):
        bounce = self.verp.split("+")[1].split("@")[0]
        other = ("b" if self.token[0] == "a" else "a") + self.token[1:]
        for token in ("", "x", bounce, other, self.token[:-1], self.token + "a", self.token.replace("-", "+")):
            for method in ("GET", "POST"):
                self.assertEqual(self.call(self.d, method, "/cb/mail/u?t=" + token)[0], 404, token)
        self.assertEqual(self.call(self.d, "POST", "/cb/mail/u")[0], 404)
        self.assertEqual(self.call(self.d, "DELETE", "/cb/mail/u?t=" + self.token)[0], 405)
        self.assertTrue(self.d.none_of("inbound"))

    def test_a_mail_to_the_unsubscribe_address_unsubscribes(self):
        self.report(self.d, "From: ann@a.example\nTo: u+%s@b.shop.example\nSubject: unsubscribe\n\n" % self.token)
        i = self.d.event("inbound")
        self.assertEqual((i["kind"], i["id"]), (OPTOUT, self.msg))

    def test_tokens_outlive_a_restart(self):
        e = self.driver(port=self.server.port, bounce_domain="b.shop.example", unsubscribe_url=URL)
        self.assertEqual(self.report(e, self.dsn()), (200, "stored\n"))
        self.assertEqual(e.event("receipt")["id"], self.msg)
        ids = {self.msg} | {e.result("p@a.example")["id"] for _ in range(3)}
        self.assertEqual(len(ids), 4)


class Simulator(Case):
    """tests/sim/mailsim.py, which the quickstart uses, and channel_email: each counts by itself, and both agree."""

    def ask(self, line):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(20)
            s.connect(self.control)
            s.sendall(line.encode() + b"\n")
            return json.loads(s.makefile().readline())

    def simulator(self, *switches):
        self.control, port_file = os.path.join(self.dir, "ctl"), os.path.join(self.dir, "port")
        p = subprocess.Popen([sys.executable, "-B", os.path.join(SRC, "tests/sim/mailsim.py"), "--control", self.control, "--port-file", port_file, *switches],
                             stdout=subprocess.DEVNULL)
        self.addCleanup(mailpeers.end, p)
        mailpeers.until("the simulator listens", lambda: os.path.exists(port_file) and os.path.exists(self.control))
        with open(port_file, encoding="ascii") as f:
            return int(f.read())

    def test_every_mailbox_is_counted_and_the_figures_agree(self):
        port = self.simulator("--bounce", "*@gone.example=5.1.1", "--bounce", "*@full.example=5.2.2", "--complain", "*@angry.example", "--click", "*@leave.example",
                              "--reply", "*@talk.example=yes please", "--refuse", "*@no.example=550 5.1.1 No such user")
        d = self.driver(port=port, bounce_domain="b.shop.example", unsubscribe_url=URL, domain_limits="*=100000/s")
        for word in ("report_url http://127.0.0.1:%d/cb/mail/report", "link_base http://127.0.0.1:%d/cb/mail/u"):
            self.assertTrue(self.ask("set " + word % d.port)["ok"])
        for name, n in (("gone", 5), ("full", 4), ("angry", 3), ("leave", 6), ("talk", 2), ("no", 7), ("fine", 200)):
            d.send("p%%d@%s.example" % name, n=n, submit_ms=20000)
        found = d.results(227)
        self.assertEqual(sum(r["result"] == ACCEPTED for r in found), 220)
        self.assertEqual(sum((r["result"], r["sub"]) == (REFUSED, HARD) for r in found), 7)
        receipts = [d.event("receipt") for _ in range(9)]
        self.assertEqual(sorted(r["sub"] for r in receipts), [HARD] * 5 + [SOFT] * 4)
        inbound = [d.event("inbound") for _ in range(11)]
        self.assertEqual(sorted(i["kind"] for i in inbound), [TEXT] * 2 + [OPTOUT] * 6 + [COMPLAINT] * 3)
        ids = {r["id"] for r in found if r["result"] == ACCEPTED}
        self.assertTrue({r["id"] for r in receipts} | {i["id"] for i in inbound} <= ids)
        stats = mailpeers.until("all calls are made", lambda: (lambda s: s if not s["under_way"] else None)(self.ask("stats")))
        self.assertEqual({k: stats[k] for k in ("mails", "recipients", "copies", "more_than_once", "refused", "bounces", "complaints_sent", "clicks", "replies")},
                         {"mails": 220, "recipients": 220, "copies": 0, "more_than_once": 0, "refused": 7, "bounces": 9, "complaints_sent": 3, "clicks": 6, "replies": 2})
        self.assertEqual(stats["complaints"], {}, "our SMTP and our mails are as they should be")
        self.assertEqual(self.ask("count p3@fine.example")["mails"], 1)
        self.assertEqual(self.ask("count p3@nowhere.example")["mails"], 0)

    def test_the_judge_sees_what_is_wrong(self):
        port = self.simulator()
        with socket.create_connection(("127.0.0.1", port), 10) as s:
            f = s.makefile("rwb")
            for line in ("EHLO x", "MAIL FROM:<a@a>", "RCPT TO:<b@b>", "DATA", "To: c@c\nSubject: " + "x" * 2000 + "\r\n\r\nh\u00e4\r\n.", "QUIT"):
                f.write(line.encode() + b"\r\n")
                f.flush()
            while f.readline():
                pass
        stats = self.ask("stats")
        self.assertEqual(set(stats["complaints"]), {"bare LF", "line above 998 bytes", "8-bit text without BODY=8BITMIME", "To is not the recipient",
                                                    "Date not exactly once", "From not exactly once", "Message-ID not exactly once"})
        self.assertFalse(self.ask("nonsense")["ok"])


class RealPostfix(Case):
    def test_a_genuine_bounce_comes_back_through_the_pipe(self):
        why = mailpeers.Postfix.why_not() or (None if shutil.which("curl") else "curl is not installed")
        if why:
            self.skipTest(why)
        refusing = self.sink("-f", "rcpt", "-B", "550 5.1.1 no such user here")
        # the example of the README, with this test's port
        with open(os.path.join(SRC, "plugins/channel_email/README.md"), encoding="utf-8") as f:
            pipe = re.search(r"^    (campgw +unix .*pipe\n(?:    +.*\n)+)", f.read(), re.M).group(1)
        relay = mailpeers.free_port()
        # Postfix must know where the pipe leads before the driver runs, and the driver where Postfix is: both ports are chosen first
        holder = {}
        d = self.driver(up=False, port=relay, bounce_domain="b.shop.example")
        pipe = re.sub(r"http://127\.0\.0\.1:\d+/cb/\w+/report", "http://127.0.0.1:%d/cb/mail/report" % d.port, pipe)
        pipe = "\n".join(("  " if i else "") + line.strip() for i, line in enumerate(pipe.splitlines()))
        holder["postfix"] = p = mailpeers.Postfix(tempfile.mkdtemp(dir=self.dir), refusing.port, "b.shop.example", pipe, relay)
        self.addCleanup(p.close)
        d.up()
        r = d.result("nobody@gone.example")
        self.assertEqual(r["result"], ACCEPTED, r)
        self.assertIn("queued as", r["raw"])
        try:
            receipt = d.event("receipt", seconds=45)
        except AssertionError as e:
            raise AssertionError("%s\n%s" % (e, p.log()[-3000:])) from None
        self.assertEqual((receipt["result"], receipt["sub"], receipt["id"], receipt["code"]), (FAILED, HARD, r["id"], 50101))
        self.assertIn("no such user here", receipt["raw"])

    def test_postfix_keeps_a_report_that_is_not_taken(self):
        why = mailpeers.Postfix.why_not() or (None if shutil.which("curl") else "curl is not installed")
        if why:
            self.skipTest(why)
        refusing = self.sink("-f", "rcpt", "-B", "550 5.1.1 no such user here")
        with open(os.path.join(SRC, "plugins/channel_email/README.md"), encoding="utf-8") as f:
            pipe = re.search(r"^    (campgw +unix .*pipe\n(?:    +.*\n)+)", f.read(), re.M).group(1)
        relay = mailpeers.free_port()
        d = self.driver(up=False, port=relay, bounce_domain="b.shop.example")
        d.set(refuse=1)
        pipe = re.sub(r"http://127\.0\.0\.1:\d+/cb/\w+/report", "http://127.0.0.1:%d/cb/mail/report" % d.port, pipe)
        pipe = "\n".join(("  " if i else "") + line.strip() for i, line in enumerate(pipe.splitlines()))
        p = mailpeers.Postfix(tempfile.mkdtemp(dir=self.dir), refusing.port, "b.shop.example", pipe, relay)
        self.addCleanup(p.close)
        d.up()
        self.assertEqual(d.result("nobody@gone.example")["result"], ACCEPTED)
        mailpeers.until("postfix defers the report", lambda: re.search(r"relay=campgw.*status=deferred", p.log()), 45)
        self.assertTrue(d.none_of("receipt"))
        d.set(refuse=0)
        try:
            self.assertEqual(d.event("receipt", seconds=45)["sub"], HARD)
        except AssertionError as e:
            raise AssertionError("%s\n%s" % (e, p.log()[-3000:])) from None


if __name__ == "__main__":
    sys.argv[1:1] = [os.path.abspath(__file__)]
    sys.exit(pytap.main())
