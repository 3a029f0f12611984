# SPDX-License-Identifier: Apache-2.0
"""test_faults.py - the parts around the daemon fail, or it is set up wrongly. Without its database it sends nothing and goes on by itself
when it is back; a message centre that is away, refuses, is silent or talks rubbish is waited for; nobody is lost and nobody gets anything
twice. A configuration that is wrong is refused at start: what, where, and what would be right.

Started without a database campgwd does not wait: it says why and ends with status 1, and the service manager starts it again
(Restart=on-failure in conf/campgwd.service). A running daemon waits as long as it takes.
"""
import glob
import os
import shutil
import signal
import subprocess
import time
import unittest

import harness
import stack

START_LIMIT_S = 20  # a daemon that cannot run has to have said so by then
RATE = 80  # of 400 people: more than four seconds are left when something happens to the message centre


class Database(harness.Storm):
    durable = True
    WINDOW = 20
    instance = {"window": WINDOW}
    knobs = {"delay_min_ms": 2, "delay_max_ms": 20, "ack_timeout_ms": 60000}  # receipts are not answered while the database is away, rightly so

    def setUp(self):
        super().setUp()
        self.addCleanup(self.bring_back)

    def bring_back(self):
        if subprocess.run(self.cluster.prefix + [os.path.join(self.cluster.bin, "pg_ctl"), "-D", self.cluster.data, "status"], cwd="/", stdout=subprocess.DEVNULL, check=False).returncode:
            self.cluster.start()
        if not self.gateway.process.pid:
            self.gateway.start()
            type(self).api.port = self.gateway.port
        self.assertTrue(self.until(self.gateway.is_ready))

    def test_it_is_stopped_and_started_in_the_middle_of_a_campaign(self):
        people = self.consenting(1200)
        self.change_route(rate_per_s=250)
        pid = self.gateway.process.pid
        cmp = self.campaign(people)
        for at in (150, 400):  # three seconds are left when it is stopped the second time
            self.goes(at)
            self.cluster.stop("immediate")
            self.assertEqual(self.api.ask("GET", "/health").status, 200, "the process is alive, whatever the database is")
            self.assertTrue(self.until(lambda: self.api.ask("GET", "/ready").status == 503))
            self.assertTrue(self.until(lambda: self.metric("campgw_db_up") == 0))
            refused = self.api.ask("GET", "/api/v1/campaigns/" + cmp)
            self.assertEqual((refused.status, refused.slug), (503, "database-unavailable"), refused)
            self.assertTrue(refused.headers["Retry-After"])
            self.assertLess(self.unique(), len(people))
            standing = self.unique()
            self.assertIsNone(self.until(lambda: self.unique() > standing + self.WINDOW, 0.5), "messages go out that no database knows of")
            self.cluster.start()
        self.account(cmp, people, in_doubt_max=2 * (1000 + self.WINDOW))
        self.assertEqual(self.gateway.process.pid, pid, "it was the same process all the time")
        self.assertTrue(self.until(lambda: self.metric("campgw_db_up") == 1))
        self.seals_verify()
        self.no_complaints()

    def test_replies_that_come_while_it_is_away_are_not_lost(self):
        person, *people = self.consenting(5)
        self.account(self.campaign([person, *people]), [person, *people])
        self.assertTrue(self.until(self.quiet))
        before = self.taken()
        self.cluster.stop("immediate")
        self.sim.ctl("mo wait=0 %s %s STOP" % (person.dest, harness.SENDER))
        self.assertIsNone(self.until(lambda: self.taken() > before, 0.5), "acknowledged before it was stored")
        self.cluster.start()
        self.assertTrue(self.until(lambda: self.is_forbidden(person), 40, 0.1), "the opt-out was lost")

    def taken(self):
        """Deliveries that the gateway answered with success."""
        return self.sim.stats()["ack_status"].get("0x00000000", 0)

    def is_forbidden(self, person):
        answer = self.api.ask("POST", "/api/v1/decisions", {"msisdn": person.msisdn, "channel": "sms"})
        return answer.status == 200 and answer.json["reason"] == "dnd.optout"

    def test_a_start_without_it_says_so_and_ends(self):
        self.gateway.stop()
        self.cluster.stop("immediate")
        done = subprocess.run(self.gateway.prefix + [self.programs.daemon, "-c", self.gateway.conf], cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=START_LIMIT_S, check=False)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("connection to server", done.stderr)
        self.assertIn(self.cluster.sockets, done.stderr, "it should name whom it asked")
        self.assertNotIn("daemon.ready", done.stderr)
        self.cluster.start()
        self.gateway.start()
        type(self).api.port = self.gateway.port
        people = self.consenting(3)
        self.account(self.campaign(people), people)


class MessageCentre(harness.Storm):
    WINDOW = 10
    # both longer than a machine pauses; and a link is found dead so long before the first answer is given up, and the window with it, that no pause swaps them
    instance = {"window": WINDOW, "bind_refused_ms": 200, "bind_timeout_ms": 600, "enquire_link_ms": 400, "enquire_timeout_ms": 4000, "response_timeout_ms": 8000}

    def setUp(self):
        super().setUp()
        self.addCleanup(self.heal)

    def heal(self):
        if not self.sim.process.pid:
            self.sim.start(port=self.settings["instances"][0]["port"])
        self.sim.set(refuse_bind=0, silent=0, pause_reading=0)
        self.sim.ctl("listen on")
        self.change_route(rate_per_s=None)
        self.assertTrue(self.is_up(), self.channel())

    def test_it_is_away_when_the_daemon_starts(self):
        self.gateway.stop()
        self.sim.stop()
        self.gateway.start()
        type(self).api.port = self.gateway.port
        people = self.consenting(30)
        cmp = self.campaign(people)
        self.waits_for_route(cmp)
        self.assertIn("refused", self.channel()["health"] + self.channel()["last_error"])
        self.sim.start(port=self.settings["instances"][0]["port"])
        self.account(cmp, people)

    def test_it_goes_away_in_the_middle(self):
        people = self.consenting(400)
        self.change_route(rate_per_s=RATE)
        cmp = self.campaign(people)
        self.goes(40)
        self.sim.ctl("listen off")
        self.sim.ctl("drop all")
        self.waits_for_route(cmp)
        before = self.unique()
        self.sim.ctl("listen on")
        self.goes(before + 1)
        self.change_route(rate_per_s=None)
        self.account(cmp, people, in_doubt_max=self.WINDOW)

    def test_it_refuses_the_bind(self):
        people = self.consenting(30)
        self.sim.set(refuse_bind="0x0e")
        self.sim.ctl("drop all")
        self.assertTrue(self.until(lambda: not self.channel()["up"]))
        cmp = self.campaign(people)
        self.waits_for_route(cmp)
        self.assertTrue(self.until(lambda: "0x0000000e" in (self.channel()["health"] + self.channel()["last_error"]).lower() or "password" in self.channel()["health"].lower()), self.channel())
        self.assertEqual(self.unique(), 0)
        self.sim.set(refuse_bind=0)
        self.account(cmp, people)

    def test_it_does_not_answer_the_bind(self):
        people = self.consenting(30)
        self.sim.ctl("silent on")
        self.sim.ctl("drop all")
        cmp = self.campaign(people)
        self.waits_for_route(cmp)
        self.sim.ctl("silent off")
        self.account(cmp, people)

    def test_it_falls_silent_in_the_middle(self):
        people = self.consenting(400)
        self.change_route(rate_per_s=RATE)
        cmp = self.campaign(people)
        self.goes(40)
        self.sim.ctl("silent on")
        self.waits_for_route(cmp)
        self.sim.ctl("silent off")
        # each connection that was made while it was silent ended at its bind: only the first one carried messages
        self.change_route(rate_per_s=None)
        self.account(cmp, people, in_doubt_max=self.WINDOW)

    def test_it_does_not_read(self):
        people = self.consenting(400)
        self.change_route(rate_per_s=RATE)
        cmp = self.campaign(people)
        self.goes(20)
        self.sim.ctl("pause-reading on")
        self.waits_for_route(cmp)
        self.sim.ctl("pause-reading off")
        self.change_route(rate_per_s=None)
        self.account(cmp, people, in_doubt_max=self.WINDOW)

    def test_it_sends_garbage(self):
        people = self.consenting(300)
        self.change_route(rate_per_s=60)
        pid = self.gateway.process.pid
        cmp = self.campaign(people)
        kinds = ("random", "short", "zero", "huge", "tlvs", "unknown", "no-nul", "stall")
        for i, kind in enumerate(kinds):
            self.goes(20 * (i + 1))
            self.assertTrue(self.until(lambda: any(s["state"] == "trx" for s in self.sim.ctl("sessions")["sessions"])), self.sim.ctl("sessions"))
            self.sim.ctl("garbage " + kind)
        self.account(cmp, people, in_doubt_max=self.WINDOW * len(kinds))
        self.assertEqual(self.gateway.process.pid, pid)


class Reload(harness.Field):
    def hup(self, log_level, word):
        self.gateway.configure({**self.settings, "log_level": log_level})
        before = self.log().count(word)
        self.gateway.process.signal(signal.SIGHUP)
        self.assertTrue(self.until(lambda: self.log().count(word) > before), word)

    def test_a_hangup_rereads_the_log_level_and_a_bad_configuration_leaves_the_former_one(self):
        pid, word = self.gateway.process.pid, "campgw_config_last_reload_successful"
        self.assertEqual(self.metric(word), 1)
        self.hup("debug", "event=config.reloaded log_level=debug")
        self.hup("loud", "event=config.reload.failed where=" + self.gateway.conf)
        self.assertEqual(self.metric(word), 0)
        self.assertRegex(self.log(), 'config.reload.failed where=[^ ]*:[0-9]+ msg="log_level must be one of error, warning, notice, info or debug"')
        self.hup("info", "event=config.reloaded log_level=info")
        self.assertEqual((self.metric(word), self.gateway.process.pid), (1, pid))


class Setup(harness.Field):
    """The installation is right (setUpClass runs it); each test damages one thing."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.gateway.stop()

    def start(self, settings=None, text=None):
        """(exit status, words) of a daemon that is expected to refuse."""
        if text is None:
            self.gateway.configure(settings or self.settings)
        else:
            stack.write_file(self.gateway.conf, text, self.gateway.who, 0o640)
        self.addCleanup(self.gateway.configure, self.settings)
        try:
            done = subprocess.run(self.gateway.prefix + [self.programs.daemon, "-c", self.gateway.conf], cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=START_LIMIT_S, check=False)
        except subprocess.TimeoutExpired as e:
            self.fail("it runs: %s" % (e.stderr or b"").decode()[-1000:])
        return done.returncode, done.stdout + done.stderr

    def refused(self, *words, settings=None, text=None):
        code, said = self.start(settings, text)
        self.assertEqual(code, 1, said)
        self.assertNotIn("daemon.ready", said)
        last = said.strip().splitlines()[-1]
        for word in words:
            self.assertIn(word, last)
        self.assertNotIn(stack.SMPP_PASSWORD, said)
        return last

    def at(self, needle):
        """file:line of the configuration as it is written now."""
        with open(self.gateway.conf, encoding="utf-8") as f:
            lines = [i for i, line in enumerate(f, 1) if needle in line]
        self.assertEqual(len(lines), 1, needle)
        return "%s:%d" % (self.gateway.conf, lines[0])

    def changed(self, path, value):
        """A copy of the good settings with one member set; path: names and list places."""
        def copy(v):
            return {k: copy(x) for k, x in v.items()} if isinstance(v, dict) else [copy(x) for x in v] if isinstance(v, list) else v
        doc = copy(self.settings)
        at = doc
        for step in path[:-1]:
            at = at[step]
        at[path[-1]] = value
        return doc

    def refused_at(self, path, value, *words):
        said = self.refused(*words, settings=self.changed(path, value))
        self.assertIn(self.at("%s = " % path[-1]), said)

    def test_an_unknown_key_is_refused_with_its_place_and_the_nearest_one(self):
        self.refused_at(("nodee",), "x", "unknown key nodee", "did you mean node?")
        self.refused_at(("api", "portt"), 1, "unknown key api.portt", "did you mean api.port?")
        self.refused_at(("instances", 0, "windoww"), 5, "smsc", "windoww", "did you mean window?")
        self.refused_at(("plugins", "laod"), ["x"], "plugins.laod", "did you mean load")

    def test_a_wrong_type_is_refused_with_what_would_be_right(self):
        self.refused_at(("log_level",), 7, "must be a text in quotes")
        self.refused_at(("log_level",), "loud", "log_level", "error, warning, notice, info or debug")
        self.refused_at(("api", "workers"), "four", "api.workers", "must be a whole number")
        self.refused_at(("api", "workers"), 65, "api.workers", "65 is outside 1..64 threads")
        self.refused_at(("instances", 0, "window"), "ten", "smsc", "window", "must be a number")
        self.refused_at(("instances", 0, "window"), 0, "smsc", "window", "1")
        self.refused_at(("instances", 0, "tls"), "perhaps", "smsc", "tls", "true or false")

    def test_text_that_is_no_configuration_is_refused_with_its_line(self):
        said = self.refused("syntax error", text='node = "a";\napi = { port = ; };\n')
        self.assertIn(self.gateway.conf + ":2", said)
        os.unlink(self.gateway.conf)
        done = subprocess.run(self.gateway.prefix + [self.programs.daemon, "-c", self.gateway.conf], cwd="/", capture_output=True, text=True, timeout=START_LIMIT_S, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("cannot read the configuration", done.stderr)
        self.assertIn(self.gateway.conf, done.stderr)

    def test_a_plugin_that_is_not_there_is_refused_by_name(self):
        self.refused("campaign_lottery.so", "No such file", settings=self.changed(("plugins", "load"), ["campaign_broadcast", "campaign_lottery"]))
        self.refused("channel_pigeon", "No such file", settings=self.changed(("instances", 0, "plugin"), "channel_pigeon"))
        self.refused("plugin", settings=self.changed(("instances", 0, "plugin"), "../channel_smpp"))

    def test_a_plugin_of_another_abi_is_refused_in_words(self):
        made = os.path.join(self.programs.build, "tests/fixtures/plugins/.libs/bad_major.so")
        if not os.path.exists(made):
            self.skipTest("tests/fixtures/plugins are not built: make check TESTS=")
        folder = os.path.join(self.dir, "plugins")
        os.makedirs(folder, exist_ok=True)
        for path in (made, *glob.glob(os.path.join(self.programs.plugins, "*.so"))):
            shutil.copy(path, folder)
            os.chmod(os.path.join(folder, os.path.basename(path)), 0o755)
        settings = self.changed(("plugins", "directory"), folder)
        settings["plugins"]["load"] = ["campaign_broadcast", "bad_major"]
        said = self.refused("bad_major.so", "ABI", settings=settings)
        self.assertIn("build", said, "it should say what to do")

    def credentials(self):
        """A copy of the folder of secrets that may be damaged, and settings that point to it."""
        folder = os.path.join(self.dir, "cred%d" % time.monotonic_ns())
        stack.make_dir(folder, self.gateway.who, 0o700)
        for path in glob.glob(os.path.join(self.gateway.credentials, "*")):
            with open(path, encoding="ascii") as f:
                stack.write_file(os.path.join(folder, os.path.basename(path)), f.read(), self.gateway.who, 0o600)
        settings = self.changed(("credentials",), folder)
        settings["plugins"]["credentials"] = folder
        return folder, settings

    def test_another_identity_key_is_refused(self):
        folder, settings = self.credentials()
        stack.write_file(os.path.join(folder, "identity.key"), "5a" * 32 + "\n", self.gateway.who, 0o600)
        said = self.refused("identity", settings=settings)
        self.assertNotIn("5a5a", said)
        stack.write_file(os.path.join(folder, "identity.key"), "5a5a\n", self.gateway.who, 0o600)
        self.refused("identity.key", "32 bytes in hex", settings=settings)
        self.assertEqual(self.number("SELECT count(*) FROM identity_check"), 1)

    def test_another_signing_key_is_refused(self):
        folder, settings = self.credentials()
        stack.write_file(os.path.join(folder, "sign.key"), "5a" * 64 + "\n", self.gateway.who, 0o600)
        self.refused("signing key", "public key of setup", settings=settings)

    def test_a_secret_that_is_missing_or_open_to_everybody_is_refused_by_file(self):
        for name in ("identity.key", "sign.key", "smsc.password"):
            folder, settings = self.credentials()
            path = os.path.join(folder, name)
            with self.subTest(missing=name):
                os.rename(path, path + ".away")
                self.refused(name, "No such file", settings=settings)
            with self.subTest(open=name):
                os.rename(path + ".away", path)
                os.chmod(path, 0o604)
                said = self.refused(name, settings=settings)
                self.assertTrue("0600" in said or "0640" in said, said)

    def test_the_word_list_must_be_there_and_whole(self):
        self.refused("optout.conf", settings=self.changed(("outcome", "optout"), os.path.join(self.dir, "no", "optout.conf")))
        path = os.path.join(self.dir, "optout-broken.conf")
        stack.write_file(path, 'sets = (\n  { locale = "en";\n    stopp = [ "STOP" ]; }\n);\n', self.gateway.who)
        self.refused(path + ":3", "stopp", settings=self.changed(("outcome", "optout"), path))

    def test_roles_that_could_change_the_log_are_refused(self):
        for role in ("campgw_owner", "postgres"):
            self.refused("role " + role, "connect as role campgw", settings=self.changed(("database", "conninfo"), self.cluster.conninfo(role)))

    def test_another_schema_is_refused_with_the_command(self):
        for shift, words in ((-1000, ("campgwctl db migrate",)), (1000, ("newer campgw",))):
            self.rows("UPDATE schema_migration SET version = version + %d" % shift)
            try:
                self.refused("schema", *words)
            finally:
                self.rows("UPDATE schema_migration SET version = version - %d" % shift)

    def test_what_is_refused_at_start_is_refused_by_the_check_too(self):
        self.gateway.configure(self.settings)
        code, said = self.gateway.check_config()
        self.assertEqual(code, 0, said)
        self.assertIn(self.gateway.conf + ": ok\n", said)
        self.addCleanup(self.gateway.configure, self.settings)
        for path, value, word in ((("nodee",), "x", "did you mean node?"), (("instances", 0, "windoww"), 5, "did you mean window?"), (("plugins", "load"), ["campaign_lottery"], "campaign_lottery")):
            self.gateway.configure(self.changed(path, value))
            code, said = self.gateway.check_config()
            self.assertEqual(code, 1, said)
            self.assertIn(word, said)


if __name__ == "__main__":
    unittest.main()
