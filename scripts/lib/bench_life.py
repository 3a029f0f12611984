# SPDX-License-Identifier: Apache-2.0
"""bench_life.py - rows of scripts/bench about time and endurance: start, restart, idle, urgent, nodes, soak, crash. Each returns its figures."""
import time

import benchkit as kit

SLOW = {"delay_min_ms": 1000, "delay_max_ms": 1000}  # so that a queue stays a queue


def begun(gw, since):
    """Seconds from `since` to the first submit_sm that the simulator has seen after its reset."""
    first = gw.until(lambda: gw.sim.stats()["first_submit_ms"], "first submit_sm", 60, 0.005)
    return first / 1000 - since


def start(opts):
    """A planned and validated audience waits; `start` is called; the simulator says when the first message came."""
    with kit.Installation(opts, **SLOW) as gw:
        gw.rules()
        gw.base(opts.contacts, counted=False)
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
        gw.base(opts.contacts, counted=False)
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
