# SPDX-License-Identifier: Apache-2.0
"""bench_soak.py - rows of scripts/bench that go on for long: soak (half speed with faults) and crash (the crash matrix with many rounds).

Soak goes in laps: campaigns back to back until the simulator's table of messages is three quarters full, then all must end, and the
simulator must have seen nobody twice. At the end every campaign's funnel is counted again from the rows.
"""
import collections
import itertools
import json
import os
import subprocess
import sys
import time

import benchkit as kit
import stack
from bench_load import LOG_BYTES_PER_CONTACT

SAMPLE_S, FAULT_S, FAULT_EVERY_S = 10, 5, 20
LAP_MESSAGES = 3000000  # of the 4,194,304 that the simulator can tell apart
VALIDITY_S = 60
# Knobs for FAULT_S seconds, or a command. Each is described in tests/sim/README.md
FAULTS = ({"throttle_permille": 100}, {"error_permille": 20, "error_list": "0x08:1"}, {"delay_min_ms": 50, "delay_max_ms": 300}, {"reorder_permille": 100}, "drop mid-pdu",
          {"receipt_early_permille": 50, "receipt_duplicate_permille": 50}, {"receipt_late_permille": 50}, {"max_window": 50}, "drop all")
Sample = collections.namedtuple("Sample", "rss_anon dead_tuples")


class Soak:
    def __init__(self, gw, n, seconds):
        self.gw, self.n = gw, n
        self.began = time.monotonic()
        self.end = self.began + seconds
        self.samples, self.campaigns, self.faults, self.heard_late = [], [], 0, 0
        self.next_sample = self.next_fault = self.began
        self.fault, self.fault_end = None, 0
        self.kinds = itertools.cycle(FAULTS)
        self.bar = kit.Progress("seconds", seconds, gw.opts.quiet)

    def over(self):
        return time.monotonic() >= self.end

    def turn(self):
        """What is due now: a sample, the begin or the end of a fault."""
        now = time.monotonic()
        self.bar.at(int(now - self.began))
        if now >= self.next_sample:
            self.next_sample = now + SAMPLE_S
            self.samples.append(Sample(kit.rss_anon(self.gw.pid), self.gw.number("SELECT sum(n_dead_tup) FROM pg_stat_user_tables WHERE schemaname = 'campgw'")))
        if self.fault and now >= self.fault_end:
            self.gw.sim.set(**{knob: self.standard[knob] for knob in self.fault})
            self.fault = None
        if now >= self.next_fault and not self.over():
            self.begin_fault(next(self.kinds))

    def begin_fault(self, kind):
        self.faults += 1
        self.next_fault = time.monotonic() + FAULT_EVERY_S
        if isinstance(kind, str):
            self.gw.sim.ctl(kind)
        else:
            self.gw.sim.set(**kind)
            self.fault, self.fault_end = kind, time.monotonic() + FAULT_S

    def wait(self, condition, what):
        def turn():
            self.turn()
            return condition()
        return self.gw.until(turn, what, pause_s=0.5)

    def lap(self, aud):
        """Campaigns until the table is full or time is over; each begins when the one before has sent to everybody."""
        gw, began = self.gw, len(self.campaigns)
        gw.sim.ctl("reset")
        while not self.over() and (len(self.campaigns) - began + 1) * self.n <= LAP_MESSAGES:
            cmp = gw.campaign(aud, VALIDITY_S, "soak #%d{{code}}" % (len(self.campaigns) + 1))
            self.campaigns.append(cmp)
            gw.act(cmp, "start")
            self.wait(lambda c=cmp: self.dispatched(c) >= self.n, "campaign %d" % len(self.campaigns))
        for cmp in self.campaigns[began:]:
            self.wait(lambda c=cmp: gw.state(c) == "completed", "the end of " + cmp)
        counted = gw.sim.stats()["messages"]
        if counted["duplicate_taken"] or counted["overflow"]:
            raise stack.StackError("the simulator counted %s" % counted, gw.gateway.process.log_path)

    def dispatched(self, cmp):
        f = self.gw.funnel(cmp)
        return f["submitted"] + f["failed"] + f["expired"] + f["in_doubt"] + sum(f["held"].values())

    def run(self, aud):
        self.standard = self.gw.sim.ctl("get")
        while not self.over():
            self.lap(aud)

    def drift(self):
        """People whose funnel differs from a recount of the rows."""
        # who was given up on and then heard of is not unknown any more
        rows = self.gw.cluster.sql(
            "SELECT c.public_id, count(*) FILTER (WHERE d), count(*) FILTER (WHERE f), count(*) FILTER (WHERE e), count(*) FILTER (WHERE u AND NOT (d OR f OR e)),"
            " count(*) FILTER (WHERE u AND (d OR f OR e)) FROM"
            " (SELECT part, contact_id, bool_or(kind = 2) AS d, bool_or(kind IN (3, 5)) AS f, bool_or(kind = 4) AS e, bool_or(kind = 12) AS u FROM contact_event GROUP BY 1, 2) x"
            " JOIN wave w ON w.wave_id = (x.contact_id >> 32) JOIN campaign c USING (campaign_id) GROUP BY 1", timeout_s=3600)
        counted = {r[0]: [int(v) for v in r[1:5]] for r in rows}
        self.heard_late = sum(int(r[5]) for r in rows)
        off = 0
        for cmp in self.campaigns:
            f = self.gw.funnel(cmp)
            told = [f[k] for k in ("delivered", "failed", "expired", "unknown")]
            if told != counted.get(cmp, [0] * 4) or sum(told) + sum(f["held"].values()) != self.n:
                self.gw.say("drift      %s told %s, rows %s, funnel %s" % (cmp, told, counted.get(cmp), {k: v for k, v in f.items() if v}))
            off += sum(abs(a - b) for a, b in zip(told, counted.get(cmp, [0] * 4))) + abs(self.n - sum(told) - sum(f["held"].values()))
        return off


AHEAD = ("SELECT count(*) FROM (SELECT 'contact_log_' || to_char(now() AT TIME ZONE 'UTC' + interval '1 month', 'YYYYMM') AS name"
         " UNION ALL SELECT 'contact_event_' || max(wave_id) / 16 FROM wave) x WHERE to_regclass('campgw.' || name) IS NULL")


def soak(opts):
    """Half of what this machine can keep up, receipts and all, with a fault every 20 s."""
    n = opts.contacts
    with kit.Installation(opts, instance={"retry": "0x08=transient:300:8"}, receipt_delay_min_ms=50, receipt_delay_max_ms=2000) as gw:
        gw.rules(cap=1000)
        gw.base(n)
        aud, _ = gw.audience(range(n))
        full = gw.send(aud, n).figures["contacts_per_s_with_receipts"]
        kit.need_disk(full // 2 * opts.minutes * 60 * LOG_BYTES_PER_CONTACT, "a soak of %d minutes" % opts.minutes)
        gw.route_rate(max(full // 2, 1))
        s = Soak(gw, n, opts.minutes * 60)
        s.run(aud)
        third = max(len(s.samples) // 3, 1)
        rss = [kit.median(x.rss_anon for x in part) for part in (s.samples[:third], s.samples[-third:])]
        dead = [kit.median(x.dead_tuples for x in part) for part in (s.samples[:third], s.samples[-third:])]
        return {"contacts": n * len(s.campaigns), "rate_of_the_route": max(full // 2, 1), "faults": s.faults, "rss_anon_bytes_first_third": round(rss[0]), "rss_anon_bytes_last_third": round(rss[1]),
                "rss_ratio": round(rss[1] / rss[0], 3), "rss_peak_bytes_daemon": kit.rss_peak(gw.pid), "dead_tuples_first_third": round(dead[0]), "dead_tuples_last_third": round(dead[1]),
                "autovacuums": gw.number("SELECT sum(autovacuum_count) FROM pg_stat_user_tables WHERE schemaname = 'campgw'"),
                "partitions_missing": gw.number(AHEAD), "counter_drift": s.drift(), "receipts_after_unknown": s.heard_late, "in_doubt": sum(gw.funnel(c)["in_doubt"] for c in s.campaigns)}


def crash(opts):
    """tests/scenario/crash_matrix.py with many rounds. It tells of each; the last line holds the sums."""
    program = os.path.join(stack.ROOT, "tests/scenario/crash_matrix.py")
    env = {**os.environ, "CAMPGW_BUILD": opts.build, "CAMPGW_STAGE": opts.stage}
    matrix = subprocess.Popen([sys.executable, "-B", program, "--rounds", str(opts.rounds), "--seed", str(opts.seed), "--contacts", str(opts.contacts)], env=env, stdout=subprocess.PIPE, text=True)
    last = ""
    with matrix:
        for line in matrix.stdout:
            last = line
            if not opts.quiet:
                print(line.rstrip(), file=sys.stderr, flush=True)
    if matrix.returncode:
        raise stack.StackError("the crash matrix ended with %d" % matrix.returncode)
    return json.loads(last.lstrip("# "))
