# SPDX-License-Identifier: Apache-2.0
# tests/stress/local.mk - programs that measure; built by `make check`, run by hand or by scripts/bench.
stress_tools = tests/stress/bench_policy tests/stress/http_pump
check_PROGRAMS += $(stress_tools)
tests_stress_bench_policy_CPPFLAGS = $(CORE_CPPFLAGS)
tests_stress_bench_policy_LDADD = $(CORE_LIBS)
stress: $(stress_tools)
.PHONY: stress
EXTRA_DIST += tests/bench
