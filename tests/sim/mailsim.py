#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""mailsim.py - smarthost and mailboxes on demand: takes mail by SMTP, counts every recipient by itself, and does what mailboxes and people
do: bounces and complaints to the gateway's callback route, clicks on the one-click link, answers.

Shares no code with the gateway: what it says about it is a second opinion. Standard library only; loopback unless told otherwise.
Control: a unix socket, one command a line, one JSON object a line back (simctl speaks it): stats, count ADDRESS, dump FILE, set KEY VALUE,
reset, quit. SIGTERM and quit end it with status 0."""
import argparse
import asyncio
import collections
import email
import email.policy
import fnmatch
import hashlib
import json
import os
import re
import signal
import sys
import urllib.error
import urllib.parse
import urllib.request

RECIPIENTS_MAX = 2000000  # mailboxes remembered; beyond it mail is answered 452
MAIL_MAX = 64 << 20
TASKS_MAX = 64  # calls to the gateway at the same time
TRIES = 60  # of one call, a second apart
EXAMPLE_MAX = 200

DSN = """Return-Path: <>
X-Original-To: %(sender)s
Delivered-To: %(sender)s
From: Mail Delivery System <MAILER-DAEMON@%(host)s>
To: %(sender)s
Subject: Undelivered Mail Returned to Sender
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="=_dsn"

--=_dsn
Content-Type: text/plain; charset=us-ascii

Your message to %(recipient)s could not be delivered.

--=_dsn
Content-Type: message/delivery-status

Reporting-MTA: dns; %(host)s

Final-Recipient: rfc822; %(recipient)s
Action: failed
Status: %(status)s
Diagnostic-Code: smtp; 550 %(status)s simulated

--=_dsn
Content-Type: text/rfc822-headers

%(header)s
--=_dsn--
"""
ARF = """From: Feedback Loop <fbl@%(host)s>
To: abuse@%(host)s
Subject: complaint
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="=_arf"

--=_arf
Content-Type: text/plain; charset=us-ascii

This is an e-mail abuse report.

--=_arf
Content-Type: message/feedback-report

Feedback-Type: abuse
User-Agent: mailsim/1
Version: 1
Original-Mail-From: <%(sender)s>
Original-Rcpt-To: <%(recipient)s>

--=_arf
Content-Type: text/rfc822-headers

%(header)s
--=_arf--
"""
REPLY = """Return-Path: <%(recipient)s>
X-Original-To: %(to)s
From: <%(recipient)s>
To: %(to)s
Subject: Re: your mail
Message-ID: <%(unique)s@%(host)s>
In-Reply-To: %(message_id)s
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

%(text)s
"""


class Rule(collections.namedtuple("Rule", "pattern value")):
    @staticmethod
    def of(text, standard=None):
        pattern, _, value = text.partition("=")
        return Rule(pattern.lower(), value or standard)


class Box:
    __slots__ = ("mails", "ids", "refused")

    def __init__(self):
        self.mails, self.ids, self.refused = 0, {}, 0


class Simulator:
    def __init__(self, a):
        self.a = a
        self.knobs = {"bounce_permille": a.bounce_permille, "complain_permille": a.complain_permille, "click_permille": a.click_permille,
                      "refuse_permille": a.refuse_permille, "answer_delay_ms": a.answer_delay_ms, "hold_reports": 0}
        self.calls = asyncio.Semaphore(TASKS_MAX)
        self.tasks, self.stop = set(), asyncio.Event()
        self.reset()

    def reset(self):
        self.boxes = {}
        self.n = collections.Counter()
        self.faults = collections.OrderedDict()

    # ---- judging what arrives

    def complain(self, kind, example):
        entry = self.faults.setdefault(kind, {"count": 0, "example": str(example)[:EXAMPLE_MAX]})
        entry["count"] += 1

    def judge(self, sender, recipient, raw):
        if b"\n" in raw.replace(b"\r\n", b""):
            self.complain("bare LF", recipient)
        if b"\r" in raw.replace(b"\r\n", b""):
            self.complain("bare CR", recipient)
        if any(len(line) > 998 for line in raw.split(b"\r\n")):
            self.complain("line above 998 bytes", recipient)
        if any(b > 127 for b in raw):
            self.complain("8-bit text without BODY=8BITMIME", recipient)
        head = raw.split(b"\r\n\r\n", 1)[0]
        fields = email.message_from_bytes(head + b"\r\n\r\n", policy=email.policy.compat32)
        for name in ("Date", "From", "To", "Message-ID"):
            if len(fields.get_all(name, [])) != 1:
                self.complain("%s not exactly once" % name, recipient)
        if recipient not in (fields["To"] or ""):
            self.complain("To is not the recipient", fields["To"])
        if fields["Bcc"]:
            self.complain("Bcc in the header", recipient)
        if fields["List-Unsubscribe-Post"] and "https://" not in (fields["List-Unsubscribe"] or "") and not self.a.link_base:
            self.complain("one-click without an https link", fields["List-Unsubscribe"])
        return fields, head

    # ---- what mailboxes and people do

    @staticmethod
    def chance(what, recipient, permille):
        """The same for the same recipient, whatever the order of mails."""
        return int.from_bytes(hashlib.sha256((what + recipient).encode()).digest()[:4], "big") % 1000 < permille

    def wants(self, rules, knob, recipient):
        for rule in rules:
            if fnmatch.fnmatchcase(recipient.lower(), rule.pattern):
                return rule
        return Rule("*", None) if knob and self.chance(knob, recipient, self.knobs[knob]) else None

    def refusal(self, recipient):
        rule = self.wants(self.a.refuse, "refuse_permille", recipient)
        return (rule.value or "550 5.1.1 No such user") if rule else None

    def react(self, sender, recipient, fields, head):
        facts = {"sender": sender, "recipient": recipient, "host": "mailsim.test", "header": head.decode("utf-8", "replace").replace("\r\n", "\n"),
                 "message_id": fields["Message-ID"], "to": fields["Reply-To"] or sender, "unique": hashlib.sha256((recipient + str(fields["Message-ID"])).encode()).hexdigest()[:20]}
        bounce = self.wants(self.a.bounce, "bounce_permille", recipient)
        if bounce:
            return self.begin("bounces", self.report(DSN % {**facts, "status": bounce.value or "5.1.1"}))
        if self.wants(self.a.complain, "complain_permille", recipient):
            self.begin("complaints_sent", self.report(ARF % facts))
        link = re.search(r"<(https?://[^>]+)>", str(fields["List-Unsubscribe"] or "").replace("\r\n", ""))
        if link and self.wants(self.a.click, "click_permille", recipient):
            self.begin("clicks", self.post(self.link(link.group(1)), b"List-Unsubscribe=One-Click", "application/x-www-form-urlencoded"))
        reply = self.wants(self.a.reply, None, recipient)
        if reply:
            self.begin("replies", self.report(REPLY % {**facts, "text": reply.value or "Hello"}))
        return None

    def link(self, url):
        return self.a.link_base + "?" + url.split("?", 1)[1] if self.a.link_base and "?" in url else url

    def report(self, text):
        return self.post(self.a.report_url, text.replace("\n", "\r\n").encode(), "message/rfc822")

    def begin(self, what, call):
        self.n[what + "_due"] += 1
        task = asyncio.ensure_future(self.finish(what, call))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def finish(self, what, call):
        self.n[what if await call else what + "_failed"] += 1

    async def post(self, url, body, kind):
        """As a mail system does: again and again until it is taken."""
        if not url:
            return False
        while self.knobs["hold_reports"]:
            await asyncio.sleep(0.05)
        for _ in range(TRIES):
            async with self.calls:
                status = await asyncio.get_running_loop().run_in_executor(None, self.call, url, body, kind)
            if status == 200:
                return True
            if 400 <= status < 500:
                self.complain("answer %d to a report or click" % status, url)
                return False
            await asyncio.sleep(1)
        return False

    @staticmethod
    def call(url, body, kind):
        try:
            with urllib.request.urlopen(urllib.request.Request(url, body, {"Content-Type": kind}), timeout=30) as a:
                return a.status
        except urllib.error.HTTPError as e:
            return e.code
        except OSError:
            return 599

    # ---- SMTP

    async def session(self, reader, writer):
        self.n["sessions"] += 1
        try:
            await Session(self, reader, writer).run()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            self.n["sessions_lost"] += 1
        finally:
            writer.close()

    def take(self, sender, recipient, raw):
        """The answer to the final dot."""
        self.n["mails"] += 1
        fields, head = self.judge(sender, recipient, raw)
        box = self.boxes.setdefault(recipient, Box())
        box.mails += 1
        name = str(fields["Message-ID"])
        box.ids[name] = box.ids.get(name, 0) + 1
        if box.ids[name] > 1:
            self.n["copies"] += 1
        self.react(sender, recipient, fields, head)
        return "250 2.0.0 Ok: queued as M%d" % self.n["mails"]

    # ---- control

    def stats(self):
        return {"ok": True, **dict(self.n), "recipients": len(self.boxes), "mails": self.n["mails"], "copies": self.n["copies"],
                "more_than_once": sum(b.mails > 1 for b in self.boxes.values()), "under_way": len(self.tasks), "complaints": self.faults}

    def obey(self, line):
        word, _, rest = line.strip().partition(" ")
        if word == "stats":
            return self.stats()
        if word == "count":
            box = self.boxes.get(rest, Box())
            return {"ok": True, "address": rest, "mails": box.mails, "ids": list(box.ids)}
        if word == "dump":
            with open(rest, "w", encoding="utf-8") as f:
                for address in sorted(self.boxes):
                    for name, n in self.boxes[address].ids.items():
                        f.write("%s\t%s\t%d\n" % (address, name, n))
            return {"ok": True, "lines": sum(len(b.ids) for b in self.boxes.values())}
        if word == "set":
            key, _, value = rest.partition(" ")
            if key in self.knobs and value.isdigit():
                self.knobs[key] = int(value)
                return {"ok": True}
            if key in ("report_url", "link_base"):
                setattr(self.a, key, value)
                return {"ok": True}
            return {"ok": False, "error": "knobs: %s, report_url, link_base" % ", ".join(sorted(self.knobs))}
        if word == "reset":
            self.reset()
            return {"ok": True}
        if word == "quit":
            self.stop.set()
            return {"ok": True}
        return {"ok": False, "error": "commands: stats, count ADDRESS, dump FILE, set KEY VALUE, reset, quit"}

    async def control(self, reader, writer):
        try:
            while line := await reader.readline():
                try:
                    answer = self.obey(line.decode("utf-8", "replace"))
                except OSError as e:
                    answer = {"ok": False, "error": str(e)}
                writer.write(json.dumps(answer, separators=(",", ":")).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError):
            pass
        finally:
            writer.close()


class Session:
    def __init__(self, sim, reader, writer):
        self.sim, self.reader, self.writer = sim, reader, writer
        self.sender = self.recipients = None

    async def run(self):
        await self.say("220 mailsim.test ESMTP")
        while line := await self.reader.readline():
            text = line.decode("utf-8", "replace").rstrip("\r\n")
            if not line.endswith(b"\r\n"):
                self.sim.complain("command without CRLF", text)
            verb = text[:4].upper()
            if verb == "QUIT":
                await self.say("221 2.0.0 Bye")
                return
            await getattr(self, "on_" + verb.lower(), self.other)(text)
        self.sim.n["without_quit"] += 1

    async def say(self, text):
        self.writer.write(text.encode() + b"\r\n")
        await self.writer.drain()

    async def other(self, text):
        known = text[:4].upper() in ("NOOP", "VRFY", "RSET")
        if not known:
            self.sim.complain("unknown command", text)
        await self.say("250 2.0.0 Ok" if known else "500 5.5.2 Unknown")

    async def on_ehlo(self, text):
        await self.say("250-mailsim.test\r\n250-SIZE %d\r\n250-ENHANCEDSTATUSCODES\r\n250 PIPELINING" % MAIL_MAX)

    async def on_helo(self, text):
        await self.say("250 mailsim.test")

    @staticmethod
    def address(text):
        m = re.search(r"<([^>]*)>", text)
        return m.group(1) if m else None

    async def on_mail(self, text):
        if self.sender is not None:
            self.sim.complain("MAIL within a transaction", text)
        self.sender, self.recipients = self.address(text), []
        await self.say("250 2.1.0 Ok")

    async def on_rcpt(self, text):
        recipient = self.address(text)
        if self.sender is None or not recipient:
            self.sim.complain("RCPT out of order", text)
            return await self.say("503 5.5.1 MAIL first")
        refusal = self.sim.refusal(recipient)
        if not refusal and recipient not in self.sim.boxes and len(self.sim.boxes) >= RECIPIENTS_MAX:
            refusal = "452 4.3.1 Full"
        if refusal:
            self.sim.n["refused"] += 1
            self.sender = None
            return await self.say(refusal)
        self.recipients.append(recipient)
        return await self.say("250 2.1.5 Ok")

    async def on_data(self, text):
        if not self.recipients:
            return await self.say("503 5.5.1 RCPT first")
        await self.say("354 Go")
        lines, size = [], 0
        while (line := await self.reader.readline()) != b".\r\n":
            if not line:
                raise ConnectionError
            size += len(line)
            if size > MAIL_MAX:
                raise ConnectionError
            lines.append(line[1:] if line.startswith(b".") else line)
        if len(self.recipients) > 1:
            self.sim.complain("several recipients of one mail", self.recipients)
        if self.sim.knobs["answer_delay_ms"]:
            await asyncio.sleep(self.sim.knobs["answer_delay_ms"] / 1000)
        answer = None
        for recipient in self.recipients:
            answer = self.sim.take(self.sender, recipient, b"".join(lines))
        self.sender = None
        if any(self.sim.wants(self.sim.a.lose, None, r) for r in self.recipients):
            raise ConnectionError
        return await self.say(answer)


async def serve(a):
    sim = Simulator(a)
    host, _, port = a.listen.rpartition(":")
    server = await asyncio.start_server(sim.session, host, int(port), limit=1 << 20, backlog=256)
    bound = server.sockets[0].getsockname()[1]
    control = await asyncio.start_unix_server(sim.control, a.control) if a.control else None
    for s in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(s, sim.stop.set)
    if a.port_file:
        with open(a.port_file + ".new", "w", encoding="ascii") as f:
            f.write("%d\n" % bound)
        os.replace(a.port_file + ".new", a.port_file)
    print("mailsim: listening on %s:%d" % (host, bound), flush=True)
    await sim.stop.wait()
    server.close()
    if control:
        control.close()
        os.unlink(a.control)
    for task in list(sim.tasks):
        task.cancel()


def options():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--listen", default="127.0.0.1:0", metavar="ADDRESS:PORT", help="port 0: any free one")
    p.add_argument("--port-file", metavar="FILE", help="gets the port, written atomically")
    p.add_argument("--control", metavar="PATH", help="control socket")
    p.add_argument("--report-url", default="", metavar="URL", help="the gateway's route /cb/INSTANCE/report")
    p.add_argument("--link-base", default="", metavar="URL", help="clicks go here instead of the link's own server, with its token")
    for name, what in (("refuse", "at RCPT, with the answer =\"550 5.1.1 …\""), ("bounce", "taken, and a DSN with =STATUS comes back"),
                       ("complain", "a feedback report comes back"), ("click", "clicks the one-click link"), ("reply", "answers =TEXT"),
                       ("lose", "taken, and the connection breaks before the answer to the final dot")):
        p.add_argument("--" + name, action="append", default=[], metavar="PATTERN[=VALUE]", type=Rule.of, help="recipients: " + what)
    for name in ("refuse", "bounce", "complain", "click"):
        p.add_argument("--%s-permille" % name, type=int, default=0, metavar="N", help="so many of a thousand recipients, always the same ones")
    p.add_argument("--answer-delay-ms", type=int, default=0, metavar="MS", help="wait before the answer to the final dot")
    return p.parse_args()


if __name__ == "__main__":
    asyncio.run(serve(options()))
    sys.exit(0)
