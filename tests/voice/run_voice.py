#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""run_voice.py [CASE...] - channel_ivr against sipp: every outcome, every way to press a key, failover, transfer, many calls. TAP."""
import concurrent.futures
import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import traceback

import sippxml as x
import voicekit as k

HELLO = {"say": "Hello."}
MENU = {"start": "ask", "optout": "9", "optout_say": "Bye.", "nodes": {
    "ask": {"say": "Press one for yes, two for no, or nine to hear no more from us. We wait for your answer now.", "menu": {"1": "yes", "2": "no"}, "wait_s": 3, "tries": 2,
            "otherwise": "no"},
    "yes": {"say": "Thank you."}, "no": {"say": "Good bye."}}}
CASES = []
PARALLEL = 3


def case(fn):
    CASES.append((fn.__name__, fn))
    return fn


def in_time(fn):
    """A case about a deadline: a machine that pauses for longer fails it without the plugin's fault, so it is tried thrice. A plugin that is late
    is late each time."""
    def run():
        for _ in range(2):
            with contextlib.suppress(k.Late):
                return fn()
        return fn()
    run.__name__ = fn.__name__
    return run


class Bench:
    """What one case starts is ended with it."""

    def __init__(self):
        self.things = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for thing in reversed(self.things):
            thing.end()
            if isinstance(thing, k.Sipp):
                shutil.rmtree(thing.dir, ignore_errors=True)

    def sipp(self, *steps, **how):
        variables = how.pop("variables", ("from", "to"))
        return self.add(k.Sipp(x.scenario("far end", *steps, variables=variables), **how))

    def driver(self, *options, **how):
        return self.add(k.Driver(*options, **how))

    def phone(self):
        return self.add(k.Phone())

    def add(self, thing):
        self.things.append(thing)
        return thing


def good(sipp):
    status = sipp.status()
    k.check(status == 0, "sipp ends with %s:\n%s\n%s", status, sipp.read("errors")[:6000], sipp.messages()[-3000:])


def result(driver, **members):
    r = driver.expect("result", token=members.pop("token", 1))
    for name, value in members.items():
        k.check(r[name] == value, "%s is %s, not %s: %s", name, r[name], value, r)
    return r


def word(r, name):
    found = re.search(r"\b%s=(\"[^\"]*\"|\S*)" % name, r["raw"])
    k.check(found, "no %s in %s", name, r["raw"])
    return found.group(1)


def refusal(code, reason, headers="", ring=True, flow=None, options=(), **expected):
    with Bench() as b:
        s = b.sipp(x.refused(code, reason, headers, ring), variables=())
        d = b.driver("trunks=127.0.0.1:%d" % s.port, *options)
        d.call(flow or HELLO)
        r = result(d, code=code, **expected)
        good(s)
        d.drain()
        return r


# ---- how calls end ----


@case
def answer_our_bye():
    with Bench() as b:
        phone = b.phone()
        s = b.sipp(x.answered(phone.port, ring_ms=300), x.their_bye())
        d = b.driver("trunks=127.0.0.1:%d" % s.port)
        d.call({"say": "This is a sentence of some length, so that it can be heard."})
        r = result(d, result=k.DELIVERED, sub=k.ANSWERED, code=200)
        good(s)
        k.check(word(r, "end") == "completed" and int(word(r, "ring_ms")) >= 250, "words of the result: %s", r["raw"])
        talk = int(word(r, "talk_ms"))
        k.check(r["quantity"] == -(-talk // 1000) and talk > 1500, "seconds: %s", r)
        k.check(r["id"] and r["id"] in s.messages(), "the provider id is the Call-ID: %s", r["id"])
        rtp_is_right(phone.packets, talk)
        d.drain()


def rtp_is_right(packets, talk_ms):
    """The plugin makes up for 200 ms of a pause; what is older is skipped. So a fifth may be missing, or what a pause of 2.5 s takes."""
    k.check(len(packets) * 20 >= min(talk_ms * 0.8, talk_ms - 2500), "%d packets in %d ms", len(packets), talk_ms)
    k.check(all(p[2] == 0 and len(p[6]) == 160 and p[1] == 0x80 for p in packets), "PCMU of 20 ms: payload types %s", {p[2] for p in packets})
    steps = [((b[3] - a[3]) & 0xffff, (b[4] - a[4]) & 0xffffffff) for a, b in zip(packets, packets[1:])]
    k.check(set(steps) == {(1, 160)}, "sequence and timestamp go by (1, 160): %s", set(steps))
    k.check(len({p[5] for p in packets}) == 1, "one source")


@case
def peer_bye():
    with Bench() as b:
        s = b.sipp(x.answered(), x.pause(700), x.request("BYE", 1, 'Reason: Q.850;cause=16;text="Normal call clearing"\n'), x.recv("200"))
        d = b.driver("trunks=127.0.0.1:%d" % s.port)
        d.call({"say": "This is a very long sentence, which nobody will hear to its end, because the person hangs up."})
        r = result(d, result=k.DELIVERED, sub=k.ANSWERED, code=200, quantity=k_any(*range(1, 7)))  # 0.7 s, and pauses of both sides
        k.check(word(r, "end") == "peer", "who ended it: %s", r["raw"])
        k.check(r["quantity"] == -(-int(word(r, "talk_ms")) // 1000), "seconds: %s", r)
        good(s)
        d.drain()


@case
def busy():
    r = refusal(486, "Busy Here", result=k.RETRY, sub=k.BUSY, flags=0, retry_after_ms=300000)
    k.check(word(r, "end") == "busy" and "Busy Here" in r["raw"] and r["id"], "the network's words and the Call-ID are kept: %s", r)


@case
def busy_is_final_when_told_so():
    refusal(600, "Busy Everywhere", options=("retry_busy_s=0",), result=k.FAILED, sub=k.BUSY, retry_after_ms=0)


@case
def busy_with_retry_after():
    refusal(486, "Busy Here", "Retry-After: 900 (lunch)\n", result=k.RETRY, sub=k.BUSY, retry_after_ms=900000)


@case
def no_answer_480():
    refusal(480, "Temporarily Unavailable", result=k.RETRY, sub=k.NO_ANSWER, retry_after_ms=3600000)


@case
def no_answer_408():
    refusal(408, "Request Timeout", options=("retry_no_answer_s=0",), result=k.FAILED, sub=k.NO_ANSWER)


@case
def rejected_603():
    refusal(603, "Decline", result=k.FAILED, sub=k.REJECTED)


@case
def rejected_403():
    refusal(403, "Forbidden", ring=False, options=("retry_rejected_s=60",), result=k.RETRY, sub=k.REJECTED, retry_after_ms=60000)


@case
def bad_number():
    refusal(404, "Not Found", ring=False, result=k.FAILED, sub=k.BAD_NUMBER, retry_after_ms=0)


@case
def no_codec():
    refusal(488, "Not Acceptable Here", ring=False, result=k.REFUSED, sub=0)


@case
def answer_without_sound():
    """200 with nothing that we can send: acknowledged, hung up, refused."""
    with Bench() as b:
        s = b.sipp(x.answered("6000", "18"), x.their_bye())
        d = b.driver("trunks=127.0.0.1:%d" % s.port)
        d.call(HELLO)
        result(d, result=k.REFUSED, code=488)
        good(s)
        d.drain()


CANCEL_MS = 15000  # 5 s of ringing at most, and pauses of the machine


@case
def rings_too_long():
    """CANCEL, and the 487 that it brings is no rejection."""
    with Bench() as b:
        s = b.sipp(x.recv("INVITE") + x.reply(180, "Ringing") + x.recv("CANCEL", timeout=CANCEL_MS) + cancelled(), variables=())
        d = b.driver("trunks=127.0.0.1:%d" % s.port, "ring_timeout_s=5")
        d.call(HELLO)
        r = result(d, result=k.RETRY, sub=k.NO_ANSWER, code=487, retry_after_ms=3600000)
        k.check(4500 < int(word(r, "ring_ms")) < 10000, "rang for 5 s: %s", r["raw"])
        good(s)
        d.drain()


def cancelled(acked=True):
    """200 to the CANCEL, then 487 to the INVITE, whose headers were kept by sipp's own hand: the CANCEL repeats all but the method."""
    cancel_ok = x.send(x.with_body("SIP/2.0 200 OK\n" + x.DIALOG % x.TAG, ""))
    gone = "SIP/2.0 487 Request Terminated\n[last_Via:]\n[last_From:]\n[last_To:]" + x.TAG + "\n[last_Call-ID:]\nCSeq: [last_cseq_number] INVITE\n"
    return cancel_ok + x.send(x.with_body(gone)) + (x.again("CANCEL") + x.recv("ACK") if acked else "")


@case
def window_ends_while_it_rings():
    with Bench() as b:
        s = b.sipp(x.recv("INVITE") + x.reply(180, "Ringing") + x.recv("CANCEL", timeout=CANCEL_MS) + cancelled(), variables=())
        d = b.driver("trunks=127.0.0.1:%d" % s.port)
        d.call(HELLO, window_ms=4500)  # the prompt is to be spoken and it is to ring by then, also when the machine pauses for 2 s
        r = result(d, result=k.RETRY, sub=k.NO_ANSWER)
        k.check(int(word(r, "ring_ms")) < 9000, "the end of the window ends the ringing: %s", r["raw"])
        good(s)
        d.drain()


@case
def answer_crosses_our_cancel():
    """Glare: 200 to the INVITE behind our CANCEL is acknowledged and hung up (RFC 3261, 9.1)."""
    with Bench() as b:
        late = x.send(x.with_body("SIP/2.0 200 OK\n[last_Via:]\n[last_From:]\n[last_To:]" + x.TAG + "\n[last_Call-ID:]\nCSeq: [last_cseq_number] INVITE\n"
                                  "Contact: <sip:[local_ip]:[local_port]>\n", x.sdp(), "application/sdp"))
        s = b.sipp(x.recv("INVITE") + x.reply(180, "Ringing") + x.recv("CANCEL", timeout=CANCEL_MS)
                   + x.send(x.with_body("SIP/2.0 200 OK\n" + x.DIALOG % x.TAG, "")) + late + x.again("CANCEL") + x.recv("ACK") + x.their_bye(), variables=())
        d = b.driver("trunks=127.0.0.1:%d" % s.port, "ring_timeout_s=5")
        d.call(HELLO)
        result(d, result=k.RETRY, sub=k.NO_ANSWER)
        good(s)
        d.drain()


@case
def too_late_to_dial():
    with Bench() as b:
        s = b.sipp(x.recv("INVITE"), variables=())
        d = b.driver("trunks=127.0.0.1:%d" % s.port)
        d.call(HELLO, before_ms=0)
        d.call(HELLO, token=2, window_ms=-1)
        result(d, token=2, result=k.NOT_SENT)
        result(d, token=1, result=k.NOT_SENT)
        d.drain()
        k.check("INVITE" not in s.messages(), "nothing was written")


@case
def length_is_capped():
    with Bench() as b:
        s = b.sipp(x.answered(), x.their_bye())
        d = b.driver("trunks=127.0.0.1:%d" % s.port)
        d.call({"max_s": 2, "start": "a", "nodes": {"a": {"prompt": [{"pause_ms": 9000}], "next": "a"}}})
        r = result(d, result=k.DELIVERED, quantity=k_any(*range(2, 8)))
        k.check(word(r, "end") == "cap", "what ended it: %s", r["raw"])
        good(s)
        d.drain()


class k_any:  # pylint: disable=invalid-name
    """Equal to each of some values: times on a busy machine."""

    def __init__(self, *values):
        self.values = values

    def __eq__(self, other):
        return other in self.values

    def __ne__(self, other):
        return other not in self.values

    def __repr__(self):
        return "one of %s" % (self.values,)


@case
def window_ends_while_talking():
    with Bench() as b:
        s = b.sipp(x.answered(), x.their_bye())
        d = b.driver("trunks=127.0.0.1:%d" % s.port)
        d.call({"start": "a", "nodes": {"a": {"prompt": [{"pause_ms": 9000}], "next": "a"}}}, window_ms=4500)  # to be answered by then
        r = result(d, result=k.DELIVERED, quantity=k_any(*range(1, 9)))
        k.check(word(r, "end") == "window", "what ended it: %s", r["raw"])
        good(s)
        d.drain()


@case
def silent_peer_is_lost():
    with Bench() as b:
        s = b.sipp(x.answered(), x.their_bye())
        d = b.driver("trunks=127.0.0.1:%d" % s.port, "rtp_timeout_s=1")
        d.call({"start": "a", "nodes": {"a": {"prompt": [{"pause_ms": 9000}], "next": "a"}}})
        r = result(d, result=k.DELIVERED)
        k.check(word(r, "end") == "lost" and r["quantity"] <= 8, "what ended it: %s", r["raw"])
        good(s)
        d.drain()


# ---- trunks ----


@case
def trunk_down_503_goes_to_the_second():
    with Bench() as b:
        first = b.sipp(x.refused(503, "Service Unavailable", "Retry-After: 120\n", ring=False), variables=())
        second = b.sipp(x.answered(), x.their_bye())
        d = b.driver("trunks=127.0.0.1:%d;priority=1,127.0.0.1:%d;priority=2" % (first.port, second.port))
        d.call(HELLO)
        r = result(d, result=k.DELIVERED, sub=k.ANSWERED)
        k.check(word(r, "trunk") == "127.0.0.1:%d" % second.port, "which trunk: %s", r["raw"])
        good(first)
        good(second)
        h = d.ask("health")
        k.check(h["up"] == 1 and h["links_up"] == 1 and h["links"] == 2 and "503" in h["text"], "health names the trunk that rests: %s", h)
        d.drain()


@case
def all_trunks_down():
    refusal(503, "Service Unavailable", "Retry-After: 7\n", ring=False, result=k.RETRY, sub=k.ROUTE_DOWN, flags=k.THROTTLED, retry_after_ms=7000)


@case
def trunk_comes_back_after_its_rest():
    """No ping is sent: the end of Retry-After alone brings the credit back."""
    with Bench() as b:
        s = b.sipp(x.refused(503, "Service Unavailable", "Retry-After: 5\n", ring=False), variables=())
        d = b.driver("trunks=127.0.0.1:%d" % s.port)
        d.call(HELLO)
        result(d, result=k.RETRY, retry_after_ms=5000)
        wait(lambda: d.ask("health")["credit"] == 0, 4, "no credit while the only trunk rests")  # told a moment behind the result
        wait(lambda: d.ask("health")["credit"] > 0, 10, "credit comes back")
        k.check(d.ask("health")["up"] == 1, "and it is up")
        good(s)
        d.drain()


@case
def trunk_error_500():
    refusal(500, "Server Error", ring=False, result=k.RETRY, sub=k.ROUTE_DOWN, flags=0, retry_after_ms=60000)


@case
def silent_trunk_goes_to_the_second():
    """The first takes the INVITE and says nothing at all, not even 100."""
    with Bench() as b:
        first = b.sipp(x.recv("INVITE"), x.pause(20000), variables=())
        second = b.sipp(x.answered(), x.their_bye())
        d = b.driver("trunks=127.0.0.1:%d;priority=1,127.0.0.1:%d;priority=2" % (first.port, second.port), "trunk_timeout_ms=3000")  # the second one is to answer by then
        d.call(HELLO)
        r = result(d, result=k.DELIVERED)
        k.check(word(r, "trunk").endswith(str(second.port)), "which trunk: %s", r["raw"])
        good(second)
        d.drain()


@case
def options_ping_finds_a_trunk_down_and_up_again():
    with Bench() as b:
        port = k.free_port()
        d = b.driver("trunks=127.0.0.1:%d" % port, "options_ping_s=1")
        wait(lambda: "OPTIONS" in d.ask("health")["text"], 20, "a trunk that nobody serves is down")
        h = d.ask("health")
        k.check(h["up"] == 0 and h["credit"] == 0, "health and credit say so: %s", h)
        b.sipp(x.recv("OPTIONS") + x.ok_plain(), port=port, calls=100, variables=())  # repeats of the lost ones come as well
        wait(lambda: d.ask("health")["up"] == 1, 15, "a trunk that answers is up")
        wait(lambda: d.ask("health")["credit"] > 0, 10, "credit is back")
        d.drain()


def wait(fn, seconds, text):
    end = time.monotonic() + seconds
    while not fn():
        k.check(time.monotonic() < end, text)
        time.sleep(0.1)


def credentials(line):
    where = tempfile.mkdtemp(prefix="campgw-cred-")
    with open(os.path.join(where, "trunks"), "w", encoding="ascii", opener=lambda p, f: os.open(p, f, 0o600)) as f:
        f.write(line + "\n")
    return where


def digest(code, names, check, otherwise=""):
    challenge = '%s: Digest realm="trunk", nonce="47364c23432d2e131a5fb210812c", algorithm=MD5, qop="auth"\n' % ("WWW-Authenticate" if code == 401 else "Proxy-Authenticate")
    where = credentials("alice s3cret pass")
    try:
        with Bench() as b:
            s = b.sipp(x.recv("INVITE") + x.reply(code, "Unauthorized", challenge) + x.recv("ACK")
                       + x.recv("INVITE", x.keep_names(), check) + x.settle() + otherwise + x.reply(200, "OK", body=x.sdp()) + x.recv("ACK"), x.their_bye(),
                       variables=("from", "to") + names, extra=x.DEAF)
            d = b.driver("trunks=127.0.0.1:%d;user=alice" % s.port, "passwords=trunks", credentials=where)
            d.call(HELLO)
            result(d, result=k.DELIVERED, sub=k.ANSWERED)
            good(s)
            d.drain()
            k.check("s3cret" not in "".join(d.stderr) and "s3cret" not in s.messages(), "the password appears nowhere")
    finally:
        shutil.rmtree(where)


@case
def digest_401():
    """sipp reckons the digest itself; the call goes the other way when it is wrong."""
    digest(401, ("good",), x.verify("alice", "s3cret pass"), x.unless_good(x.reply(403, "Forbidden"), x.recv("ACK")))


@case
def digest_407():
    digest(407, ("seen",), x.ereg('username="alice"', "Proxy-Authorization:"))


@case
def digest_refused_twice():
    challenge = 'WWW-Authenticate: Digest realm="trunk", nonce="%s", algorithm=MD5\n'
    where = credentials("alice wrong")
    try:
        with Bench() as b:
            s = b.sipp(x.recv("INVITE") + x.reply(401, "Unauthorized", challenge % "aaaa") + x.recv("ACK")
                       + x.recv("INVITE") + x.settle() + x.reply(401, "Unauthorized", challenge % "bbbb") + x.recv("ACK"), variables=(), extra=x.DEAF)
            d = b.driver("trunks=127.0.0.1:%d;user=alice" % s.port, "passwords=trunks", credentials=where)
            d.call(HELLO)
            result(d, result=k.REFUSED, code=401)
            good(s)
            h = d.ask("health")
            k.check(h["up"] == 0 and "401" in h["text"], "health says why: %s", h)
            d.drain()
    finally:
        shutil.rmtree(where)


@case
def register_401():
    challenge = 'WWW-Authenticate: Digest realm="trunk", nonce="47364c23432d2e131a5fb210812c", algorithm=MD5\n'
    where = credentials("alice pw")
    try:
        with Bench() as b:
            s = b.sipp(x.recv("REGISTER") + x.reply(401, "Unauthorized", challenge) + x.recv("REGISTER", x.ereg('username="alice"', "Authorization:"))
                       + x.reply(200, "OK", "Expires: 300\n"), variables=("seen",))
            d = b.driver("trunks=127.0.0.1:%d;user=alice;register=yes" % s.port, "passwords=trunks", credentials=where)
            wait(lambda: d.ask("health")["up"] == 1, 10, "a registered trunk is up")
            good(s)
            d.drain()
    finally:
        shutil.rmtree(where)


@case
def not_registered_is_down():
    where = credentials("alice pw")
    try:
        with Bench() as b:
            s = b.sipp(x.recv("REGISTER") + x.reply(403, "Forbidden"), variables=())
            d = b.driver("trunks=127.0.0.1:%d;user=alice;register=yes" % s.port, "passwords=trunks", credentials=where)
            good(s)
            wait(lambda: "403" in d.ask("health")["text"], 5, "health says 403")
            k.check(d.ask("health")["up"] == 0, "not registered is not up")
            d.drain()
    finally:
        shutil.rmtree(where)


@case
def calls_and_rate_stay_within_limits():
    """6 calls, two at a time, five a second: sipp counts what it sees at once."""
    with Bench() as b:
        s = b.sipp(x.answered(), x.their_bye(), calls=6, extra=("-trace_stat", "-fd", "1", "-stf", "stat.csv"))
        d = b.driver("trunks=127.0.0.1:%d;calls=2;cps=5" % s.port, "urgent_percent=0")
        began = time.monotonic()
        most, sent = 0, 0
        for _ in range(6000):
            h = d.ask("health")
            most = max(most, h["used"])
            while sent < 6 and h["credit"] > 0:
                sent += 1
                d.call({"prompt": [{"pause_ms": 600}], "hangup": True}, token=sent)
                h["credit"] -= 1
            if sum(e["event"] == "result" for e in d.seen) == 6:
                break
            time.sleep(0.01)
        for token in range(1, 7):
            result(d, token=token, result=k.DELIVERED)
        good(s)
        k.check(most <= 2, "%d calls at once", most)
        k.check(time.monotonic() - began > 1.8, "three pairs of 0.6 s each")
        d.drain()


@case
def calls_per_second():
    """20 calls at 10 a second take about two seconds to dial, however many are handed over at once."""
    with Bench() as b:
        s = b.sipp(x.refused(486, "Busy", ring=False), calls=20, variables=())
        d = b.driver("trunks=127.0.0.1:%d;cps=10" % s.port, "urgent_percent=0")
        began = time.monotonic()
        for token in range(1, 21):
            d.call(HELLO, token=token)
        for token in range(1, 21):
            result(d, token=token, result=k.RETRY, sub=k.BUSY)
        took = time.monotonic() - began
        good(s)
        k.check(1.7 < took < 8, "20 calls at 10 a second took %.1f s", took)
        d.drain()


@case
def urgent_is_dialled_first():
    with Bench() as b:
        s = b.sipp(x.refused(486, "Busy", ring=False), calls=5, variables=())
        d = b.driver("trunks=127.0.0.1:%d;cps=1" % s.port)
        flow = {"prompt": [{"pause_ms": 100}], "hangup": True}
        d.say("\n".join([d.call_line(flow, token=token) for token in range(1, 5)] + [d.call_line(flow, token=9, lane=1)]))
        for token in (1, 2, 3, 4, 9):
            result(d, token=token)
        order = [e["token"] for e in d.seen if e["event"] == "result"]
        k.check(order.index(9) <= 1, "the urgent one came as number %d: %s", order.index(9) + 1, order)
        good(s)
        d.drain()


@case
def caller_and_prefix_are_written_as_told():
    with Bench() as b:
        s = b.sipp(x.recv("INVITE", x.ereg("sip:004915112345678@", "INVITE"), x.ereg("sip:[+]495550000001@", "From:"), x.ereg("&lt;sip:[+]495550000001@[^&gt;]*&gt;", "P-Asserted-Identity:"))
                   + x.reply(486, "Busy Here") + x.recv("ACK"), variables=("seen",))
        d = b.driver("trunks=127.0.0.1:%d;prefix=00" % s.port, "p_asserted_identity=true")
        d.call(HELLO)
        result(d, sub=k.BUSY)
        good(s)
        d.drain()


@case
def redirect_302_goes_to_the_first_contact():
    with Bench() as b:
        there = b.sipp(x.refused(486, "Busy Here", ring=False), variables=())
        s = b.sipp(x.recv("INVITE") + x.send(x.with_body("SIP/2.0 302 Moved\n" + (x.DIALOG % x.TAG).replace("Contact: <sip:[local_ip]:[local_port]>", "Contact: <sip:there@127.0.0.1:%d>" % there.port)))
                   + x.recv("ACK"), variables=())
        d = b.driver("trunks=127.0.0.1:%d" % s.port)
        d.call(HELLO)
        result(d, sub=k.BUSY, code=486)
        good(s)
        good(there)
        d.drain()


# ---- what people press ----


def pressed(press, flow=MENU, options=(), formats="0 101", steps=None):
    """One call answered by a Phone that does `press`; returns (driver, result, phone)."""
    with Bench() as b:
        phone = b.phone()
        s = b.sipp(x.answered(phone.port, formats), *(steps or [x.their_bye()]))
        d = b.driver("trunks=127.0.0.1:%d" % s.port, *options)
        d.call(flow)
        phone.hears()
        press(phone)
        r = result(d, result=k.DELIVERED, sub=k.ANSWERED)
        good(s)
        d.drain()
        return d, r, phone


def inbound(d):
    return [(e["kind"], e["text"]) for e in d.seen if e["event"] == "inbound"]


@case
def dtmf_rfc4733():
    """Ten packets of one key are one key; the prompt stops at once (barge-in)."""
    flow = {**MENU, "nodes": {**MENU["nodes"], "ask": {**MENU["nodes"]["ask"], "say": MENU["nodes"]["ask"]["say"] * 3}}}
    d, r, phone = pressed(lambda p: p.press("1"), flow)
    k.check(inbound(d) == [(k.KEYS, "1")], "what came in: %s", inbound(d))
    e = d.expect("inbound", kind=k.KEYS)
    k.check(e["from"] == k.PERSON and e["to"] == k.OURS and e["reference"] == 1 and e["name"] == "ask", "who pressed what: %s", e)
    k.check(word(r, "digits") == "1" and word(r, "end") == "completed", "the record: %s", r["raw"])
    k.check(int(word(r, "talk_ms")) < 12000, "the prompt of about 18 s was cut short: %s", r["raw"])
    k.check(sum(bool(p[1] & 0x80) for p in phone.packets) > 0, "sound came")


@case
def dtmf_other_payload_type_and_pcma():
    d, _, phone = pressed(lambda p: p.press("2", pt=96), formats="8 96")
    k.check(inbound(d) == [(k.KEYS, "2")], "what came in: %s", inbound(d))
    k.check({p[2] for p in phone.packets} == {8}, "A-law was agreed on: payload types %s", {p[2] for p in phone.packets})


@case
def dtmf_info():
    """SIP INFO in both custom forms; a key that comes both ways counts once."""
    with Bench() as b:
        phone = b.phone()
        info = x.request("INFO", 1, body="Signal=5\nDuration=160\n", mime="application/dtmf-relay") + x.recv("200") + x.request(
            "INFO", 2, body="6", mime="application/dtmf") + x.recv("200")
        s = b.sipp(x.answered(phone.port), x.pause(500), info, x.pause(500), x.their_bye())
        d = b.driver("trunks=127.0.0.1:%d" % s.port)
        d.call({"say": "Two digits, please.", "collect": 2})
        phone.hears()
        result(d, result=k.DELIVERED)
        k.check(inbound(d) == [(k.KEYS, "56")], "what came in: %s", inbound(d))
        phone.end()
        d.drain()


@case
def keys_both_ways_count_once():
    with Bench() as b:
        phone = b.phone()
        s = b.sipp(x.answered(phone.port), x.pause(1500), x.request("INFO", 1, body="Signal=7", mime="application/dtmf-relay") + x.recv("200"), x.their_bye())
        d = b.driver("trunks=127.0.0.1:%d" % s.port)
        d.call({"say": "Digits, please.", "collect": {"max": 4, "min": 1, "end": "#"}, "wait_s": 6})  # the INFO comes by then
        phone.hears()
        phone.press("7")
        result(d, result=k.DELIVERED)
        k.check(inbound(d) == [(k.KEYS, "7")], "what came in: %s", inbound(d))
        good(s)
        d.drain()


@case
def opt_out_key():
    """At once, long before the call is over; then the last words, then we hang up."""
    d, r, _ = pressed(lambda p: p.press("9"))
    k.check(inbound(d) == [(k.OPTOUT, "opt-out key")], "what came in: %s", inbound(d))
    kinds = [e["event"] for e in d.seen]
    k.check(kinds.index("inbound") < kinds.index("result"), "the opt-out comes first: %s", kinds)
    k.check(word(r, "end") == "optout", "the record: %s", r["raw"])


@case
def opt_out_survives_a_full_gateway():
    with Bench() as b:
        phone = b.phone()
        s = b.sipp(x.answered(phone.port), x.their_bye())
        d = b.driver("trunks=127.0.0.1:%d" % s.port)
        d.say("refuse 5")
        d.call(MENU)
        phone.hears()
        phone.press("9")
        d.expect("inbound", kind=k.OPTOUT)
        result(d, result=k.DELIVERED)
        good(s)
        d.drain()


@case
def wrong_key_then_nothing():
    """Wrong key: asked again. Nothing pressed: the tries are used up, and `otherwise` says good bye."""
    flow = {"start": "ask", "nodes": {"ask": {"say": "One?", "menu": {"1": "end"}, "invalid": "No.", "wait_s": 1, "tries": 2, "otherwise": "end"}, "end": {"say": "End."}}}
    d, r, _ = pressed(lambda p: p.press("5"), flow)
    k.check(inbound(d) == [] and word(r, "digits") == "5" and word(r, "end") == "completed", "the record: %s %s", inbound(d), r["raw"])
    k.check(int(word(r, "talk_ms")) > 1000, "it waited for the second try: %s", r["raw"])


@case
def keys_ahead_of_the_question():
    """Pressed while something is said that does not ask: kept for the next question."""
    flow = {"start": "hello", "nodes": {"hello": {"say": "Good day to you.", "next": "ask"}, "ask": {"say": "Your number of three digits?", "collect": 3}}}
    d, r, _ = pressed(lambda p: p.press("407"), flow)
    k.check(inbound(d) == [(k.KEYS, "407")] and word(r, "digits") == "407", "what came in: %s", inbound(d))


@case
def collect_ends_with_the_end_key_and_takes_the_opt_out_digit_as_digit():
    flow = {"start": "ask", "optout": "9", "nodes": {"ask": {"say": "Digits?", "collect": {"min": 2, "max": 8, "end": "#"}}}}
    d, _, _ = pressed(lambda p: p.press("099#"), flow)
    k.check(inbound(d) == [(k.KEYS, "099")], "what came in: %s", inbound(d))


@case
def flow_that_runs_in_circles_ends():
    with Bench() as b:
        s = b.sipp(x.answered(), x.their_bye())
        d = b.driver("trunks=127.0.0.1:%d" % s.port)
        d.call({"start": "a", "nodes": {"a": {"next": "b"}, "b": {"next": "a"}}})
        r = result(d, result=k.DELIVERED)
        k.check(word(r, "end") == "circle", "the record: %s", r["raw"])
        good(s)
        d.drain()


# ---- transfer, re-INVITE, media ----


def notify(cseq, line, state):
    return x.request("NOTIFY", cseq, "Event: refer\nSubscription-State: %s\n" % state, line + "\n", "message/sipfrag;version=2.0") + x.again("REFER") + x.recv("200")


TRANSFER = {"start": "ask", "nodes": {"ask": {"say": "Press two for an agent, please.", "menu": {"2": "agent"}}, "agent": {"transfer": "+495550000099", "otherwise": "sorry"},
                                      "sorry": {"say": "Sorry."}}}


def accepted_refer():
    return x.recv("REFER", x.ereg("sip:[+]495550000099@", "Refer-To:")) + x.reply(202, "Accepted", tag=False) + notify(1, "SIP/2.0 100 Trying", "active;expires=60")


def transfer(steps):
    with Bench() as b:
        phone = b.phone()
        s = b.sipp(x.answered(phone.port), accepted_refer(), *steps, variables=("from", "to", "seen"))
        d = b.driver("trunks=127.0.0.1:%d" % s.port)
        d.call(TRANSFER)
        phone.hears()
        phone.press("2")
        r = result(d, result=k.DELIVERED, sub=k.ANSWERED)
        good(s)
        d.drain()
        return d, r


@case
def transfer_by_refer():
    d, r = transfer([notify(2, "SIP/2.0 200 OK", "terminated;reason=noresource"), x.their_bye()])
    e = d.expect("inbound", kind=k.TASK)
    k.check(e["sub"] == k.ANSWERED and e["text"] == "200" and e["name"] == "agent", "the transfer's end: %s", e)
    k.check(word(r, "end") == "transferred", "the record: %s", r["raw"])


@case
def transfer_to_a_busy_agent():
    d, r = transfer([notify(2, "SIP/2.0 486 Busy Here", "terminated;reason=noresource"), x.their_bye()])
    e = d.expect("inbound", kind=k.TASK)
    k.check(e["sub"] == k.BUSY and e["text"] == "486", "the transfer's end: %s", e)
    k.check(word(r, "end") == "completed", "the flow went on: %s", r["raw"])


@case
def transfer_refused():
    with Bench() as b:
        phone = b.phone()
        s = b.sipp(x.answered(phone.port), x.recv("REFER") + x.reply(603, "Declined", tag=False), x.their_bye())
        d = b.driver("trunks=127.0.0.1:%d" % s.port)
        d.call(TRANSFER)
        phone.hears()
        phone.press("2")
        result(d, result=k.DELIVERED)
        k.check(d.expect("inbound", kind=k.TASK)["sub"] == k.REJECTED, "the transfer's end: %s", d.seen)
        good(s)
        d.drain()


@case
def reinvite_with_session_expires():
    """A refresh by the peer is answered, and the sound goes where the new description says."""
    with Bench() as b:
        one, two = b.phone(), b.phone()
        again = x.request("INVITE", 1, "Session-Expires: 1800;refresher=uac\nSupported: timer\n", x.sdp(two.port, version=2), "application/sdp") + x.recv("100", optional=True) \
            + x.recv("200") + x.send(x.with_body(x.REQUEST % {"method": "ACK", "cseq": 1}))
        s = b.sipp(x.answered(one.port), x.pause(1500), again, x.pause(300), x.their_bye())
        d = b.driver("trunks=127.0.0.1:%d" % s.port)
        d.call({"prompt": [{"pause_ms": 5000}, {"say": "The end."}], "hangup": True})  # theirs comes first, also when sipp has to pause
        result(d, result=k.DELIVERED, sub=k.ANSWERED)
        good(s)
        k.check(len(one.packets) > 5 and len(two.packets) > 20, "sound moved: %d, %d packets", len(one.packets), len(two.packets))
        d.drain()


@case
def sound_from_a_media_file():
    """A WAV of 16 bits and 16 kHz with a tone of 1,000 Hz is heard as that tone."""
    with Bench() as b:
        phone = b.phone()
        where = tempfile.mkdtemp(prefix="campgw-wav-")
        path = os.path.join(where, "tone.wav")
        write_tone(path, 1000, 1.0)
        s = b.sipp(x.answered(phone.port), x.their_bye())
        d = b.driver("trunks=127.0.0.1:%d" % s.port)
        d.say("media tone.wav %s" % path)
        d.call({"play": "tone.wav"})
        result(d, result=k.DELIVERED, quantity=k_any(*range(1, 7)))
        good(s)
        wait(lambda: len(phone.packets) >= 45, 5, "a tone of a second has 50 packets")
        pcm = b"".join(p[6] for p in phone.packets[5:45])
        crossings = sum((a ^ c) & 0x80 != 0 for a, c in zip(pcm, pcm[1:]))
        hertz = crossings / 2 / (len(pcm) / 8000)
        k.check(980 < hertz < 1020, "the tone has %.0f Hz", hertz)
        d.drain()
        shutil.rmtree(where)


def write_tone(path, hertz, seconds, rate=16000):
    import math
    import wave
    with wave.open(path, "wb") as w:
        w.setnchannels(1)
        w.setsampwidth(2)
        w.setframerate(rate)
        w.writeframes(b"".join(int(20000 * math.sin(2 * math.pi * hertz * i / rate)).to_bytes(2, "little", signed=True) for i in range(int(rate * seconds))))


@case
def bad_sound_is_refused_and_no_speech_waits():
    with Bench() as b:
        s = b.sipp(x.recv("INVITE"), variables=())
        d = b.driver("trunks=127.0.0.1:%d" % s.port, "tts_command=/nonexistent/espeak")
        d.say("media noise.wav /etc/passwd")
        d.call({"play": "noise.wav"}, token=1)
        r = result(d, token=1, result=k.REFUSED)
        k.check("RIFF" in r["raw"], "why: %s", r["raw"])
        d.call(HELLO, token=2)
        r = result(d, token=2, result=k.NOT_SENT)
        k.check("cannot be run" in r["raw"], "why: %s", r["raw"])
        d.drain()
        k.check("INVITE" not in s.messages(), "nobody was called")


@case
def speech_that_hangs_is_killed():
    with Bench() as b:
        where = tempfile.mkdtemp(prefix="campgw-tts-")
        slow = os.path.join(where, "slow")
        with open(slow, "w", encoding="ascii", opener=lambda p, f: os.open(p, f, 0o755)) as f:
            f.write("#!/bin/sh\nexec sleep 60\n")
        d = b.driver("trunks=127.0.0.1:9", "tts_command=%s" % slow, "tts_timeout_ms=500")
        began = time.monotonic()
        d.call(HELLO)
        r = result(d, result=k.NOT_SENT)
        k.check("took too long" in r["raw"] and time.monotonic() - began < 20, "why: %s", r["raw"])
        d.drain()
        shutil.rmtree(where)


@case
def in_a_process_of_its_own_speech_is_made_and_a_hang_ends():
    """It may run commands (isolation_exec) but signal nobody: the command ends by its own timer, and nothing is left of it."""
    with Bench() as b:
        s = b.sipp(x.refused(486, "Busy", ring=False), variables=())
        d = b.driver("trunks=127.0.0.1:%d" % s.port, isolated="")
        d.call(HELLO)
        result(d, sub=k.BUSY)  # the prompt was there before it rang
        d.drain()
        with tempfile.NamedTemporaryFile("w", prefix="cgw-", suffix=".sh", encoding="ascii") as script:
            script.write("while :; do :; done\n")
            script.flush()
            d = b.driver("trunks=127.0.0.1:9", "tts_command=/bin/sh", "tts_timeout_ms=500", "voice=" + script.name, isolated=script.name)
            d.call(HELLO)
            r = result(d, result=k.NOT_SENT)
            k.check("took too long" in r["raw"], "why: %s", r["raw"])
            wait(lambda: not running(script.name), 5, "the command still runs")
            d.drain()


def running(word):
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open("/proc/%s/cmdline" % pid, "rb") as f:
            argv = f.read().split(b"\0")
            found += [pid] * (argv[0] == b"/bin/sh" and word.encode() in argv)
    return found


@case
def a_text_is_spoken_once():
    """Two calls, one text: the command runs once."""
    with Bench() as b:
        where = tempfile.mkdtemp(prefix="campgw-tts-")
        tts = os.path.join(where, "tts")
        with open(tts, "w", encoding="ascii", opener=lambda p, f: os.open(p, f, 0o755)) as f:
            f.write("#!/bin/sh\necho x >>%s/runs\nexec espeak-ng \"$@\"\n" % where)
        s = b.sipp(x.refused(486, "Busy", ring=False), calls=3, variables=())
        d = b.driver("trunks=127.0.0.1:%d" % s.port, "tts_command=%s" % tts)
        for token in (1, 2):
            d.call(HELLO, token=token)
        for token in (1, 2):
            result(d, token=token, sub=k.BUSY)
        d.call({"say": "Something else."}, token=3)
        result(d, token=3, sub=k.BUSY)
        with open(os.path.join(where, "runs"), encoding="ascii") as f:
            runs = len(f.readlines())
        k.check(runs == 2, "two texts, %d runs", runs)
        d.drain()
        shutil.rmtree(where)


@case
def unfit_flow_names_the_place():
    with Bench() as b:
        d = b.driver("trunks=127.0.0.1:9")
        d.call({"start": "a", "nodes": {"a": {"say": "x", "menu": {"1": "gone"}}}})
        e = d.expect("unfit")
        k.check("/nodes/a/menu/1" in e["text"] and "gone" in e["text"], "what check() says: %s", e["text"])
        d.drain()


@case
def recall():
    """The second waits for the only line, which the first one holds."""
    with Bench() as b:
        s = b.sipp(x.answered(), x.their_bye())
        d = b.driver("trunks=127.0.0.1:%d;calls=1" % s.port)
        for token in (1, 2):
            d.call({"prompt": [{"pause_ms": 5000}], "hangup": True}, token=token)
        d.say("cancel 2")
        r = result(d, token=2)
        k.check(r["result"] == k.NOT_SENT and r["raw"] == "recalled", "the second was waiting: %s", r)
        result(d, token=1, result=k.DELIVERED)
        good(s)
        d.drain()


@case
@in_time
def drain_settles_everything():
    """Talking: BYE and the seconds. Ringing: CANCEL, UNKNOWN. Waiting: NOT_SENT. All by the deadline. Whether the ACK of a 487 is still
    written depends on when it comes."""
    with Bench() as b:
        rings = b.sipp(x.recv("INVITE") + x.reply(180, "Ringing") + x.recv("CANCEL", timeout=CANCEL_MS) + cancelled(acked=False), variables=())
        talks = b.sipp(x.answered(), x.their_bye())
        d = b.driver("trunks=127.0.0.1:%d;priority=1;calls=1,127.0.0.1:%d;priority=2;calls=1;cps=1" % (rings.port, talks.port))
        flow = {"start": "a", "nodes": {"a": {"prompt": [{"pause_ms": 9000}], "next": "a"}}}
        for token in (1, 2):
            d.call(flow, token=token)
        wait(lambda: "\nACK sip:" in talks.messages() and "180 Ringing" in rings.messages(), 8, "both are on their way")
        d.drain(1500)
        r = {e["token"]: e["result"] for e in d.seen if e["event"] == "result"}
        k.check(r == {1: k.UNKNOWN, 2: k.DELIVERED}, "results: %s", r)
        good(talks)
        good(rings)


@case
@in_time
def drain_with_little_time_settles_who_rings():
    """Less than the margins that a drain would like: who rings is given up by the channel, not by the gateway."""
    with Bench() as b:
        rings = b.sipp(x.recv("INVITE") + x.reply(180, "Ringing") + x.recv("CANCEL", timeout=CANCEL_MS) + cancelled(acked=False), variables=())
        d = b.driver("trunks=127.0.0.1:%d" % rings.port)
        d.call({"start": "a", "nodes": {"a": {"prompt": [{"pause_ms": 9000}], "next": "a"}}})
        wait(lambda: "180 Ringing" in rings.messages(), 8, "it rings")
        d.drain(120)
        k.check([e["result"] for e in d.seen if e["event"] == "result"] == [k.UNKNOWN], "results: %s", d.seen)
        good(rings)


# ---- many ----


@case
def concurrent_calls_300():
    """300 calls on one loop thread, all talking at once, each hearing its sound and each settled. One core carries 60 under ThreadSanitizer."""
    many(60 if k.races_are_watched() else 300, talk_ms=12000)


def many(n, talk_ms=6000, cps=100):
    with Bench() as b:
        s = b.sipp(x.answered(ring_ms=10), x.their_bye(), calls=n, extra=("-rtp_echo", "-l", str(2 * n)), timeout=60)
        d = b.driver("trunks=127.0.0.1:%d;calls=%d;cps=%d" % (s.port, n, cps), "urgent_percent=0", "rtp_timeout_s=0")
        flow = {"prompt": [{"pause_ms": talk_ms // 2}] * 2, "hangup": True}  # one pause is 10 s at most
        for token in range(1, n + 1):
            d.call(flow, token=token, before_ms=30000)
        most = 0
        end = time.monotonic() + 45
        while time.monotonic() < end and sum(e["event"] == "result" for e in d.seen) < n:
            most = max(most, d.ask("health")["used"])
            time.sleep(0.2)
        for token in range(1, n + 1):
            result(d, token=token, result=k.DELIVERED, sub=k.ANSWERED)
        good(s)
        c = d.ask("counters")
        k.check(c["ivr_calls_answered"] == n, "answered: %s", c)
        k.check(most == n, "%d of %d at once", most, n)
        d.drain()


class Network:
    """tests/sim/ivrsim.py: many people, each counted."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="campgw-ivrsim-")
        here = os.path.dirname(os.path.abspath(__file__))
        self.child = subprocess.Popen([sys.executable, "-B", os.path.join(here, "../sim/ivrsim.py"), "--control", self.dir + "/ctl", "--port-file", self.dir + "/port"],
                                      stdout=subprocess.DEVNULL)
        wait(lambda: os.path.exists(self.dir + "/port"), 10, "ivrsim starts")
        with open(self.dir + "/port", encoding="ascii") as f:
            self.port = int(f.read())

    def ask(self, line):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as c:
            c.settimeout(10)
            c.connect(self.dir + "/ctl")
            c.sendall(line.encode() + b"\n")
            return json.loads(c.makefile().readline())

    def end(self):
        self.child.terminate()
        self.child.wait(10)
        shutil.rmtree(self.dir, ignore_errors=True)


@case
def a_network_of_people_counts_the_same():
    """40 people of ten kinds: what the network counted for each number equals what we told for it."""
    with Bench() as b:
        net = b.add(Network())
        d = b.driver("trunks=127.0.0.1:%d;calls=50;cps=40" % net.port, "urgent_percent=0")
        for i in range(40):
            d.call(MENU, token=i + 1, to="+49151000000%02d" % i, before_ms=30000)
        kinds = {"7": (k.RETRY, k.BUSY), "8": (k.RETRY, k.NO_ANSWER)}
        presses = {"6": (k.KEYS, "2"), "9": (k.OPTOUT, "opt-out key")}
        for i in range(40):
            last = str(i % 10)
            want = kinds.get(last, (k.DELIVERED, k.ANSWERED))
            r = result(d, token=i + 1, result=want[0], sub=want[1])
            row = net.ask("number +49151000000%02d" % i) if want[0] == k.RETRY else None
            k.check(row is None or row["calls"] == 1, "called once: %s", row)
            if want[0] == k.DELIVERED:
                e = d.expect("inbound", reference=i + 1)
                k.check((e["kind"], e["text"]) == presses.get(last, (k.KEYS, "1")), "%s pressed %s", i, e)
                k.check(e["from"] == "+49151000000%02d" % i and r["quantity"] >= 1, "%s %s", e, r)
        wait(lambda: net.ask("stats")["active"] == 0, 10, "every call has ended")  # a result may be told before the network has read the BYE
        stats = net.ask("stats")
        k.check(stats["calls"] == 40 and stats["answered"] == 32 and stats["busy"] == 4 and stats["noanswer"] == 4, "the network's counts: %s", stats)
        k.check(stats["keys"] == 32 and stats["our_bye"] == 32 and not stats["complaints"] and not stats["malformed"], "the network's counts: %s", stats)
        k.check(stats["rtp_packets"] > 32 * 40 and stats["rtp_gaps"] <= stats["rtp_dropped"], "sound: %s", stats)
        d.drain()


def late_of(d, n, flow):
    """How many of n calls, each with a second to be dialled in, go back because they were asked for too early; handed over as fast as they are asked for."""
    sent, end = 0, time.monotonic() + 60
    while sent < n and time.monotonic() < end:
        for _ in range(min(d.ask("health")["credit"], n - sent)):
            sent += 1
            d.call(flow(sent), token=sent, to="+491510%06d7" % sent, before_ms=1000)
        time.sleep(0.005)
    k.check(sent == n, "%d of %d were asked for", sent, n)
    late = sum(d.expect("result", token=token)["result"] == k.NOT_SENT for token in range(1, n + 1))
    d.drain()
    return late


@case
@in_time
def what_waits_to_be_dialled_is_dialled_in_time():
    """20 calls a second."""
    with Bench() as b:
        net = b.add(Network())
        d = b.driver("trunks=127.0.0.1:%d;calls=200;cps=20" % net.port, "urgent_percent=0")
        d.call(HELLO, token=99, to="+4915100000007")
        result(d, token=99)  # the words are spoken once
        late = late_of(d, 60, lambda _: HELLO)
        if late >= 15:
            raise k.Late("%d of 60" % late)


@case
@in_time
def what_waits_for_a_voice_is_spoken_in_time():
    """Two voices that take 0.4 s for each call's own words: five calls a second, whatever the trunk takes."""
    with Bench() as b, tempfile.TemporaryDirectory(prefix="campgw-tts-") as where:
        tts = os.path.join(where, "tts")
        with open(tts, "w", encoding="ascii", opener=lambda p, f: os.open(p, f, 0o755)) as f:
            f.write("#!/bin/sh\nsleep 0.4\nexec espeak-ng \"$@\"\n")
        net = b.add(Network())
        d = b.driver("trunks=127.0.0.1:%d;calls=200;cps=50" % net.port, "urgent_percent=0", "tts_command=%s" % tts)
        late = late_of(d, 60, lambda at: {"say": "Hello, number %d." % at})
        if late >= 40:
            raise k.Late("%d of 60" % late)


@case
def who_has_nothing_in_hand_asks_for_something():
    """A route that asks for nothing and has nothing counts as down; voices that are behind with words of calls that went back are no such route."""
    with Bench() as b, tempfile.TemporaryDirectory(prefix="campgw-tts-") as where:
        tts = os.path.join(where, "tts")
        with open(tts, "w", encoding="ascii", opener=lambda p, f: os.open(p, f, 0o755)) as f:
            f.write("#!/bin/sh\nexec sleep 20\n")
        net = b.add(Network())
        d = b.driver("trunks=127.0.0.1:%d;calls=200;cps=50" % net.port, "urgent_percent=0", "tts_command=%s" % tts)
        for token in range(1, 9):
            d.call({"say": "Hello, number %d." % token}, token=token, before_ms=500)
        for token in range(1, 9):
            result(d, token=token, result=k.NOT_SENT)
        wait(lambda: d.ask("health")["credit"] == 1, 10, "one call is asked for")
        d.drain()


def run_one(item):
    name, fn = item
    began = time.monotonic()
    try:
        fn()
        return name, None, time.monotonic() - began
    except k.Failure as e:
        return name, str(e), time.monotonic() - began
    except Exception:  # pylint: disable=broad-except # a broken test is a failed one
        return name, traceback.format_exc(), time.monotonic() - began


def main():
    wanted = [c for c in CASES if len(sys.argv) < 2 or c[0] in sys.argv[1:]]
    if not shutil.which("sipp"):
        print("1..0 # SKIP sipp is not installed (sip-tester)")
        return 0
    failed = 0
    print("1..%d" % len(wanted), flush=True)
    with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
        wanted.sort(key=lambda c: c[1] is not concurrent_calls_300)  # the longest begins first: as the last one it would run alone
        for n, (name, why, took) in enumerate(pool.map(run_one, wanted), 1):
            print("%s %d - voice: %s (%.1fs)" % ("not ok" if why else "ok", n, name, took), flush=True)
            if why:
                failed += 1
                print("\n".join("# " + line for line in why.splitlines()), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
