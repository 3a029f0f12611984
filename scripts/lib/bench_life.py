# SPDX-License-Identifier: Apache-2.0
"""bench_life.py - rows of scripts/bench about time and endurance: start, restart, idle, urgent, nodes, soak, crash. Each returns its figures."""
import time

import benchkit as kit
import stack

SLOW = {"delay_min_ms": 1000, "delay_max_ms": 1000}  # so that a queue stays a queue


def begun(gw, since):
    """Seconds from `since` to the first submit_sm that the simulator has seen after its reset."""
    first = gw.until(lambda: gw.sim.stats()["first_submit_ms"], "first submit_sm", 60, 0.005)
    return first / 1000 - since


def start(opts):
    """A planned and validated audience waits; `start` is called; the simulator says when the first message came."""
    with kit.Installation(opts, **SLOW) as gw:
        gw.rules()
        gw.base(opts.contacts)
        aud, _ = gw.audience(range(opts.contacts))
        took = []
        for _ in range(opts.rounds):
            cmp = gw.campaign(aud)
            gw.sim.ctl("reset")
            since = time.time()
            gw.act(cmp, "start")
            took.append(begun(gw, since))
            gw.cancel(cmp)
        return {"start_s": round(kit.median(took), 3), "start_max_s": round(max(took), 3), "rss_peak_bytes_daemon": kit.rss_peak(gw.pid)}


def restart(opts):
    """SIGKILL with the whole campaign planned and hardly begun, at a peer that answers late."""
    with kit.Installation(opts, **SLOW) as gw:
        gw.rules()
        gw.base(opts.contacts)
        aud, _ = gw.audience(range(opts.contacts))
        cmp = gw.campaign(aud)
        gw.act(cmp, "start")
        gw.until(lambda: gw.number("SELECT count(*) FROM wave WHERE state = 'running'"), "planning", pause_s=0.2)
        gw.until(lambda: gw.sim.stats()["unanswered"], "dispatch")
        took, ready = [], []
        for _ in range(opts.rounds):
            since = time.time()
            gw.gateway.kill()
            gw.sim.ctl("reset")
            gw.restart()
            ready.append(time.time() - since)
            took.append(begun(gw, since))
        queued = gw.number("SELECT coalesce(sum(seq_hi - greatest(sent_hi, seq_lo - 1)), 0) FROM chunk WHERE state < 2")
        return {"restart_s": round(kit.median(took), 3), "restart_max_s": round(max(took), 3), "ready_s": round(kit.median(ready), 3), "queued": queued,
                "rss_peak_bytes_daemon": kit.rss_peak(gw.pid)}


def idle(opts):
    """Bound, no campaign."""
    with kit.Installation(opts) as gw:
        gw.until(lambda: gw.sim.stats()["bound"] == opts.binds, "binds")
        time.sleep(5)  # what start has left to do
        before, woken, began = gw.cpu(), kit.wakeups(gw.pid), time.monotonic()
        with kit.Progress("seconds", opts.minutes * 60, opts.quiet) as bar:
            while time.monotonic() - began < opts.minutes * 60:
                bar.at(int(time.monotonic() - began))
                time.sleep(1)
        seconds = time.monotonic() - began
        used = [(b - a) / seconds / 1e4 for a, b in zip(before, gw.cpu())]
        return {"rss_anon_bytes_daemon": kit.rss_anon(gw.pid), "cpu_percent_daemon": round(used[0], 2), "cpu_percent_postgres": round(used[1], 2),
                "wakeups_per_s": round((kit.wakeups(gw.pid) - woken) / seconds, 1), "rss_peak_bytes_daemon": kit.rss_peak(gw.pid)}


# ---- urgent lane -----------------------------------------------------------------------------------------------------------------

URGENT_FIRST, URGENT_MAX, URGENT_EVERY_S = 80000000, 5000, 0.02


def urgent(opts):
    """Confirmations of opt-outs (they travel in the urgent lane) while a bulk campaign runs as fast as it can: row → submit_sm."""
    with kit.Installation(opts, receipt_delay_min_ms=50, receipt_delay_max_ms=500) as gw:
        gw.rules()
        gw.base(opts.contacts)
        aud, _ = gw.audience(range(opts.contacts))
        wrote = write_during(gw, aud, opts.contacts)
        rows = gw.cluster.sql("SELECT r.address, extract(epoch FROM o.at) * 1000 FROM optout_confirm o JOIN wave w ON w.wave_id = (o.contact_id >> 32)"
                              " JOIN recipient r ON (r.part, r.set_id, r.seq) = (o.part, w.set_id, o.contact_id & 4294967295)")
        rows_ms = {address[1:]: float(at) for address, at in rows}
        seen_ms = {m.dest: m.first_ms for m in gw.sim.messages() if m.dest in wrote and m.taken}
        if set(seen_ms) != set(wrote):
            raise stack.StackError("%d of %d confirmations reached the simulator" % (len(seen_ms), len(wrote)), gw.gateway.process.log_path)
        late = [seen_ms[d] - rows_ms[d] for d in wrote]
        loop = [seen_ms[d] - wrote[d] for d in wrote]
        return {"urgent_contacts": len(wrote), **{"row_to_submit_p%d_ms" % p: round(kit.percentile(late, p)) for p in (50, 95, 99)}, "row_to_submit_max_ms": round(max(late)),
                **{"reply_to_submit_p%d_ms" % p: round(kit.percentile(loop, p)) for p in (50, 95, 99)}, "bulk_contacts_per_s": wrote.rate, "rss_peak_bytes_daemon": kit.rss_peak(gw.pid)}


class Wrote(dict):
    """destination → when its reply was sent, ms; and how fast bulk was meanwhile."""
    rate = 0


def write_during(gw, aud, n):
    cmp, wrote = gw.campaign(aud), Wrote()
    gw.sim.ctl("reset")
    gw.act(cmp, "start")
    began = time.monotonic()
    with kit.Progress("contacts", n, gw.opts.quiet) as bar:
        while len(wrote) < URGENT_MAX:
            sent = gw.sim.stats()["messages"]["unique"] - len(wrote)
            bar.at(sent)
            if sent >= n * 9 // 10:  # the tail is no longer full speed
                break
            if time.monotonic() - began > gw.opts.timeout:
                raise stack.StackError("bulk is not done after %d s" % gw.opts.timeout, gw.gateway.process.log_path)
            if sent > n // 20:
                dest = kit.msisdn(URGENT_FIRST + len(wrote))[1:]
                wrote[dest] = time.time() * 1000
                gw.sim.ctl("mo wait=0 %s 10690 TD" % dest)
            time.sleep(URGENT_EVERY_S)
    if not wrote:
        raise stack.StackError("bulk was over before the first reply: take more contacts")
    held = sum(gw.finish(cmp, n)["held"].values())
    gw.until(lambda: gw.sim.stats()["messages"]["unique"] >= n - held + len(wrote), "confirmations", 60)
    stats = gw.sim.stats()
    wrote.rate = round(n * 1000 / max(stats["last_submit_ms"] - stats["first_submit_ms"], 1))
    return wrote


# ---- nodes -----------------------------------------------------------------------------------------------------------------------


def nodes(opts):
    """One node against two on one database, in turns: where the peer limits each node, and where the two cores are the limit.

    Each daemon is pinned to a core of its own; PostgreSQL and simulator may run on every core. With two cores the second comparison
    cannot show more than what one node left idle: it shows what coordination costs.
    """
    n, pairs = opts.contacts, opts.rounds
    with kit.Installation(opts, receipt_delay_min_ms=50, receipt_delay_max_ms=500) as gw:
        gw.rules()
        gw.base(4 * n * pairs)
        second = gw.second_node()
        auds = [gw.audience(range(k * n, (k + 1) * n))[0] for k in range(4 * pairs)]
        gw.pin(gw.gateway, 0)
        figures, shares = {}, []
        for name, delay_ms in (("peer_limited", 1000), ("core_limited", 0)):
            runs = {1: [], 2: []}
            gw.sim.set(delay_min_ms=delay_ms, delay_max_ms=delay_ms)
            for _ in range(pairs):
                runs[1].append(gw.send(auds.pop(), n).figures)
                with gw.joined(second):
                    gw.pin(second, 1)
                    before = gw.number(BY_SECOND)
                    runs[2].append(gw.send(auds.pop(), n, (second,)).figures)
                    shares.append((gw.number(BY_SECOND) - before) / n)
            rate, lag, cpu = ([kit.median(r[key] for r in runs[k]) for k in (1, 2)] for key in ("contacts_per_s", "receipts_after_s", "cpu_us_per_contact_product"))
            figures.update({"contacts_per_s_1_node_" + name: round(rate[0]), "contacts_per_s_2_nodes_" + name: round(rate[1]), "rate_ratio_" + name: round(rate[1] / rate[0], 2),
                            "receipts_after_s_1_node_" + name: lag[0], "receipts_after_s_2_nodes_" + name: lag[1],
                            "cpu_us_per_contact_1_node_" + name: cpu[0], "cpu_us_per_contact_2_nodes_" + name: cpu[1]})
        return {**figures, "share_of_second_node": round(kit.median(shares), 2), "rss_peak_bytes_daemon": kit.rss_peak(gw.pid)}


BY_SECOND = "SELECT coalesce(sum(seq_hi - seq_lo + 1), 0) FROM intent WHERE node = 'node-2'"
