# SPDX-License-Identifier: Apache-2.0
# tests/contract/local.mk - channel_smpp in one process with a small host, against the simulator; and what `make installcheck` does.
if WITH_SMPP
# the plugin as a library, so that tests reach its functions: the module exports one symbol only
check_LIBRARIES += tests/libchannel_smpp.a
tests_libchannel_smpp_a_SOURCES = $(plugins_channel_smpp_channel_smpp_la_SOURCES)
tests_libchannel_smpp_a_CPPFLAGS = $(plugins_channel_smpp_channel_smpp_la_CPPFLAGS)
SMPP_TEST_CPPFLAGS = $(plugins_channel_smpp_channel_smpp_la_CPPFLAGS) -I$(srcdir)/tests/unit $(JANSSON_CFLAGS) $(CRITERION_CFLAGS)
SMPP_LIBS = tests/libchannel_smpp.a $(LIBSMPP34_LIBS) $(OPENSSL_LIBS)
SMPP_TEST_LIBS = $(SMPP_LIBS) $(JANSSON_LIBS) $(CRITERION_LIBS)

check_PROGRAMS += tests/contract/smpp_harness
tests_contract_smpp_harness_SOURCES = tests/contract/smpp_harness.c tests/contract/mini_host.c tests/contract/mini_host.h \
	tests/contract/sim_peer.c tests/contract/sim_peer.h
tests_contract_smpp_harness_CPPFLAGS = $(plugins_channel_smpp_channel_smpp_la_CPPFLAGS)
tests_contract_smpp_harness_LDADD = $(SMPP_LIBS)
TESTS += tests/contract/smpp_harness
endif
EXTRA_DIST += tests/contract/tls_front.py

# channel_email in the gateway's own host behind its own callback listener; mail servers come with the tests
if WITH_EMAIL
check_LIBRARIES += tests/libchannel_email.a
tests_libchannel_email_a_SOURCES = $(plugins_channel_email_channel_email_la_SOURCES)
tests_libchannel_email_a_CPPFLAGS = $(plugins_channel_email_channel_email_la_CPPFLAGS)
EMAIL_TEST_CPPFLAGS = $(plugins_channel_email_channel_email_la_CPPFLAGS) $(CRITERION_CFLAGS)
EMAIL_TEST_LIBS = tests/libchannel_email.a $(EMAIL_LIBS) $(CRITERION_LIBS)
check_PROGRAMS += tests/contract/email_driver
tests_contract_email_driver_SOURCES = tests/contract/email_driver.c
tests_contract_email_driver_CPPFLAGS = $(CORE_CPPFLAGS)
tests_contract_email_driver_LDADD = $(CORE_LIBS)
TESTS += tests/contract/run_email.py
endif
EXTRA_DIST += tests/contract/run_email.py tests/contract/mailpeers.py

# Builds both template plugins as a stranger would: copied out of the tree, against what is installed.
installcheck-local:
	MAKE='$(MAKE)' CC='$(CC)' CXX='$(CXX)' DESTDIR='$(DESTDIR)' bindir='$(bindir)' sbindir='$(sbindir)' includedir='$(includedir)' \
	pkgconfigdir='$(pkgconfigdir)' pkglibdir='$(pkglibdir)' PKG_CONFIG='$(PKG_CONFIG)' \
	$(SHELL) $(srcdir)/tests/contract/installcheck.sh '$(abs_top_srcdir)' installcheck.tmp
clean-local:
	rm -rf installcheck.tmp
EXTRA_DIST += tests/contract/installcheck.sh tests/contract/valgrind.sh

# channel_mms in one process with the same small host, against the MMSC simulator
if WITH_MMS
check_LIBRARIES += tests/libchannel_mms.a
tests_libchannel_mms_a_SOURCES = $(plugins_channel_mms_channel_mms_la_SOURCES)
tests_libchannel_mms_a_CPPFLAGS = $(plugins_channel_mms_channel_mms_la_CPPFLAGS)
MMS_TEST_CPPFLAGS = $(plugins_channel_mms_channel_mms_la_CPPFLAGS) -I$(srcdir)/tests/unit $(CRITERION_CFLAGS)
MMS_LIBS = tests/libchannel_mms.a $(plugins_channel_mms_channel_mms_la_LIBADD)
MMS_TEST_LIBS = $(MMS_LIBS) $(CRITERION_LIBS)
mms_bench_sources = tests/contract/mms_bench.c tests/contract/mms_bench.h tests/contract/cb_listen.c tests/contract/cb_listen.h \
	tests/contract/mini_host.c tests/contract/mini_host.h tests/contract/sim_peer.c tests/contract/sim_peer.h

check_PROGRAMS += tests/contract/mms_harness
tests_contract_mms_harness_SOURCES = tests/contract/mms_harness.c tests/contract/mms_harness.h \
	tests/contract/mms_cases_answer.c tests/contract/mms_cases_inbound.c tests/contract/mms_cases_submit.c $(mms_bench_sources)
tests_contract_mms_harness_CPPFLAGS = $(plugins_channel_mms_channel_mms_la_CPPFLAGS)
tests_contract_mms_harness_LDADD = $(MMS_LIBS)
TESTS += tests/contract/mms_harness
endif
EXTRA_DIST += tests/contract/mm7.xsd
