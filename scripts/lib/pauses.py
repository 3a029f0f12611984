# SPDX-License-Identifier: Apache-2.0
"""pauses.py - notes when this machine stands still: no core for a process that only wants to wake up, or a disk that does not make a page durable.

Bounds in tests are those of a machine that runs. What fails while it stood still has shown nothing, so scripts/test asks once more then, and says so.
"""
import os
import tempfile
import threading
import time

NOTED_S = 1.0
MOST = 10000  # notes kept; the oldest go


class Pauses:
    def __init__(self, folder="/tmp"):
        self.notes, self.over = [], threading.Event()
        self.file = tempfile.TemporaryFile(dir=folder)
        for what, step, every_s in (("core", lambda: None, 0.05), ("disk", self.durable, 0.5)):
            threading.Thread(target=self.watch, args=(what, step, every_s), daemon=True).start()

    def durable(self):
        os.pwrite(self.file.fileno(), b"x" * 4096, 0)
        os.fsync(self.file.fileno())

    def watch(self, what, step, every_s):
        while not self.over.is_set():
            began = time.monotonic()
            time.sleep(every_s)
            step()
            late_s = time.monotonic() - began - every_s
            if late_s >= NOTED_S:
                self.notes = self.notes[-MOST:] + [(began, late_s, what)]

    def longest(self, since):
        """The longest one since that moment of time.monotonic(): (seconds, "core" or "disk"); None when there was none."""
        return max(((s, what) for began, s, what in self.notes if began + s >= since), default=None)

    def stop(self):
        self.over.set()
