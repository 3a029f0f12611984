#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""selftest.py - judges the judge: drives smscsim as an SMPP client and checks what it reports.

Usage: selftest.py [PATH/TO/smscsim [NAME...]]    (NAME: only tests whose name contains it)
Without an argument: tests/sim/smscsim below the current directory, where make check builds it.
Standard library only. Talks to loopback, waits for events with a deadline, ends only the
simulators it started. Prints TAP.
"""

import json
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

WAIT_S = 10.0
RESP = 0x80000000
BIND_RX, BIND_TX, QUERY, SUBMIT, DELIVER, UNBIND, CANCEL, BIND_TRX = 1, 2, 3, 4, 5, 6, 8, 9
ENQUIRE, DATA, NACK = 0x15, 0x103, 0x80000000
TAG_PAYLOAD, TAG_ID, TAG_STATE = 0x0424, 0x001E, 0x0427


class Closed(Exception):
    """The simulator closed the connection; `rest` holds octets of an unfinished PDU."""

    def __init__(self, rest=b""):
        super().__init__(f"closed with {len(rest)} octets left")
        self.rest = rest


class Pdu:
    def __init__(self, command, status, sequence, body):
        self.command, self.status, self.sequence, self.body = command, status, sequence, body

    def cstr(self, at=0):
        end = self.body.index(b"\0", at)
        return self.body[at:end].decode("latin-1"), end + 1

    def message(self):
        """Fields of a deliver_sm or data_sm."""
        m = {}
        _, at = self.cstr(0)
        m["src"], at = self.cstr(at + 2)
        m["dst"], at = self.cstr(at + 2)
        if self.command == DATA:
            m["esm"], m["dc"] = self.body[at], self.body[at + 2]
            m["text"], at = b"", at + 3
        else:
            m["esm"] = self.body[at]
            _, at = self.cstr(at + 3)
            _, at = self.cstr(at)
            m["dc"], n = self.body[at + 2], self.body[at + 4]
            m["text"], at = self.body[at + 5:at + 5 + n], at + 5 + n
        m["tlv"] = {}
        while at < len(self.body):
            tag, n = struct.unpack(">HH", self.body[at:at + 4])
            m["tlv"].setdefault(tag, self.body[at + 4:at + 4 + n])
            at += 4 + n
        m["text"] = m["tlv"].get(TAG_PAYLOAD, m["text"])
        return m


def tlv(tag, value):
    return struct.pack(">HH", tag, len(value)) + value


def submit_body(dst, text, src="12345", ton=(3, 0), esm=0, dc=0, registered=0, validity="", tlvs=b"",
                sm_length=None, dst_ton=(1, 1)):
    return (b"\0" + bytes(ton) + src.encode() + b"\0" + bytes(dst_ton) + dst.encode() + b"\0" +
            bytes([esm, 0, 0]) + b"\0" + validity.encode() + b"\0" + bytes([registered, 0, dc, 0]) +
            bytes([len(text) if sm_length is None else sm_length]) + text + tlvs)


class Client:
    def __init__(self, sim):
        self.sock = socket.create_connection(("127.0.0.1", sim.port), timeout=WAIT_S)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buf, self.sequence, self.later = b"", 0, []

    def raw(self, data):
        self.sock.sendall(data)

    def send(self, command, body=b"", status=0, sequence=None):
        if sequence is None:
            self.sequence += 1
            sequence = self.sequence
        self.raw(struct.pack(">IIII", 16 + len(body), command, status, sequence) + body)
        return sequence

    def read(self, timeout=WAIT_S):
        """Next PDU; None when none comes in time."""
        deadline = time.monotonic() + timeout
        while True:
            if len(self.buf) >= 16:
                n, command, status, sequence = struct.unpack(">IIII", self.buf[:16])
                if 16 <= n <= len(self.buf):
                    body, self.buf = self.buf[16:n], self.buf[n:]
                    return Pdu(command, status, sequence, body)
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            self.sock.settimeout(left)
            try:
                data = self.sock.recv(262144)
            except socket.timeout:
                return None
            except ConnectionResetError:
                raise Closed(self.buf) from None
            if not data:
                raise Closed(self.buf)
            self.buf += data

    def expect(self, command, timeout=WAIT_S):
        """Next PDU of that command; others are kept for later calls."""
        for i, p in enumerate(self.later):
            if p.command == command:
                return self.later.pop(i)
        deadline = time.monotonic() + timeout
        while True:
            p = self.read(max(0.0, deadline - time.monotonic()))
            if p is None:
                raise AssertionError(f"no PDU 0x{command:08x} in time")
            if p.command == command:
                return p
            self.later.append(p)

    def bind(self, command=BIND_TRX, system_id="test", password="secret"):
        self.send(command, system_id.encode() + b"\0" + password.encode() + b"\0\0\x34\0\0\0")
        return self.expect(command | RESP).status

    def submit(self, dst, text, **kw):
        return self.send(SUBMIT, submit_body(dst, text, **kw))

    def submit_together(self, n):
        """n messages in one write: all are there before the first is answered."""
        pdus = []
        for i in range(n):
            body = submit_body("4470001", b"#%d" % i)
            self.sequence += 1
            pdus.append(struct.pack(">IIII", 16 + len(body), SUBMIT, 0, self.sequence) + body)
        self.raw(b"".join(pdus))

    def submit_wait(self, dst, text, **kw):
        sequence = self.submit(dst, text, **kw)
        p = self.expect(SUBMIT | RESP)
        assert p.sequence == sequence, (p.sequence, sequence)
        return p

    def delivery(self, status=0, timeout=WAIT_S):
        """Next deliver_sm or data_sm, acknowledged."""
        deadline = time.monotonic() + timeout
        for i, p in enumerate(self.later):
            if p.command in (DELIVER, DATA):
                p = self.later.pop(i)
                break
        else:
            while True:
                p = self.read(max(0.0, deadline - time.monotonic()))
                if p is None:
                    return None
                if p.command in (DELIVER, DATA):
                    break
                self.later.append(p)
        self.send(p.command | RESP, b"\0" if status == 0 else b"", status, p.sequence)
        m = p.message()
        m["command"] = p.command
        return m

    def closed(self):
        try:
            while self.read() is not None:
                pass
        except Closed as e:
            return e.rest
        raise AssertionError("still open")

    def close(self):
        self.sock.close()


class Sim:
    def __init__(self, binary, *options, log=True):
        self.dir = tempfile.mkdtemp(prefix="smscsim-")
        self.ctl_path = os.path.join(self.dir, "ctl")
        port_file = os.path.join(self.dir, "port")
        self.log = os.path.join(self.dir, "log")
        self.proc = subprocess.Popen(
            [binary, "--listen", "127.0.0.1:0", "--port-file", port_file, "--control", self.ctl_path,
             "--system-id", "test", "--password", "secret", *(["--log", self.log] if log else []),
             *options],
            stdout=subprocess.PIPE)
        line = self.proc.stdout.readline()
        assert b"listening" in line, line
        with open(port_file, encoding="ascii") as f:
            self.port = int(f.read())
        self.ctl = socket.socket(socket.AF_UNIX)
        self.ctl.settimeout(WAIT_S + 10)
        self.ctl.connect(self.ctl_path)
        self.ctl_in = self.ctl.makefile("rb")
        self.clients = []

    def cmd(self, line):
        self.ctl_send(line)
        return self.ctl_read()

    def ctl_send(self, line):
        self.ctl.sendall(line.encode() + b"\n")

    def ctl_read(self):
        return json.loads(self.ctl_in.readline())

    def set(self, **knobs):
        for name, value in knobs.items():
            answer = self.cmd(f"set {name} {value}")
            assert answer["ok"], answer

    def stats(self):
        return self.cmd("stats")

    def until(self, condition):
        """Statistics once the condition holds for them."""
        deadline = time.monotonic() + WAIT_S
        while True:
            st = self.stats()
            if condition(st):
                return st
            assert time.monotonic() < deadline, st
            time.sleep(0.01)

    def dump(self):
        path = os.path.join(self.dir, "dump")
        assert self.cmd(f"dump {path}")["ok"]
        return read_dump(path)

    def dests(self):
        path = os.path.join(self.dir, "dests")
        n = self.cmd(f"dests {path}")["dests"]
        with open(path, encoding="ascii") as f:
            lines = f.read().split()
        assert len(lines) == n
        return set(lines)

    def client(self, bind=BIND_TRX):
        c = Client(self)
        self.clients.append(c)
        if bind:
            assert c.bind(bind) == 0
        return c

    def end(self):
        for c in self.clients:
            c.close()
        self.ctl_in.close()
        self.ctl.close()
        if self.proc.poll() is None:
            self.proc.send_signal(signal.SIGTERM)
        rc = self.proc.wait(WAIT_S)
        self.proc.stdout.close()
        shutil.rmtree(self.dir)
        return rc


def read_dump(path):
    """{(dest, key): {...}}"""
    names = ("accepted", "refused", "ambiguous", "parts", "first_ms", "last_ms", "taken", "seen")
    lines = {}
    with open(path, encoding="ascii") as f:
        for line in f:
            dest, key, *numbers = line.rstrip("\n").split("\t")
            assert (dest, key) not in lines or key[0] == "~", "a key twice"
            lines[dest, key] = dict(zip(names, map(int, numbers), strict=True))
    return lines


def fnv(data):
    h = 14695981039346656037
    for b in data:
        h = (h ^ b) * 1099511628211 % 2**64
    return f"{h:016x}"


def part_udh8(ref, total, part, text):
    return bytes([5, 0, 3, ref, total, part]) + text


def complaints(sim):
    return {k: v["count"] for k, v in sim.stats()["complaints"].items()}


# --- tests: each gets a fresh simulator -----------------------------------------------------------


def test_binds_are_checked(sim):
    assert sim.client(None).bind(BIND_TRX, "test", "wrong") == 0x0E
    assert sim.client(None).bind(BIND_TRX, "nobody", "secret") == 0x0F
    a = sim.client(BIND_TX)
    b = sim.client(BIND_RX)
    assert a.bind() == 0x05
    sim.set(max_binds=2)
    assert sim.client(None).bind() == 0x05
    b.send(UNBIND)
    assert b.expect(UNBIND | RESP).status == 0
    c = sim.client(BIND_TRX)
    c.send(ENQUIRE)
    assert c.expect(ENQUIRE | RESP).status == 0
    sim.set(max_binds=9)
    sim.cmd("refuse on")
    assert sim.client(None).bind() == 0x0D
    sim.cmd("refuse off")
    assert sim.client(None).bind() == 0
    assert complaints(sim) == {"bind_twice": 1}


def test_single_messages_are_keyed_by_marker_or_hash(sim):
    c = sim.client()
    p = c.submit_wait("4470001", b"hello #77 there")
    assert p.status == 0 and int(p.cstr()[0], 16) == 170000000
    c.submit_wait("4470001", b"no marker, # 5")
    c.submit_wait("4470002", "wide #123456789012".encode("utf-16-be"), dc=8)
    c.submit_wait("4470002", "hello #77 there".encode())
    d = sim.dump()
    assert set(d) == {("4470001", "#77"), ("4470001", fnv(b"no marker, # 5")),
                      ("4470002", "#123456789012"), ("4470002", "#77")}, d
    assert all(v["accepted"] == 1 and v["taken"] == 1 and v["parts"] == 1 for v in d.values())
    st = sim.stats()
    assert st["messages"]["unique"] == 4 and st["messages"]["duplicate"] == 0
    assert st["complaints_total"] == 0, st["complaints"]
    assert sim.dests() == {"4470001", "4470002"}


def test_long_messages_are_put_together_in_every_form(sim):
    c = sim.client()
    a, b = b"a" * 153, b"b" * 20 + b" #9"
    c.submit_wait("4470001", part_udh8(7, 2, 2, b), esm=0x40)
    c.submit_wait("4470001", part_udh8(7, 2, 1, a), esm=0x40)
    wide = b"\x06\x08\x04\x01\x02\x02"
    c.submit_wait("4470002", wide + b"\x01" + b"x" * 100, esm=0x40)
    c.submit_wait("4470002", wide + b"\x02" + b"y" * 100, esm=0x40)
    for n in (1, 2, 3):
        sar = tlv(0x20C, b"\0\x09") + tlv(0x20E, b"\x03") + tlv(0x20F, bytes([n]))
        c.submit_wait("4470003", b"%d" % n * 10, tlvs=sar)
    c.submit_wait("4470004", b"", tlvs=tlv(TAG_PAYLOAD, b"p" * 700))
    d = sim.dump()
    assert {k: v["parts"] for k, v in d.items()} == {
        ("4470001", "#9"): 2, ("4470002", fnv(b"x" * 100 + b"y" * 100)): 2,
        ("4470003", fnv(b"1" * 10 + b"2" * 10 + b"3" * 10)): 3, ("4470004", fnv(b"p" * 700)): 1}, d
    assert all(v["accepted"] == 1 for v in d.values())
    assert sim.stats()["messages"]["incomplete"] == 0
    assert complaints(sim) == {}


def test_missing_parts_are_incomplete(sim):
    c = sim.client()
    c.submit_wait("4470001", part_udh8(1, 2, 1, b"one #5"), esm=0x40)
    st = sim.stats()["messages"]
    assert st["incomplete"] == 1 and st["unique"] == 0
    d = sim.dump()
    assert d["4470001", "~#5"]["seen"] == 1 and d["4470001", "~#5"]["parts"] == 2
    assert sim.dests() == {"4470001"}
    c.submit_wait("4470001", part_udh8(1, 2, 2, b"two"), esm=0x40)
    assert sim.stats()["messages"]["incomplete"] == 0
    assert list(sim.dump()) == [("4470001", "#5")]


def test_copies_of_long_messages(sim):
    c = sim.client()
    parts = [part_udh8(1, 2, 1, b"Dear you "), part_udh8(1, 2, 2, b"#5")]
    for p in parts:
        c.submit_wait("4470001", p, esm=0x40)
    c.submit_wait("4470001", parts[0], esm=0x40)  # a part again: no second message
    m = sim.stats()["messages"]
    assert (m["duplicate"], m["incomplete"], m["unique"]) == (0, 0, 1), m
    c.submit_wait("4470001", parts[1], esm=0x40)  # now all of it again
    assert sim.stats()["messages"]["duplicate"] == 1
    assert sim.dump()["4470001", "#5"]["taken"] == 2
    # The reference comes round: same first part, another second one, is another message.
    c.submit_wait("4470001", parts[0], esm=0x40)
    c.submit_wait("4470001", part_udh8(1, 2, 2, b"#6"), esm=0x40)
    d = sim.dump()
    assert d["4470001", "#6"]["accepted"] == 1 and d["4470001", "#5"]["accepted"] == 2, d
    assert sim.stats()["messages"]["incomplete"] == 0
    assert complaints(sim) == {}


def test_pipelined_messages_with_one_reference(sim):
    c = sim.client()
    for n in (5, 6):
        c.submit("4470001", part_udh8(1, 2, 1, b"Dear you "), esm=0x40)
        c.submit("4470001", part_udh8(1, 2, 2, b"#%d" % n), esm=0x40)
        for _ in range(2):
            c.expect(SUBMIT | RESP)
    d = sim.dump()
    assert d["4470001", "#5"]["accepted"] == d["4470001", "#6"]["accepted"] == 1, d
    assert len(d) == 2


def test_refused_parts_can_be_sent_again(sim):
    c = sim.client()
    c.submit_wait("4470001", part_udh8(1, 2, 1, b"one #5"), esm=0x40)
    sim.set(throttle_permille=1000)
    assert c.submit_wait("4470001", part_udh8(1, 2, 2, b"two"), esm=0x40).status == 0x58
    d = sim.dump()["4470001", "#5"]
    assert (d["accepted"], d["refused"], d["taken"]) == (0, 1, 0), d
    assert sim.stats()["messages"]["incomplete"] == 1
    sim.set(throttle_permille=0)
    c.submit_wait("4470001", part_udh8(1, 2, 2, b"two"), esm=0x40)
    d = sim.dump()["4470001", "#5"]
    assert (d["accepted"], d["refused"], d["ambiguous"], d["taken"]) == (1, 1, 0, 1), d
    assert sim.stats()["messages"]["incomplete"] == 0


def test_swallowed_and_unanswered_submits_are_ambiguous(sim):
    c = sim.client()
    sim.set(swallow_permille=1000)
    c.submit("4470001", b"#1")
    sim.until(lambda s: s["swallowed"] == 1)
    sim.set(swallow_permille=0, drop_answer_permille=1000)
    c.submit("4470002", b"#2")
    sim.until(lambda s: s["answers_dropped"] == 1)
    sim.set(drop_answer_permille=0, delay_min_ms=60000, delay_max_ms=60000)
    c.submit("4470003", b"#3")
    st = sim.until(lambda s: s["submits"] == 3)
    assert st["unanswered"] == 3 and st["messages"]["unique"] == 0
    c.close()
    st = sim.until(lambda s: s["sessions"] == 0)
    assert st["messages"]["ambiguous"] == 3 and st["answers_lost"] == 3
    assert st["closed_without_unbind"] == 1 and st["complaints_total"] == 0
    d = sim.dump()
    assert [d["4470001", "#1"][k] for k in ("ambiguous", "taken")] == [1, 0]
    assert [d["4470002", "#2"][k] for k in ("ambiguous", "taken")] == [1, 1]
    assert sim.dests() == {"4470001", "4470002", "4470003"}


def test_connection_cut_within_an_answer(sim):
    sim.set(drop_after_submits=3)
    c = sim.client()
    bodies = [submit_body("4470001", b"#%d" % n) for n in range(5)]
    c.raw(b"".join(struct.pack(">IIII", 16 + len(b), SUBMIT, 0, 10 + n) + b
                   for n, b in enumerate(bodies)))
    got = []
    try:
        while True:
            got.append(c.read())
    except Closed as e:
        rest = e.rest
    assert len(got) == 2 and 0 < len(rest) < 26, (len(got), rest)
    st = sim.stats()
    assert st["messages"]["accepted"] == 2 and st["messages"]["ambiguous"] == 1, st["messages"]
    assert st["drops"] == 1 and st["closed_without_unbind"] == 0
    c = sim.client()
    sim.cmd("drop mid-pdu all")
    rest = c.closed()
    assert len(rest) == 20 and rest[:8] == struct.pack(">II", 120, DELIVER)


def run_pattern(sim, **knobs):
    sim.set(**knobs)
    c = sim.client()
    for n in range(400):
        c.submit("4470001", b"#%d" % n)
    status = {}
    for _ in range(400):
        p = c.expect(SUBMIT | RESP)
        status[p.sequence] = p.status
    c.close()
    return [status[n + 2] for n in range(400)]


def test_faults_are_deterministic_and_about_as_frequent_as_asked(sim):
    first = run_pattern(sim, seed=5, throttle_permille=100, error_permille=50,
                        error_list="0x0B:1,0x45:3,0x400:1")
    sim.cmd("reset")
    again = run_pattern(sim, seed=5)
    assert first == again
    throttled = first.count(0x58)
    errors = [s for s in first if s not in (0, 0x58)]
    assert 20 < throttled < 70 and 5 < len(errors) < 40 and set(errors) <= {0x0B, 0x45, 0x400}
    st = sim.stats()
    assert st["answer_status"]["0x00000058"] == throttled == st["throttled"]
    sim.cmd("reset")
    assert run_pattern(sim, seed=6) != first


def test_error_answers_with_and_without_body_and_as_nack(sim):
    c = sim.client()
    sim.set(error_permille=1000, error_list=8)
    p = c.submit_wait("4470001", b"#1")
    assert p.status == 8 and p.body == b""
    sim.set(error_body_permille=1000)
    p = c.submit_wait("4470001", b"#1")
    assert p.status == 8 and p.body == b"\0"
    sim.set(nack_permille=1000)
    n = c.submit("4470001", b"#1")
    p = c.expect(NACK)
    assert (p.status, p.sequence, p.body) == (8, n, b"")
    assert sim.dump()["4470001", "#1"]["refused"] == 3
    sim.set(error_permille=0, response_bare_permille=1000)
    p = c.submit_wait("4470002", b"#1")
    assert (p.status, p.body) == (0, b"")
    sim.cmd("set response_bare_permille 0")
    assert sim.dests() == {"4470002"}


def test_delay_and_reordering(sim):
    sim.set(reorder_permille=300, reorder_ms=30)
    c = sim.client()
    numbers = [c.submit("4470001", b"#%d" % n) for n in range(100)]
    got = [c.expect(SUBMIT | RESP).sequence for _ in range(100)]
    assert sorted(got) == numbers and got != numbers
    sim.set(reorder_permille=0, delay_min_ms=50, delay_max_ms=60)
    start = time.monotonic()
    c.submit_wait("4470001", b"#1")
    assert time.monotonic() - start >= 0.045


def test_window_and_rate_limits(sim):
    sim.set(max_window=3, window_status="0x14", delay_min_ms=100, delay_max_ms=100)
    c = sim.client()
    c.submit_together(5)
    got = sorted(c.expect(SUBMIT | RESP).status for _ in range(5))
    assert got == [0, 0, 0, 0x14, 0x14], got
    sim.set(max_window=0, delay_min_ms=0, delay_max_ms=0, max_rate=1, rate_burst=2)
    c.submit_together(5)
    got = sorted(c.expect(SUBMIT | RESP).status for _ in range(5))
    assert got.count(0x58) >= 2 and got.count(0) >= 2, got
    sim.set(expect_window=2, max_rate=0, delay_min_ms=50, delay_max_ms=50)
    c.submit_together(3)
    for n in range(3):
        c.expect(SUBMIT | RESP)
    assert complaints(sim) == {"window": 1}


RECEIPT_WORDS = ("id:", " sub:", " dlvrd:", " submit date:", " done date:", " stat:", " err:", " text:")


def test_receipt_forms(sim):
    sim.set(receipt_id_base=10, receipt_id_pad=12, id_upper=1)
    c = sim.client()
    for form in ("tlv", "text", "both", "payload", "data"):
        sim.set(receipt_form=form)
        number = int(c.submit_wait("4470001", b"the text #1", registered=1).cstr()[0], 16)
        want = f"{number:012d}"
        m = c.delivery()
        assert (m["src"], m["dst"], m["esm"]) == ("4470001", "12345", 4), m
        assert (m["command"] == DATA) == (form == "data")
        assert (TAG_PAYLOAD in m["tlv"]) == (form in ("payload", "data"))
        if form in ("tlv", "both", "data"):
            assert m["tlv"][TAG_ID] == want.encode() + b"\0" and m["tlv"][TAG_STATE] == b"\x02"
        else:
            assert TAG_ID not in m["tlv"]
        text = m["text"].decode()
        if form == "tlv":
            assert text == ""
        else:
            at = [text.index(w) for w in RECEIPT_WORDS]
            assert at == sorted(at) and f"id:{want} " in text and "stat:DELIVRD" in text, text
            assert text.endswith("text:the text #1")
    sim.until(lambda s: s["receipts_acked"] == 5 and s["unacked"] == 0)
    assert complaints(sim) == {}


def test_receipt_ids_and_states(sim):
    sim.set(id_base=10, id_prefix="AB-", receipt_id_base=16, receipt_id_upper=1, receipt_nul=0,
            receipt_state="UNDELIV:1", receipt_date_digits=12, id_pad=20, id_start=1)
    c = sim.client()
    answer = c.submit_wait("4470001", b"#1", registered=1).cstr()[0]
    m = c.delivery()
    assert answer.startswith("AB-000") and len(answer) == 23
    assert m["tlv"][TAG_ID].decode() == f"AB-{int(answer[3:]):X}" and m["tlv"][TAG_STATE] == b"\x05"
    assert b"stat:UNDELIV err:027" in m["text"] and b"dlvrd:000" in m["text"]
    c.submit_wait("4470001", b"#1", registered=3)  # success only
    c.submit_wait("4470001", b"#1", registered=0)
    assert c.delivery(timeout=0.2) is None
    c.submit_wait("4470001", b"#1", registered=2)  # failures only
    assert c.delivery() is not None


def test_receipts_early_twice_intermediate_final_again_unknown_esm0(sim):
    c = sim.client()
    sim.set(receipt_early_permille=1000)
    c.submit("4470001", b"#1", registered=1)
    first = c.read()
    assert first.command == DELIVER
    c.send(DELIVER | RESP, b"\0", 0, first.sequence)
    assert c.expect(SUBMIT | RESP).status == 0
    sim.set(receipt_early_permille=0, receipt_duplicate_permille=1000,
            receipt_intermediate_permille=1000, receipt_after_final_permille=1000,
            receipt_unknown_permille=1000, receipt_esm0_permille=1000)
    answer = c.submit_wait("4470001", b"#2", registered=1).cstr()[0].encode()
    got = [c.delivery() for _ in range(5)]
    own = [m["tlv"][TAG_STATE][0] for m in got if m["tlv"][TAG_ID].rstrip(b"\0") == answer]
    assert own[0] in (1, 6) and own[1:] == [2, 2, 3], own
    assert all(m["esm"] == 0 for m in got)
    sim.until(lambda s: s["receipts_acked"] == 6 and s["unacked"] == 0)


def test_receipt_per_message(sim):
    sim.set(receipt_per_message=1)
    c = sim.client()
    one = c.submit_wait("4470001", part_udh8(1, 2, 1, b"one"), esm=0x40, registered=1).cstr()[0]
    assert c.delivery(timeout=0.1) is None
    c.submit_wait("4470001", part_udh8(1, 2, 2, b"two"), esm=0x40, registered=1)
    assert c.delivery()["tlv"][TAG_ID].rstrip(b"\0").decode() == one
    assert c.delivery(timeout=0.1) is None


def test_receipts_wait_for_a_receiver_and_come_again(sim):
    tx = sim.client(BIND_TX)
    tx.submit_wait("4470001", b"#1", registered=1)
    assert sim.until(lambda s: s["queued"] == 1) and tx.read(0.1) is None
    rx = sim.client(BIND_RX)
    first = rx.read()
    assert first.command == DELIVER
    rx.close()  # unanswered: it must come again
    sim.until(lambda s: s["queued"] == 1 and s["unacked"] == 0)
    sim.set(redeliver_ms=10)
    rx = sim.client(BIND_RX)
    for status in (0x64, 0x14, 0x08):
        assert rx.delivery(status) is not None
    assert rx.delivery(0) is not None and rx.delivery(timeout=0.1) is None
    st = sim.stats()
    assert st["receipts_acked"] == 1 and st["deliveries_again"] == 4 and st["receipts_made"] == 1
    assert st["ack_status"] == {"0x00000064": 1, "0x00000014": 1, "0x00000008": 1, "0x00000000": 1}


def test_unanswered_deliveries_are_complained_about_and_repeated(sim):
    sim.set(ack_timeout_ms=2500)  # the second is acknowledged by then, also when this process has to pause for 2 s
    c = sim.client()
    c.submit_wait("4470001", b"#1", registered=1)
    first = c.expect(DELIVER)
    again = c.delivery()
    assert again is not None
    c.send(DELIVER | RESP, b"\0", 0, first.sequence)
    st = sim.until(lambda s: s["acks_late"] == 1 and s["receipts_acked"] == 1)
    assert list(st["complaints"]) == ["deliver_unanswered"]


def test_mo_in_every_form(sim):
    c = sim.client()
    sim.ctl_send("mo 4470001 12345 STOP")
    m = c.delivery()
    assert (m["src"], m["dst"], m["text"], m["dc"], m["esm"]) == ("4470001", "12345", b"STOP", 0, 0)
    assert sim.ctl_read() == {"ok": True, "unanswered": 0, "status": [0]}
    sim.ctl_send("mo 4470001 12345 退订")
    m = c.delivery()
    assert m["dc"] == 8 and m["text"].decode("utf-16-be") == "退订"
    assert sim.ctl_read()["status"] == [0]
    sim.ctl_send("mo 4470001 12345 a@{\\n€")
    assert c.delivery()["text"] == b"a\x00\x1b\x28\n\x1be"
    sim.ctl_read()
    long = "x" * 152 + "€" + "y" * 10 + "\\n"
    for form, esm, head in (("udh8", 0x40, 6), ("udh16", 0x40, 7), ("sar", 0, 0)):
        sim.ctl_send(f"mo form={form} order=reverse 4470001 12345 {long}")
        got = [c.delivery(), c.delivery()]
        assert sim.ctl_read()["status"] == [0, 0]
        assert all(m["esm"] == esm for m in got)
        last, first = got
        if form == "sar":
            assert first["tlv"][0x20F] == b"\1" and last["tlv"][0x20F] == b"\2"
            assert first["tlv"][0x20C] == last["tlv"][0x20C] and first["tlv"][0x20E] == b"\2"
        else:
            assert first["text"][head - 1] == 1 and last["text"][head - 1] == 2
            assert first["text"][:head - 1] == last["text"][:head - 1]
        assert first["text"][head:] == b"x" * 152  # the escape is not split
        assert last["text"][head:] == b"\x1be" + b"y" * 10 + b"\n"
    sim.ctl_send("mo form=payload coding=ucs2 dup=1 4470001 12345 " + "z" * 300)
    for _ in range(2):
        assert c.delivery()["tlv"][TAG_PAYLOAD].decode("utf-16-be") == "z" * 300
    assert sim.ctl_read()["status"] == [0, 0]
    sim.ctl_send("mo form=udh8 4470001 12345 " + "😀" * 40)
    for m in (c.delivery(), c.delivery()):
        m["text"][6:].decode("utf-16-be")  # raises when a pair is split
    assert sim.ctl_read()["ok"]
    assert complaints(sim) == {}


def test_mo_reports_refusals_and_timeouts(sim):
    c = sim.client()
    sim.set(redeliver_ms=1)
    sim.ctl_send("mo 4470001 12345 hi")
    c.delivery(0x64)
    c.delivery(0x0B)
    assert sim.ctl_read() == {"ok": True, "unanswered": 0, "status": [0x64, 0x0B]}
    sim.set(mo_wait_ms=200)
    sim.ctl_send("mo 4470001 12345 hi")
    assert c.expect(DELIVER)
    late = sim.ctl_read()
    assert late["ok"] is False and late["unanswered"] == 1
    assert sim.cmd("mo wait=0 4470001 12345 hi") == {"ok": True, "deliveries": 1}
    assert sim.cmd("mo coding=gsm 4470001 12345 退订")["ok"] is False
    assert sim.cmd("mo 4470001")["ok"] is False


def test_replies(sim):
    c = sim.client()
    c.submit_wait("4470007", b"offer #1")
    m = c.delivery()
    assert (m["src"], m["dst"], m["text"]) == ("4470007", "12345", b"STOP")
    c.submit_wait("4470008", b"offer #2")
    assert c.delivery()["text"].decode("utf-16-be") == "退订"
    c.submit_wait("4470009", b"offer #3")
    assert c.delivery(timeout=0.1) is None
    assert sim.cmd("reply clear")["ok"] and sim.cmd("reply 9=I am\\nhere")["ok"]
    c.submit_wait("4470007", b"offer #1")
    c.submit_wait("4470009", b"offer #3")
    m = c.delivery()
    assert (m["src"], m["text"]) == ("4470009", b"I am\nhere")
    assert sim.cmd("reply nonsense")["ok"] is False


test_replies.options = ("--reply", "7=STOP", "--reply=8=退订")


def test_complaints_about_sessions_and_sequences(sim):
    c = sim.client(None)
    c.submit("4470001", b"#1")
    assert c.expect(SUBMIT | RESP).status == 0x04
    c.bind(BIND_RX)
    c.submit("4470001", b"#1")
    assert c.expect(SUBMIT | RESP).status == 0x04
    bad = sim.client(None)
    assert bad.bind(password="secret-and-more") == 0x0E
    t = sim.client(BIND_TX)
    body = submit_body("4470001", b"#1")
    for sequence in (0, 0x80000001):
        t.send(SUBMIT, body, sequence=sequence)
        assert t.expect(SUBMIT | RESP).sequence == sequence
    sim.set(delay_min_ms=50, delay_max_ms=50)
    t.raw((struct.pack(">IIII", 16 + len(body), SUBMIT, 0, 99) + body) * 2)
    t.send(ENQUIRE, status=5)
    t.send(0x00000999)
    assert t.expect(NACK).status == 3
    t.send(DELIVER | RESP, b"\0", 0, 4711)
    t.send(ENQUIRE | RESP, b"", 0, 4712)
    for _ in range(2):
        t.expect(SUBMIT | RESP)
    assert complaints(sim) == {
        "submit_unbound": 1, "submit_on_rx": 1, "password_long": 1, "seq_zero": 1, "seq_high": 1,
        "seq_reused": 1, "request_status": 1, "unknown_command": 1, "response_unknown": 2}, complaints(sim)
    t.raw(struct.pack(">IIII", 8, SUBMIT, 0, 1))
    assert t.expect(NACK).status == 2
    t.closed()
    assert complaints(sim)["frame"] == 1


def test_complaints_about_wrong_answers(sim):
    c = sim.client()
    for status, command in ((0, SUBMIT | RESP), (0, NACK)):
        del status
        sim.ctl_send("mo 4470001 12345 hi")
        p = c.expect(DELIVER)
        if command == NACK:
            c.send(NACK, b"", 3, p.sequence)  # a fair answer
        else:
            c.send(DATA | RESP, b"\0", 0, p.sequence)
        assert sim.ctl_read()["ok"]
    assert complaints(sim) == {"response_command": 1}


COMPLAINT_CASES = {
    "both_bodies": {"text": b"a", "tlvs": tlv(TAG_PAYLOAD, b"b")},
    "tlv_length": {"tlvs": tlv(0x0204, b"\1")},
    "tlv_twice": {"tlvs": tlv(TAG_PAYLOAD, b"b") * 2, "text": b""},
    "udh_broken": {"text": b"\x09\x00\x03\x01\x02", "esm": 0x40},
    "udh_and_sar": {"text": part_udh8(1, 1, 1, b"a"), "esm": 0x40,
                    "tlvs": tlv(0x20C, b"\0\1") + tlv(0x20E, b"\1") + tlv(0x20F, b"\1")},
    "sar_partial": {"tlvs": tlv(0x20C, b"\0\1")},
    "part_number": {"text": part_udh8(1, 2, 3, b"a"), "esm": 0x40},
    "split_surrogate": {"text": b"\x00a\xd8\x3d", "dc": 8},
    "split_escape": {"text": b"a\x1b"},
    "ucs2_odd": {"text": b"\x00a\x00", "dc": 8},
    "gsm_octet": {"text": b"\xe9"},
    "part_too_long": {"text": b"a" * 161},
    "sender_ton_npi": {"src": "ACME", "ton": (1, 1)},
    "sender_long": {"src": "ACMEACMEACME", "ton": (5, 0)},
    "plus": {"src": "+4470001", "ton": (1, 1)},
    "validity_format": {"validity": "2401010000"},
    "flags": None,
    "destination": {"dst": "44 70"},
}


def test_complaints_about_submits(sim):
    c = sim.client()
    for kind, case in COMPLAINT_CASES.items():
        sim.cmd("reset")
        if case is None:
            body = submit_body("4470001", b"hi").replace(b"\0\0\0\0\0\0\0\0\0\2hi",
                                                         b"\0\0\5\0\0\0\0\0\0\2hi")
            c.send(SUBMIT, body)
        else:
            c.submit(**{"dst": "4470001", "text": b"hi", **case})
        c.expect(SUBMIT | RESP)
        assert complaints(sim) == {kind: 1}, (kind, complaints(sim))


def test_unusable_submits_are_refused(sim):
    c = sim.client()
    c.submit("4470001", b"hi", sm_length=40)
    assert c.expect(SUBMIT | RESP).status == 2
    c.submit("4470001", b"hi", tlvs=b"\x04\x24\x00\xff")
    assert c.expect(SUBMIT | RESP).status == 2
    c.submit("447000144700014470001", b"hi")
    assert c.expect(SUBMIT | RESP).status == 2
    c.send(SUBMIT, b"abc")
    assert c.expect(SUBMIT | RESP).status == 2
    assert c.submit_wait("", b"hi").status == 0x0B
    got = complaints(sim)
    assert got == {"sm_length": 1, "tlv_cut": 1, "malformed": 2, "destination": 1}, got
    assert sim.stats()["malformed"] == 4


def test_validity_is_held_against_the_window(sim):
    now = int(time.time())
    sim.set(expect_validity_before=now + 3600)

    def absolute(seconds, zone="00+"):
        return time.strftime("%y%m%d%H%M%S", time.gmtime(seconds)) + "0" + zone

    c = sim.client()
    for good in (absolute(now + 1800), absolute(now + 3600 + 2700, "04+"), "000000003000000R"):
        c.submit_wait("4470001", b"hi", validity=good)
    assert complaints(sim) == {}
    for bad in (absolute(now + 3700), absolute(now + 3600 - 600, "04-"), "000000020000000R"):
        c.submit_wait("4470001", b"hi", validity=bad)
    c.submit_wait("4470001", b"hi")
    assert complaints(sim) == {"validity_late": 3, "validity_missing": 1}, complaints(sim)


def test_parts_over_sessions_and_reused_references(sim):
    a, b = sim.client(), sim.client()
    a.submit_wait("4470001", part_udh8(1, 2, 1, b"one"), esm=0x40)
    b.submit_wait("4470001", part_udh8(1, 2, 2, b"two"), esm=0x40)
    assert complaints(sim) == {"parts_over_sessions": 1}
    a.submit_wait("4470001", part_udh8(2, 2, 1, b"one"), esm=0x40)
    a.submit_wait("4470001", part_udh8(2, 2, 1, b"other"), esm=0x40)
    assert complaints(sim)["ref_reused"] == 1
    a.submit_wait("4470002", part_udh8(3, 2, 1, b"one"), esm=0x40)
    a.close()  # a dead session is no reproach
    sim.until(lambda s: s["sessions"] == 1)
    b.submit_wait("4470002", part_udh8(3, 2, 2, b"two"), esm=0x40)
    assert complaints(sim)["parts_over_sessions"] == 1


def test_garbage(sim):
    c = sim.client()
    sim.cmd("garbage tlvs")
    m = c.delivery()
    assert len(m["tlv"]) == 30 and m["text"] == b"thirty empty parameters"
    sim.cmd("garbage unknown")
    p = c.expect(0x999)
    c.send(NACK, b"", 3, p.sequence)
    for kind, head in (("short", 8), ("zero", 0), ("huge", 0x7FFFFFFF), ("stall", 200)):
        c = sim.client()
        sim.cmd(f"garbage {kind} session={sim.cmd('sessions')['sessions'][-1]['session']}")
        c.sock.settimeout(WAIT_S)
        assert struct.unpack(">I", c.sock.recv(4, socket.MSG_WAITALL))[0] == head
    sim.cmd("raw session=1 00000010000000150000000000000001")
    sim.set(garbage_permille=1000)
    c = sim.client()
    c.submit("4470001", b"hi")
    assert c.read().command == DELIVER and c.read().command == SUBMIT | RESP
    assert complaints(sim) == {}


def test_one_octet_writes(sim):
    sim.set(one_byte_writes=1, response_tlv=1)
    c = sim.client()
    for n in range(50):
        c.submit("4470001", b"#%d" % n)
    for _ in range(50):
        assert c.expect(SUBMIT | RESP).body.endswith(tlv(0x1400, b"sim"))
    st = sim.until(lambda s: s["unanswered"] == 0)
    assert st["messages"]["accepted"] == 50


def test_silence_and_paused_reading(sim):
    c = sim.client()
    sim.cmd("pause-reading on")
    c.sock.settimeout(0.3)
    sent = 0
    try:
        for _ in range(100000):
            c.raw(struct.pack(">IIII", 16, ENQUIRE, 0, 1) * 1000)
            sent += 1000
    except socket.timeout:
        pass
    assert 0 < sent < 100000 * 1000
    c.close()
    sim.cmd("pause-reading off")
    sim.until(lambda s: s["sessions"] == 0)
    sim.cmd("silent on")
    c = sim.client(None)
    c.send(ENQUIRE)
    assert c.read(0.2) is None
    sim.cmd("silent off")
    c.send(ENQUIRE)
    assert c.expect(ENQUIRE | RESP)


def test_a_mute_link_takes_octets_and_sends_none(sim):
    dead, alive = sim.client(), sim.client()
    serial = min(s["session"] for s in sim.cmd("sessions")["sessions"])
    # the link is mute before the answer is due, also when this process has to pause for 2 s
    sim.set(delay_min_ms=2500, delay_max_ms=2500)
    dead.submit("4470001", b"#1", registered=1)
    sim.until(lambda s: s["submits"] == 1)
    assert sim.cmd(f"mute session={serial}")["ok"]
    sim.set(delay_min_ms=0, delay_max_ms=0)
    dead.submit("4470002", b"#2")
    dead.send(ENQUIRE)
    assert dead.read(2.8) is None
    assert alive.submit_wait("4470003", b"#3").status == 0
    assert alive.delivery() is not None  # the other link still gets receipts
    assert alive.delivery(timeout=0.1) is None
    dead.close()
    sim.until(lambda s: s["sessions"] == 1)
    d = sim.dump()
    assert {k[1] for k in d} == {"#1", "#3"} and d["4470001", "#1"]["ambiguous"] == 1, d


def test_deliveries_can_be_held(sim):
    c = sim.client()
    sim.set(deliver_window=0)
    c.submit_wait("4470001", b"#1", registered=1)
    assert sim.until(lambda s: s["queued"] == 1) and c.read(0.1) is None
    sim.set(deliver_window=100)
    assert c.delivery() is not None


def test_enquire_link_both_ways(sim):
    sim.set(enquire_unbound=1, enquire_timeout_ms=100, expect_enquire_ms=150)
    c = sim.client(None)
    p = c.expect(ENQUIRE)
    c.send(ENQUIRE | RESP, b"", 0, p.sequence)
    assert c.bind() == 0
    sim.cmd("enquire all")
    p = c.expect(ENQUIRE)
    st = sim.until(lambda s: {"no_enquire", "enquire_unanswered"} <= set(s["complaints"]))
    assert set(st["complaints"]) == {"no_enquire", "enquire_unanswered"}
    c.send(ENQUIRE | RESP, b"", 0, p.sequence)  # late, and no further complaint
    c.send(ENQUIRE)
    c.expect(ENQUIRE | RESP)
    assert set(complaints(sim)) == {"no_enquire", "enquire_unanswered"}


def test_unbind_by_the_simulator(sim):
    c = sim.client()
    sim.cmd("unbind all")
    p = c.expect(UNBIND)
    c.send(UNBIND | RESP, b"", 0, p.sequence)
    assert c.closed() == b""
    assert sim.stats()["closed_without_unbind"] == 0 and complaints(sim) == {}


def test_listening_can_stop_and_go_on(sim):
    sim.cmd("listen off")
    try:
        Client(sim)
        raise AssertionError("connected")
    except ConnectionRefusedError:
        pass
    assert sim.cmd("listen on")["ok"]
    assert sim.client().sock


def test_query_and_cancel(sim):
    sim.set(receipt_delay_min_ms=60000, receipt_delay_max_ms=60000)
    c = sim.client()
    known = c.submit_wait("4470001", b"#1", registered=1).cstr()[0].encode()

    def query(message_id):
        c.send(QUERY, message_id + b"\0\1\0\0")
        return c.expect(QUERY | RESP)

    def cancel(message_id):
        c.send(CANCEL, b"\0" + message_id + b"\0\3\x0012345\0\1\0014470001\0")
        return c.expect(CANCEL | RESP).status

    p = query(known)
    assert p.status == 0 and p.body == known + b"\0\0\x01\0"
    assert query(b"ffff").status == 0x67
    assert cancel(known) == 0 and cancel(known) == 0x11 and cancel(b"zz") == 0x11
    p = query(known)
    assert p.body.startswith(known + b"\0") and p.body.endswith(b"000+\0\x04\0"), p.body


def test_data_sm_is_a_submit(sim):
    c = sim.client()
    c.send(DATA, b"\0\3\x0012345\0\1\0014470001\0\0\1\0" + tlv(TAG_PAYLOAD, b"data #5"))
    assert c.expect(DATA | RESP).status == 0
    assert c.delivery()["esm"] == 4
    assert list(sim.dump()) == [("4470001", "#5")]
    assert complaints(sim) == {}


def test_reset_keeps_sessions(sim):
    c = sim.client()
    sim.set(delay_min_ms=100, delay_max_ms=100)
    for n in range(1, 3):
        c.submit("4470001", part_udh8(1, 2, n, b"part"), esm=0x40, registered=1)
    sim.until(lambda s: s["submits"] == 2)
    assert sim.cmd("reset")["ok"]
    for _ in range(2):
        assert c.expect(SUBMIT | RESP).status == 0
    st = sim.stats()
    assert st["submits"] == 0 and st["messages"]["keys"] == 0 and st["sessions"] == 1
    c.submit_wait("4470001", b"#7")
    assert list(sim.dump()) == [("4470001", "#7")]


def test_log_shows_texts(sim):
    c = sim.client()
    c.submit_wait("4470001", b"a\x00\x1be", validity="000000003000000R")
    c.submit_wait("4470001", "退订 😀".encode("utf-16-be"), dc=8)
    sim.cmd("quit")
    sim.proc.wait(WAIT_S)
    with open(sim.log, encoding="utf-8") as f:
        lines = [json.loads(line) for line in f]
    assert [line["text"] for line in lines] == ["a@€", "退订 😀"]
    assert lines[0]["fate"] == "accepted" and lines[0]["validity"] == "000000003000000R"


def test_control_refuses_nonsense(sim):
    for line in ("", "nonsense", "set", "set nonsense 1", "set throttle_permille 1001",
                 "set receipt_form nonsense", "set error_list 1:0", "drop session=99", "raw zz",
                 "garbage nonsense", "refuse maybe", "dump", "dump /nonexistent/x", "mo"):
        answer = sim.cmd(line)
        assert answer["ok"] is False and answer["error"], line
    assert sim.cmd("get")["seed"] == 1
    assert "drop" in sim.cmd("help")


def test_random_octets_do_no_harm(sim):
    rng = random.Random(7)
    good = [struct.pack(">IIII", 16 + len(b), command, 0, 5) + b for command in (SUBMIT, DATA) for b in (
        submit_body("4470001", part_udh8(1, 2, 1, b"x" * 50), esm=0x40, registered=1),
        submit_body("4470001", b"y", tlvs=tlv(0x20C, b"\0\1") + tlv(0x20E, b"\2") + tlv(0x20F, b"\1")),
        submit_body("4470001", b"", tlvs=tlv(TAG_PAYLOAD, part_udh8(2, 2, 2, b"z" * 300)), esm=0x40))]
    for _ in range(40):
        c = sim.client()
        try:
            for _ in range(50):
                pdu = bytearray(rng.choice(good))
                for _ in range(rng.randrange(6)):
                    pdu[rng.randrange(16, len(pdu))] = rng.choice((0, 1, 2, 255, rng.randrange(256)))
                pdu = pdu[:rng.randrange(16, len(pdu))] if rng.random() < 0.3 else pdu
                pdu[:4] = struct.pack(">I", len(pdu))
                if rng.random() < 0.05:
                    pdu[4:8] = bytes(rng.randrange(256) for _ in range(4))
                c.raw(bytes(pdu))
        except OSError:
            pass
        c.close()
    st = sim.until(lambda s: s["sessions"] == 0)
    assert st["submits"] > 500 and st["malformed"] > 100
    c = sim.client()
    assert c.submit_wait("4470001", b"#99").status == 0
    assert sim.dump()["4470001", "#99"]["accepted"] == 1


def test_speed(sim):
    n = 50000
    c = sim.client()
    blob = b"".join(
        struct.pack(">IIII", 16 + len(b), SUBMIT, 0, i + 10) + b
        for i, b in ((i, submit_body(f"4470{i:07d}", b"%-110d #%d" % (i, i))) for i in range(n)))
    start = time.monotonic()
    got = sent = 0
    c.sock.setblocking(False)
    cpu = cpu_seconds(sim.proc.pid)
    while got < n * 25 and time.monotonic() - start < 30:  # 16, eight hex digits and the NUL
        try:
            if sent < len(blob):
                sent += c.sock.send(blob[sent:sent + 262144])
        except BlockingIOError:
            pass
        try:
            got += len(c.sock.recv(1048576))
        except BlockingIOError:
            pass
    spent = time.monotonic() - start
    cpu = cpu_seconds(sim.proc.pid) - cpu
    st = sim.until(lambda s: s["unanswered"] == 0)
    assert st["messages"]["accepted"] == n, st["messages"]
    print(f"# {n / spent:.0f} submits/s, {n / max(cpu, 0.01):.0f} for each second of its CPU time")


test_speed.log = False
test_speed.options = ("--id-start=0x10000000",)


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def final_dump(binary):
    """SIGTERM: the list is written, what was unanswered is ambiguous, exit status 0."""
    path = tempfile.mktemp(prefix="smscsim-dump-")
    sim = Sim(binary, "--dump", path, "--delay-min-ms=60000", "--delay-max-ms", "60000")
    c = sim.client()
    c.submit("4470001", b"#1", registered=1)
    sim.until(lambda s: s["submits"] == 1)
    assert sim.end() == 0
    d = read_dump(path)
    os.unlink(path)
    assert d["4470001", "#1"]["ambiguous"] == 1


def journal_outlives_a_kill(binary):
    """SIGKILL: the next one counts the same messages, uses no id again and sends the receipts nobody acknowledged."""
    directory = tempfile.mkdtemp(prefix="smscsim-journal-")
    options = ("--journal", os.path.join(directory, "journal"), "--receipt-state", "UNDELIV:1,DELIVRD:1")
    sim, states = Sim(binary, *options), {}
    try:
        c = sim.client()
        ids = {c.submit_wait(f"447000{i}", b"#%d" % i, registered=1).cstr()[0] for i in range(1, 5)}
        acknowledged = c.delivery()["tlv"][TAG_ID]
        for _ in range(3):
            m = c.expect(DELIVER).message()  # not acknowledged
            states[m["tlv"][TAG_ID]] = m["tlv"][TAG_STATE]
        sim.until(lambda s: s["receipts_acked"] == 1)
        for part in (1, 2):
            c.submit("4470009", part_udh8(7, 2, part, b"long #9"), esm=0x40)
        sim.set(throttle_permille=1000)
        c.submit("4470005", b"#5")
        sim.until(lambda s: s["submits"] == 7)
        before = {k: v["taken"] for k, v in sim.dump().items() if v["taken"]}
        sim.proc.kill()
        sim.proc.wait(WAIT_S)
        with open(options[1], "a", encoding="ascii") as f:
            f.write("T 170000099 9 9 4 0 00")  # torn: was never answered
        sim.end()
        sim = Sim(binary, *options)
        assert {k: v["taken"] for k, v in sim.dump().items()} == before
        assert sim.stats()["messages"]["duplicate_taken"] == 0
        c, again = sim.client(), {}
        for _ in range(3):
            m = c.delivery()
            again[m["tlv"][TAG_ID]] = m["tlv"][TAG_STATE]
        assert again == states and acknowledged not in again and c.delivery(timeout=0.1) is None
        assert c.submit_wait("4470006", b"#6").cstr()[0] not in ids
        assert c.submit_wait("4470001", b"#1").status == 0
        assert sim.stats()["messages"]["duplicate_taken"] == 1
    finally:
        sim.proc.kill()
        sim.end()
        shutil.rmtree(directory)


def bad_options(binary):
    for options in (["--nonsense", "1"], ["--listen", "x"], ["--seed"], ["--password", "p"],
                    ["--throttle-permille=1001"]):
        p = subprocess.run([binary, *options], stderr=subprocess.PIPE, timeout=WAIT_S, check=False)
        assert p.returncode == 2 and p.stderr, options
    p = subprocess.run([binary, "--help"], stdout=subprocess.PIPE, timeout=WAIT_S, check=True)
    assert b"--throttle-permille" in p.stdout


def run_one(binary, test):
    sim = Sim(binary, *getattr(test, "options", ()), log=getattr(test, "log", True))
    try:
        test(sim)
    except BaseException:
        sim.proc.kill()
        sim.end()
        raise
    rc = sim.end()
    assert rc == 0, f"exit status {rc}"


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else "tests/sim/smscsim"
    wanted = sys.argv[2:]
    tests = [(f.__name__[5:], lambda f=f: run_one(binary, f))
             for n, f in list(globals().items()) if n.startswith("test_")]
    tests += [("final_dump", lambda: final_dump(binary)), ("bad_options", lambda: bad_options(binary)),
              ("journal_outlives_a_kill", lambda: journal_outlives_a_kill(binary))]
    tests = [t for t in tests if not wanted or any(w in t[0] for w in wanted)]
    print(f"1..{len(tests)}")
    failed = 0
    for i, (name, run) in enumerate(tests, 1):
        try:
            run()
            print(f"ok {i} - {name}", flush=True)
        except Exception as e:  # a failed test must not hide the others
            failed += 1
            where = e.__traceback__
            while where.tb_next:
                where = where.tb_next
            print(f"not ok {i} - {name}\n# {type(e).__name__} at line {where.tb_lineno}: {e}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
