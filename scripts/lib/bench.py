# SPDX-License-Identifier: Apache-2.0
"""bench.py - one campaign as fast as this machine can: private database (fsync on), simulator, daemon, N contacts.

Tells where the CPU went. The three share the cores, so contacts_per_s is the machine's number, the cpu_us_… ones are the product's.
"""
import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import stack

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_us(pid):
    fields = stack.stat_fields(pid)
    return sum(int(x) for x in fields[11:13]) * 1e6 / TICKS if fields else 0.0


def rss_peak(pid):
    with open("/proc/%d/status" % pid, encoding="ascii", errors="replace") as f:
        found = re.search(r"VmHWM:\s+(\d+) kB", f.read())
    return int(found[1]) * 1024 if found else 0


def people_csv(n):
    yield b"msisdn,region,zone,code\n"
    for first in range(0, n, 10000):
        yield "".join("+86137%08d,CN-GD,Asia/Shanghai,%d\n" % (i, i) for i in range(first, min(n, first + 10000))).encode()


def grants(first, last):
    return "".join('{"msisdn":"+86137%08d","action":"grant","purpose":"marketing","source":"bench"}\n' % i for i in range(first, last)).encode()


class Bench:
    def __init__(self, args, where):
        self.args = args
        self.programs = stack.Programs(args.build, args.stage)
        self.cluster = stack.Cluster(os.path.join(where, "pg"))
        self.sim = stack.Simulator(self.programs.simulator, os.path.join(where, "sim"))
        self.gateway = stack.Gateway(self.programs, os.path.join(where, "gw"), self.cluster)

    def say(self, text):
        print(text, file=sys.stderr, flush=True)

    def start(self):
        self.cluster.create()
        self.cluster.start()
        self.gateway.setup()
        self.sim.start(receipt_delay_min_ms=50, receipt_delay_max_ms=500)
        self.gateway.configure(self.gateway.settings(0, self.sim.port, window=self.args.window, binds=self.args.binds))
        self.gateway.start()
        self.api = self.gateway.api(self.gateway.new_key("bench"))
        self.api.post("/api/v1/routes", {"name": "bench", "channel": "sms", "instance": "smsc", "sender": "10690", "sender_kind": "short_code"})
        self.api.post("/api/v1/caps", {"name": "two a month", "max": 2, "period": "month", "zone": "Asia/Shanghai", "classes": ["marketing"]})

    def stop(self):
        self.gateway.stop()
        self.sim.stop()
        self.cluster.stop("immediate")

    def fill(self):
        n = self.args.n
        body = b"".join(people_csv(n))
        aud = self.api.post("/api/v1/audiences", {"name": "bench"})["id"]
        began = time.monotonic()
        done = self.api.call("PUT", "/api/v1/audiences/%s/recipients" % aud, body=body, media="text/csv", timeout_s=600)
        took = time.monotonic() - began
        if done["accepted"] != n:
            raise stack.StackError("%d of %d rows accepted" % (done["accepted"], n))
        self.say("upload     %d rows in %.2f s" % (n, took))
        for first in range(0, n, 50000):
            self.api.post("/api/v1/consents", body=grants(first, min(n, first + 50000)), media="application/x-ndjson", timeout_s=600)
        return aud, n / took

    def cpu(self):
        return cpu_us(self.gateway.process.pid), self.cluster.cpu_ticks() * 1e6 / TICKS, cpu_us(self.sim.process.pid)

    def send(self, aud):
        n = self.args.n
        cmp = self.api.post("/api/v1/campaigns", {"name": "bench", "class": "marketing", "purpose": "marketing", "audience": aud, "waves": [
            {"channel": "sms", "content": {"text": "benchmark #{{code}}"}, "validity": "PT3600S"}]})["id"]
        before = self.cpu()
        self.api.post("/api/v1/campaigns/%s/start" % cmp, {})
        end = time.monotonic() + self.args.timeout
        while True:
            funnel = self.api.get("/api/v1/campaigns/%s/funnel" % cmp)
            if funnel["delivered"] + funnel["failed"] >= n:
                break
            if time.monotonic() > end:
                raise stack.StackError("not finished after %d s: %s" % (self.args.timeout, funnel), self.gateway.process.log_path)
            time.sleep(0.1)
        used = [(b - a) / n for a, b in zip(before, self.cpu())]
        stats = self.sim.stats()
        seconds = max(stats["last_submit_ms"] - stats["first_submit_ms"], 1) / 1000
        if stats["messages"]["unique"] != n or stats["messages"]["duplicate_taken"]:
            raise stack.StackError("the simulator counted %s" % stats["messages"])
        self.say("campaign   %d contacts in %.2f s" % (n, seconds))
        return {"contacts_per_s": round(n / seconds), "cpu_us_per_contact_daemon": round(used[0], 1), "cpu_us_per_contact_postgres": round(used[1], 1),
                "cpu_us_per_contact_simulator": round(used[2], 1), "rss_peak_bytes_daemon": rss_peak(self.gateway.process.pid), "in_doubt": funnel["in_doubt"]}

    def decides_per_s(self):
        """What tests/stress/bench_policy says; null when it is not part of the build."""
        program = os.path.join(self.args.build, "tests/stress/bench_policy")
        if not os.path.exists(program):
            return None
        done = subprocess.run([program], capture_output=True, text=True, timeout=120, check=False)
        found = re.search(r"policy_decides_per_s\W+([0-9.e+]+)", done.stdout)
        return round(float(found[1])) if found else None


def main():
    ap = argparse.ArgumentParser(prog="scripts/bench", description="One campaign of N contacts as fast as this machine can.")
    ap.add_argument("n", nargs="?", type=int, default=100000, metavar="N", help="contacts (standard 100,000)")
    ap.add_argument("--json", action="store_true", help="only the last line: one object")
    ap.add_argument("--window", type=int, default=500, help="unanswered messages per bind")
    ap.add_argument("--binds", type=int, default=4)
    ap.add_argument("--timeout", type=int, default=900, metavar="SECONDS")
    ap.add_argument("--keep", action="store_true", help="keep database and logs")
    ap.add_argument("--build", required=True, help=argparse.SUPPRESS)
    ap.add_argument("--stage", required=True, help=argparse.SUPPRESS)
    args = ap.parse_args()
    if not 1 <= args.n <= 10 ** 8:
        ap.error("N is 1 to 100,000,000")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    where = tempfile.mkdtemp(prefix="cgw-bench.", dir="/tmp")
    os.chmod(where, 0o755)
    bench = Bench(args, where)
    if args.json:
        bench.say = lambda text: None
    try:
        bench.start()
        aud, upload = bench.fill()
        result = {**bench.send(aud), "upload_rows_per_s": round(upload)}
        bench.stop()
        result["policy_decides_per_s"] = bench.decides_per_s()
        if not args.json:
            for key, value in result.items():
                print("%-30s %s" % (key, "-" if value is None else format(value, ",")))
        print(json.dumps(result))
        return 0
    except stack.StackError as e:
        print("bench: %s" % e, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        bench.stop()
        if args.keep:
            print("kept: " + where, file=sys.stderr)
        else:
            shutil.rmtree(where, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
