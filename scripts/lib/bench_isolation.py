# SPDX-License-Identifier: Apache-2.0
"""bench_isolation.py - row `isolation` of scripts/bench: what a process of its own costs a channel. Once the host alone with the loopback channel, no
database; once campaigns over SMPP, everything on."""
import os
import re
import subprocess

import benchkit as kit
import stack

RECEIPTS = {"receipt_delay_min_ms": 50, "receipt_delay_max_ms": 500}


def isolation(opts):
    figures = host(opts)
    for mode in ("none", "process"):
        for name, value in campaign(opts, mode).items():
            figures["campaign_%s_%s" % (name, mode)] = value
    figures["campaign_cpu_ratio"] = round(figures["campaign_cpu_ms_per_1000_process"] / figures["campaign_cpu_ms_per_1000_none"], 2)
    return figures


def host(opts):
    """tests/stress/bench_isolation: CPU of this process and of the plugin's, µs a message = ms per 1,000."""
    program, plugin = (os.path.join(opts.build, p) for p in ("tests/stress/bench_isolation", "plugins/channel_loopback/.libs/channel_loopback.so"))
    env = {**os.environ, "CAMPGW_PLUGIN_HOST": os.path.join(opts.build, "campgw-plugin-host")}
    done = subprocess.run([program, plugin, str(opts.messages)], capture_output=True, text=True, timeout=600, check=False, env=env)
    found = re.findall(r"^(\w+)=([0-9.]+)$", done.stdout, re.M)
    if done.returncode or not found:
        raise stack.StackError("tests/stress/bench_isolation ended with %d: %s" % (done.returncode, done.stderr[-300:]))
    return {name: float(value) for name, value in found}


def campaign(opts, mode):
    n = opts.contacts
    with kit.Installation(opts, {"isolation": mode}, **RECEIPTS) as gw:
        gw.rules()
        gw.base(n)
        aud, _ = gw.audience(range(n))
        channel = next(c for c in gw.api.get("/api/v1/channels")["data"] if c["name"] == "smsc")
        child = channel.get("process", {}).get("pid")
        before = kit.cpu_us(child)
        sent = gw.send(aud, n)
        own = (kit.cpu_us(child) - before) / n
        product = sent.figures["cpu_us_per_contact_daemon"] + own
        gw.say("%-10s daemon %.1f µs + plugin's process %.1f µs a contact" % (mode, sent.figures["cpu_us_per_contact_daemon"], own))
        return {"cpu_ms_per_1000": round(product, 1), "cpu_ms_per_1000_of_the_plugins_process": round(own, 1), "contacts_per_s": sent.figures["contacts_per_s"]}
