# SPDX-License-Identifier: Apache-2.0
# tests/db/local.mk - the store against a real PostgreSQL. In `make check` these skip, with the reason: CAMPGW_TEST_DB names none.
if WITH_CRITERION
db_tests = \
	tests/db/test_db \
	tests/db/test_facts \
	tests/db/test_link \
	tests/db/test_media \
	tests/db/test_protocol \
	tests/db/test_protocol_outcome \
	tests/db/test_protocol_settle \
	tests/db/test_recall \
	tests/db/test_retention \
	tests/db/test_roots \
	tests/db/test_store_campaign \
	tests/db/test_store_people \
	tests/db/test_suppress \
	tests/db/test_tasks
check_PROGRAMS += $(db_tests)
TESTS += $(db_tests)

tests_db_test_db_SOURCES = tests/db/test_db.c tests/db/protocol_fixture.h
tests_db_test_db_CPPFLAGS = $(TEST_CPPFLAGS)
tests_db_test_db_LDADD = $(TEST_LIBS)
tests_db_test_link_SOURCES = tests/db/test_link.c tests/db/protocol_fixture.h
tests_db_test_link_CPPFLAGS = $(TEST_CPPFLAGS)
tests_db_test_link_LDADD = $(TEST_LIBS)
tests_db_test_suppress_SOURCES = tests/db/test_suppress.c tests/db/outcome_fixture.h tests/db/protocol_fixture.h
tests_db_test_suppress_CPPFLAGS = $(TEST_CPPFLAGS)
tests_db_test_suppress_LDADD = $(TEST_LIBS)
tests_db_test_facts_SOURCES = tests/db/test_facts.c tests/db/protocol_fixture.h
tests_db_test_facts_CPPFLAGS = $(TEST_CPPFLAGS)
tests_db_test_facts_LDADD = $(TEST_LIBS)
tests_db_test_media_SOURCES = tests/db/test_media.c tests/db/outcome_fixture.h tests/db/protocol_fixture.h
tests_db_test_media_CPPFLAGS = $(TEST_CPPFLAGS)
tests_db_test_media_LDADD = $(TEST_LIBS)
tests_db_test_protocol_SOURCES = tests/db/test_protocol.c tests/db/protocol_fixture.h
tests_db_test_protocol_CPPFLAGS = $(TEST_CPPFLAGS)
tests_db_test_protocol_LDADD = $(TEST_LIBS)
tests_db_test_protocol_outcome_SOURCES = tests/db/test_protocol_outcome.c tests/db/outcome_fixture.h tests/db/protocol_fixture.h
tests_db_test_protocol_outcome_CPPFLAGS = $(TEST_CPPFLAGS)
tests_db_test_protocol_outcome_LDADD = $(TEST_LIBS)
tests_db_test_protocol_settle_SOURCES = tests/db/test_protocol_settle.c tests/db/outcome_fixture.h tests/db/protocol_fixture.h
tests_db_test_protocol_settle_CPPFLAGS = $(TEST_CPPFLAGS)
tests_db_test_protocol_settle_LDADD = $(TEST_LIBS)
tests_db_test_recall_SOURCES = tests/db/test_recall.c tests/db/outcome_fixture.h tests/db/protocol_fixture.h
tests_db_test_recall_CPPFLAGS = $(TEST_CPPFLAGS)
tests_db_test_recall_LDADD = $(TEST_LIBS)
tests_db_test_retention_SOURCES = tests/db/test_retention.c tests/db/protocol_fixture.h
tests_db_test_retention_CPPFLAGS = $(TEST_CPPFLAGS)
tests_db_test_retention_LDADD = $(TEST_LIBS)
tests_db_test_roots_SOURCES = tests/db/test_roots.c tests/db/protocol_fixture.h
tests_db_test_roots_CPPFLAGS = $(TEST_CPPFLAGS)
tests_db_test_roots_LDADD = $(TEST_LIBS)
tests_db_test_tasks_SOURCES = tests/db/test_tasks.c tests/db/outcome_fixture.h tests/db/protocol_fixture.h
tests_db_test_tasks_CPPFLAGS = $(TEST_CPPFLAGS)
tests_db_test_tasks_LDADD = $(TEST_LIBS)
tests_db_test_store_campaign_CPPFLAGS = $(TEST_CPPFLAGS)
tests_db_test_store_campaign_LDADD = $(TEST_LIBS)
tests_db_test_store_people_CPPFLAGS = $(TEST_CPPFLAGS)
tests_db_test_store_people_LDADD = $(TEST_LIBS)
endif
EXTRA_DIST += tests/db/verify_seals.sql tests/db/verify_roots.sql

# threads over one database; run by scripts/test db like the others, and under ThreadSanitizer, where Criterion does not run
check_PROGRAMS += tests/db/race_rules
TESTS += tests/db/race_rules
tests_db_race_rules_SOURCES = tests/db/race_rules.c tests/stress/race.h
tests_db_race_rules_CPPFLAGS = $(CORE_CPPFLAGS) -I$(srcdir)/tests/stress
tests_db_race_rules_LDADD = $(CORE_LIBS)
EXTRA_DIST += tests/db/run_shape.py
