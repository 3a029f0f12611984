# SPDX-License-Identifier: Apache-2.0
# tests/stress/local.mk - programs that measure, run by hand or by scripts/bench, and programs that race.
stress_tools = tests/stress/bench_policy tests/stress/bench_isolation tests/stress/http_pump
check_PROGRAMS += $(stress_tools)
tests_stress_bench_policy_CPPFLAGS = $(CORE_CPPFLAGS)
tests_stress_bench_policy_LDADD = $(CORE_LIBS)
tests_stress_bench_isolation_CPPFLAGS = $(CORE_CPPFLAGS)
tests_stress_bench_isolation_LDADD = $(CORE_LIBS)
if WITH_MMS
mms_stress_tools = tests/stress/bench_mms
check_PROGRAMS += $(mms_stress_tools)
tests_stress_bench_mms_SOURCES = tests/stress/bench_mms.c $(mms_bench_sources)
tests_stress_bench_mms_CPPFLAGS = $(plugins_channel_mms_channel_mms_la_CPPFLAGS)
tests_stress_bench_mms_LDADD = $(MMS_LIBS)
mms_stress_sims = tests/sim/mmscsim
endif
stress: $(stress_tools) $(mms_stress_tools) $(mms_stress_sims)
.PHONY: stress
EXTRA_DIST += tests/bench

# race_*: threads against one object; run by tests/contract/plugin_all.sh, and once more under ThreadSanitizer by scripts/test sanitize.
check_PROGRAMS += tests/stress/race_base tests/stress/race_instance
tests_stress_race_base_SOURCES = tests/stress/race_base.c tests/stress/race.h
tests_stress_race_base_CPPFLAGS = $(CORE_CPPFLAGS)
tests_stress_race_base_LDADD = $(CORE_LIBS)
tests_stress_race_instance_SOURCES = tests/stress/race_instance.c tests/stress/race.h
tests_stress_race_instance_CPPFLAGS = $(CORE_CPPFLAGS)
tests_stress_race_instance_LDADD = $(CORE_LIBS)
