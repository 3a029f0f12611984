# SPDX-License-Identifier: Apache-2.0
# tests/sim/local.mk - the SMSC simulator and its control client; libc only.

check_PROGRAMS += tests/sim/smscsim tests/sim/simctl tests/sim/mmscsim

# What unit tests of the simulator link: codec, texts and counting, no sockets.
sim_core_sources = \
	tests/sim/sim_assembly.c \
	tests/sim/sim_codec.c \
	tests/sim/sim_codec.h \
	tests/sim/sim_count.c \
	tests/sim/sim_count.h \
	tests/sim/sim_count_int.h \
	tests/sim/sim_text.c \
	tests/sim/sim_text.h \
	tests/sim/sim_util.c \
	tests/sim/sim_util.h

tests_sim_smscsim_SOURCES = \
	$(sim_core_sources) \
	tests/sim/sim.h \
	tests/sim/sim_answer.c \
	tests/sim/sim_bind.c \
	tests/sim/sim_check.c \
	tests/sim/sim_command.c \
	tests/sim/sim_complain.c \
	tests/sim/sim_complain.h \
	tests/sim/sim_control.c \
	tests/sim/sim_deliver.c \
	tests/sim/sim_fault.c \
	tests/sim/sim_journal.c \
	tests/sim/sim_knobs.c \
	tests/sim/sim_knobs.h \
	tests/sim/sim_main.c \
	tests/sim/sim_mo.c \
	tests/sim/sim_pdu.c \
	tests/sim/sim_receipt.c \
	tests/sim/sim_session.c \
	tests/sim/sim_stats.c \
	tests/sim/sim_submit.c \
	tests/sim/sim_timer.c \
	tests/sim/sim_timer.h

# The MMSC simulator: libc only.
tests_sim_mmscsim_SOURCES = \
	tests/sim/mmsc.h \
	tests/sim/mmsc_callback.c \
	tests/sim/mmsc_check.c \
	tests/sim/mmsc_control.c \
	tests/sim/mmsc_count.c \
	tests/sim/mmsc_http.c \
	tests/sim/mmsc_main.c \
	tests/sim/mmsc_submit.c \
	tests/sim/mmsc_xml.c \
	tests/sim/sim_timer.c \
	tests/sim/sim_timer.h \
	tests/sim/sim_util.c \
	tests/sim/sim_util.h

tests_sim_simctl_SOURCES = tests/sim/simctl.c

if WITH_CRITERION
check_PROGRAMS += tests/unit/test_sim_codec
TESTS += tests/unit/test_sim_codec
tests_unit_test_sim_codec_SOURCES = tests/unit/test_sim_codec.c $(sim_core_sources)
tests_unit_test_sim_codec_CPPFLAGS = $(AM_CPPFLAGS) $(CRITERION_CFLAGS)
tests_unit_test_sim_codec_LDADD = $(CRITERION_LIBS)
endif

# Without an argument it runs tests/sim/smscsim of the build directory.
TESTS += tests/sim/selftest.py tests/sim/mmsc_selftest.py
EXTRA_DIST += tests/sim/selftest.py tests/sim/mmsc_selftest.py tests/sim/README.md tests/sim/ivrsim.py

# the smarthost and mailboxes; python, run as it is (tests/contract/run_email.py judges it)
EXTRA_DIST += tests/sim/mailsim.py
