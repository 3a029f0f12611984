# SPDX-License-Identifier: Apache-2.0
"""four_channels.py - one campaign with a wave by SMS, MMS, e-mail and voice: people, rules, content, and the account of what each peer counted.

Used by scripts/quickstart (tell()) and tests/scenario/test_four_channels.py. Decides nothing about contacts: who should get what is written
down here as EXPECTED, and compared with peers and contact log afterwards.
"""
import collections
import contextlib
import datetime
import http.client
import json
import random
import struct
import time
import zlib

import peers
import sample
import stack

CHANNELS = ("sms", "mms", "email", "voice")
CAP = 3  # contacts a month over all channels: whoever had three waves does not get the fourth
# dnd: on a list by the e-mail address alone; no_mms: agreed to all channels but MMS; clicks, bounces: one person each, as no_mms
GROUPS = (("full", 100), ("no_mail", 90), ("no_mms", 58), ("clicks", 1), ("bounces", 1), ("dnd", 30))
PER_RUN = sum(n for _, n in GROUPS)
RUNS_MAX = 10 ** 8 // PER_RUN
REACHED = {"sms": {"full", "no_mail", "no_mms", "clicks", "bounces"}, "mms": {"full", "no_mail"}, "email": {"full", "no_mms", "clicks", "bounces"},
           "voice": {"no_mail", "no_mms", "bounces"}}
HELD = {"sms": {"dnd.list": {"dnd"}}, "mms": {"dnd.list": {"dnd"}, "consent.missing": {"no_mms", "clicks", "bounces"}},
        "email": {"dnd.list": {"dnd"}, "address.none": {"no_mail"}}, "voice": {"dnd.list": {"dnd"}, "cap.period": {"full"}, "dnd.optout": {"clicks"}}}
STEP_S = 8  # between two waves: each is over before the next begins, so that who has used up the cap is no chance
BACK_S = 40  # longest wait for what comes back: click, bounce

WORDS = {
    "en": {
        "four": "one campaign, four channels: SMS, MMS, e-mail, voice", "peers": "MMSC :{0}, mail :{1}, telephones :{2}",
        "address.none": "no address", "dnd.optout": "opted out", "cap.all": "monthly cap ({0})", "sms": "SMS", "mms": "MMS", "email": "e-mail", "voice": "calls",
        "four.count": "{0}: simulator counted {1} = contact log {2}, {3} to people who must not get one", "four.count_bad": "{0}: simulator counted {1}, contact log {2}; {3} wrong, {4} missing, {5} repeated",
        "four.cap": "cap of {0} over all channels: {1} people with SMS, MMS and e-mail got no call; the most anybody got is {2}",
        "four.dnd": "{0} people on a list by their e-mail address alone: {1} SMS, {2} MMS, {3} e-mails, {4} calls",
        "four.click": "one-click unsubscribe in a mail: no call followed, suppressed in all channels", "four.click_bad": "one-click unsubscribe in a mail: {0}",
        "four.bounce": "mail that came back: address held for e-mail ({0}), not for other channels",
        "four.keys": "{0} people pressed 1: {1} responses of the campaign; {2} pressed 9: {3} opted out",
        "four.conform": "simulators have {0} complaints about our MM7, mail and calls; an MMS with the picture of {1} bytes had {2}",
    },
    "zh": {
        "four": "一次活动，四个渠道：短信、彩信、电子邮件、语音", "peers": "彩信中心 :{0}，邮件 :{1}，电话网 :{2}",
        "address.none": "无地址", "dnd.optout": "已退订", "cap.all": "月接触上限（{0}）", "sms": "短信", "mms": "彩信", "email": "邮件", "voice": "呼叫",
        "four.count": "{0}：模拟器计数 {1} = 联系日志 {2}，其中 {3} 条发给了不应联系的人", "four.count_bad": "{0}：模拟器计数 {1}，联系日志 {2}；错发 {3}，缺失 {4}，重复 {5}",
        "four.cap": "所有渠道合计上限 {0}：{1} 位已收到短信、彩信和邮件的客户未再接到呼叫；每人最多 {2} 次",
        "four.dnd": "{0} 位仅以邮箱登记免打扰的客户：短信 {1}，彩信 {2}，邮件 {3}，呼叫 {4}",
        "four.click": "邮件中一键退订：此后没有呼叫，所有渠道停止", "four.click_bad": "邮件中一键退订：{0}",
        "four.bounce": "退回的邮件：该地址停止邮件（{0}），其他渠道不受影响",
        "four.keys": "{0} 位客户按 1：活动收到 {1} 个回应；{2} 位按 9：{3} 位退订",
        "four.conform": "模拟器对我方 MM7、邮件和呼叫的投诉：{0}；含 {1} 字节图片的彩信平均 {2} 字节",
    },
}


class Person:
    __slots__ = ("msisdn", "email", "group", "name", "code")

    def __init__(self, code, group, name):
        self.code, self.group, self.name = code, group, name
        self.msisdn = "+86137%08d" % code
        kind = {"clicks": peers.LEAVES, "bounces": peers.GONE}.get(group, "p")
        self.email = "" if group == "no_mail" else "%s%d@customer.example" % (kind, code)

    def address(self, channel):
        return self.email if channel == "email" else self.msisdn


def people(run):
    """PER_RUN customers of run number `run`, groups mixed; numbers other than those of sample.py."""
    if not 0 <= run < RUNS_MAX:
        raise ValueError("there are numbers for %d runs; --reset begins again" % RUNS_MAX)
    dice = random.Random(40260 + run)
    groups = [g for g, n in GROUPS for _ in range(n)]
    dice.shuffle(groups)
    return [Person(run * PER_RUN + i, g, dice.choice(sample.NAMES)) for i, g in enumerate(groups)]


def csv(rows):
    region, zone = sample.HOME
    return ("msisdn,email,region,zone,name,code\n" + "".join("%s,%s,%s,%s,%s,%d\n" % (p.msisdn, p.email, region, zone, p.name, p.code) for p in rows)).encode()


def picture(seed, side=96):
    """A PNG of our own making: coloured noise, another one for each seed; about 27 KB."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    dice = random.Random(seed)
    lines = b"".join(b"\x00" + dice.randbytes(3 * side) for _ in range(side))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


# ---- rules and content ----

def routes(api, with_sms=False):
    """One route a channel. Nobody reports that a mail was delivered: accepted is the end of it, and a bounce may follow."""
    if with_sms:
        api.rule("routes", {"name": "quickstart", "channel": "sms", "instance": "smsc", "sender": peers.SENDER, "sender_kind": "short_code"})
    api.rule("routes", {"name": "quickstart mms", "channel": "mms", "instance": "mmsc", "sender": peers.SENDER, "sender_kind": "short_code"})
    api.rule("routes", {"name": "quickstart mail", "channel": "email", "instance": "mail", "receipts": False})
    api.rule("routes", {"name": "quickstart calls", "channel": "voice", "instance": "phones"})


def rules(api, rows):
    """Cap, customers, list and consents."""
    zone = sample.cap_zone(datetime.datetime.now(datetime.timezone.utc))
    api.rule("caps", {"name": "quickstart " + zone, "max": CAP, "period": "month", "zone": zone, "classes": ["marketing"]}, ["max"])
    api.call("PUT", "/api/v1/customers", body=csv(rows), media="text/csv")
    lst = api.rule("dnd-lists", {"name": "quickstart", "scope": "all"})
    api.post("/api/v1/dnd-lists/%s/entries" % lst["id"], {"entries": [{"email": p.email} for p in rows if p.group == "dnd"]})
    grants = []
    for p in rows:
        some = [c for c in CHANNELS if c != "mms"] if p.group in HELD["mms"]["consent.missing"] else ["all"]
        grants += [{"msisdn": p.msisdn, "action": "grant", "purpose": "marketing", "channel": c, "source": "quickstart sample"} for c in some]
    api.post("/api/v1/consents", body="".join(json.dumps(g) + "\n" for g in grants).encode(), media="application/x-ndjson")


def waves(media, step_s):
    shown = [{"media": media, "name": "summer.png"}]
    flow = {"start": "ask", "voice": "en", "optout": "9", "optout_say": "You will not be called again.", "max_s": 30, "nodes": {
        "ask": {"say": "Hello {{name}}. Press 1 for the catalogue, 9 for no more calls.", "menu": {"1": "bye", "2": "bye"}, "wait_s": 3, "tries": 1, "otherwise": "bye"},
        "bye": {"say": "Thank you."}}}
    html = '<p>{{name}}, the summer catalogue is out.</p><img src="cid:summer.png"><p><a href="%unsubscribe_url%">No more mails</a></p>'
    content = {"sms": {"text": "{{name}}, the summer catalogue is out. Reply TD to stop #{{code}}"},
               "mms": {"subject": "Summer", "text": "{{name}}, a look inside #{{code}}", "media": shown},
               "email": {"subject": "{{name}}, our summer catalogue", "text": "{{name}}, the summer catalogue is out.\nNo more mails: %unsubscribe_url%", "html": html, "media": shown},
               "voice": {"flow": flow}}
    return [{"channel": c, "content": content[c], "validity": "PT60S", **({"after": "PT%dS" % (i * step_s)} if i else {})} for i, c in enumerate(CHANNELS)]


def campaign(api, name, rows, data, step_s=STEP_S):
    """Audience, picture, campaign; started. Its id."""
    aud = api.post("/api/v1/audiences", {"name": name, "channels": list(CHANNELS)})["id"]
    done = api.call("PUT", "/api/v1/audiences/%s/recipients" % aud, body=csv(rows), media="text/csv")
    if (done["accepted"], done["duplicate"], done["invalid"]) != (len(rows), 0, 0):
        raise stack.StackError("upload of %s: %s" % (name, done))
    media = api.post("/api/v1/media", body=data, media="image/png")["id"]
    not_after = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=2)
    made = api.post("/api/v1/campaigns", {"name": name, "class": "marketing", "purpose": "marketing", "audience": aud, "not_after": not_after.strftime("%Y-%m-%dT%H:%M:%SZ"),
                                          "waves": waves(media, step_s)})
    api.post("/api/v1/campaigns/%s/start" % made["id"], {})
    return made["id"]


# ---- the account ----

class Count(collections.namedtuple("Count", "log reached wrong missing repeated")):
    """Of one channel: the group of the funnel, people whom the peer counted, and how they differ from EXPECTED."""

    @property
    def good(self):
        return not (self.wrong or self.missing or self.repeated) and self.log["submitted"] == sum(self.reached.values()) and self.log["waiting"] == self.log["pending"] == 0


class Books:
    """What the peers counted from now on, held against what should be."""

    def __init__(self, api, centre, others, rows):
        self.api, self.rows = api, rows
        self.sources = {p.channel: p for p in (peers.Centre(centre), *others.all)}
        self.before, self.mmsc = {c: s.reached() for c, s in self.sources.items()}, others.mmsc
        self.bytes_before = self.mmsc.stats()["media_bytes"]

    def reached(self):
        return {c: s.reached() - self.before[c] for c, s in self.sources.items()}

    def of(self, *groups):
        return [p for p in self.rows if p.group in groups]

    def expected(self, channel):
        return {p.address(channel) for p in self.of(*REACHED[channel])}

    def held(self, channel):
        """People by reason, as they should be."""
        return {reason: len(self.of(*groups)) for reason, groups in HELD[channel].items() if self.of(*groups)}

    def counts(self, cmp):
        log = {g["channel"]: g for g in self.api.get("/api/v1/campaigns/%s/funnel?by=wave,channel" % cmp)["groups"]}
        return {c: Count(log[c], r, set(r) - self.expected(c), self.expected(c) - set(r), {a for a, n in r.items() if n > 1}) for c, r in self.reached().items()}

    def over(self, cmp, channel):
        """The wave by this channel: everybody in it was held or sent to."""
        log = self.counts(cmp)[channel].log
        return sum(log["held"].values()) + log["submitted"] == len(self.rows)

    def mms_bytes(self):
        """Of all that the MMSC took."""
        return self.mmsc.stats()["media_bytes"] - self.bytes_before

    def most(self):
        """Contacts of the person who got the most, over all channels."""
        total = collections.Counter()
        for channel, r in self.reached().items():
            total.update({p.code: r[p.address(channel)] for p in self.rows if p.address(channel)})
        return max(total.values())

    def verdicts(self, person):
        """Reason by channel, asked now; ALLOW when there is none."""
        return {c: self.api.post("/api/v1/decisions", {"msisdn": person.msisdn, "channel": c, "class": "marketing", "purpose": "marketing"}, quiet=True)["reason"] or "ALLOW" for c in CHANNELS}

    def answers(self, cmp):
        """{(kind, answer): n} of the voice wave."""
        doc = self.api.get("/api/v1/campaigns/%s/answers" % cmp)
        return {(a["kind"], a["answer"]): a["n"] for a in doc["answers"] if a["channel"] == "voice"}

    def pressed(self, others):
        """{key: people} of this campaign, as the telephones counted it."""
        ours = self.expected("voice")
        return collections.Counter(keys for number, _, _, keys in others.phones.calls() if number in ours)


class Gate:
    """Opens the queue of a channel when the wave before is over, however slow this machine is: who has used up the cap, has pressed 9 or clicked
    before the next wave is no chance."""

    def __init__(self, api, book):
        self.api, self.book, self.left = api, book, list(zip(CHANNELS, CHANNELS[1:]))
        self.queues = {r["channel"]: "/api/v1/queues/%s.bulk/" % r["id"] for r in api.every("/api/v1/routes?limit=500")}
        for _, channel in self.left:
            self.turn(channel, "pause")

    def turn(self, channel, verb):
        self.api.call("POST", self.queues[channel] + verb, quiet=True)

    def may_open(self, cmp):
        """The channel whose turn it is, or None."""
        before, channel = self.left[0] if self.left else (None, None)
        return channel if before and self.book.over(cmp, before) else None

    def opened(self):
        self.left.pop(0)

    def open_all(self):
        for _, channel in self.left:
            self.turn(channel, "resume")


def tell(story, book, others, cmp, data):
    """The proof, line by line."""
    counts = book.counts(cmp)
    story.line()
    for c, n in counts.items():
        held = "   ".join("%d %s" % (k, story.say("cap.all", CAP) if reason == "cap.period" else story.words.get(reason, reason)) for reason, k in n.log["held"].items())
        told = "   ".join("%d %s" % (n.log[k], story.say(k)) for k in ("submitted", "delivered", "failed") if n.log[k])
        story.line("%-7s %s   %s %s" % (story.say(c), told, story.say("held"), held))
    for c, n in counts.items():
        good = n.good and n.log["held"] == book.held(c)
        words = ("four.count", story.say(c), sum(n.reached.values()), n.log["submitted"], len(n.wrong)) if good else (
            "four.count_bad", story.say(c), sum(n.reached.values()), n.log["submitted"], len(n.wrong), len(n.missing), len(n.repeated))
        story.check(good, story.say(*words))
    tell_rules(story, book, counts)
    tell_back(story, book, others, cmp)
    wrong = sum(s.complaints() for s in others.all)
    mean = book.mms_bytes() // max(1, sum(counts["mms"].reached.values()))
    story.check(wrong == 0 and mean > len(data), story.say("four.conform", wrong, format(len(data), ","), format(mean, ",")))


def tell_rules(story, book, counts):
    full, dnd, most = book.of("full"), book.of("dnd"), book.most()
    three = sum(all(counts[c].reached[p.address(c)] == 1 for c in CHANNELS[:3]) and counts["voice"].reached[p.msisdn] == 0 for p in full)
    story.check(three == len(full) and most == CAP, story.say("four.cap", CAP, three, most))
    got = [sum(counts[c].reached[p.address(c)] for p in dnd) for c in CHANNELS]
    story.check(not any(got), story.say("four.dnd", len(dnd), *got))


def tell_back(story, book, others, cmp):
    clicks, bounces = book.of("clicks")[0], book.of("bounces")[0]
    done = stack.wait_until(lambda: set(book.verdicts(clicks).values()) == {"dnd.optout"}, BACK_S, 0.1)
    called = book.reached()["voice"][clicks.msisdn]
    story.check(bool(done) and not called, story.say("four.click") if done and not called else story.say("four.click_bad", book.verdicts(clicks)))
    stack.wait_until(lambda: book.verdicts(bounces)["email"] == "dnd.bounce", BACK_S, 0.1)
    why = book.verdicts(bounces)
    story.check(why["email"] == "dnd.bounce" and not any(why[c].startswith("dnd.") for c in CHANNELS if c != "email"), story.say("four.bounce", why["email"]))
    said, pressed = book.answers(cmp), book.pressed(others)
    ones, nines = said.get(("keys", "1"), 0), sum(n for (kind, _), n in said.items() if kind == "optout")
    story.check(ones == pressed["1"] > 0 and nines == pressed["9"] > 0, story.say("four.keys", pressed["1"], ones, pressed["9"], nines))


def next_wave(gate, cmp, began):
    with contextlib.suppress(OSError, http.client.HTTPException):  # asked again in a moment
        open_next(gate, cmp, began)


def open_next(gate, cmp, began):
    channel = gate.may_open(cmp)
    clicks = gate.book.of("clicks")[0]
    late = time.monotonic() > began + len(CHANNELS) * STEP_S + BACK_S  # a click that does not come is told by tell()
    if channel and (channel != "voice" or late or set(gate.book.verdicts(clicks).values()) == {"dnd.optout"}):
        gate.turn(channel, "resume")
        gate.opened()


def run(quickstart, number):
    """The second story of scripts/quickstart: rules, campaign, proof."""
    api, story, others = quickstart.api, quickstart.story, quickstart.peers
    rows, data = people(number), picture(number)
    story.line()
    story.line(story.say("four"))
    rules(api, rows)
    routes(api)
    # refusals at random belong to the first story
    quickstart.sim.set(throttle_permille=0, receipt_late_permille=0, receipt_state="DELIVRD:1")
    book = Books(api, quickstart.sim, others, rows)
    gate = Gate(api, book)
    began = time.monotonic()
    try:
        cmp = campaign(api, "four channels %d" % number, rows, data)
        quickstart.watch([cmp], 150, lambda _: next_wave(gate, cmp, began))
    finally:
        gate.open_all()
    story.step("campaign", cmp, began)
    tell(story, book, others, cmp, data)
    return cmp
