# SPDX-License-Identifier: Apache-2.0
"""test_four_channels.py - the four channels of the quickstart, with the daemon killed in the middle of a wave: nobody gets any wave twice, what
peers counted is what the log says, and caps and do-not-disturb hold over all channels.
"""
import unittest

import harness

import four_channels
import peers

OVER_S = 100  # longest wait for a wave to be over


class FourChannels(harness.Field):
    instance = {"window": 20}
    # Answers of the wave that is to be cut, 16 MMS or 8 mails at once: half of it takes three seconds, so that it is not over though the machine pauses for two.
    # (Of calls, 30 begin in a second, and each takes some.)
    SLOW_MS = {"mms": 500, "email": 300}

    @classmethod
    def prepare(cls):
        cls.peers = peers.Peers(cls.programs, cls.dir, harness.PORTS + 50)
        if cls.peers.missing:
            raise unittest.SkipTest("not built: " + " ".join(cls.peers.missing))
        cls.addClassCleanup(cls.peers.stop)
        cls.peers.start(cls.gateway)
        config = cls.peers.extend(cls.gateway.settings(0, cls.sim.port, **cls.instance))
        cls.config = {k: config[k] for k in ("callback", "instances")}

    @classmethod
    def route(cls, **more):
        four_channels.routes(cls.api, with_sms=True)

    def begin(self, number, without=()):
        rows = [p for p in four_channels.people(number) if p.group not in without]
        four_channels.rules(self.api, rows)
        book = four_channels.Books(self.api, self.sim, self.peers, rows)
        self.gate = four_channels.Gate(self.api, book)
        return book, four_channels.campaign(self.api, "four channels %d" % number, rows, four_channels.picture(number))

    def one_by_one(self, book, cmp):
        """Channels whose queues may be opened, each when the wave before is over."""
        while self.gate.left:
            channel = self.until(self.patient(lambda: self.gate.may_open(cmp)), OVER_S, 0.2)
            self.assertTrue(channel, "a wave does not end: %s" % book.counts(cmp))
            yield channel
            self.gate.opened()

    def slow(self, channel=None):
        self.peers.mmsc.set(delay_ms=self.SLOW_MS["mms"] if channel == "mms" else 0)
        self.peers.mail.set(answer_delay_ms=self.SLOW_MS["email"] if channel == "email" else 0)

    def kill_in(self, book, channel):
        """SIGKILL when the wave by this channel has reached half of its people; the other half then comes as fast as ever."""
        people, came = len(book.expected(channel)), lambda: sum((book.sources[channel].reached() - book.before[channel]).values())
        self.slow(channel)
        self.gate.turn(channel, "resume")
        self.assertTrue(self.until(lambda: came() >= people // 2, 60, 0.01), "the wave by %s does not come" % channel)
        self.gateway.kill()
        self.slow()
        self.assertLess(came(), people, "the wave by %s was over before the daemon was killed: nothing is proved" % channel)
        self.gateway.start()
        self.api.port = self.gateway.port

    def same_on_both_sides(self, book, cmp, doubtful=()):
        """`doubtful`: channels whose window was cut; there the log may know of people in doubt to whom nothing had gone yet."""
        for channel, n in book.counts(cmp).items():
            self.assertEqual((n.repeated, n.wrong), (set(), set()), "%s: people who got it twice; who must not get it" % channel)
            self.assertEqual((n.log["held"], n.log["waiting"], n.log["pending"]), (book.held(channel), 0, 0), channel)
            unwritten = n.log["in_doubt"] - n.log["settled"] if channel in doubtful else 0
            self.assertLessEqual(len(n.missing), unwritten, "%s: %s" % (channel, n.log))
            self.assertEqual(n.log["submitted"], sum(n.reached.values()) + len(n.missing), channel)
        self.assertEqual(book.most(), four_channels.CAP)
        self.assertEqual(sum(s.complaints() for s in self.peers.all), 0, [s.stats() for s in self.peers.all])
        self.seals_verify()

    def test_every_wave_is_counted_and_what_comes_back_binds_all_channels(self):
        book, cmp = self.begin(1)
        clicks, bounces = book.of("clicks")[0], book.of("bounces")[0]
        for channel in self.one_by_one(book, cmp):
            if channel == "voice":
                self.assertTrue(self.until(lambda: set(book.verdicts(clicks).values()) == {"dnd.optout"}, 60), book.verdicts(clicks))
                self.assertTrue(self.until(lambda: book.verdicts(bounces)["email"] == "dnd.bounce", 60), book.verdicts(bounces))
            self.gate.turn(channel, "resume")
        self.complete(cmp, 150)
        self.same_on_both_sides(book, cmp)
        said, pressed = book.answers(cmp), book.pressed(self.peers)
        self.assertGreater(pressed["1"], 0)
        self.assertEqual((said[("keys", "1")], said[("keys", "2")]), (pressed["1"], pressed["2"]))
        nine = next(p for p in book.of("no_mail") if str(p.msisdn)[-1] == "9")
        self.assertEqual(set(book.verdicts(nine).values()), {"dnd.optout"}, "who pressed 9 is reached no more, by no channel")

    def test_killed_in_three_waves_nobody_gets_any_wave_twice(self):
        # chance decides whether the one mail that is clicked, or comes back, is among those that the kill cuts off: without these two
        book, cmp = self.begin(2, without=("clicks", "bounces"))
        self.addCleanup(self.slow)
        for channel in self.one_by_one(book, cmp):
            self.kill_in(book, channel)
        # a call has no receipt: who was in one stays in doubt until the validity of the wave is over
        self.complete(cmp, 300)
        self.same_on_both_sides(book, cmp, doubtful=four_channels.CHANNELS[1:])


if __name__ == "__main__":
    unittest.main()
