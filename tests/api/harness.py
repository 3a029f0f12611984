# SPDX-License-Identifier: Apache-2.0
"""harness.py - a private PostgreSQL and an API daemon for tests; Python standard library only.

    cluster = harness.Cluster()                 # one per test program: initdb, start, roles
    db = cluster.database()                     # a fresh database with the schema; conninfo of each role: db.conninfo("campgw")
    daemon = harness.Daemon(db, rate=6000)      # starts $CAMPGW_API_DAEMON NAME=VALUE ..., waits until it listens
    key = daemon.key("routes:read")             # an API key made over the local socket
    answer = daemon.get("/api/v1/routes", key=key)      # .status .headers .json

Everything lives in one directory under /tmp (socket paths end at 107 bytes), is ended by the pids started here and removed at exit;
CAMPGW_TEST_KEEP=1 keeps it. As root the cluster runs as user `postgres` or `nobody`: initdb refuses root.
"""
import atexit
import glob
import http.client
import json
import os
import pwd
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = os.environ.get("CGW_SRCDIR") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DEADLINE_S = 30


def pg_bin():
    given = os.environ.get("PGBIN")
    if given:
        return given
    dirs = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda d: int(d.split("/")[4]) if d.split("/")[4].isdigit() else 0)
    if dirs:
        return dirs[-1]
    found = shutil.which("initdb")
    if not found:
        raise RuntimeError("no PostgreSQL server found; set PGBIN")
    return os.path.dirname(found)


def unprivileged():
    """Command prefix and account that may run a PostgreSQL server."""
    if os.geteuid() != 0:
        return [], None
    for name in ("postgres", "nobody"):
        try:
            who = pwd.getpwnam(name)
        except KeyError:
            continue
        return ["setpriv", "--reuid=%d" % who.pw_uid, "--regid=%d" % who.pw_gid, "--clear-groups"], who
    raise RuntimeError("neither user postgres nor nobody exists")


def run(argv, **kw):
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, text=True, **kw)
    if done.returncode:
        raise RuntimeError("%s failed:\n%s" % (" ".join(argv), done.stdout[-4000:]))
    return done.stdout


class Database:
    def __init__(self, cluster, name):
        self.cluster, self.name = cluster, name

    def conninfo(self, user="campgw"):
        return "host=%s user=%s dbname=%s" % (self.cluster.sockets, user, self.name)

    def sql(self, text, user="postgres"):
        """Rows as lines, fields separated by |."""
        return run([os.path.join(self.cluster.bin, "psql"), "-qXAt", "-v", "ON_ERROR_STOP=1", "-c", "SET search_path = campgw, public", "-c", text,
                    self.conninfo(user)]).strip()


class Cluster:
    def __init__(self):
        self.bin = pg_bin()
        self.prefix, who = unprivileged()
        self.dir = tempfile.mkdtemp(prefix="cgwt.", dir="/tmp")
        self.data, self.sockets = os.path.join(self.dir, "d"), os.path.join(self.dir, "s")
        os.mkdir(self.sockets)
        os.chmod(self.dir, 0o755)
        if who:
            os.chown(self.dir, who.pw_uid, who.pw_gid)
            os.chown(self.sockets, who.pw_uid, who.pw_gid)
        self.databases, self.running = 0, False
        atexit.register(self.stop)
        run(self.prefix + [os.path.join(self.bin, "initdb"), "-N", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "-D", self.data], cwd="/")
        with open(os.path.join(self.data, "postgresql.conf"), "a", encoding="utf-8") as f:
            f.write("listen_addresses = ''\nunix_socket_directories = '%s'\nfsync = off\nmax_connections = 60\n" % self.sockets)
        self.start()
        run([os.path.join(self.bin, "psql"), "-qX", "-v", "ON_ERROR_STOP=1", "-f", os.path.join(ROOT, "sql/roles.sql"),
             "host=%s user=postgres dbname=postgres" % self.sockets])

    def start(self):
        run(self.prefix + [os.path.join(self.bin, "pg_ctl"), "-w", "-D", self.data, "-l", os.path.join(self.data, "log"), "start"], cwd="/")
        self.running = True

    def stop_server(self):
        if self.running:
            run(self.prefix + [os.path.join(self.bin, "pg_ctl"), "-w", "-m", "immediate", "-D", self.data, "stop"], cwd="/")
            self.running = False

    def stop(self):
        for d in list(Daemon.all):
            d.stop()
        if self.running:
            self.stop_server()
        if os.environ.get("CAMPGW_TEST_KEEP"):
            print("kept: " + self.dir, file=sys.stderr)
        else:
            shutil.rmtree(self.dir, ignore_errors=True)

    def database(self):
        """A database with the whole schema, as `campgwctl db migrate` would leave it."""
        self.databases += 1
        name = "t%d" % self.databases
        psql = [os.path.join(self.bin, "psql"), "-qX", "-v", "ON_ERROR_STOP=1"]
        run(psql + ["-c", "CREATE DATABASE %s OWNER campgw_owner" % name, "host=%s user=postgres dbname=postgres" % self.sockets])
        db = Database(self, name)
        owner = db.conninfo("campgw_owner")
        run(psql + ["-c", "CREATE SCHEMA campgw", owner])
        for path in sorted(glob.glob(os.path.join(ROOT, "sql/[0-9][0-9][0-9]_*.sql"))):
            run(psql + ["-1", "-c", "SET search_path = campgw", "-f", path, owner])
        return db


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def slug(self):
        return self.json["type"].rsplit("/", 1)[-1]

    def __repr__(self):
        return "%d %s" % (self.status, self.body[:2000].decode("utf-8", "replace"))


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout=DEADLINE_S):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Daemon:
    """The program of $CAMPGW_API_DAEMON (tests/api/apid). Options are passed as NAME=VALUE."""

    all = []

    def __init__(self, db, **options):
        self.db = db
        program = os.environ.get("CAMPGW_API_DAEMON")
        if not program:
            raise RuntimeError("set CAMPGW_API_DAEMON to the daemon of tests/api/apid.c")
        self.socket = os.path.join(db.cluster.dir, "a%d.sock" % len(os.listdir(db.cluster.dir)))
        self.spool = tempfile.mkdtemp(prefix="sp.", dir=db.cluster.dir)
        self.log_path = self.socket + ".log"
        options = {"conninfo": db.conninfo(), "socket": self.socket, "spool": self.spool, "rate": 60000, **options}
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen([program] + ["%s=%s" % kv for kv in options.items()], stdout=subprocess.PIPE, stderr=log)
        Daemon.all.append(self)
        self.info = self._first_line()
        self.port = self.info["port"]

    def _first_line(self):
        with selectors.DefaultSelector() as sel:
            sel.register(self.process.stdout, selectors.EVENT_READ)
            if not sel.select(DEADLINE_S):
                raise RuntimeError("daemon does not start: " + self.log()[-2000:])
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("daemon ended: " + self.log()[-2000:])
        return json.loads(line)

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def stop(self):
        """Exit code; a sanitizer report makes it non-zero."""
        if self in Daemon.all:
            Daemon.all.remove(self)
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process.stdout.close()
        return self.process.returncode

    def connection(self, local=False, timeout=DEADLINE_S):
        return UnixConnection(self.socket, timeout) if local else http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def request(self, method, path, body=None, key=None, headers=None, local=None, json_body=None):
        """Over TCP with a key, else (or with local=True) over the local socket. json_body: sent as application/json."""
        h = dict(headers or {})
        if json_body is not None:
            body = json.dumps(json_body).encode()
            h.setdefault("Content-Type", "application/json")
        if key:
            h.setdefault("Authorization", "Bearer " + key)
        conn = self.connection(local=(key is None) if local is None else local)
        try:
            conn.request(method, path, body=body, headers=h)
            return Answer(conn.getresponse())
        finally:
            conn.close()

    def get(self, path, **kw):
        return self.request("GET", path, **kw)

    def post(self, path, json_body=None, **kw):
        return self.request("POST", path, json_body=json_body, **kw)

    def key(self, *scopes, partner_id=0, classes=None):
        """Secret of a new key."""
        doc = {"name": "test", "scopes": list(scopes), "partner_id": partner_id}
        if classes:
            doc["classes"] = classes
        a = self.post("/api/v1/api-keys", doc)
        if a.status != 201:
            raise RuntimeError("no key: %r" % a)
        return a.json["secret"]


def wait_for(what, condition, deadline_s=DEADLINE_S):
    """Polls a condition with a deadline; for things that give no event."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError("not within %d s: %s" % (deadline_s, what))
