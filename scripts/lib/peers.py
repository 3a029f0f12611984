# SPDX-License-Identifier: Apache-2.0
"""peers.py - the other three peers of a private installation beside the message centre: MMSC, smarthost with mailboxes, telephone network; each
in the manner of stack.Simulator, and what the daemon's configuration says about them.

Peers count on their own. `reached()` of each is what went in since it started, by person: callers compare two of them, because the peers
live as long as the installation and count everything sent through it. Knows no campaign.
"""
import collections
import contextlib
import os
import shutil
import socket
import sys

import stack

USER, PASSWORD = "mmsc", "heron7"
TOKEN_SECRET = "mailbox links are signed with this 3e1f"  # of a private installation on loopback
SENDER = "10690"
CALLS, CALLS_PER_S = 60, 30  # what one core of the simulated network carries beside everything else
PLUGINS = ("channel_mms", "channel_email", "channel_ivr")
GONE, LEAVES = "gone.", "leaves."  # begin the address of a mailbox that does not exist, and of a person who unsubscribes


def rows(sim):
    """Lines of a simulator's dump, cut at tabs."""
    path = os.path.join(sim.dir, "sim.messages")
    sim.ctl("dump " + path)
    with open(path, encoding="utf-8") as f:
        return [line.rstrip("\n").split("\t") for line in f]


class Centre:
    """The message centre as the others are asked."""
    channel = "sms"

    def __init__(self, sim):
        self.sim = sim

    def reached(self):
        return collections.Counter({"+" + m.dest: n for m in self.sim.messages() if (n := m.taken)})

    def complaints(self):
        return self.sim.stats()["complaints_total"]


class Mmsc(stack.Simulator):
    """tests/sim/mmscsim."""
    name, channel, wanted, always = "mmsc", "mms", 8541, ()

    def reached(self):
        total = collections.Counter()
        for dest, _key, _accepted, _refused, _ambiguous, taken in rows(self):
            total[dest if dest.startswith("+") else "+" + dest] += int(taken)
        return +total

    def complaints(self):
        stats = self.stats()
        return stats["complaints_total"] + stats["echo_wrong"]

    def call_back(self, base):
        self.set(callback=base + "mmsc/mm7", callback_auth="%s:%s" % (USER, PASSWORD))

    def instance(self):
        return {"name": "mmsc", "plugin": "channel_mms", "url": "http://127.0.0.1:%d/mm7" % self.port, "vaspid": "campgw", "default_sender": SENDER, "region": "CN",
                "expiry_min_ms": 1000, "window": 16, "callback_user": USER, "callback_password": "mmsc.callback", "callback_allow": ["10.0.0.1/32"]}


class Script(stack.Simulator):
    """Those written in Python run as they are; by the system's Python, because one in a home folder is out of an unprivileged user's reach."""
    always = ()

    def command(self):
        return [shutil.which("python3", path="/usr/local/bin:/usr/bin:/bin") or sys.executable, "-B", self.program]


class Mail(Script):
    """tests/sim/mailsim.py."""
    name, channel, wanted = "mail", "email", 8525
    always = ("--bounce", GONE + "*=5.1.1", "--click", LEAVES + "*")

    def reached(self):
        total = collections.Counter()
        for address, _message_id, copies in rows(self):
            total[address] += int(copies)
        return total

    def complaints(self):
        return sum(c["count"] for c in self.stats()["complaints"].values())

    def call_back(self, base):
        # the link names the public server; in front of the gateway there is none here
        self.set(report_url=base + "mail/report", link_base=base + "mail/u")

    def instance(self):
        return {"name": "mail", "plugin": "channel_email", "host": "127.0.0.1", "port": self.port, "tls": "none", "from": "news@shop.example", "from_name": "The Shop",
                "bounce_domain": "b.shop.example", "token_secret": "mail.token", "unsubscribe_url": "https://mail.shop.example/cb/mail/u", "callback_allow": ["127.0.0.1"],
                "domain_limits": ["*=1000/s:8"]}


class Phones(Script):
    """tests/sim/ivrsim.py: by the last digit of the number people press 1 (most), 2 or 9, are busy or do not answer."""
    name, channel, wanted = "phones", "voice", 8560

    def calls(self):
        """(number, calls, answered, keys)"""
        return [("+" + w[0].lstrip("+"), int(w[1]), int(w[2]), w[3].replace("-", "")) for w in rows(self)]

    def reached(self):
        return collections.Counter({number: n for number, n, _, _ in self.calls()})

    def complaints(self):
        return sum(self.stats()["complaints"].values())

    def call_back(self, base):
        """Telephones answer within the call."""

    def instance(self):
        # busy and no answer are final: a campaign of a minute does not ring twice
        return {"name": "phones", "plugin": "channel_ivr", "trunks": ["127.0.0.1:%d;calls=%d;cps=%d" % (self.port, CALLS, CALLS_PER_S)], "sip_address": "127.0.0.1", "caller_id": SENDER,
                "voice": "en", "retry_busy_s": 0, "retry_no_answer_s": 0}


class Peers:
    def __init__(self, programs, directory, ports=0):
        """`ports`: the first of four ports of its own, instead of the usual ones."""
        self.missing = [p for p in PLUGINS if not os.path.exists(os.path.join(programs.plugins, p + ".so"))]
        side = os.path.dirname(programs.simulator)
        self.mmsc = Mmsc(os.path.join(side, "mmscsim"), os.path.join(directory, "mmsc"))
        self.mail = Mail(os.path.join(side, "mailsim.py"), os.path.join(directory, "mail"))
        self.phones = Phones(os.path.join(side, "ivrsim.py"), os.path.join(directory, "phones"))
        self.all = (self.mmsc, self.mail, self.phones)
        self.port_file = os.path.join(directory, "callback.port")
        self.callback, self.callback_wanted = 0, ports + 3 if ports else 8441
        for i, sim in enumerate(self.all if ports else ()):
            sim.wanted = ports + i

    def start(self, gateway):
        """Those that do not run, on the ports they had before; and what the gateway must know of them."""
        if self.missing:
            raise stack.StackError("not built: %s; see the end of configure's output for what it lacks" % " ".join(self.missing))
        self.callback = self._callback(gateway)
        for sim in self.all:
            if not sim.process.pid:
                with contextlib.suppress(OSError, ValueError):
                    sim.wanted = sim.port
                sim.start(port=stack.free_port(sim.wanted, socket.SOCK_DGRAM if sim is self.phones else socket.SOCK_STREAM, sim.dir))
            sim.call_back("http://127.0.0.1:%d/cb/" % self.callback)
        for name, text in (("mmsc.callback", PASSWORD), ("mail.token", TOKEN_SECRET)):
            stack.write_file(os.path.join(gateway.credentials, name), text + "\n", gateway.who, 0o600)

    def _callback(self, gateway):
        port = self.callback_wanted
        with contextlib.suppress(OSError, ValueError), open(self.port_file, encoding="ascii") as f:
            port = int(f.read())
            if gateway.process.pid:
                return port  # it listens there
        port = stack.free_port(port, holder=self.port_file)
        stack.write_file(self.port_file, "%d\n" % port)
        return port

    def extend(self, settings):
        """The configuration with these three instances and the callback listener."""
        return {**settings, "callback": {"listen": "127.0.0.1", "port": self.callback}, "instances": settings["instances"] + [sim.instance() for sim in self.all]}

    def stop(self):
        for sim in self.all:
            sim.stop()
