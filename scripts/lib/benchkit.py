# SPDX-License-Identifier: Apache-2.0
"""benchkit.py - what the rows of scripts/bench share: an installation with meters, a base of customers, audiences, a measured campaign.

Knows no target and prints no result: rows are in bench_*.py, the table is in bench.py. People are numbers 0 … 99,999,999: +86137 and
eight digits. Who of them stands on the list, or was reached before, follows from the number alone.
"""
import collections
import contextlib
import datetime
import hashlib
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zoneinfo

import sample
import stack

TICKS = os.sysconf("SC_CLK_TCK")
ZONE = "Asia/Shanghai"
PEOPLE_MAX = 10 ** 8
PARTS = 64
CAP_MONTH = 2  # enum cap_period in core/policy/policy.h
WINDOW_WAIT_S = 30


class Progress:
    """One bar on stderr: drawn over itself on a terminal, a line every 10 s elsewhere."""

    def __init__(self, what, total, quiet=False):
        self.what, self.total, self.quiet = what, max(total, 1), quiet
        self.began = self.told = time.monotonic()
        self.tty = sys.stderr.isatty()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.tty and not self.quiet:
            print("\r\033[K", end="", file=sys.stderr, flush=True)

    def at(self, done):
        now = time.monotonic()
        if self.quiet or now - self.told < (0.2 if self.tty else 10):
            return
        self.told = now
        rate = done / max(now - self.began, 0.001)
        left = max(self.total - done, 0) / rate if rate else 0
        text = "%s %s/%s %s/s ETA %d:%02d" % (self.what, format(done, ","), format(self.total, ","), format(int(rate), ","), left // 60, left % 60)
        if self.tty:
            full = min(24, int(24 * done / self.total))
            print("\r\033[K[%s%s] %s" % ("#" * full, "." * (24 - full), text), end="", file=sys.stderr, flush=True)
        else:
            print(text, file=sys.stderr, flush=True)


# ---- meters ------------------------------------------------------------------------------------------------------------------


def cpu_us(pid):
    """CPU of one process, or of a thread ("PID/task/TID"), so far, without children."""
    fields = stack.stat_fields(pid) if pid else None
    return sum(int(x) for x in fields[11:13]) * 1e6 / TICKS if fields else 0.0


def status_number(path, name):
    """A number of /proc/…/status; 0 when the process is gone."""
    try:
        with open(path, encoding="ascii", errors="replace") as f:
            found = re.search(r"^%s:\s+(\d+)" % name, f.read(), re.MULTILINE)
        return int(found[1]) if found else 0
    except OSError:
        return 0


def shares(gw):
    """CPU so far by who used it: threads of the daemon by name, backends by what connected them."""
    used = collections.Counter()
    for name, pid in gw.cluster.sql("SELECT coalesce(nullif(regexp_replace(application_name, '.* ', ''), ''), backend_type), pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()"):
        used["db " + name] += cpu_us(int(pid))
    for t in os.listdir("/proc/%d/task" % gw.pid):
        with open("/proc/%d/task/%s/comm" % (gw.pid, t), encoding="ascii", errors="replace") as f:
            used[f.read().strip()] += cpu_us("%d/task/%s" % (gw.pid, t))
    return used


def rss_peak(pid):
    return status_number("/proc/%s/status" % pid, "VmHWM") * 1024


def rss_anon(pid):
    return status_number("/proc/%s/status" % pid, "RssAnon") * 1024


def wakeups(pid):
    """How often its threads went to sleep so far: each time something woke them before."""
    return sum(status_number("/proc/%d/task/%s/status" % (pid, t), "voluntary_ctxt_switches") for t in os.listdir("/proc/%d/task" % pid))


def median(values):
    return statistics.median(values)


def percentile(values, percent):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def free_bytes(path="/tmp"):
    return shutil.disk_usage(path).free


def need_disk(nbytes, what):
    have = free_bytes() * 4 // 5  # the write-ahead log may take the fifth, see server_settings()
    if have < nbytes:
        raise stack.StackError("%s needs about %.1f GB in /tmp, and %.1f GB are free: nothing was begun" % (what, nbytes / 1e9, have / 1e9))


def server_settings():
    """conf/postgresql-campgw.conf, scaled to this machine: what it says of 24 GiB is a quarter of the memory here, and the log of a small disk."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {"shared_buffers": "%dMB" % (memory // 4 >> 20), "wal_buffers": "64MB", "work_mem": "64MB", "maintenance_work_mem": "512MB",
            "max_wal_size": "%dMB" % min(16384, free_bytes() // 5 >> 20)}


# ---- people ------------------------------------------------------------------------------------------------------------------


def msisdn(i):
    return "+86137%08d" % i


def draw(i):
    """0 … 99, as good as chance, the same for the same person."""
    return ((i * 2654435761 & 0xffffffff) >> 12) % 100


def listed(i):
    return draw(i) == 0


def spread(n, base):
    """n people spread evenly over the base, as a selection is."""
    return range(n) if n == base else (i * base // n for i in range(n))


def csv_file(path, head, lines):
    with open(path, "w", encoding="ascii", buffering=1 << 20) as f:
        f.write(head + "\n")
        f.writelines(lines)
    return path


Sent = collections.namedtuple("Sent", "figures funnel")


class Installation:
    """Private database (fsync on), simulator, one daemon or more, a key and a route; all ended and removed on the way out."""

    def __init__(self, opts, instance=None, **knobs):
        self.opts, self.instance, self.knobs = opts, instance or {}, knobs
        self.dir = tempfile.mkdtemp(prefix="cgw-bench.", dir="/tmp")
        os.chmod(self.dir, 0o755)
        self.programs = stack.Programs(opts.build, opts.stage)
        self.cluster = stack.Cluster(os.path.join(self.dir, "pg"), settings=server_settings())
        self.sim = stack.Simulator(self.programs.simulator, os.path.join(self.dir, "sim"))
        self.gateway = stack.Gateway(self.programs, os.path.join(self.dir, "gw"), self.cluster)

    def __enter__(self):
        try:
            self.cluster.create()
            self.cluster.start()
            self.gateway.setup()
            self.sim.start(**self.knobs)
            self.gateway.configure(self.settings())
            self.gateway.start()
            self.api = self.gateway.api(self.gateway.new_key("bench"))
            self.route = self.api.post("/api/v1/routes", {"name": "bench", "channel": "sms", "instance": "smsc", "sender": "10690", "sender_kind": "short_code"})["id"]
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.gateway.stop()
        self.sim.stop()
        self.cluster.stop("immediate")
        if self.opts.keep:
            print("kept: " + self.dir, file=sys.stderr)
        else:
            shutil.rmtree(self.dir, ignore_errors=True)

    def settings(self, gateway=None):
        return (gateway or self.gateway).settings(0, self.sim.port, **{"window": self.opts.window, "binds": self.opts.binds, **self.instance})

    def say(self, text):
        if not self.opts.quiet:
            print(text, file=sys.stderr, flush=True)

    @property
    def pid(self):
        return self.gateway.process.pid

    def number(self, sql):
        return int(self.cluster.sql(sql)[0][0])

    def restart(self):
        """After a kill: launches the daemon and waits until it is ready."""
        self.gateway.start()
        self.api.port = self.gateway.port

    # ---- a second node ----

    def second_node(self):
        """Configured, not started: the same database, keys and peer."""
        node = stack.Gateway(self.programs, self.path("gw2"), self.cluster, node="node-2")
        stack.make_dir(node.dir, node.who)
        node.credentials = self.gateway.credentials
        node.configure(self.settings(node))
        return node

    @contextlib.contextmanager
    def joined(self, node):
        """The node runs inside, and each has its half of the parts; afterwards the first has all of them again."""
        def shared(counts):
            return self.cluster.sql("SELECT count(*) FROM part_head WHERE lease_until > now() GROUP BY node ORDER BY 1") == [[str(c)] for c in counts]
        node.start()
        try:
            self.until(lambda: shared((PARTS // 2, PARTS // 2)), "sharing the parts", WINDOW_WAIT_S, 0.2)
            yield node
        finally:
            node.stop()
        self.until(lambda: shared((PARTS,)), "taking the parts back", WINDOW_WAIT_S, 0.2)

    @staticmethod
    def pin(gateway, core):
        """All threads there are; later ones inherit it."""
        for thread in os.listdir("/proc/%d/task" % gateway.process.pid):
            os.sched_setaffinity(int(thread), {core % os.cpu_count()})

    def path(self, name):
        return os.path.join(self.dir, name)

    def route_rate(self, per_s):
        """0 = as fast as the peer takes it."""
        path = "/api/v1/routes/" + self.route
        etag = self.api.ask("GET", path).headers["ETag"]
        self.api.call("PATCH", path, {"rate_per_s": per_s}, media="application/merge-patch+json", headers={"If-Match": etag})

    # ---- rules and base ----

    def rules(self, cap=2):
        """All that can hold somebody: a monthly cap, hours open now, holidays of which none is near, a list with one of a hundred."""
        now = datetime.datetime.now(datetime.timezone.utc)
        self.cap_zone = sample.cap_zone(now)
        self.api.post("/api/v1/caps", {"name": "a month", "max": cap, "period": "month", "zone": self.cap_zone, "classes": ["marketing"]})
        self.api.post("/api/v1/calendars", {"name": "hours", "kind": "quiet", "region": "CN", "hours": sample.hours_around(now, ZONE, 8, 8)})
        holidays = self.api.post("/api/v1/calendars", {"name": "holidays", "kind": "holiday", "region": "CN"})["id"]
        far = now + datetime.timedelta(days=180)
        ics = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:far\r\nDTSTART;VALUE=DATE:%s\r\nSUMMARY:far\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n" % far.strftime("%Y%m%d")
        self.api.call("PUT", "/api/v1/calendars/%s/ics" % holidays, body=ics.encode(), media="text/calendar")

    def identity_key(self):
        with open(os.path.join(self.gateway.credentials, "identity.key"), encoding="ascii") as f:
            return bytes.fromhex(f.read().strip())

    def copy(self, table, lines):
        """COPY from a generator of text lines, by psql."""
        argv = self.cluster.prefix + [os.path.join(self.cluster.bin, "psql"), "-qXAt", "-v", "ON_ERROR_STOP=1", "-c", "SET search_path = campgw", "-c",
                                      "COPY %s FROM STDIN" % table, self.cluster.conninfo("postgres")]
        p = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd="/")
        with contextlib.suppress(BrokenPipeError), p.stdin:  # psql says why
            p.stdin.writelines(lines)
        words = p.stderr.read()
        if p.wait():
            raise stack.StackError("COPY failed: " + words.strip()[-500:], self.cluster.log)

    def base(self, n):
        """A base of n customers straight into the tables, by COPY: everybody agreed, of a hundred people 30 were reached once this month
        and 5 twice. Ids as core/address/customer_key.c makes them; a campaign of held people would tell if they were not."""
        need_disk(n * 400, "a base of %s" % format(n, ","))
        key = self.identity_key()
        with Progress("base", n, self.opts.quiet) as bar:
            def lines():
                for i in range(n):
                    if i % 4096 == 0:
                        bar.at(i)
                    h = hashlib.blake2b(msisdn(i).encode(), digest_size=16, key=key).digest()
                    k = int.from_bytes(h[:8], "little") & 0x7fffffffffffffff
                    yield "%d\t%d\t%d\n" % (k % PARTS, k, draw(i))
            began = time.monotonic()
            self.cluster.sql("CREATE UNLOGGED TABLE bench_base (part int4, customer_id int8, draw int2)")
            self.copy("bench_base", lines())
        first = datetime.datetime.now(zoneinfo.ZoneInfo(self.cap_zone)).date().replace(day=1)
        period = (first - datetime.date(2000, 1, 1)).days * 8 + CAP_MONTH
        for text in ("INSERT INTO consent SELECT part, customer_id, 1, 0, 1, 'bench', '', now(), NULL FROM bench_base ORDER BY part, customer_id",
                     "INSERT INTO cap_counter SELECT %d, part, customer_id, ARRAY[CASE WHEN draw < 95 THEN 1 ELSE 2 END]::int2[] FROM bench_base WHERE draw >= 65"
                     " ORDER BY part, customer_id" % period,
                     "VACUUM ANALYZE consent", "VACUUM ANALYZE cap_counter", "DROP TABLE bench_base", "CHECKPOINT"):
            self.cluster.sql(text, timeout_s=7200)
        self.say("base       %s customers loaded by COPY in %.0f s" % (format(n, ","), time.monotonic() - began))

    def consents(self, people):
        """Grants over HTTP, as many a request as it takes; statements a second."""
        began = time.monotonic()
        for at in range(0, len(people), 50000):
            body = "".join('{"msisdn":"%s","action":"grant","purpose":"marketing","source":"bench"}\n' % msisdn(i) for i in people[at:at + 50000])
            self.api.post("/api/v1/consents", body=body.encode(), media="application/x-ndjson", timeout_s=600)
        return len(people) / (time.monotonic() - began)

    def upload(self, method, url, path, timeout_s=7200):
        """A file as a stream; the answer and the seconds it took."""
        with open(path, "rb") as f:
            began = time.monotonic()
            done = self.api.call(method, url, body=f, media="text/csv", headers={"Content-Length": str(os.path.getsize(path))}, timeout_s=timeout_s)
            return done, time.monotonic() - began

    def dnd_list(self, people):
        """A list with these people, loaded over HTTP; its path, the answer and the seconds."""
        path = csv_file(self.path("dnd.csv"), "msisdn", ("+86137%08d\n" % i for i in people))
        lst = "/api/v1/dnd-lists/%s/entries" % self.api.post("/api/v1/dnd-lists", {"name": "list %d" % time.monotonic_ns(), "scope": "all"})["id"]
        done, took = self.upload("POST", lst, path)
        os.unlink(path)
        return lst, done, took

    def audience_of(self, people, channels):
        """Made for these channels, and filled; its id."""
        aud = self.api.post("/api/v1/audiences", {"name": "a%d" % time.monotonic_ns(), "channels": channels})["id"]
        path = csv_file(self.path("people.csv"), "msisdn,region,zone,code", ("+86137%08d,CN-GD,Asia/Shanghai,%d\n" % (i, i) for i in people))
        self.upload("PUT", "/api/v1/audiences/%s/recipients" % aud, path)
        os.unlink(path)
        return aud

    def audience(self, people):
        """Uploads them; (id, rows a second)."""
        path = csv_file(self.path("people.csv"), "msisdn,region,zone,code", ("+86137%08d,CN-GD,Asia/Shanghai,%d\n" % (i, i) for i in people))
        aud = self.api.post("/api/v1/audiences", {"name": "a%d" % time.monotonic_ns()})["id"]
        done, took = self.upload("PUT", "/api/v1/audiences/%s/recipients" % aud, path)
        os.unlink(path)
        if done["invalid"] or done["duplicate"]:
            raise stack.StackError("the upload refused rows: %s" % done)
        self.say("upload     %s rows in %.2f s" % (format(done["accepted"], ","), took))
        return aud, done["accepted"] / took

    # ---- campaigns ----

    def campaign(self, aud, validity_s=3600, text="benchmark #{{code}}"):
        return self.api.post("/api/v1/campaigns", {"name": "c%d" % time.monotonic_ns(), "class": "marketing", "purpose": "marketing", "audience": aud, "waves": [
            {"channel": "sms", "content": {"text": text}, "validity": "PT%dS" % validity_s}]})["id"]

    def act(self, cmp, verb):
        return self.api.post("/api/v1/campaigns/%s/%s" % (cmp, verb))

    def funnel(self, cmp):
        return self.api.get("/api/v1/campaigns/%s/funnel" % cmp)

    def state(self, cmp):
        return self.api.get("/api/v1/campaigns/" + cmp)["state"]

    def until(self, condition, what, timeout_s=None, pause_s=0.02):
        value = stack.wait_until(condition, timeout_s or self.opts.timeout, pause_s)
        if not value:
            raise stack.StackError("%s: not after %d s" % (what, timeout_s or self.opts.timeout), self.gateway.process.log_path)
        return value

    def cancel(self, *campaigns):
        """What was under way is answered first; the counters of the simulator begin anew."""
        for cmp in campaigns:
            self.act(cmp, "cancel")
        self.until(lambda: self.sim.stats()["unanswered"] == 0 and all(self.api.get("/api/v1/campaigns/%s/progress" % c).get("in_flight", 0) == 0 for c in campaigns), "cancel", WINDOW_WAIT_S)

    def finish(self, cmp, n):
        """Waits until everybody was held or has a receipt; the funnel."""
        with Progress("contacts", n, self.opts.quiet) as bar:
            def ended():
                f = self.funnel(cmp)
                done = f["delivered"] + f["failed"] + sum(f["held"].values())
                bar.at(done)
                return f if done >= n else None
            return self.until(ended, "campaign of %s" % format(n, ","), pause_s=0.1)

    def cpu(self, *more):
        """CPU of daemon(s), database and simulator so far, in µs."""
        return (cpu_us(self.pid) + sum(cpu_us(g.process.pid) for g in more), self.cluster.cpu_ticks() * 1e6 / TICKS, cpu_us(self.sim.process.pid))

    def send(self, aud, n, nodes=()):
        """One measured campaign of n contacts; the simulator must have counted each person once."""
        cmp = self.campaign(aud)
        self.sim.ctl("reset")
        before = self.cpu(*nodes)
        self.act(cmp, "start")
        funnel = self.finish(cmp, n)
        ended = time.time()
        used = [(b - a) / n for a, b in zip(before, self.cpu(*nodes))]
        stats = self.sim.stats()
        sent = n - sum(funnel["held"].values())
        if stats["messages"]["unique"] != sent or stats["messages"]["duplicate_taken"]:
            raise stack.StackError("%d people should have been reached, the simulator counted %s" % (sent, stats["messages"]))
        seconds = max(stats["last_submit_ms"] - stats["first_submit_ms"], 1) / 1000
        self.say("campaign   %s contacts in %.2f s, CPU %.1f + %.1f µs a contact" % (format(n, ","), seconds, used[0], used[1]))
        # receipts that lag far behind mean that the rate of submits could not have been kept up: the second rate is what holds for hours
        whole = ended - stats["first_submit_ms"] / 1000
        return Sent({"contacts_per_s": round(n / seconds), "contacts_per_s_with_receipts": round(n / whole), "receipts_after_s": round(whole - seconds, 2), "cpu_us_per_contact_daemon": round(used[0], 1), "cpu_us_per_contact_postgres": round(used[1], 1),
                     "cpu_us_per_contact_simulator": round(used[2], 1), "cpu_us_per_contact_product": round(used[0] + used[1], 1),
                     "rss_peak_bytes_daemon": rss_peak(self.pid), "in_doubt": funnel["in_doubt"]}, funnel)
