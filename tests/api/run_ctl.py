#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""run_ctl.py - campgwctl as people and scripts use it: setup, exit codes, --json, errors, completion, and that manual, configuration and
alerts name what there is. $CAMPGWCTL names the program; with $CAMPGWD (and $CAMPGW_PLUGINS, the directory of channel_loopback.so and
campaign_broadcast.so) a real gateway is started, without them its tests are skipped. $CGW_SRCDIR: the source."""
import glob
import gzip
import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import formats
import harness

CTL = os.environ.get("CAMPGWCTL")
CAMPGWD = os.environ.get("CAMPGWD")
PLUGINS = os.environ.get("CAMPGW_PLUGINS")
SRC = harness.ROOT
OK, FAILED, USAGE, NOT_FOUND, NOT_ALLOWED, CONFLICT, HELD, UNREACHABLE, INTERRUPTED = 0, 1, 2, 3, 4, 5, 6, 7, 130

cluster = None


def setUpModule():
    global cluster
    if not CTL:
        raise unittest.SkipTest("CAMPGWCTL is not set")
    cluster = harness.Cluster()


def tearDownModule():
    if cluster:
        Gateway.stop_all()
        cluster.stop()


def environment(**more):
    env = {k: v for k, v in os.environ.items() if not k.startswith("CAMPGW_") and k not in ("CREDENTIALS_DIRECTORY", "XDG_CONFIG_HOME")}
    env.update(HOME=os.path.join(cluster.dir, "home"), TZ="UTC", LC_ALL="C.UTF-8")
    env.update(more)
    return env


def ctl(*args, stdin=None, env=None, timeout=60):
    done = subprocess.run([CTL] + list(args), input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout, text=True,
                          env=env or environment())
    done.out, done.err = done.stdout, done.stderr
    return done


def fresh_dir(name):
    path = os.path.join(cluster.dir, name)
    shutil.rmtree(path, ignore_errors=True)
    return path


def server(user="postgres", dbname="postgres"):
    return "host=%s user=%s dbname=%s" % (cluster.sockets, user, dbname)


def setup(conf, dbname, *more):
    return ctl("setup", "--database", server(), "--dbname", dbname, "--conf-dir", conf, "--sql", os.path.join(SRC, "sql"), "--examples", os.path.join(SRC, "conf"), *more)


class Gateway:
    """A real campgwd with a loopback channel, set up by campgwctl setup."""

    one = None

    def __init__(self):
        self.conf = fresh_dir("gw")
        done = setup(self.conf, "gw", "--api-socket", os.path.join(cluster.dir, "gw.sock"), "--port", "0")
        if done.returncode:
            raise RuntimeError(done.err)
        self.socket, self.port_file = os.path.join(cluster.dir, "gw.sock"), os.path.join(cluster.dir, "gw.port")
        path = os.path.join(self.conf, "campgw.conf")
        with open(path, encoding="utf-8") as f:
            text = f.read()
        text = text[:text.index("plugins: {")] + 'plugins: { directory = "%s"; load = [ "campaign_broadcast" ]; };\n' % PLUGINS
        text += 'instances = ( { name = "loop"; plugin = "channel_loopback"; delay_ms = 5; } );\n'
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        with open(os.path.join(cluster.dir, "gw.log"), "wb") as log:
            self.process = subprocess.Popen([CAMPGWD, "-c", path, "--port-file", self.port_file], stdout=log, stderr=log)
        harness.wait_for("the gateway listens", lambda: os.path.exists(self.port_file) or self.process.poll() is not None)
        if self.process.poll() is not None:
            with open(os.path.join(cluster.dir, "gw.log"), encoding="utf-8") as log:
                raise RuntimeError("campgwd ended: " + log.read()[-2000:])
        with open(self.port_file, encoding="utf-8") as f:
            self.url = "http://127.0.0.1:%d" % int(f.read())
        harness.wait_for("the gateway is ready", lambda: self("status").returncode == OK)

    @classmethod
    def get(cls):
        if not CAMPGWD or not PLUGINS:
            raise unittest.SkipTest("CAMPGWD or CAMPGW_PLUGINS is not set")
        if not cls.one:
            cls.one = cls()
        return cls.one

    @classmethod
    def stop_all(cls):
        if cls.one:
            cls.one.process.send_signal(signal.SIGTERM)
            try:
                cls.one.process.wait(30)
            except subprocess.TimeoutExpired:
                cls.one.process.kill()
                cls.one.process.wait()
            cls.one = None

    def __call__(self, *args, **kw):
        return ctl("--socket", self.socket, *args, **kw)

    def doc(self, *args, code=OK, **kw):
        done = self(*args, "--json", **kw)
        if done.returncode != code:
            raise AssertionError("%s: %d\n%s%s" % (" ".join(args), done.returncode, done.out, done.err))
        return json.loads(done.out)


class Words(unittest.TestCase):
    """Parsing, help, completion: no gateway."""

    def test_usage_faults_exit_2_and_say_what_to_type(self):
        for args, word in (((), "usage"), (("campain",), "did you mean campaign"), (("campaign", "strat"), "did you mean start"), (("campaign",), "usage"),
                           (("key", "create"), "--name"), (("key", "create", "--nam", "x"), "unknown option"), (("route", "list", "x"), "unexpected"),
                           (("campaign", "show"), "CAMPAIGN"), (("contact", "list"), "--customer"), (("audience", "upload", "x", "--channels", "fax"), "sms|mms"),
                           (("route", "list", "--limit", "many"), "whole number"), (("cap", "set", "x", "--max", "-1"), "whole number"),
                           (("setup", "--dry-run"), "--dry-run"), (("setup", "--dbname", "a;b"), "--dbname"), (("-s", "ftp://x", "status"), "URL")):
            done = ctl(*args)
            self.assertEqual(done.returncode, USAGE, (args, done.err))
            self.assertIn(word, done.err, args)
            self.assertEqual(done.out, "", args)

    def test_help_of_every_command_exits_0(self):
        for line in ctl("__commands").out.splitlines():
            done = ctl(*line.split(), "--help")
            self.assertEqual(done.returncode, OK, line)
            self.assertIn("usage: campgwctl [options] " + line, done.out)

    def test_completes_nouns_verbs_options_and_choices(self):
        self.assertEqual(ctl("__complete", "camp").out.split(), ["campaign"])
        self.assertEqual(sorted(ctl("__complete", "campaign", "s").out.split()), ["schedule", "show", "start"])
        self.assertIn("--expect-max", ctl("__complete", "campaign", "start", "--").out.split())
        self.assertEqual(ctl("__complete", "customer", "why", "--channel", "v").out.split(), ["voice"])

    def test_an_unreachable_gateway_exits_7_and_says_where(self):
        for args in (("--socket", "/nonexistent/api.sock"), ("-s", "http://127.0.0.1:1")):
            done = ctl(*args, "route", "list")
            self.assertEqual(done.returncode, UNREACHABLE, done.err)
            self.assertIn(args[1], done.err)
            self.assertIn("next:", done.err)
            answer = json.loads(ctl(*args, "route", "list", "--json").out)
            self.assertEqual(answer["exit"], UNREACHABLE)

    def test_a_key_file_that_everybody_may_read_is_refused(self):
        path = os.path.join(cluster.dir, "open.key")
        with open(path, "w", encoding="utf-8") as f:
            f.write("cgk_x\n")
        os.chmod(path, 0o644)
        done = ctl("-s", "http://127.0.0.1:1", "--key-file", path, "route", "list")
        self.assertEqual(done.returncode, NOT_ALLOWED, done.err)
        self.assertIn("chmod 600", done.err)


class Files(unittest.TestCase):
    """What stands beside the program says the same as the program."""

    def read(self, *path):
        with open(os.path.join(SRC, *path), encoding="utf-8") as f:
            return f.read()

    def test_every_command_and_option_has_its_place_in_the_manual(self):
        page = self.read("core/ctl/man/campgwctl.1")
        commands = ctl("__commands").out.splitlines()
        sections = re.findall(r"^\.Ss (.*)$", page, re.M)
        self.assertEqual(sections, commands)
        parts = dict(zip(sections, re.split(r"^\.Ss .*$", page, flags=re.M)[1:]))
        for command in commands:
            own = ctl(*command.split(), "--help").out.split("options of every command")[0]
            for option in re.findall(r"^ +(?:-\w, )?--([a-z][a-z-]+)", own, re.M):
                if option not in ("limit", "all", "watch"):
                    self.assertRegex(parts[command], r"\.It .*Fl -%s\b" % option, command)

    def test_manual_pages_pass_the_linter(self):
        if not shutil.which("mandoc"):
            self.skipTest("mandoc is not installed")
        for page in sorted(glob.glob(os.path.join(SRC, "core/ctl/man/*.[1578]"))):
            out = subprocess.run(["mandoc", "-T", "lint", page], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=30).stdout
            faults = [line for line in out.splitlines() if "referenced manual not found" not in line]
            self.assertEqual(faults, [])

    def keys(self):
        return re.findall(r'^    [SI]\("([\w.]+)"', self.read("core/config/config.c"), re.M)

    def test_configuration_manual_and_readme_have_every_key_and_no_other(self):
        text, group, found = self.read("conf/campgw.conf"), "", []
        for line in text.splitlines():
            opened = re.match(r"(\w+): \{$", line)
            member = re.match(r"\s*(?:# )?(\w+) = [^;]*;$", line)
            if opened or line == "};":
                group = opened.group(1) + "." if opened else ""
            elif member and group != "plugins.":
                found.append(group + member.group(1))
        self.assertEqual(found, self.keys())
        page, readme = self.read("core/ctl/man/campgw.conf.5"), self.read("conf/README.md")
        self.assertEqual([k for k in re.findall(r"^\.It Ic ([\w.]+)$", page, re.M) if k not in ("directory", "credentials", "load")] ,
                         [k for k in self.keys() if k != "credentials"])
        self.assertEqual(re.findall(r"^\| `([\w.]+)` \| `[^|]*\| [^|]*\| (?:reload|restart) \|", readme, re.M), self.keys())

    def test_numbers_of_the_configuration_are_the_same_everywhere(self):
        code = re.findall(r'^    I\("([\w.]+)", \w+, (-?\d+), (-?\d+), (-?\d+), (?:NULL|"([^"]*)")', self.read("core/config/config.c"), re.M)
        self.assertGreater(len(code), 10)
        conf, page, readme = (self.read(p) for p in ("conf/campgw.conf", "core/ctl/man/campgw.conf.5", "conf/README.md"))
        for key, default, lo, hi, unit in code:
            between = "%s to %s" % (lo, hi)
            with self.subTest(key):
                self.assertIn("| `%s` | `%s` | %s |" % (key, default, " ".join(filter(None, (between, unit)))), readme)
                self.assertIn("From %s.\nDefault:\n.Li %s .\n" % (" ".join(filter(None, (between, unit))), default), page.split(".It Ic %s\n" % key)[1].split(".It ")[0])
                block = re.search(r"((?: *# .*\n)+) *# %s = %s;" % (key.split(".")[-1], default), conf)
                self.assertTrue(block, "campgw.conf has another default")
                self.assertRegex(block.group(1), between + r"\b")

    def test_the_service_is_shut_in(self):
        if not shutil.which("systemd-analyze"):
            self.skipTest("systemd-analyze is not installed")
        out = subprocess.run(["systemd-analyze", "security", "--offline=true", os.path.join(SRC, "conf/campgwd.service")], stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True, timeout=60).stdout
        score = re.search(r"exposure level for \S+: ([\d.]+)", out)
        self.assertTrue(score, out[-500:])
        self.assertLessEqual(float(score.group(1)), 2.0)


class Setup(unittest.TestCase):
    def test_setup_twice_changes_nothing_and_shows_the_key_once(self):
        conf = fresh_dir("s1")
        first = setup(conf, "s1")
        self.assertEqual(first.returncode, OK, first.err)
        key = re.search(r"^    ([0-9a-f]{64})$", first.out, re.M).group(1)
        with open(os.path.join(conf, "credentials", "identity.key"), encoding="utf-8") as f:
            self.assertEqual(f.read().strip(), key)
        for name, mode in (("identity.key", 0o600), ("sign.key", 0o600)):
            self.assertEqual(os.stat(os.path.join(conf, "credentials", name)).st_mode & 0o777, mode)
        again = setup(conf, "s1")
        self.assertEqual(again.returncode, OK, again.err)
        self.assertNotIn("created", again.err)
        self.assertNotIn(key, again.out + again.err)
        self.assertFalse(os.path.exists(os.path.join(conf, "campgw.conf.new")))

    def test_an_existing_configuration_is_kept_and_the_new_one_put_beside_it(self):
        conf = fresh_dir("s2")
        self.assertEqual(setup(conf, "s2").returncode, OK)
        path = os.path.join(conf, "campgw.conf")
        with open(path, "a", encoding="utf-8") as f:
            f.write("# mine\n")
        with open(path, encoding="utf-8") as f:
            mine = f.read()
        done = setup(conf, "s2", "--node", "gw \"2\"")
        self.assertEqual(done.returncode, OK, done.err)
        with open(path, encoding="utf-8") as f:
            self.assertEqual(f.read(), mine)
        with open(path + ".new", encoding="utf-8") as f:
            self.assertIn('node = "gw \\"2\\"";', f.read())

    def test_a_lost_identity_key_is_not_replaced(self):
        conf = fresh_dir("s3")
        self.assertEqual(setup(conf, "s3").returncode, OK)
        os.unlink(os.path.join(conf, "credentials", "identity.key"))
        done = setup(conf, "s3")
        self.assertEqual(done.returncode, CONFLICT, done.err)
        self.assertIn("identity.key", done.err)
        self.assertFalse(os.path.exists(os.path.join(conf, "credentials", "identity.key")))

    def test_a_wrong_identity_key_is_found_by_setup_check_and_doctor(self):
        conf = fresh_dir("s4")
        self.assertEqual(setup(conf, "s4").returncode, OK)
        with open(os.path.join(conf, "credentials", "identity.key"), "w", encoding="utf-8") as f:
            f.write("ab" * 32 + "\n")
        self.assertEqual(setup(conf, "s4").returncode, CONFLICT)
        config = os.path.join(conf, "campgw.conf")
        self.assertEqual(ctl("-c", config, "db", "check").returncode, CONFLICT)
        done = ctl("-c", config, "doctor", "--json", "--socket", "/nonexistent")
        self.assertEqual(done.returncode, FAILED)
        state = {c["check"]: c for c in json.loads(done.out)["checks"]}
        self.assertEqual(state["identity"]["state"], "fault")
        self.assertTrue(state["identity"]["fix"])
        self.assertEqual(state["schema"]["state"], "ok")

    def test_without_the_rights_it_says_what_a_superuser_has_to_type(self):
        conf = fresh_dir("s5")
        done = ctl("setup", "--database", server("campgw_audit"), "--conf-dir", conf, "--sql", os.path.join(SRC, "sql"))
        self.assertNotEqual(done.returncode, OK)
        self.assertIn("createdb -O campgw_owner", done.err)
        self.assertFalse(os.path.exists(conf))

    def test_migrate_twice_does_nothing_the_second_time(self):
        name = "m1"
        harness.run([os.path.join(cluster.bin, "psql"), "-qX", "-c", "CREATE DATABASE %s OWNER campgw_owner" % name, server()])
        sql = ("--sql", os.path.join(SRC, "sql"))
        first = ctl("db", "migrate", "--database", server("campgw_owner", name), *sql, "--json")
        self.assertEqual(first.returncode, OK, first.err)
        self.assertTrue(json.loads(first.out)["applied"])
        again = ctl("db", "migrate", "--database", server("campgw_owner", name), *sql, "--json")
        self.assertEqual(json.loads(again.out), {"schema": json.loads(first.out)["schema"], "applied": []})
        self.assertEqual(ctl("db", "check", "--database", server("campgw", name)).returncode, OK)
        self.assertEqual(ctl("db", "check", "--database", server("campgw_owner", name)).returncode, NOT_ALLOWED)

    def test_check_of_an_empty_database_names_the_command(self):
        done = ctl("db", "check", "--database", server("campgw"))
        self.assertEqual(done.returncode, CONFLICT)
        self.assertIn("campgwctl db migrate", done.err)

    def test_migrate_needs_the_owner(self):
        done = ctl("db", "migrate", "--database", server("campgw"), "--sql", os.path.join(SRC, "sql"))
        self.assertEqual(done.returncode, FAILED)
        self.assertIn("campgw_owner", done.err)


class WithGateway(unittest.TestCase):
    def setUp(self):
        self.gw = Gateway.get()

    def people(self, name, n, extra=""):
        path = os.path.join(cluster.dir, name)
        data = "msisdn,name\n" + "".join("+86138%08d,N%d\n" % (i, i) for i in range(n)) + extra
        with (gzip.open(path, "wt", encoding="utf-8") if name.endswith(".gz") else open(path, "w", encoding="utf-8")) as f:
            f.write(data)
        return path

    def route(self):
        if not any(r["name"] == "main" for r in self.gw.doc("route", "list")["data"]):
            self.gw.doc("route", "create", "main", "--instance", "loop", "--sender", "10690000")

    def campaign(self, name, n):
        self.route()
        audience = self.gw.doc("audience", "upload", self.people(name + ".csv", n), "--name", name)["id"]
        draft = {"name": name, "audience": audience, "class": "service", "waves": [{"channel": "sms", "content": {"text": "Hello {{name}}"}}]}
        return self.gw.doc("campaign", "create", "-f", "-", stdin=json.dumps(draft))["id"]

    def test_status_version_plugins_and_dispatch(self):
        status = self.gw.doc("status")
        self.assertTrue(status["ready"]["ready"])
        self.assertEqual(self.gw.doc("version")["gateway"]["name"], "campgw")
        self.assertEqual({p["name"] for p in self.gw.doc("plugin", "list")["data"]}, {"channel_loopback", "campaign_broadcast"})
        self.assertEqual(self.gw("plugin", "show", "nope").returncode, NOT_FOUND)
        self.assertEqual(self.gw.doc("dispatch", "pause")["state"], "paused")
        self.assertEqual(self.gw.doc("dispatch", "resume")["state"], "running")

    def test_upload_answers_counts_and_rejects_and_a_failed_one_leaves_nothing(self):
        doc = self.gw.doc("audience", "upload", self.people("up.csv.gz", 100, "junk,x\n+8613800000001,again\n"), "--region", "CN")
        self.assertEqual((doc["accepted"], doc["duplicate"], doc["invalid"]), (100, 1, 1))
        done = self.gw("audience", "rejects", "up", "--all", "--json")
        self.assertEqual({json.loads(line)["line"] for line in done.out.splitlines()}, {102, 103})
        bad = os.path.join(cluster.dir, "bad.csv")
        with open(bad, "w", encoding="utf-8") as f:
            f.write("a,b\n1,2\n")
        self.assertEqual(self.gw("audience", "upload", bad).returncode, FAILED)
        self.assertNotIn("bad", [a["name"] for a in self.gw.doc("audience", "list")["data"]])

    def test_a_campaign_from_draft_to_funnel(self):
        campaign = self.campaign("whole", 300)
        asked = self.gw("campaign", "start", campaign)
        self.assertEqual(asked.returncode, USAGE)
        self.assertIn("300 people", asked.err)
        done = self.gw("campaign", "start", "whole", "--yes", "--watch", "--json")
        self.assertEqual(done.returncode, OK, done.err)
        progress = [json.loads(line) for line in done.out.splitlines()]
        self.assertEqual((progress[-1]["state"], progress[-1]["done"]), ("completed", 300))
        funnel = self.gw.doc("campaign", "funnel", campaign, "--by", "wave")
        self.assertEqual((funnel["audience"], funnel["submitted"], funnel["delivered"]), (300, 300, 300))
        self.assertEqual(len(funnel["groups"]), 1)
        self.assertIn("submitted", self.gw("campaign", "funnel", campaign).out)
        again = self.gw("campaign", "cancel", campaign, "--yes")
        self.assertEqual(again.returncode, CONFLICT)
        out = os.path.join(cluster.dir, "export.csv")
        self.assertEqual(self.gw("contact", "export", "--campaign", campaign, "-o", out).returncode, OK)
        with open(out, encoding="utf-8") as f:
            text = f.read()
        self.assertEqual(text.count("\n"), 301)
        self.assertNotIn("+86138", text)
        contact = self.gw.doc("contact", "list", "--campaign", campaign, "--limit", "1")["data"][0]["id"]
        self.assertEqual(self.gw.doc("contact", "show", contact)["state"], "delivered")

    def test_start_is_refused_when_more_people_than_expected_would_be_reached(self):
        campaign = self.campaign("grown", 20)
        done = self.gw("campaign", "start", campaign, "--yes", "--expect-max", "19", "--json")
        self.assertEqual(done.returncode, CONFLICT)
        self.assertTrue(json.loads(done.out)["type"].endswith("/forecast-exceeded"))

    def test_an_interrupted_watch_exits_130_and_the_campaign_goes_on(self):
        campaign = self.campaign("watched", 50)
        self.assertEqual(self.gw("dispatch", "pause").returncode, OK)
        try:
            self.assertEqual(self.gw("campaign", "start", campaign, "--yes").returncode, OK)
            watch = subprocess.Popen([CTL, "--socket", self.gw.socket, "--json", "campaign", "watch", campaign], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())
            self.assertTrue(watch.stdout.readline())
            watch.send_signal(signal.SIGINT)
            _, err = watch.communicate(timeout=20)
            self.assertEqual(watch.returncode, INTERRUPTED)
            self.assertIn("campaign watch " + campaign, err)
        finally:
            self.assertEqual(self.gw("dispatch", "resume").returncode, OK)
        self.assertEqual(self.gw("campaign", "watch", campaign, "--timeout", "60").returncode, OK)

    def test_media_are_uploaded_listed_and_deleted(self):
        path = os.path.join(cluster.dir, "a photo.png")
        with open(path, "wb") as f:
            f.write(b"\x89PNG\r\n\x1a\n and more")
        media = self.gw.doc("media", "upload", path)
        self.assertEqual((media["type"], media["name"], media["in_use"]), ("image/png", "a_photo.png", False))
        self.assertEqual(self.gw.doc("media", "upload", path)["id"], media["id"])
        wrong = self.gw("media", "upload", path, "--type", "image/jpeg")
        self.assertEqual(wrong.returncode, FAILED)
        self.assertIn("image/png", wrong.err)
        self.assertIn(media["id"], self.gw("media", "list").out)
        self.assertEqual(self.gw.doc("media", "show", media["id"]), media)
        self.assertEqual(self.gw("media", "download", media["id"], "-o", path + ".back").returncode, OK)
        with open(path, "rb") as sent, open(path + ".back", "rb") as back:
            self.assertEqual(sent.read(), back.read())
        self.assertEqual(self.gw("media", "delete", "photo", "--yes").returncode, USAGE)
        self.assertEqual(self.gw.doc("media", "delete", media["id"], "--yes")["state"], "deleted")
        self.assertEqual(self.gw("media", "delete", media["id"], "--yes").returncode, 3)
        self.assertIn("Nobody", self.gw("campaign", "responses", self.campaign("unanswered", 1)).err + self.gw("campaign", "responses", "unanswered").out)
        self.assertIn("Nobody", self.gw("campaign", "answers", "unanswered").err)

    def test_a_partner_from_making_to_archiving(self):
        made = self.gw.doc("partner", "create", "Blue Shop", "--quota", "1000", "--rate", "none", "--zone", "Asia/Shanghai")
        self.assertEqual((made["quota_day"], made["rate_per_s"], made["zone"], made["archived"]), (1000, 0, "Asia/Shanghai", False))
        number = str(made["id"])
        self.assertEqual(self.gw.doc("partner", "show", "Blue Shop")["id"], made["id"])
        self.assertEqual(self.gw.doc("partner", "set", "Blue Shop", "--quota", "none", "--name", "Green Shop")["quota_day"], None)
        self.assertEqual(self.gw.doc("partner", "show", number)["name"], "Green Shop")
        self.assertIn("Green Shop", self.gw("partner", "list").out)
        self.assertIn(number, ctl("__complete", "--socket", self.gw.socket, "partner", "show", "").out.split())
        for args, code in ((("set", number), USAGE), (("set", number, "--quota", "many"), USAGE), (("create", "x", "--rate", "-1"), USAGE), (("archive", number), USAGE),
                           (("show", "nobody"), NOT_FOUND), (("show", "999999"), NOT_FOUND), (("create", "Green Shop"), CONFLICT), (("set", "0", "--rate", "1"), NOT_ALLOWED),
                           (("create", "x", "--zone", "Mars/Base"), FAILED)):
            done = self.gw("partner", *args)
            self.assertEqual(done.returncode, code, (args, done.err))
        path = os.path.join(cluster.dir, "partner.key")
        self.gw.doc("key", "create", "--name", "shop", "--scopes", "partners:read,settlements:read", "--partner", number, "--save", path)
        remote = ("-s", self.gw.url, "--key-file", path)
        self.assertEqual([p["name"] for p in json.loads(ctl(*remote, "partner", "list", "--json").out)["data"]], ["Green Shop"], "a partner sees itself")
        self.assertEqual(ctl(*remote, "partner", "set", number, "--rate", "1").returncode, NOT_ALLOWED)
        self.assertEqual(ctl(*remote, "settlement", "show").returncode, OK)
        self.assertEqual(ctl(*remote, "settlement", "show", "0").returncode, NOT_FOUND)
        self.assertEqual(self.gw.doc("partner", "archive", number, "--yes"), {"id": number, "state": "archived"})
        self.assertEqual(ctl(*remote, "partner", "list").returncode, NOT_ALLOWED, "its keys are revoked")

    def test_settlements_count_what_the_log_says_as_table_json_and_file(self):
        campaign = self.campaign("settled", 40)
        before = self.settled()
        self.assertEqual(self.gw("campaign", "start", campaign, "--yes", "--watch").returncode, OK)
        self.assertEqual(self.settled() - before, 40)
        self.assertRegex(self.gw("settlement", "show").out, r"(?m)^DAY +ROUTE +CHANNEL .*\n\S+ +main +sms ")
        out = os.path.join(cluster.dir, "settled.csv")
        self.assertEqual(self.gw("settlement", "show", "0", "-o", out).returncode, OK)
        with open(out, encoding="utf-8") as f:
            text = f.read()
        self.assertEqual(text, self.gw("settlement", "show", "--format", "csv").out)
        self.assertTrue(text.startswith("partner,day,route,name,channel,accepted,"), text)
        self.assertIn("Nothing", self.gw("settlement", "show", "--from", "2001-01-01", "--to", "2001-01-02").err)
        bad = self.gw("settlement", "show", "--from", "2001-01-01")
        self.assertEqual(bad.returncode, FAILED)
        self.assertIn("365 days", bad.err)
        self.assertEqual(self.gw("settlement", "show", "--format", "table", "-o", out + "2").returncode, USAGE)
        self.assertEqual(self.gw("settlement", "show", "-o", out + "2", "--zone", "Mars/Base").returncode, FAILED)
        self.assertEqual(glob.glob(out + "2*"), [], "what failed leaves no file")

    def settled(self):
        return sum(r["accepted"] for r in self.gw.doc("settlement", "show")["data"])

    def test_a_probe_is_set_shown_and_removed(self):
        self.route()
        needed = ("--to", "+8613800001111", "--at", "09:30", "--zone", "Asia/Shanghai")
        for args in (needed[:4] + ("--text", "x"), needed, needed + ("--text", "x", "-f", "-")):
            self.assertEqual(self.gw("probe", "set", "main", *args).returncode, USAGE, args)
        made = self.gw.doc("probe", "set", "main", *needed, "--text", "daily")
        self.assertEqual((made["at"], made["zone"], made["content"]), ("09:30", "Asia/Shanghai", {"text": "daily"}))
        self.assertNotIn("+8613800001111", json.dumps(made))
        self.assertEqual(self.gw.doc("probe", "set", "main", *needed, "-f", "-", stdin='{"text": "by file"}')["content"], {"text": "by file"})
        self.assertRegex(self.gw("probe", "list").out, r"(?m)^main +rte_\S+ +\S+ +09:30 +Asia/Shanghai ")
        shown = self.gw("probe", "show", "main")
        self.assertIn("by file", shown.out)
        self.assertEqual(self.gw("probe", "set", "main", "--to", "+8613800001111", "--at", "25:00", "--zone", "UTC", "--text", "x").returncode, FAILED)
        self.assertEqual(self.gw.doc("probe", "remove", "main"), None)
        self.assertIn("has no probe", self.gw("probe", "show", "main").err)
        self.assertEqual(self.gw("probe", "show", "nope").returncode, NOT_FOUND)

    def test_what_was_made_is_shown_changed_and_taken_away(self):
        self.route()
        self.assertEqual(self.gw.doc("route", "create", "spare", "--instance", "loop", "--rate", "5")["rate_per_s"], 5)
        self.assertEqual(self.gw("route", "set", "spare").returncode, USAGE)
        self.assertEqual(self.gw.doc("route", "set", "spare", "--rate", "7", "--name", "second")["rate_per_s"], 7)
        self.assertEqual((self.gw.doc("route", "show", "second")["rate_per_s"], self.gw("route", "show", "spare").returncode), (7, NOT_FOUND))
        self.gw.doc("cap", "set", "gone", "--max", "2", "--period", "day", "--zone", "UTC")
        self.gw.doc("calendar", "quiet", "gone", "--hours", "mon-sun=00:00-24:00", "--classes", "reply")
        draft = self.campaign("gone", 3)
        self.assertEqual(self.gw.doc("campaign", "change", "gone", "-f", "-", stdin='{"name": "changed"}')["name"], "changed")
        audience = self.gw.doc("campaign", "show", draft)["audience"]
        self.assertEqual(self.gw.doc("dnd", "create", "gone", "--channel", "email")["channel"], "email")
        self.assertEqual(self.gw("dnd", "create", "both", "--channel", "email", "--class", "reply").returncode, USAGE)
        self.gw.doc("dnd", "add", "+8613900000003", "--list", "gone")
        self.assertEqual(len(self.gw.doc("dnd", "entries", "gone")["data"]), 1)
        out = os.path.join(cluster.dir, "gone.ics")
        ics = self.gw.doc("calendar", "import", os.path.join(SRC, "conf/holidays/cn-2026.ics"), "--name", "out")["id"]
        self.assertEqual(self.gw("calendar", "export", "out", "-o", out).returncode, OK)
        with open(out, encoding="utf-8") as f:
            self.assertTrue(f.read().startswith("BEGIN:VCALENDAR"))
        for noun, verb, name in (("campaign", "delete", draft), ("audience", "archive", audience), ("route", "archive", "second"), ("cap", "delete", "gone"), ("calendar", "delete", "gone"),
                                 ("calendar", "delete", ics), ("dnd", "delete", "gone")):
            asked = self.gw(noun, verb, name)
            self.assertEqual((asked.returncode, "--yes" in asked.err), (USAGE, True), (noun, asked.err))
            self.assertEqual(self.gw.doc(noun, verb, name, "--yes")["state"], verb.rstrip("e") + "ed", noun)
        self.assertEqual(self.gw("campaign", "show", draft).returncode, NOT_FOUND)
        self.assertNotIn("gone", [x["name"] for noun in ("cap", "calendar", "dnd") for x in self.gw.doc(noun, "list")["data"]])

    def test_customers_are_uploaded_and_shown(self):
        done = self.gw("customer", "upload", self.people("customers.csv", 20, "junk,x\n"), "--json")
        self.assertEqual(done.returncode, FAILED, "one row was refused")
        self.assertEqual((json.loads(done.out)["created"] + json.loads(done.out)["updated"], json.loads(done.out)["invalid"]), (20, 1))
        self.assertEqual(self.gw("customer", "upload", "-", stdin="msisdn\n").returncode, USAGE)
        self.gw.doc("consent", "grant", "+8613800000007", "--source", "shop")
        shown = self.gw("customer", "show", "+8613800000007")
        self.assertIn("marketing", shown.out)
        self.assertNotIn("13800000007", shown.out)

    def test_a_rotated_key_is_another_one(self):
        old, new = os.path.join(cluster.dir, "old.key"), os.path.join(cluster.dir, "new.key")
        key = self.gw.doc("key", "create", "--name", "turned", "--scopes", "routes:read", "--save", old)["id"]
        self.assertEqual(self.gw("key", "rotate", "turned").returncode, USAGE)
        self.assertEqual(self.gw("key", "rotate", "turned", "--yes", "--save", old).returncode, FAILED)
        self.assertEqual(self.gw.doc("key", "rotate", "turned", "--yes", "--save", new)["id"], key)
        self.assertEqual([ctl("-s", self.gw.url, "--key-file", path, "route", "list").returncode for path in (old, new)], [NOT_ALLOWED, OK])

    def test_people_are_held_with_exit_6(self):
        number = "+8613900000001"
        self.assertEqual(self.gw("dnd", "check", number).returncode, OK)
        self.assertEqual(self.gw.doc("dnd", "add", number)["added"], 1)
        self.assertEqual(self.gw("dnd", "check", number).returncode, HELD)
        why = self.gw("customer", "why", number, "--class", "service")
        self.assertEqual(why.returncode, HELD, why.err)
        self.assertIn("dnd.optout", why.out)
        self.assertNotIn(number, why.out + why.err)
        self.assertEqual(self.gw("dnd", "remove", number).returncode, USAGE)
        self.assertEqual(self.gw.doc("dnd", "remove", number, "--yes")["removed"], 1)
        self.assertEqual(self.gw("customer", "why", number, "--class", "service").returncode, OK)
        self.assertEqual(self.gw("dnd", "add", "junk").returncode, FAILED)

    def test_consent_is_granted_withdrawn_and_shown(self):
        number = "+8613900000002"
        self.assertEqual(self.gw("consent", "grant", number).returncode, USAGE)
        self.assertEqual(self.gw.doc("consent", "grant", number, "--source", "shop", "--expires", "+30d")["granted"], 1)
        self.assertEqual(self.gw.doc("consent", "show", number)["data"][0]["state"], "granted")
        self.assertEqual(self.gw.doc("consent", "withdraw", number, "--source", "call")["withdrawn"], 1)
        self.assertEqual(len(self.gw.doc("consent", "show", number, "--history")["data"]), 2)

    def test_a_cap_is_made_changed_and_dry_run_changes_nothing(self):
        self.assertEqual(self.gw("cap", "set", "c1", "--max", "2").returncode, USAGE)
        self.assertEqual(self.gw.doc("cap", "set", "c1", "--max", "2", "--period", "month", "--zone", "Asia/Shanghai")["max"], 2)
        dry = self.gw("cap", "set", "c1", "--max", "9", "--dry-run")
        self.assertEqual(dry.returncode, OK)
        self.assertIn("PATCH /api/v1/caps/", dry.out)
        self.assertEqual(self.gw.doc("cap", "set", "c1", "--max", "none")["max"], None)
        self.assertEqual([c["name"] for c in self.gw.doc("cap", "list")["data"]].count("c1"), 1)

    def test_calendars_come_from_files_and_from_hours(self):
        ics = os.path.join(SRC, "conf/holidays/cn-2026.ics")
        first = self.gw.doc("calendar", "import", ics, "--region", "CN")
        self.assertEqual(self.gw.doc("calendar", "import", ics)["id"], first["id"])
        closed = self.gw.doc("calendar", "show", "cn-2026", "--month", "2026-10")["closed"]
        self.assertTrue(closed)
        self.assertEqual(self.gw("calendar", "show", "cn-2026", "--month", "October").returncode, USAGE)
        bad = os.path.join(cluster.dir, "bad.ics")
        with open(bad, "w", encoding="utf-8") as f:
            f.write("no calendar\n")
        self.assertEqual(self.gw("calendar", "import", bad).returncode, FAILED)
        self.assertNotIn("bad", [c["name"] for c in self.gw.doc("calendar", "list")["data"]])
        self.assertEqual(self.gw("calendar", "quiet", "q", "--hours", "mon-fri=9-20").returncode, USAGE)
        hours = self.gw.doc("calendar", "quiet", "q", "--hours", "fri-mon=09:00-20:00", "--region", "CN")["hours"]
        self.assertEqual(sorted(hours[0]["days"]), ["fri", "mon", "sat", "sun"])
        # out of the way of the other tests
        for calendar in self.gw.doc("calendar", "list")["data"]:
            conn = harness.UnixConnection(self.gw.socket)
            conn.request("DELETE", "/api/v1/calendars/" + calendar["id"])
            self.assertEqual(conn.getresponse().status, 204)
            conn.close()

    def test_keys_scopes_and_a_wrong_key(self):
        path = os.path.join(cluster.dir, "k.key")
        made = self.gw.doc("key", "create", "--name", "reader", "--scopes", "routes:read", "--save", path)
        self.assertNotIn("secret", made)
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        remote = ("-s", self.gw.url, "--key-file", path)
        self.assertEqual(ctl(*remote, "route", "list").returncode, OK)
        denied = ctl(*remote, "dnd", "list")
        self.assertEqual(denied.returncode, NOT_ALLOWED)
        self.assertIn("dnd-lists:read", denied.err)
        self.assertEqual(ctl("route", "list", env=environment(CAMPGW_SERVER=self.gw.url, CAMPGW_KEY="cgk_nonsense")).returncode, NOT_ALLOWED)
        self.assertEqual(ctl("-s", self.gw.url, "route", "list").returncode, NOT_ALLOWED)
        self.assertEqual(self.gw("key", "revoke", made["id"]).returncode, USAGE)
        self.assertEqual(self.gw("key", "revoke", made["id"], "--yes").returncode, OK)
        self.assertEqual(ctl(*remote, "route", "list").returncode, NOT_ALLOWED)

    def test_names_stand_for_ids_and_unknown_ones_exit_3(self):
        self.route()
        self.assertEqual(self.gw.doc("route", "pause", "main")["state"], "paused")
        self.assertEqual(self.gw.doc("route", "resume", "main")["state"], "active")
        self.assertTrue(self.gw.doc("queue", "pause", "main.bulk")["paused"])
        self.assertFalse(self.gw.doc("queue", "resume", "main.bulk")["paused"])
        for args in (("route", "pause", "nope"), ("campaign", "show", "cmp_00000000000000000000000000"), ("campaign", "show", "../../version")):
            self.assertEqual(self.gw(*args).returncode, NOT_FOUND, args)
        self.assertIn("rte_", ctl("__complete", "--socket", self.gw.socket, "route", "pause", "").out)

    def test_a_terminal_gets_a_question_and_no_color_is_honoured(self):
        self.gw.doc("key", "create", "--name", "asked", "--scopes", "routes:read")
        pid, fd = pty.fork()
        if pid == 0:
            os.execve(CTL, [CTL, "--socket", self.gw.socket, "key", "revoke", "asked"], environment(TERM="xterm", NO_COLOR="1"))
        seen, end = b"", time.monotonic() + 20
        while b"[y/N]" not in seen and time.monotonic() < end and select.select([fd], [], [], 20)[0]:
            seen += os.read(fd, 4096)
        os.write(fd, b"n\n")
        try:
            while select.select([fd], [], [], 20)[0]:
                piece = os.read(fd, 4096)
                if not piece:
                    break
                seen += piece
        except OSError:
            pass # the terminal's other side is gone
        _, status = os.waitpid(pid, 0)
        os.close(fd)
        self.assertEqual(os.waitstatus_to_exitcode(status), FAILED, seen)
        self.assertIn(b"Nothing was done", seen)
        self.assertNotIn(b"\033[3", seen)
        self.assertEqual([k["state"] for k in self.gw.doc("key", "list", "--limit", "500")["data"] if k["name"] == "asked"], ["active"])

    def test_alerts_and_dashboard_name_metrics_that_are_there(self):
        conn = harness.UnixConnection(self.gw.socket)
        conn.request("GET", "/metrics")
        text = conn.getresponse().read().decode()
        conn.close()
        there = set(re.findall(r"^# TYPE (\S+)", text, re.M))
        with open(os.path.join(SRC, "conf/prometheus-alerts.yml"), encoding="utf-8") as f:
            alerts = f.read()
        for alert in alerts.split("- alert: ")[1:]:
            self.assertRegex(alert, r'(?s)\n +summary: ".+"\n +action: ".+"', "an alert says what is wrong and what to do")
        wanted = set(re.findall(r"\b(?:campgw|process)_[a-z_]+(?:total|seconds|bytes|fds|up|successful|held|waiting|requests|bucket)\b", " ".join(re.findall(r"expr: (.*)", alerts))))
        with open(os.path.join(SRC, "conf/grafana-dashboard.json"), encoding="utf-8") as f:
            for panel in json.load(f)["panels"]:
                for target in panel.get("targets", []):
                    wanted |= set(re.findall(r"\b(?:campgw|process)_[a-z_]+\b", target["expr"]))
        wanted = {re.sub(r"_bucket$", "", name) for name in wanted}
        self.assertGreater(len(wanted), 10)
        self.assertEqual(wanted - there, set())

    def test_metrics_of_a_running_installation_keep_the_rules_of_the_format(self):
        conn = harness.UnixConnection(self.gw.socket)
        conn.request("GET", "/metrics")
        text = conn.getresponse().read().decode()
        conn.close()
        self.assertGreater(text.count("# TYPE "), 30)
        self.assertEqual((formats.exposition(text), formats.promtool(text)), ([], ""))

    def test_doctor_finds_no_fault_in_a_running_installation(self):
        done = ctl("-c", os.path.join(self.gw.conf, "campgw.conf"), "doctor", "--json", env=environment(CAMPGW_SOCKET=self.gw.socket))
        self.assertEqual(done.returncode, OK, done.out)
        self.assertEqual({c["state"] for c in json.loads(done.out)["checks"] if c["check"] in ("daemon", "plugins", "database", "role", "keys")}, {"ok"})


if __name__ == "__main__":
    unittest.main(verbosity=2)
