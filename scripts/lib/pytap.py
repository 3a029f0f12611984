# SPDX-License-Identifier: Apache-2.0
"""pytap.py FILE [-k PART] - runs the unittest cases of one file and speaks TAP: one line per case, with its seconds."""
import importlib.util
import os
import signal
import sys
import time
import unittest


def cases(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from cases(item)
        else:
            yield item


class Tap(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.n, self.began, self.told = 0, 0.0, False

    def startTest(self, test):
        super().startTest(test)
        self.began, self.told = time.monotonic(), False

    def _line(self, ok, test, comment="", text=""):
        if self.told:  # a case speaks once: the first trouble counts
            return
        self.n, self.told = self.n + 1, True
        name = test.id().split(".", 1)[-1] if isinstance(test, unittest.TestCase) else str(test)
        print("%sok %d - %s  (%.2fs)%s" % ("" if ok else "not ", self.n, name, time.monotonic() - self.began, comment))
        for line in text.splitlines():
            print("# " + line)
        sys.stdout.flush()

    def addSuccess(self, test):
        super().addSuccess(test)
        self._line(True, test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._line(False, test, text=self.failures[-1][1])

    def addError(self, test, err):
        super().addError(test, err)
        if not isinstance(test, unittest.TestCase):  # setUpClass, setUpModule: no case began
            self.told, self.began = False, time.monotonic()
        self._line(False, test, text=self.errors[-1][1])

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err:
            self._line(False, test, text="%s\n%s" % (subtest, (self.failures or self.errors)[-1][1] if self.failures or self.errors else err[1]))

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        if not isinstance(test, unittest.TestCase):
            self.told, self.began = False, time.monotonic()
        self._line(True, test, " # SKIP " + reason)

    def addExpectedFailure(self, test, err):
        super().addExpectedFailure(test, err)
        self._line(True, test)

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self._line(False, test, text="was expected to fail")


def main():
    args = sys.argv[1:]
    if not args or len(args) not in (1, 3) or (len(args) == 3 and args[1] != "-k"):
        print(__doc__, file=sys.stderr)
        return 2
    path, part = os.path.abspath(args[0]), args[2] if len(args) == 3 else ""
    sys.path.insert(0, os.path.dirname(path))
    spec = importlib.util.spec_from_file_location(os.path.splitext(os.path.basename(path))[0], path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    chosen = [c for c in cases(unittest.defaultTestLoader.loadTestsFromModule(module)) if part in c.id()]
    print("TAP version 13", flush=True)
    result = Tap()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        unittest.TestSuite(chosen).run(result)
    finally:  # interrupted in a class: what it started has sessions of its own and would stay
        for c in chosen:
            type(c).doClassCleanups()
    print("1..%d" % result.n)  # behind the lines: a class that cannot be set up is one line for all its cases
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
