# SPDX-License-Identifier: Apache-2.0
"""mailpeers.py - mail servers for tests of channel_email, and the driver around the plugin: Postfix's smtp-sink, a private Postfix that
makes real bounces, a small SMTP server that speaks TLS and AUTH and misbehaves on command. Loopback only; ends only what it started,
by pid; every wait has a deadline. Standard library only."""
import base64
import json
import os
import pwd
import queue
import shutil
import socket
import socketserver
import ssl
import subprocess
import threading
import time

WAIT_S = 30.0
SBIN = "/usr/sbin"


def tool(name):
    return shutil.which(name) or shutil.which(os.path.join(SBIN, name))


_held = []


def free_port():
    """It stays bound, without listening, until this process ends: so the kernel gives it to nobody else, neither for a server nor for a connection, and
    who connects too early is refused. A server that sets SO_REUSEADDR can still bind it (socket(7)); Postfix and socketserver do."""
    s = socket.socket()
    _held.append(s)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("127.0.0.1", 0))
    return s.getsockname()[1]


def until(what, check, seconds=WAIT_S):
    end = time.monotonic() + seconds
    while True:
        found = check()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError("not within %d s: %s" % (seconds, what))
        time.sleep(0.02)


def certificate(folder, name="localhost"):
    """(certificate, key), signed by itself, for `name` and 127.0.0.1."""
    cert, key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=" + name,
                    "-addext", "subjectAltName=DNS:%s,IP:127.0.0.1" % name, "-keyout", key, "-out", cert], check=True, stderr=subprocess.DEVNULL, timeout=60)
    return cert, key


def end(process):
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


class Driver:
    """tests/contract/email_driver with one instance named "mail"."""

    def __init__(self, build, credentials, **options):
        plugin = os.path.join(build, "plugins/channel_email/.libs/channel_email.so")
        secret = os.path.join(credentials, "token.secret")
        if not os.path.exists(secret):
            with open(secret, "w", encoding="ascii", opener=lambda p, f: os.open(p, f, 0o600)) as f:
                f.write("a secret of the tests, long enough")
        options = {"host": "127.0.0.1", "tls": "none", "from": "news@shop.example", "token_secret": "token.secret", "callback_allow": "127.0.0.0/8", **options}
        self.process = subprocess.Popen([os.path.join(build, "tests/contract/email_driver"), plugin, credentials] + ["%s=%s" % o for o in options.items()],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, encoding="ascii")
        self.events, self.seen = queue.Queue(), []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        first = self.event("ready", "refused")
        self.refusal = first if first["event"] == "refused" else None
        self.port = first.get("callback")

    def _read(self):
        for line in self.process.stdout:
            self.events.put(json.loads(line))
        self.events.put({"event": "end"})

    def event(self, *names, seconds=WAIT_S, where=lambda e: True):
        """The next event of these names; others are kept for later."""
        for i, e in enumerate(self.seen):
            if e["event"] in names and where(e):
                return self.seen.pop(i)
        limit = time.monotonic() + seconds
        while True:
            try:
                e = self.events.get(timeout=max(0.01, limit - time.monotonic()))
            except queue.Empty:
                raise AssertionError("no %s within %d s; came: %s" % ("/".join(names), seconds, self.seen[-5:])) from None
            if e["event"] in names and where(e):
                return e
            if e["event"] == "end":
                raise AssertionError("the driver ended with %s; came: %s" % (self.process.wait(10), self.seen[-5:]))
            self.seen.append(e)

    def none_of(self, name):
        while not self.events.empty():
            self.seen.append(self.events.get())
        return not any(e["event"] == name for e in self.seen)

    def do(self, word, **more):
        self.process.stdin.write(json.dumps({"do": word, **more}) + "\n")
        self.process.stdin.flush()

    def ask(self, word, answer, **more):
        self.do(word, **more)
        return self.event(answer)

    def send(self, to="ann@a.example", parts=None, **more):
        more = {"submit_ms": 20000, **more}
        self.do("send", to=to, parts=parts or [{"role": "subject", "body": "Hello"}, {"role": "text", "body": "A text.\n"}], **more)
        n = self.event("sent")["n"]
        if n != more.get("n", 1):
            raise AssertionError("%d of %d taken: %s" % (n, more.get("n", 1), self.ask("stats", "stats")))

    def result(self, to="ann@a.example", parts=None, **more):
        self.send(to, parts, **more)
        return self.event("result")

    def set(self, **switches):
        """Obeyed when this returns: commands are taken one after the other."""
        self.do("set", **switches)
        self.ask("stats", "stats")

    def results(self, n, **more):
        return [self.event("result", **more) for _ in range(n)]

    def up(self):
        return until("the route is up", lambda: (lambda s: s if s["up"] else None)(self.ask("stats", "stats")))

    def close(self):
        """Exit status: a sanitizer's report makes it non-zero."""
        if self.process.poll() is None:
            self.process.stdin.close()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
        self.reader.join(10)
        self.process.stdout.close()
        return self.process.returncode


class Sink:
    """Postfix's smtp-sink."""

    def __init__(self, *switches, folder=None):
        self.port, self.folder = free_port(), folder
        args = [tool("smtp-sink"), "-4"]
        if os.geteuid() == 0:
            args += ["-u", "nobody"]
        if folder:
            os.chmod(os.path.dirname(folder), 0o755)
            os.makedirs(folder, exist_ok=True)
            os.chmod(folder, 0o777)
            args += ["-d", os.path.join(folder, "%M.")]
        self.process = subprocess.Popen(args + list(switches) + ["127.0.0.1:%d" % self.port, "256"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until("smtp-sink listens", self.listens, 10)

    def listens(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def mails(self):
        found = []
        for name in sorted(os.listdir(self.folder)):
            with open(os.path.join(self.folder, name), "rb") as f:
                found.append(f.read())
        return found

    def close(self):
        end(self.process)


class Session(socketserver.StreamRequestHandler):
    timeout = 20

    def say(self, text):
        self.wfile.write(text.encode() + b"\r\n")

    def act(self, verb, argument, standard):
        """What the test wants here: an answer, "CLOSE", "HANG", or nothing special."""
        told = self.server.answer(verb, argument, self) if self.server.answer else None
        if told == "CLOSE":
            raise ConnectionAbortedError
        if told == "HANG":
            self.server.release.wait(20)
            raise ConnectionAbortedError
        self.say(told or standard)
        return told or standard

    def handle(self):
        s = self.server
        with s.lock:
            s.sessions += 1
            self.number = s.sessions
            s.connections.append(self.connection)
        self.mails, self.secure, self.user = 0, False, None
        if s.tls == "implicit":
            self.wrap()
        try:
            self.act("GREETING", "", "220 tiny.test ESMTP")
            while self.one():
                pass
        except (OSError, ssl.SSLError):
            pass

    def wrap(self):
        self.connection = self.server.context.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", buffering=0)
        self.secure = True

    def one(self):
        line = self.rfile.readline(2000)
        if not line:
            return False
        verb, _, argument = line.decode("utf-8", "replace").strip().partition(" ")
        verb = verb.upper()
        with self.server.lock:
            self.server.commands.append((self.number, verb, argument))
        return getattr(self, "on_" + verb.lower(), self.on_other)(verb, argument)

    def on_other(self, verb, argument):
        self.act(verb, argument, "250 2.0.0 Ok")
        return True

    def on_ehlo(self, verb, argument):
        words = ["tiny.test", "PIPELINING", "SIZE 52428800", "8BITMIME", "ENHANCEDSTATUSCODES"]
        if self.server.tls == "starttls" and not self.secure:
            words.append("STARTTLS")
        if self.server.auth and (self.secure or self.server.auth_in_clear):
            words.append("AUTH PLAIN LOGIN")
        self.act(verb, argument, "\r\n".join("250%s%s" % ("-" if i + 1 < len(words) else " ", w) for i, w in enumerate(words)))
        return True

    def on_starttls(self, verb, argument):
        self.act(verb, argument, "220 2.0.0 Ready")
        self.wrap()
        return True

    def on_auth(self, verb, argument):
        how, _, first = argument.partition(" ")
        if how.upper() == "PLAIN":
            if not first:
                self.say("334 ")
                first = self.rfile.readline(2000).decode().strip()
            _, user, password = base64.b64decode(first).decode().split("\0")
        else:
            self.say("334 VXNlcm5hbWU6")
            user = base64.b64decode(self.rfile.readline(2000)).decode()
            self.say("334 UGFzc3dvcmQ6")
            password = base64.b64decode(self.rfile.readline(2000)).decode()
        ok = self.server.auth.get(user) == password
        self.user = user if ok else None
        self.act(verb, how.upper(), "235 2.7.0 Ok" if ok else "535 5.7.8 Bad credentials")
        return True

    def on_mail(self, verb, argument):
        self.sender = argument
        self.act(verb, argument, "250 2.1.0 Ok" if not self.server.auth or self.user else "530 5.7.0 Log in first")
        return True

    def on_rcpt(self, verb, argument):
        self.recipient = argument.split("<")[1].split(">")[0]
        self.act(verb, self.recipient, "250 2.1.5 Ok")
        return True

    def on_data(self, verb, argument):
        if self.act(verb, argument, "354 Go")[0] != "3":
            return True
        data = b""
        while not data.endswith(b"\r\n.\r\n"):
            more = self.rfile.readline(200000)
            if not more:
                return False
            data += more
        self.mails += 1
        with self.server.lock:
            self.server.mails.append({"from": self.sender, "to": self.recipient, "data": data[:-3], "session": self.number, "tls": self.secure, "user": self.user})
        self.act("DOT", self.recipient, "250 2.0.0 Ok: queued as T%d" % len(self.server.mails))
        return True

    def on_quit(self, verb, argument):
        self.act(verb, argument, "221 2.0.0 Bye")
        return False


class Tiny(socketserver.ThreadingTCPServer):
    """A small SMTP server. answer(verb, argument, session) may return another answer, "CLOSE" or "HANG"."""
    daemon_threads, allow_reuse_address, request_queue_size = True, True, 64

    def __init__(self, tls="none", files=None, auth=None, auth_in_clear=False, answer=None, port=0):
        super().__init__(("127.0.0.1", port), Session)
        self.tls, self.auth, self.auth_in_clear, self.answer = tls, auth, auth_in_clear, answer
        self.context = None
        if files:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*files)
        self.lock, self.release = threading.Lock(), threading.Event()
        self.sessions, self.mails, self.commands, self.connections = 0, [], [], []
        self.port = self.server_address[1]
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    def handle_error(self, request, client_address):
        pass  # a client that hangs up is no news

    def verbs(self):
        with self.lock:
            return [v for _, v, _ in self.commands]

    def close(self):
        self.release.set()
        self.shutdown()
        self.server_close()
        self.thread.join(10)


class Postfix:
    """A Postfix of its own, loopback only: takes mail on a port, gives everything to `next_hop`, bounces to a pipe. Needs root: its
    master process changes users. The pipe command is the one of plugins/channel_email/README.md."""

    @staticmethod
    def why_not():
        if not tool("postfix"):
            return "postfix is not installed"
        if os.geteuid() != 0:
            return "a private Postfix needs root"
        try:
            pwd.getpwnam("postfix")
        except KeyError:
            return "there is no user postfix"
        return None

    def __init__(self, folder, next_hop, bounce_domain, pipe, port):
        self.port, self.folder = port, folder
        os.chmod(folder, 0o755)
        self.conf, spool, data = (os.path.join(folder, n) for n in ("conf", "spool", "data"))
        for d in (self.conf, spool, data):
            os.makedirs(d)
        shutil.chown(data, "postfix")
        main = """compatibility_level = 3.6
queue_directory = %s
data_directory = %s
command_directory = %s
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mx.test
mydestination =
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
default_transport = smtp:[127.0.0.1]:%d
smtp_tls_security_level = none
transport_maps = inline:{ { %s = campgw: } }
campgw_destination_recipient_limit = 1
disable_dns_lookups = yes
maillog_file = %s/mail.log
maillog_file_prefixes = /tmp, /var
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 2s
transport_retry_time = 1s
""" % (spool, data, SBIN, next_hop, bounce_domain, folder)
        master = """127.0.0.1:%d inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
%s
""" % (self.port, pipe)
        for name, text in (("main.cf", main), ("master.cf", master)):
            with open(os.path.join(self.conf, name), "w", encoding="ascii") as f:
                f.write(text)
        self.run("start")
        until("postfix listens", self.listens, 20)

    def run(self, word):
        done = subprocess.run([tool("postfix"), "-c", self.conf, word], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True, timeout=60)
        if done.returncode:
            raise RuntimeError("postfix %s: %s" % (word, done.stdout))

    def listens(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def log(self):
        try:
            with open(os.path.join(self.folder, "mail.log"), encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return "(no log)"

    def close(self):
        self.run("stop")
