# SPDX-License-Identifier: Apache-2.0
"""test_crowd.py - too many, too slow or too large clients: whoever asks properly is answered all the same, and what the daemon holds stays bounded.

CAMPGW_LONG=1 (scripts/test --all) uploads 1 GB, otherwise 50 MB.
"""
import contextlib
import json
import os
import resource
import select
import socket
import threading
import time
import unittest

import harness
import stack

ALONE = "ten thousand connections"  # no other test beside it (scripts/lib/testrun.py)

IDLE = 10000
TIMEOUT_S = 4  # longer than a machine pauses: who asks properly is in time
UPLOAD_BYTES = 1 << 30 if os.environ.get("CAMPGW_LONG") else 50 << 20
CONNECTIONS = 512
CONNECTION_BYTES = 20 << 10  # 16 KiB of the library's pool, and what hangs on it


class Crowd(harness.Field):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.settings["api"].update(connections=CONNECTIONS, timeout_s=TIMEOUT_S)
        cls.gateway.configure(cls.settings)
        cls.restart()

    def connect(self, first=b""):
        s = socket.create_connection(("127.0.0.1", self.gateway.port), timeout=20)
        self.addCleanup(s.close)
        if first:
            s.sendall(first)
        return s

    def served(self):
        return self.api.ask("GET", "/api/v1/caps?limit=1", timeout_s=20).status == 200

    def anonymous_bytes(self):
        return stack.rss_anon(self.gateway.process.pid)

    def spool(self):
        """Bytes of uploads in progress, as the daemon counts them and as the kernel does."""
        text = self.api.ask("GET", "/metrics").body.decode()
        counted = next(float(line.split()[-1]) for line in text.splitlines() if line.startswith("campgw_http_spool_bytes"))
        fds, on_disk = "/proc/%d/fd" % self.gateway.process.pid, 0
        for fd in os.listdir(fds):
            with contextlib.suppress(OSError):
                path = os.path.join(fds, fd)
                if os.readlink(path).startswith(self.gateway.dir) and os.readlink(path).endswith("(deleted)"):
                    on_disk += os.stat(path).st_size
        return int(counted), on_disk


class Connections(Crowd):
    def test_ten_thousand_idle_ones_keep_nobody_out(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard != resource.RLIM_INFINITY and hard < IDLE + 200:
            self.skipTest("this process may open only %d files" % hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, IDLE + 200), hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        before = self.anonymous_bytes()
        idle = []
        for i in range(IDLE):
            idle.append(self.connect())
            if i % 250 == 0:
                self.assertTrue(self.served(), "nobody is served beside %d idle connections" % i)
        self.assertTrue(self.served())
        grown = self.anonymous_bytes() - before
        files = len(os.listdir("/proc/%d/fd" % self.gateway.process.pid))
        print("# %d connections: %d bytes more, %d descriptors" % (IDLE, grown, files), flush=True)
        self.memory_below(grown, CONNECTIONS * CONNECTION_BYTES + (8 << 20))
        self.assertLess(files, CONNECTIONS + 100)
        for s in idle[:100]:
            head, _, body = s.recv(2000).partition(b"\r\n\r\n")
            self.assertIn(b" 503 ", head)
            self.assertIn(b"Retry-After:", head)
            self.assertEqual(json.loads(body)["type"], "/problems/overloaded")

    def drip(self, request, n):
        """n clients that send their request a byte at a time; whether all of them were cut, and what the last one was told."""
        clients, said, end = {self.connect(request[:20]): 20 for _ in range(n)}, b"", time.monotonic() + 12 * TIMEOUT_S
        while clients and time.monotonic() < end:
            readable, _, _ = select.select(list(clients), [], [], 0.25)
            for s in readable:
                with contextlib.suppress(OSError):
                    said = s.recv(2000) or said
                del clients[s]
            for s, at in list(clients.items()):
                with contextlib.suppress(OSError):
                    s.send(request[at:at + 1])
                clients[s] = at + 1
            self.assertTrue(self.served(), "%d slow clients keep others out" % len(clients))
        return not clients, said

    def test_heads_that_come_a_byte_at_a_time_are_ended(self):
        ended, said = self.drip(b"GET /api/v1/caps HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 4000, CONNECTIONS + 100)
        self.assertTrue(ended, "slow clients stay for ever")
        self.assertIn(b" 408 ", said)

    def test_bodies_that_come_a_byte_at_a_time_are_ended(self):
        head = "POST /api/v1/caps HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: 4000\r\n\r\n" % self.api.key
        clients = [self.connect(head.encode()) for _ in range(50)]
        end = time.monotonic() + 10 * TIMEOUT_S
        while clients and time.monotonic() < end:
            readable, _, _ = select.select(clients, [], [], 0.25)
            clients = [s for s in clients if s not in readable]
            for s in clients:
                with contextlib.suppress(OSError):
                    s.send(b" ")
            self.assertTrue(self.served())
        self.assertEqual(clients, [], "slow clients stay for ever")


class Uploads(Crowd):
    HEAD = b"msisdn,a,b,c,d\n"
    NOTE = (b"," + b"n" * 250) * 4 + b"\n"

    def body(self, stop=None):
        """About UPLOAD_BYTES of CSV in pieces; stop() true: it breaks off."""
        yield self.HEAD
        n = UPLOAD_BYTES // (14 + len(self.NOTE))
        for at in range(0, n, 100):
            if stop and stop(at):
                return
            yield b"".join(b"+86138%08d" % i + self.NOTE for i in range(at, min(n, at + 100)))

    def audience_path(self):
        return "/api/v1/audiences/" + self.api.post("/api/v1/audiences", {"name": "a%d" % time.monotonic_ns()})["id"]

    def test_a_large_one_needs_no_memory_and_an_aborted_one_leaves_nothing(self):
        whole = self.audience_path()
        before, peak, done = self.anonymous_bytes(), [0], threading.Event()

        def watch():
            while not done.wait(0.05):
                peak[0] = max(peak[0], self.anonymous_bytes())
        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            answer = self.api.ask("PUT", whole + "/recipients", body=self.body(), media="text/csv", timeout_s=800)
        finally:
            done.set()
            watcher.join()
        self.assertEqual((answer.status, answer.json.get("accepted")), (200, UPLOAD_BYTES // (14 + len(self.NOTE))), answer)
        print("# upload of %d bytes: peak of anonymous memory %d bytes above %d" % (UPLOAD_BYTES, peak[0] - before, before), flush=True)
        self.memory_below(peak[0] - before, 64 << 20)
        self.assertEqual(self.spool(), (0, 0))

        broken = self.audience_path()
        s = self.connect(("PUT %s/recipients HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: text/csv\r\nContent-Length: %d\r\n\r\n" % (broken, self.api.key, UPLOAD_BYTES)).encode())
        for piece in self.body(lambda at: at > 10000):
            s.sendall(piece)
        self.assertTrue(self.until(lambda: self.spool()[1] > 1 << 20), "it has not begun: %s" % (self.spool(),))
        s.close()
        self.assertTrue(self.until(lambda: self.spool() == (0, 0)), "an aborted upload leaves something: %s" % (self.spool(),))
        self.assertEqual(self.api.get(broken)["state"], "empty")
        self.assertEqual(self.number("SELECT count(*) FROM recipient_set"), 1)


if __name__ == "__main__":
    unittest.main()
