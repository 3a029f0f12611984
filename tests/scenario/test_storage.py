# SPDX-License-Identifier: Apache-2.0
"""test_storage.py - the database may not write: read-only, or its disk is full; or the disk of uploads is. Dispatch stops, the log says so once,
/ready says why, and when it is over everything goes on by itself: nobody is lost, nobody gets anything twice.

A full disk is a small tmpfs in a mount namespace of this program: only root can have one, others skip.
"""
import contextlib
import ctypes
import os
import subprocess
import unittest

import harness
import stack

ALONE = "disks run full"  # no other test beside it (scripts/lib/testrun.py)

RATE = 150
WINDOW = 20
CLONE_NEWNS = 0x00020000


def own_mounts():
    """A mount namespace of our own, inherited by all we start, gone with us; why not, else None."""
    if os.geteuid() != 0:
        return "only root can mount a small file system"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) != 0:
        return "no mount namespace: " + os.strerror(ctypes.get_errno())
    done = subprocess.run(["mount", "--make-rprivate", "/"], capture_output=True, text=True, check=False)
    return done.stderr.strip() if done.returncode else None


class Small:
    """A file system of so many MiB, owned by the servers' account, and a ballast that fills it."""

    def __init__(self, path, mib, who):
        os.makedirs(path)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%dm,mode=0700,uid=%d,gid=%d" % (mib, who.pw_uid, who.pw_gid), "tmpfs", path], check=True, timeout=20)
        self.path, self.ballast = path, os.path.join(path, "ballast")

    def fill(self):
        """To the last byte: who writes at the same time gets none either."""
        with open(self.ballast, "wb", buffering=0) as f, contextlib.suppress(OSError):
            while f.write(b"\0" * 65536):
                pass

    def free(self):
        if os.path.exists(self.ballast):
            os.unlink(self.ballast)

    def unmount(self):
        subprocess.run(["umount", "-l", self.path], check=False, timeout=20)


class Storage(harness.Field):
    instance = {"window": WINDOW}
    SAID = 1  # so often at most: that it cannot write

    def setUp(self):
        self.sim.ctl("reset")
        self.change_route(rate_per_s=RATE)

    def unique(self):
        return self.sim.stats()["messages"]["unique"]

    def reasons(self):
        answer = self.api.ask("GET", "/ready")
        return "" if answer.status == 200 else " ".join(answer.json["reasons"])

    def stands_still(self):
        """Nothing new for a second. (On a full disk the last pages may still take a few results, and with them messages go on.)"""
        before = self.unique()
        return self.until(lambda: self.unique() > before, 1, 0.1) is None

    def logged(self, since, word):
        return [line for line in self.log()[since:].splitlines() if word in line and " event=http." not in line]

    def half_way_then(self, people, break_it, mend_it, why):
        """A campaign is running when it breaks; it stands still, says why, is mended, and ends as if nothing had been."""
        self.consent(people)
        pid, since = self.gateway.process.pid, len(self.log())
        cmp = self.campaign(people)
        self.assertTrue(self.until(lambda: self.unique() > RATE // 2, 30), "it does not begin")
        break_it()
        try:
            self.assertTrue(self.until(lambda: why in self.reasons(), 30, 0.1), "/ready says: %r\n%s" % (self.reasons(), stack.tail(self.gateway.process.log_path, 10)))
            self.assertTrue(self.until(self.stands_still, 30, 0), "messages go out whose results cannot be stored")
            self.assertLess(self.unique(), len(people))
            self.assertEqual(self.api.ask("GET", "/health").status, 200)
            change = self.api.ask("POST", "/api/v1/audiences", {"name": "while it cannot write"})
            self.while_broken(change)
            said = self.logged(since, "database.cannot_write")
            self.assertTrue(1 <= len(said) <= self.SAID, "said %d times" % len(said))
            self.assertIn(why, said[0])
            self.assertLess(len(self.log()[since:].splitlines()), 200, "the log is flooded")
        finally:
            mend_it()
        self.assertTrue(self.until(self.gateway.is_ready), self.reasons())
        funnel = self.complete(cmp, 180)
        n = len(people)
        self.assertEqual((funnel["held"], funnel["submitted"], funnel["delivered"] + funnel["unknown"]), ({}, n, n), funnel)
        self.assertEqual([m for m in self.sim.messages() if m.taken != 1], [], "somebody got it twice")
        self.assertEqual(self.reached(), self.keys(people))
        self.assertEqual(len(self.logged(since, "database.writes_again")), len(self.logged(since, "database.cannot_write")))
        self.assertEqual(self.gateway.process.pid, pid)
        self.seals_verify()
        self.no_complaints()

    def while_broken(self, change):
        self.assertEqual((change.status, change.slug), (503, "database-unavailable"), change)
        self.assertTrue(change.headers["Retry-After"])


class ReadOnly(Storage):
    def read_only(self, on):
        # through a session that may write: the setting it takes back binds itself
        self.cluster._run([os.path.join(self.cluster.bin, "psql"), "-qX", "-v", "ON_ERROR_STOP=1", "-c", "SET default_transaction_read_only = off",
                           "-c", "ALTER SYSTEM SET default_transaction_read_only = %s" % ("on" if on else "off"), "-c", "SELECT pg_reload_conf()", self.cluster.conninfo("postgres", "postgres")])

    def test_a_read_only_database_is_waited_for(self):
        self.half_way_then(self.people(600), lambda: self.read_only(True), lambda: self.read_only(False), "read-only")


class FullDisk(Storage):
    """The tables of the installation lie on the small file system; the log of transactions does not: PostgreSQL stays up and refuses statement by statement."""
    SAID = 12  # pages with room still take rows: it may seem to be over in between

    @classmethod
    def setUpClass(cls):
        why = own_mounts()
        if why:
            raise unittest.SkipTest(why)
        super().setUpClass()
        cls.gateway.stop()
        cls.disk = Small(os.path.join(cls.dir, "small"), 160, cls.gateway.who)
        cls.addClassCleanup(cls.disk.unmount)
        cls.cluster.sql("CREATE TABLESPACE small LOCATION '%s'" % cls.disk.path, database="postgres")
        cls.cluster.sql("ALTER DATABASE campgw SET TABLESPACE small", database="postgres")
        cls.gateway.start()
        cls.api.port = cls.gateway.port

    def test_a_full_disk_is_waited_for(self):
        self.half_way_then(self.people(4000), self.disk.fill, self.disk.free, "disk is full")

    def setUp(self):
        super().setUp()
        self.change_route(rate_per_s=400)

    def while_broken(self, change):
        self.assertIn(change.status, (201, 503), change)  # a page with room left still takes a row


class FullSpool(harness.Field):
    MIB = 8

    @classmethod
    def setUpClass(cls):
        why = own_mounts()
        if why:
            raise unittest.SkipTest(why)
        super().setUpClass()
        cls.disk = Small(os.path.join(cls.dir, "spool"), cls.MIB, cls.gateway.who)
        cls.addClassCleanup(cls.disk.unmount)
        cls.settings["api"]["spool_dir"] = cls.disk.path
        cls.gateway.configure(cls.settings)
        cls.restart()

    def used(self):
        s = os.statvfs(self.disk.path)
        return (s.f_blocks - s.f_bfree) * s.f_frsize

    def refused(self, body):
        path = "/api/v1/audiences/" + self.api.post("/api/v1/audiences", {"name": "full %d" % len(body)})["id"]
        before = self.used()
        answer = self.api.ask("PUT", path + "/recipients", body=body, media="text/csv")
        self.assertEqual((answer.status, answer.slug), (507, "no-space"), answer)
        self.assertRegex(answer.json["detail"], "[Rr]oom|disk .* is full")
        self.assertEqual(self.api.get(path)["state"], "empty")
        self.assertTrue(self.until(lambda: self.used() <= before), "%d bytes are left" % (self.used() - before))
        self.assertEqual(self.number("SELECT count(*) FROM recipient_set"), 0)
        return path

    def test_an_upload_that_does_not_fit_is_refused_and_leaves_nothing(self):
        people = self.people(30000)
        small = harness.csv(people[:100])
        whole = harness.csv(people)
        too_long = harness.csv(people) * (self.MIB * (1 << 20) // len(whole) + 1)
        self.refused(too_long)
        # its bytes fit, and there is no room for the rows in order beside them
        path = self.refused(whole * (self.MIB * (1 << 20) * 8 // 10 // len(whole)))
        self.assertEqual(self.api.ask("PUT", path + "/recipients", body=small, media="text/csv").json["accepted"], 100)


if __name__ == "__main__":
    unittest.main()
