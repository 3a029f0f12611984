# SPDX-License-Identifier: Apache-2.0
"""bench_ivr.py - the row `ivr` of scripts/bench: calls held at once with sound both ways, and call attempts, against sipp -rtp_echo.

The channel runs in tests/voice/voice_driver: the gateway's plugin host without database and policy, so the figures are the channel's. CPU is
the whole process, the driver's JSON with it. Calls per core is what one core would hold at the CPU that one call costs.
"""
import math
import os
import sys
import tempfile
import time
import wave

import benchkit as kit
import stack

sys.path.insert(0, os.path.join(stack.ROOT, "tests/voice"))
import sippxml as x  # noqa: E402 pylint: disable=wrong-import-position
import voicekit as voice  # noqa: E402 pylint: disable=wrong-import-position

METER_S = 10
CPS = 100
ATTEMPTS = 3000


def tone(path):
    with wave.open(path, "wb") as w:
        w.setnchannels(1)
        w.setsampwidth(2)
        w.setframerate(8000)
        w.writeframes(b"".join(int(12000 * math.sin(2 * math.pi * 440 * i / 8000)).to_bytes(2, "little", signed=True) for i in range(16000)))


def results(d):
    return sum(e["event"] == "result" for e in d.seen)


def wait(d, done, seconds, what):
    end = time.monotonic() + seconds
    while not done(d.ask("health")):
        if time.monotonic() > end:
            raise stack.StackError("ivr: %s not within %d s" % (what, seconds), None)
        time.sleep(0.2)


def held(opts, n):
    """n calls talk at once; what METER_S of that cost."""
    port_file = tempfile.mkdtemp(prefix="campgw-bench-ivr-")
    path = os.path.join(port_file, "tone.wav")
    tone(path)
    talk_s = n // CPS + METER_S + 10
    far = voice.Sipp(x.scenario("answers", x.answered(ring_ms=10), x.their_bye()), calls=n, extra=("-rtp_echo", "-l", str(2 * n)), timeout=talk_s + 60)
    d = voice.Driver("trunks=127.0.0.1:%d;calls=%d;cps=%d" % (far.port, n, CPS), "urgent_percent=0")
    try:
        d.say("media tone.wav %s" % path)
        flow = {"max_s": talk_s, "start": "a", "nodes": {"a": {"play": "tone.wav", "next": "a"}}}
        for token in range(1, n + 1):
            d.call(flow, token=token, before_ms=60000, window_ms=600000)
        wait(d, lambda h: d.ask("counters")["ivr_calls_answered"] == n, n / CPS + 20, "%d answers" % n)
        time.sleep(1)
        used, began = kit.cpu_us(d.child.pid), time.monotonic()
        time.sleep(METER_S)
        used, took = kit.cpu_us(d.child.pid) - used, time.monotonic() - began
        talking = d.ask("health")["used"]
        wait(d, lambda h: results(d) == n, talk_s + 30, "%d results" % n)
        good = sum(e["event"] == "result" and e["result"] == voice.DELIVERED for e in d.seen)
        per_call = used / took / 1e4 / max(talking, 1)
        return {"calls_held": talking, "calls_delivered": good, "sipp_status": far.status(30), "cpu_percent_of_a_core": round(used / took / 1e4, 1),
                "cpu_percent_per_call": round(per_call, 4), "calls_per_core": round(100 / per_call)}
    finally:
        d.end()
        far.end()


def attempts(n):
    """n calls that are busy: INVITE, 486, ACK, as fast as two trunks of 500 a second let them."""
    far = voice.Sipp(x.scenario("busy", x.refused(486, "Busy Here", ring=False), variables=()), calls=n, extra=("-l", str(n)), timeout=120)
    trunk = "127.0.0.1:%d;calls=500;cps=500" % far.port
    d = voice.Driver("trunks=%s,%s" % (trunk, trunk), "urgent_percent=0")
    try:
        sent, used, began = 0, kit.cpu_us(d.child.pid), time.monotonic()
        while results(d) < n and time.monotonic() - began < 100:
            room = min(d.ask("health")["credit"], n - sent)
            for _ in range(room):
                sent += 1
                d.call({"prompt": [{"pause_ms": 100}], "hangup": True}, token=sent, before_ms=60000)
            time.sleep(0.01)
        took = time.monotonic() - began
        used = kit.cpu_us(d.child.pid) - used
        busy = sum(e["event"] == "result" and e["sub"] == voice.BUSY for e in d.seen)
        return {"attempts_per_s": round(busy / took), "attempts_lost": n - busy, "cpu_us_per_attempt": round(used / max(busy, 1))}
    finally:
        d.end()
        far.end()


def ivr(opts):
    voice.BUILD = opts.build
    try:
        return {**held(opts, opts.contacts), **attempts(ATTEMPTS)}
    except voice.Failure as e:
        raise stack.StackError("ivr: %s" % e, None) from e
