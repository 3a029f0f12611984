# SPDX-License-Identifier: Apache-2.0
"""bench_load.py - rows of scripts/bench about bulk: campaign, upload, policy, dnd, growth. Each returns its figures."""
import os
import re
import subprocess
import time

import benchkit as kit
import stack

RECEIPTS = {"receipt_delay_min_ms": 50, "receipt_delay_max_ms": 500}
LOG_BYTES_PER_CONTACT = 1100  # log, submit, event, seals, recipient: `growth` prints it as disk_bytes_per_contact


def campaign(opts):
    """Out of a base, all policies on, a receipt for each, log and seals."""
    kit.need_disk(opts.contacts * LOG_BYTES_PER_CONTACT + opts.base * 400, "this campaign")
    with kit.Installation(opts, **RECEIPTS) as gw:
        gw.rules()
        gw.base(opts.base)
        gw.dnd_list(i for i in range(opts.base) if kit.listed(i))
        aud, upload_rate = gw.audience(kit.spread(opts.contacts, opts.base))
        before = kit.shares(gw)
        sent = gw.send(aud, opts.contacts)
        spent = kit.shares(gw) - before
        if set(sent.funnel["held"]) - {"dnd.list", "cap.period"}:
            raise stack.StackError("held for other reasons than list and cap: %s" % sent.funnel["held"])
    where = {k: round(v / opts.contacts, 1) for k, v in spent.most_common() if v >= opts.contacts / 10}
    return {**sent.figures, "cpu_us_per_contact_by": where, "held": sum(sent.funnel["held"].values()), "upload_rows_per_s": round(upload_rate), **policy(opts)}


# ---- upload ------------------------------------------------------------------------------------------------------------------

FORMS = ("+86137%s%s", "0086137%s%s", "137%s%s", "137 %s %s", "137-%s-%s", "+86 (137) %s %s")
BAD = ("no number", "12345", "+861370000000000000", "")
NAMES = ("Chen", "Fang", "Hao", "Jing", "Lei", "Mei", "Ning", "Qiang", "Rui", "Wen")


def messy(n):
    """Lines with numbers in six forms and three fields; of a thousand 10 repeat somebody in another form and 1 holds no number."""
    for i in range(n):
        at = i % 1000
        person = i - 500 if at >= 990 else i
        number = BAD[i // 1000 % len(BAD)] if at == 7 else FORMS[(i * 7 + person) % len(FORMS)] % ("%04d" % (person // 10000), "%04d" % (person % 10000))
        yield "%s,CN-GD,Asia/Shanghai,%s,%d,plan %d\n" % (number, NAMES[i % 10], i, i % 17)


def upload(opts):
    """Messy CSV over HTTP until it is durable: normalised, sorted, without duplicates, each bad row named."""
    n = opts.rows
    kit.need_disk(n * 500, "an upload of %s rows" % format(n, ","))
    with kit.Installation(opts) as gw:
        path = kit.csv_file(gw.path("messy.csv"), "msisdn,region,zone,name,code,tariff", messy(n))
        aud = gw.api.post("/api/v1/audiences", {"name": "messy", "default_region": "CN"})["id"]
        before = gw.cpu()
        done, took = gw.upload("PUT", "/api/v1/audiences/%s/recipients" % aud, path)
        used = [(b - a) / n for a, b in zip(before, gw.cpu())]
        bad = len(range(7, n, 1000))
        twice = sum(len(range(k, n, 1000)) for k in range(990, 1000))
        if (done["accepted"], done["duplicate"], done["invalid"]) != (n - bad - twice, twice, bad):
            raise stack.StackError("of %d rows with %d repeated and %d bad the gateway made %s" % (n, twice, bad, {k: done[k] for k in ("accepted", "duplicate", "invalid")}))
        rows = gw.number("SELECT count(*) FROM recipient")
        if rows != done["accepted"]:
            raise stack.StackError("%d rows are stored, %d were accepted" % (rows, done["accepted"]))
        return {"rows_per_s": round(n / took), "cpu_us_per_row_daemon": round(used[0], 2), "cpu_us_per_row_postgres": round(used[1], 2),
                "rss_peak_bytes_daemon": kit.rss_peak(gw.pid), "upload_bytes": os.path.getsize(path)}


def policy(opts):
    """policy_decide() alone on one core: tests/stress/bench_policy."""
    done = subprocess.run([os.path.join(opts.build, "tests/stress/bench_policy")], capture_output=True, text=True, timeout=600, check=False)
    found = re.search(r"policy_decides_per_s\W+([0-9.e+]+)", done.stdout)
    if not found:
        raise stack.StackError("tests/stress/bench_policy ended with %d and no figure: %s" % (done.returncode, done.stderr[-300:]))
    return {"policy_decides_per_s": round(float(found[1]))}


# ---- do-not-disturb ------------------------------------------------------------------------------------------------------------

LATE_PEOPLE = 50


def dnd(opts):
    """A big list over HTTP; what it costs a campaign of people who are not on it; how soon a new entry binds."""
    n, c = opts.rows, opts.contacts
    kit.need_disk(n * 260 + 4 * c * LOG_BYTES_PER_CONTACT, "a list of %s" % format(n, ","))
    with kit.Installation(opts, **RECEIPTS) as gw:
        gw.rules()
        gw.base(4 * c)
        quarters = [gw.audience(range(k * c, (k + 1) * c))[0] for k in range(4)]  # nobody twice: the second counts on a row that is there
        without = [gw.send(aud, c).figures for aud in quarters[:2]]
        before, peak = gw.cpu(), kit.rss_peak(gw.pid)
        lst, done, took = gw.dnd_list(range(4 * c, 4 * c + n))
        used = [(b - a) / n for a, b in zip(before, gw.cpu())]
        if done["added"] != n:
            raise stack.StackError("%d entries of %d were added" % (done["added"], n))
        gw.say("list       %s entries in %.1f s" % (format(n, ","), took))
        gw.cluster.sql("VACUUM ANALYZE dnd", timeout_s=3600)
        disk = gw.number("SELECT pg_total_relation_size('dnd')")
        with_list = [gw.send(aud, c).figures for aud in quarters[2:]]
        cost = [kit.median(f["cpu_us_per_contact_product"] for f in runs) for runs in (without, with_list)]
        return {"load_rows_per_s": round(n / took), "cpu_us_per_entry_daemon": round(used[0], 2), "cpu_us_per_entry_postgres": round(used[1], 2), "disk_bytes": disk,
                "rss_peak_bytes_daemon": kit.rss_peak(gw.pid), "rss_peak_bytes_daemon_before": peak, "cpu_us_per_contact_without": cost[0], "cpu_us_per_contact_with": cost[1],
                "cpu_ratio_with_list": round(cost[1] / cost[0], 2), **effective(gw, lst)}


def effective(gw, lst):
    """People are put on the list one by one while a slow campaign sends to them: who is submitted after the answer was late."""
    first, n = 90000000, 2000
    gw.consents(range(first, first + n))
    aud, _ = gw.audience(range(first, first + n))
    gw.sim.ctl("reset")
    gw.route_rate(500)
    cmp = gw.campaign(aud)
    gw.act(cmp, "start")
    gw.until(lambda: gw.sim.stats()["messages"]["unique"] > n // 50, "slow campaign")
    answered, took, decided = {}, [], 0
    for i in range(first, first + n, n // LATE_PEOPLE):
        began = time.monotonic()
        gw.api.post(lst, {"entries": [{"msisdn": kit.msisdn(i)}]})
        answered[kit.msisdn(i)[1:]] = time.time() * 1000
        took.append((time.monotonic() - began) * 1000)
        verdict = gw.api.post("/api/v1/decisions", {"msisdn": kit.msisdn(i), "channel": "sms", "class": "marketing", "purpose": "marketing"})
        decided += verdict["verdict"] == "DENY"
    gw.route_rate(0)
    gw.finish(cmp, n)
    late = [m.first_ms - answered[m.dest] for m in gw.sim.messages() if m.dest in answered and m.taken and m.first_ms > answered[m.dest]]
    if decided != len(answered):
        raise stack.StackError("%d of %d decisions after the answer did not honour it" % (len(answered) - decided, len(answered)))
    return {"insert_ms": round(kit.median(took), 1), "entries_honoured_by_next_decision": decided, "submits_after_answer": len(late), "submit_late_ms_max": round(max(late, default=0))}


# ---- growth --------------------------------------------------------------------------------------------------------------------


def growth(opts):
    """Campaign after campaign, all real, until the log has `rows` rows; people return after twenty campaigns."""
    n, step = opts.rows, min(1000000, max(opts.rows // 10, 1))
    people = min(n + step, 20 * step)
    kit.need_disk((n + step) * LOG_BYTES_PER_CONTACT + people * 400, "a log of %s rows" % format(n, ","))
    with kit.Installation(opts, **RECEIPTS) as gw:
        gw.rules(cap=1000)
        gw.base(people)
        runs, empty = [], gw.number("SELECT pg_database_size(current_database())")
        for at in range(0, n + step, step):
            aud, _ = gw.audience(range(at % people, at % people + step))
            runs.append(gw.send(aud, step).figures)
        used = gw.number("SELECT pg_database_size(current_database())") - empty
        rows = gw.number("SELECT count(*) FROM contact_log")
        seals = gw.number("SELECT count(*) FROM audit_seal")
    if rows < n or not seals:
        raise stack.StackError("the log has %d rows under %d seals" % (rows, seals))
    early, late = runs[1:3], runs[-2:]  # the first of all also pays for caches and plans

    def of(some, key):
        return kit.median(r[key] for r in some)
    return {"contacts_per_s_small_log": round(of(early, "contacts_per_s_with_receipts")), "contacts_per_s_big_log": round(of(late, "contacts_per_s_with_receipts")),
            "rate_ratio": round(of(late, "contacts_per_s_with_receipts") / of(early, "contacts_per_s_with_receipts"), 3),
            "cpu_us_per_contact_small_log": of(early, "cpu_us_per_contact_product"), "cpu_us_per_contact_big_log": of(late, "cpu_us_per_contact_product"),
            "cpu_ratio": round(of(late, "cpu_us_per_contact_product") / of(early, "cpu_us_per_contact_product"), 3),
            "disk_bytes_per_contact": round(used / (n + step)), "log_rows": rows, "rss_peak_bytes_daemon": runs[-1]["rss_peak_bytes_daemon"]}
