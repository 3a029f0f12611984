# SPDX-License-Identifier: Apache-2.0
"""voicekit.py - the pieces of the voice tests: the plugin in its driver, sipp as the far end, and an ear and fingers for its sound.

Everything listens on loopback, on ports nobody else uses; everything started here is ended by its process id.
"""
import json
import os
import queue
import random
import select
import socket
import struct
import subprocess
import tempfile
import threading
import time

BUILD = os.environ.get("CGW_BUILDDIR", ".")
DELIVERED, FAILED, REFUSED, RETRY, NOT_SENT, UNKNOWN = 5, 6, 4, 3, 2, 8  # cgw/channel.h
ANSWERED, BUSY, NO_ANSWER, REJECTED, BAD_NUMBER, ROUTE_DOWN = 1, 2, 3, 4, 5, 6
KEYS, OPTOUT, TASK = 2, 3, 7
THROTTLED = 1
PERSON, OURS = "+4915112345678", "+495550000001"


class Failure(Exception):
    pass


class Late(Failure):
    """The driver was not done by a deadline: the plugin's fault, or that of a machine that did not run it."""


def check(good, text, *args):
    if not good:
        raise Failure(text % args if args else text)


def races_are_watched():
    """Was the driver built with ThreadSanitizer? Then it has a tenth of its speed."""
    with open(os.path.join(BUILD, "tests/voice/voice_driver"), "rb") as f:
        return b"libtsan.so" in f.read()


_given, _given_lock = set(), threading.Lock()


def is_free(port):
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind(("127.0.0.1", port))
            return True
    except OSError:
        return False


def free_port():
    """An even one, its successors for sipp's sound; to nobody else in this run: cases run side by side. It is bound later, by sipp: so none that
    the kernel gives to others (32768 and up, ip(7)), nor one of the few that the plugin takes for its sound (16384 and up, one pair a call)."""
    with _given_lock:
        while True:
            port = random.randrange(20000, 32000, 8)
            if port not in _given and all(is_free(port + i) for i in range(4)):
                _given.add(port)
                return port


class Sipp:
    def __init__(self, xml, calls=1, port=None, extra=(), timeout=40):
        self.port = port or free_port()
        self.dir = tempfile.mkdtemp(prefix="campgw-sipp-")
        path = os.path.join(self.dir, "scenario.xml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(xml)
        self.log = os.path.join(self.dir, "messages")
        argv = ["sipp", "-sf", path, "-i", "127.0.0.1", "-p", str(self.port), "-mi", "127.0.0.1", "-mp", str(free_port()), "-m", str(calls), "-nostdin",
                "-timeout", "%ds" % timeout, "-trace_err", "-error_file", os.path.join(self.dir, "errors"), *extra]
        if calls == 1:
            argv += ["-trace_msg", "-message_file", self.log]
        self.child = subprocess.Popen(argv, cwd=self.dir, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.wait_bound()

    def wait_bound(self):
        want = ":%04X" % self.port
        end = time.monotonic() + 10
        while time.monotonic() < end and self.child.poll() is None:
            with open("/proc/net/udp", encoding="ascii") as f:
                if any(line.split()[1].endswith(want) for line in f.readlines()[1:]):
                    return
            time.sleep(0.02)
        raise Failure("sipp does not start")

    def status(self, timeout=30):
        try:
            return self.child.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def read(self, name):
        try:
            with open(os.path.join(self.dir, name), encoding="utf-8", errors="replace") as f:
                return f.read()
        except OSError:
            return ""

    def messages(self):
        return self.read("messages")

    def end(self):
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(5)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()


class Driver:
    """The plugin in the gateway's host: voice_driver.c."""

    def __init__(self, *options, credentials=None, isolated=None):
        argv = [os.path.join(BUILD, "tests/voice/voice_driver"), os.path.join(BUILD, "plugins/channel_ivr/.libs/channel_ivr.so"), credentials or "/nonexistent"] + ([] if isolated is None else ["isolated=" + isolated])
        given = [o.split("=")[0] for o in options]
        argv += [o for o in ("options_ping_s=0", "sip_address=127.0.0.1") if o.split("=")[0] not in given] + list(options)
        self.child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                      env={**os.environ, "CAMPGW_PLUGIN_HOST": os.path.join(BUILD, "campgw-plugin-host")})
        self.events, self.seen, self.stderr = queue.Queue(), [], []
        for target in (self.read_events, self.read_errors):
            threading.Thread(target=target, daemon=True).start()
        self.expect("started")

    def read_events(self):
        for line in self.child.stdout:
            self.events.put(json.loads(line))
        self.events.put(None)

    def read_errors(self):
        for line in self.child.stderr:
            self.stderr.append(line)

    def say(self, text):
        self.child.stdin.write(text + "\n")
        self.child.stdin.flush()

    @staticmethod
    def call_line(flow, token=1, to=PERSON, lane=0, before_ms=20000, window_ms=60000):
        return "call %d %d %s %d %d %s" % (token, lane, to, before_ms, window_ms, flow if isinstance(flow, str) else json.dumps(flow))

    def call(self, flow, **more):
        self.say(self.call_line(flow, **more))

    def expect(self, event, timeout=20, **members):
        """The first event of that kind with these members, seen or to come."""
        end = time.monotonic() + timeout
        at = 0
        while True:
            for e in self.seen[at:]:
                if e["event"] == event and all(e.get(k) == v for k, v in members.items()):
                    return e
            at = len(self.seen)
            try:
                e = self.events.get(timeout=max(end - time.monotonic(), 0.001))
            except queue.Empty:
                raise Failure("no %s %s within %d s; seen %s %s" % (event, members, timeout, self.seen, self.stderr[-3:])) from None
            if e is None:
                raise Failure("the driver ended with %s; seen %s %s" % (self.child.wait(), self.seen, self.stderr[-3:]))
            self.seen.append(e)

    def ask(self, word):
        n = len(self.seen)
        self.say(word)
        end = time.monotonic() + 10
        while time.monotonic() < end:
            try:
                e = self.events.get(timeout=10)
            except queue.Empty:
                break
            if e is None:
                break
            self.seen.append(e)
            if e["event"] == word:
                return e
        raise Failure("no answer to %s; seen %s" % (word, self.seen[n:]))

    def drain(self, ms=4000):
        self.say("drain %d" % ms)
        e = self.expect("drained", timeout=ms / 1000 + 10)
        self.expect("freed")
        if e["rc"] or e["unknown_by_host"]:
            raise Late("not drained in time: %s" % e)
        check(e["double"] == 0, "drained badly: %s", e)
        check(self.child.wait(10) == 0, "the driver ends with %s", self.child.returncode)
        return e

    def end(self):
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()
        for f in (self.child.stdin, self.child.stdout, self.child.stderr):
            try:
                f.close()
            except OSError:
                pass


class Phone:
    """Hears the sound of one call and presses keys (RFC 4733): RTP from a few lines of Python, so that it shares no code with ours."""

    def __init__(self):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        self.packets, self.source = [], None
        self.seq, self.ssrc, self.ts = random.randrange(60000), random.randrange(1 << 32), random.randrange(1 << 31)
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.listen, daemon=True)
        self.thread.start()

    def listen(self):
        while not self.ending.is_set():
            if not select.select([self.sock], [], [], 0.1)[0]:
                continue
            data, self.source = self.sock.recvfrom(2048)
            flags, pt, seq, ts, ssrc = struct.unpack("!BBHII", data[:12])
            self.packets.append((time.monotonic(), flags, pt & 127, seq, ts, ssrc, data[12:]))

    def hears(self, loud=True, timeout=10):
        """Waits for a packet that is (not) silence."""
        end, at = time.monotonic() + timeout, len(self.packets)
        while time.monotonic() < end:
            for p in self.packets[at:]:
                if (len(set(p[6])) > 8) == loud:
                    return p
            at = len(self.packets)
            time.sleep(0.01)
        raise Failure("%s within %d s" % ("no sound" if loud else "no silence", timeout))

    def packet(self, pt, payload, marker=False, ts=None):
        self.seq = (self.seq + 1) & 0xffff
        self.sock.sendto(struct.pack("!BBHII", 0x80, pt | (0x80 if marker else 0), self.seq, self.ts if ts is None else ts, self.ssrc) + payload, self.source)

    def press(self, keys, pt=101, ends=3):
        """Each key: five packets while it is held, then the end, three times, one more of them late."""
        for key in keys:
            code = "0123456789*#ABCD".index(key)
            self.ts = (self.ts + 1600) & 0xffffffff
            for i in range(5):
                self.packet(pt, struct.pack("!BBH", code, 10, 160 * (i + 1)), marker=i == 0)
                time.sleep(0.005)
            for _ in range(ends):
                self.packet(pt, struct.pack("!BBH", code, 0x8a, 960))
            time.sleep(0.03)

    def end(self):
        self.ending.set()
        self.thread.join(2)
        self.sock.close()
