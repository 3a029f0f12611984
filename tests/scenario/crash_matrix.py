# SPDX-License-Identifier: Apache-2.0
"""crash_matrix.py [--rounds N] [--seed N] [--contacts N] - SIGKILL at random moments, and the account after each.

Each round is a campaign to people of whom many were contacted in earlier rounds, with receipts, throttling and errors. In the
middle of one ACTIVITY one VICTIM dies: the daemon, one backend of PostgreSQL (the postmaster then restarts all), the whole
PostgreSQL (immediate stop), or the simulator (its journal outlives it). 32 rounds meet every pair once, in an order that the
seed decides; the same seed makes the same decisions, though the machine's timing is its own. Afterwards, person by person:

    submitted (log)  <=  taken by the simulator  <=  submitted or in doubt        nobody twice
    in doubt <= the windows + the results not yet flushed                         everybody has a final word
    nobody above a cap, on a list, without consent                                no acknowledged receipt is lost
    statistics and cap counters = recount of the rows                             seals verify

Speaks TAP, a line per round. Ends at the first failure with everything kept. Needs CAMPGW_BUILD and CAMPGW_STAGE, which
scripts/test and scripts/bench set.
"""
import argparse
import collections
import concurrent.futures
import contextlib
import http.client
import itertools
import json
import os
import random
import re
import secrets
import signal
import subprocess
import sys
import time
import unittest

import harness
import stack

VICTIMS = ("daemon", "backend", "postgres", "simulator")
ACTIVITIES = ("upload", "planning", "dispatch", "receipts", "pause", "cancel", "policy", "migration")
WINDOW, BINDS, CAP = 50, 2, 2
RATE_PER_S = 1500
VALIDITY_MS = 5000  # then what was never answered is unknown; windows close 2 s early, and the channel wants 1 s
PATIENCE_S = 60  # for anything that has to happen sooner or later
# core/README.md: a message is on the wire within a second after its intent, or never; the three behind it are the machine's: it may pause between the last look
# at the clock and the write, and between the write and the simulator's look at its own
EFFECTIVE_MS = 1000 + 3000
KEY = 10 ** 8  # message key = round * KEY + person


def flush_rows():
    with open(os.path.join(stack.ROOT, "core/outcome/outcome.h"), encoding="utf-8") as f:
        return int(re.search(r"#define OUTCOME_FLUSH_ROWS (\d+)u", f.read())[1])


# core/README.md, "In doubt after a SIGKILL"
IN_DOUBT_MAX = WINDOW * BINDS + flush_rows()

# What must be 0 in the end; %(wave)d is the round's wave
RECOUNTS = {
    "people without a final word":
        "SELECT count(*) FROM recipient r JOIN wave w USING (set_id) WHERE wave_id = %(wave)d"
        " AND NOT EXISTS (SELECT FROM contact_event e WHERE e.part = r.part AND e.contact_id = %(wave)d::int8 << 32 | r.seq AND kind IN (2, 3, 4, 5, 10, 12))"
        " AND NOT EXISTS (SELECT FROM contact_log l WHERE l.part = r.part AND l.contact_id = %(wave)d::int8 << 32 | r.seq AND verdict = 3)",
    "rows of work left":
        "SELECT (SELECT count(*) FROM chunk WHERE wave_id = %(wave)d AND state < 2) + (SELECT count(*) FROM echo WHERE wave_id = %(wave)d)"
        " + (SELECT count(*) FROM in_doubt WHERE contact_id >> 32 = %(wave)d)",
    # kinds of core/outcome/outcome.h on both sides
    "statistics that differ from a recount of the rows":
        "WITH event AS (SELECT part, contact_id, kind, code, sub FROM contact_event WHERE contact_id >> 32 = %(wave)d), rows AS ("
        " SELECT 1 AS kind, reason AS code, part, contact_id FROM contact_log WHERE contact_id >> 32 = %(wave)d AND verdict = 3"
        " UNION SELECT 1, code, part, contact_id FROM event WHERE kind = 10"
        " UNION SELECT 2, 0, part, contact_id FROM contact_submit WHERE contact_id >> 32 = %(wave)d"
        " UNION SELECT 2, 0, part, contact_id FROM event WHERE kind IN (5, 9)"
        " UNION SELECT k, 0, part, contact_id FROM event JOIN (VALUES (2, 3), (3, 4), (5, 4), (4, 5), (9, 9), (13, 10)) m (event, k) ON event.kind = m.event"
        " UNION SELECT 6, 0, part, contact_id FROM event u WHERE kind = 12 AND NOT EXISTS (SELECT FROM event e WHERE e.part = u.part AND e.contact_id = u.contact_id AND e.kind IN (2, 3, 4))"
        " UNION ALL SELECT 13, sub, part, contact_id FROM event WHERE sub <> 0),"
        " recount AS (SELECT kind, code, count(*) AS n FROM rows GROUP BY 1, 2),"
        " stat AS (SELECT kind, code, sum(n) AS n FROM campaign_stat WHERE wave_id = %(wave)d AND kind IN (1, 2, 3, 4, 5, 6, 9, 10, 13) GROUP BY 1, 2)"
        " SELECT count(*) FROM recount FULL JOIN stat USING (kind, code) WHERE coalesce(recount.n, 0) <> coalesce(stat.n, 0)",
    "cap counters that differ from a recount of the log":
        "WITH log AS (SELECT part, customer_id, count(DISTINCT contact_id) AS n FROM contact_log l WHERE verdict = 1 AND slots <> 0"
        " AND NOT EXISTS (SELECT FROM cap_release r WHERE r.part = l.part AND r.contact_id = l.contact_id) GROUP BY 1, 2),"
        " counted AS (SELECT part, customer_id, sum(n[1]) AS n FROM cap_counter WHERE period >= 0 GROUP BY 1, 2)"
        " SELECT count(*) FROM log FULL JOIN counted USING (part, customer_id) WHERE coalesce(log.n, 0) <> coalesce(counted.n, 0)",
    "people whom the log puts above the cap":
        "SELECT count(*) FROM (SELECT FROM contact_log l WHERE verdict = 1 AND NOT EXISTS (SELECT FROM cap_release r WHERE r.part = l.part AND r.contact_id = l.contact_id)"
        " GROUP BY part, customer_id HAVING count(DISTINCT contact_id) > " + str(CAP) + ") x",
}


def unique(stats):
    return stats["messages"]["unique"]


def receipts(stats):
    return stats["receipts_acked"]


class Wrong(Exception):
    """What a round found."""


class Matrix(harness.Field):
    durable, prefix = True, "cgw-crash."
    knobs = {"throttle_permille": 20, "error_permille": 10, "error_list": "0x08:2,0x0b:1", "delay_min_ms": 2, "delay_max_ms": 30, "reorder_permille": 50,
             "receipt_delay_min_ms": 20, "receipt_delay_max_ms": 1000, "receipt_early_permille": 30, "receipt_late_permille": 30, "receipt_late_ms": 1000,
             "receipt_state": "DELIVRD:97,UNDELIV:2,EXPIRED:1", "receipt_duplicate_permille": 20, "receipt_form": "both:3,tlv:1,text:1,payload:1",
             "ack_timeout_ms": 1000 * PATIENCE_S}  # unanswered while the database recovers: rightly so
    instance = {"window": WINDOW, "binds": BINDS, "retry": "0x08=transient:300:8", "response_timeout_ms": 4000}

    @classmethod
    def begin(cls, seed, contacts):
        cls.knobs = {**cls.knobs, "seed": seed}
        cls.setUpClass()
        # its count must outlive it: started once more, with a journal
        cls.port = cls.sim.port
        cls.sim.stop()
        cls.start_sim()
        cls.settings["outcome"]["receipt_grace_s"] = 1
        cls.gateway.configure(cls.settings)
        cls.restart()
        cls.change_route(rate_per_s=RATE_PER_S)
        cls.cap_id = cls.api.post("/api/v1/caps", {"name": "crash", "max": CAP, "period": "year", "zone": "UTC", "classes": ["marketing"]})["id"]
        cls.dnd_id = cls.api.post("/api/v1/dnd-lists", {"name": "crash", "scope": "all"})["id"]
        cls.seed, cls.contacts, cls.pool, cls.upload_s = seed, contacts, [], 0.2
        cls.unconsented, cls.dnd_since = set(), {}  # destinations; epoch ms from which an entry binds
        cls.had = collections.Counter()  # messages so far by destination
        cls.totals, cls.most = collections.Counter(), collections.Counter()
        began = time.monotonic()
        cls.reference = cls.migrated("reference")
        cls.migrate_s = (time.monotonic() - began) / 2

    @classmethod
    def start_sim(cls):
        cls.sim.start(port=cls.port, journal=os.path.join(cls.sim.dir, "sim.journal"), **cls.knobs)

    # ---- the victims ----

    def strike(self):
        getattr(self, "kill_" + self.victim)()

    def kill_daemon(self):
        self.restart(kill=True)

    def kill_backend(self):
        with open(os.path.join(self.cluster.data, "postmaster.pid"), encoding="ascii") as f:
            postmaster = int(f.readline())
        # who works: not the helpers of the server, whose death it survives in other ways
        mine = sorted(pid for pid, _ in stack.all_ticks() if stack.parent_of(pid) == postmaster and b" campgw" in command_line(pid))
        if mine:
            os.kill(self.rng.choice(mine), signal.SIGKILL)
        self.wait_for_database()

    def kill_postgres(self):
        self.cluster.stop("immediate")
        self.cluster.start()

    def kill_simulator(self):
        self.complaints()
        self.sim.process.kill()
        self.start_sim()

    def wait_for_database(self):
        def answers():
            try:
                return self.cluster.sql("SELECT 1")
            except stack.StackError:
                return None
        self.need(answers, "PostgreSQL does not come back")

    # ---- asking a peer that may be dead ----

    def need(self, condition, what, timeout_s=PATIENCE_S):
        value = self.until(condition, timeout_s, 0.05)
        if not value:
            raise Wrong("%s within %d s" % (what, timeout_s))
        return value

    def insist(self, method, path, doc=None, **kw):
        """The first answer that says something. Repeating a POST with its key does not repeat its effect."""
        headers = {**kw.pop("headers", {}), **({"Idempotency-Key": secrets.token_hex(12)} if method == "POST" else {})}

        def once():
            try:
                answer = self.api.ask(method, path, doc, headers=headers, **kw)
            except (OSError, http.client.HTTPException):
                return None
            return None if answer.status >= 500 or answer.status == 429 or answer.slug == "idempotency-in-progress" else answer
        return self.need(once, "%s %s is not answered" % (method, path))

    def demand(self, method, path, doc=None, **kw):
        answer = self.insist(method, path, doc, **kw)
        if answer.status >= 300:
            raise Wrong("%s %s: %r" % (method, path, answer))
        return answer.json if answer.body else None

    def struck_during(self, call, longest_s):
        """What call() answers while the victim dies at a random moment of its longest_s seconds."""
        moment = self.rng.uniform(0, longest_s)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            future = pool.submit(call)
            concurrent.futures.wait([future], timeout=moment)
            self.strike()
            return future.result(2 * PATIENCE_S)

    # ---- the activities: each makes a campaign, runs it and strikes in its own moment ----

    def upload(self):
        aud = self.demand("POST", "/api/v1/audiences", {"name": "round %d" % self.n})["id"]
        rows = "".join("%s,%s,%s,%d\n" % (p.msisdn, p.region, p.zone, self.n * KEY + p.code) for p in self.people_now)
        began = time.monotonic()

        def put():
            return self.demand("PUT", "/api/v1/audiences/%s/recipients" % aud, body=("msisdn,region,zone,code\n" + rows).encode(), media="text/csv")
        done = self.struck_during(put, type(self).upload_s) if self.activity == "upload" else put()
        if self.activity != "upload":
            type(self).upload_s = time.monotonic() - began
        if (done["accepted"], done["duplicate"], done["invalid"]) != (len(self.people_now), 0, 0):
            raise Wrong("uploaded %s" % done)
        return aud

    def start(self):
        return self.demand("POST", "/api/v1/campaigns/%s/start" % self.cmp, {})

    def reached_now(self, share, counter=unique):
        """Waits until that share of those who may be contacted has been reached, or all is over."""
        wanted = self.before[counter] + share * self.eligible
        self.need(lambda: counter(self.sim.stats()) >= wanted or self.finished(), "the campaign does not get to %d %%" % (100 * share))

    def run_upload(self):
        self.start()

    def run_planning(self):
        self.struck_during(self.start, 0.4)

    def run_dispatch(self):
        self.start()
        self.reached_now(self.rng.uniform(0.02, 0.95))
        self.strike()

    def run_receipts(self):
        self.start()
        self.reached_now(self.rng.uniform(0.05, 0.9), receipts)
        self.strike()

    def act_and_strike(self, verb):
        self.start()
        self.reached_now(self.rng.uniform(0.05, 0.7))
        return self.struck_during(lambda: self.insist("POST", "/api/v1/campaigns/%s/%s" % (self.cmp, verb)), 0.1)

    def run_pause(self):
        answer = self.act_and_strike("pause")
        if answer.status == 200:
            self.demand("POST", "/api/v1/campaigns/%s/resume" % self.cmp)
        elif answer.slug != "state-conflict":
            raise Wrong("pause: %r" % answer)

    def run_cancel(self):
        answer = self.act_and_strike("cancel")
        if answer.status != 200 and answer.slug != "state-conflict":
            raise Wrong("cancel: %r" % answer)

    def run_policy(self):
        self.start()
        self.reached_now(self.rng.uniform(0.05, 0.7))
        self.struck_during(self.forbid_more, 0.2)
        self.ended()
        self.lowered_until = epoch_ms()
        self.set_cap(CAP)

    def forbid_more(self):
        chosen = self.rng.sample(self.people_now, len(self.people_now) // 40)
        self.demand("POST", "/api/v1/dnd-lists/%s/entries" % self.dnd_id, body=harness.csv(chosen), media="text/csv")
        for p in chosen:
            self.dnd_since.setdefault(p.dest, epoch_ms())
        self.set_cap(1)
        self.lowered_from = epoch_ms()

    def set_cap(self, most):
        path = "/api/v1/caps/" + self.cap_id

        def once():
            now = self.insist("GET", path)
            return now.json["max"] == most or self.insist("PATCH", path, {"max": most}, media="application/merge-patch+json", headers={"If-Match": now.headers["ETag"]}).status == 200
        self.need(once, "the cap stays as it was")

    def run_migration(self):
        self.start()

        def interrupt(child):
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(self.rng.uniform(0, self.migrate_s))
            if self.victim == "daemon":  # here it is campgwctl that works
                child.kill()
            else:
                self.strike()
        if self.migrated("fresh%d" % self.n, interrupt) != self.reference:
            raise Wrong("a migration that was interrupted and repeated leaves another schema than one in peace")

    # ---- migrations ----

    @classmethod
    def migrate(cls, name):
        return subprocess.Popen(cls.gateway.prefix + [cls.programs.ctl, "db", "migrate", "--database", cls.cluster.conninfo("postgres", name), "--sql", cls.programs.sql],
                                cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    @classmethod
    def migrated(cls, name, meanwhile=None):
        """Schema of a fresh database, as text; meanwhile(child) happens to its first migration, which is then repeated until it is through."""
        cls.cluster.sql("CREATE DATABASE %s OWNER campgw_owner" % name, database="postgres")
        if meanwhile:
            child = cls.migrate(name)
            meanwhile(child)
            child.communicate(timeout=PATIENCE_S)
        for _ in range(5):
            child = cls.migrate(name)
            said, _ = child.communicate(timeout=PATIENCE_S)
            if child.returncode == 0:
                break
        else:
            raise Wrong("migration does not come to its end: %s" % said)
        said, _ = cls.migrate(name).communicate(timeout=PATIENCE_S)
        if "nothing to do" not in said:
            raise Wrong("migrated, and once more: %s" % said)
        text = cls.cluster.schema(name)
        cls.cluster.sql("DROP DATABASE %s" % name, database="postgres")
        return text

    # ---- one round ----

    def choose_people(self):
        new = self.people(self.contacts * 6 // 10)
        forbidden, silent = new[:len(new) * 3 // 100], new[-(len(new) * 3 // 100):]
        self.consent(new[:len(new) - len(silent)])
        self.unconsented.update(p.dest for p in silent)
        if forbidden:
            self.api.post("/api/v1/dnd-lists/%s/entries" % self.dnd_id, body=harness.csv(forbidden), media="text/csv")
            self.dnd_since.update((p.dest, 0) for p in forbidden)
        old = self.rng.sample(self.pool, min(len(self.pool), self.contacts - len(new)))
        self.pool.extend(new)
        self.people_now = old + new
        self.eligible = sum(p.dest not in self.unconsented and p.dest not in self.dnd_since and self.had[p.dest] < CAP for p in self.people_now)

    def finished(self):
        try:
            return self.rows("SELECT finished_at FROM campaign WHERE public_id = '%s' AND finished_at IS NOT NULL" % self.cmp)
        except stack.StackError:
            return None

    def ended(self):
        if not self.until(self.finished, PATIENCE_S, 0.1):
            raise Wrong("the campaign does not end: %r" % self.insist("GET", "/api/v1/campaigns/%s/progress" % self.cmp))

    def run_round(self, n, victim, activity):
        self.n, self.victim, self.activity = n, victim, activity
        self.rng = random.Random("%d/%d" % (self.seed, n))
        self.lowered_from = self.lowered_until = None
        self.choose_people()
        stats = self.sim.stats()
        self.before = {counter: counter(stats) for counter in (unique, receipts)}
        audience = self.upload()
        self.cmp = self.demand("POST", "/api/v1/campaigns", {
            "name": "round %d" % n, "class": "marketing", "purpose": "marketing", "audience": audience, "not_after": harness.utc(7200),
            "waves": [{"channel": "sms", "content": {"text": "round %d #{{code}}" % n}, "validity": "PT60S"}]})["id"]
        # the shortest that the API takes would make most rounds a minute long
        self.rows("UPDATE wave SET validity_ms = %d FROM campaign c WHERE c.campaign_id = wave.campaign_id AND c.public_id = '%s'" % (VALIDITY_MS, self.cmp))
        getattr(self, "run_" + activity)()
        self.ended()
        return self.account()

    # ---- the account ----

    def account(self):
        self.need(self.sim_is_idle, "the simulator still has something to deliver")
        seen = [m for m in self.sim.messages() if m.taken]
        ours = [m for m in seen if int(m.key) // KEY == self.n]
        unique = {m.dest for m in ours}
        submitted, doubt, settled = (self.contacts_in(*x) for x in (("contact_submit", self.cmp), ("contact_event", self.cmp, "x.kind = 9"), ("contact_event", self.cmp, "x.kind = 13")))
        self.check("submitted by the log, not taken by the simulator", submitted - unique)
        self.check("taken by the simulator, unknown to the log", unique - submitted - doubt)
        twice = {m.dest for m in seen if m.taken > 1}
        self.totals["twice"] = len(twice)
        self.check("taken twice", twice)
        self.check("accepted and without a final word though their receipts were acknowledged",
                   submitted & self.contacts_in("contact_event", self.cmp, "x.kind = 12 AND NOT EXISTS (SELECT FROM contact_event e WHERE e.part = x.part AND e.contact_id = x.contact_id AND e.kind IN (2, 3, 4))"))
        self.check("in doubt, above the bound of %d" % IN_DOUBT_MAX, doubt if len(doubt) > IN_DOUBT_MAX else ())
        self.check_rules(seen)
        wave = self.number("SELECT wave_id FROM wave JOIN campaign USING (campaign_id) WHERE public_id = '%s'" % self.cmp)
        for what, sql in RECOUNTS.items():
            if self.number(sql % {"wave": wave}):
                raise Wrong("%s: %s" % (what, self.rows(sql % {"wave": wave})))
        if self.n <= 40 or self.n % 10 == 0:  # all seals so far: a long run would do little else
            self.seals_verify()
        self.complaints()
        self.had.clear()
        self.had.update(m.dest for m in seen)
        found = {"contacts": len(self.people_now), "submitted": len(submitted), "in doubt": len(doubt), "settled": len(settled)}
        self.totals.update(found)
        self.most[self.victim] = max(self.most[self.victim], len(doubt))
        return found

    def sim_is_idle(self):
        stats = self.sim.stats()
        return not (stats["queued"] or stats["unacked"] or stats["timers"])

    def check(self, what, people):
        if people:
            raise Wrong("%d people %s, such as %s" % (len(people), what, sorted(people)[0][-4:].rjust(8, "*")))

    def check_rules(self, seen):
        """By the simulator's count alone."""
        by_dest = collections.defaultdict(list)
        for m in seen:
            by_dest[m.dest].append(m.last_ms)
        self.check("reached above the cap", [d for d, times in by_dest.items() if len(times) > CAP])
        self.check("reached without consent", self.unconsented & by_dest.keys())
        self.check("reached though on a list", [d for d, since in self.dnd_since.items() if any(t > since + EFFECTIVE_MS for t in by_dest.get(d, ()))])
        if self.lowered_from:
            late = [d for d, times in by_dest.items() if len(times) > 1 and self.lowered_from + EFFECTIVE_MS < max(times) < self.lowered_until]
            self.check("reached a second time after the cap was lowered to 1", late)

    def complaints(self):
        stats = self.sim.stats()
        if stats["complaints_total"] or stats["deliveries_lost"] or stats["deliveries_given_up"]:
            raise Wrong("the simulator complains: %s" % stats["complaints"])

    @classmethod
    def figures(cls, args, seconds):
        t = cls.totals
        return {"seed": args.seed, "rounds": args.rounds, "contacts": t["contacts"], "submitted": t["submitted"], "in_doubt": t["in doubt"], "in_doubt_round_max": max(cls.most.values(), default=0),
                "in_doubt_bound": IN_DOUBT_MAX, "settled": t["settled"], "twice": t["twice"], "seconds": round(seconds)}

    def runTest(self):
        """A TestCase for its helpers: rounds are run by main()."""


def epoch_ms():
    return int(time.time() * 1000)


def command_line(pid):
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as f:
            return f.read()
    except OSError:
        return b""


def pairs(seed):
    """Victim and activity of each round: each 32 rounds have every pair once, each 4 every victim."""
    rng = random.Random(seed)
    while True:
        decks = {v: rng.sample(ACTIVITIES, len(ACTIVITIES)) for v in VICTIMS}
        for i in range(len(ACTIVITIES)):
            for victim in rng.sample(VICTIMS, len(VICTIMS)):
                yield victim, decks[victim][i]


def tell_failure(e, n, args):
    print("# %s" % str(e).replace("\n", "\n# "))
    print("# log ends:\n# " + stack.tail(Matrix.gateway.process.log_path, 15).replace("\n", "\n# "))
    print("# again: scripts/bench crash --rounds %d --seed %d --contacts %d%s" % (n, args.seed, args.contacts, " --only " + args.only if args.only else ""), flush=True)


def play(args):
    """True when every round is right; the first wrong one is the last."""
    deck = itertools.repeat(args.only.split(":")) if args.only else pairs(args.seed)
    for n, (victim, activity) in enumerate(itertools.islice(deck, args.rounds), 1):
        since, trouble, found = time.monotonic(), None, None
        try:
            found = Matrix().run_round(n, victim, activity)
        except (Wrong, AssertionError, stack.StackError, OSError, http.client.HTTPException) as e:
            trouble = e
        print("%sok %d - crash_matrix round %d: %s killed during %s  (%.2fs)" % ("not " if trouble else "", n, n, victim, activity, time.monotonic() - since))
        if trouble:
            tell_failure(trouble, n, args)
            return False
        print("# " + json.dumps(found), flush=True)
    return True


def main():
    ap = argparse.ArgumentParser(prog="scripts/bench crash", description=__doc__.splitlines()[0].partition(" - ")[2])
    ap.add_argument("--rounds", type=int, default=4)
    ap.add_argument("--seed", type=int, default=secrets.randbelow(10 ** 6), help="repeats the decisions of an earlier run")
    ap.add_argument("--only", metavar="VICTIM:ACTIVITY", choices=["%s:%s" % pair for pair in itertools.product(VICTIMS, ACTIVITIES)], help="this pair in every round")
    ap.add_argument("--contacts", type=int, default=2000, help="people of each campaign")
    args = ap.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    print("TAP version 13\n1..%d\n# seed %d" % (args.rounds, args.seed), flush=True)
    began, ok = time.monotonic(), False
    try:
        Matrix.begin(args.seed, args.contacts)
        ok = play(args)
        print("# " + json.dumps(Matrix.figures(args, time.monotonic() - began)), flush=True)
    except unittest.SkipTest as e:
        print("# SKIP %s" % e)
        return 77
    finally:
        if not ok:
            os.environ["CAMPGW_TEST_KEEP"] = "1"
        Matrix.doClassCleanups()
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
