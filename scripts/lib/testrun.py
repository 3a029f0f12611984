# SPDX-License-Identifier: Apache-2.0
"""testrun.py - the levels of scripts/test: finds programs, runs them, counts their TAP, tells the result.

A program that ends with another status than its TAP explains, that runs fewer tests than it planned, or that a source exists for but
nothing was built from, is a failure. Everything it starts is ended by process group; everything it writes is in BUILD/test.
"""
import argparse
import concurrent.futures
import contextlib
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import pauses
import stack

ROOT = stack.ROOT
LEVELS = ("style", "unit", "abi", "contract", "db", "scenario", "api", "crash", "fuzz", "docs", "lint", "sanitize", "dist")
QUICK = ("style", "unit", "abi", "contract", "fuzz")
DEFAULT = tuple(n for n in LEVELS if n not in ("lint", "sanitize", "dist"))
WHERE = {"unit": ("tests/unit/",), "abi": ("tests/abi/",), "contract": ("tests/contract/", "tests/sim/", "tests/voice/"), "fuzz": ("tests/fuzz/",)}
TIMEOUT_S = {"unit": 180, "abi": 60, "contract": 600, "fuzz": 300, "db": 300, "api": 600, "scenario": 900, "crash": 1800, "docs": 600, "dist": 1800, "style": 120, "lint": 3600}
CORES = max(1, len(os.sched_getaffinity(0)))
SIDE_BY_SIDE = 2  # files of tests with daemon and database at a time: their bounds are those of a machine that does something else as well, not of a crowd
LONG = ("tests/contract/plugin_", "tests/voice/")  # begin first: the last one would keep a core idle
SANITIZED_SLOWER, VALGRIND_SLOWER = 3, 10  # programs may take so many times as long
TAP_LINE = re.compile(r"^(not )?ok\b(?:\s+(\d+))?\s*-?\s*(.*)$")
SECONDS = re.compile(r"\s+\(([0-9.]+)s\)")
AGAIN_MAX = 6  # programs of a run that are asked once more, because the machine stood still while they failed
WHY_LINES = 4  # of what a failed case says: its exception, else the last ones
EXCEPTION = re.compile(r"^[\w.]*(Error|Failure|Wrong)\b.*:")
SKIP = re.compile(r"\s*#\s*SKIP\b:?\s*(.*)$", re.I)


class Case:
    def __init__(self, level, name, outcome, seconds=0.0, why="", log="", rerun=""):
        self.level, self.name, self.outcome, self.seconds, self.why, self.log, self.rerun = level, name, outcome, seconds, why, log, rerun


def judgement(why, line):
    """What a failed case says in short, with one more line of it."""
    if EXCEPTION.match(why):
        return why
    return line if EXCEPTION.match(line) else "\n".join((why.split("\n") + [line])[-WHY_LINES:]).strip()


class Skipped(Exception):
    """A level that cannot run here, and why."""


class Build:
    """A configured build directory, with a stage when it was installed."""

    def __init__(self, directory, stage):
        self.dir, self.stage = directory, stage

    def variable(self, name):
        return self.raw_variable(name).split()

    def raw_variable(self, name):
        # through the environment, so that make does not hand its value to a shell
        text = "include Makefile\nexport CGW_VALUE = $(%s)\ncgw-print:\n\t@printenv CGW_VALUE || true\n" % name
        done = subprocess.run(["make", "-s", "--no-print-directory", "-f", "-", "cgw-print"], cwd=self.dir, input=text, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise stack.StackError("cannot read the Makefile of %s: %s" % (self.dir, done.stderr.strip()[-500:]))
        return done.stdout.strip()

    def command(self, name, *options):
        """How `make check` runs this program: with its environment and its wrapper."""
        if not hasattr(self, "environment"):
            self.environment = self.raw_variable("AM_TESTS_ENVIRONMENT")
        path = self.path(name)
        wrapper = os.path.join(ROOT, "tests/run_one.sh")
        argv = (["sh", wrapper] if os.path.exists(wrapper) else []) + (["sh"] if name.endswith(".sh") else [sys.executable, "-B"] if name.endswith(".py") else []) + [path, *options]
        return ["sh", "-c", self.environment + ' exec "$@"', "sh", *argv]

    def has_criterion(self):
        return not self.raw_variable("NO_CRITERION")

    def tests(self, level):
        return [t for t in self.variable("TESTS") if t.startswith(WHERE[level])]

    def path(self, name):
        """Built, or as it stands in the source."""
        for base in (self.dir, ROOT):
            if os.path.exists(os.path.join(base, name)):
                return os.path.join(base, name)
        return None

    def env(self):
        p = stack.Programs(self.dir, self.stage)
        # srcdir: automake's `make check` sets it, and test scripts count on it
        return {"srcdir": ROOT, "CGW_SRCDIR": ROOT, "CGW_BUILDDIR": self.dir, "CRITERION_OUTPUTS": "tap:/dev/stdout", "CAMPGW_BUILD": self.dir, "CAMPGW_STAGE": self.stage,
                "CAMPGW_API_DAEMON": os.path.join(self.dir, "tests/api/apid_full"), "CAMPGW_PLUGIN_DIR": p.plugins, "CAMPGW_PLUGINS": p.plugins, "CAMPGWD": p.daemon, "CAMPGWCTL": p.ctl,
                "PYTHONDONTWRITEBYTECODE": "1"}


class Runner:
    def __init__(self, args, build):
        self.args, self.build = args, build
        self.out = os.path.join(build.dir, "test")
        self.cases, self.prefix, self.slower, self.model_env = [], "", 1, {}
        self.alive, self.ended = set(), False
        self.pauses, self.again, self.began = pauses.Pauses(), [], time.monotonic()
        shutil.rmtree(os.path.join(self.out, "logs"), ignore_errors=True)
        os.makedirs(os.path.join(self.out, "logs"), exist_ok=True)

    # ---- one program ----

    def launch(self, argv, log, timeout_s, env=None, cwd=None):
        """(status, text); status None = ran out of time. Everything in its session is ended with it."""
        # a pipe, because programs may open /dev/stdout again: on a file that is a second position, and lines overwrite each other
        child = subprocess.Popen(argv, cwd=cwd or self.build.dir, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
                                 env={**os.environ, **self.build.env(), **(env or {})})
        reader = threading.Thread(target=copy_out, args=(child.stdout, log), daemon=True)
        reader.start()
        self.alive.add(child)
        try:
            status = child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            self.end(child, politely=child.poll() is None)
            reader.join(10)
        with open(log, encoding="utf-8", errors="replace") as f:
            return status, f.read()

    def end(self, child, politely):
        """Its session may hold grandchildren; a program that cleans up gets the chance to."""
        for number in (signal.SIGTERM, signal.SIGKILL) if politely else (signal.SIGKILL,):
            try:
                os.killpg(child.pid, number)
            except (ProcessLookupError, PermissionError):
                break
            if number == signal.SIGTERM:
                try:
                    child.wait(20)
                except subprocess.TimeoutExpired:
                    pass
        child.wait()
        self.alive.discard(child)

    def log_path(self, level, name):
        return os.path.join(self.out, "logs", "%s%s.%s.log" % (self.prefix, level, re.sub(r"[^A-Za-z0-9_.-]", "_", name)))

    def rerun(self, level, name):
        words = ["scripts/test", level, "-k", name.split("  ")[0]]
        return " ".join("'%s'" % w if re.search(r"[^A-Za-z0-9_./:-]", w) else w for w in words)

    def program(self, level, name, argv, env=None, cwd=None, afresh=None):
        return self.judged(lambda: self.program_once(level, name, argv, env, cwd), afresh)

    def judged(self, ask, afresh=None):
        """Its cases. A failure while the machine stood still is no verdict: then it is asked once more. What a sanitizer finds is one at any time."""
        began = time.monotonic()
        cases = ask()
        failed = next((c for c in cases if c.outcome == "failed"), None)
        paused = failed and self.pauses.longest(began)
        if not paused or self.ended or self.slower > 1 or len(self.again) >= AGAIN_MAX:
            return cases
        self.again.append("%s, while the %s stood still for %.1f s: %s" % (failed.name, paused[1], paused[0], failed.why.replace("\n", " | ")))
        if os.path.exists(failed.log):
            os.replace(failed.log, failed.log + ".paused")
        if afresh:
            afresh()
        return ask()

    def program_once(self, level, name, argv, env, cwd):
        log = self.log_path(level, name)
        began = time.monotonic()
        timeout_s = TIMEOUT_S[level] * self.slower
        if self.slower > 1:
            env = {"CGW_TEST_TIMEOUT_S": str(timeout_s - 30), **(env or {})}
        status, text = self.launch(argv, log, timeout_s, env, cwd)
        took = time.monotonic() - began
        found, planned = self.read_tap(level, text, log, name)
        wanted = [c for c in found if not self.args.k or self.args.k in c.name]
        bad = any(c.outcome == "failed" for c in found)
        why = None
        if status is None:
            why = "ran out of time after %d s" % timeout_s
        elif status not in (0, 77) and not bad:
            why = "ended with status %d" % status if status >= 0 else "was ended by %s" % signal.Signals(-status).name
        elif planned is None and not found:
            why = None if status == 77 else "spoke no TAP"
        elif planned is not None and planned != len(found) and not self.args.k:
            why = "ran %d of %d tests" % (len(found), planned)
        if status == 77 and not found:
            wanted.append(Case(level, name, "skipped", took, text.strip().splitlines()[-1] if text.strip() else "exit 77", log))
        if why:
            wanted.append(Case(level, name, "failed", took, why, log, "scripts/test %s" % level))
        return wanted

    def read_tap(self, level, text, log, program):
        found, planned = [], None
        for line in text.splitlines():
            plan = re.match(r"^1\.\.(\d+)\s*(?:#\s*SKIP\b:?\s*(.*))?$", line, re.I)
            if plan:
                planned = int(plan[1])
                if plan[2] is not None and planned == 0:
                    found.append(Case(level, program, "skipped", 0, plan[2], log))
                    planned = 1
                continue
            m = TAP_LINE.match(line)
            if not m:
                if line.startswith("#") and found and found[-1].outcome == "failed" and line.strip("# "):
                    found[-1].why = judgement(found[-1].why, line[1:].strip()[:500])
                if line.startswith("Bail out!"):
                    found.append(Case(level, program, "failed", 0, line, log, self.rerun(level, program)))
                continue
            name = m[3]
            skip = SKIP.search(name)
            name = SKIP.sub("", name)
            took = SECONDS.search(name)
            name = SECONDS.sub("", name).strip() or "%s %s" % (program, m[2] or len(found) + 1)
            outcome = "failed" if m[1] else "skipped" if skip else "passed"
            found.append(Case(level, name, outcome, float(took[1]) if took else 0.0, skip[1] if skip else "", log, self.rerun(level, name)))
        return found, planned

    def together(self, jobs, most=CORES):
        """Jobs side by side, as many as there are cores; the cases in order."""
        with concurrent.futures.ThreadPoolExecutor(max_workers=min(CORES, most)) as pool:
            results = []
            try:
                results += [pool.submit(job) for job in jobs]
                for cases in [r.result() for r in results]:
                    self.cases += cases
            except KeyboardInterrupt:  # the pool would wait for those in hand, and run the others
                self.ended = True
                pool.shutdown(wait=False, cancel_futures=True)
                for child in list(self.alive):
                    self.end(child, politely=True)
                raise

    def make(self, targets, what):
        log = self.log_path("build", what)
        status, text = self.launch(["make", "-s", "-j%d" % CORES, *targets], log, 1800)
        if status:
            raise stack.StackError("building %s failed: %s" % (what, text.strip()[-800:]), log)

    # ---- levels ----

    def simple(self, name, argv, level="style", cwd=ROOT):
        """One case that is right when it exits with 0; 77 = cannot be judged here."""
        if self.args.k and self.args.k not in name:
            return []
        log, began = self.log_path(level, name), time.monotonic()
        status, text = self.launch(argv, log, TIMEOUT_S[level], cwd=cwd)
        took, lines = time.monotonic() - began, text.strip().splitlines()
        if status == 0:
            return [Case(level, name, "passed", took)]
        if status == 77:
            return [Case(level, name, "skipped", took, lines[-1] if lines else "", log)]
        return [Case(level, name, "failed", took, "%d lines, first: %s" % (len(lines), lines[0] if lines else "no word"), log, self.rerun(level, name))]

    def level_style(self):
        scripts = [p for p in source_files() if is_sh(p)]
        jobs = [lambda: self.simple("layers", ["scripts/check-layers.sh"]), lambda: self.simple("layers_find_breaches", ["scripts/check-layers.sh", "--self-test"]),
                lambda: self.simple("format", ["scripts/format.sh", "--check"]), lambda: self.simple("shell_syntax", ["sh", "-c", 'for f; do sh -n "$f" || exit 1; done', "sh", *scripts])]
        if shutil.which("shellcheck"):
            jobs.append(lambda: self.simple("shellcheck", ["shellcheck", "-x", "-S", "warning", "-e", "SC1087,SC1091,SC2154", *[s for s in scripts if "/build-aux/" not in s and "/template_" not in s]]))
        else:
            self.add("style", "shellcheck", "skipped", "shellcheck is not installed")
        jobs.append(lambda: self.simple("python_syntax", [sys.executable, "-c", "import sys\nfor p in sys.argv[1:]: compile(open(p, encoding='utf-8').read(), p, 'exec')",
                                                          *[p for p in source_files() if p.endswith(".py")]]))
        self.together(jobs)
        heads = [p for p in source_files() if p.endswith((".c", ".h", ".cc", ".def", ".sh", ".py", ".sql")) and "/build-aux/" not in p and "SPDX-License-Identifier" not in head(p)]
        self.add("style", "licence_heads", "failed" if heads else "passed", "no SPDX line: " + " ".join(heads[:5]))
        words = [p for p in source_files() if p.startswith(("core/", "plugins/", "sql/")) and re.search(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b *[:(]", text_of(p))]
        self.add("style", "nothing_left_to_do", "failed" if words else "passed", "unfinished: " + " ".join(words[:5]))

    def add(self, level, name, outcome, why=""):
        if not self.args.k or self.args.k in name:
            self.cases.append(Case(level, name, outcome, 0.0, why if outcome != "passed" else "", "", self.rerun(level, name)))

    def of_make_check(self, level):
        self.make(["check", "TESTS="], "check")
        names = sorted(self.build.tests(level), key=lambda n: not n.startswith(LONG))
        if not names:
            raise Skipped("this build has none" + (" (libcriterion-dev is not installed)" if level == "unit" else ""))

        def job(name):
            if not self.build.path(name):
                return [Case(level, name, "failed", 0, "was not built")]
            options = self.criterion_filter() if level == "unit" and not name.endswith((".sh", ".py")) else []
            return self.program(level, name, self.build.command(name, *options))
        self.together([lambda n=n: job(n) for n in names])
        built = {os.path.basename(n) for n in names}
        if level == "unit" and not self.args.k:
            for source in sorted(glob.glob(os.path.join(ROOT, "tests/unit/test_*.c"))):
                name = os.path.splitext(os.path.basename(source))[0]
                if name not in built:
                    self.add(level, name, "failed", "tests/unit/%s.c is not part of the build" % name)

    def criterion_filter(self):
        return ["--filter", "*%s*" % self.args.k.replace("::", "/")] if self.args.k else []

    def level_db(self):
        self.make(["check", "TESTS="], "check")
        names = [n for n in self.build.variable("check_PROGRAMS") if n.startswith("tests/db/")]
        sources = {os.path.splitext(os.path.basename(p))[0] for p in glob.glob(os.path.join(ROOT, "tests/db/test_*.c"))} if self.build.has_criterion() else set()
        for name in sorted(sources - {os.path.basename(n) for n in names}):
            self.add("db", name, "failed", "tests/db/%s.c is not part of the build" % name)
        if not names:
            raise Skipped("this build has none")
        names += sorted(os.path.relpath(p, ROOT) for p in glob.glob(os.path.join(ROOT, "tests/db/run_*.py")))
        with private("db", self.args.keep) as where:
            cluster = stack.Cluster(os.path.join(where, "pg"), durable=False)
            cluster.create()
            cluster.start()
            try:
                stack.Gateway(stack.Programs(self.build.dir, self.build.stage), os.path.join(where, "gw"), cluster, database="model").setup()
                def database(i):
                    cluster.sql("DROP DATABASE IF EXISTS t%d WITH (FORCE)" % i, database="postgres")
                    cluster.sql("CREATE DATABASE t%d TEMPLATE model" % i, database="postgres")
                for i, _ in enumerate(names):
                    database(i)

                def job(i, name):
                    argv = self.pytap(os.path.join(ROOT, name)) if name.endswith(".py") else self.build.command(name, *(self.criterion_filter() if "/test_" in name else []))
                    return self.program("db", name, argv, {"CAMPGW_TEST_DB": cluster.conninfo("campgw", "t%d" % i),
                                                           "CAMPGW_TEST_OWNER_DB": cluster.conninfo("campgw_owner", "t%d" % i)}, afresh=lambda: database(i))
                self.together([lambda i=i, n=n: job(i, n) for i, n in enumerate(names)])
            finally:
                cluster.stop("immediate")

    def python(self, level, pattern, but=()):
        files = [p for p in sorted(glob.glob(os.path.join(ROOT, pattern))) if os.path.basename(p) not in but]
        if not files:
            raise Skipped("no such tests")
        # they wait more than they work; what a sanitizer slows down, and what takes the machine or measures it, does so by itself
        alone = [p for p in files if self.prefix or self.args.all or re.search(r"^ALONE = ", text_of(os.path.relpath(p, ROOT)), re.M)]
        self.together([lambda p=p: self.python_file(level, p) for p in files if p not in alone], SIDE_BY_SIDE)
        self.together([lambda p=p: self.python_file(level, p) for p in alone], 1)

    def python_file(self, level, path):
        name = os.path.splitext(os.path.basename(path))[0]
        env = {"CAMPGW_TEST_KEEP": "1"} if self.args.keep else {}
        if name == "run_core":  # the infrastructure alone: it checks its own routes against its own fragments
            env["CAMPGW_API_DAEMON"] = os.path.join(self.build.dir, "tests/api/apid")
        if self.args.all:
            env["CAMPGW_LONG"] = "1"
            env["CAMPGW_CRASH_CONTACTS"] = os.environ.get("CAMPGW_CRASH_CONTACTS", "50000")
        return self.program(level, name, self.pytap(path), {**env, **self.model_env})

    def pytap(self, path):
        return [sys.executable, "-B", os.path.join(ROOT, "scripts/lib/pytap.py"), path] + (["-k", self.args.k] if self.args.k else [])

    def level_api(self):
        self.make(["check", "TESTS="], "check")
        self.python("api", "tests/api/run_*.py")

    @contextlib.contextmanager
    def model(self):
        """A cluster with the schema, stopped: each class of tests begins with a copy, which is a sixth of the work of making one."""
        with private("model", False) as where:
            cluster = stack.Cluster(os.path.join(where, "pg"))
            cluster.create()
            cluster.start()
            try:
                stack.Gateway(stack.Programs(self.build.dir, self.build.stage), os.path.join(where, "gw"), cluster).setup()
            finally:
                cluster.stop("fast")
            self.model_env = {"CAMPGW_TEST_MODEL": where}
            try:
                yield
            finally:
                self.model_env = {}

    def level_scenario(self):
        self.make(self.build.variable("check_LTLIBRARIES"), "fixtures")
        with self.model():
            self.python("scenario", "tests/scenario/test_*.py", but=("test_crash.py",))

    def level_crash(self):
        with self.model():
            self.python("crash", "tests/scenario/test_crash.py")
            if self.args.k in "crash_matrix" or "crash_matrix" in self.args.k:
                env = {"CAMPGW_TEST_KEEP": "1"} if self.args.keep else {}
                argv = [sys.executable, "-B", os.path.join(ROOT, "tests/scenario/crash_matrix.py"), "--rounds", "40" if self.args.all else "4"]
                self.cases += self.program("crash", "crash_matrix", argv, {**env, **self.model_env})

    def level_docs(self):
        pages = [p for p in source_files() if p.endswith(".md")]
        for page in pages:
            self.add("docs", "links of " + page, *links(page))
            self.add("docs", "tests named by " + page, *proofs(page))
        self.add("docs", "packages named by README.md", *packages())
        blocks = [(page, n, info, text) for page in pages for n, info, text in fenced(page)]
        for page, n, info, text in blocks:
            done = subprocess.run(["sh", "-n"], input=text, capture_output=True, text=True, timeout=30, check=False)
            if done.returncode:
                self.add("docs", "%s block %d" % (page, n), "failed", done.stderr.strip())
        with private("docs", self.args.keep) as where:
            env = {"CAMPGW_QUICKSTART_DIR": os.path.join(where, "q"), "CAMPGW_BUILD": self.build.dir}
            try:
                self.cases += self.timed("docs", "quickstart passes", ["scripts/quickstart", "--no-install"], env)
                self.cases += self.timed("docs", "quickstart passes again", ["scripts/quickstart", "--no-install"], env)
                port, key = (read(os.path.join(where, "q", n)) for n in ("gw/api.port", "key"))
                env.update({"CAMPGW_URL": "http://127.0.0.1:" + port, "CAMPGW_KEY": key, "CAMPGW_SOCKET": os.path.join(where, "q/gw/api.sock"),
                            "PATH": "%s:%s" % (os.path.join(where, "q/stage/usr/local/bin"), os.environ["PATH"])})
                for page, n, info, text in blocks:
                    if "test" in info:
                        self.cases += self.timed("docs", "%s block %d runs" % (page, n), ["sh", "-euc", text], env)
            finally:
                self.launch(["scripts/quickstart", "--reset"], self.log_path("docs", "reset"), 60, env, ROOT)

    def timed(self, level, name, argv, env):
        return self.judged(lambda: self.timed_once(level, name, argv, env))

    def timed_once(self, level, name, argv, env):
        if self.args.k and self.args.k not in name:
            return []
        log, began = self.log_path(level, name), time.monotonic()
        status, text = self.launch(argv, log, TIMEOUT_S[level], env, ROOT)
        why = "" if status == 0 else "status %s, last words: %s" % (status, (text.strip().splitlines() or [""])[-1])
        return [Case(level, name, "failed" if why else "passed", time.monotonic() - began, why, log, self.rerun(level, name))]

    def level_lint(self):
        """`make lint`, and all of it built by clang, a warning being an error (distcheck does the same with gcc)."""
        for name, variable, tools in (("clang_tidy", "CLANG_TIDY", ("clang-tidy-14", "clang-tidy")), ("cppcheck", "CPPCHECK", ("cppcheck",))):
            tool = next((t for t in tools if shutil.which(t)), None)
            if tool:
                self.cases += self.simple(name, ["make", "-s", "lint-" + name.replace("clang_", ""), "%s=%s" % (variable, tool)], "lint", self.build.dir)
            else:
                self.add("lint", name, "skipped", tools[-1] + " is not installed")
        if not shutil.which("clang++"):
            return self.add("lint", "clang_builds_it_without_a_warning", "skipped", "clang is not installed")
        directory = os.path.join(self.out, "clang")
        os.makedirs(directory, exist_ok=True)
        build = '[ -e config.status ] || "$0" --quiet CC=clang CXX=clang++ CFLAGS=-O0 CXXFLAGS=-O0 --enable-werror; exec make -s -j%d check TESTS=' % CORES
        self.cases += self.simple("clang_builds_it_without_a_warning", ["sh", "-ec", build, os.path.join(ROOT, "configure")], "lint", directory)

    def level_sanitize(self):
        """The same programs, built with sanitizers; two builds, because those of memory and of threads exclude each other."""
        self.sanitized("san", "address,undefined", [self.level_unit, self.level_abi, self.level_contract, self.level_db, self.level_api, self.level_scenario])
        whole = ("at_once", "four_channels", "isolated", "recall", "tasks")  # scenarios that between them run every thread there is
        self.sanitized("tsan", "thread", [self.level_contract, self.level_db, *[lambda n=n: self.python("api", "tests/api/run_%s.py" % n) for n in ("core", "people")],
                                          *[lambda n=n: self.python("scenario", "tests/scenario/test_%s.py" % n) for n in whole]])
        self.slower = VALGRIND_SLOWER
        self.cases += self.program("contract", "tests/contract/valgrind.sh", ["sh", os.path.join(ROOT, "tests/contract/valgrind.sh"), self.build.dir])
        self.slower = 1

    def sanitized(self, name, sanitizers, levels):
        plain, directory = self.build, os.path.join(self.out, name)
        os.makedirs(directory, exist_ok=True)
        self.build = Build(directory, plain.stage + "-" + name)
        try:
            if not os.path.exists(os.path.join(directory, "config.status")):
                status, text = self.launch([os.path.join(ROOT, "configure"), "--quiet", "--enable-sanitize=" + sanitizers], self.log_path("sanitize", name + "-configure"), 300)
                if status:
                    raise stack.StackError("configure failed: " + text.strip()[-500:])
            self.make(["all", "tests/sim/smscsim", "tests/sim/simctl", "tests/sim/mmscsim"], name)
            log = self.log_path("build", name + "-stage")
            if self.launch(["sh", "-c", 'ROOT=$1; . "$1/scripts/lib/common.sh"; cgw_stage "$2" "$3" "$4"', "sh", ROOT, directory, self.build.stage, log], log, 300)[0]:
                raise stack.StackError("installing failed", log)
            self.prefix, self.slower, mark = name + "-", SANITIZED_SLOWER, len(self.cases)
            for level in levels:
                try:
                    level()
                except Skipped as e:
                    self.add("sanitize", name, "skipped", str(e))
            for case in self.cases[mark:]:
                case.level, case.name, case.rerun = "sanitize", "%s: %s" % (name, case.name), case.rerun and "scripts/test sanitize -k '%s'" % case.name
        finally:
            if self.args.stage_is_temporary:
                shutil.rmtree(self.build.stage, ignore_errors=True)
            self.build, self.prefix, self.slower = plain, "", 1

    def level_dist(self):
        self.cases += self.simple("distcheck", ["make", "-s", "distcheck"], "dist", self.build.dir)

    # ---- the run ----

    def run(self, levels):
        for level in levels:
            mark, began, text = len(self.cases), time.monotonic(), ""
            try:
                getattr(self, "level_" + level)()
            except Skipped as e:
                self.cases.append(Case(level, level, "skipped", 0, str(e)))
            except (stack.StackError, OSError, subprocess.SubprocessError) as e:
                self.cases.append(Case(level, level, "failed", 0, str(e), getattr(e, "log", None) or "", "scripts/test " + level))
            if len(self.cases) == mark:
                continue
            text = "%-9s %4d passed %d failed %d skipped %.0f s" % (level, *self.count(self.cases[mark:]), time.monotonic() - began)
            print(text, flush=True)
            for case in self.cases[mark:]:
                if case.outcome == "skipped":
                    print("  skipped  %s: %s" % (case.name, case.why))
                elif case.outcome == "failed":
                    print("  FAILED   %s%s\n           log %s\n           again: %s" % (case.name, ": " + case.why.replace("\n", "\n           ") if case.why else "", case.log or "-", case.rerun or "scripts/test " + level))
            sys.stdout.flush()

    @staticmethod
    def count(cases):
        return tuple(sum(c.outcome == o for c in cases) for o in ("passed", "failed", "skipped"))

    def summary(self):
        slow = sorted((c for c in self.cases if c.seconds >= 0.1), key=lambda c: -c.seconds)[:self.args.slowest]
        if slow:
            print("slowest   " + "\n          ".join("%6.1f s  %s %s" % (c.seconds, c.level, c.name) for c in slow))
        for line in self.again:
            print("asked once more: " + line)
        paused = self.pauses.longest(self.began)
        if paused:
            print("the machine stood still for up to %.1f s (%s)" % paused)
        with open(os.path.join(self.out, "results.json"), "w", encoding="utf-8") as f:
            json.dump([vars(c) for c in self.cases], f, indent=1)
        print("%d passed, %d failed, %d skipped" % self.count(self.cases), flush=True)
        passed, failed, _ = self.count(self.cases)
        return 1 if failed or not passed else 0


def check_level(level):
    return lambda self: self.of_make_check(level)


for _level in WHERE:
    setattr(Runner, "level_" + _level, check_level(_level))


# ---- small helpers ----


def copy_out(pipe, path):
    with pipe, open(path, "wb") as f:
        shutil.copyfileobj(pipe, f)


class private:
    """A folder in /tmp that unprivileged servers can reach, gone afterwards."""

    def __init__(self, name, keep):
        self.name, self.keep = name, keep

    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix="cgw-%s." % self.name, dir="/tmp")
        os.chmod(self.path, 0o755)
        return self.path

    def __exit__(self, *_):
        if self.keep:
            print("kept: " + self.path, file=sys.stderr)
        else:
            shutil.rmtree(self.path, ignore_errors=True)


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read().strip()
    except OSError:
        return ""


def text_of(path):
    return read(os.path.join(ROOT, path))


def head(path):
    return text_of(path)[:400]


def source_files():
    """Tracked files, and in a tarball or before the first commit whatever lies there."""
    if not hasattr(source_files, "list"):
        done = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False) if os.path.exists(os.path.join(ROOT, ".git")) else None
        if done and done.returncode == 0:
            names = done.stdout.splitlines()
        else:
            names = [os.path.relpath(os.path.join(d, f), ROOT) for top in ("core", "plugins", "conf", "sql", "scripts", "tests", ".") for d, _, files in os.walk(os.path.join(ROOT, top)) for f in files
                     if top != "." or d == os.path.join(ROOT, ".")]
        source_files.list = sorted({n for n in names if os.path.isfile(os.path.join(ROOT, n)) and not n.startswith("build/")})
    return source_files.list


def is_sh(path):
    return path.endswith(".sh") or (("." not in os.path.basename(path) or path == ".ci/run") and text_of(path)[:40].startswith("#!/bin/sh"))


def fenced(page):
    """Shell blocks of a page: (number, info string, text). "```sh test" is a block that is run."""
    found, block, info = [], None, ""
    for line in text_of(page).splitlines():
        if block is None and re.match(r"^```(sh|console|bash)\b", line):
            block, info = [], line[3:].strip()
        elif block is not None and line.startswith("```"):
            if info.split()[0] != "console":
                found.append((len(found) + 1, info, "\n".join(block) + "\n"))
            block = None
        elif block is not None:
            block.append(line)
    return found


def links(page):
    """Do the relative links of a page lead somewhere, to a heading where they name one?"""
    text = re.sub(r"```.*?```|`[^`\n]*`", "", text_of(page), flags=re.S)
    bad = []
    for to, anchor in re.findall(r"\]\((?![a-z]+:)([^)\s#]*)#?([^)\s]*)\)", text):
        path = os.path.normpath(os.path.join(os.path.dirname(page), to)) if to else page
        if not os.path.exists(os.path.join(ROOT, path)) or (anchor and anchor not in headings(path)):
            bad.append(to + "#" * bool(anchor) + anchor)
    return ("failed", "leads nowhere: " + " ".join(bad)) if bad else ("passed", "")


def headings(page):
    """The anchors of a page: words of its headings, small, joined by hyphens."""
    text = re.sub(r"```.*?```", "", text_of(page), flags=re.S)
    return [re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in re.findall(r"^#+ (.+)$", text, re.M)]


def proofs(page):
    """Are the tests there that a page's tables name, in the columns where they do?"""
    there = "\n".join(p + "\n" + text_of(p) for p in source_files() if p.startswith(("tests/", "scripts/")) and p.endswith((".c", ".py", ".sh", ".mk")))
    column, bad = None, []
    for line in text_of(page).splitlines():
        cells = [c.strip() for c in line.split(" | ")]
        if not line.startswith("|"):
            column = None
        elif column is None:
            column = next((i for i, c in enumerate(cells) if c.strip("| ") in ("proved by", "test", "turns red")), -1)
        elif column >= 0:
            bad += [w for w in re.findall(r"`(\w+)", "".join(cells[column:column + 1])) if not re.search(r"\b(?:test_)?" + w, there)]
    return ("failed", "not there: " + " ".join(bad)) if bad else ("passed", "")


def packages():
    """Does README.md give each package that the scripts may install a reason, in one place?"""
    script = text_of("scripts/lib/common.sh")
    wanted = set(" ".join(re.findall(r"^cgw_packages_\w+='([^']*)'", script, re.M)).split()) | set(re.findall(r"^\techo (\S+)$", script, re.M))
    text = text_of("README.md").partition("\n## Dependencies\n")[2].partition("\n## ")[0]
    named = [name for cell in re.findall(r"^\| [^|]* \|([^|]*)\|", text, re.M) for name in re.findall(r"`([^`]+)`", cell)]
    bad = ["%s %s" % (name, "is missing" if name not in named else "stands there twice") for name in sorted(wanted) if named.count(name) != 1]
    bad += [name + " is installed by no script" for name in sorted(set(named) - wanted)]
    return ("failed", "; ".join(bad)) if bad or not wanted else ("passed", "")


def main():
    ap = argparse.ArgumentParser(prog="scripts/test", description="Runs the tests. Levels in order: " + " ".join(LEVELS))
    ap.add_argument("--quick", action="store_true", help="what needs no database and no daemon")
    ap.add_argument("--all", action="store_true", help="also linters, sanitizers, distcheck, the crash test with 50,000 contacts and 40 rounds of the crash matrix")
    ap.add_argument("-k", metavar="NAME", default="", help="only tests whose name contains this")
    ap.add_argument("--keep", action="store_true", help="keep databases and logs of the run")
    ap.add_argument("--slowest", metavar="N", type=int, default=10, help="how many of the slowest tests the end names (10)")
    ap.add_argument("--build", required=True, help=argparse.SUPPRESS)
    ap.add_argument("--stage", required=True, help=argparse.SUPPRESS)
    ap.add_argument("--stage-is-temporary", action="store_true", help=argparse.SUPPRESS)
    ap.add_argument("level", nargs="*", metavar="LEVEL")
    args = ap.parse_args()
    unknown = [n for n in args.level if n not in LEVELS]
    if unknown:
        ap.error("no level %s; there are: %s" % (" ".join(unknown), " ".join(LEVELS)))
    levels = [n for n in LEVELS if n in args.level] if args.level else LEVELS if args.all else QUICK if args.quick else DEFAULT
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    runner = Runner(args, Build(args.build, args.stage))
    try:
        runner.run(levels)
    except KeyboardInterrupt:
        for child in list(runner.alive):
            runner.end(child, politely=True)
        print("interrupted")
        runner.summary()
        return 130
    finally:
        if args.stage_is_temporary:
            shutil.rmtree(args.stage, ignore_errors=True)
    return runner.summary()


if __name__ == "__main__":
    sys.exit(main())
