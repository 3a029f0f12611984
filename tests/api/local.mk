# SPDX-License-Identifier: Apache-2.0
# tests/api/local.mk - the HTTP API without a dispatcher: apid with the core nouns, apid_full with all. Built by `make check`, run by
# scripts/test (they need PostgreSQL).
check_PROGRAMS += tests/api/apid tests/api/apid_full
tests_api_apid_SOURCES = tests/api/apid.c tests/api/routes_core.c
tests_api_apid_CPPFLAGS = $(CORE_CPPFLAGS)
tests_api_apid_LDADD = $(CORE_LIBS)
tests_api_apid_full_CPPFLAGS = $(CORE_CPPFLAGS)
tests_api_apid_full_LDADD = $(CORE_LIBS)
EXTRA_DIST += tests/api/formats.py tests/api/harness.py tests/api/run_campaign.py tests/api/run_core.py tests/api/run_ctl.py tests/api/run_formats.py tests/api/run_media.py tests/api/run_people.py tests/api/run_tasks.py
