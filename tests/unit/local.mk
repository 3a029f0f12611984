# SPDX-License-Identifier: Apache-2.0
# tests/unit/local.mk - one Criterion program per file: no network, no database, no waiting.
if WITH_CRITERION
unit_tests = \
	tests/unit/test_address \
	tests/unit/test_api_access \
	tests/unit/test_api_check \
	tests/unit/test_api_value \
	tests/unit/test_calendar \
	tests/unit/test_calendar_ics \
	tests/unit/test_content \
	tests/unit/test_ingest \
	tests/unit/test_ingest_spool \
	tests/unit/test_media \
	tests/unit/test_metrics \
	tests/unit/test_optout \
	tests/unit/test_policy \
	tests/unit/test_refmap \
	tests/unit/test_relay \
	tests/unit/test_routing \
	tests/unit/test_task

tests_unit_test_address_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_address_LDADD = $(TEST_LIBS)

tests_unit_test_api_access_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_api_access_LDADD = $(TEST_LIBS)

tests_unit_test_api_check_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_api_check_LDADD = $(TEST_LIBS)

tests_unit_test_api_value_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_api_value_LDADD = $(TEST_LIBS)

tests_unit_test_calendar_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_calendar_LDADD = $(TEST_LIBS)

tests_unit_test_calendar_ics_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_calendar_ics_LDADD = $(TEST_LIBS)

tests_unit_test_content_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_content_LDADD = $(TEST_LIBS)

tests_unit_test_ingest_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_ingest_LDADD = $(TEST_LIBS)

tests_unit_test_ingest_spool_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_ingest_spool_LDADD = $(TEST_LIBS)

tests_unit_test_media_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_media_LDADD = $(TEST_LIBS)

tests_unit_test_metrics_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_metrics_LDADD = $(TEST_LIBS)

tests_unit_test_optout_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_optout_LDADD = $(TEST_LIBS)

# the registry is a table in the test: of the library only what routing.c itself needs
tests_unit_test_refmap_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_refmap_LDADD = $(TEST_LIBS)

tests_unit_test_relay_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_relay_LDADD = $(TEST_LIBS)

tests_unit_test_routing_SOURCES = tests/unit/test_routing.c core/dispatch/routing.c
tests_unit_test_routing_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_routing_LDADD = $(TEST_LIBS)

# the plugin's document, and the rows of lists that come back
tests_unit_test_task_SOURCES = tests/unit/test_task.c plugins/channel_task/document.c
tests_unit_test_task_CPPFLAGS = $(TEST_CPPFLAGS) -I$(top_srcdir)/plugins/channel_task
tests_unit_test_task_LDADD = $(TEST_LIBS)

tests_unit_test_policy_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_policy_LDADD = $(TEST_LIBS)

if WITH_SMPP
# the plugin's own functions, and what the tests of the wire share
smpp_unit_tests = \
	tests/unit/test_smpp_corpus \
	tests/unit/test_smpp_guard \
	tests/unit/test_smpp_inflight \
	tests/unit/test_smpp_message \
	tests/unit/test_smpp_msgid \
	tests/unit/test_smpp_pdu \
	tests/unit/test_smpp_rate \
	tests/unit/test_smpp_reassembly \
	tests/unit/test_smpp_receipt \
	tests/unit/test_smpp_resolve \
	tests/unit/test_smpp_rules \
	tests/unit/test_smpp_segment \
	tests/unit/test_smpp_text
EXTRA_DIST += tests/unit/test_smpp_build.h

tests_unit_test_smpp_corpus_CPPFLAGS = $(SMPP_TEST_CPPFLAGS)
tests_unit_test_smpp_corpus_LDADD = $(SMPP_TEST_LIBS)

tests_unit_test_smpp_guard_CPPFLAGS = $(SMPP_TEST_CPPFLAGS)
tests_unit_test_smpp_guard_LDADD = $(SMPP_TEST_LIBS)

tests_unit_test_smpp_inflight_CPPFLAGS = $(SMPP_TEST_CPPFLAGS)
tests_unit_test_smpp_inflight_LDADD = $(SMPP_TEST_LIBS)

tests_unit_test_smpp_message_CPPFLAGS = $(SMPP_TEST_CPPFLAGS)
tests_unit_test_smpp_message_LDADD = $(SMPP_TEST_LIBS)

tests_unit_test_smpp_msgid_CPPFLAGS = $(SMPP_TEST_CPPFLAGS)
tests_unit_test_smpp_msgid_LDADD = $(SMPP_TEST_LIBS)

tests_unit_test_smpp_pdu_CPPFLAGS = $(SMPP_TEST_CPPFLAGS)
tests_unit_test_smpp_pdu_LDADD = $(SMPP_TEST_LIBS)

tests_unit_test_smpp_rate_CPPFLAGS = $(SMPP_TEST_CPPFLAGS)
tests_unit_test_smpp_rate_LDADD = $(SMPP_TEST_LIBS)

tests_unit_test_smpp_reassembly_CPPFLAGS = $(SMPP_TEST_CPPFLAGS)
tests_unit_test_smpp_reassembly_LDADD = $(SMPP_TEST_LIBS)

tests_unit_test_smpp_receipt_CPPFLAGS = $(SMPP_TEST_CPPFLAGS)
tests_unit_test_smpp_receipt_LDADD = $(SMPP_TEST_LIBS)

tests_unit_test_smpp_resolve_CPPFLAGS = $(SMPP_TEST_CPPFLAGS)
tests_unit_test_smpp_resolve_LDADD = $(SMPP_TEST_LIBS) -ldl

tests_unit_test_smpp_rules_CPPFLAGS = $(SMPP_TEST_CPPFLAGS)
tests_unit_test_smpp_rules_LDADD = $(SMPP_TEST_LIBS)

tests_unit_test_smpp_segment_CPPFLAGS = $(SMPP_TEST_CPPFLAGS)
tests_unit_test_smpp_segment_LDADD = $(SMPP_TEST_LIBS)

tests_unit_test_smpp_text_CPPFLAGS = $(SMPP_TEST_CPPFLAGS)
tests_unit_test_smpp_text_LDADD = $(SMPP_TEST_LIBS)
endif

if WITH_MMS
mms_unit_tests = \
	tests/unit/test_mms_mm7 \
	tests/unit/test_mms_rules
tests_unit_test_mms_mm7_CPPFLAGS = $(MMS_TEST_CPPFLAGS) -DTEST_SRCDIR='"$(abs_top_srcdir)"'
tests_unit_test_mms_mm7_LDADD = $(MMS_TEST_LIBS)
tests_unit_test_mms_rules_CPPFLAGS = $(MMS_TEST_CPPFLAGS)
tests_unit_test_mms_rules_LDADD = $(MMS_TEST_LIBS)
endif

if WITH_IVR
ivr_unit_tests = \
	tests/unit/test_ivr_flow \
	tests/unit/test_ivr_rules \
	tests/unit/test_ivr_sound

tests_unit_test_ivr_flow_CPPFLAGS = $(IVR_TEST_CPPFLAGS)
tests_unit_test_ivr_flow_LDADD = $(IVR_TEST_LIBS)

tests_unit_test_ivr_rules_CPPFLAGS = $(IVR_TEST_CPPFLAGS)
tests_unit_test_ivr_rules_LDADD = $(IVR_TEST_LIBS)

tests_unit_test_ivr_sound_CPPFLAGS = $(IVR_TEST_CPPFLAGS)
tests_unit_test_ivr_sound_LDADD = $(IVR_TEST_LIBS)
endif

if WITH_EMAIL
email_unit_tests = \
	tests/unit/test_email_compose \
	tests/unit/test_email_report \
	tests/unit/test_email_rules \
	tests/unit/test_email_token

tests_unit_test_email_compose_CPPFLAGS = $(EMAIL_TEST_CPPFLAGS)
tests_unit_test_email_compose_LDADD = $(EMAIL_TEST_LIBS)

tests_unit_test_email_report_CPPFLAGS = $(EMAIL_TEST_CPPFLAGS)
tests_unit_test_email_report_LDADD = $(EMAIL_TEST_LIBS)

tests_unit_test_email_rules_CPPFLAGS = $(EMAIL_TEST_CPPFLAGS)
tests_unit_test_email_rules_LDADD = $(EMAIL_TEST_LIBS)

tests_unit_test_email_token_CPPFLAGS = $(EMAIL_TEST_CPPFLAGS)
tests_unit_test_email_token_LDADD = $(EMAIL_TEST_LIBS)
endif

check_PROGRAMS += $(unit_tests) $(smpp_unit_tests) $(mms_unit_tests) $(ivr_unit_tests) $(email_unit_tests)
TESTS += $(unit_tests) $(smpp_unit_tests) $(mms_unit_tests) $(ivr_unit_tests) $(email_unit_tests)
else
# a skip that nobody can mistake for a pass
TESTS += tests/unit/no_criterion.sh
endif
EXTRA_DIST += tests/unit/no_criterion.sh
