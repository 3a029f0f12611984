# SPDX-License-Identifier: Apache-2.0
"""bench.py - the rows of scripts/bench: what each measures, its standard sizes and its targets; prints, compares, saves.

Everything a row starts shares the cores: rates are the machine's, the cpu_us_… figures are the product's (1 µs a contact = 1 ms per
1,000). Rows are written in bench_load.py, bench_life.py, bench_email.py, bench_isolation.py, bench_kannel.py, bench_mms.py, bench_ivr.py, bench_soak.py and bench_task.py.
"""
import argparse
import collections
import json
import operator
import os
import signal
import sys

import bench_ivr
import bench_email
import bench_isolation
import bench_kannel
import bench_life
import bench_load
import bench_mms
import bench_soak
import bench_task
import benchkit
import stack

RESULTS = os.path.join(stack.ROOT, "tests/bench/results")
OPERATORS = {"≥": operator.ge, "≤": operator.le}
Row = collections.namedtuple("Row", "name what run sizes targets")
# Targets are for two cores with everything on them
ROWS = (
    Row("campaign", "one campaign out of a base, all policies on, receipts for all", bench_load.campaign, {"contacts": 100000, "base": 100000},
        (("contacts_per_s", "≥", 20000), ("contacts_per_s_with_receipts", "≥", 20000), ("cpu_us_per_contact_product", "≤", 50),
         ("policy_decides_per_s", "≥", 5000000))),
    Row("upload", "CSV with messy numbers: checked, normalised, deduplicated, durable", bench_load.upload, {"rows": 1000000}, (("rows_per_s", "≥", 150000),)),
    Row("policy", "policy_decide() alone, one core", bench_load.policy, {}, (("policy_decides_per_s", "≥", 5000000),)),
    Row("dnd", "a do-not-disturb list: load, lookup, insertion to effective", bench_load.dnd, {"rows": 1000000, "contacts": 100000},
        (("load_rows_per_s", "≥", 300000), ("submit_late_ms_max", "≤", 1000))),
    Row("growth", "campaigns on a small and on a big log", bench_load.growth, {"rows": 1000000}, (("rate_ratio", "≥", 0.9),)),
    Row("start", "from `start` to the first submit_sm", bench_life.start, {"contacts": 100000, "rounds": 5}, (("start_s", "≤", 0.3),)),
    Row("restart", "from SIGKILL to dispatching again", bench_life.restart, {"contacts": 100000, "rounds": 3}, (("restart_s", "≤", 3),)),
    Row("idle", "an idle daemon", bench_life.idle, {"minutes": 1}, (("rss_anon_bytes_daemon", "≤", 30 << 20), ("cpu_percent_daemon", "≤", 1))),
    Row("urgent", "the urgent lane while bulk runs at full speed", bench_life.urgent, {"contacts": 100000},
        (("row_to_submit_p95_ms", "≤", 300), ("row_to_submit_p99_ms", "≤", 1000))),
    Row("nodes", "two nodes on one database against one", bench_life.nodes, {"contacts": 20000, "rounds": 2},
        (("rate_ratio_peer_limited", "≥", 1.5),)),
    Row("kannel", "the same messages through Kannel and through campgw, in turns", bench_kannel.kannel, {"contacts": 50000, "rounds": 3},
        (("rate_ratio", "≥", 6), ("cpu_ratio", "≤", 0.2))),
    # asked a tenth above what must be held: a bucket never gives all of its rate
    Row("mms", "channel_mms alone against mmscsim: small shared media, no database", bench_mms.mms, {"messages": 20000, "rate": 3300, "seconds": 5},
        (("mms_rate_held", "≥", 3000),)),
    Row("ivr", "calls held with sound both ways, and call attempts, against sipp", bench_ivr.ivr, {"contacts": 300},
        (("calls_per_core", "≥", 1000), ("cpu_us_per_attempt", "≤", 1000), ("attempts_lost", "≤", 0), ("sipp_status", "≤", 0))),
    Row("email", "channel_email alone: mails of 4 KB to smtp-sink, 8 connections", bench_email.email, {"contacts": 50000},
        (("messages_per_cpu_s", "≥", 6000), ("messages_per_s", "≥", 3000))),
    Row("task", "contacts that agents pull: made, taken, reported", bench_task.task, {"contacts": 20000}, (("tasks_per_s", "≥", 2000), ("leases_per_s", "≥", 500))),
    Row("isolation", "a channel inside the gateway and in a process of its own", bench_isolation.isolation, {"messages": 200000, "contacts": 50000},
        (("campaign_cpu_ratio", "≤", 2),)),
    Row("soak", "half speed with faults for long: memory, vacuum, partitions, counters", bench_soak.soak, {"minutes": 60, "contacts": 200000},
        (("rss_ratio", "≤", 1.1), ("counter_drift", "≤", 0), ("partitions_missing", "≤", 0))),
    Row("crash", "tests/scenario/crash_matrix.py with many rounds", bench_soak.crash, {"rounds": 200, "seed": 1, "contacts": 2000}, (("twice", "≤", 0), ("in_doubt_round_max", "≤", 1100))),
)


def sizes_text(sizes):
    return " ".join("%s=%s" % (k, v) for k, v in sorted(sizes.items())) or "standard"


def load(row):
    try:
        with open(os.path.join(RESULTS, row.name + ".json"), encoding="utf-8") as f:
            return json.load(f)
    except FileNotFoundError:
        return {}


def save(row, key, figures):
    kept = load(row)
    kept[key] = figures
    os.makedirs(RESULTS, exist_ok=True)
    stack.write_file(os.path.join(RESULTS, row.name + ".json"), json.dumps(kept, indent=1, sort_keys=True) + "\n")


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def verdicts(row, figures):
    return {key: OPERATORS[op](figures[key], bound) for key, op, bound in row.targets if key in figures}


def ratios(figures, before):
    return {k: round(v / before[k], 3) for k, v in figures.items() if is_number(v) and is_number(before.get(k)) and before[k] and k != "cores"}


def table(row, key, figures, before, out):
    targets = {k: (op, bound) for k, op, bound in row.targets}
    met, ratio = verdicts(row, figures), ratios(figures, before)
    print("%s  %s, %d cores" % (row.name, key, figures["cores"]), file=out)
    for name, value in figures.items():
        if name == "cores":
            continue
        shown = format(value, ",") if is_number(value) else str(value)
        line = "  %-36s %16s" % (name, shown)
        line += "  × %-7s" % ratio[name] if name in ratio else "  %-9s" % ""
        if name in targets:
            line += "  target %s %s  %s" % (targets[name][0], format(targets[name][1], ","), "met" if met[name] else "MISSED")
        print(line.rstrip(), file=out)
    print("  × = against the figures kept in tests/bench/results" if before else "  nothing kept for this size in tests/bench/results", file=out)


def parser():
    rows = "\n".join("  %-9s %s%s" % (r.name, r.what, " (%s)" % sizes_text(r.sizes) if r.sizes else "") for r in ROWS)
    ap = argparse.ArgumentParser(prog="scripts/bench", formatter_class=argparse.RawDescriptionHelpFormatter, description="Measures one row:\n" + rows)
    ap.add_argument("row", nargs="?", default="campaign", choices=[r.name for r in ROWS], metavar="ROW", help="standard: campaign")
    for name, words in (("contacts", "people in the audience"), ("base", "customers known; standard: as many as contacts"), ("rows", "rows of the upload, list or log"), ("messages", "messages through one channel"),
                        ("rounds", "repetitions"), ("minutes", "how long"), ("seed", "of chance"), ("rate", "messages a second to hold"), ("seconds", "how long to hold it")):
        ap.add_argument("--" + name, type=number, help=words)
    ap.add_argument("--json", action="store_true", help="only the last line: one object")
    ap.add_argument("--save", action="store_true", help="keep the figures in tests/bench/results")
    ap.add_argument("--window", type=int, default=500, help="unanswered messages per bind")
    ap.add_argument("--binds", type=int, default=4)
    ap.add_argument("--timeout", type=int, default=900, metavar="SECONDS", help="of one campaign")
    ap.add_argument("--keep", action="store_true", help="keep database and logs")
    ap.add_argument("--build", required=True, help=argparse.SUPPRESS)
    ap.add_argument("--stage", required=True, help=argparse.SUPPRESS)
    return ap


def number(text):
    """20M, 100k or plain."""
    factor = {"k": 1000, "M": 1000000}.get(text[-1:], 1)
    value = int(text[:-1] if factor > 1 else text) * factor
    if not 1 <= value <= 10 ** 9:
        raise ValueError
    return value


def options():
    ap = parser()
    opts = ap.parse_args()
    row = next(r for r in ROWS if r.name == opts.row)
    for name in ("contacts", "base", "rows", "messages", "rounds", "minutes", "seed", "rate", "seconds"):
        given = getattr(opts, name)
        if given is not None and name not in row.sizes:
            ap.error("the row %s has no --%s; it has %s" % (row.name, name, " ".join("--" + k for k in row.sizes) or "no size"))
        setattr(opts, name, given or row.sizes.get(name))
    if row.name == "campaign":
        opts.base = max(opts.base, opts.contacts)
    if max(opts.base or 0, opts.contacts or 0) > benchkit.PEOPLE_MAX:
        ap.error("there are numbers for %d people" % benchkit.PEOPLE_MAX)
    opts.quiet = opts.json
    return row, opts


def main():
    row, opts = options()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        figures = {"cores": os.cpu_count(), **row.run(opts)}
    except stack.StackError as e:
        print("bench: %s" % e, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    key = sizes_text({k: getattr(opts, k) for k in row.sizes})
    before = load(row).get(key, {})
    if before.get("cores") != figures["cores"]:
        before = {}
    if not opts.json:
        table(row, key, figures, before, sys.stdout)
    print(json.dumps({"row": row.name, "size": key, **figures, "ratio": ratios(figures, before), "met": verdicts(row, figures)}))
    if opts.save:
        save(row, key, figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
