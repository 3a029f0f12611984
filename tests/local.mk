# SPDX-License-Identifier: Apache-2.0
# tests/local.mk - `make check`: needs no database and no root, talks to loopback only. Every test speaks TAP.
# Levels that need a database (tests/db, tests/api, tests/scenario) are built here and run by scripts/test.

TEST_EXTENSIONS = .sh .py
TAP_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) $(top_srcdir)/scripts/build-aux/tap-driver.sh
LOG_DRIVER = $(TAP_DRIVER)
SH_LOG_DRIVER = $(TAP_DRIVER)
PY_LOG_DRIVER = $(TAP_DRIVER)
# bounds each program in time and turns a leak that its framework overlooked into a failure
LOG_COMPILER = $(SHELL) $(top_srcdir)/tests/run_one.sh
SH_LOG_COMPILER = $(LOG_COMPILER) $(SHELL)
PY_LOG_COMPILER = $(LOG_COMPILER) $(PYTHON)
AM_TESTS_ENVIRONMENT = \
	srcdir='$(srcdir)'; CGW_SRCDIR='$(abs_top_srcdir)'; CGW_BUILDDIR='$(abs_top_builddir)'; \
	CAMPGW_SMSCSIM='$(abs_top_builddir)/tests/sim/smscsim'; CAMPGW_MMSCSIM='$(abs_top_builddir)/tests/sim/mmscsim'; PYTHONDONTWRITEBYTECODE=1; \
	CGW_NO_CRITERION='$(NO_CRITERION)'; \
	export srcdir CGW_NO_CRITERION CGW_SRCDIR CGW_BUILDDIR CAMPGW_SMSCSIM CAMPGW_MMSCSIM PYTHONDONTWRITEBYTECODE;
EXTRA_DIST += tests/README.md tests/run_one.sh tests/lsan.supp tests/scenario

TEST_CPPFLAGS = $(CORE_CPPFLAGS) $(CRITERION_CFLAGS) -DTEST_SRCDIR='"$(abs_top_srcdir)"'
TEST_LIBS = $(CORE_LIBS) $(CRITERION_LIBS)

TESTS += tests/style.sh
EXTRA_DIST += tests/style.sh

include tests/sim/local.mk
include tests/abi/local.mk
include tests/fixtures/plugins/local.mk
include tests/contract/plugin_tests.mk
include tests/contract/local.mk
include tests/voice/local.mk
include tests/unit/local.mk
include tests/db/local.mk
include tests/fuzz/local.mk
include tests/stress/local.mk
include tests/api/local.mk
