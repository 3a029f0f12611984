# SPDX-License-Identifier: Apache-2.0
"""harness.py - one private installation per test class: cluster, simulator, daemon, a key, rules; and what one asks of it.

    class Quiet(harness.Field):
        knobs = {"throttle_permille": 20}             # of the simulator
        instance = {"window": 20}                     # options of the SMPP instance
        config = {"dispatch": {"lease_ms": 2000}}     # further sections of the configuration
        def test_x(self):
            people = self.people(100)
            self.consent(people)
            cmp = self.campaign(people)
            self.complete(cmp)

Needs CAMPGW_BUILD and CAMPGW_STAGE (scripts/test sets them). CAMPGW_TEST_KEEP=1 keeps the folder. Loopback only.
"""
import datetime
import glob
import http.client
import itertools
import json
import os
import shutil
import socket
import sys
import tempfile
import time
import unittest
import zoneinfo

ROOT = os.environ.get("CGW_SRCDIR") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "scripts/lib"))
import stack  # noqa: E402

SENDER = "10690"
HOME = ("CN-GD", "Asia/Shanghai")
FAR = ("CN-XJ", "Asia/Urumqi")


def slot():
    """Number of a hundred ports that no other running program of this machine has: whose name in the abstract namespace is taken, is running. Kept until this process
    ends, whichever way, and nothing is left behind. (Names and ports are both the network namespace's.)"""
    for n in range(200):
        held = socket.socket(socket.AF_UNIX)
        try:
            held.bind("\0campgw test ports %d" % n)
        except OSError:
            held.close()
            continue
        slot.held = held
        return n
    raise RuntimeError("200 programs run at once: no ports are left")


# First port that this program asks for. Another program's begin elsewhere, and the kernel gives none of these to whoever connects to somewhere: a
# peer that went away finds its port free when it comes back.
PORTS = 10240 + slot() * 100
# The whole life of an accepted message on SMSC and network; campaigns end within it
VALIDITY_S = 60
HELD_MS = 3000  # answers that a disturbance is to meet wait so long; a machine that is busy elsewhere may need a second between two lines of a test
SEEKS_S = 15  # a receipt finds its contact by then, also between nodes whose clocks differ by 5 s


class Person:
    counter = itertools.count(1)

    def __init__(self, group="open", place=HOME):
        self.code = next(Person.counter)
        self.msisdn, self.group, (self.region, self.zone) = "+86139%08d" % self.code, group, place

    @property
    def dest(self):
        return self.msisdn[1:]


def csv(people):
    return ("msisdn,region,zone,code\n" + "".join("%s,%s,%s,%d\n" % (p.msisdn, p.region, p.zone, p.code) for p in people)).encode()


def zone_in_mid_day():
    """A zone whose day neither began just now nor ends while a test runs."""
    return next(z for z in ("Asia/Shanghai", "UTC", "America/New_York") if 2 <= datetime.datetime.now(zoneinfo.ZoneInfo(z)).hour < 21)


def utc(seconds_from_now):
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds_from_now)).strftime("%Y-%m-%dT%H:%M:%SZ")


class Field(unittest.TestCase):
    knobs, instance, config, durable = {}, {}, {}, False
    prefix = "cgw-s."  # of its folder in /tmp

    @classmethod
    def setUpClass(cls):
        build, stage = os.environ.get("CAMPGW_BUILD"), os.environ.get("CAMPGW_STAGE")
        if not build or not stage:
            raise unittest.SkipTest("CAMPGW_BUILD and CAMPGW_STAGE are not set: run scripts/test scenario")
        cls.programs = stack.Programs(build, stage)
        if cls.programs.missing():
            raise RuntimeError("not built: " + " ".join(cls.programs.missing()))
        cls.dir = tempfile.mkdtemp(prefix=cls.prefix, dir="/tmp")
        os.chmod(cls.dir, 0o755)
        cls.addClassCleanup(cls.clean)
        cls.cluster = stack.Cluster(os.path.join(cls.dir, "pg"), cls.durable)
        cls.sim = stack.Simulator(cls.programs.simulator, os.path.join(cls.dir, "sim"))
        cls.gateway = stack.Gateway(cls.programs, os.path.join(cls.dir, "gw"), cls.cluster)
        cls.install()
        cls.sim.start(port=stack.free_port(PORTS), **cls.knobs)
        cls.prepare()
        cls.settings = {**cls.gateway.settings(0, cls.sim.port, **cls.instance), **cls.config}
        cls.gateway.configure(cls.settings)
        cls.gateway.start()
        cls.sign_in()
        cls.route()

    @classmethod
    def install(cls):
        """Cluster and schema: a copy of what scripts/test made once for all classes, else made here."""
        where = os.environ.get("CAMPGW_TEST_MODEL")
        model = where and stack.Cluster(os.path.join(where, "pg"))
        cls.cluster.create(model)
        if model:
            cls.gateway.inherit(stack.Gateway(cls.programs, os.path.join(where, "gw"), model))
        cls.cluster.start()
        cls.gateway.setup()

    @classmethod
    def prepare(cls):
        """For what must be there before the daemon starts; may set cls.config."""

    @classmethod
    def clean(cls):
        cls.gateway.stop()
        cls.sim.stop()
        cls.cluster.stop("immediate")
        # of this daemon, its further nodes, processes of channels (they share its log) and every simulator
        reports = [said for said in map(stack.sanitizer_says, sorted(glob.glob(os.path.join(cls.dir, "*", "*.log")))) if said]
        if os.environ.get("CAMPGW_TEST_KEEP"):
            print("# kept: " + cls.dir, flush=True)
        else:
            shutil.rmtree(cls.dir, ignore_errors=True)
        if reports:
            raise AssertionError("a sanitizer reported:\n" + "\n".join(reports))

    # ---- daemon ----

    @classmethod
    def sign_in(cls):
        cls.api = cls.gateway.api(cls.gateway.new_key("test"))

    @classmethod
    def restart(cls, kill=False):
        """Seconds until it was ready again."""
        began = time.monotonic()
        if kill:
            cls.gateway.kill()
        else:
            cls.gateway.stop()
        cls.gateway.start()
        cls.api.port = cls.gateway.port
        return time.monotonic() - began

    @classmethod
    def further_node(cls, name, *options):
        """One more gateway on the same database and simulator."""
        gw = stack.Gateway(cls.programs, os.path.join(cls.dir, name), cls.cluster, node=name)
        gw.join(cls.gateway)
        gw.configure({**gw.settings(0, cls.sim.port, **cls.instance), **cls.config})
        gw.start(*options)
        cls.addClassCleanup(gw.stop)
        return gw

    @classmethod
    def log(cls):
        with open(cls.gateway.process.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    @classmethod
    def metric(cls, name):
        """Value of a metric without labels."""
        lines = cls.api.ask("GET", "/metrics").body.decode().splitlines()
        return next((float(line.split()[1]) for line in lines if line.startswith(name + " ")), None)

    # ---- rules ----

    @classmethod
    def route(cls, **more):
        cls.route_id = cls.api.post("/api/v1/routes", {"name": "r%d" % time.monotonic_ns(), "channel": "sms", "instance": "smsc", "sender": SENDER,
                                                       "sender_kind": "short_code", **more})["id"]

    @classmethod
    def change_route(cls, **members):
        path = "/api/v1/routes/" + cls.route_id
        etag = cls.api.ask("GET", path).headers["ETag"]
        return cls.api.call("PATCH", path, members, media="application/merge-patch+json", headers={"If-Match": etag})

    @staticmethod
    def people(n, group="open", place=HOME):
        return [Person(group, place) for _ in range(n)]

    @classmethod
    def consent(cls, people):
        for i in range(0, len(people), 50000):
            body = "".join(json.dumps({"msisdn": p.msisdn, "action": "grant", "purpose": "marketing", "source": "test"}) + "\n" for p in people[i:i + 50000])
            cls.api.post("/api/v1/consents", body=body.encode(), media="application/x-ndjson")

    @classmethod
    def forbid(cls, people, name="test list"):
        have = next((x for x in cls.api.every("/api/v1/dnd-lists?limit=500") if x["name"] == name), None)
        lst = have or cls.api.post("/api/v1/dnd-lists", {"name": name, "scope": "all"})
        cls.api.post("/api/v1/dnd-lists/%s/entries" % lst["id"], body=csv(people), media="text/csv")

    @classmethod
    def close_region(cls, region, zone, not_before_h=6):
        """Open for one hour a day that is at least not_before_h away."""
        import zoneinfo
        hour = (datetime.datetime.now(zoneinfo.ZoneInfo(zone)).hour + not_before_h + 1) % 24
        return cls.api.post("/api/v1/calendars", {"name": "closed %s" % region, "kind": "quiet", "region": region, "hours": [
            {"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "from": "%02d:00" % hour, "to": "%02d:00" % (hour + 1)}]})

    # ---- campaigns ----

    @classmethod
    def audience(cls, people):
        aud = cls.api.post("/api/v1/audiences", {"name": "a%d" % time.monotonic_ns()})["id"]
        done = cls.api.call("PUT", "/api/v1/audiences/%s/recipients" % aud, body=csv(people), media="text/csv", timeout_s=120)
        assert done["accepted"] == len(people), done
        return aud

    @classmethod
    def campaign(cls, people, text="campaign text #{{code}}", start=True, audience=None, not_after_s=7200, validity_s=VALIDITY_S, **more):
        cmp = cls.api.post("/api/v1/campaigns", {
            "name": "c%d" % time.monotonic_ns(), "class": "marketing", "purpose": "marketing", "audience": audience or cls.audience(people), "not_after": utc(not_after_s),
            "waves": [{"channel": "sms", "content": {"text": text}, "validity": "PT%dS" % validity_s}], **more})["id"]
        if start:
            cls.act(cmp, "start")
        return cmp

    @classmethod
    def act(cls, cmp, verb):
        return cls.api.post("/api/v1/campaigns/%s/%s" % (cmp, verb))

    @classmethod
    def progress(cls, cmp):
        return cls.api.get("/api/v1/campaigns/%s/progress" % cmp)

    @classmethod
    def funnel(cls, cmp):
        return cls.api.get("/api/v1/campaigns/%s/funnel" % cmp)

    @classmethod
    def state(cls, cmp):
        return cls.api.get("/api/v1/campaigns/" + cmp)["state"]

    def complete(self, cmp, timeout_s=120, states=("completed",)):
        """Waits for the end of the campaign; its funnel."""
        if not self.until(self.patient(lambda: self.state(cmp) in states), timeout_s, 0.1):
            self.fail("%s is %s after %d s: %s\nprogress %s\nlog ends:\n%s" % (cmp, self.state(cmp), timeout_s, self.funnel(cmp), self.progress(cmp), stack.tail(self.gateway.process.log_path, 15)))
        return self.funnel(cmp)

    @staticmethod
    def patient(condition):
        """False while the gateway cannot be asked."""
        def asked():
            try:
                return condition()
            except (OSError, http.client.HTTPException, stack.StackError):
                return False
        return asked

    def quiet(self):
        """The simulator has nothing more to say."""
        s = self.sim.stats()
        return not (s["queued"] or s["unacked"] or s["timers"])

    def give_up_waiting(self, cmp, timeout_s=50):
        """Everybody's turn has been, all receipts have come and found their contact: validity is over now, and what has no final word is unknown. (The shortest
        that the API takes is a minute; test_four_channels waits for it.)"""
        # a receipt that came before its answer settles a doubt some seconds later, when no answer came; one that fits nobody stays for days
        seeks = "SELECT count(*) FROM receipt_early WHERE arrived > now() - interval '%d s'" % SEEKS_S
        done = self.until(self.patient(lambda: self.funnel(cmp)["waiting"] == 0 and self.quiet() and self.number(seeks) == 0), timeout_s, 0.1)
        self.assertTrue(done, "%s\n%s" % (self.funnel(cmp), self.sim.stats()))
        self.rows("UPDATE wave SET validity_ms = 1 FROM campaign c WHERE c.campaign_id = wave.campaign_id AND c.public_id = '%s'" % cmp)

    @staticmethod
    def until(condition, timeout_s=30, pause_s=0.02):
        return stack.wait_until(condition, timeout_s, pause_s)

    @classmethod
    def hands_full(cls, at_least):
        """So many messages are on their way and stay so for a while: what happens now meets them, however slow this machine or its disk is."""
        cls.sim.set(delay_min_ms=HELD_MS, delay_max_ms=HELD_MS)
        full = cls.until(lambda: cls.sim.stats()["unanswered"] >= at_least, 60)
        cls.sim.set(**{k: cls.knobs.get(k, 0) for k in ("delay_min_ms", "delay_max_ms")})
        assert full, "the windows do not fill: %s" % cls.sim.stats()

    def verdict(self, person, channel="sms", contact_class="marketing"):
        return self.api.post("/api/v1/decisions", {"msisdn": person.msisdn, "channel": channel, "class": contact_class, "purpose": "marketing"})

    # ---- what the two sides know ----

    def reached(self):
        """(dest, key) of messages that went into the simulator, answered or not."""
        return {(m.dest, m.key) for m in self.sim.messages() if m.taken}

    @staticmethod
    def keys(people):
        return {(p.dest, str(p.code)) for p in people}

    def rows(self, sql):
        return self.cluster.sql(sql)

    def number(self, sql):
        return int(self.rows(sql)[0][0])

    def contacts_in(self, table, cmp, where="true"):
        """E.164 digits of the people with such a row in this campaign."""
        return {r[0].lstrip("+") for r in self.rows(
            "SELECT DISTINCT r.address FROM %s x JOIN wave w ON w.wave_id = (x.contact_id >> 32) JOIN campaign c USING (campaign_id) JOIN recipient r ON r.part = x.part AND r.set_id = w.set_id"
            " AND r.seq = (x.contact_id & 4294967295) WHERE c.public_id = '%s' AND %s" % (table, cmp, where))}

    def seals_verify(self):
        with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "seals.sql"), encoding="utf-8") as f:
            text = f.read()
        path = os.path.join(self.dir, "seals.sql")
        stack.write_file(path, text)
        out = self.cluster._run([os.path.join(self.cluster.bin, "psql"), "-qXAt", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-f", path, self.cluster.conninfo("postgres")])
        seals, broken, unlinked, unsealed, heads = (int(x) for x in out.split())
        self.assertGreater(seals, 0)
        self.assertEqual((broken, unlinked, unsealed, heads), (0, 0, 0, 0), "of %d seals: wrong digest, not linked; rows under none; wrong heads" % seals)

    def memory_below(self, measured, bound):
        """Judged without sanitizers only: they keep what was freed for a while, to see it used."""
        if not stack.sanitized(self.gateway.process.pid):
            self.assertLess(measured, bound)

    def no_complaints(self):
        stats = self.sim.stats()
        self.assertEqual(stats["complaints_total"], 0, stats["complaints"])


class Storm(Field):
    """A campaign that something happens to, and the account of it afterwards."""

    def setUp(self):
        self.sim.ctl("reset")

    def consenting(self, n):
        people = self.people(n)
        self.consent(people)
        return people

    def unique(self):
        return self.sim.stats()["messages"]["unique"]

    def goes(self, at_least):
        self.assertTrue(self.until(lambda: self.unique() >= at_least, 30, 0.01), "only %d of %d messages came\n%s" % (self.unique(), at_least, stack.tail(self.gateway.process.log_path, 10)))

    def waits_for_route(self, cmp):
        self.assertTrue(self.until(lambda: self.progress(cmp)["waiting_for"] == "route_down", 30), self.progress(cmp))
        self.assertEqual(self.funnel(cmp)["held"], {}, "a route that is down is no reason to hold anybody")

    def channel(self):
        return next(c for c in self.api.get("/api/v1/channels")["data"] if c["name"] == "smsc")

    def is_up(self):
        return self.until(lambda: self.channel()["up"], 30)

    def account(self, cmp, people, in_doubt_max=0, timeout_s=50):
        """Everybody has a result, nobody got it twice, and log and simulator tell the same story."""
        if in_doubt_max:
            self.give_up_waiting(cmp, timeout_s)
        funnel = self.complete(cmp, timeout_s)
        n = len(people)
        seen = [m for m in self.sim.messages() if m.taken]
        self.assertEqual([m for m in seen if m.taken > 1], [], "somebody got it twice")
        unique, submitted, doubt = {m.dest for m in seen}, self.contacts_in("contact_submit", cmp), self.contacts_in("contact_event", cmp, "x.kind = 9")
        self.assertLessEqual(submitted, unique, "the log knows of messages that nobody got")
        self.assertLessEqual(unique, submitted | doubt, "messages went out that the log does not know")
        self.assertEqual({p.dest for p in people} - (submitted | doubt), set(), "people whom nothing became of: %s" % funnel)
        self.assertEqual((funnel["audience"], funnel["waiting"], funnel["pending"], funnel["held"], funnel["submitted"]), (n, 0, 0, {}, n), "the numbers are not those of the rows: %s" % funnel)
        self.assertEqual(funnel["delivered"] + funnel["failed"] + funnel["expired"] + funnel["unknown"], n)
        self.assertLessEqual(len(doubt), in_doubt_max)
        return funnel
