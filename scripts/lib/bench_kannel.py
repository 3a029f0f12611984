# SPDX-License-Identifier: Apache-2.0
"""bench_kannel.py - the same messages through Kannel and through campgw, in turns, on the same cores: the row `kannel` of scripts/bench.

Kannel is Debian's package: bearerbox with its spool store and internal receipt storage, smsbox, one HTTP request and one called-back
receipt per message. Each has a simulator of its own with the same settings. Of campgw the upload is counted as well. Kannel has one bind:
more make it no faster, and receipts that overtake the answer to their submit on another connection are lost there. What is lost is a figure.
"""
import json
import os
import subprocess
import urllib.parse

import benchkit as kit
import stack

CONNECTIONS = 32
CONF = """group = core
admin-port = {admin}
admin-password = bench
smsbox-port = {box}
box-allow-ip = 127.0.0.1
store-type = spool
store-location = "{dir}/spool"
dlr-storage = internal
log-file = "{dir}/bearerbox.log"
log-level = 2

group = smsc
smsc = smpp
host = 127.0.0.1
port = {smsc}
transceiver-mode = true
smsc-username = {user}
smsc-password = {password}
system-type = ""
max-pending-submits = 100

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {http}
global-sender = 10690
log-file = "{dir}/smsbox.log"
log-level = 2

group = sendsms-user
username = bench
password = bench
max-messages = 1

group = sms-service
keyword = default
text = ""
max-messages = 0
"""


class Kannel:
    """bearerbox and smsbox in a folder of their own, at a simulator of their own."""

    def __init__(self, gw):
        self.gw, self.dir = gw, gw.path("kannel")
        self.prefix, self.who = stack.servant()
        self.sim = stack.Simulator(gw.programs.simulator, gw.path("kannel-sim"))
        self.boxes = [stack.Process(name, os.path.join(self.dir, name + ".pid"), os.path.join(self.dir, name + ".out")) for name in ("bearerbox", "smsbox")]
        self.ports = {}

    def __enter__(self):
        stack.make_dir(self.dir, self.who)
        stack.make_dir(os.path.join(self.dir, "spool"), self.who)
        self.sim.start(**self.gw.knobs)
        for name in ("admin", "box", "http", "sink"):
            self.ports[name] = stack.free_port()
        conf = os.path.join(self.dir, "kannel.conf")
        stack.write_file(conf, CONF.format(dir=self.dir, smsc=self.sim.port, user=stack.SMPP_ID, password=stack.SMPP_PASSWORD, **self.ports),
                         self.who)
        try:
            for box, port, ready in zip(self.boxes, ("box", "http"), (self.bound, None)):
                box.spawn(self.prefix + ["/usr/sbin/" + box.name, "-v", "4", conf])
                if not stack.wait_until(lambda p=port: self.listens(p), stack.START_S) or (ready and not stack.wait_until(ready, stack.START_S)):
                    box.fail("does not start")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for box in reversed(self.boxes):
            box.stop(10)
        self.sim.stop()

    def listens(self, name):
        with open("/proc/net/tcp", encoding="ascii") as f:
            return any(line.split()[1].endswith(":%04X" % self.ports[name]) and line.split()[3] == "0A" for line in f.readlines()[1:])

    def bound(self):
        return self.sim.stats()["bound"] == 1

    def cpu(self):
        return [kit.cpu_us(box.pid) for box in self.boxes]

    def send(self, first, n):
        """n messages from number `first` on; rate, CPU of both boxes per message."""
        self.sim.ctl("reset")
        query = urllib.parse.urlencode({"username": "bench", "password": "bench", "from": "10690", "dlr-mask": 3, "dlr-url": "http://127.0.0.1:%d/r" % self.ports["sink"]})
        # %d is filled in by the program: people of this round begin with its number
        path = "/cgi-bin/sendsms?%s&to=%%2B86138%d%%d&text=benchmark+%%23%d%%d" % (query, first, first)
        before = self.cpu()
        done = subprocess.run([os.path.join(self.gw.opts.build, "tests/stress/http_pump"), str(self.ports["http"]), str(n), str(CONNECTIONS), str(self.ports["sink"]),
                               str(self.gw.opts.timeout), path], capture_output=True, text=True, check=False)
        used = sum(b - a for a, b in zip(before, self.cpu())) / n
        stats = self.sim.stats()
        if done.returncode or stats["messages"]["unique"] != n:
            raise stack.StackError("Kannel: %s %s of %d; the simulator counted %s" % (done.stdout.strip(), done.stderr.strip()[-300:], n, stats["messages"]),
                                   self.boxes[0].log_path)
        seconds = max(stats["last_submit_ms"] - stats["first_submit_ms"], 1) / 1000
        self.gw.say("kannel     %s messages in %.2f s, CPU %.1f µs a message" % (format(n, ","), seconds, used))
        return n / seconds, used, n - json.loads(done.stdout)["called_back"]


def upload_and_send(gw, people, n):
    before = sum(gw.cpu()[:2])
    aud, _ = gw.audience(people)
    sent = gw.send(aud, n)
    return sent.figures["contacts_per_s_with_receipts"], (sum(gw.cpu()[:2]) - before) / n, 0  # it ends when every receipt is there


def kannel(opts):
    """A B A B A B …; medians."""
    n = opts.contacts
    with kit.Installation(opts, receipt_delay_min_ms=50, receipt_delay_max_ms=500) as gw:
        gw.rules(cap=1000)  # nobody is held: both send the same number
        gw.base(n * opts.rounds)
        with Kannel(gw) as other:
            ours, theirs = [], []
            for k in range(opts.rounds):
                ours.append(upload_and_send(gw, range(k * n, (k + 1) * n), n))
                theirs.append(other.send(k, n))
            rate = [kit.median(r[0] for r in runs) for runs in (ours, theirs)]
            cpu = [kit.median(r[1] for r in runs) for runs in (ours, theirs)]
            return {"contacts_per_s": round(rate[0]), "kannel_messages_per_s": round(rate[1]), "rate_ratio": round(rate[0] / rate[1], 2),
                    "cpu_us_per_contact_product": round(cpu[0], 1), "cpu_us_per_message_kannel": round(cpu[1], 1), "cpu_ratio": round(cpu[0] / cpu[1], 3),
                    "receipts_lost_by_kannel": sum(r[2] for r in theirs),
                    "rss_peak_bytes_daemon": kit.rss_peak(gw.pid), "rss_peak_bytes_kannel": sum(kit.rss_peak(b.pid) for b in other.boxes)}
