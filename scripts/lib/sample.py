# SPDX-License-Identifier: Apache-2.0
"""sample.py - customers made from a seed: the same run number gives the same people, every run gives new ones.

The numbers have the form of Chinese mobile numbers because the rules shown need a country with more than one region; they reach
nobody but the simulator. Sizes of the groups are the numbers that the quickstart promises.
"""
import datetime
import random
import zoneinfo

GROUPS = (("dnd", 312), ("unconsented", 188), ("capped", 441), ("closed", 96), ("open", 3963))
PER_RUN = sum(n for _, n in GROUPS)
RUNS_MAX = 10 ** 8 // PER_RUN
REGION = {"closed": ("CN-XJ", "Asia/Urumqi")}
HOME = ("CN-GD", "Asia/Shanghai")
NAMES = ("Chen", "Fang", "Hao", "Jing", "Lei", "Mei", "Ning", "Qiang", "Rui", "Wen", "Xin", "Yan")


class Person:
    __slots__ = ("msisdn", "group", "name", "code", "region", "zone")

    def __init__(self, msisdn, group, name, code):
        self.msisdn, self.group, self.name, self.code = msisdn, group, name, code
        self.region, self.zone = REGION.get(group, HOME)

    @property
    def masked(self):
        return "%s %s****%s" % (self.msisdn[:3], self.msisdn[3:6], self.msisdn[-4:])


def people(run):
    """PER_RUN customers of run number `run`, groups mixed."""
    if not 0 <= run < RUNS_MAX:
        raise ValueError("the sample has numbers for %d runs; --reset begins again" % RUNS_MAX)
    dice = random.Random(20260 + run)
    groups = [g for g, n in GROUPS for _ in range(n)]
    dice.shuffle(groups)
    first = run * PER_RUN
    return [Person("+86138%08d" % (first + i), g, dice.choice(NAMES), first + i) for i, g in enumerate(groups)]


def csv(rows):
    return ("msisdn,region,zone,name,code\n" + "".join("%s,%s,%s,%s,%d\n" % (p.msisdn, p.region, p.zone, p.name, p.code) for p in rows)).encode()


def hours_around(now, zone, before_h, after_h):
    """Daily open hours from before_h before `now` to after_h after it on the wall clock of `zone`, as the API takes them."""
    local = now.astimezone(zoneinfo.ZoneInfo(zone))
    begin, end = (local.hour - before_h) % 24, (local.hour + after_h + 1) % 24
    spans = [(begin, end)] if begin < end else [(begin, 24), (0, end)]
    return [{"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "from": "%02d:00" % a, "to": "%02d:00" % b} for a, b in spans if a < b]


def cap_zone(now):
    """A zone whose month does not end within the next hour: earlier contacts and campaign fall into one month at any moment."""
    for zone in ("Asia/Shanghai", "UTC"):
        at, later = (t.astimezone(zoneinfo.ZoneInfo(zone)) for t in (now, now + datetime.timedelta(hours=1)))
        if at.month == later.month:
            return zone
    raise AssertionError("two zones cannot end their month in the same hour")
