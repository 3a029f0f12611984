# SPDX-License-Identifier: Apache-2.0
"""stack.py - the parts a private campgw installation is made of: PostgreSQL cluster, message centre simulator, daemon, HTTP.

Used by scripts/quickstart, scripts/bench and tests/scenario; Python standard library only. Everything lives in one directory that
the caller names (socket paths end at 107 bytes, so keep it short), listens on loopback or on unix sockets only, and is ended by the
process ids started here, never by a name. As root the servers run as user `postgres`: initdb refuses root, and the daemon needs no
privilege. Knows no campaign: what is sent is the caller's business.
"""
import collections
import contextlib
import glob
import http.client
import json
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
START_S = 30  # longest wait for anything to come up
SMPP_ID, SMPP_PASSWORD = "campgw", "tulip42"


class StackError(Exception):
    """Says what went wrong and carries the end of the log that tells why."""

    def __init__(self, text, log=None):
        super().__init__(text)
        self.log = log


def tail(path, lines=20):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return "".join(collections.deque(f, lines))
    except OSError:
        return ""


def sanitizer_says(path, lines=60):
    """The first report of a sanitizer in a log, "" when there is none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            text = f.read()
    except OSError:
        return ""
    found = re.search(r"^.*(?:(?:ERROR|WARNING): \w+Sanitizer|: runtime error: )", text, re.M)
    return "\n".join(text[found.start():].splitlines()[:lines]) if found else ""


def pg_bin():
    """Directory of initdb and postgres; $PGBIN wins, else the newest server that Debian's packages put there."""
    if os.environ.get("PGBIN"):
        return os.environ["PGBIN"]
    found = [d for d in glob.glob("/usr/lib/postgresql/*/bin") if os.path.exists(os.path.join(d, "initdb"))]
    if found:
        return max(found, key=lambda d: int(d.split("/")[4]) if d.split("/")[4].isdigit() else 0)
    if shutil.which("initdb"):
        return os.path.dirname(os.path.realpath(shutil.which("initdb")))
    raise StackError("no PostgreSQL server found: install postgresql-15 or set PGBIN")


def servant():
    """(command prefix, account) under which servers run: nothing and ourselves, or as root user postgres."""
    if os.geteuid() != 0:
        return [], pwd.getpwuid(os.geteuid())
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            who = pwd.getpwnam(name)
            return ["setpriv", "--reuid=%d" % who.pw_uid, "--regid=%d" % who.pw_gid, "--clear-groups", "--no-new-privs"], who
    raise StackError("root needs an unprivileged account (postgres or nobody) to run the servers")


def make_dir(path, who, mode=0o755):
    os.makedirs(path, exist_ok=True)
    os.chmod(path, mode)
    if os.geteuid() == 0:
        os.chown(path, who.pw_uid, who.pw_gid)
    return path


def copy_dir(prefix, old, new):
    """By the account that reads and owns both."""
    done = subprocess.run([*prefix, "cp", "-a", "--reflink=auto", old, new], cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=120, check=False)
    if done.returncode:
        raise StackError("copying %s: %s" % (old, done.stdout.strip()[-500:]))


def write_file(path, text, who=None, mode=0o644):
    """Whole or not at all."""
    tmp = path + ".tmp"
    fd = os.open(tmp, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(fd, "w", encoding="utf-8") as f:
        os.fchmod(fd, mode)
        if who and os.geteuid() == 0:
            os.fchown(fd, who.pw_uid, who.pw_gid)
        f.write(text)
    os.rename(tmp, path)


_promised = {}  # (kind, port) -> holder: what free_port() gave away in this process; it may be bound much later, so looking is not enough


def free_port(wanted=0, kind=socket.SOCK_STREAM, holder=None):
    """`wanted` or the next free port after it; 0 = any. It is promised to `holder`: nobody else gets it from here any more, the holder gets it again."""
    holder = holder or object()
    for port in [0] * 100 if wanted == 0 else list(range(wanted, wanted + 100)) + [0] * 100:
        with socket.socket(type=kind) as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
            port = s.getsockname()[1]
        if _promised.setdefault((kind, port), holder) == holder:
            return port
    raise StackError("no free port on 127.0.0.1")


def wait_until(condition, timeout_s, pause_s=0.02):
    """The first true answer of condition(), None when there was none in time."""
    end = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            return None
        time.sleep(pause_s)


# ---- processes ---------------------------------------------------------------------------------------------------------------


def start_ticks(pid):
    """When the kernel started this process (proc(5), stat field 22): with the pid it names one process for ever."""
    try:
        with open("/proc/%d/stat" % pid, encoding="ascii", errors="replace") as f:
            fields = f.read().rpartition(")")[2].split()
        return None if fields[0] in "ZX" else int(fields[19])
    except (OSError, ValueError, IndexError):
        return None


class Process:
    """One server, found again by another run through its pid file (pid and start time)."""

    def __init__(self, name, pid_path, log_path):
        self.name, self.pid_path, self.log_path = name, pid_path, log_path
        self.child = None

    def _known(self):
        try:
            with open(self.pid_path, encoding="ascii") as f:
                pid, ticks = (int(word) for word in f.read().split())
            return pid, ticks
        except (OSError, ValueError):
            return None

    @property
    def pid(self):
        """None unless it runs and is the one we started."""
        if self.child:
            self.child.poll()  # reaps it, so that a dead child does not look alive
        known = self._known()
        return known[0] if known and start_ticks(known[0]) == known[1] else None

    def spawn(self, argv, env=None):
        with open(self.log_path, "ab") as log:
            self.child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/",
                                          env={**os.environ, **(env or {})})
        write_file(self.pid_path, "%d %d\n" % (self.child.pid, start_ticks(self.child.pid) or 0))

    def signal(self, number):
        pid = self.pid
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        return pid is not None

    def wait_gone(self, timeout_s):
        return wait_until(lambda: self.pid is None, timeout_s) is not None

    def stop(self, timeout_s=20):
        """TERM, and KILL when that is not heard; True when it went by itself."""
        polite = True
        if self.signal(signal.SIGTERM) and not self.wait_gone(timeout_s):
            polite = False
            self.signal(signal.SIGKILL)
            self.wait_gone(timeout_s)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.pid_path)
        return polite

    def kill(self):
        self.signal(signal.SIGKILL)
        self.wait_gone(20)

    def fail(self, what):
        raise StackError("%s %s; its log ends: %s" % (self.name, what, tail(self.log_path, 3).strip()), self.log_path)


# ---- PostgreSQL --------------------------------------------------------------------------------------------------------------

SETTINGS = {
    # one private cluster on a unix socket; the measured settings of conf/postgresql-campgw.conf, scaled to a laptop
    "listen_addresses": "''", "max_connections": "80", "shared_buffers": "256MB", "wal_compression": "lz4", "max_wal_size": "2GB",
    "checkpoint_timeout": "15min", "jit": "off", "max_parallel_workers_per_gather": "0", "work_mem": "32MB", "random_page_cost": "1.1",
    "logging_collector": "off", "timezone": "UTC", "log_timezone": "UTC",
}


class Cluster:
    def __init__(self, directory, durable=True, settings=None):
        self.dir, self.durable, self.settings = directory, durable, settings or {}
        self.prefix, self.who = servant()
        self.bin = pg_bin()
        self.data, self.sockets, self.log = (os.path.join(directory, n) for n in ("data", "s", "postgresql.log"))

    def _run(self, argv, timeout_s=120):
        done = subprocess.run(self.prefix + argv, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=timeout_s, check=False)
        if done.returncode:
            raise StackError("%s failed: %s" % (os.path.basename(argv[0]), done.stdout.strip()[-1500:]), self.log)
        return done.stdout

    def create(self, model=None):
        """initdb, or a copy of `model`, a cluster that was stopped; unless it was done before. True when it was done now."""
        make_dir(self.dir, self.who)
        make_dir(self.sockets, self.who, 0o711)
        if os.path.exists(os.path.join(self.data, "PG_VERSION")):
            return False
        if model:
            copy_dir(self.prefix, model.data, self.data)
        else:
            # trust: whoever reaches the socket is in; the folder is the lock, and roles still bound what each connection may do
            self._run([os.path.join(self.bin, "initdb"), "-N", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "-D", self.data])
        settings = {**SETTINGS, **self.settings, "unix_socket_directories": "'%s'" % self.sockets}
        if not self.durable:
            settings.update({"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"})
        with open(os.path.join(self.data, "postgresql.conf"), "a", encoding="ascii") as f:  # of a setting that stands there twice the last one counts
            f.writelines("%s = %s\n" % kv for kv in settings.items())
        return True

    def running(self):
        done = subprocess.run(self.prefix + [os.path.join(self.bin, "pg_ctl"), "-D", self.data, "status"], cwd="/", capture_output=True,
                              timeout=30, check=False)
        return done.returncode == 0

    def start(self):
        if not self.running():
            self._run([os.path.join(self.bin, "pg_ctl"), "-w", "-t", "30", "-D", self.data, "-l", self.log, "start"])

    def stop(self, mode="fast"):
        if os.path.exists(os.path.join(self.data, "postmaster.pid")) and self.running():
            self._run([os.path.join(self.bin, "pg_ctl"), "-w", "-t", "30", "-m", mode, "-D", self.data, "stop"])

    def conninfo(self, user="campgw", database="campgw"):
        return "host=%s user=%s dbname=%s" % (self.sockets, user, database)

    def sql(self, text, user="postgres", database="campgw", timeout_s=120):
        """Rows as lists of texts."""
        out = self._run([os.path.join(self.bin, "psql"), "-qXAt", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-c", "SET search_path = campgw, public",
                         "-c", text, self.conninfo(user, database)], timeout_s)
        return [line.split("\t") for line in out.splitlines()]

    def exists(self, database="campgw"):
        return bool(self.sql("SELECT 1 FROM pg_database WHERE datname = '%s'" % database, database="postgres"))

    def schema(self, database="campgw"):
        """What pg_dump says of it, without the words that it makes up for each dump."""
        text = self._run([os.path.join(self.bin, "pg_dump"), "--schema-only", self.conninfo("postgres", database)])
        return "\n".join(line for line in text.splitlines() if not line.startswith(("\\restrict", "\\unrestrict")))

    def cpu_ticks(self):
        """CPU of the whole cluster so far, in clock ticks: the postmaster, its dead children and its living ones."""
        with open(os.path.join(self.data, "postmaster.pid"), encoding="ascii") as f:
            head = int(f.readline())
        return sum(ticks for pid, ticks in all_ticks() if pid == head or parent_of(pid) == head)


def stat_fields(pid):
    try:
        with open("/proc/%s/stat" % pid, encoding="ascii", errors="replace") as f:
            return f.read().rpartition(")")[2].split()
    except OSError:
        return None


def parent_of(pid):
    fields = stat_fields(pid)
    return int(fields[1]) if fields else None


def rss_anon(pid):
    """Bytes of a process that are its own: no files, nothing shared."""
    with open("/proc/%d/status" % pid, encoding="ascii", errors="replace") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith("RssAnon:"))


def sanitized(pid):
    """Does gcc's AddressSanitizer or ThreadSanitizer watch this process?"""
    with open("/proc/%d/maps" % pid, encoding="utf-8", errors="replace") as f:
        return any("/libasan.so" in line or "/libtsan.so" in line for line in f)


def all_ticks():
    for name in os.listdir("/proc"):
        if name.isdigit():
            fields = stat_fields(int(name))
            if fields:
                yield int(name), sum(int(x) for x in fields[11:15])  # utime, stime, and those of reaped children


# ---- simulator ---------------------------------------------------------------------------------------------------------------


class Simulator:
    """tests/sim/smscsim; its switches are described in tests/sim/README.md. Other peers are peers.py's: the same life, other switches."""
    name = "simulator"
    always = ("--system-id", SMPP_ID, "--password", SMPP_PASSWORD)

    def __init__(self, program, directory):
        self.program, self.dir = program, directory
        self.prefix, self.who = servant()
        self.control, self.port_file = os.path.join(directory, "sim.ctl"), os.path.join(directory, "sim.port")
        self.process = Process(self.name, os.path.join(directory, "sim.pid"), os.path.join(directory, "sim.log"))
        self.sock = self.reader = None

    def command(self):
        """The first words of its command line."""
        return [self.program]

    def start(self, port=0, **knobs):
        make_dir(self.dir, self.who)
        for path in (self.port_file, self.control):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        self.close()
        argv = [*self.command(), "--listen", "127.0.0.1:%d" % port, "--port-file", self.port_file, "--control", self.control, *self.always]
        for knob, value in knobs.items():
            argv += ["--" + knob.replace("_", "-"), str(value)]
        self.process.spawn(self.prefix + argv)
        if not wait_until(lambda: os.path.exists(self.port_file) or not self.process.pid, START_S) or not self.process.pid:
            self.process.fail("does not start")

    @property
    def port(self):
        with open(self.port_file, encoding="ascii") as f:
            return int(f.read())

    def close(self):
        if self.sock:
            self.reader.close()
            self.sock.close()
            self.sock = self.reader = None

    def ctl(self, line, timeout_s=20):
        """The answer of one control command; StackError with its reason when it is refused."""
        if not self.sock:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.connect(self.control)
            self.reader = self.sock.makefile("r", encoding="utf-8")
        self.sock.settimeout(timeout_s)
        self.sock.sendall(line.encode() + b"\n")
        answer = self.reader.readline()
        doc = json.loads(answer) if answer else {"ok": False, "error": "connection closed"}
        if not doc.get("ok"):
            raise StackError("simulator refused `%s`: %s" % (line.split(" ")[0], doc.get("error")), self.process.log_path)
        return doc

    def stats(self):
        return self.ctl("stats")

    def set(self, **knobs):
        for knob, value in knobs.items():
            self.ctl("set %s %s" % (knob, value))

    def messages(self):
        """What the simulator counted: rows by (destination without +, key)."""
        path = os.path.join(self.dir, "sim.messages")
        self.ctl("dump " + path)
        rows = []
        with open(path, encoding="utf-8") as f:
            for line in f:
                w = line.rstrip("\n").split("\t")
                if w[0] == "dest" or len(w) < 10:
                    continue
                rows.append(Seen(w[0], w[1].lstrip("#"), *(int(x) for x in w[2:10])))
        return rows

    def stop(self):
        self.close()
        return self.process.stop()


Seen = collections.namedtuple("Seen", "dest key accepted refused ambiguous parts first_ms last_ms taken seen")


# ---- HTTP --------------------------------------------------------------------------------------------------------------------


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def slug(self):
        """Of a problem: the last word of its type."""
        try:
            return self.json["type"].rsplit("/", 1)[-1]
        except (ValueError, KeyError, TypeError, AttributeError):
            return ""

    def __repr__(self):
        return "%d %s" % (self.status, self.body[:600].decode("utf-8", "replace"))


class ApiError(StackError):
    def __init__(self, method, path, answer):
        super().__init__("%s %s answered %r" % (method, path, answer))
        self.answer = answer


class _Local(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Api:
    """Calls over TCP with a key, or over the local socket. `call` raises on an answer outside 2xx, `ask` does not."""

    def __init__(self, port=None, key=None, local=None, show=None):
        self.port, self.key, self.local, self.show = port, key, local, show

    def ask(self, method, path, doc=None, body=None, media="application/json", headers=None, timeout_s=60):
        h = dict(headers or {})
        if doc is not None:
            body = json.dumps(doc).encode()
        if body is not None:
            h.setdefault("Content-Type", media)
        if method == "POST":
            h.setdefault("Idempotency-Key", secrets.token_hex(12))
        if self.key:
            h.setdefault("Authorization", "Bearer " + self.key)
        conn = _Local(self.local, timeout_s) if self.local else http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        with contextlib.closing(conn):
            conn.request(method, path, body=body, headers=h)
            r = conn.getresponse()
            return Answer(r.status, r.headers, r.read())

    def call(self, method, path, doc=None, quiet=False, **kw):
        answer = self.ask(method, path, doc, **kw)
        if self.show and not quiet:
            self.show(method, path, doc, kw.get("body"), answer)
        if not 200 <= answer.status < 300:
            raise ApiError(method, path, answer)
        return answer.json if answer.body else None

    def get(self, path, **kw):
        return self.call("GET", path, quiet=True, **kw)

    def post(self, path, doc=None, **kw):
        return self.call("POST", path, doc, **kw)

    def every(self, path):
        """All items of a list, page by page."""
        while path:
            page = self.get(path)
            yield from page["data"]
            path = page.get("next") if page.get("has_more") else None

    def named(self, noun, name):
        return next((x for x in self.every("/api/v1/%s?limit=500" % noun) if x["name"] == name), None)

    def rule(self, noun, doc, change=()):
        """Create it, or bring it up to date when it is there. The resource."""
        have = self.named(noun, doc["name"])
        if not have:
            return self.post("/api/v1/" + noun, doc)
        if not change:
            return have
        path = "/api/v1/%s/%s" % (noun, have["id"])
        etag = self.ask("GET", path).headers["ETag"]
        return self.call("PATCH", path, {k: doc[k] for k in change}, media="application/merge-patch+json", headers={"If-Match": etag})


# ---- daemon ------------------------------------------------------------------------------------------------------------------


class Programs:
    """What was built, and what was installed into a staging folder."""

    def __init__(self, build, stage):
        base = os.path.join(stage, "usr/local")
        self.build, self.stage = build, stage
        self.simulator, self.optout = os.path.join(stage, "side/smscsim"), os.path.join(stage, "side/optout.conf")
        self.daemon, self.ctl = os.path.join(base, "sbin/campgwd"), os.path.join(base, "bin/campgwctl")
        self.plugins, self.sql = os.path.join(base, "lib/campgw"), os.path.join(base, "share/campgw/sql")

    def missing(self):
        return [p for p in (self.simulator, self.daemon, self.ctl, self.plugins, self.sql, self.optout) if not os.path.exists(p)]


def conf_text(value, depth=0):
    """A Python value as libconfig text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return "%d" % value
    if isinstance(value, str):
        return '"%s"' % value.replace("\\", "\\\\").replace('"', '\\"')
    if isinstance(value, list):
        left, right = ("(", ")") if any(isinstance(v, dict) for v in value) else ("[", "]")
        return left + ", ".join(conf_text(v, depth + 1) for v in value) + right
    pad = "  " * depth
    inner = "".join("%s%s = %s;\n" % (pad, k, conf_text(v, depth + 1)) for k, v in value.items())
    return inner if depth == 0 else "{\n%s%s}" % (inner, "  " * (depth - 1))


class Gateway:
    """One campgwd with its configuration and credentials."""

    def __init__(self, programs, directory, cluster, node="node-1", database="campgw"):
        self.programs, self.dir, self.cluster, self.node, self.database = programs, directory, cluster, node, database
        self.prefix, self.who = servant()
        self.conf, self.credentials = os.path.join(directory, "campgw.conf"), os.path.join(directory, "credentials")
        self.socket, self.port_file = os.path.join(directory, "api.sock"), os.path.join(directory, "api.port")
        self.process = Process("campgwd", os.path.join(directory, node + ".pid"), os.path.join(directory, node + ".log"))

    def inherit(self, model):
        """The credentials of another installation: those that a copy of its database knows."""
        make_dir(self.dir, self.who)
        copy_dir(self.prefix, model.credentials, self.credentials)

    def setup(self):
        """Roles, database, schema and keys, all by campgwctl; run again it changes nothing. Returns its words."""
        make_dir(self.dir, self.who)
        make_dir(self.credentials, self.who, 0o700)
        write_file(os.path.join(self.credentials, "smsc.password"), SMPP_PASSWORD + "\n", self.who, 0o600)
        done = subprocess.run(self.prefix + [self.programs.ctl, "setup", "--database", self.cluster.conninfo("postgres", "postgres"), "--dbname", self.database,
                                             "--daemon-database", self.cluster.conninfo("campgw", self.database), "--conf-dir", self.dir,
                                             "--credentials-dir", self.credentials, "--api-socket", self.socket, "--sql", self.programs.sql,
                                             "--examples", os.path.dirname(self.programs.optout)],
                              cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False)
        if done.returncode:
            raise StackError("campgwctl setup ended with %d: %s" % (done.returncode, done.stdout.strip()[-1500:]), self.cluster.log)
        return done.stdout

    def join(self, first):
        """A further node of the same installation: its own folder, the credentials of the first."""
        make_dir(self.dir, self.who)
        self.credentials = first.credentials

    def settings(self, api_port, sim_port, **instance):
        """The whole configuration as a dictionary; change it and hand it to configure()."""
        return {
            "node": self.node, "credentials": self.credentials,
            "database": {"conninfo": self.cluster.conninfo("campgw", self.database),
                         "owner_conninfo": self.cluster.conninfo("campgw_owner", self.database)},
            "api": {"listen": "127.0.0.1", "port": api_port, "socket": self.socket, "spool_dir": self.dir, "rate_per_min": 100000},
            "outcome": {"optout": self.programs.optout, "receipt_grace_s": 5},
            "plugins": {"directory": self.programs.plugins, "credentials": self.credentials, "load": ["campaign_broadcast"]},
            "instances": [{"name": "smsc", "plugin": "channel_smpp", "host": "127.0.0.1", "port": sim_port, "system_id": SMPP_ID,
                           "password": "smsc.password", "default_sender": "10690", "region": "CN", "reconnect_min_ms": 50,
                           "reconnect_max_ms": 500, "ramp_ms": 0, "validity_min_ms": 1000, **instance}],
        }

    def configure(self, settings):
        write_file(self.conf, "# written by scripts/lib/stack.py\n" + conf_text(settings), self.who, 0o640)

    def check_config(self):
        done = subprocess.run(self.prefix + [self.programs.daemon, "-c", self.conf, "--check-config"], cwd="/", capture_output=True, text=True,
                              timeout=30, check=False)
        return done.returncode, done.stdout + done.stderr

    def launch(self, *options):
        """Starts it and does not wait."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.port_file)
        self.process.spawn(self.prefix + [self.programs.daemon, "-c", self.conf, "--port-file", self.port_file, *options])

    def start(self, *options):
        """Starts it and waits for /ready."""
        self.launch(*options)
        self.wait_ready()

    def wait_ready(self, timeout_s=START_S):
        def ready():
            return not self.process.pid or self.is_ready()
        if not wait_until(ready, timeout_s) or not self.process.pid:
            self.process.fail("is not ready after %d s" % timeout_s if self.process.pid else "ended while starting")

    def is_ready(self):
        try:
            return os.path.exists(self.port_file) and Api(self.port).ask("GET", "/ready", timeout_s=5).status == 200
        except (OSError, ValueError, http.client.HTTPException):
            return False

    @property
    def port(self):
        with open(self.port_file, encoding="ascii") as f:
            return int(f.read())

    def local(self):
        return Api(local=self.socket)

    def new_key(self, name):
        """Secret of a key that may do everything but emergencies."""
        scopes = [s for s in all_scopes() if s != "campaigns:emergency"]
        return self.local().post("/api/v1/api-keys", {"name": name, "scopes": scopes, "classes": ["marketing", "service", "reply"]})["secret"]

    def api(self, key, show=None):
        return Api(self.port, key, show=show)

    def kill(self):
        """SIGKILL: no word of farewell."""
        self.process.kill()

    def stop(self):
        return self.process.stop(30)


def all_scopes():
    with open(os.path.join(ROOT, "core/api/scopes.def"), encoding="utf-8") as f:
        return [line.split('"')[1] for line in f if line.startswith("API_SCOPE(")]
