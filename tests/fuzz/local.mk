# SPDX-License-Identifier: Apache-2.0
# tests/fuzz/local.mk - each target twice: `make check` replays tests/fuzz/corpus with a plain main(), --enable-fuzz adds libFuzzer's.
# A target runs until stopped: tests/fuzz/fuzz_csv -max_total_time=60 tests/fuzz/corpus/csv
FUZZ_CPPFLAGS = $(CORE_CPPFLAGS) -I$(srcdir)/tests/fuzz
REPLAY_CPPFLAGS = $(FUZZ_CPPFLAGS) -DREPLAY_MAIN
EXTRA_DIST += tests/fuzz/corpus tests/fuzz/fuzz_ingest.h tests/fuzz/fuzz_upload.h tests/fuzz/replay.sh
TESTS += tests/fuzz/replay.sh

check_PROGRAMS += \
	tests/fuzz/replay_address \
	tests/fuzz/replay_api \
	tests/fuzz/replay_config \
	tests/fuzz/replay_csv \
	tests/fuzz/replay_frame \
	tests/fuzz/replay_json \
	tests/fuzz/replay_optout \
	tests/fuzz/replay_template \
	tests/fuzz/replay_ics
tests_fuzz_replay_address_SOURCES = tests/fuzz/fuzz_address.c
tests_fuzz_replay_address_CPPFLAGS = $(REPLAY_CPPFLAGS)
tests_fuzz_replay_address_LDADD = $(CORE_LIBS)
tests_fuzz_replay_api_SOURCES = tests/fuzz/fuzz_api.c
tests_fuzz_replay_api_CPPFLAGS = $(REPLAY_CPPFLAGS)
tests_fuzz_replay_api_LDADD = $(CORE_LIBS)
tests_fuzz_replay_config_SOURCES = tests/fuzz/fuzz_config.c
tests_fuzz_replay_config_CPPFLAGS = $(REPLAY_CPPFLAGS)
tests_fuzz_replay_config_LDADD = $(CORE_LIBS)
tests_fuzz_replay_csv_SOURCES = tests/fuzz/fuzz_csv.c
tests_fuzz_replay_csv_CPPFLAGS = $(REPLAY_CPPFLAGS)
tests_fuzz_replay_csv_LDADD = $(CORE_LIBS)
tests_fuzz_replay_frame_SOURCES = tests/fuzz/fuzz_frame.c
tests_fuzz_replay_frame_CPPFLAGS = $(REPLAY_CPPFLAGS)
tests_fuzz_replay_frame_LDADD = $(CORE_LIBS)
tests_fuzz_replay_json_SOURCES = tests/fuzz/fuzz_json.c
tests_fuzz_replay_json_CPPFLAGS = $(REPLAY_CPPFLAGS)
tests_fuzz_replay_json_LDADD = $(CORE_LIBS)
tests_fuzz_replay_optout_SOURCES = tests/fuzz/fuzz_optout.c
tests_fuzz_replay_optout_CPPFLAGS = $(REPLAY_CPPFLAGS)
tests_fuzz_replay_optout_LDADD = $(CORE_LIBS)
tests_fuzz_replay_template_SOURCES = tests/fuzz/fuzz_template.c
tests_fuzz_replay_template_CPPFLAGS = $(REPLAY_CPPFLAGS)
tests_fuzz_replay_template_LDADD = $(CORE_LIBS)
tests_fuzz_replay_ics_SOURCES = tests/fuzz/fuzz_ics.c
tests_fuzz_replay_ics_CPPFLAGS = $(REPLAY_CPPFLAGS)
tests_fuzz_replay_ics_LDADD = $(CORE_LIBS)

if WITH_SMPP
check_PROGRAMS += tests/fuzz/replay_smpp tests/fuzz/replay_receipt
tests_fuzz_replay_receipt_SOURCES = tests/fuzz/fuzz_receipt.c
tests_fuzz_replay_receipt_CPPFLAGS = $(plugins_channel_smpp_channel_smpp_la_CPPFLAGS) -I$(srcdir)/tests/fuzz -DREPLAY_MAIN
tests_fuzz_replay_receipt_LDADD = $(SMPP_LIBS)
tests_fuzz_replay_smpp_SOURCES = tests/fuzz/fuzz_smpp.c
tests_fuzz_replay_smpp_CPPFLAGS = $(plugins_channel_smpp_channel_smpp_la_CPPFLAGS) -DREPLAY_MAIN
tests_fuzz_replay_smpp_LDADD = $(SMPP_LIBS)
endif

if WITH_MMS
check_PROGRAMS += tests/fuzz/replay_mm7
tests_fuzz_replay_mm7_SOURCES = tests/fuzz/fuzz_mm7.c
tests_fuzz_replay_mm7_CPPFLAGS = $(plugins_channel_mms_channel_mms_la_CPPFLAGS) -I$(srcdir)/tests/fuzz -DREPLAY_MAIN
tests_fuzz_replay_mm7_LDADD = $(MMS_LIBS)
endif

if WITH_IVR
check_PROGRAMS += tests/fuzz/replay_ivr_flow tests/fuzz/replay_ivr_wav
tests_fuzz_replay_ivr_flow_SOURCES = tests/fuzz/fuzz_ivr_flow.c
tests_fuzz_replay_ivr_flow_CPPFLAGS = $(plugins_channel_ivr_channel_ivr_la_CPPFLAGS) -I$(srcdir)/tests/fuzz -DREPLAY_MAIN
tests_fuzz_replay_ivr_flow_LDADD = $(IVR_LIBS)
tests_fuzz_replay_ivr_wav_SOURCES = tests/fuzz/fuzz_ivr_wav.c
tests_fuzz_replay_ivr_wav_CPPFLAGS = $(plugins_channel_ivr_channel_ivr_la_CPPFLAGS) -I$(srcdir)/tests/fuzz -DREPLAY_MAIN
tests_fuzz_replay_ivr_wav_LDADD = $(IVR_LIBS)
endif

if WITH_EMAIL
check_PROGRAMS += tests/fuzz/replay_mail
tests_fuzz_replay_mail_SOURCES = tests/fuzz/fuzz_mail.c
tests_fuzz_replay_mail_CPPFLAGS = $(plugins_channel_email_channel_email_la_CPPFLAGS) -I$(srcdir)/tests/fuzz -DREPLAY_MAIN
tests_fuzz_replay_mail_LDADD = tests/libchannel_email.a $(EMAIL_LIBS)
endif

if WITH_FUZZ
noinst_PROGRAMS += \
	tests/fuzz/fuzz_address \
	tests/fuzz/fuzz_api \
	tests/fuzz/fuzz_config \
	tests/fuzz/fuzz_csv \
	tests/fuzz/fuzz_frame \
	tests/fuzz/fuzz_json \
	tests/fuzz/fuzz_optout \
	tests/fuzz/fuzz_template \
	tests/fuzz/fuzz_ics
tests_fuzz_fuzz_address_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_fuzz_address_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_address_LDADD = $(CORE_LIBS)
tests_fuzz_fuzz_api_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_fuzz_api_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_api_LDADD = $(CORE_LIBS)
tests_fuzz_fuzz_config_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_fuzz_config_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_config_LDADD = $(CORE_LIBS)
tests_fuzz_fuzz_csv_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_fuzz_csv_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_csv_LDADD = $(CORE_LIBS)
tests_fuzz_fuzz_frame_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_fuzz_frame_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_frame_LDADD = $(CORE_LIBS)
tests_fuzz_fuzz_json_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_fuzz_json_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_json_LDADD = $(CORE_LIBS)
tests_fuzz_fuzz_optout_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_fuzz_optout_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_optout_LDADD = $(CORE_LIBS)
tests_fuzz_fuzz_template_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_fuzz_template_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_template_LDADD = $(CORE_LIBS)
tests_fuzz_fuzz_ics_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_fuzz_ics_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_ics_LDADD = $(CORE_LIBS)

if WITH_SMPP
noinst_PROGRAMS += tests/fuzz/fuzz_smpp tests/fuzz/fuzz_receipt
tests_fuzz_fuzz_receipt_CPPFLAGS = $(plugins_channel_smpp_channel_smpp_la_CPPFLAGS) -I$(srcdir)/tests/fuzz
tests_fuzz_fuzz_receipt_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_receipt_LDADD = $(SMPP_LIBS)
tests_fuzz_fuzz_smpp_CPPFLAGS = $(plugins_channel_smpp_channel_smpp_la_CPPFLAGS)
tests_fuzz_fuzz_smpp_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_smpp_LDADD = $(SMPP_LIBS)
endif
if WITH_MMS
noinst_PROGRAMS += tests/fuzz/fuzz_mm7
tests_fuzz_fuzz_mm7_CPPFLAGS = $(plugins_channel_mms_channel_mms_la_CPPFLAGS) -I$(srcdir)/tests/fuzz
tests_fuzz_fuzz_mm7_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_mm7_LDADD = $(MMS_LIBS)
endif

if WITH_IVR
noinst_PROGRAMS += tests/fuzz/fuzz_ivr_flow tests/fuzz/fuzz_ivr_wav
tests_fuzz_fuzz_ivr_flow_CPPFLAGS = $(plugins_channel_ivr_channel_ivr_la_CPPFLAGS) -I$(srcdir)/tests/fuzz
tests_fuzz_fuzz_ivr_flow_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_ivr_flow_LDADD = $(IVR_LIBS)
tests_fuzz_fuzz_ivr_wav_CPPFLAGS = $(plugins_channel_ivr_channel_ivr_la_CPPFLAGS) -I$(srcdir)/tests/fuzz
tests_fuzz_fuzz_ivr_wav_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_ivr_wav_LDADD = $(IVR_LIBS)
endif
if WITH_EMAIL
noinst_PROGRAMS += tests/fuzz/fuzz_mail
tests_fuzz_fuzz_mail_CPPFLAGS = $(plugins_channel_email_channel_email_la_CPPFLAGS) -I$(srcdir)/tests/fuzz
tests_fuzz_fuzz_mail_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_mail_LDADD = tests/libchannel_email.a $(EMAIL_LIBS)
endif
endif
