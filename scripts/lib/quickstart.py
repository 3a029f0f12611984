# SPDX-License-Identifier: Apache-2.0
"""quickstart.py - steps 4 to 8 of scripts/quickstart: database, simulators, daemon, one campaign over HTTP, and the proof; then one over
all four channels (four_channels.py).

Decides nothing about contacts: it fills rules and lists over the public API, starts the campaign, kills the daemon half way, and
compares what the gateway says with what the simulator counted by itself.
"""
import argparse
import contextlib
import datetime
import http.client
import json
import os
import re
import shutil
import signal
import sys
import time

import four_channels
import peers
import sample
import stack

WORDS = {
    "en": {
        "audience": "audience", "held": "held", "sent": "sent",
        "dnd.list": "do-not-contact", "consent.missing": "no consent", "cap.period": "monthly cap (2)",
        "calendar.no_open_hour": "no open hour before not_after",
        "submitted": "submitted", "delivered": "delivered", "failed": "failed", "expired": "expired", "unknown": "unknown",
        "pending": "waiting for receipt",
        "held_ok": "every person is accounted for: {0} + {1} held = {2}", "held_bad": "held or submitted people differ from the sample: {0}",
        "count": "simulator counted {0} messages, {1} to people who must not get one",
        "kill": "killed with SIGKILL half way, restarted: {0} repeated, {1} lost ({2} in doubt, {3} settled by receipt{4})",
        "never": ", {0} never written and so unknown",
        "receipts": "receipts agree with the simulator: {0} delivered, {1} failed",
        "conform": "simulator has {0} complaints about our SMPP",
        "optout": 'reply "TD" from one customer: suppressed in all channels after {0:.2f} s',
        "optout_bad": 'reply "TD" from one customer: not enforced within {0} s',
        "used": "{0} of 2 used",
        "reused": "reused", "new": "new", "running": "running since an earlier run",
        "roles": "daemon is role campgw, no superuser", "rates": "2 % failures, 1 % throttled, late and reordered receipts",
        "earlier": "two earlier contacts for 441 customers", "killing": "SIGKILL", "restarted": "daemon restarted in {0:.1f} s",
        "stop": "stop: ./scripts/quickstart --stop", "took": "took {0} s", "stopped": "stopped", "removed": "removed {0}",
        "nothing": "nothing was running", "not_running": "not running", "failed_checks": "{0} checks failed; logs in {1}",
    },
    "zh": {
        "audience": "目标客户", "held": "未联系", "sent": "已发送",
        "dnd.list": "免打扰", "consent.missing": "无同意", "cap.period": "月接触上限（2）", "calendar.no_open_hour": "截止前无可用时段",
        "submitted": "已提交", "delivered": "已送达", "failed": "失败", "expired": "过期", "unknown": "未知", "pending": "等待回执",
        "held_ok": "每位客户都有结果：{0} + {1} 未联系 = {2}", "held_bad": "未联系或已提交人数与样本不符：{0}",
        "count": "模拟短信中心计数 {0} 条，其中 {1} 条发给了不应联系的人",
        "kill": "中途 SIGKILL 并重启：重复 {0}，丢失 {1}（存疑 {2}，由回执确认 {3}{4}）", "never": "，{0} 条从未写出，记为未知",
        "receipts": "回执与模拟短信中心一致：送达 {0}，失败 {1}", "conform": "模拟短信中心对我方 SMPP 的投诉：{0}",
        "optout": "一位客户回复“TD”：{0:.2f} 秒后所有渠道停止", "optout_bad": "一位客户回复“TD”：{0} 秒内未生效",
        "used": "已用 {0}/2", "reused": "复用", "new": "新建", "running": "沿用上次运行",
        "roles": "守护进程使用角色 campgw，非超级用户", "rates": "2% 失败、1% 限速、迟到与乱序回执",
        "earlier": "441 位客户的两次先前接触", "killing": "SIGKILL", "restarted": "守护进程 {0:.1f} 秒后恢复",
        "stop": "停止：./scripts/quickstart --stop", "took": "用时 {0} 秒", "stopped": "已停止", "removed": "已删除 {0}",
        "nothing": "没有运行中的进程", "not_running": "未运行", "failed_checks": "{0} 项检查未通过；日志在 {1}",
    },
}
SETTLE_S = 150  # longest wait for a campaign's last receipt
RATE_PER_S = 900
WINDOW = 50
THROTTLED = 10  # per mille
USUAL_DELAY = {"delay_min_ms": 5, "delay_max_ms": 40}
# until it is killed: some 550 a second, so that half of the campaign lasts longer than a machine pauses
FIRST_DELAY = {"delay_min_ms": 60, "delay_max_ms": 100}
# while it is slow it refuses nothing: a lost refusal would leave a person in doubt for whom no receipt ever comes
SLOW_DELAY = {"throttle_permille": 0, "delay_min_ms": 5000, "delay_max_ms": 5000}
IN_DOUBT_MAX = 1000 + WINDOW  # unflushed results (1,000 rows or 50 ms) and what stands in the window


class Story:
    """What a person reads."""

    def __init__(self, lang):
        self.words, self.tty = {**four_channels.WORDS[lang], **WORDS[lang]}, sys.stdout.isatty()
        self.colour = self.tty and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
        self.failed, self.bar_open, self.bar_told = 0, False, 0.0
        self.width = shutil.get_terminal_size((100, 24)).columns if self.tty else 100

    def say(self, *keys):
        return self.words[keys[0]].format(*keys[1:])

    def paint(self, code, text):
        return "\033[%sm%s\033[0m" % (code, text) if self.colour else text

    def line(self, text=""):
        if self.bar_open:
            sys.stdout.write("\r\033[K")
            self.bar_open = False
        print(text, flush=True)

    def step(self, name, text, began):
        self.line("%-11s%s  %s" % (name, text, self.paint("2", "%.1f s" % (time.monotonic() - began))))

    def call(self, method, path, doc, body, answer):
        """One line: what was asked, and the few words of the answer that matter."""
        what = json.dumps(doc, ensure_ascii=False) if doc else "%s bytes" % number(len(body)) if body and b"\0" in body else "%s lines" % number(body.count(b"\n")) if body else ""
        told = "%d" % answer.status
        with contextlib.suppress(ValueError, TypeError, AttributeError):
            told += "".join(" %s" % answer.json[k] for k in ("id", "state") if answer.json.get(k) and str(answer.json[k]) not in path)
            told += "".join(" %s %s" % (k, number(answer.json[k])) for k in ("accepted", "added", "granted") if answer.json.get(k))
        if not self.tty:
            room = 200
        else:
            path = re.sub(r"(_[0-9a-z]{5})[0-9a-z]{8,}", r"\1…", path)
            told = re.sub(r"(_[0-9a-z]{5})[0-9a-z]{8,}", r"\1…", told)
            room = max(20, self.width - len(method) - len(path) - len(told) - 8)
        what = what if len(what) <= room else what[:room - 1] + "…"
        self.line("%s %s %s %s %s" % (self.paint("36", ">"), method, path, what + " " * bool(what) + self.paint("2", "->"), self.paint("2", told)))

    def bar(self, done, total, rate, note=""):
        left = "%d:%02d" % divmod(int((total - done) / rate), 60) if rate >= 0.5 else "-:--"
        text = "%s/%s %s/s ETA %s  %s" % (number(done), number(total), number(int(rate)), left, note)
        if self.tty:
            full = int(24 * done / total) if total else 0
            sys.stdout.write("\r\033[K[%s%s] %s" % ("#" * full, "." * (24 - full), text))
            sys.stdout.flush()
            self.bar_open = True
        elif time.monotonic() - self.bar_told >= 10:
            self.bar_told = time.monotonic()
            self.line(text.rstrip())

    def check(self, good, text):
        self.failed += not good
        self.line("%s  %s" % (self.paint("32;1", "PASS") if good else self.paint("31;1", "FAIL"), text))


def number(n):
    return format(n, ",")


class Quickstart:
    def __init__(self, args):
        self.args, self.run, self.story = args, args.run, Story(args.lang)
        self.cluster = stack.Cluster(os.path.join(self.run, "pg"))
        build = args.build or os.path.join(stack.ROOT, "build")
        self.programs = stack.Programs(build, os.path.join(self.run, "stage"))
        self.sim = stack.Simulator(self.programs.simulator, os.path.join(self.run, "sim"))
        self.gateway = stack.Gateway(self.programs, os.path.join(self.run, "gw"), self.cluster)
        self.peers = peers.Peers(self.programs, self.run)
        self.api = None

    # ---- 4 to 6: what it runs on ----

    def database(self):
        began = time.monotonic()
        fresh = self.cluster.create()
        self.cluster.start()
        self.gateway.setup()
        version = self.cluster.sql("SHOW server_version")[0][0].split(".")[0]
        schema = self.cluster.sql("SELECT max(version) FROM schema_migration")[0][0]
        s = self.story
        s.step("database", "PostgreSQL %s, schema %04d, %s; %s" % (version, int(schema), s.say("new" if fresh else "reused"), s.say("roles")), began)

    def simulator(self):
        began, fresh = time.monotonic(), not self.sim.process.pid
        if fresh:
            wanted = 0
            with contextlib.suppress(OSError, ValueError):
                wanted = self.sim.port
            # ids never repeat, as with a real centre: the database remembers those of earlier runs
            self.sim.start(port=stack.free_port(wanted, holder=self.sim.dir), id_start=time.time_ns() // 1000)
        else:
            self.sim.ctl("reset")
        self.sim.set(**USUAL_DELAY, receipt_delay_min_ms=100, receipt_delay_max_ms=1200, throttle_permille=0, receipt_late_permille=0,
                     receipt_state="DELIVRD:1")
        self.story.step("simulator", "SMSC 127.0.0.1:%d, %s" % (self.sim.port, self.story.say("rates")), began)
        began = time.monotonic()
        self.peers.start(self.gateway)
        self.story.step("", self.story.say("peers", *(sim.port for sim in self.peers.all)), began)

    def api_port(self):
        g = self.gateway
        return g.port if g.process.pid and os.path.exists(g.port_file) else stack.free_port(8440, holder=g.dir)

    def daemon(self):
        began, g = time.monotonic(), self.gateway
        before = read(g.conf)
        g.configure(self.peers.extend(g.settings(self.api_port(), self.sim.port, window=WINDOW)))
        same = before == read(g.conf) and g.process.pid and os.path.getmtime(os.path.join(self.programs.stage, ".staged")) < os.path.getmtime(g.process.pid_path)
        if not (same and g.is_ready()):
            g.stop()
            g.start()
        self.sign_in()
        note = ", " + self.story.say("running") if same else ""
        self.story.step("daemon", "ready on http://127.0.0.1:%d (user %s)%s" % (g.port, g.who.pw_name, note), began)

    def sign_in(self):
        path = os.path.join(self.run, "key")
        api = self.gateway.api(read(path).strip(), self.story.call)
        if not api.key or api.ask("GET", "/api/v1/routes").status != 200:
            stack.write_file(path, self.gateway.new_key("quickstart") + "\n", mode=0o600)
            api.key = read(path).strip()
        self.api = api

    # ---- 7: the campaign ----

    def rules(self, people):
        now, api = datetime.datetime.now(datetime.timezone.utc), self.api
        api.call("PUT", "/api/v1/customers", body=sample.csv(people), media="text/csv")
        lst = api.rule("dnd-lists", {"name": "quickstart", "scope": "all"})
        api.post("/api/v1/dnd-lists/%s/entries" % lst["id"], body=sample.csv(of(people, "dnd")), media="text/csv")
        grants = "".join(json.dumps({"msisdn": p.msisdn, "action": "grant", "purpose": "marketing", "source": "quickstart sample"}) + "\n"
                         for p in people if p.group != "unconsented")
        api.post("/api/v1/consents", body=grants.encode(), media="application/x-ndjson")
        # wall-clock hours built from now: home is open now, the other region opens only when the campaign is long over
        api.rule("calendars", {"name": "quickstart home", "kind": "quiet", "region": sample.HOME[0],
                                "hours": sample.hours_around(now, sample.HOME[1], 2, 4)}, ["hours"])
        region, zone = sample.REGION["closed"]
        half_a_day = now + datetime.timedelta(hours=12)
        api.rule("calendars", {"name": "quickstart far", "kind": "quiet", "region": region,
                                "hours": sample.hours_around(half_a_day, zone, 0, 0)}, ["hours"])
        api.rule("caps", {"name": "quickstart " + sample.cap_zone(now), "max": 2, "period": "month", "zone": sample.cap_zone(now),
                           "classes": ["marketing"]}, ["max"])
        api.rule("routes", {"name": "quickstart", "channel": "sms", "instance": "smsc", "sender": "10690", "sender_kind": "short_code",
                             "rate_per_s": RATE_PER_S})

    def audience(self, name, rows):
        aud = self.api.post("/api/v1/audiences", {"name": name})
        done = self.api.call("PUT", "/api/v1/audiences/%s/recipients" % aud["id"], body=sample.csv(rows), media="text/csv")
        if (done["accepted"], done["duplicate"], done["invalid"]) != (len(rows), 0, 0):
            raise stack.StackError("upload of %s: %s" % (name, {k: done[k] for k in ("accepted", "duplicate", "invalid")}))
        return aud["id"]

    def campaign(self, name, audience, text):
        not_after = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=2)
        made = self.api.post("/api/v1/campaigns", {
            "name": name, "class": "marketing", "purpose": "marketing", "audience": audience, "not_after": not_after.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "waves": [{"channel": "sms", "content": {"text": text}, "validity": "PT60S"}]})
        self.api.post("/api/v1/campaigns/%s/start" % made["id"], {})
        return made["id"]

    def watch(self, ids, timeout_s, each=None):
        """Until all are completed; `each(done)` may act on the way. Survives a daemon that is away for a moment."""
        began = last = self.story.bar_told = time.monotonic()
        end, rate, seen = began + timeout_s, 0.0, 0
        while True:
            done = total = 0
            states, waits = set(), set()
            with contextlib.suppress(OSError, http.client.HTTPException):
                for i in ids:
                    p = self.api.get("/api/v1/campaigns/%s/progress" % i)
                    done, total = done + p["done"], total + p["total"]
                    states.add(p["state"])
                    waits.add(p.get("waiting_for"))
                now = time.monotonic()
                rate = 0.7 * rate + 0.3 * (done - seen) / max(now - last, 0.001)
                seen, last = done, now
                self.story.bar(done, total, max(rate, 0), " ".join(sorted(w for w in waits if w)))
                if states <= {"completed", "cancelled"}:
                    break
            if each:
                each(done)
            if time.monotonic() > end:
                raise stack.StackError("campaign %s is not completed after %d s" % (" ".join(ids), timeout_s), self.gateway.process.log_path)
            time.sleep(0.05)

    def send(self, run, people):
        # first the past: two real contacts, so that the cap of two is reached
        began = time.monotonic()
        capped = self.audience("earlier %d" % run, of(people, "capped"))
        earlier = [self.campaign("earlier %d-%d" % (run, i), capped, "{{name}}, thank you for staying with us. Reply TD to stop #{{code}}") for i in (1, 2)]
        self.watch(earlier, SETTLE_S)
        self.story.step("", self.story.say("earlier"), began)
        self.sim.ctl("reset")
        self.sim.set(**FIRST_DELAY, throttle_permille=THROTTLED, receipt_state="DELIVRD:98,UNDELIV:2", receipt_late_permille=20, receipt_late_ms=3000, receipt_early_permille=10,
                     reorder_permille=50)
        audience = self.audience("sample %d" % run, people)
        began = time.monotonic()
        cmp = self.campaign("spring offer %d" % run, audience, "{{name}}, 5 GB extra for 9 yuan until Sunday. Reply TD to stop #{{code}}")
        self.kill_at, self.slow, self.waiting = len(of(people, "open")) // 2, False, -1
        self.watch([cmp], SETTLE_S, self.kill_half_way)
        self.story.step("campaign", cmp, began)
        return cmp

    def kill_half_way(self, _done):
        """Half way the centre becomes slow until a whole window waits for its answers: the worst moment to die."""
        if self.kill_at is None:
            return
        stats = self.sim.stats()
        if stats["messages"]["unique"] < self.kill_at:
            return
        if not self.slow:
            self.sim.set(**SLOW_DELAY)
            self.slow = True
            return
        # nothing more was written for a moment: the window is full, or the lane's share of it
        waiting, self.waiting = self.waiting, stats["submits"]
        if waiting != stats["submits"] or not stats["unanswered"]:
            return
        self.kill_at = None
        began, g = time.monotonic(), self.gateway
        g.kill()
        self.sim.set(throttle_permille=THROTTLED, **USUAL_DELAY)
        g.start()
        self.api.port = g.port
        self.story.line("%s  %s" % (self.story.paint("31;1", self.story.say("killing")), self.story.say("restarted", time.monotonic() - began)))

    # ---- 8: the proof ----

    def results(self, cmp, people):
        s, funnel = self.story, self.api.get("/api/v1/campaigns/%s/funnel" % cmp)
        held = funnel["held"]
        s.line()
        s.line("%s %s" % (s.say("audience"), number(funnel["audience"])))
        s.line("  %s  %s" % (s.say("held"), "   ".join("%s %s" % (number(n), s.words.get(reason, reason)) for reason, n in held.items())))
        s.line("%s  %s" % (s.say("sent"), "   ".join("%s %s" % (number(funnel[k]), s.say(k)) for k in ("submitted", "delivered", "failed", "expired", "unknown", "pending")
                                                      if funnel[k] or k not in ("expired", "unknown"))))
        expect = {"dnd.list": "dnd", "consent.missing": "unconsented", "cap.period": "capped", "calendar.no_open_hour": "closed"}
        good = held == {reason: len(of(people, g)) for reason, g in expect.items()} and funnel["submitted"] == len(of(people, "open"))
        s.check(good, s.say("held_ok", number(funnel["submitted"]), number(sum(held.values())), number(funnel["audience"])) if good else s.say("held_bad", held))
        self.compare(funnel, people)
        return funnel

    def compare(self, funnel, people):
        s, seen, stats = self.story, self.sim.messages(), self.sim.stats()
        allowed = {(p.msisdn[1:], str(p.code)) for p in of(people, "open")}
        reached = {(m.dest, m.key) for m in seen if m.taken}
        wrong = len(reached - allowed)
        unwritten = funnel["in_doubt"] - funnel["settled"]
        lost = funnel["submitted"] - len(reached) - unwritten
        repeated = sum(m.taken > 1 for m in seen)
        s.check(wrong == 0 and lost == 0, s.say("count", number(len(reached)), wrong))
        final = funnel["delivered"] + funnel["failed"] + funnel["expired"] + funnel["unknown"]
        good = repeated == 0 and lost == 0 and final == funnel["submitted"] and funnel["pending"] == 0 and 0 <= unwritten and funnel["in_doubt"] <= IN_DOUBT_MAX and self.kill_at is None
        s.check(good, s.say("kill", repeated, lost, funnel["in_doubt"], funnel["settled"], s.say("never", unwritten) if unwritten else ""))
        s.check(funnel["delivered"] + funnel["failed"] == len(reached), s.say("receipts", number(funnel["delivered"]), number(funnel["failed"])))
        s.check(stats["complaints_total"] == 0, s.say("conform", stats["complaints_total"]))

    def verdict(self, person, channel="sms"):
        return self.api.post("/api/v1/decisions", {"msisdn": person.msisdn, "channel": channel, "class": "marketing", "purpose": "marketing"}, quiet=True)

    def opt_out(self, people):
        person, limit_s = of(people, "open")[0], 10
        before = self.verdict(person)["verdict"]
        began = time.monotonic()
        self.sim.ctl("mo %s 10690 TD" % person.msisdn[1:])
        done = stack.wait_until(lambda: self.verdict(person)["reason"] == "dnd.optout", limit_s, 0.005)
        took = time.monotonic() - began
        everywhere = all(self.verdict(person, c)["reason"] == "dnd.optout" for c in ("mms", "voice", "email"))
        s = self.story
        s.check(before == "ALLOW" and bool(done) and everywhere, s.say("optout", took) if done else s.say("optout_bad", limit_s))

    def why(self, cmp, people):
        person = of(people, "capped")[0]
        customer = self.api.post("/api/v1/customers/lookup", {"msisdn": person.msisdn}, quiet=True)["id"]
        contacts = self.api.get("/api/v1/contacts?customer=%s&limit=50" % customer)["data"]
        held = next(c for c in contacts if c.get("campaign") == cmp)
        told = self.api.get("/api/v1/contacts/" + held["id"])["decisions"][-1]
        used = sum(c.get("verdict") == "ALLOW" for c in contacts)
        s = self.story
        s.line("why   %s  %s %s  %s  rule %s v%s" % (person.masked, told["verdict"], told["reason"], s.say("used", used), told["rule"], told["rules_version"]))

    # ---- modes ----

    def go(self):
        counter = os.path.join(self.run, "runs")
        self.database()
        run = int(read(counter).strip() or 0)
        stack.write_file(counter, "%d\n" % (run + 1))
        self.simulator()
        self.daemon()
        people = sample.people(run)
        self.rules(people)
        cmp = self.send(run, people)
        self.results(cmp, people)
        self.opt_out(people)
        self.why(cmp, people)
        four_channels.run(self, run)
        s = self.story
        s.line()
        s.line("%s     %s     %s" % ("http://127.0.0.1:%d" % self.gateway.port, s.say("stop"), s.say("took", int(time.time()) - self.args.began)))
        if s.failed:
            s.line(s.say("failed_checks", s.failed, self.run))
        return 1 if s.failed else 0

    def stop(self):
        running = [p for p in (self.gateway.process, self.sim.process, *(sim.process for sim in self.peers.all)) if p.pid]
        self.gateway.stop()
        self.sim.stop()
        self.peers.stop()
        database = os.path.exists(os.path.join(self.cluster.data, "postmaster.pid"))
        self.cluster.stop()
        return bool(running) or database

    def status(self):
        g, s, sims = self.gateway, self.story, (self.sim, *self.peers.all)
        places = [(g.process, "http://127.0.0.1:%s" % (read(g.port_file).strip() or "-"))]
        places += [(sim.process, "127.0.0.1:%s" % (read(sim.port_file).strip() or "-")) for sim in sims]
        for p, where in places:
            s.line("%-11s%s" % (p.name, "pid %d  %s  %s" % (p.pid, where, p.log_path) if p.pid else s.say("not_running")))
        there = os.path.exists(os.path.join(self.cluster.data, "PG_VERSION")) and self.cluster.running()
        s.line("%-11s%s" % ("database", self.cluster.conninfo() if there else s.say("not_running")))
        return 0 if there and all(p.pid for p, _ in places) else 1


def of(people, group):
    return [p for p in people if p.group == group]


def read(path):
    try:
        with open(path, encoding="utf-8") as f:
            return f.read()
    except OSError:
        return ""


def interrupted(_signal, _frame):
    raise KeyboardInterrupt


def run(q):
    """Leaves the installation running after success, ends it after failure unless asked not to."""
    status = 5
    try:
        status = q.go()
        return status
    except KeyboardInterrupt:
        q.story.line()
        q.args.keep, status = False, 130
        return status
    except (stack.StackError, OSError, http.client.HTTPException) as e:
        q.story.line()
        print("quickstart: %s" % e, file=sys.stderr)
        if getattr(e, "log", None):
            print("%s ends with:\n%s" % (e.log, stack.tail(e.log)), file=sys.stderr)
        status = 1 if q.api else 5
        return status
    finally:
        if status and not q.args.keep:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            q.stop()


def main():
    ap = argparse.ArgumentParser(prog="quickstart")
    ap.add_argument("--run", required=True)
    ap.add_argument("--mode", choices=("run", "stop", "reset", "status"), required=True)
    ap.add_argument("--build")
    ap.add_argument("--lang", choices=sorted(WORDS), default="en")
    ap.add_argument("--began", type=int, default=int(time.time()))
    ap.add_argument("--keep", action="store_true")
    args = ap.parse_args()
    q = Quickstart(args)
    if args.mode == "run":
        signal.signal(signal.SIGTERM, interrupted)
        signal.signal(signal.SIGHUP, interrupted)
        return run(q)
    if args.mode == "status":
        return q.status()
    q.story.line(q.story.say("stopped" if q.stop() else "nothing"))
    if args.mode == "reset":
        shutil.rmtree(args.run)
        q.story.line(q.story.say("removed", args.run))
    return 0


if __name__ == "__main__":
    sys.exit(main())
