# SPDX-License-Identifier: Apache-2.0
"""urgent.py - how long an urgent contact takes while bulk runs: a person's STOP is the trigger, its confirmation the urgent message.

    samples = urgent.measure(sim, msisdns, "10690")     # people who have not said STOP before, while a campaign is running
    print(urgent.figures([s.row_ms for s in samples]))  # {"n": 200, "p50": …, "p95": …, "p99": …, "most": …}

`row_ms` is from the durable row (the STOP is acknowledged then) to the confirmation's submit_sm in the simulator, `ms` from handing the STOP
to the gateway. `waited` counts the other messages that came between row and submit_sm, `bulk` those that still came behind it: 0 = the bulk
was over. A peer hands out deliveries in order, so give it a deliver_window that its receipts do not fill (1000). Knows no campaign.
"""
import bisect
import collections
import time

from stack import StackError, wait_until

Sample = collections.namedtuple("Sample", "msisdn row_ms ms waited bulk")


def is_code(key):
    """Of a campaign's text: `#` and a number. The confirmation has none, its key is 16 hex digits."""
    return len(key) < 16


def confirmations(sim, dests):
    """(by destination when its confirmation came, when the messages of campaigns came, sorted)"""
    seen = [m for m in sim.messages() if m.taken]
    return {m.dest: m.first_ms for m in seen if m.dest in dests and not is_code(m.key)}, sorted(m.first_ms for m in seen if is_code(m.key))


def measure(sim, msisdns, sender, timeout_s=60):
    """One person after the other. StackError when a STOP is refused or a confirmation does not come."""
    asked = {}
    for dest in (m.lstrip("+") for m in msisdns):
        began = time.time() * 1000
        status = sim.ctl("mo %s %s STOP" % (dest, sender))["status"]
        if set(status) != {0}:
            raise StackError("a STOP was answered %s" % status)
        asked[dest] = began, time.time() * 1000
    if not wait_until(lambda: len(confirmations(sim, asked)[0]) == len(asked), timeout_s, 0.5):
        raise StackError("%d of %d confirmations came" % (len(confirmations(sim, asked)[0]), len(asked)))
    came, bulk = confirmations(sim, asked)
    samples = []
    for dest, (began, stored) in asked.items():
        at = bisect.bisect_left(bulk, came[dest])
        samples.append(Sample("+" + dest, max(0, came[dest] - stored), came[dest] - began, max(0, at - bisect.bisect_right(bulk, stored)), len(bulk) - at))
    return samples


def percentile(values, percent):
    """Nearest rank."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def figures(values):
    return {"n": len(values), **{"p%d" % p: round(percentile(values, p)) for p in (50, 95, 99)}, "most": round(max(values))}
