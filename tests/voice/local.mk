# SPDX-License-Identifier: Apache-2.0
# tests/voice/local.mk - channel_ivr in the gateway's own host, against sipp.
if WITH_IVR
# the plugin as a library, so that tests reach its functions: the module exports one symbol only
check_LIBRARIES += tests/libchannel_ivr.a
tests_libchannel_ivr_a_SOURCES = $(plugins_channel_ivr_channel_ivr_la_SOURCES)
tests_libchannel_ivr_a_CPPFLAGS = $(plugins_channel_ivr_channel_ivr_la_CPPFLAGS)
IVR_TEST_CPPFLAGS = $(plugins_channel_ivr_channel_ivr_la_CPPFLAGS) $(CRITERION_CFLAGS)
IVR_LIBS = tests/libchannel_ivr.a $(LIBRE_LIBS) $(JANSSON_LIBS) -lm -lpthread
IVR_TEST_LIBS = $(IVR_LIBS) $(CRITERION_LIBS)

check_PROGRAMS += tests/voice/voice_driver
tests_voice_voice_driver_SOURCES = tests/voice/voice_driver.c
tests_voice_voice_driver_CPPFLAGS = $(CORE_CPPFLAGS)
tests_voice_voice_driver_LDADD = $(CORE_LIBS)
TESTS += tests/voice/run_voice.py
endif
EXTRA_DIST += tests/voice/README.md tests/voice/run_voice.py tests/voice/voicekit.py tests/voice/sippxml.py
