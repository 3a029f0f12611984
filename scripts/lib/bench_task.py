# SPDX-License-Identifier: Apache-2.0
"""bench_task.py - row `task` of scripts/bench: contacts that become tasks, agents' systems that take and report them."""
import concurrent.futures
import json
import time

import benchkit as kit
import stack

DESKS = 4  # agents' systems at once
PAGE = 100  # tasks of one request
WAIT_S = 600


class Desk(kit.Installation):
    """An installation with a call centre."""

    def settings(self, gateway=None):
        settings = super().settings(gateway)
        return {**settings, "instances": [*settings["instances"], {"name": "desk", "plugin": "channel_task"}]}


def work(gw):
    """One agents' system: takes and reports until nothing is left. (tasks, seconds of taking, seconds of reporting, their ids)"""
    api, took, told, ids = gw.gateway.api(gw.api.key), 0.0, 0.0, []
    while True:
        began = time.monotonic()
        lines = api.ask("GET", "/api/v1/tasks?channel=desk&lease=PT10M&limit=%d" % PAGE).body.decode().splitlines()
        took += time.monotonic() - began
        if not lines:
            return took, told, ids
        ids += [json.loads(line)["id"] for line in lines]
        body = "".join('{"task":"%s","outcome":"reached","seconds":30}\n' % i for i in ids[-len(lines):])
        began = time.monotonic()
        done = api.post("/api/v1/tasks/outcomes", body=body.encode(), media="application/x-ndjson")
        told += time.monotonic() - began
        if done["taken"] != len(lines):
            raise stack.StackError("of %d outcomes %s" % (len(lines), done))


def task(opts):
    """Accepts, leases and outcomes per second with durable commits; every task is taken once and counted once."""
    n = opts.contacts
    with Desk(opts) as gw:
        gw.rules()
        gw.base(n)
        aud = gw.audience_of(range(n), ["task"])
        gw.api.post("/api/v1/routes", {"name": "desk", "channel": "task", "instance": "desk"})
        cmp = gw.api.post("/api/v1/campaigns", {"name": "calls", "class": "marketing", "purpose": "marketing", "audience": aud, "waves": [
            {"channel": "task", "content": {"flow": {"say": "hello {{code}}"}}, "validity": "PT1H"}]})["id"]
        before, began = gw.cpu(), time.monotonic()
        gw.act(cmp, "start")
        held = lambda: sum(gw.funnel(cmp)["held"].values())  # noqa: E731
        gw.until(lambda: gw.number("SELECT coalesce(sum(n), 0) FROM task_count") + held() >= n, "tasks", WAIT_S, 0.1)
        made_s, made = time.monotonic() - began, gw.number("SELECT count(*) FROM task")
        used = [(b - a) / made for a, b in zip(before, gw.cpu())]
        began = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(DESKS) as pool:
            desks = list(pool.map(work, [gw] * DESKS))
        worked_s = time.monotonic() - began
        ids = [i for d in desks for i in d[2]]
        if len(ids) != made or len(set(ids)) != made:
            raise stack.StackError("%d tasks were made, %d taken, %d of them different" % (made, len(ids), len(set(ids))))
        gw.until(lambda: gw.funnel(cmp)["delivered"] >= made, "outcomes in the log", WAIT_S, 0.1)
        logged_s = time.monotonic() - began
    return {"tasks_per_s": round(made / made_s), "cpu_us_per_task_product": round(used[0] + used[1], 1), "leases_per_s": round(made * DESKS / sum(d[0] for d in desks)),
            "outcomes_per_s": round(made * DESKS / sum(d[1] for d in desks)), "taken_and_reported_per_s": round(made / worked_s), "logged_per_s": round(made / logged_s)}
