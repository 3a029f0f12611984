# SPDX-License-Identifier: Apache-2.0
"""pauses.py - notes when the machine stands still: no core for a process that only wants to wake up, or a disk that does not make a page durable.

Bounds in tests are those of a machine that runs. What fails while it stood still has shown nothing, so scripts/test asks once more then, and says so.
"""
import os
import tempfile
import threading
import time

NOTED_S = 0.5


class Pauses:
    def __init__(self, folder="/tmp"):
        self.notes, self.steps, self.over = [], {}, threading.Event()
        self.file = tempfile.TemporaryFile(dir=folder)
        for what, step, every_s in (("core", lambda: None, 0.05), ("disk", self.durable, 0.5)):
            threading.Thread(target=self.watch, args=(what, step, every_s), daemon=True).start()

    def durable(self):
        os.pwrite(self.file.fileno(), b"x" * 4096, 0)
        os.fsync(self.file.fileno())

    def watch(self, what, step, every_s):
        while not self.over.is_set():
            due = time.monotonic() + every_s
            self.steps[what] = due
            time.sleep(every_s)
            step()
            if time.monotonic() - due >= NOTED_S:
                self.notes.append((due, time.monotonic() - due, what))

    def longest(self, since):
        """The longest one since that moment of time.monotonic(), one that goes on included: (seconds, "core" or "disk"); None when there was none."""
        now = time.monotonic()
        going_on = [(due, now - due, what) for what, due in list(self.steps.items()) if now - due >= NOTED_S]
        return max(((s, what) for due, s, what in self.notes + going_on if due + s >= since), default=None)

    def stop(self):
        self.over.set()
