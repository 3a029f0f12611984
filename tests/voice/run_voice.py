#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""run_voice.py [CASE...] - channel_ivr against sipp: every outcome, every way to press a key, failover, transfer, many calls. TAP."""
import concurrent.futures
import json
import os
import re
import shutil
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
    k.check(status == 0, "sipp ends with %s:\n%s\n%s", status, sipp.read("errors"), sipp.messages()[-3000:])


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
        k.check(word(r, "end") == "completed" and int(word(r, "ring_ms")) >= 300, "words of the result: %s", r["raw"])
        talk = int(word(r, "talk_ms"))
        k.check(r["quantity"] == -(-talk // 1000) and talk > 1500, "seconds: %s", r)
        k.check(r["id"] and r["id"] in s.messages(), "the provider id is the Call-ID: %s", r["id"])
        rtp_is_right(phone.packets, talk)
        d.drain()


def rtp_is_right(packets, talk_ms):
    k.check(len(packets) >= talk_ms // 20 * 0.8, "%d packets in %d ms", len(packets), talk_ms)
    k.check(all(p[2] == 0 and len(p[6]) == 160 and p[1] == 0x80 for p in packets), "PCMU of 20 ms: payload types %s", {p[2] for p in packets})
    steps = [((b[3] - a[3]) & 0xffff, (b[4] - a[4]) & 0xffffffff) for a, b in zip(packets, packets[1:])]
    k.check(set(steps) == {(1, 160)}, "sequence and timestamp go by (1, 160): %s", set(steps))
    k.check(len({p[5] for p in packets}) == 1, "one source")



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
        for n, (name, why, took) in enumerate(pool.map(run_one, wanted), 1):
            print("%s %d - %s (%.1fs)" % ("not ok" if why else "ok", n, name, took), flush=True)
            if why:
                failed += 1
                print("\n".join("# " + line for line in why.splitlines()), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
