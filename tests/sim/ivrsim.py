#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""ivrsim.py - a telephone network for trials: people who answer, do not, press keys, and are counted one by one.

    ivrsim.py --port-file port --control ctl [--listen 127.0.0.1:0] [--rule 9:press=9 ...]

SIP over UDP and RTP from a few hundred lines of Python: it shares no code with the gateway, so what it counts is a second opinion. A rule
is SUFFIX:ACTION; of the rules whose suffix ends the called number the longest holds. Actions: press=KEYS (answer, listen, press), answer
(and press nothing), hangup (answer, then hang up), busy, noanswer, reject, unknown, down. Control socket: one command a line, one JSON
object back: stats, number N, dump FILE, rule SUFFIX ACTION, set KNOB VALUE, reset, quit. The control words are smscsim's.
"""
import argparse
import heapq
import json
import os
import random
import re
import selectors
import signal
import socket
import struct
import sys
import time

CALLS_MAX = 5000
BUFFER = 4 << 20  # of a socket, in octets: 2 s of sound for 100 calls, for while this process is not run
SO_RCVBUFFORCE, SO_MEMINFO, MEMINFO_DROPS = 33, 55, 8  # socket(7), sock_diag(7): Python has no names for them
ENDED_S = 40  # a transaction's retransmissions are over by then (64 * T1 + rest)
PLAIN = {"busy": (486, "Busy Here"), "noanswer": (480, "Temporarily Unavailable"), "reject": (603, "Decline"), "unknown": (404, "Not Found"), "down": (503, "Service Unavailable")}
RULES = ("press=1", {"6": "press=2", "7": "busy", "8": "noanswer", "9": "press=9"})
KNOBS = {"ring_ms": 100, "noanswer_ms": 1500, "listen_ms": 1200, "key_ms": 250, "hangup_ms": 1500}
KEYS = "0123456789*#ABCD"


class Message:
    """A SIP message, as much of it as a telephone needs."""

    def __init__(self, data):
        head, _, self.body = data.decode("utf-8", "replace").partition("\r\n\r\n")
        lines = head.split("\r\n")
        self.first, self.headers = lines[0], []
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if not colon:
                raise ValueError("header without colon")
            self.headers.append((name.strip().lower(), value.strip()))
        self.is_response = self.first.startswith("SIP/2.0 ")
        self.method = self["cseq"].split()[1]
        self.status = int(self.first.split()[1]) if self.is_response else 0

    def __getitem__(self, name):
        for n, value in self.headers:
            if n == name:
                return value
        raise ValueError("no header %s" % name)

    def all(self, name):
        return [value for n, value in self.headers if n == name]


class Call:
    def __init__(self, sim, invite, peer):
        self.sim, self.invite, self.peer = sim, invite, peer
        self.id = invite["call-id"]
        self.number = re.match(r"\S+ sips?:\+?([^@;\s]*)", invite.first).group(1)
        self.action = sim.action_for(self.number)
        self.tag = "%08x" % random.getrandbits(32)
        self.answer, self.state = None, "ringing"
        self.packets, self.last_seq, self.pressed, self.keys = 0, None, 0, ""
        self.source, self.ssrc, self.ts, self.seq = None, random.getrandbits(32), random.getrandbits(31), 0
        self.answered_at, self.ended_at = None, None
        port = re.search(r"^m=audio (\d+)", invite.body, re.M)
        address = re.search(r"^c=IN IP4 (\S+)", invite.body, re.M)
        self.media = (address.group(1), int(port.group(1))) if port and address else None

    def reply(self, request, code, reason, body="", extra=""):
        to = request["to"] + ("" if ";tag=" in request["to"] or code == 100 else ";tag=" + self.tag)
        lines = ["SIP/2.0 %d %s" % (code, reason)] + ["Via: " + v for v in request.all("via")] + ["From: " + request["from"], "To: " + to, "Call-ID: " + self.id, "CSeq: " + request["cseq"],
                                                                                                  "Contact: <sip:%s:%d>" % self.sim.address]
        if body:
            lines.append("Content-Type: application/sdp")
        data = ("\r\n".join(lines) + "\r\n" + extra + "Content-Length: %d\r\n\r\n%s" % (len(body), body)).encode()
        self.sim.sip.sendto(data, self.peer)
        return data

    def begin(self):
        self.reply(self.invite, 100, "Trying")
        if self.action == "down":
            self.refuse()
            return
        self.reply(self.invite, 180, "Ringing")
        plain = self.action in PLAIN
        self.sim.later(self.sim.knobs["noanswer_ms" if self.action == "noanswer" else "ring_ms"], self.refuse if plain else self.pick_up)

    def refuse(self):
        if self.state == "ringing":
            self.state = "refused"
            self.answer = self.reply(self.invite, *PLAIN[self.action])
            self.sim.later(500, self.repeat, 500)

    def pick_up(self):
        if self.state != "ringing":
            return
        self.state, self.answered_at = "answered", time.monotonic()
        host, port = self.sim.media_address
        body = ("v=0\r\no=- 1 1 IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\nm=audio %d RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n" % (host, host, port))
        self.answer = self.reply(self.invite, 200, "OK", body)
        self.sim.by_media[self.media] = self
        self.sim.later(500, self.repeat, 500)

    def talk(self):
        """The caller has acknowledged: from now on people act. Before that a key would be lost, and a BYE not allowed (RFC 3261, 15)."""
        self.state = "talking"
        if self.action.startswith("press="):
            for i, key in enumerate(self.action[6:]):
                self.sim.later(self.sim.knobs["listen_ms"] + i * self.sim.knobs["key_ms"], self.press, key)
        elif self.action == "hangup":
            self.sim.later(self.sim.knobs["hangup_ms"], self.hang_up)

    def repeat(self, after_ms):
        """Until the ACK comes (RFC 3261, 13.3.1.4 and 17.2.1)."""
        if self.state in ("answered", "refused", "cancelled") and self.answer and after_ms <= 8000:
            self.sim.sip.sendto(self.answer, self.peer)
            self.sim.later(min(2 * after_ms, 4000), self.repeat, 2 * after_ms)

    def press(self, key):
        if self.state != "talking" or not self.media:
            return
        self.keys += key
        self.ts = (self.ts + 4000) & 0xffffffff
        for i in range(6):
            self.seq = (self.seq + 1) & 0xffff
            event = struct.pack("!BBH", KEYS.index(key), 0x8a if i >= 3 else 10, 160 * (i + 1))
            self.sim.rtp.sendto(struct.pack("!BBHII", 0x80, 101 | (0x80 if i == 0 else 0), self.seq, self.ts, self.ssrc) + event, self.source or self.media)

    def hang_up(self):
        if self.state != "talking":
            return
        contact = re.search(r"<([^>]+)>", self.invite["contact"]).group(1)
        text = ("BYE %s SIP/2.0\r\nVia: SIP/2.0/UDP %s:%d;branch=z9hG4bK%08x\r\nMax-Forwards: 70\r\nFrom: %s;tag=%s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: 1 BYE\r\nContent-Length: 0\r\n\r\n"
                % (contact, *self.sim.address, random.getrandbits(32), self.invite["to"], self.tag, self.invite["from"], self.id))
        self.sim.sip.sendto(text.encode(), self.peer)
        self.end("peer_bye")

    def end(self, how):
        if self.ended_at is None:
            self.state, self.ended_at = how, time.monotonic()
            self.sim.by_media.pop(self.media, None)

    # ---- what comes ----

    def on_request(self, m):
        if m.method == "ACK":
            if self.state == "answered":
                self.talk()
            elif self.state in ("refused", "cancelled"):
                self.end(self.state)
        elif m.method == "CANCEL":
            self.reply(m, 200, "OK")
            if self.state == "ringing":
                self.state = "cancelled"
                self.answer = self.reply(self.invite, 487, "Request Terminated")
                self.sim.later(500, self.repeat, 500)
        elif m.method == "BYE":
            if self.state not in ("talking", "answered", "our_bye", "peer_bye"):
                self.sim.complain("bye_without_call")
            self.reply(m, 200, "OK")
            self.end("our_bye")
        elif m.method == "INVITE":  # a repetition, or within the call
            if m["cseq"] == self.invite["cseq"]:
                if self.answer:
                    self.sim.sip.sendto(self.answer, self.peer)
            else:
                self.reply(m, 488, "Not Acceptable Here")
        else:
            self.reply(m, 501, "Not Implemented")

    def on_sound(self, data, source):
        seq = data[2] << 8 | data[3]
        if self.last_seq is not None and (seq - self.last_seq) & 0xffff != 1:
            self.sim.counts["rtp_gaps"] += 1
        self.last_seq, self.source = seq, source
        self.packets += 1


def set_buffer(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)  # beyond net.core.rmem_max, where we may
    except OSError:
        pass


def dropped(sock):
    """Datagrams that came while the buffer was full, since the socket was opened."""
    return struct.unpack_from("=I", sock.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 64), 4 * MEMINFO_DROPS)[0]


class Sim:
    def __init__(self, args):
        host, _, port = args.listen.rpartition(":")
        self.sip, self.rtp = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        for s, p in ((self.sip, int(port)), (self.rtp, 0)):
            set_buffer(s)
            s.bind((host, p))
            s.setblocking(False)
        self.address, self.media_address = self.sip.getsockname(), self.rtp.getsockname()
        self.standard, self.rules, self.knobs = RULES[0], dict(RULES[1]), dict(KNOBS)
        for rule in args.rule:
            self.set_rule(*rule.split(":", 1))
        self.timers, self.order, self.ending = [], 0, False
        self.calls, self.by_media, self.numbers, self.counts = {}, {}, {}, {}
        self.reset()

    def reset(self):
        self.numbers.clear()
        self.counts = {k: 0 for k in ("invites", "calls", "answered", "cancelled", "busy", "noanswer", "reject", "unknown", "down", "our_bye", "peer_bye", "keys", "options", "rtp_packets",
                                      "rtp_gaps", "malformed", "most_at_once")}
        self.counts["complaints"] = {}

    def complain(self, what):
        self.counts["complaints"][what] = self.counts["complaints"].get(what, 0) + 1

    def set_rule(self, suffix, action):
        if not (action in PLAIN or action in ("answer", "hangup") or re.fullmatch(r"press=[0-9*#A-D]{1,16}", action)):
            raise ValueError("unknown action %s" % action)
        if suffix == "":
            self.standard = action
        else:
            self.rules[suffix] = action

    def action_for(self, number):
        for n in range(len(number), 0, -1):
            if number[-n:] in self.rules:
                return self.rules[number[-n:]]
        return self.standard

    def later(self, ms, fn, *args):
        self.order += 1
        heapq.heappush(self.timers, (time.monotonic() + ms / 1000, self.order, fn, args))

    def active(self):
        return sum(c.ended_at is None for c in self.calls.values())

    # ---- traffic ----

    def on_sip(self, data, peer):
        try:
            m = Message(data)
            if m.is_response:
                return
            call = self.calls.get(m["call-id"])
            if call:
                if m.method == "INVITE":
                    self.counts["invites"] += 1
                call.on_request(m)
            elif m.method == "INVITE":
                self.new_call(m, peer)
            elif m.method in ("OPTIONS", "REGISTER"):
                self.counts["options"] += m.method == "OPTIONS"
                self.stateless(m, peer, "200 OK")
            elif m.method != "ACK":
                self.stateless(m, peer, "481 Call/Transaction Does Not Exist")
        except (ValueError, IndexError, AttributeError):
            self.counts["malformed"] += 1

    def stateless(self, m, peer, status):
        lines = ["SIP/2.0 " + status] + ["Via: " + v for v in m.all("via")] + ["From: " + m["from"], "To: " + m["to"] + ";tag=sim", "Call-ID: " + m["call-id"], "CSeq: " + m["cseq"]]
        lines += ["Contact: " + c for c in m.all("contact")] + ["Content-Length: 0", "", ""]
        self.sip.sendto("\r\n".join(lines).encode(), peer)

    def new_call(self, m, peer):
        self.counts["invites"] += 1
        if len(self.calls) >= CALLS_MAX:
            self.stateless(m, peer, "503 Service Unavailable")
            return
        call = Call(self, m, peer)
        self.calls[call.id] = call
        self.counts["calls"] += 1
        self.counts["most_at_once"] = max(self.counts["most_at_once"], self.active())
        row = self.numbers.setdefault(call.number, {"calls": 0, "answered": 0, "keys": "", "seconds": 0.0, "packets": 0, "ends": {}})
        row["calls"] += 1
        if sum(c.number == call.number and c.ended_at is None for c in self.calls.values()) > 1:
            self.complain("two_calls_at_once")
        call.begin()

    def forget(self):
        now = time.monotonic()
        for call in [c for c in self.calls.values() if c.ended_at is not None]:
            if not getattr(call, "booked", False):
                self.book(call)
            if now - call.ended_at > ENDED_S:
                del self.calls[call.id]
        self.later(100, self.forget)

    def book(self, call):
        call.booked = True
        row = self.numbers.setdefault(call.number, {"calls": 1, "answered": 0, "keys": "", "seconds": 0.0, "packets": 0, "ends": {}})
        how = call.action if call.state == "refused" else call.state
        row["ends"][how] = row["ends"].get(how, 0) + 1
        self.counts[how] = self.counts.get(how, 0) + 1
        if call.answered_at is not None:
            row["answered"] += 1
            row["seconds"] = round(row["seconds"] + call.ended_at - call.answered_at, 3)
            row["keys"] += call.keys
            row["packets"] += call.packets
            self.counts["answered"] += 1
            self.counts["keys"] += len(call.keys)
            self.counts["rtp_packets"] += call.packets

    def on_rtp(self, data, source):
        call = self.by_media.get(source)
        if call and len(data) >= 12 and data[0] >> 6 == 2:
            call.on_sound(data, source)

    # ---- control ----

    def command(self, line):
        words = line.split()
        if not words:
            raise ValueError("empty command")
        if words[0] == "stats":
            for call in self.calls.values():
                if call.ended_at is not None and not getattr(call, "booked", False):
                    self.book(call)
            return {**self.counts, "active": self.active(), "numbers": len(self.numbers), "rtp_dropped": dropped(self.rtp)}
        if words[0] == "number":
            return self.numbers.get(words[1].lstrip("+"), {"calls": 0})
        if words[0] == "dump":
            self.command("stats")
            with open(words[1], "w", encoding="ascii") as f:
                for number, row in sorted(self.numbers.items()):
                    f.write("%s\t%d\t%d\t%s\t%.3f\t%s\n" % (number, row["calls"], row["answered"], row["keys"] or "-", row["seconds"], ",".join("%s=%d" % e for e in sorted(row["ends"].items()))))
            return {"rows": len(self.numbers)}
        if words[0] == "rule":
            self.set_rule(words[1] if words[1] != "*" else "", words[2])
        elif words[0] == "set":
            if words[1] not in self.knobs:
                raise ValueError("unknown knob %s" % words[1])
            self.knobs[words[1]] = int(words[2])
        elif words[0] == "reset":
            self.reset()
        elif words[0] == "quit":
            self.ending = True
        else:
            raise ValueError("unknown command %s" % words[0])
        return {}

    def answer(self, line):
        try:
            return {"ok": True, **self.command(line)}
        except (ValueError, IndexError, OSError) as e:
            return {"ok": False, "error": str(e) or "words are missing"}


def drain_socket(sock, handler):
    for _ in range(64):
        try:
            data, source = sock.recvfrom(4096)
        except OSError:
            return
        handler(data, source)


def serve_control(sim, selector, conn, pending):
    try:
        data = conn.recv(4096)
    except OSError:
        data = b""
    if not data:
        selector.unregister(conn)
        conn.close()
        return
    pending[conn] = pending.get(conn, b"") + data
    while b"\n" in pending[conn]:
        line, _, pending[conn] = pending[conn].partition(b"\n")
        try:
            conn.sendall(json.dumps(sim.answer(line.decode("utf-8", "replace"))).encode() + b"\n")
        except OSError:
            return


def loop(sim, control):
    selector, pending = selectors.DefaultSelector(), {}
    selector.register(sim.sip, selectors.EVENT_READ, lambda s: drain_socket(s, sim.on_sip))
    selector.register(sim.rtp, selectors.EVENT_READ, lambda s: drain_socket(s, sim.on_rtp))

    def accept(s):
        conn, _ = s.accept()
        selector.register(conn, selectors.EVENT_READ, lambda c: serve_control(sim, selector, c, pending))
    selector.register(control, selectors.EVENT_READ, accept)
    while not sim.ending:
        wait = max(0.0, min(1.0, sim.timers[0][0] - time.monotonic())) if sim.timers else 1.0
        for key, _ in selector.select(wait):
            key.data(key.fileobj)
        while sim.timers and sim.timers[0][0] <= time.monotonic():
            _, _, fn, args = heapq.heappop(sim.timers)
            fn(*args)


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--listen", default="127.0.0.1:0", metavar="ADDRESS:PORT")
    ap.add_argument("--control", required=True, metavar="SOCKET")
    ap.add_argument("--port-file", metavar="FILE")
    ap.add_argument("--rule", action="append", default=[], metavar="SUFFIX:ACTION")
    args = ap.parse_args()
    try:
        sim = Sim(args)
    except (ValueError, OSError) as e:
        print("ivrsim: %s" % e, file=sys.stderr)
        return 2
    if os.path.exists(args.control):
        os.unlink(args.control)
    control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    control.bind(args.control)
    control.listen(16)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: setattr(sim, "ending", True))
    if args.port_file:
        with open(args.port_file + ".new", "w", encoding="ascii") as f:
            f.write("%d\n" % sim.address[1])
        os.rename(args.port_file + ".new", args.port_file)
    print("ivrsim: listening on %s:%d" % sim.address, flush=True)
    sim.forget()
    loop(sim, control)
    os.unlink(args.control)
    return 0


if __name__ == "__main__":
    sys.exit(main())
